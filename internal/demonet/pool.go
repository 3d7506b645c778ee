package demonet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
)

// Our own limits.
const (
	maxPool      = 256       // extrinsics waiting for a block
	maxExtrinsic = 512 << 10 // bytes of one
	maxPoolBytes = 8 << 20   // of all that wait
	maxTries     = 64        // blocks that an extrinsic is offered to
	maxFates     = 1024      // fates remembered
)

// Errors of submitting.
var (
	// ErrPoolFull: too many extrinsics wait already.
	ErrPoolFull = errors.New("too many extrinsics wait for a block")
	// ErrExtrinsic: it is empty or too long.
	ErrExtrinsic = errors.New("extrinsic is empty or too long")
)

// A Fate is what became of an extrinsic that was submitted.
type Fate struct {
	Block  verify.Hash // that has it; zero: none
	Number uint32      // of that block
	Index  int         // in its body
	// Err is why the dispatch failed, if a block has it; else why it was refused, or nil while it waits.
	Err error
}

// A pool is the extrinsics that wait for a block, and what became of the others. Its zero value is empty.
type pool struct {
	list  []pooled
	size  int // bytes
	fates map[verify.Hash]Fate
	order []verify.Hash // of fates, the oldest first
}

type pooled struct {
	hash      verify.Hash
	extrinsic []byte
	tries     int
}

// known reports whether an extrinsic waits, or whether there is a fate of it. One that was refused may
// be good by now.
func (p *pool) known(hash verify.Hash) bool {
	f, ok := p.fates[hash]
	return ok && (f.Number != 0 || f.Err == nil)
}

// fits says whether there is room.
func (p *pool) fits(extrinsic []byte) error {
	switch {
	case len(extrinsic) == 0 || len(extrinsic) > maxExtrinsic:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrExtrinsic, len(extrinsic), maxExtrinsic)
	case len(p.list) >= maxPool || p.size+len(extrinsic) > maxPoolBytes:
		return ErrPoolFull
	}
	return nil
}

// add has an extrinsic wait. One that is known is dropped.
func (p *pool) add(hash verify.Hash, extrinsic []byte) error {
	if err := p.fits(extrinsic); err != nil {
		return err
	}
	if p.known(hash) {
		return nil
	}
	p.list = append(p.list, pooled{hash: hash, extrinsic: slices.Clone(extrinsic)})
	p.size += len(extrinsic)
	p.set(hash, Fate{})
	return nil
}

// set notes a fate.
func (p *pool) set(hash verify.Hash, f Fate) {
	if p.fates == nil {
		p.fates = make(map[verify.Hash]Fate)
	}
	if _, ok := p.fates[hash]; !ok {
		p.order = append(p.order, hash)
	}
	p.fates[hash] = f
	if len(p.order) > maxFates+maxPool {
		for _, old := range p.order[:maxPool] {
			delete(p.fates, old)
		}
		p.order = slices.Clone(p.order[maxPool:])
	}
}

// waiting returns the extrinsics that wait, in the order in which they came.
func (p *pool) waiting() [][]byte {
	var out [][]byte
	for _, x := range p.list {
		out = append(out, x.extrinsic)
	}
	return out
}

// settle notes what a block did with the first of those that wait, which were offered to it.
func (p *pool) settle(m made) {
	var rest []pooled
	for i, x := range p.list {
		if i < len(m.outcomes) {
			o := m.outcomes[i]
			switch {
			case o.in:
				p.set(x.hash, Fate{Block: m.block.hash, Number: m.block.header.Number, Index: o.index, Err: o.err})
			case o.later && x.tries+1 < maxTries:
				x.tries++
				rest = append(rest, x)
				continue
			default:
				p.set(x.hash, Fate{Err: o.err})
			}
			p.size -= len(x.extrinsic)
			continue
		}
		rest = append(rest, x)
	}
	p.list = rest
}

// retract has the extrinsics of a block wait again that is not on the best chain any more.
func (p *pool) retract(b *block) {
	for i, x := range b.body {
		if hash := verify.Blake2b256(x); p.fates[hash].Block == b.hash && p.fates[hash].Number != 0 && p.fits(x) == nil {
			p.list = append(p.list, pooled{hash: hash, extrinsic: b.body[i]})
			p.size += len(x)
			p.set(hash, Fate{})
		}
	}
}

// Submit has an extrinsic, as it stands in a body, wait for the next block, and returns its hash. A chain
// with a runtime asks that first, and gives back why it would refuse.
func (n *Network) Submit(extrinsic []byte) (verify.Hash, error) {
	hash := verify.Blake2b256(extrinsic)
	n.mu.RLock()
	best, known, err := *n.chain.best(), n.chain.pool.known(hash), n.chain.pool.fits(extrinsic)
	n.mu.RUnlock()
	if known {
		return hash, nil
	}
	if err == nil {
		err = n.chain.producer.admit(&best, extrinsic)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		err = n.chain.pool.add(hash, extrinsic)
	} else if !n.chain.pool.known(hash) {
		n.chain.pool.set(hash, Fate{Err: err})
	}
	if err != nil {
		return hash, fmt.Errorf("demo network: extrinsic %s: %w", hash.Short(), err)
	}
	return hash, nil
}

// Fate returns what became of an extrinsic, if it was submitted and is not forgotten.
func (n *Network) Fate(hash verify.Hash) (Fate, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	f, ok := n.chain.pool.fates[hash]
	return f, ok
}
