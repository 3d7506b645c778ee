package grandpa

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Our bounds on what a peer may send. A justification of finney has at most 40 precommits (20
// authorities, each twice) and seldom any ancestry.
const (
	// MaxPrecommits allows each of MaxAuthorities to equivocate once.
	MaxPrecommits = 2 * MaxAuthorities
	// MaxAncestry bounds how far precommits may lie above the commit's target.
	MaxAncestry = 1 << 15
	// MaxJustificationSize bounds the encoding of one justification, in bytes.
	MaxJustificationSize = 16 << 20
)

// Errors of finality proofs. They come wrapped with the place.
var (
	// ErrThreshold: the voters' weight does not reach the set's threshold.
	ErrThreshold = errors.New("not enough votes")
	// ErrSignature: a signature is not its voter's for this vote, round and set.
	ErrSignature = errors.New("bad signature")
	// ErrSigner: a signer is not in the authority set.
	ErrSigner = errors.New("signer not in the set")
	// ErrSetID: a message is for another authority set.
	ErrSetID = errors.New("wrong set id")
	// ErrTarget: a vote is not for the target or a block above it, or the header that a proof is
	// for is not its target.
	ErrTarget = errors.New("wrong target")
	// ErrAncestry: the headers given do not connect a vote's target with the commit's.
	ErrAncestry = errors.New("ancestry incomplete")
	// ErrUnusedAncestry: a header of the ancestry is there twice, or connects nothing.
	ErrUnusedAncestry = errors.New("ancestry header not needed")
	// ErrEquivocation: a voter voted more than twice. Two votes prove its fault; more only cost.
	ErrEquivocation = errors.New("more than two votes by one voter")
)

// A Precommit is a signed vote to finalize the target and all before it.
type Precommit struct {
	TargetHash   verify.Hash
	TargetNumber uint32
	Signature    [64]byte // ed25519 over PrecommitPayload
	ID           AuthorityID
}

// precommitSize is the encoded size of a Precommit in a justification.
const precommitSize = 32 + 4 + 64 + 32

// A Commit is a target with the precommits that finalize it.
type Commit struct {
	TargetHash   verify.Hash
	TargetNumber uint32
	Precommits   []Precommit
}

// A Justification is a proof that its commit's target is final, complete but for the authority set
// (sc_consensus_grandpa::GrandpaJustification).
//
//	round u64 | target_hash[32] | target_number u32
//	| Vec<target_hash[32] target_number u32 signature[64] id[32]> | Vec<Header>
type Justification struct {
	Round  uint64
	Commit Commit
	// Ancestry holds the headers above the commit's target that connect it with the precommits'
	// targets, those of the precommits included, in any order.
	Ancestry []*verify.Header
}

// PayloadSize is the size of what a voter signs.
const PayloadSize = 53

// PrecommitPayload returns what a voter signs: tag 1 of finality_grandpa::Message, the target, and
// the round and set id (sp_consensus_grandpa::localized_payload).
func PrecommitPayload(target verify.Hash, number uint32, round, setID uint64) [PayloadSize]byte {
	var p [PayloadSize]byte
	p[0] = 1
	copy(p[1:33], target[:])
	binary.LittleEndian.PutUint32(p[33:], number)
	binary.LittleEndian.PutUint64(p[37:], round)
	binary.LittleEndian.PutUint64(p[45:], setID)
	return p
}

// DecodeJustification decodes a justification that takes the whole of b. Only its form is judged.
func DecodeJustification(b []byte) (*Justification, error) {
	if len(b) > MaxJustificationSize {
		return nil, fmt.Errorf("justification: %w: %d bytes, at most %d allowed", scale.ErrRange, len(b), MaxJustificationSize)
	}
	r := scale.NewReader(b)
	j := ReadJustification(r)
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("justification: %w", err)
	}
	return j, nil
}

// ReadJustification reads a justification from the front of r, whose error it leaves there.
func ReadJustification(r *scale.Reader) *Justification {
	return readJustification(r, new(headerReader))
}

func readJustification(r *scale.Reader, headers *headerReader) *Justification {
	j := &Justification{Round: r.U64()}
	c := &j.Commit
	r.Copy(c.TargetHash[:])
	c.TargetNumber = r.U32()
	if n := r.Count(precommitSize, MaxPrecommits); n > 0 {
		c.Precommits = make([]Precommit, n)
	}
	for i := range c.Precommits {
		p := &c.Precommits[i]
		r.Copy(p.TargetHash[:])
		p.TargetNumber = r.U32()
		r.Copy(p.Signature[:])
		r.Copy(p.ID[:])
	}
	j.Ancestry = headers.list(r, MaxAncestry)
	if r.Err() != nil {
		return nil
	}
	return j
}

// Append appends the SCALE encoding of j.
func (j *Justification) Append(b []byte) []byte {
	c := &j.Commit
	b = scale.AppendU64(b, j.Round)
	b = append(b, c.TargetHash[:]...)
	b = scale.AppendU32(b, c.TargetNumber)
	b = scale.AppendCompact(b, uint64(len(c.Precommits)))
	for i := range c.Precommits {
		p := &c.Precommits[i]
		b = append(b, p.TargetHash[:]...)
		b = scale.AppendU32(b, p.TargetNumber)
		b = append(b, p.Signature[:]...)
		b = append(b, p.ID[:]...)
	}
	return appendHeaders(b, j.Ancestry)
}

// Verify checks that the authorities of set made the commit's target final. The header that j is
// for is the caller's to compare with the target, by hash and number.
//
// The rules are those of sc_consensus_grandpa's justification.rs and finality-grandpa's
// validate_commit, and stricter in five ways: a signer outside the set makes it invalid rather than
// being left out, no voter may vote more than twice, no ancestry header may be there twice, block
// numbers are checked along the ancestry, and every vote must be for the target or a descendant.
// Proofs by honest nodes meet all of these, but for the last: a round in which an authority
// equivocated keeps both its votes, and one may be for a block below the target. Full nodes accept
// such a proof; this function waits for a round without.
//
// On the other hand the target need not be the highest block that the votes finalize, as full nodes
// demand: a block that has the threshold is final, whatever else is.
func (j *Justification) Verify(set *AuthoritySet) error {
	if err := j.verify(set); err != nil {
		return fmt.Errorf("justification: %w", err)
	}
	return nil
}

func (j *Justification) verify(set *AuthoritySet) error {
	if err := checkVotes(&j.Commit, set); err != nil {
		return err
	}
	if err := j.checkAncestry(); err != nil {
		return err
	}
	// Last, as it costs a hundred times the rest.
	return checkSignatures(&j.Commit, j.Round, set)
}

// checkAncestry checks that the ancestry connects each vote with the target, and holds no header
// that is not needed for it.
func (j *Justification) checkAncestry() error {
	known := make(map[verify.Hash]*verify.Header, len(j.Ancestry))
	for i, h := range j.Ancestry {
		hash := h.Hash()
		if known[hash] != nil {
			return fmt.Errorf("ancestry header %d: %w: %v is there twice", i, ErrUnusedAncestry, hash)
		}
		known[hash] = h
	}
	used, err := walk(&j.Commit, func(hash verify.Hash) *verify.Header { return known[hash] })
	if err != nil {
		return err
	}
	if len(used) != len(known) {
		onPath := make(map[*verify.Header]bool, len(used))
		for _, h := range used {
			onPath[h] = true
		}
		for i, h := range j.Ancestry {
			if !onPath[h] {
				return fmt.Errorf("ancestry header %d: %w: no vote is for it or above it", i, ErrUnusedAncestry)
			}
		}
	}
	return nil
}
