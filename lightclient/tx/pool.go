package tx

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A Node is what a Pool needs of a light node; *lightclient.Node is one.
type Node interface {
	Genesis() verify.Hash
	Finalized(ctx context.Context) (lightclient.FinalBlock, error)
	WaitFinalized(ctx context.Context, above uint32) (lightclient.FinalBlock, error)
	Block(ctx context.Context, number uint32) (lightclient.FinalBlock, error)
	Body(ctx context.Context, number uint32) (lightclient.FinalBlock, [][]byte, error)
	ReadAt(ctx context.Context, number uint32, keys ...[]byte) (*lightclient.Reading, error)
	Call(ctx context.Context, method string, input []byte, number *uint32) (*lightclient.Call, error)
	Metadata(ctx context.Context, number *uint32) (*metadata.Metadata, error)
	Announce(ctx context.Context, extrinsic []byte, told map[string]bool) (int, error)
	MaySign() error
}

// A Store keeps what is under way over a restart; *storage.Store is one.
type Store interface {
	Put(kind, key string, value []byte) error
	Delete(kind, key string) error
	All(kind string) map[string][]byte
	Commit() error
}

// A Signer signs for one account; those of neuron/wallet do.
type Signer interface {
	Account() verify.AccountID
	Sign(message []byte) ([64]byte, error)
}

// SignWith has a signer sign the payload, and verifies what it gives.
func (p *Payload) SignWith(s Signer) (Signature, error) {
	if s.Account() != p.From {
		return Signature{}, fmt.Errorf("%w: the payload is of %v, the key is %v's", ErrSignature, p.From, s.Account())
	}
	b, err := s.Sign(p.Bytes())
	if err != nil {
		return Signature{}, err
	}
	return ParseSignature(b[:], p.From, p.Bytes())
}

// A Config is what a Pool is made of. Node is required.
type Config struct {
	Node  Node
	Store Store                            // nil: nothing outlasts the process
	Notes func(format string, args ...any) // a line for each change; nil: none
	// Linked reports whether there is a peer of the chain; nil: there is. It is asked about transactions that others carry.
	Linked func() bool
}

// Our own limits, and how often.
const (
	kind        = "tx" // of the records in the store
	maxPending  = 64   // that are followed at a time
	maxDone     = 64   // whose end is remembered
	announceAll = 10   // blocks after which every peer is told again, if the runtime still takes it
	maxBisect   = 200  // blocks whose states peers surely have
)

// Errors of submitting.
var (
	// ErrBusy: another transaction of the account is under way with that nonce, or with that call.
	ErrBusy = errors.New("another transaction is under way")
	// ErrFull: too many are.
	ErrFull = errors.New("too many transactions are under way")
	// ErrUnknown: no transaction of that hash is known here.
	ErrUnknown = errors.New("no such transaction is known here")
	// ErrAhead: its nonce is ahead of the account's, and nothing is under way that would close the gap.
	ErrAhead = errors.New("its nonce is ahead of the account's")
)

// A Pool sends transactions and follows what becomes of them. It is safe for concurrent use. Run has to run for
// anything to be followed.
type Pool struct {
	cfg  Config
	wake chan struct{} // has room for one

	mu       sync.Mutex
	entries  map[verify.Hash]*entry
	metadata *metadata.Metadata // last used, and its spec_version: it has the names of errors when nobody can be asked
	spec     uint32
}

// An entry is a transaction that the pool knows.
type entry struct {
	Tracked
	hash      verify.Hash
	from      verify.AccountID
	extrinsic []byte
	changed   chan struct{} // closed when Tracked changes

	at        sync.Mutex      // held by whoever looks after it; taken before Pool.mu
	told      map[string]bool // peers, in this process
	announced uint32          // block at which all were told last
	seen      uint32          // block up to which it is known not to be in any
}

// New returns a pool with what the store has of an earlier one. A record that cannot be read is left out.
func New(cfg Config) (*Pool, error) {
	if cfg.Node == nil {
		return nil, errors.New("tx: no node")
	}
	if cfg.Notes == nil {
		cfg.Notes = func(string, ...any) {}
	}
	p := &Pool{cfg: cfg, wake: make(chan struct{}, 1), entries: make(map[verify.Hash]*entry)}
	if cfg.Store == nil {
		return p, nil
	}
	for key, b := range cfg.Store.All(kind) {
		e, err := decodeEntry(b)
		if err != nil || e.Hash != key {
			p.cfg.Notes("record of transaction %.20q is left out: %v", key, err)
			continue
		}
		p.entries[e.hash] = e
	}
	return p, nil
}

// decodeEntry reads a record of the store, which is believed no more than a file.
func decodeEntry(b []byte) (*entry, error) {
	e := &entry{told: make(map[string]bool), changed: make(chan struct{})}
	if err := unmarshal(b, &e.Tracked); err != nil {
		return nil, err
	}
	var f fields
	e.extrinsic, e.from = f.bytes("extrinsic", e.Extrinsic), f.account("from", e.From)
	if f.err != nil {
		return nil, f.err
	}
	if !slices.Contains(states, e.State) || len(e.extrinsic) > MaxExtrinsic || e.Last < e.Submitted {
		return nil, fmt.Errorf("%w: state %.20q, blocks %d to %d", ErrPayload, e.State, e.Submitted, e.Last)
	}
	e.hash = HashOf(e.extrinsic)
	if e.Hash != e.hash.String() {
		return nil, fmt.Errorf("%w: its hash is %v", ErrPayload, e.hash)
	}
	e.seen, e.Step = e.Submitted, max(e.Step, 1)
	return e, nil
}

// Terms returns what an extrinsic is bound to at the finalized head.
func (p *Pool) Terms(ctx context.Context) (*Terms, error) {
	at, err := p.cfg.Node.Finalized(ctx)
	if err != nil {
		return nil, err
	}
	m, err := p.cfg.Node.Metadata(ctx, &at.Header.Number)
	if err != nil {
		return nil, err
	}
	t, err := NewTerms(m, p.cfg.Node.Genesis(), at.Header.Number, at.Hash)
	if err == nil {
		p.mu.Lock()
		p.metadata, p.spec = m, t.SpecVersion
		p.mu.Unlock()
	}
	return t, err
}

// birth returns what Open and Fits ask for.
func (p *Pool) birth(ctx context.Context) func(uint32) (verify.Hash, error) {
	return func(number uint32) (verify.Hash, error) {
		b, err := p.cfg.Node.Block(ctx, number)
		return b.Hash, err
	}
}

// An Account is what System.Account has of a sender.
type Account struct {
	Exists bool
	Nonce  uint32 // of its next extrinsic
	Free   uint64 // rao
}

// Account reads a sender's account at a finalized block.
func (p *Pool) Account(ctx context.Context, m *metadata.Metadata, id verify.AccountID, number uint32) (a Account, err error) {
	it, err := m.Item("System.Account")
	if err != nil {
		return a, err
	}
	key, err := it.Key(id[:])
	if err != nil {
		return a, err
	}
	r, err := p.cfg.Node.ReadAt(ctx, number, key)
	if err != nil {
		return a, err
	}
	raw := it.Default
	if v := r.Values[0]; v.Outcome == trie.Present {
		a.Exists, raw = true, v.Value
	}
	// As the runtime reads it: what follows the value is not looked at. Chains have accounts from before a change of
	// their form.
	values := m.Types.NewReader(raw)
	v := values.Value(it.Value)
	if err := values.Err(); err != nil {
		return a, fmt.Errorf("System.Account of %v: %w", id, err)
	}
	nonce := v.Field("nonce")
	if nonce == nil {
		return a, fmt.Errorf("System.Account: %w: no nonce", metadata.ErrUnknown)
	}
	n, ok := nonce.Uint64()
	if !ok || n >= 1<<32 {
		return a, fmt.Errorf("System.Account of %v: nonce %v", id, nonce)
	}
	a.Nonce = uint32(n)
	if data := v.Field("data"); data != nil {
		if free := data.Field("free"); free != nil {
			a.Free, _ = free.Uint64()
		}
	}
	return a, nil
}

// A Draft is what Prepare is to make.
type Draft struct {
	From         verify.AccountID
	Nonce        *uint32 // nil: the account's, after what is under way
	Period       uint64  // 0: DefaultPeriod
	Immortal     bool
	Tip          uint64
	MetadataHash bool
}

// A Prepared is a payload with what is proven around it.
type Prepared struct {
	Payload *Payload
	Terms   *Terms
	Call    *metadata.Call
	Account Account
	Fee     *Fee // nil if the runtime does not say
}

// Prepare makes the payload of a call at the finalized head. encode is given the metadata of that block. Nothing is
// made while the node's MaySign says no.
func (p *Pool) Prepare(ctx context.Context, d Draft, encode func(*metadata.Metadata) ([]byte, error)) (*Prepared, error) {
	if err := p.cfg.Node.MaySign(); err != nil {
		return nil, err
	}
	t, err := p.Terms(ctx)
	if err != nil {
		return nil, err
	}
	call, err := encode(t.Metadata)
	if err != nil {
		return nil, err
	}
	r := &Prepared{Terms: t}
	if r.Call, err = t.Metadata.DecodeCall(call); err != nil {
		return nil, err
	}
	if r.Account, err = p.Account(ctx, t.Metadata, d.From, t.Number); err != nil {
		return nil, err
	}
	o := Options{From: d.From, Nonce: p.next(d.From, r.Account.Nonce), Period: d.Period, Tip: d.Tip, MetadataHash: d.MetadataHash}
	switch {
	case d.Immortal:
		o.Period = 0
	case d.Period == 0:
		o.Period = DefaultPeriod
	}
	if d.Nonce != nil {
		o.Nonce = *d.Nonce
	}
	if r.Payload, err = t.Payload(call, o); err != nil {
		return nil, err
	}
	if r.Fee, err = p.Fee(ctx, r.Payload, t.Number); err != nil {
		return nil, err
	}
	return r, nil
}

// Inspect tells what a payload that was made elsewhere would do, and whether it fits this chain (Terms.Fits).
func (p *Pool) Inspect(ctx context.Context, payload *Payload) (*Prepared, error) {
	t, err := p.Terms(ctx)
	if err != nil {
		return nil, err
	}
	r := &Prepared{Payload: payload, Terms: t}
	if err := t.Fits(payload, p.birth(ctx)); err != nil {
		return nil, err
	}
	if r.Call, err = t.Metadata.DecodeCall(payload.Call); err != nil {
		return nil, fmt.Errorf("%w: call: %w", ErrPayload, err)
	}
	if r.Account, err = p.Account(ctx, t.Metadata, payload.From, t.Number); err != nil {
		return nil, err
	}
	r.Fee, err = p.Fee(ctx, payload, t.Number)
	return r, err
}

// NextNonce returns the nonce of an account's next extrinsic, after what is under way.
func (p *Pool) NextNonce(ctx context.Context, id verify.AccountID) (uint32, error) {
	t, err := p.Terms(ctx)
	if err != nil {
		return 0, err
	}
	a, err := p.Account(ctx, t.Metadata, id, t.Number)
	if err != nil {
		return 0, err
	}
	return p.next(id, a.Nonce), nil
}

// next is the account's nonce after what is under way.
func (p *Pool) next(from verify.AccountID, nonce uint32) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.pending(from, nonce) != nil {
		nonce++
	}
	return nonce
}

// pending returns what is under way for an account with a nonce. The caller holds p.mu.
func (p *Pool) pending(from verify.AccountID, nonce uint32) *entry {
	for _, e := range p.entries {
		if e.State == Pending && e.from == from && e.Nonce == nonce {
			return e
		}
	}
	return nil
}

// A Fee is what the runtime says that an extrinsic costs (pallet_transaction_payment::RuntimeDispatchInfo).
type Fee struct {
	RefTime   uint64 `json:"ref_time"` // picoseconds
	ProofSize uint64 `json:"proof_size"`
	Class     uint8  `json:"class"` // 0 normal, 1 operational, 2 mandatory
	Partial   uint64 `json:"fee_rao"`
}

// Fee asks the runtime for the fee of a payload; nil if the runtime has no such question.
func (p *Pool) Fee(ctx context.Context, payload *Payload, number uint32) (*Fee, error) {
	x := payload.Extrinsic(Signature{Scheme: Sr25519})
	c, err := p.cfg.Node.Call(ctx, "TransactionPaymentApi_query_info", scale.AppendU32(x, uint32(len(x))), &number)
	if errors.Is(err, runtime.ErrNoMethod) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fee: %w", err)
	}
	return decodeFee(c.Output)
}

func decodeFee(b []byte) (*Fee, error) {
	r := scale.NewReader(b)
	f := &Fee{RefTime: r.Compact(), ProofSize: r.Compact(), Class: r.Byte(), Partial: r.U64()}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("RuntimeDispatchInfo: %w", err)
	}
	return f, nil
}

// Validate asks the runtime at a finalized block whether a peer's pool would take an extrinsic. Its no is a *Refusal.
func (p *Pool) Validate(ctx context.Context, extrinsic []byte, at lightclient.FinalBlock) (*Validity, error) {
	const external = 2 // sp_runtime::TransactionSource, as whom a peer judges it
	input := append([]byte{external}, extrinsic...)
	c, err := p.cfg.Node.Call(ctx, "TaggedTransactionQueue_validate_transaction", append(input, at.Hash[:]...), &at.Header.Number)
	if err != nil {
		return nil, fmt.Errorf("validate: %w", err)
	}
	return DecodeValidity(c.Output)
}

// Submit sends a signed extrinsic and follows it. Before anybody hears of it, its signature and era are verified, the
// runtime is asked, and it is written down. One that is known already is not sent anew: what is known of it comes back.
// With twice, it may have the same call as one that is under way.
func (p *Pool) Submit(ctx context.Context, extrinsic []byte, twice bool) (Tracked, error) {
	if known, err := p.Status(HashOf(extrinsic)); err == nil {
		return known, nil
	}
	t, err := p.Terms(ctx)
	if err != nil {
		return Tracked{}, err
	}
	s, err := t.Open(extrinsic, p.birth(ctx))
	if err != nil {
		return Tracked{}, err
	}
	e := &entry{
		hash: s.Hash, from: s.Payload.From, extrinsic: slices.Clone(extrinsic), told: make(map[string]bool), changed: make(chan struct{}),
		seen: t.Number, announced: t.Number,
	}
	e.Tracked = Tracked{
		Hash: s.Hash.String(), Extrinsic: hexText(extrinsic), From: s.Payload.From.String(), Nonce: s.Payload.Nonce, Call: clip(s.Call.AppendText(nil)),
		Spec: t.SpecVersion, Submitted: t.Number, Last: s.Payload.Era.Last(t.Number), State: Pending, Step: 1,
	}
	if t.Number >= e.Last {
		return Tracked{}, fmt.Errorf("%w: #%d was the last block that could hold it, the finalized block is #%d", ErrLapsed, e.Last, t.Number)
	}
	a, err := p.Account(ctx, t.Metadata, e.from, t.Number)
	if err != nil {
		return Tracked{}, err
	}
	if _, err := p.Validate(ctx, extrinsic, lightclient.FinalBlock{Header: &verify.Header{Number: t.Number}, Hash: t.Hash}); err != nil {
		return Tracked{}, err
	}
	e.at.Lock()
	defer e.at.Unlock()
	if err := p.admit(e, a.Nonce, s.Payload.Call, t.Metadata, twice); err != nil {
		return Tracked{}, err
	}
	p.cfg.Notes("%s of %v is written down, nonce %d", e.hash.Short(), e.from, e.Nonce)
	sent, err := p.cfg.Node.Announce(ctx, extrinsic, e.told)
	p.update(e, func(t *Tracked) {
		if t.Sent += sent; err != nil {
			t.Problem = err.Error()
		}
	}, false)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return p.copyOf(e), nil
}

// admit writes an entry down, or says what it collides with.
func (p *Pool) admit(e *entry, nonce uint32, call []byte, m *metadata.Metadata, twice bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries[e.hash] != nil {
		return fmt.Errorf("%w: this one, %s", ErrBusy, e.hash.Short())
	}
	if other := p.pending(e.from, e.Nonce); other != nil {
		return fmt.Errorf("%w: %s has nonce %d of %v", ErrBusy, other.hash.Short(), e.Nonce, e.from)
	}
	for n := nonce; n < e.Nonce; n++ {
		if p.pending(e.from, n) == nil {
			return fmt.Errorf("%w: %d, and %d has to come first", ErrAhead, e.Nonce, n)
		}
	}
	count := 0
	for _, other := range p.entries {
		if other.State != Pending {
			continue
		}
		if count++; other.from == e.from && !twice {
			if x, err := m.DecodeExtrinsic(other.extrinsic); err == nil && string(x.CallBytes) == string(call) {
				return fmt.Errorf("%w: %s is the same call by %v, with nonce %d", ErrBusy, other.hash.Short(), e.from, other.Nonce)
			}
		}
	}
	if count >= maxPending {
		return fmt.Errorf("%w: %d", ErrFull, count)
	}
	if err := p.keep(e); err != nil {
		return fmt.Errorf("not sent, for it cannot be written down: %w", err)
	}
	p.entries[e.hash] = e
	return nil
}

// keep writes an entry to the store, and has it reach the disk. The caller holds p.mu.
func (p *Pool) keep(e *entry) error {
	if p.cfg.Store == nil {
		return nil
	}
	b, err := json.Marshal(e.Tracked)
	if err == nil {
		err = p.cfg.Store.Put(kind, e.Hash, b)
	}
	if err == nil {
		err = p.cfg.Store.Commit()
	}
	return err
}

// update changes what is known of an entry and tells who waits. What is to outlast the process is kept.
func (p *Pool) update(e *entry, f func(*Tracked), keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&e.Tracked)
	e.Step++
	if keep {
		if err := p.keep(e); err != nil {
			p.cfg.Notes("%s: not kept: %v", e.hash.Short(), err)
		}
		p.trim()
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

// trim forgets the oldest of those that have ended. The caller holds p.mu.
func (p *Pool) trim() {
	var done []*entry
	for _, e := range p.entries {
		if e.State != Pending {
			done = append(done, e)
		}
	}
	slices.SortFunc(done, func(a, b *entry) int { return cmp.Compare(a.Submitted, b.Submitted) })
	for _, e := range done[:max(len(done)-maxDone, 0)] {
		delete(p.entries, e.hash)
		if p.cfg.Store != nil {
			p.cfg.Store.Delete(kind, e.Hash)
		}
	}
}

func (p *Pool) copyOf(e *entry) Tracked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return e.Tracked
}

// Status returns what is known of a transaction; ErrUnknown if nothing is.
func (p *Pool) Status(hash verify.Hash) (Tracked, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[hash]; e != nil {
		return e.Tracked, nil
	}
	return Tracked{}, fmt.Errorf("%w: %v", ErrUnknown, hash)
}

// List returns all that is known, the newest first.
func (p *Pool) List() []Tracked {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Tracked, 0, len(p.entries))
	for _, e := range p.entries {
		out = append(out, e.Tracked)
	}
	slices.SortFunc(out, func(a, b Tracked) int {
		return cmp.Or(-cmp.Compare(a.Submitted, b.Submitted), -cmp.Compare(a.Nonce, b.Nonce), cmp.Compare(a.Hash, b.Hash))
	})
	return out
}

// Wait returns what is known of a transaction as soon as that is more than at a Step, which is its Step when it was
// last looked at; 0 returns at once.
func (p *Pool) Wait(ctx context.Context, hash verify.Hash, step int) (Tracked, error) {
	for {
		p.mu.Lock()
		e := p.entries[hash]
		if e == nil {
			p.mu.Unlock()
			return Tracked{}, fmt.Errorf("%w: %v", ErrUnknown, hash)
		}
		t, changed := e.Tracked, e.changed
		p.mu.Unlock()
		if t.Step > step || t.Done() || step == 0 {
			return t, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return t, context.Cause(ctx)
		}
	}
}

// clip cuts a call's text to what is kept of it.
func clip(b []byte) string {
	const most = 400
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
