package yuma

import (
	"math/rand/v2"
	"testing"
)

func TestExpVectors(t *testing.T) {
	lines(t, []string{"fixed_i32f32.jsonl"}, "fixed_i32f32.jsonl", func(t *testing.T, line []byte) {
		var c struct {
			X       I32F32
			Exp     *I32F32
			ExpSafe I32F32 `json:"exp_safe"`
		}
		parse(t, line, &c)
		if got := null(exp(c.X)); !same(got, c.Exp) {
			t.Errorf("%s: exp is %v", line, got)
		}
		if got := expSafe(c.X); got != c.ExpSafe {
			t.Errorf("%s: exp_safe is %d", line, got)
		}
	})
}

func TestExp(t *testing.T) {
	const one = OneI32F32
	for _, c := range []struct{ x, want I32F32 }{
		{-20 * one, 8}, {-10 * one, 194_991}, {-5 * one, 28_939_262}, {-one, 1_580_030_169}, {-one / 2, 2_605_029_348},
		{0, 4_294_967_296}, {one / 4, 5_514_847_169}, {one / 2, 7_081_203_935}, {one, 11_674_931_200}, {2 * one, 31_735_754_285},
		{5 * one, 637_429_664_624}, {10 * one, 94_602_947_905_357}, {20 * one, 2_066_907_302_758_576_256},
	} {
		if got, ok := exp(c.x); !ok || got != c.want {
			t.Errorf("exp(%d) = %d, %t, want %d", c.x, got, ok, c.want)
		}
		if got := expSafe(c.x); got != c.want {
			t.Errorf("expSafe(%d) = %d, want %d", c.x, got, c.want)
		}
	}
	for _, x := range []I32F32{20*one + 1, 30 * one, MaxI32F32} {
		if expSafe(x) != expSafe(20*one) || expSafe(-x) != expSafe(-20*one) {
			t.Errorf("expSafe(%d) = %d, %d below 0", x, expSafe(x), expSafe(-x))
		}
	}
	if got := expSafe(MinI32F32); got != 8 {
		t.Errorf("expSafe of the least number = %d", got)
	}
	// Beyond its bounds, the series does not fit at some point, and not again after it.
	for _, x := range []I32F32{23 * one, -23 * one, 1000 * one, MaxI32F32 - one, MaxI32F32 - one + 1, MaxI32F32, MinI32F32, MinI32F32 + 1} {
		if got, ok := exp(x); ok {
			t.Errorf("exp(%d) = %d", x, got)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 2_000 {
		x := I32F32(r.Int64N(int64(40*one))) - 20*one
		a, ok := exp(x)
		b, okb := exp(x + I32F32(r.IntN(1<<20)))
		// e to the power of 1 is cut, below its neighbours.
		if !ok || !okb || a > b && x < one-1<<21 {
			t.Fatalf("exp(%d) = %d, %t, and less for more", x, a, ok)
		}
	}
}

// The shares of liquid alpha that the sigmoid gives over its whole range.
func TestAlphaVectors(t *testing.T) {
	const one = OneI32F32
	for _, c := range []struct {
		low, high  uint16
		difference I32F32
		want       I32F32
	}{
		{0, 65535, 0, 28_745_575}, {0, 65535, one / 4, 325_808_402}, {0, 65535, one / 2, 2_147_483_648}, {0, 65535, one / 4 * 3, 3_969_158_894}, {0, 65535, one, 4_266_221_720},
		{45_875, 58_982, 0, 3_012_258_989}, {45_875, 58_982, one / 2, 3_436_006_604}, {45_875, 58_982, one, 3_859_754_218},
	} {
		in := &Inputs{AlphaLow: c.low, AlphaHigh: c.high, AlphaSigmoidSteepness: 1000}
		l := newLiquid(in, true, true)
		// The same difference by what a weight is above the consensus, and a bond above the weight.
		buy, sell := l.alpha(0, c.difference, 0), l.alpha(one, 0, c.difference)
		if c.difference == 0 {
			sell = buy
		}
		if buy != c.want || sell != c.want {
			t.Errorf("alpha of %d from %d to %d = %d and %d, want %d", c.difference, c.low, c.high, buy, sell, c.want)
		}
		// As it was written before there were hundredths.
		in.AlphaSigmoidSteepness = 10
		if got := newLiquid(in, false, true).alpha(0, c.difference, 0); got != c.want {
			t.Errorf("alpha of %d by the older steepness = %d, want %d", c.difference, got, c.want)
		}
	}
	// A weight that is the bond counts by what it is above the consensus; no difference is above 1.
	l := newLiquid(&Inputs{AlphaHigh: 65535, AlphaSigmoidSteepness: 1000}, true, true)
	if got, want := l.alpha(one/4, one/2, one/2), l.alpha(0, one/4, 0); got != want {
		t.Errorf("alpha of a weight that is the bond = %d, want %d", got, want)
	}
	if a, b := l.alpha(0, 3*one, 0), l.alpha(one, 0, 3*one); a != l.alpha(0, one, 0) || b != a {
		t.Errorf("alpha of a difference above 1 = %d and %d", a, b)
	}
	// Nor is a bond.
	row := func(uid uint16, v I32F32) *Matrix {
		m := newMatrix(1, 1)
		m.addRow(Cell{uid, v})
		return m
	}
	if bonds, _ := l.average(row(0, one), row(0, 5*one), []I32F32{one}); bonds.Row(0)[0] != (Cell{0, one}) {
		t.Errorf("bonds %v", bonds.Row(0))
	}
	for _, c := range []struct {
		average uint64
		want    I32F32
	}{{900_000, 429_496_730}, {975_000, 107_374_183}, {0, one}, {1_000_000, 0}, {2_000_000, -one}} {
		if a, b := movingAlpha(c.average, false), movingAlpha(c.average, true); a != c.want || b != c.want {
			t.Errorf("alpha of the moving average %d = %d, %d, want %d", c.average, a, b, c.want)
		}
	}
}
