package runtime

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// A ProofState is a State that knows what a storage proof shows, and remembers what it was asked.
//
// Entries that no lookup comes to are let through: the peer that made a call proof recorded what its
// own execution touched, and what it has touched beside the values that we ask for (the siblings of
// a key that it deletes, the paths of a storage root) is no lie. Minimal cuts them out, CheckUsed
// refuses them.
type ProofState struct {
	nodes    [][]byte
	main     *proof
	children map[string]*proof
}

// A proof is the part of a ProofState that is about one trie.
type proof struct {
	child      []byte
	p          *trie.Proof
	keys, next map[string]bool
}

// NewProofState returns the state with the given root as far as the entries of the proof show it.
// It refuses what trie.NewProof refuses.
func NewProofState(root verify.Hash, nodes [][]byte) (*ProofState, error) {
	p, err := trie.NewProof(root, nodes)
	if err != nil {
		return nil, err
	}
	return &ProofState{nodes: nodes, main: newProof(nil, p), children: map[string]*proof{}}, nil
}

func newProof(child []byte, p *trie.Proof) *proof {
	return &proof{child, p, map[string]bool{}, map[string]bool{}}
}

// Extend returns a state that knows the entries of nodes beside those of s, for a call that is run
// again after ErrIncomplete. What s was asked is forgotten.
func (s *ProofState) Extend(nodes [][]byte) (*ProofState, error) {
	p, err := s.main.p.Extend(nodes)
	if err != nil {
		return nil, err
	}
	known := map[verify.Hash]bool{}
	all := slices.Clip(s.nodes)
	for _, n := range s.nodes {
		known[verify.Blake2b256(n)] = true
	}
	for _, n := range nodes {
		if h := verify.Blake2b256(n); !known[h] {
			known[h] = true
			all = append(all, n)
		}
	}
	return &ProofState{nodes: all, main: newProof(nil, p), children: map[string]*proof{}}, nil
}

// Get implements State.
func (s *ProofState) Get(key []byte) ([]byte, bool, error) { return s.main.Get(key) }

// Next implements State.
func (s *ProofState) Next(key []byte) ([]byte, bool, error) { return s.main.Next(key) }

// Child implements ParentState.
func (s *ProofState) Child(key []byte) (State, error) {
	if c := s.children[string(key)]; c != nil {
		return c, nil
	}
	value, found, err := s.main.Get(key)
	if err != nil {
		return nil, err
	}
	if !found {
		return empty{}, nil
	}
	if len(value) != 32 {
		return nil, fmt.Errorf("%w: its root has %d bytes", ErrState, len(value))
	}
	p, err := trie.NewProof(verify.Hash(value), s.nodes)
	if err != nil {
		return nil, err
	}
	c := newProof(bytes.Clone(key), p)
	s.children[string(key)] = c
	return c, nil
}

func (p *proof) Get(key []byte) ([]byte, bool, error) {
	p.keys[string(key)] = true
	value, o, err := p.p.Get(key)
	return value, o == trie.Present, p.incomplete(o, err, key, false)
}

func (p *proof) Next(key []byte) ([]byte, bool, error) {
	p.next[string(key)] = true
	next, o, err := p.p.Next(key)
	return next, o == trie.Present, p.incomplete(o, err, key, true)
}

func (p *proof) incomplete(o trie.Outcome, err error, key []byte, next bool) error {
	if err == nil && o == trie.Incomplete {
		return &IncompleteError{Child: p.child, Key: bytes.Clone(key), Next: next}
	}
	return err
}

func (p *proof) query() trie.Query {
	var q trie.Query
	for k := range p.keys {
		q.Keys = append(q.Keys, []byte(k))
	}
	for k := range p.next {
		q.Next = append(q.Next, []byte(k))
	}
	return q
}

// Minimal returns the entries that the lookups so far have come to and no other: the proof to keep.
func (s *ProofState) Minimal() ([][]byte, error) {
	nodes, err := s.main.p.MinimalQuery(s.main.query())
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, n := range nodes {
		have[string(n)] = true
	}
	for _, k := range sortedKeys(s.children) {
		c := s.children[k]
		more, err := c.p.MinimalQuery(c.query())
		if err != nil {
			return nil, fmt.Errorf("child trie %q: %w", k, err)
		}
		for _, n := range more {
			if !have[string(n)] {
				have[string(n)] = true
				nodes = append(nodes, n)
			}
		}
	}
	return nodes, nil
}

// CheckUsed returns trie.ErrUnusedNode if the proof has entries to which no lookup so far has come.
func (s *ProofState) CheckUsed() error {
	nodes, err := s.Minimal()
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, n := range nodes {
		have[string(n)] = true
	}
	for i, n := range s.nodes {
		if !have[string(n)] {
			return fmt.Errorf("entry %d of %d: %w", i, len(s.nodes), trie.ErrUnusedNode)
		}
	}
	return nil
}
