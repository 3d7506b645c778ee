package yuma

import (
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestSplitEmission(t *testing.T) {
	for _, c := range []struct {
		name  string
		rao   uint64
		count uint8
		split []uint16
		want  []uint64
	}{
		// pallets/subtensor/src/tests/mechanism.rs, split_emissions_*
		{"even", 25, 5, nil, []uint64{5, 5, 5, 5, 5}},
		{"the rest to the first", 10, 4, nil, []uint64{4, 2, 2, 2}},
		{"by split", 19, 5, []uint16{3450, 6899, 10348, 17247, 27594}, []uint64{1, 2, 3, 5, 8}},

		{"one", 7, 1, nil, []uint64{7}},
		{"none", 7, 0, nil, []uint64{}},
		{"split too short", 65535, 3, []uint16{1, 2}, []uint64{65533, 2, 0}},
		{"split too long", 65535, 1, []uint16{1, 65534}, []uint64{65535}},
		{"split of nothing", 9, 2, []uint16{}, []uint64{9, 0}},
		{"above the whole", 65535, 2, []uint16{65535, 65535}, []uint64{65535, 65535}},
		{"all there is", math.MaxUint64, 2, []uint16{32767, 32768}, []uint64{9223231297218904063, 9223512776490647552}},
	} {
		if got := SplitEmission(c.rao, c.count, c.split); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// One mechanism makes no difference, whatever it has of the emission.
func TestAggregateOne(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 200 {
		in := randomEpoch(r, 6)
		out, _ := run(t, in, 425)
		all := Aggregate(in.Emission, []*Outputs{out}, []uint64{in.Emission})
		want := *out
		want.Incentive, want.Bonds = nil, nil
		if all.Incentive != nil || all.Bonds != nil {
			t.Error("incentive or bonds")
		}
		if in.n() > 0 && !reflect.DeepEqual(*all, want) {
			t.Fatalf("%+v, want %+v", *all, want)
		}
	}
}

func TestAggregate(t *testing.T) {
	a := &Outputs{
		StakeWeight: []uint16{100, 65535}, Consensus: []uint16{10, 11}, Dividends: []uint16{3, 0}, ValidatorTrust: []uint16{7, 9},
		Rank: []uint16{1, 2}, Trust: []uint16{65535, 5}, PruningScores: []uint16{8, 8}, Incentive: []uint16{5, 6},
		Active: []bool{true, false}, ValidatorPermit: []bool{false, false},
		Emission: []uint64{1000, 1}, ServerEmission: []uint64{600, 0}, ValidatorEmission: []uint64{400, 1}, RawStake: []uint64{50, math.MaxUint64},
	}
	b := &Outputs{
		StakeWeight: []uint16{100, 65535}, Consensus: []uint16{20, 0}, Dividends: []uint16{3, 3}, ValidatorTrust: []uint16{0, 9},
		Rank: []uint16{1, 2}, Trust: []uint16{65535, 5}, PruningScores: []uint16{8, 8}, Incentive: []uint16{7, 8},
		Active: []bool{false, false}, ValidatorPermit: []bool{false, true},
		Emission: []uint64{500, 7}, ServerEmission: []uint64{500, 0}, ValidatorEmission: []uint64{0, 7}, RawStake: []uint64{50, 2},
	}
	// Of 4 to 1: 100·0.8 and 100·0.2 are each rounded down to below, 0.8 being a little less in binary.
	got := Aggregate(5, []*Outputs{a, b}, []uint64{4, 1})
	want := &Outputs{
		StakeWeight: []uint16{98, 65533}, Consensus: []uint16{10, 8}, Dividends: []uint16{2, 0}, ValidatorTrust: []uint16{5, 8},
		Rank: []uint16{0, 1}, Trust: []uint16{65533, 3}, PruningScores: []uint16{7, 7},
		Active: []bool{true, false}, ValidatorPermit: []bool{false, true},
		Emission: []uint64{898, 1}, ServerEmission: []uint64{1100, 0}, ValidatorEmission: []uint64{400, 8}, RawStake: []uint64{100, math.MaxUint64},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("of 4 and 1:\n%+v, want\n%+v", got, want)
	}
	// Without emission the first counts.
	got = Aggregate(0, []*Outputs{a, b}, []uint64{0, 0})
	if !slices.Equal(got.StakeWeight, a.StakeWeight) || !slices.Equal(got.Consensus, a.Consensus) || !slices.Equal(got.Emission, a.Emission) {
		t.Errorf("without emission: %+v", got)
	}
	// Halves are exact.
	got = Aggregate(2, []*Outputs{a, b}, []uint64{1, 1})
	if !slices.Equal(got.Consensus, []uint16{15, 5}) || !slices.Equal(got.Emission, []uint64{750, 3}) {
		t.Errorf("of halves: %+v", got)
	}
	if got := Aggregate(5, nil, nil); got.Emission != nil {
		t.Errorf("of no mechanisms: %+v", got)
	}
}

func TestAggregateAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for range 3_000 {
		rao := pick(r, 0, 1, 3, 1000, r.Uint64()>>r.IntN(64))
		shares := []uint64{r.Uint64() >> r.IntN(64), r.Uint64() >> r.IntN(64), pick(r, 0, rao)}
		var outs []*Outputs
		var acc16 uint16
		acc := new(big.Int)
		for k, share := range shares {
			v := r.Uint64() >> r.IntN(64)
			o := &Outputs{Emission: []uint64{v}, Consensus: []uint16{uint16(v)}}
			outs = append(outs, o)
			w := new(big.Int) // times 2^64
			if rao != 0 {
				w.Quo(new(big.Int).Lsh(new(big.Int).SetUint64(share), 64), new(big.Int).SetUint64(rao))
			} else if k == 0 {
				w.Lsh(big.NewInt(1), 64)
			}
			most := new(big.Int).SetUint64(math.MaxUint64)
			add := func(acc *big.Int, v uint64, bound *big.Int) *big.Int {
				p := new(big.Int).Mul(new(big.Int).SetUint64(v), w)
				p.Rsh(p, 64).Add(p, acc)
				if p.Cmp(bound) > 0 {
					p.Set(bound)
				}
				return p
			}
			acc = add(acc, v, most)
			acc16 = uint16(add(big.NewInt(int64(acc16)), uint64(uint16(v)), big.NewInt(65535)).Uint64())
		}
		got := Aggregate(rao, outs, shares)
		if got.Emission[0] != acc.Uint64() || got.Consensus[0] != acc16 {
			t.Fatalf("rao %d, shares %d: %d and %d, want %d and %d", rao, shares, got.Emission[0], got.Consensus[0], acc, acc16)
		}
	}
}
