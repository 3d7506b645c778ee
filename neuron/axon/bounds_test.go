package axon

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

func id(n int) (a verify.AccountID) {
	a[0], a[1], a[2] = byte(n), byte(n>>8), byte(n>>16)
	return a
}

// TestNothingTwice compares the bounded store with a set that forgets nothing: whatever is refused, nothing
// is admitted a second time while it is within the window. What is not admitted although it is new is
// counted; with room enough there is none.
func TestNothingTwice(t *testing.T) {
	const window = int64(64 * time.Second)
	for _, limit := range []int{4, 16, 1000} {
		r := rand.New(rand.NewPCG(1, uint64(limit)))
		s := newCallers(limit, time.Duration(window), 0)
		type used struct {
			id    verify.AccountID
			tag   uint64
			nonce int64
		}
		admitted := map[used]bool{}
		now, wrongly, total := int64(1_000)*int64(time.Second), 0, 0
		var recent []used
		for range 20_000 {
			now += r.Int64N(int64(200 * time.Millisecond))
			who := r.IntN(40)
			u := used{id(who), uint64(r.IntN(3)), now - window/2 + r.Int64N(window)}
			if len(recent) > 0 && r.IntN(3) == 0 {
				u = recent[r.IntN(len(recent))] // a replay
			}
			if u.nonce <= now-window {
				continue // the axon refuses it before
			}
			highest := int64(0)
			for k := range admitted {
				if k.id == u.id && k.tag == u.tag {
					highest = max(highest, k.nonce)
				}
			}
			standing := neuron.Standing{Registered: u.id[0]%4 == 0}
			_, peeked := s.peek(u.id, u.tag, u.nonce)
			err := s.admit(u.id, nil, standing, u.tag, u.nonce, now)
			if err == nil && (admitted[u] || u.nonce <= highest) {
				t.Fatalf("limit %d: %+v is admitted again", limit, u)
			}
			if peeked != nil && err == nil {
				t.Fatalf("limit %d: %+v is refused before its signature is checked and admitted after", limit, u)
			}
			if total++; err != nil && u.nonce > highest {
				wrongly++
			}
			if err == nil {
				admitted[u] = true
				recent = append(recent, u)
				if len(recent) > 50 {
					recent = recent[1:]
				}
			}
			if len(s.m) > limit {
				t.Fatalf("%d callers, at most %d", len(s.m), limit)
			}
			if len(admitted) > 400 {
				for k := range admitted {
					if k.nonce <= now-window {
						delete(admitted, k)
					}
				}
			}
		}
		if limit == 1000 && wrongly > 0 {
			t.Errorf("%d of %d refused although they were new", wrongly, total)
		}
		t.Logf("limit %d: %d of %d new ones refused", limit, wrongly, total)
	}
}

// TestStrangersCannotPushOut: however many keys somebody makes, and however far ahead they date what they
// sign, registered hotkeys are served.
func TestStrangersCannotPushOut(t *testing.T) {
	const limit = 64
	s := newCallers(limit, 64*time.Second, 0)
	now := int64(1000 * time.Second)
	known := neuron.Standing{Registered: true}
	for n := range 10 {
		if err := s.admit(id(n), nil, known, 1, now, now); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10_000 {
		s.admit(id(1000+n), nil, neuron.Standing{}, 1, now+int64(60*time.Second), now+int64(n))
	}
	for n := range 10 {
		if s.m[id(n)] == nil {
			t.Errorf("registered hotkey %d is forgotten", n)
		}
	}
	for n := range 20 { // half of them for the first time
		if err := s.admit(id(n), nil, known, 1, now+1, now+20_000); err != nil {
			t.Errorf("registered hotkey %d: %v", n, err)
		}
	}
	if len(s.m) > limit {
		t.Errorf("%d callers", len(s.m))
	}
}

func TestManyTags(t *testing.T) {
	s := newCallers(10, 64*time.Second, 0)
	now := int64(1000 * time.Second)
	for n := range int64(10_000) { // a dendrite for each call, all within the window
		if err := s.admit(id(1), nil, neuron.Standing{}, uint64(n), now+n, now+n); err != nil {
			t.Fatal(n, err)
		}
	}
	if got := len(s.m[id(1)].stamps); got > maxStamps {
		t.Errorf("%d remembered", got)
	}
	for n := range int64(10_000) {
		if err := s.admit(id(1), nil, neuron.Standing{}, uint64(n), now+n, now+10_000); err == nil {
			t.Fatalf("number %d is admitted again", n)
		}
	}
}

func TestStrays(t *testing.T) {
	s := newCallers(8, time.Minute, 0)
	now := int64(time.Hour)
	s.spend(netip.MustParseAddr("2001:db8::1"), now, 1000, 1)
	if !s.spent(netip.MustParseAddr("2001:db8::2"), now, 1000, 1) || s.spent(netip.MustParseAddr("2001:db8:0:1::2"), now, 1000, 1) {
		t.Error("who has a /64 has as many chances as addresses")
	}
	for i := range 100 {
		s.spend(netip.AddrFrom4([4]byte{1, 2, 3, byte(i)}), now, 1000, 1)
		if len(s.strays) > 8 {
			t.Fatal(len(s.strays))
		}
	}
	until := int64(0)
	for i, want := range []bool{true, true, false} {
		if got := take(&until, now, 10, 2); got != want {
			t.Errorf("drop %d: %v", i, got)
		}
	}
	if !take(&until, now+10, 10, 2) || take(&until, now+10, 10, 2) {
		t.Error("one more after an interval")
	}
	if until = now + 1_000_000; take(&until, now, 10, 2) || !take(&until, now+10, 10, 2) {
		t.Error("a clock that was set back locks out")
	}
}

// TestQueue runs many at once by virtual time and compares who is served with a slow model: of those that
// wait, always the one with the highest priority that has waited longest.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2, 5)
		ctx := t.Context()
		var mu sync.Mutex
		var order []string
		var gone []string
		enter := func(ctx context.Context, name string, priority float64) {
			go func() {
				err := q.enter(ctx, priority)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					order = append(order, name)
				} else {
					gone = append(gone, name)
				}
			}()
			synctest.Wait()
		}
		enter(ctx, "a", 0)
		enter(ctx, "b", 0) // both places are taken
		enter(ctx, "low", 1)
		enter(ctx, "high", 9)
		enter(ctx, "high2", 9)
		enter(ctx, "mid", 5)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		enter(short, "short", 7)
		enter(ctx, "lowest", 0) // the sixth that waits: itself is sent away
		enter(ctx, "better", 6) // low is sent away
		if want := []string{"lowest", "low"}; !slices.Equal(gone, want) {
			t.Errorf("sent away: %q, want %q", gone, want)
		}
		<-short.Done()
		synctest.Wait()
		for range 6 {
			q.leave()
			synctest.Wait()
		}
		if want := []string{"a", "b", "high", "high2", "better", "mid"}; !slices.Equal(order, want) {
			t.Errorf("served: %q, want %q", order, want)
		}
		if gone[2] != "short" || q.free != 2 || len(q.waiting) != 0 {
			t.Errorf("%q, %d free, %d wait", gone, q.free, len(q.waiting))
		}
	})
}

// TestPlaceThatCameTooLate: who gives up in the moment in which it gets a place passes it on.
func TestPlaceThatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 5)
		if err := q.enter(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gave := make(chan error, 1)
		go func() { gave <- q.enter(ctx, 0) }()
		synctest.Wait()
		q.mu.Lock()
		cancel() // it wakes up for this, and cannot look at the queue yet
		q.pass()
		q.mu.Unlock()
		if err := <-gave; !errors.Is(err, context.Canceled) || q.free != 1 || len(q.waiting) != 0 {
			t.Errorf("%v, %d places free, %d wait", err, q.free, len(q.waiting))
		}
	})
}

// TestQueueRaces: however entering, leaving and giving up meet, no place is lost or given twice.
func TestQueueRaces(t *testing.T) {
	q := newQueue(3, 4)
	var mu sync.Mutex
	in := 0
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				go cancel()
			}
			defer cancel()
			if err := q.enter(ctx, float64(i%5)); err != nil {
				if !errors.Is(err, errBusy) && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			if in++; in > 3 {
				t.Error("too many at once")
			}
			mu.Unlock()
			mu.Lock()
			in--
			mu.Unlock()
			q.leave()
		})
	}
	wg.Wait()
	if q.free != 3 || len(q.waiting) != 0 {
		t.Errorf("%d places free, %d wait", q.free, len(q.waiting))
	}
}

// TestMemory holds what 1,000 callers with their nonces and keys take to the 24 MiB that an axon may take for
// them.
func TestMemory(t *testing.T) {
	alice, err := wallet.ParsePublicKey(key(t, "//Alice").Account())
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := newCallers(4096, 64*time.Second, 0)
	for n := range 1000 {
		for i := range maxStamps {
			pub := *alice // each has a key of its own
			s.admit(id(n), &pub, neuron.Standing{}, uint64(i), int64(i+1), 1)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	size := after.HeapAlloc - before.HeapAlloc
	t.Logf("%d bytes for 1,000 callers with %d nonces each", size, maxStamps)
	if size > 24<<20 {
		t.Errorf("%d bytes for 1,000 callers", size)
	}
	runtime.KeepAlive(s)
}
