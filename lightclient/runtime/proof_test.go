package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// Every kind of question to a proof of a state with a child trie: the answers of the whole state where
// the proof reaches, and what is missing where it does not.
func TestProofState(t *testing.T) {
	child := []byte(ChildPrefix + "c")
	setup := NewOverlay(NewTrieState(trie.New(trie.V1)))
	for i := range 40 {
		setup.Set(nil, fmt.Appendf(nil, "main key %d", i), bytes.Repeat([]byte{byte(i)}, 50))
		setup.Set(child, fmt.Appendf(nil, "child key %d", i), bytes.Repeat([]byte{byte(i)}, 60))
	}
	root, err := setup.Root(trie.V1)
	if err != nil {
		t.Fatal(err)
	}
	whole := NewTrieState(trie.New(trie.V1)).Apply(trie.V1, setup.Changes())

	for name, ask := range map[string]func(o *Overlay) (string, error){
		"a value": func(o *Overlay) (string, error) {
			v, ok, err := o.Get(nil, []byte("main key 7"))
			return fmt.Sprint(v, ok), err
		},
		"no value": func(o *Overlay) (string, error) {
			v, ok, err := o.Get(nil, []byte("main key 77"))
			return fmt.Sprint(v, ok), err
		},
		"a next key": func(o *Overlay) (string, error) {
			v, ok, err := o.Next(nil, []byte("main key 19"))
			return fmt.Sprint(v, ok), err
		},
		"no next key": func(o *Overlay) (string, error) {
			v, ok, err := o.Next(nil, []byte("main key 99"))
			return fmt.Sprint(v, ok), err
		},
		"a child value": func(o *Overlay) (string, error) {
			v, ok, err := o.Get(child, []byte("child key 7"))
			return fmt.Sprint(v, ok), err
		},
		"a child's next": func(o *Overlay) (string, error) {
			v, ok, err := o.Next(child, []byte("child key 19"))
			return fmt.Sprint(v, ok), err
		},
		"of no child": func(o *Overlay) (string, error) {
			v, ok, err := o.Get([]byte(ChildPrefix+"d"), []byte("k"))
			return fmt.Sprint(v, ok), err
		},
		"keys to clear": func(o *Overlay) (string, error) {
			n, all, err := o.Clear(child, []byte("child key 1"), -1)
			return fmt.Sprint(n, all), err
		},
	} {
		want, err := ask(NewOverlay(whole))
		if err != nil {
			t.Fatal(err)
		}
		// All nodes of both tries, as no honest proof would have them.
		nodes := whole.main.ProveQuery(trie.Query{Prefixes: [][]byte{{}}, Keys: whole.main.Keys(nil, nil, 0)})
		c := whole.children[string(child)]
		nodes = append(nodes, c.ProveQuery(trie.Query{Prefixes: [][]byte{{}}, Keys: c.Keys(nil, nil, 0)})...)
		s, err := NewProofState(root, nodes)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ask(NewOverlay(s)); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
		if err := s.CheckUsed(); !errors.Is(err, trie.ErrUnusedNode) {
			t.Errorf("%s: with all nodes: %v", name, err)
		}
		// What it kept is enough, and nothing of it can be spared.
		kept, err := s.Minimal()
		if err != nil {
			t.Fatal(err)
		}
		if len(kept) >= len(nodes) {
			t.Errorf("%s: all %d nodes are kept", name, len(kept))
		}
		if s, err = NewProofState(root, kept); err != nil {
			t.Fatal(err)
		}
		if got, err := ask(NewOverlay(s)); err != nil || got != want {
			t.Errorf("%s: of what was kept: %s, %v, want %s", name, got, err, want)
		}
		if err := s.CheckUsed(); err != nil {
			t.Errorf("%s: of what was kept: %v", name, err)
		}
		for i := range kept {
			less := append(append([][]byte(nil), kept[:i]...), kept[i+1:]...)
			s, err := NewProofState(root, less)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ask(NewOverlay(s))
			var missing *IncompleteError
			if !errors.As(err, &missing) {
				t.Errorf("%s without node %d of %d: %s, %v", name, i, len(kept), got, err)
				continue
			}
			if s, err = s.Extend(nodes); err != nil {
				t.Fatal(err)
			}
			if got, err := ask(NewOverlay(s)); err != nil || got != want {
				t.Errorf("%s extended: %s, %v, want %s", name, got, err, want)
			}
		}
	}
	if _, err := NewProofState(verify.Hash{}, [][]byte{make([]byte, 40), make([]byte, 40)}); !errors.Is(err, trie.ErrDuplicateNode) {
		t.Errorf("a node twice: %v", err)
	}
}
