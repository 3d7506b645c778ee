package miner

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestAskingDue: asked is once the axon is open and announced, once an hour, and of another address at once.
func TestAskingDue(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	asked := asking{here, now.Add(40 * time.Minute)}
	for _, c := range []struct {
		name            string
		a               asking
		later           time.Duration
		at              netip.AddrPort
		open, announced bool
		want            bool
	}{
		{"never asked", asking{}, 0, here, true, true, true},
		{"closed", asking{}, 0, here, false, true, false},
		{"not announced", asking{}, 0, here, true, false, false},
		{"asked", asked, 0, here, true, true, false},
		{"asked an hour ago", asked, 40 * time.Minute, here, true, true, true},
		{"asked an hour ago, closed", asked, 40 * time.Minute, here, false, true, false},
		{"moved", asked, 0, there, true, true, true},
		{"moved, not announced", asked, 0, there, true, false, false},
		{"another port", asked, 0, netip.AddrPortFrom(here.Addr(), 9), true, true, true},
		{"the clock was set back", asked, -21 * time.Minute, here, true, true, true},
	} {
		if got := c.a.due(now.Add(c.later), c.at, c.open, c.announced); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestElsewhere: nobody is asked to reach what only this machine can.
func TestElsewhere(t *testing.T) {
	for _, c := range []struct {
		bound, announced string
		want             bool
	}{
		{"0.0.0.0", "8.8.8.8", true}, {"0.0.0.0", "127.0.0.2", true}, {"127.0.0.1", "8.8.8.8", true}, {"127.0.0.2", "127.0.0.2", false}, {"::1", "127.0.0.2", false},
		{"::ffff:127.0.0.2", "127.0.0.2", false}, {"10.0.0.3", "10.0.0.3", true},
	} {
		if got := elsewhere(netip.MustParseAddr(c.bound), netip.MustParseAddr(c.announced)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestPeerLine: the advice is one that helps.
func TestPeerLine(t *testing.T) {
	for _, c := range []struct{ over, listen, want string }{
		{"", "10.0.0.3:8091", "light node X could not reach port 8091: refused: open it in the router or firewall"},
		{"IPv6", "[::]:8091", "light node X could not reach port 8091 over IPv6: refused: open it in the router or firewall"},
		{"the local network", "0.0.0.0:8091", "light node X could not reach port 8091 over the local network: refused: open it in this machine's firewall"},
		{"the local network", "10.0.0.3:8091", "light node X could not reach port 8091 over the local network: refused: it listens on 10.0.0.3:8091 alone"},
	} {
		s := Status{Listen: c.listen, PeerPort: 8091, PeerUnreachedBy: "X", PeerUnreachedOver: c.over, PeerUnreachedWhy: "refused"}
		if got := s.peerLine(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestAskPeers: what a miner makes of what light nodes say, when it asks them, and what it says of that.
func TestAskPeers(t *testing.T) {
	liveAmong(t, func(t *testing.T, w *world, m *Miner, blocks func(int), asks *asks) {
		reached := func() bool { return m.Status().PeerReached != nil }
		lines := func() string { s := m.Status(); return strings.Join(s.Lines(), "\n") }
		expect := func(what string, asked int, by bool, said string) {
			t.Helper()
			if n := asks.take(); len(n) != asked {
				t.Errorf("%s: asked of %v, want %d times", what, n, asked)
			}
			if reached() != by || !strings.Contains(lines(), said) {
				t.Errorf("%s: reached %v, %q is not in\n%s", what, reached(), said, lines())
			}
		}
		asks.set(Reach{}, errors.New("none is connected that could try"))
		blocks(1)
		expect("announced, but not in the state", 0, false, "nobody has called it from another machine yet")
		blocks(12)
		expect("nobody", 1, false, "no light node could be asked: none is connected")
		blocks(25)
		expect("still nobody, five minutes later", 1, false, "no light node could be asked")
		asks.set(Reach{Tried: true, By: "12D3…b", Why: "timed out"}, nil)
		blocks(30)
		expect("closed", 1, false, "light node 12D3…b could not reach port 8091: timed out: open it in the router or firewall")
		asks.set(Reach{OK: true, Tried: true, By: "12D3…a"}, nil)
		blocks(250)
		expect("within the hour", 0, false, "could not reach")
		blocks(100)
		expect("an hour later", 1, true, "a light node, 12D3…a, reaches the axon at port 8091")
		asks.set(Reach{By: "12D3…c", Why: "busy"}, nil)
		blocks(310)
		expect("busy", 1, true, "no light node could be asked: 12D3…c: busy")
		asks.set(Reach{Tried: true, By: "12D3…d", Over: "the local network", Why: "refused"}, nil)
		w.change(func() { w.own = []netip.Addr{there.Addr()} })
		blocks(40)
		expect("moved", 1, false, "light node 12D3…d could not reach port 8091 over the local network: refused: open it in this machine's firewall")
		w.change(func() { w.plan = Plan{Level: "park"} })
		asks.set(Reach{OK: true, Tried: true, By: "12D3…e", Over: "loopback"}, nil)
		blocks(350)
		if expect("closed", 0, false, "the axon is closed"); strings.Contains(lines(), "light node") {
			t.Errorf("a closed axon is said to be reached or not: %s", lines())
		}
		w.change(func() { w.plan = Plan{Level: "full", Serve: true} })
		blocks(10)
		expect("open again", 1, true, "a light node, 12D3…e, reaches the axon at port 8091 (over loopback, which shows nothing of the internet)")
		w.mu.Lock()
		notes := strings.Join(w.notes, "\n")
		w.mu.Unlock()
		if n := strings.Count(notes, "no light node could be asked"); n != 2 {
			t.Errorf("said %d times that nobody could be asked:\n%s", n, notes)
		}
	})
}

// TestNoPeersAsked: a miner that has nobody to ask says nothing of it.
func TestNoPeersAsked(t *testing.T) {
	live(t, newWorld, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		blocks(20)
		if s := m.Status(); s.Announce != "true" || s.peerLine() != "" {
			t.Errorf("%+v", s)
		}
	})
}

// asks are the answers of the light nodes of a test.
type asks struct {
	w     *world
	r     Reach
	err   error
	ports []uint16
}

func (a *asks) set(r Reach, err error) { a.w.change(func() { a.r, a.err = r, err }) }

func (a *asks) take() (ports []uint16) {
	a.w.change(func() { ports, a.ports = a.ports, nil })
	return ports
}

func (a *asks) reach(_ context.Context, port uint16) (Reach, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.ports = append(a.ports, port)
	return a.r, a.err
}

func liveAmong(t *testing.T, play func(t *testing.T, w *world, m *Miner, blocks func(int), a *asks)) {
	t.Helper()
	var a *asks
	live(t, func() *world {
		w := newWorld()
		a = &asks{w: w}
		w.reach = a.reach
		return w
	}, func(t *testing.T, w *world, m *Miner, blocks func(int)) { play(t, w, m, blocks, a) })
}
