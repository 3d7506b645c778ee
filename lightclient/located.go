package lightclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// Our own limits on what is kept of states that were read, so that the same is not asked for twice.
const (
	maxKeptStates = 32
	maxKeptBytes  = 4 << 20 // of all of them
	maxReadBytes  = 8 << 20 // of the values of one ReadIn, in which a key may stand many times
)

// ErrUnknownBlock: no peer has a block with that hash. That there is none cannot be proven.
var ErrUnknownBlock = errors.New("unknown block")

// ErrNotOurs: the block with that hash is not in the chain that is final here.
var ErrNotOurs = errors.New("block is not in the finalized chain")

// A Located is a block whose state can be read: a finalized one or, Final being false, one above that is sealed
// and may still be replaced.
type Located struct {
	FinalBlock
	Final bool
}

// Locate finds the block with a hash: among those held, or by its header from a peer, which is then proven to be
// in the finalized chain as Block does it. Errors are ErrUnknownBlock, ErrNotOurs and those of Block.
func (n *Node) Locate(ctx context.Context, hash verify.Hash) (Located, error) {
	h, err := n.Heads(ctx)
	if err != nil {
		return Located{}, err
	}
	is := func(b FinalBlock) bool { return b.Hash == hash }
	for i := len(h.Recent) - 1; i >= 0; i-- {
		if is(h.Recent[i]) {
			return Located{h.Recent[i], true}, nil
		}
	}
	if i := slices.IndexFunc(h.Tree, is); i >= 0 {
		return Located{h.Tree[i], false}, nil
	}
	l, err := n.look(ctx)
	if err != nil {
		return Located{}, err
	}
	var held *FinalBlock
	if !n.call(ctx, func() {
		for _, b := range n.past {
			if is(b) {
				held = &b
				return
			}
		}
		if cp := n.cfg.Checkpoint; cp.Header != nil && cp.Hash == hash {
			held = &FinalBlock{cp.Header, cp.Hash}
		}
	}) {
		return Located{}, n.ended(ctx)
	}
	if held != nil {
		return Located{*held, true}, nil
	}
	header, err := n.headerOf(ctx, hash)
	if err != nil {
		return Located{}, err
	}
	b, err := l.block(header.Number)
	if err != nil {
		return Located{}, err
	}
	if b.Hash != hash {
		return Located{}, fmt.Errorf("%w: #%d there is %s", ErrNotOurs, b.Header.Number, b.Hash)
	}
	return Located{b, true}, nil
}

// headerOf gets the header with a hash, which is all that it proves, from any peer.
func (n *Node) headerOf(ctx context.Context, hash verify.Hash) (*verify.Header, error) {
	headers, err := n.headersDown(ctx, hash, 1)
	if err != nil {
		return nil, err
	}
	return headers[0], nil
}

// headersDown gets the header with a hash and those of its ancestors that come with it, downwards, at most
// so many, from any peer: a chain, whatever it is a chain of.
func (n *Node) headersDown(ctx context.Context, hash verify.Hash, most uint32) ([]*verify.Header, error) {
	request := (&wire.BlockRequest{Fields: wire.FieldHeader, Hash: &hash, Descending: true, Max: most}).Append(nil)
	tried := make(map[peer.ID]bool)
	answered := false
	for len(tried) < readAttempts {
		c, _ := n.reader(tried, 0)
		if c == nil {
			break
		}
		tried[c.id] = true
		answer, err := n.request(ctx, c.id, BlockRequest, request, requestTimeout)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			continue
		}
		blocks, err := wire.DecodeBlockResponse(answer, int(most))
		if err == nil && len(blocks) == 0 {
			answered = true
			continue
		}
		var headers []*verify.Header
		if err == nil {
			headers, err = decodeDown(hash, blocks)
		}
		if err != nil {
			n.accuse(ctx, c.id, fmt.Errorf("block %s: %w", hash.Short(), err))
			continue
		}
		return headers, nil
	}
	if !answered {
		return nil, ErrNoPeers
	}
	return nil, fmt.Errorf("%w: none of %d peers has %s", ErrUnknownBlock, len(tried), hash)
}

// decodeDown decodes the headers of a chain downwards from the one with a hash.
func decodeDown(hash verify.Hash, blocks []wire.Block) ([]*verify.Header, error) {
	headers := make([]*verify.Header, 0, len(blocks))
	for _, b := range blocks {
		h, err := verify.DecodeHeader(b.Header)
		if err != nil {
			return nil, err
		}
		if h.Hash() != hash {
			return nil, fmt.Errorf("%s is in the place of %s", h.Hash(), hash)
		}
		headers, hash = append(headers, h), h.ParentHash
	}
	return headers, nil
}

// PeerID returns the node's own name on the network.
func (n *Node) PeerID(ctx context.Context) (id string, err error) {
	if !n.call(ctx, func() { id = n.host.ID().String() }) {
		err = n.ended(ctx)
	}
	return id, err
}

// proofs keeps what was proven of the states that were read last.
type proofs struct {
	mu   sync.Mutex
	list []*keptProof // the last used one first
}

// A keptProof is what was proven of one state.
type keptProof struct {
	root  verify.Hash
	busy  chan struct{} // holds one token while somebody asks peers about that state
	proof *trie.Proof   // guarded by proofs.mu
}

func (c *proofs) of(root verify.Hash) (*keptProof, *trie.Proof) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.list, func(k *keptProof) bool { return k.root == root })
	if i < 0 {
		p, err := trie.NewProof(root, nil)
		if err != nil {
			panic(err) // an empty list is a proof
		}
		c.list = slices.Insert(c.list, 0, &keptProof{root: root, busy: make(chan struct{}, 1), proof: p})
		c.cut()
		return c.list[0], p
	}
	k := c.list[i]
	if i > 0 {
		copy(c.list[1:i+1], c.list[:i])
		c.list[0] = k
	}
	return k, k.proof
}

// put keeps what somebody has learned of a state, unless another has learned more meanwhile.
func (c *proofs) put(k *keptProof, p *trie.Proof) {
	if p == nil || p.Size() > maxKeptBytes {
		return // whoever asked has it; the next one starts anew
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Size() > k.proof.Size() {
		k.proof = p
	}
	c.cut()
}

// cut forgets the states that were not used for longest.
func (c *proofs) cut() {
	size := 0
	for i, k := range c.list {
		if size += k.proof.Size(); i == maxKeptStates || size > maxKeptBytes && i > 0 {
			clear(c.list[i:])
			c.list = c.list[:i]
			return
		}
	}
}

// in begins a look at the state after one block, with what is known of it already.
func (n *Node) in(ctx context.Context, at Located) (*look, *keptProof, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	k, p := n.proofs.of(at.Header.StateRoot)
	l.proofs[at.Hash] = p
	return l, k, nil
}

// ReadIn reads keys in the state after a block. The values must not be changed. What was proven of that state before is not asked for again, and
// two who ask for the same at once make one request of it.
func (n *Node) ReadIn(ctx context.Context, at Located, keys ...[]byte) ([]Value, error) {
	if len(keys) == 0 || len(keys) > maxReadKeys {
		return nil, fmt.Errorf("read of %d keys, at most %d", len(keys), maxReadKeys)
	}
	k, p := n.proofs.of(at.Header.StateRoot)
	values, missing, err := answers(p, keys)
	if err != nil || len(missing) == 0 {
		return values, err
	}
	busy := k.busy
	select {
	case busy <- struct{}{}:
		defer func() { <-busy }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l, k, err := n.in(ctx, at)
	if err != nil {
		return nil, err
	}
	if _, missing, err = answers(l.proofs[at.Hash], keys); err != nil {
		return nil, err
	}
	err = l.extend(at.FinalBlock, missing)
	p = l.proofs[at.Hash]
	n.proofs.put(k, p)
	if err != nil {
		return nil, err
	}
	if values, missing, err = answers(p, keys); err == nil && len(missing) > 0 {
		err = ErrIncomplete
	}
	return values, err
}

// answers looks keys up, and returns those that are open.
func answers(p *trie.Proof, keys [][]byte) (values []Value, missing [][]byte, err error) {
	list, err := p.GetAll(keys)
	if err != nil {
		return nil, nil, err
	}
	values = make([]Value, len(keys))
	size := 0
	for i, a := range list {
		values[i] = Value{keys[i], a.Outcome, a.Value}
		if size += len(a.Value); size > maxReadBytes {
			return nil, nil, fmt.Errorf("%w: values of more than %d bytes", ErrTooMuch, maxReadBytes)
		}
		if a.Outcome == trie.Incomplete {
			missing = append(missing, keys[i])
		}
	}
	return values, missing, nil
}

// KeysIn returns the keys with a prefix in the state after a block, those above from unless it is nil, in
// ascending order and at most limit. Between them, and after them if there are fewer than limit, there is proven
// to be no other.
func (n *Node) KeysIn(ctx context.Context, at Located, prefix, from []byte, limit int) ([][]byte, error) {
	if limit <= 0 || limit > maxWithKeys {
		return nil, fmt.Errorf("%w: %d keys, at most %d", ErrTooMuch, limit, maxWithKeys)
	}
	l, k, err := n.in(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { n.proofs.put(k, l.proofs[at.Hash]) }()
	for range 4 * maxRounds {
		p := l.proofs[at.Hash]
		keys, outcome, err := p.Prefix(prefix, from, limit)
		if err != nil {
			return nil, err
		}
		if outcome != trie.Incomplete {
			return keys, nil
		}
		missing, err := p.MissingKeys(prefix, from, min(4*keysPerBatch, limit-len(keys)+keysPerBatch/4))
		if err != nil {
			return nil, err
		}
		if err := l.extend(at.FinalBlock, missing); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the keys at #%d have no end", ErrTooMuch, at.Header.Number)
}

// ProofIn returns the nodes that prove the values of keys, or their absence, in the state after a block, and no
// others.
func (n *Node) ProofIn(ctx context.Context, at Located, keys ...[]byte) ([][]byte, error) {
	if _, err := n.ReadIn(ctx, at, keys...); err != nil {
		return nil, err
	}
	_, p := n.proofs.of(at.Header.StateRoot)
	nodes, err := p.Minimal(keys...)
	if errors.Is(err, trie.ErrIncomplete) { // too much to be kept
		l, err := n.look(ctx)
		if err != nil {
			return nil, err
		}
		r, err := n.readAt(ctx, at.FinalBlock, l.depth(at.FinalBlock), keys)
		if err != nil {
			return nil, err
		}
		return r.Proof, nil
	}
	return nodes, err
}

// ClosestIn returns the Merkle value of the highest node at or below key in the trie of the state after a block
// (trie.Proof.ClosestMerkleValue); nil if no key begins with it.
func (n *Node) ClosestIn(ctx context.Context, at Located, key []byte) ([]byte, error) {
	if _, err := n.ReadIn(ctx, at, key); err != nil {
		return nil, err
	}
	_, p := n.proofs.of(at.Header.StateRoot)
	merkle, outcome, err := p.ClosestMerkleValue(key)
	if err == nil && outcome == trie.Incomplete {
		err = ErrIncomplete
	}
	return merkle, err
}

// CallIn is Call in the state after a block, without the proof of it.
func (n *Node) CallIn(ctx context.Context, at Located, method string, input []byte) (*Call, error) {
	l, k, err := n.in(ctx, at)
	if err != nil {
		return nil, err
	}
	_, c, err := l.callIn(at.FinalBlock, method, input)
	n.proofs.put(k, l.proofs[at.Hash])
	return c, err
}

// VersionIn returns what the runtime in the state after a block says of itself, and the hash of its code.
func (n *Node) VersionIn(ctx context.Context, at Located) (runtime.Version, verify.Hash, error) {
	l, k, err := n.in(ctx, at)
	if err != nil {
		return runtime.Version{}, verify.Hash{}, err
	}
	r, err := l.runtimeAt(at.FinalBlock)
	n.proofs.put(k, l.proofs[at.Hash])
	if err != nil {
		return runtime.Version{}, verify.Hash{}, err
	}
	return r.Version(), r.CodeHash(), nil
}

// BodyIn returns the extrinsics of a block, proven by its header.
func (n *Node) BodyIn(ctx context.Context, at Located) ([][]byte, error) {
	_, extrinsics, err := n.fetch(ctx, at.Hash, at.Header.Number, true)
	return extrinsics, err
}
