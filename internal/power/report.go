package power

import "time"

// A Report is what `power --json` and `status --json` show of a step. What was not measured is null.
type Report struct {
	Level   Level        `json:"power_level"`
	Why     Why          `json:"power_why"`
	Next    []Next       `json:"power_next"`
	SoC     *float64     `json:"power_soc"`
	ByVolts *float64     `json:"power_soc_by_volts_est"`
	Net     *float64     `json:"power_watts_net"`
	PV      *float64     `json:"power_watts_pv"`
	Source  *SourceBrief `json:"power_source"`

	Energy   EnergyToday       `json:"energy_wh_today"`
	Levels   map[string]uint64 `json:"level_seconds_total"`
	Changes  int               `json:"level_changes_today"`
	Floor    *float64          `json:"power_floor"` // learned; null unless it is
	Uplink   *uint64           `json:"uplink_seconds_total"`
	Sags     *uint64           `json:"undervoltage_events_total"` // null where nothing watches for it
	Write    WriteMode         `json:"power_write"`
	Link     bool              `json:"link_open"`
	LinkWhy  string            `json:"link_why,omitempty"`
	Metered  *Metered          `json:"metered"`
	Plan     Plan              `json:"plan"`
	Costs    []Cost            `json:"costs"`
	WakeAt   *string           `json:"next_wake_at"`     // RFC 3339; null: open, never, or the clock is not to be trusted
	Deadline *string           `json:"next_deadline_at"` // the same
	WakeIn   *float64          `json:"next_wake_seconds"`
	// What the next deadline is and in which block it ends, and how long that is at the chain's usual pace; null: none.
	DueName  *string   `json:"next_deadline"`
	DueBlock *uint32   `json:"next_deadline_block"`
	DueIn    *float64  `json:"next_deadline_seconds"`
	Warnings []Warning `json:"power_health"`
}

// SourceBrief is the meter that counts.
type SourceBrief struct {
	Name string     `json:"name"`
	Age  float64    `json:"age"` // seconds
	Conf Confidence `json:"conf"`
}

// EnergyToday is in Wh.
type EnergyToday struct {
	Self     float64  `json:"self_est"` // ours, by the estimate for each level
	Measured *float64 `json:"measured"` // of all that hangs on the battery
}

// Report shows a step: the state and the actions that Step returned, and what it was told.
func (a *Actions) Report(c *Config, s *State, in *Input) *Report {
	r := &Report{
		Level: a.Level, Why: a.Why, Next: a.Next, SoC: a.Reading.SoC, ByVolts: a.Reading.SoCByVolts, Net: a.Reading.Net, PV: a.Reading.PVWatts,
		Energy: EnergyToday{Self: s.TodaySelfWh}, Levels: map[string]uint64{}, Changes: s.Changes,
		Write: a.Write, Link: a.Link, LinkWhy: a.LinkWhy, Metered: a.Metered, Plan: a.Plan, Warnings: a.Warnings,
	}
	if r.Next == nil {
		r.Next = []Next{}
	}
	if r.Warnings == nil {
		r.Warnings = []Warning{}
	}
	if a.Reading.Source != "" {
		r.Source = &SourceBrief{a.Reading.Source, a.Reading.Age.Seconds(), a.Reading.Confidence}
	}
	if s.Measured {
		r.Energy.Measured = &s.TodayMeasuredWh
	}
	for l, sec := range s.LevelSeconds {
		r.Levels[Level(l).String()] = uint64(sec)
	}
	if c.FloorLearning && s.Floor > 0 {
		r.Floor = &s.Floor
	}
	if a.Reading.sags || s.UnderVoltages > 0 {
		r.Sags = &s.UnderVoltages
	}
	if c.Uplink.Switched {
		sec := uint64(s.UplinkSeconds)
		r.Uplink = &sec
	}
	for l := Full; ; l-- {
		r.Costs = append(r.Costs, c.Cost(l))
		if l == Park {
			break
		}
	}
	at := func(d time.Duration) *string {
		if !in.Trusted {
			return nil
		}
		text := in.Wall.Add(d).UTC().Format(time.RFC3339)
		return &text
	}
	if a.WakeIn != nil {
		sec := a.WakeIn.Seconds()
		r.WakeIn, r.WakeAt = &sec, at(*a.WakeIn)
	}
	var due uint32
	for _, d := range in.Deadlines {
		if in.Height > 0 && d.Due >= in.Height && (due == 0 || d.Due < due) {
			due = d.Due
			left := time.Duration(d.Due-in.Height) * BlockTime
			name, sec := d.Name, left.Seconds()
			r.Deadline, r.DueName, r.DueBlock, r.DueIn = at(left), &name, &due, &sec
		}
	}
	return r
}
