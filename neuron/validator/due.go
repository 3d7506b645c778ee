package validator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taolight/taolight/verify/commit"
)

// When weights are due, what they are, what stands in their way, and how they are committed to.

// weights are what the averages come to.
func (m *Machine) weights() (uids, values []uint16, err error) {
	v := m.view
	limit := 1.0
	if v.Facts.MaxWeight < 65535 {
		limit = float64(v.Facts.MaxWeight) / 65535
	}
	return Normalize(m.scores.Values, int(min(v.Facts.MinWeights, v.Facts.Size)), limit)
}

// version returns the version key for weights.
func (m *Machine) version() uint64 {
	if m.cfg.Version != nil {
		return *m.cfg.Version
	}
	return m.view.Facts.VersionKey
}

// dueAt returns the first block in which weights are to be sent, by the last view.
func (m *Machine) dueAt() uint64 {
	v := m.view
	next := uint64(v.Block) + 1
	if v.LastUpdate == 0 {
		return next
	}
	due := v.LastUpdate + max(v.Hyper.WeightsSetRateLimit, uint64(m.cfg.Epoch))
	if m.head.Duty == DutyDeadlines {
		due = max(due, v.LastUpdate+v.cutoff()/2)
	}
	if v.Facts.CommitReveal && v.LastUpdate != v.Registered {
		// One commitment an epoch is enough: the last one counts.
		epoch := v.epochAt(next)
		if first, ok := v.firstOf(epoch + 1); ok && m.commitsIn(epoch) {
			due = max(due, first+1)
		}
	}
	return due
}

// commitsIn reports whether there is a commitment of ours of an epoch.
func (m *Machine) commitsIn(epoch uint64) bool {
	return slices.ContainsFunc(m.intents, func(i *Intent) bool { return i.waits() && i.Epoch == epoch })
}

// unanswered stands in the way of weights until the first round that counts.
const unanswered = "no miner has answered yet"

// set has weights sent if that is due and may be. It reports whether something is under way for that.
func (m *Machine) set() bool {
	v := m.view
	head := uint64(m.head.Number)
	if m.cfg.Unset || head < m.dueAt() || m.head.Number < m.setAt || !m.recent() {
		return false
	}
	if why := m.stranger(); why != "" {
		m.block(why)
		return false
	}
	if v.Facts.CommitReveal {
		if next, ok := v.firstOf(v.epochAt(uint64(v.Block)+1) + 1); ok && next <= uint64(v.Block)+margin {
			return false
		}
	}
	if m.scores.Rounds == 0 || m.head.Duty != DutyAll && head >= uint64(m.roundAt)+uint64(m.cfg.Epoch) {
		if m.scores.Rounds == 0 && m.roundAt != 0 {
			m.blocked = unanswered
		}
		return m.ask(1) // first something to tell
	}
	if !m.known() {
		return true
	}
	uids, values, err := m.weights()
	if err != nil {
		m.block(err.Error())
		return false
	}
	if why := m.refuses(uids, values); why != "" {
		m.block(why)
		return false
	}
	m.unblock()
	d := draft{call: Call{Kind: Set, UIDs: uids, Values: values, VersionKey: m.version()}}
	if v.Facts.CommitReveal {
		if err := m.commitment(&d); err != nil {
			m.block(err.Error())
			return false
		}
	}
	m.busy.act = true
	m.want(wantDraft{d})
	return true
}

// block notes what stands in the way of weights, and has that looked at again later.
func (m *Machine) block(why string) {
	m.blocked = why
	m.once("blocked", "weights", true, "no weights are sent: %s", why)
	m.setAt = m.head.Number + rollAfter
}

func (m *Machine) unblock() {
	m.blocked = ""
	m.forget("blocked")
}

// stranger says why the hotkey is nobody on the subnet; empty: it has a uid.
func (m *Machine) stranger() string {
	f := m.view.Facts
	switch {
	case !f.Exists:
		return fmt.Sprintf("there is no subnet %d", m.cfg.Netuid)
	case !f.Registered:
		return fmt.Sprintf("the hotkey is not registered on subnet %d", m.cfg.Netuid)
	}
	return ""
}

// refuses says what the chain's checks would have against weights now; empty: nothing.
func (m *Machine) refuses(uids, values []uint16) string {
	f := m.view.Facts
	if len(uids) == 0 {
		return "there is nobody to give a weight to"
	}
	_, why := f.Judge(uint64(m.view.Block)+1, uids, values, m.version())
	switch {
	case why == commit.Stored:
		return ""
	case why == commit.RateLimited && f.CommitReveal:
		return ""
	case why == commit.VersionKeyOld:
		return fmt.Sprintf("version key %d is below the subnet's, %d", m.version(), f.VersionKey)
	case why == commit.NoPermit:
		return "the hotkey has no validator permit"
	case why == commit.StakeTooLow:
		return fmt.Sprintf("the hotkey's stake is below the chain's threshold of %d TAO", f.StakeThreshold/1e9)
	}
	return why.Says()
}

// commitment says of a draft how it is committed: timelocked from the rules on that have it, else by hash.
func (m *Machine) commitment(d *draft) error {
	v := m.view
	in := uint64(v.Block) + delay
	d.epoch = v.epochAt(in)
	first, ok := v.firstOf(d.epoch + v.Facts.RevealPeriod)
	if !ok || first >= 1<<32 {
		return errors.New("the epoch in which they would be revealed cannot be told")
	}
	d.due = uint32(first)
	if last, ok := v.lastOf(d.epoch + v.Facts.RevealPeriod); ok && last < 1<<32 {
		d.until = uint32(last)
	}
	if !v.timelocked() || m.cfg.ByHash {
		d.call.Kind = CommitHash
		return nil
	}
	d.call.Kind, d.beacon, d.call.Scheme = CommitTimelock, v.Beacon, v.Hyper.CommitRevealWeightsVersion
	d.call.Round = v.RevealRound(first)
	if d.call.Round == 0 {
		return errors.New("the beacon has no round for the time of the reveal")
	}
	return nil
}

// specTimelocked is the first runtime with timelocked commitments as they are now.
const specTimelocked = 306

// timelocked reports whether the rules have timelocked commitments.
func (v *View) timelocked() bool { return v.Rules.Actual >= specTimelocked }

// RevealRound is the round of the beacon that a commitment is sealed for which is to be revealed from a block on:
// three blocks later, by the chain's own time, and one before the newest there, as bittensor-drand has it
// (src/epoch_schedule.rs). A round that came earlier would open the weights before their time, a later one would lose them.
func (v *View) RevealRound(first uint64) uint64 {
	at := v.Time/1000 + (first+slack-uint64(v.Block))*uint64(v.Slot/time.Millisecond)/1000
	return max(1, v.Beacon.RoundAt(at)) - 1
}
