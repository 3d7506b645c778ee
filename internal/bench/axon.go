package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
)

const (
	axonConns   = 8
	axonBatch   = 400 // requests of one round
	axonRounds  = 50
	axonTimeout = 60 * time.Second
)

// axons compares an axon that checks every signature with a bare server of the standard library that gives
// back the same body to the same requests: 8 connections that are kept, on loopback. The client of both is
// the standard library's, and part of what is measured.
func axons() (rows []row, err error) {
	alice, err := wallet.Parse([]byte("//Alice"))
	if err != nil {
		return nil, err
	}
	bob, err := wallet.Parse([]byte("//Bob"))
	if err != nil {
		return nil, err
	}
	a, err := axon.New(axon.Config{Hotkey: bob.Account(), IP: "127.0.0.1", Port: 8091, Floor: 1, Routes: []axon.Route{{Synapse: synapse.Dummy(), Handler: handler.Dummy()}},
		Limits: axon.Limits{Rate: 1e9, Burst: 1e9, Strays: 1e9}})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	l, err := axon.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go a.Serve(ctx, l)
	e, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	echo := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, b); err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(b)
	})}
	go echo.Serve(e)
	defer echo.Close()

	v, err := synapse.Dummy().Read([]byte(`{"dummy_input":21}`))
	if err != nil {
		return nil, err
	}
	nonce := time.Now().UnixNano()
	make1 := func(conn int, signed bool) (message, error) {
		nonce++
		y := &synapse.Synapse{Values: v, Timeout: axonTimeout, BodyHash: synapse.EmptyHash,
			Dendrite: synapse.Terminal{IP: "127.0.0.1", Version: synapse.Version, Nonce: nonce, UUID: fmt.Sprintf("0995cd56-e5f5-11f1-a88c-%012d", conn), Hotkey: alice.Account().String()},
			Axon:     synapse.Terminal{IP: "127.0.0.1", Port: 8091, Hotkey: bob.Account().String()}}
		if signed {
			sig, err := alice.Sign(synapse.Message(nonce, y.Dendrite.Hotkey, y.Axon.Hotkey, y.Dendrite.UUID, y.BodyHash))
			if err != nil {
				return message{}, err
			}
			y.Dendrite.Signature = fmt.Sprintf("0x%x", sig)
		}
		h := http.Header{}
		y.SetHeaders(h)
		h["Content-Type"] = []string{"application/json"}
		return message{h, y.Request()}, nil
	}
	batch := func(signed bool) (out [axonConns][]message, err error) {
		for i := range axonBatch {
			b, err := make1(i%axonConns, signed)
			if err != nil {
				return out, err
			}
			out[i%axonConns] = append(out[i%axonConns], b)
		}
		return out, nil
	}
	toAxon, toEcho := newClient(l.Addr().String()), newClient(e.Addr().String())
	var best, p99, cpu [3]time.Duration // honest, unsigned, echo
	for range axonRounds {
		honest, err := batch(true)
		if err != nil {
			return nil, err
		}
		unsigned, err := batch(false)
		if err != nil {
			return nil, err
		}
		for i, run := range []func() (time.Duration, time.Duration, error){
			func() (time.Duration, time.Duration, error) { return toAxon.run(honest, http.StatusOK) },
			func() (time.Duration, time.Duration, error) { return toAxon.run(unsigned, http.StatusUnauthorized) },
			func() (time.Duration, time.Duration, error) { return toEcho.run(honest, http.StatusOK) },
		} {
			before := cpuTime()
			took, late, err := run()
			if err != nil {
				return nil, err
			}
			if used := cpuTime() - before; cpu[i] == 0 || used < cpu[i] {
				cpu[i] = used
			}
			if best[i] == 0 || took < best[i] {
				best[i], p99[i] = took, late
			}
		}
	}
	if s := a.Stats(); s.Handled != axonRounds*axonBatch || s.Unsigned != axonRounds*axonBatch || s.Checked != s.Handled {
		return nil, fmt.Errorf("the axon did something else: %+v", s)
	}
	rate := func(i int) float64 { return axonBatch / best[i].Seconds() }
	text := synapse.Message(nonce, alice.Account().String(), bob.Account().String(), "0995cd56-e5f5-11f1-a88c-000000000000", synapse.EmptyHash)
	sig, err := alice.Sign(text)
	if err != nil {
		return nil, err
	}
	key, err := wallet.ParsePublicKey(alice.Account())
	if err != nil {
		return nil, err
	}
	check := race(func() {
		if !key.Verify(text, sig) {
			must(errors.New("a good signature is refused"))
		}
	})[0]
	// Requests a second of a machine that does nothing else; wall time, on one that does, is mostly the others'.
	ratio := float64(cpu[2]) / float64(cpu[0])
	each := func(i int) time.Duration { return cpu[i] / axonBatch }
	rows = append(rows, row{fmt.Sprintf("axon, %d connections / bare net/http echo, requests a second of CPU", axonConns), "≥ 0.35",
		fmt.Sprintf("%.2f  (%v, %v each, the client's work in both; %.0f and %.0f a second, p99 %v and %v)", ratio, each(0), each(2), rate(0), rate(2),
			p99[0].Round(10*time.Microsecond), p99[2].Round(10*time.Microsecond)), ratio >= 0.35})
	rows = append(rows, row{"of that, one sr25519 check", "–", fmt.Sprintf("%.0f %%  (%v)", 100*float64(check)/float64(each(0)), check), true})
	flood, err := inProcess(a, make1)
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{"unsigned request / honest one, the axon's own work", "≤ 0.10",
		fmt.Sprintf("%.3f  (%v, %v; with sockets and HTTP %.2f)", float64(flood[1])/float64(flood[0]), flood[1], flood[0], float64(cpu[1])/float64(cpu[0])), float64(flood[1])/float64(flood[0]) <= 0.1})
	memory, err := axonMemory()
	if err != nil {
		return nil, err
	}
	return append(rows, memory), nil
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inProcess times what the axon itself does for an honest and an unsigned request: without the parsing of
// HTTP and the sockets, which cost the same for both.
func inProcess(a *axon.Axon, make1 func(int, bool) (message, error)) ([2]time.Duration, error) {
	const n = 500
	var best [2]time.Duration
	for range axonRounds {
		for i, signed := range []bool{true, false} {
			requests := make([]*http.Request, n)
			for k := range requests {
				m, err := make1(k%axonConns, signed)
				if err != nil {
					return best, err
				}
				if requests[k], err = http.NewRequest(http.MethodPost, "/Dummy", bytes.NewReader(m.body)); err != nil {
					return best, err
				}
				for name, v := range m.header {
					requests[k].Header.Set(name, v[0]) // as it arrives
				}
				requests[k].RemoteAddr = "127.0.0.1:1"
			}
			begin := time.Now()
			for _, r := range requests {
				a.ServeHTTP(&nowhere{h: http.Header{}}, r)
			}
			if d := time.Since(begin) / n; best[i] == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	return best, nil
}

type nowhere struct{ h http.Header }

func (w *nowhere) Header() http.Header         { return w.h }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(int)             {}

// A message is a request that was made beforehand.
type message struct {
	header http.Header
	body   []byte
}

// A client has as many connections as it is used by goroutines.
type client struct {
	url       string
	transport *http.Transport
}

func newClient(addr string) *client {
	return &client{"http://" + addr + "/Dummy", &http.Transport{MaxIdleConnsPerHost: axonConns, MaxConnsPerHost: axonConns, DisableCompression: true}}
}

// run sends the requests of each connection one after the other, and returns how long all took and the 99th
// of a hundred.
func (c *client) run(requests [axonConns][]message, want int) (all, p99 time.Duration, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var each []time.Duration
	begin := time.Now()
	for _, list := range requests {
		wg.Go(func() {
			mine := make([]time.Duration, 0, len(list))
			var failed error
			for _, m := range list {
				sent := time.Now()
				if failed = c.send(m, want); failed != nil {
					break
				}
				mine = append(mine, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			each = append(each, mine...)
			err = errors.Join(err, failed)
		})
	}
	wg.Wait()
	all = time.Since(begin)
	slices.Sort(each)
	if err == nil {
		p99 = each[len(each)*99/100]
	}
	return all, p99, err
}

func (c *client) send(m message, want int) error {
	r, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(m.body))
	if err != nil {
		return err
	}
	r.Header = m.header
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("status %d, want %d", resp.StatusCode, want)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
