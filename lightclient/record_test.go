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
