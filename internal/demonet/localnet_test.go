package demonet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// specFile returns a chain spec with a real runtime: the genesis of the test network, spec 103.
func specFile(t testing.TB) []byte {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: no chain spec with a runtime")
	}
	b, err := os.ReadFile(filepath.Join(dir, "chain", "raw_spec_testfinney.json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Calls of spec 103, whose pallets have other indices than today's.
func transfer(to verify.AccountID, amount uint64) []byte {
	return scale.AppendCompact(append([]byte{5, 0, 0}, to[:]...), amount)
}

func remarkCall(b []byte) []byte { return scale.AppendBlob([]byte{0, 0}, b) }

// root wraps a call in Sudo.sudo_unchecked_weight, which takes the weight's word for it: picoseconds.
func root(call []byte, weight uint64) []byte {
	return append(scale.AppendCompact(append([]byte{7, 1}, call...), weight), 0)
}

func setStorage(key, value []byte) []byte {
	return scale.AppendBlob(scale.AppendBlob([]byte{0, 4, 1 << 2}, key), value)
}

func setCode(code []byte) []byte { return scale.AppendBlob([]byte{0, 3}, code) } // set_code_without_checks

// signed makes an extrinsic for a chain of spec 103.
func signed(c *chain, name string, nonce uint32, call []byte) []byte {
	v := c.producer.origin().Runtime
	return signer{genesis: c.canon[0].hash, spec: v.Spec, transaction: v.Transaction}.extrinsic(name, nonce, call)
}

// enqueue has the runtime judge an extrinsic and puts it into the pool.
func enqueue(t *testing.T, c *chain, x []byte) verify.Hash {
	t.Helper()
	hash := verify.Blake2b256(x)
	err := c.producer.admit(c.best(), x)
	if err == nil {
		err = c.pool.add(hash, x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func step(t *testing.T, c *chain) *block {
	t.Helper()
	b, _, err := c.step(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// free is the balance of a developer.
func free(t *testing.T, b *block, name string) uint64 {
	t.Helper()
	who := accountOf(developer(name))
	info, ok := b.state.Get(verify.AppendBlake2b128Concat(verify.StorageKey("System", "Account"), who[:]))
	if !ok || len(info) < 24 {
		t.Fatalf("account of %s is %x", name, info)
	}
	return binary.LittleEndian.Uint64(info[16:])
}

// TestGenesisOfSpec: untouched, the state is that of the published genesis block.
func TestGenesisOfSpec(t *testing.T) {
	g, err := readGenesis(specFile(t))
	if err != nil {
		t.Fatal(err)
	}
	e, err := runtime.New(runtime.Config{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Load(t.Context(), g.code, g.heapPages())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := g.state(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Trie().Root().String(); got != "0xc15439f31626cd90c778831721bb9d0166da302321918887d381829d8c13763f" {
		t.Errorf("state root %s", got)
	}
	if s.Trie().Len() != 46 {
		t.Errorf("%d keys", s.Trie().Len())
	}
}

// TestLocalnet has a real runtime make a hundred blocks, and judges them by the rules of verify alone: seals,
// both roots and finality of each.
func TestLocalnet(t *testing.T) {
	c := quiet(t, Config{ChainSpec: specFile(t), History: 99})
	step(t, c)
	judge(t, c)
	for _, b := range c.canon[1:] {
		kv := make(map[string][]byte)
		b.state.Range(nil, func(k, v []byte) bool { kv[string(k)] = v; return true })
		if got := trie.Root(trie.V1, kv); got != b.header.StateRoot {
			t.Fatalf("block %d: state root %v, rebuilt %v", b.header.Number, b.header.StateRoot, got)
		}
		if len(b.body) != 1 || !bytes.Equal(b.body[0], timestampSet(b.slot*c.slotMS)) {
			t.Fatalf("block %d: body %x", b.header.Number, b.body)
		}
	}
	if c.slotMS != 12_000 || c.best().header.Number != 100 || c.final.header.Number != 99 {
		t.Errorf("slots of %d ms, best %d, final %d", c.slotMS, c.best().header.Number, c.final.header.Number)
	}
	again := quiet(t, Config{ChainSpec: specFile(t), History: 99})
	step(t, again)
	if again.best().hash != c.best().hash {
		t.Error("the same configuration makes another chain")
	}
	o := c.producer.origin()
	if o.Runtime.SpecName != "node-subtensor" || o.Runtime.Spec != 103 {
		t.Errorf("runtime %s %d", o.Runtime.SpecName, o.Runtime.Spec)
	}
	alice := accountOf(developer("Alice"))
	if key, _ := c.best().state.Get(verify.StorageKey("Sudo", "Key")); !bytes.Equal(key, alice[:]) {
		t.Errorf("sudo key %x", key)
	}
}

// TestLocalnetSetChanges: GRANDPA's list changes as the runtime announces it, and its set id with it.
func TestLocalnetSetChanges(t *testing.T) {
	c := quiet(t, Config{ChainSpec: specFile(t), History: 40, SetChangeEvery: 7, Authorities: 3})
	judge(t, c)
	if c.final.set != 5 {
		t.Errorf("set %d after 40 blocks", c.final.set)
	}
	for _, b := range c.canon[1:] {
		if b.change != (b.header.Number%7 == 0) {
			t.Errorf("block %d announces a change: %v", b.header.Number, b.change)
		}
		id, err := number(b.state, verify.StorageKey("Grandpa", "CurrentSetId"))
		if err != nil || id != b.set {
			t.Errorf("block %d: CurrentSetId %d, %v, want %d", b.header.Number, id, err, b.set)
		}
	}
}

func TestLocalnetForks(t *testing.T) {
	c := quiet(t, Config{ChainSpec: specFile(t), History: 20, FinalityLag: 6})
	for _, f := range [][2]int{{1, 1}, {1, 1}, {4, 6}, {2, 1}} {
		branch, err := forked(c, f[0], f[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range branch {
			if b.state.Root() != b.header.StateRoot {
				t.Errorf("block %d: state root", b.header.Number)
			}
		}
	}
	step(t, c)
	if len(c.blocks) != 1+20+9+1 {
		t.Errorf("%d blocks: some forks are the same block", len(c.blocks))
	}
	if c.best().header.Number != 23 {
		t.Errorf("best %d", c.best().header.Number)
	}
}

// TestLocalnetExtrinsics: what the runtime says is what happens.
func TestLocalnetExtrinsics(t *testing.T) {
	c := quiet(t, Config{ChainSpec: specFile(t), History: 5})
	bob := accountOf(developer("Bob"))
	const amount = 7_000_000_000

	// Good, in the order of their nonces though they came in another.
	late := enqueue(t, c, signed(c, "Alice", 1, remarkCall([]byte("second"))))
	first := enqueue(t, c, signed(c, "Alice", 0, transfer(bob, amount)))
	b := step(t, c)
	if f := c.pool.fates[first]; f.Block != b.hash || f.Index != 1 || f.Err != nil {
		t.Errorf("transfer: %+v", f)
	}
	if f := c.pool.fates[late]; f.Number != 0 || f.Err != nil {
		t.Errorf("a nonce that is ahead: %+v", f)
	}
	if got := free(t, b, "Bob"); got != endowment+amount {
		t.Errorf("Bob has %d", got)
	}
	if got := free(t, b, "Alice"); got >= endowment-amount || got < endowment-amount-1_000_000_000 {
		t.Errorf("Alice has %d: no fee, or a wrong one", got)
	}
	b = step(t, c)
	if f := c.pool.fates[late]; f.Block != b.hash || f.Err != nil {
		t.Errorf("the nonce that was ahead: %+v", f)
	}

	// In the block, and failed: Balances.InsufficientBalance.
	failed := enqueue(t, c, signed(c, "Bob", 0, transfer(accountOf(developer("Eve")), 3*endowment)))
	b = step(t, c)
	f := c.pool.fates[failed]
	var d *DispatchError
	if f.Block != b.hash || !errors.As(f.Err, &d) || d.Pallet != 5 && d.Kind != 7 {
		t.Errorf("transfer of more than there is: %+v", f)
	}
	if free(t, b, "Eve") != endowment {
		t.Error("Eve got something")
	}

	// Invalid ones, at the entry and, should they come so far, in a block.
	broken := signed(c, "Alice", 2, remarkCall(nil))
	broken[len(broken)-len(remarkCall(nil))-10] ^= 1
	for name, x := range map[string][]byte{
		"Stale":               signed(c, "Alice", 0, remarkCall(nil)),
		"BadProof":            broken,
		"trapped":             scale.AppendBlob(nil, []byte{4, 99, 99}),
		"in front":            {4, 0, 0},
		"NoUnsignedValidator": bare([]byte{0, 0}, []byte{0}),
	} {
		if err := c.producer.admit(c.best(), x); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "in front" || name == "NoUnsignedValidator" { // that is the pool's own rule
			continue
		}
		before := c.best().state
		if err := c.pool.add(verify.Blake2b256(x), x); err != nil {
			t.Fatal(err)
		}
		b := step(t, c)
		if f := c.pool.fates[verify.Blake2b256(x)]; f.Number != 0 || !errors.Is(f.Err, ErrInvalid) || len(b.body) != 1 {
			t.Errorf("%s: %+v, %d extrinsics", name, f, len(b.body))
		}
		for _, k := range b.state.Keys(verify.StorageKey("System", "Account"), nil, 0) {
			old, _ := before.Get(k)
			if now, _ := b.state.Get(k); !bytes.Equal(old, now) {
				t.Errorf("%s left something behind at %x", name, k)
			}
		}
	}
	judge(t, c)
}

// TestLocalnetFullBlock: what exhausts a block waits for the next.
func TestLocalnetFullBlock(t *testing.T) {
	c := quiet(t, Config{ChainSpec: specFile(t), History: 1})
	for i := range uint32(8) {
		enqueue(t, c, signed(c, "Alice", i, root(remarkCall(nil), 1_000_000_000_000)))
	}
	b := step(t, c)
	n := len(b.body) - 1
	if n == 0 || n == 8 { // of 8 s; nobody's blocks take as long
		t.Fatalf("%d of 8 are in the block", n)
	}
	for got := n; got < 8; got += n {
		if b = step(t, c); len(b.body)-1 != min(n, 8-got) {
			t.Fatalf("%d in a block, and then %d", n, len(b.body)-1)
		}
	}
	// One that no block has room for is dropped in the end.
	x := enqueue(t, c, signed(c, "Alice", 8, remarkCall(nil)))
	c.pool.list[0].tries = maxTries - 1
	c.pool.settle(made{block: b, outcomes: []outcome{{later: true, err: ErrInvalid}}})
	if f := c.pool.fates[x]; f.Err == nil || len(c.pool.list) != 0 || c.pool.size != 0 {
		t.Errorf("%+v, %d wait", f, len(c.pool.list))
	}
}

// TestLocalnetUpgrade: new code executes the next block; code that cannot be executed, and authorities who
// are nobody here, do not get in.
func TestLocalnetUpgrade(t *testing.T) {
	c := quiet(t, Config{ChainSpec: specFile(t), History: 3})
	code, _ := c.best().state.Get(keyCode)
	// A frame that zstd skips makes other code of the same program.
	code = append(slices.Clone(code), 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'a', 'b', 'c', 'd')
	good := enqueue(t, c, signed(c, "Alice", 0, root(setCode(code), 0)))
	b := step(t, c)
	if f := c.pool.fates[good]; f.Number == 0 || f.Err != nil || !b.header.RuntimeUpdated() {
		t.Fatalf("upgrade: %+v", f)
	}
	step(t, c)
	r, err := c.producer.(*localnet).runtimeAt(t.Context(), c.best())
	if err != nil || r.CodeHash() != verify.Blake2b256(code) {
		t.Errorf("the block after next is not executed by the new code: %v", err)
	}
	strangers := newKeyring("strangers", 4)
	for name, call := range map[string][]byte{
		"no code":      setCode([]byte("not a runtime, and more than thirty-two bytes")),
		"no authority": setStorage(verify.StorageKey("Aura", "Authorities"), aura.AppendAuthorities(nil, strangers.auraSet(0))),
	} {
		x := enqueue(t, c, signed(c, "Alice", 1, root(call, 0)))
		b := step(t, c)
		if f := c.pool.fates[x]; f.Number != 0 || !errors.Is(f.Err, ErrUnfit) || len(b.body) != 1 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	step(t, c)
}

// TestLocalnetCalls: a call proof is what executing the call read; the same executor comes to the same
// answer from it, and to none from less.
func TestLocalnetCalls(t *testing.T) {
	n, err := New(Config{ChainSpec: specFile(t), Peers: 1, History: 10, SetChangeEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	at := n.Finalized()
	code, _, err := n.Storage(at.Hash, keyCode)
	if err != nil {
		t.Fatal(err)
	}
	e, err := runtime.New(runtime.Config{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Load(t.Context(), code, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	alice := accountOf(developer("Alice"))
	x, err := n.Sign("Charlie", 0, remarkCall([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	for method, args := range map[string][]byte{
		"AuraApi_authorities":                         nil,
		"AuraApi_slot_duration":                       nil, // reads nothing
		"GrandpaApi_grandpa_authorities":              nil,
		"GrandpaApi_current_set_id":                   nil,
		"AccountNonceApi_account_nonce":               alice[:],
		"SubnetInfoRuntimeApi_get_subnets_info":       nil, // walks over keys
		"TaggedTransactionQueue_validate_transaction": append(append([]byte{2}, x...), at.Hash[:]...),
		"Metadata_metadata":                           nil,
	} {
		q := wire.CallRequest{Block: at.Hash, Method: method, Data: args}
		b, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil)))
		if err != nil || !ok {
			t.Fatalf("%s: no proof: %v", method, err)
		}
		nodes, err := trie.DecodeProof(b)
		if err != nil {
			t.Fatal(err)
		}
		want, err := n.Call(t.Context(), at.Hash, method, args)
		if err != nil {
			t.Fatal(err)
		}
		if len(nodes) == 0 {
			if out, err := r.Call(t.Context(), method, args, nil); err != nil || !bytes.Equal(out, want) {
				t.Errorf("%s: %v", method, err)
			}
			continue
		}
		s, err := runtime.NewProofState(at.Header.StateRoot, nodes)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Call(t.Context(), method, args, runtime.NewOverlay(s))
		if err != nil || !bytes.Equal(out, want) {
			t.Errorf("%s: %x, %v, want %x", method, out, err, want)
		}
		if err := s.CheckUsed(); err != nil {
			t.Errorf("%s: the proof is not minimal: %v", method, err)
		}
		less, err := runtime.NewProofState(at.Header.StateRoot, nodes[:len(nodes)-1])
		if err == nil {
			_, err = r.Call(t.Context(), method, args, runtime.NewOverlay(less))
		}
		if !errors.Is(err, runtime.ErrIncomplete) && !errors.Is(err, trie.ErrIncomplete) {
			t.Errorf("%s with a node less: %v", method, err)
		}
	}
	for _, method := range []string{"NoSuchApi_method", "Core_execute_block"} {
		q := wire.CallRequest{Block: at.Hash, Method: method}
		if _, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil))); ok || err != nil {
			t.Errorf("%s has a proof: %v", method, err)
		}
	}
	if _, err := n.Call(t.Context(), verify.Hash{1}, "Core_version", nil); !errors.Is(err, ErrPruned) {
		t.Errorf("a call at no block: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Call(ctx, at.Hash, "Core_version", nil); err == nil {
		t.Error("a call that nobody waits for is executed")
	}
}

// TestLocalnetGossip: what a client sends on transactions/1 gets into a block, while blocks are being made
// and calls are being answered.
func TestLocalnetGossip(t *testing.T) {
	n, err := New(Config{ChainSpec: specFile(t), Peers: 1, History: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	if _, err := l.transactions.Open(l.ctx, p.ID()); err != nil {
		t.Fatal(err)
	}
	l.wait(l.opened, "transactions")
	x, err := n.Sign("Eve", 0, remarkCall([]byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.transactions.Send(p.ID(), wire.AppendTransaction(nil, x)); err != nil {
		t.Fatal(err)
	}
	var spec bytes.Buffer
	if err := n.SpecJSON(&spec); err != nil {
		t.Fatal(err)
	}
	if cp, err := checkpoint.Parse(spec.Bytes()); err != nil || cp.Hash != n.Genesis() || cp.SlotDuration != 12_000 {
		t.Errorf("the spec leads to %+v, %v", cp, err)
	}
	if !strings.Contains(spec.String(), `"slotsBackDated": true`) || strings.Contains(spec.String(), "slotDurationMillis") {
		t.Error("the spec does not say how slots lie, or says what the runtime does")
	}
	hash := verify.Blake2b256(x)
	for until := time.Now().Add(patience); ; {
		if _, err := n.Step(); err != nil {
			t.Fatal(err)
		}
		if f, ok := n.Fate(hash); ok && f.Number != 0 {
			if body := n.Body(f.Block); !bytes.Equal(body[f.Index], x) || f.Err != nil {
				t.Errorf("%+v", f)
			}
			break
		}
		if time.Now().After(until) {
			t.Fatal("the extrinsic is in no block")
		}
	}
	if _, err := n.Submit(x); err != nil {
		t.Errorf("submitted again: %v", err)
	}
	if _, err := n.Submit(signed(n.chain, "Eve", 0, remarkCall(nil))); !errors.Is(err, ErrInvalid) {
		t.Errorf("another of the same nonce: %v", err)
	}
	if _, err := n.Sign("Eve", 0, remarkCall(nil)); err == nil || !strings.Contains(err.Error(), "Stale") {
		t.Errorf("signed with the same nonce: %v", err)
	}
	if _, err := n.Sign("Mallory", 0, remarkCall(nil)); err == nil {
		t.Error("anybody can sign")
	}
}

// FuzzLocalnet gives a runtime calls and extrinsics of any bytes. Nothing of it may end the chain, or stay in
// its state.
func FuzzLocalnet(f *testing.F) {
	c := quiet(f, Config{ChainSpec: specFile(f), History: 2})
	l := c.producer.(*localnet)
	root := c.best().header.StateRoot
	f.Add("Core_version", []byte{})
	f.Add("AccountNonceApi_account_nonce", make([]byte, 31))
	f.Add("Core_execute_block", append(c.best().header.Encode(), 0))
	f.Add("BlockBuilder_inherent_extrinsics", []byte{255})
	f.Add("_", signed(c, "Alice", 0, remarkCall([]byte("x"))))
	f.Add("TaggedTransactionQueue_validate_transaction", append([]byte{2}, make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, method string, b []byte) {
		_, nodes, err := l.call(t.Context(), c.best(), method, b)
		if err == nil && len(nodes) > 0 {
			if _, err := trie.NewProof(root, nodes); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		}
		if l.admit(c.best(), b) == nil {
			if list, err := extrinsics(append([]byte{4}, b...)); err != nil || len(list) != 1 {
				t.Errorf("admitted: %x", b)
			}
		}
		made, outcomes, err := l.build(c.best(), c.best().slot+1, 0, [][]byte{b})
		if err != nil || len(outcomes) != 1 || made.state.Root() != made.header.StateRoot {
			t.Fatalf("%+v, %v", outcomes, err)
		}
		if c.best().state.Root() != root {
			t.Fatal("the state has changed")
		}
	})
}

func BenchmarkLocalnet(b *testing.B) {
	for _, compile := range []bool{false, true} {
		b.Run(map[bool]string{false: "interpreted", true: "compiled"}[compile], func(b *testing.B) {
			c := quiet(b, Config{ChainSpec: specFile(b), History: -1, Compile: compile})
			for b.Loop() {
				if _, _, err := c.step(false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
