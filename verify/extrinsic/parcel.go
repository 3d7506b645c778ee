package extrinsic

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Magic begins a parcel; its last byte is the version.
const Magic = "\x89TLX\r\n\x1a\x01"

// MaxParcel bounds a parcel, in bytes: it has to fit a message between light nodes.
const MaxParcel = 64 << 10

// hashedFrom is the length from which the hash of a payload is signed in its place (sp_runtime::generic,
// SignedPayload::using_encoded).
const hashedFrom = 257

// Errors of parcels.
var (
	// ErrForm: a payload, an extrinsic or a parcel is none, or does not fit together.
	ErrForm = errors.New("malformed transaction")
	// ErrSignature: the signature is not the signer's over this payload on this chain.
	ErrSignature = errors.New("signature does not hold")
	// ErrImmortal: it has no era. Whoever held a copy could send it at any time, so it does not travel.
	ErrImmortal = errors.New("an immortal transaction is not carried")
	// ErrLayout: what its extensions hold is not laid out as in the runtimes that are known here.
	ErrLayout = errors.New("transaction extensions are laid out otherwise")
)

// A Parcel is a signed extrinsic with what its signature covers beside it, so that anybody can verify the
// signature who has neither the chain's metadata nor its state. It is for runtimes whose extensions hold
// something in this order, as all of this chain do: CheckSpecVersion, CheckTxVersion, CheckGenesis,
// CheckMortality, CheckNonce, ChargeTransactionPayment, and, since there is such a thing, CheckMetadataHash
// (subtensor runtime/src/lib.rs, TxExtension).
//
// Its encoding, with SCALE's compact integers and all others little-endian:
//
//	magic      89 54 4c 58 0d 0a 1a 01: the last byte is the version
//	genesis    [32], hash of block 0
//	spec       u32 | transaction version u32
//	birth      u32 number | [32] hash: the block that its era begins with. The hash is signed; the number is
//	           what whoever sends it says, and right if that block has that hash
//	metadata   00: the runtime has no CheckMetadataHash; 01: it has, in mode 0; 02 and [32]: in mode 1, with the hash
//	extrinsic  Vec<u8>, as it stands in a body, its length in front of it once: version 84, MultiAddress::Id,
//	           MultiSignature, era, compact nonce, compact tip, the mode if there is one, call
type Parcel struct {
	Genesis            verify.Hash
	SpecVersion        uint32
	TransactionVersion uint32
	Birth              uint32
	BirthHash          verify.Hash
	Mode               bool // the runtime has CheckMetadataHash
	MetadataHash       *[32]byte
	Extrinsic          []byte // with its length in front

	// What the extrinsic says, read by Decode and New.
	From      verify.AccountID
	Signature Signature
	Era       Era
	Nonce     uint32
	Tip       uint64
	Call      []byte
	extra     []byte
}

// New returns the parcel of an extrinsic. p has the fields above Extrinsic, and it.
func New(p Parcel) (*Parcel, error) {
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("parcel: %w", err)
	}
	if n := len(p.Append(nil)); n > MaxParcel {
		return nil, fmt.Errorf("parcel: %w: %d bytes, at most %d", ErrForm, n, MaxParcel)
	}
	return &p, nil
}

// Is reports whether bytes begin as a parcel of any version.
func Is(b []byte) bool {
	const n = len(Magic) - 1
	return len(b) > n && string(b[:n]) == Magic[:n]
}

// Decode decodes a parcel that takes the whole of b. The signature is not looked at.
func Decode(b []byte) (*Parcel, error) {
	if len(b) > MaxParcel {
		return nil, fmt.Errorf("parcel: %w: %d bytes, at most %d", ErrForm, len(b), MaxParcel)
	}
	if len(b) < len(Magic) || string(b[:len(Magic)]) != Magic {
		return nil, fmt.Errorf("parcel: %w: it does not begin as one of version 1", ErrForm)
	}
	r := scale.NewReader(b[len(Magic):])
	var p Parcel
	r.Copy(p.Genesis[:])
	p.SpecVersion, p.TransactionVersion, p.Birth = r.U32(), r.U32(), r.U32()
	r.Copy(p.BirthHash[:])
	switch mode := r.Byte(); mode {
	case 0:
	case 1:
		p.Mode = true
	case 2:
		p.Mode, p.MetadataHash = true, new([32]byte)
		r.Copy(p.MetadataHash[:])
	default:
		r.Fail(fmt.Errorf("%w: mode %d", ErrForm, mode))
	}
	inner := r.Blob(MaxParcel)
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("parcel: %w: %w", ErrForm, err)
	}
	p.Extrinsic = scale.AppendBlob(nil, inner)
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("parcel: %w", err)
	}
	return &p, nil
}

// Append appends the encoding.
func (p *Parcel) Append(b []byte) []byte {
	b = append(append(b, Magic...), p.Genesis[:]...)
	b = scale.AppendU32(scale.AppendU32(b, p.SpecVersion), p.TransactionVersion)
	b = append(scale.AppendU32(b, p.Birth), p.BirthHash[:]...)
	switch {
	case p.MetadataHash != nil:
		b = append(append(b, 2), p.MetadataHash[:]...)
	case p.Mode:
		b = append(b, 1)
	default:
		b = append(b, 0)
	}
	return append(b, p.Extrinsic...)
}

// open reads what the extrinsic says.
func (p *Parcel) open() error {
	outer := scale.NewReader(p.Extrinsic)
	inner := outer.Blob(MaxParcel)
	if err := outer.Finish(); err != nil {
		return fmt.Errorf("%w: extrinsic: %w", ErrForm, err)
	}
	r := scale.NewReader(inner)
	if version := r.Byte(); r.Err() == nil && version != 0x84 {
		return fmt.Errorf("%w: version byte %#x, want 0x84, signed of version 4", ErrForm, version)
	}
	if kind := r.Byte(); r.Err() == nil && kind != 0 {
		return fmt.Errorf("%w: its signer is no account", ErrForm)
	}
	r.Copy(p.From[:])
	scheme := Scheme(r.Byte())
	if r.Err() == nil && int(scheme) >= len(schemeNames) {
		return fmt.Errorf("%w: signature of %v", ErrForm, scheme)
	}
	p.Signature = Signature{Scheme: scheme}
	r.Copy(p.Signature.Bytes[:scheme.size()])
	// The rest is taken apart by position, so that the extra is had as it was signed.
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: extrinsic: %w", ErrForm, err)
	}
	rest := inner[2+32+1+scheme.size():]
	r = scale.NewReader(rest)
	first := r.Byte()
	if r.Err() == nil && first == 0 {
		return ErrImmortal
	}
	era, err := DecodeEra([]byte{first, r.Byte()})
	nonce := r.Compact()
	p.Tip = r.Compact()
	if p.Mode {
		mode := r.Byte()
		if want := p.MetadataHash != nil; r.Err() == nil && (mode > 1 || want != (mode == 1)) {
			return fmt.Errorf("%w: metadata hash in mode %d", ErrForm, mode)
		}
	} else if p.MetadataHash != nil {
		return fmt.Errorf("%w: a metadata hash, and a runtime without", ErrForm)
	}
	if rerr := r.Err(); rerr != nil {
		return fmt.Errorf("%w: extensions: %w", ErrForm, rerr)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	if nonce >= 1<<32 {
		return fmt.Errorf("%w: nonce %d", ErrForm, nonce)
	}
	if era.Birth(p.Birth) != p.Birth || era.Period > MaxPeriod {
		return fmt.Errorf("%w: its era of %v does not begin with #%d", ErrForm, era, p.Birth)
	}
	p.Era, p.Nonce = era, uint32(nonce)
	p.extra, p.Call = rest[:len(rest)-r.Len()], rest[len(rest)-r.Len():]
	if len(p.Call) < 2 {
		return fmt.Errorf("%w: no call in it", ErrForm)
	}
	return nil
}

// Implicit returns what the extensions add to what is signed.
func (p *Parcel) Implicit() []byte {
	b := scale.AppendU32(scale.AppendU32(nil, p.SpecVersion), p.TransactionVersion)
	b = append(append(b, p.Genesis[:]...), p.BirthHash[:]...)
	switch {
	case p.MetadataHash != nil:
		b = append(append(b, 1), p.MetadataHash[:]...)
	case p.Mode:
		b = append(b, 0)
	}
	return b
}

// Extra returns what the extensions hold in the extrinsic.
func (p *Parcel) Extra() []byte { return p.extra }

// Hash returns the hash by which the transaction is known.
func (p *Parcel) Hash() verify.Hash { return verify.Blake2b256(p.Extrinsic) }

// Last returns the last block that may hold it.
func (p *Parcel) Last() uint32 { return p.Era.Last(p.Birth) }

// Verify returns ErrSignature unless the account has signed all of it.
func (p *Parcel) Verify() error {
	b := make([]byte, 0, len(p.Call)+len(p.extra)+128)
	b = append(append(append(b, p.Call...), p.extra...), p.Implicit()...)
	if len(b) >= hashedFrom {
		h := verify.Blake2b256(b)
		b = h[:]
	}
	if !p.Signature.Verify(p.From, b) {
		return fmt.Errorf("%w for %v on this chain at spec %d", ErrSignature, p.From, p.SpecVersion)
	}
	return nil
}
