package fact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// Errors of this package. A verdict's reason begins with the step that failed.
var (
	// ErrUnknownKind: there is no such kind of fact.
	ErrUnknownKind = errors.New("unknown kind of fact")
	// ErrInput: the input cannot be split into facts.
	ErrInput = errors.New("unreadable input")
	// ErrMismatch: the input states another result than the one computed.
	ErrMismatch = errors.New("stated and computed differ")
	// ErrIncomplete: what was given neither proves nor disproves the fact.
	ErrIncomplete = errors.New("not decided by what was given")
)

// An Outcome is how a verdict ends. The zero value is Undecided, so that a forgotten one is no
// success.
type Outcome int

const (
	// Undecided: nothing is wrong with what was given, and it is not enough.
	Undecided Outcome = iota
	// OK: the fact is proven from what was given.
	OK
	// Failed: the fact is not proven, by the rule named in the reason.
	Failed
)

// String returns the outcome as one word.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Failed:
		return "failed"
	}
	return "undecided"
}

// ExitCode returns the exit code of a program that ends with this outcome: 0, 3 for Failed, 7 for
// Undecided.
func (o Outcome) ExitCode() int {
	switch o {
	case OK:
		return 0
	case Failed:
		return 3
	}
	return 7
}

// Worse returns the worse of two outcomes: what a program that checks many facts ends with.
func Worse(a, b Outcome) Outcome {
	switch {
	case a == Failed || b == Failed:
		return Failed
	case a == Undecided || b == Undecided:
		return Undecided
	}
	return OK
}

// A Field is one figure of a verdict. Value is a string, a uint64, a bool, a []string, a []uint64 or a []Key.
type Field struct {
	Name  string
	Value any
}

// A Key is what a storage proof says about one key.
type Key struct {
	Key     string `json:"key"`
	Outcome string `json:"outcome"`         // "present", "absent" or "incomplete"
	Value   string `json:"value,omitempty"` // hex, if present; an empty value is "0x"
}

// A Verdict is the judgement on one fact.
type Verdict struct {
	Kind    string
	Outcome Outcome
	Reason  string  // empty if OK; else the step that failed, a colon, and why
	Fields  []Field // in the order to print; what was computed before the failing step
	// Err is why the outcome is not OK, for errors.Is; Reason says it in words.
	Err error
}

// Get returns the value of a field, or nil.
func (v Verdict) Get(name string) any {
	for i := range v.Fields {
		if v.Fields[i].Name == name {
			return v.Fields[i].Value
		}
	}
	return nil
}

// String returns the verdict as one line. Long lists and values are cut short; MarshalJSON has them whole.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", v.Outcome, v.Kind)
	for _, f := range v.Fields {
		switch x := f.Value.(type) {
		case []string:
			fmt.Fprintf(&b, " %s=[%d]", f.Name, len(x))
		case []uint64:
			fmt.Fprintf(&b, " %s=[%d]", f.Name, len(x))
		case []Key:
			for _, k := range x {
				fmt.Fprintf(&b, " %s=%s", k.Key, k.Outcome)
				if n := len(k.Value); n > 140 {
					fmt.Fprintf(&b, ":%s… (%d bytes)", k.Value[:66], (n-2)/2)
				} else if n != 0 {
					fmt.Fprintf(&b, ":%s", k.Value)
				}
			}
		case string:
			fmt.Fprintf(&b, " %s=%s", f.Name, word(x))
		default:
			fmt.Fprintf(&b, " %s=%v", f.Name, x)
		}
	}
	if v.Reason != "" {
		fmt.Fprintf(&b, ": %s", v.Reason)
	}
	return b.String()
}

// word returns a text as it is, or quoted if a terminal or a reader of columns could trip over it: some
// of them come from the input.
func word(s string) string {
	for _, r := range s {
		if !strconv.IsGraphic(r) || unicode.IsSpace(r) || r == '"' {
			return strconv.Quote(s)
		}
	}
	return s
}

// MarshalJSON returns {"kind", "verdict", "reason" unless OK, and the fields in their order}.
func (v Verdict) MarshalJSON() ([]byte, error) {
	all := []Field{{"kind", v.Kind}, {"verdict", v.Outcome.String()}}
	if v.Reason != "" {
		all = append(all, Field{"reason", v.Reason})
	}
	all = append(all, v.Fields...)
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range all {
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

// maxReason bounds the reason, in bytes.
const maxReason = 600

// A stop ends a check: the step it stopped at and why.
type stop struct {
	step      string
	undecided bool
	err       error
}

func (s *stop) Error() string { return s.step + ": " + s.err.Error() }
func (s *stop) Unwrap() error { return s.err }

// fail and lack end a check as Failed and as Undecided, unless err is nil.
func fail(step string, err error) error {
	if err == nil {
		return nil
	}
	return &stop{step: step, err: err}
}

func lack(step string, err error) error { return &stop{step: step, undecided: true, err: err} }

// conclude turns the end of a check into the verdict.
func (v *Verdict) conclude(err error) {
	if err == nil {
		v.Outcome = OK
		return
	}
	v.Outcome, v.Err = Failed, err
	var s *stop
	if errors.As(err, &s) && s.undecided {
		v.Outcome = Undecided
	}
	v.Reason = oneLine(err.Error())
}

// oneLine bounds a text and keeps it on one line, since parts of it may come from the input.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

// A check is a fact being judged: its record and the verdict as it grows.
type check struct {
	*jsonfield.Object
	opts Options
	v    *Verdict
}

// read ends the check if the record could not be read so far.
func (c *check) read() error { return fail("input", c.Err()) }

// add puts a figure in the verdict.
func (c *check) add(name string, value any) { c.v.Fields = append(c.v.Fields, Field{name, value}) }

// bytes puts a hash or other bytes in the verdict, and compares them with what the record states
// under that name or the others.
func (c *check) bytes(name string, value []byte, others ...string) error {
	c.add(name, hexText(value))
	for _, n := range append([]string{name}, others...) {
		want, ok := c.Bytes(n, 1<<16)
		if err := c.read(); err != nil {
			return err
		}
		if ok && !bytes.Equal(want, value) {
			return fail(n, fmt.Errorf("%w: %s stated, %s computed", ErrMismatch, clipHex(want), clipHex(value)))
		}
	}
	return nil
}

// number does the same for an integer: the record may state it with up to 128 bits.
func (c *check) number(name string, value uint64, others ...string) error {
	c.add(name, value)
	for _, n := range append([]string{name}, others...) {
		want, ok := c.Uint128(n)
		if err := c.read(); err != nil {
			return err
		}
		if ok && !want.Is(value) {
			return fail(n, fmt.Errorf("%w: %v computed", ErrMismatch, value))
		}
	}
	return nil
}

func hexText(b []byte) string { return fmt.Sprintf("0x%x", b) }

func clipHex(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("0x%x… (%d bytes)", b[:16], len(b))
	}
	return hexText(b)
}
