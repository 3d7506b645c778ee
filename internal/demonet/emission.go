package demonet

import (
	"math/big"
	"math/bits"

	"github.com/taolight/taolight/verify"
)

// Constants of the chain's emission, in rao.
const (
	allIssuance  = 21_000_000_000_000_000 // coinbase/block_emission.rs TotalSupply; all there will ever be
	fullEmission = 1_000_000_000          // DefaultBlockEmission
	ownerCut     = 11_796                 // DefaultSubnetOwnerCut, of 65535

	// What the genesis block has issued: thirty blocks before the first halving.
	firstIssuance = allIssuance/2 - 30*fullEmission
)

// keyBalancesIssuance is the other count of what is issued.
var keyBalancesIssuance = verify.StorageKey("Balances", "TotalIssuance")

// Specs at which the place of what waits for an epoch changed.
const (
	specRootDivs     = 334 // PendingRootAlphaDivs, PendingAlphaSwapped before
	specPendingSplit = 343 // PendingServerEmission and PendingValidatorEmission, PendingEmission before
)

// pendingItems are where the parts of servers, validators and root wait. The first two are one before
// spec 343.
func (p *pallet) pendingItems() (server, validator, root string) {
	server, validator, root = "PendingServerEmission", "PendingValidatorEmission", "PendingRootAlphaDivs"
	if p.spec < specPendingSplit {
		server, validator = "PendingEmission", ""
	}
	if p.spec < specRootDivs {
		root = "PendingAlphaSwapped"
	}
	return server, validator, root
}

// blockEmission is get_block_emission_for_issuance: halved for each time that what is left can be
// doubled within the whole. It keeps the number in BlockEmission, whatever the issuance was of.
func (p *pallet) blockEmission(issuance uint64) uint64 {
	emission := uint64(0)
	if issuance < allIssuance {
		emission = fullEmission
		for left := allIssuance - issuance; 2*left <= allIssuance; left *= 2 {
			emission /= 2
		}
	}
	if key := value("BlockEmission"); p.number(key, fullEmission) != emission {
		p.put(key, u64(emission))
	}
	return emission
}

// add adds to a number that is 0 where it is not.
func (p *pallet) add(key []byte, more uint64) { p.put(key, u64(p.number(key, 0)+more)) }

// mint issues what a block issues, as far as there is any left (block_step.rs; tao.rs, mint_tao).
func (p *pallet) mint() uint64 {
	issued, balances := p.number(value("TotalIssuance"), 0), p.number(keyBalancesIssuance, 0)
	emission := p.blockEmission(issued)
	switch p.emissionFault {
	case WrongMint:
		balances -= emission // it stays as it is: full
	case WrongGrowth:
		emission++
	default:
		emission = min(emission, allIssuance-min(allIssuance, balances))
	}
	p.put(value("TotalIssuance"), u64(issued+emission))
	p.put(keyBalancesIssuance, u64(balances+emission))
	if p.emissionFault == Recycling {
		p.put(value("TotalIssuance"), u64(issued-emission))
	}
	return emission
}

// emits is get_subnets_to_emit_to, of one.
func (p *pallet) emits(netuid uint16) bool {
	return p.has(identity("FirstEmissionBlockNumber", netuid)) &&
		p.number(identity("SubtokenEnabled", netuid), 0) != 0 &&
		p.number(identity("NetworkRegistrationAllowed", netuid), 1) != 0
}

// coinbase is the first half of run_coinbase: the block's TAO goes in equal parts into the pools, with
// alpha at their price, and the alpha of the participants to what waits for the epoch. Equal parts are
// our own: the real chain looks at prices and flows.
func (p *pallet) coinbase(networks []uint16, emission uint64) {
	var to []uint16
	prices := uint64(0) // in 2^-32
	for _, netuid := range networks {
		if p.emits(netuid) {
			to = append(to, netuid)
			prices += p.number(identity("SubnetMovingPrice", netuid), 0)
		}
	}
	sold := prices > 1<<32 // get_network_root_sell_flag
	for _, netuid := range to {
		of := func(name string) []byte { return identity(name, netuid) }
		tao, in, out := p.number(of("SubnetTAO"), 0), p.number(of("SubnetAlphaIn"), 0), p.number(of("SubnetAlphaOut"), 0)
		alpha := p.blockEmission(in + out)
		taoIn, alphaIn := emission/uint64(len(to)), uint64(0)
		if tao != 0 {
			hi, lo := bits.Mul64(taoIn, in)
			if hi < tao {
				alphaIn, _ = bits.Div64(hi, lo, tao)
			}
			alphaIn = min(alphaIn, alpha)
		}
		p.put(of("SubnetTaoInEmission"), u64(taoIn))
		p.put(of("SubnetAlphaInEmission"), u64(alphaIn))
		if p.emissionFault == WrongAlpha {
			alpha++
		}
		p.put(of("SubnetAlphaOutEmission"), u64(alpha))
		p.put(of("SubnetTAO"), u64(tao+taoIn))
		p.put(of("SubnetAlphaIn"), u64(in+alphaIn))
		p.put(of("SubnetAlphaOut"), u64(out+alpha))
		p.accrue(netuid, alpha, in+alphaIn+out+alpha, sold)
	}
}

// accrue shares the alpha of the participants of a block out, in U96F32: n/2^32, rounded down after
// each step.
func (p *pallet) accrue(netuid uint16, alpha, issuance uint64, sold bool) {
	fixed := func(v uint64) *big.Int { return new(big.Int).Lsh(new(big.Int).SetUint64(v), 32) }
	mul := func(a, b *big.Int) *big.Int { x := new(big.Int).Mul(a, b); return x.Rsh(x, 32) }
	div := func(a, b *big.Int) *big.Int {
		if b.Sign() == 0 {
			return new(big.Int)
		}
		return new(big.Int).Div(new(big.Int).Lsh(a, 32), b)
	}
	whole := func(a *big.Int) uint64 { return new(big.Int).Rsh(a, 32).Uint64() }
	half := big.NewInt(1 << 31)

	left := fixed(alpha)
	cut := mul(left, div(fixed(p.number(value("SubnetOwnerCut"), ownerCut)), fixed(65_535)))
	left.Sub(left, cut)
	p.add(identity("PendingOwnerCut", netuid), whole(cut))

	// root_proportion: the TAO on the root by its weight, of that and the subnet's alpha.
	tao := mul(fixed(p.number(identity("SubnetTAO", 0), 0)), part(p.number(value("TaoWeight"), taoWeight)))
	root := mul(mul(div(tao, new(big.Int).Add(tao, fixed(issuance))), left), half)
	toServers, toValidators, toRoot := p.pendingItems()
	servers := new(big.Int).Sub(left, root)
	if toValidators != "" {
		servers = mul(left, half)
		validators := new(big.Int).Sub(left, servers)
		p.add(identity(toValidators, netuid), whole(validators.Sub(validators, root)))
	}
	p.add(identity(toServers, netuid), whole(servers))
	if sold {
		p.add(identity(toRoot, netuid), whole(root))
	}
}

// take empties what waits for the epoch, and returns what there is to hand out. The owner's cut goes
// nowhere here.
func (p *pallet) take(netuid uint16) (rao uint64) {
	server, validator, root := p.pendingItems()
	for _, name := range []string{server, validator, root} {
		if name != "" {
			rao += p.number(identity(name, netuid), 0)
			p.put(identity(name, netuid), u64(0))
		}
	}
	p.put(identity("PendingOwnerCut", netuid), u64(0))
	return rao
}

// mintable writes into the genesis state what emission begins with.
func (p *pallet) mintable() {
	p.put(value("TotalIssuance"), u64(firstIssuance))
	p.put(keyBalancesIssuance, u64(firstIssuance)) // most of it is in the subnets, whose accounts are not here
	switch p.emissionFault {
	case WrongMint:
		p.put(keyBalancesIssuance, u64(allIssuance))
	case WrongIssuance:
		p.put(value("TotalIssuance"), u64(allIssuance+1))
	case WrongBalances:
		p.put(keyBalancesIssuance, u64(allIssuance+1))
	}
	p.put(value("BlockEmission"), u64(fullEmission))
	p.put(value("SubnetOwnerCut"), u16(ownerCut))
}

// pool writes into the genesis state a subnet's pool: alpha at a price of 0.6, and as much again
// outside of it. That of the root is the TAO staked there.
func (p *pallet) pool(netuid uint16) {
	p.put(identity("SubnetTAO", netuid), u64(30_000_000_000_000))
	p.put(identity("SubnetAlphaIn", netuid), u64(50_000_000_000_000))
	p.put(identity("SubnetAlphaOut", netuid), u64(50_000_000_000_000))
	price := make([]byte, 16) // I96F32
	copy(price, u64(6<<32/10))
	p.put(identity("SubnetMovingPrice", netuid), price)
}
