package demonet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// What the real networks have (ST runtime/src/lib.rs, node/src/service.rs; sc-state-db).
const (
	blockHashCount      = 2400   // System.BlockHash keeps this many
	stateBlocks         = 256    // states kept below the finalized block, unless archive
	justificationPeriod = 512    // blocks between stored justifications
	runtimeSlot         = 12_000 // milliseconds, of every runtime built for production
)

// Our own limits.
const (
	maxPool      = 256      // extrinsics waiting for a block
	maxExtrinsic = 64 << 10 // bytes of one
	// runtimeSlack is how far a network whose slots are longer than its blocks is back-dated: two
	// years of 12 s slots, which last weeks even at twenty blocks a second.
	runtimeSlack = 5_256_000
	plainSlack   = 256
)

// Errors of authoring.
var (
	// ErrNoSlot: the next slot has not begun, and a block from the future would be refused.
	ErrNoSlot = errors.New("next slot has not begun")
	// ErrFork: a fork was asked for where there is nothing to fork from.
	ErrFork = errors.New("cannot fork there")
	// ErrPruned: the state of that block is not kept any more.
	ErrPruned = errors.New("state already discarded")
)

// A block is a header with its body, its state as long as it is kept, and its place.
type block struct {
	header *verify.Header
	hash   verify.Hash
	body   [][]byte
	parent *block
	slot   uint64
	set    uint64     // id of the authority sets, Aura's and GRANDPA's, of its children
	change bool       // this block announced set
	state  *trie.Trie // after the block; nil when discarded

	notes   []note        // what it did with commits
	epochs  []EpochRecord // that it computed
	waiting []uint64      // rounds of the beacon that its pending commits wait for
}

// finalizer is the set that is entitled to finalize b: for a block that announces a change it is
// still the old one.
func (b *block) finalizer() uint64 {
	if b.change {
		return b.set - 1
	}
	return b.set
}

// A chain holds every block, its forks, and what is final. It is not safe for concurrent use.
type chain struct {
	keys         *keyring
	layout       *layout
	crowd        *crowd
	genesisState *trie.Trie // kept for the chain spec
	clock        func() time.Time
	slotMS       uint64 // slot duration
	dense        bool   // one block in every slot, whatever the clock says
	first        uint32 // block of the first set change
	every        uint32 // blocks from one set change to the next, 0 = never
	archive      bool

	blocks    map[verify.Hash]*block
	canon     []*block // best chain by number
	forks     []*block // beside it, until their states are discarded
	discarded uint32   // canonical states below this number are gone
	final     *block
	round     uint64 // of the last vote in the set that cast it
	votes     []vote // every finalization, ascending
	lag       int    // blocks that finality stays behind the best; negative: stalled

	pool [][]byte // extrinsics that wait for the next block
}

func newChain(keys *keyring, clock func() time.Time, cfg Config) (*chain, error) {
	c := &chain{
		keys: keys, clock: clock,
		slotMS:  uint64(cfg.BlockTime / time.Millisecond),
		every:   uint32(cfg.SetChangeEvery),
		first:   uint32(cfg.FirstSetChange),
		archive: cfg.Archive,
		lag:     cfg.FinalityLag,
		blocks:  make(map[verify.Hash]*block),
	}
	if cfg.RuntimeCode != nil {
		c.slotMS, c.dense = runtimeSlot, true
	}
	if c.slotMS == 0 {
		return nil, fmt.Errorf("block time %v is under a millisecond", cfg.BlockTime)
	}
	now := uint64(cfg.Start.UnixMilli()) / c.slotMS
	back := uint64(cfg.History) + uint64(cfg.Slack)
	if now <= back {
		return nil, fmt.Errorf("start %v leaves no room for %d slots before it", cfg.Start, back)
	}
	c.layout = newLayout(keys, cfg.RuntimeCode)
	c.crowd = &crowd{
		keys: keys, slotMS: c.slotMS, spec: cfg.Spec, faults: cfg.CommitFaults, epochFaults: cfg.EpochFaults, emissionFault: cfg.EmissionFault, quiet: cfg.Quiet,
		beacon: newBeacon(keys, (now-back)*c.slotMS, c.slotMS),
	}
	c.genesis(now-back, uint16(cfg.Tempo))

	for range cfg.History {
		c.insert(c.author(c.best(), c.best().slot+1, nil))
		c.finalize()
	}
	return c, nil
}

// genesis makes block 0: no digest, no slot of its own. Timestamp.Now is the only thing that tells
// two networks of one seed apart, so that each start has its own genesis hash.
func (c *chain) genesis(slot uint64, tempo uint16) {
	state := c.layout.genesis(slot*c.slotMS, c.keys, c.crowd, c.crowd.spec, tempo)
	h := &verify.Header{StateRoot: state.Root(), ExtrinsicsRoot: trie.OrderedRoot(nil)}
	b := &block{header: h, hash: h.Hash(), slot: slot, state: state}
	c.genesisState = state
	c.blocks[b.hash] = b
	c.canon = []*block{b}
	c.final = b
}

func (c *chain) best() *block { return c.canon[len(c.canon)-1] }

// nextSlot is the slot that a block made now goes into. Step fills every slot; Run, without a
// runtime, takes the slot of the clock.
func (c *chain) nextSlot(live bool) (uint64, error) {
	slot, now := c.best().slot+1, uint64(c.clock().UnixMilli())/c.slotMS
	if live && !c.dense {
		slot = max(slot, now)
	}
	if slot > now {
		return 0, fmt.Errorf("%w: slot %d, now %d", ErrNoSlot, slot, now)
	}
	return slot, nil
}

// author makes a block on parent and seals it. The extrinsics come after those of the network itself.
func (c *chain) author(parent *block, slot uint64, extrinsics [][]byte) *block {
	number := parent.header.Number + 1
	b := &block{parent: parent, slot: slot, set: parent.set}
	x := c.crowd.execute(parent, number, slot*c.slotMS, extrinsics)
	b.body, b.notes, b.epochs, b.waiting = x.body, x.notes, x.epochs, x.waiting

	h := &verify.Header{ParentHash: parent.hash, Number: number, ExtrinsicsRoot: trie.OrderedRoot(b.body)}
	h.Digest = append(h.Digest, verify.DigestItem{
		Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: scale.AppendU64(nil, slot),
	})
	if c.changes(number) {
		// AdminUtils.swap_authorities and schedule_grandpa_change in one block, as on finney in
		// block 8,867,448.
		b.change, b.set = true, parent.set+1
		next := c.keys.grandpaSet(b.set)
		h.Digest = append(h.Digest,
			verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineAura,
				Data: aura.AppendAuthorities([]byte{1}, c.keys.auraSet(b.set))},
			verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineGrandpa,
				Data: scale.AppendU32(grandpa.AppendAuthorities([]byte{1}, next.Authorities), 0)},
		)
	}
	// Frontier's post-log: tag 1, the hash of the Ethereum block, no transactions.
	eth := verify.Blake2b256(append([]byte("ethereum block"), parent.hash[:]...))
	h.Digest = append(h.Digest, verify.DigestItem{
		Type: verify.DigestConsensus, Engine: verify.EngineFrontier,
		Data: append(append([]byte{1}, eth[:]...), 0),
	})

	b.state = c.layout.apply(x.state, b, h, x, c.keys)
	h.StateRoot = b.state.Root()
	author := parent.set + slot%uint64(c.keys.size) // the list valid at the parent
	h.Digest = append(h.Digest, verify.DigestItem{
		Type: verify.DigestSeal, Engine: verify.EngineAura, Data: c.keys.seal(author, h.PreSealHash()),
	})
	b.header, b.hash = h, h.Hash()
	return b
}

// changes reports whether the authority sets change in the block of a number.
func (c *chain) changes(number uint32) bool {
	return c.every != 0 && number >= c.first && (number-c.first)%c.every == 0
}

// insert adds a block, makes it the best if it is the highest, and discards old states. It reports
// whether the best changed.
func (c *chain) insert(b *block) bool {
	c.blocks[b.hash] = b
	if b.header.Number <= c.best().header.Number {
		c.forks = append(c.forks, b)
		return false
	}
	c.setBest(b)
	return true
}

func (c *chain) setBest(b *block) {
	number := b.header.Number
	for uint64(len(c.canon)) <= uint64(number) {
		c.canon = append(c.canon, nil)
	}
	for ; c.canon[b.header.Number] != b; b = b.parent {
		if old := c.canon[b.header.Number]; old != nil {
			c.forks = append(c.forks, old)
		}
		c.canon[b.header.Number] = b
	}
}

// step makes the next block and whatever finality follows from it.
func (c *chain) step(live bool) (b *block, final []vote, err error) {
	slot, err := c.nextSlot(live)
	if err != nil {
		return nil, nil, err
	}
	b = c.author(c.best(), slot, c.pool)
	c.pool = nil
	c.insert(b)
	return b, c.finalize(), nil
}

// submit puts an extrinsic into the pool; it is not executed. One that waits already is dropped.
func (c *chain) submit(extrinsic []byte) {
	if len(c.pool) >= maxPool || len(extrinsic) == 0 || len(extrinsic) > maxExtrinsic {
		return
	}
	for _, x := range c.pool {
		if string(x) == string(extrinsic) {
			return
		}
	}
	c.pool = append(c.pool, slices.Clone(extrinsic))
}

// fork makes a branch of length blocks on the block that is back blocks below the best. Its blocks
// use the slots of those they compete with and differ by a remark.
func (c *chain) fork(back, length int) ([]*block, error) {
	best := c.best().header.Number
	if back < 1 || length < 1 || uint64(back) > uint64(best) {
		return nil, fmt.Errorf("%w: %d blocks from %d below block %d", ErrFork, length, back, best)
	}
	parent := c.canon[best-uint32(back)]
	if parent.header.Number < c.final.header.Number {
		return nil, fmt.Errorf("%w: block %d is below the finalized %d", ErrFork, parent.header.Number, c.final.header.Number)
	}
	branch, err := c.branch(parent, length)
	if err != nil {
		return nil, err
	}
	for _, b := range branch {
		c.insert(b)
	}
	return branch, nil
}

// branch authors blocks beside the canonical ones without inserting them.
func (c *chain) branch(parent *block, length int) ([]*block, error) {
	if parent.state == nil {
		return nil, fmt.Errorf("%w: block %d", ErrPruned, parent.header.Number)
	}
	now := uint64(c.clock().UnixMilli()) / c.slotMS
	var out []*block
	for i := range length {
		slot := parent.slot + 1
		if n := int(parent.header.Number) + 1; n < len(c.canon) {
			slot = max(slot, c.canon[n].slot)
		}
		if slot > now {
			return nil, fmt.Errorf("%w: slot %d, now %d", ErrNoSlot, slot, now)
		}
		parent = c.author(parent, slot, [][]byte{remark(fmt.Sprintf("fork %d.%d", len(c.blocks), i))})
		out = append(out, parent)
	}
	return out, nil
}

// old reports whether a full node has discarded the state of b.
func (c *chain) old(b *block) bool { return b.header.Number+stateBlocks < c.final.header.Number }

// prune discards the states more than stateBlocks below the finalized block, as a full node does.
func (c *chain) prune() {
	if c.archive {
		return
	}
	for ; c.old(c.canon[c.discarded]); c.discarded++ {
		c.canon[c.discarded].state = nil
	}
	c.forks = slices.DeleteFunc(c.forks, func(b *block) bool {
		if !c.old(b) {
			return false
		}
		b.state = nil
		return true
	})
}

// at returns the canonical block of a number.
func (c *chain) at(number uint32) *block {
	if uint64(number) < uint64(len(c.canon)) {
		return c.canon[number]
	}
	return nil
}

// isFinal reports whether b is on the finalized chain.
func (c *chain) isFinal(b *block) bool {
	return b.header.Number <= c.final.header.Number && c.canon[b.header.Number] == b
}
