package demonet

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// patience bounds every wait on a socket; nothing takes a hundredth of it.
const patience = 20 * time.Second

// A light is a client made of sockets and codecs only: what it sees is what is on the wire.
type light struct {
	t     *testing.T
	ctx   context.Context
	net   *Network
	host  *p2p.Host
	names wire.Protocols
	cp    *checkpoint.Checkpoint

	announces, grandpa, transactions *p2p.Notifications

	headers   chan wire.Announce
	gossip    chan []byte
	opened    chan string // protocols that the peer has opened to us
	closed    chan string
	handshake []byte // ours
}

// network makes a network whose validators do nothing: what they do is in the blocks, whoever serves
// them.
func network(t *testing.T, cfg Config) *Network {
	t.Helper()
	cfg.Quiet = true
	if cfg.Slack == 0 {
		cfg.Slack = 4096
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

func enter(t *testing.T, n *Network) *light {
	t.Helper()
	host, err := p2p.New(p2p.Config{IdleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	l := &light{
		t: t, ctx: ctx, net: n, host: host, cp: n.Checkpoint(), names: wire.Names(n.Genesis()),
		headers: make(chan wire.Announce, 1000), gossip: make(chan []byte, 1000),
		opened: make(chan string, 100), closed: make(chan string, 100),
	}
	h := wire.Handshake{Role: wire.RoleLight, BestHash: n.Genesis(), Genesis: n.Genesis()}
	l.handshake = h.Append(nil)
	config := func(name, short string, handshake []byte, message func([]byte)) p2p.NotificationsConfig {
		return p2p.NotificationsConfig{
			Protocol: name, Handshake: func() []byte { return handshake },
			Accept:  func(peer.ID, []byte) bool { l.opened <- short; return true },
			Message: func(_ peer.ID, msg []byte) { message(msg) },
			Closed:  func(peer.ID) { l.closed <- short },
		}
	}
	role := []byte{wire.RoleLight}
	l.announces = host.Notifications(config(l.names.BlockAnnounces, "announces", l.handshake, func(msg []byte) {
		a, err := wire.DecodeAnnounce(msg)
		if err != nil {
			t.Errorf("announce: %v", err)
			return
		}
		l.headers <- *a
	}))
	l.grandpa = host.Notifications(config(l.names.Grandpa, "grandpa", role, func(msg []byte) { l.gossip <- msg }))
	l.transactions = host.Notifications(config(l.names.Transactions, "transactions", role, func([]byte) {}))
	return l
}

// dial connects to a peer and opens block-announces.
func (l *light) dial(p *Peer) *wire.Handshake {
	l.t.Helper()
	if err := l.host.Connect(l.ctx, p.AddrInfo()); err != nil {
		l.t.Fatal(err)
	}
	b, err := l.announces.Open(l.ctx, p.ID())
	if err != nil {
		l.t.Fatal(err)
	}
	h, err := wire.DecodeHandshake(b)
	if err != nil {
		l.t.Fatal(err)
	}
	l.wait(l.opened, "announces")
	return h
}

// listen opens grandpa and says where we are.
func (l *light) listen(p *Peer, n wire.Neighbor) {
	l.t.Helper()
	if _, err := l.grandpa.Open(l.ctx, p.ID()); err != nil {
		l.t.Fatal(err)
	}
	l.wait(l.opened, "grandpa")
	if err := l.grandpa.Send(p.ID(), wire.AppendNeighbor(nil, n)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *light) wait(c chan string, want string) {
	l.t.Helper()
	select {
	case got := <-c:
		if got != want {
			l.t.Fatalf("peer did %s, want %s", got, want)
		}
	case <-time.After(patience):
		l.t.Fatalf("peer never did %s", want)
	}
}

func (l *light) announce() wire.Announce {
	l.t.Helper()
	select {
	case a := <-l.headers:
		return a
	case <-time.After(patience):
		l.t.Fatal("no announce came")
	}
	panic("unreachable")
}

// message waits for a grandpa message of a kind; junk counts as kind 255.
func (l *light) message(kind byte) (m wire.GrandpaMessage, raw []byte) {
	l.t.Helper()
	for {
		select {
		case raw = <-l.gossip:
			m, err := wire.DecodeGrandpaMessage(raw)
			if err != nil {
				m.Kind = 255
			}
			if m.Kind == kind {
				return m, raw
			}
		case <-time.After(patience):
			l.t.Fatalf("no grandpa message of kind %d came", kind)
		}
	}
}

func (l *light) request(p *Peer, name string, body []byte) []byte {
	l.t.Helper()
	b, err := l.host.Request(l.ctx, p.ID(), name, body, wire.MaxResponse)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *light) blocks(p *Peer, q wire.BlockRequest) []wire.Block {
	l.t.Helper()
	list, err := wire.DecodeBlockResponse(l.request(p, l.names.Sync, q.Append(nil)), wire.MaxBlocks)
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *light) read(p *Peer, at *verify.Header, keys ...[]byte) (proof []byte, ok bool) {
	l.t.Helper()
	q := wire.ReadRequest{Block: at.Hash(), Keys: keys}
	proof, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil)))
	if err != nil {
		l.t.Fatal(err)
	}
	return proof, ok
}

func (l *light) warp(p *Peer, from verify.Hash) *grandpa.WarpProof {
	l.t.Helper()
	w, err := grandpa.DecodeWarpProof(l.request(p, l.names.Warp, wire.AppendWarpRequest(nil, from)))
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}
