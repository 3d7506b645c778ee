package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/internal/item"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// Commits implements Answerer.
func (l *Local) Commits(ctx context.Context, q CommitsQuestion) (*Commits, error) {
	o := lightclient.CommitmentsOptions{UID: q.UID, Epochs: q.Epochs, AssumeRules: q.AssumeRules,
		Progress: func(line string) { report(ctx, line) }}
	hotkey, err := hotkeyOf(q.Hotkey)
	if err != nil {
		return nil, err
	}
	o.Hotkey = hotkey
	c, err := l.Node.Commitments(ctx, q.Netuid, q.Mecid, o)
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Commits{*c, l.Demo, l.Joined}, nil
}

// Weights implements Answerer.
func (l *Local) Weights(ctx context.Context, q WeightsQuestion) (*Weights, error) {
	uid := -1
	if q.UID != nil {
		uid = int(*q.UID)
	}
	w, err := l.Node.Weights(ctx, q.Netuid, q.Mecid, uid, q.At, q.AssumeRules)
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Weights{*w, l.Demo, l.Joined}, nil
}

// Prove implements Answerer.
func (l *Local) Prove(ctx context.Context, q ProveQuestion) (*Proven, error) {
	o := lightclient.ProveOptions{AssumeRules: q.AssumeRules, Progress: func(line string) { report(ctx, line) }}
	b, err := l.prove(ctx, q, o)
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Proven{Schema, l.Checkpoint.Network, l.Demo, l.Joined, b.Encode()}, nil
}

func (l *Local) prove(ctx context.Context, q ProveQuestion, o lightclient.ProveOptions) (*bundle.Bundle, error) {
	if q.What == ProveCommitment {
		hotkey, err := l.hotkeyOrUID(ctx, q)
		if err != nil {
			return nil, err
		}
		b, _, err := l.Node.ProveCommitment(ctx, q.Netuid, q.Mecid, lightclient.CommitmentSelector{Hotkey: hotkey, Epoch: q.Epoch, Block: q.Made, Still: q.Still}, o)
		return b, err
	}
	at := uint32(0)
	h, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	if at = h.Number; q.At != nil {
		if at = *q.At; at > h.Number {
			return nil, fmt.Errorf("%w: #%d is above the finalized #%d", lightclient.ErrNotYet, at, h.Number)
		}
	}
	var claim bundle.Claim
	switch q.What {
	case ProveHeader:
		claim = bundle.HeaderClaim{Number: at}
	case ProveStorage:
		list, _, err := l.wanted(ctx, q.Words, q.At)
		if err != nil {
			return nil, err
		}
		var keys [][]byte
		for _, w := range list {
			if w.prefix {
				return nil, Errorf(Usage, "%v: %w: it has many keys, want %s", w.meta, item.ErrArgument, w.meta.Wants())
			}
			keys = append(keys, w.key)
		}
		slices.SortFunc(keys, bytes.Compare)
		claim = bundle.StorageClaim{Number: at, Keys: slices.CompactFunc(keys, bytes.Equal)}
	case ProveWeights:
		uid := int32(-1)
		if q.UID != nil {
			uid = int32(*q.UID)
		}
		claim = bundle.WeightsClaim{Netuid: q.Netuid, Mecid: q.Mecid, At: at, UID: uid}
	case ProveSubnet:
		claim = bundle.SubnetClaim{Netuid: q.Netuid, At: at}
	case ProveEpoch:
		return l.Node.ProveEpoch(ctx, q.Netuid, q.At, o)
	default:
		return nil, Errorf(Usage, "%w: no bundle is made of %q", ErrParams, q.What[:min(len(q.What), 64)])
	}
	return l.Node.Prove(ctx, []bundle.Claim{claim}, o)
}

// hotkeyOrUID returns whose commitment is asked for; a uid is that of now.
func (l *Local) hotkeyOrUID(ctx context.Context, q ProveQuestion) (id verify.AccountID, err error) {
	hotkey, err := hotkeyOf(q.Hotkey)
	switch {
	case err != nil:
		return id, err
	case hotkey != nil:
		return *hotkey, nil
	case q.UID == nil:
		return id, Errorf(Usage, "%w: whose commitment is not said", ErrParams)
	}
	at, err := l.Node.WithHead(ctx, func(s subtensor.State) error {
		var b subtensor.Batch
		b.Key("Keys", subtensor.KeyKeys(q.Netuid, *q.UID), &id)
		return b.Load(s)
	})
	if err == nil && id == (verify.AccountID{}) {
		err = fmt.Errorf("%w: uid %d of subnet %d, at #%d", lightclient.ErrNoSubnet, *q.UID, q.Netuid, at.Header.Number)
	}
	return id, err
}

func hotkeyOf(text string) (*verify.AccountID, error) {
	if text == "" {
		return nil, nil
	}
	id, err := verify.ParseAccount(text)
	if err != nil {
		return nil, Errorf(Usage, "hotkey: %w", err)
	}
	return &id, nil
}

// whyNot gives an error about the past or about a subnet its code and a hint.
func (l *Local) whyNot(ctx context.Context, err error) error {
	var pruned *lightclient.PrunedError
	switch {
	case errors.Is(err, rules.ErrUnknown):
		return Errorf(Undecided, "%w", err).WithHint("--assume-rules %d judges by the newest rules that were audited, and says so", rules.Ceiling)
	case errors.As(err, &pruned):
		return Errorf(Undecided, "%w", err).WithHint("an archive peer has it (--peer), or a node that ran with --watch")
	case errors.Is(err, lightclient.ErrNoSubnet):
		return Errorf(Failure, "%w", err)
	case errors.Is(err, lightclient.ErrIncomplete):
		return Errorf(Undecided, "%w", err).WithHint(AskAgain)
	case errors.Is(err, lightclient.ErrNoPeers):
		return Errorf(NoPeers, "%w", err)
	}
	var refused *bundle.ClaimError
	if errors.As(err, &refused) {
		return fmt.Errorf("nothing to prove: %w", err)
	}
	return l.notFinal(ctx, err)
}
