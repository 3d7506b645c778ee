package health

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Warning is something that is not as it should be.
type Warning struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
	Remedy   string `json:"remedy"`
}

// Input is what is looked at. What is not known is zero or nil, and then nothing is said of it.
type Input struct {
	Mono time.Duration // since some moment of this process
	Demo bool          // a chain on which nothing is worth anything

	Node  []Warning // what the light client found itself
	Power []Warning // and the policy of power; underscores in codes are read as dashes

	Linked     bool // connections may be open
	Peers      int
	Wanted     int
	Neighbours *int // light nodes; nil: none are looked for

	ClockTrust string
	ClockSteps uint64

	Memory      uint64  // bytes that this process has
	MemoryLimit uint64  // that it may have; 0: no limit
	Available   *uint64 // bytes that the machine has left
	DiskFree    *uint64 // bytes left where the data are
	Rebuilt     string  // what was done to the store at the start, in words

	Spec, Audited uint32 // the chain's spec_version, and the newest whose rules were audited

	Level     string // of power
	LevelWhy  string
	SoC       *float64 // percent
	DataLeft  *uint64  // of the day's traffic
	DataLimit uint64

	Lost       uint64 // commitments, since the start
	WatchError string
	Duties     []Duty

	RPC, Control string // why they are closed
	Hook, Alerts string // why the last one failed
}

// A Duty is a neuron's, or what somebody else has to do on the chain.
type Duty struct {
	Name         string // "validator of subnet 18"
	Deregistered bool
	Due          string         // what has to be done; empty: nothing
	In           *time.Duration // until then
}

// Our own limits.
const (
	DiskLeast   = 64 << 20 // bytes
	MemoryLeast = 24 << 20 // bytes that a machine should have left
	DeadlineSay = 2 * time.Hour
	steppedFor  = time.Hour     // how long a set clock is told
	lostFor     = 6 * time.Hour // how long a lost commitment is told
	rebuiltFor  = 24 * time.Hour
)

// Find lists what is not as it should be, without regard to how long and to what explains what. lost and stepped tell
// whether a counter has grown lately.
func (in *Input) find(lost, stepped bool) []Warning {
	var list []Warning
	add := func(code, title, remedy string) {
		list = append(list, Warning{code, KindOf(code).Severity, title, remedy})
	}
	list = append(list, in.Node...)
	for _, w := range in.Power {
		w.Code = strings.ReplaceAll(w.Code, "_", "-")
		list = append(list, w)
	}
	if in.Linked && in.Peers == 1 && in.Wanted > 2 {
		add("peers-few", "one peer alone is asked: it cannot lie, but it can keep silent", "wait, look at taolight peers, or name more with --peer")
	}
	if in.Linked && in.Neighbours != nil && *in.Neighbours == 0 {
		add("gossip-alone", "no other light node is near: nobody brings proofs when the peers are silent", "name one with --peer, or leave it: finality does not need it")
	}
	if t := in.ClockTrust; !in.Demo && (t == "none" || t == "floor") {
		add("clock-untrusted", "the clock's trust is "+t+": nothing is signed, finality goes on", "let the machine set its clock (systemd-timesyncd, chrony, GPS), or wait for finalized heads at the chain's pace")
	}
	if stepped {
		add("clock-stepped", "the clock was set within the last hour", "nothing, if you or a time service did; else look at what sets it")
	}
	if in.MemoryLimit > 0 && in.Memory > in.MemoryLimit-in.MemoryLimit/20 {
		add("memory-high", fmt.Sprintf("%d of %d MiB of memory are used", in.Memory>>20, in.MemoryLimit>>20), "fewer peers (--max-peers), fewer watched subnets, or a higher GOMEMLIMIT")
	} else if in.Available != nil && *in.Available < MemoryLeast {
		add("memory-high", fmt.Sprintf("the machine has %d MiB of memory left", *in.Available>>20), "stop what else runs on it, or give it swap on zram")
	}
	if in.DiskFree != nil && *in.DiskFree < DiskLeast {
		add("disk-low", fmt.Sprintf("%d MB are left on the disk", *in.DiskFree/1e6), "make room; when nothing is left, verification goes on in memory")
	}
	if in.Rebuilt != "" && in.Mono < rebuiltFor {
		add("store-rebuilt", in.Rebuilt, "nothing now: it was proven again; if it comes back, replace the card")
	}
	if in.Spec > in.Audited && in.Audited > 0 {
		add("rules-unaudited", fmt.Sprintf("the chain runs spec %d, whose rules were not audited here (up to %d)", in.Spec, in.Audited), "upgrade taolight; finality and values are proven as before, verdicts on commitments and epochs are undecided")
	}
	if in.Level == "survive" && in.SoC != nil {
		add("battery-low", fmt.Sprintf("the battery is at %.0f %%: %s", *in.SoC, in.LevelWhy), "charge it, or take load off it; taolight power tells what comes next")
	}
	if in.DataLeft != nil && in.DataLimit > 0 && *in.DataLeft < in.DataLimit/10 {
		add("data-near", fmt.Sprintf("%.1f of %.1f MB are left today", float64(*in.DataLeft)/1e6, float64(in.DataLimit)/1e6), "nothing, or a higher max_mb_per_day")
	}
	if lost {
		add("commit-lost", fmt.Sprintf("weight commitments of watched subnets and of validators here that were lost since the start: %d", in.Lost), "taolight commits NETUID and taolight neuron status tell whose and why")
	}
	if in.WatchError != "" {
		add("watch-failing", "watched subnets: "+in.WatchError, "taolight peers tells whom it asks; an archive peer (--peer) has older states")
	}
	for _, d := range in.Duties {
		if d.Deregistered {
			add("deregistered", d.Name+" has lost its uid", "register the hotkey again (btcli, or taolight tx register), or stop the neuron")
		}
		if d.Due != "" && d.In != nil && *d.In < DeadlineSay {
			add("deadline-near", fmt.Sprintf("%s: %s in %s", d.Name, d.Due, minutes(*d.In)), "taolight neuron status tells what keeps it; see that the node has peers and power")
		}
	}
	if in.RPC != "" {
		add("rpc-closed", in.RPC, "another node may have the port: give another --rpc-listen ADDRESS:PORT, or none")
	}
	if in.Control != "" {
		add("control-closed", in.Control, "see that the data directory is this user's, and its path short")
	}
	if in.Hook != "" {
		add("hook-failed", in.Hook, "run the command by hand as the node's user; taolight power tells what it said")
	}
	if in.Alerts != "" {
		add("alert-failed", in.Alerts, "taolight doctor --alert tries it")
	}
	return list
}

func minutes(d time.Duration) string {
	if d = max(d, 0).Round(time.Minute); d >= time.Hour {
		return fmt.Sprintf("%dh%02dmin", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dmin", int(d.Minutes()))
}

// A Change is a warning that began or is over, or another event that somebody is woken for.
type Change struct {
	Warning
	Topic string
	Over  bool
}

// A Watch remembers since when what is so. The zero value has seen nothing.
type Watch struct {
	Hasty bool // tell all at once: whoever asks will not ask again

	seen map[string]*entry
	last counters
	any  bool
}

// counters are those of the last look, and when they grew.
type counters struct {
	lost, steps     uint64
	lostAt, stepAt  time.Duration
	level           string
	lostIn, stepped bool
}

// An entry is what is known of a code that holds.
type entry struct {
	since  time.Duration // when it began
	told   time.Duration // when it was first told
	shown  bool
	woke   bool
	latest Warning
}

// Look takes what is so now. It returns what to show, worst first, what has begun or ended since the last look,
// for a log, and what somebody is to be woken for.
func (w *Watch) Look(in *Input) (shown []Warning, changes, alerts []Change) {
	if w.seen == nil {
		w.seen = map[string]*entry{}
	}
	w.count(in, &alerts)
	found := in.find(w.last.lostIn && in.Mono-w.last.lostAt < lostFor, w.last.stepped && in.Mono-w.last.stepAt < steppedFor)
	now := map[string]bool{}
	for _, f := range found {
		now[f.Code] = true
		if e := w.seen[f.Code]; e == nil {
			w.seen[f.Code] = &entry{since: in.Mono, latest: f}
		} else {
			e.latest = f
		}
	}
	shown = []Warning{}
	told := map[string]bool{}
	for _, f := range found {
		k, e := KindOf(f.Code), w.seen[f.Code]
		explained := slices.ContainsFunc(k.Because, func(code string) bool { return now[code] })
		if explained || !w.Hasty && in.Mono-e.since < k.After {
			if e.shown && explained {
				e.shown = false // its cause is told instead
			}
			continue
		}
		shown = append(shown, f)
		if told[f.Code] {
			continue // several of one code are one change
		}
		told[f.Code] = true
		if !e.shown {
			e.shown, e.told = true, in.Mono
			changes = append(changes, Change{f, k.Topic, false})
		}
		if k.Topic != "" && !e.woke && in.Mono-e.told >= k.Hold {
			e.woke = true
			alerts = append(alerts, Change{f, k.Topic, false})
		}
	}
	codes := make([]string, 0, len(w.seen))
	for code := range w.seen {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		e := w.seen[code]
		if now[code] {
			continue
		}
		delete(w.seen, code)
		if e.shown {
			changes = append(changes, Change{e.latest, KindOf(code).Topic, true})
		}
		if e.woke {
			alerts = append(alerts, Change{e.latest, KindOf(code).Topic, true})
		}
	}
	slices.SortStableFunc(shown, func(a, b Warning) int { return rank(a) - rank(b) })
	w.any = true
	return shown, changes, alerts
}

// LevelCode is the code of the alert that tells of another power level. It is no warning: a level is no fault.
const LevelCode = "power-level"

// count finds out which counters grew. Those of before the first look are no news.
func (w *Watch) count(in *Input, alerts *[]Change) {
	c := &w.last
	if w.any && in.Lost > c.lost {
		c.lostAt, c.lostIn = in.Mono, true
	}
	if w.any && in.ClockSteps > c.steps {
		c.stepAt, c.stepped = in.Mono, true
	}
	if w.any && in.Level != "" && c.level != "" && in.Level != c.level {
		*alerts = append(*alerts, Change{Warning{LevelCode, Note, "power level " + in.Level + ", before " + c.level + ": " + in.LevelWhy,
			"taolight power tells what comes next"}, Power, false})
	}
	c.lost, c.steps = in.Lost, in.ClockSteps
	if in.Level != "" {
		c.level = in.Level
	}
}
