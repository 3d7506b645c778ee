package miner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// ErrNotSent: an announcement did not leave this machine, for sure. Any other error of Chain.Announce leaves that open.
var ErrNotSent = errors.New("nothing was sent")

// A Chain is what a miner knows of the chain and says to it.
type Chain interface {
	// View reads the subnet from the newest state that can be proven.
	View(ctx context.Context) (*View, error)
	// Announce signs serve_axon, hands it over to be sent, and returns its hash.
	Announce(ctx context.Context, at netip.AddrPort, version uint32) (hash string, err error)
	// Fate tells what became of an intent, with its hash if that is known, and in words.
	Fate(ctx context.Context, i *Intent) (hash string, f Fate, text string, err error)
	// Plan tells what the battery allows.
	Plan(ctx context.Context) (Plan, error)
}

// A Plan is what a power level lets a miner do.
type Plan struct {
	Level string
	Serve bool   // answer callers
	Every uint32 // blocks between two looks at the subnet; 0: as Config.Every
	Block uint32 // finalized now
}

// A Store keeps an intent, and the axon's nonces' high water, over a restart; *storage.Store is one.
type Store interface {
	Put(kind, key string, value []byte) error
	Get(kind, key string) ([]byte, bool)
	Delete(kind, key string) error
	Commit() error
}

// What is kept, by kind and key.
const (
	kind      = "miner"
	intentKey = "serve_axon"
	waterKey  = "nonces"
)

// Config is what a miner needs. Hotkey, Chain, Gate, Store and the axon's routes are required.
type Config struct {
	Hotkey  verify.AccountID
	Chain   Chain
	Gate    wallet.Gate
	Store   Store
	Axon    axon.Config // its Hotkey, IP, Port, Callers and Floor are set here
	Listen  string      // ADDRESS:PORT
	Told    netip.Addr  // by which others reach it; invalid: to be found out
	ToldOn  uint16      // port by which others reach it; 0: the one that it listens on
	Own     func() []netip.Addr
	Version uint32 // of the software, as the chain is told
	DryRun  bool
	Block   time.Duration // time of a block; 12 s
	Every   uint32        // blocks between two looks at the subnet, each of which costs some 100 kB; 300
	Tick    uint32        // blocks between two looks at all else, at most; 5
	Notes   func(warn bool, format string, args ...any)
	Now     func() time.Time
	// Reach asks light nodes that the node is connected with to reach a TCP port; nil: nobody is asked. Its error says
	// why nobody could be.
	Reach func(ctx context.Context, port uint16) (Reach, error)

	listen func(ctx context.Context, addr string) (net.Listener, error) // for tests
}

// A Miner is one hotkey on one subnet.
type Miner struct {
	cfg     Config
	callers Callers
	bound   netip.AddrPort // where it listens; the port is kept once it is known

	mu     sync.Mutex // guards all below
	status Status
	server *axon.Axon // that answers now, or answered last
	seen   time.Time  // when the status' block was read

	// Of the loop alone.
	view   *View
	due    time.Time // of the next look, if nothing asks for one before
	intent *Intent
	failed uint32
	why    string // of the failure
	fate   Fate
	asking asking
	close  func() // closes the axon; nil: it is closed
	ended  <-chan error
	told   map[string]string // the last note of each topic
}

// New checks a configuration and takes up what was kept. It opens and sends nothing.
func New(cfg Config) (*Miner, error) {
	if cfg.Chain == nil || cfg.Gate == nil || cfg.Store == nil || len(cfg.Axon.Routes) == 0 {
		return nil, errors.New("miner: a chain, a gate, a store and routes are needed")
	}
	if cfg.Notes == nil {
		cfg.Notes = func(bool, string, ...any) {}
	}
	if cfg.Own == nil {
		cfg.Own = ownAddresses
	}
	if cfg.listen == nil {
		cfg.listen = axon.Listen
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Block <= 0 {
		cfg.Block = 12 * time.Second
	}
	if cfg.Every == 0 {
		cfg.Every = 300
	}
	if cfg.Tick == 0 {
		cfg.Tick = 5
	}
	bound, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("miner: listen: %w", err)
	}
	m := &Miner{cfg: cfg, bound: bound, told: map[string]string{}}
	m.status.Started = cfg.Now()
	if b, ok := cfg.Store.Get(kind, intentKey); ok {
		i := new(Intent)
		if err := json.Unmarshal(b, i); err != nil || !i.At.IsValid() {
			return nil, fmt.Errorf("miner: the intent that was kept cannot be read: %w", errors.Join(err, errIntent))
		}
		m.intent = i
	}
	return m, nil
}

var errIntent = errors.New("whether something was announced is not known")

// ownAddresses are those of this machine's interfaces.
func ownAddresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}

// Status tells how it goes.
func (m *Miner) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	if !m.seen.IsZero() {
		s.Age = m.cfg.Now().Sub(m.seen).Seconds()
	}
	if m.server != nil {
		s.Axon = m.server.Stats()
	}
	return s
}

func (m *Miner) set(f func(s *Status)) {
	m.mu.Lock()
	f(&m.status)
	m.mu.Unlock()
}

// note tells something once until it changes.
func (m *Miner) note(topic string, warn bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	m.noteAs(topic, text, warn, text)
}

// noteAs tells a text of which a part is not news, such as the block: only what it is known as is.
func (m *Miner) noteAs(topic, as string, warn bool, text string) {
	if m.told[topic] != as {
		m.told[topic] = as
		if text != "" {
			m.cfg.Notes(warn, "%s", text)
		}
	}
}

// Run works until ctx ends; then requests that are being answered are answered, and it returns nil. It fails if the
// axon cannot listen to begin with.
func (m *Miner) Run(ctx context.Context) error {
	defer m.shut()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return nil
		case err := <-m.ended:
			m.close, m.ended = nil, nil
			m.set(func(s *Status) { s.Listen, s.Closed = "", fmt.Sprint(err) })
			m.note("axon", true, "the axon has ended: %v", err)
		case <-timer.C:
		}
		wait, err := m.step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && first {
			return err
		}
		if err != nil {
			m.note("axon", true, "%v", err)
		}
		timer.Reset(wait)
	}
}

// step looks once at everything, and returns how long to wait for the next time. Its error is the axon's.
func (m *Miner) step(ctx context.Context) (time.Duration, error) {
	plan, err := m.cfg.Chain.Plan(ctx)
	if err != nil {
		plan = Plan{Serve: m.close != nil || m.server == nil} // as it is
	}
	if plan.Every == 0 {
		plan.Every = m.cfg.Every
	}
	off := ""
	if !plan.Serve {
		off = "power level " + plan.Level + " answers nobody"
	}
	axonErr := m.follow(ctx, plan.Serve, off)
	m.set(func(s *Status) { s.Level = plan.Level })
	wait := m.cfg.Tick
	if m.decide(ctx, &plan, off) {
		wait = 1
	}
	m.askPeers(ctx)
	return time.Duration(wait) * m.cfg.Block, axonErr
}

// follow opens or closes the axon.
func (m *Miner) follow(ctx context.Context, serve bool, why string) error {
	if !serve {
		if m.close != nil {
			m.note("axon", false, "the axon is closed: %s", why)
		}
		m.shut()
		m.set(func(s *Status) { s.Listen, s.Closed = "", why })
		return nil
	}
	if m.close != nil {
		return nil
	}
	l, err := m.cfg.listen(ctx, m.bound.String())
	if err != nil {
		m.set(func(s *Status) { s.Closed = err.Error() })
		return fmt.Errorf("the axon cannot listen: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		m.bound = netip.AddrPortFrom(m.bound.Addr(), a.AddrPort().Port())
	}
	c := m.cfg.Axon
	c.Hotkey, c.Callers, c.Floor = m.cfg.Hotkey, &m.callers, m.floor()
	if at, err := m.address(); err == nil {
		c.IP, c.Port = at.At.Addr().String(), int(at.At.Port())
	}
	c.Routes = m.watched(c.Routes)
	a, err := axon.New(c)
	if err != nil {
		l.Close()
		return err
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	m.ended, m.close = ended, cancel
	go func() { ended <- a.Serve(serving, l) }()
	m.mu.Lock()
	m.server, m.status.Listen, m.status.Closed = a, m.bound.String(), ""
	m.mu.Unlock()
	m.note("axon", false, "the axon answers on %s", m.bound)
	return nil
}

// floor is the nonce up to which requests are refused: what the last run has admitted cannot be replayed to this one.
// A clock that ran ahead then and is right now does not lock callers out for longer than nonces may be ahead.
func (m *Miner) floor() int64 {
	now := m.cfg.Now()
	floor := now.UnixNano()
	m.mu.Lock()
	a := m.server
	m.mu.Unlock()
	if a != nil {
		return max(floor, a.HighWater())
	}
	if b, ok := m.cfg.Store.Get(kind, waterKey); ok {
		var kept int64
		if json.Unmarshal(b, &kept) == nil {
			floor = max(floor, min(kept, now.Add(time.Minute).UnixNano()))
		}
	}
	return floor
}

// watched notes who reaches the handlers from another machine.
func (m *Miner) watched(routes []axon.Route) []axon.Route {
	out := make([]axon.Route, len(routes))
	own := map[netip.Addr]bool{}
	for _, a := range m.cfg.Own() {
		own[a.Unmap()] = true
	}
	for i, r := range routes {
		inner := r.Handler
		r.Handler = neuron.HandlerFunc(func(ctx context.Context, q *neuron.Request) (*neuron.Reply, error) {
			if a := q.Caller.Addr.Unmap(); !a.IsLoopback() && !own[a] {
				now := m.cfg.Now()
				m.set(func(s *Status) { s.Reached, s.ReachedBy = &now, a.String() })
			}
			return inner.Handle(ctx, q)
		})
		out[i] = r
	}
	return out
}

// shut closes the axon and waits for what is being answered.
func (m *Miner) shut() {
	if m.close == nil {
		return
	}
	m.close()
	if err := <-m.ended; err != nil {
		m.cfg.Notes(true, "%v", err)
	}
	m.close, m.ended = nil, nil
	m.keepWater()
	m.set(func(s *Status) { s.Listen = "" })
}

func (m *Miner) keepWater() {
	m.mu.Lock()
	a := m.server
	m.mu.Unlock()
	b, err := json.Marshal(a.HighWater())
	if err == nil {
		err = m.cfg.Store.Put(kind, waterKey, b)
	}
	if err != nil {
		m.note("store", true, "nonces are not kept: %v", err)
	}
}

// look reads the subnet.
func (m *Miner) look(ctx context.Context, every uint32) {
	m.due = m.cfg.Now().Add(time.Duration(every) * m.cfg.Block)
	v, err := m.cfg.Chain.View(ctx)
	if err != nil {
		m.due = m.cfg.Now().Add(time.Duration(min(every, m.cfg.Tick)) * m.cfg.Block)
		m.set(func(s *Status) { s.Problem = err.Error() })
		m.note("chain", true, "the subnet cannot be read: %v", err)
		return
	}
	m.note("chain", false, "")
	if m.view != nil && v.Block < m.view.Block {
		return // of a node that has started anew
	}
	m.view = v
	m.callers.Set(v)
	me := v.Of(m.cfg.Hotkey)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = m.cfg.Now()
	s := &m.status
	s.Block, s.Problem, s.Registered, s.UID, s.Risk, s.OnChain, s.Incentive, s.Emission = v.Block, "", me != nil, nil, nil, "", 0, 0
	if me != nil {
		risk := RiskOf(v, m.cfg.Hotkey)
		uid := me.UID
		s.UID, s.Risk, s.Incentive, s.Emission = &uid, &risk, me.Incentive, me.Emission
		if me.Axon != nil {
			s.OnChain = fmt.Sprintf("%s, version %d, since #%d", me.Axon.At, me.Axon.Version, me.Axon.Block)
		}
	}
}
