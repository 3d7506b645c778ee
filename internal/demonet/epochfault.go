package demonet

import (
	"encoding/binary"
	"fmt"

	"github.com/taolight/taolight/verify/yuma"
)

// An EpochFault is an array in which an epoch gets one cell wrong. Everything after the epoch goes on
// from the wrong cell: the next epoch is computed right from what the chain stored.
type EpochFault int

// The faults, by the storage item.
const (
	NoEpochFault EpochFault = iota
	WrongStakeWeight
	WrongActive
	WrongPermit
	WrongConsensus
	WrongValidatorTrust
	WrongIncentive
	WrongBonds
	WrongDividends
	WrongEmission
)

var epochFaults = [...]struct{ name, item, what string }{
	NoEpochFault:        {"none", "", "computes what it should"},
	WrongStakeWeight:    {"stake-weight", "StakeWeight", "stores another share of stake for a neuron"},
	WrongActive:         {"active", "Active", "takes an active neuron for an inactive one, or the other way round"},
	WrongPermit:         {"validator-permit", "ValidatorPermit", "gives a validator permit to a neuron without stake"},
	WrongConsensus:      {"consensus", "Consensus", "stores another consensus on a neuron"},
	WrongValidatorTrust: {"validator-trust", "ValidatorTrust", "stores another trust in a validator"},
	WrongIncentive:      {"incentive", "Incentive", "stores another incentive of a neuron, on one mechanism"},
	WrongBonds:          {"bonds", "Bonds", "stores another bond of a validator in a neuron, on one mechanism"},
	WrongDividends:      {"dividends", "Dividends", "stores other dividends of a neuron"},
	WrongEmission:       {"emission", "Emission", "stores another emission of a neuron"},
}

func (f EpochFault) String() string {
	if f < 0 || int(f) >= len(epochFaults) {
		return fmt.Sprintf("epoch fault %d", int(f))
	}
	return epochFaults[f].name
}

// What says in words what an epoch with that fault does.
func (f EpochFault) What() string { return epochFaults[f].what }

// Item is the storage item that is wrong, such as "Incentive".
func (f EpochFault) Item() string { return epochFaults[f].item }

// ParseEpochFault returns the fault of a name, such as "incentive".
func ParseEpochFault(name string) (EpochFault, error) {
	for f := range epochFaults {
		if epochFaults[f].name == name {
			return EpochFault(f), nil
		}
	}
	return 0, fmt.Errorf("demo network: no epoch fault is called %q", name)
}

// EpochFaults returns every fault, NoEpochFault left out.
func EpochFaults() []EpochFault {
	out := make([]EpochFault, 0, len(epochFaults)-1)
	for f := 1; f < len(epochFaults); f++ {
		out = append(out, EpochFault(f))
	}
	return out
}

// An EpochRecord is what the chain knows of one epoch that it computed.
type EpochRecord struct {
	Netuid uint16
	Block  uint32
	Epoch  uint64 // its number in the subnet, as commits count
	Rao    uint64 // what it handed out, in rao of alpha
	Fault  EpochFault

	// Which cell is wrong, with a fault.
	Mecid  uint8  // of Incentive and Bonds
	UID    uint16 // whose
	Target uint16 // of Bonds: the neuron that the bond is in
	Right  uint64 // what it should be; of Active and ValidatorPermit 0 or 1
	Wrong  uint64 // what is stored
}

// Epochs returns every epoch that the best chain computed, in order. It is empty with Config.Quiet.
func (n *Network) Epochs() []EpochRecord {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var out []EpochRecord
	for _, b := range n.chain.canon {
		out = append(out, b.epochs...)
	}
	return out
}

// spoil makes one cell wrong, of all or of what each mechanism stores for itself, and says in r which.
// Which one, and by how much, follows from random bytes. Where there is no bond yet none can be wrong:
// then the epoch is right.
func (r *EpochRecord) spoil(f EpochFault, random [32]byte, idle []uint16, all *yuma.Outputs, each []*yuma.Outputs) {
	pick := func(i, n int) int { return int(binary.LittleEndian.Uint16(random[2*i:])) % n }
	r.Fault = f
	r.UID = uint16(pick(0, len(all.Active)))
	by := uint64(1 + pick(1, 1000))
	wrong := func(right, top uint64) uint64 {
		if r.Right, r.Wrong = right, right+by; r.Wrong > top {
			r.Wrong = right - by
		}
		return r.Wrong
	}
	short := func(v []uint16) { v[r.UID] = uint16(wrong(uint64(v[r.UID]), 65_535)) }
	flip := func(v []bool) {
		r.Right, r.Wrong = 0, 1
		if v[r.UID] {
			r.Right, r.Wrong = 1, 0
		}
		v[r.UID] = !v[r.UID]
	}
	switch f {
	case WrongStakeWeight:
		short(all.StakeWeight)
	case WrongActive:
		flip(all.Active)
	case WrongPermit:
		if len(idle) == 0 {
			r.Fault, r.UID = NoEpochFault, 0
			return
		}
		r.UID = idle[pick(0, len(idle))]
		flip(all.ValidatorPermit)
	case WrongConsensus:
		short(all.Consensus)
	case WrongValidatorTrust:
		short(all.ValidatorTrust)
	case WrongDividends:
		short(all.Dividends)
	case WrongEmission:
		all.Emission[r.UID] = wrong(all.Emission[r.UID], 1<<62)
	case WrongIncentive:
		r.Mecid = uint8(pick(2, len(each)))
		short(each[r.Mecid].Incentive)
	case WrongBonds:
		r.Mecid = uint8(pick(2, len(each)))
		var have []uint16
		for uid, row := range each[r.Mecid].Bonds {
			if len(row) > 0 {
				have = append(have, uint16(uid))
			}
		}
		if len(have) == 0 {
			r.Fault, r.Mecid, r.UID = NoEpochFault, 0, 0
			return
		}
		r.UID = have[pick(0, len(have))]
		row := each[r.Mecid].Bonds[r.UID]
		cell := &row[pick(3, len(row))]
		r.Target, cell.Value = cell.UID, uint16(wrong(uint64(cell.Value), 65_535))
	default:
		*r = EpochRecord{Netuid: r.Netuid, Block: r.Block, Epoch: r.Epoch, Rao: r.Rao}
	}
}
