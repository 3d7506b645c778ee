// Package doctor judges the ground that a node stands on: the clock, names, ports, the network, the card, memory, what is
// trusted, what is kept, and the meters. It also measures what a board can do, and makes a report fit to be shown to
// strangers.
//
// It promises a line for each thing that is looked at, that what is not good has a remedy, and that what cannot be found
// out is said to be so and not called good. What it judges is handed to it; only Measure and Sync write anything, a file
// that they remove again. It dials nobody.
package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// How a thing is.
const (
	OK   = "ok"
	Warn = "warn"
	Skip = "skip" // it cannot be found out here
)

// A Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

func ok(name, format string, args ...any) Check {
	return Check{name, OK, fmt.Sprintf(format, args...), ""}
}

func warn(name, remedy, format string, args ...any) Check {
	return Check{name, Warn, fmt.Sprintf(format, args...), remedy}
}

func skip(name, format string, args ...any) Check {
	return Check{name, Skip, fmt.Sprintf(format, args...), ""}
}

// Clock judges the machine's clock: floor is a time that has passed for sure, synced what the kernel says of its clock (nil:
// nothing), rtc whether a clock goes on without power.
func Clock(now, floor time.Time, synced *bool, rtc bool) Check {
	const set = "set it: systemd-timesyncd or chrony, or a GPS receiver where there is no internet (finality does not depend on it; signing does)"
	keeps := "a clock with a battery keeps it"
	if !rtc {
		keeps = "no clock goes on without power"
	}
	switch {
	case now.Before(floor):
		return warn("clock", set, "%s, before %s, which has passed for sure; %s", now.UTC().Format("2006-01-02 15:04"), floor.UTC().Format("2006-01-02"), keeps)
	case synced == nil:
		return skip("clock", "whether something sets it cannot be told here; %s", keeps)
	case !*synced:
		return warn("clock", set, "nothing sets it; %s", keeps)
	}
	return ok("clock", "it is set by a time service; %s", keeps)
}

// DNS judges how names are found: conf is resolv.conf, names those that the network needs, and resolve asks for one. Where
// no name is needed none is asked for.
func DNS(ctx context.Context, conf string, confErr error, names []string, resolve func(ctx context.Context, name string) error) []Check {
	servers := 0
	for line := range strings.Lines(conf) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			servers++
		}
	}
	var list []Check
	switch {
	case confErr != nil:
		list = append(list, warn("dns", "name a server in /etc/resolv.conf, or peers by address with --peer", "no /etc/resolv.conf can be read: %v", confErr))
	case servers == 0:
		list = append(list, warn("dns", "name a server in /etc/resolv.conf, or peers by address with --peer", "/etc/resolv.conf names no server"))
	default:
		list = append(list, ok("dns", "/etc/resolv.conf names a server"))
	}
	if len(names) == 0 {
		list[0].Text += "; this network needs no names"
		list[0].State, list[0].Remedy = OK, ""
		return list
	}
	for _, name := range names {
		if err := resolve(ctx, name); err != nil {
			list = append(list, warn("dns", "look at the link and the server, or name peers by address with --peer", "%s: %v", name, err))
		} else {
			list = append(list, ok("dns", "%s is found", name))
		}
	}
	return list
}

// Port judges whether a node can listen somewhere: err is what trying to came to, taken whether that is because something
// listens there, and running whether a node of ours runs.
func Port(what, address string, err error, taken, running bool, setting string) Check {
	switch {
	case err == nil && running:
		return warn("port", "see the log of its start; another --"+setting, "%s: the node that runs does not listen on %s", what, address)
	case err == nil:
		return ok("port", "%s: %s is free", what, address)
	case taken && running:
		return ok("port", "%s: %s is taken, as it should be while the node runs", what, address)
	case taken:
		return warn("port", "stop what has it (ss -tlnp), or give another --"+setting, "%s: %s is taken by something else", what, address)
	}
	return warn("port", "give another --"+setting, "%s: %v", what, err)
}

// shared is the space of addresses that providers give to many customers at once (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// NAT judges by the machine's own addresses whether others can dial it.
func NAT(addrs []netip.Addr, port int) Check {
	var public, carrier, private []string
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		switch {
		case a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsUnspecified():
		case shared.Contains(a):
			carrier = append(carrier, a.String())
		case a.IsPrivate():
			private = append(private, a.String())
		default:
			public = append(public, a.String())
		}
	}
	const forward = "nothing for finality; to be found by others, forward TCP port %d to this machine"
	switch {
	case len(public) > 0:
		return ok("nat", "%s is public: others can dial it, unless a firewall stands before TCP port %d", public[0], port)
	case len(carrier) > 0:
		return ok("nat", "%s is behind the provider's translation: it dials others, and they cannot dial it", carrier[0])
	case len(private) > 0:
		c := ok("nat", "%s is private: it dials others, and they cannot dial it", private[0])
		c.Remedy = fmt.Sprintf(forward, port)
		return c
	}
	return warn("nat", "connect a network; without one a carrier brings proofs (--carrier)", "no network: this machine has no address but its own")
}

// LAN judges whether neighbours can be found on the local network: links are the names of those that take multicast.
func LAN(on bool, links []string) Check {
	switch {
	case !on:
		return ok("lan", "light nodes of the local network are not looked for, by the settings")
	case len(links) == 0:
		return warn("lan", "connect one, or set --lan off", "no network takes multicast: light nodes near by are not found")
	}
	return ok("lan", "light nodes are looked for on %s", strings.Join(links[:min(len(links), 4)], ", "))
}

// Limits of what is good.
const (
	slowSync  = 150 * time.Millisecond
	leastFree = 64 << 20
	leastLeft = 48 << 20
	oldDays   = 90
)

// Card judges where data are kept: how long writes took until they were safe, and how much room is left (0: unknown).
func Card(dir string, took []time.Duration, err error, free uint64) Check {
	switch {
	case err != nil:
		return warn("card", "see that the disk is there, is not mounted read-only, and belongs to this user", "%s cannot be written: %v", dir, err)
	case free > 0 && free < leastFree:
		return warn("card", "make room: with none left, verification goes on in memory", "%d MB are left in %s", free/1e6, dir)
	case len(took) == 0:
		return skip("card", "not tried")
	}
	slices.Sort(took)
	m := took[len(took)/2]
	room := ""
	if free > 0 {
		room = fmt.Sprintf(", %d MB are free", free/1e6)
	}
	if m > slowSync {
		return warn("card", "a card of class A1 or better, or a disk; the node writes seldom, so it works all the same", "a small write takes %v until it is safe%s", m.Round(time.Millisecond), room)
	}
	return ok("card", "a small write takes %v until it is safe%s", m.Round(10*time.Microsecond), room)
}

// Memory judges what the machine has (nil: unknown).
func Memory(total, left *uint64, running bool) Check {
	switch {
	case left == nil || total == nil:
		return skip("memory", "how much there is cannot be told here")
	case *left < leastLeft && !running:
		return warn("memory", "stop what else runs here, or give it swap on zram", "%d of %d MB are left; a node takes about 30", *left>>20, *total>>20)
	}
	return ok("memory", "%d of %d MB are left", *left>>20, *total>>20)
}

// Checkpoint judges what is trusted to begin with; days is its age, known whether that can be told.
func Checkpoint(block string, days uint64, known bool) Check {
	switch {
	case !known:
		return ok("trust", "checkpoint %s; how old it is cannot be told", block)
	case days > oldDays:
		return warn("trust", "upgrade taolight, or import a newer one: taolight checkpoint import FILE", "checkpoint %s is %d days old: keys retired since could sign another history", block, days)
	}
	return ok("trust", "checkpoint %s is %d days old", block, days)
}

// Good reports whether nothing is to be done.
func Good(list []Check) bool {
	return !slices.ContainsFunc(list, func(c Check) bool { return c.State == Warn })
}
