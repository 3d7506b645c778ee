package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/taolight/taolight/lightclient/wire"
)

// multistreamHeader opens the negotiation of a protocol, in both directions
// (github.com/multiformats/multistream-select).
const multistreamHeader = "\x13/multistream/1.0.0\n"

// maxProtocol is the longest line of a negotiation that is looked at.
const maxProtocol = 1024

// firstRead is how much is allocated for a frame before anything of it has come.
const firstRead = 32 << 10

// A substream is one stream with buffered reads.
type substream struct {
	network.Stream
	host *Host
	r    *bufio.Reader
	idle time.Duration
}

func (h *Host) newSubstream(s network.Stream) *substream {
	return &substream{Stream: s, host: h, r: bufio.NewReaderSize(patient{s}, 1024), idle: h.cfg.IdleTimeout}
}

// patient reads a stream without believing its end at once. go-yamux v5.1.0 notes that the peer has
// ended a stream before it stores the data of the same frame (processFlags in stream.go), so a read in
// between finds an end where data is about to be. Peers that send a whole request and its end in one
// frame lost one in thirty of them so, on a loaded machine.
type patient struct{ r io.Reader }

func (p patient) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	for wait := time.Millisecond; n == 0 && err == io.EOF && wait <= 128*time.Millisecond; wait *= 2 {
		time.Sleep(wait)
		n, err = p.r.Read(b)
	}
	return n, err
}

// open opens a substream, agrees on the protocol and sends the first frame; with last, it then
// closes its side. The peer's answer up to then must come before the deadline.
//
// If the peer is known to speak the protocol, all goes out at once, which saves a round trip; its
// part of the negotiation is read after that. Otherwise the frame must wait: sent after a name that
// is refused, it would pass for another name, and the peer would reset the substream for it before
// we have read the refusal. The host's own NewStream would first wait for identify.
func (h *Host) open(ctx context.Context, id peer.ID, name string, first []byte, last bool, deadline time.Time) (*substream, error) {
	// A peer that acknowledges no substreams can make this wait.
	opening, cancel := context.WithDeadline(network.WithNoDial(ctx, "peers are dialled by Connect only"), deadline)
	defer cancel()
	stream, err := h.swarm.NewStream(opening, id)
	switch {
	case err == nil:
	case opening.Err() != nil:
		return nil, ErrTimeout // or the caller's own error, which it knows
	case errors.Is(err, network.ErrResourceLimitExceeded):
		return nil, fmt.Errorf("%w: %w", ErrLimit, err)
	case errors.Is(err, network.ErrNoConn):
		return nil, ErrNotConnected
	default: // the connection broke just now
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	s := h.newSubstream(stream)
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	if err := s.negotiate(name, first, last, deadline); err != nil {
		stop()
		s.Reset()
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return s, nil
}

func (s *substream) negotiate(name string, first []byte, last bool, deadline time.Time) error {
	ps, id := s.host.swarm.Peerstore(), s.Conn().RemotePeer()
	known, err := ps.SupportsProtocols(id, protocol.ID(name))
	if err != nil {
		return err
	}
	if err := s.SetProtocol(protocol.ID(name)); err != nil {
		return fmt.Errorf("%w: %w", ErrLimit, err)
	}
	s.SetDeadline(deadline)
	b := make([]byte, 0, len(multistreamHeader)+len(name)+3+wire.MaxFrameLen+len(first))
	b = append(b, multistreamHeader...)
	b = wire.AppendFrameLen(b, len(name)+1)
	b = append(append(b, name...), '\n')
	if len(known) == 0 {
		if _, err := s.Write(b); err != nil {
			return failure(err)
		}
		if err := s.readNegotiation(name); err != nil {
			return err
		}
		ps.AddProtocols(id, protocol.ID(name))
		b = b[:0]
	}
	if _, err := s.Write(wire.AppendFrame(b, first)); err != nil {
		return failure(err)
	}
	if last {
		if err := s.CloseWrite(); err != nil {
			return failure(err)
		}
	}
	if len(known) > 0 {
		if err := s.readNegotiation(name); err != nil {
			return err
		}
	}
	return s.SetDeadline(time.Time{})
}

// readNegotiation reads the peer's part of the negotiation.
func (s *substream) readNegotiation(name string) error {
	var header [len(multistreamHeader)]byte
	if _, err := io.ReadFull(s.r, header[:]); err != nil {
		return failure(err)
	}
	if string(header[:]) != multistreamHeader {
		return fmt.Errorf("%w: not multistream-select", ErrMalformed)
	}
	n, err := s.readLen(maxProtocol, 0)
	if err == io.EOF {
		return ErrClosed
	}
	if err != nil {
		return err
	}
	line := make([]byte, n)
	if _, err := io.ReadFull(s.r, line); err != nil {
		return failure(err)
	}
	switch string(line) {
	case name + "\n":
		return nil
	case "na\n":
		return ErrUnsupported
	}
	return fmt.Errorf("%w: answer to the protocol name", ErrMalformed)
}

// readLen reads the length in front of a frame. It returns io.EOF, bare, if the stream ended before
// the first byte. For idle see readFrame.
func (s *substream) readLen(max int, idle time.Duration) (int, error) {
	var b [wire.MaxFrameLen]byte
	for i := range b {
		c, err := s.r.ReadByte()
		if err != nil {
			if err == io.EOF && i == 0 {
				return 0, io.EOF
			}
			return 0, failure(err)
		}
		b[i] = c
		if i == 0 && idle > 0 {
			s.SetReadDeadline(time.Now().Add(idle))
		}
		n, size, err := wire.FrameLen(b[:i+1], max)
		switch {
		case errors.Is(err, wire.ErrTooMany):
			return 0, fmt.Errorf("%w: %w", ErrTooLarge, err)
		case err != nil:
			return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
		case size > 0:
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: length", ErrMalformed)
}

// readFrame reads one frame of at most max bytes into memory of its own. However much the length
// claims, memory grows only with what has come. Unless idle is 0, the peer may be silent for that
// long and no longer after each piece, once the frame has begun. It returns io.EOF, bare, at the end
// of the stream.
func (s *substream) readFrame(max int, idle time.Duration) ([]byte, error) {
	n, err := s.readLen(max, idle)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, min(n, firstRead))
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(n, 2*cap(b)))
			copy(grown, b)
			b = grown
		}
		if idle > 0 {
			s.SetReadDeadline(time.Now().Add(idle))
		}
		m, err := s.r.Read(b[len(b):cap(b)])
		b = b[:len(b)+m]
		if err != nil && len(b) < n {
			return nil, fmt.Errorf("%w (after %d bytes of %d)", failure(err), len(b), n)
		}
	}
	return b, nil
}

// writeFrame writes one frame; the peer may take nothing for the idle timeout and no longer.
func (s *substream) writeFrame(body []byte) error {
	head := wire.AppendFrameLen(make([]byte, 0, wire.MaxFrameLen+min(len(body), firstRead)), len(body))
	// What follows the length goes with it, so that a short frame is one packet.
	n := min(len(body), cap(head)-len(head))
	b := append(head, body[:n]...)
	for {
		s.SetWriteDeadline(time.Now().Add(s.idle))
		if _, err := s.Write(b); err != nil {
			return failure(err)
		}
		if body = body[n:]; len(body) == 0 {
			return nil
		}
		n = min(len(body), 256<<10)
		b = body[:n]
	}
}

// failure says what an error of reading or writing means for the caller.
func failure(err error) error {
	var timeout interface{ Timeout() bool }
	var reset *network.StreamError
	switch {
	case errors.As(err, &reset) && reset.Remote && reset.ErrorCode == network.StreamProtocolNegotiationFailed:
		return ErrUnsupported // go-libp2p says so; others only reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrClosed
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}
