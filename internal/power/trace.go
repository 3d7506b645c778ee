package power

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrTrace: a file that is not a trace. The error names the line and the column.
var ErrTrace = errors.New("not a power trace")

// Bounds of a trace.
const (
	maxTraceLine = 4096
	maxTraceRows = 2_000_000
	maxTrace     = 400 * 24 * time.Hour
	maxColumns   = 32
)

// traceColumns are those that there can be.
var traceColumns = []string{"time", "pv_w", "load_w", "soc", "volts", "amps", "watts", "external", "critical", "undervoltage"}

// A Row is one line of a trace.
type Row struct {
	At   time.Duration // since the first row
	Wall time.Time     // zero where the trace counts seconds

	PVWatts, LoadWatts *float64 // for a battery that is computed
	Sample             Sample   // what a meter said; empty in such a trace
}

// A Trace reads what meters said, or what the sun gave, line by line.
//
// It is text of comma-separated values without quotes. The first line names the columns: time, and any of
// pv_w, load_w, soc, volts, amps, watts, external, critical and undervoltage, in any order; further ones are
// an error. time is seconds since any moment, or RFC 3339, and grows from line to line. pv_w is what the
// panel gives, load_w what draws on the battery besides the node, amps and watts are into the battery, soc is
// percent; the last three are 0 or 1. An empty field was not measured. A line that begins with # and an empty
// line are skipped. A value holds until the next line, for an hour at most.
type Trace struct {
	lines   *bufio.Scanner
	line    int
	rows    int
	columns []string
	zero    float64 // seconds
	start   time.Time
	last    time.Duration
}

// NewTrace reads the header.
func NewTrace(r io.Reader) (*Trace, error) {
	t := &Trace{lines: bufio.NewScanner(r)}
	t.lines.Buffer(nil, maxTraceLine)
	text, err := t.next()
	if err == io.EOF {
		return nil, fmt.Errorf("%w: it is empty", ErrTrace)
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, name := range strings.SplitN(text, ",", maxColumns+1) {
		name = strings.ToLower(strings.TrimSpace(name))
		known := false
		for _, c := range traceColumns {
			known = known || c == name
		}
		if !known || seen[name] {
			return nil, t.bad("column %d is %.20q; there are %s, each once", i+1, name, strings.Join(traceColumns, ", "))
		}
		seen[name] = true
		t.columns = append(t.columns, name)
	}
	if !seen["time"] {
		return nil, t.bad("no column time")
	}
	return t, nil
}

// Solar reports whether the battery has to be computed: the trace has the sun and no charge.
func (t *Trace) Solar() bool {
	pv := false
	for _, c := range t.columns {
		switch c {
		case "pv_w":
			pv = true
		case "soc", "volts":
			return false
		}
	}
	return pv
}

func (t *Trace) bad(format string, args ...any) error {
	return fmt.Errorf("%w: line %d: "+format, append([]any{ErrTrace, t.line}, args...)...)
}

func (t *Trace) next() (string, error) {
	for t.lines.Scan() {
		t.line++
		text := strings.TrimSpace(strings.TrimPrefix(t.lines.Text(), "\ufeff"))
		if text != "" && text[0] != '#' {
			return text, nil
		}
	}
	if err := t.lines.Err(); err != nil {
		t.line++
		if errors.Is(err, bufio.ErrTooLong) {
			return "", t.bad("over %d bytes", maxTraceLine)
		}
		return "", err
	}
	return "", io.EOF
}

// Next returns the next row, or io.EOF.
func (t *Trace) Next() (Row, error) {
	text, err := t.next()
	if err != nil {
		return Row{}, err
	}
	if t.rows++; t.rows > maxTraceRows {
		return Row{}, t.bad("over %d rows", maxTraceRows)
	}
	fields := strings.SplitN(text, ",", maxColumns+1)
	if len(fields) != len(t.columns) {
		return Row{}, t.bad("%d fields, the header has %d", len(fields), len(t.columns))
	}
	var r Row
	for i, name := range t.columns {
		field := strings.TrimSpace(fields[i])
		if name == "time" {
			if err := t.time(&r, field); err != nil {
				return Row{}, err
			}
			continue
		}
		if field == "" {
			continue
		}
		v, err := strconv.ParseFloat(field, 64)
		if err != nil || math.IsNaN(v) || math.Abs(v) > 1e6 {
			return Row{}, t.bad("%s is %.20q", name, field)
		}
		flag := v != 0
		switch name {
		case "pv_w":
			r.PVWatts, r.Sample.PVWatts = &v, &v
		case "load_w":
			r.LoadWatts = &v
		case "soc":
			r.Sample.SoC = &v
		case "volts":
			r.Sample.Volts = &v
		case "amps":
			r.Sample.Amps = &v
		case "watts":
			r.Sample.Watts = &v
		case "external":
			r.Sample.External = &flag
		case "critical":
			r.Sample.Critical = &flag
		case "undervoltage":
			r.Sample.UnderVoltage = &flag
		}
		if (name == "pv_w" || name == "load_w") && v < 0 {
			return Row{}, t.bad("%s is %g", name, v)
		}
	}
	return r, nil
}

func (t *Trace) time(r *Row, field string) error {
	if sec, err := strconv.ParseFloat(field, 64); err == nil && t.start.IsZero() {
		if math.IsNaN(sec) || math.Abs(sec) > 1e12 {
			return t.bad("time is %.20q", field)
		}
		if t.rows == 1 {
			t.zero = sec
		}
		d := sec - t.zero
		if d > maxTrace.Seconds() {
			return t.bad("%.0f days after the first row, at most %d", d/86400, int(maxTrace.Hours()/24))
		}
		r.At = time.Duration(d * float64(time.Second))
	} else {
		wall, err := time.Parse(time.RFC3339, field)
		if err != nil || t.rows > 1 && t.start.IsZero() || wall.Unix() <= 0 {
			return t.bad("time is %.30q: want seconds or RFC 3339, and all alike", field)
		}
		if t.rows == 1 {
			t.start = wall
		}
		r.Wall, r.At = wall, wall.Sub(t.start)
		if r.At > maxTrace {
			return t.bad("%.0f days after the first row, at most %d", r.At.Hours()/24, int(maxTrace.Hours()/24))
		}
	}
	if t.rows > 1 && r.At <= t.last {
		return t.bad("time is not after the row before")
	}
	t.last = r.At
	return nil
}
