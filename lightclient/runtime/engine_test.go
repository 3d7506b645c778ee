package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

// How much a runtime may allocate is what the state says under :heappages, within our own limit.
func TestHeapPages(t *testing.T) {
	code := program{
		imports: env("ext_allocator_malloc_version_1 i:i"), pages: 1, heapBase: 1024,
		functions: []function{method("test", join(local(1), callf(0), []byte{drop}, i64(0))...)}, // as many bytes as it is given
		tail:      withVersion(1),
	}.build()
	e, err := New(Config{Interpreter: true, MaxPages: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pages []byte
		size  int // of the input, and of a second block as large
		is    error
	}{
		{scale.AppendU64(nil, 3), 64 << 10, nil}, // two blocks and what stands before them: 3 pages
		{scale.AppendU64(nil, 3), 65 << 10, ErrMemory},
		{scale.AppendU64(nil, 16), 65 << 10, nil},
		{scale.AppendU64(nil, 0), 0, nil},
		{scale.AppendU64(nil, 0), 64 << 10, ErrMemory},
		{scale.AppendU64(nil, 1<<64-1), 2 << 20, nil},
		{scale.AppendU64(nil, 1<<64-1), 4 << 20, ErrMemory}, // our limit
		{nil, 2 << 20, nil},
		{[]byte{0}, 2 << 20, nil}, // no number: the default
	} {
		r, err := e.Load(t.Context(), code, c.pages)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Call(t.Context(), "test", make([]byte, c.size), nil); !errors.Is(err, c.is) {
			t.Errorf(":heappages %x, twice %d bytes: %v, want %v", c.pages, c.size, err, c.is)
		}
		r.Close()
	}
	if _, err := New(Config{MaxPages: 1 << 16}); err == nil {
		t.Error("a limit of 4 GiB is taken")
	}
}

// The version of a runtime that is too old for sections is asked of it, and an old one lacks fields.
func TestCoreVersion(t *testing.T) {
	v := Version{SpecName: "old", ImplName: "old", Spec: 7, APIs: []API{{apiID("Core"), 2}}, Transaction: 1}
	data := v.Append(nil)
	data = data[:len(data)-5] // neither transaction_version nor state_version
	p := program{
		pages: 1, heapBase: 1024, data: string(data), tail: []byte{},
		functions: []function{method("Core_version", span(0, int64(len(data)))...)},
	}
	e, err := New(Config{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Load(t.Context(), p.build(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := r.Version(); got.Spec != 7 || got.API("Core") != 2 || got.Transaction != 1 || got.State != 0 {
		t.Errorf("%+v", got)
	}
	// The host function that runtimes judge an upgrade by takes the same way.
	b := answer(t, "ext_misc_runtime_version_version_1", "I:I", 0, p.build())
	s := scale.NewReader(b)
	if s.Byte() != 1 {
		t.Fatalf("no version: %x", b)
	}
	if got, err := readVersion(s.Blob(-1)); err != nil || got.Spec != 7 || got.Transaction != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	// Without a last word it is the time limit that ends it.
	p.functions[0].body = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b, unreachable}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Load(ctx, p.build(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a Core_version without end: %v", err)
	}
}

// A runtime may have its memory itself, as those of before 2020 did.
func TestOwnMemory(t *testing.T) {
	each(t, func(t *testing.T, load func(p program) *Runtime) {
		r := load(program{own: true, pages: 1, heapBase: 1024, functions: []function{method("test", span(0, 4)...)}, data: "data"})
		if b, err := r.Call(t.Context(), "test", nil, nil); err != nil || string(b) != "data" {
			t.Errorf("%q, %v", b, err)
		}
	})
	e, err := New(Config{Interpreter: true, MaxPages: 10})
	if err != nil {
		t.Fatal(err)
	}
	p := program{own: true, pages: 11, functions: []function{method("test", i64(0)...)}, tail: withVersion(1)}
	if _, err := e.Load(t.Context(), p.build(), nil); !errors.Is(err, ErrCode) || !strings.Contains(err.Error(), "pages") {
		t.Errorf("more than the limit: %v", err)
	}
}

// Each call has an instance of its own: what one leaves in memory the next does not see.
func TestFreshInstance(t *testing.T) {
	each(t, func(t *testing.T, load func(p program) *Runtime) {
		// Returns the byte at 0 and sets it.
		r := load(program{pages: 1, heapBase: 1024, data: "a", functions: []function{method("test", join(
			i32(100), i32(0), []byte{0x2d, 0, 0}, []byte{0x3a, 0, 0}, // store8(100, load8(0))
			i32(0), i32('b'), []byte{0x3a, 0, 0}, span(100, 1))...)}})
		for range 2 {
			if b, err := r.Call(t.Context(), "test", nil, nil); err != nil || string(b) != "a" {
				t.Errorf("%q, %v", b, err)
			}
		}
	})
}

func TestLog(t *testing.T) {
	var lines []string
	e, err := New(Config{Interpreter: true, LogLevel: LogInfo, Log: func(level int, target, message string) {
		lines = append(lines, target+": "+message)
	}})
	if err != nil {
		t.Fatal(err)
	}
	say := func(level int32, size int64) []byte { return join(i32(level), span(0, 3), span(3, size), callf(0)) }
	p := program{
		imports: env("ext_logging_log_version_1 iII:", "ext_logging_max_level_version_1 :i"), pages: 1, heapBase: 1024, data: "podit broke\xff",
		functions: []function{method("test", join(say(3, 9), say(4, 9), say(1, 9), []byte{unreachable})...), method("level", join(i32(0), callf(1), []byte{0x36, 2, 0}, span(0, 1))...)},
		tail:      withVersion(1),
	}
	r, err := e.Load(t.Context(), p.build(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Call(t.Context(), "test", nil, nil)
	if !errors.Is(err, ErrTrap) || !strings.HasSuffix(err.Error(), "unreachable; it said: it broke\ufffd") {
		t.Errorf("%v", err)
	}
	if len(lines) != 2 || lines[0] != "pod: it broke\ufffd" {
		t.Errorf("%q", lines)
	}
	if b, err := r.Call(t.Context(), "level", nil, nil); err != nil || b[0] != LogInfo {
		t.Errorf("%v, %v", b, err)
	}
}
