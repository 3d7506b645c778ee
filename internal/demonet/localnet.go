package demonet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// Our own limits of execution.
const (
	bootTime   = 2 * time.Minute      // to load a runtime and build its genesis
	buildTime  = 30 * time.Second     // to make a block
	fillTime   = 10 * time.Second     // of that, to fill it with extrinsics of others
	admitTime  = 5 * time.Second      // to judge an extrinsic
	callTime   = 10 * time.Second     // to execute a call of somebody else's
	executions = 2                    // of the last two at a time
	maxLoaded  = 3                    // runtimes that are ready: before and after an upgrade, and one more
	maxProof   = wire.MaxResponse / 2 // bytes of the proof of a call
)

// Errors of executing.
var (
	// ErrInvalid: the runtime takes an extrinsic for invalid, which no block may then have.
	ErrInvalid = errors.New("invalid extrinsic")
	// ErrDispatch: an extrinsic is in a block, and did nothing but pay.
	ErrDispatch = errors.New("dispatch failed")
	// ErrUnfit: a block would hand the chain to authorities or code that this network has no use for.
	ErrUnfit = errors.New("the network could not go on after this block")
	// ErrRuntime: the runtime did something that no runtime does.
	ErrRuntime = errors.New("unexpected runtime")
)

// A localnet executes the runtime of a chain spec to make blocks, as a node with `--dev` does.
type localnet struct {
	keys   *keyring
	engine *runtime.Engine
	from   Origin
	slotMS uint64
	eager  bool // compile what is loaded
	change schedule
	busy   chan struct{} // has room for executions
	hash   verify.Hash   // of block 0

	mu   sync.Mutex
	code []loadedCode // the last used at the end
}

// A loadedCode is a runtime that is ready. It is found by where its code is in memory, which states share
// as long as nobody puts another.
type loadedCode struct {
	code, heapPages []byte
	runtime         *runtime.Runtime
}

func newLocalnet(keys *keyring, cfg Config) (*localnet, error) {
	spec, err := readGenesis(cfg.ChainSpec)
	if err != nil {
		return nil, err
	}
	if cfg.Executor.Log == nil {
		cfg.Executor.Log = func(_ int, target, message string) { cfg.Log.Warn(message, "target", target) }
	}
	engine, err := runtime.New(cfg.Executor)
	if err != nil {
		return nil, err
	}
	l := &localnet{keys: keys, engine: engine, from: Origin{spec: spec}, eager: cfg.Compile, change: cfg.schedule(), busy: make(chan struct{}, executions)}
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	r, err := l.load(ctx, spec.code, spec.heapPages())
	if err != nil {
		return nil, err
	}
	l.from.Runtime = r.Version()
	if l.slotMS, err = slotDuration(ctx, r); err != nil {
		return nil, err
	}
	return l, nil
}

// slotDuration asks a runtime how many milliseconds a slot lasts, which does not depend on the state.
func slotDuration(ctx context.Context, r *runtime.Runtime) (uint64, error) {
	out, err := r.Call(ctx, "AuraApi_slot_duration", nil, runtime.NewOverlay(runtime.NewTrieState(trie.New(trie.V1))))
	if err != nil {
		return 0, err
	}
	rd := scale.NewReader(out)
	ms := rd.U64()
	if err := rd.Finish(); err != nil || ms == 0 || ms > 3_600_000 {
		return 0, fmt.Errorf("%w: AuraApi_slot_duration is %x", ErrRuntime, out)
	}
	return ms, nil
}

// load makes a runtime ready, or returns the one that is.
func (l *localnet) load(ctx context.Context, code, heapPages []byte) (*runtime.Runtime, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range l.code {
		same := len(c.code) == len(code) && (&c.code[0] == &code[0] || bytes.Equal(c.code, code))
		if same && bytes.Equal(c.heapPages, heapPages) {
			l.code = append(slices.Delete(l.code, i, i+1), c)
			return c.runtime, nil
		}
	}
	r, err := l.engine.Load(ctx, code, heapPages)
	if err != nil {
		return nil, fmt.Errorf(":code: %w", err)
	}
	if l.eager && l.engine.Interprets() == nil {
		if err := r.Compile(ctx); err != nil {
			r.Close()
			return nil, fmt.Errorf(":code: %w", err)
		}
	}
	l.code = append(l.code, loadedCode{code, heapPages, r})
	if len(l.code) > maxLoaded {
		l.code[0].runtime.Close()
		l.code = l.code[1:]
	}
	return r, nil
}

// runtimeAt returns the runtime that executes the children of a block.
func (l *localnet) runtimeAt(ctx context.Context, at *block) (*runtime.Runtime, error) {
	code, ok := at.state.Get(keyCode)
	if !ok || len(code) == 0 {
		return nil, fmt.Errorf("%w: no :code in the state of block %d", ErrRuntime, at.header.Number)
	}
	pages, _ := at.state.Get(keyHeapPages)
	return l.load(ctx, code, pages)
}

func (l *localnet) genesis(b *block, now uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	r, err := l.load(ctx, l.from.spec.code, l.from.spec.heapPages())
	if err != nil {
		return err
	}
	s, err := l.from.spec.state(ctx, r)
	if err != nil {
		return err
	}
	empty, err := emptyAccount(ctx, r)
	if err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if s, l.from.Replaced, err = takeOver(s, trie.Version(r.Version().State), l.keys, empty, now); err != nil {
		return err
	}
	b.whole, b.state = s, s.Trie()
	h := verify.Header{StateRoot: b.state.Root(), ExtrinsicsRoot: trie.EmptyRoot}
	l.hash = h.Hash()
	return nil
}

func (l *localnet) origin() *Origin { return &l.from }

// drand is what the pulses of the real chain are checked with.
func (l *localnet) drand() drand.Beacon { return drand.Quicknet() }

// build makes a block. If none comes of it with what others have sent, or none that the network could go
// on after, it is made without: what was applied is refused, what was not may wait.
func (l *localnet) build(parent *block, slot uint64, fork int, offered [][]byte) (*block, []outcome, error) {
	b, outcomes, err := l.execute(parent, slot, fork, offered)
	if err == nil || len(offered) == 0 {
		return b, outcomes, err
	}
	for i, o := range outcomes {
		if o.in {
			outcomes[i] = outcome{err: err}
		} else if o.err == nil {
			outcomes[i] = outcome{later: true}
		}
	}
	b, _, err = l.execute(parent, slot, fork, nil)
	return b, outcomes, err
}

// A draft is a block that is being executed.
type draft struct {
	ctx     context.Context
	runtime *runtime.Runtime
	overlay *runtime.Overlay
	body    [][]byte
}

// call executes a method over the draft, whose changes stay.
func (d *draft) call(method string, args []byte) ([]byte, error) {
	return d.runtime.Call(d.ctx, method, args, d.overlay)
}

// execute makes a block as sc-block-builder does: initialize, inherents, extrinsics, finalize. The outcomes
// are there with an error, too.
func (l *localnet) execute(parent *block, slot uint64, fork int, offered [][]byte) (*block, []outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	outcomes := make([]outcome, len(offered))
	r, err := l.runtimeAt(ctx, parent)
	if err != nil {
		return nil, outcomes, err
	}
	d := &draft{ctx: ctx, runtime: r, overlay: runtime.NewOverlay(parent.whole)}
	h := &verify.Header{ParentHash: parent.hash, Number: parent.header.Number + 1, Digest: []verify.DigestItem{
		{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: scale.AppendU64(nil, slot)},
	}}
	mode, err := d.call("Core_initialize_block", h.Encode())
	if err != nil {
		return nil, outcomes, err
	}
	// Timestamp.set takes any time of the slot, and wants half a slot between two.
	now := slot * l.slotMS
	if fork != 0 {
		now += 1 + uint64(fork)%max(l.slotMS/2, 1)
	}
	if err := d.inherents(now, slot); err != nil {
		return nil, outcomes, err
	}
	begin := time.Now()
	for i, x := range offered {
		if len(mode) == 1 && mode[0] != 0 || time.Since(begin) > fillTime { // OnlyInherents, while a migration runs
			outcomes[i] = outcome{later: true}
			continue
		}
		if outcomes[i], err = d.apply(x); err != nil {
			return nil, outcomes, err
		}
	}
	if l.change.due(h.Number) {
		if err := l.changeSet(d, h.Number, parent.set+1); err != nil {
			return nil, outcomes, fmt.Errorf("change to set %d: %w", parent.set+1, err)
		}
	}
	out, err := d.call("BlockBuilder_finalize_block", nil)
	if err != nil {
		return nil, outcomes, err
	}
	b := &block{parent: parent, slot: slot, body: d.body, aura: parent.aura, set: parent.set}
	if b.header, err = verify.DecodeHeader(out); err != nil {
		return nil, outcomes, fmt.Errorf("BlockBuilder_finalize_block: %w", err)
	}
	b.whole = parent.whole.Apply(trie.Version(r.Version().State), d.overlay.Changes())
	b.state = b.whole.Trie()
	if err := l.check(b, h); err != nil {
		return nil, outcomes, err
	}
	return b, outcomes, l.inherit(ctx, b)
}

// check compares the header that the runtime has made with what it was made from.
func (l *localnet) check(b *block, begun *verify.Header) error {
	h := b.header
	switch {
	case h.ParentHash != begun.ParentHash || h.Number != begun.Number:
		return fmt.Errorf("%w: header of block %d on %s", ErrRuntime, h.Number, h.ParentHash.Short())
	case h.StateRoot != b.state.Root():
		return fmt.Errorf("%w: state root %v in the header, the state has %v", ErrRuntime, h.StateRoot, b.state.Root())
	case h.ExtrinsicsRoot != trie.OrderedRoot(b.body):
		return fmt.Errorf("%w: extrinsics root %v in the header, the body has %v", ErrRuntime, h.ExtrinsicsRoot, trie.OrderedRoot(b.body))
	}
	if slot, err := aura.Slot(h); err != nil || slot != b.slot {
		return fmt.Errorf("%w: header has slot %d: %v", ErrRuntime, slot, err)
	}
	return nil
}

// inherit sees who makes and finalizes the children of b, and what executes them. That must be keys of this
// network: the lists change to the next of the keyring, or not at all.
func (l *localnet) inherit(ctx context.Context, b *block) error {
	set := l.keys.grandpaSet(b.set)
	next, err := grandpa.Advance(set, b.header)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if next.ID != set.ID {
		if want := l.keys.grandpaSet(next.ID); !next.Equal(&want) {
			return fmt.Errorf("%w: it announces GRANDPA authorities whose keys are not here", ErrUnfit)
		}
		b.set, b.change = next.ID, true
	}
	list, _ := b.state.Get(verify.StorageKey("Aura", "Authorities"))
	if !bytes.Equal(list, aura.AppendAuthorities(nil, l.keys.auraSet(b.aura))) {
		b.aura++
		if !bytes.Equal(list, aura.AppendAuthorities(nil, l.keys.auraSet(b.aura))) {
			return fmt.Errorf("%w: it has Aura authorities whose keys are not here", ErrUnfit)
		}
	}
	if !b.header.RuntimeUpdated() {
		return nil
	}
	r, err := l.runtimeAt(ctx, b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if ms, err := slotDuration(ctx, r); err != nil || ms != l.slotMS {
		return fmt.Errorf("%w: the new runtime has slots of %d ms, not %d: %v", ErrUnfit, ms, l.slotMS, err)
	}
	return nil
}

// inherents has the runtime make the extrinsics that every block begins with, from what it is told: the
// time, the slot, and that there is no key for shielded extrinsics. A runtime leaves alone what it does not
// know (sp-inherents).
func (d *draft) inherents(now, slot uint64) error {
	data := scale.AppendCompact(nil, 3)
	for _, x := range []struct {
		id    string
		value []byte
	}{{"auraslot", u64(slot)}, {"shieldpk", []byte{0}}, {"timstap0", u64(now)}} {
		data = scale.AppendBlob(append(data, x.id...), x.value)
	}
	// As every method of a BlockBuilder but apply it is not to change anything.
	if err := d.overlay.Begin(); err != nil {
		return err
	}
	out, err := d.call("BlockBuilder_inherent_extrinsics", data)
	if rerr := d.overlay.Rollback(); err == nil {
		err = rerr
	}
	if err != nil {
		return err
	}
	list, err := extrinsics(out)
	if err != nil {
		return fmt.Errorf("BlockBuilder_inherent_extrinsics: %w", err)
	}
	for i, x := range list {
		o, err := d.apply(x)
		if err == nil {
			err = o.err
		}
		if err != nil || !o.in {
			return fmt.Errorf("inherent %d: %w", i, err)
		}
	}
	return nil
}

// extrinsics splits a list of extrinsics, each with its length in front.
func extrinsics(b []byte) ([][]byte, error) {
	r := scale.NewReader(b)
	out := make([][]byte, r.Count(1, 1024))
	for i := range out {
		begin := r.Offset()
		r.Blob(-1)
		out[i] = b[begin:r.Offset()]
	}
	return out, r.Finish()
}

// apply executes an extrinsic. One that is invalid, or that the runtime traps on, leaves nothing behind. An
// error means that the block cannot be made.
func (d *draft) apply(x []byte) (o outcome, err error) {
	if err := d.overlay.Begin(); err != nil {
		return o, err
	}
	out, err := d.call("BlockBuilder_apply_extrinsic", x)
	if err != nil {
		if d.ctx.Err() != nil {
			return o, err
		}
		o.err = fmt.Errorf("%w: %w", ErrInvalid, err)
		return o, d.overlay.Rollback()
	}
	dispatch, validity, err := readApplied(out)
	if err != nil {
		return o, fmt.Errorf("BlockBuilder_apply_extrinsic: %w", err)
	}
	if validity != nil {
		o.later, o.err = validity.passes(), validity
		return o, d.overlay.Rollback()
	}
	d.body = append(d.body, x)
	return outcome{in: true, index: len(d.body) - 1, err: dispatch}, d.overlay.Commit()
}

// admit asks the runtime whether an extrinsic is good for a pool.
func (l *localnet) admit(at *block, extrinsic []byte) error {
	if list, err := extrinsics(append([]byte{4}, extrinsic...)); err != nil || len(list) != 1 {
		return fmt.Errorf("%w: its length does not stand in front", ErrInvalid)
	}
	ctx, cancel := context.WithTimeout(context.Background(), admitTime)
	defer cancel()
	const external = 2 // TransactionSource
	args := append(append([]byte{external}, extrinsic...), at.hash[:]...)
	out, _, err := l.run(ctx, at, "TaggedTransactionQueue_validate_transaction", args)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(out) > 0 && out[0] == 0 {
		return nil
	}
	validity, err := readValidity(scale.NewReader(out[min(1, len(out)):]))
	if err != nil {
		return fmt.Errorf("TaggedTransactionQueue_validate_transaction: %w", err)
	}
	return validity
}

func (l *localnet) call(ctx context.Context, at *block, method string, args []byte) ([]byte, [][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return l.run(ctx, at, method, args)
}

// run executes a method over the state of a block and forgets its changes.
func (l *localnet) run(ctx context.Context, at *block, method string, args []byte) (answer []byte, nodes [][]byte, err error) {
	select {
	case l.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-l.busy }()
	r, err := l.runtimeAt(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	s := &recorder{state: at.whole}
	answer, err = r.Call(ctx, method, args, runtime.NewOverlay(s))
	if err != nil {
		return nil, nil, err
	}
	nodes = s.proof()
	size := 0
	for _, n := range nodes {
		size += len(n)
	}
	if size > maxProof {
		return nil, nil, fmt.Errorf("%s: proof of %d bytes, at most %d", method, size, maxProof)
	}
	return answer, nodes, nil
}

// A recorder is a state that remembers what was read of it, as Substrate's proving backend does, but for
// child tries, which it does not prove.
type recorder struct {
	state *runtime.TrieState
	keys  map[string]bool // read, there or not
	next  map[string]bool // the key after which was asked for
}

func (s *recorder) Get(key []byte) ([]byte, bool, error) {
	if s.keys == nil {
		s.keys = make(map[string]bool)
	}
	s.keys[string(key)] = true
	return s.state.Get(key)
}

func (s *recorder) Next(key []byte) ([]byte, bool, error) {
	if s.next == nil {
		s.next = make(map[string]bool)
	}
	s.next[string(key)] = true
	return s.state.Next(key)
}

// proof returns the nodes that lead to all that was read. `:code` is among them only if the call read it:
// who executes a call has it already.
func (s *recorder) proof() [][]byte {
	var q trie.Query
	for k := range s.keys {
		q.Keys = append(q.Keys, []byte(k))
	}
	for k := range s.next {
		q.Next = append(q.Next, []byte(k))
	}
	return s.state.Trie().ProveQuery(q)
}

// Call executes a method of the runtime API over the state of a block.
func (n *Network) Call(ctx context.Context, block verify.Hash, method string, args []byte) ([]byte, error) {
	at, err := n.at(block)
	if err != nil {
		return nil, err
	}
	out, _, err := n.chain.producer.call(ctx, at, method, args)
	if err != nil {
		return nil, fmt.Errorf("demo network: %w", err)
	}
	return out, nil
}
