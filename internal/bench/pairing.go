package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/cloudflare/circl/ecc/bls12381"
	gnark "github.com/consensys/gnark-crypto/ecc/bls12-381"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/tlock"
)

// scheme is the suite that drand hashes rounds to G1 with.
const scheme = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"

// pairings measures what a beacon's pulses and the reveals of a subnet cost. The other library's
// pairing is several times as fast on amd64, where its field is written in assembly, and it has no
// guarantee of constant time: its figures say what the structure of the work makes up for.
func pairings() ([]row, error) {
	const most = 64
	const rounds = 3 // validators of a subnet aim at the same block, and each by its own clock
	b, pulses := beacon(most)
	v, err := drand.NewVerifier(b)
	if err != nil {
		return nil, err
	}
	if err := v.VerifyAll(pulses); err != nil {
		return nil, err
	}
	theirs, err := newRival(b)
	if err != nil {
		return nil, err
	}
	signature := pulses[0].Signature
	var sealed [most][]byte
	for i := range sealed {
		// As long as the payload of 64 weights.
		if sealed[i], err = tlock.Seal(b, pulses[i%rounds].Round, bytes.Repeat([]byte{byte(i)}, 300), &endless{i: i}); err != nil {
			return nil, err
		}
	}
	point, err := signature.Point()
	if err != nil {
		return nil, err
	}
	open := func(n int) {
		must(v.VerifyAll(pulses[:rounds]))
		o, err := tlock.NewOpener(signature)
		must(err)
		for round, p := range pulses[:rounds] {
			o, err := o.With(p.Signature)
			must(err)
			for i := round; i < n; i += rounds {
				c, err := tlock.Parse(sealed[i])
				must(err)
				_, err = o.Open(c)
				must(err)
			}
		}
	}
	t := race(
		func() { bls12381.Pair(point, bls12381.G2Generator()) },
		func() { must(v.Verify(pulses[0])) },
		func() { must(theirs.verify(pulses[0])) },
		func() { must(v.VerifyAll(pulses[:8])) },
		func() { must(v.VerifyAll(pulses)) },
		func() {
			c, err := tlock.Parse(sealed[0])
			must(err)
			_, err = c.Open(signature)
			must(err)
		},
		func() { must(theirs.open(sealed[0], signature)) },
		func() { open(12) },
		func() { open(most) },
	)
	pair, pulse, pulseTheirs, eight, all, single, singleTheirs := t[0], t[1], t[2], t[3], t[4], t[5], t[6]
	rows := []row{
		ratio("pulse / gnark-crypto", "—", 0, pulse, pulseTheirs),
		ratio("opening a commitment / gnark-crypto", "—", 0, single, singleTheirs),
		{figure: "pulse, N = 1", budget: "—", measured: fmt.Sprintf("%d µs each, %.1f × one pairing", pulse.Microseconds(), float64(pulse)/float64(pair)), ok: true},
		each("pulse, N = 8 / N = 1", 0.45, eight, 8, pulse),
		each("pulse, N = 64 / N = 1", 0.3, all, most, pulse),
	}
	for i, n := range []int{12, most} {
		alone := rounds*pulse + time.Duration(n)*single
		r := ratio(fmt.Sprintf("%d reveals in %d rounds, with pulses / one by one", n, rounds), "≤ 0.95", 0.95, t[7+i], alone)
		r.measured += fmt.Sprintf(", %d pairings, %.1f × one pairing", n+2, float64(t[7+i])/float64(pair))
		rows = append(rows, r)
	}
	return rows, nil
}

// ratio is the row of two times; most = 0 for no budget.
func ratio(figure, budget string, most float64, ours, other time.Duration) row {
	r := float64(ours) / float64(other)
	return row{figure: figure, budget: budget, measured: fmt.Sprintf("%.2f  (%v, %v)", r, ours, other), ok: most == 0 || r <= most}
}

func each(figure string, most float64, all time.Duration, n int, one time.Duration) row {
	r := float64(all) / float64(n) / float64(one)
	return row{
		figure: figure, budget: fmt.Sprintf("≤ %.2f", most),
		measured: fmt.Sprintf("%.2f  (%d µs each)", r, (all / time.Duration(n)).Microseconds()), ok: r <= most,
	}
}

// beacon returns one with a key of its own and its first n pulses.
func beacon(n int) (drand.Beacon, []drand.Pulse) {
	seed := verify.Blake2b256([]byte("beacon"))
	k := new(bls12381.Scalar)
	k.SetBytes(seed[:])
	key := bls12381.G2Generator()
	key.ScalarMult(k, key)
	b := drand.Beacon{Name: "bench", PublicKey: drand.PublicKey(key.BytesCompressed()), Period: 3, GenesisTime: 1}
	pulses := make([]drand.Pulse, n)
	for i := range pulses {
		s := drand.HashToG1(uint64(i + 1))
		s.ScalarMult(k, s)
		pulses[i] = drand.Pulse{Round: uint64(i + 1), Signature: drand.Signature(s.BytesCompressed())}
	}
	return b, pulses
}

// endless gives the same secrets in every run.
type endless struct{ i, n int }

func (e *endless) Read(p []byte) (int, error) {
	e.n++
	h := verify.Blake2b256(fmt.Appendf(nil, "secret %d %d", e.i, e.n))
	return copy(p, h[:]), nil
}

// A rival does the same work with the other library, key and generators decoded beforehand.
type rival struct {
	key, generator, negated gnark.G2Affine
	order                   *big.Int
}

func newRival(b drand.Beacon) (*rival, error) {
	r := &rival{order: new(big.Int).SetBytes(bls12381.Order())}
	if _, err := r.key.SetBytes(b.PublicKey[:]); err != nil {
		return nil, err
	}
	_, _, _, r.generator = gnark.Generators()
	r.negated.Neg(&r.generator)
	return r, nil
}

func (r *rival) verify(p drand.Pulse) error {
	var s gnark.G1Affine
	if _, err := s.SetBytes(p.Signature[:]); err != nil {
		return err
	}
	id := drand.Identity(p.Round)
	h, err := gnark.HashToG1(id[:], []byte(scheme))
	if err != nil {
		return err
	}
	ok, err := gnark.PairingCheck([]gnark.G1Affine{s, h}, []gnark.G2Affine{r.negated, r.key})
	if err == nil && !ok {
		err = fmt.Errorf("gnark-crypto refuses the pulse")
	}
	return err
}

// open takes the layout of the container for granted: it would cost next to nothing.
func (r *rival) open(b []byte, signature drand.Signature) error {
	var s gnark.G1Affine
	if _, err := s.SetBytes(signature[:]); err != nil {
		return err
	}
	var u, check gnark.G2Affine
	if _, err := u.SetBytes(b[:96]); err != nil {
		return err
	}
	k, err := gnark.Pair([]gnark.G1Affine{s}, []gnark.G2Affine{u})
	if err != nil {
		return err
	}
	gt := k.Bytes()
	slices.Reverse(gt[:])
	mask := sha256.Sum256(gt[:])
	var both [64]byte
	for i := range 32 {
		both[i] = b[104+i] ^ mask[i]
	}
	mask = sha256.Sum256(both[:32])
	for i := range 32 {
		both[32+i] = b[144+i] ^ mask[i]
	}
	exponent := sha256.Sum256(both[:])
	n := new(big.Int).SetBytes(exponent[:])
	if check.ScalarMultiplicationBase(n.Mod(n, r.order)); !check.Equal(&u) {
		return fmt.Errorf("gnark-crypto finds another U")
	}
	block, err := aes.NewCipher(both[32:])
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	end := len(b) - 16
	_, err = aead.Open(nil, b[end-12:end], b[192:end-20], nil)
	return err
}
