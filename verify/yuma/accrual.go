package yuma

import (
	"math"

	"github.com/taolight/taolight/verify/rules"
)

// An Accrual is what a block adds to what waits for the epoch of one subnet, if the subnet is one that
// gets emission (FirstEmissionBlockNumber is set, SubtokenEnabled and NetworkRegistrationAllowed, and
// SubnetEmissionEnabled where there is such a thing).
type Accrual struct {
	AlphaOut        uint64 // BlockEmission of the subnet's alpha; also stored, as SubnetAlphaOutEmission
	SubnetOwnerCut  uint16 // of 65535
	OwnerCutEnabled bool   // counts with rules.Set.OwnerCutSwitch; without it, it is
}

// ownerCut returns the owner's part, and what is left.
func (a Accrual) ownerCut(r rules.Set) (cut, left U96F32) {
	left = U96F32From(a.AlphaOut)
	if a.OwnerCutEnabled || !r.OwnerCutSwitch {
		cut = left.Mul(U96F32From(uint64(a.SubnetOwnerCut)).SafeDiv(U96F32From(math.MaxUint16)))
		left = left.Sub(cut)
	}
	return cut, left
}

// half is 0.5.
var half = U96F32{u128{lo: 1 << 31}}

// An Accrued is what was added, in rao of alpha: to PendingOwnerCut, PendingServerEmission,
// PendingValidatorEmission and PendingRootAlphaDivs. Without rules.Set.PendingSplit, servers and
// validators are together in Server (PendingEmission), and Root is PendingRootAlphaDivs or, before
// that, PendingAlphaSwapped.
type Accrued struct{ OwnerCut, Server, Validator, Root uint64 }

// Emission returns what the epoch has to hand out of it: all but the owner's cut.
func (a Accrued) Emission() uint64 {
	return saturatingAdd(saturatingAdd(a.Server, a.Validator), a.Root)
}

// Add returns what the block adds. root is RootProportion after the block has put alpha into the pool,
// and sold tells whether the part of root is kept to be sold, and not recycled: whether the moving
// prices of all subnets that get emission come to more than 1 (pallets/subtensor/src/coinbase/
// run_coinbase.rs, emit_to_subnets and get_network_root_sell_flag).
func (a Accrual) Add(root U96F32, sold bool, r rules.Set) Accrued {
	cut, left := a.ownerCut(r)
	ofRoot := root.Mul(left).Mul(half)
	out := Accrued{OwnerCut: cut.U64()}
	if r.PendingSplit {
		server := left.Mul(half)
		out.Server, out.Validator = server.U64(), left.Sub(server).Sub(ofRoot).U64()
	} else {
		out.Server = left.Sub(ofRoot).U64()
	}
	if sold {
		out.Root = ofRoot.U64()
	}
	return out
}

// Emission returns the least and the greatest that Add(…).Emission() can be if the part of root is sold,
// whatever its proportion is: they differ by 1 rao at most, which two numbers lose that are rounded down
// and not one.
func (a Accrual) Emission(r rules.Set) (least, greatest uint64) {
	_, left := a.ownerCut(r)
	greatest = left.U64()
	if r.PendingSplit {
		server := left.Mul(half)
		greatest = saturatingAdd(server.U64(), left.Sub(server).U64())
	}
	return greatest - min(greatest, 1), greatest
}

// RootProportion returns the part that root has in a subnet: its TAO (SubnetTAO of netuid 0), weighted
// by TaoWeight, of that and the subnet's alpha (SubnetAlphaIn and SubnetAlphaOut) together
// (pallets/subtensor/src/coinbase/block_step.rs, root_proportion).
func RootProportion(rootTAO, taoWeight, alphaIssuance uint64) U96F32 {
	tao := U96F32From(rootTAO).Mul(proportion(taoWeight))
	return tao.SafeDiv(tao.Add(U96F32From(alphaIssuance)))
}
