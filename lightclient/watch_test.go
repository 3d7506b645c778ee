package lightclient_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/fact"
)

// TestWatch: what a node has seen of the commitments of a watched subnet can be shown and proven when no
// peer has the states any more, after a restart, and by nobody who changed what is stored.
func TestWatch(t *testing.T) {
	t.Parallel()
	net := committing(t, demonet.Config{Peers: 1, History: 60, Slack: 1000})
	m := newMemory()
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store, cfg.Watch, cfg.WatchEvery = m, []uint16{1, 3, 1}, 10
	node, stop := startNode(t, cfg)
	_, next := n.wait(0, "warp done")
	begin := status(t, node).Finalized.Number
	walk := func(blocks int) {
		for range blocks {
			if err := net.Steps(10); err != nil {
				t.Fatal(err)
			}
			head := net.Finalized().Header.Number
			_, next = n.wait(next, fmt.Sprintf("final #%d ", head))
			for {
				w := status(t, node).Watch
				if w.Error != "" {
					t.Fatal(w.Error)
				}
				if w.LastLook+10 > head {
					break
				}
			}
		}
	}
	walk(5)
	stop() // a restart in the middle: what is under way is taken up again
	n = newNotes(t)
	next = 0
	cfg.Notes = n.add
	node, stop = startNode(t, cfg)
	walk(6)
	end := status(t, node)
	w := end.Watch
	if w.Revealed == 0 || w.Lost == 0 || w.Pending == 0 || !slices.Equal(w.Netuids, []uint16{1, 3}) {
		t.Errorf("%+v", w)
	}
	stop()
	total, early := 0, 0
	for name, b := range m.kept {
		if !strings.HasPrefix(name, "commits/") {
			continue // an epoch (TestWatchEpochs)
		}
		total += len(b.data)
		x, err := bundle.Decode(b.data)
		if err != nil {
			t.Fatal(err)
		}
		if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon()}); rep.Outcome != fact.OK {
			t.Errorf("%s: %s", name, rep)
		}
		for _, c := range x.Claims {
			if made, ok := c.(bundle.MadeClaim); ok && made.At == made.Block {
				early++
			}
		}
	}
	if early < 20 {
		t.Errorf("%d commitments were proven in the state of their own block", early)
	}
	t.Logf("%d bundles, %d bytes, %+v", len(m.kept), total, w)

	// The states of all that go; the node that asks does not watch.
	if err := net.Steps(300); err != nil {
		t.Fatal(err)
	}
	n = newNotes(t)
	cfg.Notes, cfg.Watch = n.add, nil
	node, stop = startNode(t, cfg)
	n.wait(0, "warp done")
	told, proven := 0, make(map[string]int)
	for _, at := range mechanisms {
		truth := records(net, at.netuid, at.mecid)
		c, err := node.Commitments(patient(t), at.netuid, at.mecid, lightclient.CommitmentsOptions{Epochs: 100})
		if err != nil {
			t.Fatal(err)
		}
		if !c.Pruned {
			t.Errorf("beyond: %q", c.Beyond)
		}
		kept := make(map[string]*lightclient.Commitment)
		for _, e := range c.Past {
			if e.Trust == "bundle" {
				kept[e.Hash] = e
				r := truth[e.Hash]
				if e.State == lightclient.Lost && e.Why.String() == "expired" {
					e.LostAt = &r.LostAt // a bundle says only that its time has passed
				}
				if err := faithful(e, r, c.Block.Number); err != nil {
					t.Errorf("subnet %d, %s: %v", at.netuid, story(r), err)
				}
			}
		}
		told += len(kept)
		for _, r := range truth {
			hash := r.Hash.String()
			over := max(r.RevealedAt, r.LostAt)
			if r.Block < begin || over == 0 || over > end.Finalized.Number-10 || r.Why == "no-mechanism" || r.Why == "expired" && over+18 > end.Finalized.Number {
				continue
			}
			if kept[hash] == nil {
				t.Errorf("subnet %d, %s: not kept", at.netuid, story(r))
				continue
			}
			kind := fmt.Sprint(at, r.Kind, r.Why)
			if proven[kind]++; proven[kind] > 2 {
				continue
			}
			x, _, err := node.ProveCommitment(patient(t), at.netuid, at.mecid, lightclient.CommitmentSelector{Hotkey: r.Hotkey, Hash: &r.Hash}, lightclient.ProveOptions{})
			if err != nil {
				t.Errorf("subnet %d, %s: %v", at.netuid, story(r), err)
				continue
			}
			if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon()}); rep.Outcome != fact.OK || len(x.Claims) > 2 || x.Claims[len(x.Claims)-1].Kind() == "made" {
				t.Errorf("subnet %d, %s: %v %s", at.netuid, story(r), x.Claims, rep)
			}
		}
	}
	if told < 20 {
		t.Errorf("%d told from what was kept", told)
	}
	stop()

	// The store is no witness.
	for i, name := range slices.Sorted(maps.Keys(m.kept)) {
		b := m.kept[name]
		if !strings.HasPrefix(name, "commits/") {
			continue
		}
		if i%4 == 0 {
			b.data[len(b.data)/2] ^= 1
			continue
		}
		x, err := bundle.Decode(b.data)
		if err != nil {
			t.Fatal(err)
		}
		x.Final.Votes.List[0].Signature[5] ^= 1
		m.kept[name] = memoryBundle{b.number, x.Encode()}
	}
	n = newNotes(t)
	cfg.Notes = n.add
	node, _ = startNode(t, cfg)
	n.wait(0, "warp done")
	c, err := node.Commitments(patient(t), 1, 0, lightclient.CommitmentsOptions{Epochs: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Past {
		if e.Trust == "bundle" {
			t.Errorf("told from a bundle that was changed: %+v", e)
		}
	}
}
