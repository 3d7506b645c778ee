package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/power"
)

// maxReading bounds a file or what a command prints.
const maxReading = 16 << 10

// A reading is what a file or a command says: a JSON object of which every member may be missing or null.
type reading struct {
	SoC      *float64 `json:"soc"`        // percent
	Volts    *float64 `json:"volts"`      // of the battery
	Amps     *float64 `json:"amps"`       // into the battery
	Watts    *float64 `json:"watts"`      // into the battery
	PVWatts  *float64 `json:"pv_watts"`   // from the panel
	YieldWh  *float64 `json:"yield_wh"`   // of today
	BeforeWh *float64 `json:"yesterday"`  // Wh of yesterday
	Charging *bool    `json:"charging"`   //
	External *bool    `json:"external"`   // power from outside
	Critical *bool    `json:"critical"`   // the battery ends now
	Sag      *bool    `json:"undervolts"` // the board's supply is too low

	Chemistry string   `json:"chemistry"`
	Source    string   `json:"source"`
	TS        *float64 `json:"ts"` // seconds since 1970
	Conf      string   `json:"conf"`
}

func parseReading(b []byte) (reading, error) {
	var r reading
	if len(b) > maxReading {
		return r, fmt.Errorf("%w: over %d bytes", ErrFormat, maxReading)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return r, fmt.Errorf("%w: more than one object", ErrFormat)
	}
	return r, nil
}

func (r reading) sample(name string) power.Sample {
	s := power.Sample{
		Source: name, SoC: r.SoC, Volts: r.Volts, Amps: r.Amps, Watts: r.Watts, PVWatts: r.PVWatts, YieldToday: r.YieldWh, YieldYesterday: r.BeforeWh,
		Charging: r.Charging, External: r.External, Critical: r.Critical, UnderVoltage: r.Sag,
	}
	if r.Source != "" {
		s.Source += " (" + clean(r.Source[:min(len(r.Source), 32)]) + ")"
	}
	switch c := power.Chemistry(strings.ToLower(r.Chemistry)); c {
	case power.LiFePO4, power.LiIon, power.LeadAcid:
		s.Chemistry = c
	}
	if r.Conf == string(power.Low) {
		s.Confidence = power.Low
	}
	return s
}

// An age tells whether what is read again has changed, which is what makes it new: neither side's clock is
// asked, since both may be wrong.
type age struct {
	known bool
	mark  string
	at    time.Duration
}

// of returns when what has this mark was first read. At the first reading fresh says whether it is new.
func (a *age) of(mark string, now time.Duration, fresh bool) time.Duration {
	switch {
	case !a.known && !fresh:
		a.at = now - 2*power.StaleAfter
	case !a.known || a.mark != mark:
		a.at = now
	}
	a.known, a.mark = true, mark
	return a.at
}

// file reads a JSON file that something else writes: a bridge from MQTT, a script, a test.
type file struct {
	path string
	m    Machine
	age  age
}

func (f *file) Name() string { return "file:" + f.path }
func (f *file) Close() error { return nil }

func (f *file) Read(_ context.Context, now time.Duration) (power.Sample, error) {
	h, err := f.m.Files.Open(strings.TrimPrefix(f.path, "/"))
	if err != nil {
		return power.Sample{}, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return power.Sample{}, err
	}
	if !info.Mode().IsRegular() {
		return power.Sample{}, fmt.Errorf("%w: not a regular file", ErrFormat) // a pipe would wait for ever
	}
	b, err := io.ReadAll(io.LimitReader(h, maxReading+1))
	if err != nil {
		return power.Sample{}, err
	}
	r, err := parseReading(b)
	if err != nil {
		return power.Sample{}, err
	}
	made := info.ModTime()
	mark := made.String()
	if r.TS != nil {
		mark = fmt.Sprint(*r.TS)
		made = stamp(*r.TS)
	}
	s := r.sample("file")
	s.At = f.age.of(mark, now, f.m.Wall().Sub(made).Abs() <= power.StaleAfter)
	return s, nil
}

func stamp(ts float64) time.Time {
	if !(ts > 0 && ts < 1e11) {
		return time.Time{}
	}
	sec, frac := math.Modf(ts)
	return time.Unix(int64(sec), int64(frac*1e9))
}

// program runs a command that prints such an object.
type program struct {
	argv []string
	age  age
}

func (p *program) Name() string { return "exec:" + strings.Join(p.argv, " ") }
func (p *program) Close() error { return nil }

func (p *program) Read(ctx context.Context, now time.Duration) (power.Sample, error) {
	out, err := run(ctx, p.argv, nil, readLimit, maxReading)
	if err != nil {
		return power.Sample{}, err
	}
	r, err := parseReading(out)
	if err != nil {
		return power.Sample{}, err
	}
	s := r.sample("exec")
	s.At = now
	if r.TS != nil {
		s.At = p.age.of(fmt.Sprint(*r.TS), now, true)
	}
	return s, nil
}
