package yuma

import "slices"

// dense is a row of all columns, for the entries of one row at a time.
type dense []I32F32

// spread sets the row to the entries, of which for one uid the last counts, and 0 elsewhere.
func (d dense) spread(uids []uint16, values []I32F32) {
	clear(d)
	for k, j := range uids {
		if int(j) < len(d) {
			d[j] = values[k]
		}
	}
}

// scan sets the row to what a search by ascending column finds, if it never goes back: an entry whose
// uid is not above those of all before it is passed over, and found as 0. In a row in the order of its
// uids that is none (run_epoch.rs, compute_liquid_alpha_values_sparse).
func (d dense) scan(uids []uint16, values []I32F32) {
	clear(d)
	next := 0
	for k, j := range uids {
		if int(j) >= next {
			if next = int(j) + 1; int(j) < len(d) {
				d[j] = values[k]
			}
		}
	}
}

// addPositive adds a row of the entries above 0 to m, of which there are no more than size, and each of them to
// the sum of its column.
func (d dense) addPositive(m *Matrix, size int, sums dense) {
	uids, values := m.room(size)
	sums = sums[:len(d)]
	n := 0
	for j, v := range d {
		if v > 0 {
			uids[n], values[n] = uint16(j), v
			sums[j] = sums[j].Add(v)
			n++
		}
	}
	m.endRow(n)
}

// interpolate returns what lies between a and b, by the ratio. If it is neither, rows are in the order
// of their uids and without entries that are 0 (math.rs, interpolate_sparse).
func interpolate(a, b *Matrix, ratio I32F32) *Matrix {
	switch ratio {
	case 0:
		return a
	case OneI32F32:
		return b
	}
	n := a.Rows()
	m := newMatrix(n, len(a.uids))
	from, to, sums := make(dense, n), make(dense, n), make(dense, n)
	for i := range n {
		uids, values := a.row(i)
		if len(uids) == 0 { // b has none either
			m.endRow(0)
			continue
		}
		from.spread(uids, values)
		to.spread(b.row(i))
		for j, v := range from {
			from[j] = v.Add(ratio.Mul(to[j].Sub(v)))
		}
		from.addPositive(m, min(len(uids), n), sums)
	}
	return m
}

// scaleRows returns m with each row times the value of the row (math.rs, row_hadamard_sparse), and the sums of the
// columns.
func scaleRows(m *Matrix, v []I32F32) (out *Matrix, sums []I32F32) {
	out, sums = m.shaped(), make([]I32F32, m.Rows())
	for i, x := range v {
		uids, from := m.row(i)
		_, to := out.row(i)
		for k, j := range uids {
			p, ok := part(x, from[k])
			if !ok {
				p = x.Mul(from[k])
			}
			to[k] = p
			sums[j] = sums[j].Add(p)
		}
	}
	return out, sums
}

// average returns the moving average of bonds, alpha of the new and the rest of the old, and the sums of its
// columns. Rows are in the order of their uids, without entries that are 0 (math.rs, mat_ema_sparse).
func average(new, old *Matrix, alpha I32F32) (m *Matrix, sums []I32F32) {
	n := new.Rows()
	size := 0
	both := func(i int) int {
		a, _ := new.row(i)
		b, _ := old.row(i)
		return min(len(a)+len(b), n)
	}
	for i := range n {
		size += both(i)
	}
	m, sums = newMatrix(n, size), make([]I32F32, n)
	rest := OneI32F32.Sub(alpha)
	row := make(dense, n)
	for i := range n {
		uids, values := new.row(i)
		others, held := old.row(i)
		if !ascend(uids) || !ascend(others) {
			clear(row)
			row.addParts(uids, values, alpha)
			row.addParts(others, held, rest)
			row.addPositive(m, both(i), sums)
			continue
		}
		to, into := m.room(both(i))
		entries := 0
		for a, b := 0, 0; ; {
			j, k := n, n
			if a < len(uids) {
				j = int(uids[a])
			}
			if b < len(others) {
				k = int(others[b])
			}
			uid := min(j, k)
			if uid >= n {
				break
			}
			v := I32F32(0)
			if j == uid {
				p, ok := part(alpha, values[a])
				if !ok {
					p = alpha.Mul(values[a])
				}
				v = p
				a++
			}
			if k == uid {
				p, ok := part(rest, held[b])
				if !ok {
					p = rest.Mul(held[b])
				}
				v = v.Add(p)
				b++
			}
			if v > 0 {
				to[entries], into[entries] = uint16(uid), v
				sums[uid] = sums[uid].Add(v)
				entries++
			}
		}
		m.endRow(entries)
	}
	return m, sums
}

// addParts adds a share of each entry to its column.
func (d dense) addParts(uids []uint16, values []I32F32, share I32F32) {
	for k, j := range uids {
		if int(j) < len(d) {
			p, ok := part(share, values[k])
			if !ok {
				p = share.Mul(values[k])
			}
			d[j] = d[j].Add(p)
		}
	}
}

// millionths is what BondsMovingAverage counts.
const millionths = 1_000_000

// movingAlpha returns the share of new bonds in the moving average. A BondsMovingAverage above 2^31
// millionths saturates, or wraps: one of the chain's two copies of this says saturating_from_num
// (compute_ema_bonds_normal_sparse), the other from_num (compute_disabled_liquid_alpha).
func movingAlpha(average uint64, wraps bool) I32F32 {
	whole := I64F64From(average)
	if wraps {
		whole = I64F64FromRaw(int64(average), 0)
	}
	share := whole.SafeDiv(I64F64From(millionths))
	if !wraps {
		return OneI32F32.Sub(share.I32F32())
	}
	hi, lo := share.Raw()
	return OneI32F32.Sub(I32F32(hi<<32 | int64(lo>>32)))
}

// liquid is liquid alpha: the moving average with a share of its own for each bond, that depends on
// how far the weight is above the consensus, or the bond above the weight.
type liquid struct {
	low, high I32F32
	exponent  I32F32 // of the sigmoid, for a difference that is 1 from its middle
	clamped   bool   // rules.Set.ClampedExp
}

// newLiquid reads the hyperparameters (pallets/subtensor/src/epoch/run_epoch.rs, alpha_sigmoid). The
// steepness is one of 1/100 if percent.
func newLiquid(in *Inputs, percent, clamped bool) liquid {
	l := liquid{clamped: clamped}
	all := I32F32From(65535)
	l.low = I32F32From(uint64(in.AlphaLow)).SafeDiv(all)
	l.high = I32F32From(uint64(in.AlphaHigh)).SafeDiv(all)
	steepness := I32F32(int64(in.AlphaSigmoidSteepness) << 32)
	if percent {
		l.exponent, _ = steepness.CheckedDiv(-100 * OneI32F32)
	} else {
		l.exponent = (-OneI32F32).Mul(steepness)
	}
	return l
}

// alpha returns the share of the new in one bond (alpha_sigmoid).
func (l liquid) alpha(consensus, weight, bond I32F32) I32F32 {
	difference := bond.Sub(weight)
	if weight >= bond {
		difference = weight.Sub(consensus)
	}
	difference = min(max(difference, 0), OneI32F32)
	x := l.exponent.Mul(difference.Sub(OneI32F32 / 2))
	var power I32F32
	if l.clamped {
		power = expSafe(x)
	} else {
		power, _ = exp(x)
	}
	sigmoid := OneI32F32.SafeDiv(OneI32F32.Add(power)) // power is no less than 0
	return max(min(l.low.Add(sigmoid.Mul(l.high.Sub(l.low))), l.high), l.low)
}

// average returns the moving average of bonds, and the share of the new that it took for each. Rows
// have the entries of new and their order, without those that become 0: a bond that has no entry in
// new is gone at once (mat_ema_alpha_sparse).
func (l liquid) average(new, old *Matrix, consensus []I32F32) (bonds, alphas *Matrix) {
	n := new.Rows()
	bonds, alphas = newMatrix(n, len(new.uids)), new.shaped()
	weight, bond, held := make(dense, n), make(dense, n), make(dense, n)
	for i := range n {
		uids, values := new.row(i)
		_, shares := alphas.row(i)
		to, into := bonds.room(len(uids))
		entries := 0
		if len(uids) > 0 {
			weight.scan(uids, values)
			bond.scan(old.row(i))
			held.spread(old.row(i))
		}
		for k, j := range uids {
			a := l.alpha(consensus[j], weight[j], bond[j])
			v := OneI32F32.Sub(a).Mul(held[j]).Add(max(a.Mul(values[k]), 0))
			if v = min(v, OneI32F32); v > 0 {
				to[entries], into[entries] = j, v
				entries++
			}
			shares[k] = a
		}
		bonds.endRow(entries)
	}
	return bonds, alphas
}

// bonds computes the bonds, and from them the dividends, of Yuma3 or of Yuma2.
func (t *Trace) bonds(in *Inputs, lastStep, percent, clamped bool) {
	t.LastTempo = in.lastTempo(lastStep)
	t.Alpha = movingAlpha(in.BondsMovingAverage, in.Yuma3On)
	t.OldBonds = in.bonds(t.LastTempo, in.Yuma3On)
	var sums []I32F32
	if !in.Yuma3On {
		t.OldBonds.normalizeColumns()
		t.BondsDelta, sums = scaleRows(t.WeightsForBonds, t.ActiveStake)
		t.BondsDelta.divideColumns(sums)
		t.BondShares, sums = average(t.BondsDelta, t.OldBonds, t.Alpha)
		t.BondShares.divideColumns(sums)
		t.Dividends = t.BondShares.timesByColumn(t.Incentive)
		normalize(t.Dividends)
		t.Bonds = t.BondShares.clone()
		t.Bonds.upscaleColumns()
		return
	}
	if in.LiquidAlphaOn && slices.ContainsFunc(t.Consensus, func(c I32F32) bool { return c != 0 }) {
		t.Bonds, t.Alphas = newLiquid(in, percent, clamped).average(t.WeightsForBonds, t.OldBonds, t.Consensus)
		sums = t.Bonds.columnSums()
	} else {
		t.Bonds, sums = average(t.WeightsForBonds, t.OldBonds, t.Alpha)
	}
	t.BondShares = t.Bonds.clone()
	t.BondShares.divideColumns(sums)
	t.TotalBonds = make([]I32F32, t.Bonds.Rows())
	t.Dividends = make([]I32F32, t.Bonds.Rows())
	for i := range t.TotalBonds {
		uids, values := t.BondShares.row(i)
		total := I32F32(0)
		for k, j := range uids {
			p, ok := part(values[k], t.Incentive[j])
			if !ok {
				p = values[k].Mul(t.Incentive[j])
			}
			total += p
		}
		t.TotalBonds[i] = total
		t.Dividends[i], _ = t.TotalBonds[i].CheckedMul(t.ActiveStake[i])
	}
	normalize(t.Dividends)
}
