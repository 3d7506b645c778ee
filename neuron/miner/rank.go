package miner

import (
	"cmp"
	"slices"

	"github.com/taolight/taolight/verify"
)

// minNonImmune is MinNonImmuneUids: as long as no more than so many are not immune, those are spared.
const minNonImmune = 10

// A Risk is how near a hotkey is to being replaced by the next registrations, by the rule of spec 425
// (pallets/subtensor/src/subnets/registration.rs, get_neuron_to_prune): of a subnet that is full, the least emission
// goes first, of equal ones the older registration, then the lower uid. The owner's hotkey never goes. Who was
// registered less than the immunity period ago goes only while no more than ten are not so young.
type Risk struct {
	Full bool `json:"subnet_full"` // else registrations replace nobody
	Free int  `json:"uids_free"`
	// Immune is for how many blocks more it is too young; 0: it is not.
	Immune uint64 `json:"immune_blocks"`
	Never  bool   `json:"owner"` // it is the owner's
	// Before is how many registrations can come before the one that replaces it, at most, if nothing else changes; nil
	// if it is not in line.
	Before *int `json:"goes_after"`
	// Rank is its place by emission, 1 the most, of all uids.
	Rank int `json:"rank_by_emission"`
	Of   int `json:"of"`
}

// RiskOf returns the risk of a hotkey in a view; it has to be there.
func RiskOf(v *View, hotkey verify.AccountID) Risk {
	r := Risk{Of: len(v.Neurons), Free: max(int(v.MaxUIDs)-len(v.Neurons), 0), Rank: 1}
	r.Full = r.Free == 0
	me := v.Of(hotkey)
	if me == nil {
		return r
	}
	immunity := func(n *Neuron) uint64 {
		end := n.Registered + uint64(v.ImmunityPeriod)
		if end < n.Registered || end <= uint64(v.Block) {
			return 0
		}
		return end - uint64(v.Block)
	}
	var old, young []*Neuron
	for i := range v.Neurons {
		n := &v.Neurons[i]
		if n.Emission > me.Emission {
			r.Rank++
		}
		if v.OwnerUID != nil && *v.OwnerUID == n.UID {
			continue
		}
		if immunity(n) > 0 {
			young = append(young, n)
		} else {
			old = append(old, n)
		}
	}
	r.Never, r.Immune = v.OwnerUID != nil && *v.OwnerUID == me.UID, immunity(me)
	order := func(a, b *Neuron) int {
		return cmp.Or(cmp.Compare(a.Emission, b.Emission), cmp.Compare(a.Registered, b.Registered), cmp.Compare(a.UID, b.UID))
	}
	slices.SortFunc(old, order)
	slices.SortFunc(young, order)
	// Each that goes is followed by somebody new, who is immune: the old become fewer until ten are left.
	line := append(old[:max(len(old)-minNonImmune, 0):max(len(old)-minNonImmune, 0)], young...)
	if i := slices.Index(line, me); i >= 0 && !r.Never {
		i += r.Free
		r.Before = &i
	}
	return r
}
