package subtensor

import (
	"bufio"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestItems holds the table to what the metadata of three runtimes says: hashers and defaults.
func TestItems(t *testing.T) {
	file, err := os.Open("testdata/items.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	names := map[hasher]string{identity: "Identity", twox64: "Twox64Concat", blake2: "Blake2_128Concat"}
	seen := map[string]bool{}
	for s := bufio.NewScanner(file); s.Scan(); {
		f := strings.Fields(s.Text())
		if f[0] == "#" {
			continue
		}
		spec, name, kind, hashers, absent := f[0], f[1], f[2], f[3], f[4]
		it, ok := items[name]
		if !ok {
			t.Errorf("%s: not in the table", name)
			continue
		}
		seen[name] = seen[name] || spec == "424"
		got := "-"
		for i, h := range it.hashers {
			if i == 0 {
				got = names[h]
			} else {
				got += "+" + names[h]
			}
		}
		if got != hashers {
			t.Errorf("spec %s: %s is hashed by %s, the table has %s", spec, name, hashers, got)
		}
		// No default of its own: an option, an empty sequence, a zero account or hash, or the beacon.
		none := kind == "optional" || absent == "00" && !isBool(name) || absent == strings.Repeat("00", 32) || absent == "(quicknet)"
		if spec == "343" && name == "MaxAllowedUids" {
			continue // 4096 then; the registration of a subnet wrote 256 all the same
		}
		if want, _ := hex.DecodeString(absent); none != (it.absent == nil) || !none && string(want) != string(it.absent) {
			t.Errorf("spec %s: %s has the default %s (%s), the table has %x", spec, name, absent, kind, it.absent)
		}
	}
	for name := range items {
		if gone := name == "Rank" || name == "Trust"; seen[name] == gone {
			t.Errorf("%s is in the metadata of spec 424 or not, against what is known", name)
		}
	}
}

// isBool tells the items whose default 00 is a bool's from those whose it is a sequence's.
func isBool(name string) bool {
	switch name {
	case "NetworksAdded", "Yuma3On", "LiquidAlphaOn", "CommitRevealWeightsEnabled", "IsNetworkMember", "SubtokenEnabled":
		return true
	}
	return false
}
