package lightclient_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/fact"
)

// TestWatchEpochs: what a node has kept of the epochs of a watched subnet is recomputed, shown and proven
// when no peer has the states any more, after a restart, and by nobody who changed what is stored.
func TestWatchEpochs(t *testing.T) {
	t.Parallel()
	net := startDemo(t, demonet.Config{Peers: 1, History: 60, Slack: 1000, BlockTime: 2 * time.Second, Tempo: 18,
		EpochFaults: []demonet.EpochFault{demonet.NoEpochFault, demonet.NoEpochFault, demonet.WrongIncentive}})
	m := newMemory()
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store, cfg.Watch, cfg.WatchEvery = m, []uint16{1}, 10
	node, stop := startNode(t, cfg)
	_, next := n.wait(0, "warp done")
	tables := make(map[uint32]*lightclient.Metagraph) // as peers had them
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
	// From before anything is kept, so that it is what peers have.
	plain := cfg
	plain.Store, plain.Watch = nil, nil
	other := newNotes(t)
	plain.Notes = other.add
	witness, stopWitness := startNode(t, plain)
	other.wait(0, "warp done")
	walk(4)
	first := status(t, node).Watch
	stop() // a restart in the middle
	n = newNotes(t)
	next = 0
	cfg.Notes = n.add
	node, stop = startNode(t, cfg)
	walk(5)
	end := status(t, node)
	if err := witness.WaitFinal(patient(t)); err != nil {
		t.Fatal(err)
	}
	var want []demonet.EpochRecord
	for _, r := range net.Epochs() {
		if r.Netuid == 1 && r.Block > 1 && r.Block+10 < end.Finalized.Number {
			want = append(want, r)
			for _, number := range []uint32{r.Block - 1, r.Block} {
				table, err := witness.Metagraph(patient(t), 1, lightclient.StateOptions{At: &number})
				if err != nil {
					t.Fatal(err)
				}
				tables[number] = table
			}
		}
	}
	stop()
	stopWitness()
	if len(want) < 6 || first.Epochs < 2 || end.Watch.Epochs < 2 || first.Epochs+end.Watch.Epochs < len(want) || first.Epochs+end.Watch.Epochs > len(want)+2 {
		t.Fatalf("%d epochs, kept %d and %d", len(want), first.Epochs, end.Watch.Epochs)
	}

	// The states of all that go; the node that asks does not watch.
	if err := net.Steps(300); err != nil {
		t.Fatal(err)
	}
	n = newNotes(t)
	cfg.Notes, cfg.Watch = n.add, nil
	node, stop = startNode(t, cfg)
	n.wait(0, "warp done")
	wrong := 0
	for _, r := range want {
		name := fmt.Sprintf("epoch of #%d (%v)", r.Block, r.Fault)
		e, at, err := node.Epoch(patient(t), 1, &r.Block, lightclient.StateOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		finding := epoch.Equal
		if r.Fault != demonet.NoEpochFault {
			finding = epoch.Differs
			wrong++
		}
		if got := e.Verdict().Finding(); got != finding || at[0].Trust != "bundle" || at[1].Trust != "bundle" || at[1].Number != r.Block {
			t.Errorf("%s: %v, %+v", name, got, at)
		}
		for _, number := range []uint32{r.Block - 1, r.Block} {
			got, err := node.Metagraph(patient(t), 1, lightclient.StateOptions{At: &number})
			if err != nil {
				t.Fatalf("%s: metagraph at #%d: %v", name, number, err)
			}
			if got.Block.Trust != "bundle" {
				t.Errorf("%s: metagraph at #%d is %s", name, number, got.Block.Trust)
			}
			got.Source = tables[number].Source
			if !reflect.DeepEqual(got, tables[number]) {
				t.Errorf("%s: metagraph at #%d is not as peers had it", name, number)
			}
		}
		x, err := node.ProveEpoch(patient(t), 1, &r.Block, lightclient.ProveOptions{})
		if finding == epoch.Differs {
			var refused *bundle.ClaimError
			if !errors.As(err, &refused) {
				t.Errorf("%s: a bundle of it: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rep := x.Verify(bundle.Options{Checkpoint: net.Checkpoint(), Beacon: net.Beacon()}); rep.Outcome != fact.OK || len(x.Claims) != 1 || x.Claims[0].Kind() != "epoch" {
			t.Errorf("%s: %v %s", name, x.Claims, rep)
		}
	}
	if wrong == 0 {
		t.Error("no wrong epoch was kept")
	}
	// One of another subnet, and the block after, were not.
	beyond := want[0].Block + 1
	for _, err := range []error{
		func() error {
			_, err := node.Metagraph(patient(t), 1, lightclient.StateOptions{At: &beyond})
			return err
		}(),
		func() error {
			_, err := node.Metagraph(patient(t), 3, lightclient.StateOptions{At: &want[0].Block})
			return err
		}(),
	} {
		if !errors.Is(err, lightclient.ErrPruned) {
			t.Errorf("what was not kept: %v", err)
		}
	}
	stop()

	// The store is no witness: whatever is changed in it, nothing else is shown.
	for i, name := range slices.Sorted(maps.Keys(m.kept)) {
		b := m.kept[name]
		switch i % 3 {
		case 0:
			b.data[len(b.data)/2] ^= 1
		case 1:
			b.data[8] ^= 1
		case 2:
			b.data = b.data[:len(b.data)-1]
		}
		m.kept[name] = b
	}
	n = newNotes(t)
	cfg.Notes = n.add
	node, _ = startNode(t, cfg)
	n.wait(0, "warp done")
	for _, r := range want {
		e, _, err := node.Epoch(patient(t), 1, &r.Block, lightclient.StateOptions{})
		if err == nil {
			// What was changed is a node that the epoch does not need.
			if got := e.Verdict().Finding(); (got == epoch.Equal) != (r.Fault == demonet.NoEpochFault) {
				t.Errorf("epoch of #%d (%v), changed: %v", r.Block, r.Fault, got)
			}
		} else if !errors.Is(err, lightclient.ErrPruned) {
			t.Errorf("epoch of #%d, changed: %v", r.Block, err)
		}
	}
}

// TestWatchUnknownRules: an epoch under rules that nobody has audited is kept, for whoever assumes others, or
// for a later version.
func TestWatchUnknownRules(t *testing.T) {
	t.Parallel()
	net := startDemo(t, demonet.Config{Peers: 1, History: 60, Slack: 1000, BlockTime: 2 * time.Second, Tempo: 18, Spec: 467})
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store, cfg.Watch = newMemory(), []uint16{3}
	_, stop := startNode(t, cfg)
	line, _ := n.wait(0, "subnet 3: epoch of #")
	n.wait(0, "unknown rules") // of the commitments
	stop()
	if err := net.Steps(300); err != nil {
		t.Fatal(err)
	}
	var number uint32
	if _, err := fmt.Sscanf(line, "watch subnet 3: epoch of #%d:", &number); err != nil {
		t.Fatal(line, err)
	}
	n = newNotes(t)
	cfg.Notes, cfg.Watch = n.add, nil
	node, _ := startNode(t, cfg)
	n.wait(0, "warp done")
	if _, _, err := node.Epoch(patient(t), 3, &number, lightclient.StateOptions{}); !errors.Is(err, lightclient.ErrUnknownRules) {
		t.Errorf("without an assumption: %v", err)
	}
	e, at, err := node.Epoch(patient(t), 3, &number, lightclient.StateOptions{AssumeRules: 425})
	if err != nil || e.Verdict().Finding() != epoch.Equal || at[1].Trust != "bundle" {
		t.Errorf("assumed: %+v, %v", at, err)
	}
	m, err := node.Metagraph(patient(t), 3, lightclient.StateOptions{At: &number, AssumeRules: 425})
	if err != nil || !m.Assumed || m.Block.Trust != "bundle" || m.LastStep != uint64(number) {
		t.Errorf("metagraph: %+v, %v", m, err)
	}
}

// TestDropped: a read goes on with what it has when a peer is lost in the middle of it, by the other or by
// the same when it is back.
func TestDropped(t *testing.T) {
	for _, peers := range []int{1, 2} {
		t.Run(fmt.Sprint(peers), func(t *testing.T) {
			t.Parallel()
			net := startDemo(t, demonet.Config{Peers: peers, History: 60, Tempo: 18})
			n := newNotes(t)
			cfg := config(net, n)
			if began := time.Now(); peers == 1 {
				// The node's clock runs fast: it does not dial who left again for some seconds.
				cfg.Now = func() time.Time { return began.Add(30 * time.Since(began)) }
			}
			node := joined(t, net, cfg, n)
			asked := func() (sum int) {
				for _, p := range net.Peers() {
					sum += p.Stats().Requests["light/2"]
				}
				return sum
			}
			whole, _, err := node.Epoch(patient(t), 1, nil, lightclient.StateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			usual := asked()
			rounds := 0
			got, _, err := node.Epoch(patient(t), 1, nil, lightclient.StateOptions{Progress: func(string) {
				if rounds++; rounds == 4 { // in the middle of it
					p := net.Peers()[0]
					p.Stop()
					if peers == 1 {
						if err := p.Start(); err != nil {
							t.Error(err)
						}
					}
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if rounds < 5 || !reflect.DeepEqual(got.Verdict(), whole.Verdict()) {
				t.Errorf("%d rounds; otherwise than without it", rounds)
			}
			// No more than the round under way is asked again.
			if again := asked() - usual; again > usual+4 {
				t.Errorf("%d requests, %d without it", again, usual)
			}
		})
	}
}
