package trie

import (
	"bytes"
	"math/bits"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A Trie is a set of keys and values with their Merkle tree. It never changes: Put and Delete return another
// trie, which shares with the first all but the path to the key, so that many versions of a large state
// cost little more than one.
//
// Root, and what calls it (Prove, ProveQuery), computes the hashes that are not known yet and keeps them in
// the shared nodes. So a trie that was not asked for its root since it was made, and the tries made from
// it, belong to one goroutine; once Root has returned, any number may use it, and make others from it.
//
// Keys of more than 32,767 bytes can be neither proven nor encoded without loss; their roots are what the
// chain would compute.
type Trie struct {
	version Version
	root    *node
	len     int
}

// A node of a trie is never changed once it is reachable, but for merkle.
type node struct {
	partial  []byte // a nibble a byte
	value    *value // nil: none
	bitmap   uint16
	children []*node // one for each bit, in ascending order
	// The Merkle value: merkleLen bytes of the encoding itself, or 32 of its hash. 0: not known.
	merkleLen uint8
	merkle    [32]byte
}

type value struct {
	data   []byte
	hash   verify.Hash // of data, if hashed
	hashed bool        // the node holds the hash
}

// New returns the empty trie of a state version.
func New(v Version) *Trie { return &Trie{version: v} }

// From returns the trie with the given keys (as strings of bytes) and values.
func From(v Version, kv map[string][]byte) *Trie {
	t := New(v)
	for k, x := range kv {
		t = t.Put([]byte(k), x)
	}
	return t
}

// WithVersion returns t with values put from now on stored as v does it. Those that are there stay as they
// are until they are put again, as on a chain that moves from version 0 to 1.
func (t *Trie) WithVersion(v Version) *Trie { return &Trie{version: v, root: t.root, len: t.len} }

// Version returns the state version by which Put stores values.
func (t *Trie) Version() Version { return t.version }

// Len returns the number of keys.
func (t *Trie) Len() int { return t.len }

// Put returns t with the value set for key. Both are copied. If that changes nothing, it is t itself.
func (t *Trie) Put(key, data []byte) *Trie {
	v := &value{data: data, hashed: t.version >= V1 && len(data) >= threshold}
	var buf [128]byte
	root, added := put(t.root, unpack(buf[:0], key), v)
	if root == t.root {
		return t
	}
	v.data = append(make([]byte, 0, len(data)), data...)
	if v.hashed {
		v.hash = verify.Blake2b256(data)
	}
	return t.with(root, added)
}

func (t *Trie) with(root *node, added int) *Trie {
	return &Trie{version: t.version, root: root, len: t.len + added}
}

// put returns n with the value set, and by how many keys it has grown. It keeps v, and no part of key.
func put(n *node, key []byte, v *value) (*node, int) {
	if n == nil {
		return &node{partial: bytes.Clone(key), value: v}, 1
	}
	c := commonBytes(n.partial, key)
	if c < len(n.partial) {
		// Both part inside the partial key: a branch comes in between.
		low := &node{partial: n.partial[c+1:], value: n.value, bitmap: n.bitmap, children: n.children}
		top := &node{partial: n.partial[:c:c], bitmap: 1 << n.partial[c], children: []*node{low}}
		if c == len(key) {
			top.value = v
			return top, 1
		}
		leaf, _ := put(nil, key[c+1:], v)
		return top.withChild(key[c], leaf), 1
	}
	if c == len(key) {
		switch {
		case n.value == nil:
			return n.withValue(v), 1
		case n.value.hashed == v.hashed && bytes.Equal(n.value.data, v.data):
			return n, 0
		}
		return n.withValue(v), 0
	}
	old := n.child(key[c])
	child, added := put(old, key[c+1:], v)
	if child == old {
		return n, 0
	}
	return n.withChild(key[c], child), added
}

// Delete returns t without key; t itself if it has none.
func (t *Trie) Delete(key []byte) *Trie {
	var buf [128]byte
	root, removed := remove(t.root, unpack(buf[:0], key))
	if !removed {
		return t
	}
	return t.with(root, -1)
}

func remove(n *node, key []byte) (_ *node, removed bool) {
	if n == nil {
		return nil, false
	}
	c := commonBytes(n.partial, key)
	switch {
	case c < len(n.partial), c == len(key) && n.value == nil:
		return n, false
	case c == len(key):
		return n.withValue(nil).normal(), true
	}
	child, removed := remove(n.child(key[c]), key[c+1:])
	if !removed {
		return n, false
	}
	return n.withChild(key[c], child).normal(), true
}

// normal returns the form that a node without some part must have: none if it holds nothing, joined with
// its child if it only leads there.
func (n *node) normal() *node {
	switch {
	case n.value != nil || len(n.children) > 1:
		return n
	case len(n.children) == 0:
		return nil
	}
	c := n.children[0]
	partial := make([]byte, 0, len(n.partial)+1+len(c.partial))
	partial = append(append(partial, n.partial...), byte(bits.TrailingZeros16(n.bitmap)))
	return &node{partial: append(partial, c.partial...), value: c.value, bitmap: c.bitmap, children: c.children}
}

// slot returns where the child at a nibble is, or would be, among the children.
func (n *node) slot(nibble byte) int { return bits.OnesCount16(n.bitmap & (1<<nibble - 1)) }

func (n *node) child(nibble byte) *node {
	if n.bitmap>>nibble&1 == 0 {
		return nil
	}
	return n.children[n.slot(nibble)]
}

func (n *node) withValue(v *value) *node {
	return &node{partial: n.partial, value: v, bitmap: n.bitmap, children: n.children}
}

// withChild returns n with another child at a nibble; nil removes it.
func (n *node) withChild(nibble byte, child *node) *node {
	m := &node{partial: n.partial, value: n.value, bitmap: n.bitmap | 1<<nibble}
	i := n.slot(nibble)
	after := n.children[i:]
	if n.bitmap == m.bitmap {
		after = after[1:]
	}
	if child == nil {
		m.bitmap &^= 1 << nibble
	}
	m.children = make([]*node, 0, bits.OnesCount16(m.bitmap))
	m.children = append(m.children, n.children[:i]...)
	if child != nil {
		m.children = append(m.children, child)
	}
	m.children = append(m.children, after...)
	return m
}

// Get returns the value of key, which must not be changed, and whether there is one.
func (t *Trie) Get(key []byte) (data []byte, ok bool) {
	rest := keyNibbles(key)
	for n := t.root; n != nil; {
		if rest.n < len(n.partial) {
			return nil, false
		}
		for i, c := range n.partial {
			if rest.at(i) != c {
				return nil, false
			}
		}
		if rest = rest.from(len(n.partial)); rest.n == 0 {
			if n.value == nil {
				return nil, false
			}
			return n.value.data, true
		}
		n = n.child(rest.at(0))
		rest = rest.from(1)
	}
	return nil, false
}

// Root returns the state root: the hash of the root node, however small that is.
func (t *Trie) Root() verify.Hash {
	if t.root == nil {
		return EmptyRoot
	}
	m := t.root.merkleValue()
	if len(m) == 32 {
		return verify.Hash(m)
	}
	return verify.Blake2b256(m)
}

// merkleValue returns how a parent refers to n: its encoding, or the hash of that from 32 bytes on.
func (n *node) merkleValue() []byte {
	if n.merkleLen == 0 {
		var buf [640]byte // a branch with 16 children, a value by its hash, and a key of 80 bytes
		enc := n.encode(buf[:0])
		if len(enc) < 32 {
			n.merkleLen = uint8(copy(n.merkle[:], enc))
		} else {
			n.merkle, n.merkleLen = verify.Blake2b256(enc), 32
		}
	}
	return n.merkle[:n.merkleLen]
}

// encode appends the encoding of n.
func (n *node) encode(b []byte) []byte {
	kind := noValue
	if n.value != nil {
		if kind = inlineValue; n.value.hashed {
			kind = hashedValue
		}
	}
	b = appendHeader(b, kind, n.bitmap != 0, len(n.partial))
	b = appendPartial(b, n.partial)
	if n.bitmap != 0 {
		b = append(b, byte(n.bitmap), byte(n.bitmap>>8))
	}
	switch kind {
	case inlineValue:
		b = scale.AppendBlob(b, n.value.data)
	case hashedValue:
		b = append(b, n.value.hash[:]...)
	}
	for _, c := range n.children {
		b = scale.AppendBlob(b, c.merkleValue())
	}
	return b
}
