package commit

import "testing"

// Every reason has a word and a sentence of its own, and the numbers stand in bundles.
func TestReasons(t *testing.T) {
	numbers := []Reason{Unknown, Stored, PulseMissing, PulseBad, CiphertextBad, Undecryptable, PayloadBad, WrongHotkey, RootSubnet, NoMechanism,
		LengthsDiffer, TooManyUIDs, NotRegistered, StakeTooLow, VersionKeyOld, RateLimited, NoPermit, DuplicateUID, UnknownUID, TooFewWeights,
		WeightTooLarge, Superseded, Expired, Overtaken, TooEarly, RevealsOff}
	if len(numbers) != len(reasons) {
		t.Fatalf("%d reasons, %d in the list", len(reasons), len(numbers))
	}
	seen := map[string]bool{}
	for i, r := range numbers {
		if int(r) != i {
			t.Errorf("%v has number %d, not %d", r, r, i)
		}
		if seen[r.String()] || seen[r.Says()] || r.String() == "" || r.Says() == "" {
			t.Errorf("%d: %q, %q", i, r, r.Says())
		}
		seen[r.String()], seen[r.Says()] = true, true
		if got, ok := ParseReason(r.String()); !ok || got != r {
			t.Errorf("%v reads as %v", r, got)
		}
	}
	if _, ok := ParseReason("Stored"); ok || Reason(200).String() != "unknown" || Reason(200).Says() == "" {
		t.Error("what is no reason")
	}
	for k, want := range map[Kind]string{Hash: "hash", Timelocked: "timelocked", 7: "unknown"} {
		if k.String() != want {
			t.Errorf("kind %d: %v", k, k)
		}
	}
}
