package validator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// A memory is a store that forgets what was not committed when the process dies.
type memory struct {
	now, durable map[string][]byte
	full         bool
}

func newMemory() *memory { return &memory{map[string][]byte{}, map[string][]byte{}, false} }

func (s *memory) Put(kind, key string, value []byte) error {
	s.now[kind+"/"+key] = bytes.Clone(value)
	return nil
}
func (s *memory) Delete(kind, key string) error { delete(s.now, kind+"/"+key); return nil }
func (s *memory) All(kind string) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range s.now {
		if rest, ok := cutPrefix(k, kind+"/"); ok {
			out[rest] = v
		}
	}
	return out
}
func (s *memory) Commit() error {
	if s.full {
		return errors.New("no space left on device")
	}
	s.durable = maps.Clone(s.now)
	return nil
}
func (s *memory) die() { s.now = maps.Clone(s.durable) }

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return "", false
	}
	return s[len(prefix):], true
}

// A sent transaction of the world: what an extrinsic says, the signature being Nth.
type sent struct {
	Nonce uint32
	Last  uint32
	Call  Call
	Draft uint64
	Nth   uint64 // a signature is random: signed again, an extrinsic is another
}

// A world is a chain with one subnet, as far as the machine sees it, and a node's pool.
type world struct {
	t    testing.TB
	r    *rand.Rand
	head uint32

	reveals    bool // commitments are wanted
	spec       uint32
	permit     bool
	registered bool
	size       uint16 // neurons
	mute       bool   // no miner answers
	reads      int    // of the metagraph
	tempo      uint64
	limit      uint64
	slow       uint32 // blocks until a transaction is included, at most

	nonce     uint32
	updated   uint64
	pool      map[string]sent // what peers have heard
	heard     []string        // in order
	included  map[string]uint32
	queue     []Commitment
	revealed  map[verify.Hash]uint32
	signs     uint64
	drafts    uint64
	forgets   bool // the node that sends has lost its pool
	rounds    int
	submitted []string

	store *memory
	m     *Machine
	cfg   Config
	todo  []any
	notes []Note
}

func newWorld(t testing.TB, seed uint64, reveals bool) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), head: 100, reveals: reveals, spec: 425, permit: true, registered: true, size: 6, tempo: 40, limit: 5, slow: 3,
		pool: map[string]sent{}, included: map[string]uint32{}, revealed: map[verify.Hash]uint32{}, store: newMemory()}
	w.cfg = Config{Netuid: 7, Hotkey: verify.AccountID{1}, Epoch: 10, Every: 3, Rand: w.r}
	w.start()
	return w
}

func (w *world) start() {
	w.todo = nil
	w.m = NewMachine(w.cfg, Load(w.store))
}

// kill ends the process between two moments and starts it again.
func (w *world) kill() {
	w.store.die()
	w.start()
}

func (w *world) epoch(block uint32) uint64 { return uint64(block) / w.tempo }

func (w *world) view() *View {
	set, err := rules.For(w.spec)
	if err != nil {
		w.t.Fatal(err)
	}
	e := w.epoch(w.head)
	f := &commit.Facts{Rules: set, Netuid: 7, Hotkey: w.cfg.Hotkey, Exists: true, Mechanisms: 1, Size: w.size, Registered: w.registered, UID: 2, Permit: w.permit,
		LastUpdate: w.updated, CommitReveal: w.reveals, RevealPeriod: 1, VersionKey: 841, RateLimit: w.limit, MinWeights: 1, MaxWeight: 65535,
		Schedule: yuma.Schedule{Tempo: uint16(w.tempo), LastEpochBlock: e * w.tempo, SubnetEpochIndex: e, BlocksSinceLastStep: uint64(w.head) - e*w.tempo}}
	v := &View{Block: w.head, Time: uint64(w.head) * 12000, Slot: 12 * time.Second, Facts: f, Rules: set, LastUpdate: w.updated, Beacon: drand.Beacon{Period: 3}}
	v.Hyper.Tempo, v.Hyper.WeightsSetRateLimit, v.Hyper.ActivityCutoffFactorMilli, v.Hyper.CommitRevealWeightsVersion = uint16(w.tempo), w.limit, 13_889, 4
	return v
}

func (w *world) neurons() []Neuron {
	var list []Neuron
	for uid := range w.size {
		n := Neuron{UID: uid, Hotkey: verify.AccountID{byte(10 + uid)}}
		if uid == 2 {
			n.Hotkey, n.Permit = w.cfg.Hotkey, true
		} else {
			n.Axon = fmt.Sprintf("127.0.0.%d:9", uid+2)
		}
		list = append(list, n)
	}
	return list
}

// block makes a block: transactions whose nonce is next are included, and commitments revealed when they are due.
func (w *world) block() {
	w.head++
	if w.head%uint32(w.tempo) == 3 { // timelocked ones, three blocks into the epoch
		for i := range w.queue {
			c := &w.queue[i]
			if c.Timelocked && c.Revealed == 0 && c.Epoch+1 == w.epoch(w.head) {
				c.Revealed = w.head
				w.revealed[c.Hash] = w.head
			}
		}
	}
	for i := range w.queue {
		c := &w.queue[i]
		if c.Revealed == 0 && !c.Lost && c.Epoch+1 < w.epoch(w.head) {
			c.Lost, c.Why = true, "expired: nobody revealed it"
		}
	}
	for _, key := range slices.Clone(w.heard) {
		x := w.pool[key]
		if x.Nonce != w.nonce || w.head > x.Last || w.r.Uint32N(w.slow) != 0 {
			continue
		}
		w.nonce++
		w.include(key, x)
	}
}

func (w *world) include(key string, x sent) {
	w.included[key] = w.head
	switch x.Call.Kind {
	case Set:
		if w.reveals || uint64(w.head) < w.updated+w.limit {
			w.t.Fatalf("#%d: weights that the chain does not want", w.head)
		}
		w.updated = uint64(w.head)
	case CommitHash, CommitTimelock:
		if !w.reveals || w.updated != 0 && uint64(w.head) < w.updated+w.limit {
			w.t.Fatalf("#%d: a commitment that the chain does not want", w.head)
		}
		w.updated = uint64(w.head)
		w.queue = append(w.queue, Commitment{Timelocked: x.Call.Kind == CommitTimelock, Hash: x.Call.Commitment, Epoch: w.epoch(w.head), Made: w.head})
	case Reveal:
		at := slices.IndexFunc(w.queue, func(c Commitment) bool { return c.Hash == x.Call.Commitment && c.Revealed == 0 && !c.Lost })
		if at < 0 || w.queue[at].Epoch+1 != w.epoch(w.head) {
			return // it fails, and does nothing
		}
		w.queue[at].Revealed = w.head
		w.revealed[x.Call.Commitment] = w.head
	}
}

// do does what the machine wants and returns the event for it.
func (w *world) do(a any) any {
	switch a := a.(type) {
	case wantView:
		return viewEvent{view: w.view()}
	case wantNeurons:
		w.reads++
		return neuronsEvent{list: w.neurons()}
	case wantRound:
		w.rounds++
		if w.mute {
			return roundEvent{rewards: make([]Reward, len(a.miners))}
		}
		e := roundEvent{answered: len(a.miners)}
		for _, n := range a.miners {
			e.rewards = append(e.rewards, Reward{n.UID, float64(n.UID % 2)})
		}
		return e
	case wantDraft:
		d := a.d
		if d.call.Kind == CommitHash || d.call.Kind == CommitTimelock {
			d.call.Commitment = verify.Blake2b256(fmt.Append(nil, w.head, w.r.Uint64()))
		}
		w.drafts++
		x := sent{Draft: w.drafts, Nonce: w.nextNonce(), Last: w.head + 20, Call: d.call}
		raw, _ := json.Marshal(x)
		d.payload = Payload{Raw: raw, Nonce: x.Nonce, Last: x.Last}
		return draftEvent{draft: &d}
	case wantSave:
		v := &Validator{o: Options{Store: w.store}}
		return savedEvent{a.what, v.write(a)}
	case wantSign:
		var x sent
		if err := json.Unmarshal(a.raw, &x); err != nil {
			w.t.Fatal(err)
		}
		w.signs++
		x.Nth = w.signs
		b, _ := json.Marshal(x)
		return signedEvent{extrinsic: b}
	case wantSubmit:
		return w.submit(a.id, a.extrinsic)
	case wantTrack:
		if _, ok := w.pool[string(a.extrinsic)]; !ok || w.forgets {
			return trackedEvent{id: a.id, err: ErrUnsent}
		}
		return trackedEvent{id: a.id, t: w.fate(string(a.extrinsic))}
	case wantQueue:
		return queueEvent{list: slices.Clone(w.queue)}
	case wantProof:
		return provedEvent{id: a.id, name: "proof"}
	}
	w.t.Fatalf("%T", a)
	return nil
}

// nextNonce is the account's, after what the node has under way.
func (w *world) nextNonce() uint32 {
	n := w.nonce
	for _, key := range w.heard {
		if x := w.pool[key]; x.Nonce == n && w.head <= x.Last && !w.forgets {
			n++
		}
	}
	return n
}

// submit is where the invariants of what leaves are held.
func (w *world) submit(id uint64, extrinsic []byte) any {
	var x sent
	if err := json.Unmarshal(extrinsic, &x); err != nil {
		w.t.Fatal(err)
	}
	rec, ok := w.store.durable[kindIntent+"/"+intentKey(id)]
	if !ok {
		w.t.Fatalf("#%d: intent %d is not written down, and its transaction is sent", w.head, id)
	}
	i, err := DecodeIntent(rec)
	if err != nil || i.State != Signed || !bytes.Equal(i.Extrinsic, extrinsic) {
		w.t.Fatalf("#%d: intent %d is written down as %s without what is sent (%v)", w.head, id, i.State, err)
	}
	key := string(extrinsic)
	for _, other := range w.heard {
		y := w.pool[other]
		if other == key {
			continue
		}
		if y.Draft == x.Draft {
			w.t.Fatalf("#%d: one intent, two extrinsics", w.head)
		}
		if w.included[other] != 0 {
			continue
		}
		if y.Nonce >= w.nonce && w.head <= y.Last {
			w.t.Fatalf("#%d: %s is sent while %s with nonce %d may still be included", w.head, x.Call.Kind, y.Call.Kind, y.Nonce)
		}
	}
	if _, known := w.pool[key]; !known || w.forgets {
		if x.Nonce < w.nonce {
			return trackedEvent{id: id, err: fmt.Errorf("%w: Stale", ErrRefused)}
		}
		if w.head > x.Last {
			return trackedEvent{id: id, err: fmt.Errorf("%w: its era is over", ErrRefused)}
		}
	}
	if _, known := w.pool[key]; !known {
		w.pool[key] = x
		w.heard = append(w.heard, key)
		w.submitted = append(w.submitted, key)
	}
	return trackedEvent{id: id, t: w.fate(key)}
}

func (w *world) fate(key string) Tracked {
	x := w.pool[key]
	switch b := w.included[key]; {
	case b != 0:
		ok := x.Call.Kind != Reveal || w.revealed[x.Call.Commitment] == b
		return Tracked{Done: true, Block: b, OK: ok, Line: "included"}
	case w.head > x.Last:
		return Tracked{Done: true, Line: "lapsed"}
	case x.Nonce < w.nonce:
		return Tracked{Done: true, Line: "replaced"}
	}
	return Tracked{}
}

// step gives the machine an event and does what it wants, until it wants nothing; a crash may come between any two moments.
func (w *world) step(e any, crash float64) {
	w.todo = append(w.todo, w.m.Process(e)...)
	w.check()
	for len(w.todo) > 0 {
		at := w.r.IntN(len(w.todo))
		a := w.todo[at]
		w.todo = slices.Delete(w.todo, at, at+1)
		if w.r.Float64() < crash {
			w.kill()
			return
		}
		e := w.do(a)
		if w.r.Float64() < crash {
			w.kill()
			return
		}
		w.todo = append(w.todo, w.m.Process(e)...)
		w.check()
	}
}

// check holds the invariants of the machine's own.
func (w *world) check() {
	open := 0
	for _, i := range w.m.intents {
		if i.open() {
			open++
		}
	}
	if open > 1 {
		w.t.Fatalf("#%d: %d intents are open", w.head, open)
	}
	w.notes = append(w.notes, w.m.Notes()...)
}

// run makes blocks.
func (w *world) run(blocks int, crash float64) {
	for range blocks {
		w.block()
		w.step(headEvent{Number: w.head}, crash)
	}
}

func (w *world) said(text string) bool {
	return slices.ContainsFunc(w.notes, func(n Note) bool { return bytes.Contains([]byte(n.Text), []byte(text)) })
}
