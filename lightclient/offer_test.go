package lightclient

import (
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify/grandpa"
)

// standing is what the bench has proven.
func (b *bench) standing() *Standing {
	b.t.Helper()
	st := standing(b.net.Checkpoint(), b.s.Chain(), b.fragments(), b.alarm)
	if st == nil {
		b.t.Fatal("nothing is proven")
	}
	return st
}

func (b *bench) fragments() []grandpa.Fragment {
	var list []grandpa.Fragment
	for _, a := range b.sets {
		list = append(list, grandpa.Fragment{Header: a.Header, Justification: a.Justification})
	}
	return list
}

// TestOffered: a node without any peer of the chain follows by what another node has proven, over
// changes of the set.
func TestOffered(t *testing.T) {
	net := demo(t, demonet.Config{History: 60, SetChangeEvery: 20, Slack: 2000})
	feeder := newBench(t, net, SyncConfig{})
	feeder.open()
	feeder.run(10 * time.Second)
	alone := newBench(t, net, SyncConfig{})
	alone.run(time.Second)
	alone.at(0)

	offer := func() {
		proof, ok := feeder.standing().Above(alone.s.Chain().Finalized().Hash, 100)
		if !ok {
			t.Fatal("the feeder does not know our block")
		}
		alone.now = feeder.now
		alone.emit(Offered{proof})
		alone.run(time.Second)
	}
	offer()
	alone.at(net.Finalized().Header.Number)
	for range 50 {
		feeder.step(true)
		feeder.run(2 * time.Second)
		offer()
		alone.at(net.Finalized().Header.Number)
	}
	if len(alone.sets) < 4 {
		t.Errorf("%d set changes", len(alone.sets))
	}
	if len(alone.requests) > 0 {
		t.Errorf("it asked somebody: %v", alone.requests)
	}
	if !alone.s.warp.caughtUp || alone.s.fed.IsZero() {
		t.Error("it does not say that it has caught up")
	}
}

// TestOfferedBadly: what does not verify changes nothing.
func TestOfferedBadly(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 2000})
	feeder := newBench(t, net, SyncConfig{})
	feeder.open()
	feeder.run(5 * time.Second)
	good, _ := feeder.standing().Above(net.Genesis(), 100)
	spoiled := *good.Fragments[0].Justification
	spoiled.Commit.Precommits = slices.Clone(spoiled.Commit.Precommits)
	spoiled.Commit.Precommits[1].Signature[9] ^= 1
	few := *good.Fragments[0].Justification
	few.Commit.Precommits = few.Commit.Precommits[:1]
	for name, j := range map[string]*grandpa.Justification{"a bad signature": &spoiled, "too few votes": &few} {
		alone := newBench(t, net, SyncConfig{})
		alone.emit(Offered{&grandpa.WarpProof{Finished: true, Fragments: []grandpa.Fragment{{Header: good.Fragments[0].Header, Justification: j}}}})
		alone.run(time.Second)
		if n := alone.s.Chain().Finalized().Header.Number; n != 0 {
			t.Errorf("%s: block %d is final", name, n)
		}
		for _, nothing := range []*grandpa.WarpProof{nil, {Finished: true}} {
			alone.emit(Offered{nothing})
		}
		alone.run(time.Second)
	}
}

// TestOfferedBesidePeers: where peers announce headers, an offer does not throw away the tree.
func TestOfferedBesidePeers(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 2000})
	feeder := newBench(t, net, SyncConfig{})
	b := newBench(t, net, SyncConfig{})
	for _, x := range []*bench{feeder, b} {
		x.open()
		x.run(5 * time.Second)
	}
	for range 5 {
		feeder.step(true)
		feeder.run(2 * time.Second)
		b.now = feeder.now
		proof, ok := feeder.standing().Above(b.s.Chain().Finalized().Hash, 100)
		if !ok {
			t.Fatal("unknown block")
		}
		b.emit(Offered{proof})
		b.run(time.Second)
		if b.s.Chain().Authorities() == nil {
			t.Fatal("the Aura list was thrown away")
		}
		b.at(net.Finalized().Header.Number)
	}
	// Nobody announces, and the offer lies far above: after a while it is taken as it is.
	for range 4 {
		feeder.step(true)
		feeder.run(2 * time.Second)
	}
	proof, _ := feeder.standing().Above(b.s.Chain().Finalized().Hash, 100)
	b.refuse = func(*Request) bool { return true }
	b.run(feeder.now.Sub(b.now) + b.s.lag())
	b.emit(Offered{proof})
	b.run(time.Second)
	b.at(net.Finalized().Header.Number)
}

// TestAccused: evidence from elsewhere stops finality, if it is evidence; so does a finality that is not
// ours.
func TestAccused(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 2000})
	benches := []*bench{newBench(t, net, SyncConfig{}), newBench(t, net, SyncConfig{})}
	for _, b := range benches {
		b.open()
		b.run(5 * time.Second)
	}
	ours := benches[0].standing()
	set, a, theirs, err := net.Conflict()
	if err != nil {
		t.Fatal(err)
	}
	ev, err := grandpa.NewEvidence(&set, a, theirs)
	if err != nil {
		t.Fatal(err)
	}
	wrong := *ev
	wrong.SetID++
	b := benches[0]
	b.emit(Accused{&wrong})
	b.emit(Accused{nil})
	b.run(time.Second)
	if b.alarm != nil {
		t.Fatal("alarm for evidence against another set")
	}
	b.emit(Accused{ev})
	b.run(time.Second)
	if b.alarm == nil {
		t.Fatal("no alarm")
	}
	if st := b.standing(); st.Evidence == nil || st.Head.Hash != ours.Head.Hash {
		t.Error("the standing does not tell of it")
	}
	b = benches[1]
	b.emit(Offered{&grandpa.WarpProof{Finished: true, Fragments: []grandpa.Fragment{{Header: theirs.Header, Justification: theirs.Justification}}}})
	b.run(time.Second)
	if b.alarm == nil || b.alarm.Verify(&set) != nil {
		t.Fatal("no alarm for a finality that is not ours")
	}
}

// TestToldByNeighbours: while neighbours tell of finality as well, commits are taken from one peer, and from two again
// soon after they fall silent.
func TestToldByNeighbours(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, Peers: 5, SetChangeEvery: -1, Slack: 2000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	blocks := func(n int, told func(final uint32)) (hears int) {
		for range n {
			b.step(true)
			b.run(b.s.slot())
			told(net.Finalized().Header.Number)
			b.at(net.Finalized().Header.Number)
		}
		for _, deaf := range b.deaf {
			if !deaf {
				hears++
			}
		}
		return hears
	}
	silent := func(uint32) {}
	news := func(final uint32) { b.emit(Told{final}) }
	if n := blocks(20, silent); n != listeners {
		t.Errorf("it takes commits from %d peers", n)
	}
	if n := blocks(5, news); n != listeners || b.s.relieved() {
		t.Errorf("from %d after a few messages", n)
	}
	if n := blocks(20, news); n != 1 || !b.s.relieved() {
		t.Errorf("from %d while neighbours tell of each block", n)
	}
	if n := blocks(20, func(final uint32) { b.emit(Told{final - 3}) }); n != listeners || b.s.relieved() {
		t.Errorf("from %d while they tell of old blocks", n)
	}
	if n := blocks(20, news); n != 1 {
		t.Errorf("from %d", n)
	}
	if n := blocks(20, silent); n != listeners {
		t.Errorf("from %d after they fell silent", n)
	}
}

// TestSpared: who pulls finality does not while neighbours bring the newest, and does when they bring old blocks or
// nothing.
func TestSpared(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: -1, Slack: 4000})
	feeder := newBench(t, net, SyncConfig{})
	b := newBench(t, net, SyncConfig{Finality: Pull, PullEvery: time.Minute})
	for _, x := range []*bench{feeder, b} {
		x.open()
		x.run(5 * time.Second)
	}
	pulls := func(offer func(i int)) int {
		before := b.requests[WarpRequest]
		for i := range 300 { // ten minutes
			feeder.step(true)
			feeder.run(2 * time.Second)
			b.emit(Announced{b.s.sorted()[0].id, wire.Announce{Header: net.Best(), Best: true}})
			offer(i)
			b.run(feeder.now.Sub(b.now))
		}
		return b.requests[WarpRequest] - before
	}
	tell := func(st *Standing) {
		if p, ok := st.Above(b.s.Chain().Finalized().Hash, 100); ok && len(p.Fragments) > 0 {
			b.emit(Offered{p})
		}
	}
	if n := pulls(func(int) {}); n < 9 {
		t.Errorf("%d pulls in ten minutes without an offer", n)
	}
	if n := pulls(func(i int) {
		if i%30 == 0 {
			tell(feeder.standing())
		}
	}); n > 1 {
		t.Errorf("%d pulls in ten minutes while offers came each minute", n)
	}
	// What was spared at one pace does not hold at another.
	b.emit(Ordered{Pull, time.Hour, false})
	b.run(time.Second)
	for range 10 {
		feeder.step(true)
		feeder.run(2 * time.Second)
	}
	tell(feeder.standing())
	b.run(feeder.now.Sub(b.now))
	b.emit(Ordered{Pull, 20 * time.Second, false})
	if n := pulls(func(int) {}); n < 25 {
		t.Errorf("%d pulls in ten minutes at three a minute", n)
	}
	b.emit(Ordered{Pull, time.Minute, false})
	// One that always offers the next block alone holds it back by two waits at most.
	next, behind := make(map[uint32]*Standing), uint32(0)
	if n := pulls(func(i int) {
		final := b.s.Chain().Finalized().Header.Number
		if next[feeder.s.Chain().Finalized().Header.Number] = feeder.standing(); i%5 == 0 && next[final+1] != nil {
			tell(next[final+1])
		}
		behind = max(behind, net.Best().Number-final)
	}); n < 4 || behind > 75 {
		t.Errorf("%d pulls in ten minutes while old blocks were offered; at most %d blocks behind", n, behind)
	}
}
