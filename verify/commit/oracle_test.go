package commit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// What a real runtime did with weights that were set and with a hash commit: every extrinsic of that
// kind in the record of a run of the spec-293 runtime, with the storage before and after it. The rules
// for it are those of spec 306, the oldest audited: nothing of what is compared here changed between.
func TestRuntime(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: it names the folder of the record")
	}
	b, err := os.ReadFile(filepath.Join(dir, "runtime-oracle-spec293.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		Netuid uint16
		Uids   map[string]string
		Steps  []struct {
			Label, Signer, CallHex string
			Block                  uint64
			Events                 []struct{ Event string }
			After                  map[string]map[string]string
			Storage                map[string]map[string][2]*string
		}
		Commit struct {
			Preimage, Hash     string
			UIDs, Values, Salt []uint16
			VersionKey         uint64
		}
	}
	if err := json.Unmarshal(b, &record); err != nil {
		t.Fatal(err)
	}
	r, err := rules.Assume(293, 306)
	if err != nil {
		t.Fatal(err)
	}
	u16s := func(in *scale.Reader) []uint16 {
		out := make([]uint16, in.Count(2, 256))
		for i := range out {
			out[i] = in.U16()
		}
		return out
	}
	s := store{}
	// The record leaves this one out; the subnet was registered in an earlier step.
	s[string(subtensor.KeySubnet("NetworksAdded", record.Netuid))] = []byte{1}
	var set, committed, early, revealed int
	for _, step := range record.Steps {
		after := store{}
		for k, v := range s {
			after[k] = v
		}
		for _, keys := range step.After {
			for k, v := range keys {
				after[string(unhex(t, k))] = unhex(t, v)
			}
		}
		for item, keys := range step.Storage {
			for k, v := range keys {
				key := string(unhex(t, k))
				if v[0] != nil && s[key] != nil && item == "Weights" && string(s[key]) != string(unhex(t, *v[0])) {
					t.Errorf("%s: the record does not hang together at %s", step.Label, k)
				}
				delete(after, key)
				if v[1] != nil {
					after[key] = unhex(t, *v[1])
				}
			}
		}
		before := s
		s = after
		if step.Signer == "" {
			continue
		}
		failed := false
		for _, e := range step.Events {
			failed = failed || strings.HasSuffix(e.Event, "ExtrinsicFailed")
		}
		who, err := verify.ParseAccount(step.Signer)
		if err != nil {
			t.Fatal(err)
		}
		in := scale.NewReader(unhex(t, step.CallHex))
		pallet, call := in.Byte(), in.Byte()
		if pallet != 7 || call != 0 && call != 96 && call != 97 {
			continue
		}
		netuid := in.U16()
		f, err := ReadFacts(before, netuid, 0, who, r)
		if err != nil {
			t.Fatalf("%s: %v", step.Label, err)
		}
		stored := func(uids, values []uint16, key uint64) {
			t.Helper()
			row, why := f.Judge(step.Block, uids, values, key)
			if (why == Stored) == failed {
				t.Errorf("%s: %v", step.Label, why)
			}
			got, _, err := subtensor.ReadWeights(after, netuid, f.UID)
			if err != nil || !slices.Equal(got, row) {
				t.Errorf("%s: judged %v, stored %v, %v", step.Label, row, got, err)
			}
		}
		switch call {
		case 0:
			uids, values, key := u16s(in), u16s(in), in.U64()
			stored(uids, values, key)
			set++
		case 96:
			var hash verify.Hash
			in.Copy(hash[:])
			c := record.Commit
			if want := HashOf(who, netuid, c.UIDs, c.Values, c.Salt, c.VersionKey); want != hash || want.String() != c.Hash {
				t.Errorf("%s: %v, we have %v", step.Label, hash, want)
			}
			if got := Preimage(who, netuid, c.UIDs, c.Values, c.Salt, c.VersionKey); string(got) != string(unhex(t, c.Preimage)) {
				t.Errorf("%s: preimage %x", step.Label, got)
			}
			committed++
		case 97:
			uids, values, salt, key := u16s(in), u16s(in), u16s(in), in.U64()
			hash := HashOf(who, netuid, uids, values, salt, key)
			queue, err := subtensor.ReadHashCommits(before, netuid, who, r)
			at := slices.IndexFunc(queue, func(c subtensor.HashCommit) bool { return c.Hash == hash })
			if err != nil || at < 0 {
				t.Fatalf("%s: %+v holds no %v, %v", step.Label, queue, hash, err)
			}
			left, err := subtensor.ReadHashCommits(after, netuid, who, r)
			if err != nil {
				t.Fatal(err)
			}
			window := f.Window(queue[at], step.Block)
			gone := Gone(queue, left, queue[at], window)
			// The entry says the same as the epochs from which Window has it.
			if c := queue[at]; (step.Block < c.First) != (window == TooEarly) || step.Block > c.Last {
				t.Errorf("%s: %v, %+v", step.Label, window, c)
			}
			if failed {
				if window != TooEarly || gone != Unknown {
					t.Errorf("%s: refused, we say %v, %v", step.Label, window, gone)
				}
				early++
				continue
			}
			if window != Stored || gone != Stored {
				t.Errorf("%s: taken, we say %v, %v", step.Label, window, gone)
			}
			stored(uids, values, key)
			revealed++
		}
		if in.Err() != nil || in.Len() != 0 {
			t.Errorf("%s: call not read to its end", step.Label)
		}
	}
	if set != 3 || committed != 1 || early != 1 || revealed != 1 {
		t.Errorf("%d set, %d committed, %d too early, %d revealed", set, committed, early, revealed)
	}
}
