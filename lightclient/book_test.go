package lightclient

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func testID(t *testing.T, n byte) peer.ID {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(strings.NewReader(strings.Repeat(string(rune(n)), 64)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newBook() *Book { return NewBook(rand.New(rand.NewPCG(1, 1))) }

func TestBookAddresses(t *testing.T) {
	id := testID(t, 1)
	for addr, want := range map[string]struct{ given, told bool }{
		"/ip4/203.0.113.7/tcp/30333":                 {true, true},
		"/ip4/203.0.113.7/tcp/30333/ws":              {true, true},
		"/ip6/2001:db8::1/tcp/30333":                 {true, true},
		"/dns/bootnode.example/tcp/30333/ws":         {true, true},
		"/dns4/bootnode.example/tcp/30333":           {true, true},
		"/ip4/192.168.1.9/tcp/30333":                 {true, false},
		"/ip4/10.0.0.9/tcp/30333":                    {true, false},
		"/ip4/100.64.3.9/tcp/30333":                  {true, false}, // carrier NAT
		"/ip4/127.0.0.1/tcp/30333":                   {true, false},
		"/ip6/::1/tcp/30333":                         {true, false},
		"/ip6/fd00::1/tcp/30333":                     {true, false},
		"/ip6/::ffff:192.168.1.9/tcp/30333":          {true, false},
		"/ip4/169.254.1.1/tcp/30333":                 {true, false},
		"/ip4/0.0.0.0/tcp/30333":                     {true, false},
		"/ip4/224.0.0.1/tcp/30333":                   {true, false},
		"/ip4/203.0.113.7/udp/30333/quic-v1":         {false, false},
		"/ip4/203.0.113.7/tcp/30333/wss":             {false, false},
		"/ip4/203.0.113.7/udp/30333":                 {false, false},
		"/dnsaddr/bootnode.example":                  {false, false},
		"/ip4/203.0.113.7/tcp/1/ws/p2p-circuit":      {false, false},
		"/unix/tmp%2fsocket":                         {false, false},
		"/ip4/203.0.113.7/tcp/30333/ws/tcp/30334/ws": {false, false},
	} {
		b := newBook()
		if err := b.AddGiven(addr+"/p2p/"+id.String(), "given"); (err == nil) != want.given {
			t.Errorf("given %s: %v", addr, err)
		}
		m, err := ma.NewMultiaddr(addr)
		if err != nil {
			continue
		}
		b = newBook()
		b.AddTold(id, []ma.Multiaddr{m})
		if (b.Len() == 1) != want.told {
			t.Errorf("told %s: %d contacts", addr, b.Len())
		}
	}
	for _, bad := range []string{"", "x", "/ip4/203.0.113.7/tcp/30333", "/ip4/203.0.113.7/tcp/30333/p2p/x", "/p2p/" + id.String()} {
		if err := newBook().AddGiven(bad, "given"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("given %q: %v", bad, err)
		}
	}
}

// TestBookBounds: told addresses are hostile in number too.
func TestBookBounds(t *testing.T) {
	b := newBook()
	if err := b.AddGiven("/ip4/203.0.113.1/tcp/1/p2p/"+testID(t, 1).String(), "bootnode"); err != nil {
		t.Fatal(err)
	}
	var many []ma.Multiaddr
	for i := range 100 {
		many = append(many, ma.StringCast(fmt.Sprintf("/ip4/203.0.113.7/tcp/%d", i+1)))
	}
	for i := range 2 * maxBook {
		id := peer.ID(fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", i))
		b.AddTold(id, many)
	}
	if b.Len() > maxBook {
		t.Errorf("%d contacts, at most %d allowed", b.Len(), maxBook)
	}
	for _, c := range b.contacts {
		if len(c.Addrs) > maxAddresses {
			t.Fatalf("%d addresses of one peer", len(c.Addrs))
		}
	}
	if b.contacts[testID(t, 1)] == nil {
		t.Error("the bootnode was forgotten")
	}
	// A flood from one neighbourhood does not fill the connections.
	now := time.Now()
	got := b.Candidates(now, 8, nil, nil)
	if len(got) > maxPerSubnet+1 {
		t.Errorf("%d candidates, all but one in 203.0/16", len(got))
	}
	if len(got) == 0 || !got[0].pinned() {
		t.Error("the bootnode is not the first candidate")
	}
}

func TestBookBackoffAndBans(t *testing.T) {
	b := newBook()
	id := testID(t, 2)
	if err := b.AddGiven("/ip4/203.0.113.2/tcp/1/p2p/"+id.String(), "given"); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	ready := func() bool { return len(b.Candidates(now, 8, nil, nil)) == 1 }
	if !ready() {
		t.Fatal("a new contact is no candidate")
	}
	var last time.Duration
	for range 20 { // failures: the wait grows to a bound, and a given contact is never forgotten
		b.Failed(id, now, false, errors.New("refused"))
		wait := b.contacts[id].next.Sub(now)
		if wait <= 0 || wait > 2*dialBackoffMax {
			t.Fatalf("wait of %v", wait)
		}
		last = wait
		if ready() {
			t.Fatal("a candidate while it backs off")
		}
		now = now.Add(wait)
	}
	if last < dialBackoffMax/2 {
		t.Errorf("the wait after twenty failures is only %v", last)
	}
	b.Worked(id, now, false)
	b.Failed(id, now, true, errors.New("no slot")) // a refusal is no failure
	if wait := b.contacts[id].next.Sub(now); wait > 2*refusedBackoff || b.contacts[id].Fails != 0 {
		t.Errorf("wait of %v after a refusal, %d failures", wait, b.contacts[id].Fails)
	}

	b.Ban(id, now.Add(time.Hour), "warp proof: bad signature")
	now = now.Add(30 * time.Minute)
	if ready() || !b.IsBanned(id, now) {
		t.Error("a banned peer is a candidate")
	}
	saved := b.Unsaved(now)
	if len(saved) != 1 {
		t.Fatalf("%d contacts to save", len(saved))
	}
	if again := b.Unsaved(now); len(again) != 0 {
		t.Errorf("%d contacts to save again, though nothing changed", len(again))
	}
	// A restart keeps the ban with its reason and its end.
	b2 := newBook()
	if err := b2.Load(saved[string(id)]); err != nil {
		t.Fatal(err)
	}
	banned := b2.Banned(now)
	if len(banned) != 1 || banned[0].BanReason != "warp proof: bad signature" || !banned[0].BannedUntil.Equal(b.contacts[id].BannedUntil) {
		t.Errorf("after a restart: %+v", banned)
	}
	now = now.Add(time.Hour)
	if b2.IsBanned(id, now) || len(b2.Candidates(now, 8, nil, nil)) != 1 {
		t.Error("a ban that is over still holds")
	}
	for _, junk := range []string{"", "{}", "[]", `{"id":"x"}`, `{"id":"` + id.String() + `","addrs":["/ip4/10.0.0.1/tcp/1","y"]}`} {
		b := newBook()
		b.Load([]byte(junk))
		if b.Len() != 0 {
			t.Errorf("loaded a contact from %q", junk)
		}
	}
}

// TestBookLight: a contact that was a light node is one after a restart too, and one that the user named and nobody
// has met may be one.
func TestBookLight(t *testing.T) {
	b := newBook()
	full, light, given, kad := testID(t, 11), testID(t, 12), testID(t, 13), testID(t, 14)
	for _, id := range []peer.ID{full, light, given} {
		if err := b.AddGiven("/ip4/203.0.113.2/tcp/1/p2p/"+id.String(), "given"); err != nil {
			t.Fatal(err)
		}
	}
	b.AddTold(kad, []ma.Multiaddr{ma.StringCast("/ip4/203.0.113.3/tcp/1")})
	now := time.Unix(1_800_000_000, 0)
	b.Worked(full, now, false)
	b.Worked(light, now, true)
	sure := func(b *Book) (ids []peer.ID) {
		for _, c := range b.Candidates(now, 8, nil, (*Contact).doubtful) {
			ids = append(ids, c.ID)
		}
		slices.Sort(ids)
		return ids
	}
	want := []peer.ID{full, kad}
	slices.Sort(want)
	if got := sure(b); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	kept := newBook()
	for _, record := range b.Unsaved(now) {
		if err := kept.Load(record); err != nil {
			t.Fatal(err)
		}
	}
	if got := sure(kept); !slices.Equal(got, []peer.ID{full}) || kept.Len() != 2 {
		t.Errorf("after a restart %v of %d", got, kept.Len())
	}
	b.Worked(light, now.Add(time.Minute), false) // it is another program now
	if len(b.Unsaved(now)) != 1 || len(sure(b)) != 3 {
		t.Error("that a light node has become a full one is not known")
	}
}
