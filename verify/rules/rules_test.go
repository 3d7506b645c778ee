package rules

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// The releases on both sides of each change, and the rules that their sources hold. Those below Floor
// are for the epoch only.
var releases = []struct {
	spec uint32
	want Set
}{
	{273, Set{}},
	{277, Set{}},
	{283, Set{SteepnessPercent: true}},
	{292, Set{SteepnessPercent: true}},
	{297, Set{SteepnessPercent: true, CommitColumns: true}},
	{306, Set{SteepnessPercent: true, CommitColumns: true}},
	{315, Set{SteepnessPercent: true, CommitColumns: true}},
	{320, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, StakeWeightStale: true}},
	{323, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true}},
	{342, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true}},
	{343, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true}},
	{362, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true}},
	{365, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true, ClampedExp: true, NoRanks: true}},
	{393, Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true, ClampedExp: true, NoRanks: true}},
	{401, of401},
	{402, of401},
	{411, of411},
	{422, of411},
	{423, of423},
	{424, of423},
	{425, of425},
}

var (
	of401 = Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true, ClampedExp: true, NoRanks: true, OwnerExempt: true}
	of411 = Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true, ClampedExp: true, NoRanks: true, OwnerExempt: true, OwnerCutSwitch: true}
	of423 = Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true, ClampedExp: true, NoRanks: true, OwnerExempt: true, OwnerCutSwitch: true,
		StatefulEpochs: true, ActivityFactor: true, LastStepBonds: true}
	of425 = Set{SteepnessPercent: true, CommitColumns: true, Mechanisms: true, PendingSplit: true, ClampedExp: true, NoRanks: true, OwnerExempt: true, OwnerCutSwitch: true,
		StatefulEpochs: true, ActivityFactor: true, LastStepBonds: true, OwnerChange: true}
)

func TestFor(t *testing.T) {
	for _, c := range releases {
		want := c.want
		want.Spec, want.Actual = c.spec, c.spec
		got, err := ForEpoch(c.spec)
		if err != nil || got != want {
			t.Errorf("ForEpoch(%d) = %+v, %v, want %+v", c.spec, got, err, want)
		}
		if got.Assumed() {
			t.Errorf("ForEpoch(%d) is assumed", c.spec)
		}
		got, err = For(c.spec)
		if c.spec < Floor {
			if !errors.Is(err, ErrUnknown) || got != (Set{}) {
				t.Errorf("For(%d) = %+v, %v", c.spec, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("For(%d) = %+v, %v, want %+v", c.spec, got, err, want)
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
	for _, spec := range []uint32{0, 272, 426} {
		if s, err := ForEpoch(spec); !errors.Is(err, ErrUnknown) || s != (Set{}) {
			t.Errorf("ForEpoch(%d) = %+v, %v", spec, s, err)
		}
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
		if e, err := AssumeEpoch(c.actual, c.spec); err != nil || e.Actual != c.actual || e.Spec != c.spec {
			t.Errorf("AssumeEpoch(%d, %d) = %+v, %v", c.actual, c.spec, e, err)
		}
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
		if c.spec <= EpochFloor || c.spec > Ceiling || c.until != 0 && (c.until <= c.spec || c.until > Ceiling) {
			t.Errorf("spec %d: a rule that never changes within the audited range", c.spec)
		}
		if !strings.Contains(c.source, ".rs") {
			t.Errorf("spec %d: source %q names no file", c.spec, c.source)
		}
	}
}
