package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// The runtime of the test network's genesis, spec 103, from its published chain spec.

// genesis returns the keys and values of that chain spec.
func genesis(t testing.TB) map[string][]byte {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set")
	}
	b, err := os.ReadFile(filepath.Join(dir, "chain", "raw_spec_testfinney.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Genesis struct {
			Raw struct{ Top map[string]string }
		}
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		t.Fatal(err)
	}
	kv := map[string][]byte{}
	for k, v := range spec.Genesis.Raw.Top {
		key, err := verify.ParseHex(k)
		if err != nil {
			t.Fatal(err)
		}
		if kv[string(key)], err = verify.ParseHex(v); err != nil {
			t.Fatal(err)
		}
	}
	return kv
}

func load(t testing.TB, cfg Config, code []byte) *Runtime {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Load(context.Background(), code, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func run(t testing.TB, r *Runtime, method string, input []byte, o *Overlay) []byte {
	t.Helper()
	b, err := r.Call(context.Background(), method, input, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRealWithoutState(t *testing.T) {
	r := load(t, Config{}, genesis(t)[":code"])
	v := r.Version()
	if v.SpecName != "node-subtensor" || v.Spec != 103 || v.Transaction != 1 || v.State != 1 {
		t.Errorf("version: %+v", v)
	}
	if v.API("Core") != 4 || v.API("AuraApi") != 1 || v.API("TaggedTransactionQueue") != 3 || v.API("BabeApi") != 0 {
		t.Errorf("APIs: %+v", v.APIs)
	}
	// What the sections say is what the runtime says.
	if b := run(t, r, "Core_version", nil, nil); !bytes.Equal(b, v.Append(nil)) {
		t.Errorf("Core_version: %x, sections: %x", b, v.Append(nil))
	}
	m := scale.NewReader(run(t, r, "Metadata_metadata", nil, nil))
	meta := m.Blob(-1)
	if err := m.Finish(); err != nil || m.Offset() != 44_569 || string(meta[:5]) != "meta\x0e" {
		t.Errorf("metadata: %v, %d bytes, %q", err, m.Offset(), meta[:5])
	}
	if b := run(t, r, "AuraApi_slot_duration", nil, nil); binary.LittleEndian.Uint64(b) != 12_000 {
		t.Errorf("slot duration: %x", b)
	}
	_, err := r.Call(context.Background(), "AuraApi_authorities", nil, nil)
	var missing *IncompleteError
	if !errors.Is(err, ErrIncomplete) || !errors.As(err, &missing) || !bytes.Equal(missing.Key, verify.StorageKey("Aura", "Authorities")) {
		t.Errorf("authorities of no state: %v", err)
	}
	if _, err := r.Call(context.Background(), "Core_none", nil, nil); !errors.Is(err, ErrNoMethod) {
		t.Errorf("a method that is not there: %v", err)
	}
}

// A block on the genesis state: what the runtime makes of it is told by the parts of it that are
// known from elsewhere.
func TestRealBlock(t *testing.T) {
	kv := genesis(t)
	r := load(t, Config{}, kv[":code"])
	s := NewTrieState(trie.From(trie.V1, kv))
	parent := verify.Header{StateRoot: s.Trie().Root(), ExtrinsicsRoot: trie.EmptyRoot}
	if h := parent.Hash().String(); h != "0x8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105" {
		t.Fatalf("genesis hash %s is not that of the test network", h)
	}
	const slot = 141_666_666
	pre := verify.DigestItem{Type: verify.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: scale.AppendU64(nil, slot)}
	head := verify.Header{ParentHash: parent.Hash(), Number: 1, Digest: []verify.DigestItem{pre}}

	o := NewOverlay(s)
	run(t, r, "Core_initialize_block", head.Encode(), o)
	inherents := append(scale.AppendCompact(nil, 1), "timstap0"...)
	inherents = scale.AppendBlob(inherents, scale.AppendU64(nil, slot*12_000))
	list := scale.NewReader(run(t, r, "BlockBuilder_inherent_extrinsics", inherents, o))
	var extrinsics [][]byte
	for n := list.Count(1, 10); n > 0; n-- {
		x := list.Blob(-1)
		extrinsics = append(extrinsics, scale.AppendBlob(nil, x))
	}
	if list.Finish() != nil || len(extrinsics) != 1 {
		t.Fatalf("inherents: %v, %d", list.Err(), len(extrinsics))
	}
	if b := run(t, r, "BlockBuilder_apply_extrinsic", extrinsics[0], o); !bytes.Equal(b, []byte{0, 0}) {
		t.Errorf("the inherent is not applied: %x", b)
	}
	before := len(o.Changes())
	if _, err := r.Call(context.Background(), "BlockBuilder_apply_extrinsic", extrinsics[0], o); !errors.Is(err, ErrTrap) {
		t.Errorf("the time set twice: %v", err)
	}
	if len(o.Changes()) != before || o.Depth() != 0 {
		t.Errorf("a call that trapped has left changes")
	}
	b := run(t, r, "BlockBuilder_finalize_block", nil, o)
	made, err := verify.DecodeHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	s = s.Apply(trie.V1, o.Changes())
	head.StateRoot, head.ExtrinsicsRoot = s.Trie().Root(), trie.OrderedRoot(extrinsics)
	if !bytes.Equal(made.Encode(), head.Encode()) {
		t.Errorf("header %+v, want %+v", made, head)
	}
	if now, _, _ := s.Get(verify.StorageKey("Timestamp", "Now")); binary.LittleEndian.Uint64(now) != slot*12_000 {
		t.Errorf("the time is %x", now)
	}

	// The block that was built is a block that can be executed.
	o.Reset()
	block := append(made.Encode(), append(scale.AppendCompact(nil, 1), extrinsics[0]...)...)
	run(t, r, "Core_execute_block", block, o)
}

// A call on a proof answers as the call on the whole state; the proof to keep is what it asked for.
func TestRealProof(t *testing.T) {
	kv := genesis(t)
	r := load(t, Config{}, kv[":code"])
	whole := trie.From(trie.V1, kv)
	head := verify.Header{Number: 1, ParentHash: verify.Hash{1}, Digest: []verify.DigestItem{{
		Type: verify.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: scale.AppendU64(nil, 1_000),
	}}}
	for _, c := range []struct {
		method string
		input  []byte
	}{{"AuraApi_authorities", nil}, {"GrandpaApi_grandpa_authorities", nil}, {"Core_initialize_block", head.Encode()}} {
		asked := &asking{State: NewTrieState(whole)}
		o := NewOverlay(asked)
		want := run(t, r, c.method, c.input, o)
		nodes := whole.ProveQuery(asked.Query)

		s, err := NewProofState(whole.Root(), nodes)
		if err != nil {
			t.Fatal(err)
		}
		p := NewOverlay(s)
		if got := run(t, r, c.method, c.input, p); !bytes.Equal(got, want) {
			t.Errorf("%s: %x on the proof, %x on the state", c.method, got, want)
		}
		if len(p.Changes()) != len(o.Changes()) || len(want) == 0 && len(o.Changes()) == 0 {
			t.Errorf("%s: %d changes on the proof, %d on the state", c.method, len(p.Changes()), len(o.Changes()))
		}
		if err := s.CheckUsed(); err != nil {
			t.Errorf("%s: %v", c.method, err)
		}

		// Without any one of its nodes it is incomplete, and says what to ask for: with a proof of
		// that, the call goes on.
		for i := range nodes {
			less := append(append([][]byte(nil), nodes[:i]...), nodes[i+1:]...)
			s, err := NewProofState(whole.Root(), less)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Call(t.Context(), c.method, c.input, NewOverlay(s))
			var missing *IncompleteError
			if !errors.Is(err, ErrIncomplete) || !errors.As(err, &missing) {
				t.Errorf("%s without node %d: %v", c.method, i, err)
				continue
			}
			fetches := 0
			for errors.As(err, &missing) && fetches < 100 {
				fetches++
				q := trie.Query{Keys: [][]byte{missing.Key}}
				if missing.Next {
					q = trie.Query{Next: [][]byte{missing.Key}}
				}
				if s, err = s.Extend(whole.ProveQuery(q)); err != nil {
					t.Fatal(err)
				}
				var got []byte
				if got, err = r.Call(t.Context(), c.method, c.input, NewOverlay(s)); err == nil && !bytes.Equal(got, want) {
					t.Errorf("%s after asking: %x, want %x", c.method, got, want)
				}
			}
			if err != nil {
				t.Errorf("%s without node %d, after %d proofs: %v", c.method, i, fetches, err)
			}
		}

		// One node too many changes nothing, is refused where a proof is to be kept, and is not in
		// what is kept.
		more := append(append([][]byte(nil), nodes...), bytes.Repeat([]byte{7}, 40))
		if s, err = NewProofState(whole.Root(), more); err != nil {
			t.Fatal(err)
		}
		if got := run(t, r, c.method, c.input, NewOverlay(s)); !bytes.Equal(got, want) {
			t.Errorf("%s with a node too many: %x, want %x", c.method, got, want)
		}
		if err := s.CheckUsed(); !errors.Is(err, trie.ErrUnusedNode) {
			t.Errorf("%s with a node too many: %v", c.method, err)
		}
		if kept, err := s.Minimal(); err != nil || len(kept) != len(nodes) {
			t.Errorf("%s: %d nodes to keep, %v, want %d", c.method, len(kept), err, len(nodes))
		}
	}
	// A proof cannot tell a root.
	s, err := NewProofState(whole.Root(), whole.ProveQuery(trie.Query{Prefixes: [][]byte{{}}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewOverlay(s).Root(trie.V1); !errors.Is(err, ErrRoot) {
		t.Errorf("root of a proof: %v", err)
	}
}

// asking remembers what a call asks of its state.
type asking struct {
	State
	trie.Query
}

func (a *asking) Get(key []byte) ([]byte, bool, error) {
	a.Keys = append(a.Keys, bytes.Clone(key))
	return a.State.Get(key)
}

func (a *asking) Next(key []byte) ([]byte, bool, error) {
	a.Query.Next = append(a.Query.Next, bytes.Clone(key))
	return a.State.Next(key)
}

// Compiled, from the cache and interpreted say the same.
func TestRealCompiled(t *testing.T) {
	kv := genesis(t)
	var warned []string
	cfg := Config{CacheDir: filepath.Join(t.TempDir(), "code"), LogLevel: LogWarn, Log: func(_ int, target, message string) {
		if target == "executor" {
			warned = append(warned, message)
		}
	}}
	interpreted := load(t, Config{Interpreter: true}, kv[":code"])
	compiled := load(t, cfg, kv[":code"])
	if compiled.engine.Interprets() != nil {
		t.Skip(compiled.engine.Interprets())
	}
	want := run(t, interpreted, "Metadata_metadata", nil, nil)
	if compiled.Compiled() {
		t.Error("compiled before it was asked")
	}
	if err := compiled.Compile(t.Context()); err != nil || !compiled.Compiled() {
		t.Fatal(err)
	}
	cached := load(t, cfg, kv[":code"])
	if !cached.Compiled() || len(warned) > 0 {
		t.Errorf("the cache was not used: %q", warned)
	}
	for name, r := range map[string]*Runtime{"compiled": compiled, "cached": cached} {
		if !bytes.Equal(run(t, r, "Metadata_metadata", nil, nil), want) {
			t.Errorf("%s: other metadata than interpreted", name)
		}
	}
}
