package lightclient_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/fact"
)

// TestHear: what a watcher proves goes out in bundles that fit a message; one that watches the same subnet and has
// no peer keeps them, and can show them when nobody has the states any more.
func TestHear(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 1, History: 60, Slack: 1000})
	n := newNotes(t)
	cfg := config(net, n)
	var mu sync.Mutex
	var messages [][]byte
	cfg.Store, cfg.Watch, cfg.WatchEvery = newMemory(), []uint16{1, 3}, 10
	cfg.Shown = func(list [][]byte) {
		mu.Lock()
		messages = append(messages, list...)
		mu.Unlock()
	}
	node, stop := startNode(t, cfg)
	_, next := n.wait(0, "warp done")
	for range 6 {
		if err := net.Steps(10); err != nil {
			t.Fatal(err)
		}
		head := net.Finalized().Header.Number
		_, next = n.wait(next, fmt.Sprintf("final #%d ", head))
		for {
			if w := status(t, node).Watch; w.Error != "" {
				t.Fatal(w.Error)
			} else if w.LastLook+10 > head {
				break
			}
		}
	}
	w := status(t, node).Watch
	ends := func() int { // that were told; it is done behind the looks
		mu.Lock()
		defer mu.Unlock()
		told := make(map[string]bool)
		for _, b := range messages {
			x, err := bundle.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range x.Claims {
				switch c := c.(type) {
				case bundle.RevealedClaim:
					told[c.Hash.String()] = true
				case bundle.LostClaim:
					told[c.Hash.String()] = true
				}
			}
		}
		return len(told)
	}
	until(t, "what was found is told", func() bool { return ends() >= (w.Revealed+w.Lost)*9/10 })
	stop()

	// A second one, without a peer, which watches one of the subnets.
	m := newMemory()
	alone := config(net, newNotes(t))
	alone.Bootnodes, alone.Store, alone.Watch = nil, m, []uint16{1}
	hears, stop := startNode(t, alone)
	said, kept, others := make(map[string]bool), 0, 0
	for _, b := range messages {
		if len(b) > lightclient.MaxShown {
			t.Errorf("a message of %d bytes", len(b))
		}
		x, err := bundle.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if r := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon()}); r.Outcome != fact.OK {
			t.Errorf("%s", r)
		}
		netuid := uint16(0)
		for _, c := range x.Claims {
			switch c := c.(type) {
			case bundle.MadeClaim:
				netuid = c.Netuid
			case bundle.RevealedClaim:
				netuid = c.Netuid
				said[c.Hash.String()] = true
			case bundle.LostClaim:
				netuid = c.Netuid
				said[c.Hash.String()] = true
			default:
				t.Errorf("claims %v", c)
			}
		}
		if netuid == 1 {
			kept++
		} else {
			others++
		}
		hears.Hear(t.Context(), x)
	}
	if got := status(t, hears).Watch.Heard; got != kept || kept == 0 || others == 0 {
		t.Errorf("%d bundles were kept, of %d about subnet 1 and %d others", got, kept, others)
	}
	if len(said) < (w.Revealed+w.Lost)*9/10 {
		t.Errorf("of %d revealed and %d lost, %d were told", w.Revealed, w.Lost, len(said))
	}
	stop()

	if err := net.Steps(300); err != nil {
		t.Fatal(err)
	}
	n = newNotes(t)
	later := config(net, n)
	later.Store = m
	node, _ = startNode(t, later)
	n.wait(0, "warp done")
	c, err := node.Commitments(patient(t), 1, 0, lightclient.CommitmentsOptions{Epochs: 100})
	if err != nil {
		t.Fatal(err)
	}
	truth, told := records(net, 1, 0), 0
	for _, e := range c.Past {
		if e.Trust != "bundle" {
			continue
		}
		told++
		r := truth[e.Hash]
		if e.State == lightclient.Lost && e.Why.String() == "expired" {
			e.LostAt = &r.LostAt // a bundle says only that its time has passed
		}
		if err := faithful(e, r, c.Block.Number); err != nil {
			t.Errorf("%s: %v", story(r), err)
		}
	}
	if told < 5 {
		t.Errorf("%d told from what was heard", told)
	}
}
