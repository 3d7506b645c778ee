package axon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taolight/taolight/neuron"
)

// A pipes is a listener whose connections are pipes, so that a test can run by virtual time.
type pipes struct {
	c      chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.c:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection with an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", f.addr)
	if err != nil {
		panic(err)
	}
	return a
}

func (p *pipes) dial(addr string) net.Conn {
	c, s := net.Pipe()
	p.c <- from{s, addr}
	return c
}

// inVirtualTime serves an axon on pipes by virtual time; stop ends it.
func inVirtualTime(t *testing.T, f func(t *testing.T, w *world, dial func() net.Conn, stop func()), change ...func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, append(change, func(cfg *Config) { cfg.Now = time.Now })...)
		w.clock.ns.Store(time.Now().UnixNano())
		l := newPipes()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx, l) }()
		f(t, w, func() net.Conn { return l.dial("192.0.2.7:1234") }, cancel)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// text is a request as it goes over the wire.
func (c *call) text(t *testing.T) string {
	t.Helper()
	r := c.request(t)
	r.Header.Set("User-Agent", "test")
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// until reads until the other side closes, and returns how long that took.
func until(c net.Conn) (string, time.Duration) {
	begin := time.Now()
	b, _ := io.ReadAll(c)
	return string(b), time.Since(begin)
}

func TestSlow(t *testing.T) {
	for _, tc := range []struct {
		name string
		send func(t *testing.T, w *world, c net.Conn)
		says string
		most time.Duration
	}{
		{"headers that stop", func(t *testing.T, w *world, c net.Conn) { io.WriteString(c, "POST /Dummy HTTP/1.1\r\nname: Du") }, "", 5 * time.Second},
		{"headers that drip", func(t *testing.T, w *world, c net.Conn) {
			go func() {
				for _, b := range []byte("POST /Dummy HTTP/1.1\r\nname: Dummy\r\n" + strings.Repeat("x: y\r\n", 100)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
		}, "", 5 * time.Second},
		{"a signed body that stops", func(t *testing.T, w *world, c net.Conn) {
			text := w.call().text(t)
			io.WriteString(c, text[:len(text)-3])
		}, "408", 10 * time.Second},
		{"an unsigned body that stops", func(t *testing.T, w *world, c net.Conn) {
			q := w.call()
			q.header["bt_header_dendrite_signature"] = ""
			text := q.text(t)
			io.WriteString(c, text[:len(text)-3])
		}, "401", 10 * time.Second},
		{"nothing after an answer", func(t *testing.T, w *world, c net.Conn) { io.WriteString(c, w.call().text(t)) }, "200", 90 * time.Second},
		{"nothing at all", func(t *testing.T, w *world, c net.Conn) {}, "", 5 * time.Second},
		{"headers that are too large", func(t *testing.T, w *world, c net.Conn) {
			go io.WriteString(c, "POST /Dummy HTTP/1.1\r\nHost: x\r\nx: "+strings.Repeat("x", 100_000)+"\r\n\r\n")
		}, "431", 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
				c := dial()
				tc.send(t, w, c)
				got, took := until(c)
				if !strings.HasPrefix(got, "HTTP/1.1 "+tc.says) && tc.says != "" || tc.says == "" && got != "" && !strings.HasPrefix(got, "HTTP/1.1 4") {
					t.Errorf("%q", got)
				}
				c.Close()
				time.Sleep(2 * time.Second) // who drips sees it
				if took > tc.most+time.Second {
					t.Errorf("held for %v, at most %v", took, tc.most)
				}
			})
		})
	}
}

// TestReaderThatStops: who does not read its answer is cut off, and has not kept a place meanwhile.
func TestReaderThatStops(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
		c := dial()
		io.WriteString(c, w.call().text(t))
		synctest.Wait()
		if w.places() != 16 || w.memory.Load() != 0 {
			t.Errorf("%d places free, %d bytes held", w.places(), w.memory.Load())
		}
		time.Sleep(11 * time.Second)
		if got, took := until(c); got != "" || took != 0 {
			t.Errorf("%q after another %v", got, took)
		}
	})
}

// places is how many handlers more could work.
func (w *world) places() int {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	return w.queue.free
}

// TestSlowHandler: the limit on the time of a body is none on that of the handler, with a body or without.
func TestSlowHandler(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
		for _, make := range []func() string{
			func() string { return w.call().text(t) },
			func() string {
				var b strings.Builder
				if err := w.signed(t, "GET", "/generate", "", nil).Write(&b); err != nil {
					t.Fatal(err)
				}
				return b.String()
			},
		} {
			c := dial()
			begin := time.Now()
			w.clock.ns.Store(begin.UnixNano())
			io.WriteString(c, make())
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if took := time.Since(begin); err != nil || resp.StatusCode != 200 || took != 11*time.Second {
				t.Errorf("%v, %v after %v", resp, err, took)
			}
			c.Close()
		}
	}, func(cfg *Config) {
		slow := neuron.HandlerFunc(func(ctx context.Context, _ *neuron.Request) (*neuron.Reply, error) {
			select {
			case <-ctx.Done():
			case <-time.After(11 * time.Second):
			}
			return nil, ctx.Err()
		})
		cfg.Routes[0].Handler, cfg.Routes[2].Handler = slow, slow
	})
}

func TestHandlerThatHangs(t *testing.T) {
	var quit chan bool
	inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
		c := dial()
		begin := time.Now()
		io.WriteString(c, w.call().text(t))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if took := time.Since(begin); resp.StatusCode != 504 || took != 12*time.Second || !bytes.Contains(body, []byte("longer than 12s")) {
			t.Errorf("%d %s after %v", resp.StatusCode, body, took)
		}
		// It still holds its place, and its memory.
		if w.places() != 0 || w.memory.Load() == 0 {
			t.Errorf("%d places free, %d bytes held", w.places(), w.memory.Load())
		}
		// The next one waits for as long as its caller does, and then knows.
		d := dial()
		q := w.call()
		q.nonce = time.Now().UnixNano()
		io.WriteString(d, q.text(t))
		if resp, err := http.ReadResponse(bufio.NewReader(d), nil); err != nil || resp.StatusCode != 408 {
			t.Errorf("%v, %v", resp, err)
		}
		close(quit)
		synctest.Wait()
		if w.places() != 1 || w.memory.Load() != 0 {
			t.Errorf("after its end: %d places free, %d bytes held", w.places(), w.memory.Load())
		}
		c.Close()
		d.Close()
	}, func(cfg *Config) {
		cfg.Limits.Workers = 1
		quit = make(chan bool) // of this bubble
		cfg.Routes[0].Handler = neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) {
			<-quit
			return nil, errors.New("too late to say")
		})
	})
}

// TestCallerThatGoes: a handler learns that nobody waits.
func TestCallerThatGoes(t *testing.T) {
	var told chan error
	inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
		c := dial()
		begin := time.Now()
		io.WriteString(c, w.call().text(t))
		synctest.Wait()
		c.Close()
		if err := <-told; !errors.Is(err, context.Canceled) || time.Since(begin) > 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	}, func(cfg *Config) {
		told = make(chan error, 1)
		cfg.Routes[0].Handler = neuron.HandlerFunc(func(ctx context.Context, _ *neuron.Request) (*neuron.Reply, error) {
			<-ctx.Done()
			told <- ctx.Err()
			return nil, ctx.Err()
		})
	})
}

// TestStreamThatHangs: a stream has the caller's time and no more, and what is written after it goes nowhere.
func TestStreamThatHangs(t *testing.T) {
	var quit chan bool
	var after chan error
	inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
		c := dial()
		io.WriteString(c, w.call().text(t))
		got, took := until(c)
		if !strings.Contains(got, "text/event-stream") || !strings.Contains(got, "first") || strings.Contains(got, "second") || strings.HasSuffix(got, "0\r\n\r\n") || took != 12*time.Second {
			t.Errorf("%q after %v", got, took)
		}
		close(quit)
		if err := <-after; err == nil {
			t.Error("a piece is written to a connection that was given up")
		}
		synctest.Wait()
		if w.places() != 16 || w.memory.Load() != 0 {
			t.Errorf("%d places free, %d bytes held", w.places(), w.memory.Load())
		}
	}, func(cfg *Config) {
		quit, after = make(chan bool), make(chan error, 1)
		cfg.Routes[0].Handler = neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) {
			return &neuron.Reply{Stream: func(w io.Writer) error {
				io.WriteString(w, "first")
				<-quit
				_, err := io.WriteString(w, "second")
				after <- err
				return err
			}}, nil
		})
	})
}

// TestShutdown: what is being answered is answered to its end, and nothing new is begun.
func TestShutdown(t *testing.T) {
	var began chan bool
	inVirtualTime(t, func(t *testing.T, w *world, dial func() net.Conn, stop func()) {
		c, idle := dial(), dial()
		io.WriteString(c, w.call().text(t))
		<-began
		stop()
		synctest.Wait()
		go io.WriteString(idle, w.call().text(t))
		if got, _ := until(idle); strings.Contains(got, "HTTP/1.1 200") {
			t.Errorf("a new request: %q", got)
		}
		got, took := until(c)
		if !strings.HasPrefix(got, "HTTP/1.1 200") || took > 6*time.Second {
			t.Errorf("%q after %v", got, took)
		}
	}, func(cfg *Config) {
		began = make(chan bool)
		cfg.Routes[0].Handler = neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) {
			began <- true
			time.Sleep(5 * time.Second)
			return nil, nil
		})
	})
}

// TestRun: of who works and who waits, one releases, never both.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		released, late := 0, 0 // of one goroutine at a time: Wait is between them
		for i := range 5_000 {
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 0 {
				go cancel()
			}
			if err := w.run(ctx, func() { released++ }, func() error { runtime.Gosched(); return nil }); errors.Is(err, errLate) {
				late++
			}
			synctest.Wait()
			cancel()
			if released != late {
				t.Fatalf("round %d: released %d times, late %d times", i, released, late)
			}
		}
		t.Logf("%d of 5,000 were late", late)
	})
}

func TestConnectionLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(cfg *Config) { cfg.Limits.Connections, cfg.Limits.PerAddress = 5, 2 })
		l := newPipes()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx, l) }()
		turned := func() uint64 { synctest.Wait(); return w.Stats().Turned }
		var conns []net.Conn
		for i, want := range []uint64{0, 0, 1, 2} {
			conns = append(conns, l.dial("192.0.2.7:1"))
			if got := turned(); got != want {
				t.Errorf("connection %d of one address: %d turned away, want %d", i+1, got, want)
			}
		}
		for i, want := range []uint64{2, 2, 2, 3} {
			conns = append(conns, l.dial(fmt.Sprintf("192.0.2.%d:1", 10+i)))
			if got := turned(); got != want {
				t.Errorf("connection of address %d: %d turned away, want %d", i, got, want)
			}
		}
		conns[0].Close()
		synctest.Wait()
		l.dial("192.0.2.7:1").Close()
		if got := turned(); got != 3 {
			t.Errorf("after one has gone: %d turned away", got)
		}
		for _, c := range conns {
			c.Close()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkAxon is a request with its signature checked, without a socket; the same without a signature; and
// the check of the signature alone is in package wallet.
func BenchmarkAxon(b *testing.B) {
	for _, signed := range []bool{true, false} {
		b.Run(fmt.Sprintf("signed=%v", signed), func(b *testing.B) {
			w := newWorld(b, func(cfg *Config) { cfg.Limits.Rate, cfg.Limits.Burst, cfg.Limits.Strays = 1e9, 1e9, 1e9 })
			requests := make([]*http.Request, b.N)
			for i := range requests {
				c := w.call()
				c.nonce += int64(i)
				if !signed {
					c.header["bt_header_dendrite_signature"] = ""
				}
				requests[i] = c.request(b)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, r := range requests {
				w.ServeHTTP(&discard{h: http.Header{}}, r)
			}
			b.StopTimer()
			if s := w.Stats(); signed && s.Handled != uint64(b.N) || !signed && s.Unsigned != uint64(b.N) {
				b.Fatalf("%+v", s)
			}
		})
	}
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
