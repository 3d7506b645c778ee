package health

import (
	"slices"
	"time"
)

// How bad a warning is.
const (
	Error = "error" // what the node is for does not work, or is at risk
	Warn  = "warn"  // it works, and will not for ever
	Note  = "note"  // it works, and could be better
)

// What an alert is about. The owner picks among these.
const (
	Commits  = "commits"  // a weight commitment was lost
	Neurons  = "neurons"  // a hotkey has lost its place
	Deadline = "deadline" // something on the chain must be done soon
	Finality = "finality" // it stands still, or conflicts
	Power    = "power"    // the level changed, or the supply is bad
)

// Topics are all that alerts can be about.
var Topics = []string{Commits, Neurons, Deadline, Finality, Power}

// A Kind is what is known of a warning before it arises.
type Kind struct {
	Code     string
	Severity string
	About    string // what it is, for whoever reads a list of them

	// Because names kinds that explain this one: while one of them holds, this one is not told.
	Because []string
	// After is how long it has to hold before it is told.
	After time.Duration

	Topic string        // of alerts; empty: it wakes nobody
	Hold  time.Duration // for how long it has to be told before it wakes somebody
}

// noHead are the causes of a head that does not move.
var noHead = []string{"no-peers", "checkpoint-unlinked", "finality-conflict", "unknown-rules", "parked"}

// Kinds are all kinds of warnings, the worst first. It is read only.
var Kinds = []Kind{
	{Code: "finality-conflict", Severity: Error, About: "two valid finalities contradict each other", Topic: Finality},
	{Code: "unknown-rules", Severity: Error, About: "the chain uses rules that this version does not know", Topic: Finality},
	{Code: "deregistered", Severity: Error, About: "a hotkey of a neuron has no uid any more", Topic: Neurons},
	{Code: "deadline-missed", Severity: Error, About: "something was not done in time", Topic: Deadline},
	{Code: "deadline-at-risk", Severity: Error, About: "something is due, and power or traffic forbid it", Topic: Deadline},
	{Code: "parked", Severity: Error, About: "the battery is too low to do anything", Topic: Power},
	{Code: "under-voltage", Severity: Error, About: "the board's supply sags", Topic: Power},
	{Code: "no-peers", Severity: Error, About: "there is nobody to ask", Because: []string{"parked"}, After: 3 * time.Second, Topic: Finality, Hold: 10 * time.Minute},
	{Code: "checkpoint-unlinked", Severity: Error, About: "finality cannot be proven from the checkpoint", After: 10 * time.Second, Topic: Finality, Hold: 2 * time.Minute},
	{Code: "finality-stale", Severity: Error, About: "the finalized head is old", Because: noHead, Topic: Finality},
	{Code: "commit-lost", Severity: Warn, About: "a weight commitment of a watched subnet was not revealed", Topic: Commits},
	{Code: "deadline-near", Severity: Warn, About: "something is due soon and not done", Because: []string{"deadline-at-risk", "deadline-missed"}, Topic: Deadline},
	{Code: "store-degraded", Severity: Warn, About: "the store cannot be written", After: 3 * time.Second},
	{Code: "store-rebuilt", Severity: Warn, About: "the store was damaged and was made anew"},
	{Code: "disk-low", Severity: Warn, About: "the disk is nearly full", Because: []string{"store-degraded"}},
	{Code: "memory-high", Severity: Warn, About: "memory is nearly used up", After: 2 * time.Minute},
	{Code: "finality-slow", Severity: Warn, About: "the finalized head has not moved lately", Because: append([]string{"finality-stale"}, noHead...)},
	{Code: "peers-few", Severity: Warn, About: "one peer alone is asked", Because: []string{"no-peers", "parked"}, After: 5 * time.Minute},
	{Code: "clock-behind", Severity: Warn, About: "the clock is behind the chain"},
	{Code: "clock-untrusted", Severity: Warn, About: "nothing witnesses the clock", Because: append([]string{"clock-behind", "finality-stale"}, noHead...), After: 10 * time.Minute},
	{Code: "clock-stepped", Severity: Note, About: "the clock was set lately", Because: []string{"clock-behind"}},
	{Code: "checkpoint-old", Severity: Warn, About: "the checkpoint is older than three months"},
	{Code: "rules-unaudited", Severity: Warn, About: "the chain's runtime is newer than the rules audited here", Because: []string{"unknown-rules"}},
	{Code: "battery-low", Severity: Warn, About: "the battery is low", Because: []string{"parked"}},
	{Code: "meter-silent", Severity: Warn, About: "no meter answers"},
	{Code: "meter-lies", Severity: Warn, About: "a meter reports what cannot be"},
	{Code: "meters-disagree", Severity: Warn, About: "two meters contradict each other"},
	{Code: "level-changes", Severity: Warn, About: "the power level changes too often"},
	{Code: "metered", Severity: Warn, About: "the day's traffic is nearly used up"},
	{Code: "data-near", Severity: Note, About: "little of the day's traffic is left", Because: []string{"metered"}},
	{Code: "watch-failing", Severity: Warn, About: "a watched subnet cannot be looked at", Because: append([]string{"finality-stale"}, noHead...), After: 30 * time.Minute},
	{Code: "rpc-closed", Severity: Warn, About: "tools cannot ask by JSON-RPC"},
	{Code: "control-closed", Severity: Warn, About: "other commands cannot ask this node"},
	{Code: "hook-failed", Severity: Warn, About: "a command of the settings fails"},
	{Code: "alert-failed", Severity: Warn, About: "alerts do not arrive"},
	{Code: "gossip-alone", Severity: Note, About: "no other light node is near", Because: []string{"no-peers", "parked"}, After: 15 * time.Minute},
}

// KindOf returns a kind by its code. What is not in the table is told at once and wakes nobody.
func KindOf(code string) Kind {
	if i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Code == code }); i >= 0 {
		return Kinds[i]
	}
	return Kind{Code: code}
}

// rank orders warnings: errors, warnings and notes, each as in the table.
func rank(w Warning) int {
	n := slices.Index([]string{Error, Warn, Note}, w.Severity)
	if n < 0 {
		n = 1
	}
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Code == w.Code })
	if i < 0 {
		i = len(Kinds)
	}
	return n*1000 + i
}
