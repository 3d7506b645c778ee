package fact

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/rules"
)

// inner returns r with one member of its member changed.
func inner(t testing.TB, r record, member, name string, value any) record {
	t.Helper()
	m, ok := r[member].(map[string]any)
	if !ok {
		t.Fatalf("no %s", member)
	}
	return r.with(member, map[string]any(record(m).with(name, value)))
}

// bumped returns a copy of v, a list of numbers or of truths, with one element changed.
func bumped(t testing.TB, v any, at int) any {
	t.Helper()
	out := append([]any(nil), v.([]any)...)
	switch x := out[at].(type) {
	case bool:
		out[at] = !x
	case json.Number:
		n, err := x.Int64()
		if err != nil {
			t.Fatal(err)
		}
		out[at] = n + 1
	}
	return out
}

func TestEpoch(t *testing.T) {
	all := recordsOf(t, "epoch.jsonl")
	r := all[6] // of spec 425
	if r["spec_version"] != json.Number("425") {
		t.Fatal(r["spec_version"])
	}
	old := all[9].with("owner", nil)
	many := make([]int, 1<<16+1)
	variants(t, "epoch", r, []variant{
		{"as it is", nil, OK, ""},
		{"no rules named", []any{"spec_version", drop}, OK, ""},
		{"without what was on the way", []any{"dbg", drop}, OK, ""},
		{"no results", []any{"out", drop}, Undecided, "out: not decided"},
		{"null results", []any{"out", nil}, Undecided, "out: not decided"},
		{"empty results", []any{"out", map[string]any{}}, Undecided, "active: not decided"},
		{"results that are a list", []any{"out", []int{}}, Failed, "input: out: "},
		{"unknown rules", []any{"spec_version", 467}, Undecided, "spec_version: unknown rules"},
		{"rules too old", []any{"spec_version", 272}, Undecided, "spec_version: unknown rules"},
		{"rules of 33 bits", []any{"spec_version", "8589934592"}, Failed, "input: spec_version: "},
		{"n missing", []any{"n", drop}, Failed, "input: n: missing"},
		{"n too large", []any{"n", 4097}, Failed, "input: n: over the limit"},
		{"fewer neurons", []any{"n", 2}, Failed, "input: "},
		{"more neurons", []any{"n", 60}, Failed, "input: alpha: "},
		{"parents of others", []any{"parents", []any{}}, Failed, "input: parents: "},
		{"children of others", []any{"children", []any{}}, Failed, "input: parents: "},
		{"tao of fewer", []any{"tao", []int{1}}, Failed, "input: alpha: "},
		{"steepness out of range", []any{"steep", 32_768}, Failed, "input: steep: "},
		{"steepness below range", []any{"steep", -32_769}, Failed, "input: steep: "},
		{"steepness as a float", []any{"steep", 1.5}, Failed, "input: steep: "},
		{"kappa of 17 bits", []any{"kappa", 65_536}, Failed, "input: kappa: "},
		{"yuma3 as a number", []any{"yuma3", 1}, Failed, "input: yuma3: "},
		{"factor missing", []any{"factor", drop}, Failed, "input: factor: missing"},
		{"lms missing", []any{"lms", drop}, Failed, "input: lms: missing"},
		{"activity_cutoff is not asked for", []any{"activity_cutoff", drop}, OK, ""},
		{"too many updates", []any{"last_update", many}, Failed, "input: last_update: over the limit"},
		{"weights with three figures", []any{"weights", [][][]int{{{0, 1, 2}}}}, Failed, "input: weights: 0: 0: "},
		{"weights with one figure", []any{"weights", [][][]int{{{0}}}}, Failed, "input: weights: 0: 0: "},
		{"weights of 17 bits", []any{"weights", [][][]int{{{0, 65_536}}}}, Failed, "input: weights: 0: 0: 1: "},
		{"weights that are numbers", []any{"weights", []int{1}}, Failed, "input: weights: 0: "},
		{"owner of 17 bits", []any{"owner", 65_536}, Failed, "input: owner: "},
		{"alpha below zero", []any{"alpha", []int{-1, 1, 1, 1, 1, 1, 1, 1}}, Failed, "input: alpha: 0: "},
	})
	expect(t, "old rules without their cutoff", "epoch", old.with("activity_cutoff", drop), Failed, "input: activity_cutoff: missing")
	expect(t, "old rules without what is new", "epoch", all[9].with("factor", drop, "lms", drop), OK, "")
	// A wrong cell of any result is named, with its uid.
	for k, r := range all {
		out := r["out"].(map[string]any)
		for name, v := range out {
			if name == "bonds" {
				continue
			}
			at := len(v.([]any)) - 1
			expect(t, fmt.Sprintf("%d: %s", k, name), "epoch", inner(t, r, "out", name, bumped(t, v, at)), Failed, fmt.Sprintf("%s: stated and computed differ: uid %d: ", name, at))
			expect(t, fmt.Sprintf("%d: %s cut", k, name), "epoch", inner(t, r, "out", name, v.([]any)[:at]), Failed, name+": stated and computed differ: ")
			want := OK
			for _, e := range epochResults {
				if e.name == name && e.stored {
					want = Undecided
				}
			}
			step := ""
			if want == Undecided {
				step = name + ": not decided"
			}
			expect(t, fmt.Sprintf("%d: no %s", k, name), "epoch", inner(t, r, "out", name, drop), want, step)
			expect(t, fmt.Sprintf("%d: null %s", k, name), "epoch", inner(t, r, "out", name, nil), want, step)
			expect(t, fmt.Sprintf("%d: wrong %s", k, name), "epoch", inner(t, r, "out", name, "x"), Failed, "input: out: "+name+": ")
		}
		expect(t, "no bonds", "epoch", inner(t, r, "out", "bonds", drop), Undecided, "bonds: not decided")
		if dbg, ok := r["dbg"].(map[string]any); ok {
			for name, v := range dbg {
				expect(t, fmt.Sprintf("%d: raw %s", k, name), "epoch", inner(t, r, "dbg", name, bumped(t, v, 0)), Failed, "dbg: "+name+": stated and computed differ: uid 0: ")
			}
			expect(t, "raw text", "epoch", inner(t, r, "dbg", "stake", []string{"x"}), Failed, "input: dbg: stake: 0: ")
			expect(t, "other raw figures", "epoch", inner(t, r, "dbg", "no_such_vector", 1), OK, "")
		}
	}
	// Bonds: another value, another uid, one more, one fewer, another row.
	bonds := r["out"].(map[string]any)["bonds"].([]any)
	for uid, row := range bonds {
		cells := row.([]any)
		if len(cells) == 0 {
			continue
		}
		changed := func(cells []any) record {
			all := append([]any(nil), bonds...)
			all[uid] = cells
			return inner(t, r, "out", "bonds", all)
		}
		first := cells[0].([]any)
		step := fmt.Sprintf("bonds: uid %d: stated and computed differ: ", uid)
		expect(t, "bond of another value", "epoch", changed(append([]any{bumped(t, first, 1)}, cells[1:]...)), Failed, step)
		expect(t, "bond in another uid", "epoch", changed(append([]any{bumped(t, first, 0)}, cells[1:]...)), Failed, step)
		expect(t, "one more bond", "epoch", changed(append(append([]any(nil), cells...), []int{0, 0})), Failed, step)
		expect(t, "one bond fewer", "epoch", changed(cells[:len(cells)-1]), Failed, step)
	}
	expect(t, "bonds of fewer", "epoch", inner(t, r, "out", "bonds", bonds[1:]), Failed, "bonds: stated and computed differ: ")
	expect(t, "bonds that are none", "epoch", inner(t, r, "out", "bonds", []int{1}), Failed, "input: out: bonds: ")

	v := judge(t, "epoch", r.with("out", drop, "spec_version", drop))
	if !errors.Is(v.Err, ErrIncomplete) || v.Get("rules") != "spec 425" || fmt.Sprint(v.Get("consensus")) != fmt.Sprint(r["out"].(map[string]any)["consensus"]) {
		t.Errorf("%v", v)
	}
	if v := judge(t, "epoch", r.with("spec_version", 467)); !errors.Is(v.Err, rules.ErrUnknown) || v.Outcome.ExitCode() != 7 {
		t.Errorf("%v", v)
	}
}

// A parent is a hotkey of the record, and its stake counts.
func TestEpochParents(t *testing.T) {
	r := record{
		"n": 2, "block": 100, "tempo": 10, "factor": 13_889, "lms": 90, "last_update": []int{95, 95}, "reg": []int{1, 1},
		"alpha": []int{100, 0, 300}, "tao": []int{0, 0, 0}, "parents": [][][2]uint64{{}, {{1<<64 - 1, 2}}}, "children": [][]int{{}, {}}, "tao_weight": 0,
		"threshold": 0, "permits": []bool{true, true}, "maxval": 2, "weights": [][][]int{{{1, 9}}, {{0, 9}}}, "bonds": [][]int{{}, {}},
		"kappa": 32_767, "penalty": 65_535, "bma": 900_000, "yuma3": true, "liquid": false, "alow": 0, "ahigh": 0, "steep": 0, "cr": false, "rao": 1000,
	}
	v := judge(t, "epoch", r)
	if fmt.Sprint(v.Get("stake_weight")) != "[16383 49151]" || fmt.Sprint(v.Get("raw_stake")) != "[100 300]" || v.Outcome != Undecided {
		t.Errorf("%v", v)
	}
	expect(t, "parent that there is not", "epoch", r.with("parents", [][][2]uint64{{}, {{1, 3}}}), Failed, "input: parents: 1: 0: ")
	expect(t, "parent without proportion", "epoch", r.with("parents", [][][1]uint64{{}, {{1}}}), Failed, "input: parents: 1: 0: ")
	expect(t, "parents that are no list", "epoch", r.with("parents", []int{1, 1}), Failed, "input: parents: 0: ")
	expect(t, "children that are no list", "epoch", r.with("children", []int{1, 1}), Failed, "input: children: 0: ")
	expect(t, "commits that count", "epoch", r.with("cr", true), Failed, "input: commit_blocks: missing")
	expect(t, "commits that do not count yet", "epoch", r.with("cr", true, "spec_version", 293, "activity_cutoff", 5000), Undecided, "out: ")
}

func TestSigned(t *testing.T) {
	for _, c := range []struct {
		raw  string
		size int
		want int64
		ok   bool
	}{
		{"0", 32, 0, true}, {"-0", 32, 0, true}, {"-1", 32, -1, true}, {`"7"`, 32, 7, true},
		{"2147483647", 32, 1<<31 - 1, true}, {"2147483648", 32, 0, false}, {"-2147483648", 32, -1 << 31, true}, {"-2147483649", 32, 0, false},
		{"9223372036854775807", 64, 1<<63 - 1, true}, {"9223372036854775808", 64, 0, false}, {"-9223372036854775808", 64, -1 << 63, true},
		{"-9223372036854775809", 64, 0, false}, {"-99999999999999999999", 64, 0, false}, {"--1", 64, 0, false}, {"-", 64, 0, false}, {"-1.0", 64, 0, false}, {"", 64, 0, false},
	} {
		got, err := signed([]byte(c.raw), c.size)
		if (err == nil) != c.ok || c.ok && got != c.want || err != nil && !errors.Is(err, jsonfield.ErrInteger) {
			t.Errorf("%q of %d bits: %d, %v", c.raw, c.size, got, err)
		}
	}
}

// All lines of the epoch vectors.
func TestEpochFiles(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: it names the folder of the files")
	}
	for _, name := range []string{"epoch_small.jsonl", "epoch_medium.jsonl", "epoch_large.jsonl"} {
		b, err := os.ReadFile(filepath.Join(dir, "yuma", name))
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Split(b)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range facts {
			if v := Check("epoch", f, Options{}); v.Outcome != OK || strings.Contains(v.String(), "\n") {
				t.Errorf("%s %d: %v", name, i, v)
			}
		}
	}
}
