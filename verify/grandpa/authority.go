package grandpa

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// MaxAuthorities is our bound on an authority set. The chain's own is 32
// (subtensor runtime/src/lib.rs, pallet_grandpa MaxAuthorities).
const MaxAuthorities = 1024

// ErrAuthorities: an authority set is malformed: empty, too large, with a zero weight, a key named
// twice, or weights whose sum does not fit 64 bits.
var ErrAuthorities = errors.New("bad GRANDPA authorities")

// An AuthorityID is the ed25519 public key of a GRANDPA voter.
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

// An Authority is a voter and the weight of its vote.
type Authority struct {
	ID     AuthorityID
	Weight uint64
}

// An AuthoritySet is a list of voters under its set id. The id is part of what voters sign, so that
// the same keys in another set are another set.
//
// On finney the id counts the changes that were enacted, with a historic offset; the runtime's own
// Grandpa.CurrentSetId has lagged behind it.
type AuthoritySet struct {
	ID          uint64
	Authorities []Authority
}

// Check returns ErrAuthorities if the set cannot vote.
func (s *AuthoritySet) Check() error { return checkAuthorities(s.Authorities) }

func checkAuthorities(list []Authority) error {
	if len(list) == 0 {
		return fmt.Errorf("%w: empty list", ErrAuthorities)
	}
	if len(list) > MaxAuthorities {
		return fmt.Errorf("%w: %d authorities, at most %d allowed", ErrAuthorities, len(list), MaxAuthorities)
	}
	seen := make(map[AuthorityID]int, len(list))
	var total, carry uint64
	for i := range list {
		a := &list[i]
		if j, ok := seen[a.ID]; ok {
			return fmt.Errorf("%w: %v is both authority %d and %d", ErrAuthorities, a.ID, j, i)
		}
		seen[a.ID] = i
		if a.Weight == 0 {
			return fmt.Errorf("%w: authority %d has no weight", ErrAuthorities, i)
		}
		if total, carry = bits.Add64(total, a.Weight, 0); carry != 0 {
			return fmt.Errorf("%w: total weight does not fit 64 bits", ErrAuthorities)
		}
	}
	return nil
}

// Total returns the weight of all authorities together. The set must pass Check.
func (s *AuthoritySet) Total() uint64 {
	var total uint64
	for i := range s.Authorities {
		total += s.Authorities[i].Weight
	}
	return total
}

// Threshold returns the least weight of votes that finalizes a block: the total less the largest
// weight that may be faulty, (total − 1) / 3. The set must pass Check.
func (s *AuthoritySet) Threshold() uint64 {
	total := s.Total()
	if total == 0 {
		return 1 // an unusable set finalizes nothing
	}
	return total - (total-1)/3
}

// Equal reports whether both sets have the same id and the same list in the same order.
func (s *AuthoritySet) Equal(o *AuthoritySet) bool {
	if s.ID != o.ID || len(s.Authorities) != len(o.Authorities) {
		return false
	}
	for i := range s.Authorities {
		if s.Authorities[i] != o.Authorities[i] {
			return false
		}
	}
	return true
}

// ReadAuthorities reads a Vec<([32], u64)> of any content; see AuthoritySet.Check.
func ReadAuthorities(r *scale.Reader) []Authority {
	n := r.Count(32+8, MaxAuthorities)
	list := make([]Authority, n)
	for i := range list {
		r.Copy(list[i].ID[:])
		list[i].Weight = r.U64()
	}
	if r.Err() != nil {
		return nil
	}
	return list
}

// DecodeAuthorities decodes a Vec<([32], u64)> that takes the whole of b (the value of
// Grandpa.Authorities), and checks it as AuthoritySet.Check does.
func DecodeAuthorities(b []byte) ([]Authority, error) {
	r := scale.NewReader(b)
	list := ReadAuthorities(r)
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthorities, err)
	}
	if err := checkAuthorities(list); err != nil {
		return nil, err
	}
	return list, nil
}

// AppendAuthorities appends list as a Vec<([32], u64)>.
func AppendAuthorities(b []byte, list []Authority) []byte {
	b = scale.AppendCompact(b, uint64(len(list)))
	for i := range list {
		b = append(b, list[i].ID[:]...)
		b = scale.AppendU64(b, list[i].Weight)
	}
	return b
}

// DecodeAuthoritySet decodes (u64 set id, Vec<([32], u64)>), the form of a chain specification's
// grandpaAuthoritySet, and checks it as AuthoritySet.Check does.
func DecodeAuthoritySet(b []byte) (*AuthoritySet, error) {
	r := scale.NewReader(b)
	s := &AuthoritySet{ID: r.U64()}
	s.Authorities = ReadAuthorities(r)
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthorities, err)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// Append appends s as (u64 set id, Vec<([32], u64)>).
func (s *AuthoritySet) Append(b []byte) []byte {
	return AppendAuthorities(scale.AppendU64(b, s.ID), s.Authorities)
}
