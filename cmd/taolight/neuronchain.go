package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/neuron/validator"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// A validatorChain is the chain as a validator's node tells of it.
type validatorChain struct {
	*seat
	mechanism uint8
	assume    uint32
	root      *checkpoint.Checkpoint
}

// How often a validator asks its node for the head: twice a block, in these bounds; seldom where nothing is due but
// deadlines.
const (
	headLeast = 500 * time.Millisecond
	headMost  = 6 * time.Second
	headSlow  = time.Minute
)

// Head implements validator.Chain.
func (c *validatorChain) Head(ctx context.Context, above uint32) (validator.Head, error) {
	wait := min(max(time.Duration(c.root.SlotDuration)*time.Millisecond/2, headLeast), headMost)
	if c.demo { // whose blocks may be faster than its slots
		wait = headLeast
	}
	for first := above == 0; ; first = false {
		if !first {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return validator.Head{}, ctx.Err()
			}
		}
		actx, cancel := context.WithTimeout(ctx, chainWait)
		s, err := c.who.Status(actx)
		cancel()
		if err != nil {
			return validator.Head{}, err
		}
		duty := dutyOf(s)
		if duty != validator.DutyAll && !c.demo {
			wait = headSlow
		}
		if s.Finalized != nil && s.Finalized.Number > above {
			return validator.Head{Number: s.Finalized.Number, Duty: duty}, nil
		}
	}
}

// dutyOf is what a node's power level leaves of a validator.
func dutyOf(s *control.Status) validator.Duty {
	if s.Measures == nil || s.Report == nil {
		return validator.DutyAll
	}
	switch r := s.Report; {
	case !r.Link:
		return validator.DutyNone // until the next window, or a deadline that opens it
	case r.Plan.Duty == power.DutyAll:
		return validator.DutyAll
	}
	return validator.DutyDeadlines
}

// View implements validator.Chain.
func (c *validatorChain) View(ctx context.Context) (*validator.View, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	var v *validator.View
	number, err := control.WithState(ctx, c.who, func(s subtensor.State) error {
		spec, err := subtensor.Spec(s)
		if err != nil {
			return err
		}
		r, err := rules.For(spec)
		if err != nil && c.assume != 0 {
			r, err = rules.Assume(spec, c.assume)
		}
		if err != nil {
			return err
		}
		v, err = validator.ReadView(s, c.netuid, c.mechanism, c.key.Account(), r)
		return err
	})
	if errors.Is(err, rules.ErrUnknown) {
		return nil, control.Errorf(control.Undecided, "%w; --assume-rules %d goes by the newest that were audited", err, rules.Ceiling)
	}
	if err != nil {
		return nil, err
	}
	v.Block, v.Beacon, v.Slot = number, c.root.Beacon(), time.Duration(c.root.SlotDuration)*time.Millisecond
	return v, nil
}

// Neurons implements validator.Chain.
func (c *validatorChain) Neurons(ctx context.Context) ([]validator.Neuron, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	m, err := c.who.Metagraph(ctx, control.TableQuestion{Netuid: &c.netuid, AssumeRules: c.assume})
	if err != nil {
		return nil, err
	}
	list := make([]validator.Neuron, 0, len(m.Neurons))
	for i := range m.Neurons {
		n := &m.Neurons[i]
		hotkey, err := verify.ParseAccount(n.Hotkey)
		if err != nil || int(n.UID) != i {
			return nil, fmt.Errorf("metagraph: row %d is of uid %d, %q: %w", i, n.UID, n.Hotkey, err)
		}
		x := validator.Neuron{UID: n.UID, Hotkey: hotkey, Permit: n.Permit, Stake: n.Stake}
		if n.Axon != nil && (!c.demo || loopback(n.Axon.Address)) {
			x.Axon = n.Axon.Address
		}
		list = append(list, x)
	}
	return list, nil
}

// Commitments implements validator.Chain.
func (c *validatorChain) Commitments(ctx context.Context, reveals int) ([]validator.Commitment, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	l, err := c.who.Commits(ctx, control.CommitsQuestion{Netuid: c.netuid, Mecid: c.mechanism, Hotkey: c.key.Account().String(), Epochs: reveals, AssumeRules: c.assume})
	if err != nil {
		return nil, err
	}
	var out []validator.Commitment
	for _, list := range [][]*lightclient.Commitment{l.Pending, l.Past} {
		for _, x := range list {
			hash, err := verify.ParseHash(x.Hash)
			if err != nil {
				return nil, err
			}
			y := validator.Commitment{Timelocked: x.Kind == "timelocked", Hash: hash, Epoch: x.Epoch, Made: x.MadeAt}
			switch x.State {
			case lightclient.Revealed:
				if x.RevealAt != nil {
					y.Revealed = *x.RevealAt
				}
			case lightclient.Lost:
				y.Lost = true
			case lightclient.Unclear:
				y.Gone = true
			}
			var why []string
			for _, r := range x.Reasons {
				why = append(why, r.Word+": "+r.Text)
			}
			y.Why = strings.Join(why, "; ")
			out = append(out, y)
		}
	}
	return out, nil
}

// proveWait is how long a bundle may take to be made.
const proveWait = 5 * time.Minute

// Prove implements validator.Chain.
func (c *validatorChain) Prove(ctx context.Context, x validator.Commitment) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, proveWait)
	defer cancel()
	p, err := c.who.Prove(ctx, control.ProveQuestion{What: control.ProveCommitment, Netuid: c.netuid, Mecid: c.mechanism, Hotkey: c.key.Account().String(),
		Epoch: &x.Epoch, Made: &x.Made, AssumeRules: c.assume})
	if err != nil {
		return nil, err
	}
	return p.Bundle, nil
}

// A validatorSender makes, signs and sends a validator's transactions by its node.
type validatorSender struct{ *validatorChain }

// MaySign implements validator.Sender.
func (s *validatorSender) MaySign() error { return s.gate.MaySign() }

// weightsEra is how many blocks may hold a transaction about weights: what is not included by then is made anew, for its
// round may be of another epoch.
const weightsEra = 32

// Build implements validator.Sender.
func (s *validatorSender) Build(ctx context.Context, call *validator.Call) (*validator.Payload, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	c := control.TxCall{Netuid: s.netuid, Mecid: s.mechanism}
	w := &tx.Weights{Netuid: s.netuid, Mecid: s.mechanism, Uids: call.UIDs, Values: call.Values, Salt: call.Salt, Version: call.VersionKey}
	var holds []byte // what the call has to have in it
	switch call.Kind {
	case validator.Set:
		c.Kind, c.Weights = control.TxSetWeights, w
	case validator.Reveal:
		c.Kind, c.Weights = control.TxRevealWeights, w
	case validator.CommitHash:
		c.Kind, c.Hash, holds = control.TxCommitWeights, call.Commitment.String(), call.Commitment[:]
	case validator.CommitTimelock:
		c.Kind, c.Commit, c.Round, c.Scheme, holds = control.TxCommitTimelocked, fmt.Sprintf("0x%x", call.Ciphertext), call.Round, call.Scheme, call.Ciphertext
	}
	b, err := s.who.Build(ctx, control.BuildQuestion{Call: c, From: s.key.Account().String(), Period: weightsEra})
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(b.Payload)
	if err != nil {
		return nil, err
	}
	p, _, err := tx.Parse(raw)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(p.Call, holds) || p.From != s.key.Account() || b.Payload.LastBlock == nil {
		return nil, errors.New("the node has made another transaction than the one that was asked for")
	}
	return &validator.Payload{Raw: raw, Nonce: p.Nonce, Last: *b.Payload.LastBlock}, nil
}

// Sign implements validator.Sender.
func (s *validatorSender) Sign(_ context.Context, raw []byte) ([]byte, error) {
	p, _, err := tx.Parse(raw)
	if err != nil {
		return nil, err
	}
	signer, err := s.signer()
	if err != nil {
		return nil, err
	}
	signature, err := p.SignWith(signer)
	if err != nil {
		return nil, err
	}
	return p.Extrinsic(signature), nil
}

// unsent are the errors of a node that has told nobody of a transaction. They come over a socket as text.
var unsent = []error{tx.ErrRefused, tx.ErrBusy, tx.ErrAhead, tx.ErrLapsed, tx.ErrSignature, tx.ErrOther, tx.ErrPayload, tx.ErrFull}

// Submit implements validator.Sender.
func (s *validatorSender) Submit(ctx context.Context, extrinsic []byte) (validator.Tracked, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	l, err := s.who.Submit(ctx, control.SubmitQuestion{Extrinsic: fmt.Sprintf("0x%x", extrinsic), Twice: true})
	if err != nil {
		for _, e := range unsent {
			if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
				return validator.Tracked{}, fmt.Errorf("%w: %w", validator.ErrRefused, err)
			}
		}
		return validator.Tracked{}, err
	}
	return trackedOf(l)
}

// Track implements validator.Sender.
func (s *validatorSender) Track(ctx context.Context, extrinsic []byte) (validator.Tracked, error) {
	ctx, cancel := context.WithTimeout(ctx, chainWait)
	defer cancel()
	l, err := s.who.Transactions(ctx, control.TxQuestion{Hash: tx.HashOf(extrinsic).String()})
	if err != nil {
		if errors.Is(err, tx.ErrUnknown) || strings.Contains(err.Error(), tx.ErrUnknown.Error()) {
			return validator.Tracked{}, validator.ErrUnsent
		}
		return validator.Tracked{}, err
	}
	return trackedOf(l)
}

func trackedOf(l *control.Transactions) (validator.Tracked, error) {
	if len(l.List) != 1 {
		return validator.Tracked{}, validator.ErrUnsent
	}
	t := &l.List[0]
	// Of one whose end nobody can tell any more the chain's own lists tell.
	ok := t.State == tx.Included || t.State == tx.Succeeded && (t.Outcome == nil || t.Outcome.Failed() == nil)
	return validator.Tracked{Done: t.Done(), Block: t.Block, OK: ok, Line: short(t.Hash) + " " + t.Line()}, nil
}
