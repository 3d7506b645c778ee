package lightclient

import (
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
)

// TestOrders: another order changes the requests that the machine makes, from the next event on.
func TestOrders(t *testing.T) {
	net := demo(t, demonet.Config{History: 20, SetChangeEvery: 40, Slack: 4000})
	b := newBench(t, net, SyncConfig{})
	b.open()
	b.run(5 * time.Second)
	blocks := func(n int) {
		for range n {
			b.step(true)
			b.run(2 * time.Second)
		}
	}
	hears := func() (n int) {
		for id := range b.peers {
			if !b.deaf[id] {
				n++
			}
		}
		return n
	}

	blocks(30)
	b.at(net.Finalized().Header.Number)
	if got := b.requests[WarpRequest]; hears() != listeners || got > len(b.peers)+1 {
		t.Fatalf("following: %d of %d peers are listened to, %d warp requests", hears(), len(b.peers), got)
	}

	packets := len(b.packets)
	warps := b.requests[WarpRequest]
	b.emit(Ordered{Finality: Pull, Every: 50 * time.Second})
	b.run(0)
	if hears() != 0 {
		t.Fatal("commits are listened to while finality is pulled")
	}
	before := b.s.Chain().Finalized().Header.Number
	blocks(100) // 200 s
	switch got := b.requests[WarpRequest] - warps; {
	case got < 4 || got > 5:
		t.Errorf("%d warp requests in 200 s at one in 50 s", got)
	case b.s.Chain().Finalized().Header.Number < before+70:
		t.Errorf("from %d to %d in 100 blocks", before, b.s.Chain().Finalized().Header.Number)
	case len(b.packets) != packets:
		t.Error("neighbour packets are sent while finality is pulled")
	}

	// Still: nobody is asked, by whatever reason, and nothing wakes the machine in between.
	requests := b.requests[WarpRequest]
	b.emit(Ordered{Finality: None, Closed: true})
	for id := range b.peers {
		b.emit(PeerClosed{id})
	}
	b.run(0)
	if _, wake := b.s.Process(b.now); wake.Sub(b.now) != asleep {
		t.Errorf("wakes after %v while there is nobody to ask", wake.Sub(b.now))
	}
	for range 100 {
		b.step(false)
		b.run(2 * time.Second)
	}
	if b.requests[WarpRequest] != requests {
		t.Errorf("%d warp requests while still", b.requests[WarpRequest]-requests)
	}

	// Awake again, it asks at once, long before a pull is due.
	b.emit(Ordered{Finality: Pull, Every: time.Hour})
	b.open()
	b.run(time.Second)
	b.at(net.Finalized().Header.Number)
	b.emit(Ordered{Finality: Follow})
	b.run(time.Second)
	if hears() != listeners {
		t.Errorf("%d of %d peers are listened to again", hears(), len(b.peers))
	}
	warps = b.requests[WarpRequest]
	blocks(30)
	b.at(net.Finalized().Header.Number)
	if got := b.requests[WarpRequest] - warps; got > 0 {
		t.Errorf("%d warp requests while commits come", got)
	}
}

// TestLevelTraffic lets four hours of the main network's pace, with its number of authorities, pass at the orders
// of each level in virtual time, and holds the bytes of all messages to the daily budgets. What libp2p adds
// (handshakes, framing, keepalives) is not in it: that is measured on a running node (make budget).
func TestLevelTraffic(t *testing.T) {
	const blocks = 1200
	for _, l := range []struct {
		name  string
		peers int
		o     Ordered
		most  int // bytes in a day
		sleep int // blocks between windows; 0: never
	}{
		{"full", 8, Ordered{Finality: Follow}, 60e6, 0},
		{"eco", 2, Ordered{Finality: Pull, Every: 300 * time.Second}, 6e6, 0},
		{"survive", 2, Ordered{Finality: Pull, Every: time.Hour}, 1e6, 300},
		{"park", 2, Ordered{Finality: None, Closed: true}, 0, 0},
	} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			net := demo(t, demonet.Config{History: 20, Authorities: 20, Peers: l.peers, SetChangeEvery: -1, BlockTime: 12 * time.Second, Slack: 4000})
			b := newBench(t, net, SyncConfig{})
			b.open()
			b.run(5 * time.Second)
			b.emit(l.o)
			b.run(time.Second)
			b.in, b.out = 0, 0
			open := true
			for n := range blocks {
				if want := !l.o.Closed && (l.sleep == 0 || n%l.sleep < 10); want != open {
					o := l.o
					o.Closed = !want
					b.emit(o)
					if open = want; want {
						b.open()
					} else {
						for id := range b.peers {
							b.emit(PeerClosed{id})
						}
					}
					b.run(0)
				}
				b.step(open)
				b.run(12 * time.Second)
			}
			day := (b.in + b.out) * 7200 / blocks
			t.Logf("%s, %d peers: %.3f MB a day in messages, %d warp requests in four hours", l.name, l.peers, float64(day)/1e6, b.requests[WarpRequest])
			if day > l.most {
				t.Errorf("%d bytes a day, at most %d", day, l.most)
			}
			if final := net.Finalized().Header.Number; !l.o.Closed && b.s.Chain().Finalized().Header.Number+320 < final {
				t.Errorf("block %d is final here, %d on the chain", b.s.Chain().Finalized().Header.Number, final)
			}
		})
	}
}
