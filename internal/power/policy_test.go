package power

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func f(v float64) *float64 { return &v }
func yes(v bool) *bool     { return &v }

// A rigged node is stepped every ten seconds with what its meters say.
type rigged struct {
	t   *testing.T
	c   Config
	s   State
	in  Input
	a   Actions
	log []Level // of each step
}

func newRigged(t *testing.T, c Config) *rigged {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return &rigged{t: t, c: c, in: Input{Mono: time.Hour, Wall: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Trusted: true}}
}

const tick = 10 * time.Second

// run steps for a time with the same measurements.
func (r *rigged) run(d time.Duration, samples ...Sample) Level {
	for end := r.in.Mono + d; r.in.Mono < end; {
		r.step(samples...)
	}
	return r.a.Level
}

func (r *rigged) step(samples ...Sample) Level {
	r.in.Mono += tick
	r.in.Wall = r.in.Wall.Add(tick)
	r.in.Samples = nil
	for _, s := range samples {
		s.At = r.in.Mono
		r.in.Samples = append(r.in.Samples, s)
	}
	r.s, r.a = Step(&r.c, r.s, r.in)
	r.log = append(r.log, r.a.Level)
	return r.a.Level
}

func (r *rigged) want(l Level, code string) {
	r.t.Helper()
	if r.a.Level != l || r.a.Why.Code != code {
		r.t.Fatalf("%v because of %q (%s), want %v because of %q", r.a.Level, r.a.Why.Code, r.a.Why.Text, l, code)
	}
}

func charge(soc, watts float64) Sample { return Sample{Source: "test", SoC: &soc, Watts: &watts} }

var mains = Config{Assume: Full}

func TestThresholds(t *testing.T) {
	for _, c := range []struct {
		chem Chemistry
		soc  float64
		want Level
	}{
		// The table of chemistries: eco / survive / park are entered below 60/30/15 and 75/60/50.
		{LiFePO4, 60, Full}, {LiFePO4, 59.9, Eco}, {LiFePO4, 30, Eco}, {LiFePO4, 29.9, Survive}, {LiFePO4, 15, Survive}, {LiFePO4, 14.9, Park},
		{LiIon, 60, Full}, {LiIon, 59.9, Eco}, {LiIon, 29.9, Survive}, {LiIon, 14.9, Park},
		{LeadAcid, 75, Full}, {LeadAcid, 74.9, Eco}, {LeadAcid, 59.9, Survive}, {LeadAcid, 49.9, Park},
	} {
		r := newRigged(t, Config{Assume: Full, Chemistry: c.chem})
		r.run(time.Minute, charge(100, 0))
		if got := r.run(3*time.Minute, charge(c.soc, -1)); got != c.want {
			t.Errorf("%s at %g %%: %v, want %v", c.chem, c.soc, got, c.want)
		}
	}
}

func TestFallTakesAMinuteAndThreeSamples(t *testing.T) {
	r := newRigged(t, mains)
	r.run(time.Minute, charge(80, 0))
	low := charge(50, -1)
	for i := range 6 { // seconds 0 to 50 since the first that was low
		if got := r.step(low); got != Full {
			t.Fatalf("%v after %d low samples", got, i+1)
		}
	}
	if got := r.step(low); got != Eco {
		t.Fatalf("%v after a minute", got)
	}
	// The same minute with two samples only is not enough.
	r = newRigged(t, mains)
	r.run(time.Minute, charge(80, 0))
	for range 2 {
		r.step(low)
	}
	old := r.in.Samples
	for range 7 {
		r.in.Mono += tick
		r.in.Samples = old
		r.s, r.a = Step(&r.c, r.s, r.in)
	}
	r.want(Full, "charge")
	// One good sample in between starts it again.
	r = newRigged(t, mains)
	r.run(time.Minute, charge(80, 0))
	r.run(50*time.Second, low)
	r.step(charge(61, -1))
	r.run(50*time.Second, low)
	r.want(Full, "charge")
}

func TestParkIsQuicker(t *testing.T) {
	first := newRigged(t, mains)
	first.step(charge(3, -1)) // never by the first reading
	first.want(Survive, "charge")
	first.run(30*time.Second, charge(3, -1))
	first.want(Park, "charge")
	r := newRigged(t, mains)
	r.run(time.Minute, charge(20, -1)) // starts in survive
	r.want(Survive, "charge")
	r.run(30*time.Second, charge(14, -1))
	r.want(Survive, "charge")
	r.step(charge(14, -1))
	r.want(Park, "charge")
	if r.a.Link || r.a.Plan.SyncEvery != 0 || r.a.Write != WriteLast {
		t.Errorf("at the step to park: link %v, plan %+v, write %s", r.a.Link, r.a.Plan, r.a.Write)
	}
	r.step(charge(14, -1))
	if r.a.Write != WriteNone {
		t.Errorf("in park: write %s", r.a.Write)
	}
}

func TestRise(t *testing.T) {
	r := newRigged(t, mains)
	r.run(time.Minute, charge(50, -1))
	r.want(Eco, "charge")
	if got := r.run(time.Hour, charge(64.9, 5)); got != Eco {
		t.Errorf("%v below the limit and the gap", got)
	}
	if got := r.run(time.Hour, charge(70, -5)); got != Eco {
		t.Errorf("%v while drained", got)
	}
	// Ten minutes from the first sample on: 60 steps after it.
	for i := range 60 {
		if got := r.step(charge(65, 0)); got != Eco {
			t.Fatalf("%v after %v", got, time.Duration(i)*tick)
		}
	}
	if got := r.step(charge(65, 0)); got != Full {
		t.Errorf("%v after ten minutes", got)
	}
}

// TestLeavePark: 25 % and charging for ten minutes, and one level at a time.
func TestLeavePark(t *testing.T) {
	r := newRigged(t, mains)
	r.run(2*time.Minute, charge(10, -1))
	r.want(Park, "charge")
	for _, s := range []Sample{charge(24.9, 10), charge(80, 0), charge(80, -1), {Source: "test", SoC: f(90), Charging: yes(false)}} {
		if got := r.run(time.Hour, s); got != Park {
			t.Fatalf("%v with %+v", got, s)
		}
	}
	r.in.Samples = nil
	r.run(24 * time.Hour) // and silence is no evidence
	r.want(Park, "silent")
	var seen []Level
	for range 6 * 60 {
		if l := r.step(charge(95, 10)); len(seen) == 0 || seen[len(seen)-1] != l {
			seen = append(seen, l)
		}
	}
	if len(seen) != 4 || seen[0] != Park || seen[1] != Survive || seen[2] != Eco || seen[3] != Full {
		t.Errorf("rose as %v", seen)
	}
	// Lead-acid wants 60 %.
	r = newRigged(t, Config{Assume: Full, Chemistry: LeadAcid})
	r.run(2*time.Minute, charge(40, -1))
	r.run(time.Hour, charge(59, 10))
	r.want(Park, "charge")
	if got := r.run(11*time.Minute, charge(60, 10)); got != Survive {
		t.Errorf("lead-acid at 60 %%: %v", got)
	}
}

// TestNoDirection is a MAX17040: no status, no current. That the battery gains shows in its charge.
func TestNoDirection(t *testing.T) {
	at := func(soc float64) Sample { return Sample{Source: "sysfs:battery", SoC: &soc} }
	r := newRigged(t, mains)
	r.run(time.Minute, at(20))
	r.run(time.Minute, at(12))
	r.want(Park, "charge")
	r.run(time.Hour, at(13.5))
	r.want(Park, "charge")
	if got := r.run(11*time.Minute, at(26)); got != Survive {
		t.Errorf("%v after 12 to 26 %%", got)
	}
	// Falling by two points in ten minutes is being drained, whatever the limit says.
	r = newRigged(t, mains)
	r.step(at(80))
	r.s.Level = Eco
	for soc := 80.0; soc > 66; soc -= 0.5 {
		if r.run(2*time.Minute, at(soc)); r.a.Level != Eco {
			t.Fatalf("%v at %g %% and falling", r.a.Level, soc)
		}
	}
	if got := r.run(30*time.Minute, at(66)); got != Full {
		t.Errorf("%v when it has stopped falling", got)
	}
}

func TestExternal(t *testing.T) {
	r := newRigged(t, mains)
	weak := charge(50, -3)
	weak.External = yes(true)
	r.run(time.Minute, charge(80, 0))
	if got := r.run(3*time.Minute, weak); got != Eco {
		t.Errorf("%v on a charger that is too weak", got)
	}
	good := charge(20, 3)
	good.External = yes(true)
	r.run(5*time.Minute, charge(20, -3))
	r.want(Survive, "charge")
	r.run(25*time.Minute, good)
	r.want(Full, "external")
}

// TestMains is a board without any meter, and one whose settings say otherwise.
func TestMains(t *testing.T) {
	r := newRigged(t, mains)
	r.run(time.Hour)
	r.want(Full, "mains")
	if r.a.Reading.SoC != nil || r.a.Reading.Source != "" {
		t.Errorf("%+v", r.a.Reading)
	}
	r = newRigged(t, Config{Assume: Survive})
	r.run(time.Hour)
	r.want(Survive, "assumed")
	// A laptop without its battery, and a Pi that only tells of under-voltage.
	r = newRigged(t, mains)
	r.run(time.Hour, Sample{External: yes(true)}, Sample{UnderVoltage: yes(false)})
	r.want(Full, "mains")
	// Once a battery was seen its silence is one, unless the settings say that there is none.
	r = newRigged(t, mains)
	r.run(time.Minute, charge(90, 1))
	r.run(time.Hour)
	r.want(Eco, "silent")
	r.c.NoMeters = true
	r.run(time.Hour)
	r.want(Full, "mains")
	// A meter is named and has never answered.
	r = newRigged(t, Config{Assume: Full, Explicit: true})
	r.run(time.Minute)
	r.want(Eco, "stale")
	r.run(time.Hour)
	r.want(Eco, "silent")
}

// TestStale: two minutes without a sample hold the level, fifteen make it eco, and never more.
func TestStale(t *testing.T) {
	r := newRigged(t, mains)
	r.run(time.Minute, charge(90, 1))
	r.run(14 * time.Minute)
	r.want(Full, "stale")
	r.run(2 * time.Minute)
	r.want(Eco, "silent")
	r.run(48 * time.Hour)
	r.want(Eco, "silent")

	r = newRigged(t, mains)
	r.run(time.Minute, charge(20, 1))
	r.run(48 * time.Hour)
	r.want(Survive, "silent") // not raised to eco

	// The same reading again and again is old, even if it is good.
	r = newRigged(t, mains)
	r.run(time.Minute, charge(20, 1))
	old := charge(99, 1)
	old.At = r.in.Mono
	for range 6 * 60 {
		r.in.Mono += tick
		r.in.Samples = []Sample{old}
		r.s, r.a = Step(&r.c, r.s, r.in)
	}
	r.want(Survive, "silent")
}

func TestVoltage(t *testing.T) {
	volts := func(v, amps float64) Sample { return Sample{Source: "vedirect", Volts: &v, Amps: &amps} }
	// LiFePO4 at 12.9 V could be at 15 or at 60 %: only park is decided.
	r := newRigged(t, Config{Assume: Full, Chemistry: LiFePO4})
	r.run(time.Hour, volts(12.90, 0))
	r.want(Eco, "voltage")
	r.run(2*time.Minute, volts(12.80, 0))
	r.want(Park, "voltage")
	// 0.2 A of load, 15 mV per A: 12.88 V under it are 12.883 V at rest.
	if got := presets[LiFePO4].soc(12.88 / 4); math.Abs(got-15) > 1e-9 {
		t.Errorf("12.88 V are %g %%", got)
	}
	r.run(time.Hour, volts(13.1, 0))
	r.want(Park, "voltage") // over 3.25 V a cell, but not charging
	r.run(11*time.Minute, volts(13.1, 1))
	r.want(Survive, "voltage")

	r = newRigged(t, Config{Assume: Full, Chemistry: LeadAcid})
	r.run(time.Minute, volts(12.7, 0))
	r.want(Full, "voltage")
	// A load of 10 A: 150 mV are not the battery's fault.
	r.run(15*time.Minute, volts(12.3, -10))
	r.want(Full, "voltage")
	r.run(2*time.Minute, volts(12.3, 0))
	r.want(Eco, "voltage")

	// While it is charged with 3 A its voltage tells of the charger; at rest it counts.
	r.run(time.Hour, volts(13.8, 3))
	r.want(Eco, "voltage")
	r.run(15*time.Minute, volts(13.4, 0.2))
	r.want(Full, "voltage")

	// A bank of 24 V that falls to 19 V does not become one of 12 V that is full.
	r = newRigged(t, Config{Assume: Full, Chemistry: LeadAcid})
	r.run(time.Minute, volts(25, 0))
	r.run(2*time.Minute, volts(14, 0))
	r.want(Park, "voltage")
	// Three or four cells of Li-ion cannot be told apart; the settings say.
	r = newRigged(t, Config{Assume: Full, Chemistry: LiIon})
	r.run(time.Minute, volts(12.6, 0))
	r.want(Eco, "unknown_charge")
	r = newRigged(t, Config{Assume: Full, Chemistry: LiIon, Cells: 4})
	r.run(2*time.Minute, volts(12.6, 0))
	r.want(Park, "voltage")
}

func TestCritical(t *testing.T) {
	nut := func(soc float64, external, critical bool) Sample {
		s := charge(soc, 0)
		s.External, s.Critical, s.Watts = &external, &critical, nil
		return s
	}
	r := newRigged(t, mains)
	r.run(time.Minute, nut(80, true, false))
	r.step(nut(80, false, true))
	r.want(Park, "critical")
	r.run(time.Hour, nut(80, false, true))
	r.want(Park, "critical")
	r.run(11*time.Minute, nut(80, true, false))
	if r.a.Level != Survive {
		t.Errorf("%v when power is back", r.a.Level)
	}
}

func TestUnderVoltage(t *testing.T) {
	pi := func(low bool) Sample { return Sample{Source: "sysfs:rpi_volt", UnderVoltage: &low} }
	r := newRigged(t, mains)
	r.run(time.Minute, pi(false))
	var writes []WriteMode
	note := func() {
		if n := len(writes); n == 0 || writes[n-1] != r.a.Write {
			writes = append(writes, r.a.Write)
		}
	}
	last := 0
	step := func(low bool) {
		r.step(pi(low))
		note()
		if r.a.Write == WriteLast {
			last++
		}
		if low && r.a.Write == WriteFree {
			t.Fatal("free to write under the flag")
		}
	}
	step(false)
	for range 30 {
		step(true)
	}
	for range 5 {
		step(false)
	}
	if r.a.Write != WriteNone {
		t.Errorf("%s 50 s after the flag fell", r.a.Write)
	}
	for range 2 {
		step(false)
	}
	if len(writes) != 4 || writes[1] != WriteLast || writes[2] != WriteNone || writes[3] != WriteFree || last != 1 {
		t.Errorf("%v, %d last checkpoints", writes, last)
	}
	r.want(Full, "mains")
	if r.s.UnderVoltages != 1 {
		t.Errorf("%d events", r.s.UnderVoltages)
	}
	// Ten minutes later it is another first one; a second within ten parks.
	r.run(6*time.Minute, pi(false))
	r.step(pi(true))
	r.want(Full, "mains")
	r.run(9*time.Minute, pi(false))
	r.step(pi(true))
	r.want(Park, "under_voltage")
	if r.a.Write != WriteLast {
		t.Errorf("write %s", r.a.Write)
	}
	r.run(9*time.Minute, pi(false))
	if r.a.Level != Park {
		t.Error("left park too soon")
	}
	r.run(2*time.Minute, pi(false))
	if r.a.Level != Survive {
		t.Errorf("%v ten quiet minutes later", r.a.Level)
	}
	// A process that starts under the flag has nothing to keep: it writes nothing at all.
	r = newRigged(t, mains)
	for range 6 {
		if r.step(pi(true)); r.a.Write != WriteNone {
			t.Fatalf("write %s", r.a.Write)
		}
	}
	r.run(2*time.Minute, pi(false))
	if r.a.Write != WriteFree {
		t.Errorf("write %s two minutes after the flag", r.a.Write)
	}
}

// TestFloor follows Victron's rule: +5 on a day that reached the floor, -5 at 85 %, -5 more at 95 %,
// within 10 and 80, each once a day.
func TestFloor(t *testing.T) {
	r := newRigged(t, Config{Assume: Full, FloorLearning: true})
	r.in.Wall = time.Date(2026, 5, 31, 23, 59, 55, 0, time.UTC)
	day := func(soc ...float64) float64 {
		for _, v := range soc {
			r.run(24*time.Hour/time.Duration(len(soc)), charge(v, 0.1))
		}
		return r.s.Floor
	}
	for i, c := range []struct {
		soc  []float64
		want float64
	}{
		{[]float64{50, 14, 50, 14}, 15}, // twice reached, once counted
		{[]float64{50, 14, 50}, 20},
		{[]float64{50, 18, 50}, 25},
		{[]float64{50, 26, 50}, 25},
		{[]float64{50, 86, 50, 86}, 20},
		{[]float64{50, 96, 50}, 10},
		{[]float64{96}, 10},
	} {
		if got := day(c.soc...); got != c.want {
			t.Fatalf("day %d with %v: floor %g, want %g", i, c.soc, got, c.want)
		}
	}
	for range 30 {
		day(50, 5, 50)
	}
	if r.s.Floor != 80 {
		t.Errorf("after 30 bad days: %g", r.s.Floor)
	}
	// A clock that is set back and forth begins no day twice.
	r2 := newRigged(t, Config{Assume: Full, FloorLearning: true})
	r2.run(time.Minute, charge(50, 0))
	for i := range 20 {
		r2.in.Wall = r2.in.Wall.AddDate(0, 0, 1-2*(i%2))
		r2.run(5*time.Minute, charge(14, -1))
	}
	if r2.s.Floor != floorLeast+floorStep { // the second of the two days reached it
		t.Errorf("floor %g after two days, told in turn", r2.s.Floor)
	}
	// The floor is where survive begins now.
	r.s.Level = Full
	r.run(2*time.Minute, charge(79, -1))
	r.want(Survive, "charge")
	// A single absurd reading is no event.
	r = newRigged(t, Config{Assume: Full, FloorLearning: true})
	r.run(time.Minute, charge(50, 0))
	r.step(charge(0, 0))
	r.run(time.Hour, charge(50, 0))
	if r.s.Floor != floorLeast {
		t.Errorf("floor %g after one lie", r.s.Floor)
	}
}

// TestSun compares with the day lengths at the solstices: 45° N 15.4 and 8.6 h, 60° N 18.5 and 5.5 h.
func TestSun(t *testing.T) {
	for _, c := range []struct {
		lat   float64
		month time.Month
		want  float64
	}{{45, 6, 15.4}, {45, 12, 8.6}, {60, 6, 18.5}, {60, 12, 5.5}, {0.01, 3, 12}, {80, 6, 24}, {80, 12, 0}, {-45, 12, 15.4}} {
		lit := 0
		for m := range 24 * 60 {
			t := time.Date(2026, c.month, 21, 0, m, 0, 0, time.UTC)
			if up, _ := sun(c.lat, 0, t); up {
				lit++
			}
		}
		if got := float64(lit) / 60; math.Abs(got-c.want) > 0.06 {
			t.Errorf("%g° in month %d: %.2f h of sun, want %g", c.lat, c.month, got, c.want)
		}
	}
	// At 60° E the sun rises 4 h earlier by UTC, and the countdown ends where it is up.
	night := time.Date(2026, 3, 21, 0, 0, 0, 0, time.UTC)
	_, at0 := sun(45, 0, night)
	_, at60 := sun(45, 60, night)
	if d := at0 - at60; d < 3*time.Hour+55*time.Minute || d > 4*time.Hour+5*time.Minute {
		t.Errorf("%v apart", d)
	}
	if up, _ := sun(45, 0, night.Add(at0+time.Minute)); !up {
		t.Error("not up when it should have risen")
	}
	if up, _ := sun(45, 0, night.Add(at0-2*time.Minute)); up {
		t.Error("up before it rose")
	}
}

// TestNight: at 45° N in December, 22:00, the sun is 9.7 h away. On a Pi 4 full takes
// (2.3 + 0.007·3.1)/0.85 = 2.73 W; 1.3 times that until sunrise are 34.5 Wh.
func TestNight(t *testing.T) {
	c := Config{Assume: Full, CapacityWh: 100, Lat: 45, Lon: 0.01}
	night := time.Date(2026, 12, 21, 22, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		soc     float64
		trusted bool
		want    Level
	}{
		{62, true, Full}, // 47 Wh above the floor of 15 %
		{62, false, Full},
	} {
		r := newRigged(t, c)
		r.in.Wall, r.in.Trusted = night, x.trusted
		if got := r.run(3*time.Minute, charge(x.soc, -0.5)); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
	c.CapacityWh = 60 // 28 Wh
	r := newRigged(t, c)
	r.in.Wall = night
	r.run(3*time.Minute, charge(62, -0.5))
	if r.a.Level != Survive || r.a.Why.Code != "night" {
		t.Errorf("%v because of %s", r.a.Level, r.a.Why.Text)
	}
	r = newRigged(t, c)
	r.in.Wall, r.in.Trusted = night, false // without a date there is no budget
	if got := r.run(3*time.Minute, charge(62, -0.5)); got != Full {
		t.Errorf("%v with an untrusted date", got)
	}
	r = newRigged(t, c)
	r.in.Wall = night.Add(14 * time.Hour) // noon
	if got := r.run(3*time.Minute, charge(62, -0.5)); got != Full {
		t.Errorf("%v at noon", got)
	}
}

func TestYield(t *testing.T) {
	c := Config{Assume: Full, YieldShare: 0.5, Board: Board{Idle: 1, Quiet: 1, Busy: 1}} // 28.2 Wh a day
	for _, x := range []struct {
		wh, soc float64
		want    Level
	}{{60, 70, Full}, {50, 70, Survive}, {50, 90, Full}, {0, 70, Survive}} {
		r := newRigged(t, c)
		s := charge(x.soc, 0)
		s.YieldYesterday = &x.wh
		if got := r.run(3*time.Minute, s); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// TestTwoMeters: the lower of two counts, a voltage never against a counter, and who disagrees is told.
func TestTwoMeters(t *testing.T) {
	r := newRigged(t, mains)
	r.run(3*time.Minute, charge(90, 0), charge(40, 0))
	r.want(Eco, "charge")
	if len(r.a.Warnings) != 1 || r.a.Warnings[0].Code != "meters_disagree" {
		t.Errorf("%+v", r.a.Warnings)
	}
	low := charge(20, 0)
	low.Confidence = Low
	r = newRigged(t, mains)
	r.run(3*time.Minute, low, charge(90, 0))
	r.want(Full, "charge")
}

func TestLies(t *testing.T) {
	inf := math.Inf(1)
	for _, s := range []Sample{{SoC: f(-1)}, {SoC: f(111)}, {SoC: f(math.NaN())}, {SoC: &inf}, {Volts: f(-12)}, {Amps: f(1e9)}, {Watts: f(-inf)}, {PVWatts: f(-1)}, {YieldYesterday: f(-1)}} {
		got, lie := s.Sane()
		if lie == "" || got.SoC != nil || got.Volts != nil || got.Amps != nil || got.Watts != nil || got.PVWatts != nil || got.YieldYesterday != nil {
			t.Errorf("%+v: %+v, %q", s, got, lie)
		}
	}
	got, lie := Sample{SoC: f(104)}.Sane()
	if lie != "" || *got.SoC != 100 {
		t.Errorf("104 %% is %v, %q", *got.SoC, lie)
	}
	// A meter that only lies is as silent as one that says nothing.
	r := newRigged(t, mains)
	r.run(time.Minute, charge(90, 1))
	r.run(20*time.Minute, Sample{Source: "x", SoC: f(-7)})
	r.want(Eco, "silent")
	var codes []string
	for _, w := range r.a.Warnings {
		codes = append(codes, w.Code)
	}
	if strings.Join(codes, " ") != "meter_lies meter_silent" {
		t.Errorf("%v", codes)
	}
}

// TestBadClocks: 1970, and steps back and forth, on the wall and in what should be monotonic, park nothing
// and lose nothing.
func TestBadClocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, trusted := range []bool{false, true} {
		r := newRigged(t, Config{Assume: Full, FloorLearning: true, CapacityWh: 500, Lat: 60, Lon: 20})
		r.in.Trusted = trusted
		for range 5000 {
			switch rng.IntN(6) {
			case 0:
				r.in.Wall = time.Unix(0, 0)
			case 1:
				r.in.Wall = time.Time{}
			case 2:
				r.in.Wall = r.in.Wall.AddDate(0, 0, rng.IntN(2000)-1000)
			case 3:
				r.in.Mono = time.Duration(rng.Uint64() >> 1)
			case 4:
				r.in.Mono = -time.Hour
			}
			if got := r.step(charge(97, 1)); got != Full {
				t.Fatalf("%v at %v, %v: %s", got, r.in.Wall, r.in.Mono, r.a.Why.Text)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []Config{{Park: 40}, {Eco: 20}, {LeavePark: 10}, {Chemistry: "lead"}, {Lat: 91}, {CapacityWh: math.NaN()}, {YieldShare: 2}, {Chemistry: LeadAcid, Survive: 40},
		{Uplink: Uplink{Window: Window{Len: 3, Every: 2}}}} {
		if err := c.Check(); err == nil {
			t.Errorf("%+v passes", c)
		}
	}
	if err := (&Config{}).Check(); err != nil {
		t.Error(err)
	}
}
