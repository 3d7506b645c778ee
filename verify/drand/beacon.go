package drand

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// Errors of this package.
var (
	// ErrSignature: the signature is not the beacon's for this round.
	ErrSignature = errors.New("not the beacon's signature of this round")
	// ErrPoint: the bytes are not the canonical encoding of a finite point in the right subgroup.
	ErrPoint = errors.New("not a point of the group in canonical form")
	// ErrPublicKey: the bytes are not a beacon's public key.
	ErrPublicKey = errors.New("not a public key of a beacon")
	// ErrStored: the value is not one of the chain's item Drand.Pulses.
	ErrStored = errors.New("not a stored pulse")
)

// PublicKey is a beacon's key: a point of G2, compressed.
type PublicKey [bls12381.G2SizeCompressed]byte

// Signature is a beacon's signature of a round: a point of G1, compressed.
type Signature [bls12381.G1SizeCompressed]byte

// String returns the key in hex.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// String returns the signature in hex.
func (s Signature) String() string { return hex.EncodeToString(s[:]) }

// Point decodes the key. ErrPublicKey unless it is the canonical encoding of a point of full order.
func (k PublicKey) Point() (*bls12381.G2, error) {
	p := new(bls12381.G2)
	if err := p.SetBytes(k[:]); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPublicKey, err)
	}
	if p.IsIdentity() {
		// Under this key every signature by nobody would be good.
		return nil, fmt.Errorf("%w: the point at infinity", ErrPublicKey)
	}
	return p, nil
}

// Point decodes the signature. ErrPoint unless it is the canonical encoding of a point of full order;
// whose signature it is and of what, Point does not say.
func (s Signature) Point() (*bls12381.G1, error) {
	p := new(bls12381.G1)
	if err := p.SetBytes(s[:]); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPoint, err)
	}
	if p.IsIdentity() {
		return nil, fmt.Errorf("%w: the point at infinity", ErrPoint)
	}
	return p, nil
}

// A Beacon says whose pulses are believed and when they are due.
type Beacon struct {
	Name      string
	PublicKey PublicKey
	// Period between two rounds, and GenesisTime, that of round 1, in seconds (Unix time).
	Period, GenesisTime uint64
}

// Quicknet returns the beacon of the League of Entropy that the chain takes its pulses from
// (pallets/drand/src/lib.rs, DefaultBeaconConfig).
func Quicknet() Beacon {
	return Beacon{
		Name: "quicknet",
		PublicKey: PublicKey{
			0x83, 0xcf, 0x0f, 0x28, 0x96, 0xad, 0xee, 0x7e, 0xb8, 0xb5, 0xf0, 0x1f, 0xca, 0xd3, 0x91, 0x22,
			0x12, 0xc4, 0x37, 0xe0, 0x07, 0x3e, 0x91, 0x1f, 0xb9, 0x00, 0x22, 0xd3, 0xe7, 0x60, 0x18, 0x3c,
			0x8c, 0x4b, 0x45, 0x0b, 0x6a, 0x0a, 0x6c, 0x3a, 0xc6, 0xa5, 0x77, 0x6a, 0x2d, 0x10, 0x64, 0x51,
			0x0d, 0x1f, 0xec, 0x75, 0x8c, 0x92, 0x1c, 0xc2, 0x2b, 0x0e, 0x17, 0xe6, 0x3a, 0xaf, 0x4b, 0xcb,
			0x5e, 0xd6, 0x63, 0x04, 0xde, 0x9c, 0xf8, 0x09, 0xbd, 0x27, 0x4c, 0xa7, 0x3b, 0xab, 0x4a, 0xf5,
			0xa6, 0xe9, 0xc7, 0x6a, 0x4b, 0xc0, 0x9e, 0x76, 0xea, 0xe8, 0x99, 0x1e, 0xf5, 0xec, 0xe4, 0x5a,
		},
		Period:      3,
		GenesisTime: 1_692_803_367,
	}
}

// Time returns when a round is due: genesis + (round - 1) × period. ok is false for round 0, which no
// beacon has, and for a time that 64 bits cannot hold.
func (b Beacon) Time(round uint64) (unixSeconds uint64, ok bool) {
	if round == 0 {
		return 0, false
	}
	hi, since := bits.Mul64(round-1, b.Period)
	t, carry := bits.Add64(since, b.GenesisTime, 0)
	if hi != 0 || carry != 0 {
		return 0, false
	}
	return t, true
}

// RoundAt returns the newest round that is out at a time; 0 before the first one, and for a beacon
// without a period.
func (b Beacon) RoundAt(unixSeconds uint64) uint64 {
	if unixSeconds < b.GenesisTime || b.Period == 0 {
		return 0
	}
	n := (unixSeconds - b.GenesisTime) / b.Period
	if n == math.MaxUint64 {
		return n
	}
	return n + 1
}

// Identity returns what a beacon signs for a round, SHA-256 of its number in big-endian order
// (pallets/drand/src/verifier.rs, message). It is also the identity that a timelock ciphertext is
// made for.
func Identity(round uint64) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
}

// suite is the domain separation tag of hashing to G1: RFC 9380, and drand's scheme
// bls-unchained-g1-rfc9380.
const suite = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"

// HashToG1 returns the point that a beacon multiplies by its secret key to sign a round.
func HashToG1(round uint64) *bls12381.G1 {
	id := Identity(round)
	p := new(bls12381.G1)
	p.Hash(id[:], []byte(suite))
	return p
}

// A Pulse is a round and the beacon's signature of it.
type Pulse struct {
	Round     uint64
	Signature Signature
}

// Randomness returns the pulse's random value, SHA-256 of the signature.
func (p Pulse) Randomness() [32]byte { return sha256.Sum256(p.Signature[:]) }
