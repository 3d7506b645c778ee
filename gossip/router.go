package gossip

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/taolight/taolight/verify"
)

// GossipSub's scores. One invalid message takes a peer under the graylist: no honest node forwards one,
// since each verifies first. Silence costs nothing, as nodes sleep. What a peer gains by being useful is
// bounded, so that it cannot save up for an attack. They decay when GossipSub's other sweeps run, which wakes the board
// once for all.
const (
	scoreInvalid  = -100
	scoreGossip   = -10
	scorePublish  = -50
	scoreGraylist = -80
	scorePinned   = 200 // a pinned peer is given a second chance, not a third
	decayEvery    = time.Minute
	forgiveAfter  = time.Hour
)

// private are the networks of which many nodes have one address without being one node: a LAN behind a
// router, and carrier NAT.
var private = [...]string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
	"fc00::/7", "fe80::/10", "::1/128",
}

// isPrivate reports whether an address is of this host or a private network.
func isPrivate(ip netip.Addr) bool {
	for _, p := range private {
		if prefix, err := netip.ParsePrefix(p); err == nil && prefix.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// ipOf returns the IP address at the front of a multiaddr; ok is false for names.
func ipOf(a ma.Multiaddr) (ip netip.Addr, ok bool) {
	b, err := manet.ToIP(a)
	if err != nil {
		return ip, false
	}
	ip, ok = netip.AddrFromSlice(b)
	return ip.Unmap(), ok
}

var errSpent = errors.New("its account is used up")

// A router is GossipSub with the parameters of one level. GossipSub cannot change them, so another level
// needs another router, on the same host.
type router struct {
	host   host.Host
	ps     *pubsub.PubSub
	mesh   *mesh
	cancel context.CancelFunc

	genesis verify.Hash

	mu     sync.Mutex
	topics map[Kind]*pubsub.Topic // those that were joined
	loose  map[Kind]*pubsub.Topic // those that are only published on
}

// routerConfig is what a router calls back.
type routerConfig struct {
	host    host.Host
	genesis verify.Hash
	params  Params
	meter   *meter
	pinned  func(peer.ID) bool
	spent   func(peer.ID) bool
	judge   func(from peer.ID, k Kind, message []byte) Verdict
}

func newRouter(ctx context.Context, c routerConfig) (*router, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &router{host: c.host, cancel: cancel, genesis: c.genesis, topics: make(map[Kind]*pubsub.Topic), loose: make(map[Kind]*pubsub.Topic), mesh: newMesh(c.meter)}
	if err := r.start(ctx, c); err != nil {
		r.close()
		return nil, fmt.Errorf("gossipsub: %w", err)
	}
	return r, nil
}

// untilWhole is how long it is until the clock shows a whole multiple of a time. Heartbeats then fall on what else keeps
// to such, here and at the neighbours, whose messages come while this node is awake anyway.
func untilWhole(now time.Time, every time.Duration) time.Duration {
	if every <= 0 {
		return 0
	}
	return every - time.Duration(now.UnixNano()%int64(every))
}

// gossipParams are GossipSub's parameters; what is not set here are its defaults.
func gossipParams(p Params) pubsub.GossipSubParams {
	g := pubsub.DefaultGossipSubParams()
	g.D, g.Dlo, g.Dhi, g.Dlazy, g.Dout, g.Dscore = p.D, p.Dlo, p.Dhi, p.Dlazy, p.Dout, p.Dlo
	g.HeartbeatInterval = p.Heartbeat
	g.HeartbeatInitialDelay = untilWhole(time.Now(), p.Heartbeat)
	g.PruneBackoff = 30 * p.Heartbeat
	g.HistoryLength, g.HistoryGossip = 6, p.Tell // it can be asked for as long as it may be news
	// One new name a block and topic is what is honest; the defaults let a peer announce 5,000.
	g.MaxIHaveLength, g.MaxIHaveMessages = 64, 4
	g.MaxIDontWantLength, g.MaxIDontWantMessages = 16, 64
	g.IDontWantMessageThreshold = 512 // a finality message has 1.2 kB
	g.GossipRetransmission = 2
	g.PrunePeers = 0 // addresses are exchanged on a protocol of our own
	g.Connectors, g.MaxPendingConnections = 1, 1
	return g
}

func scoreParams(c routerConfig) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds, error) {
	var white []*net.IPNet
	for _, p := range private {
		_, n, err := net.ParseCIDR(p)
		if err != nil {
			return nil, nil, err
		}
		white = append(white, n)
	}
	p := &pubsub.PeerScoreParams{
		Topics: make(map[string]*pubsub.TopicScoreParams),
		AppSpecificScore: func(id peer.ID) float64 {
			if c.pinned(id) {
				return scorePinned
			}
			return 0
		},
		AppSpecificWeight:           1,
		IPColocationFactorWeight:    -20, // times the square of how many there are too many
		IPColocationFactorThreshold: 3,
		IPColocationFactorWhitelist: white,
		BehaviourPenaltyWeight:      -10,
		BehaviourPenaltyThreshold:   6,
		BehaviourPenaltyDecay:       pubsub.ScoreParameterDecayWithBase(10*time.Minute, decayEvery, 0.01),
		DecayInterval:               decayEvery,
		DecayToZero:                 0.01,
		RetainScore:                 forgiveAfter,
	}
	for _, k := range c.params.Topics {
		p.Topics[Topic(c.genesis, k)] = &pubsub.TopicScoreParams{
			TopicWeight:                    1,
			TimeInMeshWeight:               0.01,
			TimeInMeshQuantum:              time.Minute,
			TimeInMeshCap:                  300,
			FirstMessageDeliveriesWeight:   0.5,
			FirstMessageDeliveriesDecay:    pubsub.ScoreParameterDecayWithBase(time.Hour, decayEvery, 0.01),
			FirstMessageDeliveriesCap:      20,
			InvalidMessageDeliveriesWeight: scoreInvalid,
			InvalidMessageDeliveriesDecay:  pubsub.ScoreParameterDecayWithBase(forgiveAfter, decayEvery, 0.01),
		}
	}
	return p, &pubsub.PeerScoreThresholds{
		GossipThreshold: scoreGossip, PublishThreshold: scorePublish, GraylistThreshold: scoreGraylist,
		AcceptPXThreshold: 1000, OpportunisticGraftThreshold: 1,
	}, nil
}

func (r *router) start(ctx context.Context, c routerConfig) (err error) {
	score, thresholds, err := scoreParams(c)
	if err != nil {
		return err
	}
	names := make(map[string]Kind)
	filter := make([]string, 0, len(kinds))
	for _, k := range Kinds() {
		names[Topic(c.genesis, k)] = k
		filter = append(filter, Topic(c.genesis, k))
	}
	r.ps, err = pubsub.NewGossipSub(ctx, c.host,
		pubsub.WithGossipSubParams(gossipParams(c.params)),
		pubsub.WithPeerScore(score, thresholds),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pb.Message) string {
			// The same bytes on two topics are two messages to GossipSub: they go to other nodes.
			id := named(names[m.GetTopic()], m.GetData())
			return string(id[:nameBytes])
		}),
		pubsub.WithMaxMessageSize(2*MaxMessage),
		pubsub.WithFloodPublish(false),
		pubsub.WithPeerOutboundQueueSize(32),
		pubsub.WithValidateWorkers(1),
		pubsub.WithValidateThrottle(8),
		pubsub.WithValidateQueueSize(32),
		pubsub.WithSeenMessagesTTL(2*time.Minute),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(filter...), 2*len(filter))),
		pubsub.WithRawTracer(r.mesh),
		pubsub.WithAppSpecificRpcInspector(func(id peer.ID, rpc *pubsub.RPC) error {
			// Before GossipSub marks the messages as seen: what is dropped here can still come from others.
			if len(rpc.GetPublish()) > 0 && c.spent(id) {
				return errSpent
			}
			return nil
		}),
	)
	if err != nil {
		return err
	}
	self := c.host.ID()
	for _, k := range c.params.Topics {
		name := Topic(c.genesis, k)
		err := r.ps.RegisterTopicValidator(name, func(ctx context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
			if from == self { // published here, and judged before
				return pubsub.ValidationAccept
			}
			switch c.judge(from, k, m.GetData()) {
			case Accept:
				if k == Finality || k == FinalityRare {
					r.linger(ctx, name, m.ID, from, &c.params)
				}
				return pubsub.ValidationAccept
			case Reject:
				return pubsub.ValidationReject
			}
			return pubsub.ValidationIgnore
		}, pubsub.WithValidatorConcurrency(4)) // of which one a block lingers
		if err != nil {
			return err
		}
	}
	return nil
}

// linger waits for as long as chance decides, and again a few times while some neighbours of the mesh say that they
// have the message and others may be about to: where it comes from all sides, few need it, and where it is at its
// front, it goes on.
func (r *router) linger(ctx context.Context, topic, id string, from peer.ID, p *Params) {
	defer r.mesh.wait(id, from)()
	for range 1 + p.SpreadMore {
		t := time.NewTimer(time.Duration(rand.Int64N(int64(p.Spread))))
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		if have, lack := r.mesh.have(topic, id, from); !Lingers(have, lack) || ctx.Err() != nil {
			return
		}
	}
}

// Lingers reports whether of a mesh so many have a message, and so many have not said so, that it is worth a
// wait who else has it.
func Lingers(have, lack int) bool { return lack > 0 && 10*have >= 3*(have+lack) }

// join tells the neighbours which topics are wanted, and takes part in them.
func (r *router) join(genesis verify.Hash, topics []Kind) error {
	for _, k := range topics {
		t, err := r.ps.Join(Topic(genesis, k))
		if err != nil {
			return fmt.Errorf("gossipsub: %w", err)
		}
		// A relay is in the mesh without a queue to be read: the validator has seen each message.
		if _, err := t.Relay(); err != nil {
			return fmt.Errorf("gossipsub: %w", err)
		}
		r.mu.Lock()
		r.topics[k] = t
		r.mu.Unlock()
	}
	return nil
}

// publish sends a message of our own, or one that came another way, on a topic of this level.
func (r *router) publish(ctx context.Context, k Kind, message []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.topics[k]
	if t == nil {
		t = r.loose[k]
	}
	if t == nil && k == Transactions { // at a level that does not listen, GossipSub sends to some who do
		var err error
		if t, err = r.ps.Join(Topic(r.genesis, k)); err != nil {
			return fmt.Errorf("gossipsub: %w", err)
		}
		r.loose[k] = t
	}
	if t == nil {
		return fmt.Errorf("topic %v is not of this level", k)
	}
	return t.Publish(ctx, message)
}

// neighbours returns how many peers are on each topic, and how many of these in our mesh.
func (r *router) neighbours() (on, mesh map[Kind]int) {
	on, mesh = make(map[Kind]int), make(map[Kind]int)
	r.mu.Lock()
	topics := maps.Clone(r.topics)
	r.mu.Unlock()
	for k, t := range topics {
		on[k], mesh[k] = len(t.ListPeers()), r.mesh.size(t.String())
	}
	return on, mesh
}

// meshed reports whether a message on a topic would go to anybody now.
func (r *router) meshed(k Kind) bool {
	r.mu.Lock()
	t := r.topics[k]
	r.mu.Unlock()
	if t == nil {
		return k == Transactions && len(r.ps.ListPeers(Topic(r.genesis, k))) > 0
	}
	return r.mesh.size(t.String()) > 0
}

// stop ends the router and returns its substreams, which its neighbours still think open. They are to be
// reset when the next router stands, since a neighbour opens another one at once, and gives us up when
// nobody answers. It forgets our topics then: they are to be joined after that, and not before. (One that
// has been reset four times within ten minutes does not come back before the connection is new.)
func (r *router) stop() []network.Stream {
	r.cancel()
	var open []network.Stream
	for _, c := range r.host.Network().Conns() {
		for _, s := range c.GetStreams() {
			if strings.HasPrefix(string(s.Protocol()), "/meshsub/") {
				open = append(open, s)
			}
		}
	}
	return open
}

// close ends the router for good; connections stay.
func (r *router) close() {
	open := r.stop()
	for _, id := range []protocol.ID{pubsub.GossipSubID_v10, pubsub.GossipSubID_v11, pubsub.GossipSubID_v12, pubsub.GossipSubID_v13, pubsub.FloodSubID} {
		r.host.RemoveStreamHandler(id)
	}
	for _, s := range open {
		s.Reset()
	}
}
