package demonet

import (
	"encoding/binary"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// The subnets of the demo network: netuid and number of neurons.
var subnets = []struct {
	netuid  uint16
	neurons int
	tempo   uint16
}{{0, 8, 100}, {1, 16, 360}, {3, 4, 99}}

// Raw keys, which belong to no pallet.
var (
	keyCode               = []byte(":code")
	keyExtrinsicIndex     = []byte(":extrinsic_index")
	keyGrandpaAuthorities = []byte(":grandpa_authorities")
)

// A layout is the storage keys of the state and what a block changes in it. It is the layout of the
// real chain (pallets as in runtime spec 103 and later), with no runtime behind it: nothing is
// executed, each block writes what the real pallets would have written.
type layout struct {
	code []byte

	number, parentHash, blockHash, digest, events, eventCount, lastUpgrade []byte
	now, auraAuthorities, currentSlot, grandpaAuthorities, currentSetID    []byte
	lastStoredRound, lastUpdate, weights, sinceStep                        []byte
}

func newLayout(keys *keyring, code []byte) *layout {
	if code == nil {
		// Longer than 32 bytes, so that the trie keeps its hash as it does a runtime's.
		code = []byte("no runtime: the taolight demo network executes nothing")
	}
	key := verify.StorageKey
	return &layout{
		code:               code,
		number:             key("System", "Number"),
		parentHash:         key("System", "ParentHash"),
		blockHash:          key("System", "BlockHash"),
		digest:             key("System", "Digest"),
		events:             key("System", "Events"),
		eventCount:         key("System", "EventCount"),
		lastUpgrade:        key("System", "LastRuntimeUpgrade"),
		now:                key("Timestamp", "Now"),
		auraAuthorities:    key("Aura", "Authorities"),
		currentSlot:        key("Aura", "CurrentSlot"),
		grandpaAuthorities: key("Grandpa", "Authorities"),
		currentSetID:       key("Grandpa", "CurrentSetId"),
		lastStoredRound:    key("Drand", "LastStoredRound"),
		lastUpdate:         key("SubtensorModule", "LastUpdate"),
		weights:            key("SubtensorModule", "Weights"),
		sinceStep:          key("SubtensorModule", "BlocksSinceLastStep"),
	}
}

func u16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// join returns a map key under the Identity hasher.
func join(prefix []byte, parts ...[]byte) []byte {
	key := append([]byte(nil), prefix...)
	for _, p := range parts {
		key = append(key, p...)
	}
	return key
}

func (l *layout) blockHashKey(number uint32) []byte {
	return verify.AppendTwox64Concat(join(l.blockHash), u32(number))
}

// genesis builds the state of block 0. now is the start of its slot in milliseconds.
func (l *layout) genesis(now uint64, keys *keyring) *trie.Trie {
	t := trie.New(trie.V1)
	put := func(key, value []byte) { t = t.Put(key, value) }
	key := verify.StorageKey

	put(keyCode, l.code)
	put(keyExtrinsicIndex, u32(0))
	t = l.putSets(t, 0, keys)
	for _, pallet := range []string{"System", "Aura", "Grandpa", "Timestamp", "Balances", "Sudo", "SubtensorModule", "Drand"} {
		put(key(pallet, ":__STORAGE_VERSION__:"), u16(0))
	}

	put(l.parentHash, make([]byte, 32))
	put(l.blockHashKey(0), make([]byte, 32))
	put(key("System", "UpgradedToU32RefCount"), []byte{1})
	put(key("System", "UpgradedToTripleRefCount"), []byte{1})
	put(l.lastUpgrade, scale.AppendBlob(scale.AppendCompact(nil, 103), []byte("node-subtensor")))
	put(l.now, u64(now))
	put(key("Grandpa", "State"), []byte{0})
	put(l.lastStoredRound, u64(drandRound(now)))

	issuance := uint64(0)
	for i := range 4 {
		who, free := keys.account("account", i), uint64(i+1)*1_000_000_000_000
		issuance += free
		// AccountInfo: nonce, consumers, providers, sufficients u32; free, reserved, frozen u64 and
		// flags u128 (balances of this chain are u64).
		info := append(append(u32(0), u32(0)...), append(u32(1), u32(0)...)...)
		info = append(append(append(info, u64(free)...), u64(0)...), u64(0)...)
		info = append(append(info, u64(0)...), u64(1<<63)...)
		put(verify.AppendBlake2b128Concat(key("System", "Account"), who[:]), info)
	}
	put(key("Balances", "TotalIssuance"), u64(issuance))
	sudo := keys.account("account", 0)
	put(key("Sudo", "Key"), sudo[:])

	put(key("SubtensorModule", "TotalNetworks"), u16(uint16(len(subnets))))
	for _, s := range subnets {
		t = l.subnet(t, s.netuid, s.neurons, s.tempo, keys)
	}
	return t
}

// subnet writes the items of one subnet.
func (l *layout) subnet(t *trie.Trie, netuid uint16, neurons int, tempo uint16, keys *keyring) *trie.Trie {
	id := u16(netuid)
	item := func(name string) []byte { return verify.StorageKey("SubtensorModule", name) }
	put := func(name string, value []byte) { t = t.Put(join(item(name), id), value) }
	put("NetworksAdded", []byte{1})
	put("SubnetworkN", u16(uint16(neurons)))
	put("Tempo", u16(tempo))
	put("MaxAllowedUids", u16(256))
	put("ImmunityPeriod", u16(4096))
	put("MinAllowedWeights", u16(1))
	put("WeightsSetRateLimit", u64(100))
	put("WeightsVersionKey", u64(0))
	put("BlocksSinceLastStep", u64(0))
	put("CommitRevealWeightsEnabled", []byte{1})
	t = t.Put(verify.AppendTwox64Concat(item("RevealPeriodEpochs"), id), u64(1))

	updates := scale.AppendCompact(nil, uint64(neurons))
	permits := scale.AppendCompact(nil, uint64(neurons))
	for uid := range neurons {
		hotkey := keys.account("hotkey", int(netuid)<<16|uid)
		coldkey := keys.account("coldkey", int(netuid)<<16|uid)
		t = t.Put(join(item("Keys"), id, u16(uint16(uid))), hotkey[:])
		t = t.Put(verify.AppendBlake2b128Concat(join(item("Uids"), id), hotkey[:]), u16(uint16(uid)))
		t = t.Put(join(verify.AppendBlake2b128Concat(item("IsNetworkMember"), hotkey[:]), id), []byte{1})
		t = t.Put(verify.AppendBlake2b128Concat(item("Owner"), hotkey[:]), coldkey[:])
		t = t.Put(join(item("BlockAtRegistration"), id, u16(uint16(uid))), u64(0))
		updates = scale.AppendU64(updates, 0)
		permits = scale.AppendBool(permits, uid < neurons/4)
	}
	put("LastUpdate", updates)
	put("ValidatorPermit", permits)
	return t
}

// putSets writes both authority lists. `:grandpa_authorities` is where the oldest runtimes kept
// the GRANDPA list, behind a version byte; the live chain has a stale one there, this one is kept
// current because a runtime of spec 103 reads it.
func (l *layout) putSets(t *trie.Trie, set uint64, keys *keyring) *trie.Trie {
	list := grandpa.AppendAuthorities(nil, keys.grandpaSet(set).Authorities)
	t = t.Put(l.auraAuthorities, aura.AppendAuthorities(nil, keys.auraSet(set)))
	t = t.Put(l.grandpaAuthorities, list)
	t = t.Put(keyGrandpaAuthorities, append([]byte{1}, list...))
	return t.Put(l.currentSetID, u64(set))
}

// apply writes block b, whose header still lacks state root and seal, over its parent's state.
func (l *layout) apply(parent, b *block, h *verify.Header, now uint64, keys *keyring) *trie.Trie {
	number := h.Number
	t := parent.state.
		Put(l.number, u32(number)).
		Put(l.parentHash, h.ParentHash[:]).
		Put(l.blockHashKey(number-1), h.ParentHash[:]).
		Put(l.digest, appendDigest(nil, h.Digest)).
		Put(l.events, appendEvents(nil, len(b.body))).
		Put(l.eventCount, u32(uint32(len(b.body)))).
		Put(l.now, u64(now)).
		Put(l.currentSlot, u64(b.slot)).
		Put(l.lastStoredRound, u64(drandRound(now)))
	switch {
	case number == 1:
		t = t.Delete(keyExtrinsicIndex) // frame_system takes it away after the last extrinsic
	case number > blockHashCount+1:
		t = t.Delete(l.blockHashKey(number - blockHashCount - 1)) // block 0's stays for ever
	}
	if b.change {
		t = l.putSets(t, b.set, keys)
	}
	return l.neuron(t, number)
}

// neuron lets one neuron of one subnet set its weights, in turn.
func (l *layout) neuron(t *trie.Trie, number uint32) *trie.Trie {
	s := subnets[number%uint32(len(subnets))]
	uid := number / uint32(len(subnets)) % uint32(s.neurons)
	id := u16(s.netuid)
	if updates, ok := t.Get(join(l.lastUpdate, id)); ok {
		updates = append([]byte(nil), updates...)
		binary.LittleEndian.PutUint64(updates[len(updates)-8*s.neurons+8*int(uid):], uint64(number))
		t = t.Put(join(l.lastUpdate, id), updates)
	}
	row := scale.AppendCompact(nil, uint64(s.neurons))
	for j := range s.neurons {
		row = append(append(row, u16(uint16(j))...), u16(uint16(number*uint32(j+1)))...)
	}
	t = t.Put(join(l.weights, id, u16(uint16(uid))), row)
	return t.Put(join(l.sinceStep, id), u64(uint64(number)%uint64(s.tempo+1)))
}

// drandRound is the newest round of a beacon with quicknet's period of 3 s that began with 1970.
func drandRound(now uint64) uint64 { return now/3000 + 1 }

// appendDigest appends System.Digest: the items the runtime knows of, which leaves the seal out.
func appendDigest(b []byte, items []verify.DigestItem) []byte {
	h := verify.Header{Digest: items}
	const before = 32 + 1 + 32 + 32 // parent, compact 0, two roots
	return append(b, h.Encode()[before:]...)
}

// appendEvents appends System.Events: one System.ExtrinsicSuccess for each extrinsic.
func appendEvents(b []byte, extrinsics int) []byte {
	b = scale.AppendCompact(b, uint64(extrinsics))
	for i := range extrinsics {
		b = append(b, 0) // phase ApplyExtrinsic
		b = scale.AppendU32(b, uint32(i))
		b = append(b, 0, 0) // pallet System, event ExtrinsicSuccess
		b = scale.AppendCompact(b, 150_000_000)
		b = scale.AppendCompact(b, 1493)
		class, pays := byte(0), byte(0)
		if i == 0 {
			class, pays = 2, 1 // mandatory, free
		}
		b = append(b, class, pays, 0) // no topics
	}
	return b
}

// timestampSet is the inherent that every block begins with: Timestamp.set, bare, version 4.
func timestampSet(now uint64) []byte { return bare([]byte{2, 0}, scale.AppendCompact(nil, now)) }

// remark is System.remark, unsigned: nothing would accept it but a chain that executes nothing.
func remark(s string) []byte { return bare([]byte{0, 0}, scale.AppendBlob(nil, []byte(s))) }

func bare(call, args []byte) []byte {
	return scale.AppendBlob(nil, append(append([]byte{4}, call...), args...))
}
