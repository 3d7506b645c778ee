package gossip

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

// TestLinger: a message waits again while some of the mesh have it and others have not said so, and no longer than that.
func TestLinger(t *testing.T) {
	p := Params{Spread: time.Second, SpreadMore: 2}
	const topic, id = "topic", "id"
	long := func(has ...peer.ID) (most time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			for range 200 {
				r := &router{mesh: newMesh(new(meter))}
				for _, id := range []peer.ID{"a", "b", "c", "from"} {
					r.mesh.Graft(id, topic)
				}
				r.mesh.Graft("x", "another topic")
				began := time.Now()
				time.AfterFunc(time.Nanosecond, func() { // as all that comes while it waits
					for _, h := range has {
						r.mesh.DuplicateMessage(&pubsub.Message{Message: new(pb.Message), ID: id, ReceivedFrom: h})
						r.mesh.DuplicateMessage(&pubsub.Message{Message: new(pb.Message), ID: "another", ReceivedFrom: "a"})
					}
				})
				r.linger(t.Context(), topic, id, "from", &p)
				most = max(most, time.Since(began))
				synctest.Wait()
				if len(r.mesh.holds) > 0 {
					t.Fatalf("%d messages are still waited for", len(r.mesh.holds))
				}
			}
		})
		return most
	}
	for _, c := range []struct {
		has        []peer.ID
		from, upTo time.Duration
	}{
		{nil, 900 * time.Millisecond, time.Second},
		{[]peer.ID{"a"}, 2 * time.Second, 3 * time.Second},
		{[]peer.ID{"x", "stranger"}, 900 * time.Millisecond, time.Second},
		{[]peer.ID{"a", "b", "c"}, 900 * time.Millisecond, time.Second},
	} {
		if most := long(c.has...); most < c.from || most > c.upTo {
			t.Errorf("while %q have it, it waits for up to %v; want %v to %v", c.has, most, c.from, c.upTo)
		}
	}
	// Of a larger mesh one is too few.
	if Lingers(1, 3) || !Lingers(1, 2) || Lingers(3, 0) || Lingers(0, 0) {
		t.Error("Lingers")
	}
	// It ends with the router.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &router{mesh: newMesh(new(meter))}
	for i := range 4 {
		r.mesh.Graft(peer.ID(strconv.Itoa(i)), topic)
	}
	r.linger(ctx, topic, id, "0", &Params{Spread: time.Hour, SpreadMore: 2})
}
