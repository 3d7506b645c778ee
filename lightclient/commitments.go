package lightclient

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// ErrUnknownRules: the chain runs a runtime whose rules have not been audited, and none were assumed.
var ErrUnknownRules = rules.ErrUnknown

// maxHashQueues bounds the hotkeys of a mechanism whose hash commits are looked at.
const maxHashQueues = 1024

// CommitmentsOptions says which commitments are asked for. The zero value is all of the subnet, and
// the last two epochs that were revealed.
type CommitmentsOptions struct {
	Hotkey *verify.AccountID // of this hotkey only
	UID    *uint16           // of the hotkey that has this uid now; with Hotkey, both must agree
	// Epochs is how many reveals to look back at; 0 is 2, negative none. Peers keep 256 blocks, less
	// than an epoch of finney; what is further back takes an archive peer.
	Epochs int
	// AssumeRules is the spec_version whose rules hold if the chain's own are not audited; 0: none.
	AssumeRules uint32
	Progress    func(string) // told what is being done; nil: nobody
}

// States of a commitment.
const (
	Pending  = "pending"
	Revealed = "revealed"
	Lost     = "lost"
	Unclear  = "unknown" // it is gone, and what is proven does not say how
)

// Commitments is what is known of the weight commitments of one mechanism of a subnet. Fields are
// added, never renamed.
type Commitments struct {
	Schema   int           `json:"schema"` // 1
	Network  string        `json:"network"`
	Netuid   uint16        `json:"netuid"`
	Mecid    uint8         `json:"mecid"`
	Block    BlockStatus   `json:"block"` // what is pending is so after this block
	Rules    string        `json:"rules"`
	Assumed  bool          `json:"rules_assumed"`
	Schedule EpochStatus   `json:"schedule"`
	Pending  []*Commitment `json:"pending"` // the first to be revealed first
	Past     []*Commitment `json:"past"`    // the last first
	// Beyond says why nothing earlier is shown: pruned, with how many peers were asked, or not asked for.
	Beyond string `json:"beyond,omitempty"`
	Pruned bool   `json:"pruned"` // earlier ones were asked for and no peer has the states

	why error // that ended the looking back
}

// EpochStatus is where a subnet stands in its epochs, after Block.
type EpochStatus struct {
	Block          uint32 `json:"block"`
	Trust          string `json:"trust"`
	Scheduler      string `json:"scheduler"` // "stateful", from spec 423 on, or "legacy"
	Tempo          uint16 `json:"tempo"`
	Epoch          uint64 `json:"epoch"` // that a commitment made in the next block is of
	RevealPeriod   uint64 `json:"reveal_period_epochs"`
	CommitReveal   bool   `json:"commit_reveal"`
	LastEpochBlock uint64 `json:"last_epoch_block,omitempty"` // of the stateful scheduler
	PendingEpochAt uint64 `json:"pending_epoch_at,omitempty"`
	// NextEpoch is the next block that uses an epoch's slot, if nothing defers it; null if none does.
	NextEpoch *uint32  `json:"next_epoch_block"`
	ETA       *float64 `json:"eta_seconds"` // from Block's time to that block's
}

// A ReasonStatus is a reason of package commit, as a word and as a sentence.
type ReasonStatus struct {
	Word string `json:"reason"`
	Text string `json:"text"`
}

// A Commitment is one weight commitment and what became of it.
type Commitment struct {
	Kind   string  `json:"kind"` // "hash", "timelocked"
	Hotkey string  `json:"hotkey"`
	UID    *uint16 `json:"uid"` // null if it is not registered any more
	Epoch  uint64  `json:"epoch"`
	MadeAt uint32  `json:"made_at"` // the chain writes the block into the entry
	Hash   string  `json:"hash"`    // as committed, or of the ciphertext
	// ShownAt is the block in whose state the entry was proven to be, and Trust what that rests on:
	// "finalized", or "bundle" for what was kept as it happened.
	ShownAt uint32 `json:"shown_at"`
	Trust   string `json:"trust"`
	State   string `json:"state"` // Pending, Revealed, Lost or Unclear

	// Of a timelocked one.
	Bytes     int    `json:"ciphertext_bytes,omitempty"`
	Round     uint64 `json:"round,omitempty"`
	RoundTime string `json:"round_time,omitempty"` // RFC 3339; empty for a round that has none
	Pulse     bool   `json:"pulse_on_chain"`       // in the state that ShownAt names

	// RevealAt is the block in which it was revealed or, of a pending one, in which the chain will try
	// (a hash commit: the first in which its owner may), and RevealBy the last in which it can be.
	RevealAt *uint32  `json:"reveal_at"`
	RevealBy *uint32  `json:"reveal_by,omitempty"`
	ETA      *float64 `json:"eta_seconds,omitempty"` // from the time of Block to that of RevealAt
	LostAt   *uint32  `json:"lost_at"`               // from this block on it could not be revealed; null if that is further back than was looked
	// Reasons says why it was lost or, of a pending one, all that is in its way as things stand.
	Reasons []ReasonStatus `json:"reasons"`

	// What it holds, if it could be opened or was revealed.
	UIDs       []uint16 `json:"uids,omitempty"`
	Values     []uint16 `json:"values,omitempty"`
	Salt       []uint16 `json:"salt,omitempty"`
	VersionKey *uint64  `json:"version_key,omitempty"`
	// Row is what the chain stores for these weights, or will, and Equal whether Weights held just that
	// after RevealAt; null if that was not looked at.
	Row   [][2]uint16 `json:"row,omitempty"`
	Equal *bool       `json:"equal"`
	Note  string      `json:"note,omitempty"`

	ID       CommitID      `json:"-"`
	Why      commit.Reason `json:"-"` // of a past one
	ExactRow bool          `json:"-"` // Row is known exactly, also if it is empty
}

// A CommitID names a commitment within one mechanism of a subnet.
type CommitID struct {
	Kind   commit.Kind
	Hotkey verify.AccountID
	Epoch  uint64
	Block  uint32
	Hash   verify.Hash
}

// states is what the questions of this file ask of the past. They wait for nothing themselves.
type states interface {
	final() FinalBlock
	with(number uint32, f func(subtensor.State) error) (FinalBlock, error)
	keysAt(number uint32, prefix []byte, limit int) ([][]byte, error)
	// reveals returns what the extrinsics of a block reveal, or try to.
	reveals(number uint32) ([]reveal, error)
}

// A question is one look at the commitments of a mechanism.
type question struct {
	states
	network  string
	netuid   uint16
	mecid    uint8
	index    uint16
	opt      CommitmentsOptions
	beacon   drand.Beacon
	verifier *drand.Verifier
	slot     uint64 // milliseconds
	views    map[uint32]*view
	until    *CommitmentSelector // looking back ends when it is found, or cannot be further back
}

func newQuestion(s states, network string, netuid uint16, mecid uint8, slot uint64, beacon drand.Beacon, o CommitmentsOptions) (*question, error) {
	index, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return nil, err
	}
	v, err := drand.NewVerifier(beacon)
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return &question{states: s, network: network, netuid: netuid, mecid: mecid, index: index, opt: o,
		beacon: beacon, verifier: v, slot: slot, views: make(map[uint32]*view)}, nil
}

// A view is how a subnet stands after one block.
type view struct {
	at       FinalBlock
	rules    rules.Set
	hyper    subtensor.Hyperparameters
	schedule yuma.Schedule
	now      uint64 // Timestamp.Now, milliseconds
}

// epoch returns the epoch whose reveals begin in block, v being the state after it.
func (v *view) epoch(netuid uint16) uint64 {
	if v.rules.StatefulEpochs {
		return v.schedule.SubnetEpochIndex
	}
	return yuma.LegacyEpoch(uint64(v.at.Header.Number), netuid, v.hyper.Tempo)
}

// next returns the epoch that a commitment in the next block is of.
func (v *view) next(netuid uint16) uint64 {
	number := uint64(v.at.Header.Number) + 1
	if v.rules.StatefulEpochs {
		return v.schedule.LookAhead(number)
	}
	return yuma.LegacyEpoch(number, netuid, v.hyper.Tempo)
}

// firstOf returns the first block, above that of v, whose epoch is the one given, as far as v foresees
// it.
func (v *view) firstOf(netuid uint16, epoch uint64) (uint64, bool) {
	from := uint64(v.at.Header.Number) + 1
	if v.rules.StatefulEpochs {
		return v.schedule.FirstBlockOf(epoch, from)
	}
	if v.hyper.Tempo == 0 {
		return 0, false
	}
	first, last := yuma.LegacyRevealWindow(epoch, 0, netuid, v.hyper.Tempo)
	return max(first, from), last >= from
}

// view reads how the subnet stands after a block, once.
func (q *question) view(number uint32) (*view, error) {
	if v := q.views[number]; v != nil {
		return v, nil
	}
	v := new(view)
	at, err := q.with(number, func(s subtensor.State) error {
		var now subtensor.Bytes
		var b subtensor.Batch
		b.Value("Now", &now)
		errNow := b.Load(s)
		schedule, errSchedule := subtensor.ReadSchedule(s, q.netuid)
		hyper, errHyper := subtensor.ReadHyperparameters(s, q.netuid)
		spec, err := subtensor.Spec(s)
		if err := cmp.Or(errNow, errSchedule, errHyper, err); err != nil {
			return err
		}
		if v.rules, err = rulesOf(spec, q.opt.AssumeRules); err != nil {
			return err
		}
		v.schedule, v.hyper = schedule, *hyper
		if len(now) == 8 {
			v.now = binary.LittleEndian.Uint64(now)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	v.at = at
	q.views[number] = v
	return v, nil
}

// rulesOf returns the rules of a runtime; those assumed if its own are not audited.
func rulesOf(spec, assume uint32) (rules.Set, error) {
	r, err := rules.For(spec)
	if err != nil && assume != 0 {
		return rules.Assume(spec, assume)
	}
	return r, err
}

// answer looks at what is pending, and back.
func (q *question) answer() (*Commitments, error) {
	head := q.final()
	v, err := q.view(head.Header.Number)
	if err != nil {
		return nil, err
	}
	if !v.hyper.Exists {
		return nil, fmt.Errorf("%w: %d, at #%d", ErrNoSubnet, q.netuid, head.Header.Number)
	}
	if err := q.filter(v); err != nil {
		return nil, err
	}
	out := &Commitments{Schema: 1, Network: q.network, Netuid: q.netuid, Mecid: q.mecid, Block: StatusOf(head),
		Rules: v.rules.String(), Assumed: v.rules.Assumed(), Schedule: v.status(q.netuid, q.slot),
		Pending: []*Commitment{}, Past: []*Commitment{}}
	if err := q.pending(v, out); err != nil {
		return nil, err
	}
	if err := q.past(v, out); err != nil {
		return nil, err
	}
	out.sort()
	return out, nil
}

// ErrNoSubnet: there is no such subnet, or no such uid in it.
var ErrNoSubnet = errors.New("no such subnet")

// filter turns a uid into its hotkey.
func (q *question) filter(v *view) error {
	if q.opt.UID == nil {
		return nil
	}
	uid := *q.opt.UID
	var hotkey verify.AccountID
	_, err := q.with(v.at.Header.Number, func(s subtensor.State) error {
		var b subtensor.Batch
		b.Key("Keys", subtensor.KeyKeys(q.netuid, uid), &hotkey)
		return b.Load(s)
	})
	switch {
	case err != nil:
		return err
	case hotkey == verify.AccountID{}:
		return fmt.Errorf("%w: uid %d of subnet %d, at #%d", ErrNoSubnet, uid, q.netuid, v.at.Header.Number)
	case q.opt.Hotkey != nil && *q.opt.Hotkey != hotkey:
		return fmt.Errorf("uid %d of subnet %d is %v at #%d, not %v", uid, q.netuid, hotkey, v.at.Header.Number, *q.opt.Hotkey)
	}
	q.opt.Hotkey = &hotkey
	return nil
}

func (q *question) wanted(hotkey verify.AccountID) bool {
	return q.opt.Hotkey == nil || *q.opt.Hotkey == hotkey
}

// status returns v for showing.
func (v *view) status(netuid uint16, slot uint64) EpochStatus {
	number := uint64(v.at.Header.Number)
	s := EpochStatus{Block: v.at.Header.Number, Trust: "finalized", Scheduler: "stateful", Tempo: v.hyper.Tempo, Epoch: v.next(netuid),
		RevealPeriod: v.hyper.RevealPeriodEpochs, CommitReveal: v.hyper.CommitRevealWeightsEnabled,
		LastEpochBlock: v.schedule.LastEpochBlock, PendingEpochAt: v.schedule.PendingEpochAt}
	next, ok := v.schedule.Next(number + 1)
	if !v.rules.StatefulEpochs {
		s.Scheduler, s.LastEpochBlock, s.PendingEpochAt = "legacy", 0, 0
		next, ok = yuma.LegacyNext(number+1, netuid, v.hyper.Tempo)
	}
	if ok && next < 1<<32 {
		block, eta := uint32(next), float64((next-number)*slot)/1000
		s.NextEpoch, s.ETA = &block, &eta
	}
	return s
}

// sort puts the first to be revealed, and the last that was, first.
func (c *Commitments) sort() {
	at := func(c *Commitment) uint32 {
		switch {
		case c.RevealAt != nil:
			return *c.RevealAt
		case c.LostAt != nil:
			return *c.LostAt
		}
		return c.MadeAt
	}
	order := func(a, b *Commitment) int {
		return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a.MadeAt, b.MadeAt), cmp.Compare(a.Hotkey, b.Hotkey), cmp.Compare(a.Hash, b.Hash))
	}
	slices.SortFunc(c.Pending, order)
	slices.SortFunc(c.Past, func(a, b *Commitment) int { return order(b, a) })
}

// newCommitment begins what is shown of a commitment.
func newCommitment(id CommitID, shown uint32) *Commitment {
	return &Commitment{Kind: id.Kind.String(), Hotkey: id.Hotkey.String(), Epoch: id.Epoch, MadeAt: id.Block, Hash: id.Hash.String(),
		ShownAt: shown, Trust: "finalized", ID: id, Reasons: []ReasonStatus{}}
}

func (c *Commitment) reasons(list ...commit.Reason) {
	for _, r := range list {
		c.Reasons = append(c.Reasons, ReasonStatus{r.String(), r.Says()})
	}
}

func (c *Commitment) revealed(at uint32) {
	c.State, c.RevealAt, c.Why = Revealed, &at, commit.Stored
}

func (c *Commitment) lost(at uint32, why commit.Reason) {
	c.State, c.LostAt, c.Why = Lost, &at, why
	c.RevealAt = nil
	c.reasons(why)
}

func (c *Commitment) unclear(note string) { c.State, c.Note = Unclear, note }

func (c *Commitment) payload(uids, values, salt []uint16, version uint64) {
	c.UIDs, c.Values, c.Salt, c.VersionKey = uids, values, salt, &version
}

func (c *Commitment) row(row []subtensor.Weight) {
	c.Row, c.ExactRow = make([][2]uint16, len(row)), true
	for i, w := range row {
		c.Row[i] = [2]uint16{w.UID, w.Value}
	}
}

// timelocked describes an entry of a queue.
func (q *question) timelocked(e subtensor.TimelockedCommit, epoch uint64, shown uint32) *Commitment {
	c := newCommitment(CommitID{commit.Timelocked, e.Hotkey, epoch, uint32(e.Block), e.Hash()}, shown)
	c.lock(e, q.beacon)
	return c
}

func (c *Commitment) lock(e subtensor.TimelockedCommit, beacon drand.Beacon) {
	c.Bytes, c.Round = len(e.Ciphertext), e.Round
	if t, ok := beacon.Time(e.Round); ok && t < 1<<40 {
		c.RoundTime = time.Unix(int64(t), 0).UTC().Format(time.RFC3339)
	}
}

// A queued commitment is one that stands in a queue, timelocked or of a hash.
type queued struct {
	*Commitment
	lock  subtensor.TimelockedCommit
	hash  subtensor.HashCommit
	facts *commit.Facts
	pulse []byte // as stored; nil: absent
}

// queues reads what stands in the queues of the epochs from and to, and in those of hash commits,
// after a block.
func (q *question) queues(v *view, from, to uint64, hashes bool) ([]*queued, error) {
	number := v.at.Header.Number
	var hotkeys []verify.AccountID
	if hashes {
		var err error
		if hotkeys, err = q.committers(number); err != nil {
			return nil, err
		}
	}
	var list []*queued
	_, err := q.with(number, func(s subtensor.State) error {
		list = nil
		var short error
		for epoch := from; epoch <= to; epoch++ {
			entries, err := subtensor.ReadTimelockedCommits(s, q.index, epoch)
			if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
				return err
			}
			for _, e := range entries {
				if q.wanted(e.Hotkey) && e.Block <= uint64(number) {
					list = append(list, &queued{Commitment: q.timelocked(e, epoch, number), lock: e})
				}
			}
		}
		for _, hotkey := range hotkeys {
			entries, err := subtensor.ReadHashCommits(s, q.index, hotkey, v.rules)
			if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
				return err
			}
			for _, e := range entries {
				if e.Block > uint64(number) {
					continue
				}
				if !v.rules.StatefulEpochs {
					e.Epoch = yuma.LegacyEpoch(e.Block, q.netuid, v.hyper.Tempo)
				}
				list = append(list, &queued{Commitment: newCommitment(CommitID{commit.Hash, hotkey, e.Epoch, uint32(e.Block), e.Hash}, number), hash: e})
			}
		}
		return short
	})
	return list, err
}

// unproven keeps the first error that says that something is missing, so that all of it is asked for
// at once.
func unproven(first, err error) error {
	if first == nil && errors.Is(err, subtensor.ErrUnproven) {
		return err
	}
	return first
}

// committers returns the hotkeys that have hash commits after a block, as far as they are wanted.
func (q *question) committers(number uint32) ([]verify.AccountID, error) {
	if q.opt.Hotkey != nil {
		return []verify.AccountID{*q.opt.Hotkey}, nil
	}
	keys, err := q.keysAt(number, subtensor.PrefixWeightCommits(q.index), maxHashQueues)
	if err != nil {
		return nil, err
	}
	var out []verify.AccountID
	for _, k := range keys {
		if _, hotkey, ok := subtensor.SplitKeyWeightCommits(k); ok {
			out = append(out, hotkey)
		}
	}
	return out, nil
}

// learn reads what is needed to judge entries after a block: the facts of their hotkeys, and the
// pulses of their rounds.
func (q *question) learn(v *view, list []*queued) error {
	_, err := q.with(v.at.Header.Number, func(s subtensor.State) error {
		var short error
		facts := make(map[verify.AccountID]*commit.Facts)
		for _, e := range list {
			f := facts[e.ID.Hotkey]
			if f == nil {
				var err error
				f, err = commit.ReadFacts(s, q.netuid, q.mecid, e.ID.Hotkey, v.rules)
				if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
					return err
				}
				facts[e.ID.Hotkey] = f
			}
			e.facts = f
			if e.ID.Kind == commit.Timelocked {
				values, err := s.Load(subtensor.KeyPulse(e.lock.Round))
				if short = unproven(short, err); err != nil && !errors.Is(err, subtensor.ErrUnproven) {
					return err
				}
				if err == nil {
					e.pulse = values[0]
				}
			}
		}
		return short
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.facts.Registered {
			uid := e.facts.UID
			e.UID = &uid
		}
		e.Pulse = e.pulse != nil
	}
	return nil
}

// pending looks at what stands in the queues now.
func (q *question) pending(v *view, out *Commitments) error {
	q.opt.Progress(fmt.Sprintf("commitments pending at #%d", v.at.Header.Number))
	last := v.next(q.netuid)
	first := v.epoch(q.netuid)
	first -= min(first, v.hyper.RevealPeriodEpochs)
	list, err := q.queues(v, first, last, true)
	if err != nil {
		return err
	}
	if err := q.learn(v, list); err != nil {
		return err
	}
	for _, e := range list {
		if e.ID.Kind == commit.Hash && e.facts.Window(e.hash, uint64(v.at.Header.Number)+1) == commit.Expired {
			// It lies about until its hotkey commits again.
			e.lost(v.at.Header.Number, commit.Expired)
			if e.LostAt = q.since(v, e.ID.Epoch+v.hyper.RevealPeriodEpochs+1); e.LostAt == nil {
				e.Note = fmt.Sprintf("some blocks before #%d", v.at.Header.Number)
			}
			out.Past = append(out.Past, e.Commitment)
			continue
		}
		q.foresee(v, e)
		out.Pending = append(out.Pending, e.Commitment)
	}
	return nil
}

// since returns the first block of an epoch, nil if it is not that of v or its beginning cannot be seen.
func (q *question) since(v *view, epoch uint64) *uint32 {
	if v.epoch(q.netuid) == epoch {
		if b, err := q.first(v, epoch); err == nil {
			return &b
		}
	}
	return nil
}

// foresee tells when a pending commitment will be revealed, and what is in its way.
func (q *question) foresee(v *view, e *queued) {
	e.State = Pending
	number := uint64(v.at.Header.Number)
	due := e.ID.Epoch + v.hyper.RevealPeriodEpochs
	first, ok := v.firstOf(q.netuid, due)
	if !ok {
		first = number + 1
	}
	after, bounded := v.firstOf(q.netuid, due+1)
	look := commit.Outlook{Block: first, Epoch: e.ID.Epoch}
	now := v.now / 1000
	at := first
	if bounded {
		by := after - 1
		look.RevealBy = now + (by-number)*q.slot/1000
		setBlock(&e.RevealBy, by)
	}
	if e.ID.Kind == commit.Hash {
		e.reasons(commit.PreviewHash(e.facts, e.hash, look)...)
	} else {
		if e.pulse == nil {
			if t, ok := q.beacon.Time(e.lock.Round); ok {
				look.PulseTime = t
				// It comes by an extrinsic of a later block, and counts from the block after that.
				wait := uint64(1)
				if t < 1<<40 && 1000*t > v.now {
					wait = max(wait, (1000*t-v.now+q.slot-1)/q.slot)
				}
				at = max(at, number+wait+1)
			}
		}
		if o := q.open(e); o != nil {
			look.Opened = o
			if p := o.Payload; p != nil && o.Why == commit.Stored {
				e.payload(p.UIDs, p.Values, nil, p.VersionKey)
				if row, why := e.facts.Judge(first, p.UIDs, p.Values, p.VersionKey); why == commit.Stored {
					e.row(row)
				}
			}
		}
		e.reasons(commit.Preview(e.facts, e.lock, look)...)
	}
	if bounded && at >= after {
		return // its epoch is over before: there is no block to name, and the reasons say why
	}
	setBlock(&e.RevealAt, at)
	if e.RevealAt != nil {
		eta := float64((at-number)*q.slot) / 1000
		e.ETA = &eta
	}
}

func setBlock(to **uint32, block uint64) {
	if block < 1<<32 {
		b := uint32(block)
		*to = &b
	}
}

// open decrypts an entry whose pulse is on the chain and is the beacon's.
func (q *question) open(e *queued) *commit.Opening {
	if e.pulse == nil {
		return nil
	}
	stored, err := drand.DecodeStored(e.pulse)
	if err != nil {
		return &commit.Opening{Why: commit.PulseBad}
	}
	p, err := stored.Pulse()
	if err == nil {
		p.Round = e.lock.Round
		err = q.verifier.Verify(p)
	}
	if err != nil {
		return &commit.Opening{Why: commit.PulseBad}
	}
	o := commit.Open(e.lock, p.Signature)
	return &o
}
