package trie

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
)

// FuzzNode: the decoder takes exactly what the reference takes, reads the same in it, and what it takes
// is the one encoding of that node.
func FuzzNode(f *testing.F) {
	_, _, nodes := auraProof(f)
	for _, n := range nodes {
		f.Add(n)
	}
	rng := rand.New(rand.NewPCG(1, 6))
	for version := range 2 {
		for _, n := range buildRef(version, randomState(rng, 30)).entries() {
			f.Add(n)
		}
	}
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decoded(b)
		var n refNode
		missing, bad := try(func() { n = decodeRef(b, true) })
		if missing || bad != (err != nil) {
			t.Fatalf("decodes: %v, the reference refuses: %v", err, bad)
		}
		if err != nil {
			return
		}
		if got := reencode(&v); !bytes.Equal(got, b) {
			t.Fatalf("encodes as %x", got)
		}
		partial := ""
		for i := range v.partial.n {
			partial += string("0123456789abcdef"[v.partial.at(i)])
		}
		if partial != n.partial || (v.kind != noValue) != n.hasValue || (v.kind == hashedValue) != n.hashed || !bytes.Equal(v.value, n.value) {
			t.Fatalf("%+v, the reference has %+v", v, n)
		}
		for c := range byte(16) {
			if want := n.children["0123456789abcdef"[c]]; !bytes.Equal(v.child(c), want) {
				t.Fatalf("child %x: %x, the reference has %x", c, v.child(c), want)
			}
		}
	})
}

// Nobody finds the preimage of a hash by fuzzing, so FuzzProof writes the hashes: 32 equal bytes 0x80+j in
// entry i < j stand for the hash of entry j. The first entry is the root.

func seal(list [][]byte) {
	for i := len(list) - 1; i >= 0; i-- {
		list[i] = bytes.Clone(list[i])
		for j := i + 1; j < len(list) && j < 128; j++ {
			h := verify.Blake2b256(list[j])
			list[i] = bytes.ReplaceAll(list[i], bytes.Repeat([]byte{0x80 + byte(j)}, 32), h[:])
		}
	}
}

// unseal is its inverse for entries of which none comes before one that points to it.
func unseal(list [][]byte) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i]
		for j := i + 1; j < len(list) && j < 128; j++ {
			h := verify.Blake2b256(list[j])
			out[i] = bytes.ReplaceAll(out[i], h[:], bytes.Repeat([]byte{0x80 + byte(j)}, 32))
		}
	}
	return out
}

// FuzzProof: whatever the answer to a lookup is, a slow walker of its own gives the same; and the minimal
// proof says what the whole one says.
func FuzzProof(f *testing.F) {
	root, key, nodes := auraProof(f)
	least, err := mustProof(f, root, nodes).Minimal(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendProof(nil, unseal(least)), key, key[:16])
	f.Add(AppendProof(nil, nodes), key, key[:16])
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		kv := fromHex(randomState(rng, 20))
		tr := From(Version(seed%2), kv)
		q := Query{Prefixes: [][]byte{nil}}
		var one string
		for k := range kv {
			q.Keys = append(q.Keys, []byte(k))
			one = max(one, k)
		}
		f.Add(AppendProof(nil, unseal(tr.ProveQuery(q))), []byte(one), []byte(one)[:len(one)/2])
	}
	mazeRoot, maze := maze(f, 2, true)
	least, err = mustProof(f, mazeRoot, maze).Minimal([]byte{0})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendProof(nil, unseal(least)), []byte{0}, []byte{})
	f.Fuzz(func(t *testing.T, enc, key, from []byte) {
		list, err := DecodeProof(enc)
		if err != nil {
			return
		}
		if again := AppendProof(nil, list); !bytes.Equal(again, enc) {
			t.Fatalf("encodes as %x", again)
		}
		if len(list) == 0 || len(list) > 128 {
			return
		}
		seal(list)
		root := verify.Blake2b256(list[0])
		p, err := NewProof(root, list)
		if err != nil {
			return
		}
		ref := refTrie{root, map[refHash][]byte{}}
		for _, e := range list {
			ref.db[verify.Blake2b256(e)] = e
		}
		var lookups [][]byte
		known, missing, sound := ref.keys()
		for i, k := range known {
			if i < 50 {
				lookups = append(lookups, unhex(k))
			}
		}
		for i := range key {
			lookups = append(lookups, key[:i])
		}
		for _, k := range append(lookups, key, from) {
			v, o, err := p.Get(k)
			want, wantO, bad := ref.get(tohex(k))
			if o != wantO || !bytes.Equal(v, want) || (err != nil) != bad {
				t.Fatalf("Get(%x): %x, %v, %v, the reference has %x, %v, %v", k, v, o, err, want, wantO, bad)
			}
			if h, ho, _ := p.ValueHash(k); o == Present && (ho != Present || h != verify.Blake2b256(v)) {
				t.Fatalf("ValueHash(%x): %s, %v", k, h, ho)
			}
		}

		prefix := key[:len(key)/2]
		keys, o, err := p.Prefix(prefix, from, 100)
		hints, hintsErr := p.MissingKeys(prefix, from, 100)
		if sound {
			if err != nil || hintsErr != nil {
				t.Fatalf("Prefix: %v, MissingKeys: %v", err, hintsErr)
			}
			gap := "g" // after every digit
			for _, m := range slices.Backward(missing) {
				n := min(len(m), len(prefix)*2)
				k := min(len(m), len(from)*2)
				if m[:n] == tohex(prefix)[:n] && (from == nil || m[:k] >= tohex(from)[:k]) {
					gap = m
				}
			}
			var want []string
			for _, k := range known {
				if strings.HasPrefix(k, tohex(prefix)) && (from == nil || k > tohex(from)) && k <= gap && len(want) < 100 {
					want = append(want, k)
				}
			}
			wantO := Absent
			switch {
			case gap != "g" && len(want) < 100:
				wantO = Incomplete
			case len(want) > 0:
				wantO = Present
			}
			if o != wantO || !slices.Equal(hexes(keys), want) {
				t.Fatalf("Prefix(%x, %x): %x, %v, want %v, %v (gap %s)", prefix, from, keys, o, want, wantO, gap)
			}
			if (len(hints) == 0) != (gap == "g") {
				t.Fatalf("MissingKeys(%x, %x): %x, gap %s", prefix, from, hints, gap)
			}
		}

		q := Query{Keys: [][]byte{key}, Next: [][]byte{from}}
		if min, err := p.MinimalQuery(q); err == nil {
			m, err := NewProof(root, min)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.CheckUsedQuery(q); err != nil && root != EmptyRoot {
				t.Fatal(err)
			}
			v1, o1, _ := p.Get(key)
			v2, o2, _ := m.Get(key)
			n1, p1, _ := p.Next(from)
			n2, p2, _ := m.Next(from)
			if o1 != o2 || p1 != p2 || o1 == Incomplete || p1 == Incomplete || !bytes.Equal(v1, v2) || !bytes.Equal(n1, n2) {
				t.Fatalf("minimal: %x %v %x %v, whole: %x %v %x %v", v2, o2, n2, p2, v1, o1, n1, p1)
			}
		}
		p.CheckUsed(key)
	})
}
