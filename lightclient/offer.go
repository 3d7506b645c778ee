package lightclient

import (
	"cmp"
	"slices"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// Events for proofs that nobody was asked for: from other light nodes, or from a file. There is no second
// way to finality: they are verified as what a peer of the chain sends.
type (
	// Offered: a proof of finality, as the answer to a warp request would hold it.
	Offered struct{ Proof *grandpa.WarpProof }
	// Told: somebody has told of a block that is final here already.
	Told struct{ Number uint32 }
	// Accused: evidence of two conflicting finalities.
	Accused struct{ Evidence *grandpa.Evidence }
)

// offered applies a proof. Nobody is punished for a bad one: whoever handed it over knows from whom it
// is, and has verified it before.
func (s *Sync) offered(p *grandpa.WarpProof) {
	if s.chain == nil || s.alarm != nil || p == nil || len(p.Fragments) == 0 {
		return
	}
	before := s.chain.Finalized()
	last := p.Fragments[len(p.Fragments)-1]
	s.heard(last.Header.Number)
	if last.Header.Number <= before.Header.Number {
		if ev := s.chain.Contradicts(last.Header, last.Justification); ev != nil {
			s.raise(ev)
		}
		return
	}
	// The headers, if they follow what is held, and those that votes above them were for: a finality that
	// they lead to keeps the tree and the Aura list.
	for _, f := range p.Fragments {
		s.chain.Insert(f.Header, s.clock())
		above := slices.Clone(f.Justification.Ancestry)
		slices.SortFunc(above, func(a, b *verify.Header) int { return cmp.Compare(a.Number, b.Number) })
		for _, h := range above {
			s.chain.Insert(h, s.clock())
		}
	}
	if len(p.Fragments) == 1 && len(s.peers) > 0 && s.chain.Authorities() != nil && s.now.Sub(s.advanced) < s.lag() {
		// Peers announce headers: it can wait for them, as a commit does.
		j := last.Justification
		s.commit("", &grandpa.CommitMessage{Round: j.Round, SetID: before.Set.ID, Commit: j.Commit})
		if s.chain.Finalized().Header.Number >= last.Header.Number {
			s.spare(last.Header.Number)
		}
		return
	}
	if _, err := s.applyWarp(before, p); err == nil {
		s.fed = s.now
		s.warpDone()
		s.spare(last.Header.Number)
	}
}

// spare puts the next pull off, if a proof that nobody was asked for has brought what that would have: of light nodes that
// tell each other, the one whose wait is the shortest asks the chain for all. One that tells old blocks spares nothing.
func (s *Sync) spare(number uint32) {
	every := s.cfg.PullEvery
	if s.cfg.Finality == Pull && uint64(number)+uint64(every/s.slot()) >= uint64(s.best().Header.Number) {
		s.spared = s.now.Add(every + time.Duration(s.cfg.Rand.Int64N(int64(every/4)+1)))
	}
}

// heard notes that somebody tells of finality who was not asked.
func (s *Sync) heard(number uint32) {
	if s.chain == nil || number+2 < s.chain.Finalized().Header.Number {
		return
	}
	if s.now.Sub(s.told) > s.lag() {
		s.toldFrom = s.now
	}
	s.told = s.now
}

// relieved reports whether others tell of finality as fast as the chain's peers do, and have for some
// time: then fewer of these are needed.
func (s *Sync) relieved() bool {
	return s.cfg.Finality == Follow && !s.told.IsZero() && s.now.Sub(s.told) <= s.lag() && s.told.Sub(s.toldFrom) >= 10*s.slot()
}

// accused takes evidence, if it is against the set that signs now or the one that signed our head.
func (s *Sync) accused(ev *grandpa.Evidence) {
	if s.chain == nil || s.alarm != nil || ev == nil {
		return
	}
	if final := s.chain.Finalized(); ev.Verify(&final.Set) == nil || len(s.chain.signer.Authorities) > 0 && ev.Verify(&s.chain.signer) == nil {
		s.raise(ev)
	}
}

// A Standing is what a node has proven at one moment, with all that proves it to somebody else. It is
// not changed once it is handed out.
type Standing struct {
	Root  *checkpoint.Checkpoint // the trust root
	Head  *checkpoint.Checkpoint // the finalized head
	Proof *grandpa.Justification // of the head; nil for the trust root itself
	// Signer made the head final, as it does all blocks from SignerFrom on; no authorities: not known.
	Signer     grandpa.AuthoritySet
	SignerFrom bundle.RootRef
	Sets       []grandpa.Fragment // each set change since the trust root, ascending
	Recent     []FinalBlock       // finalized blocks in a row up to the head
	Evidence   *grandpa.Evidence  // of a conflict; nil: none
}

// standing describes the chain and the set changes that led to it; nil while nothing is proven.
func standing(cp *checkpoint.Checkpoint, c *Chain, sets []grandpa.Fragment, alarm *grandpa.Evidence) *Standing {
	if c == nil || cp.Ready() != nil {
		return nil
	}
	final := c.final
	head, err := cp.FromState(&checkpoint.State{Header: final.Header, Hash: final.Hash, Set: final.Set, Aura: c.Authorities()}, "")
	if err != nil {
		return nil
	}
	st := &Standing{
		Root: cp, Head: head, Proof: final.Justification, Signer: c.signer,
		Sets: slices.Clip(sets), Recent: slices.Clone(c.recent), Evidence: alarm,
	}
	start := cp.Start()
	st.SignerFrom = bundle.RootRef{Number: start.Header.Number, Hash: start.Hash, SetID: start.Set.ID}
	set := start.Set
	for i := range sets {
		h := sets[i].Header
		if h.Number >= final.Header.Number {
			break
		}
		next, err := grandpa.Advance(set, h)
		if err != nil {
			break
		}
		set = next
		st.SignerFrom = bundle.RootRef{Number: h.Number, Hash: h.Hash(), SetID: set.ID}
	}
	if len(st.Signer.Authorities) == 0 { // a warp that ended on a set change
		st.Signer = set
	}
	if change, err := grandpa.ScheduledChange(final.Header); err != nil || set.ID != final.Set.ID && !(change != nil && set.ID+1 == final.Set.ID) || st.Signer.ID != set.ID {
		st.Signer = grandpa.AuthoritySet{} // a set change in between is not at hand
	}
	return st
}

// Above returns what proves the head from a block that another node has final: the set changes above it
// and the head itself, at most max of them. ok is false if nothing is known that starts there: the block
// is none of ours, or too old to tell. A proof without fragments says that there is nothing newer.
func (st *Standing) Above(from verify.Hash, max int) (proof *grandpa.WarpProof, ok bool) {
	number, ok := st.number(from)
	if !ok {
		return nil, false
	}
	proof = &grandpa.WarpProof{Finished: true}
	for i := range st.Sets {
		if n := st.Sets[i].Header.Number; n > number && n < st.Head.Number {
			if len(proof.Fragments) == max {
				proof.Finished = false
				return proof, true
			}
			proof.Fragments = append(proof.Fragments, st.Sets[i])
		}
	}
	if st.Head.Number > number && st.Proof != nil {
		if len(proof.Fragments) == max {
			proof.Finished = false
			return proof, true
		}
		proof.Fragments = append(proof.Fragments, grandpa.Fragment{Header: st.Head.Header, Justification: st.Proof})
	}
	return proof, true
}

// Start returns a block of ours with the set that goes on from it: where a proof by Above starts. ok is
// false for a block that Block does not know.
func (st *Standing) Start(hash verify.Hash) (at grandpa.Finalized, ok bool) {
	h := st.Block(hash)
	if h == nil {
		return at, false
	}
	if hash == st.Head.Hash {
		return st.Head.Start(), true
	}
	set := st.Root.Start().Set
	for i := range st.Sets {
		if st.Sets[i].Header.Number > h.Number {
			break
		}
		next, err := grandpa.Advance(set, st.Sets[i].Header)
		if err != nil {
			return at, false
		}
		set = next
	}
	return grandpa.Finalized{Header: h, Hash: hash, Set: set}, true
}

// number finds a finalized block by its hash.
func (st *Standing) number(hash verify.Hash) (uint32, bool) {
	if b := st.Block(hash); b != nil {
		return b.Number, true
	}
	return 0, false
}

// Block returns a header that is final here, or nil.
func (st *Standing) Block(hash verify.Hash) *verify.Header {
	for i := len(st.Recent) - 1; i >= 0; i-- {
		if st.Recent[i].Hash == hash {
			return st.Recent[i].Header
		}
	}
	if st.Root.Hash == hash {
		return st.Root.Header
	}
	for i := range st.Sets {
		if st.Sets[i].Justification.Commit.TargetHash == hash {
			return st.Sets[i].Header
		}
	}
	return nil
}
