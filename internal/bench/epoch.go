package main

import (
	"errors"
	"math/rand/v2"

	epochs "github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
	"github.com/taolight/taolight/verify/yuma/reference"
)

// fillEpoch writes what an epoch reads of a subnet's neurons: weights and bonds of the validators, a quarter of
// all, for all and in all; a parent for each validator.
func (c *ledger) fillEpoch(n uint16) {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	size := sizeOf(n)
	row := func() (out []subtensor.Weight) {
		for uid := range size {
			out = append(out, subtensor.Weight{UID: uint16(uid), Value: uint16(r.Uint32())})
		}
		return out
	}
	updates := scale.AppendCompact(nil, uint64(size))
	for i := range size {
		uid, key := uint16(i), hotkeyOf(n, i)
		c.put(subtensor.KeyKeys(n, uid), key[:])
		c.put(subtensor.KeyUids(n, key), u16(uid))
		c.put(subtensor.KeyBlockAtRegistration(n, uid), u64(uint64(c.first)-uint64(100_000+i)))
		updates = scale.AppendU64(updates, uint64(c.first)-r.Uint64N(tempo))
		if i >= size/4 {
			continue
		}
		parent := hotkeyOf(n, size+i)
		c.put(subtensor.KeyTotalHotkeyAlpha(key, n), u64(2e12+r.Uint64N(1e14)))
		c.put(subtensor.KeyTotalHotkeyAlpha(key, 0), u64(r.Uint64N(1e14)))
		c.put(subtensor.KeyTotalHotkeyAlpha(parent, n), u64(1e12))
		c.put(subtensor.KeyTotalHotkeyAlpha(parent, 0), u64(3e12))
		c.put(subtensor.KeyParentKeys(key, n), subtensor.AppendRelations(nil, []subtensor.Relation{{Proportion: 1 << 62, Hotkey: parent}}))
		c.put(subtensor.KeyWeights(n, uid), subtensor.AppendWeights(nil, row()))
		c.put(subtensor.KeyBonds(n, uid), subtensor.AppendWeights(nil, row()))
	}
	for item, value := range map[string][]byte{
		"SubnetworkN": u16(uint16(size)), "MaxAllowedValidators": u16(uint16(size / 4)), "LastUpdate": updates,
		"FirstEmissionBlockNumber": u64(1), "SubtokenEnabled": {1}, "NetworkRegistrationAllowed": {1},
		"SubnetAlphaIn": u64(2e15), "SubnetAlphaOut": u64(1e15),
		"PendingServerEmission": u64(147e9), "PendingValidatorEmission": u64(120e9), "PendingRootAlphaDivs": u64(27e9),
	} {
		c.put(subtensor.KeySubnet(item, n), value)
	}
}

func sizeOf(n uint16) int {
	if n == part {
		return neurons / 4
	}
	return neurons
}

// runEpoch writes what the epoch of the block being made stores, computed by the math/big reference.
func (c *ledger) runEpoch(n uint16) error {
	set, err := rules.For(rules.Ceiling)
	if err != nil {
		return err
	}
	block := uint64(c.next())
	before := c.state
	c.put(subtensor.KeySubnet("LastMechansimStepBlock", n), u64(block))
	e, err := epochs.Read(inTrie{before}, inTrie{c.state}, n, block, set, nil)
	if err != nil {
		return err
	}
	if len(e.Doubts) != 0 {
		return errors.New(e.Doubts[0])
	}
	in := e.Inputs[0]
	in.Emission = e.Rao[0]
	out := reference.Epoch(in, set)
	for item, v := range map[string][]uint16{
		"StakeWeight": out.StakeWeight, "Consensus": out.Consensus, "ValidatorTrust": out.ValidatorTrust, "Incentive": out.Incentive, "Dividends": out.Dividends,
	} {
		c.put(subtensor.KeySubnet(item, n), list(v, scale.AppendU16))
	}
	c.put(subtensor.KeySubnet("Active", n), list(out.Active, scale.AppendBool))
	c.put(subtensor.KeySubnet("ValidatorPermit", n), list(out.ValidatorPermit, scale.AppendBool))
	c.put(subtensor.KeySubnet("Emission", n), list(out.Emission, scale.AppendU64))
	c.put(subtensor.KeySubnet("SubnetAlphaOutEmission", n), u64(e.AlphaOut))
	for uid, bonds := range out.Bonds {
		row := make([]subtensor.Weight, len(bonds))
		for i, b := range bonds {
			row[i] = subtensor.Weight(b)
		}
		c.put(subtensor.KeyBonds(n, uint16(uid)), subtensor.AppendWeights(nil, row))
	}
	for item, value := range map[string]uint64{
		"LastEpochBlock": block, "SubnetEpochIndex": 24_001, "BlocksSinceLastStep": 0,
		"PendingServerEmission": 0, "PendingValidatorEmission": 0, "PendingRootAlphaDivs": 0,
	} {
		c.put(subtensor.KeySubnet(item, n), u64(value))
	}
	return nil
}

// inTrie is a state that is all there, and so needs no proof.
type inTrie struct{ *trie.Trie }

func (s inTrie) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		if v, ok := s.Get(k); ok {
			out[i] = append([]byte{}, v...)
		}
	}
	return out, nil
}

func list[T any](v []T, one func([]byte, T) []byte) []byte {
	b := scale.AppendCompact(nil, uint64(len(v)))
	for _, x := range v {
		b = one(b, x)
	}
	return b
}
