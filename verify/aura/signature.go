package aura

import (
	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"github.com/oasisprotocol/curve25519-voi/primitives/merlin"
)

// signingContext is the label under which Substrate signs with sr25519.
const signingContext = "substrate"

// A signature is a parsed sr25519 signature: R of 32 bytes, then s of 32, little-endian, whose highest
// bit marks the kind.
type signature struct {
	r []byte
	s scalar.Scalar
}

// parse reads b, and reports whether it is marked as sr25519 and s is reduced: with two forms of s, anybody
// could change a seal and with it the hash of the block.
func (sig *signature) parse(b []byte) bool {
	if len(b) != 64 || b[63]&0x80 == 0 {
		return false
	}
	s := [32]byte(b[32:])
	s[31] &^= 0x80
	sig.r = b[:32]
	_, err := sig.s.SetCanonicalBytes(s[:])
	return err == nil
}

// A publicKey is an authority's point of the group, and the bytes that stand for it.
type publicKey struct {
	id    *AuthorityID
	point curve.RistrettoPoint
}

func (k *publicKey) parse(id *AuthorityID) bool {
	k.id = id
	c := curve.CompressedRistretto(*id)
	_, err := k.point.SetCompressed(&c)
	return err == nil
}

// verify reports whether sig is k's signature of message: whether sB = R + cA, where A is the key and c
// the challenge that the transcript makes of context, message, A and R (schnorrkel).
//
// The library's own package sr25519 answers alike, as the tests see to, but decompresses every key twice, and
// a key serves one header here: that is a tenth of the whole.
func (k *publicKey) verify(message []byte, sig *signature) bool {
	var r curve.RistrettoPoint
	c := curve.CompressedRistretto(sig.r)
	if _, err := r.SetCompressed(&c); err != nil {
		return false
	}
	t := merlin.NewTranscript("SigningContext")
	t.AppendMessage("", []byte(signingContext))
	t.AppendMessage("sign-bytes", message)
	t.AppendMessage("proto-name", []byte("Schnorr-sig"))
	t.AppendMessage("sign:pk", k.id[:])
	t.AppendMessage("sign:R", sig.r)
	var wide [scalar.ScalarWideSize]byte
	t.ExtractBytes(wide[:], "sign:c")
	var challenge scalar.Scalar
	// The length is the only thing that could be wrong.
	_, _ = challenge.SetBytesModOrderWide(wide[:])

	var minus, rest curve.RistrettoPoint
	minus.Neg(&k.point)
	// A multiple, other than by 0, of sB - cA - R.
	return rest.TripleScalarMulBasepointVartime(&challenge, &minus, &sig.s, &r).IsIdentity()
}
