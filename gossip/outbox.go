package gossip

import (
	"context"
	"slices"
	"time"
)

// What waits for somebody to hear it.
const (
	maxOutbox  = 64
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
