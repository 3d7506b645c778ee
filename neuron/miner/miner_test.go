package miner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/handler"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/verify"
)

const blockTime = 12 * time.Second

var bob = verify.AccountID{0xb0, 0xb}

// A world is a chain, a store, a gate and a network, all of which a test can spoil. Its blocks go by the bubble's clock.
type world struct {
	mu        sync.Mutex
	began     time.Time
	me        *Neuron
	limit     uint64
	late      uint32 // blocks until what is announced is in the state
	pending   []Served
	announced []uint32 // blocks of announcements
	answer    error    // of Announce
	loses     bool     // what is announced never arrives
	gate      error
	viewErr   error
	looks     int
	plan      Plan
	own       []netip.Addr
	kept      map[string][]byte
	full      error // of Commit
	open      int   // listeners
	listens   error
	notes     []string
	reach     func(context.Context, uint16) (Reach, error)
}

func newWorld() *world {
	return &world{began: time.Now(), me: &Neuron{UID: 3, Hotkey: bob, Registered: 1}, limit: 50, late: 3, plan: Plan{Level: "full", Serve: true},
		own: []netip.Addr{here.Addr()}, kept: map[string][]byte{}}
}

func (w *world) block() uint32 { return 1000 + uint32(time.Since(w.began)/blockTime) }

func (w *world) View(context.Context) (*View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	if w.viewErr != nil {
		return nil, w.viewErr
	}
	v := &View{Block: w.block(), MaxUIDs: 256, ServingRateLimit: w.limit, ImmunityPeriod: 4096}
	for _, s := range w.pending {
		if w.me != nil && s.Block <= uint64(v.Block) {
			w.me.Axon = &s
		}
	}
	if w.me != nil {
		me := *w.me
		v.Neurons = []Neuron{me, {UID: 9, Hotkey: verify.AccountID{9}, Stake: 77, Permit: true}}
	}
	return v, nil
}

func (w *world) Announce(_ context.Context, at netip.AddrPort, version uint32) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gate != nil {
		return "", fmt.Errorf("%w: %w", ErrNotSent, w.gate)
	}
	w.announced = append(w.announced, w.block())
	if w.answer != nil {
		return "", w.answer
	}
	if !w.loses {
		w.pending = append(w.pending, Served{At: at, Version: version, Block: uint64(w.block() + w.late)})
	}
	return fmt.Sprint("0x", len(w.announced)), nil
}

// Fate knows of what was handed over whether a block has it.
func (w *world) Fate(_ context.Context, i *Intent) (string, Fate, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i.Hash == "" || w.loses {
		return i.Hash, Unknown, "", nil
	}
	if n := len(w.pending); n > 0 && w.pending[n-1].Block <= uint64(w.block()) {
		return i.Hash, Good, "", nil
	}
	return i.Hash, Pending, "", nil
}

func (w *world) Plan(context.Context) (Plan, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.plan
	p.Block = w.block()
	return p, nil
}

func (w *world) MaySign() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gate
}

func (w *world) Put(kind, key string, b []byte) error { w.kept[kind+key] = b; return nil }
func (w *world) Get(kind, key string) ([]byte, bool)  { b, ok := w.kept[kind+key]; return b, ok }
func (w *world) Delete(kind, key string) error        { delete(w.kept, kind+key); return nil }
func (w *world) Commit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full
}

// A listener that nobody dials.
type deaf struct {
	w    *world
	done chan struct{}
	once sync.Once
}

func (l *deaf) Accept() (net.Conn, error) { <-l.done; return nil, net.ErrClosed }
func (l *deaf) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4zero, Port: 8091} }
func (l *deaf) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.w.change(func() { l.w.open-- })
	})
	return nil
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) config() Config {
	return Config{
		Hotkey: bob, Chain: w, Gate: w, Store: w, Listen: "0.0.0.0:8091", Version: 7, Reach: w.reach,
		Axon: axon.Config{Routes: []axon.Route{{Synapse: synapse.Dummy(), Handler: handler.Dummy()}}},
		Own: func() []netip.Addr {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.own
		},
		Notes: func(_ bool, format string, args ...any) {
			w.change(func() { w.notes = append(w.notes, fmt.Sprintf(format, args...)) })
		},
		listen: func(context.Context, string) (net.Listener, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.listens != nil {
				return nil, w.listens
			}
			w.open++
			return &deaf{w: w, done: make(chan struct{})}, nil
		},
	}
}

// live runs a miner in a bubble: play is the test, which may wait for blocks.
func live(t *testing.T, w func() *world, play func(t *testing.T, w *world, m *Miner, blocks func(int))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := w()
		m, err := New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		play(t, w, m, func(n int) {
			time.Sleep(time.Duration(n) * blockTime)
			synctest.Wait()
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if w.open != 0 {
			t.Errorf("%d listeners are left open", w.open)
		}
	})
}

func (w *world) sent() []uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]uint32(nil), w.announced...)
}

// TestServe: the chain's entry is made true once, and stays so.
func TestServe(t *testing.T) {
	live(t, newWorld, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		blocks(1)
		if s := m.Status(); s.Announce != "sent" || s.Address != here.String() || s.Listen == "" {
			t.Errorf("at first: %+v", s)
		}
		blocks(100)
		s := m.Status()
		if s.Announce != "true" || !s.Registered || *s.UID != 3 || s.Problem != "" || len(w.kept) != 0 {
			t.Errorf("later: %+v, kept %v", s, w.kept)
		}
		if n := w.sent(); len(n) != 1 {
			t.Errorf("announced at %v", n)
		}
		if st := m.callers.Standing(verify.AccountID{9}); !st.Registered || st.UID != 9 || st.Stake != 77 || !st.Permit {
			t.Errorf("a caller is %+v", st)
		}
		if len(s.Lines()) < 4 {
			t.Errorf("%q", s.Lines())
		}
	})
}

// TestWaits: what forbids an announcement, and that it is made when that is over.
func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  func(w *world)
		state   string
		after   func(w *world)
		opens   int // listeners meanwhile
		within  int // blocks after which it has been announced
		notices string
	}{
		{name: "the gate", before: func(w *world) { w.gate = errors.New("clock: trust floor") }, state: "waits", after: func(w *world) { w.gate = nil }, opens: 1, within: 6, notices: "trust floor"},
		{name: "the power level", before: func(w *world) { w.plan = Plan{Level: "survive"} }, state: "closed", after: func(w *world) { w.plan = Plan{Level: "eco", Serve: true, Every: 25} }, within: 31, notices: ""},
		{name: "registration", before: func(w *world) { w.me = nil }, state: "unregistered", after: func(w *world) { w.me = &Neuron{Hotkey: bob} }, opens: 1, within: 56, notices: "not registered"},
		{name: "an address", before: func(w *world) { w.own = []netip.Addr{netip.MustParseAddr("10.1.2.3")} }, state: "no address", after: func(w *world) { w.own = []netip.Addr{there.Addr()} }, opens: 1, within: 6, notices: "axon.external_ip"},
		{name: "the disk", before: func(w *world) { w.full = errors.New("no space left") }, state: "failed", after: func(w *world) { w.full = nil }, opens: 1, within: 30, notices: "no space left"},
		{name: "the state", before: func(w *world) { w.viewErr = errors.New("no peer has it") }, state: "", after: func(w *world) { w.viewErr = nil }, opens: 1, within: 6, notices: "no peer has it"},
		{name: "a refusal", before: func(w *world) { w.answer = fmt.Errorf("%w: bad port", ErrNotSent) }, state: "failed", after: func(w *world) { w.answer, w.announced = nil, nil }, opens: 1, within: 30, notices: "bad port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			live(t, func() *world { w := newWorld(); c.before(w); return w }, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
				blocks(20)
				s := m.Status()
				w.mu.Lock()
				open, notes := w.open, strings.Join(w.notes, "\n")
				n := len(w.announced)
				w.mu.Unlock()
				if s.Announce != c.state || open != c.opens || c.name != "a refusal" && n != 0 {
					t.Errorf("meanwhile: %q (%s), %d listeners, announced %d times", s.Announce, s.Why, open, n)
				}
				if !strings.Contains(notes, c.notices) || strings.Count(notes, c.notices) != 1 && c.notices != "" {
					t.Errorf("it is not said once: %s", notes)
				}
				w.change(func() { c.after(w) })
				blocks(c.within)
				if n := w.sent(); len(n) != 1 {
					t.Errorf("announced at %v, %q (%s)", n, m.Status().Announce, m.Status().Why)
				}
				blocks(40)
				if s := m.Status(); s.Announce != "true" || len(w.sent()) != 1 {
					t.Errorf("at last: %q (%s), announced at %v", s.Announce, s.Why, w.sent())
				}
			})
		})
	}
}

// TestLooks: the subnet is read as seldom as that will do, for each time costs a light client some 100 kB.
func TestLooks(t *testing.T) {
	live(t, newWorld, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		looks := func() int {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.looks
		}
		blocks(20)
		if n := looks(); n > 4 || m.Status().Announce != "true" {
			t.Errorf("%d looks until the announcement is in the state, %q", n, m.Status().Announce)
		}
		before := looks()
		blocks(3000)
		if n := looks() - before; n < 10 || n > 11 {
			t.Errorf("%d looks in 3,000 blocks of nothing", n)
		}
		// Nothing is signed for an hour and more, as long as the clock is doubted: that takes no look.
		w.change(func() { w.gate, w.own = errors.New("clock"), []netip.Addr{there.Addr()} })
		before = looks()
		blocks(290)
		if n := looks() - before; n > 1 || m.Status().Announce != "waits" {
			t.Errorf("%d looks while nothing may be signed, %q", n, m.Status().Announce)
		}
	})
}

// TestUnknownOutcome: what may have been sent is not sent again before it could be in no block any more.
func TestUnknownOutcome(t *testing.T) {
	live(t, func() *world { w := newWorld(); w.answer = errors.New("the node died"); return w }, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		blocks(Era)
		if n := w.sent(); len(n) != 1 || m.Status().Announce != "sent" {
			t.Fatalf("announced at %v, %+v", n, m.Status())
		}
		w.change(func() { w.answer = nil })
		blocks(60)
		n := w.sent()
		if len(n) != 2 || n[1]-n[0] <= Era || m.Status().Announce != "true" {
			t.Errorf("announced at %v, %q", n, m.Status().Announce)
		}
	})
}

// TestRestart: a second process goes on from the intent of the first.
func TestRestart(t *testing.T) {
	live(t, func() *world { w := newWorld(); w.loses = true; return w }, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		blocks(10)
		other, err := New(w.config())
		if err != nil || other.intent == nil || other.intent.At != here || other.intent.Hash != "0x1" {
			t.Fatalf("%+v, %v", other, err)
		}
		w.kept[kind+intentKey] = []byte("{")
		if _, err := New(w.config()); !errors.Is(err, errIntent) {
			t.Errorf("a spoilt intent: %v", err)
		}
	})
}

// TestMoves: the address changes, and the rate limit holds between the two announcements.
func TestMoves(t *testing.T) {
	live(t, newWorld, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		blocks(10)
		w.change(func() { w.own = []netip.Addr{there.Addr()} })
		blocks(10)
		if s := m.Status(); s.Announce != "waits" || s.After == 0 || len(w.sent()) != 1 {
			t.Errorf("%q after %d, announced at %v", s.Announce, s.After, w.sent())
		}
		blocks(60)
		n := w.sent()
		w.mu.Lock()
		on := *w.me.Axon
		w.mu.Unlock()
		// The first was in the state 3 blocks after it was sent.
		if len(n) != 2 || n[1] < n[0]+3+50-1 || on.At != there {
			t.Errorf("announced at %v, the chain says %+v", n, on)
		}
	})
}

// TestLevels: the axon closes and opens with the level, and nothing is announced for that.
func TestLevels(t *testing.T) {
	live(t, newWorld, func(t *testing.T, w *world, m *Miner, blocks func(int)) {
		for range 3 {
			blocks(10)
			if s := m.Status(); s.Listen == "" {
				t.Fatalf("closed: %+v", s)
			}
			w.change(func() { w.plan = Plan{Level: "park"} })
			blocks(10)
			if s := m.Status(); s.Listen != "" || w.open != 0 || !strings.Contains(s.Closed, "park") {
				t.Fatalf("open: %+v", s)
			}
			w.change(func() { w.plan = Plan{Level: "full", Serve: true} })
		}
		if n := w.sent(); len(n) != 1 {
			t.Errorf("announced at %v", n)
		}
	})
}

// TestPortTaken: at the start that is an error; nothing is announced that does not answer.
func TestPortTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.listens = errors.New("address already in use")
		m, err := New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "already in use") {
			t.Errorf("%v", err)
		}
		if n := w.sent(); len(n) != 0 {
			t.Errorf("announced at %v", n)
		}
	})
}

// TestFloor: what the last run admitted is refused by this one, and a clock that ran ahead locks nobody out for long.
func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		m, err := New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UnixNano()
		for _, c := range []struct {
			kept string
			want int64
		}{
			{"", now}, {fmt.Sprint(now - 5), now}, {fmt.Sprint(now + 7e9), now + 7e9}, {fmt.Sprint(now + 365*86400e9), now + 60e9}, {"spoilt", now},
		} {
			w.kept[kind+waterKey] = []byte(c.kept)
			if got := m.floor(); got != c.want {
				t.Errorf("kept %q: floor %d, want %d", c.kept, got-now, c.want-now)
			}
		}
	})
}
