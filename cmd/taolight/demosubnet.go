package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/neuron/wallet"
)

// A founder makes, on a demo network with a runtime, the subnet that the neurons are on: by transactions of //Alice,
// who holds the sudo key there and has a million TAO, as anybody could by hand.
type founder struct {
	*seat // of the coldkey //Alice
}

// foundTime is how long a transaction of a founder may take to be final; a subnet that may not be started yet is tried
// again so often.
const (
	foundTime  = 2 * time.Minute
	startEvery = 5 * time.Second
	startTries = 24
)

// A step of a founder is a call as metadata.EncodeCall reads it, PALLET then CALL then its arguments.
type foundCall = map[string]map[string]any

func call1(pallet, name string, args map[string]any) foundCall {
	return foundCall{pallet: {name: args}}
}

// found makes a subnet with three hotkeys and returns its netuid. Settings that a runtime does not know are left as
// they are.
func (f *founder) found(ctx context.Context, hotkeys []string) (uint16, error) {
	before, err := f.netuids(ctx)
	if err != nil {
		return 0, err
	}
	sudo := func(name string, args map[string]any) foundCall {
		return call1("Sudo", "sudo", map[string]any{"call": call1("AdminUtils", name, args)})
	}
	owner, err := wallet.Parse([]byte("//Dave"))
	if err != nil {
		return 0, err
	}
	if err := f.send(ctx, sudo("sudo_set_network_rate_limit", map[string]any{"rate_limit": 0}),
		call1("SubtensorModule", "register_network", map[string]any{"hotkey": owner.String()})); err != nil {
		return 0, fmt.Errorf("founding a subnet: %w", err)
	}
	after, err := f.netuids(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(after, func(n uint16) bool { return !slices.Contains(before, n) })
	if i < 0 {
		return 0, errors.New("founding a subnet: there is none more than before")
	}
	netuid := after[i]
	var settings []foundCall
	for _, s := range []struct {
		call, name string
		value      any
	}{
		{"sudo_set_tempo", "tempo", 20},
		{"sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 5},
		{"sudo_set_serving_rate_limit", "serving_rate_limit", 5},
		{"sudo_set_min_allowed_weights", "min_allowed_weights", 1},
		{"sudo_set_max_weight_limit", "max_weight_limit", 65535},
		{"sudo_set_max_registrations_per_block", "max_registrations_per_block", 8},
		{"sudo_set_target_registrations_per_interval", "target_registrations_per_interval", 8},
		{"sudo_set_network_registration_allowed", "registration_allowed", true},
		{"sudo_set_subtoken_enabled", "subtoken_enabled", true},
		{"sudo_set_commit_reveal_weights_enabled", "enabled", true},
	} {
		c := sudo(s.call, map[string]any{"netuid": netuid, s.name: s.value})
		if _, err := f.build(ctx, c); err == nil {
			settings = append(settings, c)
		}
	}
	if err := f.send(ctx, settings...); err != nil {
		return 0, fmt.Errorf("settings of subnet %d: %w", netuid, err)
	}
	var join []foundCall
	for _, h := range hotkeys {
		join = append(join, call1("SubtensorModule", "burned_register", map[string]any{"netuid": netuid, "hotkey": h}))
	}
	join = append(join, call1("SubtensorModule", "add_stake", map[string]any{"hotkey": f.key.String(), "netuid": netuid, "amount_staked": uint64(50 * rao)}))
	if err := f.send(ctx, join...); err != nil {
		return 0, fmt.Errorf("hotkeys of subnet %d: %w", netuid, err)
	}
	return netuid, nil
}

// start has the subnet's emission begin, which a runtime that knows the call allows only some blocks after it was
// founded. The neurons need not wait for that.
func (f *founder) start(ctx context.Context, netuid uint16) error {
	c := call1("SubtensorModule", "start_call", map[string]any{"netuid": netuid})
	if _, err := f.build(ctx, c); err != nil {
		return nil // it begins by itself
	}
	for tries := 0; ; tries++ {
		err := f.send(ctx, c)
		if err == nil || tries == startTries {
			return err
		}
		select {
		case <-time.After(startEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *founder) netuids(ctx context.Context) (out []uint16, err error) {
	s, err := f.who.Subnets(ctx, control.TableQuestion{})
	if err != nil {
		return nil, err
	}
	for _, n := range s.List {
		out = append(out, n.Netuid)
	}
	return out, nil
}

// build makes the payload of calls, all of which succeed or none.
func (f *founder) build(ctx context.Context, calls ...foundCall) (*control.Built, error) {
	args, err := json.Marshal(map[string]any{"calls": calls})
	if err != nil {
		return nil, err
	}
	return f.who.Build(ctx, control.BuildQuestion{Call: control.TxCall{Kind: control.TxRaw, Words: []string{"Utility.batch_all"}, Args: string(args)},
		From: f.key.Account().String()})
}

// send sends calls in one transaction, and waits until it is final.
func (f *founder) send(ctx context.Context, calls ...foundCall) error {
	ctx, cancel := context.WithTimeout(ctx, foundTime)
	defer cancel()
	b, err := f.build(ctx, calls...)
	if err != nil {
		return err
	}
	signed, err := signWith(b.Payload, f.seat)
	if err != nil {
		return err
	}
	l, err := f.who.Submit(ctx, control.SubmitQuestion{Payload: signed})
	if err != nil {
		return err
	}
	t := &l.List[0]
	for !t.Done() {
		next, err := f.who.Transactions(ctx, control.TxQuestion{Hash: t.Hash, Step: t.Step})
		if err != nil {
			return err
		}
		t = &next.List[0]
	}
	if t.State != tx.Succeeded || t.Outcome != nil && t.Outcome.Failed() != nil {
		return errors.New(short(t.Hash) + " " + t.Line())
	}
	return nil
}
