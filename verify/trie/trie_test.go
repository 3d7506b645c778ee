package trie

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
)

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := verify.ParseHex(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustHash(t testing.TB, s string) verify.Hash {
	t.Helper()
	h, err := verify.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// fromHex returns kv with its keys as bytes.
func fromHex(kv map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range kv {
		out[string(unhex(k))] = v
	}
	return out
}

func TestEmptyRoot(t *testing.T) {
	if h := verify.Blake2b256([]byte{0}); h != EmptyRoot {
		t.Errorf("EmptyRoot is not the hash of 0x00: %s", h)
	}
	for _, v := range []Version{V0, V1} {
		if h := New(v).Root(); h != EmptyRoot {
			t.Errorf("V%d: root of the empty trie is %s", v, h)
		}
	}
	if h := OrderedRoot(nil); h != EmptyRoot {
		t.Errorf("ordered root of nothing is %s", h)
	}
	if h := Root(V1, nil); h != EmptyRoot {
		t.Errorf("root of nothing is %s", h)
	}
}

// TestNodesByHand: encodings worked out with pencil and paper from the specification.
func TestNodesByHand(t *testing.T) {
	long := strings.Repeat("61", 33)
	hash := verify.Blake2b256(bytes.Repeat([]byte{0x61}, 33))
	for _, c := range []struct {
		name    string
		version Version
		kv      [][2]string
		root    string
	}{
		{"one leaf", V0, [][2]string{{"aa", "bb"}}, "42 aa 04 bb"},
		{"empty key and value", V1, [][2]string{{"", ""}}, "40 00"},
		{"branch, inline leaves", V0, [][2]string{{"48", "fe"}, {"4a", "ff"}},
			"81 04 0005 0c 40 04 fe 0c 40 04 ff"},
		{"branch with a value", V0, [][2]string{{"48", "fe"}, {"4819", "01"}},
			"c2 48 0200 04 fe 10 41 09 04 01"},
		{"62 nibbles", V0, [][2]string{{strings.Repeat("12", 31), "ff"}}, "7e" + strings.Repeat("12", 31) + "04ff"},
		{"64 nibbles", V0, [][2]string{{strings.Repeat("12", 32), "ff"}}, "7f01" + strings.Repeat("12", 32) + "04ff"},
		{"63+255 nibbles", V0, [][2]string{{strings.Repeat("12", 159), "ff"}}, "7fff00" + strings.Repeat("12", 159) + "04ff"},
		{"long value in version 0", V0, [][2]string{{"aa", long}}, "42 aa 84" + long},
		{"long value in version 1", V1, [][2]string{{"aa", long}}, "22 aa" + tohex(hash[:])},
		{"value of 32 bytes", V1, [][2]string{{"aa", long[2:]}}, "42 aa 80" + long[2:]},
		{"branch with a long value", V1, [][2]string{{"aa", long}, {"aab1", "07"}},
			"12 aa 0008" + tohex(hash[:]) + "10 41 01 04 07"},
		{"32 nibbles before a long value", V1, [][2]string{{strings.Repeat("12", 16), long}}, "3f01" + strings.Repeat("12", 16) + tohex(hash[:])},
	} {
		want := mustHex(t, strings.ReplaceAll(c.root, " ", ""))
		tr := New(c.version)
		for _, kv := range c.kv {
			tr = tr.Put(mustHex(t, kv[0]), mustHex(t, kv[1]))
		}
		if got := tr.root.encode(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", c.name, got, want)
		}
		if tr.Root() != verify.Blake2b256(want) {
			t.Errorf("%s: root %s", c.name, tr.Root())
		}
		if _, err := decoded(want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestGenesisStateRoot: the test network's genesis, :code by its hash.
func TestGenesisStateRoot(t *testing.T) {
	var g struct {
		StateRoot verify.Hash       `json:"state_root"`
		CodeHash  verify.Hash       `json:"code_hash"`
		Top       map[string]string `json:"top"`
	}
	readJSON(t, "testdata/testfinney-genesis.json", &g)
	tr := New(V1)
	for k, v := range g.Top {
		tr = tr.Put(mustHex(t, k), mustHex(t, v))
	}
	root, _ := put(tr.root, unpack(nil, []byte(":code")), &value{hash: g.CodeHash, hashed: true})
	tr = tr.with(root, 1)
	if tr.Len() != 46 {
		t.Errorf("%d keys, want 46", tr.Len())
	}
	if got := tr.Root(); got != g.StateRoot {
		t.Errorf("root %s, want %s", got, g.StateRoot)
	}
}

// TestGenesisStateRootWhole is the same from the chain spec itself.
func TestGenesisStateRootWhole(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: no chain spec")
	}
	var spec struct {
		Genesis struct {
			Raw struct{ Top map[string]string }
		}
	}
	readJSON(t, filepath.Join(dir, "chain", "raw_spec_testfinney.json"), &spec)
	kv := map[string][]byte{}
	for k, v := range spec.Genesis.Raw.Top {
		kv[string(mustHex(t, k))] = mustHex(t, v)
	}
	if len(kv) != 46 {
		t.Errorf("%d keys, want 46", len(kv))
	}
	want := mustHash(t, "c15439f31626cd90c778831721bb9d0166da302321918887d381829d8c13763f")
	if got := Root(V1, kv); got != want {
		t.Errorf("root %s, want %s", got, want)
	}
	if Root(V0, kv) == want {
		t.Error("version 0 gives the same root")
	}
}

func TestExtrinsicsRoot(t *testing.T) {
	var b struct {
		ExtrinsicsRoot verify.Hash `json:"extrinsics_root"`
		Extrinsics     []string
	}
	readJSON(t, "testdata/finney-9178000-extrinsics.json", &b)
	items := make([][]byte, len(b.Extrinsics))
	for i, x := range b.Extrinsics {
		items[i] = mustHex(t, x)
	}
	if len(items) != 17 {
		t.Fatalf("%d extrinsics, want 17", len(items))
	}
	if got := OrderedRoot(items); got != b.ExtrinsicsRoot {
		t.Errorf("root %s, want %s", got, b.ExtrinsicsRoot)
	}
	items[3][5] ^= 1
	if OrderedRoot(items) == b.ExtrinsicsRoot {
		t.Error("a changed extrinsic gives the same root")
	}
}

// TestOrderedRootKeys: indices of one, two and four bytes.
func TestOrderedRootKeys(t *testing.T) {
	for _, n := range []int{1, 2, 63, 64, 65, 300, 16385} {
		kv := map[string][]byte{}
		items := make([][]byte, n)
		for i := range items {
			items[i] = bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1+i%40)
			kv[tohex(refCompact(i))] = items[i]
		}
		if got, want := OrderedRoot(items), buildRef(0, kv).root; got != want {
			t.Errorf("%d items: root %s, want %x", n, got, want)
		}
	}
}

// TestTrieAgainstMap puts and deletes at random, and compares every version with a map and the reference.
func TestTrieAgainstMap(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		version := Version(seed % 2)
		tr, kv := New(version), map[string][]byte{}
		type past struct {
			tr   *Trie
			kv   map[string][]byte
			root verify.Hash
		}
		var history []past
		for range 150 {
			var key string
			known := slices.Sorted(maps.Keys(kv))
			if len(known) > 0 && rng.IntN(2) == 0 {
				key = known[rng.IntN(len(known))]
			} else {
				key = randomKey(rng)
			}
			before := tr
			if rng.IntN(5) < 2 {
				_, had := kv[key]
				delete(kv, key)
				tr = tr.Delete(unhex(key))
				if (tr == before) == had {
					t.Fatalf("seed %d: Delete of a key that is there (%v) returned the same trie: %v", seed, had, tr == before)
				}
			} else {
				v := randomBytes(rng, rng.IntN(70))
				old, had := kv[key]
				same := had && bytes.Equal(old, v)
				kv[key] = v
				tr = tr.Put(unhex(key), v)
				if (tr == before) != same {
					t.Fatalf("seed %d: Put of what is there (%v) returned the same trie: %v", seed, same, tr == before)
				}
			}
			if tr.Len() != len(kv) {
				t.Fatalf("seed %d: Len %d, want %d", seed, tr.Len(), len(kv))
			}
			// Not every version is hashed, so that Put and Delete meet nodes without a hash.
			if rng.IntN(3) == 0 {
				ref := buildRef(int(version), kv)
				if tr.Root() != ref.root {
					t.Fatalf("seed %d: root %s, want %x", seed, tr.Root(), ref.root)
				}
				history = append(history, past{tr, maps.Clone(kv), ref.root})
			}
		}
		for _, p := range history {
			if p.tr.Root() != p.root {
				t.Fatalf("seed %d: an old version has changed its root", seed)
			}
			for k, v := range p.kv {
				if got, ok := p.tr.Get(unhex(k)); !ok || !bytes.Equal(got, v) {
					t.Fatalf("seed %d: Get(%s) of an old version: %x, %v", seed, k, got, ok)
				}
			}
			for range 20 {
				k := randomKey(rng)
				_, want := p.kv[k]
				if got, ok := p.tr.Get(unhex(k)); ok != want || ok && !bytes.Equal(got, p.kv[k]) {
					t.Fatalf("seed %d: Get(%s): %x, %v", seed, k, got, ok)
				}
			}
			checkOrder(t, rng, p.tr, p.kv)
		}
	}
}

// checkOrder compares Range, Keys and Next with the sorted map.
func checkOrder(t *testing.T, rng *rand.Rand, tr *Trie, kv map[string][]byte) {
	t.Helper()
	sorted := slices.Sorted(maps.Keys(kv))
	for range 10 {
		prefix, from := randomKey(rng), randomKey(rng)
		if len(sorted) > 0 && rng.IntN(2) == 0 {
			prefix = sorted[rng.IntN(len(sorted))]
			prefix = prefix[:rng.IntN(len(prefix)/2+1)*2]
		}
		if len(sorted) > 0 && rng.IntN(2) == 0 {
			from = sorted[rng.IntN(len(sorted))]
		}
		limit := rng.IntN(6)
		var under []string
		for _, k := range sorted {
			if strings.HasPrefix(k, prefix) {
				under = append(under, k)
			}
		}
		var got []string
		tr.Range(unhex(prefix), func(k, v []byte) bool {
			if !bytes.Equal(kv[tohex(k)], v) {
				t.Fatalf("Range: value of %x is %x", k, v)
			}
			got = append(got, tohex(k))
			return true
		})
		if !slices.Equal(got, under) {
			t.Fatalf("Range(%s): %v, want %v", prefix, got, under)
		}
		if got, want := hexes(tr.Keys(unhex(prefix), nil, limit)), page(under, "", false, limit); !slices.Equal(got, want) {
			t.Fatalf("Keys(%s, nil, %d): %v, want %v", prefix, limit, got, want)
		}
		if got, want := hexes(tr.Keys(unhex(prefix), notNil(unhex(from)), limit)), page(under, from, true, limit); !slices.Equal(got, want) {
			t.Fatalf("Keys(%s, %s, %d): %v, want %v", prefix, from, limit, got, want)
		}
		next, ok := tr.Next(unhex(from))
		after := page(sorted, from, true, 1)
		if ok != (len(after) == 1) || ok && tohex(next) != after[0] {
			t.Fatalf("Next(%s): %x, %v, want %v", from, next, ok, after)
		}
	}
}

// page returns limit of the sorted keys, those above from if after is set.
func page(sorted []string, from string, after bool, limit int) []string {
	var out []string
	for _, k := range sorted {
		if (!after || k > from) && (limit <= 0 || len(out) < limit) {
			out = append(out, k)
		}
	}
	return out
}

func hexes(keys [][]byte) []string {
	var out []string
	for _, k := range keys {
		out = append(out, tohex(k))
	}
	return out
}

func notNil(b []byte) []byte { return append([]byte{}, b...) }

// TestPutCopies: the caller may go on using its slices.
func TestPutCopies(t *testing.T) {
	key, val := []byte("key"), bytes.Repeat([]byte{7}, 40)
	tr := New(V1).Put(key, val).Put([]byte("kez"), val)
	key[0], val[0] = 'x', 0
	if got, ok := tr.Get([]byte("key")); !ok || got[0] != 7 {
		t.Errorf("Get: %x, %v", got, ok)
	}
	want := buildRef(1, map[string][]byte{tohex([]byte("key")): bytes.Repeat([]byte{7}, 40), tohex([]byte("kez")): bytes.Repeat([]byte{7}, 40)})
	if tr.Root() != want.root {
		t.Errorf("root %s, want %x", tr.Root(), want.root)
	}
}

// TestMixedVersions: after the move to version 1, what is not written again keeps its value inline, and
// a proof holds nodes of both kinds.
func TestMixedVersions(t *testing.T) {
	val := bytes.Repeat([]byte{9}, 50)
	old := New(V0).Put([]byte("a"), val).Put([]byte("b"), val)
	mixed := old.WithVersion(V1).Put([]byte("c"), val)
	if mixed.Version() != V1 || old.Version() != V0 {
		t.Error("versions")
	}
	nodes := mixed.Prove([]byte("a"), []byte("c"))
	p, err := NewProof(mixed.Root(), nodes)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "c"} {
		if got, o, err := p.Get([]byte(k)); o != Present || err != nil || !bytes.Equal(got, val) {
			t.Errorf("Get(%s): %x, %v, %v", k, got, o, err)
		}
	}
	again := mixed.Put([]byte("a"), val).Put([]byte("b"), val)
	if want := New(V1).Put([]byte("a"), val).Put([]byte("b"), val).Put([]byte("c"), val).Root(); again.Root() != want {
		t.Errorf("rewritten: root %s, want %s", again.Root(), want)
	}
	if mixed.Root() == again.Root() {
		t.Error("version 0 nodes were rewritten without being put")
	}
}

// TestHugeKey: no panic where the length field of the encoding ends.
func TestHugeKey(t *testing.T) {
	key := make([]byte, 40_000)
	tr := New(V1).Put(key, []byte{1})
	tr.Root()
	if got, ok := tr.Get(key); !ok || got[0] != 1 {
		t.Errorf("Get: %x, %v", got, ok)
	}
	if tr := tr.Delete(key); tr.Root() != EmptyRoot {
		t.Error("not empty after Delete")
	}
}
