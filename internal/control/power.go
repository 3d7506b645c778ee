package control

import (
	"context"
	"errors"

	"github.com/taolight/taolight/internal/power"
)

// Power is what `power --json` prints.
type Power struct {
	Schema int    `json:"schema"`
	From   string `json:"from"`  // "node": the one that runs; "meters": read by the command, with no node asked
	Board  string `json:"board"` // as its device tree names it; empty: it has none
	Costed string `json:"board_costed_as"`
	*power.Report
	Missed  *uint64       `json:"deadline_missed_total"` // null: no deadline is kept
	Sources []PowerSource `json:"sources"`
	Hooks   []PowerHook   `json:"hooks"`
}

// A PowerSource is a meter, or what stands for one.
type PowerSource struct {
	Name   string       `json:"name"`
	State  string       `json:"state"` // "read", "absent", "failed"
	Error  string       `json:"error,omitempty"`
	Sample *PowerSample `json:"sample"`
}

// PowerSample is what one source measures; null is what it does not.
type PowerSample struct {
	Source   string           `json:"source"`
	SoC      *float64         `json:"soc"`
	Volts    *float64         `json:"volts"`
	Amps     *float64         `json:"amps"`
	Watts    *float64         `json:"watts"`
	PV       *float64         `json:"pv_watts"`
	Charging *bool            `json:"charging"`
	External *bool            `json:"external"`
	Critical *bool            `json:"critical"`
	Sag      *bool            `json:"under_voltage"`
	Conf     power.Confidence `json:"conf,omitempty"`
}

// A PowerHook is a command of the settings that the node runs.
type PowerHook struct {
	Name  string  `json:"name"`            // "uplink" or "level"
	State string  `json:"state"`           // that the last run was for; empty: none yet
	Runs  uint64  `json:"runs"`            // since the start
	Took  float64 `json:"seconds"`         // of the last run
	Error string  `json:"error,omitempty"` // of it
}

// Measures are what `status --json` adds of the node's power, clock and process. Null is what is not measured.
type Measures struct {
	*power.Report // nil, and left out, until the meters have been read once
	// Bytes are those of libp2p since the start: by direction, what gossip moved and the rest.
	Bytes      map[string]map[string]uint64 `json:"bytes_total"`
	Wakeups    *float64                     `json:"wakeups_per_second"` // since this was last asked, or since the start
	CPU        *float64                     `json:"cpu_seconds_total"`
	Written    *uint64                      `json:"db_bytes_written_total"`
	Syncs      *uint64                      `json:"fsync_total"`
	Unclean    *uint64                      `json:"unclean_starts_total"`
	ClockTrust string                       `json:"clock_trust"` // "none", "floor", "witnessed", "synced"
	ClockWhy   string                       `json:"clock_why"`
	ClockStep  uint64                       `json:"clock_step_total"`
	MaySign    bool                         `json:"clock_may_sign"`
	Missed     *uint64                      `json:"deadline_missed_total"` // null: no deadline is kept
}

// Governed is a node whose power somebody looks after.
type Governed interface {
	// Power tells of the meters and the level, as they are now; without a Report before they were read.
	Power(ctx context.Context) *Power
	// Measures tells of the same and what the process has spent.
	Measures(ctx context.Context) *Measures
	// Duty takes the deadlines of a neuron.
	Duty(d Duties)
}

var errUngoverned = errors.New("this node was started for one question and looks after no battery")

// Power implements Answerer.
func (l *Local) Power(ctx context.Context) (*Power, error) {
	if l.Governor == nil {
		return nil, Errorf(Failure, "%w", errUngoverned)
	}
	p := l.Governor.Power(ctx)
	if p.Report == nil {
		return nil, Errorf(Stale, "the meters have not been read yet")
	}
	return p, nil
}

// Power implements Answerer.
func (c *Client) Power(ctx context.Context) (*Power, error) {
	return call[Power](ctx, c, methodPower, nil)
}
