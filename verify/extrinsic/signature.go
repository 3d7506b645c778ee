package extrinsic

import (
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
)

// A Scheme is a kind of signature, numbered as in sp_runtime::MultiSignature.
type Scheme uint8

// The schemes.
const (
	Ed25519 Scheme = iota // 64 bytes
	Sr25519               // 64 bytes, under the context "substrate"
	Ecdsa                 // 65 bytes, over the Blake2b-256 of the payload
)

var schemeNames = [...]string{"ed25519", "sr25519", "ecdsa"}

// String returns the scheme's name.
func (s Scheme) String() string {
	if int(s) < len(schemeNames) {
		return schemeNames[s]
	}
	return fmt.Sprintf("scheme %d", uint8(s))
}

// size is how many bytes a signature has.
func (s Scheme) size() int {
	if s == Ecdsa {
		return 65
	}
	return 64
}

// A Signature is a MultiSignature.
type Signature struct {
	Scheme Scheme
	Bytes  [65]byte // 64 of them, but for ecdsa
}

// Append appends the signature as an extrinsic has it, its scheme in front.
func (s Signature) Append(b []byte) []byte {
	return append(append(b, byte(s.Scheme)), s.Bytes[:s.Scheme.size()]...)
}

// DecodeSignature decodes what Append makes.
func DecodeSignature(b []byte) (s Signature, err error) {
	if len(b) == 0 || int(b[0]) >= len(schemeNames) || len(b) != 1+Scheme(b[0]).size() {
		return s, fmt.Errorf("%w: %d bytes are no MultiSignature", ErrForm, len(b))
	}
	s.Scheme = Scheme(b[0])
	copy(s.Bytes[:], b[1:])
	return s, nil
}

// ParseSignature finds the signature of an account over a payload in bytes that a signer gave: a MultiSignature,
// or a bare one of any scheme. ErrSignature if none of what they can be holds.
func ParseSignature(b []byte, from verify.AccountID, payload []byte) (Signature, error) {
	var tries []Signature
	if s, err := DecodeSignature(b); err == nil {
		tries = append(tries, s)
	}
	for _, scheme := range []Scheme{Sr25519, Ed25519, Ecdsa} {
		if len(b) == scheme.size() {
			s := Signature{Scheme: scheme}
			copy(s.Bytes[:], b)
			tries = append(tries, s)
		}
	}
	if len(tries) == 0 {
		return Signature{}, fmt.Errorf("%w: it has %d bytes, want 64 or 65, or one more for its scheme", ErrSignature, len(b))
	}
	for _, s := range tries {
		if s.Verify(from, payload) {
			return s, nil
		}
	}
	return Signature{}, fmt.Errorf("%w: it is not that of %v over this payload", ErrSignature, from)
}

// Verify reports whether the signature is an account's over a payload (sp_runtime::MultiSignature::verify).
func (s Signature) Verify(from verify.AccountID, payload []byte) bool {
	switch s.Scheme {
	case Ed25519:
		o := &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}
		return ed25519.VerifyWithOptions(from[:], payload, s.Bytes[:64], o)
	case Sr25519:
		var key sr25519.PublicKey
		var sig sr25519.Signature
		if key.UnmarshalBinary(from[:]) != nil || sig.UnmarshalBinary(s.Bytes[:64]) != nil {
			return false
		}
		return key.Verify(sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(payload), &sig)
	case Ecdsa:
		// The account is the hash of the key that signed.
		hash := verify.Blake2b256(payload)
		if s.Bytes[64] > 3 {
			return false
		}
		var high secp256k1.ModNScalar
		if high.SetByteSlice(s.Bytes[:32]) || high.IsZero() {
			return false
		}
		key, _, err := ecdsa.RecoverCompact(append([]byte{27 + s.Bytes[64]}, s.Bytes[:64]...), hash[:])
		return err == nil && verify.Blake2b256(key.SerializeCompressed()) == verify.Hash(from)
	}
	return false
}
