package demonet

import (
	"math"
	"math/big"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// staked is check_weights_min_stake but for the owner.
func (p *pallet) staked(netuid uint16, who verify.AccountID) bool {
	threshold := new(big.Int).SetUint64(p.number(value("StakeThreshold"), 0))
	return p.stakeOf(netuid, who).Cmp(threshold.Lsh(threshold, 64)) >= 0
}

// part is v of 2^64-1 as U96F32.
func part(v uint64) *big.Int {
	x := new(big.Int).Lsh(new(big.Int).SetUint64(v), 32)
	return x.Div(x, new(big.Int).SetUint64(math.MaxUint64))
}

// stakeOf is get_stake_weights_for_hotkey_on_subnet, times 2^64, with whole numbers of any size in
// place of the pallet's fixed-point types: U96F32 is n/2^32, rounded down after each step, I64F64 is
// n/2^64.
func (p *pallet) stakeOf(netuid uint16, who verify.AccountID) *big.Int {
	shift := func(v *big.Int, n uint) *big.Int { return new(big.Int).Lsh(v, n) }
	stake := func(who verify.AccountID, netuid uint16) *big.Int {
		return shift(new(big.Int).SetUint64(p.number(ofHotkey("TotalHotkeyAlpha", who, netuid), 0)), 32)
	}
	// get_inherited_for_hotkey_on_subnet, and get_tao_inherited… with the stake on the root: the
	// relatives are those of this subnet in both.
	inherited := func(of uint16) *big.Int {
		own, children := stake(who, of), new(big.Int)
		for _, c := range p.relatives("ChildKeys", who, netuid) {
			x := new(big.Int).Mul(own, part(c.proportion))
			children.Add(children, x.Rsh(x, 32))
		}
		if own.Sub(own, children); own.Sign() < 0 {
			own.SetUint64(0)
		}
		for _, c := range p.relatives("ParentKeys", who, netuid) {
			x := new(big.Int).Mul(stake(c.who, of), part(c.proportion))
			own.Add(own, x.Rsh(x, 32))
		}
		return own.Rsh(own, 32)
	}
	weight := shift(part(p.number(value("TaoWeight"), taoWeight)), 32)
	root := inherited(0)
	total := shift(inherited(netuid), 64)
	return total.Add(total, root.Mul(root, weight)) // ·2^64 by weight: (root·2^64 · weight) >> 64
}

type relative struct {
	proportion uint64
	who        verify.AccountID
}

func (p *pallet) relatives(name string, who verify.AccountID, netuid uint16) []relative {
	b, ok := p.t.Get(ofHotkey(name, who, netuid))
	if !ok {
		return nil
	}
	r := scale.NewReader(b)
	out := make([]relative, r.Count(40, math.MaxInt32))
	for i := range out {
		out[i].proportion = r.U64()
		r.Copy(out[i].who[:])
	}
	return out
}
