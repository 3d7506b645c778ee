package metadata

import (
	"strconv"
	"strings"
)

// An ID names a type of the registry. Those in a parsed Metadata all exist.
type ID uint32

// NoType is the ID of no type.
const NoType ID = 1<<32 - 1

// A Kind is how a type is made of others (scale_info::TypeDef).
type Kind uint8

// The kinds, in the order of their encoding.
const (
	Composite Kind = iota
	Enum
	Sequence
	Array
	Tuple
	Primitive
	Compact
	BitSequence
)

// A Prim is a primitive type (scale_info::TypeDefPrimitive).
type Prim uint8

// The primitive types, in the order of their encoding.
const (
	Bool Prim = iota
	Char
	Str
	U8
	U16
	U32
	U64
	U128
	U256
	I8
	I16
	I32
	I64
	I128
	I256
)

var primNames = [...]string{"bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256", "i8", "i16", "i32", "i64", "i128", "i256"}

// String returns the name as Rust has it.
func (p Prim) String() string { return primNames[p] }

// Bits returns the width of an integer, 0 for what is none.
func (p Prim) Bits() int {
	switch {
	case p >= I8:
		return 8 << (p - I8)
	case p >= U8:
		return 8 << (p - U8)
	}
	return 0
}

// Signed reports whether p is a signed integer.
func (p Prim) Signed() bool { return p >= I8 }

// A Type is one type of the registry.
type Type struct {
	ID     ID
	Path   []string // sp_core, crypto, AccountId32; empty for what has no name
	Params []Param
	Kind   Kind
	Prim   Prim   // of a Primitive
	Elem   ID     // of a Sequence, Array or Compact; of a BitSequence, what the bits are kept in
	Order  ID     // of a BitSequence
	Len    uint32 // of an Array

	Fields   []Field   // of a Composite or Tuple; a Tuple's have no names
	Variants []Variant // of an Enum, in the order of the metadata

	// What follows from the above; see measure.
	min   uint32 // bytes that every value has at least
	plain bool   // min bytes of any content are a value, and all values have that many
	role  role
	bits  int16 // of a Compact: the width of what it holds, 0 for a unit, -1 if it cannot be
	shape ID    // the type itself, or what a struct around one unnamed field stands for
}

// A Param is a generic parameter of a type; Type may be NoType.
type Param struct {
	Name string
	Type ID
}

// A Field is a part of a struct, tuple or variant, or an argument.
type Field struct {
	Name     string // empty if it has none
	Type     ID
	TypeName string // as its source has it, line breaks included; may be empty
	named    bool   // TypeName is there, be it empty
}

// A Variant is one variant of an enum: a call, an event, an error.
type Variant struct {
	Name   string
	Index  uint8
	Fields []Field
	Docs   Docs
}

// A role is what a type is to people besides its bytes.
type role uint8

const (
	_           role = iota
	roleAccount      // sp_core::crypto::AccountId32: shown as an address
	roleAddress      // sp_runtime::MultiAddress: an address may be typed for it
	roleOption       // Option<T>: null or the value
	roleNested       // Option<Option<T>>: null or {"Some": the inner one}
	roleBytes        // Vec<u8> or [u8; N]
	roleBits         // BitSequence
	roleU256         // primitive_types::U256: a number in four words
)

// A Registry holds the types that a runtime uses.
type Registry struct{ types []Type }

// Len returns the number of types.
func (g *Registry) Len() int { return len(g.types) }

// Type returns the type of an ID, nil if there is none.
func (g *Registry) Type(id ID) *Type {
	if uint64(id) >= uint64(len(g.types)) {
		return nil
	}
	return &g.types[id]
}

// Shape returns what a value of a type looks like: for a struct around a single unnamed field
// (AccountId32, H256, TaoBalance, BoundedVec) that of the field, else the type itself. The encodings
// are the same.
func (g *Registry) Shape(id ID) *Type {
	if t := g.Type(id); t != nil {
		return &g.types[t.shape]
	}
	return nil
}

// Last returns the last part of the type's path: its name without a place; empty if it has none.
func (t *Type) Last() string {
	if len(t.Path) == 0 {
		return ""
	}
	return t.Path[len(t.Path)-1]
}

// Variant returns the variant that is encoded as index, nil if there is none.
func (t *Type) Variant(index uint8) *Variant {
	// They mostly stand in order, with gaps: at the index or somewhat before it.
	at := min(int(index), len(t.Variants)-1)
	for i := at; i >= 0; i-- {
		if t.Variants[i].Index == index {
			return &t.Variants[i]
		}
	}
	for i := at + 1; i < len(t.Variants); i++ {
		if t.Variants[i].Index == index {
			return &t.Variants[i]
		}
	}
	return nil
}

// Name returns a type's name as a Rust programmer would write it, shortened where it is long.
func (g *Registry) Name(id ID) string {
	var b strings.Builder
	g.name(&b, id, 0)
	return b.String()
}

func (g *Registry) name(b *strings.Builder, id ID, depth int) {
	t := g.Type(id)
	if t == nil || depth > 6 || b.Len() > 160 {
		b.WriteString("…")
		return
	}
	list := func(open string, n int, at func(int) ID, end string) {
		b.WriteString(open)
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			if i == 16 {
				b.WriteString("…")
				break
			}
			g.name(b, at(i), depth+1)
		}
		b.WriteString(end)
	}
	one := func(int) ID { return t.Elem }
	switch t.Kind {
	case Primitive:
		b.WriteString(t.Prim.String())
	case Sequence:
		list("Vec<", 1, one, ">")
	case Array:
		list("[", 1, one, "; "+strconv.FormatUint(uint64(t.Len), 10)+"]")
	case Compact:
		list("Compact<", 1, one, ">")
	case BitSequence:
		list("BitVec<", 1, one, ">")
	case Tuple:
		list("(", len(t.Fields), func(i int) ID { return t.Fields[i].Type }, ")")
	default:
		b.WriteString(t.Last())
		var params []ID
		for _, p := range t.Params {
			if p.Type != NoType {
				params = append(params, p.Type)
			}
		}
		if len(params) > 0 {
			list("<", len(params), func(i int) ID { return params[i] }, ">")
		}
	}
}

// maxShape bounds how many structs around one field are looked through.
const maxShape = 16

// measure works out what the types' definitions imply. It visits each type once, so that types which
// hold themselves, or each other, end it like any others.
func (g *Registry) measure() {
	for i := range g.types {
		g.types[i].shape = g.unwrap(ID(i), func(t *Type) bool { return t.Kind == Composite && t.Fields[0].Name == "" })
	}
	for i := range g.types {
		t := &g.types[i]
		t.role = g.roleOf(t)
		if t.Kind == Compact {
			t.bits = g.compactBits(t.Elem)
		}
	}
	for i := range g.types { // after the roles
		t := &g.types[i]
		if t.role != roleOption {
			continue
		}
		if r := g.types[g.types[t.shape].Variants[1].Fields[0].Type].role; r == roleOption || r == roleNested {
			t.role = roleNested
		}
	}
	seen := make([]bool, len(g.types))
	for i := range g.types {
		g.bounds(ID(i), seen, 0)
	}
}

// unwrap follows types of one field as long as through allows it. Where that has no end, it returns
// the type that it came from.
func (g *Registry) unwrap(id ID, through func(*Type) bool) ID {
	at := id
	for range maxShape {
		t := &g.types[at]
		if (t.Kind != Composite && t.Kind != Tuple) || len(t.Fields) != 1 || !through(t) {
			return at
		}
		at = t.Fields[0].Type
	}
	return id
}

func (g *Registry) roleOf(t *Type) role {
	isAccount, isU256 := false, false
	for t.ID != t.shape {
		isAccount = isAccount || t.Last() == "AccountId32"
		isU256 = isU256 || t.Last() == "U256"
		t = &g.types[t.Fields[0].Type]
	}
	switch {
	case t.Kind == BitSequence:
		return roleBits
	case isAccount && t.Kind == Array && t.Len == 32 && g.octets(t):
		return roleAccount
	case g.octets(t):
		return roleBytes
	case isU256 && t.Kind == Array && t.Len == 4 && g.types[t.Elem].Kind == Primitive && g.types[t.Elem].Prim == U64:
		return roleU256
	case t.Kind != Enum:
		return 0
	case len(t.Path) == 1 && t.Path[0] == "Option" && len(t.Variants) == 2 && t.Variants[0].Index == 0 &&
		len(t.Variants[0].Fields) == 0 && t.Variants[1].Index == 1 && len(t.Variants[1].Fields) == 1:
		return roleOption
	case t.Last() == "MultiAddress" && len(t.Variants) > 0 && t.Variants[0].Index == 0 && len(t.Variants[0].Fields) == 1 &&
		g.types[t.Variants[0].Fields[0].Type].Last() == "AccountId32":
		return roleAddress
	}
	return 0
}

// octets reports whether t is a Vec<u8> or a [u8; N].
func (g *Registry) octets(t *Type) bool {
	if t.Kind != Sequence && t.Kind != Array {
		return false
	}
	e := &g.types[t.Elem]
	return e.Kind == Primitive && e.Prim == U8
}

// compactBits finds what a Compact holds: an integer, a struct around one (codec::CompactAs), or a
// unit, which is nothing.
func (g *Registry) compactBits(id ID) int16 {
	t := &g.types[g.unwrap(id, func(*Type) bool { return true })]
	switch {
	case t.Kind == Primitive && t.Prim >= U8 && t.Prim <= U256:
		return int16(t.Prim.Bits())
	case (t.Kind == Composite || t.Kind == Tuple) && len(t.Fields) == 0:
		return 0
	}
	return -1
}

// tooLong is where the least sizes of types stop being counted.
const tooLong = 1 << 30

// bounds sets min and plain of a type and of those that it is made of. A type that is met again
// before it is done counts as nothing, which is no more than it has.
func (g *Registry) bounds(id ID, seen []bool, depth int) (least uint32, plain bool) {
	t := &g.types[id]
	if seen[id] || depth > 200 {
		return t.min, t.plain
	}
	seen[id] = true
	sum := func(fields []Field) (uint32, bool) {
		n, all := uint32(0), true
		for i := range fields {
			m, p := g.bounds(fields[i].Type, seen, depth+1)
			n, all = min(n+m, tooLong), all && p
		}
		return n, all && n < tooLong
	}
	switch t.Kind {
	case Composite, Tuple:
		least, plain = sum(t.Fields)
	case Enum:
		least = tooLong
		for i := range t.Variants {
			n, _ := sum(t.Variants[i].Fields)
			least = min(least, n+1)
		}
		if len(t.Variants) == 0 {
			least = 1
		}
	case Array:
		m, p := g.bounds(t.Elem, seen, depth+1)
		n := uint64(m) * uint64(t.Len)
		least, plain = uint32(min(n, tooLong)), p && n < tooLong
	case Primitive:
		switch t.Prim {
		case Bool, Str:
			least = 1
		case Char:
			least = 4
		default:
			least, plain = uint32(t.Prim.Bits()/8), true
		}
	case Compact:
		if least = 1; t.bits == 0 {
			least = 0
		}
	default:
		least = 1
	}
	t.min, t.plain = least, plain
	return least, plain
}
