package trie

import (
	"bytes"

	"github.com/taolight/taolight/verify"
)

// Range calls f for each key that begins with prefix, in ascending order, until f returns false. f may keep
// the key; it must not change the value.
func (t *Trie) Range(prefix []byte, f func(key, value []byte) bool) {
	t.walk(&traversal{prefix: unpack(nil, prefix), found: f})
}

// Next returns the smallest key above key, and whether there is one.
func (t *Trie) Next(key []byte) (next []byte, ok bool) {
	t.walk(&traversal{from: unpack(nil, key), after: true, found: func(k, _ []byte) bool {
		next, ok = k, true
		return false
	}})
	return next, ok
}

// Keys returns the keys that begin with prefix, in ascending order: those above from if it is not nil, and
// limit of them at most if that is positive.
func (t *Trie) Keys(prefix, from []byte, limit int) (keys [][]byte) {
	t.walk(&traversal{prefix: unpack(nil, prefix), from: unpack(nil, from), after: from != nil, found: func(k, _ []byte) bool {
		keys = append(keys, k)
		return len(keys) != limit
	}})
	return keys
}

// A traversal visits the nodes of a trie that an enumeration of a proof for it would need, in the same order.
type traversal struct {
	prefix []byte // a nibble a byte, as from
	from   []byte
	after  bool // only keys above from
	seen   func(n *node)
	found  func(key, value []byte) bool
	path   []byte
}

func (t *Trie) walk(w *traversal) {
	if t.root != nil {
		w.node(t.root)
	}
}

// node visits n, to which the path leads, and returns whether to go on.
func (w *traversal) node(n *node) bool {
	if w.seen != nil {
		w.seen(n)
	}
	w.path = append(w.path, n.partial...)
	depth := len(w.path)
	c := min(depth, len(w.prefix))
	if !bytes.Equal(w.path[:c], w.prefix[:c]) {
		return true
	}
	want, here := n.bitmap, n.value != nil && depth >= len(w.prefix)
	if depth < len(w.prefix) {
		want &= 1 << w.prefix[depth]
	}
	if w.after {
		c := min(depth, len(w.from))
		switch bytes.Compare(w.path[:c], w.from[:c]) {
		case -1:
			return true
		case 0:
			here = here && depth > len(w.from)
			if depth < len(w.from) {
				want &^= 1<<w.from[depth] - 1
			}
		}
	}
	if here && !w.found(pack(w.path), n.value.data) {
		return false
	}
	for nibble := byte(0); nibble < 16; nibble++ {
		if want>>nibble&1 == 1 {
			w.path = append(w.path[:depth], nibble)
			if !w.node(n.child(nibble)) {
				return false
			}
		}
	}
	return true
}

// Prove returns the entries that prove the values of the keys, or their absence, and no other. They are what
// Proof.Minimal would cut from the whole trie, in the same order. They must not be changed: values among them
// are the trie's own.
func (t *Trie) Prove(keys ...[]byte) [][]byte { return t.ProveQuery(Query{Keys: keys}) }

// ProveQuery is Prove for lookups of every kind.
func (t *Trie) ProveQuery(q Query) [][]byte {
	if t.root == nil {
		return [][]byte{{headerEmpty}}
	}
	if len(q.Keys)+len(q.Next)+len(q.Prefixes) == 0 {
		return nil
	}
	// By hash, not by node: equal subtrees are one entry of a proof.
	used := map[verify.Hash]bool{t.Root(): true}
	use := func(n *node) {
		if m := n.merkleValue(); len(m) == 32 {
			used[verify.Hash(m)] = true
		}
	}
	for _, key := range q.Keys {
		rest := unpack(nil, key)
		for n := t.root; n != nil; {
			use(n)
			c := commonBytes(n.partial, rest)
			if c < len(n.partial) {
				break
			}
			if c == len(rest) {
				if n.value != nil && n.value.hashed {
					used[n.value.hash] = true
				}
				break
			}
			n, rest = n.child(rest[c]), rest[c+1:]
		}
	}
	for _, key := range q.Next {
		t.walk(&traversal{from: unpack(nil, key), after: true, seen: use, found: func(_, _ []byte) bool { return false }})
	}
	for _, prefix := range q.Prefixes {
		t.walk(&traversal{prefix: unpack(nil, prefix), seen: use, found: func(_, _ []byte) bool { return true }})
	}

	e := emission{used: used, emitted: make(map[verify.Hash]bool, len(used)), expanded: make(map[verify.Hash]bool, len(used))}
	e.node(t.root, t.Root())
	return e.out
}

// An emission lists entries in the order of Proof.MinimalQuery.
type emission struct {
	used, emitted, expanded map[verify.Hash]bool
	out                     [][]byte
}

func (e *emission) entry(h verify.Hash, enc func() []byte) {
	if !e.emitted[h] {
		e.emitted[h] = true
		e.out = append(e.out, enc())
	}
}

func (e *emission) node(n *node, h verify.Hash) {
	if e.expanded[h] {
		return
	}
	e.expanded[h] = true
	e.entry(h, func() []byte { return n.encode(nil) })
	if v := n.value; v != nil && v.hashed && e.used[v.hash] {
		e.entry(v.hash, func() []byte { return v.data })
	}
	for _, c := range n.children {
		if m := c.merkleValue(); len(m) == 32 && e.used[verify.Hash(m)] {
			e.node(c, verify.Hash(m))
		}
	}
}
