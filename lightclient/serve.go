package lightclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// A node that serves is a peer of the chain to other light clients, of any make: it tells them of final
// blocks, answers sync/warp, headers and young bodies on sync/2, and on light/2 reads and calls, with what it
// has or its own peers give it. It executes nothing: what it cannot answer it closes unanswered, as a full
// node does that is busy.
const (
	maxLights     = 8   // light clients served
	maxServeKeys  = 64  // in one read
	maxServeDepth = 200 // blocks below the head that states are read of; full nodes keep 256
	maxServeSets  = 256 // set changes in one answer
	maxServeReads = 2   // at a time, of our own peers
	proofsKept    = 32  // answers kept, each at most maxProofKept
	maxProofKept  = 64 << 10
	bodiesServed  = 32 // newest final blocks whose bodies are; each asked for once, and kept

	// Requests of one peer, on all protocols: at once, and then one in so long.
	serveBurst = 100
	serveEvery = 500 * time.Millisecond
	maxServed  = 256 // peers remembered
)

// errNotServed closes a request without an answer.
var errNotServed = errors.New("not answered")

// server is what a serving node keeps. Guarded by Node.mu.
type server struct {
	lights   map[peer.ID]bool // that accepted our block-announces substream
	requests map[peer.ID]*account
	proofs   map[verify.Hash][]byte // by block and keys
	order    []verify.Hash
	bodies   map[verify.Hash][]byte // answers with the bodies of blocks
	reads    chan struct{}
	hour     time.Time // since when paid is counted
	paid     int       // bytes of answers
}

// account counts a peer's requests down; it fills again with time.
type account struct {
	left float64
	at   time.Time
}

func newServer() *server {
	return &server{lights: make(map[peer.ID]bool), requests: make(map[peer.ID]*account),
		proofs: make(map[verify.Hash][]byte), bodies: make(map[verify.Hash][]byte),
		reads: make(chan struct{}, maxServeReads)}
}

// mayAsk takes one request from a peer's account.
func (s *server) mayAsk(now time.Time, id peer.ID) bool {
	a := s.requests[id]
	if a == nil {
		if len(s.requests) >= maxServed {
			clear(s.requests)
		}
		a = &account{serveBurst, now}
		s.requests[id] = a
	}
	if d := now.Sub(a.at); d > 0 {
		a.left = min(serveBurst, a.left+d.Seconds()/serveEvery.Seconds())
	}
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

func (s *server) keepProof(key verify.Hash, proof []byte) {
	if len(proof) > maxProofKept || s.proofs[key] != nil {
		return
	}
	if len(s.order) >= proofsKept {
		delete(s.proofs, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	s.proofs[key] = proof
	s.order = append(s.order, key)
}

// serve registers the request protocols.
func (n *Node) serve() {
	handle := func(name string, most int, f func(ctx context.Context, st *Standing, body []byte) ([]byte, error)) {
		n.host.HandleRequests(name, most, func(ctx context.Context, from peer.ID, body []byte) ([]byte, error) {
			n.mu.Lock()
			st, may := n.standing, n.serves(from) && n.server.mayAsk(n.cfg.Now(), from)
			n.mu.Unlock()
			if st == nil || !may {
				return nil, errNotServed
			}
			answer, err := f(ctx, st, body)
			n.mu.Lock()
			defer n.mu.Unlock()
			if err == nil && !n.server.pay(n.cfg.Now(), len(answer), n.orders.ServeBytes) {
				return nil, errNotServed
			}
			return answer, err
		})
	}
	handle(n.names.Warp, 32, func(_ context.Context, st *Standing, body []byte) ([]byte, error) { return serveWarp(st, body) })
	handle(n.names.Sync, 1024, n.serveBlocks)
	handle(n.names.Light, 16<<10, n.serveRead)
}

func serveWarp(st *Standing, body []byte) ([]byte, error) {
	from, err := wire.DecodeWarpRequest(body)
	if err != nil {
		return nil, err
	}
	p, ok := st.Above(from, maxServeSets)
	if !ok {
		return nil, errNotServed
	}
	return p.Append(nil), nil
}

// serveBlocks answers with final headers in a row, and with the justification of the head. Headers below
// those in memory, which a client that warped to a set change needs to meet the head, come from our peers.
func (n *Node) serveBlocks(ctx context.Context, st *Standing, body []byte) ([]byte, error) {
	q, err := wire.DecodeBlockRequest(body)
	if err != nil {
		return nil, err
	}
	if q.Fields&wire.FieldBody != 0 {
		return n.relayBody(ctx, st, q)
	}
	i := slices.IndexFunc(st.Recent, func(b FinalBlock) bool {
		if q.Hash != nil {
			return b.Hash == *q.Hash
		}
		return b.Header.Number == q.Number
	})
	if i < 0 && q.Hash != nil { // the trust root, or a set change: alone
		if h := st.Block(*q.Hash); h != nil {
			return wire.AppendBlockResponse(nil, []wire.Block{{Hash: *q.Hash, Header: h.Encode()}}), nil
		}
	}
	most := uint32(wire.MaxBlocks)
	if q.Max > 0 {
		most = min(most, q.Max)
	}
	if i < 0 && q.Hash != nil && q.Fields&wire.FieldHeader != 0 && (q.Descending || most == 1) {
		return n.relayHeaders(ctx, *q.Hash, most)
	}
	if i < 0 {
		return nil, errNotServed
	}
	var out []wire.Block
	for ; i >= 0 && i < len(st.Recent) && len(out) < int(most); i += step(q.Descending) {
		b := st.Recent[i]
		w := wire.Block{Hash: b.Hash}
		if q.Fields&wire.FieldHeader != 0 {
			w.Header = b.Header.Encode()
		}
		if q.Fields&wire.FieldJustification != 0 && b.Hash == st.Head.Hash && st.Proof != nil {
			w.Justifications = []wire.EngineJustification{{Engine: verify.EngineGrandpa, Data: st.Proof.Append(nil)}}
		}
		out = append(out, w)
	}
	return wire.AppendBlockResponse(nil, out), nil
}

// relayHeaders answers with headers that a peer of our own has. That they are a chain down from the block
// asked for is verified before they are passed on; whether it is of the final chain, who asked finds out as
// with any peer.
func (n *Node) relayHeaders(ctx context.Context, hash verify.Hash, most uint32) ([]byte, error) {
	select {
	case n.server.reads <- struct{}{}:
		defer func() { <-n.server.reads }()
	default:
		return nil, errNotServed
	}
	headers, err := n.headersDown(ctx, hash, most)
	if err != nil {
		return wire.AppendBlockResponse(nil, nil), nil
	}
	out := make([]wire.Block, len(headers))
	for i, h := range headers {
		out[i] = wire.Block{Hash: hash, Header: h.Encode()}
		hash = h.ParentHash
	}
	return wire.AppendBlockResponse(nil, out), nil
}

// relayBody answers with the body of a young final block, which a client that sent an extrinsic looks into.
// A full node bans who asks it for the same body a third time, and thereby us for what a client of ours
// does: each is asked for once, whatever comes of it.
func (n *Node) relayBody(ctx context.Context, st *Standing, q *wire.BlockRequest) ([]byte, error) {
	young := st.Recent[max(0, len(st.Recent)-bodiesServed):]
	is := func(hash verify.Hash) int {
		return slices.IndexFunc(young, func(b FinalBlock) bool { return b.Hash == hash })
	}
	if q.Hash == nil || q.Max != 1 || is(*q.Hash) < 0 {
		return nil, errNotServed
	}
	b := young[is(*q.Hash)]
	none := wire.AppendBlockResponse([]byte{}, nil)
	n.mu.Lock()
	answer := n.server.bodies[b.Hash]
	if answer == nil {
		maps.DeleteFunc(n.server.bodies, func(hash verify.Hash, _ []byte) bool { return is(hash) < 0 })
		n.server.bodies[b.Hash] = none
	}
	n.mu.Unlock()
	if answer != nil {
		return answer, nil
	}
	_, body, err := n.fetch(ctx, b.Hash, b.Header.Number, true)
	if err != nil {
		return none, nil
	}
	answer = wire.AppendBlockResponse(nil, []wire.Block{{Hash: b.Hash, Header: b.Header.Encode(), Body: body}})
	if len(answer) <= maxProofKept {
		n.mu.Lock()
		n.server.bodies[b.Hash] = answer
		n.mu.Unlock()
	}
	return answer, nil
}

func step(descending bool) int {
	if descending {
		return -1
	}
	return 1
}

// serveRead answers a read from what was answered before, or asks our own peers: what they send is
// verified before it is passed on.
func (n *Node) serveRead(ctx context.Context, st *Standing, body []byte) ([]byte, error) {
	q, err := wire.DecodeLightRequest(body)
	if err != nil {
		return nil, err
	}
	if q.Call != nil {
		return n.relayCall(ctx, st, q.Call, body)
	}
	r := q.Read
	if len(r.Keys) > maxServeKeys {
		return nil, errNotServed
	}
	h := st.Block(r.Block)
	if h == nil || st.Head.Number-h.Number > maxServeDepth {
		return wire.AppendReadResponse(nil, nil), nil
	}
	name := verify.Blake2b256(body)
	n.mu.Lock()
	proof := n.server.proofs[name]
	n.mu.Unlock()
	if proof == nil {
		select {
		case n.server.reads <- struct{}{}:
			defer func() { <-n.server.reads }()
		default:
			return nil, errNotServed
		}
		got, err := n.readAt(ctx, FinalBlock{h, r.Block}, st.Head.Number-h.Number, r.Keys)
		if err != nil {
			return wire.AppendReadResponse(nil, nil), nil
		}
		proof = trie.AppendProof(nil, got.Proof)
		n.mu.Lock()
		n.server.keepProof(name, proof)
		n.mu.Unlock()
	}
	return wire.AppendReadResponse(nil, proof), nil
}

// relayCall asks a peer of our own what a runtime call reads. Nothing is executed here, so whether the
// proof has all that the call needs shows only to who asked; that each node of it is of that state is
// verified before it is passed on.
func (n *Node) relayCall(ctx context.Context, st *Standing, q *wire.CallRequest, body []byte) ([]byte, error) {
	h := st.Block(q.Block)
	if h == nil || st.Head.Number-h.Number > maxServeDepth {
		return wire.AppendCallResponse(nil, nil), nil
	}
	select {
	case n.server.reads <- struct{}{}:
		defer func() { <-n.server.reads }()
	default:
		return nil, errNotServed
	}
	tried := make(map[peer.ID]bool)
	for range 2 {
		c, lacking := n.reader(tried, st.Head.Number-h.Number)
		if c == nil || lacking {
			break
		}
		tried[c.id] = true
		answer, err := n.request(ctx, c.id, LightRequest, body, requestTimeout)
		if err != nil {
			continue
		}
		proof, err := judgeCall(h.StateRoot, answer)
		if err != nil {
			n.accuse(ctx, c.id, err)
		}
		if proof != nil {
			return wire.AppendCallResponse(nil, proof), nil
		}
	}
	return wire.AppendCallResponse(nil, nil), nil
}

// judgeCall returns the proof of an answer whose nodes are all of the state with that root; nil if there
// is none in it.
func judgeCall(root verify.Hash, answer []byte) (proof []byte, err error) {
	raw, ok, err := wire.DecodeLightResponse(answer)
	if err != nil || !ok {
		return nil, err
	}
	nodes, err := trie.DecodeProof(raw)
	if err == nil {
		_, err = trie.NewProof(root, nodes)
	}
	if err != nil {
		return nil, fmt.Errorf("call proof: %w", err)
	}
	return raw, nil
}

// admit gives a light client that we did not dial a place, and opens our substream of block-announces to
// it: a light client gives up who does not.
func (n *Node) admit(ctx context.Context, id peer.ID, h *wire.Handshake) bool {
	n.mu.Lock()
	full := n.server == nil || n.standing == nil || !n.serves(id) || len(n.server.lights) >= n.mostLights() && !n.server.lights[id]
	if !full {
		n.server.lights[id] = true
	}
	n.mu.Unlock()
	if full || h.Role != wire.RoleLight {
		return false
	}
	n.openBack(ctx, func(ctx context.Context) {
		if _, err := n.announces.Open(ctx, id); err == nil {
			n.tellLight(id)
		}
	})
	return true
}

// admitted reports whether a light client has a place.
func (n *Node) admitted(id peer.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server != nil && n.server.lights[id]
}

func (n *Node) openBack(ctx context.Context, f func(ctx context.Context)) {
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		octx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		f(octx)
	}()
}

func (n *Node) dismiss(id peer.ID) {
	n.mu.Lock()
	if n.server != nil {
		delete(n.server.lights, id)
	}
	n.mu.Unlock()
}

// tellLights tells all light clients of the head.
func (n *Node) tellLights() {
	n.mu.Lock()
	var all []peer.ID
	if n.server != nil {
		for id := range n.server.lights {
			all = append(all, id)
		}
	}
	n.mu.Unlock()
	for _, id := range all {
		n.tellLight(id)
	}
}

// tellLight announces the head to one light client and sends the votes that made it final. One that does
// not take them is told again of the next.
func (n *Node) tellLight(id peer.ID) {
	n.mu.Lock()
	st := n.standing
	n.mu.Unlock()
	if st == nil || st.Head.Header == nil {
		return
	}
	a := wire.Announce{Header: st.Head.Header, Best: true}
	if n.announces.Send(id, a.Append(nil)) != nil || st.Proof == nil || len(st.Signer.Authorities) == 0 {
		return
	}
	n.grandpa.Send(id, wire.AppendNeighbor(nil, wire.Neighbor{Round: st.Proof.Round, SetID: st.Signer.ID, Height: st.Head.Number}))
	n.grandpa.Send(id, wire.AppendCommit(nil, &grandpa.CommitMessage{Round: st.Proof.Round, SetID: st.Signer.ID, Commit: st.Proof.Commit}))
}
