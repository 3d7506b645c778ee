package demonet

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// maxBodies is where a server stops adding blocks to an answer; maxWarp the same for fragments.
const (
	maxBodies = 8 << 20
	maxWarp   = 8 << 20
)

// register puts the protocol handlers in place. The caller holds p.mu.
func (p *Peer) register(host *p2p.Host) {
	names := p.net.names
	host.HandleRequests(names.Sync, wire.MaxRequest, p.request("sync/2", 0, p.serveSync))
	host.HandleRequests(names.Light, wire.MaxRequest, p.request("light/2", lightQueue, p.serveLight))
	host.HandleRequests(names.Warp, len(verify.Hash{}), p.request("sync/warp", warpQueue, p.serveWarp))
	host.HandleRequests(names.Kad, wire.MaxKad, p.request("kad", 0, p.serveKad))
	p.listenGossip(host)
}

type handler func(ctx context.Context, from peer.ID, body []byte) ([]byte, error)

// request wraps the handler of a protocol with what is common to all: counting, the queue (0: no
// bound), and the faults that concern every request.
func (p *Peer) request(name string, queue int, f handler) handler {
	return func(ctx context.Context, from peer.ID, body []byte) (answer []byte, err error) {
		defer func() {
			if err != nil {
				p.note(func(s *Stats) { s.Unanswered++ })
			}
		}()
		p.mu.Lock()
		p.stats.Requests[name]++
		p.flying[name]++
		flying, all := p.flying[name], 0
		for _, n := range p.flying {
			all += n
		}
		p.stats.MaxInFlight = max(p.stats.MaxInFlight, all)
		refused := p.isBanned(from) || queue != 0 && flying > queue
		kind, life := p.fault.Kind, p.ctx
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			p.flying[name]--
			p.mu.Unlock()
		}()
		switch {
		case refused, kind == Busy:
			return nil, errBusy
		case kind == Silent:
			select {
			case <-ctx.Done():
			case <-life.Done():
			}
			return nil, errBusy
		case kind == Garbage:
			b := make([]byte, 200)
			rand.Read(b)
			return b, nil
		}
		return f(ctx, from, body)
	}
}

func (p *Peer) serveSync(_ context.Context, from peer.ID, body []byte) ([]byte, error) {
	q, err := wire.DecodeBlockRequest(body)
	if err != nil {
		return nil, err
	}
	if p.repeated(from, body) && q.Fields&wire.FieldBody != 0 {
		p.ban(from)
		return nil, errBusy
	}
	kind := p.kind()
	p.net.mu.RLock()
	defer p.net.mu.RUnlock()
	c := p.net.chain
	best, final := p.view()
	var b *block
	if q.Hash != nil {
		b = c.blocks[*q.Hash]
		if b != nil && b.header.Number > best.header.Number {
			b = nil
		}
	} else if q.Number <= best.header.Number {
		b = c.at(q.Number)
	}
	limit := int(q.Max)
	if limit == 0 || limit > wire.MaxBlocks {
		limit = wire.MaxBlocks
	}
	var blocks []wire.Block
	size := 0
	for b != nil && len(blocks) < limit && size < maxBodies {
		e := wire.Block{Hash: b.hash}
		if q.Fields&wire.FieldHeader != 0 {
			e.Header = b.header.Encode()
		}
		if q.Fields&wire.FieldBody != 0 {
			for _, x := range b.body {
				e.Body = append(e.Body, x)
				size += len(x)
			}
		}
		// Without Justifications a node writes them to a field of old, which nobody here reads.
		if q.Fields&wire.FieldJustification != 0 && q.Justifications && keeps(b) && c.isFinal(b) && b.header.Number <= final {
			if v, ok := c.voteOn(b.header.Number); ok {
				e.Justifications = []wire.EngineJustification{{
					Engine: verify.EngineGrandpa, Data: c.justification(kind, v).Append(nil),
				}}
			}
		}
		blocks = append(blocks, c.distortBlock(kind, b, e))
		switch {
		case q.Descending:
			b = b.parent
		case b.header.Number < best.header.Number && c.at(b.header.Number) == b:
			b = c.at(b.header.Number + 1)
		default:
			b = nil
		}
	}
	if len(blocks) > 0 && q.Fields&(wire.FieldHeader|wire.FieldBody) != 0 {
		p.answered(from, body)
	}
	if kind == LieHeaderSeal {
		c.forgeRun(blocks, q.Descending)
	}
	return wire.AppendBlockResponse(nil, blocks), nil
}

// serveLight proves reads and calls. Where a full node fails to execute a call, because the method is
// not there or traps, it answers without a proof, as for a state that is discarded; that is what every call
// meets on a chain without a runtime.
func (p *Peer) serveLight(ctx context.Context, _ peer.ID, body []byte) ([]byte, error) {
	q, err := wire.DecodeLightRequest(body)
	if err != nil {
		return nil, err
	}
	kind := p.kind()
	if q.Read != nil {
		p.net.mu.RLock()
		defer p.net.mu.RUnlock()
		var proof []byte
		if p.stateOf(q.Read.Block) != nil {
			proof = p.net.chain.readProof(kind, q.Read.Block, q.Read.Keys)
		}
		return wire.AppendReadResponse(nil, proof), nil
	}
	var proof []byte
	p.net.mu.RLock()
	at := p.stateOf(q.Call.Block)
	p.net.mu.RUnlock()
	if at != nil {
		proof = p.net.callProof(ctx, kind, at, q.Call.Method, q.Call.Data)
	}
	return wire.AppendCallResponse(nil, proof), nil
}

// stateOf returns the block of a hash as it stands now if the peer has its state, else nil. The caller
// holds Network.mu.
func (p *Peer) stateOf(hash verify.Hash) *block {
	b := p.net.chain.blocks[hash]
	if b == nil || b.state == nil || !p.Archive() && p.net.chain.old(b) {
		return nil
	}
	now := *b
	return &now
}

// readProof returns the proof of keys in the state of a block, which the caller has seen to be there.
func (c *chain) readProof(kind FaultKind, hash verify.Hash, keys [][]byte) []byte {
	return trie.AppendProof(nil, c.distortRead(kind, hash, keys, c.blocks[hash].state.Prove(keys...)))
}

// callProof returns the proof of a call over the state of a block, nil if it fails.
func (n *Network) callProof(ctx context.Context, kind FaultKind, at *block, method string, args []byte) []byte {
	_, nodes, err := n.chain.producer.call(ctx, at, method, args)
	switch {
	case kind == LieCall:
		nodes = flipNode(nodes)
	case kind == LieCallMissing:
		nodes = nodes[:min(len(nodes), 1)]
	case err != nil:
		n.cfg.Log.Debug("call", "method", method, "block", at.hash.Short(), "err", err)
		return nil
	}
	return trie.AppendProof(nil, nodes)
}

func (p *Peer) serveWarp(_ context.Context, _ peer.ID, body []byte) ([]byte, error) {
	from, err := wire.DecodeWarpRequest(body)
	if err != nil {
		return nil, err
	}
	kind := p.kind()
	p.net.mu.RLock()
	defer p.net.mu.RUnlock()
	_, final := p.view()
	proof, err := p.net.chain.warp(from, final)
	if err != nil {
		return nil, err
	}
	return p.net.chain.distortWarp(kind, proof).Append(nil), nil
}

func (p *Peer) serveKad(_ context.Context, from peer.ID, body []byte) ([]byte, error) {
	m, err := wire.DecodeKad(body)
	if err != nil {
		return nil, err
	}
	if m.Key == nil {
		return nil, fmt.Errorf("kad: %w", wire.ErrMissing)
	}
	if p.kind() == LieKad {
		return wire.AppendKadResponse(nil, p.net.inventPeers(100)), nil
	}
	var closer []wire.KadPeer
	for _, other := range p.net.peers {
		if other == p || other.id == from {
			continue
		}
		info := other.AddrInfo()
		if len(info.Addrs) == 0 {
			continue
		}
		k := wire.KadPeer{ID: []byte(other.id)}
		for _, a := range info.Addrs {
			k.Addrs = append(k.Addrs, a.Bytes())
		}
		closer = append(closer, k)
	}
	return wire.AppendKadResponse(nil, closer), nil
}
