package demonet

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// whole is a state of which everything is known.
type whole struct{ t *trie.Trie }

func (s whole) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, key := range keys {
		if v, ok := s.t.Get(key); ok {
			out[i] = append([]byte{}, v...)
		}
	}
	return out, nil
}

func (c *chain) at32(t *testing.T, number uint32) whole {
	t.Helper()
	b := c.at(number)
	if b == nil || b.state == nil {
		t.Fatalf("no state of block %d", number)
	}
	return whole{b.state}
}

// entry reports whether a commit is in a state.
func entry(t *testing.T, s whole, r *CommitRecord, set rules.Set) bool {
	t.Helper()
	if r.Kind == TimelockedCommit {
		queue, err := subtensor.ReadTimelockedCommits(s, r.Index(), r.Epoch)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(queue, func(c subtensor.TimelockedCommit) bool {
			return c.Hotkey == r.Hotkey && c.Block == uint64(r.Block) && c.Hash() == r.Hash && c.Round == r.Round
		})
	}
	queue, err := subtensor.ReadHashCommits(s, r.Index(), r.Hotkey, set)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(queue, func(c subtensor.HashCommit) bool {
		return c.Hash == r.Hash && c.Block == uint64(r.Block) && (!set.StatefulEpochs || c.Epoch == r.Epoch)
	})
}

// TestCommitFates lets every fault happen under the rules of several runtimes and holds what the chain
// did against what packages commit and subtensor make of its states: two renderings of one source,
// which share no code.
func TestCommitFates(t *testing.T) {
	// Where older rules differ, by the faults that show it.
	older := []CommitFault{PulseMissing, NotRegistered, WeightTooLarge, Superseded, NoMechanism, Expired, Overtaken}
	for spec, faults := range map[uint32][]CommitFault{425: CommitFaults(), 422: older, 333: older, 315: older} {
		t.Run(fmt.Sprint(spec), func(t *testing.T) {
			t.Parallel()
			epochs := len(ofKind(faults, TimelockedCommit)) + 2
			c := quiet(t, Config{Spec: spec, CommitFaults: faults, Archive: true, Tempo: minTempo, History: (minTempo + 1) * epochs})
			set, err := rules.For(spec)
			if err != nil {
				t.Fatal(err)
			}
			v, err := drand.NewVerifier(imitated(c).crowd.beacon.Beacon)
			if err != nil {
				t.Fatal(err)
			}
			type ended struct {
				fault CommitFault
				kind  CommitKind
			}
			seen := make(map[ended]int)
			mechanisms := make(map[uint8]bool)
			for _, r := range c.commits() {
				name := fmt.Sprintf("%v commit of uid %d of subnet %d.%d, made in block %d (%v)", r.Kind, r.UID, r.Netuid, r.Mecid, r.Block, r.Fault)
				if entry(t, c.at32(t, r.Block-1), &r, set) || !entry(t, c.at32(t, r.Block), &r, set) {
					t.Fatalf("%s: its entry is not there from that block on", name)
				}
				if r.GoneAt != 0 && (!entry(t, c.at32(t, r.GoneAt-1), &r, set) || entry(t, c.at32(t, r.GoneAt), &r, set)) {
					t.Fatalf("%s: its entry is not gone with block %d", name, r.GoneAt)
				}
				snapshot, err := subtensor.ReadSnapshot(c.at32(t, r.Block), r.Netuid)
				if err != nil {
					t.Fatal(err)
				}
				if r.Mecid == 0 && snapshot.LastUpdate[r.UID] != uint64(r.Block) {
					t.Fatalf("%s: LastUpdate is %d", name, snapshot.LastUpdate[r.UID])
				}
				if r.Why == "" {
					continue // not yet
				}
				want := r.Fault.Ends(r.Kind, spec)
				exempt := r.UID == owners[r.Netuid] && spec < specOwner
				switch {
				case exempt && r.Kind == HashCommit:
					want = whyExpired
				case exempt:
					want = "stake-too-low"
				case r.Mecid == 1 && r.Fault == NoCommitFault && r.Why == whyNoMechanism:
					want = whyNoMechanism // the other's fault took it along
				}
				if r.Why != want {
					t.Fatalf("%s: %s, want %s", name, r.Why, want)
				}
				if (r.RevealedAt != 0) == (r.LostAt != 0) || (r.RevealedAt != 0) != (r.Why == whyStored) {
					t.Fatalf("%s: %s, revealed in %d, lost in %d", name, r.Why, r.RevealedAt, r.LostAt)
				}
				if r.Kind == HashCommit && want == whyExpired && r.Fault != Expired && r.Refused == "" {
					t.Fatalf("%s: nobody tried to reveal it", name)
				}
				if r.Refused != "" && r.Fault != NoCommitFault && r.Refused != r.Fault.String() {
					t.Fatalf("%s: its reveal was refused as %s", name, r.Refused)
				}
				seen[ended{r.Fault, r.Kind}]++
				mechanisms[r.Mecid] = true
				if r.Fault != NoCommitFault || r.Epoch%4 == 0 {
					second(t, c, &r, set, v, name)
				}
			}
			for _, f := range faults {
				for _, kind := range []CommitKind{HashCommit, TimelockedCommit} {
					if n := seen[ended{f, kind}]; f.Of(kind) != (n > 0) {
						t.Errorf("%d %v commits with %v", n, kind, f)
					}
				}
			}
			if mechanisms[1] != (spec >= specMechanisms) {
				t.Errorf("commits on the second mechanism: %v", mechanisms[1])
			}
		})
	}
}

var owners = map[uint16]uint16{1: 5, 3: 4}

// second asks packages commit and yuma what became of a commit, from the state before.
func second(t *testing.T, c *chain, r *CommitRecord, set rules.Set, v *drand.Verifier, name string) {
	t.Helper()
	at := max(r.RevealedAt, r.LostAt)
	before, after := c.at32(t, at-1), c.at32(t, at)
	facts, err := commit.ReadFacts(before, r.Netuid, r.Mecid, r.Hotkey, set)
	if err != nil {
		t.Fatal(err)
	}
	row := commit.Row(r.UIDs, r.Values)
	if r.RevealedAt != 0 {
		got, ok, err := subtensor.ReadWeights(after, r.Index(), r.UID)
		if err != nil || !ok || !slices.Equal(got, row) {
			t.Fatalf("%s: weights are %v, committed were %v (%v)", name, got, row, err)
		}
		if epoch := facts.Epoch(uint64(at)); epoch != r.Epoch+1 {
			t.Fatalf("%s: revealed in epoch %d, made in %d", name, epoch, r.Epoch)
		}
	}
	if r.Kind == HashCommit {
		if r.Hash != commit.HashOf(r.Hotkey, r.Index(), r.UIDs, r.Values, r.Salt, r.VersionKey) {
			t.Fatalf("%s: another hash", name)
		}
		queue, err := subtensor.ReadHashCommits(before, r.Index(), r.Hotkey, set)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(queue, func(c subtensor.HashCommit) bool { return c.Hash == r.Hash })
		window := facts.Window(queue[i], uint64(at))
		left, err := subtensor.ReadHashCommits(after, r.Index(), r.Hotkey, set)
		if err != nil {
			t.Fatal(err)
		}
		if r.Why == whyExpired {
			if window != commit.Expired {
				t.Fatalf("%s: in block %d its window is %v", name, at, window)
			}
			earlier, err := commit.ReadFacts(c.at32(t, at-2), r.Netuid, r.Mecid, r.Hotkey, set)
			if err != nil {
				t.Fatal(err)
			}
			if window := earlier.Window(queue[i], uint64(at-1)); window != commit.Stored {
				t.Fatalf("%s: in block %d already its window is %v", name, at-1, window)
			}
		} else if why := commit.Gone(queue, left, queue[i], window); why.String() != r.Why {
			t.Fatalf("%s: by the queues it was %v, by the chain %s", name, why, r.Why)
		}
		if r.Why == whyStored {
			if _, why := facts.Judge(uint64(at), r.UIDs, r.Values, r.VersionKey); why != commit.Stored {
				t.Fatalf("%s: judged %v", name, why)
			}
		}
		return
	}
	if r.Why == whyNoMechanism {
		return // the queue went with its mechanism, in a block in which nothing was revealed
	}
	fate, err := commit.ReadFate(before, r.Netuid, r.Mecid, r.Epoch, r.Hash, r.Hotkey, uint64(at), v, set)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if fate.Why.String() != r.Why || fate.Kept || r.Why == whyStored && !slices.Equal(fate.Row, row) {
		t.Fatalf("%s: judged %v (kept: %v), the chain says %s", name, fate.Why, fate.Kept, r.Why)
	}
	// Each block of its epoch before that one left it alone.
	for n := at - 1; ; n-- {
		facts, err := commit.ReadFacts(c.at32(t, n-1), r.Netuid, r.Mecid, r.Hotkey, set)
		if err != nil {
			t.Fatal(err)
		}
		if facts.Epoch(uint64(n)) <= r.Epoch {
			break
		}
		fate, err := commit.ReadFate(c.at32(t, n-1), r.Netuid, r.Mecid, r.Epoch, r.Hash, r.Hotkey, uint64(n), v, set)
		if err != nil || fate.Why != commit.PulseMissing || !fate.Kept {
			t.Fatalf("%s: in block %d already: %+v, %v", name, n, fate, err)
		}
	}
}

// TestScheduler holds the scheduler against package yuma's, block for block.
func TestScheduler(t *testing.T) {
	c := quiet(t, Config{History: 130, Tempo: 25, Quiet: true})
	deferred := 0
	for n := uint32(1); n <= 130; n++ {
		for _, netuid := range []uint16{1, 3} {
			before, err := subtensor.ReadSchedule(c.at32(t, n-1), netuid)
			if err != nil {
				t.Fatal(err)
			}
			got, err := subtensor.ReadSchedule(c.at32(t, n), netuid)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := before.Step(uint64(n))
			if got == want {
				continue
			}
			// One epoch a block: the second is put off, which package yuma leaves to others.
			if netuid != 3 || !before.Due(uint64(n)) || got.PendingEpochAt != uint64(n)+1 || got.SubnetEpochIndex != before.SubnetEpochIndex {
				t.Fatalf("block %d, subnet %d: %+v, want %+v", n, netuid, got, want)
			}
			deferred++
		}
	}
	if deferred != 1 {
		t.Errorf("%d epochs were deferred, want the first of subnet 3", deferred)
	}
	for _, netuid := range []uint16{1, 3} {
		s, err := subtensor.ReadSnapshot(whole{c.best().state}, netuid)
		if err != nil {
			t.Fatal(err)
		}
		if s.Tempo != 25 || s.Schedule.SubnetEpochIndex != 5 || s.LastStep != s.Schedule.LastEpochBlock || s.LastStep == 0 {
			t.Errorf("subnet %d: %+v", netuid, s.Schedule)
		}
	}
}

func TestSnapshot(t *testing.T) {
	c := quiet(t, Config{History: 30, CommitFaults: []CommitFault{NoPermit}})
	state := whole{c.best().state}
	if spec, err := subtensor.Spec(state); err != nil || spec != 425 {
		t.Errorf("spec %d, %v", spec, err)
	}
	for _, s := range subnets {
		got, err := subtensor.ReadSnapshot(state, s.netuid)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Exists || int(got.N) != s.neurons || got.Mechanisms != max(1, s.mechanisms) || !got.CommitRevealWeightsEnabled {
			t.Errorf("subnet %d: %+v", s.netuid, got.Hyperparameters)
		}
		if s.netuid == 0 {
			continue
		}
		if got.OwnerUID != int(s.owner) || !got.ValidatorPermit[s.owner] || got.Hotkeys[s.owner] != got.Owner {
			t.Errorf("subnet %d: owner is uid %d", s.netuid, got.OwnerUID)
		}
		p := &pallet{spec: 425, t: state.t}
		for uid, hotkey := range got.Hotkeys {
			stake, err := subtensor.ReadStake(state, s.netuid, hotkey)
			if err != nil {
				t.Fatal(err)
			}
			// The first epoch gives the owner a permit, without any stake.
			want := uid < s.permits
			if got.ValidatorPermit[uid] != (want || uid == int(s.owner)) || p.staked(s.netuid, hotkey) != want {
				t.Errorf("subnet %d, uid %d: permit %v, stake %v", s.netuid, uid, got.ValidatorPermit[uid], stake)
			}
		}
	}
}

// TestShortSlots: rounds far longer than blocks open commits in their time all the same.
func TestShortSlots(t *testing.T) {
	c := quiet(t, Config{History: 200, BlockTime: 50 * time.Millisecond})
	stored := 0
	for _, r := range c.commits() {
		if r.Why == whyStored {
			stored++
		} else if r.LostAt != 0 {
			t.Errorf("commit of block %d: %s", r.Block, r.Why)
		}
	}
	if stored < 40 {
		t.Errorf("%d commits were revealed", stored)
	}
}

// TestCommitsOfForks: a branch has commits of its own, and the chain forgets those of the one it
// left.
func TestCommitsOfForks(t *testing.T) {
	cfg := Config{History: 30, FinalityLag: 20, CommitFaults: []CommitFault{NotRegistered}}
	c, same := quiet(t, cfg), quiet(t, cfg)
	before := c.commits()
	if _, err := forked(c, 10, 14); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, _, err := same.step(false); err != nil {
			t.Fatal(err)
		}
	}
	after, want := c.commits(), same.commits()
	if len(after) != len(want) || len(after) < len(before) {
		t.Fatalf("%d commits after the fork, without it %d", len(after), len(want))
	}
	for i := range after {
		if after[i].Hash != want[i].Hash || after[i].Block != want[i].Block || after[i].Why != want[i].Why {
			t.Errorf("commit %d: %+v, without the fork %+v", i, after[i], want[i])
		}
	}
	if c.best().hash == same.best().hash {
		t.Error("the fork made the same blocks")
	}
}

func TestCommitsDeterministic(t *testing.T) {
	cfg := Config{History: 60, CommitFaults: CommitFaults(), Seed: "x"}
	a, b := quiet(t, cfg), quiet(t, cfg)
	if a.best().hash != b.best().hash {
		t.Error("the same configuration gives another chain")
	}
	cfg.CommitFaults = nil
	if b := quiet(t, cfg); a.best().hash == b.best().hash {
		t.Error("faults make no difference")
	}
}

func TestSpecOfConfig(t *testing.T) {
	for _, x := range []struct {
		cfg     Config
		spec    uint32
		unknown bool
		commits bool
	}{
		{Config{}, 425, false, true},
		{Config{Quiet: true}, 425, false, false},
		{Config{Spec: 467}, 467, true, true},
		{Config{Spec: 422}, 422, false, true},
	} {
		c := quiet(t, x.cfg)
		spec, err := subtensor.Spec(whole{c.best().state})
		if err != nil || spec != x.spec {
			t.Errorf("spec %d, %v, want %d", spec, err, x.spec)
		}
		if _, err := rules.For(spec); errors.Is(err, rules.ErrUnknown) != x.unknown {
			t.Errorf("spec %d: %v", spec, err)
		}
		if n := len(c.commits()); (n > 0) != x.commits {
			t.Errorf("spec %d: %d commits", spec, n)
		}
	}
	for _, cfg := range []Config{
		{Tempo: minTempo - 1}, {Tempo: -1}, {Tempo: maxTempo + 1}, {Spec: 305},
		{CommitFaults: []CommitFault{NoCommitFault}}, {CommitFaults: []CommitFault{CommitFault(len(commitFaults))}},
	} {
		if _, err := cfg.withDefaults(); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func TestCommitFaultNames(t *testing.T) {
	for _, f := range CommitFaults() {
		if got, err := ParseCommitFault(f.String()); err != nil || got != f {
			t.Errorf("%v: %v, %v", f, got, err)
		}
		if f.What() == "" || !f.Of(HashCommit) && !f.Of(TimelockedCommit) {
			t.Errorf("%v: nobody can have it", f)
		}
		for _, kind := range []CommitKind{HashCommit, TimelockedCommit} {
			if _, ok := commit.ParseReason(f.Ends(kind, 425)); f.Of(kind) && !ok {
				t.Errorf("%v ends as %q, which is no reason", f, f.Ends(kind, 425))
			}
		}
	}
	if _, err := ParseCommitFault("no such fault"); err == nil {
		t.Error("an unknown name is taken")
	}
}
