package runtime

import "fmt"

// wazero allocates by the counts that a module states, before it looks whether so much is there, and
// an allocation that cannot be had ends the process. So the counts are looked at first. The bounds
// are some ten times what the chain's runtimes have; what has more is no runtime of this chain.
const (
	maxTypes     = 1 << 14
	maxArity     = 1000 // parameters, and results
	maxImports   = 1 << 12
	maxFunctions = 1 << 18
	maxTables    = 16
	maxTable     = 1 << 20 // elements, of all tables together and of all segments
	maxGlobals   = 1 << 14
	maxExports   = 1 << 13
	maxSegments  = 1 << 16 // of elements, and of data
	maxLocals    = 50_000  // of a function, as in the other engines
	maxAllLocals = 1 << 22 // of all functions
)

// A walk reads the structure of a section. The first fault sticks.
type walk struct {
	b        []byte
	err      error
	elements uint64
	locals   uint64
}

func (w *walk) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
		w.b = nil
	}
}

func (w *walk) byte() byte {
	if len(w.b) == 0 {
		w.fail("it ends early")
		return 0
	}
	c := w.b[0]
	w.b = w.b[1:]
	return c
}

func (w *walk) number() uint32 {
	v, n := leb(w.b)
	if n == 0 {
		w.fail("a bad number")
		return 0
	}
	w.b = w.b[n:]
	return v
}

// constant skips a number of any sign and of up to 64 bits.
func (w *walk) constant() {
	for range 10 {
		if w.byte() < 0x80 {
			return
		}
	}
	w.fail("a bad number")
}

// count reads a count of what takes a byte or more each.
func (w *walk) count(what string, limit uint32) int {
	n := w.number()
	if n > limit || uint64(n) > uint64(len(w.b)) {
		w.fail("%d %s", n, what)
		return 0
	}
	return int(n)
}

func (w *walk) skip(n uint32) {
	if uint64(n) > uint64(len(w.b)) {
		w.fail("it ends early")
		return
	}
	w.b = w.b[n:]
}

func (w *walk) name() { w.skip(w.number()) }

// limits reads those of a table or memory and returns the least.
func (w *walk) limits() uint32 {
	flags := w.byte()
	if flags > 1 {
		w.fail("limits of kind %#x", flags)
	}
	least := w.number()
	if flags == 1 {
		w.number()
	}
	return least
}

func (w *walk) table() {
	w.byte() // the type
	if w.elements += uint64(w.limits()); w.elements > maxTable {
		w.fail("%d elements in tables", w.elements)
	}
}

// expression skips one that is constant.
func (w *walk) expression() {
	for w.err == nil {
		switch op := w.byte(); op {
		case 0x0b: // end
			return
		case 0x41, 0x42: // i32.const, i64.const
			w.constant()
		case 0x43: // f32.const
			w.skip(4)
		case 0x44: // f64.const
			w.skip(8)
		case 0x23, 0xd2: // global.get, ref.func
			w.number()
		case 0xd0: // ref.null
			w.byte()
		default:
			w.fail("instruction %#x where a constant should be", op)
		}
	}
}

// checkSection returns an error if a section states more than there is, or more than the bounds.
// What it lets through is for wazero to judge.
func checkSection(id byte, body []byte) error {
	w := &walk{b: body}
	switch id {
	case 1:
		for range w.count("types", maxTypes) {
			if form := w.byte(); form != 0x60 {
				w.fail("a type of form %#x", form)
			}
			w.skip(uint32(w.count("parameters", maxArity)))
			w.skip(uint32(w.count("results", maxArity)))
		}
	case 2:
		for range w.count("imports", maxImports) {
			w.name()
			w.name()
			switch kind := w.byte(); kind {
			case 0:
				w.number()
			case 1:
				w.table()
			case 2:
				w.limits()
			case 3:
				w.skip(2)
			default:
				w.fail("an import of kind %#x", kind)
			}
		}
	case 3:
		w.count("functions", maxFunctions)
		w.b = nil
	case 4:
		for range w.count("tables", maxTables) {
			w.table()
		}
	case 5, 12: // memories are wazero's to bound, and a count of data stands for nothing
		w.count("memories", 1<<16)
		w.b = nil
	case 6:
		for range w.count("globals", maxGlobals) {
			w.skip(2)
			w.expression()
		}
	case 7:
		for range w.count("exports", maxExports) {
			w.name()
			w.byte()
			w.number()
		}
	case 9:
		for range w.count("element segments", maxSegments) {
			w.segment()
		}
	case 10:
		for range w.count("functions", maxFunctions) {
			w.function()
		}
	case 11:
		for range w.count("data segments", maxSegments) {
			flags := w.number()
			if flags == 2 {
				w.number()
			}
			if flags != 1 {
				w.expression()
			}
			w.name() // bytes and a name look alike
		}
	default:
		w.fail("section %d is not known", id)
	}
	if w.err == nil && len(w.b) > 0 {
		w.fail("%d bytes are left over", len(w.b))
	}
	return w.err
}

// segment walks over an element segment: bit 0 says that it is not placed by itself, bit 1 that its
// table or type stands there, bit 2 that its elements are expressions.
func (w *walk) segment() {
	flags := w.number()
	if flags > 7 {
		w.fail("an element segment of kind %#x", flags)
	}
	if flags&1 == 0 {
		if flags&2 != 0 {
			w.number()
		}
		w.expression()
	}
	if flags&3 != 0 {
		w.byte() // kind or type
	}
	n := w.count("elements", maxTable)
	if w.elements += uint64(n); w.elements > maxTable {
		w.fail("%d elements", w.elements)
	}
	for range n {
		if flags&4 != 0 {
			w.expression()
		} else {
			w.number()
		}
		if w.err != nil {
			return
		}
	}
}

// function looks at the locals of a function's code and skips the rest.
func (w *walk) function() {
	size := w.number()
	if uint64(size) > uint64(len(w.b)) {
		w.fail("it ends early")
		return
	}
	rest := w.b[size:]
	w.b = w.b[:size]
	var locals uint64
	for range w.count("kinds of locals", maxLocals) {
		locals += uint64(w.number())
		w.byte()
		if w.err != nil {
			return
		}
	}
	if w.locals += locals; locals > maxLocals || w.locals > maxAllLocals {
		w.fail("%d locals", locals)
		return
	}
	w.b = rest
}
