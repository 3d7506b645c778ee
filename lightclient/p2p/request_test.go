package p2p

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient/wire"
)

func TestRequest(t *testing.T) {
	for _, transport := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"} {
		srv := server(t, Config{Listen: []multiaddr.Multiaddr{addr(transport)}})
		client := newHost(t, Config{})
		big := bytes.Repeat([]byte("0123456789abcdef"), 12<<20/16)
		srv.HandleRequests("/test/big", 100, func(_ context.Context, from peer.ID, b []byte) ([]byte, error) {
			if from != client.ID() {
				t.Errorf("request from %s", from)
			}
			switch string(b) {
			case "empty", "":
				return nil, nil
			case "busy":
				return nil, errors.New("busy")
			}
			return big, nil
		})
		connect(t, client, srv)
		request := func(body string, max int) ([]byte, error) {
			return client.Request(testContext(t), srv.ID(), "/test/big", []byte(body), max)
		}
		if b, err := request("give", 16<<20); err != nil || !bytes.Equal(b, big) {
			t.Errorf("%s: 12 MiB: %d bytes, %v", transport, len(b), err)
		}
		if b, err := request("give", len(big)); err != nil || cap(b) > len(big) {
			t.Errorf("at the cap: %d bytes in %d, %v", len(b), cap(b), err)
		}
		if _, err := request("give", len(big)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("above the cap: %v", err)
		}
		for _, body := range []string{"empty", ""} {
			if b, err := request(body, 0); err != nil || b == nil || len(b) != 0 {
				t.Errorf("empty response: %q, %v", b, err)
			}
		}
		if _, err := request("busy", 100); !errors.Is(err, ErrClosed) {
			t.Errorf("closed without a response: %v", err)
		}
		if _, err := request(string(make([]byte, 101)), 100); !errors.Is(err, ErrClosed) {
			t.Errorf("oversize request: %v", err)
		}
		if _, err := client.Request(testContext(t), srv.ID(), "/test/other", nil, 100); !errors.Is(err, ErrUnsupported) {
			t.Errorf("unknown protocol: %v", err)
		}
		if _, err := srv.Request(testContext(t), client.ID(), "/test/big", nil, 100); !errors.Is(err, ErrUnsupported) {
			t.Errorf("unknown protocol on the dialler: %v", err)
		}
		stranger := newHost(t, Config{})
		if _, err := client.Request(testContext(t), stranger.ID(), "/test/big", nil, 100); !errors.Is(err, ErrNotConnected) {
			t.Errorf("stranger: %v", err)
		}
		// Afterwards nothing of it is left open at either end.
		eventually(t, "substreams are gone", func() bool { return streams(client, srv) == 0 && streams(srv, client) == 0 })
	}
}

// streams counts the open substreams of our protocols between two hosts.
func streams(h, to *Host) (n int) {
	for _, c := range h.swarm.ConnsToPeer(to.ID()) {
		for _, s := range c.GetStreams() {
			if p := s.Protocol(); p != "/ipfs/id/1.0.0" && p != "/ipfs/id/push/1.0.0" {
				n++
			}
		}
	}
	return n
}

// raw registers a handler that gets the bare stream, negotiated.
func raw(h *Host, name string, f func(network.Stream)) {
	h.host.SetStreamHandler(protocol.ID(name), f)
}

func TestBadResponses(t *testing.T) {
	srv, client := server(t, Config{}), newHost(t, Config{IdleTimeout: 100 * time.Millisecond})
	connect(t, client, srv)
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		f    func(network.Stream)
		want error
	}{
		"reset":     {func(s network.Stream) { s.Reset() }, ErrClosed},
		"close":     {func(s network.Stream) { s.Close() }, ErrClosed},
		"truncated": {func(s network.Stream) { s.Write(append([]byte{10}, "only5"...)); s.Close() }, ErrClosed},
		"mid-length": {func(s network.Stream) {
			s.Write([]byte{0x80})
			s.Close()
		}, ErrClosed},
		"overlong":       {func(s network.Stream) { s.Write([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}); s.CloseWrite() }, ErrMalformed},
		"not minimal":    {func(s network.Stream) { s.Write([]byte{0x81, 0}); s.CloseWrite() }, ErrMalformed},
		"five bytes":     {func(s network.Stream) { s.Write([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}); s.CloseWrite() }, ErrTooLarge},
		"silent":         {func(s network.Stream) { <-release; s.Reset() }, ErrTimeout},
		"silent in body": {func(s network.Stream) { s.Write(append([]byte{10}, "only5"...)); <-release; s.Reset() }, ErrTimeout},
	} {
		proto := "/test/" + name
		raw(srv, proto, c.f)
		b, err := client.Request(testContext(t), srv.ID(), proto, []byte("x"), 1<<20)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v, want %v", name, b, err, c.want)
		}
	}
}

// TestBadNegotiation speaks to a peer whose side of the negotiation is not one.
func TestBadNegotiation(t *testing.T) {
	srv, client := server(t, Config{}), newHost(t, Config{IdleTimeout: 100 * time.Millisecond})
	answers := make(chan string, 1)
	release := make(chan struct{})
	defer close(release)
	srv.swarm.SetStreamHandler(func(s network.Stream) {
		answer := <-answers
		io.WriteString(s, answer)
		if answer == "" {
			<-release
		}
		s.CloseWrite()
	})
	// Connect does not wait for identify, which gets no sense out of this peer either. Use up what
	// it opens.
	if err := client.Connect(testContext(t), peer.AddrInfo{ID: srv.ID(), Addrs: srv.Addrs()}); err != nil {
		t.Fatal(err)
	}
	answers <- "identify takes this"
	for answer, want := range map[string]error{
		"\x13/multistream/1.0.0\n\x03na\n":                     ErrUnsupported,
		"\x13/multistream/1.0.0\n\x06/test\n":                  ErrClosed, // no response after it
		"\x13/multistream/1.0.0\n\x06/tost\n":                  ErrMalformed,
		"\x13/multistream/2.0.0\n\x06/test\n":                  ErrMalformed,
		"\x13/multistream/1.0.0\n\x80\x80\x80\x80\x80\x80\x01": ErrTooLarge, // or malformed: see below
		"\x13/multistream/1.0.0\n":                             ErrClosed,
		"\x13/multistream/1.0.0\n\x06/te":                      ErrClosed,
		"HTTP/1.1 400 Bad Request\r\n\r\n":                     ErrMalformed,
		"\x13/multi":                                           ErrClosed,
		"":                                                     ErrTimeout,
		"\x13/multistream/1.0.0\n\x06/test\n\x03yes":           nil,
		"\x13/multistream/1.0.0\n\x06/test\n\x03yes and more.": nil,
	} {
		answers <- answer
		b, err := client.Request(testContext(t), srv.ID(), "/test", []byte("x"), 100)
		if want == ErrTooLarge && errors.Is(err, ErrMalformed) {
			continue
		}
		if !errors.Is(err, want) || want == nil && string(b) != "yes" {
			t.Errorf("%q: %q, %v, want %v", answer, b, err, want)
		}
	}
}

func TestRequestCancelled(t *testing.T) {
	client, srv := pair(t)
	asked := make(chan struct{})
	srv.HandleRequests("/test/silent", 10, func(ctx context.Context, _ peer.ID, _ []byte) ([]byte, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := client.Request(ctx, srv.ID(), "/test/silent", nil, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	go func() { <-asked; client.Close() }()
	if _, err := client.Request(t.Context(), srv.ID(), "/test/silent", nil, 10); !errors.Is(err, ErrHostClosed) {
		t.Errorf("host closed: %v", err)
	}
}

// TestBusy: requests above the number served at a time are closed, not queued without end.
func TestBusy(t *testing.T) {
	srv := server(t, Config{})
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	srv.HandleRequests("/test/slow", 10, func(_ context.Context, _ peer.ID, b []byte) ([]byte, error) {
		<-release
		return b, nil
	})
	const clients, each = 4, 12
	results := make(chan error, clients*each)
	for range clients {
		c := newHost(t, Config{})
		connect(t, c, srv)
		for range each {
			go func() {
				_, err := c.Request(testContext(t), srv.ID(), "/test/slow", []byte("x"), 10)
				results <- err
			}()
		}
	}
	for range clients*each - maxServing {
		if err := receive(t, "busy", results); !errors.Is(err, ErrClosed) {
			t.Fatalf("above the limit: %v", err)
		}
	}
	free()
	for range maxServing {
		if err := receive(t, "served", results); err != nil {
			t.Errorf("within the limit: %v", err)
		}
	}
}

// TestClaimedLength: peers that claim 16 MiB and send a few bytes cost a few bytes.
func TestClaimedLength(t *testing.T) {
	srv, client := server(t, Config{}), newHost(t, Config{})
	connect(t, client, srv)
	raw(srv, "/test/claim", func(s network.Stream) {
		s.Write(append(wire.AppendFrameLen(nil, 16<<20), 1, 2, 3))
		s.Close()
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 50
	for range n {
		if _, err := client.Request(testContext(t), srv.ID(), "/test/claim", nil, 16<<20); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 512<<10 {
		t.Errorf("%d bytes allocated for each", each)
	}
}
