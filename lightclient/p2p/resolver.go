package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// A resolver turns names in multiaddrs into IP addresses. It remembers why a name could not be
// resolved, which the swarm only writes to its log.
type resolver struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu     sync.Mutex
	failed map[string]error // by host; few, since only names given to Connect are looked up
}

func newResolver(lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) *resolver {
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	return &resolver{lookup: lookup, failed: make(map[string]error)}
}

// maxFailed bounds the memory of failures.
const maxFailed = 256

// ResolveDNSComponent replaces the first /dns, /dns4 or /dns6 component of addr by each of its
// addresses.
func (r *resolver) ResolveDNSComponent(ctx context.Context, addr multiaddr.Multiaddr, limit int) ([]multiaddr.Multiaddr, error) {
	at, network, host := dnsComponent(addr)
	if at < 0 {
		return []multiaddr.Multiaddr{addr}, nil
	}
	ips, err := r.lookup(ctx, network, host)
	if err == nil && len(ips) == 0 {
		err = errors.New("no addresses")
	}
	r.mu.Lock()
	if err == nil {
		delete(r.failed, host)
	} else if len(r.failed) < maxFailed || r.failed[host] != nil {
		r.failed[host] = err
	}
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var addrs []multiaddr.Multiaddr
	for _, ip := range ips {
		if len(addrs) == limit {
			break
		}
		name := "ip6"
		if ip = ip.Unmap(); ip.Is4() {
			name = "ip4"
		}
		c, err := multiaddr.NewComponent(name, ip.WithZone("").String())
		if err != nil {
			return nil, err
		}
		resolved := append(multiaddr.Multiaddr{}, addr...)
		resolved[at] = *c
		addrs = append(addrs, resolved)
	}
	return addrs, nil
}

// ResolveDNSAddr refuses /dnsaddr, which stands for addresses that nobody has given.
func (r *resolver) ResolveDNSAddr(context.Context, peer.ID, multiaddr.Multiaddr, int, int) ([]multiaddr.Multiaddr, error) {
	return nil, errors.New("dnsaddr is not supported")
}

// failures says which of addrs could not be resolved, and why.
func (r *resolver) failures(addrs []multiaddr.Multiaddr) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reasons []string
	seen := make(map[string]bool)
	for _, a := range addrs {
		at, _, host := dnsComponent(a)
		if at < 0 || seen[host] || r.failed[host] == nil {
			continue
		}
		seen[host] = true
		reasons = append(reasons, fmt.Sprintf("%s: %s", a, oneLine(r.failed[host])))
	}
	return reasons
}

// dnsComponent finds the name in addr; at is negative if there is none.
func dnsComponent(addr multiaddr.Multiaddr) (at int, network, host string) {
	for i, c := range addr {
		switch c.Protocol().Code {
		case multiaddr.P_DNS:
			return i, "ip", c.Value()
		case multiaddr.P_DNS4:
			return i, "ip4", c.Value()
		case multiaddr.P_DNS6:
			return i, "ip6", c.Value()
		}
	}
	return -1, "", ""
}
