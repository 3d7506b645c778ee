package grandpa

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// rotation is finney's block 8,867,448: signed by set 5, and announcing set 6.
type rotation struct {
	HeaderScale hexBytes      `json:"header_scale"`
	BlockHash   verify.Hash   `json:"block_hash"`
	SetSigned   hexBytes      `json:"grandpa_set_signed"`
	Next        []AuthorityID `json:"next_grandpa"`
	NextID      uint64        `json:"next_set_id"`
	SHA256      string        `json:"grandpa_sha256_starts"`
}

func TestRotation(t *testing.T) {
	var v rotation
	load(t, "finney-8867448.json", &v)
	h, err := verify.DecodeHeader(v.HeaderScale)
	if err != nil || h.Hash() != v.BlockHash {
		t.Fatalf("%v, %v", h.Hash(), err)
	}
	from, err := DecodeAuthoritySet(v.SetSigned)
	if err != nil || from.ID != 5 || len(from.Authorities) != 20 || !bytes.Equal(from.Append(nil), v.SetSigned) {
		t.Fatalf("%+v, %v", from, err)
	}
	to, err := Advance(*from, h)
	if err != nil || to.ID != v.NextID || to.ID != 6 || to.Threshold() != 14 {
		t.Fatalf("set %d, threshold %d, %v", to.ID, to.Threshold(), err)
	}
	var ids []AuthorityID
	for _, a := range to.Authorities {
		if a.Weight != 1 {
			t.Errorf("%v has weight %d", a.ID, a.Weight)
		}
		ids = append(ids, a.ID)
	}
	if !slices.Equal(ids, v.Next) {
		t.Errorf("announces %v", ids)
	}
	list := AppendAuthorities(nil, to.Authorities)
	sum := sha256.Sum256([]byte("0x" + hex.EncodeToString(list)))
	if got := hex.EncodeToString(sum[:]); !strings.HasPrefix(got, v.SHA256) {
		t.Errorf("list has SHA-256 %s, the network says %s…", got, v.SHA256)
	}
	if back, err := DecodeAuthorities(list); err != nil || !slices.Equal(back, to.Authorities) {
		t.Errorf("%v, %v", back, err)
	}
	if slices.ContainsFunc(from.Authorities[10:], func(a Authority) bool { return slices.Contains(ids, a.ID) }) {
		t.Error("the second ten of set 5 were the old keys, and are not in set 6")
	}
}

func TestScheduledChange(t *testing.T) {
	next := setOf(0, voters("next", 3))
	change := scheduled(next, 0)
	list := func(a ...Authority) verify.DigestItem { return scheduled(&AuthoritySet{Authorities: a}, 0) }
	aura := verify.DigestItem{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: make([]byte, 8)}
	fron := verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineFrontier, Data: []byte{1, 2}}
	forced := grandpaLog(append([]byte{logForcedChange, 1, 0, 0, 0}, change.Data[1:]...))
	large := &AuthoritySet{}
	for i := range MaxAuthorities + 1 {
		large.Authorities = append(large.Authorities, Authority{AuthorityID{byte(i), byte(i >> 8)}, 1})
	}
	for _, c := range []struct {
		name   string
		digest []verify.DigestItem
		want   []Authority
		err    error
	}{
		{"none", nil, nil, nil},
		{"usual block", []verify.DigestItem{aura, fron}, nil, nil},
		{"Aura's list is not ours", []verify.DigestItem{aura, {Type: verify.DigestConsensus, Engine: verify.EngineAura, Data: change.Data}}, nil, nil},
		{"other item with our bytes", []verify.DigestItem{{Type: verify.DigestOther, Data: append([]byte("FRNK"), change.Data...)}}, nil, nil},
		{"scheduled", []verify.DigestItem{aura, change, fron}, next.Authorities, nil},
		{"one authority", []verify.DigestItem{list(Authority{AuthorityID{1}, math.MaxUint64})}, []Authority{{AuthorityID{1}, math.MaxUint64}}, nil},
		{"disabled", []verify.DigestItem{grandpaLog([]byte{logOnDisabled, 1, 0, 0, 0, 0, 0, 0, 0})}, nil, nil},
		{"scheduled and disabled", []verify.DigestItem{grandpaLog([]byte{logOnDisabled, 1, 0, 0, 0, 0, 0, 0, 0}), change}, next.Authorities, nil},
		{"delay 1", []verify.DigestItem{scheduled(next, 1)}, nil, ErrUnsupportedChange},
		{"largest delay", []verify.DigestItem{scheduled(next, math.MaxUint32)}, nil, ErrUnsupportedChange},
		{"forced", []verify.DigestItem{forced}, nil, ErrUnsupportedChange},
		{"forced beside scheduled", []verify.DigestItem{change, forced}, nil, ErrUnsupportedChange},
		{"scheduled beside forced", []verify.DigestItem{forced, change}, nil, ErrUnsupportedChange},
		{"two scheduled", []verify.DigestItem{change, change}, nil, ErrUnsupportedChange},
		{"pause", []verify.DigestItem{grandpaLog([]byte{logPause, 0, 0, 0, 0})}, nil, ErrUnsupportedChange},
		{"resume", []verify.DigestItem{grandpaLog([]byte{logResume, 0, 0, 0, 0})}, nil, ErrUnsupportedChange},
		{"pause beside scheduled", []verify.DigestItem{change, grandpaLog([]byte{logPause, 0, 0, 0, 0})}, nil, ErrUnsupportedChange},
		{"unknown log", []verify.DigestItem{grandpaLog([]byte{6})}, nil, ErrUnsupportedChange},
		{"log 0", []verify.DigestItem{grandpaLog([]byte{0})}, nil, ErrUnsupportedChange},
		{"empty log", []verify.DigestItem{grandpaLog(nil)}, nil, scale.ErrShort},
		{"no authorities", []verify.DigestItem{list()}, nil, ErrAuthorities},
		{"weight 0", []verify.DigestItem{list(Authority{AuthorityID{1}, 0})}, nil, ErrAuthorities},
		{"key twice", []verify.DigestItem{list(Authority{AuthorityID{1}, 1}, Authority{AuthorityID{1}, 2})}, nil, ErrAuthorities},
		{"weights overflow", []verify.DigestItem{list(Authority{AuthorityID{1}, math.MaxUint64}, Authority{AuthorityID{2}, 1})}, nil, ErrAuthorities},
		{"too many", []verify.DigestItem{scheduled(large, 0)}, nil, scale.ErrRange},
		{"trailing byte", []verify.DigestItem{grandpaLog(append(bytes.Clone(change.Data), 0))}, nil, scale.ErrTrailing},
		{"cut", []verify.DigestItem{grandpaLog(change.Data[:len(change.Data)-1])}, nil, scale.ErrShort},
		{"disabled, short", []verify.DigestItem{grandpaLog([]byte{logOnDisabled, 1, 0, 0, 0})}, nil, scale.ErrShort},
		{"unknown engine", []verify.DigestItem{change, {Type: verify.DigestConsensus, Engine: verify.EngineID{'B', 'E', 'E', 'F'}}}, nil, verify.ErrUnknownEngine},
		{"BABE", []verify.DigestItem{{Type: verify.DigestPreRuntime, Engine: verify.EngineID{'B', 'A', 'B', 'E'}}}, nil, verify.ErrUnknownEngine},
	} {
		h := &verify.Header{Number: 9, Digest: c.digest}
		got, err := ScheduledChange(h)
		if !errors.Is(err, c.err) || (got != nil) != (c.want != nil) || got != nil && (!slices.Equal(got.Next, c.want) || got.Delay != 0) {
			t.Errorf("%s: %+v, %v; want %v, %v", c.name, got, err, c.want, c.err)
		}
		from := AuthoritySet{ID: 6, Authorities: []Authority{{AuthorityID{9}, 1}}}
		to, err := Advance(from, h)
		switch {
		case !errors.Is(err, c.err):
			t.Errorf("%s: %v", c.name, err)
		case c.want != nil && (to.ID != 7 || !slices.Equal(to.Authorities, c.want)):
			t.Errorf("%s: advances to %+v", c.name, to)
		case c.want == nil && !to.Equal(&from):
			t.Errorf("%s: advances to %+v", c.name, to)
		}
	}
	last := AuthoritySet{ID: math.MaxUint64, Authorities: next.Authorities}
	if to, err := Advance(last, &verify.Header{Digest: []verify.DigestItem{change}}); !errors.Is(err, ErrUnsupportedChange) {
		t.Errorf("after the last set id: %+v, %v", to, err)
	}
}

func TestThreshold(t *testing.T) {
	for total, want := range map[uint64]uint64{
		0: 1, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5, 10: 7, 20: 14, 100: 67, 101: 68, 102: 69, 103: 69,
		math.MaxUint64: math.MaxUint64/3*2 + 1,
	} {
		s := &AuthoritySet{Authorities: []Authority{{Weight: total}}}
		if got := s.Threshold(); got != want {
			t.Errorf("total %d: threshold %d, want %d", total, got, want)
		}
		// What it means: with any less, a third or more could have signed something else.
		if total > 0 && total < 1000 && (3*(total-want) >= total || 3*(total-want+1) < total) {
			t.Errorf("total %d: %d is not the least weight above two thirds", total, want)
		}
	}
}

func TestDecodeAuthorities(t *testing.T) {
	list := setOf(0, voters("a", 3)).Authorities
	good := AppendAuthorities(nil, list)
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"good", good, nil},
		{"empty", []byte{0}, ErrAuthorities},
		{"nothing", nil, scale.ErrShort},
		{"trailing", append(bytes.Clone(good), 0), scale.ErrTrailing},
		{"cut", good[:len(good)-1], scale.ErrShort},
		{"2^30 authorities", []byte{3, 0, 0, 0, 0x40}, scale.ErrRange},
		{"key twice", AppendAuthorities(nil, append(list[:3:3], list[0])), ErrAuthorities},
		{"weight 0", AppendAuthorities(nil, []Authority{{AuthorityID{1}, 0}}), ErrAuthorities},
	} {
		if _, err := DecodeAuthorities(c.b); !errors.Is(err, c.want) || err != nil && !errors.Is(err, ErrAuthorities) {
			t.Errorf("%s: %v; want %v", c.name, err, c.want)
		}
		if _, err := DecodeAuthoritySet(append(make([]byte, 8), c.b...)); !errors.Is(err, c.want) {
			t.Errorf("set of %s: %v; want %v", c.name, err, c.want)
		}
	}
	if _, err := DecodeAuthoritySet(make([]byte, 7)); !errors.Is(err, scale.ErrShort) {
		t.Error(err)
	}
	big := make([]Authority, MaxAuthorities+1)
	for i := range big {
		big[i] = Authority{AuthorityID{byte(i), byte(i >> 8)}, 1}
	}
	if err := (&AuthoritySet{Authorities: big[1:]}).Check(); err != nil {
		t.Error(err)
	}
	if err := (&AuthoritySet{Authorities: big}).Check(); !errors.Is(err, ErrAuthorities) {
		t.Error(err)
	}
}

func TestAuthorityIDText(t *testing.T) {
	id := voters("a", 1)[0].id
	b, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back AuthorityID
	if err := json.Unmarshal(b, &back); err != nil || back != id {
		t.Errorf("%s gives %v, %v", b, back, err)
	}
	if err := back.UnmarshalText([]byte(id.String()[2:])); err != nil || back != id {
		t.Error(err)
	}
	if err := back.UnmarshalText([]byte("0x12")); !errors.Is(err, verify.ErrHex) || back != id {
		t.Error(err)
	}
}
