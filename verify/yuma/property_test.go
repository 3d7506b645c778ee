package yuma

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// shares fails if a vector of shares is negative somewhere or comes to more than 1.
func shares(t *testing.T, what string, v []I32F32) {
	t.Helper()
	if s := sum(v); s < 0 || s > OneI32F32 || len(v) > 0 && slices.Min(v) < 0 {
		t.Fatalf("%s come to %d: %d", what, s, v)
	}
}

func cloned(in *Inputs) *Inputs {
	out := *in
	out.Stake, out.LastUpdate, out.BlockAtRegistration = slices.Clone(in.Stake), slices.Clone(in.LastUpdate), slices.Clone(in.BlockAtRegistration)
	out.ValidatorPermit, out.CommitBlocks = slices.Clone(in.ValidatorPermit), slices.Clone(in.CommitBlocks)
	out.Weights, out.Bonds = slices.Clone(in.Weights), slices.Clone(in.Bonds)
	for i := range in.Weights {
		out.Weights[i] = slices.Clone(in.Weights[i])
	}
	for i := range in.Bonds {
		out.Bonds[i] = slices.Clone(in.Bonds[i])
	}
	return &out
}

func TestEpochProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for range 3_000 {
		in := randomEpoch(r, 9)
		in.BondsMovingAverage = min(in.BondsMovingAverage, millionths) // more is no share
		before := cloned(in)
		out, trace := run(t, in, pick[uint32](r, 273, 342, 365, 425))
		if !reflect.DeepEqual(in, before) {
			t.Fatal("the inputs are not what they were")
		}
		for _, name := range []string{"stake", "active_stake", "incentive", "dividends", "normalized_server_emission", "normalized_validator_emission", "normalized_combined_emission"} {
			v, ok := trace.Vector(name)
			if !ok || len(v) != in.n() {
				t.Fatalf("no %s", name)
			}
			shares(t, name, v)
		}
		var total uint64
		for _, e := range out.Emission {
			if total += e; total < e || total > in.Emission {
				t.Fatalf("emission of %d, %v, from %d", total, out.Emission, in.Emission)
			}
		}
		for i := range in.n() {
			shares(t, "weights", values(trace.Weights.Row(i)))
			if trace.ClippedWeights.Rows() != in.n() || len(trace.ClippedWeights.Row(i)) > len(trace.Weights.Row(i)) {
				t.Fatal("clipped weights that were none")
			}
			for _, c := range trace.ClippedWeights.Row(i) {
				if c.Value > trace.Consensus[c.UID] {
					t.Fatalf("weight of %d for %d is %d after clipping, consensus is %d", i, c.UID, c.Value, trace.Consensus[c.UID])
				}
			}
		}
		for _, total := range trace.BondShares.columnSums() {
			shares(t, "bonds", []I32F32{total})
		}
		// The emission changes what is paid, and nothing else.
		in.Emission /= 2
		again, _ := run(t, in, 425)
		whole := cloned(in)
		whole.Emission = 0
		none, _ := run(t, whole, 425)
		again.Emission, again.ServerEmission, again.ValidatorEmission = none.Emission, none.ServerEmission, none.ValidatorEmission
		if !reflect.DeepEqual(again, none) {
			t.Fatal("what is emitted changes what is stored")
		}
	}
}

func values(row []Cell) (v []I32F32) {
	for _, c := range row {
		v = append(v, c.Value)
	}
	return v
}

// TestRowOrder: without liquid alpha, the order of entries in a row changes nothing.
func TestRowOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	for range 1_500 {
		in := cloned(randomEpoch(r, 9)) // rows that are the same there are one
		in.Yuma3On = in.Yuma3On && !in.LiquidAlphaOn
		for _, rows := range [][][]Weight{in.Weights, in.Bonds} {
			for i, row := range rows {
				slices.SortStableFunc(row, func(a, b Weight) int { return int(a.UID) - int(b.UID) })
				rows[i] = slices.CompactFunc(row, func(a, b Weight) bool { return a.UID == b.UID })
			}
		}
		want, _ := run(t, in, 425)
		for _, rows := range [][][]Weight{in.Weights, in.Bonds} {
			for _, row := range rows {
				r.Shuffle(len(row), func(i, j int) { row[i], row[j] = row[j], row[i] })
			}
		}
		if got, _ := run(t, in, 425); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, in order %+v", got, want)
		}
	}
}

// TestRelabelled: uids are names, but for ties of permits and the rows of liquid alpha.
func TestRelabelled(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	for range 1_500 {
		in := randomEpoch(r, 9)
		n := in.n()
		in.MaxAllowedValidators, in.LiquidAlphaOn = uint16(n), false
		if in.Owner >= n {
			in.Owner = -1
		}
		pad := func(v *[]uint64, with uint64) {
			for len(*v) < n {
				*v = append(*v, with)
			}
		}
		pad(&in.LastUpdate, 0)
		pad(&in.BlockAtRegistration, 0)
		pad(&in.CommitBlocks, NoCommit)
		for len(in.ValidatorPermit) < n {
			in.ValidatorPermit = append(in.ValidatorPermit, false)
		}
		name := r.Perm(n)
		other := cloned(in)
		for i := range n {
			to := name[i]
			other.Stake[to], other.LastUpdate[to], other.BlockAtRegistration[to] = in.Stake[i], in.LastUpdate[i], in.BlockAtRegistration[i]
			other.CommitBlocks[to], other.ValidatorPermit[to] = in.CommitBlocks[i], in.ValidatorPermit[i]
			renamed := func(row []Weight) []Weight {
				out := slices.Clone(row)
				for k, w := range out {
					if int(w.UID) < n {
						out[k].UID = uint16(name[w.UID])
					}
				}
				return out
			}
			other.Weights[to], other.Bonds[to] = renamed(in.Weights[i]), renamed(in.Bonds[i])
			if in.Owner == i {
				other.Owner = to
			}
		}
		a, _ := run(t, in, 425)
		b, _ := run(t, other, 425)
		for i := range n {
			to := name[i]
			if a.Consensus[i] != b.Consensus[to] || a.Incentive[i] != b.Incentive[to] || a.Dividends[i] != b.Dividends[to] || a.Emission[i] != b.Emission[to] ||
				a.ValidatorTrust[i] != b.ValidatorTrust[to] || a.ValidatorPermit[i] != b.ValidatorPermit[to] || len(a.Bonds[i]) != len(b.Bonds[to]) {
				t.Fatalf("uid %d, as %d: %+v and %+v", i, to, a, b)
			}
			for _, w := range a.Bonds[i] {
				if got := bond(b.Bonds[to], uint16(name[w.UID])); got != w.Value {
					t.Fatalf("bond of %d in %d: %d and %d", i, w.UID, w.Value, got)
				}
			}
		}
	}
}

func TestConsensusEnds(t *testing.T) {
	in := &Inputs{
		Block: 100, ActivityCutoff: 100, Owner: -1, Stake: []I64F64{I64F64From(3), I64F64From(4), I64F64From(5), {}}, MaxAllowedValidators: 4,
		LastUpdate: []uint64{50, 50, 50, 50}, ValidatorPermit: []bool{true, true, true, true},
		Weights: [][]Weight{{{1, 1}, {3, 3}}, {{0, 1}, {3, 1}}, {{3, 7}}, nil},
	}
	one := OneI32F32
	for _, c := range []struct {
		kappa uint16
		want  I32F32
	}{{0, one}, {16_000, one}, {28_000, one / 4 * 3}, {43_600, one / 4 * 3}, {43_800, one / 2}, {65_535, one / 2}} {
		in.Kappa = c.kappa
		if _, trace := run(t, in, 273); trace.Consensus[3] != c.want {
			t.Errorf("kappa %d: consensus %d, want %d", c.kappa, trace.Consensus[3], c.want)
		}
	}
	// A tie: validators with just kappa of the stake do not carry a weight alone.
	in.Stake = []I64F64{I64F64From(1), I64F64From(1), {}, {}}
	in.Weights = [][]Weight{{{3, 1}}, {{2, 1}, {3, 3}}, nil, nil}
	for _, c := range []struct {
		kappa uint16
		want  [2]I32F32
	}{{32_767, [2]I32F32{one / 4, one}}, {32_768, [2]I32F32{0, one / 4 * 3}}} {
		in.Kappa = c.kappa
		if _, trace := run(t, in, 273); trace.Consensus[2] != c.want[0] || trace.Consensus[3] != c.want[1] {
			t.Errorf("kappa %d: consensus %d and %d, want %d", c.kappa, trace.Consensus[2], trace.Consensus[3], c.want)
		}
	}
}

func TestCommitBlocks(t *testing.T) {
	commits := []Commit{
		{0, 10, 1000}, {0, 9, 900}, {0, 8, 800}, // the last is expired
		{1, 8, 700},
		{2, math.MaxUint64, 5}, {2, 10, 6},
		{-1, 10, 1}, {4, 10, 1},
	}
	want := []uint64{900, NoCommit, 5, NoCommit}
	if got := CommitBlocks(4, commits, 10, 1); !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}

func TestEpochBounds(t *testing.T) {
	row := func(n int) []Weight { return make([]Weight, n) }
	rows := func(n int, row []Weight) (out [][]Weight) {
		for range n {
			out = append(out, row)
		}
		return out
	}
	stake := func(n int) []I64F64 { return make([]I64F64, n) }
	for _, c := range []struct {
		name string
		in   Inputs
		ok   bool
	}{
		{"nobody", Inputs{Owner: -1}, true},
		{"as many as can be", Inputs{Stake: stake(MaxNeurons)}, true},
		{"one more", Inputs{Stake: stake(MaxNeurons + 1)}, false},
		{"owner below none", Inputs{Owner: -2}, false},
		{"owner above a uid", Inputs{Owner: 65_536}, false},
		{"owner that there is not", Inputs{Owner: 65_535, Stake: stake(2)}, true},
		{"weights of nobody", Inputs{Stake: stake(2), Weights: rows(3, nil)}, false},
		{"bonds of nobody", Inputs{Stake: stake(2), Bonds: rows(3, nil)}, false},
		{"long row", Inputs{Stake: stake(2), Weights: rows(1, row(256))}, true},
		{"row too long", Inputs{Stake: stake(2), Weights: rows(1, row(257))}, false},
		{"row of bonds too long", Inputs{Stake: stake(2), Bonds: rows(2, row(257))}, false},
		{"row of four times as many", Inputs{Stake: stake(100), Bonds: rows(2, row(400))}, true},
		{"row of more", Inputs{Stake: stake(100), Bonds: rows(2, row(401))}, false},
		{"all entries", Inputs{Stake: stake(MaxNeurons), Weights: rows(MaxNeurons, row(MaxEntries/MaxNeurons))}, true},
		{"more entries", Inputs{Stake: stake(MaxNeurons), Weights: append(rows(MaxNeurons-1, row(MaxEntries/MaxNeurons)), row(MaxEntries/MaxNeurons+1))}, false},
	} {
		out, trace, err := Epoch(&c.in, set(t, 425))
		if (err == nil) != c.ok || err != nil && (!errors.Is(err, ErrInputs) || out != nil || trace != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTraceNames(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 48))
	met := map[string]int{}
	for range 300 {
		in := randomEpoch(r, 5)
		_, trace := run(t, in, 425)
		vectors, matrices := trace.Names()
		for _, name := range vectors {
			v, ok := trace.Vector(name)
			if want := name != "total_bonds_per_validator" || in.Yuma3On; ok != want || ok && len(v) != in.n() {
				t.Fatalf("%s: %d, %t", name, v, ok)
			}
			met[name]++
		}
		for _, name := range matrices {
			m, ok := trace.Matrix(name)
			want := true
			switch name {
			case "bonds_delta":
				want = !in.Yuma3On
			case "alphas":
				want = in.Yuma3On && in.LiquidAlphaOn && slices.Max(append(trace.Consensus, 0)) > 0
			}
			if ok != want || ok && m.Rows() != in.n() {
				t.Fatalf("%s: %t", name, ok)
			}
			if ok && (m.Row(-1) != nil || m.Row(in.n()) != nil) {
				t.Fatalf("%s has a row of nobody", name)
			}
			met[name]++
		}
		if _, ok := trace.Vector("weights"); ok {
			t.Fatal("a matrix is a vector")
		}
		if _, ok := trace.Matrix(""); ok {
			t.Fatal("a matrix without a name")
		}
	}
	if len(met) != 21 {
		t.Errorf("%d names: %v", len(met), met)
	}
}

// FuzzInputs: whatever the inputs are, there is a result for each neuron, or ErrInputs.
func FuzzInputs(f *testing.F) {
	f.Add([]byte{}, uint16(425))
	f.Add([]byte("\x05\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"), uint16(300))
	r := rand.New(rand.NewPCG(49, 50))
	for range 6 {
		b := make([]byte, 2_000)
		for i := range b {
			b[i] = byte(r.Uint32())
			if i%3 > 0 {
				b[i] %= 9
			}
		}
		f.Add(b, uint16(r.Uint32()))
	}
	f.Fuzz(func(t *testing.T, b []byte, spec uint16) {
		next := func() (v uint64) {
			if len(b) > 0 {
				size := 1 + int(b[0]%8)
				var w [8]byte
				copy(w[:size], b[1:])
				v, b = binary.LittleEndian.Uint64(w[:]), b[min(len(b), 1+size):]
			}
			return v
		}
		bit := func() bool { return next()%2 == 1 }
		in := &Inputs{
			Block: next(), Tempo: uint16(next()), ActivityCutoff: uint16(next()), ActivityCutoffFactorMilli: uint32(next()), LastMechansimStepBlock: next(),
			StakeThreshold: next(), Owner: int(int32(next())), MaxAllowedValidators: uint16(next()), Kappa: uint16(next()), BondsPenalty: uint16(next()),
			BondsMovingAverage: next(), Yuma3On: bit(), LiquidAlphaOn: bit(), AlphaLow: uint16(next()), AlphaHigh: uint16(next()),
			AlphaSigmoidSteepness: int32(next()), CommitRevealWeightsEnabled: bit(), Emission: next(),
		}
		n := int(next() % 12)
		if next()%8 == 7 {
			n = int(next() % 300)
		}
		for range n {
			in.Stake = append(in.Stake, I64F64FromRaw(int64(next()), next()))
			if len(b) > 0 && b[0]%7 > 0 {
				in.LastUpdate, in.BlockAtRegistration = append(in.LastUpdate, next()), append(in.BlockAtRegistration, next())
				in.ValidatorPermit, in.CommitBlocks = append(in.ValidatorPermit, bit()), append(in.CommitBlocks, next())
			}
		}
		for _, rows := range []*[][]Weight{&in.Weights, &in.Bonds} {
			for len(b) > 0 && len(*rows) <= n {
				var row []Weight
				for range next() % 300 {
					row = append(row, Weight{uint16(next()), uint16(next())})
				}
				*rows = append(*rows, row)
			}
		}
		out, trace, err := Epoch(in, set(t, 273+uint32(spec)%153))
		if err != nil {
			if !errors.Is(err, ErrInputs) {
				t.Fatal(err)
			}
			return
		}
		if len(out.Emission) != n || len(out.Bonds) != n || len(out.Active) != n || len(out.PruningScores) != n || len(trace.Dividends) != n || trace.Bonds.Rows() != n {
			t.Fatalf("results of %d neurons, there are %d", len(out.Emission), n)
		}
	})
}
