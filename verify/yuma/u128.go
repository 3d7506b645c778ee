package yuma

import "math/bits"

// A u128 is 128 bits, an unsigned number where nothing else is said.
type u128 struct{ hi, lo uint64 }

func (x u128) less(y u128) bool { return x.hi < y.hi || x.hi == y.hi && x.lo < y.lo }

func (x u128) add(y u128) (sum u128, carry uint64) {
	lo, c := bits.Add64(x.lo, y.lo, 0)
	hi, c := bits.Add64(x.hi, y.hi, c)
	return u128{hi, lo}, c
}

func (x u128) neg() u128 {
	lo, borrow := bits.Sub64(0, x.lo, 0)
	hi, _ := bits.Sub64(0, x.hi, borrow)
	return u128{hi, lo}
}

// mul returns x·y / 2^frac rounded down, whether that is exact, and whether 128 bits hold it.
// frac is 32 or 64.
func (x u128) mul(y u128, frac uint) (p u128, exact, ok bool) {
	// The product, in words w3 … w0.
	h00, w0 := bits.Mul64(x.lo, y.lo)
	h01, l01 := bits.Mul64(x.lo, y.hi)
	h10, l10 := bits.Mul64(x.hi, y.lo)
	h11, l11 := bits.Mul64(x.hi, y.hi)
	w1, c1 := bits.Add64(h00, l01, 0)
	w2, c2 := bits.Add64(h01, l11, c1)
	w3 := h11 + c2 // no carry is left over: the product has 256 bits
	w1, c1 = bits.Add64(w1, l10, 0)
	w2, c2 = bits.Add64(w2, h10, c1)
	w3 += c2
	if frac == 64 {
		return u128{w2, w1}, w0 == 0, w3 == 0
	}
	return u128{w2<<32 | w1>>32, w1<<32 | w0>>32}, w0<<32 == 0, w3 == 0 && w2>>32 == 0
}

// div returns x·2^frac / y rounded down, and whether y is not 0 and 128 bits hold the quotient.
func (x u128) div(y u128, frac uint) (q u128, ok bool) {
	if y == (u128{}) {
		return u128{}, false
	}
	// Long division, a bit at a time: the epoch divides once for each neuron.
	var rest u128
	for i := range 128 + frac {
		var in uint64
		if i < 128 {
			in = x.hi >> 63
			x = u128{x.hi<<1 | x.lo>>63, x.lo << 1}
		}
		if q.hi>>63 != 0 {
			return u128{}, false
		}
		q = u128{q.hi<<1 | q.lo>>63, q.lo << 1}
		over := rest.hi >> 63 // rest·2 has 129 bits, and is above y
		rest = u128{rest.hi<<1 | rest.lo>>63, rest.lo<<1 | in}
		if over != 0 || !rest.less(y) {
			rest, _ = rest.add(y.neg())
			q.lo |= 1
		}
	}
	return q, true
}

// mulSigned128 and divSigned128 are mul and div in two's complement: a product is rounded towards
// minus infinity, a quotient towards zero.

func mulSigned128(x, y u128, frac uint) (u128, bool) {
	a, negX := abs(x)
	b, negY := abs(y)
	p, exact, ok := a.mul(b, frac)
	if !ok {
		return u128{}, false
	}
	negative := negX != negY
	if negative && !exact {
		var carry uint64
		if p, carry = p.add(u128{0, 1}); carry != 0 {
			return u128{}, false
		}
	}
	if p, ok = signed(p, negative); !ok {
		return u128{}, false
	}
	return p, true
}

func divSigned128(x, y u128, frac uint) (u128, bool) {
	a, negX := abs(x)
	b, negY := abs(y)
	q, ok := a.div(b, frac)
	if !ok {
		return u128{}, false
	}
	if q, ok = signed(q, negX != negY); !ok {
		return u128{}, false
	}
	return q, true
}
