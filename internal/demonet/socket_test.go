package demonet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
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

func network(t *testing.T, cfg Config) *Network {
	t.Helper()
	if cfg.Slack == 0 && cfg.RuntimeCode == nil {
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

func TestHandshakeAndAnnounces(t *testing.T) {
	n := network(t, Config{Peers: 2})
	l := enter(t, n)
	for _, p := range n.Peers() { // one on tcp, one on ws
		h := l.dial(p)
		if h.Genesis != n.Genesis() || h.BestHash != n.Best().Hash() || h.Role != wire.RoleFull {
			t.Errorf("handshake %+v", h)
		}
	}
	h, err := n.Step()
	if err != nil {
		t.Fatal(err)
	}
	for range n.Peers() {
		if a := l.announce(); a.Header.Hash() != h.Hash() || !a.Best {
			t.Errorf("announced %d, best %v", a.Header.Number, a.Best)
		}
	}
	branch, err := n.Fork(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * len(n.Peers()) {
		a := l.announce()
		if !slices.ContainsFunc(branch, func(h *verify.Header) bool { return h.Hash() == a.Header.Hash() }) {
			t.Errorf("announce %d is not of the fork", i)
		}
		if a.Best != (a.Header.Number == h.Number+1) {
			t.Errorf("block %d announced with best %v", a.Header.Number, a.Best)
		}
	}
}

func TestOrderOfProtocols(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	if len(p.Addrs()) != 2 {
		t.Errorf("a single peer listens on %v", p.Addrs())
	}
	if err := l.host.Connect(l.ctx, p.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.grandpa.Open(l.ctx, p.ID()); !errors.Is(err, p2p.ErrRefused) {
		t.Fatalf("grandpa before block-announces: %v", err)
	}
	l.dial(p)
	l.listen(p, wire.Neighbor{Round: 1})
	if _, err := l.transactions.Open(l.ctx, p.ID()); err != nil {
		t.Fatal(err)
	}
	l.wait(l.opened, "transactions")
	if err := l.transactions.Send(p.ID(), wire.AppendTransaction(nil, remark("hello"))); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); p.Stats().Extrinsics == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the extrinsic did not arrive")
		}
		n.Best() // takes the lock that the extrinsic needs
	}
	h, err := n.Step()
	if err != nil {
		t.Fatal(err)
	}
	if body := n.Body(h.Hash()); len(body) != 2 || !bytes.Equal(body[1], remark("hello")) {
		t.Errorf("the block has %d extrinsics", len(body))
	}
	// Our own substream for block-announces is the slot: without it the peer ends the others.
	l.announces.Close(p.ID())
	var got []string
	for range 3 {
		select {
		case s := <-l.closed:
			got = append(got, s)
		case <-time.After(patience):
			t.Fatalf("only %v closed", got)
		}
	}
}

func TestWrongGenesisOfClient(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	l.handshake[40] ^= 1
	if err := l.host.Connect(l.ctx, p.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.announces.Open(l.ctx, p.ID()); !errors.Is(err, p2p.ErrRefused) {
		t.Errorf("handshake of another chain: %v", err)
	}
}

func TestCommits(t *testing.T) {
	n := network(t, Config{Peers: 1, SetChangeEvery: 8, History: 10})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	f := n.Finalized()
	l.listen(p, wire.Neighbor{Round: 1, SetID: f.Set.ID, Height: f.Header.Number})
	m, _ := l.message(wire.GrandpaNeighbor)
	if m.Neighbor.SetID != f.Set.ID || m.Neighbor.Height != f.Header.Number {
		t.Errorf("neighbour packet %+v, finalized %d in set %d", m.Neighbor, f.Header.Number, f.Set.ID)
	}
	header := func(h verify.Hash) *verify.Header {
		for i := n.Best().Number; i > 0; i-- {
			if b := n.Header(i); b.Hash() == h {
				return b
			}
		}
		return nil
	}
	set := f.Set
	for range 20 { // over two set changes
		if _, err := n.Step(); err != nil {
			t.Fatal(err)
		}
		m, _ := l.message(wire.GrandpaCommit)
		if m.Commit.Commit.TargetNumber != n.Finalized().Header.Number {
			t.Fatalf("commit for block %d, finalized is %d", m.Commit.Commit.TargetNumber, n.Finalized().Header.Number)
		}
		if err := m.Commit.Verify(&set, header); err != nil {
			t.Fatal(err)
		}
		var err error
		if set, err = grandpa.Advance(set, header(m.Commit.Commit.TargetHash)); err != nil {
			t.Fatal(err)
		}
		at := wire.Neighbor{Round: 1, SetID: set.ID, Height: m.Commit.Commit.TargetNumber}
		if set.ID == m.Commit.SetID {
			at.Round = m.Commit.Round + 1
		}
		before := p.Stats().Neighbors
		l.grandpa.Send(p.ID(), wire.AppendNeighbor(nil, at))
		for deadline := time.Now().Add(patience); p.Stats().Neighbors == before; {
			if time.Now().After(deadline) {
				t.Fatal("neighbour packet did not arrive")
			}
		}
	}
	if s := p.Stats(); s.BadNeighbor != 0 || s.Commits != 20 {
		t.Errorf("%d bad neighbour packets, %d commits sent", s.BadNeighbor, s.Commits)
	}
	// A client that does not move with the set gets nothing, and one that falls back is noticed.
	l.grandpa.Send(p.ID(), wire.AppendNeighbor(nil, wire.Neighbor{Round: 1}))
	for deadline := time.Now().Add(patience); p.Stats().BadNeighbor == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the packet that falls back was not noticed")
		}
	}
}

func TestNoCommitsWithoutNeighborPackets(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	if _, err := l.grandpa.Open(l.ctx, p.ID()); err != nil {
		t.Fatal(err)
	}
	l.wait(l.opened, "grandpa")
	l.message(wire.GrandpaNeighbor)
	if err := n.Steps(3); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m, _ := l.message(wire.GrandpaNeighbor)
		if m.Commit != nil {
			t.Fatal("a commit came")
		}
	}
	if s := p.Stats(); s.Commits != 0 {
		t.Errorf("%d commits were sent to a client that never said where it is", s.Commits)
	}
}

func TestSync(t *testing.T) {
	n := network(t, Config{Peers: 1, History: 600, SetChangeEvery: 100})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	all := wire.FieldHeader | wire.FieldBody | wire.FieldJustification
	check := func(list []wire.Block, first uint32, step int) {
		t.Helper()
		for i, b := range list {
			want := n.Header(uint32(int(first) + step*i))
			h, err := verify.DecodeHeader(b.Header)
			if err != nil || h.Hash() != want.Hash() || b.Hash != want.Hash() {
				t.Fatalf("block %d of the answer: %v", i, err)
			}
			if trie.OrderedRoot(b.Body) != h.ExtrinsicsRoot {
				t.Fatalf("body of block %d does not have its root", h.Number)
			}
			kept := h.Number%100 == 0 || h.Number%512 == 0
			if (len(b.Justifications) == 1) != kept {
				t.Fatalf("block %d has %d justifications", h.Number, len(b.Justifications))
			}
			if kept {
				j, err := grandpa.DecodeJustification(b.Justifications[0].Data)
				if err != nil {
					t.Fatal(err)
				}
				set := n.keys.grandpaSet(uint64(h.Number-1) / 100)
				if err := j.Verify(&set); err != nil || j.Commit.TargetHash != h.Hash() {
					t.Fatalf("justification of block %d: %v", h.Number, err)
				}
			}
		}
	}
	list := l.blocks(p, wire.BlockRequest{Fields: all, Number: 450, Justifications: true})
	if len(list) != 128 {
		t.Fatalf("%d blocks", len(list))
	}
	check(list, 450, 1)
	hash := n.Header(513).Hash()
	list = l.blocks(p, wire.BlockRequest{Fields: all, Hash: &hash, Descending: true, Max: 20, Justifications: true})
	if len(list) != 20 {
		t.Fatalf("%d blocks", len(list))
	}
	check(list, 513, -1)
	if list = l.blocks(p, wire.BlockRequest{Fields: all, Number: 595, Max: 100, Justifications: true}); len(list) != 6 {
		t.Errorf("%d blocks at the end, want 6", len(list))
	}
	if list = l.blocks(p, wire.BlockRequest{Fields: wire.FieldHeader, Hash: &verify.Hash{1}, Max: 1}); len(list) != 0 {
		t.Errorf("%d blocks of an unknown hash", len(list))
	}
	if list = l.blocks(p, wire.BlockRequest{Fields: wire.FieldBody, Number: 5, Max: 1}); list[0].Header != nil || len(list[0].Body) != 1 {
		t.Error("parts that were not asked for, or not those that were")
	}
}

func TestSameRequestThrice(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	// Headers are given again and again, and noted.
	q := wire.BlockRequest{Fields: wire.FieldHeader, Number: 1, Max: 1}
	for range 4 {
		l.blocks(p, q)
	}
	// What got no answer does not count.
	for range 4 {
		l.blocks(p, wire.BlockRequest{Fields: wire.FieldBody, Hash: &verify.Hash{1}, Max: 1})
	}
	if s := p.Stats(); s.Repeats != 2 || s.Bans != 0 {
		t.Fatalf("%d repeats, %d bans", s.Repeats, s.Bans)
	}
	q.Fields |= wire.FieldBody
	l.blocks(p, q)
	l.blocks(p, q)
	if _, err := l.host.Request(l.ctx, p.ID(), l.names.Sync, q.Append(nil), 1000); err == nil {
		t.Fatal("the third was answered")
	}
	l.wait(l.closed, "announces")
	if s := p.Stats(); s.Bans != 1 {
		t.Errorf("%d bans", s.Bans)
	}
	if err := l.host.Connect(l.ctx, p.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.announces.Open(l.ctx, p.ID()); !errors.Is(err, p2p.ErrRefused) {
		t.Errorf("a banned client opens again: %v", err)
	}
}

func TestReadAndCallProofs(t *testing.T) {
	n := network(t, Config{Peers: 1, History: 300})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	at := n.Finalized().Header
	keys := [][]byte{verify.StorageKey("Timestamp", "Now"), verify.StorageKey("System", "Number"), []byte(":heappages")}
	b, ok := l.read(p, at, keys...)
	if !ok {
		t.Fatal("no proof")
	}
	nodes, err := trie.DecodeProof(b)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := trie.NewProof(at.StateRoot, nodes)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.CheckUsed(keys...); err != nil {
		t.Errorf("not minimal: %v", err)
	}
	for _, k := range keys {
		want, there, _ := n.Storage(at.Hash(), k)
		got, o, err := proof.Get(k)
		if err != nil || !bytes.Equal(got, want) || (o == trie.Present) != there || o == trie.Incomplete {
			t.Errorf("%x: %v %v", k, o, err)
		}
	}
	if _, ok := l.read(p, n.Header(10), keys...); ok {
		t.Error("a proof of a discarded state")
	}
	for method, keys := range map[string][][]byte{
		"AuraApi_authorities":            {verify.StorageKey("Aura", "Authorities")},
		"AuraApi_slot_duration":          nil,
		"GrandpaApi_current_set_id":      {verify.StorageKey("Grandpa", "CurrentSetId")},
		"Metadata_metadata_at_version":   nil,
		"GrandpaApi_grandpa_authorities": {verify.StorageKey("Grandpa", "Authorities"), []byte(":grandpa_authorities")},
	} {
		q := wire.CallRequest{Block: at.Hash(), Method: method}
		b, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil)))
		if err != nil || !ok {
			t.Fatalf("%s: no proof: %v", method, err)
		}
		nodes, err := trie.DecodeProof(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			continue
		}
		proof, err := trie.NewProof(at.StateRoot, nodes)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if err := proof.CheckUsed(keys...); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		for _, k := range keys {
			if _, o, err := proof.Get(k); o != trie.Present || err != nil {
				t.Errorf("%s: %x is %v, %v", method, k, o, err)
			}
		}
	}
	q := wire.CallRequest{Block: at.Hash(), Method: "SubnetInfoRuntimeApi_get_metagraph"}
	if _, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil))); ok || err != nil {
		t.Errorf("a call that nobody can execute has a proof: %v", err)
	}
}

// TestArchive: on request the last peer keeps what the others have discarded.
func TestArchive(t *testing.T) {
	n := network(t, Config{Peers: 2, History: 300, Archive: true})
	l := enter(t, n)
	at := n.Header(10)
	for i, p := range n.Peers() {
		l.dial(p)
		b, ok := l.read(p, at, verify.StorageKey("System", "Number"))
		if ok != p.Archive() || ok != (i == 1) {
			t.Fatalf("peer %d has the state of block 10: %v", i, ok)
		}
		if ok {
			if err := proves(at, b, verify.StorageKey("System", "Number")); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWarpOverSockets(t *testing.T) {
	n := network(t, Config{Peers: 1, History: 400, SetChangeEvery: 10})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	to, verified, err := l.warp(p, n.Genesis()).Verify(l.cp.Start())
	if err != nil {
		t.Fatal(err)
	}
	if f := n.Finalized(); to.Hash != f.Hash || to.Set.ID != f.Set.ID || verified != 40 {
		t.Errorf("after %d fragments at block %d in set %d", verified, to.Header.Number, to.Set.ID)
	}
	unknown := verify.Hash{1}
	if _, err := l.host.Request(l.ctx, p.ID(), l.names.Warp, unknown[:], 1000); !errors.Is(err, p2p.ErrClosed) {
		t.Errorf("warp from an unknown block: %v", err)
	}
}

func TestKad(t *testing.T) {
	n := network(t, Config{Peers: 4})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	m, err := wire.DecodeKad(l.request(p, l.names.Kad, wire.AppendFindNode(nil, []byte(l.host.ID()))))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Closer) != 3 {
		t.Fatalf("%d peers", len(m.Closer))
	}
	// Each of them can be dialled by what was told.
	for i, k := range m.Closer {
		p := n.Peers()[i+1]
		if string(k.ID) != string(p.ID()) || len(k.Addrs) != 1 || !bytes.Equal(k.Addrs[0], p.AddrInfo().Addrs[0].Bytes()) {
			t.Errorf("peer %d is told as %x", i+1, k.ID)
		}
	}
	n.Peers()[2].Stop()
	m, err = wire.DecodeKad(l.request(p, l.names.Kad, wire.AppendFindNode(nil, []byte(p.ID()))))
	if err != nil || len(m.Closer) != 2 {
		t.Errorf("%d peers with one stopped, %v", len(m.Closer), err)
	}
}

func TestIdentify(t *testing.T) {
	n := network(t, Config{Peers: 1})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	for deadline := time.Now().Add(patience); ; {
		if l.host.Agent(p.ID()) == "taolight-demo" && slices.Contains(l.host.Protocols(p.ID()), l.names.Warp) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("identified as %q, %v", l.host.Agent(p.ID()), l.host.Protocols(p.ID()))
		}
	}
	if !slices.Contains(l.host.Protocols(p.ID()), "/ipfs/ping/1.0.0") {
		t.Error("no ping")
	}
}

func TestStopAndStart(t *testing.T) {
	n := network(t, Config{Peers: 2})
	l := enter(t, n)
	before := n.Bootnodes()
	for _, p := range n.Peers() {
		l.dial(p)
	}
	n.StopAll()
	l.wait(l.closed, "announces")
	l.wait(l.closed, "announces")
	if len(n.Bootnodes()) != 0 {
		t.Error("stopped peers are still told of")
	}
	if err := l.host.Connect(l.ctx, peer.AddrInfo{ID: n.Peers()[0].ID(), Addrs: before[:1]}); err == nil {
		t.Error("a stopped peer answers")
	}
	if err := n.StartAll(); err != nil {
		t.Fatal(err)
	}
	after := n.Bootnodes()
	for i := range before {
		if !before[i].Equal(after[i]) {
			t.Errorf("peer was at %v, is at %v", before[i], after[i])
		}
	}
	for _, p := range n.Peers() {
		l.dial(p)
	}
}

func TestRun(t *testing.T) {
	n := network(t, Config{Peers: 1, BlockTime: 20 * time.Millisecond})
	l, p := enter(t, n), n.Peers()[0]
	l.dial(p)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	last := l.announce().Header
	for range 5 {
		h := l.announce().Header
		slot, _ := aura.Slot(h)
		if h.ParentHash != last.Hash() || slot > uint64(time.Now().UnixMilli())/20 {
			t.Errorf("block %d does not follow", h.Number)
		}
		last = h
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if p.Running() {
		t.Error("peers go on after Run")
	}
}

func TestSpecJSON(t *testing.T) {
	n := network(t, Config{Peers: 2, BlockTime: time.Second})
	var b bytes.Buffer
	if err := n.SpecJSON(&b); err != nil {
		t.Fatal(err)
	}
	cp, err := checkpoint.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := n.Checkpoint()
	if cp.Hash != want.Hash || cp.SlotDuration != 1000 || !slices.Equal(cp.Aura, want.Aura) || !cp.Set.Equal(&want.Set) {
		t.Errorf("spec leads to %v, slot %d, set %d", cp.Hash, cp.SlotDuration, cp.Set.ID)
	}
	// Strict readers know these fields and no other.
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	known := strings.Fields("name id chainType bootNodes telemetryEndpoints protocolId properties forkBlocks badBlocks codeSubstitutes genesis")
	if len(fields) != len(known) {
		t.Errorf("%d fields", len(fields))
	}
	for _, k := range known {
		if _, ok := fields[k]; !ok {
			t.Errorf("no field %s", k)
		}
	}
	code, err := RuntimeOf(b.Bytes())
	if err != nil || !bytes.Equal(code, n.chain.layout.code) {
		t.Errorf("code of the spec: %v", err)
	}
	b.Reset()
	with := network(t, Config{Peers: 1, RuntimeCode: []byte("a runtime")})
	if err := with.SpecJSON(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), []byte("slotDurationMillis")) {
		t.Error("the slot duration is stated where the runtime states it")
	}
}
