package rpc

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify"
)

// event reads the next event of a follow subscription.
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
