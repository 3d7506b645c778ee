package trie

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// readProof is the capture of Aura.Authorities.
type readProof struct {
	StateRoot verify.Hash `json:"state_root"`
	Key       string
	Proof     []string
}

func auraProof(t testing.TB) (root verify.Hash, key []byte, nodes [][]byte) {
	var c readProof
	readJSON(t, "testdata/finney-8867448-aura-readproof.json", &c)
	for _, n := range c.Proof {
		nodes = append(nodes, mustHex(t, n))
	}
	return c.StateRoot, mustHex(t, c.Key), nodes
}

func mustProof(t testing.TB, root verify.Hash, nodes [][]byte) *Proof {
	t.Helper()
	p, err := NewProof(root, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAuraReadProof(t *testing.T) {
	root, key, nodes := auraProof(t)
	p := mustProof(t, root, nodes)
	if p.Root() != root || p.Len() != 5 || p.Size() != len(bytes.Join(nodes, nil)) {
		t.Errorf("root %s, %d entries, %d bytes", p.Root(), p.Len(), p.Size())
	}
	value, o, err := p.Get(key)
	if o != Present || err != nil {
		t.Fatalf("Get: %v, %v", o, err)
	}
	// Vec<[u8; 32]> of 20 authorities.
	if len(value) != 641 || value[0] != 20<<2 {
		t.Errorf("%d bytes, beginning with %x", len(value), value[0])
	}
	if err := p.CheckUsed(key); err != nil {
		t.Error(err)
	}
	if h, o, err := p.ValueHash(key); h != verify.Blake2b256(value) || o != Present || err != nil {
		t.Errorf("ValueHash: %s, %v, %v", h, o, err)
	}

	// A neighbour that parts from the key inside the leaf is proven absent.
	absent := bytes.Clone(key)
	absent[31] ^= 1
	if v, o, err := p.Get(absent); v != nil || o != Absent || err != nil {
		t.Errorf("neighbour: %x, %v, %v", v, o, err)
	}
	// A key that leads out of the proof is not.
	elsewhere := bytes.Clone(key)
	elsewhere[0] ^= 0x10
	if v, o, err := p.Get(elsewhere); v != nil || o != Incomplete || err != nil {
		t.Errorf("elsewhere: %x, %v, %v", v, o, err)
	}

	// Without the value, the key is known to be there and its hash with it.
	var without [][]byte
	for _, n := range nodes {
		if len(n) != 641 {
			without = append(without, n)
		}
	}
	q := mustProof(t, root, without)
	if v, o, err := q.Get(key); v != nil || o != Incomplete || err != nil {
		t.Errorf("without the value: %x, %v, %v", v, o, err)
	}
	if h, o, err := q.ValueHash(key); h != verify.Blake2b256(value) || o != Present || err != nil {
		t.Errorf("ValueHash without the value: %s, %v, %v", h, o, err)
	}

	// Any order will do, and the minimal proof is the same from each.
	want, err := p.Minimal(key)
	if err != nil || len(want) != 5 {
		t.Fatalf("Minimal: %d entries, %v", len(want), err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		rng.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		got, err := mustProof(t, root, nodes).Minimal(key)
		if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("Minimal of another order: %v", err)
		}
	}
}

// TestAuraReadProofFlips flips every bit of the capture: nothing false comes out.
func TestAuraReadProofFlips(t *testing.T) {
	root, key, nodes := auraProof(t)
	good, _, _ := mustProof(t, root, nodes).Get(key)
	good = bytes.Clone(good)
	enc := AppendProof(nil, nodes)
	outcomes := map[Outcome]int{}
	refused := 0
	for i := range enc {
		for bit := range 8 {
			enc[i] ^= 1 << bit
			if list, err := DecodeProof(enc); err != nil {
				refused++
			} else if p, err := NewProof(root, list); err != nil {
				refused++
			} else {
				v, o, err := p.Get(key)
				outcomes[o]++
				if err != nil || v != nil || o != Incomplete {
					t.Fatalf("byte %d, bit %d: %x, %v, %v", i, bit, v, o, err)
				}
			}
			enc[i] ^= 1 << bit
		}
	}
	if outcomes[Incomplete] == 0 || refused == 0 {
		t.Errorf("outcomes %v, %d refused", outcomes, refused)
	}
	list, err := DecodeProof(enc)
	if err != nil {
		t.Fatal(err)
	}
	if v, o, err := mustProof(t, root, list).Get(key); o != Present || err != nil || !bytes.Equal(v, good) {
		t.Errorf("unchanged: %v, %v", o, err)
	}
	// Another root, too.
	root[7] ^= 4
	if v, o, err := mustProof(t, root, list).Get(key); v != nil || o != Incomplete || err != nil {
		t.Errorf("other root: %x, %v, %v", v, o, err)
	}
}

func TestEmptyTrieProof(t *testing.T) {
	for name, nodes := range map[string][][]byte{"no entry": nil, "the empty node": {{0}}} {
		p := mustProof(t, EmptyRoot, nodes)
		if v, o, err := p.Get([]byte("key")); v != nil || o != Absent || err != nil {
			t.Errorf("%s: Get: %x, %v, %v", name, v, o, err)
		}
		if v, o, err := p.Get(nil); v != nil || o != Absent || err != nil {
			t.Errorf("%s: Get of the empty key: %x, %v, %v", name, v, o, err)
		}
		if k, o, err := p.Next(nil); k != nil || o != Absent || err != nil {
			t.Errorf("%s: Next: %x, %v, %v", name, k, o, err)
		}
		if k, o, err := p.Prefix(nil, nil, 0); k != nil || o != Absent || err != nil {
			t.Errorf("%s: Prefix: %x, %v, %v", name, k, o, err)
		}
		if k, err := p.MissingKeys(nil, nil, 0); k != nil || err != nil {
			t.Errorf("%s: MissingKeys: %x, %v", name, k, err)
		}
		min, err := p.Minimal([]byte("key"))
		if err != nil || len(min) != 1 || !bytes.Equal(min[0], []byte{0}) {
			t.Errorf("%s: Minimal: %x, %v", name, min, err)
		}
		if err := p.CheckUsed([]byte("key")); err != nil {
			t.Errorf("%s: CheckUsed: %v", name, err)
		}
	}
	if got := New(V1).Prove([]byte("key")); len(got) != 1 || !bytes.Equal(got[0], []byte{0}) {
		t.Errorf("Prove: %x", got)
	}
}

// TestNothingKnown: a list without the root node is a proof of nothing.
func TestNothingKnown(t *testing.T) {
	root, key, nodes := auraProof(t)
	for _, nodes := range [][][]byte{nil, nodes[:3]} {
		p := mustProof(t, root, nodes)
		if v, o, err := p.Get(key); v != nil || o != Incomplete || err != nil {
			t.Errorf("Get: %x, %v, %v", v, o, err)
		}
		if _, o, err := p.ValueHash(key); o != Incomplete || err != nil {
			t.Errorf("ValueHash: %v, %v", o, err)
		}
		if k, o, err := p.Next(key); k != nil || o != Incomplete || err != nil {
			t.Errorf("Next: %x, %v, %v", k, o, err)
		}
		if k, o, err := p.Prefix(key, nil, 0); k != nil || o != Incomplete || err != nil {
			t.Errorf("Prefix: %x, %v, %v", k, o, err)
		}
		if k, err := p.MissingKeys(key, nil, 0); len(k) != 1 || !bytes.Equal(k[0], key) || err != nil {
			t.Errorf("MissingKeys: %x, %v", k, err)
		}
		if _, err := p.Minimal(key); !errors.Is(err, ErrIncomplete) {
			t.Errorf("Minimal: %v", err)
		}
		if min, err := p.Minimal(); min != nil || err != nil {
			t.Errorf("Minimal of nothing: %x, %v", min, err)
		}
	}
}

func TestNewProofRefuses(t *testing.T) {
	root, _, nodes := auraProof(t)
	big := make([]byte, MaxProofSize)
	colliding := collidingEntries(maxChain + 1)
	for _, c := range []struct {
		name  string
		nodes [][]byte
		err   error
		place string
	}{
		{"duplicate", append(slices.Clone(nodes), nodes[2]), ErrDuplicateNode, "entry 5"},
		{"empty entry", append(slices.Clone(nodes), nil), ErrEntry, "entry 5"},
		{"small entry", append(slices.Clone(nodes), make([]byte, 31)), ErrEntry, "entry 5"},
		{"the empty node under another root", append(slices.Clone(nodes), []byte{0}), ErrEntry, "entry 5"},
		{"too many bytes", [][]byte{nodes[0], big}, ErrLimit, "entry 1"},
		{"many tiny entries", make([][]byte, 1<<20), ErrEntry, ""},
		{"entries made to collide in the index", colliding, ErrLimit, "entry 64"},
	} {
		p, err := NewProof(root, c.nodes)
		if p != nil || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: %v, want %v at %q", c.name, err, c.err, c.place)
		}
	}
	if _, err := NewProof(root, append(slices.Clone(nodes), make([]byte, 32))); err != nil {
		t.Errorf("32 bytes: %v", err)
	}
}

// collidingEntries returns n entries that all fall into the first of n buckets of the index.
func collidingEntries(n int) [][]byte {
	var out [][]byte
	for i := uint64(0); len(out) < n; i++ {
		e := binary.LittleEndian.AppendUint64(make([]byte, 24), i)
		if h := verify.Blake2b256(e); uint64(binary.LittleEndian.Uint32(h[:]))*uint64(n)>>32 == 0 {
			out = append(out, e)
		}
	}
	return out
}

func TestDecodeProof(t *testing.T) {
	_, _, nodes := auraProof(t)
	enc := AppendProof([]byte("before"), nodes)[6:]
	got, err := DecodeProof(enc)
	if err != nil || !slices.EqualFunc(got, nodes, bytes.Equal) {
		t.Fatalf("round trip: %v", err)
	}
	if got, err := DecodeProof([]byte{0}); len(got) != 0 || err != nil {
		t.Errorf("empty list: %x, %v", got, err)
	}
	if got, err := DecodeProof([]byte{4, 4, 0}); len(got) != 1 || err != nil {
		t.Errorf("the empty node: %x, %v", got, err)
	}
	for _, c := range []struct {
		name string
		in   []byte
		err  error
	}{
		{"nothing", nil, scale.ErrShort},
		{"cut", enc[:len(enc)-1], scale.ErrShort},
		{"trailing", append(slices.Clone(enc), 0), scale.ErrTrailing},
		{"count not in shortest form", []byte{1, 0}, scale.ErrNonCanonical},
		{"count of 2^62", []byte{0x13, 0, 0, 0, 0, 0, 0, 0, 0x40}, scale.ErrShort},
		{"length above the input", append([]byte{4, 0xfd, 0xff}, make([]byte, 99)...), scale.ErrShort},
		{"tiny entries", append([]byte{0x91, 1}, bytes.Repeat([]byte{0}, 100)...), ErrEntry},
		{"too large", make([]byte, MaxProofSize+1), ErrLimit},
	} {
		if _, err := DecodeProof(c.in); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}

// TestProofAgainstReference draws proofs at random from random tries, and compares every answer with
// that of the reference for the same entries.
func TestProofAgainstReference(t *testing.T) {
	outcomes := map[Outcome]int{}
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 2))
		version := int(seed % 2)
		kv := randomState(rng, rng.IntN(60))
		ref := buildRef(version, kv)
		entries := ref.entries()
		rng.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		keep := 1 + rng.IntN(8)
		if keep < 8 {
			entries = slices.DeleteFunc(entries, func([]byte) bool { return rng.IntN(8) >= keep })
		}
		part := refTrie{ref.root, map[refHash][]byte{}}
		for _, e := range entries {
			part.db[verify.Blake2b256(e)] = e
		}
		if len(kv) == 0 {
			part.db[ref.root] = []byte{0}
		}
		p := mustProof(t, ref.root, entries)
		sorted := slices.Sorted(maps.Keys(kv))
		queries := slices.Clone(sorted)
		for range 40 {
			queries = append(queries, randomKey(rng))
		}
		for _, k := range queries {
			v, o, err := p.Get(unhex(k))
			wantV, want, bad := part.get(k)
			if err != nil || bad || o != want || !bytes.Equal(v, wantV) {
				t.Fatalf("seed %d: Get(%s): %x, %v, %v, want %x, %v", seed, k, v, o, err, wantV, want)
			}
			outcomes[o]++
			// And against the truth.
			if truth, ok := kv[k]; o == Present && (!ok || !bytes.Equal(v, truth)) || o == Absent && ok {
				t.Fatalf("seed %d: Get(%s): %x, %v is false", seed, k, v, o)
			}
			h, ho, err := p.ValueHash(unhex(k))
			if err != nil || o == Present && (ho != Present || h != verify.Blake2b256(v)) || ho == Absent != (o == Absent) ||
				ho == Present && h != verify.Blake2b256(kv[k]) {
				t.Fatalf("seed %d: ValueHash(%s): %s, %v, %v", seed, k, h, ho, err)
			}
		}
		keys := make([][]byte, len(queries))
		if seed%3 > 0 {
			slices.Sort(queries)
		}
		for i, k := range queries {
			keys[i] = unhex(k)
		}
		answers, err := p.GetAll(keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			if v, o, _ := p.Get(keys[i]); a.Outcome != o || !bytes.Equal(a.Value, v) {
				t.Fatalf("seed %d: GetAll(%s): %v, Get: %v", seed, queries[i], a, o)
			}
		}
		checkEnumeration(t, rng, p, part, sorted)
	}
	for _, o := range []Outcome{Incomplete, Absent, Present} {
		if outcomes[o] < 500 {
			t.Errorf("only %d lookups were %v", outcomes[o], o)
		}
	}
}

func TestExtend(t *testing.T) {
	root, key, nodes := auraProof(t)
	p := mustProof(t, root, nodes[:2])
	q, err := p.Extend(nodes[1:])
	if err != nil || q.Len() != 5 || p.Len() != 2 {
		t.Fatalf("%d and %d entries, %v", q.Len(), p.Len(), err)
	}
	if _, o, err := q.Get(key); o != Present || err != nil {
		t.Errorf("Get: %v, %v", o, err)
	}
	if _, o, _ := p.Get(key); o != Incomplete {
		t.Errorf("the smaller proof: %v", o)
	}
	if _, err := p.Extend([][]byte{nodes[3], nodes[3]}); !errors.Is(err, ErrDuplicateNode) {
		t.Errorf("duplicate: %v", err)
	}
	a, b := make([]byte, MaxProofSize/2), bytes.Repeat([]byte{1}, MaxProofSize/2)
	if p, err = NewProof(root, [][]byte{a, b}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Extend(nodes); !errors.Is(err, ErrLimit) {
		t.Errorf("too large: %v", err)
	}
}
