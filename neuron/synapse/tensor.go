package synapse

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// An Array is what a tensor field holds: numbers of one type in C order, little endian.
type Array struct {
	DType string // float16, float32, float64, uint8, int8, int16, int32, int64 or bool
	Shape []int  // the SDK writes a scalar as [0]; such an array has one number
	Data  []byte
}

// dtypes gives numpy's name and the size of each type that the SDK knows (core/tensor.py).
var dtypes = map[string]struct {
	numpy string
	size  int
}{
	"float16": {"<f2", 2}, "float32": {"<f4", 4}, "float64": {"<f8", 8},
	"uint8": {"|u1", 1}, "int8": {"|i1", 1}, "int16": {"<i2", 2}, "int32": {"<i4", 4}, "int64": {"<i8", 8}, "bool": {"|b1", 1},
}

// maxDims bounds a shape: numpy's own limit.
const maxDims = 32

type tensorJSON struct {
	Buffer string `json:"buffer"`
	DType  string `json:"dtype"`
	Shape  []int  `json:"shape"`
}

// JSON returns the array as a tensor field has it.
func (a *Array) JSON() (json.RawMessage, error) {
	t, ok := dtypes[a.DType]
	if !ok {
		return nil, fmt.Errorf("%w: dtype %.20q", ErrTensor, a.DType)
	}
	if err := a.check(t.size, a.Shape); err != nil {
		return nil, err
	}
	b := append([]byte{0x85, 0xc4, 2}, "nd"...)
	b = append(append(b, 0xc3, 0xc4, 4), "type"...)
	b = append(append(b, 0xa0|byte(len(t.numpy))), t.numpy...)
	b = append(append(b, 0xc4, 4), "kind\xc4\x00\xc4\x05shape"...)
	if n := len(a.Shape); n < 16 {
		b = append(b, 0x90|byte(n))
	} else {
		b = append(b, 0xdc, 0, byte(n))
	}
	for _, n := range a.Shape {
		b = appendUint(b, uint64(n))
	}
	b = append(append(b, 0xc4, 4), "data"...)
	switch n := len(a.Data); {
	case n < 1<<8:
		b = append(b, 0xc4, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0xc5), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	b = append(b, a.Data...)
	return json.Marshal(tensorJSON{base64.StdEncoding.EncodeToString(b), a.DType, append([]int{}, a.Shape...)})
}

func appendUint(b []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(b, byte(n))
	case n < 1<<8:
		return append(b, 0xcc, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), n)
}

// check holds the data to its shape, without overflow whatever the shape says.
func (a *Array) check(size int, shape []int) error {
	if len(shape) > maxDims {
		return fmt.Errorf("%w: %d dimensions, at most %d", ErrTensor, len(shape), maxDims)
	}
	want, zero := uint64(size), false
	for _, n := range shape {
		if n < 0 {
			return fmt.Errorf("%w: a dimension of %d", ErrTensor, n)
		}
		if zero = zero || n == 0; n > 0 {
			if want *= min(uint64(n), 1<<32-1); want > 1<<32-1 {
				return fmt.Errorf("%w: its shape is too large", ErrTensor)
			}
		}
	}
	if zero {
		want = 0
	}
	scalar := len(shape) == 1 && shape[0] == 0 && len(a.Data) == size
	if uint64(len(a.Data)) != want && !scalar {
		return fmt.Errorf("%w: %d bytes of data, its shape wants %d", ErrTensor, len(a.Data), want)
	}
	return nil
}

// ParseTensor reads a tensor field: an object whose buffer is the base64 of an array as msgpack-numpy writes
// it. What buffer, dtype and shape say of one another has to agree.
func ParseTensor(raw json.RawMessage) (*Array, error) {
	var t tensorJSON
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTensor, err)
	}
	a := &Array{DType: strings.TrimPrefix(t.DType, "torch."), Shape: t.Shape}
	known, ok := dtypes[a.DType]
	if !ok {
		return nil, fmt.Errorf("%w: dtype %.20q", ErrTensor, t.DType)
	}
	b, err := base64.StdEncoding.DecodeString(t.Buffer)
	if err != nil {
		return nil, fmt.Errorf("%w: buffer is not base64", ErrTensor)
	}
	r := packReader{b: b}
	var inner []int
	var numpy string
	var nd, seen byte
	for range r.head(0x80, 0xde) {
		key := string(r.bytes())
		switch key {
		case "nd":
			nd, seen = r.byte(), seen|1
		case "type":
			numpy, seen = string(r.bytes()), seen|2
		case "kind":
			if len(r.bytes()) > 0 {
				r.bad = true // an array of records
			}
		case "shape":
			n := r.head(0x90, 0xdc)
			if n > maxDims {
				r.bad = true
			}
			for i := 0; i < n && !r.bad; i++ {
				inner = append(inner, r.uint())
			}
			seen |= 4
		case "data":
			a.Data, seen = r.bytes(), seen|8
		default:
			r.bad = true
		}
		if r.bad {
			break
		}
	}
	if r.bad || len(r.b) > 0 || seen != 15 || nd != 0xc3 {
		return nil, fmt.Errorf("%w: buffer is no array of msgpack-numpy", ErrTensor)
	}
	if numpy != known.numpy {
		return nil, fmt.Errorf("%w: dtype %s, its buffer has %.8q", ErrTensor, a.DType, numpy)
	}
	if err := a.check(known.size, inner); err != nil {
		return nil, err
	}
	return a, a.check(known.size, a.Shape)
}

// A packReader reads the little of msgpack that an array needs.
type packReader struct {
	b   []byte
	bad bool
}

func (r *packReader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *packReader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

// big reads an unsigned number of n bytes.
func (r *packReader) big(n int) int {
	v := uint64(0)
	for _, c := range r.take(n) {
		v = v<<8 | uint64(c)
	}
	if v > 1<<31-1 {
		r.bad = true
		return 0
	}
	return int(v)
}

// head reads the count of a map or an array: in the low half of a byte, or in two bytes after one.
func (r *packReader) head(fix, sixteen byte) int {
	switch c := r.byte(); {
	case c&0xf0 == fix:
		return int(c & 0x0f)
	case c == sixteen:
		return r.big(2)
	}
	r.bad = true
	return 0
}

// bytes reads a text or binary.
func (r *packReader) bytes() []byte {
	switch c := r.byte(); {
	case c&0xe0 == 0xa0:
		return r.take(int(c & 0x1f))
	case c == 0xc4, c == 0xd9:
		return r.take(r.big(1))
	case c == 0xc5, c == 0xda:
		return r.take(r.big(2))
	case c == 0xc6, c == 0xdb:
		return r.take(r.big(4))
	}
	r.bad = true
	return nil
}

func (r *packReader) uint() int {
	switch c := r.byte(); {
	case c < 0x80:
		return int(c)
	case c >= 0xcc && c <= 0xcf:
		return r.big(1 << (c - 0xcc))
	}
	r.bad = true
	return 0
}
