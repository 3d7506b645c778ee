package demonet

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
)

// FuzzServe feeds requests to a peer of each kind, without sockets: whatever a client sends, the
// peer answers or closes, and lives.
func FuzzServe(f *testing.F) {
	cfg, err := Config{History: 40, SetChangeEvery: 12}.withDefaults()
	if err != nil {
		f.Fatal(err)
	}
	n := &Network{cfg: cfg, keys: newKeyring(cfg.Seed, cfg.Authorities)}
	if n.chain, err = newChain(n.keys, cfg.Clock, cfg); err != nil {
		f.Fatal(err)
	}
	n.names = wire.Names(n.Genesis())
	p := newPeer(n, 0)
	n.peers = []*Peer{p}
	p.clients = map[peer.ID]*client{"client": {announces: true, grandpa: false}}

	genesis, head := n.Genesis(), n.Finalized().Hash
	f.Add(byte(0), byte(0), (&wire.BlockRequest{Fields: wire.FieldHeader | wire.FieldBody | wire.FieldJustification, Number: 3}).Append(nil))
	f.Add(byte(0), byte(0), (&wire.BlockRequest{Fields: wire.FieldHeader, Hash: &head, Descending: true, Max: 9}).Append(nil))
	f.Add(byte(1), byte(0), (&wire.ReadRequest{Block: head, Keys: [][]byte{nowKey, {}}}).Append(nil))
	f.Add(byte(1), byte(0), (&wire.CallRequest{Block: head, Method: "AuraApi_authorities"}).Append(nil))
	f.Add(byte(2), byte(0), genesis[:])
	f.Add(byte(3), byte(0), wire.AppendFindNode(nil, []byte("key")))
	f.Add(byte(4), byte(0), wire.AppendNeighbor(nil, wire.Neighbor{Round: 1, SetID: 3, Height: 38}))
	f.Add(byte(5), byte(0), wire.AppendTransaction(nil, remark("x")))
	f.Fuzz(func(t *testing.T, protocol, kind byte, body []byte) {
		k := FaultKind(int(kind) % len(faults))
		if k == Silent {
			k = Honest
		}
		p.SetFault(Fault{Kind: k})
		clear(p.seen)
		ctx := context.Background()
		switch protocol % 6 {
		case 0:
			answer, err := p.serveSync(ctx, "client", body)
			if err == nil && k == Honest {
				blocks, err := wire.DecodeBlockResponse(answer, wire.MaxBlocks)
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range blocks {
					if h, err := verify.DecodeHeader(b.Header); b.Header != nil && (err != nil || h.Hash() != b.Hash) {
						t.Fatalf("header %x: %v", b.Header, err)
					}
				}
			}
		case 1:
			answer, err := p.serveLight(ctx, "client", body)
			if err == nil {
				if _, _, err := wire.DecodeLightResponse(answer); err != nil {
					t.Fatal(err)
				}
			}
		case 2:
			p.serveWarp(ctx, "client", body)
		case 3:
			p.serveKad(ctx, "client", body)
		case 4:
			p.grandpaMessage("client", body)
		case 5:
			p.transactionsMessage("client", body)
			n.chain.pool = pool{}
		}
	})
}

// FuzzReadGenesis: a chain spec is a file from anywhere.
func FuzzReadGenesis(f *testing.F) {
	f.Add([]byte(`{"genesis":{"raw":{"top":{"0x3a636f6465":"0x00"}}}}`))
	f.Add([]byte(`{"genesis":{"raw":{"top":{"0x3a636f6465":"00"},"childrenDefault":{"0x01":{"0x02":"0x03"}}}},"name":1}`))
	f.Add([]byte(`{"genesis":{"runtimeGenesis":{"code":"0x00","patch":{"sudo":{"key":null}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := readGenesis(b); err == nil && len(g.code) == 0 {
			t.Error("an empty runtime")
		}
	})
}
