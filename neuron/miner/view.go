package miner

import (
	"net/netip"
	"sync/atomic"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/verify"
)

// A View is what the state of one finalized block says of a subnet, proven.
type View struct {
	Block            uint32
	Neurons          []Neuron // by uid
	MaxUIDs          uint16
	OwnerUID         *uint16 // whose hotkey is never replaced; nil: none
	ImmunityPeriod   uint16  // blocks
	ServingRateLimit uint64  // blocks; 0: none
}

// A Neuron is one uid.
type Neuron struct {
	UID        uint16
	Hotkey     verify.AccountID
	Stake      uint64 // its stake weight, in rao
	Permit     bool
	Incentive  uint16
	Emission   uint64 // of the last epoch, in rao of the subnet's alpha
	Registered uint64 // block
	Axon       *Served
}

// Served is an entry of Axons: where the chain says that a hotkey's axon is.
type Served struct {
	At      netip.AddrPort
	Block   uint64 // of the announcement
	Version uint32
}

// Of returns the neuron of a hotkey, or nil.
func (v *View) Of(hotkey verify.AccountID) *Neuron {
	for i := range v.Neurons {
		if v.Neurons[i].Hotkey == hotkey {
			return &v.Neurons[i]
		}
	}
	return nil
}

// Callers tells the standing of those who call, from the newest View. It is a neuron.Callers; its zero value knows
// nobody.
type Callers struct {
	table atomic.Pointer[map[verify.AccountID]neuron.Standing]
}

// Standing implements neuron.Callers.
func (c *Callers) Standing(hotkey verify.AccountID) neuron.Standing {
	if t := c.table.Load(); t != nil {
		return (*t)[hotkey]
	}
	return neuron.Standing{}
}

// Set takes a view.
func (c *Callers) Set(v *View) {
	t := make(map[verify.AccountID]neuron.Standing, len(v.Neurons))
	for _, n := range v.Neurons {
		t[n.Hotkey] = neuron.Standing{Registered: true, UID: n.UID, Permit: n.Permit, Stake: n.Stake}
	}
	c.table.Store(&t)
}
