package lightclient

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
)

// Our own limits, not the chain's.
const (
	// MaxUnfinalized bounds the tree above the finalized block. A finality stall on a real network
	// runs for hours (300 blocks an hour); beyond this the tree stops growing and only finality,
	// which needs no tree, is asked for.
	MaxUnfinalized = 512
	// maxRecent is how many finalized headers are kept in memory below the newest.
	maxRecent = 256
)

// Errors of Chain. ErrKnown, ErrStale and ErrOtherSet are races, not faults of the peer.
var (
	ErrKnown         = errors.New("block is known")
	ErrStale         = errors.New("not above the finalized block")
	ErrOrphan        = errors.New("parent is unknown")
	ErrNoAuthorities = errors.New("aura authorities are not known yet")
	ErrFull          = errors.New("unfinalized tree is full")
	ErrOtherSet      = errors.New("signed by another authority set")
	ErrUnknownTarget = errors.New("target block is unknown")
	ErrCrossesChange = errors.New("finalizes past a set change that is not final")
	// ErrDisputed: a valid commit names another block at a height that is final. With the target's
	// header, Dispute makes it evidence.
	ErrDisputed = errors.New("valid commit for another block than the finalized one")
)

// A block is a header above the finalized one, its seal verified.
type block struct {
	header *verify.Header
	hash   verify.Hash
	parent *block     // nil: the finalized block
	aura   *aura.Keys // the list that seals its children
	change bool       // announces a GRANDPA set change
}

// A FinalBlock is a finalized header.
type FinalBlock struct {
	Header *verify.Header
	Hash   verify.Hash
}

// Chain is the newest finalized block and the tree of sealed headers above it. It is passive: it
// validates, holds and prunes what it is given, asks nobody and is not safe for concurrent use.
//
// Invariants, checked by Check:
//
//   - the finalized header hashes to the finalized hash;
//   - the finalized number never decreases, and within the life of a Chain only moves to a
//     descendant, or by a finality proof that skips headers;
//   - the set is the one entitled to finalize the finalized block's children;
//   - every block of the tree descends from the finalized block, one number and at least one slot
//     above its parent, and its seal was verified against the list valid at its parent;
//   - no block of the tree descends from an unfinalized set change's block without that change
//     being seen, so a commit cannot step over one;
//   - the tree holds at most MaxUnfinalized blocks, and best is one of the highest.
type Chain struct {
	final  grandpa.Finalized
	signer grandpa.AuthoritySet // the set that signed final's justification; no authorities: unknown
	aura   *aura.Keys           // the list that seals the finalized block's children; nil: unknown
	blocks map[verify.Hash]*block
	best   *block       // nil: the finalized block
	recent []FinalBlock // finalized headers, ascending, each the parent of the next
}

// NewChain returns a chain that trusts final, and seals by the given list if it is known.
func NewChain(final grandpa.Finalized, list []aura.AuthorityID) (*Chain, error) {
	if final.Header == nil || final.Header.Hash() != final.Hash {
		return nil, errors.New("chain: finalized header does not have the finalized hash")
	}
	if err := final.Set.Check(); err != nil {
		return nil, fmt.Errorf("chain: set %d: %w", final.Set.ID, err)
	}
	c := &Chain{blocks: make(map[verify.Hash]*block)}
	var keys *aura.Keys
	if len(list) > 0 {
		keys = aura.NewKeys(list)
	}
	c.reset(final, grandpa.AuthoritySet{}, keys)
	return c, nil
}

func (c *Chain) reset(final grandpa.Finalized, signer grandpa.AuthoritySet, keys *aura.Keys) {
	c.final, c.signer, c.aura, c.best = final, signer, keys, nil
	clear(c.blocks)
	c.recent = append(c.recent[:0], FinalBlock{final.Header, final.Hash})
}

// Finalized returns the newest finalized block and the set that finalizes its descendants.
func (c *Chain) Finalized() grandpa.Finalized { return c.final }

// Best returns the highest sealed header; it is the finalized one when nothing is above it.
func (c *Chain) Best() FinalBlock {
	if c.best == nil {
		return FinalBlock{c.final.Header, c.final.Hash}
	}
	return FinalBlock{c.best.header, c.best.hash}
}

// Authorities returns the Aura list that seals the finalized block's children; nil if unknown.
func (c *Chain) Authorities() []aura.AuthorityID {
	if c.aura == nil {
		return nil
	}
	return c.aura.List()
}

// SetAuthorities gives the Aura list, proven by the caller at the finalized block.
func (c *Chain) SetAuthorities(at verify.Hash, list []aura.AuthorityID) {
	if at == c.final.Hash && c.aura == nil && len(list) > 0 {
		c.aura = aura.NewKeys(list)
	}
}

// Len returns the number of unfinalized headers held.
func (c *Chain) Len() int { return len(c.blocks) }

// Header returns a header that is held, finalized or not; nil if it is not.
func (c *Chain) Header(hash verify.Hash) *verify.Header {
	if b := c.blocks[hash]; b != nil {
		return b.header
	}
	for i := len(c.recent) - 1; i >= 0; i-- {
		if c.recent[i].Hash == hash {
			return c.recent[i].Header
		}
	}
	return nil
}

// FinalizedAt returns the finalized header of a number, if it is still held.
func (c *Chain) FinalizedAt(number uint32) (FinalBlock, bool) {
	if n := len(c.recent); n > 0 {
		if first := c.recent[0].Header.Number; number >= first && number-first < uint32(n) {
			return c.recent[number-first], true
		}
	}
	return FinalBlock{}, false
}

// Insert verifies a header's seal and place and adds it to the tree.
//
// The list it is sealed by is the one valid at its parent; a list that it announces is for its
// children (pallet_aura: authorities are read from the parent's state).
func (c *Chain) Insert(h *verify.Header, clock aura.Clock) error {
	hash := h.Hash()
	if _, ok := c.blocks[hash]; ok || hash == c.final.Hash {
		return ErrKnown
	}
	if h.Number <= c.final.Header.Number {
		return ErrStale
	}
	parent := c.blocks[h.ParentHash]
	parentHeader, keys := c.final.Header, c.aura
	if parent != nil {
		parentHeader, keys = parent.header, parent.aura
	} else if h.ParentHash != c.final.Hash {
		return ErrOrphan
	}
	if keys == nil {
		return ErrNoAuthorities
	}
	if err := keys.VerifyHeader(h, parentHeader, clock); err != nil {
		return fmt.Errorf("header %d %s: %w", h.Number, hash.Short(), err)
	}
	next, err := aura.AuthoritiesChange(h)
	if err != nil {
		return fmt.Errorf("header %d %s: %w", h.Number, hash.Short(), err)
	}
	if next != nil {
		keys = aura.NewKeys(next)
	}
	change, err := grandpa.ScheduledChange(h)
	if err != nil {
		return fmt.Errorf("header %d %s: %w", h.Number, hash.Short(), err)
	}
	if len(c.blocks) >= MaxUnfinalized && !c.dropForks() {
		return ErrFull
	}
	b := &block{header: h, hash: hash, parent: parent, aura: keys, change: change != nil}
	c.blocks[hash] = b
	if c.best == nil || h.Number > c.best.header.Number {
		c.best = b
	}
	return nil
}

// dropForks removes every block that is not an ancestor of best, and reports whether any was.
func (c *Chain) dropForks() bool {
	keep := make(map[verify.Hash]*block)
	for b := c.best; b != nil; b = b.parent {
		keep[b.hash] = b
	}
	dropped := len(keep) < len(c.blocks)
	c.blocks = keep
	return dropped
}

// Commit applies a commit message of the GRANDPA gossip. It returns the blocks that became final,
// oldest first.
func (c *Chain) Commit(m *grandpa.CommitMessage) ([]FinalBlock, error) {
	if m.Commit.TargetNumber <= c.final.Header.Number {
		return nil, c.disputes(m)
	}
	if m.SetID != c.final.Set.ID {
		return nil, fmt.Errorf("commit for %d: %w: %d, ours is %d", m.Commit.TargetNumber, ErrOtherSet, m.SetID, c.final.Set.ID)
	}
	b := c.blocks[m.Commit.TargetHash]
	if b == nil {
		return nil, fmt.Errorf("commit for %d %s: %w", m.Commit.TargetNumber, m.Commit.TargetHash.Short(), ErrUnknownTarget)
	}
	if err := c.crossesChange(b); err != nil {
		return nil, err
	}
	if err := m.Verify(&c.final.Set, c.Header); err != nil {
		return nil, err
	}
	j, err := m.Justification(c.Header)
	if err != nil {
		return nil, err
	}
	return c.finalize(b, j)
}

// disputes looks at a commit at or below the finalized number: ErrStale if it agrees with what is
// final or cannot be compared with it, ErrDisputed if it is valid and does not agree.
func (c *Chain) disputes(m *grandpa.CommitMessage) error {
	ours, ok := c.FinalizedAt(m.Commit.TargetNumber)
	if !ok || ours.Hash == m.Commit.TargetHash || m.SetID != c.signer.ID || c.final.Justification == nil {
		return ErrStale
	}
	if err := m.Verify(&c.signer, c.Header); err != nil {
		return err
	}
	return ErrDisputed
}

// Dispute makes evidence of a commit that contradicts the finalized block, or returns an error if it
// does not. The headers are those of the commit's target and, if that is above the finalized block,
// of its ancestors down to just above the finalized height.
func (c *Chain) Dispute(m *grandpa.CommitMessage, headers []*verify.Header) (*grandpa.Evidence, error) {
	lookup := func(hash verify.Hash) *verify.Header {
		for _, h := range headers {
			if h.Hash() == hash {
				return h
			}
		}
		return c.Header(hash)
	}
	final := c.final.Header.Number
	set := &c.signer
	if m.SetID != set.ID || c.final.Justification == nil {
		return nil, ErrOtherSet
	}
	target := lookup(m.Commit.TargetHash)
	if target == nil {
		return nil, ErrUnknownTarget
	}
	if err := m.Verify(set, lookup); err != nil {
		return nil, err
	}
	j, err := m.Justification(lookup)
	if err != nil {
		return nil, err
	}
	ours := grandpa.Proof{Header: c.final.Header, Justification: c.final.Justification}
	for i := len(c.recent) - 2; i >= 0 && c.recent[i].Header.Number > target.Number; i-- {
		ours.Ancestry = append(ours.Ancestry, c.recent[i].Header)
	}
	theirs := grandpa.Proof{Header: target, Justification: j}
	for h := lookup(target.ParentHash); h != nil && h.Number > final; h = lookup(h.ParentHash) {
		theirs.Ancestry = append(theirs.Ancestry, h)
	}
	return grandpa.NewEvidence(set, ours, theirs)
}

// Contradicts looks at a justified header at or below the finalized number, as a warp proof may bring
// one: evidence if it is valid and not the block that is final there, else nil.
func (c *Chain) Contradicts(h *verify.Header, j *grandpa.Justification) *grandpa.Evidence {
	ours, ok := c.FinalizedAt(h.Number)
	if !ok || ours.Hash == h.Hash() {
		return nil
	}
	m := &grandpa.CommitMessage{Round: j.Round, SetID: c.signer.ID, Commit: j.Commit}
	ev, err := c.Dispute(m, append(j.Ancestry, h))
	if err != nil {
		return nil
	}
	return ev
}

func (c *Chain) crossesChange(target *block) error {
	for b := target.parent; b != nil; b = b.parent {
		if b.change {
			return fmt.Errorf("target %d: %w: block %d", target.header.Number, ErrCrossesChange, b.header.Number)
		}
	}
	return nil
}

// Justify applies a justification with the header it is for. A header that is not in the tree is
// accepted as a warp fragment is: the set signs nothing above its own end, so a valid justification
// for a higher block shows that no change lies between. The Aura list is unknown after such a step.
func (c *Chain) Justify(h *verify.Header, j *grandpa.Justification) ([]FinalBlock, error) {
	hash := h.Hash()
	if j.Commit.TargetHash != hash || j.Commit.TargetNumber != h.Number {
		return nil, fmt.Errorf("justification for %d: %w", h.Number, grandpa.ErrTarget)
	}
	if h.Number <= c.final.Header.Number {
		return nil, ErrStale
	}
	b := c.blocks[hash]
	if b != nil {
		if err := c.crossesChange(b); err != nil {
			return nil, err
		}
	}
	if err := j.Verify(&c.final.Set); err != nil {
		return nil, err
	}
	if b != nil {
		return c.finalize(b, j)
	}
	next, err := grandpa.Advance(c.final.Set, h)
	if err != nil {
		return nil, err
	}
	c.jump(grandpa.Finalized{Header: h, Hash: hash, Set: next, Justification: j}, c.final.Set)
	return []FinalBlock{{h, hash}}, nil
}

// Warp applies a warp proof. It returns how many fragments were good, which stay applied even when a
// later one is not.
func (c *Chain) Warp(p *grandpa.WarpProof) (verified int, err error) {
	to, n, err := p.Verify(c.final)
	if n > 0 && to.Header.Number > c.final.Header.Number {
		if b := c.blocks[to.Hash]; b != nil && c.crossesChange(b) == nil {
			// The headers below are held: the tree above, and the Aura list, stay good.
			if _, err := c.finalize(b, to.Justification); err != nil {
				return 0, err
			}
		} else {
			signer := to.Set
			if change, err := grandpa.ScheduledChange(to.Header); err != nil || change != nil {
				signer = grandpa.AuthoritySet{} // the one before it, which is not kept
			}
			c.jump(to, signer)
		}
	}
	return n, err
}

// jump makes a block final whose ancestors are not held.
func (c *Chain) jump(to grandpa.Finalized, signer grandpa.AuthoritySet) {
	var keys *aura.Keys
	if to.Header.ParentHash == c.final.Hash {
		keys = c.aura
	}
	// A list that the block itself announces is the one for its children, whatever came before.
	if next, err := aura.AuthoritiesChange(to.Header); err == nil && next != nil {
		keys = aura.NewKeys(next)
	}
	c.reset(to, signer, keys)
}

func (c *Chain) finalize(target *block, j *grandpa.Justification) ([]FinalBlock, error) {
	next, err := grandpa.Advance(c.final.Set, target.header)
	if err != nil {
		return nil, err
	}
	var path []FinalBlock
	for b := target; b != nil; b = b.parent {
		path = append(path, FinalBlock{b.header, b.hash})
	}
	for i, k := 0, len(path)-1; i < k; i, k = i+1, k-1 {
		path[i], path[k] = path[k], path[i]
	}
	c.recent = append(c.recent, path...)
	if n := len(c.recent) - maxRecent; n > 0 {
		c.recent = append(c.recent[:0], c.recent[n:]...)
	}
	c.signer = c.final.Set
	c.final = grandpa.Finalized{Header: target.header, Hash: target.hash, Set: next, Justification: j}
	c.aura = target.aura

	// What does not descend from the target can never be final.
	kept := make(map[verify.Hash]*block, len(c.blocks))
	for hash, b := range c.blocks {
		for a := b.parent; a != nil; a = a.parent {
			if a == target {
				kept[hash] = b
				break
			}
		}
	}
	c.blocks, c.best = kept, nil
	for _, b := range kept {
		if b.parent == target {
			b.parent = nil
		}
		if c.best == nil || b.header.Number > c.best.header.Number {
			c.best = b
		}
	}
	return path, nil
}

// Check returns the first invariant that does not hold.
func (c *Chain) Check() error {
	if c.final.Header.Hash() != c.final.Hash {
		return errors.New("chain: finalized header and hash differ")
	}
	if len(c.blocks) > MaxUnfinalized {
		return fmt.Errorf("chain: %d unfinalized blocks", len(c.blocks))
	}
	top := c.final.Header.Number
	for hash, b := range c.blocks {
		below, belowHash := c.final.Header, c.final.Hash
		if b.parent != nil {
			if c.blocks[b.parent.hash] != b.parent {
				return fmt.Errorf("chain: block %d %s has a parent outside the tree", b.header.Number, hash.Short())
			}
			below, belowHash = b.parent.header, b.parent.hash
		}
		if b.hash != hash || b.header.ParentHash != belowHash || b.header.Number != below.Number+1 {
			return fmt.Errorf("chain: block %d %s does not follow its parent", b.header.Number, hash.Short())
		}
		top = max(top, b.header.Number)
	}
	if c.Best().Header.Number != top {
		return fmt.Errorf("chain: best is %d, the highest is %d", c.Best().Header.Number, top)
	}
	for i := 1; i < len(c.recent); i++ {
		if c.recent[i].Header.ParentHash != c.recent[i-1].Hash {
			return fmt.Errorf("chain: finalized header %d does not follow its parent", c.recent[i].Header.Number)
		}
	}
	if last := c.recent[len(c.recent)-1]; last.Hash != c.final.Hash {
		return errors.New("chain: the newest recent header is not the finalized one")
	}
	return nil
}
