package lightclient

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
)

// conn is a peer we dialled.
type conn struct {
	id      peer.ID
	addr    string
	open    bool // its block-announces substream is accepted both ways
	since   time.Time
	best    uint32
	role    byte
	slots   chan struct{} // requests in flight
	pinned  bool
	answers int
	missed  int
	short   int // read proofs that left a key open
	// How deep below the finalized block its states reach: keeps is the deepest it gave a proof of,
	// lacks the least deep it had none of, 0 if it had all.
	keeps, lacks uint32
}

// light reports whether the peer is a light node itself.
func (c *conn) light() bool { return c.open && c.role == wire.RoleLight }

// Light nodes are peers of the chain to one another, and all they tell is what they were told: as a
// neighbour such a peer gives the same for less. So a node leaves them, once enough full ones are open and
// lightStay has shown gossip who they are, and dials them only when as long has brought no full ones.
const (
	enoughFull = 2
	lightStay  = 15 * time.Second
)

// enoughKnown contacts are as many as a node needs that wants few peers: it asks for more when it lacks peers.
const enoughKnown = 16

// thrifty reports whether the node wants no more peers than are enough. If it serves nobody besides, it is one
// that sleeps, and shakes hands with each whenever it wakes up: then none is dialled only to learn what it is.
func (n *Node) thrifty() bool { return n.orders.Peers <= enoughFull }

// stepPeers dials towards the wanted number of peers and asks for more addresses when short.
func (n *Node) stepPeers(ctx context.Context, now time.Time) {
	n.mu.Lock()
	connected := make(map[peer.ID]string, len(n.conns))
	full, light := 0, 0
	for id, c := range n.conns {
		connected[id] = c.addr
		switch {
		case c.light():
			light++
		case c.open:
			full++
		}
	}
	n.mu.Unlock()
	if full >= enoughFull || n.orders.Closed {
		n.shortAt = time.Time{}
	} else if n.shortAt.IsZero() {
		n.shortAt = now
	}
	// Full ones are given time to open, as after a sleep.
	want, lights := n.wanted()-len(connected), full < enoughFull && now.Sub(n.shortAt) >= lightStay
	if full < enoughFull && light > 0 && want <= 0 { // they keep nobody out
		want, lights = enoughFull-(len(connected)-light), false
	}
	if most := min(want, 4-n.dialling); most > 0 {
		known := func(c *Contact) bool { return c.Light }
		var list []*Contact
		switch {
		case lights:
			list = n.book.Candidates(now, most, connected, nil)
		case n.thrifty() && n.orders.Serve == ServeNone:
			if list = n.book.Candidates(now, most, connected, (*Contact).doubtful); len(list) > 0 || len(connected) > 0 {
				break
			}
			fallthrough // there are no others
		default:
			list = n.book.Candidates(now, most, connected, known)
		}
		for _, c := range list {
			n.dial(ctx, now, c)
		}
	}
	if open := full + light; open > 0 && !n.kadBusy && !now.Before(n.kadNext) {
		if n.thrifty() && open >= n.wanted() && n.book.Len() >= enoughKnown {
			n.kadNext = now.Add(time.Hour)
		} else {
			n.discover(ctx, now, open)
		}
	}
}

func (n *Node) dial(ctx context.Context, now time.Time, c *Contact) {
	info := peer.AddrInfo{ID: c.ID}
	for _, a := range c.Addrs {
		if m, err := ma.NewMultiaddr(a); err == nil {
			info.Addrs = append(info.Addrs, m)
		}
	}
	n.book.Dialling(c.ID, now)
	n.mu.Lock()
	n.conns[c.ID] = &conn{id: c.ID, addr: c.Addrs[0], slots: make(chan struct{}, MaxInFlight), pinned: c.pinned()}
	n.mu.Unlock()
	n.dialling++
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		d := dialled{id: info.ID}
		dctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := n.host.Connect(dctx, info); err != nil {
			d.err = err
			if _, reason, ok := strings.Cut(err.Error(), p2p.ErrUnreachable.Error()+": "); ok {
				d.err = errors.New(reason) // it names the address; the peer id says nothing to a reader
			}
		} else if hs, err := n.announces.Open(dctx, info.ID); err != nil {
			d.err, d.refused = fmt.Errorf("block-announces: %w", err), errors.Is(err, p2p.ErrRefused)
		} else if d.handshake, err = wire.DecodeHandshake(hs); err != nil {
			d.err = fmt.Errorf("block-announces: %w", err)
		}
		select {
		case n.events <- d:
		case <-ctx.Done():
		}
	}()
}

// opened judges a handshake: a peer of another chain is dropped before any request.
func (n *Node) opened(ctx context.Context, now time.Time, d dialled) any {
	if d.err != nil {
		n.book.Failed(d.id, now, d.refused, d.err)
		n.hangUp(d.id)
		return nil
	}
	if n.orders.Closed { // while it was being dialled
		n.hangUp(d.id)
		return nil
	}
	if d.handshake.Genesis != n.cfg.Checkpoint.Genesis {
		n.punish(now, d.id, "another chain: genesis "+d.handshake.Genesis.Short(), banWrongChain)
		return nil
	}
	if !n.announces.Opened(d.id) { // gone again before this was looked at
		n.book.Failed(d.id, now, true, errors.New("closed the slot at once"))
		n.hangUp(d.id)
		return nil
	}
	n.mu.Lock()
	c := n.conns[d.id]
	if c != nil {
		c.open, c.since, c.best, c.role = true, now, d.handshake.BestNumber, d.handshake.Role
	}
	n.mu.Unlock()
	if c == nil { // lost in between
		return nil
	}
	n.book.Worked(d.id, now, c.light())
	n.note("peers", "joined %s, its best #%d", shortID(d.id), d.handshake.BestNumber)
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		octx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		// Refusal of these two is no fault: the slot is what counts.
		n.txs.Open(octx, d.id)
	}()
	return PeerOpened{PeerID(d.id), *d.handshake}
}

// listen opens the grandpa substream to a peer, by which it sends commits, or closes it.
func (n *Node) listen(ctx context.Context, id peer.ID, on bool) {
	if !on {
		n.grandpa.Close(id)
		return
	}
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		octx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var e any = GrandpaOpened{PeerID(id)}
		if _, err := n.grandpa.Open(octx, id); err != nil {
			e = GrandpaRefused{PeerID(id)}
		}
		select {
		case n.events <- e:
		case <-ctx.Done():
		}
	}()
}

// drop forgets a connection; it reports whether the peer was open.
func (n *Node) drop(id peer.ID) bool {
	n.mu.Lock()
	c := n.conns[id]
	if c == nil || !c.open {
		n.mu.Unlock()
		return false // not ours, or still being dialled: the dial's own result decides
	}
	n.mu.Unlock()
	n.hangUp(id)
	n.book.Failed(id, n.cfg.Now(), true, errors.New("left"))
	n.note("peers", "lost %s", shortID(id))
	return true
}

// leave ends what there is of the chain's protocols with peers that are too many; who is a neighbour stays
// one. It returns what Sync has to hear of it.
func (n *Node) leave(now time.Time) (events []any) {
	if fed := n.sync.relieved(); fed != n.relieved {
		n.relieved = fed
		switch {
		case n.orders.Finality != Follow: // the level is another one, and says so
		case !fed:
			n.note("peers", "no neighbour tells of finality any more: up to %d peers of the chain are wanted", n.wanted())
		case n.wanted() == fedPeers:
			n.note("peers", "neighbours tell of finality too: %d peers of the chain are enough", fedPeers)
		}
	}
	for _, id := range n.surplus(now) {
		n.hangUp(id)
		n.mu.Lock()
		served := n.server != nil && n.server.lights[id]
		n.mu.Unlock()
		if !served { // else they are that peer's too
			for _, p := range []*p2p.Notifications{n.announces, n.grandpa, n.txs} {
				p.Close(id)
			}
		}
		n.book.Left(id)
		events = append(events, PeerClosed{PeerID(id)})
	}
	return events
}

func (n *Node) hangUp(id peer.ID) {
	n.mu.Lock()
	delete(n.conns, id)
	n.mu.Unlock()
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		n.host.Disconnect(id)
	}()
}

func (n *Node) punish(now time.Time, id peer.ID, reason string, ban time.Duration) {
	n.mu.Lock()
	known := n.conns[id] != nil
	n.mu.Unlock()
	if ban > 0 {
		n.book.Ban(id, now.Add(ban), reason)
		n.host.Hold(id, false) // who lied is nobody's neighbour
		n.note("peers", "banned %s for %s: %s", shortID(id), ban, reason)
	}
	if known {
		n.hangUp(id)
	}
}

// request sends one request, at most MaxInFlight of them to a peer at a time.
func (n *Node) request(ctx context.Context, id peer.ID, kind RequestKind, body []byte, timeout time.Duration) ([]byte, error) {
	n.mu.Lock()
	c := n.conns[id]
	n.mu.Unlock()
	if c == nil {
		return nil, ErrUnanswered
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ErrUnanswered
	}
	name, most := n.names.Warp, wire.MaxResponse
	switch kind {
	case BlockRequest:
		name = n.names.Sync
	case LightRequest:
		name = n.names.Light
	}
	answer, err := n.host.Request(ctx, id, name, body, most)
	n.mu.Lock()
	if err == nil {
		c.answers++
	} else {
		c.missed++
	}
	n.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	return answer, nil
}

// discover asks one peer for others near a random key, rarely once enough addresses are known.
func (n *Node) discover(ctx context.Context, now time.Time, open int) {
	n.mu.Lock()
	var ids []peer.ID
	for id, c := range n.conns {
		if c.open {
			ids = append(ids, id)
		}
	}
	n.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	id := ids[rand.IntN(len(ids))]
	if n.kadWait == 0 {
		n.kadWait = 2 * time.Second
	}
	n.kadNext = now.Add(n.kadWait)
	n.kadWait = min(2*n.kadWait, 2*time.Minute)
	if open >= n.wanted() {
		n.kadNext = now.Add(time.Hour)
	}
	n.kadBusy = true
	var key [32]byte
	crand.Read(key[:])
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		var f found
		kctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if answer, err := n.host.Request(kctx, id, n.names.Kad, wire.AppendFindNode(nil, key[:]), wire.MaxKad); err == nil {
			if m, err := wire.DecodeKad(answer); err == nil {
				f.peers = addrInfos(m.Closer, n.host.ID())
			}
		}
		select {
		case n.events <- f:
		case <-ctx.Done():
		}
	}()
}

// addrInfos decodes told addresses, dropping what is no peer id or no multiaddr, and ourselves.
func addrInfos(list []wire.KadPeer, self peer.ID) []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, p := range list {
		id, err := peer.IDFromBytes(p.ID)
		if err != nil || id == self {
			continue
		}
		info := peer.AddrInfo{ID: id}
		for _, raw := range p.Addrs {
			m, err := ma.NewMultiaddrBytes(raw)
			if err != nil {
				continue
			}
			if rest, last := ma.SplitLast(m); last != nil && last.Protocol().Code == ma.P_P2P {
				m = rest
			}
			if m != nil {
				info.Addrs = append(info.Addrs, m)
			}
		}
		out = append(out, info)
	}
	return out
}
