package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taolight/taolight/internal/alert"
	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/health"
	"github.com/taolight/taolight/internal/metrics"
	"github.com/taolight/taolight/internal/page"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/internal/power/rig"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// A vigil looks after the health of an instance: on the governor's tick, and whenever a status is asked for, it has
// package health judge what is known. What begins or ends becomes a line of the log, and wakes whom the owner wants
// woken. It has no timer of its own.
type vigil struct {
	s       *instance
	notes   func(lightclient.Note)
	began   time.Time
	on      []string
	outlets []*outlet
	sending sync.WaitGroup

	mu           sync.Mutex // guards all below
	watch        health.Watch
	rpc, control string // why they are closed
	spec         uint32
	specAsked    time.Duration
	neurons      []*control.Neuron
	neuronsAsked time.Duration
	curve        []curvePoint
	leftAsked    time.Duration
	memory, disk *uint64 // left then
}

// An outlet is one way to the owner.
type outlet struct {
	name  string
	send  func(ctx context.Context, m alert.Message) error
	queue alert.Queue // guarded by the vigil's mu
}

// A curvePoint is what the meters said at a time.
type curvePoint struct {
	at    time.Duration
	level power.Level
	soc   *float64
	pv    *float64
}

// How often what costs something is looked at.
const (
	curveEvery  = 10 * time.Minute
	curveMost   = 145              // points: a day
	specEvery   = 6 * time.Hour    // 3 kB from a peer
	neuronEvery = 5 * time.Minute  // another process is asked
	leftEvery   = time.Minute      // the kernel is
	tickWait    = 2 * time.Second  // for the node's own answer
	execTime    = 10 * time.Second // of a command
)

func newVigil(s *instance, notes func(lightclient.Note)) *vigil {
	v := &vigil{s: s, notes: notes, began: time.Now(), on: alertTopics(s.cfg)}
	if v.notes == nil {
		v.notes = func(lightclient.Note) {}
	}
	for _, o := range outletsOf(&s.cfg.Alerts) {
		o.queue.Every = time.Duration(s.cfg.Alerts.Every) * time.Minute
		v.outlets = append(v.outlets, o)
	}
	return v
}

func alertTopics(cfg *config.Config) []string {
	if len(cfg.Alerts.On) > 0 {
		return cfg.Alerts.On
	}
	return config.AlertTopics
}

// outletsOf returns the ways to the owner that the settings name.
func outletsOf(cfg *config.Alerts) (list []*outlet) {
	if argv := strings.Fields(cfg.Exec); len(argv) > 0 {
		list = append(list, &outlet{name: "command", send: func(ctx context.Context, m alert.Message) error {
			return rig.Run(ctx, argv, []string{"TAOLIGHT_ALERT=" + m.Code, "TAOLIGHT_SEVERITY=" + m.Severity, "TAOLIGHT_TITLE=" + m.Title,
				"TAOLIGHT_REMEDY=" + m.Remedy, fmt.Sprintf("TAOLIGHT_OVER=%v", m.Over), "TAOLIGHT_TEXT=" + m.Text}, execTime)
		}})
	}
	if cfg.Webhook != "" {
		list = append(list, &outlet{name: "webhook", send: func(ctx context.Context, m alert.Message) error { return alert.Post(ctx, cfg.Webhook, m) }})
	}
	return list
}

// message is what the owner is told of a change.
func message(p *place, c health.Change, now time.Time) alert.Message {
	host, _ := os.Hostname()
	m := alert.Message{Schema: 1, Source: "taolight", Node: host, Demo: p.demo, Code: c.Code, Severity: c.Severity, Topic: c.Topic, Over: c.Over,
		Title: printable(c.Title), Remedy: printable(c.Remedy), Time: now.UTC().Truncate(time.Second)}
	if p.root != nil {
		m.Network = p.root.Network
	}
	return m
}

// closed tells why tools or other commands cannot ask.
func (v *vigil) closed(rpc, control string) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if rpc != "" {
		v.rpc = rpc
	}
	if control != "" {
		v.control = control
	}
}

func (v *vigil) mono() time.Duration { return time.Since(v.began) }

// tick is called by the governor behind each of its steps.
func (v *vigil) tick(ctx context.Context, within time.Duration) {
	// Not a shorter time: its end would wake the board, also long after the answer; this one falls on the next step.
	late, cancel := context.WithTimeout(ctx, max(within, tickWait))
	defer cancel()
	st, err := v.s.local.Status(late) // which has look look
	if err != nil {
		return
	}
	v.remember(st)
	v.ask(ctx, st)
	v.deliver(ctx)
}

// look judges a status, for control.Local.
func (v *vigil) look(st *control.Status) []lightclient.Warning {
	in := v.input(st)
	v.mu.Lock()
	in.RPC, in.Control, in.Spec = v.rpc, v.control, v.spec
	for i := range v.neurons {
		in.Duties = append(in.Duties, pressing(v.neurons[i], v.mono()-v.neuronsAsked)...)
		if _, val := neuronState(v.neurons[i]); val != nil {
			in.Lost += val.Lost
		}
	}
	for _, o := range v.outlets {
		if err := o.queue.Failing(); err != nil {
			in.Alerts = o.name + ": " + err.Error()
		}
	}
	shown, changes, alerts := v.watch.Look(in)
	for _, c := range alerts {
		if !slices.Contains(v.on, c.Topic) {
			continue
		}
		for _, o := range v.outlets {
			o.queue.Add(in.Mono, message(v.s.place, c, time.Now()))
		}
	}
	v.mu.Unlock()
	for _, c := range changes {
		n := lightclient.Note{Topic: "health", Text: c.Code + ": over"}
		if !c.Over {
			n.Text, n.Warn = printable(c.Code+": "+c.Title+"; "+c.Remedy), c.Severity != health.Note
		}
		v.notes(n)
	}
	list := make([]lightclient.Warning, len(shown))
	for i, w := range shown {
		list[i] = lightclient.Warning(w)
	}
	return list
}

// input says in the words of package health what is known.
func (v *vigil) input(st *control.Status) *health.Input {
	in := &health.Input{Mono: v.mono(), Demo: st.Demo, Linked: true, Peers: st.Peers.Open, Wanted: st.Peers.Wanted, Memory: st.Memory, Audited: rules.Ceiling,
		Rebuilt: rebuilt(v.s.recovery)}
	for _, w := range st.Health {
		in.Node = append(in.Node, health.Warning(w))
	}
	if g := st.Gossip; g != nil {
		in.Neighbours = &g.Neighbours
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		in.MemoryLimit = uint64(limit)
	}
	in.Available, in.DiskFree = v.left(in.Mono)
	if w := st.Watch; w != nil {
		in.Lost, in.WatchError = uint64(w.Lost), w.Error
	}
	m := st.Measures
	if m == nil {
		return in
	}
	in.ClockTrust, in.ClockSteps = m.ClockTrust, m.ClockStep
	if r := m.Report; r != nil {
		for _, w := range r.Warnings {
			in.Power = append(in.Power, health.Warning(w))
		}
		in.Level, in.LevelWhy, in.SoC, in.Linked = r.Level.String(), r.Why.Text, r.SoC, r.Link
		if r.Metered != nil {
			in.DataLeft, in.DataLimit = &r.Metered.Left, r.Metered.Limit
		}
	}
	g := v.s.governor
	for _, h := range []*rig.Hook{g.uplink, g.hook} {
		if h != nil {
			if err := h.Result().Err; err != nil {
				in.Hook = err.Error()
			}
		}
	}
	return in
}

// left returns what the machine has left of memory, and of the disk that the data are on; nil: not known.
func (v *vigil) left(now time.Duration) (memory, disk *uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.leftAsked == 0 || now-v.leftAsked >= leftEvery {
		v.leftAsked = max(now, 1)
		_, v.memory = rig.Memory(rig.Machine{})
		v.disk = nil
		if v.s.store != nil {
			if free, size := storage.Space(v.s.dir); size > 0 {
				v.disk = &free
			}
		}
	}
	return v.memory, v.disk
}

// rebuilt says what was done to a store that was damaged.
func rebuilt(r *storage.Recovery) string {
	if r == nil || len(r.Moved) == 0 && r.Dropped == 0 {
		return ""
	}
	return strings.Join(r.Lines(), "; ")
}

// remember keeps a point of the day's curve.
func (v *vigil) remember(st *control.Status) {
	if st.Measures == nil || st.Measures.Report == nil {
		return
	}
	r := st.Measures.Report
	soc := r.SoC
	if soc == nil {
		soc = r.ByVolts
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.mono()
	if n := len(v.curve); n > 0 && now-v.curve[n-1].at < curveEvery && v.curve[n-1].level == r.Level {
		return
	}
	v.curve = append(v.curve, curvePoint{now, r.Level, soc, r.PV})
	for len(v.curve) > curveMost || now-v.curve[0].at > 24*time.Hour+curveEvery {
		v.curve = v.curve[1:]
	}
}

// points returns the day's curve as the page wants it, with what is so now at its end.
func (v *vigil) points(r *power.Report) (list []page.Point) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.mono()
	for _, p := range v.curve {
		list = append(list, page.Point{Ago: now - p.at, Level: p.level, SoC: p.soc, PV: p.pv})
	}
	if r != nil {
		soc := r.SoC
		if soc == nil {
			soc = r.ByVolts
		}
		list = append(list, page.Point{Level: r.Level, SoC: soc, PV: r.PV})
	}
	return list
}

// ask finds out now and then what a status does not tell: the chain's spec_version, and how the neurons are.
func (v *vigil) ask(ctx context.Context, st *control.Status) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.mono()
	m := st.Measures
	awake := m != nil && m.Report != nil && m.Report.Link && m.Level >= power.Eco
	if awake && st.State == "following" && (v.specAsked == 0 || now-v.specAsked >= specEvery) {
		v.specAsked = max(now, 1)
		v.sending.Go(func() {
			late, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			var spec uint32
			_, err := v.s.node.WithHead(late, func(s subtensor.State) (err error) { spec, err = subtensor.Spec(s); return err })
			if err == nil {
				v.mu.Lock()
				v.spec = spec
				v.mu.Unlock()
			}
		})
	}
	if v.neuronsAsked == 0 || now-v.neuronsAsked >= neuronEvery {
		v.neuronsAsked = max(now, 1)
		v.sending.Go(func() { v.askNeurons(ctx) })
	}
}

// askNeurons asks the neurons beside the node how they are.
func (v *vigil) askNeurons(ctx context.Context) []*control.Neuron {
	list := neuronsBeside(ctx, v.s.dir)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.neurons, v.neuronsAsked = list, max(v.mono(), 1)
	return list
}

// neuronFigures are what the neurons last told, for Prometheus: nobody is asked for it.
func (v *vigil) neuronFigures() (list []metrics.Neuron) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ago := v.mono() - v.neuronsAsked
	for _, n := range v.neurons {
		f := metrics.Neuron{Role: n.Role, Netuid: n.Netuid, Registered: !deregistered(n)}
		if _, val := neuronState(n); val != nil {
			f.Missed = val.Missed
		}
		for _, d := range pressing(n, ago) {
			same := func(x metrics.Deadline) bool { return x.Name == d.Due }
			if d.In != nil && !slices.ContainsFunc(f.Deadlines, same) { // the nearest comes first
				f.Deadlines = append(f.Deadlines, metrics.Deadline{Name: d.Due, Seconds: d.In.Seconds()})
			}
		}
		list = append(list, f)
	}
	return list
}

// deliver sends what waits, one message at a time for each way.
func (v *vigil) deliver(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, o := range v.outlets {
		m, ok := o.queue.Next(v.mono())
		if !ok {
			continue
		}
		v.sending.Go(func() {
			err := o.send(ctx, m)
			if ctx.Err() != nil {
				err = errors.New("the node was stopped")
			}
			v.mu.Lock()
			o.queue.Done(v.mono(), err)
			v.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				v.notes(lightclient.Note{Topic: "alert", Text: fmt.Sprintf("%s by %s: %v", m.Code, o.name, err), Warn: true})
			} else if err == nil {
				v.notes(lightclient.Note{Topic: "alert", Text: fmt.Sprintf("%s sent by %s", m.Code, o.name)})
			}
		})
	}
}

// sent counts the alerts; nil if there is no way to send any.
func (v *vigil) sent() *alert.Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.outlets) == 0 {
		return nil
	}
	var all alert.Stats
	for _, o := range v.outlets {
		s := o.queue.Stats()
		all.Sent, all.Failed, all.Held = all.Sent+s.Sent, all.Failed+s.Failed, all.Held+s.Held
	}
	return &all
}
