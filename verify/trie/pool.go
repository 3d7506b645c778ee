package trie

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
)

// ErrOrder: the entries of a pool are not in ascending order of their hashes.
var ErrOrder = errors.New("entry out of order")

// A Pool is a list of entries for proofs of several roots: the states of several blocks share most of their
// entries, so together they are shorter than apart. Each entry is hashed once, however many roots there are.
//
// It is immutable and safe for use by several goroutines, as long as nobody changes the bytes it was
// made of.
type Pool struct{ all *Proof }

// NewPool hashes the entries and indexes them, and refuses what NewProof refuses. Entries under 32 bytes are
// refused as well, since none of them is known to be a root: a state with so small a root node has one
// key, and no chain has such a state.
func NewPool(nodes [][]byte) (*Pool, error) {
	// Nothing has the hash zero, so no entry is taken for the root.
	all, err := NewProof(verify.Hash{}, nodes)
	if err != nil {
		return nil, err
	}
	return &Pool{all}, nil
}

// Len returns the number of entries.
func (p *Pool) Len() int { return p.all.Len() }

// Size returns the number of bytes of the entries.
func (p *Pool) Size() int { return p.all.Size() }

// Hash returns the hash of the entry at a position.
func (p *Pool) Hash(i int) verify.Hash { return p.all.hashes[i] }

// CheckOrder returns ErrOrder, naming the entry, unless the entries are in ascending order of their hashes.
func (p *Pool) CheckOrder() error {
	for i := 1; i < len(p.all.hashes); i++ {
		if bytes.Compare(p.all.hashes[i-1][:], p.all.hashes[i][:]) >= 0 {
			return fmt.Errorf("proof: entry %d, %s: %w", i, p.all.hashes[i].Short(), ErrOrder)
		}
	}
	return nil
}

// At returns the proof for one root that has the entries of p. It hashes and copies nothing.
func (p *Pool) At(root verify.Hash) *Proof {
	proof := *p.all
	proof.root, proof.top = root, proof.find(root[:])
	if root == EmptyRoot {
		proof.top = emptyTop
	}
	return &proof
}

// A Usage marks the entries of a pool that lookups come to, for all roots together. It belongs to one
// goroutine.
type Usage struct {
	pool *Pool
	used bitset
}

// Usage returns the accounting of p with nothing marked.
func (p *Pool) Usage() *Usage { return &Usage{p, newBitset(p.Len())} }

// GetAll looks keys up as Proof.GetAll does, in the trie with the given root, and marks the entries that it
// comes to, which an incomplete lookup does as well.
func (u *Usage) GetAll(root verify.Hash, keys [][]byte) ([]Answer, error) {
	proof := u.pool.At(root)
	answers := make([]Answer, len(keys))
	var room [pathRoom]step
	from := path{steps: room[:]}
	for i, key := range keys {
		v, o, err := proof.get(key, u.used, &from)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		answers[i] = Answer{v, o}
	}
	return answers, nil
}

// ValueHash looks the hash of a key's value up as Proof.ValueHash does, in the trie with the given root, and
// marks the entries on the way, which the value's own is not one of.
func (u *Usage) ValueHash(root verify.Hash, key []byte) (verify.Hash, Outcome, error) {
	return u.pool.At(root).valueHash(key, u.used)
}

// Next looks the next key up as Proof.Next does, in the trie with the given root, and marks the entries that
// it comes to.
func (u *Usage) Next(root verify.Hash, key []byte) ([]byte, Outcome, error) {
	return u.pool.At(root).nextKey(key, u.used)
}

// CheckAll returns ErrUnusedNode, naming the entry, if no lookup came to one.
func (u *Usage) CheckAll() error {
	for i := range u.pool.all.nodes {
		if !u.used.has(i) {
			return fmt.Errorf("proof: entry %d, %s: %w", i, u.pool.all.hashes[i].Short(), ErrUnusedNode)
		}
	}
	return nil
}

// Nodes returns the marked entries in the order of the pool: what all the lookups take, and no other.
func (u *Usage) Nodes() [][]byte {
	var nodes [][]byte
	for i, n := range u.pool.all.nodes {
		if u.used.has(i) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
