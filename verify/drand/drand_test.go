package drand

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"os"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

type recording struct {
	Pulses []struct {
		Round                 uint64
		Signature, Randomness hexBytes
	}
	Bad hexBytes
}

// recorded returns four pulses of quicknet.
func recorded(t testing.TB) (r recording, ps []Pulse) {
	t.Helper()
	b, err := os.ReadFile("testdata/quicknet.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Pulses {
		ps = append(ps, Pulse{p.Round, Signature(p.Signature)})
	}
	if len(ps) != 4 {
		t.Fatal("pulses are missing")
	}
	return r, ps
}

func verifier(t testing.TB, b Beacon) *Verifier {
	t.Helper()
	v, err := NewVerifier(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign returns the beacon of a secret key and its pulses of some rounds.
func sign(key uint64, rounds ...uint64) (Beacon, []Pulse) {
	k := new(bls12381.Scalar)
	k.SetUint64(key)
	k.Inv(k) // spread over all bits
	g := bls12381.G2Generator()
	g.ScalarMult(k, g)
	b := Beacon{Name: "test", PublicKey: PublicKey(g.BytesCompressed()), Period: 3, GenesisTime: 1}
	var ps []Pulse
	for _, round := range rounds {
		s := HashToG1(round)
		s.ScalarMult(k, s)
		ps = append(ps, Pulse{round, Signature(s.BytesCompressed())})
	}
	return b, ps
}

func TestQuicknet(t *testing.T) {
	r, ps := recorded(t)
	v := verifier(t, Quicknet())
	for i, p := range ps {
		if err := v.Verify(p); err != nil {
			t.Errorf("round %d: %v", p.Round, err)
		}
		if got := p.Randomness(); string(got[:]) != string(r.Pulses[i].Randomness) {
			t.Errorf("round %d: randomness %x", p.Round, got)
		}
	}
	if err := v.VerifyAll(ps); err != nil {
		t.Error(err)
	}
}

// TestHashToG1 compares with what two other libraries make of the round.
func TestHashToG1(t *testing.T) {
	const want = "8f5a32d53837b00fbc0ee31ce9966435a41c5188a80ce9934d3c80588b6ad6f643ebda1b83ef89e44da9ced6205cdecf"
	if got := hex.EncodeToString(HashToG1(1000).BytesCompressed()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for round, ends := range map[uint64][2]string{
		1000: {"f652498d", "0a3"}, 1001: {"ce43c335", "fc8afd"}, 1002: {"da9e9bdf", "f1c1b18c"}, 2000: {"59796265", "89d52c2"},
	} {
		id := Identity(round)
		if got := hex.EncodeToString(id[:]); got[:8] != ends[0] || got[64-len(ends[1]):] != ends[1] {
			t.Errorf("round %d: %s", round, got)
		}
	}
}

// affine is a point of the curve y² = x³ + 4 over Fp, whether or not it is in the subgroup.
type affine struct{ x, y *big.Int }

var prime = new(big.Int).SetBytes(ff.FpOrder())

func (p affine) plus(q affine) affine {
	d := new(big.Int).Sub(q.x, p.x)
	l := new(big.Int).Sub(q.y, p.y)
	l.Mul(l, d.ModInverse(d.Mod(d, prime), prime))
	x := new(big.Int).Mul(l, l)
	x.Sub(x.Sub(x, p.x), q.x)
	x.Mod(x, prime)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, l)
	y.Sub(y, p.y)
	return affine{x, y.Mod(y, prime)}
}

func (p affine) encode() (s Signature) {
	p.x.FillBytes(s[:])
	s[0] |= 0x80
	if new(big.Int).Lsh(p.y, 1).Cmp(prime) > 0 {
		s[0] |= 0x20
	}
	return s
}

func decode(t *testing.T, s Signature) affine {
	t.Helper()
	p, err := s.Point()
	if err != nil {
		t.Fatal(err)
	}
	b := p.Bytes()
	a := affine{new(big.Int).SetBytes(b[:48]), new(big.Int).SetBytes(b[48:])}
	if a.encode() != s {
		t.Fatal("the test encodes points wrongly")
	}
	return a
}

func TestForged(t *testing.T) {
	r, ps := recorded(t)
	v := verifier(t, Quicknet())
	good := ps[0]
	neg := good
	neg.Signature[0] ^= 0x20
	double := decode(t, good.Signature).plus(decode(t, ps[1].Signature))
	// (0, 2) has order 3: the pairing does not see it, only a check of the subgroup does.
	small := decode(t, good.Signature).plus(affine{big.NewInt(0), big.NewInt(2)})
	_, other := sign(7, good.Round)
	tests := []struct {
		name string
		p    Pulse
		want error
	}{
		{"wrong round", Pulse{1001, good.Signature}, ErrSignature},
		{"round 0", Pulse{0, good.Signature}, ErrSignature},
		{"highest round", Pulse{math.MaxUint64, good.Signature}, ErrSignature},
		{"other beacon", other[0], ErrSignature},
		{"negated", neg, ErrSignature},
		{"sum of two", Pulse{1000, double.encode()}, ErrSignature},
		{"the chain's bad pulse", Pulse{1000, Signature(r.Bad)}, ErrPoint},
		{"infinity", Pulse{1000, Signature{0xc0}}, ErrPoint},
		{"infinity with a sign", Pulse{1000, Signature{0xe0}}, ErrPoint},
		{"infinity with a rest", Pulse{1000, Signature{0: 0xc0, 47: 1}}, ErrPoint},
		{"infinity, not compressed", Pulse{1000, Signature{0x40}}, ErrPoint},
		{"zero bytes", Pulse{1000, Signature{}}, ErrPoint},
		{"order 3", Pulse{1000, Signature{0x80}}, ErrPoint},
		{"order 3, negated", Pulse{1000, Signature{0xa0}}, ErrPoint},
		{"good and order 3", Pulse{1000, small.encode()}, ErrPoint},
		{"p as coordinate", Pulse{1000, affine{prime, new(big.Int)}.encode()}, ErrPoint},
	}
	for _, flag := range []byte{0x80, 0x40} {
		p := good
		p.Signature[0] ^= flag
		tests = append(tests, struct {
			name string
			p    Pulse
			want error
		}{"flag", p, ErrPoint})
	}
	for _, test := range tests {
		if err := v.Verify(test.p); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		err := v.VerifyAll([]Pulse{ps[1], test.p, ps[2]})
		if c := new(CulpritError); !errors.As(err, &c) || c.Index != 1 || !errors.Is(err, test.want) {
			t.Errorf("%s in a batch: %v", test.name, err)
		}
	}
	for i := range good.Signature { // one bit of each byte
		bit := 8*i + i%8
		p := good
		p.Signature[i] ^= 1 << (i % 8)
		if err := v.Verify(p); !errors.Is(err, ErrPoint) && !errors.Is(err, ErrSignature) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
	}
}

// TestCanonical: adding p to a coordinate gives the same number modulo p, and no second encoding.
func TestCanonical(t *testing.T) {
	g := bls12381.G1Generator()
	limit := new(big.Int).Lsh(big.NewInt(1), 381)
	for p := *g; ; p.Add(&p, g) {
		s := Signature(p.BytesCompressed())
		a := decode(t, s)
		if a.x.Add(a.x, prime).Cmp(limit) < 0 {
			if s = a.encode(); s[0]&0x80 == 0 {
				t.Fatal("no room for the flags")
			}
			if _, err := s.Point(); !errors.Is(err, ErrPoint) {
				t.Errorf("%v: %v", s, err)
			}
			return
		}
	}
}

func TestPublicKey(t *testing.T) {
	good := Quicknet().PublicKey
	flip := func(i int, mask byte) PublicKey {
		k := good
		k[i] ^= mask
		return k
	}
	for name, k := range map[string]PublicKey{
		"zero":           {},
		"infinity":       {0xc0},
		"not compressed": flip(0, 0x80),
		"as infinity":    flip(0, 0x40),
		"one bit off":    flip(95, 1),
		"too large":      flip(0, 0x1c),
		// x = 2: on the curve over Fp2, as 2³ + 4 + 4u is a square, and outside of the subgroup.
		"outside of the subgroup": {0: 0x80, 95: 2},
	} {
		b := Quicknet()
		b.PublicKey = k
		if _, err := NewVerifier(b); !errors.Is(err, ErrPublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The negated key is a key, but not quicknet's.
	_, ps := recorded(t)
	b := Quicknet()
	b.PublicKey = flip(0, 0x20)
	if err := verifier(t, b).Verify(ps[0]); !errors.Is(err, ErrSignature) {
		t.Error(err)
	}
}

func TestTime(t *testing.T) {
	q := Quicknet()
	for _, test := range []struct {
		b     Beacon
		round uint64
		time  uint64
		ok    bool
	}{
		{q, 0, 0, false},
		{q, 1, 1692803367, true},
		{q, 2, 1692803370, true},
		{q, 32340463, 1789824753, true}, // 2026-09-19 13:32:33
		{q, (math.MaxUint64-1692803367)/3 + 1, math.MaxUint64 - (math.MaxUint64-1692803367)%3, true},
		{q, (math.MaxUint64-1692803367)/3 + 2, 0, false},
		{q, math.MaxUint64, 0, false},
		{Beacon{Period: 1 << 63, GenesisTime: 5}, 2, 1<<63 + 5, true},
		{Beacon{Period: 1 << 63, GenesisTime: 5}, 3, 0, false},
		{Beacon{Period: 0, GenesisTime: 5}, math.MaxUint64, 5, true},
	} {
		got, ok := test.b.Time(test.round)
		if got != test.time || ok != test.ok {
			t.Errorf("round %d: %d, %v; want %d, %v", test.round, got, ok, test.time, test.ok)
		}
		if ok && test.b.Period > 0 {
			for _, late := range []uint64{0, 1, 2} {
				if got+late < got {
					continue
				}
				if r := test.b.RoundAt(got + late); r != test.round {
					t.Errorf("%d s after round %d: round %d", late, test.round, r)
				}
			}
			if r := test.b.RoundAt(got - 1); r != test.round-1 {
				t.Errorf("before round %d: round %d", test.round, r)
			}
		}
	}
	if r := q.RoundAt(0); r != 0 {
		t.Errorf("before genesis: %d", r)
	}
	if r := (Beacon{Period: 1}).RoundAt(math.MaxUint64); r != math.MaxUint64 {
		t.Errorf("at the end of time: %d", r)
	}
	if r := (Beacon{}).RoundAt(5); r != 0 {
		t.Errorf("without a period: %d", r)
	}
}
