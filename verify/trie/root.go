package trie

import (
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// EmptyRoot is the root of the trie without keys, in both versions: Blake2b-256 of the byte 0x00.
var EmptyRoot = verify.Hash{
	0x03, 0x17, 0x0a, 0x2e, 0x75, 0x97, 0xb7, 0xb7, 0xe3, 0xd8, 0x4c, 0x05, 0x39, 0x1d, 0x13, 0x9a,
	0x62, 0xb1, 0x57, 0xe7, 0x87, 0x86, 0xd8, 0xc0, 0x82, 0xf2, 0x9d, 0xcf, 0x4c, 0x11, 0x13, 0x14,
}

// Root returns the root of the trie with the given keys (as strings of bytes) and values.
func Root(v Version, kv map[string][]byte) verify.Hash { return From(v, kv).Root() }

// OrderedRoot returns the root of the trie that maps SCALE compact(i) to items[i], in version 0. With the
// extrinsics of a block, each as the body holds it with its length in front, it is extrinsics_root (this
// chain's system_version 1 keeps version 0 for it, subtensor runtime/src/lib.rs).
func OrderedRoot(items [][]byte) verify.Hash { return Ordered(items).Root() }

// Ordered returns the trie that OrderedRoot is the root of, to prove an item from.
func Ordered(items [][]byte) *Trie {
	t := New(V0)
	var key [9]byte
	for i, item := range items {
		t = t.Put(scale.AppendCompact(key[:0], uint64(i)), item)
	}
	return t
}
