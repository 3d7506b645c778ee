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
	return h.setQuiet(on)
}

func (h *Host) setQuiet(on bool) error {
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

// Only has the host take connections of some peers alone, until it is called with nil. It ends none, and
// dials whom it is told to. A stranger learns it before the two have told each other what they are, which
// is most of what a connection costs.
func (h *Host) Only(ids map[peer.ID]bool) {
	if ids == nil {
		h.only.Store(nil)
		return
	}
	h.only.Store(&ids)
}

// Limit makes the host quiet once it has moved so many bytes in all, in both directions since New; 0 is no
// limit. What is under way ends there: at most what the connections had read already comes on top.
func (h *Host) Limit(bytes uint64) {
	h.limit.Store(bytes)
	h.checkLimit()
}

// checkLimit is called with each read and write, so it only looks at three words until that day comes.
func (h *Host) checkLimit() {
	if !h.spent() || h.quiet.Load() || !h.hold() {
		return
	}
	go func() { // the caller is a connection, that this closes
		defer h.wg.Done()
		h.quieting.Lock()
		defer h.quieting.Unlock()
		if h.spent() { // still: the limit may be another by now
			h.setQuiet(true)
		}
	}()
}

func (h *Host) spent() bool {
	limit := h.limit.Load()
	return limit > 0 && h.in.Load()+h.out.Load() >= limit
}

// gate lets nothing through while the host is quiet. It also meets dials that others on this host make.
type gate struct{ h *Host }

func (g gate) open() bool { return !g.h.quiet.Load() }

func (g gate) InterceptPeerDial(peer.ID) bool                      { return g.open() }
func (g gate) InterceptAddrDial(peer.ID, multiaddr.Multiaddr) bool { return g.open() }
func (g gate) InterceptAccept(network.ConnMultiaddrs) bool         { return g.open() }
func (g gate) InterceptSecured(d network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	only := g.h.only.Load()
	return g.open() && (d != network.DirInbound || only == nil || (*only)[id])
}
func (g gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return g.open(), 0 }
