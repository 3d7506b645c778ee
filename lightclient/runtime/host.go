package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A call is one run of a method of a runtime, in an instance of its own.
type call struct {
	ctx    context.Context
	engine *Engine
	// versionOf is the engine's: through a field, because the tables of functions are part of it.
	versionOf func(ctx context.Context, code []byte) (Version, error)
	mem       memory
	heap      *allocator
	overlay   *Overlay
	depth     int // of the overlay when the runtime began
	batch     batch
	// err is why a host function has ended the call.
	err error
	// said is the last error that the runtime has logged: what it says before it traps.
	said string
}

type callKey struct{}

// A hostFunction answers a call out of the runtime. The stack holds the arguments, and has room for
// the result in its first place. It ends the call by call.fail alone.
type hostFunction struct {
	// signature has a letter for each argument, a colon, and one for the result: i is i32, I is i64.
	signature string
	f         func(c *call, s []uint64)
}

// Functions of no version, or of one that no runtime of this chain has had, are left out: they are
// bound all the same, and end a call that comes to them with ErrUnknownImport.
var hostFunctions = []map[string]hostFunction{plainFunctions, storageFunctions, childFunctions, cryptoFunctions, blsFunctions}

// lookup returns what answers an import, whatever its signature.
func lookup(im imported) func(c *call, s []uint64) {
	for _, table := range hostFunctions {
		h, ok := table[im.name]
		if !ok {
			continue
		}
		if have := signature(im); have != h.signature {
			return func(c *call, s []uint64) {
				c.fail(fmt.Errorf("%w: %s is %s, and the runtime imports it as %s", ErrUnknownImport, im.name, h.signature, have))
			}
		}
		return func(c *call, s []uint64) {
			c.overdue()
			h.f(c, s)
		}
	}
	if why, ok := refused(im.name); ok {
		return func(c *call, s []uint64) { c.fail(fmt.Errorf("%w: %s: %s", ErrHost, im.name, why)) }
	}
	return func(c *call, s []uint64) { c.fail(fmt.Errorf("%w: %s", ErrUnknownImport, im.name)) }
}

// refused says why a function that is known has no answer.
func refused(name string) (why string, ok bool) {
	for _, f := range []struct{ prefix, why string }{
		{"ext_crypto_", "keys are not in the hands of a runtime, or the form of the signature is of before this chain"},
		{"ext_offchain_", "only an offchain worker may"},
		{"ext_trie_", "not of this chain"},
		{"ext_sandbox_", "no longer part of Substrate"},
		{"ext_benchmarking_", "only a benchmark may"},
	} {
		if strings.HasPrefix(name, f.prefix) {
			return f.why, true
		}
	}
	return "", false
}

func signature(im imported) string {
	letter := func(t api.ValueType) byte {
		switch t {
		case api.ValueTypeI32:
			return 'i'
		case api.ValueTypeI64:
			return 'I'
		}
		return '?'
	}
	var b []byte
	for _, t := range im.params {
		b = append(b, letter(t))
	}
	b = append(b, ':')
	for _, t := range im.results {
		b = append(b, letter(t))
	}
	return string(b)
}

// fail ends the call.
func (c *call) fail(err error) {
	c.err = err
	panic(err)
}

func (c *call) check(err error) {
	if err != nil {
		c.fail(err)
	}
}

// overdue ends a call whose time is over. The engine looks at each loop of the runtime; a host
// function is none.
func (c *call) overdue() {
	if c.ctx.Err() != nil {
		c.fail(timeout(c.ctx))
	}
}

func timeout(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)
}

// bytes returns the memory that a pointer and size name: the pointer in the low half. It aliases the
// memory: it holds until the runtime goes on or something is allocated.
func (c *call) bytes(span uint64) []byte {
	b, ok := c.mem.Read(uint32(span), uint32(span>>32))
	if !ok {
		c.fail(fmt.Errorf("%w: %d bytes at %#x", ErrPointer, span>>32, uint32(span)))
	}
	return b
}

// fixed returns n bytes at a pointer.
func (c *call) fixed(ptr uint64, n uint32) []byte { return c.bytes(ptr&0xffff_ffff | uint64(n)<<32) }

func (c *call) malloc(size uint32) uint32 {
	ptr, err := c.heap.malloc(size)
	c.check(err)
	return ptr
}

// give puts b into a new block and returns its pointer and size.
func (c *call) give(b []byte) uint64 {
	if uint64(len(b)) > maxBlock {
		c.fail(fmt.Errorf("malloc of %d bytes: %w: the largest block is 32 MiB", len(b), ErrMemory))
	}
	ptr := c.malloc(uint32(len(b)))
	if !c.mem.Write(ptr, b) {
		c.fail(fmt.Errorf("%w: block of %d bytes at %#x", ErrHeap, len(b), ptr))
	}
	return uint64(ptr) | uint64(len(b))<<32
}

// point is give for results of a size that is known: the pointer alone.
func (c *call) point(b []byte) uint64 { return c.give(b) & 0xffff_ffff }

// option is the SCALE Option<Vec<u8>>.
func option(b []byte, some bool) []byte {
	if !some {
		return []byte{0}
	}
	return scale.AppendBlob(append(make([]byte, 0, len(b)+6), 1), b)
}

func truth(ok bool) uint64 {
	if ok {
		return 1
	}
	return 0
}

// Log levels of a runtime (sp_core::LogLevel).
const (
	LogError = 1 + iota
	LogWarn
	LogInfo
	LogDebug
	LogTrace
)

// maxMessage is how much of what a runtime logs is passed on.
const maxMessage = 4 << 10

func (c *call) log(level int, target, message []byte) {
	text := func(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), maxMessage)]), "\ufffd") }
	if level == LogError {
		c.said = text(message)
	}
	if c.engine.cfg.Log != nil && level <= c.engine.cfg.LogLevel {
		c.engine.cfg.Log(level, text(target), text(message))
	}
}

var plainFunctions = map[string]hostFunction{
	"ext_allocator_malloc_version_1": {"i:i", func(c *call, s []uint64) { s[0] = uint64(c.malloc(uint32(s[0]))) }},
	"ext_allocator_free_version_1":   {"i:", func(c *call, s []uint64) { c.check(c.heap.release(uint32(s[0]))) }},

	"ext_logging_log_version_1": {"iII:", func(c *call, s []uint64) {
		c.log(max(LogError, min(LogTrace, int(uint32(s[0])))), c.bytes(s[1]), c.bytes(s[2]))
	}},
	// At least errors are wanted: the last one says why a runtime traps.
	"ext_logging_max_level_version_1": {":i", func(c *call, s []uint64) {
		s[0] = LogError
		if c.engine.cfg.Log != nil {
			s[0] = uint64(max(LogError, min(LogTrace, c.engine.cfg.LogLevel)))
		}
	}},
	"ext_misc_print_num_version_1":  {"I:", func(c *call, s []uint64) { c.log(LogDebug, []byte("runtime"), fmt.Append(nil, s[0])) }},
	"ext_misc_print_utf8_version_1": {"I:", func(c *call, s []uint64) { c.log(LogDebug, []byte("runtime"), c.bytes(s[0])) }},
	"ext_misc_print_hex_version_1": {"I:", func(c *call, s []uint64) {
		b := c.bytes(s[0])
		c.log(LogDebug, []byte("runtime"), fmt.Appendf(nil, "%x", b[:min(len(b), maxMessage/2)]))
	}},
	"ext_misc_runtime_version_version_1": {"I:I", func(c *call, s []uint64) {
		v, err := c.versionOf(c.ctx, c.bytes(s[0]))
		if err != nil {
			c.overdue()
			c.log(LogDebug, []byte("runtime"), fmt.Append(nil, err))
			s[0] = c.give(option(nil, false))
			return
		}
		s[0] = c.give(option(v.Append(nil), true))
	}},
	"ext_panic_handler_abort_on_panic_version_1": {"I:", func(c *call, s []uint64) {
		m := c.bytes(s[0])
		c.fail(fmt.Errorf("%w: %s", ErrTrap, strings.ToValidUTF8(string(m[:min(len(m), maxMessage)]), "\ufffd")))
	}},

	"ext_trie_blake2_256_root_version_1":         {"I:i", func(c *call, s []uint64) { c.trieRoot(s, trie.V0) }},
	"ext_trie_blake2_256_root_version_2":         {"Ii:i", func(c *call, s []uint64) { c.trieRoot(s, c.stateVersion(s[1])) }},
	"ext_trie_blake2_256_ordered_root_version_1": {"I:i", func(c *call, s []uint64) { c.orderedRoot(s, trie.V0) }},
	"ext_trie_blake2_256_ordered_root_version_2": {"Ii:i", func(c *call, s []uint64) { c.orderedRoot(s, c.stateVersion(s[1])) }},

	// What a node outside an offchain worker does: it keeps an index beside the state.
	"ext_offchain_index_set_version_1":                    {"II:", func(c *call, s []uint64) { c.bytes(s[0]); c.bytes(s[1]) }},
	"ext_offchain_index_clear_version_1":                  {"I:", func(c *call, s []uint64) { c.bytes(s[0]) }},
	"ext_transaction_index_index_version_1":               {"iii:", func(c *call, s []uint64) {}},
	"ext_transaction_index_renew_version_1":               {"ii:", func(c *call, s []uint64) {}},
	"ext_storage_proof_size_storage_proof_size_version_1": {":I", func(c *call, s []uint64) { s[0] = ^uint64(0) }}, // nothing records
}

func (c *call) stateVersion(v uint64) trie.Version {
	if uint32(v) > 1 {
		c.fail(fmt.Errorf("%w: state version %d", ErrHost, uint32(v)))
	}
	return trie.Version(v)
}

func (c *call) trieRoot(s []uint64, v trie.Version) {
	r := scale.NewReader(c.bytes(s[0]))
	kv := map[string][]byte{}
	for n := r.Count(2, -1); n > 0 && r.Err() == nil; n-- {
		k := string(r.Blob(-1))
		kv[k] = r.Blob(-1)
	}
	c.rootOf(s, r, v, kv)
}

func (c *call) orderedRoot(s []uint64, v trie.Version) {
	r := scale.NewReader(c.bytes(s[0]))
	kv := map[string][]byte{}
	for i, n := 0, r.Count(1, -1); i < n && r.Err() == nil; i++ {
		kv[string(scale.AppendCompact(nil, uint64(i)))] = r.Blob(-1)
	}
	c.rootOf(s, r, v, kv)
}

func (c *call) rootOf(s []uint64, r *scale.Reader, v trie.Version, kv map[string][]byte) {
	if err := r.Finish(); err != nil {
		c.fail(fmt.Errorf("%w: list of a trie: %w", ErrHost, err))
	}
	root := trie.Root(v, kv)
	s[0] = c.point(root[:])
}
