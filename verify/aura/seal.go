package aura

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
)

// Errors of header verification.
var (
	// ErrSlot: the slot is missing, given twice, malformed, or not after the parent's.
	ErrSlot = errors.New("bad slot")
	// ErrSeal: the seal is missing, malformed, or not the signature of the slot's author.
	ErrSeal = errors.New("bad seal")
	// ErrFuture: the slot lies further ahead of the clock than clocks are allowed to differ.
	ErrFuture = errors.New("slot in the future")
	// ErrParent: the header given as the parent is not this header's parent.
	ErrParent = errors.New("not the parent")
)

// Tolerance is how far a slot may lie ahead of our clock, in milliseconds. Two honest clocks differ;
// 30 s is what the chain's other light client allows.
const Tolerance = 30_000

// signingContext is the label under which Substrate signs with sr25519.
const signingContext = "substrate"

// Slot returns the slot number of h, from the one pre-runtime item that a header must have.
// The slot times the slot duration is the block's time in Unix milliseconds.
//
// It returns verify.ErrUnknownEngine for a digest item of an engine this version does not know:
// such a block is not one that Aura's rules decide.
func Slot(h *verify.Header) (uint64, error) {
	if err := h.CheckEngines(); err != nil {
		return 0, err
	}
	var slot uint64
	found := false
	for i := range h.Digest {
		it := &h.Digest[i]
		if it.Type != verify.DigestPreRuntime {
			continue
		}
		if found {
			return 0, fmt.Errorf("header %d: digest item %d: %w: second pre-runtime item", h.Number, i, ErrSlot)
		}
		if len(it.Data) != 8 {
			return 0, fmt.Errorf("header %d: digest item %d: %w: %d bytes", h.Number, i, ErrSlot, len(it.Data))
		}
		slot, found = binary.LittleEndian.Uint64(it.Data), true
	}
	if !found {
		return 0, fmt.Errorf("header %d: %w: no pre-runtime item", h.Number, ErrSlot)
	}
	return slot, nil
}

// Keys are an authority list for many headers: each key is decompressed once, when it is first
// needed, which is a fifth of what a seal costs. Not safe for concurrent use.
type Keys struct {
	list   []AuthorityID
	parsed []*sr25519.PublicKey // nil: not yet, or no point of the group
}

// NewKeys returns the keys of a list. A key that is no point of the group spoils the seals of its own
// slots and no others.
func NewKeys(list []AuthorityID) *Keys {
	return &Keys{list, make([]*sr25519.PublicKey, len(list))}
}

// List returns the authorities; it must not be changed.
func (k *Keys) List() []AuthorityID { return k.list }

func (k *Keys) key(i int) (*sr25519.PublicKey, error) {
	if k.parsed[i] == nil {
		key := new(sr25519.PublicKey)
		if err := key.UnmarshalBinary(k.list[i][:]); err != nil {
			return nil, err
		}
		k.parsed[i] = key
	}
	return k.parsed[i], nil
}

// VerifySeal is Keys.VerifySeal for a single header.
func VerifySeal(h *verify.Header, authorities []AuthorityID) (author int, err error) {
	return NewKeys(authorities).VerifySeal(h)
}

// VerifySeal checks that the authority whose turn the slot is, number slot mod n of the list, signed
// h, and returns its index. The list is the one valid at the parent of h: a list that h announces is
// for its children.
//
// The signature is sr25519 over the Blake2b-256 hash of the header without its seal. Of all errors,
// verify.ErrUnknownEngine too comes before any signature: it is no more than the sender's word.
func (k *Keys) VerifySeal(h *verify.Header) (author int, err error) {
	slot, err := Slot(h)
	if err != nil {
		return 0, err
	}
	if len(k.list) == 0 {
		return 0, fmt.Errorf("header %d: %w: empty list", h.Number, ErrAuthorities)
	}
	author = int(slot % uint64(len(k.list)))
	for i := range h.Digest {
		if h.Digest[i].Type == verify.DigestSeal && i != len(h.Digest)-1 {
			return 0, fmt.Errorf("header %d: digest item %d: %w: not the last item", h.Number, i, ErrSeal)
		}
	}
	seal := h.Seal()
	if seal == nil {
		return 0, fmt.Errorf("header %d: %w: missing", h.Number, ErrSeal)
	}
	var sig sr25519.Signature
	if err := sig.UnmarshalBinary(seal.Data); err != nil {
		return 0, fmt.Errorf("header %d: %w: malformed signature of %d bytes", h.Number, ErrSeal, len(seal.Data))
	}
	key, err := k.key(author)
	if err != nil {
		return 0, fmt.Errorf("header %d: %w: authority %d is not a public key", h.Number, ErrAuthorities, author)
	}
	hash := h.PreSealHash()
	if !key.Verify(sr25519.NewSigningContext([]byte(signingContext)).NewTranscriptBytes(hash[:]), &sig) {
		return 0, fmt.Errorf("header %d: %w: not the signature of authority %d, whose slot %d is", h.Number, ErrSeal, author, slot)
	}
	return author, nil
}

// A Clock is what the future check needs to know. Both are in milliseconds; Now is Unix time, and 0
// says that no trusted clock is there, which leaves the check out. SlotDuration is 12,000 on
// finney (AuraApi_slot_duration).
type Clock struct {
	SlotDuration uint64
	Now          uint64
}

// check returns ErrFuture if slot begins later than Tolerance from now.
func (c Clock) check(slot uint64) error {
	if c.Now == 0 {
		return nil
	}
	if c.SlotDuration == 0 {
		return fmt.Errorf("%w: slot %d cannot be compared with a clock: slot duration is 0", ErrFuture, slot)
	}
	limit := uint64(math.MaxUint64)
	if c.Now <= limit-Tolerance {
		limit = c.Now + Tolerance
	}
	if last := limit / c.SlotDuration; slot > last {
		return fmt.Errorf("%w: slot %d, at most %d now", ErrFuture, slot, last)
	}
	return nil
}

// VerifyHeader checks everything that authorship demands of h: that parent is its parent by hash
// and number, that its slot is later than the parent's (a genesis has none) and not in the future,
// and its seal. authorities is the list valid at the parent.
func VerifyHeader(h, parent *verify.Header, authorities []AuthorityID, c Clock) error {
	return NewKeys(authorities).VerifyHeader(h, parent, c)
}

// VerifyHeader is the function of that name for a list that many headers are checked against.
func (k *Keys) VerifyHeader(h, parent *verify.Header, c Clock) error {
	// The cheap checks come first: a forger should not get a signature verification for free.
	if h.Number != parent.Number+1 || h.Number == 0 {
		return fmt.Errorf("header %d: %w: it has number %d", h.Number, ErrParent, parent.Number)
	}
	slot, err := Slot(h)
	if err != nil {
		return err
	}
	if parent.Number != 0 {
		before, err := Slot(parent)
		if err != nil {
			return fmt.Errorf("parent: %w", err)
		}
		if slot <= before {
			return fmt.Errorf("header %d: %w: slot %d is not after the parent's %d", h.Number, ErrSlot, slot, before)
		}
	}
	if err := c.check(slot); err != nil {
		return fmt.Errorf("header %d: %w", h.Number, err)
	}
	if hash := parent.Hash(); hash != h.ParentHash {
		return fmt.Errorf("header %d: %w: it has hash %v, not %v", h.Number, ErrParent, hash, h.ParentHash)
	}
	_, err = k.VerifySeal(h)
	return err
}
