package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	"github.com/multiformats/go-multiaddr"
)

// Errors of this package. They come wrapped with the peer and the protocol.
var (
	// ErrUnreachable: none of a peer's addresses led to it.
	ErrUnreachable = errors.New("peer cannot be reached")
	// ErrNotConnected: there is no connection to the peer.
	ErrNotConnected = errors.New("not connected")
	// ErrUnsupported: the peer does not speak the protocol.
	ErrUnsupported = errors.New("protocol not supported by the peer")
	// ErrClosed: the peer closed or reset the substream without an answer, or in the middle of one.
	// Mostly it is busy.
	ErrClosed = errors.New("substream closed by the peer")
	// ErrTooLarge: a message is larger than allowed.
	ErrTooLarge = errors.New("message too large")
	// ErrMalformed: the peer broke the framing of messages.
	ErrMalformed = errors.New("malformed frame")
	// ErrTimeout: the peer sent or took nothing for too long.
	ErrTimeout = errors.New("peer took too long")
	// ErrRefused: the peer did not accept a notification substream. Mostly it has no slot free.
	ErrRefused = errors.New("substream refused")
	// ErrSlow: the peer does not take messages as fast as they come; this one was dropped.
	ErrSlow = errors.New("send queue full")
	// ErrNotOpen: there is no open outbound substream to the peer.
	ErrNotOpen = errors.New("substream not open")
	// ErrOpen: there is an outbound substream to the peer, or one is being opened.
	ErrOpen = errors.New("substream open already")
	// ErrLimit: this host has no room for another connection or substream to the peer.
	ErrLimit = errors.New("own limit reached")
	// ErrHostClosed: the host was closed.
	ErrHostClosed = errors.New("host closed")
)

// SetLogHandler sends what libp2p itself has to say to handler, instead of to standard error. It must
// be called before the first New; it holds for the whole process.
func SetLogHandler(handler slog.Handler) { gologshim.SetDefaultHandler(handler) }

// A Config configures a Host. The zero value is a client that listens nowhere.
type Config struct {
	Key       crypto.PrivKey        // identity; nil: a new one
	Listen    []multiaddr.Multiaddr // …/tcp/P and …/tcp/P/ws
	UserAgent string                // told to peers; default "taolight"
	MaxConns  int                   // connections in all; default 48

	IdleTimeout      time.Duration // longest silence inside a response or a message; default 32 s
	HandshakeTimeout time.Duration // of a notification substream, and of reading a request; default 10 s

	// Lookup resolves the host of /dns, /dns4 and /dns6 addresses; network is "ip", "ip4" or "ip6".
	// Default: the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	limits network.ResourceManager // of tests that need a peer without any
}

// A Host is a libp2p node. Its methods may be called from any goroutine.
type Host struct {
	cfg      Config
	host     *bare
	swarm    *swarm.Swarm
	resolver *resolver
	in, out  atomic.Uint64 // bytes

	ctx    context.Context // ends with the host
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup // goroutines of ours; added to under mu while !closed

	watch    sync.Mutex      // held during calls of watchers, to keep them in order
	conns    map[peer.ID]int // connections
	held     map[peer.ID]bool
	watchers []func(connected bool, id peer.ID)

	quieting sync.Mutex // held while Quiet changes it
	quiet    atomic.Bool
	only     atomic.Pointer[map[peer.ID]bool] // not nil: of whom connections are taken
	limit    atomic.Uint64
	listened []multiaddr.Multiaddr // where it listens when it is not quiet; guarded by quieting
}

// New makes a host and starts listening.
func New(cfg Config) (*Host, error) {
	if cfg.UserAgent == "" {
		cfg.UserAgent = "taolight"
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 48
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 32 * time.Second
	}
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = 10 * time.Second
	}
	if cfg.Key == nil {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("p2p: identity: %w", err)
		}
		cfg.Key = key
	}
	h := &Host{cfg: cfg, resolver: newResolver(cfg.Lookup), conns: make(map[peer.ID]int), held: make(map[peer.ID]bool)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	if err := h.start(); err != nil {
		h.cancel()
		return nil, fmt.Errorf("p2p: %w", err)
	}
	return h, nil
}

// start puts the layers together by hand, as libp2p.New would with every other transport.
func (h *Host) start() (err error) {
	var undo []io.Closer
	defer func() {
		if err != nil {
			for _, c := range slices.Backward(undo) {
				c.Close()
			}
		}
	}()
	id, err := peer.IDFromPrivateKey(h.cfg.Key)
	if err != nil {
		return err
	}
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		return err
	}
	undo = append(undo, ps)
	if err := ps.AddPrivKey(id, h.cfg.Key); err != nil {
		return err
	}
	if err := ps.AddPubKey(id, h.cfg.Key.GetPublic()); err != nil {
		return err
	}
	rm := h.cfg.limits
	if rm == nil {
		if rm, err = newResourceManager(h.cfg.MaxConns); err != nil {
			return err
		}
	}
	undo = append(undo, rm)
	bus := eventbus.NewBus()
	// Detectors of black holes are for networks without UDP or IPv6; ours dials few addresses, and
	// only those it was given.
	sw, err := swarm.NewSwarm(id, ps, bus, swarm.WithResourceManager(rm), swarm.WithMultiaddrResolver(h.resolver), swarm.WithConnectionGater(gate{h}),
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil))
	if err != nil {
		return err
	}
	undo = append(undo, sw)
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: newMuxer()}}
	secure, err := noise.New(noise.ID, h.cfg.Key, muxers)
	if err != nil {
		return err
	}
	up, err := upgrader.New([]sec.SecureTransport{&meter{secure, h}}, muxers, nil, rm, gate{h})
	if err != nil {
		return err
	}
	tcpTransport, err := tcp.NewTCPTransport(up, rm, nil, tcp.DisableReuseport())
	if err != nil {
		return err
	}
	if err := sw.AddTransport(tcpTransport); err != nil {
		return err
	}
	wsTransport, err := websocket.New(up, rm, nil)
	if err != nil {
		return err
	}
	if err := sw.AddTransport(wsTransport); err != nil {
		return err
	}
	sw.Notify(&network.NotifyBundle{ConnectedF: h.connected, DisconnectedF: h.disconnected})
	inner, err := newBare(sw, bus, h.cfg.UserAgent)
	if err != nil {
		return err
	}
	undo = append(undo, inner)
	h.host, h.swarm = inner, sw
	if len(h.cfg.Listen) > 0 {
		if err := sw.Listen(h.cfg.Listen...); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	inner.start()
	return nil
}

// newMuxer returns Yamux set to wake up rarely. A dead connection is found by TCP's own keepalive,
// which wakes nobody up; a slow network needs no round-trip time twice a minute.
func newMuxer() network.Multiplexer {
	m := *yamux.DefaultTransport
	m.KeepAliveInterval = 15 * time.Minute
	m.MeasureRTTInterval = time.Hour
	// 2 MiB carry 20 MB/s over 100 ms. The default of 16 MiB lets one peer fill that much memory.
	m.MaxStreamWindowSize = 2 << 20
	m.MaxIncomingStreams = 2 * maxPeerStreams
	return &m
}

// Close ends all connections and waits until every goroutine of the host is gone. Callbacks for what
// ends with it are made before it returns, so it must not be called with a lock held that they take,
// nor from one of them.
func (h *Host) Close() error {
	h.mu.Lock()
	closed := h.closed
	h.closed = true
	h.mu.Unlock()
	if closed {
		return nil
	}
	h.cancel()
	err := h.host.Close()
	h.wg.Wait()
	return err
}

// hold keeps Close waiting until h.wg.Done, unless the host is closed already.
func (h *Host) hold() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.wg.Add(1)
	}
	return !h.closed
}

// ID returns the host's own peer id.
func (h *Host) ID() peer.ID { return h.swarm.LocalPeer() }

// Addrs returns the addresses that the host listens on, with the real ports and interfaces.
func (h *Host) Addrs() []multiaddr.Multiaddr { return h.host.Addrs() }

// FullAddrs returns Addrs with /p2p/<id> at the end: what others can dial.
func (h *Host) FullAddrs() []multiaddr.Multiaddr {
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	if err != nil {
		return nil
	}
	return addrs
}

// Connect dials info.Addrs, and no others, until one leads to info.ID. It returns at once if there
// is a connection. The error is ErrUnreachable with the reason for each address, or ctx's.
func (h *Host) Connect(ctx context.Context, info peer.AddrInfo) error {
	if h.swarm.Connectedness(info.ID) == network.Connected {
		return nil
	}
	h.dialable(info)
	_, err := h.swarm.DialPeer(ctx, info.ID)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("connect to %s: %w", info.ID, ctx.Err())
	case h.ctx.Err() != nil:
		return fmt.Errorf("connect to %s: %w", info.ID, ErrHostClosed)
	}
	return fmt.Errorf("connect to %s: %w: %s", info.ID, ErrUnreachable, h.dialReasons(info, err))
}

// dialTTL is how long the swarm keeps the addresses of a dial: longer than any dial takes, and no TTL that
// libp2p has a name for. Its identify service, once a connection has ended, drops all addresses with
// TempAddrTTL, at a moment of its own: after a new dial was given its addresses, as well.
const dialTTL = 90 * time.Second

// dialable gives the swarm a peer's addresses. Those that the peer told of itself in earlier times, and the
// swarm's own memory of failures, are left out: the caller has an address book and a back-off.
func (h *Host) dialable(info peer.AddrInfo) {
	ps := h.swarm.Peerstore()
	ps.ClearAddrs(info.ID)
	ps.AddAddrs(info.ID, info.Addrs, dialTTL)
	h.swarm.Backoff().Clear(info.ID)
}

// dialReasons puts what went wrong at each address on one line.
func (h *Host) dialReasons(info peer.AddrInfo, err error) string {
	if len(info.Addrs) == 0 {
		return "no addresses"
	}
	reasons := h.resolver.failures(info.Addrs)
	var de *swarm.DialError
	if errors.As(err, &de) {
		for _, te := range de.DialErrors {
			reasons = append(reasons, fmt.Sprintf("%s: %s", te.Address, oneLine(te.Cause)))
		}
	}
	if len(reasons) == 0 {
		reasons = append(reasons, oneLine(err))
	}
	return strings.Join(reasons, "; ")
}

func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), ", ")
}

// Disconnect closes all connections to the peer, unless they are held. If the peer has stopped reading,
// that can take some seconds.
func (h *Host) Disconnect(id peer.ID) error {
	h.watch.Lock()
	held := h.held[id]
	h.watch.Unlock()
	if held {
		return nil
	}
	return h.swarm.ClosePeer(id)
}

// Hold keeps the connections to a peer open through Disconnect, until it is called with false: somebody
// else on this host has a use for them.
func (h *Host) Hold(id peer.ID, on bool) {
	h.watch.Lock()
	defer h.watch.Unlock()
	if on {
		h.held[id] = true
	} else {
		delete(h.held, id)
	}
}

// Libp2p returns the host itself, for protocols that libp2p speaks: pubsub, discovery.
func (h *Host) Libp2p() host.Host { return h.host }

// Peers returns the connected peers.
func (h *Host) Peers() []peer.ID { return h.swarm.Peers() }

// Remote returns the address at the other end of the connection to the peer, and whether the peer
// made the connection; nil if there is none.
func (h *Host) Remote(id peer.ID) (addr multiaddr.Multiaddr, inbound bool) {
	for _, c := range h.swarm.ConnsToPeer(id) {
		return c.RemoteMultiaddr(), c.Stat().Direction == network.DirInbound
	}
	return nil, false
}

// Agent returns the peer's user agent, empty until it has told (a moment after Connect). It is text
// from a stranger: at most 128 bytes, printable characters only.
func (h *Host) Agent(id peer.ID) string {
	v, err := h.swarm.Peerstore().Get(id, "AgentVersion")
	s, ok := v.(string)
	if err != nil || !ok {
		return ""
	}
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
}

// Protocols returns the names of the protocols that the peer says it speaks, empty until it has told.
func (h *Host) Protocols(id peer.ID) []string {
	ids, err := h.swarm.Peerstore().GetProtocols(id)
	if err != nil {
		return nil
	}
	return protocol.ConvertToStrings(ids)
}

// Traffic returns the bytes received and sent since New, as they pass under the encryption: the
// headers of TCP, IP and WebSocket frames are not in it.
func (h *Host) Traffic() (in, out uint64) { return h.in.Load(), h.out.Load() }

// OnConnect has f called when the first connection to a peer is there and when the last one is
// gone, in order. f must not block, nor call OnConnect.
func (h *Host) OnConnect(f func(connected bool, id peer.ID)) {
	h.watch.Lock()
	defer h.watch.Unlock()
	h.watchers = append(h.watchers, f)
}

func (h *Host) connected(_ network.Network, c network.Conn) { h.count(c.RemotePeer(), 1) }

func (h *Host) disconnected(_ network.Network, c network.Conn) { h.count(c.RemotePeer(), -1) }

// count notes a change in the number of connections to a peer. The swarm makes these calls in order
// for one connection, but those of an old and a new one may meet.
func (h *Host) count(id peer.ID, by int) {
	h.watch.Lock()
	defer h.watch.Unlock()
	before := h.conns[id]
	after := before + by
	if after > 0 {
		h.conns[id] = after
	} else {
		delete(h.conns, id)
	}
	if (before > 0) != (after > 0) {
		for _, f := range h.watchers {
			f(after > 0, id)
		}
	}
}
