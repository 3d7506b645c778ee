package lightclient

import (
	"errors"
	"slices"
	"strings"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
)

// A headerTarget is a block that a peer named and whose ancestors we lack. One peer has one at a
// time, the newest; that bounds what a flood of announcements can make us ask for.
type headerTarget struct {
	peer   PeerID
	hash   verify.Hash
	number uint32
	asked  bool
	byHash bool // asked for by its hash, descending
	commit bool // a commit waits for it: fetch it although the tree is full
}

func sortPeers(list []*syncPeer) {
	slices.SortFunc(list, func(a, b *syncPeer) int { return strings.Compare(string(a.id), string(b.id)) })
}

// announced takes a block announcement: the usual case is the child of a block we hold.
func (s *Sync) announced(p *syncPeer, a *wire.Announce) {
	h := a.Header
	p.best = max(p.best, h.Number)
	if s.chain == nil {
		return
	}
	hash := h.Hash()
	switch err := s.chain.Insert(h, s.clock()); {
	case err == nil:
		s.retryPending()
	case errors.Is(err, ErrOrphan), errors.Is(err, ErrNoAuthorities):
		s.wantHeader(p, hash, h.Number)
	default:
		s.judgeHeader(p.id, err)
	}
}

// judgeHeader penalises the sender of a header that breaks a rule, and nobody for a race, a full tree
// or our own clock.
func (s *Sync) judgeHeader(id PeerID, err error) {
	switch {
	case errors.Is(err, ErrKnown), errors.Is(err, ErrStale), errors.Is(err, ErrFull),
		errors.Is(err, ErrOrphan), errors.Is(err, ErrNoAuthorities), isFuture(err):
	case unknownRules(err):
		// Nobody has finalized this header, so it is the word of one peer, or of one author. It
		// counts when most peers say so and finality stands still.
		if s.doubts == nil {
			s.doubts = make(map[PeerID]bool)
		}
		if s.doubts[id] = true; 2*len(s.doubts) > len(s.peers) {
			s.upgrade = err
		}
	default:
		s.lied(id, banLie, "%v", err)
	}
}

func (s *Sync) wantHeader(p *syncPeer, hash verify.Hash, number uint32) {
	if p == nil || s.chain != nil && (s.chain.Header(hash) != nil || number <= s.chain.Finalized().Header.Number) {
		return
	}
	if p.wants != nil && (p.wants.asked || p.wants.commit && p.wants.number >= number) {
		return
	}
	p.wants = &headerTarget{peer: p.id, hash: hash, number: number}
}

// farBelow is the gap from which on headers are not asked for before a warp has ended.
const farBelow = 16

// stepHeaders asks for missing headers, from at most two peers at a time.
func (s *Sync) stepHeaders() {
	if s.chain.Authorities() == nil {
		return
	}
	for _, p := range s.sorted() {
		if s.headers >= 2 {
			return
		}
		t := p.wants
		if t == nil || t.asked || p.inFlight >= MaxInFlight || s.now.Before(p.busyUntil) {
			continue
		}
		final := s.chain.Finalized().Header.Number
		if t.number <= final && !t.commit || s.chain.Header(t.hash) != nil {
			p.wants = nil
			continue
		}
		gap := uint32(1) // a disputed block at or below ours
		if t.number > final {
			gap = t.number - final
		}
		if gap > MaxUnfinalized {
			// Headers this far above finality would not be kept: what is missing is finality.
			p.wants = nil
			continue
		}
		if gap > farBelow && s.warp.needed && s.warp.refused == 0 && s.warp.unproven == nil {
			continue // finality will have passed most of them in a moment
		}
		req := wire.BlockRequest{Fields: wire.FieldHeader, Max: min(gap, wire.MaxBlocks)}
		if gap <= wire.MaxBlocks {
			req.Hash, req.Descending = &t.hash, true
			t.byHash = true
		} else {
			req.Number = s.chain.Best().Header.Number + 1
		}
		if s.ask(p, BlockRequest, req.Append(nil), t) {
			t.asked = true
			s.headers++
		} else {
			p.wants = nil
		}
	}
}

func (s *Sync) headersAnswered(t *headerTarget, e *Answered) {
	s.headers--
	p := s.peers[t.peer]
	if p != nil && p.wants == t {
		p.wants = nil
	}
	if e.Err != nil {
		return
	}
	blocks, err := wire.DecodeBlockResponse(e.Body, wire.MaxBlocks)
	if err != nil {
		s.lied(t.peer, banLie, "headers: %v", err)
		return
	}
	if len(blocks) == 0 {
		return
	}
	headers := make([]*verify.Header, 0, len(blocks))
	for _, b := range blocks {
		h, err := verify.DecodeHeader(b.Header)
		if err != nil {
			s.lied(t.peer, banLie, "headers: %v", err)
			return
		}
		headers = append(headers, h)
	}
	if t.byHash {
		// One chain downwards from the block that was named, whatever it is a chain of.
		if headers[0].Hash() != t.hash {
			s.lied(t.peer, banLie, "headers: asked for %s, got another block as %d", t.hash.Short(), headers[0].Number)
			return
		}
		for i := 1; i < len(headers); i++ {
			if headers[i].Hash() != headers[i-1].ParentHash {
				s.lied(t.peer, banLie, "headers: %d is not the parent of %d", headers[i].Number, headers[i-1].Number)
				return
			}
		}
		s.lookForConflict(headers)
		slices.Reverse(headers)
	} else if headers[0].Number != s.chain.Best().Header.Number+1 && s.chain.Header(headers[0].ParentHash) == nil {
		return // asked by number: our best moved, or it is on a fork of its own
	}
	inserted := 0
	for _, h := range headers {
		err := s.chain.Insert(h, s.clock())
		if err == nil {
			inserted++
		}
		if err == nil || errors.Is(err, ErrKnown) || errors.Is(err, ErrStale) {
			continue
		}
		s.judgeHeader(t.peer, err)
		break
	}
	s.retryPending()
	if inserted > 0 && s.chain.Header(t.hash) == nil {
		s.wantHeader(s.peers[t.peer], t.hash, t.number)
	}
}
