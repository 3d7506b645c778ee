package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Bounds on what waits to be sent to one peer on one protocol.
const (
	queueMessages = 32
	queueBytes    = 1 << 20 // unless it is a single message
)

// A NotificationsConfig says how one notification protocol is spoken.
type NotificationsConfig struct {
	Protocol     string
	MaxHandshake int // bytes; default 1024
	MaxMessage   int // bytes; default 1 MiB

	// Handshake returns ours, for substreams in both directions. It must not be empty: some peers
	// refuse an empty one.
	Handshake func() []byte
	// Accept judges a peer's handshake on a substream that it opens; nil accepts all. It may start,
	// but must not wait for, an Open to the same peer.
	Accept func(id peer.ID, handshake []byte) bool
	// Message receives the messages of an accepted substream in order. The next one waits until it
	// returns, and the peer's sending with it. msg is the callee's.
	Message func(id peer.ID, msg []byte)
	// Closed is called once for each Accept that returned true, when that substream is over, for
	// whatever reason.
	Closed func(id peer.ID)
	// OutboundClosed is called once for each Open that succeeded, when that substream is over, for
	// whatever reason. No Send to the peer succeeds from before the call until another Open.
	OutboundClosed func(id peer.ID)
}

// Notifications is one notification protocol of a Host. Between two peers it has two substreams, one
// for the messages of each, opened by the one who sends.
type Notifications struct {
	h   *Host
	cfg NotificationsConfig

	mu  sync.Mutex
	in  map[peer.ID]*inbound
	out map[peer.ID]*outbound
}

// inbound is a substream opened by a peer.
type inbound struct {
	s    *substream
	done chan struct{} // closed when nothing more will be called for it
}

// outbound is a substream opened by us.
type outbound struct {
	s      *substream         // nil while it is being opened
	cancel context.CancelFunc // ends the opening
	queue  chan []byte
	queued atomic.Int64  // bytes
	done   chan struct{} // closed when it is over
}

// Notifications registers the protocol. Call it before connecting to anybody: a peer whose substream
// finds no handler gives us up.
func (h *Host) Notifications(cfg NotificationsConfig) *Notifications {
	if cfg.MaxHandshake == 0 {
		cfg.MaxHandshake = 1024
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = 1 << 20
	}
	n := &Notifications{h: h, cfg: cfg, in: make(map[peer.ID]*inbound), out: make(map[peer.ID]*outbound)}
	h.host.SetStreamHandler(protocol.ID(cfg.Protocol), func(s network.Stream) {
		if !h.hold() {
			s.Reset()
			return
		}
		defer h.wg.Done()
		n.receive(h.newSubstream(s))
	})
	return n
}

// Open opens our substream to a connected peer and returns its handshake. It waits for at most
// Config.HandshakeTimeout. Besides ctx's error it returns ErrNotConnected, ErrUnsupported,
// ErrRefused, ErrTooLarge, ErrMalformed, ErrTimeout, ErrLimit or ErrOpen.
func (n *Notifications) Open(ctx context.Context, id peer.ID) ([]byte, error) {
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &outbound{cancel: cancel, queue: make(chan []byte, queueMessages), done: make(chan struct{})}
	n.mu.Lock()
	taken := n.out[id] != nil
	if !taken {
		n.out[id] = o
	}
	n.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("open %s to %s: %w", n.cfg.Protocol, id, ErrOpen)
	}
	theirs, err := n.open(opening, id, o)
	if err != nil {
		n.mu.Lock()
		delete(n.out, id)
		n.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case n.h.ctx.Err() != nil:
			err = ErrHostClosed
		case opening.Err() != nil: // by Close
			err = ErrNotOpen
		}
		return nil, fmt.Errorf("open %s to %s: %w", n.cfg.Protocol, id, err)
	}
	return theirs, nil
}

func (n *Notifications) open(ctx context.Context, id peer.ID, o *outbound) ([]byte, error) {
	ours := n.cfg.Handshake()
	if len(ours) == 0 {
		return nil, fmt.Errorf("%w: our handshake is empty", ErrMalformed)
	}
	deadline := time.Now().Add(n.h.cfg.HandshakeTimeout)
	s, err := n.h.open(ctx, id, n.cfg.Protocol, ours, false, deadline)
	if err != nil {
		if errors.Is(err, ErrClosed) {
			err = ErrRefused
		}
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	s.SetReadDeadline(deadline)
	theirs, err := s.readFrame(n.cfg.MaxHandshake, 0)
	if err != nil {
		s.Reset()
		if err == io.EOF || errors.Is(err, ErrClosed) {
			err = ErrRefused
		}
		return nil, err
	}
	s.SetDeadline(time.Time{})
	if !stop() {
		s.Reset()
		return nil, ctx.Err()
	}
	if !n.h.hold() {
		s.Reset()
		return nil, ErrHostClosed
	}
	n.mu.Lock()
	o.s = s
	n.mu.Unlock()
	n.h.wg.Add(1) // hold has made the first
	go n.watch(id, o)
	go n.write(o)
	return theirs, nil
}

// watch waits for the end of an outbound substream, on which the peer sends nothing more.
func (n *Notifications) watch(id peer.ID, o *outbound) {
	defer n.h.wg.Done()
	_, err := o.s.r.ReadByte()
	n.mu.Lock()
	delete(n.out, id)
	n.mu.Unlock()
	close(o.done)
	if err == io.EOF {
		o.s.Close()
	} else {
		o.s.Reset()
	}
	if n.cfg.OutboundClosed != nil {
		n.cfg.OutboundClosed(id)
	}
}

// write sends what is in the queue. It ends soon after watch: a reset stream takes no bytes.
func (n *Notifications) write(o *outbound) {
	defer n.h.wg.Done()
	for {
		select {
		case <-o.done:
			return
		case msg := <-o.queue:
			o.queued.Add(-int64(len(msg)))
			if err := o.s.writeFrame(msg); err != nil {
				o.s.Reset()
				return
			}
		}
	}
}

// Send queues a message to a peer. It never waits for the peer: ErrSlow means that 32 messages or
// 1 MiB wait already, and that this one was dropped. ErrNotOpen: Open it first. msg must not be
// changed afterwards.
func (n *Notifications) Send(id peer.ID, msg []byte) error {
	err := n.send(id, msg)
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", n.cfg.Protocol, id, err)
	}
	return nil
}

func (n *Notifications) send(id peer.ID, msg []byte) error {
	if len(msg) > n.cfg.MaxMessage {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(msg), n.cfg.MaxMessage)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.out[id]
	if o == nil || o.s == nil {
		return ErrNotOpen
	}
	size := int64(len(msg))
	if before := o.queued.Add(size) - size; before > 0 && before+size > queueBytes {
		o.queued.Add(-size)
		return ErrSlow
	}
	select {
	case o.queue <- msg:
		return nil
	default:
		o.queued.Add(-size)
		return ErrSlow
	}
}

// Opened reports whether our substream to the peer is open.
func (n *Notifications) Opened(id peer.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.out[id]
	return o != nil && o.s != nil
}

// Close ends the substreams of the protocol with a peer, in both directions, dropping what is
// queued. It does not wait; the Closed callbacks follow.
func (n *Notifications) Close(id peer.ID) {
	var streams []*substream
	n.mu.Lock()
	if in := n.in[id]; in != nil {
		streams = append(streams, in.s)
	}
	switch out := n.out[id]; {
	case out == nil:
	case out.s == nil:
		out.cancel()
	default:
		streams = append(streams, out.s)
	}
	n.mu.Unlock()
	if len(streams) == 0 || !n.h.hold() {
		return
	}
	// A connection that takes no bytes can keep us for seconds here.
	go func() {
		defer n.h.wg.Done()
		for _, s := range streams {
			s.Close()
		}
	}()
}

// receive runs a substream that a peer has opened, from the handshake to the end.
func (n *Notifications) receive(s *substream) {
	id := s.Conn().RemotePeer()
	deadline := time.Now().Add(n.h.cfg.HandshakeTimeout)
	s.SetDeadline(deadline)
	handshake, err := s.readFrame(n.cfg.MaxHandshake, 0)
	if err != nil {
		s.Reset()
		return
	}
	me := &inbound{s: s, done: make(chan struct{})}
	defer close(me.done)
	if !n.replace(id, me, deadline) {
		s.Reset()
		return
	}
	defer func() {
		n.mu.Lock()
		if n.in[id] == me {
			delete(n.in, id)
		}
		n.mu.Unlock()
	}()
	if n.cfg.Accept != nil && !n.cfg.Accept(id, handshake) {
		s.Reset()
		return
	}
	if n.cfg.Closed != nil {
		defer n.cfg.Closed(id)
	}
	ours := n.cfg.Handshake()
	if len(ours) == 0 || s.writeFrame(ours) != nil {
		s.Reset()
		return
	}
	s.SetDeadline(time.Time{})
	for {
		msg, err := s.readFrame(n.cfg.MaxMessage, s.idle)
		if err == io.EOF {
			s.Close()
			return
		}
		if err != nil {
			s.Reset()
			return
		}
		s.SetReadDeadline(time.Time{})
		if n.cfg.Message != nil {
			n.cfg.Message(id, msg)
		}
	}
}

// replace makes me the peer's substream. One that it had before is ended first, since a peer that
// opens a second has mostly given up the first and we have not noticed yet; its Closed comes before
// the Accept of the new one.
func (n *Notifications) replace(id peer.ID, me *inbound, deadline time.Time) bool {
	n.mu.Lock()
	old := n.in[id]
	n.in[id] = me
	n.mu.Unlock()
	if old == nil {
		return true
	}
	old.s.Reset()
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-old.done:
		return true
	case <-t.C: // it hangs in a callback
	case <-n.h.ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.in[id] != me {
		return false
	}
	select {
	case <-old.done: // just now
		delete(n.in, id)
	default:
		n.in[id] = old
	}
	return false
}
