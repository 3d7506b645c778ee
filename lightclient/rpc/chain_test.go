package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/lightclient/tx"
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

// TestTransactions sends what is signed elsewhere, is told what becomes of it in the words of three generations of
// clients, and has refused what a full node refuses.
func TestTransactions(t *testing.T) {
	net, node := joined(t, demonet.Config{ChainSpec: realSpec(t), Peers: 2, History: 30, SetChangeEvery: -1})
	pool, err := tx.New(tx.Config{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); pool.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	_, addr := serve(t, Config{Chain: node, Genesis: net.Genesis(), Pool: pool})
	sign := func(nonce uint32) string {
		t.Helper()
		x, err := net.Sign("Alice", nonce, []byte{0, 0, 0}) // System.remark of nothing
		if err != nil {
			t.Fatal(err)
		}
		return hexed(x)
	}
	k := dial(t, addr)
	first, second, third, fourth := sign(0), sign(1), sign(2), sign(3)
	x, err := net.Sign("Alice", 0, []byte{0, 0, 4, 1}) // another, whose nonce will have been used
	if err != nil {
		t.Fatal(err)
	}
	watch := k.text("author_submitAndWatchExtrinsic", first)
	newer := k.text("transactionWatch_v1_submitAndWatch", second)
	operation := k.text("transaction_v1_broadcast", third)
	raw, _ := verify.ParseHex(fourth)
	want(t, addr, fmt.Sprintf(`"%s"`, verify.Blake2b256(raw)), "author_submitExtrinsic", fourth)
	want(t, addr, `4`, "account_nextIndex", alice)
	pending := decoded[[]string](t, ask(t, addr, "author_pendingExtrinsics"))
	if len(pending) != 4 || !slices.Contains(pending, third) {
		t.Errorf("%d are pending", len(pending))
	}
	run(t, net)
	for _, w := range []string{`"ready"`, `{"broadcast":[]}`, `{"inBlock":"`, `{"finalized":"`} {
		if method, r := k.tell(watch); method != "author_extrinsicUpdate" || !strings.HasPrefix(string(r), w) {
			t.Fatalf("%s %s, not %s", method, r, w)
		} else if w == `{"finalized":"` {
			var f struct{ Finalized verify.Hash }
			if err := json.Unmarshal(r, &f); err != nil || !slices.ContainsFunc(net.Body(f.Finalized), func(x []byte) bool { return hexed(x) == first }) {
				t.Errorf("it is not in %s, %v", f.Finalized, err)
			}
		}
	}
	for _, w := range []string{`{"event":"validated"}`, `{"block":{"hash":"0x`, `{"block":{"hash":"0x`} {
		if method, r := k.tell(newer); method != "transactionWatch_v1_watchEvent" || !strings.HasPrefix(string(r), w) {
			t.Fatalf("%s %s, not %s", method, r, w)
		}
	}
	if m := k.ask("transaction_v1_stop", operation); m.Error != nil || string(m.Result) != "null" {
		t.Errorf("stop: %s, %v", m.Result, m.Error)
	}
	if m := k.ask("transaction_v1_stop", operation); m.Error == nil || m.Error.Code != codeParams {
		t.Errorf("stop again: %s", m.Result)
	}

	// Refused, each as a full node does.
	spoilt := []byte(sign(9))
	spoilt[100] ^= 1 // a digit of the signature
	fails(t, addr, 1010, "Transaction has a bad signature", "author_submitExtrinsic", string(spoilt))
	fails(t, addr, 1010, "Transaction will be valid in the future", "author_submitExtrinsic", sign(50))
	fails(t, addr, 1001, "invalid format", "author_submitExtrinsic", "0x")
	fails(t, addr, -32602, "extrinsic", "author_submitExtrinsic", "0xzz")
	fails(t, addr, 1010, "Transaction is outdated", "author_submitExtrinsic", hexed(x))
	fails(t, addr, codeServer, "not available over HTTP", "author_submitAndWatchExtrinsic", first)
	if m := k.ask("author_submitAndWatchExtrinsic", hexed(x)); m.Error == nil || m.Error.Code != 1010 || m.Error.Message != "Invalid Transaction" || m.Error.Data != "Transaction is outdated" {
		t.Errorf("%s, %+v", m.Result, m.Error)
	}
}

// TestSDK repeats what the Bittensor SDK (async_substrate_interface) asks when it starts and reads, frame by frame: every
// request is answered, by what is so on the chain.
func TestSDK(t *testing.T) {
	net, _, addr := following(t, demonet.Config{ChainSpec: realSpec(t), Peers: 2, History: 30, SetChangeEvery: -1}, false)
	k := dial(t, addr)
	n := 0
	send := func(method, params string) (m message) { // ids are short random texts there
		n++
		id := fmt.Sprintf(`"k%d"`, n)
		if err := k.ws.WriteMessage(1, []byte(`{"jsonrpc": "2.0", "method": "`+method+`", "params": `+params+`, "id": `+id+`}`)); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := k.read()
			if err != nil {
				t.Fatal(err)
			}
			if m.Method != "" {
				k.told = append(k.told, m)
				continue
			}
			if string(m.ID) != id {
				t.Fatalf("%s: answered as %s", method, m.ID)
			}
			return m
		}
	}
	// Start-up.
	if name := decoded[string](t, send("system_chain", `[]`)); name == "" {
		t.Error("no name")
	}
	head := decoded[string](t, send("chain_getHead", `[]`))
	h := decoded[map[string]any](t, send("chain_getHeader", `["`+head+`"]`))
	parent := h["parentHash"].(string)
	v := decoded[struct {
		SpecName                        string
		SpecVersion, TransactionVersion int
		APIs                            [][2]any
	}](t, send("state_getRuntimeVersion", `["`+parent+`"]`))
	if v.SpecName != "node-subtensor" || v.SpecVersion != 103 || v.TransactionVersion != 1 || len(v.APIs) < 10 || len(v.APIs[0][0].(string)) != 18 {
		t.Errorf("%+v", v)
	}
	// This runtime is from before metadata of version 15, and the SDK matches on this very text to know it.
	if m := send("state_call", `["Metadata_metadata_at_version", "0x0f000000", "`+parent+`"]`); m.Error == nil ||
		m.Error.Message != "Client error: Execution failed: Other: Exported method Metadata_metadata_at_version is not found" {
		t.Errorf("%s, %v", m.Result, m.Error)
	}
	raw, err := verify.ParseHex(decoded[string](t, send("state_getMetadata", `["`+parent+`"]`)))
	if err != nil {
		t.Fatal(err)
	}
	md, err := metadata.Parse(raw)
	if err != nil || md.Version != 14 {
		t.Fatal(err)
	}
	decoded[map[string]any](t, send("system_properties", `[]`))
	methods := decoded[struct{ Methods []string }](t, send("rpc_methods", `[]`)).Methods
	for _, name := range []string{"state_getStorageAt", "state_call", "account_nextIndex", "state_getKeysPaged", "state_queryStorageAt", "chain_getHead", "chain_subscribeNewHeads"} {
		if !slices.Contains(methods, name) {
			t.Errorf("%s is not listed", name)
		}
	}

	// query, query_map, query_multi.
	block, _ := parseHash(head)
	now := verify.StorageKey("Timestamp", "Now")
	value, _, err := net.Storage(block, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := decoded[string](t, send("state_getStorageAt", `["`+hexed(now)+`", "`+head+`"]`)); got != hexed(value) {
		t.Errorf("%s, not %x", got, value)
	}
	prefix := hexed(verify.StorageKey("SubtensorModule", "NetworksAdded"))
	page := decoded[[]string](t, send("state_getKeysPaged", `["`+prefix+`", 100, "`+prefix+`", "`+head+`"]`))
	networks, err := net.StorageKeys(block, verify.StorageKey("SubtensorModule", "NetworksAdded"))
	if err != nil || len(page) != len(networks) || len(page) == 0 {
		t.Errorf("%d networks, the chain has %d, %v", len(page), len(networks), err)
	}
	list, _ := json.Marshal(page)
	sets := decoded[[]struct {
		Block   string
		Changes [][2]*string
	}](t, send("state_queryStorageAt", `[`+string(list)+`, "`+head+`"]`))
	if len(sets) != 1 || sets[0].Block != head || len(sets[0].Changes) != len(page) || *sets[0].Changes[0][1] != "0x01" {
		t.Errorf("%+v", sets)
	}
	// Runtime APIs, whose arguments come without 0x, or not at all.
	who, _ := verify.ParseAccount(alice)
	for _, c := range []struct {
		method, args string
		input        []byte
	}{
		{"AccountNonceApi_account_nonce", hex.EncodeToString(who[:]), who[:]},
		{"SubnetInfoRuntimeApi_get_subnets_info", "", nil},
		{"NeuronInfoRuntimeApi_get_neurons_lite", "0100", []byte{1, 0}},
		{"DelegateInfoRuntimeApi_get_delegates", "", nil},
	} {
		want, err := net.Call(t.Context(), block, c.method, c.input)
		if err != nil {
			t.Fatal(err)
		}
		if got := decoded[string](t, send("state_call", `["`+c.method+`", "`+c.args+`", "`+head+`"]`)); got != hexed(want) {
			t.Errorf("%s: %s, the chain says %x", c.method, got, want)
		}
	}
	if nonce := decoded[int](t, send("account_nextIndex", `["`+alice+`"]`)); nonce != 0 {
		t.Error(nonce)
	}
	decoded[string](t, send("chain_getFinalizedHead", `[]`))
	// An era begins at a block that is asked for by its number.
	if got := decoded[string](t, send("chain_getBlockHash", `[16]`)); got != net.Header(16).Hash().String() {
		t.Error(got)
	}
	b := decoded[struct {
		Block          struct{ Extrinsics []string }
		Justifications any
	}](t, send("chain_getBlock", `["`+head+`"]`))
	if len(b.Block.Extrinsics) == 0 || b.Justifications != nil {
		t.Errorf("%+v", b)
	}
	// The fee of a transfer, as the chain's own executor has it.
	x, err := net.Sign("Alice", 0, []byte{0, 0, 0}) // System.remark of nothing
	if err != nil {
		t.Fatal(err)
	}
	info, err := net.Call(t.Context(), block, "TransactionPaymentApi_query_info", binary.LittleEndian.AppendUint32(bytes.Clone(x), uint32(len(x))))
	if err != nil {
		t.Fatal(err)
	}
	fee := decoded[struct{ Class, PartialFee string }](t, send("payment_queryInfo", `["`+hexed(x)+`", "`+head+`"]`))
	if fee.Class != "normal" || fee.PartialFee != fmt.Sprint(binary.LittleEndian.Uint64(info[len(info)-8:])) {
		t.Errorf("%+v, the chain says %x", fee, info)
	}
	// wait_for_block.
	id := decoded[string](t, send("chain_subscribeNewHeads", `[]`))
	run(t, net)
	for range 2 {
		if method, _ := k.tell(id); method != "chain_newHead" {
			t.Error(method)
		}
	}
	if decoded[bool](t, send("chain_unsubscribeNewHeads", `["`+id+`"]`)) != true {
		t.Error("not unsubscribed")
	}
	// What a runtime makes of arguments that are none is a trap, and the node lives on.
	if m := send("state_call", `["AccountNonceApi_account_nonce", "0102", "`+head+`"]`); m.Error == nil || !strings.HasPrefix(m.Error.Message, "Client error: Execution failed: Execution aborted due to trap") {
		t.Errorf("%s, %v", m.Result, m.Error)
	}
	vid := decoded[string](t, send("state_subscribeRuntimeVersion", `[]`))
	if method, r := k.tell(vid); method != "state_runtimeVersion" || !bytes.Contains(r, []byte(`"specVersion":103`)) {
		t.Errorf("%s %s", method, r)
	}
	// A call with its proof.
	p := decoded[struct {
		Result, Bundle string
	}](t, ask(t, addr, "taolight_call", "AccountNonceApi_account_nonce", hexed(who[:]), head))
	if p.Result != "0x00000000" || len(p.Bundle) < 1000 {
		t.Errorf("%s, a bundle of %d", p.Result, len(p.Bundle)/2-1)
	}
}

// followed reads the events of a follow subscription.
func (k *wsock) event(id string) map[string]any {
	k.t.Helper()
	method, r := k.tell(id)
	var e map[string]any
	if err := json.Unmarshal(r, &e); err != nil || method != "chainHead_v1_followEvent" {
		k.t.Fatalf("%s %s, %v", method, r, err)
	}
	return e
}

// operation starts one and returns its events up to the last.
func (k *wsock) operation(id, method string, params ...any) (list []map[string]any) {
	k.t.Helper()
	started := decoded[map[string]any](k.t, k.ask(method, append([]any{id}, params...)...))
	if started["result"] != "started" {
		k.t.Fatalf("%s: %v", method, started)
	}
	var rest []message
	defer func() { k.told = append(rest, k.told...) }()
	for {
		m, r := k.tell(id)
		var e map[string]any
		json.Unmarshal(r, &e)
		if e["operationId"] != started["operationId"] {
			keep := message{Method: m}
			keep.Params.Subscription, keep.Params.Result = id, r
			rest = append(rest, keep)
			continue
		}
		list = append(list, e)
		switch e["event"] {
		case "operationWaitingForContinue":
			k.ask("chainHead_v1_continue", id, e["operationId"])
		case "operationStorageItems":
		default:
			return list
		}
	}
}

// TestChainHead follows a chain as polkadot-api does, over forks, with what may be replaced shown and not.
func TestChainHead(t *testing.T) {
	for _, best := range []bool{false, true} {
		t.Run(fmt.Sprint("best=", best), func(t *testing.T) {
			t.Parallel()
			net, _, addr := following(t, demonet.Config{ChainSpec: realSpec(t), Peers: 2, History: 300, SetChangeEvery: -1, FinalityLag: 2}, best)
			k := dial(t, addr)
			id := k.text("chainHead_v1_follow", true)
			e := k.event(id)
			if e["event"] != "initialized" {
				t.Fatal(e)
			}
			first := e["finalizedBlockHashes"].([]any)[0].(string)
			spec := e["finalizedBlockRuntime"].(map[string]any)["spec"].(map[string]any)
			if spec["specVersion"] != 103. || spec["apis"].(map[string]any)["0xdf6acb689907609b"] != 4. {
				t.Errorf("%v", spec)
			}
			// Each block after its parent; what is best or final was told before.
			known := map[string]string{first: ""}
			final, top, finals := first, "", map[string]bool{}
			step := func() {
				switch e := k.event(id); e["event"] {
				case "newBlock":
					hash, parent := e["blockHash"].(string), e["parentBlockHash"].(string)
					if _, ok := known[parent]; !ok || known[hash] != "" {
						t.Fatalf("block %s comes before its parent %s, or twice", hash, parent)
					}
					if r, ok := e["newRuntime"]; !ok || r != nil {
						t.Errorf("a new runtime: %v", r)
					}
					known[hash] = parent
				case "bestBlockChanged":
					if top = e["bestBlockHash"].(string); top != first && known[top] == "" {
						t.Fatalf("best is %s, which nobody knows", top)
					}
				case "finalized":
					for _, h := range e["finalizedBlockHashes"].([]any) {
						if known[h.(string)] != final {
							t.Fatalf("%s is final after %s", h, final)
						}
						final = h.(string)
						finals[final] = true
					}
					if !best && top != final {
						t.Fatalf("best is %s, final %s", top, final)
					}
					for _, h := range e["prunedBlockHashes"].([]any) {
						if known[h.(string)] == "" || !best {
							t.Errorf("%s is pruned", h)
						}
					}
				default:
					t.Fatal(e)
				}
			}
			var last string
			for i := range 6 {
				if i == 2 {
					if _, err := net.Fork(1, 1); err != nil {
						t.Fatal(err)
					}
				}
				h, err := net.Step()
				if err != nil {
					t.Fatal(err)
				}
				last = h.Hash().String()
			}
			run(t, net) // a block that a node misses it learns of with the next one
			goal := net.Finalized().Hash.String()
			for !finals[goal] || best && known[last] == "" {
				step()
			}

			hash, _ := parseHash(final)
			header, err := verify.ParseHex(decoded[string](t, k.ask("chainHead_v1_header", id, final)))
			if err != nil || verify.Blake2b256(header) != hash {
				t.Error("another header")
			}
			body := k.operation(id, "chainHead_v1_body", final)
			if got := body[0]["value"].([]any); body[0]["event"] != "operationBodyDone" || len(got) != len(net.Body(hash)) || got[0] != hexed(net.Body(hash)[0]) {
				t.Errorf("%v", body)
			}
			who, _ := verify.ParseAccount(alice)
			called := k.operation(id, "chainHead_v1_call", final, "AccountNonceApi_account_nonce", hexed(who[:]))
			if called[0]["event"] != "operationCallDone" || called[0]["output"] != "0x00000000" {
				t.Errorf("%v", called)
			}
			called = k.operation(id, "chainHead_v1_call", final, "No_such", "0x")
			if called[0]["event"] != "operationError" || called[0]["error"] != "Client error: Execution failed: Other: Exported method No_such is not found" {
				t.Errorf("%v", called)
			}
			now, none := verify.StorageKey("Timestamp", "Now"), verify.StorageKey("No", "Such")
			value, _, _ := net.Storage(hash, now)
			read := k.operation(id, "chainHead_v1_storage", final, []any{
				map[string]any{"key": hexed(now), "type": "value"}, map[string]any{"key": hexed(now), "type": "hash"}, map[string]any{"key": hexed(none), "type": "value"},
			}, nil)
			want := fmt.Sprintf(`[{"key":"%s","value":"%s"},{"hash":"%s","key":"%s"}]`, hexed(now), hexed(value), verify.Blake2b256(value), hexed(now))
			if got, _ := json.Marshal(read[0]["items"]); string(got) != want || read[len(read)-1]["event"] != "operationStorageDone" {
				t.Errorf("%s, %v", got, read)
			}
			prefix := verify.StorageKey("System", "BlockHash")
			keys, err := net.StorageKeys(hash, prefix)
			if err != nil || len(keys) < 300 {
				t.Fatal(len(keys), err)
			}
			read = k.operation(id, "chainHead_v1_storage", final, []any{map[string]any{"key": hexed(prefix), "type": "descendantsValues"}}, nil)
			n, waits := 0, 0
			for _, e := range read {
				if e["event"] == "operationWaitingForContinue" {
					waits++
				}
				if items, ok := e["items"].([]any); ok {
					for _, it := range items {
						if it.(map[string]any)["key"] != hexed(keys[n]) {
							t.Fatalf("item %d is %v", n, it)
						}
						n++
					}
				}
			}
			if n != len(keys) || waits != (n-1)/pageItems {
				t.Errorf("%d items with %d pauses, the chain has %d", n, waits, len(keys))
			}
			merkle := k.operation(id, "chainHead_v1_storage", final, []any{
				map[string]any{"key": hexed(prefix), "type": "closestDescendantMerkleValue"}, map[string]any{"key": hexed(none), "type": "closestDescendantMerkleValue"},
			}, nil)
			if got := merkle[0]["items"].([]any); len(got) != 1 || len(got[0].(map[string]any)["closestDescendantMerkleValue"].(string)) != 66 {
				t.Errorf("%v", merkle)
			}
			if m := k.ask("chainHead_v1_storage", id, final, []any{map[string]any{"key": "0x00", "type": "nearest"}}, nil); m.Error == nil || m.Error.Code != codeParams {
				t.Errorf("%s", m.Result)
			}

			// Letting go.
			if m := k.ask("chainHead_v1_unpin", id, []string{first, first}); m.Error == nil || m.Error.Code != codeDuplicate {
				t.Errorf("twice the same: %s, %v", m.Result, m.Error)
			}
			if m := k.ask("chainHead_v1_unpin", id, first); m.Error != nil || string(m.Result) != "null" {
				t.Errorf("unpin: %s, %v", m.Result, m.Error)
			}
			for _, method := range []string{"chainHead_v1_header", "chainHead_v1_body", "chainHead_v1_unpin"} {
				if m := k.ask(method, id, first); m.Error == nil || m.Error.Code != codeUnpinned {
					t.Errorf("%s of an unpinned block: %s, %v", method, m.Result, m.Error)
				}
			}
			if m := k.ask("chainHead_v1_stopOperation", id, "99"); m.Error != nil || string(m.Result) != "null" {
				t.Errorf("stop of nothing: %s, %v", m.Result, m.Error)
			}
			if m := k.ask("chainHead_v1_unfollow", id); m.Error != nil || string(m.Result) != "null" {
				t.Errorf("unfollow: %s, %v", m.Result, m.Error)
			}
			if m := k.ask("chainHead_v1_body", id, final); m.Error != nil || string(m.Result) != `{"result":"limitReached"}` {
				t.Errorf("body of a dead follow: %s, %v", m.Result, m.Error)
			}
			if m := k.ask("chainHead_v1_header", id, final); m.Error != nil || string(m.Result) != "null" {
				t.Errorf("header of a dead follow: %s, %v", m.Result, m.Error)
			}
		})
	}
}
