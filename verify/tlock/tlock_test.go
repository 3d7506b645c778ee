package tlock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify/drand"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

type vector struct {
	Name                                                string
	Esk, Sigma, Nonce, Plaintext, Ciphertext, Signature hexBytes
	Round                                               uint64
}

func load(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func vectors(t testing.TB) []vector {
	t.Helper()
	var f struct{ Vectors []vector }
	load(t, "round1000.json", &f)
	if len(f.Vectors) != 2 {
		t.Fatal("vectors are missing")
	}
	return f.Vectors
}

func finney(t testing.TB) (ciphertext []byte, plaintextLen int) {
	t.Helper()
	var f struct {
		Ciphertext   hexBytes
		PlaintextLen int `json:"plaintext_len"`
	}
	load(t, "finney.json", &f)
	return f.Ciphertext, f.PlaintextLen
}

func parse(t testing.TB, b []byte) *Ciphertext {
	t.Helper()
	c, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func opener(t testing.TB, sig []byte) *Opener {
	t.Helper()
	o, err := NewOpener(drand.Signature(sig))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			c := parse(t, v.Ciphertext)
			if c.PlaintextLen() != len(v.Plaintext) || c.Size() != len(v.Ciphertext) || c.Size() != Overhead+len(v.Plaintext) || string(c.Suite) != "AES_GCM_" {
				t.Errorf("%+v", c)
			}
			for _, open := range []func() ([]byte, error){
				func() ([]byte, error) { return c.Open(drand.Signature(v.Signature)) },
				func() ([]byte, error) { return opener(t, v.Signature).Open(c) },
				func() ([]byte, error) {
					o, err := opener(t, drand.HashToG1(7).BytesCompressed()).With(drand.Signature(v.Signature))
					if err != nil {
						return nil, err
					}
					return o.Open(c)
				},
				func() ([]byte, error) { // made by hand
					return opener(t, v.Signature).Open(&Ciphertext{U: c.U, V: c.V, W: c.W, Body: c.Body, Nonce: c.Nonce})
				},
			} {
				if plain, err := open(); err != nil || !bytes.Equal(plain, v.Plaintext) {
					t.Errorf("opened %x, %v; want %x", plain, err, v.Plaintext)
				}
			}
			sealed, err := SealWith(drand.Quicknet(), v.Round, v.Plaintext, [32]byte(v.Esk), [32]byte(v.Sigma), [12]byte(v.Nonce))
			if err != nil || !bytes.Equal(sealed, v.Ciphertext) {
				t.Errorf("sealed %x, %v", sealed, err)
			}
			secrets := io.MultiReader(bytes.NewReader(v.Esk), bytes.NewReader(v.Sigma), bytes.NewReader(v.Nonce))
			if sealed, err := Seal(drand.Quicknet(), v.Round, v.Plaintext, secrets); err != nil || !bytes.Equal(sealed, v.Ciphertext) {
				t.Errorf("sealed %x, %v", sealed, err)
			}
		})
	}
}

// TestGt compares the encoding of e(G1, G2) with arkworks': the hash of a constant whose first 525
// bytes and whose end are published with aptos' crypto_algebra.
func TestGt(t *testing.T) {
	const want = "ff9912603bb02b77bc6ec1deaeddf9d1fee40ac17a781fb13c9c6e7a9f74d22b"
	h := hashGt(bls12381.Pair(bls12381.G1Generator(), bls12381.G2Generator()))
	if got := hex.EncodeToString(h[:]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFinney(t *testing.T) {
	b, n := finney(t)
	c := parse(t, b)
	if c.PlaintextLen() != n || c.Trailing != 0 || len(c.Rest) != 0 || len(c.Nonce) != 12 || string(c.Suite) != "AES_GCM_" {
		t.Errorf("%+v", c)
	}
	if !bytes.Equal(c.Append(nil), b) {
		t.Error("does not survive")
	}
	if _, err := c.Open(drand.Signature(vectors(t)[0].Signature)); !errors.Is(err, ErrOpen) {
		t.Errorf("opened with the signature of another round: %v", err)
	}
}

// TestTolerated lists what the chain ignores.
func TestTolerated(t *testing.T) {
	v := vectors(t)[1]
	o := opener(t, v.Signature)
	for name, change := range map[string]func(c *Ciphertext) (trailing []byte){
		"trailing bytes":    func(*Ciphertext) []byte { return []byte{1, 2, 3} },
		"another suite":     func(c *Ciphertext) []byte { c.Suite = []byte("ROT13"); return nil },
		"no suite":          func(c *Ciphertext) []byte { c.Suite = nil; return nil },
		"rest of the body":  func(c *Ciphertext) []byte { c.Rest = []byte{7}; return nil },
		"all there is room": func(c *Ciphertext) []byte { return make([]byte, MaxCiphertext-c.Size()) },
	} {
		c := parse(t, v.Ciphertext)
		trailing := change(c)
		b := append(c.Append(nil), trailing...)
		got := parse(t, b)
		if got.Trailing != len(trailing) || got.Size() != len(b)-len(trailing) || !bytes.Equal(got.Append(nil), b[:got.Size()]) {
			t.Errorf("%s: %+v", name, got)
		}
		if plain, err := o.Open(got); err != nil || !bytes.Equal(plain, v.Plaintext) {
			t.Errorf("%s: %x, %v", name, plain, err)
		}
	}
}

func TestContainer(t *testing.T) {
	v := vectors(t)[0]
	c := parse(t, v.Ciphertext)
	for n := range v.Ciphertext {
		if _, err := Parse(v.Ciphertext[:n]); !errors.Is(err, ErrContainer) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := Parse(append(bytes.Clone(v.Ciphertext), make([]byte, MaxCiphertext+1-len(v.Ciphertext))...)); !errors.Is(err, ErrTooLong) {
		t.Errorf("longer than the chain takes: %v", err)
	}
	// Where each length stands, and what the error calls it.
	body := 176 + 8
	lengths := map[int]string{
		96: "V", 136: "W", 176: "body", body: "body: not a timelock container: ciphertext",
		body + 8 + len(c.Body): "body: not a timelock container: nonce", body + 8 + len(c.Body) + 8 + 12: "suite",
	}
	for at, what := range lengths {
		for _, n := range []string{"ffffffffffffffff", "0000000000000080", "ffffffff00000000", "00000000ffffffff", "0000010000000000"} {
			b := bytes.Clone(v.Ciphertext)
			hex.Decode(b[at:], []byte(n))
			if _, err := Parse(b); !errors.Is(err, ErrContainer) || !strings.Contains(err.Error(), what) {
				t.Errorf("length %s at %d: %v", n, at, err)
			}
		}
	}
	for _, at := range []int{96, 136} {
		for _, n := range []int{0, 1, 31, 33, 64} {
			b := bytes.Clone(v.Ciphertext[:at])
			b = appendVec(b, make([]byte, n))
			b = append(b, v.Ciphertext[at+40:]...)
			if _, err := Parse(b); !errors.Is(err, ErrContainer) || !strings.Contains(err.Error(), lengths[at]+" has") {
				t.Errorf("%s of %d bytes: %v", lengths[at], n, err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		first byte
		last  byte
	}{
		{"infinity", 0xc0, 0}, {"infinity with a sign", 0xe0, 0}, {"infinity with a rest", 0xc0, 1},
		{"zero bytes", 0, 0}, {"outside of the subgroup", 0x80, 2}, {"not on the curve", 0x80, 1}, {"too large", 0x9f, 0xff},
	} {
		b := append([]byte{test.first}, make([]byte, 95)...)
		b[95] = test.last
		if _, err := Parse(append(b, v.Ciphertext[96:]...)); !errors.Is(err, ErrContainer) || !strings.Contains(err.Error(), "U:") {
			t.Errorf("U is %s: %v", test.name, err)
		}
		made := *c
		made.U, made.u = [96]byte(b), nil
		if _, err := made.Open(drand.Signature(v.Signature)); !errors.Is(err, ErrContainer) {
			t.Errorf("U is %s, by hand: %v", test.name, err)
		}
	}
}

func TestDamaged(t *testing.T) {
	v := vectors(t)[0]
	o := opener(t, v.Signature)
	// One flipped bit in every byte. In the tolerated parts it changes nothing.
	suite := len(v.Ciphertext) - 8
	for at := range v.Ciphertext {
		b := bytes.Clone(v.Ciphertext)
		b[at] ^= 1 << (at % 8)
		c, err := Parse(b)
		if err == nil {
			_, err = o.Open(c)
		}
		if at >= suite {
			if err != nil {
				t.Errorf("byte %d, of the suite: %v", at, err)
			}
		} else if !errors.Is(err, ErrOpen) && !errors.Is(err, ErrContainer) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for name, change := range map[string]func(c *Ciphertext){
		"negated U":       func(c *Ciphertext) { c.U[0] ^= 0x20 },
		"another U":       func(c *Ciphertext) { c.U = [96]byte(bls12381.G2Generator().BytesCompressed()) },
		"swapped V and W": func(c *Ciphertext) { c.V, c.W = c.W, c.V },
		"nonce too short": func(c *Ciphertext) { c.Nonce = c.Nonce[:11] },
		"nonce too long":  func(c *Ciphertext) { c.Nonce = append(bytes.Clone(c.Nonce), 0) },
		"no nonce":        func(c *Ciphertext) { c.Nonce = nil },
		"no tag":          func(c *Ciphertext) { c.Body = c.Body[:15] },
		"tag alone":       func(c *Ciphertext) { c.Body = c.Body[:16] },
		"no body":         func(c *Ciphertext) { c.Body = nil },
		"a byte more":     func(c *Ciphertext) { c.Body = append(bytes.Clone(c.Body), 0) },
	} {
		c := parse(t, v.Ciphertext)
		change(c)
		c = parse(t, c.Append(nil))
		if plain, err := o.Open(c); !errors.Is(err, ErrOpen) || plain != nil {
			t.Errorf("%s: %x, %v", name, plain, err)
		}
		if n := c.PlaintextLen(); n < 0 {
			t.Errorf("%s: plaintext of %d bytes", name, n)
		}
	}
}

// TestUnrelatedExponent: a key that comes out right does not open if U was not made from it. The chain
// drops such a commitment, so a laxer reader would call it revealed.
func TestUnrelatedExponent(t *testing.T) {
	v := vectors(t)[0]
	key, err := drand.Quicknet().PublicKey.Point()
	if err != nil {
		t.Fatal(err)
	}
	esk, sigma := [32]byte(v.Esk), [32]byte(v.Sigma)
	seal := func(k *bls12381.Scalar) *Ciphertext {
		c := parse(t, v.Ciphertext)
		u := bls12381.G2Generator()
		u.ScalarMult(k, u)
		q := drand.HashToG1(v.Round)
		q.ScalarMult(k, q)
		c.U, c.V, c.u = [96]byte(u.BytesCompressed()), xor(sigma, hashGt(bls12381.Pair(q, key))), u
		return c
	}
	k := exponent(&sigma, &esk)
	if plain, err := seal(k).Open(drand.Signature(v.Signature)); err != nil || !bytes.Equal(plain, v.Plaintext) {
		t.Fatalf("%x, %v", plain, err)
	}
	one := new(bls12381.Scalar)
	one.SetOne()
	k.Add(k, one)
	for _, open := range []func(*Ciphertext) ([]byte, error){
		func(c *Ciphertext) ([]byte, error) { return c.Open(drand.Signature(v.Signature)) }, opener(t, v.Signature).Open,
	} {
		if plain, err := open(seal(k)); !errors.Is(err, ErrOpen) {
			t.Errorf("%x, %v", plain, err)
		}
	}
}

// TestSignature: nothing but the round's signature opens.
func TestSignature(t *testing.T) {
	v := vectors(t)[0]
	c := parse(t, v.Ciphertext)
	round1001, err := hex.DecodeString("b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41")
	if err != nil {
		t.Fatal(err)
	}
	negated := bytes.Clone(v.Signature)
	negated[0] ^= 0x20
	for name, sig := range map[string][]byte{"round 1001": round1001, "negated": negated, "hash of the round": drand.HashToG1(1000).BytesCompressed()} {
		if _, err := c.Open(drand.Signature(sig)); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, sig := range map[string]drand.Signature{"infinity": {0xc0}, "order 3": {0x80}, "zero bytes": {}} {
		if _, err := c.Open(sig); !errors.Is(err, drand.ErrPoint) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewOpener(sig); !errors.Is(err, drand.ErrPoint) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := opener(t, v.Signature).With(sig); !errors.Is(err, drand.ErrPoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// random is a source of secrets for tests.
func random(seed uint64) io.Reader { return rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}) }

func TestSeal(t *testing.T) {
	k := new(bls12381.Scalar)
	k.SetUint64(23)
	k.Inv(k)
	g := bls12381.G2Generator()
	g.ScalarMult(k, g)
	b := drand.Beacon{Name: "test", PublicKey: drand.PublicKey(g.BytesCompressed()), Period: 3}
	for i, n := range []int{0, 1, 16, 59, MaxCiphertext - Overhead} {
		round := uint64(1 + i*1000)
		s := drand.HashToG1(round)
		s.ScalarMult(k, s)
		plain := bytes.Repeat([]byte{0xa5}, n)
		sealed, err := Seal(b, round, plain, random(uint64(i)))
		if err != nil || len(sealed) != n+Overhead {
			t.Fatalf("%d bytes: %d, %v", n, len(sealed), err)
		}
		c := parse(t, sealed)
		got, err := c.Open(drand.Signature(s.BytesCompressed()))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %x, %v", n, got, err)
		}
		again, _ := Seal(b, round, plain, random(uint64(i)+100))
		if d := parse(t, again); d.U == c.U || d.V == c.V || d.W == c.W || bytes.Equal(d.Nonce, c.Nonce) {
			t.Error("other secrets, same header")
		}
	}
	if _, err := Seal(b, 1, make([]byte, MaxCiphertext-Overhead+1), random(0)); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if _, err := Seal(b, 0, nil, random(0)); !errors.Is(err, drand.ErrSignature) {
		t.Error(err)
	}
	if _, err := Seal(b, 1, nil, io.LimitReader(random(0), 75)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	b.PublicKey = drand.PublicKey{0xc0}
	if _, err := Seal(b, 1, nil, random(0)); !errors.Is(err, drand.ErrPublicKey) {
		t.Error(err)
	}
}

func TestExponent(t *testing.T) {
	order := new(big.Int).SetBytes(bls12381.Order())
	rng := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		var sigma, esk [32]byte
		for i := range sigma {
			sigma[i], esk[i] = byte(rng.Uint32()), byte(rng.Uint32())
		}
		h := sha256.Sum256(append(sigma[:], esk[:]...))
		want := new(big.Int).SetBytes(h[:])
		want.Mod(want, order)
		b, _ := exponent(&sigma, &esk).MarshalBinary()
		if got := new(big.Int).SetBytes(b); got.Cmp(want) != 0 {
			t.Fatalf("%x, want %x", got, want)
		}
	}
}
