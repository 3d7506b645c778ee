package subtensor

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
)

// Bounds of the decoders. None is so low that a value of the chain could meet it by the rules it was
// written under; with them a decoded value takes at most twice the memory of its encoding.
const (
	// MaxByUID bounds what has one entry for each uid, which is a u16: weights of one neuron, and the
	// vectors by uid.
	MaxByUID = 1 << 16
	// MaxHashCommits bounds a queue of hash commits. The chain refuses an eleventh
	// (pallets/subtensor/src/subnets/weights.rs, do_commit_weights).
	MaxHashCommits = 64
	// MaxTimelockedCommits bounds a queue of timelocked commits. The chain takes ten from each hotkey
	// and has no bound on the hotkeys of an epoch, which may be more than there are uids.
	MaxTimelockedCommits = 1 << 16
	// MaxCiphertext is the most bytes of a timelocked commit (MAX_CRV3_COMMIT_SIZE_BYTES).
	MaxCiphertext = 5000
	// MaxRelations bounds the children or parents of a hotkey. It can have five children, and be a
	// child of any number of hotkeys.
	MaxRelations = 1 << 16
	// relationsEach bounds the children and parents of many hotkeys together (ReadStakes): so many for each
	// of them, or of 64. One value may stand under the keys of all.
	relationsEach = 32
)

// finish returns the error of r, which was on a value of item, as ErrLayout.
func finish(item string, r *scale.Reader) error {
	if err := r.Finish(); err != nil {
		return fmt.Errorf("%s: %w: %w", item, ErrLayout, err)
	}
	return nil
}

// decode reads the whole of a value as a sequence of at most max elements of at least size bytes.
func decode[T any](item string, b []byte, size, max int, read func(*scale.Reader) T) ([]T, error) {
	r := scale.NewReader(b)
	out := sequence(r, size, max, read)
	if err := finish(item, r); err != nil {
		return nil, err
	}
	return out, nil
}

func sequence[T any](r *scale.Reader, size, max int, read func(*scale.Reader) T) []T {
	out := make([]T, r.Count(size, max))
	for i := range out {
		if out[i] = read(r); r.Err() != nil {
			return nil
		}
	}
	return out
}

// A Weight is one entry of a row of weights or of bonds: the uid of whom it is for, and how much.
type Weight struct{ UID, Value uint16 }

func readWeight(r *scale.Reader) Weight { return Weight{UID: r.U16(), Value: r.U16()} }

// DecodeWeights decodes a row of Weights or Bonds.
func DecodeWeights(b []byte) ([]Weight, error) { return decode("Weights", b, 4, MaxByUID, readWeight) }

// AppendWeights appends the encoding of a row of Weights or Bonds.
func AppendWeights(b []byte, row []Weight) []byte {
	b = scale.AppendCompact(b, uint64(len(row)))
	for _, w := range row {
		b = scale.AppendU16(scale.AppendU16(b, w.UID), w.Value)
	}
	return b
}

// A HashCommit is one entry of WeightCommits. What the chain keeps with the hash depends on its rules:
// with StatefulEpochs the epoch and the block of the commit, without them the block and the blocks
// between which it can be revealed, from which yuma.LegacyEpoch has the epoch.
type HashCommit struct {
	Hash  verify.Hash // as commit.HashOf
	Epoch uint64      // the look-ahead epoch of the commit; 0 without StatefulEpochs
	Block uint64      // the block of the commit
	First uint64      // first block to reveal it in; 0 with StatefulEpochs
	Last  uint64      // last block to reveal it in; with StatefulEpochs a field that nothing reads, 0
}

// DecodeHashCommits decodes a value of WeightCommits under the rules of the runtime that wrote it, or
// that moved it to a new layout when it took over (migrate_dynamic_tempo.rs).
func DecodeHashCommits(b []byte, r rules.Set) ([]HashCommit, error) {
	return decode("WeightCommits", b, 56, MaxHashCommits, func(in *scale.Reader) (c HashCommit) {
		in.Copy(c.Hash[:])
		if r.StatefulEpochs {
			c.Epoch, c.Block, c.Last = in.U64(), in.U64(), in.U64()
		} else {
			c.Block, c.First, c.Last = in.U64(), in.U64(), in.U64()
		}
		return c
	})
}

// AppendHashCommits appends the encoding of a value of WeightCommits.
func AppendHashCommits(b []byte, queue []HashCommit, r rules.Set) []byte {
	b = scale.AppendCompact(b, uint64(len(queue)))
	for _, c := range queue {
		b = append(b, c.Hash[:]...)
		fields := [3]uint64{c.Block, c.First, c.Last}
		if r.StatefulEpochs {
			fields = [3]uint64{c.Epoch, c.Block, c.Last}
		}
		for _, v := range fields {
			b = scale.AppendU64(b, v)
		}
	}
	return b
}

// A TimelockedCommit is one entry of TimelockedWeightCommits.
type TimelockedCommit struct {
	Hotkey     verify.AccountID // who committed
	Block      uint64           // in which block
	Ciphertext []byte           // as in package tlock; the chain has not looked at it
	Round      uint64           // of the drand pulse that opens it
}

// Hash returns the hash by which the chain's event TimelockedWeightsCommitted names the commit.
func (c TimelockedCommit) Hash() verify.Hash { return verify.Blake2b256(c.Ciphertext) }

// DecodeTimelockedCommits decodes a value of TimelockedWeightCommits. The ciphertexts alias b.
func DecodeTimelockedCommits(b []byte) ([]TimelockedCommit, error) {
	const least = 32 + 8 + 1 + 8
	return decode("TimelockedWeightCommits", b, least, MaxTimelockedCommits, func(r *scale.Reader) (c TimelockedCommit) {
		r.Copy(c.Hotkey[:])
		c.Block, c.Ciphertext, c.Round = r.U64(), r.Blob(MaxCiphertext), r.U64()
		return c
	})
}

// AppendTimelockedCommits appends the encoding of a value of TimelockedWeightCommits.
func AppendTimelockedCommits(b []byte, queue []TimelockedCommit) []byte {
	b = scale.AppendCompact(b, uint64(len(queue)))
	for _, c := range queue {
		b = scale.AppendU64(append(b, c.Hotkey[:]...), c.Block)
		b = scale.AppendU64(scale.AppendBlob(b, c.Ciphertext), c.Round)
	}
	return b
}

// A Relation is one entry of ChildKeys or ParentKeys: the other hotkey, and the proportion of the
// parent's stake that goes to the child, of 2^64-1.
type Relation struct {
	Proportion uint64
	Hotkey     verify.AccountID
}

func readRelation(r *scale.Reader) (c Relation) {
	c.Proportion = r.U64()
	r.Copy(c.Hotkey[:])
	return c
}

// DecodeRelations decodes a value of ChildKeys or ParentKeys.
func DecodeRelations(b []byte) ([]Relation, error) {
	return decode("ChildKeys or ParentKeys", b, 40, MaxRelations, readRelation)
}

// AppendRelations appends the encoding of a value of ChildKeys or ParentKeys.
func AppendRelations(b []byte, list []Relation) []byte {
	b = scale.AppendCompact(b, uint64(len(list)))
	for _, c := range list {
		b = append(scale.AppendU64(b, c.Proportion), c.Hotkey[:]...)
	}
	return b
}

// A RuntimeUpgrade is the version of the runtime as the chain notes it (System.LastRuntimeUpgrade):
// that of the runtime which executed the block, in the state after it.
type RuntimeUpgrade struct {
	SpecVersion uint32
	SpecName    string
}

// maxSpecName bounds a name, which the chain does not; its own is "node-subtensor".
const maxSpecName = 256

// DecodeRuntimeUpgrade decodes a value of System.LastRuntimeUpgrade.
func DecodeRuntimeUpgrade(b []byte) (u RuntimeUpgrade, err error) {
	r := scale.NewReader(b)
	spec := r.Compact()
	if spec>>32 != 0 {
		r.Fail(fmt.Errorf("%w: spec_version %d", scale.ErrRange, spec))
	}
	u = RuntimeUpgrade{SpecVersion: uint32(spec), SpecName: string(r.Blob(maxSpecName))}
	if err := finish("LastRuntimeUpgrade", r); err != nil {
		return RuntimeUpgrade{}, err
	}
	return u, nil
}

// Append appends the encoding of u.
func (u RuntimeUpgrade) Append(b []byte) []byte {
	return scale.AppendBlob(scale.AppendCompact(b, uint64(u.SpecVersion)), []byte(u.SpecName))
}
