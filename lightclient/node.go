package lightclient

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/taolight/taolight/lightclient/p2p"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/wire"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// Store is what a node keeps over a restart. Nothing in it is believed: finality is proven again from
// the checkpoint, addresses are judged like told ones. An error of a write is remembered for Status
// and changes nothing else: a node with a full card goes on verifying.
type Store interface {
	Head() (data []byte, ok bool)
	WriteHead(number uint32, hash verify.Hash, data []byte) error
	RejectHead(reason error) error    // the stored head cannot be proven: a lower one may follow
	AuthoritySets() ([][]byte, error) // each as given to PutAuthoritySet, ascending by id
	PutAuthoritySet(id uint64, record []byte) error
	PutHeader(number uint32, hash verify.Hash, header []byte) error
	PutProof(number uint32, block verify.Hash, proof []byte) error
	Peers() (map[string][]byte, error)
	PutPeer(id string, record []byte) error
	Get(kind, key string) (value []byte, ok bool)
	Put(kind, key string, value []byte) error
	PutBundle(number uint32, name string, data []byte) error // within a limit: those of the lowest number go first
	Bundle(number uint32, name string) (data []byte, ok bool)
	Bundles(prefix string, f func(number uint32, name string, size int) bool) // ascending by number
	Commit() error
	Quiet(on bool) // on: nothing is written, and what is put waits, until it is off again
	Tick(now time.Time) error
	Degraded() error // why what was put is not on the disk; nil: all is well
}

// Config is what a node needs. Only Checkpoint is required.
type Config struct {
	Checkpoint *checkpoint.Checkpoint
	Bootnodes  []string // multiaddrs with /p2p, from the network file
	Peers      []string // the same, given by the user
	Store      Store    // nil: nothing is kept
	Finality   Finality
	PullEvery  time.Duration
	MaxPeers   int    // connections wanted; 0: 8
	Version    string // told to peers as taolight/Version
	Demo       bool
	BackDated  bool             // slots lie in the past on purpose (a demo chain): their age says nothing
	Notes      func(Note)       // one call per change of state; nil: none
	HealthTold bool             // somebody else notes what Status finds amiss
	Now        func() time.Time // nil: time.Now
	Seed       uint64           // of jitter and peer choice; 0: random
	Watch      []uint16         // subnets whose commitments and epochs are kept with their proofs; needs a Store
	WatchEvery uint32           // blocks between two looks at them; 0: 50
	Engine     *runtime.Engine  // executes the chain's runtime; nil: nothing does
	Compile    bool             // in the background, what is interpreted at first: for a node that stays
	Runtimes   Runtimes         // where code is kept; nil: nowhere
	Write      string           // whether anything is written until Obey says otherwise; "" is WriteFree

	Listen   []ma.Multiaddr // where other light nodes may dial; nil: nowhere
	MaxConns int            // connections in all, of peers and of light nodes; 0: 48
	Serve    bool           // be a peer of the chain to other light clients, as far as a light node can
	// Hosted is called once the libp2p host stands, before the first dial. What it starts on the host must
	// end with ctx; wait, unless nil, returns when it has. Moved is called in the node's loop, and must not wait, when the
	// finalized head has moved or finality was stopped by evidence. nil: neither.
	Hosted func(ctx context.Context, h *p2p.Host) (wait func())
	Moved  func(*Standing)
	// Shown is given bundles of what a look at a watched subnet has newly proven, each of at most MaxShown bytes, with
	// claims about commitments of one epoch and nothing else. It is called from a goroutine of its own.
	Shown func([][]byte)
}

// A Note is a change of state, for a log line.
type Note struct {
	Topic string // "peers", "warp", "final", "best", "set", "clock", "store", "ALARM", …
	Text  string
	Warn  bool // somebody should do something: the text says what
}

// Node is a running light client: the only owner of goroutines and sockets in this package.
type Node struct {
	cfg   Config
	names wire.Protocols
	sync  *Sync
	book  *Book

	host      *p2p.Host
	announces *p2p.Notifications
	txs       *p2p.Notifications
	grandpa   *p2p.Notifications

	events chan any
	calls  chan func()
	done   chan struct{}
	ready  chan struct{} // closed when the node has caught up
	wg     sync.WaitGroup

	codes    codes
	proofs   proofs
	heads    atomic.Pointer[Heads] // stored by the loop
	writable atomic.Bool           // what is kept outside the store may be written
	toldOf   atomic.Uint32         // block of which a light node told last; 0: none since the loop looked

	mu    sync.Mutex
	conns map[peer.ID]*conn // guarded by mu; dialling, opening or open

	// Guarded by mu: the newest of what is proven, what is kept for those that we serve, and what may be spent.
	// The loop alone writes orders, and reads them without the lock.
	standing *Standing
	server   *server // nil: nobody is served
	orders   Orders

	// Owned by the loop.
	dialling    int
	kadNext     time.Time
	kadWait     time.Duration
	kadBusy     bool
	headsAsked  bool
	shortAt     time.Time // since when fewer full peers are open than make light ones superfluous; zero: not so
	relieved    bool      // as Sync was when it was last told
	written     uint32    // number of the head last written
	writtenHash verify.Hash
	storeErr    error
	setsDirty   bool                  // a set change is not committed yet
	fragments   int                   // set changes proven since the checkpoint, restored or warped
	sets        []grandpa.Fragment    // the same with their proofs, from the checkpoint on
	past        map[uint32]FinalBlock // proven headers below the recent ones
	revealed    map[uint32][]reveal   // what bodies that were fetched reveal
	watch       *watch
	restored    uint32
	finalMove   time.Time // when the finalized head last moved; monotonic
	peersSaved  time.Time
	moved       chan struct{} // closed, and made anew, when the finalized head moves
	startedMono time.Time
	healthAt    time.Time
	health      map[string]bool
}

// New prepares a node: it proves from the store what can be proven, and dials nobody yet.
func New(cfg Config) (*Node, error) {
	if cfg.Checkpoint == nil {
		return nil, errors.New("no checkpoint")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxPeers <= 0 {
		cfg.MaxPeers = 8
	}
	if cfg.Notes == nil {
		cfg.Notes = func(Note) {}
	}
	if cfg.Seed == 0 {
		var b [8]byte
		crand.Read(b[:])
		cfg.Seed = binary.LittleEndian.Uint64(b[:])
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x7a6f))
	n := &Node{
		cfg:      cfg,
		names:    wire.Names(cfg.Checkpoint.Genesis),
		book:     NewBook(r),
		events:   make(chan any, 256),
		calls:    make(chan func()),
		done:     make(chan struct{}),
		ready:    make(chan struct{}),
		moved:    make(chan struct{}),
		conns:    make(map[peer.ID]*conn),
		past:     make(map[uint32]FinalBlock),
		revealed: make(map[uint32][]reveal),
		health:   make(map[string]bool),
	}
	n.codes.any = cfg.Runtimes != nil && cfg.Engine != nil && cfg.Runtimes.Any()
	for _, a := range cfg.Bootnodes {
		if err := n.book.AddGiven(a, "bootnode"); err != nil {
			return nil, err
		}
	}
	for _, a := range cfg.Peers {
		if err := n.book.AddGiven(a, "given"); err != nil {
			return nil, err
		}
	}
	if cfg.Serve {
		n.server = newServer()
	}
	n.orders = Orders{Finality: cfg.Finality, Peers: cfg.MaxPeers, FlushEvery: headEvery, Write: cfg.Write}
	if n.orders.Finality == "" {
		n.orders.Finality = Follow
	}
	n.writable.Store(n.orders.writes())
	if n.watch = newWatch(nil, 0); cfg.Store != nil {
		n.watch = newWatch(cfg.Watch, cfg.WatchEvery)
	}
	from := n.restore()
	s, err := NewSync(SyncConfig{Checkpoint: cfg.Checkpoint, Finality: cfg.Finality, PullEvery: cfg.PullEvery, Rand: r}, from)
	if err != nil {
		return nil, err
	}
	n.sync = s
	if ev := n.storedEvidence(); ev != nil {
		s.alarm = ev
	}
	return n, nil
}

// Run joins the network and follows it until ctx ends. It returns nil then.
func (n *Node) Run(ctx context.Context) error {
	defer close(n.done)
	key, err := n.identity()
	if err != nil {
		return err
	}
	host, err := p2p.New(p2p.Config{Key: key, UserAgent: "taolight/" + n.cfg.Version, Listen: n.cfg.Listen, MaxConns: n.cfg.MaxConns})
	if err != nil {
		return fmt.Errorf("libp2p host: %w", err)
	}
	n.mu.Lock()
	n.host = host
	n.mu.Unlock()
	defer n.host.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer n.codes.close()
	defer n.wg.Wait()
	defer cancel()
	n.register(ctx)
	if n.cfg.Serve {
		n.serve()
	}
	if n.cfg.Hosted != nil {
		if wait := n.cfg.Hosted(ctx, n.host); wait != nil {
			defer func() {
				cancel()
				wait()
			}()
		}
	}

	n.startedMono = time.Now()
	if err := n.loop(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	n.flush(true)
	return nil
}

// identity returns the node's libp2p key, kept in the store: a stable name is kinder to peers.
func (n *Node) identity() (crypto.PrivKey, error) {
	if n.cfg.Store != nil {
		if raw, ok := n.cfg.Store.Get("node", "key"); ok {
			if key, err := crypto.UnmarshalPrivateKey(raw); err == nil {
				return key, nil
			}
		}
	}
	key, _, err := crypto.GenerateEd25519Key(crand.Reader)
	if err != nil {
		return nil, err
	}
	if n.cfg.Store != nil {
		if raw, err := crypto.MarshalPrivateKey(key); err == nil {
			n.keep(n.cfg.Store.Put("node", "key", raw))
		}
	}
	return key, nil
}

// register sets up the three notification protocols. It comes before the first dial: a full node
// opens its substreams back at once, and gives the slot up when nobody answers.
func (n *Node) register(ctx context.Context) {
	emit := func(e any) {
		select {
		case n.events <- e:
		case <-ctx.Done():
		}
	}
	known := func(id peer.ID, _ []byte) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.conns[id] != nil
	}
	closed := func(id peer.ID) {
		n.dismiss(id)
		emit(lost{id, "closed the slot"})
	}
	n.announces = n.host.Notifications(p2p.NotificationsConfig{
		Protocol:     n.names.BlockAnnounces,
		Handshake:    n.handshake,
		MaxHandshake: 1024,
		MaxMessage:   1 << 20,
		Accept: func(id peer.ID, hs []byte) bool {
			h, err := wire.DecodeHandshake(hs)
			return err == nil && h.Genesis == n.cfg.Checkpoint.Genesis && (known(id, nil) || n.admit(ctx, id, h))
		},
		Message: func(id peer.ID, msg []byte) {
			a, err := wire.DecodeAnnounce(msg)
			if err != nil {
				emit(misbehaved{id, fmt.Errorf("block announcement: %w", err)})
				return
			}
			emit(Announced{PeerID(id), *a})
		},
		Closed:         closed,
		OutboundClosed: closed,
	})
	role := func() []byte { return []byte{wire.RoleLight} }
	n.txs = n.host.Notifications(p2p.NotificationsConfig{
		Protocol: n.names.Transactions, Handshake: role, MaxHandshake: 1024, MaxMessage: 1 << 20,
		Accept:  func(id peer.ID, _ []byte) bool { return known(id, nil) || n.admitted(id) },
		Message: func(peer.ID, []byte) {}, // full nodes send none to light peers, and what light ones send ends here
	})
	n.grandpa = n.host.Notifications(p2p.NotificationsConfig{
		Protocol: n.names.Grandpa, Handshake: role, MaxHandshake: 1024, MaxMessage: 1 << 20,
		Accept: func(id peer.ID, _ []byte) bool {
			if known(id, nil) {
				return true
			}
			if n.admitted(id) {
				n.openBack(ctx, func(ctx context.Context) {
					if _, err := n.grandpa.Open(ctx, id); err == nil {
						n.tellLight(id)
					}
				})
				return true
			}
			return false
		},
		Message: func(id peer.ID, msg []byte) {
			if !known(id, nil) {
				return // a light client that we serve: it has no votes
			}
			m, err := wire.DecodeGrandpaMessage(msg)
			if err != nil {
				emit(misbehaved{id, fmt.Errorf("grandpa message: %w", err)})
				return
			}
			if m.Neighbor != nil || m.Commit != nil {
				emit(Gossiped{PeerID(id), m})
			}
		},
	})
	n.host.OnConnect(func(connected bool, id peer.ID) {
		if !connected {
			emit(lost{id, "disconnected"})
		}
	})
}

// handshake is ours for block-announces: a light client, at the finalized block.
func (n *Node) handshake() []byte {
	h := wire.Handshake{Role: wire.RoleLight, Genesis: n.cfg.Checkpoint.Genesis, BestHash: n.cfg.Checkpoint.Genesis}
	n.mu.Lock()
	h.BestNumber, h.BestHash = n.written, n.writtenHash
	if n.standing != nil { // what those that we serve can ask about
		h.BestNumber, h.BestHash = n.standing.Head.Number, n.standing.Head.Hash
	}
	n.mu.Unlock()
	if h.BestHash.IsZero() {
		h.BestNumber, h.BestHash = n.cfg.Checkpoint.Number, n.cfg.Checkpoint.Hash
	}
	return h.Append(nil)
}

// Events of the driver's own.
type (
	lost struct {
		id  peer.ID
		why string
	}
	misbehaved struct {
		id  peer.ID
		err error
	}
	dialled struct {
		id        peer.ID
		handshake *wire.Handshake
		refused   bool
		err       error
	}
	found   struct{ peers []peer.AddrInfo }
	watched struct{ *watchResult }
)

func (n *Node) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	n.finalMove = time.Now()
	first := true
	for {
		var batch []any
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-n.calls:
			f()
			continue
		case e := <-n.events:
			batch = append(batch, e)
			for len(n.events) > 0 && len(batch) < 64 {
				batch = append(batch, <-n.events)
			}
		case <-timer.C:
		}
		now := n.cfg.Now()
		syncEvents := append(n.own(ctx, now, batch), n.leave(now)...)
		if number := n.toldOf.Swap(0); number > 0 {
			syncEvents = append(syncEvents, Told{number})
		}
		actions, wake := n.sync.Process(now, syncEvents...)
		moved := first
		first = false
		for _, a := range actions {
			n.execute(ctx, now, a)
			switch a.(type) {
			case Finalized, Alarm, Rooted:
				moved = true
			}
		}
		if moved && (n.cfg.Moved != nil || n.server != nil) {
			n.tellMoved()
		}
		n.tellHeads()
		n.stepPeers(ctx, now)
		n.stepHealth(now)
		n.stepStore(now)
		n.stepWatch(ctx)
		timer.Reset(max(align(now, wake.Sub(now))-n.cfg.Now().Sub(now), 50*time.Millisecond))
	}
}

// align shortens a wait so that it ends on a whole second, or on a multiple of 5, 10 or 30 of them if it is long
// enough: what falls due together, here and in what else keeps to this, wakes the board once.
func align(now time.Time, wait time.Duration) time.Duration {
	wait = max(wait, 0)
	for _, unit := range []time.Duration{30 * time.Second, 10 * time.Second, 5 * time.Second, time.Second} {
		if wait >= unit {
			into := time.Duration(now.UnixNano() % int64(unit))
			return (wait + into).Truncate(unit) - into
		}
	}
	return wait
}

// tellMoved tells whoever wants to know what is proven now.
func (n *Node) tellMoved() {
	st := standing(n.cfg.Checkpoint, n.sync.Chain(), n.sets, n.sync.alarm)
	if st == nil {
		return
	}
	n.mu.Lock()
	n.standing = st
	n.mu.Unlock()
	if n.cfg.Moved != nil {
		n.cfg.Moved(st)
	}
	n.tellLights()
}

// own handles the driver's events and returns what is for Sync.
func (n *Node) own(ctx context.Context, now time.Time, batch []any) []any {
	out := make([]any, 0, len(batch))
	for _, e := range batch {
		switch e := e.(type) {
		case lost:
			if n.drop(e.id) {
				out = append(out, PeerClosed{PeerID(e.id)})
			}
		case misbehaved:
			n.punish(now, e.id, e.err.Error(), banLie)
			out = append(out, PeerClosed{PeerID(e.id)})
		case dialled:
			n.dialling--
			if ev := n.opened(ctx, now, e); ev != nil {
				out = append(out, ev)
			}
		case watched:
			n.keepParts(e.watchResult)
		case heard:
			n.keepHeard(e)
		case ordered:
			out = append(out, n.obey(now, e.Orders)...)
			close(e.done)
		case found:
			n.kadBusy = false
			for _, p := range e.peers {
				n.book.AddTold(p.ID, p.Addrs)
			}
		default:
			out = append(out, e)
		}
	}
	return out
}

// execute carries out one action of Sync.
func (n *Node) execute(ctx context.Context, now time.Time, action any) {
	switch a := action.(type) {
	case *Request:
		n.wg.Add(1)
		go func() {
			defer n.wg.Done()
			body, err := n.request(ctx, peer.ID(a.Peer), a.Kind, a.Body, a.Timeout)
			select {
			case n.events <- Answered{a, body, err}:
			case <-ctx.Done():
			}
		}()
	case Listen:
		n.listen(ctx, peer.ID(a.Peer), a.On)
	case Neighbour:
		if err := n.grandpa.Send(peer.ID(a.Peer), wire.AppendNeighbor(nil, a.Packet)); err != nil {
			n.wg.Add(1)
			go func() { // the substream is gone or stuck: so is the slot
				defer n.wg.Done()
				select {
				case n.events <- lost{peer.ID(a.Peer), err.Error()}:
				case <-ctx.Done():
				}
			}()
		}
	case Penalty:
		n.punish(now, peer.ID(a.Peer), a.Reason, a.Ban)
	case SetChanged:
		n.fragments++
		n.note("set", "authority set %d (%d keys) from #%d", a.Next.ID, len(a.Next.Authorities), a.Header.Number+1)
		n.rememberSet(grandpa.Fragment{Header: a.Header, Justification: a.Justification}, a.Next.ID)
		n.keepSet(a)
	case Finalized:
		n.finalized(now, a)
	case Progress:
		if a.Done {
			close(n.ready)
			n.note("warp", "done: #%d proven by %d fragment%s, %s in %s", a.Number, a.Fragments, plural(a.Fragments), byteSize(a.Bytes), a.Took.Round(time.Millisecond))
		} else {
			n.note("warp", "#%d, %d fragments verified, %s, from %s", a.Number, a.Fragments, byteSize(a.Bytes), shortID(peer.ID(a.Peer)))
		}
	case BestChanged:
	case Rooted:
		n.note("trust", "checkpoint #%d %s fetched by its hash", a.Header.Number, a.Header.Hash().Short())
		if n.cfg.Store != nil {
			n.keep(n.cfg.Store.Put("node", "root", a.Header.Encode()))
			if a.Proof != nil {
				n.keep(n.cfg.Store.Put("node", "rootproof", a.Proof))
			}
		}
	case Alarm:
		n.keepEvidence(a.Evidence)
		n.warn("ALARM", "two valid conflicting finalities above set %d: finality is stopped; the evidence is kept (taolight status)", n.sync.Chain().Finalized().Set.ID)
	case Remark:
		n.note("sync", "%s", a.Text)
	}
}

// finalized keeps the head: at once after a jump over a set change, else every headEvery blocks.
func (n *Node) finalized(now time.Time, a Finalized) {
	n.finalMove = time.Now()
	close(n.moved)
	n.moved = make(chan struct{})
	last := a.Blocks[len(a.Blocks)-1]
	n.note("final", "#%d %s", last.Header.Number, last.Hash.Short())
	if n.cfg.Store == nil {
		return
	}
	for _, b := range a.Blocks {
		if b.Header.Number%headerEvery == 0 {
			n.keep(n.cfg.Store.PutHeader(b.Header.Number, b.Hash, b.Header.Encode()))
		}
	}
	// A jump of a few blocks is how finality goes where no headers are listened to.
	if a.Skipped && n.setsDirty || n.flushDue(last.Header.Number) {
		n.writeHead()
	}
}

// stepWatch begins a look at the watched subnets when one is due.
func (n *Node) stepWatch(ctx context.Context) {
	c := n.sync.Chain()
	if c == nil || !n.sync.warp.caughtUp || !n.watch.due(c.Finalized().Header.Number) {
		return
	}
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		r := new(watchResult)
		l, err := n.look(ctx)
		if err != nil {
			r.err = err
		} else {
			r = l.watchLook(n.watch)
		}
		select {
		case n.events <- watched{r}:
		case <-ctx.Done():
		}
		if n.cfg.Shown == nil {
			return
		}
		for _, f := range r.fresh { // when nothing waits for it
			if messages := l.shown(f.x, f.claims); len(messages) > 0 {
				n.cfg.Shown(messages)
			}
		}
	}()
}

// Told says that a light node has told of a block that is final here already: what it tells is no news, and
// yet says that it would be told of the next one too.
func (n *Node) Told(number uint32) { n.toldOf.Store(number) }

// Offer hands the node a proof of finality that nobody asked for. It is verified as one from a peer of
// the chain.
func (n *Node) Offer(ctx context.Context, p *grandpa.WarpProof) { n.tell(ctx, Offered{p}) }

// Accuse hands the node evidence of two conflicting finalities.
func (n *Node) Accuse(ctx context.Context, ev *grandpa.Evidence) { n.tell(ctx, Accused{ev}) }

// Hear keeps evidence about commitments of a watched subnet that others have proven. x has been verified from the
// checkpoint of this node, as a message of the gossip is; what is read back of it is verified again.
func (n *Node) Hear(ctx context.Context, x *bundle.Bundle) {
	key, epoch, ids, ok := n.about(x)
	if !ok || n.cfg.Store == nil {
		return
	}
	data := x.Encode()
	if len(data) > MaxShown {
		return
	}
	n.tell(ctx, heard{key, epoch, ids, x, data})
}

func (n *Node) tell(ctx context.Context, event any) {
	select {
	case n.events <- event:
	case <-n.done:
	case <-ctx.Done():
	}
}

// call runs f in the loop, where the sync state may be looked at; false if the node has ended.
func (n *Node) call(ctx context.Context, f func()) bool {
	ran := make(chan struct{})
	select {
	case n.calls <- func() { f(); close(ran) }:
		<-ran
		return true
	case <-ctx.Done():
	case <-n.done:
	}
	return false
}

func (n *Node) note(topic, format string, args ...any) {
	n.cfg.Notes(Note{Topic: topic, Text: fmt.Sprintf(format, args...)})
}

func (n *Node) warn(topic, format string, args ...any) {
	n.cfg.Notes(Note{Topic: topic, Text: fmt.Sprintf(format, args...), Warn: true})
}

func shortID(id peer.ID) string {
	s := id.String()
	if len(s) > 14 {
		return s[:8] + "…" + s[len(s)-4:]
	}
	return s
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func byteSize(n int) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
