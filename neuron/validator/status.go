package validator

import (
	"slices"
	"time"
)

// Status is what the loop tells of itself; its JSON form is in what `neuron status --json` prints. Fields are added, never
// renamed.
type Status struct {
	State     string           `json:"state"` // "starting", "running", "blocked", "parked", "stopped"
	Why       string           `json:"why,omitempty"`
	Head      uint32           `json:"head"`
	Duty      string           `json:"duty"` // "all", "deadlines", "none": what the power level leaves
	Block     uint32           `json:"block"`
	Subnet    string           `json:"weights_go"` // "set", "commit hash", "commit timelocked"
	UID       *uint16          `json:"uid"`        // null: not registered
	Permit    bool             `json:"validator_permit"`
	Updated   uint64           `json:"last_update"`
	Next      uint64           `json:"weights_due_block"` // the first in which weights may be sent
	Rounds    uint64           `json:"rounds"`
	Asked     int              `json:"asked"`    // in the last round
	Answered  int              `json:"answered"` // of them
	Scored    int              `json:"scored"`   // neurons with a moving average above nothing
	Deadlines []DeadlineStatus `json:"deadlines"`
	Missed    uint64           `json:"deadline_missed_total"`
	Lost      uint64           `json:"commitments_lost"` // since the process began
	Intents   []IntentStatus   `json:"intents"`          // the last first
}

// A DeadlineStatus is a Deadline with the time that is left, by the chain's own pace.
type DeadlineStatus struct {
	Deadline
	Seconds float64 `json:"in_seconds"`
}

// An IntentStatus is what an Intent has come to.
type IntentStatus struct {
	ID       uint64 `json:"id"`
	Kind     Kind   `json:"kind"`
	State    string `json:"state"`
	Made     uint32 `json:"made"`
	Block    uint32 `json:"block,omitempty"`
	Weights  int    `json:"weights"`
	Round    uint64 `json:"round,omitempty"`
	RevealAt uint32 `json:"reveal_at,omitempty"`
	RevealBy uint32 `json:"reveal_by,omitempty"`
	Revealed uint32 `json:"revealed,omitempty"`
	Why      string `json:"why,omitempty"`
	Proof    string `json:"proof,omitempty"`
}

// maxShown bounds the intents that Status tells of.
const maxShown = 10

// Status tells how the loop is.
func (m *Machine) Status() *Status {
	s := &Status{State: "running", Head: m.head.Number, Duty: m.head.Duty.String(), Rounds: m.scores.Rounds, Asked: m.asked, Answered: m.answered,
		Missed: m.journal.Missed, Lost: m.lost, Deadlines: []DeadlineStatus{}, Intents: []IntentStatus{}}
	switch {
	case m.stopped != nil:
		s.State, s.Why = "stopped", m.stopped.Error()
	case m.head.Duty == DutyNone:
		s.State, s.Why = "parked", "the power level leaves nothing"
	case m.view == nil:
		s.State = "starting"
	case m.blocked != "":
		s.State, s.Why = "blocked", m.blocked
	}
	for _, v := range m.scores.Values {
		if v > 0 {
			s.Scored++
		}
	}
	if v := m.view; v != nil {
		s.Block, s.Permit, s.Updated, s.Next = v.Block, v.Facts.Permit, v.LastUpdate, m.dueAt()
		if v.Facts.Registered {
			uid := v.Facts.UID
			s.UID = &uid
		}
		switch {
		case !v.Facts.CommitReveal:
			s.Subnet = string(Set)
		case v.timelocked() && !m.cfg.ByHash:
			s.Subnet = string(CommitTimelock)
		default:
			s.Subnet = string(CommitHash)
		}
		for _, d := range m.Deadlines() {
			left := time.Duration(int64(d.Due)-int64(m.head.Number)) * v.Slot
			s.Deadlines = append(s.Deadlines, DeadlineStatus{d, left.Seconds()})
		}
	}
	for _, i := range slices.Backward(m.intents) {
		if len(s.Intents) == maxShown {
			break
		}
		proof := i.Proof
		if proof == "-" {
			proof = ""
		}
		s.Intents = append(s.Intents, IntentStatus{i.ID, i.Call.Kind, i.State, i.Made, i.Block, len(i.Call.UIDs), i.Call.Round, i.Due, i.Until, i.At, i.Why, proof})
	}
	return s
}

// Status tells how the loop is.
func (v *Validator) Status() *Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.m.Status()
}
