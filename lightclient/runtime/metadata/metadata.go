package metadata

import (
	"errors"
	"fmt"
	"strings"

	"github.com/taolight/taolight/verify/scale"
)

// Errors of this package. They come wrapped with the place.
var (
	// ErrMetadata: the bytes are no metadata of a version that this package knows.
	ErrMetadata = errors.New("not runtime metadata")
	// ErrUnknown: the metadata has nothing of that name, or of that index.
	ErrUnknown = errors.New("not in the metadata")
	// ErrInput: a value that was typed does not fit the type that it is for.
	ErrInput = errors.New("does not fit")
	// ErrWork: a value is nested deeper, or has more parts, than is decoded.
	ErrWork = errors.New("value too deep or too large")
	// ErrOneWay: a part of a storage key is only a hash of what it was made from.
	ErrOneWay = errors.New("hashed one way")
	// ErrKey: bytes are no key of the storage item.
	ErrKey = errors.New("not a key of this item")
)

// MaxSize bounds the metadata that is parsed. Bittensor's has 0.34 MB, which become 0.9 MB in memory; no
// metadata of this size becomes more than 50 MB.
const MaxSize = 2 << 20

// maxTypes bounds the types in it, of which Bittensor's has 750.
const maxTypes = 1 << 14

// maxTuple bounds the elements of a tuple, of which Rust's codec has at most 18.
const maxTuple = 32

// Metadata is what a runtime says about itself. It shares one copy of the bytes that it was parsed
// from and is never changed, so it may be read from many goroutines.
type Metadata struct {
	Version   uint8 // 14, 15 or 16
	Types     *Registry
	Pallets   []Pallet
	Extrinsic Envelope
	APIs      []API // none in V14
	Custom    []CustomValue
	// The enums of all calls, events and errors, by pallet. NoType where the metadata does not say,
	// which for events and errors is so in V14.
	Call, Event, Error ID
}

// A Pallet is one pallet of the runtime.
type Pallet struct {
	Name      string
	Index     uint8
	Prefix    string // what twox128 makes the first half of its storage keys of
	Items     []Item
	Calls     ID // an enum; NoType if it has none
	Events    ID
	Errors    ID
	Constants []Constant
	Docs      Docs // none in V14
}

// A Constant is a value that a pallet was compiled with.
type Constant struct {
	Name  string
	Type  ID
	Bytes []byte // SCALE
	Docs  Docs
}

// A CustomValue is a value that the runtime's makers put into the metadata under a name of theirs.
type CustomValue struct {
	Name  string
	Type  ID
	Bytes []byte
}

// An API is a runtime API: a trait whose methods are called as NAME_METHOD.
type API struct {
	Name    string
	Version uint32 // 0 below V16
	Methods []Method
	Docs    Docs
}

// A Method is one method of a runtime API. Its arguments are encoded one after the other.
type Method struct {
	Name   string
	Inputs []Field
	Output ID
	Docs   Docs
}

// An Envelope is how extrinsics of the chain are built (sp_runtime::generic::UncheckedExtrinsic).
type Envelope struct {
	Versions   []uint8 // of the extrinsic format: 4, 5
	Address    ID      // NoType in a V14 that does not name it
	Signature  ID
	Extensions []Extension // those of signed extrinsics, in order
	All        []Extension // V16: all, which ByVersion has the indexes of
	ByVersion  []ExtensionVersion
}

// An Extension is a transaction extension: what it puts into the extrinsic, and what it adds to the
// bytes that are signed.
type Extension struct {
	Name     string // its identifier
	Type     ID     // in the extrinsic
	Implicit ID     // in the signed payload only
}

// An ExtensionVersion lists the extensions that a version of them consists of (V16).
type ExtensionVersion struct {
	Version uint8
	Indexes []uint32
}

// Docs is the documentation of something, as it stands in the metadata: a SCALE Vec<String>.
type Docs string

// String returns the lines, without the blank that Rust's comments begin with and without control
// characters.
func (d Docs) String() string {
	if d == "" {
		return ""
	}
	r := scale.NewReader([]byte(d))
	var b strings.Builder
	for i := range r.Count(1, -1) {
		if i > 0 {
			b.WriteByte('\n')
		}
		line := strings.ToValidUTF8(string(r.Blob(-1)), "\ufffd")
		b.WriteString(strings.Map(printable, strings.TrimPrefix(strings.TrimRight(line, " "), " ")))
	}
	return strings.TrimSpace(b.String())
}

func printable(c rune) rune {
	if control(c) && c != '\n' {
		return -1
	}
	return c
}

// control reports whether a character could move the cursor of a terminal or turn its text around.
func control(c rune) bool {
	return c < 0x20 || c >= 0x7f && c < 0xa0 || c >= 0x200b && c <= 0x200f || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0xfeff
}

// Pallet returns the pallet of a name; small and capital letters are the same if no other has it.
func (m *Metadata) Pallet(name string) (*Pallet, error) {
	i, err := find("pallet", name, len(m.Pallets), func(i int) string { return m.Pallets[i].Name })
	if err != nil {
		return nil, err
	}
	return &m.Pallets[i], nil
}

// PalletAt returns the pallet of an index, nil if there is none.
func (m *Metadata) PalletAt(index uint8) *Pallet {
	for i := range m.Pallets {
		if m.Pallets[i].Index == index {
			return &m.Pallets[i]
		}
	}
	return nil
}

// Constant returns the constant of a name like System.SS58Prefix.
func (m *Metadata) Constant(name string) (*Constant, error) {
	p, rest, err := m.split(name)
	if err != nil {
		return nil, err
	}
	i, err := find("constant of "+p.Name, rest, len(p.Constants), func(i int) string { return p.Constants[i].Name })
	if err != nil {
		return nil, err
	}
	return &p.Constants[i], nil
}

// split takes PALLET.NAME apart.
func (m *Metadata) split(name string) (*Pallet, string, error) {
	pallet, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil, "", fmt.Errorf("%w: %q, want PALLET.NAME", ErrUnknown, clip(name))
	}
	p, err := m.Pallet(pallet)
	return p, rest, err
}

// A RuntimeVersion is what a runtime calls itself (sp_version::RuntimeVersion).
type RuntimeVersion struct {
	SpecName           string
	SpecVersion        uint32
	TransactionVersion uint32
}

// RuntimeVersion returns the version of the runtime, which its constant System.Version has.
func (m *Metadata) RuntimeVersion() (RuntimeVersion, error) {
	var v RuntimeVersion
	c, err := m.Constant("System.Version")
	if err != nil {
		return v, err
	}
	r := m.Types.NewReader(c.Bytes)
	for _, f := range m.Types.Shape(c.Type).Fields {
		switch f.Name {
		case "spec_name":
			v.SpecName = string(r.Bytes(f.Type))
		case "spec_version":
			v.SpecVersion = uint32(min(r.Uint(f.Type), 1<<32-1))
		case "transaction_version":
			v.TransactionVersion = uint32(min(r.Uint(f.Type), 1<<32-1))
		default:
			r.Skip(f.Type)
		}
	}
	if err := r.Finish(); err != nil {
		return RuntimeVersion{}, fmt.Errorf("%w: System.Version: %w", ErrMetadata, err)
	}
	return v, nil
}

// Method returns the method of a runtime API by a name like Core_version.
func (m *Metadata) Method(name string) (*API, *Method, error) {
	if len(m.APIs) == 0 {
		return nil, nil, fmt.Errorf("%w: V%d tells no runtime APIs", ErrUnknown, m.Version)
	}
	api, method, ok := strings.Cut(name, "_")
	if !ok {
		return nil, nil, fmt.Errorf("%w: %q, want API_method", ErrUnknown, clip(name))
	}
	i, err := find("runtime API", api, len(m.APIs), func(i int) string { return m.APIs[i].Name })
	if err != nil {
		return nil, nil, err
	}
	a := &m.APIs[i]
	i, err = find("method of "+a.Name, method, len(a.Methods), func(i int) string { return a.Methods[i].Name })
	if err != nil {
		return nil, nil, err
	}
	return a, &a.Methods[i], nil
}

// find returns the index of a name among n, or of the only one that differs in capitals alone; else
// an error that says what was likely meant.
func find(what, name string, n int, at func(int) string) (int, error) {
	folded := -1
	for i := range n {
		have := at(i)
		if have == name {
			return i, nil
		}
		if strings.EqualFold(have, name) {
			if folded >= 0 {
				folded = -2
			} else if folded == -1 {
				folded = i
			}
		}
	}
	if folded >= 0 {
		return folded, nil
	}
	hint := ""
	if best := nearest(name, n, at); best != "" {
		hint = fmt.Sprintf("; did you mean %s?", best)
	}
	return 0, fmt.Errorf("%w: no %s is called %q%s", ErrUnknown, what, clip(name), hint)
}

// nearest returns the name that a typing mistake may have been made in, or nothing.
func nearest(name string, n int, at func(int) string) string {
	if len(name) > 64 {
		return ""
	}
	best, least := "", max(2, len(name)/3)+1
	for i := range n {
		have := at(i)
		if d := distance(strings.ToLower(name), strings.ToLower(have), least); d < least {
			best, least = have, d
		}
	}
	return best
}

// distance is Levenshtein's, or limit where it would be that or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}

// clip keeps what was typed from filling the screen.
func clip(s string) string { return s[:min(len(s), 80)] }
