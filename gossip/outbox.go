package gossip

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taolight/taolight/verify/bundle"
)

// What waits for somebody to hear it.
const (
	maxOutbox  = 64
	maxShares  = 256
	outboxTime = 10 * time.Minute
	outboxSoon = 30 * time.Second // after a neighbour came, it is looked at each second
)

// A waiting message was judged, and is to go out once somebody would get it. A head does not wait here:
// the next one tells more, and who comes in between catches up.
type waiting struct {
	kind    Kind
	message []byte
	until   time.Time
}

// tell sends a message that is not told again by itself: now, if anybody is there, or later.
func (n *Node) tell(ctx context.Context, now time.Time, k Kind, message []byte) error {
	n.mu.Lock()
	r := n.router
	n.mu.Unlock()
	if r == nil && k == Transactions && n.Level() != Park {
		return nil // it is held, and told to whoever asks
	}
	if r == nil || k == Finality || k == FinalityRare || r.meshed(k) || k != Transactions && !slices.Contains(n.Params().Topics, k) {
		return n.send(ctx, k, message)
	}
	if len(n.outbox) >= maxOutbox {
		n.outbox = n.outbox[1:]
	}
	n.outbox = append(n.outbox, waiting{k, message, now.Add(outboxTime)})
	return nil
}

// empty sends what waits and can be sent.
func (n *Node) empty(ctx context.Context, now time.Time) {
	n.mu.Lock()
	r := n.router
	n.mu.Unlock()
	n.outbox = slices.DeleteFunc(n.outbox, func(w waiting) bool {
		if !now.Before(w.until) {
			return true
		}
		return r != nil && r.meshed(w.kind) && r.publish(ctx, w.kind, w.message) == nil
	})
}

// Share tells facts of our own, bundles for one of the topics, in their order and one in each tick, so that they do
// not crowd out what is urgent; what others have told by then is left out. It does not wait. Where there is nobody
// to hear them, or a level without their topic, they are dropped when there are too many.
func (n *Node) Share(messages [][]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shares = append(n.shares, messages...)
	if over := len(n.shares) - maxShares; over > 0 {
		n.shares = slices.Clone(n.shares[over:])
	}
}

// share tells the next one. Others may have the same: each waits for a while of its own.
func (n *Node) share(ctx context.Context, now time.Time, p Params) {
	if now.Before(n.shareAt) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shareAt.IsZero() || len(n.shares) == 0 || len(n.neighbours) == 0 {
		if n.shareAt = (time.Time{}); len(n.shares) > 0 {
			n.shareAt = now.Add(time.Duration(n.rand.Int64N(int64(3 * n.cfg.tick))))
		}
		return
	}
	for len(n.shares) > 0 {
		m := n.shares[0]
		n.shares = n.shares[1:]
		x, err := bundle.Decode(m)
		if err != nil || n.gate.Knows(x) {
			continue
		}
		if k, err := KindOf(x); err != nil || !slices.Contains(p.Topics, k) {
			continue
		}
		n.shareAt = now.Add(n.cfg.tick)
		n.work.Add(1)
		go func() { // it is judged like any message, and comes back to the loop
			defer n.work.Done()
			if _, err := n.Publish(ctx, m); err != nil && ctx.Err() == nil && !errors.Is(err, ErrKnown) {
				n.note("what was proven here is not told: %v", err)
			}
		}()
		return
	}
}

// forming reports whether a message on a topic would be lost because the mesh is not there yet: it forms
// within two heartbeats after a neighbour came.
func (n *Node) forming(now time.Time, k Kind) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.router != nil && !n.router.meshed(k) && now.Sub(n.metAt) < 2*n.params.Heartbeat+settle
}

// lastMet returns when the newest neighbour came.
func (n *Node) lastMet() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.metAt
}
