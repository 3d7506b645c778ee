package demonet

import (
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// TestDeferredReveals: in a block that puts the epoch off, nothing is revealed either.
func TestDeferredReveals(t *testing.T) {
	c := quiet(t, Config{History: 39})
	at := func(number uint64, t0 *trie.Trie, epochs byte) *pallet {
		p := &pallet{spec: 425, block: number, t: t0, openers: make(map[uint64]*tlock.Opener)}
		p.put(value("MaxEpochsPerBlock"), []byte{epochs})
		p.initialize()
		return p
	}
	queue := timelockedKey(1, 1)
	before := c.best().state
	if _, ok := before.Get(queue); !ok {
		t.Fatal("the test wants commits of epoch 1")
	}
	// Their pulse is there already, so that only the epoch decides.
	for _, e := range (&pallet{t: before}).timelockedQueue(queue) {
		before = before.Put(pulseKey(e.round), appendPulse(nil, imitated(c).crowd.beacon.pulse(e.round)))
	}
	p := at(40, before, 0)
	if _, ok := p.t.Get(queue); !ok || len(p.notes) != 0 || p.number(identity("SubnetEpochIndex", 1), 0) != 1 {
		t.Errorf("with its epoch put off, block 40 did %d things with commits", len(p.notes))
	}
	if got := p.number(identity("PendingEpochAt", 1), 0); got != 41 {
		t.Errorf("epoch put off to block %d", got)
	}
	p = at(41, p.t, 1)
	if _, ok := p.t.Get(queue); ok || len(p.notes) == 0 || p.number(identity("SubnetEpochIndex", 1), 0) != 2 || p.number(identity("PendingEpochAt", 1), 0) != 0 {
		t.Errorf("block 41 revealed nothing: %d notes", len(p.notes))
	}
}

func TestUpscale(t *testing.T) {
	// The first five are asserted upstream (pallets/subtensor/src/tests/math.rs); in the last the
	// factor that is rounded down first makes a tie into less than one.
	for _, x := range []struct{ in, out []uint16 }{
		{[]uint16{0}, []uint16{0}},
		{[]uint16{65534}, []uint16{65535}},
		{[]uint16{65535}, []uint16{65535}},
		{[]uint16{0, 1, 65534}, []uint16{0, 1, 65535}},
		{[]uint16{0, 1, 2, 3, 30000}, []uint16{0, 2, 4, 7, 65535}},
		{[]uint16{32767, 65534}, []uint16{32767, 65535}},
		{nil, nil},
	} {
		if got := upscale(x.in); !slices.Equal(got, x.out) {
			t.Errorf("%v becomes %v, want %v", x.in, got, x.out)
		}
		if got := commit.Upscale(x.in); !slices.Equal(got, x.out) {
			t.Errorf("package commit: %v becomes %v, want %v", x.in, got, x.out)
		}
	}
}

// TestAdmission: what a commit is refused for, in the order of the chain's checks.
func TestAdmission(t *testing.T) {
	c := quiet(t, Config{History: 10})
	p := &pallet{spec: 425, block: 11, t: c.best().state}
	who, _ := p.hotkey(1, 1) // has committed in block 7
	lazy, _ := p.hotkey(1, 0)
	version, wrong := uint16(4), uint16(3)
	for name, x := range map[string]struct {
		netuid  uint16
		mecid   uint8
		hotkey  [32]byte
		version *uint16
		want    error
	}{
		"good":           {1, 0, lazy, &version, nil},
		"no subnet":      {2, 0, lazy, &version, errNoMechanism},
		"no mechanism":   {1, 2, lazy, &version, errNoMechanism},
		"version":        {1, 0, lazy, &wrong, errVersion},
		"not registered": {3, 0, lazy, nil, errNotRegistered},
		"too fast":       {1, 0, who, &version, errTooFast},
		"other mech":     {1, 1, lazy, &version, nil},
	} {
		if _, err := p.admit(x.netuid, x.mecid, x.hotkey, x.version); err != x.want {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
	p.put(identity("CommitRevealWeightsEnabled", 1), []byte{0})
	if _, err := p.admit(1, 0, lazy, &version); err != errDisabled {
		t.Errorf("with commit-reveal off: %v", err)
	}
	// The eleventh that waits is one too many, in one epoch for timelocked ones.
	p = &pallet{spec: 425, block: 11, t: c.best().state}
	p.put(identity("WeightsSetRateLimit", 1), u64(0))
	p.put(identity("WeightsSetRateLimit", 3), u64(0))
	hotkey, _ := p.hotkey(3, 5)
	for i := range 12 {
		_, err := p.commitTimelocked(1, 0, timelocked{who: lazy, ciphertext: []byte{byte(i)}, round: 7}, crVersion)
		if want := i >= 10; (err == errTooMany) != want || !want && err != nil {
			t.Errorf("timelocked commit %d: %v", i, err)
		}
		err = p.commitHash(3, 0, hotkey, [32]byte{byte(i)})
		if want := i >= 10; (err == errTooMany) != want || !want && err != nil {
			t.Errorf("hash commit %d: %v", i, err)
		}
	}
}

// TestRevealByHand: what a reveal is refused for, and that a refused one leaves everything as it was.
func TestRevealByHand(t *testing.T) {
	c := quiet(t, Config{History: 10})
	fresh := func(block uint64, epoch uint64) *pallet {
		p := &pallet{spec: 425, block: block, t: c.best().state}
		p.put(identity("SubnetEpochIndex", 3), u64(epoch))
		p.put(identity("LastEpochBlock", 3), u64(block))
		return p
	}
	who, _ := fresh(11, 0).hotkey(3, 1)
	o := imitated(c).crowd.weights(&subnets[2], who, 3, 0, 0, NoCommitFault)
	other := o
	other.version++
	few := opening{uids: []uint16{0}, values: []uint16{5}}
	for name, x := range map[string]struct {
		epoch uint64
		o     opening
		hand  func(p *pallet)
		want  error
	}{
		"too early":      {0, o, nil, errTooEarly},
		"in time":        {1, o, nil, nil},
		"expired":        {2, o, nil, errExpired},
		"no such hash":   {1, other, nil, errNoMatch},
		"expired, other": {2, other, nil, errNoCommit},
		"no queue":       {1, o, func(p *pallet) { p.remove(hashedKey(3, who)) }, errNoCommit},
		"disabled":       {1, o, func(p *pallet) { p.put(identity("CommitRevealWeightsEnabled", 3), []byte{0}) }, errDisabled},
		"refused": {1, few, func(p *pallet) {
			p.putHashed(hashedKey(3, who), []hashed{{hash: few.hash(who, 3), a: 0, b: 7}})
		}, errVersionKey},
	} {
		p := fresh(30, x.epoch)
		if x.hand != nil {
			x.hand(p)
		}
		before := p.t.Root()
		_, err := p.revealHash(3, 0, who, x.o)
		if err != x.want {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
		if changed := p.t.Root() != before; changed != (x.want == nil) || x.want != nil && len(p.notes) != 0 {
			t.Errorf("%s: the state changed: %v, %d notes", name, changed, len(p.notes))
		}
	}
}

// TestReplaceNeuron: who loses its uid leaves nothing behind under it.
func TestReplaceNeuron(t *testing.T) {
	// The first epoch's commits are revealed in blocks 21 to 23, block 38 takes the uid away.
	c := quiet(t, Config{History: 38, CommitFaults: []CommitFault{ZeroWeights, NotRegistered}, Archive: true})
	before, after := c.at32(t, 37), c.at32(t, 38)
	const netuid, uid = 1, 3
	was, err := subtensor.ReadSnapshot(before, netuid)
	if err != nil {
		t.Fatal(err)
	}
	is, err := subtensor.ReadSnapshot(after, netuid)
	if err != nil {
		t.Fatal(err)
	}
	old, now := was.Hotkeys[uid], is.Hotkeys[uid]
	if old == now || now != imitated(c).crowd.holder(&subnets[1], uid, 2) {
		t.Fatalf("uid %d went from %v to %v", uid, old, now)
	}
	if _, ok, err := subtensor.ReadUID(after, netuid, old); ok || err != nil {
		t.Errorf("the old hotkey is still registered (%v)", err)
	}
	if got, ok, err := subtensor.ReadUID(after, netuid, now); !ok || got != uid || err != nil {
		t.Errorf("the new hotkey has uid %d, %v, %v", got, ok, err)
	}
	if is.BlockAtRegistration[uid] != 38 || is.LastUpdate[uid] != 38 || is.ValidatorPermit[uid] || is.StakeWeight[uid] != 0 || is.Dividends[uid] != 0 {
		t.Errorf("registered in %d, last update %d, permit %v, stake weight %d, dividends %d",
			is.BlockAtRegistration[uid], is.LastUpdate[uid], is.ValidatorPermit[uid], is.StakeWeight[uid], is.Dividends[uid])
	}
	if !was.ValidatorPermit[uid] || was.StakeWeight[uid] == 0 {
		t.Error("the test wants a validator that had something to lose")
	}
	row := func(s whole, uid uint16) []subtensor.Weight {
		row, _, err := subtensor.ReadWeights(s, netuid, uid)
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	if row(before, uid) == nil || row(after, uid) != nil {
		t.Error("its weights are still there, or never were")
	}
	for i, w := range row(after, 1) {
		want := row(before, 1)[i]
		if want.UID == uid {
			if want.Value == 0 {
				t.Error("the test wants a weight for it")
			}
			want.Value = 0
		}
		if w != want {
			t.Errorf("weight of uid 1 for %d is %d, want %d", w.UID, w.Value, want.Value)
		}
	}
}
