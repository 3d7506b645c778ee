package lightclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// What the chain and its nodes keep, and our own limits on looking back.
const (
	// keptStates is how many states a node keeps unless it is an archive (--state-pruning 256).
	keptStates = 256
	// deep is the depth from which a missing proof says that a state is pruned, and not only that the
	// peer is a little behind.
	deep = 64
	// maxHops bounds the steps of bundle.BlockHashCount to a block: three weeks of finney's.
	maxHops = 64
	// maxPast bounds the headers of the past that are kept in memory.
	maxPast = 1024
	// maxRounds and maxWithKeys bound what one With asks for.
	maxRounds   = 24
	maxWithKeys = 4 * maxReadKeys
	// maxSets bounds the set changes kept in memory, as the store does.
	maxSets = 1024
)

// Errors of reads of the past.
var (
	// ErrPruned: no peer that was asked has the state of that block any more; see PrunedError.
	ErrPruned = errors.New("pruned")
	// ErrNotYet: the block is above the finalized one.
	ErrNotYet = errors.New("block is not final yet")
	// ErrTooFar: more steps back than we take.
	ErrTooFar = errors.New("block is too far back")
	// ErrTooMuch: a reading of state that has no end within our limits.
	ErrTooMuch = errors.New("read is too large")
)

// A PrunedError says who was asked for a state that nobody has. It is an ErrPruned.
type PrunedError struct {
	Number uint32 // of the block
	Asked  int    // peers
	None   int    // of those: had no proof, now or when asked before
	Silent int    // of those: did not answer
	Wrong  int    // of those: gave a proof that does not hold, and were banned
}

func (e *PrunedError) Error() string {
	text := fmt.Sprintf("state of #%d is pruned: %d peer%s asked keep%s %d blocks", e.Number, e.Asked, plural(e.Asked), singular(e.Asked), keptStates)
	if e.Silent > 0 {
		text += fmt.Sprintf(", %d did not answer", e.Silent)
	}
	if e.Wrong > 0 {
		text += fmt.Sprintf(", %d gave a wrong proof", e.Wrong)
	}
	return text + "; an archive peer or a bundle is needed"
}

// Is makes e an ErrPruned.
func (e *PrunedError) Is(target error) bool { return target == ErrPruned }

func singular(n int) string {
	if n == 1 {
		return "s"
	}
	return ""
}

// A look is what one operation has proven of the past. The finalized block is fixed at its start, and
// what it fetches of a state it fetches once. It is for one goroutine.
type look struct {
	n        *Node
	ctx      context.Context
	head     grandpa.Finalized
	proofs   map[verify.Hash]*trie.Proof
	recalled map[uint32]FinalBlock // of an epoch that was kept (recallEpoch)
	keys     int                   // asked for so far
	note     func(string)
	layout   *subtensor.Layout // of the state that with reads; nil: that which is built in
}

// maxLookBytes bounds the proofs that one look holds; beyond it they are fetched again.
const maxLookBytes = 32 << 20

func (n *Node) look(ctx context.Context) (*look, error) {
	l := &look{n: n, ctx: ctx, proofs: make(map[verify.Hash]*trie.Proof), recalled: make(map[uint32]FinalBlock), note: func(string) {}}
	err := ErrNotFinal
	if !n.call(ctx, func() {
		if c := n.sync.Chain(); c != nil && n.sync.warp.caughtUp {
			l.head, err = c.Finalized(), nil
		}
	}) {
		return nil, n.ended(ctx)
	}
	return l, err
}

// telling is look, for a question that tells how far it is; nil: nobody.
func (n *Node) telling(ctx context.Context, told func(string)) (*look, error) {
	l, err := n.look(ctx)
	if err == nil && told != nil {
		l.note = told
	}
	return l, err
}

// Block returns the header of a finalized block at or below the finalized head. It is proven by the
// chain of headers that is in memory, or by System.BlockHash in the state of a proven block above it,
// step by step as far back as peers have the states.
func (n *Node) Block(ctx context.Context, number uint32) (FinalBlock, error) {
	l, err := n.look(ctx)
	if err != nil {
		return FinalBlock{}, err
	}
	return l.block(number)
}

// ReadAt reads keys in the state of a finalized block. Peers keep the states of 256 blocks, archive
// peers all: it is a PrunedError if every open peer was asked and none has it.
func (n *Node) ReadAt(ctx context.Context, number uint32, keys ...[]byte) (*Reading, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	at, err := l.block(number)
	if err != nil {
		return nil, err
	}
	return n.readAt(ctx, at, l.depth(at), keys)
}

// With runs f over the state of a finalized block, again and again, until it asks for nothing that is
// not proven. What f returns then is what With returns. f must only read, and read the same keys when
// it sees the same values.
func (n *Node) With(ctx context.Context, number uint32, f func(subtensor.State) error) (FinalBlock, error) {
	l, err := n.look(ctx)
	if err != nil {
		return FinalBlock{}, err
	}
	return l.with(number, f)
}

// WithHead is With at the finalized head.
func (n *Node) WithHead(ctx context.Context, f func(subtensor.State) error) (FinalBlock, error) {
	l, err := n.look(ctx)
	if err != nil {
		return FinalBlock{}, err
	}
	return l.with(l.head.Header.Number, f)
}

// KeysAt returns the keys with a prefix in the state of a finalized block, in ascending order and
// proven to be all of them. ErrTooMuch, with the first ones, if there are more than limit.
func (n *Node) KeysAt(ctx context.Context, number uint32, prefix []byte, limit int) ([][]byte, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	return l.keysAt(number, prefix, limit)
}

// depth is how far a block is below the finalized one; a block above it is as new as that.
func (l *look) depth(at FinalBlock) uint32 {
	return l.head.Header.Number - min(at.Header.Number, l.head.Header.Number)
}

// block proves a header.
func (l *look) block(number uint32) (FinalBlock, error) {
	final := FinalBlock{l.head.Header, l.head.Hash}
	if number == final.Header.Number {
		return final, nil
	}
	if number > final.Header.Number {
		return FinalBlock{}, fmt.Errorf("%w: #%d is above the finalized #%d", ErrNotYet, number, final.Header.Number)
	}
	if b, ok := l.recalled[number]; ok {
		return b, nil
	}
	at, found := final, false
	if !l.n.call(l.ctx, func() { at, found = l.n.anchor(final, number) }) {
		return FinalBlock{}, l.n.ended(l.ctx)
	}
	if found {
		return at, nil
	}
	if (at.Header.Number-number)/bundle.BlockHashCount >= maxHops {
		return FinalBlock{}, fmt.Errorf("%w: #%d is %d blocks below #%d, the nearest that is known", ErrTooFar, number, at.Header.Number-number, at.Header.Number)
	}
	for at.Header.Number > number {
		next, err := l.step(at, max(number, at.Header.Number-min(at.Header.Number, bundle.BlockHashCount)))
		if err != nil {
			return FinalBlock{}, fmt.Errorf("block #%d: %w", number, err)
		}
		at = next
	}
	return at, nil
}

// anchor runs in the loop. It returns the block itself if its header is held, else the best proven
// block above it to go back from: the finalized one if that reaches, else the nearest above.
func (n *Node) anchor(final FinalBlock, number uint32) (at FinalBlock, found bool) {
	if c := n.sync.Chain(); c != nil {
		if b, ok := c.FinalizedAt(number); ok {
			return b, true
		}
	}
	if b, ok := n.past[number]; ok {
		return b, true
	}
	at = final
	nearer := func(b FinalBlock) {
		if b.Header.Number >= number && b.Header.Number < at.Header.Number {
			at = b
		}
	}
	within := final.Header.Number-number <= bundle.BlockHashCount
	for _, f := range n.sets {
		b := FinalBlock{f.Header, f.Justification.Commit.TargetHash}
		if b.Header.Number == number {
			return b, true
		}
		if !within {
			nearer(b)
		}
	}
	if cp := n.cfg.Checkpoint; cp.Header != nil {
		b := FinalBlock{cp.Header, cp.Hash}
		if b.Header.Number == number {
			return b, true
		}
		if !within {
			nearer(b)
		}
	}
	if !within {
		for _, b := range n.past {
			nearer(b)
		}
	}
	return at, false
}

// step proves a block below one that is proven: by its parent hash, or by System.BlockHash in its
// state.
func (l *look) step(at FinalBlock, number uint32) (FinalBlock, error) {
	hash := at.Header.ParentHash
	if number+1 < at.Header.Number {
		r, err := l.n.readAt(l.ctx, at, l.depth(at), [][]byte{subtensor.KeyBlockHash(number)})
		if err != nil {
			return FinalBlock{}, err
		}
		v := r.Values[0]
		if v.Outcome != trie.Present || len(v.Value) != len(hash) {
			return FinalBlock{}, fmt.Errorf("System.BlockHash(%d) at #%d is %v, %d bytes", number, at.Header.Number, v.Outcome, len(v.Value))
		}
		hash = verify.Hash(v.Value)
	}
	b, _, err := l.n.fetch(l.ctx, hash, number, false)
	if err == nil {
		l.n.call(l.ctx, func() {
			if len(l.n.past) >= maxPast {
				clear(l.n.past)
			}
			l.n.past[number] = b
		})
	}
	return b, err
}

// fetch gets the block with a hash that is proven, and its body if wanted, from any peer.
func (n *Node) fetch(ctx context.Context, hash verify.Hash, number uint32, body bool) (b FinalBlock, extrinsics [][]byte, err error) {
	fields := wire.FieldHeader
	if body {
		fields |= wire.FieldBody
	}
	request := (&wire.BlockRequest{Fields: fields, Hash: &hash, Max: 1}).Append(nil)
	tried := make(map[peer.ID]bool)
	err = ErrNoPeers
	for {
		c, _ := n.reader(tried, 0)
		if c == nil {
			return FinalBlock{}, nil, err
		}
		tried[c.id] = true
		answer, rerr := n.request(ctx, c.id, BlockRequest, request, requestTimeout)
		if rerr == nil {
			b, extrinsics, rerr = judgeBlock(hash, number, body, answer)
			if rerr == nil {
				return b, extrinsics, nil
			}
			if !errors.Is(rerr, ErrUnanswered) {
				n.accuse(ctx, c.id, fmt.Errorf("block #%d: %w", number, rerr))
			}
		}
		err = fmt.Errorf("block #%d: %w, %d peer%s asked: %s: %w", number, ErrIncomplete, len(tried), plural(len(tried)), shortID(c.id), rerr)
		if ctx.Err() != nil {
			return FinalBlock{}, nil, err
		}
	}
}

// judgeBlock verifies an answer to a request for the one block with that hash. ErrUnanswered: the
// peer does not have it.
func judgeBlock(hash verify.Hash, number uint32, body bool, answer []byte) (FinalBlock, [][]byte, error) {
	blocks, err := wire.DecodeBlockResponse(answer, 1)
	if err != nil {
		return FinalBlock{}, nil, err
	}
	if len(blocks) == 0 {
		return FinalBlock{}, nil, ErrUnanswered
	}
	h, err := verify.DecodeHeader(blocks[0].Header)
	if err != nil {
		return FinalBlock{}, nil, err
	}
	if h.Hash() != hash || h.Number != number {
		return FinalBlock{}, nil, fmt.Errorf("it is #%d %s, not %s", h.Number, h.Hash().Short(), hash.Short())
	}
	if body && trie.OrderedRoot(blocks[0].Body) != h.ExtrinsicsRoot {
		if len(blocks[0].Body) == 0 {
			return FinalBlock{}, nil, ErrUnanswered
		}
		return FinalBlock{}, nil, errors.New("the body does not have the header's extrinsics root")
	}
	return FinalBlock{h, hash}, blocks[0].Body, nil
}

// body returns the extrinsics of a block, proven by its header.
func (l *look) body(number uint32) ([][]byte, error) {
	at, err := l.block(number)
	if err != nil {
		return nil, err
	}
	_, extrinsics, err := l.n.fetch(l.ctx, at.Hash, number, true)
	return extrinsics, err
}

// extend proves more keys of a block's state.
func (l *look) extend(at FinalBlock, keys [][]byte) error {
	if l.keys += len(keys); l.keys > 16*maxWithKeys {
		return fmt.Errorf("%w: %d keys", ErrTooMuch, l.keys)
	}
	for tries := 0; len(keys) > 0; {
		k := min(len(keys), maxReadKeys)
		began := len(l.proofs) > 0
		nodes, _, err := l.n.gather(l.ctx, at, l.depth(at), keys[:k], l.telling(at, k))
		// What came is kept, even if not all of it did.
		if err := l.add(at, nodes); err != nil {
			return err
		}
		if err == nil {
			keys = keys[k:]
			continue
		}
		var dropped *droppedError
		if tries++; tries > maxDrops || !began && len(nodes) == 0 || !errors.As(err, &dropped) && !errors.Is(err, ErrNoPeers) || !l.n.waitPeer(l.ctx) {
			return err
		}
		if keys, err = l.lacking(at, keys); err != nil {
			return err
		}
	}
	return nil
}

// telling returns what tells how far a read of many keys is, at each quarter of it.
func (l *look) telling(at FinalBlock, all int) func(done int) {
	said := 0
	return func(done int) {
		if quarter := 4 * done / all; all > 4*keysPerBatch && quarter > said && quarter < 4 {
			said = quarter
			l.note(fmt.Sprintf("%d of %d keys of #%d", done, all, at.Header.Number))
		}
	}
}

// maxDrops is how often a read goes on after the last peer was lost in the middle of it.
const maxDrops = 2

// lacking returns the keys that what is known of a block's state does not decide.
func (l *look) lacking(at FinalBlock, keys [][]byte) (left [][]byte, err error) {
	p, err := l.proof(at)
	if err != nil {
		return nil, err
	}
	answers, err := p.GetAll(keys)
	if err != nil {
		return nil, err
	}
	for i, a := range answers {
		if a.Outcome == trie.Incomplete {
			left = append(left, keys[i])
		}
	}
	return left, nil
}

// add joins nodes to what is known of a block's state.
func (l *look) add(at FinalBlock, nodes [][]byte) error {
	p := l.proofs[at.Hash]
	var err error
	if p == nil {
		total := 0
		for _, q := range l.proofs {
			total += q.Size()
		}
		if total > maxLookBytes {
			clear(l.proofs)
		}
		p, err = trie.NewProof(at.Header.StateRoot, nodes)
	} else {
		p, err = p.Extend(nodes)
	}
	if err == nil {
		l.proofs[at.Hash] = p
	}
	return err
}

// proof returns what is known of a block's state.
func (l *look) proof(at FinalBlock) (*trie.Proof, error) {
	if p := l.proofs[at.Hash]; p != nil {
		return p, nil
	}
	return trie.NewProof(at.Header.StateRoot, nil)
}

func (l *look) with(number uint32, f func(subtensor.State) error) (FinalBlock, error) {
	at, err := l.block(number)
	if err != nil {
		return FinalBlock{}, err
	}
	asked := 0
	for range maxRounds {
		p, err := l.proof(at)
		if err != nil {
			return at, err
		}
		s := &provenState{proof: p, seen: make(map[string]bool)}
		var open bool
		l.layout, open = l.n.layoutIn(p)
		err = f(l.layout.Over(s))
		if s.err != nil {
			return at, s.err
		}
		if open {
			s.want(keyBelowCode())
		}
		if len(s.missing) == 0 || err != nil && !errors.Is(err, subtensor.ErrUnproven) {
			return at, err
		}
		if asked += len(s.missing); asked > maxWithKeys {
			return at, fmt.Errorf("%w: %d keys of #%d", ErrTooMuch, asked, number)
		}
		if err := l.extend(at, s.missing); err != nil {
			return at, err
		}
	}
	return at, fmt.Errorf("%w: more than %d rounds of #%d", ErrTooMuch, maxRounds, number)
}

// withBoth is with for two blocks at once.
func (l *look) withBoth(a, b uint32, f func(before, after subtensor.State) error, o StateOptions) (before, after FinalBlock, err error) {
	blocks := [2]FinalBlock{}
	for i, number := range [2]uint32{a, b} {
		if blocks[i], err = l.block(number); err != nil {
			return before, after, err
		}
	}
	before, after = blocks[0], blocks[1]
	asked := 0
	for range maxRounds {
		var states [2]*provenState
		var over [2]subtensor.State
		for i := range states {
			p, err := l.proof(blocks[i])
			if err != nil {
				return before, after, err
			}
			states[i] = &provenState{proof: p, seen: make(map[string]bool)}
			layout, open := l.n.layoutIn(p)
			over[i] = layout.Over(states[i])
			if open {
				states[i].want(keyBelowCode())
			}
		}
		err := f(over[0], over[1])
		missing := 0
		for i := range states {
			if states[i].err != nil {
				return before, after, states[i].err
			}
			missing += len(states[i].missing)
		}
		if missing == 0 || err != nil && !errors.Is(err, subtensor.ErrUnproven) {
			return before, after, err
		}
		if asked += missing; asked > 2*maxWithKeys {
			return before, after, fmt.Errorf("%w: %d keys of #%d and #%d", ErrTooMuch, asked, a, b)
		}
		o.note("%d key%s of #%d and #%d", missing, plural(missing), a, b)
		for i := range states {
			if len(states[i].missing) == 0 {
				continue
			}
			if err := l.extend(blocks[i], states[i].missing); err != nil {
				return before, after, err
			}
		}
	}
	return before, after, fmt.Errorf("%w: more than %d rounds of #%d and #%d", ErrTooMuch, maxRounds, a, b)
}

func (l *look) keysAt(number uint32, prefix []byte, limit int) ([][]byte, error) {
	at, err := l.block(number)
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > maxWithKeys {
		limit = maxWithKeys
	}
	for range 4 * maxRounds {
		p, err := l.proof(at)
		if err != nil {
			return nil, err
		}
		keys, outcome, err := p.Prefix(prefix, nil, limit+1)
		switch {
		case err != nil:
			return nil, err
		case len(keys) > limit:
			return keys[:limit], fmt.Errorf("%w: more than %d keys with that prefix at #%d", ErrTooMuch, limit, number)
		case outcome != trie.Incomplete:
			return keys, nil
		}
		missing, err := p.MissingKeys(prefix, nil, 4*keysPerBatch)
		if err != nil {
			return nil, err
		}
		if err := l.extend(at, missing); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the keys at #%d have no end", ErrTooMuch, number)
}

// A provenState is the part of a state that a proof holds. It records what it was asked for and does
// not know.
type provenState struct {
	proof   *trie.Proof
	missing [][]byte
	seen    map[string]bool
	err     error // a malformed node: no honest state holds one
}

// Load implements subtensor.State.
func (s *provenState) Load(keys ...[]byte) ([][]byte, error) {
	answers, err := s.proof.GetAll(keys)
	if err != nil {
		s.err = err
		return nil, err
	}
	values, short := make([][]byte, len(keys)), false
	for i, a := range answers {
		switch a.Outcome {
		case trie.Present:
			if values[i] = a.Value; values[i] == nil {
				values[i] = []byte{}
			}
		case trie.Incomplete:
			short = true
			s.want(keys[i])
		}
	}
	if short {
		return nil, fmt.Errorf("%w: %d keys", subtensor.ErrUnproven, len(s.missing))
	}
	return values, nil
}

// want adds a key to what is missing.
func (s *provenState) want(key []byte) {
	if k := string(key); !s.seen[k] {
		s.seen[k] = true
		s.missing = append(s.missing, bytes.Clone(key))
	}
}

// rememberSet keeps a set change in memory: bundles carry them, with a store and without.
func (n *Node) rememberSet(f grandpa.Fragment, id uint64) {
	if len(n.sets) < maxSets && id == n.cfg.Checkpoint.Start().Set.ID+uint64(len(n.sets))+1 {
		n.sets = append(n.sets, f)
	}
}
