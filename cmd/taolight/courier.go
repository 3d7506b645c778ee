package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
)

// A courier carries transactions of other light nodes to the chain, and proofs of what became of them back. It
// has a pool of its own, so that they take no room from ours, and remembers nothing over a restart: whoever
// sent one asks again.
type courier struct {
	all   bool // whoever sent it; else those from near only
	node  *lightclient.Node
	pool  *tx.Pool
	talk  *talk
	notes func(lightclient.Note)
	ctx   context.Context // of the instance

	mu    sync.Mutex
	under map[verify.Hash]bool // followed
}

// proveTime bounds the making of one proof.
const proveTime = 2 * time.Minute

// courier returns one by the setting, nil for none.
func (s *instance) courier(ctx context.Context, notes func(lightclient.Note)) (*courier, error) {
	if s.talk == nil || s.cfg.Carry == "off" {
		return nil, nil
	}
	if notes == nil {
		notes = func(lightclient.Note) {}
	}
	c := &courier{all: s.cfg.Carry == "all", node: s.node, talk: s.talk, notes: notes, ctx: ctx, under: make(map[verify.Hash]bool)}
	var err error
	c.pool, err = tx.New(tx.Config{Node: s.node})
	return c, err
}

func (c *courier) note(format string, args ...any) {
	c.notes(lightclient.Note{Topic: "tx", Text: fmt.Sprintf(format, args...)})
}

// Carry implements gossip.Courier.
func (c *courier) Carry(ctx context.Context, p *extrinsic.Parcel, near bool) error {
	if !near && !c.all || !c.node.Linked() {
		return nil
	}
	t, err := c.pool.Submit(ctx, p.Extrinsic, true)
	var refusal *tx.Refusal
	switch {
	case errors.As(err, &refusal), errors.Is(err, tx.ErrSignature), errors.Is(err, tx.ErrPayload), errors.Is(err, tx.ErrLapsed):
		return err
	case err != nil: // it is us who cannot: others may
		c.note("%s of %v is not carried: %v", p.Hash().Short(), p.From, err)
		return nil
	}
	c.mu.Lock()
	known := c.under[p.Hash()]
	c.under[p.Hash()] = true
	c.mu.Unlock()
	if !known {
		if t.Done() { // whoever brings it again has not heard
			go c.follow(p.Hash(), t)
			return nil
		}
		c.note("%s of %v is carried to %d peers of the chain", p.Hash().Short(), p.From, t.Sent)
		go c.follow(p.Hash(), t)
	}
	return nil
}

// follow waits for the end of a transaction and sends the proof of it.
func (c *courier) follow(hash verify.Hash, t tx.Tracked) {
	defer func() {
		c.mu.Lock()
		delete(c.under, hash)
		c.mu.Unlock()
	}()
	var err error
	for err == nil && !t.Done() {
		t, err = c.pool.Wait(c.ctx, hash, t.Step)
	}
	if err != nil {
		return
	}
	if t.Block == 0 {
		c.note("%s, carried for another node, %s", hash.Short(), t.Line())
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, proveTime)
	defer cancel()
	size, err := c.prove(ctx, hash, &t)
	if err != nil {
		c.note("%s is final in #%d; no proof of it was sent back: %v", hash.Short(), t.Block, err)
		return
	}
	c.note("%s, carried for another node, %s; the proof, %d bytes, is sent back", hash.Short(), t.Line(), size)
}

// prove publishes the bundle that a transaction is in a block, and how it ended if that can be proven and fits.
func (c *courier) prove(ctx context.Context, hash verify.Hash, t *tx.Tracked) (int, error) {
	n := c.talk.node.Load()
	if n == nil {
		return 0, errors.New("there is no gossip")
	}
	claim := bundle.IncludedClaim{Block: t.Block, Index: uint32(t.Index), Hash: hash}
	claims := []bundle.IncludedClaim{claim}
	if r, err := c.node.ReadAt(ctx, t.Block, verify.StorageKey("System", "Events")); err == nil && len(r.Values) == 1 {
		if claim.End, claim.Error, err = bundle.EndOf(r.Values[0].Value, claim.Index); err == nil {
			claims = []bundle.IncludedClaim{claim, claims[0]}
		}
	}
	var last error
	for _, claim := range claims {
		x, err := c.node.Prove(ctx, []bundle.Claim{claim}, lightclient.ProveOptions{})
		if err != nil {
			last = err
			continue
		}
		b := x.Encode()
		if len(b) > gossip.MaxMessage {
			last = fmt.Errorf("%w: %d bytes", gossip.ErrSize, len(b))
			continue
		}
		if _, err := n.Publish(ctx, b); err != nil && !errors.Is(err, gossip.ErrKnown) {
			return 0, err
		}
		return len(b), nil
	}
	return 0, last
}
