package grandpa

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// checkVotes checks all that can be checked without headers or signatures: the signers, how often
// each voted, the number of each target, and that the voters' weight reaches the threshold.
func checkVotes(c *Commit, set *AuthoritySet) error {
	if err := set.Check(); err != nil {
		return fmt.Errorf("set %d: %w", set.ID, err)
	}
	// Twice the authorities is the most that the rule below lets through: refuse more before
	// doing work for each.
	if len(c.Precommits) > 2*len(set.Authorities) {
		return fmt.Errorf("%w: %d precommits of %d authorities", ErrEquivocation, len(c.Precommits), len(set.Authorities))
	}
	type voter struct {
		weight uint64
		votes  int
	}
	voters := make(map[AuthorityID]*voter, len(set.Authorities))
	table := make([]voter, len(set.Authorities))
	for i := range set.Authorities {
		a := &set.Authorities[i]
		table[i].weight = a.Weight
		voters[a.ID] = &table[i]
	}
	var weight uint64 // fits, since the total does and each voter is counted once
	for i := range c.Precommits {
		p := &c.Precommits[i]
		v := voters[p.ID]
		if v == nil {
			return fmt.Errorf("precommit %d: %v: %w %d", i, p.ID, ErrSigner, set.ID)
		}
		v.votes++
		if v.votes > 2 {
			return fmt.Errorf("precommit %d: %v: %w", i, p.ID, ErrEquivocation)
		}
		if v.votes == 1 {
			weight += v.weight
		}
		if err := c.checkTarget(i); err != nil {
			return err
		}
	}
	if need := set.Threshold(); weight < need {
		return fmt.Errorf("%w: weight %d of %d, need %d in set %d", ErrThreshold, weight, set.Total(), need, set.ID)
	}
	return nil
}

// checkTarget checks that precommit i is for a block at the commit's height or above it, within
// reach of a walk.
func (c *Commit) checkTarget(i int) error {
	n := c.Precommits[i].TargetNumber
	if n < c.TargetNumber {
		return fmt.Errorf("precommit %d: %w: block %d is below the commit's %d", i, ErrTarget, n, c.TargetNumber)
	}
	if n-c.TargetNumber > MaxAncestry {
		return fmt.Errorf("precommit %d: %w: %d blocks above the commit's, at most %d allowed", i, ErrAncestry, n-c.TargetNumber, MaxAncestry)
	}
	return nil
}

// walk follows each precommit's target down to the commit's, and returns each header on the way
// once. The targets must pass checkTarget. Numbers fall by one at each step, so that it ends whatever
// header returns; and a header that was passed before is not followed again, so that all walks
// together take at most one step for each header and one for each precommit.
func walk(c *Commit, header func(verify.Hash) *verify.Header) ([]*verify.Header, error) {
	var path []*verify.Header
	numbers := make(map[verify.Hash]uint32)
	for i := range c.Precommits {
		p := &c.Precommits[i]
		hash, number := p.TargetHash, p.TargetNumber
		for number > c.TargetNumber {
			if n, ok := numbers[hash]; ok {
				if n != number {
					return nil, fmt.Errorf("precommit %d: %w: block %v has number %d, not %d", i, ErrTarget, hash, n, number)
				}
				break
			}
			h := header(hash)
			if h == nil {
				return nil, fmt.Errorf("precommit %d: %w: no header of block %d, %v", i, ErrAncestry, number, hash)
			}
			if h.Number != number {
				return nil, fmt.Errorf("precommit %d: %w: block %v has number %d, not %d", i, ErrTarget, hash, h.Number, number)
			}
			numbers[hash] = number
			path = append(path, h)
			hash, number = h.ParentHash, number-1
		}
		if number == c.TargetNumber && hash != c.TargetHash {
			return nil, fmt.Errorf("precommit %d: %w: block %d, %v, does not descend from the commit's target", i, ErrTarget, p.TargetNumber, p.TargetHash)
		}
	}
	return path, nil
}

// A CommitMessage is a commit as it is gossiped, without the leading tag 1. It names its set, and
// brings no ancestry: the receiver is expected to hold the headers.
//
//	round u64 | set_id u64 | target_hash[32] | target_number u32
//	| Vec<target_hash[32] target_number u32> | Vec<signature[64] id[32]>
type CommitMessage struct {
	Round, SetID uint64
	Commit       Commit
}

// DecodeCommitMessage decodes a commit message that takes the whole of b. Its two vectors must be
// of one length; otherwise only the form is judged.
func DecodeCommitMessage(b []byte) (*CommitMessage, error) {
	r := scale.NewReader(b)
	m := &CommitMessage{Round: r.U64(), SetID: r.U64()}
	c := &m.Commit
	r.Copy(c.TargetHash[:])
	c.TargetNumber = r.U32()
	// The second vector is of the same length, or it is refused: so the input must hold both.
	n := r.Count(precommitSize, MaxPrecommits)
	if n > 0 {
		c.Precommits = make([]Precommit, n)
	}
	for i := range c.Precommits {
		p := &c.Precommits[i]
		r.Copy(p.TargetHash[:])
		p.TargetNumber = r.U32()
	}
	if k := r.Count(64+32, MaxPrecommits); k != n && r.Err() == nil {
		r.Fail(fmt.Errorf("%w: %d precommits with %d signatures", scale.ErrRange, n, k))
	}
	for i := range c.Precommits {
		p := &c.Precommits[i]
		r.Copy(p.Signature[:])
		r.Copy(p.ID[:])
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return m, nil
}

// Append appends the SCALE encoding of m, without the leading tag.
func (m *CommitMessage) Append(b []byte) []byte {
	c := &m.Commit
	b = scale.AppendU64(b, m.Round)
	b = scale.AppendU64(b, m.SetID)
	b = append(b, c.TargetHash[:]...)
	b = scale.AppendU32(b, c.TargetNumber)
	b = scale.AppendCompact(b, uint64(len(c.Precommits)))
	for i := range c.Precommits {
		b = append(b, c.Precommits[i].TargetHash[:]...)
		b = scale.AppendU32(b, c.Precommits[i].TargetNumber)
	}
	b = scale.AppendCompact(b, uint64(len(c.Precommits)))
	for i := range c.Precommits {
		b = append(b, c.Precommits[i].Signature[:]...)
		b = append(b, c.Precommits[i].ID[:]...)
	}
	return b
}

// Verify checks that the authorities of set made the commit's target final, by the rules of
// Justification.Verify. header returns the header with the given hash, or nil if the caller does
// not hold it; what it returns is hashed again and so need not be trusted. It is asked only for
// blocks above the commit's target; nil (no function) means that none is held.
//
// ErrAncestry says that a header was missing, which is no fault of the sender.
func (m *CommitMessage) Verify(set *AuthoritySet, header func(verify.Hash) *verify.Header) error {
	if _, err := m.verify(set, header); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (m *CommitMessage) verify(set *AuthoritySet, header func(verify.Hash) *verify.Header) ([]*verify.Header, error) {
	if m.SetID != set.ID {
		return nil, fmt.Errorf("%w: for set %d, not %d", ErrSetID, m.SetID, set.ID)
	}
	if err := checkVotes(&m.Commit, set); err != nil {
		return nil, err
	}
	path, err := walk(&m.Commit, checkedLookup(header))
	if err != nil {
		return nil, err
	}
	return path, checkSignatures(&m.Commit, m.Round, set)
}

// Justification returns the same votes as a justification, with the ancestry filled in by header,
// which is as in Verify. It does not check the votes.
func (m *CommitMessage) Justification(header func(verify.Hash) *verify.Header) (*Justification, error) {
	c := &m.Commit
	for i := range c.Precommits {
		if err := c.checkTarget(i); err != nil {
			return nil, fmt.Errorf("commit: %w", err)
		}
	}
	path, err := walk(c, checkedLookup(header))
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return &Justification{Round: m.Round, Commit: *c, Ancestry: path}, nil
}

// checkedLookup returns header with its answers held to the hash that was asked for.
func checkedLookup(header func(verify.Hash) *verify.Header) func(verify.Hash) *verify.Header {
	return func(hash verify.Hash) *verify.Header {
		if header == nil {
			return nil
		}
		h := header(hash)
		if h == nil || h.Hash() != hash {
			return nil
		}
		return h
	}
}
