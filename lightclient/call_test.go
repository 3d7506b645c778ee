package lightclient_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// localnet is a chain on a real runtime: that of the test network's genesis, spec 103.
func localnet(t *testing.T, cfg demonet.Config) *demonet.Network {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: no chain spec with a runtime")
	}
	spec, err := os.ReadFile(filepath.Join(dir, "chain", "raw_spec_testfinney.json"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ChainSpec = spec
	return startDemo(t, cfg)
}

// executing is a node's config with an interpreter.
func executing(t *testing.T, net *demonet.Network, n *notes, dir string) lightclient.Config {
	t.Helper()
	cfg := config(net, n)
	var err error
	if cfg.Engine, err = runtime.New(runtime.Config{Interpreter: true}); err != nil {
		t.Fatal(err)
	}
	if dir != "" {
		cfg.Runtimes = storage.OpenRuntimes(dir)
	}
	return cfg
}

// alice is the account of //Alice, as everybody knows it.
const alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

func TestCall(t *testing.T) {
	t.Parallel()
	net := localnet(t, demonet.Config{Peers: 2, History: 20, SetChangeEvery: -1})
	n, dir := newNotes(t), t.TempDir()
	node := joined(t, net, executing(t, net, n, dir), n)
	ctx := patient(t)
	who, err := verify.ParseAccount(alice)
	if err != nil {
		t.Fatal(err)
	}

	// Before any code was fetched, nobody asks for it.
	if m, err := node.KnownMetadata(ctx, nil); m != nil || err != nil {
		t.Errorf("known before: %v, %v", m, err)
	}
	c, err := node.Call(ctx, "AccountNonceApi_account_nonce", who[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := net.Call(ctx, c.Block.Hash, "AccountNonceApi_account_nonce", who[:])
	if err != nil || !bytes.Equal(c.Output, want) || len(want) != 4 {
		t.Errorf("nonce 0x%x, the chain says 0x%x, %v", c.Output, want, err)
	}
	if c.Peers != 1 || c.OnDemand != 0 || c.Version.Spec != 103 || c.Version.SpecName != "node-subtensor" {
		t.Errorf("%+v", c)
	}
	// The proof is minimal, and a proof of the account and of the code's hash.
	p, err := trie.NewProof(c.Block.Header.StateRoot, c.Proof)
	if err != nil {
		t.Fatal(err)
	}
	if hash, o, err := p.ValueHash(subtensor.KeyCode()); hash != c.Code || o != trie.Present || err != nil {
		t.Errorf("code %s, %v, %v", hash, o, err)
	}
	if _, o, err := p.Get(subtensor.KeyAccount(who)); o == trie.Incomplete || err != nil {
		t.Errorf("account: %v, %v", o, err)
	}
	if _, o, _ := p.Get(subtensor.KeyCode()); o != trie.Incomplete {
		t.Error("the proof has the code itself")
	}

	// At a block of the past, whose state is another.
	past := uint32(5)
	if c, err = node.Call(ctx, "Core_version", nil, &past); err != nil || c.Block.Header.Number != 5 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []struct {
		method string
		input  []byte
		err    error
	}{
		{"Core_no_such_thing", nil, runtime.ErrNoMethod},
		{"AccountNonceApi_account_nonce", []byte{1, 2, 3}, runtime.ErrTrap},
	} {
		if _, err := node.Call(ctx, bad.method, bad.input, nil); !errors.Is(err, bad.err) {
			t.Errorf("%s(%x): %v", bad.method, bad.input, err)
		}
	}

	r, err := node.Runtime(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Hash != c.Code || r.Metadata.Version != 14 || r.Size < 200_000 || r.Interprets == "" {
		t.Errorf("runtime %s, V%d, %d bytes, %q", r.Hash, r.Metadata.Version, r.Size, r.Interprets)
	}
	// Both are found again, and the code is not fetched twice.
	if fetched := strings.Count(n.all(), "fetched and proven"); fetched != 1 {
		t.Errorf("fetched %d times", fetched)
	}
	again := newNotes(t)
	other := joined(t, net, executing(t, net, again, dir), again)
	if m, err := other.KnownMetadata(ctx, nil); m == nil || err != nil {
		t.Errorf("not known to the next node: %v", err)
	}
	if _, err := other.Call(ctx, "Core_version", nil, nil); err != nil || strings.Contains(again.all(), "fetched") {
		t.Errorf("%v; notes:\n%s", err, again.all())
	}
}

// TestCallLiars: nodes that a call proof has changed or left out are asked for again, key by key, and the answer
// is the same.
func TestCallLiars(t *testing.T) {
	for _, kind := range []demonet.FaultKind{demonet.LieCall, demonet.LieCallMissing} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			net := localnet(t, demonet.Config{Peers: 1, History: 8, SetChangeEvery: -1, Faults: []demonet.Fault{{Kind: kind}}})
			n := newNotes(t)
			node := joined(t, net, executing(t, net, n, ""), n)
			ctx := patient(t)
			who, _ := verify.ParseAccount(alice)
			c, err := node.Call(ctx, "AccountNonceApi_account_nonce", who[:], nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.OnDemand == 0 {
				t.Error("nothing was asked for beside its proof")
			}
			if want, err := net.Call(ctx, c.Block.Hash, c.Method, c.Input); err != nil || !bytes.Equal(c.Output, want) {
				t.Errorf("0x%x, the chain says 0x%x, %v", c.Output, want, err)
			}
			if _, err := trie.NewProof(c.Block.Header.StateRoot, c.Proof); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProveCall(t *testing.T) {
	t.Parallel()
	net := localnet(t, demonet.Config{Peers: 1, History: 12})
	n := newNotes(t)
	cfg := executing(t, net, n, "")
	node := joined(t, net, cfg, n)
	ctx := patient(t)
	who, _ := verify.ParseAccount(alice)
	code, _, err := node.Code(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	judge := func(b []byte, codes ...[]byte) *bundle.Report {
		_, r := bundle.Judge(b, func(verify.Hash) bundle.Options {
			return bundle.Options{Checkpoint: net.Checkpoint(), Executor: lightclient.Executor{Engine: cfg.Engine}, Codes: codes}
		})
		return r
	}
	past := uint32(7)
	for _, at := range []*uint32{nil, &past} {
		for _, embed := range []bool{false, true} {
			x, c, err := node.ProveCall(ctx, "AccountNonceApi_account_nonce", who[:], at, embed, lightclient.ProveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if r := judge(x.Encode(), code); r.Outcome != fact.OK {
				t.Errorf("embed %v:\n%s", embed, r)
			}
			if r := judge(x.Encode()); (r.Outcome == fact.OK) != embed || r.Outcome == fact.Failed {
				t.Errorf("embed %v, without the code:\n%s", embed, r)
			}
			if embed != (len(x.Encode()) > len(code)) {
				t.Errorf("embed %v: %d bytes, the code has %d", embed, len(x.Encode()), len(code))
			}
			// Another answer, and another question.
			lie := x.Claims[0].(bundle.CallClaim)
			lie.Output = binary.LittleEndian.AppendUint32(nil, binary.LittleEndian.Uint32(c.Output)+1)
			x.Claims[0] = lie
			if r := judge(x.Encode(), code); r.Outcome != fact.Failed {
				t.Errorf("another answer:\n%s", r)
			}
			lie.Output, lie.Input = c.Output, make([]byte, 32)
			x.Claims[0] = lie
			if r := judge(x.Encode(), code); r.Outcome != fact.Undecided {
				t.Errorf("another question, whose account is not in the bundle:\n%s", r)
			}
		}
	}
}

// TestNoRuntime: the plain demo chain has no code that can be executed, and says so.
func TestNoRuntime(t *testing.T) {
	t.Parallel()
	net := startDemo(t, demonet.Config{Peers: 1, History: 8})
	n := newNotes(t)
	node := joined(t, net, executing(t, net, n, t.TempDir()), n)
	ctx := patient(t)
	for range 2 { // the second time it is known
		if _, err := node.Call(ctx, "Core_version", nil, nil); !errors.Is(err, lightclient.ErrNoRuntime) {
			t.Errorf("call: %v", err)
		}
		if _, err := node.Metadata(ctx, nil); !errors.Is(err, lightclient.ErrNoRuntime) {
			t.Errorf("metadata: %v", err)
		}
	}
	if fetched := strings.Count(n.all(), "fetched"); fetched != 1 {
		t.Errorf("fetched %d times", fetched)
	}
	without := newNotes(t)
	node = joined(t, net, config(net, without), without)
	if _, err := node.Call(ctx, "Core_version", nil, nil); !errors.Is(err, lightclient.ErrNoEngine) {
		t.Errorf("without an engine: %v", err)
	}
}
