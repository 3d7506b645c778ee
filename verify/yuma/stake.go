package yuma

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// StakeInputs is what the stake of one hotkey on one subnet is made of. Alpha and Root are
// TotalHotkeyAlpha of the hotkey on the subnet and on the root network, in rao.
type StakeInputs struct {
	Alpha, Root uint64
	Children    []uint64      // the proportions in ChildKeys(hotkey, netuid), of 2^64-1
	Parents     []ParentStake // the entries of ParentKeys(hotkey, netuid)
}

// A ParentStake is one parent of a hotkey: the proportion of its stake that it hands down, of
// 2^64-1, and its own TotalHotkeyAlpha on the subnet and on the root network, in rao.
type ParentStake struct {
	Proportion, Alpha, Root uint64
}

// Stake returns the stake weight of one hotkey in rao: its alpha, and its root stake times the TAO
// weight, each less what it hands to its children and with what it has from its parents
// (pallets/subtensor/src/staking/stake_utils.rs, get_stake_weights_for_hotkey_on_subnet). taoWeight
// is TaoWeight as stored, of 2^64-1.
func Stake(in StakeInputs, taoWeight uint64) I64F64 {
	alpha := inherited(in.Alpha, in, func(p ParentStake) uint64 { return p.Alpha })
	root := inherited(in.Root, in, func(p ParentStake) uint64 { return p.Root })
	return I64F64From(alpha).Add(I64F64From(root).Mul(proportion(taoWeight).I64F64()))
}

// inherited is get_inherited_for_hotkey_on_subnet. What goes to the children is taken off first, and
// not below 0: proportions that sum to more than the whole do not eat what comes from the parents.
func inherited(own uint64, in StakeInputs, of func(ParentStake) uint64) uint64 {
	initial := U96F32From(own)
	var out, back U96F32
	for _, p := range in.Children {
		out = out.Add(initial.Mul(proportion(p)))
	}
	for _, p := range in.Parents {
		back = back.Add(U96F32From(of(p)).Mul(proportion(p.Proportion)))
	}
	return initial.Sub(out).Add(back).U64()
}

// proportion returns p/(2^64-1), rounded down.
func proportion(p uint64) U96F32 {
	q, _ := bits.Div64(p>>32, p<<32, math.MaxUint64)
	return U96F32{u128{lo: q}}
}

// StakeWeights returns each neuron's share of the subnet's stake, by uid: totals below the threshold
// (in rao, StakeThreshold) count as 0, except the owner's. owner is the uid of the owner's hotkey, or
// -1 where it has none or is not exempt (rules.Set.OwnerExempt). Without any stake all shares are 0
// (pallets/subtensor/src/epoch/run_epoch.rs, epoch_mechanism).
func StakeWeights(total []I64F64, threshold uint64, owner int) []I32F32 {
	var sum I64F64
	for uid, t := range total {
		if counts(t, threshold, uid == owner) {
			sum.bits, _ = sum.bits.add(t.bits) // Iterator::sum wraps
		}
	}
	out := make([]I32F32, len(total))
	for uid, t := range total {
		if counts(t, threshold, uid == owner) && sum != (I64F64{}) {
			out[uid] = t.SafeDiv(sum).I32F32()
		}
	}
	return out
}

func counts(total I64F64, threshold uint64, owner bool) bool {
	return owner || total.U64() >= threshold
}

// Permits returns who has a validator permit after an epoch, by uid: the neurons with the most
// stake, up to MaxAllowedValidators of them and none without stake, and the owner. owner is as in
// StakeWeights (pallets/subtensor/src/epoch/math.rs, is_topk_nonzero).
func Permits(stake []I32F32, maxValidators uint16, owner int) []bool {
	permits := make([]bool, len(stake))
	uids := make([]int, len(stake))
	for uid, s := range stake {
		permits[uid], uids[uid] = s != 0, uid
	}
	if drop := len(stake) - int(maxValidators); drop > 0 {
		// The sort is stable, so of two with the same stake the lower uid goes first.
		slices.SortStableFunc(uids, func(a, b int) int { return cmp.Compare(stake[a], stake[b]) })
		for _, uid := range uids[:drop] {
			permits[uid] = false
		}
	}
	if owner >= 0 && owner < len(permits) {
		permits[owner] = true
	}
	return permits
}
