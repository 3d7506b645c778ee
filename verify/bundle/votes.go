package bundle

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// ErrVotes: a justification cannot be held in the short form, or votes do not fit their set. None that
// grandpa.Justification.Verify accepts is refused.
var ErrVotes = errors.New("votes without a short form")

// A Fragment is a header with the votes that make it final.
type Fragment struct {
	Header *verify.Header
	Votes  Votes
}

// Votes are a justification without what the header beside it and the authority set say already: the
// target, and the keys of the signers. With the set, it can be rebuilt byte for byte.
type Votes struct {
	Round uint64
	// Ancestry holds the headers above the target that connect votes with it, in the order of the
	// justification. It is empty if all votes are for the target, as nearly always.
	Ancestry []*verify.Header
	List     []Vote // in the order of the justification
}

// A Vote is one precommit.
type Vote struct {
	Signer    uint16 // position in the authority set
	Target    uint16 // what the vote is for: 0 the header of the fragment, i the header i-1 of the ancestry
	Signature [64]byte
}

// NewFragment returns f in its short form. set is the one that signed it.
func NewFragment(f grandpa.Fragment, set *grandpa.AuthoritySet) (Fragment, error) {
	short := Fragment{Header: f.Header}
	if f.Header == nil || f.Justification == nil {
		return short, fmt.Errorf("%w: no header or no justification", ErrVotes)
	}
	j := f.Justification
	c := &j.Commit
	hash := f.Header.Hash()
	if c.TargetHash != hash || c.TargetNumber != f.Header.Number {
		return short, fmt.Errorf("%w: justification of block %d beside header %d", ErrVotes, c.TargetNumber, f.Header.Number)
	}
	if len(j.Ancestry) > maxAncestry || len(c.Precommits) > grandpa.MaxPrecommits {
		return short, fmt.Errorf("%w: %d precommits, %d headers of ancestry", ErrVotes, len(c.Precommits), len(j.Ancestry))
	}
	signers := make(map[grandpa.AuthorityID]int, len(set.Authorities))
	for i := range set.Authorities {
		signers[set.Authorities[i].ID] = i
	}
	type target struct {
		hash   verify.Hash
		number uint32
	}
	targets := map[target]int{{hash, f.Header.Number}: 0}
	for i, h := range j.Ancestry {
		t := target{h.Hash(), h.Number}
		if _, ok := targets[t]; ok {
			return short, fmt.Errorf("%w: ancestry header %d is there twice", ErrVotes, i)
		}
		targets[t] = i + 1
	}
	short.Votes = Votes{Round: j.Round, Ancestry: j.Ancestry, List: make([]Vote, len(c.Precommits))}
	for i := range c.Precommits {
		p := &c.Precommits[i]
		signer, ok := signers[p.ID]
		if !ok || signer >= grandpa.MaxAuthorities {
			return short, fmt.Errorf("%w: precommit %d: %v: %w %d", ErrVotes, i, p.ID, grandpa.ErrSigner, set.ID)
		}
		t, ok := targets[target{p.TargetHash, p.TargetNumber}]
		if !ok {
			return short, fmt.Errorf("%w: precommit %d: its target, block %d, is not in the ancestry", ErrVotes, i, p.TargetNumber)
		}
		short.Votes.List[i] = Vote{Signer: uint16(signer), Target: uint16(t), Signature: p.Signature}
	}
	return short, nil
}

// Justification returns the votes as the justification they were made from. set is the one that signed
// them; if it is another one, the signatures will not verify. It checks no vote.
func (f *Fragment) Justification(set *grandpa.AuthoritySet) (*grandpa.Justification, error) {
	type target struct {
		hash   verify.Hash
		number uint32
	}
	targets := make([]target, 1, 1+len(f.Votes.Ancestry))
	targets[0] = target{f.Header.Hash(), f.Header.Number}
	for _, h := range f.Votes.Ancestry {
		targets = append(targets, target{h.Hash(), h.Number})
	}
	j := &grandpa.Justification{Round: f.Votes.Round, Ancestry: f.Votes.Ancestry}
	j.Commit = grandpa.Commit{TargetHash: targets[0].hash, TargetNumber: targets[0].number}
	if n := len(f.Votes.List); n > 0 {
		j.Commit.Precommits = make([]grandpa.Precommit, n)
	}
	for i := range f.Votes.List {
		v := &f.Votes.List[i]
		if int(v.Signer) >= len(set.Authorities) {
			return nil, fmt.Errorf("vote %d: signer %d of %d: %w %d", i, v.Signer, len(set.Authorities), grandpa.ErrSigner, set.ID)
		}
		if int(v.Target) >= len(targets) {
			return nil, fmt.Errorf("vote %d: %w: target %d of %d", i, ErrVotes, v.Target, len(targets))
		}
		t := &targets[v.Target]
		j.Commit.Precommits[i] = grandpa.Precommit{TargetHash: t.hash, TargetNumber: t.number, Signature: v.Signature, ID: set.Authorities[v.Signer].ID}
	}
	return j, nil
}

// Append appends the encoding of v:
//
//	compact round | Vec<Header> ancestry | Vec<compact signer | compact target, if there is ancestry | signature[64]>
func (v *Votes) Append(b []byte) []byte {
	b = scale.AppendCompact(b, v.Round)
	b = scale.AppendCompact(b, uint64(len(v.Ancestry)))
	for _, h := range v.Ancestry {
		b = h.Append(b)
	}
	b = scale.AppendCompact(b, uint64(len(v.List)))
	for i := range v.List {
		b = scale.AppendCompact(b, uint64(v.List[i].Signer))
		if len(v.Ancestry) > 0 {
			b = scale.AppendCompact(b, uint64(v.List[i].Target))
		}
		b = append(b, v.List[i].Signature[:]...)
	}
	return b
}

// check checks what does not need the set. Two headers of one hash would be two ways to name a target.
func (v *Votes) check() error {
	if len(v.Ancestry) > maxAncestry {
		return fmt.Errorf("%w: %d headers of ancestry, at most %d allowed", ErrLimit, len(v.Ancestry), maxAncestry)
	}
	if len(v.List) > grandpa.MaxPrecommits {
		return fmt.Errorf("%w: %d votes, at most %d allowed", ErrLimit, len(v.List), grandpa.MaxPrecommits)
	}
	seen := make(map[verify.Hash]bool, len(v.Ancestry))
	for i, h := range v.Ancestry {
		if h == nil {
			return fmt.Errorf("ancestry header %d: %w: none", i, ErrForm)
		}
		hash := h.Hash()
		if seen[hash] {
			return fmt.Errorf("ancestry header %d: %w: %s is there twice", i, ErrForm, hash.Short())
		}
		seen[hash] = true
	}
	for i := range v.List {
		switch p := &v.List[i]; {
		case int(p.Signer) >= grandpa.MaxAuthorities:
			return fmt.Errorf("vote %d: %w: signer %d", i, ErrLimit, p.Signer)
		case int(p.Target) > len(v.Ancestry):
			return fmt.Errorf("vote %d: %w: target %d of %d", i, ErrForm, p.Target, len(v.Ancestry)+1)
		}
	}
	return nil
}

// WarpProof returns the fragments and the final block as the warp proof that they were made from, for whoever
// goes on from start: those at and below its block are left out. It checks no vote; WarpProof.Verify does.
func (x *Bundle) WarpProof(start grandpa.Finalized) (*grandpa.WarpProof, error) {
	if start.Header == nil || x.Final == nil {
		return nil, fmt.Errorf("bundle: %w: no block to start from, or none that is final", ErrVotes)
	}
	p := &grandpa.WarpProof{Finished: true}
	set := start.Set
	one := func(f *Fragment) error {
		if f.Header.Number <= start.Header.Number {
			return nil
		}
		j, err := f.Justification(&set)
		if err != nil {
			return err
		}
		p.Fragments = append(p.Fragments, grandpa.Fragment{Header: f.Header, Justification: j})
		set, err = grandpa.Advance(set, f.Header)
		return err
	}
	for i := range x.Fragments {
		if err := one(&x.Fragments[i]); err != nil {
			return nil, fmt.Errorf("bundle: fragment %d: %w", i, err)
		}
	}
	if err := one(x.Final); err != nil {
		return nil, fmt.Errorf("bundle: final: %w", err)
	}
	return p, nil
}

func (f *Fragment) append(b []byte) []byte { return f.Votes.Append(f.Header.Append(b)) }
