package trie

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkEnumeration compares Next, Prefix and MissingKeys with the keys that the reference finds in the same
// entries, and where it finds entries missing.
func checkEnumeration(t *testing.T, rng *rand.Rand, p *Proof, part refTrie, truth []string) {
	t.Helper()
	known, missing, ok := part.keys()
	if !ok {
		t.Fatal("the reference trie is malformed")
	}
	for range 30 {
		prefix, from := randomKey(rng), randomKey(rng)
		if len(truth) > 0 && rng.IntN(3) > 0 {
			prefix = truth[rng.IntN(len(truth))]
			prefix = prefix[:rng.IntN(len(prefix)/2+1)*2]
		}
		if len(truth) > 0 && rng.IntN(3) > 0 {
			from = truth[rng.IntN(len(truth))]
		}
		after := rng.IntN(2) == 0
		limit := rng.IntN(8)

		// The first missing entry below which there may be a key that is asked for.
		gap := ""
		gaps := 0
		for _, m := range missing {
			n := min(len(m), len(prefix))
			if m[:n] != prefix[:n] {
				continue
			}
			if n := min(len(m), len(from)); after && m[:n] < from[:n] {
				continue
			}
			if gaps++; gaps == 1 {
				gap = m
			}
		}
		var want []string
		o := Absent
		for _, k := range known {
			if !strings.HasPrefix(k, prefix) || after && k <= from || gaps > 0 && k > gap {
				continue
			}
			if limit > 0 && len(want) == limit {
				break
			}
			want = append(want, k)
			o = Present
		}
		if gaps > 0 && (limit == 0 || len(want) < limit) {
			o = Incomplete
		}
		var start []byte
		if after {
			start = notNil(unhex(from))
		}
		keys, got, err := p.Prefix(unhex(prefix), start, limit)
		if err != nil || got != o || !slices.Equal(hexes(keys), want) {
			t.Fatalf("Prefix(%s, %s/%v, %d): %v, %v, %v, want %v, %v", prefix, from, after, limit, hexes(keys), got, err, want, o)
		}
		hints, err := p.MissingKeys(unhex(prefix), start, 0)
		if err != nil || len(hints) != gaps {
			t.Fatalf("MissingKeys(%s, %s/%v): %x, %v, want %d", prefix, from, after, hints, err, gaps)
		}
		for _, h := range hints {
			if !strings.HasPrefix(tohex(h), prefix) {
				t.Fatalf("MissingKeys(%s): %x", prefix, h)
			}
			if _, o, _ := p.Get(h); o != Incomplete {
				t.Fatalf("MissingKeys(%s): %x is %v already", prefix, h, o)
			}
		}
		if some, err := p.MissingKeys(unhex(prefix), start, 1); err != nil || len(some) != min(1, gaps) {
			t.Fatalf("MissingKeys(%s, limit 1): %x, %v", prefix, some, err)
		}

		next, no, err := p.Next(unhex(from))
		keys, o, err2 := p.Prefix(nil, notNil(unhex(from)), 1)
		if err != nil || err2 != nil || no != o || len(keys) == 1 != (next != nil) || len(keys) == 1 && !bytes.Equal(next, keys[0]) {
			t.Fatalf("Next(%s): %x, %v; Prefix: %x, %v", from, next, no, keys, o)
		}
		// And against the truth.
		above := page(truth, from, true, 1)
		if no == Present && (len(above) == 0 || tohex(next) != above[0]) || no == Absent && len(above) > 0 {
			t.Fatalf("Next(%s): %x, %v is false, want %v", from, next, no, above)
		}
	}
}

// TestEnumerateByAsking does what a light node does: ask for a prefix, then for what is missing, until all
// keys are there; then for their values.
func TestEnumerateByAsking(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		kv := randomState(rng, 200)
		tr := From(V1, fromHex(kv))
		sorted := slices.Sorted(maps.Keys(kv))
		prefix := sorted[rng.IntN(len(sorted))]
		prefix = prefix[:rng.IntN(len(prefix)/2+1)*2]
		p := mustProof(t, tr.Root(), nil)
		ask := [][]byte{unhex(prefix)}
		var want []string
		longest := 0
		for _, k := range sorted {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
				longest = max(longest, len(k))
			}
		}
		for round := 0; len(ask) > 0; round++ {
			if round > longest+1 {
				t.Fatalf("seed %d: not done after %d rounds", seed, round)
			}
			var err error
			if p, err = p.Extend(tr.Prove(ask...)); err != nil {
				t.Fatal(err)
			}
			if ask, err = p.MissingKeys(unhex(prefix), nil, 50); err != nil {
				t.Fatal(err)
			}
		}
		keys, o, err := p.Prefix(unhex(prefix), nil, 0)
		if o != Present || err != nil || !slices.Equal(hexes(keys), want) {
			t.Fatalf("seed %d: %v, %v, %v, want %v", seed, hexes(keys), o, err, want)
		}
		if p, err = p.Extend(tr.Prove(keys...)); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if v, o, err := p.Get(k); o != Present || err != nil || !bytes.Equal(v, kv[tohex(k)]) {
				t.Fatalf("seed %d: Get(%x): %x, %v, %v", seed, k, v, o, err)
			}
		}
	}
}
