package p2p

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func dials(from, to *Host) error {
	return from.Connect(context.Background(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()})
}

// TestQuiet: a quiet host has no connection, held or not, takes none and makes none; afterwards it is where it was.
// Nothing is left of many such changes.
func TestQuiet(t *testing.T) {
	a, b := server(t, Config{}), server(t, Config{})
	connect(t, a, b)
	goroutines := 0
	for i := range 10 {
		a.Hold(b.ID(), true)
		where := a.FullAddrs()
		if err := a.Quiet(true); err != nil {
			t.Fatal(err)
		}
		eventually(t, "connections are closed", func() bool { return len(a.Peers()) == 0 && len(b.Peers()) == 0 })
		if dials(a, b) == nil || dials(b, a) == nil || len(a.Peers()) > 0 {
			t.Fatal("a quiet host has a connection")
		}
		if len(a.Addrs()) > 0 {
			t.Fatalf("a quiet host listens on %v", a.Addrs())
		}
		a.Quiet(true) // twice is once
		if i == 0 {
			goroutines = runtime.NumGoroutine()
		} else {
			goroutinesEnd(t, goroutines)
		}
		if err := a.Quiet(false); err != nil {
			t.Fatal(err)
		}
		if now := a.FullAddrs(); len(now) != len(where) || !now[0].Equal(where[0]) {
			t.Fatalf("it listened on %v, and now on %v", where, now)
		}
		connect(t, b, a)
	}
}

// TestOnly: a host that takes connections of some peers alone refuses others before identify, keeps what it has,
// and dials whom it will.
func TestOnly(t *testing.T) {
	a, b, c, d := server(t, Config{}), server(t, Config{}), server(t, Config{}), server(t, Config{})
	connect(t, c, a)
	a.Only(map[peer.ID]bool{b.ID(): true})
	d.Connect(t.Context(), peer.AddrInfo{ID: a.ID(), Addrs: a.Addrs()}) // that it is refused is told after it has dialled
	eventually(t, "the stranger is gone", func() bool { return len(d.Peers()) == 0 })
	if slices.Contains(a.Peers(), d.ID()) {
		t.Error("a stranger is connected")
	}
	if told, err := a.Libp2p().Peerstore().GetProtocols(d.ID()); err != nil || len(told) > 0 {
		t.Errorf("the stranger told what it speaks: %v %v", told, err)
	}
	connect(t, b, a)
	if !slices.Contains(a.Peers(), c.ID()) {
		t.Error("who was connected is gone")
	}
	connect(t, a, d)
	a.Disconnect(d.ID())
	a.Only(nil)
	eventually(t, "the connection has ended", func() bool { return len(d.Peers()) == 0 })
	connect(t, d, a)
}

// TestLimit: the host closes itself in the middle of an answer that would pass the limit, and can be opened again
// under another.
func TestLimit(t *testing.T) {
	a, b := pair(t)
	b.HandleRequests("/big", 64, func(context.Context, peer.ID, []byte) ([]byte, error) { return bytes.Repeat([]byte{1}, 4<<20), nil })
	in, out := a.Traffic()
	const room = 100_000
	a.Limit(in + out + room)
	if _, err := a.Request(t.Context(), b.ID(), "/big", nil, 8<<20); err == nil {
		t.Fatal("an answer of 4 MiB came through a limit of 100 kB")
	}
	eventually(t, "connections are closed", func() bool { return len(a.Peers()) == 0 })
	i, o := a.Traffic()
	if moved := i + o - in - out; moved > 10*room {
		t.Errorf("%d bytes were moved", moved)
	}
	if dials(a, b) == nil {
		t.Error("it dials beyond its limit")
	}
	a.Limit(0)
	a.Quiet(false)
	if err := dials(a, b); err != nil || a.swarm.Connectedness(b.ID()) != network.Connected {
		t.Error(err)
	}
}
