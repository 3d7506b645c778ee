package validator

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
)

// ErrElsewhere: the hotkey did something on the subnet that was not done from here.
var ErrElsewhere = errors.New("the hotkey acts elsewhere too")

// A Config is what a Machine goes by.
type Config struct {
	Netuid  uint16
	Mecid   uint8
	Hotkey  verify.AccountID
	Alpha   float64 // of the moving averages; 0.1
	Sample  int     // miners a round; 50
	Limit   uint64  // rao of stake above which one with a permit is not asked; 4096 TAO
	Every   uint32  // blocks between two rounds; 5
	Epoch   uint32  // blocks between two weights, at least; 100
	Version *uint64 // version key; nil: what the subnet asks for
	Unset   bool    // set no weights
	ByHash  bool    // commit by hash also where weights can be timelocked
	Moved   bool    // what the hotkey did elsewhere is its owner's own affair
	Rand    *rand.Rand
}

// Our own limits, in blocks.
const (
	lookEvery   = 25            // between two looks at the chain when nothing is due
	freshWithin = 2             // a view that is older is none to sign by
	retryAfter  = 10            // a fault
	rollAfter   = 25            // something that stands in the way on the chain
	delay       = 4             // from a finalized head to the block that may hold what is sent then
	margin      = 6             // before an epoch ends nothing is committed: it could be of the next one
	slack       = 3             // from the first block of a reveal to the pulse, as bittensor-drand has it
	saveEvery   = 1800          // the moving averages, if nothing else is written
	giveUp      = 64            // after the last block that could hold it, a transaction of which nothing is known has lapsed
	ahead       = 2 * time.Hour // a deadline is told
)

// A Note is a line for the user: a change of state.
type Note struct {
	Topic string
	Text  string
	Warn  bool
}

// A Deadline is something that has to be on chain by a block.
type Deadline struct {
	Name string `json:"name"`
	Wake uint32 `json:"wake_block"` // from here on it is worth a link of its own
	Due  uint32 `json:"due_block"`

	reveal bool
}

// What Process is told.
type (
	headEvent Head
	viewEvent struct {
		view *View
		err  error
	}
	neuronsEvent struct {
		list []Neuron
		err  error
	}
	roundEvent struct {
		rewards  []Reward
		answered int
		err      error
	}
	draftEvent struct {
		draft *draft
		err   error
	}
	savedEvent struct {
		what save
		err  error
	}
	signedEvent struct {
		extrinsic []byte
		err       error
	}
	trackedEvent struct {
		id  uint64
		t   Tracked
		err error
	}
	queueEvent struct {
		list []Commitment
		err  error
	}
	provedEvent struct {
		id   uint64
		name string
		err  error
	}
)

// What Process wants done. Each is answered by one event, and none is wanted again before.
type (
	wantView    struct{}
	wantNeurons struct{}
	wantRound   struct{ miners []Neuron }
	wantDraft   struct{ d draft }
	wantSave    struct {
		what  save
		puts  map[string][]byte // by KIND/KEY
		drops []string          // keys of intents
	}
	wantSign   struct{ raw []byte }
	wantSubmit struct {
		id        uint64
		extrinsic []byte
	}
	wantTrack struct {
		id        uint64
		extrinsic []byte
	}
	wantQueue struct{ epochs int } // how many reveals to look back at
	wantProof struct {
		id uint64
		c  Commitment
	}
)

// save says what is written down.
type save uint8

const (
	saveIntent save = iota // before it is signed
	saveSigned             // before it is sent
	saveRest               // what is worth keeping
)

// A draft is a call that is about to be written down.
type draft struct {
	call    Call
	of      uint64
	epoch   uint64 // that a commitment will be of
	due     uint32
	until   uint32
	beacon  drand.Beacon
	payload Payload
}

// A Machine is the loop without its goroutines. It is not safe for concurrent use.
//
// Invariants, of which property_test.go holds the first three under crashes at any point:
//
//   - at most one intent is open, that is intended or signed;
//   - an extrinsic is handed out to be sent only after it was written down together with its intent;
//   - of one intent only one extrinsic is ever handed out;
//   - nothing new is begun while a conflict is suspected (stopped) or the store does not write.
type Machine struct {
	cfg     Config
	intents []*Intent
	scores  *Scores
	journal journal
	fresh   bool // the store was empty

	head    Head
	view    *View
	neurons []Neuron
	queue   []Commitment
	queueAt uint32
	seenAt  uint32 // block at which the metagraph was read

	busy struct{ view, neurons, round, act, queue, track, proof, save bool }

	began    bool   // this process has looked at what an earlier one left
	roundAt  uint32 // block of the last round
	answered int    // miners, in the last round
	asked    int
	retryAt  uint32 // nothing is begun before
	setAt    uint32 // no weights are sent before, for something stands in their way
	lookAt   uint32 // nor is the chain looked at
	least    uint32 // block of which a view has to be: older ones do not show what was done from here
	savedAt  uint32
	dirty    bool
	told     map[string]bool
	blocked  string // what stands in the way of weights, in words
	stopped  error
	lost     uint64 // commitments, in this process

	notes []Note
	out   []any
}

// NewMachine returns a machine that goes on from what was kept.
func NewMachine(cfg Config, k *Kept) *Machine {
	cfg.Alpha = cmp.Or(cfg.Alpha, 0.1)
	cfg.Sample = cmp.Or(cfg.Sample, 50)
	cfg.Limit = cmp.Or(cfg.Limit, 4096e9)
	cfg.Every = cmp.Or(cfg.Every, 5)
	cfg.Epoch = cmp.Or(cfg.Epoch, 100)
	m := &Machine{cfg: cfg, intents: k.Intents, scores: k.Scores, journal: k.Journal, fresh: k.fresh, told: make(map[string]bool)}
	if m.scores == nil {
		m.scores = new(Scores)
	}
	for _, text := range k.Notes {
		m.note("store", true, "%s", text)
	}
	for _, i := range m.intents {
		if i.State == Intended { // nothing has left the process that wrote it
			i.State, i.Why, m.dirty = Dropped, "the process ended before it was sent", true
			m.note("weights", false, "%s of an earlier run was never sent: it is made anew when it is due", i.Call.Kind)
		}
	}
	return m
}

func (m *Machine) note(topic string, warn bool, format string, args ...any) {
	m.notes = append(m.notes, Note{topic, fmt.Sprintf(format, args...), warn})
}

// once notes something that may be said again after forget.
func (m *Machine) once(key, topic string, warn bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if k := key + "\x00" + text; !m.told[k] {
		m.forget(key)
		m.told[k] = true
		m.notes = append(m.notes, Note{topic, text, warn})
	}
}

// first notes something once, whatever the words.
func (m *Machine) first(key, topic string, warn bool, format string, args ...any) {
	if k := key + "\x00"; !m.told[k] {
		m.told[k] = true
		m.note(topic, warn, format, args...)
	}
}

func (m *Machine) forget(key string) {
	for k := range m.told {
		if len(k) > len(key) && k[:len(key)+1] == key+"\x00" {
			delete(m.told, k)
		}
	}
}

// Notes returns what is to be told since it was last called.
func (m *Machine) Notes() []Note {
	list := m.notes
	m.notes = nil
	return list
}

// Stopped returns why the loop does nothing any more; nil: it runs.
func (m *Machine) Stopped() error { return m.stopped }

func (m *Machine) want(a any) { m.out = append(m.out, a) }

// Process takes events and returns what is to be done.
func (m *Machine) Process(events ...any) []any {
	m.out = nil
	for _, e := range events {
		m.take(e)
	}
	if m.head.Number > 0 {
		m.decide()
	}
	return m.out
}

func (m *Machine) take(e any) {
	switch e := e.(type) {
	case headEvent:
		m.head = Head(e)
	case viewEvent:
		m.busy.view = false
		m.takeView(e)
	case neuronsEvent:
		m.busy.neurons = false
		if e.err != nil {
			m.fault("metagraph", e.err)
			return
		}
		m.forget("metagraph")
		m.neurons, m.seenAt = e.list, m.head.Number
		hotkeys := make([]verify.AccountID, len(e.list))
		for i, x := range e.list {
			hotkeys[i] = x.Hotkey
		}
		m.scores.Fit(hotkeys)
	case roundEvent:
		m.busy.round = false
		m.takeRound(e)
	case draftEvent:
		m.takeDraft(e)
	case savedEvent:
		m.takeSaved(e)
	case signedEvent:
		m.takeSigned(e)
	case trackedEvent:
		m.busy.track = false
		m.takeTracked(e)
	case queueEvent:
		m.busy.queue = false
		m.takeQueue(e)
	case provedEvent:
		m.busy.proof = false
		if i := m.intent(e.id); i != nil {
			if i.Proof = e.name; e.err != nil {
				i.Proof = "-"
				m.note("weights", true, "no proof of what became of the commitment of #%d: %v", i.Block, e.err)
			} else {
				m.note("weights", false, "proof of the commitment of #%d is kept: %s", i.Block, e.name)
			}
			m.dirty = true
		}
	}
}

// fault waits a little after something failed, and says so once.
func (m *Machine) fault(what string, err error) {
	m.retryAt = m.head.Number + retryAfter
	m.once(what, what, true, "%v; it is tried again", err)
}

func (m *Machine) intent(id uint64) *Intent {
	for _, i := range m.intents {
		if i.ID == id {
			return i
		}
	}
	return nil
}

// openIntent returns the one whose transaction may still come into a block.
func (m *Machine) openIntent() *Intent {
	for _, i := range m.intents {
		if i.open() {
			return i
		}
	}
	return nil
}

func (m *Machine) takeView(e viewEvent) {
	if e.err != nil {
		m.lookAt = m.head.Number + retryAfter
		m.once("chain", "chain", true, "%v; it is tried again", e.err)
		return
	}
	m.forget("chain")
	if m.view != nil && e.view.Block < m.view.Block {
		return
	}
	m.view = e.view
	if !m.began {
		m.began = true
		if m.cfg.Moved {
			m.journal.Baseline, m.dirty = m.view.Block, true
			m.note("weights", false, "what the hotkey did up to #%d is taken as its owner's own doing", m.view.Block)
		}
	}
	m.elsewhere()
	m.deadlines()
}

// elsewhere stops the loop when the chain has something of our hotkey that was not done from here. While an intent is
// open its own trace cannot be told from a stranger's.
func (m *Machine) elsewhere() {
	v := m.view
	if m.stopped != nil || m.openIntent() != nil || !v.Facts.Registered {
		return
	}
	last := v.LastUpdate
	if last == 0 || last == v.Registered || last <= uint64(m.journal.Baseline) {
		return
	}
	for _, i := range m.intents {
		if uint64(i.Block) == last || i.Block == 0 && i.Extrinsic != nil && last > uint64(i.Made) && last <= uint64(i.Last) {
			return // the second: nobody could tell what became of it
		}
	}
	m.stop(fmt.Sprintf("weights or a commitment of #%d", last))
}

func (m *Machine) stop(what string) {
	m.stopped = fmt.Errorf("%w: the chain has %s, which nothing that is kept here accounts for", ErrElsewhere, what)
	m.note("weights", true, "%v; nothing is signed any more", m.stopped)
}

func (m *Machine) takeRound(e roundEvent) {
	m.roundAt = m.head.Number
	if e.err != nil {
		m.once("round", "round", true, "%v", e.err) // the next round is another try
		return
	}
	m.forget("round")
	m.answered = e.answered
	if e.answered == 0 && m.asked > 0 {
		// Our own link may be down, and everybody's average must not pay for that.
		m.once("silent", "round", true, "none of %d miners answered: the round does not count", m.asked)
		return
	}
	m.forget("silent")
	m.scores.Count(e.rewards, m.cfg.Alpha)
	if m.blocked == unanswered {
		m.blocked = ""
	}
	m.once("answered", "round", false, "%d of %d miners answer", e.answered, m.asked) // how many rounds, status tells
}

// decide wants what is due.
func (m *Machine) decide() {
	head := m.head.Number
	defer m.keep()
	if m.head.Duty == DutyNone {
		return
	}
	i := m.openIntent()
	m.look(i)
	if m.view == nil || m.stopped != nil && i == nil {
		return
	}
	if i != nil {
		m.further(i)
		return
	}
	m.follow()
	if m.busy.act || m.busy.save || head < m.retryAt { // what is written down comes in order
		return
	}
	if m.reveal() {
		return
	}
	if m.set() {
		return
	}
	if m.head.Duty == DutyAll {
		m.ask(m.cfg.Every)
	}
}

// look has the chain looked at.
func (m *Machine) look(open *Intent) {
	head := m.head.Number
	if m.busy.view || head < m.lookAt {
		return
	}
	stale := m.view == nil || head >= m.view.Block+lookEvery
	if open != nil && open.refused != 0 && m.view != nil && m.view.Block <= open.refused+1 && m.view.Block < head {
		stale = true
	}
	stale = stale || m.view.Block < m.least
	if !stale && open == nil && m.view.Block+freshWithin < head {
		stale = uint64(head) >= m.dueAt() || m.revealable() != nil
	}
	if stale {
		m.busy.view = true
		m.want(wantView{})
	}
}

// recent reports whether the view is one to act by.
func (m *Machine) recent() bool {
	return m.view.Block+freshWithin >= m.head.Number && m.view.Block >= m.least
}

// ask has miners asked if the last round is a number of blocks old.
func (m *Machine) ask(every uint32) bool {
	if m.busy.round || m.roundAt != 0 && m.head.Number < m.roundAt+every {
		return false
	}
	if !m.known() {
		return true
	}
	list := Sample(m.neurons, m.cfg.Hotkey, m.cfg.Sample, m.cfg.Limit, m.cfg.Rand)
	if len(list) == 0 {
		m.roundAt = m.head.Number
		m.once("nobody", "round", true, "no miner of subnet %d says where it serves", m.cfg.Netuid)
		return false
	}
	m.forget("nobody")
	m.busy.round, m.asked = true, len(list)
	m.want(wantRound{list})
	return true
}

// known reports whether the metagraph is at hand and not old; else it is read.
func (m *Machine) known() bool {
	if m.seenAt != 0 && m.head.Number < m.seenAt+m.cfg.Epoch {
		if len(m.neurons) == int(m.view.Facts.Size) {
			return true
		}
		// One of the two is older than the other: somebody has registered.
		if m.least = max(m.least, m.seenAt); m.view.Block < m.least {
			return false
		}
	}
	if !m.busy.neurons {
		m.busy.neurons = true
		m.want(wantNeurons{})
	}
	return false
}
