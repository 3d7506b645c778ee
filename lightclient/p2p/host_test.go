package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
)

// bound is how long a test waits for what must happen; far longer than it takes.
const bound = 20 * time.Second

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(bound)
	defer end.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// goroutinesEnd waits until no more goroutines run than before, and shows them if that never comes.
func goroutinesEnd(t *testing.T, before int) {
	t.Helper()
	defer func() {
		if t.Failed() {
			b := make([]byte, 1<<20)
			t.Logf("%d goroutines before, now: %s", before, b[:runtime.Stack(b, true)])
		}
	}()
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// receive takes a value from c.
func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(bound):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}

func newHost(t *testing.T, cfg Config) *Host {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

func addr(s string) multiaddr.Multiaddr { return multiaddr.StringCast(s) }

func server(t *testing.T, cfg Config) *Host {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []multiaddr.Multiaddr{addr("/ip4/127.0.0.1/tcp/0")}
	}
	return newHost(t, cfg)
}

func connect(t *testing.T, from, to *Host) {
	t.Helper()
	if err := from.Connect(testContext(t), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both ends see the connection", func() bool {
		return len(from.Peers()) > 0 && slices.Contains(to.Peers(), from.ID())
	})
}

func pair(t *testing.T) (client, srv *Host) {
	t.Helper()
	client, srv = newHost(t, Config{}), server(t, Config{})
	connect(t, client, srv)
	return client, srv
}

// A heard is one call of a Notifications callback.
type heard struct {
	kind string // accept, message, closed, outbound closed
	from peer.ID
	data string
}

// recorder makes a NotificationsConfig whose callbacks come out of a channel.
func recorder(handshake string) (NotificationsConfig, chan heard) {
	events := make(chan heard, 4096)
	return NotificationsConfig{
		Protocol:  "/test/notify/1",
		Handshake: func() []byte { return []byte(handshake) },
		Accept: func(id peer.ID, b []byte) bool {
			events <- heard{"accept", id, string(b)}
			return true
		},
		Message:        func(id peer.ID, b []byte) { events <- heard{"message", id, string(b)} },
		Closed:         func(id peer.ID) { events <- heard{"closed", id, ""} },
		OutboundClosed: func(id peer.ID) { events <- heard{"outbound closed", id, ""} },
	}, events
}

func wantEvent(t *testing.T, events <-chan heard, want heard) {
	t.Helper()
	if got := receive(t, want.kind, events); got != want {
		t.Fatalf("got %q %q, want %q %q", got.kind, got.data, want.kind, want.data)
	}
}

// TestSubstrateHandshake is what a light client and a full node do: the client listens nowhere, so
// the node's own substreams come back over the client's connection.
func TestSubstrateHandshake(t *testing.T) {
	for _, transport := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/ip6/::1/tcp/0"} {
		t.Run(strings.ReplaceAll(transport[1:], "/", "_"), func(t *testing.T) {
			srv, err := New(Config{Listen: []multiaddr.Multiaddr{addr(transport)}, UserAgent: "node/1"})
			if err != nil && strings.Contains(transport, "ip6") {
				t.Skipf("no IPv6 loopback: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { srv.Close() })
			client := newHost(t, Config{UserAgent: "taolight/test"})

			cfg, clientEvents := recorder("client")
			clientSide := client.Notifications(cfg)
			cfg, serverEvents := recorder("server")
			var serverSide *Notifications
			opened := make(chan string, 1)
			accept := cfg.Accept
			cfg.Accept = func(id peer.ID, b []byte) bool {
				go func() {
					theirs, err := serverSide.Open(testContext(t), id)
					opened <- fmt.Sprintf("%s %v", theirs, err)
				}()
				return accept(id, b)
			}
			serverSide = srv.Notifications(cfg)

			type change struct {
				connected bool
				id        peer.ID
			}
			changes := make(chan change, 8)
			client.OnConnect(func(connected bool, id peer.ID) { changes <- change{connected, id} })
			connect(t, client, srv)
			if got := receive(t, "OnConnect", changes); got != (change{true, srv.ID()}) {
				t.Fatalf("OnConnect: %v", got)
			}
			if a, inbound := client.Remote(srv.ID()); a == nil || inbound {
				t.Errorf("Remote: %v, inbound %v", a, inbound)
			}

			theirs, err := clientSide.Open(testContext(t), srv.ID())
			if err != nil || string(theirs) != "server" {
				t.Fatalf("Open: %q, %v", theirs, err)
			}
			if got := receive(t, "server's Open", opened); got != "client <nil>" {
				t.Fatalf("server's Open: %s", got)
			}
			wantEvent(t, serverEvents, heard{"accept", client.ID(), "client"})
			wantEvent(t, clientEvents, heard{"accept", srv.ID(), "server"})
			if !clientSide.Opened(srv.ID()) {
				t.Error("Opened is false")
			}
			if _, err := clientSide.Open(testContext(t), srv.ID()); !errors.Is(err, ErrOpen) {
				t.Errorf("second Open: %v", err)
			}

			for i := range 20 {
				if err := clientSide.Send(srv.ID(), fmt.Appendf(nil, "up %d", i)); err != nil {
					t.Fatal(err)
				}
				if err := serverSide.Send(client.ID(), fmt.Appendf(nil, "down %d", i)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20 {
				wantEvent(t, serverEvents, heard{"message", client.ID(), fmt.Sprintf("up %d", i)})
				wantEvent(t, clientEvents, heard{"message", srv.ID(), fmt.Sprintf("down %d", i)})
			}

			eventually(t, "identify", func() bool { return client.Agent(srv.ID()) == "node/1" && srv.Agent(client.ID()) == "taolight/test" })
			if p := client.Protocols(srv.ID()); !slices.Contains(p, cfg.Protocol) || !slices.Contains(p, "/ipfs/ping/1.0.0") {
				t.Errorf("Protocols: %q", p)
			}
			in, out := client.Traffic()
			if in < 500 || out < 500 || in > 100_000 || out > 100_000 {
				t.Errorf("Traffic: %d in, %d out", in, out)
			}

			if err := client.Disconnect(srv.ID()); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, "OnConnect", changes); got != (change{false, srv.ID()}) {
				t.Fatalf("OnConnect: %v", got)
			}
			for _, events := range []chan heard{clientEvents, serverEvents} {
				kinds := []string{receive(t, "end", events).kind, receive(t, "end", events).kind}
				slices.Sort(kinds)
				if !slices.Equal(kinds, []string{"closed", "outbound closed"}) {
					t.Errorf("after the connection: %q", kinds)
				}
			}
			if err := clientSide.Send(srv.ID(), []byte("late")); !errors.Is(err, ErrNotOpen) {
				t.Errorf("Send after the end: %v", err)
			}
			if _, err := clientSide.Open(testContext(t), srv.ID()); !errors.Is(err, ErrNotConnected) {
				t.Errorf("Open after the end: %v", err)
			}
		})
	}
}

func TestConnectErrors(t *testing.T) {
	lookup := func(_ context.Context, network, host string) ([]netip.Addr, error) {
		switch {
		case host == "node.test" && network == "ip4":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		case host == "empty.test":
			return nil, nil
		}
		return nil, fmt.Errorf("lookup %s: no such host", host)
	}
	srv, client := server(t, Config{Listen: []multiaddr.Multiaddr{addr("/ip4/127.0.0.1/tcp/0"), addr("/ip4/127.0.0.1/tcp/0/ws")}}), newHost(t, Config{Lookup: lookup})
	for _, a := range srv.Addrs() {
		// By name, over both transports.
		named := addr("/dns4/node.test/" + strings.TrimPrefix(a.String(), "/ip4/127.0.0.1/"))
		if err := client.Connect(testContext(t), peer.AddrInfo{ID: srv.ID(), Addrs: []multiaddr.Multiaddr{named}}); err != nil {
			t.Errorf("%s: %v", named, err)
		}
		client.Disconnect(srv.ID())
		eventually(t, "disconnected", func() bool { return len(client.Peers()) == 0 })
	}

	// The address that srv was found at before is not tried again.
	stranger := newHost(t, Config{}).ID()
	closed := server(t, Config{})
	gone := closed.Addrs()[0]
	closed.Close()
	for _, c := range []struct {
		id    peer.ID
		addrs string
		want  []string
	}{
		{srv.ID(), "", []string{"no addresses"}},
		{srv.ID(), "/dns4/nowhere.test/tcp/1", []string{"/dns4/nowhere.test/tcp/1: lookup nowhere.test: no such host"}},
		{srv.ID(), "/dns/empty.test/tcp/1/ws", []string{"/dns/empty.test/tcp/1/ws: no addresses"}},
		{srv.ID(), gone.String() + " /dns6/other.test/tcp/2", []string{gone.String() + ": ", "refused", "/dns6/other.test/tcp/2: lookup other.test: no such host"}},
		{srv.ID(), "/ip4/127.0.0.1/udp/1/quic-v1", []string{"/ip4/127.0.0.1/udp/1/quic-v1", "no transport"}},
		{srv.ID(), "/dnsaddr/node.test", nil},
		{stranger, srv.Addrs()[0].String(), []string{"peer id mismatch"}},
	} {
		var addrs []multiaddr.Multiaddr
		for _, s := range strings.Fields(c.addrs) {
			addrs = append(addrs, addr(s))
		}
		err := client.Connect(testContext(t), peer.AddrInfo{ID: c.id, Addrs: addrs})
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%q: %v", c.addrs, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: error does not say %q: %v", c.addrs, w, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error has several lines: %v", c.addrs, err)
		}
	}
	// An address that failed just now is tried again when asked to: backing off is the caller's.
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Connect(testContext(t), peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{gone}}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	server(t, Config{Key: key, Listen: []multiaddr.Multiaddr{gone}})
	if err := client.Connect(testContext(t), peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{gone}}); err != nil {
		t.Errorf("there now: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Connect(ctx, peer.AddrInfo{ID: srv.ID(), Addrs: srv.Addrs()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	client.Close()
	if err := client.Connect(testContext(t), peer.AddrInfo{ID: srv.ID(), Addrs: srv.Addrs()}); !errors.Is(err, ErrHostClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestNewFails(t *testing.T) {
	before := runtime.NumGoroutine()
	srv := server(t, Config{})
	if h, err := New(Config{Listen: srv.Addrs()}); err == nil {
		h.Close()
		t.Error("two hosts listen on one port")
	}
	srv.Close()
	goroutinesEnd(t, before)
}

// TestCloseLeavesNothing: after Close of both ends, in the middle of everything, as many goroutines
// run as before.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		var hosts []*Host
		srv, err := New(Config{Listen: []multiaddr.Multiaddr{addr("/ip4/127.0.0.1/tcp/0"), addr("/ip4/127.0.0.1/tcp/0/ws")}})
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, srv)
		cfg, events := recorder("x")
		srv.Notifications(cfg)
		waiting := make(chan struct{}, 8)
		srv.HandleRequests("/test/silent", 10, func(ctx context.Context, _ peer.ID, _ []byte) ([]byte, error) {
			waiting <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		var wg sync.WaitGroup
		for _, a := range srv.Addrs() {
			c, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, c)
			n := c.Notifications(cfg)
			if err := c.Connect(testContext(t), peer.AddrInfo{ID: srv.ID(), Addrs: []multiaddr.Multiaddr{a}}); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Open(testContext(t), srv.ID()); err != nil {
				t.Fatal(err)
			}
			if err := n.Send(srv.ID(), []byte("m")); err != nil {
				t.Fatal(err)
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				if _, err := c.Request(context.Background(), srv.ID(), "/test/silent", nil, 10); err == nil {
					t.Error("a response from nobody")
				}
			}()
			receive(t, "request", waiting)
			receive(t, "accept", events)
			receive(t, "message", events)
		}
		for i := range hosts {
			wg.Add(1)
			go func() { defer wg.Done(); hosts[i].Close() }()
		}
		wg.Wait()
	}
	goroutinesEnd(t, before)
}

// TestCloseWaits: the callbacks for what ends with the host are over when Close returns.
func TestCloseWaits(t *testing.T) {
	srv := server(t, Config{})
	cfg, _ := recorder("x")
	var back *Notifications
	cfg.Accept = func(id peer.ID, _ []byte) bool {
		go back.Open(testContext(t), id)
		return true
	}
	back = srv.Notifications(cfg)
	for range 10 {
		client := newHost(t, Config{})
		cfg, events := recorder("x")
		n := client.Notifications(cfg)
		connect(t, client, srv)
		if _, err := n.Open(testContext(t), srv.ID()); err != nil {
			t.Fatal(err)
		}
		wantEvent(t, events, heard{"accept", srv.ID(), "x"})
		client.Close()
		if len(events) != 2 {
			t.Fatalf("%d callbacks when Close returned, want 2", len(events))
		}
	}
}

// TestFlood: one peer opens thousands of substreams and sends nothing on them. It gets a fixed
// number, and others are served all the same.
func TestFlood(t *testing.T) {
	srv := server(t, Config{})
	srv.HandleRequests("/test/echo", 100, func(_ context.Context, _ peer.ID, b []byte) ([]byte, error) { return b, nil })
	cfg, _ := recorder("x")
	srv.Notifications(cfg)
	// The flooding peer has no limits of its own.
	bad := newHost(t, Config{limits: &network.NullResourceManager{}})
	connect(t, bad, srv)
	conn := bad.swarm.ConnsToPeer(srv.ID())[0]
	streams := 0
	for range 3000 {
		s, err := conn.NewStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("\x13/multistream/1.0.0\n")) // fails if it is reset by now
		streams++
	}
	most := 0
	count := func() int {
		n := 0
		for _, c := range srv.swarm.ConnsToPeer(bad.ID()) {
			for _, s := range c.GetStreams() {
				if s.Stat().Direction == network.DirInbound {
					n++
				}
			}
		}
		most = max(most, n)
		return n
	}
	count()
	good := newHost(t, Config{})
	connect(t, good, srv)
	got, err := good.Request(testContext(t), srv.ID(), "/test/echo", []byte("hello"), 100)
	if err != nil || string(got) != "hello" {
		t.Errorf("another peer: %q, %v", got, err)
	}
	if count(); most > maxPeerStreams {
		t.Errorf("%d substreams of one peer are open, at most %d allowed", most, maxPeerStreams)
	}
	t.Logf("%d substreams tried, at most %d seen open", streams, most)
}

// TestMaxConns: connections above the limit are turned away, those within it stay, and the host can
// still dial.
func TestMaxConns(t *testing.T) {
	srv := server(t, Config{MaxConns: 4}) // 3 inbound
	srv.HandleRequests("/test/echo", 100, func(_ context.Context, _ peer.ID, b []byte) ([]byte, error) { return b, nil })
	var clients []*Host
	for range 3 {
		c := newHost(t, Config{})
		connect(t, c, srv)
		clients = append(clients, c)
	}
	late := newHost(t, Config{})
	for range 3 {
		err := late.Connect(testContext(t), peer.AddrInfo{ID: srv.ID(), Addrs: srv.Addrs()})
		if err == nil { // the connection is closed as soon as it is there
			eventually(t, "turned away", func() bool { return len(late.Peers()) == 0 })
		}
	}
	other := server(t, Config{})
	connect(t, srv, other)
	for _, c := range clients {
		if b, err := c.Request(testContext(t), srv.ID(), "/test/echo", []byte("x"), 10); err != nil || string(b) != "x" {
			t.Errorf("within the limit: %q, %v", b, err)
		}
	}
	clients[0].Close()
	eventually(t, "room for another", func() bool { return len(srv.Peers()) == 3 })
	connect(t, late, srv)
}

// TestOnConnectOrder: however connections come and go, the last call tells how it is.
func TestOnConnectOrder(t *testing.T) {
	srv, client := server(t, Config{}), newHost(t, Config{})
	var mu sync.Mutex
	var calls []bool
	srv.OnConnect(func(connected bool, _ peer.ID) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, connected)
	})
	for range 20 {
		connect(t, client, srv)
		client.Disconnect(srv.ID())
	}
	connect(t, client, srv)
	eventually(t, "connected in the end", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(calls) > 0 && calls[len(calls)-1]
	})
	mu.Lock()
	defer mu.Unlock()
	for i, connected := range calls {
		if connected != (i%2 == 0) {
			t.Fatalf("call %d of %v", i, calls)
		}
	}
}

// TestDialAfterDisconnect: what libp2p does to the address book when a connection has ended, which can come
// late, leaves a new dial its addresses.
func TestDialAfterDisconnect(t *testing.T) {
	srv, client := server(t, Config{}), newHost(t, Config{})
	connect(t, client, srv)
	client.Disconnect(srv.ID())
	client.dialable(peer.AddrInfo{ID: srv.ID(), Addrs: srv.Addrs()})
	// As identify's Disconnected does.
	ps := client.swarm.Peerstore()
	ps.UpdateAddrs(srv.ID(), peerstore.ConnectedAddrTTL, peerstore.TempAddrTTL)
	ps.UpdateAddrs(srv.ID(), peerstore.TempAddrTTL, 0)
	if _, err := client.swarm.DialPeer(testContext(t), srv.ID()); err != nil {
		t.Error(err)
	}
}
