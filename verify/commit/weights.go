package commit

import (
	"slices"

	"github.com/taolight/taolight/verify/subtensor"
)

// Upscale returns values stretched so that the largest becomes 65535, as the chain does before it
// stores them (pallets/subtensor/src/epoch/math.rs, vec_max_upscale_to_u16). If all are zero, so is
// the result; the input is left alone.
//
// The chain works in fixed point of 32 fractional bits. Up to a maximum of 32768 it multiplies by
// 65535 before it divides; above, where that product would not fit, it divides first, and the
// factor's truncation shows in the result.
func Upscale(values []uint16) []uint16 {
	out := make([]uint16, len(values))
	if len(values) == 0 {
		return out
	}
	const full, half = 65535, 1 << 31
	m := uint64(slices.Max(values))
	if m == 0 {
		return out
	}
	for i, v := range values {
		var q uint64
		if m > 32768 {
			q = uint64(v) * (full << 32 / m) // at most 65535·2^32, within 48 bits
		} else {
			// v·65535·2^32 of the fixed point, over m: v is at most m, so that 2^63 is not reached.
			q = uint64(v) * full << 32 / m
		}
		out[i] = uint16(min((q+half)>>32, full))
	}
	return out
}

// Row returns what the chain stores for a payload: each uid with its scaled value, in the payload's
// order, zeros included. Where one list is longer, its rest is left out.
func Row(uids, values []uint16) []subtensor.Weight {
	scaled := Upscale(values)
	row := make([]subtensor.Weight, min(len(uids), len(scaled)))
	for i := range row {
		row[i] = subtensor.Weight{UID: uids[i], Value: scaled[i]}
	}
	return row
}

// withinLimit reports whether no scaled value has a larger share of the sum than limit has of 65535,
// both shares truncated to 32 fractional bits (pallets/subtensor/src/epoch/math.rs,
// check_vec_max_limited).
func withinLimit(scaled []uint16, limit uint16) bool {
	var sum, largest uint64
	for _, v := range scaled {
		sum += uint64(v)
		largest = max(largest, uint64(v))
	}
	return sum == 0 || largest<<32/sum <= uint64(limit)<<32/65535
}
