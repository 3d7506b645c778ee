package metadata

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/taolight/taolight/verify/scale"
)

// The versions that are understood.
const (
	Oldest = 14
	Newest = 16
)

// magic is what metadata begins with (frame_metadata::META_RESERVED).
const magic = "meta"

// Parse reads metadata that begins with its magic and its version (RuntimeMetadataPrefixed), V14, V15
// or V16. It copies b once and keeps that.
func Parse(b []byte) (*Metadata, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrMetadata, len(b), MaxSize)
	}
	if len(b) < len(magic)+1 || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrMetadata, magic)
	}
	version := b[len(magic)]
	if version < Oldest || version > Newest {
		return nil, fmt.Errorf("%w: version %d, not %d to %d", ErrMetadata, version, Oldest, Newest)
	}
	p := &parser{text: string(b), r: scale.NewReader(b), place: "header"}
	p.r.Bytes(len(magic) + 1)
	m := &Metadata{Version: version, Call: NoType, Event: NoType, Error: NoType}
	p.metadata(m)
	if err := p.r.Finish(); err != nil {
		return nil, fmt.Errorf("%w: V%d: %s: %w", ErrMetadata, version, p.where(), err)
	}
	return m, nil
}

// FromAPI reads what a runtime answers when it is asked for its metadata.
func FromAPI(answer []byte) (*Metadata, error) {
	b, err := Unwrap(answer)
	if err != nil {
		return nil, err
	}
	return Parse(b)
}

// Unwrap returns what Parse takes, without what runtimes put around it: for Metadata_metadata a
// Vec<u8>, for Metadata_metadata_at_version an Option of that.
func Unwrap(answer []byte) ([]byte, error) {
	// An Option's first byte is 0 or 1. As the start of a length, 0 is no bytes and 1 less than 16,384.
	if len(answer) > 0 && answer[0] == 1 {
		if b, err := unwrapBlob(answer[1:]); err == nil {
			return b, nil
		}
	}
	if len(answer) == 1 && answer[0] == 0 {
		return nil, fmt.Errorf("%w: the runtime has none of that version", ErrMetadata)
	}
	b, err := unwrapBlob(answer)
	if err != nil {
		return nil, fmt.Errorf("%w: answer of the runtime: %w", ErrMetadata, err)
	}
	return b, nil
}

func unwrapBlob(b []byte) ([]byte, error) {
	r := scale.NewReader(b)
	inner := r.Blob(MaxSize)
	return inner, r.Finish()
}

// Errors of the parser, below ErrMetadata.
var (
	errName = errors.New("name is not plain text")
	errType = errors.New("no such type")
)

// A parser reads metadata. Every list is counted against the bytes that are left, with the least size
// that its elements have, before anything is made for it.
type parser struct {
	r     *scale.Reader
	text  string // the same bytes: all names are parts of it
	types int

	place string // where it is, for errors
	index int    // in a list of such places; -1 for none

	fields   arena[Field]
	variants arena[Variant]
	strings  arena[string]
	params   arena[Param]
}

func (p *parser) at(place string, index int) { p.place, p.index = place, index }

func (p *parser) where() string {
	if p.index < 0 {
		return p.place
	}
	return fmt.Sprintf("%s %d", p.place, p.index)
}

// An arena hands out parts of larger slices, so that the many small lists of metadata cost few
// allocations.
type arena[T any] struct{ free []T }

func (a *arena[T]) take(n int) []T {
	if n == 0 {
		return nil
	}
	if n > len(a.free) {
		if n > 128 {
			return make([]T, n)
		}
		a.free = make([]T, 512)
	}
	s := a.free[:n:n]
	a.free = a.free[n:]
	return s
}

// str reads a String that shares the parser's text.
func (p *parser) str() string {
	n := len(p.r.Blob(-1))
	end := p.r.Offset()
	return p.text[end-n : end]
}

// name reads a String that will be shown, and must be harmless on a terminal.
func (p *parser) name() string {
	s := p.str()
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			p.wideName(s)
			break
		}
	}
	return s
}

func (p *parser) wideName(s string) {
	bad := !utf8.ValidString(s)
	for _, c := range s {
		bad = bad || control(c)
	}
	if bad {
		p.r.Fail(fmt.Errorf("%w: %q", errName, clip(s)))
	}
}

func (p *parser) docs() Docs {
	start := p.r.Offset()
	n := p.r.Count(1, -1)
	for i := 0; i < n && p.r.Err() == nil; i++ {
		p.r.Blob(-1)
	}
	if n == 0 || p.r.Err() != nil {
		return ""
	}
	return Docs(p.text[start:p.r.Offset()])
}

// typ reads the ID of a type, which must exist.
func (p *parser) typ() ID {
	id := p.r.Compact()
	if p.r.Err() == nil && id >= uint64(p.types) {
		p.r.Fail(fmt.Errorf("%w: %d, of %d", errType, id, p.types))
	}
	if p.r.Err() != nil {
		return 0
	}
	return ID(id)
}

// some reads the first byte of an Option.
func (p *parser) some() bool { return p.r.Bool() }

// list reads the length of a list whose elements have least bytes or more each, and calls each for
// them.
func (p *parser) list(least int, each func(i int)) {
	n := p.r.Count(least, -1)
	for i := 0; i < n && p.r.Err() == nil; i++ {
		each(i)
	}
}

func (p *parser) metadata(m *Metadata) {
	m.Types = p.registry()
	if p.r.Err() != nil {
		return
	}
	m.Types.measure()
	p.at("pallets", -1)
	// The least pallet of V14: name, three absent options, no constants, no error, index.
	m.Pallets = make([]Pallet, p.r.Count(7, 256))
	for i := range m.Pallets {
		if p.r.Err() != nil {
			return
		}
		p.at("pallet", i)
		p.pallet(m, &m.Pallets[i])
	}
	p.extrinsic(m)
	if m.Version >= 15 {
		if m.Version == 15 {
			p.typ() // the runtime's own
		}
		p.apis(m)
		p.at("outer enums", -1)
		m.Call, m.Event, m.Error = p.typ(), p.typ(), p.typ()
		p.at("custom values", -1)
		p.list(3, func(int) { m.Custom = append(m.Custom, CustomValue{p.name(), p.typ(), p.r.Blob(-1)}) })
	}
}

// registry reads a scale_info::PortableRegistry.
func (p *parser) registry() *Registry {
	p.at("types", -1)
	// The least type: id, no path, no params, a definition of two bytes, no docs.
	p.types = p.r.Count(6, maxTypes)
	g := &Registry{make([]Type, p.types)}
	for i := range g.types {
		p.at("type", i)
		if id := p.r.Compact(); p.r.Err() == nil && id != uint64(i) {
			p.r.Fail(fmt.Errorf("%w: it says that it is type %d", errType, id))
		}
		g.types[i].ID = ID(i)
		p.typeDef(&g.types[i])
		if p.r.Err() != nil {
			break
		}
	}
	return g
}

func (p *parser) typeDef(t *Type) {
	t.Path = p.strings.take(p.r.Count(1, 64))
	for i := range t.Path {
		t.Path[i] = p.name()
	}
	t.Params = p.params.take(p.r.Count(2, 256))
	for i := range t.Params {
		t.Params[i] = Param{p.name(), NoType}
		if p.some() {
			t.Params[i].Type = p.typ()
		}
	}
	kind := p.r.Byte()
	if kind > byte(BitSequence) {
		p.r.Fail(fmt.Errorf("%w of kind %d", errType, kind))
		return
	}
	t.Kind = Kind(kind)
	switch t.Kind {
	case Composite:
		t.Fields = p.fieldList()
	case Enum:
		p.variantList(t)
	case Sequence, Compact:
		t.Elem = p.typ()
	case Array:
		t.Len, t.Elem = p.r.U32(), p.typ()
	case Tuple:
		t.Fields = p.fields.take(p.r.Count(1, maxTuple))
		for i := range t.Fields {
			t.Fields[i].Type = p.typ()
		}
	case Primitive:
		prim := p.r.Byte()
		if prim > byte(I256) {
			p.r.Fail(fmt.Errorf("%w: primitive %d", errType, prim))
			return
		}
		t.Prim = Prim(prim)
	case BitSequence:
		t.Elem, t.Order = p.typ(), p.typ()
	}
	p.docs()
}

func (p *parser) fieldList() []Field {
	fields := p.fields.take(p.r.Count(4, -1)) // no name, a type, no type name, no docs
	for i := range fields {
		f := &fields[i]
		if p.some() {
			f.Name = p.name()
		}
		f.Type = p.typ()
		if f.named = p.some(); f.named {
			f.TypeName = p.str()
		}
		p.docs()
		if p.r.Err() != nil {
			return nil
		}
	}
	return fields
}

func (p *parser) variantList(t *Type) {
	t.Variants = p.variants.take(p.r.Count(4, 256)) // name, no fields, index, no docs
	var seen [256]bool
	for i := range t.Variants {
		v := &t.Variants[i]
		v.Name, v.Fields, v.Index, v.Docs = p.name(), p.fieldList(), p.r.Byte(), p.docs()
		if seen[v.Index] {
			p.r.Fail(fmt.Errorf("%w: two variants have the index %d", errType, v.Index))
		}
		seen[v.Index] = true
		if p.r.Err() != nil {
			return
		}
	}
}

// deprecation reads past an ItemDeprecationInfo, which V16 has.
func (p *parser) deprecation(m *Metadata) {
	if m.Version >= 16 {
		p.deprecated(p.r.Byte())
	}
}

func (p *parser) deprecated(tag byte) {
	switch tag {
	case 0, 1: // not, or without a note
	case 2:
		p.str()
		if p.some() {
			p.str()
		}
	default:
		p.r.Fail(fmt.Errorf("%w: deprecation %d", scale.ErrRange, tag))
	}
}

// enum reads an Option of the enum of a pallet's calls, events or errors.
func (p *parser) enum(m *Metadata) ID {
	if !p.some() {
		return NoType
	}
	id := p.typ()
	if p.r.Err() == nil && m.Types.types[id].Kind != Enum {
		p.r.Fail(fmt.Errorf("%w: type %d is no enum", errType, id))
	}
	if m.Version >= 16 {
		p.list(2, func(int) { p.r.Byte(); p.deprecated(p.r.Byte()) }) // by index of the variant
	}
	return id
}

func (p *parser) pallet(m *Metadata, pa *Pallet) {
	pa.Name = p.name()
	if p.some() {
		pa.Prefix = p.name()
		pa.Items = make([]Item, p.r.Count(6, -1)) // name, modifier, a plain type, no default, no docs
		for i := range pa.Items {
			p.item(m, pa, &pa.Items[i])
			if p.r.Err() != nil {
				return
			}
		}
	}
	pa.Calls = p.enum(m)
	pa.Events = p.enum(m)
	pa.Constants = make([]Constant, p.r.Count(4, -1))
	for i := range pa.Constants {
		pa.Constants[i] = Constant{p.name(), p.typ(), p.r.Blob(-1), p.docs()}
		p.deprecation(m)
		if p.r.Err() != nil {
			return
		}
	}
	pa.Errors = p.enum(m)
	if m.Version >= 16 {
		p.list(3, func(int) { p.name(); p.typ(); p.docs() })                  // associated types
		p.list(37, func(int) { p.r.Bytes(32); p.method(); p.deprecation(m) }) // view functions, by id
	}
	pa.Index = p.r.Byte()
	if m.Version >= 15 {
		pa.Docs = p.docs()
	}
	p.deprecation(m)
}

func (p *parser) item(m *Metadata, pa *Pallet, it *Item) {
	it.m, it.pallet = m, pa
	it.Name = p.name()
	modifier := p.r.Byte()
	if modifier > 1 { // 2, Required, was never written in these versions
		p.r.Fail(fmt.Errorf("%w: storage modifier %d of %s", scale.ErrRange, modifier, it.Name))
	}
	it.Optional = modifier == 0
	switch form := p.r.Byte(); form {
	case 0:
		it.Value = p.typ()
	case 1:
		it.Hashers = make([]Hasher, p.r.Count(1, 64))
		for i := range it.Hashers {
			h := p.r.Byte()
			if h > byte(Identity) {
				p.r.Fail(fmt.Errorf("%w: storage hasher %d of %s", scale.ErrRange, h, it.Name))
			}
			it.Hashers[i] = Hasher(h)
		}
		key := p.typ()
		it.Value = p.typ()
		if p.r.Err() == nil {
			p.keys(m, it, key)
		}
	default:
		p.r.Fail(fmt.Errorf("%w: storage item %s of form %d", scale.ErrRange, it.Name, form))
	}
	it.Default = p.r.Blob(-1)
	it.Docs = p.docs()
	p.deprecation(m)
}

// keys gives each hasher its type: with one hasher it hashes the whole key, with more of them the key
// is a tuple of as many parts.
func (p *parser) keys(m *Metadata, it *Item, key ID) {
	if len(it.Hashers) == 1 {
		it.Keys = []ID{key}
		return
	}
	t := &m.Types.types[key]
	if t.Kind != Tuple || len(t.Fields) != len(it.Hashers) {
		p.r.Fail(fmt.Errorf("%w: the key of %s has not %d parts", errType, it.Name, len(it.Hashers)))
		return
	}
	it.Keys = make([]ID, len(t.Fields))
	for i := range it.Keys {
		it.Keys[i] = t.Fields[i].Type
	}
}

func (p *parser) extrinsic(m *Metadata) {
	p.at("extrinsic", -1)
	e := &m.Extrinsic
	switch m.Version {
	case 14:
		whole := p.typ()
		e.Versions = []uint8{p.r.Byte()}
		e.Extensions = p.extensions()
		p.typ() // the runtime's own
		e.Address, e.Signature = NoType, NoType
		if p.r.Err() != nil {
			return
		}
		// The parts stand as generic parameters of the whole.
		for _, param := range m.Types.types[whole].Params {
			switch param.Name {
			case "Address":
				e.Address = param.Type
			case "Call":
				m.Call = param.Type
			case "Signature":
				e.Signature = param.Type
			}
		}
	case 15:
		e.Versions = []uint8{p.r.Byte()}
		e.Address, m.Call, e.Signature = p.typ(), p.typ(), p.typ()
		p.typ() // all extensions as one
		e.Extensions = p.extensions()
	default:
		e.Versions = p.r.Blob(64)
		e.Address, m.Call, e.Signature = p.typ(), p.typ(), p.typ()
		p.list(2, func(int) {
			v := ExtensionVersion{Version: p.r.Byte()}
			p.list(1, func(int) { v.Indexes = append(v.Indexes, uint32(min(p.r.Compact(), 1<<31))) })
			e.ByVersion = append(e.ByVersion, v)
		})
		e.All = p.extensions()
		p.order(e)
	}
}

func (p *parser) extensions() []Extension {
	list := make([]Extension, p.r.Count(3, 256))
	for i := range list {
		list[i] = Extension{p.name(), p.typ(), p.typ()}
	}
	return list
}

// order finds the extensions of signed extrinsics, which are of version 0 of them.
func (p *parser) order(e *Envelope) {
	for _, v := range e.ByVersion {
		list := make([]Extension, 0, min(len(v.Indexes), 256))
		for _, i := range v.Indexes {
			if int(i) >= len(e.All) || len(list) == 256 {
				p.r.Fail(fmt.Errorf("%w: extension %d of %d in version %d", scale.ErrRange, i, len(e.All), v.Version))
				return
			}
			list = append(list, e.All[i])
		}
		if v.Version == 0 {
			e.Extensions = list
		}
	}
	if len(e.ByVersion) == 0 {
		e.Extensions = e.All
	}
}

func (p *parser) apis(m *Metadata) {
	p.at("runtime APIs", -1)
	m.APIs = make([]API, p.r.Count(3, 1024))
	for i := range m.APIs {
		p.at("runtime API", i)
		a := &m.APIs[i]
		a.Name = p.name()
		a.Methods = make([]Method, p.r.Count(4, -1))
		for j := range a.Methods {
			a.Methods[j] = p.method()
			p.deprecation(m)
			if p.r.Err() != nil {
				return
			}
		}
		a.Docs = p.docs()
		if m.Version >= 16 {
			a.Version = uint32(min(p.r.Compact(), 1<<32-1))
			p.deprecation(m)
		}
		if p.r.Err() != nil {
			return
		}
	}
}

func (p *parser) method() Method {
	me := Method{Name: p.name()}
	me.Inputs = p.fields.take(p.r.Count(2, 256))
	for i := range me.Inputs {
		me.Inputs[i] = Field{Name: p.name(), Type: p.typ()}
	}
	me.Output, me.Docs = p.typ(), p.docs()
	return me
}
