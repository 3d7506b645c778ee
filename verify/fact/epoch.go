package fact

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// epochSpec is the runtime whose rules hold for an epoch that names none.
const epochSpec = 425

// maxHotkeys bounds the neurons of an epoch and their parents together.
const maxHotkeys = 1 << 16

// An epochResult is an array that an epoch ends with, by its name in a record.
type epochResult struct {
	name string
	// stored: the chain keeps it after every epoch. An epoch is decided only if all of these are stated.
	stored bool
	of     func(*yuma.Outputs) []uint64
}

var epochResults = []epochResult{
	{"raw_stake", false, func(o *yuma.Outputs) []uint64 { return o.RawStake }},
	{"stake_weight", false, func(o *yuma.Outputs) []uint64 { return numbers(o.StakeWeight) }},
	{"active", true, func(o *yuma.Outputs) []uint64 { return truths(o.Active) }},
	{"permit", true, func(o *yuma.Outputs) []uint64 { return truths(o.ValidatorPermit) }},
	{"consensus", true, func(o *yuma.Outputs) []uint64 { return numbers(o.Consensus) }},
	{"vtrust", true, func(o *yuma.Outputs) []uint64 { return numbers(o.ValidatorTrust) }},
	{"rank", false, func(o *yuma.Outputs) []uint64 { return numbers(o.Rank) }},
	{"trust", false, func(o *yuma.Outputs) []uint64 { return numbers(o.Trust) }},
	{"incentive", true, func(o *yuma.Outputs) []uint64 { return numbers(o.Incentive) }},
	{"dividends", true, func(o *yuma.Outputs) []uint64 { return numbers(o.Dividends) }},
	{"server", false, func(o *yuma.Outputs) []uint64 { return o.ServerEmission }},
	{"validator", false, func(o *yuma.Outputs) []uint64 { return o.ValidatorEmission }},
	{"emission", true, func(o *yuma.Outputs) []uint64 { return o.Emission }},
	{"pruning_scores", false, func(o *yuma.Outputs) []uint64 { return numbers(o.PruningScores) }},
}

func numbers(v []uint16) []uint64 {
	out := make([]uint64, len(v))
	for i, x := range v {
		out[i] = uint64(x)
	}
	return out
}

func truths(v []bool) []uint64 {
	out := make([]uint64, len(v))
	for i, x := range v {
		if x {
			out[i] = 1
		}
	}
	return out
}

// checkEpoch judges the epoch of one mechanism: it is computed again from what it reads, and compared
// with what the record states, under out, that it wrote. What it states under dbg are vectors on the
// way (yuma.Trace.Names), times 2^32.
func checkEpoch(c *check) error {
	spec := uint64(epochSpec)
	if v, ok := c.Uint("spec_version", 32); ok {
		spec = v
	}
	if err := c.read(); err != nil {
		return err
	}
	set, err := rules.ForEpoch(uint32(spec))
	if err != nil {
		return lack("spec_version", err)
	}
	c.add("rules", set.String())
	in, err := c.epochInputs(set)
	if err != nil {
		return err
	}
	out, trace, err := yuma.Epoch(in, set)
	if err != nil {
		return fail("input", err)
	}
	c.add("neurons", uint64(len(in.Stake)))
	c.add("block", in.Block)
	for _, r := range epochResults {
		if r.name != "active" && r.name != "permit" {
			c.add(r.name, r.of(out))
		}
	}
	if err := c.traced(trace); err != nil {
		return err
	}
	return c.results(out)
}

// traced compares the vectors on the way.
func (c *check) traced(trace *yuma.Trace) error {
	dbg, ok := c.Object.Object("dbg")
	if err := c.read(); err != nil || !ok {
		return err
	}
	names, _ := trace.Names()
	for _, name := range names {
		ok := dbg.Has(name)
		if err := dbg.Err(); err != nil {
			return fail("input", fmt.Errorf("dbg: %w", err))
		}
		got, computed := trace.Vector(name)
		if !ok || !computed {
			continue
		}
		raw, _ := dbg.Raw(name)
		want, err := list(raw, maxHotkeys, func(raw json.RawMessage) (int64, error) { return signed(raw, 64) })
		if err != nil {
			return fail("input", fmt.Errorf("dbg: %s: %w", name, err))
		}
		if err := sameByUID(got, want); err != nil {
			return fail("dbg: "+name, err)
		}
	}
	return nil
}

// results compares the results.
func (c *check) results(out *yuma.Outputs) error {
	o, ok := c.Object.Object("out")
	if err := c.read(); err != nil {
		return err
	}
	if !ok {
		return lack("out", fmt.Errorf("%w: none stated to compare with", ErrIncomplete))
	}
	missing := ""
	for _, r := range epochResults {
		raw, err := result(o, r.name)
		if err != nil {
			return err
		}
		if raw == nil {
			if r.stored {
				missing = cmp.Or(missing, r.name)
			}
			continue
		}
		want, err := list(raw, maxHotkeys, figure)
		if err != nil {
			return fail("input", fmt.Errorf("out: %s: %w", r.name, err))
		}
		if err := sameByUID(r.of(out), want); err != nil {
			return fail(r.name, err)
		}
	}
	raw, err := result(o, "bonds")
	if err != nil {
		return err
	}
	if raw == nil {
		missing = cmp.Or(missing, "bonds")
	} else {
		bonds, err := weightRows(raw)
		if err != nil {
			return fail("input", fmt.Errorf("out: bonds: %w", err))
		}
		if len(bonds) != len(out.Bonds) {
			return fail("bonds", fmt.Errorf("%w: %d neurons stated, there are %d", ErrMismatch, len(bonds), len(out.Bonds)))
		}
		for uid, row := range bonds {
			if err := sameRow(row, out.Bonds[uid]); err != nil {
				return fail("bonds", fmt.Errorf("uid %d: %w", uid, err))
			}
		}
	}
	if missing != "" {
		return lack(missing, fmt.Errorf("%w: none stated to compare with", ErrIncomplete))
	}
	return nil
}

// result returns the value of a result, nil if there is none.
func result(o *jsonfield.Object, name string) (json.RawMessage, error) {
	raw, _ := o.Raw(name)
	if err := o.Err(); err != nil {
		return nil, fail("input", fmt.Errorf("out: %w", err))
	}
	if string(raw) == "null" {
		return nil, nil
	}
	return raw, nil
}

func sameByUID[T, U interface{ ~int64 | ~uint64 }](got []T, want []U) error {
	if len(got) != len(want) {
		return fmt.Errorf("%w: %d neurons stated, there are %d", ErrMismatch, len(want), len(got))
	}
	for uid := range got {
		if U(got[uid]) != want[uid] {
			return fmt.Errorf("%w: uid %d: %d stated, %d computed", ErrMismatch, uid, want[uid], got[uid])
		}
	}
	return nil
}

func sameRow(want, got []yuma.Weight) error {
	for k := range min(len(want), len(got)) {
		if want[k] != got[k] {
			return fmt.Errorf("%w: entry %d: %d in uid %d stated, %d in uid %d computed", ErrMismatch, k, want[k].Value, want[k].UID, got[k].Value, got[k].UID)
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%w: %d entries stated, %d computed", ErrMismatch, len(want), len(got))
	}
	return nil
}

// epochInputs reads what the epoch reads, as far as it counts under these rules.
func (c *check) epochInputs(set rules.Set) (*yuma.Inputs, error) {
	in := &yuma.Inputs{Owner: -1}
	c.Need("n", "block", "tempo", "threshold", "maxval", "kappa", "penalty", "bma", "yuma3", "liquid", "alow", "ahigh", "steep", "cr", "rao",
		"last_update", "reg", "permits", "weights", "bonds")
	small := func(name string) uint16 {
		v, _ := c.Uint(name, 16)
		return uint16(v)
	}
	large := func(name string) uint64 {
		v, _ := c.Uint(name, 64)
		return v
	}
	n := int(small("n"))
	in.Block, in.Tempo, in.StakeThreshold, in.Emission = large("block"), small("tempo"), large("threshold"), large("rao")
	in.MaxAllowedValidators, in.Kappa, in.BondsPenalty, in.BondsMovingAverage = small("maxval"), small("kappa"), small("penalty"), large("bma")
	in.AlphaLow, in.AlphaHigh = small("alow"), small("ahigh")
	in.Yuma3On, _ = c.Bool("yuma3")
	in.LiquidAlphaOn, _ = c.Bool("liquid")
	in.CommitRevealWeightsEnabled, _ = c.Bool("cr")
	if c.Has("owner") {
		in.Owner = int(small("owner"))
	}
	if set.ActivityFactor {
		c.Need("factor")
		v, _ := c.Uint("factor", 32)
		in.ActivityCutoffFactorMilli = uint32(v)
	} else {
		c.Need("activity_cutoff")
		in.ActivityCutoff = small("activity_cutoff")
	}
	if set.LastStepBonds {
		c.Need("lms")
		in.LastMechansimStepBlock = large("lms")
	}
	steep := field(c, "steep", func(raw json.RawMessage) (int64, error) { return signed(raw, 32) })
	if low, high := steepnesses(set); c.Err() == nil && (steep < low || steep > high) {
		c.Fail("steep", fmt.Errorf("%w: from %d to %d", jsonfield.ErrInteger, low, high))
	}
	in.AlphaSigmoidSteepness = int32(steep)
	in.LastUpdate = field(c, "last_update", figures)
	in.BlockAtRegistration = field(c, "reg", figures)
	for _, v := range field(c, "permits", figures) {
		in.ValidatorPermit = append(in.ValidatorPermit, v != 0)
	}
	in.Weights = field(c, "weights", weightRows)
	in.Bonds = field(c, "bonds", weightRows)
	if in.CommitRevealWeightsEnabled && set.CommitColumns {
		c.Need("commit_blocks")
		in.CommitBlocks = field(c, "commit_blocks", figures)
	}
	if n > yuma.MaxNeurons {
		c.Fail("n", fmt.Errorf("%w: at most %d neurons", jsonfield.ErrLimit, yuma.MaxNeurons))
	}
	in.Stake = c.stakes(n)
	return in, c.read()
}

// steepnesses returns the bounds of AlphaSigmoidSteepness.
func steepnesses(set rules.Set) (low, high int64) {
	if set.SteepnessPercent {
		return math.MinInt16, math.MaxInt16
	}
	return 0, math.MaxUint16
}

// stakes reads what the stake of n neurons is made of, and returns their stake weights.
func (c *check) stakes(n int) []yuma.I64F64 {
	c.Need("alpha", "tao", "parents", "children", "tao_weight")
	alpha, root := field(c, "alpha", figures), field(c, "tao", figures)
	weight, _ := c.Uint("tao_weight", 64)
	rows := func(raw json.RawMessage) ([]json.RawMessage, error) { return jsonfield.Elements(raw, yuma.MaxNeurons) }
	parents, children := field(c, "parents", rows), field(c, "children", rows)
	if len(alpha) < n || len(root) != len(alpha) {
		c.Fail("alpha", fmt.Errorf("%w: of %d hotkeys, and tao of %d; there are %d neurons", ErrInput, len(alpha), len(root), n))
	}
	if len(parents) != n || len(children) != n {
		c.Fail("parents", fmt.Errorf("%w: of %d neurons, and children of %d; there are %d", ErrInput, len(parents), len(children), n))
	}
	if c.Err() != nil {
		return nil
	}
	out := make([]yuma.I64F64, n)
	for uid := range out {
		in := yuma.StakeInputs{Alpha: alpha[uid], Root: root[uid]}
		var err error
		if in.Children, err = figures(children[uid]); err != nil {
			c.Fail("children", fmt.Errorf("%d: %w", uid, err))
			return nil
		}
		in.Parents, err = list(parents[uid], maxHotkeys, func(raw json.RawMessage) (p yuma.ParentStake, err error) {
			pair, err := list(raw, 2, figure)
			if err == nil && (len(pair) != 2 || pair[1] >= uint64(len(alpha))) {
				err = fmt.Errorf("%w: want a proportion and the index of a hotkey", ErrInput)
			}
			if err == nil {
				p = yuma.ParentStake{Proportion: pair[0], Alpha: alpha[pair[1]], Root: root[pair[1]]}
			}
			return p, err
		})
		if err != nil {
			c.Fail("parents", fmt.Errorf("%d: %w", uid, err))
			return nil
		}
		out[uid] = yuma.Stake(in, weight)
	}
	return out
}

// field reads a field that is there.
func field[T any](c *check, name string, read func(json.RawMessage) (T, error)) (v T) {
	raw, ok := c.Raw(name)
	if c.Err() != nil || !ok {
		return v
	}
	v, err := read(raw)
	if err != nil {
		c.Fail(name, err)
	}
	return v
}

// list reads a list of at most max elements.
func list[T any](raw json.RawMessage, max int, read func(json.RawMessage) (T, error)) ([]T, error) {
	items, err := jsonfield.Elements(raw, max)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(items))
	for i, item := range items {
		if out[i], err = read(item); err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
	}
	return out, nil
}

// figures reads a list of figures by uid.
func figures(raw json.RawMessage) ([]uint64, error) { return list(raw, maxHotkeys, figure) }

// figure reads an integer of 64 bits; true is 1, false is 0.
func figure(raw json.RawMessage) (uint64, error) {
	switch string(raw) {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	return jsonfield.Uint(raw, 64)
}

// signed reads an integer with a sign, of at most the given bits (≤ 64).
func signed(raw json.RawMessage, size int) (int64, error) {
	if len(raw) == 0 || raw[0] != '-' {
		v, err := jsonfield.Uint(raw, size-1)
		return int64(v), err
	}
	v, err := jsonfield.Uint(raw[1:], size)
	if err == nil && v > 1<<(size-1) {
		err = fmt.Errorf("%w: more than %d bits", jsonfield.ErrInteger, size)
	}
	return -int64(v), err
}

// weightRows reads rows of weights or bonds: a list for each neuron, of pairs of a uid and a value.
func weightRows(raw json.RawMessage) ([][]yuma.Weight, error) {
	left := yuma.MaxEntries
	pair := func(raw json.RawMessage) (w yuma.Weight, err error) {
		v, err := list(raw, 2, func(raw json.RawMessage) (uint64, error) { return jsonfield.Uint(raw, 16) })
		if err == nil && len(v) != 2 {
			err = fmt.Errorf("%w: want a uid and a value", ErrInput)
		}
		if err == nil {
			w = yuma.Weight{UID: uint16(v[0]), Value: uint16(v[1])}
		}
		return w, err
	}
	return list(raw, yuma.MaxNeurons, func(raw json.RawMessage) ([]yuma.Weight, error) {
		row, err := list(raw, min(left, maxHotkeys), pair)
		left -= len(row)
		return slices.Clip(row), err
	})
}
