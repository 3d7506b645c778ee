package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/gossip/link"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// Times of the loop.
const (
	tick       = 10 * time.Second // all periodic work, aligned to it
	dialTime   = 20 * time.Second
	askAgain   = time.Minute            // between two catch-ups from the same neighbour
	askSoon    = 2 * time.Second        // the same, from one that tells of blocks of a later set
	settle     = 500 * time.Millisecond // between a new router and its topics
	windowTime = 2 * time.Minute
	windowEach = time.Hour // Survive: how often it is awake
)

// A Light is the light client that proofs are for: what it is given it verifies itself.
type Light interface {
	Offer(ctx context.Context, p *grandpa.WarpProof)
	Accuse(ctx context.Context, ev *grandpa.Evidence)
	// Told is called when a neighbour tells of a block that is final here already. It does not wait.
	Told(number uint32)
}

// A Standing is what the light client has proven at one moment. It must not be changed once it is given.
type Standing struct {
	Trust
	Proof    *grandpa.Justification // of the head; nil for a trust root
	From     bundle.RootRef         // the block from which Trust.Signer signs
	Evidence *grandpa.Evidence      // of a conflict; nil: none
	// Above proves the head from a block of ours: start is that block with the set that goes on from it.
	// ok is false for a block that is none of ours, or too old to tell.
	Above func(from verify.Hash, most int) (start grandpa.Finalized, proof *grandpa.WarpProof, ok bool)
}

// A Note is a change of state, for a log line.
type Note struct {
	Text string
	Warn bool
}

// Config is what a node needs. Host, Genesis and Light are required.
type Config struct {
	Host    host.Host
	Genesis verify.Hash
	Light   Light
	Level   Level
	Given   []string // addresses of light nodes, with /p2p; pinned
	Kept    [][]byte // contacts as Keep was given them
	Private bool     // told addresses of private networks are dialled: the chain is a local one
	LAN     bool     // look for light nodes on the local network, and be found there

	Links []link.Link // carriers for where there is no internet

	// Hold keeps a connection open, although the light client may have no use for it, until it is called
	// with false.
	Hold func(id peer.ID, on bool)
	// Keep is given contacts worth keeping, now and then and at the end.
	Keep func(records [][]byte)
	// Dial reaches ports of neighbours that ask for it; nil: this node tries none.
	Dial Dialer
	// Courier takes transactions to the chain; nil: this node carries none.
	Courier Courier
	// Fact is told each bundle that was accepted on a topic other than finality.
	Fact  func(k Kind, x *bundle.Bundle)
	Notes func(Note)
	Now   func() time.Time
	Seed  uint64 // of jitter and choices; 0: random

	tick time.Duration // of tests; 0: ten seconds
}

// Node is the gossip of one light node. Run owns its goroutines.
type Node struct {
	cfg   Config
	gate  *Gate
	meter meter

	events chan any

	mu         sync.Mutex
	standing   *Standing // newest; guarded by mu, as all below
	params     Params
	level      Level
	requests   map[peer.ID]*bucket
	serving    int
	reachers   map[peer.ID]time.Time // when it last asked to be reached
	reaching   int
	neighbours map[peer.ID]*neighbour
	contacts   *contacts
	catchUps   uint64
	router     *router
	metAt      time.Time // when the newest neighbour came
	held       []held    // oldest first
	shares     [][]byte  // facts to be told, one in each tick
	holding    int       // counts what was ever held

	// Owned by the loop.
	rand      *rand.Rand
	dialling  int
	accepted  map[uint32][]byte // messages that proved recent blocks, by number
	publishAt time.Time         // zero: nothing is to be published
	outbox    []waiting
	joinAt    time.Time // zero: topics are joined
	movedAt   time.Time
	seen      *Standing
	asking    bool
	accused   bool
	lan       *lanService
	awake     time.Time // Survive: until when
	nextAwake time.Time
	keptAt    time.Time
	shareAt   time.Time // when the next fact is told; zero: none is
	heldAt    time.Time // when a neighbour was last asked what became of ours
	lonely    bool
	links     []*carried
	load      link.Load
	loadOf    *Standing
	loadHeld  int
	work      sync.WaitGroup
}

// Events of the loop.
type (
	moved    struct{}
	levelSet struct {
		level Level
		done  chan error
	}
	foundPeer struct {
		info   peer.AddrInfo
		source string
	}
	dialled struct {
		id  peer.ID
		err error
	}
	caughtUp struct {
		id    peer.ID
		proof *grandpa.WarpProof
		err   error
	}
	toldPeers struct{ peers []peer.AddrInfo }
	ahead     struct{ id peer.ID }
	proven    struct {
		number  uint32
		message []byte
	}
	publish struct {
		kind    Kind
		message []byte
		number  uint32
		done    chan error
	}
)

// New prepares a node; nothing happens before Run.
func New(cfg Config) (*Node, error) {
	if cfg.Host == nil || cfg.Light == nil {
		return nil, errors.New("gossip: no host, or no light client")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.tick == 0 {
		cfg.tick = tick
	}
	if cfg.Notes == nil {
		cfg.Notes = func(Note) {}
	}
	if cfg.Hold == nil {
		cfg.Hold = func(peer.ID, bool) {}
	}
	if cfg.Fact == nil {
		cfg.Fact = func(Kind, *bundle.Bundle) {}
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x676f))
	n := &Node{
		cfg: cfg, gate: NewGate(cfg.Genesis), events: make(chan any, 64), params: ParamsOf(cfg.Level), level: cfg.Level,
		requests: make(map[peer.ID]*bucket), reachers: make(map[peer.ID]time.Time), neighbours: make(map[peer.ID]*neighbour),
		contacts: newContacts(cfg.Host.ID(), r, cfg.Private), accepted: make(map[uint32][]byte), rand: r,
	}
	for _, a := range cfg.Given {
		if err := n.contacts.addGiven(a); err != nil {
			return nil, fmt.Errorf("gossip: %w", err)
		}
	}
	for _, r := range cfg.Kept {
		if err := n.contacts.load(r); err != nil {
			cfg.Notes(Note{Text: err.Error()})
		}
	}
	return n, nil
}

// Moved tells that the light client has proven something new. It does not wait.
func (n *Node) Moved(st *Standing) {
	n.mu.Lock()
	n.standing = st
	n.mu.Unlock()
	n.gate.SetTrust(&st.Trust)
	select {
	case n.events <- moved{}:
	default: // the loop looks at each tick as well
	}
}

// SetLevel changes the level and returns when it is in force; connections stay, down to Eco.
func (n *Node) SetLevel(ctx context.Context, l Level) error {
	done := make(chan error, 1)
	n.emit(ctx, levelSet{l, done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Node) emit(ctx context.Context, e any) {
	select {
	case n.events <- e:
	case <-ctx.Done():
	}
}

func (n *Node) note(format string, args ...any) {
	n.cfg.Notes(Note{Text: fmt.Sprintf(format, args...)})
}

func shortID(id peer.ID) string {
	s := id.String()
	if len(s) > 14 {
		return s[:8] + "…" + s[len(s)-4:]
	}
	return s
}

// Run gossips until ctx ends.
func (n *Node) Run(ctx context.Context) error {
	sub, err := n.cfg.Host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerConnectednessChanged),
	}, eventbus.BufSize(64))
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	defer sub.Close()
	n.serve(catchUpProtocol(n.cfg.Genesis), 32, n.answerCatchUp)
	n.serve(peersProtocol(n.cfg.Genesis), 0, n.answerPeers)
	n.serve(heldProtocol(n.cfg.Genesis), 4+32*maxHeld, n.answerHeld)
	n.serveReach(ctx)
	defer n.cfg.Host.RemoveStreamHandler(reachProtocol(n.cfg.Genesis))
	defer n.cfg.Host.RemoveStreamHandler(catchUpProtocol(n.cfg.Genesis))
	defer n.cfg.Host.RemoveStreamHandler(peersProtocol(n.cfg.Genesis))
	defer n.cfg.Host.RemoveStreamHandler(heldProtocol(n.cfg.Genesis))
	if err := n.apply(ctx, n.cfg.Level); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer n.end()
	ctx, cancel := context.WithCancel(ctx)
	defer n.work.Wait()
	defer cancel()
	n.startLinks(ctx)

	for _, id := range n.cfg.Host.Network().Peers() { // identified before we listened
		n.identified(ctx, id)
	}
	if a := n.addrs(); len(a) > 0 {
		n.note("other light nodes reach this one at %s", a[len(a)-1])
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	n.movedAt = n.cfg.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-sub.Out():
			if !ok {
				return nil
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				n.identified(ctx, e.Peer)
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == network.NotConnected {
					n.gone(e.Peer)
				}
			}
		case e := <-n.events:
			n.event(ctx, e)
		case <-timer.C:
		}
		now := n.cfg.Now()
		n.step(ctx, now)
		wait := n.cfg.tick - time.Duration(now.UnixNano())%n.cfg.tick // aligned with what else wakes the board
		switch n.Level() {
		case Park:
			wait = windowEach
		case Survive:
			if !now.Before(n.awake) {
				wait = max(n.nextAwake.Sub(now), n.cfg.tick)
			}
		}
		if len(n.outbox) > 0 && now.Sub(n.lastMet()) < outboxSoon {
			wait = min(wait, time.Second)
		}
		for _, at := range []time.Time{n.publishAt, n.joinAt} {
			if !at.IsZero() {
				wait = min(wait, max(10*time.Millisecond, at.Sub(now)))
			}
		}
		timer.Reset(max(wait-n.cfg.Now().Sub(now), time.Millisecond)) // what the step took is not to move the next one
	}
}

// end keeps what is worth it.
func (n *Node) end() {
	n.keep()
	n.mu.Lock()
	r, l := n.router, n.lan
	n.router, n.lan = nil, nil
	n.mu.Unlock()
	if r != nil {
		r.close()
	}
	if l != nil {
		l.close()
	}
}

func (n *Node) keep() {
	if n.cfg.Keep == nil {
		return
	}
	n.mu.Lock()
	list := make([]*neighbour, 0, len(n.neighbours))
	for _, x := range n.neighbours {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b *neighbour) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.id, b.id)) })
	oldest := make([]peer.ID, 0, anchors)
	for _, x := range list {
		if !x.inbound && len(oldest) < anchors {
			oldest = append(oldest, x.id)
		}
	}
	records := n.contacts.save(64, oldest)
	n.mu.Unlock()
	n.cfg.Keep(records)
}

// apply changes to a level: another router, and as many connections as it allows.
func (n *Node) apply(ctx context.Context, l Level) error {
	p := ParamsOf(l)
	n.mu.Lock()
	old := n.router
	n.router, n.params, n.level = nil, p, l
	n.mu.Unlock()
	var open []network.Stream
	switch {
	case old != nil && p.meshes():
		open = old.stop()
	case old != nil:
		old.close()
	}
	if p.meshes() {
		r, err := newRouter(ctx, routerConfig{
			host: n.cfg.Host, genesis: n.cfg.Genesis, params: p, meter: &n.meter,
			pinned: func(id peer.ID) bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				return n.contacts.pinned(id)
			},
			spent: func(id peer.ID) bool { return n.gate.Spent(n.cfg.Now(), string(id)) },
			judge: func(from peer.ID, k Kind, message []byte) Verdict { return n.judge(ctx, from, k, message) },
		})
		if err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
		n.mu.Lock()
		n.router = r
		n.mu.Unlock()
		for _, s := range open {
			s.Reset()
		}
		if n.joinAt = n.cfg.Now(); len(open) > 0 {
			n.joinAt = n.joinAt.Add(settle)
		} else if err := n.join(); err != nil {
			return err
		}
	}
	switch want := n.cfg.LAN && p.MDNSEvery > 0; {
	case want && n.lan == nil:
		lan, err := startLAN(n.cfg.Host, n.cfg.Genesis, func(info peer.AddrInfo) { n.emit(ctx, foundPeer{info, lan}) })
		if err != nil { // no multicast here
			n.note("the local network cannot be searched: %v", err)
		}
		n.lan = lan
	case !want && n.lan != nil:
		n.lan.close()
		n.lan = nil
	}
	return nil
}

// join joins the topics of the level.
func (n *Node) join() error {
	n.joinAt = time.Time{}
	n.mu.Lock()
	r, p := n.router, n.params
	n.mu.Unlock()
	if r == nil {
		return nil
	}
	if err := r.join(n.cfg.Genesis, p.Topics); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	n.planPublish(n.cfg.Now())
	return nil
}

func (n *Node) event(ctx context.Context, e any) {
	now := n.cfg.Now()
	switch e := e.(type) {
	case moved: // step looks
	case levelSet:
		if e.level == n.Level() {
			e.done <- nil
			return
		}
		err := n.apply(ctx, e.level)
		n.awake, n.nextAwake = time.Time{}, time.Time{} // a window begins with the level that has one
		if err == nil {
			n.note("level %v", e.level)
		}
		e.done <- err
	case foundPeer:
		n.mu.Lock()
		n.contacts.add(e.info.ID, e.info.Addrs, e.source)
		n.mu.Unlock()
	case toldPeers:
		n.mu.Lock()
		for _, p := range e.peers {
			n.contacts.add(p.ID, p.Addrs, told)
		}
		n.mu.Unlock()
	case dialled:
		n.dialling--
		n.mu.Lock()
		if n.neighbours[e.id] == nil { // not reached, or no light node of our chain for all we know yet
			n.contacts.failed(e.id, now, false)
		}
		n.mu.Unlock()
	case ahead:
		n.catchUp(ctx, now, e.id, askSoon)
	case caughtUp:
		n.asking = false
		switch {
		case errors.Is(e.err, ErrAnswer) && !errors.Is(e.err, ErrStale) && !errors.Is(e.err, ErrUndecided):
			n.note("%s answered with what is not so: %v", shortID(e.id), e.err)
			n.drop(e.id)
		case e.proof != nil:
			last := e.proof.Fragments[len(e.proof.Fragments)-1]
			n.note("caught up to #%d from %s, %d set changes", last.Header.Number, shortID(e.id), len(e.proof.Fragments)-1)
			n.mu.Lock()
			n.catchUps++
			n.mu.Unlock()
			n.cfg.Light.Offer(ctx, e.proof)
		}
		if e.err == nil && n.Level() == Survive { // that is what the window was for
			n.awake = now
		}
	case proven:
		n.accepted[e.number] = e.message
		for number := range n.accepted {
			if len(n.accepted) > 8 && number+8 < e.number {
				delete(n.accepted, number)
			}
		}
		if len(n.accepted) > 32 {
			clear(n.accepted)
		}
	case publish:
		e.done <- n.tell(ctx, now, e.kind, e.message)
	}
}

func (n *Node) now() *Standing {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.standing
}

// Params returns the parameters of the present level.
func (n *Node) Params() Params {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.params
}

// Level returns the present level.
func (n *Node) Level() Level {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.level
}

// step does what is due.
func (n *Node) step(ctx context.Context, now time.Time) {
	if st := n.now(); st != n.seen {
		n.seen, n.movedAt = st, now
		n.planPublish(now)
	}
	if !n.joinAt.IsZero() && !now.Before(n.joinAt) {
		if err := n.join(); err != nil {
			n.cfg.Notes(Note{Text: err.Error(), Warn: true})
		}
	}
	if n.joinAt.IsZero() && !n.publishAt.IsZero() && !now.Before(n.publishAt) {
		n.publishAt = time.Time{}
		n.publishHead(ctx, now)
	}
	n.empty(ctx, now)
	n.tellLinks()
	st, p, level := n.now(), n.Params(), n.Level()
	if level == Park || level == Survive && !n.window(now) {
		n.quiet()
		return
	}
	n.mu.Lock()
	on := make(map[peer.ID]ma.Multiaddr)
	out := 0
	var ask []peer.ID
	var again []*neighbour
	var late []peer.ID
	for _, x := range n.neighbours {
		on[x.id] = x.addr
		// What was told between its answer and the mesh, nobody tells it again.
		if p.meshes() && !x.again && now.Sub(x.since) > 2*p.Heartbeat {
			if n.movedAt.Sub(x.since) > 2*p.Heartbeat {
				x.again = true
			} else {
				again = append(again, x)
			}
		}
		if !x.late && now.Sub(x.since) > 2*p.Heartbeat && slices.Contains(p.Topics, Transactions) {
			x.late = true
			late = append(late, x.id)
		}
		if !x.stayed && now.Sub(x.since) >= stayTime {
			x.stayed = true
			n.contacts.stayed(x.id)
		}
		if !x.inbound {
			out++
		}
		ask = append(ask, x.id)
	}
	var dial []*Contact
	if want := min(p.Out-out-n.dialling, 3-n.dialling); want > 0 {
		// Whoever has as many neighbours, and has chosen half of them, dials only whom the user names.
		dial = n.contacts.candidates(now, want, on, len(on) >= p.Out && out >= p.Out/2)
		for _, c := range dial {
			c.next = now.Add(backoffMin)
		}
	}
	known := len(n.contacts.list)
	n.mu.Unlock()
	for _, c := range dial {
		n.dial(ctx, peer.AddrInfo{ID: c.ID, Addrs: slices.Clone(c.addrs)})
	}
	if len(ask) == 0 && known == 0 && !n.lonely && now.Sub(n.movedAt) > tick {
		n.lonely = true
		n.note("no light node is known: name one with --peer, or wait for one on the local network; two nodes behind carrier NAT cannot meet without a third")
	}
	if st != nil && len(ask) > 0 && (now.Sub(n.movedAt) > n.lag(st.Root) || level == Survive) {
		slices.Sort(ask)
		n.catchUp(ctx, now, ask[n.rand.IntN(len(ask))], askAgain)
	}
	for _, x := range again {
		if n.catchUp(ctx, now, x.id, 0) {
			n.mu.Lock()
			x.again = true
			n.mu.Unlock()
		}
	}
	for _, id := range ask {
		n.askPeers(ctx, id, known)
	}
	for _, id := range late {
		go n.askHeld(ctx, id)
	}
	n.share(ctx, now, p)
	if len(ask) > 0 && now.Sub(n.heldAt) >= askHeldTime && n.out() {
		n.heldAt = now
		id := ask[n.rand.IntN(len(ask))]
		go n.askHeld(ctx, id)
	}
	if now.Sub(n.keptAt) > 30*time.Minute {
		if !n.keptAt.IsZero() {
			n.keep()
		}
		n.keptAt = now
	}
}

// lag is how old the head may get before a neighbour is asked.
func (n *Node) lag(root *checkpoint.Checkpoint) time.Duration {
	blocks := 5
	if n.Level() != Full {
		blocks += Every
	}
	return max(time.Duration(blocks)*time.Duration(root.SlotDuration)*time.Millisecond, tick)
}

// window reports whether a node that sleeps is awake: for two minutes of each hour.
func (n *Node) window(now time.Time) bool {
	if now.Before(n.awake) {
		return true
	}
	if now.Before(n.nextAwake) {
		return false
	}
	n.awake, n.nextAwake = now.Add(windowTime), now.Add(windowEach)
	return true
}

// quiet ends the connections to neighbours.
func (n *Node) quiet() {
	n.mu.Lock()
	var all []peer.ID
	for id := range n.neighbours {
		all = append(all, id)
	}
	n.mu.Unlock()
	for _, id := range all {
		n.drop(id)
	}
}
