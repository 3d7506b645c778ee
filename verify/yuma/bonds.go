package yuma

import "slices"

// dense is a row of all columns, for the entries of one row at a time.
type dense []I32F32

// spread sets the row to the entries, of which for one uid the last counts, and 0 elsewhere.
func (d dense) spread(row []Cell) {
	clear(d)
	for _, c := range row {
		if int(c.UID) < len(d) {
			d[c.UID] = c.Value
		}
	}
}

// scan sets the row to what a search by ascending column finds, if it never goes back: an entry whose
// uid is not above those of all before it is passed over, and found as 0. In a row in the order of its
// uids that is none (run_epoch.rs, compute_liquid_alpha_values_sparse).
func (d dense) scan(row []Cell) {
	clear(d)
	next := 0
	for _, c := range row {
		if j := int(c.UID); j >= next {
			if next = j + 1; j < len(d) {
				d[j] = c.Value
			}
		}
	}
}

// addPositive adds the entries above 0 to m, and ends its row.
func (d dense) addPositive(m *Matrix) {
	for j, v := range d {
		if v > 0 {
			m.add(uint16(j), v)
		}
	}
	m.endRow()
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
	m := newMatrix(n, len(a.cells))
	from, to := make(dense, n), make(dense, n)
	for i := range n {
		if len(a.Row(i)) == 0 { // b has none either
			m.endRow()
			continue
		}
		from.spread(a.Row(i))
		to.spread(b.Row(i))
		for j, v := range from {
			from[j] = v.Add(ratio.Mul(to[j].Sub(v)))
		}
		from.addPositive(m)
	}
	return m
}

// scaleRows returns m with each row times the value of the row (math.rs, row_hadamard_sparse).
func scaleRows(m *Matrix, v []I32F32) *Matrix {
	out := m.clone()
	for i, x := range v {
		row := out.Row(i)
		for k := range row {
			row[k].Value = row[k].Value.Mul(x)
		}
	}
	return out
}

// average returns the moving average of bonds: alpha of the new and the rest of the old. Rows are in
// the order of their uids, without entries that are 0 (math.rs, mat_ema_sparse).
func average(new, old *Matrix, alpha I32F32) *Matrix {
	n := new.Rows()
	m := newMatrix(n, len(new.cells)+len(old.cells))
	rest := OneI32F32.Sub(alpha)
	row := make(dense, n)
	for i := range n {
		if len(new.Row(i)) == 0 && len(old.Row(i)) == 0 {
			m.endRow()
			continue
		}
		clear(row)
		for _, part := range []struct {
			cells []Cell
			share I32F32
		}{{new.Row(i), alpha}, {old.Row(i), rest}} {
			for _, c := range part.cells {
				if int(c.UID) < n {
					row[c.UID] = row[c.UID].Add(part.share.Mul(c.Value))
				}
			}
		}
		row.addPositive(m)
	}
	return m
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
	exp       func(I32F32) I32F32
}

// newLiquid reads the hyperparameters (pallets/subtensor/src/epoch/run_epoch.rs, alpha_sigmoid). The
// steepness is one of 1/100 if percent.
func newLiquid(in *Inputs, percent, clamped bool) liquid {
	l := liquid{exp: expSafe}
	all := I32F32From(65535)
	l.low = I32F32From(uint64(in.AlphaLow)).SafeDiv(all)
	l.high = I32F32From(uint64(in.AlphaHigh)).SafeDiv(all)
	steepness := I32F32(int64(in.AlphaSigmoidSteepness) << 32)
	if percent {
		l.exponent, _ = steepness.CheckedDiv(-100 * OneI32F32)
	} else {
		l.exponent = (-OneI32F32).Mul(steepness)
	}
	if !clamped {
		l.exp = func(x I32F32) I32F32 { v, _ := exp(x); return v }
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
	power := l.exp(l.exponent.Mul(difference.Sub(OneI32F32 / 2)))
	sigmoid := OneI32F32.SafeDiv(OneI32F32.Add(power)) // power is no less than 0
	return max(min(l.low.Add(sigmoid.Mul(l.high.Sub(l.low))), l.high), l.low)
}

// average returns the moving average of bonds, and the share of the new that it took for each. Rows
// have the entries of new and their order, without those that become 0: a bond that has no entry in
// new is gone at once (mat_ema_alpha_sparse).
func (l liquid) average(new, old *Matrix, consensus []I32F32) (bonds, alphas *Matrix) {
	n := new.Rows()
	bonds, alphas = newMatrix(n, len(new.cells)), newMatrix(n, len(new.cells))
	weight, bond, held := make(dense, n), make(dense, n), make(dense, n)
	for i := range n {
		if len(new.Row(i)) > 0 {
			weight.scan(new.Row(i))
			bond.scan(old.Row(i))
			held.spread(old.Row(i))
		}
		for _, c := range new.Row(i) {
			j := c.UID
			a := l.alpha(consensus[j], weight[j], bond[j])
			v := OneI32F32.Sub(a).Mul(held[j]).Add(max(a.Mul(c.Value), 0))
			if v = min(v, OneI32F32); v > 0 {
				bonds.add(j, v)
			}
			alphas.add(j, a)
		}
		bonds.endRow()
		alphas.endRow()
	}
	return bonds, alphas
}

// bonds computes the bonds, and from them the dividends, of Yuma3 or of Yuma2.
func (t *Trace) bonds(in *Inputs, lastStep, percent, clamped bool) {
	t.LastTempo = in.lastTempo(lastStep)
	t.Alpha = movingAlpha(in.BondsMovingAverage, in.Yuma3On)
	t.OldBonds = in.bonds(t.LastTempo, in.Yuma3On)
	if !in.Yuma3On {
		t.OldBonds.normalizeColumns()
		t.BondsDelta = scaleRows(t.WeightsForBonds, t.ActiveStake)
		t.BondsDelta.normalizeColumns()
		t.BondShares = average(t.BondsDelta, t.OldBonds, t.Alpha)
		t.BondShares.normalizeColumns()
		t.Dividends = t.BondShares.timesByColumn(t.Incentive)
		normalize(t.Dividends)
		t.Bonds = t.BondShares.clone()
		t.Bonds.upscaleColumns()
		return
	}
	if in.LiquidAlphaOn && slices.ContainsFunc(t.Consensus, func(c I32F32) bool { return c != 0 }) {
		t.Bonds, t.Alphas = newLiquid(in, percent, clamped).average(t.WeightsForBonds, t.OldBonds, t.Consensus)
	} else {
		t.Bonds = average(t.WeightsForBonds, t.OldBonds, t.Alpha)
	}
	t.BondShares = t.Bonds.clone()
	t.BondShares.normalizeColumns()
	t.TotalBonds = make([]I32F32, t.Bonds.Rows())
	t.Dividends = make([]I32F32, t.Bonds.Rows())
	for i := range t.TotalBonds {
		for _, c := range t.BondShares.Row(i) {
			t.TotalBonds[i] += c.Value.Mul(t.Incentive[c.UID])
		}
		t.Dividends[i], _ = t.TotalBonds[i].CheckedMul(t.ActiveStake[i])
	}
	normalize(t.Dividends)
}
