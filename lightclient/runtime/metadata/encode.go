package metadata

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// An InputError tells where in what was typed something does not fit.
type InputError struct {
	Arg  int    // counted from 1; 0 where there are none
	Path string // inside of it: .dests[3]
	Err  error  // ErrInput, ErrUnknown or an error of verify, wrapped
}

func (e *InputError) Error() string {
	at := ""
	if e.Arg > 0 {
		at = fmt.Sprintf("arg %d: ", e.Arg)
	}
	if e.Path != "" {
		at += e.Path + ": "
	}
	return at + e.Err.Error()
}

// Unwrap returns Err.
func (e *InputError) Unwrap() error { return e.Err }

// within puts a step in front of the path of an error.
func within(step string, err error) error {
	var e *InputError
	if err == nil {
		return nil
	}
	if errors.As(err, &e) {
		e.Path = prepend(step, e.Path)
		return e
	}
	return &InputError{Path: step, Err: err}
}

func argument(i int, err error) error {
	var e *InputError
	if !errors.As(err, &e) {
		e = &InputError{Err: err}
	}
	e.Arg = i + 1
	return e
}

// EncodeJSON encodes a value that is given as JSON, as Value.MarshalJSON writes it. Besides that it
// takes, for integers, strings with decimal digits that _ or , may group, or 0x and hex; for bytes, a
// string without 0x as its UTF-8, and a list of numbers; for 32 bytes an address; for a MultiAddress an
// address; for a struct with names a list of its fields in their order.
func (g *Registry) EncodeJSON(id ID, text []byte) ([]byte, error) {
	n, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	return g.encode(nil, id, n, 0)
}

// EncodeWord encodes a value from one word of a command line: JSON if it begins with {, [ or ", or is
// null; else what EncodeJSON takes as a string, without the quotes. So a Vec<u8> may be given as text
// or hex, an enum by the name of a variant, an Option as none or the value.
func (g *Registry) EncodeWord(id ID, word string) ([]byte, error) {
	n, err := parseWord(word)
	if err != nil {
		return nil, err
	}
	return g.encode(nil, id, n, 0)
}

// EncodeFieldWords encodes arguments, one after the other, each from one word (EncodeWord).
func (g *Registry) EncodeFieldWords(fields []Field, words []string) ([]byte, error) {
	if len(words) != len(fields) {
		return nil, fmt.Errorf("%w: %d arguments, want %s", ErrInput, len(words), g.Signature(fields))
	}
	var b []byte
	for i, w := range words {
		n, err := parseWord(w)
		if err == nil {
			b, err = g.encode(b, fields[i].Type, n, 0)
		}
		if err != nil {
			return nil, argument(i, err)
		}
	}
	return b, nil
}

// EncodeFieldsJSON encodes arguments from a JSON object by their names, or from a list in their order.
// Empty text stands for no arguments.
func (g *Registry) EncodeFieldsJSON(fields []Field, text []byte) ([]byte, error) {
	n := &node{kind: '['}
	if len(text) > 0 {
		var err error
		if n, err = parseJSON(text); err != nil {
			return nil, err
		}
	}
	return g.encodeFields(nil, fields, n, 0)
}

// Signature lists fields as "netuid: u16, dests: Vec<u16>".
func (g *Registry) Signature(fields []Field) string {
	if len(fields) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString(", ")
		}
		if f.Name != "" {
			b.WriteString(f.Name + ": ")
		}
		b.WriteString(g.Name(f.Type))
	}
	return b.String()
}

func (g *Registry) encode(b []byte, id ID, n *node, depth int) ([]byte, error) {
	t := g.Shape(id)
	if t == nil {
		return nil, fmt.Errorf("%w: type %d", ErrUnknown, id)
	}
	if depth > maxDepth {
		return nil, ErrWork
	}
	switch t.Kind {
	case Composite, Tuple:
		return g.encodeFields(b, t.Fields, n, depth)
	case Enum:
		return g.encodeEnum(b, t, n, depth)
	case Sequence, Array:
		switch {
		case n.kind == '[':
			return g.encodeList(b, t, n, depth)
		case t.role == roleBytes:
			return g.encodeBytes(b, t, n)
		case g.types[id].role == roleU256:
			v, err := g.integer(&g.types[id], n, 256, false)
			if err != nil {
				return nil, err
			}
			return appendWide(b, v, 32), nil
		}
		return g.encodeList(b, t, n, depth)
	case Compact:
		return g.encodeCompact(b, t, n)
	case BitSequence:
		return g.encodeBits(b, t, n)
	}
	return g.encodePrimitive(b, t, n)
}

// mismatch says that something else was wanted.
func (g *Registry) mismatch(t *Type, n *node, want string) error {
	return fmt.Errorf("%w %s: %s, want %s", ErrInput, g.Name(t.ID), n.show(), want)
}

func (g *Registry) encodePrimitive(b []byte, t *Type, n *node) ([]byte, error) {
	switch t.Prim {
	case Bool:
		if n.kind == 't' || n.kind == 'w' && n.text == "true" {
			return append(b, 1), nil
		}
		if n.kind == 'f' || n.kind == 'w' && n.text == "false" {
			return append(b, 0), nil
		}
		return nil, g.mismatch(t, n, "true or false")
	case Char:
		c, size := utf8.DecodeRuneInString(n.text)
		if !n.isText() || size == 0 || size != len(n.text) || c == utf8.RuneError && size == 1 {
			return nil, g.mismatch(t, n, "one character")
		}
		return scale.AppendU32(b, uint32(c)), nil
	case Str:
		if !n.isText() || !utf8.ValidString(n.text) {
			return nil, g.mismatch(t, n, "text")
		}
		return scale.AppendBlob(b, []byte(n.text)), nil
	}
	v, err := g.integer(t, n, t.Prim.Bits(), t.Prim.Signed())
	if err != nil {
		return nil, err
	}
	return appendWide(b, v, t.Prim.Bits()/8), nil
}

// integer reads a whole number of at most so many bits.
func (g *Registry) integer(t *Type, n *node, bits int, signed bool) (*big.Int, error) {
	digits, base := n.text, 10
	if n.isText() {
		digits = strings.NewReplacer("_", "", ",", "").Replace(digits)
	} else if n.kind != '0' {
		return nil, g.mismatch(t, n, "a number")
	}
	if rest, hex := strings.CutPrefix(digits, "0x"); hex {
		digits, base = rest, 16
	}
	// Longer than 256 bits in decimal is too long; and no sign but one in front, as SetString takes.
	v, ok := new(big.Int), len(digits) <= 100 && !strings.ContainsAny(digits, "+_") && (base == 10 || !strings.HasPrefix(digits, "-"))
	if ok {
		v, ok = v.SetString(digits, base)
	}
	if !ok {
		return nil, g.mismatch(t, n, "a whole number")
	}
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if signed {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	if v.Cmp(low) < 0 || v.Cmp(high) >= 0 {
		return nil, fmt.Errorf("%s %w %s", clip(n.text), ErrInput, g.Name(t.ID))
	}
	return v, nil
}

// appendWide appends the low bytes of v, two's complement, the least first.
func appendWide(b []byte, v *big.Int, size int) []byte {
	if v.Sign() < 0 {
		v = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	at := len(b)
	b = append(b, make([]byte, size)...)
	be := v.FillBytes(make([]byte, size))
	for i, c := range be {
		b[at+size-1-i] = c
	}
	return b
}

func (g *Registry) encodeCompact(b []byte, t *Type, n *node) ([]byte, error) {
	switch {
	case t.bits < 0:
		return nil, fmt.Errorf("%w: nothing that has a compact form", ErrUnknown)
	case t.bits == 0:
		if !n.isUnit() {
			return nil, g.mismatch(t, n, "[]")
		}
		return b, nil
	}
	v, err := g.integer(t, n, int(t.bits), false)
	if err != nil {
		return nil, err
	}
	if v.IsUint64() {
		return scale.AppendCompact(b, v.Uint64()), nil
	}
	size := (v.BitLen() + 7) / 8
	return appendWide(append(b, byte(size-4)<<2|3), v, size), nil
}

// encodeBytes encodes a Vec<u8> or [u8; N] of text or hex; 32 bytes also of an address.
func (g *Registry) encodeBytes(b []byte, t *Type, n *node) ([]byte, error) {
	if !n.isText() {
		return nil, g.mismatch(t, n, "text, 0x and hex, or a list of numbers")
	}
	p := []byte(n.text)
	hex := strings.HasPrefix(n.text, "0x")
	if hex || t.Kind == Array && !g.mayBeAddress(t, n) {
		var err error
		if p, err = verify.ParseHex(n.text); err != nil {
			return nil, g.mismatch(t, n, "0x and hex digits")
		}
	}
	if t.Kind == Sequence {
		return scale.AppendBlob(b, p), nil
	}
	if !hex && g.mayBeAddress(t, n) {
		a, err := verify.ParseAccount(n.text)
		if err != nil {
			return nil, err
		}
		p = a[:]
	}
	if uint64(len(p)) != uint64(t.Len) {
		return nil, fmt.Errorf("%w %s: %d bytes, want %d", ErrInput, g.Name(t.ID), len(p), t.Len)
	}
	return append(b, p...), nil
}

// mayBeAddress tells an address from 64 hex digits without 0x.
func (g *Registry) mayBeAddress(t *Type, n *node) bool { return t.Len == 32 && len(n.text) != 64 }

func (g *Registry) encodeList(b []byte, t *Type, n *node, depth int) ([]byte, error) {
	if n.kind != '[' {
		return nil, g.mismatch(t, n, "a JSON list")
	}
	if t.Kind == Array {
		if uint64(len(n.list)) != uint64(t.Len) {
			return nil, fmt.Errorf("%w %s: %d elements, want %d", ErrInput, g.Name(t.ID), len(n.list), t.Len)
		}
	} else {
		b = scale.AppendCompact(b, uint64(len(n.list)))
	}
	for i := range n.list {
		var err error
		if b, err = g.encode(b, t.Elem, &n.list[i], depth+1); err != nil {
			return nil, within(stepIndex(i), err)
		}
	}
	return b, nil
}

func (g *Registry) encodeBits(b []byte, t *Type, n *node) ([]byte, error) {
	size := g.types[t.Elem].Prim.Bits() / 8
	if size == 0 || size > 8 {
		return nil, fmt.Errorf("%w: bits in words of that type", ErrUnknown)
	}
	if !n.isText() && n.kind != '0' || strings.Trim(n.text, "01") != "" {
		return nil, g.mismatch(t, n, "digits 0 and 1, the first bit first")
	}
	words := make([]byte, (len(n.text)+size*8-1)/(size*8)*size)
	for i := range len(n.text) {
		if n.text[i] == '1' {
			at, mask := bitPlace(size, g.lsb(t), i)
			words[at] |= mask
		}
	}
	return append(scale.AppendCompact(b, uint64(len(n.text))), words...), nil
}

// encodeFields encodes a struct, a tuple or the fields of a variant.
func (g *Registry) encodeFields(b []byte, fields []Field, n *node, depth int) ([]byte, error) {
	named := len(fields) > 0 && fields[0].Name != ""
	switch {
	case len(fields) == 0 && n.isUnit():
		return b, nil
	case n.kind == '{' && named:
		return g.encodeRecord(b, fields, n, depth)
	case n.kind != '[':
		want := "a JSON list of "
		if named {
			want = "a JSON object with "
		}
		return nil, fmt.Errorf("%w: %s, want %s%s", ErrInput, n.show(), want, g.Signature(fields))
	case len(n.list) != len(fields):
		return nil, fmt.Errorf("%w: %d values, want %s", ErrInput, len(n.list), g.Signature(fields))
	}
	for i := range fields {
		var err error
		if b, err = g.encode(b, fields[i].Type, &n.list[i], depth+1); err != nil {
			return nil, within(stepName(fields, i), err)
		}
	}
	return b, nil
}

func (g *Registry) encodeRecord(b []byte, fields []Field, n *node, depth int) ([]byte, error) {
	for _, key := range n.keys {
		if _, err := find("field", key, len(fields), func(i int) string { return fields[i].Name }); err != nil {
			return nil, err
		}
	}
	for i := range fields {
		v := n.field(fields[i].Name)
		if v == nil {
			return nil, fmt.Errorf("%w: %s is missing, want %s", ErrInput, fields[i].Name, g.Signature(fields))
		}
		var err error
		if b, err = g.encode(b, fields[i].Type, v, depth+1); err != nil {
			return nil, within(stepName(fields, i), err)
		}
	}
	if len(n.keys) > len(fields) {
		return nil, fmt.Errorf("%w: %d values, want %s", ErrInput, len(n.keys), g.Signature(fields))
	}
	return b, nil
}

func (g *Registry) encodeEnum(b []byte, t *Type, n *node, depth int) ([]byte, error) {
	if t.role == roleOption || t.role == roleNested {
		switch {
		case n.kind == 'n' || n.kind == 'w' && strings.EqualFold(n.text, "none"):
			return append(b, 0), nil
		case t.role == roleOption:
			return g.encode(append(b, 1), t.Variants[1].Fields[0].Type, n, depth+1)
		}
	}
	name, value := n.text, &node{kind: '['}
	switch {
	case n.kind == '{' && len(n.keys) == 1:
		name, value = n.keys[0], &n.list[0]
	case !n.isText():
		return nil, g.mismatch(t, n, `the name of a variant or {"Name": …}`)
	}
	i, err := find("variant of "+g.Name(t.ID), name, len(t.Variants), func(i int) string { return t.Variants[i].Name })
	if err != nil {
		// An address is what people have for a MultiAddress.
		if t.role == roleAddress && n.isText() {
			if a, aerr := verify.ParseAccount(name); aerr == nil {
				return append(append(b, 0), a[:]...), nil
			} else if len(name) > 40 {
				return nil, aerr
			}
		}
		return nil, err
	}
	v := &t.Variants[i]
	b = append(b, v.Index)
	if len(v.Fields) == 1 && v.Fields[0].Name == "" && n.kind == '{' {
		b, err = g.encode(b, v.Fields[0].Type, value, depth+1)
	} else {
		b, err = g.encodeFields(b, v.Fields, value, depth)
	}
	if err != nil {
		return nil, within("."+v.Name, err)
	}
	return b, nil
}

// show names a node in an error.
func (n *node) show() string {
	switch n.kind {
	case '{':
		return fmt.Sprintf("an object of %d names", len(n.keys))
	case '[':
		return fmt.Sprintf("a list of %d", len(n.list))
	case '"', 'w':
		return strconv.Quote(clip(n.text))
	}
	return clip(n.text)
}
