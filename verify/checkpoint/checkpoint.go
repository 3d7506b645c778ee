package checkpoint

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
)

// Errors of checkpoints. They come wrapped with the file's field or the rule's place.
var (
	// ErrFormat: the text is none of the forms that Parse knows.
	ErrFormat = errors.New("not a checkpoint")
	// ErrMismatch: a checkpoint contradicts itself, so nothing in it can be believed.
	ErrMismatch = errors.New("checkpoint contradicts itself")
	// ErrUnknownNetwork: no network of this name is compiled in.
	ErrUnknownNetwork = errors.New("unknown network")
	// ErrNoHeader: the header is known by its hash only and has to be fetched (Resolve).
	ErrNoHeader = errors.New("header not known yet, only its hash")
	// ErrNoSet: the GRANDPA set is known by its id only, or not at all (ResolveSet).
	ErrNoSet = errors.New("GRANDPA set not known yet")
	// ErrOlder: the checkpoint would take the node back behind what it has proven already.
	ErrOlder = errors.New("older than what is proven already")
	// ErrConflict: two checkpoints name different blocks of one height.
	ErrConflict = errors.New("conflicting block at the same height")
	// ErrOtherNetwork: the checkpoint belongs to a chain with another genesis.
	ErrOtherNetwork = errors.New("checkpoint of another network")
)

// DefaultSlotDuration is the slot of finney and test in milliseconds
// (subtensor common/src/lib.rs, prod_or_fast!(12000, 250)).
const DefaultSlotDuration = 12_000

// maxSlotDuration is our bound: a day.
const maxSlotDuration = 86_400_000

// maxText bounds names and remarks in files.
const maxText = 4096

// A Checkpoint is a block taken on trust, with what is needed to go on from it.
type Checkpoint struct {
	Network string      // "finney", "test", or the id of a chain spec
	Source  string      // who says so, in words; decides nothing
	Genesis verify.Hash // zero if the file did not say: then the caller's network has to
	Number  uint32
	Hash    verify.Hash
	Header  *verify.Header // nil until Resolve, if only the hash is known

	// Set finalizes the children of the block. With SetSigned it is the set that finalized the
	// block itself, as chain specs state it, and the change that the header announces is still
	// to be applied (Start does). Authorities are nil if only the id is known.
	Set       grandpa.AuthoritySet
	SetSigned bool

	Aura         []aura.AuthorityID // for the children of the block; nil: to be read from the state
	SlotDuration uint64             // milliseconds
	Date         string             // YYYY-MM-DD (UTC) of the block's slot; empty if the slot is not known

	// Drand is the beacon of a network that is not compiled in; nil: drand's quicknet (see Beacon).
	Drand *drand.Beacon
}

// Check returns ErrMismatch, or the error of the rule broken, unless c agrees with itself: hash and
// number are the header's, slot and seal have their form, the lists are well formed and the ones
// the header announces, and the date is that of the slot.
func (c *Checkpoint) Check() error {
	if c.SlotDuration == 0 || c.SlotDuration > maxSlotDuration {
		return fmt.Errorf("%w: slot of %d ms", ErrMismatch, c.SlotDuration)
	}
	if len(c.Network) > maxText || len(c.Source) > maxText {
		return fmt.Errorf("%w: text over %d bytes", ErrFormat, maxText)
	}
	if c.Set.Authorities != nil {
		if err := c.Set.Check(); err != nil {
			return fmt.Errorf("set %d: %w", c.Set.ID, err)
		}
	}
	if err := checkAura(c.Aura); err != nil {
		return err
	}
	if c.Number == 0 && !c.Genesis.IsZero() && c.Hash != c.Genesis {
		return fmt.Errorf("%w: block 0 has hash %v, genesis is %v", ErrMismatch, c.Hash, c.Genesis)
	}
	if err := c.checkBeacon(); err != nil {
		return err
	}
	if c.Header == nil {
		if c.Date != "" {
			return fmt.Errorf("%w: date without a header", ErrMismatch)
		}
		return nil
	}
	return c.checkHeader()
}

func (c *Checkpoint) checkHeader() error {
	h := c.Header
	if hash := h.Hash(); hash != c.Hash {
		return fmt.Errorf("%w: header has hash %v, stated is %v", ErrMismatch, hash, c.Hash)
	}
	if h.Number != c.Number {
		return fmt.Errorf("%w: header has number %d, stated is %d", ErrMismatch, h.Number, c.Number)
	}
	if date := dateOf(h, c.SlotDuration); date != c.Date {
		return fmt.Errorf("%w: slot is of %q, stated date is %q", ErrMismatch, date, c.Date)
	}
	if h.Number != 0 {
		if _, err := aura.Slot(h); err != nil {
			return err
		}
		if s := h.Seal(); s == nil || len(s.Data) != 64 {
			return fmt.Errorf("header %d: %w: want one seal of 64 bytes", h.Number, aura.ErrSeal)
		}
	} else if len(h.Digest) != 0 || !h.ParentHash.IsZero() {
		return fmt.Errorf("%w: genesis header with a digest or a parent", ErrMismatch)
	}
	list, err := aura.AuthoritiesChange(h)
	if err != nil {
		return err
	}
	if list != nil && c.Aura != nil && !slices.Equal(list, c.Aura) {
		return fmt.Errorf("%w: header announces another Aura list than stated", ErrMismatch)
	}
	change, err := grandpa.ScheduledChange(h)
	if err != nil {
		return err
	}
	if change != nil && !c.SetSigned && c.Set.Authorities != nil && !slices.Equal(change.Next, c.Set.Authorities) {
		return fmt.Errorf("%w: header announces another GRANDPA set than stated", ErrMismatch)
	}
	return nil
}

func checkAura(list []aura.AuthorityID) error {
	if list == nil {
		return nil
	}
	// The codec owns the rule (bounds, no key twice); a round trip asks it.
	if _, err := aura.DecodeAuthorities(aura.AppendAuthorities(nil, list)); err != nil {
		return err
	}
	return nil
}

// settle fills in what the header itself says and checks the whole.
func (c *Checkpoint) settle() error {
	if c.Header != nil {
		if c.Date == "" {
			c.Date = dateOf(c.Header, c.SlotDuration)
		}
		if c.Aura == nil {
			list, err := aura.AuthoritiesChange(c.Header)
			if err != nil {
				return err
			}
			c.Aura = list
		}
		if c.Set.Authorities == nil && !c.SetSigned {
			change, err := grandpa.ScheduledChange(c.Header)
			if err != nil {
				return err
			}
			if change != nil {
				c.Set.Authorities = change.Next
			}
		}
	}
	return c.Check()
}

// Resolve gives the header of a checkpoint that knew only its hash, and takes from it the lists it
// announces. A header of another hash is refused and leaves c as it was.
func (c *Checkpoint) Resolve(h *verify.Header) error {
	if h == nil {
		return ErrNoHeader
	}
	next := *c
	next.Header, next.Date = h, ""
	if err := next.settle(); err != nil {
		return err
	}
	*c = next
	return nil
}

// ResolveSet gives the authorities of a set that c knows by its id only. The caller has read them
// by proof from the state of the block (Grandpa.Authorities), after Resolve.
func (c *Checkpoint) ResolveSet(authorities []grandpa.Authority) error {
	if c.Header == nil {
		return ErrNoHeader
	}
	next := *c
	next.Set.Authorities = slices.Clone(authorities)
	if next.Set.Authorities == nil {
		return ErrNoSet
	}
	if err := next.Check(); err != nil {
		return err
	}
	*c = next
	return nil
}

// Ready returns ErrNoHeader or ErrNoSet while c cannot be started from.
func (c *Checkpoint) Ready() error {
	switch {
	case c.Header == nil:
		return fmt.Errorf("checkpoint %d %v: %w", c.Number, c.Hash.Short(), ErrNoHeader)
	case c.Set.Authorities == nil:
		return fmt.Errorf("checkpoint %d %v: set %d: %w", c.Number, c.Hash.Short(), c.Set.ID, ErrNoSet)
	}
	return nil
}

// Start returns the trust root that verification goes on from: the block, and the set that
// finalizes its descendants. It is the zero value unless c is Ready.
func (c *Checkpoint) Start() grandpa.Finalized {
	if c.Ready() != nil {
		return grandpa.Finalized{}
	}
	set := grandpa.AuthoritySet{ID: c.Set.ID, Authorities: slices.Clone(c.Set.Authorities)}
	if c.SetSigned {
		var err error
		if set, err = grandpa.Advance(set, c.Header); err != nil {
			return grandpa.Finalized{}
		}
	}
	return grandpa.Finalized{Header: c.Header, Hash: c.Hash, Set: set}
}

// State returns what is carried forward from c before anything new is proven, or the error of Ready.
func (c *Checkpoint) State() (*State, error) {
	if err := c.Ready(); err != nil {
		return nil, err
	}
	f := c.Start()
	if f.Header == nil {
		return nil, fmt.Errorf("%w: set %d cannot be advanced", ErrMismatch, c.Set.ID)
	}
	return &State{Header: f.Header, Hash: f.Hash, Set: f.Set, Aura: slices.Clone(c.Aura)}, nil
}

// FromState returns the checkpoint of the same network at a later proven state: what
// `checkpoint export` writes.
func (c *Checkpoint) FromState(s *State, source string) (*Checkpoint, error) {
	n := &Checkpoint{
		Network: c.Network, Source: source, Genesis: c.Genesis, SlotDuration: c.SlotDuration,
		Number: s.Header.Number, Hash: s.Hash, Header: s.Header,
		Set: s.Set, Aura: s.Aura, Drand: c.Drand,
	}
	if err := n.settle(); err != nil {
		return nil, err
	}
	return n, nil
}
