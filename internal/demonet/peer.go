package demonet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
)

// The rules of real full peers (sc-network-sync block_request_handler.rs, sc-network-light,
// sc-network peer_store.rs).
const (
	maxSameRequests = 2  // of a kind on sync/2 that were answered; see repeated
	maxSeenRequests = 64 // remembered for each client
	lightQueue      = 20 // light/2 requests at a time, of all clients together
	warpQueue       = 20
	banTime         = 70 * time.Second // until the reputation has decayed far enough
	openTimeout     = 10 * time.Second
)

// errBusy closes a substream without an answer.
var errBusy = errors.New("no answer")

// Stats counts what clients did to a peer.
type Stats struct {
	Requests    map[string]int // by end of protocol name: sync/2, light/2, sync/warp, kad
	Unanswered  int            // of those, closed without an answer
	MaxInFlight int            // most requests under way at once, of all clients
	Repeats     int            // requests on sync/2 that had been answered twice before
	Bans        int            // of those, for bodies: each costs the connection
	Neighbors   int            // neighbour packets received
	BadNeighbor int            // of those, not after the one before
	BadMessages int            // notifications that do not decode or should not be sent
	Extrinsics  int            // received on transactions/1
	Refused     int            // substreams refused: banned, wrong genesis, or out of order
	Commits     int            // commits sent
}

// A client is a remote node that has opened block-announces.
type client struct {
	announces bool           // its substream to us is open
	told      verify.Hash    // the block it heard of last
	grandpa   bool           // so is that for grandpa
	neighbor  *wire.Neighbor // its last neighbour packet
	committed uint32         // block of the last commit sent to it
}

// A Peer is a full node of the network. Its methods are safe for concurrent use.
type Peer struct {
	net   *Network
	index int
	key   crypto.PrivKey
	id    peer.ID

	startMu sync.Mutex // one Start or Stop at a time

	mu      sync.Mutex // guards what follows; taken after Network.mu if both are
	host    *p2p.Host  // nil when stopped
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup // goroutines that open substreams
	listen  []multiaddr.Multiaddr
	relays  []*relay
	fault   Fault
	frozen  *block // Stale: the best block it knows
	clients map[peer.ID]*client
	banned  map[peer.ID]time.Time
	seen    map[peer.ID]map[verify.Hash]int
	flying  map[string]int
	stats   Stats

	announces, grandpa, transactions *p2p.Notifications
}

func newPeer(n *Network, index int) *Peer {
	p := &Peer{
		net: n, index: index, key: n.keys.peerKey(index),
		banned: make(map[peer.ID]time.Time),
		seen:   make(map[peer.ID]map[verify.Hash]int),
		flying: make(map[string]int),
		stats:  Stats{Requests: make(map[string]int)},
	}
	p.id = peerID(p.key)
	tcp, ws := multiaddr.StringCast("/ip4/127.0.0.1/tcp/0"), multiaddr.StringCast("/ip4/127.0.0.1/tcp/0/ws")
	switch {
	case n.cfg.Peers == 1:
		p.listen = []multiaddr.Multiaddr{tcp, ws}
	case index%2 == 1:
		p.listen = []multiaddr.Multiaddr{ws}
	default:
		p.listen = []multiaddr.Multiaddr{tcp}
	}
	return p
}

func peerID(key crypto.PrivKey) peer.ID {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		panic(err) // an ed25519 key has a peer id
	}
	return id
}

// ID returns the peer id, which depends on the seed and the index only.
func (p *Peer) ID() peer.ID { return p.id }

// Addrs returns the addresses to dial, each with its /p2p part; none while the peer is stopped.
func (p *Peer) Addrs() []multiaddr.Multiaddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host == nil {
		return nil
	}
	var out []multiaddr.Multiaddr
	for _, a := range p.dialAddrs() {
		out = append(out, a.Encapsulate(multiaddr.StringCast("/p2p/"+p.id.String())))
	}
	return out
}

func (p *Peer) dialAddrs() []multiaddr.Multiaddr {
	if len(p.relays) == 0 {
		return p.listen
	}
	var out []multiaddr.Multiaddr
	for _, r := range p.relays {
		out = append(out, r.addr)
	}
	return out
}

// Archive reports whether the peer keeps all states.
func (p *Peer) Archive() bool { return p.net.cfg.Archive && p.index == p.net.cfg.Peers-1 }

// AddrInfo returns Addrs in the form that p2p.Host.Connect takes.
func (p *Peer) AddrInfo() peer.AddrInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	info := peer.AddrInfo{ID: p.id}
	if p.host != nil {
		info.Addrs = append(info.Addrs, p.dialAddrs()...)
	}
	return info
}

// Running reports whether the peer listens.
func (p *Peer) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.host != nil
}

// Start starts a stopped peer where it listened before. What it knew of its clients is gone.
func (p *Peer) Start() error {
	p.startMu.Lock()
	defer p.startMu.Unlock()
	if p.Running() {
		return nil
	}
	host, err := p2p.New(p2p.Config{Key: p.key, Listen: p.listen, UserAgent: "taolight-demo"})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listen = host.Addrs() // with the ports that were chosen
	if p.fault.Kind == SlowLink {
		for _, a := range p.listen {
			r, err := newRelay(a, p.fault.Rate, p.fault.Delay)
			if err != nil {
				p.closeRelays()
				host.Close()
				return err
			}
			p.relays = append(p.relays, r)
		}
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.clients = make(map[peer.ID]*client)
	p.host = host
	p.register(host)
	return nil
}

// Stop closes the peer's sockets. A stopped peer may be started again.
func (p *Peer) Stop() {
	p.startMu.Lock()
	defer p.startMu.Unlock()
	p.mu.Lock()
	host := p.host
	p.host = nil
	if host != nil {
		p.cancel()
		p.closeRelays()
	}
	p.mu.Unlock()
	if host != nil {
		host.Close()
		p.work.Wait()
	}
}

func (p *Peer) closeRelays() {
	for _, r := range p.relays {
		r.Close()
	}
	p.relays = nil
}

// Fault returns what is wrong with the peer.
func (p *Peer) Fault() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// SetFault makes something else wrong with the peer; Fault{} makes it honest. SlowLink begins with
// the next Start; the others at once, for what comes after.
func (p *Peer) SetFault(f Fault) {
	p.net.mu.RLock()
	defer p.net.mu.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.frozen = f, nil
	if f.Kind == Stale {
		p.frozen = p.net.chain.best()
	}
}

// Stats returns what was counted since the peer was made.
func (p *Peer) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Requests = make(map[string]int)
	for k, v := range p.stats.Requests {
		s.Requests[k] = v
	}
	return s
}

// Clients returns the number of nodes whose block-announces substream is open.
func (p *Peer) Clients() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.clients {
		if c.announces {
			n++
		}
	}
	return n
}

// view returns the best block and the finalized number that the peer admits to know. The caller
// holds Network.mu.
func (p *Peer) view() (best *block, final uint32) {
	p.mu.Lock()
	f, frozen := p.fault, p.frozen
	p.mu.Unlock()
	c := p.net.chain
	best, final = c.best(), c.final.header.Number
	if f.Kind == Stale {
		if frozen == nil { // stale from the start
			frozen = c.at(uint32(p.net.cfg.History))
		}
		best, final = frozen, min(final, frozen.header.Number)
		if v, ok := c.lastVote(final); ok {
			final = v.block.header.Number
		}
	}
	if late := f.lateness(); late != 0 {
		goal := uint32(0)
		if final > late {
			goal = final - late
		}
		final = 0
		if v, ok := c.lastVote(goal); ok {
			final = v.block.header.Number
		}
	}
	return best, final
}

// kind is the fault that is on.
func (p *Peer) kind() FaultKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault.Kind
}

// note counts something.
func (p *Peer) note(f func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

// isBanned reports whether a client is shut out. The caller holds p.mu.
func (p *Peer) isBanned(id peer.ID) bool {
	until, ok := p.banned[id]
	if ok && p.net.cfg.Clock().After(until) {
		delete(p.banned, id)
		return false
	}
	return ok
}

// ban disconnects a client and shuts it out for a while.
func (p *Peer) ban(id peer.ID) {
	p.mu.Lock()
	p.banned[id] = p.net.cfg.Clock().Add(banTime)
	delete(p.seen, id)
	p.stats.Bans++
	host := p.host
	p.mu.Unlock()
	p.net.cfg.Log.Info("peer banned a client", "peer", p.index, "client", id, "why", "asked for the same bodies a third time")
	if host != nil {
		host.Disconnect(id)
	}
}

// repeated notes a sync/2 request and reports whether it was answered twice before. For one with
// bodies a real node then bans the client; for headers and justifications it only lowers its opinion
// a little, so that it takes a million of them (block_request_handler.rs, SAME_SMALL_REQUEST).
func (p *Peer) repeated(id peer.ID, body []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.seen[id][verify.Blake2b256(body)] >= maxSameRequests
	if again {
		p.stats.Repeats++
	}
	return again
}

// answered remembers that a sync/2 request got an answer with something in it.
func (p *Peer) answered(id peer.ID, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.seen[id]
	if m == nil || len(m) >= maxSeenRequests {
		m = make(map[verify.Hash]int)
		p.seen[id] = m
	}
	m[verify.Blake2b256(body)]++
}
