package demonet

import (
	"fmt"
	"slices"
)

// A CommitFault is a way in which a commit is not what it should be, or is odd and still good.
type CommitFault int

// The faults. Those up to SupersededCommit end as their name says, in the words that a verdict on a
// commit uses; the last four are oddities that the chain takes no notice of.
const (
	NoCommitFault CommitFault = iota
	PulseMissing
	PulseLate
	CiphertextBad
	Undecryptable
	PayloadBad
	WrongHotkey
	LengthsDiffer
	TooManyUIDs
	NotRegistered
	StakeTooLow
	VersionKeyOld
	NoPermit
	DuplicateUID
	UnknownUID
	TooFewWeights
	WeightTooLarge
	Superseded
	NoMechanism
	Expired
	Overtaken
	TrailingBytes
	LegacyPayload
	OddSuite
	ZeroWeights
)

// commitFaults says what each does, which kinds of commit it is of, and how they end: "" is the
// fault's own name. A hash commit that cannot be revealed for what is in it just expires.
var commitFaults = [...]struct {
	name, what         string
	timelocked, hash   bool
	ends, endsRevealed string
}{
	NoCommitFault:  {"none", "commits as it should", true, true, whyStored, whyStored},
	PulseMissing:   {"pulse-missing", "waits for a round that never reaches the chain", true, false, "", ""},
	PulseLate:      {"pulse-late", "waits for a round of eight blocks after its time, and is revealed then", true, false, whyStored, ""},
	CiphertextBad:  {"ciphertext-bad", "commits to bytes that are no ciphertext", true, false, "", ""},
	Undecryptable:  {"undecryptable", "encrypts to another round than the one it states", true, false, "", ""},
	PayloadBad:     {"payload-bad", "encrypts bytes that are no weights", true, false, "", ""},
	WrongHotkey:    {"wrong-hotkey", "encrypts weights in the name of another hotkey", true, false, "", ""},
	LengthsDiffer:  {"lengths-differ", "has one value less than uids", true, true, "", whyExpired},
	TooManyUIDs:    {"too-many-uids", "has more weights than the subnet has neurons", true, true, "", whyExpired},
	NotRegistered:  {"not-registered", "loses its uid to another hotkey before the reveal", true, true, "", whyExpired},
	StakeTooLow:    {"stake-too-low", "loses its stake before the reveal", true, true, "", whyExpired},
	VersionKeyOld:  {"version-key-old", "uses the version key before the subnet's", true, true, "", whyExpired},
	NoPermit:       {"no-permit", "loses its validator permit before the reveal", true, true, "", whyExpired},
	DuplicateUID:   {"duplicate-uid", "gives weights to one uid twice", true, true, "", whyExpired},
	UnknownUID:     {"unknown-uid", "gives weights to a uid that nobody has", true, true, "", whyExpired},
	TooFewWeights:  {"too-few-weights", "gives weights to fewer uids than the subnet asks for", true, true, "", whyExpired},
	WeightTooLarge: {"weight-too-large", "gives one uid more than MaxWeightsLimit, which runtimes from 334 on ignore", true, true, "", whyExpired},
	Superseded:     {"superseded", "commits twice in one epoch, and the second is stored over the first", true, false, "", ""},
	NoMechanism:    {"no-mechanism", "commits on a mechanism that the subnet gives up before the reveal", true, false, "", ""},
	Expired:        {"expired", "never reveals", false, true, "", whyExpired},
	Overtaken:      {"overtaken", "commits twice in one epoch, and reveals only the second", false, true, "", whyOvertaken},
	TrailingBytes:  {"trailing-bytes", "has bytes after the ciphertext and after the payload in it", true, false, whyStored, ""},
	LegacyPayload:  {"legacy-payload", "encrypts the old payload, without a hotkey", true, false, whyStored, ""},
	OddSuite:       {"odd-suite", "names a cipher that does not exist", true, false, whyStored, ""},
	ZeroWeights:    {"zero-weights", "gives everybody a weight of nothing", true, true, whyStored, whyStored},
}

func (f CommitFault) String() string {
	if f < 0 || int(f) >= len(commitFaults) {
		return fmt.Sprintf("commit fault %d", int(f))
	}
	return commitFaults[f].name
}

// What says in words what a validator with that fault does.
func (f CommitFault) What() string { return commitFaults[f].what }

// Of reports whether commits of a kind can have the fault.
func (f CommitFault) Of(kind CommitKind) bool {
	if kind == TimelockedCommit {
		return commitFaults[f].timelocked
	}
	return commitFaults[f].hash
}

// Ends is the word that a commit of a kind with that fault ends with (CommitRecord.Why) under the
// rules of a spec version.
func (f CommitFault) Ends(kind CommitKind, spec uint32) string {
	word := commitFaults[f].ends
	if kind == HashCommit {
		word = commitFaults[f].endsRevealed
	}
	switch {
	case f == WeightTooLarge && spec >= specNoMaximum, f == NoMechanism && spec < specMechanisms:
		return whyStored
	case word == "":
		return commitFaults[f].name
	}
	return word
}

// ParseCommitFault returns the fault of a name, such as "no-permit".
func ParseCommitFault(name string) (CommitFault, error) {
	for f := range commitFaults {
		if commitFaults[f].name == name {
			return CommitFault(f), nil
		}
	}
	return 0, fmt.Errorf("demo network: no commit fault is called %q", name)
}

// CommitFaults returns every fault, NoCommitFault left out.
func CommitFaults() []CommitFault {
	out := make([]CommitFault, 0, len(commitFaults)-1)
	for f := 1; f < len(commitFaults); f++ {
		out = append(out, CommitFault(f))
	}
	return out
}

// ofKind returns those of a list that commits of a kind can have.
func ofKind(list []CommitFault, kind CommitKind) []CommitFault {
	return slices.DeleteFunc(slices.Clone(list), func(f CommitFault) bool { return !f.Of(kind) })
}
