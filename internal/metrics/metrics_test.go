package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/power"
	"github.com/taolight/taolight/lightclient"
)

func ptr[T any](v T) *T { return &v }

// full is a snapshot of a node that has everything.
func full() *Snapshot {
	r := &power.Report{Level: power.Eco, SoC: ptr(61.5), ByVolts: ptr(60.), Net: ptr(-2.25), PV: ptr(4.), Source: &power.SourceBrief{Name: "sysfs:BAT0", Age: 3, Conf: power.High},
		Energy: power.EnergyToday{Self: 3, Measured: ptr(20.)}, Levels: map[string]uint64{"full": 100, "eco": 5}, Uplink: ptr(uint64(60)), Sags: ptr(uint64(2)), Link: true,
		Metered: &power.Metered{Left: 7, Limit: 9}, WakeAt: ptr("2026-11-30T12:00:00Z"), Deadline: ptr("2026-11-30T13:00:00Z")}
	return &Snapshot{
		Status: &control.Status{
			Status: lightclient.Status{Network: "finney", Version: "0.1.0", State: "following", Uptime: 60,
				Finalized: &lightclient.BlockStatus{Number: 8912406}, Best: &lightclient.BlockStatus{Number: 8912408}, SetID: 6, Voters: 20,
				FinalizedAge: 14.5, SlotAge: ptr(30.), Trust: lightclient.TrustStatus{AgeDays: ptr(uint64(8)), SetChanges: 6},
				Peers: lightclient.PeersStatus{Open: 8, Wanted: 8, Known: 40}, Clock: lightclient.ClockStatus{Trust: "synced"}, Memory: 30 << 20,
				Watch: &lightclient.WatchStatus{Pending: 3, Revealed: 10, Lost: 1}, Health: []lightclient.Warning{{Code: "metered", Severity: "warn"}, {Code: "metered", Severity: "warn"}}},
			Disk: &control.Disk{FileBytes: 1 << 20, BytesWritten: 5000, Syncs: 4, ArchiveBytes: 9},
			Measures: &control.Measures{Report: r, Bytes: map[string]map[string]uint64{"in": {"gossip": 1, "other": 2}, "out": {"gossip": 3, "other": 4}},
				Wakeups: ptr(6.2), CPU: ptr(1.5), Unclean: ptr(uint64(1)), ClockStep: 2, Missed: ptr(uint64(0))},
		},
		Gossip: &gossip.Stats{Neighbours: 4, Messages: gossip.Counts{Accepted: 100, Rejected: 2}},
		RPC:    &RPC{Conns: 1, Subscriptions: 2, Requests: 3}, Alerts: &Alerts{Sent: 1}, Go: "go1.26",
		Neurons: []Neuron{{Role: "validator", Netuid: 18, Registered: true, Deadlines: []Deadline{{"weights", 1800}}}, {Role: "miner", Netuid: 1}, {Role: "miner", Netuid: 1}},
	}
}

// line is one sample of the text form: https://prometheus.io/docs/instrumenting/exposition_formats/
var line = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*\})? (\S+)$`)

// parse reads the text form as strictly as its description has it, and returns the samples.
func parse(t *testing.T, text string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	kinds := map[string]string{}
	last := ""
	for i, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if rest, ok := strings.CutPrefix(l, "# HELP "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if _, twice := kinds[name]; twice {
				t.Errorf("line %d: %s is begun twice", i+1, name)
			}
			kinds[name], last = "", name
			continue
		}
		if rest, ok := strings.CutPrefix(l, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if name != last || kind != "gauge" && kind != "counter" {
				t.Errorf("line %d: %q", i+1, l)
			}
			kinds[name] = kind
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("line %d is no sample: %q", i+1, l)
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil || m[1] != last || kinds[m[1]] == "" {
			t.Errorf("line %d: %q in the family %q: %v", i+1, l, last, err)
		}
		if _, twice := out[m[1]+m[2]]; twice {
			t.Errorf("line %d: twice: %q", i+1, l)
		}
		out[m[1]+m[2]] = v
	}
	return out
}

func text(t *testing.T, s *Snapshot) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFull: a node that has everything writes every name there is, and what it has.
func TestFull(t *testing.T) {
	out := text(t, full())
	got := parse(t, out)
	for _, name := range Names() {
		if !strings.Contains(out, "\n# TYPE "+name+" ") && !strings.HasPrefix(out, "# HELP "+name+" ") {
			if name == "taolight_power_soc_by_volts_est" {
				continue // measured, so not estimated
			}
			t.Errorf("%s is not written", name)
		}
	}
	for key, want := range map[string]float64{
		"taolight_finalized_number": 8912406, "taolight_finalized_age_seconds": 14.5, `taolight_state{state="following"}`: 1, `taolight_state{state="stale"}`: 0,
		`taolight_peers{kind="open"}`: 8, "taolight_power_level": 2, "taolight_power_soc": 61.5, "taolight_power_watts_net": -2.25,
		`taolight_energy_wh_today{kind="measured"}`: 20, `taolight_level_seconds_total{level="eco"}`: 5, `taolight_bytes_total{dir="out",class="gossip"}`: 3,
		"taolight_next_wake_at": 1796040000, "taolight_next_deadline_at": 1796043600, "taolight_clock_trust": 3, `taolight_warning{code="metered",severity="warn"}`: 1,
		`taolight_power_source{name="sysfs:BAT0",conf="high"}`: 1, `taolight_neuron_registered{role="miner",netuid="1"}`: 0, `taolight_neuron_deadline_seconds{role="validator",netuid="18",name="weights"}`: 1800, "taolight_power_source_age_seconds": 3, "taolight_deadline_missed_total": 0, "taolight_undervoltage_events_total": 2,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
		}
	}
	for key := range got {
		name, _, _ := strings.Cut(key, "{")
		if !slices.Contains(Names(), name) {
			t.Errorf("%s is in no table", name)
		}
	}
}

// TestAbsent: what a machine does not have has no line, and never a 0.
func TestAbsent(t *testing.T) {
	bare := &Snapshot{Status: &control.Status{Status: lightclient.Status{State: "no peers", Clock: lightclient.ClockStatus{Trust: "floor"}}}}
	out := text(t, bare)
	parse(t, out)
	for _, name := range []string{"power", "energy", "level_seconds", "undervoltage", "uplink", "finalized", "best", "store", "db_bytes", "gossip", "rpc", "watch", "next_", "wakeups",
		"cpu_", "checkpoint_age", "deadline_missed", "neuron", "alerts", "authorities", "link_open"} {
		if strings.Contains(out, Prefix+name) {
			t.Errorf("%s…: there is none", name)
		}
	}
	s := full()
	s.Status.Measures.Report = &power.Report{Level: power.Full, Levels: map[string]uint64{}} // mains, no meter
	out = text(t, s)
	for _, name := range []string{"power_soc", "power_watts", "power_source", "undervoltage", "uplink", `kind="measured"`, "data_left"} {
		if strings.Contains(out, name) {
			t.Errorf("%s is written without a meter", name)
		}
	}
	s.Status.Measures.Report = &power.Report{SoC: ptr(math.NaN()), Net: ptr(math.Inf(1)), Levels: map[string]uint64{}}
	if out := text(t, s); strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
		t.Error("what is no number is written")
	}
}

// TestLabels: whatever a name holds, a line stays a line.
func TestLabels(t *testing.T) {
	s := full()
	for _, name := range []string{"a\"b\\c\nd", "\"} 1\nfalse_metric 2", "\xff\xfe", ""} {
		s.Status.Measures.Source.Name = name
		got := parse(t, text(t, s))
		for key := range got {
			if strings.HasPrefix(key, "false_metric") {
				t.Errorf("%q: %s", name, key)
			}
		}
	}
}

// TestContrib: the board and the rules ask for nothing that no node writes.
func TestContrib(t *testing.T) {
	word := regexp.MustCompile(`taolight_[a-z0-9_]+`)
	for _, path := range []string{"../../contrib/grafana/taolight.json", "../../contrib/prometheus/taolight.rules.yml"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, name := range word.FindAllString(string(b), -1) {
			if n++; !slices.Contains(Names(), name) {
				t.Errorf("%s: %s is in no table", path, name)
			}
		}
		if n < 15 {
			t.Errorf("%s: %d names", path, n)
		}
	}
	var board struct {
		Panels []struct {
			ID      int
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	b, _ := os.ReadFile("../../contrib/grafana/taolight.json")
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	place := map[string]int{}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d: %+v", p.ID, p)
		}
		at := fmt.Sprint(p.GridPos.X, " ", p.GridPos.Y)
		if place[at] != 0 {
			t.Errorf("panels %d and %d lie on each other", place[at], p.ID)
		}
		place[at] = p.ID
	}
}

// TestPromtool: Prometheus' own checker reads what is written here, and the rules.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool (Debian: prometheus) is not here")
	}
	if out, err := exec.Command(tool, "check", "rules", "../../contrib/prometheus/taolight.rules.yml").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	check := exec.Command(tool, "check", "metrics")
	check.Stdin = strings.NewReader(text(t, full()))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 { // it has opinions on names, too
		t.Errorf("%v: %s", err, out)
	}
}
