package runtime

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// A TrieState is a State that is known whole. It never changes, like the trie it is made of.
type TrieState struct {
	main     *trie.Trie
	children map[string]*trie.Trie
}

// NewTrieState returns the state of a trie without child tries.
func NewTrieState(t *trie.Trie) *TrieState { return &TrieState{main: t} }

// Trie returns the main trie.
func (s *TrieState) Trie() *trie.Trie { return s.main }

// Get implements State.
func (s *TrieState) Get(key []byte) ([]byte, bool, error) {
	v, ok := s.main.Get(key)
	return v, ok, nil
}

// Next implements State.
func (s *TrieState) Next(key []byte) ([]byte, bool, error) {
	k, ok := s.main.Next(key)
	return k, ok, nil
}

// Child implements ParentState.
func (s *TrieState) Child(key []byte) (State, error) {
	if t := s.children[string(key)]; t != nil {
		return NewTrieState(t), nil
	}
	if _, ok := s.main.Get(key); ok {
		return nil, fmt.Errorf("%w: the trie is not among those of the state", ErrRoot)
	}
	return empty{}, nil
}

// Root implements WholeState.
func (s *TrieState) Root(v trie.Version, changes []Change) (verify.Hash, error) {
	return apply(s.main.WithVersion(v), changes).Root(), nil
}

// Apply returns the state after changes, as Overlay.Changes returns them after Overlay.Root.
// Values are stored as v wants it.
func (s *TrieState) Apply(v trie.Version, changes []Change) *TrieState {
	next := &TrieState{main: s.main.WithVersion(v), children: map[string]*trie.Trie{}}
	for k, t := range s.children {
		next.children[k] = t
	}
	for len(changes) > 0 {
		child := changes[0].Child
		n := 1
		for n < len(changes) && bytes.Equal(changes[n].Child, child) {
			n++
		}
		if child == nil {
			next.main = apply(next.main, changes[:n])
		} else {
			t := next.children[string(child)]
			if t == nil {
				t = trie.New(v)
			}
			if t = apply(t.WithVersion(v), changes[:n]); t.Len() > 0 {
				next.children[string(child)] = t
			} else {
				delete(next.children, string(child))
			}
		}
		changes = changes[n:]
	}
	return next
}

func apply(t *trie.Trie, changes []Change) *trie.Trie {
	for _, c := range changes {
		if c.Deleted {
			t = t.Delete(c.Key)
		} else {
			t = t.Put(c.Key, c.Value)
		}
	}
	return t
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
