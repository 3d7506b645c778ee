package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Bounds on the serving side, like those of the chain's own nodes (light/2 and sync/warp: a queue of
// 20 for all peers).
const (
	maxServing     = 20               // requests of one protocol answered at a time
	handlerTimeout = 60 * time.Second // for making an answer
)

// Request sends body on a new substream of the protocol and returns the response, which may be
// empty. maxResponse is in bytes; memory is taken only as they come.
//
// Besides ctx's error it returns ErrNotConnected, ErrUnsupported, ErrClosed (no response, or part
// of one), ErrTooLarge, ErrMalformed, ErrLimit, or ErrTimeout after a silence of
// Config.IdleTimeout. Only rough limits hold for how many requests are under way (ErrLimit); none is
// repeated.
func (h *Host) Request(ctx context.Context, id peer.ID, proto string, body []byte, maxResponse int) ([]byte, error) {
	b, err := h.request(ctx, id, proto, body, maxResponse)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if h.ctx.Err() != nil {
			err = ErrHostClosed
		}
		return nil, fmt.Errorf("request %s to %s: %w", proto, id, err)
	}
	return b, nil
}

func (h *Host) request(ctx context.Context, id peer.ID, proto string, body []byte, maxResponse int) ([]byte, error) {
	s, err := h.open(ctx, id, proto, body, true, time.Now().Add(h.cfg.IdleTimeout))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	s.SetReadDeadline(time.Now().Add(s.idle))
	b, err := s.readFrame(maxResponse, s.idle)
	if err != nil {
		s.Reset()
		if err == io.EOF {
			err = ErrClosed
		}
		return nil, err
	}
	s.Close()
	return b, nil
}

// HandleRequests answers requests of the protocol with f. An error of f closes the substream without
// a response, which the peer takes for "busy" or "cannot answer". ctx ends with the host, and after
// a minute. f runs on a goroutine of each request, at most 20 at a time and a few for one peer;
// requests beyond that are closed unanswered.
func (h *Host) HandleRequests(proto string, maxRequest int, f func(ctx context.Context, from peer.ID, body []byte) ([]byte, error)) {
	serving := make(chan struct{}, maxServing)
	h.host.SetStreamHandler(protocol.ID(proto), func(s network.Stream) {
		if !h.hold() {
			s.Reset()
			return
		}
		defer h.wg.Done()
		select {
		case serving <- struct{}{}:
			defer func() { <-serving }()
		default:
			s.Reset()
			return
		}
		if err := h.serve(h.newSubstream(s), maxRequest, f); err != nil {
			s.Reset()
		} else {
			s.Close()
		}
	})
}

func (h *Host) serve(s *substream, maxRequest int, f func(ctx context.Context, from peer.ID, body []byte) ([]byte, error)) error {
	s.SetReadDeadline(time.Now().Add(h.cfg.HandshakeTimeout))
	body, err := s.readFrame(maxRequest, 0)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, handlerTimeout)
	defer cancel()
	s.CloseRead() // what else the peer sends takes no memory
	response, err := f(ctx, s.Conn().RemotePeer(), body)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("too late")
	}
	return s.writeFrame(response)
}
