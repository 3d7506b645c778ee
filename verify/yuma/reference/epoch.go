package reference

import (
	"math"
	"math/big"
	"sort"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// A cell is an entry of a row; a matrix has a row for each neuron.
type cell struct {
	uid   int
	value number
}

type matrix [][]cell

// keep returns the cells for which f holds.
func (m matrix) keep(f func(row int, c cell) bool) matrix {
	out := make(matrix, len(m))
	for i, row := range m {
		for _, c := range row {
			if f(i, c) {
				out[i] = append(out[i], c)
			}
		}
	}
	return out
}

// with returns each cell with another value.
func (m matrix) with(f func(row int, c cell) number) matrix {
	out := make(matrix, len(m))
	for i, row := range m {
		for _, c := range row {
			out[i] = append(out[i], cell{c.uid, f(i, c)})
		}
	}
	return out
}

// dense returns one row as a vector; of two cells for one neuron the latter counts.
func (m matrix) dense(row int) []number {
	out := make([]number, len(m))
	for j := range out {
		out[j] = zero
	}
	for _, c := range m[row] {
		if c.uid < len(out) {
			out[c.uid] = c.value
		}
	}
	return out
}

// sparse returns the cells above 0 of a vector.
func sparse(v []number) (row []cell) {
	for j, x := range v {
		if x.Sign() > 0 {
			row = append(row, cell{j, x})
		}
	}
	return row
}

func (m matrix) columnTotals(f func(a, b number) number) []number {
	out := make([]number, len(m))
	for j := range out {
		out[j] = zero
		for _, row := range m {
			for _, c := range row {
				if c.uid == j {
					out[j] = f(out[j], c.value)
				}
			}
		}
	}
	return out
}

func (m matrix) byColumn(f func(a, b number) number) matrix {
	totals := m.columnTotals(f)
	return m.with(func(_ int, c cell) number {
		if c.uid >= len(totals) || totals[c.uid].Sign() == 0 {
			return c.value
		}
		return div(c.value, totals[c.uid])
	})
}

func (m matrix) rowSums() []number {
	out := make([]number, len(m))
	for i, row := range m {
		var v []number
		for _, c := range row {
			v = append(v, c.value)
		}
		out[i] = sum(v)
	}
	return out
}

func at[T any](v []T, i int) (x T) {
	if i < len(v) {
		x = v[i]
	}
	return x
}

func saturated(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// Epoch computes what yuma.Epoch computes.
func Epoch(in *yuma.Inputs, r rules.Set) *yuma.Outputs {
	n := len(in.Stake)
	e := &epoch{Inputs: in, rules: r, n: n, owner: -1}
	if r.OwnerExempt {
		e.owner = in.Owner
	}
	out := new(yuma.Outputs)

	cutoff := uint64(in.ActivityCutoff)
	if r.ActivityFactor {
		cutoff = max(1, uint64(in.ActivityCutoffFactorMilli)*uint64(in.Tempo)/1000)
	}
	for i := range n {
		out.Active = append(out.Active, !(saturated(at(in.LastUpdate, i), cutoff) < in.Block))
	}

	stake := e.stake(out)
	permits := append([]bool{}, in.ValidatorPermit...)
	if e.owner >= 0 && e.owner < len(permits) {
		permits[e.owner] = true
	}
	out.ValidatorPermit = e.permits(stake)
	active := make([]number, n)
	for i := range active {
		active[i] = stake[i]
		if !out.Active[i] || len(permits) > 0 && !at(permits, i) {
			active[i] = zero
		}
	}
	active = normalize(active)

	weights := e.weights(permits)
	consensus := e.consensus(active, weights)
	clipped := weights.keep(func(_ int, c cell) bool {
		return !more(c.value, consensus[c.uid]) || consensus[c.uid].Sign() > 0
	}).with(func(_ int, c cell) number { return smaller(c.value, consensus[c.uid]) })
	times := func(m matrix) []number {
		return m.with(func(i int, c cell) number { return mul(active[i], c.value) }).columnTotals(add)
	}
	preranks, ranks := times(weights), times(clipped)
	incentive := normalize(ranks)
	trust := make([]number, n)
	for i := range trust {
		trust[i] = div(ranks[i], preranks[i])
	}

	forBonds := e.forBonds(weights, clipped)
	var bonds matrix
	var dividends []number
	if in.Yuma3On {
		bonds, dividends = e.yuma3(forBonds, consensus, incentive, active)
	} else {
		bonds, dividends = e.yuma2(forBonds, incentive, active)
	}

	combined := make([]number, n)
	for i := range combined {
		combined[i] = add(incentive[i], dividends[i])
	}
	server, validator := incentive, dividends
	if total := sum(combined); total.Sign() != 0 {
		share := func(x number) number { return div(x, total) }
		server, validator, combined = each(server, share), each(validator, share), each(combined, share)
	} else {
		validator = active
		if sum(active).Sign() == 0 {
			validator = stake
		}
		combined = validator
	}
	amount := func(v []number) (out []uint64) {
		out = make([]uint64, len(v))
		for i, x := range v {
			out[i] = u64(new(big.Int).Mul(x, new(big.Int).SetUint64(in.Emission)))
		}
		return out
	}
	out.ServerEmission, out.ValidatorEmission, out.Emission = amount(server), amount(validator), amount(combined)
	out.StakeWeight, out.Consensus, out.Incentive = quantized(stake), quantized(consensus), quantized(incentive)
	out.Dividends, out.ValidatorTrust = quantized(dividends), quantized(clipped.rowSums())
	out.Rank, out.Trust, out.PruningScores = quantized(incentive), quantized(trust), upscaled(combined)

	out.Bonds = make([][]yuma.Weight, n)
	for i := range n {
		switch {
		case out.ValidatorPermit[i]:
			for _, c := range bonds[i] {
				out.Bonds[i] = append(out.Bonds[i], yuma.Weight{UID: uint16(c.uid), Value: u16(mul(c.value, all))})
			}
		case !r.Mechanisms && !at(permits, i):
			out.Bonds[i] = at(in.Bonds, i)
		}
	}
	return out
}

// An epoch is one being computed.
type epoch struct {
	*yuma.Inputs
	rules rules.Set
	n     int
	owner int // the one that is exempt, -1 if there is none
}

// stake returns the shares of the stake that counts, in I64F64 and then cut to I32F32.
func (e *epoch) stake(out *yuma.Outputs) []number {
	total := new(big.Int)
	v := make([]*big.Int, e.n)
	for i, s := range e.Stake {
		hi, lo := s.Raw()
		v[i] = new(big.Int).Lsh(big.NewInt(hi), 64)
		v[i].Add(v[i], new(big.Int).SetUint64(lo))
		raw := u64(new(big.Int).Rsh(v[i], 32))
		out.RawStake = append(out.RawStake, raw)
		if i != e.owner && raw < e.StakeThreshold {
			v[i] = new(big.Int)
		}
		total.Add(total, v[i])
	}
	shares := make([]number, e.n)
	for i := range shares {
		shares[i] = zero
		if total.Sign() != 0 {
			q := new(big.Int).Quo(new(big.Int).Lsh(v[i], 64), total)
			shares[i] = clamp(q.Rsh(q, 32))
		}
	}
	return shares
}

// permits drops the least stakes, of equal ones the lowest uids, until there are places for all.
func (e *epoch) permits(stake []number) []bool {
	out := make([]bool, e.n)
	order := make([]int, e.n)
	for i := range out {
		out[i], order[i] = stake[i].Sign() != 0, i
	}
	sort.SliceStable(order, func(a, b int) bool { return stake[order[a]].Cmp(stake[order[b]]) < 0 })
	for _, i := range order[:max(0, e.n-int(e.MaxAllowedValidators))] {
		out[i] = false
	}
	if e.owner >= 0 && e.owner < e.n {
		out[e.owner] = true
	}
	return out
}

// weights returns those that count, with rows that sum to 1.
func (e *epoch) weights(permits []bool) matrix {
	m := make(matrix, e.n)
	for i := range m {
		for _, w := range at(e.Weights, i) {
			m[i] = append(m[i], cell{int(w.UID), whole(uint64(w.Value))})
		}
	}
	m = m.keep(func(i int, c cell) bool { return c.uid < e.n && at(permits, i) })
	m = m.keep(func(i int, c cell) bool { return c.uid != i || i == e.Owner })
	m = m.keep(func(i int, c cell) bool { return at(e.LastUpdate, i) > at(e.BlockAtRegistration, c.uid) })
	if e.CommitRevealWeightsEnabled && e.rules.CommitColumns {
		m = m.keep(func(i int, c cell) bool {
			return i >= len(e.CommitBlocks) || e.CommitBlocks[i] >= at(e.BlockAtRegistration, c.uid)
		})
	}
	sums := m.rowSums()
	return m.with(func(i int, c cell) number {
		if sums[i].Sign() <= 0 {
			return c.value
		}
		return div(c.value, sums[i])
	})
}

// consensus searches each column for its weighted median, with the middle of what is left as the pivot.
func (e *epoch) consensus(stake []number, weights matrix) []number {
	var use []number
	var rows [][]number
	for i, s := range stake {
		if s.Sign() > 0 {
			use, rows = append(use, s), append(rows, weights.dense(i))
		}
	}
	use = normalize(use)
	minority := sub(sum(use), div(whole(uint64(e.Kappa)), all))
	out := make([]number, e.n)
	for j := range out {
		out[j] = zero
		index := make([]int, len(use))
		for k := range index {
			index[k] = k
		}
		lo, hi := zero, sum(use)
		for len(index) > 0 {
			pivot := rows[index[len(index)/2]][j]
			var lower, upper []int
			below, above := zero, zero
			for _, k := range index {
				switch rows[k][j].Cmp(pivot) {
				case -1:
					lower, below = append(lower, k), add(below, use[k])
				case 1:
					upper, above = append(upper, k), add(above, use[k])
				}
			}
			if len(lower) > 0 && more(add(lo, below), minority) {
				index, hi = lower, add(lo, below)
			} else if len(upper) > 0 && !more(sub(hi, above), minority) {
				index, lo = upper, sub(hi, above)
			} else {
				out[j] = pivot
				break
			}
		}
	}
	return out
}

// upscaled returns v with its greatest at 65535.
func upscaled(v []number) []uint16 {
	top := least
	for _, x := range v {
		top = greater(top, x)
	}
	round := func(x number) uint16 { return u16(add(x, half)) }
	return u16s(v, func(x number) uint16 {
		switch {
		case top.Sign() == 0:
			return u16(mul(x, all))
		case more(top, whole(32_768)):
			return round(mul(x, div(all, top)))
		}
		return round(div(mul(x, all), top))
	})
}
