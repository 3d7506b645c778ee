package drand

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// culprit returns the index that VerifyAll's error names, -1 for no error.
func culprit(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return -1
	}
	c := new(CulpritError)
	if !errors.As(err, &c) {
		t.Fatalf("not a CulpritError: %v", err)
	}
	return c.Index
}

func TestCulprit(t *testing.T) {
	b, all := sign(11, 5, 6, 7, 1000, 1, 12, 13, 14)
	v := verifier(t, b)
	if err := v.VerifyAll(nil); err != nil {
		t.Error(err)
	}
	for n := 1; n <= len(all); n++ {
		good := all[:n]
		if err := v.VerifyAll(good); err != nil {
			t.Fatalf("%d good pulses: %v", n, err)
		}
		for i := range n {
			wrong := slices.Clone(good)
			wrong[i].Round += 100
			err := v.VerifyAll(wrong)
			if got := culprit(t, err); got != i || !errors.Is(err, ErrSignature) {
				t.Errorf("%d pulses, number %d wrong: %v", n, i, err)
			}
			if want := fmt.Sprintf("pulse %d: round %d: not the beacon's signature of this round", i, wrong[i].Round); err == nil || err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
			// A broken one behind it is not the first; one before it is.
			if i+1 < n {
				wrong[n-1].Signature = Signature{0xc0}
				if got := culprit(t, v.VerifyAll(wrong)); got != i {
					t.Errorf("%d pulses, number %d wrong and the last one broken: %d", n, i, got)
				}
			}
			if i > 0 {
				wrong[0].Signature = Signature{0x80}
				if err := v.VerifyAll(wrong); culprit(t, err) != 0 || !errors.Is(err, ErrPoint) {
					t.Errorf("%d pulses, the first one broken: %v", n, err)
				}
			}
		}
	}
	if err := v.VerifyAll(append(slices.Clone(all), all...)); err != nil {
		t.Errorf("repeated: %v", err)
	}
}

// TestCancel forges pairs whose errors cancel in a plain sum, and in sums with coefficients that do not
// depend on the signatures.
func TestCancel(t *testing.T) {
	b, good := sign(13, 21, 22, 23, 24)
	v := verifier(t, b)
	shift := func(ps []Pulse, i int, k int64) {
		s, err := ps[i].Signature.Point()
		if err != nil {
			t.Fatal(err)
		}
		d := HashToG1(777)
		d.ScalarMult(scalar(big.NewInt(k)), d)
		s.Add(s, d)
		ps[i].Signature = Signature(s.BytesCompressed())
	}
	for i := range good {
		for j := range good {
			if i == j {
				continue
			}
			bad := slices.Clone(good)
			shift(bad, i, 1)
			shift(bad, j, -1)
			var s, h bls12381.G1
			s.SetIdentity()
			h.SetIdentity()
			for _, p := range bad {
				q, _ := p.Signature.Point()
				s.Add(&s, q)
				h.Add(&h, HashToG1(p.Round))
			}
			if !v.paired(&s, &h) {
				t.Fatal("the forged pair does not cancel")
			}
			if got := culprit(t, v.VerifyAll(bad)); got != min(i, j) {
				t.Errorf("%d and %d: culprit %d", i, j, got)
			}
		}
	}
	// The coefficients of the good batch, known beforehand, do not help.
	c := v.coefficients(good)
	bad := slices.Clone(good)
	for i, k := range []*big.Int{number(c(1)), new(big.Int).Neg(number(c(0)))} {
		s, _ := bad[i].Signature.Point()
		d := HashToG1(777)
		d.ScalarMult(scalar(k), d)
		s.Add(s, d)
		bad[i].Signature = Signature(s.BytesCompressed())
	}
	if got := culprit(t, v.VerifyAll(bad)); got != 0 {
		t.Errorf("chosen for the coefficients of other signatures: culprit %d", got)
	}
	// Signatures of one another's rounds: their sum is right.
	swapped := slices.Clone(good)
	swapped[1].Signature, swapped[2].Signature = good[2].Signature, good[1].Signature
	if got := culprit(t, v.VerifyAll(swapped)); got != 1 {
		t.Errorf("swapped: culprit %d", got)
	}
}

// TestAgree: a batch is good exactly if every pulse of it is.
func TestAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b, good := sign(17, 31, 32, 33, 34, 35)
	_, other := sign(18, 31, 32, 33, 34, 35)
	v := verifier(t, b)
	for range 40 {
		var ps []Pulse
		want := -1
		for range 1 + rng.IntN(6) {
			i := rng.IntN(len(good))
			p := good[i]
			switch rng.IntN(12) {
			case 0:
				p = other[i]
			case 1:
				p.Signature[rng.IntN(48)] ^= 1 << rng.IntN(8)
			case 2:
				p.Round = 0
			}
			if v.Verify(p) != nil && want < 0 {
				want = len(ps)
			}
			ps = append(ps, p)
		}
		if got := culprit(t, v.VerifyAll(ps)); got != want {
			t.Errorf("%v: culprit %d, want %d", ps, got, want)
		}
	}
}

func TestCoefficients(t *testing.T) {
	b, ps := sign(19, 41, 42)
	v := verifier(t, b)
	base := v.coefficients(ps)(0)
	if base == v.coefficients(ps)(1) {
		t.Error("the same for each pulse")
	}
	if base != v.coefficients(slices.Clone(ps))(0) {
		t.Error("not the same again")
	}
	round, signature := slices.Clone(ps), slices.Clone(ps)
	round[1].Round++
	signature[1].Signature[47] ^= 1
	b.PublicKey[0] ^= 0x20
	for name, c := range map[string]func(int) [16]byte{
		"round": v.coefficients(round), "signature": v.coefficients(signature),
		"number": v.coefficients(ps[:1]), "key": verifier(t, b).coefficients(ps),
	} {
		if c(0) == base {
			t.Errorf("does not depend on the %s", name)
		}
	}
}

func number(c [16]byte) *big.Int {
	slices.Reverse(c[:])
	return new(big.Int).SetBytes(c[:])
}

func scalar(k *big.Int) *bls12381.Scalar {
	s := new(bls12381.Scalar)
	s.SetBytes(new(big.Int).Mod(k, new(big.Int).SetBytes(bls12381.Order())).Bytes())
	return s
}

func coefficientsToTry() [][16]byte {
	rng := rand.New(rand.NewPCG(3, 4))
	cs := [][16]byte{{}, {1}, {15: 0x80}, {0: 8}, {0: 7}, {0: 9}, {7: 0xff}, {8: 1}}
	var ones [16]byte
	for i := range ones {
		ones[i] = 0xff
	}
	cs = append(cs, ones)
	for range 200 {
		var c [16]byte
		for i := range c {
			c[i] = byte(rng.Uint32())
			if rng.IntN(4) == 0 {
				c[i] = 0xff
			}
		}
		cs = append(cs, c)
	}
	return cs
}

func TestRecode(t *testing.T) {
	for _, c := range coefficientsToTry() {
		sum, last := new(big.Int), -window
		for i, d := range recode(c) {
			if d == 0 {
				continue
			}
			if d%2 == 0 || d >= 1<<(window-1) || d <= -1<<(window-1) || i-last < window {
				t.Errorf("%x: digit %d at %d, the last one at %d", c, d, i, last)
			}
			last = i
			sum.Add(sum, new(big.Int).Lsh(big.NewInt(int64(d)), uint(i)))
		}
		want := number(c)
		if c == ([16]byte{}) {
			want.SetUint64(1)
		}
		if sum.Cmp(want) != 0 {
			t.Errorf("%x: digits of %x", c, sum)
		}
	}
}

// TestSums compares with one multiplication per term.
func TestSums(t *testing.T) {
	cs := coefficientsToTry()[1:]
	for n := range 5 {
		var terms []term
		var s, h bls12381.G1
		s.SetIdentity()
		h.SetIdentity()
		for i, c := range cs[n*7 : n*7+n] {
			p, q := HashToG1(uint64(i+1)), HashToG1(uint64(i+100))
			terms = append(terms, term{newMultiples(p), newMultiples(q), recode(c)})
			p.ScalarMult(scalar(number(c)), p)
			q.ScalarMult(scalar(number(c)), q)
			s.Add(&s, p)
			h.Add(&h, q)
		}
		if gotS, gotH := sums(terms); !gotS.IsEqual(&s) || !gotH.IsEqual(&h) {
			t.Errorf("%d terms: wrong sum", n)
		}
	}
}
