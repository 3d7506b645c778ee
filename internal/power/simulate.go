package power

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Options of a simulation.
type Options struct {
	StartSoC float64 // percent, of a battery that is computed
	// Cutoff is in how many blocks something has to be done on the chain, such as setting weights; half of it
	// wakes the link. 0: nothing.
	Cutoff uint32
}

// Cutoff5000 is Bittensor's activity cutoff by default: 13,889 thousandths of a tempo of 360 blocks.
const Cutoff5000 = 5000

// simStep is how often a simulated node reads its meters.
const simStep = 30 * time.Second

// chargeShare of the panel's power that ends in the battery when it charges.
const chargeShare = 0.95

// maxEvents and maxPoints bound what is kept of a simulation.
const (
	maxEvents = 5000
	maxPoints = 3000
)

// An Event is a change of level.
type Event struct {
	At    float64 `json:"at_seconds"`
	Time  string  `json:"time,omitempty"`
	Level Level   `json:"level"`
	Why   string  `json:"why"`
}

// A Point is a moment of the picture.
type Point struct {
	At    time.Duration
	SoC   *float64
	PV    *float64
	Level Level
}

// A Simulation is what a trace came to. Figures that end in est are estimates.
type Simulation struct {
	Days        float64            `json:"days"`
	Rows        int                `json:"rows"`
	Computed    bool               `json:"battery_computed"`
	Hours       map[string]float64 `json:"hours_by_level"`
	Changes     int                `json:"level_changes"`
	MostChanges int                `json:"most_level_changes_in_a_day"`
	SelfWh      float64            `json:"node_wh_est"`
	PVWh        *float64           `json:"pv_wh"`
	SpilledWh   *float64           `json:"spilled_wh"`  // the battery was full
	UnservedWh  *float64           `json:"unserved_wh"` // the battery was empty
	LeastSoC    *float64           `json:"soc_least"`   //
	LastSoC     *float64           `json:"soc_last"`    //
	Bytes       uint64             `json:"bytes_est"`   //
	MostBytes   uint64             `json:"most_bytes_in_a_day_est"`
	Windows     int                `json:"windows"`
	UplinkHours *float64           `json:"uplink_hours"` // null: not switched
	Deadlines   int                `json:"deadlines"`
	Met         int                `json:"deadlines_met"`
	Events      []Event            `json:"events"`
	Costs       []Cost             `json:"costs"`
	Points      []Point            `json:"-"`
}

// Simulate replays a trace through Step, by itself as fast as it goes. Where the trace has the sun and no
// charge, the battery is computed: c.CapacityWh, charged with 95 % of what the panel gives beyond the load,
// drained by the load and the node.
func Simulate(c *Config, t *Trace, o Options) (*Simulation, error) {
	sim := &simulator{c: c, o: o, result: &Simulation{Hours: map[string]float64{}, Computed: t.Solar(), Events: []Event{}}}
	if sim.result.Computed && c.CapacityWh <= 0 {
		return nil, fmt.Errorf("%w: the trace has no charge, so the battery's capacity in Wh is needed", ErrConfig)
	}
	sim.wh = min(max(o.StartSoC, 0), 100) / 100 * c.CapacityWh
	row, err := t.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it has no rows", ErrTrace)
	}
	sim.first = row.Wall
	for ; ; sim.result.Rows++ {
		next, err := t.Next()
		if errors.Is(err, io.EOF) {
			sim.result.Rows++
			return sim.end(), nil
		}
		if err != nil {
			return nil, err
		}
		sim.hold(row, next)
		row = next
	}
}

type simulator struct {
	c      *Config
	o      Options
	result *Simulation
	first  time.Time

	now      time.Duration
	state    State
	actions  Actions
	wh       float64
	pv       float64
	spilled  float64
	unserved float64
	least    *float64
	bytes    uint64
	byteRest float64
	window   uint32
	done     uint32 // height at which the duty was last done

	day            int
	dayChanges     int
	dayBefore      uint64
	nextPoint, gap time.Duration
}

// holdMost is how long a row speaks for the time after it.
const holdMost = time.Hour

// hold plays the time from one row to the next.
func (s *simulator) hold(row, next Row) {
	span := next.At - row.At
	for s.now < next.At {
		into := s.now - row.At
		sample := row.Sample
		pv, load := value(row.PVWatts), value(row.LoadWatts)
		if row.PVWatts != nil && next.PVWatts != nil { // the sun moves in between
			pv += (*next.PVWatts - pv) * float64(into) / float64(span)
			sample.PVWatts = &pv
		}
		sample.At, sample.Source = s.now, "trace"
		if s.result.Computed {
			draw := s.c.draw(s.actions.Level, s.actions.Uplink)
			if !s.state.Started {
				draw = 0
			}
			net := s.charge(pv, load+draw)
			soc := s.wh / s.c.CapacityWh * 100
			sample.SoC, sample.Watts = &soc, &net
		} else {
			s.pv += pv * simStep.Hours()
		}
		samples := []Sample{sample}
		if into > holdMost && !s.result.Computed {
			samples = nil
		}
		s.step(samples)
		s.now += simStep
	}
}

func value(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// charge moves the battery by a step and returns the power into it.
func (s *simulator) charge(pv, load float64) float64 {
	h := simStep.Hours()
	s.pv += pv * h
	net := pv - load
	if net > 0 {
		net *= chargeShare
	}
	s.wh += net * h
	if over := s.wh - s.c.CapacityWh; over > 0 {
		s.wh, s.spilled = s.c.CapacityWh, s.spilled+over
		net -= over / h
	}
	if s.wh < 0 {
		s.wh, s.unserved = 0, s.unserved-s.wh
	}
	return net
}

func (s *simulator) step(samples []Sample) {
	height := 1 + uint32(s.now/BlockTime)
	in := Input{Mono: s.now, Height: height, Bytes: s.bytes, Samples: samples}
	if !s.first.IsZero() {
		in.Wall, in.Trusted = s.first.Add(s.now), true
	}
	duty := Deadline{Name: "weights", Wake: s.done + s.o.Cutoff/2, Due: s.done + s.o.Cutoff, Wh: s.c.DeadlineWh()}
	if s.o.Cutoff > 0 {
		in.Deadlines = []Deadline{duty}
	}
	from := s.state.Level
	started := s.state.Started
	s.state, s.actions = Step(s.c, s.state, in)
	a := &s.actions

	if day := int(s.now / dayLong); day != s.day {
		s.endDay()
		s.day = day
	}
	if !started || a.Level != from {
		if started {
			s.result.Changes++
			s.dayChanges++
		}
		if len(s.result.Events) < maxEvents {
			e := Event{At: s.now.Seconds(), Level: a.Level, Why: a.Why.Text}
			if in.Trusted {
				e.Time = in.Wall.UTC().Format(time.RFC3339)
			}
			s.result.Events = append(s.result.Events, e)
		}
	}
	s.traffic(a, height)
	s.duty(a, height, duty)
	if soc := a.Reading.SoC; soc != nil && (s.least == nil || *soc < *s.least) {
		s.least = soc
	}
	s.result.LastSoC = a.Reading.SoC
	s.point(a)
}

// traffic adds what the level moves by estimate: all the time, or once a window.
func (s *simulator) traffic(a *Actions, height uint32) {
	network := a.Level
	if a.Metered != nil {
		network = min(network, a.Metered.Level)
	}
	switch {
	case a.Window:
		if n := height / max(s.c.window().Every, 1); n+1 != s.window {
			s.window = n + 1
			s.result.Windows++
			s.bytes += windowBytes
		}
	case a.Link && !a.Plan.Windowed:
		s.byteRest += float64(s.c.bytes(network)) * simStep.Hours() / 24
		whole := uint64(s.byteRest)
		s.bytes, s.byteRest = s.bytes+whole, s.byteRest-float64(whole)
	}
}

// duty does what is due as soon as the link is there: after a tempo where it always is, after half of the
// time elsewhere.
func (s *simulator) duty(a *Actions, height uint32, d Deadline) {
	if s.o.Cutoff == 0 {
		return
	}
	const tempo = 360
	switch {
	case height > d.Due:
		s.result.Deadlines++
		s.done = d.Due
	case a.Link && (height >= d.Wake || a.Level >= Eco && height >= s.done+tempo || a.Window && height >= s.done+tempo):
		s.result.Deadlines++
		s.result.Met++
		s.done = height
	}
}

func (s *simulator) endDay() {
	s.result.MostChanges = max(s.result.MostChanges, s.dayChanges)
	s.result.MostBytes = max(s.result.MostBytes, s.bytes-s.dayBefore)
	s.dayChanges, s.dayBefore = 0, s.bytes
}

// point keeps a moment of the picture, and thins out what is kept when it becomes too much.
func (s *simulator) point(a *Actions) {
	if s.now < s.nextPoint {
		return
	}
	s.gap = max(s.gap, 5*time.Minute)
	s.result.Points = append(s.result.Points, Point{s.now, a.Reading.SoC, a.Reading.PVWatts, a.Level})
	if len(s.result.Points) >= maxPoints {
		for i := range maxPoints / 2 {
			s.result.Points[i] = s.result.Points[2*i]
		}
		s.result.Points = s.result.Points[:maxPoints/2]
		s.gap *= 2
	}
	s.nextPoint = s.now + s.gap
}

func (s *simulator) end() *Simulation {
	s.endDay()
	r := s.result
	r.Days = s.now.Hours() / 24
	for l, sec := range s.state.LevelSeconds {
		r.Hours[Level(l).String()] = sec / 3600
		r.SelfWh += sec / 3600 * s.c.draw(Level(l), false)
	}
	// The link's part, which draw has only while it is powered.
	r.SelfWh += s.state.UplinkSeconds / 3600 * (s.c.draw(Survive, true) - s.c.draw(Survive, false))
	r.Bytes, r.LeastSoC = s.bytes, s.least
	if s.pv > 0 {
		r.PVWh = &s.pv
	}
	if r.Computed {
		r.SpilledWh, r.UnservedWh = &s.spilled, &s.unserved
	}
	if s.c.Uplink.Switched {
		h := s.state.UplinkSeconds / 3600
		r.UplinkHours = &h
	}
	for l := Full; ; l-- {
		r.Costs = append(r.Costs, s.c.Cost(l))
		if l == Park {
			return r
		}
	}
}
