package lightclient

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// lookBack is how many reveals are looked at if nobody says.
const lookBack = 2

// first returns the first block of an epoch, that of v or an earlier one: the block before it is of an
// earlier epoch. Where the schedule's own word is not that block (the tempo was set since, or there is
// no such word), it is searched for.
func (q *question) first(v *view, epoch uint64) (uint32, error) {
	if v.epoch(q.netuid) < epoch {
		return 0, fmt.Errorf("epoch %d of subnet %d has not begun at #%d", epoch, q.netuid, v.at.Header.Number)
	}
	begun := func(number uint32) (bool, error) {
		if number == 0 {
			return false, nil // nothing is revealed in it
		}
		u, err := q.view(number)
		if err != nil {
			return false, err
		}
		return u.epoch(q.netuid) >= epoch, nil
	}
	hi := v.at.Header.Number // begun(hi)
	guess := uint64(hi)
	if v.rules.StatefulEpochs {
		guess = v.schedule.LastEpochBlock
	} else if v.hyper.Tempo != 0 {
		guess, _ = yuma.LegacyRevealWindow(epoch, 0, q.netuid, v.hyper.Tempo)
	}
	step := uint32(v.hyper.Tempo) + 1
	if guess > 0 && guess <= uint64(hi) {
		g := uint32(guess)
		ok, err := begun(g)
		if err != nil {
			return 0, err
		}
		if ok {
			hi = g
			if ok, err = begun(g - 1); err != nil || !ok {
				return g, err
			}
			hi = g - 1
		}
	}
	lo := hi - min(hi, step)
	for {
		ok, err := begun(lo)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		hi, step = lo, 2*step
		lo -= min(lo, step)
	}
	return q.search(lo, hi, begun)
}

// search returns the first block in (lo, hi] for which f holds; it holds for hi and all between, and
// not for lo.
func (q *question) search(lo, hi uint32, f func(uint32) (bool, error)) (uint32, error) {
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		ok, err := f(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

// past looks back over the last reveals, from v, as far as there are states.
func (q *question) past(v *view, out *Commitments) error {
	epochs := q.opt.Epochs
	if epochs == 0 {
		epochs = lookBack
	}
	end := v // the last block known of the epoch that is looked at
	var next *view
	for i := 0; ; i++ {
		if q.until != nil && q.found(out, end) {
			return nil
		}
		if i >= epochs {
			out.Beyond = "past ones were not asked for"
			if next != nil {
				out.Beyond = fmt.Sprintf("those of epochs before the one begun at #%d were not asked for", next.at.Header.Number)
			}
			return nil
		}
		epoch := end.epoch(q.netuid)
		start, err := q.first(end, epoch)
		if err == nil && start <= 1 {
			out.Beyond = "the chain begins here"
			return nil
		}
		var before *view
		if err == nil {
			before, err = q.view(start - 1)
		}
		if err == nil {
			q.opt.Progress(fmt.Sprintf("reveals of epoch %d, from #%d", epoch, start))
			err = q.reveal(before, end, next, epoch, out)
		}
		if err != nil {
			if reason, pruned, ok := endOfPast(err); ok {
				out.Beyond, out.Pruned, out.why = reason, pruned, err
				return nil
			}
			return err
		}
		next, end = q.views[start], before
		if next == nil {
			if next, err = q.view(start); err != nil {
				return err
			}
		}
	}
}

// found reports whether what is looked for is there, or cannot be before end.
func (q *question) found(out *Commitments, end *view) bool {
	if slices.ContainsFunc(out.Past, q.until.matches) || slices.ContainsFunc(out.Pending, q.until.matches) {
		return true
	}
	s := q.until
	return s.Block != nil && *s.Block > end.at.Header.Number || s.Epoch != nil && *s.Epoch > end.next(q.netuid)
}

// endOfPast tells an error that ends the looking back from one that spoils the answer.
func endOfPast(err error) (reason string, pruned, ok bool) {
	switch {
	case errors.Is(err, ErrPruned):
		return err.Error(), true, true
	case errors.Is(err, ErrTooFar), errors.Is(err, ErrUnknownRules), errors.Is(err, ErrNoSubnet):
		return err.Error(), false, true
	}
	return "", false, false
}

// reveal looks at one epoch: what stood in the queue that is due in it, before its first block, and
// where that went until end, its last block or the finalized one. next is the first block of the epoch
// after it, nil if that has not come.
func (q *question) reveal(before, end, next *view, epoch uint64, out *Commitments) error {
	period := before.hyper.RevealPeriodEpochs
	if epoch < period || !before.hyper.Exists {
		return nil
	}
	due := epoch - period
	all, err := q.queues(before, due, due, true)
	if err != nil {
		return err
	}
	var locks []*queued
	for _, e := range all {
		switch {
		case e.ID.Kind == commit.Timelocked:
			locks = append(locks, e)
		case e.ID.Epoch == due:
			if err := q.hashFate(before, end, next, e, out); err != nil {
				return err
			}
		}
	}
	return q.lockFates(before, end, next, locks, out)
}

// lockFates follows timelocked entries, all of one queue, from the block before their epoch begins.
func (q *question) lockFates(before, end, next *view, list []*queued, out *Commitments) error {
	at := before.at.Header.Number + 1
	for len(list) > 0 {
		fates, err := q.fatesAt(at, list)
		if err != nil {
			return err
		}
		var kept, done []*queued
		for i, e := range list {
			f := fates[i]
			if f.Kept {
				kept = append(kept, e)
				continue
			}
			if f.Payload != nil {
				e.payload(f.Payload.UIDs, f.Payload.Values, nil, f.Payload.VersionKey)
			}
			switch f.Why {
			case commit.Unknown: // said already
			case commit.Stored:
				e.revealed(at)
				e.row(f.Row)
			default:
				e.lost(at, f.Why)
			}
			e.ShownAt = at - 1
			e.Pulse = f.Why != commit.PulseMissing
			done = append(done, e)
		}
		if err := q.check(at, done); err != nil {
			return err
		}
		for _, e := range done {
			out.Past = append(out.Past, e.Commitment)
		}
		if len(kept) == 0 {
			return nil
		}
		// Their pulses were not there: the chain tries again in each block until the epoch is over.
		lo, hi := at, end.at.Header.Number
		there, err := q.standing(hi, kept)
		if err != nil {
			return err
		}
		list = nil
		var first *queued
		for i, e := range kept {
			if !there[i] {
				list = append(list, e)
				first = e
			} else if next != nil {
				list = append(list, e)
			}
		}
		if first == nil {
			if next == nil || len(list) == 0 {
				return nil // still pending
			}
			if at == next.at.Header.Number {
				for _, e := range list {
					e.unclear(fmt.Sprintf("it outlasts its epoch, which was over in block %d", at))
					out.Past = append(out.Past, e.Commitment)
				}
				return nil
			}
			at = next.at.Header.Number
			continue
		}
		// The first to go decides where to look next; those that go with it are found there.
		at, err = q.search(lo, hi, func(number uint32) (bool, error) {
			there, err := q.standing(number, list)
			return slices.Contains(there, false), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fatesAt tells what the chain made of entries in one block.
func (q *question) fatesAt(at uint32, list []*queued) ([]*commit.Fate, error) {
	after, err := q.view(at)
	if err != nil {
		return nil, err
	}
	fates := make([]*commit.Fate, len(list))
	_, err = q.with(at-1, func(s subtensor.State) error {
		var short error
		for i, e := range list {
			if fates[i] != nil {
				continue
			}
			f, err := commit.ReadFate(s, q.netuid, q.mecid, e.ID.Epoch, e.ID.Hash, e.ID.Hotkey, uint64(at), q.verifier, after.rules)
			short = unproven(short, err)
			switch {
			case errors.Is(err, commit.ErrNoEntry), errors.Is(err, commit.ErrNotDue), errors.Is(err, commit.ErrOtherBeacon):
				fates[i] = &commit.Fate{}
				e.unclear(err.Error())
			case err == nil:
				fates[i] = f
			case !errors.Is(err, subtensor.ErrUnproven):
				return err
			}
		}
		return short
	})
	return fates, err
}

// standing tells which entries stand in their queue after a block.
func (q *question) standing(number uint32, list []*queued) ([]bool, error) {
	v, err := q.view(number)
	if err != nil {
		return nil, err
	}
	there := make([]bool, len(list))
	_, err = q.with(number, func(s subtensor.State) error {
		var short error
		for i, e := range list {
			if e.ID.Kind == commit.Hash {
				entries, err := subtensor.ReadHashCommits(s, q.index, e.ID.Hotkey, v.rules)
				if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
					return err
				}
				there[i] = slices.ContainsFunc(entries, func(o subtensor.HashCommit) bool { return o.Hash == e.hash.Hash && o.Block == e.hash.Block })
				continue
			}
			entries, err := subtensor.ReadTimelockedCommits(s, q.index, e.ID.Epoch)
			if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
				return err
			}
			there[i] = slices.ContainsFunc(entries, func(o subtensor.TimelockedCommit) bool {
				return o.Hotkey == e.ID.Hotkey && o.Block == e.lock.Block && o.Round == e.lock.Round && string(o.Ciphertext) == string(e.lock.Ciphertext)
			})
		}
		return short
	})
	return there, err
}

// check compares what should have happened in a block with the state after it: the entries are gone,
// and the rows of the revealed ones are there.
func (q *question) check(at uint32, list []*queued) error {
	if len(list) == 0 {
		return nil
	}
	there, err := q.standing(at, list)
	if err != nil {
		return err
	}
	for i, e := range list {
		if there[i] {
			e.unclear(fmt.Sprintf("by the rules block %d took it from its queue, and it is still there", at))
		}
	}
	return q.rows(at, list)
}

// rows reads the uids of hotkeys after a block, and compares the rows of those that were revealed.
func (q *question) rows(at uint32, list []*queued) error {
	_, err := q.with(at, func(s subtensor.State) error {
		var short error
		for _, e := range list {
			uid, ok, err := subtensor.ReadUID(s, q.netuid, e.ID.Hotkey)
			if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
				return err
			}
			if err != nil || !ok {
				continue
			}
			e.UID = &uid
			if e.State != Revealed {
				continue
			}
			row, _, err := subtensor.ReadWeights(s, q.index, uid)
			if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
				return err
			}
			if err == nil {
				equal := e.ExactRow && len(row) == len(e.Row)
				for i := 0; equal && i < len(row); i++ {
					equal = e.Row[i] == [2]uint16{row[i].UID, row[i].Value}
				}
				if e.ExactRow {
					e.Equal = &equal
				}
			}
		}
		return short
	})
	return err
}

// hashFate follows a hash commit from the block before its window opens.
func (q *question) hashFate(before, end, next *view, e *queued, out *Commitments) error {
	one := []*queued{e}
	there, err := q.standing(end.at.Header.Number, one)
	if err != nil {
		return err
	}
	if there[0] {
		if next == nil {
			return nil // its window is open, and it is listed as pending
		}
		if i := slices.IndexFunc(out.Past, func(c *Commitment) bool { return c.ID == e.ID }); i >= 0 {
			// It still lies in the queue of the head; here is when its time passed.
			at := next.at.Header.Number
			out.Past[i].LostAt, out.Past[i].Note = &at, ""
			return nil
		}
		e.ShownAt = end.at.Header.Number
		e.lost(next.at.Header.Number, commit.Expired)
		// What a proof of that needs is a state in which its time has passed and it is still there.
		if there, err := q.standing(next.at.Header.Number, one); err != nil {
			return err
		} else if there[0] {
			e.ShownAt = next.at.Header.Number
		}
		out.Past = append(out.Past, e.Commitment)
		return q.rows(end.at.Header.Number, one)
	}
	at, err := q.search(before.at.Header.Number, end.at.Header.Number, func(number uint32) (bool, error) {
		there, err := q.standing(number, one)
		return err == nil && !there[0], err
	})
	if err != nil {
		return err
	}
	why, err := q.gone(at, e)
	if err != nil {
		return err
	}
	e.ShownAt = at - 1
	out.Past = append(out.Past, e.Commitment)
	switch why {
	case commit.Overtaken, commit.Stored:
		calls, err := q.reveals(at)
		if err != nil {
			return err
		}
		if r := matching(calls, e.ID.Hotkey, q.index, e.ID.Hash); r != nil {
			e.payload(r.uids, r.values, r.salt, r.version)
			if why == commit.Stored {
				e.row(commit.Row(r.uids, r.values))
			}
		}
		if why == commit.Overtaken {
			e.lost(at, why)
			break
		}
		e.revealed(at)
		if e.VersionKey == nil {
			e.Note = "what it was the hash of is in no extrinsic of that block that could be read"
		}
	case commit.Expired:
		e.lost(at, why)
	default:
		e.unclear(fmt.Sprintf("it left its queue in block %d before its time", at))
	}
	return q.rows(at, one)
}

// gone tells why a hash commit left its queue in a block.
func (q *question) gone(at uint32, e *queued) (commit.Reason, error) {
	v, err := q.view(at)
	if err != nil {
		return commit.Unknown, err
	}
	read := func(number uint32) (queue []subtensor.HashCommit, err error) {
		_, err = q.with(number, func(s subtensor.State) error {
			queue, err = subtensor.ReadHashCommits(s, q.index, e.ID.Hotkey, v.rules)
			return err
		})
		return queue, err
	}
	was, err := read(at - 1)
	if err != nil {
		return commit.Unknown, err
	}
	is, err := read(at)
	if err != nil {
		return commit.Unknown, err
	}
	var window commit.Reason
	_, err = q.with(at-1, func(s subtensor.State) error {
		f, err := commit.ReadFacts(s, q.netuid, q.mecid, e.ID.Hotkey, v.rules)
		if err == nil {
			window = f.Window(e.hash, uint64(at))
		}
		return err
	})
	if err != nil {
		return commit.Unknown, err
	}
	return commit.Gone(was, is, e.hash, window), nil
}
