package lightclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/subtensor"
)

// Epoch recomputes a Yuma epoch of a subnet from the proven states before and after its block, and
// compares what the chain stored: the last epoch that ran, or with number the one of that block.
// ErrUnknownRules unless the chain's rules are audited or others are assumed; a PrunedError if no peer has
// the states any more; epoch.ErrNoEpoch if no epoch of the subnet ran in that block.
func (n *Node) Epoch(ctx context.Context, netuid uint16, number *uint32, o StateOptions) (*epoch.Evidence, [2]BlockStatus, error) {
	var at [2]BlockStatus
	l, err := n.look(ctx)
	if err != nil {
		return nil, at, err
	}
	var e uint64
	if number != nil {
		e = uint64(*number)
	} else if _, err = l.with(l.head.Header.Number, func(s subtensor.State) (err error) {
		e, err = epoch.LastStep(s, netuid)
		return err
	}); err != nil {
		return nil, at, err
	}
	if e == 0 || e > uint64(l.head.Header.Number) {
		return nil, at, fmt.Errorf("%w: subnet %d, block #%d of #%d", epoch.ErrNoEpoch, netuid, e, l.head.Header.Number)
	}
	v, err := drand.NewVerifier(n.cfg.Checkpoint.Beacon())
	if err != nil {
		return nil, at, err
	}
	o.note("epoch of #%d: states of #%d and #%d", e, e-1, e)
	var out *epoch.Evidence
	before, after, err := l.withBoth(uint32(e-1), uint32(e), func(before, after subtensor.State) error {
		spec, err := subtensor.Spec(after)
		// Both states are asked at once, so that what they lack is fetched together.
		set, errRules := rulesOf(spec, o.AssumeRules)
		if err != nil {
			return err
		}
		if errRules != nil {
			return errRules
		}
		out, err = epoch.Read(before, after, netuid, e, set, v)
		return err
	}, o)
	if err != nil {
		return nil, at, err
	}
	return out, [2]BlockStatus{statusOf(before), statusOf(after)}, nil
}

// withBoth is with for two blocks at once.
func (l *look) withBoth(a, b uint32, f func(before, after subtensor.State) error, o StateOptions) (before, after FinalBlock, err error) {
	blocks := [2]FinalBlock{}
	for i, number := range [2]uint32{a, b} {
		if blocks[i], err = l.block(number); err != nil {
			return before, after, err
		}
	}
	before, after = blocks[0], blocks[1]
	asked := 0
	for range maxRounds {
		var states [2]*provenState
		for i := range states {
			p, err := l.proof(blocks[i])
			if err != nil {
				return before, after, err
			}
			states[i] = &provenState{proof: p, seen: make(map[string]bool)}
		}
		err := f(states[0], states[1])
		missing := 0
		for i := range states {
			if states[i].err != nil {
				return before, after, states[i].err
			}
			missing += len(states[i].missing)
		}
		if missing == 0 || err != nil && !errors.Is(err, subtensor.ErrUnproven) {
			return before, after, err
		}
		if asked += missing; asked > 2*maxWithKeys {
			return before, after, fmt.Errorf("%w: %d keys of #%d and #%d", ErrTooMuch, asked, a, b)
		}
		o.note("%d keys", missing)
		for i := range states {
			if len(states[i].missing) == 0 {
				continue
			}
			if err := l.extend(blocks[i], states[i].missing); err != nil {
				return before, after, err
			}
		}
	}
	return before, after, fmt.Errorf("%w: more than %d rounds of #%d and #%d", ErrTooMuch, maxRounds, a, b)
}
