package yuma

import (
	"cmp"
	"slices"
)

// A score is the weight that one validator gives to a neuron, and the validator's stake.
type score struct{ value, stake I32F32 }

// medians returns the consensus weight of each neuron: the weight that it gets at least from stake of
// kappa, more exactly the least weight such that validators with no more than that hold more than all
// stake but kappa. With no stake, all are 0.
//
// The chain finds it by a binary search with a pivot, which with stakes above 0 ends there in every
// case: at the greatest weight if no weight is enough, as with a kappa of 0
// (pallets/subtensor/src/epoch/math.rs, weighted_median and weighted_median_col_sparse).
func medians(stake []I32F32, weights *Matrix, kappa I32F32) []I32F32 {
	n := weights.Rows()
	out := make([]I32F32, n)
	// Only rows with stake take part, and their stake is made 1 again: after the first division it is
	// a little less.
	use := make([]I32F32, n)
	rows := 0
	for i, s := range stake {
		if s > 0 {
			use[i] = s
			rows++
		}
	}
	normalize(use)
	total := sum(use)
	minority := total.Sub(kappa)
	// The scores by column, each column in a piece of one slice.
	start := make([]int32, n+1)
	for i, s := range stake {
		if s <= 0 {
			continue
		}
		for _, c := range weights.Row(i) {
			start[c.UID+1]++
		}
	}
	for j := range n {
		start[j+1] += start[j]
	}
	scores := make([]score, start[n])
	end := slices.Clone(start[:n])
	last := make([]int32, n) // the row of the newest score in a column, and 1
	for i, s := range stake {
		if s <= 0 {
			continue
		}
		for _, c := range weights.Row(i) {
			j := c.UID
			if last[j] == int32(i)+1 {
				end[j]-- // of two weights for one neuron, the latter counts
			}
			last[j] = int32(i) + 1
			scores[end[j]] = score{c.Value, use[i]}
			end[j]++
		}
	}
	for j := range n {
		out[j] = median(scores[start[j]:end[j]], rows, total, minority)
	}
	return out
}

// median returns the median of the scores, and of 0 for the rows that have none. It sorts.
func median(scores []score, rows int, total, minority I32F32) I32F32 {
	zero := total
	for _, s := range scores {
		zero -= s.stake
	}
	if len(scores) < rows && zero > minority {
		return 0
	}
	slices.SortFunc(scores, func(a, b score) int { return cmp.Compare(a.value, b.value) })
	upTo, at := zero, I32F32(0)
	for _, s := range scores {
		upTo, at = upTo+s.stake, s.value
		if upTo > minority {
			break
		}
	}
	return at
}

// clip returns the weights, none above the consensus. One that is above it is left out where the
// consensus is 0 (math.rs, col_clip_sparse).
func clip(weights *Matrix, consensus []I32F32) *Matrix {
	m := newMatrix(weights.Rows(), len(weights.cells))
	for i := range weights.Rows() {
		for _, c := range weights.Row(i) {
			switch limit := consensus[c.UID]; {
			case c.Value <= limit:
				m.add(c.UID, c.Value)
			case limit > 0:
				m.add(c.UID, limit)
			}
		}
		m.endRow()
	}
	return m
}
