package main

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"runtime/debug"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
	"github.com/taolight/taolight/verify/yuma/reference"
)

// validators of the 256 neurons have weights and bonds, for and in all of them.
const validators = neurons / 4

// computations measures the epoch itself, from inputs that are read already: beside a plain loop of as many
// multiply-shifts as it takes, and beside the math/big reference of the tests.
//
// How many it takes is counted by what the algorithm does with each of the validators·neurons entries of a
// matrix. A product with its shift is one. A quotient, which the chain rounds to the bit, is two: the product with
// the reciprocal, and the one that tells whether that was 1 too little. To search the medians, to clip and to
// mask, sums, and whatever there is once for a neuron, count for none.
//
//	                                                                     products  quotients
//	all      weights ÷ row sum, preranks, ranks, moving average (two),
//	         bonds × incentive, bonds ÷ column sum, quantized bonds             6          2
//	Yuma2    and old bonds ÷ column sum, weights × stake, these ÷ column
//	         sum, bonds ÷ greatest                                              7          5
//	Yuma3    and old bonds ÷ 65535                                              6          3
//	liquid   and the exponent, the sigmoid (a quotient), the share              8          4
//	         and e to the exponent: both for each term of its series, and a
//	         quotient where it is negative
func computations() ([]row, error) {
	set, err := rules.For(rules.Ceiling)
	if err != nil {
		return nil, err
	}
	// A heap as a node has it, so that the collector does not run for every other epoch.
	heap := make([]byte, 16<<20)
	defer runtime.KeepAlive(heap)
	var rows []row
	for _, c := range []struct {
		name          string
		yuma3, liquid bool
		products      int
		quotients     int
	}{
		{"Yuma2", false, false, 7, 5},
		{"Yuma3", true, false, 6, 3},
		{"Yuma3 with liquid alpha", true, true, 8, 4},
	} {
		in := denseEpoch(c.yuma3, c.liquid)
		products, quotients := c.products*validators*neurons, c.quotients*validators*neurons
		if c.liquid {
			_, trace, err := yuma.Epoch(in, set)
			if err != nil {
				return nil, err
			}
			p, q := series(trace)
			products, quotients = products+p, quotients+q
		}
		count := products + 2*quotients
		x, y, z := operands()
		run := func() { _, _, err := yuma.Epoch(in, set); must(err) }
		t := race(run, func() {
			for left := count; left > 0; left -= len(x) {
				n := min(left, len(x))
				multiply(z[:n], x[:n], y[:n])
			}
		})
		slow := timed(func() { reference.Epoch(in, set) }, 1)
		for range 2 {
			slow = min(slow, timed(func() { reference.Epoch(in, set) }, 1))
		}
		allocs, size := allocated(run)
		ours := t[0]
		r := float64(ours) / float64(t[1])
		rows = append(rows, row{
			figure: fmt.Sprintf("epoch of %d neurons, %d dense validators: %s / %s multiply-shifts", neurons, validators, c.name, digits(count)), budget: "≤ 4.00",
			measured: fmt.Sprintf("%.2f  (%v, %v); %.2f were a quotient one as well", r, ours, t[1], r*float64(count)/float64(products+quotients)), ok: r <= 4,
		}, row{
			figure: "the same, time and memory", budget: "≤ 20 ms, 16 MB",
			measured: fmt.Sprintf("%.2f ms, the math/big reference %.0f ms, %.0f ×; %d allocations of %.2f MB, all together, so no peak is above that",
				ours.Seconds()*1e3, slow.Seconds()*1e3, float64(slow)/float64(ours), allocs, float64(size)/1e6),
			ok: ours.Milliseconds() < 20 && size <= 16e6,
		})
	}
	return rows, nil
}

// operands returns as many as an epoch has entries, about 1, and room for their products. They begin at different
// places of a page, since what is written to one would else hold up what is read from another.
func operands() (x, y, z []uint64) {
	const n, apart = validators * neurons, 40
	all := make([]uint64, 3*(n+apart))
	for i := range all {
		all[i] = rand.Uint64() >> 31
	}
	return all[:n], all[n+apart:][:n], all[2*(n+apart):][:n]
}

// multiply is the plain loop. It is a function of its own so that its place in the program, which alone can make it
// half as slow again, is that of a function.
//
//go:noinline
func multiply(z, x, y []uint64) {
	y, z = y[:len(x)], z[:len(x)]
	for i, v := range x {
		hi, lo := bits.Mul64(v, y[i])
		z[i] = hi<<32 | lo>>32
	}
}

// allocated returns what f allocates, the collector being off.
func allocated(f func()) (allocs, size uint64) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// series counts the products and quotients of the exponential functions of an epoch with liquid alpha, by the
// chain's own series on the differences that it was asked for.
func series(t *yuma.Trace) (products, quotients int) {
	one := int64(yuma.OneI32F32)
	for i := range t.WeightsForBonds.Rows() {
		bonds := make([]yuma.I32F32, neurons)
		for _, c := range t.OldBonds.Row(i) {
			bonds[c.UID] = c.Value
		}
		for _, c := range t.WeightsForBonds.Row(i) {
			d := bonds[c.UID] - c.Value
			if d <= 0 {
				d = c.Value - t.Consensus[c.UID]
			}
			x := -10 * (min(max(int64(d), 0), one) - one/2) // a steepness of 1000
			if x < 0 {
				x, quotients = -x, quotients+1
			}
			term := uint64(x)
			for k := uint64(2); k < 32 && term > 0; k++ {
				hi, lo := bits.Mul64(term, uint64(x))
				term = (hi<<32 | lo>>32) / k
				products, quotients = products+1, quotients+1
			}
		}
	}
	return products, quotients
}

// denseEpoch returns an epoch in which each validator has set weights for all, and has bonds in all.
func denseEpoch(yuma3, liquid bool) *yuma.Inputs {
	r := rand.New(rand.NewPCG(1, 2))
	in := &yuma.Inputs{
		Block: 1_000_000, Tempo: tempo, ActivityCutoffFactorMilli: 13_889, LastMechansimStepBlock: 1_000_000 - tempo, Owner: 0,
		MaxAllowedValidators: validators, Kappa: 32_767, BondsPenalty: 65_535, BondsMovingAverage: 900_000, Yuma3On: yuma3, LiquidAlphaOn: liquid,
		AlphaLow: 45_875, AlphaHigh: 58_982, AlphaSigmoidSteepness: 1000, CommitRevealWeightsEnabled: true, Emission: 180_500_000_000,
	}
	row := func() (out []yuma.Weight) {
		for j := range neurons {
			out = append(out, yuma.Weight{UID: uint16(j), Value: uint16(r.Uint32())})
		}
		return out
	}
	for i := range neurons {
		in.LastUpdate, in.BlockAtRegistration = append(in.LastUpdate, in.Block-1-r.Uint64N(tempo)), append(in.BlockAtRegistration, r.Uint64N(900_000))
		in.ValidatorPermit = append(in.ValidatorPermit, i < validators)
		if i >= validators {
			in.Stake, in.Weights, in.Bonds = append(in.Stake, yuma.I64F64{}), append(in.Weights, nil), append(in.Bonds, nil)
			continue
		}
		in.Stake = append(in.Stake, yuma.I64F64From(1e12+r.Uint64N(1e14)))
		in.Weights, in.Bonds = append(in.Weights, row()), append(in.Bonds, row())
	}
	return in
}
