package yuma

import "math"

// NoCommit stands in Inputs.CommitBlocks for a neuron without a commit.
const NoCommit = math.MaxUint64

// A Commit is a weight commit that waits to be revealed: which neuron made it, in which epoch, and in
// which block.
type Commit struct {
	UID          int
	Epoch, Block uint64
}

// CommitBlocks returns Inputs.CommitBlocks for n neurons: the block of each neuron's earliest commit
// that has not expired, NoCommit if there is none. now is the epoch at the block of the epoch, period
// is RevealPeriodEpochs.
//
// With rules.Set.StatefulEpochs, now is Schedule.LookAhead after Step, and the epoch of a commit is the
// one it is stored with. Without, both are LegacyEpoch of the block (pallets/subtensor/src/epoch/
// run_epoch.rs, commit_blocks in epoch_mechanism).
func CommitBlocks(n int, commits []Commit, now, period uint64) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = NoCommit
	}
	for _, c := range commits {
		if c.UID >= 0 && c.UID < n && now <= saturatingAdd(c.Epoch, period) {
			out[c.UID] = min(out[c.UID], c.Block)
		}
	}
	return out
}

// at returns v[i], or the zero value where v ends before.
func at[T any](v []T, i int) (x T) {
	if i < len(v) {
		x = v[i]
	}
	return x
}

// active returns which neurons have updated their weights lately enough.
func (in *Inputs) active(cutoff uint64) []bool {
	out := make([]bool, in.n())
	for i := range out {
		out[i] = saturatingAdd(at(in.LastUpdate, i), cutoff) >= in.Block
	}
	return out
}

// cutoff returns for how many blocks a neuron is active after its last update
// (pallets/subtensor/src/utils/misc.rs, get_activity_cutoff_blocks).
func (in *Inputs) cutoff(factor bool) uint64 {
	if !factor {
		return uint64(in.ActivityCutoff)
	}
	return max(1, uint64(in.ActivityCutoffFactorMilli)*uint64(in.Tempo)/1000)
}

// activeStake returns the stake of those that are active and have a permit, as shares of the whole.
func activeStake(stake []I32F32, active, permits []bool) []I32F32 {
	out := make([]I32F32, len(stake))
	for i, s := range stake {
		// An empty mask masks nothing (math.rs, inplace_mask_vector); a short one, what is beyond it.
		if active[i] && (len(permits) == 0 || at(permits, i)) {
			out[i] = s
		}
	}
	normalize(out)
	return out
}

// weights returns the weights that count, each row in its stored order and with a sum of 1: rows of
// those with a permit, without the weight on oneself (but for the owner), without weights for
// neurons that registered since the row was updated, or since its commit was made
// (pallets/subtensor/src/epoch/run_epoch.rs, weights in epoch_mechanism).
func (in *Inputs) weights(permits []bool, commits bool) *Matrix {
	n := in.n()
	registered := in.registered()
	m := newMatrix(n, entries(in.Weights))
	for i := range n {
		updated, committed := at(in.LastUpdate, i), uint64(NoCommit)
		if commits && i < len(in.CommitBlocks) {
			committed = in.CommitBlocks[i]
		}
		if !at(permits, i) || updated == 0 {
			m.endRow(0)
			continue
		}
		row := at(in.Weights, i)
		uids, values := m.room(len(row))
		k, total := 0, I32F32(0) // which a row is too short to bring out of range
		for _, w := range row {
			j := int(w.UID)
			if j >= n || j == i && i != in.Owner || updated <= registered[j] || committed < registered[j] {
				continue
			}
			uids[k], values[k] = w.UID, I32F32(w.Value)<<32
			total += values[k]
			k++
		}
		divideAll(values[:k], total) // math.rs, inplace_row_normalize_sparse
		m.endRow(k)
	}
	return m
}

// registered is BlockAtRegistration of all neurons.
func (in *Inputs) registered() []uint64 {
	out := make([]uint64, in.n())
	copy(out, in.BlockAtRegistration)
	return out
}

// bonds returns the bonds after the last epoch, each row in its stored order: as they are stored, or
// with one that was stored as 65535 being 1. Bonds in neurons that registered since are left out, those
// in uids that there are not any more stay in.
func (in *Inputs) bonds(lastTempo uint64, proportion bool) *Matrix {
	n := in.n()
	registered := in.registered()
	m := newMatrix(n, entries(in.Bonds))
	for i := range n {
		row := at(in.Bonds, i)
		uids, values := m.room(len(row))
		k := 0
		for _, b := range row {
			since := uint64(0)
			if int(b.UID) < n {
				since = registered[b.UID]
			}
			if lastTempo <= since {
				continue
			}
			v := I32F32(b.Value) << 32
			if proportion {
				v /= math.MaxUint16 // SafeDiv, of a whole number by another
			}
			uids[k], values[k] = b.UID, v
			k++
		}
		m.endRow(k)
	}
	return m
}

// lastTempo returns the block since which a neuron counts as new to the bonds.
func (in *Inputs) lastTempo(lastStep bool) uint64 {
	if lastStep && in.LastMechansimStepBlock != 0 {
		return saturatingAdd(in.LastMechansimStepBlock, 1)
	}
	return in.Block - min(in.Block, uint64(in.Tempo))
}

func entries(rows [][]Weight) (n int) {
	for _, row := range rows {
		n += len(row)
	}
	return n
}
