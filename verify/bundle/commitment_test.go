package bundle

import (
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// A claimCase is a claim about a chain, and the verdict on it.
type claimCase struct {
	name    string
	claim   Claim
	outcome fact.Outcome
	why     string // part of the reason, or of the text if OK
}

// check judges each claim with all the evidence there is; the ones that are so also with the least, as a draft
// finds it.
func (c *chain) check(t *testing.T, rounds []uint64, cases []claimCase) {
	t.Helper()
	for _, cc := range cases {
		t.Run(cc.name, func(t *testing.T) {
			r := c.verify(c.force(c.head(), rounds, cc.claim))
			l := r.Lines[len(r.Lines)-1]
			if l.Step != cc.claim.Kind() || l.Outcome != cc.outcome || !strings.Contains(l.Reason+l.Text, cc.why) {
				t.Errorf("want %v %q, have\n%v", cc.outcome, cc.why, l)
			}
			x, err := c.try(c.head(), cc.claim)
			if cc.outcome == fact.OK {
				if err != nil {
					t.Fatal(err)
				}
				wantOK(t, c.verify(x))
				return
			}
			var refused *ClaimError
			if !errors.As(err, &refused) || !errors.Is(err, ErrRefused) || refused.Line.Outcome != cc.outcome || !strings.Contains(err.Error(), cc.why) {
				t.Errorf("draft: want %q, have %v", cc.why, err)
			}
		})
	}
}

func TestMadeAndRevealed(t *testing.T) {
	s := newScene(t, "made")
	id, hash := idOf(s.sealed, epoch), idOfHash(1, s.hashed)
	with := func(id CommitID, change func(*CommitID)) CommitID {
		change(&id)
		return id
	}
	otherSalt := *s.reveal
	otherSalt.Salt = []uint16{1, 2, 3, 5}
	s.check(t, []uint64{round}, []claimCase{
		{"made", MadeClaim{id, s.made}, fact.OK, "(uid 0)"},
		{"made, one of nobody", MadeClaim{with(id, func(c *CommitID) { c.Hotkey = hotkey(99) }), s.made}, fact.Failed, "made: not so"},
		{"made, another hash", MadeClaim{with(id, func(c *CommitID) { c.Hash[3] ^= 1 }), s.made}, fact.Failed, "made: not so"},
		{"made, another block", MadeClaim{with(id, func(c *CommitID) { c.Block-- }), s.made}, fact.Failed, "made: not so"},
		{"made, another epoch", MadeClaim{with(id, func(c *CommitID) { c.Epoch++ }), s.made}, fact.Failed, "made: not so"},
		{"made, another mechanism", MadeClaim{with(id, func(c *CommitID) { c.Mecid++ }), s.made}, fact.Failed, "made: not so"},
		{"made, another subnet", MadeClaim{with(id, func(c *CommitID) { c.Netuid++ }), s.made}, fact.Failed, "made: not so"},
		{"made, after its reveal", MadeClaim{id, s.revealed}, fact.Failed, "made: not so"},
		{"made by hash, another epoch", MadeClaim{with(hash, func(c *CommitID) { c.Epoch++ }), s.made}, fact.Failed, "made: not so"},
		{"made by hash, as timelocked", MadeClaim{with(hash, func(c *CommitID) { c.Kind = commit.Timelocked }), s.made}, fact.Failed, "made: not so"},

		{"revealed", RevealedClaim{id, s.revealed, nil}, fact.OK, "3 weights"},
		{"revealed, a block early", RevealedClaim{id, s.revealed - 1, nil}, fact.Failed, "gone: not so"},
		{"revealed, a block late", RevealedClaim{id, s.revealed + 1, nil}, fact.Failed, "made: not so"},
		{"revealed by hash", RevealedClaim{hash, s.shown, s.reveal}, fact.OK, "2 weights"},
		{"revealed by hash, another salt", RevealedClaim{hash, s.shown, &otherSalt}, fact.Failed, "opened: not so"},
		{"revealed by hash, a block early", RevealedClaim{hash, s.shown - 1, s.reveal}, fact.Failed, "gone: not so"},

		{"lost, though stored", LostClaim{id, s.revealed, commit.NoPermit}, fact.Failed, "fate: not so: by the chain's rules it is: stored"},
		{"lost, before it is due", LostClaim{id, s.made + 1, commit.NoPermit}, fact.Failed, "not due"},
		{"lost by hash, though revealed", LostClaim{hash, s.shown, commit.Overtaken}, fact.Failed, "fate: not so: by its queue before and after the block, it is: stored"},
		{"expired by hash, in time", LostClaim{hash, s.shown - 1, commit.Expired}, fact.Failed, "it can still be revealed"},
		{"expired by hash, before its time", LostClaim{hash, s.made + 1, commit.Expired}, fact.Failed, "its time has not come"},

		{"equal", EqualClaim{id, s.made, s.head(), nil}, fact.OK, "3 weights"},
		{"equal, shown by the block before", EqualClaim{id, s.revealed - 1, s.revealed, nil}, fact.OK, "3 weights"},
		{"equal, before they were set", EqualClaim{id, s.made + 1, s.made, nil}, fact.Failed, "weights: not so"},
		{"equal, not shown", EqualClaim{id, s.revealed, s.revealed, nil}, fact.Failed, "made: not so"},
		{"equal by hash", EqualClaim{hash, s.made, s.head(), s.reveal}, fact.OK, "2 weights"},
		{"equal by hash, another salt", EqualClaim{hash, s.made, s.head(), &otherSalt}, fact.Failed, "opened: not so"},

		{"weights of nobody", WeightsClaim{netuid, 0, s.made, 9}, fact.OK, "has set none"},
		{"subnet that is none", SubnetClaim{netuid + 1, s.made}, fact.OK, "does not exist"},
	})
}

// TestPulseOfOpening: without the pulse, or with the one of another beacon, nothing is opened.
func TestPulseOfOpening(t *testing.T) {
	s := newScene(t, "pulse")
	claim := RevealedClaim{idOf(s.sealed, epoch), s.revealed, nil}
	r := s.verify(s.force(s.head(), nil, claim))
	if l := r.Lines[5]; l.Outcome != fact.Undecided || !strings.Contains(l.Reason, "round 4,711") {
		t.Errorf("no pulse: %v", l)
	}
	x := s.make(s.head(), claim)
	x.Pulses[0].Signature = newChain(t, "another beacon", 1, 1).pulse(round).Signature
	r = s.verify(x)
	if r.Lines[4].Outcome != fact.Failed || r.Lines[5].Outcome != fact.Undecided || !errors.Is(r.Lines[5].Err, ErrNotReached) || r.Failing() != "pulses" {
		t.Errorf("pulse of another beacon:\n%s", r)
	}
	// Quicknet knows no such pulse.
	cp := s.checkpoint(s.first)
	cp.Drand = nil
	if r := s.make(s.head(), claim).Verify(Options{Checkpoint: cp}); r.Failing() != "pulses" || r.Outcome != fact.Failed {
		t.Errorf("quicknet:\n%s", r)
	}
	if r := s.make(s.head(), claim).Verify(Options{Checkpoint: cp, Beacon: s.beacon}); r.Outcome != fact.OK {
		t.Errorf("beacon given:\n%s", r)
	}
}

// TestUnchangedWeights: a reveal of what is there already is proven by the rules, or not at all.
func TestUnchangedWeights(t *testing.T) {
	uids, values := []uint16{1, 2}, []uint16{30, 40}
	c := newChain(t, "unchanged", 100, 4)
	c.register(4)
	c.weights(0, commit.Row(uids, values))
	c.weights(1, commit.Row(uids, values))
	c.weights(2, commit.Row(uids, values))
	c.put(subtensor.KeySubnet("ValidatorPermit", netuid), bools(true, false, true, true))
	c.block()
	good, bad := c.seal(0, round, uids, values), c.seal(1, round, uids, values)
	c.queue(epoch, good, bad)
	salt := []uint16{5}
	entry := subtensor.HashCommit{Hash: commit.HashOf(hotkey(2), netuid, uids, values, salt, 0), Epoch: epoch, Block: uint64(c.next())}
	c.hashQueue(2, entry)
	old := subtensor.HashCommit{Hash: commit.HashOf(hotkey(3), netuid, uids, values, salt, 0), Epoch: epoch, Block: uint64(c.next())}
	c.hashQueue(3, old)
	c.weights(3, commit.Row(uids, values))
	c.block()
	c.storePulse(round)
	c.run(tempo - 2)
	c.tick(epoch + 1)
	c.queue(epoch)
	revealed := c.block().Number
	c.hashQueue(2)
	shown := c.block().Number
	c.run(tempo - 1)
	c.tick(epoch + 2)
	c.block()
	c.hashQueue(3) // swept away
	swept := c.block().Number
	reveal := &Reveal{UIDs: uids, Values: values, Salt: salt}
	c.check(t, []uint64{round}, []claimCase{
		{"stored", RevealedClaim{idOf(good, epoch), revealed, nil}, fact.OK, "2 weights"},
		{"dropped", RevealedClaim{idOf(bad, epoch), revealed, nil}, fact.Failed, "this commitment was dropped: no-permit"},
		{"lost", LostClaim{idOf(bad, epoch), revealed, commit.NoPermit}, fact.OK, "no-permit"},
		{"revealed by hash", RevealedClaim{idOfHash(2, entry), shown, reveal}, fact.OK, "2 weights"},
		{"swept away", RevealedClaim{idOfHash(3, old), swept, reveal}, fact.Undecided, "weights: proves nothing"},
		{"expired", LostClaim{idOfHash(3, old), swept - 1, commit.Expired}, fact.OK, "expired"},
		{"expired, as of the next block", LostClaim{idOfHash(3, old), revealed + tempo - 1, commit.Expired}, fact.OK, "expired"},
		{"expired, a block too early", LostClaim{idOfHash(3, old), revealed + tempo - 2, commit.Expired}, fact.Failed, "it can still be revealed"},
		{"expired, and no longer there", LostClaim{idOfHash(3, old), swept, commit.Expired}, fact.Failed, "made: not so"},
		{"overtaken by nothing", LostClaim{idOfHash(3, old), swept, commit.Overtaken}, fact.Failed, "it is: expired"},
	})
}

func TestLost(t *testing.T) {
	c := newChain(t, "lost", 100, 4)
	c.register(6)
	c.block()
	uids, values := []uint16{1, 2}, []uint16{30, 40}
	foreign := c.seal(5, round, uids, values) // made for neuron 5, committed by 1
	foreign.Hotkey = hotkey(1)
	first, second := c.seal(0, round, uids, values), c.seal(0, round, []uint16{3}, []uint16{1})
	late := c.seal(2, round+1_000_000, uids, values) // its pulse never comes
	damaged := c.seal(3, round, uids, values)
	damaged.Ciphertext = damaged.Ciphertext[:90]
	wrongRound := c.seal(4, round, uids, values)
	wrongRound.Round = round + 1
	twice := c.seal(5, round, []uint16{1, 1}, values)
	other := []uint16{50, 60}
	again, same := c.seal(4, round, uids, other), c.seal(4, round, uids, other)
	same.Ciphertext = append(same.Ciphertext[:len(same.Ciphertext):len(same.Ciphertext)], 0) // as the chain tolerates
	twin := c.seal(3, round, uids, other)
	twin2 := twin
	twin2.Block--
	queue := []subtensor.TimelockedCommit{first, foreign, late, damaged, wrongRound, twice, again, same, twin2, twin, second}
	c.queue(epoch, queue...)
	one := subtensor.HashCommit{Hash: commit.HashOf(hotkey(1), netuid, uids, values, nil, 0), Epoch: epoch, Block: uint64(c.next())}
	two := subtensor.HashCommit{Hash: commit.HashOf(hotkey(1), netuid, values[:0], values[:0], nil, 0), Epoch: epoch, Block: uint64(c.next())}
	c.hashQueue(1, one, two)
	c.block()
	c.storePulse(round)
	c.storePulse(round + 1)
	c.run(tempo - 2)
	c.tick(epoch + 1)
	c.queue(epoch, late)
	c.weights(0, commit.Row([]uint16{3}, []uint16{1}))
	c.weights(4, commit.Row(uids, other))
	at := c.block().Number
	c.hashQueue(1)
	overtaken := c.block().Number
	c.run(tempo - 2)
	c.tick(epoch + 2)
	c.queue(epoch)
	over := c.block().Number
	lost := func(e subtensor.TimelockedCommit, at uint32, why commit.Reason) Claim {
		return LostClaim{idOf(e, epoch), at, why}
	}
	c.check(t, []uint64{round, round + 1}, []claimCase{
		{"wrong hotkey", lost(foreign, at, commit.WrongHotkey), fact.OK, "wrong-hotkey"},
		{"wrong hotkey, as another reason", lost(foreign, at, commit.NoPermit), fact.Failed, "by the chain's rules it is: wrong-hotkey"},
		{"superseded", lost(first, at, commit.Superseded), fact.OK, "superseded"},
		{"superseded by itself", lost(second, at, commit.Superseded), fact.Failed, "by the chain's rules it is: stored"},
		{"the same ciphertext twice", lost(twin, at, commit.Superseded), fact.Undecided, "fate: proves nothing"},
		{"superseded by its like", lost(again, at, commit.Superseded), fact.OK, "superseded"},
		{"revealed, though superseded", RevealedClaim{idOf(first, epoch), at, nil}, fact.Failed, "weights: not so"},
		{"revealed, the last of two", RevealedClaim{idOf(second, epoch), at, nil}, fact.OK, "1 weight"},
		{"damaged", lost(damaged, at, commit.CiphertextBad), fact.OK, "ciphertext-bad"},
		{"for another round", lost(wrongRound, at, commit.Undecryptable), fact.OK, "undecryptable"},
		{"revealed, though it opens to nothing", RevealedClaim{idOf(wrongRound, epoch), at, nil}, fact.Failed, "opened: not so: undecryptable"},
		{"equal, though for another", EqualClaim{idOf(foreign, epoch), at - 1, at, nil}, fact.Failed, "opened: not so: wrong-hotkey"},
		{"duplicate uid", lost(twice, at, commit.DuplicateUID), fact.OK, "duplicate-uid"},
		{"pulse missing, tried again", lost(late, at, commit.PulseMissing), fact.Failed, "it is kept, to be tried again: pulse-missing"},
		{"pulse missing to the end", lost(late, over, commit.PulseMissing), fact.OK, "pulse-missing"},
		{"pulse missing, as expired", lost(late, over, commit.Expired), fact.Failed, "it is: pulse-missing"},
		{"overtaken", LostClaim{idOfHash(1, one), overtaken, commit.Overtaken}, fact.OK, "overtaken"},
		{"overtaken by none", LostClaim{idOfHash(1, two), overtaken, commit.Overtaken}, fact.Failed, "it is: stored"},
	})
}

// TestLostAgainstTheChain: the rules say that a commitment is dropped, and its weights are there. One of the
// two is wrong, and nothing is proven.
func TestLostAgainstTheChain(t *testing.T) {
	for _, before := range []bool{false, true} {
		c := newChain(t, "against", 100, 4)
		c.register(2)
		c.put(subtensor.KeySubnet("ValidatorPermit", netuid), bools(false, false))
		uids, values := []uint16{0, 1}, []uint16{30, 40}
		if before {
			c.weights(0, commit.Row(uids, values))
		}
		c.block()
		e := c.seal(0, round, uids, values)
		c.queue(epoch, e)
		c.storePulse(round)
		c.run(tempo)
		c.queue(epoch)
		c.tick(epoch + 1)
		c.weights(0, commit.Row(uids, values))
		at := c.block().Number
		want := claimCase{"", LostClaim{idOf(e, epoch), at, commit.NoPermit}, fact.Failed, "became those committed"}
		if before {
			want.outcome, want.why = fact.OK, "no-permit"
		}
		c.check(t, []uint64{round}, []claimCase{want})
	}
}

// TestNoRow: a neuron that is gone, or never set weights, has not the weights of a commitment, not even of an empty
// one.
func TestNoRow(t *testing.T) {
	for _, tc := range []struct {
		name   string
		uids   []uint16
		reveal func(c *chain)
		claimCase
	}{
		{"set to nothing", nil, func(c *chain) { c.weights(0, nil) }, claimCase{outcome: fact.OK, why: "0 weights"}},
		{"never set", nil, func(c *chain) {}, claimCase{outcome: fact.Failed, why: "weights: not so"}},
		{"deregistered", []uint16{1}, func(c *chain) { c.del(subtensor.KeyUids(netuid, hotkey(0))) }, claimCase{outcome: fact.Failed, why: "the hotkey is not registered after block"}},
	} {
		c := newChain(t, "no row", 100, 4)
		c.register(2)
		c.put(subtensor.KeySubnet("MinAllowedWeights", netuid), u16(0))
		c.block()
		e := c.seal(0, round, tc.uids, tc.uids)
		c.queue(epoch, e)
		c.storePulse(round)
		made := c.block().Number
		c.run(tempo - 2)
		c.queue(epoch)
		c.tick(epoch + 1)
		tc.reveal(c)
		at := c.block().Number
		for _, claim := range []Claim{RevealedClaim{idOf(e, epoch), at, nil}, EqualClaim{idOf(e, epoch), made, at, nil}} {
			c.check(t, []uint64{round}, []claimCase{{tc.name + ", " + claim.Kind(), claim, tc.outcome, tc.why}})
		}
	}
}

func TestUnknownRules(t *testing.T) {
	c := newChain(t, "rules", 100, 4)
	c.register(3)
	c.block()
	e := c.seal(0, round, []uint16{1}, []uint16{1})
	c.queue(epoch, e)
	c.storePulse(round)
	made := c.block().Number
	c.run(tempo - 2)
	c.tick(epoch + 1)
	c.queue(epoch)
	c.weights(0, commit.Row([]uint16{1}, []uint16{1}))
	c.runs(467)
	at := c.block().Number
	c.block()
	id := idOf(e, epoch)
	claims := []Claim{
		MadeClaim{id, made}, RevealedClaim{id, at, nil}, LostClaim{id, at, commit.NoPermit}, EqualClaim{id, made, at, nil},
		WeightsClaim{netuid, 0, at, -1}, SubnetClaim{netuid, at},
	}
	for _, claim := range claims[1:] {
		c.check(t, []uint64{round}, []claimCase{{claim.Kind(), claim, fact.Undecided, "unknown rules"}})
	}
	// Rules of a named runtime may be taken; that the runtime changed in the very block is still in the way
	// of what is claimed about the block.
	o := DraftOptions{Beacon: c.beacon, AssumeRules: 425}
	for _, claim := range []Claim{claims[0], claims[3], claims[4], claims[5]} {
		d, err := c.draftOf(o, c.first, c.head(), claim)
		if err == nil {
			_, err = c.fill(d)
		}
		if err != nil {
			t.Fatal(err)
		}
		x, err := d.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		r := x.Verify(Options{Checkpoint: c.checkpoint(c.first), AssumeRules: 425})
		wantOK(t, r)
		assumed := strings.Contains(r.Lines[5].Text, "(spec 425 assumed for spec 467)")
		if _, made := claim.(MadeClaim); assumed == made {
			t.Errorf("%v", r.Lines[5])
		}
		if _, made := claim.(MadeClaim); !made {
			if r := c.verify(x); r.Outcome != fact.Undecided || !errors.Is(r.Lines[5].Err, rules.ErrUnknown) || r.Failing() != "rules" && r.Failing() != claim.Kind() {
				t.Errorf("%s", r)
			}
			if r := x.Verify(Options{Checkpoint: c.checkpoint(c.first), AssumeRules: 999}); r.Outcome != fact.Undecided {
				t.Errorf("%s", r)
			}
		}
	}
	for _, claim := range []Claim{claims[1], claims[2]} {
		d, err := c.draftOf(o, c.first, c.head(), claim)
		if err == nil {
			_, err = c.fill(d)
		}
		if !errors.Is(err, rules.ErrUnknown) || !strings.Contains(err.Error(), "changed from spec 425 to 467 in block") {
			t.Errorf("%v: %v", claim, err)
		}
	}
}

// TestLegacyRules: before spec 423 a hash commit's epoch follows from its block.
func TestLegacyRules(t *testing.T) {
	c := newChain(t, "legacy", 100, 4)
	c.runs(420)
	c.register(3)
	c.block()
	set, err := rules.For(420)
	if err != nil {
		t.Fatal(err)
	}
	reveal := &Reveal{UIDs: []uint16{1}, Values: []uint16{1}}
	e := subtensor.HashCommit{Hash: commit.HashOf(hotkey(0), netuid, reveal.UIDs, reveal.Values, nil, 0), Block: uint64(c.next()), First: 1, Last: 2}
	index, _ := subtensor.Index(netuid, 0)
	key := subtensor.KeyWeightCommits(index, hotkey(0))
	c.put(key, subtensor.AppendHashCommits(nil, []subtensor.HashCommit{e}, set))
	made := c.block().Number
	// (block + netuid + 1) div (tempo + 1), and the window of the epoch after.
	when := uint64(made+netuid+1) / (tempo + 1)
	c.run(tempo + 2)
	for (uint64(c.next())+netuid+1)/(tempo+1) != when+1 {
		c.block()
	}
	c.del(key)
	c.weights(0, commit.Row(reveal.UIDs, reveal.Values))
	at := c.block().Number
	id := CommitID{Kind: commit.Hash, Netuid: netuid, Hotkey: hotkey(0), Epoch: when, Block: made, Hash: e.Hash}
	wrong := id
	wrong.Epoch++
	c.check(t, nil, []claimCase{
		{"made", MadeClaim{id, made}, fact.OK, "epoch"},
		{"made, another epoch", MadeClaim{wrong, made}, fact.Failed, "made: not so"},
		{"revealed", RevealedClaim{id, at, reveal}, fact.OK, "1 weight"},
	})
}
