package grandpa

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Bounds on a warp proof. Servers stop at 8 MiB of fragments (sc_consensus_grandpa::warp_proof); a
// response of any kind may have 16 MiB.
const (
	MaxWarpProofSize = 16 << 20
	MaxFragments     = 1 << 15
)

// Errors of warp proofs.
var (
	// ErrNoChange: a fragment that must hand over to the next set announces no change. Without it
	// the fragments after it could not be proven.
	ErrNoChange = errors.New("fragment announces no change of authorities")
	// ErrNotNewer: a fragment is not above the block before it.
	ErrNotNewer = errors.New("fragment is not newer")
	// ErrNoProgress: a proof that says there is more proves nothing.
	ErrNoProgress = errors.New("unfinished proof without fragments")
)

// A Fragment is a header with the proof that it is final.
type Fragment struct {
	Header        *verify.Header
	Justification *Justification
}

// A WarpProof leads from one final block to a newer one, by way of each block that changed the
// authorities (sc_consensus_grandpa::warp_proof::WarpSyncProof).
//
//	Vec<Header | GrandpaJustification> | is_finished u8
//
// Finished says that the last fragment is the newest that the sender has. A proof may be finished
// and empty: nothing newer is there.
type WarpProof struct {
	Fragments []Fragment
	Finished  bool
}

// DecodeWarpProof decodes a warp proof that takes the whole of b. Only its form is judged.
func DecodeWarpProof(b []byte) (*WarpProof, error) {
	if len(b) > MaxWarpProofSize {
		return nil, fmt.Errorf("warp proof: %w: %d bytes, at most %d allowed", scale.ErrRange, len(b), MaxWarpProofSize)
	}
	r := scale.NewReader(b)
	n := r.Count(minHeaderSize+8+32+4+1+1, MaxFragments)
	p := new(WarpProof)
	if n > 0 {
		p.Fragments = make([]Fragment, 0, n)
	}
	var headers headerReader
	for i := range n {
		f := Fragment{Header: headers.one(r)}
		f.Justification = readJustification(r, &headers)
		if err := r.Err(); err != nil {
			return nil, fmt.Errorf("warp proof: fragment %d: %w", i, err)
		}
		p.Fragments = append(p.Fragments, f)
	}
	p.Finished = r.Bool()
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("warp proof: %w", err)
	}
	return p, nil
}

// Append appends the SCALE encoding of p.
func (p *WarpProof) Append(b []byte) []byte {
	b = scale.AppendCompact(b, uint64(len(p.Fragments)))
	for i := range p.Fragments {
		b = p.Fragments[i].Header.Append(b)
		b = p.Fragments[i].Justification.Append(b)
	}
	return scale.AppendBool(b, p.Finished)
}

// A Finalized is a block known to be final, with the set that finalizes its descendants: what is
// trusted at the start, and what each proof leads to.
type Finalized struct {
	Header        *verify.Header
	Hash          verify.Hash
	Set           AuthoritySet
	Justification *Justification // nil at a trust root
}

// Verify checks p from a block that is trusted to be final. It returns the newest block proven and
// the number of fragments verified, also beside an error: what came before the first bad fragment
// is proven, nothing after it is.
//
// A fragment is good if its justification is for its header and valid under the set in force, and
// its block is above the one before it. Each must announce a change but the last of a finished
// proof. A last fragment for the very block we start from, which servers send when they have
// nothing newer, is passed over: it proves nothing and changes nothing.
//
// ErrUnsupportedChange, ErrNoChange and verify.ErrUnknownEngine are about a header that was proven
// final first: the chain did this, and not just the peer.
func (p *WarpProof) Verify(from Finalized) (to Finalized, verified int, err error) {
	if from.Header == nil {
		return from, 0, fmt.Errorf("warp proof: %w: no header to start from", ErrTarget)
	}
	if len(p.Fragments) == 0 && !p.Finished {
		return from, 0, fmt.Errorf("warp proof: %w", ErrNoProgress)
	}
	to = from
	for i := range p.Fragments {
		last := p.Finished && i == len(p.Fragments)-1
		next, news, err := to.step(&p.Fragments[i], last)
		if err != nil {
			return to, verified, fmt.Errorf("warp proof: fragment %d: %w", i, err)
		}
		if news {
			to = next
			verified++
		}
	}
	return to, verified, nil
}

// step verifies one fragment above f. news is false if the fragment is passed over.
func (f Finalized) step(g *Fragment, last bool) (next Finalized, news bool, err error) {
	h, c := g.Header, &g.Justification.Commit
	hash := h.Hash()
	if last && hash == f.Hash {
		return f, false, nil
	}
	if c.TargetHash != hash || c.TargetNumber != h.Number {
		return f, false, fmt.Errorf("%w: justification of block %d, %v, beside header %d, %v", ErrTarget, c.TargetNumber, c.TargetHash, h.Number, hash)
	}
	if h.Number <= f.Header.Number {
		return f, false, fmt.Errorf("%w: block %d after %d", ErrNotNewer, h.Number, f.Header.Number)
	}
	if err := g.Justification.Verify(&f.Set); err != nil {
		return f, false, err
	}
	// Only now is the header more than a peer's word: what it announces can be reported as what
	// the chain did.
	change, err := ScheduledChange(h)
	if err != nil {
		return f, false, err
	}
	if change == nil && !last {
		return f, false, fmt.Errorf("header %d: %w", h.Number, ErrNoChange)
	}
	next = Finalized{Header: h, Hash: hash, Set: f.Set, Justification: g.Justification}
	if change != nil {
		if next.Set, err = f.Set.next(change); err != nil {
			return f, false, err
		}
	}
	return next, true, nil
}
