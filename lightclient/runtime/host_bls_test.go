package runtime

import (
	"bytes"
	"math/big"
	"slices"
	"testing"

	bls "github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"

	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/scale"
)

func arkPoints(ps ...[]byte) []byte {
	b := scale.AppendU64(nil, uint64(len(ps)))
	for _, p := range ps {
		b = append(b, p...)
	}
	return b
}

func pairing(t *testing.T, g1, g2 []byte) []byte {
	t.Helper()
	f := ok(t, answer(t, "ext_host_calls_bls12_381_multi_miller_loop_version_1", "II:I", 0, g1, g2))
	return ok(t, answer(t, "ext_host_calls_bls12_381_final_exponentiation_version_1", "I:I", 0, f))
}

// ok takes the bytes out of Result<Vec<u8>, ()>.
func ok(t *testing.T, b []byte) []byte {
	t.Helper()
	r := scale.NewReader(b)
	if r.Byte() != 0 {
		t.Fatalf("refused: %x", b)
	}
	v := r.Blob(-1)
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	return v
}

func number(n uint64) *bls.Scalar {
	s := new(bls.Scalar)
	s.SetUint64(n)
	return s
}

// reversed is the order of circl, which is the opposite of arkworks'.
func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

// The pairing is the one that another implementation gives.
func TestPairing(t *testing.T) {
	for _, c := range [][2]uint64{{1, 1}, {2, 3}, {0xdead_beef_dead_beef, 77}} {
		var p bls.G1
		var q bls.G2
		p.ScalarMult(number(c[0]), bls.G1Generator())
		q.ScalarMult(number(c[1]), bls.G2Generator())
		want, err := bls.Pair(&p, &q).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if b := pairing(t, arkPoints(p.Bytes()), arkPoints(q.Bytes())); !bytes.Equal(reversed(b), want) {
			t.Errorf("%d, %d: the pairing is another", c[0], c[1])
		}
	}
	one := append([]byte{1}, make([]byte, ff.Fp12Size-1)...)
	infinity := append([]byte{0x40}, make([]byte, 95)...)
	if b := pairing(t, arkPoints(infinity), arkPoints(bls.G2Generator().Bytes())); !bytes.Equal(b, one) {
		t.Error("the pairing of infinity is not one")
	}
	if b := pairing(t, arkPoints(), arkPoints()); !bytes.Equal(b, one) {
		t.Error("the pairing of nothing is not one")
	}
}

// What pallet-drand asks: is e(-signature, g₂)·e(H(round), key) one? The round is one of the League
// of Entropy's quicknet.
func TestPulse(t *testing.T) {
	key, err := drand.Quicknet().PublicKey.Point()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := drand.Signature(unhex("b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39")).Point()
	if err != nil {
		t.Fatal(err)
	}
	sig.Neg()
	one := append([]byte{1}, make([]byte, ff.Fp12Size-1)...)
	for round, valid := range map[uint64]bool{1000: true, 1001: false} {
		b := pairing(t, arkPoints(sig.Bytes(), drand.HashToG1(round).Bytes()), arkPoints(bls.G2Generator().Bytes(), key.Bytes()))
		if bytes.Equal(b, one) != valid {
			t.Errorf("round %d: valid %v", round, !valid)
		}
	}
}

// The final exponentiation is what its name says, worked out the long way: 3(p¹²−1)/r, bit by bit.
func TestFinalExponentiation(t *testing.T) {
	p, r := new(big.Int).SetBytes(ff.FpOrder()), new(big.Int).SetBytes(bls.Order())
	n := new(big.Int).Exp(p, big.NewInt(12), nil)
	n.Sub(n, big.NewInt(1)).Div(n, r).Mul(n, big.NewInt(3))
	in := make([]byte, ff.Fp12Size)
	for i := range in {
		in[i] = byte(i * 7)
		if i%48 == 47 {
			in[i] = 0 // each coefficient below the prime
		}
	}
	var f ff.Fp12
	if err := f.UnmarshalBinary(reversed(in)); err != nil {
		t.Fatal(err)
	}
	var want ff.Fp12
	want.SetOne()
	for i := n.BitLen() - 1; i >= 0; i-- {
		want.Sqr(&want)
		if n.Bit(i) == 1 {
			want.Mul(&want, &f)
		}
	}
	b, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	const name = "ext_host_calls_bls12_381_final_exponentiation_version_1"
	if got := ok(t, answer(t, name, "I:I", 0, in)); !bytes.Equal(reversed(got), b) {
		t.Error("another value")
	}
	for what, in := range map[string][]byte{
		"zero": make([]byte, ff.Fp12Size), "too short": make([]byte, ff.Fp12Size-1), "above the prime": bytes.Repeat([]byte{0xff}, ff.Fp12Size),
	} {
		if got := answer(t, name, "I:I", 0, in); !bytes.Equal(got, []byte{1}) {
			t.Errorf("%s: %x", what, got)
		}
	}
}

func TestMillerLoopRefuses(t *testing.T) {
	g1, g2 := bls.G1Generator().Bytes(), bls.G2Generator().Bytes()
	compressed := slices.Clone(g1)
	compressed[0] |= 0x80
	for what, c := range map[string][2][]byte{
		"no count":           {{}, arkPoints(g2)},
		"more than there is": {scale.AppendU64(nil, 2), arkPoints(g2)},
		"a huge count":       {append(scale.AppendU64(nil, 1<<63), g1...), arkPoints(g2)},
		"compressed":         {arkPoints(compressed), arkPoints(g2)},
		"above the prime":    {arkPoints(append([]byte{0x1f}, bytes.Repeat([]byte{0xff}, 95)...)), arkPoints(g2)},
		"of the other group": {arkPoints(g1), arkPoints(g2[:96])},
	} {
		if b := answer(t, "ext_host_calls_bls12_381_multi_miller_loop_version_1", "II:I", 0, c[0], c[1]); !bytes.Equal(b, []byte{1}) {
			t.Errorf("%s: %x", what, b[:min(len(b), 8)])
		}
	}
}

// Products of points are those that another implementation gives, and the order of the group times
// any point of it is zero.
func TestMulProjective(t *testing.T) {
	one := func(size int) []byte { return append([]byte{1}, make([]byte, size-1)...) }
	limbs := func(be []byte) []byte {
		n := (len(be) + 7) / 8
		b := append(scale.AppendU64(nil, uint64(n)), reversed(be)...)
		return append(b, make([]byte, 8+8*n-len(b))...)
	}
	// affine divides out the third coordinate, of G1.
	affine := func(b []byte) []byte {
		var x, y, z, t ff.Fp
		if err := readArk(b, ff.FpSize, &x, &y, &z); err != nil {
			panic(err)
		}
		z.ExpVarTime(&z, new(big.Int).Sub(new(big.Int).SetBytes(ff.FpOrder()), big.NewInt(2)).Bytes())
		t.Sqr(&z)
		x.Mul(&x, &t)
		t.Mul(&t, &z)
		y.Mul(&y, &t)
		bx, _ := x.MarshalBinary()
		by, _ := y.MarshalBinary()
		return append(bx, by...)
	}
	affine2 := func(b []byte) []byte {
		var x, y, z, t ff.Fp2
		if err := readArk(b, ff.Fp2Size, &x, &y, &z); err != nil {
			panic(err)
		}
		z.Inv(&z)
		t.Sqr(&z)
		x.Mul(&x, &t)
		t.Mul(&t, &z)
		y.Mul(&y, &t)
		bx, _ := x.MarshalBinary()
		by, _ := y.MarshalBinary()
		return append(bx, by...)
	}
	g1, g2 := bls.G1Generator().Bytes(), bls.G2Generator().Bytes()
	p1 := append(append(reversed(g1[:48]), reversed(g1[48:])...), one(48)...)
	p2 := append(append(reversed(g2[:96]), reversed(g2[96:])...), one(96)...)
	const n1, n2 = "ext_host_calls_bls12_381_mul_projective_g1_version_1", "ext_host_calls_bls12_381_mul_projective_g2_version_1"
	for _, k := range []string{"01", "02", "03", "07", "d201000000010000", "1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef"} {
		s := new(bls.Scalar)
		s.SetBytes(unhex(k))
		var w1 bls.G1
		var w2 bls.G2
		w1.ScalarMult(s, bls.G1Generator())
		w2.ScalarMult(s, bls.G2Generator())
		r1 := ok(t, answer(t, n1, "II:I", 0, p1, limbs(unhex(k))))
		if !bytes.Equal(affine(r1), w1.Bytes()) {
			t.Errorf("G1 times %s: another point", k)
		}
		r2 := ok(t, answer(t, n2, "II:I", 0, p2, limbs(unhex(k))))
		if !bytes.Equal(affine2(r2), w2.Bytes()) {
			t.Errorf("G2 times %s: another point", k)
		}
	}
	for what, k := range map[string][]byte{"the order": bls.Order(), "zero": {0}, "no number": nil} {
		zero := append(append(one(48), one(48)...), make([]byte, 48)...)
		if b := ok(t, answer(t, n1, "II:I", 0, p1, limbs(k))); !bytes.Equal(b, zero) {
			t.Errorf("G1 times %s: %x", what, b)
		}
	}
	for what, c := range map[string][2][]byte{
		"a short point": {p1[:143], limbs([]byte{1})}, "a short number": {p1, scale.AppendU64(nil, 1)}, "a huge number": {p1, append(scale.AppendU64(nil, 1<<61), 1)},
	} {
		if b := answer(t, n1, "II:I", 0, c[0], c[1]); !bytes.Equal(b, []byte{1}) {
			t.Errorf("%s: %x", what, b)
		}
	}
}
