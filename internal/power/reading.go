package power

import (
	"fmt"
	"time"
)

// Reading is what Step made of the samples.
type Reading struct {
	Source     string        // empty: no battery is seen
	Age        time.Duration // of its sample
	SoC        *float64      // percent, measured
	SoCByVolts *float64      // percent, by the voltage at rest, where none is measured
	Net        *float64      // W into the battery
	PVWatts    *float64
	Confidence Confidence
	Chemistry  Chemistry
	External   *bool
	Fresh      bool
	Battery    bool
	Critical   bool
	UnderVolts bool

	sags      bool     // somebody watches the board's supply
	amps      float64  // into a battery of which only the voltage is known
	sign      int      // of the power, where only that is known
	cell      float64  // V, as it is
	yesterday *float64 // Wh of the panel
}

// read picks of the samples the one that counts. Among those with a charge it is the lowest of the most
// believed: whatever meter is wrong, the battery is not emptied for it, and a reading that gets worse
// never makes for a higher level.
func (s *State) read(c *Config, in Input, a *Actions) (r Reading, isNew bool) {
	r.Chemistry = c.Chemistry
	var best, volts *Sample
	newest, known := time.Duration(0), false
	var least, most float64
	for i := range in.Samples {
		sample, lie := in.Samples[i].Sane()
		if lie != "" {
			s.Seen = true // a meter that lies is one
			a.Warnings = append(a.Warnings, Warning{"meter_lies", "warn", fmt.Sprintf("%s reports %s, which cannot be", sample.Source, lie), "it is left out; look at the meter and its wiring"})
		}
		age := max(in.Mono-sample.At, 0)
		if !sample.blind() && (!known || age < newest) {
			newest, known = age, true
		}
		if age > StaleAfter {
			continue
		}
		if r.Chemistry == "" || r.Chemistry == Auto {
			if presets[sample.Chemistry] != nil {
				r.Chemistry = sample.Chemistry
			}
		}
		if sample.UnderVoltage != nil {
			r.sags = true
			r.UnderVolts = r.UnderVolts || *sample.UnderVoltage
		}
		if sample.blind() {
			continue
		}
		r.Fresh = true
		if sample.Critical != nil && *sample.Critical {
			r.Critical = true
		}
		if sample.External != nil && (r.External == nil || *sample.External) {
			r.External = sample.External
		}
		if sample.SoC != nil || sample.Volts != nil || sample.Critical != nil {
			r.Battery = true
		}
		if r.PVWatts == nil {
			r.PVWatts = sample.PVWatts
		}
		if r.yesterday == nil {
			r.yesterday = sample.YieldYesterday
		}
		if sample.SoC != nil {
			if best == nil {
				least, most = *sample.SoC, *sample.SoC
			}
			least, most = min(least, *sample.SoC), max(most, *sample.SoC)
			if best == nil || rank(&sample) > rank(best) || rank(&sample) == rank(best) && *sample.SoC < *best.SoC {
				best = &sample
			}
		}
		if sample.Volts != nil && volts == nil {
			volts = &sample
		}
	}
	if r.Chemistry == "" || r.Chemistry == Auto {
		r.Chemistry = LiFePO4
	}
	r.Age = newest
	if best != nil {
		r.Source, r.SoC, r.Confidence = best.Source, best.SoC, High
		if rank(best) == 0 {
			r.Confidence = Low
		}
		if most-least > apart {
			a.Warnings = append(a.Warnings, Warning{"meters_disagree", "warn", fmt.Sprintf("two meters disagree: the battery is at %.0f or at %.0f percent", least, most), "the most believed counts, of equals the lower; take the wrong one out of power.sources"})
		}
	}
	s.net(in, best, &r)
	if best == nil && volts != nil {
		r.Source, r.Confidence = volts.Source, Low
		s.byVolts(c, volts, &r)
	}
	if r.Source == "" && r.Fresh {
		for _, sample := range in.Samples {
			if !sample.blind() {
				r.Source = sample.Source
				break
			}
		}
	}
	s.Seen = (s.Seen || r.Battery) && !c.NoMeters
	// A sample is new when something newer than the last one seen has come.
	isNew = known && (!s.heard || in.Mono-newest > s.lastAt)
	if known {
		s.lastAt, s.heard = in.Mono-newest, true
	}
	return r, isNew
}

func rank(s *Sample) int {
	if s.Confidence == Low {
		return 0
	}
	return 1
}

// net finds the power into the battery: of the sample whose charge counts, else of the first that knows.
// Where only a direction is known, that is kept.
func (s *State) net(in Input, best *Sample, r *Reading) {
	try := func(x *Sample) bool {
		if x == nil || in.Mono-x.At > StaleAfter {
			return false
		}
		sane, _ := x.Sane()
		if w, ok := sane.Net(); ok {
			r.Net = &w
			return true
		}
		return false
	}
	if try(best) {
		return
	}
	for i := range in.Samples {
		if try(&in.Samples[i]) {
			return
		}
	}
	for i := range in.Samples {
		if x := &in.Samples[i]; x.Charging != nil && in.Mono-x.At <= StaleAfter {
			r.sign = -1
			if *x.Charging {
				r.sign = 1
			}
			return
		}
	}
}

// byVolts derives a charge from a voltage.
func (s *State) byVolts(c *Config, x *Sample, r *Reading) {
	p := presets[r.Chemistry]
	cells := c.Cells
	if cells == 0 {
		// Found out once: a battery that falls must not become a smaller one that is full.
		if s.Cells == 0 {
			s.Cells = uint16(p.count(*x.Volts))
		}
		cells = int(s.Cells)
	}
	if cells == 0 {
		return
	}
	amps := 0.0
	switch {
	case x.Amps != nil:
		amps = *x.Amps
	case x.Watts != nil:
		amps = *x.Watts / *x.Volts
	}
	r.amps, r.cell = amps, *x.Volts/float64(cells)
	rest := p.soc(r.cell - amps*p.ohms)
	r.SoCByVolts = &rest
}

// draining and gaining tell the direction of charge; both are false where it is not known.
func (r *Reading) draining() bool {
	return r.Net != nil && *r.Net < -drainWatts || r.Net == nil && r.sign < 0
}
func (r *Reading) gaining() bool {
	return r.Net != nil && *r.Net > drainWatts || r.Net == nil && r.sign > 0
}

// unsigned reports whether no meter tells the direction.
func (r *Reading) unsigned() bool { return r.Net == nil && r.sign == 0 }

// supplied reports whether power comes from outside and is enough: an adapter that is too weak still
// drains.
func (r *Reading) supplied() bool {
	return r.External != nil && *r.External && !r.draining()
}

// charge is what levels are measured by, and whether it decides more than park.
func (r *Reading) charge() (v float64, known, all bool) {
	switch {
	case r.SoC != nil:
		return *r.SoC, true, true
	case r.SoCByVolts != nil:
		return *r.SoCByVolts, true, !presets[r.Chemistry].parkOnly
	}
	return 0, false, false
}
