package drand

import (
	"bytes"
	"fmt"

	"github.com/taolight/taolight/verify/scale"
)

// Bounds of a stored pulse, in bytes (pallets/drand/src/types.rs).
const (
	maxRandomness = 32
	maxSignature  = 144
)

// Stored is a value of the chain's item Drand.Pulses. Slices that DecodeStored returns alias its
// input.
type Stored struct {
	Round uint64
	// Randomness is what somebody sent along. The chain does not check it: Pulse.Randomness is the
	// right one.
	Randomness []byte
	Signature  []byte
}

// DecodeStored decodes a value of Drand.Pulses: u64 round, bytes of randomness (at most 32) and of the
// signature (at most 144). ErrStored for anything else.
func DecodeStored(b []byte) (Stored, error) {
	r := scale.NewReader(b)
	s := Stored{Round: r.U64(), Randomness: r.Blob(maxRandomness), Signature: r.Blob(maxSignature)}
	if err := r.Finish(); err != nil {
		return Stored{}, fmt.Errorf("%w: %w", ErrStored, err)
	}
	return s, nil
}

// Append appends s in its encoding.
func (s Stored) Append(b []byte) []byte {
	b = scale.AppendU64(b, s.Round)
	b = scale.AppendBlob(b, s.Randomness)
	return scale.AppendBlob(b, s.Signature)
}

// Pulse returns the round and the signature as the chain reads them: an ASCII "0x" in front is left
// out, and of what follows the first 48 bytes are the signature (pallets/subtensor/src/coinbase/
// reveal_commits.rs). ErrSignature if there are fewer. It verifies nothing.
func (s Stored) Pulse() (Pulse, error) {
	sig := bytes.TrimPrefix(s.Signature, []byte("0x"))
	if len(sig) < len(Signature{}) {
		return Pulse{}, fmt.Errorf("round %d: %w: %d bytes", s.Round, ErrSignature, len(sig))
	}
	return Pulse{s.Round, Signature(sig[:len(Signature{})])}, nil
}
