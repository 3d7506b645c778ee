package trie

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// closest is ClosestMerkleValue of a trie that is there as a whole.
func (t *Trie) closest(key []byte) []byte {
	n, rest := t.root, unpack(nil, key)
	for top := true; n != nil; top = false {
		switch {
		case bytes.HasPrefix(n.partial, rest) && top:
			root := t.Root()
			return root[:]
		case bytes.HasPrefix(n.partial, rest):
			return n.merkleValue()
		case !bytes.HasPrefix(rest, n.partial):
			return nil
		}
		rest = rest[len(n.partial):]
		n, rest = n.child(rest[0]), rest[1:]
	}
	return nil
}

func TestClosestMerkleValue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		kv := make(map[string][]byte)
		for range rng.IntN(30) {
			key := make([]byte, 1+rng.IntN(4))
			for i := range key {
				key[i] = byte(rng.IntN(3)) * 0x11 // few nibbles, so that keys share much
			}
			kv[string(key)] = bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(50))
		}
		tr := From(V1, kv)
		for range 20 {
			key := make([]byte, rng.IntN(5))
			for i := range key {
				key[i] = byte(rng.IntN(3)) * 0x11
			}
			p, err := NewProof(tr.Root(), tr.Prove(key))
			if err != nil {
				t.Fatal(err)
			}
			below := false
			for k := range kv {
				below = below || strings.HasPrefix(k, string(key))
			}
			got, o, err := p.ClosestMerkleValue(key)
			if want := tr.closest(key); err != nil || !bytes.Equal(got, want) || (o == Present) != below || o == Incomplete {
				t.Fatalf("%x of %d keys: %x, %v, %v; want %x", key, len(kv), got, o, err, want)
			}
			if !below {
				continue
			}
			// It tells of a change below.
			for k := range kv {
				if strings.HasPrefix(k, string(key)) {
					other := tr.Put([]byte(k), append(bytes.Clone(kv[k]), 1))
					q, err := NewProof(other.Root(), other.Prove(key))
					if err != nil {
						t.Fatal(err)
					}
					if again, _, _ := q.ClosestMerkleValue(key); bytes.Equal(again, got) {
						t.Fatalf("%x: %x has changed, and nothing tells", key, k)
					}
					break
				}
			}
			// Without the last entry of the path it is the same, or undecided, and never another.
			nodes := tr.Prove(key)
			if q, err := NewProof(tr.Root(), nodes[:len(nodes)-1]); err == nil {
				if short, o, err := q.ClosestMerkleValue(key); err != nil || o == Absent || o == Present && !bytes.Equal(short, got) {
					t.Fatalf("%x, a proof that is short: %x, %v, %v", key, short, o, err)
				}
			}
		}
	}
}
