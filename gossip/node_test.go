package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/gossip/link"
	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
)

// light is a light client of the tests: it verifies what it is given, and tells its node.
type light struct {
	c    *chain
	node *Node
	told atomic.Uint32

	mu      sync.Mutex
	final   grandpa.Finalized
	accused *grandpa.Evidence
	changed chan struct{} // closed at each change
}

func (l *light) Offer(_ context.Context, p *grandpa.WarpProof) {
	l.mu.Lock()
	to, n, err := p.Verify(l.final)
	if err == nil && n > 0 && to.Header.Number > l.final.Header.Number {
		l.final = to
		l.wake()
	}
	if err == nil {
		l.node.Moved(l.c.standing(l.final.Header.Number)) // in order, as from the loop of a light client
	}
	l.mu.Unlock()
}

func (l *light) Told(number uint32) { l.told.Store(number) }

func (l *light) Accuse(_ context.Context, ev *grandpa.Evidence) {
	l.mu.Lock()
	l.accused = ev
	l.wake()
	l.mu.Unlock()
}

func (l *light) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait waits until ok.
func (l *light) wait(t *testing.T, what string, ok func(l *light) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		done, ch := ok(l), l.changed
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ch:
		case <-deadline:
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("waited for %s; it is at %d, %+v", what, l.final.Header.Number, l.node.Stats())
		}
	}
}

// standing is that of a node whose head is a block of the chain.
func (c *chain) standing(number uint32) *Standing {
	st := &Standing{Trust: *c.trust(number)}
	_, st.From = c.signer(number)
	if number > 0 {
		st.Proof = c.fragment(number).Justification
	}
	st.Above = func(from verify.Hash, most int) (grandpa.Finalized, *grandpa.WarpProof, bool) {
		for n := uint32(0); n <= number; n++ {
			if c.net.Header(n).Hash() != from {
				continue
			}
			start := c.trust(n).Head.Start()
			p := &grandpa.WarpProof{Finished: true}
			for m := n + 1; m <= number; m++ {
				change, _ := grandpa.ScheduledChange(c.net.Header(m))
				if m == number || change != nil {
					p.Fragments = append(p.Fragments, c.fragment(m))
				}
			}
			return start, p, true
		}
		return grandpa.Finalized{}, nil, false
	}
	return st
}

// join starts a node on loopback that has followed the chain to a block.
func (c *chain) join(t *testing.T, number uint32, cfg Config, peers ...*light) *light {
	t.Helper()
	h, err := p2p.New(p2p.Config{Listen: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0")}, UserAgent: "taolight/test"})
	if err != nil {
		t.Fatal(err)
	}
	l := &light{c: c, changed: make(chan struct{}), final: c.trust(number).Head.Start()}
	cfg.Host, cfg.Genesis, cfg.Light, cfg.Private, cfg.Hold = h.Libp2p(), c.net.Genesis(), l, true, h.Hold
	cfg.Notes = func(n Note) { t.Logf("%s: %s", shortID(h.ID()), n.Text) }
	for _, p := range peers {
		for _, a := range p.node.cfg.Host.Addrs() {
			cfg.Given = append(cfg.Given, fmt.Sprintf("%s/p2p/%s", a, p.node.cfg.Host.ID()))
		}
	}
	if l.node, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	l.node.Moved(c.standing(number))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.node.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return l
}

// on waits until a node knows so many peers on a topic.
func (l *light) on(t *testing.T, k Kind, peers int) {
	t.Helper()
	l.until(t, fmt.Sprintf("%d peers on %v", peers, k), func(s Stats) bool { return s.Topics[k.String()] == peers })
}

// meshed waits until a node passes messages on a topic to so many peers, or more. What is told before both
// sides do is lost.
func (l *light) meshed(t *testing.T, k Kind, peers int) {
	t.Helper()
	l.until(t, fmt.Sprintf("a mesh of %d on %v", peers, k), func(s Stats) bool { return s.Mesh[k.String()] >= peers })
}

func (l *light) until(t *testing.T, what string, ok func(Stats) bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 6000 {
		if ok(l.node.Stats()) {
			return
		}
		<-poll.C
	}
	t.Fatalf("waited for %s: %+v", what, l.node.Stats())
}

func (l *light) at(number uint32) func(*light) bool {
	return func(l *light) bool { return l.final.Header.Number >= number }
}

// follow gives the first node a head from elsewhere, as from its chain peers.
func (l *light) follow(t *testing.T, number uint32) {
	t.Helper()
	l.Offer(t.Context(), &grandpa.WarpProof{Finished: true, Fragments: []grandpa.Fragment{l.c.fragment(number)}})
}

// TestThreeInARow: the last of three nodes, which knows the middle one only, comes in late, catches up
// over set changes and follows what the first is told.
func TestThreeInARow(t *testing.T) {
	c := newChain(t, demonet.Config{History: 90, SetChangeEvery: 30})
	var first, middle, last *light
	first = c.join(t, 70, Config{})
	middle = c.join(t, 1, Config{}, first)
	middle.wait(t, "the middle one to catch up", middle.at(70))
	last = c.join(t, 0, Config{}, middle)
	last.wait(t, "the last one to catch up", last.at(70))
	first.meshed(t, Finality, 1)
	middle.meshed(t, Finality, 2)
	last.meshed(t, Finality, 1)
	for n := uint32(71); n < 80; n++ {
		first.follow(t, n)
		last.wait(t, fmt.Sprint("block ", n), last.at(n))
	}
	if s := middle.node.Stats(); s.Messages.Accepted == 0 || s.Messages.Rejected > 0 {
		t.Errorf("%+v", s)
	}
	if n := len(middle.node.Neighbours()); n != 2 {
		t.Errorf("the middle one has %d neighbours", n)
	}
}

// TestParams: GossipSub takes the parameters of every level that has topics.
func TestParams(t *testing.T) {
	c := newChain(t, demonet.Config{History: 2})
	a := c.join(t, 0, Config{Level: Park})
	for l := range levels {
		p := ParamsOf(Level(l))
		if got, err := ParseLevel(Level(l).String()); err != nil || got != Level(l) {
			t.Errorf("%v: %v", Level(l), err)
		}
		if !p.meshes() {
			continue
		}
		r, err := newRouter(t.Context(), routerConfig{host: a.node.cfg.Host, genesis: c.net.Genesis(), params: p, meter: new(meter),
			pinned: func(peer.ID) bool { return false }, spent: func(peer.ID) bool { return false }})
		if err != nil {
			t.Errorf("%v: %v", Level(l), err)
			continue
		}
		r.close()
	}
}

// TestHeartbeatAligned: whenever a router is made, its heartbeats are those of every other node with the same interval.
func TestHeartbeatAligned(t *testing.T) {
	whole := time.Unix(1_800_000_000, 0) // a multiple of 3 s and of 10 s
	for _, every := range []time.Duration{3 * time.Second, 10 * time.Second} {
		for _, into := range []time.Duration{0, 1, time.Second, every - 1} {
			if got := untilWhole(whole.Add(into), every); got != every-into {
				t.Errorf("%v into %v: %v", into, every, got)
			}
		}
	}
}

// TestLevels: a change of level keeps the connections, and what can be told is told after it.
func TestLevels(t *testing.T) {
	c := newChain(t, demonet.Config{History: 120, SetChangeEvery: -1})
	a := c.join(t, 10, Config{})
	b := c.join(t, 10, Config{}, a)
	a.meshed(t, Finality, 1)
	a.follow(t, 11)
	b.wait(t, "block 11", b.at(11))
	since := a.node.Neighbours()
	if err := b.node.SetLevel(t.Context(), Eco); err != nil {
		t.Fatal(err)
	}
	a.on(t, Finality, 0)
	a.meshed(t, FinalityRare, 1)
	b.meshed(t, FinalityRare, 1)
	a.follow(t, 26)
	b.wait(t, "one of the next 25 blocks, on the other topic", b.at(26))
	if err := b.node.SetLevel(t.Context(), Full); err != nil {
		t.Fatal(err)
	}
	after := a.node.Neighbours()
	if len(since) != 1 || len(after) != 1 || after[0].ID != since[0].ID || after[0].Seconds < since[0].Seconds {
		t.Errorf("neighbours before %+v and after %+v", since, after)
	}
}

// TestSurvive: a node that saves power asks once, learns what is final, and lets go.
func TestSurvive(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	a := c.join(t, 30, Config{})
	b := c.join(t, 0, Config{Level: Survive}, a)
	b.wait(t, "block 30", b.at(30))
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for i := 0; len(a.node.Neighbours()) > 0; i++ {
		if i == 1000 {
			t.Fatal("it does not let go")
		}
		<-poll.C
	}
	if s := b.node.Stats(); s.Level != "survive" || len(s.Topics) > 0 || s.CatchUps != 1 {
		t.Errorf("%+v", s)
	}
	b.until(t, "the contact to be in good standing", func(s Stats) bool {
		b.node.mu.Lock()
		defer b.node.mu.Unlock()
		x := b.node.contacts.list[a.node.cfg.Host.ID()]
		return len(b.node.neighbours) == 0 && x.fails == 0 && !x.LastOK.IsZero()
	})
}

// TestPulses: a bundle of pulses is passed on and told to whoever wants facts, also one that was published
// before anybody was there to hear it; one that is no pulse is not.
func TestPulses(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	facts := make(chan *bundle.Bundle, 4)
	a := c.join(t, 30, Config{})
	x := c.pulse(t, 30)
	if k, err := a.node.Publish(t.Context(), x.Encode()); err != nil || k != Pulses {
		t.Fatalf("%v: %v", k, err)
	}
	b := c.join(t, 30, Config{Fact: func(k Kind, x *bundle.Bundle) {
		if k == Pulses {
			facts <- x
		}
	}}, a)
	select {
	case got := <-facts:
		if n := b.node.Stats().Accepted["pulses"]; n != 1 || got.Pulses[0].Round != x.Pulses[0].Round {
			t.Errorf("round %d; %d accepted", got.Pulses[0].Round, n)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing came: %+v", b.node.Stats())
	}
	x.Pulses[0].Signature[5] ^= 1
	if _, err := a.node.Publish(t.Context(), x.Encode()); err == nil {
		t.Error("a false pulse was published")
	}
}

// pulse returns a bundle of a pulse that is stored after a block.
func (c *chain) pulse(t *testing.T, number uint32) *bundle.Bundle {
	t.Helper()
	head := c.net.Header(number)
	keys, err := c.net.StorageKeys(head.Hash(), verify.StorageKey("Drand", "Pulses"))
	if err != nil || len(keys) == 0 {
		t.Skipf("no pulses on a quiet chain: %v", err)
	}
	value, _, err := c.net.Storage(head.Hash(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	stored, err := drand.DecodeStored(value)
	if err != nil {
		t.Fatal(err)
	}
	p, err := stored.Pulse()
	if err != nil {
		t.Fatal(err)
	}
	return &bundle.Bundle{Genesis: c.net.Genesis(), Pulses: []drand.Pulse{p}, Claims: []bundle.Claim{bundle.PulseClaim{Round: p.Round}}}
}

// TestStick: a node without any connection is brought to finality by a folder that another one wrote,
// over changes of the set, and hands on what it learned.
func TestStick(t *testing.T) {
	c := newChain(t, demonet.Config{History: 90, SetChangeEvery: 30})
	path := t.TempDir()
	stick := func() []link.Link {
		l, err := link.Parse("dir:" + path)
		if err != nil {
			t.Fatal(err)
		}
		return []link.Link{l}
	}
	c.join(t, 80, Config{Links: stick(), tick: 20 * time.Millisecond})
	alone := c.join(t, 0, Config{Links: stick(), tick: 20 * time.Millisecond})
	alone.wait(t, "the stick", alone.at(80))
	behind := c.join(t, 0, Config{}, alone)
	behind.wait(t, "what the stick brought", behind.at(80))
}

// TestToldOfOurs: a neighbour that tells of a block which is final here already is heard of, and one that tells of another
// in its place is not.
func TestToldOfOurs(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	a := c.join(t, 30, Config{})
	if v := a.node.judge(t.Context(), "somebody", Finality, c.message(30)); v != Ignore || a.told.Load() != 30 {
		t.Errorf("%v; told of %d", v, a.told.Load())
	}
	other := respell(t, c.message(29), func(x *bundle.Bundle) { x.Final.Header.ExtrinsicsRoot[0] ^= 1 })
	if v := a.node.judge(t.Context(), "somebody", Finality, other); v == Accept || a.told.Load() != 30 {
		t.Errorf("%v; told of %d", v, a.told.Load())
	}
}

// TestNoPlace: whoever has all places taken is not dialled at each tick.
func TestNoPlace(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	hub := c.join(t, 30, Config{Level: Eco, tick: 20 * time.Millisecond})
	places := ParamsOf(Eco).In
	var callers []*light
	for range places + 1 {
		callers = append(callers, c.join(t, 30, Config{tick: 20 * time.Millisecond}, hub))
	}
	hub.until(t, "all places taken", func(s Stats) bool { return s.Neighbours == places })
	refused := func() (n int) {
		for _, l := range callers {
			l.node.mu.Lock()
			for id, x := range l.node.contacts.list {
				if id == hub.node.cfg.Host.ID() && l.node.neighbours[id] == nil && x.fails > 1 && time.Until(x.next) > refusedMin/2-time.Second {
					n++
				}
			}
			l.node.mu.Unlock()
		}
		return n
	}
	hub.until(t, "one to be put off", func(Stats) bool { return refused() == 1 })
}

// TestImport: what is no bundle is refused, one of another chain too, and what is known is no lie.
func TestImport(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	a := c.join(t, 30, Config{})
	other := respell(t, c.message(35), func(x *bundle.Bundle) { x.Genesis[0] ^= 1 })
	forged := respell(t, c.message(35), func(x *bundle.Bundle) { x.Final.Votes.List[0].Signature[0] ^= 1 })
	for name, b := range map[string][]byte{"noise": []byte("noise"), "other chain": other, "forged": forged, "nothing": nil} {
		if r, err := a.node.Import(t.Context(), b); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r, err := a.node.Import(t.Context(), c.message(20)); err != nil || r.News || !errors.Is(r.Reason, ErrStale) || a.told.Load() != 0 {
		t.Errorf("an old block: %+v, %v", r, err)
	}
	r, err := a.node.Import(t.Context(), c.message(35))
	if err != nil || !r.News || r.Number != 35 {
		t.Errorf("news: %+v, %v", r, err)
	}
	a.wait(t, "block 35", a.at(35))
}

// TestEvidenceTravels: a conflict that one node has evidence of reaches the others.
func TestEvidenceTravels(t *testing.T) {
	c := newChain(t, demonet.Config{History: 20, SetChangeEvery: -1})
	head := c.net.Finalized().Header.Number
	a := c.join(t, head, Config{})
	b := c.join(t, head, Config{}, a)
	d := c.join(t, head, Config{}, b)
	set, ours, theirs, err := c.net.Conflict()
	if err != nil {
		t.Fatal(err)
	}
	ev, err := grandpa.NewEvidence(&set, ours, theirs)
	if err != nil {
		t.Fatal(err)
	}
	a.meshed(t, Evidence, 1)
	b.meshed(t, Evidence, 2)
	d.meshed(t, Evidence, 1)
	st := c.standing(head)
	st.Evidence = ev
	a.node.Moved(st)
	d.wait(t, "the evidence", func(l *light) bool { return l.accused != nil })
	if err := d.accused.Verify(&set); err != nil {
		t.Error(err)
	}
}
