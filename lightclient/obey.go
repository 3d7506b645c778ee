package lightclient

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Whether the store is written to.
const (
	WriteFree = "free"
	WriteLast = "last" // one checkpoint at once, then nothing
	WriteNone = "none" // what is worth keeping waits in memory
)

// Whom a node serves that is a peer of the chain to other light clients.
const (
	ServeAll  = "all"
	ServeLAN  = "lan" // private and link-local addresses
	ServeNone = "none"
)

// Orders are what a node may spend for now. Whoever knows the battery and the link gives them; nothing in
// them makes a proof easier. They hold until the next ones.
type Orders struct {
	Finality  Finality      // None: finality is not asked for
	PullEvery time.Duration // between pulls; 0: as before
	Closed    bool          // no connection and no listening socket; what was open is closed
	Peers     int           // connections that the node makes
	// Limit closes all connections, as if Closed, once so many bytes have moved since the start, in both
	// directions; 0: no limit.
	Limit uint64

	Serve      string // "" is ServeAll
	ServeMost  int    // light clients served at a time; 0: maxLights
	ServeBytes int    // of answers to them in an hour; 0: no limit but the usual

	Write      string // "" is WriteFree
	FlushEvery uint32 // blocks between two writes of the head; 0: each pull
}

// writes reports whether what comes may be written.
func (o *Orders) writes() bool { return o.Write != WriteLast && o.Write != WriteNone }

// pulled is how far above the last written head a pulled one must be to be written too: proofs that others
// hand over may come with each block.
const pulled = 20

// Obey changes what the node may spend, and returns when that is in force. Of connections it then makes and
// takes no more than ordered; those to be closed are gone a moment later.
func (n *Node) Obey(ctx context.Context, o Orders) error {
	done := make(chan struct{})
	n.tell(ctx, ordered{o, done})
	select {
	case <-done:
		return nil
	case <-n.done:
		return n.ended(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type ordered struct {
	Orders
	done chan struct{}
}

// obey carries orders out, and returns what Sync has to hear of it.
func (n *Node) obey(now time.Time, o Orders) (events []any) {
	was := n.orders
	n.mu.Lock()
	n.orders = o
	n.mu.Unlock()
	n.writable.Store(o.writes())
	if st := n.cfg.Store; st != nil {
		if o.Write == WriteLast {
			st.Quiet(false)
			n.flush(true)
		}
		st.Quiet(!n.writable.Load())
	}
	n.host.Limit(o.Limit)
	var only map[peer.ID]bool
	if o.Serve == ServeNone {
		only = n.book.Given()
	}
	n.host.Only(only)
	if err := n.host.Quiet(o.Closed); err != nil {
		n.warn("peers", "%v; others cannot reach this node", err)
	}
	if o.Closed != was.Closed {
		if o.Closed {
			n.note("peers", "all connections are closed, to save power or traffic")
		} else {
			n.note("peers", "connections may be open again")
		}
	}
	events = n.leave(now)
	for _, id := range n.unserved() {
		n.dismiss(id)
		n.hangUp(id)
	}
	if n.kadNext = now; n.thrifty() { // whoever was asleep knows old addresses, of which two may do
		n.kadNext = now.Add(lightStay)
	}
	return append(events, Ordered{o.Finality, o.PullEvery, o.Closed})
}

// fedPeers are as many peers of the chain as a node follows at most while its neighbours tell it of
// finality too: each peer sends the header of each block, some 2 MB a day, and what more of them would be there
// for, to be told the truth by somebody, the neighbours are as well.
const fedPeers = 3

// wanted is how many connections the node makes.
func (n *Node) wanted() int {
	switch {
	case n.orders.Closed:
		return 0
	case n.sync.relieved():
		return min(n.orders.Peers, fedPeers)
	}
	return n.orders.Peers
}

// surplus picks the peers that are too many: light nodes, where there are full ones; of others pinned ones
// and those of the local network stay, and those that answered most.
func (n *Node) surplus(now time.Time) (ids []peer.ID) {
	wanted := n.wanted()
	n.mu.Lock()
	defer n.mu.Unlock()
	full := 0
	for _, c := range n.conns {
		if c.open && !c.light() {
			full++
		}
	}
	var all []*conn // those still being dialled are judged once they are open
	for _, c := range n.conns {
		switch {
		case !c.open:
		case c.light() && full >= enoughFull && now.Sub(c.since) >= lightStay:
			ids = append(ids, c.id)
		default:
			all = append(all, c)
		}
	}
	if len(all) <= wanted {
		return ids
	}
	rank := func(c *conn) int {
		switch {
		case c.light():
			return -1
		case c.pinned:
			return 2
		case local(c.addr):
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b *conn) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(b.answers, a.answers), cmp.Compare(a.id, b.id))
	})
	for _, c := range all[wanted:] {
		ids = append(ids, c.id)
	}
	return ids
}

// local reports whether an address is of this machine or the network around it.
func local(addr string) bool {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return false
	}
	ip, err := manet.ToIP(m)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

// unserved picks the light clients that are served no more.
func (n *Node) unserved() []peer.ID {
	if n.server == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids, kept []peer.ID
	for id := range n.server.lights {
		if n.conns[id] == nil && !n.serves(id) {
			ids = append(ids, id)
		} else {
			kept = append(kept, id)
		}
	}
	if most := n.mostLights(); len(kept) > most {
		slices.Sort(kept)
		ids = append(ids, kept[most:]...)
	}
	return ids
}

// serves reports whether a peer that dialled is served. The caller holds n.mu.
func (n *Node) serves(id peer.ID) bool {
	switch n.orders.Serve {
	case ServeNone:
		return false
	case ServeLAN:
		addr, _ := n.host.Remote(id)
		return addr != nil && local(addr.String())
	}
	return true
}

func (n *Node) mostLights() int {
	if most := n.orders.ServeMost; most > 0 {
		return min(most, maxLights)
	}
	return maxLights
}

// pay takes the bytes of an answer from the hour's allowance; false: it is spent. The caller holds n.mu.
func (s *server) pay(now time.Time, bytes, most int) bool {
	if since := now.Sub(s.hour); since >= time.Hour || since < 0 {
		s.hour, s.paid = now, 0
	}
	if most > 0 && s.paid+bytes > most {
		return false
	}
	s.paid += bytes
	return true
}

// Traffic returns the bytes received and sent since the start, under the encryption.
func (n *Node) Traffic() (in, out uint64) {
	n.mu.Lock()
	h := n.host
	n.mu.Unlock()
	if h == nil {
		return 0, 0
	}
	return h.Traffic()
}

// A head that is due to be written is not while writing has ended.
func (n *Node) flushDue(number uint32) bool {
	every := n.orders.FlushEvery
	if every == 0 {
		every = pulled
	}
	return n.writable.Load() && (n.written == 0 || number >= n.written+every)
}
