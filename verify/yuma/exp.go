package yuma

import "math/bits"

// eI32F32 is what the runtime's exp returns for 1: e cut to 23 bits after the point, which is not what
// its series gives (substrate-fixed v0.6.0, src/consts.rs).
const eI32F32 I32F32 = 22_802_600 << 9

// exp returns e to the power of x. Its series has 31 terms, so that it falls short of the true value
// as x grows: exp(20) is 0.8 % too little. It is not ok where a step does not fit the type
// (substrate-fixed v0.6.0, src/transcendental.rs).
func exp(x I32F32) (I32F32, bool) {
	if x == OneI32F32 {
		return eI32F32, true
	}
	// Where the sum does not fit, and where x has no magnitude, a product has not fitted before.
	y := max(x, -x)
	sum, term := y+OneI32F32, y
	for i := uint64(2); i < 32; i++ {
		hi, lo := bits.Mul64(uint64(term), uint64(y))
		if hi>>31 != 0 {
			return 0, false
		}
		if term = I32F32((hi<<32 | lo>>32) / i); term == 0 {
			break
		}
		sum += term
	}
	if x < 0 {
		return OneI32F32.CheckedDiv(sum)
	}
	return sum, true
}

// expSafe is exp for any x: beyond 20 and -20 as there (pallets/subtensor/src/epoch/math.rs, exp_safe).
// It has a result for each of these; the bounds of what fits, 0 and the greatest number, are never met.
func expSafe(x I32F32) I32F32 {
	const bound = 20 * OneI32F32
	v, ok := exp(min(max(x, -bound), bound))
	if !ok && x > 0 {
		return MaxI32F32
	}
	return v
}
