package trie

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
)

// poolOf returns a pool of all entries of the tries, in the order of their hashes.
func poolOf(t testing.TB, tries ...*Trie) (*Pool, [][]byte) {
	t.Helper()
	all := map[verify.Hash][]byte{}
	for _, tr := range tries {
		for _, n := range tr.Prove(tr.Keys(nil, nil, 0)...) {
			all[verify.Blake2b256(n)] = n
		}
	}
	var nodes [][]byte
	for _, n := range all {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b []byte) int {
		h, g := verify.Blake2b256(a), verify.Blake2b256(b)
		return bytes.Compare(h[:], g[:])
	})
	p, err := NewPool(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return p, nodes
}

// TestPool against a proof for each root by itself.
func TestPool(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		kv := randomState(rng, 60)
		kv["filler"] = bytes.Repeat([]byte{1}, 40) // so that no root is too small
		one := From(V1, kv)
		two := one.Put([]byte(randomKey(rng)), randomBytes(rng, 50)).Put([]byte("filler"), bytes.Repeat([]byte{2}, 33))
		three := New(V1).Put([]byte("other"), bytes.Repeat([]byte{3}, 60))
		tries := []*Trie{one, two, three}
		pool, nodes := poolOf(t, tries...)
		if pool.Len() != len(nodes) || pool.Size() != len(bytes.Join(nodes, nil)) || pool.CheckOrder() != nil {
			t.Fatalf("%d entries, %d bytes, %v", pool.Len(), pool.Size(), pool.CheckOrder())
		}
		usage := pool.Usage()
		need := map[verify.Hash]bool{}
		for _, tr := range tries {
			keys := [][]byte{[]byte("filler"), []byte("filles"), []byte(randomKey(rng)), []byte(randomKey(rng))}
			single, err := NewProof(tr.Root(), tr.Prove(tr.Keys(nil, nil, 0)...))
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, tr.Keys(nil, nil, 3)...)
			var want []Answer
			for _, key := range keys {
				v, o, err := single.Get(key)
				if err != nil {
					t.Fatal(err)
				}
				if o == Incomplete {
					// The proof of all keys need not hold what shows that another is absent. Then the pool
					// may know more.
					v, o, _ = pool.At(tr.Root()).Get(key)
				}
				want = append(want, Answer{v, o})
			}
			got, err := usage.GetAll(tr.Root(), keys)
			if err != nil {
				t.Fatal(err)
			}
			for i := range keys {
				v, o, err := pool.At(tr.Root()).Get(keys[i])
				if got[i].Outcome != want[i].Outcome || !bytes.Equal(got[i].Value, want[i].Value) || o != got[i].Outcome || !bytes.Equal(v, got[i].Value) || err != nil {
					t.Errorf("key %x: %v %x, want %v %x", keys[i], got[i].Outcome, got[i].Value, want[i].Outcome, want[i].Value)
				}
			}
			minimal, err := pool.At(tr.Root()).Minimal(keys...)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range minimal {
				need[verify.Blake2b256(n)] = true
			}
		}
		// What all lookups together use is the union of the minimal proofs.
		used := usage.Nodes()
		if len(used) != len(need) {
			t.Errorf("%d entries used, %d needed", len(used), len(need))
		}
		for _, n := range used {
			if !need[verify.Blake2b256(n)] {
				t.Errorf("%x is used, and not needed", n)
			}
		}
		if err := usage.CheckAll(); (err == nil) != (len(used) == len(nodes)) || err != nil && !errors.Is(err, ErrUnusedNode) {
			t.Errorf("%d of %d used: %v", len(used), len(nodes), err)
		}
		cut, err := NewPool(used)
		if err != nil || cut.CheckOrder() != nil {
			t.Fatalf("%v, %v", err, cut.CheckOrder())
		}
		again := cut.Usage()
		if err := again.CheckAll(); !errors.Is(err, ErrUnusedNode) {
			t.Errorf("nothing is used yet: %v", err)
		}
	}
}

func TestPoolRefuses(t *testing.T) {
	tr := From(V1, map[string][]byte{"a": bytes.Repeat([]byte{1}, 50), "b": bytes.Repeat([]byte{2}, 50)})
	pool, nodes := poolOf(t, tr)
	for i := range nodes {
		if pool.Hash(i) != verify.Blake2b256(nodes[i]) {
			t.Errorf("hash of entry %d", i)
		}
	}
	if _, err := NewPool(append(slices.Clone(nodes), nodes[1])); !errors.Is(err, ErrDuplicateNode) {
		t.Errorf("twice: %v", err)
	}
	if _, err := NewPool(append(slices.Clone(nodes), make([]byte, 31))); !errors.Is(err, ErrEntry) {
		t.Errorf("small: %v", err)
	}
	backwards := slices.Clone(nodes)
	slices.Reverse(backwards)
	back, err := NewPool(backwards)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.CheckOrder(); !errors.Is(err, ErrOrder) {
		t.Errorf("backwards: %v", err)
	}
	// A root that is not there, and the one that need not be.
	if _, o, err := pool.At(verify.Hash{1}).Get([]byte("a")); o != Incomplete || err != nil {
		t.Errorf("unknown root: %v, %v", o, err)
	}
	if _, o, err := pool.At(EmptyRoot).Get([]byte("a")); o != Absent || err != nil {
		t.Errorf("empty root: %v, %v", o, err)
	}
	if p := pool.At(tr.Root()); p.Root() != tr.Root() || p.CheckUsed([]byte("a"), []byte("b")) != nil {
		t.Errorf("root %v, %v", p.Root(), p.CheckUsed([]byte("a"), []byte("b")))
	}
	none, err := NewPool(nil)
	if err != nil || none.Len() != 0 || none.CheckOrder() != nil || none.Usage().CheckAll() != nil {
		t.Errorf("no entries: %v", err)
	}
	// A value that is the encoding of a node is one entry, used in two ways.
	leaf := tr.Prove([]byte("a"))[1]
	both := From(V1, map[string][]byte{"x": leaf, "y": bytes.Repeat([]byte{5}, 40)})
	mixed, _ := poolOf(t, tr, both)
	usage := mixed.Usage()
	got, err := usage.GetAll(both.Root(), [][]byte{[]byte("x")})
	if err != nil || !bytes.Equal(got[0].Value, leaf) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := mixed.Usage().GetAll(verify.Blake2b256(bytes.Repeat([]byte{1}, 50)), [][]byte{[]byte("x")}); !errors.Is(err, ErrNode) {
		t.Errorf("a value for a root: %v", err)
	}
}
