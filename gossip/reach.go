package gossip

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/verify"
)

// Whether a port of a machine can be reached from elsewhere, its neighbours can find out:
//
//	/taolight/<genesis>/reach/1     a TCP port, u16 as in SCALE
//	    -> [1] 0: it does not answer, 1: it does, 2: it was not tried; and why, at most 32 bytes
//
// Who is asked dials the address that the question came from and no other, so nobody is made to knock at
// somebody else's door. What it answers is its word, and proves nothing.
const (
	maxReachWhy  = 32
	reachTime    = 5 * time.Second // for a dial
	reachWait    = 10 * time.Second
	reachEvery   = time.Minute // between two questions of one neighbour to another
	maxReaching  = 2           // dials at a time
	maxReachers  = 64          // neighbours, whoever they were, that are dialled for within a minute
	maxReachAsks = 3
)

// Outcomes of a question.
const (
	unreached byte = iota
	reached
	untried
)

// Errors of Reach.
var (
	// ErrNobody: no light node is connected that could try.
	ErrNobody = errors.New("none is connected that could try")
	// ErrAsked: it is too soon to ask again.
	ErrAsked = errors.New("each was asked within this minute")
	// ErrPort: nobody tries that port.
	ErrPort = errors.New("nobody tries a port below 1024 but 80 and 443")
)

// Reached is what neighbours say of a port of this machine.
type Reached struct {
	Port  uint16 `json:"port"`
	OK    bool   `json:"reached"`
	Tried bool   `json:"tried"`          // false: those who were asked did not try
	By    string `json:"by,omitempty"`   // short form of the neighbour's id, who reached it or did not
	Over  string `json:"over,omitempty"` // "IPv6", "the local network" or "loopback"; empty: IPv4
	Why   string `json:"why,omitempty"`  // not
}

func reachProtocol(genesis verify.Hash) protocol.ID { return protocol.ID(prefix(genesis) + "reach/1") }

// reachable reports whether a port is one that neighbours try: what runs below 1024 is seldom one's own.
func reachable(port uint16) bool { return port >= 1024 || port == 80 || port == 443 }

// Ranks of addresses: the lower, the more of the internet shows who is seen there.
const (
	seenByFour = iota
	seenBySix
	seenOnLAN
	seenHere
)

// placeOf returns the rank of an address, and in words what it shows less by than the internet of most axons.
func placeOf(ip netip.Addr) (rank int, over string) {
	switch {
	case ip.IsLoopback():
		return seenHere, "loopback"
	case isPrivate(ip):
		return seenOnLAN, "the local network"
	case ip.Is6():
		return seenBySix, "IPv6"
	}
	return seenByFour, ""
}

// whyNot puts the error of a dial in a word, so that an answer tells nothing else of this machine.
func whyNot(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "timed out"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route"
	}
	return "failed"
}

// serveReach answers neighbours until ctx ends.
func (n *Node) serveReach(ctx context.Context) {
	n.cfg.Host.SetStreamHandler(reachProtocol(n.cfg.Genesis), func(s network.Stream) {
		id := s.Conn().RemotePeer()
		if !n.mayAsk(id) {
			s.Reset()
			return
		}
		s.SetDeadline(time.Now().Add(exchangeTime))
		b, err := readAll(s, 2)
		n.asked() // a dial has a place of its own
		if err != nil || len(b) != 2 || !n.mayReach(id) {
			s.Reset()
			return
		}
		outcome, why := n.knock(ctx, s.Conn().RemoteMultiaddr(), binary.LittleEndian.Uint16(b))
		if _, err := s.Write(append([]byte{outcome}, why...)); err != nil {
			s.Reset()
			return
		}
		s.Close()
	})
}

// mayReach takes a neighbour's one question of this minute.
func (n *Node) mayReach(id peer.ID) bool {
	now := n.cfg.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for other, at := range n.reachers {
		if d := now.Sub(at); d < 0 || d >= reachEvery { // or the clock was set back
			delete(n.reachers, other)
		}
	}
	if _, ok := n.reachers[id]; ok || n.neighbours[id] == nil || len(n.reachers) >= maxReachers {
		return false
	}
	n.reachers[id] = now
	return true
}

// knock dials a port at the address at the other end of a connection.
func (n *Node) knock(ctx context.Context, from ma.Multiaddr, port uint16) (outcome byte, why string) {
	ip, ok := ipOf(from)
	if !ok || !dialable(from, true) { // by way of a relay, say, whose address it is then
		return untried, "no address"
	}
	switch {
	case n.cfg.Dial == nil:
		return untried, "not here"
	case !reachable(port):
		return untried, "not that port"
	case ip.IsLoopback() && !n.cfg.Private: // a tunnel's end, and what listens there is this machine's
		return untried, "not over loopback"
	case n.Params().ServeOnly && !isPrivate(ip):
		return untried, "saves power"
	}
	n.mu.Lock()
	if n.reaching >= maxReaching {
		n.mu.Unlock()
		return untried, "busy"
	}
	n.reaching++
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.reaching--
		n.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	c, err := n.cfg.Dial(ctx, "tcp", netip.AddrPortFrom(ip, port).String())
	if err != nil {
		return unreached, whyNot(err)
	}
	c.Close()
	return reached, ""
}

// A Dialer is net.Dialer's DialContext, or what stands for it.
type Dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// decodeReach decodes an answer. The words are somebody else's, and are shown: they have small letters only.
func decodeReach(b []byte) (outcome byte, why string, err error) {
	if len(b) == 0 || len(b) > 1+maxReachWhy || b[0] > untried || b[0] == reached && len(b) > 1 {
		return 0, "", fmt.Errorf("reach: %w", ErrAnswer)
	}
	for _, c := range b[1:] {
		if c != ' ' && (c < 'a' || c > 'z') {
			return 0, "", fmt.Errorf("reach: %w", ErrAnswer)
		}
	}
	if why = string(b[1:]); why == "" && b[0] != reached {
		why = "no reason is given"
	}
	return b[0], why, nil
}

// Reach asks up to three neighbours, one after the other until one does, to reach a TCP port of this machine, at the
// address by which each sees it. Those that see the most of the internet come first, and a neighbour that sees less is
// not asked once one has tried: that a LAN reaches it says nothing against the internet that does not. It dials
// nobody, and asks the same neighbour once a minute at most. Its errors are ErrPort, ErrNobody, ErrAsked
// and ctx's.
func (n *Node) Reach(ctx context.Context, port uint16) (Reached, error) {
	return n.reach(ctx, port, n.askReach)
}

type askReach = func(ctx context.Context, id peer.ID, port uint16) (outcome byte, why string, err error)

func (n *Node) reach(ctx context.Context, port uint16, ask askReach) (Reached, error) {
	r := Reached{Port: port}
	if !reachable(port) {
		return r, fmt.Errorf("port %d: %w", port, ErrPort)
	}
	most := seenHere // rank of whom to ask
	for asked := range maxReachAsks {
		id, rank, over, err := n.nextToReach(n.cfg.Now(), most)
		if err != nil && asked == 0 {
			return r, err
		}
		if err != nil {
			break
		}
		outcome, why, err := ask(ctx, id, port)
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		if err != nil {
			outcome, why = untried, "no answer"
		}
		if outcome == untried && r.Tried {
			continue // what somebody found out counts more
		}
		r.OK, r.Tried, r.By, r.Over, r.Why = outcome == reached, outcome != untried, shortID(id), over, why
		if r.OK {
			return r, nil
		}
		if r.Tried {
			most = rank
		}
	}
	return r, nil
}

func (n *Node) askReach(ctx context.Context, id peer.ID, port uint16) (outcome byte, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	b, err := exchange(ctx, n.cfg.Host, id, reachProtocol(n.cfg.Genesis), binary.LittleEndian.AppendUint16(nil, port), 1+maxReachWhy)
	if err != nil {
		return 0, "", err
	}
	return decodeReach(b)
}

// nextToReach chooses whom to ask, and notes that it is asked: before others those that this node dialled, which
// nobody pushed on it, and of these the oldest.
func (n *Node) nextToReach(now time.Time, most int) (id peer.ID, rank int, over string, err error) {
	type choice struct {
		*neighbour
		rank int
		over string
	}
	var list []choice
	recent := false
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.neighbours {
		ip, ok := ipOf(x.addr)
		if !ok || !dialable(x.addr, true) || ip.IsLoopback() && !n.cfg.Private {
			continue
		}
		if d := now.Sub(x.reach); !x.reach.IsZero() && d >= 0 && d < reachEvery {
			recent = true
			continue
		}
		if rank, over := placeOf(ip); rank <= most {
			list = append(list, choice{x, rank, over})
		}
	}
	if len(list) == 0 {
		if recent {
			return "", 0, "", ErrAsked
		}
		return "", 0, "", ErrNobody
	}
	c := slices.MinFunc(list, func(a, b choice) int {
		in := func(x choice) int {
			if x.inbound {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(in(a), in(b)), a.since.Compare(b.since), cmp.Compare(a.id, b.id))
	})
	c.reach = now
	return c.id, c.rank, c.over, nil
}
