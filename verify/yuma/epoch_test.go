package yuma

import (
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/rules"
)

// A vector is one line of the epoch vectors: what an epoch is computed from, and what the runtime's own
// arithmetic makes of it.
type vector struct {
	N                 int
	Block             uint64
	Tempo             uint16
	Factor            uint32
	LMS               uint64
	LastUpdate        []uint64 `json:"last_update"`
	Reg               []uint64
	Alpha, Tao        []uint64
	Parents           [][][2]uint64
	Children          [][]uint64
	TaoWeight         uint64 `json:"tao_weight"`
	Threshold         uint64
	Owner             *int
	Permits           []bool
	MaxVal            uint16
	Weights, Bonds    [][][2]uint16
	Kappa, Penalty    uint16
	BMA               uint64
	Yuma3, Liquid, CR bool
	ALow, AHigh       uint16
	Steep             int32
	CommitBlocks      []uint64 `json:"commit_blocks"`
	Rao               uint64
	Out               struct {
		StakeWeight                             []uint16 `json:"stake_weight"`
		Active, Permit                          []bool
		Emission, Server, Validator             []uint64
		Consensus, Incentive, Dividends, VTrust []uint16
		Bonds                                   [][][2]uint16
		RawStake                                []uint64 `json:"raw_stake"`
	}
	Dbg struct {
		Stake       []I32F32
		ActiveStake []I32F32 `json:"active_stake"`
		Consensus   []I32F32
		Incentive   []I32F32
		Dividends   []I32F32
	}
}

func rowsOf(rows [][][2]uint16) [][]Weight {
	out := make([][]Weight, len(rows))
	for i, row := range rows {
		for _, c := range row {
			out[i] = append(out[i], Weight{c[0], c[1]})
		}
	}
	return out
}

func (c *vector) inputs() *Inputs {
	in := &Inputs{
		Block: c.Block, Tempo: c.Tempo, ActivityCutoffFactorMilli: c.Factor, LastMechansimStepBlock: c.LMS,
		StakeThreshold: c.Threshold, Owner: -1,
		LastUpdate: c.LastUpdate, BlockAtRegistration: c.Reg, ValidatorPermit: c.Permits, MaxAllowedValidators: c.MaxVal,
		Weights: rowsOf(c.Weights), Bonds: rowsOf(c.Bonds),
		Kappa: c.Kappa, BondsPenalty: c.Penalty, BondsMovingAverage: c.BMA, Yuma3On: c.Yuma3, LiquidAlphaOn: c.Liquid,
		AlphaLow: c.ALow, AlphaHigh: c.AHigh, AlphaSigmoidSteepness: c.Steep,
		CommitRevealWeightsEnabled: c.CR, CommitBlocks: c.CommitBlocks, Emission: c.Rao,
	}
	if c.Owner != nil {
		in.Owner = *c.Owner
	}
	for uid := range c.N {
		s := StakeInputs{Alpha: c.Alpha[uid], Root: c.Tao[uid], Children: c.Children[uid]}
		for _, p := range c.Parents[uid] {
			s.Parents = append(s.Parents, ParentStake{Proportion: p[0], Alpha: c.Alpha[p[1]], Root: c.Tao[p[1]]})
		}
		in.Stake = append(in.Stake, Stake(s, c.TaoWeight))
	}
	return in
}

func set(t testing.TB, spec uint32) rules.Set {
	t.Helper()
	r, err := rules.ForEpoch(spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func run(t testing.TB, in *Inputs, spec uint32) (*Outputs, *Trace) {
	t.Helper()
	out, trace, err := Epoch(in, set(t, spec))
	if err != nil {
		t.Fatal(err)
	}
	return out, trace
}

// equal fails unless two lists by uid are the same, and names the first uid where they are not.
func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	if len(got) != len(want) {
		t.Errorf("%s of %d neurons, want %d", what, len(got), len(want))
		return
	}
	for uid := range got {
		if got[uid] != want[uid] {
			t.Errorf("%s of uid %d: %v, want %v", what, uid, got[uid], want[uid])
			return
		}
	}
}

func equalRows(t testing.TB, what string, got, want [][]Weight) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s of %d neurons, want %d", what, len(got), len(want))
		return
	}
	for uid := range got {
		if !slices.Equal(got[uid], want[uid]) {
			t.Errorf("%s of uid %d: %v, want %v", what, uid, got[uid], want[uid])
			return
		}
	}
}

func TestEpochVectors(t *testing.T) {
	whole := []string{"epoch_small.jsonl", "epoch_medium.jsonl", "epoch_large.jsonl"}
	lines(t, whole, "epoch.jsonl", func(t *testing.T, line []byte) {
		var c vector
		parse(t, line, &c)
		out, trace := run(t, c.inputs(), 425)
		equal(t, "stake", trace.Stake, c.Dbg.Stake)
		equal(t, "active stake", trace.ActiveStake, c.Dbg.ActiveStake)
		equal(t, "raw consensus", trace.Consensus, c.Dbg.Consensus)
		equal(t, "raw incentive", trace.Incentive, c.Dbg.Incentive)
		equal(t, "raw dividends", trace.Dividends, c.Dbg.Dividends)
		equal(t, "raw stake", out.RawStake, c.Out.RawStake)
		equal(t, "stake weight", out.StakeWeight, c.Out.StakeWeight)
		equal(t, "active", out.Active, c.Out.Active)
		equal(t, "permit", out.ValidatorPermit, c.Out.Permit)
		equal(t, "consensus", out.Consensus, c.Out.Consensus)
		equal(t, "incentive", out.Incentive, c.Out.Incentive)
		equal(t, "dividends", out.Dividends, c.Out.Dividends)
		equal(t, "validator trust", out.ValidatorTrust, c.Out.VTrust)
		equal(t, "emission", out.Emission, c.Out.Emission)
		equal(t, "server emission", out.ServerEmission, c.Out.Server)
		equal(t, "validator emission", out.ValidatorEmission, c.Out.Validator)
		equalRows(t, "bonds", out.Bonds, rowsOf(c.Out.Bonds))
		if t.Failed() {
			t.Fatalf("%.300s …", line)
		}
	})
}
