package tlock

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// Sizes in bytes.
const (
	// MaxCiphertext is the most that the chain takes as a commitment (pallets/subtensor/src/lib.rs,
	// MAX_CRV3_COMMIT_SIZE_BYTES).
	MaxCiphertext = 5000
	// Overhead is by how much a container is longer than its plaintext.
	Overhead = 244

	keySize   = 32 // of V, W and the AES key
	nonceSize = 12
	tagSize   = 16
)

// cipherSuite is the only suite there is. The chain writes it and never looks at it.
const cipherSuite = "AES_GCM_"

// Errors of this package.
var (
	// ErrContainer: the bytes are not a container.
	ErrContainer = errors.New("not a timelock container")
	// ErrOpen: the ciphertext was not sealed for this signature, or it is damaged.
	ErrOpen = errors.New("cannot be opened")
	// ErrTooLong: the ciphertext is longer than the chain takes.
	ErrTooLong = errors.New("too long for a commitment")
)

// A Ciphertext is a parsed container. Its slices alias what it was parsed from.
type Ciphertext struct {
	U     [bls12381.G2SizeCompressed]byte
	V, W  [keySize]byte
	Body  []byte // AES-256-GCM ciphertext and tag
	Nonce []byte // 12 bytes, or it cannot be opened
	Rest  []byte // what follows the nonce inside the body; the chain ignores it
	Suite []byte // name of the cipher suite; the chain ignores it
	// Trailing is how many bytes followed the container; the chain ignores them, and Append leaves
	// them out.
	Trailing int

	u *bls12381.G2
}

// reader takes fields from the front of a container; the first error sticks.
type reader struct {
	b     []byte
	total int
	err   error
}

func (r *reader) bytes(n uint64, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(len(r.b)) {
		r.err = fmt.Errorf("%w: %s: %d bytes at offset %d, %d are left", ErrContainer, what, n, r.total-len(r.b), len(r.b))
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

// vec reads a Vec<u8> as arkworks writes it, with a length of 8 bytes.
func (r *reader) vec(what string) []byte {
	n := r.bytes(8, what+" length")
	if r.err != nil {
		return nil
	}
	return r.bytes(binary.LittleEndian.Uint64(n), what)
}

// key reads V or W. The crate takes any length and never opens one that is not 32.
func (r *reader) key(dst *[keySize]byte, what string) {
	p := r.vec(what)
	if r.err == nil && len(p) != keySize {
		r.err = fmt.Errorf("%w: %s has %d bytes, not %d", ErrContainer, what, len(p), keySize)
		return
	}
	copy(dst[:], p)
}

// Parse reads a container. ErrContainer, with the field, for what nobody could open with any
// signature; ErrTooLong above MaxCiphertext. U is checked to be a point of G2 of full order.
func Parse(b []byte) (*Ciphertext, error) {
	if len(b) > MaxCiphertext {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(b), MaxCiphertext)
	}
	c := new(Ciphertext)
	r := &reader{b: b, total: len(b)}
	copy(c.U[:], r.bytes(uint64(len(c.U)), "U"))
	r.key(&c.V, "V")
	r.key(&c.W, "W")
	body := r.vec("body")
	c.Suite = r.vec("suite")
	if r.err != nil {
		return nil, r.err
	}
	c.Trailing = len(r.b)
	inner := &reader{b: body, total: len(body)}
	c.Body = inner.vec("ciphertext")
	c.Nonce = inner.vec("nonce")
	c.Rest = inner.b
	if inner.err != nil {
		return nil, fmt.Errorf("body: %w", inner.err)
	}
	// The expensive check comes last.
	u, err := c.point()
	if err != nil {
		return nil, err
	}
	c.u = u
	return c, nil
}

// point returns U decoded.
func (c *Ciphertext) point() (*bls12381.G2, error) {
	if c.u != nil {
		return c.u, nil
	}
	u, err := decodeG2(&c.U)
	if err != nil {
		return nil, fmt.Errorf("%w: U: %w", ErrContainer, err)
	}
	return u, nil
}

// Size returns the length of the container in bytes, without what trails it.
func (c *Ciphertext) Size() int {
	return len(c.U) + 2*(8+keySize) + 8 + c.bodySize() + 8 + len(c.Suite)
}

func (c *Ciphertext) bodySize() int { return 8 + len(c.Body) + 8 + len(c.Nonce) + len(c.Rest) }

// PlaintextLen returns how many bytes opening gives, if it gives any.
func (c *Ciphertext) PlaintextLen() int { return max(0, len(c.Body)-tagSize) }

// Append appends the container, without what trails it.
func (c *Ciphertext) Append(b []byte) []byte {
	b = append(b, c.U[:]...)
	b = appendVec(b, c.V[:])
	b = appendVec(b, c.W[:])
	b = binary.LittleEndian.AppendUint64(b, uint64(c.bodySize()))
	b = appendVec(b, c.Body)
	b = appendVec(b, c.Nonce)
	b = append(b, c.Rest...)
	return appendVec(b, c.Suite)
}

func appendVec(b, p []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(p))), p...)
}
