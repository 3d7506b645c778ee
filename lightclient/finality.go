package lightclient

import (
	"errors"
	"fmt"
	"time"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
)

// justificationPeriod is how often full nodes keep a justification beside the block
// (node/src/service.rs: GRANDPA_JUSTIFICATION_PERIOD).
const justificationPeriod = 512

// A pendingCommit waits for the headers of its target or of what its votes are for.
type pendingCommit struct {
	peer    PeerID
	message *grandpa.CommitMessage
	at      time.Time
}

func isFuture(err error) bool { return errors.Is(err, aura.ErrFuture) }

// gossiped takes a message of the grandpa protocol. Votes and catch-ups are for voters.
func (s *Sync) gossiped(p *syncPeer, m *wire.GrandpaMessage) {
	if s.chain == nil {
		return
	}
	switch {
	case m.Neighbor != nil:
		if m.Neighbor.SetID == s.chain.Finalized().Set.ID {
			p.best = max(p.best, m.Neighbor.Height)
		}
	case m.Commit != nil:
		if s.alarm == nil {
			s.commit(p.id, m.Commit)
		}
	}
}

// commit applies a commit, or keeps it until what it needs has been fetched.
func (s *Sync) commit(from PeerID, m *grandpa.CommitMessage) {
	before := s.chain.Finalized()
	blocks, err := s.chain.Commit(m)
	switch {
	case err == nil:
		s.round = max(s.round, m.Round)
		s.tellSet(before, blocks)
		s.finalized(before, blocks, false)
	case errors.Is(err, ErrStale):
	case errors.Is(err, ErrDisputed):
		s.keepPending(from, m) // its header is what the evidence lacks
	case errors.Is(err, ErrOtherSet):
		// Commits of a later set: there are set changes to catch up on.
		s.warp.needed = s.warp.needed || m.SetID > before.Set.ID
	case errors.Is(err, ErrCrossesChange):
		s.warp.needed = true
	case errors.Is(err, ErrUnknownTarget), errors.Is(err, grandpa.ErrAncestry):
		s.keepPending(from, m)
	case unknownRules(err):
		s.upgrade = err
	default:
		s.lied(from, banLie, "commit for %d: %v", m.Commit.TargetNumber, err)
	}
}

// tellSet reports a set change that a commit made final.
func (s *Sync) tellSet(before grandpa.Finalized, blocks []FinalBlock) {
	if after := s.chain.Finalized(); after.Set.ID != before.Set.ID && len(blocks) > 0 {
		s.do(SetChanged{Header: after.Header, Justification: after.Justification, Next: after.Set})
	}
}

func (s *Sync) keepPending(from PeerID, m *grandpa.CommitMessage) {
	for _, c := range s.pending {
		if c.message.Commit.TargetHash == m.Commit.TargetHash && c.peer == from {
			return
		}
	}
	if len(s.pending) >= maxPending {
		s.pending = append(s.pending[:0], s.pending[1:]...)
	}
	s.pending = append(s.pending, pendingCommit{from, m, s.now})
	s.wantFor(from, m)
}

// wantFor asks the sender of a commit for the headers it lacks.
func (s *Sync) wantFor(from PeerID, m *grandpa.CommitMessage) {
	// The highest vote is the block to have: fetching down from it brings the target too.
	hash, number := m.Commit.TargetHash, m.Commit.TargetNumber
	for i := range m.Commit.Precommits {
		if v := &m.Commit.Precommits[i]; v.TargetNumber > number && v.TargetNumber-m.Commit.TargetNumber < wire.MaxBlocks {
			hash, number = v.TargetHash, v.TargetNumber
		}
	}
	p := s.peers[from]
	switch {
	case p == nil || s.chain.Header(hash) != nil || p.wants != nil && p.wants.asked:
	case p.wants == nil || p.wants.number <= number:
		p.wants = &headerTarget{peer: from, hash: hash, number: number, commit: true}
	case number > s.chain.Finalized().Header.Number:
		p.wants.commit = true // a higher block is to be fetched, and the target on the way down from it
	}
}

// retryPending looks again at commits whose headers may have come. Each is judged once more and then
// either applied, kept by commit, or forgotten.
func (s *Sync) retryPending() {
	if s.alarm != nil || len(s.pending) == 0 {
		return
	}
	list := s.pending
	s.pending = nil
	for _, c := range list {
		switch {
		case s.now.Sub(c.at) > s.lag():
		case s.chain.Header(c.message.Commit.TargetHash) == nil:
			s.pending = append(s.pending, c)
			s.wantFor(c.peer, c.message)
		default:
			s.commit(c.peer, c.message)
		}
	}
}

// lookForConflict tries the commits that wait for a fetched chain of headers (descending) when that
// chain does not pass through our finalized block.
func (s *Sync) lookForConflict(headers []*verify.Header) {
	final := s.chain.Finalized()
	lowest := headers[len(headers)-1]
	if s.alarm != nil || lowest.Number > final.Header.Number+1 ||
		lowest.Number == final.Header.Number+1 && lowest.ParentHash == final.Hash {
		return
	}
	for i, c := range s.pending {
		ev, err := s.chain.Dispute(c.message, headers)
		if err == nil {
			s.raise(ev)
			return
		}
		if c.message.Commit.TargetNumber <= final.Header.Number && c.message.Commit.TargetHash == headers[0].Hash() {
			s.pending = append(s.pending[:i], s.pending[i+1:]...) // it was answered, and proves nothing
			return
		}
	}
}

// raise stops finality: two valid finalities contradict one another, and which is right is not ours
// to choose. What was final before stays shown, with the alarm.
func (s *Sync) raise(ev *grandpa.Evidence) {
	if s.alarm == nil {
		s.alarm = ev
		s.pending = nil
		s.do(Alarm{ev})
	}
}

// stepListen keeps to as many peers for commits as are needed. When finality stands still, the one that was
// listened to for longest gives way to another.
func (s *Sync) stepListen() {
	if s.cfg.Finality != Follow || s.closed || s.alarm != nil {
		return
	}
	var oldest, next *syncPeer
	on := 0
	for _, p := range s.sorted() {
		switch {
		case p.listen:
			on++
			if oldest == nil || p.listenAt.Before(oldest.listenAt) {
				oldest = p
			}
		case !p.listenAt.IsZero() && s.now.Sub(p.listenAt) < neighbourSame: // it was just given up
		case next == nil || p.listenAt.Before(next.listenAt):
			next = p
		}
	}
	want := listeners
	if s.relieved() {
		want = 1
	}
	if on > want {
		s.setListen(oldest, false)
		return
	}
	if next == nil {
		return
	}
	if on >= want {
		if s.now.Sub(s.advanced) < s.lag() || s.now.Sub(oldest.listenAt) < neighbourSame {
			return
		}
		s.setListen(oldest, false)
	}
	s.setListen(next, true)
	s.stepListen()
}

func (s *Sync) setListen(p *syncPeer, on bool) {
	p.listen, p.gossip, p.listenAt = on, false, s.now
	s.do(Listen{p.id, on})
}

// stepNeighbours tells peers our view, without which they send no commits. Packets are monotone; the
// same one again only after two minutes (an identical packet within one minute is fined).
func (s *Sync) stepNeighbours() {
	if s.cfg.Finality != Follow || s.alarm != nil {
		return
	}
	final := s.chain.Finalized()
	packet := wire.Neighbor{Round: s.round, SetID: final.Set.ID, Height: final.Header.Number}
	for _, p := range s.sorted() {
		if !p.gossip {
			continue
		}
		since := s.now.Sub(p.sentAt)
		if !p.sentAt.IsZero() {
			same := p.sent == packet
			behind := packet.SetID < p.sent.SetID || packet.SetID == p.sent.SetID &&
				(packet.Round < p.sent.Round || packet.Round == p.sent.Round && packet.Height < p.sent.Height)
			if behind || same && since < neighbourEvery {
				continue
			}
		}
		p.sent, p.sentAt = packet, s.now
		s.do(Neighbour{p.id, packet})
	}
}

// justifyState is the last resort for finality where warp requests are not answered: the
// justifications that full nodes keep beside every 512th block.
type justifyState struct {
	asked *justifyAsk
	last  time.Time
}

type justifyAsk struct{ number uint32 }

func (s *Sync) stepJustify() {
	j := &s.justify
	if j.asked != nil || s.cfg.Finality == None || s.warp.refused < 2 || s.now.Sub(j.last) < s.lag() {
		return
	}
	final := s.chain.Finalized().Header.Number
	p := s.pick(func(p *syncPeer) bool { return p.best/justificationPeriod*justificationPeriod > final })
	if p == nil {
		return
	}
	ask := &justifyAsk{p.best / justificationPeriod * justificationPeriod}
	req := wire.BlockRequest{Fields: wire.FieldHeader | wire.FieldJustification, Number: ask.number, Max: 1, Justifications: true}
	if s.ask(p, BlockRequest, req.Append(nil), ask) {
		j.asked, j.last = ask, s.now
	}
}

func (s *Sync) justifyAnswered(ask *justifyAsk, e *Answered) {
	s.justify.asked = nil
	if e.Err != nil || s.alarm != nil {
		return
	}
	blocks, err := wire.DecodeBlockResponse(e.Body, 1)
	if err == nil && len(blocks) == 1 {
		err = s.applyJustification(ask, &blocks[0])
	}
	switch {
	case err == nil, errors.Is(err, ErrStale), errors.Is(err, ErrCrossesChange):
	case errors.Is(err, grandpa.ErrSigner):
		s.warp.unproven = fmt.Errorf("justification of block %d: %w", ask.number, err)
	default:
		s.lied(e.Request.Peer, banLie, "justification of block %d: %v", ask.number, err)
	}
}

func (s *Sync) applyJustification(ask *justifyAsk, b *wire.Block) error {
	h, err := verify.DecodeHeader(b.Header)
	if err != nil {
		return err
	}
	if h.Number != ask.number {
		return fmt.Errorf("header %d instead", h.Number)
	}
	for _, ej := range b.Justifications {
		if ej.Engine != verify.EngineGrandpa {
			continue
		}
		j, err := grandpa.DecodeJustification(ej.Data)
		if err != nil {
			return err
		}
		before := s.chain.Finalized()
		blocks, err := s.chain.Justify(h, j)
		if err != nil {
			return err
		}
		s.warp.needed = false
		s.tellSet(before, blocks)
		s.finalized(before, blocks, len(blocks) == 1 && h.Number != before.Header.Number+1)
		return nil
	}
	return nil
}
