package lightclient_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
)

// TestLightPeers: a light node that is a peer of the chain for another one is left for full ones, with all substreams
// and without a fault, even where the connection is held; and is taken again when those have gone.
func TestLightPeers(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 30, Peers: 3, SetChangeEvery: -1, BlockTime: 300 * time.Millisecond})
	n := newNotes(t)
	hosts := make(chan *p2p.Host, 2)
	cfg := config(net, n)
	cfg.Serve, cfg.Listen = true, []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}
	cfg.Hosted = func(_ context.Context, h *p2p.Host) func() { hosts <- h; return nil }
	startNode(t, cfg)
	n.wait(0, "warp done")
	other := <-hosts

	var ahead atomic.Int64
	m := newNotes(t)
	cfg = config(net, m)
	cfg.Peers = []string{other.FullAddrs()[0].String()}
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	cfg.Hosted = func(_ context.Context, h *p2p.Host) func() {
		h.Hold(other.ID(), true)
		hosts <- h
		return nil
	}
	node, _ := startNode(t, cfg)
	m.wait(0, "warp done")
	stop := runDemo(t, net)
	host, names := <-hosts, wire.Names(net.Genesis())
	// open waits until so many full and light peers are open, and no others.
	open := func(full, light int) {
		t.Helper()
		got := map[string]int{}
		if !polled(func() bool {
			list, _, err := node.Peers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			clear(got)
			for _, p := range list {
				got[p.Role]++
			}
			return got["full"]+got["authority"] == full && got["light"] == light
		}) {
			t.Fatalf("open are %v, want %d full and %d light", got, full, light)
		}
	}
	between := func() (conns, announces int) {
		for _, c := range host.Libp2p().Network().ConnsToPeer(other.ID()) {
			conns++
			for _, s := range c.GetStreams() {
				if string(s.Protocol()) == names.BlockAnnounces {
					announces++
				}
			}
		}
		return conns, announces
	}
	open(3, 1)
	if conns, announces := between(); conns != 1 || announces != 2 {
		t.Errorf("%d connections, %d substreams of block-announces", conns, announces)
	}
	ahead.Store(int64(time.Minute))
	open(3, 0)
	if !polled(func() bool { conns, announces := between(); return conns == 1 && announces == 0 }) {
		conns, announces := between()
		t.Fatalf("%d connections, %d substreams of block-announces are left", conns, announces)
	}
	_, banned, err := node.Peers(t.Context())
	if err != nil || len(banned) > 0 {
		t.Errorf("%v, %v", banned, err)
	}
	stop()
	net.Stop()
	open(0, 0)
	ahead.Store(int64(2 * time.Minute))
	open(0, 1)
}

// polled asks until it is so, with patience.
func polled(so func() bool) bool {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(patience); !so(); <-poll.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
