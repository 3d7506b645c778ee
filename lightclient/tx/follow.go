package tx

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// What a transaction has come to.
const (
	Pending   = "pending"   // written down and sent, in no finalized block yet
	Succeeded = "succeeded" // in a finalized block, and did what it should
	Failed    = "failed"    // in a finalized block, and did nothing but pay
	Included  = "included"  // in a finalized block, whose state nobody has any more: how it ended cannot be told
	Replaced  = "replaced"  // another transaction of the account has its nonce
	Unheard   = "unheard"   // others were to carry it, its era is over, and no proof came that a block had it
	Lapsed    = "lapsed"    // its era is over, and it can be in no block any more
)

var states = []string{Pending, Succeeded, Failed, Included, Replaced, Lapsed, Unheard}

// A Tracked is what is known of a transaction. Blocks are finalized ones. Fields are added, never renamed.
type Tracked struct {
	Hash      string   `json:"hash"`
	Extrinsic string   `json:"extrinsic"`
	From      string   `json:"from"`
	Nonce     uint32   `json:"nonce"`
	Call      string   `json:"call"`
	Spec      uint32   `json:"spec_version"`
	Submitted uint32   `json:"submitted_at"` // the finalized block then
	Last      uint32   `json:"last_block"`   // that may hold it
	State     string   `json:"state"`
	Sent      int      `json:"sent"` // how often it was sent to a peer
	Block     uint32   `json:"block,omitempty"`
	BlockHash string   `json:"block_hash,omitempty"`
	Index     int      `json:"index,omitempty"` // in the block
	Outcome   *Outcome `json:"outcome,omitempty"`
	Problem   string   `json:"problem,omitempty"` // what last stood in the way
	Away      bool     `json:"away,omitempty"`    // other light nodes were to carry it
	Step      int      `json:"step"`              // counts the changes
}

// Done reports whether nothing more can become of it.
func (t *Tracked) Done() bool { return t.State != Pending }

// Run follows what is under way until ctx ends. It sleeps while nothing is.
func (p *Pool) Run(ctx context.Context) error {
	above := uint32(0)
	for {
		if !p.busy() {
			select {
			case <-p.wake:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		at, err := p.cfg.Node.WaitFinalized(ctx, above)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err // the node has ended
		}
		above = at.Header.Number
		for _, e := range p.underWay() {
			if err := p.step(ctx, e, at); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				p.problem(e, err)
			}
		}
	}
}

func (p *Pool) busy() bool { return len(p.underWay()) > 0 }

func (p *Pool) underWay() []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*entry
	for _, e := range p.entries {
		if e.State == Pending {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int { return int(int64(a.Nonce) - int64(b.Nonce)) })
	return list
}

// problem notes what stands in the way, once.
func (p *Pool) problem(e *entry, err error) {
	if p.copyOf(e).Problem != err.Error() {
		p.update(e, func(t *Tracked) { t.Problem = err.Error() }, false)
	}
}

// step looks what the blocks up to a finalized one have made of a transaction.
//
// An account's nonce is above that of an extrinsic from the block on that has it, so one small proof tells whether any
// of the new blocks can have it, a few more which one, and one body proves it. Only where a nonce cannot tell, because
// the account may have been reaped and its nonce begun anew, or the state is pruned, are all bodies looked through.
func (p *Pool) step(ctx context.Context, e *entry, at lightclient.FinalBlock) error {
	e.at.Lock()
	defer e.at.Unlock()
	if t := p.copyOf(e); at.Header.Number <= e.seen || t.Done() {
		return nil
	}
	if e.Away && !p.linked() { // nobody to ask: it is for a proof to tell
		p.unheard(e, at.Header.Number)
		return nil
	}
	last := min(at.Header.Number, e.Last)
	done, err := p.look(ctx, e, last)
	if done || err != nil {
		return err
	}
	e.seen = last
	if at.Header.Number >= e.Last {
		p.finish(e, func(t *Tracked) { t.State = Lapsed })
		return nil
	}
	return p.again(ctx, e, at)
}

// look looks for the transaction in the blocks after those that were seen. It reports whether it has come to an end.
func (p *Pool) look(ctx context.Context, e *entry, last uint32) (bool, error) {
	var a Account
	m, err := p.cfg.Node.Metadata(ctx, &last)
	if err == nil {
		a, err = p.Account(ctx, m, e.from, last)
	}
	switch {
	case errors.Is(err, lightclient.ErrPruned):
		return p.scan(ctx, e, e.seen+1, last)
	case err != nil:
		return false, err
	case a.Nonce > e.Nonce:
		return p.passed(ctx, e, m, last)
	case !a.Exists || e.Nonce == 0 || p.next(e.from, a.Nonce) < e.Nonce:
		return p.scan(ctx, e, e.seen+1, last)
	}
	return false, nil
}

// passed finds the block in which the account's nonce passed that of the transaction: it has at last, and had not at
// what was seen.
func (p *Pool) passed(ctx context.Context, e *entry, m *metadata.Metadata, last uint32) (bool, error) {
	low, high := e.seen, last
	if high-low > maxBisect {
		return p.searched(ctx, e, low+1, high)
	}
	for high-low > 1 {
		mid := low + (high-low)/2
		a, err := p.Account(ctx, m, e.from, mid)
		if errors.Is(err, lightclient.ErrPruned) {
			return p.searched(ctx, e, low+1, high)
		}
		if err != nil {
			return false, err
		}
		if a.Nonce > e.Nonce {
			high = mid
		} else {
			low = mid
		}
	}
	return p.searched(ctx, e, high, high)
}

// searched looks through bodies and, where none has the transaction, takes it for replaced: its nonce is used.
func (p *Pool) searched(ctx context.Context, e *entry, from, to uint32) (bool, error) {
	if done, err := p.scan(ctx, e, from, to); done || err != nil {
		return done, err
	}
	p.finish(e, func(t *Tracked) { t.State = Replaced })
	return true, nil
}

// scan looks for the transaction in the bodies of some blocks.
func (p *Pool) scan(ctx context.Context, e *entry, from, to uint32) (bool, error) {
	for n := from; n <= to && n >= from; n++ {
		b, body, err := p.cfg.Node.Body(ctx, n)
		if err != nil {
			return false, err
		}
		for i, x := range body {
			if HashOf(x) == e.hash {
				return true, p.included(ctx, e, b, i)
			}
		}
	}
	return false, nil
}

// included reads what became of the transaction in the block that has it.
func (p *Pool) included(ctx context.Context, e *entry, at lightclient.FinalBlock, index int) error {
	o, err := p.Outcome(ctx, at, uint32(index))
	if err != nil && !errors.Is(err, lightclient.ErrPruned) {
		return err
	}
	p.finish(e, func(t *Tracked) {
		t.Block, t.BlockHash, t.Index, t.Outcome, t.Problem = at.Header.Number, at.Hash.String(), index, o, ""
		switch {
		case err != nil:
			t.State, t.Problem = Included, err.Error()
		case o.OK:
			t.State = Succeeded
		default:
			t.State = Failed
		}
	})
	return nil
}

// Outcome reads what became of the extrinsic of an index in a finalized block: System.Events in its state, decoded by
// the metadata of the runtime that executed it, which is the one in its parent's state.
func (p *Pool) Outcome(ctx context.Context, at lightclient.FinalBlock, index uint32) (*Outcome, error) {
	if at.Header.Number == 0 {
		return nil, fmt.Errorf("%w: block 0 has no extrinsics", ErrEvents)
	}
	parent := at.Header.Number - 1
	m, err := p.cfg.Node.Metadata(ctx, &parent)
	if err != nil {
		return nil, err
	}
	r, err := p.cfg.Node.ReadAt(ctx, at.Header.Number, verify.StorageKey("System", "Events"))
	if err != nil {
		return nil, err
	}
	if r.Values[0].Outcome != trie.Present {
		return nil, fmt.Errorf("%w: block #%d has none", ErrEvents, at.Header.Number)
	}
	o, err := OutcomeOf(m, r.Values[0].Value, index)
	if err != nil {
		return nil, fmt.Errorf("block #%d, extrinsic %d: %w", at.Header.Number, index, err)
	}
	return o, nil
}

// finish ends a transaction.
func (p *Pool) finish(e *entry, f func(*Tracked)) {
	p.update(e, f, true)
	t := p.copyOf(e)
	p.cfg.Notes("%s %s", e.hash.Short(), t.Line())
}

// Line tells in a line what a transaction has come to.
func (t *Tracked) Line() string {
	switch t.State {
	case Succeeded:
		if t.Outcome != nil && t.Outcome.Failed() != nil {
			return fmt.Sprintf("is final in #%d, extrinsic %d: it succeeded, but a call inside failed: %v", t.Block, t.Index, t.Outcome.Failed())
		}
		return fmt.Sprintf("is final in #%d, extrinsic %d: it succeeded", t.Block, t.Index)
	case Failed:
		why := "its dispatch failed"
		if t.Outcome != nil && t.Outcome.Failure != nil {
			why = t.Outcome.Failure.Error()
		}
		return fmt.Sprintf("is final in #%d, extrinsic %d: it failed: %s", t.Block, t.Index, why)
	case Included:
		return fmt.Sprintf("is final in #%d, extrinsic %d; how it ended cannot be told: %s", t.Block, t.Index, t.Problem)
	case Replaced:
		return fmt.Sprintf("was never included: another transaction used nonce %d of the account", t.Nonce)
	case Unheard:
		return fmt.Sprintf("was handed to light nodes, and no proof came that a block had it; #%d was the last that could hold it", t.Last)
	case Lapsed:
		return fmt.Sprintf("was never included, and cannot be any more: #%d was the last block that could hold it", t.Last)
	}
	line := "is in no finalized block yet"
	if t.Away && t.Sent == 0 {
		line = "was handed to light nodes, and no proof came back yet"
	} else if t.Sent == 0 {
		line = "was sent to nobody yet"
	}
	if t.Last != 1<<32-1 {
		line += fmt.Sprintf("; #%d is the last that can hold it", t.Last)
	}
	if t.Problem != "" {
		line += ": " + t.Problem
	}
	return line
}

// again tells peers that were not told yet, and from time to time all, if the runtime still takes it.
func (p *Pool) again(ctx context.Context, e *entry, at lightclient.FinalBlock) error {
	if at.Header.Number >= e.announced+announceAll || len(e.told) == 0 {
		e.announced = at.Header.Number
		if _, err := p.Validate(ctx, e.extrinsic, at); err != nil {
			return err
		}
		clear(e.told)
	}
	sent, err := p.cfg.Node.Announce(ctx, e.extrinsic, e.told)
	if sent > 0 {
		p.update(e, func(t *Tracked) { t.Sent, t.Problem = t.Sent+sent, "" }, false)
	}
	return err
}
