package tx_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
)

// patience bounds the wait for a chain in this process that makes blocks every 100 ms.
const patience = 2 * time.Minute

// A key is a hotkey.
type key struct{ pair *sr25519.KeyPair }

// The seeds of the development keys that everybody knows.
const (
	aliceSeed = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"
	bobSeed   = "398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89"
)

func newKey(t testing.TB, seed string) *key {
	t.Helper()
	b, err := verify.ParseHex(seed)
	if err != nil {
		t.Fatal(err)
	}
	mini, err := sr25519.NewMiniSecretKeyFromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return &key{mini.ExpandEd25519().KeyPair()}
}

func (k *key) Account() verify.AccountID {
	b, err := k.pair.PublicKey().MarshalBinary()
	if err != nil {
		panic(err)
	}
	return verify.AccountID(b)
}

func (k *key) Sign(message []byte) (out [64]byte, err error) {
	sig, err := k.pair.Sign(nil, sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(message))
	if err != nil {
		return out, err
	}
	b, err := sig.MarshalBinary()
	copy(out[:], b)
	return out, err
}

// A memory is a store that lasts as long as the test.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
	commits int
	fail    error
}

func (m *memory) Put(kind, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.records == nil {
		m.records = make(map[string][]byte)
	}
	m.records[key] = value
	return nil
}

func (m *memory) Delete(kind, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, key)
	return nil
}

func (m *memory) All(kind string) map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string][]byte)
	for k, v := range m.records {
		out[k] = v
	}
	return out
}

func (m *memory) Commit() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	return m.fail
}

// chainFor starts a localnet on a real runtime and a light node that has joined it: that of spec 103, and with
// TAOLIGHT_SPEC_293 a newer one.
func chainFor(t testing.TB, spec string, cfg demonet.Config) (*demonet.Network, *lightclient.Node) {
	t.Helper()
	b, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ChainSpec, cfg.Peers, cfg.SetChangeEvery = b, 2, -1
	if cfg.BlockTime == 0 {
		cfg.BlockTime = 100 * time.Millisecond
	}
	if cfg.History == 0 {
		cfg.History = 20
	}
	net, err := demonet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Stop)
	engine, err := runtime.New(runtime.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := lightclient.Config{Checkpoint: net.Checkpoint(), Version: "test", Demo: true, BackDated: true, Seed: 1, Engine: engine}
	for _, a := range net.Bootnodes() {
		c.Bootnodes = append(c.Bootnodes, a.String())
	}
	node, err := lightclient.New(c)
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) { node.Run(ctx) })
	background(t, func(ctx context.Context) { net.Run(ctx) })
	if err := node.WaitFinal(patient(t)); err != nil {
		t.Fatal(err)
	}
	return net, node
}

func background(t testing.TB, f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// spec103 is the test network's genesis.
func spec103(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: no chain spec with a runtime")
	}
	return filepath.Join(dir, "chain", "raw_spec_testfinney.json")
}

func named(name string, args any) func(*metadata.Metadata) ([]byte, error) {
	text, err := json.Marshal(args)
	return func(m *metadata.Metadata) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		return m.EncodeCall(name, text)
	}
}

// A desk is a pool with a key, on a chain.
type desk struct {
	t    *testing.T
	pool *tx.Pool
}

func newDesk(t *testing.T, node tx.Node, store tx.Store) (*desk, func()) {
	t.Helper()
	pool, err := tx.New(tx.Config{Node: node, Store: store, Notes: func(format string, args ...any) { t.Logf(format, args...) }})
	if err != nil {
		t.Fatal(err)
	}
	stop := background(t, func(ctx context.Context) {
		if err := pool.Run(ctx); err != nil {
			t.Errorf("pool: %v", err)
		}
	})
	return &desk{t, pool}, stop
}

// make builds and signs a call.
func (d *desk) make(k *key, draft tx.Draft, encode func(*metadata.Metadata) ([]byte, error)) []byte {
	d.t.Helper()
	draft.From = k.Account()
	p, err := d.pool.Prepare(patient(d.t), draft, encode)
	if err != nil {
		d.t.Fatal(err)
	}
	sig, err := p.Payload.SignWith(k)
	if err != nil {
		d.t.Fatal(err)
	}
	return p.Payload.Extrinsic(sig)
}

// end submits an extrinsic and waits until something final has become of it.
func (d *desk) end(extrinsic []byte) tx.Tracked {
	d.t.Helper()
	ctx := patient(d.t)
	s, err := d.pool.Submit(ctx, extrinsic, false)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.wait(s)
}

func (d *desk) wait(s tx.Tracked) tx.Tracked {
	d.t.Helper()
	ctx := patient(d.t)
	hash, err := verify.ParseHash(s.Hash)
	for err == nil && !s.Done() {
		s, err = d.pool.Wait(ctx, hash, s.Step)
	}
	if err != nil {
		d.t.Fatalf("%s: %v", s.Line(), err)
	}
	return s
}

// TestChain builds, signs, has judged, sends and follows transactions through a light node, on a chain that a real
// runtime makes, and compares with what the chain itself says of them.
func TestChain(t *testing.T) {
	t.Parallel()
	specs := map[string]string{"103": spec103(t)}
	if s := os.Getenv("TAOLIGHT_SPEC_293"); s != "" {
		specs["293"] = s
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) { t.Parallel(); testChain(t, spec) })
	}
}

func testChain(t *testing.T, spec string) {
	net, node := chainFor(t, spec, demonet.Config{})
	alice, bob := newKey(t, aliceSeed), newKey(t, bobSeed)
	if alice.Account().String() != "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY" {
		t.Fatal("that is not Alice")
	}
	store := new(memory)
	d, _ := newDesk(t, node, store)
	pay := func(rao uint64) func(*metadata.Metadata) ([]byte, error) {
		return func(m *metadata.Metadata) ([]byte, error) { return tx.Transfer(m, bob.Account(), rao) }
	}

	// A transfer, in the order of things.
	x := d.make(alice, tx.Draft{}, pay(5_000_000_000))
	s, err := d.pool.Submit(patient(t), x, false)
	if err != nil {
		t.Fatal(err)
	}
	if s.State != tx.Pending || s.Sent == 0 || store.commits == 0 {
		t.Errorf("submitted: %+v, %d commits", s, store.commits)
	}
	// The same bytes are the same transaction; the same call is refused while this one is under way.
	if again, err := d.pool.Submit(patient(t), x, false); err != nil || again.Hash != s.Hash {
		t.Errorf("again: %+v, %v", again, err)
	}
	s = d.wait(s)
	if s.State != tx.Succeeded || !s.Outcome.OK || s.Outcome.Failed() != nil {
		t.Fatalf("%s: %+v", s.Line(), s.Outcome)
	}
	found := false
	for _, e := range s.Outcome.Events {
		found = found || e.Name == "Balances.Transfer" && strings.Contains(e.Text, "5000000000")
	}
	if !found {
		t.Errorf("events: %+v", s.Outcome.Events)
	}
	hash, _ := verify.ParseHash(s.Hash)
	fate, ok := net.Fate(hash)
	if !ok || fate.Err != nil || fate.Number != s.Block || fate.Index != s.Index || fate.Block.String() != s.BlockHash {
		t.Errorf("the chain says %+v, we %s", fate, s.Line())
	}
	if b := net.Header(s.Block); b == nil || b.Hash().String() != s.BlockHash {
		t.Errorf("block %s is not that of the chain", s.BlockHash)
	}

	// Immortal, with a tip, over 256 bytes, with a nonce of its own: the runtime takes what was signed.
	long := named("System.remark", map[string]any{"remark": "0x" + strings.Repeat("ab", 400)})
	for what, draft := range map[string]tx.Draft{"immortal": {Immortal: true}, "long era": {Period: 2048}, "tip": {Tip: 12345}} {
		if s := d.end(d.make(alice, draft, long)); s.State != tx.Succeeded {
			t.Errorf("%s: %s", what, s.Line())
		}
	}
	if _, err := d.pool.Prepare(patient(t), tx.Draft{From: alice.Account(), Period: 4096}, long); err == nil {
		t.Error("a period that the chain does not keep hashes for")
	}

	// In a block, and failed: by the pallet's name, with its docs. What runtimes call a balance that is too low differs.
	tooMuch := []string{"Balances.InsufficientBalance", "Token.FundsUnavailable", "Arithmetic.Underflow"}
	fails := []struct {
		what   string
		key    *key
		encode func(*metadata.Metadata) ([]byte, error)
		want   string
	}{
		{"transfer of more than there is", bob, pay(3_000_000_000_000_000_000), "Balances.InsufficientBalance"},
		{"root's call", bob, named("System.set_heap_pages", map[string]any{"pages": 1}), "BadOrigin"},
		{"sudo without the key", bob, named("Sudo.sudo", map[string]any{"call": map[string]any{"System": map[string]any{"remark": map[string]any{"remark": "0x"}}}}), "Sudo.RequireSudo"},
	}
	for _, f := range fails {
		if f.what == "transfer of more than there is" {
			f.encode = func(m *metadata.Metadata) ([]byte, error) {
				return tx.Transfer(m, alice.Account(), 3_000_000_000_000_000_000)
			}
		}
		s := d.end(d.make(f.key, tx.Draft{}, f.encode))
		got := ""
		if s.Outcome != nil && s.Outcome.Failure != nil {
			got = s.Outcome.Failure.Name
		}
		if s.State != tx.Failed || got != f.want && !(f.want == tooMuch[0] && slices.Contains(tooMuch, got)) {
			t.Errorf("%s: %s, want %s", f.what, s.Line(), f.want)
		}
		hash, _ := verify.ParseHash(s.Hash)
		if fate, _ := net.Fate(hash); fate.Err == nil || fate.Number != s.Block {
			t.Errorf("%s: the chain says %+v", f.what, fate)
		}
		t.Logf("%s: %s", f.what, s.Line())
	}
	// In a block, succeeded, and failed inside.
	inner := map[string]any{"Balances": map[string]any{"force_transfer": map[string]any{
		"source": bob.Account().String(), "dest": alice.Account().String(), "value": uint64(3_000_000_000_000_000_000),
	}}}
	s = d.end(d.make(alice, tx.Draft{}, named("Sudo.sudo", map[string]any{"call": inner})))
	if why := s.Outcome.Failed(); s.State != tx.Succeeded || !s.Outcome.OK || why == nil || !slices.Contains(tooMuch, why.Name) {
		t.Errorf("sudo of what fails: %s, %+v", s.Line(), s.Outcome)
	}
	if !strings.Contains(s.Line(), "inside") {
		t.Errorf("sudo of what fails: %s", s.Line())
	}
	testSchemes(d, alice)
	testRefusals(t, net, d, alice, bob)
}

// testSchemes has accounts of the other two schemes sign: the runtime takes what is taken here.
func testSchemes(d *desk, alice *key) {
	t := d.t
	ctx := patient(t)
	edwards := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	secp := secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{4}, 32))
	for _, c := range []struct {
		scheme tx.Scheme
		from   verify.AccountID
		sign   func(payload []byte) []byte
	}{
		{tx.Ed25519, verify.AccountID(edwards.Public().(ed25519.PublicKey)), func(payload []byte) []byte { return ed25519.Sign(edwards, payload) }},
		{tx.Ecdsa, verify.AccountID(verify.Blake2b256(secp.PubKey().SerializeCompressed())), func(payload []byte) []byte {
			hash := verify.Blake2b256(payload)
			b := ecdsa.SignCompact(secp, hash[:], true)
			return append(b[1:], b[0]-31)
		}},
	} {
		fund := d.end(d.make(alice, tx.Draft{}, func(m *metadata.Metadata) ([]byte, error) { return tx.Transfer(m, c.from, 1_000_000_000) }))
		if fund.State != tx.Succeeded {
			t.Fatalf("%v: %s", c.scheme, fund.Line())
		}
		p, err := d.pool.Prepare(ctx, tx.Draft{From: c.from}, named("System.remark", map[string]any{"remark": "0x" + strings.Repeat("cd", 300)}))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := tx.ParseSignature(c.sign(p.Payload.Bytes()), c.from, p.Payload.Bytes())
		if err != nil || sig.Scheme != c.scheme {
			t.Fatalf("%v: %v, %v", c.scheme, sig.Scheme, err)
		}
		if s := d.end(p.Payload.Extrinsic(sig)); s.State != tx.Succeeded {
			t.Errorf("%v: %s", c.scheme, s.Line())
		}
	}
}

// testRefusals has the runtime refuse what it would, before anybody hears of it.
func testRefusals(t *testing.T, net *demonet.Network, d *desk, alice, bob *key) {
	ctx := patient(t)
	remark := named("System.remark", map[string]any{"remark": "0x01"})
	poor := newKey(t, "01"+strings.Repeat("00", 31))
	terms, err := d.pool.Terms(ctx)
	if err != nil {
		t.Fatal(err)
	}
	nonce := uint32(0)
	sign := func(k *key, change func(*tx.Terms)) []byte {
		other := *terms
		change(&other)
		call, err := remark(terms.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		a, err := d.pool.Account(ctx, terms.Metadata, k.Account(), terms.Number)
		if err != nil {
			t.Fatal(err)
		}
		p, err := other.Payload(call, tx.Options{From: k.Account(), Nonce: a.Nonce, Period: 64})
		if err != nil {
			t.Fatal(err)
		}
		sig, err := p.SignWith(k)
		if err != nil {
			t.Fatal(err)
		}
		return p.Extrinsic(sig)
	}
	changed := d.make(bob, tx.Draft{}, remark)
	changed[len(changed)-1] ^= 0xff
	for _, c := range []struct {
		what string
		x    []byte
		err  error
		text string
	}{
		{"stale", d.make(alice, tx.Draft{Nonce: &nonce}, remark), tx.ErrRefused, "Stale"},
		{"underfunded", d.make(poor, tx.Draft{}, remark), tx.ErrRefused, "Payment"},
		{"another network", sign(bob, func(t *tx.Terms) { t.Genesis[0] ^= 1 }), tx.ErrSignature, "on this chain"},
		{"another runtime", sign(bob, func(t *tx.Terms) { t.SpecVersion++ }), tx.ErrSignature, "at spec"},
		{"another fork", sign(bob, func(t *tx.Terms) { t.Hash[0] ^= 1 }), tx.ErrSignature, ""},
		{"changed on the way", changed, tx.ErrSignature, ""},
		{"cut off", changed[:40], tx.ErrPayload, ""},
		{"nothing", nil, tx.ErrPayload, ""},
	} {
		s, err := d.pool.Submit(ctx, c.x, false)
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, %v", c.what, s.State, err)
		}
		if _, ok := net.Fate(tx.HashOf(c.x)); ok {
			t.Errorf("%s: a peer was told", c.what)
		}
		t.Logf("%s: %v", c.what, err)
	}
	ahead := uint32(1000)
	if _, err := d.pool.Submit(ctx, d.make(bob, tx.Draft{Nonce: &ahead}, remark), false); !errors.Is(err, tx.ErrAhead) {
		t.Errorf("a nonce ahead: %v", err)
	}
	// Two at once: the second takes the next nonce, and the same call again has to be meant.
	x1 := d.make(bob, tx.Draft{}, remark)
	s1, err := d.pool.Submit(ctx, x1, false)
	if err != nil {
		t.Fatal(err)
	}
	x2 := d.make(bob, tx.Draft{}, remark)
	if _, err := d.pool.Submit(ctx, x2, false); err != nil && !errors.Is(err, tx.ErrBusy) {
		t.Errorf("the same call: %v", err)
	}
	s2, err := d.pool.Submit(ctx, x2, true)
	if err != nil {
		t.Fatal(err)
	}
	if s1, s2 = d.wait(s1), d.wait(s2); s1.State != tx.Succeeded || s2.State != tx.Succeeded || s2.Nonce <= s1.Nonce && s1.Block != 0 {
		t.Errorf("%s; %s", s1.Line(), s2.Line())
	}
}
