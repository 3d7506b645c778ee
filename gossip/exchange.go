package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// Requests between neighbours, each on a substream of its own: the request, the end of the sender's
// side, the answer, the end.
//
//	/taolight/<genesis>/catchup/1   hash [32] of a block that is final for who asks
//	    -> nothing, if there is nothing newer; else a bundle from that block to the newest that is
//	       final here, by way of each set change between, or the first of these; or, from a node that
//	       has seen two conflicting finalities, the evidence
//	/taolight/<genesis>/transactions/1  Vec<[32]>: ids of the messages of this topic that who asks holds, at most 64
//	    -> Vec<Vec<u8>> of those that are held here besides, at most 64 and 256 KiB: parcels that a block can
//	       still have, and proofs of what became of such
//	/taolight/<genesis>/peers/1     nothing
//	    -> Vec<Vec<u8>> of multiaddrs with their /p2p part, at most 16
//
// Who cannot answer, or was asked too often, resets the substream.
const (
	maxCatchUp   = 2 << 20 // bytes of an answer
	maxFragments = 128     // set changes in one
	maxPeersSize = 8 << 10
	maxMultiaddr = 256

	exchangeTime = 15 * time.Second // for all of it
	// Requests that one peer may make at once, and how long until it may make one more.
	exchangeBurst = 6
	exchangeEvery = 10 * time.Second
	maxServing    = 4 // at a time
)

// ErrAnswer: an answer that is none.
var ErrAnswer = errors.New("not an answer to what was asked")

func catchUpProtocol(genesis verify.Hash) protocol.ID {
	return protocol.ID(prefix(genesis) + "catchup/1")
}
func peersProtocol(genesis verify.Hash) protocol.ID { return protocol.ID(prefix(genesis) + "peers/1") }

// CatchUp returns the bundle that leads from a final block to the last fragment of a proof. from is that
// block with the set that goes on from it.
func CatchUp(genesis verify.Hash, from grandpa.Finalized, proof *grandpa.WarpProof) (*bundle.Bundle, error) {
	if len(proof.Fragments) == 0 {
		return nil, fmt.Errorf("catch-up: %w: no fragments", ErrShape)
	}
	x := &bundle.Bundle{Genesis: genesis, Root: bundle.RootRef{Number: from.Header.Number, Hash: from.Hash, SetID: from.Set.ID}}
	set := from.Set
	for i, f := range proof.Fragments {
		short, err := bundle.NewFragment(f, &set)
		if err != nil {
			return nil, fmt.Errorf("catch-up: fragment %d: %w", i, err)
		}
		if i == len(proof.Fragments)-1 {
			x.Final = &short
		} else {
			x.Fragments = append(x.Fragments, short)
		}
		if set, err = grandpa.Advance(set, f.Header); err != nil {
			return nil, fmt.Errorf("catch-up: fragment %d: %w", i, err)
		}
	}
	x.Claims = []bundle.Claim{bundle.HeaderClaim{Number: x.Final.Header.Number}}
	if err := x.Check(); err != nil {
		return nil, fmt.Errorf("catch-up: %w", err)
	}
	return x, nil
}

// ProofOf verifies a bundle from what a node trusts and returns what it brings above the finalized head,
// as an answer to a warp request would: that is what the light client takes. Claims in the bundle do not
// matter here, only the chain of set changes to its final block.
func ProofOf(x *bundle.Bundle, t *Trust) (*grandpa.WarpProof, error) {
	if x.Final == nil {
		return nil, fmt.Errorf("%w: no block is final in it", ErrShape)
	}
	if x.Final.Header.Number <= t.Head.Number {
		return nil, fmt.Errorf("block %d: %w, %d", x.Final.Header.Number, ErrStale, t.Head.Number)
	}
	r := x.Verify(bundle.Options{Checkpoint: t.Head})
	for i := range r.Lines { // trust, headers and finality; state and claims are other people's business
		switch l := &r.Lines[i]; l.Step {
		case "trust", "headers", "finality", "form":
			if l.Outcome == fact.Failed {
				return nil, fmt.Errorf("%s: %w", l.Step, l.Err)
			}
			if l.Outcome != fact.OK {
				return nil, fmt.Errorf("%s: %w: %w", l.Step, ErrUndecided, l.Err)
			}
		}
	}
	set := t.Head.Start().Set
	p := &grandpa.WarpProof{Finished: true}
	for i := 0; i <= len(x.Fragments); i++ {
		f := x.Final
		if i < len(x.Fragments) {
			f = &x.Fragments[i]
		}
		if f.Header.Number <= t.Head.Number {
			continue
		}
		j, err := f.Justification(&set)
		if err != nil {
			return nil, err
		}
		p.Fragments = append(p.Fragments, grandpa.Fragment{Header: f.Header, Justification: j})
		if set, err = grandpa.Advance(set, f.Header); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// exchange makes one request and returns the answer.
func exchange(ctx context.Context, h host.Host, id peer.ID, p protocol.ID, request []byte, most int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	s, err := h.NewStream(network.WithNoDial(ctx, "contacts are dialled by their book"), id, p)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	if d, ok := ctx.Deadline(); ok {
		s.SetDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	if _, err := s.Write(request); err != nil {
		return nil, err
	}
	if err := s.CloseWrite(); err != nil {
		return nil, err
	}
	return readAll(s, most)
}

// readAll reads to the end; more than most bytes are an error.
func readAll(r io.Reader, most int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("%w: more than %d bytes", ErrSize, most)
	}
	return b, err
}

// askCatchUp asks a neighbour for what is final above our head. All nil: nothing is. Evidence is not
// judged yet.
func askCatchUp(ctx context.Context, h host.Host, id peer.ID, genesis verify.Hash, t *Trust) (proof *grandpa.WarpProof, evidence []byte, err error) {
	b, err := exchange(ctx, h, id, catchUpProtocol(genesis), t.Head.Hash[:], maxCatchUp)
	if err != nil || len(b) == 0 {
		return nil, nil, err
	}
	if errors.Is(bundle.CheckMagic(b), bundle.ErrMagic) {
		return nil, b, nil
	}
	x, err := bundle.Decode(b)
	if err == nil {
		proof, err = ProofOf(x, t)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return proof, nil, nil
}

// askPeers asks a neighbour for addresses of others.
func askPeers(ctx context.Context, h host.Host, id peer.ID, genesis verify.Hash) ([]peer.AddrInfo, error) {
	b, err := exchange(ctx, h, id, peersProtocol(genesis), nil, maxPeersSize)
	if err != nil {
		return nil, err
	}
	return decodePeers(b)
}

func appendPeers(b []byte, addrs []ma.Multiaddr) []byte {
	b = scale.AppendCompact(b, uint64(len(addrs)))
	for _, a := range addrs {
		b = scale.AppendBlob(b, a.Bytes())
	}
	return b
}

// decodePeers decodes told addresses. What is no multiaddr with a peer id is left out.
func decodePeers(b []byte) ([]peer.AddrInfo, error) {
	r := scale.NewReader(b)
	n := r.Count(1, maxTold)
	var out []peer.AddrInfo
	for range n {
		raw := r.Blob(maxMultiaddr)
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil {
			continue
		}
		if info, err := peer.AddrInfoFromP2pAddr(a); err == nil {
			out = append(out, *info)
		}
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("peers: %w: %w", ErrAnswer, err)
	}
	return out, nil
}

// serve answers one kind of request, within limits. f returns false for what it cannot answer.
func (n *Node) serve(p protocol.ID, request int, f func(id peer.ID, request []byte) ([]byte, bool)) {
	n.cfg.Host.SetStreamHandler(p, func(s network.Stream) {
		id := s.Conn().RemotePeer()
		if !n.mayAsk(id) {
			s.Reset()
			return
		}
		defer n.asked()
		s.SetDeadline(time.Now().Add(exchangeTime))
		b, err := readAll(s, request)
		if err != nil {
			s.Reset()
			return
		}
		answer, ok := f(id, b)
		if !ok {
			s.Reset()
			return
		}
		if _, err := s.Write(answer); err != nil {
			s.Reset()
			return
		}
		s.Close()
	})
}

func (n *Node) mayAsk(id peer.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.serving >= maxServing {
		return false
	}
	c, ok := n.cfg.Host.Network(), true
	p := n.params
	if !p.Serve {
		ok = false
	} else if p.ServeOnly {
		ok = false
		for _, conn := range c.ConnsToPeer(id) {
			if ip, is := ipOf(conn.RemoteMultiaddr()); is && isPrivate(ip) {
				ok = true
			}
		}
	}
	now := n.cfg.Now()
	b := n.requests[id]
	if b == nil {
		if len(n.requests) >= maxBuckets {
			clear(n.requests)
		}
		b = new(bucket)
		n.requests[id] = b
	}
	b.fill(now, 1/exchangeEvery.Seconds(), exchangeBurst)
	if !ok || b.left < 1 {
		return false
	}
	b.left--
	n.serving++
	return true
}

func (n *Node) asked() {
	n.mu.Lock()
	n.serving--
	n.mu.Unlock()
}
