// Package rules says which rules of the chain a runtime has, by its spec_version.
//
// It promises an answer for audited runtimes only, from Floor to Ceiling, and ErrUnknown for every
// other: the rules changed some ten times in the year before the ceiling, so the rules of a runtime
// that nobody has read are not guessed. A caller who wants a verdict all the same names the runtime
// whose rules are to hold (Assume), and the Set says so wherever it is shown.
//
// Where the chain learns its own version (System.LastRuntimeUpgrade) is for package subtensor to
// read. This package holds data and looks at no state.
package rules

import (
	"errors"
	"fmt"
)

// The audited range of spec_version, both ends included: Floor is the first release with timelocked
// commits as they are now, Ceiling the newest runtime that was read.
const (
	Floor   = 306
	Ceiling = 425
)

// ErrUnknown: the rules of this runtime have not been audited.
var ErrUnknown = errors.New("unknown rules")

// A Set tells the rules of one runtime. The zero Set is that of no runtime.
type Set struct {
	// Spec is the spec_version whose rules these are.
	Spec uint32
	// Actual is the spec_version that the chain runs. It differs from Spec only in a Set that was
	// made by Assume.
	Actual uint32

	// Mechanisms: a subnet can have several mechanisms, each with a storage index of its own. Without
	// it, the only index of a subnet is its netuid.
	Mechanisms bool
	// OwnerExempt: the hotkey of a subnet's owner always has a validator permit, may always set
	// weights, and is exempt from the stake threshold.
	OwnerExempt bool
	// StatefulEpochs: epochs are run by a scheduler with state (yuma.Schedule), and an entry of
	// WeightCommits is (hash, epoch, block, 0). Without it, epochs follow from the block's number
	// (yuma.LegacyEpoch), and an entry is (hash, block, first, last).
	StatefulEpochs bool
}

// A change is one rule, the release in which it first appears, and where it stands in that
// release's source.
type change struct {
	spec   uint32
	has    func(*Set) *bool
	source string
}

// changes is the whole of what this package knows, in ascending order of spec. Rules that appear
// below Floor hold in every Set, and have no field.
var changes = []change{
	{320, func(s *Set) *bool { return &s.Mechanisms },
		"v3.2.8, pallets/subtensor/src/subnets/mechanism.rs, get_mechanism_storage_index"},
	{401, func(s *Set) *bool { return &s.OwnerExempt },
		"v3.3.14, pallets/subtensor/src/epoch/run_epoch.rs, get_owner_uid in epoch_mechanism"},
	{423, func(s *Set) *bool { return &s.StatefulEpochs },
		"v3.4.8, pallets/subtensor/src/coinbase/run_coinbase.rs, should_run_epoch; pallets/subtensor/src/lib.rs, WeightCommits"},
}

// For returns the rules of a runtime, or ErrUnknown with the audited range.
func For(spec uint32) (Set, error) { return Assume(spec, spec) }

// Assume returns the rules of spec, for a chain that runs actual: a verdict under them is one about
// what the chain would do if its rules had not changed. ErrUnknown unless spec is audited; actual may
// be anything.
func Assume(actual, spec uint32) (Set, error) {
	if spec < Floor || spec > Ceiling {
		return Set{}, fmt.Errorf("%w: spec %d is outside the audited range %d to %d", ErrUnknown, spec, Floor, Ceiling)
	}
	s := Set{Spec: spec, Actual: actual}
	for _, c := range changes {
		*c.has(&s) = spec >= c.spec
	}
	return s, nil
}

// Assumed reports whether the rules are others than those of what the chain runs.
func (s Set) Assumed() bool { return s.Spec != s.Actual }

// String returns "spec 425", or "spec 425 assumed for spec 467".
func (s Set) String() string {
	if s.Assumed() {
		return fmt.Sprintf("spec %d assumed for spec %d", s.Spec, s.Actual)
	}
	return fmt.Sprintf("spec %d", s.Spec)
}
