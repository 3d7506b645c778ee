package commit

import (
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// Window tells whether a hash commit may be revealed in block: Stored if so, else TooEarly or
// Expired. The facts are those of the state before the block.
//
// The only epoch in which it may is exactly RevealPeriod after that of the commit (is_reveal_block_range
// and is_commit_expired in pallets/subtensor/src/subnets/weights.rs). Under the rules up to spec 422
// the commit's epoch is worked out anew from its block, with the tempo and the period of now: the
// first and last block that its entry holds were never read, and are right only while neither changed.
func (f *Facts) Window(c subtensor.HashCommit, block uint64) Reason {
	epoch := c.Epoch
	if !f.Rules.StatefulEpochs {
		epoch = yuma.LegacyEpoch(c.Block, f.Netuid, f.Schedule.Tempo)
	}
	return within(f.Epoch(block), epoch, f.RevealPeriod)
}

// within places the present epoch to that in which a commitment of epoch is revealed.
func within(now, epoch, period uint64) Reason {
	due := epoch + period
	if due < epoch {
		due = 1<<64 - 1 // the chain's addition saturates
	}
	switch {
	case now < due:
		return TooEarly
	case now > due:
		return Expired
	}
	return Stored
}

// Gone tells why a hash commit of the queue before a block is no longer in the queue after it, given
// what Window says of it for that block:
//
//   - Expired: its window has passed. The next commitment or reveal of the hotkey swept it away.
//   - Stored: it was the last of those that left the queue, so it was revealed: its weights were put
//     through Judge, and passed.
//   - Overtaken: one behind it in the queue left too. A reveal takes away all that stand before what it
//     reveals. (That both were revealed one by one, or by batch_reveal_weights, gives the same two
//     queues; the weights of the last remain either way.)
//   - Unknown: it is still there, or was not there before, or its window is not open, so that these
//     are not the queues of one block.
//
// Entries of the same hash are told apart by their block. Where the chain dissolves a subnet or a
// hotkey is swapped, queues vanish without a reveal; Gone does not see that.
func Gone(before, after []subtensor.HashCommit, c subtensor.HashCommit, window Reason) Reason {
	same := func(hash verify.Hash, block uint64) func(subtensor.HashCommit) bool {
		return func(o subtensor.HashCommit) bool { return o.Hash == hash && o.Block == block }
	}
	at := slices.IndexFunc(before, same(c.Hash, c.Block))
	if at < 0 || slices.ContainsFunc(after, same(c.Hash, c.Block)) {
		return Unknown
	}
	if window != Stored {
		if window == Expired {
			return Expired
		}
		return Unknown
	}
	for _, o := range before[at+1:] {
		if !slices.ContainsFunc(after, same(o.Hash, o.Block)) {
			return Overtaken
		}
	}
	return Stored
}
