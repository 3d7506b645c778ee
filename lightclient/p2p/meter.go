package p2p

import (
	"context"
	"net"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
)

// A meter is a secure transport that counts the bytes under it. It is the one place that both
// transports pass through, in both directions.
type meter struct {
	sec.SecureTransport
	host *Host
}

func (m *meter) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	return m.SecureTransport.SecureInbound(ctx, &meteredConn{insecure, m.host}, p)
}

func (m *meter) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	return m.SecureTransport.SecureOutbound(ctx, &meteredConn{insecure, m.host}, p)
}

type meteredConn struct {
	net.Conn
	host *Host
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.host.in.Add(uint64(n))
	c.host.checkLimit()
	return n, err
}

func (c *meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.host.out.Add(uint64(n))
	c.host.checkLimit()
	return n, err
}
