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
