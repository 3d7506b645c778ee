package tlock

import (
	"math/rand/v2"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
)

// TestDecodeG2 compares with the library alone, on points of the group, on points of the curve outside
// of it, and on what is no point.
func TestDecodeG2(t *testing.T) {
	check := func(b [96]byte) (found bool) {
		t.Helper()
		want := new(bls12381.G2)
		wantErr := want.SetBytes(b[:])
		got, err := decodeG2(&b)
		if (err == nil) != (wantErr == nil) || err == nil && !got.IsEqual(want) {
			t.Errorf("%x: %v, want %v", b, err, wantErr)
		}
		_, found = decompress(&b)
		return found
	}
	p := *bls12381.G2Generator()
	for range 60 {
		b := [96]byte(p.BytesCompressed())
		if !check(b) {
			t.Errorf("%x: the short way finds no root", b)
		}
		b[0] ^= 0x20
		check(b)
		b[0] ^= 0xa0
		check(b)
		p.Double()
	}
	onCurve := 0
	for i := range 200 {
		b := [96]byte{0: 0x80 | byte(i&1)<<5, 48: byte(i % 3), 95: byte(i / 2)}
		if check(b) {
			onCurve++
		}
		check([96]byte{0: byte(i), 1: byte(i)})
	}
	if onCurve < 50 {
		t.Errorf("only %d of 200 on the curve", onCurve)
	}
}

func TestSqrt(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	random := func() (z ff.Fp2) {
		for i := range z {
			b := make([]byte, 64)
			for j := range b {
				b[j] = byte(rng.Uint32())
			}
			z[i].SetBytes(b)
		}
		return z
	}
	roots := 0
	for range 100 {
		z := random()
		var square, want ff.Fp2
		square.Sqr(&z)
		got := square
		if !sqrt(&got) {
			t.Fatalf("no root of %v", square)
		}
		if neg := z; got.IsEqual(&z) == 0 {
			if neg.Neg(); got.IsEqual(&neg) == 0 {
				t.Fatalf("%v is no root of %v", got, square)
			}
		}
		got = z
		if has := want.Sqrt(&z) == 1; has != sqrt(&got) {
			t.Fatalf("%v: root %v", z, has)
		} else if has {
			roots++
		}
	}
	if roots < 20 || roots > 80 {
		t.Errorf("%d of 100 numbers have roots", roots)
	}
}

func TestComb(t *testing.T) {
	table := newComb()
	var ks []bls12381.Scalar
	for _, n := range []uint64{0, 1, 2, 63, 64, 1 << 43, 1<<43 - 1, 1 << 63} {
		var k, neg bls12381.Scalar
		k.SetUint64(n)
		neg = k
		neg.Neg()
		ks = append(ks, k, neg)
	}
	rng := rand.New(rand.NewPCG(9, 10))
	for range 30 {
		var k bls12381.Scalar
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		k.SetBytes(b)
		ks = append(ks, k)
	}
	for i := range ks {
		want := new(bls12381.G2)
		want.ScalarMult(&ks[i], bls12381.G2Generator())
		if got := table.times(&ks[i]); !got.IsEqual(want) {
			t.Errorf("%v × G2 is wrong", ks[i])
		}
	}
}
