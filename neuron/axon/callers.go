package axon

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// Why a nonce is refused.
var (
	errSeen    = errors.New("nonce is not above the last one: replayed, or out of order")
	errStarted = errors.New("signed before this axon began to remember nonces; sign again")
	errFull    = errors.New("too many callers at once")
)

// maxStamps bounds what is remembered of one caller.
const maxStamps = 256

// A stamp is the highest nonce under one tag: a v10 request's tag is its uuid, a signed HTTP request's the
// nonce itself, so that each is good once.
type stamp struct {
	tag   uint64
	nonce int64
}

// A caller is what is remembered of a hotkey that has signed something.
type caller struct {
	key    *wallet.PublicKey
	stamps []stamp
	floor  int64 // nonces up to this are refused under any tag
	seen   int64
	rate   int64 // see take
	known  bool  // registered when it was last seen
}

// callers remembers nonces so that no request is served twice. What it forgets for want of room it replaces
// by a floor under all that could have been forgotten: nothing is good twice, and at worst something is
// refused that was good. Strangers have a floor of their own, so that nobody can raise that of the subnet's
// own hotkeys by making many keys. (A hotkey that is forgotten as a stranger and registered before its last
// request is stale has the other floor then; that request could be served twice.)
type callers struct {
	max    int
	window int64 // ns after which a nonce is stale whatever it is

	mu       sync.Mutex
	m        map[verify.AccountID]*caller
	floors   [2]int64 // of who is not in m; strangers' and registered hotkeys'
	high     int64
	sweeping int64 // when it was last swept in vain
	strays   map[netip.Addr]int64
}

func newCallers(limit int, window time.Duration, floor int64) *callers {
	return &callers{max: limit, window: int64(window), m: map[verify.AccountID]*caller{}, floors: [2]int64{floor, floor}, strays: map[netip.Addr]int64{}}
}

func class(known bool) int {
	if known {
		return 1
	}
	return 0
}

// peek refuses at no cost what would be refused after the signature was checked, and returns the caller's
// key if it is at hand.
func (s *callers) peek(id verify.AccountID, tag uint64, nonce int64) (*wallet.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.m[id]
	if c == nil {
		if nonce <= min(s.floors[0], s.floors[1]) {
			return nil, errStarted
		}
		return nil, nil
	}
	return c.key, c.check(tag, nonce)
}

func (c *caller) check(tag uint64, nonce int64) error {
	if nonce <= c.floor {
		return errStarted
	}
	for i := range c.stamps {
		if c.stamps[i].tag == tag && nonce <= c.stamps[i].nonce {
			return errSeen
		}
	}
	return nil
}

// admit records a nonce whose signature is good. Of two requests with the same one, one is admitted.
func (s *callers) admit(id verify.AccountID, key *wallet.PublicKey, standing neuron.Standing, tag uint64, nonce, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.m[id]
	if c == nil {
		if nonce <= s.floors[class(standing.Registered)] {
			return errStarted
		}
		if len(s.m) >= s.max && !s.makeRoom(standing.Registered, now) {
			return errFull
		}
		c = &caller{key: key, floor: s.floors[class(standing.Registered)]}
		s.m[id] = c
	}
	if err := c.check(tag, nonce); err != nil {
		return err
	}
	c.seen, c.known = now, standing.Registered
	s.high = max(s.high, nonce)
	for i := range c.stamps {
		if c.stamps[i].tag == tag {
			c.stamps[i].nonce = nonce
			return nil
		}
	}
	if len(c.stamps) >= maxStamps {
		c.forget(now - s.window)
	}
	c.stamps = append(c.stamps, stamp{tag, nonce})
	return nil
}

// forget drops the nonces that are stale by now, and if those are few, the older half.
func (c *caller) forget(stale int64) {
	c.stamps = slices.DeleteFunc(c.stamps, func(s stamp) bool { return s.nonce < stale })
	if n := len(c.stamps); n > maxStamps/2 {
		slices.SortFunc(c.stamps, func(a, b stamp) int { return cmp.Compare(a.nonce, b.nonce) })
		c.floor = max(c.floor, c.stamps[n/2-1].nonce)
		c.stamps = slices.Delete(c.stamps, 0, n/2)
	}
}

// highest returns the caller's highest nonce.
func (c *caller) highest() int64 {
	h := c.floor
	for i := range c.stamps {
		h = max(h, c.stamps[i].nonce)
	}
	return h
}

// makeRoom drops who has nothing left that could be replayed, else the eighth of the strangers that was
// seen least lately, else for a registered newcomer the eighth of all.
func (s *callers) makeRoom(known bool, now int64) bool {
	if !known && now-s.sweeping < int64(time.Second) && now >= s.sweeping {
		return false
	}
	var old []verify.AccountID
	for id, c := range s.m {
		// A key that is dropped takes its floor with it: only once that is stale as well.
		if c.highest() < now-s.window && c.seen < now-s.window {
			delete(s.m, id)
		} else if !c.known {
			old = append(old, id)
		}
	}
	if len(s.m) < s.max {
		return true
	}
	if len(old) == 0 {
		if !known {
			s.sweeping = now
			return false
		}
		for id := range s.m {
			old = append(old, id)
		}
	}
	slices.SortFunc(old, func(a, b verify.AccountID) int { return cmp.Compare(s.m[a].seen, s.m[b].seen) })
	for _, id := range old[:len(old)/8+1] {
		f := &s.floors[class(s.m[id].known)]
		*f = max(*f, s.m[id].highest())
		delete(s.m, id)
	}
	return true
}

// allow takes one request from a caller's rate.
func (s *callers) allow(id verify.AccountID, now int64, interval, burst int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.m[id]
	return c == nil || take(&c.rate, now, interval, burst)
}

// block is the address as limits are counted by: who has one address of a /64 has all of them.
func block(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// spent reports whether an address has used up the checks that it has for strangers and for wrong signatures.
func (s *callers) spent(addr netip.Addr, now, interval, burst int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.strays[block(addr)]
	return !take(&t, now, interval, burst)
}

// spend takes one of them.
func (s *callers) spend(addr netip.Addr, now, interval, burst int64) {
	addr = block(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strays) >= s.max {
		for a, t := range s.strays {
			if t <= now {
				delete(s.strays, a)
			}
		}
		if len(s.strays) >= s.max {
			clear(s.strays)
		}
	}
	t := s.strays[addr]
	take(&t, now, interval, burst)
	s.strays[addr] = t
}

// take is a leaky bucket in one number, the time until which it is full: one drop for each interval, burst
// of them at once.
func take(until *int64, now, interval, burst int64) bool {
	t := min(max(*until, now), now+interval*burst) // a clock that was set back must not lock anybody out
	if *until = t; t-now > interval*(burst-1) {
		return false
	}
	*until += interval
	return true
}

func (s *callers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m)
}
