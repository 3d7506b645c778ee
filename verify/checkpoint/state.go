package checkpoint

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// ErrVersion: a state was written by another version than this one reads.
var ErrVersion = errors.New("unknown version of state")

// stateVersion is the first byte of an encoded state.
const stateVersion = 1

// Bounds on an encoded state.
const (
	// MaxJustification bounds the justification kept with a state. A longer one (many headers of
	// ancestry) is not worth its place: what it proves has been proven.
	MaxJustification = 1 << 20
	// MaxState bounds the whole.
	MaxState = 2 << 20
)

// A State is the newest block that was proven final, with what is needed to go on from it. It is
// what a node keeps instead of the history: trusted by the node that proved it, and by no other.
type State struct {
	Header        *verify.Header
	Hash          verify.Hash          // of Header
	Set           grandpa.AuthoritySet // finalizes the children of Header
	Aura          []aura.AuthorityID   // for the children of Header; nil if not known
	Justification []byte               // of Header, SCALE; nil at a trust root
}

// FromFinalized returns the state of a proven block.
func FromFinalized(f grandpa.Finalized, list []aura.AuthorityID) *State {
	s := &State{Header: f.Header, Hash: f.Hash, Set: f.Set, Aura: list}
	if f.Justification != nil {
		if s.Justification = f.Justification.Append(nil); len(s.Justification) > MaxJustification {
			s.Justification = nil
		}
	}
	return s
}

// Finalized returns s as verification goes on from it. The justification is decoded; one that does
// not decode cannot be there, because DecodeState checks it.
func (s *State) Finalized() grandpa.Finalized {
	f := grandpa.Finalized{Header: s.Header, Hash: s.Hash, Set: s.Set}
	if s.Justification != nil {
		f.Justification, _ = grandpa.DecodeJustification(s.Justification)
	}
	return f
}

// Check returns ErrMismatch, or the error of the rule broken, unless s agrees with itself.
func (s *State) Check() error {
	if s.Header == nil {
		return ErrNoHeader
	}
	if hash := s.Header.Hash(); hash != s.Hash {
		return fmt.Errorf("%w: header has hash %v, stated is %v", ErrMismatch, hash, s.Hash)
	}
	if err := s.Set.Check(); err != nil {
		return fmt.Errorf("set %d: %w", s.Set.ID, err)
	}
	if err := checkAura(s.Aura); err != nil {
		return err
	}
	change, err := grandpa.ScheduledChange(s.Header)
	if err != nil {
		return err
	}
	if change != nil && !slices.Equal(change.Next, s.Set.Authorities) {
		return fmt.Errorf("%w: header announces another GRANDPA set than stated", ErrMismatch)
	}
	list, err := aura.AuthoritiesChange(s.Header)
	if err != nil {
		return err
	}
	if list != nil && s.Aura != nil && !slices.Equal(list, s.Aura) {
		return fmt.Errorf("%w: header announces another Aura list than stated", ErrMismatch)
	}
	if s.Justification == nil {
		return nil
	}
	if len(s.Justification) > MaxJustification {
		return fmt.Errorf("%w: justification of %d bytes", scale.ErrRange, len(s.Justification))
	}
	j, err := grandpa.DecodeJustification(s.Justification)
	if err != nil {
		return err
	}
	if j.Commit.TargetHash != s.Hash || j.Commit.TargetNumber != s.Header.Number {
		return fmt.Errorf("%w: justification is for block %d, %v", ErrMismatch, j.Commit.TargetNumber, j.Commit.TargetHash)
	}
	return nil
}

// Append appends the SCALE encoding of s:
//
//	version u8 = 1 | Vec<u8> header | set id u64 | Vec<([32], u64)> set | Vec<[32]> aura | Option<Vec<u8>> justification
//
// An unknown Aura list is an empty one. s must have a header.
func (s *State) Append(b []byte) []byte {
	b = append(b, stateVersion)
	b = scale.AppendBlob(b, s.Header.Encode())
	b = s.Set.Append(b)
	b = aura.AppendAuthorities(b, s.Aura)
	b = scale.AppendBool(b, s.Justification != nil)
	if s.Justification != nil {
		b = scale.AppendBlob(b, s.Justification)
	}
	return b
}

// DecodeState decodes a state that takes the whole of b, and checks it. What it cannot check is
// whether the set is the right one: the store that keeps a state has to keep it whole. The header
// and the justification alias b.
func DecodeState(b []byte) (*State, error) {
	s, err := decodeState(b)
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return s, nil
}

func decodeState(b []byte) (*State, error) {
	if len(b) > MaxState {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", scale.ErrRange, len(b), MaxState)
	}
	r := scale.NewReader(b)
	if v := r.Byte(); r.Err() == nil && v != stateVersion {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	header := r.Blob(verify.MaxHeaderSize)
	s := &State{Set: grandpa.AuthoritySet{ID: r.U64()}}
	s.Set.Authorities = grandpa.ReadAuthorities(r)
	if n := r.Count(32, aura.MaxAuthorities); n > 0 {
		s.Aura = make([]aura.AuthorityID, n)
	}
	for i := range s.Aura {
		r.Copy(s.Aura[i][:])
	}
	if r.Bool() {
		s.Justification = r.Blob(MaxJustification)
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	var err error
	if s.Header, err = verify.DecodeHeader(header); err != nil {
		return nil, err
	}
	s.Hash = s.Header.Hash()
	return s, nil
}
