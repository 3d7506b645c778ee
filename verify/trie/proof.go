package trie

import (
	"encoding/binary"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// minEntry is the fewest bytes of an entry that is not the root: a smaller node stands inside its
// parent, a smaller value inside its node.
const minEntry = 32

// DecodeProof decodes the SCALE Vec<Vec<u8>> that light/2 carries and state_getReadProof returns. The
// entries alias b. Which of them are any use is for NewProof to say.
func DecodeProof(b []byte) ([][]byte, error) {
	if len(b) > MaxProofSize {
		return nil, fmt.Errorf("proof: %w: %d bytes, at most %d allowed", ErrLimit, len(b), MaxProofSize)
	}
	r := scale.NewReader(b)
	n := r.Count(1, -1)
	// One entry may be small, the root. This keeps the headers of the slices below the size of b.
	if most := 1 + r.Len()/(minEntry+1); n > most {
		return nil, fmt.Errorf("proof: %w: %d entries in %d bytes, where %d could be nodes or values", ErrEntry, n, len(b), most)
	}
	nodes := make([][]byte, n)
	for i := range nodes {
		nodes[i] = r.Blob(-1)
		if r.Err() != nil {
			return nil, fmt.Errorf("proof: entry %d: %w", i, r.Err())
		}
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	return nodes, nil
}

// AppendProof appends the SCALE Vec<Vec<u8>> of the entries.
func AppendProof(b []byte, nodes [][]byte) []byte {
	b = scale.AppendCompact(b, uint64(len(nodes)))
	for _, n := range nodes {
		b = scale.AppendBlob(b, n)
	}
	return b
}

// A Proof answers lookups in the trie with a given root, as far as its entries reach. Entries are
// nodes, or values that a node holds by their hash; they are looked up by their hash alone, decoded
// when a lookup comes to them, and trusted for nothing else.
//
// It is immutable and safe for use by several goroutines, as long as nobody changes the bytes it was
// made of.
type Proof struct {
	root   verify.Hash
	nodes  [][]byte
	hashes []verify.Hash
	size   int
	top    int // the root node in nodes; -1 if it is missing, emptyTop
	// The index: an entry is in the chain that begins at heads[bucket(hash)] and goes on by next.
	// Both hold positions in nodes plus one; 0 ends the chain.
	heads, next []uint32
}

// emptyTop in place of the root node's position: the root is EmptyRoot, whose one preimage everybody
// knows, so that it need not be in the list.
const emptyTop = -2

// maxChain is the most entries in one chain of the index. With honest hashes, chains of ten are rare;
// longer ones are made on purpose, to make lookups slow.
const maxChain = 64

// NewProof hashes the entries and indexes them; it decodes none. The entries are kept, not copied.
//
// It refuses, with the position of the entry: duplicates (ErrDuplicateNode), entries under 32 bytes
// other than the root node (ErrEntry), and more than MaxProofSize bytes (ErrLimit). An empty list
// is a proof of nothing, and of everything about the empty trie.
func NewProof(root verify.Hash, nodes [][]byte) (*Proof, error) {
	p := &Proof{root: root, nodes: nodes}
	if err := p.index(0, nil); err != nil {
		return nil, err
	}
	return p, nil
}

// Extend returns a proof with the entries of p and those of nodes that p lacks: how the answers to
// several requests about one root become one proof. Entries that p has are let through; a duplicate
// within nodes is refused, as by NewProof.
func (p *Proof) Extend(nodes [][]byte) (*Proof, error) {
	fresh, err := NewProof(p.root, nodes)
	if err != nil {
		return nil, err
	}
	q := &Proof{root: p.root}
	q.nodes = append(make([][]byte, 0, len(p.nodes)+len(nodes)), p.nodes...)
	hashes := append(make([]verify.Hash, 0, len(p.nodes)+len(nodes)), p.hashes...)
	for i, n := range nodes {
		if p.find(fresh.hashes[i][:]) < 0 {
			q.nodes = append(q.nodes, n)
			hashes = append(hashes, fresh.hashes[i])
		}
	}
	if err := q.index(len(hashes), hashes); err != nil {
		return nil, err
	}
	return q, nil
}

// index fills p from its root and nodes. The hashes of the first known nodes are given.
func (p *Proof) index(known int, hashes []verify.Hash) error {
	for i, n := range p.nodes {
		if p.size += len(n); p.size > MaxProofSize {
			return fmt.Errorf("proof: entry %d: %w: more than %d bytes", i, ErrLimit, MaxProofSize)
		}
		// Before anything is allocated by the number of entries, see that they are not tiny.
		if p.size < i*minEntry {
			return fmt.Errorf("proof: %w: the first %d entries have %d bytes", ErrEntry, i+1, p.size)
		}
	}
	p.top = -1
	if p.root == EmptyRoot {
		p.top = emptyTop
	}
	if p.hashes = hashes; known == 0 {
		p.hashes = make([]verify.Hash, len(p.nodes))
	}
	both := make([]uint32, 2*len(p.nodes))
	p.heads, p.next = both[:len(p.nodes)], both[len(p.nodes):]
	for i, n := range p.nodes {
		if i >= known {
			p.hashes[i] = verify.Blake2b256(n)
		}
		h := &p.hashes[i]
		if *h == p.root {
			p.top = i
		} else if len(n) < minEntry {
			return fmt.Errorf("proof: entry %d: %w: %d bytes, and not the root node", i, ErrEntry, len(n))
		}
		head := &p.heads[p.bucket(h[:])]
		length := 0
		for j := *head; j != 0; j = p.next[j-1] {
			if p.hashes[j-1] == *h {
				return fmt.Errorf("proof: entry %d: %w: as entry %d, %s", i, ErrDuplicateNode, j-1, h.Short())
			}
			if length++; length == maxChain {
				return fmt.Errorf("proof: entry %d: %w: %d hashes in one bucket of the index", i, ErrLimit, maxChain+1)
			}
		}
		p.next[i], *head = *head, uint32(i+1)
	}
	return nil
}

func (p *Proof) bucket(hash []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(hash)) * uint64(len(p.heads)) >> 32
}

// find returns the position of the entry with a hash, or -1.
func (p *Proof) find(hash []byte) int {
	if len(p.nodes) == 0 {
		return -1
	}
	for j := p.heads[p.bucket(hash)]; j != 0; j = p.next[j-1] {
		if p.hashes[j-1] == verify.Hash(hash) {
			return int(j - 1)
		}
	}
	return -1
}

// Root returns the root that p was made with.
func (p *Proof) Root() verify.Hash { return p.root }

// Len returns the number of entries.
func (p *Proof) Len() int { return len(p.nodes) }

// Size returns the number of bytes of the entries.
func (p *Proof) Size() int { return p.size }

// node decodes the entry at a position, to which a hash in another node or the root has led. The empty node
// can only be the root: NewProof takes it as nothing else.
func (p *Proof) node(i int, v *view) error {
	if err := decodeNode(p.nodes[i], v); err != nil {
		return fmt.Errorf("proof: entry %d, %s: %w", i, p.hashes[i].Short(), err)
	}
	return nil
}

// Get looks key up. The value aliases the proof.
//
// Present: value is the value, never nil. Absent: there is no such key. Incomplete: an entry on the
// path, or the value's own, is missing. The error is not nil, and the outcome Incomplete, only if a node
// that the root commits to is malformed (ErrNode).
func (p *Proof) Get(key []byte) (value []byte, o Outcome, err error) {
	var room [1]step
	return p.get(key, nil, &path{steps: room[:]})
}

// An Answer is what Get returns.
type Answer struct {
	Value   []byte
	Outcome Outcome
}

// GetAll looks many keys up, and stops at the first error, which names the key. It is faster than as many
// calls of Get, most so if the keys are in ascending order, because it goes on from where two keys part.
func (p *Proof) GetAll(keys [][]byte) ([]Answer, error) {
	answers := make([]Answer, len(keys))
	var room [pathRoom]step
	from := path{steps: room[:]}
	for i, key := range keys {
		v, o, err := p.get(key, nil, &from)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		answers[i] = Answer{v, o}
	}
	return answers, nil
}

// get is Get, marks the entries that the lookup uses, and goes on from the path of an earlier one.
func (p *Proof) get(key []byte, used bitset, from *path) ([]byte, Outcome, error) {
	v, o, err := p.lookup(key, used, from)
	if o != Present {
		return nil, o, err
	}
	if v.kind == hashedValue {
		i := p.find(v.value)
		if i < 0 {
			return nil, Incomplete, nil
		}
		used.set(i)
		return p.nodes[i], Present, nil
	}
	return v.value, Present, nil
}

// ValueHash returns the Blake2b-256 of a key's value. It can be had without the value's own entry, so a
// caller that keeps a large value (:code) learns from a small proof that it is unchanged.
func (p *Proof) ValueHash(key []byte) (verify.Hash, Outcome, error) { return p.valueHash(key, nil) }

func (p *Proof) valueHash(key []byte, used bitset) (verify.Hash, Outcome, error) {
	var room [1]step
	v, o, err := p.lookup(key, used, &path{steps: room[:]})
	if o != Present {
		return verify.Hash{}, o, err
	}
	if v.kind == hashedValue {
		return verify.Hash(v.value), Present, nil
	}
	return verify.Blake2b256(v.value), Present, nil
}

// A path is the branches that the last lookup came through, for the next one to begin at.
type path struct {
	key []byte
	// The first n steps are the path. The next one is where a node is decoded, so with room for one step
	// there is never a path.
	steps []step
	n     int
}

// pathRoom is the most nodes of a path that GetAll keeps. The path to a key of this chain has less than 20;
// what is below the last step kept is walked again for each key.
const pathRoom = 32

// A step is a node and the number of nibbles that lead to it.
type step struct {
	node  view
	depth int
}

// resume drops the nodes that are not on the way to key.
func (p *path) resume(key []byte) {
	i := commonBytes(p.key, key)
	c := 2 * i
	if i < len(p.key) && i < len(key) && (p.key[i]^key[i])>>4 == 0 {
		c++
	}
	for p.n > 0 && p.steps[p.n-1].depth > c {
		p.n--
	}
	p.key = key
}

// lookup walks to the node of key and returns it; if the outcome is Present, it has a value. It is good until
// from is used again. Every step takes a nibble of the key, so there are no more steps than that.
func (p *Proof) lookup(key []byte, used bitset, from *path) (*view, Outcome, error) {
	switch p.top {
	case emptyTop:
		return nil, Absent, nil
	case -1:
		return nil, Incomplete, nil
	}
	from.resume(key)
	var v *view
	at := 0 // nibbles of key that led to v
	if from.n > 0 {
		last := &from.steps[from.n-1]
		v, at = &last.node, last.depth
	} else {
		v = &from.steps[0].node
		used.set(p.top)
		if err := p.node(p.top, v); err != nil {
			return nil, Incomplete, err
		}
		if v.empty {
			return nil, Absent, nil
		}
		from.keep(0)
	}
	for {
		if !v.partial.begins(key, at) {
			return nil, Absent, nil
		}
		if at += v.partial.n; at == 2*len(key) {
			if v.kind == noValue {
				return nil, Absent, nil
			}
			return v, Present, nil
		}
		child := v.child(key[at>>1] >> (4 &^ (at << 2)) & 15)
		if child == nil {
			return nil, Absent, nil
		}
		v = &from.steps[from.n].node
		if len(child) < 32 {
			// The decoding of its parent has judged it.
			_ = decodeNode(child, v)
		} else {
			i := p.find(child)
			if i < 0 {
				return nil, Incomplete, nil
			}
			used.set(i)
			if err := p.node(i, v); err != nil {
				return nil, Incomplete, err
			}
		}
		at++
		from.keep(at)
	}
}

// keep makes the node decoded last part of the path. A leaf leads nowhere.
func (p *path) keep(depth int) {
	if s := &p.steps[p.n]; s.node.bitmap != 0 && p.n+1 < len(p.steps) {
		s.depth = depth
		p.n++
	}
}

// A bitset marks entries. The nil bitset marks nothing.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (s bitset) set(i int) {
	if s != nil {
		s[i>>6] |= 1 << (i & 63)
	}
}

func (s bitset) has(i int) bool { return s[i>>6]>>(i&63)&1 == 1 }
