package runtime

import (
	"fmt"
	"testing"
)

// A program is a small module for tests, written by hand: what the WebAssembly specification calls
// each byte stands beside it.
type program struct {
	imports   []importedFunc
	noMemory  bool   // no memory is imported
	own       bool   // its own memory is exported instead
	pages     uint32 // of the imported memory
	noBase    bool   // no __heap_base is exported
	heapBase  int64
	functions []function
	data      string // at address 0
	tail      []byte // sections to go at the end, as they are
}

type importedFunc struct{ module, name, signature string }

type function struct {
	export    string
	signature string // as in hostFunction
	locals    int    // of i64
	body      []byte // without the end
}

// method is a function with the signature of a runtime's methods.
func method(name string, body ...byte) function {
	return function{export: name, signature: "ii:I", body: body}
}

func (p program) build() []byte {
	types, index := []byte{}, map[string]uint32{}
	typeOf := func(sig string) uint32 {
		if i, ok := index[sig]; ok {
			return i
		}
		index[sig] = uint32(len(index))
		types = append(types, 0x60)
		var sides [2][]byte
		side := 0
		for _, c := range sig {
			switch c {
			case 'i':
				sides[side] = append(sides[side], 0x7f)
			case 'I':
				sides[side] = append(sides[side], 0x7e)
			case 'f':
				sides[side] = append(sides[side], 0x7d)
			case ':':
				side++
			}
		}
		for _, s := range sides {
			types = append(appendLeb(types, uint32(len(s))), s...)
		}
		return index[sig]
	}
	n := len(p.imports)
	var imports []byte
	for _, im := range p.imports {
		imports = append(appendName(appendName(imports, im.module), im.name), 0x00)
		imports = appendLeb(imports, typeOf(im.signature))
	}
	if !p.noMemory && !p.own {
		imports = append(appendName(appendName(imports, "env"), "memory"), 0x02, 0x00)
		imports = appendLeb(imports, p.pages)
		n++
	}
	var funcs, exports, codes []byte
	exported := 0
	for i, f := range p.functions {
		funcs = appendLeb(funcs, typeOf(f.signature))
		if f.export != "" {
			exports = appendLeb(append(appendName(exports, f.export), 0x00), uint32(len(p.imports)+i))
			exported++
		}
		var body []byte
		if f.locals > 0 {
			body = append(appendLeb([]byte{1}, uint32(f.locals)), 0x7e)
		} else {
			body = []byte{0}
		}
		body = append(append(body, f.body...), 0x0b) // end
		codes = append(appendLeb(codes, uint32(len(body))), body...)
	}
	var globals []byte
	if !p.noBase {
		globals = append([]byte{1, 0x7f, 0x00, 0x41}, sleb(p.heapBase)...) // i32, constant, i32.const
		globals = append(globals, 0x0b)
		exports = append(appendName(exports, "__heap_base"), 0x03, 0x00)
		exported++
	}
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = appendSection(b, 1, append(appendLeb(nil, uint32(len(index))), types...))
	b = appendSection(b, 2, append(appendLeb(nil, uint32(n)), imports...))
	b = appendSection(b, 3, append(appendLeb(nil, uint32(len(p.functions))), funcs...))
	if p.own {
		b = appendSection(b, 5, appendLeb([]byte{1, 0}, p.pages))
		exports = append(appendName(exports, "memory"), 0x02, 0x00)
		exported++
	}
	if globals != nil {
		b = appendSection(b, 6, globals)
	}
	b = appendSection(b, 7, append(appendLeb(nil, uint32(exported)), exports...))
	b = appendSection(b, 10, append(appendLeb(nil, uint32(len(p.functions))), codes...))
	if p.data != "" {
		d := append([]byte{1, 0x00, 0x41, 0x00, 0x0b}, appendLeb(nil, uint32(len(p.data)))...)
		b = appendSection(b, 11, append(d, p.data...))
	}
	return append(b, p.tail...)
}

// sleb is a signed LEB128, as constants are.
func sleb(v int64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// Instructions.
func i32(v int32) []byte  { return append([]byte{0x41}, sleb(int64(v))...) }
func i64(v int64) []byte  { return append([]byte{0x42}, sleb(v)...) }
func local(i byte) []byte { return []byte{0x20, i} }
func callf(i byte) []byte { return []byte{0x10, i} }

const drop, unreachable = 0x1a, 0x00

// span is a pointer and size as the host takes it.
func span(ptr, size int64) []byte { return i64(ptr | size<<32) }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// sectionsOf appends the custom sections with a version, so that nothing has to be executed for it.
func withVersion(spec uint32) []byte {
	v := Version{SpecName: "test", ImplName: "test", Spec: spec, Transaction: 1, State: 1}
	b := appendSection(nil, 0, append(appendName(nil, "runtime_version"), v.Append(nil)...))
	return appendSection(b, 0, appendName(nil, "runtime_apis"))
}

// env are imports from the module env, "name signature" each.
func env(list ...string) []importedFunc {
	var fs []importedFunc
	for _, l := range list {
		var f importedFunc
		if _, err := fmt.Sscan(l, &f.name, &f.signature); err != nil {
			panic(err)
		}
		f.module = "env"
		fs = append(fs, f)
	}
	return fs
}

// each runs a test with the interpreter and, where there is one, with the compiler.
func each(t *testing.T, f func(t *testing.T, load func(p program) *Runtime)) {
	for _, compiled := range []bool{false, true} {
		name := "interpreted"
		if compiled {
			name = "compiled"
		}
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Interpreter: !compiled})
			if err != nil {
				t.Fatal(err)
			}
			if compiled && e.Interprets() != nil {
				t.Skip(e.Interprets())
			}
			f(t, func(p program) *Runtime {
				t.Helper()
				if p.tail == nil {
					p.tail = withVersion(1)
				}
				r, err := e.Load(t.Context(), p.build(), nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(r.Close)
				if compiled {
					if err := r.Compile(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return r
			})
		})
	}
}
