package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/validator"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/rules"
)

const (
	roundMiners = 256
	roundRounds = 15
)

// validations times a validator's round over 256 miners on loopback: each an axon with a hotkey and a socket of its own,
// all in this process, so that the processor's time is of both ends. Beside it stand the same bodies sent by a bare client
// of the standard library, as many at once, to as many bare servers of it.
func validations() ([]row, error) {
	alice, err := wallet.Parse([]byte("//Alice"))
	if err != nil {
		return nil, err
	}
	signer, err := wallet.NewSigner(alice, always{})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var open, most atomic.Int64
	counting := func(l net.Listener) net.Listener { return &counted{l, &open, &most} }
	s := &subnet{self: alice.Account(), head: make(chan uint32, 1), ended: make(chan struct{}, 1)}
	var bare []string
	for i := range roundMiners {
		key, err := wallet.Parse(fmt.Appendf(nil, "//miner%d", i))
		if err != nil {
			return nil, err
		}
		a, err := axon.New(axon.Config{Hotkey: key.Account(), IP: "127.0.0.1", Port: 8091, Floor: 1, Routes: []axon.Route{{Synapse: synapse.Dummy(), Handler: handler.Dummy()}},
			Limits: axon.Limits{Rate: 1e9, Burst: 1e9, Strays: 1e9}})
		if err != nil {
			return nil, err
		}
		l, err := axon.Listen(ctx, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		go a.Serve(ctx, counting(l))
		s.neurons = append(s.neurons, validator.Neuron{UID: uint16(i), Hotkey: key.Account(), Axon: l.Addr().String()})
		e, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		echo := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			must(err)
			w.Header().Set("Content-Type", "application/json")
			w.Write(b)
		})}
		go echo.Serve(e)
		defer echo.Close()
		bare = append(bare, "http://"+e.Addr().String()+"/Dummy")
	}
	s.neurons = append(s.neurons, validator.Neuron{UID: roundMiners, Hotkey: s.self, Permit: true})
	d, err := dendrite.New(dendrite.Config{Signer: signer, Private: true})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	v, err := validator.New(validator.Options{
		Config: validator.Config{Netuid: 1, Hotkey: s.self, Sample: roundMiners, Every: 1, Unset: true},
		Chain:  s, Sender: s, Store: s, Dendrite: d, Scorer: s,
	})
	if err != nil {
		return nil, err
	}
	over := make(chan error, 1)
	go func() { over <- v.Run(ctx) }()

	values, err := synapse.Dummy().Read([]byte(`{"dummy_input":21}`))
	if err != nil {
		return nil, err
	}
	y := &synapse.Synapse{Values: values, Timeout: axonTimeout, BodyHash: synapse.EmptyHash}
	body := y.Request()
	plain := &http.Transport{MaxIdleConns: 64, MaxIdleConnsPerHost: 4, DisableCompression: true}
	var wall, used, wallBare, usedBare time.Duration
	less := func(best *time.Duration, d time.Duration) {
		if *best == 0 || d < *best {
			*best = d
		}
	}
	for i := range uint32(roundRounds) {
		s.head <- 100 + 10*i
		select {
		case <-s.ended:
		case err := <-over:
			return nil, fmt.Errorf("the validator ended: %v", err)
		case <-time.After(axonTimeout):
			return nil, errors.New("a round does not end")
		}
		if s.good != roundMiners {
			return nil, fmt.Errorf("%d of %d miners answered well", s.good, roundMiners)
		}
		less(&wall, s.wall)
		less(&used, s.used)
		before, begin := cpuTime(), time.Now()
		if err := postAll(plain, bare, body); err != nil {
			return nil, err
		}
		less(&wallBare, time.Since(begin))
		less(&usedBare, cpuTime()-before)
	}
	stop()
	if err := <-over; err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("validator's round over %d miners, CPU of both ends / bare net/http", roundMiners), "–",
			fmt.Sprintf("%.2f  (%v and %v of CPU; %v and %v until the last answer is scored)", float64(used)/float64(usedBare), used.Round(100*time.Microsecond),
				usedBare.Round(100*time.Microsecond), wall.Round(100*time.Microsecond), wallBare.Round(100*time.Microsecond)), true},
		{"sockets of it that are open at once, 32 of them in use", "≤ 128", fmt.Sprint(most.Load()), most.Load() <= 128},
	}, nil
}

// postAll sends a body to each server, 32 at a time.
func postAll(t *http.Transport, urls []string, body []byte) error {
	slots := make(chan struct{}, 32)
	errs := make(chan error, len(urls))
	var all sync.WaitGroup
	for _, u := range urls {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			req, err := http.NewRequest(http.MethodPost, u, bytes.NewReader(body))
			if err != nil {
				errs <- err
				return
			}
			resp, err := t.RoundTrip(req)
			if err != nil {
				errs <- err
				return
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

type always struct{}

func (always) MaySign() error { return nil }

// A counted listener counts the connections that are open.
type counted struct {
	net.Listener
	open, most *atomic.Int64
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	n := l.open.Add(1)
	for m := l.most.Load(); n > m && !l.most.CompareAndSwap(m, n); m = l.most.Load() {
	}
	return &countedConn{Conn: c, open: l.open}, nil
}

type countedConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// A subnet is a chain that stands still but for its head, and scores as the template does.
type subnet struct {
	validator.Dummy
	self    verify.AccountID
	neurons []validator.Neuron
	head    chan uint32
	ended   chan struct{}

	begin      time.Time
	before     time.Duration
	wall, used time.Duration
	good       int
}

func (s *subnet) Head(ctx context.Context, _ uint32) (validator.Head, error) {
	select {
	case n := <-s.head:
		return validator.Head{Number: n}, nil
	case <-ctx.Done():
		return validator.Head{}, ctx.Err()
	}
}

func (s *subnet) View(context.Context) (*validator.View, error) {
	r, err := rules.For(rules.Ceiling)
	return &validator.View{Block: 1 << 30, Slot: 12 * time.Second, Rules: r,
		Facts: &commit.Facts{Rules: r, Netuid: 1, Exists: true, Size: roundMiners + 1, Registered: true, UID: roundMiners}}, err
}

func (s *subnet) Neurons(context.Context) ([]validator.Neuron, error)              { return s.neurons, nil }
func (s *subnet) Commitments(context.Context, int) ([]validator.Commitment, error) { return nil, nil }
func (s *subnet) Prove(context.Context, validator.Commitment) ([]byte, error)      { return nil, nil }
func (s *subnet) MaySign() error                                                   { return nil }
func (s *subnet) Build(context.Context, *validator.Call) (*validator.Payload, error) {
	return nil, errNone
}
func (s *subnet) Sign(context.Context, []byte) ([]byte, error) { return nil, errNone }
func (s *subnet) Submit(context.Context, []byte) (validator.Tracked, error) {
	return validator.Tracked{}, errNone
}
func (s *subnet) Track(context.Context, []byte) (validator.Tracked, error) {
	return validator.Tracked{}, errNone
}
func (s *subnet) Put(string, string, []byte) error { return nil }
func (s *subnet) Delete(string, string) error      { return nil }
func (s *subnet) All(string) map[string][]byte     { return nil }
func (s *subnet) Commit() error                    { return nil }

var errNone = errors.New("nothing is sent here")

func (s *subnet) Question(ctx context.Context, round uint64) (*synapse.Values, error) {
	s.begin, s.before = time.Now(), cpuTime()
	return s.Dummy.Question(ctx, round)
}

func (s *subnet) Score(ctx context.Context, round uint64, q *synapse.Values, answers []validator.Answer) ([]float64, error) {
	scores, err := s.Dummy.Score(ctx, round, q, answers)
	s.wall, s.used, s.good = time.Since(s.begin), cpuTime()-s.before, 0
	for _, x := range scores {
		if x == 1 {
			s.good++
		}
	}
	s.ended <- struct{}{}
	return scores, err
}
