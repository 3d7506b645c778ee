package trie

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMinimal: a minimal proof answers as the bigger one does, is what the trie itself proves, and lacks
// something as soon as any of its entries is taken away.
func TestMinimal(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 4))
		version := Version(seed % 2)
		kv := randomState(rng, 1+rng.IntN(60))
		ref := buildRef(int(version), kv)
		tr := From(version, fromHex(kv))
		all := mustProof(t, ref.root, ref.entries())
		sorted := slices.Sorted(maps.Keys(kv))

		var q Query
		pick := func() []byte {
			if rng.IntN(2) == 0 {
				return unhex(sorted[rng.IntN(len(sorted))])
			}
			return unhex(randomKey(rng))
		}
		for range rng.IntN(4) {
			q.Keys = append(q.Keys, pick())
		}
		if seed%3 > 0 {
			for range rng.IntN(3) {
				q.Next = append(q.Next, pick())
			}
			for range rng.IntN(3) {
				k := pick()
				q.Prefixes = append(q.Prefixes, k[:rng.IntN(len(k)+1)])
			}
		}
		lookups := len(q.Keys) + len(q.Next) + len(q.Prefixes)
		min, err := all.MinimalQuery(q)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if proven := tr.ProveQuery(q); !slices.EqualFunc(min, proven, bytes.Equal) {
			t.Fatalf("seed %d: cut\n%x\nproven\n%x", seed, min, proven)
		}
		if lookups == 0 {
			if min != nil {
				t.Fatalf("seed %d: entries for no lookup", seed)
			}
			continue
		}
		p := mustProof(t, ref.root, min)
		if err := p.CheckUsedQuery(q); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again, err := p.MinimalQuery(q)
		if err != nil || !slices.EqualFunc(min, again, bytes.Equal) {
			t.Fatalf("seed %d: minimal of minimal: %v", seed, err)
		}
		for _, k := range q.Keys {
			v, o, err := p.Get(k)
			want, ok := kv[tohex(k)]
			if err != nil || (o == Present) != ok || (o == Absent) == ok || !bytes.Equal(v, want) {
				t.Fatalf("seed %d: Get(%x): %x, %v, %v", seed, k, v, o, err)
			}
		}
		for i := range min {
			less := slices.Delete(slices.Clone(min), i, i+1)
			if _, err := mustProof(t, ref.root, less).MinimalQuery(q); !errors.Is(err, ErrIncomplete) {
				t.Fatalf("seed %d: entry %d of %d was not needed: %v", seed, i, len(min), err)
			}
		}
		if len(min) < all.Len() {
			if err := all.CheckUsedQuery(q); !errors.Is(err, ErrUnusedNode) {
				t.Fatalf("seed %d: %d of %d entries used: %v", seed, len(min), all.Len(), err)
			}
		}
		// Shuffled, and with lookups in another order and twice.
		entries := ref.entries()
		rng.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		slices.Reverse(q.Keys)
		slices.Reverse(q.Next)
		slices.Reverse(q.Prefixes)
		q.Keys = append(q.Keys, q.Keys...)
		again, err = mustProof(t, ref.root, entries).MinimalQuery(q)
		if err != nil || !slices.EqualFunc(min, again, bytes.Equal) {
			t.Fatalf("seed %d: minimal depends on the order: %v", seed, err)
		}
	}
}
