package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/fact"
)

// A Line is the verdict on one step.
type Line struct {
	Step    string
	Outcome fact.Outcome
	Text    string       // what was found, or, if not OK, what was to be shown
	Fields  []fact.Field // the figures, in their order
	Reason  string       // empty if OK; else the step that failed, a colon, and why
	// Err is why the outcome is not OK, for errors.Is; Reason says it in words.
	Err error
}

// A Report is the verdict on a bundle: the steps "trust", "headers", "finality", "storage" and "pulses", each
// once and in this order, and then each claim, in the order of the bundle, under its Kind. A bundle that
// has not its one form is reported in a single line, "form".
type Report struct {
	Lines   []Line
	Outcome fact.Outcome // the worst of all lines

	Genesis verify.Hash
	Final   *verify.Header // nil if the bundle has none; proven only if the outcome of finality is OK
	SetID   uint64         // the set that finalized it, if that was proven
}

// Failing returns the step of the first line that is not OK: the first failed one, or if none failed, the
// first undecided one. It is empty if all are OK.
func (r *Report) Failing() string {
	step := ""
	for i := range r.Lines {
		switch {
		case r.Lines[i].Outcome == fact.Failed:
			return r.Lines[i].Step
		case r.Lines[i].Outcome == fact.Undecided && step == "":
			step = r.Lines[i].Step
		}
	}
	return step
}

// Verdict returns the outcome in a few words: "proven", "failed at finality", "undecided at trust".
func (r *Report) Verdict() string {
	if r.Outcome == fact.OK {
		return "proven"
	}
	return r.Outcome.String() + " at " + r.Failing()
}

// String returns the lines, each ended by a newline, and a last one with the verdict. The form is part of
// what this package promises; the texts may become clearer from one version to the next.
func (r *Report) String() string {
	var b strings.Builder
	for i := range r.Lines {
		b.WriteString(r.Lines[i].String())
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "verdict: %s\n", r.Verdict())
	return b.String()
}

// MarshalJSON returns {"verdict", "failing" unless OK, "lines"}.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Verdict string `json:"verdict"`
		Failing string `json:"failing,omitempty"`
		Lines   []Line `json:"lines"`
	}{r.Outcome.String(), r.Failing(), r.Lines})
}

// word returns the outcome as it begins a line.
func word(o fact.Outcome) string {
	switch o {
	case fact.OK:
		return "ok"
	case fact.Failed:
		return "FAIL"
	}
	return "??"
}

// String returns the line as Report.String prints it: "ok", "FAIL" or "??", the step, the text and, unless
// OK, the reason.
func (l Line) String() string {
	s := fmt.Sprintf("%-4s  %-8s  %s", word(l.Outcome), l.Step, l.Text)
	if l.Reason != "" {
		if l.Text != "" {
			s += ": "
		}
		s += l.Reason
	}
	return s
}

// Get returns the value of a field, or nil.
func (l Line) Get(name string) any {
	for i := range l.Fields {
		if l.Fields[i].Name == name {
			return l.Fields[i].Value
		}
	}
	return nil
}

// MarshalJSON returns {"step", "verdict", "text", "reason" unless OK, and the fields in their order}.
func (l Line) MarshalJSON() ([]byte, error) {
	all := []fact.Field{{Name: "step", Value: l.Step}, {Name: "verdict", Value: l.Outcome.String()}, {Name: "text", Value: l.Text}}
	if l.Reason != "" {
		all = append(all, fact.Field{Name: "reason", Value: l.Reason})
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range append(all, l.Fields...) {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", f.Name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// add puts a figure in the line.
func (l *Line) add(name string, value any) {
	l.Fields = append(l.Fields, fact.Field{Name: name, Value: value})
}

// maxReason bounds a reason, in bytes.
const maxReason = 600

// conclude turns the end of a step into its verdict.
func (l *Line) conclude(err error) {
	if err == nil {
		l.Outcome = fact.OK
		return
	}
	l.Outcome, l.Err = fact.Failed, err
	var s *stop
	if errors.As(err, &s) && s.undecided {
		l.Outcome = fact.Undecided
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	l.Reason = text
}

// A stop ends a step: the part of it that failed, and why.
type stop struct {
	step      string
	undecided bool
	err       error
}

func (s *stop) Error() string { return s.step + ": " + s.err.Error() }
func (s *stop) Unwrap() error { return s.err }

// fail and lack end a step as Failed and as Undecided, unless err is nil.
func fail(step string, err error) error {
	if err == nil {
		return nil
	}
	return &stop{step: step, err: err}
}

func lack(step string, err error) error {
	if err == nil {
		return nil
	}
	return &stop{step: step, undecided: true, err: err}
}

// group writes n with a comma after every three digits.
func group(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// number writes a block number.
func number(n uint32) string { return "#" + group(uint64(n)) }

// count writes a number of things.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return group(uint64(n)) + " " + what
}

// subnet writes a subnet, and its mechanism unless that is the first.
func subnet(netuid uint16, mecid uint8) string {
	if mecid == 0 {
		return fmt.Sprintf("subnet %d", netuid)
	}
	return fmt.Sprintf("subnet %d mechanism %d", netuid, mecid)
}

// name writes a name from a file: as it is, or quoted and cut short if it is no plain word.
func name(s string) string {
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || r == '"' || len(s) > 40 {
			return strconv.Quote(strings.ToValidUTF8(s[:min(len(s), 40)], ""))
		}
	}
	if s == "" {
		return "a beacon without a name"
	}
	return s
}

// date writes a time in seconds since 1970 as UTC. The year is counted from March, so that the leap day is
// its last one, in eras of 400 years, which are all alike.
func date(unix uint64) string {
	days, rest := unix/86_400, unix%86_400
	if days > 1<<32 {
		return "after all dates"
	}
	const era = 146_097       // days in 400 years
	days += 719_468           // from 0000-03-01 to 1970-01-01
	year := days / era * 400  // whole eras
	days %= era               // and the day in this one
	in := min(days/36_524, 3) // centuries: the last has a day more
	year, days = year+in*100, days-in*36_524
	in = days / 1_461 // four years
	year, days = year+in*4, days-in*1_461
	in = min(days/365, 3)
	year, days = year+in, days-in*365
	month := (5*days + 2) / 153 // March is 0: five months have 153 days
	day := days - (153*month+2)/5 + 1
	if month += 3; month > 12 {
		month, year = month-12, year+1
	}
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d UTC", year, month, day, rest/3600, rest/60%60, rest%60)
}
