package miner

import (
	"fmt"
	"net/netip"
)

// Era is for how many blocks an announcement has to be good. retryBlocks is how long one that came to nothing is let be.
const (
	Era         = 64
	retryBlocks = 25
)

// An Intent is an announcement that was meant, as it is kept on disk from before the signature until it is known what
// became of it.
type Intent struct {
	At      netip.AddrPort `json:"at"`
	Version uint32         `json:"version"`
	Block   uint32         `json:"block"` // finalized when it was meant
	Hash    string         `json:"hash"`  // of the transaction; empty until it was handed over
}

// lapses is the last block that can hold it.
func (i *Intent) lapses() uint32 { return i.Block + Era + 2 }

// A Fate is what became of an announcement.
type Fate uint8

// The fates.
const (
	Unknown Fate = iota // nobody remembers it
	Pending             // it may still come to something
	Good                // it is in a final block, and succeeded
	Bad                 // it failed, was refused, or cannot be in any block any more
)

// What to do about the chain's entry.
type Step uint8

// The steps.
const (
	Rest   Step = iota // nothing
	Send               // announce it
	Forget             // the intent has served
)

// A Situation is all that the decision depends on.
type Situation struct {
	Block    uint32
	Me       *Neuron // nil: the hotkey is not registered
	Want     netip.AddrPort
	Version  uint32
	NoWant   error // why there is nothing to announce
	Limit    uint64
	Intent   *Intent // nil: none is under way
	Fate     Fate    // of it
	FateText string
	Failed   uint32 // block at which the last announcement came to nothing; 0: none did
	Gate     error  // why nothing may be signed
	Serves   bool   // the axon answers
	Off      string // why it does not
	DryRun   bool
}

// A Decision is what follows, and what to tell: the state of the chain's entry in a word, and why.
type Decision struct {
	Step  Step
	State string // "true", "unregistered", "no address", "sent", "waits", "failed", "closed", "would send"
	Why   string
	After uint32 // of "waits" and "failed": the block from which on it can be sent; 0: not known
}

// Decide says what to do about the chain's entry. It depends on its argument alone.
func Decide(s *Situation) Decision {
	if s.Me == nil {
		if s.Intent != nil && s.Block > s.Intent.lapses() {
			return Decision{Step: Forget, State: "unregistered"}
		}
		return Decision{State: "unregistered", Why: "the hotkey has no uid on this subnet; its coldkey registers it"}
	}
	// What an intent says counts before what is wanted now: two announcements must not cross.
	if i := s.Intent; i != nil {
		switch {
		case s.Me.Axon != nil && s.Me.Axon.At == i.At && s.Me.Axon.Version == i.Version && s.Me.Axon.Block >= uint64(i.Block):
			return Decision{Step: Forget, State: "true"}
		case s.Fate == Bad:
			return Decision{Step: Forget, State: "failed", Why: s.FateText}
		case s.Block > i.lapses():
			return Decision{Step: Forget, State: "failed", Why: fmt.Sprintf("no block took it by #%d", i.lapses())}
		}
		why := fmt.Sprintf("%s is announced since #%d, and not final yet", i.At, i.Block)
		if i.Hash == "" {
			why = fmt.Sprintf("%s was about to be announced at #%d: it is not known whether it was sent, which shows by #%d", i.At, i.Block, i.lapses())
		}
		return Decision{State: "sent", Why: why, After: i.lapses() + 1}
	}
	if s.NoWant != nil {
		return Decision{State: "no address", Why: s.NoWant.Error()}
	}
	if a := s.Me.Axon; a != nil && a.At == s.Want && a.Version == s.Version {
		return Decision{State: "true", Why: fmt.Sprintf("%s since #%d", a.At, a.Block)}
	}
	if !s.Serves {
		return Decision{State: "closed", Why: s.Off}
	}
	if s.Failed != 0 && s.Block < s.Failed+retryBlocks {
		return Decision{State: "failed", Why: s.FateText, After: s.Failed + retryBlocks}
	}
	// The block that may hold it is the next one: the chain takes it when so many have passed
	// (subnets/serving.rs, axon_passes_rate_limit).
	if a := s.Me.Axon; a != nil && a.Block != 0 && s.Limit != 0 && uint64(s.Block)+1 < a.Block+s.Limit {
		after := uint32(a.Block + s.Limit - 1)
		return Decision{State: "waits", Why: fmt.Sprintf("the subnet takes one announcement in %d blocks: %d to go", s.Limit, after-s.Block), After: after}
	}
	if s.DryRun {
		return Decision{State: "would send", Why: fmt.Sprintf("serve_axon %s, version %d", s.Want, s.Version)}
	}
	if s.Gate != nil {
		return Decision{State: "waits", Why: "nothing is signed now: " + s.Gate.Error()}
	}
	return Decision{Step: Send, State: "sent", Why: fmt.Sprintf("announcing %s", s.Want)}
}
