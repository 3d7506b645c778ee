package tlock

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

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

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			c, err := Parse(v.Ciphertext)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := c.Open(drand.Signature(v.Signature))
			if err != nil || !bytes.Equal(plain, v.Plaintext) {
				t.Errorf("opened %x, %v; want %x", plain, err, v.Plaintext)
			}
			sealed, err := SealWith(drand.Quicknet(), v.Round, v.Plaintext, [32]byte(v.Esk), [32]byte(v.Sigma), [12]byte(v.Nonce))
			if err != nil || !bytes.Equal(sealed, v.Ciphertext) {
				t.Errorf("sealed %x, %v", sealed, err)
			}
		})
	}
}
