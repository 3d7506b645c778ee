package grandpa

import (
	"errors"
	"fmt"
	"math"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// ErrUnsupportedChange: a header announces a change of authorities that this version does not
// follow: one with a delay, a forced one, a pause or a resume, two at once, or an unknown log.
// Finality cannot be followed past it without a new checkpoint.
var ErrUnsupportedChange = errors.New("change of authorities that cannot be followed")

// A Change is the authority set that a header announces.
type Change struct {
	Next  []Authority
	Delay uint32 // blocks; always 0 here
}

// The consensus log of the engine "FRNK" (sp_consensus_grandpa::ConsensusLog), by its tag.
const (
	logScheduledChange = 1 // Vec<([32], u64)> | delay u32
	logForcedChange    = 2 // median_last_finalized u32 | Vec<([32], u64)> | delay u32
	logOnDisabled      = 3 // u64
	logPause           = 4 // u32
	logResume          = 5 // u32
)

// ScheduledChange returns the change that h announces, or nil if it announces none. The set applies
// to the children of h: h itself is still finalized by the old one.
//
// It returns ErrUnsupportedChange as that error says, ErrAuthorities for a list that cannot vote,
// and verify.ErrUnknownEngine for a digest item of an engine this version does not know.
func ScheduledChange(h *verify.Header) (*Change, error) {
	if err := h.CheckEngines(); err != nil {
		return nil, err
	}
	var change *Change
	for i := range h.Digest {
		it := &h.Digest[i]
		if it.Type != verify.DigestConsensus || it.Engine != verify.EngineGrandpa {
			continue
		}
		c, err := decodeLog(it.Data)
		switch {
		case err != nil:
			return nil, fmt.Errorf("header %d: digest item %d: %w", h.Number, i, err)
		case c == nil:
		case change != nil:
			return nil, fmt.Errorf("header %d: digest item %d: %w: second change in one header", h.Number, i, ErrUnsupportedChange)
		default:
			change = c
		}
	}
	return change, nil
}

func decodeLog(b []byte) (*Change, error) {
	r := scale.NewReader(b)
	tag := r.Byte()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("GRANDPA log: %w", err)
	}
	switch tag {
	case logScheduledChange:
		c := &Change{Next: ReadAuthorities(r), Delay: r.U32()}
		if err := r.Finish(); err != nil {
			return nil, fmt.Errorf("scheduled change: %w", err)
		}
		if c.Delay != 0 {
			return nil, fmt.Errorf("%w: delay of %d blocks", ErrUnsupportedChange, c.Delay)
		}
		if err := checkAuthorities(c.Next); err != nil {
			return nil, fmt.Errorf("scheduled change: %w", err)
		}
		return c, nil
	case logOnDisabled:
		// Advice to one voter; it changes no set.
		r.U64()
		if err := r.Finish(); err != nil {
			return nil, fmt.Errorf("disabled authority: %w", err)
		}
		return nil, nil
	case logForcedChange:
		return nil, fmt.Errorf("%w: forced change", ErrUnsupportedChange)
	case logPause:
		return nil, fmt.Errorf("%w: pause", ErrUnsupportedChange)
	case logResume:
		return nil, fmt.Errorf("%w: resume", ErrUnsupportedChange)
	}
	return nil, fmt.Errorf("%w: unknown log %d", ErrUnsupportedChange, tag)
}

// Advance returns the set that finalizes the children of h, once h is final under from: from itself,
// or, if h announces a change, the announced list under the next set id.
func Advance(from AuthoritySet, h *verify.Header) (AuthoritySet, error) {
	c, err := ScheduledChange(h)
	if err != nil || c == nil {
		return from, err
	}
	return from.next(c)
}

func (s AuthoritySet) next(c *Change) (AuthoritySet, error) {
	if s.ID == math.MaxUint64 {
		return s, fmt.Errorf("%w: set id would overflow", ErrUnsupportedChange)
	}
	return AuthoritySet{ID: s.ID + 1, Authorities: c.Next}, nil
}
