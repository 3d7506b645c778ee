package rpc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

func hexed(b []byte) string { return "0x" + hex.EncodeToString(b) }

// decoded reads a result.
func decoded[T any](t testing.TB, m message) (v T) {
	t.Helper()
	if m.Error != nil {
		t.Fatalf("%d %s: %v", m.Error.Code, m.Error.Message, m.Error.Data)
	}
	if err := json.Unmarshal(m.Result, &v); err != nil {
		t.Fatalf("%s: %v", m.Result, err)
	}
	return v
}

const alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY" // //Alice, as everybody knows her

// TestState reads a chain without a runtime: values, absences, lists of keys, proofs, at the head and before it.
func TestState(t *testing.T) {
	net, node, addr := following(t, demonet.Config{Peers: 2, History: 400, Quiet: true, SetChangeEvery: -1}, false)
	final := net.Finalized()
	head := final.Hash.String()
	now := verify.StorageKey("Timestamp", "Now")
	value, _, err := net.Storage(final.Hash, now)
	if err != nil || len(value) != 8 {
		t.Fatal(value, err)
	}
	none := verify.StorageKey("No", "Such")

	want(t, addr, `"`+hexed(value)+`"`, "state_getStorage", hexed(now))
	want(t, addr, `"`+hexed(value)+`"`, "state_getStorageAt", strings.ToUpper(hexed(now))[2:], head)
	want(t, addr, `"`+hexed(value)+`"`, "state_getStorage", "0X"+strings.ToUpper(hexed(now))[2:], "0x"+strings.ToUpper(head[2:]))
	want(t, addr, `null`, "state_getStorage", hexed(none))
	want(t, addr, `8`, "state_getStorageSize", hexed(now), head)
	want(t, addr, `null`, "state_getStorageSize", hexed(none), nil)
	want(t, addr, fmt.Sprintf(`"%s"`, verify.Blake2b256(value)), "state_getStorageHash", hexed(now))
	want(t, addr, fmt.Sprintf(`[{"block":"%s","changes":[["%s","%s"],["%s",null]]}]`, head, hexed(now), hexed(value), hexed(none)),
		"state_queryStorageAt", []string{hexed(now), hexed(none)}, head)
	want(t, addr, fmt.Sprintf(`[{"block":"%s","changes":[]}]`, head), "state_queryStorageAt", []string{}, head)
	want(t, addr, fmt.Sprintf(`"%s"`, head), "chain_getHead")
	want(t, addr, fmt.Sprintf(`"%s"`, head), "chain_getFinalisedHead")
	want(t, addr, fmt.Sprintf(`"%s"`, net.Genesis()), "chain_getBlockHash", 0)
	want(t, addr, fmt.Sprintf(`["%s","%s",null]`, net.Header(3).Hash(), net.Header(255).Hash()), "chain_getBlockHash", []any{3, "0xff", uint64(1 << 40)})
	want(t, addr, `"taolight demo"`, "system_chain")
	want(t, addr, fmt.Sprintf(`"%s"`, net.Genesis()), "chainSpec_v1_genesisHash")

	// A map, page by page, has the keys of the chain and no others.
	prefix := verify.StorageKey("System", "BlockHash")
	all, err := net.StorageKeys(final.Hash, prefix)
	if err != nil || len(all) < 300 {
		t.Fatal(len(all), err)
	}
	var got [][]byte
	start := any(hexed(prefix)) // as the Python SDK begins
	for {
		page := decoded[[]string](t, ask(t, addr, "state_getKeysPaged", hexed(prefix), 128, start, head))
		for _, k := range page {
			b, err := verify.ParseHex(k)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b)
		}
		if len(page) < 128 {
			break
		}
		start = page[len(page)-1]
	}
	if !slices.EqualFunc(got, all, bytes.Equal) {
		t.Errorf("%d keys, the chain has %d", len(got), len(all))
	}
	if n := len(decoded[[]string](t, ask(t, addr, "state_getKeys", hexed(prefix), head))); n != len(all) {
		t.Errorf("state_getKeys: %d keys", n)
	}
	want(t, addr, `[]`, "state_getKeysPaged", hexed(none), 10)
	fails(t, addr, 4002, "count exceeds maximum value. value: 1001, max: 1000", "state_getKeysPaged", hexed(prefix), 1001)

	// A proof is one, and no longer than it has to be.
	r := decoded[struct {
		At    verify.Hash
		Proof []string
	}](t, ask(t, addr, "state_getReadProof", []string{hexed(now), hexed(none)}, head))
	var nodes [][]byte
	for _, s := range r.Proof {
		b, _ := verify.ParseHex(s)
		nodes = append(nodes, b)
	}
	p, err := trie.NewProof(final.Header.StateRoot, nodes)
	if err != nil {
		t.Fatal(err)
	}
	if v, o, err := p.Get(now); !bytes.Equal(v, value) || o != trie.Present || err != nil {
		t.Errorf("%x, %v, %v", v, o, err)
	}
	if err := p.CheckUsed(now, none); err != nil || r.At != final.Hash {
		t.Errorf("%v at %s", err, r.At)
	}

	// Blocks below those that are held, by their hash alone: proven, and read.
	old := net.Header(200)
	h := decoded[map[string]any](t, ask(t, addr, "chain_getHeader", old.Hash().String()))
	if h["number"] != "0xc8" || h["stateRoot"] != old.StateRoot.String() {
		t.Errorf("%v", h)
	}
	before, _, err := net.Storage(old.Hash(), now)
	if err != nil {
		t.Fatal(err)
	}
	want(t, addr, `"`+hexed(before)+`"`, "state_getStorage", hexed(now), old.Hash().String())
	b := decoded[struct {
		Block struct {
			Header     map[string]any
			Extrinsics []string
		}
	}](t, ask(t, addr, "chain_getBlock", old.Hash().String()))
	if body := net.Body(old.Hash()); len(body) != len(b.Block.Extrinsics) || len(body) > 0 && hexed(body[0]) != b.Block.Extrinsics[0] {
		t.Errorf("a body of %d, not %d", len(b.Block.Extrinsics), len(body))
	}

	// What cannot be proven.
	pruned := net.Header(3).Hash().String()
	fails(t, addr, 4003, "Client error: Api called for an unknown Block: State already discarded for "+pruned, "state_getStorage", hexed(now), pruned)
	fails(t, addr, 4003, "Client error: Api called for an unknown Block: State already discarded for "+pruned, "state_queryStorageAt", []string{hexed(now)}, pruned)
	unknown := verify.Hash{1, 2, 3}.String()
	fails(t, addr, 4003, "Client error: UnknownBlock: Header was not found in the database: "+unknown, "chain_getHeader", unknown)
	fails(t, addr, 4003, "no runtime", "state_getRuntimeVersion") // the plain demo chain has no runtime
	fails(t, addr, -32602, "no block hash", "chain_getHeader", "0x1234")
	fails(t, addr, -32602, "no block number", "chain_getBlockHash", "12")
	fails(t, addr, -32602, "no block number", "chain_getBlockHash", -1)
	fails(t, addr, -32602, "want 1 to", "state_getStorage", "0x")

	// With its proof, which is good without the node.
	x := decoded[struct {
		Number uint32
		Trust  string
		Result changeSet
		Bundle string
	}](t, ask(t, addr, "taolight_getStorage", []string{hexed(now), hexed(none)}, head))
	raw, err := verify.ParseHex(x.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	f, err := bundle.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if rep := f.Verify(bundle.Options{Checkpoint: net.Checkpoint()}); rep.Outcome != fact.OK || x.Trust != "finalized" || x.Number != final.Header.Number {
		t.Errorf("%+v", rep)
	}
	who, _ := verify.ParseAccount(alice)
	if v, ok, err := net.Storage(final.Hash, subtensor.KeyAccount(who)); err != nil || ok {
		t.Fatal(v, ok, err)
	}
	want(t, addr, `0`, "account_nextIndex", alice)
	if s := decoded[lightclient.Status](t, ask(t, addr, "taolight_status")); s.Finalized.Number != final.Header.Number {
		t.Errorf("%+v", s)
	}
	if h := decoded[map[string]any](t, ask(t, addr, "system_health")); h["isSyncing"] != false || h["peers"] == 0. {
		t.Errorf("%v", h)
	}
	id, err := node.PeerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, addr, `"`+id+`"`, "system_localPeerId")
	methods := decoded[struct{ Methods []string }](t, ask(t, addr, "rpc_methods")).Methods
	for _, name := range []string{"author_submitExtrinsic", "transaction_v1_broadcast"} {
		if slices.Contains(methods, name) {
			t.Errorf("%s is listed, and nothing is sent here", name)
		}
	}
}

// patiently asks until there is an answer: the honest peer may not be there yet, and until then nothing is.
func patiently(t testing.TB, addr, method string, params ...any) message {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		m := ask(t, addr, method, params...)
		if m.Error == nil || m.Error.Code != codeServer || time.Now().After(deadline) {
			return m
		}
	}
}

// TestLiars: what a peer lies about by a block's hash is found out, and the answer of another is given.
func TestLiars(t *testing.T) {
	for _, kind := range []demonet.FaultKind{demonet.LieHeader, demonet.LieBody, demonet.LieRead, demonet.LieReadOther, demonet.LieReadMissing} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			net, _, addr := following(t, demonet.Config{Peers: 3, History: 60, Quiet: true, SetChangeEvery: -1,
				Faults: []demonet.Fault{{Peer: 0, Kind: kind}, {Peer: 1, Kind: kind}}}, false)
			now := verify.StorageKey("Timestamp", "Now")
			for _, n := range []uint32{10, 11, 12, 30} {
				hash := net.Header(n).Hash()
				v, _, err := net.Storage(hash, now)
				if err != nil {
					t.Fatal(err)
				}
				if got := decoded[string](t, patiently(t, addr, "state_getStorage", hexed(now), hash.String())); got != hexed(v) {
					t.Errorf("#%d: %s, not %x", n, got, v)
				}
				b := decoded[struct{ Block struct{ Extrinsics []string } }](t, patiently(t, addr, "chain_getBlock", hash.String()))
				var body []string
				for _, x := range net.Body(hash) {
					body = append(body, hexed(x))
				}
				if !slices.Equal(b.Block.Extrinsics, body) {
					t.Errorf("#%d: another body", n)
				}
			}
		})
	}
}

// TestBest: blocks that may be replaced are shown where that is wished, and nowhere else.
func TestBest(t *testing.T) {
	net, node := joined(t, demonet.Config{Peers: 2, History: 20, Quiet: true, SetChangeEvery: -1, FinalityLag: 3})
	cfg := Config{Chain: node, Genesis: net.Genesis()}
	_, safe := serve(t, cfg)
	cfg.Best = true
	_, best := serve(t, cfg)
	a, b := dial(t, safe), dial(t, best)
	told, heads := a.text("chain_subscribeNewHeads"), b.text("chain_subscribeNewHeads")
	seen := map[string]bool{}
	for range 4 {
		h, err := net.Step()
		if err != nil {
			t.Fatal(err)
		}
		for !seen[h.ParentHash.String()+"+"] { // each best block in turn, as the peers tell of it
			_, r := b.tell(heads)
			var j struct{ ParentHash string }
			json.Unmarshal(r, &j)
			seen[j.ParentHash+"+"] = true
		}
	}
	top := net.Best()
	want(t, best, fmt.Sprintf(`"%s"`, top.Hash()), "chain_getHead")
	want(t, best, fmt.Sprintf(`"%s"`, top.Hash()), "chain_getBlockHash", top.Number)
	want(t, best, fmt.Sprintf(`"%s"`, top.ParentHash), "chain_getBlockHash", top.Number-1)
	now := verify.StorageKey("Timestamp", "Now")
	v, _, err := net.Storage(top.Hash(), now)
	if err != nil {
		t.Fatal(err)
	}
	want(t, best, `"`+hexed(v)+`"`, "state_getStorage", hexed(now))
	want(t, best, `"`+hexed(v)+`"`, "state_getStorage", hexed(now), top.Hash().String())
	fails(t, best, codeServer, "may still be replaced", "taolight_getStorage", []string{hexed(now)}, top.Hash().String())

	fails(t, safe, codeServer, "not final yet", "state_getStorage", hexed(now), top.Hash().String())
	fails(t, safe, codeServer, "not final yet", "chain_getHeader", top.Hash().String())
	want(t, safe, `null`, "chain_getBlockHash", top.Number)
	for last := uint64(0); last < uint64(top.Number)-3; {
		_, r := a.tell(told)
		var j struct{ Number json.RawMessage }
		json.Unmarshal(r, &j)
		n, err := parseNumber(j.Number)
		if err != nil || last != 0 && n != last+1 || n > uint64(top.Number)-3 {
			t.Fatalf("%d after %d of %d, %v", n, last, top.Number, err)
		}
		last = n
	}
}

// TestFork: a header that a peer has and that is not in the finalized chain is not given, nor is its state.
func TestFork(t *testing.T) {
	net, node := joined(t, demonet.Config{Peers: 2, History: 20, Quiet: true, SetChangeEvery: -1, FinalityLag: 3})
	branch, err := net.Fork(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	stale := branch[0].Hash().String()
	_, addr := serve(t, Config{Chain: node, Genesis: net.Genesis(), Best: true})
	k := dial(t, addr)
	id := k.text("chain_subscribeFinalizedHeads")
	run(t, net)
	for n := uint64(0); n <= uint64(branch[0].Number); {
		_, r := k.tell(id)
		var j struct{ Number json.RawMessage }
		json.Unmarshal(r, &j)
		if n, err = parseNumber(j.Number); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, addr, 4003, "is not in the finalized chain", "chain_getHeader", stale)
	fails(t, addr, 4003, "Client error: UnknownBlock: Header was not found in the database: "+stale, "state_getStorage", "0x01", stale)
}

// TestStorageSubscription tells values at once and changes as they come.
func TestStorageSubscription(t *testing.T) {
	net, _, addr := following(t, demonet.Config{Peers: 2, History: 20, Quiet: true, SetChangeEvery: -1}, false)
	k := dial(t, addr)
	now, none := verify.StorageKey("Timestamp", "Now"), verify.StorageKey("No", "Such")
	id := k.text("state_subscribeStorage", []string{hexed(now), hexed(none)})
	method, r := k.tell(id)
	var c struct {
		Block   verify.Hash
		Changes [][2]*string
	}
	if err := json.Unmarshal(r, &c); err != nil || method != "state_storage" || len(c.Changes) != 2 || c.Changes[1][1] != nil {
		t.Fatalf("%s %s, %v", method, r, err)
	}
	run(t, net)
	for range 3 {
		_, r := k.tell(id)
		if err := json.Unmarshal(r, &c); err != nil || len(c.Changes) != 1 { // the absent one is as it was
			t.Fatalf("%s, %v", r, err)
		}
		v, _, err := net.Storage(c.Block, now)
		if err != nil || *c.Changes[0][1] != hexed(v) {
			t.Errorf("%s, the chain has %x, %v", *c.Changes[0][1], v, err)
		}
	}
	if m := k.ask("state_unsubscribeStorage", id); string(m.Result) != "true" {
		t.Error(string(m.Result))
	}
	if m := k.ask("state_subscribeStorage", []string{}); m.Error == nil {
		t.Error("a subscription to nothing, or to all")
	}
}

// TestTooOld: what lies further back than states lead is not said to be nothing.
func TestTooOld(t *testing.T) {
	net, _, addr := following(t, demonet.Config{Peers: 2, History: 2700, Quiet: true, SetChangeEvery: -1}, false)
	head := net.Finalized().Header.Number
	edge := net.Header(head - 2400).Hash().String()
	want(t, addr, `"`+edge+`"`, "chain_getBlockHash", head-2400)
	fails(t, addr, 4003, "Client error: Api called for an unknown Block: State already discarded for "+edge, "chain_getBlockHash", 5)
	old := net.Header(5).Hash().String()
	for _, method := range []string{"chain_getHeader", "chain_getBlock", "state_getRuntimeVersion"} {
		fails(t, addr, 4003, "Client error: Api called for an unknown Block: State already discarded for "+old, method, old)
	}
}
