package tlock

import (
	"errors"

	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
)

// Flags of a compressed point, as Zcash and arkworks write them.
const (
	flagCompressed = 0x80
	flagInfinity   = 0x40
	flagLarger     = 0x20 // y is the larger of the two
	flags          = flagCompressed | flagInfinity | flagLarger
)

// decodeG2 decodes a point of G2 and checks that it is finite, canonical and of full order. It finds y
// in a third of the library's time and hands both coordinates to the library, which alone decides.
func decodeG2(b *[bls12381.G2SizeCompressed]byte) (*bls12381.G2, error) {
	switch b[0] & flags {
	case flagCompressed, flagCompressed | flagLarger:
	case flagCompressed | flagInfinity:
		// The crate reads it, and then finds no key that fits it.
		return nil, errors.New("the point at infinity")
	default:
		return nil, errors.New("not a compressed point")
	}
	p := new(bls12381.G2)
	if full, ok := decompress(b); ok {
		return p, p.SetBytes(full)
	}
	// No y was found. There is none, or the coordinate is one of the few for which the short way fails.
	return p, p.SetBytes(b[:])
}

// decompress returns the uncompressed form of a finite point on the curve y² = x³ + 4(1 + u).
func decompress(b *[bls12381.G2SizeCompressed]byte) (full []byte, ok bool) {
	full = append(make([]byte, 0, bls12381.G2Size), b[:]...)
	full[0] &^= flags
	var x, y, b4 ff.Fp2
	if x.UnmarshalBinary(full) != nil {
		return nil, false
	}
	b4[0].SetUint64(4)
	b4[1].SetUint64(4)
	y.Sqr(&x)
	y.Mul(&y, &x)
	y.Add(&y, &b4)
	if !sqrt(&y) {
		return nil, false
	}
	if (y.IsNegative() == 1) != (b[0]&flagLarger != 0) {
		y.Neg()
	}
	last, _ := y.MarshalBinary() // never fails
	return append(full, last...), true
}

// sqrt replaces z = a + bu by one of its square roots. It takes two exponentiations in Fp, where the
// library's takes one of twice the length in Fp2. It fails if there is no root, and if b = 0.
//
// With s² = a² + b², a root x + yu has x² = (a + s)/2 and 2xy = b; for the other sign of s,
// y² = -(a + s)/2.
func sqrt(z *ff.Fp2) bool {
	var n, s, w, c, r, check ff.Fp
	n.Sqr(&z[0])
	s.Sqr(&z[1])
	n.Add(&n, &s)
	if s.Sqrt(&n) == 0 {
		return false
	}
	w.Add(&z[0], &s)
	w.Add(&w, &w) // 2(a + s)
	// p = 3 mod 4, so for c = w^((p-3)/4) and r = cw: r² = ±w and 1/r = ±c.
	order := ff.FpOrder()
	c.ExpVarTime(&w, shiftRight(order, 2))
	r.Mul(&c, &w)
	check.Mul(&c, &r)
	var one, half ff.Fp
	one.SetOne()
	_ = half.UnmarshalBinary(shiftRight(order, 1)) // (p-1)/2 is below p
	half.Add(&half, &one)
	var root, square ff.Fp2
	if check.IsEqual(&one) == 1 {
		root[0].Mul(&r, &half)
		root[1].Mul(&z[1], &c)
	} else {
		root[1].Mul(&r, &half)
		root[0].Mul(&z[1], &c)
		root[0].Neg()
	}
	square.Sqr(&root)
	if square.IsEqual(z) == 0 {
		return false
	}
	*z = root
	return true
}

// shiftRight returns the big-endian number b divided by 2^n, n < 8.
func shiftRight(b []byte, n uint) []byte {
	out := make([]byte, len(b))
	carry := byte(0)
	for i, x := range b {
		out[i] = x>>n | carry
		carry = x << (8 - n)
	}
	return out
}

// The comb has teeth that stand gap bits apart, and its table the sum of every set of teeth: a number
// of 255 bits takes gap doublings and as many additions, less than half of what it takes without.
const (
	teeth = 6
	gap   = 43 // 6 × 43 ≥ 255
)

// comb multiplies the generator of G2 in a time that depends on the number: for what is public only.
type comb [1 << teeth]bls12381.G2

func newComb() *comb {
	t := new(comb)
	t[0].SetIdentity()
	tooth := *bls12381.G2Generator()
	for i := range teeth {
		if i > 0 {
			for range gap {
				tooth.Double()
			}
		}
		for j := range 1 << i {
			t[1<<i+j].Add(&t[j], &tooth)
		}
	}
	return t
}

// times returns k × G2.
func (t *comb) times(k *bls12381.Scalar) *bls12381.G2 {
	b, _ := k.MarshalBinary() // never fails
	sum := new(bls12381.G2)
	sum.SetIdentity()
	for i := gap - 1; i >= 0; i-- {
		sum.Double()
		set := 0
		for j := range teeth {
			if at := i + j*gap; at < 8*len(b) {
				set |= int(b[len(b)-1-at/8]>>(at%8)&1) << j
			}
		}
		if set != 0 {
			sum.Add(sum, &t[set])
		}
	}
	return sum
}
