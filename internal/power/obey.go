package power

import (
	"fmt"
	"math"
	"time"
)

// obey turns the level into orders.
func (s *State) obey(c *Config, in Input, r Reading, dt time.Duration, a *Actions) {
	if took := in.LinkTook; took > 0 {
		copy(s.Leads[1:], s.Leads[:])
		s.Leads[0] = uint16(min(math.Ceil(took.Seconds()), math.MaxUint16))
	}

	// The last checkpoint is ordered once for each time that writing ends.
	switch calm := !r.UnderVolts && (!s.sagged || s.calm >= calmAfter); {
	case calm && s.Level > Park:
		a.Write, s.saved = WriteFree, false
	case !s.saved:
		a.Write, s.saved = WriteLast, true
	default:
		a.Write = WriteNone
	}

	network := s.Level
	if c.MaxBytesPerDay > 0 {
		a.Metered = s.meter(c, dt)
		network = min(network, a.Metered.Level)
	}
	a.Plan, a.Poll = PlanOf(network), PlanOf(s.Level).Poll
	a.Plan.Duty, a.Plan.Poll = PlanOf(s.Level).Duty, a.Poll
	w := c.window()
	if network == Survive {
		a.Plan.SyncEvery = int(w.Every)
	}

	blind := time.Duration(-1) // until the link opens to find out the height; 0: it is open for that
	if in.Height == 0 && a.Plan.Windowed {
		period := time.Duration(w.period()) * BlockTime
		s.blind = (s.blind + dt) % period
		blind = 0
		if s.blind >= min(blindOpen, period) {
			blind = period - s.blind
		}
	} else {
		s.blind = 0
	}

	spent := c.Uplink.Switched && c.Uplink.MaxWhPerDay > 0 && s.TodayUplinkWh >= c.Uplink.MaxWhPerDay
	switch {
	case !a.Plan.Connected || spent:
	case !a.Plan.Windowed:
		a.Link = true
	case in.Height == 0:
		a.Link = blind == 0
		if a.Link {
			a.LinkWhy = "the height is not known"
		} else {
			a.WakeIn = &blind
		}
	case w.Open(in.Height):
		a.Link, a.Window, a.LinkWhy = true, true, "window"
	}
	next := uint32(math.MaxUint32) // height at which the link opens
	if a.Plan.Windowed && !spent && in.Height > 0 {
		next = w.Next(in.Height)
	}
	for _, d := range in.Deadlines {
		if in.Height == 0 || in.Height > d.Due || !s.affords(c, d, r, a) {
			continue
		}
		if in.Height < d.Wake {
			next = min(next, d.Wake)
		} else if !a.Link {
			a.Link, a.LinkWhy = true, d.Name
		}
	}
	a.Uplink = a.Link
	if !a.Link && next < math.MaxUint32 {
		left := time.Duration(next-in.Height) * BlockTime
		a.WakeIn = &left
		a.Uplink = left <= s.lead()
	}
	s.uplink = a.Uplink && c.Uplink.Switched
}

// blindOpen is for how long of a window's period the link is open where no height is known, so that nobody
// knows when the window is: a link that leads nowhere must not empty the battery.
const blindOpen = 10 * time.Minute

// lead is how long before a window the link is powered: the longest of the last times that it took.
func (s *State) lead() time.Duration {
	var most uint16
	for _, sec := range s.Leads {
		most = max(most, sec)
	}
	return time.Duration(most) * time.Second
}

// affords reports whether a deadline may open the link: at every level but park, where the battery must
// bear twice what it takes, and within the limit of a metered link.
func (s *State) affords(c *Config, d Deadline, r Reading, a *Actions) bool {
	if a.Metered != nil && a.Metered.Left == 0 {
		return false
	}
	if s.Level > Park {
		return true
	}
	if c.CapacityWh <= 0 || r.SoC == nil || !r.Fresh {
		return false
	}
	// Half of the charge at which park begins is left alone.
	have := (*r.SoC - c.limits(r.Chemistry, 0).below[Survive]/2) / 100 * c.CapacityWh
	return have >= 2*d.Wh && d.Wh > 0
}

// meterRest is how long a higher cadence is not taken up again.
const meterRest = time.Hour

// meter chooses the cadence that the rest of the day bears, with a twentieth in reserve. At the last
// fiftieth the link is closed.
func (s *State) meter(c *Config, dt time.Duration) *Metered {
	m := &Metered{Used: s.TodayBytes, Limit: c.MaxBytesPerDay}
	m.Left = m.Limit - min(m.Used, m.Limit)
	rest := max(dayLong-s.dayTime, time.Minute).Hours() / 24
	want := Park
	if m.Left > m.Limit/50 {
		for want = Full; want > Survive; want-- {
			if float64(c.bytes(want))*rest <= 0.95*float64(m.Left) {
				break
			}
		}
	}
	s.meterHeld += dt
	if !s.metering || want < s.metered || s.meterHeld >= meterRest {
		s.metered, s.meterHeld, s.metering = want, 0, true
	}
	m.Level = s.metered
	return m
}

// warn adds what the owner should know.
func (s *State) warn(c *Config, r Reading, in Input, a *Actions) {
	add := func(code, severity, title, remedy string) {
		a.Warnings = append(a.Warnings, Warning{code, severity, title, remedy})
	}
	if r.UnderVolts {
		add("under_voltage", "error", "the board's supply is too low; nothing is written", "use a stronger supply and a short, thick cable")
	}
	if !r.Fresh && s.battery(c) {
		add("meter_silent", "warn", fmt.Sprintf("no meter has answered for %s", round(s.silent)), "look at its cable and at power.sources, which is none for a board on mains; `taolight power` tells what each source says")
	}
	if s.Changes > maxChanges {
		add("level_changes", "warn", fmt.Sprintf("the level changed %d times today", s.Changes), "the thresholds are too close together, or the battery is too small")
	}
	if s.Level == Park {
		add("parked", "error", "the node is parked: "+a.Why.Text, "nothing is proven until the battery recovers")
	}
	if m := a.Metered; m != nil && m.Level < s.Level {
		title := fmt.Sprintf("%.1f of %.1f MB are used today; the rest bears %s", float64(m.Used)/1e6, float64(m.Limit)/1e6, m.Level)
		if m.Level == Park {
			title = fmt.Sprintf("%.1f of %.1f MB are used today; the link is closed until tomorrow", float64(m.Used)/1e6, float64(m.Limit)/1e6)
		}
		add("metered", "warn", title, "max_mb_per_day sets the limit")
	}
	for _, d := range in.Deadlines {
		switch left := int64(d.Due) - int64(in.Height); {
		case in.Height == 0:
		case left < 0:
			add("deadline_missed", "error", fmt.Sprintf("%s was due at block %d", d.Name, d.Due), "see why the node was at "+s.Level.String())
		case left <= riskBlocks && !s.affords(c, d, r, a):
			add("deadline_at_risk", "error", fmt.Sprintf("%s is due in %s, and the node may not open its link for it", d.Name, round(time.Duration(left)*BlockTime)),
				"charge the battery, or do it from another node")
		}
	}
}

// riskBlocks is how long before a deadline it is told that it will be missed: 4 h, so that 2 h are left
// to whoever reads it late.
const riskBlocks = int64(4 * time.Hour / BlockTime)
