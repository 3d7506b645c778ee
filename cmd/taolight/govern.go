package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/internal/clock"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/internal/power/rig"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/bundle"
)

// A governor reads the meters on one coarse tick, judges the clock, and has every part of a node follow what
// comes of that. It decides nothing itself: packages power and clock do.
type governor struct {
	cfg    power.Config
	meters *rig.Rig
	board  string
	full   lightclient.Orders // what the settings allow at the highest level
	slot   time.Duration
	dated  bool // the chain's slots say what time it is
	floor  time.Time
	notes  func(lightclient.Note)
	now    func() time.Time
	synced func() *bool                                 // the kernel's opinion of its clock
	steps  func(ctx context.Context, step func()) error // calls step when the clock is set

	node   obedient
	talk   func() *gossip.Node                     // nil inside: it does not gossip
	store  stateStore                              // nil: nothing is kept
	figure func() (written, syncs, unclean uint64) // of the store; nil: there is none

	uplink, hook *rig.Hook // nil: none

	after func(ctx context.Context, within time.Duration) // called behind each step, in the loop; within is until the next one; nil: nothing is

	procs func(n int) int // runtime.GOMAXPROCS; nil: left alone
	most  int             // what that was at the start

	began  time.Time
	pulse  atomic.Uint64
	warned map[string]bool
	asks   chan chan struct{}
	moves  chan struct{}

	mu       sync.Mutex // guards all below
	standing *lightclient.Standing
	movedAt  time.Duration // when its head came
	state    power.State
	clock    clock.State
	verdict  clock.Verdict
	in       power.Input
	actions  power.Actions
	polled   time.Duration // when the meters were last read
	stepped  bool          // the orders of the last step were given
	known    bool          // there was a first step
	orders   lightclient.Orders
	loud     gossip.Level
	keptAt   time.Duration
	onSince  time.Duration // when the uplink was switched on; 0: it has come up, or is off
	onBytes  uint64
	switches uint64
	askedAt  time.Duration
	duties   map[string]duty // by neuron
}

// A duty is what a neuron told, and when.
type duty struct {
	control.Duties
	at time.Duration
}

// dutyFor is how long the deadlines of a neuron count that tells no more: it ended without a word.
const dutyFor = 6 * time.Hour

// Duty implements control.Governed.
func (g *governor) Duty(d control.Duties) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.duties == nil {
		g.duties = make(map[string]duty)
	}
	if _, ok := g.duties[d.Neuron]; ok || len(g.duties) < maxNeurons {
		g.duties[d.Neuron] = duty{d, g.mono()}
	}
}

// maxNeurons bounds those that tell of deadlines.
const maxNeurons = 64

// deadlines are those of all neurons. Each takes as much as a short session at the lowest level. The caller holds mu.
func (g *governor) deadlines(mono time.Duration) []power.Deadline {
	var list []power.Deadline
	for _, d := range g.duties {
		if mono-d.at > dutyFor {
			continue
		}
		for _, x := range d.List {
			x.Wh = max(x.Wh, g.cfg.DeadlineWh())
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b power.Deadline) int { return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Name, b.Name)) })
	return list
}

// missed is how many deadlines neurons have missed, nil if none keeps any. The caller holds mu.
func (g *governor) missed() *uint64 {
	if len(g.duties) == 0 {
		return nil
	}
	n := uint64(0)
	for _, d := range g.duties {
		n += d.Missed
	}
	return &n
}

// obedient is the node, as far as it is governed.
type obedient interface {
	Obey(ctx context.Context, o lightclient.Orders) error
	Traffic() (in, out uint64)
}

// stateStore keeps what of power and clock outlives the process. It is written with the node's checkpoints.
type stateStore interface {
	Get(kind, key string) ([]byte, bool)
	Put(kind, key string, value []byte) error
}

const (
	stateKind  = "power"
	powerState = "state"
	clockState = "clock"
	// keepEvery is how often states are handed to the store besides at a change of level.
	keepEvery = time.Hour
	// askAfter is how old a reading of the meters may be that somebody is told.
	askAfter = time.Second
	// askWait is how long a question waits for a new one. Some meters are slow.
	askWait = 1500 * time.Millisecond
	// obeyWait is how long a part may take to follow.
	obeyWait = 2 * time.Second
)

// govern prepares the governor of a node that stays. It is to be given the node before it runs.
func (p *place) govern(notes func(lightclient.Note)) (*governor, error) {
	c, err := powerConfig(p.cfg)
	if err != nil {
		return nil, err
	}
	m := rig.Machine{Invert: p.cfg.Power.InvertCurrent}
	meters, err := rig.New(p.cfg.Power.Sources, m)
	if err != nil {
		return nil, usage("%s: %w", p.cfg.Origin("power.sources"), err)
	}
	c.Explicit = meters.Explicit
	g := &governor{cfg: c, meters: meters, notes: notes, now: time.Now, synced: rig.KernelSynced, steps: rig.ClockSteps, floor: buildTime(),
		dated: !p.backDated, slot: time.Duration(p.root.SlotDuration) * time.Millisecond,
		full:  lightclient.Orders{Finality: lightclient.Finality(p.cfg.Finality), Peers: p.cfg.MaxPeers},
		talk:  func() *gossip.Node { return nil },
		procs: runtime.GOMAXPROCS, most: runtime.GOMAXPROCS(0),
		asks: make(chan chan struct{}), moves: make(chan struct{}, 1), began: time.Now()}
	var board power.Board
	g.board, board = rig.Board(m)
	if c.Board.Idle == 0 {
		g.cfg.Board = board
	}
	if u := p.cfg.Power.Uplink; c.Uplink.Switched {
		g.uplink = rig.NewHook(rig.HookConfig{Commands: map[string][]string{"on": strings.Fields(u.On), "off": strings.Fields(u.Off)}})
	}
	if words := strings.Fields(p.cfg.Power.OnLevel); len(words) > 0 {
		g.hook = rig.NewHook(rig.HookConfig{Any: words}) // also at the start, which puts right what a crash left
	}
	return g, nil
}

// restore takes up what was kept. A state that cannot be read is a state of nothing seen.
func (g *governor) restore() {
	if g.store == nil {
		return
	}
	for _, x := range []struct {
		key  string
		take func(b []byte) error
	}{
		{powerState, func(b []byte) (err error) { g.state, err = power.Decode(b); return err }},
		{clockState, func(b []byte) (err error) { g.clock, err = clock.Decode(b); return err }},
	} {
		if b, ok := g.store.Get(stateKind, x.key); ok {
			if err := x.take(b); err != nil {
				g.note("power", false, "what was kept is not used: %v", err)
			}
		}
	}
}

// keep hands the states to the store, which writes them with the next checkpoint. The caller holds mu.
func (g *governor) keep(mono time.Duration) {
	g.keptAt = mono
	if g.store == nil {
		return
	}
	err := errors.Join(g.store.Put(stateKind, powerState, g.state.Encode()), g.store.Put(stateKind, clockState, g.clock.Encode()))
	if err != nil {
		g.note("power", true, "the level is not kept: %v", err)
	}
}

func (g *governor) mono() time.Duration { return time.Since(g.began) }

func (g *governor) note(topic string, warn bool, format string, args ...any) {
	g.notes(lightclient.Note{Topic: topic, Text: fmt.Sprintf(format, args...), Warn: warn})
}

// run governs until ctx ends. Then the uplink is switched off, and what is worth keeping is with the store.
func (g *governor) run(ctx context.Context) {
	var steps sync.WaitGroup
	steps.Go(func() { g.steps(ctx, g.witness) }) // where there is none the tick notices
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		var asked []chan struct{}
		select {
		case <-ctx.Done():
			continue
		case <-g.moves:
			g.witness()
			continue
		case ask := <-g.asks:
			asked = append(asked, ask)
		case <-timer.C:
		}
		wait := g.step(ctx)
		timer.Reset(wait) // before the rest, whose time is not to move the next step
		if g.after != nil && ctx.Err() == nil {
			g.after(context.WithValue(ctx, asIs{}, true), wait)
		}
		for _, ask := range asked {
			close(ask)
		}
	}
	steps.Wait()
	g.mu.Lock()
	g.keep(g.mono())
	g.mu.Unlock()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), obeyWait)
	defer cancel()
	if g.uplink != nil {
		if err := g.uplink.Close(late, "off"); err != nil {
			g.note("power", true, "%v", err)
		}
	}
	if g.hook != nil {
		g.hook.Close(late, "")
	}
	g.meters.Close()
}

// moved tells of a new head, for lightclient.Config. It does not wait.
func (g *governor) moved(st *lightclient.Standing) {
	g.mu.Lock()
	if g.standing == nil || st.Head.Number > g.standing.Head.Number {
		g.standing, g.movedAt = st, g.mono()
	}
	g.mu.Unlock()
	select {
	case g.moves <- struct{}{}:
	default:
	}
}

// fact takes the time from a pulse that was proven, for gossip.Config.
func (g *governor) fact(_ gossip.Kind, x *bundle.Bundle) {
	for _, c := range x.Claims {
		if p, ok := c.(bundle.PulseClaim); ok && g.dated && p.Round > g.pulse.Load() {
			g.pulse.Store(p.Round)
		}
	}
}

// witness judges the clock by what is known now.
func (g *governor) witness() {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := clock.Input{Mono: g.mono(), Wall: g.now(), Floor: g.floor, Pulse: g.pulse.Load(), Every: g.orders.PullEvery, Kernel: g.synced()}
	if g.dated && g.standing != nil && g.standing.Head.Header != nil {
		if slot, err := aura.Slot(g.standing.Head.Header); err == nil {
			in.Head = time.UnixMilli(int64(slot) * g.slot.Milliseconds())
		}
	}
	before := g.verdict
	g.clock, g.verdict = clock.Step(g.clock, in)
	switch v := g.verdict; {
	case v.Stepped:
		g.note("clock", true, "the clock was set by %s: trust %s, %s", v.Step.Round(time.Millisecond), v.Trust, v.Why)
	case v.Trust != before.Trust && max(v.Trust, before.Trust) >= clock.Witnessed:
		g.note("clock", v.Trust < clock.Witnessed, "trust %s: %s", v.Trust, v.Why)
	}
}

// signing is a node of which nothing is signed for while its clock is not to be believed.
type signing struct {
	*lightclient.Node
	governor *governor
}

// MaySign implements wallet.Gate.
func (n signing) MaySign() error {
	err := n.Node.MaySign()
	if err == nil && n.governor != nil {
		err = n.governor.MaySign()
	}
	return err
}

// MaySign is the gate of whoever signs what says when it was made. The error says why not.
func (g *governor) MaySign() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.standing; st != nil && st.Evidence != nil {
		return errors.New("two conflicting finalities are known")
	}
	if !g.verdict.Sign {
		return fmt.Errorf("clock: trust %s: %s", g.clock.Trust, g.verdict.Why)
	}
	return nil
}

// step reads the meters and has the node follow. It returns when the next one is due.
func (g *governor) step(ctx context.Context) time.Duration {
	samples := g.meters.Poll(ctx, g.mono())
	if ctx.Err() != nil {
		return 0
	}
	g.witness()

	g.mu.Lock()
	in, out := g.node.Traffic()
	mono := g.mono()
	g.in = power.Input{Mono: mono, Wall: g.now(), Trusted: g.clock.Trust >= clock.Witnessed, Height: g.height(mono), Bytes: in + out,
		Samples: samples, LinkTook: g.linkTook(mono, in), Deadlines: g.deadlines(mono)}
	g.polled = mono
	g.state, g.actions = power.Step(&g.cfg, g.state, g.in)
	a := g.actions
	first := !g.stepped
	g.stepped, g.known = true, true
	orders := g.ordersOf(&a)
	if m := a.Metered; m != nil {
		orders.Limit = max(in+out+m.Left, 1)
	}
	changed := first || orders != g.orders
	g.orders = orders
	if first || a.Changed || a.Write == power.WriteLast || mono-g.keptAt >= keepEvery {
		g.keep(mono)
	}
	loud := talkLevel(&a)
	quieter := first || loud != g.loud
	g.loud = loud
	soc := a.Reading.SoC
	g.mu.Unlock()

	if a.Changed || first && a.Level < power.Full {
		g.note("power", false, "level %s: %s", a.Level, a.Why.Text)
	}
	if g.after == nil { // else that tells them with all others
		g.tellWarnings(a.Warnings)
	}
	if first || a.Changed {
		g.spread(a.Level)
	}
	if changed || quieter {
		g.tellNode(ctx, changed, orders, quieter, loud)
	}
	g.tellHooks(ctx, mono, &a, soc)

	wait := a.Poll
	if a.WakeIn != nil { // of the chain's own pace
		wait = min(wait, max(time.Duration(float64(*a.WakeIn)/float64(power.BlockTime)*float64(g.slot)), time.Second))
	}
	now := g.now()
	if wait == a.Poll { // with all else that keeps to whole multiples
		wait -= time.Duration(now.UnixNano()) % wait
	}
	return max(wait, 100*time.Millisecond)
}

// tellNode has the node and the gossip follow. It is not called for nothing: a timer that is stopped again still wakes the
// board when it would have ended.
func (g *governor) tellNode(ctx context.Context, changed bool, orders lightclient.Orders, quieter bool, loud gossip.Level) {
	obey, cancel := context.WithTimeout(ctx, obeyWait)
	defer cancel()
	if changed {
		if err := g.node.Obey(obey, orders); err != nil && ctx.Err() == nil {
			g.note("power", true, "the node does not follow: %v", err)
			g.forget()
		}
	}
	if n := g.talk(); n != nil && quieter {
		if err := n.SetLevel(obey, loud); err != nil && ctx.Err() == nil {
			g.note("power", true, "gossip does not follow: %v", err)
			g.forget()
		}
	}
}

// spread lets the node run on one processor below full. There is little to do then, and Go wakes a thread for each
// processor that could have a part in it, only to find that the others have done it.
func (g *governor) spread(level power.Level) {
	if g.procs == nil {
		return
	}
	n := g.most
	if level < power.Full {
		n = 1
	}
	if g.procs(0) != n {
		g.procs(n)
	}
}

// tellWarnings notes what is new of what is not as it should be.
func (g *governor) tellWarnings(list []power.Warning) {
	now := map[string]bool{}
	for _, w := range list {
		if now[w.Code] = true; !g.warned[w.Code] {
			g.note("power", true, "%s: %s; %s", w.Code, w.Title, w.Remedy)
		}
	}
	g.warned = now // of the loop alone
}

// forget has the next step give its orders again.
func (g *governor) forget() {
	g.mu.Lock()
	g.stepped = false
	g.mu.Unlock()
}

// tellHooks tells the hooks, which never wait.
func (g *governor) tellHooks(ctx context.Context, mono time.Duration, a *power.Actions, soc *float64) {
	env := []string{"TAOLIGHT_LEVEL=" + a.Level.String()}
	if soc != nil {
		env = append(env, fmt.Sprintf("TAOLIGHT_SOC=%.0f", *soc))
	}
	if g.hook != nil {
		g.hook.Tick(ctx, mono, a.Level.String(), env...)
	}
	if g.uplink == nil {
		return
	}
	state := "off"
	if a.Uplink {
		state = "on"
	}
	before := g.uplink.Result().State
	if g.uplink.Tick(ctx, mono, state, env...) && state == "off" {
		before = "off"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if state == "on" && before != "on" && g.onSince == 0 {
		in, _ := g.node.Traffic()
		g.onSince, g.onBytes = max(mono, 1), in
	} else if state == "off" {
		g.onSince = 0
	}
}

// linkTook is how long a link that was switched on took until something came over it, once. The caller holds mu.
func (g *governor) linkTook(mono time.Duration, in uint64) time.Duration {
	if g.onSince == 0 || in <= g.onBytes {
		return 0
	}
	took := mono - g.onSince
	g.onSince = 0
	return took
}

// height is the chain's height as far as it can be told: it goes on while nobody is asked. The caller holds mu.
func (g *governor) height(mono time.Duration) uint32 {
	if g.standing == nil || g.standing.Head.Header == nil || g.slot <= 0 {
		return 0
	}
	return g.standing.Head.Number + uint32(min((mono-g.movedAt)/g.slot, 1<<30))
}

// ordersOf says in the words of the light client what a step has decided. The caller holds mu.
func (g *governor) ordersOf(a *power.Actions) lightclient.Orders {
	p := a.Plan
	if a.Link && !p.Connected { // for a deadline
		p = power.PlanOf(power.Survive)
	}
	o := lightclient.Orders{Finality: lightclient.Finality(p.Finality), Peers: g.full.Peers, Closed: !a.Link, Serve: p.Serve, ServeMost: p.PeersIn,
		ServeBytes: p.ServeBytes, Write: string(a.Write), FlushEvery: uint32(p.FlushEvery), PullEvery: time.Duration(p.SyncEvery) * g.slot}
	if p.PeersOut < power.PlanOf(power.Full).PeersOut {
		o.Peers = min(o.Peers, p.PeersOut)
	}
	if g.full.Finality == lightclient.Pull && o.Finality == lightclient.Follow {
		o.Finality = lightclient.Pull
	}
	return o
}

// talkLevel is the level of the gossip: what the network's plan is like.
func talkLevel(a *power.Actions) gossip.Level {
	switch p := &a.Plan; {
	case !a.Link:
		return gossip.Park
	case p.Windowed || !p.Connected:
		return gossip.Survive
	case p.LANFirst:
		return gossip.Eco
	}
	return gossip.Full
}

// report is what the last step came to; nil before the first. The caller holds mu.
func (g *governor) report() *power.Report {
	if !g.known {
		return nil
	}
	return g.actions.Report(&g.cfg, &g.state, &g.in)
}

// asIs marks the context of a question that comes from the loop itself: it is answered by what is known.
type asIs struct{}

// fresh has the meters read again if that was a while ago, and waits for it a little.
func (g *governor) fresh(ctx context.Context) {
	if ctx.Value(asIs{}) != nil {
		return
	}
	g.mu.Lock()
	old := !g.stepped || g.mono()-g.polled >= askAfter
	g.mu.Unlock()
	if !old {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	ask := make(chan struct{})
	select {
	case g.asks <- ask:
	case <-ctx.Done():
		return
	}
	select {
	case <-ask:
	case <-ctx.Done():
	}
}

// buildTime is when what the program was built from was committed, as far as it knows: no clock can be before.
func buildTime() (t time.Time) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				t, _ = time.Parse(time.RFC3339, s.Value)
			}
		}
	}
	return t
}
