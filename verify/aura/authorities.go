package aura

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// MaxAuthorities is our bound on a list of authorities. The chain's own is 32
// (subtensor runtime/src/lib.rs, pallet_aura MaxAuthorities).
const MaxAuthorities = 1024

// ErrAuthorities: a list of Aura authorities is malformed, empty, or names a key twice, or a header
// announces more than one.
var ErrAuthorities = errors.New("bad Aura authorities")

// An AuthorityID is the sr25519 public key of a block author.
type AuthorityID [32]byte

// String returns id as 0x and 64 lower-case hex digits.
func (id AuthorityID) String() string { return "0x" + hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id AuthorityID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; 0x is optional.
func (id *AuthorityID) UnmarshalText(b []byte) error {
	h, err := verify.ParseHash(string(b))
	if err == nil {
		*id = AuthorityID(h)
	}
	return err
}

// The consensus log of the engine "aura" (sp_consensus_aura::ConsensusLog), by its tag.
const (
	logAuthoritiesChange = 1 // Vec<[32]>
	logOnDisabled        = 2 // u32
)

// AuthoritiesChange returns the list that h announces, or nil if it announces none. The list
// applies to the children of h: h itself is sealed under the old one.
//
// It returns ErrAuthorities for a list that is empty, names a key twice or is announced beside
// another, and for a log of an unknown kind; verify.ErrUnknownEngine for a digest item of an engine
// this version does not know.
func AuthoritiesChange(h *verify.Header) ([]AuthorityID, error) {
	if err := h.CheckEngines(); err != nil {
		return nil, err
	}
	var list []AuthorityID
	for i := range h.Digest {
		it := &h.Digest[i]
		if it.Type != verify.DigestConsensus || it.Engine != verify.EngineAura {
			continue
		}
		ids, err := decodeLog(it.Data)
		switch {
		case err != nil:
			return nil, fmt.Errorf("header %d: digest item %d: %w", h.Number, i, err)
		case ids == nil:
		case list != nil:
			return nil, fmt.Errorf("header %d: digest item %d: %w: second change in one header", h.Number, i, ErrAuthorities)
		default:
			list = ids
		}
	}
	return list, nil
}

func decodeLog(b []byte) ([]AuthorityID, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: empty log", ErrAuthorities)
	}
	switch b[0] {
	case logAuthoritiesChange:
		return DecodeAuthorities(b[1:])
	case logOnDisabled:
		// The chain has no DisabledValidators: the log says something and changes nothing.
		if len(b) != 1+4 {
			return nil, fmt.Errorf("%w: OnDisabled of %d bytes", ErrAuthorities, len(b)-1)
		}
		return nil, nil
	}
	return nil, fmt.Errorf("%w: unknown log %d", ErrAuthorities, b[0])
}

// DecodeAuthorities decodes a Vec<[32]> that takes the whole of b: the value of Aura.Authorities.
// The list is never empty and never names a key twice.
func DecodeAuthorities(b []byte) ([]AuthorityID, error) {
	r := scale.NewReader(b)
	n := r.Count(32, MaxAuthorities)
	ids := make([]AuthorityID, n)
	for i := range ids {
		r.Copy(ids[i][:])
	}
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthorities, err)
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: empty list", ErrAuthorities)
	}
	seen := make(map[AuthorityID]int, n)
	for i, id := range ids {
		if j, ok := seen[id]; ok {
			return nil, fmt.Errorf("%w: %v is both authority %d and %d", ErrAuthorities, id, j, i)
		}
		seen[id] = i
	}
	return ids, nil
}

// AppendAuthorities appends ids as a Vec<[32]>.
func AppendAuthorities(b []byte, ids []AuthorityID) []byte {
	b = scale.AppendCompact(b, uint64(len(ids)))
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}
