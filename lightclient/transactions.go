package lightclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
)

// openTxs is how long a peer that refused its transactions substream before may take to open it.
const openTxs = 5 * time.Second

// Genesis returns the hash of block 0, by which the network is known.
func (n *Node) Genesis() verify.Hash { return n.cfg.Checkpoint.Genesis }

// Finalized returns the finalized head; ErrNotFinal until the node has caught up.
func (n *Node) Finalized(ctx context.Context) (FinalBlock, error) { return n.head(ctx) }

// WaitFinalized returns the finalized head as soon as it is above a number.
func (n *Node) WaitFinalized(ctx context.Context, above uint32) (FinalBlock, error) {
	for {
		var at FinalBlock
		var moved <-chan struct{}
		if !n.call(ctx, func() {
			moved = n.moved
			if c := n.sync.Chain(); c != nil && n.sync.warp.caughtUp {
				f := c.Finalized()
				at = FinalBlock{f.Header, f.Hash}
			}
		}) {
			return at, n.ended(ctx)
		}
		if at.Header != nil && at.Header.Number > above {
			return at, nil
		}
		ready := n.ready
		if at.Header != nil {
			ready = nil // it is closed, and tells nothing more
		}
		select {
		case <-moved:
		case <-ready:
		case <-ctx.Done():
			return at, context.Cause(ctx)
		case <-n.done:
			return at, n.ended(ctx)
		}
	}
}

// Body returns the extrinsics of a finalized block, each with its length in front, which together have the
// extrinsics root of its proven header. Any peer may have it, since bodies are not pruned with states.
func (n *Node) Body(ctx context.Context, number uint32) (FinalBlock, [][]byte, error) {
	l, err := n.look(ctx)
	if err != nil {
		return FinalBlock{}, nil, err
	}
	at, err := l.block(number)
	if err != nil {
		return FinalBlock{}, nil, err
	}
	_, body, err := n.fetch(ctx, at.Hash, number, true)
	return at, body, err
}

// Announce sends an extrinsic, with its length in front, to the open peers that told does not name, and names
// them there. It returns how many they were. Peers say nothing back: one that thinks little of the extrinsic
// drops it, and may drop us, so it must be good.
func (n *Node) Announce(ctx context.Context, extrinsic []byte, told map[string]bool) (int, error) {
	msg := wire.AppendTransaction(nil, extrinsic)
	var open []peer.ID
	n.mu.Lock()
	for id, c := range n.conns {
		if c.open && c.role != wire.RoleLight && !told[string(id)] {
			open = append(open, id)
		}
	}
	n.mu.Unlock()
	sent := 0
	var failed error
	for _, id := range open {
		err := n.txs.Send(id, msg)
		if errors.Is(err, p2p.ErrNotOpen) {
			octx, cancel := context.WithTimeout(ctx, openTxs)
			if _, err = n.txs.Open(octx, id); err == nil {
				err = n.txs.Send(id, msg)
			}
			cancel()
		}
		if err != nil {
			failed = fmt.Errorf("transactions to %s: %w", shortID(id), err)
			continue
		}
		told[string(id)] = true
		sent++
	}
	if sent == 0 && len(told) == 0 {
		if failed == nil {
			failed = ErrNoPeers
		}
		return 0, failed
	}
	return sent, nil
}

// Linked reports whether there is a peer that could take a transaction.
func (n *Node) Linked() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		if c.open && c.role != wire.RoleLight {
			return true
		}
	}
	return false
}

// Errors of MaySign.
var (
	// ErrConflict: two valid finalities contradict each other, so that nobody can say what the chain is.
	ErrConflict = errors.New("two conflicting finalities are known")
	// ErrClock: the clock is behind the finalized head.
	ErrClock = errors.New("the clock cannot be trusted: it is behind the finalized head")
)

// MaySign says why nothing may be signed now that is bound to this chain: a conflict of finality is known, the clock
// is wrong, or nothing is proven yet; nil if nothing stands against it.
func (n *Node) MaySign() error {
	ctx, cancel := context.WithTimeout(context.Background(), openTxs)
	defer cancel()
	var err error
	if !n.call(ctx, func() {
		c := n.sync.Chain()
		switch {
		case n.sync.alarm != nil:
			err = ErrConflict
		case c == nil || !n.sync.warp.caughtUp:
			err = ErrNotFinal
		case n.sync.ClockBehind():
			err = ErrClock
		}
	}) {
		return n.ended(ctx)
	}
	return err
}
