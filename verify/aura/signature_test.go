package aura

import (
	"bytes"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
)

// reference is what the signature library's own sr25519 says.
func reference(id AuthorityID, message, sig []byte) bool {
	var s sr25519.Signature
	var k sr25519.PublicKey
	if s.UnmarshalBinary(sig) != nil || k.UnmarshalBinary(id[:]) != nil {
		return false
	}
	return k.Verify(sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(message), &s)
}

func verifySignature(id AuthorityID, message, sig []byte) bool {
	var s signature
	var k publicKey
	return s.parse(sig) && k.parse(&id) && k.verify(message, &s)
}

// Whatever bit is changed, of a key, a message or a signature, the library's own sr25519 says the same; and
// it too refuses all of them.
func TestSignatureLikeLibrary(t *testing.T) {
	list, ids := authors(t, 2)
	message := verify.Blake2b256([]byte("message"))
	sig := list[0].sign(t, message)
	check := func(what string, bit int, id AuthorityID, message, sig []byte, want bool) {
		t.Helper()
		if got, ref := verifySignature(id, message, sig), reference(id, message, sig); got != want || ref != want {
			t.Errorf("%s, bit %d: %v, library %v; want %v", what, bit, got, ref, want)
		}
	}
	check("as signed", 0, ids[0], message[:], sig, true)
	check("another key", 0, ids[1], message[:], sig, false)
	for bit := range 256 {
		id, m := ids[0], message
		id[bit/8] ^= 1 << (bit % 8)
		m[bit/8] ^= 1 << (bit % 8)
		check("key", bit, id, message[:], sig, false)
		check("message", bit, ids[0], m[:], sig, false)
	}
	for bit := range 512 {
		s := bytes.Clone(sig)
		s[bit/8] ^= 1 << (bit % 8)
		check("signature", bit, ids[0], message[:], s, false)
	}
	for n := range len(sig) {
		check("shortened", 8*n, ids[0], message[:], sig[:n], false)
	}
	// The zero point is a point, as R and as a key; with that key anybody can sign.
	zero := append(make([]byte, 63), 0x80)
	check("zero signature", 0, ids[0], message[:], zero, false)
	check("zero signature of the zero key", 0, AuthorityID{}, message[:], zero, true)
	check("signature of the zero key", 0, AuthorityID{}, message[:], sig, false)
}

// FuzzSignature: what is accepted and what is refused is what the library's own sr25519 accepts and refuses.
func FuzzSignature(f *testing.F) {
	list, ids := authors(f, 2)
	message := verify.Blake2b256([]byte("message"))
	sig := list[0].sign(f, message)
	f.Add(ids[0][:], message[:], sig)
	f.Add(ids[1][:], message[:], sig)
	f.Add(make([]byte, 32), message[:], append(make([]byte, 63), 0x80))
	f.Fuzz(func(t *testing.T, key, message, sig []byte) {
		if len(key) != 32 {
			return
		}
		id := AuthorityID(key)
		if got, want := verifySignature(id, message, sig), reference(id, message, sig); got != want {
			t.Fatalf("key %x, message %x, signature %x: %v, library %v", key, message, sig, got, want)
		}
	})
}
