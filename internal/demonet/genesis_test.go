package demonet

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

func TestReadGenesis(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"no JSON":       {`{`, "chain spec"},
		"nothing":       {`{"genesis": {}}`, "neither"},
		"no code":       {`{"genesis": {"raw": {"top": {"0x01": "0x02"}}}}`, "no :code"},
		"empty code":    {`{"genesis": {"raw": {"top": {"0x3a636f6465": "0x"}}}}`, "no :code"},
		"key":           {`{"genesis": {"raw": {"top": {"0x3a636f646": "0x00"}}}}`, "key"},
		"value":         {`{"genesis": {"raw": {"top": {"0x3a636f6465": "0xzz"}}}}`, "value"},
		"twice":         {`{"genesis": {"raw": {"top": {"0x3a636f6465": "0x00", "3a636f6465": "0x01"}}}}`, "twice"},
		"child":         {`{"genesis": {"raw": {"top": {"0x3a636f6465": "0x00"}, "childrenDefault": {"0x1": {}}}}}`, "childrenDefault"},
		"child's key":   {`{"genesis": {"raw": {"top": {"0x3a636f6465": "0x00"}, "childrenDefault": {"0x01": {"x": "0x00"}}}}}`, "childrenDefault"},
		"plain code":    {`{"genesis": {"runtimeGenesis": {"code": "0x0", "patch": {}}}}`, "runtimeGenesis.code"},
		"plain no code": {`{"genesis": {"runtimeGenesis": {"patch": {}}}}`, "no :code"},
	} {
		if _, err := readGenesis([]byte(c.spec)); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(Config{ChainSpec: []byte(c.spec)}); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: a network starts: %v", name, err)
		}
	}
	g, err := readGenesis([]byte(`{"genesis": {"raw": {"top": {"0x3a636f6465": "0xaabb", "0x3a686561707061676573": "0x0004000000000000"},
		"childrenDefault": {"0x01": {"0x02": "0x03"}}}}}`))
	if err != nil || string(g.code) != "\xaa\xbb" || len(g.heapPages()) != 8 || string(g.children["\x01"]["\x02"]) != "\x03" {
		t.Errorf("%+v, %v", g, err)
	}
	if o := (&Origin{spec: g}).children(); o["0x01"]["0x02"] != "0x03" {
		t.Errorf("children %v", o)
	}
	_, err = New(Config{ChainSpec: []byte(`{"genesis": {"raw": {"top": {"0x3a636f6465": "0xaabb"}}}}`)})
	if !errors.Is(err, runtime.ErrCode) {
		t.Errorf("code that is none: %v", err)
	}
}

func TestSpecWithoutItsChoices(t *testing.T) {
	for _, cfg := range []Config{{Spec: 425}, {Tempo: 30}, {CommitFaults: CommitFaults()}, {EpochFaults: EpochFaults()}} {
		cfg.ChainSpec = []byte("{}")
		if _, err := cfg.withDefaults(); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// TestMergeJSON has the cases of RFC 7396, appendix A, and a number that is no float.
func TestMergeJSON(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1}`, `{"b":340282366920938463463374607431768211455}`, `{"a":1,"b":340282366920938463463374607431768211455}`},
		{`{"a":1}`, ``, `{"a":1}`},
	} {
		for _, answer := range [][]byte{
			scale.AppendBlob(nil, []byte(c[0])),                       // Vec<u8>
			append([]byte{1}, scale.AppendBlob(nil, []byte(c[0]))...), // Some
		} {
			got, err := mergeJSON(answer, []byte(c[1]))
			if err != nil || string(got) != c[2] {
				t.Errorf("%s with %s: %s, %v, want %s", c[0], c[1], got, err, c[2])
			}
		}
	}
	for _, answer := range [][]byte{nil, {0}, {1}, {2, 4, '1'}, {8, '{'}, scale.AppendBlob(nil, []byte("{"))} {
		if got, err := mergeJSON(answer, []byte(`{"a":1}`)); err == nil {
			t.Errorf("%x: %s", answer, got)
		}
	}
}

// TestDevelopers: the public keys that Substrate's own documentation gives for them.
func TestDevelopers(t *testing.T) {
	for i, want := range []string{
		"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
		"5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y", "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy",
		"5HGjWAeFDfFCWPsjFQdVV2Msvz2XtMktvgocEZcCj68kUMaw", "5CiPPseXPECbkjWCa6MnjNokrgYjMqmKndv2rSnekmSK2DjL",
	} {
		if got := accountOf(developer(developers[i])).String(); got != want {
			t.Errorf("//%s is %s, want %s", developers[i], got, want)
		}
	}
}

func TestTakeOver(t *testing.T) {
	keys := newKeyring("x", 3)
	key := verify.StorageKey
	bob := accountOf(developer("Bob"))
	account := func(who verify.AccountID) string {
		return string(verify.AppendBlake2b128Concat(key("System", "Account"), who[:]))
	}
	empty := make([]byte, 56)
	rich := newAccount(empty, 2*endowment)
	rich[0] = 9 // a nonce
	kv := map[string][]byte{
		string(key("Aura", "Authorities")):       {0},
		string(key("Grandpa", "Authorities")):    {0},
		string(key("Sudo", "Key")):               make([]byte, 32),
		string(key("Balances", "TotalIssuance")): u64(2*endowment + 5),
		account(bob):                             rich,
		"something else":                         []byte("that stays"),
	}
	s, done, err := takeOver(runtime.NewTrieState(trie.From(trie.V1, kv)), trie.V1, keys, empty, 77)
	if err != nil {
		t.Fatal(err)
	}
	state := s.Trie()
	if total, _ := number(state, key("Balances", "TotalIssuance")); total != 7*endowment+5 {
		t.Errorf("issuance %d", total)
	}
	if now, _ := number(state, key("Timestamp", "Now")); now != 77 {
		t.Errorf("now %d", now)
	}
	if v, _ := state.Get([]byte(account(bob))); !slices.Equal(v, rich) {
		t.Error("who has enough is not left alone")
	}
	if v, _ := state.Get([]byte("something else")); string(v) != "that stays" {
		t.Errorf("something else: %q", v)
	}
	if _, ok := state.Get(keyGrandpaAuthorities); ok {
		t.Error("a list of authorities that was not there")
	}
	if state.Len() != len(kv)+len(developers)-1+2 {
		t.Errorf("%d keys", state.Len())
	}
	for _, r := range done {
		if strings.Contains(r.Now, "Bob") {
			t.Errorf("said to be replaced: %v", r)
		}
	}
	for name, gone := range map[string][]string{
		"no Aura":    {string(key("Aura", "Authorities"))},
		"no GRANDPA": {string(key("Grandpa", "Authorities"))},
	} {
		less := make(map[string][]byte)
		for k, v := range kv {
			if !slices.Contains(gone, k) {
				less[k] = v
			}
		}
		if _, _, err := takeOver(runtime.NewTrieState(trie.From(trie.V1, less)), trie.V1, keys, empty, 77); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for in, want := range map[string]string{
		"\x00\x00":                         "",
		"\x00\x01\x02":                     "dispatch failed: BadOrigin",
		"\x00\x01\x03\x05\x02\x00\x00\x00": "dispatch failed: Module(pallet 5, error 2)",
		"\x00\x01\x07\x00":                 "dispatch failed: Token(0)",
		"\x00\x01\x63":                     "dispatch failed: variant 99",
		"\x01\x00\x02":                     "invalid extrinsic: Future",
		"\x01\x00\x06":                     "invalid extrinsic: ExhaustsResources",
		"\x01\x00\x07\x0b":                 "invalid extrinsic: Custom(11)",
		"\x01\x01\x01":                     "invalid extrinsic: NoUnsignedValidator",
		"\x01\x01\x02\x07":                 "invalid extrinsic: Custom(7)",
	} {
		dispatch, validity, err := readApplied([]byte(in))
		got := ""
		switch {
		case err != nil:
			t.Errorf("%x: %v", in, err)
		case validity != nil:
			got = validity.Error()
			if later := strings.HasSuffix(want, "Future") || strings.HasSuffix(want, "ExhaustsResources"); validity.passes() != later || !errors.Is(validity, ErrInvalid) {
				t.Errorf("%s passes: %v", want, validity.passes())
			}
		case dispatch != nil:
			got = dispatch.Error()
			if !errors.Is(dispatch, ErrDispatch) {
				t.Errorf("%s is no ErrDispatch", want)
			}
		}
		if got != want {
			t.Errorf("%x is %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"", "\x02", "\x00", "\x00\x02", "\x00\x00\x00", "\x01", "\x01\x00", "\x01\x00\x07", "\x00\x01\x03\x05", "\x01\x00\x02\x00"} {
		if d, v, err := readApplied([]byte(in)); err == nil {
			t.Errorf("%x is %v, %v", in, d, v)
		}
	}
}

func FuzzReadApplied(f *testing.F) {
	f.Add([]byte("\x00\x01\x03\x05\x02\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x07\x0b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, v, err := readApplied(b)
		if err == nil && d != nil && v != nil {
			t.Errorf("%x is both", b)
		}
		if err == nil && v != nil {
			_ = v.Error()
		}
		if err == nil && d != nil {
			_ = d.Error()
		}
		if list, err := extrinsics(b); err == nil {
			again := scale.AppendCompact(nil, uint64(len(list)))
			for _, x := range list {
				again = append(again, x...)
			}
			if string(again) != string(b) {
				t.Errorf("%x is split into %x", b, list)
			}
		}
	})
}

func TestPool(t *testing.T) {
	var p pool
	x := func(i int) []byte { return fmt.Appendf(nil, "extrinsic %d", i) }
	h := func(i int) verify.Hash { return verify.Blake2b256(x(i)) }
	for i := range 4 {
		if err := p.add(h(i), x(i)); err != nil {
			t.Fatal(err)
		}
	}
	if p.add(h(0), x(0)); len(p.list) != 4 {
		t.Errorf("%d wait", len(p.list))
	}
	b := &block{hash: verify.Hash{1}, header: &verify.Header{Number: 7}, body: [][]byte{{1}, x(0), x(2)}}
	p.settle(made{block: b, outcomes: []outcome{{in: true, index: 1}, {err: ErrInvalid}, {in: true, index: 2, err: ErrDispatch}}})
	if w := p.waiting(); len(w) != 1 || string(w[0]) != string(x(3)) || p.size != len(x(3)) {
		t.Errorf("%q wait, %d bytes", w, p.size)
	}
	if f := p.fates[h(2)]; f != (Fate{b.hash, 7, 2, ErrDispatch}) {
		t.Errorf("%+v", f)
	}
	if p.known(h(1)) || !p.known(h(0)) || !p.known(h(3)) {
		t.Error("a refused one is known, or another is not")
	}
	// The block goes, and what was in it waits again.
	p.retract(b)
	if w := p.waiting(); len(w) != 3 || string(w[2]) != string(x(2)) {
		t.Errorf("%q wait", w)
	}
	p.retract(b)
	if len(p.list) != 3 {
		t.Error("taken back twice")
	}
	for i := 4; ; i++ {
		if err := p.add(h(i), x(i)); err != nil {
			if !errors.Is(err, ErrPoolFull) || len(p.list) != maxPool {
				t.Errorf("%d wait: %v", len(p.list), err)
			}
			break
		}
	}
	if err := p.add(h(0), nil); !errors.Is(err, ErrExtrinsic) {
		t.Errorf("an empty one: %v", err)
	}
	for i := range 3 * maxFates {
		p.set(verify.Blake2b256(u32(uint32(i))), Fate{Err: ErrInvalid})
	}
	if len(p.fates) != len(p.order) || len(p.fates) > maxFates+maxPool {
		t.Errorf("%d fates, %d in order", len(p.fates), len(p.order))
	}
}

// TestSubmitPlain: the chain without a runtime takes everything.
func TestSubmitPlain(t *testing.T) {
	n := network(t, Config{Peers: 1})
	hash, err := n.Submit(remark("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := n.Fate(hash); !ok || f != (Fate{}) {
		t.Errorf("%+v", f)
	}
	header, err := n.Step()
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := n.Fate(hash); f != (Fate{Block: header.Hash(), Number: header.Number, Index: 1}) {
		t.Errorf("%+v", f)
	}
	if _, err := n.Submit(nil); !errors.Is(err, ErrExtrinsic) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := n.Call(t.Context(), header.Hash(), "Core_version", nil); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("a call: %v", err)
	}
	if _, err := n.Sign("Alice", 0, nil); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("a signature: %v", err)
	}
	if n.Origin() != nil {
		t.Error("it is made from a spec")
	}
	if _, err := json.Marshal(n.Beacon()); err != nil {
		t.Error(err)
	}
}

func TestRecorder(t *testing.T) {
	kv := map[string][]byte{"a": {1}, "ab": make([]byte, 40), "b": {2}, "c": make([]byte, 50)}
	for i := range byte(40) {
		kv[string([]byte{'z', i})] = make([]byte, 35)
	}
	state := trie.From(trie.V1, kv)
	r := &recorder{state: runtime.NewTrieState(state)}
	if r.proof() != nil {
		t.Error("nothing was read, and there is a proof")
	}
	r.Get([]byte("ab"))
	r.Get([]byte("ax"))
	r.Next([]byte{'z', 3})
	s, err := runtime.NewProofState(state.Root(), r.proof())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok, err := s.Get([]byte("ab")); len(v) != 40 || !ok || err != nil {
		t.Errorf("%x %v %v", v, ok, err)
	}
	if _, ok, err := s.Get([]byte("ax")); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if k, ok, err := s.Next([]byte{'z', 3}); string(k) != "z\x04" || !ok || err != nil {
		t.Errorf("%x %v %v", k, ok, err)
	}
	if err := s.CheckUsed(); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Get([]byte("c")); !errors.Is(err, runtime.ErrIncomplete) {
		t.Errorf("what was not read: %v", err)
	}
}
