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

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
)

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
	// One key many times is many values.
	many, _ := json.Marshal(slices.Repeat([]string{hexed(subtensor.KeyCode())}, 100))
	if m := send("state_queryStorageAt", `[`+string(many)+`, "`+head+`"]`); m.Error == nil || !strings.Contains(m.Error.Message, "values of more than") {
		t.Errorf("%d bytes of values, %v", len(m.Result), m.Error)
	}
	// A call with its proof.
	p := decoded[struct {
		Result, Bundle string
	}](t, ask(t, addr, "taolight_call", "AccountNonceApi_account_nonce", hexed(who[:]), head))
	if p.Result != "0x00000000" || len(p.Bundle) < 1000 {
		t.Errorf("%s, a bundle of %d", p.Result, len(p.Bundle)/2-1)
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
	spoilt[100] = "10"[spoilt[100]&1] // a digit of the signature, and another one
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
