package subtensor

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify/trie"
)

// Errors. They come wrapped with the item or the key.
var (
	// ErrUnproven: the state does not say what the value of a key is, or whether it has one.
	ErrUnproven = errors.New("not proven")
	// ErrLayout: a value is not laid out as the item is.
	ErrLayout = errors.New("value is not laid out as expected")
)

// A State answers for the storage after one block.
//
// Load returns the values of the keys, in their order: nil for a key that has none, a slice that is
// not nil (empty, maybe) for one that has. The error wraps ErrUnproven if any of them is not known.
// The values must not be changed.
type State interface {
	Load(keys ...[]byte) (values [][]byte, err error)
}

// FromTrie returns the State that p proves. A key that p is incomplete for is ErrUnproven; a node
// that cannot be part of any state is trie.ErrNode. The values alias the proof.
func FromTrie(p *trie.Proof) State { return proven{p} }

type proven struct{ proof *trie.Proof }

func (s proven) Load(keys ...[]byte) ([][]byte, error) {
	answers, err := s.proof.GetAll(keys)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	for i, a := range answers {
		switch {
		case len(keys[i]) == 0:
			return nil, fmt.Errorf("%w: key %d is empty, no item has that", ErrUnproven, i)
		case a.Outcome == trie.Incomplete:
			return nil, fmt.Errorf("%w: key 0x%x", ErrUnproven, keys[i])
		case a.Outcome == trie.Present:
			values[i] = a.Value
		}
	}
	return values, nil
}
