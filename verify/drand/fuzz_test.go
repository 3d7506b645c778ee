package drand

import (
	"bytes"
	"testing"
)

// FuzzDecodeStored: what is decoded encodes to the same bytes, and its pulse is not quicknet's unless
// it was recorded: the fuzzer does not have the key.
func FuzzDecodeStored(f *testing.F) {
	_, ps := recorded(f)
	v := verifier(f, Quicknet())
	known := make(map[Pulse]bool)
	for _, p := range ps {
		known[p] = true
		r := p.Randomness()
		f.Add(Stored{p.Round, r[:], p.Signature[:]}.Append(nil))
		f.Add(Stored{p.Round, nil, append([]byte("0x"), p.Signature[:]...)}.Append(nil))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeStored(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, s.Append(nil))
		}
		p, err := s.Pulse()
		if err != nil {
			return
		}
		if v.Verify(p) == nil && !known[p] {
			t.Fatalf("%v accepted", p)
		}
		if err := v.VerifyAll([]Pulse{ps[0], p}); (err == nil) != known[p] {
			t.Fatalf("in a batch: %v", err)
		}
	})
}

// FuzzPoint: a signature or key that is decoded has this one encoding, and is finite.
func FuzzPoint(f *testing.F) {
	r, ps := recorded(f)
	key := Quicknet().PublicKey
	for _, p := range ps {
		f.Add(p.Signature[:])
	}
	f.Add([]byte(r.Bad))
	f.Add(key[:])
	f.Add(bytes.Repeat([]byte{0xc0}, 1))
	f.Add(bytes.Repeat([]byte{0xff}, 96))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Signature
		copy(s[:], b)
		if p, err := s.Point(); err == nil && (p.IsIdentity() || !bytes.Equal(p.BytesCompressed(), s[:])) {
			t.Fatalf("%x is %x", s, p.BytesCompressed())
		}
		var k PublicKey
		copy(k[:], b)
		if p, err := k.Point(); err == nil && (p.IsIdentity() || !bytes.Equal(p.BytesCompressed(), k[:])) {
			t.Fatalf("%x is %x", k, p.BytesCompressed())
		}
	})
}
