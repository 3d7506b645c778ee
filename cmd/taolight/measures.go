package main

import (
	"context"
	"errors"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power/rig"
	"github.com/taolight/taolight/lightclient"
)

// attach joins the governor to the other parts of an instance, before these start.
func (g *governor) attach(s *instance, light *lightclient.Config) {
	moved := light.Moved
	light.Moved = func(st *lightclient.Standing) {
		if moved != nil {
			moved(st)
		}
		g.moved(st)
	}
	if s.talk != nil {
		g.talk = s.talk.node.Load
		s.talk.cfg.Fact = g.fact
	}
	if s.store != nil {
		g.store = s.store
		g.figure = func() (written, syncs, unclean uint64) {
			st := s.store.Stats()
			return st.BytesWritten, st.Syncs, st.UncleanStarts
		}
	}
	g.restore()
}

// Power implements control.Governed.
func (g *governor) Power(ctx context.Context) *control.Power {
	g.fresh(ctx)
	p := &control.Power{Schema: control.Schema, From: "node", Board: g.board, Costed: g.cfg.BoardName(), Sources: powerSources(g.meters), Hooks: []control.PowerHook{}}
	g.mu.Lock()
	p.Report, p.Missed = g.report(), g.missed()
	g.mu.Unlock()
	for _, h := range []struct {
		name string
		hook *rig.Hook
	}{{"uplink", g.uplink}, {"level", g.hook}} {
		if h.hook == nil {
			continue
		}
		r := h.hook.Result()
		ph := control.PowerHook{Name: h.name, State: r.State, Runs: r.Runs, Took: r.Took.Seconds()}
		if r.Err != nil {
			ph.Error = r.Err.Error()
		}
		p.Hooks = append(p.Hooks, ph)
	}
	return p
}

// Measures implements control.Governed.
func (g *governor) Measures(ctx context.Context) *control.Measures {
	g.fresh(ctx)
	m := &control.Measures{Bytes: map[string]map[string]uint64{}}
	in, out := g.node.Traffic()
	var gossipIn, gossipOut uint64
	if n := g.talk(); n != nil {
		t := n.Stats().Traffic
		gossipIn, gossipOut = min(t.InBytes, in), min(t.OutBytes, out)
	}
	// Gossip counts under the framing, libp2p over it: the rest is at least this.
	m.Bytes["in"] = map[string]uint64{"gossip": gossipIn, "other": in - gossipIn}
	m.Bytes["out"] = map[string]uint64{"gossip": gossipOut, "other": out - gossipOut}
	if g.figure != nil {
		written, syncs, unclean := g.figure()
		m.Written, m.Syncs, m.Unclean = &written, &syncs, &unclean
	}
	var self rig.Process
	if ctx.Value(asIs{}) == nil { // a dozen files, for figures that the loop has no use for
		self = rig.ThisProcess(rig.Machine{})
	}
	m.CPU = self.CPU
	g.mu.Lock()
	defer g.mu.Unlock()
	m.Report, m.Missed = g.report(), g.missed()
	m.ClockTrust, m.ClockWhy, m.ClockStep, m.MaySign = g.clock.Trust.String(), g.verdict.Why, g.clock.Steps, g.verdict.Sign
	now := g.mono()
	if n := self.Switches; n != nil {
		// Threads that have ended take their count along.
		if d := (now - g.askedAt).Seconds(); *n >= g.switches && d >= 1 {
			rate := float64(*n-g.switches) / d
			m.Wakeups = &rate
		}
		if now-g.askedAt >= 5*time.Second {
			g.switches, g.askedAt = *n, now
		}
	}
	return m
}

// powerSources tells what each source last said.
func powerSources(r *rig.Rig) []control.PowerSource {
	list := []control.PowerSource{}
	for _, st := range r.Status() {
		s := control.PowerSource{Name: st.Name, State: "read"}
		switch {
		case errors.Is(st.Err, rig.ErrAbsent):
			s.State = "absent"
		case st.Err != nil:
			s.State = "failed"
		}
		if st.Err != nil {
			s.Error = st.Err.Error()
		}
		if x := st.Sample; x != nil {
			s.Sample = &control.PowerSample{Source: x.Source, SoC: x.SoC, Volts: x.Volts, Amps: x.Amps, Watts: x.Watts, PV: x.PVWatts,
				Charging: x.Charging, External: x.External, Critical: x.Critical, Sag: x.UnderVoltage, Conf: x.Confidence}
		}
		list = append(list, s)
	}
	return list
}
