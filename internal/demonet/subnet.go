package demonet

import (
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A subnet says who is on a netuid and what they do.
type subnet struct {
	netuid     uint16
	neurons    int
	permits    int // uids below this have a validator permit
	kind       CommitKind
	mechanisms uint8
	least      uint16   // MinAllowedWeights
	committers []uint16 // uids that commit every tempo; one of them is the owner, who has no permit
	owner      uint16
	faulty     uint16 // the uid that commits with Config.CommitFaults
}

// The subnets of the demo network. The root takes no weights.
var subnets = []subnet{
	{netuid: 0, neurons: 8, permits: 2},
	{netuid: 1, neurons: 16, permits: 4, kind: TimelockedCommit, mechanisms: 2, least: 4, committers: []uint16{1, 5}, owner: 5, faulty: 3},
	{netuid: 3, neurons: 8, permits: 4, kind: HashCommit, mechanisms: 1, least: 3, committers: []uint16{0, 1, 4}, owner: 4, faulty: 2},
}

// residents are the uids whose hotkeys have a secret that everybody knows, so that anybody can be a neuron of the demo
// network: the developers of Substrate's development chains. //Alice may validate, the others mine. The chain itself does
// nothing for them.
var residents = map[[2]uint16]string{
	{1, 2}: "Alice", {1, 6}: "Bob", {1, 7}: "Charlie",
	{3, 3}: "Alice", {3, 5}: "Bob", {3, 6}: "Charlie",
}

// What all subnets have in common.
const (
	versionKey     = 841               // WeightsVersionKey
	stakeThreshold = 1_000_000_000_000 // rao; StakeThreshold
	taoWeight      = 971_718_665_099_567_868
	rateLimit      = 5 // WeightsSetRateLimit, 100 on the real chain
	weightsLimit   = 32_768
	maxValidators  = 64 // MaxAllowedValidators
)

// symbols are those of the subnets' tokens.
var symbols = map[uint16]string{0: "τ", 1: "α", 3: "γ"}

// identityOf is a SubnetIdentityV3 with nothing but a name.
func identityOf(name string) []byte {
	return append(scale.AppendBlob(nil, []byte(name)), make([]byte, 7)...)
}

// own writes what a neuron's coldkey has: the hotkey, all shares of its stake, and a little TAO. The
// neurons of odd uids serve.
func (c *crowd) own(p *pallet, s *subnet, uid uint16, hotkey verify.AccountID, coldkey [32]byte) {
	one := append(scale.AppendCompact(nil, 1), hotkey[:]...)
	p.put(verify.AppendBlake2b128Concat(item("OwnedHotkeys"), coldkey[:]), one)
	p.put(verify.AppendBlake2b128Concat(item("StakingHotkeys"), coldkey[:]), one)
	for _, id := range []uint16{0, s.netuid} {
		alpha := p.number(ofHotkey("TotalHotkeyAlpha", hotkey, id), 0)
		if alpha == 0 {
			continue
		}
		mine, all, share := "Alpha", "TotalHotkeyShares", append(u64(0), u64(alpha)...) // U64F64
		if p.spec >= specOwner {
			mine, all, share = "AlphaV2", "TotalHotkeySharesV2", append(append(u64(alpha), u64(0)...), u64(0)...) // SafeFloat
		}
		p.put(append(verify.AppendBlake2b128Concat(verify.AppendBlake2b128Concat(item(mine), hotkey[:]), coldkey[:]), u16(id)...), share)
		p.put(ofHotkey(all, hotkey, id), share)
	}
	if uid%2 == 1 {
		// AxonInfo: block u64, version u32, ip u128, port u16, then ip_type, protocol and two
		// placeholders. The addresses are of a block for documentation.
		axon := append(append(u64(0), u32(10_002_000)...), 0, 0, 0, 0)
		copy(axon[12:], []byte{byte(uid + 1), 113, 0, 203})
		axon = append(append(axon, make([]byte, 12)...), u16(8091)...)
		p.put(verify.AppendBlake2b128Concat(identity("Axons", s.netuid), hotkey[:]), append(axon, 4, 4, 0, 0))
	}
}

// A holder of a uid is known by how often the uid changed hands before an epoch, which it does in
// each epoch whose fault is NotRegistered.
func (c *crowd) holder(s *subnet, uid uint16, epoch uint64) verify.AccountID {
	if name, ok := residents[[2]uint16{s.netuid, uid}]; ok {
		return accountOf(developer(name))
	}
	hands := uint64(0)
	if list := ofKind(c.faults, s.kind); uid == s.faulty && slices.Contains(list, NotRegistered) {
		n := uint64(len(list))
		at := uint64(slices.Index(list, NotRegistered))
		for e := at; e < epoch; e += n {
			hands++
		}
	}
	return c.keys.secret("hotkey", hands<<32|uint64(s.netuid)<<16|uint64(uid))
}

// stake gives the holder of a uid what a validator of that uid has.
func (s *subnet) stake(p *pallet, uid uint16, who verify.AccountID) {
	alpha, root := uint64(0), uint64(0)
	switch {
	case int(uid) >= s.permits:
	case uid == 1:
		alpha, root = 600_000_000_000, 200_000_000_000 // less than the threshold by itself
	case s.netuid == 3 && uid == 3:
		alpha = 1_300_000_000_000 // little, since it may have no weights and would else outvote those that have
	default:
		alpha = uint64(uid+2) * 1_000_000_000_000
		root = uint64(uid+1) * 700_000_000_000
	}
	p.put(ofHotkey("TotalHotkeyAlpha", who, s.netuid), u64(alpha))
	if s.netuid != 0 && root != 0 {
		p.put(ofHotkey("TotalHotkeyAlpha", who, 0), u64(root))
	}
}

// sabotage does, two blocks before an epoch begins, what makes the faulty validator's commit fail.
func (c *crowd) sabotage(p *pallet, s *subnet, f CommitFault, epoch uint64) {
	who, ok := p.hotkey(s.netuid, s.faulty)
	if !ok {
		return
	}
	switch f {
	case StakeTooLow:
		p.put(ofHotkey("TotalHotkeyAlpha", who, s.netuid), u64(0))
		p.remove(ofHotkey("TotalHotkeyAlpha", who, 0))
	case NoPermit:
		// There are fewer places than validators, and its stake is the least that counts, so that the
		// epoch gives it none either.
		p.setPermit(s.netuid, s.faulty, false)
		p.put(identity("MaxAllowedValidators", s.netuid), u16(uint16(s.permits-1)))
		p.put(ofHotkey("TotalHotkeyAlpha", who, s.netuid), u64(stakeThreshold))
		p.remove(ofHotkey("TotalHotkeyAlpha", who, 0))
	case NotRegistered:
		hotkey, coldkey := c.holder(s, s.faulty, epoch+1), c.keys.account("coldkey", int(s.netuid)<<16|int(s.faulty))
		p.replaceNeuron(s.netuid, s.faulty, hotkey)
		p.put(verify.AppendBlake2b128Concat(item("Owner"), hotkey[:]), coldkey[:])
	case NoMechanism:
		p.setMechanisms(s.netuid, 1)
	}
}

// mend undoes the sabotage of the epoch before.
func (c *crowd) mend(p *pallet, s *subnet, f CommitFault, epoch uint64) {
	who, ok := p.hotkey(s.netuid, s.faulty)
	if !ok {
		return
	}
	switch f {
	case StakeTooLow, NotRegistered:
		s.stake(p, s.faulty, who)
		p.setPermit(s.netuid, s.faulty, true)
	case NoPermit:
		s.stake(p, s.faulty, who)
		p.put(identity("MaxAllowedValidators", s.netuid), u16(maxValidators))
		p.setPermit(s.netuid, s.faulty, true)
	case NoMechanism:
		p.setMechanisms(s.netuid, s.mechanisms)
	}
}

// replaceNeuron is replace_neuron with its clear_neuron (subnets/uids.rs).
func (p *pallet) replaceNeuron(netuid, uid uint16, who verify.AccountID) {
	old, _ := p.hotkey(netuid, uid)
	p.remove(uidKey(netuid, old))
	p.remove(ofHotkey("IsNetworkMember", old, netuid))
	p.remove(verify.AppendBlake2b128Concat(identity("Axons", netuid), old[:]))
	p.put(pair("Keys", netuid, uid), who[:])
	p.put(uidKey(netuid, who), u16(uid))
	p.put(pair("BlockAtRegistration", netuid, uid), u64(p.block))
	p.put(ofHotkey("IsNetworkMember", who, netuid), []byte{1})
	for mecid := range p.mechanisms(netuid) {
		index := indexOf(netuid, mecid)
		p.clearAt("Incentive", index, uid, 2)
		p.remove(pair("Bonds", index, uid))
		p.remove(pair("Weights", index, uid))
		for other := range uint16(p.size(netuid)) {
			p.clearWeight(pair("Weights", index, other), uid)
		}
	}
	p.clearAt("Emission", netuid, uid, 8)
	for _, name := range []string{"Consensus", "Dividends", "StakeWeight", "ValidatorTrust"} {
		p.clearAt(name, netuid, uid, 2)
	}
	p.setPermit(netuid, uid, false)
	p.setActive(netuid, uid)
	for mecid := range p.mechanisms(netuid) {
		p.setLastUpdate(indexOf(netuid, mecid), uid)
	}
}

// clearAt sets an element of a list of width bytes each to zero.
func (p *pallet) clearAt(name string, index, uid uint16, width int) {
	key := identity(name, index)
	b, ok := p.t.Get(key)
	if !ok {
		return
	}
	r := scale.NewReader(b)
	if n := r.Count(width, 1<<16); int(uid) >= n {
		return
	}
	b = slices.Clone(b)
	at := r.Offset() + int(uid)*width
	clear(b[at : at+width])
	p.put(key, b)
}

// clearWeight sets the weight of a uid in somebody's row to zero.
func (p *pallet) clearWeight(key []byte, uid uint16) {
	b, ok := p.t.Get(key)
	if !ok {
		return
	}
	r := scale.NewReader(b)
	n := r.Count(4, 1<<16)
	at := r.Offset()
	out := slices.Clone(b)
	for i := range n {
		if r.U16() == uid {
			clear(out[at+4*i+2 : at+4*i+4])
		}
		r.U16()
	}
	p.put(key, out)
}

// setMechanisms is update_mechanism_counts_if_needed (subnets/mechanism.rs).
func (p *pallet) setMechanisms(netuid uint16, count uint8) {
	old := p.mechanisms(netuid)
	for mecid := count; mecid < old; mecid++ {
		index := indexOf(netuid, mecid)
		for _, key := range p.t.Keys(twox("TimelockedWeightCommits", index), nil, 0) {
			for _, c := range p.timelockedQueue(key) {
				p.lost(TimelockedCommit, netuid, mecid, c.who, c.hash(), whyNoMechanism)
				p.gone(TimelockedCommit, netuid, mecid, c.who, c.hash())
			}
		}
		for _, prefix := range [][]byte{
			identity("Weights", index), identity("Bonds", index), twox("WeightCommits", index), twox("TimelockedWeightCommits", index),
		} {
			for _, key := range p.t.Keys(prefix, nil, 0) {
				p.remove(key)
			}
		}
		p.remove(identity("Incentive", index))
		p.remove(identity("LastUpdate", index))
	}
	p.put(twox("MechanismCountCurrent", netuid), []byte{count})
	p.remove(twox("MechanismEmissionSplit", netuid))
}

// found writes the items of one subnet into the genesis state.
func (c *crowd) found(p *pallet, s *subnet, tempo uint16) {
	id := s.netuid
	put := func(name string, value []byte) { p.put(identity(name, id), value) }
	put("NetworksAdded", []byte{1})
	put("SubnetworkN", u16(uint16(s.neurons)))
	put("Tempo", u16(tempo))
	put("MaxAllowedUids", u16(256))
	put("MaxAllowedValidators", u16(maxValidators))
	put("ImmunityPeriod", u16(4096))
	put("MinAllowedWeights", u16(max(1, s.least)))
	put("WeightsSetRateLimit", u64(rateLimit))
	put("ServingRateLimit", u64(servingRateLimit))
	put("BlocksSinceLastStep", u64(0))
	put("LastMechansimStepBlock", u64(0))
	put("CommitRevealWeightsEnabled", []byte{1})
	put("Kappa", u16(32_767))
	put("BondsPenalty", u16(65_535))
	put("BondsMovingAverage", u64(900_000))
	put("NetworkRegistrationAllowed", []byte{1})
	put("NetworkRegisteredAt", u64(0))
	put("Burn", u64(500_000_000+uint64(id)*1_000_000))
	put("MinBurn", u64(500_000))
	put("MaxBurn", u64(100_000_000_000))
	put("TokenSymbol", scale.AppendBlob(nil, []byte(symbols[id])))
	if id != 0 {
		put("FirstEmissionBlockNumber", u64(0))
		put("SubtokenEnabled", []byte{1})
		p.put(blake("SubnetIdentitiesV3", id), identityOf("demo "+symbols[id]))
	}
	p.put(twox("RevealPeriodEpochs", id), u64(1))
	if id != 0 {
		put("WeightsVersionKey", u64(versionKey))
		owner, cold := c.holder(s, s.owner, 0), verify.AccountID(c.keys.account("coldkey", int(id)<<16|int(s.owner)))
		put("SubnetOwnerHotkey", owner[:])
		put("SubnetOwner", cold[:])
		// Liquid alpha counts with Yuma3 alone; the other subnet has Yuma2 and a penalty that is
		// neither all nor nothing.
		yuma3 := byte(0)
		if s.kind == TimelockedCommit {
			yuma3 = 1
		} else {
			put("BondsPenalty", u16(40_000))
		}
		p.put(blake("Yuma3On", id), []byte{yuma3})
		p.put(blake("LiquidAlphaOn", id), []byte{yuma3})
		if slices.Contains(ofKind(c.faults, s.kind), WeightTooLarge) {
			put("MaxWeightsLimit", u16(weightsLimit))
		}
	}
	if p.stateful() {
		put("LastEpochBlock", u64(0))
		put("PendingEpochAt", u64(0))
		put("SubnetEpochIndex", u64(0))
		put("ActivityCutoffFactorMilli", u32(13_889))
	} else {
		put("ActivityCutoff", u16(5000))
	}
	if s.mechanisms > 0 && p.spec >= specMechanisms {
		p.put(twox("MechanismCountCurrent", id), []byte{s.mechanisms})
		if s.mechanisms > 1 {
			p.put(twox("MechanismEmissionSplit", id), vecU16([]uint16{45_000, 20_535}))
		}
	}

	n := s.neurons
	permits, active, shares := make([]bool, n), make([]bool, n), make([]uint16, n)
	for uid := range uint16(n) {
		hotkey := c.holder(s, uid, 0)
		coldkey := c.keys.account("coldkey", int(id)<<16|int(uid))
		p.put(pair("Keys", id, uid), hotkey[:])
		p.put(uidKey(id, hotkey), u16(uid))
		p.put(ofHotkey("IsNetworkMember", hotkey, id), []byte{1})
		p.put(verify.AppendBlake2b128Concat(item("Owner"), hotkey[:]), coldkey[:])
		p.put(pair("BlockAtRegistration", id, uid), u64(0))
		permits[uid], active[uid] = int(uid) < s.permits, true
		if int(uid) < s.permits {
			shares[uid] = 65_535 / uint16(s.permits)
		}
		s.stake(p, uid, hotkey)
		p.add(identity("SubnetTAO", 0), p.number(ofHotkey("TotalHotkeyAlpha", hotkey, 0), 0))
		c.own(p, s, uid, hotkey, coldkey)
	}
	if id != 0 {
		p.pool(id)
		// The first validator lends half of its stake to the second.
		parent, child := c.holder(s, 0, 0), c.holder(s, 1, 0)
		lend := func(who verify.AccountID) []byte {
			return append(scale.AppendU64(scale.AppendCompact(nil, 1), 1<<63), who[:]...)
		}
		p.put(ofHotkey("ChildKeys", parent, id), lend(child))
		p.put(ofHotkey("ParentKeys", child, id), lend(parent))
	}
	for mecid := range max(1, p.mechanisms(id)) {
		p.put(identity("LastUpdate", indexOf(id, mecid)), vecU64(make([]uint64, n)))
		p.put(identity("Incentive", indexOf(id, mecid)), vecU16(make([]uint16, n)))
	}
	put("ValidatorPermit", vecBool(permits))
	put("Active", vecBool(active))
	put("StakeWeight", vecU16(shares))
	put("Dividends", vecU16(shares))
	put("ValidatorTrust", vecU16(shares))
	put("Consensus", vecU16(make([]uint16, n)))
	put("Emission", vecU64(make([]uint64, n)))
}
