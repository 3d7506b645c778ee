package yuma

import "math/bits"

// Constants of the chain's issuance, in rao (pallets/subtensor/src/coinbase/block_emission.rs, tao.rs).
const (
	// MaxIssuance is all the TAO there will ever be, and all the alpha of one subnet: 21 million.
	MaxIssuance = 21_000_000_000_000_000
	// FullBlockEmission is what a block emits before the first halving.
	FullBlockEmission = 1_000_000_000
)

// halvings returns how often the emission was halved at that issuance: as often as what is left to issue
// can be doubled within the whole. The runtime has it as the whole part of a logarithm in I96F32; for
// every issuance the emission is the same.
func halvings(issuance uint64) int {
	left := MaxIssuance - issuance
	k := bits.Len64(MaxIssuance) - bits.Len64(left)
	if left<<k > MaxIssuance {
		k--
	}
	return k
}

// BlockEmission returns what a block emits at that issuance: of TAO at TotalIssuance, in all subnets
// together, and of a subnet's alpha at SubnetAlphaIn and SubnetAlphaOut together. It depends on the
// issuance only, not on the block: what is recycled is issued again
// (block_emission.rs, get_block_emission_for_issuance).
func BlockEmission(issuance uint64) uint64 {
	if issuance >= MaxIssuance {
		return 0
	}
	return FullBlockEmission >> halvings(issuance)
}

// NextHalving returns the issuance from which on a block emits less than at this one, and what it emits
// then. ok is false if it emits nothing as it is.
func NextHalving(issuance uint64) (at, emission uint64, ok bool) {
	emission = BlockEmission(issuance)
	if emission == 0 {
		return 0, 0, false
	}
	k := halvings(issuance) + 1
	return MaxIssuance - MaxIssuance>>k, FullBlockEmission >> k, true
}

// Mintable returns how much of an emission of TAO is minted: no more than is left of MaxIssuance in
// Balances.TotalIssuance (tao.rs, mint_tao).
func Mintable(emission, balances uint64) uint64 {
	return min(emission, MaxIssuance-min(MaxIssuance, balances))
}
