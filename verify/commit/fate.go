package commit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
)

// Errors of this package.
var (
	// ErrNoEntry: the state holds no such commitment under that epoch.
	ErrNoEntry = errors.New("no such commitment in the state")
	// ErrNotDue: the commitment's reveal epoch has not begun in that block.
	ErrNotDue = errors.New("commitment is not due")
	// ErrOtherBeacon: the chain opened a commitment with a pulse that is not of the expected beacon.
	ErrOtherBeacon = errors.New("pulse on the chain is of another beacon")
)

// An Opening is what came of decrypting a timelocked commitment. Why is Stored if it holds a payload
// that its committer may reveal; what the chain makes of that is for Judge.
type Opening struct {
	Payload *Payload // nil unless Why is Stored or WrongHotkey
	Why     Reason
}

// Open decrypts a commitment with the signature of its round and reads the payload.
func Open(c subtensor.TimelockedCommit, sig drand.Signature) Opening {
	ct, err := tlock.Parse(c.Ciphertext)
	if err != nil {
		return Opening{Why: CiphertextBad}
	}
	plain, err := ct.Open(sig)
	return opened(plain, err, c.Hotkey)
}

// OpenWith is Open for one of several commitments, with an opener of its round.
func OpenWith(c subtensor.TimelockedCommit, o *tlock.Opener) Opening {
	ct, err := tlock.Parse(c.Ciphertext)
	if err != nil {
		return Opening{Why: CiphertextBad}
	}
	plain, err := o.Open(ct)
	return opened(plain, err, c.Hotkey)
}

func opened(plain []byte, err error, committer verify.AccountID) Opening {
	switch {
	case errors.Is(err, tlock.ErrOpen):
		return Opening{Why: Undecryptable}
	case err != nil:
		return Opening{Why: PulseBad} // the signature is no point
	}
	p, why := DecodePayload(plain, committer)
	return Opening{p, why}
}

// A Fate is what the chain makes of one timelocked commitment in one block.
type Fate struct {
	// Why is Stored if the weights were stored and stayed, else the reason why not.
	Why Reason
	// Kept says that the entry stays in its queue, to be tried again in the next block: its pulse is
	// missing and its epoch not over, or the chain does not handle its queue at all.
	Kept    bool
	Payload *Payload           // if it could be opened
	Row     []subtensor.Weight // what Weights holds for the hotkey's uid after the block, if Why is Stored
}

// ReadFate tells what the chain makes of a timelocked commitment in block, from the state before it
// (pallets/subtensor/src/coinbase/reveal_commits.rs, at the beginning of each block). The commitment is
// the one in the queue of that epoch with that hotkey and that hash of its ciphertext; of several that
// are equal in both, one that was stored counts, else the last.
//
// In the block in which the epoch is over, the chain deletes the queue without looking at it: the
// fate is PulseMissing if the pulse is still not there, else Expired.
//
// v is the beacon whose pulses count. The chain has checked them when it stored them; where v is nil
// that is taken as enough. A pulse that is not of v fails with ErrOtherBeacon if the chain could open
// the commitment with it.
//
// It is given that the block handled the subnet at all: see the package comment. ErrNoEntry and
// ErrNotDue are wrong questions rather than fates. An error of the state (subtensor.ErrUnproven) comes
// back as it is, after all was asked of the state that could be.
func ReadFate(s subtensor.State, netuid uint16, mecid uint8, epoch uint64, hash verify.Hash, hotkey verify.AccountID, block uint64, v *drand.Verifier, r rules.Set) (*Fate, error) {
	index, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return nil, err
	}
	queue, err := readEntries(s, index, epoch, hotkey)
	f := newFacts(netuid, mecid, hotkey, r)
	var q subtensor.Batch
	f.askEpoch(&q)
	if err := worse(err, q.Load(s)); err != nil {
		return nil, err
	}
	asked := func(e entry) bool { return e.Hash() == hash }
	if !slices.ContainsFunc(queue, asked) {
		return nil, fmt.Errorf("%w: none of %v with ciphertext %v under epoch %d of subnet %d, mechanism %d", ErrNoEntry, hotkey, hash, epoch, netuid, mecid)
	}
	switch {
	case netuid == 0:
		return &Fate{Why: RootSubnet, Kept: true}, nil
	case !f.Exists || mecid >= f.Mechanisms:
		return &Fate{Why: NoMechanism, Kept: true}, nil
	}
	now := f.Epoch(block)
	due := within(now, epoch, f.RevealPeriod)
	if due == TooEarly {
		return nil, fmt.Errorf("%w: it is of epoch %d with a reveal period of %d, and block %d is in epoch %d", ErrNotDue, epoch, f.RevealPeriod, block, now)
	}
	var fates []*Fate
	if due == Expired {
		for _, e := range queue {
			fates = append(fates, e.expired())
		}
	} else if fates, err = open(queue, v); err != nil {
		return nil, err
	} else if slices.ContainsFunc(fates, func(f *Fate) bool { return f.Why == Stored }) {
		// Only now is there something to judge, and the rest of the facts asked for.
		if f, err = ReadFacts(s, netuid, mecid, hotkey, r); err != nil {
			return nil, err
		}
		f.reveal(fates, block)
	}
	var fate *Fate
	for i, e := range queue {
		if asked(e) && (fate == nil || fate.Why != Stored) {
			fate = fates[i]
		}
	}
	return fate, nil
}

// An entry is one commitment in a queue and the value of Pulses for its round, nil if there is none.
type entry struct {
	subtensor.TimelockedCommit
	pulse []byte
}

// readEntries returns a hotkey's entries in a queue.
func readEntries(s subtensor.State, index uint16, epoch uint64, hotkey verify.AccountID) ([]entry, error) {
	all, err := subtensor.ReadTimelockedCommits(s, index, epoch)
	if err != nil {
		return nil, err
	}
	var queue []entry
	var keys [][]byte
	for _, c := range all {
		if c.Hotkey == hotkey {
			queue = append(queue, entry{TimelockedCommit: c})
			keys = append(keys, subtensor.KeyPulse(c.Round))
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	pulses, err := s.Load(keys...)
	if err != nil {
		return nil, err
	}
	if len(pulses) != len(keys) {
		return nil, fmt.Errorf("%w: %d values for %d keys", subtensor.ErrUnproven, len(pulses), len(keys))
	}
	for i := range queue {
		queue[i].pulse = pulses[i]
	}
	return queue, nil
}

// worse returns the error that tells more: one that no further proof will mend.
func worse(a, b error) error {
	if a == nil || b != nil && errors.Is(a, subtensor.ErrUnproven) && !errors.Is(b, subtensor.ErrUnproven) {
		return b
	}
	return a
}

// expired is the fate of an entry that is deleted with its queue.
func (e entry) expired() *Fate {
	if e.pulse == nil {
		return &Fate{Why: PulseMissing}
	}
	return &Fate{Why: Expired}
}

// open returns the fates of a hotkey's entries as far as they follow from their pulses.
func open(queue []entry, v *drand.Verifier) ([]*Fate, error) {
	fates := make([]*Fate, len(queue))
	for i, e := range queue {
		fate, err := e.open(v)
		if err != nil {
			return nil, fmt.Errorf("entry %d of %v: %w", i, e.Hotkey, err)
		}
		fates[i] = fate
	}
	return fates, nil
}

// reveal settles the fates of a hotkey's entries that could be opened, in the order of their queue.
// Entries of other hotkeys make no difference to them.
func (f *Facts) reveal(fates []*Fate, block uint64) {
	now := *f
	for i, fate := range fates {
		if fate.Why != Stored {
			continue
		}
		p := fate.Payload
		if fate.Row, fate.Why = now.Judge(block, p.UIDs, p.Values, p.VersionKey); fate.Why != Stored {
			continue
		}
		for _, earlier := range fates[:i] {
			if earlier.Why == Stored {
				earlier.Why, earlier.Row = Superseded, nil
			}
		}
		// Where commit-reveal was switched off meanwhile, what is stored counts for the rate limit of
		// the next.
		now.LastUpdate = block
	}
}

// open returns the fate of an entry as far as it follows from its pulse: Stored if there is a payload
// to judge.
func (e entry) open(v *drand.Verifier) (*Fate, error) {
	if e.pulse == nil {
		return &Fate{Why: PulseMissing, Kept: true}, nil
	}
	stored, err := drand.DecodeStored(e.pulse)
	if err != nil {
		return nil, fmt.Errorf("pulse of round %d: %w", e.Round, err)
	}
	pulse, err := stored.Pulse()
	if err != nil {
		// Too short for a signature. The ciphertext is looked at before it.
		if _, err := tlock.Parse(e.Ciphertext); err != nil {
			return &Fate{Why: CiphertextBad}, nil
		}
		return &Fate{Why: PulseBad}, nil
	}
	pulse.Round = e.Round // the key's: the chain does not look at the value's
	o := Open(e.TimelockedCommit, pulse.Signature)
	fate := &Fate{Why: o.Why, Payload: o.Payload}
	if v == nil || o.Why == CiphertextBad || o.Why == PulseBad {
		return fate, nil
	}
	if err := v.Verify(pulse); err != nil {
		if o.Why != Undecryptable {
			return nil, fmt.Errorf("%w: %w", ErrOtherBeacon, err)
		}
		fate.Why = PulseBad
	}
	return fate, nil
}
