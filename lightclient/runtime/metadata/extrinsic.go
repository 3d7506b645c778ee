package metadata

import (
	"fmt"

	"github.com/taolight/taolight/verify/scale"
)

// An Extrinsic is one extrinsic of a block, taken apart.
type Extrinsic struct {
	Version   uint8   // of the format: 4 or 5
	Form      Signing // what stands before the call
	Address   Value   // of Signed
	Signature Value   // of Signed
	// ExtensionVersion is that of a General one; 0 of a Signed one.
	ExtensionVersion uint8
	Extensions       []Value // as Defs names them, of Signed and General
	Defs             []Extension
	Call             *Call
	CallBytes        []byte // aliases the input
}

// A Signing is the kind of an extrinsic.
type Signing uint8

// The kinds, as the two top bits of the version byte have them.
const (
	Bare    Signing = 0 // an inherent, or one that proves itself
	General Signing = 1 // with extensions alone, from version 5
	Signed  Signing = 2 // with address, signature and extensions, to version 4
)

// Extension returns what an extension put into the extrinsic, nil if there is none of that name.
func (x *Extrinsic) Extension(name string) *Value {
	for i := range x.Extensions {
		if x.Defs[i].Name == name {
			return &x.Extensions[i]
		}
	}
	return nil
}

// DecodeExtrinsic takes an extrinsic apart, as it stands in a block's body, with its own length in
// front. An error is a *DecodeError whose offset counts from the first byte of b; where the call is what
// does not fit, the Extrinsic that comes with it has all before it.
func (m *Metadata) DecodeExtrinsic(b []byte) (*Extrinsic, error) {
	r := m.Types.NewReader(b)
	r.work = min(r.work, MaxValues)
	if n := r.r.Compact(); r.r.Err() == nil && n != uint64(r.r.Len()) {
		r.r.Fail(fmt.Errorf("%w: length %d of %d bytes", scale.ErrRange, n, r.r.Len()))
	}
	x := new(Extrinsic)
	version := r.r.Byte()
	x.Version, x.Form = version&0x3f, Signing(version>>6)
	if err := r.r.Err(); err != nil {
		return nil, r.failIn("the length and version", err)
	}
	if err := m.readSigning(r, x); err != nil {
		return nil, err
	}
	x.CallBytes = b[r.Offset():]
	x.Call = m.readCall(r)
	if r.Finish() != nil {
		return x, r.err
	}
	return x, nil
}

// failIn records an error in what is no type of the registry.
func (r *Reader) failIn(what string, err error) error {
	r.fail(NoType, err)
	r.err.Type = what
	return r.err
}

// readSigning reads what stands between the version and the call.
func (m *Metadata) readSigning(r *Reader, x *Extrinsic) error {
	switch {
	case x.Form == Bare && (x.Version == 4 || x.Version == 5):
		return nil
	case x.Form == Signed && x.Version == 4:
		if m.Extrinsic.Address == NoType || m.Extrinsic.Signature == NoType {
			return r.failIn("address and signature", fmt.Errorf("%w: their types", ErrUnknown))
		}
		x.Defs = m.Extrinsic.Extensions
		x.Address = m.part(r, "address", m.Extrinsic.Address)
		x.Signature = m.part(r, "signature", m.Extrinsic.Signature)
	case x.Form == General && x.Version == 5:
		x.ExtensionVersion = r.r.Byte()
		if x.Defs = m.Extrinsic.Version(x.ExtensionVersion); x.Defs == nil {
			return r.failIn("the version", fmt.Errorf("%w: extensions of version %d", ErrUnknown, x.ExtensionVersion))
		}
	default:
		return r.failIn("the version", fmt.Errorf("%w: version %d of kind %d", ErrUnknown, x.Version, x.Form))
	}
	x.Extensions = make([]Value, len(x.Defs))
	for i := range x.Defs {
		x.Extensions[i] = m.part(r, "extension "+x.Defs[i].Name, x.Defs[i].Type)
	}
	return r.Err()
}

func (m *Metadata) part(r *Reader, name string, id ID) (v Value) {
	if r.err == nil {
		if r.value(id, &v, 0); r.err != nil {
			r.in(name)
		}
	}
	return v
}

// Version returns the extensions that a version of them consists of, nil if there is no such version.
func (e *Envelope) Version(version uint8) []Extension {
	for _, v := range e.ByVersion {
		if v.Version == version {
			list := make([]Extension, len(v.Indexes))
			for i, at := range v.Indexes {
				list[i] = e.All[at]
			}
			return list
		}
	}
	if version == 0 && len(e.ByVersion) == 0 {
		return e.Extensions
	}
	return nil
}

// UnknownExtensions names the extensions of signed extrinsics that put anything into the extrinsic or
// into what is signed, and that the caller does not know. A signer must not go on where there are any:
// they may mean anything.
func (m *Metadata) UnknownExtensions(known func(name string) bool) []string {
	var names []string
	for _, e := range m.Extrinsic.Extensions {
		if !known(e.Name) && !(m.empty(e.Type) && m.empty(e.Implicit)) {
			names = append(names, e.Name)
		}
	}
	return names
}

// empty reports whether every value of a type takes no bytes.
func (m *Metadata) empty(id ID) bool {
	t := m.Types.Type(id)
	return t != nil && t.plain && t.min == 0
}
