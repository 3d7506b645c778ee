package lightclient_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
)

func obey(t *testing.T, n *lightclient.Node, o lightclient.Orders) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := n.Obey(ctx, o); err != nil {
		t.Fatal(err)
	}
}

// until waits for what must happen, far longer than it takes.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// TestPark: park writes one checkpoint, closes everything and is still; leaving it the node goes on. After many such
// changes no goroutine and no connection is left over, on either side.
func TestPark(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 30, SetChangeEvery: 12})
	runDemo(t, net)
	notes, store := newNotes(t), newMemory()
	cfg := config(net, notes)
	cfg.Store, cfg.Serve, cfg.Listen = store, true, []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}
	node, _ := startNode(t, cfg)
	notes.wait(0, "warp done")
	full := lightclient.Orders{Finality: lightclient.Follow, Peers: 8, FlushEvery: 25}
	eco := lightclient.Orders{Finality: lightclient.Pull, PullEvery: 300 * time.Millisecond, Peers: 1, Serve: lightclient.ServeLAN}
	park := lightclient.Orders{Finality: lightclient.None, Closed: true, Serve: lightclient.ServeNone, Write: lightclient.WriteLast}
	clients := func() (sum int) {
		for _, p := range net.Peers() {
			sum += p.Clients()
		}
		return sum
	}
	final := func() uint32 { return status(t, node).Finalized.Number }
	goroutines := 0
	for i := range 6 {
		obey(t, node, full)
		until(t, "all peers are open", func() bool { return status(t, node).Peers.Open == len(net.Peers()) })
		at := final()
		until(t, "finality moves", func() bool { return final() > at+5 })

		obey(t, node, eco)
		until(t, "one peer is left", func() bool { return status(t, node).Peers.Open == 1 && clients() == 1 })
		at = final()
		until(t, "finality is pulled", func() bool { return final() > at+5 })
		if s := status(t, node); s.Source != "pull" || s.State != "following" || s.Peers.Wanted != 1 {
			t.Fatalf("%+v", s)
		}

		obey(t, node, park)
		s := status(t, node)
		if s.State != "asleep" || s.Peers.Wanted != 0 || !s.Stale() || s.Store.Head != s.Finalized.Number {
			t.Fatalf("parked: %s, head %d, %d kept", s.State, s.Finalized.Number, s.Store.Head)
		}
		check(t, net, s)
		until(t, "every connection is closed", func() bool { return clients() == 0 })
		store.mu.Lock()
		writes, quiet := store.writes, store.quiet
		store.mu.Unlock()
		if !quiet {
			t.Fatal("the store may be written")
		}
		before := net.Finalized().Header.Number
		until(t, "the chain goes on", func() bool { return net.Finalized().Header.Number > before+10 })
		park.Write = lightclient.WriteNone
		obey(t, node, park)
		park.Write = lightclient.WriteLast
		if final() != s.Finalized.Number || store.writes != writes || status(t, node).Peers.Open > 0 {
			t.Fatal("a parked node does something")
		}
		if _, err := node.Read(t.Context(), []byte("key")); !errors.Is(err, lightclient.ErrNoPeers) {
			t.Fatalf("a read in park: %v", err)
		}
		if i == 1 { // everything has run once
			until(t, "goroutines settle", func() bool { goroutines = runtime.NumGoroutine(); return true })
		} else if i > 1 {
			until(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
		}
	}
	obey(t, node, full)
	until(t, "it follows again", func() bool {
		s := status(t, node)
		return s.State == "following" && s.Finalized.Number+3 >= net.Finalized().Header.Number
	})
	check(t, net, status(t, node))
}

// TestObeyEnded: a node that has ended says so, and an order that comes before it runs is followed.
func TestObeyEnded(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 3})
	cfg := config(net, newNotes(t))
	node, err := lightclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { got <- node.Obey(ctx, lightclient.Orders{Finality: lightclient.None, Closed: true}) }()
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if s := status(t, node); s.State != "asleep" {
		t.Errorf("%s", s.State)
	}
	cancel()
	<-ended
	if err := node.Obey(t.Context(), lightclient.Orders{}); err == nil {
		t.Error("a node that has ended obeys")
	}
}
