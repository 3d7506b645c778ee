package demonet

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

func TestSync(t *testing.T) {
	n := network(t, Config{Peers: 1, History: 600, SetChangeEvery: 100, Quiet: true})
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
	n := network(t, Config{Peers: 1, History: 300, Quiet: true})
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
	// Calls are answered as by a node whose runtime has no such method: without a proof, and at once.
	for _, method := range []string{"AuraApi_authorities", "Core_version", "Metadata_metadata", "no such method"} {
		q := wire.CallRequest{Block: at.Hash(), Method: method}
		if proof, ok, err := wire.DecodeLightResponse(l.request(p, l.names.Light, q.Append(nil))); ok || err != nil {
			t.Errorf("%s, which nobody can execute, has the proof %x: %v", method, proof, err)
		}
	}
}

// TestArchive: on request the last peer keeps what the others have discarded.
func TestArchive(t *testing.T) {
	n := network(t, Config{Peers: 2, History: 300, Archive: true, Quiet: true})
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
	n := network(t, Config{Peers: 1, History: 400, SetChangeEvery: 10, Quiet: true})
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
	g, err := readGenesis(b.Bytes())
	if err != nil || !bytes.Equal(g.code, imitated(n.chain).layout.code) {
		t.Errorf("code of the spec: %v", err)
	}
}
