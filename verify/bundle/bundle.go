package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// Magic begins every bundle. Its last byte is the version; the bytes before it are spoilt by whatever takes
// the file for text.
const Magic = "\x89TLB\r\n\x1a\x01"

// Version is the version of the format that this package reads and writes.
const Version = 1

// Limits of the format, checked before anything is allocated.
const (
	MaxSize      = 16 << 20 // bytes of a bundle
	MaxFragments = 4_096
	MaxHeaders   = 16_384
	MaxNodes     = 1 << 18
	MaxPulses    = 4_096
	MaxClaims    = 4_096
	MaxKeys      = 1 << 16 // storage keys in all claims together
	MaxKey       = 1_024   // bytes of a storage key
	MaxReveal    = 1 << 16 // uids, values or salt of a revealed commit

	maxAncestry = 4_096
)

// Errors of this package. They come wrapped with the section and the place in it.
var (
	// ErrMagic: the bytes are no bundle.
	ErrMagic = errors.New("not a bundle")
	// ErrVersion: the bundle has a version that this package does not read.
	ErrVersion = errors.New("bundle of another version")
	// ErrLimit: a length is above a limit of the format.
	ErrLimit = errors.New("above the limit")
	// ErrForm: the bundle is well encoded and not in its one form: something is out of order, there
	// twice, or where nothing may be.
	ErrForm = errors.New("not in canonical form")
	// ErrClaim: a claim says what cannot be.
	ErrClaim = errors.New("impossible claim")
)

// A RootRef names the block that a bundle starts from, and the set that finalizes what follows it. It is
// no more than a name: what is trusted is the checkpoint of whoever verifies.
type RootRef struct {
	Number uint32
	Hash   verify.Hash
	SetID  uint64
}

// A Bundle is facts about one chain with all that proves them, but for the trust root. The package comment
// says what each part must be.
type Bundle struct {
	Genesis   verify.Hash
	Root      RootRef // zero if there is no final block
	Fragments []Fragment
	Final     *Fragment        // nil if no claim is about a block
	Headers   []*verify.Header // by number
	Nodes     [][]byte         // by hash
	Pulses    []drand.Pulse    // by round
	Claims    []Claim          // by encoding
}

// Decode decodes a bundle that takes the whole of b, and checks its form: what it returns encodes to b
// again. It judges no proof. Nodes, keys and the headers' digests alias b.
func Decode(b []byte) (*Bundle, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("bundle: %w: %d bytes, at most %d allowed", ErrLimit, len(b), MaxSize)
	}
	if err := CheckMagic(b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	r := reader{Reader: scale.NewReader(b[len(Magic):])}
	x := new(Bundle)
	x.read(&r)
	if err := r.Finish(); err != nil {
		if r.place != "" {
			err = fmt.Errorf("%s: %w", r.place, err)
		}
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := x.Check(); err != nil {
		return nil, err
	}
	return x, nil
}

// CheckMagic returns ErrMagic or ErrVersion unless b begins as a bundle of this version does. It needs the
// first eight bytes only.
func CheckMagic(b []byte) error {
	const n = len(Magic) - 1
	if len(b) < len(Magic) || string(b[:n]) != Magic[:n] {
		return ErrMagic
	}
	if b[n] != Version {
		return fmt.Errorf("%w: version %d, this program reads %d", ErrVersion, b[n], Version)
	}
	return nil
}

// A reader reads the parts of a bundle, knows which one it is reading, and holds the whole to its limits.
type reader struct {
	*scale.Reader
	place          string
	headers, items int
	keys           int
}

// at names the place that is being read, unless reading has failed already.
func (r *reader) at(format string, args ...any) bool {
	if r.Err() != nil {
		return false
	}
	r.place = fmt.Sprintf(format, args...)
	return true
}

func (r *reader) u32() uint32 {
	n := r.Compact()
	if n > math.MaxUint32 {
		r.Fail(fmt.Errorf("%w: %d does not fit 32 bits", scale.ErrRange, n))
		return 0
	}
	return uint32(n)
}

func (r *reader) u16() uint16 {
	n := r.Compact()
	if n > math.MaxUint16 {
		r.Fail(fmt.Errorf("%w: %d does not fit 16 bits", scale.ErrRange, n))
		return 0
	}
	return uint16(n)
}

// The fewest bytes that elements take.
const (
	minHeader   = 32 + 1 + 32 + 32 + 1
	minVotes    = 1 + 1 + 1
	minFragment = minHeader + minVotes
	minVote     = 1 + 64
	minNode     = 1 + 32
	minPulse    = 1 + 48
	minClaim    = 1 + 1
)

// digestAllowance is how many digest items headers may have on average. An item takes as little as one byte
// of input and forty of memory, so that without it a bundle could grow more than tenfold.
const digestAllowance = 8

func (r *reader) header() *verify.Header {
	h := verify.ReadHeader(r.Reader)
	if h == nil {
		return nil
	}
	r.headers++
	r.items += len(h.Digest)
	if r.items > verify.MaxDigestItems+digestAllowance*r.headers {
		r.Fail(fmt.Errorf("%w: %d digest items in %d headers", ErrLimit, r.items, r.headers))
		return nil
	}
	return h
}

// grow returns n bounded by what is worth allocating at once. Elements that are much bigger in memory than
// they must be in the input are appended, so that a count alone makes nobody allocate.
func grow(n int) int { return min(n, 256) }

func (r *reader) fragment() Fragment {
	f := Fragment{Header: r.header()}
	v := &f.Votes
	v.Round = r.Compact()
	n := r.Count(minHeader, maxAncestry)
	if n > 0 {
		v.Ancestry = make([]*verify.Header, 0, grow(n))
	}
	for range n {
		h := r.header()
		if h == nil {
			return f
		}
		v.Ancestry = append(v.Ancestry, h)
	}
	m := r.Count(minVote, grandpa.MaxPrecommits)
	if m > 0 {
		v.List = make([]Vote, m)
	}
	for i := range v.List {
		p := &v.List[i]
		p.Signer = r.u16()
		if n > 0 {
			p.Target = r.u16()
		}
		r.Copy(p.Signature[:])
	}
	return f
}

func (x *Bundle) read(r *reader) {
	r.at("root")
	r.Copy(x.Genesis[:])
	x.Root.Number = r.u32()
	r.Copy(x.Root.Hash[:])
	x.Root.SetID = r.Compact()
	r.at("fragments")
	for i := range r.Count(minFragment, MaxFragments) {
		if !r.at("fragment %d", i) {
			return
		}
		x.Fragments = append(x.Fragments, r.fragment())
	}
	r.at("final")
	if r.Bool() {
		f := r.fragment()
		x.Final = &f
	}
	r.at("headers")
	for i := range r.Count(minHeader, MaxHeaders) {
		if !r.at("header %d", i) {
			return
		}
		x.Headers = append(x.Headers, r.header())
	}
	r.at("nodes")
	if n := r.Count(minNode, MaxNodes); n > 0 {
		x.Nodes = make([][]byte, n)
	}
	for i := range x.Nodes {
		if x.Nodes[i] = r.Blob(-1); r.Err() != nil {
			r.place = fmt.Sprintf("node %d", i)
			return
		}
	}
	r.at("pulses")
	if n := r.Count(minPulse, MaxPulses); n > 0 {
		x.Pulses = make([]drand.Pulse, n)
	}
	for i := range x.Pulses {
		x.Pulses[i].Round = r.Compact()
		r.Copy(x.Pulses[i].Signature[:])
	}
	r.at("claims")
	for i := range r.Count(minClaim, MaxClaims) {
		if !r.at("claim %d", i) {
			return
		}
		x.Claims = append(x.Claims, r.claim())
	}
	r.at("end")
}

// Append appends the encoding of x as it is: Decode refuses the result unless Check accepts x.
func (x *Bundle) Append(b []byte) []byte {
	b = append(b, Magic...)
	b = append(b, x.Genesis[:]...)
	b = scale.AppendCompact(b, uint64(x.Root.Number))
	b = append(b, x.Root.Hash[:]...)
	b = scale.AppendCompact(b, x.Root.SetID)
	b = scale.AppendCompact(b, uint64(len(x.Fragments)))
	for i := range x.Fragments {
		b = x.Fragments[i].append(b)
	}
	b = scale.AppendBool(b, x.Final != nil)
	if x.Final != nil {
		b = x.Final.append(b)
	}
	b = scale.AppendCompact(b, uint64(len(x.Headers)))
	for _, h := range x.Headers {
		b = h.Append(b)
	}
	b = trie.AppendProof(b, x.Nodes)
	b = scale.AppendCompact(b, uint64(len(x.Pulses)))
	for i := range x.Pulses {
		b = scale.AppendCompact(b, x.Pulses[i].Round)
		b = append(b, x.Pulses[i].Signature[:]...)
	}
	b = scale.AppendCompact(b, uint64(len(x.Claims)))
	for _, c := range x.Claims {
		b = c.append(b)
	}
	return b
}

// Encode returns the encoding of x, as Append does.
func (x *Bundle) Encode() []byte { return x.Append(make([]byte, 0, 4096)) }

// Check returns an error, with its place, unless x has the one form that Decode reads: everything there
// that must be, in its order and once, within the limits. It judges no proof.
func (x *Bundle) Check() error {
	if _, err := x.check(); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

func (x *Bundle) check() (*trie.Pool, error) {
	if err := x.checkChain(); err != nil {
		return nil, err
	}
	if len(x.Nodes) > MaxNodes {
		return nil, fmt.Errorf("nodes: %w: %d, at most %d allowed", ErrLimit, len(x.Nodes), MaxNodes)
	}
	pool, err := trie.NewPool(x.Nodes)
	if err == nil {
		err = pool.CheckOrder()
	}
	if err != nil {
		return nil, fmt.Errorf("nodes: %w: %w", ErrForm, err)
	}
	if len(x.Pulses) > MaxPulses {
		return nil, fmt.Errorf("pulses: %w: %d, at most %d allowed", ErrLimit, len(x.Pulses), MaxPulses)
	}
	for i := 1; i < len(x.Pulses); i++ {
		if x.Pulses[i-1].Round >= x.Pulses[i].Round {
			return nil, fmt.Errorf("pulse %d: %w: round %d after %d", i, ErrForm, x.Pulses[i].Round, x.Pulses[i-1].Round)
		}
	}
	return pool, x.checkClaims()
}

// checkChain checks the root, the fragments and the headers.
func (x *Bundle) checkChain() error {
	if len(x.Fragments) > MaxFragments || len(x.Headers) > MaxHeaders {
		return fmt.Errorf("%w: %d fragments, %d headers", ErrLimit, len(x.Fragments), len(x.Headers))
	}
	if x.Final == nil {
		if x.Root != (RootRef{}) || len(x.Fragments)+len(x.Headers)+len(x.Nodes) != 0 {
			return fmt.Errorf("final: %w: no final block, and yet a root, fragments, headers or nodes", ErrForm)
		}
		return nil
	}
	if x.Root.SetID > math.MaxUint64-MaxFragments {
		return fmt.Errorf("root: %w: set id %d", ErrForm, x.Root.SetID)
	}
	above, what := x.Root.Number, "the root"
	proven := make(map[uint32]bool, len(x.Fragments)+1)
	one := func(name string, f *Fragment) error {
		if f.Header == nil {
			return fmt.Errorf("%s: %w: no header", name, ErrForm)
		}
		if f.Header.Number <= above {
			return fmt.Errorf("%s: %w: block %d is not above %s, %d", name, ErrForm, f.Header.Number, what, above)
		}
		above, what = f.Header.Number, "the one before"
		proven[above] = true
		if err := f.Votes.check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	for i := range x.Fragments {
		if err := one(fmt.Sprintf("fragment %d", i), &x.Fragments[i]); err != nil {
			return err
		}
	}
	if err := one("final", x.Final); err != nil {
		return err
	}
	for i, h := range x.Headers {
		switch {
		case h == nil:
			return fmt.Errorf("header %d: %w: none", i, ErrForm)
		case i > 0 && h.Number <= x.Headers[i-1].Number:
			return fmt.Errorf("header %d: %w: block %d after %d", i, ErrForm, h.Number, x.Headers[i-1].Number)
		case proven[h.Number]:
			return fmt.Errorf("header %d: %w: block %d is there already, with votes", i, ErrForm, h.Number)
		case h.Number > above:
			return fmt.Errorf("header %d: %w: block %d is above the final one, %d", i, ErrForm, h.Number, above)
		}
	}
	return nil
}

func (x *Bundle) checkClaims() error {
	if len(x.Claims) == 0 {
		return fmt.Errorf("claims: %w: none", ErrForm)
	}
	if len(x.Claims) > MaxClaims {
		return fmt.Errorf("claims: %w: %d, at most %d allowed", ErrLimit, len(x.Claims), MaxClaims)
	}
	var before, now []byte
	keys, ofBlocks := 0, false
	for i, c := range x.Claims {
		if c == nil {
			return fmt.Errorf("claim %d: %w: none", i, ErrForm)
		}
		if err := c.check(); err != nil {
			return fmt.Errorf("claim %d: %s: %w", i, c.Kind(), err)
		}
		if s, ok := c.(StorageClaim); ok {
			if keys += len(s.Keys); keys > MaxKeys {
				return fmt.Errorf("claim %d: %w: more than %d keys", i, ErrLimit, MaxKeys)
			}
		}
		before, now = now, c.append(before[:0])
		if i > 0 && bytes.Compare(before, now) >= 0 {
			return fmt.Errorf("claim %d: %w: out of order, or there twice", i, ErrForm)
		}
		for _, n := range c.blocks() {
			if ofBlocks = true; x.Final != nil && n > x.Final.Header.Number {
				return fmt.Errorf("claim %d: %w: block %d is above the final one, %d", i, ErrClaim, n, x.Final.Header.Number)
			}
		}
	}
	if ofBlocks != (x.Final != nil) {
		return fmt.Errorf("final: %w: a final block goes with claims about blocks, and with no others", ErrForm)
	}
	return nil
}
