package runtime

import (
	"fmt"
	"strings"

	"github.com/taolight/taolight/verify/scale"
)

// The host functions over the state. A key that is asked for and not known ends the call.

var storageFunctions = map[string]hostFunction{
	"ext_storage_get_version_1":      {"I:I", func(c *call, s []uint64) { s[0] = c.get(nil, s[0]) }},
	"ext_storage_read_version_1":     {"IIi:I", func(c *call, s []uint64) { s[0] = c.read(nil, s[0], s[1], s[2]) }},
	"ext_storage_exists_version_1":   {"I:i", func(c *call, s []uint64) { s[0] = c.exists(nil, s[0]) }},
	"ext_storage_next_key_version_1": {"I:I", func(c *call, s []uint64) { s[0] = c.nextKey(nil, s[0]) }},
	"ext_storage_set_version_1": {"II:", func(c *call, s []uint64) {
		if key := c.bytes(s[0]); !c.childKey(key) {
			c.check(c.overlay.Set(nil, key, c.bytes(s[1])))
		}
	}},
	"ext_storage_clear_version_1": {"I:", func(c *call, s []uint64) {
		if key := c.bytes(s[0]); !c.childKey(key) {
			c.check(c.overlay.Delete(nil, key))
		}
	}},
	"ext_storage_append_version_1": {"II:", func(c *call, s []uint64) {
		c.check(c.overlay.Append(c.bytes(s[0]), c.bytes(s[1])))
	}},
	"ext_storage_clear_prefix_version_1": {"I:", func(c *call, s []uint64) { c.clearPrefix(nil, c.bytes(s[0]), -1) }},
	"ext_storage_clear_prefix_version_2": {"II:I", func(c *call, s []uint64) {
		s[0] = c.clearPrefix(nil, c.bytes(s[0]), c.limit(s[1]))
	}},
	"ext_storage_root_version_1": {":I", func(c *call, s []uint64) { s[0] = c.root(nil, 0) }},
	"ext_storage_root_version_2": {"i:I", func(c *call, s []uint64) { s[0] = c.root(nil, s[0]) }},
	// Gone from Substrate; a node answers that there is none.
	"ext_storage_changes_root_version_1":         {"I:I", func(c *call, s []uint64) { s[0] = c.give(option(nil, false)) }},
	"ext_storage_start_transaction_version_1":    {":", func(c *call, s []uint64) { c.check(c.overlay.Begin()) }},
	"ext_storage_commit_transaction_version_1":   {":", func(c *call, s []uint64) { c.end(c.overlay.Commit) }},
	"ext_storage_rollback_transaction_version_1": {":", func(c *call, s []uint64) { c.end(c.overlay.Rollback) }},
}

var childFunctions = map[string]hostFunction{
	"ext_default_child_storage_get_version_1":  {"II:I", func(c *call, s []uint64) { s[0] = c.get(c.child(s[0]), s[1]) }},
	"ext_default_child_storage_read_version_1": {"IIIi:I", func(c *call, s []uint64) { s[0] = c.read(c.child(s[0]), s[1], s[2], s[3]) }},
	"ext_default_child_storage_exists_version_1": {"II:i", func(c *call, s []uint64) {
		s[0] = c.exists(c.child(s[0]), s[1])
	}},
	"ext_default_child_storage_next_key_version_1": {"II:I", func(c *call, s []uint64) {
		s[0] = c.nextKey(c.child(s[0]), s[1])
	}},
	"ext_default_child_storage_set_version_1": {"III:", func(c *call, s []uint64) {
		c.check(c.overlay.Set(c.child(s[0]), c.bytes(s[1]), c.bytes(s[2])))
	}},
	"ext_default_child_storage_clear_version_1": {"II:", func(c *call, s []uint64) {
		c.check(c.overlay.Delete(c.child(s[0]), c.bytes(s[1])))
	}},
	"ext_default_child_storage_clear_prefix_version_1": {"II:", func(c *call, s []uint64) {
		c.clearPrefix(c.child(s[0]), c.bytes(s[1]), -1)
	}},
	"ext_default_child_storage_clear_prefix_version_2": {"III:I", func(c *call, s []uint64) {
		s[0] = c.clearPrefix(c.child(s[0]), c.bytes(s[1]), c.limit(s[2]))
	}},
	"ext_default_child_storage_storage_kill_version_1": {"I:", func(c *call, s []uint64) { c.clearPrefix(c.child(s[0]), nil, -1) }},
	"ext_default_child_storage_storage_kill_version_2": {"II:i", func(c *call, s []uint64) {
		_, all, err := c.overlay.Clear(c.child(s[0]), nil, c.limit(s[1]))
		c.check(err)
		s[0] = truth(all)
	}},
	"ext_default_child_storage_storage_kill_version_3": {"II:I", func(c *call, s []uint64) {
		s[0] = c.clearPrefix(c.child(s[0]), nil, c.limit(s[1]))
	}},
	"ext_default_child_storage_root_version_1": {"I:I", func(c *call, s []uint64) { s[0] = c.root(c.child(s[0]), 0) }},
	"ext_default_child_storage_root_version_2": {"Ii:I", func(c *call, s []uint64) { s[0] = c.root(c.child(s[0]), s[1]) }},
}

// child returns the key in the main trie of the child trie with a name.
func (c *call) child(name uint64) []byte { return append([]byte(ChildPrefix), c.bytes(name)...) }

// childKey reports whether key is one that holds the root of a child trie, which a runtime can only
// read: a node ignores such a write.
func (c *call) childKey(key []byte) bool {
	if !strings.HasPrefix(string(key), childStorage) {
		return false
	}
	c.log(LogWarn, []byte("runtime"), []byte("a child trie's own key is not written"))
	return true
}

func (c *call) lookup(child []byte, key uint64) ([]byte, bool) {
	value, found, err := c.overlay.Get(child, c.bytes(key))
	c.check(err)
	return value, found
}

func (c *call) get(child []byte, key uint64) uint64 { return c.give(option(c.lookup(child, key))) }

func (c *call) exists(child []byte, key uint64) uint64 {
	_, found := c.lookup(child, key)
	return truth(found)
}

// read copies what fits of the value from offset on, and returns how much there was from there.
func (c *call) read(child []byte, key, out, offset uint64) uint64 {
	value, found := c.lookup(child, key)
	if !found {
		return c.give([]byte{0})
	}
	value = value[min(uint64(uint32(offset)), uint64(len(value))):]
	copy(c.bytes(out), value)
	return c.give(scale.AppendU32([]byte{1}, uint32(len(value))))
}

func (c *call) nextKey(child []byte, key uint64) uint64 {
	next, found, err := c.overlay.Next(child, c.bytes(key))
	c.check(err)
	return c.give(option(next, found))
}

// limit reads a SCALE Option<u32>; -1 is none.
func (c *call) limit(span uint64) int {
	r := scale.NewReader(c.bytes(span))
	limit := -1
	if r.Bool() {
		limit = int(min(r.U32(), 1<<31-1)) // no state has so many keys; an int may have 32 bits
	}
	if err := r.Finish(); err != nil {
		c.fail(fmt.Errorf("%w: limit of keys to clear: %w", ErrHost, err))
	}
	return limit
}

// clearPrefix returns sp_io::KillStorageResult: whether some remain, and the number of the state's
// own keys that were looked at.
func (c *call) clearPrefix(child, prefix []byte, limit int) uint64 {
	var visited uint32
	all := true
	// A prefix of the keys that hold child tries' roots, or one that they begin with, clears nothing.
	if child != nil || !overlapsChildStorage(prefix) {
		var err error
		visited, all, err = c.overlay.Clear(child, prefix, limit)
		c.check(err)
	}
	return c.give(scale.AppendU32([]byte{byte(truth(!all))}, visited))
}

// overlapsChildStorage is sp_core::storage::well_known_keys::starts_with_child_storage_key.
func overlapsChildStorage(prefix []byte) bool {
	n := min(len(prefix), len(childStorage))
	return string(prefix[:n]) == childStorage[:n]
}

func (c *call) root(child []byte, version uint64) uint64 {
	v := c.stateVersion(version)
	if child != nil {
		root, err := c.overlay.ChildRoot(child, v)
		c.check(err)
		return c.give(root[:])
	}
	root, err := c.overlay.Root(v)
	c.check(err)
	return c.give(root[:])
}

// end ends a transaction that this call has begun: those around it are its caller's.
func (c *call) end(how func() error) {
	if c.overlay.Depth() <= c.depth {
		c.fail(ErrTransaction)
	}
	c.check(how())
}
