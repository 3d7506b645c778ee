package lightclient

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// Finality says where finality is learned from.
type Finality string

const (
	// Follow listens to the commits of the GRANDPA gossip: seconds behind, tens of megabytes a day.
	Follow Finality = "follow"
	// Pull asks for a warp proof from our own finalized block now and then: a few kilobytes each.
	Pull Finality = "pull"
	// None asks nobody: for a node that has to be still. What others hand over is taken.
	None Finality = "none"
)

// Our own limits and times, not the chain's.
const (
	// MaxInFlight requests to one peer: full nodes queue 20 light requests in all, and drop the rest
	// without a word.
	MaxInFlight = 2
	// maxPending commits wait for the headers of their targets.
	maxPending = 8
	// maxAsked bounds the memory of sync/2 requests sent to one peer.
	maxAsked = 512
	// listeners are the peers that commits are taken from; one, while neighbours tell of finality too. Each sends a copy of each commit, 2 kB every
	// block, and more than anything else that is what a light client costs; a lie is refused from any
	// one, and of silence the lag tells, by which another is listened to and finality asked for.
	listeners = 2
	// asleep is the longest that nothing is looked at.
	asleep = 30 * time.Second

	requestTimeout = 15 * time.Second
	warpTimeout    = 30 * time.Second
	busyMin        = 2 * time.Second
	busyMax        = 2 * time.Minute

	banLie         = time.Hour
	banWrongChain  = 24 * time.Hour
	banUnprovable  = 10 * time.Minute
	neighbourEvery = 2 * time.Minute // the protocol's own re-broadcast
	neighbourSame  = time.Minute     // a peer fines an identical packet within this time
)

// A PeerID is a libp2p peer id in its binary form.
type PeerID string

// Events that Sync takes.
type (
	// PeerOpened: a peer accepted our block-announces substream; its genesis is ours.
	PeerOpened struct {
		Peer      PeerID
		Handshake wire.Handshake
	}
	// PeerClosed: the peer, or its block-announces substream, is gone.
	PeerClosed struct{ Peer PeerID }
	// GrandpaOpened: the peer accepted our grandpa substream, so neighbour packets can be sent.
	GrandpaOpened struct{ Peer PeerID }
	// GrandpaRefused: it did not.
	GrandpaRefused struct{ Peer PeerID }
	// Announced: a block announcement.
	Announced struct {
		Peer     PeerID
		Announce wire.Announce
	}
	// Gossiped: a message of the grandpa protocol.
	Gossiped struct {
		Peer    PeerID
		Message wire.GrandpaMessage
	}
	// Answered: a request ended, with a body or an error.
	Answered struct {
		Request *Request
		Body    []byte
		Err     error
	}
	// Ordered: from now on finality is learned otherwise, or there are no connections, or there may be
	// again. Every is between pulls; 0: as before.
	Ordered struct {
		Finality Finality
		Every    time.Duration
		Closed   bool
	}
)

// Actions that Sync returns.
type (
	// A Request is to be sent to its peer; it must be answered by an Answered event.
	Request struct {
		Peer    PeerID
		Kind    RequestKind
		Body    []byte
		Timeout time.Duration
		purpose any
	}
	// Listen opens the grandpa substream to a peer, which then sends commits, or closes it. To open is
	// answered by GrandpaOpened or GrandpaRefused.
	Listen struct {
		Peer PeerID
		On   bool
	}
	// Neighbour is a packet for one peer's grandpa substream.
	Neighbour struct {
		Peer   PeerID
		Packet wire.Neighbor
	}
	// A Penalty is for a peer that lied. Ban 0 means disconnect only.
	Penalty struct {
		Peer   PeerID
		Reason string
		Ban    time.Duration
	}
	// Finalized: blocks became final, oldest first; Skipped says that headers between them and the
	// previous one were not seen (a warp).
	Finalized struct {
		Blocks   []FinalBlock
		Skipped  bool
		Previous uint32
	}
	// SetChanged: a fragment that hands over to the next authority set was verified.
	SetChanged struct {
		Header        *verify.Header
		Justification *grandpa.Justification
		Next          grandpa.AuthoritySet
	}
	// BestChanged: the best header moved.
	BestChanged struct{ Best FinalBlock }
	// Progress of a warp.
	Progress struct {
		Peer      PeerID
		Fragments int // verified in all
		Number    uint32
		Bytes     int
		Took      time.Duration
		Done      bool
	}
	// Rooted: the trust root's header, known by its hash alone before, was fetched and verified.
	Rooted struct {
		Header *verify.Header
		Proof  []byte // of Grandpa.Authorities, if the checkpoint did not hold the set
	}
	// Alarm carries the evidence of two conflicting finalities.
	Alarm struct{ Evidence *grandpa.Evidence }
	// A Remark is for the log: a change that has no action of its own.
	Remark struct{ Text string }
)

// RequestKind is the protocol a request is for.
type RequestKind byte

const (
	WarpRequest RequestKind = iota + 1
	BlockRequest
	LightRequest
)

func (k RequestKind) String() string {
	switch k {
	case WarpRequest:
		return "sync/warp"
	case BlockRequest:
		return "sync/2"
	case LightRequest:
		return "light/2"
	}
	return "?"
}

// ErrUnanswered is what an Answered event carries when a peer closed the substream without a
// response, refused it or let it time out: it is busy or does not have it, which is no lie.
var ErrUnanswered = errors.New("no answer")

// SyncConfig is what Sync needs to know. Times it is given come from the caller.
type SyncConfig struct {
	Checkpoint *checkpoint.Checkpoint
	Finality   Finality
	PullEvery  time.Duration // between pulls; 0: one slot
	Rand       *rand.Rand    // seeds jitter and the choice of peers
}

type syncPeer struct {
	id        PeerID
	best      uint32
	inFlight  int
	busyUntil time.Time
	busy      int // answers missed in a row
	asked     map[verify.Hash]int
	nothing   verify.Hash // our finalized hash above which it had nothing to prove
	listen    bool        // it was asked for commits
	listenAt  time.Time   // when, or when that was given up
	gossip    bool        // its grandpa substream is open
	sent      wire.Neighbor
	sentAt    time.Time
	wants     *headerTarget
}

// Sync decides what to ask whom. It is a state machine: it is fed events and the time by Process,
// returns what is to be done, and does none of it itself. It is not safe for concurrent use.
type Sync struct {
	cfg   SyncConfig
	chain *Chain // nil until the checkpoint's header is known
	peers map[PeerID]*syncPeer
	out   []any
	now   time.Time

	advanced time.Time // when the finalized block last moved
	fed      time.Time // when it was last moved by a proof that nobody was asked for
	told     time.Time // when such a proof was last of the newest blocks, whether it came first or not
	toldFrom time.Time // since when that never stopped
	spared   time.Time // until when finality need not be pulled, for such a proof has brought it
	round    uint64    // highest GRANDPA round seen in the current set
	alarm    *grandpa.Evidence
	upgrade  error           // the chain follows rules we do not know
	doubts   map[PeerID]bool // peers that sent headers of unknown rules since finality last moved

	closed    bool // as ordered: there is nobody to ask
	resolving bool
	warp      warpState
	state     stateRead
	pending   []pendingCommit
	headers   int // header requests in flight
	justify   justifyState
}

// NewSync starts from the checkpoint, or from a later block that the caller has proven from it.
func NewSync(cfg SyncConfig, from *grandpa.Finalized) (*Sync, error) {
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 2))
	}
	if cfg.Finality == "" {
		cfg.Finality = Follow
	}
	if cfg.PullEvery <= 0 {
		cfg.PullEvery = time.Duration(cfg.Checkpoint.SlotDuration) * time.Millisecond
	}
	s := &Sync{cfg: cfg, peers: make(map[PeerID]*syncPeer), round: 1}
	switch {
	case from != nil:
		return s, s.start(*from, nil)
	case cfg.Checkpoint.Ready() == nil:
		return s, s.start(cfg.Checkpoint.Start(), cfg.Checkpoint.Aura)
	}
	return s, nil
}

func (s *Sync) start(from grandpa.Finalized, list []aura.AuthorityID) error {
	c, err := NewChain(from, list)
	if err == nil {
		s.chain = c
		s.warp.needed = true
	}
	return err
}

// Chain returns the chain; nil until the trust root's header is known. It must not be changed.
func (s *Sync) Chain() *Chain { return s.chain }

// Evidence returns the conflict that stopped finality, or nil.
func (s *Sync) Evidence() *grandpa.Evidence { return s.alarm }

// order changes where finality is learned from. Commits come only to whoever has a grandpa substream, and
// cannot be told to stop otherwise.
func (s *Sync) order(o Ordered) {
	if o.Every > 0 {
		s.cfg.PullEvery = o.Every
	}
	if s.closed && !o.Closed && s.chain != nil {
		s.warp.needed = true // whoever was asleep asks at once
	}
	s.closed, s.spared = o.Closed, time.Time{}
	if listens := o.Finality == Follow; listens != (s.cfg.Finality == Follow) {
		for _, p := range s.sorted() {
			if p.listen && !listens {
				s.setListen(p, false)
			}
		}
	}
	s.cfg.Finality = o.Finality
}

// slot is the length of a slot.
func (s *Sync) slot() time.Duration {
	return time.Duration(s.cfg.Checkpoint.SlotDuration) * time.Millisecond
}

// Process takes what happened and returns what is to be done, and when it wants to be called again
// at the latest, should nothing happen.
func (s *Sync) Process(now time.Time, events ...any) (actions []any, wake time.Time) {
	s.now, s.out = now, nil
	if s.advanced.IsZero() {
		s.advanced = now
	}
	before := s.best()
	for _, e := range events {
		s.event(e)
	}
	s.step()
	if best := s.best(); s.chain != nil && best.Hash != before.Hash {
		s.do(BestChanged{best})
	}
	return s.out, now.Add(s.idle())
}

func (s *Sync) best() FinalBlock {
	if s.chain == nil {
		return FinalBlock{}
	}
	return s.chain.Best()
}

// idle is how long nothing needs doing: short while a request could be retried.
func (s *Sync) idle() time.Duration {
	if s.closed {
		return asleep
	}
	if s.chain == nil || s.warp.needed || s.chain.Authorities() == nil {
		return time.Second
	}
	if s.cfg.Finality == Pull {
		return max(time.Second, min(max(s.cfg.PullEvery-s.now.Sub(s.warp.last), s.spared.Sub(s.now)), asleep))
	}
	return max(time.Second, min(s.slot()/2, 5*time.Second))
}

func (s *Sync) do(action any) { s.out = append(s.out, action) }

func (s *Sync) event(e any) {
	switch e := e.(type) {
	case PeerOpened:
		s.peers[e.Peer] = &syncPeer{id: e.Peer, best: e.Handshake.BestNumber, asked: make(map[verify.Hash]int)}
		s.wantHeader(s.peers[e.Peer], e.Handshake.BestHash, e.Handshake.BestNumber)
	case PeerClosed:
		delete(s.peers, e.Peer)
		delete(s.doubts, e.Peer)
	case GrandpaRefused:
		if p := s.peers[e.Peer]; p != nil && p.listen {
			p.listen, p.gossip, p.listenAt = false, false, s.now
		}
	case GrandpaOpened:
		if p := s.peers[e.Peer]; p != nil && p.listen {
			p.gossip = true
			p.sent, p.sentAt = wire.Neighbor{}, time.Time{}
		}
	case Announced:
		if p := s.peers[e.Peer]; p != nil {
			s.announced(p, &e.Announce)
		}
	case Gossiped:
		if p := s.peers[e.Peer]; p != nil {
			s.gossiped(p, &e.Message)
		}
	case Answered:
		s.answered(&e)
	case Ordered:
		s.order(e)
	case Offered:
		s.offered(e.Proof)
	case Told:
		s.heard(e.Number)
	case Accused:
		s.accused(e.Evidence)
	}
}

func (s *Sync) answered(e *Answered) {
	p := s.peers[e.Request.Peer] // nil: it left in between; what it sent is judged all the same
	if p != nil {
		p.inFlight--
		if e.Err != nil {
			p.busy++
			wait := min(busyMin<<min(p.busy-1, 8), busyMax)
			p.busyUntil = s.now.Add(wait/2 + time.Duration(s.cfg.Rand.Int64N(int64(wait))))
		} else {
			p.busy = 0
		}
	}
	switch purpose := e.Request.purpose.(type) {
	case resolveRoot:
		s.rootAnswered(e)
	case *warpAsk:
		s.warpAnswered(purpose, e)
	case *headerTarget:
		s.headersAnswered(purpose, e)
	case *stateAsk:
		s.stateAnswered(purpose, e)
	case *justifyAsk:
		s.justifyAnswered(purpose, e)
	}
}

// step runs what is due. Order matters: a finalized head by warp first, then the list that seals
// need, then headers.
func (s *Sync) step() {
	if s.chain == nil {
		s.resolveRoot()
		return
	}
	if s.alarm == nil {
		s.stepWarp()
		s.stepJustify()
	}
	s.stepState()
	s.retryPending()
	s.stepHeaders()
	s.stepListen()
	s.stepNeighbours()
}

// ask sends a request, if the peer has a free place and was not asked the very same before: a third
// identical sync/2 request is a ban (sync/src/block_request_handler.rs).
func (s *Sync) ask(p *syncPeer, kind RequestKind, body []byte, purpose any) bool {
	if p.inFlight >= MaxInFlight {
		return false
	}
	if kind == BlockRequest {
		key := verify.Blake2b256(body)
		if p.asked[key] >= 2 {
			return false
		}
		if len(p.asked) >= maxAsked {
			clear(p.asked)
		}
		p.asked[key]++
	}
	p.inFlight++
	timeout := requestTimeout
	if kind == WarpRequest {
		timeout = warpTimeout
	}
	s.do(&Request{Peer: p.id, Kind: kind, Body: body, Timeout: timeout, purpose: purpose})
	return true
}

// pick returns the least busy peer that can be asked and that ok allows; ties by chance, so that a
// peer cannot make itself the one that is always asked.
func (s *Sync) pick(ok func(*syncPeer) bool) *syncPeer {
	var best *syncPeer
	ties := 0
	for _, p := range s.sorted() {
		if p.inFlight >= MaxInFlight || s.now.Before(p.busyUntil) || !ok(p) {
			continue
		}
		switch {
		case best == nil || p.inFlight < best.inFlight:
			best, ties = p, 1
		case p.inFlight == best.inFlight:
			ties++
			if s.cfg.Rand.IntN(ties) == 0 {
				best = p
			}
		}
	}
	return best
}

// sorted returns the peers in an order that does not depend on the map, so that a run can be
// repeated from its seed.
func (s *Sync) sorted() []*syncPeer {
	list := make([]*syncPeer, 0, len(s.peers))
	for _, p := range s.peers {
		list = append(list, p)
	}
	sortPeers(list)
	return list
}

// lied drops a peer whose bytes failed verification.
func (s *Sync) lied(id PeerID, ban time.Duration, format string, args ...any) {
	if _, ok := s.peers[id]; ok {
		delete(s.peers, id)
		s.do(Penalty{id, fmt.Sprintf(format, args...), ban})
	}
}

// finalized tells of blocks that became final.
func (s *Sync) finalized(previous grandpa.Finalized, blocks []FinalBlock, skipped bool) {
	if len(blocks) == 0 {
		return
	}
	s.advanced = s.now
	s.upgrade, s.doubts = nil, nil
	final := s.chain.Finalized()
	if final.Set.ID != previous.Set.ID {
		s.round = 1
	}
	s.do(Finalized{Blocks: blocks, Skipped: skipped, Previous: previous.Header.Number})
	s.retryPending()
}

// clock is what seals are judged by. A wall clock behind the finalized head is wrong for certain: the
// check against blocks from the future is suspended, finality never is.
func (s *Sync) clock() aura.Clock {
	c := aura.Clock{SlotDuration: s.cfg.Checkpoint.SlotDuration}
	if ms := s.now.UnixMilli(); ms > 0 && !s.ClockBehind() {
		c.Now = uint64(ms)
	}
	return c
}

// ClockBehind reports whether the wall clock is earlier than the finalized head's slot.
func (s *Sync) ClockBehind() bool {
	if s.chain == nil {
		return false
	}
	slot, err := aura.Slot(s.chain.final.Header)
	return err == nil && s.now.UnixMilli() < int64(slot*s.cfg.Checkpoint.SlotDuration)
}

// unknownRules reports whether err says that the chain has gone past what this version knows.
func unknownRules(err error) bool {
	return errors.Is(err, verify.ErrUnknownEngine) || errors.Is(err, grandpa.ErrUnsupportedChange)
}
