package rules

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// The releases on both sides of each change, and the rules that their sources hold.
var releases = []struct {
	spec                                    uint32
	mechanisms, ownerExempt, statefulEpochs bool
}{
	{306, false, false, false},
	{319, false, false, false},
	{320, true, false, false},
	{393, true, false, false},
	{400, true, false, false},
	{401, true, true, false},
	{422, true, true, false},
	{423, true, true, true},
	{425, true, true, true},
}

func TestFor(t *testing.T) {
	for _, c := range releases {
		want := Set{Spec: c.spec, Actual: c.spec, Mechanisms: c.mechanisms, OwnerExempt: c.ownerExempt, StatefulEpochs: c.statefulEpochs}
		got, err := For(c.spec)
		if err != nil || got != want {
			t.Errorf("For(%d) = %+v, %v, want %+v", c.spec, got, err, want)
		}
		if got.Assumed() {
			t.Errorf("For(%d) is assumed", c.spec)
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, spec := range []uint32{0, 1, 305, 426, 467, 1<<32 - 1} {
		s, err := For(spec)
		if !errors.Is(err, ErrUnknown) || s != (Set{}) {
			t.Errorf("For(%d) = %+v, %v", spec, s, err)
		}
		if s, err := Assume(425, spec); !errors.Is(err, ErrUnknown) || s != (Set{}) {
			t.Errorf("Assume(425, %d) = %+v, %v", spec, s, err)
		}
	}
	const want = "unknown rules: spec 467 is outside the audited range 306 to 425"
	if _, err := For(467); err.Error() != want {
		t.Errorf("For(467): %q, want %q", err, want)
	}
}

func TestAssume(t *testing.T) {
	for _, c := range []struct {
		actual, spec uint32
		assumed      bool
		text         string
	}{
		{425, 425, false, "spec 425"},
		{467, 425, true, "spec 425 assumed for spec 467"},
		{425, 422, true, "spec 422 assumed for spec 425"},
		{1, 306, true, "spec 306 assumed for spec 1"},
	} {
		s, err := Assume(c.actual, c.spec)
		if err != nil || s.Assumed() != c.assumed || s.String() != c.text {
			t.Errorf("Assume(%d, %d) = %v, assumed %t, %v", c.actual, c.spec, s, s.Assumed(), err)
		}
		of, _ := For(c.spec)
		if of.Actual = c.actual; s != of {
			t.Errorf("Assume(%d, %d) = %+v, has other rules than %+v", c.actual, c.spec, s, of)
		}
	}
}

// TestChanges holds the table to its order, so that it reads as a history, and to naming a source.
func TestChanges(t *testing.T) {
	if !slices.IsSortedFunc(changes, func(a, b change) int { return int(a.spec) - int(b.spec) }) {
		t.Error("not in ascending order")
	}
	for _, c := range changes {
		if c.spec <= Floor || c.spec > Ceiling {
			t.Errorf("spec %d: a rule that never changes within the audited range", c.spec)
		}
		if !strings.Contains(c.source, ".rs") {
			t.Errorf("spec %d: source %q names no file", c.spec, c.source)
		}
	}
}
