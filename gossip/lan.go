package gossip

import (
	"encoding/hex"
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"

	"github.com/taolight/taolight/verify"
)

// A lanService finds light nodes of one chain on the local network by mDNS, and is found there.
type lanService struct{ service mdns.Service }

type onFound func(peer.AddrInfo)

// HandlePeerFound is called by mdns.
func (f onFound) HandlePeerFound(info peer.AddrInfo) { f(info) }

// startLAN announces the host. The name of the service has a part of the genesis hash, so that nodes of
// other chains are not told.
func startLAN(h host.Host, genesis verify.Hash, found func(peer.AddrInfo)) (*lanService, error) {
	s := mdns.NewMdnsService(h, "_taolight-"+hex.EncodeToString(genesis[:4])+"._udp", onFound(found))
	if err := s.Start(); err != nil {
		s.Close()
		return nil, fmt.Errorf("mdns: %w", err)
	}
	return &lanService{s}, nil
}

func (l *lanService) close() { l.service.Close() }
