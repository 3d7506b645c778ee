package yuma

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// A subnet is one line of the epoch vectors, as far as stake goes.
type subnet struct {
	N          int
	Alpha, Tao []uint64
	Parents    [][][2]uint64
	Children   [][]uint64
	TaoWeight  uint64 `json:"tao_weight"`
	Threshold  uint64
	Owner      *int
	MaxVal     uint16
	Out        struct {
		StakeWeight []uint16 `json:"stake_weight"`
		Permit      []bool
		RawStake    []uint64 `json:"raw_stake"`
	}
	Dbg struct{ Stake []I32F32 }
}

func (c *subnet) inputs(uid int) StakeInputs {
	in := StakeInputs{Alpha: c.Alpha[uid], Root: c.Tao[uid], Children: c.Children[uid]}
	for _, p := range c.Parents[uid] {
		in.Parents = append(in.Parents, ParentStake{Proportion: p[0], Alpha: c.Alpha[p[1]], Root: c.Tao[p[1]]})
	}
	return in
}

func TestStakeVectors(t *testing.T) {
	whole := []string{"epoch_small.jsonl", "epoch_medium.jsonl", "epoch_large.jsonl"}
	lines(t, whole, "epoch_stake.jsonl", func(t *testing.T, line []byte) {
		var c subnet
		parse(t, line, &c)
		owner := -1
		if c.Owner != nil {
			owner = *c.Owner
		}
		total, raw := make([]I64F64, c.N), make([]uint64, c.N)
		for uid := range c.N {
			total[uid] = Stake(c.inputs(uid), c.TaoWeight)
			raw[uid] = total[uid].U64()
		}
		stake := StakeWeights(total, c.Threshold, owner)
		quantized := make([]uint16, c.N)
		for uid, s := range stake {
			quantized[uid] = s.Quantize()
		}
		permits := Permits(stake, c.MaxVal, owner)
		if !slices.Equal(raw, c.Out.RawStake) || !slices.Equal(stake, c.Dbg.Stake) ||
			!slices.Equal(quantized, c.Out.StakeWeight) || !slices.Equal(permits, c.Out.Permit) {
			t.Errorf("%.200s …:\nraw stake %d\n     want %d\nstake %d\n want %d\npermits %t\n   want %t", line, raw, c.Out.RawStake, stake, c.Dbg.Stake, permits, c.Out.Permit)
		}
	})
}

// bigStake is Stake in numbers without bounds, valid as long as nothing saturates but the one
// subtraction.
func bigStake(in StakeInputs, taoWeight uint64) *big.Int {
	most := new(big.Int).SetUint64(math.MaxUint64)
	number := func(v uint64) *big.Int { return new(big.Int).SetUint64(v) }
	share := func(stake, p uint64) *big.Int { // in 2^-32
		prop := number(p)
		prop.Lsh(prop, 32).Quo(prop, most)
		v := number(stake)
		return v.Mul(v, prop)
	}
	of := func(own uint64, parent func(ParentStake) uint64) *big.Int {
		v := number(own)
		v.Lsh(v, 32)
		for _, p := range in.Children {
			v.Sub(v, share(own, p))
		}
		if v.Sign() < 0 {
			v.SetInt64(0)
		}
		for _, p := range in.Parents {
			v.Add(v, share(parent(p), p.Proportion))
		}
		return v.Rsh(v, 32)
	}
	tw := number(taoWeight)
	tw.Lsh(tw, 32).Quo(tw, most).Lsh(tw, 32)
	total := of(in.Alpha, func(p ParentStake) uint64 { return p.Alpha })
	root := of(in.Root, func(p ParentStake) uint64 { return p.Root })
	return total.Lsh(total, 64).Add(total, root.Mul(root, tw))
}

func randomInputs(r *rand.Rand) StakeInputs {
	amount := func() uint64 { return r.Uint64() >> (10 + r.IntN(54)) } // up to 2^54, above all TAO there is
	in := StakeInputs{Alpha: amount(), Root: amount()}
	for range r.IntN(4) {
		in.Children = append(in.Children, r.Uint64()>>r.IntN(64))
	}
	for range r.IntN(4) {
		in.Parents = append(in.Parents, ParentStake{r.Uint64() >> r.IntN(64), amount(), amount()})
	}
	return in
}

func TestStakeAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	over := 0
	for range 20_000 {
		in, weight := randomInputs(r), r.Uint64()>>r.IntN(64)
		got := Stake(in, weight)
		if want := bigStake(in, weight); signedBig(got.bits).Cmp(want) != 0 {
			t.Fatalf("Stake(%+v, %d) = %x, want %x", in, weight, got, want)
		}
		var sum big.Int
		for _, p := range in.Children {
			sum.Add(&sum, new(big.Int).SetUint64(p))
		}
		if len(in.Children) > 0 && !sum.IsUint64() {
			over++
		}
	}
	if over == 0 {
		t.Error("no case in which the children have more than the whole")
	}
}

func TestStakeSaturates(t *testing.T) {
	const all = math.MaxUint64
	for _, c := range []struct {
		name string
		in   StakeInputs
		tw   uint64
		want uint64
	}{
		{"children take the whole twice, parents still add", StakeInputs{Alpha: 100, Children: []uint64{all, all}, Parents: []ParentStake{{all, 40, 7}}}, 0, 40},
		{"a proportion of half a parent", StakeInputs{Parents: []ParentStake{{1 << 63, 41, 0}}}, 0, 20},
		{"alpha above the type", StakeInputs{Alpha: all}, 0, math.MaxInt64},
		{"parents above u64", StakeInputs{Alpha: all, Parents: []ParentStake{{all, all, 0}}}, 0, math.MaxInt64},
		{"root at the full weight", StakeInputs{Alpha: 5, Root: 7}, all, 12},
		{"root at no weight", StakeInputs{Alpha: 5, Root: 7}, 0, 5},
	} {
		if got := Stake(c.in, c.tw).U64(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	// The default TaoWeight as yuma has it.
	if hi, lo := proportion(971_718_665_099_567_868).I64F64().Raw(); hi != 0 || lo != 226_245_882<<32 {
		t.Errorf("default tao weight is %d, %d", hi, lo)
	}
}

func TestStakeWeights(t *testing.T) {
	tao := func(v ...uint64) (out []I64F64) {
		for _, v := range v {
			out = append(out, I64F64From(v))
		}
		return out
	}
	for _, c := range []struct {
		name      string
		total     []I64F64
		threshold uint64
		owner     int
		want      []I32F32
	}{
		{"nobody", nil, 0, -1, []I32F32{}},
		{"no stake", tao(0, 0), 0, -1, []I32F32{0, 0}},
		{"all below", tao(9, 9), 10, -1, []I32F32{0, 0}},
		{"at the threshold", tao(10, 30), 10, -1, []I32F32{OneI32F32 / 4, OneI32F32 / 4 * 3}},
		{"below by less than one", []I64F64{I64F64FromRaw(9, math.MaxUint64), I64F64From(10)}, 10, -1, []I32F32{0, OneI32F32}},
		{"owner below", tao(9, 27), 10, 0, []I32F32{OneI32F32 / 4, OneI32F32 / 4 * 3}},
		{"owner is another", tao(9, 27), 10, 1, []I32F32{0, OneI32F32}},
		{"owner out of range", tao(9, 27), 10, 7, []I32F32{0, OneI32F32}},
		{"thirds round down twice", tao(1, 2), 0, -1, []I32F32{1431655765, 2863311530}},
	} {
		if got := StakeWeights(c.total, c.threshold, c.owner); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPermits(t *testing.T) {
	const y, n = true, false
	for _, c := range []struct {
		name  string
		stake []I32F32
		max   uint16
		owner int
		want  []bool
	}{
		{"nobody", nil, 3, 0, nil},
		{"room for all with stake", []I32F32{1, 0, 2}, 3, -1, []bool{y, n, y}},
		{"the greatest two", []I32F32{3, 1, 2}, 2, -1, []bool{y, n, y}},
		{"a tie: the lower uid goes", []I32F32{5, 5, 5}, 2, -1, []bool{n, y, y}},
		{"a tie in part", []I32F32{2, 9, 2, 2}, 2, -1, []bool{n, y, n, y}},
		{"places left to those without stake", []I32F32{0, 0, 1}, 2, -1, []bool{n, n, y}},
		{"no places", []I32F32{1, 2}, 0, -1, []bool{n, n}},
		{"no places but the owner's", []I32F32{1, 2}, 0, 0, []bool{y, n}},
		{"owner without stake", []I32F32{0, 2}, 5, 0, []bool{y, y}},
		{"owner beside the greatest", []I32F32{1, 2, 3}, 1, 0, []bool{y, n, y}},
		{"owner out of range", []I32F32{1, 2, 3}, 1, 3, []bool{n, n, y}},
	} {
		if got := Permits(c.stake, c.max, c.owner); !slices.Equal(got, c.want) {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestPermitsByRank: whoever has a permit has stake, and fewer than max neurons are before it in the
// order of stake, then uid.
func TestPermitsByRank(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3_000 {
		stake := make([]I32F32, r.IntN(20))
		for i := range stake {
			stake[i] = I32F32(r.IntN(6))
		}
		most, owner := uint16(r.IntN(24)), r.IntN(24)-1
		order := make([]int, len(stake))
		for i := range order {
			order[i] = i
		}
		sort.Slice(order, func(i, j int) bool {
			a, b := order[i], order[j]
			return stake[a] > stake[b] || stake[a] == stake[b] && a > b
		})
		want := make([]bool, len(stake))
		for rank, uid := range order {
			want[uid] = uid == owner || stake[uid] != 0 && rank < int(most)
		}
		if got := Permits(stake, most, owner); !slices.Equal(got, want) {
			t.Fatalf("Permits(%d, %d, %d) = %t, want %t", stake, most, owner, got, want)
		}
	}
}
