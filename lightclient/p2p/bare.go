package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/pstoremanager"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// A bare host is what libp2p's services (identify, ping, pubsub) need around a swarm: who handles which
// protocol, and substreams with one of them agreed on.
//
// libp2p's own basichost does this as well. But it asks the system for its addresses every five seconds,
// whatever it is for, and that is most of what wakes a machine up whose node sleeps. It also links
// relays, hole punching and NAT probes, which nobody here uses.
type bare struct {
	*swarm.Swarm
	mux       *multistream.MultistreamMuxer[protocol.ID]
	bus       event.Bus
	protocols event.Emitter // of EvtLocalProtocolsUpdated
	ids       identify.IDService
	forgetful *pstoremanager.PeerstoreManager

	closing sync.Once
	err     error // of Close
}

var _ host.Host = (*bare)(nil)

const (
	// negotiating bounds how long a peer may take to agree on a substream's protocol.
	negotiating = 10 * time.Second
	// What is known of a peer stays for a while after its last connection has ended. It is looked at rarely:
	// to do so wakes the machine up.
	remember, forgetEvery = time.Minute, 10 * time.Minute
)

// newBare returns a host that does nothing until start.
func newBare(sw *swarm.Swarm, bus event.Bus, userAgent string) (*bare, error) {
	h := &bare{Swarm: sw, mux: multistream.NewMultistreamMuxer[protocol.ID](), bus: bus}
	var err error
	if h.forgetful, err = pstoremanager.NewPeerstoreManager(sw.Peerstore(), bus, sw,
		pstoremanager.WithGracePeriod(remember), pstoremanager.WithCleanupInterval(forgetEvery)); err != nil {
		return nil, err
	}
	// Whoever subscribes later is told the newest change, as libp2p's services expect.
	if h.protocols, err = bus.Emitter(&event.EvtLocalProtocolsUpdated{}, eventbus.Stateful); err != nil {
		return nil, err
	}
	if h.ids, err = identify.NewIDService(h, identify.UserAgent(userAgent), identify.ProtocolVersion("/substrate/1.0"),
		identify.DisableSignedPeerRecord()); err != nil {
		return nil, errors.Join(err, h.protocols.Close())
	}
	ping.NewPingService(h)
	sw.SetStreamHandler(h.accept)
	return h, nil
}

func (h *bare) start() {
	h.forgetful.Start()
	h.ids.Start()
}

// Close ends the services, all connections and what the swarm stands on.
func (h *bare) Close() error {
	h.closing.Do(func() {
		h.err = errors.Join(h.ids.Close(), h.protocols.Close(), h.Swarm.Close(), h.forgetful.Close(), h.Swarm.Peerstore().Close(),
			h.Swarm.ResourceManager().Close())
	})
	return h.err
}

// accept agrees with a peer on the protocol of a substream that it has opened, and hands it on.
func (h *bare) accept(s network.Stream) {
	name, handle, err := protocol.ID(""), multistream.HandlerFunc[protocol.ID](nil), s.SetDeadline(time.Now().Add(negotiating))
	if err == nil {
		name, handle, err = h.mux.Negotiate(s)
	}
	if err == nil {
		err = s.SetDeadline(time.Time{})
	}
	if err != nil {
		s.ResetWithError(network.StreamProtocolNegotiationFailed)
		return
	}
	if err := s.SetProtocol(name); err != nil {
		s.ResetWithError(network.StreamResourceLimitExceeded)
		return
	}
	handle(name, s)
}

// NewStream opens a substream to a connected peer; it dials nobody. A protocol that the peer has told is taken
// without asking, and what is written then goes out with its name.
func (h *bare) NewStream(ctx context.Context, id peer.ID, names ...protocol.ID) (_ network.Stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, negotiating)
	defer cancel()
	s, err := h.Swarm.NewStream(network.WithNoDial(ctx, "peers are dialled by Connect only"), id)
	if err != nil {
		return nil, err
	}
	failed := func(err error) (network.Stream, error) {
		s.ResetWithError(network.StreamProtocolNegotiationFailed)
		return nil, fmt.Errorf("substream to %s: %w", id, err)
	}
	select {
	case <-h.ids.IdentifyWait(s.Conn()):
	case <-ctx.Done():
		return failed(ctx.Err())
	}
	known, err := h.Peerstore().SupportsProtocols(id, names...)
	if err != nil {
		return failed(err)
	}
	if len(known) > 0 {
		if err := s.SetProtocol(known[0]); err != nil {
			return failed(err)
		}
		return &lazy{s, multistream.NewMSSelect(s, known[0])}, nil
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	name, err := multistream.SelectOneOf(names, s)
	if err != nil || !stop() {
		return failed(errors.Join(err, ctx.Err()))
	}
	if err := s.SetProtocol(name); err != nil {
		return failed(err)
	}
	if err := h.Peerstore().AddProtocols(id, name); err != nil {
		return failed(err)
	}
	return s, nil
}

// lazy is a substream whose protocol is agreed on with the first write or read.
type lazy struct {
	network.Stream
	agreed io.ReadWriteCloser
}

func (s *lazy) Read(b []byte) (int, error)  { return s.agreed.Read(b) }
func (s *lazy) Write(b []byte) (int, error) { return s.agreed.Write(b) }
func (s *lazy) Close() error                { return s.agreed.Close() }

// CloseWrite sends the name first if nothing was written: the peer could not tell the end from a failure.
func (s *lazy) CloseWrite() error {
	if f, ok := s.agreed.(interface{ Flush() error }); ok {
		if err := f.Flush(); err != nil {
			return err
		}
	}
	return s.Stream.CloseWrite()
}

// SetStreamHandler has handler called for each substream that a peer opens with the protocol.
func (h *bare) SetStreamHandler(name protocol.ID, handler network.StreamHandler) {
	h.SetStreamHandlerMatch(name, func(n protocol.ID) bool { return n == name }, handler)
}

// SetStreamHandlerMatch is SetStreamHandler for all names that match.
func (h *bare) SetStreamHandlerMatch(name protocol.ID, match func(protocol.ID) bool, handler network.StreamHandler) {
	h.mux.AddHandlerWithFunc(name, match, func(_ protocol.ID, s io.ReadWriteCloser) error {
		handler(s.(network.Stream))
		return nil
	})
	h.protocols.Emit(event.EvtLocalProtocolsUpdated{Added: []protocol.ID{name}})
}

// RemoveStreamHandler has substreams with the protocol refused.
func (h *bare) RemoveStreamHandler(name protocol.ID) {
	h.mux.RemoveHandler(name)
	h.protocols.Emit(event.EvtLocalProtocolsUpdated{Removed: []protocol.ID{name}})
}

// Connect dials a peer, unless it is connected.
func (h *bare) Connect(ctx context.Context, info peer.AddrInfo) error {
	h.Peerstore().AddAddrs(info.ID, info.Addrs, dialTTL)
	if h.Connectedness(info.ID) == network.Connected {
		return nil
	}
	_, err := h.DialPeer(ctx, info.ID)
	return err
}

// Addrs returns where the host listens, each interface by its address.
func (h *bare) Addrs() []multiaddr.Multiaddr {
	addrs, err := h.InterfaceListenAddresses()
	if err != nil {
		return h.ListenAddresses()
	}
	return addrs
}

func (h *bare) ID() peer.ID                      { return h.LocalPeer() }
func (h *bare) Peerstore() peerstore.Peerstore   { return h.Swarm.Peerstore() }
func (h *bare) Network() network.Network         { return h.Swarm }
func (h *bare) Mux() protocol.Switch             { return h.mux }
func (h *bare) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }
func (h *bare) EventBus() event.Bus              { return h.bus }
