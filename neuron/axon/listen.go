package axon

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// A listener turns connections away that are too many, in all or of one address. The kernel's queue would
// let them wait, and the next honest one behind them.
type listener struct {
	net.Listener
	lim    Limits
	turned *atomic.Uint64

	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

func newListener(l net.Listener, lim Limits, turned *atomic.Uint64) *listener {
	return &listener{Listener: l, lim: lim, turned: turned, from: map[netip.Addr]int{}}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addrOf(c.RemoteAddr().String())
		if l.enter(addr) {
			return &conn{Conn: c, l: l, addr: addr}, nil
		}
		l.turned.Add(1)
		c.Close()
	}
}

func (l *listener) enter(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.lim.Connections || l.from[addr] >= l.lim.PerAddress && !addr.IsLoopback() {
		return false
	}
	l.all++
	l.from[addr]++
	return true
}

func (l *listener) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[addr]--; l.from[addr] == 0 {
		delete(l.from, addr)
	}
}

type conn struct {
	net.Conn
	l    *listener
	addr netip.Addr
	once sync.Once
}

func (c *conn) Close() error {
	c.once.Do(func() { c.l.leave(c.addr) })
	return c.Conn.Close()
}
