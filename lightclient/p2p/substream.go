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
	r    *bufio.Reader
	idle time.Duration
}

func (h *Host) newSubstream(s network.Stream) *substream {
	return &substream{Stream: s, r: bufio.NewReaderSize(s, 1024), idle: h.cfg.IdleTimeout}
}

// open opens a substream, names the protocol and sends the first frame in one go, without waiting
// for the peer to agree: readNegotiation does. The host's own NewStream would first wait for
// identify, and hide a refusal in its text.
func (h *Host) open(ctx context.Context, id peer.ID, name string, first []byte, deadline time.Time) (*substream, error) {
	s, err := h.swarm.NewStream(network.WithNoDial(ctx, "peers are dialled by Connect only"), id)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case h.ctx.Err() != nil:
		return nil, ErrHostClosed
	case errors.Is(err, network.ErrNoConn):
		return nil, ErrNotConnected
	default:
		// The connection broke just now, or one of our own limits is reached.
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	if err := s.SetProtocol(protocol.ID(name)); err != nil {
		s.Reset()
		return nil, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	b := make([]byte, 0, len(multistreamHeader)+len(name)+3+wire.MaxFrameLen+len(first))
	b = append(b, multistreamHeader...)
	b = wire.AppendFrameLen(b, len(name)+1)
	b = append(append(b, name...), '\n')
	b = wire.AppendFrame(b, first)
	s.SetWriteDeadline(deadline)
	if _, err := s.Write(b); err != nil {
		s.Reset()
		return nil, failure(err)
	}
	return h.newSubstream(s), nil
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
	n, err := s.readLen(maxProtocol)
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
// the first byte.
func (s *substream) readLen(max int) (int, error) {
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
// long and no longer after each piece. It returns io.EOF, bare, at the end of the stream.
func (s *substream) readFrame(max int, idle time.Duration) ([]byte, error) {
	n, err := s.readLen(max)
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
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrClosed
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}
