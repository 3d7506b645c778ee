package trie

import (
	"bytes"
	"fmt"
	"math/bits"
)

// Next returns the smallest key above key, as state_getKeysPaged and the runtime's next_key do. Absent
// means that there is none in the whole trie.
//
// The error is not nil only if a node is malformed (ErrNode), or the walk above a bound (ErrLimit).
func (p *Proof) Next(key []byte) (next []byte, o Outcome, err error) {
	return p.nextKey(key, nil)
}

func (p *Proof) nextKey(key []byte, used bitset) (next []byte, o Outcome, err error) {
	e := enumeration{p: p, used: used, from: unpack(nil, key), after: true, limit: 1}
	o, err = e.run()
	if len(e.keys) == 1 {
		next = e.keys[0]
	}
	return next, o, err
}

// Prefix returns the keys that begin with prefix, in ascending order: all of them if from is nil, else
// those above from; limit of them at most, or with limit ≤ 0 as many as there are. Values are not looked
// at, so the proof need not hold those that have entries of their own.
//
// Present: keys holds at least one key and between them, before them (from from on) and, unless there are
// limit of them, after them there is no other. Absent: there is no such key. Incomplete: keys, if any,
// are the first, and the trie may go on after them in any way; MissingKeys tells what to ask for.
//
// With an error, as in Next, keys are the first ones as well. MaxVisits and MaxKeyBytes bound the answer:
// an enumeration that ends on them gives ErrLimit, and can go on from its last key.
func (p *Proof) Prefix(prefix, from []byte, limit int) (keys [][]byte, o Outcome, err error) {
	return p.keys(prefix, from, limit, nil)
}

func (p *Proof) keys(prefix, from []byte, limit int, used bitset) ([][]byte, Outcome, error) {
	e := enumeration{p: p, used: used, prefix: unpack(nil, prefix), from: unpack(nil, from), after: from != nil, limit: limit}
	o, err := e.run()
	return e.keys, o, err
}

// MissingKeys returns keys to request next when Prefix(prefix, from, …) is incomplete: for each entry that
// it lacks, in the order of the trie, the shortest key that leads into it (where that has an odd number
// of nibbles, a zero is added, which leads into it as well). Every key has the given prefix. A peer
// that proves these keys proves one more level of the trie; Extend joins its entries to the proof.
//
// No keys and no error means that nothing is missing. limit bounds their number if it is positive.
func (p *Proof) MissingKeys(prefix, from []byte, limit int) ([][]byte, error) {
	e := enumeration{p: p, prefix: unpack(nil, prefix), from: unpack(nil, from), after: from != nil, limit: limit, missing: true}
	_, err := e.run()
	return e.keys, err
}

// An enumeration is a walk over the keys of a proof, depth first and in ascending order. Its stack holds
// 16 bytes for a branch, and its path a byte for a nibble of one key.
type enumeration struct {
	p      *Proof
	used   bitset
	prefix []byte // a nibble a byte, as from and path
	from   []byte
	after  bool // only keys above from count
	limit  int  // of len(keys); ≤ 0 for none
	// missing: collect in keys what to ask for in place of what is there, and do not stop at it.
	missing bool

	path   []byte
	stack  []frame
	node   view // the node being visited
	visits int
	bytes  int
	keys   [][]byte
}

// A frame is a branch some of whose children are still to be visited.
type frame struct {
	entry uint32 // of the branch, in the proof
	at    uint32 // of the next child, in the entry
	depth uint32 // nibbles of the path to the children
	rest  uint16 // children from at on
	want  uint16 // those that may lead to keys asked for
}

// verdict of a step: go on, stop because the limit is reached, stop because an entry is missing.
type verdict byte

const (
	goOn verdict = iota
	full
	gap
)

func (e *enumeration) run() (Outcome, error) {
	v, err := goOn, error(nil)
	switch e.p.top {
	case emptyTop:
	case -1:
		v, err = e.lack()
	default:
		v, err = e.entry(e.p.top)
	}
	for v == goOn && err == nil && len(e.stack) > 0 {
		f := &e.stack[len(e.stack)-1]
		if f.want == 0 {
			e.stack = e.stack[:len(e.stack)-1]
			continue
		}
		enc := e.p.nodes[f.entry]
		nibble := bits.TrailingZeros16(f.want)
		for bits.TrailingZeros16(f.rest) != nibble {
			f.at += 1 + uint32(enc[f.at]>>2)
			f.rest &= f.rest - 1
		}
		f.want &= f.want - 1
		at, size := f.at+1, uint32(enc[f.at]>>2)
		e.path = append(e.path[:f.depth], byte(nibble))
		switch child := enc[at : at+size]; {
		case size < 32:
			// The decoding of its parent has judged it.
			_ = decodeNode(child, &e.node)
			v, err = e.visit(f.entry, at)
		default:
			if i := e.p.find(child); i < 0 {
				v, err = e.lack()
			} else {
				v, err = e.entry(i)
			}
		}
	}
	switch {
	case err != nil || v == gap:
		return Incomplete, err
	case len(e.keys) > 0:
		return Present, nil
	}
	return Absent, nil
}

// entry visits the node that is an entry of its own.
func (e *enumeration) entry(i int) (verdict, error) {
	e.used.set(i)
	if err := e.p.node(i, &e.node); err != nil || e.node.empty {
		return goOn, err
	}
	return e.visit(uint32(i), 0)
}

// visit takes the value of e.node, if it is asked for, and puts its children on the stack. The path leads
// to the node; base is where it begins in the entry.
func (e *enumeration) visit(entry, base uint32) (verdict, error) {
	node := &e.node
	if e.visits++; e.visits > MaxVisits {
		return goOn, fmt.Errorf("proof: %w: more than %d nodes in one enumeration", ErrLimit, MaxVisits)
	}
	if len(e.path)+node.partial.n > MaxPartial {
		return goOn, fmt.Errorf("proof: entry %d: %w: key of more than %d nibbles", entry, ErrLimit, MaxPartial)
	}
	e.path = node.partial.appendTo(e.path)

	n := min(len(e.path), len(e.prefix))
	if !bytes.Equal(e.path[:n], e.prefix[:n]) {
		return goOn, nil
	}
	want, here := node.bitmap, node.kind != noValue && len(e.path) >= len(e.prefix)
	if n := len(e.path); n < len(e.prefix) {
		want &= 1 << e.prefix[n]
	}
	if e.after {
		n := min(len(e.path), len(e.from))
		switch bytes.Compare(e.path[:n], e.from[:n]) {
		case -1:
			return goOn, nil
		case 0:
			if n == len(e.path) {
				here = false // at from, or above it in the trie: a shorter key is smaller
			}
			if n < len(e.from) && n == len(e.path) {
				want &^= 1<<e.from[n] - 1
			}
		}
	}

	if here {
		if v, err := e.found(entry); v != goOn || err != nil {
			return v, err
		}
	}
	if want != 0 {
		if len(e.stack) == MaxDepth {
			return goOn, fmt.Errorf("proof: entry %d: %w: more than %d nodes deep", entry, ErrLimit, MaxDepth)
		}
		e.stack = append(e.stack, frame{
			entry: entry, at: base + uint32(node.children), depth: uint32(len(e.path)), rest: node.bitmap, want: want,
		})
	}
	return goOn, nil
}

// found takes the path as a key.
func (e *enumeration) found(entry uint32) (verdict, error) {
	if len(e.path)&1 == 1 {
		return goOn, fmt.Errorf("proof: entry %d: %w: value after an odd number of nibbles", entry, ErrNode)
	}
	if e.missing {
		return goOn, nil
	}
	return e.take()
}

// lack notes that the entry to which the path leads is not in the proof.
func (e *enumeration) lack() (verdict, error) {
	if !e.missing {
		return gap, nil
	}
	if len(e.path) < len(e.prefix) {
		e.path = append(e.path[:0], e.prefix...)
	}
	return e.take()
}

// take adds the path to the keys.
func (e *enumeration) take() (verdict, error) {
	key := pack(e.path)
	if e.bytes += len(key) + 24; e.bytes > MaxKeyBytes {
		return goOn, fmt.Errorf("proof: %w: an answer of more than %d bytes", ErrLimit, MaxKeyBytes)
	}
	e.keys = append(e.keys, key)
	if len(e.keys) == e.limit {
		return full, nil
	}
	return goOn, nil
}
