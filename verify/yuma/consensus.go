package yuma

import (
	"math/bits"
	"slices"
)

// A score is the weight that one validator gives to a neuron, and behind it the validator's uid.
type score uint64

const uidBits = 12 // uids are below MaxNeurons

func (s score) value() I32F32 { return I32F32(s >> uidBits) }
func (s score) uid() int      { return int(s % MaxNeurons) }

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
	row := make(dense, n)
	var rows []scores
	for i, s := range stake {
		if s > 0 {
			use[i] = s
			rows = append(rows, weights.scores(i, row))
		}
	}
	normalize(use)
	total := sum(use)
	minority := total.Sub(kappa)
	// By column, but for a block of columns at a time: what they need is small enough to stay at hand.
	const block = 64
	buffer := make([]score, block*len(rows))
	for first := 0; first < n; first += block {
		var size [block]int
		for r := range rows {
			row, k := &rows[r], 0
			for ; k < len(row.uids) && int(row.uids[k]) < first+block; k++ {
				j := int(row.uids[k]) % block
				buffer[j*len(rows)+size[j]] = score(row.values[k])<<uidBits | row.from
				size[j]++
			}
			row.uids, row.values = row.uids[k:], row.values[k:]
		}
		for j := range min(block, n-first) {
			out[first+j] = median(buffer[j*len(rows):][:size[j]], use, len(rows), total, minority)
		}
	}
	return out
}

// scores is what one validator gives, in the order of uids, each once.
type scores struct {
	uids   []uint16
	values []I32F32
	from   score // nobody, and the validator
}

// scores returns those of a row. Of two entries for one neuron the latter counts, and none is as one that is 0.
// all is room for a row.
func (m *Matrix) scores(i int, all dense) scores {
	uids, values := m.row(i)
	s := scores{uids, values, score(i)}
	if !ascend(uids) {
		all.spread(uids, values)
		size := min(len(uids), len(all))
		s.uids, s.values = make([]uint16, 0, size), make([]I32F32, 0, size)
		for j, v := range all {
			if v > 0 {
				s.uids, s.values = append(s.uids, uint16(j)), append(s.values, v)
			}
		}
	}
	return s
}

// median returns the median of the scores, and of 0 for the others of the rows with stake.
func median(scores []score, stake []I32F32, rows int, total, minority I32F32) I32F32 {
	zero := I32F32(0)
	if len(scores) < rows {
		zero = total
		for _, s := range scores {
			zero -= stake[s.uid()]
		}
		if zero > minority {
			return 0
		}
	}
	return reach(scores, stake, zero, minority)
}

// few scores are sorted where they stand.
const few = 12

// reach returns the least value up to which the stakes of the scores, added to what is below them, come to
// more than the minority, or the greatest value if all do not. It moves scores.
//
// It spreads them by their leading bits over buckets, and goes on with the bucket that has the one in
// question. So it looks at each eight times at most, wherever they lie: the range is 45 bits wide, and a 64th of
// that from one time to the next.
func reach(scores []score, stake []I32F32, below, minority I32F32) I32F32 {
	for len(scores) > few {
		least, most := scores[0], scores[0]
		for _, s := range scores {
			least, most = min(least, s), max(most, s)
		}
		shift := max(0, bits.Len64(uint64(most-least))-6)
		var held [64]I32F32
		some := uint64(0) // which of them have any
		for _, s := range scores {
			b := (s - least) >> (shift & 63) % 64
			held[b] += stake[s.uid()]
			some |= 1 << b
		}
		in := score(0)
		for ; ; some &= some - 1 {
			if some == 0 {
				return most.value()
			}
			in = score(bits.TrailingZeros64(some))
			if below+held[in] > minority {
				break
			}
			below += held[in]
		}
		n := 0
		for _, s := range scores {
			scores[n] = s
			if (s-least)>>(shift&63)%64 == in {
				n++
			}
		}
		scores = scores[:n]
	}
	slices.Sort(scores)
	at := I32F32(0)
	for _, s := range scores {
		below, at = below+stake[s.uid()], s.value()
		if below > minority {
			break
		}
	}
	return at
}

// clip returns the weights, none above the consensus, and the sum of each row. One that is above it is left
// out where the consensus is 0 (math.rs, col_clip_sparse and row_sum_sparse).
func clip(weights *Matrix, consensus []I32F32) (m *Matrix, sums []I32F32) {
	m, sums = newMatrix(weights.Rows(), len(weights.uids)), make([]I32F32, weights.Rows())
	for i := range weights.Rows() {
		uids, values := weights.row(i)
		to, into := m.room(len(uids))
		n, total := 0, I32F32(0)
		for k, j := range uids {
			limit := consensus[j]
			v := min(values[k], limit)
			to[n], into[n] = j, v
			if limit > 0 || values[k] <= limit {
				total += v
				n++
			}
		}
		m.endRow(n)
		sums[i] = total
	}
	return m, sums
}
