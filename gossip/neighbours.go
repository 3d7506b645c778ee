package gossip

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/verify"
)

// A neighbour is a connected light node of our chain.
type neighbour struct {
	id      peer.ID
	addr    ma.Multiaddr
	inbound bool
	since   time.Time
	asked   time.Time // for a catch-up
	again   bool      // asked for another once the mesh is there
	told    bool      // asked for addresses, and for what it holds
	late    bool      // asked for that another time, as again
	stayed  bool      // for stayTime
	reach   time.Time // asked to reach a port
}

// stayTime is how long a neighbour that was dialled has to stay for its place not to count as refused: whoever
// has all places taken hangs up once it knows who called.
const stayTime = 30 * time.Second

// identified looks at who has connected: a light node of our chain speaks our catch-up.
func (n *Node) identified(ctx context.Context, id peer.ID) {
	ours, err := n.cfg.Host.Peerstore().SupportsProtocols(id, catchUpProtocol(n.cfg.Genesis))
	if err != nil || len(ours) == 0 {
		return
	}
	conns := n.cfg.Host.Network().ConnsToPeer(id)
	if len(conns) == 0 {
		return
	}
	x := &neighbour{id: id, addr: conns[0].RemoteMultiaddr(), inbound: conns[0].Stat().Direction == network.DirInbound, since: n.cfg.Now()}
	n.mu.Lock()
	if n.neighbours[id] != nil {
		n.mu.Unlock()
		return
	}
	in, on := 0, make(map[peer.ID]ma.Multiaddr)
	for _, o := range n.neighbours {
		on[o.id] = o.addr
		if o.inbound {
			in++
		}
	}
	pinned := n.contacts.pinned(id)
	full := x.inbound && !pinned && (in >= n.params.In || n.contacts.crowded(x.addr, on))
	if !full {
		n.neighbours[id], n.metAt = x, x.since
		// What it says of itself is where it can be dialled again; the port it dialled from is not.
		n.contacts.add(id, n.cfg.Host.Peerstore().Addrs(id), met)
		n.contacts.worked(id, n.cfg.Now())
	}
	first := len(n.neighbours) == 1 && !full
	n.mu.Unlock()
	if full {
		n.cfg.Host.Network().ClosePeer(id)
		return
	}
	n.cfg.Hold(id, true)
	n.note("neighbour %s at %s", shortID(id), x.addr)
	if first {
		n.lonely = false
	}
	n.catchUp(ctx, n.cfg.Now(), id, askAgain)
}

func (n *Node) gone(id peer.ID) {
	n.mu.Lock()
	x := n.neighbours[id]
	delete(n.neighbours, id)
	switch {
	case x == nil || x.inbound || x.stayed:
	case n.params.meshes():
		n.contacts.failed(id, n.cfg.Now(), true)
	default: // it was left, as at this level all are
		n.contacts.stayed(id)
	}
	n.mu.Unlock()
	if x != nil {
		n.cfg.Hold(id, false)
		n.note("neighbour %s left", shortID(id))
	}
}

// drop ends a connection.
func (n *Node) drop(id peer.ID) {
	n.gone(id)
	n.cfg.Host.Network().ClosePeer(id)
}

func (n *Node) dial(ctx context.Context, info peer.AddrInfo) {
	n.dialling++
	go func() {
		dctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		// Addresses that the peer told of itself in earlier times are not for this.
		n.cfg.Host.Peerstore().ClearAddrs(info.ID)
		err := n.cfg.Host.Connect(dctx, info)
		n.emit(ctx, dialled{info.ID, err})
	}()
}

// catchUp asks one neighbour at a time, and the same not sooner than after a while. It reports whether it asks.
func (n *Node) catchUp(ctx context.Context, now time.Time, id peer.ID, again time.Duration) bool {
	t := n.gate.Trust()
	if t == nil || t.Head == nil || n.asking {
		return false
	}
	lag := n.lag(t.Root)
	n.mu.Lock()
	x := n.neighbours[id]
	if x == nil || !x.asked.IsZero() && now.Sub(x.asked) < min(again, lag) {
		n.mu.Unlock()
		return false
	}
	x.asked = now
	n.mu.Unlock()
	n.asking = true
	go func() {
		proof, evidence, err := askCatchUp(ctx, n.cfg.Host, id, n.cfg.Genesis, t)
		if evidence != nil {
			err = n.Take(ctx, Evidence, evidence)
		}
		n.emit(ctx, caughtUp{id, proof, err})
	}()
	return true
}

func (n *Node) askPeers(ctx context.Context, id peer.ID, known int) {
	n.mu.Lock()
	x := n.neighbours[id]
	ask := x != nil && !x.told
	if ask {
		x.told = true
	}
	enough := maxContacts / 2
	if n.level == Survive {
		enough = fewContacts
	}
	n.mu.Unlock()
	if !ask {
		return
	}
	go func() {
		n.askHeld(ctx, id)
		if known >= enough {
			return
		}
		if peers, err := askPeers(ctx, n.cfg.Host, id, n.cfg.Genesis); err == nil {
			n.emit(ctx, toldPeers{peers})
		}
	}()
}

// answerCatchUp answers a neighbour that asks what is final above its head.
func (n *Node) answerCatchUp(_ peer.ID, request []byte) ([]byte, bool) {
	st := n.now()
	if st == nil || st.Above == nil || len(request) != 32 {
		return nil, false
	}
	if st.Evidence != nil {
		return st.Evidence.Append(nil), true
	}
	from, proof, ok := st.Above(verify.Hash(request), maxFragments)
	if !ok {
		return nil, false
	}
	if len(proof.Fragments) == 0 {
		return nil, true
	}
	x, err := CatchUp(n.cfg.Genesis, from, proof)
	if err != nil {
		return nil, false
	}
	b := x.Encode()
	return b, len(b) <= maxCatchUp
}

// answerPeers tells of some contacts.
func (n *Node) answerPeers(id peer.ID, _ []byte) ([]byte, bool) {
	private := n.cfg.Private
	for _, c := range n.cfg.Host.Network().ConnsToPeer(id) {
		if ip, ok := ipOf(c.RemoteMultiaddr()); ok && isPrivate(ip) {
			private = true
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return appendPeers(nil, n.contacts.sample(maxTold, private, id)), true
}
