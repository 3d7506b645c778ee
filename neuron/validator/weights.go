package validator

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrScore: a score is no finite number from 0 on.
var ErrScore = errors.New("not a score")

// Normalize turns scores, by uid, into the weights that are sent: uids in ascending order, with values of which the
// largest is 65535, zeros left out. It is what the Python SDK does (bittensor/utils/weight_utils.py, process_weights and
// convert_weights_and_uids_for_emit), in its single precision: with no positive score, or fewer neurons than least,
// everybody gets the same; with fewer positive scores than least, everybody gets a little more than nothing; no share is
// above limit, of the whole, where that can be had. For no neuron it returns nothing.
func Normalize(scores []float64, least int, limit float64) (uids, values []uint16, err error) {
	if len(scores) > math.MaxUint16 {
		return nil, nil, fmt.Errorf("%d scores: more than there are uids", len(scores))
	}
	positive, sum := 0, 0.0
	for uid, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) || s < 0 || s > maxScore {
			return nil, nil, fmt.Errorf("uid %d: %w: %v", uid, ErrScore, s)
		}
		if s > 0 {
			positive++
		}
		sum += s
	}
	n := len(scores)
	if n == 0 {
		return nil, nil, nil
	}
	w := make([]float32, n)
	switch {
	case positive == 0 || n < least:
		for i := range w {
			w[i] = 1 / float32(n)
		}
	default:
		for i, s := range scores { // the template hands over shares of the whole
			w[i] = float32(s / sum)
		}
		if positive < least {
			for i := range w {
				w[i] += 1e-5
			}
		}
		w = limitShares(w, float32(limit))
	}
	top := slices.Max(w)
	for uid, x := range w {
		// Python's round: half to even.
		if v := uint16(math.RoundToEven(float64(x/top) * math.MaxUint16)); v > 0 {
			uids, values = append(uids, uint16(uid)), append(values, v)
		}
	}
	return uids, values, nil
}

// maxScore keeps sums of scores finite.
const maxScore = 1e9

// limitShares is normalize_max_weight: the shares of x, none above limit.
func limitShares(x []float32, limit float32) []float32 {
	const epsilon = 1e-7
	n := len(x)
	sum := float32(0)
	for _, v := range x {
		sum += v
	}
	out := slices.Clone(x)
	if sum == 0 || float32(n)*limit <= 1 {
		for i := range out {
			out[i] = 1 / float32(n)
		}
		return out
	}
	scale := func(sum float32) {
		for i := range out {
			out[i] /= sum
		}
	}
	if slices.Max(x)/sum <= limit {
		scale(sum)
		return out
	}
	// The cut-off at which the shares above it, cut to it, are limit of what remains.
	shares := slices.Clone(x)
	slices.Sort(shares)
	running, below, k := float32(0), float32(0), 0
	for i, v := range shares {
		share := v / sum
		running += share
		if share/(float32(n-i-1)*share+running+epsilon) < limit {
			k, below = k+1, running
		}
	}
	cut := (limit*below - epsilon) / (1 - limit*float32(n-k)) * sum
	total := float32(0)
	for i := range out {
		out[i] = min(out[i], cut)
		total += out[i]
	}
	scale(total)
	return out
}
