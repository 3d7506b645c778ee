// Package rules says which rules of the chain a runtime has, by its spec_version.
//
// It promises an answer for audited runtimes only, and ErrUnknown for every other: the rules changed
// some ten times in the year before the ceiling, so the rules of a runtime that nobody has read are
// not guessed. Of older runtimes only the epoch was read; ForEpoch has a floor of its own. A caller who wants a verdict all the same names the runtime
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

// EpochFloor is the oldest runtime whose epoch was read: the first release with Yuma3. Below Floor, a
// Set tells no more than what the epoch computes.
const EpochFloor = 273

// ErrUnknown: the rules of this runtime have not been audited.
var ErrUnknown = errors.New("unknown rules")

// A Set tells the rules of one runtime. The zero Set is that of no runtime.
type Set struct {
	// Spec is the spec_version whose rules these are.
	Spec uint32
	// Actual is the spec_version that the chain runs. It differs from Spec only in a Set that was
	// made by Assume.
	Actual uint32

	// SteepnessPercent: AlphaSigmoidSteepness is an i16 in hundredths. Without it, it is a u16 as it
	// stands.
	SteepnessPercent bool
	// CommitColumns: with commit-reveal, the epoch leaves out weights for neurons that registered
	// after the validator's earliest unexpired commit.
	CommitColumns bool
	// Mechanisms: a subnet can have several mechanisms, each with a storage index of its own, and the
	// epoch writes a row of bonds for every neuron. Without it, the only index of a subnet is its
	// netuid, and the bonds of a neuron that neither had nor gets a permit stay as they are.
	Mechanisms bool
	// StakeWeightStale: the epoch leaves StakeWeight as it was.
	StakeWeightStale bool
	// PendingSplit: what waits for the epoch is kept apart for servers and validators, in
	// PendingServerEmission and PendingValidatorEmission. Without it, in PendingEmission.
	PendingSplit bool
	// ClampedExp: the sigmoid of liquid alpha takes an exponent beyond 20 as 20. Without it, e to such a
	// power is 0 where it does not fit.
	ClampedExp bool
	// NoRanks: the epoch has no Rank, Trust and PruningScores.
	NoRanks bool
	// OwnerExempt: the hotkey of a subnet's owner always has a validator permit, may always set
	// weights, and is exempt from the stake threshold.
	OwnerExempt bool
	// OwnerCutSwitch: a subnet's owner cut can be switched off (OwnerCutEnabled).
	OwnerCutSwitch bool
	// StatefulEpochs: epochs are run by a scheduler with state (yuma.Schedule), and an entry of
	// WeightCommits is (hash, epoch, block, 0). Without it, epochs follow from the block's number
	// (yuma.LegacyEpoch), and an entry is (hash, block, first, last).
	StatefulEpochs bool
	// ActivityFactor: a neuron is active for ActivityCutoffFactorMilli thousandths of a tempo after its
	// last update. Without it, for ActivityCutoff blocks.
	ActivityFactor bool
	// LastStepBonds: bonds in neurons that registered since the last epoch (LastMechansimStepBlock) are
	// left out. Without it, in those that registered within the last tempo.
	LastStepBonds bool
	// OwnerChange: just before the epoch a subnet can get another owner, by conviction.
	OwnerChange bool
}

// A change is one rule, the release in which it first appears, and where it stands in that
// release's source. until is the release in which it is gone again, 0 if it is not.
type change struct {
	spec, until uint32
	has         func(*Set) *bool
	source      string
}

// changes is the whole of what this package knows, in ascending order of spec. Rules that appear
// below EpochFloor hold in every Set, and have no field.
var changes = []change{
	{283, 0, func(s *Set) *bool { return &s.SteepnessPercent },
		"v3.1.6, pallets/subtensor/src/epoch/run_epoch.rs, alpha_sigmoid"},
	{297, 0, func(s *Set) *bool { return &s.CommitColumns },
		"v3.2.2, pallets/subtensor/src/epoch/run_epoch.rs, commit_blocks in epoch"},
	{320, 0, func(s *Set) *bool { return &s.Mechanisms },
		"v3.2.8, pallets/subtensor/src/subnets/mechanism.rs, get_mechanism_storage_index"},
	{320, 323, func(s *Set) *bool { return &s.StakeWeightStale },
		"v3.2.8 and v3.2.9, pallets/subtensor/src/epoch/run_epoch.rs, persist_netuid_epoch_terms"},
	{343, 0, func(s *Set) *bool { return &s.PendingSplit },
		"v3.2.13, pallets/subtensor/src/coinbase/run_coinbase.rs, run_coinbase"},
	{365, 0, func(s *Set) *bool { return &s.ClampedExp },
		"v3.3.2, pallets/subtensor/src/epoch/run_epoch.rs, exp_safe in alpha_sigmoid"},
	{365, 0, func(s *Set) *bool { return &s.NoRanks },
		"v3.3.2, pallets/subtensor/src/epoch/run_epoch.rs, persist_netuid_epoch_terms"},
	{401, 0, func(s *Set) *bool { return &s.OwnerExempt },
		"v3.3.14, pallets/subtensor/src/epoch/run_epoch.rs, get_owner_uid in epoch_mechanism"},
	{411, 0, func(s *Set) *bool { return &s.OwnerCutSwitch },
		"v3.4.0, pallets/subtensor/src/coinbase/run_coinbase.rs, get_owner_cut_enabled in emit_to_subnets"},
	{423, 0, func(s *Set) *bool { return &s.StatefulEpochs },
		"v3.4.8, pallets/subtensor/src/coinbase/run_coinbase.rs, should_run_epoch; pallets/subtensor/src/lib.rs, WeightCommits"},
	{423, 0, func(s *Set) *bool { return &s.ActivityFactor },
		"v3.4.8, pallets/subtensor/src/utils/misc.rs, get_activity_cutoff_blocks"},
	{423, 0, func(s *Set) *bool { return &s.LastStepBonds },
		"v3.4.8, pallets/subtensor/src/epoch/run_epoch.rs, last_tempo in epoch_mechanism"},
	{425, 0, func(s *Set) *bool { return &s.OwnerChange },
		"spec 425, pallets/subtensor/src/coinbase/run_coinbase.rs, change_subnet_owner_if_needed in drain_pending"},
}

// For returns the rules of a runtime, or ErrUnknown with the audited range.
func For(spec uint32) (Set, error) { return Assume(spec, spec) }

// Assume returns the rules of spec, for a chain that runs actual: a verdict under them is one about
// what the chain would do if its rules had not changed. ErrUnknown unless spec is audited; actual may
// be anything.
func Assume(actual, spec uint32) (Set, error) { return above(Floor, actual, spec) }

// ForEpoch returns the rules of a runtime for its epoch: as For, with EpochFloor for Floor.
func ForEpoch(spec uint32) (Set, error) { return AssumeEpoch(spec, spec) }

// AssumeEpoch is Assume for the epoch, with EpochFloor for Floor.
func AssumeEpoch(actual, spec uint32) (Set, error) { return above(EpochFloor, actual, spec) }

func above(floor, actual, spec uint32) (Set, error) {
	if spec < floor || spec > Ceiling {
		return Set{}, fmt.Errorf("%w: spec %d is outside the audited range %d to %d", ErrUnknown, spec, floor, Ceiling)
	}
	s := Set{Spec: spec, Actual: actual}
	for _, c := range changes {
		*c.has(&s) = spec >= c.spec && (c.until == 0 || spec < c.until)
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
