package metadata

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
)

func hasherList(it *Item) string {
	var names []string
	for _, h := range it.Hashers {
		names = append(names, h.String())
	}
	if names == nil {
		return "-"
	}
	return strings.Join(names, "+")
}

// table reads a file of words, a line each, without its comments.
func table(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			rows = append(rows, f)
		}
	}
	return rows
}

// TestKnownKeys holds the prefixes and hashers that metadata gives to a list from elsewhere. The list is
// of spec 425: earlier runtimes have most of it.
func TestKnownKeys(t *testing.T) {
	for _, name := range vectorFiles {
		m := vectorMetadata(t, name)
		missing := 0
		rows := table(t, "testdata/keys.txt")
		for _, f := range rows {
			it, err := m.Item(f[0] + "." + f[1])
			if err != nil {
				if missing++; name == "metadata-v16-spec424.scale" {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if got := hex.EncodeToString(it.Prefix()); got != f[2] {
				t.Errorf("%s: %v: prefix %s, want %s", name, it, got, f[2])
			}
			if got := hasherList(it); f[3] != "?" && got != f[3] {
				t.Errorf("%s: %v: hashed by %s, want %s", name, it, got, f[3])
			}
			if at := m.ItemOf(unhex(t, f[2])); at != it {
				t.Errorf("%s: %v: its prefix is found as %v", name, it, at)
			}
		}
		if len(rows) < 100 || missing > len(rows)/4 {
			t.Errorf("%s: it has not %d of %d", name, missing, len(rows))
		}
	}
}

// TestFullKeys makes whole keys and takes them apart; A is the account of the bytes 1 to 32.
func TestFullKeys(t *testing.T) {
	var a verify.AccountID
	for i := range a {
		a[i] = byte(i + 1)
	}
	const module = "658faa385070e074c85bf6b568cf0555 "
	m := vectorMetadata(t, "metadata-v16-spec424.scale")
	for _, c := range []struct {
		item, words, key string
	}{
		{"SubtensorModule.Weights", "7 3", module + "a1e7036061f484bc3048a64b64e35ec4 0700 0300"},
		{"SubtensorModule.Weights", "4103 3", module + "a1e7036061f484bc3048a64b64e35ec4 0710 0300"},
		{"SubtensorModule.TimelockedWeightCommits", "7 25_000", module + "119e1c428ff5c7c6dac4c888a10d1443 bc57c078260bbd3c 0700 326facd09d34ef0c a861000000000000"},
		{"SubtensorModule.WeightCommits", "7 A", module + "9f14c8e879f1adfb03db481d61f6798c bc57c078260bbd3c 0700 7fbdc013784b6189 A"},
		{"SubtensorModule.TotalHotkeyAlpha", "A 7", module + "ee25c3b5b1886863480497907f1829e6 2dccd599abfe1920a1cff8a735823143 A 0700"},
		{"SubtensorModule.Uids", "7 A", module + "aab1b4e78e1ea8305462ee53b3686dc8 0700 2dccd599abfe1920a1cff8a735823143 A"},
		{"SubtensorModule.Yuma3On", "7", module + "dd640da43c4f8e3feabfdf1f232d8534 dd2aac9a881ef4baa27e2f39e1d46707 0700"},
		{"SubtensorModule.RevealPeriodEpochs", "0x7", module + "8f232bcbac768c1d6201850c60f161ed bc57c078260bbd3c 0700"},
		{"drand.pulses", "1,000", "a285cdb66e8b8524ea70b1693c7b1e05 0d8e70fd32bfb1639703f9a23d15b15e 646b8858c86fefefe34a7c69e60c9917 e803000000000000"},
	} {
		it, err := m.Item(c.item)
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, strings.NewReplacer(" ", "", "A", hex.EncodeToString(a[:])).Replace(c.key))
		for _, as := range []string{a.String(), a.Hex(), hex.EncodeToString(a[:])} {
			words := strings.Fields(strings.ReplaceAll(c.words, "A", as))
			if got, err := it.KeyWords(words...); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v %q: %x, %v, want %x", it, words, got, err, want)
			}
		}
		parts, err := it.SplitKey(want)
		if err != nil || len(parts) != len(it.Keys) {
			t.Errorf("%v: %x splits into %x, %v", it, want, parts, err)
		}
		if back, err := it.Key(parts...); err != nil || !bytes.Equal(back, want) {
			t.Errorf("%v: %x, %v, want %x", it, back, err, want)
		}
	}
}

// TestSubtensorTable compares what metadata says with what verify/subtensor has been told of it, and
// the keys that it makes with those made here.
func TestSubtensorTable(t *testing.T) {
	files := map[string]string{"343": "metadata-v14-spec343.scale", "393": "metadata-v16-spec393.scale", "424": "metadata-v16-spec424.scale"}
	parsed := map[string]*Metadata{}
	for spec, name := range files {
		parsed[spec] = vectorMetadata(t, name)
	}
	rows := table(t, "../../../verify/subtensor/testdata/items.txt")
	if len(rows) < 200 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, f := range rows {
		m := parsed[f[0]]
		pallet := slices.IndexFunc(m.Pallets, func(p Pallet) bool {
			return bytes.Equal(verify.StorageKey(p.Prefix, f[1]), subtensor.Prefix(f[1]))
		})
		if pallet < 0 {
			t.Errorf("spec %s: %s is in no pallet", f[0], f[1])
			continue
		}
		it, err := m.Item(m.Pallets[pallet].Name + "." + f[1])
		if err != nil {
			t.Errorf("spec %s: %v", f[0], err)
			continue
		}
		kind := "default"
		if it.Optional {
			kind = "optional"
		}
		if kind != f[2] || hasherList(it) != f[3] {
			t.Errorf("spec %s: %v is %s %s, the table has %s %s", f[0], it, kind, hasherList(it), f[2], f[3])
		}
		if got := hex.EncodeToString(it.Default); got != f[4] && f[4] != "(quicknet)" {
			t.Errorf("spec %s: %v has the default %s, the table has %s", f[0], it, got, f[4])
		}
	}
}
