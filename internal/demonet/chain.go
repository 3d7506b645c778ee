package demonet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
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
	aura   uint64             // number of the Aura list that seals its children
	set    uint64             // id of the GRANDPA set of its children
	change bool               // this block announced set
	state  *trie.Trie         // after the block; nil when discarded
	whole  *runtime.TrieState // the same with its child tries, of a localnet; nil when discarded

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

// discard forgets the state.
func (b *block) discard() { b.state, b.whole = nil, nil }

// A chain holds every block, its forks, and what is final. It is not safe for concurrent use, but for
// what reads it while author makes a block: that changes nothing of it.
type chain struct {
	keys         *keyring
	producer     producer
	genesisState *trie.Trie // kept for the chain spec
	clock        func() time.Time
	slotMS       uint64 // slot duration
	dense        bool   // one block in every slot, whatever the clock says
	archive      bool

	blocks    map[verify.Hash]*block
	canon     []*block // best chain by number
	forks     []*block // beside it, until their states are discarded
	discarded uint32   // canonical states below this number are gone
	final     *block
	round     uint64 // of the last vote in the set that cast it
	votes     []vote // every finalization, ascending
	lag       int    // blocks that finality stays behind the best; negative: stalled

	pool pool
}

func newChain(keys *keyring, clock func() time.Time, cfg Config) (*chain, error) {
	c := &chain{
		keys: keys, clock: clock,
		slotMS:  uint64(cfg.BlockTime / time.Millisecond),
		archive: cfg.Archive,
		lag:     cfg.FinalityLag,
		blocks:  make(map[verify.Hash]*block),
	}
	if cfg.ChainSpec != nil {
		l, err := newLocalnet(keys, cfg)
		if err != nil {
			return nil, err
		}
		c.producer, c.slotMS, c.dense = l, l.slotMS, true
	}
	if c.slotMS == 0 {
		return nil, fmt.Errorf("block time %v is under a millisecond", cfg.BlockTime)
	}
	now := uint64(cfg.Start.UnixMilli()) / c.slotMS
	back := uint64(cfg.History) + uint64(cfg.Slack)
	if now <= back {
		return nil, fmt.Errorf("start %v leaves no room for %d slots before it", cfg.Start, back)
	}
	if c.producer == nil {
		c.producer = newImitation(keys, cfg, (now-back)*c.slotMS, c.slotMS)
	}
	if err := c.genesis(now - back); err != nil {
		return nil, err
	}
	for range cfg.History {
		if _, _, err := c.step(false); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// genesis makes block 0: no digest, no slot of its own. Timestamp.Now is the only thing that tells
// two networks of one seed apart, so that each start has its own genesis hash.
func (c *chain) genesis(slot uint64) error {
	b := &block{slot: slot}
	if err := c.producer.genesis(b, slot*c.slotMS); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	b.header = &verify.Header{StateRoot: b.state.Root(), ExtrinsicsRoot: trie.OrderedRoot(nil)}
	b.hash = b.header.Hash()
	c.genesisState = b.state
	c.blocks[b.hash] = b
	c.canon = []*block{b}
	c.final = b
	return nil
}

func (c *chain) best() *block { return c.canon[len(c.canon)-1] }

// nextSlot is the slot that a block made now goes into. Step fills every slot; Run, where the slots are
// the chain's own, takes the slot of the clock.
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

// author has a block made on parent, and seals it. fork is 0, or another number for each block that is
// made beside the canonical ones. It changes nothing of the chain.
func (c *chain) author(parent *block, slot uint64, fork int, offered [][]byte) (*block, []outcome, error) {
	b, outcomes, err := c.producer.build(parent, slot, fork, offered)
	if err != nil {
		return nil, nil, fmt.Errorf("block %d: %w", parent.header.Number+1, err)
	}
	h := b.header
	author := parent.aura + slot%uint64(c.keys.size) // the list valid at the parent
	h.Digest = append(h.Digest, verify.DigestItem{
		Type: verify.DigestSeal, Engine: verify.EngineAura, Data: c.keys.seal(author, h.PreSealHash()),
	})
	b.hash = h.Hash()
	return b, outcomes, nil
}

// insert adds blocks, parents first, and makes the highest the best.
func (c *chain) insert(blocks ...*block) {
	for _, b := range blocks {
		c.blocks[b.hash] = b
		if b.header.Number > c.best().header.Number {
			c.setBest(b)
		} else {
			c.forks = append(c.forks, b)
		}
	}
}

func (c *chain) setBest(b *block) {
	number := b.header.Number
	for uint64(len(c.canon)) <= uint64(number) {
		c.canon = append(c.canon, nil)
	}
	for ; c.canon[b.header.Number] != b; b = b.parent {
		if old := c.canon[b.header.Number]; old != nil {
			c.forks = append(c.forks, old)
			c.pool.retract(old)
		}
		c.canon[b.header.Number] = b
	}
}

// step makes the next block and whatever finality follows from it.
func (c *chain) step(live bool) (*block, []vote, error) {
	p, err := c.plan(live)
	if err != nil {
		return nil, nil, err
	}
	m, err := c.make(p)
	if err != nil {
		return nil, nil, err
	}
	return m.block, c.take(m), nil
}

// A plan is what the next block is made of.
type plan struct {
	parent  *block
	slot    uint64
	offered [][]byte
}

// A made block is ready to be inserted.
type made struct {
	block    *block
	outcomes []outcome // of the first extrinsics of the pool
}

func (c *chain) plan(live bool) (plan, error) {
	slot, err := c.nextSlot(live)
	return plan{c.best(), slot, c.pool.waiting()}, err
}

// make makes the next block. Like author it changes nothing.
func (c *chain) make(p plan) (m made, err error) {
	m.block, m.outcomes, err = c.author(p.parent, p.slot, 0, p.offered)
	return m, err
}

// take inserts a made block.
func (c *chain) take(m made) []vote {
	c.pool.settle(m)
	c.insert(m.block)
	return c.finalize()
}

// fork makes a branch of length blocks on the block that is back blocks below the best, and does not
// insert it. Its blocks use the slots of those they compete with and differ by a mark.
func (c *chain) fork(back, length int) ([]*block, error) {
	best := c.best().header.Number
	if back < 1 || length < 1 || uint64(back) > uint64(best) {
		return nil, fmt.Errorf("%w: %d blocks from %d below block %d", ErrFork, length, back, best)
	}
	parent := c.canon[best-uint32(back)]
	if parent.header.Number < c.final.header.Number {
		return nil, fmt.Errorf("%w: block %d is below the finalized %d", ErrFork, parent.header.Number, c.final.header.Number)
	}
	return c.branch(parent, length)
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
		b, _, err := c.author(parent, slot, len(c.blocks)+i, nil)
		if err != nil {
			return nil, err
		}
		parent = b
		out = append(out, b)
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
		c.canon[c.discarded].discard()
	}
	c.forks = slices.DeleteFunc(c.forks, func(b *block) bool {
		if !c.old(b) {
			return false
		}
		b.discard()
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
