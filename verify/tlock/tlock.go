package tlock

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"slices"

	"github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify/drand"
)

// An Opener opens ciphertexts of one round. Decoding the signature and what else the ciphertexts
// share is done once. It may be used by several goroutines at a time.
type Opener struct {
	signature *bls12381.G1
	generator *comb // nil: one ciphertext does not pay for a table
}

// NewOpener returns the opener of a round's signature, or drand.ErrPoint. The signature opens what was
// sealed for its round under its beacon, and no other: whether it is a beacon's at all is not asked
// (drand.Verifier).
func NewOpener(sig drand.Signature) (*Opener, error) {
	o, err := newOpener(sig)
	if err != nil {
		return nil, err
	}
	o.generator = newComb()
	return o, nil
}

// With returns the opener of another round. It shares with o what does not depend on the round, which
// is most of what NewOpener does.
func (o *Opener) With(sig drand.Signature) (*Opener, error) {
	other, err := newOpener(sig)
	if err != nil {
		return nil, err
	}
	other.generator = o.generator
	return other, nil
}

func newOpener(sig drand.Signature) (*Opener, error) {
	s, err := sig.Point()
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	return &Opener{signature: s}, nil
}

// Open opens c with a round's signature. For two or more ciphertexts an Opener is cheaper.
func (c *Ciphertext) Open(sig drand.Signature) ([]byte, error) {
	o, err := newOpener(sig)
	if err != nil {
		return nil, err
	}
	return o.Open(c)
}

// times returns k × G2; k is public.
func (o *Opener) times(k *bls12381.Scalar) *bls12381.G2 {
	if o.generator != nil {
		return o.generator.times(k)
	}
	p := new(bls12381.G2)
	p.ScalarMult(k, bls12381.G2Generator())
	return p
}

// Open returns the plaintext. ErrOpen if c was sealed for another round or beacon, or was damaged.
func (o *Opener) Open(c *Ciphertext) ([]byte, error) {
	u, err := c.point()
	if err != nil {
		return nil, err
	}
	if len(c.Nonce) != nonceSize {
		return nil, fmt.Errorf("%w: nonce of %d bytes", ErrOpen, len(c.Nonce))
	}
	sigma := xor(c.V, hashGt(bls12381.Pair(o.signature, u)))
	esk := xor(c.W, sha256.Sum256(sigma[:]))
	if !o.times(exponent(&sigma, &esk)).IsEqual(u) {
		return nil, fmt.Errorf("%w: the signature does not fit", ErrOpen)
	}
	aead, err := gcm(&esk)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOpen, err)
	}
	plain, err := aead.Open(nil, c.Nonce, c.Body, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: the body is damaged", ErrOpen)
	}
	return plain, nil
}

// Seal returns the container of plaintext for a round of b. rand gives 76 bytes of secrets (key,
// sigma and nonce, in this order), which must be used for nothing else. ErrTooLong for a plaintext of
// more than MaxCiphertext - Overhead bytes.
func Seal(b drand.Beacon, round uint64, plaintext []byte, rand io.Reader) ([]byte, error) {
	var secrets [2*keySize + nonceSize]byte
	if _, err := io.ReadFull(rand, secrets[:]); err != nil {
		return nil, fmt.Errorf("randomness: %w", err)
	}
	return SealWith(b, round, plaintext, [keySize]byte(secrets[:]), [keySize]byte(secrets[keySize:]), [nonceSize]byte(secrets[2*keySize:]))
}

// SealWith is Seal with the secrets given: the AES key esk, the seed sigma of everything else in the
// header, and the nonce. The crate derives sigma from a random scalar; to whoever opens, any 32 bytes
// are the same. Two different plaintexts under one set of secrets give both away.
func SealWith(b drand.Beacon, round uint64, plaintext []byte, esk, sigma [keySize]byte, nonce [nonceSize]byte) ([]byte, error) {
	if len(plaintext) > MaxCiphertext-Overhead {
		return nil, fmt.Errorf("%w: plaintext of %d bytes, at most %d", ErrTooLong, len(plaintext), MaxCiphertext-Overhead)
	}
	if round == 0 {
		return nil, fmt.Errorf("round 0: %w: rounds begin at 1", drand.ErrSignature)
	}
	key, err := b.PublicKey.Point()
	if err != nil {
		return nil, fmt.Errorf("beacon %q: %w", b.Name, err)
	}
	aead, err := gcm(&esk)
	if err != nil {
		return nil, err
	}
	k := exponent(&sigma, &esk)
	u := new(bls12381.G2)
	u.ScalarMult(k, bls12381.G2Generator())
	// e(Q, P)^k = e(kQ, P), and G1 is the cheapest place for the exponent.
	q := drand.HashToG1(round)
	q.ScalarMult(k, q)
	c := &Ciphertext{
		U:     [bls12381.G2SizeCompressed]byte(u.BytesCompressed()),
		V:     xor(sigma, hashGt(bls12381.Pair(q, key))),
		W:     xor(esk, sha256.Sum256(sigma[:])),
		Body:  aead.Seal(nil, nonce[:], plaintext, nil),
		Nonce: nonce[:],
		Suite: []byte(cipherSuite),
	}
	return c.Append(make([]byte, 0, c.Size())), nil
}

// hashGt is H2 of the scheme: SHA-256 of an element of Gt as arkworks writes it, which is circl's
// encoding from back to front.
func hashGt(k *bls12381.Gt) [sha256.Size]byte {
	b, _ := k.MarshalBinary() // never fails
	slices.Reverse(b)
	return sha256.Sum256(b)
}

// exponent is H3 of the scheme: SHA-256 of sigma and the key, a big-endian number, modulo the order of
// the group. It is put together from halves, each below the order by its first byte already, because
// the library reduces longer numbers in a time that depends on them.
func exponent(sigma, esk *[keySize]byte) *bls12381.Scalar {
	both := append(append(make([]byte, 0, 2*keySize), sigma[:]...), esk[:]...)
	h := sha256.Sum256(both)
	var half [bls12381.ScalarSize]byte
	var hi, lo, shift bls12381.Scalar
	copy(half[16:], h[:16])
	_ = hi.UnmarshalBinary(half[:])
	copy(half[16:], h[16:])
	_ = lo.UnmarshalBinary(half[:])
	half = [bls12381.ScalarSize]byte{15: 1} // 2^128
	_ = shift.UnmarshalBinary(half[:])
	hi.Mul(&hi, &shift)
	hi.Add(&hi, &lo)
	return &hi
}

func xor(a, b [keySize]byte) (out [keySize]byte) {
	subtle.XORBytes(out[:], a[:], b[:])
	return out
}

func gcm(key *[keySize]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
