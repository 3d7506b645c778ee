package lightclient

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// A bench feeds a Sync from demo peers in virtual time, without sockets, and holds it to what real
// peers ask of a client.
type bench struct {
	t       *testing.T
	net     *demonet.Network
	s       *Sync
	now     time.Time
	queue   []timed
	peers   map[PeerID]*demonet.Peer
	refuse  func(*Request) bool // requests closed without an answer
	latency time.Duration

	flying    map[PeerID]int
	asked     map[PeerID]map[string]int
	packets   map[PeerID][]wire.Neighbor
	packetAt  map[PeerID]time.Time
	finals    []uint32
	sets      []SetChanged
	penalties []Penalty
	alarm     *grandpa.Evidence
	rooted    *Rooted
	requests  map[RequestKind]int
	deaf      map[PeerID]bool // its grandpa substream is closed: it sends no commits
	in, out   int             // bytes of messages, requests and answers
}

type timed struct {
	at time.Time
	e  any
}

func newBench(t *testing.T, net *demonet.Network, cfg SyncConfig) *bench {
	t.Helper()
	t.Cleanup(net.Stop)
	if cfg.Checkpoint == nil {
		cfg.Checkpoint = net.Checkpoint()
	}
	cfg.Rand = rand.New(rand.NewPCG(7, 7))
	s, err := NewSync(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, net: net, s: s, now: time.Now(), latency: 100 * time.Millisecond,
		peers: make(map[PeerID]*demonet.Peer), flying: make(map[PeerID]int), asked: make(map[PeerID]map[string]int),
		packets: make(map[PeerID][]wire.Neighbor), packetAt: make(map[PeerID]time.Time), requests: make(map[RequestKind]int), deaf: make(map[PeerID]bool)}
	for _, p := range net.Peers() {
		id := PeerID(p.ID())
		b.peers[id] = p
		b.asked[id] = make(map[string]int)
	}
	return b
}

func (b *bench) emit(e any) { b.queue = append(b.queue, timed{b.now, e}) }

// open connects all peers.
func (b *bench) open() {
	best := b.net.Best()
	for id := range b.peers {
		b.emit(PeerOpened{id, wire.Handshake{Role: wire.RoleFull, BestNumber: best.Number, BestHash: best.Hash(), Genesis: b.net.Genesis()}})
		b.deaf[id] = true // until it is asked to listen
	}
}

// step makes a block and announces it from every peer, with the commit of what became final.
func (b *bench) step(announce bool) *verify.Header {
	b.t.Helper()
	before := b.net.Finalized().Hash
	h, err := b.net.Step()
	if err != nil {
		b.t.Fatal(err)
	}
	for id := range b.peers {
		if b.s.peers[id] == nil && len(b.queue) == 0 {
			continue // it is not connected
		}
		if announce {
			a := wire.Announce{Header: h, Best: true}
			b.in += len(a.Append(nil))
			b.emit(Announced{id, a})
		}
		if after := b.net.Finalized(); after.Hash != before && !b.deaf[id] {
			c := b.commit(after)
			b.in += len(wire.AppendCommit(nil, c))
			b.emit(Gossiped{id, wire.GrandpaMessage{Commit: c}})
		}
	}
	return h
}

func (b *bench) commit(f grandpa.Finalized) *grandpa.CommitMessage {
	j, err := b.net.Justification(f.Header.Number)
	if err != nil {
		b.t.Fatal(err)
	}
	set := f.Set.ID
	if change, _ := grandpa.ScheduledChange(f.Header); change != nil {
		set--
	}
	return &grandpa.CommitMessage{Round: j.Round, SetID: set, Commit: j.Commit}
}

// run advances virtual time.
func (b *bench) run(d time.Duration) {
	b.t.Helper()
	end := b.now.Add(d)
	for {
		slices.SortStableFunc(b.queue, func(x, y timed) int { return x.at.Compare(y.at) })
		var events []any
		for len(b.queue) > 0 && !b.queue[0].at.After(b.now) {
			if a, ok := b.queue[0].e.(Answered); ok {
				b.flying[a.Request.Peer]--
			}
			events = append(events, b.queue[0].e)
			b.queue = b.queue[1:]
		}
		actions, wake := b.s.Process(b.now, events...)
		for _, a := range actions {
			b.act(a)
		}
		if c := b.s.Chain(); c != nil {
			if err := c.Check(); err != nil {
				b.t.Fatal(err)
			}
			f := c.Finalized()
			if h := b.net.Header(f.Header.Number); h == nil || h.Hash() != f.Hash {
				b.t.Fatalf("FALSE FINAL: block %d %s", f.Header.Number, f.Hash)
			}
		}
		if !b.now.Before(end) {
			return
		}
		if len(b.queue) > 0 && b.queue[0].at.Before(wake) {
			wake = b.queue[0].at
		}
		if wake.After(end) {
			wake = end
		}
		if wake.After(b.now) {
			b.now = wake
		}
	}
}

func (b *bench) act(action any) {
	switch a := action.(type) {
	case *Request:
		b.requests[a.Kind]++
		if b.flying[a.Peer]++; b.flying[a.Peer] > MaxInFlight {
			b.t.Errorf("%d requests in flight to one peer", b.flying[a.Peer])
		}
		if a.Kind == BlockRequest {
			if b.asked[a.Peer][string(a.Body)]++; b.asked[a.Peer][string(a.Body)] > 2 {
				b.t.Errorf("the same sync/2 request %d times to one peer: it bans at the third", b.asked[a.Peer][string(a.Body)])
			}
		}
		answer := Answered{Request: a, Err: ErrUnanswered}
		if b.refuse == nil || !b.refuse(a) {
			names := wire.Names(b.net.Genesis())
			name := map[RequestKind]string{WarpRequest: names.Warp, BlockRequest: names.Sync, LightRequest: names.Light}[a.Kind]
			if body, err := b.peers[a.Peer].Answer(context.Background(), name, a.Body); err == nil {
				answer.Body, answer.Err = body, nil
			}
		}
		b.out += len(a.Body)
		b.in += len(answer.Body)
		b.queue = append(b.queue, timed{b.now.Add(b.latency), answer})
	case Listen:
		if b.deaf[a.Peer] = !a.On; a.On {
			b.emit(GrandpaOpened{a.Peer})
		}
	case Neighbour:
		b.out += len(wire.AppendNeighbor(nil, a.Packet))
		list := b.packets[a.Peer]
		if n := len(list); n > 0 {
			last := list[n-1]
			if a.Packet.SetID < last.SetID || a.Packet.SetID == last.SetID && (a.Packet.Round < last.Round || a.Packet.Height < last.Height) {
				b.t.Errorf("neighbour packet %+v after %+v", a.Packet, last)
			}
			if a.Packet == last && b.now.Sub(b.packetAt[a.Peer]) < neighbourSame {
				b.t.Errorf("the same neighbour packet after %v", b.now.Sub(b.packetAt[a.Peer]))
			}
		}
		b.packets[a.Peer], b.packetAt[a.Peer] = append(list, a.Packet), b.now
	case Finalized:
		for _, f := range a.Blocks {
			b.finals = append(b.finals, f.Header.Number)
		}
	case SetChanged:
		b.sets = append(b.sets, a)
	case Penalty:
		b.penalties = append(b.penalties, a)
	case Alarm:
		b.alarm = a.Evidence
	case Rooted:
		b.rooted = &a
	}
}

// at fails unless exactly that much is final and nobody was punished.
func (b *bench) at(number uint32) {
	b.t.Helper()
	if got := b.s.Chain().Finalized().Header.Number; got != number {
		b.t.Fatalf("block %d is final, want %d", got, number)
	}
	if len(b.penalties) > 0 {
		b.t.Fatalf("penalties: %+v", b.penalties)
	}
}

func demo(t *testing.T, cfg demonet.Config) *demonet.Network {
	t.Helper()
	if cfg.BlockTime == 0 {
		cfg.BlockTime = 2 * time.Second
	}
	cfg.Quiet = true // what validators commit is not what these tests are about, and makes blocks slow
	net, err := demonet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func TestWarpAndFollow(t *testing.T) {
	net := demo(t, demonet.Config{History: 100, SetChangeEvery: 12, Slack: 2000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	b.at(net.Finalized().Header.Number)
	if got, want := len(b.sets), int(net.Finalized().Set.ID); got != want {
		t.Errorf("%d set changes reported, the chain had %d", got, want)
	}
	warps := b.requests[WarpRequest]
	for range 60 {
		b.step(true)
		b.run(2 * time.Second)
		b.at(net.Finalized().Header.Number)
	}
	if b.requests[WarpRequest] != warps {
		t.Errorf("%d warp requests while the gossip was enough", b.requests[WarpRequest]-warps)
	}
	for i := 1; i < len(b.finals); i++ {
		if b.finals[i] <= b.finals[i-1] {
			t.Fatalf("finalized %d after %d", b.finals[i], b.finals[i-1])
		}
	}
	for id, list := range b.packets {
		if len(list) < 60 {
			t.Errorf("peer %x was sent %d neighbour packets over 60 blocks", id, len(list))
		}
	}
}

// TestMissedAnnouncements: with most announcements and commits lost, gaps are filled by request.
func TestMissedAnnouncements(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, FinalityLag: 3, Slack: 2000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	for i := range 100 {
		b.step(i%7 == 0)
		b.run(2 * time.Second)
	}
	b.step(true)
	b.run(5 * time.Second)
	b.at(net.Finalized().Header.Number)
	if b.s.Chain().Best().Header.Number != net.Best().Number {
		t.Errorf("best is %d, the chain's is %d", b.s.Chain().Best().Header.Number, net.Best().Number)
	}
	if b.requests[BlockRequest] == 0 {
		t.Error("no header was asked for")
	}
}

func TestForks(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: 15, FinalityLag: 6, Slack: 2000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	for i := range 40 {
		b.step(true)
		if i%5 == 4 {
			branch, err := net.Fork(3, 2+i%4)
			if err != nil {
				t.Fatal(err)
			}
			for id := range b.peers {
				for _, h := range branch {
					b.emit(Announced{id, wire.Announce{Header: h}})
				}
			}
		}
		b.run(2 * time.Second)
	}
	b.run(time.Minute)
	b.at(net.Finalized().Header.Number)
}

// TestPull: finality by warp request alone, a few kilobytes each.
func TestPull(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: 10, Slack: 4000})
	b := newBench(t, net, SyncConfig{Finality: Pull, PullEvery: time.Minute})
	b.open()
	b.run(5 * time.Second)
	before := b.requests[WarpRequest]
	for range 300 { // ten minutes
		b.step(false)
		b.queue = slices.DeleteFunc(b.queue, func(q timed) bool { _, ok := q.e.(Gossiped); return ok })
		b.run(2 * time.Second)
	}
	b.run(time.Minute + time.Second)
	b.at(net.Finalized().Header.Number)
	if got := b.requests[WarpRequest] - before; got > 13 {
		t.Errorf("%d warp requests in eleven minutes at one a minute", got)
	}
	if len(b.packets) != 0 {
		t.Error("neighbour packets sent although finality is pulled")
	}
}

// TestSilentGossip: when commits stop coming, finality is asked for.
func TestSilentGossip(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, Slack: 4000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	for range 60 {
		b.step(true)
		b.queue = slices.DeleteFunc(b.queue, func(q timed) bool { _, ok := q.e.(Gossiped); return ok })
		b.run(2 * time.Second)
	}
	if got, want := b.s.Chain().Finalized().Header.Number, net.Finalized().Header.Number; got+20 < want {
		t.Errorf("block %d is final, the chain is at %d", got, want)
	}
}

// TestJustificationFallback: peers that answer no warp request still have the justifications beside
// every 512th block.
func TestJustificationFallback(t *testing.T) {
	net := demo(t, demonet.Config{History: 1100, SetChangeEvery: -1, Slack: 100})
	b := newBench(t, net, SyncConfig{})
	b.refuse = func(r *Request) bool { return r.Kind == WarpRequest }
	b.open()
	b.run(3 * time.Minute)
	if got := b.s.Chain().Finalized().Header.Number; got != 1024 {
		t.Errorf("block %d is final, want 1024", got)
	}
}

// TestBusyPeers: refusals are no lies, requests back off, and nothing is asked a third time.
func TestBusyPeers(t *testing.T) {
	net := demo(t, demonet.Config{History: 30, Slack: 4000})
	b := newBench(t, net, SyncConfig{})
	r := rand.New(rand.NewPCG(3, 4))
	b.refuse = func(*Request) bool { return r.IntN(3) > 0 }
	b.open()
	for range 200 {
		b.step(r.IntN(4) == 0)
		b.run(2 * time.Second)
	}
	// Some of it got through all the same, and when the peers have time again all of it does.
	if got := b.s.Chain().Finalized().Header.Number; got < 30 {
		t.Errorf("block %d is final after 400 s among busy peers", got)
	}
	b.refuse = nil
	for range 150 {
		b.step(true)
		b.run(2 * time.Second)
	}
	b.at(net.Finalized().Header.Number)
}

// TestPinned: a checkpoint of number, hash and set id fetches its header and its set, which prove
// themselves, and goes on from there.
func TestPinned(t *testing.T) {
	net := demo(t, demonet.Config{History: 60, SetChangeEvery: 12})
	at := net.Header(50)
	full := net.Checkpoint()
	pinned := &checkpoint.Checkpoint{Network: "demo", Genesis: full.Genesis, SlotDuration: full.SlotDuration,
		Number: 50, Hash: at.Hash(), Set: grandpa.AuthoritySet{ID: 4}}
	b := newBench(t, net, SyncConfig{Checkpoint: pinned})
	b.open()
	b.run(10 * time.Second)
	if b.rooted == nil || b.rooted.Header.Number != 50 || b.rooted.Proof == nil {
		t.Fatalf("not rooted: %+v", b.rooted)
	}
	b.at(net.Finalized().Header.Number)
}

// TestUnlinkedCheckpoint: when every peer's proof is signed by strangers, the trust root is what is
// wrong. The peers are kept, and the reason is said.
func TestUnlinkedCheckpoint(t *testing.T) {
	net := demo(t, demonet.Config{History: 30, SetChangeEvery: -1})
	cp := net.Checkpoint()
	other := demo(t, demonet.Config{Seed: "others"})
	defer other.Stop()
	cp.Set = other.Checkpoint().Set
	b := newBench(t, net, SyncConfig{Checkpoint: cp})
	b.open()
	b.run(30 * time.Second)
	b.at(0)
	if b.s.warp.unproven == nil {
		t.Error("nothing says that the checkpoint does not lead to the peers' finality")
	}
}

// TestClockBehind: a clock ten minutes slow takes every fresh block for one from the future. Finality
// goes on, shows the clock to be wrong, and so ends the suspicion.
func TestClockBehind(t *testing.T) {
	clock := time.Now()
	net := demo(t, demonet.Config{History: 20, Slack: 1, Clock: func() time.Time { return clock }})
	b := newBench(t, net, SyncConfig{})
	b.now = clock.Add(-10 * time.Minute)
	b.open()
	for range 60 {
		clock = clock.Add(2 * time.Second)
		b.step(true)
		b.run(2 * time.Second)
	}
	if got, want := b.s.Chain().Finalized().Header.Number, net.Finalized().Header.Number; got+3 < want {
		t.Errorf("block %d is final, the chain is at %d", got, want)
	}
	if len(b.penalties) > 0 {
		t.Errorf("peers punished for our clock: %+v", b.penalties)
	}
}

// TestEvidence: a valid finality beside ours, at our height and above it, is evidence whichever comes
// first, and stops finality.
func TestEvidence(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 2000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	for range 3 {
		b.step(true)
		b.run(2 * time.Second)
	}
	final := b.s.Chain().Finalized()
	set, _, theirs, err := net.Conflict()
	if err != nil {
		t.Fatal(err)
	}
	for id := range b.peers {
		c := theirs.Justification
		b.emit(Gossiped{id, wire.GrandpaMessage{Commit: &grandpa.CommitMessage{Round: c.Round, SetID: set.ID, Commit: c.Commit}}})
	}
	b.run(20 * time.Second)
	if b.alarm == nil {
		t.Fatal("no alarm")
	}
	if err := b.alarm.Verify(&set); err != nil {
		t.Errorf("evidence does not verify: %v", err)
	}
	for range 10 {
		b.step(true)
		b.run(2 * time.Second)
	}
	if got := b.s.Chain().Finalized(); got.Hash != final.Hash {
		t.Errorf("finality went on to block %d", got.Header.Number)
	}
}

// TestUnknownEngine: a header of rules we do not know is one peer's word until most say so, and then
// only until finality moves on.
func TestUnknownEngine(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 2000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	strange := *net.Best()
	strange.ParentHash, strange.Number = net.Best().Hash(), strange.Number+1
	strange.Digest = append([]verify.DigestItem{{Type: verify.DigestPreRuntime, Engine: verify.EngineID{'B', 'A', 'B', 'E'}, Data: []byte{1}}}, strange.Digest[1:]...)
	for i, p := range b.s.sorted() {
		b.emit(Announced{p.id, wire.Announce{Header: &strange}})
		b.run(time.Second)
		if said := b.s.upgrade != nil; said != (i >= 1) {
			t.Errorf("after %d of 3 peers: upgrade %v", i+1, b.s.upgrade)
		}
	}
	b.step(true)
	b.step(true)
	b.run(5 * time.Second)
	b.at(net.Finalized().Header.Number)
	if b.s.upgrade != nil {
		t.Errorf("finality moved on, and still: %v", b.s.upgrade)
	}
}

// TestWarpConflict: a warp answer with a valid finality for another block at our height is evidence.
func TestWarpConflict(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 2000})
	b := newBench(t, net, SyncConfig{Finality: Pull, PullEvery: time.Minute})
	b.open()
	b.run(5 * time.Second)
	set, _, theirs, err := net.Conflict()
	if err != nil {
		t.Fatal(err)
	}
	if ev := b.s.chain.Contradicts(theirs.Header, theirs.Justification); ev == nil || ev.Verify(&set) != nil {
		t.Fatal("no evidence")
	}
	ours := b.s.chain.Finalized()
	if ev := b.s.chain.Contradicts(ours.Header, ours.Justification); ev != nil {
		t.Error("our own finality contradicts itself")
	}
	spoiled := *theirs.Justification
	spoiled.Commit.Precommits = slices.Clone(spoiled.Commit.Precommits)
	spoiled.Commit.Precommits[0].Signature[3] ^= 1
	if ev := b.s.chain.Contradicts(theirs.Header, &spoiled); ev != nil {
		t.Error("evidence from a justification that does not verify")
	}
}
