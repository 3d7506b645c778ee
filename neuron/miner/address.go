package miner

import (
	"errors"
	"fmt"
	"net/netip"
)

// Errors of an address that is to be announced.
var (
	// ErrAddress: the chain takes no such address.
	ErrAddress = errors.New("the chain takes no such address for an axon")
	// ErrNoAddress: none is known that others could reach.
	ErrNoAddress = errors.New("no address is known by which others could reach this machine")
)

// Ranges that nobody reaches from elsewhere and that netip has no word for: carriers' NAT (RFC 6598), benchmarks
// (RFC 2544), documentation (RFC 5737, 3849), and what is reserved (RFC 1112).
var unreachable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001:db8::/32"),
}

// Public reports whether an address can be reached from everywhere, as far as an address shows that.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range unreachable {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// CheckAddress refuses what the chain refuses (pallets/subtensor/src/subnets/serving.rs, is_valid_ip_address):
// 127.0.0.1, ::1, the last address of each kind, and port 0; and the zero address, which the chain takes and by which
// all understand that nothing is served. Private ones the chain takes, though few can reach them.
func CheckAddress(at netip.AddrPort) error {
	a := at.Addr().Unmap()
	var all netip.Addr
	if a.Is6() {
		all = netip.AddrFrom16([16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	} else {
		all = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	switch {
	case !a.IsValid():
		return fmt.Errorf("%w: there is none", ErrAddress)
	case at.Port() == 0:
		return fmt.Errorf("%w: port 0", ErrAddress)
	case a.IsUnspecified(), a == all, a == netip.AddrFrom4([4]byte{127, 0, 0, 1}), a == netip.IPv6Loopback():
		return fmt.Errorf("%w: %s", ErrAddress, a)
	}
	return nil
}

// An Address is what is to be announced, and how it was found.
type Address struct {
	At  netip.AddrPort
	How string
	// Warning is what is wrong with it that the chain does not mind; empty: nothing.
	Warning string
}

// FindAddress says what to announce: what the user has said; else the address that the axon listens on, if it is a
// public one; else this machine's own public address, IPv4 first. bound is where the axon listens, port what it is
// reached by. Nobody else is asked.
func FindAddress(told, bound netip.Addr, port uint16, own []netip.Addr) (Address, error) {
	found := func(a netip.Addr, how string) (Address, error) {
		out := Address{At: netip.AddrPortFrom(a.Unmap(), port), How: how}
		switch {
		case !Public(a):
			out.Warning = fmt.Sprintf("%s is no public address: only who is on its network can call this axon", a)
		case out.At.Addr().Is6():
			out.Warning = "the Python SDK cannot call an axon by IPv6"
		}
		return out, CheckAddress(out.At)
	}
	if told.IsValid() {
		return found(told, "as told")
	}
	if bound.IsValid() && !bound.IsUnspecified() {
		if Public(bound) {
			return found(bound, "it listens there")
		}
		return Address{}, fmt.Errorf("%w: it listens on %s alone", ErrNoAddress, bound)
	}
	for _, six := range []bool{false, true} {
		for _, a := range own {
			if a = a.Unmap(); a.Is6() == six && Public(a) {
				return found(a, "this machine's own")
			}
		}
	}
	return Address{}, ErrNoAddress
}
