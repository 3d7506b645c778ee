package demonet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
)

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
