package tx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A stage is a chain whose blocks a test makes up, as a light node shows it.
type stage struct {
	t *testing.T
	m *metadata.Metadata

	mu       sync.Mutex
	moved    chan struct{}
	blocks   []scene // by number
	pruned   uint32  // states below it are gone
	validity []byte
	peers    error // nobody to tell
	maySign  error
	told     int // announcements
	bodies   int // that were asked for
	reads    int
}

// A scene is a block: its extrinsics, and what its state has of the sender.
type scene struct {
	body   [][]byte
	nonce  uint32
	gone   bool // the account is not there
	events []byte
}

func newStage(t *testing.T) *stage {
	good := append(make([]byte, 9), 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 1)
	s := &stage{t: t, m: vectorMetadata(t, "metadata-v15-spec293.scale"), validity: good, moved: make(chan struct{})}
	for range 11 {
		s.add(scene{nonce: 5})
	}
	return s
}

func (s *stage) add(b scene) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks = append(s.blocks, b)
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *stage) hash(number uint32) verify.Hash {
	return verify.Hash{1, byte(number), byte(number >> 8)}
}

func (s *stage) at(number uint32) lightclient.FinalBlock {
	return lightclient.FinalBlock{Header: &verify.Header{Number: number}, Hash: s.hash(number)}
}

func (s *stage) head() lightclient.FinalBlock {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(uint32(len(s.blocks) - 1))
}

func (s *stage) Genesis() verify.Hash { return s.hash(0) }
func (s *stage) MaySign() error       { return s.maySign }

func (s *stage) Finalized(context.Context) (lightclient.FinalBlock, error) { return s.head(), nil }

func (s *stage) WaitFinalized(ctx context.Context, above uint32) (lightclient.FinalBlock, error) {
	for {
		s.mu.Lock()
		at, moved := s.at(uint32(len(s.blocks)-1)), s.moved
		s.mu.Unlock()
		if at.Header.Number > above {
			return at, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return at, ctx.Err()
		}
	}
}

func (s *stage) Block(_ context.Context, number uint32) (lightclient.FinalBlock, error) {
	return s.at(number), nil
}

func (s *stage) Body(_ context.Context, number uint32) (lightclient.FinalBlock, [][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies++
	return s.at(number), s.blocks[number].body, nil
}

func (s *stage) Metadata(_ context.Context, number *uint32) (*metadata.Metadata, error) {
	if *number < s.pruned {
		return nil, &lightclient.PrunedError{Number: *number}
	}
	return s.m, nil
}

func (s *stage) ReadAt(_ context.Context, number uint32, keys ...[]byte) (*lightclient.Reading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if number < s.pruned {
		return nil, &lightclient.PrunedError{Number: number}
	}
	b := s.blocks[number]
	r := new(lightclient.Reading)
	for _, key := range keys {
		v := lightclient.Value{Key: key, Outcome: trie.Present}
		switch {
		case bytes.Equal(key, verify.StorageKey("System", "Events")):
			v.Value = b.events
		case b.gone:
			v.Outcome = trie.Absent
		default:
			v.Value = scale.AppendU32(nil, b.nonce)
			v.Value = append(v.Value, make([]byte, 12+3*8+16)...)
		}
		r.Values = append(r.Values, v)
	}
	return r, nil
}

func (s *stage) Call(_ context.Context, method string, input []byte, _ *uint32) (*lightclient.Call, error) {
	switch method {
	case "TaggedTransactionQueue_validate_transaction":
		return &lightclient.Call{Output: s.validity}, nil
	case "TransactionPaymentApi_query_info":
		return &lightclient.Call{Output: []byte{4, 8, 0, 99, 0, 0, 0, 0, 0, 0, 0}}, nil
	}
	return nil, fmt.Errorf("no %s here", method)
}

func (s *stage) Announce(_ context.Context, _ []byte, told map[string]bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers != nil {
		return 0, s.peers
	}
	if told["peer"] {
		return 0, nil
	}
	told["peer"] = true
	s.told++
	return 1, nil
}

// A box is a store that lasts as long as the test, and can be broken.
type box struct {
	mu      sync.Mutex
	records map[string][]byte
	commits int
	broken  error
}

func (b *box) Put(_, key string, value []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.records == nil {
		b.records = make(map[string][]byte)
	}
	b.records[key] = value
	return b.broken
}

func (b *box) Delete(_, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.records, key)
	return nil
}

func (b *box) All(string) map[string][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string][]byte)
	for k, v := range b.records {
		out[k] = v
	}
	return out
}

func (b *box) Commit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.commits++
	return b.broken
}

// pen signs as the sender.
type pen struct{ pair *sr25519.KeyPair }

func newPen(t testing.TB, seed byte) pen {
	mini, err := sr25519.NewMiniSecretKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return pen{mini.ExpandEd25519().KeyPair()}
}

func (p pen) Account() verify.AccountID {
	b, _ := p.pair.PublicKey().MarshalBinary()
	return verify.AccountID(b)
}

func (p pen) Sign(message []byte) (out [64]byte, err error) {
	sig, err := p.pair.Sign(nil, sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(message))
	if err != nil {
		return out, err
	}
	b, err := sig.MarshalBinary()
	copy(out[:], b)
	return out, err
}

func remark(m *metadata.Metadata) ([]byte, error) {
	return m.EncodeCall("System.remark", []byte(`["0x01"]`))
}

// write makes a signed remark of the sender.
func (s *stage) write(p *Pool, d Draft) []byte {
	s.t.Helper()
	key := newPen(s.t, 1)
	d.From = key.Account()
	if d.Period == 0 {
		d.Period = 16
	}
	r, err := p.Prepare(s.t.Context(), d, remark)
	if err != nil {
		s.t.Fatal(err)
	}
	sig, err := r.Payload.SignWith(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Payload.Extrinsic(sig)
}

func (s *stage) pool(store Store) *Pool {
	s.t.Helper()
	p, err := New(Config{Node: s, Store: store, Notes: s.t.Logf})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// look has a pool look at the head.
func (s *stage) look(p *Pool) {
	s.t.Helper()
	for _, e := range p.underWay() {
		if err := p.step(s.t.Context(), e, s.head()); err != nil {
			p.problem(e, err)
		}
	}
}

// success is System.Events of a block with one extrinsic that succeeded.
func (s *stage) success() []byte {
	return record(s.t, s.m, `{"ApplyExtrinsic": 0}`, `{"System": {"ExtrinsicSuccess": {"dispatch_info": {"weight": {"ref_time": 1, "proof_size": 2}, "class": "Normal", "pays_fee": "Yes"}}}}`)
}

// TestEnds brings a transaction to each end that there is, by what the chain does.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		then   func(s *stage, x []byte)
		state  string
		block  uint32
		bodies int // at most
	}{
		{"found by one body", func(s *stage, x []byte) {
			s.add(scene{nonce: 5})
			s.add(scene{nonce: 5})
			s.add(scene{nonce: 6, body: [][]byte{x}, events: s.success()})
			for range 9 {
				s.add(scene{nonce: 7})
			}
		}, Succeeded, 13, 1},
		{"failed", func(s *stage, x []byte) {
			s.add(scene{nonce: 6, body: [][]byte{x}, events: failed(s.t, s.m, 0, `"BadOrigin"`)})
		}, Failed, 11, 1},
		{"another one has its nonce", func(s *stage, x []byte) {
			s.add(scene{nonce: 6, body: [][]byte{{8, 0, 0}}})
			s.add(scene{nonce: 6})
		}, Replaced, 0, 1},
		{"never included", func(s *stage, x []byte) {
			for range 16 {
				s.add(scene{nonce: 5})
			}
		}, Lapsed, 0, 0},
		{"its nonce used after its era", func(s *stage, x []byte) {
			for range 15 {
				s.add(scene{nonce: 5})
			}
			s.add(scene{nonce: 6, body: [][]byte{{8, 0, 0}}})
			s.add(scene{nonce: 9})
		}, Lapsed, 0, 0},
		{"in the last block of its era", func(s *stage, x []byte) {
			for range 14 {
				s.add(scene{nonce: 5})
			}
			s.add(scene{nonce: 6, body: [][]byte{x}, events: s.success()})
			s.add(scene{nonce: 9})
		}, Succeeded, 25, 1},
		{"the account was reaped", func(s *stage, x []byte) {
			s.add(scene{nonce: 6, body: [][]byte{{8, 0, 0}, x}, events: record(s.t, s.m, `{"ApplyExtrinsic": 1}`, `{"System": {"ExtrinsicSuccess": {"dispatch_info": {"weight": {"ref_time": 1, "proof_size": 2}, "class": "Normal", "pays_fee": "Yes"}}}}`)})
			s.add(scene{gone: true})
		}, Succeeded, 11, 2},
		{"the account was reaped and is there again", func(s *stage, x []byte) {
			s.add(scene{nonce: 6, body: [][]byte{x}, events: s.success()})
			s.add(scene{gone: true})
			s.add(scene{nonce: 0})
		}, Succeeded, 11, 3},
		{"states are pruned", func(s *stage, x []byte) {
			s.add(scene{nonce: 5})
			s.add(scene{nonce: 6, body: [][]byte{x}, events: s.success()})
			for range 10 {
				s.add(scene{nonce: 6})
			}
			s.pruned = 18
		}, Included, 12, 2},
		{"still under way", func(s *stage, x []byte) { s.add(scene{nonce: 5}) }, Pending, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, store := newStage(t), new(box)
			p := s.pool(store)
			x := s.write(p, Draft{})
			sent, err := p.Submit(t.Context(), x, false)
			if err != nil || sent.State != Pending || sent.Sent != 1 || s.told != 1 || store.commits != 1 {
				t.Fatalf("%+v, %v", sent, err)
			}
			c.then(s, x)
			s.look(p)
			got, err := p.Status(HashOf(x))
			if err != nil || got.State != c.state || got.Block != c.block || got.Line() == "" {
				t.Errorf("%s %s, %v", got.State, got.Line(), err)
			}
			if s.bodies > c.bodies {
				t.Errorf("%d bodies", s.bodies)
			}
			// What has ended stays ended, here and after a restart.
			p = s.pool(store)
			s.look(p)
			if again, err := p.Status(HashOf(x)); err != nil || again.State != c.state || again.Block != c.block {
				t.Errorf("after a restart: %s, %v", again.Line(), err)
			}
			if _, err := p.Submit(t.Context(), x, false); err != nil || c.state != Pending && s.told != 1 {
				t.Errorf("told %d times, %v", s.told, err)
			}
		})
	}
}

// TestRestart: what is written down before a crash is sent after it, the same bytes, and followed.
func TestRestart(t *testing.T) {
	s, store := newStage(t), new(box)
	p := s.pool(store)
	x := s.write(p, Draft{})
	s.peers = lightclient.ErrNoPeers
	sent, err := p.Submit(t.Context(), x, false)
	if err != nil || sent.Sent != 0 || !strings.Contains(sent.Line(), "nobody") {
		t.Fatalf("%s, %v", sent.Line(), err)
	}
	s.peers = nil
	p = s.pool(store)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	s.add(scene{nonce: 5})
	got, err := p.Status(HashOf(x))
	for got.Sent == 0 && err == nil {
		got, err = p.Wait(t.Context(), HashOf(x), got.Step)
	}
	if err != nil || s.told != 1 {
		t.Fatalf("%s, told %d times, %v", got.Line(), s.told, err)
	}
	s.add(scene{nonce: 6, body: [][]byte{x}, events: s.success()})
	for !got.Done() && err == nil {
		got, err = p.Wait(t.Context(), HashOf(x), got.Step)
	}
	cancel()
	if rerr := <-done; err != nil || rerr != nil || got.State != Succeeded || s.told != 1 {
		t.Errorf("%s, told %d times, %v, %v", got.Line(), s.told, err, rerr)
	}
}

// TestNotWritten: what cannot be written down is not sent.
func TestNotWritten(t *testing.T) {
	s := newStage(t)
	p := s.pool(&box{broken: errors.New("the card is full")})
	if _, err := p.Submit(t.Context(), s.write(p, Draft{}), false); err == nil || !strings.Contains(err.Error(), "the card is full") || s.told != 0 {
		t.Errorf("%v, told %d times", err, s.told)
	}
}

// TestRefusedLater: a transaction that the runtime does not take any more is not sent again, and is watched all the same.
func TestRefusedLater(t *testing.T) {
	s := newStage(t)
	p := s.pool(nil)
	x := s.write(p, Draft{Period: 64})
	if _, err := p.Submit(t.Context(), x, false); err != nil {
		t.Fatal(err)
	}
	s.validity = []byte{1, 0, 1}
	for range announceAll + 2 {
		s.add(scene{nonce: 5})
		s.look(p)
	}
	got, _ := p.Status(HashOf(x))
	if s.told != 1 || got.State != Pending || !strings.Contains(got.Problem, "Payment") {
		t.Errorf("told %d times: %s", s.told, got.Line())
	}
	s.validity = newStage(t).validity
	for range announceAll + 2 {
		s.add(scene{nonce: 5})
		s.look(p)
	}
	if s.told != 2 {
		t.Errorf("told %d times when it was good again", s.told)
	}
}

// TestSubmitRefused: what must not be sent is not, and nothing of it is kept.
func TestSubmitRefused(t *testing.T) {
	s, store := newStage(t), new(box)
	p := s.pool(store)
	first := s.write(p, Draft{})
	nonce := uint32(5)
	other := s.write(p, Draft{Nonce: &nonce, Period: 32})
	ahead := uint32(7)
	gap := s.write(p, Draft{Nonce: &ahead})
	old := s.write(p, Draft{Period: 4})
	if _, err := p.Submit(t.Context(), first, false); err != nil {
		t.Fatal(err)
	}
	next := s.write(p, Draft{})
	for range 4 {
		s.add(scene{nonce: 5})
	}
	for name, c := range map[string]struct {
		x   []byte
		err error
	}{
		"the nonce is taken": {other, ErrBusy}, "the same call": {next, ErrBusy}, "a gap": {gap, ErrAhead}, "an era that is over": {old, ErrSignature},
		"not signed": {[]byte{8, 4, 0}, ErrPayload},
	} {
		if _, err := p.Submit(t.Context(), c.x, false); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.validity = []byte{1, 0, 3}
	if _, err := p.Submit(t.Context(), next, true); !errors.Is(err, ErrRefused) {
		t.Errorf("stale: %v", err)
	}
	s.maySign = lightclient.ErrConflict
	if _, err := p.Prepare(t.Context(), Draft{}, remark); !errors.Is(err, lightclient.ErrConflict) {
		t.Errorf("a conflict is known: %v", err)
	}
	if len(store.records) != 1 || s.told != 1 || len(p.List()) != 1 {
		t.Errorf("%d records, told %d times, %d known", len(store.records), s.told, len(p.List()))
	}
}

// TestRecords: damaged records are left out, and those that have ended are forgotten in time.
func TestRecords(t *testing.T) {
	s := newStage(t)
	store := &box{records: map[string][]byte{"0x00": []byte("{"), "0x01": []byte(`{"hash": "0x01", "state": "pending"}`)}}
	if p := s.pool(store); len(p.List()) != 0 {
		t.Errorf("%+v", p.List())
	}
	store = new(box)
	p := s.pool(store)
	for i := range maxDone + 5 {
		x := s.write(p, Draft{})
		if _, err := p.Submit(t.Context(), x, false); err != nil {
			t.Fatal(err)
		}
		s.add(scene{nonce: uint32(6 + i), body: [][]byte{x}, events: s.success()})
		s.look(p)
	}
	if len(p.List()) != maxDone || len(store.records) != maxDone {
		t.Errorf("%d known, %d kept", len(p.List()), len(store.records))
	}
}

// TestCompose: the same meaning in the words of each runtime.
func TestCompose(t *testing.T) {
	hotkey := verify.AccountID{7}
	w := &Weights{Netuid: 3, Uids: []uint16{1, 2}, Values: []uint16{10, 20}, Salt: []uint16{9}, Version: 4}
	second := *w
	second.Mecid = 1
	for _, c := range []struct {
		what   string
		encode func(*metadata.Metadata) ([]byte, error)
		want   map[string]string // the call by metadata; empty: none
	}{
		{"set_weights", func(m *metadata.Metadata) ([]byte, error) { return SetWeights(m, w) },
			map[string]string{"293": "set_weights", "424": "set_mechanism_weights"}},
		{"of a second mechanism", func(m *metadata.Metadata) ([]byte, error) { return SetWeights(m, &second) },
			map[string]string{"293": "", "424": "set_mechanism_weights"}},
		{"reveal", func(m *metadata.Metadata) ([]byte, error) { return RevealWeights(m, w) },
			map[string]string{"293": "reveal_weights", "424": "reveal_mechanism_weights"}},
		{"commit", func(m *metadata.Metadata) ([]byte, error) { return CommitWeights(m, 3, 0, verify.Hash{1}) },
			map[string]string{"293": "commit_weights", "424": "commit_mechanism_weights"}},
		{"timelocked", func(m *metadata.Metadata) ([]byte, error) { return CommitTimelocked(m, 3, 0, []byte{1, 2}, 77, 4) },
			map[string]string{"293": "commit_crv3_weights", "424": "commit_timelocked_mechanism_weights"}},
		{"register", func(m *metadata.Metadata) ([]byte, error) { return Register(m, 3, hotkey, nil) },
			map[string]string{"293": "burned_register", "424": "burned_register"}},
		{"stake", func(m *metadata.Metadata) ([]byte, error) { return AddStake(m, hotkey, 3, 5) },
			map[string]string{"293": "add_stake", "424": "add_stake"}},
		{"unstake", func(m *metadata.Metadata) ([]byte, error) { return RemoveStake(m, hotkey, 3, 5) },
			map[string]string{"293": "remove_stake", "424": "remove_stake"}},
	} {
		for spec, want := range c.want {
			m := vectorMetadata(t, map[string]string{"293": "metadata-v15-spec293.scale", "424": "metadata-v16-spec424.scale"}[spec])
			b, err := c.encode(m)
			if want == "" {
				if !errors.Is(err, ErrCall) {
					t.Errorf("%s on %s: %v", c.what, spec, err)
				}
				continue
			}
			call, derr := m.DecodeCall(b)
			if err != nil || derr != nil || call.Def.Name != want {
				t.Errorf("%s on %s: %v, %v, %v", c.what, spec, call, err, derr)
			}
		}
	}
}
