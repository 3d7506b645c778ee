package tx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Errors of making and reading extrinsics.
var (
	// ErrExtension: the runtime wants something in its extrinsics that is not known here, so that nothing may
	// be signed for it.
	ErrExtension = errors.New("unknown transaction extension")
	// ErrOther: it is made for another network or another runtime than this one.
	ErrOther = errors.New("transaction is for another chain")
)

// MaxExtrinsic bounds an extrinsic, in bytes: a block has 5 MiB, three quarters of it for such.
const MaxExtrinsic = 1 << 20

// hashedFrom is the length from which the hash of a payload is signed in its place (sp_runtime::generic,
// SignedPayload::using_encoded).
const hashedFrom = 257

// Terms are what an extrinsic is bound to: a chain, its runtime, and a finalized block.
type Terms struct {
	Metadata           *metadata.Metadata
	Genesis            verify.Hash
	SpecVersion        uint32
	TransactionVersion uint32
	Number             uint32 // of the finalized block
	Hash               verify.Hash
}

// NewTerms returns the terms of a runtime at a finalized block; its versions are those of System.Version.
func NewTerms(m *metadata.Metadata, genesis verify.Hash, number uint32, hash verify.Hash) (*Terms, error) {
	v, err := m.RuntimeVersion()
	if err != nil {
		return nil, err
	}
	t := &Terms{Metadata: m, Genesis: genesis, SpecVersion: v.SpecVersion, TransactionVersion: v.TransactionVersion, Number: number, Hash: hash}
	return t, t.check()
}

// Options are the parts of a payload that its maker chooses.
type Options struct {
	From   verify.AccountID
	Nonce  uint32
	Period uint64 // of the era, born with the terms' block; 0: immortal
	Tip    uint64 // rao
	// MetadataHash puts the hash of the metadata into what is signed (CheckMetadataHash in mode 1, RFC-78), for
	// signers that show what they sign.
	MetadataHash bool
}

// A Payload is an extrinsic that is not signed yet, with all that it commits to.
type Payload struct {
	From               verify.AccountID
	Genesis            verify.Hash
	SpecVersion        uint32
	TransactionVersion uint32
	Nonce              uint32
	Era                Era
	EraBlock           uint32      // number of the birth block; 0 of an immortal one
	EraHash            verify.Hash // of the birth block; the genesis of an immortal one
	Tip                uint64
	MetadataHash       *[32]byte // nil: mode 0
	Call               []byte
	Extra              []byte   // what the extensions put into the extrinsic
	Implicit           []byte   // what they add to what is signed
	Extensions         []string // their names, in order
	mode               bool     // the runtime has CheckMetadataHash
}

// A rule is what an extension puts where, and of which encodings it has to be for that to be right.
type rule struct {
	extra, implicit string // encodings; "Era" stands for that enum
	put             func(p *Payload, extra, implicit []byte) (e, i []byte)
}

func none(_ *Payload, e, i []byte) ([]byte, []byte) { return e, i }

// rules are the extensions that hold anything, by their identifiers (frame_system, pallet_transaction_payment,
// frame_metadata_hash_extension; runtime/src/lib.rs of subtensor for its own of the same names).
var rules = map[string]rule{
	"CheckSpecVersion": {"()", "u32", func(p *Payload, e, i []byte) ([]byte, []byte) { return e, scale.AppendU32(i, p.SpecVersion) }},
	"CheckTxVersion":   {"()", "u32", func(p *Payload, e, i []byte) ([]byte, []byte) { return e, scale.AppendU32(i, p.TransactionVersion) }},
	"CheckGenesis":     {"()", "[u8;32]", func(p *Payload, e, i []byte) ([]byte, []byte) { return e, append(i, p.Genesis[:]...) }},
	"CheckMortality":   {"Era", "[u8;32]", func(p *Payload, e, i []byte) ([]byte, []byte) { return p.Era.Append(e), append(i, p.EraHash[:]...) }},
	"CheckNonce":       {"Compact<u32>", "()", func(p *Payload, e, i []byte) ([]byte, []byte) { return scale.AppendCompact(e, uint64(p.Nonce)), i }},
	"ChargeTransactionPayment": {"Compact<u64>", "()", func(p *Payload, e, i []byte) ([]byte, []byte) {
		return scale.AppendCompact(e, p.Tip), i
	}},
	"CheckMetadataHash": {"{0:(),1:()}", "Option<[u8;32]>", func(p *Payload, e, i []byte) ([]byte, []byte) {
		if p.MetadataHash == nil {
			return append(e, 0), append(i, 0)
		}
		return append(e, 1), append(append(i, 1), p.MetadataHash[:]...)
	}},
}

// rule returns what an extension does; ErrExtension if that is not known.
func (t *Terms) rule(x *metadata.Extension) (rule, error) {
	extra, implicit := t.encoding(x.Type), t.encoding(x.Implicit)
	if extra == "()" && implicit == "()" {
		return rule{put: none}, nil
	}
	r, ok := rules[x.Name]
	if !ok {
		return rule{}, fmt.Errorf("%w %s, which holds %s and adds %s to what is signed", ErrExtension, x.Name, extra, implicit)
	}
	if r.extra != extra || r.implicit != implicit {
		return rule{}, fmt.Errorf("%w: %s holds %s and adds %s, want %s and %s", ErrExtension, x.Name, extra, implicit, r.extra, r.implicit)
	}
	return r, nil
}

// encoding is the metadata's, with a name for the enum of 256 variants that an era is.
func (t *Terms) encoding(id metadata.ID) string {
	if s := t.Metadata.Types.Shape(id); s != nil {
		for range 8 {
			if s.Kind == metadata.Enum && s.Last() == "Era" && len(s.Variants) == 256 {
				return "Era"
			}
			if (s.Kind != metadata.Composite && s.Kind != metadata.Tuple) || len(s.Fields) != 1 {
				break
			}
			if s = t.Metadata.Types.Type(s.Fields[0].Type); s == nil {
				break
			}
		}
	}
	s := t.Metadata.Types.Encoding(id)
	return s[:min(len(s), 80)]
}

// check looks at all that is taken for granted about extrinsics of version 4.
func (t *Terms) check() error {
	e := &t.Metadata.Extrinsic
	four := false
	for _, v := range e.Versions {
		four = four || v == 4
	}
	if !four {
		return fmt.Errorf("%w: extrinsics of versions %v, want 4", ErrExtension, e.Versions)
	}
	for i := range e.Extensions {
		if _, err := t.rule(&e.Extensions[i]); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether the runtime has an extension.
func (t *Terms) has(name string) bool {
	for _, x := range t.Metadata.Extrinsic.Extensions {
		if x.Name == name {
			return true
		}
	}
	return false
}

// Payload makes what is to be signed for a call.
func (t *Terms) Payload(call []byte, o Options) (*Payload, error) {
	if _, err := t.Metadata.DecodeCall(call); err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	if o.Period > MaxPeriod {
		return nil, fmt.Errorf("period of %d blocks: at most %d", o.Period, MaxPeriod)
	}
	p := &Payload{
		From: o.From, Genesis: t.Genesis, SpecVersion: t.SpecVersion, TransactionVersion: t.TransactionVersion,
		Nonce: o.Nonce, EraHash: t.Genesis, Tip: o.Tip, Call: call,
	}
	if o.Period > 0 {
		p.Era, p.EraBlock, p.EraHash = Mortal(t.Number, o.Period), t.Number, t.Hash
	}
	if o.MetadataHash {
		if !t.has("CheckMetadataHash") {
			return nil, fmt.Errorf("the runtime (spec %d) does not check a metadata hash", t.SpecVersion)
		}
		digest, err := t.digest()
		if err != nil {
			return nil, err
		}
		p.MetadataHash = &digest
	}
	return p, t.seal(p)
}

// digest is the hash of the metadata as Bittensor's runtimes are built (runtime/build.rs: 9 decimals, TAO).
func (t *Terms) digest() ([32]byte, error) {
	info, err := t.Metadata.Info(9, "TAO")
	if err != nil {
		return [32]byte{}, err
	}
	return t.Metadata.Digest(info)
}

// seal computes what the extensions hold, and reads the extrinsic that comes of it back.
func (t *Terms) seal(p *Payload) error {
	p.Extra, p.Implicit, p.Extensions, p.mode = nil, nil, nil, t.has("CheckMetadataHash")
	for i := range t.Metadata.Extrinsic.Extensions {
		x := &t.Metadata.Extrinsic.Extensions[i]
		r, err := t.rule(x)
		if err != nil {
			return err
		}
		p.Extra, p.Implicit = r.put(p, p.Extra, p.Implicit)
		p.Extensions = append(p.Extensions, x.Name)
	}
	if n := len(p.Call) + len(p.Extra) + 101; n > MaxExtrinsic {
		return fmt.Errorf("%w: extrinsic of %d bytes, at most %d", ErrPayload, n, MaxExtrinsic)
	}
	if _, err := t.Metadata.DecodeExtrinsic(p.Extrinsic(Signature{})); err != nil {
		return fmt.Errorf("%w: what was made does not read back: %w", ErrExtension, err)
	}
	return nil
}

// Bytes returns what is signed: call, extra and implicit, or their Blake2b-256 if they are longer than 256 bytes.
func (p *Payload) Bytes() []byte {
	b := p.Whole()
	if len(b) >= hashedFrom {
		h := verify.Blake2b256(b)
		return h[:]
	}
	return b
}

// Whole returns call, extra and implicit.
func (p *Payload) Whole() []byte {
	b := make([]byte, 0, len(p.Call)+len(p.Extra)+len(p.Implicit))
	return append(append(append(b, p.Call...), p.Extra...), p.Implicit...)
}

// Extrinsic returns the extrinsic with a signature, as it stands in a body, its length in front.
func (p *Payload) Extrinsic(s Signature) []byte {
	b := append([]byte{0x84, 0}, p.From[:]...) // version 4, signed; MultiAddress::Id
	b = append(s.Append(b), p.Extra...)
	return scale.AppendBlob(nil, append(b, p.Call...))
}

// HashOf returns the hash by which an extrinsic is known: over all its bytes, its length included.
func HashOf(extrinsic []byte) verify.Hash { return verify.Blake2b256(extrinsic) }

// A Signed is a signed extrinsic, taken apart.
type Signed struct {
	Payload   *Payload
	Signature Signature
	Hash      verify.Hash
	Call      *metadata.Call
}

// Open takes a signed extrinsic of version 4 apart. birth gives the hash of the block of a number, for its era.
// The signature is verified over what this chain would have had signed: ErrSignature if it is made for another
// chain or runtime, or with another key.
func (t *Terms) Open(extrinsic []byte, birth func(number uint32) (verify.Hash, error)) (*Signed, error) {
	if len(extrinsic) > MaxExtrinsic {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrPayload, len(extrinsic), MaxExtrinsic)
	}
	x, err := t.Metadata.DecodeExtrinsic(extrinsic)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if x.Form != metadata.Signed {
		return nil, fmt.Errorf("%w: it is not signed", ErrPayload)
	}
	p := &Payload{Genesis: t.Genesis, SpecVersion: t.SpecVersion, TransactionVersion: t.TransactionVersion, EraHash: t.Genesis, Call: x.CallBytes}
	if a := x.Address.Raw; len(a) != 33 || a[0] != 0 {
		return nil, fmt.Errorf("%w: its signer is no account: %v", ErrPayload, x.Address)
	} else {
		p.From = verify.AccountID(a[1:])
	}
	s := &Signed{Payload: p, Hash: HashOf(extrinsic), Call: x.Call}
	if s.Signature, err = DecodeSignature(x.Signature.Raw); err != nil {
		return nil, err
	}
	if err := t.extensions(p, x); err != nil {
		return nil, err
	}
	if !p.Era.Immortal() {
		p.EraBlock = p.Era.Birth(t.Number)
		if p.EraHash, err = birth(p.EraBlock); err != nil {
			return nil, fmt.Errorf("birth block of the era: %w", err)
		}
	}
	if err := t.seal(p); err != nil {
		return nil, err
	}
	if string(p.Extrinsic(s.Signature)) != string(extrinsic) {
		return nil, fmt.Errorf("%w: written otherwise than it is read", ErrPayload)
	}
	if !s.Signature.Verify(p.From, p.Bytes()) {
		return nil, fmt.Errorf("%w for %v on this chain at spec %d", ErrSignature, p.From, t.SpecVersion)
	}
	return s, nil
}

// extensions reads what the extensions hold.
func (t *Terms) extensions(p *Payload, x *metadata.Extrinsic) (err error) {
	for i := range x.Extensions {
		v := &x.Extensions[i]
		switch x.Defs[i].Name {
		case "CheckMortality":
			if p.Era, err = DecodeEra(v.Raw); err != nil {
				return err
			}
		case "CheckNonce":
			n, ok := v.Uint64()
			if !ok || n >= 1<<32 {
				return fmt.Errorf("%w: nonce %v", ErrPayload, v)
			}
			p.Nonce = uint32(n)
		case "ChargeTransactionPayment":
			n, ok := v.Uint64()
			if !ok {
				return fmt.Errorf("%w: tip %v", ErrPayload, v)
			}
			p.Tip = n
		case "CheckMetadataHash":
			if len(v.Raw) == 1 && v.Raw[0] == 1 {
				digest, err := t.digest()
				if err != nil {
					return err
				}
				p.MetadataHash = &digest
			}
		}
	}
	return nil
}

// Fits reports whether a payload that was made elsewhere is for this chain, this runtime and this fork, and is what
// the runtime makes of its parts. birth is as for Open.
func (t *Terms) Fits(p *Payload, birth func(number uint32) (verify.Hash, error)) error {
	switch {
	case p.Genesis != t.Genesis:
		return fmt.Errorf("%w: its genesis is %v, that of this network %v", ErrOther, p.Genesis, t.Genesis)
	case p.SpecVersion != t.SpecVersion:
		return fmt.Errorf("%w: it is made for spec_version %d, the runtime is at %d", ErrOther, p.SpecVersion, t.SpecVersion)
	case p.TransactionVersion != t.TransactionVersion:
		return fmt.Errorf("%w: it is made for transaction_version %d, the runtime has %d", ErrOther, p.TransactionVersion, t.TransactionVersion)
	case p.Era.Immortal() && p.EraHash != t.Genesis:
		return fmt.Errorf("%w: it is immortal and begins with %v, not with the genesis", ErrPayload, p.EraHash)
	}
	if !p.Era.Immortal() {
		if last := p.Era.Last(p.EraBlock); t.Number >= last {
			return fmt.Errorf("%w: its era ended with #%d, the finalized block is #%d", ErrLapsed, last, t.Number)
		}
		begin := p.Era.Birth(p.EraBlock)
		if begin > t.Number {
			return fmt.Errorf("its era begins with #%d: %w, the head is #%d", begin, lightclient.ErrNotYet, t.Number)
		}
		hash, err := birth(begin)
		if err != nil {
			return err
		}
		if hash != p.EraHash {
			return fmt.Errorf("%w: its era begins with block %v, here #%d is %v", ErrOther, p.EraHash.Short(), begin, hash.Short())
		}
	}
	again := *p
	if p.MetadataHash != nil {
		digest, err := t.digest()
		if err != nil {
			return err
		}
		if digest != *p.MetadataHash {
			return fmt.Errorf("%w: metadata hash %x, this runtime has %x", ErrOther, *p.MetadataHash, digest)
		}
	}
	if err := t.seal(&again); err != nil {
		return err
	}
	if len(p.Extra) > 0 && (string(again.Extra) != string(p.Extra) || string(again.Implicit) != string(p.Implicit)) {
		return fmt.Errorf("%w: what its extensions hold is not what the runtime's (%s) make of it", ErrPayload, strings.Join(again.Extensions, ", "))
	}
	*p = again
	return nil
}
