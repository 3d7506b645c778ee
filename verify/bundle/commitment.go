package bundle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// An entry is what the state after one block holds of a commitment.
type entry struct {
	rules      rules.Set
	there      bool
	timelocked subtensor.TimelockedCommit // if there, and of that kind
	twins      int                        // timelocked ones of that hotkey and ciphertext, whatever their blocks
	hash       subtensor.HashCommit       // likewise
	queue      []subtensor.HashCommit     // all hash commits of the hotkey
}

// look looks a commitment up in the state after a block.
func (j *judge) look(b *block, c *CommitID) (*entry, error) {
	index, err := subtensor.Index(c.Netuid, c.Mecid)
	if err != nil {
		return nil, fail("made", err)
	}
	e := new(entry)
	var raw subtensor.Bytes
	var q subtensor.Batch
	if c.Kind == commit.Timelocked {
		q.Key("TimelockedWeightCommits", subtensor.KeyTimelockedWeightCommits(index, c.Epoch), &raw)
	} else {
		q.Key("WeightCommits", subtensor.KeyWeightCommits(index, c.Hotkey), &raw)
	}
	errQueue := q.Load(b)
	_, errBlock := j.known(b.number)
	e.rules, err = j.rulesAt(b)
	if err := first(errBlock, err, errQueue); err != nil {
		return nil, err
	}
	if raw == nil {
		return e, nil
	}
	if c.Kind == commit.Timelocked {
		queue, err := subtensor.DecodeTimelockedCommits(raw)
		if err != nil {
			return nil, fmt.Errorf("block %s: TimelockedWeightCommits: %w", number(b.number), err)
		}
		for _, t := range queue {
			if t.Hotkey != c.Hotkey || t.Hash() != c.Hash {
				continue
			}
			if e.twins++; t.Block == uint64(c.Block) && !e.there {
				e.there, e.timelocked = true, t
			}
		}
		return e, nil
	}
	if e.queue, err = subtensor.DecodeHashCommits(raw, e.rules); err != nil {
		return nil, fmt.Errorf("block %s: WeightCommits: %w", number(b.number), err)
	}
	for _, h := range e.queue {
		if h.Hash != c.Hash || h.Block != uint64(c.Block) {
			continue
		}
		epoch := h.Epoch
		if !e.rules.StatefulEpochs {
			schedule, err := subtensor.ReadSchedule(b, c.Netuid)
			if err != nil {
				return nil, err
			}
			epoch = yuma.LegacyEpoch(h.Block, c.Netuid, schedule.Tempo)
		}
		if epoch == c.Epoch {
			e.there, e.hash = true, h
			break
		}
	}
	return e, nil
}

// stands looks a commitment up where it must be.
func (j *judge) stands(b *block, c *CommitID) (*entry, error) {
	e, err := j.look(b, c)
	if err == nil && !e.there {
		return nil, fail("made", fmt.Errorf("%w: there is no such commitment in the state after block %s", ErrNotSo, number(b.number)))
	}
	return e, err
}

// name puts the commitment in the line.
func (j *judge) name(c *CommitID, e *entry) {
	j.line.add("commitment", c.Kind.String())
	j.line.add("netuid", uint64(c.Netuid))
	j.line.add("mecid", uint64(c.Mecid))
	j.line.add("hotkey", c.Hotkey.String())
	j.line.add("epoch", c.Epoch)
	j.line.add("block", uint64(c.Block))
	j.line.add("hash", c.Hash.String())
	if e != nil && e.there && c.Kind == commit.Timelocked {
		j.line.add("round", e.timelocked.Round)
		j.line.add("bytes", uint64(len(e.timelocked.Ciphertext)))
	}
}

// who writes the hotkey of a commitment with its uid.
func who(c *CommitID, uid uint16, registered bool) string {
	if !registered {
		return c.Hotkey.String() + " (not registered)"
	}
	return fmt.Sprintf("%s (uid %d)", c.Hotkey, uid)
}

func (c MadeClaim) judge(j *judge) error {
	b := j.at(c.At)
	e, err := j.stands(b, &c.CommitID)
	uid, ok, errUID := subtensor.ReadUID(b, c.Netuid, c.Hotkey)
	if err := first(err, errUID); err != nil {
		return err
	}
	j.name(&c.CommitID, e)
	j.line.add("at", uint64(c.At))
	if ok {
		j.line.add("uid", uint64(uid))
	}
	j.line.Text = fmt.Sprintf("%s on %s: %s commitment %s made in %s for epoch %d", who(&c.CommitID, uid, ok), subnet(c.Netuid, c.Mecid), c.CommitID.Kind, c.Hash.Short(), number(c.Block), c.Epoch)
	if c.CommitID.Kind == commit.Timelocked {
		j.line.Text += fmt.Sprintf(", locked to round %s", group(e.timelocked.Round))
		if t, ok := j.beacon.Time(e.timelocked.Round); ok {
			j.line.add("round_time", t)
			j.line.Text += " of " + date(t)
		}
	}
	if c.At != c.Block {
		j.line.Text += ", pending after " + number(c.At)
	}
	j.label(e.rules)
	return nil
}

// open returns the weights that a commitment holds: decrypted with the pulse of its round, or shown and
// hashed. at is a block whose state may have the pulse.
func (j *judge) open(c *CommitID, e *entry, reveal *Reveal, at uint32) (row []subtensor.Weight, err error) {
	if c.Kind == commit.Hash {
		index, err := subtensor.Index(c.Netuid, c.Mecid)
		if err != nil {
			return nil, fail("opened", err)
		}
		if got := commit.HashOf(c.Hotkey, index, reveal.UIDs, reveal.Values, reveal.Salt, reveal.VersionKey); got != c.Hash {
			return nil, fail("opened", fmt.Errorf("%w: the weights shown have hash %s, committed is %s", ErrNotSo, got.Short(), c.Hash.Short()))
		}
		j.line.add("version_key", reveal.VersionKey)
		return commit.Row(reveal.UIDs, reveal.Values), nil
	}
	round := e.timelocked.Round
	p, err := j.pulse(round, at)
	if err != nil {
		return nil, err
	}
	key := opening{c.Hotkey, c.Hash, round}
	o, ok := j.opened[key]
	if !ok {
		o = j.decrypt(e.timelocked, p.Signature)
		j.opened[key] = o
	}
	if o.Why != commit.Stored {
		return nil, fail("opened", fmt.Errorf("%w: %s: %s", ErrNotSo, o.Why, o.Why.Says()))
	}
	j.line.add("version_key", o.Payload.VersionKey)
	return commit.Row(o.Payload.UIDs, o.Payload.Values), nil
}

// sameRules returns the rules of block R, from the states after it and before it. Where they differ, the
// runtime was upgraded by the block before and R migrated the storage first: what it did then is no rule.
func sameRules(before, after rules.Set, at uint32) (rules.Set, error) {
	if before.Actual != after.Actual {
		return after, lack("rules", fmt.Errorf("%w: the runtime changed from spec %d to %d in block %s itself", rules.ErrUnknown, before.Actual, after.Actual, number(at)))
	}
	return after, nil
}

// around looks a commitment up before and after a block: it must stand before.
func (j *judge) around(c *CommitID, at uint32) (before, after *block, was, is *entry, err error) {
	before, after = j.at(at-1), j.at(at)
	was, errWas := j.stands(before, c)
	is, errIs := j.look(after, c)
	if err = first(errWas, errIs); err != nil {
		return before, after, nil, nil, err
	}
	_, err = sameRules(was.rules, is.rules, at)
	return before, after, was, is, err
}

func gone(e *entry, at uint32) error {
	if !e.there {
		return nil
	}
	return fail("gone", fmt.Errorf("%w: the commitment still stands in its queue after block %s", ErrNotSo, number(at)))
}

// A row is what the state after one block holds of a neuron's weights. One that was never set differs from
// one that was set to nothing.
type row struct {
	registered bool // the hotkey has a uid; nothing else is set without
	uid        uint16
	set        bool
	weights    []subtensor.Weight
}

// is reports whether the row was set to these weights.
func (r row) is(weights []subtensor.Weight) bool {
	return r.set && slices.Equal(r.weights, weights)
}

// row reads the weights of a hotkey after a block.
func (j *judge) row(b *block, c *CommitID) (r row, err error) {
	if r.uid, r.registered, err = subtensor.ReadUID(b, c.Netuid, c.Hotkey); err != nil || !r.registered {
		return row{}, err
	}
	return j.rowOf(b, c, r.uid)
}

// rowOf reads the weights of a uid after a block.
func (j *judge) rowOf(b *block, c *CommitID, uid uint16) (row, error) {
	index, err := subtensor.Index(c.Netuid, c.Mecid)
	if err != nil {
		return row{}, fail("weights", err)
	}
	r := row{registered: true, uid: uid}
	r.weights, r.set, err = subtensor.ReadWeights(b, index, uid)
	return r, err
}

// same checks that a row is what a commitment holds.
func (j *judge) same(r row, want []subtensor.Weight, at uint32) error {
	if !r.registered {
		return fail("weights", fmt.Errorf("%w: the hotkey is not registered after block %s", ErrNotSo, number(at)))
	}
	j.line.add("uid", uint64(r.uid))
	j.line.add("weights", rowText(want))
	if r.is(want) {
		return nil
	}
	for i := range min(len(r.weights), len(want)) {
		if r.weights[i] != want[i] {
			return fail("weights", fmt.Errorf("%w: the weights of uid %d after block %s are not those committed: weight %d is %v there, %v committed", ErrNotSo, r.uid, number(at), i, r.weights[i], want[i]))
		}
	}
	return fail("weights", fmt.Errorf("%w: the weights of uid %d after block %s are not those committed: %s there, %s committed", ErrNotSo, r.uid, number(at), count(len(r.weights), "weight"), count(len(want), "weight")))
}

func (c RevealedClaim) judge(j *judge) error {
	id := &c.CommitID
	before, after, was, is, err := j.around(id, c.At)
	now, errRow := j.row(after, id)
	if err := first(err, errRow); err != nil {
		return err
	}
	j.name(id, was)
	j.line.add("at", uint64(c.At))
	if err := gone(is, c.At); err != nil {
		return err
	}
	want, err := j.open(id, was, c.Reveal, c.At-1)
	if err == nil {
		err = j.same(now, want, c.At)
	}
	if err != nil {
		return err
	}
	// If they were the same before, that they are so now says nothing: what made them so may have been
	// another commitment, and this one dropped.
	old, err := j.rowOf(before, id, now.uid)
	if err != nil {
		return err
	}
	if old.is(want) {
		if err := c.judgeUnchanged(j, before, was, is); err != nil {
			return err
		}
	}
	j.line.add("changed", !old.is(want))
	j.line.Text = fmt.Sprintf("%s on %s: revealed in %s what was committed in %s, %s", who(id, now.uid, true), subnet(c.Netuid, c.Mecid), number(c.At), number(c.Block), count(len(want), "weight"))
	j.label(is.rules)
	return nil
}

// judgeUnchanged decides a reveal that left the weights as they were: by what the chain makes of a timelocked
// commitment in that state, or by how a hash commit left its queue.
func (c RevealedClaim) judgeUnchanged(j *judge, before *block, was, is *entry) error {
	if c.CommitID.Kind == commit.Timelocked {
		fate, err := j.fate(before, &c.CommitID, c.At, was)
		if err != nil {
			return err
		}
		if fate.Why != commit.Stored {
			return fail("weights", fmt.Errorf("%w: the weights were the same before, and by the chain's rules this commitment was dropped: %s", ErrNotSo, fate.Why))
		}
		return nil
	}
	window, err := j.window(before, &c.CommitID, was, uint64(c.At))
	if err != nil {
		return err
	}
	if why := commit.Gone(was.queue, is.queue, was.hash, window); why != commit.Stored {
		return lack("weights", fmt.Errorf("%w: the weights were the same before, and the commitment may have left its queue for another reason: %s", ErrProvesNothing, why))
	}
	return nil
}

// fate asks the chain's rules for the fate of a timelocked commitment in a block, from the state before it.
func (j *judge) fate(before *block, c *CommitID, at uint32, e *entry) (*commit.Fate, error) {
	if e.twins > 1 {
		return nil, lack("fate", fmt.Errorf("%w: there are %d commitments of the hotkey with this ciphertext in the queue, and one may come to another end than the other", ErrProvesNothing, e.twins))
	}
	v, err := j.verifierOf()
	if err != nil {
		return nil, fail("pulses", err)
	}
	fate, err := commit.ReadFate(before, c.Netuid, c.Mecid, c.Epoch, c.Hash, c.Hotkey, uint64(at), v, e.rules)
	switch {
	case errors.Is(err, commit.ErrNoEntry), errors.Is(err, commit.ErrNotDue):
		return nil, fail("fate", fmt.Errorf("%w: %w", ErrNotSo, err))
	case errors.Is(err, commit.ErrOtherBeacon):
		return nil, fail("pulses", err)
	}
	return fate, err
}

// window places block at in the time in which a hash commit can be revealed.
func (j *judge) window(before *block, c *CommitID, e *entry, at uint64) (commit.Reason, error) {
	f := commit.Facts{Rules: e.rules, Netuid: c.Netuid, Mecid: c.Mecid, Hotkey: c.Hotkey}
	var q subtensor.Batch
	q.Schedule(c.Netuid, &f.Schedule)
	q.Subnet("RevealPeriodEpochs", c.Netuid, &f.RevealPeriod)
	if err := q.Load(before); err != nil {
		return commit.Unknown, err
	}
	return f.Window(e.hash, at), nil
}

func (c LostClaim) judge(j *judge) error {
	id := &c.CommitID
	j.line.add("reason_claimed", c.Why.String())
	if id.Kind == commit.Timelocked {
		return c.judgeTimelocked(j)
	}
	if c.Why == commit.Expired {
		return c.judgeExpired(j)
	}
	before, _, was, is, err := j.around(id, c.At)
	if err != nil {
		return err
	}
	j.name(id, was)
	if err := gone(is, c.At); err != nil {
		return err
	}
	window, err := j.window(before, id, was, uint64(c.At))
	if err != nil {
		return err
	}
	if why := commit.Gone(was.queue, is.queue, was.hash, window); why != c.Why {
		return fail("fate", fmt.Errorf("%w: by its queue before and after the block, it is: %s", ErrNotSo, why))
	}
	c.say(j, is.rules)
	return nil
}

func (c LostClaim) say(j *judge, set rules.Set) {
	j.line.add("at", uint64(c.At))
	j.line.add("why", c.Why.String())
	j.line.Text = fmt.Sprintf("%s on %s: commitment %s of %s lost in %s: %s: %s", c.Hotkey, subnet(c.Netuid, c.Mecid), c.Hash.Short(), number(c.Block), number(c.At), c.Why, c.Why.Says())
	j.label(set)
}

// judgeExpired judges a hash commit that stands in its queue when its time is over. It is a loss from that
// moment on; when the entry is swept away does not matter.
func (c LostClaim) judgeExpired(j *judge) error {
	id := &c.CommitID
	b := j.at(c.At)
	e, err := j.stands(b, id)
	if err != nil {
		return err
	}
	j.name(id, e)
	window, err := j.window(b, id, e, uint64(c.At)+1)
	if err != nil {
		return err
	}
	if window != commit.Expired {
		word := "it can still be revealed"
		if window == commit.TooEarly {
			word = "its time has not come"
		}
		return fail("fate", fmt.Errorf("%w: after block %s %s", ErrNotSo, number(c.At), word))
	}
	c.say(j, e.rules)
	return nil
}

func (c LostClaim) judgeTimelocked(j *judge) error {
	id := &c.CommitID
	before, after, was, is, err := j.around(id, c.At)
	if err != nil {
		return err
	}
	j.name(id, was)
	fate, err := j.fate(before, id, c.At, was)
	if err != nil {
		return err
	}
	if fate.Kept {
		return fail("fate", fmt.Errorf("%w: by the chain's rules it is kept, to be tried again: %s", ErrNotSo, fate.Why))
	}
	if fate.Why != c.Why {
		return fail("fate", fmt.Errorf("%w: by the chain's rules it is: %s", ErrNotSo, fate.Why))
	}
	if err := gone(is, c.At); err != nil {
		return err
	}
	// Our reading of the rules against what the chain did: had it stored these weights, they would be
	// there. (Superseded ones were stored for a moment, and may be equal to the later ones.)
	if p := fate.Payload; p != nil && c.Why != commit.Superseded {
		want := commit.Row(p.UIDs, p.Values)
		now, err := j.row(after, id)
		if err != nil {
			return err
		}
		if now.is(want) {
			old, err := j.rowOf(before, id, now.uid)
			if err != nil {
				return err
			}
			if !old.is(want) {
				return fail("weights", fmt.Errorf("%w: in block %s the weights of uid %d became those committed", ErrNotSo, number(c.At), now.uid))
			}
		}
	}
	c.say(j, is.rules)
	return nil
}

func (c EqualClaim) judge(j *judge) error {
	id := &c.CommitID
	shown, at := j.at(c.Shown), j.at(c.At)
	e, err := j.stands(shown, id)
	_, errAt := j.known(c.At)
	set, errRules := j.rulesAt(at)
	now, errRow := j.row(at, id)
	if err := first(err, errAt, errRules, errRow); err != nil {
		return err
	}
	j.name(id, e)
	j.line.add("shown", uint64(c.Shown))
	j.line.add("at", uint64(c.At))
	want, err := j.open(id, e, c.Reveal, c.Shown)
	if err == nil {
		err = j.same(now, want, c.At)
	}
	if err != nil {
		return err
	}
	j.line.Text = fmt.Sprintf("%s on %s: the weights after block %s are those committed in %s, %s", who(id, now.uid, true), subnet(c.Netuid, c.Mecid), number(c.At), number(c.Block), count(len(want), "weight"))
	j.label(set)
	return nil
}
