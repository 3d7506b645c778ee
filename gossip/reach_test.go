package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/internal/demonet"
)

// A knocker is a Dialer that keeps what it was asked for.
type knocker struct {
	dial Dialer

	mu    sync.Mutex
	asked []string
}

func (k *knocker) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	k.mu.Lock()
	k.asked = append(k.asked, network+" "+address)
	k.mu.Unlock()
	return k.dial(ctx, network, address)
}

func (k *knocker) take() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.asked
	k.asked = nil
	return out
}

// opens is a Dialer to whom all ports are open.
func opens(context.Context, string, string) (net.Conn, error) {
	c, other := net.Pipe()
	other.Close()
	return c, nil
}

// askers are two neighbours on loopback, of which the first dials, and a clock of both.
func askers(t *testing.T, dial Dialer) (a, b *light, k *knocker, later func(time.Duration)) {
	t.Helper()
	c := newChain(t, demonet.Config{History: 2})
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	k = &knocker{dial: dial}
	a = c.join(t, 0, Config{Dial: k.Dial, Now: now})
	b = c.join(t, 0, Config{Now: now}, a)
	for _, l := range []*light{a, b} {
		l.until(t, "a neighbour", func(s Stats) bool { return s.Neighbours == 1 })
	}
	return a, b, k, func(d time.Duration) { ahead.Add(int64(d)) }
}

// TestReach: a neighbour reaches a port that is open and not one that is closed, at the address of who asks, and once
// a minute.
func TestReach(t *testing.T) {
	a, b, k, later := askers(t, new(net.Dialer).DialContext)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	by := shortID(a.node.cfg.Host.ID())
	r, err := b.node.Reach(t.Context(), port)
	if want := (Reached{Port: port, OK: true, Tried: true, By: by, Over: "loopback"}); err != nil || r != want {
		t.Errorf("%+v, %v; want %+v", r, err, want)
	}
	if got := k.take(); !slices.Equal(got, []string{fmt.Sprintf("tcp 127.0.0.1:%d", port)}) {
		t.Errorf("dialled %q", got)
	}
	if _, err := b.node.Reach(t.Context(), port); !errors.Is(err, ErrAsked) {
		t.Errorf("again at once: %v", err)
	}
	// Who asks nevertheless is not answered.
	if _, _, err := b.node.askReach(t.Context(), a.node.cfg.Host.ID(), port); err == nil {
		t.Error("answered twice within a minute")
	}
	if got := k.take(); len(got) > 0 {
		t.Errorf("dialled %q", got)
	}
	l.Close()
	later(reachEvery)
	r, err = b.node.Reach(t.Context(), port)
	if want := (Reached{Port: port, Tried: true, By: by, Over: "loopback", Why: "refused"}); err != nil || r != want {
		t.Errorf("a closed port: %+v, %v; want %+v", r, err, want)
	}
	// The other one has nothing to dial with.
	r, err = a.node.Reach(t.Context(), port)
	if want := (Reached{Port: port, By: shortID(b.node.cfg.Host.ID()), Over: "loopback", Why: "not here"}); err != nil || r != want {
		t.Errorf("without a dialer: %+v, %v; want %+v", r, err, want)
	}
	if _, err := b.node.Reach(t.Context(), 22); !errors.Is(err, ErrPort) {
		t.Errorf("port 22: %v", err)
	}
}

// TestReachRefuses: what is no question is not answered, and what may not be dialled is not.
func TestReachRefuses(t *testing.T) {
	a, b, k, later := askers(t, opens)
	level := func(l Level) {
		a.node.mu.Lock()
		defer a.node.mu.Unlock()
		a.node.params = ParamsOf(l)
	}
	for _, c := range []struct {
		name     string
		question []byte
		level    Level
		answer   string // empty: none
		dials    string
	}{
		{name: "nothing"},
		{name: "a byte", question: []byte{80}},
		{name: "too much", question: []byte{80, 0, 0}},
		{name: "port 0", question: []byte{0, 0}, answer: "\x02not that port"},
		{name: "port 22", question: []byte{22, 0}, answer: "\x02not that port"},
		{name: "port 1023", question: []byte{0xff, 3}, answer: "\x02not that port"},
		{name: "port 1024", question: []byte{0, 4}, answer: "\x01", dials: "tcp 127.0.0.1:1024"},
		{name: "port 80", question: []byte{80, 0}, answer: "\x01", dials: "tcp 127.0.0.1:80"},
		{name: "port 443", question: []byte{0xbb, 1}, answer: "\x01", dials: "tcp 127.0.0.1:443"},
		{name: "eco, on this machine", question: []byte{0, 4}, level: Eco, answer: "\x01", dials: "tcp 127.0.0.1:1024"},
		{name: "survive", question: []byte{0, 4}, level: Survive},
		{name: "park", question: []byte{0, 4}, level: Park},
	} {
		t.Run(c.name, func(t *testing.T) {
			later(reachEvery)
			level(c.level)
			defer level(Full)
			b, err := exchange(t.Context(), b.node.cfg.Host, a.node.cfg.Host.ID(), reachProtocol(a.node.cfg.Genesis), c.question, 1+maxReachWhy)
			if c.answer == "" && err == nil || c.answer != "" && (err != nil || string(b) != c.answer) {
				t.Errorf("%q, %v; want %q", b, err, c.answer)
			}
			if got := strings.Join(k.take(), ", "); got != c.dials {
				t.Errorf("dialled %q, want %q", got, c.dials)
			}
		})
	}
}

// TestReachLies: a neighbour that answers what is none has not tried, and its words are not shown.
func TestReachLies(t *testing.T) {
	a, b, _, later := askers(t, opens)
	for name, answer := range map[string]string{
		"nothing": "", "another outcome": "\x03", "reached, but": "\x01but", "a control character": "\x00\x1b[2J", "capitals": "\x00SEND MONEY",
		"an address": "\x00see http://x", "too long": "\x00" + strings.Repeat("a", maxReachWhy+1),
	} {
		later(reachEvery)
		a.node.cfg.Host.SetStreamHandler(reachProtocol(a.node.cfg.Genesis), func(s network.Stream) {
			s.Write([]byte(answer))
			s.Close()
		})
		if r, err := b.node.Reach(t.Context(), 8091); err != nil || r.OK || r.Tried || r.Why != "no answer" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if o, why, err := decodeReach([]byte{unreached}); o != unreached || why == "" || err != nil {
		t.Errorf("no words: %d, %q, %v", o, why, err)
	}
}

// TestKnock: who is dialled, and how the error of a dial is put.
func TestKnock(t *testing.T) {
	fails := func(err error) Dialer {
		return func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
	}
	relay := "/ip4/8.8.8.8/tcp/9/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp/p2p-circuit"
	for _, c := range []struct {
		name, from string
		dial       Dialer
		private    bool
		level      Level
		outcome    byte
		why, dials string
	}{
		{name: "open", from: "/ip4/8.8.8.8/tcp/9", dial: opens, outcome: reached, dials: "tcp 8.8.8.8:8091"},
		{name: "six", from: "/ip6/2a01:4f8::1/tcp/9", dial: opens, outcome: reached, dials: "tcp [2a01:4f8::1]:8091"},
		{name: "on the LAN", from: "/ip4/192.168.1.4/tcp/9", dial: opens, outcome: reached, dials: "tcp 192.168.1.4:8091"},
		{name: "refused", from: "/ip4/8.8.8.8/tcp/9", dial: fails(os.NewSyscallError("connect", syscall.ECONNREFUSED)), why: "refused", dials: "tcp 8.8.8.8:8091"},
		{name: "timed out", from: "/ip4/8.8.8.8/tcp/9", dial: fails(context.DeadlineExceeded), why: "timed out", dials: "tcp 8.8.8.8:8091"},
		{name: "i/o timeout", from: "/ip4/8.8.8.8/tcp/9", dial: fails(os.ErrDeadlineExceeded), why: "timed out", dials: "tcp 8.8.8.8:8091"},
		{name: "no route", from: "/ip4/8.8.8.8/tcp/9", dial: fails(syscall.EHOSTUNREACH), why: "no route", dials: "tcp 8.8.8.8:8091"},
		{name: "else", from: "/ip4/8.8.8.8/tcp/9", dial: fails(errors.New("eth7 of 10.0.0.1 is down")), why: "failed", dials: "tcp 8.8.8.8:8091"},
		{name: "by a relay", from: relay, dial: opens, outcome: untried, why: "no address"},
		{name: "a name", from: "/dns4/example.com/tcp/9", dial: opens, outcome: untried, why: "no address"},
		{name: "everybody", from: "/ip4/224.0.0.1/tcp/9", dial: opens, outcome: untried, why: "no address"},
		{name: "this machine", from: "/ip4/127.0.0.1/tcp/9", dial: opens, outcome: untried, why: "not over loopback"},
		{name: "this machine by six", from: "/ip6/::1/tcp/9", dial: opens, outcome: untried, why: "not over loopback"},
		{name: "this machine, mapped", from: "/ip6/::ffff:127.0.0.1/tcp/9", dial: opens, outcome: untried, why: "not over loopback"},
		{name: "this machine, a demo", from: "/ip4/127.0.0.1/tcp/9", dial: opens, private: true, outcome: reached, dials: "tcp 127.0.0.1:8091"},
		{name: "eco", from: "/ip4/8.8.8.8/tcp/9", dial: opens, level: Eco, outcome: untried, why: "saves power"},
		{name: "eco, on the LAN", from: "/ip4/192.168.1.4/tcp/9", dial: opens, level: Eco, outcome: reached, dials: "tcp 192.168.1.4:8091"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &knocker{dial: c.dial}
			n := &Node{cfg: Config{Dial: k.Dial, Private: c.private}, params: ParamsOf(c.level)}
			outcome, why := n.knock(t.Context(), multiaddr.StringCast(c.from), 8091)
			if got := strings.Join(k.take(), ", "); outcome != c.outcome || why != c.why || got != c.dials {
				t.Errorf("%d, %q, dialled %q; want %d, %q, %q", outcome, why, got, c.outcome, c.why, c.dials)
			}
			if _, _, err := decodeReach(append([]byte{outcome}, why...)); err != nil {
				t.Errorf("others take no such answer: %v", err)
			}
		})
	}
}

// TestKnockTwice: two are dialled at a time and no more, each for five seconds at most.
func TestKnockTwice(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan time.Duration, 2)
	n := &Node{params: ParamsOf(Full)}
	n.cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		d, ok := ctx.Deadline()
		if !ok {
			d = time.Now().Add(time.Hour)
		}
		began <- time.Until(d)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	from := multiaddr.StringCast("/ip4/8.8.8.8/tcp/9")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { n.knock(ctx, from, 8091) })
	}
	for range 2 {
		if d := <-began; d > reachTime {
			t.Errorf("a dial may take %v", d)
		}
	}
	if o, why := n.knock(ctx, from, 8091); o != untried || why != "busy" {
		t.Errorf("a third: %d, %q", o, why)
	}
	cancel()
	wg.Wait()
	n.cfg.Dial = opens
	if o, why := n.knock(t.Context(), from, 8091); o != reached {
		t.Errorf("afterwards: %d, %q", o, why)
	}
}

// TestMayReach: a neighbour asks once a minute, a stranger never, and however many there were, few within a minute.
func TestMayReach(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	n := &Node{cfg: Config{Now: func() time.Time { return now }}, reachers: map[peer.ID]time.Time{}, neighbours: map[peer.ID]*neighbour{"a": {}, "b": {}}}
	for _, c := range []struct {
		id    peer.ID
		later time.Duration
		want  bool
	}{
		{"a", 0, true}, {"a", time.Second, false}, {"b", 0, true}, {"c", 0, false}, {"a", 58 * time.Second, false}, {"a", time.Second, true},
		{"a", -time.Hour, true}, // the clock was set right
	} {
		now = now.Add(c.later)
		if got := n.mayReach(c.id); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	allowed := 0
	for i := range 3 * maxReachers {
		id := peer.ID(fmt.Sprint("x", i))
		n.neighbours[id] = &neighbour{}
		if n.mayReach(id) {
			allowed++
		}
	}
	if allowed > maxReachers || len(n.reachers) > maxReachers {
		t.Errorf("%d within a minute, %d kept", allowed, len(n.reachers))
	}
}

// TestReachInTurn: three are asked at most, until one reaches the port; what one found out counts more than that others
// did not try, or see less.
func TestReachInTurn(t *testing.T) {
	for _, c := range []struct{ name, answers, asked, by, why string }{
		{name: "the first", answers: "aYbYcY", asked: "a", by: "a"},
		{name: "the second", answers: "aNbYcY", asked: "ab", by: "b"},
		{name: "nobody", answers: "aNbNcNdY", asked: "abc", by: "c", why: "no"},
		{name: "one does not try", answers: "a-bNcY", asked: "abc", by: "c"},
		{name: "one tries", answers: "a-bNc-", asked: "abc", by: "b", why: "no"},
		{name: "one fails to answer", answers: "aNb!c!", asked: "abc", by: "a", why: "no"},
		{name: "none tries", answers: "a-b-c!", asked: "abc", by: "c", why: "no answer"},
		{name: "the LAN alone does not count", answers: "aNlY", asked: "a", by: "a", why: "no"},
		{name: "the LAN, as nobody else tries", answers: "a-lY", asked: "al", by: "l"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1_700_000_000, 0)
			n := &Node{cfg: Config{Now: func() time.Time { return now }}, neighbours: map[peer.ID]*neighbour{}}
			answers := map[peer.ID]byte{}
			for i := 0; i < len(c.answers); i += 2 {
				id := peer.ID(c.answers[i : i+1])
				addr := "/ip4/8.8.8.8/tcp/9"
				if id == "l" {
					addr = "/ip4/192.168.1.9/tcp/9"
				}
				answers[id] = c.answers[i+1]
				n.neighbours[id] = &neighbour{id: id, addr: multiaddr.StringCast(addr)}
			}
			asked := ""
			r, err := n.reach(t.Context(), 8091, func(_ context.Context, id peer.ID, port uint16) (byte, string, error) {
				asked += string(id)
				switch answers[id] {
				case 'Y':
					return reached, "", nil
				case 'N':
					return unreached, "no", nil
				case '-':
					return untried, "busy", nil
				}
				return 0, "", ErrAnswer
			})
			if err != nil || asked != c.asked || r.OK != (c.why == "") || r.Tried != (c.why != "no answer") || r.By != shortID(peer.ID(c.by)) || r.Why != c.why {
				t.Errorf("asked %s: %+v, %v; want %s: by %s, %q", asked, r, err, c.asked, shortID(peer.ID(c.by)), c.why)
			}
		})
	}
}

// TestNextToReach: those that see more of the internet are asked first, of these the ones that were dialled, and
// nobody who sees less once one has tried.
func TestNextToReach(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	n := &Node{neighbours: map[peer.ID]*neighbour{}}
	for i, x := range []struct {
		id, addr string
		inbound  bool
	}{
		{"here", "/ip4/127.0.0.1/tcp/9", false},
		{"lan", "/ip4/10.0.0.7/tcp/9", false},
		{"six", "/ip6/2a01:4f8::1/tcp/9", false},
		{"in", "/ip4/8.8.4.4/tcp/9", true},
		{"old", "/ip4/8.8.8.8/tcp/9", false},
		{"young", "/ip4/9.9.9.9/tcp/9", false},
		{"name", "/dns4/example.com/tcp/9", false},
	} {
		n.neighbours[peer.ID(x.id)] = &neighbour{id: peer.ID(x.id), addr: multiaddr.StringCast(x.addr), inbound: x.inbound, since: now.Add(time.Duration(i-10) * time.Hour)}
	}
	var got bytes.Buffer
	ask := func(most int) {
		for {
			id, _, over, err := n.nextToReach(now, most)
			if err != nil {
				if !errors.Is(err, ErrAsked) {
					t.Error(err)
				}
				return
			}
			fmt.Fprintf(&got, "%s %s; ", string(id), over)
		}
	}
	ask(seenByFour)
	fmt.Fprint(&got, "then ")
	ask(seenHere)
	n.cfg.Private = true
	ask(seenHere)
	if want := "old ; young ; in ; then six IPv6; lan the local network; here loopback; "; got.String() != want {
		t.Errorf("%s\nwant %s", got.String(), want)
	}
	if _, _, _, err := (&Node{}).nextToReach(now, seenHere); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
}
