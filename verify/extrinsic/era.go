package extrinsic

import (
	"fmt"
	"math/bits"

	"github.com/taolight/taolight/verify/scale"
)

// Periods of a mortal extrinsic, in blocks. The chain's own bounds are 4 and 65536, but the birth block has to
// be among the hashes that System.BlockHash keeps, which are 2400.
const (
	MinPeriod     = 4
	MaxPeriod     = 2048
	DefaultPeriod = 128 // as Bittensor's SDK
)

// An Era is the blocks that may hold an extrinsic (sp_runtime::generic::Era). Its zero value is immortal.
type Era struct {
	Period uint64 // a power of two; 0: immortal
	Phase  uint64 // of the birth block's number in the period
}

// Mortal returns the era of a period that is born with a block. The period is rounded up to a power of two.
func Mortal(block uint32, period uint64) Era {
	p := uint64(MinPeriod)
	for p < period && p < 1<<16 {
		p <<= 1
	}
	q := quantum(p)
	return Era{p, uint64(block) % p / q * q}
}

// quantum is what the phase of a long period is counted in, so that it fits 12 bits.
func quantum(period uint64) uint64 { return max(period>>12, 1) }

// Immortal reports whether the era has no end.
func (e Era) Immortal() bool { return e.Period == 0 }

// Birth returns the block that the era begins with, as seen from a block in it.
func (e Era) Birth(current uint32) uint32 {
	if e.Immortal() {
		return 0
	}
	c := max(uint64(current), e.Phase)
	return uint32((c-e.Phase)/e.Period*e.Period + e.Phase)
}

// Last returns the last block that may hold the extrinsic, as seen from a block in the era.
func (e Era) Last(current uint32) uint32 {
	if e.Immortal() {
		return 1<<32 - 1
	}
	return uint32(min(uint64(e.Birth(current))+e.Period-1, 1<<32-1))
}

// Append appends the era as an extrinsic has it: 0, or two bytes.
func (e Era) Append(b []byte) []byte {
	if e.Immortal() {
		return append(b, 0)
	}
	low := min(max(bits.TrailingZeros64(e.Period)-1, 1), 15)
	return scale.AppendU16(b, uint16(low)|uint16(e.Phase/quantum(e.Period)<<4))
}

// DecodeEra decodes what Append makes.
func DecodeEra(b []byte) (Era, error) {
	if len(b) == 1 && b[0] == 0 {
		return Era{}, nil
	}
	if len(b) != 2 {
		return Era{}, fmt.Errorf("era: %w: %d bytes", scale.ErrRange, len(b))
	}
	v := uint64(b[0]) | uint64(b[1])<<8
	e := Era{Period: 2 << (v & 15)}
	e.Phase = v >> 4 * quantum(e.Period)
	if e.Period < MinPeriod || e.Phase >= e.Period {
		return Era{}, fmt.Errorf("era: %w: phase %d of period %d", scale.ErrRange, e.Phase, e.Period)
	}
	return e, nil
}

// String tells the era in words.
func (e Era) String() string {
	if e.Immortal() {
		return "immortal"
	}
	return fmt.Sprintf("%d blocks", e.Period)
}
