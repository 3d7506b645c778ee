package drand

import (
	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
)

// A line through points of G2, to be evaluated at a point (x, y) of G1: c + a·x·w² + b·y·w³, where w⁶ is
// 1 + u. It counts but for a factor from Fp2, which the final exponentiation turns into 1.
type line struct{ a, b, c ff.Fp2 }

// loop is the parameter of the curve, up to its sign: the Miller loop doubles for every bit below the
// highest and adds where it is set.
const loop uint64 = 0xd201000000010000

// lines are those of the Miller loop for one point of G2, in the order in which they are met: 63 of
// doublings and 5 of additions. A beacon's key and the generator are the same for all pulses, so this
// part of the pairing is done once.
type lines [68]line

// newLines computes the lines of q, which is of full order: no step meets the point at infinity.
// Coordinates are homogeneous, which takes no division; the formulas are those of Costello, Lange and
// Naehrig, "Faster Pairing Computations on Curves with High-Degree Twists", section 5.
func newLines(q *bls12381.G2) *lines {
	b := q.Bytes()
	var qx, qy, x, y, z, b3 ff.Fp2
	_ = qx.UnmarshalBinary(b) // what the library has encoded it can decode
	_ = qy.UnmarshalBinary(b[ff.Fp2Size:])
	b3[0].SetUint64(12) // three times the 4(1 + u) of the twist
	b3[1].SetUint64(12)
	x, y = qx, qy
	z.SetOne()
	out := new(lines)
	n := 0
	for i := 62; i >= 0; i-- {
		var A, B, C, D, E, F, G, H ff.Fp2
		l := &out[n]
		n++
		A.Sqr(&x)
		B.Sqr(&y)
		C.Sqr(&z)
		D.Mul(&b3, &C) // 3b z²
		E.Mul(&x, &y)
		E.Add(&E, &E) // 2xy
		F.Mul(&y, &z)
		F.Add(&F, &F) // 2yz
		l.a.Add(&A, &A)
		l.a.Add(&l.a, &A) // 3x²
		l.b = F
		l.b.Neg()
		l.c.Sub(&D, &B)
		G.Add(&D, &D)
		G.Add(&G, &D) // 9b z²
		H.Sub(&B, &G)
		x.Mul(&E, &H) // 2xy(y² - 9bz²)
		H.Add(&B, &G)
		H.Sqr(&H)
		D.Sqr(&D)
		D.Add(&D, &D)
		D.Add(&D, &D) // 4(3bz²)²
		y.Sub(&H, &D)
		y.Sub(&y, &D)
		y.Sub(&y, &D) // (y² + 9bz²)² - 12(3bz²)²
		z.Mul(&B, &F)
		z.Add(&z, &z)
		z.Add(&z, &z) // 8y³z
		if loop>>i&1 == 0 {
			continue
		}
		l = &out[n]
		n++
		A.Mul(&qy, &z)
		A.Sub(&y, &A) // y - qy z
		B.Mul(&qx, &z)
		B.Sub(&x, &B) // x - qx z
		l.a = A
		l.a.Neg()
		l.b = B
		l.c.Mul(&A, &qx)
		C.Mul(&B, &qy)
		l.c.Sub(&l.c, &C)
		C.Sqr(&A)
		D.Sqr(&B)
		E.Mul(&B, &D) // B³
		F.Mul(&z, &C) // zA²
		G.Mul(&x, &D) // xB²
		H.Add(&E, &F)
		H.Sub(&H, &G)
		H.Sub(&H, &G) // B³ + zA² - 2xB²
		x.Mul(&B, &H)
		G.Sub(&G, &H)
		G.Mul(&G, &A)
		y.Mul(&y, &E)
		y.Sub(&G, &y)
		z.Mul(&z, &E)
	}
	return out
}

// product returns e(p, P) × e(q, Q), where P and Q have the lines ps and qs. Both loops share their
// squarings, and the final exponentiation.
func product(p *bls12381.G1, ps *lines, q *bls12381.G1, qs *lines) *ff.URoot {
	var f ff.Fp12Cubic
	f.SetOne()
	px, py := coordinates(p)
	qx, qy := coordinates(q)
	n := 0
	for i := 62; i >= 0; i-- {
		f.Sqr(&f)
		for range 1 + loop>>i&1 {
			ps[n].times(&f, &px, &py)
			qs[n].times(&f, &qx, &qy)
			n++
		}
	}
	var g ff.Fp12
	g.FromFp12Cubic(&f)
	g.Cjg() // the parameter is negative
	var c ff.Cyclo6
	e := new(ff.URoot)
	ff.EasyExponentiation(&c, &g)
	ff.HardExponentiation(e, &c)
	return e
}

// times multiplies f by the line at (x, y).
func (l *line) times(f *ff.Fp12Cubic, x, y *ff.Fp) {
	v := ff.LineValue{l.c}
	v[1][0].Mul(&l.a[0], x)
	v[1][1].Mul(&l.a[1], x)
	v[2][0].Mul(&l.b[0], y)
	v[2][1].Mul(&l.b[1], y)
	f.MulLine(f, &v)
}

// coordinates returns those of a point; (0, 0) for the point at infinity, which leaves c of every line
// and so a pairing of 1.
func coordinates(p *bls12381.G1) (x, y ff.Fp) {
	if p.IsIdentity() {
		return x, y
	}
	b := p.Bytes()
	_ = x.UnmarshalBinary(b)
	_ = y.UnmarshalBinary(b[ff.FpSize:])
	return x, y
}
