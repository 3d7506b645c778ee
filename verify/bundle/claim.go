package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/scale"
)

// A Claim is one fact that a bundle says it proves. There are those of this package and no others.
type Claim interface {
	// Kind returns the claim's step in a report: "header", "value", "made", "revealed", "lost", "equal",
	// "weights", "subnet", "epoch", "call", "included" or "pulse".
	Kind() string
	// String returns what is claimed in a few words.
	String() string

	append(b []byte) []byte
	check() error
	blocks() []uint32 // whose header is needed, ascending
	judge(j *judge) error
}

// The tags of the claims in the encoding.
const (
	tagHeader byte = iota
	tagStorage
	tagMade
	tagRevealed
	tagLost
	tagEqual
	tagPulse
	tagWeights
	tagSubnet
	tagEpoch
	tagCall
	tagIncluded
)

// A HeaderClaim says that the block with the header in the bundle is final.
type HeaderClaim struct{ Number uint32 }

// A StorageClaim says that the bundle proves the values of the keys, or their absence, in the state after
// a block. Which of them it is, the verification shows.
type StorageClaim struct {
	Number uint32
	Keys   [][]byte // ascending, each once, none empty
}

// A CommitID names a weight commitment.
type CommitID struct {
	Kind   commit.Kind
	Netuid uint16
	Mecid  uint8
	Hotkey verify.AccountID
	// Epoch is the one whose queue a timelocked commitment stands in, or that of a hash commit's entry.
	// Under rules in which hash commits have no epoch in their entry, it is the one that the chain
	// works out from the block.
	Epoch uint64
	Block uint32      // in which it was made
	Hash  verify.Hash // as committed, or of the ciphertext
}

// A MadeClaim says that the commitment stands in its queue in the state after block At, and so was made in
// its block: the chain writes that number into the entry itself.
type MadeClaim struct {
	CommitID
	At uint32 // Block or above
}

// A Reveal is what a hash commit is the hash of, besides the hotkey and the storage index.
type Reveal struct {
	UIDs, Values, Salt []uint16
	VersionKey         uint64
}

// A RevealedClaim says that what the commitment holds became the hotkey's weights in block At: see the
// package comment for what that takes.
type RevealedClaim struct {
	CommitID
	At     uint32  // above Block
	Reveal *Reveal // of hash commits, and only of these
}

// A LostClaim says that the commitment came to nothing in block At, and why. For a hash commit that is
// Expired, At is a block after which it stands in its queue though its time has passed.
type LostClaim struct {
	CommitID
	At  uint32 // above Block
	Why commit.Reason
}

// An EqualClaim says that the hotkey's weights after block At are those that the commitment holds.
type EqualClaim struct {
	CommitID
	Shown  uint32 // a block after which the commitment stands in its queue; Block or above
	At     uint32
	Reveal *Reveal // of hash commits, and only of these
}

// A PulseClaim says that the bundle holds the beacon's signature of a round.
type PulseClaim struct{ Round uint64 }

// A WeightsClaim says that the bundle proves the weights that one neuron, or each of a subnet, has set,
// after block At.
type WeightsClaim struct {
	Netuid uint16
	Mecid  uint8
	At     uint32
	UID    int32 // -1: all
}

// A SubnetClaim says that the bundle proves a subnet's parameters and all that the chain keeps for each of
// its neurons, after block At (subtensor.Snapshot).
type SubnetClaim struct {
	Netuid uint16
	At     uint32
}

// An EpochClaim says that the chain computed the Yuma epoch of a subnet in a block as its rules have it:
// every array that it stored follows from the state before the block (package epoch).
type EpochClaim struct {
	Netuid uint16
	Block  uint32
}

func (HeaderClaim) Kind() string   { return "header" }
func (StorageClaim) Kind() string  { return "value" }
func (MadeClaim) Kind() string     { return "made" }
func (RevealedClaim) Kind() string { return "revealed" }
func (LostClaim) Kind() string     { return "lost" }
func (EqualClaim) Kind() string    { return "equal" }
func (PulseClaim) Kind() string    { return "pulse" }
func (WeightsClaim) Kind() string  { return "weights" }
func (SubnetClaim) Kind() string   { return "subnet" }
func (EpochClaim) Kind() string    { return "epoch" }

func (c HeaderClaim) blocks() []uint32   { return []uint32{c.Number} }
func (c StorageClaim) blocks() []uint32  { return []uint32{c.Number} }
func (c MadeClaim) blocks() []uint32     { return []uint32{c.At} }
func (c RevealedClaim) blocks() []uint32 { return []uint32{c.At - 1, c.At} }
func (c LostClaim) blocks() []uint32 {
	if c.CommitID.Kind == commit.Hash && c.Why == commit.Expired {
		return []uint32{c.At}
	}
	return []uint32{c.At - 1, c.At}
}
func (c EqualClaim) blocks() []uint32 {
	if c.Shown == c.At {
		return []uint32{c.At}
	}
	return []uint32{min(c.Shown, c.At), max(c.Shown, c.At)}
}
func (PulseClaim) blocks() []uint32     { return nil }
func (c WeightsClaim) blocks() []uint32 { return []uint32{c.At} }
func (c SubnetClaim) blocks() []uint32  { return []uint32{c.At} }
func (c EpochClaim) blocks() []uint32   { return []uint32{c.Block - 1, c.Block} }

func (c HeaderClaim) String() string { return "block " + number(c.Number) + " is final" }
func (c StorageClaim) String() string {
	return count(len(c.Keys), "key") + " after block " + number(c.Number)
}
func (c MadeClaim) String() string { return c.CommitID.String() + ", pending after " + number(c.At) }
func (c RevealedClaim) String() string {
	return c.CommitID.String() + ", revealed in " + number(c.At)
}
func (c LostClaim) String() string {
	return c.CommitID.String() + ", lost in " + number(c.At) + ": " + c.Why.String()
}
func (c EqualClaim) String() string {
	return c.CommitID.String() + ", equal to the weights after " + number(c.At)
}
func (c PulseClaim) String() string { return "drand round " + group(c.Round) }
func (c WeightsClaim) String() string {
	if c.UID < 0 {
		return "weights of " + subnet(c.Netuid, c.Mecid) + " after block " + number(c.At)
	}
	return fmt.Sprintf("weights of uid %d on %s after block %s", c.UID, subnet(c.Netuid, c.Mecid), number(c.At))
}
func (c SubnetClaim) String() string {
	return subnet(c.Netuid, 0) + " after block " + number(c.At)
}

func (c EpochClaim) String() string {
	return "epoch of " + subnet(c.Netuid, 0) + " in block " + number(c.Block)
}

// String returns the commitment in a few words.
func (c CommitID) String() string {
	return fmt.Sprintf("%s commitment %s of %s on %s, made in %s", c.Kind, c.Hash.Short(), c.Hotkey, subnet(c.Netuid, c.Mecid), number(c.Block))
}

// maxMecid is the most mechanisms that the storage index has room for: mecid*4096 + netuid in 16 bits
// (pallets/subtensor/src/subnets/mechanism.rs).
const maxMecid = 15

func checkIndex(netuid uint16, mecid uint8) error {
	if netuid >= 4096 || mecid > maxMecid {
		return fmt.Errorf("%w: subnet %d, mechanism %d", ErrClaim, netuid, mecid)
	}
	return nil
}

func (c HeaderClaim) check() error { return nil }

func (c StorageClaim) check() error {
	if len(c.Keys) == 0 {
		return fmt.Errorf("%w: no keys", ErrForm)
	}
	for i, key := range c.Keys {
		switch {
		case len(key) == 0:
			return fmt.Errorf("key %d: %w: empty", i, ErrForm)
		case len(key) > MaxKey:
			return fmt.Errorf("key %d: %w: %d bytes, at most %d allowed", i, ErrLimit, len(key), MaxKey)
		case i > 0 && bytes.Compare(c.Keys[i-1], key) >= 0:
			return fmt.Errorf("key %d: %w: out of order, or there twice", i, ErrForm)
		}
	}
	return nil
}

func (c *CommitID) check() error {
	if c.Kind > commit.Timelocked {
		return fmt.Errorf("%w: commitment of kind %d", ErrClaim, c.Kind)
	}
	return checkIndex(c.Netuid, c.Mecid)
}

// checkReveal checks that the weights are there if the kind of commitment does not bring them.
func (c *CommitID) checkReveal(r *Reveal) error {
	if (c.Kind == commit.Hash) != (r != nil) {
		return fmt.Errorf("%w: hash commits, and no others, go with what they are the hash of", ErrClaim)
	}
	if r != nil && max(len(r.UIDs), len(r.Values), len(r.Salt)) > MaxReveal {
		return fmt.Errorf("%w: %d uids, %d values, %d numbers of salt", ErrLimit, len(r.UIDs), len(r.Values), len(r.Salt))
	}
	return nil
}

var errBeforeMade = errors.New("before the commitment was made")

func (c MadeClaim) check() error {
	if c.At < c.Block {
		return fmt.Errorf("%w: at block %d, %w", ErrClaim, c.At, errBeforeMade)
	}
	return c.CommitID.check()
}

func (c RevealedClaim) check() error {
	if c.At <= c.Block {
		return fmt.Errorf("%w: in block %d, %w", ErrClaim, c.At, errBeforeMade)
	}
	if err := c.CommitID.check(); err != nil {
		return err
	}
	return c.checkReveal(c.Reveal)
}

func (c LostClaim) check() error {
	if c.At <= c.Block {
		return fmt.Errorf("%w: in block %d, %w", ErrClaim, c.At, errBeforeMade)
	}
	if err := c.CommitID.check(); err != nil {
		return err
	}
	// A reveal by extrinsic that fails leaves its hash commit where it is: only time and the reveal of
	// a later one take it away. A timelocked one has no later reveal to fear.
	ofHash := c.Why == commit.Expired || c.Why == commit.Overtaken
	ofTimelock := c.Why > commit.Stored && c.Why <= commit.Expired
	if c.CommitID.Kind == commit.Hash && !ofHash || c.CommitID.Kind == commit.Timelocked && !ofTimelock {
		return fmt.Errorf("%w: a %s commitment lost for reason %d, %s", ErrClaim, c.CommitID.Kind, c.Why, c.Why)
	}
	return nil
}

func (c EqualClaim) check() error {
	if c.Shown < c.Block {
		return fmt.Errorf("%w: at block %d, %w", ErrClaim, c.Shown, errBeforeMade)
	}
	if err := c.CommitID.check(); err != nil {
		return err
	}
	return c.checkReveal(c.Reveal)
}

func (c PulseClaim) check() error {
	if c.Round == 0 {
		return fmt.Errorf("%w: round 0", ErrClaim)
	}
	return nil
}

func (c WeightsClaim) check() error {
	if c.UID < -1 || c.UID > 1<<16-1 {
		return fmt.Errorf("%w: uid %d", ErrClaim, c.UID)
	}
	return checkIndex(c.Netuid, c.Mecid)
}

func (c SubnetClaim) check() error { return checkIndex(c.Netuid, 0) }

func (c EpochClaim) check() error {
	if c.Block == 0 {
		return fmt.Errorf("%w: an epoch in the genesis block", ErrClaim)
	}
	return checkIndex(c.Netuid, 0)
}

func appendU32(b []byte, v uint32) []byte { return scale.AppendCompact(b, uint64(v)) }

func (c HeaderClaim) append(b []byte) []byte { return appendU32(append(b, tagHeader), c.Number) }

func (c StorageClaim) append(b []byte) []byte {
	b = appendU32(append(b, tagStorage), c.Number)
	b = scale.AppendCompact(b, uint64(len(c.Keys)))
	for _, key := range c.Keys {
		b = scale.AppendBlob(b, key)
	}
	return b
}

func (c *CommitID) append(b []byte) []byte {
	b = append(b, byte(c.Kind))
	b = scale.AppendCompact(b, uint64(c.Netuid))
	b = append(b, c.Mecid)
	b = append(b, c.Hotkey[:]...)
	b = scale.AppendCompact(b, c.Epoch)
	b = appendU32(b, c.Block)
	return append(b, c.Hash[:]...)
}

// append writes nothing for no reveal: that there is one follows from the kind of the commitment.
func (r *Reveal) append(b []byte) []byte {
	if r == nil {
		return b
	}
	for _, list := range [][]uint16{r.UIDs, r.Values, r.Salt} {
		b = scale.AppendCompact(b, uint64(len(list)))
		for _, v := range list {
			b = scale.AppendU16(b, v)
		}
	}
	return scale.AppendU64(b, r.VersionKey)
}

func (c MadeClaim) append(b []byte) []byte {
	return appendU32(c.CommitID.append(append(b, tagMade)), c.At)
}

func (c RevealedClaim) append(b []byte) []byte {
	return c.Reveal.append(appendU32(c.CommitID.append(append(b, tagRevealed)), c.At))
}

func (c LostClaim) append(b []byte) []byte {
	return append(appendU32(c.CommitID.append(append(b, tagLost)), c.At), byte(c.Why))
}

func (c EqualClaim) append(b []byte) []byte {
	b = appendU32(c.CommitID.append(append(b, tagEqual)), c.Shown)
	return c.Reveal.append(appendU32(b, c.At))
}

func (c PulseClaim) append(b []byte) []byte {
	return scale.AppendCompact(append(b, tagPulse), c.Round)
}

func (c WeightsClaim) append(b []byte) []byte {
	b = scale.AppendCompact(append(b, tagWeights), uint64(c.Netuid))
	b = appendU32(append(b, c.Mecid), c.At)
	if c.UID < 0 {
		return scale.AppendBool(b, false)
	}
	return scale.AppendCompact(scale.AppendBool(b, true), uint64(c.UID))
}

func (c SubnetClaim) append(b []byte) []byte {
	return appendU32(scale.AppendCompact(append(b, tagSubnet), uint64(c.Netuid)), c.At)
}

func (c EpochClaim) append(b []byte) []byte {
	return appendU32(scale.AppendCompact(append(b, tagEpoch), uint64(c.Netuid)), c.Block)
}

func (c CallClaim) append(b []byte) []byte {
	b = appendU32(append(b, tagCall), c.Number)
	b = scale.AppendBlob(b, []byte(c.Method))
	b = scale.AppendBlob(b, c.Input)
	b = append(b, c.Code[:]...)
	return scale.AppendBlob(b, c.Output)
}

func (r *reader) claim() Claim {
	switch tag := r.Byte(); tag {
	case tagHeader:
		return HeaderClaim{r.u32()}
	case tagStorage:
		return r.storageClaim()
	case tagMade:
		return MadeClaim{r.commitID(), r.u32()}
	case tagRevealed:
		c := RevealedClaim{CommitID: r.commitID(), At: r.u32()}
		c.Reveal = r.reveal(c.CommitID.Kind)
		return c
	case tagLost:
		return LostClaim{r.commitID(), r.u32(), commit.Reason(r.Byte())}
	case tagEqual:
		c := EqualClaim{CommitID: r.commitID(), Shown: r.u32(), At: r.u32()}
		c.Reveal = r.reveal(c.CommitID.Kind)
		return c
	case tagPulse:
		return PulseClaim{r.Compact()}
	case tagWeights:
		c := WeightsClaim{r.u16(), r.Byte(), r.u32(), -1}
		if r.Bool() {
			c.UID = int32(r.u16())
		}
		return c
	case tagSubnet:
		return SubnetClaim{r.u16(), r.u32()}
	case tagEpoch:
		return EpochClaim{r.u16(), r.u32()}
	case tagCall:
		c := CallClaim{Number: r.u32(), Method: string(r.Blob(MaxMethod)), Input: r.Blob(MaxInput)}
		r.Copy(c.Code[:])
		c.Output = r.Blob(MaxOutput)
		return c
	case tagIncluded:
		return r.includedClaim()
	default:
		if r.Err() == nil {
			r.Fail(fmt.Errorf("%w: tag %d", ErrForm, tag))
		}
		return nil
	}
}

func (r *reader) storageClaim() Claim {
	c := StorageClaim{Number: r.u32()}
	// A key takes two bytes of input at least, and 24 of memory: the whole bundle has a limit.
	n := r.Count(2, MaxKeys-r.keys)
	if r.keys += n; n > 0 {
		c.Keys = make([][]byte, n)
	}
	for i := range c.Keys {
		c.Keys[i] = r.Blob(MaxKey)
	}
	return c
}

func (r *reader) commitID() CommitID {
	c := CommitID{Kind: commit.Kind(r.Byte()), Netuid: r.u16(), Mecid: r.Byte()}
	r.Copy(c.Hotkey[:])
	c.Epoch, c.Block = r.Compact(), r.u32()
	r.Copy(c.Hash[:])
	return c
}

func (r *reader) reveal(kind commit.Kind) *Reveal {
	if kind != commit.Hash {
		return nil
	}
	v := new(Reveal)
	for _, list := range []*[]uint16{&v.UIDs, &v.Values, &v.Salt} {
		if n := r.Count(2, MaxReveal); n > 0 {
			*list = make([]uint16, n)
		}
		for i := range *list {
			(*list)[i] = r.U16()
		}
	}
	v.VersionKey = r.U64()
	return v
}

// sortClaims returns the claims in the order of their encoding, each once.
func sortClaims(claims []Claim) []Claim {
	sorted := slices.Clone(claims)
	slices.SortFunc(sorted, func(a, b Claim) int { return bytes.Compare(a.append(nil), b.append(nil)) })
	return slices.CompactFunc(sorted, func(a, b Claim) bool { return bytes.Equal(a.append(nil), b.append(nil)) })
}
