package miner

import (
	"fmt"
	"strings"
	"time"

	"github.com/taolight/taolight/neuron/axon"
)

// Status is what a miner tells of itself; its JSON form is the state in `neuron status --json`. Fields are added,
// never renamed.
type Status struct {
	Started time.Time `json:"started"`
	Block   uint32    `json:"block"` // finalized, of which the rest is known; 0: none yet
	// Age is how long ago that block was read, in seconds; Problem why no newer one could be.
	Age     float64 `json:"age_seconds"`
	Problem string  `json:"problem,omitempty"`

	Registered bool    `json:"registered"`
	UID        *uint16 `json:"uid"`
	Incentive  uint16  `json:"incentive"`
	Emission   uint64  `json:"emission_rao"`
	Risk       *Risk   `json:"deregistration"` // null: not registered

	Listen  string `json:"listen"` // empty: the axon is closed
	Closed  string `json:"closed,omitempty"`
	Level   string `json:"power_level,omitempty"`
	Address string `json:"address,omitempty"` // to be announced
	How     string `json:"address_found,omitempty"`
	Warning string `json:"address_warning,omitempty"`
	OnChain string `json:"on_chain,omitempty"` // what the chain says now

	Announce string `json:"announce"` // Decision.State
	Why      string `json:"announce_why,omitempty"`
	After    uint32 `json:"announce_after,omitempty"`
	Hash     string `json:"announce_transaction,omitempty"`

	// Reached is when a signed request last came from another machine, and from where; null: none has since the start.
	Reached   *time.Time `json:"reached"`
	ReachedBy string     `json:"reached_by,omitempty"`

	// PeerReached is when a light node last said that it reached the axon at PeerPort, and which; null: none has since
	// the address is this. PeerUnreachedWhy is why the last question came to nothing: empty if it came to something.
	PeerPort          uint16     `json:"peer_port,omitempty"`
	PeerReached       *time.Time `json:"peer_reached"`
	PeerReachedBy     string     `json:"peer_reached_by,omitempty"`
	PeerReachedOver   string     `json:"peer_reached_over,omitempty"` // "IPv6", "the local network", "loopback"
	PeerUnreachedBy   string     `json:"peer_unreached_by,omitempty"` // empty: no light node tried
	PeerUnreachedOver string     `json:"peer_unreached_over,omitempty"`
	PeerUnreachedWhy  string     `json:"peer_unreached_why,omitempty"`

	Axon axon.Stats `json:"axon"`
}

// Lines say it in sentences, one each, for a person.
func (s *Status) Lines() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case s.Block == 0:
		add("nothing is proven of the subnet yet%s", colon(s.Problem))
	case !s.Registered:
		add("not registered at #%d: its coldkey registers it (btcli subnets register, taolight tx build register)", s.Block)
	default:
		add("uid %d, emission %.9f a tempo, %s", *s.UID, float64(s.Emission)/1e9, s.Risk.Line())
	}
	if s.Block != 0 && s.Problem != "" {
		add("the newest block that could be read is #%d, %s ago: %s", s.Block, (time.Duration(s.Age) * time.Second).String(), s.Problem)
	}
	if s.Listen != "" {
		add("the axon answers on %s", s.Listen)
	} else {
		add("the axon is closed%s", colon(s.Closed))
	}
	switch s.Announce {
	case "true":
		add("the chain says so: %s", s.OnChain)
	case "":
	default:
		line := "announcement: " + s.Announce + colon(s.Why)
		if s.After > s.Block {
			line += fmt.Sprintf(" (from #%d on)", s.After)
		}
		out = append(out, line)
	}
	if s.Warning != "" {
		out = append(out, s.Warning)
	}
	if s.Reached != nil {
		add("reached from %s at %s", s.ReachedBy, s.Reached.UTC().Format(time.RFC3339))
	} else if s.Listen != "" {
		add("nobody has called it from another machine yet")
	}
	if line := s.peerLine(); line != "" && s.Listen != "" {
		out = append(out, line)
	}
	a := s.Axon
	add("%d requests: %d answered, %d failed; refused: %d unsigned, %d stale, %d badly signed, %d not allowed, %d too many",
		a.Requests, a.Handled-a.Failed, a.Failed, a.Unsigned, a.Stale, a.BadSigned, a.Denied, a.Limited)
	return out
}

// Brief says it in a few words.
func (s *Status) Brief() string {
	if s.Block == 0 {
		return "nothing is proven yet"
	}
	line := "closed" + colon(s.Closed)
	if s.Listen != "" {
		line = fmt.Sprintf("%d requests answered", s.Axon.Handled-s.Axon.Failed)
	}
	switch s.Announce {
	case "true":
		return line + ", the chain says where"
	case "unregistered", "":
		return line
	}
	return line + ", announcement " + s.Announce
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + strings.TrimPrefix(s, ": ")
}

// Line says a risk in a few words.
func (r *Risk) Line() string {
	place := fmt.Sprintf("place %d of %d by emission", r.Rank, r.Of)
	switch {
	case r.Never:
		return place + ", the owner's: it is never replaced"
	case !r.Full && r.Free > 0 && r.Before == nil:
		return fmt.Sprintf("%s, %d uids are free", place, r.Free)
	case r.Before == nil && r.Immune > 0:
		return fmt.Sprintf("%s, immune for %d blocks more", place, r.Immune)
	case r.Before == nil:
		return place + ", not in line to be replaced"
	}
	s := place + ", "
	if r.Immune > 0 {
		s += fmt.Sprintf("immune for %d blocks more, yet ", r.Immune)
	}
	switch *r.Before {
	case 0:
		return s + "the next registration replaces it"
	case 1:
		return s + "the registration after the next replaces it"
	}
	return s + fmt.Sprintf("%d registrations from being replaced", *r.Before)
}
