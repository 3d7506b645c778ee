package grandpa

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// MaxEvidenceSize bounds the encoding of evidence, in bytes.
const MaxEvidenceSize = 2 * MaxJustificationSize

// ErrNoConflict: two proofs given as conflicting finalize blocks of one chain, or one of them is
// not shown to lie on another.
var ErrNoConflict = errors.New("no conflict")

// A Proof is one side of a conflict: a header, the justification that makes it final, and, if it is
// the higher of the two, headers of its ancestors.
type Proof struct {
	Header        *verify.Header
	Justification *Justification
	// Ancestry holds the parent of Header, the parent of that, and so on, down to the block just
	// above the other side's height. Empty on the lower side, and if Header is that block itself.
	Ancestry []*verify.Header
}

// Evidence is a proof that the authorities of one set made two chains final: that at least a third
// of them signed both, against the rules, and that finality can be trusted no more. It says that
// there are two; it does not say which is the chain.
//
//	set_id u64 | Low | High, each: Header | GrandpaJustification | Vec<Header>
type Evidence struct {
	SetID uint64
	// Low is the proof of the lower block; of two of one height, the one with the smaller hash.
	Low, High Proof
}

// NewEvidence returns two proofs as evidence, in whatever order they come, after checking it as
// Evidence.Verify does. ErrNoConflict says that both finalize one chain.
func NewEvidence(set *AuthoritySet, a, b Proof) (*Evidence, error) {
	if a.Header == nil || b.Header == nil || a.Justification == nil || b.Justification == nil {
		return nil, fmt.Errorf("evidence: %w: a side is missing", ErrTarget)
	}
	if !ordered(&a, &b) {
		a, b = b, a
	}
	e := &Evidence{SetID: set.ID, Low: a, High: b}
	// The higher side's headers may reach further down than is needed, and the lower may have
	// come with some of its own: one fact has one form.
	e.Low.Ancestry = nil
	if need := int64(b.Header.Number) - int64(a.Header.Number) - 1; need >= 0 && int64(len(b.Ancestry)) > need {
		e.High.Ancestry = b.Ancestry[:need]
	} else if need < 0 {
		e.High.Ancestry = nil
	}
	if err := e.Verify(set); err != nil {
		return nil, err
	}
	return e, nil
}

// ordered reports whether a stands before b: lower number, then smaller hash.
func ordered(a, b *Proof) bool {
	if a.Header.Number != b.Header.Number {
		return a.Header.Number < b.Header.Number
	}
	x, y := a.Header.Hash(), b.Header.Hash()
	return bytes.Compare(x[:], y[:]) < 0
}

// Verify checks that e proves two conflicting finalities under set: that both justifications are
// for their headers and valid, and that High does not descend from Low.
func (e *Evidence) Verify(set *AuthoritySet) error {
	if err := e.verify(set); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}

func (e *Evidence) verify(set *AuthoritySet) error {
	if e.SetID != set.ID {
		return fmt.Errorf("%w: for set %d, not %d", ErrSetID, e.SetID, set.ID)
	}
	// Headers first: signatures cost more.
	for _, p := range []*Proof{&e.Low, &e.High} {
		c := &p.Justification.Commit
		if hash := p.Header.Hash(); c.TargetHash != hash || c.TargetNumber != p.Header.Number {
			return fmt.Errorf("%w: justification of block %d, %v, beside header %d, %v", ErrTarget, c.TargetNumber, c.TargetHash, p.Header.Number, hash)
		}
	}
	low, high := &e.Low, &e.High
	if !ordered(low, high) {
		return fmt.Errorf("%w: the same block twice, or in the wrong order", ErrNoConflict)
	}
	if len(low.Ancestry) != 0 {
		return fmt.Errorf("%w: below block %d", ErrUnusedAncestry, low.Header.Number)
	}
	if high.Header.Number > low.Header.Number {
		child := high.Header
		for i, h := range high.Ancestry {
			if child.Number == low.Header.Number+1 {
				return fmt.Errorf("ancestry header %d: %w", i, ErrUnusedAncestry)
			}
			if h.Hash() != child.ParentHash || h.Number != child.Number-1 {
				return fmt.Errorf("ancestry header %d: %w: not the parent of block %d", i, ErrAncestry, child.Number)
			}
			child = h
		}
		if child.Number != low.Header.Number+1 {
			return fmt.Errorf("%w: it ends at block %d, not %d", ErrAncestry, child.Number, low.Header.Number+1)
		}
		if child.ParentHash == low.Justification.Commit.TargetHash {
			return fmt.Errorf("%w: block %d descends from block %d", ErrNoConflict, high.Header.Number, low.Header.Number)
		}
	} else if len(high.Ancestry) != 0 {
		return fmt.Errorf("%w: both blocks have number %d", ErrUnusedAncestry, low.Header.Number)
	}
	if err := low.Justification.Verify(set); err != nil {
		return fmt.Errorf("block %d: %w", low.Header.Number, err)
	}
	if err := high.Justification.Verify(set); err != nil {
		return fmt.Errorf("block %d: %w", high.Header.Number, err)
	}
	return nil
}

// Voters returns the authorities that signed both sides, in the order of the lower side's votes:
// more than a third of the weight, in evidence that verifies.
func (e *Evidence) Voters() []AuthorityID {
	high := make(map[AuthorityID]bool)
	for i := range e.High.Justification.Commit.Precommits {
		high[e.High.Justification.Commit.Precommits[i].ID] = true
	}
	var both []AuthorityID
	for i := range e.Low.Justification.Commit.Precommits {
		if id := e.Low.Justification.Commit.Precommits[i].ID; high[id] {
			both = append(both, id)
			delete(high, id)
		}
	}
	return both
}

// DecodeEvidence decodes evidence that takes the whole of b. Only its form is judged.
func DecodeEvidence(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidenceSize {
		return nil, fmt.Errorf("evidence: %w: %d bytes, at most %d allowed", scale.ErrRange, len(b), MaxEvidenceSize)
	}
	r := scale.NewReader(b)
	var headers headerReader
	e := &Evidence{SetID: r.U64(), Low: readProof(r, &headers), High: readProof(r, &headers)}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return e, nil
}

func readProof(r *scale.Reader, headers *headerReader) Proof {
	return Proof{Header: headers.one(r), Justification: readJustification(r, headers), Ancestry: headers.list(r, MaxAncestry)}
}

// Append appends the SCALE encoding of e.
func (e *Evidence) Append(b []byte) []byte {
	b = scale.AppendU64(b, e.SetID)
	for _, p := range []*Proof{&e.Low, &e.High} {
		b = p.Header.Append(b)
		b = p.Justification.Append(b)
		b = appendHeaders(b, p.Ancestry)
	}
	return b
}
