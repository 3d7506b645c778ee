package trie_test

import (
	"fmt"

	"github.com/taolight/taolight/verify/trie"
)

// A full node proves two lookups; a light node, which knows the state root alone, checks them.
func Example() {
	state := trie.New(trie.V1).
		Put([]byte("alice"), []byte{100}).
		Put([]byte("bob"), []byte{7}).
		Put([]byte("carol"), []byte("a value of more than 32 bytes, which has its own entry"))
	response := trie.AppendProof(nil, state.Prove([]byte("bob"), []byte("dave")))

	nodes, err := trie.DecodeProof(response)
	if err != nil {
		panic(err)
	}
	proof, err := trie.NewProof(state.Root(), nodes)
	if err != nil {
		panic(err)
	}
	for _, key := range []string{"bob", "dave", "carol"} {
		value, outcome, err := proof.Get([]byte(key))
		fmt.Println(key, outcome, value, err)
	}
	// Output:
	// bob present [7] <nil>
	// dave absent [] <nil>
	// carol incomplete [] <nil>
}
