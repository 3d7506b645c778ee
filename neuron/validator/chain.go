package validator

import (
	"context"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// A Duty is what the power level leaves of the loop.
type Duty uint8

// The duties.
const (
	DutyAll       Duty = iota // ask miners all the time, set weights when that may be
	DutyDeadlines             // only what is due before the subnet takes us for inactive, or a reveal that would be missed
	DutyNone                  // nothing: the node is parked
)

func (d Duty) String() string {
	switch d {
	case DutyAll:
		return "all"
	case DutyDeadlines:
		return "deadlines"
	}
	return "none"
}

// A Head is the newest finalized block, and what the node may be asked for now.
type Head struct {
	Number uint32
	Duty   Duty
}

// A View is what the chain has of our hotkey and its subnet after a finalized block, all of it proven.
type View struct {
	Block uint32
	Time  uint64        // Timestamp.Now, milliseconds
	Slot  time.Duration // between two blocks
	Facts *commit.Facts
	Hyper subtensor.Hyperparameters
	Rules rules.Set

	LastUpdate uint64 // of our uid, for the mechanism
	Registered uint64 // block in which our uid was registered
	Beacon     drand.Beacon
}

// ReadView reads what a View has of the state after a block. The block's number, the beacon and the slot are the caller's to
// add.
func ReadView(s subtensor.State, netuid uint16, mecid uint8, hotkey verify.AccountID, r rules.Set) (*View, error) {
	index, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return nil, err
	}
	v := &View{Rules: r}
	if v.Facts, err = commit.ReadFacts(s, netuid, mecid, hotkey, r); err != nil {
		return nil, err
	}
	var updates []uint64
	var b subtensor.Batch
	b.Value("Now", &v.Time)
	b.Hyperparameters(netuid, &v.Hyper)
	b.Key("LastUpdate", subtensor.KeyLastUpdate(index), &updates)
	if v.Facts.Registered {
		b.Key("BlockAtRegistration", subtensor.KeyBlockAtRegistration(netuid, v.Facts.UID), &v.Registered)
	}
	if err := b.Load(s); err != nil {
		return nil, err
	}
	if v.Facts.Registered && int(v.Facts.UID) < len(updates) {
		v.LastUpdate = updates[v.Facts.UID]
	}
	return v, nil
}

// cutoff is the number of blocks after which a validator that set no weights counts as inactive
// (pallets/subtensor/src/utils/misc.rs, get_activity_cutoff_blocks).
func (v *View) cutoff() uint64 {
	if v.Rules.ActivityFactor {
		return max(1, uint64(v.Hyper.ActivityCutoffFactorMilli)*uint64(v.Hyper.Tempo)/1000)
	}
	return uint64(v.Hyper.ActivityCutoff)
}

// epochAt is the epoch of what is committed or revealed in a block, if nothing happens in between.
func (v *View) epochAt(block uint64) uint64 {
	if !v.Rules.StatefulEpochs {
		return yuma.LegacyEpoch(block, v.Facts.Netuid, v.Hyper.Tempo)
	}
	s, from := v.Facts.Schedule, uint64(v.Block)+1
	for epoch := s.LookAhead(from); ; epoch++ {
		// Tempos are of dozens of blocks and more, and a block is one ahead of the head by a few.
		first, ok := s.FirstBlockOf(epoch+1, from)
		if !ok || first > block {
			return epoch
		}
	}
}

// firstOf is the first block, above that of the view, of an epoch.
func (v *View) firstOf(epoch uint64) (uint64, bool) {
	from := uint64(v.Block) + 1
	if v.Rules.StatefulEpochs {
		return v.Facts.Schedule.FirstBlockOf(epoch, from)
	}
	if v.Hyper.Tempo == 0 {
		return 0, false
	}
	first, last := yuma.LegacyRevealWindow(epoch, 0, v.Facts.Netuid, v.Hyper.Tempo)
	return max(first, from), last >= from
}

// lastOf is the last block of an epoch.
func (v *View) lastOf(epoch uint64) (uint64, bool) {
	first, ok := v.firstOf(epoch + 1)
	return first - min(1, first), ok
}

// A Commitment is what is proven of one that our hotkey made.
type Commitment struct {
	Timelocked bool
	Hash       verify.Hash // as committed, or of the ciphertext
	Epoch      uint64
	Made       uint32 // block
	Revealed   uint32 // block; 0: not, or not that anybody saw
	Lost       bool
	Gone       bool   // it is neither pending nor is it known how it ended
	Why        string // it was lost, a word and a sentence; of a pending one, what is in its way
}

// A Chain is a light node, as the loop sees it. All it tells is proven at a finalized block.
type Chain interface {
	// Head returns the finalized head once it is above a block, and what may be done.
	Head(ctx context.Context, above uint32) (Head, error)
	View(ctx context.Context) (*View, error)
	Neurons(ctx context.Context) ([]Neuron, error)
	// Commitments returns those of our hotkey: pending ones, and those of the last reveals, as many as asked.
	Commitments(ctx context.Context, reveals int) ([]Commitment, error)
	// Prove returns a bundle that proves what became of a commitment, from its making on.
	Prove(ctx context.Context, c Commitment) ([]byte, error)
}

// A Kind is what a call does.
type Kind string

// The kinds of calls.
const (
	Set            Kind = "set"
	CommitHash     Kind = "commit hash"
	CommitTimelock Kind = "commit timelocked"
	Reveal         Kind = "reveal"
)

// A Call is one about weights.
type Call struct {
	Kind   Kind     `json:"kind"`
	UIDs   []uint16 `json:"uids"`
	Values []uint16 `json:"values"`
	Salt   []uint16 `json:"salt,omitempty"`
	// VersionKey is what the subnet asks for.
	VersionKey uint64 `json:"version_key"`
	// Commitment is the hash of a commit, or of its ciphertext; of a reveal, of what it reveals.
	Commitment verify.Hash `json:"commitment,omitzero"`
	Ciphertext []byte      `json:"ciphertext,omitempty"`
	Round      uint64      `json:"round,omitempty"`
	Scheme     uint16      `json:"scheme,omitempty"` // CommitRevealWeightsVersion
}

// A Payload is a call that is ready to be signed.
type Payload struct {
	Raw   []byte // as the Sender takes it back
	Nonce uint32
	Last  uint32 // the last block that may hold it
}

// A Tracked is what is known of a transaction that was sent.
type Tracked struct {
	Done  bool
	Block uint32 // that holds it; 0: none
	OK    bool   // it did what it should
	Line  string // in words
}

// A Sender makes, signs and sends transactions of our hotkey, by a node's peers, by gossip or by whatever carries them.
type Sender interface {
	// MaySign says why nothing may be signed now.
	MaySign() error
	Build(ctx context.Context, c *Call) (*Payload, error)
	// Sign signs a payload and returns the extrinsic. Nobody hears of it.
	Sign(ctx context.Context, raw []byte) ([]byte, error)
	// Submit sends an extrinsic; one that is known already is not sent anew. ErrRefused: the chain would not take it,
	// so that nobody was told.
	Submit(ctx context.Context, extrinsic []byte) (Tracked, error)
	// Track tells what became of one. ErrUnsent: it is not known there.
	Track(ctx context.Context, extrinsic []byte) (Tracked, error)
}

// A Store keeps records over a restart; *storage.Store is one.
type Store interface {
	Put(kind, key string, value []byte) error
	Delete(kind, key string) error
	All(kind string) map[string][]byte
	Commit() error
}
