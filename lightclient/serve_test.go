package lightclient_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// TestServe: a light client whose only peer is another light node catches up over set changes, follows and
// reads proven storage, by the protocols that every Substrate light client speaks.
func TestServe(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 30, SetChangeEvery: 12, BlockTime: 300 * time.Millisecond})
	n := newNotes(t)
	hosts := make(chan *p2p.Host, 1)
	cfg := config(net, n)
	cfg.Serve, cfg.Listen = true, []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}
	cfg.Hosted = func(_ context.Context, h *p2p.Host) func() { hosts <- h; return nil }
	startNode(t, cfg)
	n.wait(0, "warp done")
	host := <-hosts

	m := newNotes(t)
	cfg = config(net, m)
	cfg.Bootnodes = []string{host.FullAddrs()[0].String()}
	node, _ := startNode(t, cfg)
	_, i := m.wait(0, "warp done")
	runDemo(t, net)
	for range 5 {
		_, i = m.wait(i, "final #")
	}
	m.wait(i, "authority set")
	check(t, net, status(t, node))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	key := verify.StorageKey("Timestamp", "Now")
	r, err := node.Read(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	want, ok, err := net.Storage(r.Hash, key)
	if err != nil || !ok || r.Values[0].Outcome != trie.Present || string(r.Values[0].Value) != string(want) {
		t.Errorf("read %x, %v; the chain has %x, %v", r.Values[0].Value, r.Values[0].Outcome, want, err)
	}

	// By hand: what is not known is closed, what is asked too often too.
	client, err := p2p.New(p2p.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Connect(ctx, peer.AddrInfo{ID: host.ID(), Addrs: host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	names := wire.Names(net.Genesis())
	ask := func(name string, body []byte) ([]byte, error) {
		return client.Request(ctx, host.ID(), name, body, wire.MaxResponse)
	}
	genesis := net.Genesis()
	b, err := ask(names.Warp, genesis[:])
	if err != nil {
		t.Fatal(err)
	}
	p, err := grandpa.DecodeWarpProof(b)
	if err != nil {
		t.Fatal(err)
	}
	if to, _, err := p.Verify(net.Checkpoint().Start()); err != nil || to.Header.Number < 30 {
		t.Errorf("warp proof to block %d: %v", to.Header.Number, err)
	}
	for name, body := range map[string][]byte{
		names.Warp:  make([]byte, 32),
		names.Sync:  (&wire.BlockRequest{Fields: wire.FieldHeader | wire.FieldBody, Hash: &genesis, Max: 1}).Append(nil),
		names.Light: []byte("noise"),
	} {
		if b, err := ask(name, body); err == nil {
			t.Errorf("%s: %d bytes for what cannot be answered", name, len(b))
		}
	}
	if b, err = ask(names.Light, (&wire.ReadRequest{Block: verify.Hash{1}, Keys: [][]byte{key}}).Append(nil)); err != nil {
		t.Fatal(err)
	} else if _, ok, err := wire.DecodeLightResponse(b); ok || err != nil {
		t.Errorf("a read in an unknown block: %v, %v", ok, err)
	}
	// What it does not hold comes from its peers: the headers below its own down to genesis, a young body.
	st := status(t, node)
	from := net.Header(20).Hash()
	if b, err = ask(names.Sync, (&wire.BlockRequest{Fields: wire.FieldHeader, Hash: &from, Descending: true, Max: 15}).Append(nil)); err != nil {
		t.Fatal(err)
	}
	blocks, err := wire.DecodeBlockResponse(b, 15)
	if err != nil || len(blocks) != 15 {
		t.Fatalf("%d headers from 20 down: %v", len(blocks), err)
	}
	for i, b := range blocks {
		if want := net.Header(20 - uint32(i)); string(b.Header) != string(want.Encode()) || b.Hash != want.Hash() {
			t.Errorf("header %d is another", want.Number)
		}
	}
	head := net.Header(st.Finalized.Number).Hash()
	for range 3 {
		if b, err = ask(names.Sync, (&wire.BlockRequest{Fields: wire.FieldHeader | wire.FieldBody, Hash: &head, Max: 1}).Append(nil)); err != nil {
			t.Fatal(err)
		}
		blocks, err = wire.DecodeBlockResponse(b, 1)
		if want := net.Body(head); err != nil || len(blocks) != 1 || !slices.EqualFunc(blocks[0].Body, want, bytes.Equal) {
			t.Errorf("the body of block %d: %v, %v", st.Finalized.Number, len(blocks), err)
		}
	}
	refused := false
	for range 400 {
		if _, err := ask(names.Warp, genesis[:]); err != nil {
			refused = true
			break
		}
	}
	if !refused {
		t.Error("400 requests in a row were answered")
	}
}
