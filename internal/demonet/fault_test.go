package demonet

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// lies says for each fault what a client must see of it. A liar that did not lie would make a
// client's tests worth nothing, so each is looked at here with the verifiers, and beside it whether
// the rest of what the peer does is honest.
var lies = map[FaultKind]func(t *testing.T, l *light, p *Peer){
	Silent:                 seeSilent,
	Busy:                   seeBusy,
	Full:                   seeFull,
	WrongGenesis:           seeWrongGenesis,
	LateFinality:           seeLateFinality,
	Stale:                  seeStale,
	SlowLink:               seeSlowLink,
	Garbage:                seeGarbage,
	LieHeader:              seeHeader,
	LieHeaderSeal:          seeHeaderSeal,
	LieBody:                seeBody,
	LieJustification:       seeJustification(grandpa.ErrSignature),
	LieJustificationTarget: seeJustification(grandpa.ErrAncestry, grandpa.ErrTarget),
	LieRead:                seeRead,
	LieReadOther:           seeRead,
	LieReadMissing:         seeReadMissing,
	LieReadUnused:          seeReadUnused,
	LieCall:                seeCall,
	LieCallMissing:         seeCall,
	LieWarpSignature:       seeWarp(grandpa.ErrSignature),
	LieWarpSet:             seeWarp(grandpa.ErrSigner),
	LieWarpTarget:          seeWarp(grandpa.ErrAncestry, grandpa.ErrTarget),
	LieWarpEmpty:           seeWarpEmpty,
	LieAnnounceSeal:        seeAnnounceSeal,
	LieAnnounceParent:      seeAnnounceParent,
	LieCommitSignature:     seeCommit(grandpa.ErrSignature),
	LieCommitTarget:        seeCommit(grandpa.ErrAncestry, grandpa.ErrTarget),
	LieNeighbor:            seeNeighbor,
	LieKad:                 seeKad,
}

func TestFaults(t *testing.T) {
	for _, kind := range FaultKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			see := lies[kind]
			if see == nil {
				t.Fatal("nobody looks at this fault")
			}
			if k, err := ParseFaultKind(kind.String()); k != kind || err != nil {
				t.Fatalf("its name is %v: %v", k, err)
			}
			n := network(t, Config{Peers: 1, SetChangeEvery: 8, FinalityLag: 2, Faults: []Fault{{Kind: kind, Blocks: 5, Rate: 20_000}}})
			l, p := enter(t, n), n.Peers()[0]
			see(t, l, p)
			switch kind {
			case Silent, Busy, Full, WrongGenesis, LateFinality, Stale, SlowLink, Garbage:
				return // of the whole peer
			}
			var wrong []string
			for what, err := range honesty(t, l, p) {
				if err != nil {
					wrong = append(wrong, what)
				}
			}
			if len(wrong) > 1 || len(wrong) == 1 && wrong[0] != kind.Protocol() {
				t.Errorf("a fault on %s spoils %v", kind.Protocol(), wrong)
			}
		})
	}
}

// honesty asks everything there is to ask, and returns for each protocol what was wrong.
func honesty(t *testing.T, l *light, p *Peer) map[string]error {
	t.Helper()
	out := make(map[string]error)
	note := func(protocol string, err error) {
		if out[protocol] == nil {
			out[protocol] = err
		}
	}
	set := l.net.Finalized()
	for _, b := range l.blocks(p, wire.BlockRequest{Fields: wire.FieldHeader | wire.FieldBody | wire.FieldJustification, Number: 15, Max: 3, Justifications: true}) {
		h, err := verify.DecodeHeader(b.Header)
		note("sync/2", err)
		want := l.net.Header(h.Number)
		if h.Hash() != want.Hash() || trie.OrderedRoot(b.Body) != want.ExtrinsicsRoot {
			note("sync/2", errors.New("header or body"))
		}
		for _, j := range b.Justifications {
			d, err := grandpa.DecodeJustification(j.Data)
			note("sync/2", err)
			old := l.net.keys.grandpaSet(uint64(h.Number-1) / 8)
			note("sync/2", d.Verify(&old))
		}
	}
	key := verify.StorageKey("Timestamp", "Now")
	proof, _ := l.read(p, set.Header, key)
	note("light/2", proves(set.Header, proof, key))
	q := wire.CallRequest{Block: set.Hash, Method: "AuraApi_authorities"}
	_, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil)))
	note("light/2", err)
	if ok {
		note("light/2", errors.New("a proof of a call that nobody can execute"))
	}
	w := l.warp(p, l.net.Genesis())
	to, _, err := w.Verify(l.cp.Start())
	note("sync/warp", err)
	if to.Hash != set.Hash || !w.Finished {
		note("sync/warp", errors.New("does not lead to the finalized block"))
	}
	m, err := wire.DecodeKad(l.request(p, l.names.Kad, wire.AppendFindNode(nil, []byte(p.ID()))))
	note("kad", err)
	if len(m.Closer) > 0 {
		note("kad", errors.New("there are no other peers"))
	}
	return out
}

// proves returns nil if a proof has the keys, present, and nothing else.
func proves(h *verify.Header, proof []byte, keys ...[]byte) error {
	nodes, err := trie.DecodeProof(proof)
	if err != nil {
		return err
	}
	p, err := trie.NewProof(h.StateRoot, nodes)
	if err != nil {
		return err
	}
	for _, k := range keys {
		switch _, o, err := p.Get(k); {
		case err != nil:
			return err
		case o == trie.Incomplete:
			return errIncomplete
		case o != trie.Present:
			return errors.New("absent")
		}
	}
	return p.CheckUsed(keys...)
}

var errIncomplete = errors.New("incomplete")

func oneOf(t *testing.T, err error, want []error) {
	t.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	t.Errorf("the verifier says %v, want one of %v", err, want)
}

func (l *light) connect(p *Peer) {
	l.t.Helper()
	if err := l.host.Connect(l.ctx, p.AddrInfo()); err != nil {
		l.t.Fatal(err)
	}
}

func seeSilent(t *testing.T, l *light, p *Peer) {
	l.connect(p)
	ctx, cancel := context.WithCancel(l.ctx)
	done := make(chan error)
	go func() {
		_, err := l.announces.Open(ctx, p.ID())
		done <- err
	}()
	go func() {
		_, err := l.host.Request(ctx, p.ID(), l.names.Warp, make([]byte, 32), 1000)
		done <- err
	}()
	for deadline := time.Now().Add(patience); p.Stats().Requests["sync/warp"] == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the request did not arrive")
		}
	}
	select {
	case err := <-done:
		t.Errorf("a silent peer answered: %v", err)
	default:
	}
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a silent peer answered: %v", err)
		}
	}
}

func seeBusy(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	for _, name := range []string{l.names.Warp, l.names.Sync, l.names.Light, l.names.Kad} {
		if _, err := l.host.Request(l.ctx, p.ID(), name, make([]byte, 32), 1000); !errors.Is(err, p2p.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := p.Stats(); s.Unanswered != 4 {
		t.Errorf("%d requests closed", s.Unanswered)
	}
}

func seeFull(t *testing.T, l *light, p *Peer) {
	l.connect(p)
	if _, err := l.announces.Open(l.ctx, p.ID()); !errors.Is(err, p2p.ErrRefused) {
		t.Error(err)
	}
}

func seeWrongGenesis(t *testing.T, l *light, p *Peer) {
	l.connect(p)
	b, err := l.announces.Open(l.ctx, p.ID())
	if err != nil {
		t.Fatal(err)
	}
	if h, err := wire.DecodeHandshake(b); err != nil || h.Genesis == l.net.Genesis() {
		t.Errorf("genesis %v, %v", h.Genesis, err)
	}
}

func seeLateFinality(t *testing.T, l *light, p *Peer) {
	h := l.dial(p)
	final := l.net.Finalized().Header.Number
	if h.BestNumber != l.net.Best().Number {
		t.Errorf("best is %d", h.BestNumber)
	}
	to, _, err := l.warp(p, l.net.Genesis()).Verify(l.cp.Start())
	if err != nil || to.Header.Number != final-5 {
		t.Errorf("warp leads to block %d of %d, %v", to.Header.Number, final, err)
	}
	l.listen(p, wire.Neighbor{Round: 1, SetID: to.Set.ID, Height: to.Header.Number})
	if err := l.net.Steps(1); err != nil {
		t.Fatal(err)
	}
	if m, _ := l.message(wire.GrandpaCommit); m.Commit.Commit.TargetNumber != final-4 {
		t.Errorf("commit for block %d of %d", m.Commit.Commit.TargetNumber, final+1)
	}
}

func seeStale(t *testing.T, l *light, p *Peer) {
	was := l.net.Best().Number
	if err := l.net.Steps(5); err != nil {
		t.Fatal(err)
	}
	if h := l.dial(p); h.BestNumber != was {
		t.Errorf("best is %d, stopped at %d", h.BestNumber, was)
	}
	to, _, err := l.warp(p, l.net.Genesis()).Verify(l.cp.Start())
	if err != nil || to.Header.Number > was {
		t.Errorf("warp leads to block %d, stopped at %d, %v", to.Header.Number, was, err)
	}
	if list := l.blocks(p, wire.BlockRequest{Fields: wire.FieldHeader, Number: was + 1, Max: 1}); len(list) != 0 {
		t.Error("it has newer blocks")
	}
}

func seeSlowLink(t *testing.T, l *light, p *Peer) {
	// 20 kB/s: what is there in an instant otherwise takes a countable time.
	begin := time.Now()
	l.dial(p)
	body := l.request(p, l.names.Sync, (&wire.BlockRequest{Fields: wire.FieldHeader, Number: 1, Max: 30}).Append(nil))
	least := time.Duration(len(body)) * time.Second / 20_000 * 9 / 10
	if took := time.Since(begin); took < least {
		t.Errorf("%d bytes came in %v at 20,000 a second", len(body), took)
	}
}

func seeGarbage(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	if _, err := grandpa.DecodeWarpProof(l.request(p, l.names.Warp, wire.AppendWarpRequest(nil, l.net.Genesis()))); err == nil {
		t.Error("a warp proof came")
	}
}

func seeHeader(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	want := l.net.Header(5)
	hash := want.Hash()
	b := l.blocks(p, wire.BlockRequest{Fields: wire.FieldHeader, Hash: &hash, Max: 1})[0]
	h, err := verify.DecodeHeader(b.Header)
	if err != nil || h.Hash() == hash || b.Hash != hash || h.StateRoot == want.StateRoot {
		t.Errorf("header %v, %v", h, err)
	}
}

func seeHeaderSeal(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	parent := l.net.Header(8)
	authorities := l.net.keys.auraSet(1)
	for _, b := range l.blocks(p, wire.BlockRequest{Fields: wire.FieldHeader, Number: 9, Max: 6}) {
		h, err := verify.DecodeHeader(b.Header)
		if err != nil || h.Hash() != b.Hash || h.ParentHash != parent.Hash() || h.Number != parent.Number+1 {
			t.Fatalf("the forged branch does not hang together: %v", err)
		}
		err = aura.VerifyHeader(h, parent, authorities, aura.Clock{SlotDuration: l.net.SlotDuration()})
		oneOf(t, err, []error{aura.ErrSeal})
		parent = h
	}
}

func seeBody(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	b := l.blocks(p, wire.BlockRequest{Fields: wire.FieldHeader | wire.FieldBody, Number: 9, Max: 1})[0]
	h, err := verify.DecodeHeader(b.Header)
	if err != nil || h.Hash() != l.net.Header(9).Hash() || trie.OrderedRoot(b.Body) == h.ExtrinsicsRoot {
		t.Errorf("the body is sound: %v", err)
	}
}

func seeJustification(want ...error) func(*testing.T, *light, *Peer) {
	return func(t *testing.T, l *light, p *Peer) {
		l.dial(p)
		b := l.blocks(p, wire.BlockRequest{Fields: wire.FieldJustification, Number: 16, Max: 1, Justifications: true})[0]
		j, err := grandpa.DecodeJustification(b.Justifications[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		if j.Commit.TargetHash != l.net.Header(16).Hash() {
			t.Error("it is for another block")
		}
		set := l.net.keys.grandpaSet(1)
		oneOf(t, j.Verify(&set), want)
	}
}

var nowKey = verify.StorageKey("Timestamp", "Now")

func seeRead(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	at := l.net.Finalized().Header
	b, _ := l.read(p, at, nowKey)
	if err := proves(at, b, nowKey); !errors.Is(err, errIncomplete) {
		t.Errorf("the proof is %v", err)
	}
	if p.Fault().Kind == LieReadOther {
		if err := proves(l.net.Header(at.Number-1), b, nowKey); err != nil {
			t.Errorf("it is not a proof for the block before either: %v", err)
		}
	}
}

func seeReadMissing(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	at := l.net.Finalized().Header
	b, _ := l.read(p, at, nowKey)
	if err := proves(at, b, nowKey); !errors.Is(err, errIncomplete) {
		t.Errorf("the proof is %v", err)
	}
	nodes, err := trie.DecodeProof(b)
	if err != nil || len(nodes) == 0 || verify.Blake2b256(nodes[0]) != at.StateRoot {
		t.Errorf("the root is not what is missing: %v", err)
	}
}

func seeReadUnused(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	at := l.net.Finalized().Header
	b, _ := l.read(p, at, nowKey)
	if err := proves(at, b, nowKey); !errors.Is(err, trie.ErrUnusedNode) {
		t.Errorf("the proof is %v", err)
	}
}

func seeCall(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	at := l.net.Finalized().Header
	q := wire.CallRequest{Block: at.Hash(), Method: "AuraApi_authorities"}
	b, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil)))
	if err != nil || !ok {
		t.Fatal(err)
	}
	if proves(at, b, verify.StorageKey("Aura", "Authorities")) == nil {
		t.Error("the proof is sound")
	}
}

func seeWarp(want ...error) func(*testing.T, *light, *Peer) {
	return func(t *testing.T, l *light, p *Peer) {
		l.dial(p)
		to, verified, err := l.warp(p, l.net.Genesis()).Verify(l.cp.Start())
		oneOf(t, err, want)
		if verified != 3 || to.Header.Number != 24 {
			t.Errorf("%d fragments before the false one are good, to block %d", verified, to.Header.Number)
		}
	}
}

func seeWarpEmpty(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	if w := l.warp(p, l.net.Genesis()); len(w.Fragments) != 0 || w.Finished {
		t.Errorf("%d fragments, finished %v", len(w.Fragments), w.Finished)
	}
}

func seeAnnounceSeal(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	parent := l.net.Best()
	if err := l.net.Steps(1); err != nil {
		t.Fatal(err)
	}
	h := l.announce().Header
	err := aura.VerifyHeader(h, parent, l.net.keys.auraSet(3), aura.Clock{SlotDuration: l.net.SlotDuration()})
	oneOf(t, err, []error{aura.ErrSeal})
}

func seeAnnounceParent(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	if err := l.net.Steps(1); err != nil {
		t.Fatal(err)
	}
	h := l.announce().Header
	if h.Number != l.net.Best().Number+1000 || l.net.Body(h.ParentHash) != nil {
		t.Errorf("announced %d with a parent that is there", h.Number)
	}
}

func seeCommit(want ...error) func(*testing.T, *light, *Peer) {
	return func(t *testing.T, l *light, p *Peer) {
		l.dial(p)
		f := l.net.Finalized()
		l.listen(p, wire.Neighbor{Round: 1, SetID: f.Set.ID, Height: f.Header.Number})
		if err := l.net.Steps(1); err != nil {
			t.Fatal(err)
		}
		m, _ := l.message(wire.GrandpaCommit)
		header := func(h verify.Hash) *verify.Header {
			for i := l.net.Best().Number; i > 0; i-- {
				if b := l.net.Header(i); b.Hash() == h {
					return b
				}
			}
			return nil
		}
		if header(m.Commit.Commit.TargetHash) == nil {
			t.Error("the target is a block that does not exist")
		}
		oneOf(t, m.Commit.Verify(&f.Set, header), want)
	}
}

func seeNeighbor(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	f := l.net.Finalized()
	l.listen(p, wire.Neighbor{Round: 1, SetID: f.Set.ID, Height: f.Header.Number})
	first, _ := l.message(wire.GrandpaNeighbor)
	second, _ := l.message(wire.GrandpaNeighbor)
	if first.Neighbor.SetID <= f.Set.ID || after(*second.Neighbor, *first.Neighbor) {
		t.Errorf("%+v, then %+v", first.Neighbor, second.Neighbor)
	}
	l.message(255)
	if _, raw := l.message(255); !bytes.Equal(raw, []byte{77}) {
		t.Errorf("junk %x", raw)
	}
}

func seeKad(t *testing.T, l *light, p *Peer) {
	l.dial(p)
	m, err := wire.DecodeKad(l.request(p, l.names.Kad, wire.AppendFindNode(nil, []byte(p.ID()))))
	if err != nil || len(m.Closer) != 100 {
		t.Errorf("%d peers, %v", len(m.Closer), err)
	}
}

// TestFaultsComeAndGo: a peer can be set right again while clients are connected.
func TestFaultsComeAndGo(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	at := n.Finalized().Header
	for _, kind := range []FaultKind{Honest, LieRead, Honest, LieReadUnused, Honest} {
		p.SetFault(Fault{Kind: kind})
		b, _ := l.read(p, at, nowKey)
		if err := proves(at, b, nowKey); (err == nil) != (kind == Honest) {
			t.Errorf("%v: the proof is %v", kind, err)
		}
	}
}

// TestNothingFinal: a peer whose finality is later than the chain is long knows of none.
func TestNothingFinal(t *testing.T) {
	n := network(t, Config{Peers: 1, Faults: []Fault{{Kind: LateFinality, Blocks: 1000}}})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	if w := l.warp(p, n.Genesis()); len(w.Fragments) != 0 || !w.Finished {
		t.Errorf("%d fragments", len(w.Fragments))
	}
}

// TestWants: commits go to those in the same set below the block, once.
func TestWants(t *testing.T) {
	c := quiet(t, Config{SetChangeEvery: 12})
	v, ok := c.voteOn(26) // by set 2
	if !ok {
		t.Fatal("no vote")
	}
	in := func(set uint64, height uint32) *wire.Neighbor {
		return &wire.Neighbor{Round: 1, SetID: set, Height: height}
	}
	for name, x := range map[string]struct {
		client client
		want   bool
	}{
		"below":          {client{grandpa: true, neighbor: in(2, 25)}, true},
		"far below":      {client{grandpa: true, neighbor: in(2, 0)}, true},
		"there already":  {client{grandpa: true, neighbor: in(2, 26)}, false},
		"set before":     {client{grandpa: true, neighbor: in(1, 23)}, false},
		"set after":      {client{grandpa: true, neighbor: in(3, 25)}, false},
		"has got it":     {client{grandpa: true, neighbor: in(2, 25), committed: 26}, false},
		"never said":     {client{grandpa: true}, false},
		"no substream":   {client{neighbor: in(2, 25)}, false},
		"got the former": {client{grandpa: true, neighbor: in(2, 24), committed: 25}, true},
	} {
		if got := x.client.wants(v); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestConflictIsSent: both blocks of a conflict come to the clients, the second one's commit too.
func TestConflictIsSent(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	f := n.Finalized()
	l.listen(p, wire.Neighbor{Round: 1, SetID: f.Set.ID, Height: f.Header.Number})
	l.message(wire.GrandpaNeighbor)
	set, a, b, err := n.Conflict()
	if err != nil {
		t.Fatal(err)
	}
	if h := l.announce().Header; h.Hash() != b.Header.Hash() {
		t.Errorf("announced block %d", h.Number)
	}
	m, _ := l.message(wire.GrandpaCommit)
	if err := m.Commit.Verify(&set, func(verify.Hash) *verify.Header { return nil }); err != nil {
		t.Error(err)
	}
	if m.Commit.Commit.TargetHash != b.Header.Hash() || a.Header.Hash() != f.Hash {
		t.Error("the commit is not for the second block")
	}
	if _, err := grandpa.NewEvidence(&set, a, b); err != nil {
		t.Error(err)
	}
}

// TestLightQueue: the peer answers twenty light requests at a time and closes the others.
func TestLightQueue(t *testing.T) {
	n := network(t, Config{Peers: 1})
	p := n.Peers()[0]
	hold := make(chan struct{})
	f := p.request("light/2", 3, func(context.Context, peer.ID, []byte) ([]byte, error) {
		<-hold
		return nil, nil
	})
	results := make(chan error)
	for range 5 {
		go func() {
			_, err := f(context.Background(), "someone", nil)
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; !errors.Is(err, errBusy) {
			t.Errorf("a request too many: %v", err)
		}
	}
	close(hold)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if s := p.Stats(); s.MaxInFlight < 3 || s.MaxInFlight > 5 {
		t.Errorf("%d in flight", s.MaxInFlight)
	}
}
