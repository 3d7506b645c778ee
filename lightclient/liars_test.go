package lightclient_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// liars says what the node must make of each fault. Every fault of demonet is here; the test fails
// when one is added and not judged.
var liars = map[demonet.FaultKind]struct {
	// ban is in the note with which the node, alone with the peer, drops it; "" if the fault is none
	// that can be told from bad luck, or is in something the node does not ask for.
	ban string
	// blind: alone with the peer, nothing above the checkpoint can be proven.
	blind bool
}{
	demonet.Silent:                 {blind: true},
	demonet.Busy:                   {blind: true},
	demonet.Full:                   {blind: true},
	demonet.WrongGenesis:           {ban: "another chain", blind: true},
	demonet.LateFinality:           {},
	demonet.Stale:                  {},
	demonet.SlowLink:               {},
	demonet.Garbage:                {ban: "1h0m0s", blind: true},
	demonet.LieHeader:              {ban: "header"},
	demonet.LieHeaderSeal:          {ban: "header"},
	demonet.LieBody:                {},
	demonet.LieJustification:       {},
	demonet.LieJustificationTarget: {},
	demonet.LieRead:                {},
	demonet.LieReadOther:           {},
	demonet.LieReadMissing:         {},
	demonet.LieReadUnused:          {},
	demonet.LieCall:                {},
	demonet.LieCallMissing:         {},
	demonet.LieWarpSignature:       {ban: "warp proof"},
	demonet.LieWarpSet:             {},
	demonet.LieWarpTarget:          {ban: "warp proof"},
	demonet.LieWarpEmpty:           {ban: "warp proof", blind: true},
	demonet.LieAnnounceSeal:        {ban: "seal"},
	demonet.LieAnnounceParent:      {},
	demonet.LieCommitSignature:     {ban: "commit"},
	demonet.LieCommitTarget:        {ban: "commit"},
	demonet.LieNeighbor:            {ban: "grandpa message"},
	demonet.LieKad:                 {},
}

// TestLiars meets each fault twice: alone with the peer, where nothing false may be shown and the lie
// must be named; and beside an honest one, with whom the node must get on.
func TestLiars(t *testing.T) {
	for _, kind := range demonet.FaultKinds() {
		want, ok := liars[kind]
		if !ok {
			t.Errorf("%v (%s) is not judged", kind, kind.What())
			continue
		}
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			net := startDemo(t, demonet.Config{Peers: 2, History: 26, SetChangeEvery: 12, FinalityLag: 2,
				Faults: []demonet.Fault{{Peer: 0, Kind: kind, Blocks: 5, Rate: 64 << 10}}})
			runDemo(t, net)

			if want.ban != "" || want.blind {
				n := newNotes(t)
				cfg := config(net, n)
				cfg.Bootnodes = cfg.Bootnodes[:0]
				for _, a := range net.Peers()[0].AddrInfo().Addrs {
					cfg.Bootnodes = append(cfg.Bootnodes, a.String()+"/p2p/"+net.Peers()[0].ID().String())
				}
				node, stop := startNode(t, cfg)
				if want.ban != "" {
					line, _ := n.wait(0, "banned")
					for next := 0; !contains(line, want.ban); {
						line, next = n.wait(next, "banned")
					}
				} else {
					n.wait(0, "health") // it says that it gets nowhere
				}
				s := status(t, node)
				check(t, net, s)
				if want.blind && s.Finalized.Number != 0 {
					t.Errorf("block %d is final, with nobody honest to ask", s.Finalized.Number)
				}
				stop()
			}

			n := newNotes(t)
			node, _ := startNode(t, config(net, n))
			_, i := n.wait(0, "warp done")
			for range 4 {
				_, i = n.wait(i, "final #")
			}
			check(t, net, status(t, node))
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			key := verify.StorageKey("Timestamp", "Now")
			r, err := node.Read(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			if truth, _, err := net.Storage(r.Hash, key); err != nil || r.Values[0].Outcome != trie.Present || string(truth) != string(r.Values[0].Value) {
				t.Errorf("Timestamp.Now at #%d is %x, the chain has %x (%v)", r.Number, r.Values[0].Value, truth, err)
			}
		})
	}
}

func contains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// TestConflict: two valid finalities stop the node, which keeps the evidence and never chooses.
func TestConflict(t *testing.T) {
	net := startDemo(t, demonet.Config{Peers: 2})
	n := newNotes(t)
	node, _ := startNode(t, config(net, n))
	_, i := n.wait(0, "warp done")
	if err := net.Steps(3); err != nil {
		t.Fatal(err)
	}
	// The other finality is as valid as this one, so this one has to be there first.
	_, i = n.wait(i, fmt.Sprintf("final #%d", net.Finalized().Header.Number))
	if _, _, _, err := net.Conflict(); err != nil {
		t.Fatal(err)
	}
	n.wait(i, "ALARM")
	before := status(t, node)
	check(t, net, before)
	if err := net.Steps(3); err != nil {
		t.Fatal(err)
	}
	s := status(t, node)
	if err := node.MaySign(); !errors.Is(err, lightclient.ErrConflict) {
		t.Errorf("may sign: %v", err)
	}
	if s.State != "conflict" || s.Health[0].Code != "finality-conflict" || s.Finalized.Number != before.Finalized.Number {
		t.Errorf("state %q, finalized %d, was %d, health %+v", s.State, s.Finalized.Number, before.Finalized.Number, s.Health)
	}
}

// TestClock1970: the wall clock decides nothing about finality; what it suspends is said.
func TestClock1970(t *testing.T) {
	net := startDemo(t, demonet.Config{})
	runDemo(t, net)
	n := newNotes(t)
	cfg := config(net, n)
	start := time.Now()
	cfg.Now = func() time.Time { return time.Unix(60, 0).Add(time.Since(start)) }
	node, _ := startNode(t, cfg)
	_, i := n.wait(0, "warp done")
	for range 3 {
		_, i = n.wait(i, "final #")
	}
	s := status(t, node)
	check(t, net, s)
	if s.Clock.Trust != "none" || s.SlotAge != nil || s.State != "following" {
		t.Errorf("clock %+v, slot age %v, state %q", s.Clock, s.SlotAge, s.State)
	}
	found := false
	for _, w := range s.Health {
		found = found || w.Code == "clock-behind"
	}
	if !found {
		t.Errorf("no warning about the clock: %+v", s.Health)
	}
}

// TestStall: finality stops for longer than the tree may grow; the tree is bounded, and when finality
// goes on so does the node.
func TestStall(t *testing.T) {
	net := startDemo(t, demonet.Config{Peers: 2, History: 10, Slack: 4096})
	n := newNotes(t)
	node, _ := startNode(t, config(net, n))
	_, i := n.wait(0, "warp done")
	net.SetFinalityLag(-1)
	if err := net.Steps(lightclient.MaxUnfinalized + 200); err != nil {
		t.Fatal(err)
	}
	s := status(t, node)
	check(t, net, s)
	net.SetFinalityLag(1)
	if err := net.Steps(3); err != nil {
		t.Fatal(err)
	}
	for {
		_, i = n.wait(i, "final #")
		if s = status(t, node); s.Finalized.Number > lightclient.MaxUnfinalized+200 {
			break
		}
	}
	check(t, net, s)
}
