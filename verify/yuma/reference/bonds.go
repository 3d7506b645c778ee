package reference

import "math/big"

// forBonds returns the weights for bonds: between all and the clipped, by the penalty.
func (e *epoch) forBonds(weights, clipped matrix) matrix {
	ratio := div(whole(uint64(e.BondsPenalty)), all)
	switch {
	case ratio.Sign() == 0:
		return weights
	case equal(ratio, one):
		return clipped
	}
	out := make(matrix, e.n)
	for i := range out {
		from, to := weights.dense(i), clipped.dense(i)
		for j, v := range from {
			from[j] = add(v, mul(ratio, sub(to[j], v)))
		}
		out[i] = sparse(from)
	}
	return out
}

// oldBonds returns those of the last epoch, without those in neurons that registered since.
func (e *epoch) oldBonds() matrix {
	last := e.Block - min(e.Block, uint64(e.Tempo))
	if e.rules.LastStepBonds && e.LastMechansimStepBlock != 0 {
		last = saturated(e.LastMechansimStepBlock, 1)
	}
	m := make(matrix, e.n)
	for i := range m {
		for _, b := range at(e.Bonds, i) {
			m[i] = append(m[i], cell{int(b.UID), whole(uint64(b.Value))})
		}
	}
	return m.keep(func(_ int, c cell) bool {
		return c.uid >= e.n && last > 0 || c.uid < e.n && last > at(e.BlockAtRegistration, c.uid)
	})
}

// alpha returns the share of the new in the moving average. The source has it twice: for Yuma2 it
// saturates, for Yuma3 it wraps.
func (e *epoch) alpha() number {
	v := new(big.Int).SetUint64(e.BondsMovingAverage)
	v.Lsh(v, 64)
	bound := new(big.Int).Lsh(big.NewInt(1), 127)
	if v.Cmp(bound) >= 0 {
		if e.Yuma3On {
			v.Sub(v, new(big.Int).Lsh(bound, 1))
		} else {
			v.Sub(bound, big.NewInt(1))
		}
	}
	v.Quo(v, big.NewInt(1_000_000))
	v.Rsh(v, 32)
	if e.Yuma3On {
		return sub(one, wrap(v))
	}
	return sub(one, clamp(v))
}

// average returns the moving average with one share for all.
func (e *epoch) average(new, old matrix) matrix {
	alpha := e.alpha()
	out := make(matrix, e.n)
	for i := range out {
		row := make([]number, e.n)
		for j := range row {
			row[j] = zero
			for _, c := range new[i] {
				if c.uid == j {
					row[j] = add(row[j], mul(alpha, c.value))
				}
			}
			for _, c := range old[i] {
				if c.uid == j {
					row[j] = add(row[j], mul(sub(one, alpha), c.value))
				}
			}
		}
		out[i] = sparse(row)
	}
	return out
}

func (e *epoch) yuma2(weights matrix, incentive, active []number) (bonds matrix, dividends []number) {
	old := e.oldBonds().byColumn(add)
	delta := weights.with(func(i int, c cell) number { return mul(c.value, active[i]) }).byColumn(add)
	bonds = e.average(delta, old).byColumn(add)
	dividends = make([]number, e.n)
	for i, row := range bonds {
		dividends[i] = zero
		for _, c := range row {
			dividends[i] = add(dividends[i], mul(incentive[c.uid], c.value))
		}
	}
	return bonds.byColumn(greater), normalize(dividends)
}

func (e *epoch) yuma3(weights matrix, consensus, incentive, active []number) (bonds matrix, dividends []number) {
	old := e.oldBonds().with(func(_ int, c cell) number { return div(c.value, all) })
	any := false
	for _, c := range consensus {
		any = any || c.Sign() != 0
	}
	if e.LiquidAlphaOn && any {
		bonds = e.liquid(weights, old, consensus)
	} else {
		bonds = e.average(weights, old)
	}
	shares := bonds.byColumn(add)
	worth := shares.with(func(_ int, c cell) number { return mul(c.value, incentive[c.uid]) }).rowSums()
	dividends = make([]number, e.n)
	for i := range dividends {
		if dividends[i] = product(worth[i], active[i]); !fits(dividends[i]) {
			dividends[i] = zero
		}
	}
	return bonds, normalize(dividends)
}

// A cursor goes through a row once, asked for one uid after the other.
type cursor struct{ row []cell }

func (c *cursor) at(uid int) number {
	for len(c.row) > 0 && c.row[0].uid < uid {
		c.row = c.row[1:]
	}
	if len(c.row) > 0 && c.row[0].uid == uid {
		return c.row[0].value
	}
	return zero
}

// liquid returns the moving average with a share for each bond.
func (e *epoch) liquid(weights, old matrix, consensus []number) matrix {
	out := make(matrix, e.n)
	for i := range out {
		w, b := cursor{weights[i]}, cursor{old[i]}
		alphas := make([]number, e.n)
		for j := range alphas {
			alphas[j] = e.liquidAlpha(consensus[j], w.at(j), b.at(j))
		}
		held := old.dense(i)
		for _, c := range weights[i] {
			a := alphas[c.uid]
			v := add(mul(sub(one, a), held[c.uid]), greater(mul(a, c.value), zero))
			if v = smaller(v, one); v.Sign() > 0 {
				out[i] = append(out[i], cell{c.uid, v})
			}
		}
	}
	return out
}

func (e *epoch) liquidAlpha(consensus, weight, bond number) number {
	unit := func(x number) number { return greater(smaller(x, one), zero) }
	difference := unit(sub(weight, consensus))
	if more(bond, weight) {
		difference = unit(sub(bond, weight))
	}
	from := sub(difference, half)
	steepness := new(big.Int).Lsh(big.NewInt(int64(e.AlphaSigmoidSteepness)), 32)
	var power number
	if e.rules.SteepnessPercent {
		power = mul(clamp(quotient(steepness, big.NewInt(-100<<32))), from)
	} else {
		power = mul(new(big.Int).Neg(one), mul(steepness, from))
	}
	if e.rules.ClampedExp {
		power = exp(greater(smaller(power, whole(20)), new(big.Int).Neg(whole(20))))
	} else if power = exp(power); power == nil {
		power = zero
	}
	sigmoid := clamp(quotient(one, add(one, power)))
	low, high := div(whole(uint64(e.AlphaLow)), all), div(whole(uint64(e.AlphaHigh)), all)
	return greater(smaller(add(low, mul(sigmoid, sub(high, low))), high), low)
}
