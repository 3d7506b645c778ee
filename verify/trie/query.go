package trie

import (
	"fmt"
	"math/bits"
)

// A Query is a set of lookups, for which entries are chosen together.
type Query struct {
	// Keys whose values, or absence, are looked up.
	Keys [][]byte
	// Next holds keys of which the next one is looked up.
	Next [][]byte
	// Prefixes under which all keys are enumerated. Name the keys in Keys to have their values too.
	Prefixes [][]byte
}

// Minimal returns the entries that looking up the keys takes, and no other: the minimal proof of their
// values and their absence. ErrIncomplete names the first key for which p does not suffice.
func (p *Proof) Minimal(keys ...[]byte) ([][]byte, error) { return p.MinimalQuery(Query{Keys: keys}) }

// MinimalQuery is Minimal for lookups of every kind.
//
// The order is that of the trie: a node, the value it holds by hash, then its children in ascending
// order, each entry at its first place. So the result depends on the root and the query alone, and on
// neither the order of the lookups nor the proof that it is cut from. For the empty trie it is the empty
// node.
func (p *Proof) MinimalQuery(q Query) ([][]byte, error) {
	used := newBitset(len(p.nodes))
	if err := p.use(q, used, false); err != nil {
		return nil, err
	}
	if p.root == EmptyRoot {
		return [][]byte{{headerEmpty}}, nil
	}
	n := 0
	for _, w := range used {
		n += bits.OnesCount64(w)
	}
	if n == 0 {
		return nil, nil
	}
	out := make([][]byte, 0, n)
	emitted, expanded := newBitset(len(p.nodes)), newBitset(len(p.nodes))
	emit := func(i int) {
		if !emitted.has(i) {
			emitted.set(i)
			out = append(out, p.nodes[i])
		}
	}
	for stack := []uint32{uint32(p.top)}; len(stack) > 0; {
		i := int(stack[len(stack)-1])
		stack = stack[:len(stack)-1]
		if expanded.has(i) {
			continue
		}
		expanded.set(i)
		emit(i)
		var v view
		if err := p.node(i, &v); err != nil {
			return nil, err
		}
		if v.kind == hashedValue {
			if j := p.find(v.value); j >= 0 && used.has(j) {
				emit(j)
			}
		}
		// The last child is found first, and comes out of the stack last. Inline children are too
		// small to hold a hash.
		mark := len(stack)
		at := v.children
		for range bits.OnesCount16(v.bitmap) {
			size := int(v.enc[at] >> 2)
			if size == 32 {
				if j := p.find(v.enc[at+1 : at+33]); j >= 0 && used.has(j) && !expanded.has(j) {
					stack = append(stack, uint32(j))
				}
			}
			at += 1 + size
		}
		for l, r := mark, len(stack)-1; l < r; l, r = l+1, r-1 {
			stack[l], stack[r] = stack[r], stack[l]
		}
	}
	return out, nil
}

// CheckUsed returns ErrUnusedNode, naming the entry, if p holds one that no lookup of the keys comes to. A
// proof that is passed on should pass this: what nobody needs, nobody should have to carry.
func (p *Proof) CheckUsed(keys ...[]byte) error { return p.CheckUsedQuery(Query{Keys: keys}) }

// CheckUsedQuery is CheckUsed for lookups of every kind. Lookups for which p is incomplete count as far as
// they come.
func (p *Proof) CheckUsedQuery(q Query) error {
	used := newBitset(len(p.nodes))
	if err := p.use(q, used, true); err != nil {
		return err
	}
	for i := range p.nodes {
		if !used.has(i) {
			return fmt.Errorf("proof: entry %d, %s: %w", i, p.hashes[i].Short(), ErrUnusedNode)
		}
	}
	return nil
}

// use marks the entries that the lookups of q come to.
func (p *Proof) use(q Query, used bitset, partly bool) error {
	check := func(what string, i int, o Outcome, err error) error {
		if err == nil && o == Incomplete && !partly {
			err = ErrIncomplete
		}
		if err != nil {
			return fmt.Errorf("%s %d: %w", what, i, err)
		}
		return nil
	}
	var room [pathRoom]step
	from := path{steps: room[:]}
	for i, key := range q.Keys {
		_, o, err := p.get(key, used, &from)
		if err = check("key", i, o, err); err != nil {
			return err
		}
	}
	for i, key := range q.Next {
		_, o, err := p.nextKey(key, used)
		if err = check("next key", i, o, err); err != nil {
			return err
		}
	}
	for i, prefix := range q.Prefixes {
		_, o, err := p.keys(prefix, nil, 0, used)
		if err = check("prefix", i, o, err); err != nil {
			return err
		}
	}
	return nil
}
