package lightclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// Our own limits on calls.
const (
	callProofs  = 3    // peers that are asked for a proof of a call, before storage is asked for key by key
	maxOnDemand = 4096 // keys asked for one by one
)

// ErrCall: a peer's proof of a call is none.
var ErrCall = errors.New("no peer gave a proof of the call")

// A Call is what a runtime API answered in the state of a finalized block, executed here by the chain's own code
// on proven storage.
type Call struct {
	Block    FinalBlock
	Method   string
	Input    []byte // SCALE, as Output
	Output   []byte
	Code     verify.Hash
	Version  runtime.Version
	Compiled bool     // executed as machine code, not interpreted
	Proof    [][]byte // minimal: the nodes that the execution read, and the node of :code
	Peers    int      // that gave a proof of the call
	OnDemand int      // keys that were asked for one by one, because those proofs did not have them
}

// Call executes a method of the runtime in the state of a finalized block, the head if number is nil, with its
// SCALE-encoded arguments. A peer's proof of what such a call reads is taken first; what it lacks is read key by
// key. A PrunedError if no peer has that state; ErrNoRuntime if the chain has no runtime that can be executed;
// errors of package runtime for how a call can end.
func (n *Node) Call(ctx context.Context, method string, input []byte, number *uint32) (*Call, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	s, c, err := l.call(method, input, number)
	if err != nil {
		return nil, err
	}
	c.Proof, err = s.minimal()
	return c, err
}

func (l *look) call(method string, input []byte, number *uint32) (*demand, *Call, error) {
	at, err := l.blockAt(number)
	if err != nil {
		return nil, nil, err
	}
	return l.callIn(at, method, input)
}

func (l *look) callIn(at FinalBlock, method string, input []byte) (*demand, *Call, error) {
	r, err := l.runtimeAt(at)
	if err != nil {
		return nil, nil, err
	}
	s := l.demand(at)
	if !ofCode(method) {
		s.offer(method, input)
	}
	c := &Call{Block: at, Method: method, Input: input, Code: r.CodeHash(), Version: r.Version(), Compiled: r.Compiled()}
	c.Output, err = r.Call(l.ctx, method, input, runtime.NewOverlay(s))
	c.Peers, c.OnDemand = s.peers, s.asked
	if s.err != nil {
		err = s.err // what the execution made of it says less
	}
	return s, c, err
}

// ofCode reports whether what a method answers follows from the code alone: then no peer is asked for a proof of
// the call. A runtime of which that is not so reads key by key.
func ofCode(method string) bool {
	return method == "Core_version" || strings.HasPrefix(method, "Metadata_")
}

// blockAt returns the block with a number, the head if it is nil.
func (l *look) blockAt(number *uint32) (FinalBlock, error) {
	if number == nil {
		return FinalBlock{l.head.Header, l.head.Hash}, nil
	}
	return l.block(*number)
}

// lookAt is look with the block that is asked about.
func (n *Node) lookAt(ctx context.Context, number *uint32) (l *look, at FinalBlock, err error) {
	if l, err = n.look(ctx); err == nil {
		at, err = l.blockAt(number)
	}
	return l, at, err
}

// A demand is a state that is fetched as it is read. It belongs to one goroutine, as its look.
type demand struct {
	l     *look
	at    FinalBlock
	p     *trie.Proof
	query trie.Query
	seen  map[string]bool
	peers int
	asked int
	err   error
}

func (l *look) demand(at FinalBlock) *demand {
	return &demand{l: l, at: at, seen: make(map[string]bool)}
}

// offer asks peers for proofs of what a call reads. That none gives one is no error: the state is then read as it
// is asked for.
func (s *demand) offer(method string, input []byte) {
	l := s.l
	body := (&wire.CallRequest{Block: s.at.Hash, Method: method, Data: input}).Append(nil)
	if len(body) > wire.MaxRequest {
		return
	}
	tried := make(map[peer.ID]bool)
	for len(tried) < callProofs && s.peers == 0 && l.ctx.Err() == nil {
		c, _ := l.n.reader(tried, l.depth(s.at))
		if c == nil {
			return
		}
		tried[c.id] = true
		answer, err := l.n.request(l.ctx, c.id, LightRequest, body, requestTimeout)
		if err != nil {
			continue
		}
		raw, ok, err := wire.DecodeLightResponse(answer)
		if err == nil && !ok {
			continue // it pruned the state, or the call failed there
		}
		var nodes [][]byte
		if err == nil {
			nodes, err = trie.DecodeProof(raw)
		}
		if err == nil {
			_, err = trie.NewProof(s.at.Header.StateRoot, nodes)
		}
		if err != nil {
			l.n.accuse(l.ctx, c.id, fmt.Errorf("call proof at #%d: %w", s.at.Header.Number, err))
			continue
		}
		if l.add(s.at, nodes) == nil {
			s.peers++
		}
	}
}

// fail keeps the first error, after which nothing is read any more.
func (s *demand) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// fetch proves more keys.
func (s *demand) fetch(keys ...[]byte) error {
	if s.asked += len(keys); s.asked > maxOnDemand {
		return s.fail(fmt.Errorf("%w: a call that reads more than %d keys beyond its proof", ErrTooMuch, maxOnDemand))
	}
	s.l.note(fmt.Sprintf("%d keys beside the call proof", s.asked))
	s.p = nil
	if err := s.l.extend(s.at, keys); err != nil {
		return s.fail(err)
	}
	return nil
}

func (s *demand) proof() (*trie.Proof, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.p == nil {
		p, err := s.l.proof(s.at)
		if err != nil {
			return nil, s.fail(err)
		}
		s.p = p
	}
	return s.p, nil
}

// Get implements runtime.State.
func (s *demand) Get(key []byte) ([]byte, bool, error) {
	if len(key) == 0 {
		return nil, false, nil // which no state of a chain has, and no peer can be asked for
	}
	if k := "g" + string(key); !s.seen[k] {
		s.seen[k] = true
		s.query.Keys = append(s.query.Keys, bytes.Clone(key))
	}
	for range 2 {
		p, err := s.proof()
		if err != nil {
			return nil, false, err
		}
		value, outcome, err := p.Get(key)
		switch {
		case err != nil:
			return nil, false, s.fail(err)
		case outcome != trie.Incomplete:
			return value, outcome == trie.Present, nil
		}
		if err := s.fetch(key); err != nil {
			return nil, false, err
		}
	}
	return nil, false, s.fail(fmt.Errorf("%w: key 0x%x", ErrIncomplete, key))
}

// Next implements runtime.State. The key after one lies at most so many nodes down as a key has nibbles.
func (s *demand) Next(key []byte) ([]byte, bool, error) {
	if k := "n" + string(key); !s.seen[k] {
		s.seen[k] = true
		s.query.Next = append(s.query.Next, bytes.Clone(key))
	}
	for range maxRounds {
		p, err := s.proof()
		if err != nil {
			return nil, false, err
		}
		next, outcome, err := p.Next(key)
		switch {
		case err != nil:
			return nil, false, s.fail(err)
		case outcome != trie.Incomplete:
			return next, outcome == trie.Present, nil
		}
		missing, err := p.MissingKeys(nil, key, 1)
		if err != nil {
			return nil, false, s.fail(err)
		}
		if err := s.fetch(missing...); err != nil {
			return nil, false, err
		}
	}
	return nil, false, s.fail(fmt.Errorf("%w: key after 0x%x", ErrIncomplete, key))
}

// minimal returns the nodes that what was read takes, with those that have the hash of the code and the size of
// its heap.
func (s *demand) minimal() ([][]byte, error) {
	p, err := s.l.proof(s.at)
	if err != nil {
		return nil, err
	}
	q := s.query
	q.Keys = append(q.Keys, keyBelowCode(), keyHeapPages())
	return p.MinimalQuery(q)
}

// ProveCall is Call, with a bundle that proves the answer: the chain's code by its hash or, with embed, whole, and
// the storage that it reads.
func (n *Node) ProveCall(ctx context.Context, method string, input []byte, number *uint32, embed bool, o ProveOptions) (*bundle.Bundle, *Call, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	s, c, err := l.call(method, input, number)
	if err != nil {
		return nil, nil, err
	}
	if c.Proof, err = s.minimal(); err != nil {
		return nil, nil, err
	}
	k := n.codes.of(c.Code)
	k.mu.Lock()
	raw, err := l.rawOf(k, c.Block)
	r := k.runtime
	k.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	claim := bundle.CallClaim{Number: c.Block.Header.Number, Method: method, Input: input, Code: c.Code, Output: c.Output}
	d, err := l.draft([]bundle.Claim{claim}, bundle.DraftOptions{
		AssumeRules: o.AssumeRules, Executor: Executor{Engine: n.cfg.Engine, runtime: r}, Codes: [][]byte{raw}, EmbedCode: embed,
	})
	if err != nil {
		return nil, nil, err
	}
	// All that it reads is at hand, and would else be asked for key by key.
	for range 2 {
		err := d.AddProof(claim.Number, c.Proof)
		if err == nil {
			break
		}
		if !errors.Is(err, bundle.ErrNotNeeded) {
			return nil, nil, err
		}
		if err := d.AddHeader(c.Block.Header); err != nil {
			return nil, nil, err
		}
	}
	x, err := l.complete(d, o)
	return x, c, err
}

// An Executor executes what bundles claim of runtime calls. Engine is required.
type Executor struct {
	Engine  *runtime.Engine
	Context context.Context // nil: context.Background()
	runtime *runtime.Runtime
}

// Execute implements bundle.Executor.
func (e Executor) Execute(code []byte, method string, input []byte, s bundle.Storage) ([]byte, error) {
	ctx := e.Context
	if ctx == nil {
		ctx = context.Background()
	}
	pages, _, err := s.Get(keyHeapPages())
	if err != nil {
		return nil, err
	}
	r := e.runtime
	if r == nil || r.CodeHash() != verify.Blake2b256(code) {
		if r, err = e.Engine.Load(ctx, code, pages); err != nil {
			return nil, err
		}
		defer r.Close()
	}
	return r.Call(ctx, method, input, runtime.NewOverlay(s))
}

// A RuntimeStatus is what is proven of the runtime in the state of a block.
type RuntimeStatus struct {
	Block      FinalBlock
	Hash       verify.Hash // of :code
	Size       int         // bytes of :code
	Version    runtime.Version
	Compiled   bool
	Interprets string // why this machine interprets; empty if it can compile
	Metadata   *metadata.Metadata
	Layout     *subtensor.Layout
}

// Runtime returns the runtime in the state of a finalized block, the head if number is nil, with what it says of
// itself. Errors are those of Call.
func (n *Node) Runtime(ctx context.Context, number *uint32) (*RuntimeStatus, error) {
	l, at, err := n.lookAt(ctx, number)
	if err != nil {
		return nil, err
	}
	k, m, err := l.metadataAt(at)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	raw, err := l.rawOf(k, at)
	if err != nil {
		return nil, err
	}
	if err := l.load(k, at); err != nil {
		return nil, err
	}
	s := &RuntimeStatus{Block: at, Hash: k.Hash, Size: len(raw), Version: k.runtime.Version(), Compiled: k.runtime.Compiled(), Metadata: m, Layout: k.layout}
	if why := n.cfg.Engine.Interprets(); why != nil {
		s.Interprets = why.Error()
	}
	return s, nil
}

// Code returns the code with a hash, and the block in whose state it is: the runtime of the head, or of a block.
func (n *Node) Code(ctx context.Context, number *uint32) (code []byte, at FinalBlock, err error) {
	l, at, err := n.lookAt(ctx, number)
	if err != nil {
		return nil, at, err
	}
	k, err := l.code(at)
	if err != nil {
		return nil, at, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	code, err = l.rawOf(k, at)
	return code, at, err
}

// RawMetadata is Metadata as the runtime gives it (RuntimeMetadataPrefixed), with the block in whose state that is.
func (n *Node) RawMetadata(ctx context.Context, number *uint32) (at FinalBlock, raw []byte, err error) {
	l, at, err := n.lookAt(ctx, number)
	if err != nil {
		return at, nil, err
	}
	r, err := l.runtimeAt(at)
	if err != nil {
		return at, nil, err
	}
	raw, err = askMetadata(l.ctx, r)
	return at, raw, err
}

// Metadata returns what the runtime in the state of a finalized block, the head if number is nil, says of itself.
// Errors are those of Call.
func (n *Node) Metadata(ctx context.Context, number *uint32) (*metadata.Metadata, error) {
	l, at, err := n.lookAt(ctx, number)
	if err != nil {
		return nil, err
	}
	_, m, err := l.metadataAt(at)
	return m, err
}

// KnownMetadata is Metadata of what is at hand: nil if no code has been fetched for that state.
func (n *Node) KnownMetadata(ctx context.Context, number *uint32) (*metadata.Metadata, error) {
	if !n.codes.known() {
		return nil, nil
	}
	l, at, err := n.lookAt(ctx, number)
	if err != nil {
		return nil, err
	}
	k, err := l.code(at)
	if errors.Is(err, ErrNoRuntime) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	n.recall(k)
	return k.metadata, nil
}
