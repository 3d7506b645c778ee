package yuma

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/taolight/taolight/verify/rules"
)

// Our bounds on what an epoch is computed from. The chain has 256 neurons on a subnet at most, in all
// its mechanisms, and writes no row with more entries than there are neurons.
const (
	MaxNeurons = 4096
	// MaxEntries bounds the weights, and the bonds, of all neurons together.
	MaxEntries = 1 << 20
	// A row has at most rowFactor times as many entries as there are neurons, or as rowNeurons.
	rowFactor, rowNeurons = 4, 64
)

// ErrInputs: the inputs are no state that an epoch could be computed from.
var ErrInputs = errors.New("no inputs of an epoch")

// A Weight is one entry of a row of weights or of bonds as it is stored: the uid of whom it is for, and
// how much.
type Weight struct{ UID, Value uint16 }

// Inputs is what the epoch of one mechanism reads, in the state that it finds: that of the block before,
// with what the block did first (timelocked reveals, and emission). Names are those of the storage
// items. Lists by uid that are too short have zeros beyond their end.
type Inputs struct {
	Block uint64 // the block of the epoch
	Tempo uint16
	// ActivityCutoffFactorMilli counts with rules.Set.ActivityFactor, ActivityCutoff without it.
	ActivityCutoff            uint16
	ActivityCutoffFactorMilli uint32
	// LastMechansimStepBlock is the block of the epoch before this one. It counts with
	// rules.Set.LastStepBonds.
	LastMechansimStepBlock uint64

	// Stake is the stake weight of each neuron (Stake), StakeThreshold in rao. How many neurons there
	// are is its length.
	Stake          []I64F64
	StakeThreshold uint64
	// Owner is the uid of the hotkey in SubnetOwnerHotkey, -1 if it has none.
	Owner int

	LastUpdate           []uint64
	BlockAtRegistration  []uint64
	ValidatorPermit      []bool
	MaxAllowedValidators uint16

	Weights [][]Weight // Weights, each row as stored
	Bonds   [][]Weight // Bonds, each row as stored

	Kappa                 uint16
	BondsPenalty          uint16
	BondsMovingAverage    uint64
	Yuma3On               bool
	LiquidAlphaOn         bool
	AlphaLow, AlphaHigh   uint16 // AlphaValues
	AlphaSigmoidSteepness int32  // an i16 with rules.Set.SteepnessPercent, a u16 without it

	CommitRevealWeightsEnabled bool
	// CommitBlocks is for each neuron the block of its earliest unexpired commit, as CommitBlocks
	// makes it; beyond its end there are none. It counts with rules.Set.CommitColumns.
	CommitBlocks []uint64

	// Emission is what the mechanism has to hand out, in rao of alpha.
	Emission uint64
}

func (in *Inputs) n() int { return len(in.Stake) }

// check returns ErrInputs unless the inputs are within the bounds.
func (in *Inputs) check() error {
	n := in.n()
	if n > MaxNeurons {
		return fmt.Errorf("%w: %d neurons, at most %d allowed", ErrInputs, n, MaxNeurons)
	}
	if in.Owner < -1 || in.Owner > math.MaxUint16 {
		return fmt.Errorf("%w: owner with uid %d", ErrInputs, in.Owner)
	}
	for _, m := range []struct {
		name string
		rows [][]Weight
	}{{"weights", in.Weights}, {"bonds", in.Bonds}} {
		if len(m.rows) > n {
			return fmt.Errorf("%w: %s of %d neurons, there are %d", ErrInputs, m.name, len(m.rows), n)
		}
		all, most := 0, rowFactor*max(n, rowNeurons)
		for uid, row := range m.rows {
			if all += len(row); len(row) > most || all > MaxEntries {
				return fmt.Errorf("%w: %s: uid %d: %d entries, %d with those before; at most %d and %d allowed", ErrInputs, m.name, uid, len(row), all, most, MaxEntries)
			}
		}
	}
	return nil
}

// Outputs is what an epoch writes, by uid. Names are those of the storage items.
type Outputs struct {
	StakeWeight     []uint16 // with rules.Set.StakeWeightStale computed, and not stored
	Active          []bool
	ValidatorPermit []bool
	Consensus       []uint16
	Incentive       []uint16
	Dividends       []uint16
	ValidatorTrust  []uint16
	Emission        []uint64 // of servers and validators together
	Bonds           [][]Weight

	// Rank, Trust and PruningScores are stored without rules.Set.NoRanks, and computed in any case.
	Rank          []uint16
	Trust         []uint16
	PruningScores []uint16

	// What is handed out, in rao of alpha: ServerEmission is also in the event
	// IncentiveAlphaEmittedToMiners.
	ServerEmission    []uint64
	ValidatorEmission []uint64
	// RawStake is the stake weight in rao, without regard to the threshold.
	RawStake []uint64
}

// Epoch computes the epoch of one mechanism under the rules of a runtime, and how it came to its results.
// The error is ErrInputs; it has no other (pallets/subtensor/src/epoch/run_epoch.rs, epoch_mechanism).
//
// Time and memory grow with the number of neurons and of entries, not with what the entries are.
func Epoch(in *Inputs, r rules.Set) (*Outputs, *Trace, error) {
	if err := in.check(); err != nil {
		return nil, nil, err
	}
	exempt := -1
	if r.OwnerExempt {
		exempt = in.Owner
	}
	ratio := func(v uint16) I32F32 { return I32F32From(uint64(v)).SafeDiv(I32F32From(math.MaxUint16)) }
	t := &Trace{
		ActivityCutoff: in.cutoff(r.ActivityFactor),
		Kappa:          ratio(in.Kappa),
		BondsPenalty:   ratio(in.BondsPenalty),
	}
	out := &Outputs{Active: in.active(t.ActivityCutoff)}

	t.Stake = StakeWeights(in.Stake, in.StakeThreshold, exempt)
	permits := slices.Clone(in.ValidatorPermit)
	if exempt >= 0 && exempt < len(permits) {
		permits[exempt] = true
	}
	out.ValidatorPermit = Permits(t.Stake, in.MaxAllowedValidators, exempt)
	t.ActiveStake = activeStake(t.Stake, out.Active, permits)

	t.Weights = in.weights(permits, r.CommitColumns && in.CommitRevealWeightsEnabled)
	t.Consensus = medians(t.ActiveStake, t.Weights, t.Kappa)
	t.ClippedWeights, t.ValidatorTrust = clip(t.Weights, t.Consensus)
	t.Preranks = t.Weights.timesByRow(t.ActiveStake)
	t.Ranks = t.ClippedWeights.timesByRow(t.ActiveStake)
	t.Trust = make([]I32F32, in.n())
	for i, rank := range t.Ranks {
		t.Trust[i] = rank.SafeDiv(t.Preranks[i])
	}
	t.Incentive = slices.Clone(t.Ranks)
	normalize(t.Incentive)

	t.WeightsForBonds = interpolate(t.Weights, t.ClippedWeights, t.BondsPenalty)
	t.bonds(in, r.LastStepBonds, r.SteepnessPercent, r.ClampedExp)
	t.shares()
	t.quantize(in, out)
	out.Bonds = t.storedBonds(in, permits, out.ValidatorPermit, r.Mechanisms)
	return out, t, nil
}

// quantize fills what of the outputs is a vector of the trace.
func (t *Trace) quantize(in *Inputs, out *Outputs) {
	for _, q := range []struct {
		to   *[]uint16
		from []I32F32
	}{
		{&out.StakeWeight, t.Stake},
		{&out.Consensus, t.Consensus},
		{&out.Incentive, t.Incentive},
		{&out.Dividends, t.Dividends},
		{&out.ValidatorTrust, t.ValidatorTrust},
		{&out.Rank, t.Incentive}, // the ranks are made shares where they stand, before they are stored
		{&out.Trust, t.Trust},
	} {
		*q.to = make([]uint16, len(q.from))
		for i, x := range q.from {
			(*q.to)[i] = x.Quantize()
		}
	}
	out.PruningScores = upscale(t.Combined)
	out.ServerEmission = amounts(t.Server, in.Emission)
	out.ValidatorEmission = amounts(t.Validator, in.Emission)
	out.Emission = amounts(t.Combined, in.Emission)
	out.RawStake = make([]uint64, in.n())
	for i, s := range in.Stake {
		out.RawStake[i] = s.U64()
	}
}

// storedBonds returns the bonds as they are stored. Those who get a permit have the bonds of this epoch,
// zeros among them; others have none any more, if they are written at all.
func (t *Trace) storedBonds(in *Inputs, old, new []bool, all bool) [][]Weight {
	size := 0
	for i, permit := range new {
		if permit {
			uids, _ := t.Bonds.row(i)
			size += len(uids)
		}
	}
	cells := make([]Weight, 0, size)
	rows := make([][]Weight, in.n())
	for i := range rows {
		switch {
		case new[i]:
			start := len(cells)
			uids, values := t.Bonds.row(i)
			for k, j := range uids {
				cells = append(cells, Weight{j, values[k].Quantize()})
			}
			rows[i] = cells[start:len(cells):len(cells)]
		case !all && !at(old, i):
			rows[i] = at(in.Bonds, i)
		}
	}
	return rows
}
