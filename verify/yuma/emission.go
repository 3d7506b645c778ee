package yuma

import (
	"math"
	"math/bits"
	"slices"
)

// shares computes what part of the emission each neuron gets: as server its incentive, as validator its
// dividends, of the sum of all. If there are neither, validators get theirs by active stake, or where
// there is none by stake (pallets/subtensor/src/epoch/run_epoch.rs, emission_sum in epoch_mechanism).
func (t *Trace) shares() {
	t.Combined = make([]I32F32, len(t.Incentive))
	for i, x := range t.Incentive {
		t.Combined[i] = x.Add(t.Dividends[i])
	}
	total := sum(t.Combined)
	t.Server = slices.Clone(t.Incentive)
	if total == 0 {
		t.Validator = t.ActiveStake
		if sum(t.ActiveStake) == 0 {
			t.Validator = t.Stake
		}
		t.Combined = t.Validator
		return
	}
	t.Validator = slices.Clone(t.Dividends)
	divideAll(t.Server, total)
	divideAll(t.Validator, total)
	divideAll(t.Combined, total)
}

// amounts returns the shares of rao, each rounded down.
func amounts(shares []I32F32, rao uint64) []uint64 {
	out := make([]uint64, len(shares))
	for i, x := range shares {
		hi, lo := bits.Mul64(uint64(max(x, 0)), rao)
		if out[i] = hi<<32 | lo>>32; hi>>32 != 0 {
			out[i] = math.MaxUint64
		}
	}
	return out
}

// upscale returns shares with the greatest being 65535, rounded to the nearest (pallets/subtensor/src/
// epoch/math.rs, vec_max_upscale_to_u16, as far as it goes for numbers up to 32768).
func upscale(v []I32F32) []uint16 {
	out := make([]uint16, len(v))
	if len(v) == 0 {
		return out
	}
	greatest := slices.Max(v)
	for i, x := range v {
		out[i] = round(x.Mul(math.MaxUint16 * OneI32F32).SafeDiv(greatest))
	}
	return out
}

// round returns the nearest whole number, the greater of two, within the bounds of a uint16.
func round(x I32F32) uint16 { return x.Add(OneI32F32 / 2).U16() }
