// Package jsonfield reads JSON objects field by field, for facts and trust roots, where the
// standard decoder is too obliging: it folds the case of names, lets the last of two equal names
// win, and turns numbers into floats when asked for nothing better.
//
// It promises exact names, an error for a name that is asked for and stands there twice, integers
// of up to 128 bits without a float on the way, hex with or without 0x, and values that alias the
// input instead of copying it. Whatever nobody asks for is ignored.
//
// It never allocates by a figure in the input: a list is counted against the caller's limit first.
package jsonfield

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/taolight/taolight/verify"
)

// Errors of the reader. They come wrapped with the name of the field.
var (
	// ErrJSON: the text is not JSON.
	ErrJSON = errors.New("not valid JSON")
	// ErrType: a value has another JSON type than the field wants.
	ErrType = errors.New("wrong type")
	// ErrInteger: a value is not a whole number of at most the wanted bits.
	ErrInteger = errors.New("not an integer in range")
	// ErrDuplicate: a name stands twice in one object, so the value is anybody's guess.
	ErrDuplicate = errors.New("name stands twice")
	// ErrMissing: a field that must be there is not.
	ErrMissing = errors.New("missing")
	// ErrLimit: more of something than is allowed.
	ErrLimit = errors.New("over the limit")
)

// MaxMembers bounds the names in one object, other than one that is walked with Members.
const MaxMembers = 10_000

// A Member is one name and value of an object. Value aliases the input.
type Member struct {
	Name  string
	Value json.RawMessage
}

// An Object holds the members of a JSON object. The first error sticks, so that a caller may read
// all fields and look at Err once. A field that is absent or null reads as the zero value and false.
type Object struct {
	members []Member
	err     error
}

// Parse reads raw, which must be one JSON object.
func Parse(raw []byte) (*Object, error) {
	if !json.Valid(raw) {
		return nil, ErrJSON
	}
	return parse(raw)
}

// parse is Parse for what is part of a text found valid.
func parse(raw json.RawMessage) (*Object, error) {
	o := new(Object)
	err := Members(raw, func(name string, value json.RawMessage) error {
		if len(o.members) == MaxMembers {
			return fmt.Errorf("%w: object of more than %d names", ErrLimit, MaxMembers)
		}
		o.members = append(o.members, Member{name, value})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// All returns the members as they stand.
func (o *Object) All() []Member { return o.members }

// Err returns the first error met.
func (o *Object) Err() error { return o.err }

// Fail records err for a field, unless an error is recorded already.
func (o *Object) Fail(name string, err error) {
	if o.err == nil {
		o.err = fmt.Errorf("%s: %w", name, err)
	}
}

// Raw returns the value of a field as it stands, null included.
func (o *Object) Raw(name string) (json.RawMessage, bool) {
	var v json.RawMessage
	for i := range o.members {
		if o.members[i].Name != name {
			continue
		}
		if v != nil {
			o.Fail(name, ErrDuplicate)
			return nil, false
		}
		v = o.members[i].Value
	}
	return v, v != nil
}

// Has reports whether a field is there and not null.
func (o *Object) Has(name string) bool {
	v, ok := o.Raw(name)
	return ok && string(v) != "null"
}

// Need fails unless every one of the fields is there.
func (o *Object) Need(names ...string) {
	for _, n := range names {
		if !o.Has(n) {
			o.Fail(n, ErrMissing)
		}
	}
}

func read[T any](o *Object, name string, f func(json.RawMessage) (T, error)) (T, bool) {
	var zero T
	if o.err != nil || !o.Has(name) {
		return zero, false
	}
	raw, _ := o.Raw(name)
	v, err := f(raw)
	if err != nil {
		o.Fail(name, err)
		return zero, false
	}
	return v, true
}

// Text reads a string.
func (o *Object) Text(name string) (string, bool) { return read(o, name, Text) }

// Bool reads true or false.
func (o *Object) Bool(name string) (bool, bool) {
	return read(o, name, func(raw json.RawMessage) (bool, error) {
		switch string(raw) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%w: want true or false", ErrType)
	})
}

// Bytes reads hex of at most max bytes.
func (o *Object) Bytes(name string, max int) ([]byte, bool) {
	return read(o, name, func(raw json.RawMessage) ([]byte, error) { return Bytes(raw, max) })
}

// Hash reads 32 bytes of hex.
func (o *Object) Hash(name string) (verify.Hash, bool) { return read(o, name, Hash) }

// Uint reads an integer of at most the given bits (≤ 64).
func (o *Object) Uint(name string, size int) (uint64, bool) {
	return read(o, name, func(raw json.RawMessage) (uint64, error) { return Uint(raw, size) })
}

// Uint128 reads an integer of at most 128 bits.
func (o *Object) Uint128(name string) (Uint128, bool) { return read(o, name, Integer) }

// Elements reads a list of at most max elements.
func (o *Object) Elements(name string, max int) ([]json.RawMessage, bool) {
	return read(o, name, func(raw json.RawMessage) ([]json.RawMessage, error) { return Elements(raw, max) })
}

// Object reads an object.
func (o *Object) Object(name string) (*Object, bool) {
	return read(o, name, parse)
}

// Text returns the string that raw is. One that is no UTF-8 is refused: another reader would see
// another text.
func Text(raw json.RawMessage) (string, error) {
	b, err := text(raw)
	if err == nil && !utf8.Valid(b) {
		err = fmt.Errorf("%w: string is not UTF-8", ErrJSON)
	}
	return string(b), err
}

// text returns the bytes of a string, aliasing raw if nothing in it is escaped.
func text(raw json.RawMessage) ([]byte, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, fmt.Errorf("%w: want a string", ErrType)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrJSON, err)
	}
	return []byte(s), nil
}

// Bytes returns the bytes of a hex string (with or without 0x), at most max of them.
func Bytes(raw json.RawMessage, max int) ([]byte, error) {
	s, err := text(raw)
	if err != nil {
		return nil, err
	}
	if len(s) >= 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		s = s[2:]
	}
	if len(s)/2 > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrLimit, len(s)/2, max)
	}
	b := make([]byte, hex.DecodedLen(len(s)))
	if _, err := hex.Decode(b, s); err != nil {
		return nil, fmt.Errorf("%w: %v", verify.ErrHex, err)
	}
	return b, nil
}

// Hash returns 32 bytes of hex.
func Hash(raw json.RawMessage) (verify.Hash, error) {
	b, err := Bytes(raw, 1024)
	if err != nil {
		return verify.Hash{}, err
	}
	if len(b) != 32 {
		return verify.Hash{}, fmt.Errorf("%w: want 32 bytes, not %d", verify.ErrHex, len(b))
	}
	return verify.Hash(b), nil
}

// A Uint128 is an unsigned integer of 128 bits.
type Uint128 struct{ Hi, Lo uint64 }

// Is reports whether u equals v.
func (u Uint128) Is(v uint64) bool { return u.Hi == 0 && u.Lo == v }

// Integer returns a JSON number, a string of decimal digits, or a string of hex digits after 0x (the
// "quantity" of JSON-RPC). A sign, a fraction or an exponent is refused, even where the value is
// whole, because no such writer can be trusted not to have rounded.
func Integer(raw json.RawMessage) (Uint128, error) {
	s := []byte(raw)
	base := uint64(10)
	if len(raw) > 0 && raw[0] == '"' {
		var err error
		if s, err = text(raw); err != nil {
			return Uint128{}, err
		}
		if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
			s, base = s[2:], 16
		}
	}
	if len(s) == 0 {
		return Uint128{}, fmt.Errorf("%w: empty", ErrInteger)
	}
	var u Uint128
	for _, c := range s {
		d := uint64(99)
		switch {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = uint64(c|0x20-'a') + 10
		}
		if d >= base {
			return Uint128{}, fmt.Errorf("%w: %q", ErrInteger, clip(s))
		}
		over, hi := bits.Mul64(u.Hi, base)
		carry, lo := bits.Mul64(u.Lo, base)
		lo, c1 := bits.Add64(lo, d, 0)
		hi, c2 := bits.Add64(hi, carry, c1)
		if over != 0 || c2 != 0 {
			return Uint128{}, fmt.Errorf("%w: %q does not fit 128 bits", ErrInteger, clip(s))
		}
		u = Uint128{hi, lo}
	}
	return u, nil
}

func clip(s []byte) []byte { return s[:min(len(s), 48)] }

// Uint returns an integer of at most the given bits (≤ 64).
func Uint(raw json.RawMessage, size int) (uint64, error) {
	u, err := Integer(raw)
	if err != nil {
		return 0, err
	}
	if u.Hi != 0 || size < 64 && u.Lo>>size != 0 {
		return 0, fmt.Errorf("%w: more than %d bits", ErrInteger, size)
	}
	return u.Lo, nil
}
