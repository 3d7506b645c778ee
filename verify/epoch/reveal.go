package epoch

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/yuma"
)

// A queue is one value of TimelockedWeightCommits, before the block.
type queue struct {
	mecid  uint8
	epoch  uint64
	value  subtensor.Bytes
	old    bool // of an item that timelocked commitments were kept in before
	due    bool // the block opens it
	list   []subtensor.TimelockedCommit
	pulses []subtensor.Bytes
}

// askQueues adds the reads of the queues of a mechanism that the epoch can depend on: the one that the
// block opens, and those made since, which count as commitments.
func (r *reading) askQueues(q *subtensor.Batch, mecid uint8) {
	index := r.index(mecid)
	first := r.now - min(r.now, r.h.RevealPeriodEpochs)
	due := r.now >= r.h.RevealPeriodEpochs
	start := len(r.queues)
	for e := first; e <= r.now; e++ {
		if r.Rules.Spec >= rules.Floor {
			r.queues = append(r.queues, queue{mecid: mecid, epoch: e, due: due && e == first})
		} else {
			r.queues = append(r.queues, queue{epoch: e, old: true}, queue{epoch: e, old: true})
		}
	}
	// The slice is complete: now its elements can be pointed to, until it grows for the next mechanism.
	fresh := r.queues[start:]
	for i := range fresh {
		into := func(k int) func(bool, *scale.Reader) {
			return func(present bool, in *scale.Reader) {
				if present {
					r.queues[k].value = in.Bytes(in.Len())
				}
			}
		}(start + i)
		x := fresh[i]
		switch {
		case !x.old:
			q.Key("TimelockedWeightCommits", subtensor.KeyTimelockedWeightCommits(index, x.epoch), into)
		case i%2 == 0:
			q.Key("CRV3WeightCommits", oldQueue("CRV3WeightCommits", index, x.epoch), into)
		default:
			q.Key("CRV3WeightCommitsV2", oldQueue("CRV3WeightCommitsV2", index, x.epoch), into)
		}
	}
}

func oldQueue(item string, index uint16, epoch uint64) []byte {
	k := verify.AppendTwox64Concat(verify.StorageKey("SubtensorModule", item), scale.AppendU16(nil, index))
	return verify.AppendTwox64Concat(k, scale.AppendU64(nil, epoch))
}

// commits returns the commitments that wait when the epoch runs, by mechanism: those by hash, and those
// under a timelock that the block does not take out of their queue. It reads the pulses of those that it
// does.
func (r *reading) commits() [][]yuma.Commit {
	out := make([][]yuma.Commit, r.mechanisms)
	uids := r.byHotkey()
	waiting := make([]int, r.mechanisms)
	var q subtensor.Batch
	for i := range r.queues {
		x := &r.queues[i]
		if len(x.value) == 0 {
			continue
		}
		if x.old {
			if len(x.value) > 1 {
				r.doubt("timelocked commitments wait that are kept in the way of before spec %d", rules.Floor)
			}
			continue
		}
		var err error
		waiting[x.mecid] += scale.NewReader(x.value).Count(1, subtensor.MaxTimelockedCommits)
		if n := waiting[x.mecid]; n > (4*commitsEach+2*int(r.h.RevealPeriodEpochs))*r.neuronsAtLeast() {
			r.failed(fmt.Errorf("%w: %d timelocked commitments wait in mechanism %d", ErrTooBig, n, x.mecid))
			return out
		}
		if x.list, err = subtensor.DecodeTimelockedCommits(x.value); !r.failed(err) {
			return out
		}
		if !x.due {
			continue
		}
		x.pulses = make([]subtensor.Bytes, len(x.list))
		for k, c := range x.list {
			q.Key("Pulses", subtensor.KeyPulse(c.Round), &x.pulses[k])
		}
	}
	hashed := make([][]subtensor.Bytes, r.mechanisms)
	if r.Rules.CommitColumns && r.h.CommitRevealWeightsEnabled {
		for m := range r.mechanisms {
			hashed[m] = make([]subtensor.Bytes, len(r.Hotkeys))
			for uid, h := range r.Hotkeys {
				q.Key("WeightCommits", subtensor.KeyWeightCommits(r.index(m), h), &hashed[m][uid])
			}
		}
	}
	if !r.load(r.before, &q) {
		return out
	}
	for m, list := range hashed {
		for uid, value := range list {
			if value == nil {
				continue
			}
			commits, err := subtensor.DecodeHashCommits(value, r.Rules)
			if !r.failed(err) {
				return out
			}
			for _, c := range commits {
				epoch := c.Epoch
				if !r.Rules.StatefulEpochs {
					epoch = yuma.LegacyEpoch(c.Block, r.Netuid, r.h.Tempo)
				}
				out[m] = append(out[m], yuma.Commit{UID: uid, Epoch: epoch, Block: c.Block})
			}
		}
	}
	for _, x := range r.queues {
		for k, c := range x.list {
			if uid, ok := uids[c.Hotkey]; ok && !(x.due && x.pulses[k] != nil) {
				out[x.mecid] = append(out[x.mecid], yuma.Commit{UID: uid, Epoch: x.epoch, Block: c.Block})
			}
		}
	}
	return out
}

// byHotkey returns the uids of the hotkeys.
func (r *reading) byHotkey() map[verify.AccountID]int {
	uids := make(map[verify.AccountID]int, len(r.Hotkeys))
	for uid, h := range r.Hotkeys {
		uids[h] = uid
	}
	return uids
}

// reveal opens the commitments that the block opens before its epoch, and puts the weights into the
// inputs (pallets/subtensor/src/coinbase/reveal_commits.rs).
func (r *reading) reveal(v *drand.Verifier) {
	o := openers{}
	uids := r.byHotkey()
	strangers := map[verify.AccountID]bool{}
	for _, x := range r.queues {
		if !x.due {
			continue
		}
		opened := 0
		for k, c := range x.list {
			if x.pulses[k] != nil {
				opened++
				if _, ok := uids[c.Hotkey]; !ok {
					strangers[c.Hotkey] = true
				}
			}
		}
		if opened > commitsEach*r.neuronsAtLeast() || len(strangers) > maxStrangers {
			r.failed(fmt.Errorf("%w: %d timelocked commitments are opened in mechanism %d, of %d hotkeys without a uid", ErrTooBig, opened, x.mecid, len(strangers)))
			return
		}
		facts := map[verify.AccountID]*commit.Facts{}
		for k, c := range x.list {
			if x.pulses[k] == nil {
				continue // it stays in the queue
			}
			payload, why, err := o.open(c, x.pulses[k], v)
			if err != nil {
				r.failed(fmt.Errorf("commitment of %v in epoch %d: %w", c.Hotkey, x.epoch, err))
				return
			}
			if why != commit.Stored {
				r.Reveals = append(r.Reveals, Reveal{x.mecid, c.Hotkey, x.epoch, why})
				continue
			}
			f := facts[c.Hotkey]
			if f == nil {
				if f, err = commit.ReadFacts(r.before, r.Netuid, x.mecid, c.Hotkey, r.Rules); !r.failed(err) {
					continue // ask for what the others need too
				}
				facts[c.Hotkey] = f
			}
			row, why := f.Judge(r.Block, payload.UIDs, payload.Values, payload.VersionKey)
			r.Reveals = append(r.Reveals, Reveal{x.mecid, c.Hotkey, x.epoch, why})
			if why != commit.Stored {
				continue
			}
			f.LastUpdate = r.Block
			in := r.Inputs[x.mecid]
			if int(f.UID) < len(in.Weights) {
				in.Weights[f.UID] = toRow(row)
			}
			if !r.h.CommitRevealWeightsEnabled && int(f.UID) < len(in.LastUpdate) {
				in.LastUpdate[f.UID] = r.Block
			}
		}
	}
}

// openers has one for each pulse, so that what the commitments of a round share is done once.
type openers map[drand.Pulse]*tlock.Opener

// open opens one commitment with the value of its pulse, as the chain does. The reason is commit.Stored
// if there is a payload to judge.
func (o openers) open(c subtensor.TimelockedCommit, value []byte, v *drand.Verifier) (*commit.Payload, commit.Reason, error) {
	kept, err := drand.DecodeStored(value)
	if err != nil {
		return nil, 0, fmt.Errorf("pulse of round %d: %w", c.Round, err)
	}
	pulse, err := kept.Pulse()
	pulse.Round = c.Round // the key's: the chain does not look at the value's
	if err == nil && o[pulse] == nil {
		if v != nil {
			if err := v.Verify(pulse); err != nil {
				return nil, 0, fmt.Errorf("%w: %w", commit.ErrOtherBeacon, err)
			}
		}
		var opener *tlock.Opener
		for _, other := range o {
			opener, err = other.With(pulse.Signature)
			break
		}
		if opener == nil && err == nil {
			opener, err = tlock.NewOpener(pulse.Signature)
		}
		if err == nil {
			o[pulse] = opener
		}
	}
	if err != nil {
		// No signature at all. The ciphertext is looked at before it.
		if _, err := tlock.Parse(c.Ciphertext); err != nil {
			return nil, commit.CiphertextBad, nil
		}
		return nil, commit.PulseBad, nil
	}
	opening := commit.OpenWith(c, o[pulse])
	return opening.Payload, opening.Why, nil
}
