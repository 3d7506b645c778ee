package epoch

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/subtensor"
)

// Six epochs of one subnet on a real runtime of spec 293, with the storage that was recorded before and
// after each. Of what it does not record, two values were set by the calls before (the subnet exists, and
// its token was enabled); the rest is at the default of that runtime. StakeWeight was not recorded.
func TestRuntime293(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set")
	}
	b, err := os.ReadFile(filepath.Join(dir, "runtime-oracle-spec293.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		Netuid uint16
		Steps  []struct {
			Label         string
			Block         uint64
			Before, After map[string]map[string]*string
		}
	}
	if err := json.Unmarshal(b, &record); err != nil {
		t.Fatal(err)
	}
	last := uint64(17)
	epochs := 0
	for _, step := range record.Steps {
		if step.Before == nil {
			continue
		}
		epochs++
		t.Run(step.Label, func(t *testing.T) {
			before, after := store{}, store{}
			for _, x := range []struct {
				to   store
				from map[string]map[string]*string
			}{{before, step.Before}, {after, step.After}} {
				for _, item := range x.from {
					for k, v := range item {
						if v != nil {
							x.to.put(unhex(t, k), unhex(t, *v))
						}
					}
				}
				x.to.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 293, SpecName: "node-subtensor"}.Append(nil))
				x.to.subnet("NetworksAdded", record.Netuid, boolean(true))
			}
			if got, err := LastStep(before, record.Netuid); err != nil || got != last {
				t.Errorf("last epoch before is %d, %v; want %d", got, err, last)
			}
			last = step.Block
			r, err := Rules(after)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Read(before, after, record.Netuid, step.Block, r, nil)
			if err != nil {
				t.Fatal(err)
			}
			v := e.Verdict()
			var compared []string
			for _, a := range v.Arrays {
				if a.Name == "StakeWeight" {
					continue
				}
				if a.Finding != Equal {
					t.Errorf("%s: %v %s %v", a.Name, a.Finding, a.Why, a.Cells)
				}
				compared = append(compared, a.Name)
			}
			if len(compared) != 12 {
				t.Errorf("%d arrays compared", len(compared))
			}
			t.Logf("block %d, %d rao, equal: %s", step.Block, v.Rao, strings.Join(compared, ", "))
		})
	}
	if epochs != 6 {
		t.Errorf("%d epochs", epochs)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
