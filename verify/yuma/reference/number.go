package reference

import (
	"math"
	"math/big"
)

// A number is an I32F32, times 2^32: an integer from -2^63 to 2^63-1. None is ever changed.
type number = *big.Int

var (
	zero     = big.NewInt(0)
	one      = big.NewInt(1 << 32)
	half     = big.NewInt(1 << 31)
	all      = big.NewInt(math.MaxUint16 << 32)
	least    = big.NewInt(math.MinInt64)
	greatest = big.NewInt(math.MaxInt64)
	two64    = new(big.Int).Lsh(big.NewInt(1), 64)
)

func whole(v uint64) number  { return clamp(new(big.Int).Lsh(new(big.Int).SetUint64(v), 32)) }
func fits(v *big.Int) bool   { return v.Cmp(least) >= 0 && v.Cmp(greatest) <= 0 }
func more(a, b number) bool  { return a.Cmp(b) > 0 }
func equal(a, b number) bool { return a.Cmp(b) == 0 }

func clamp(v *big.Int) number { return smaller(greater(v, least), greatest) }

func smaller(a, b number) number {
	if more(a, b) {
		return b
	}
	return a
}

func greater(a, b number) number {
	if more(a, b) {
		return a
	}
	return b
}

// product and quotient are exact but for their rounding: down, and towards zero.
func product(a, b number) *big.Int { return new(big.Int).Rsh(new(big.Int).Mul(a, b), 32) }
func quotient(a, b number) *big.Int {
	return new(big.Int).Quo(new(big.Int).Lsh(a, 32), b)
}

// add, sub and mul saturate; div gives 0 for what it cannot.
func add(a, b number) number { return clamp(new(big.Int).Add(a, b)) }
func sub(a, b number) number { return clamp(new(big.Int).Sub(a, b)) }
func mul(a, b number) number { return clamp(product(a, b)) }
func div(a, b number) number {
	if b.Sign() == 0 {
		return zero
	}
	if q := quotient(a, b); fits(q) {
		return q
	}
	return zero
}

// wrap brings a sum back into the type as a processor does.
func wrap(v *big.Int) number {
	m := new(big.Int).Mod(v, two64)
	if more(m, greatest) {
		m.Sub(m, two64)
	}
	return m
}

func sum(v []number) number {
	s := new(big.Int)
	for _, x := range v {
		s.Add(s, x)
	}
	return wrap(s)
}

func normalize(v []number) []number {
	s := sum(v)
	if s.Sign() == 0 {
		return v
	}
	return each(v, func(x number) number { return div(x, s) })
}

func each(v []number, f func(number) number) []number {
	out := make([]number, len(v))
	for i, x := range v {
		out[i] = f(x)
	}
	return out
}

// u64 and u16 are the whole part, within the bounds of the type.
func u64(v *big.Int) uint64 {
	w := new(big.Int).Rsh(v, 32)
	if w.Sign() < 0 {
		return 0
	}
	if !w.IsUint64() {
		return math.MaxUint64
	}
	return w.Uint64()
}

func u16(v *big.Int) uint16 { return uint16(min(u64(v), math.MaxUint16)) }
func quantized(v []number) []uint16 {
	return u16s(v, func(x number) uint16 { return u16(mul(x, all)) })
}

func u16s(v []number, f func(number) uint16) []uint16 {
	out := make([]uint16, len(v))
	for i, x := range v {
		out[i] = f(x)
	}
	return out
}

// exp is the exponential function of substrate-fixed, nil where it gives up.
func exp(x number) number {
	switch {
	case x.Sign() == 0:
		return one
	case equal(x, one):
		return big.NewInt(22_802_600 << 9)
	}
	y := new(big.Int).Abs(x)
	term, total := y, new(big.Int).Add(one, y)
	for i := int64(2); i <= 31; i++ {
		term = product(term, y)
		if !fits(term) {
			return nil
		}
		term = new(big.Int).Quo(term, big.NewInt(i))
		total = new(big.Int).Add(total, term)
	}
	if !fits(total) || !fits(y) {
		return nil
	}
	if x.Sign() < 0 {
		return quotient(one, total)
	}
	return total
}
