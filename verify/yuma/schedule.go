package yuma

import (
	"math"
	"math/bits"
)

// maxTempo is MAX_TEMPO: an epoch is due when none has run for more blocks than this, whatever the
// tempo (pallets/subtensor/src/lib.rs).
const maxTempo = 50_400

// A Schedule is the state of one subnet's epoch scheduler after some block, under the rules that
// rules.Set calls StatefulEpochs. Its methods take the number of the block after that one, or of a
// later block if nothing happens in between; they foresee no deferral (MaxEpochsPerBlock), no slot
// skipped for duplicate hotkeys and no change of tempo.
//
// It holds for subnets other than the root network, which has no epochs.
type Schedule struct {
	Tempo               uint16 // blocks between epochs; 0: no epochs
	LastEpochBlock      uint64 // when the last slot was used up, successfully or not, or tempo was set
	PendingEpochAt      uint64 // a slot asked for, or deferred to, this block; 0: none
	SubnetEpochIndex    uint64 // counts the slots used up
	BlocksSinceLastStep uint64 // blocks since the last successful epoch
}

// Due reports whether a slot is due at block, as the chain sees it when s is its state: before the
// block's scheduler has run if s is the state of block-1, after it if s is that of block
// (pallets/subtensor/src/coinbase/run_coinbase.rs, should_run_epoch).
func (s Schedule) Due(block uint64) bool {
	if s.Tempo == 0 {
		return false
	}
	if s.PendingEpochAt > 0 && block >= s.PendingEpochAt {
		return true
	}
	if s.BlocksSinceLastStep > maxTempo {
		return true
	}
	return block >= s.LastEpochBlock && block-s.LastEpochBlock >= uint64(s.Tempo)
}

// LookAhead returns the epoch that a commit or reveal in block belongs to, with s as in Due: a slot
// that is due counts already (pallets/subtensor/src/subnets/weights.rs, current_epoch_with_lookahead).
func (s Schedule) LookAhead(block uint64) uint64 {
	if s.Due(block) {
		return saturatingAdd(s.SubnetEpochIndex, 1)
	}
	return s.SubnetEpochIndex
}

// Step runs the scheduler of block on s, the state of block-1: it returns the state of block, and
// whether the slot was used up (pallets/subtensor/src/coinbase/run_coinbase.rs, drain_pending).
func (s Schedule) Step(block uint64) (Schedule, bool) {
	s.BlocksSinceLastStep = saturatingAdd(s.BlocksSinceLastStep, 1)
	if !s.Due(block) {
		return s, false
	}
	return s.used(block), true
}

// used returns the state after an epoch in block.
func (s Schedule) used(block uint64) Schedule {
	s.LastEpochBlock, s.PendingEpochAt, s.BlocksSinceLastStep = block, 0, 0
	s.SubnetEpochIndex = saturatingAdd(s.SubnetEpochIndex, 1)
	return s
}

// Next returns the first block, from or later, in which Step uses a slot up, where s is the state of
// from-1. ok is false if there is none: a tempo of 0.
func (s Schedule) Next(from uint64) (block uint64, ok bool) {
	if s.Tempo == 0 {
		return 0, false
	}
	next := uint64(math.MaxUint64)
	found := false
	at := func(block, carry uint64) {
		if carry == 0 {
			next, found = min(next, max(block, from)), true
		}
	}
	at(bits.Add64(s.LastEpochBlock, uint64(s.Tempo), 0))
	if s.PendingEpochAt > 0 {
		at(s.PendingEpochAt, 0)
	}
	// The scheduler counts the block itself before it looks.
	at(bits.Add64(from, maxTempo-min(s.BlocksSinceLastStep, maxTempo), 0))
	return next, found
}

// FirstBlockOf returns the first block, from or later, whose look-ahead epoch (before the scheduler
// of that block has run, as reveals see it) is epoch, where s is the state of from-1. ok is false if
// that epoch is over, or never comes.
func (s Schedule) FirstBlockOf(epoch, from uint64) (block uint64, ok bool) {
	for {
		if now := s.LookAhead(from); now == epoch {
			return from, true
		} else if now > epoch {
			return 0, false
		}
		slot, ok := s.Next(from)
		if !ok {
			return 0, false
		}
		s.BlocksSinceLastStep = saturatingAdd(s.BlocksSinceLastStep, slot-from)
		if s.LookAhead(slot) == epoch {
			return slot, true
		}
		s = s.used(slot)
		if from = slot + 1; from == 0 {
			return 0, false
		}
		// From here on one slot follows another at the same distance; go by the last two only.
		if s.SubnetEpochIndex >= epoch || epoch-s.SubnetEpochIndex <= 2 {
			continue
		}
		skip := epoch - s.SubnetEpochIndex - 2
		hi, distance := bits.Mul64(skip, min(uint64(s.Tempo), maxTempo+1))
		later, carry := bits.Add64(from, distance, 0)
		if hi != 0 || carry != 0 {
			return 0, false
		}
		s.LastEpochBlock, s.SubnetEpochIndex, from = later-1, s.SubnetEpochIndex+skip, later
	}
}

// The schedule without state, under the rules without StatefulEpochs
// (pallets/subtensor/src/subnets/weights.rs and coinbase/run_coinbase.rs at v3.4.7).

// LegacyEpoch returns the epoch that a commit or reveal in block belongs to. It begins one block
// after the epoch before it has run. netuid is that of the subnet, also for its other mechanisms.
func LegacyEpoch(block uint64, netuid, tempo uint16) uint64 {
	return saturatingAdd(block, uint64(netuid)+1) / (uint64(tempo) + 1)
}

// LegacyDue reports whether an epoch runs in block.
func LegacyDue(block uint64, netuid, tempo uint16) bool {
	n, ok := legacyUntil(block, netuid, tempo)
	return ok && n == 0
}

// LegacyNext returns the first block, from or later, in which an epoch runs. ok is false if there is
// none: a tempo of 0.
func LegacyNext(from uint64, netuid, tempo uint16) (block uint64, ok bool) {
	n, ok := legacyUntil(from, netuid, tempo)
	if block = from + n; !ok || block < from {
		return 0, false
	}
	return block, true
}

// legacyUntil is blocks_until_next_epoch; the addition wraps there as well.
func legacyUntil(block uint64, netuid, tempo uint16) (blocks uint64, ok bool) {
	period := uint64(tempo) + 1
	return uint64(tempo) - (block+uint64(netuid)+1)%period, tempo != 0
}

// LegacyRevealWindow returns the first and the last block in which a commit made in an epoch can be
// revealed, period (RevealPeriodEpochs) epochs later (get_reveal_blocks).
func LegacyRevealWindow(epoch, period uint64, netuid, tempo uint16) (first, last uint64) {
	hi, first := bits.Mul64(saturatingAdd(epoch, period), uint64(tempo)+1)
	if hi != 0 {
		first = math.MaxUint64
	}
	first -= min(first, uint64(netuid)+1)
	return first, saturatingAdd(first, uint64(tempo))
}

func saturatingAdd(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}
