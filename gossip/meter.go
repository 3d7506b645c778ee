package gossip

import (
	"sync"
	"sync/atomic"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic counts what passes a router, in messages and in bytes of their payload. Duplicates are copies
// of a message that came before.
type Traffic struct {
	In         uint64 `json:"in_messages"`
	InBytes    uint64 `json:"in_bytes"`
	Out        uint64 `json:"out_messages"`
	OutBytes   uint64 `json:"out_bytes"`
	Duplicates uint64 `json:"duplicates"`
}

// meter fills Traffic from GossipSub's own events.
type meter struct {
	in, inBytes, out, outBytes, duplicates atomic.Uint64
}

func (m *meter) traffic() Traffic {
	return Traffic{In: m.in.Load(), InBytes: m.inBytes.Load(), Out: m.out.Load(), OutBytes: m.outBytes.Load(), Duplicates: m.duplicates.Load()}
}

func count(rpc *pubsub.RPC, n, bytes *atomic.Uint64) {
	for _, m := range rpc.GetPublish() {
		n.Add(1)
		bytes.Add(uint64(len(m.GetData())))
	}
}

func (m *meter) RecvRPC(rpc *pubsub.RPC)            { count(rpc, &m.in, &m.inBytes) }
func (m *meter) SendRPC(rpc *pubsub.RPC, _ peer.ID) { count(rpc, &m.out, &m.outBytes) }
func (m *meter) DuplicateMessage(*pubsub.Message)   { m.duplicates.Add(1) }

// The rest of pubsub.RawTracer.

func (*meter) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (*meter) Join(string)                              {}
func (*meter) ValidateMessage(*pubsub.Message)          {}
func (*meter) DeliverMessage(*pubsub.Message)           {}
func (*meter) RejectMessage(*pubsub.Message, string)    {}
func (*meter) ThrottlePeer(peer.ID)                     {}
func (*meter) DropRPC(*pubsub.RPC, peer.ID)             {}
func (*meter) UndeliverableMessage(*pubsub.Message)     {}

// A mesh knows whom one router has in the mesh of each topic. GossipSub sends a message of ours to these
// and to nobody else, and tells those that come into the mesh later nothing of it: what is published into
// an empty mesh is lost, if there are no more neighbours than the mesh takes.
type mesh struct {
	*meter
	mu    sync.Mutex
	peers map[string]map[peer.ID]bool // by the topic's name
	holds map[string]map[peer.ID]bool // who says that it has a message that waits here, by the message's id
}

func newMesh(m *meter) *mesh {
	return &mesh{meter: m, peers: make(map[string]map[peer.ID]bool), holds: make(map[string]map[peer.ID]bool)}
}

// wait begins to notice who has a message; the result ends that.
func (m *mesh) wait(id string, from peer.ID) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds[id] = map[peer.ID]bool{from: true}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.holds, id)
	}
}

// have returns how many of a topic's mesh have a message that waits here, and how many have not said so.
func (m *mesh) have(topic, id string, from peer.ID) (have, lack int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.peers[topic] {
		switch {
		case p == from:
		case m.holds[id][p]:
			have++
		default:
			lack++
		}
	}
	return have, lack
}

func (m *mesh) noted(id string, by peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if holds := m.holds[id]; holds != nil {
		holds[by] = true
	}
}

func (m *mesh) RecvRPC(rpc *pubsub.RPC) {
	m.meter.RecvRPC(rpc)
	for _, c := range rpc.GetControl().GetIdontwant() {
		for _, id := range c.GetMessageIDs() {
			m.noted(id, rpc.From())
		}
	}
}

func (m *mesh) DuplicateMessage(msg *pubsub.Message) {
	m.meter.DuplicateMessage(msg)
	m.noted(msg.ID, msg.ReceivedFrom)
}

func (m *mesh) size(topic string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.peers[topic])
}

func (m *mesh) Graft(id peer.ID, topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.peers[topic] == nil {
		m.peers[topic] = make(map[peer.ID]bool)
	}
	m.peers[topic][id] = true
}

func (m *mesh) Prune(id peer.ID, topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.peers[topic], id)
}

func (m *mesh) Leave(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.peers, topic)
}

func (m *mesh) OnClosedOutboundStream(id peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		delete(p, id)
	}
}
