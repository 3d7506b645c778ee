package runtime

import (
	"bytes"
	"context"
	"errors"
	"math"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// What code may do to whoever executes it.

func TestHostileCalls(t *testing.T) {
	loop := []byte{0x03, 0x40, 0x0c, 0x00, 0x0b, unreachable} // loop, br 0, end
	for name, c := range map[string]struct {
		imports []importedFunc
		body    []byte
		limit   time.Duration
		is      error
		says    string
	}{
		"loop":            {body: loop, limit: 50 * time.Millisecond, is: ErrTimeout},
		"unreachable":     {body: []byte{unreachable}, is: ErrTrap, says: "unreachable"},
		"divide by zero":  {body: join(i32(1), i32(0), []byte{0x6d, drop}, i64(0)), is: ErrTrap, says: "divide by zero"},
		"recursion":       {body: join(local(0), local(1), callf(0)), is: ErrTrap, says: "stack overflow"},
		"load outside":    {body: join(i32(-8), []byte{0x29, 0x03, 0x00}), is: ErrTrap, says: "out of bounds"}, // i64.load
		"result outside":  {body: span(0x10000, 1), is: ErrPointer},
		"result of 4 GiB": {body: i64(math.MinInt64 | 0x7fff_ffff_0000_0000), is: ErrPointer},
		"allocates without end": {
			imports: env("ext_allocator_malloc_version_1 i:i"),
			body:    join([]byte{0x03, 0x40}, i32(32<<20), callf(0), []byte{drop, 0x0c, 0x00, 0x0b, unreachable}),
			is:      ErrMemory, says: "pages",
		},
		"allocates 32 MiB + 1": {
			imports: env("ext_allocator_malloc_version_1 i:i"),
			body:    join(i32(32<<20+1), callf(0), []byte{drop}, i64(0)),
			is:      ErrMemory, says: "largest block",
		},
		"frees what is none": {
			imports: env("ext_allocator_free_version_1 i:"),
			body:    join(i32(4096), callf(0), i64(0)), is: ErrHeap,
		},
		"unknown import": {
			imports: env("ext_made_up_version_7 if:I"),
			body:    join(i32(1), []byte{0x43, 0, 0, 0, 0}, callf(0)),
			is:      ErrUnknownImport, says: "ext_made_up_version_7",
		},
		"known import of another signature": {
			imports: env("ext_storage_get_version_1 i:i"),
			body:    join(i32(1), callf(0), []byte{drop}, i64(0)),
			is:      ErrUnknownImport, says: "ext_storage_get_version_1 is I:I",
		},
		"keys": {
			imports: env("ext_crypto_sr25519_generate_version_1 iI:i"),
			body:    join(i32(0), i64(0), callf(0), []byte{drop}, i64(0)),
			is:      ErrHost, says: "ext_crypto_sr25519_generate_version_1",
		},
		"pointer outside to the host": {
			imports: env("ext_hashing_blake2_256_version_1 I:i"),
			body:    join(span(0xffff, 2), callf(0), []byte{drop}, i64(0)), is: ErrPointer,
		},
		"signature at the end of memory": {
			imports: env("ext_crypto_ed25519_verify_version_1 iIi:i"),
			body:    join(i32(0x10000-63), span(0, 0), i32(0), callf(0), []byte{drop}, i64(0)), is: ErrPointer,
		},
		"transactions without end": {
			imports: env("ext_storage_start_transaction_version_1 :"),
			body:    join([]byte{0x03, 0x40}, callf(0), []byte{0x0c, 0x00, 0x0b, unreachable}), is: ErrMemory,
		},
		"ends its caller's transaction": {
			imports: env("ext_storage_rollback_transaction_version_1 :"),
			body:    join(callf(0), i64(0)), is: ErrTransaction,
		},
		"state that nobody knows": {
			imports: env("ext_storage_get_version_1 I:I"),
			body:    join(span(0, 4), callf(0)), is: ErrIncomplete, says: "0x00000000",
		},
		"limit that is no option": {
			imports: env("ext_storage_clear_prefix_version_2 II:I"),
			body:    join(span(0, 1), span(0, 2), callf(0)), is: ErrHost,
		},
		"panics with words": {
			imports: env("ext_panic_handler_abort_on_panic_version_1 I:"),
			body:    join(span(0, 4), callf(0), i64(0)), is: ErrTrap, says: "\x00\x00\x00\x00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, load func(p program) *Runtime) {
				p := program{imports: c.imports, pages: 1, heapBase: 1024, functions: []function{method("test", c.body...)}}
				r := load(p)
				ctx := t.Context()
				if c.limit != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.limit)
					defer cancel()
				}
				_, err := r.Call(ctx, "test", nil, nil)
				if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "test: ") {
					t.Errorf("%v, want %v that says %q", err, c.is, c.says)
				}
				// It has harmed nothing but its call.
				if c.limit != 0 {
					return
				}
				if _, err := r.Call(t.Context(), "none", nil, nil); !errors.Is(err, ErrNoMethod) {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// A call that is not wanted any more says so, and not that it took too long.
func TestCanceled(t *testing.T) {
	each(t, func(t *testing.T, load func(p program) *Runtime) {
		r := load(program{pages: 1, functions: []function{method("test", 0x03, 0x40, 0x0c, 0x00, 0x0b, unreachable)}})
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := r.Call(ctx, "test", nil, nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
	})
}

func TestHostileCode(t *testing.T) {
	e, err := New(Config{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	ok := func() program {
		return program{pages: 1, functions: []function{method("test", i64(0)...)}, tail: withVersion(1)}
	}
	if _, err := e.Load(t.Context(), ok().build(), nil); err != nil {
		t.Fatalf("what the others are made of: %v", err)
	}
	for name, c := range map[string]struct {
		change func(p *program)
		code   []byte
		says   string
	}{
		"nothing":          {code: []byte{}, says: "not a WebAssembly module"},
		"no module":        {code: []byte("\x7fELF\x01\x00\x00\x00"), says: "not a WebAssembly module"},
		"version 2":        {code: []byte("\x00asm\x02\x00\x00\x00"), says: "not a WebAssembly module"},
		"section too long": {code: []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\x0f"), says: "bad length"},
		"overlong length":  {code: []byte("\x00asm\x01\x00\x00\x00\x01\x80\x80\x80\x80\x80\x00"), says: "bad length"},
		"section name":     {code: []byte("\x00asm\x01\x00\x00\x00\x00\x01\x05"), says: "bad name"},
		"zstd of nothing":  {code: compressed, says: "not a WebAssembly module"},
		"zstd of noise":    {code: append(bytes.Clone(compressed), "noise"...), says: "zstd"},
		"a start function": {change: func(p *program) { p.tail = append([]byte{8, 1, 0}, p.tail...) }, says: "start function"},
		"no __heap_base":   {change: func(p *program) { p.noBase = true }, says: "__heap_base"},
		"no memory":        {change: func(p *program) { p.noMemory = true }, says: "no memory"},
		"4 GiB of memory":  {change: func(p *program) { p.pages = 65_536 }, says: "pages"},
		"another module":   {change: func(p *program) { p.imports = []importedFunc{{"wasi", "fd_write", "i:i"}} }, says: `"fd_write" of module "wasi"`},
		"a name twice, with two types": {change: func(p *program) {
			p.imports = env("ext_a i:i", "ext_a I:I")
		}, says: "signature mismatch"},
		"types that are not there":      {code: wasmWith(1, 0xff, 0xff, 0xff, 0xff, 0x0f), says: "4294967295 types"},
		"parameters that are not there": {code: wasmWith(1, 1, 0x60, 0x80, 0x80, 0x80, 0xc0, 0), says: "134217728 parameters"},
		"an import's name":              {code: wasmWith(2, 1, 0xff, 0xff, 0xff, 0x7f), says: "ends early"},
		"a table of 128 M":              {code: wasmWith(4, 1, 0x70, 0, 0x80, 0x80, 0x80, 0xc0, 0), says: "134217728 elements"},
		"elements that are not there":   {code: wasmWith(9, 1, 0, 0x41, 0, 0x0b, 0xff, 0xff, 0x3f), says: "1048575 elements"},
		"4 G locals":                    {code: wasmWith(10, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b), says: "4294967295 locals"},
		"data that is not there":        {code: wasmWith(11, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f), says: "ends early"},
		"a section of exceptions":       {code: wasmWith(13, 0), says: "section 13"},
		"a tail":                        {code: wasmWith(1, 0, 0), says: "left over"},
		"a body that is none":           {change: func(p *program) { p.functions[0].body = []byte{0x6a} }, says: "invalid function"},
		"version that is none": {change: func(p *program) {
			p.tail = appendSection(appendSection(nil, 0, append(appendName(nil, "runtime_version"), 0xff)), 0, appendName(nil, "runtime_apis"))
		}, says: "runtime_version"},
		"no version at all": {change: func(p *program) { p.tail = []byte{} }, says: "Core_version"},
	} {
		t.Run(name, func(t *testing.T) {
			code := c.code
			if code == nil {
				p := ok()
				c.change(&p)
				code = p.build()
			}
			r, err := e.Load(t.Context(), code, nil)
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "runtime 0x") {
				t.Errorf("%v, want an error that says %q", err, c.says)
			}
		})
	}
}

// wasmWith is a module of one section.
func wasmWith(id byte, body ...byte) []byte {
	return appendSection([]byte("\x00asm\x01\x00\x00\x00"), id, body)
}

// The same bytes over and over compress to next to nothing: a gigabyte of them is refused, whether
// the frame owns up to its size or not, and without a gigabyte of memory.
func TestBomb(t *testing.T) {
	e, err := New(Config{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	bomb := func(size int, stream bool) []byte {
		var b bytes.Buffer
		b.Write(compressed)
		w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))
		if err != nil {
			t.Fatal(err)
		}
		if !stream {
			return w.EncodeAll(make([]byte, size), b.Bytes())
		}
		zeros := make([]byte, 1<<20)
		for ; size > 0; size -= len(zeros) {
			w.Write(zeros)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, code := range [][]byte{bomb(64<<20, false), bomb(1<<30, true)} {
		if len(code) > 1<<17 {
			t.Fatalf("%d bytes are no bomb", len(code))
		}
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		if _, err := e.Load(t.Context(), code, nil); !errors.Is(err, ErrCode) || !strings.Contains(err.Error(), "more than 52428800 bytes") {
			t.Errorf("%v", err)
		}
		goruntime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 6*MaxCode { // all steps of its growth together
			t.Errorf("%d bytes were allocated", n)
		}
	}
}
