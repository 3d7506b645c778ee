package health

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func codes(list []Warning) string {
	var s []string
	for _, w := range list {
		s = append(s, w.Code)
	}
	return strings.Join(s, " ")
}

func changed(list []Change) string {
	var s []string
	for _, c := range list {
		code := c.Code
		if c.Over {
			code = "-" + code
		}
		s = append(s, code)
	}
	return strings.Join(s, " ")
}

func ptr[T any](v T) *T { return &v }

// TestKinds: what the table says of itself must be so, since everything else goes by it.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds {
		if seen[k.Code] {
			t.Errorf("%s: twice", k.Code)
		}
		seen[k.Code] = true
		if k.About == "" || !slices.Contains([]string{Error, Warn, Note}, k.Severity) {
			t.Errorf("%s: %+v", k.Code, k)
		}
		if k.Topic != "" && !slices.Contains(Topics, k.Topic) {
			t.Errorf("%s: no topic is called %q", k.Code, k.Topic)
		}
	}
	for _, k := range Kinds {
		for _, b := range k.Because {
			if !seen[b] {
				t.Errorf("%s: because of %q, which is no kind", k.Code, b)
			}
			if slices.Contains(KindOf(b).Because, k.Code) {
				t.Errorf("%s and %s explain each other, so that neither would be told", k.Code, b)
			}
		}
	}
}

// TestFind: each thing that is looked at leads to its warning, and an input without faults to none.
func TestFind(t *testing.T) {
	sound := Input{Linked: true, Peers: 8, Wanted: 8, Neighbours: ptr(3), ClockTrust: "synced", Memory: 30 << 20, MemoryLimit: 96 << 20,
		Available: ptr(uint64(1 << 30)), DiskFree: ptr(uint64(1 << 33)), Spec: 425, Audited: 425, Level: "full", SoC: ptr(90.), DataLeft: ptr(uint64(50)), DataLimit: 100}
	for _, c := range []struct {
		name  string
		spoil func(in *Input)
		want  string
	}{
		{"nothing", func(*Input) {}, ""},
		{"one peer", func(in *Input) { in.Peers = 1 }, "peers-few"},
		{"one of one", func(in *Input) { in.Peers, in.Wanted = 1, 1 }, ""},
		{"asleep", func(in *Input) { in.Peers, in.Linked, in.Neighbours = 1, false, ptr(0) }, ""},
		{"alone", func(in *Input) { in.Neighbours = ptr(0) }, "gossip-alone"},
		{"no gossip", func(in *Input) { in.Neighbours = nil }, ""},
		{"clock", func(in *Input) { in.ClockTrust = "floor" }, "clock-untrusted"},
		{"clock of a demo", func(in *Input) { in.ClockTrust, in.Demo = "floor", true }, ""},
		{"memory", func(in *Input) { in.Memory = 95 << 20 }, "memory-high"},
		{"machine", func(in *Input) { in.Available = ptr(uint64(1 << 20)) }, "memory-high"},
		{"no limit", func(in *Input) { in.Memory, in.MemoryLimit = 1<<40, 0 }, ""},
		{"disk", func(in *Input) { in.DiskFree = ptr(uint64(1 << 20)) }, "disk-low"},
		{"rebuilt", func(in *Input) { in.Rebuilt = "moved aside" }, "store-rebuilt"},
		{"rebuilt long ago", func(in *Input) { in.Rebuilt, in.Mono = "moved aside", 25*time.Hour }, ""},
		{"rules", func(in *Input) { in.Spec = 426 }, "rules-unaudited"},
		{"battery", func(in *Input) { in.Level, in.SoC = "survive", ptr(20.) }, "battery-low"},
		{"data", func(in *Input) { in.DataLeft = ptr(uint64(9)) }, "data-near"},
		{"watch", func(in *Input) { in.WatchError = "pruned" }, "watch-failing"},
		{"deregistered", func(in *Input) { in.Duties = []Duty{{Name: "miner of subnet 1", Deregistered: true}} }, "deregistered"},
		{"deadline", func(in *Input) { in.Duties = []Duty{{Name: "v", Due: "weights", In: ptr(time.Hour)}} }, "deadline-near"},
		{"deadline far", func(in *Input) { in.Duties = []Duty{{Name: "v", Due: "weights", In: ptr(3 * time.Hour)}} }, ""},
		{"port", func(in *Input) { in.RPC = "in use" }, "rpc-closed"},
		{"socket", func(in *Input) { in.Control = "too long" }, "control-closed"},
		{"hook", func(in *Input) { in.Hook = "exit 1" }, "hook-failed"},
		{"alert", func(in *Input) { in.Alerts = "refused" }, "alert-failed"},
		{"policy", func(in *Input) { in.Power = []Warning{{"under_voltage", Error, "t", "r"}} }, "under-voltage"},
	} {
		in := sound
		c.spoil(&in)
		w := Watch{Hasty: true}
		shown, _, _ := w.Look(&in)
		if got := codes(shown); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		for _, s := range shown {
			if s.Title == "" || s.Remedy == "" || s.Severity == "" {
				t.Errorf("%s: %+v", c.name, s)
			}
			if !slices.ContainsFunc(Kinds, func(k Kind) bool { return k.Code == s.Code }) {
				t.Errorf("%s: %s is not in the table", c.name, s.Code)
			}
		}
	}
}

// TestWatch: time until told, causes that explain, what begins, what ends, and whom it wakes.
func TestWatch(t *testing.T) {
	node := func(list ...string) []Warning {
		var out []Warning
		for _, code := range list {
			out = append(out, Warning{code, KindOf(code).Severity, code + " it is", "do something"})
		}
		return out
	}
	var w Watch
	for _, s := range []struct {
		at                   time.Duration
		in                   Input
		shown, begun, alerts string
	}{
		{0, Input{Level: "full"}, "", "", ""},
		{time.Second, Input{Node: node("no-peers", "finality-slow")}, "", "", ""},
		{2 * time.Second, Input{}, "", "", ""}, // it went before it was told
		{10 * time.Second, Input{Node: node("no-peers", "finality-stale")}, "", "", ""},
		{13 * time.Second, Input{Node: node("finality-stale", "no-peers", "clock-behind")}, "no-peers clock-behind", "no-peers clock-behind", ""},
		{20 * time.Second, Input{Node: node("no-peers", "finality-stale")}, "no-peers", "-clock-behind", ""},
		{11 * time.Minute, Input{Node: node("no-peers", "finality-stale")}, "no-peers", "", "no-peers"},
		{12 * time.Minute, Input{Node: node("no-peers", "finality-stale")}, "no-peers", "", ""}, // once
		{13 * time.Minute, Input{Node: node("finality-stale")}, "finality-stale", "finality-stale -no-peers", "finality-stale -no-peers"},
		{14 * time.Minute, Input{}, "", "-finality-stale", "-finality-stale"},
		{15 * time.Minute, Input{Level: "eco", LevelWhy: "battery"}, "", "", LevelCode},
		{16 * time.Minute, Input{Level: "eco", Lost: 2, ClockSteps: 1}, "commit-lost clock-stepped", "commit-lost clock-stepped", "commit-lost"},
		{17 * time.Minute, Input{Level: "eco", Lost: 2, ClockSteps: 1, Node: node("frobnicated")}, "commit-lost frobnicated clock-stepped", "frobnicated", ""},
		{9 * time.Hour, Input{Level: "eco", Lost: 2, ClockSteps: 1}, "", "-clock-stepped -commit-lost -frobnicated", "-commit-lost"},
	} {
		s.in.Mono = s.at
		shown, changes, alerts := w.Look(&s.in)
		got := [3]string{codes(shown), changed(changes), changed(alerts)}
		if want := [3]string{s.shown, s.begun, s.alerts}; !sameWords(got, want) {
			t.Errorf("%v: %q, want %q", s.at, got, want)
		}
	}
}

// sameWords compares lists; in which order things begin and end in one look means nothing.
func sameWords(a, b [3]string) bool {
	for i := range a {
		x, y := strings.Fields(a[i]), strings.Fields(b[i])
		if i > 0 {
			slices.Sort(x)
			slices.Sort(y)
		}
		if !slices.Equal(x, y) {
			return false
		}
	}
	return true
}

// TestFirstLook: what a process has inherited is no news.
func TestFirstLook(t *testing.T) {
	var w Watch
	shown, changes, alerts := w.Look(&Input{Lost: 5, ClockSteps: 3, Level: "eco"})
	if len(shown)+len(changes)+len(alerts) > 0 {
		t.Errorf("%v %v %v", shown, changes, alerts)
	}
}

// TestTwoOfACode: two neurons without a uid are two warnings, and one line of a log.
func TestTwoOfACode(t *testing.T) {
	var w Watch
	shown, changes, alerts := w.Look(&Input{Duties: []Duty{{Name: "a", Deregistered: true}, {Name: "b", Deregistered: true}}})
	if len(shown) != 2 || len(changes) != 1 || len(alerts) != 1 {
		t.Errorf("%v %v %v", shown, changes, alerts)
	}
}
