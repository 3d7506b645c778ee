package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// proofs compares reading a storage proof with hashing the same bytes once, which nothing that
// verifies a proof can do without.
func proofs() ([]row, error) {
	var rows []row
	for _, c := range []struct {
		name string
		read int // of the 256 entries of one map, how many are read
	}{
		{"one map of 256 entries", 256},
		{"16 scattered keys", 16},
	} {
		state, keys := state()
		step := len(keys) / c.read
		var read [][]byte
		for i := 0; i < len(keys); i += step {
			read = append(read, keys[i])
		}
		slices.SortFunc(read, bytes.Compare)
		root := state.Root()
		nodes := state.Prove(read...)
		proof := trie.AppendProof(nil, nodes)
		check := func() error {
			nodes, err := trie.DecodeProof(proof)
			if err != nil {
				return err
			}
			p, err := trie.NewProof(root, nodes)
			if err != nil {
				return err
			}
			answers, err := p.GetAll(read)
			if err != nil {
				return err
			}
			for i, a := range answers {
				if a.Outcome != trie.Present {
					return fmt.Errorf("%x: %v", read[i], a.Outcome)
				}
			}
			return nil
		}
		if err := check(); err != nil {
			return nil, err
		}
		t := race(
			func() { must(check()) },
			func() { verify.Blake2b256(proof) },
			func() {
				for _, n := range nodes {
					verify.Blake2b256(n)
				}
			})
		ratio := float64(t[1]) / float64(t[0])
		speed := func(i int) float64 { return float64(len(proof)) / 1e6 / t[i].Seconds() }
		rows = append(rows, row{
			figure: "proof decode and lookup, MB/s / blake2b-256: " + c.name, budget: "≥ 0.40",
			measured: fmt.Sprintf("%.2f  (%.0f, %.0f MB/s; node by node %.0f; %d bytes)", ratio, speed(0), speed(1), speed(2), len(proof)),
			ok:       ratio >= 0.4,
		})
	}
	return rows, nil
}

// state returns a state of some ten thousand entries laid out as the chain's are (a prefix per
// pallet and item, then a hashed key), and the keys of one map in it with values of 300 bytes, about
// what an axon and a neuron's row take together.
func state() (*trie.Trie, [][]byte) {
	t := trie.New(trie.V1)
	entry := func(item, i int) []byte {
		prefix := verify.Blake2b256(binary.LittleEndian.AppendUint32([]byte("item"), uint32(item)))
		key := binary.LittleEndian.AppendUint32(nil, uint32(i))
		hash := verify.Blake2b256(key)
		return append(append(append([]byte{}, prefix[:]...), hash[:16]...), key...)
	}
	value := func(i, n int) (v []byte) {
		for ; len(v) < n; i++ {
			h := verify.Blake2b256(binary.LittleEndian.AppendUint32([]byte("value"), uint32(i)))
			v = append(v, h[:]...)
		}
		return v[:n]
	}
	for item := range 40 {
		for i := range 256 {
			t = t.Put(entry(item, i), value(item*1000+i, 8+item))
		}
	}
	var keys [][]byte
	for i := range 256 {
		k := entry(100, i)
		keys = append(keys, k)
		t = t.Put(k, value(1_000_000+i*100, 300))
	}
	return t, keys
}
