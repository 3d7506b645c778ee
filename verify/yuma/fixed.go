package yuma

import (
	"math"
	"math/bits"
)

// The fixed-point types of the runtime, named after the bits before and after the point. A product
// is exact and then rounded down (towards minus infinity), a quotient towards zero. What is out of
// range saturates, or in the Checked form is not ok; SafeDiv gives 0 for it, and for a divisor of 0
// (substrate-fixed v0.6.0, src/arith.rs; subtensor primitives/safe-math/src/lib.rs).

// I32F32 is a signed number with 32 bits after the point: its value times 2^32.
type I32F32 int64

// Bounds and the unit of I32F32.
const (
	OneI32F32 I32F32 = 1 << 32
	MaxI32F32 I32F32 = math.MaxInt64
	MinI32F32 I32F32 = math.MinInt64
)

// I32F32From returns v, the greatest number if v is out of range.
func I32F32From(v uint64) I32F32 {
	if v > math.MaxInt32 {
		return MaxI32F32
	}
	return I32F32(v << 32)
}

// CheckedMul returns x·y, rounded down.
func (x I32F32) CheckedMul(y I32F32) (I32F32, bool) {
	hi, lo := mulSigned(int64(x), int64(y))
	p := hi<<32 | int64(lo>>32)
	if hi>>31 != p>>63 { // the bits above the result must repeat its sign
		return 0, false
	}
	return I32F32(p), true
}

// Mul is saturating_mul.
func (x I32F32) Mul(y I32F32) I32F32 {
	if p, ok := x.CheckedMul(y); ok {
		return p
	}
	if (x < 0) != (y < 0) {
		return MinI32F32
	}
	return MaxI32F32
}

// mulSigned returns the product in two's complement.
func mulSigned(x, y int64) (hi int64, lo uint64) {
	h, lo := bits.Mul64(uint64(x), uint64(y))
	return int64(h) - x>>63&y - y>>63&x, lo
}

// CheckedDiv returns x/y, rounded towards zero.
func (x I32F32) CheckedDiv(y I32F32) (I32F32, bool) {
	a, b := magnitude(int64(x)), magnitude(int64(y))
	if a>>32 >= b { // y is 0, or the quotient has more than 64 bits
		return 0, false
	}
	q, _ := bits.Div64(a>>32, a<<32, b)
	negative := (x < 0) != (y < 0)
	switch {
	case negative && q <= 1<<63:
		return I32F32(-q), true
	case !negative && q < 1<<63:
		return I32F32(q), true
	}
	return 0, false
}

// SafeDiv is CheckedDiv, with 0 for what is not ok.
func (x I32F32) SafeDiv(y I32F32) I32F32 {
	q, _ := x.CheckedDiv(y)
	return q
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// Add is saturating_add.
func (x I32F32) Add(y I32F32) I32F32 {
	s := x + y
	if (x^s)&(y^s) < 0 { // the sign of neither is that of the sum
		return MaxI32F32 ^ x>>63
	}
	return s
}

// Sub is saturating_sub.
func (x I32F32) Sub(y I32F32) I32F32 {
	d := x - y
	if (x^y)&(x^d) < 0 {
		return MaxI32F32 ^ x>>63
	}
	return d
}

// U64 returns x rounded down, 0 if it is negative.
func (x I32F32) U64() uint64 { return uint64(max(x, 0) >> 32) }

// U16 returns x rounded down, within the bounds of a uint16.
func (x I32F32) U16() uint16 { return uint16(min(x.U64(), math.MaxUint16)) }

// Quantize returns x·65535 rounded down, within the bounds of a uint16: how the chain stores a share
// (pallets/subtensor/src/epoch/math.rs, fixed_proportion_to_u16).
func (x I32F32) Quantize() uint16 {
	if x > OneI32F32 {
		return math.MaxUint16
	}
	return uint16(max(x, 0) * math.MaxUint16 >> 32)
}

// I64F64 is a signed number with 64 bits after the point: its value times 2^64, in two's complement.
// The zero value is 0. Numbers are equal if they are ==.
type I64F64 struct{ bits u128 }

// U96F32 is a number with 32 bits after the point: its value times 2^32.
// The zero value is 0. Numbers are equal if they are ==.
type U96F32 struct{ bits u128 }

// I64F64From returns v, the greatest number if v is out of range.
func I64F64From(v uint64) I64F64 {
	if v > math.MaxInt64 {
		return maxI64F64
	}
	return I64F64{u128{hi: v}}
}

// I64F64FromRaw returns the number whose two's complement is hi·2^64 + lo: the number hi + lo/2^64.
func I64F64FromRaw(hi int64, lo uint64) I64F64 { return I64F64{u128{uint64(hi), lo}} }

// Raw returns the number times 2^64, in two's complement.
func (x I64F64) Raw() (hi int64, lo uint64) { return int64(x.bits.hi), x.bits.lo }

var (
	maxI64F64 = I64F64{u128{math.MaxInt64, math.MaxUint64}}
	minI64F64 = I64F64{u128{1 << 63, 0}}
)

// signed turns a magnitude with a sign into two's complement, if 128 bits hold it.
func signed(m u128, negative bool) (u128, bool) {
	if negative {
		return m.neg(), m.hi < 1<<63 || m == minI64F64.bits
	}
	return m, m.hi < 1<<63
}

// abs returns the magnitude of a number in two's complement, and whether it is negative.
func abs(x u128) (u128, bool) {
	if x.hi>>63 != 0 {
		return x.neg(), true
	}
	return x, false
}

// CheckedMul returns x·y, rounded down.
func (x I64F64) CheckedMul(y I64F64) (I64F64, bool) {
	r, ok := mulSigned128(x.bits, y.bits, 64)
	return I64F64{r}, ok
}

// Mul is saturating_mul.
func (x I64F64) Mul(y I64F64) I64F64 {
	if p, ok := x.CheckedMul(y); ok {
		return p
	}
	if x.Negative() != y.Negative() {
		return minI64F64
	}
	return maxI64F64
}

// CheckedDiv returns x/y, rounded towards zero.
func (x I64F64) CheckedDiv(y I64F64) (I64F64, bool) {
	r, ok := divSigned128(x.bits, y.bits, 64)
	return I64F64{r}, ok
}

// SafeDiv is CheckedDiv, with 0 for what is not ok.
func (x I64F64) SafeDiv(y I64F64) I64F64 {
	q, _ := x.CheckedDiv(y)
	return q
}

// Add is saturating_add.
func (x I64F64) Add(y I64F64) I64F64 {
	s, _ := x.bits.add(y.bits)
	r := I64F64{s}
	switch {
	case x.Negative() != y.Negative() || r.Negative() == x.Negative():
		return r
	case x.Negative():
		return minI64F64
	}
	return maxI64F64
}

// Negative reports whether x < 0.
func (x I64F64) Negative() bool { return x.bits.hi>>63 != 0 }

// U64 returns x rounded down, 0 if it is negative.
func (x I64F64) U64() uint64 {
	if x.Negative() {
		return 0
	}
	return x.bits.hi
}

// I32F32 returns x with 32 of its bits after the point, rounded down, within the bounds of the type
// (pallets/subtensor/src/epoch/math.rs, fixed64_to_fixed32).
func (x I64F64) I32F32() I32F32 {
	switch hi := int64(x.bits.hi); {
	case hi > math.MaxInt32:
		return MaxI32F32
	case hi < math.MinInt32:
		return MinI32F32
	default:
		return I32F32(hi<<32 | int64(x.bits.lo>>32))
	}
}

// U96F32From returns v.
func U96F32From(v uint64) U96F32 { return U96F32{u128{v >> 32, v << 32}} }

var maxU96F32 = U96F32{u128{math.MaxUint64, math.MaxUint64}}

// CheckedMul returns x·y, rounded down.
func (x U96F32) CheckedMul(y U96F32) (U96F32, bool) {
	r, _, ok := x.bits.mul(y.bits, 32)
	return U96F32{r}, ok
}

// Mul is saturating_mul.
func (x U96F32) Mul(y U96F32) U96F32 {
	if p, ok := x.CheckedMul(y); ok {
		return p
	}
	return maxU96F32
}

// CheckedDiv returns x/y, rounded down.
func (x U96F32) CheckedDiv(y U96F32) (U96F32, bool) {
	r, ok := x.bits.div(y.bits, 32)
	return U96F32{r}, ok
}

// SafeDiv is CheckedDiv, with 0 for what is not ok.
func (x U96F32) SafeDiv(y U96F32) U96F32 {
	q, _ := x.CheckedDiv(y)
	return q
}

// Add is saturating_add.
func (x U96F32) Add(y U96F32) U96F32 {
	if s, carry := x.bits.add(y.bits); carry == 0 {
		return U96F32{s}
	}
	return maxU96F32
}

// Sub is saturating_sub: 0 if y is the greater.
func (x U96F32) Sub(y U96F32) U96F32 {
	if x.bits.less(y.bits) {
		return U96F32{}
	}
	d, _ := x.bits.add(y.bits.neg())
	return U96F32{d}
}

// U64 returns x rounded down, at most the greatest uint64.
func (x U96F32) U64() uint64 {
	if x.bits.hi>>32 != 0 {
		return math.MaxUint64
	}
	return x.bits.hi<<32 | x.bits.lo>>32
}

// I64F64 returns x, the greatest I64F64 if it is out of range.
func (x U96F32) I64F64() I64F64 {
	if x.bits.hi >= 1<<31 {
		return maxI64F64
	}
	return I64F64{u128{x.bits.hi<<32 | x.bits.lo>>32, x.bits.lo << 32}}
}
