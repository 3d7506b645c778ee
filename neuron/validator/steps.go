package validator

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/subtensor"
)

// The way of an intent: drafted, written down, signed, written down again, sent, tracked; and of a commitment from there on
// to its reveal.

// takeDraft writes an intent down.
func (m *Machine) takeDraft(e draftEvent) {
	if e.err != nil {
		m.busy.act = false
		m.fault("draft", fmt.Errorf("nothing is signed: %w", e.err))
		return
	}
	m.forget("draft")
	d := e.draft
	i := &Intent{ID: m.journal.Next, State: Intended, Call: d.call, Of: d.of, Made: m.head.Number, Payload: d.payload.Raw, Nonce: d.payload.Nonce,
		Last: d.payload.Last, Epoch: d.epoch, Due: d.due, Until: d.until}
	m.journal.Next++
	m.intents = append(m.intents, i)
	m.save(saveIntent, i)
}

// save has an intent written down, and with it what else has changed.
func (m *Machine) save(what save, changed ...*Intent) {
	m.busy.save = true
	w := wantSave{what: what, puts: map[string][]byte{}}
	for _, i := range changed {
		w.puts[kindIntent+"/"+intentKey(i.ID)] = i.encode()
	}
	if m.dirty {
		for _, i := range m.intents {
			w.puts[kindIntent+"/"+intentKey(i.ID)] = i.encode()
		}
	}
	w.puts[kindState+"/"+keyJournal] = encodeJournal(m.journal)
	w.puts[kindState+"/"+keyScores] = m.scores.Encode()
	ended := 0
	for at := len(m.intents) - 1; at >= 0; at-- {
		if i := m.intents[at]; !i.open() && !i.waits() {
			if ended++; ended > maxIntents {
				w.drops = append(w.drops, intentKey(i.ID))
				delete(w.puts, kindIntent+"/"+intentKey(i.ID))
				m.intents = slices.Delete(m.intents, at, at+1)
			}
		}
	}
	m.dirty = false
	m.want(w)
}

func (m *Machine) takeSaved(e savedEvent) {
	m.busy.save = false
	if e.err == nil {
		m.savedAt = m.head.Number
		m.forget("store")
	}
	i := m.openIntent()
	switch {
	case e.what == saveRest || i == nil:
		if e.err != nil {
			m.dirty = true
			m.savedAt = m.head.Number // and again later
			m.once("store", "store", true, "what there is to keep is not written: %v", e.err)
		}
	case e.err != nil && e.what == saveIntent:
		// What could not be written must not be done, nor be found later as if it had been.
		m.intents = slices.DeleteFunc(m.intents, func(x *Intent) bool { return x == i })
		m.busy.act, m.dirty = false, true
		m.retryAt = m.head.Number + retryAfter
		m.once("store", "store", true, "nothing is signed: the intent cannot be written down: %v; it is tried again", e.err)
	case e.err != nil:
		// It is signed, and must not leave before it is written down. That is tried again until its era is over.
		m.busy.act, m.dirty = false, true
		m.retryAt = m.head.Number + 1
		m.once("store", "store", true, "%s is signed and not sent, since that cannot be written down: %v", i.Call.Kind, e.err)
	case e.what == saveIntent:
		m.want(wantSign{i.Payload})
	default:
		m.busy.act, m.busy.track, i.saved = false, true, true
		m.want(wantSubmit{i.ID, i.Extrinsic})
	}
}

func (m *Machine) takeSigned(e signedEvent) {
	i := m.openIntent()
	if i == nil {
		m.busy.act = false
		return
	}
	if e.err != nil {
		m.busy.act = false
		m.end(i, Dropped, e.err.Error())
		m.fault("sign", fmt.Errorf("%s is not signed: %w", i.Call.Kind, e.err))
		return
	}
	m.forget("sign")
	i.State, i.Extrinsic = Signed, e.extrinsic
	m.save(saveSigned, i)
}

// end notes what a transaction came to. What was needed for it alone is dropped.
func (m *Machine) end(i *Intent, state, why string) {
	i.State, i.Why, i.Payload, m.dirty = state, why, nil, true
	m.least, m.lookAt = max(m.least, m.head.Number, i.Block), 0
	i.Call.Ciphertext = nil
	if state == Included {
		i.Extrinsic = nil
	}
}

// further does what is next for the open intent.
func (m *Machine) further(i *Intent) {
	head := m.head.Number
	switch {
	case m.busy.act || m.busy.track || m.busy.save || i.State != Signed || head < m.retryAt:
	case !i.saved:
		if head > i.Last {
			m.end(i, Lapsed, "it could not be written down in time, and was not sent")
			return
		}
		m.busy.act = true
		m.save(saveSigned, i)
	default:
		m.busy.track = true
		m.want(wantTrack{i.ID, i.Extrinsic})
	}
}

func (m *Machine) takeTracked(e trackedEvent) {
	i := m.intent(e.id)
	if i == nil || i.State != Signed {
		return
	}
	head := m.head.Number
	switch {
	case errors.Is(e.err, ErrUnsent):
		// The node does not know it: it is sent, the same bytes as before if they have been.
		m.busy.track = true
		m.want(wantSubmit{i.ID, i.Extrinsic})
		return
	case errors.Is(e.err, ErrRefused) && head <= i.Last:
		// Nobody was told now, but it may have been included before: that is what a nonce that is used says. So the
		// chain is looked at once more, after this.
		if b := m.trace(i); b != 0 {
			m.included(i, b)
			return
		}
		if i.refused == 0 {
			i.refused = head
		}
		if m.view.Block <= i.refused+1 {
			m.retryAt = head + 1
			return
		}
		m.end(i, Dropped, e.err.Error())
		m.retryAt = head + rollAfter
		m.note("weights", true, "%s: %v", i.Call.Kind, e.err)
		return
	case e.err != nil && head <= i.Last+giveUp:
		m.once("track", "weights", true, "%s: %v", i.Call.Kind, e.err)
		m.retryAt = head + 2
		return
	case e.err == nil && !e.t.Done && e.t.Block == 0 && head <= i.Last+giveUp:
		m.forget("track")
		m.retryAt = head + 1
		return
	case e.err == nil && e.t.OK:
		m.included(i, e.t.Block)
		return
	case e.err == nil && e.t.Block != 0:
		i.Block = e.t.Block
		m.end(i, Failed, e.t.Line)
		m.note("weights", true, "%s %s", i.Call.Kind, e.t.Line)
		m.retryAt = head + rollAfter
		return
	}
	if b := m.trace(i); b != 0 {
		m.included(i, b)
		return
	}
	why := "nothing is known of it, and it can be in no block any more"
	if e.err == nil {
		why = e.t.Line
	}
	m.end(i, Lapsed, why)
	m.note("weights", true, "%s %s", i.Call.Kind, why)
}

// trace returns the block in which the chain has what an intent was to do, by the last look at it; 0: none is seen.
func (m *Machine) trace(i *Intent) uint32 {
	for _, c := range m.queue {
		if c.Hash == i.Call.Commitment && (i.Call.Kind == CommitHash && !c.Timelocked || i.Call.Kind == CommitTimelock && c.Timelocked) {
			return c.Made
		}
	}
	if v := m.view; v != nil && v.Block > i.Made && i.Call.Kind != Reveal && v.LastUpdate > uint64(i.Made) && v.LastUpdate <= uint64(i.Last) {
		return uint32(v.LastUpdate)
	}
	return 0
}

// included notes the block that has an intent.
func (m *Machine) included(i *Intent, block uint32) {
	i.Block = block
	m.end(i, Included, "")
	m.forget("track")
	switch i.Call.Kind {
	case Set:
		m.note("weights", false, "weights for %d neurons are set, in #%d", len(i.Call.UIDs), block)
	case Reveal:
		m.note("weights", false, "the commitment is revealed, in #%d", block)
		if c := m.intent(i.Of); c != nil && c.waits() {
			c.State, c.At = Revealed, block
		}
	case CommitHash:
		m.note("weights", false, "weights for %d neurons are committed by hash in #%d, to be revealed from #%d on", len(i.Call.UIDs), block, i.Due)
	default:
		m.note("weights", false, "weights for %d neurons are committed in #%d, timelocked to round %d; the chain reveals them about #%d",
			len(i.Call.UIDs), block, i.Call.Round, i.Due)
	}
}

// follow has a look at what became of commitments when it is time.
func (m *Machine) follow() {
	head := m.head.Number
	if m.busy.queue || head < m.queueAt {
		return
	}
	for _, i := range m.intents {
		asks := i.waits() && (i.Epoch == 0 || !m.listed(i) || head > i.Due) ||
			i.Proof == "" && (i.State == Revealed || i.State == Lost) && head <= i.Due+256 && !m.busy.proof
		if asks {
			m.busy.queue = true
			m.want(wantQueue{m.back()})
			return
		}
	}
}

// maxBack bounds the reveals that are looked back at: a peer has the states of 256 blocks.
const maxBack = 16

// back is how many reveals lie between the first commitment that nothing is known of and now.
func (m *Machine) back() int {
	n := uint32(0)
	for _, i := range m.intents {
		if tempo := uint32(m.view.Hyper.Tempo); tempo > 0 && i.Due > 0 && (i.waits() || i.Proof == "" && (i.State == Revealed || i.State == Lost)) {
			n = max(n, (m.head.Number-min(i.Due, m.head.Number))/tempo)
		}
	}
	return int(min(n+2, maxBack))
}

// listed reports whether the chain's own list of commitments had this one.
func (m *Machine) listed(i *Intent) bool {
	return slices.ContainsFunc(m.queue, func(c Commitment) bool { return c.Hash == i.Call.Commitment && c.Made == i.Block })
}

func (m *Machine) takeQueue(e queueEvent) {
	head := m.head.Number
	m.queueAt = head + 3
	if e.err != nil {
		m.queueAt = head + retryAfter
		m.once("queue", "weights", true, "commitments: %v", e.err)
		return
	}
	m.forget("queue")
	m.queue = e.list
	known := make(map[verify.Hash]bool)
	for _, i := range m.intents {
		known[i.Call.Commitment] = true
	}
	for _, c := range e.list {
		if !known[c.Hash] && c.Made > m.journal.Baseline && m.openIntent() == nil && m.stopped == nil {
			m.stop(fmt.Sprintf("a commitment of #%d", c.Made))
		}
	}
	for _, i := range m.intents {
		at := slices.IndexFunc(e.list, func(c Commitment) bool {
			return c.Hash == i.Call.Commitment && c.Made == i.Block && c.Timelocked == (i.Call.Kind == CommitTimelock)
		})
		if i.Call.Kind != CommitHash && i.Call.Kind != CommitTimelock || i.Block == 0 {
			continue
		}
		if at < 0 {
			m.vanished(i)
			continue
		}
		m.became(i, &e.list[at])
	}
}

// became takes what is proven of a commitment.
func (m *Machine) became(i *Intent, c *Commitment) {
	if i.Epoch != c.Epoch {
		i.Epoch, m.dirty = c.Epoch, true
		if first, ok := m.view.firstOf(c.Epoch + m.view.Facts.RevealPeriod); ok && first < 1<<32 {
			i.Due = uint32(first)
		}
		if last, ok := m.view.lastOf(c.Epoch + m.view.Facts.RevealPeriod); ok && last < 1<<32 {
			i.Until = uint32(last)
		}
	}
	switch {
	case c.Revealed != 0 && i.waits():
		i.State, i.At, m.dirty = Revealed, c.Revealed, true
		m.note("weights", false, "the commitment of #%d is revealed, in #%d: the weights are on chain", i.Block, c.Revealed)
	case c.Lost && i.waits():
		i.State, i.Why, m.dirty = Lost, c.Why, true
		m.lost++
		m.note("weights", true, "the commitment of #%d is lost: %s", i.Block, c.Why)
		m.lookAt = 0
	case i.waits() && c.Why != "":
		m.once("way", "weights", true, "in the way of the commitment of #%d as things stand: %s", i.Block, c.Why)
	}
	if i.Proof == "" && (i.State == Revealed || i.State == Lost) && (c.Revealed != 0 || c.Lost) && !m.busy.proof {
		m.busy.proof = true
		m.want(wantProof{i.ID, *c})
	}
}

// vanished looks at a commitment that the chain's lists do not have any more.
func (m *Machine) vanished(i *Intent) {
	if !i.waits() || i.Until == 0 || m.head.Number <= i.Until+2*margin {
		return
	}
	m.lost++
	i.State, i.Why, i.Proof, m.dirty = Lost, "it is on no list any more, and nobody has the states that would say why", "-", true
	m.note("weights", true, "what became of the commitment of #%d cannot be told: %s", i.Block, i.Why)
}

// revealable returns the commitment by hash that may be revealed now.
func (m *Machine) revealable() *Intent {
	v := m.view
	for _, i := range m.intents {
		if !i.waits() || i.Call.Kind != CommitHash {
			continue
		}
		c := subtensor.HashCommit{Hash: i.Call.Commitment, Epoch: i.Epoch, Block: uint64(i.Block)}
		if v.Facts.Window(c, uint64(v.Block)+1) == commit.Stored {
			return i
		}
	}
	return nil
}

// reveal has the weights of a commitment by hash revealed when that may be. It reports whether that is under way.
func (m *Machine) reveal() bool {
	i := m.revealable()
	if i == nil || !m.recent() {
		return false
	}
	if slices.ContainsFunc(m.intents, func(r *Intent) bool { // one that failed or lapsed is tried again
		return r.Of == i.ID && r.Call.Kind == Reveal && (r.open() || r.State == Included)
	}) {
		return false
	}
	if _, why := m.view.Facts.Judge(uint64(m.view.Block)+1, i.Call.UIDs, i.Call.Values, i.Call.VersionKey); why != commit.Stored && why != commit.RateLimited {
		m.once("reveal", "weights", true, "the reveal of #%d would be refused: %s", i.Block, why.Says())
		return false
	}
	call := i.Call
	call.Kind, call.Ciphertext = Reveal, nil
	m.busy.act = true
	m.want(wantDraft{draft{call: call, of: i.ID}})
	return true
}

// keep has what changed written down, which is rare but for what an intent needs.
func (m *Machine) keep() {
	if m.busy.save || m.busy.act || m.openIntent() != nil {
		return
	}
	if m.dirty && m.head.Number > m.savedAt || m.scores.Rounds > 0 && m.head.Number >= m.savedAt+saveEvery {
		m.save(saveRest)
	}
}

// Last returns what is worth keeping at the end.
func (m *Machine) Last() map[string][]byte {
	puts := map[string][]byte{kindState + "/" + keyJournal: encodeJournal(m.journal), kindState + "/" + keyScores: m.scores.Encode()}
	for _, i := range m.intents {
		if i.State != Intended && (i.State != Signed || i.saved) {
			puts[kindIntent+"/"+intentKey(i.ID)] = i.encode()
		}
	}
	return puts
}

// Deadlines are what has to be on chain by when, the nearest first.
func (m *Machine) Deadlines() []Deadline {
	v := m.view
	if v == nil || !v.Facts.Registered || m.cfg.Unset || m.stopped != nil {
		return nil
	}
	var list []Deadline
	if cut := v.cutoff(); v.LastUpdate != 0 && v.LastUpdate+cut < math.MaxUint32 {
		list = append(list, Deadline{fmt.Sprintf("weights on subnet %d", m.cfg.Netuid), uint32(v.LastUpdate + cut/2), uint32(v.LastUpdate + cut), false})
	}
	for _, i := range m.intents {
		if i.waits() && i.Call.Kind == CommitHash && i.Until != 0 {
			list = append(list, Deadline{fmt.Sprintf("reveal of #%d on subnet %d", i.Block, m.cfg.Netuid), i.Due, i.Until, true})
		}
	}
	slices.SortFunc(list, func(a, b Deadline) int { return cmp.Compare(a.Due, b.Due) })
	return list
}

// deadlines tells of those that are near, and counts those that are missed.
func (m *Machine) deadlines() {
	v := m.view
	for _, d := range m.Deadlines() {
		left := time.Duration(d.Due-min(d.Due, v.Block)) * v.Slot
		if key := fmt.Sprint("deadline ", d.Name, d.Due); left > 0 && left <= ahead && (d.reveal || v.Block >= d.Wake) {
			m.first(key, "deadline", false, "%s: from #%d and by #%d, in %s", d.Name, d.Wake, d.Due, left.Round(time.Second))
			if v.Block >= d.Wake+2*margin { // it could have been done
				m.first(key+" late", "deadline", true, "%s is not done yet, and has to be by #%d, in %s", d.Name, d.Due, left.Round(time.Second))
			}
		}
	}
	if cut := v.cutoff(); v.Facts.Registered && v.LastUpdate != 0 && uint64(v.Block) > v.LastUpdate+cut && m.journal.LastMiss != v.LastUpdate {
		m.journal.LastMiss, m.journal.Missed, m.dirty = v.LastUpdate, m.journal.Missed+1, true
		m.note("deadline", true, "no weights since #%d: the subnet takes the validator for inactive since #%d", v.LastUpdate, v.LastUpdate+cut)
	}
	for _, i := range m.intents {
		if i.waits() && i.Call.Kind == CommitHash && i.Until != 0 && v.Block > i.Until && !i.Missed {
			i.Missed, m.dirty = true, true
			m.journal.Missed++
			m.note("deadline", true, "the commitment of #%d was not revealed by #%d", i.Block, i.Until)
		}
	}
}
