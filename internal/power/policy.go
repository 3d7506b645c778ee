package power

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// How long things must hold. They are of the study of what others do: Victron's BatteryProtect,
// Meshtastic's count of readings, and rest for what would flap.
const (
	StaleAfter  = 2 * time.Minute  // an older sample is none
	SilentAfter = 15 * time.Minute // without samples for so long, eco is the most

	fallAfter   = 60 * time.Second
	parkAfter   = 30 * time.Second
	fallSamples = 3
	RiseAfter   = 10 * time.Minute // above the limit, and since the last change
	calmAfter   = 60 * time.Second // without under-voltage before anything but the last checkpoint is written
	sagsWithin  = 10 * time.Minute // a second under-voltage in this time parks

	maxChanges = 6    // of level in a day before the thresholds are called too tight
	apart      = 15.  // percent between two meters of which one must be wrong
	drainWatts = 0.05 // more than this out of a battery drains it, more than this into it charges it
	lifted     = 1.   // ampere of charging, from which on a voltage does not raise the level
)

// Deadline is something on the chain that must be done in time, by heights.
type Deadline struct {
	Name string  `json:"name"`
	Wake uint32  `json:"wake_block"` // from here on the link is opened for it: half of an activity cutoff
	Due  uint32  `json:"due_block"`  // after this it is missed
	Wh   float64 `json:"wh"`         // what it takes
}

// Input is what Step is told. Counters only grow; a smaller value than before is a new process.
type Input struct {
	Mono    time.Duration // monotonic time since some moment of this process
	Wall    time.Time     // the machine's clock
	Trusted bool          // Wall may be believed: its trust is witnessed or better
	Height  uint32        // the chain's height now, as far as it can be told; 0: unknown
	Bytes   uint64        // moved in both directions since the start of the process

	Samples   []Sample   // the newest of each source, in the order of the settings
	Deadlines []Deadline // those that are not done

	LinkTook time.Duration // in the step after the link came up, how long that took; else 0
}

// WriteMode is what may be written to the store.
type WriteMode string

// The write modes.
const (
	WriteFree WriteMode = "free"
	WriteLast WriteMode = "last" // one checkpoint now, then nothing; told in one step only
	WriteNone WriteMode = "none"
)

// A Why names a reason in a word and says it in a sentence.
type Why struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// A Next is a change that may come.
type Next struct {
	Level Level  `json:"level"`
	When  string `json:"when"`
	// In is an estimate of the time until then at the present power, in seconds; nil: it cannot be told.
	In *float64 `json:"in_seconds_est"`
}

// A Warning is something that is not as it should be, and what to do about it.
type Warning struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // "warn" or "error"
	Title    string `json:"title"`
	Remedy   string `json:"remedy"`
}

// Actions are the orders that follow from a step.
type Actions struct {
	Level   Level
	From    Level // the level before this step
	Changed bool
	Why     Why    // of the level
	Next    []Next // what may come, the nearest first
	Reading Reading

	Plan    Plan
	Metered *Metered // nil: no limit is set

	Write  WriteMode
	Link   bool // connections may be open now
	Uplink bool // the link should be powered: before Link by the time it takes to come up
	Window bool // a common window is open
	// LinkWhy says for what the link is open in survive or park: "window", a deadline's name, or nothing.
	LinkWhy string
	// WakeIn is how long until the next window or deadline opens the link; nil: it is open, or it never opens.
	WakeIn   *time.Duration
	Poll     time.Duration // until the meters should be read again
	Warnings []Warning
}

// Metered is what a limit on traffic leaves.
type Metered struct {
	Used  uint64 `json:"used_bytes"`
	Limit uint64 `json:"limit_bytes"`
	Left  uint64 `json:"left_bytes"`
	Level Level  `json:"level"` // the cadence that the rest of the day bears; park: the link is closed
}

// Step takes the state and what is known now, and returns the next state and what to do. It depends on
// nothing else. Every part of the node does what Actions say until the next step, which is due within
// Actions.Poll.
func Step(c *Config, s State, in Input) (State, Actions) {
	dt := time.Duration(0)
	if s.ticking && in.Mono > s.mono {
		dt = min(in.Mono-s.mono, 366*24*time.Hour)
	}
	first := !s.ticking
	s.mono, s.ticking = in.Mono, true
	a := Actions{From: s.Level, Write: WriteFree}
	s.newDay(c, in, dt)
	s.count(c, in, dt)

	r, isNew := s.read(c, in, &a)
	s.pass(r, dt)
	a.Reading = r
	if first && r.UnderVolts {
		s.saved = true // a process that has just started knows nothing that the disk does not hold
	}
	s.measure(r, dt)
	second := s.supply(r, dt)
	limit := c.limits(r.Chemistry, s.floor(c, r.Chemistry))
	v := s.allowed(c, r, limit, in)
	if !s.Started {
		s.start(c, r, v)
		a.From = s.Level
	}
	if c.FloorLearning && r.SoC != nil && r.Fresh && r.Confidence != Low {
		s.learn(c, r, dt, isNew)
	}
	s.move(c, r, limit, &v, second, dt, isNew)

	a.Level, a.Changed = s.Level, s.Level != a.From
	if a.Changed {
		s.Changes++
	}
	a.Why = v.why
	a.Next = s.next(c, r, limit)
	s.obey(c, in, r, dt, &a)
	s.warn(c, r, in, &a)
	return s, a
}

// A verdict is what a reading bears: the highest level to stay at, and to go up to, which wants a margin.
type verdict struct {
	down, up Level
	now      bool // down needs no further evidence
	why      Why  // of down
}

// cap lowers a verdict.
func (v *verdict) cap(to Level, code, text string) {
	if to < v.down {
		v.down, v.why = to, Why{code, text}
	}
	v.up = min(v.up, to)
}

func (s *State) allowed(c *Config, r Reading, l limits, in Input) verdict {
	charge, known, all := r.charge()
	switch {
	case !r.Fresh && s.battery(c):
		text := fmt.Sprintf("no meter has answered for %s", round(s.silent))
		if s.silent > SilentAfter {
			return verdict{Eco, Park, true, Why{"silent", text}}
		}
		return verdict{Full, Park, false, Why{"stale", text + "; the level is held"}}
	case !s.battery(c):
		if c.Assume < Full {
			return verdict{c.Assume, c.Assume, false, Why{"assumed", "no battery is seen; the settings ask for " + c.Assume.String()}}
		}
		return verdict{Full, Full, false, Why{"mains", "no battery is seen: taken for mains"}}
	case r.supplied():
		return verdict{Full, Full, false, Why{"external", "power comes from outside, and the battery is not drained"}}
	case !known:
		return verdict{Full, s.Level, false, Why{"unknown_charge", "the charge is not known; the level is held"}}
	}
	bears := func(charge float64) Level {
		at := Full
		for at > Park && charge < l.below[at] {
			at--
		}
		if !all && at > Park {
			return Full
		}
		return at
	}
	v := verdict{down: bears(charge), up: bears(charge - l.gap), why: Why{"charge", fmt.Sprintf("the battery is at %.0f %%", charge)}}
	if r.SoC == nil {
		v.why = Why{"voltage", fmt.Sprintf("by its voltage at rest the battery is at about %.0f %%", charge)}
	}
	if v.down < Full {
		v.why.Text += fmt.Sprintf(", below %.0f %%", l.below[v.down+1])
	}
	if !all {
		v.why.Text += "; for this chemistry a voltage only tells whether to park"
	}
	// A charger lifts the voltage by more than a resistance explains.
	if !all || r.SoC == nil && r.amps >= lifted {
		v.up = min(v.up, s.Level)
	}
	to, text := s.night(c, r, in)
	v.cap(to, "night", text)
	to, text = s.yield(c, r)
	v.cap(to, "yield", text)
	return v
}

// start picks the first level, without the debounce but never park.
func (s *State) start(c *Config, r Reading, v verdict) {
	s.Started = true
	s.Level = max(v.down, Survive)
	if _, _, all := r.charge(); r.Battery && !all && !r.supplied() || !r.Fresh && s.battery(c) {
		// Nothing has been measured by which it could fall in time.
		s.Level = min(s.Level, max(min(Eco, c.Assume), Survive))
	}
}

// move applies the debounce: down by as many levels as have been below their limit for long enough, up by
// one after RiseAfter.
func (s *State) move(c *Config, r Reading, l limits, v *verdict, second bool, dt time.Duration, isNew bool) {
	to := s.Level
	for at := Full; at > Park; at-- {
		h := &s.below[at]
		if v.down >= at {
			*h = held{}
			continue
		}
		h.add(min(dt, StaleAfter), isNew)
		after := fallAfter
		if at == Survive {
			after = parkAfter
		}
		if (h.time >= after && h.samples >= fallSamples || v.now) && at <= to {
			to = at - 1
		}
	}
	switch {
	case r.Critical:
		to = Park
		v.why = Why{"critical", "the power supply says that the battery ends now"}
	case second:
		to = Park
		v.why = Why{"under_voltage", "the board's supply was too low twice in ten minutes"}
	case s.Level > v.down && to == s.Level:
		v.why.Text += fmt.Sprintf("; %s follows if that lasts", v.down)
	}
	if to < s.Level {
		s.Level, s.rise, s.lowest = to, held{}, noneYet
		return
	}

	charge, known, _ := r.charge()
	can := (r.Fresh || !s.battery(c)) && v.up > s.Level && !r.UnderVolts && !r.draining() && !(r.unsigned() && s.trend < 0)
	if s.Level == Park {
		if known && r.Fresh {
			s.lowest = min(s.lowest, charge)
		}
		can = s.mayLeave(c, r, l)
		if !can && to == s.Level && v.down > Park {
			v.why.Text += "; park is left " + s.leaving(l, r)
		}
	}
	if !can {
		s.rise = held{}
		return
	}
	s.rise.add(min(dt, StaleAfter), isNew) // what was not watched does not count
	if s.rise.time < RiseAfter {
		v.why.Text += fmt.Sprintf("; %s follows in %s", s.Level+1, round(RiseAfter-s.rise.time))
		return
	}
	s.Level++
	s.rise = held{} // so that every change is followed by RiseAfter at the least
}

// battery reports whether there is or should be one.
func (s *State) battery(c *Config) bool { return s.Seen || c.Explicit }

// mayLeave reports whether there is evidence now that what park was for is over.
func (s *State) mayLeave(c *Config, r Reading, l limits) bool {
	charge, known, _ := r.charge()
	switch {
	case r.Critical || r.UnderVolts:
		return false
	case !s.battery(c): // parked for the board's supply, which has been quiet since
		return true
	case !r.Fresh:
		return false
	case !known: // a UPS that tells no charge
		return r.supplied()
	}
	enough := charge >= l.leave
	if r.SoC == nil {
		enough = r.cell >= presets[r.Chemistry].leaveVolts
	}
	// Where no meter tells a direction it shows in the charge. A battery that is full, on power from
	// outside, has nothing to gain.
	gains := r.gaining() || r.unsigned() && charge >= s.lowest+2 || r.supplied()
	return enough && gains
}

func (s *State) leaving(l limits, r Reading) string {
	if r.SoC == nil && r.SoCByVolts != nil {
		return fmt.Sprintf("from %.2f V a cell on, charging for %s", presets[r.Chemistry].leaveVolts, round(RiseAfter))
	}
	return fmt.Sprintf("at %.0f %% and charging for %s", l.leave, round(RiseAfter))
}

// next lists what may come from here.
func (s *State) next(c *Config, r Reading, l limits) []Next {
	charge, known, all := r.charge()
	if !r.Battery || !known {
		return nil
	}
	hours := func(to float64) *float64 {
		if c.CapacityWh <= 0 || r.Net == nil || r.SoC == nil {
			return nil
		}
		sec := (to - charge) / 100 * c.CapacityWh / *r.Net * 3600
		if sec < 0 || math.IsNaN(sec) || sec > 366*24*3600 {
			return nil
		}
		return &sec
	}
	var list []Next
	if s.Level > Park && !r.supplied() {
		if all {
			at := l.below[s.Level]
			list = append(list, Next{s.Level - 1, fmt.Sprintf("below %.0f %% for a minute", at), hours(at)})
		} else {
			list = append(list, Next{Park, fmt.Sprintf("below %.0f %% by voltage for half a minute", l.below[Survive]), nil})
		}
	}
	switch {
	case s.Level == Park:
		list = append(list, Next{Survive, s.leaving(l, r), hours(l.leave)})
	case s.Level < Full && r.supplied():
		left := max(RiseAfter-s.rise.time, 0).Seconds()
		list = append(list, Next{s.Level + 1, "after ten minutes of power from outside", &left})
	case s.Level < Full && all:
		at := l.below[s.Level+1] + l.gap
		list = append(list, Next{s.Level + 1, fmt.Sprintf("from %.0f %% on for ten minutes, not drained", at), hours(at)})
	}
	slices.SortStableFunc(list, func(a, b Next) int {
		switch {
		case a.In != nil && b.In == nil:
			return -1
		case a.In == nil && b.In != nil:
			return 1
		}
		return 0
	})
	return list
}

func round(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}
