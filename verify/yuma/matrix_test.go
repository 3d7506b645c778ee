package yuma

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func (m *Matrix) addRow(row ...Cell) {
	uids, values := m.room(len(row))
	for k, c := range row {
		uids[k], values[k] = c.UID, c.Value
	}
	m.endRow(len(row))
}

// pivoted is the chain's own search for the median of one column, all rows with their score in it.
func pivoted(stake, scores []I32F32, minority I32F32) I32F32 {
	left := make([]int, len(stake))
	for i := range left {
		left[i] = i
	}
	lo, hi := I32F32(0), sum(stake)
	for len(left) > 1 {
		pivot := scores[left[len(left)/2]]
		var lower, upper []int
		var below, above I32F32
		for _, i := range left {
			if scores[i] < pivot {
				lower, below = append(lower, i), below+stake[i]
			} else if scores[i] > pivot {
				upper, above = append(upper, i), above+stake[i]
			}
		}
		switch {
		case minority < lo+below && len(lower) > 0:
			left, hi = lower, lo+below
		case hi-above <= minority && len(upper) > 0:
			left, lo = upper, hi-above
		default:
			return pivot
		}
	}
	if len(left) == 0 {
		return 0
	}
	return scores[left[0]]
}

// TestMedians: the search by buckets ends where the chain's does. Figures are small, or in heaps, so that
// ties are everywhere.
func TestMedians(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for k := range 20_000 {
		n := 1 + r.IntN(8)
		if k%10 == 0 {
			n = 1 + r.IntN(200)
		}
		heap, column := r.IntN(34), uint16(r.IntN(n))
		stake := make([]I32F32, n)
		for i := range stake {
			stake[i] = I32F32(r.IntN(5)-1) << pick(r, 0, 4, 30)
		}
		scores := make([]I32F32, n)
		m := newMatrix(n, 2*n)
		for i := range scores {
			scores[i] = I32F32(r.IntN(4))
			if n > 8 {
				scores[i] = min(scores[i]<<30+I32F32(r.Int64N(1<<heap)), OneI32F32)
			}
			if r.IntN(5) == 0 {
				m.addRow(Cell{column, 7}, Cell{column, scores[i]}) // the latter counts
			} else if scores[i] > 0 || r.IntN(2) == 0 {
				m.addRow(Cell{column, scores[i]})
			} else {
				m.addRow()
			}
		}
		var use, with []I32F32
		for i, s := range stake {
			if s > 0 {
				use, with = append(use, s), append(with, scores[i])
			}
		}
		normalize(use)
		// Kappa at the sum of some of the stakes, or next to it, or anywhere.
		kappa := pick(r, 0, OneI32F32, OneI32F32/2, I32F32(r.Int64N(int64(OneI32F32))))
		if len(use) > 0 && r.IntN(2) == 0 {
			kappa = sum(use[:r.IntN(len(use)+1)]) + I32F32(r.IntN(3)-1)
		}
		want := pivoted(use, with, sum(use)-kappa)
		if got := medians(stake, m, kappa)[column]; got != want {
			t.Fatalf("stake %d, scores %d, kappa %d: %d, want %d", stake, scores, kappa, got, want)
		}
	}
}

// TestDivisor: dividing by one number many times gives what SafeDiv does.
func TestDivisor(t *testing.T) {
	r := rand.New(rand.NewPCG(65, 66))
	number := func() I32F32 {
		return I32F32(r.Uint64()>>(1+r.IntN(63))) + pick[I32F32](r, 0, 0, 0, 1)
	}
	for range 200_000 {
		d := pick(r, number(), number(), MaxI32F32, 1, 0, -number())
		v := []I32F32{0, 1, -1, d, d - 1, d/2 + 1, number(), -number(), MinI32F32}
		for range 4 {
			if d > 0 {
				v = append(v, I32F32(r.Int64N(int64(d))))
			}
		}
		by := newDivisor(d)
		for _, x := range v {
			if got, ok := by.share(x); ok != (x > 0 && x <= d) || ok && got != x.SafeDiv(d) {
				t.Fatalf("%d / %d = %d, %t, want %d", x, d, got, ok, x.SafeDiv(d))
			}
		}
		want := slices.Clone(v)
		for i, x := range v {
			if d != 0 {
				want[i] = x.SafeDiv(d)
			}
		}
		if divideAll(v, d); !slices.Equal(v, want) {
			t.Fatalf("all by %d: %d, want %d", d, v, want)
		}
	}
}

// TestScan: what is found is what a cursor finds that never goes back.
func TestScan(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	for range 5_000 {
		n := 1 + r.IntN(6)
		row := make([]Cell, r.IntN(8))
		for k := range row {
			row[k] = Cell{uint16(r.IntN(n + 2)), I32F32(k + 1)}
		}
		m := newMatrix(1, 8)
		m.addRow(row...)
		want, cursor := make(dense, n), row
		for j := range want {
			for len(cursor) > 0 && int(cursor[0].UID) < j {
				cursor = cursor[1:]
			}
			if len(cursor) > 0 && int(cursor[0].UID) == j {
				want[j] = cursor[0].Value
			}
		}
		got := make(dense, n)
		if got.scan(m.row(0)); !slices.Equal(got, want) {
			t.Fatalf("%v: %d, want %d", row, got, want)
		}
	}
}

func TestDivide(t *testing.T) {
	m := newMatrix(2, 5)
	m.addRow(Cell{0, 3}, Cell{1, 5}, Cell{7, 9})
	m.addRow(Cell{0, -3}, Cell{1, 15})
	m.normalizeColumns()
	// A column that comes to 0 stays as it is, and so does one that there is not.
	if want := []Cell{{0, 3}, {1, OneI32F32 / 4}, {7, 9}, {0, -3}, {1, OneI32F32 / 4 * 3}}; !slices.Equal(slices.Concat(m.Row(0), m.Row(1)), want) {
		t.Errorf("%v, want %v", *m, want)
	}
}

func TestAmounts(t *testing.T) {
	const most = math.MaxUint64
	for _, c := range []struct {
		share I32F32
		rao   uint64
		want  uint64
	}{
		{0, most, 0}, {-1, most, 0}, {MinI32F32, most, 0}, {1, 1 << 32, 1}, {1, 1<<32 - 1, 0}, {OneI32F32, most, most}, {OneI32F32 - 1, most, most - 1<<32},
		{OneI32F32 + 1, most, most}, {MaxI32F32, most, most}, {3 * OneI32F32, 5, 15}, {OneI32F32 / 3, 10, 3},
	} {
		if got := amounts([]I32F32{c.share}, c.rao)[0]; got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.share, c.rao, got, c.want)
		}
	}
}

// The one with 30000 is of pallets/subtensor/src/tests/math.rs (test_vec_u16_max_upscale_to_u16).
func TestUpscale(t *testing.T) {
	whole := func(v ...uint64) (out []I32F32) {
		for _, x := range v {
			out = append(out, I32F32From(x))
		}
		return out
	}
	for _, c := range []struct {
		in   []I32F32
		want []uint16
	}{
		{nil, []uint16{}},
		{whole(0, 0), []uint16{0, 0}},
		{whole(0, 1, 2, 3, 30_000), []uint16{0, 2, 4, 7, 65_535}},
		{[]I32F32{1, 2, 4}, []uint16{16_384, 32_768, 65_535}},
		{[]I32F32{OneI32F32, OneI32F32 / 131_070, OneI32F32/131_070 + 1}, []uint16{65_535, 0, 1}},
	} {
		if got := upscale(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%d: %d, want %d", c.in, got, c.want)
		}
	}
}
