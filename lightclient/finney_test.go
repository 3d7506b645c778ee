package lightclient_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// TestFinney joins finney's own checkpoint through a loopback peer that carries the real header
// 8,867,448 and the real read proof of its Aura list (testdata/finney-8867448-aura-proof.json, public
// chain data). The peer has no finality above it to prove, as nobody here has finney's keys.
func TestFinney(t *testing.T) {
	finney, err := checkpoint.ByName("finney")
	if err != nil {
		t.Fatal(err)
	}
	cp := finney.Checkpoint
	raw, err := os.ReadFile("testdata/finney-8867448-aura-proof.json")
	if err != nil {
		t.Fatal(err)
	}
	var capture struct {
		BlockHash, Key string
		Proof          []string
	}
	if err := json.Unmarshal(raw, &capture); err != nil {
		t.Fatal(err)
	}
	var nodes [][]byte
	for _, s := range capture.Proof {
		b, err := verify.ParseHex(s)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, b)
	}

	host, err := p2p.New(p2p.Config{Listen: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0/ws")}, UserAgent: "loopback"})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	names := wire.Names(finney.Genesis)
	var back *p2p.Notifications
	back = host.Notifications(p2p.NotificationsConfig{
		Protocol: names.BlockAnnounces,
		Handshake: func() []byte {
			return (&wire.Handshake{Role: wire.RoleFull, BestNumber: cp.Number, BestHash: cp.Hash, Genesis: finney.Genesis}).Append(nil)
		},
		MaxHandshake: 1024, MaxMessage: 1024,
		Accept: func(id peer.ID, _ []byte) bool {
			go back.Open(context.Background(), id)
			return true
		},
		Message: func(peer.ID, []byte) {},
	})
	host.HandleRequests(names.Warp, 32, func(_ context.Context, _ peer.ID, body []byte) ([]byte, error) {
		if verify.Hash(body) != cp.Hash {
			t.Errorf("asked to warp from %x", body)
		}
		return (&grandpa.WarpProof{Finished: true}).Append(nil), nil
	})
	host.HandleRequests(names.Light, wire.MaxRequest, func(_ context.Context, _ peer.ID, body []byte) ([]byte, error) {
		return wire.AppendReadResponse(nil, trie.AppendProof(nil, nodes)), nil
	})

	n := newNotes(t)
	var addrs []string
	for _, a := range host.FullAddrs() {
		addrs = append(addrs, a.String())
	}
	node, _ := startNode(t, lightclient.Config{Checkpoint: cp, Peers: addrs, Version: "test", Notes: n.add})
	n.wait(0, "warp done: #8867448")
	s := status(t, node)
	if s.Finalized.Number != 8867448 || s.Finalized.Hash != "0x511948e96e1d479d0a92d89bb976638780f2c65a93a5d5be710f22ee15c60200" ||
		s.Finalized.Trust != "checkpoint" || s.SetID != 6 || s.Voters != 20 {
		t.Errorf("finalized %+v, set %d of %d", s.Finalized, s.SetID, s.Voters)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := node.Read(ctx, verify.StorageKey("Aura", "Authorities"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := aura.DecodeAuthorities(r.Values[0].Value)
	if err != nil || !slices.Equal(list, cp.Aura) {
		t.Errorf("the proven list is %v, the header announced %v (%v)", list, cp.Aura, err)
	}
	if r.Number != 8867448 || r.Values[0].Outcome != trie.Present {
		t.Errorf("read %+v", r)
	}
}
