// Package scale reads and writes SCALE, the fixed binary encoding of Substrate chains.
//
// It promises that every length is checked against the bytes that are there before anything is
// allocated, that compact integers are accepted in their shortest form only (as the chain's own
// codec does), and that malformed input gives an error and never a panic.
//
// It never uses reflection: each type of the protocol writes out its own fields, which is some
// hundred times faster and shows the layout where it is read.
package scale

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of the decoder. They come wrapped with what was being read.
var (
	// ErrShort: the input ended inside a value.
	ErrShort = errors.New("input too short")
	// ErrNonCanonical: a compact integer was not in its shortest form.
	ErrNonCanonical = errors.New("compact integer not in shortest form")
	// ErrRange: a value does not fit its type, or a length is above the caller's limit.
	ErrRange = errors.New("value out of range")
	// ErrTrailing: bytes were left over where the value should have ended.
	ErrTrailing = errors.New("trailing bytes")
)

// A Reader takes values from the front of a byte slice. The first error sticks: later reads return
// zero values, so a caller may read a whole structure and look at Err once. Slices returned by it
// alias the input.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader returns a Reader on b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error met.
func (r *Reader) Err() error { return r.err }

// Len returns the number of bytes not read yet.
func (r *Reader) Len() int { return len(r.b) - r.off }

// Offset returns the number of bytes read so far.
func (r *Reader) Offset() int { return r.off }

// Fail records err, unless an error is recorded already.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Finish returns the first error met, or ErrTrailing if input is left.
func (r *Reader) Finish() error {
	if r.err == nil && r.off != len(r.b) {
		r.err = fmt.Errorf("%w: %d left of %d", ErrTrailing, len(r.b)-r.off, len(r.b))
	}
	return r.err
}

// Bytes returns the next n bytes, as they are.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b)-r.off {
		r.err = fmt.Errorf("%w: want %d bytes at offset %d, have %d", ErrShort, n, r.off, len(r.b)-r.off)
		return nil
	}
	p := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

// Copy fills dst with the next len(dst) bytes.
func (r *Reader) Copy(dst []byte) { copy(dst, r.Bytes(len(dst))) }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if p := r.Bytes(1); p != nil {
		return p[0]
	}
	return 0
}

// Bool reads a byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	b := r.Byte()
	if b > 1 {
		r.Fail(fmt.Errorf("%w: bool is 0x%02x", ErrRange, b))
	}
	return b == 1
}

// U16 reads a little-endian uint16.
func (r *Reader) U16() uint16 {
	if p := r.Bytes(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// U32 reads a little-endian uint32.
func (r *Reader) U32() uint32 {
	if p := r.Bytes(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// U64 reads a little-endian uint64.
func (r *Reader) U64() uint64 {
	if p := r.Bytes(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Compact reads a compact integer of at most 64 bits.
func (r *Reader) Compact() uint64 {
	first := r.Byte()
	if r.err != nil {
		return 0
	}
	at := r.off - 1
	var v, least uint64
	switch first & 3 {
	case 0:
		return uint64(first >> 2)
	case 1:
		v, least = uint64(first>>2)|uint64(r.Byte())<<6, 1<<6
	case 2:
		p := r.Bytes(3)
		if p == nil {
			return 0
		}
		v, least = (uint64(first)|uint64(p[0])<<8|uint64(p[1])<<16|uint64(p[2])<<24)>>2, 1<<14
	default:
		n := int(first>>2) + 4
		if n > 8 {
			r.Fail(fmt.Errorf("%w: compact integer of %d bytes at offset %d", ErrRange, n, at))
			return 0
		}
		p := r.Bytes(n)
		for i, c := range p {
			v |= uint64(c) << (8 * i)
		}
		least = 1 << 30
		if n > 4 {
			least = 1 << (8 * (n - 1))
		}
	}
	if r.err == nil && v < least {
		r.Fail(fmt.Errorf("%w: at offset %d", ErrNonCanonical, at))
	}
	if r.err != nil {
		return 0
	}
	return v
}

// Count reads the length of a sequence whose elements take at least size bytes each (size ≥ 1), and
// refuses one above max or one that the input cannot hold, so that the caller may allocate by it.
func (r *Reader) Count(size, max int) int {
	at := r.off
	n := r.Compact()
	if r.err != nil {
		return 0
	}
	if max >= 0 && n > uint64(max) {
		r.Fail(fmt.Errorf("%w: %d elements at offset %d, at most %d allowed", ErrRange, n, at, max))
		return 0
	}
	if n > uint64(r.Len()/size) {
		r.Fail(fmt.Errorf("%w: %d elements of %d bytes or more at offset %d, %d bytes left", ErrShort, n, size, at, r.Len()))
		return 0
	}
	return int(n)
}

// Blob reads a Vec<u8> of at most max bytes (max < 0: no limit but the input).
func (r *Reader) Blob(max int) []byte { return r.Bytes(r.Count(1, max)) }

// AppendCompact appends v as a compact integer.
func AppendCompact(b []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v<<2))
	case v < 1<<14:
		return binary.LittleEndian.AppendUint16(b, uint16(v<<2|1))
	case v < 1<<30:
		return binary.LittleEndian.AppendUint32(b, uint32(v<<2|2))
	}
	n := 4
	for n < 8 && v>>(8*n) != 0 {
		n++
	}
	b = append(b, byte(n-4)<<2|3)
	for i := range n {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

// AppendBlob appends p as a Vec<u8>.
func AppendBlob(b, p []byte) []byte { return append(AppendCompact(b, uint64(len(p))), p...) }

// AppendU16 appends v in little-endian order.
func AppendU16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }

// AppendU32 appends v in little-endian order.
func AppendU32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// AppendU64 appends v in little-endian order.
func AppendU64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendBool appends v as one byte.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
