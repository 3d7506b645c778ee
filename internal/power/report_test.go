package power

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestPlans holds the table of levels: what each costs at most, and what of the network it keeps.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		level           Level
		sync, out, in   int
		finality, serve string
		bytes           uint64
		wakeups         float64
	}{
		{Full, 1, 8, 16, "follow", ServeAll, 60e6, 25},
		{Eco, 25, 2, 4, "pull", ServeLAN, 6e6, 5},
		{Survive, 300, 2, 0, "pull", ServeNone, 1e6, 1.5},
		{Park, 0, 0, 0, "none", ServeNone, 0, 0},
	} {
		p := PlanOf(c.level)
		if p.SyncEvery != c.sync || p.PeersOut != c.out || p.PeersIn != c.in ||
			p.Finality != c.finality || p.Serve != c.serve || p.BytesPerDay != c.bytes || p.WakeupsPerSec != c.wakeups {
			t.Errorf("%v: %+v", c.level, p)
		}
		if p.estimatedBytes > p.BytesPerDay {
			t.Errorf("%v: %d bytes by arithmetic, at most %d", c.level, p.estimatedBytes, p.BytesPerDay)
		}
		if p.Poll <= 0 || p.Poll > StaleAfter/2 {
			t.Errorf("%v: meters are read every %v", c.level, p.Poll)
		}
		if got, err := ParseLevel(c.level.String()); err != nil || got != c.level {
			t.Errorf("%v: %v, %v", c.level, got, err)
		}
	}
	if _, err := ParseLevel("ful"); err == nil || Level(9).String() != "level 9" || !reflect.DeepEqual(PlanOf(9), PlanOf(Park)) {
		t.Errorf("a level that there is not: %v", err)
	}
}

// TestCosts works the energy of a day out by hand.
func TestCosts(t *testing.T) {
	c := Config{Board: Boards[0]} // Zero 2 W: 0.60 W, 0.50 W without radio, 1.75 W busy
	if got, want := c.Cost(Full).WhPerDay, 24*(0.60+0.007*1.15)/0.85; math.Abs(got-want) > 1e-9 {
		t.Errorf("full: %g Wh, want %g", got, want)
	}
	// With a dish of 30 W: on all the time, or for 15 blocks of 1,200, which are 6 times 3 minutes.
	c.Uplink = Uplink{Switched: true, Watts: 30}
	if got, want := c.Cost(Eco).WhPerDay, 24*((0.60+0.003*1.15)/0.85+30); math.Abs(got-want) > 1e-9 {
		t.Errorf("eco: %g Wh, want %g", got, want)
	}
	radio := 15. / 1200
	if got, want := c.Cost(Survive).WhPerDay, 24*((0.50+radio*0.10+0.001*1.15)/0.85)+6*3./60*30; math.Abs(got-want) > 1e-9 {
		t.Errorf("survive: %g Wh, want %g", got, want)
	}
	if got, want := c.Cost(Park).WhPerDay, 24*0.50/0.85; math.Abs(got-want) > 1e-9 {
		t.Errorf("park: %g Wh, want %g", got, want)
	}
	// By windows of 2 peers, 6 kB of handshake and 2.7 kB of proof each: 6 a day, or 24.
	if got := c.Cost(Survive).BytesPerDay; got != 6*2*8700 {
		t.Errorf("survive moves %d bytes", got)
	}
	if got := (&Config{}).Cost(Survive).BytesPerDay; got != 24*2*8700 {
		t.Errorf("survive on a cheap link moves %d bytes", got)
	}
	for want, c := range map[string]Config{"a Pi 5": {Board: Boards[4]}, "a board of 0.6 W idle": {Board: Board{Idle: 0.6}}, "a Pi 4 Model B, as this board is not known": {}} {
		if got := c.BoardName(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestReport: the names that a status has, and null for what nobody measures.
func TestReport(t *testing.T) {
	names := func(r *rigged) map[string]any {
		t.Helper()
		b, err := json.Marshal(r.a.Report(&r.c, &r.s, &r.in))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	r := newRigged(t, mains)
	r.run(time.Hour)
	m := names(r)
	for _, name := range []string{"power_soc", "power_watts_net", "power_source", "power_watts_pv", "power_floor", "uplink_seconds_total", "undervoltage_events_total", "metered", "next_wake_at", "next_deadline_at"} {
		if v, ok := m[name]; !ok || v != nil {
			t.Errorf("on mains %s is %v (%v), want null", name, v, ok)
		}
	}
	if m["power_level"] != "full" || m["energy_wh_today"].(map[string]any)["measured"] != nil || m["level_seconds_total"].(map[string]any)["full"] != 3590. || len(m["power_next"].([]any)) != 0 {
		t.Errorf("%v", m)
	}

	r = newRigged(t, Config{Assume: Full, FloorLearning: true, CapacityWh: 100, MaxBytesPerDay: 50e6, Uplink: Uplink{Switched: true, Watts: 30}})
	r.in.Height = 10
	r.in.Deadlines = []Deadline{{Name: "a", Wake: 5000, Due: 9000, Wh: 1}, {Name: "b", Wake: 5000, Due: 610, Wh: 1}}
	low := Sample{Source: "shunt", SoC: f(20), Watts: f(-10), PVWatts: f(5), UnderVoltage: yes(false)}
	r.run(time.Hour, low)
	r.in.Height = 100
	r.step(low)
	m = names(r)
	// 1,100 blocks to the next window, 510 to the nearer deadline.
	wake, due := r.in.Wall.Add(1100*12*time.Second).Format(time.RFC3339), r.in.Wall.Add(510*12*time.Second).Format(time.RFC3339)
	for name, want := range map[string]any{"power_level": "survive", "power_soc": 20., "power_watts_net": -10., "power_watts_pv": 5., "undervoltage_events_total": 0., "power_floor": 10.,
		"next_wake_at": wake, "next_deadline_at": due, "next_wake_seconds": 13_200., "link_open": false, "power_write": "free"} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	// 15 W of load for an hour but its first ten seconds, and one more step.
	if got := m["energy_wh_today"].(map[string]any)["measured"].(float64); math.Abs(got-15) > 1e-6 {
		t.Errorf("%g Wh measured, want 15", got)
	}
	if src := m["power_source"].(map[string]any); src["name"] != "shunt" || src["conf"] != "high" || src["age"] != 0. {
		t.Errorf("%v", src)
	}
	// 5 % of 100 Wh at 10 W are half an hour.
	next := m["power_next"].([]any)[0].(map[string]any)
	if next["level"] != "park" || math.Abs(next["in_seconds_est"].(float64)-1800) > 1e-6 || !strings.Contains(next["when"].(string), "15 %") {
		t.Errorf("%v", next)
	}
	// A clock that is not to be trusted makes no times of day.
	r.in.Trusted = false
	r.step(low)
	if m = names(r); m["next_wake_at"] != nil || m["next_deadline_at"] != nil || m["next_wake_seconds"] != 13_200. {
		t.Errorf("%v, %v, %v", m["next_wake_at"], m["next_deadline_at"], m["next_wake_seconds"])
	}
}
