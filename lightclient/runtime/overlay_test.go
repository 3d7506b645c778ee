package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A slow overlay: for each transaction a copy of all that was changed, by trie and key.
type slowOverlay struct {
	state  map[string][]byte // by child + "/" + key
	layers []map[string]*string
}

func (s *slowOverlay) top() map[string]*string { return s.layers[len(s.layers)-1] }

func (s *slowOverlay) get(child, key string) (string, bool) {
	if v, ok := s.top()[child+"/"+key]; ok {
		if v == nil {
			return "", false
		}
		return *v, true
	}
	v, ok := s.state[child+"/"+key]
	return string(v), ok
}

func (s *slowOverlay) set(child, key, value string) { s.top()[child+"/"+key] = &value }
func (s *slowOverlay) delete(child, key string)     { s.top()[child+"/"+key] = nil }

func (s *slowOverlay) append(key, item string) {
	v, _ := s.get("", key)
	r := scale.NewReader([]byte(v))
	n := r.Compact()
	if r.Err() != nil || n >= 1<<32-1 {
		s.set("", key, "\x04"+item)
		return
	}
	s.set("", key, string(scale.AppendCompact(nil, n+1))+v[r.Offset():]+item)
}

// keys returns all keys of a trie in order.
func (s *slowOverlay) keys(child string) []string {
	all := map[string]bool{}
	for k := range s.state {
		all[k] = true
	}
	for k, v := range s.top() {
		all[k] = v != nil
	}
	var list []string
	for k, there := range all {
		if c, key, _ := strings.Cut(k, "/"); c == child && there {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return list
}

func (s *slowOverlay) clear(child, prefix string, limit int) (visited uint32, all bool) {
	for k, v := range s.top() {
		if strings.HasPrefix(k, child+"/"+prefix) && v != nil {
			s.top()[k] = nil
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.state)) {
		if !strings.HasPrefix(k, child+"/"+prefix) {
			continue
		}
		if limit >= 0 && int(visited) == limit {
			return visited, false
		}
		s.top()[k] = nil
		visited++
	}
	return visited, true
}

// weight is what the overlay should say it holds.
func weight(o *Overlay) int {
	n := 0
	spaces := []*space{&o.main}
	for k, s := range o.children {
		n += entrySize + len(k)
		spaces = append(spaces, s)
	}
	for _, s := range spaces {
		for k, e := range s.entries {
			n += len(k) + e.size()
		}
	}
	for _, u := range o.journal {
		n += u.old.size()
	}
	return n
}

func TestOverlayModel(t *testing.T) {
	child := []byte(ChildPrefix + "c")
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		key := func() string { return string("abc\x00\xff"[rnd.IntN(5)]) + strings.Repeat("k", rnd.IntN(3)) }
		base := NewTrieState(trie.New(trie.V1))
		slow := &slowOverlay{state: map[string][]byte{}, layers: []map[string]*string{{}}}
		setup := NewOverlay(base)
		for range 6 {
			k, v := key(), key()
			setup.Set(nil, []byte(k), []byte(v))
			slow.state["/"+k] = []byte(v)
			setup.Set(child, []byte(k), []byte(v))
			slow.state["c/"+k] = []byte(v)
		}
		if _, err := setup.Root(trie.V1); err != nil {
			t.Fatal(err)
		}
		base = base.Apply(trie.V1, setup.Changes())
		root, _ := base.main.Get(child)
		slow.state["/"+string(child)] = root

		o := NewOverlay(base)
		for step := range 300 {
			in, name := []byte(nil), ""
			if rnd.IntN(3) == 0 {
				in, name = child, "c"
			}
			k := key()
			what := fmt.Sprintf("seed %d, step %d, key %s/%q", seed, step, name, k)
			switch rnd.IntN(9) {
			case 0, 1:
				v := strings.Repeat("v", rnd.IntN(50))
				o.Set(in, []byte(k), []byte(v))
				slow.set(name, k, v)
			case 2:
				o.Delete(in, []byte(k))
				slow.delete(name, k)
			case 3, 4:
				o.Append([]byte(k), []byte{byte(step)})
				slow.append(k, string([]byte{byte(step)}))
			case 5:
				if err := o.Begin(); err != nil {
					t.Fatal(err)
				}
				slow.layers = append(slow.layers, maps.Clone(slow.top()))
			case 6:
				n := len(slow.layers)
				if err := o.Rollback(); (err != nil) != (n == 1) {
					t.Fatalf("%s: rollback: %v", what, err)
				}
				if n > 1 {
					slow.layers = slow.layers[:n-1]
				}
			case 7:
				n := len(slow.layers)
				if err := o.Commit(); (err != nil) != (n == 1) {
					t.Fatalf("%s: commit: %v", what, err)
				}
				if n > 1 {
					slow.layers = append(slow.layers[:n-2], slow.layers[n-1])
				}
			case 8:
				limit := rnd.IntN(4) - 1
				visited, all, err := o.Clear(in, []byte(k), limit)
				if v, a := slow.clear(name, k, limit); err != nil || visited != v || all != a {
					t.Fatalf("%s: clear %d: %d, %v, %v; want %d, %v", what, limit, visited, all, err, v, a)
				}
			}
			k = key()
			v, found, err := o.Get(in, []byte(k))
			if want, ok := slow.get(name, k); err != nil || found != ok || string(v) != want {
				t.Fatalf("%s: get %q: %q, %v, %v; want %q, %v", what, k, v, found, err, want, ok)
			}
			if rnd.IntN(4) == 0 {
				var list []string
				for next, ok, err := o.Next(in, nil); ok; next, ok, err = o.Next(in, next) {
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, string(next))
				}
				if want := slow.keys(name); !slices.Equal(list, want) {
					t.Fatalf("%s: keys %q, want %q", what, list, want)
				}
			}
			if want := weight(o); o.size != want || o.Depth() != len(slow.layers)-1 {
				t.Fatalf("%s: size %d, want %d; depth %d, want %d", what, o.size, want, o.Depth(), len(slow.layers)-1)
			}
		}

		// What the changes make of the state has the root that was told, and the keys of the model.
		told, err := o.Root(trie.V1)
		if err != nil {
			t.Fatal(err)
		}
		after := base.Apply(trie.V1, o.Changes())
		if after.Trie().Root() != told {
			t.Fatalf("seed %d: root %v, was told %v", seed, after.Trie().Root(), told)
		}
		var list []string
		for _, k := range after.Trie().Keys(nil, nil, 0) {
			if !bytes.Equal(k, child) {
				list = append(list, string(k))
			}
		}
		want := slices.DeleteFunc(slow.keys(""), func(k string) bool { return k == string(child) })
		if !slices.Equal(list, want) {
			t.Fatalf("seed %d: keys %q, want %q", seed, list, want)
		}
		kv := map[string][]byte{}
		for _, k := range slow.keys("c") {
			v, _ := slow.get("c", k)
			kv[k] = []byte(v)
		}
		if r, ok := after.Trie().Get(child); ok != (len(kv) > 0) || ok && !bytes.Equal(r, hashBytes(trie.Root(trie.V1, kv))) {
			t.Fatalf("seed %d: root of the child trie %x, %v", seed, r, ok)
		}
	}
}

func hashBytes(h [32]byte) []byte { return h[:] }

func TestOverlayLimits(t *testing.T) {
	o := NewOverlay(NewTrieState(trie.New(trie.V1)))
	o.SetLimit(10_000)
	if err := o.Set(nil, []byte("k"), make([]byte, 9_000)); err != nil {
		t.Error(err)
	}
	if err := o.Set(nil, []byte("k"), make([]byte, 9_500)); err != nil {
		t.Errorf("in its own place: %v", err)
	}
	if err := o.Set(nil, []byte("l"), make([]byte, 9_000)); !errors.Is(err, ErrMemory) {
		t.Errorf("beside it: %v", err)
	}
	o.Reset()
	// A vector that grows in a transaction is held once, not once for each item.
	o.Begin()
	for range 1000 {
		if err := o.Append([]byte("events"), make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
	for range maxTransactions - 1 {
		if err := o.Begin(); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Begin(); !errors.Is(err, ErrMemory) {
		t.Errorf("too deep: %v", err)
	}
}

// A state that does not move on would be walked for ever.
type stuck struct{ empty }

func (stuck) Next(key []byte) ([]byte, bool, error) { return key, true, nil }

func TestStateThatDoesNotMove(t *testing.T) {
	o := NewOverlay(stuck{})
	if _, _, err := o.Next(nil, []byte("k")); !errors.Is(err, ErrState) {
		t.Errorf("next: %v", err)
	}
	if _, _, err := o.Clear(nil, nil, -1); !errors.Is(err, ErrState) {
		t.Errorf("clear: %v", err)
	}
}
