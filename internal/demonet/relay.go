package demonet

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/multiformats/go-multiaddr"
)

// A relay is a TCP forwarder that passes at most rate bytes a second each way, delay late.
type relay struct {
	addr   multiaddr.Multiaddr // where to dial
	target string
	rate   int
	delay  time.Duration
	l      net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
	done  chan struct{}
	work  sync.WaitGroup
}

func newRelay(target multiaddr.Multiaddr, rate int, delay time.Duration) (*relay, error) {
	port, err := target.ValueForProtocol(multiaddr.P_TCP)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if rate <= 0 {
		rate = 4096
	}
	s := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
	if _, err := target.ValueForProtocol(multiaddr.P_WS); err == nil {
		s += "/ws"
	}
	r := &relay{
		addr: multiaddr.StringCast(s), target: net.JoinHostPort("127.0.0.1", port),
		rate: rate, delay: delay, l: l, conns: make(map[net.Conn]bool), done: make(chan struct{}),
	}
	r.work.Add(1)
	go r.serve()
	return r, nil
}

func (r *relay) serve() {
	defer r.work.Done()
	for {
		in, err := r.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.target)
		if err != nil {
			in.Close()
			continue
		}
		if !r.track(in, out) {
			return
		}
		r.work.Add(2)
		go r.pass(in, out)
		go r.pass(out, in)
	}
}

// track remembers connections for Close, and closes them if that has been called.
func (r *relay) track(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		for _, c := range conns {
			c.Close()
		}
		return false
	default:
	}
	for _, c := range conns {
		r.conns[c] = true
	}
	return true
}

func (r *relay) forget(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(r.conns, c)
	}
}

// pass forwards in pieces of a tenth of a second.
func (r *relay) pass(dst, src net.Conn) {
	defer r.work.Done()
	defer r.forget(dst, src)
	buf := make([]byte, max(r.rate/10, 16))
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	wait := func(d time.Duration) bool {
		timer.Reset(d)
		select {
		case <-timer.C:
			return true
		case <-r.done:
			return false
		}
	}
	for {
		n, err := src.Read(buf)
		if err != nil {
			return
		}
		if !wait(r.delay + time.Duration(n)*time.Second/time.Duration(r.rate)) {
			return
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Close ends the relay and what passes through it.
func (r *relay) Close() {
	r.mu.Lock()
	close(r.done)
	r.l.Close()
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}
