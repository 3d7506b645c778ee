package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Quiet closes every connection, held ones too, and the listening sockets, and refuses new connections in
// both directions; with false the host listens again where it did and dials. It does not wait for
// connections to end. The error is that of listening again.
func (h *Host) Quiet(on bool) error {
	h.quieting.Lock()
	defer h.quieting.Unlock()
	if h.quiet.Load() == on {
		return nil
	}
	h.quiet.Store(on)
	if !on {
		listen := h.listened
		h.listened = nil
		if len(listen) == 0 {
			return nil
		}
		if err := h.swarm.Listen(listen...); err != nil {
			return fmt.Errorf("p2p: listen again: %w", err)
		}
		return nil
	}
	// The addresses with their ports: others know the node by these.
	h.listened = h.swarm.ListenAddresses()
	h.swarm.ListenClose(h.listened...)
	for _, id := range h.swarm.Peers() {
		if !h.hold() {
			return nil
		}
		go func() { // one that has stopped reading can keep us for seconds
			defer h.wg.Done()
			h.swarm.ClosePeer(id)
		}()
	}
	return nil
}

// gate lets nothing through while the host is quiet. It also meets dials that others on this host make.
type gate struct{ h *Host }

func (g gate) open() bool { return !g.h.quiet.Load() }

func (g gate) InterceptPeerDial(peer.ID) bool                      { return g.open() }
func (g gate) InterceptAddrDial(peer.ID, multiaddr.Multiaddr) bool { return g.open() }
func (g gate) InterceptAccept(network.ConnMultiaddrs) bool         { return g.open() }
func (g gate) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool {
	return g.open()
}
func (g gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return g.open(), 0 }
