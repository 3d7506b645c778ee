package runtime

import (
	"errors"
	"slices"

	"github.com/cloudflare/circl/ecc/bls12381/ff"

	"github.com/taolight/taolight/verify/scale"
)

// The host functions over BLS12-381 that pallet-drand calls, directly and by way of arkworks
// (sp_crypto_ec_utils::bls12_381 as of polkadot-sdk stable2412 and its forks; later ones renamed the
// multiplications and are not imported by a runtime of this chain that is known here).
//
// Points in a Vec are as arkworks has them for this curve: big-endian coordinates without
// compression, the flags of Zcash in the first byte. All else is arkworks' own: little-endian, the
// lower coefficient first. Reversed, that is the order of circl's encodings. As the host of a node
// does, none of these functions looks whether a point is on the curve or in the group.
//
// The values are those of the group. How arkworks represents a projective point, and the factor from
// a subfield that a Miller loop may have, are followed in their formulas (ark-ec 0.4,
// models/bls12/g2.rs and models/short_weierstrass/group.rs); no test here can see them, and a runtime
// that works on a point or a pairing cannot either.
var blsFunctions = map[string]hostFunction{
	"ext_host_calls_bls12_381_multi_miller_loop_version_1": {"II:I", func(c *call, s []uint64) {
		f, err := millerLoop(c, c.bytes(s[0]), c.bytes(s[1]))
		s[0] = c.arkResult(f, err)
	}},
	"ext_host_calls_bls12_381_final_exponentiation_version_1": {"I:I", func(c *call, s []uint64) {
		f, err := finalExponentiation(c.bytes(s[0]))
		s[0] = c.arkResult(f, err)
	}},
	"ext_host_calls_bls12_381_mul_projective_g1_version_1": {"II:I", func(c *call, s []uint64) {
		p, err := mulProjective[ff.Fp](c, c.bytes(s[0]), c.bytes(s[1]), ff.FpSize)
		s[0] = c.arkResult(p, err)
	}},
	"ext_host_calls_bls12_381_mul_projective_g2_version_1": {"II:I", func(c *call, s []uint64) {
		p, err := mulProjective[ff.Fp2](c, c.bytes(s[0]), c.bytes(s[1]), ff.Fp2Size)
		s[0] = c.arkResult(p, err)
	}},
}

// arkResult is Result<Vec<u8>, ()>.
func (c *call) arkResult(b []byte, err error) uint64 {
	if err != nil {
		return c.give([]byte{1})
	}
	return c.give(scale.AppendBlob([]byte{0}, b))
}

var errArk = errors.New("not as arkworks encodes it")

// decoder is a field element that is read big-endian, the higher coefficient first.
type decoder interface{ UnmarshalBinary([]byte) error }

// readArk reads little-endian elements of the same size.
func readArk(b []byte, size int, into ...decoder) error {
	if len(b) < size*len(into) {
		return errArk
	}
	for i, d := range into {
		e := slices.Clone(b[i*size:][:size])
		slices.Reverse(e)
		if err := d.UnmarshalBinary(e); err != nil {
			return err
		}
	}
	return nil
}

// appendArk appends an element that is encoded big-endian.
func appendArk(b, e []byte) []byte {
	e = slices.Clone(e)
	slices.Reverse(e)
	return append(b, e...)
}

// points reads a Vec of points: their number in 8 bytes, and two coordinates each. It calls f with
// the two, or with none for the point at infinity.
func points(b []byte, size int, f func(xy ...[]byte) error) error {
	r := scale.NewReader(b)
	n := r.U64()
	if r.Err() != nil || n > uint64(r.Len()/(2*size)) {
		return errArk
	}
	for range n {
		p := slices.Clone(r.Bytes(2 * size))
		flags := p[0]
		p[0] &= 0x1f
		var err error
		switch {
		case flags&0x80 != 0: // compressed
			err = errArk
		case flags&0x40 != 0: // infinity
			err = f()
		default:
			err = f(p[:size], p[size:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type g1Affine struct{ x, y ff.Fp }
type g2Affine struct{ x, y ff.Fp2 }

// millerLoop is the product of the Miller loops of pairs of points.
func millerLoop(c *call, a, b []byte) ([]byte, error) {
	var ps []*g1Affine // nil: infinity
	if err := points(a, ff.FpSize, func(xy ...[]byte) error {
		var p *g1Affine
		if xy != nil {
			p = new(g1Affine)
			if err := errors.Join(p.x.UnmarshalBinary(xy[0]), p.y.UnmarshalBinary(xy[1])); err != nil {
				return err
			}
		}
		ps = append(ps, p)
		return nil
	}); err != nil {
		return nil, err
	}
	var qs []*g2Affine
	if err := points(b, ff.Fp2Size, func(xy ...[]byte) error {
		var q *g2Affine
		if xy != nil {
			q = new(g2Affine)
			if err := errors.Join(q.x.UnmarshalBinary(xy[0]), q.y.UnmarshalBinary(xy[1])); err != nil {
				return err
			}
		}
		qs = append(qs, q)
		return nil
	}); err != nil {
		return nil, err
	}
	var product ff.Fp12
	product.SetOne()
	for i := range min(len(ps), len(qs)) {
		if ps[i] != nil && qs[i] != nil {
			c.overdue()
			f := miller(ps[i], qs[i])
			product.Mul(&product, f)
		}
	}
	out, err := product.MarshalBinary()
	return appendArk(nil, out), err
}

// blsX is the absolute value of the curve's parameter, which is negative.
const blsX = 0xd201000000010000

// miller is the Miller loop of one pair, over homogeneous coordinates on the twist.
func miller(p *g1Affine, q *g2Affine) *ff.Fp12 {
	r := jacobian[ff.Fp2]{x: q.x, y: q.y}
	r.z.SetOne()
	f := new(ff.Fp12)
	f.SetOne()
	half := half()
	for bit := uint64(1) << 62; bit > 0; bit >>= 1 {
		f.Sqr(f)
		line(f, p, doubleStep(&r, &half))
		if blsX&bit != 0 {
			line(f, p, addStep(&r, q))
		}
	}
	f.Cjg() // its inverse, but for what the final exponentiation takes away
	return f
}

// half is 1/2 in Fp2.
func half() (h ff.Fp2) {
	h.SetOne()
	h.Add(&h, &h)
	h.Inv(&h)
	return h
}

// line multiplies f by a line at p: ℓ₀ + ℓ₁·x·v + ℓ₂·y·v·w.
func line(f *ff.Fp12, p *g1Affine, l [3]ff.Fp2) {
	for i, c := range []*ff.Fp{&p.x, &p.y} {
		l[1+i][0].Mul(&l[1+i][0], c)
		l[1+i][1].Mul(&l[1+i][1], c)
	}
	f.Mul(f, &ff.Fp12{{l[0], l[1], ff.Fp2{}}, {ff.Fp2{}, l[2], ff.Fp2{}}})
}

func doubleStep(r *jacobian[ff.Fp2], half *ff.Fp2) [3]ff.Fp2 {
	var a, b, c, e, f, g, h, i, j, t ff.Fp2
	a.Mul(&r.x, &r.y)
	a.Mul(&a, half)
	b.Sqr(&r.y)
	c.Sqr(&r.z)
	t.Add(&c, &c)
	t.Add(&t, &c)
	e.Add(&t, &t)
	e.Add(&e, &e)
	e.MulBeta() // 3c times the twist's coefficient, 4(1+u)
	f.Add(&e, &e)
	f.Add(&f, &e)
	g.Add(&b, &f)
	g.Mul(&g, half)
	h.Add(&r.y, &r.z)
	h.Sqr(&h)
	t.Add(&b, &c)
	h.Sub(&h, &t)
	i.Sub(&e, &b)
	j.Sqr(&r.x)
	e.Sqr(&e)
	t.Sub(&b, &f)
	r.x.Mul(&a, &t)
	r.y.Sqr(&g)
	t.Add(&e, &e)
	t.Add(&t, &e)
	r.y.Sub(&r.y, &t)
	r.z.Mul(&b, &h)
	t.Add(&j, &j)
	t.Add(&t, &j)
	h.Neg()
	return [3]ff.Fp2{i, t, h}
}

func addStep(r *jacobian[ff.Fp2], q *g2Affine) [3]ff.Fp2 {
	var theta, lambda, c, d, e, f, g, h, j, t ff.Fp2
	t.Mul(&q.y, &r.z)
	theta.Sub(&r.y, &t)
	t.Mul(&q.x, &r.z)
	lambda.Sub(&r.x, &t)
	c.Sqr(&theta)
	d.Sqr(&lambda)
	e.Mul(&lambda, &d)
	f.Mul(&r.z, &c)
	g.Mul(&r.x, &d)
	h.Add(&e, &f)
	h.Sub(&h, &g)
	h.Sub(&h, &g)
	r.x.Mul(&lambda, &h)
	t.Mul(&e, &r.y)
	r.y.Sub(&g, &h)
	r.y.Mul(&r.y, &theta)
	r.y.Sub(&r.y, &t)
	r.z.Mul(&r.z, &e)
	j.Mul(&theta, &q.x)
	t.Mul(&lambda, &q.y)
	j.Sub(&j, &t)
	theta.Neg()
	return [3]ff.Fp2{j, theta, lambda}
}

// finalExponentiation raises to 3(p¹²−1)/r: the three is of the formula that both arkworks and circl
// take (eprint 2020/875).
func finalExponentiation(b []byte) ([]byte, error) {
	var f ff.Fp12
	if err := readArk(b, ff.Fp12Size, &f); err != nil {
		return nil, err
	}
	if f.IsZero() == 1 {
		return nil, errArk // it has no inverse
	}
	var g ff.Cyclo6
	var u ff.URoot
	ff.EasyExponentiation(&g, &f)
	ff.HardExponentiation(&u, &g)
	out, err := u.MarshalBinary()
	return appendArk(nil, out), err
}

// jacobian is a point in three coordinates of a field: x/z² and y/z³ where a group is meant, x/z and
// y/z in the Miller loop.
type jacobian[F any] struct{ x, y, z F }

// element is what is needed of a field.
type element[F any] interface {
	*F
	decoder
	MarshalBinary() ([]byte, error)
	Add(x, y *F)
	Sub(x, y *F)
	Mul(x, y *F)
	Sqr(x *F)
	IsZero() int
}

// mulProjective multiplies a point by a number of any length, most significant bit first.
func mulProjective[F any, P element[F]](c *call, point, scalar []byte, size int) ([]byte, error) {
	var p, res jacobian[F]
	if err := readArk(point, size, P(&p.x), P(&p.y), P(&p.z)); err != nil {
		return nil, err
	}
	r := scale.NewReader(scalar)
	n := r.U64()
	if r.Err() != nil || n > uint64(r.Len()/8) {
		return nil, errArk
	}
	limbs := make([]uint64, n)
	for i := range limbs {
		limbs[i] = r.U64()
	}
	// arkworks' zero is (1, 1, 0), of which only the last is looked at: z = 0 is zero.
	begun := false
	for i := range slices.Backward(limbs) {
		c.overdue()
		for bit := uint64(1) << 63; bit > 0; bit >>= 1 {
			if begun {
				double[F, P](&res)
			}
			if limbs[i]&bit == 0 {
				continue
			}
			if begun {
				add[F, P](&res, &p)
			} else {
				res, begun = p, true
			}
		}
	}
	if !begun || P(&res.z).IsZero() == 1 {
		one := make([]byte, size)
		one[size-1] = 1
		if err := errors.Join(P(&res.x).UnmarshalBinary(one), P(&res.y).UnmarshalBinary(one)); err != nil {
			return nil, err
		}
	}
	var out []byte
	for _, e := range []P{&res.x, &res.y, &res.z} {
		b, err := e.MarshalBinary()
		if err != nil {
			return nil, err
		}
		out = appendArk(out, b)
	}
	return out, nil
}

// double doubles a point of a curve y² = x³ + b (dbl-2009-l of the Explicit-Formulas Database).
func double[F any, P element[F]](p *jacobian[F]) {
	var a, b, c, d, e, f F
	P(&a).Sqr(&p.x)
	P(&b).Sqr(&p.y)
	P(&c).Sqr(&b)
	P(&d).Add(&p.x, &b)
	P(&d).Sqr(&d)
	P(&d).Sub(&d, &a)
	P(&d).Sub(&d, &c)
	P(&d).Add(&d, &d)
	P(&e).Add(&a, &a)
	P(&e).Add(&e, &a)
	P(&f).Sqr(&e)
	P(&p.z).Mul(&p.z, &p.y)
	P(&p.z).Add(&p.z, &p.z)
	P(&p.x).Sub(&f, &d)
	P(&p.x).Sub(&p.x, &d)
	P(&p.y).Sub(&d, &p.x)
	P(&p.y).Mul(&p.y, &e)
	for range 3 {
		P(&c).Add(&c, &c)
	}
	P(&p.y).Sub(&p.y, &c)
}

// add adds q to p (add-2007-bl).
func add[F any, P element[F]](p, q *jacobian[F]) {
	if P(&q.z).IsZero() == 1 {
		return
	}
	if P(&p.z).IsZero() == 1 {
		*p = *q
		return
	}
	var pp, qq, u1, u2, s1, s2, h, i, j, r, v F
	P(&pp).Sqr(&p.z)
	P(&qq).Sqr(&q.z)
	P(&u1).Mul(&p.x, &qq)
	P(&u2).Mul(&q.x, &pp)
	P(&s1).Mul(&p.y, &q.z)
	P(&s1).Mul(&s1, &qq)
	P(&s2).Mul(&q.y, &p.z)
	P(&s2).Mul(&s2, &pp)
	P(&h).Sub(&u2, &u1)
	P(&r).Sub(&s2, &s1)
	if P(&h).IsZero() == 1 && P(&r).IsZero() == 1 {
		double[F, P](p)
		return
	}
	P(&r).Add(&r, &r)
	P(&i).Add(&h, &h)
	P(&i).Sqr(&i)
	P(&j).Mul(&h, &i)
	P(&v).Mul(&u1, &i)
	P(&p.z).Add(&p.z, &q.z)
	P(&p.z).Sqr(&p.z)
	P(&p.z).Sub(&p.z, &pp)
	P(&p.z).Sub(&p.z, &qq)
	P(&p.z).Mul(&p.z, &h)
	P(&p.x).Sqr(&r)
	P(&p.x).Sub(&p.x, &j)
	P(&p.x).Sub(&p.x, &v)
	P(&p.x).Sub(&p.x, &v)
	P(&s1).Mul(&s1, &j)
	P(&s1).Add(&s1, &s1)
	P(&p.y).Sub(&v, &p.x)
	P(&p.y).Mul(&p.y, &r)
	P(&p.y).Sub(&p.y, &s1)
}
