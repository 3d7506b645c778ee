package p2p

import (
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// maxPeerStreams is the number of substreams that one peer may have open in one direction. A busy
// one has three notification substreams, a few requests, a ping and an identify.
const maxPeerStreams = 32

// newResourceManager returns a resource manager with fixed limits, the same on every machine.
//
// Its memory is mostly promises: Yamux books 256 KiB for each substream's receive window, whether or
// not anything is in it. Payloads are bounded where they are read, by the caps of each protocol.
func newResourceManager(maxConns int) (network.ResourceManager, error) {
	n := rcmgr.LimitVal(maxConns)
	// A client that is flooded with inbound connections must still be able to dial.
	inbound := max(1, n-max(1, n/6))
	all := func(streams rcmgr.LimitVal, conns rcmgr.LimitVal, memory rcmgr.LimitVal64) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{
			Streams: 2 * streams, StreamsInbound: streams, StreamsOutbound: streams,
			Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: conns, Memory: memory,
		}
	}
	system := all(16*n, n, rcmgr.LimitVal64(maxConns)*4<<20+32<<20)
	system.ConnsInbound = inbound
	// Transient: connections that are not authenticated yet, substreams without a protocol yet.
	transient := all(4*n, max(8, n/2), rcmgr.LimitVal64(maxConns)<<20+16<<20)
	one := all(maxPeerStreams, 4, 32<<20)
	cfg := rcmgr.PartialLimitConfig{
		System:               system,
		Transient:            transient,
		AllowlistedSystem:    system, // nothing is on the list
		AllowlistedTransient: transient,
		ServiceDefault:       system,
		ServicePeerDefault:   one,
		ProtocolDefault:      system,
		ProtocolPeerDefault:  all(maxPeerStreams/2, 4, 32<<20),
		PeerDefault:          one,
		Conn:                 all(1, 1, 32<<20),
		Stream:               all(1, 1, 16<<20),
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(cfg.Build(rcmgr.ConcreteLimitConfig{})), rcmgr.WithMetricsDisabled())
}
