package runtime

import (
	"bytes"
	"fmt"
	"slices"
	"sort"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A State is the state that a call starts from: keys and values in the main trie, or in a child
// trie. Its methods are called by one goroutine at a time.
//
// A State that cannot say (a proof that lacks a node) returns an error, which ends the call; it
// must never say that there is no value because it does not know one. An error that wraps
// ErrIncomplete should be an *IncompleteError.
type State interface {
	// Get returns the value of key. It is not changed, nor kept after the call.
	Get(key []byte) (value []byte, found bool, err error)
	// Next returns the smallest key above key.
	Next(key []byte) (next []byte, found bool, err error)
}

// A ParentState is a State that has child tries as well. Without it, a call can know that there is
// no child trie of a name, and nothing more.
type ParentState interface {
	State
	// Child returns the child trie that stands under key, which begins with ChildPrefix; the empty
	// one if there is none.
	Child(key []byte) (State, error)
}

// A WholeState is a State that can tell its root after changes, as block authoring needs. Without
// it, a call that asks for the root ends with ErrRoot.
type WholeState interface {
	State
	// Root returns the root of the trie after the changes, which are in order and have no Child.
	Root(v trie.Version, changes []Change) (verify.Hash, error)
}

// ChildPrefix is what the keys begin with under which the roots of child tries stand.
const ChildPrefix = ":child_storage:default:"

// childStorage is what no runtime may write itself.
const childStorage = ":child_storage:"

// A Change is one key that a call has changed.
type Change struct {
	Child   []byte // the child trie's key in the main trie, nil for the main trie itself
	Key     []byte
	Value   []byte
	Deleted bool
}

// An Overlay is a State and the changes that calls have made to it, in nested transactions. It
// belongs to one goroutine.
type Overlay struct {
	state State
	main  space
	// children by their keys in the main trie.
	children map[string]*space
	// journal holds what to put back when a transaction is rolled back, and marks where each began.
	journal []undo
	marks   []mark
	serial  uint64 // of the last transaction begun
	size    int    // bytes held by the changes and the journal
	limit   int
}

// A space is the changed keys of one trie.
type space struct {
	state   State
	entries map[string]*entry
	sorted  []string // the keys of entries, in order, but for
	fresh   []string // those that are new since the last time that the order mattered
}

// An entry is what the overlay knows of a key. It is never changed, only replaced, so that the
// journal can hold it.
type entry struct {
	kind  byte
	value []byte
	// A value that was appended to is held as its items and their number: the length in front
	// changes with each, and copying all for each event of a block would take the square of them.
	// Entries share the array behind items; the one that was rolled back to overwrites what is not
	// its own.
	items []byte
	count uint32
	// serial is that of the last transaction begun when the entry was written: if the innermost one
	// that is open is no later, the journal holds what was there before.
	serial uint64
}

const (
	untouched = iota // known to the index alone: a change of it was rolled back
	deleted
	present
	vector
)

// A mark is the place in the journal where a transaction began.
type mark struct {
	journal int
	serial  uint64
}

type undo struct {
	in  *space
	key string
	old *entry // nil: there was none
}

// entrySize is what an entry costs beside its bytes, roughly.
const entrySize = 160

// maxTransactions bounds how deep transactions nest. The pallets nest them to 255 at most.
const maxTransactions = 1024

// OverlayLimit is how many bytes of changes an overlay holds, by default.
const OverlayLimit = 128 << 20

// NewOverlay returns an overlay without changes. A nil state knows nothing: reading from it ends a
// call with ErrIncomplete.
func NewOverlay(s State) *Overlay {
	if s == nil {
		s = unknown{}
	}
	o := &Overlay{state: s, limit: OverlayLimit}
	o.Reset()
	return o
}

// SetLimit sets how many bytes of changes o holds; more ends the call with ErrMemory.
func (o *Overlay) SetLimit(bytes int) { o.limit = bytes }

// Reset forgets all changes and transactions.
func (o *Overlay) Reset() {
	o.main = space{state: o.state, entries: map[string]*entry{}}
	o.children, o.journal, o.marks, o.size = nil, nil, nil, 0
}

// unknown is the state of which nothing is known.
type unknown struct{}

func (unknown) Get(key []byte) ([]byte, bool, error) {
	return nil, false, &IncompleteError{Key: bytes.Clone(key)}
}

func (unknown) Next(key []byte) ([]byte, bool, error) {
	return nil, false, &IncompleteError{Key: bytes.Clone(key), Next: true}
}

// empty is the state without keys: that of a child trie which is not there.
type empty struct{}

func (empty) Get([]byte) ([]byte, bool, error)  { return nil, false, nil }
func (empty) Next([]byte) ([]byte, bool, error) { return nil, false, nil }
func (empty) Root(v trie.Version, changes []Change) (verify.Hash, error) {
	return NewTrieState(trie.New(v)).Root(v, changes)
}

// Depth returns the number of open transactions.
func (o *Overlay) Depth() int { return len(o.marks) }

// Begin opens a transaction within those that are open.
func (o *Overlay) Begin() error {
	if len(o.marks) == maxTransactions {
		return fmt.Errorf("transaction: %w: more than %d nested", ErrMemory, maxTransactions)
	}
	o.serial++
	o.marks = append(o.marks, mark{len(o.journal), o.serial})
	return nil
}

// Commit ends the innermost transaction and keeps its changes in the one around it.
func (o *Overlay) Commit() error {
	if len(o.marks) == 0 {
		return fmt.Errorf("commit: %w", ErrTransaction)
	}
	o.marks = o.marks[:len(o.marks)-1]
	if len(o.marks) == 0 {
		for i := range o.journal {
			o.size -= o.journal[i].old.size()
		}
		clear(o.journal)
		o.journal = o.journal[:0]
	}
	return nil
}

// Rollback ends the innermost transaction and takes its changes back.
func (o *Overlay) Rollback() error {
	if len(o.marks) == 0 {
		return fmt.Errorf("rollback: %w", ErrTransaction)
	}
	from := o.marks[len(o.marks)-1].journal
	o.marks = o.marks[:len(o.marks)-1]
	for i := len(o.journal) - 1; i >= from; i-- {
		u := &o.journal[i]
		o.size -= u.in.entries[u.key].size()
		if u.old == nil {
			u.old = &entry{} // the key stays in the index
			o.size += u.old.size()
		}
		u.in.entries[u.key] = u.old
	}
	clear(o.journal[from:])
	o.journal = o.journal[:from]
	return nil
}

// unwind rolls back to depth.
func (o *Overlay) unwind(depth int) {
	for len(o.marks) > depth {
		_ = o.Rollback()
	}
}

// size returns the bytes that e keeps from being freed; an array that is shared is counted for each.
func (e *entry) size() int {
	if e == nil {
		return 0
	}
	return entrySize + len(e.value) + len(e.items)
}

// in returns the space of a child trie, or of the main trie if child is nil. A nil space with no
// error means that nothing is known to be in the child trie, and that create was false.
func (o *Overlay) in(child []byte) (*space, error) {
	if child == nil {
		return &o.main, nil
	}
	if s := o.children[string(child)]; s != nil {
		return s, nil
	}
	var state State
	if p, ok := o.state.(ParentState); ok {
		var err error
		if state, err = p.Child(child); err != nil {
			return nil, fmt.Errorf("child trie %q: %w", child, err)
		}
	} else {
		_, found, err := o.state.Get(child)
		if err != nil {
			return nil, fmt.Errorf("child trie %q: %w", child, err)
		}
		if found {
			return nil, fmt.Errorf("child trie %q: %w: the state has no child tries", child, ErrRoot)
		}
		state = empty{}
	}
	o.size += entrySize + len(child)
	if o.size > o.limit {
		return nil, o.full()
	}
	if o.children == nil {
		o.children = map[string]*space{}
	}
	s := &space{state: state, entries: map[string]*entry{}}
	o.children[string(child)] = s
	return s, nil
}

func (o *Overlay) full() error {
	return fmt.Errorf("overlay: %w: more than %d bytes of changes", ErrMemory, o.limit)
}

// put replaces the entry of key.
func (o *Overlay) put(s *space, key string, e *entry) error {
	old := s.entries[key]
	if old == nil {
		s.fresh = append(s.fresh, key)
		o.size += len(key)
	}
	if n := len(o.marks); n > 0 && (old == nil || old.serial < o.marks[n-1].serial) {
		o.journal = append(o.journal, undo{s, key, old})
	} else {
		o.size -= old.size()
	}
	e.serial = o.serial
	s.entries[key] = e
	if o.size += e.size(); o.size > o.limit {
		return o.full()
	}
	return nil
}

// Get returns the value of key after all changes; child is nil for the main trie. It must not be
// changed.
func (o *Overlay) Get(child, key []byte) (value []byte, found bool, err error) {
	s, err := o.in(child)
	if err != nil {
		return nil, false, err
	}
	return s.get(key)
}

func (s *space) get(key []byte) ([]byte, bool, error) {
	if e := s.entries[string(key)]; e != nil {
		switch e.kind {
		case deleted:
			return nil, false, nil
		case present:
			return e.value, true, nil
		case vector:
			return append(scale.AppendCompact(nil, uint64(e.count)), e.items...), true, nil
		}
	}
	return s.state.Get(key)
}

// Set sets the value of key. Both are copied.
func (o *Overlay) Set(child, key, value []byte) error {
	s, err := o.in(child)
	if err != nil {
		return err
	}
	return o.put(s, string(key), &entry{kind: present, value: append(make([]byte, 0, len(value)), value...)})
}

// Delete removes key.
func (o *Overlay) Delete(child, key []byte) error {
	s, err := o.in(child)
	if err != nil {
		return err
	}
	return o.put(s, string(key), &entry{kind: deleted})
}

// Append appends item to the SCALE vector under key in the main trie. What is no vector, or not
// there, becomes the vector of this one item.
func (o *Overlay) Append(key, item []byte) error {
	s := &o.main
	e := s.entries[string(key)]
	if e == nil || e.kind != vector {
		value, _, err := s.get(key)
		if err != nil {
			return err
		}
		e = &entry{kind: vector}
		r := scale.NewReader(value)
		if n := r.Compact(); r.Err() == nil && n <= 0xffff_ffff {
			e.items, e.count = bytes.Clone(value[r.Offset():]), uint32(n)
		}
	}
	if e.count == 0xffff_ffff {
		e = &entry{kind: vector}
	}
	return o.put(s, string(key), &entry{kind: vector, items: append(e.items, item...), count: e.count + 1})
}

// Next returns the smallest key above key after all changes.
func (o *Overlay) Next(child, key []byte) (next []byte, found bool, err error) {
	s, err := o.in(child)
	if err != nil {
		return nil, false, err
	}
	// The next key of the state that the overlay has not deleted …
	from := key
	for {
		k, ok, err := s.below(from)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			break
		}
		if e := s.entries[string(k)]; e == nil || e.kind != deleted {
			next = k
			break
		}
		from = k
	}
	// … or one that it has set.
	index := s.index()
	i := sort.SearchStrings(index, string(key))
	for ; i < len(index); i++ {
		k := index[i]
		if next != nil && k >= string(next) {
			break
		}
		if e := s.entries[k]; k > string(key) && (e.kind == present || e.kind == vector) {
			return []byte(k), true, nil
		}
	}
	return next, next != nil, nil
}

// below returns the next key of the state under the overlay. One that does not move on would be
// walked for ever.
func (s *space) below(key []byte) ([]byte, bool, error) {
	next, found, err := s.state.Next(key)
	if err == nil && found && bytes.Compare(next, key) <= 0 {
		err = fmt.Errorf("key after 0x%x: %w: it says 0x%x", key, ErrState, next)
	}
	return next, found, err
}

// index returns the keys of s in order.
func (s *space) index() []string {
	if len(s.fresh) == 0 {
		return s.sorted
	}
	slices.Sort(s.fresh)
	merged := make([]string, 0, len(s.sorted)+len(s.fresh))
	a, b := s.sorted, s.fresh
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	s.sorted, s.fresh = append(append(merged, a...), b...), nil
	return s.sorted
}

// Clear deletes the keys that begin with prefix. With a limit that is not negative, it deletes all
// that the overlay has set, and limit of the state's own keys. It returns how many keys of the state
// it looked at, and whether it came to the end of them.
func (o *Overlay) Clear(child, prefix []byte, limit int) (visited uint32, all bool, err error) {
	s, err := o.in(child)
	if err != nil {
		return 0, false, err
	}
	index := s.index()
	for i := sort.SearchStrings(index, string(prefix)); i < len(index) && hasPrefix(index[i], prefix); i++ {
		if e := s.entries[index[i]]; e.kind == present || e.kind == vector {
			if err := o.put(s, index[i], &entry{kind: deleted}); err != nil {
				return 0, false, err
			}
		}
	}
	key, found := prefix, false
	if _, found, err = s.state.Get(prefix); err == nil && !found {
		key, found, err = s.below(prefix)
	}
	for ; err == nil && found && bytes.HasPrefix(key, prefix); key, found, err = s.below(key) {
		if limit >= 0 && uint64(visited) == uint64(limit) {
			return visited, false, nil
		}
		if e := s.entries[string(key)]; e == nil || e.kind != deleted {
			if err := o.put(s, string(key), &entry{kind: deleted}); err != nil {
				return 0, false, err
			}
		}
		visited++
	}
	return visited, err == nil, err
}

func hasPrefix(s string, prefix []byte) bool {
	return len(s) >= len(prefix) && s[:len(prefix)] == string(prefix)
}

// Root returns the state root after all changes, for a state that is whole. The roots of the child
// tries that were changed are put into the main trie first.
func (o *Overlay) Root(v trie.Version) (verify.Hash, error) {
	for _, child := range sortedKeys(o.children) {
		if _, err := o.ChildRoot([]byte(child), v); err != nil {
			return verify.Hash{}, err
		}
	}
	return o.main.root(v)
}

// ChildRoot returns the root of a child trie after all changes, and puts it into the main trie: an
// empty one is taken out.
func (o *Overlay) ChildRoot(child []byte, v trie.Version) (verify.Hash, error) {
	s, err := o.in(child)
	if err != nil {
		return verify.Hash{}, err
	}
	root, err := s.root(v)
	if err != nil {
		return verify.Hash{}, fmt.Errorf("child trie %q: %w", child, err)
	}
	if root == trie.EmptyRoot {
		return root, o.Delete(nil, child)
	}
	return root, o.Set(nil, child, root[:])
}

func (s *space) root(v trie.Version) (verify.Hash, error) {
	w, ok := s.state.(WholeState)
	if !ok {
		return verify.Hash{}, fmt.Errorf("storage root: %w: the state is not whole", ErrRoot)
	}
	return w.Root(v, s.changes(nil, nil))
}

// Changes returns what differs from the state, or may: the keys of the main trie in order, then
// those of each child trie. The roots of child tries are as Root has last put them.
func (o *Overlay) Changes() []Change {
	list := o.main.changes(nil, nil)
	for _, k := range sortedKeys(o.children) {
		list = o.children[k].changes(list, []byte(k))
	}
	return list
}

func (s *space) changes(list []Change, child []byte) []Change {
	for _, k := range s.index() {
		switch e := s.entries[k]; e.kind {
		case deleted:
			list = append(list, Change{Child: child, Key: []byte(k), Deleted: true})
		case present, vector:
			value, _, _ := s.get([]byte(k))
			list = append(list, Change{Child: child, Key: []byte(k), Value: value})
		}
	}
	return list
}
