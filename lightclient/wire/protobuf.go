package wire

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/taolight/taolight/verify"
)

// A fieldReader takes the fields of one protobuf message from the front of a byte slice. Unknown
// fields are skipped by the caller not asking for their value. The first error sticks.
type fieldReader struct {
	b    []byte
	num  protowire.Number
	typ  protowire.Type
	seen uint64 // bit n: singular field n was there
	err  error
}

// next moves to the next field and reports whether there is one. The caller must take its value
// with exactly one of the methods below.
func (r *fieldReader) next() bool {
	if r.err != nil || len(r.b) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.b)
	if n < 0 {
		r.err = fmt.Errorf("%w: protobuf tag: %v", ErrMalformed, protowire.ParseError(n))
		return false
	}
	r.b, r.num, r.typ = r.b[n:], num, typ
	return true
}

// fail records an error at the current field.
func (r *fieldReader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("field %d: %w", r.num, err)
	}
}

// skip passes over a field that this package does not know.
func (r *fieldReader) skip() {
	if n := protowire.ConsumeFieldValue(r.num, r.typ, r.b); n < 0 {
		r.fail(fmt.Errorf("%w: %v", ErrMalformed, protowire.ParseError(n)))
	} else {
		r.b = r.b[n:]
	}
}

func (r *fieldReader) want(typ protowire.Type) bool {
	if r.err == nil && r.typ != typ {
		r.fail(fmt.Errorf("%w: wire type %d, want %d", ErrMalformed, r.typ, typ))
	}
	return r.err == nil
}

// once refuses a singular field that was there before: honest encoders write it once, and which of
// two counts differs between implementations.
func (r *fieldReader) once() bool {
	bit := uint64(1) << r.num // known fields have small numbers
	if r.err == nil && r.seen&bit != 0 {
		r.fail(fmt.Errorf("%w: given twice", ErrMalformed))
	}
	r.seen |= bit
	return r.err == nil
}

// has reports whether the singular field num was there.
func (r *fieldReader) has(num protowire.Number) bool { return r.seen>>num&1 != 0 }

// uint reads a singular varint of at most max.
func (r *fieldReader) uint(max uint64) uint64 {
	if !r.want(protowire.VarintType) || !r.once() {
		return 0
	}
	v, n := protowire.ConsumeVarint(r.b)
	switch {
	case n < 0:
		r.fail(fmt.Errorf("%w: %v", ErrMalformed, protowire.ParseError(n)))
		return 0
	case v > max:
		r.fail(fmt.Errorf("%w: value %d, at most %d", ErrMalformed, v, max))
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *fieldReader) uint32() uint32 { return uint32(r.uint(math.MaxUint32)) }

func (r *fieldReader) bool() bool { return r.uint(1) != 0 }

// element reads one value of a repeated bytes, string or message field, of at most max bytes.
func (r *fieldReader) element(max int) []byte {
	if !r.want(protowire.BytesType) {
		return nil
	}
	v, n := protowire.ConsumeBytes(r.b)
	switch {
	case n < 0:
		r.fail(fmt.Errorf("%w: %v", ErrMalformed, protowire.ParseError(n)))
		return nil
	case len(v) > max:
		r.fail(fmt.Errorf("%w: %d bytes, at most %d", ErrTooMany, len(v), max))
		return nil
	}
	r.b = r.b[n:]
	return v[:len(v):len(v)]
}

// bytes reads a singular bytes, string or message field of at most max bytes. It is never nil
// unless there was an error.
func (r *fieldReader) bytes(max int) []byte {
	if !r.want(protowire.BytesType) || !r.once() {
		return nil
	}
	return r.element(max)
}

// hash reads a singular bytes field of exactly 32 bytes.
func (r *fieldReader) hash() verify.Hash {
	v := r.bytes(math.MaxInt)
	if r.err == nil && len(v) != len(verify.Hash{}) {
		r.fail(fmt.Errorf("%w: %d bytes, want the 32 of a hash", ErrMalformed, len(v)))
	}
	if r.err != nil {
		return verify.Hash{}
	}
	return verify.Hash(v)
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b // proto3 leaves zeros out
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	if v {
		return appendUint(b, num, 1)
	}
	return b
}

// appendBytes appends a field even if v is empty: absent and empty differ where a field is optional,
// repeated or in a oneof.
func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// bytesSize is the size of what appendBytes appends for a value of n bytes.
func bytesSize(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
