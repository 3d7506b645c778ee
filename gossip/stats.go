package gossip

import (
	"cmp"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Stats is one look at a node, for `gossip stats`.
type Stats struct {
	Addrs      []string          `json:"addresses"` // where others can dial this node
	Level      string            `json:"level"`
	Neighbours int               `json:"neighbours"`
	Contacts   int               `json:"contacts"`
	Topics     map[string]int    `json:"topics"` // neighbours on each
	Mesh       map[string]int    `json:"mesh"`   // of these, those that messages are passed to at once
	Final      uint32            `json:"final"`  // newest that gossip proved, or told
	CatchUps   uint64            `json:"catch_ups"`
	Messages   Counts            `json:"messages"`
	Accepted   map[string]uint64 `json:"accepted_by_topic"`
	Traffic    Traffic           `json:"traffic"`
}

// Stats looks at the node.
func (n *Node) Stats() Stats {
	s := Stats{Addrs: n.addrs(), Topics: make(map[string]int), Mesh: make(map[string]int), Messages: n.gate.Counts(), Accepted: n.gate.Accepted(), Traffic: n.meter.traffic(), Final: n.gate.Final(Finality)}
	n.mu.Lock()
	s.Level, s.Neighbours, s.Contacts, s.CatchUps = n.level.String(), len(n.neighbours), len(n.contacts.list), n.catchUps
	r := n.router
	n.mu.Unlock()
	if r != nil {
		on, mesh := r.neighbours()
		for k, c := range on {
			s.Topics[k.String()], s.Mesh[k.String()] = c, mesh[k]
		}
	}
	return s
}

// addrs are the addresses that the host listens on, as others dial them.
func (n *Node) addrs() []string {
	out := []string{}
	list, err := n.cfg.Host.Network().InterfaceListenAddresses()
	if err != nil {
		return out
	}
	full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: n.cfg.Host.ID(), Addrs: list})
	if err != nil {
		return out
	}
	for _, a := range full {
		out = append(out, a.String())
	}
	return out
}

// A NeighbourStatus is one connected light node, for `peers --gossip`.
type NeighbourStatus struct {
	ID      string  `json:"id"`
	Addr    string  `json:"address"`
	Source  string  `json:"source"`
	Inbound bool    `json:"inbound"`
	Seconds float64 `json:"connected_seconds"`
}

// Neighbours lists the connected light nodes.
func (n *Node) Neighbours() []NeighbourStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]NeighbourStatus, 0, len(n.neighbours))
	for id, x := range n.neighbours {
		s := NeighbourStatus{ID: id.String(), Addr: x.addr.String(), Source: met, Inbound: x.inbound, Seconds: n.cfg.Now().Sub(x.since).Seconds()}
		if c := n.contacts.list[id]; c != nil {
			s.Source = c.Source
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b NeighbourStatus) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
