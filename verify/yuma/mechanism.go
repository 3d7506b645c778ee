package yuma

import "math/bits"

// SplitEmission returns what each of count mechanisms of a subnet gets of rao: by split, in parts of
// 65535 (MechanismEmissionSplit), or the same if it is nil. The first gets what is left over
// (pallets/subtensor/src/subnets/mechanism.rs, split_emissions).
func SplitEmission(rao uint64, count uint8, split []uint16) []uint64 {
	out := make([]uint64, count)
	if count == 0 {
		return out
	}
	var given uint64
	for i := range out {
		if split == nil {
			out[i] = rao / uint64(count)
		} else {
			hi, lo := bits.Mul64(rao, uint64(at(split, i)))
			out[i], _ = bits.Div64(hi, lo, 65535) // hi is below 65535
		}
		given += out[i]
	}
	// Parts that come to more than 65535, which the chain does not let in, leave nothing over.
	if given <= rao {
		out[0] = saturatingAdd(out[0], rao-given)
	}
	return out
}

// Aggregate returns what a subnet with several mechanisms stores for all of them, from their epochs in
// the order of the mechanisms, and what each had of rao (SplitEmission). One mechanism makes no
// difference (mechanism.rs, epoch_with_mechanisms).
//
// Incentive and Bonds are nil: these are stored for each mechanism. Emission is an average by the
// emission of the mechanisms, not the sum of theirs, and so are the other figures; active is who is
// active in any, and so are permits. What servers and validators get is the sum, and so is RawStake.
func Aggregate(rao uint64, epochs []*Outputs, emission []uint64) *Outputs {
	all := new(Outputs)
	for k, e := range epochs {
		share := u128{} // of the emission, times 2^64
		switch {
		case rao != 0:
			share.hi = at(emission, k) / rao
			share.lo, _ = bits.Div64(at(emission, k)%rao, 0, rao)
		case k == 0:
			share.hi = 1
		}
		for _, x := range []struct {
			to   *[]uint16
			from []uint16
		}{
			{&all.StakeWeight, e.StakeWeight},
			{&all.Consensus, e.Consensus},
			{&all.Dividends, e.Dividends},
			{&all.ValidatorTrust, e.ValidatorTrust},
			{&all.Rank, e.Rank},
			{&all.Trust, e.Trust},
			{&all.PruningScores, e.PruningScores},
		} {
			for i, v := range grow(x.to, x.from) {
				(*x.to)[i] = uint16(min(saturatingAdd(uint64((*x.to)[i]), share.of(uint64(v))), 65535))
			}
		}
		for i, v := range grow(&all.Emission, e.Emission) {
			all.Emission[i] = saturatingAdd(all.Emission[i], share.of(v))
		}
		for i, v := range grow(&all.ServerEmission, e.ServerEmission) {
			all.ServerEmission[i] = saturatingAdd(all.ServerEmission[i], v)
		}
		for i, v := range grow(&all.ValidatorEmission, e.ValidatorEmission) {
			all.ValidatorEmission[i] = saturatingAdd(all.ValidatorEmission[i], v)
		}
		for i, v := range grow(&all.RawStake, e.RawStake) {
			all.RawStake[i] = saturatingAdd(all.RawStake[i], v)
		}
		for i, v := range grow(&all.Active, e.Active) {
			all.Active[i] = all.Active[i] || v
		}
		for i, v := range grow(&all.ValidatorPermit, e.ValidatorPermit) {
			all.ValidatorPermit[i] = all.ValidatorPermit[i] || v
		}
	}
	return all
}

// grow makes *to as long as from, and returns from.
func grow[T any](to *[]T, from []T) []T {
	if len(*to) < len(from) {
		*to = append(*to, make([]T, len(from)-len(*to))...)
	}
	return from
}

// of returns v times a share of 2^64, rounded down.
func (x u128) of(v uint64) uint64 {
	p, _, ok := x.mul(u128{hi: v}, 64)
	if !ok {
		return ^uint64(0)
	}
	return p.hi
}
