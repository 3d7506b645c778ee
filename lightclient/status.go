package lightclient

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
)

// Status is one look at a node. Its JSON form is what `status --json` prints; fields are added, never
// renamed.
type Status struct {
	Schema  int     `json:"schema"` // 1
	Network string  `json:"network"`
	Demo    bool    `json:"demo"` // an embedded chain: nothing of it is worth anything
	Genesis string  `json:"genesis"`
	Version string  `json:"version"`
	State   string  `json:"state"` // "no peers", "resolving", "warping", "following", "stale", "asleep", "conflict", "upgrade"
	Uptime  float64 `json:"uptime_seconds"`

	Finalized *BlockStatus `json:"finalized"` // null until something is proven
	Best      *BlockStatus `json:"best"`      // null while nothing above the finalized block is held
	SetID     uint64       `json:"set_id"`
	Voters    int          `json:"authorities"`
	// FinalizedAge is how long ago the finalized head last moved, by our own monotonic clock; SlotAge
	// is the age of its slot, null while the clock is not to be trusted.
	FinalizedAge float64  `json:"finalized_age_seconds"`
	SlotAge      *float64 `json:"slot_age_seconds"`
	Source       string   `json:"finality_source"`

	Trust   TrustStatus   `json:"trust"`
	Peers   PeersStatus   `json:"peers"`
	Traffic TrafficStatus `json:"traffic"`
	Clock   ClockStatus   `json:"clock"`
	Store   StoreStatus   `json:"store"`
	Memory  uint64        `json:"memory_bytes"`
	Watch   *WatchStatus  `json:"watch,omitempty"` // null unless subnets are watched
	Health  []Warning     `json:"health"`
}

// BlockStatus names a block and how far it can be believed.
type BlockStatus struct {
	Number    uint32 `json:"number"`
	Hash      string `json:"hash"`
	StateRoot string `json:"state_root"`
	Trust     string `json:"trust"` // "finalized", "best"
	Slot      uint64 `json:"slot,omitempty"`
	Round     uint64 `json:"round,omitempty"`   // of the justification
	Signers   int    `json:"signers,omitempty"` // precommits in it
}

// TrustStatus says from what the finalized head was proven.
type TrustStatus struct {
	Checkpoint uint32  `json:"checkpoint"`
	Hash       string  `json:"checkpoint_hash"`
	SetID      uint64  `json:"checkpoint_set_id"`
	Date       string  `json:"checkpoint_date,omitempty"`
	AgeDays    *uint64 `json:"checkpoint_age_days"`
	SetChanges int     `json:"set_changes_verified"`
}

// PeersStatus counts peers.
type PeersStatus struct {
	Open   int `json:"open"`
	Wanted int `json:"wanted"`
	Known  int `json:"known"`
	Banned int `json:"banned"`
}

// TrafficStatus is in bytes since the start.
type TrafficStatus struct {
	In  uint64 `json:"in_bytes"`
	Out uint64 `json:"out_bytes"`
}

// ClockStatus compares the wall clock with the chain.
type ClockStatus struct {
	Trust string `json:"trust"` // "floor": not before the finalized head; "none": it is
	Text  string `json:"text"`
}

// StoreStatus is what the store last said.
type StoreStatus struct {
	Kept  bool   `json:"kept"`
	Head  uint32 `json:"head"`
	Error string `json:"error,omitempty"`
}

// A Warning is something that is not as it should be, and what to do about it.
type Warning struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // "warn", "error"
	Title    string `json:"title"`
	Remedy   string `json:"remedy"`
}

// Stale reports whether the head must not be taken for the newest.
func (s *Status) Stale() bool {
	switch s.State {
	case "following":
		return false
	}
	return true
}

// How old the finalized head may get: five minutes and fifteen on finney's 12 s slots.
const (
	degradedSlots = 25
	staleSlots    = 75
)

// Status looks at the node. It returns an error only if ctx ends or the node has.
func (n *Node) Status(ctx context.Context) (*Status, error) {
	var s *Status
	if !n.call(ctx, func() { s = n.status(n.cfg.Now()) }) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, errors.New("node has ended")
	}
	return s, nil
}

// status runs in the loop.
func (n *Node) status(now time.Time) *Status {
	cp := n.cfg.Checkpoint
	s := &Status{
		Schema: 1, Network: cp.Network, Demo: n.cfg.Demo, Genesis: cp.Genesis.String(), Version: n.cfg.Version,
		Uptime: time.Since(n.startedMono).Seconds(), Source: string(n.sync.cfg.Finality), Memory: memory(),
		FinalizedAge: time.Since(n.finalMove).Seconds(),
		Store:        StoreStatus{Kept: n.cfg.Store != nil, Head: n.written},
	}
	if len(n.watch.netuids) > 0 {
		w := n.watch.status
		s.Watch = &w
	}
	if n.storeErr != nil {
		s.Store.Error = n.storeErr.Error()
	}
	s.Traffic.In, s.Traffic.Out = n.host.Traffic()
	n.mu.Lock()
	for _, c := range n.conns {
		if c.open {
			s.Peers.Open++
		}
	}
	n.mu.Unlock()
	s.Peers.Wanted, s.Peers.Known, s.Peers.Banned = n.wanted(), n.book.Len(), len(n.book.Banned(now))

	s.Trust = TrustStatus{Checkpoint: cp.Number, Hash: cp.Hash.String(), SetID: cp.Set.ID, Date: cp.Date, SetChanges: n.fragments}
	if cp.Ready() == nil {
		s.Trust.SetID = cp.Start().Set.ID
	}
	if ms := now.UnixMilli(); ms > 0 {
		if days, ok := cp.Age(uint64(ms)); ok {
			s.Trust.AgeDays = &days
		}
	}
	s.Clock = ClockStatus{"floor", "not before the finalized head"}
	if n.sync.ClockBehind() {
		s.Clock = ClockStatus{"none", "behind the finalized head: the check of seals against the future is suspended, finality is not"}
	}
	if c := n.sync.Chain(); c != nil {
		final := c.Finalized()
		if final.Header.Number > 0 || cp.Number == 0 {
			b := &BlockStatus{Number: final.Header.Number, Hash: final.Hash.String(), StateRoot: final.Header.StateRoot.String(), Trust: "finalized"}
			if j := final.Justification; j != nil {
				b.Round, b.Signers = j.Round, len(j.Commit.Precommits)
			} else {
				b.Trust = "checkpoint"
			}
			if slot, err := aura.Slot(final.Header); err == nil {
				b.Slot = slot
				age := now.Sub(time.UnixMilli(int64(slot * cp.SlotDuration))).Seconds()
				if s.Clock.Trust != "none" && !n.cfg.BackDated {
					s.SlotAge = &age
				}
			}
			s.Finalized = b
		}
		if best := c.Best(); best.Hash != final.Hash {
			s.Best = &BlockStatus{Number: best.Header.Number, Hash: best.Hash.String(), StateRoot: best.Header.StateRoot.String(), Trust: "best"}
			s.Best.Slot, _ = aura.Slot(best.Header)
		}
		s.SetID, s.Voters = final.Set.ID, len(final.Set.Authorities)
	}
	if n.fed(s) {
		s.Source = "gossip"
	}
	s.State = n.state(s)
	s.Health = n.warnings(s)
	return s
}

func (n *Node) slots(k int) float64 {
	return (time.Duration(k) * n.sync.slot()).Seconds()
}

// old is the age in seconds from which on a head is old by so many slots: more where it is only asked for now
// and then.
func (n *Node) old(slots int, least float64) float64 {
	age := max(n.slots(slots), least)
	if n.sync.cfg.Finality == Pull {
		age += n.sync.cfg.PullEvery.Seconds()
	}
	return age
}

// state is the one word for how it goes.
func (n *Node) state(s *Status) string {
	old := s.FinalizedAge > n.old(staleSlots, 30) || s.SlotAge != nil && *s.SlotAge > n.old(staleSlots, 30)
	switch {
	case n.sync.alarm != nil:
		return "conflict"
	case n.sync.upgrade != nil:
		return "upgrade"
	case n.orders.Closed && !n.fed(s):
		return "asleep"
	case s.Peers.Open == 0 && !n.fed(s):
		return "no peers"
	case n.sync.Chain() == nil:
		return "resolving"
	case !n.sync.warp.caughtUp:
		return "warping"
	case old:
		return "stale"
	}
	return "following"
}

// fed reports whether finality comes from other light nodes, where no peer of the chain is open: lately, or
// last of all and no longer.
func (n *Node) fed(s *Status) bool {
	return s.Peers.Open == 0 && !n.sync.fed.IsZero() && !n.sync.fed.Before(n.sync.advanced)
}

// warnings lists what is not as it should be, worst first. One cause gives one warning: without peers
// nothing is said of an old head.
func (n *Node) warnings(s *Status) []Warning {
	list := []Warning{}
	add := func(code, severity, title, remedy string) {
		list = append(list, Warning{code, severity, title, remedy})
	}
	if n.sync.alarm != nil {
		add("finality-conflict", "error", "two valid conflicting finalities exist: more than a third of the authorities signed both",
			"finality is stopped where it was; do not sign anything; compare with people you trust and import a newer checkpoint")
	}
	if err := n.sync.upgrade; err != nil {
		add("unknown-rules", "error", "the chain uses rules that this version does not know: "+err.Error(), "upgrade taolight")
	}
	switch {
	case n.orders.Closed: // no fault: what ordered it says why
	case s.Peers.Open == 0 && !n.fed(s):
		tried := strings.Join(n.book.Errors(), "; ")
		banned := n.book.Banned(n.cfg.Now())
		switch {
		case tried == "" && len(banned) > 0:
			tried = fmt.Sprintf("%d banned, the first for: %s", len(banned), banned[0].BanReason)
		case tried == "" && n.book.Len() == 0:
			tried = "no address is known"
		case tried == "":
			tried = "none of the known addresses was tried yet"
		default:
			tried = "tried " + tried
		}
		remedy := "check the link to the internet, or name a peer with --peer /ip4/ADDRESS/tcp/30333/ws/p2p/12D3Koo…"
		if n.cfg.Demo {
			remedy = "the demo network's peers have stopped: start it again, or name a peer with --peer /ip4/127.0.0.1/tcp/…/p2p/12D3Koo…"
		}
		add("no-peers", "error", "no peer to ask: "+tried, remedy)
	case n.sync.warp.unproven != nil:
		add("checkpoint-unlinked", "error", "peers' finality cannot be proven from the checkpoint: "+n.sync.warp.unproven.Error(),
			"the set may have been changed by hand since; give a newer checkpoint with --checkpoint FILE, or upgrade taolight")
	case s.FinalizedAge > n.old(staleSlots, 30) || s.SlotAge != nil && *s.SlotAge > n.old(staleSlots, 30):
		add("finality-stale", "error", "the finalized head is old", "peers may be silent or finality may have stopped; see taolight peers, and name others with --peer")
	case s.FinalizedAge > n.old(degradedSlots, 10):
		add("finality-slow", "warn", "the finalized head has not moved lately", "wait; other peers are being tried")
	}
	if s.Clock.Trust == "none" {
		add("clock-behind", "warn", "the wall clock is behind the chain", "set the clock (timedatectl, chrony); finality does not depend on it")
	}
	if s.Trust.AgeDays != nil && *s.Trust.AgeDays > checkpoint.WarnAge && !n.cfg.Demo {
		add("checkpoint-old", "warn", fmt.Sprintf("the checkpoint is %d days old; keys retired since could sign another history", *s.Trust.AgeDays),
			"upgrade taolight, or import a newer one: taolight checkpoint import FILE")
	}
	if s.Store.Error != "" {
		add("store-degraded", "warn", "the store cannot be written or read: "+s.Store.Error, "check the disk's free space and that it is not mounted read-only; verification goes on in memory")
	}
	return list
}

// stepHealth notes warnings as they come and go.
func (n *Node) stepHealth(now time.Time) {
	if now.Sub(n.healthAt) < 5*time.Second && now.After(n.healthAt) {
		return
	}
	first := n.healthAt.IsZero()
	n.healthAt = now
	if first || n.cfg.HealthTold {
		return // give the first dials their time
	}
	current := make(map[string]bool)
	for _, w := range n.status(now).Health {
		current[w.Code] = true
		if !n.health[w.Code] {
			n.warn("health", "%s: %s; %s", w.Code, w.Title, w.Remedy)
		}
	}
	for code := range n.health {
		if !current[code] {
			n.note("health", "%s: over", code)
		}
	}
	n.health = current
}

// PeerStatus is one peer, for a line of `peers`.
type PeerStatus struct {
	ID       string  `json:"id"`
	Addr     string  `json:"address"`
	Agent    string  `json:"agent"`
	Role     string  `json:"role"`
	Best     uint32  `json:"best"`
	Seconds  float64 `json:"connected_seconds"`
	Answers  int     `json:"answers"`
	Missed   int     `json:"missed"`
	InFlight int     `json:"in_flight"`
	Pinned   bool    `json:"pinned"`
}

// BanStatus is one banned peer.
type BanStatus struct {
	ID     string    `json:"id"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// Peers lists the open peers and the banned ones.
func (n *Node) Peers(ctx context.Context) (open []PeerStatus, banned []BanStatus, err error) {
	ok := n.call(ctx, func() {
		now := n.cfg.Now()
		n.mu.Lock()
		for id, c := range n.conns {
			if !c.open {
				continue
			}
			p := PeerStatus{ID: id.String(), Addr: c.addr, Role: roleName(c.role), Best: c.best, Seconds: now.Sub(c.since).Seconds(),
				Answers: c.answers, Missed: c.missed, InFlight: len(c.slots), Pinned: c.pinned}
			if sp := n.sync.peers[PeerID(id)]; sp != nil {
				p.Best = max(p.Best, sp.best)
			}
			open = append(open, p)
		}
		n.mu.Unlock()
		for _, c := range n.book.Banned(now) {
			banned = append(banned, BanStatus{c.ID.String(), c.BanReason, c.BannedUntil})
		}
	})
	if !ok {
		return nil, nil, errors.Join(context.Cause(ctx), errors.New("node has ended"))
	}
	for i := range open {
		if id, err := peer.Decode(open[i].ID); err == nil {
			open[i].Agent = n.host.Agent(id)
		}
	}
	slices.SortFunc(open, func(a, b PeerStatus) int { return strings.Compare(a.ID, b.ID) })
	return open, banned, nil
}

func roleName(role byte) string {
	switch role {
	case 1:
		return "full"
	case 2:
		return "light"
	case 4:
		return "authority"
	}
	return "?"
}

// Checkpoint returns the finalized head as a checkpoint that another node can start from.
func (n *Node) Checkpoint(ctx context.Context, source string) (*checkpoint.Checkpoint, error) {
	var cp *checkpoint.Checkpoint
	err := ErrNotFinal
	if !n.call(ctx, func() {
		if c := n.sync.Chain(); c != nil && n.sync.warp.caughtUp {
			final := c.Finalized()
			state := &checkpoint.State{Header: final.Header, Hash: final.Hash, Set: final.Set, Aura: c.Authorities()}
			cp, err = n.cfg.Checkpoint.FromState(state, source)
		}
	}) {
		return nil, context.Cause(ctx)
	}
	return cp, err
}

// memory returns the bytes this process holds from the operating system, as Go knows them. ReadMemStats knows them as
// well, but stops every goroutine for that, and wakes threads to do so.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 || s[1].Value.Kind() != metrics.KindUint64 {
		return 0 // a later Go that has other names
	}
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
