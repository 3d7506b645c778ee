package yuma

import (
	"reflect"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/rules"
)

// A vector is one line of the epoch vectors: what an epoch is computed from, and what the runtime's own
// arithmetic makes of it.
type vector struct {
	Spec              *uint32 `json:"spec_version"` // none: 425
	N                 int
	Block             uint64
	Tempo             uint16
	Factor            uint32
	Cutoff            uint16 `json:"activity_cutoff"`
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
		Rank, Trust                             []uint16
		PruningScores                           []uint16 `json:"pruning_scores"`
	}
	Dbg struct {
		Stake       []I32F32
		ActiveStake []I32F32 `json:"active_stake"`
		Consensus   []I32F32
		Incentive   []I32F32
		Dividends   []I32F32
		VTrust      []I32F32 `json:"validator_trust"`
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
		Block: c.Block, Tempo: c.Tempo, ActivityCutoff: c.Cutoff, ActivityCutoffFactorMilli: c.Factor, LastMechansimStepBlock: c.LMS,
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
	lines(t, whole, "epoch.jsonl", testEpoch)
}

// Epochs that no chain had, under rules old and new: rows out of order, with zeros, with one uid twice,
// lists too short, hyperparameters at their ends.
func TestOddEpochVectors(t *testing.T) { lines(t, nil, "epoch_odd.jsonl", testEpoch) }

// Six epochs of a real runtime, of spec 293.
func TestRuntimeEpochs(t *testing.T) { lines(t, nil, "epoch_runtime.jsonl", testEpoch) }

func testEpoch(t *testing.T, line []byte) {
	var c vector
	parse(t, line, &c)
	spec := uint32(425)
	if c.Spec != nil {
		spec = *c.Spec
	}
	out, trace := run(t, c.inputs(), spec)
	equal(t, "active", out.Active, c.Out.Active)
	equal(t, "permit", out.ValidatorPermit, c.Out.Permit)
	equal(t, "consensus", out.Consensus, c.Out.Consensus)
	equal(t, "incentive", out.Incentive, c.Out.Incentive)
	equal(t, "dividends", out.Dividends, c.Out.Dividends)
	equal(t, "emission", out.Emission, c.Out.Emission)
	equalRows(t, "bonds", out.Bonds, rowsOf(c.Out.Bonds))
	// Not in every line.
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"stake", trace.Stake, c.Dbg.Stake},
		{"active stake", trace.ActiveStake, c.Dbg.ActiveStake},
		{"raw consensus", trace.Consensus, c.Dbg.Consensus},
		{"raw incentive", trace.Incentive, c.Dbg.Incentive},
		{"raw dividends", trace.Dividends, c.Dbg.Dividends},
		{"stake weight", out.StakeWeight, c.Out.StakeWeight},
		{"raw stake", out.RawStake, c.Out.RawStake},
		{"server emission", out.ServerEmission, c.Out.Server},
		{"validator emission", out.ValidatorEmission, c.Out.Validator},
		{"raw validator trust", trace.ValidatorTrust, c.Dbg.VTrust},
		{"validator trust", out.ValidatorTrust, c.Out.VTrust},
		{"rank", out.Rank, c.Out.Rank},
		{"trust", out.Trust, c.Out.Trust},
		{"pruning scores", out.PruningScores, c.Out.PruningScores},
	} {
		if !reflect.ValueOf(x.want).IsNil() && !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
	if t.Failed() {
		t.Fatalf("%.300s …", line)
	}
}
