package demonet

import (
	"encoding/binary"
	"math"
	"math/big"
	"slices"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/yuma"
	"github.com/taolight/taolight/verify/yuma/reference"
)

// A drained is a subnet whose epoch runs in this block, with what there is to hand out.
type drained struct {
	netuid uint16
	rao    uint64
}

// epochs runs the epochs of a block, in the order of netuids.
func (p *pallet) epochs(due []drained) {
	slices.SortFunc(due, func(a, b drained) int { return int(a.netuid) - int(b.netuid) })
	for _, d := range due {
		if !p.quiet {
			p.runEpoch(d)
		}
		p.put(identity("LastMechansimStepBlock", d.netuid), u64(p.block))
	}
}

// runEpoch is epoch_with_mechanisms (subnets/mechanism.rs): it computes with the slow reference, as
// package yuma is what is judged by this chain, and stores. Nothing is distributed.
func (p *pallet) runEpoch(d drained) {
	set := p.rules()
	shares := p.shares(d)
	var each []*yuma.Outputs
	for mecid, rao := range shares {
		in := p.inputs(d.netuid, uint8(mecid))
		in.Emission = rao
		each = append(each, reference.Epoch(in, set))
	}
	all := together(d.rao, each, shares)

	r := EpochRecord{Netuid: d.netuid, Block: uint32(p.block), Epoch: p.epoch(d.netuid), Rao: d.rao}
	if n := uint64(len(p.faults)); n > 0 {
		// Only who has no stake: a permit that a validator lacks would change what becomes of its commits.
		var idle []uint16
		owner, _ := p.owner(d.netuid)
		for uid, share := range all.StakeWeight {
			if !all.ValidatorPermit[uid] && share == 0 && uid != int(owner) {
				idle = append(idle, uint16(uid))
			}
		}
		seed := p.secret("epoch fault", uint64(d.netuid)<<48|r.Epoch)
		f := p.faults[(r.Epoch+n-1)%n]
		if f == WrongStakeWeight && set.StakeWeightStale {
			f = NoEpochFault // it is not stored
		}
		r.spoil(f, seed, idle, all, each)
	}
	p.records = append(p.records, r)

	put := func(name string, value []byte) { p.put(identity(name, d.netuid), value) }
	for mecid, out := range each {
		index := indexOf(d.netuid, uint8(mecid))
		p.put(identity("Incentive", index), vecU16(out.Incentive))
		for uid, row := range out.Bonds {
			key := pair("Bonds", index, uint16(uid))
			if set.Mechanisms || len(row) > 0 || p.has(key) {
				p.put(key, appendRow(row))
			}
		}
	}
	put("Active", vecBool(all.Active))
	put("Emission", vecU64(all.Emission))
	put("Consensus", vecU16(all.Consensus))
	put("Dividends", vecU16(all.Dividends))
	put("ValidatorTrust", vecU16(all.ValidatorTrust))
	put("ValidatorPermit", vecBool(all.ValidatorPermit))
	if !set.StakeWeightStale {
		put("StakeWeight", vecU16(all.StakeWeight))
	}
	if !set.NoRanks {
		put("Rank", vecU16(all.Rank))
		put("Trust", vecU16(all.Trust))
		put("PruningScores", vecU16(all.PruningScores))
	}
}

// rules are what the reference wants to know of the runtime.
func (p *pallet) rules() rules.Set {
	set, err := rules.ForEpoch(min(p.spec, specNewest))
	if err != nil {
		panic(err) // Config lets nothing compute below specTimelocked
	}
	return set
}

// shares is split_emissions: what each mechanism gets, the first with what is left over.
func (p *pallet) shares(d drained) []uint64 {
	out := make([]uint64, max(1, p.mechanisms(d.netuid)))
	split, has := p.t.Get(twox("MechanismEmissionSplit", d.netuid))
	rest := d.rao
	parts := scale.NewReader(split)
	if has {
		parts.Count(2, math.MaxUint8)
	}
	for i := range out {
		out[i] = d.rao / uint64(len(out))
		if has {
			out[i] = 0
			if parts.Len() > 0 {
				x := new(big.Int).Mul(new(big.Int).SetUint64(d.rao), big.NewInt(int64(parts.U16())))
				out[i] = x.Div(x, big.NewInt(math.MaxUint16)).Uint64()
			}
		}
		rest -= out[i]
	}
	out[0] += rest
	return out
}

// together is what a subnet stores for all of its mechanisms: averages by what each had of the
// emission, a share of 2^64, cut to whole numbers at each step.
func together(rao uint64, each []*yuma.Outputs, shares []uint64) *yuma.Outputs {
	n := len(each[0].Active)
	all := &yuma.Outputs{
		Active: make([]bool, n), ValidatorPermit: make([]bool, n), Emission: make([]uint64, n),
		StakeWeight: make([]uint16, n), Consensus: make([]uint16, n), Dividends: make([]uint16, n), ValidatorTrust: make([]uint16, n),
		Rank: make([]uint16, n), Trust: make([]uint16, n), PruningScores: make([]uint16, n),
	}
	for k, e := range each {
		share := new(big.Int)
		switch {
		case rao != 0:
			share.Div(share.Lsh(new(big.Int).SetUint64(shares[k]), 64), new(big.Int).SetUint64(rao))
		case k == 0:
			share.Lsh(big.NewInt(1), 64)
		}
		of := func(v uint64) uint64 {
			x := new(big.Int).Mul(share, new(big.Int).SetUint64(v))
			return x.Rsh(x, 64).Uint64()
		}
		for uid := range n {
			all.Active[uid] = all.Active[uid] || e.Active[uid]
			all.ValidatorPermit[uid] = all.ValidatorPermit[uid] || e.ValidatorPermit[uid]
			all.Emission[uid] += of(e.Emission[uid])
			all.StakeWeight[uid] += uint16(of(uint64(e.StakeWeight[uid])))
			all.Consensus[uid] += uint16(of(uint64(e.Consensus[uid])))
			all.Dividends[uid] += uint16(of(uint64(e.Dividends[uid])))
			all.ValidatorTrust[uid] += uint16(of(uint64(e.ValidatorTrust[uid])))
			all.Rank[uid] += uint16(of(uint64(e.Rank[uid])))
			all.Trust[uid] += uint16(of(uint64(e.Trust[uid])))
			all.PruningScores[uid] += uint16(of(uint64(e.PruningScores[uid])))
		}
	}
	return all
}

// inputs is what the epoch of one mechanism reads, but for its emission.
func (p *pallet) inputs(netuid uint16, mecid uint8) *yuma.Inputs {
	index := indexOf(netuid, mecid)
	of := func(name string, otherwise uint64) uint64 { return p.number(identity(name, netuid), otherwise) }
	alphas := of("AlphaValues", 58_982<<16|45_875) // (u16, u16)
	in := &yuma.Inputs{
		Block: p.block, Tempo: uint16(p.tempo(netuid)),
		ActivityCutoff:             uint16(of("ActivityCutoff", 5000)),
		ActivityCutoffFactorMilli:  uint32(of("ActivityCutoffFactorMilli", 13_889)),
		LastMechansimStepBlock:     of("LastMechansimStepBlock", 0),
		StakeThreshold:             p.number(value("StakeThreshold"), 0),
		Owner:                      -1,
		LastUpdate:                 p.lastUpdate(index),
		MaxAllowedValidators:       uint16(of("MaxAllowedValidators", 128)),
		Kappa:                      uint16(of("Kappa", 32_767)),
		BondsPenalty:               uint16(of("BondsPenalty", 65_535)),
		BondsMovingAverage:         of("BondsMovingAverage", 900_000),
		Yuma3On:                    p.number(blake("Yuma3On", netuid), 0) != 0,
		LiquidAlphaOn:              p.number(blake("LiquidAlphaOn", netuid), 0) != 0,
		AlphaLow:                   uint16(alphas),
		AlphaHigh:                  uint16(alphas >> 16),
		AlphaSigmoidSteepness:      int32(int16(of("AlphaSigmoidSteepness", 1000))),
		CommitRevealWeightsEnabled: of("CommitRevealWeightsEnabled", 1) != 0,
		CommitBlocks:               p.commitBlocks(netuid, index),
	}
	if uid, ok := p.owner(netuid); ok {
		in.Owner = int(uid)
	}
	if b, ok := p.t.Get(identity("ValidatorPermit", netuid)); ok {
		r := scale.NewReader(b)
		for range r.Count(1, math.MaxUint16) {
			in.ValidatorPermit = append(in.ValidatorPermit, r.Bool())
		}
	}
	for uid := range uint16(p.size(netuid)) {
		who, _ := p.hotkey(netuid, uid)
		stake := p.stakeOf(netuid, who) // below 2^127
		hi, lo := new(big.Int).Rsh(stake, 64), new(big.Int).And(stake, new(big.Int).SetUint64(math.MaxUint64))
		in.Stake = append(in.Stake, yuma.I64F64FromRaw(hi.Int64(), lo.Uint64()))
		in.BlockAtRegistration = append(in.BlockAtRegistration, p.number(pair("BlockAtRegistration", netuid, uid), 0))
		in.Weights = append(in.Weights, p.row(pair("Weights", index, uid)))
		in.Bonds = append(in.Bonds, p.row(pair("Bonds", index, uid)))
	}
	return in
}

// commitBlocks is commit_blocks of epoch_mechanism: the block of each neuron's first commit that has
// not expired.
func (p *pallet) commitBlocks(netuid, index uint16) []uint64 {
	out := make([]uint64, p.size(netuid))
	first := func(who [32]byte, block uint64) {
		if uid, ok := p.uid(netuid, who); ok && int(uid) < len(out) {
			out[uid] = min(out[uid], block)
		}
	}
	for uid := range out {
		out[uid] = yuma.NoCommit
	}
	for _, key := range p.t.Keys(twox("WeightCommits", index), nil, 0) {
		for _, c := range p.hashedQueue(key) {
			if p.expired(netuid, c) {
				continue
			}
			block := c.a
			if p.stateful() {
				block = c.b
			}
			first([32]byte(key[len(key)-32:]), block)
		}
	}
	for _, key := range p.t.Keys(twox("TimelockedWeightCommits", index), nil, 0) {
		// The epoch is the last of the key, and has not expired within the reveal period.
		e := binary.LittleEndian.Uint64(key[len(key)-8:])
		if e+p.revealPeriod(netuid) < p.epoch(netuid) {
			continue
		}
		for _, c := range p.timelockedQueue(key) {
			first(c.who, c.block)
		}
	}
	return out
}

func (p *pallet) row(key []byte) []yuma.Weight {
	b, ok := p.t.Get(key)
	if !ok {
		return nil
	}
	r := scale.NewReader(b)
	out := make([]yuma.Weight, r.Count(4, math.MaxUint16))
	for i := range out {
		out[i] = yuma.Weight{UID: r.U16(), Value: r.U16()}
	}
	return out
}

func appendRow(row []yuma.Weight) []byte {
	b := scale.AppendCompact(nil, uint64(len(row)))
	for _, w := range row {
		b = scale.AppendU16(scale.AppendU16(b, w.UID), w.Value)
	}
	return b
}
