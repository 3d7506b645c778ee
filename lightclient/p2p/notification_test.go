package p2p

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/wire"
)

func TestOpenFails(t *testing.T) {
	srv, client := server(t, Config{}), newHost(t, Config{HandshakeTimeout: 200 * time.Millisecond})
	release := make(chan struct{})
	defer close(release)
	refusing, _ := recorder("x")
	refusing.Protocol = "/test/refuse"
	refusing.Accept = func(peer.ID, []byte) bool { return false }
	refusing.Closed = func(peer.ID) { t.Error("Closed for what was never accepted") }
	srv.Notifications(refusing)
	mute, muteEvents := recorder("")
	mute.Protocol = "/test/mute"
	srv.Notifications(mute)
	raw(srv, "/test/close", func(s network.Stream) { s.Close() })
	raw(srv, "/test/silent", func(s network.Stream) { <-release; s.Reset() })
	raw(srv, "/test/large", func(s network.Stream) { s.Write(wire.AppendFrameLen(nil, 1025)); s.CloseWrite() })
	raw(srv, "/test/garbage", func(s network.Stream) { s.Write([]byte{0x80, 0x80, 0x80, 0x80, 0x80}); s.CloseWrite() })
	raw(srv, "/test/half", func(s network.Stream) { s.Write([]byte{5, 'h', 'a'}); s.CloseWrite() })
	connect(t, client, srv)
	for name, want := range map[string]error{
		"/test/refuse":  ErrRefused,
		"/test/mute":    ErrRefused, // accepted, but nothing to say
		"/test/close":   ErrRefused,
		"/test/half":    ErrRefused,
		"/test/silent":  ErrTimeout,
		"/test/large":   ErrTooLarge,
		"/test/garbage": ErrMalformed,
		"/test/unknown": ErrUnsupported,
	} {
		n := client.Notifications(NotificationsConfig{
			Protocol: name, Handshake: func() []byte { return []byte("x") },
			OutboundClosed: func(peer.ID) { t.Errorf("%s: OutboundClosed for what was never open", name) },
		})
		for range 2 { // a failed Open leaves nothing behind
			if hs, err := n.Open(testContext(t), srv.ID()); !errors.Is(err, want) {
				t.Errorf("%s: %q, %v, want %v", name, hs, err, want)
			}
			if err := n.Send(srv.ID(), nil); !errors.Is(err, ErrNotOpen) {
				t.Errorf("%s: Send: %v", name, err)
			}
		}
	}
	for range 2 {
		wantEvent(t, muteEvents, heard{"accept", client.ID(), "x"})
		wantEvent(t, muteEvents, heard{"closed", client.ID(), ""})
	}

	empty := client.Notifications(NotificationsConfig{Protocol: "/test/empty", Handshake: func() []byte { return nil }})
	if _, err := empty.Open(testContext(t), srv.ID()); !errors.Is(err, ErrMalformed) {
		t.Errorf("an empty handshake was sent: %v", err)
	}

	patient := newHost(t, Config{})
	connect(t, patient, srv)
	n := patient.Notifications(NotificationsConfig{Protocol: "/test/silent", Handshake: func() []byte { return []byte("x") }})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	open := func(ctx context.Context) {
		go func() {
			_, err := n.Open(ctx, srv.ID())
			result <- err
		}()
		eventually(t, "Open begins", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.out[srv.ID()] != nil
		})
	}
	open(ctx)
	if _, err := n.Open(ctx, srv.ID()); !errors.Is(err, ErrOpen) {
		t.Errorf("Open during Open: %v", err)
	}
	cancel()
	if err := receive(t, "Open", result); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	open(t.Context())
	n.Close(srv.ID())
	if err := receive(t, "Open", result); !errors.Is(err, ErrNotOpen) {
		t.Errorf("closed while opening: %v", err)
	}
}

// inboundStream opens a substream as a peer of our own making would.
func inboundStream(t *testing.T, from, to *Host, proto string, handshake string) *substream {
	t.Helper()
	s, err := from.open(testContext(t), to.ID(), proto, []byte(handshake), false, time.Now().Add(bound))
	if err != nil {
		t.Fatal(err)
	}
	s.SetReadDeadline(time.Now().Add(bound))
	return s
}

func TestBadMessages(t *testing.T) {
	srv, client := server(t, Config{IdleTimeout: 100 * time.Millisecond}), newHost(t, Config{})
	cfg, events := recorder("x")
	cfg.MaxMessage = 1000
	srv.Notifications(cfg)
	connect(t, client, srv)
	for name, b := range map[string][]byte{
		"too large":         wire.AppendFrame(nil, make([]byte, 1001)),
		"overlong":          {0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"not minimal":       {0x80, 0x00},
		"silent in message": {10, 'x'},
		"silent in length":  {0x80},
	} {
		s := inboundStream(t, client, srv, cfg.Protocol, "hs")
		if hs, err := s.readFrame(100, 0); err != nil || string(hs) != "x" {
			t.Fatalf("%s: handshake %q, %v", name, hs, err)
		}
		wantEvent(t, events, heard{"accept", client.ID(), "hs"})
		s.Write(append(wire.AppendFrame(nil, []byte("good")), b...))
		wantEvent(t, events, heard{"message", client.ID(), "good"})
		wantEvent(t, events, heard{"closed", client.ID(), ""})
		if _, err := s.readFrame(100, 0); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: the peer sees %v, want a reset", name, err)
		}
	}
	// An end between two messages is a proper end, and empty messages are messages.
	s := inboundStream(t, client, srv, cfg.Protocol, "hs")
	s.Write([]byte{0, 1, 'm'})
	s.CloseWrite()
	wantEvent(t, events, heard{"accept", client.ID(), "hs"})
	wantEvent(t, events, heard{"message", client.ID(), ""})
	wantEvent(t, events, heard{"message", client.ID(), "m"})
	wantEvent(t, events, heard{"closed", client.ID(), ""})
	if hs, err := s.readFrame(100, 0); err != nil || string(hs) != "x" {
		t.Errorf("handshake %q, %v", hs, err)
	}
	if _, err := s.readFrame(100, 0); err != io.EOF {
		t.Errorf("the peer sees %v, want the end", err)
	}
}

// TestHalfOpen: substreams on which the handshake never comes are given up.
func TestHalfOpen(t *testing.T) {
	srv, client := server(t, Config{HandshakeTimeout: 100 * time.Millisecond}), newHost(t, Config{})
	cfg, events := recorder("x")
	srv.Notifications(cfg)
	srv.HandleRequests("/test/req", 10, func(context.Context, peer.ID, []byte) ([]byte, error) {
		t.Error("a request that was never sent is answered")
		return nil, nil
	})
	connect(t, client, srv)
	for _, proto := range []string{cfg.Protocol, "/test/req"} {
		conn := client.swarm.ConnsToPeer(srv.ID())[0]
		s, err := conn.NewStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte(multistreamHeader), byte(len(proto)+1))
		s.Write(append(append(b, proto...), '\n', 5, 'h'))
		sub := client.newSubstream(s)
		s.SetReadDeadline(time.Now().Add(bound))
		if err := sub.readNegotiation(proto); err != nil {
			t.Fatal(err)
		}
		if _, err := sub.readFrame(100, 0); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want a reset", proto, err)
		}
	}
	if len(events) > 0 {
		t.Errorf("event %v", <-events)
	}
}

// TestReplace: a second substream of one peer ends the first.
func TestReplace(t *testing.T) {
	client, srv := newHost(t, Config{}), server(t, Config{})
	cfg, events := recorder("x")
	srv.Notifications(cfg)
	connect(t, client, srv)
	first := inboundStream(t, client, srv, cfg.Protocol, "first")
	if _, err := first.readFrame(100, 0); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, events, heard{"accept", client.ID(), "first"})
	second := inboundStream(t, client, srv, cfg.Protocol, "second")
	if _, err := second.readFrame(100, 0); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, events, heard{"closed", client.ID(), ""})
	wantEvent(t, events, heard{"accept", client.ID(), "second"})
	if _, err := first.readFrame(100, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("the first substream: %v, want a reset", err)
	}
	if err := second.writeFrame([]byte("still")); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, events, heard{"message", client.ID(), "still"})
}

// TestReplaceHanging: while a callback of the first hangs, a second is refused, and the first lives
// on in the books until it ends.
func TestReplaceHanging(t *testing.T) {
	client, srv := newHost(t, Config{}), server(t, Config{HandshakeTimeout: 200 * time.Millisecond})
	cfg, events := recorder("x")
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	hanging := make(chan struct{}, 1)
	cfg.Message = func(peer.ID, []byte) { hanging <- struct{}{}; <-release }
	n := srv.Notifications(cfg)
	connect(t, client, srv)
	first := inboundStream(t, client, srv, cfg.Protocol, "first")
	first.writeFrame([]byte("m"))
	wantEvent(t, events, heard{"accept", client.ID(), "first"})
	receive(t, "message", hanging)
	second := inboundStream(t, client, srv, cfg.Protocol, "second")
	if _, err := second.readFrame(100, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("second: %v", err)
	}
	free()
	wantEvent(t, events, heard{"closed", client.ID(), ""})
	eventually(t, "books are empty", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.in) == 0
	})
}

func TestCloseIsSeen(t *testing.T) {
	client, srv := newHost(t, Config{}), server(t, Config{})
	ccfg, clientEvents := recorder("client")
	scfg, serverEvents := recorder("server")
	c, s := client.Notifications(ccfg), srv.Notifications(scfg)
	connect(t, client, srv)
	open := func() {
		t.Helper()
		if _, err := c.Open(testContext(t), srv.ID()); err != nil {
			t.Fatal(err)
		}
		wantEvent(t, serverEvents, heard{"accept", client.ID(), "client"})
		if _, err := s.Open(testContext(t), client.ID()); err != nil {
			t.Fatal(err)
		}
		wantEvent(t, clientEvents, heard{"accept", srv.ID(), "server"})
	}
	closed := func() {
		t.Helper()
		for _, events := range []chan heard{clientEvents, serverEvents} {
			a, b := receive(t, "end", events).kind, receive(t, "end", events).kind
			if a > b {
				a, b = b, a
			}
			if a != "closed" || b != "outbound closed" {
				t.Fatalf("got %q and %q", a, b)
			}
		}
	}
	for range 3 {
		open()
		c.Close(srv.ID()) // by the one who dialled
		closed()
		open()
		s.Close(client.ID()) // by the other
		closed()
	}
	if len(clientEvents)+len(serverEvents) > 0 {
		t.Error("more events than ends")
	}
	eventually(t, "substreams are gone", func() bool { return streams(client, srv) == 0 && streams(srv, client) == 0 })

	// A peer that sends on the substream that we opened breaks the protocol.
	raw(srv, scfg.Protocol, func(st network.Stream) { st.Write([]byte{1, 'x', 1, 'y'}) })
	if _, err := c.Open(testContext(t), srv.ID()); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, clientEvents, heard{"outbound closed", srv.ID(), ""})
}

// TestSlowPeer: a peer that does not read never blocks a Send.
func TestSlowPeer(t *testing.T) {
	client, srv := newHost(t, Config{}), server(t, Config{})
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	received := make(chan int, 1<<16)
	cfg, _ := recorder("x")
	cfg.Message = func(_ peer.ID, b []byte) { <-release; received <- len(b) }
	srv.Notifications(cfg)
	n := client.Notifications(cfg)
	connect(t, client, srv)
	if _, err := n.Open(testContext(t), srv.ID()); err != nil {
		t.Fatal(err)
	}
	msg := make([]byte, 100<<10)
	sent := 0
	var err error
	eventually(t, "ErrSlow", func() bool {
		if err = n.Send(srv.ID(), msg); err == nil {
			sent++
		}
		return err != nil
	})
	// What is under way: the queue, the peer's window and what it reads ahead.
	if !errors.Is(err, ErrSlow) || sent*len(msg) > 2<<20 {
		t.Fatalf("after %d messages: %v", sent, err)
	}
	free()
	for range sent {
		if size := receive(t, "message", received); size != len(msg) {
			t.Fatalf("message of %d bytes", size)
		}
	}
	eventually(t, "the queue empties", func() bool { return n.Send(srv.ID(), msg) == nil })
	receive(t, "message", received)
	if err := n.Send(srv.ID(), make([]byte, 1<<20+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("oversize: %v", err)
	}
	for range 200 { // small messages are bounded by number
		if err = n.Send(srv.ID(), []byte("x")); err != nil && !errors.Is(err, ErrSlow) {
			t.Fatal(err)
		}
	}
}
