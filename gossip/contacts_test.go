package gossip

import (
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func newID(t testing.TB) peer.ID {
	t.Helper()
	_, pub, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func book(t testing.TB, private bool) *contacts {
	return newContacts(newID(t), mrand.New(mrand.NewPCG(1, 1)), private)
}

func addr(s string, args ...any) ma.Multiaddr { return ma.StringCast(fmt.Sprintf(s, args...)) }

// TestNeighbourhoods: whoever owns one /16 cannot fill the places, nor the book.
func TestNeighbourhoods(t *testing.T) {
	b := book(t, false)
	for i := range 200 {
		b.add(newID(t), []ma.Multiaddr{addr("/ip4/45.67.%d.%d/tcp/30334", i/250, 1+i%250)}, told)
	}
	if n := len(b.list); n != maxNearTold {
		t.Errorf("%d contacts of one /16", n)
	}
	for i := range 5 {
		b.add(newID(t), []ma.Multiaddr{addr("/ip4/8.%d.1.1/tcp/30334", i)}, told)
	}
	got := b.candidates(start, 20, nil, false)
	near := 0
	for _, c := range got {
		if p, _ := hood(c.addrs[0]); p.String() == "45.67.0.0/16" {
			near++
		}
	}
	if near != maxNear || len(got) != maxNear+5 {
		t.Errorf("%d candidates, %d of one /16", len(got), near)
	}
	on := map[peer.ID]ma.Multiaddr{}
	for _, c := range got {
		on[c.ID] = c.addrs[0]
	}
	if !b.crowded(addr("/ip4/45.67.200.1/tcp/1"), on) || b.crowded(addr("/ip4/9.9.9.9/tcp/1"), on) || b.crowded(addr("/ip4/192.168.1.1/tcp/1"), on) {
		t.Error("who is one too many?")
	}
	for _, c := range b.candidates(start, 20, on, false) {
		if p, _ := hood(c.addrs[0]); p.String() == "45.67.0.0/16" {
			t.Error("a fourth of one /16")
		}
	}
}

// TestTold: what cannot be dialled, or lies in a private network, is not kept from a stranger's word.
func TestTold(t *testing.T) {
	for text, want := range map[string][2]bool{ // told of; told of where private networks are dialled
		"/ip4/8.8.4.4/tcp/1": {true, true}, "/ip4/8.8.4.4/tcp/1/ws": {true, true}, "/ip6/2a00::1/tcp/1": {true, true},
		"/ip4/192.168.1.2/tcp/1": {false, true}, "/ip4/127.0.0.1/tcp/1": {false, true}, "/ip4/100.64.0.1/tcp/1": {false, true},
		"/ip4/0.0.0.0/tcp/1": {}, "/ip4/8.8.4.4/udp/1/quic-v1": {}, "/dns/example.com/tcp/1": {}, "/ip4/224.0.0.1/tcp/1": {},
	} {
		for i, private := range []bool{false, true} {
			b := book(t, private)
			b.add(newID(t), []ma.Multiaddr{addr("%s", text)}, told)
			if (len(b.list) == 1) != want[i] {
				t.Errorf("%s, private %v: kept %v", text, private, len(b.list) == 1)
			}
		}
	}
	b := book(t, true)
	b.add(b.self, []ma.Multiaddr{addr("/ip4/8.8.4.4/tcp/1")}, told)
	if len(b.list) != 0 {
		t.Error("the node knows itself")
	}
	for i := range 2 * maxContacts {
		b.add(newID(t), []ma.Multiaddr{addr("/ip4/%d.%d.1.1/tcp/1", 1+i%200, i/200)}, told)
	}
	if len(b.list) > maxContacts {
		t.Errorf("%d contacts", len(b.list))
	}
}

// TestAnchors: the oldest neighbours that we chose are dialled first after a restart.
func TestAnchors(t *testing.T) {
	b := book(t, false)
	var ids []peer.ID
	for i := range 10 {
		id := newID(t)
		ids = append(ids, id)
		b.add(id, []ma.Multiaddr{addr("/ip4/9.%d.1.1/tcp/1", i)}, told)
		b.worked(id, start.Add(time.Duration(i)*time.Minute))
	}
	records := b.save(64, ids[2:4])
	if len(records) != 10 {
		t.Fatalf("%d records", len(records))
	}
	again := book(t, false)
	for _, r := range records {
		if err := again.load(r); err != nil {
			t.Fatal(err)
		}
	}
	first := again.candidates(start.Add(time.Hour), 1, nil, false)[0]
	if !first.Anchor || first.ID != ids[2] && first.ID != ids[3] {
		t.Errorf("the first to be dialled is %+v", first)
	}
	for range 2 * forgetFailed {
		again.failed(ids[2], start, false)
		again.failed(ids[5], start, false)
	}
	if again.list[ids[2]] == nil || again.list[ids[5]] != nil {
		t.Error("an anchor is kept through failures, others are not")
	}
	if c := again.list[ids[2]]; c.next.Sub(start) > 2*backoffMax || !c.next.After(start) {
		t.Errorf("it may be dialled again at %v", c.next)
	}
	for _, bad := range []string{"", "{}", `{"id":"x"}`, `{"id":"` + newID(t).String() + `","addrs":["/ip4/10.0.0.1/tcp/1"],"source":"told"}`} {
		if err := again.load([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestPeersAnswer: what is told is read back, and nothing longer.
func TestPeersAnswer(t *testing.T) {
	b := book(t, false)
	for i := range 40 {
		id := newID(t)
		b.add(id, []ma.Multiaddr{addr("/ip4/9.%d.1.1/tcp/1", i)}, told)
		b.worked(id, start)
	}
	addrs := b.sample(maxTold, false, "")
	raw := appendPeers(nil, addrs)
	got, err := decodePeers(raw)
	if err != nil || len(got) != maxTold || len(raw) > maxPeersSize {
		t.Fatalf("%d peers in %d bytes, %v", len(got), len(raw), err)
	}
	for i, p := range got {
		if !p.Addrs[0].Equal(b.list[p.ID].addrs[0]) {
			t.Errorf("peer %d: %v", i, p)
		}
	}
	if _, err := decodePeers(append(raw, 0)); !errors.Is(err, ErrAnswer) {
		t.Errorf("a byte more: %v", err)
	}
}

func FuzzPeers(f *testing.F) {
	f.Add(appendPeers(nil, []ma.Multiaddr{addr("/ip4/9.9.9.9/tcp/1/p2p/12D3KooWMwdHZiUT9gXYfjEE1dYUHbvyvjMQAKU7UQ8X8GGiYHpZ")}))
	f.Add([]byte{4, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := decodePeers(b); err == nil && len(list) > maxTold {
			t.Errorf("%d peers", len(list))
		}
	})
}

func FuzzContact(f *testing.F) {
	b := book(f, false)
	id := newID(f)
	b.add(id, []ma.Multiaddr{addr("/ip4/9.9.9.9/tcp/1")}, met)
	b.worked(id, start)
	for _, r := range b.save(9, nil) {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		b := newContacts("", mrand.New(mrand.NewPCG(1, 1)), false)
		if b.load(record) != nil {
			return
		}
		b.save(9, nil)
		for _, c := range b.list {
			if len(c.addrs) == 0 || len(c.addrs) > maxAddrs {
				t.Errorf("%d addresses", len(c.addrs))
			}
		}
	})
}
