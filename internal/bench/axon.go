package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
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
// back the same body to the same requests: 8 connections that are kept, on loopback. The client is the same
// for both and does no more than it must.
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
	make1 := func(conn int, signed bool) ([]byte, error) {
		nonce++
		y := &synapse.Synapse{Values: v, Timeout: axonTimeout, BodyHash: synapse.EmptyHash,
			Dendrite: synapse.Terminal{IP: "127.0.0.1", Version: synapse.Version, Nonce: nonce, UUID: fmt.Sprintf("0995cd56-e5f5-11f1-a88c-%012d", conn), Hotkey: alice.Account().String()},
			Axon:     synapse.Terminal{IP: "127.0.0.1", Port: 8091, Hotkey: bob.Account().String()}}
		if signed {
			sig, err := alice.Sign(synapse.Message(nonce, y.Dendrite.Hotkey, y.Axon.Hotkey, y.Dendrite.UUID, y.BodyHash))
			if err != nil {
				return nil, err
			}
			y.Dendrite.Signature = fmt.Sprintf("0x%x", sig)
		}
		h := http.Header{}
		y.SetHeaders(h)
		body := y.Request()
		var b bytes.Buffer
		fmt.Fprintf(&b, "POST /Dummy HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", len(body))
		if err := h.Write(&b); err != nil {
			return nil, err
		}
		b.WriteString("\r\n")
		b.Write(body)
		return b.Bytes(), nil
	}
	batch := func(signed bool) (out [axonConns][][]byte, err error) {
		for i := range axonBatch {
			b, err := make1(i%axonConns, signed)
			if err != nil {
				return out, err
			}
			out[i%axonConns] = append(out[i%axonConns], b)
		}
		return out, nil
	}
	toAxon, err := dialAll(l.Addr().String())
	if err != nil {
		return nil, err
	}
	toEcho, err := dialAll(e.Addr().String())
	if err != nil {
		return nil, err
	}
	var best [3]time.Duration // honest, unsigned, echo
	var p99 [3]time.Duration
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
			func() (time.Duration, time.Duration, error) { return toAxon.run(honest, "200 OK") },
			func() (time.Duration, time.Duration, error) { return toAxon.run(unsigned, "401 Unauthorized") },
			func() (time.Duration, time.Duration, error) { return toEcho.run(honest, "200 OK") },
		} {
			took, late, err := run()
			if err != nil {
				return nil, err
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
	message := synapse.Message(nonce, alice.Account().String(), bob.Account().String(), "0995cd56-e5f5-11f1-a88c-000000000000", synapse.EmptyHash)
	sig, err := alice.Sign(message)
	if err != nil {
		return nil, err
	}
	key, err := wallet.ParsePublicKey(alice.Account())
	if err != nil {
		return nil, err
	}
	check := race(func() {
		if !key.Verify(message, sig) {
			must(errors.New("a good signature is refused"))
		}
	})[0]
	ratio := rate(0) / rate(2)
	rows = append(rows, row{fmt.Sprintf("axon, %d connections / bare net/http echo, requests a second", axonConns), "≥ 0.35",
		fmt.Sprintf("%.2f  (%.0f, %.0f; p99 %v, %v)", ratio, rate(0), rate(2), p99[0].Round(10*time.Microsecond), p99[2].Round(10*time.Microsecond)), ratio >= 0.35})
	rows = append(rows, row{"of an axon's request, one sr25519 check", "–",
		fmt.Sprintf("%.0f %%  (%v of %v on two cores, the client's share included)", 100*float64(check)/float64(2*best[0]/axonBatch), check, 2*best[0]/axonBatch), true})
	flood, err := inProcess(a, make1)
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{"unsigned request / honest one, the axon's own work", "≤ 0.10",
		fmt.Sprintf("%.3f  (%v, %v; with sockets and HTTP %.2f)", float64(flood[1])/float64(flood[0]), flood[1], flood[0], float64(best[1])/float64(best[0])), float64(flood[1])/float64(flood[0]) <= 0.1})
	return rows, nil
}

// inProcess times what the axon itself does for an honest and an unsigned request: without the parsing of
// HTTP and the sockets, which cost the same for both.
func inProcess(a *axon.Axon, make1 func(int, bool) ([]byte, error)) ([2]time.Duration, error) {
	const n = 500
	var best [2]time.Duration
	for range axonRounds {
		for i, signed := range []bool{true, false} {
			requests := make([]*http.Request, n)
			for k := range requests {
				b, err := make1(k%axonConns, signed)
				if err != nil {
					return best, err
				}
				if requests[k], err = http.ReadRequest(bufio.NewReader(bytes.NewReader(b))); err != nil {
					return best, err
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

// conns are connections that are kept.
type conns [axonConns]net.Conn

func dialAll(addr string) (c conns, err error) {
	for i := range c {
		if c[i], err = net.Dial("tcp4", addr); err != nil {
			return c, err
		}
	}
	return c, nil
}

// run sends each connection's requests one after the other, and returns how long all took and the 99th of a
// hundred.
func (c *conns) run(requests [axonConns][][]byte, want string) (all, p99 time.Duration, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var each []time.Duration
	begin := time.Now()
	for i := range c {
		wg.Go(func() {
			r := bufio.NewReader(c[i])
			mine := make([]time.Duration, 0, len(requests[i]))
			var failed error
			for _, b := range requests[i] {
				sent := time.Now()
				if failed = exchange(c[i], r, b, want); failed != nil {
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

// exchange sends a request and reads the answer, looking at no more of it than where it ends.
func exchange(c net.Conn, r *bufio.Reader, request []byte, want string) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.Contains(line, []byte(want)) {
			return fmt.Errorf("answer %q, want %s", line, want)
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if err := json.Unmarshal(bytes.TrimSpace(v), &length); err != nil {
				return err
			}
		}
	}
	_, err := r.Discard(length)
	return err
}
