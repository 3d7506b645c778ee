package tlock

import (
	"bytes"
	"testing"
)

// FuzzParse: what is parsed encodes to the same bytes, but for what trails it.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.Ciphertext))
		f.Add(append(bytes.Clone(v.Ciphertext), 1, 2))
		f.Add([]byte(v.Ciphertext[:180]))
	}
	real, _ := finney(f)
	f.Add(real)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		if got := c.Append(nil); !bytes.Equal(got, b[:len(b)-c.Trailing]) || c.Size() != len(got) || c.PlaintextLen() > len(b) {
			t.Fatalf("%x encodes to %x", b, got)
		}
	})
}

// FuzzOpen replaces the parts of a container after U. What still opens is what was sealed: everything
// but the cipher suite and the tolerated rests is authenticated.
func FuzzOpen(f *testing.F) {
	vs := vectors(f)
	o := opener(f, vs[0].Signature)
	plaintexts := make(map[string]bool)
	for _, v := range vs {
		c := parse(f, v.Ciphertext)
		plaintexts[string(v.Plaintext)] = true
		f.Add(c.U[:], c.V[:], c.W[:], c.Body, c.Nonce)
	}
	f.Fuzz(func(t *testing.T, u, v, w, body, nonce []byte) {
		c := &Ciphertext{Body: body, Nonce: nonce}
		copy(c.U[:], u)
		copy(c.V[:], v)
		copy(c.W[:], w)
		if plain, err := o.Open(c); err == nil && !plaintexts[string(plain)] {
			t.Fatalf("opened %x", plain)
		}
	})
}
