package tx

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/extrinsic"
)

// Signatures and eras are of package extrinsic, which those who have no chain share.
type (
	Scheme    = extrinsic.Scheme
	Signature = extrinsic.Signature
	Era       = extrinsic.Era
)

// See package extrinsic.
const (
	Ed25519 = extrinsic.Ed25519
	Sr25519 = extrinsic.Sr25519
	Ecdsa   = extrinsic.Ecdsa

	MinPeriod     = extrinsic.MinPeriod
	MaxPeriod     = extrinsic.MaxPeriod
	DefaultPeriod = extrinsic.DefaultPeriod
)

// Errors that package extrinsic has as well.
var (
	// ErrPayload: a payload, or an extrinsic, is none, or does not fit together.
	ErrPayload = extrinsic.ErrForm
	// ErrSignature: the signature is not the signer's over this payload on this chain.
	ErrSignature = extrinsic.ErrSignature
)

// DecodeSignature decodes what Signature.Append makes.
func DecodeSignature(b []byte) (Signature, error) { return extrinsic.DecodeSignature(b) }

// ParseSignature finds the signature of an account over a payload in bytes that a signer gave.
func ParseSignature(b []byte, from verify.AccountID, payload []byte) (Signature, error) {
	return extrinsic.ParseSignature(b, from, payload)
}

// Mortal returns the era of a period that is born with a block. The period is rounded up to a power of two.
func Mortal(block uint32, period uint64) Era { return extrinsic.Mortal(block, period) }

// DecodeEra decodes what Era.Append makes.
func DecodeEra(b []byte) (Era, error) { return extrinsic.DecodeEra(b) }

// Parcel returns the payload, with its signature, as it travels between light nodes. It takes no chain: what the
// extensions hold is laid out as in the runtimes that package extrinsic knows, or it is ErrLayout.
func (p *Payload) Parcel(s Signature) (*extrinsic.Parcel, error) {
	x, err := extrinsic.New(extrinsic.Parcel{
		Genesis: p.Genesis, SpecVersion: p.SpecVersion, TransactionVersion: p.TransactionVersion, Birth: p.Era.Birth(p.EraBlock), BirthHash: p.EraHash,
		Mode: p.mode, MetadataHash: p.MetadataHash, Extrinsic: p.Extrinsic(s),
	})
	if err != nil {
		return nil, err
	}
	if string(x.Extra()) != string(p.Extra) || string(x.Implicit()) != string(p.Implicit) || string(x.Call) != string(p.Call) {
		return nil, fmt.Errorf("%w: %v", extrinsic.ErrLayout, p.Extensions)
	}
	return x, x.Verify()
}

// usual returns what the extensions hold by the fields, in the order of the runtimes that are known.
func (p *Payload) usual() (extra, implicit []byte) {
	for _, name := range []string{"CheckSpecVersion", "CheckTxVersion", "CheckGenesis", "CheckMortality", "CheckNonce", "ChargeTransactionPayment", "CheckMetadataHash"} {
		if name != "CheckMetadataHash" || p.mode {
			extra, implicit = rules[name].put(p, extra, implicit)
		}
	}
	return extra, implicit
}
