package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// states returns states of every shape.
func states(t testing.TB) []*State {
	t.Helper()
	c, err := Builtin("finney")
	if err != nil {
		t.Fatal(err)
	}
	start, err := c.State()
	if err != nil {
		t.Fatal(err)
	}
	h := header(100, 5)
	j := &grandpa.Justification{Round: 3, Commit: grandpa.Commit{TargetHash: h.Hash(), TargetNumber: 100,
		Precommits: []grandpa.Precommit{{TargetHash: h.Hash(), TargetNumber: 100}}}}
	proven := FromFinalized(grandpa.Finalized{Header: h, Hash: h.Hash(), Justification: j,
		Set: grandpa.AuthoritySet{ID: 7, Authorities: authorities(1, 2, 3)}}, []aura.AuthorityID{{4}})
	bare := *proven
	bare.Aura, bare.Justification = nil, nil
	return []*State{start, proven, &bare}
}

func TestState(t *testing.T) {
	for i, s := range states(t) {
		b := s.Append([]byte("before"))[6:]
		got, err := DecodeState(b)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("%d: got %+v, want %+v", i, got, s)
		}
		f := got.Finalized()
		if f.Hash != s.Hash || f.Set.ID != s.Set.ID || (f.Justification != nil) != (s.Justification != nil) {
			t.Errorf("%d: Finalized: %+v", i, f)
		}
		if again := FromFinalized(f, got.Aura); !reflect.DeepEqual(again, s) {
			t.Errorf("%d: FromFinalized(Finalized()): %+v", i, again)
		}
		for n := range b {
			if _, err := DecodeState(b[:n]); err == nil {
				t.Fatalf("%d: accepted with %d of %d bytes", i, n, len(b))
			}
		}
		if _, err := DecodeState(append(bytes.Clone(b), 0)); !errors.Is(err, scale.ErrTrailing) {
			t.Errorf("%d: a byte more: %v", i, err)
		}
		b[0]++
		if _, err := DecodeState(b); !errors.Is(err, ErrVersion) {
			t.Errorf("%d: next version: %v", i, err)
		}
	}
	if _, err := DecodeState(make([]byte, MaxState+1)); !errors.Is(err, scale.ErrRange) {
		t.Errorf("over the size: %v", err)
	}
}

func TestStateCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(s *State)
		want  error
	}{
		{"no header", func(s *State) { s.Header = nil }, ErrNoHeader},
		{"hash", func(s *State) { s.Hash[0] ^= 1 }, ErrMismatch},
		{"no set", func(s *State) { s.Set.Authorities = nil }, grandpa.ErrAuthorities},
		{"key twice", func(s *State) { s.Aura = []aura.AuthorityID{{1}, {1}} }, aura.ErrAuthorities},
		{"justification of another block", func(s *State) { s.Justification = bytes.Clone(s.Justification); s.Justification[9] ^= 1 }, ErrMismatch},
		{"justification cut", func(s *State) { s.Justification = s.Justification[:9] }, scale.ErrShort},
		{"long justification", func(s *State) { s.Justification = make([]byte, MaxJustification+1) }, scale.ErrRange},
		{"announced set", func(s *State) { s.Header = header(100, 5, setChange(authorities(9))); s.Hash = s.Header.Hash() }, ErrMismatch},
		{"announced aura", func(s *State) {
			s.Header = header(100, 5, auraChange([]aura.AuthorityID{{9}}))
			s.Hash = s.Header.Hash()
		}, ErrMismatch},
		{"forced change", func(s *State) {
			s.Header = header(100, 5, verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineGrandpa, Data: []byte{2}})
			s.Hash = s.Header.Hash()
		}, grandpa.ErrUnsupportedChange},
	} {
		s := states(t)[1]
		tt.spoil(s)
		if err := s.Check(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A justification too long to keep is left out, and the state stays good.
func TestStateLongJustification(t *testing.T) {
	h := header(100, 5)
	j := &grandpa.Justification{Commit: grandpa.Commit{TargetHash: h.Hash(), TargetNumber: 100}}
	for i := range 8000 {
		j.Ancestry = append(j.Ancestry, header(101, uint64(i)))
	}
	s := FromFinalized(grandpa.Finalized{Header: h, Hash: h.Hash(), Justification: j,
		Set: grandpa.AuthoritySet{Authorities: authorities(1)}}, nil)
	if s.Justification != nil {
		t.Errorf("kept %d bytes", len(s.Justification))
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeState(f *testing.F) {
	for _, s := range states(f) {
		f.Add(s.Append(nil))
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			return
		}
		if got := s.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("encodes to %x, was %x", got, b)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		s.Finalized()
	})
}

func FuzzParse(f *testing.F) {
	for _, c := range samples(f) {
		b, err := c.File()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(specJSON(f, nil))
	f.Add([]byte(`{"grandpaWarpSyncCheckpoint":{"finalizedBlockHeader":"0x","grandpaAuthoritySet":"0x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		if err := c.Check(); err != nil {
			t.Fatalf("accepted, and fails its check: %v", err)
		}
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("own export refused: %v\n%s", err, out)
		}
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("export gives %+v, was %+v", again, c)
		}
		c.Age(1 << 50)
		_ = c.Pin().String()
		if c.Ready() == nil {
			c.State()
		}
	})
}
