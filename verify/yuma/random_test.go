package yuma

import (
	"math"
	"math/rand/v2"
)

// pick returns one of the choices.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomEpoch returns inputs of up to n neurons in all the shapes that a state could have, and in some
// that none has: no stake, one validator, ties, rows out of order, with zeros, with one uid twice, with
// uids that there are not, lists that are too short, and hyperparameters at both ends.
func randomEpoch(r *rand.Rand, n int) *Inputs {
	n = r.IntN(n + 1)
	in := &Inputs{
		Block:                     pick(r, 1, 300, 5_000, 1_000_000, uint64(math.MaxUint64)),
		Tempo:                     pick[uint16](r, 0, 1, 99, 360, math.MaxUint16),
		ActivityCutoff:            pick[uint16](r, 0, 1, 360, 5_000, math.MaxUint16),
		ActivityCutoffFactorMilli: pick[uint32](r, 0, 1_000, 13_889, 50_000, math.MaxUint32),
		StakeThreshold:            pick[uint64](r, 0, 0, 100, math.MaxUint64),
		Owner:                     r.IntN(n+3) - 1,
		MaxAllowedValidators:      uint16(r.IntN(n + 2)),
		Kappa:                     pick[uint16](r, 0, 1, 1_000, 32_767, 32_767, 32_767, 39_321, 65_534, 65_535),
		BondsPenalty:              pick[uint16](r, 0, 1, 6_553, 32_768, 65_534, 65_535, 65_535),
		BondsMovingAverage:        pick[uint64](r, 0, 500_000, 900_000, 900_000, 975_000, 999_999, 1_000_000, 2_000_000, 1<<31*1_000_000, 1<<62, math.MaxUint64),
		Yuma3On:                   r.IntN(3) > 0,
		LiquidAlphaOn:             r.IntN(3) > 0,
		AlphaLow:                  pick[uint16](r, 0, 1_638, 45_875, 58_982, 65_535),
		AlphaHigh:                 pick[uint16](r, 0, 1_638, 45_875, 58_982, 65_535),
		AlphaSigmoidSteepness:     pick[int32](r, -32_768, -4_001, -1_000, -1, 0, 10, 100, 200, 1_000, 1_000, 4_000, 4_200, 32_767),
		Emission:                  pick[uint64](r, 0, 1, 1_000_000_000, 361_000_000_000, math.MaxUint64),

		CommitRevealWeightsEnabled: r.IntN(2) == 0,
	}
	if r.IntN(4) > 0 {
		// So that there is something to compute: neurons that are active, with weights that count.
		in.Block, in.Tempo, in.ActivityCutoff = 1_000_000, pick[uint16](r, 99, 360), 5_000
		in.ActivityCutoffFactorMilli, in.StakeThreshold = pick[uint32](r, 13_889, 50_000), pick[uint64](r, 0, 100)
		in.MaxAllowedValidators = uint16(n - r.IntN(n+1)/2)
	}
	// Blocks near that of the epoch, so that each comparison falls either way, and often is a tie.
	block := func() uint64 {
		return in.Block - min(in.Block, pick(r, 0, 1, 2, 3, 4, uint64(r.IntN(400)), uint64(r.IntN(10_000))))
	}
	in.LastMechansimStepBlock = pick(r, 0, block(), block())
	amount := func() uint64 { return pick(r, 0, 1, 100, r.Uint64()>>(10+r.IntN(54))) }
	same := amount()
	for range n {
		in.Stake = append(in.Stake, pick(r, I64F64From(amount()), I64F64From(same), I64F64FromRaw(int64(amount()), r.Uint64())))
	}
	for range n - min(n, r.IntN(16)/15*r.IntN(n+1)) {
		in.LastUpdate = append(in.LastUpdate, block())
		in.BlockAtRegistration = append(in.BlockAtRegistration, pick(r, 0, 0, 0, 0, 0, block()))
		in.CommitBlocks = append(in.CommitBlocks, pick(r, NoCommit, NoCommit, block()))
		in.ValidatorPermit = append(in.ValidatorPermit, r.IntN(4) > 0)
	}
	if r.IntN(40) == 0 {
		in.ValidatorPermit = nil
	}
	tied := uint16(r.Uint32())
	row := func() (out []Weight) {
		if r.IntN(5) == 0 {
			return nil
		}
		sparse, wild := r.IntN(4), r.IntN(3) == 0
		for j := range n {
			if sparse > 0 && r.IntN(sparse) > 0 {
				continue
			}
			out = append(out, Weight{uint16(j), pick(r, 0, tied, tied, uint16(r.Uint32()), 65_535, uint16(r.IntN(3)))})
		}
		if wild {
			for range r.IntN(4) {
				out = append(out, Weight{pick(r, uint16(r.IntN(n+2)), uint16(r.Uint32())), uint16(r.Uint32())})
			}
			r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		}
		return out
	}
	alike := row()
	for range n {
		in.Weights = append(in.Weights, pick(r, row(), row(), alike))
		in.Bonds = append(in.Bonds, row())
	}
	return in
}
