package sim

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
)

// Source is the chain that is told of. Blocks are numbered from 1.
type Source interface {
	Genesis() verify.Hash
	Message(number uint32) []byte // that proves a block
	Trust(number uint32) *gossip.Trust
	// Forge returns the message of a block with a vote that is false, another one for each n.
	Forge(number uint32, n int) []byte
}

// Behaviour is what a node does.
type Behaviour byte

const (
	Honest   Behaviour = iota
	Withhold           // takes part in meshes and passes nothing on
	Flood              // sends forged messages, each another one, to everybody
	Replay             // sends old messages again and again
	Spam               // announces messages that there are not, and asks for the same ones for ever
)

// Config is a run. Zero values of what is about trouble mean none.
type Config struct {
	Source    Source
	Nodes     int
	Degree    int // connections that each node dials; it has twice as many on average
	Uplinks   int // honest nodes that hear the chain itself; the others have the gossip
	Blocks    int
	BlockTime time.Duration
	Level     gossip.Level
	Seed      uint64

	Latency time.Duration // one way, on average; uniform from a quarter to seven quarters
	Loss    float64       // of messages
	UnitNs  float64       // nanoseconds of the board for a unit of work; 0: 10,000, a Raspberry Pi Zero 2

	Hostile    float64     // part of the nodes
	Behaviours []Behaviour // of these in turn; empty: all
	FloodEvery time.Duration
	// OneAddress: the hostile nodes are in one /16, of which a node has three neighbours at most.
	OneAddress bool

	// Victim is connected to so many hostile nodes and to one honest one. 0: there is none.
	Victim int
	// Partition cuts the nodes into two halves from one block to another.
	CutFrom, CutTo int
	// Asleep is the part of honest nodes that sleep for every second run of SleepBlocks blocks.
	Asleep      float64
	SleepBlocks int
	// Churn is the part of honest nodes that lose all their connections at each block and find others.
	Churn float64
}

// Result is what became of it. Delays are from when the first honest node had a block to when each
// other had it, or a later one.
type Result struct {
	P50, P99, Max time.Duration
	Delivered     float64 // of all blocks to all honest nodes, the part that came within the run
	Behind        int     // honest nodes that are not at the last block at the end
	Duplicates    float64 // copies after the first from honest nodes, per node and message
	BytesPerNode  float64 // received, a second
	Rejected      int     // by honest nodes
	FalseFinals   int
	BusyMost      float64       // the busiest honest node's share of a core
	VictimLag     time.Duration // until the victim had the first block
	Events        int
}

const (
	idle      = 5 // blocks without news until a neighbour is asked
	ihaveKept = 3 // heartbeats
	// What goes with a message: 12 B of Yamux, 18 of Noise, and protobuf's. A name has 16 B, with its length 18.
	framing  = 12 + 18 + 8
	named    = 18
	topic    = len("/taolight/0123456789abcdef/finality/1")
	graylist = time.Hour
)

type world struct {
	cfg     Config
	p       gossip.Params
	rand    *rand.Rand
	now     time.Time
	queue   events
	serial  int
	nodes   []*node
	began   time.Time
	attacks time.Time // when they end
	first   map[uint32]time.Time
	delays  []time.Duration
	r       Result
	copies  int
	news    int
	bytes   int
	block   int
}

type node struct {
	w       *world
	id      int
	name    string
	does    Behaviour
	gate    *gossip.Gate
	final   uint32
	peers   map[int]*peer
	seen    map[verify.Hash]bool
	cache   [ihaveKept]map[verify.Hash][]byte
	busy    time.Time
	worked  time.Duration
	uplink  bool
	asleep  bool
	victim  bool
	moved   time.Time
	sleeper bool
}

// peer is one side of a connection.
type peer struct {
	mesh  bool
	gray  time.Time // until when it is not heard
	dont  map[verify.Hash]bool
	asked int // IWANTs answered since the last heartbeat
}

type event struct {
	at     time.Time
	serial int
	f      func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func (w *world) after(d time.Duration, f func()) {
	w.serial++
	heap.Push(&w.queue, event{w.now.Add(d), w.serial, f})
}

// Run simulates.
func Run(cfg Config) Result {
	if cfg.UnitNs == 0 {
		cfg.UnitNs = 10_000
	}
	if len(cfg.Behaviours) == 0 {
		cfg.Behaviours = []Behaviour{Withhold, Flood, Replay, Spam}
	}
	if cfg.FloodEvery == 0 {
		cfg.FloodEvery = time.Second
	}
	began := time.Unix(1_700_000_000, 0)
	w := &world{cfg: cfg, p: gossip.ParamsOf(cfg.Level), rand: rand.New(rand.NewPCG(cfg.Seed, 7)), now: began, began: began, first: make(map[uint32]time.Time)}
	w.populate()
	for i := range cfg.Blocks {
		w.after(time.Duration(i+1)*cfg.BlockTime, func() { w.blockMade(uint32(i + 2)) })
	}
	w.attacks = began.Add(time.Duration(cfg.Blocks+1) * cfg.BlockTime)
	end := w.attacks.Add(2 * (idle + 1) * cfg.BlockTime) // so that who missed the last block can ask twice
	for len(w.queue) > 0 {
		e := heap.Pop(&w.queue).(event)
		if e.at.After(end) {
			break
		}
		w.now = e.at
		w.r.Events++
		e.f()
	}
	return w.result()
}

// populate makes the nodes, hostile ones among them, and connects them by chance.
func (w *world) populate() {
	cfg := &w.cfg
	for i := range cfg.Nodes {
		n := &node{w: w, id: i, name: strconv.Itoa(i), peers: make(map[int]*peer), seen: make(map[verify.Hash]bool), moved: w.now}
		n.gate = gossip.NewGate(cfg.Source.Genesis())
		n.set(1)
		w.nodes = append(w.nodes, n)
	}
	order := w.rand.Perm(cfg.Nodes)
	hostile := int(cfg.Hostile * float64(cfg.Nodes))
	for k, i := range order[:hostile] {
		w.nodes[i].does = cfg.Behaviours[k%len(cfg.Behaviours)]
	}
	for k, i := range order[hostile:] {
		n := w.nodes[i]
		n.uplink = k < cfg.Uplinks
		n.sleeper = !n.uplink && float64(k-cfg.Uplinks) < cfg.Asleep*float64(cfg.Nodes-hostile)
	}
	if cfg.Victim > 0 {
		w.nodes[order[cfg.Nodes-1]].victim = true
	}
	for _, n := range w.nodes {
		if n.victim {
			for _, i := range order[:min(cfg.Victim, hostile)] {
				w.connect(n, w.nodes[i])
			}
			w.connect(n, w.nodes[order[hostile]])
			continue
		}
		w.dial(n, cfg.Degree)
	}
	for _, n := range w.nodes {
		w.after(time.Duration(w.rand.Int64N(int64(w.p.Heartbeat))), n.heartbeat)
		if n.does != Honest && n.does != Withhold {
			w.after(time.Duration(w.rand.Int64N(int64(cfg.FloodEvery))), n.attack)
		}
	}
}

func (w *world) dial(n *node, count int) {
	for tries := 0; count > 0 && tries < 20*w.cfg.Degree+20; tries++ {
		o := w.nodes[w.rand.IntN(len(w.nodes))]
		if o != n && !o.victim && n.peers[o.id] == nil && len(o.peers) < w.p.In+w.p.Out {
			if w.connect(n, o); n.peers[o.id] != nil {
				count--
			}
		}
	}
}

func (w *world) connect(a, b *node) {
	if a.peers[b.id] == nil && !w.crowded(a, b) && !w.crowded(b, a) {
		a.peers[b.id], b.peers[a.id] = &peer{dont: make(map[verify.Hash]bool)}, &peer{dont: make(map[verify.Hash]bool)}
	}
}

// maxNear is package gossip's: neighbours from one /16.
const maxNear = 3

// crowded reports whether a has as many neighbours from b's /16 as it may.
func (w *world) crowded(a, b *node) bool {
	if !w.cfg.OneAddress || b.does == Honest || a.does != Honest {
		return false
	}
	near := 0
	for id := range a.peers {
		if w.nodes[id].does != Honest {
			near++
		}
	}
	return near >= maxNear
}

// set makes a block the node's head.
func (n *node) set(number uint32) {
	n.final = number
	n.gate.SetTrust(n.w.cfg.Source.Trust(number))
}

// cut reports whether the wire between two nodes is cut now.
func (w *world) cut(a, b *node) bool {
	return w.block >= w.cfg.CutFrom && w.block < w.cfg.CutTo && a.id%2 != b.id%2
}

// send carries something to a peer, unless it is lost on the way.
func (n *node) send(to int, size int, f func(o *node)) {
	w := n.w
	o := w.nodes[to]
	lost := w.rand.Float64() < w.cfg.Loss || w.cut(n, o) || n.asleep || o.asleep
	d := w.cfg.Latency/4 + time.Duration(w.rand.Int64N(int64(w.cfg.Latency*3/2)+1))
	if lost {
		return
	}
	w.after(d, func() {
		if o.asleep || o.peers[n.id] == nil {
			return
		}
		if o.does == Honest {
			w.bytes += size
		}
		f(o)
	})
}

// ids returns the peers in an order that the seed alone decides.
func (n *node) ids() []int {
	list := make([]int, 0, len(n.peers))
	for id := range n.peers {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

func (n *node) shuffled() []int {
	list := n.ids()
	n.w.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// blockMade gives a block to the nodes that hear the chain.
func (w *world) blockMade(number uint32) {
	w.block++
	w.sleepAndChurn()
	for _, n := range w.nodes {
		if !n.uplink {
			continue
		}
		heard := time.Duration(w.rand.Int64N(int64(2 * time.Second)))
		w.after(heard, func() {
			if n.final >= number {
				return
			}
			n.has(number)
			w.after(time.Duration(w.rand.Int64N(int64(800*time.Millisecond))), func() {
				m := w.cfg.Source.Message(number)
				if n.gate.Own(gossip.Finality, m, number) {
					id := gossip.ID(m)
					n.seen[id] = true
					n.forward(id, m, -1)
				}
			})
		})
	}
}

func (w *world) sleepAndChurn() {
	for _, n := range w.nodes {
		if n.sleeper && w.cfg.SleepBlocks > 0 {
			n.asleep = w.block/w.cfg.SleepBlocks%2 == 1
		}
		if w.cfg.Churn > 0 && n.does == Honest && !n.victim && w.rand.Float64() < w.cfg.Churn {
			for _, id := range n.ids() {
				delete(w.nodes[id].peers, n.id)
				delete(n.peers, id)
			}
			w.dial(n, w.cfg.Degree)
		}
	}
}

// has notes that a block is final for a node.
func (n *node) has(number uint32) {
	w := n.w
	from := n.final
	n.set(number)
	n.moved = w.now
	if n.does != Honest {
		return
	}
	if n.victim && w.r.VictimLag == 0 {
		w.r.VictimLag = w.now.Sub(w.began.Add(w.cfg.BlockTime))
	}
	for b := from + 1; b <= number; b++ {
		first, ok := w.first[b]
		if !ok {
			w.first[b] = w.now
			first = w.now
		}
		w.delays = append(w.delays, w.now.Sub(first))
	}
}

// receive takes a message.
func (n *node) receive(from int, m []byte) {
	w := n.w
	p := n.peers[from]
	if p == nil || w.now.Before(p.gray) {
		return
	}
	id := gossip.ID(m)
	p.dont[id] = true // it has it
	if n.seen[id] {
		if n.does == Honest && w.nodes[from].does == Honest {
			w.copies++
		}
		return
	}
	if n.does != Honest {
		n.seen[id] = true
		if n.does == Withhold || n.does == Spam {
			return
		}
	} else if n.gate.Spent(w.now, w.nodes[from].name) {
		return
	}
	n.seen[id] = true
	for _, o := range n.ids() { // IDONTWANT, before the verdict
		if o != from && n.peers[o].mesh && n.does == Honest {
			n.send(o, framing+named, func(o *node) { o.peers[n.id].dont[id] = true })
		}
	}
	if n.does != Honest {
		return
	}
	// The verdict is known at once, and takes effect when the board has worked for it.
	j := n.gate.Judge(w.now, w.nodes[from].name, gossip.Finality, m)
	cost := time.Duration((j.Work + 100) * w.cfg.UnitNs)
	n.worked += cost
	if n.busy.Before(w.now) {
		n.busy = w.now
	}
	n.busy = n.busy.Add(cost)
	w.after(n.busy.Sub(w.now), func() { n.judged(from, id, m, j) })
}

func (n *node) judged(from int, id verify.Hash, m []byte, j gossip.Judgement) {
	w := n.w
	switch j.Verdict {
	case gossip.Reject:
		w.r.Rejected++
		if p := n.peers[from]; p != nil {
			p.gray, p.mesh = w.now.Add(graylist), false
		}
	case gossip.Accept:
		w.check(j)
		w.news++
		if j.Number > n.final {
			n.has(j.Number)
		}
		n.linger(from, id, m, w.p.SpreadMore)
	}
}

// linger waits before a message is passed on, and so many times again while part of the mesh has it.
func (n *node) linger(from int, id verify.Hash, m []byte, more int) {
	n.w.after(time.Duration(n.w.rand.Int64N(int64(n.w.p.Spread))), func() {
		have, lack := 0, 0
		for o, p := range n.peers {
			switch {
			case o == from || !p.mesh:
			case p.dont[id]:
				have++
			default:
				lack++
			}
		}
		if more > 0 && gossip.Lingers(have, lack) {
			n.linger(from, id, m, more-1)
			return
		}
		n.forward(id, m, from)
	})
}

// check counts what was accepted and is not so.
func (w *world) check(j gossip.Judgement) {
	f := j.Proof.Fragments[0].Header
	if f.Hash() != w.cfg.Source.Trust(f.Number).Head.Hash {
		w.r.FalseFinals++
	}
}

// forward pushes a message to the mesh, and keeps it for those that ask.
func (n *node) forward(id verify.Hash, m []byte, from int) {
	if n.cache[0] == nil {
		n.cache[0] = make(map[verify.Hash][]byte)
	}
	n.cache[0][id] = m
	for _, o := range n.ids() {
		p := n.peers[o]
		if o != from && p.mesh && !p.dont[id] {
			n.send(o, framing+topic+len(m), func(o *node) { o.receive(n.id, m) })
		}
	}
}

// heartbeat keeps the mesh, and tells some others what there is.
func (n *node) heartbeat() {
	w := n.w
	w.after(w.p.Heartbeat, n.heartbeat)
	if n.asleep {
		return
	}
	var mesh []int
	for _, o := range n.shuffled() {
		p := n.peers[o]
		p.asked = 0
		if len(p.dont) > 64 {
			clear(p.dont)
		}
		if p.mesh {
			mesh = append(mesh, o)
		}
	}
	switch {
	case len(mesh) < w.p.Dlo:
		for _, o := range n.shuffled() {
			if p := n.peers[o]; len(mesh) < w.p.D && !p.mesh && !w.now.Before(p.gray) && w.nodes[o].graft(n.id) {
				p.mesh = true
				mesh = append(mesh, o)
			}
		}
	case len(mesh) > w.p.Dhi:
		for _, o := range mesh[w.p.D:] {
			n.peers[o].mesh = false
			if q := w.nodes[o].peers[n.id]; q != nil {
				q.mesh = false
			}
		}
	}
	if n.does == Honest {
		n.tellLazily()
	}
	copy(n.cache[1:], n.cache[:ihaveKept-1])
	n.cache[0] = nil
	// Nothing new for long: ask a neighbour.
	if n.does == Honest && w.now.Sub(n.moved) > idle*w.cfg.BlockTime {
		n.moved = w.now
		if list := n.shuffled(); len(list) > 0 {
			n.send(list[0], 32, func(o *node) { o.answer(n.id, n.final) })
		}
	}
}

// graft answers whether a peer may join our mesh.
func (n *node) graft(from int) bool {
	p := n.peers[from]
	if p == nil || n.asleep || n.w.now.Before(p.gray) {
		return false
	}
	count := 0
	for _, q := range n.peers {
		if q.mesh {
			count++
		}
	}
	if count >= n.w.p.Dhi {
		return false
	}
	p.mesh = true
	return true
}

func (n *node) tellLazily() {
	var names []verify.Hash
	for _, c := range n.cache[:n.w.p.Tell] {
		for id := range c {
			names = append(names, id)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, func(a, b verify.Hash) int { return slices.Compare(a[:], b[:]) })
	told := 0
	for _, o := range n.shuffled() {
		if p := n.peers[o]; told < n.w.p.Dlazy && !p.mesh && !n.w.now.Before(p.gray) {
			told++
			n.send(o, framing+topic+named*len(names), func(o *node) { o.ihave(n.id, names) })
		}
	}
}

// ihave asks for what is not known.
func (n *node) ihave(from int, names []verify.Hash) {
	if n.does != Honest || n.w.now.Before(n.peers[from].gray) {
		return
	}
	for _, id := range names[:min(len(names), 64)] {
		if !n.seen[id] {
			n.send(from, framing+named, func(o *node) { o.iwant(n.id, id) })
		}
	}
}

// iwant answers a few at each heartbeat.
func (n *node) iwant(from int, id verify.Hash) {
	p := n.peers[from]
	if p.asked++; n.does != Honest || p.asked > 8 {
		return
	}
	for _, c := range n.cache {
		if m := c[id]; m != nil {
			n.send(from, framing+topic+len(m), func(o *node) { o.receive(n.id, m) })
			return
		}
	}
}

// answer gives a neighbour what is final here.
func (n *node) answer(to int, from uint32) {
	w := n.w
	if n.does != Honest || n.final <= from {
		return
	}
	m, number := w.cfg.Source.Message(n.final), n.final
	n.send(to, len(m), func(o *node) {
		x, err := bundle.Decode(m)
		if err != nil || o.final >= number {
			return
		}
		if p, err := gossip.ProofOf(x, w.cfg.Source.Trust(o.final)); err == nil {
			w.check(gossip.Judgement{Proof: p})
			o.has(number)
		}
	})
}

// attack does what a hostile node does.
func (n *node) attack() {
	w := n.w
	if w.now.After(w.attacks) {
		return
	}
	w.after(w.cfg.FloodEvery, n.attack)
	head := uint32(w.block + 2)
	for _, o := range n.ids() {
		switch n.does {
		case Flood:
			m := w.cfg.Source.Forge(head, w.rand.Int())
			n.send(o, len(m), func(o *node) { o.receive(n.id, m) })
		case Replay:
			m := w.cfg.Source.Message(1 + uint32(w.rand.IntN(w.block+1)))
			n.send(o, len(m), func(o *node) { o.receive(n.id, m) })
		case Spam:
			names := make([]verify.Hash, 200)
			for i := range names {
				names[i][0], names[i][1], names[i][2] = byte(w.rand.Uint32()), byte(w.rand.Uint32()), 1
			}
			n.send(o, framing+topic+named*len(names), func(o *node) { o.ihave(n.id, names) })
			want := gossip.ID(w.cfg.Source.Message(head - 1))
			for range 20 {
				n.send(o, 40, func(o *node) { o.iwant(n.id, want) })
			}
		}
	}
}

func (w *world) result() Result {
	r := &w.r
	honest := 0
	told := (time.Duration(w.cfg.Blocks) * w.cfg.BlockTime).Seconds() // what comes after is a trickle
	last := uint32(w.cfg.Blocks + 1)
	for _, n := range w.nodes {
		if n.does != Honest {
			continue
		}
		honest++
		if n.final < last && !n.asleep {
			r.Behind++
		}
		r.BusyMost = max(r.BusyMost, n.worked.Seconds()/told)
	}
	slices.Sort(w.delays)
	if k := len(w.delays); k > 0 {
		r.P50, r.P99, r.Max = w.delays[k/2], w.delays[k*99/100], w.delays[k-1]
		r.Delivered = float64(k) / float64(honest*w.cfg.Blocks)
	}
	if w.news > 0 {
		r.Duplicates = float64(w.copies) / float64(w.news)
	}
	r.BytesPerNode = float64(w.bytes) / float64(max(honest, 1)) / told
	return *r
}
