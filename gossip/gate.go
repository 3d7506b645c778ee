package gossip

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/extrinsic"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
)

// Trust is what a node holds for true at one moment: what messages are judged by. It must not be changed
// once it is given.
type Trust struct {
	Root   *checkpoint.Checkpoint // where the node started from; claims about the past begin there
	Head   *checkpoint.Checkpoint // the finalized head; its set finalizes what follows
	Signer grandpa.AuthoritySet   // the set that made the head final; no authorities: not known
	// Recent are the hashes of finalized blocks up to the head, of those that are known in a row.
	Recent []verify.Hash
}

// at returns the finalized hash of a number, if it is known.
func (t *Trust) at(number uint32) (verify.Hash, bool) {
	back := int64(t.Head.Number) - int64(number)
	if back < 0 || back >= int64(len(t.Recent)) {
		return verify.Hash{}, false
	}
	return t.Recent[int64(len(t.Recent))-1-back], true
}

// A Verdict is what is done with a message.
type Verdict byte

const (
	Ignore Verdict = iota // neither passed on nor held against anybody
	Accept                // proven: it is passed on
	Reject                // no honest node sends it: it is held against the sender
)

func (v Verdict) String() string { return [...]string{"ignore", "accept", "reject"}[min(v, 2)] }

// Errors that a Judgement carries, besides those of package bundle and ErrShape.
var (
	// ErrSize: empty, or above MaxMessage.
	ErrSize = errors.New("message too large")
	// ErrKnown: the same bytes, or the same block's finality, came before.
	ErrKnown = errors.New("known already")
	// ErrStale: about a block that is not above our own.
	ErrStale = errors.New("not above our finalized block")
	errOurs  = fmt.Errorf("%w: it is the one that is final here", ErrStale)
	// ErrAhead: signed by a set that the chain has come to after ours; there are changes to catch up on.
	ErrAhead = errors.New("signed by a later set than ours")
	// ErrBusy: the work that its sender, or all peers together, may cause is used up.
	ErrBusy = errors.New("no time for it")
	// ErrNoTrust: the node has nothing yet to judge by.
	ErrNoTrust = errors.New("no trust root yet")
	// ErrUndecided: what the message claims can neither be proven nor refuted here.
	ErrUndecided = errors.New("cannot be decided here")
)

// A Judgement is the verdict on a message and what it brings.
type Judgement struct {
	Verdict Verdict
	Err     error // why it was not accepted

	ID     verify.Hash
	Work   float64 // units that it cost
	Number uint32  // of the block that it makes final, if it says so

	Proof    *grandpa.WarpProof // of Finality, accepted: what the light client is to verify
	Evidence *grandpa.Evidence  // of Evidence, accepted
	Bundle   *bundle.Bundle     // of the other kinds, accepted
	Parcel   *extrinsic.Parcel  // of Transactions, accepted, if it is no bundle
}

// Counts are verdicts since the start, by cause.
type Counts struct {
	Accepted  uint64 `json:"accepted"`
	Rejected  uint64 `json:"rejected"`
	Known     uint64 `json:"known"`
	Stale     uint64 `json:"stale"`
	Ahead     uint64 `json:"ahead"`
	Busy      uint64 `json:"busy"`
	Undecided uint64 `json:"undecided"`
	Work      uint64 `json:"work_units"`
}

// maxKnown is how many messages' names are remembered beyond GossipSub's own memory of two minutes.
const maxKnown = 4096

// A Gate judges messages, from the cheapest check to the dearest, and keeps account of the work that
// each peer causes. It may be used by several goroutines; it reads no clock.
type Gate struct {
	genesis verify.Hash

	mu     sync.Mutex
	trust  *Trust
	peers  map[string]*bucket
	all    bucket
	known  map[verify.Hash]bool
	ring   []verify.Hash // the same, oldest at next
	next   int
	final  map[Kind]uint32 // the highest block whose finality was accepted on a topic
	counts Counts
	// Messages accepted, by Kind.
	accepted [len(kinds)]uint64
	// Accounts of parcels, by neighbour and by signer.
	senders, signers map[string]*bucket
}

// NewGate returns a gate for the chain with that genesis hash.
func NewGate(genesis verify.Hash) *Gate {
	return &Gate{genesis: genesis, peers: make(map[string]*bucket), known: make(map[verify.Hash]bool), final: make(map[Kind]uint32),
		senders: make(map[string]*bucket), signers: make(map[string]*bucket)}
}

// SetTrust gives what to judge by from now on.
func (g *Gate) SetTrust(t *Trust) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trust = t
}

// Trust returns what is judged by; nil if nothing is.
func (g *Gate) Trust() *Trust {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.trust
}

// Counts returns what became of the messages.
func (g *Gate) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// Accepted tells how many messages of each kind were accepted.
func (g *Gate) Accepted() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]uint64, len(kinds))
	for k, n := range g.accepted {
		out[Kind(k).String()] = n
	}
	return out
}

// Spent reports whether a peer has used up what it may cause now, so that what it sends need not even be
// looked at.
func (g *Gate) Spent(now time.Time, peer string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bucket(now, peer).spent(&g.all)
}

// bucket returns a peer's account, filled up to now. One that is full again can be forgotten.
func (g *Gate) bucket(now time.Time, peer string) *bucket {
	g.all.fill(now, allRate, allBurst)
	b := g.peers[peer]
	if b == nil {
		if len(g.peers) >= maxBuckets {
			for id, old := range g.peers {
				idle := now.Sub(old.at)
				if old.left+idle.Seconds()*peerRate >= peerBurst && (!old.useful || idle > forgetUseful) {
					delete(g.peers, id)
				}
			}
		}
		b = new(bucket)
		if len(g.peers) < maxBuckets {
			g.peers[peer] = b
		} else { // nobody is owed a fresh account by leaving and coming again
			b.at = now
		}
	}
	b.fill(now, peerRate, peerBurst)
	return b
}

// spent reports whether nothing is left: of a peer's own units, or of those of all strangers.
func (b *bucket) spent(all *bucket) bool { return b.left <= 0 || !b.useful && all.left <= 0 }

// charge takes units from a peer's account and from that of all, or reports that nothing is left.
func (g *Gate) charge(now time.Time, peer string, units float64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.bucket(now, peer)
	if b.spent(&g.all) {
		return false
	}
	b.left -= units
	if !b.useful {
		g.all.left -= units
	}
	g.counts.Work += uint64(units)
	return true
}

// Own notes a message of our own, so that it is known when it comes back, and its block when another
// node's proof of it comes. It reports whether that is news: false if the block was proven on the topic
// before, or the message is known.
func (g *Gate) Own(k Kind, message []byte, number uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := named(k, message)
	if g.known[id] || number > 0 && number <= g.final[k] || k == FinalityRare && number/Every == g.final[k]/Every {
		return false
	}
	g.remember(id)
	g.final[k] = max(g.final[k], number)
	return true
}

func (g *Gate) remember(id verify.Hash) {
	if g.known[id] {
		return
	}
	g.known[id] = true
	if len(g.ring) < maxKnown {
		g.ring = append(g.ring, id)
		return
	}
	delete(g.known, g.ring[g.next])
	g.ring[g.next] = id
	g.next = (g.next + 1) % maxKnown
}

// Final returns the highest block whose finality was accepted on a topic, or published there.
func (g *Gate) Final(k Kind) uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.final[k]
}

// Judge judges a message that a peer sent on a topic. The order of the checks is that of their cost: the
// size, the network, whether it is known, its form and whether it belongs here, whether it is news, and
// only then votes, proofs and pulses. What is not news is ignored before any vote is looked at.
func (g *Gate) Judge(now time.Time, peer string, k Kind, message []byte) Judgement {
	j := Judgement{ID: named(k, message)}
	j.Verdict, j.Err = g.judge(now, peer, k, message, &j)
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.counts
	switch {
	case j.Verdict == Accept:
		c.Accepted++
		g.accepted[k]++
		g.bucket(now, peer).useful = true
	case j.Verdict == Reject:
		c.Rejected++
		g.bucket(now, peer).useful = false
	case errors.Is(j.Err, ErrKnown):
		c.Known++
	case errors.Is(j.Err, ErrStale):
		c.Stale++
	case errors.Is(j.Err, ErrAhead):
		c.Ahead++
	case errors.Is(j.Err, ErrBusy):
		c.Busy++
	default:
		c.Undecided++
	}
	if j.Verdict != Ignore { // what had no time may be judged when it comes again
		g.remember(j.ID)
	}
	return j
}

func (g *Gate) judge(now time.Time, peer string, k Kind, message []byte, j *Judgement) (Verdict, error) {
	if len(message) == 0 || len(message) > MaxMessage {
		return Reject, fmt.Errorf("%w: %d bytes, 1 to %d allowed", ErrSize, len(message), MaxMessage)
	}
	g.mu.Lock()
	t, known, final := g.trust, g.known[j.ID], g.final[k]
	g.mu.Unlock()
	if known {
		return Ignore, ErrKnown
	}
	if t == nil || t.Head == nil || t.Root == nil {
		return Ignore, ErrNoTrust
	}
	if !g.charge(now, peer, workMessage+float64(len(message))*workByte) {
		return Ignore, ErrBusy
	}
	if k == Evidence {
		return g.judgeEvidence(now, peer, t, message, j)
	}
	if k == Transactions && extrinsic.Is(message) {
		return g.judgeParcel(now, peer, t, message, j)
	}
	if err := bundle.CheckMagic(message); errors.Is(err, bundle.ErrVersion) {
		return Ignore, err // a newer node may know it
	} else if err != nil {
		return Reject, err
	}
	if at := len(bundle.Magic); len(message) < at+len(g.genesis) || [32]byte(message[at:at+32]) != g.genesis {
		return Reject, bundle.ErrNetwork
	}
	x, err := bundle.Decode(message)
	if err != nil {
		return Reject, err
	}
	if err := checkShape(k, x); err != nil {
		return Reject, err
	}
	if k == Finality || k == FinalityRare {
		return g.judgeFinality(now, peer, k, t, final, x, len(message), j)
	}
	return g.judgeClaims(now, peer, t, x, len(message), j)
}

// judgeFinality is for the one kind that comes all the time.
func (g *Gate) judgeFinality(now time.Time, peer string, k Kind, t *Trust, final uint32, x *bundle.Bundle, size int, j *Judgement) (Verdict, error) {
	j.Number = x.Final.Header.Number
	set, conflict := &t.Head.Set, false
	if j.Number <= t.Head.Number {
		// Not news, unless it contradicts what is final here: that has to be looked at.
		ours, ok := t.at(j.Number)
		if ok && ours == x.Final.Header.Hash() {
			return Ignore, errOurs
		}
		if !ok || x.Root.SetID != t.Signer.ID || len(t.Signer.Authorities) == 0 {
			return Ignore, ErrStale
		}
		set, conflict = &t.Signer, true
	} else if j.Number <= final || k == FinalityRare && j.Number/Every == final/Every {
		return Ignore, ErrKnown // another proof of a block that is on its way to the node
	}
	switch {
	case x.Root.SetID > set.ID:
		return Ignore, ErrAhead
	case x.Root.SetID < set.ID:
		return Reject, fmt.Errorf("block %d: %w %d, the chain is at set %d", j.Number, grandpa.ErrSetID, x.Root.SetID, set.ID)
	case len(x.Final.Votes.List) > 2*len(set.Authorities): // each once, and a second time if it equivocated
		return Reject, fmt.Errorf("block %d: %w: %d votes of %d authorities", j.Number, ErrShape, len(x.Final.Votes.List), len(set.Authorities))
	}
	j.Work = workOf(x, size)
	if !g.charge(now, peer, j.Work) {
		return Ignore, ErrBusy
	}
	just, err := x.Final.Justification(set)
	if err != nil {
		return Reject, err
	}
	if conflict {
		if err := just.Verify(set); err != nil {
			return Reject, err
		}
	} else if r := x.Verify(bundle.Options{Checkpoint: t.Head}); r.Outcome != fact.OK {
		return judgeReport(r)
	}
	g.mu.Lock()
	g.final[k] = max(g.final[k], j.Number)
	g.mu.Unlock()
	j.Proof = &grandpa.WarpProof{Fragments: []grandpa.Fragment{{Header: x.Final.Header, Justification: just}}, Finished: true}
	return Accept, nil
}

// judgeClaims is for facts, which begin at the trust root that all nodes share, or at our head.
func (g *Gate) judgeClaims(now time.Time, peer string, t *Trust, x *bundle.Bundle, size int, j *Judgement) (Verdict, error) {
	if x.Final != nil {
		j.Number = x.Final.Header.Number
		if j.Number > t.Head.Number && j.Number-t.Head.Number > math.MaxUint16 {
			return Ignore, ErrAhead
		}
	}
	// Many prove the same, each with a final block of its own.
	facts := factsOf(x)
	if g.Knows(x) {
		return Ignore, ErrKnown
	}
	j.Work = workOf(x, size)
	if !g.charge(now, peer, j.Work) {
		return Ignore, ErrBusy
	}
	r := x.Verify(bundle.Options{Checkpoint: t.Root})
	if r.Outcome == fact.Undecided && j.Number >= t.Head.Number {
		r = x.Verify(bundle.Options{Checkpoint: t.Head})
	}
	if r.Outcome != fact.OK {
		return judgeReport(r)
	}
	j.Bundle = x
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range facts {
		g.remember(id)
	}
	return Accept, nil
}

// factsOf names what a bundle says, whatever it is proven by: nothing for claims that are no such fact.
func factsOf(x *bundle.Bundle) (list []verify.Hash) {
	for _, c := range x.Claims {
		var what string
		commitment := func(id *bundle.CommitID) string {
			return fmt.Sprintf("%d %d %d %x %d %d %x", id.Kind, id.Netuid, id.Mecid, id.Hotkey, id.Epoch, id.Block, id.Hash)
		}
		switch c := c.(type) {
		case bundle.MadeClaim:
			what = commitment(&c.CommitID)
		case bundle.RevealedClaim:
			what = commitment(&c.CommitID)
		case bundle.LostClaim:
			what = commitment(&c.CommitID)
		case bundle.PulseClaim:
			what = fmt.Sprint(c.Round)
		case bundle.IncludedClaim:
			what = fmt.Sprintf("%x %d", c.Hash, c.End)
		default:
			return nil
		}
		list = append(list, verify.Blake2b256([]byte(c.Kind()+" "+what)))
	}
	return list
}

// Knows reports whether all that a bundle says was proven here lately.
func (g *Gate) Knows(x *bundle.Bundle) bool {
	facts := factsOf(x)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range facts {
		if !g.known[id] {
			return false
		}
	}
	return len(facts) > 0
}

func judgeReport(r *bundle.Report) (Verdict, error) {
	i := slices.IndexFunc(r.Lines, func(l bundle.Line) bool { return l.Outcome == r.Outcome })
	if r.Outcome == fact.Failed {
		return Reject, fmt.Errorf("%s: %w", r.Verdict(), r.Lines[i].Err)
	}
	return Ignore, fmt.Errorf("%w: %s: %w", ErrUndecided, r.Verdict(), r.Lines[i].Err)
}

func (g *Gate) judgeEvidence(now time.Time, peer string, t *Trust, message []byte, j *Judgement) (Verdict, error) {
	ev, err := grandpa.DecodeEvidence(message)
	if err != nil {
		return Reject, err
	}
	set := &t.Head.Set
	if ev.SetID != set.ID {
		set = &t.Signer
	}
	if ev.SetID != set.ID || len(set.Authorities) == 0 {
		return Ignore, fmt.Errorf("%w: evidence against set %d", ErrUndecided, ev.SetID)
	}
	j.Work = float64(len(message))*workByte + workOfVotes(ev.Low.Justification) + workOfVotes(ev.High.Justification)
	if !g.charge(now, peer, j.Work) {
		return Ignore, ErrBusy
	}
	if err := ev.Verify(set); err != nil {
		return Reject, err
	}
	j.Number, j.Evidence = ev.Low.Header.Number, ev
	return Accept, nil
}
