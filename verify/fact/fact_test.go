package fact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/trie"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"object", `{"a":1}`, []string{`{"a":1}`}},
		{"list", ` [ {"a":1} , {"b":2} ] `, []string{`{"a":1}`, `{"b":2}`}},
		{"lines", "{\"a\":1}\n{\"b\":2}\r\n\n", []string{`{"a":1}`, `{"b":2}`}},
		{"lines over several lines", "{\n \"a\": 1\n}\n[{}]", []string{"{\n \"a\": 1\n}", `{}`}},
		{"byte order mark", "\xef\xbb\xbf{}", []string{`{}`}},
		{"headers", `{"x":1,"headers":[{"h":1},{"x":2},{}],"y":{"z":[]}}`,
			[]string{`{"h":1,"x":1,"y":{"z":[]}}`, `{"x":2,"y":{"z":[]}}`, `{"x":1,"y":{"z":[]}}`}},
		{"headers with nothing beside", `{"headers":[{"h":1}]}`, []string{`{"h":1}`}},
		{"headers is no list", `{"headers":{}}`, []string{`{"headers":{}}`}},
		{"headers in a list", `[{"headers":[{"a":1}],"n":2},{"b":3}]`, []string{`{"a":1,"n":2}`, `{"b":3}`}},
		{"escaped name beside", `{"\u0061\"":1,"headers":[{"a\"":2},{}]}`, []string{`{"a\"":2}`, `{"a\"":1}`}},
	} {
		got, err := Split([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var texts []string
		for _, g := range got {
			texts = append(texts, string(g))
		}
		if fmt.Sprintf("%q", texts) != fmt.Sprintf("%q", tt.want) {
			t.Errorf("%s: %q", tt.name, texts)
		}
	}
	wide := `{"headers":[` + strings.Repeat(`{},`, 1000) + `{}],"beside":"` + strings.Repeat("x", 100_000) + `"}`
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"empty", "", ErrInput},
		{"white space", " \n", ErrInput},
		{"empty list", "[]", ErrInput},
		{"number", "1", jsonfield.ErrType},
		{"text", `"x"`, jsonfield.ErrType},
		{"list of numbers", "[1]", jsonfield.ErrType},
		{"list of lists", "[[{}]]", jsonfield.ErrType},
		{"cut", `{"a":1`, jsonfield.ErrJSON},
		{"second line cut", "{}\n{", jsonfield.ErrJSON},
		{"words", "not json", jsonfield.ErrJSON},
		{"no headers", `{"headers":[]}`, jsonfield.ErrMissing},
		{"headers of numbers", `{"headers":[1]}`, jsonfield.ErrType},
		{"headers twice", `{"headers":[{}],"headers":[{}]}`, jsonfield.ErrDuplicate},
		{"too many", strings.Repeat("{}", MaxFacts+1), jsonfield.ErrLimit},
		{"too many in a list", "[" + strings.Repeat("{},", MaxFacts) + "{}]", jsonfield.ErrLimit},
		{"inherits too much", wide, jsonfield.ErrLimit},
	} {
		got, err := Split([]byte(tt.in))
		if !errors.Is(err, ErrInput) || !errors.Is(err, tt.want) {
			t.Errorf("%s: %d facts, %v", tt.name, len(got), err)
		}
	}
	if _, err := Split(make([]byte, MaxInput+1)); !errors.Is(err, ErrInput) {
		t.Errorf("over the size: %v", err)
	}
}

func TestKinds(t *testing.T) {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
		if err := CheckKind(k.Name); err != nil || k.Input == "" {
			t.Errorf("%s: %v", k.Name, err)
		}
		// No record of nothing is a success, and none of these inputs is read.
		for _, in := range []string{``, `{}`, `[]`, `null`, `1`, `{"a":1}`, `{`, `{}{}`, `{"header_scale":"0x","header_scale":"0x"}`} {
			if v := Check(k.Name, []byte(in), Options{}); v.Outcome != Failed || v.Reason == "" || v.Err == nil {
				t.Errorf("%s of %s: %v", k.Name, in, v)
			}
		}
	}
	err := CheckKind("headers")
	if !errors.Is(err, ErrUnknownKind) {
		t.Fatal(err)
	}
	for _, n := range names {
		if !strings.Contains(err.Error(), n) {
			t.Errorf("%v does not name %s", err, n)
		}
	}
	if v := Check("headers", []byte(`{}`), Options{}); v.Outcome != Failed || !errors.Is(v.Err, ErrUnknownKind) {
		t.Errorf("%v", v)
	}
	if v := Check("header", make([]byte, MaxInput+1), Options{}); v.Outcome != Failed || !errors.Is(v.Err, ErrInput) {
		t.Errorf("%v", v)
	}
}

// Names that stand twice are refused where they matter, and nowhere else.
func TestDuplicates(t *testing.T) {
	r := recordsOf(t, "testnet-5534451-grandpa-justification.json")[0]
	b := mustJSON(t, r)
	for _, tt := range []struct {
		member string
		want   Outcome
	}{
		{`"set_id_signed":3`, Failed},
		{`"block_hash":"0x00"`, Failed},
		{`"justification":null`, Failed},
		{`"zzz":1,"zzz":2`, OK},
		{`"Set_id_signed":2`, OK}, // another name
	} {
		in := append([]byte("{"+tt.member+","), b[1:]...)
		v := Check("justification", in, Options{})
		if v.Outcome != tt.want || (tt.want == Failed && !errors.Is(v.Err, jsonfield.ErrDuplicate)) {
			t.Errorf("%s: %v", tt.member, v)
		}
	}
}

func TestOptionsNetwork(t *testing.T) {
	r := recordsOf(t, "bittensor-headers.json")[0].only("header_scale", "aura_authorities") // of test
	b := mustJSON(t, r)
	for network, want := range map[string]Outcome{"test": OK, "testfinney": OK, "finney": Failed, "": Failed} {
		if v := Check("header", b, Options{Network: network}); v.Outcome != want {
			t.Errorf("%q: %v", network, v)
		}
	}
}

func TestVerdictForms(t *testing.T) {
	r := recordsOf(t, "bittensor-headers.json")[0]
	v := judge(t, "header", r.with("hash", "0x00"))
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got["kind"] != "header" || got["verdict"] != "failed" || got["number"] != float64(3264148) || got["reason"] != v.Reason {
		t.Errorf("%s", b)
	}
	if !bytes.HasPrefix(b, []byte(`{"kind":"header","verdict":"failed","reason":"hash: `)) {
		t.Errorf("%s", b)
	}
	if line := v.String(); !strings.HasPrefix(line, "failed header network=test number=3264148 hash=0x626a986a") || strings.Contains(line, "\n") {
		t.Errorf("%s", line)
	}
	// Hostile text in a reason stays on one line and is bounded.
	v = judge(t, "header", r.with("network", "a\nb\x1b[31m"+strings.Repeat("é", 3000), "aura_authorities", drop))
	if strings.ContainsAny(v.String(), "\n\x1b") || len(v.Reason) > maxReason+10 {
		t.Errorf("%q", v)
	}
	if v = judge(t, "header", r.with("network", "fi\ney").only("header_scale", "network")); strings.Contains(v.String(), "\n") {
		t.Errorf("%q", v)
	}
	for o, want := range map[Outcome]int{OK: 0, Failed: 3, Undecided: 7} {
		if o.ExitCode() != want {
			t.Errorf("%v: exit %d", o, o.ExitCode())
		}
	}
	if Worse(OK, Undecided) != Undecided || Worse(Undecided, Failed) != Failed || Worse(OK, OK) != OK || Worse(Failed, OK) != Failed {
		t.Error("Worse")
	}
	var zero Verdict
	if zero.Outcome == OK {
		t.Error("a forgotten outcome is a success")
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"x":1,"headers":[{"h":1},{"x":2},{}],"y":{"z":[]}}`))
	f.Add([]byte("[{},{}]\n{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := Split(b)
		if err != nil {
			return
		}
		for _, raw := range facts {
			if !json.Valid(raw) || raw[0] != '{' {
				t.Fatalf("not an object: %s", raw)
			}
		}
	})
}

func FuzzCheck(f *testing.F) {
	add := func(kind int, in []byte) { f.Add(byte(kind), in) }
	// Only what a kind needs: the fuzzer takes long over big seeds.
	for _, r := range []record{recordsOf(f, "bittensor-headers.json")[0], recordsOf(f, "bittensor-headers.json")[9]} {
		add(0, mustJSON(f, r.only("header_scale", "network", "hash", "slot").with("aura_authorities", nil)))
		add(0, mustJSON(f, r.only("header", "network")))
	}
	add(1, capture(f, "testnet-5534451-grandpa-justification.json"))
	add(2, mustJSON(f, warpRecord(true, finalize(block(122, 0), 2, 3))))
	add(3, capture(f, "finney-8867448-aura-readproof.json"))
	add(3, []byte(`{"state_root":"03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314","keys":["0x00",""],"values":[null,null],"proof":[]}`))
	body := recordsOf(f, "finney-9178000-header-body.json")[0]
	add(4, mustJSON(f, body.with("extrinsics", body["extrinsics"].([]any)[:2])))
	items := [][]byte{{4, 0}, {8, 1, 2}}
	add(4, mustJSON(f, record{"extrinsics": []string{hexOf(items[0]), hexOf(items[1])}, "extrinsics_root": trie.OrderedRoot(items)}))
	for i, file := range []string{"drand_rounds.json", "commit_hash.json", "tle_round1000.json", "max_upscale.jsonl"} {
		for _, r := range recordsOf(f, file)[:2] {
			add(5+i, mustJSON(f, r))
		}
	}
	add(6, capture(f, "finney_commit_fixture.json"))
	add(6, []byte(`{"call":"0x07600200f7badfe21fad67a617d01e9738709d14e9891ba904ae542ab469e39e10d113ce","netuid":2}`))
	for _, r := range recordsOf(f, "epoch.jsonl")[4:8] {
		add(9, mustJSON(f, r))
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		v := Check(kinds[int(kind)%len(kinds)].Name, in, Options{})
		if (v.Reason == "") != (v.Outcome == OK) || (v.Err == nil) != (v.Outcome == OK) {
			t.Fatalf("%v", v)
		}
		b, err := json.Marshal(v)
		if err != nil || !json.Valid(b) {
			t.Fatalf("%s: %v", b, err)
		}
		if strings.Contains(v.String(), "\n") {
			t.Fatalf("%q", v.String())
		}
		// Stated results never make anything easier: what is OK is OK without them.
		if v.Outcome == OK {
			o, err := jsonfield.Parse(in)
			if err != nil {
				t.Fatal(err)
			}
			bare := []byte("{")
			for _, m := range o.All() {
				if stated[m.Name] && !given[v.Kind+" "+m.Name] {
					continue
				}
				name, _ := json.Marshal(m.Name)
				if len(bare) > 1 {
					bare = append(bare, ',')
				}
				bare = append(append(append(bare, name...), ':'), m.Value...)
			}
			if w := Check(v.Kind, append(bare, '}'), Options{}); w.Outcome != OK {
				t.Fatalf("%v; without what it states: %v", v, w)
			}
		}
	})
}

// stated are the names that are results only, but for those that are given to one kind.
var stated = map[string]bool{"hash": true, "block_hash": true, "number": true, "block_number": true, "slot": true,
	"author_index": true, "pre_seal_hash": true, "round": true, "value": true, "values": true,
	"randomness": true, "preimage": true, "commit_hash": true, "commit_len": true, "plaintext_len": true, "reveal_round": true,
	"commit_reveal_version": true, "Plaintext": true, "Esk": true, "Sigma": true, "Nonce": true, "hotkey": true}

var given = map[string]bool{"pulse round": true, "commit hash": true, "commit values": true}
