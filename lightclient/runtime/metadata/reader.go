package metadata

import (
	"fmt"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/taolight/taolight/verify/scale"
)

const (
	// maxDepth bounds how deep types are entered. A call within a call takes about four steps; the
	// chain's pool takes calls eight deep (runtime/src/lib.rs, validate_transaction).
	maxDepth = 256
	// MaxValues bounds the values in one tree of them, of some 110 bytes each.
	MaxValues = 1 << 20
)

// work returns how many values may be visited in n bytes. A byte is seldom more than a few structs
// deep; what takes no bytes at all lives on the rest.
func work(n int) int { return 1<<16 + 16*min(n, 1<<26) }

// A DecodeError tells where in a value decoding ended.
type DecodeError struct {
	Offset int    // in the bytes, where what was being read begins
	Path   string // from the outermost value: .dests[3]; empty at the top
	Type   string // of what was being read
	Err    error
}

func (e *DecodeError) Error() string {
	at := ""
	if e.Path != "" {
		at = e.Path + ": "
	}
	return fmt.Sprintf("%sat byte %d, reading %s: %v", at, e.Offset, e.Type, e.Err)
}

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// A Reader takes values from the front of a byte slice, each by its type, with no reflection and no
// allocation. The first error sticks, and later reads return zero values. So the fields of a struct
// that is known by their names are read like this, in whatever order they stand:
//
//	for _, f := range reg.Shape(id).Fields {
//		switch f.Name {
//		case "free":
//			free = r.Uint(f.Type)
//		default:
//			r.Skip(f.Type)
//		}
//	}
type Reader struct {
	r     *scale.Reader
	b     []byte
	reg   *Registry
	work  int // how many values may still be visited
	start int // where the value begins that was entered last
	err   *DecodeError
}

// NewReader returns a Reader on b.
func (g *Registry) NewReader(b []byte) *Reader {
	return &Reader{r: scale.NewReader(b), b: b, reg: g, work: work(len(b))}
}

// Err returns the first error met, a *DecodeError.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Finish returns the first error met, or one if input is left.
func (r *Reader) Finish() error {
	if r.err == nil && r.r.Len() > 0 {
		r.fail(NoType, r.r.Finish())
	}
	return r.Err()
}

// Len returns the number of bytes not read yet.
func (r *Reader) Len() int { return r.r.Len() }

// Offset returns the number of bytes read so far.
func (r *Reader) Offset() int { return r.r.Offset() }

func (r *Reader) fail(id ID, err error) {
	if r.err != nil {
		return
	}
	name, at := "the end", r.r.Offset()
	if id != NoType {
		name, at = r.reg.Name(id), r.start
	}
	r.err = &DecodeError{Offset: at, Type: name, Err: err}
	r.r.Fail(err)
}

// check takes over an error of the reader below.
func (r *Reader) check(id ID) {
	if err := r.r.Err(); err != nil {
		r.fail(id, err)
	}
}

// in puts a step in front of the path of an error that was met below it.
func (r *Reader) in(step string) { r.err.Path = prepend(step, r.err.Path) }

// prepend keeps a path that is very deep from growing, by leaving out its outer steps.
func prepend(step, path string) string {
	switch {
	case len(path) < 400:
		return step + path
	case path[0] == '.' || path[0] == '[':
		return "…" + path
	}
	return path
}

// stepName is the path from a struct, tuple or variant to one of its fields: nothing where there is no
// other.
func stepName(fields []Field, i int) string {
	switch {
	case fields[i].Name != "":
		return "." + fields[i].Name
	case len(fields) == 1:
		return ""
	}
	return "." + strconv.Itoa(i)
}

func stepIndex(i int) string { return "[" + strconv.Itoa(i) + "]" }

// enter counts a value that is about to be read, and returns what it looks like; nil after an error.
func (r *Reader) enter(id ID, depth int) *Type {
	if r.err != nil {
		return nil
	}
	t := r.reg.Shape(id)
	if t == nil {
		r.fail(NoType, fmt.Errorf("%w: type %d", ErrUnknown, id))
		return nil
	}
	r.start = r.r.Offset()
	if r.work--; r.work < 0 || depth > maxDepth {
		r.fail(id, ErrWork)
		return nil
	}
	return t
}

// want is enter for a value that the caller takes for one of a kind.
func (r *Reader) want(id ID, what string, is func(*Type) bool) *Type {
	t := r.enter(id, 0)
	if t != nil && !is(t) {
		r.fail(id, fmt.Errorf("%w: want %s", ErrInput, what))
		return nil
	}
	return t
}

func isInteger(t *Type) bool {
	return t.Kind == Primitive && t.Prim.Bits() > 0 || t.Kind == Compact
}

// integer reads an integer or a compact one: its value if that has at most 64 bits, sign-extended if
// it is signed, and its little-endian bytes.
func (r *Reader) integer(t *Type) (v uint64, le []byte) {
	if t.Kind == Compact {
		return r.compact(t)
	}
	size := t.Prim.Bits() / 8
	le = r.r.Bytes(size)
	r.check(t.ID)
	if size > 8 {
		return 0, le
	}
	return word(le, t.Prim.Signed()), le
}

// word puts at most eight little-endian bytes together.
func word(le []byte, signed bool) (v uint64) {
	for i, c := range le {
		v |= uint64(c) << (8 * i)
	}
	if n := len(le); signed && n > 0 && n < 8 && le[n-1]&0x80 != 0 {
		v |= ^uint64(0) << (8 * n)
	}
	return v
}

// compact reads a Compact of any width, in its shortest form only.
func (r *Reader) compact(t *Type) (v uint64, le []byte) {
	if t.bits == 0 {
		return 0, nil
	}
	if t.bits < 0 {
		r.fail(t.ID, fmt.Errorf("%w: nothing that has a compact form", ErrUnknown))
		return 0, nil
	}
	at := r.r.Offset()
	// Above eight bytes the form is one byte of length and the bytes themselves.
	if at < len(r.b) && r.b[at]&3 == 3 && r.b[at]>>2 > 4 {
		n := int(r.b[at]>>2) + 4
		r.r.Byte()
		le = r.r.Bytes(n)
		r.check(t.ID)
		if r.err == nil && n*8 > int(t.bits) {
			r.fail(t.ID, fmt.Errorf("%w: compact integer of %d bytes", scale.ErrRange, n))
		}
		if r.err == nil && le[n-1] == 0 {
			r.fail(t.ID, scale.ErrNonCanonical)
		}
		return 0, le
	}
	v = r.r.Compact()
	r.check(t.ID)
	if r.err == nil && t.bits < 64 && v>>t.bits != 0 {
		r.fail(t.ID, fmt.Errorf("%w: %d does not fit %d bits", scale.ErrRange, v, t.bits))
	}
	return v, nil
}

// Uint reads an integer of at most 64 bits, or a compact one whose value fits that. A negative one is
// an error.
func (r *Reader) Uint(id ID) uint64 {
	t := r.want(id, "an integer", isInteger)
	if t == nil {
		return 0
	}
	v, le := r.integer(t)
	switch {
	case r.err != nil:
		return 0
	case len(le) > 8:
		for _, c := range le[8:] {
			if c != 0 {
				r.fail(id, fmt.Errorf("%w: above 64 bits", scale.ErrRange))
				return 0
			}
		}
		return word(le[:8], false)
	case t.Kind == Primitive && t.Prim.Signed() && int64(v) < 0:
		r.fail(id, fmt.Errorf("%w: %d is negative", scale.ErrRange, int64(v)))
		return 0
	}
	return v
}

// Big reads an integer of any width.
func (r *Reader) Big(id ID) *big.Int {
	t := r.want(id, "an integer", isInteger)
	if t == nil {
		return new(big.Int)
	}
	v, le := r.integer(t)
	signed := t.Kind == Primitive && t.Prim.Signed()
	switch {
	case len(le) > 8:
		return wide(le, signed)
	case signed:
		return big.NewInt(int64(v))
	}
	return new(big.Int).SetUint64(v)
}

// wide makes an integer of little-endian bytes.
func wide(le []byte, signed bool) *big.Int {
	be := make([]byte, len(le))
	for i, c := range le {
		be[len(le)-1-i] = c
	}
	v := new(big.Int).SetBytes(be)
	if signed && len(be) > 0 && be[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	return v
}

// Bool reads a bool.
func (r *Reader) Bool(id ID) bool {
	if r.want(id, "a bool", func(t *Type) bool { return t.Kind == Primitive && t.Prim == Bool }) == nil {
		return false
	}
	v := r.r.Bool()
	r.check(id)
	return v
}

// Bytes reads a Vec<u8>, a [u8; N], a struct around one such as H256 and AccountId32, or a String.
// They alias the input.
func (r *Reader) Bytes(id ID) []byte {
	t := r.want(id, "bytes", func(t *Type) bool { return t.role == roleBytes || t.Kind == Primitive && t.Prim == Str })
	if t == nil {
		return nil
	}
	return r.octets(t)
}

func (r *Reader) octets(t *Type) []byte {
	var b []byte
	if t.Kind == Array {
		b = r.r.Bytes(int(min(uint64(t.Len), 1<<31-1)))
	} else {
		b = r.r.Blob(-1)
	}
	r.check(t.ID)
	return b
}

// Count reads the length of a sequence, or knows that of an array, and returns it with the type of
// the elements, which the caller reads next. So many elements fit into the input, or take no bytes.
func (r *Reader) Count(id ID) (elem ID, n int) {
	t := r.want(id, "a list", func(t *Type) bool { return t.Kind == Sequence || t.Kind == Array })
	if t == nil {
		return NoType, 0
	}
	return t.Elem, r.count(t)
}

func (r *Reader) count(t *Type) int {
	n := uint64(t.Len)
	if t.Kind == Sequence {
		n = r.r.Compact()
		r.check(t.ID)
	}
	if r.err != nil {
		return 0
	}
	least := r.reg.types[t.Elem].min
	if least > 0 && n > uint64(r.r.Len())/uint64(least) {
		r.fail(t.ID, fmt.Errorf("%w: %d elements of %d bytes or more, %d bytes left", scale.ErrShort, n, least, r.r.Len()))
		return 0
	}
	if n > uint64(r.work) && (least == 0 || !r.reg.types[t.Elem].plain) {
		r.fail(t.ID, fmt.Errorf("%w: %d elements", ErrWork, n))
		return 0
	}
	return int(n)
}

// Variant reads which variant of an enum comes next; the caller reads its fields. After an error it
// returns one without a name and without fields.
func (r *Reader) Variant(id ID) *Variant {
	t := r.want(id, "an enum", func(t *Type) bool { return t.Kind == Enum })
	if t == nil {
		return new(Variant)
	}
	if v := r.variant(t); v != nil {
		return v
	}
	return new(Variant)
}

func (r *Reader) variant(t *Type) *Variant {
	index := r.r.Byte()
	r.check(t.ID)
	if r.err != nil {
		return nil
	}
	v := t.Variant(index)
	if v == nil {
		r.fail(t.ID, fmt.Errorf("%w: variant %d", ErrUnknown, index))
	}
	return v
}

// Skip reads past a value.
func (r *Reader) Skip(id ID) { r.skip(id, 0) }

func (r *Reader) skip(id ID, depth int) {
	t := r.enter(id, depth)
	if t == nil {
		return
	}
	if t.plain {
		r.r.Bytes(int(t.min))
		r.check(id)
		return
	}
	switch t.Kind {
	case Composite, Tuple:
		r.skipFields(t.Fields, depth)
	case Enum:
		if v := r.variant(t); v != nil {
			if r.skipFields(v.Fields, depth); r.err != nil {
				r.in("." + v.Name)
			}
		}
	case Sequence, Array:
		n := r.count(t)
		if r.err != nil {
			return
		}
		if e := &r.reg.types[t.Elem]; e.plain {
			r.r.Bytes(n * int(e.min)) // count saw that they are there
			return
		}
		for i := range n {
			if r.skip(t.Elem, depth+1); r.err != nil {
				r.in(stepIndex(i))
				return
			}
		}
	case Compact:
		r.compact(t)
	case BitSequence:
		r.bitSequence(t)
	default:
		r.scalar(t)
	}
}

func (r *Reader) skipFields(fields []Field, depth int) {
	for i := range fields {
		if r.skip(fields[i].Type, depth+1); r.err != nil {
			r.in(stepName(fields, i))
			return
		}
	}
}

// scalar reads a bool, a char or a string; the number is that of the first two.
func (r *Reader) scalar(t *Type) (v uint64, text []byte) {
	switch t.Prim {
	case Bool:
		if r.r.Bool() {
			v = 1
		}
	case Char:
		v = uint64(r.r.U32())
		if r.r.Err() == nil && (v > utf8.MaxRune || !utf8.ValidRune(rune(v))) {
			r.fail(t.ID, fmt.Errorf("%w: no character has the number %d", scale.ErrRange, v))
		}
	default:
		text = r.r.Blob(-1)
		if !utf8.Valid(text) {
			r.fail(t.ID, fmt.Errorf("%w: not UTF-8", scale.ErrRange))
		}
	}
	r.check(t.ID)
	return v, text
}

// bitSequence reads a BitVec: the number of its bits and the words that they are kept in. What a last
// word has above the bits is 0, as bitvec writes it.
func (r *Reader) bitSequence(t *Type) (n int, words []byte, size int) {
	size = r.reg.types[t.Elem].Prim.Bits() / 8
	if e := &r.reg.types[t.Elem]; e.Kind != Primitive || e.Prim < U8 || e.Prim > U64 {
		r.fail(t.ID, fmt.Errorf("%w: bits in words of that type", ErrUnknown))
		return 0, nil, 1
	}
	count := r.r.Compact()
	r.check(t.ID)
	if r.err != nil {
		return 0, nil, 1
	}
	if count > uint64(r.r.Len())*8 {
		r.fail(t.ID, fmt.Errorf("%w: %d bits in %d bytes", scale.ErrShort, count, r.r.Len()))
		return 0, nil, 1
	}
	n = int(count)
	words = r.r.Bytes((n + size*8 - 1) / (size * 8) * size)
	r.check(t.ID)
	if r.err != nil {
		return 0, nil, 1
	}
	for i := n; i < len(words)*8; i++ {
		if bitAt(words, size, r.reg.lsb(t), i) {
			r.fail(t.ID, scale.ErrNonCanonical)
			return 0, nil, 1
		}
	}
	return n, words, size
}

// lsb reports whether the first bit of a word is its lowest (bitvec::order::Lsb0).
func (g *Registry) lsb(t *Type) bool { return g.types[t.Order].Last() != "Msb0" }

// bitAt returns a bit of words of size bytes, which are little-endian.
func bitAt(words []byte, size int, lsb bool, i int) bool {
	at, mask := bitPlace(size, lsb, i)
	return words[at]&mask != 0
}

func bitPlace(size int, lsb bool, i int) (at int, mask byte) {
	word, bit := i/(size*8), i%(size*8)
	if !lsb {
		bit = size*8 - 1 - bit
	}
	return word*size + bit/8, 1 << (bit % 8)
}

// Find reads on to a field of a struct, by the names of it and of those around it, and returns its
// type; the caller reads it next. ok is false if there is none of that name, or after an error.
func (r *Reader) Find(id ID, names ...string) (field ID, ok bool) {
	for _, name := range names {
		t := r.enter(id, 0)
		if t == nil {
			return NoType, false
		}
		id = NoType
		for _, f := range t.Fields {
			if f.Name == name {
				id = f.Type
				break
			}
			r.Skip(f.Type)
		}
		if id == NoType {
			return NoType, false
		}
	}
	return id, r.err == nil
}
