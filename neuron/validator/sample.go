package validator

import (
	"math/rand/v2"
	"slices"

	"github.com/taolight/taolight/verify"
)

// A Neuron is a row of the proven metagraph, as far as it matters here.
type Neuron struct {
	UID    uint16
	Hotkey verify.AccountID
	Axon   string // address and port; empty: it serves nothing
	Permit bool
	Stake  uint64 // rao
}

// Sample picks up to n miners at random: neurons that serve, without ourselves and without those that may validate and
// have more stake than limit (template/utils/uids.py). The order is by uid.
func Sample(neurons []Neuron, self verify.AccountID, n int, limit uint64, r *rand.Rand) []Neuron {
	var list []Neuron
	for _, x := range neurons {
		if x.Axon != "" && x.Hotkey != self && (!x.Permit || x.Stake <= limit) {
			list = append(list, x)
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:min(n, len(list))]
	slices.SortFunc(list, func(a, b Neuron) int { return int(a.UID) - int(b.UID) })
	return list
}
