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
	// Fact is told each bundle that was accepted on a topic other than finality.
	Fact  func(k Kind, x *bundle.Bundle)
	Notes func(Note)
	Now   func() time.Time
	Seed  uint64 // of jitter and choices; 0: random

	tick time.Duration // of tests; 0: ten seconds
}

// A neighbour is a connected light node of our chain.
type neighbour struct {
	id      peer.ID
	addr    ma.Multiaddr
	inbound bool
	since   time.Time
	asked   time.Time // for a catch-up
	told    bool      // asked for addresses
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
	neighbours map[peer.ID]*neighbour
	contacts   *contacts
	mesh       map[Kind]int
	router     *router

	// Owned by the loop.
	rand      *rand.Rand
	dialling  int
	accepted  map[uint32][]byte // messages that proved recent blocks, by number
	publishAt time.Time         // zero: nothing is to be published
	joinAt    time.Time         // zero: topics are joined
	movedAt   time.Time
	seen      *Standing
	asking    bool
	accused   bool
	lan       *lanService
	awake     time.Time // Survive: until when
	nextAwake time.Time
	keptAt    time.Time
	lonely    bool
	catchUps  uint64
	links     []*carried
	load      link.Load
	loadOf    *Standing
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
		requests: make(map[peer.ID]*bucket), neighbours: make(map[peer.ID]*neighbour),
		contacts: newContacts(cfg.Host.ID(), r, cfg.Private), accepted: make(map[uint32][]byte), rand: r, mesh: make(map[Kind]int),
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

// Publish sends a message on the topic that it is for, after it has been judged like one from a peer.
func (n *Node) Publish(ctx context.Context, message []byte) (Kind, error) {
	k := Evidence
	if x, err := bundle.Decode(message); err == nil {
		if k, err = KindOf(x); err != nil {
			return k, err
		}
	} else if bundle.CheckMagic(message) == nil || len(message) == 0 {
		return k, err
	}
	return k, n.Take(ctx, k, message)
}

// Take judges a message that came by another way than GossipSub (a file, a carrier, the user), gives what
// it proves to the light client and passes it on.
func (n *Node) Take(ctx context.Context, k Kind, message []byte) error {
	j := n.gate.Judge(n.cfg.Now(), "", k, message)
	n.bring(ctx, k, message, j)
	if j.Verdict != Accept {
		return j.Err
	}
	done := make(chan error, 1)
	n.emit(ctx, publish{k, message, j.Number, done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TakeBundle does the same with a whole bundle, of any size: what it proves above the head goes to the
// light client. stale is ErrStale.
func (n *Node) TakeBundle(ctx context.Context, x *bundle.Bundle) error {
	t := n.gate.Trust()
	if t == nil || t.Head == nil {
		return ErrNoTrust
	}
	if x.Genesis != n.cfg.Genesis {
		return bundle.ErrNetwork
	}
	p, err := ProofOf(x, t)
	if err != nil {
		return err
	}
	n.cfg.Light.Offer(ctx, p)
	return nil
}

func (n *Node) emit(ctx context.Context, e any) {
	select {
	case n.events <- e:
	case <-ctx.Done():
	}
}

// judge is called by the router's workers.
func (n *Node) judge(ctx context.Context, from peer.ID, k Kind, message []byte) Verdict {
	j := n.gate.Judge(n.cfg.Now(), string(from), k, message)
	n.bring(ctx, k, message, j)
	switch {
	case j.Verdict == Reject:
		n.note("%s sent a message that is not so, and is heard no more: %v", shortID(from), j.Err)
	case errors.Is(j.Err, ErrAhead):
		select {
		case n.events <- ahead{from}:
		default:
		}
	}
	return j.Verdict
}

// bring hands on what a message has proven.
func (n *Node) bring(ctx context.Context, k Kind, message []byte, j Judgement) {
	if j.Verdict != Accept {
		return
	}
	switch {
	case j.Proof != nil:
		n.cfg.Light.Offer(ctx, j.Proof)
		select {
		case n.events <- proven{j.Number, slices.Clone(message)}:
		default:
		}
	case j.Evidence != nil:
		n.cfg.Light.Accuse(ctx, j.Evidence)
	case j.Bundle != nil:
		n.cfg.Fact(k, j.Bundle)
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
	defer n.cfg.Host.RemoveStreamHandler(catchUpProtocol(n.cfg.Genesis))
	defer n.cfg.Host.RemoveStreamHandler(peersProtocol(n.cfg.Genesis))
	if err := n.apply(ctx, n.cfg.Level); err != nil {
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
		for _, at := range []time.Time{n.publishAt, n.joinAt} {
			if !at.IsZero() {
				wait = min(wait, max(10*time.Millisecond, at.Sub(now)))
			}
		}
		timer.Reset(wait)
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
			n.contacts.failed(e.id, now)
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
			n.catchUps++
			n.cfg.Light.Offer(ctx, e.proof)
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
		e.done <- n.send(ctx, e.kind, e.message)
	}
}

// planPublish decides when the new head is told. A head that came by gossip is on its way already; one
// from the chain's own network many nodes have at once: whoever draws the shortest time tells it.
func (n *Node) planPublish(now time.Time) {
	st, p := n.now(), n.Params()
	if st == nil || st.Proof == nil && st.Evidence == nil {
		return
	}
	wants := st.Evidence != nil && !n.accused
	for _, k := range []Kind{Finality, FinalityRare} {
		wants = wants || st.Proof != nil && slices.Contains(p.Topics, k) && n.gate.Final(k) < st.Head.Number
	}
	if wants && n.publishAt.IsZero() {
		n.publishAt = now.Add(time.Duration(n.rand.Int64N(int64(publishSpread))))
	}
}

// publishSpread is over how long nodes that have a head from the chain's own network spread their telling
// of it.
const publishSpread = 800 * time.Millisecond

// publishHead tells of the newest head, unless others have in the meantime.
func (n *Node) publishHead(ctx context.Context) {
	st, p := n.now(), n.Params()
	if st == nil || !p.meshes() {
		return
	}
	if st.Evidence != nil && !n.accused {
		n.accused = true
		if m := st.Evidence.Append(nil); len(m) <= MaxMessage && n.gate.Own(Evidence, m, 0) {
			n.send(ctx, Evidence, m)
		}
	}
	if st.Proof == nil || len(st.Signer.Authorities) == 0 {
		return
	}
	number := st.Head.Number
	m := n.accepted[number] // the very bytes that others have, if it came by gossip
	if m == nil {
		var err error
		if m, err = FinalityMessage(n.cfg.Genesis, st.From, &st.Signer, grandpa.Fragment{Header: st.Head.Header, Justification: st.Proof}); err != nil {
			n.note("%v", err)
			return
		}
	}
	for _, k := range []Kind{Finality, FinalityRare} {
		if slices.Contains(p.Topics, k) && n.gate.Own(k, m, number) {
			n.send(ctx, k, m)
		}
	}
}

func (n *Node) send(ctx context.Context, k Kind, message []byte) error {
	n.mu.Lock()
	r := n.router
	n.mu.Unlock()
	if r == nil {
		return fmt.Errorf("level %v has no topics", n.Level())
	}
	return r.publish(ctx, k, message)
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

// identified looks at who has connected: a light node of our chain speaks our catch-up.
func (n *Node) identified(ctx context.Context, id peer.ID) {
	ours, err := n.cfg.Host.Peerstore().SupportsProtocols(id, catchUpProtocol(n.cfg.Genesis))
	if err != nil || len(ours) == 0 {
		return
	}
	conns := n.cfg.Host.Network().ConnsToPeer(id)
	if len(conns) == 0 {
		return
	}
	x := &neighbour{id: id, addr: conns[0].RemoteMultiaddr(), inbound: conns[0].Stat().Direction == network.DirInbound, since: n.cfg.Now()}
	n.mu.Lock()
	if n.neighbours[id] != nil {
		n.mu.Unlock()
		return
	}
	in, on := 0, make(map[peer.ID]ma.Multiaddr)
	for _, o := range n.neighbours {
		on[o.id] = o.addr
		if o.inbound {
			in++
		}
	}
	pinned := n.contacts.pinned(id)
	full := x.inbound && !pinned && (in >= n.params.In || n.contacts.crowded(x.addr, on))
	if !full {
		n.neighbours[id] = x
		// What it says of itself is where it can be dialled again; the port it dialled from is not.
		n.contacts.add(id, n.cfg.Host.Peerstore().Addrs(id), met)
		n.contacts.worked(id, n.cfg.Now())
	}
	first := len(n.neighbours) == 1 && !full
	n.mu.Unlock()
	if full {
		n.cfg.Host.Network().ClosePeer(id)
		return
	}
	n.cfg.Hold(id, true)
	n.note("neighbour %s at %s", shortID(id), x.addr)
	if first {
		n.lonely = false
	}
	n.catchUp(ctx, n.cfg.Now(), id, askAgain)
}

func (n *Node) gone(id peer.ID) {
	n.mu.Lock()
	x := n.neighbours[id]
	delete(n.neighbours, id)
	n.mu.Unlock()
	if x != nil {
		n.cfg.Hold(id, false)
		n.note("neighbour %s left", shortID(id))
	}
}

// drop ends a connection.
func (n *Node) drop(id peer.ID) {
	n.gone(id)
	n.cfg.Host.Network().ClosePeer(id)
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
		n.publishHead(ctx)
	}
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
	for _, x := range n.neighbours {
		on[x.id] = x.addr
		if !x.inbound {
			out++
		}
		ask = append(ask, x.id)
	}
	var dial []*Contact
	if want := min(p.Out-out-n.dialling, 3-n.dialling); want > 0 {
		dial = n.contacts.candidates(now, want, on)
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
	for _, id := range ask {
		n.askPeers(ctx, id, known)
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

func (n *Node) dial(ctx context.Context, info peer.AddrInfo) {
	n.dialling++
	go func() {
		dctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		// Addresses that the peer told of itself in earlier times are not for this.
		n.cfg.Host.Peerstore().ClearAddrs(info.ID)
		err := n.cfg.Host.Connect(dctx, info)
		n.emit(ctx, dialled{info.ID, err})
	}()
}

// catchUp asks one neighbour at a time, and the same not sooner than after a while.
func (n *Node) catchUp(ctx context.Context, now time.Time, id peer.ID, again time.Duration) {
	t := n.gate.Trust()
	if t == nil || t.Head == nil || n.asking {
		return
	}
	lag := n.lag(t.Root)
	n.mu.Lock()
	x := n.neighbours[id]
	if x == nil || !x.asked.IsZero() && now.Sub(x.asked) < min(again, lag) {
		n.mu.Unlock()
		return
	}
	x.asked = now
	n.mu.Unlock()
	n.asking = true
	go func() {
		proof, evidence, err := askCatchUp(ctx, n.cfg.Host, id, n.cfg.Genesis, t)
		if evidence != nil {
			err = n.Take(ctx, Evidence, evidence)
		}
		n.emit(ctx, caughtUp{id, proof, err})
	}()
}

func (n *Node) askPeers(ctx context.Context, id peer.ID, known int) {
	n.mu.Lock()
	x := n.neighbours[id]
	ask := x != nil && !x.told && known < maxContacts/2
	if ask {
		x.told = true
	}
	n.mu.Unlock()
	if !ask {
		return
	}
	go func() {
		if peers, err := askPeers(ctx, n.cfg.Host, id, n.cfg.Genesis); err == nil {
			n.emit(ctx, toldPeers{peers})
		}
	}()
}

// answerCatchUp answers a neighbour that asks what is final above its head.
func (n *Node) answerCatchUp(_ peer.ID, request []byte) ([]byte, bool) {
	st := n.now()
	if st == nil || st.Above == nil || len(request) != 32 {
		return nil, false
	}
	if st.Evidence != nil {
		return st.Evidence.Append(nil), true
	}
	from, proof, ok := st.Above(verify.Hash(request), maxFragments)
	if !ok {
		return nil, false
	}
	if len(proof.Fragments) == 0 {
		return nil, true
	}
	x, err := CatchUp(n.cfg.Genesis, from, proof)
	if err != nil {
		return nil, false
	}
	b := x.Encode()
	return b, len(b) <= maxCatchUp
}

// answerPeers tells of some contacts.
func (n *Node) answerPeers(id peer.ID, _ []byte) ([]byte, bool) {
	private := n.cfg.Private
	for _, c := range n.cfg.Host.Network().ConnsToPeer(id) {
		if ip, ok := ipOf(c.RemoteMultiaddr()); ok && isPrivate(ip) {
			private = true
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return appendPeers(nil, n.contacts.sample(maxTold, private, id)), true
}

// Stats is one look at a node, for `gossip stats`.
type Stats struct {
	Level      string         `json:"level"`
	Neighbours int            `json:"neighbours"`
	Contacts   int            `json:"contacts"`
	Topics     map[string]int `json:"topics"` // neighbours on each
	Final      uint32         `json:"final"`  // newest that gossip proved, or told
	CatchUps   uint64         `json:"catch_ups"`
	Messages   Counts         `json:"messages"`
	Traffic    Traffic        `json:"traffic"`
}

// Stats looks at the node.
func (n *Node) Stats() Stats {
	s := Stats{Topics: make(map[string]int), Messages: n.gate.Counts(), Traffic: n.meter.traffic(), Final: n.gate.Final(Finality)}
	n.mu.Lock()
	s.Level, s.Neighbours, s.Contacts = n.level.String(), len(n.neighbours), len(n.contacts.list)
	r := n.router
	n.mu.Unlock()
	if r != nil {
		for k, c := range r.neighbours() {
			s.Topics[k.String()] = c
		}
	}
	return s
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
