package demonet

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
)

// listenGossip registers the three notification protocols. The caller holds p.mu.
//
// As in real nodes a client opens block-announces first; grandpa and transactions are refused to
// one that has not. Each substream carries messages one way, so for every one that a client opens
// the peer opens its own back.
func (p *Peer) listenGossip(host *p2p.Host) {
	names := p.net.names
	p.announces = host.Notifications(p2p.NotificationsConfig{
		Protocol: names.BlockAnnounces, MaxHandshake: wire.MaxHandshake, MaxMessage: wire.MaxAnnounce,
		Handshake: p.handshake,
		Accept:    p.acceptAnnounces,
		Message:   func(peer.ID, []byte) {}, // what light nodes announce is not listened to
		Closed:    p.lost, OutboundClosed: func(peer.ID) {},
	})
	p.grandpa = host.Notifications(p2p.NotificationsConfig{
		Protocol: names.Grandpa, MaxHandshake: wire.MaxHandshake, MaxMessage: wire.MaxGrandpa,
		Handshake: func() []byte { return wire.AppendRole(nil, wire.RoleFull) },
		Accept:    p.acceptGrandpa,
		Message:   p.grandpaMessage,
		Closed:    func(peer.ID) {}, OutboundClosed: p.lostGrandpa,
	})
	p.transactions = host.Notifications(p2p.NotificationsConfig{
		Protocol: names.Transactions, MaxHandshake: wire.MaxHandshake, MaxMessage: wire.MaxTransactionsMessage,
		Handshake: func() []byte { return wire.AppendRole(nil, wire.RoleFull) },
		Accept: func(id peer.ID, _ []byte) bool {
			return p.acceptSecond(id, p.openTransactions)
		},
		Message: p.transactionsMessage,
		Closed:  func(peer.ID) {}, OutboundClosed: func(peer.ID) {},
	})
	host.OnConnect(func(connected bool, id peer.ID) {
		if !connected {
			p.lost(id)
		}
	})
}

// handshake is that of block-announces.
func (p *Peer) handshake() []byte {
	p.net.mu.RLock()
	defer p.net.mu.RUnlock()
	best, _ := p.view()
	h := wire.Handshake{
		Role: wire.RoleFull, BestNumber: best.header.Number, BestHash: best.hash,
		Genesis: p.net.chain.canon[0].hash,
	}
	if p.kind() == WrongGenesis {
		h.Genesis = verify.Blake2b256(h.Genesis[:])
	}
	return h.Append(nil)
}

func (p *Peer) acceptAnnounces(id peer.ID, handshake []byte) bool {
	h, err := wire.DecodeHandshake(handshake)
	genesis := p.net.Genesis()
	if p.mute() {
		return false
	}
	p.net.mu.RLock()
	best, _ := p.view()
	p.net.mu.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || h.Genesis != genesis && p.fault.Kind != WrongGenesis ||
		p.isBanned(id) || p.fault.Kind == Full || p.host == nil {
		p.stats.Refused++
		return false
	}
	p.clients[id] = &client{announces: true, told: best.hash}
	p.open(id, p.announces, func() { p.catchUp(id) })
	return true
}

// mute holds the substream of a silent peer until the peer stops.
func (p *Peer) mute() bool {
	p.mu.Lock()
	kind, life := p.fault.Kind, p.ctx
	p.mu.Unlock()
	if kind != Silent {
		return false
	}
	<-life.Done()
	return true
}

func (p *Peer) acceptGrandpa(id peer.ID, _ []byte) bool {
	return p.acceptSecond(id, p.openGrandpa)
}

// acceptSecond accepts a protocol that needs block-announces first.
func (p *Peer) acceptSecond(id peer.ID, open func(peer.ID)) bool {
	if p.mute() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clients[id]
	if c == nil || !c.announces || p.host == nil {
		p.stats.Refused++
		return false
	}
	open(id)
	return true
}

func (p *Peer) openTransactions(id peer.ID) { p.open(id, p.transactions, func() {}) }

func (p *Peer) openGrandpa(id peer.ID) {
	p.open(id, p.grandpa, func() {
		p.mu.Lock()
		c := p.clients[id]
		if c != nil {
			c.grandpa = true
		}
		p.mu.Unlock()
		if c != nil {
			p.sendNeighbor(id)
			p.sendLatestCommit(id)
		}
	})
}

// open opens our substream towards a client in the background. The caller holds p.mu.
func (p *Peer) open(id peer.ID, n *p2p.Notifications, then func()) {
	p.work.Add(1)
	go func(life context.Context) {
		defer p.work.Done()
		ctx, cancel := context.WithTimeout(life, openTimeout)
		defer cancel()
		if _, err := n.Open(ctx, id); err == nil {
			then()
		}
	}(p.ctx)
}

// lost is called when a client's substream for block-announces is over. The slot is gone with it, and
// the other protocols with the slot. Our own substream ends as the client sees fit: to close it here
// would close the client's next one, which may be there already.
func (p *Peer) lost(id peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients[id] == nil {
		return
	}
	delete(p.clients, id)
	p.grandpa.Close(id)
	p.transactions.Close(id)
}

func (p *Peer) lostGrandpa(id peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[id]; c != nil {
		c.grandpa = false
	}
}

func (p *Peer) transactionsMessage(_ peer.ID, msg []byte) {
	list, err := wire.DecodeTransactions(msg)
	if err != nil {
		p.note(func(s *Stats) { s.BadMessages++ })
		return
	}
	for _, x := range list {
		p.net.Submit(x) // a full node does not tell what it thinks of one either
	}
	p.note(func(s *Stats) { s.Extrinsics += len(list) })
}

// grandpaMessage takes neighbour packets; a light node has no business sending anything else.
func (p *Peer) grandpaMessage(id peer.ID, msg []byte) {
	m, err := wire.DecodeGrandpaMessage(msg)
	if err != nil || m.Neighbor == nil {
		p.note(func(s *Stats) { s.BadMessages++ })
		return
	}
	p.mu.Lock()
	p.stats.Neighbors++
	c := p.clients[id]
	if c == nil {
		p.mu.Unlock()
		return
	}
	if old := c.neighbor; old != nil && !after(*m.Neighbor, *old) {
		p.stats.BadNeighbor++
		p.mu.Unlock()
		return
	}
	n := *m.Neighbor
	c.neighbor = &n
	p.mu.Unlock()
	p.sendLatestCommit(id)
}

// after reports whether a neighbour packet goes on from the one before it: set, round and height
// must not fall back, and saying the same thing twice is a nuisance too.
func after(n, old wire.Neighbor) bool {
	if n.SetID != old.SetID {
		return n.SetID > old.SetID && n.Height >= old.Height
	}
	return n.Round >= old.Round && n.Height >= old.Height && n != old
}

// announce tells all clients of a block.
func (p *Peer) announce(b *block) {
	if kind := p.kind(); kind == Silent || kind == Stale {
		return
	}
	msg := p.announcement(b)
	for _, id := range p.clientsWith(func(c *client) bool { return c.announces }) {
		p.tell(id, b, msg)
	}
}

func (p *Peer) announcement(b *block) []byte {
	p.net.mu.RLock()
	best := p.net.chain.best()
	p.net.mu.RUnlock()
	return (&wire.Announce{Header: p.net.keys.distortAnnounce(p.kind(), b), Best: b == best}).Append(nil)
}

// tell sends the announcement of b to a client, unless b is what it heard last.
func (p *Peer) tell(id peer.ID, b *block, msg []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[id]; c != nil && c.told != b.hash && p.announces.Send(id, msg) == nil {
		c.told = b.hash
	}
}

// catchUp tells a client of the best block if that came after the handshake and before there was a
// substream to tell of it on.
func (p *Peer) catchUp(id peer.ID) {
	p.net.mu.RLock()
	best, _ := p.view()
	p.net.mu.RUnlock()
	p.tell(id, best, p.announcement(best))
}

func (p *Peer) clientsWith(f func(*client) bool) []peer.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host == nil {
		return nil
	}
	var out []peer.ID
	for id, c := range p.clients {
		if f(c) {
			out = append(out, id)
		}
	}
	return out
}

// finalized tells clients of a finished round: a neighbour packet to all, the commit to those who
// have said that they are in its set and below its block.
func (p *Peer) finalized(v vote) {
	kind := p.kind()
	if kind == Silent || kind == Stale {
		return
	}
	if kind == LateFinality {
		p.net.mu.RLock()
		_, final := p.view()
		late, ok := p.net.chain.lastVote(final)
		p.net.mu.RUnlock()
		if !ok {
			return
		}
		v = late
	}
	for _, id := range p.clientsWith(func(c *client) bool { return c.grandpa }) {
		p.sendNeighbor(id)
	}
	if wants := p.clientsWith(func(c *client) bool { return c.wants(v) }); len(wants) > 0 {
		p.sendCommit(v, wants...)
	}
}

// wants reports whether a client is to get the commit of a vote.
func (c *client) wants(v vote) bool {
	number := v.block.header.Number
	return c.grandpa && c.neighbor != nil && c.neighbor.SetID == v.block.finalizer() && c.neighbor.Height < number && c.committed < number
}

// sendLatestCommit is what a changed view of a client leads to.
func (p *Peer) sendLatestCommit(id peer.ID) {
	p.net.mu.RLock()
	_, final := p.view()
	v, ok := p.net.chain.lastVote(final)
	p.net.mu.RUnlock()
	if !ok {
		return
	}
	p.mu.Lock()
	c := p.clients[id]
	ok = c != nil && c.wants(v)
	p.mu.Unlock()
	if ok {
		p.sendCommit(v, id)
	}
}

// commit signs a vote as the peer tells of it.
func (p *Peer) commit(v vote) *grandpa.CommitMessage {
	kind := p.kind()
	p.net.mu.RLock()
	defer p.net.mu.RUnlock()
	return p.net.chain.distortCommit(kind, v)
}

// sendCommit sends the commit of a vote to those who still want it. Nobody gets the same twice.
func (p *Peer) sendCommit(v vote, to ...peer.ID) {
	msg := wire.AppendCommit(nil, p.commit(v))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range to {
		if c := p.clients[id]; c != nil && c.wants(v) && p.grandpa.Send(id, msg) == nil {
			c.committed = v.block.header.Number
			p.stats.Commits++
		}
	}
}

// forceCommit sends a commit to every client, whatever it has said.
func (p *Peer) forceCommit(m *grandpa.CommitMessage) {
	msg := wire.AppendCommit(nil, m)
	for _, id := range p.clientsWith(func(c *client) bool { return c.grandpa }) {
		if p.grandpa.Send(id, msg) == nil {
			p.note(func(s *Stats) { s.Commits++ })
		}
	}
}

// sendNeighbor tells a client where the peer is.
func (p *Peer) sendNeighbor(id peer.ID) {
	p.net.mu.RLock()
	_, final := p.view()
	n := wire.Neighbor{Round: 1, Height: final}
	if v, ok := p.net.chain.lastVote(final); ok {
		if n.SetID = v.block.set; !v.block.change {
			n.Round = v.round + 1
		}
	}
	p.net.mu.RUnlock()
	if p.kind() == LieNeighbor {
		for _, msg := range lyingNeighbors(n) {
			p.grandpa.Send(id, msg)
		}
		return
	}
	p.grandpa.Send(id, wire.AppendNeighbor(nil, n))
}
