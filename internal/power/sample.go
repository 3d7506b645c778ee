package power

import (
	"fmt"
	"math"
	"time"
)

// A Chemistry is a kind of battery.
type Chemistry string

// The chemistries that have thresholds of their own.
const (
	Auto     Chemistry = "auto" // what a meter says, else LiFePO4
	LiFePO4  Chemistry = "lifepo4"
	LiIon    Chemistry = "li-ion" // and LiPo
	LeadAcid Chemistry = "lead-acid"
)

// Confidence is how far a state of charge can be believed.
type Confidence string

// The confidences, the worse first.
const (
	Low  Confidence = "low"  // derived from a voltage, by the meter or here
	High Confidence = "high" // counted
)

// A Sample is what one source said at one moment. What it did not measure is nil.
type Sample struct {
	Source string        // which, like "sysfs:BAT0"
	At     time.Duration // when, on the scale of Input.Mono

	SoC     *float64 // state of charge, percent
	Volts   *float64 // of the battery
	Amps    *float64 // net into the battery: below 0 it is drained
	Watts   *float64 // net into the battery
	PVWatts *float64 // from the panel

	YieldToday, YieldYesterday *float64 // of the panel, Wh

	Charging     *bool // true: gains, false: is drained; nil where the source does not say or neither
	External     *bool // there is power from outside: mains, USB, the input of a UPS
	Critical     *bool // the source itself says that the battery ends now (NUT: OB and LB, or FSD)
	UnderVoltage *bool // the board's own supply is too low now

	Chemistry  Chemistry  // empty: unknown
	Confidence Confidence // of SoC; empty counts as High
}

// Bounds of what is taken for a measurement: outside of them a meter is taken to lie. They are wide,
// because what is within them is still judged by Step.
const (
	maxSoC   = 110 // a MAX1704x reports up to 110; above 100 it means full
	maxVolts = 1000
	maxAmps  = 10_000
	maxWatts = 1e6
	maxYield = 1e7
)

// Sane returns the sample without what cannot be a measurement: what is not a number, a charge below 0
// or above 110 percent, a voltage that no battery has. A charge above 100 is 100. It also says what it
// left out, or nothing.
func (s Sample) Sane() (Sample, string) {
	var lies string
	check := func(p **float64, name string, least, most float64) {
		if *p == nil {
			return
		}
		if v := **p; math.IsNaN(v) || v < least || v > most {
			if lies == "" {
				lies = fmt.Sprintf("%s %g", name, v)
			}
			*p = nil
		}
	}
	check(&s.SoC, "charge", 0, maxSoC)
	check(&s.Volts, "voltage", 0.5, maxVolts) // below, nothing is connected
	check(&s.Amps, "current", -maxAmps, maxAmps)
	check(&s.Watts, "power", -maxWatts, maxWatts)
	check(&s.PVWatts, "panel power", 0, maxWatts)
	check(&s.YieldToday, "yield", 0, maxYield)
	check(&s.YieldYesterday, "yield", 0, maxYield)
	if s.SoC != nil && *s.SoC > 100 {
		full := 100.0
		s.SoC = &full
	}
	return s, lies
}

// Net returns the power into the battery in watts, measured, or as current times voltage.
func (s Sample) Net() (float64, bool) {
	switch {
	case s.Watts != nil:
		return *s.Watts, true
	case s.Amps != nil && s.Volts != nil:
		return *s.Amps * *s.Volts, true
	}
	return 0, false
}

// blind reports whether a sample says nothing about a battery or about power from outside.
func (s Sample) blind() bool {
	return s.SoC == nil && s.Volts == nil && s.External == nil && s.Critical == nil
}

// A preset holds what a chemistry implies. Volts and ohms are of one cell.
type preset struct {
	eco, survive, park, leave float64 // percent: below the first three the level falls, from leave on it may leave park
	gap                       float64 // percent above a limit before the level rises
	leaveVolts                float64 // the same as leave while the battery is being charged
	ohms                      float64 // V at rest = V - I into the battery times this
	curve                     []point // of the voltage at rest
	cells                     []int   // how many one battery may have, as far as a voltage tells
	least, most               float64 // volts that a cell can have
	parkOnly                  bool    // too flat a curve: a voltage decides nothing but park
}

// A point of a curve: volts, and the charge in percent.
type point struct{ volts, soc float64 }

// The resistance is Morningstar's 15 mV per A at 12 V. The curves of LiFePO4 and Li-ion are Meshtastic's
// tables of resting voltage (firmware, power.h); that of lead-acid goes through 12.0, 12.2 and 12.4 V at
// 50, 60 and 75 percent, from 10.5 to 12.7 V. A single Li-ion cell can be told by its voltage, more
// cannot: three that are full and four that are empty look the same.
var presets = map[Chemistry]*preset{
	LiFePO4: {eco: 60, survive: 30, park: 15, leave: 25, gap: 5, leaveVolts: 3.25, ohms: 0.015 / 4, parkOnly: true,
		cells: []int{1, 4, 8, 16}, least: 2.375, most: 4,
		curve: []point{{2.50, 0}, {3.20, 10}, {3.24, 20}, {3.26, 30}, {3.27, 40}, {3.28, 50}, {3.30, 60}, {3.32, 70}, {3.34, 80}, {3.40, 90}, {3.65, 100}}},
	LiIon: {eco: 60, survive: 30, park: 15, leave: 25, gap: 5, leaveVolts: 3.60, ohms: 0.015 / 3,
		cells: []int{1}, least: 2.5, most: 4.35,
		curve: []point{{3.10, 0}, {3.30, 10}, {3.42, 20}, {3.53, 30}, {3.63, 40}, {3.72, 50}, {3.80, 60}, {3.89, 70}, {3.99, 80}, {4.05, 90}, {4.19, 100}}},
	LeadAcid: {eco: 75, survive: 60, park: 50, leave: 60, gap: 8, leaveVolts: 12.6 / 6, ohms: 0.015 / 6,
		cells: []int{6, 12, 24}, least: 9.5 / 6, most: 16. / 6,
		curve: []point{{10.5 / 6, 0}, {12.0 / 6, 50}, {12.2 / 6, 60}, {12.4 / 6, 75}, {12.7 / 6, 100}}},
}

// soc returns the charge at a cell's voltage at rest.
func (p *preset) soc(volts float64) float64 {
	c := p.curve
	if volts <= c[0].volts {
		return c[0].soc
	}
	for i := 1; i < len(c); i++ {
		if volts <= c[i].volts {
			a, b := c[i-1], c[i]
			return a.soc + (b.soc-a.soc)*(volts-a.volts)/(b.volts-a.volts)
		}
	}
	return 100
}

// count returns of how many cells a battery with this voltage is made, or 0.
func (p *preset) count(volts float64) int {
	for _, n := range p.cells {
		if per := volts / float64(n); per >= p.least && per <= p.most {
			return n
		}
	}
	return 0
}
