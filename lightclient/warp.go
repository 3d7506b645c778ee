package lightclient

import (
	"errors"
	"fmt"
	"time"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// warpState is the catching up from our finalized block by warp proofs, and the pulling of finality
// by the same request: a peer answers with a fragment for each set change above the block we name,
// then its latest justification.
type warpState struct {
	needed    bool // catching up is not done, or finality lags
	asked     *warpAsk
	started   time.Time
	last      time.Time // when a warp answer was last asked for
	fragments int
	bytes     int
	refused   int // answers missed since the last good one
	failed    map[PeerID]bool
	caughtUp  bool // done once
	unproven  error
}

type warpAsk struct {
	begin verify.Hash
	at    time.Time
}

// resolveRoot marks the requests that complete a trust root: the header of a checkpoint that is known
// by its hash alone, then the authorities of one pinned by its set id alone. Both prove themselves,
// the header by the hash and the list by a read proof against the header's state root.
type resolveRoot struct{}

func (s *Sync) resolveRoot() {
	if s.resolving {
		return
	}
	p := s.pick(func(*syncPeer) bool { return true })
	if p == nil {
		return
	}
	cp := s.cfg.Checkpoint
	if cp.Header == nil {
		body := (&wire.BlockRequest{Fields: wire.FieldHeader, Hash: &cp.Hash, Max: 1}).Append(nil)
		s.resolving = s.ask(p, BlockRequest, body, resolveRoot{})
		return
	}
	body := (&wire.ReadRequest{Block: cp.Hash, Keys: [][]byte{keyGrandpa()}}).Append(nil)
	s.resolving = s.ask(p, LightRequest, body, resolveRoot{})
}

func (s *Sync) rootAnswered(e *Answered) {
	s.resolving = false
	if e.Err != nil || s.chain != nil {
		return
	}
	cp := s.cfg.Checkpoint
	var proof []byte
	var err error
	if e.Request.Kind == BlockRequest {
		err = resolveHeader(cp, e.Body)
	} else {
		proof, err = resolveSet(cp, e.Body)
	}
	if errors.Is(err, ErrUnanswered) {
		if p := s.peers[e.Request.Peer]; p != nil {
			p.busyUntil = s.now.Add(busyMax) // it does not have it: ask another
		}
		return
	}
	if err != nil {
		s.lied(e.Request.Peer, banLie, "checkpoint #%d: %v", cp.Number, err)
		return
	}
	if cp.Ready() != nil {
		return // the authorities come next
	}
	if err := s.start(cp.Start(), cp.Aura); err != nil {
		s.upgrade = err
		return
	}
	s.advanced = s.now
	s.do(Rooted{Header: cp.Header, Proof: proof})
}

func resolveHeader(cp *checkpoint.Checkpoint, body []byte) error {
	blocks, err := wire.DecodeBlockResponse(body, 1)
	if err != nil {
		return err
	}
	if len(blocks) == 0 {
		return ErrUnanswered
	}
	h, err := verify.DecodeHeader(blocks[0].Header)
	if err != nil {
		return err
	}
	return cp.Resolve(h)
}

func resolveSet(cp *checkpoint.Checkpoint, body []byte) (proof []byte, err error) {
	raw, ok, err := wire.DecodeLightResponse(body)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrUnanswered
	}
	return raw, resolveSetProof(cp, raw)
}

func resolveSetProof(cp *checkpoint.Checkpoint, raw []byte) error {
	value, outcome, err := readProof(cp.Header.StateRoot, raw, keyGrandpa())
	if err != nil {
		return err
	}
	if outcome != trie.Present {
		return ErrUnanswered
	}
	list, err := grandpa.DecodeAuthorities(value)
	if err != nil {
		return err
	}
	return cp.ResolveSet(list)
}

// lag is how old the finalized head may get, since it last moved, before finality is asked for.
func (s *Sync) lag() time.Duration { return max(5*s.slot(), 10*time.Second) }

func (s *Sync) stepWarp() {
	w := &s.warp
	if w.asked != nil || s.cfg.Finality == None {
		return
	}
	final := s.chain.Finalized()
	switch {
	case w.needed:
	case s.cfg.Finality == Pull:
		if s.now.Sub(w.last) < s.cfg.PullEvery || s.now.Before(s.spared) {
			return
		}
	default: // Follow: only when the gossip fails us
		if s.now.Sub(s.advanced) < s.lag() || s.now.Sub(w.last) < s.lag() {
			return
		}
	}
	again := s.lag()
	if s.cfg.Finality == Pull {
		again = min(again, s.cfg.PullEvery)
	}
	p := s.pick(func(p *syncPeer) bool {
		if w.failed[p.id] {
			return false
		}
		// A peer that had nothing above our block is asked again only when it is due.
		return p.nothing != final.Hash || s.now.Sub(w.last) >= again
	})
	if p == nil {
		if w.needed && len(s.peers) > 0 && s.allSaidNothing(final.Hash) {
			s.warpDone() // we are where everybody is
		}
		return
	}
	ask := &warpAsk{begin: final.Hash, at: s.now}
	if s.ask(p, WarpRequest, append([]byte(nil), final.Hash[:]...), ask) {
		w.asked, w.last = ask, s.now
		if w.started.IsZero() {
			w.started = s.now
		}
	}
}

// allSaidNothing reports whether each peer was asked from this block and had nothing above it.
func (s *Sync) allSaidNothing(final verify.Hash) bool {
	for _, p := range s.peers {
		if p.nothing != final {
			return false
		}
	}
	return true
}

func (s *Sync) warpDone() {
	w := &s.warp
	w.needed = false
	if !w.caughtUp {
		w.caughtUp = true
		s.do(Progress{Fragments: w.fragments, Number: s.chain.Finalized().Header.Number, Bytes: w.bytes, Took: s.now.Sub(w.started), Done: true})
	}
}

func (s *Sync) warpAnswered(ask *warpAsk, e *Answered) {
	w := &s.warp
	w.asked = nil
	if s.alarm != nil {
		return
	}
	if e.Err != nil {
		w.refused++
		return
	}
	w.bytes += len(e.Body)
	id := e.Request.Peer
	proof, err := grandpa.DecodeWarpProof(e.Body)
	if err != nil {
		s.lied(id, banLie, "warp proof: %v", err)
		return
	}
	before := s.chain.Finalized()
	if before.Hash != ask.begin {
		return // finality moved while it was under way: the proof starts below us
	}
	p := s.peers[id]
	if len(proof.Fragments) == 0 {
		if p != nil {
			p.nothing = before.Hash
		}
		if !proof.Finished {
			s.lied(id, banLie, "warp proof: empty and not finished")
		} else if w.caughtUp {
			w.needed = false
		}
		return
	}
	if f := proof.Fragments[0]; len(proof.Fragments) == 1 && proof.Finished && f.Header.Number <= before.Header.Number {
		// Its latest justification is not above our block: no news, and no lie, unless it is for
		// another block than the one that is final there.
		if ev := s.chain.Contradicts(f.Header, f.Justification); ev != nil {
			s.raise(ev)
			return
		}
		if p != nil {
			p.nothing = before.Hash
		}
		if w.caughtUp {
			w.needed = false
		}
		return
	}
	verified, err := s.applyWarp(before, proof)
	final := s.chain.Finalized()
	if err != nil {
		s.warpFailed(id, verified, final, err)
		return
	}
	w.refused, w.unproven = 0, nil
	w.failed = nil
	if proof.Finished {
		if p != nil {
			p.best = max(p.best, final.Header.Number)
		}
		s.warpDone()
		return
	}
	s.do(Progress{Peer: id, Fragments: w.fragments, Number: final.Header.Number, Bytes: w.bytes, Took: s.now.Sub(w.started)})
	w.needed = true
}

// applyWarp verifies a proof and applies it as far as it is good.
func (s *Sync) applyWarp(before grandpa.Finalized, proof *grandpa.WarpProof) (verified int, err error) {
	if s.warp.started.IsZero() {
		s.warp.started = s.now
	}
	s.tellSets(before.Set, proof)
	verified, err = s.chain.Warp(proof)
	s.warp.fragments += verified
	if final := s.chain.Finalized(); final.Hash != before.Hash {
		s.finalized(before, []FinalBlock{{final.Header, final.Hash}}, true)
	}
	return verified, err
}

// tellSets reports each fragment of a proof that hands over to another set, so that it can be kept:
// these fragments are what proves the newest set again after a restart. They are reported before the
// proof is applied and only while they verify.
func (s *Sync) tellSets(set grandpa.AuthoritySet, proof *grandpa.WarpProof) {
	for _, f := range proof.Fragments {
		next, err := grandpa.Advance(set, f.Header)
		if err != nil || next.ID == set.ID {
			return
		}
		single := &grandpa.WarpProof{Fragments: []grandpa.Fragment{f}, Finished: true}
		at := s.chain.Finalized()
		at.Set = set
		if _, n, err := single.Verify(at); err != nil || n != 1 {
			return
		}
		s.do(SetChanged{Header: f.Header, Justification: f.Justification, Next: next})
		set = next
	}
}

// warpFailed tells a lie from a chain that our trust root cannot reach. A first fragment signed by
// strangers is what every honest peer sends when a hand-made set change lies between our checkpoint
// and them; banning them all would leave us alone with whoever is left.
func (s *Sync) warpFailed(id PeerID, verified int, at grandpa.Finalized, err error) {
	w := &s.warp
	if unknownRules(err) {
		s.upgrade = err
	}
	if verified == 0 && (errors.Is(err, grandpa.ErrSigner) || unknownRules(err)) {
		if w.failed == nil {
			w.failed = make(map[PeerID]bool)
		}
		if !w.failed[id] {
			w.failed[id] = true
			w.unproven = fmt.Errorf("above #%d, set %d: %w", at.Header.Number, at.Set.ID, err)
			s.do(Remark{fmt.Sprintf("warp proof cannot be verified from set %d: %v", at.Set.ID, err)})
		}
		return
	}
	s.lied(id, banLie, "warp proof: %v", err)
}
