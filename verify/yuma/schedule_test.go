package yuma

import (
	"math"
	"math/rand/v2"
	"testing"
)

const never = math.MaxUint64

// The vectors of the upstream tests (pallets/subtensor/src/tests/tempo_control.rs,
// get_next_epoch_start_block_*).
func TestNextVectors(t *testing.T) {
	for _, c := range []struct {
		last, pending uint64
		tempo         uint16
		want          uint64
	}{
		{100, 0, 0, never},
		{100, 0, 50, 150},
		{100, 120, 50, 120},
		{100, 200, 50, 150},
	} {
		s := Schedule{Tempo: c.tempo, LastEpochBlock: c.last, PendingEpochAt: c.pending}
		got, ok := s.Next(c.last + 1)
		if ok != (c.want != never) || ok && got != c.want {
			t.Errorf("Next of %+v = %d, %t, want %d", s, got, ok, c.want)
		}
	}
}

// The vectors of blocks_until_next_auto_epoch (pallets/subtensor/src/tests/emission.rs at v3.4.9), the
// last epoch being at 0. That function looks at the tempo alone: a slot comes after this many blocks,
// and earlier only by the limit on blocks without an epoch.
func TestUntilAutoVectors(t *testing.T) {
	for _, c := range []struct {
		tempo       uint16
		block, want uint64
	}{
		{0, 100, never},
		{10, 5, 5},
		{20, 15, 5},
		{30, 25, 5},
		{65535, never, 0},
		{65535, 0, 65535},
		{65535, never - 1, 0},
	} {
		s := Schedule{Tempo: c.tempo}
		got, ok := s.Next(c.block)
		if c.want == never {
			if ok || s.Due(c.block) {
				t.Errorf("tempo %d, block %d: an epoch at %d", c.tempo, c.block, got)
			}
			continue
		}
		if s.Due(c.block) != (c.want == 0) {
			t.Errorf("tempo %d, block %d: due is %t, %d blocks are left", c.tempo, c.block, s.Due(c.block), c.want)
		}
		// The state is that of the block before.
		want := c.block + min(c.want, maxTempo)
		if !ok || got != want {
			t.Errorf("tempo %d, block %d: next is %d, %t, want %d", c.tempo, c.block, got, ok, want)
		}
	}
}

// The vectors of the SDK's own simulation (bittensor-drand v2, src/epoch_schedule_vectors.rs): a
// commit included in the block after head is revealed period epochs later.
func TestRevealVectors(t *testing.T) {
	for _, c := range []struct {
		s            Schedule
		head, period uint64
		commit, want uint64
	}{
		{Schedule{Tempo: 50, LastEpochBlock: 10}, 10, 1, 0, 60},
		{Schedule{Tempo: 20, LastEpochBlock: 80, PendingEpochAt: 95}, 91, 1, 0, 95},
		{Schedule{Tempo: 50, LastEpochBlock: 100}, 120, 1, 0, 150},
		{Schedule{LastEpochBlock: 100}, 120, 1, 0, never},
	} {
		commit := c.s.LookAhead(c.head + 1)
		got, ok := c.s.FirstBlockOf(commit+c.period, c.head+1)
		if commit != c.commit || ok != (c.want != never) || ok && got != c.want {
			t.Errorf("%+v at %d: commit in epoch %d, reveal at %d, %t, want %d", c.s, c.head, commit, got, ok, c.want)
		}
	}
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     Schedule
		block uint64
		want  bool
	}{
		{"tempo 0 with everything else", Schedule{0, 0, 5, 0, 99_999}, 10, false},
		{"one before tempo", Schedule{360, 1000, 0, 7, 359}, 1359, false},
		{"at tempo, not one later", Schedule{360, 1000, 0, 7, 359}, 1360, true},
		{"deferred: pending is the next block, and tempo is over", Schedule{360, 1000, 1361, 7, 360}, 1360, true},
		{"pending ahead", Schedule{360, 1000, 1200, 7, 0}, 1199, false},
		{"pending reached", Schedule{360, 1000, 1200, 7, 0}, 1200, true},
		{"blocks without an epoch at the limit", Schedule{60_000, 1000, 0, 7, 50_400}, 51_400, false},
		{"and above", Schedule{60_000, 1000, 0, 7, 50_401}, 51_401, true},
		{"last epoch ahead of the block", Schedule{1, 1000, 0, 7, 0}, 999, false},
	} {
		if got := c.s.Due(c.block); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
		want := c.s.SubnetEpochIndex
		if c.want {
			want++
		}
		if got := c.s.LookAhead(c.block); got != want {
			t.Errorf("%s: look-ahead %d, want %d", c.name, got, want)
		}
	}
	if got := (Schedule{Tempo: 1, SubnetEpochIndex: never}).LookAhead(1); got != never {
		t.Errorf("look-ahead wraps to %d", got)
	}
}

// A chain runs a schedule block by block, as the pallet's storage would: the slow reference.
type chain struct{ tempo, last, pending, index, since uint64 }

func (c *chain) due(block uint64) bool {
	switch {
	case c.tempo == 0:
		return false
	case c.pending > 0 && block >= c.pending, c.since > 50_400:
		return true
	}
	return block > c.last && block-c.last >= c.tempo
}

// look is the epoch that reveals see at the start of the block.
func (c *chain) look(block uint64) uint64 {
	if c.due(block) {
		return c.index + 1
	}
	return c.index
}

// run is the scheduler of the block.
func (c *chain) run(block uint64) bool {
	c.since++
	if !c.due(block) {
		return false
	}
	c.since, c.last, c.pending = 0, block, 0
	c.index++
	return true
}

func TestScheduleAgainstBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := range 400 {
		from := 100_000 + uint64(r.IntN(1000))
		s := Schedule{
			Tempo:               uint16(r.IntN(60)),
			LastEpochBlock:      from - uint64(r.IntN(80)),
			SubnetEpochIndex:    uint64(r.IntN(1000)),
			BlocksSinceLastStep: uint64(r.IntN(100)),
		}
		if r.IntN(3) == 0 {
			s.PendingEpochAt = from + uint64(r.IntN(60)) - 20
		}
		if r.IntN(4) == 0 {
			s.BlocksSinceLastStep = 50_300 + uint64(r.IntN(200))
		}
		blocks := uint64(600)
		if n%40 == 0 { // the limit on blocks without an epoch, below and above the longest tempo
			s.Tempo, blocks = uint16(50_398+r.IntN(6)), 210_000
		}
		c := &chain{uint64(s.Tempo), s.LastEpochBlock, s.PendingEpochAt, s.SubnetEpochIndex, s.BlocksSinceLastStep}
		first := map[uint64]uint64{} // epoch → first block that looks ahead to it
		fired := uint64(0)
		step := s
		for b := from; b < from+blocks; b++ {
			if epoch := c.look(b); first[epoch] == 0 {
				first[epoch] = b
			}
			ran := c.run(b)
			if ran && fired == 0 {
				fired = b
			}
			var did bool
			if step, did = step.Step(b); did != ran || step != (Schedule{s.Tempo, c.last, c.pending, c.index, c.since}) {
				t.Fatalf("%+v from %d: Step at %d gives %+v, %t, want %+v, %t", s, from, b, step, did, *c, ran)
			}
		}
		got, ok := s.Next(from)
		if ok != (s.Tempo != 0) || fired != 0 && got != fired || fired == 0 && ok && got < from+blocks {
			t.Fatalf("%+v: Next(%d) = %d, %t, want %d", s, from, got, ok, fired)
		}
		for epoch := s.SubnetEpochIndex - min(s.SubnetEpochIndex, 2); epoch < c.index+1; epoch++ {
			got, ok := s.FirstBlockOf(epoch, from)
			if want, found := first[epoch]; ok != found || got != want {
				t.Fatalf("%+v: FirstBlockOf(%d, %d) = %d, %t, want %d, %t", s, epoch, from, got, ok, want, found)
			}
		}
	}
}

// Far epochs and the end of numbers: no loop by the distance, no wrapped block.
func TestFirstBlockOfFar(t *testing.T) {
	s := Schedule{Tempo: 360, LastEpochBlock: 1000, SubnetEpochIndex: 5}
	if got, ok := s.FirstBlockOf(5+1_000_000_000, 1001); !ok || got != 1000+360*1_000_000_000 {
		t.Errorf("an epoch far ahead is at %d, %t", got, ok)
	}
	for _, epoch := range []uint64{never, never - 1, never / 2} {
		if got, ok := s.FirstBlockOf(epoch, 1001); ok {
			t.Errorf("epoch %d is at %d", epoch, got)
		}
	}
	for _, s := range []Schedule{
		{Tempo: 1, LastEpochBlock: never, PendingEpochAt: never, SubnetEpochIndex: never, BlocksSinceLastStep: never},
		{Tempo: 65535, LastEpochBlock: never - 1, SubnetEpochIndex: 3},
		{Tempo: 1, LastEpochBlock: never - 3, SubnetEpochIndex: 3},
	} {
		for _, from := range []uint64{0, never - 2, never} {
			for _, epoch := range []uint64{0, 4, 9, never} {
				got, ok := s.FirstBlockOf(epoch, from)
				if ok && got < from {
					t.Errorf("%+v: FirstBlockOf(%d, %d) = %d", s, epoch, from, got)
				}
			}
			if got, ok := s.Next(from); ok && got < from {
				t.Errorf("%+v: Next(%d) = %d", s, from, got)
			}
		}
	}
}

// The vectors of blocks_until_next_epoch (pallets/subtensor/src/tests/emission.rs at v3.4.7).
func TestLegacyNextVectors(t *testing.T) {
	for _, c := range []struct {
		netuid, tempo uint16
		block, want   uint64
	}{
		{1, 0, 100, never},
		{1, 10, 5, 3},
		{2, 20, 15, 2},
		{3, 30, 25, 1},
		{65535, 65535, never, 0},
		{65535, 65535, 0, 65535},
		{65535, 65535, never - 1, 1},
		{1, 10, 9, 10},
		{2, 20, 21, 17},
		{2, 10, 5, 2},
		{3, 10, 5, 1},
		{1, 65534, 100, 65535 - 103},
	} {
		if got := LegacyDue(c.block, c.netuid, c.tempo); got != (c.want == 0) {
			t.Errorf("netuid %d, tempo %d, block %d: due is %t", c.netuid, c.tempo, c.block, got)
		}
		got, ok := LegacyNext(c.block, c.netuid, c.tempo)
		if ok != (c.want != never) || ok && got-c.block != c.want {
			t.Errorf("netuid %d, tempo %d, block %d: next at %d, %t, want in %d", c.netuid, c.tempo, c.block, got, ok, c.want)
		}
	}
	// Wrapped, as in the upstream test; the block would be past the end of numbers.
	if n, ok := legacyUntil(never, 1, 10); !ok || n != 9 {
		t.Errorf("at the last block %d are left", n)
	}
	if n, ok := legacyUntil(never-1, 1, 10); !ok || n != 10 {
		t.Errorf("one before the last block %d are left", n)
	}
	if got, ok := LegacyNext(never, 1, 10); ok {
		t.Errorf("an epoch after the last block, at %d", got)
	}
}

// TestLegacyEpochs: an epoch begins one block after an epoch has run; the reveal window is the blocks
// of the epoch period later, and no other.
func TestLegacyEpochs(t *testing.T) {
	for _, c := range []struct{ netuid, tempo uint16 }{{0, 360}, {7, 360}, {7, 99}, {300, 20}, {1, 1}, {5, 0}} {
		before := LegacyEpoch(9_999, c.netuid, c.tempo)
		for block := uint64(10_000); block < 12_000; block++ {
			epoch := LegacyEpoch(block, c.netuid, c.tempo)
			if c.tempo != 0 && (epoch != before) != LegacyDue(block-1, c.netuid, c.tempo) {
				t.Fatalf("netuid %d, tempo %d: epoch %d at block %d, %d before", c.netuid, c.tempo, epoch, block, before)
			}
			before = epoch
			commit := LegacyEpoch(10_000, c.netuid, c.tempo)
			for _, period := range []uint64{0, 1, 3} {
				first, last := LegacyRevealWindow(commit, period, c.netuid, c.tempo)
				if in := first <= block && block <= last; in != (epoch == commit+period) {
					t.Fatalf("netuid %d, tempo %d: block %d of epoch %d, window of epoch %d + %d is %d to %d", c.netuid, c.tempo, block, epoch, commit, period, first, last)
				}
			}
		}
	}
	// Saturating, as upstream.
	if first, last := LegacyRevealWindow(never, 1, 1, 360); first != never-2 || last != never {
		t.Errorf("window at the end is %d to %d", first, last)
	}
	if first, last := LegacyRevealWindow(0, 0, 7, 360); first != 0 || last != 360 {
		t.Errorf("window of epoch 0 is %d to %d", first, last)
	}
	if got := LegacyEpoch(never, 1, 0); got != never {
		t.Errorf("epoch of the last block is %d", got)
	}
}
