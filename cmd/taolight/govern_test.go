package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/internal/power/rig"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// files are what a fake machine's meters stand in.
type files struct {
	mu   sync.Mutex
	tree fstest.MapFS
}

func (f *files) Open(name string) (fs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tree.Open(name)
}

func (f *files) set(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text == "" {
		delete(f.tree, name)
		return
	}
	f.tree[name] = &fstest.MapFile{Data: []byte(text), ModTime: time.Now()}
}

// follower is a node that notes what it is ordered.
type follower struct {
	mu    sync.Mutex
	bytes uint64
	list  []lightclient.Orders
	when  []time.Time
	block chan struct{} // nil: it follows at once
}

func (f *follower) Obey(ctx context.Context, o lightclient.Orders) error {
	f.mu.Lock()
	block := f.block
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list, f.when = append(f.list, o), append(f.when, time.Now())
	return nil
}

func (f *follower) Traffic() (in, out uint64) { f.mu.Lock(); defer f.mu.Unlock(); return f.bytes, 0 }

func (f *follower) last() lightclient.Orders {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return lightclient.Orders{}
	}
	return f.list[len(f.list)-1]
}

// kept is a store of what outlives the process.
type kept map[string][]byte

func (k kept) Get(_, key string) ([]byte, bool)      { b, ok := k[key]; return b, ok }
func (k kept) Put(_, key string, value []byte) error { k[key] = slices.Clone(value); return nil }

type governed struct {
	*governor
	node  *follower
	files *files
	kept  kept
	notes []string
	wall  time.Duration // by which the wall clock is wrong
	procs int           // processors that it may use
}

// governTest runs a governor on a fake machine in a bubble of virtual time.
func governTest(t *testing.T, specs []string, cfg power.Config, f func(t *testing.T, g *governed), first ...func(*governed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &governed{node: &follower{}, files: &files{tree: fstest.MapFS{}}, kept: kept{}}
		g.files.set("meter.json", `{"soc":80,"watts":-2}`)
		meters, err := rig.New(specs, rig.Machine{Sys: g.files, Files: g.files})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Explicit, cfg.Assume = meters.Explicit, power.Full
		var mu sync.Mutex
		g.governor = &governor{cfg: cfg, meters: meters, full: lightclient.Orders{Finality: lightclient.Follow, Peers: 20}, slot: 12 * time.Second, dated: true,
			notes: func(n lightclient.Note) { mu.Lock(); defer mu.Unlock(); g.notes = append(g.notes, n.Text) },
			now:   func() time.Time { return time.Now().Add(g.wall) }, synced: func() *bool { return nil },
			steps: func(ctx context.Context, _ func()) error { <-ctx.Done(); return ctx.Err() },
			node:  g.node, talk: func() *gossip.Node { return nil }, store: g.kept,
			asks: make(chan chan struct{}), moves: make(chan struct{}, 1), began: time.Now()}
		g.most, g.procs = 4, 4
		g.governor.procs = func(n int) (was int) {
			if was = g.procs; n > 0 {
				g.procs = n
			}
			return was
		}
		for _, do := range first {
			do(g)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.run(ctx) }()
		synctest.Wait()
		f(t, g)
		cancel()
		<-done
	})
}

func (g *governed) wait(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func (g *governed) level() power.Level {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.actions.Level
}

// drain keeps a meter alive that says the same for a while.
func (g *governed) meter(d time.Duration, text string) {
	for ; d > 0; d -= 5 * time.Second {
		g.files.set("meter.json", text)
		g.wait(5 * time.Second)
	}
}

// TestGovernorLevels lets a battery run down and charge again: the node is given the orders of each level in the very
// step that changes it, the last checkpoint once, and never more than one level up at a time.
func TestGovernorLevels(t *testing.T) {
	governTest(t, []string{"file:/meter.json"}, power.Config{}, func(t *testing.T, g *governed) {
		want := func(l power.Level, f lightclient.Finality, every time.Duration, peers int, closed bool) {
			t.Helper()
			o := g.node.last()
			if one := l < power.Full; one != (g.procs == 1) || !one && g.procs != g.most {
				t.Fatalf("level %s on %d processors", l, g.procs)
			}
			if g.level() != l || o.Finality != f || o.PullEvery != every || o.Peers != peers || o.Closed != closed {
				t.Fatalf("level %s (want %s), orders %+v", g.level(), l, o)
			}
		}
		want(power.Full, lightclient.Follow, 12*time.Second, 20, false)
		g.meter(50*time.Second, `{"soc":50,"watts":-2}`)
		want(power.Full, lightclient.Follow, 12*time.Second, 20, false) // not yet
		g.meter(40*time.Second, `{"soc":50,"watts":-2}`)
		want(power.Eco, lightclient.Pull, 300*time.Second, 2, false)
		g.meter(2*time.Minute, `{"soc":20,"watts":-2}`)
		want(power.Survive, lightclient.Pull, time.Hour, 2, false) // the height is not known: no window can be told
		before := len(g.node.list)
		g.files.set("meter.json", `{"soc":20,"critical":true}`)
		g.wait(30 * time.Second)
		want(power.Park, lightclient.None, 0, 0, true)
		if o := g.node.list[before]; o.Write != lightclient.WriteLast || !o.Closed {
			t.Errorf("the first order of park: %+v", o)
		}
		if state, err := power.Decode(g.kept[powerState]); err != nil || state.Level != power.Park {
			t.Errorf("kept with the last checkpoint: %s, %v", state.Level, err)
		}
		g.meter(5*time.Minute, `{"soc":20,"critical":true}`)
		if o := g.node.last(); o.Write != lightclient.WriteNone {
			t.Errorf("writes in park: %+v", o)
		}
		if n := len(g.node.list) - before; n != 2 {
			t.Errorf("%d orders in park", n)
		}
		g.meter(11*time.Minute, `{"soc":90,"watts":20}`)
		want(power.Survive, lightclient.Pull, time.Hour, 2, false)
		if o := g.node.last(); o.Write != lightclient.WriteFree {
			t.Errorf("writes after park: %+v", o)
		}
		g.meter(10*time.Minute+30*time.Second, `{"soc":90,"watts":20}`)
		want(power.Eco, lightclient.Pull, 300*time.Second, 2, false)
		g.meter(10*time.Minute+30*time.Second, `{"soc":90,"watts":20}`)
		want(power.Full, lightclient.Follow, 12*time.Second, 20, false)
	})
}

// TestGovernorAligned: steps fall on whole ticks of the clock, whatever they take themselves, so that all that keeps to
// these wakes the board once.
func TestGovernorAligned(t *testing.T) {
	var at []time.Time
	governTest(t, []string{"none"}, power.Config{}, func(t *testing.T, g *governed) {
		g.wait(5 * time.Minute)
		if len(at) != 31 {
			t.Errorf("%d steps in five minutes", len(at))
		}
		for _, x := range at[1:] {
			if !x.Equal(x.Truncate(10 * time.Second)) {
				t.Errorf("a step at %v", x)
			}
		}
	}, func(g *governed) {
		g.after = func(_ context.Context, within time.Duration) {
			if at = append(at, time.Now()); within <= 0 || within > 10*time.Second {
				t.Errorf("%v until the next step", within)
			}
			time.Sleep(300 * time.Millisecond) // virtual: what a status takes on a slow board
		}
	})
}

// TestGovernorFlaps: a meter that flaps around a threshold, lies, goes silent and comes back costs few orders.
func TestGovernorFlaps(t *testing.T) {
	governTest(t, []string{"file:/meter.json"}, power.Config{}, func(t *testing.T, g *governed) {
		for range 360 { // an hour
			for _, text := range []string{`{"soc":58,"watts":-2}`, `{"soc":66,"watts":2}`} {
				g.files.set("meter.json", text)
				g.wait(5 * time.Second)
			}
		}
		if n := len(g.node.list); n > 6 {
			t.Errorf("%d orders for a meter that flaps for an hour", n)
		}
		for _, text := range []string{`{"soc":-7}`, `{"soc":"NaN"}`, `{`, `[]`, ``, `{"soc":1e300}`} {
			g.meter(time.Minute, text)
		}
		if l := g.level(); l < power.Eco {
			t.Errorf("level %s by lies", l)
		}
		g.files.set("meter.json", "")
		g.wait(20 * time.Minute)
		if l := g.level(); l != power.Eco {
			t.Errorf("level %s with a meter that is gone", l)
		}
		if !strings.Contains(strings.Join(g.notes, "\n"), "meter_silent") {
			t.Errorf("nobody was told: %q", g.notes)
		}
	})
}

// TestGovernorUnderVoltage: one last checkpoint at the flag, then nothing until it has been quiet for a minute.
func TestGovernorUnderVoltage(t *testing.T) {
	governTest(t, []string{"sysfs"}, power.Config{}, func(t *testing.T, g *governed) {
		const alarm = "class/hwmon/hwmon1/in0_lcrit_alarm"
		g.files.set("class/hwmon/hwmon1/name", "rpi_volt\n")
		g.files.set(alarm, "0\n")
		g.wait(time.Minute)
		before := len(g.node.list)
		g.files.set(alarm, "1\n")
		g.wait(30 * time.Second)
		var modes []string
		for _, o := range g.node.list[before:] {
			modes = append(modes, o.Write)
		}
		if fmt.Sprint(modes) != "[last none]" || g.level() != power.Full {
			t.Fatalf("writes %v at level %s", modes, g.level())
		}
		g.files.set(alarm, "0\n")
		g.wait(50 * time.Second)
		if o := g.node.last(); o.Write != lightclient.WriteNone {
			t.Errorf("writes %s 50 s after the flag", o.Write)
		}
		g.wait(40 * time.Second)
		if o := g.node.last(); o.Write != lightclient.WriteFree {
			t.Errorf("writes %s 90 s after the flag", o.Write)
		}
	})
}

// TestGovernorAsked: whoever asks has the meters read, but not more than once a second, and waits no longer than that
// takes.
func TestGovernorAsked(t *testing.T) {
	governTest(t, []string{"file:/meter.json"}, power.Config{}, func(t *testing.T, g *governed) {
		g.wait(11 * time.Second)
		g.wait(1200 * time.Millisecond) // between two ticks
		g.files.set("meter.json", `{"soc":80,"critical":true}`)
		began := time.Now()
		if p := g.Power(t.Context()); p.Level != power.Park || p.Plan.Connected {
			t.Errorf("level %s", p.Level)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if o := g.node.last(); !o.Closed {
			t.Errorf("orders %+v", o)
		}
	})
}

// TestGovernorStuck: a node that does not follow is told again, and what hangs is given up after two seconds.
func TestGovernorStuck(t *testing.T) {
	governTest(t, []string{"none"}, power.Config{}, func(t *testing.T, g *governed) {
		g.wait(20 * time.Second)
		before := len(g.node.list)
		g.node.mu.Lock()
		g.node.block = make(chan struct{})
		g.node.mu.Unlock()
		g.mu.Lock()
		g.cfg.MaxBytesPerDay = 1e6 // another cadence
		g.mu.Unlock()
		g.wait(30 * time.Second)
		if len(g.node.list) != before || !strings.Contains(strings.Join(g.notes, "\n"), "does not follow") {
			t.Errorf("%q", g.notes)
		}
		close(g.node.block)
		g.wait(20 * time.Second)
		if len(g.node.list) == before {
			t.Error("it was not told again")
		}
	})
}

// TestGovernorMetered: the cadence falls before the limit does, whatever the battery says, and the day's end lifts it.
func TestGovernorMetered(t *testing.T) {
	governTest(t, []string{"none"}, power.Config{MaxBytesPerDay: 20e6}, func(t *testing.T, g *governed) {
		if o := g.node.last(); g.level() != power.Full || o.Finality != lightclient.Pull || o.Closed || o.Limit != 20e6 {
			t.Fatalf("level %s, orders %+v", g.level(), o)
		}
		g.node.mu.Lock()
		g.node.bytes = 19_500_000
		g.node.mu.Unlock()
		g.wait(15 * time.Second)
		if o := g.node.last(); o.PullEvery != time.Hour || o.Closed {
			t.Fatalf("orders %+v with 0.5 of 20 MB left", o)
		}
		g.node.mu.Lock()
		g.node.bytes = 19_900_000
		g.node.mu.Unlock()
		g.wait(15 * time.Second)
		if o := g.node.last(); !o.Closed || o.Finality != lightclient.None {
			t.Fatalf("orders %+v with 0.1 of 20 MB left", o)
		}
		g.wait(25 * time.Hour)
		if o := g.node.last(); o.Closed {
			t.Errorf("orders %+v on the next day", o)
		}
	})
}

// at is a standing whose head has the slot of a moment.
func (g *governed) at(number uint32, when time.Time) *lightclient.Standing {
	h := &verify.Header{Number: number, Digest: []verify.DigestItem{{Type: verify.DigestPreRuntime, Engine: verify.EngineAura,
		Data: binary.LittleEndian.AppendUint64(nil, uint64(when.UnixMilli()/12_000))}}}
	return &lightclient.Standing{Head: &checkpoint.Checkpoint{Number: number, Header: h}}
}

// TestGovernorClock: nothing is signed before finalized heads at life's pace have witnessed the clock, nor after it
// was set; a step is told at once, and finality is asked for all the same.
func TestGovernorClock(t *testing.T) {
	governTest(t, []string{"none"}, power.Config{}, func(t *testing.T, g *governed) {
		number := uint32(100)
		follow := func(d time.Duration) {
			for ; d > 0; d -= 12 * time.Second {
				number++
				g.moved(g.at(number, time.Now().Add(-20*time.Second)))
				g.wait(12 * time.Second)
			}
		}
		if g.MaySign() == nil {
			t.Fatal("signs by a clock that nothing is known of")
		}
		follow(2 * time.Minute)
		if err := g.MaySign(); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []time.Duration{10 * time.Minute, -time.Hour, 0, -30 * 365 * 24 * time.Hour, time.Hour} { // back and forth, and 1970; set right, the heads witness it at once
			steps := g.Measures(t.Context()).ClockStep
			g.wall = wrong
			number++
			g.moved(g.at(number, time.Now().Add(-20*time.Second)))
			synctest.Wait()
			if m := g.Measures(t.Context()); m.ClockStep != steps+1 || wrong != 0 && (m.MaySign || g.MaySign() == nil) {
				t.Fatalf("%v wrong: %d steps, trust %s: %s", wrong, m.ClockStep-steps, m.ClockTrust, m.ClockWhy)
			}
			follow(3 * time.Minute)
			if signs := g.MaySign() == nil; signs != (wrong == 0) {
				t.Fatalf("%v wrong: signs %v", wrong, signs)
			}
			if o := g.node.last(); o.Finality != lightclient.Follow || o.Closed {
				t.Fatalf("a clock that is wrong stops finality: %+v", o)
			}
		}
		g.wall = 0
		follow(3 * time.Minute)
		if err := g.MaySign(); err != nil {
			t.Fatal(err)
		}
		st := g.at(number+1, time.Now())
		st.Evidence = new(grandpa.Evidence)
		g.moved(st)
		if g.MaySign() == nil {
			t.Error("signs although a conflict is known")
		}
	})
}

// TestGovernorRestores: levels and the clock's floor outlive the process; what is damaged is a state of nothing seen.
func TestGovernorRestores(t *testing.T) {
	var was kept
	governTest(t, []string{"file:/meter.json"}, power.Config{}, func(t *testing.T, g *governed) {
		g.moved(g.at(7, time.Now()))
		g.meter(20*time.Second, `{"soc":20,"critical":true}`)
		was = g.kept
	})
	g := &governor{store: was, notes: func(n lightclient.Note) { t.Error(n.Text) }}
	if g.restore(); g.state.Level != power.Park || !g.state.Started || g.clock.Floor.IsZero() {
		t.Errorf("level %s, floor %v", g.state.Level, g.clock.Floor)
	}
	told := 0
	for key := range was {
		was[key][5] ^= 1
	}
	g = &governor{store: was, notes: func(lightclient.Note) { told++ }}
	if g.restore(); g.state.Started || !g.clock.Floor.IsZero() || told != 2 {
		t.Errorf("%+v, told %d", g.state, told)
	}
}
