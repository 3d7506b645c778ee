package fact

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/trie"
)

func capture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A record is a fact to be edited.
type record map[string]any

func recordsOf(t testing.TB, name string) []record {
	t.Helper()
	facts, err := Split(capture(t, name))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]record, len(facts))
	for i, f := range facts {
		d := json.NewDecoder(strings.NewReader(string(f)))
		d.UseNumber()
		if err := d.Decode(&out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// with returns r with some members set, or removed where the value is drop.
func (r record) with(pairs ...any) record {
	out := make(record, len(r))
	for k, v := range r {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if k := pairs[i].(string); pairs[i+1] == drop {
			delete(out, k)
		} else {
			out[k] = pairs[i+1]
		}
	}
	return out
}

type dropped struct{}

var drop any = dropped{}

// only returns the named members of r.
func (r record) only(names ...string) record {
	out := make(record)
	for _, n := range names {
		if v, ok := r[n]; ok {
			out[n] = v
		}
	}
	return out
}

func (r record) bytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := verify.ParseHex(r[name].(string))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func judge(t testing.TB, kind string, r record) Verdict {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return Check(kind, b, Options{})
}

// expect fails unless r gets that outcome, by the step that the reason begins with.
func expect(t testing.TB, name, kind string, r record, want Outcome, step string) {
	t.Helper()
	v := judge(t, kind, r)
	if v.Outcome != want || !strings.HasPrefix(v.Reason, step) {
		t.Errorf("%s: %v", name, v)
	}
	if (v.Reason == "") != (want == OK) {
		t.Errorf("%s: reason %q", name, v.Reason)
	}
}

func hexOf(b []byte) string { return "0x" + hex.EncodeToString(b) }

// Every capture, as it is.
func TestCaptures(t *testing.T) {
	for _, tt := range []struct {
		kind, file string
		facts      int
	}{
		{"header", "bittensor-headers.json", 29},
		{"header", "finney-8867448-header-checkpoint.json", 1},
		{"header", "finney-9178000-header-body.json", 1},
		{"justification", "testnet-5534451-grandpa-justification.json", 1},
		{"proof", "finney-8867448-aura-readproof.json", 1},
		{"extrinsics", "finney-9178000-header-body.json", 1},
		{"pulse", "drand_rounds.json", 4},
		{"commit", "commit_hash.json", 5},
		{"commit", "finney_commit_fixture.json", 1},
		{"timelock", "tle_round1000.json", 2},
		{"upscale", "max_upscale.jsonl", 100},
		{"epoch", "epoch.jsonl", 15},
	} {
		facts, err := Split(capture(t, tt.file))
		if err != nil || len(facts) != tt.facts {
			t.Errorf("%s: %d facts, %v", tt.file, len(facts), err)
		}
		for i, f := range facts {
			if v := Check(tt.kind, f, Options{}); v.Outcome != OK {
				t.Errorf("%s %d: %v", tt.file, i, v)
			}
		}
	}
}

// The captures in the folder that TAOLIGHT_VECTORS names, whatever they have become.
func TestVectors(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: it names the folder of the captures")
	}
	for file, kind := range map[string]string{
		"chain/bittensor-headers.json": "header", "chain/finney-8867448-header-checkpoint.json": "header",
		"chain/finney-9178000-header-body.json": "extrinsics", "chain/finney-8867448-aura-readproof.json": "proof",
		"chain/testnet-5534451-grandpa-justification.json": "justification",
		"yuma/drand_rounds.json":                           "pulse", "yuma/commit_hash.json": "commit", "yuma/finney_commit_fixture.json": "commit",
		"yuma/tle_round1000.json": "timelock", "yuma/max_upscale.jsonl": "upscale",
	} {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Split(b)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range facts {
			if v := Check(kind, f, Options{}); v.Outcome != OK {
				t.Errorf("%s %d: %v", file, i, v)
			}
		}
	}
}

// With nothing stated but the list, the seal alone refuses every changed byte.
func TestHeaderEveryByte(t *testing.T) {
	all := recordsOf(t, "bittensor-headers.json")
	rotation := recordsOf(t, "finney-8867448-header-checkpoint.json")[0]
	picked := []record{all[0], all[9], all[28],
		{"header_scale": rotation["checkpoint"].(map[string]any)["finalizedBlockHeader"], "network": "finney"}}
	for _, r := range picked {
		r = r.only("header_scale", "network", "aura_authorities")
		if v := judge(t, "header", r); v.Outcome != OK {
			t.Fatal(v)
		}
		b := r.bytes(t, "header_scale")
		step := 1
		if len(b) > 1000 {
			step = 5 // 1,787 bytes, most of them keys
		}
		for i := 0; i < len(b); i += step {
			for _, flip := range []byte{1, 0x80} {
				b[i] ^= flip
				if v := judge(t, "header", r.with("header_scale", hexOf(b))); v.Outcome != Failed {
					t.Errorf("block %v, byte %d ^ %#x: %v", r["number"], i, flip, v)
				}
				b[i] ^= flip
			}
		}
	}
}

// Each stated result, changed one at a time.
func TestHeaderStated(t *testing.T) {
	r := recordsOf(t, "bittensor-headers.json")[9] // finney 6,515,487, slot 146561695, author 15
	other := recordsOf(t, "bittensor-headers.json")[10]
	lists := r["aura_authorities"].(map[string]any)
	finney := lists["finney"].([]any)
	rpc := r["header"].(map[string]any)
	bad := "0x" + strings.Repeat("11", 32)
	for _, tt := range []struct {
		name string
		r    record
		want Outcome
		step string
	}{
		{"as it is", r, OK, ""},
		{"hex without 0x", r.with("header_scale", strings.TrimPrefix(r["header_scale"].(string), "0x")), OK, ""},
		{"hash", r.with("hash", bad), Failed, "hash: stated and computed differ"},
		{"hash cut", r.with("hash", "0x11"), Failed, "hash: "},
		{"hash is no hex", r.with("hash", "0xzz"), Failed, "input: hash: not hex"},
		{"hash is a number", r.with("hash", 1), Failed, "input: hash: wrong type"},
		{"block_hash", r.with("block_hash", bad), Failed, "block_hash: "},
		{"number", r.with("number", 6515488), Failed, "number: "},
		{"number over 32 bits", r.with("number", json.Number("4301482783")), Failed, "number: "},
		{"number of 128 bits", r.with("number", json.Number("340282366920938463463374607431768211455")), Failed, "number: "},
		{"number as a fraction", r.with("number", json.Number("6515487.0")), Failed, "input: number: not an integer"},
		{"block_number", r.with("block_number", 1), Failed, "block_number: "},
		{"slot", r.with("slot", 146561696), Failed, "slot: "},
		{"slot as text", r.with("slot", "146561695"), OK, ""},
		{"slot as quantity", r.with("slot", "0x8bc5a9f"), OK, ""},
		{"author_index", r.with("author_index", 14), Failed, "author_index: "},
		{"pre_seal_hash", r.with("pre_seal_hash", bad), Failed, "pre_seal_hash: "},
		{"header of another block", r.with("header", other["header"]), Failed, "header: stated and computed differ"},
		{"header without scale", r.with("header_scale", drop), OK, ""},
		{"header in scale", r.with("header_scale", drop, "header", r["header_scale"]), OK, ""},
		{"nothing stated", r.only("header_scale", "network", "aura_authorities"), OK, ""},
		{"nothing stated, built-in list", r.only("header_scale"), OK, ""},
		{"unknown names", r.with("zzz", []any{1.5, nil}, "extrinsics", "x"), OK, ""},
		{"nulls", r.with("hash", nil, "slot", nil, "block_hash", nil), OK, ""},

		{"list alone", r.with("aura_authorities", finney), OK, ""},
		{"list in another order", r.with("aura_authorities", append([]any{finney[1], finney[0]}, finney[2:]...)), OK, ""}, // author 15 stands where it stood
		{"list one short", r.with("aura_authorities", finney[:19]), Failed, "seal: "},
		{"list of the wrong network", r.with("aura_authorities", lists["test"]), Failed, "seal: "},
		{"wrong network", r.with("network", "test"), Failed, "seal: "},
		{"empty list", r.with("aura_authorities", []any{}), Failed, "aura_authorities: "},
		{"key twice in the list", r.with("aura_authorities", []any{finney[0], finney[0]}), Failed, "aura_authorities: "},
		{"short key", r.with("aura_authorities", []any{"0x11"}), Failed, "aura_authorities: "},
		{"list is a word", r.with("aura_authorities", "x"), Failed, "aura_authorities: "},
		{"lists of other networks only", r.with("aura_authorities", map[string]any{"test": lists["test"]}), OK, ""},
		{"network of no list", r.with("network", "nowhere"), Undecided, "aura_authorities: "},
		{"test under its long name", r.with("network", "testfinney", "aura_authorities", map[string]any{"test": finney}), OK, ""},
		{"list under the long name", r.with("network", "test", "aura_authorities", map[string]any{"testfinney": finney}), OK, ""},
		{"two lists for test", r.with("network", "test", "aura_authorities", map[string]any{"test": finney, "testfinney": finney}), Failed, "aura_authorities: "},
		{"network is a number", r.with("network", 1), Failed, "input: network"},

		{"no header", r.only("network", "aura_authorities"), Failed, "input: header_scale: missing"},
		{"header_scale cut", r.with("header_scale", r["header_scale"].(string)[:100]), Failed, "header_scale: "},
		{"header_scale and a byte", r.with("header_scale", r["header_scale"].(string)+"00"), Failed, "header_scale: "},
		{"empty header_scale", r.with("header_scale", "0x"), Failed, "header_scale: "},
		{"header_scale is a list", r.with("header_scale", []any{}), Failed, "input: header_scale"},
		{"huge header_scale", r.with("header_scale", strings.Repeat("00", verify.MaxHeaderSize+1)), Failed, "input: header_scale: over the limit"},
		{"RPC number is a fraction", r.only("network").with("header", with(rpc, "number", 1.5)), Failed, "header: number"},
		{"RPC without digest", r.only("network").with("header", with(rpc, "digest", drop)), Failed, "header: digest: missing"},
		{"RPC without logs", r.only("network").with("header", with(rpc, "digest", map[string]any{})), Failed, "header: digest: logs: missing"},
		{"RPC with an empty log", r.only("network").with("header", with(rpc, "digest", map[string]any{"logs": []any{"0x"}})), Failed, "header: digest: logs: 0"},
		{"RPC with 1,000 logs", r.only("network").with("header", with(rpc, "digest", map[string]any{"logs": make([]any, 1000)})), Failed, "header: digest: logs: over the limit"},
		{"RPC without seal", r.only("network").with("header", with(rpc, "digest", map[string]any{"logs": rpc["digest"].(map[string]any)["logs"].([]any)[:2]})), Failed, "seal: "},
		{"RPC is a list", r.only("network").with("header", []any{}), Failed, "header: "},
	} {
		expect(t, tt.name, "header", tt.r, tt.want, tt.step)
	}
	// A list that the record does not have is not looked for past what is known.
	test := recordsOf(t, "bittensor-headers.json")[0].only("header_scale", "network")
	expect(t, "test, captured height", "header", test, OK, "")
	b := test.bytes(t, "header_scale")
	b[32+3] ^= 0x40 // the number's last byte
	expect(t, "test, other height", "header", test.with("header_scale", hexOf(b)), Undecided, "aura_authorities: ")
}

func with(m map[string]any, pairs ...any) map[string]any { return record(m).with(pairs...) }

func TestHeaderAnnounces(t *testing.T) {
	r := recordsOf(t, "finney-8867448-header-checkpoint.json")[0]
	v := judge(t, "header", r)
	aura, _ := v.Get("announced_aura").([]string)
	grandpa, _ := v.Get("announced_grandpa").([]string)
	if len(aura) != 20 || len(grandpa) != 20 || aura[0][:10] != "0xdabc064c" || grandpa[0][:10] != "0x3c0694d4" {
		t.Errorf("%v", v)
	}
	if v.Get("author_index") != uint64(18) || v.Get("authorities_from") != "built-in" {
		t.Errorf("%v", v)
	}
	expect(t, "the next list", "header", r.with("aura_authorities", aura), Failed, "seal: ")
	expect(t, "block_hash", "header", r.with("block_hash", "0x"+strings.Repeat("11", 32)), Failed, "block_hash: ")
}

func TestJustification(t *testing.T) {
	r := recordsOf(t, "testnet-5534451-grandpa-justification.json")[0]
	bare := r.only("authorities", "set_id_signed", "justification")
	ids := r["authorities"].([]any)
	weights := func(w ...any) (list []any) {
		for i, id := range ids {
			list = append(list, map[string]any{"id": id, "weight": w[i%len(w)]})
		}
		return list
	}
	headers := recordsOf(t, "bittensor-headers.json")
	for _, tt := range []struct {
		name string
		r    record
		want Outcome
		step string
	}{
		{"bare", bare, OK, ""},
		{"set id as set_id", bare.with("set_id_signed", drop, "set_id", 3), OK, ""},
		{"set 2", bare.with("set_id_signed", 2), Failed, "verify: justification: "},
		{"set 4", bare.with("set_id_signed", 4), Failed, "verify: justification: "},
		{"set id as text", bare.with("set_id_signed", "0x3"), OK, ""},
		{"set id of 65 bits", bare.with("set_id_signed", json.Number("18446744073709551619")), Failed, "input: set_id_signed"},
		{"both set ids", bare.with("set_id", 2), Failed, "set_id: "},
		{"weights of 1", bare.with("authorities", weights(1)), OK, ""},
		{"weights of 7", bare.with("authorities", weights("7")), OK, ""},
		{"weight 0", bare.with("authorities", weights(0)), Failed, "authorities: "},
		{"weights over 64 bits", bare.with("authorities", weights(json.Number("18446744073709551615"))), Failed, "authorities: "},
		{"without a signer", bare.with("authorities", ids[1:]), Failed, "verify: justification: "},
		{"one more authority", bare.with("authorities", append([]any{strings.Repeat("11", 32), strings.Repeat("22", 32)}, ids...)), Failed, "verify: justification: not enough votes"},
		{"no authorities", bare.with("authorities", []any{}), Failed, "authorities: "},
		{"key twice", bare.with("authorities", append([]any{ids[0]}, ids...)), Failed, "authorities: "},
		{"block_hash", r.with("block_hash", "0x"+strings.Repeat("11", 32)), Failed, "block_hash: "},
		{"block_number", r.with("block_number", 5534452), Failed, "block_number: "},
		{"round", r.with("round", 1), Failed, "round: "},
		{"header of another block", bare.with("header_scale", headers[0]["header_scale"]), Failed, "header: wrong target"},
		{"authorities missing", bare.with("authorities", drop), Failed, "input: authorities: missing"},
		{"set id missing", bare.with("set_id_signed", drop), Failed, "input: set_id_signed: missing"},
		{"justification missing", bare.with("justification", nil), Failed, "input: justification: missing"},
		{"justification cut", bare.with("justification", bare["justification"].(string)[:200]), Failed, "decode: "},
		{"justification and a byte", bare.with("justification", bare["justification"].(string)+"00"), Failed, "decode: "},
		{"empty justification", bare.with("justification", ""), Failed, "decode: "},
	} {
		expect(t, tt.name, "justification", tt.r, tt.want, tt.step)
	}
	b := bare.bytes(t, "justification")
	for i := 0; i < len(b); i += 3 {
		b[i] ^= 1
		if v := judge(t, "justification", bare.with("justification", hexOf(b))); v.Outcome != Failed {
			t.Errorf("byte %d: %v", i, v)
		}
		b[i] ^= 1
	}
}

func TestProof(t *testing.T) {
	r := recordsOf(t, "finney-8867448-aura-readproof.json")[0]
	rotation := recordsOf(t, "finney-8867448-header-checkpoint.json")[0]
	headerScale := rotation["checkpoint"].(map[string]any)["finalizedBlockHeader"]
	nodes := r["proof"].([]any)
	key := r["key"].(string)
	list := judge(t, "header", rotation).Get("announced_aura").([]string)
	value := "0x50"
	for _, id := range list {
		value += id[2:]
	}
	var blobs [][]byte
	for _, n := range nodes {
		b, _ := verify.ParseHex(n.(string))
		blobs = append(blobs, b)
	}
	byHeader := r.with("state_root", drop, "header_scale", headerScale)
	sibling := key[:len(key)-2] + "1e" // beside the leaf
	unknown := "0x26aa394eea5630e07c48ae0c9558cef7"
	for _, tt := range []struct {
		name string
		r    record
		want Outcome
		step string
	}{
		{"stated value", r.with("value", value), OK, ""},
		{"another value", r.with("value", value[:len(value)-2]+"00"), Failed, "key 0: stated and computed differ"},
		{"stated absent", r.with("value", nil), Failed, "key 0: "},
		{"by header", byHeader, OK, ""},
		{"by header and root", byHeader.with("state_root", r["state_root"]), OK, ""},
		{"by header and another root", byHeader.with("state_root", "0x"+strings.Repeat("11", 32)), Failed, "state_root: "},
		{"by header and another hash", byHeader.with("block_hash", "0x"+strings.Repeat("11", 32)), Failed, "block_hash: "},
		{"another root", r.with("state_root", "0x"+strings.Repeat("11", 32)), Failed, "key 0: stated and computed differ: the proof is for state root 0x8b8094d0"},
		{"no root", r.with("state_root", drop), Failed, "input: state_root: missing"},
		{"nodes the other way round", r.with("proof", []any{nodes[4], nodes[3], nodes[2], nodes[1], nodes[0]}), OK, ""},
		{"proof in scale", r.with("proof", hexOf(trie.AppendProof(nil, blobs))), OK, ""},
		{"proof in scale, cut", r.with("proof", hexOf(trie.AppendProof(nil, blobs)[:50])), Failed, "proof: "},
		{"a node twice", r.with("proof", append([]any{nodes[0]}, nodes...)), Failed, "proof: "},
		{"no nodes", r.with("proof", []any{}), Undecided, "key 0: "},
		{"proof missing", r.with("proof", drop), Failed, "input: proof: missing"},
		{"a node is a number", r.with("proof", []any{1}), Failed, "input: proof: 0"},
		{"absent", r.with("key", sibling), OK, ""},
		{"stated absent, and is", r.with("key", sibling, "value", nil), OK, ""},
		{"stated present, and is not", r.with("key", sibling, "value", "0x"), Failed, "key 0: "},
		{"another part of the state", r.with("key", unknown), Undecided, "key 0: not decided"},
		{"keys", r.with("key", drop, "keys", []any{key, sibling}), OK, ""},
		{"keys, one of them incomplete", r.with("key", drop, "keys", []any{unknown, key, sibling}), Undecided, "key 0: "},
		{"keys and values", r.with("key", drop, "keys", []any{key, sibling}, "values", []any{value, nil}), OK, ""},
		{"keys and values the wrong way round", r.with("key", drop, "keys", []any{sibling, key}, "values", []any{value, nil}), Failed, "key 0: "},
		{"keys and too few values", r.with("key", drop, "keys", []any{key, sibling}, "values", []any{value}), Failed, "input: values"},
		{"keys and key", r.with("keys", []any{key}), Failed, "input: "},
		{"no keys", r.with("key", drop, "keys", []any{}), Failed, "input: key: missing"},
		{"key missing", r.with("key", drop), Failed, "input: key: missing"},
		{"the empty key", r.with("key", "0x"), OK, ""}, // proven absent: the root node has no value
		{"long key", r.with("key", strings.Repeat("00", maxKeySize+1)), Failed, "input: key: over the limit"},
		{"an entry more", r.with("proof", append([]any{hexOf(make([]byte, 40))}, nodes...)), OK, ""},
	} {
		expect(t, tt.name, "proof", tt.r, tt.want, tt.step)
	}
	v := judge(t, "proof", r.with("key", drop, "keys", []any{key, sibling, unknown}))
	want := []Key{{key, "present", value}, {sibling, "absent", ""}, {unknown, "incomplete", ""}}
	if got := fmt.Sprint(v.Get("keys")); got != fmt.Sprint(want) {
		t.Errorf("%s", got)
	}

	// A missing node leaves the key undecided, a changed one is a failure, whichever it is.
	for i := range nodes {
		less := append(append([]any{}, nodes[:i]...), nodes[i+1:]...)
		expect(t, fmt.Sprintf("without node %d", i), "proof", r.with("proof", less), Undecided, "key 0: ")
		b, undecided := blobs[i], 0
		for j := range b {
			b[j] ^= 4
			changed := append([]any{}, nodes...)
			changed[i] = hexOf(b)
			v := judge(t, "proof", r.with("proof", changed))
			b[j] ^= 4
			if v.Outcome == OK {
				t.Fatalf("node %d, byte %d: %v", i, j, v)
			}
			if v.Outcome == Undecided {
				undecided++
			}
		}
		// Only a change in what leads on to the key, which is one reference and the partial key,
		// looks no different from an entry that is missing.
		if undecided > 50 {
			t.Errorf("node %d: %d of %d changed bytes left undecided", i, undecided, len(b))
		}
	}
}

// Tries of keys made of few nibbles, so that every shape of path comes up. A proof that lacks an entry
// is never called false, and one with a changed entry never proves anything.
func TestProofMadeTries(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for round := range 300 {
		state := trie.New(trie.V1)
		var keys [][]byte
		for range 1 + rng.IntN(30) {
			key := make([]byte, rng.IntN(4))
			for i := range key {
				key[i] = []byte{0x00, 0x01, 0x10, 0x11, 0x20}[rng.IntN(5)]
			}
			value := bytes.Repeat([]byte{byte(rng.IntN(256))}, []int{0, 1, 20, 32, 33, 60}[rng.IntN(6)])
			state, keys = state.Put(key, value), append(keys, key)
		}
		key := keys[rng.IntN(len(keys))]
		value, _ := state.Get(key)
		root := state.Root()
		nodes := state.Prove(key)
		r := func(nodes [][]byte) record {
			list := make([]string, len(nodes))
			for i, n := range nodes {
				list[i] = hexOf(n)
			}
			return record{"state_root": root, "key": hexOf(key), "proof": list}
		}
		name := fmt.Sprintf("round %d, key %x", round, key)
		expect(t, name, "proof", r(nodes).with("value", hexOf(value)), OK, "")
		expect(t, name+", stated absent", "proof", r(nodes).with("value", nil), Failed, "key 0: ")
		for i := range nodes {
			less := append(append([][]byte{}, nodes[:i]...), nodes[i+1:]...)
			expect(t, fmt.Sprintf("%s, without entry %d of %d", name, i, len(nodes)), "proof", r(less), Undecided, "key 0: ")
			changed := append([][]byte{}, nodes...)
			changed[i] = bytes.Clone(nodes[i])
			changed[i][rng.IntN(len(changed[i]))] ^= 1 << rng.IntN(8)
			switch v := judge(t, "proof", r(changed)); v.Outcome {
			case OK:
				t.Errorf("%s, entry %d changed: %v", name, i, v)
			case Failed:
				failed++
			}
		}
	}
	if failed < 300 {
		t.Errorf("only %d changed entries were called false", failed)
	}
}

// The lists that are compiled in are the ones of the captures, key by key, and seal their headers.
func TestBuiltinLists(t *testing.T) {
	all := recordsOf(t, "bittensor-headers.json")
	for i, r := range all {
		v := judge(t, "header", r.with("aura_authorities", drop))
		if v.Outcome != OK || v.Get("authorities_from") != "built-in" {
			t.Errorf("%d: %v", i, v)
		}
	}
	for network, number := range map[string]uint32{"finney": 8867448, "test": 3264162} {
		n, err := checkpoint.ByName(network)
		if err != nil {
			t.Fatal(err)
		}
		list, _ := n.AuraAuthorities(number)
		want := all[0]["aura_authorities"].(map[string]any)[network].([]any)
		if fmt.Sprint(list) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", network, list, want)
		}
	}
}

func TestExtrinsics(t *testing.T) {
	r := recordsOf(t, "finney-9178000-header-body.json")[0]
	list := r["extrinsics"].([]any)
	root := r["header"].(map[string]any)["extrinsicsRoot"]
	swapped := append([]any{list[1], list[0]}, list[2:]...)
	h, err := headerRPC(mustJSON(t, r["header"]))
	if err != nil {
		t.Fatal(err)
	}
	scale := hexOf(h.Encode())
	for _, tt := range []struct {
		name string
		r    record
		want Outcome
		step string
	}{
		{"bare", r.only("header", "extrinsics"), OK, ""},
		{"by scale", r.only("extrinsics").with("header_scale", scale), OK, ""},
		{"by root", r.only("extrinsics").with("extrinsics_root", root), OK, ""},
		{"header and root", r.with("extrinsics_root", root), OK, ""},
		{"header and another root", r.with("extrinsics_root", "0x"+strings.Repeat("11", 32)), Failed, "extrinsics_root: "},
		{"another root", r.only("extrinsics").with("extrinsics_root", "0x"+strings.Repeat("11", 32)), Failed, "root: "},
		{"block_hash", r.with("block_hash", "0x"+strings.Repeat("11", 32)), Failed, "block_hash: "},
		{"block_number", r.with("block_number", 9178001), Failed, "block_number: "},
		{"one fewer", r.with("extrinsics", list[:16]), Failed, "root: "},
		{"one more", r.with("extrinsics", append(append([]any{}, list...), "0x00")), Failed, "root: "},
		{"swapped", r.with("extrinsics", swapped), Failed, "root: "},
		{"none", r.with("extrinsics", []any{}), Failed, "root: "},
		{"none, and the empty root", record{"extrinsics": []any{}, "extrinsics_root": trie.EmptyRoot.String()}, OK, ""},
		{"missing", r.with("extrinsics", drop), Failed, "input: extrinsics: missing"},
		{"no root", r.only("extrinsics"), Failed, "input: header_scale: missing"},
		{"an extrinsic is a number", r.with("extrinsics", []any{1}), Failed, "input: extrinsics: 0"},
	} {
		expect(t, tt.name, "extrinsics", tt.r, tt.want, tt.step)
	}
	for i := range list {
		b, _ := verify.ParseHex(list[i].(string))
		for _, j := range []int{0, len(b) / 2, len(b) - 1} {
			b[j] ^= 1
			changed := append([]any{}, list...)
			changed[i] = hexOf(b)
			expect(t, fmt.Sprintf("extrinsic %d, byte %d", i, j), "extrinsics", r.with("extrinsics", changed), Failed, "root: ")
			b[j] ^= 1
		}
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
