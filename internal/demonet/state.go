package demonet

import (
	"encoding/binary"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// Raw keys, which belong to no pallet.
var (
	keyCode               = []byte(":code")
	keyHeapPages          = []byte(":heappages")
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
}

func newLayout() *layout {
	key := verify.StorageKey
	return &layout{
		// Longer than 32 bytes, so that the trie keeps its hash as it does a runtime's.
		code:               []byte("no runtime: this demo network executes nothing"),
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
func (l *layout) genesis(now uint64, keys *keyring, c *crowd, spec uint32, tempo uint16) *trie.Trie {
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
	put(l.lastUpgrade, scale.AppendBlob(scale.AppendCompact(nil, uint64(spec)), []byte("node-subtensor")))
	put(l.now, u64(now))
	put(key("Grandpa", "State"), []byte{0})

	for i := range 4 {
		who, free := keys.account("account", i), uint64(i+1)*1_000_000_000_000
		// AccountInfo: nonce, consumers, providers, sufficients u32; free, reserved, frozen u64 and
		// flags u128 (balances of this chain are u64).
		info := append(append(u32(0), u32(0)...), append(u32(1), u32(0)...)...)
		info = append(append(append(info, u64(free)...), u64(0)...), u64(0)...)
		info = append(append(info, u64(0)...), u64(1<<63)...)
		put(verify.AppendBlake2b128Concat(key("System", "Account"), who[:]), info)
	}
	sudo := keys.account("account", 0)
	put(key("Sudo", "Key"), sudo[:])

	p := &pallet{spec: spec, t: t, emissionFault: c.emissionFault}
	c.beacon.found(p, now)
	p.put(value("TotalNetworks"), u16(uint16(len(subnets))))
	p.put(value("StakeThreshold"), u64(stakeThreshold))
	p.put(value("TaoWeight"), u64(taoWeight))
	p.mintable()
	if p.stateful() {
		p.put(value("MaxEpochsPerBlock"), []byte{1})
	}
	for i := range subnets {
		c.found(p, &subnets[i], tempo)
	}
	return p.t
}

// putSets writes both authority lists. `:grandpa_authorities` is where the oldest runtimes kept
// the GRANDPA list, behind a version byte; the live chain has a stale one there, this one is kept
// current.
func (l *layout) putSets(t *trie.Trie, set uint64, keys *keyring) *trie.Trie {
	list := grandpa.AppendAuthorities(nil, keys.grandpaSet(set).Authorities)
	t = t.Put(l.auraAuthorities, aura.AppendAuthorities(nil, keys.auraSet(set)))
	t = t.Put(l.grandpaAuthorities, list)
	t = t.Put(keyGrandpaAuthorities, append([]byte{1}, list...))
	return t.Put(l.currentSetID, u64(set))
}

// apply writes the rest of block b, whose header still lacks state root and seal, over the state
// that its pallets left.
func (l *layout) apply(t *trie.Trie, b *block, h *verify.Header, x *execution, keys *keyring) *trie.Trie {
	number := h.Number
	t = t.
		Put(l.number, u32(number)).
		Put(l.parentHash, h.ParentHash[:]).
		Put(l.blockHashKey(number-1), h.ParentHash[:]).
		Put(l.digest, appendDigest(nil, h.Digest)).
		Put(l.events, x.events).
		Put(l.eventCount, u32(uint32(x.eventCount))).
		Put(l.now, u64(x.now)).
		Put(l.currentSlot, u64(b.slot))
	switch {
	case number == 1:
		t = t.Delete(keyExtrinsicIndex) // frame_system takes it away after the last extrinsic
	case number > blockHashCount+1:
		t = t.Delete(l.blockHashKey(number - blockHashCount - 1)) // block 0's stays for ever
	}
	if b.change {
		t = l.putSets(t, b.set, keys)
	}
	return t
}

// appendDigest appends System.Digest: the items the runtime knows of, which leaves the seal out.
func appendDigest(b []byte, items []verify.DigestItem) []byte {
	h := verify.Header{Digest: items}
	const before = 32 + 1 + 32 + 32 // parent, compact 0, two roots
	return append(b, h.Encode()[before:]...)
}

// An execution is what came of the extrinsics and hooks of a block.
type execution struct {
	now        uint64 // milliseconds
	body       [][]byte
	events     []byte // System.Events
	eventCount int
	notes      []note
	epochs     []EpochRecord
	waiting    []uint64  // rounds that pending commits wait for
	outcomes   []outcome // of the extrinsics that were given
	state      *trie.Trie
}

// execute does what block number does over its parent's state: the hooks, then the extrinsics, of
// which those given come last.
func (c *crowd) execute(parent *block, number uint32, now uint64, extrinsics [][]byte) *execution {
	x := &execution{now: now, waiting: parent.waiting}
	p := &pallet{
		spec: c.spec, block: uint64(number), quiet: c.quiet, t: parent.state, openers: make(map[uint64]*tlock.Opener),
		faults: c.epochFaults, emissionFault: c.emissionFault, secret: c.keys.secret,
	}
	p.initialize()
	deeds := []deed{{extrinsic: timestampSet(now)}}
	if !c.quiet {
		pulses, left := c.beacon.write(p, now, parent.waiting)
		if x.waiting = left; pulses != nil {
			deeds = append(deeds, deed{extrinsic: pulses, events: p.events})
			p.events = nil
		}
		done, rounds := c.act(p, now)
		deeds, x.waiting = append(deeds, done...), append(slices.Clip(x.waiting), rounds...)
	}
	for _, e := range extrinsics {
		d, waits, o := p.apply(parent, e)
		if o.in {
			o.index = len(deeds)
			deeds = append(deeds, d)
		}
		if waits != 0 {
			x.waiting = append(slices.Clip(x.waiting), waits|foreignRound)
		}
		x.outcomes = append(x.outcomes, o)
	}
	for _, d := range deeds {
		x.body = append(x.body, d.extrinsic)
	}
	x.events, x.eventCount = appendEvents(p.hooks, deeds)
	x.state, x.notes, x.epochs = p.t, p.notes, p.records
	return x
}

// appendEvents encodes System.Events: those of the hooks, then for each extrinsic its own and
// System.ExtrinsicSuccess or ExtrinsicFailed.
func appendEvents(hooks [][]byte, deeds []deed) (list []byte, count int) {
	var b []byte
	for _, e := range hooks {
		b = append(append(append(b, 2), e...), 0) // phase Initialization, no topics
		count++
	}
	for i, d := range deeds {
		for _, e := range d.events {
			b = scale.AppendU32(append(b, 0), uint32(i)) // phase ApplyExtrinsic
			b = append(append(b, e...), 0)
			count++
		}
		b = scale.AppendU32(append(b, 0), uint32(i))
		if d.err == nil {
			b = append(b, 0, 0) // pallet System, event ExtrinsicSuccess
		} else {
			b = append(b, 0, 1, 3, palletSubtensor, 0, 0, 0, 0) // ExtrinsicFailed, DispatchError::Module
			if r, ok := d.err.(*refusal); ok {
				b[len(b)-4] = r.index
			}
		}
		b = scale.AppendCompact(b, 150_000_000)
		b = scale.AppendCompact(b, 1493)
		class, pays := byte(0), byte(0)
		if i == 0 {
			class, pays = 2, 1 // mandatory, free
		}
		b = append(b, class, pays, 0) // no topics
		count++
	}
	return append(scale.AppendCompact(nil, uint64(count)), b...), count
}

// timestampSet is the inherent that every block begins with: Timestamp.set, bare, version 4.
func timestampSet(now uint64) []byte { return bare([]byte{2, 0}, scale.AppendCompact(nil, now)) }

// remark is System.remark, unsigned: nothing would accept it but a chain that executes nothing.
func remark(s string) []byte { return bare([]byte{0, 0}, scale.AppendBlob(nil, []byte(s))) }

func bare(call, args []byte) []byte {
	return scale.AppendBlob(nil, append(append([]byte{4}, call...), args...))
}
