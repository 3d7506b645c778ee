package demonet

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// Spec versions of the runtime at which a rule of pallet-subtensor changed (tags of
// opentensor/subtensor). The chain here follows them by itself and asks no package of verify, but for
// the arithmetic of the epoch, which package reference does by a rules.Set: what a verifier says of a
// commit and what this chain did are two renderings of one source.
const (
	specTimelocked = 306 // TimelockedWeightCommits
	specMechanisms = 320 // MechanismCountCurrent
	specNoMaximum  = 334 // get_max_weight_limit is the constant 65535 (utils/misc.rs)
	specOwner      = 401 // the owner's hotkey needs no permit and no stake
	specStateful   = 423 // the epoch scheduler keeps its place in storage
	specNewest     = 425
)

// Constants of pallet-subtensor.
const (
	maxTempo      = 50_400 // lib.rs MAX_TEMPO
	maxUnrevealed = 10     // commits of one hotkey that wait
	globalMax     = 4096   // subnets/mechanism.rs GLOBAL_MAX_SUBNET_COUNT: indexes of one mechanism
	crVersion     = 4      // CommitRevealWeightsVersion
)

// A pallet is one block's execution as far as it concerns weights: the state, and the functions of
// pallet-subtensor that read and write it, each ensure in the order of the source
// (subtensor/pallets/subtensor/src/, spec 425, with the branches of older specs).
type pallet struct {
	spec  uint32
	block uint64
	quiet bool // there are no commits to look for
	t     *trie.Trie

	hooks  [][]byte // events of on_initialize, encoded from the pallet index on
	events [][]byte // events of the extrinsic that is being executed
	notes  []note

	faults        []EpochFault // of one epoch after the other
	emissionFault EmissionFault
	secret        func(purpose string, index uint64) [32]byte
	records       []EpochRecord

	openers map[uint64]*tlock.Opener // by round, of this block
}

func (p *pallet) stateful() bool { return p.spec >= specStateful }

// Keys of SubtensorModule, by hasher.

func item(name string) []byte { return verify.StorageKey("SubtensorModule", name) }

func value(name string) []byte                { return item(name) }
func identity(name string, id uint16) []byte  { return join(item(name), u16(id)) }
func twox(name string, id uint16) []byte      { return verify.AppendTwox64Concat(item(name), u16(id)) }
func blake(name string, id uint16) []byte     { return verify.AppendBlake2b128Concat(item(name), u16(id)) }
func pair(name string, id, uid uint16) []byte { return join(item(name), u16(id), u16(uid)) }

func uidKey(netuid uint16, who verify.AccountID) []byte {
	return verify.AppendBlake2b128Concat(identity("Uids", netuid), who[:])
}

// ofHotkey is the key of an item that is kept by hotkey first.
func ofHotkey(name string, who verify.AccountID, netuid uint16) []byte {
	return append(verify.AppendBlake2b128Concat(item(name), who[:]), u16(netuid)...)
}

func timelockedKey(index uint16, epoch uint64) []byte {
	return verify.AppendTwox64Concat(twox("TimelockedWeightCommits", index), u64(epoch))
}

func hashedKey(index uint16, who verify.AccountID) []byte {
	return verify.AppendTwox64Concat(twox("WeightCommits", index), who[:])
}

func indexOf(netuid uint16, mecid uint8) uint16 { return uint16(mecid)*globalMax + netuid }

// Values, with the default of the item where there is none.

func (p *pallet) put(key, value []byte) { p.t = p.t.Put(key, value) }
func (p *pallet) remove(key []byte)     { p.t = p.t.Delete(key) }

func (p *pallet) has(key []byte) bool {
	_, ok := p.t.Get(key)
	return ok
}

// number reads a little-endian integer of any width.
func (p *pallet) number(key []byte, otherwise uint64) uint64 {
	b, ok := p.t.Get(key)
	if !ok {
		return otherwise
	}
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func (p *pallet) tempo(netuid uint16) uint64 { return p.number(identity("Tempo", netuid), 360) }
func (p *pallet) size(netuid uint16) int     { return int(p.number(identity("SubnetworkN", netuid), 0)) }

func (p *pallet) revealPeriod(netuid uint16) uint64 {
	return p.number(twox("RevealPeriodEpochs", netuid), 1)
}

func (p *pallet) mechanisms(netuid uint16) uint8 {
	if p.spec < specMechanisms {
		return 1
	}
	return uint8(p.number(twox("MechanismCountCurrent", netuid), 1))
}

func (p *pallet) uid(netuid uint16, who verify.AccountID) (uint16, bool) {
	b, ok := p.t.Get(uidKey(netuid, who))
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint16(b), true
}

func (p *pallet) hotkey(netuid, uid uint16) (who verify.AccountID, ok bool) {
	b, ok := p.t.Get(pair("Keys", netuid, uid))
	copy(who[:], b)
	return who, ok
}

// owner is get_owner_uid.
func (p *pallet) owner(netuid uint16) (uint16, bool) {
	b, ok := p.t.Get(identity("SubnetOwnerHotkey", netuid))
	if !ok {
		return 0, false
	}
	return p.uid(netuid, verify.AccountID(b))
}

// networks is NetworksAdded without the root, in the order of iteration: the key is the netuid as it
// is stored, so the low byte comes first.
func (p *pallet) networks() []uint16 {
	var out []uint16
	prefix := item("NetworksAdded")
	for _, key := range p.t.Keys(prefix, nil, 0) {
		if netuid := binary.LittleEndian.Uint16(key[len(prefix):]); netuid != 0 {
			out = append(out, netuid)
		}
	}
	return out
}

// lastUpdate is get_last_update: padded to the size of the subnet.
func (p *pallet) lastUpdate(index uint16) []uint64 {
	out := make([]uint64, p.size(index%globalMax))
	if b, ok := p.t.Get(identity("LastUpdate", index)); ok {
		r := scale.NewReader(b)
		for i := range min(r.Count(8, math.MaxUint16), len(out)) {
			out[i] = r.U64()
		}
	}
	return out
}

func (p *pallet) setLastUpdate(index, uid uint16) {
	list := p.lastUpdate(index)
	if int(uid) >= len(list) {
		return
	}
	list[uid] = p.block
	p.put(identity("LastUpdate", index), vecU64(list))
}

// permit is get_validator_permit_for_uid.
func (p *pallet) permit(netuid, uid uint16) bool {
	b, ok := p.t.Get(identity("ValidatorPermit", netuid))
	if !ok {
		return false
	}
	r := scale.NewReader(b)
	if n := r.Count(1, math.MaxUint16); int(uid) >= n {
		return false
	}
	r.Bytes(int(uid))
	return r.Bool()
}

func (p *pallet) setPermit(netuid, uid uint16, v bool) { p.setBool("ValidatorPermit", netuid, uid, v) }
func (p *pallet) setActive(netuid, uid uint16)         { p.setBool("Active", netuid, uid, true) }

func (p *pallet) setBool(name string, netuid, uid uint16, v bool) {
	key := identity(name, netuid)
	b, _ := p.t.Get(key)
	b = slices.Clone(b)
	b[len(b)-p.size(netuid)+int(uid)] = scale.AppendBool(nil, v)[0]
	p.put(key, b)
}

// The scheduler (coinbase/run_coinbase.rs; legacy: the same at v3.4.7-422).

// due is should_run_epoch.
func (p *pallet) due(netuid uint16) bool {
	tempo := p.tempo(netuid)
	if tempo == 0 {
		return false
	}
	if !p.stateful() {
		// blocks_until_next_epoch == 0
		return (p.block+uint64(netuid)+1)%(tempo+1) == tempo
	}
	if at := p.number(identity("PendingEpochAt", netuid), 0); at > 0 && p.block >= at {
		return true
	}
	if p.number(identity("BlocksSinceLastStep", netuid), 0) > maxTempo {
		return true
	}
	last := p.number(identity("LastEpochBlock", netuid), 0)
	return p.block >= last && p.block-last >= tempo
}

// legacyEpoch is get_epoch_index before spec 423.
func (p *pallet) legacyEpoch(netuid uint16, block uint64) uint64 {
	return (block + uint64(netuid) + 1) / (p.tempo(netuid) + 1)
}

// epoch is the epoch that reveals and hash commits of this block belong to:
// current_epoch_with_lookahead, or before 423 get_epoch_index, which looks nowhere.
func (p *pallet) epoch(netuid uint16) uint64 {
	if !p.stateful() {
		return p.legacyEpoch(netuid, p.block)
	}
	index := p.number(identity("SubnetEpochIndex", netuid), 0)
	if p.due(netuid) {
		index++
	}
	return index
}

// epochOf is the epoch of a stored hash commit, whose tuple means two things.
func (p *pallet) epochOf(netuid uint16, c hashed) uint64 {
	if p.stateful() {
		return c.a
	}
	return p.legacyEpoch(netuid, c.a)
}

// consistent is is_epoch_input_state_consistent.
func (p *pallet) consistent(netuid uint16) bool {
	seen := make(map[verify.AccountID]bool)
	for uid := range uint16(p.size(netuid)) {
		who, ok := p.hotkey(netuid, uid)
		if ok && seen[who] {
			return false
		}
		seen[who] = true
	}
	return true
}

// initialize is on_initialize: the block's emission, timelocked reveals, the scheduler and the epochs
// (block_step.rs).
func (p *pallet) initialize() {
	networks := p.networks()
	if p.quiet {
		p.epochs(p.drain(networks))
		return
	}
	emission := p.mint()
	deferred := p.deferred(networks)
	for _, netuid := range networks {
		if !deferred[netuid] {
			p.revealTimelocked(netuid)
		}
		p.expire(netuid)
	}
	p.coinbase(networks, emission)
	p.epochs(p.drain(networks))
}

// deferred is epochs_deferred_this_block.
func (p *pallet) deferred(networks []uint16) map[uint16]bool {
	if !p.stateful() {
		return nil
	}
	limit, run := p.number(value("MaxEpochsPerBlock"), 2), uint64(0)
	out := make(map[uint16]bool)
	for _, netuid := range networks {
		if !p.due(netuid) {
			continue
		}
		if run >= limit {
			out[netuid] = true
			continue
		}
		if p.consistent(netuid) {
			run++
		}
	}
	return out
}

// drain is drain_pending: whose epoch runs, and with how much.
func (p *pallet) drain(networks []uint16) (due []drained) {
	limit, run := p.number(value("MaxEpochsPerBlock"), 2), uint64(0)
	for _, netuid := range networks {
		since := identity("BlocksSinceLastStep", netuid)
		p.put(since, u64(p.number(since, 0)+1))
		if !p.due(netuid) {
			continue
		}
		if !p.stateful() {
			if p.consistent(netuid) {
				p.put(since, u64(0))
				due = append(due, p.drained(netuid))
			}
			continue
		}
		if run >= limit {
			p.put(identity("PendingEpochAt", netuid), u64(p.block+1))
			p.hook(eventEpochDeferred, u16(netuid), u64(p.block), u64(p.block+1))
			continue
		}
		if p.consistent(netuid) {
			p.put(since, u64(0))
			due = append(due, p.drained(netuid))
			run++
		} else {
			p.hook(eventEpochSkipped, u16(netuid), u64(p.block))
		}
		p.put(identity("LastEpochBlock", netuid), u64(p.block))
		p.put(identity("PendingEpochAt", netuid), u64(0))
		index := identity("SubnetEpochIndex", netuid)
		p.put(index, u64(p.number(index, 0)+1))
	}
	return due
}

func (p *pallet) drained(netuid uint16) drained {
	if p.quiet {
		return drained{netuid: netuid}
	}
	return drained{netuid, p.take(netuid)}
}

// Events of SubtensorModule by their place in the enum of spec 425 (macros/events.rs).
const (
	palletSubtensor            = 7
	eventWeightsSet            = 5
	eventWeightsCommitted      = 85
	eventWeightsRevealed       = 86
	eventTimelockedCommitted   = 107
	eventTimelockedRevealed    = 108
	eventEpochDeferred         = 132
	eventEpochSkipped          = 133
	callRevealMechanism        = 116
	callCommitMechanism        = 115
	callCommitTimelockedWeight = 118
)

func event(index byte, fields ...[]byte) []byte {
	return join([]byte{palletSubtensor, index}, fields...)
}

func (p *pallet) hook(index byte, fields ...[]byte) {
	p.hooks = append(p.hooks, event(index, fields...))
}
func (p *pallet) emit(index byte, fields ...[]byte) {
	p.events = append(p.events, event(index, fields...))
}

func vecU16(list []uint16) []byte {
	b := scale.AppendCompact(nil, uint64(len(list)))
	for _, v := range list {
		b = scale.AppendU16(b, v)
	}
	return b
}

func vecU64(list []uint64) []byte {
	b := scale.AppendCompact(nil, uint64(len(list)))
	for _, v := range list {
		b = scale.AppendU64(b, v)
	}
	return b
}

func vecBool(list []bool) []byte {
	b := scale.AppendCompact(nil, uint64(len(list)))
	for _, v := range list {
		b = scale.AppendBool(b, v)
	}
	return b
}
