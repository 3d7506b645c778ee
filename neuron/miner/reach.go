package miner

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// A Reach is what light nodes that are connected say of a port of this machine: their word, not a proof.
type Reach struct {
	OK    bool
	Tried bool   // false: none of those who were asked tried
	By    string // who reached it or did not
	Over  string // what shows less than the internet does, in words: "the local network"; empty: none
	Why   string // not
}

// reachEvery is how long an answer counts.
const reachEvery = time.Hour

// An asking is when light nodes were last asked, by its consequences.
type asking struct {
	at   netip.AddrPort // that they were asked about
	next time.Time
}

// due reports whether to ask: the axon is open, the chain says where, and that is another place than it was or the
// last answer is old. No address is asked about before the chain has it, so whoever moves asks no more often than the
// chain lets it announce that.
func (a *asking) due(now time.Time, at netip.AddrPort, open, announced bool) bool {
	return open && announced && (at != a.at || !now.Before(a.next) || a.next.Sub(now) > reachEvery) // or the clock was set back
}

// elsewhere reports whether others could reach an axon at all: one that listens on an address of this machine alone is
// behind something that forwards to it if another is announced, and for this machine if not.
func elsewhere(bound, announced netip.Addr) bool {
	return !bound.Unmap().IsLoopback() || !announced.Unmap().IsLoopback()
}

// askPeers asks whether the axon can be reached, if that is due.
func (m *Miner) askPeers(ctx context.Context) {
	at, err := m.address()
	if err != nil || m.cfg.Reach == nil || !elsewhere(m.bound.Addr(), at.At.Addr()) {
		return
	}
	m.mu.Lock()
	announced := m.status.Announce == "true"
	m.mu.Unlock()
	now := m.cfg.Now()
	if !m.asking.due(now, at.At, m.close != nil, announced) {
		return
	}
	port := at.At.Port()
	r, err := m.cfg.Reach(ctx, port)
	if ctx.Err() != nil {
		return
	}
	moved := at.At != m.asking.at
	m.asking = asking{at.At, now.Add(reachEvery)}
	if err != nil { // nobody was bothered, so it need not be so long
		m.asking.next = now.Add(5 * time.Duration(m.cfg.Tick) * m.cfg.Block)
	}
	m.set(func(s *Status) {
		if s.PeerPort = port; moved {
			s.PeerReached, s.PeerReachedBy, s.PeerReachedOver = nil, "", ""
		}
		s.PeerUnreachedBy, s.PeerUnreachedOver, s.PeerUnreachedWhy = "", "", r.Why
		switch {
		case err != nil:
			s.PeerUnreachedWhy = err.Error()
		case r.OK:
			s.PeerReached, s.PeerReachedBy, s.PeerReachedOver, s.PeerUnreachedWhy = &now, r.By, r.Over, ""
		case r.Tried:
			s.PeerUnreachedBy, s.PeerUnreachedOver = r.By, r.Over
		default:
			s.PeerUnreachedWhy = r.By + ": " + r.Why
		}
	})
	s := m.Status()
	line := s.peerLine()
	switch {
	case err == nil && r.OK:
		m.noteAs("peer", fmt.Sprint("reached ", at.At, r.Over), false, line)
	case err == nil && r.Tried:
		m.noteAs("peer", fmt.Sprint("not reached ", at.At, r.Over, r.Why), true, line)
	default:
		m.noteAs("peer", "nobody", false, line)
	}
}

// peerLine says what the last question came to; empty: none was asked yet.
func (s *Status) peerLine() string {
	over := func(where string) string {
		if where == "" || where == "IPv6" {
			return where
		}
		return where + ", which shows nothing of the internet"
	}
	switch {
	case s.PeerUnreachedWhy == "" && s.PeerReached != nil:
		line := fmt.Sprintf("a light node, %s, reaches the axon at port %d", s.PeerReachedBy, s.PeerPort)
		if s.PeerReachedOver != "" {
			line += " (over " + over(s.PeerReachedOver) + ")"
		}
		return line
	case s.PeerUnreachedWhy != "" && s.PeerUnreachedBy != "":
		line := fmt.Sprintf("light node %s could not reach port %d", s.PeerUnreachedBy, s.PeerPort)
		if s.PeerUnreachedOver != "" {
			line += " over " + s.PeerUnreachedOver
		}
		line += ": " + s.PeerUnreachedWhy
		near := s.PeerUnreachedOver != "" && s.PeerUnreachedOver != "IPv6"
		switch on, err := netip.ParseAddrPort(s.Listen); {
		case near && err == nil && !on.Addr().IsUnspecified():
			return line + ": it listens on " + s.Listen + " alone"
		case near:
			return line + ": open it in this machine's firewall"
		}
		return line + ": open it in the router or firewall"
	case s.PeerUnreachedWhy != "":
		return "no light node could be asked: " + s.PeerUnreachedWhy
	}
	return ""
}
