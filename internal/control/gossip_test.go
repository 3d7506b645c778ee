package control

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// unheard is a light client that nobody tells anything.
type unheard struct{}

func (unheard) Offer(context.Context, *grandpa.WarpProof) {}
func (unheard) Accuse(context.Context, *grandpa.Evidence) {}
func (unheard) Told(uint32)                               {}

// TestReach: the question whether others reach a port comes to the gossip, here and over the socket, and what it says
// against it comes back with its code.
func TestReach(t *testing.T) {
	h, err := p2p.New(p2p.Config{Listen: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0")}, UserAgent: "taolight/test"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	n, err := gossip.New(gossip.Config{Host: h.Libp2p(), Light: unheard{}, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	var talk *gossip.Node
	l := &Local{Checkpoint: &checkpoint.Checkpoint{}, DataDir: t.TempDir(), Talk: func() *gossip.Node { return talk }}
	c := serveDir(t, l.DataDir, l.Handle)
	for _, x := range []struct {
		talk *gossip.Node
		port uint16
		code Code
		want error
	}{
		{nil, 8091, Failure, errNoGossip},
		{n, 22, Usage, gossip.ErrPort},
		{n, 8091, NoPeers, gossip.ErrNobody},
	} {
		talk = x.talk
		for _, who := range []interface {
			Reach(context.Context, ReachQuestion) (*gossip.Reached, error)
		}{l, c} {
			r, err := who.Reach(t.Context(), ReachQuestion{x.port})
			if r != nil || CodeOf(err) != x.code || who == l && !errors.Is(err, x.want) || err == nil || !strings.Contains(err.Error(), x.want.Error()) {
				t.Errorf("%T, port %d: %+v, %v", who, x.port, r, err)
			}
		}
	}
}
