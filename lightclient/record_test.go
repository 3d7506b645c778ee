package lightclient

import (
	"bytes"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/trie"
)

func TestEpochNames(t *testing.T) {
	if name := epochName(18, 8_912_400, 3); name != "epochs/0018/0008912400/0003" {
		t.Error(name)
	}
	for _, c := range []struct {
		block uint32
		part  int
	}{{0, 0}, {1<<32 - 1, epochParts - 1}, {360, 7}} {
		if block, part, ok := epochBlock(epochName(4095, c.block, c.part)); !ok || block != c.block || part != c.part {
			t.Errorf("%v: %d %d %t", c, block, part, ok)
		}
	}
	for _, name := range []string{"", "epochs/0018", "epochs/0018/1/2/3", "epochs/0018/x/0000", "epochs/0018/1/x", "epochs/0018/4294967296/0", "epochs/0018/1/-1", "epochs/0018/1/9999"} {
		if _, _, ok := epochBlock(name); ok {
			t.Errorf("%q is taken for a name", name)
		}
	}
	// Names sort as their blocks do.
	names := []string{epochName(1, 99, 0), epochName(1, 100, 0), epochName(1, 100, 1), epochName(1, 1_000_000, 0), epochName(2, 5, 0)}
	if !slices.IsSorted(names) {
		t.Error(names)
	}
}

// TestTelling: a long read tells of itself three times, whatever order its answers come in; a short one not
// at all.
func TestTelling(t *testing.T) {
	var lines []string
	l := &look{note: func(s string) { lines = append(lines, s) }}
	at := FinalBlock{Header: &verify.Header{Number: 7}}
	for _, c := range []struct {
		all  int
		want []string
	}{
		{4 * keysPerBatch, nil},
		{1000, []string{"256 of 1000 keys of #7", "512 of 1000 keys of #7", "768 of 1000 keys of #7"}},
		{4*keysPerBatch + 1, []string{"128 of 257 keys of #7", "192 of 257 keys of #7", "256 of 257 keys of #7"}}, // 64 is no quarter yet
	} {
		lines = nil
		told := l.telling(at, c.all)
		for done := 0; done < c.all; {
			done = min(done+keysPerBatch, c.all)
			told(done)
		}
		if !slices.Equal(lines, c.want) {
			t.Errorf("%d keys: %q, want %q", c.all, lines, c.want)
		}
	}
}

// FuzzEpochRecord: what is stored may be anything. What is taken for a record is one when it is put
// together again.
func FuzzEpochRecord(f *testing.F) {
	x := &bundle.Bundle{Genesis: verify.Hash{1}}
	f.Add(slices.Concat(epochRecord(x, [][]byte{bytes.Repeat([]byte{5}, 100), bytes.Repeat([]byte{6}, epochPart)})...))
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add(append([]byte{3, 255, 255, 255, 127}, 1, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, nodes, err := openEpochRecord(b)
		if err != nil {
			return
		}
		size := 0
		for _, n := range nodes {
			size += len(n)
		}
		if size > len(b) {
			t.Fatalf("%d bytes of nodes in %d", size, len(b))
		}
		parts := epochRecord(x, nodes)
		for _, p := range parts[:len(parts)-1] {
			if len(p) != epochPart {
				t.Fatalf("a part of %d bytes", len(p))
			}
		}
		y, again, err := openEpochRecord(slices.Concat(parts...))
		if err != nil || !bytes.Equal(y.Encode(), x.Encode()) || !bytes.Equal(trie.AppendProof(nil, again), trie.AppendProof(nil, nodes)) {
			t.Fatalf("put together again: %v", err)
		}
	})
}
