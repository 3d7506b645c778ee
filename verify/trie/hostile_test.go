package trie

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// crafted makes nodes that point to each other, and so a root that commits to anything.
type crafted struct{ entries [][]byte }

// add adds an entry and returns its hash in hex.
func (c *crafted) add(entry []byte) string {
	c.entries = append(c.entries, entry)
	h := verify.Blake2b256(entry)
	return tohex(h[:])
}

func (c *crafted) addHex(t testing.TB, s string) string {
	t.Helper()
	return c.add(mustHex(t, strings.ReplaceAll(s, " ", "")))
}

// TestHostileProofs: what a root can commit to that no honest state holds, and what is merely unusual.
func TestHostileProofs(t *testing.T) {
	long := strings.Repeat("77", 40)
	for _, c := range []struct {
		name  string
		build func(c *crafted) (root string)
		key   string
		want  Outcome
		err   error
		place string
	}{
		{"leaf mismatch", func(c *crafted) string { return c.addHex(t, "44 1234 04 aa") }, "1235", Absent, nil, ""},
		{"leaf longer than the key", func(c *crafted) string { return c.addHex(t, "44 1234 04 aa") }, "12", Absent, nil, ""},
		{"key longer than the leaf", func(c *crafted) string { return c.addHex(t, "44 1234 04 aa") }, "123456", Absent, nil, ""},
		{"branch mismatch", func(c *crafted) string { return c.addHex(t, "82 12 0300 0c 4104 00 0c 4105 00") }, "1304", Absent, nil, ""},
		{"branch without value at the key", func(c *crafted) string { return c.addHex(t, "82 12 0300 0c 4104 00 0c 4105 00") }, "12", Absent, nil, ""},
		{"child bit clear", func(c *crafted) string { return c.addHex(t, "82 12 0300 0c 4104 00 0c 4105 00") }, "1224", Absent, nil, ""},
		{"inline child", func(c *crafted) string { return c.addHex(t, "82 12 0300 0c 4104 00 0c 4105 00") }, "1204", Present, nil, ""},
		{"hash-less chain of inline children", func(c *crafted) string {
			return c.addHex(t, "c0 0100 00 44 c0 0100 00 30 c0 0100 00 1c c0 0100 00 08 4000")
		}, "0000", Present, nil, ""},
		{"malformed root", func(c *crafted) string { return c.addHex(t, "80 0000") }, "12", Incomplete, ErrNode, "entry 0"},
		{"malformed child", func(c *crafted) string {
			return c.addHex(t, "80 0300 80"+c.addHex(t, "20"+long)+"08 4000")
		}, "01", Incomplete, ErrNode, "entry 0"},
		{"malformed child, elsewhere", func(c *crafted) string {
			return c.addHex(t, "80 0300 80"+c.addHex(t, "20"+long)+"08 4000")
		}, "12", Absent, nil, ""},
		{"the empty node by its hash", func(c *crafted) string {
			return c.addHex(t, "80 0300 80"+tohex(EmptyRoot[:])+"08 4000")
		}, "01", Incomplete, nil, ""},
		{"a value that is a node is no node", func(c *crafted) string {
			leaf := c.addHex(t, "41 01 a0"+long)
			return c.addHex(t, "22 10"+leaf)
		}, "1001", Absent, nil, ""},
		{"a value that is a node, as a value", func(c *crafted) string {
			leaf := c.addHex(t, "41 01 a0"+long)
			return c.addHex(t, "22 10"+leaf)
		}, "10", Present, nil, ""},
		{"one entry as node and as value", func(c *crafted) string {
			leaf := c.addHex(t, "41 01 a0"+long)
			return c.addHex(t, "12 10 0100"+leaf+"80"+leaf)
		}, "1001", Present, nil, ""},
		{"value entry missing", func(c *crafted) string { return c.addHex(t, "22 10"+hash32) }, "10", Incomplete, nil, ""},
		{"value entry nobody asks for", func(c *crafted) string {
			return c.addHex(t, "12 10 0100"+c.addHex(t, long)+"0c 4101 00")
		}, "1001", Present, nil, ""},
		{"stray entry", func(c *crafted) string { c.addHex(t, long); return c.addHex(t, "44 1234 04 aa") }, "1234", Present, nil, ""},
	} {
		var list crafted
		root := c.build(&list)
		p, err := NewProof(mustHash(t, root), list.entries)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		v, o, err := p.Get(unhex(c.key))
		if o != c.want || !errors.Is(err, c.err) || (c.err == nil) != (err == nil) || (v != nil) != (o == Present) {
			t.Errorf("%s: %x, %v, %v", c.name, v, o, err)
		} else if err != nil && !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: %v does not name %s", c.name, err, c.place)
		}
		_, err = p.Minimal(unhex(c.key))
		if (c.want == Incomplete) != (err != nil) || c.want == Incomplete && c.err == nil && !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: Minimal: %v", c.name, err)
		}
	}
}

// TestOneEntryTwoParts: an entry that is both a node and a value is in a minimal proof once, and what is
// below it is not lost.
func TestOneEntryTwoParts(t *testing.T) {
	var list crafted
	leaf := list.addHex(t, "42 01 a0"+strings.Repeat("77", 40))
	branch := list.addHex(t, "80 0300 80"+leaf+"08 4000")
	root := mustHash(t, list.addHex(t, "12 10 0100"+branch+"80"+branch))
	p := mustProof(t, root, list.entries)
	min, err := p.Minimal([]byte{0x10}, []byte{0x10, 0x01}, []byte{0x10, 0x01, 0x10})
	if err != nil || len(min) != 2 {
		t.Fatalf("%d entries, %v", len(min), err)
	}
	if min, err = p.Minimal([]byte{0x10}, []byte{0x10, 0x00, 0x01}); err != nil || len(min) != 3 {
		t.Fatalf("%d entries, %v", len(min), err)
	}
	if v, o, err := mustProof(t, root, min).Get([]byte{0x10, 0x00, 0x01}); o != Present || len(v) != 40 || err != nil {
		t.Errorf("Get: %x, %v, %v", v, o, err)
	}
}

// TestMinimalMeetsMalformedNode: an entry used as a value is also a child of a node that is used, and no
// node.
func TestMinimalMeetsMalformedNode(t *testing.T) {
	var list crafted
	bad := list.add(bytes.Repeat([]byte{1}, 40))
	root := mustHash(t, list.addHex(t, "12 10 0100"+bad+"80"+bad))
	if _, err := mustProof(t, root, list.entries).Minimal([]byte{0x10}); !errors.Is(err, ErrNode) {
		t.Error(err)
	}
}

// TestMalformedNodeInEnumeration: lookups of every kind name the entry.
func TestMalformedNodeInEnumeration(t *testing.T) {
	var list crafted
	bad := list.add(bytes.Repeat([]byte{1}, 40))
	root := mustHash(t, list.addHex(t, "80 0300 80"+bad+"0c 410100"))
	p := mustProof(t, root, list.entries)
	if k, o, err := p.Next(nil); k != nil || o != Incomplete || !errors.Is(err, ErrNode) || !strings.Contains(err.Error(), "entry 0") {
		t.Errorf("Next: %x, %v, %v", k, o, err)
	}
	if k, o, err := p.Prefix(nil, nil, 0); k != nil || o != Incomplete || !errors.Is(err, ErrNode) {
		t.Errorf("Prefix: %x, %v, %v", k, o, err)
	}
	if _, err := p.MissingKeys(nil, nil, 0); !errors.Is(err, ErrNode) {
		t.Errorf("MissingKeys: %v", err)
	}
	if err := p.CheckUsedQuery(Query{Prefixes: [][]byte{nil}}); !errors.Is(err, ErrNode) || !strings.Contains(err.Error(), "prefix 0") {
		t.Errorf("CheckUsedQuery: %v", err)
	}
	if err := p.CheckUsedQuery(Query{Next: [][]byte{nil}}); !errors.Is(err, ErrNode) || !strings.Contains(err.Error(), "next key 0") {
		t.Errorf("CheckUsedQuery: %v", err)
	}
	if a, err := p.GetAll([][]byte{{0x11}, {0x01}}); a != nil || !errors.Is(err, ErrNode) || !strings.Contains(err.Error(), "key 1") {
		t.Errorf("GetAll: %v, %v", a, err)
	}
	// A path beside it is not touched.
	if k, o, err := p.Prefix([]byte{0x11}, nil, 0); len(k) != 1 || o != Present || err != nil {
		t.Errorf("Prefix beside it: %x, %v, %v", k, o, err)
	}
}

// TestOddKey: the chain's keys are bytes.
func TestOddKey(t *testing.T) {
	var list crafted
	root := mustHash(t, list.addHex(t, "c0 0300 00 08 4000 0c 410100"))
	p := mustProof(t, root, list.entries)
	k, o, err := p.Prefix(nil, nil, 0)
	if len(k) != 1 || o != Incomplete || !errors.Is(err, ErrNode) || !strings.Contains(err.Error(), "odd") {
		t.Errorf("Prefix: %x, %v, %v", k, o, err)
	}
	if v, o, err := p.Get([]byte{0x11}); v == nil || o != Present || err != nil {
		t.Errorf("Get: %x, %v, %v", v, o, err)
	}
}

// chain returns n branches, each with an empty value and one child, two nibbles apart.
func chain(t testing.TB, n int) (root verify.Hash, entries [][]byte) {
	var list crafted
	h := list.addHex(t, "41 00 a0"+strings.Repeat("77", 40))
	for range n {
		h = list.addHex(t, "c1 00 0100 00 80"+h)
	}
	return mustHash(t, h), list.entries
}

func TestDeepProof(t *testing.T) {
	root, entries := chain(t, 700)
	p := mustProof(t, root, entries)
	key := make([]byte, 701)
	if _, _, err := p.Get(key[:700]); err != nil {
		t.Error(err)
	}
	keys, o, err := p.Prefix(nil, nil, 0)
	if o != Incomplete || !errors.Is(err, ErrNode) {
		t.Errorf("a value at an odd depth: %d keys, %v, %v", len(keys), o, err)
	}

	// Values at every byte: the branches begin after one nibble, the root has none of its own.
	var list crafted
	h := list.addHex(t, "41 00 a0"+strings.Repeat("77", 40))
	for range 700 {
		h = list.addHex(t, "c1 00 0100 00 80"+h)
	}
	root = mustHash(t, list.addHex(t, "80 0300 80"+h+"0c 410000"))
	p = mustProof(t, root, list.entries)
	keys, o, err = p.Prefix(nil, nil, 0)
	if o != Present || err != nil || len(keys) != 702 {
		t.Fatalf("%d keys, %v, %v", len(keys), o, err)
	}
	for _, k := range keys {
		if v, o, err := p.Get(k); v == nil || o != Present || err != nil {
			t.Fatalf("Get(%d bytes): %v, %v", len(k), o, err)
		}
	}
	// Deeper than the path that GetAll keeps: down, up again, and down beside the only way.
	up := slices.Clone(keys)
	slices.Reverse(up)
	all := slices.Concat(keys, up)
	for _, k := range up {
		all = append(all, append(slices.Clone(k), 0xff))
	}
	answers, err := p.GetAll(all)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if v, o, _ := p.Get(all[i]); a.Outcome != o || !bytes.Equal(a.Value, v) {
			t.Fatalf("key %d of %d bytes: GetAll: %v, Get: %v", i, len(all[i]), a, o)
		}
	}

	// Deeper than an enumeration goes; a lookup has the key to guide it.
	root, entries = chain(t, 50_000)
	p = mustProof(t, root, entries)
	if _, o, err := p.Next(make([]byte, 49_000)); o != Incomplete || !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "deep") {
		t.Errorf("Next: %v, %v", o, err)
	}
	if v, o, err := p.Get(make([]byte, 49_999)); v != nil || o != Absent || err != nil {
		t.Errorf("Get: %x, %v, %v", v, o, err)
	}
}

// TestLongKeys: partial keys that add up to more than a key may have.
func TestLongKeys(t *testing.T) {
	var list crafted
	branch := func(child string) string {
		// 63 + 117*255 + 102 = 30,000 nibbles.
		return list.addHex(t, "ff"+strings.Repeat("ff", 117)+"66"+strings.Repeat("00", 15_000)+"0100 00 80"+child)
	}
	h := list.addHex(t, "40 a0"+strings.Repeat("77", 40))
	root := mustHash(t, branch(branch(branch(h))))
	p := mustProof(t, root, list.entries)
	if _, o, err := p.Next(make([]byte, 31_000)); o != Incomplete || !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "nibbles") {
		t.Errorf("Next: %v, %v", o, err)
	}
}

// maze returns a proof of few entries that stands for 16^levels keys, or as many missing entries.
func maze(t testing.TB, levels int, complete bool) (root verify.Hash, entries [][]byte) {
	var list crafted
	h := list.addHex(t, "40 a0"+strings.Repeat("77", 40))
	if !complete {
		list.entries = nil
	}
	for range levels {
		h = list.addHex(t, "80 ffff"+strings.Repeat("80"+h, 16))
	}
	return mustHash(t, h), list.entries
}

func TestEndlessEnumeration(t *testing.T) {
	root, entries := maze(t, 40, true)
	p := mustProof(t, root, entries)
	keys, o, err := p.Prefix(nil, nil, 1000)
	if len(keys) != 1000 || o != Present || err != nil {
		t.Errorf("a page: %d keys, %v, %v", len(keys), o, err)
	}
	more, o, err := p.Prefix(nil, keys[999], 1000)
	if len(more) != 1000 || o != Present || err != nil || bytes.Compare(more[0], keys[999]) <= 0 {
		t.Errorf("the next page: %d keys, %v, %v", len(more), o, err)
	}
	keys, o, err = p.Prefix(nil, nil, 0)
	if len(keys) != MaxKeyBytes/(20+24) || o != Incomplete || !errors.Is(err, ErrLimit) {
		t.Errorf("all: %d keys, %v, %v", len(keys), o, err)
	}
	if keys, err := p.MissingKeys(nil, nil, 0); keys != nil || !errors.Is(err, ErrLimit) {
		t.Errorf("missing in a complete maze: %d keys, %v", len(keys), err)
	}
	root, entries = maze(t, 40, false)
	p = mustProof(t, root, entries)
	if keys, err := p.MissingKeys(nil, nil, 100); len(keys) != 100 || err != nil {
		t.Errorf("missing: %d keys, %v", len(keys), err)
	}
	if _, err := p.MissingKeys(nil, nil, 0); !errors.Is(err, ErrLimit) {
		t.Errorf("missing: %v", err)
	}
	if keys, o, err := p.Prefix(nil, nil, 0); keys != nil || o != Incomplete || err != nil {
		t.Errorf("nothing but gaps: %d keys, %v, %v", len(keys), o, err)
	}
}

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemory: reading a proof allocates less than twice its size, whatever is in it.
func TestMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	random := func(size int) []byte {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	many := func(size, n int) [][]byte {
		var out [][]byte
		for range n {
			out = append(out, random(size))
		}
		return out
	}
	deepRoot, deep := chain(t, 50_000)
	mazeRoot, mazes := maze(t, 2_000, true)
	tr := New(V1)
	for i := range 8_000 {
		tr = tr.Put(random(32), random(1+i%60))
	}
	some := many(32, 60_000)
	for _, c := range []struct {
		name string
		root verify.Hash
		list [][]byte
	}{
		{"entries of 32 bytes", verify.Blake2b256(some[9]), some},
		{"entries of 33 bytes", verify.Hash{}, many(33, 60_000)},
		{"entries of 128 bytes", verify.Hash{}, many(128, 20_000)},
		{"one large entry", verify.Hash{}, many(2<<20, 1)},
		{"a deep chain", deepRoot, deep},
		{"a maze", mazeRoot, mazes},
		{"a real trie", tr.Root(), tr.ProveQuery(Query{Prefixes: [][]byte{nil}})},
	} {
		enc := AppendProof(nil, c.list)
		key := make([]byte, 1000)
		got := allocated(func() {
			list, err := DecodeProof(enc)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				return
			}
			p, err := NewProof(c.root, list)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				return
			}
			p.Get(key)
			p.GetAll([][]byte{key, key[:999]})
			p.Next(key)
			p.Prefix(key[:1], nil, 10)
			p.MissingKeys(key[:1], nil, 10)
			p.CheckUsed(key)
		})
		t.Logf("%-22s %8d entries, %9d bytes: allocated %.2f of that", c.name, len(c.list), len(enc), float64(got)/float64(len(enc)))
		if got > 2*uint64(len(enc)) {
			t.Errorf("%s: %d bytes allocated for a proof of %d", c.name, got, len(enc))
		}
	}
	// Lists of which the length alone would be too much.
	for name, enc := range map[string][]byte{
		"16 MiB of empty entries": scale.AppendCompact(nil, MaxProofSize-8),
		"16 MiB of tiny entries":  scale.AppendCompact(nil, MaxProofSize/5),
	} {
		enc = slices.Grow(enc, MaxProofSize-len(enc))[:MaxProofSize]
		got := allocated(func() {
			if _, err := DecodeProof(enc); !errors.Is(err, ErrEntry) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if got > 64<<10 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

// TestGetDoesNotAllocate: a lookup works on the bytes of the proof.
func TestGetDoesNotAllocate(t *testing.T) {
	root, key, nodes := auraProof(t)
	p := mustProof(t, root, nodes)
	if n := testing.AllocsPerRun(100, func() { p.Get(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
