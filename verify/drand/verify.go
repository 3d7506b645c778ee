package drand

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// A CulpritError says which of several pulses is the first bad one, and what is wrong with it.
type CulpritError struct {
	Index int
	Err   error
}

func (e *CulpritError) Error() string { return fmt.Sprintf("pulse %d: %v", e.Index, e.Err) }

// Unwrap returns what is wrong with the pulse.
func (e *CulpritError) Unwrap() error { return e.Err }

// A Verifier checks pulses of one beacon; it decodes the key once, and does the key's part of the
// pairing once (40 kB). It may be used by several goroutines at a time.
type Verifier struct {
	beacon         Beacon
	generator, key *lines
}

// NewVerifier returns the verifier of b, or ErrPublicKey.
func NewVerifier(b Beacon) (*Verifier, error) {
	key, err := b.PublicKey.Point()
	if err != nil {
		return nil, fmt.Errorf("beacon %q: %w", b.Name, err)
	}
	return &Verifier{b, newLines(bls12381.G2Generator()), newLines(key)}, nil
}

// Beacon returns whose pulses v checks.
func (v *Verifier) Beacon() Beacon { return v.beacon }

// Verify checks one pulse. ErrPoint: its signature is no signature at all. ErrSignature: it is not
// this beacon's, or not of this round.
func (v *Verifier) Verify(p Pulse) error {
	s, err := point(p)
	if err != nil {
		return err
	}
	if !v.paired(s, HashToG1(p.Round)) {
		return wrong(p)
	}
	return nil
}

func wrong(p Pulse) error { return fmt.Errorf("round %d: %w", p.Round, ErrSignature) }

func point(p Pulse) (*bls12381.G1, error) {
	if p.Round == 0 {
		return nil, fmt.Errorf("%w: rounds begin at 1", wrong(p))
	}
	s, err := p.Signature.Point()
	if err != nil {
		return nil, fmt.Errorf("round %d: signature: %w", p.Round, err)
	}
	return s, nil
}

// paired reports whether e(s, G2) = e(h, key), as one product with one final exponentiation.
func (v *Verifier) paired(s, h *bls12381.G1) bool {
	minus := *h
	minus.Neg()
	return product(s, v.generator, &minus, v.key).IsIdentity() == 1
}

// VerifyAll checks pulses together, in any order and with repetitions, at the price of two pairings
// for all of them. The error is a *CulpritError for the first that Verify refuses, found at the price
// of two more pairings each time the number of suspects is halved. No pulses are good pulses.
func (v *Verifier) VerifyAll(ps []Pulse) error {
	if len(ps) == 1 {
		if err := v.Verify(ps[0]); err != nil {
			return &CulpritError{0, err}
		}
		return nil
	}
	terms := make([]term, 0, len(ps))
	var broken error // what is wrong with the pulse after the last term
	coefficients := v.coefficients(ps)
	for i, p := range ps {
		s, err := point(p)
		if err != nil {
			broken = err
			break
		}
		terms = append(terms, term{newMultiples(s), newMultiples(HashToG1(p.Round)), recode(coefficients(i))})
	}
	if !v.agree(terms) {
		// The sums of both halves add up to the sum of all, so a bad whole with a good left half has a
		// bad right half: it needs no check of its own.
		first := 0
		for len(terms) > 1 {
			left := terms[:len(terms)/2]
			if v.agree(left) {
				first += len(left)
				terms = terms[len(left):]
			} else {
				terms = left
			}
		}
		return &CulpritError{first, wrong(ps[first])}
	}
	if broken != nil {
		return &CulpritError{len(terms), broken}
	}
	return nil
}

// batchTag keeps the hashes below apart from all others.
const batchTag = "taolight/drand/batch/1"

// coefficients returns the coefficient of each pulse, 128 bits of a hash of the key, all rounds, all
// signatures and the index: whoever chooses two bad signatures that cancel must know the coefficients
// beforehand, and any choice changes them. A forgery passes with a chance of 2⁻¹²⁸ for each try.
func (v *Verifier) coefficients(ps []Pulse) func(i int) [16]byte {
	h := sha256.New()
	h.Write([]byte(batchTag))
	h.Write(v.beacon.PublicKey[:])
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(ps)))
	h.Write(b)
	for i := range ps {
		h.Write(binary.LittleEndian.AppendUint64(b[:0], ps[i].Round))
		h.Write(ps[i].Signature[:])
	}
	seed := h.Sum(nil)
	return func(i int) [16]byte {
		d := sha256.Sum256(binary.LittleEndian.AppendUint64(append([]byte(batchTag), seed...), uint64(i)))
		return [16]byte(d[:])
	}
}

// agree reports whether the beacon's key turns the sum of all hashes into the sum of all signatures.
func (v *Verifier) agree(terms []term) bool {
	if len(terms) == 0 {
		return true
	}
	s, h := sums(terms)
	return v.paired(s, h)
}
