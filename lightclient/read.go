package lightclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// Our own limits on reads. A full node answers at most 16 MiB in 15 s; smaller requests spread over
// peers and lose less to one that leaves.
const (
	maxReadKeys  = 4096
	keysPerBatch = 64
	readAttempts = 6 // peers asked for one batch
	maxShort     = 3 // incomplete proofs of one peer: one that lacks the state gives no proof at all
)

// Errors of reads.
var (
	ErrNoPeers    = errors.New("no peers")
	ErrNotFinal   = errors.New("no finalized block is proven yet")
	ErrIncomplete = errors.New("no peer gave a complete proof")
)

// A Value is what a proof says of one key.
type Value struct {
	Key     []byte
	Outcome trie.Outcome
	Value   []byte // nil unless Present
}

// A Reading is a set of values at one finalized block, with the proof that carries them.
type Reading struct {
	Number uint32
	Hash   verify.Hash
	Root   verify.Hash // the block's state root
	Values []Value     // in the order of the keys asked for
	Proof  [][]byte    // minimal: the nodes that these lookups need and no others
	Peers  int         // how many peers gave nodes
}

// batch is a part of the keys that one request asks for.
type batch struct{ keys [][]byte }

// Read reads keys at the finalized block. The keys are split into batches, asked of several peers at
// once; each answer is verified by itself, what one peer leaves out is asked of another, and the
// proof that results is cut to what the keys need and kept in the store.
//
// It returns ErrIncomplete, with the values that were proven, if no peer gives the rest.
func (n *Node) Read(ctx context.Context, keys ...[]byte) (*Reading, error) {
	at, err := n.head(ctx)
	if err != nil {
		return nil, err
	}
	r, err := n.readAt(ctx, at, 0, keys)
	if err == nil && n.cfg.Store != nil {
		n.call(ctx, func() {
			n.keep(n.cfg.Store.PutProof(r.Number, r.Hash, trie.AppendProof(nil, r.Proof)))
		})
	}
	return r, err
}

// head returns the finalized block; ErrNotFinal until the node has caught up.
func (n *Node) head(ctx context.Context) (at FinalBlock, err error) {
	err = ErrNotFinal
	if !n.call(ctx, func() {
		if c := n.sync.Chain(); c != nil && n.sync.warp.caughtUp {
			f := c.Finalized()
			at, err = FinalBlock{f.Header, f.Hash}, nil
		}
	}) {
		return at, n.ended(ctx)
	}
	return at, err
}

// ended says why call did not run.
func (n *Node) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.New("node has ended")
}

// readAt reads keys in the state of a block that is depth blocks below the finalized one.
func (n *Node) readAt(ctx context.Context, at FinalBlock, depth uint32, keys [][]byte) (*Reading, error) {
	if len(keys) == 0 || len(keys) > maxReadKeys {
		return nil, fmt.Errorf("read of %d keys, at most %d", len(keys), maxReadKeys)
	}
	r := &Reading{Number: at.Header.Number, Hash: at.Hash, Root: at.Header.StateRoot}
	all, peers, failed := n.gather(ctx, at, depth, keys, func(int) {})
	r.Peers = peers
	if len(all) == 0 && failed != nil {
		return nil, failed
	}
	proof, err := trie.NewProof(r.Root, all)
	if err != nil {
		return nil, err
	}
	answers, err := proof.GetAll(keys)
	if err != nil {
		return nil, err
	}
	for i, a := range answers {
		r.Values = append(r.Values, Value{keys[i], a.Outcome, bytes.Clone(a.Value)})
		if a.Outcome == trie.Incomplete && failed == nil {
			failed = ErrIncomplete
		}
	}
	if failed != nil {
		return r, failed
	}
	if r.Proof, err = proof.Minimal(keys...); err != nil {
		return nil, err
	}
	return r, nil
}

// gather fetches the nodes that the keys need from several peers at once, each node once, and tells how many
// keys have been asked for as answers come. With an error, the nodes are what was had.
func (n *Node) gather(ctx context.Context, at FinalBlock, depth uint32, keys [][]byte, told func(done int)) (all [][]byte, peers int, failed error) {
	var batches []batch
	for rest := keys; len(rest) > 0; {
		k := min(len(rest), keysPerBatch)
		batches = append(batches, batch{rest[:k]})
		rest = rest[k:]
	}
	type result struct {
		nodes [][]byte
		keys  int
		peers int
		err   error
	}
	asked := 0
	results := make(chan result)
	running := 0
	seen := make(map[verify.Hash]bool)
	for len(batches) > 0 || running > 0 {
		for len(batches) > 0 && running < 4 {
			b := batches[0]
			batches = batches[1:]
			running++
			go func() {
				nodes, peers, err := n.readBatch(ctx, at, depth, b)
				results <- result{nodes, len(b.keys), peers, err}
			}()
		}
		res := <-results
		running--
		asked += res.keys
		told(asked)
		peers += res.peers
		if res.err != nil {
			failed = res.err
			if errors.Is(failed, ErrPruned) {
				batches = nil // every peer was asked: it is the same for the rest
			}
		}
		for _, node := range res.nodes {
			if h := verify.Blake2b256(node); !seen[h] {
				seen[h] = true
				all = append(all, node)
			}
		}
	}
	return all, peers, failed
}

// readBatch asks peers one after another for what is still missing of a batch: a few at the head,
// where any honest peer will do, and all of them for a block whose state most have pruned.
func (n *Node) readBatch(ctx context.Context, at FinalBlock, depth uint32, b batch) (nodes [][]byte, peers int, err error) {
	missing := b.keys
	tried := make(map[peer.ID]bool)
	lost := &PrunedError{Number: at.Header.Number}
	err = ErrNoPeers
	for depth >= deep || len(tried) < readAttempts {
		c, lacking := n.reader(tried, depth)
		if c == nil {
			break
		}
		tried[c.id] = true
		lost.Asked++
		if lacking {
			lost.None++ // it said so before
			continue
		}
		body := (&wire.ReadRequest{Block: at.Hash, Keys: missing}).Append(nil)
		answer, rerr := n.request(ctx, c.id, LightRequest, body, requestTimeout)
		if rerr != nil {
			err = fmt.Errorf("%w: %s: %w", ErrIncomplete, shortID(c.id), &droppedError{rerr})
			if ctx.Err() != nil {
				return nodes, peers, err
			}
			lost.Silent++
			continue
		}
		got, left, none, rerr := judgeRead(at.Header.StateRoot, answer, missing)
		if rerr != nil {
			n.accuse(ctx, c.id, fmt.Errorf("read proof at #%d: %w", at.Header.Number, rerr))
			err = fmt.Errorf("%w: %s: %w", ErrIncomplete, shortID(c.id), rerr)
			lost.Wrong++
			continue
		}
		n.mark(c, depth, none)
		if none {
			lost.None++
		}
		if len(left) < len(missing) {
			nodes = append(nodes, got...)
			peers++
		}
		if len(left) > 0 && len(got) > 0 && n.gaveShort(c) {
			n.accuse(ctx, c.id, fmt.Errorf("%d read proofs that decide nothing", maxShort))
		}
		if missing = left; len(missing) == 0 {
			return nodes, peers, nil
		}
		err = fmt.Errorf("%w: %d of %d keys, %d peers asked", ErrIncomplete, len(missing), len(b.keys), len(tried))
	}
	if depth >= deep && lost.None > 0 {
		err = lost
	}
	return nodes, peers, err
}

// A droppedError is a request that a peer did not answer: it may be gone.
type droppedError struct{ err error }

func (e *droppedError) Error() string { return e.err.Error() }
func (e *droppedError) Unwrap() error { return e.err }

// How long a read waits for a peer when it has lost the last, and how often it looks.
const (
	peerWait = refusedBackoff*3/2 + 10*time.Second // until one that left is dialled again, and shakes hands
	peerPoll = 100 * time.Millisecond
)

// waitPeer waits until a peer is open; false if none is in time.
func (n *Node) waitPeer(ctx context.Context) bool {
	deadline := time.After(peerWait)
	tick := time.NewTicker(peerPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c, _ := n.reader(nil, 0); c != nil {
				return true
			}
		case <-deadline:
			return false
		case <-ctx.Done():
			return false
		case <-n.done:
			return false
		}
	}
}

// lacking reports whether the peer gave no proof at this depth or above. What it does not have now it
// will not have later.
func (c *conn) lacking(depth uint32) bool { return c.lacks > 0 && depth >= c.lacks }

// mark remembers how deep a peer's states reach. A block near the head may only not have reached it
// yet, which says nothing.
func (n *Node) mark(c *conn, depth uint32, none bool) {
	if depth < deep {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !none:
		c.keeps = max(c.keeps, depth)
		if c.lacking(depth) {
			c.lacks = 0
		}
	case c.lacks == 0 || depth < c.lacks:
		c.lacks = depth
	}
}

// gaveShort counts an incomplete proof and reports whether it was one too many.
func (n *Node) gaveShort(c *conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.short++
	return c.short == maxShort
}

// judgeRead verifies an answer and returns its nodes and the keys that it leaves open. none says that
// there is no proof in it: the peer does not have the state of that block.
func judgeRead(root verify.Hash, answer []byte, keys [][]byte) (nodes, left [][]byte, none bool, err error) {
	raw, ok, err := wire.DecodeLightResponse(answer)
	if err != nil || !ok {
		return nil, keys, err == nil, err
	}
	if nodes, err = trie.DecodeProof(raw); err != nil {
		return nil, nil, false, err
	}
	proof, err := trie.NewProof(root, nodes)
	if err != nil {
		return nil, nil, false, err
	}
	answers, err := proof.GetAll(keys)
	if err != nil {
		return nil, nil, false, err
	}
	for i, a := range answers {
		if a.Outcome == trie.Incomplete {
			left = append(left, keys[i])
		}
	}
	return nodes, left, false, nil
}

// reader picks an open peer that was not tried: first one that is known to have states of this depth,
// last one that is known to have none, then the one with the fewest requests in flight and the most
// answers.
func (n *Node) reader(tried map[peer.ID]bool, depth uint32) (c *conn, lacking bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []*conn
	for _, c := range n.conns {
		if c.open && !tried[c.id] {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil, false
	}
	rank := func(c *conn) int {
		switch {
		case depth < deep:
		case c.lacking(depth):
			return 2
		case c.keeps < depth:
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b *conn) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if d := len(a.slots) - len(b.slots); d != 0 {
			return d
		}
		return (b.answers - b.missed) - (a.answers - a.missed)
	})
	return list[0], depth >= deep && list[0].lacking(depth)
}

// accuse tells the loop that a peer's answer was false.
func (n *Node) accuse(ctx context.Context, id peer.ID, err error) {
	select {
	case n.events <- misbehaved{id, err}:
	case <-ctx.Done():
	case <-n.done:
	}
}

// WaitFinal blocks until the node has caught up, that is until a finalized head is proven above which
// no peer asked had anything to prove.
func (n *Node) WaitFinal(ctx context.Context) error {
	select {
	case <-n.ready:
		return nil
	case <-n.done:
		return errors.New("node has ended")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
