package power

import (
	"math"
	"testing"
	"time"
)

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		w      Window
		height uint32
		open   bool
		next   uint32
	}{
		{CheapWindow, 0, true, 300}, {CheapWindow, 9, true, 300}, {CheapWindow, 10, false, 300}, {CheapWindow, 299, false, 300}, {CheapWindow, 300, true, 600},
		{UplinkWindow, 1214, true, 2400}, {UplinkWindow, 1215, false, 2400},
		{Window{10, 300, 20}, 20, true, 320}, {Window{10, 300, 20}, 19, false, 20}, {Window{1, 1, 0}, 77, true, 78},
		{Window{1, 0, 0}, 5, true, 6}, {Window{10, 300, 0}, math.MaxUint32, false, 4294967400 % (1 << 32)},
	} {
		if got := c.w.Open(c.height); got != c.open {
			t.Errorf("%+v at %d: open %v", c.w, c.height, got)
		}
		if got := c.w.Next(c.height); got != c.next {
			t.Errorf("%+v at %d: next %d, want %d", c.w, c.height, got, c.next)
		}
	}
	if w, err := ParseWindow("15/1200"); err != nil || w != UplinkWindow {
		t.Errorf("%+v, %v", w, err)
	}
	for _, s := range []string{"", "15", "15/", "0/10", "11/10", "15/1200x", "-1/3", "1/99999", "a/b"} {
		if w, err := ParseWindow(s); err == nil {
			t.Errorf("ParseWindow(%q) = %+v", s, w)
		}
	}
}

// TestUplink: in survive the link is powered before its window by the time that it took before, and off
// after it.
func TestUplink(t *testing.T) {
	r := newRigged(t, Config{Assume: Full, Uplink: Uplink{Switched: true, Watts: 30}})
	low := charge(20, 0)
	r.in.Height, r.in.LinkTook = 1190, 60*time.Second
	r.step(low)
	r.in.LinkTook = 0
	for h, want := range map[uint32][2]bool{ // uplink, link
		1190: {false, false}, 1194: {false, false}, 1195: {true, false}, 1199: {true, false}, 1200: {true, true}, 1214: {true, true}, 1215: {false, false},
	} {
		r.in.Height = h
		r.step(low)
		if r.a.Uplink != want[0] || r.a.Link != want[1] {
			t.Errorf("at %d: uplink %v, link %v; want %v", h, r.a.Uplink, r.a.Link, want)
		}
	}
	r.in.Height = 1215
	r.step(low)
	if r.a.WakeIn == nil || *r.a.WakeIn != 1185*BlockTime {
		t.Errorf("wakes in %v", r.a.WakeIn)
	}
	if r.a.Plan.SyncEvery != 1200 {
		t.Errorf("syncs every %d blocks", r.a.Plan.SyncEvery)
	}
	r.in.Height = 0 // nothing is known: the link is needed to find out
	r.step(low)
	if !r.a.Link {
		t.Error("no link without a height")
	}
	// But one that leads nowhere is tried for ten minutes in the four hours of a period.
	r = newRigged(t, Config{Assume: Full, Uplink: Uplink{Switched: true, Watts: 30}})
	open := 0
	for range 24 * 360 {
		if r.step(low); r.a.Uplink {
			open++
		} else if r.a.WakeIn == nil || *r.a.WakeIn > 4*time.Hour {
			t.Fatalf("closed, wakes in %v", r.a.WakeIn)
		}
	}
	if open != 6*60 {
		t.Errorf("on for %v of a day", time.Duration(open)*tick)
	}
	// The energy it may take in a day is bounded: 30 W for 2 h are 60 Wh.
	r = newRigged(t, Config{Assume: Full, Uplink: Uplink{Switched: true, Watts: 30, MaxWhPerDay: 60}})
	r.run(time.Hour, charge(90, 0))
	if !r.a.Uplink {
		t.Error("off too soon")
	}
	r.run(62*time.Minute, charge(90, 0))
	if r.a.Uplink {
		t.Error("on for longer than its energy bears")
	}
}

// TestDeadlines: in survive the link is opened for half of an activity cutoff of 5,000 blocks, in park only
// if the battery bears it twice, and what will be missed is told hours before.
func TestDeadlines(t *testing.T) {
	d := Deadline{Name: "weights of subnet 18", Wake: 12_500, Due: 15_000, Wh: 2}
	r := newRigged(t, Config{Assume: Full, CapacityWh: 100, Uplink: Uplink{Switched: true, Watts: 30}})
	r.in.Deadlines = []Deadline{d}
	low := charge(20, 0)
	r.in.Height = 12_100
	r.step(low)
	if r.a.Link || *r.a.WakeIn != 400*BlockTime {
		t.Errorf("link %v, wakes in %v", r.a.Link, r.a.WakeIn)
	}
	r.in.Height = 12_500
	r.step(low)
	if !r.a.Link || r.a.LinkWhy != d.Name {
		t.Errorf("link %v for %q", r.a.Link, r.a.LinkWhy)
	}
	r.run(2*time.Minute, charge(14, -1))
	r.want(Park, "charge")
	if !r.a.Link { // 14 - 7.5 % of 100 Wh are more than 4
		t.Error("no last call")
	}
	r.step(charge(11, -1))
	if r.a.Link {
		t.Error("a last call that the battery does not bear")
	}
	risk := func() bool {
		for _, w := range r.a.Warnings {
			if w.Code == "deadline_at_risk" {
				return true
			}
		}
		return false
	}
	if risk() {
		t.Error("told 8 hours ahead")
	}
	r.in.Height = 15_000 - 600 // 2 h
	r.step(charge(11, -1))
	if !risk() {
		t.Error("not told 2 h ahead")
	}
	r.in.Height = 15_001
	r.step(charge(11, -1))
	if w := r.a.Warnings; w[len(w)-1].Code != "deadline_missed" {
		t.Errorf("%+v", w)
	}
}

// TestMetered: the cadence falls before the limit, whatever the battery says, and rises at most once an
// hour.
func TestMetered(t *testing.T) {
	r := newRigged(t, Config{Assume: Full, MaxBytesPerDay: 100e6})
	r.run(time.Minute, charge(100, 0))
	if m := r.a.Metered; m.Level != Full || m.Left != 100e6 {
		t.Fatalf("%+v", m)
	}
	// A node that moves 40 MB an hour.
	var before uint64
	for r.a.Metered.Level == Full {
		r.in.Bytes += 111_111
		r.step(charge(100, 0))
		before = r.a.Metered.Used
	}
	if before > 60e6 || r.a.Level != Full || r.a.Plan.Finality != "pull" {
		t.Errorf("at %d bytes: level %v, plan %+v", before, r.a.Level, r.a.Plan)
	}
	r.in.Bytes += 95e6 - before
	r.step(charge(100, 0))
	if r.a.Metered.Level != Eco { // 3.1 MB for a whole day, 5 MB are left
		t.Errorf("%+v", r.a.Metered)
	}
	r.in.Bytes += 4e6
	r.step(charge(100, 0))
	if m := r.a.Metered; m.Level != Park || r.a.Link || m.Left != 1e6 {
		t.Errorf("%+v, link %v", m, r.a.Link)
	}
	// A new day, and a new process, whose counter starts again.
	r.in.Bytes = 500
	r.run(25*time.Hour, charge(100, 0))
	if m := r.a.Metered; m.Level != Full || m.Used != 0 {
		t.Errorf("on the next day %+v", m)
	}
	// A limit of just what eco takes leaves no reserve for it. One of a little more bears eco, until a burst;
	// some 20 minutes later it would bear it again, but is not asked for an hour.
	r = newRigged(t, Config{Assume: Full, MaxBytesPerDay: plans[Eco].estimatedBytes})
	r.step(charge(100, 0))
	if r.a.Metered.Level != Survive {
		t.Errorf("%+v", r.a.Metered)
	}
	r = newRigged(t, Config{Assume: Full, MaxBytesPerDay: 3_300_000})
	r.in.Trusted = false
	ups := 0
	for range 6 * 60 * 10 {
		r.step(charge(100, 0))
		if r.a.Metered.Level >= Eco {
			ups++
			for r.a.Metered.Level >= Eco {
				r.in.Bytes += 20_000
				r.step(charge(100, 0))
			}
		}
	}
	if ups < 2 || ups > 11 {
		t.Errorf("eco was taken up %d times in 10 hours", ups)
	}
	for _, lim := range []uint64{1, 1000, 400_000, math.MaxUint64} {
		r := newRigged(t, Config{Assume: Full, MaxBytesPerDay: lim})
		r.in.Bytes = 10
		r.run(time.Hour, charge(100, 0))
		if lim == 1 && r.a.Link || lim == math.MaxUint64 && r.a.Metered.Level != Full {
			t.Errorf("limit %d: %+v", lim, r.a.Metered)
		}
	}
}
