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

// div returns x·2^frac / y rounded down, and whether y is not 0 and 128 bits hold the quotient. frac is 32
// or 64.
func (x u128) div(y u128, frac uint) (q u128, ok bool) {
	// The dividend, in words n3 … n0, and the divisor moved up so that its first bit is set: the school's
	// long division, a word at a time (Knuth, The Art of Computer Programming 4.3.1, algorithm D).
	var n3 uint64
	n2, n1, n0 := x.hi, x.lo, uint64(0)
	if frac == 32 {
		n2, n1, n0 = x.hi>>32, x.hi<<32|x.lo>>32, x.lo<<32
	}
	if y.hi == 0 {
		if n2 >= y.lo { // or y is 0
			return u128{}, false
		}
		q.hi, n1 = bits.Div64(n2, n1, y.lo)
		q.lo, _ = bits.Div64(n1, n0, y.lo)
		return q, true
	}
	s := uint(bits.LeadingZeros64(y.hi))
	y = u128{y.hi<<s | y.lo>>(64-s), y.lo << s}
	n3, n2, n1, n0 = n2>>(64-s), n2<<s|n1>>(64-s), n1<<s|n0>>(64-s), n0<<s
	var rest u128
	q.hi, rest = quotient(n3, n2, n1, y)
	q.lo, _ = quotient(rest.hi, rest.lo, n0, y)
	return q, true
}

// quotient divides three words by y, whose first bit is set and which is more than the first two.
func quotient(n2, n1, n0 uint64, y u128) (q uint64, rest u128) {
	q = 1<<64 - 1
	if n2 < y.hi {
		q, _ = bits.Div64(n2, n1, y.hi)
	}
	// That is at most 2 too many.
	p1, p0 := bits.Mul64(q, y.lo)
	p2, low := bits.Mul64(q, y.hi)
	p1, carry := bits.Add64(p1, low, 0)
	p2 += carry
	r0, borrow := bits.Sub64(n0, p0, 0)
	r1, borrow := bits.Sub64(n1, p1, borrow)
	r2, borrow := bits.Sub64(n2, p2, borrow)
	for borrow != 0 {
		q--
		r0, carry = bits.Add64(r0, y.lo, 0)
		r1, carry = bits.Add64(r1, y.hi, carry)
		r2, carry = bits.Add64(r2, 0, carry)
		borrow -= carry
	}
	return q, u128{r1, r0}
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
