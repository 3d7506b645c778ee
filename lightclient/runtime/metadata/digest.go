package metadata

import (
	"fmt"
	"slices"

	"lukechampine.com/blake3"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A ChainInfo is what goes into the digest of metadata besides it.
type ChainInfo struct {
	SpecVersion uint32
	SpecName    string
	SS58Prefix  uint16
	Decimals    uint8  // of the token: 9
	TokenSymbol string // TAO
}

// Info returns the ChainInfo of a runtime, of which the metadata itself has the version and the prefix.
// Bittensor's runtime is built with 9 and TAO (runtime/build.rs, enable_metadata_hash) for all its
// networks, the test network's too, although that calls its token testTAO elsewhere.
func (m *Metadata) Info(decimals uint8, symbol string) (ChainInfo, error) {
	info := ChainInfo{Decimals: decimals, TokenSymbol: symbol}
	v, err := m.RuntimeVersion()
	if err != nil {
		return info, err
	}
	info.SpecName, info.SpecVersion = v.SpecName, v.SpecVersion
	c, err := m.Constant("System.SS58Prefix")
	if err != nil {
		return info, err
	}
	r := m.Types.NewReader(c.Bytes)
	prefix := r.Uint(c.Type)
	if prefix > 1<<16-1 {
		r.fail(c.Type, fmt.Errorf("%w: %d", scale.ErrRange, prefix))
	}
	if err := r.Finish(); err != nil {
		return info, fmt.Errorf("%w: System.SS58Prefix: %w", ErrMetadata, err)
	}
	info.SS58Prefix = uint16(prefix)
	return info, nil
}

// Digest returns the metadata hash of RFC-78, which the transaction extension CheckMetadataHash adds to
// what is signed in its mode 1: the runtime compares it with its own, so that a signer who saw other
// metadata has signed nothing. It covers what extrinsics are made of and nothing else.
func (m *Metadata) Digest(info ChainInfo) ([32]byte, error) {
	d, err := newDigester(m)
	if err != nil {
		return [32]byte{}, err
	}
	root, err := d.typeTree()
	if err != nil {
		return [32]byte{}, err
	}
	extrinsic, err := d.extrinsic()
	if err != nil {
		return [32]byte{}, err
	}
	b := append([]byte{1}, root[:]...) // MetadataDigest::V1
	b = append(b, extrinsic[:]...)
	b = scale.AppendU32(b, info.SpecVersion)
	b = appendText(b, info.SpecName)
	b = scale.AppendU16(b, info.SS58Prefix)
	b = append(b, info.Decimals)
	return blake3.Sum256(appendText(b, info.TokenSymbol)), nil
}

func appendText(b []byte, s string) []byte {
	return append(scale.AppendCompact(b, uint64(len(s))), s...)
}

// A digester writes types in the form that RFC-78 hashes them in.
type digester struct {
	m    *Metadata
	g    *Registry
	kept []ID     // the types that extrinsics are made of and that have an own entry, sorted
	ids  []uint32 // by ID of the metadata: the number there, plus 1
}

func newDigester(m *Metadata) (*digester, error) {
	e := &m.Extrinsic
	if m.Call == NoType || e.Address == NoType || e.Signature == NoType {
		return nil, fmt.Errorf("%w: the types that extrinsics are made of", ErrUnknown)
	}
	if !slices.Contains(e.Versions, 4) {
		return nil, fmt.Errorf("%w: extrinsics of version 4, which the digest is of", ErrUnknown)
	}
	d := &digester{m: m, g: m.Types, ids: make([]uint32, m.Types.Len())}
	queue := []ID{m.Call, e.Address, e.Signature}
	for _, x := range e.Extensions {
		queue = append(queue, x.Type, x.Implicit)
	}
	for len(queue) > 0 {
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		t := &d.g.types[id]
		if d.ids[id] != 0 || !ownEntry(t) {
			continue
		}
		d.ids[id] = 1
		d.kept = append(d.kept, id)
		for i := range t.Fields {
			queue = append(queue, t.Fields[i].Type)
		}
		for i := range t.Variants {
			for j := range t.Variants[i].Fields {
				queue = append(queue, t.Variants[i].Fields[j].Type)
			}
		}
		if t.Kind == Sequence || t.Kind == Array {
			queue = append(queue, t.Elem)
		}
	}
	slices.Sort(d.kept)
	for i, id := range d.kept {
		d.ids[id] = uint32(i) + 1
	}
	return d, nil
}

// ownEntry reports whether a type is listed: primitive and compact ones, and those that hold nothing,
// are told in the reference itself.
func ownEntry(t *Type) bool {
	switch t.Kind {
	case Primitive, Compact:
		return false
	case Composite, Tuple:
		return len(t.Fields) > 0
	case Enum:
		return len(t.Variants) > 0
	}
	return true
}

// The references that follow those to the primitive types, which are in the order of Prim.
const (
	refCompactU8 = 15
	refVoid      = 21
	refByID      = 22
)

func (d *digester) ref(b []byte, id ID) ([]byte, error) {
	t := &d.g.types[id]
	switch {
	case t.Kind == Primitive:
		return append(b, byte(t.Prim)), nil
	case t.Kind == Compact && t.bits > 0:
		n := byte(refCompactU8)
		for w := int16(8); w < t.bits; w *= 2 {
			n++
		}
		return append(b, n), nil
	case t.Kind == Compact && t.bits < 0:
		return nil, fmt.Errorf("%w: type %d: nothing that has a compact form", ErrUnknown, id)
	case !ownEntry(t) || t.Kind == Compact:
		return append(b, refVoid), nil
	}
	return scale.AppendCompact(append(b, refByID), uint64(d.ids[id]-1)), nil
}

func (d *digester) fields(b []byte, fields []Field) (_ []byte, err error) {
	b = scale.AppendCompact(b, uint64(len(fields)))
	for _, f := range fields {
		b = appendOption(b, f.Name, f.Name != "")
		if b, err = d.ref(b, f.Type); err != nil {
			return nil, err
		}
		b = appendOption(b, f.TypeName, f.named)
	}
	return b, nil
}

func appendOption(b []byte, s string, some bool) []byte {
	if !some {
		return append(b, 0)
	}
	return appendText(append(b, 1), s)
}

// leaf hashes one entry: a type, or one variant of an enum.
func (d *digester) leaf(t *Type, def func(b []byte) ([]byte, error)) (verify.Hash, error) {
	b := scale.AppendCompact(nil, uint64(len(t.Path)))
	for _, p := range t.Path {
		b = appendText(b, p)
	}
	b, err := def(b)
	if err != nil {
		return verify.Hash{}, err
	}
	return blake3.Sum256(scale.AppendCompact(b, uint64(d.ids[t.ID]-1))), nil
}

// typeTree returns the root of the tree of all entries, by type and in enums by the variants' index.
func (d *digester) typeTree() (verify.Hash, error) {
	var leaves []verify.Hash
	for _, id := range d.kept {
		t := &d.g.types[id]
		if t.Kind != Enum {
			h, err := d.leaf(t, func(b []byte) ([]byte, error) { return d.def(b, t) })
			if err != nil {
				return h, err
			}
			leaves = append(leaves, h)
			continue
		}
		variants := slices.Clone(t.Variants)
		slices.SortFunc(variants, func(x, y Variant) int { return int(x.Index) - int(y.Index) })
		for i := range variants {
			v := &variants[i]
			h, err := d.leaf(t, func(b []byte) ([]byte, error) {
				b, err := d.fields(appendText(append(b, 1), v.Name), v.Fields)
				return scale.AppendCompact(b, uint64(v.Index)), err
			})
			if err != nil {
				return h, err
			}
			leaves = append(leaves, h)
		}
	}
	return merkle(leaves), nil
}

// def writes what a type that is no enum is made of (TypeDef of RFC-78).
func (d *digester) def(b []byte, t *Type) (_ []byte, err error) {
	switch t.Kind {
	case Composite:
		return d.fields(append(b, 0), t.Fields)
	case Sequence:
		return d.ref(append(b, 2), t.Elem)
	case Array:
		return d.ref(scale.AppendU32(append(b, 3), t.Len), t.Elem)
	case Tuple:
		b = scale.AppendCompact(append(b, 4), uint64(len(t.Fields)))
		for i := range t.Fields {
			if b, err = d.ref(b, t.Fields[i].Type); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	// BitSequence
	store := &d.g.types[t.Elem]
	if store.Kind != Primitive || store.Prim < U8 || store.Prim > U64 {
		return nil, fmt.Errorf("%w: type %d: bits in words of that type", ErrUnknown, t.ID)
	}
	return scale.AppendBool(append(b, 5, byte(store.Prim.Bits()/8)), d.g.lsb(t)), nil
}

// merkle returns the root of the tree in which the leaves stand last: node i hashes nodes 2i+1 and
// 2i+2. Of no leaves it is zero.
func merkle(leaves []verify.Hash) verify.Hash {
	n := len(leaves)
	if n == 0 {
		return verify.Hash{}
	}
	nodes := make([]verify.Hash, 2*n-1)
	copy(nodes[n-1:], leaves)
	for i := n - 2; i >= 0; i-- {
		left, right := nodes[2*i+1], nodes[2*i+2]
		nodes[i] = blake3.Sum256(append(left[:], right[:]...))
	}
	return nodes[0]
}

// extrinsic hashes the description of an extrinsic of version 4.
func (d *digester) extrinsic() (h verify.Hash, err error) {
	e := &d.m.Extrinsic
	b := []byte{4}
	for _, id := range []ID{e.Address, d.m.Call, e.Signature} {
		if b, err = d.ref(b, id); err != nil {
			return h, err
		}
	}
	b = scale.AppendCompact(b, uint64(len(e.Extensions)))
	for _, x := range e.Extensions {
		b = appendText(b, x.Name)
		for _, id := range []ID{x.Type, x.Implicit} {
			if b, err = d.ref(b, id); err != nil {
				return h, err
			}
		}
	}
	return blake3.Sum256(b), nil
}
