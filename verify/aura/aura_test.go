package aura

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// hexBytes is a byte string as the files of testdata write it.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = verify.ParseHex(string(b))
	return err
}

type recordedHeader struct {
	Network     string
	Number      uint32
	Hash        verify.Hash
	Slot        uint64
	AuthorIndex int         `json:"author_index"`
	PreSealHash verify.Hash `json:"pre_seal_hash"`
	HeaderScale hexBytes    `json:"header_scale"`
}

type recordedHeaders struct {
	Aura    map[string][]AuthorityID `json:"aura_authorities"`
	Headers []recordedHeader
}

// rotation is finney's block 8,867,448, which announces new lists of both kinds.
type rotation struct {
	BlockHash   verify.Hash   `json:"block_hash"`
	HeaderScale hexBytes      `json:"header_scale"`
	NextAura    []AuthorityID `json:"next_aura"`
}

func load(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func decode(t testing.TB, b []byte) *verify.Header {
	t.Helper()
	h, err := verify.DecodeHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The headers of two networks hash, name their slots and carry their authors' seals.
func TestRecordedHeaders(t *testing.T) {
	var v recordedHeaders
	load(t, "headers.json", &v)
	if len(v.Headers) != 29 {
		t.Fatalf("%d headers", len(v.Headers))
	}
	for _, r := range v.Headers {
		t.Run(fmt.Sprintf("%s %d", r.Network, r.Number), func(t *testing.T) {
			h := decode(t, r.HeaderScale)
			if h.Number != r.Number || h.Hash() != r.Hash {
				t.Errorf("block %d, %v; want %d, %v", h.Number, h.Hash(), r.Number, r.Hash)
			}
			if h.PreSealHash() != r.PreSealHash {
				t.Errorf("pre-seal hash %v, want %v", h.PreSealHash(), r.PreSealHash)
			}
			slot, err := Slot(h)
			if err != nil || slot != r.Slot {
				t.Errorf("slot %d, %v; want %d", slot, err, r.Slot)
			}
			author, err := VerifySeal(h, v.Aura[r.Network])
			if err != nil || author != r.AuthorIndex {
				t.Errorf("author %d, %v; want %d", author, err, r.AuthorIndex)
			}
			if change, err := AuthoritiesChange(h); change != nil || err != nil {
				t.Errorf("announces %v, %v", change, err)
			}
			for other, list := range v.Aura {
				if other == r.Network {
					continue
				}
				if _, err := VerifySeal(h, list); !errors.Is(err, ErrSeal) {
					t.Errorf("under the list of %s: %v", other, err)
				}
			}
		})
	}
}

// Without knowing the hash, the seal alone rejects every changed byte: each byte of six headers is
// changed, in each single bit for one of them.
func TestSealRejectsEveryChangedByte(t *testing.T) {
	var v recordedHeaders
	load(t, "headers.json", &v)
	rejected := 0
	for i, n := range []int{0, 7, 14, 15, 20, 28} {
		r := v.Headers[n]
		masks := []byte{0x01, 0x80, 0xff}
		if i == 0 && !testing.Short() {
			masks = []byte{1, 2, 4, 8, 16, 32, 64, 128}
		}
		for at := range r.HeaderScale {
			for _, mask := range masks {
				b := bytes.Clone(r.HeaderScale)
				b[at] ^= mask
				h, err := verify.DecodeHeader(b)
				if err == nil {
					_, err = VerifySeal(h, v.Aura[r.Network])
				}
				if err == nil {
					t.Fatalf("%s %d: byte %d with mask %#x changed, and the seal still holds", r.Network, r.Number, at, mask)
				}
				rejected++
			}
		}
	}
	if rejected < 4000 {
		t.Errorf("only %d changes tried", rejected)
	}
}

func TestRotation(t *testing.T) {
	var v recordedHeaders
	load(t, "headers.json", &v)
	var r rotation
	load(t, "finney-8867448.json", &r)
	h := decode(t, r.HeaderScale)
	if h.Number != 8867448 || h.Hash() != r.BlockHash {
		t.Errorf("block %d, %v", h.Number, h.Hash())
	}
	next, err := AuthoritiesChange(h)
	if err != nil || !slices.Equal(next, r.NextAura) || len(next) != 20 {
		t.Fatalf("announces %v, %v", next, err)
	}
	// The list at the parent is the one of genesis. The announced one is for the children.
	if author, err := VerifySeal(h, v.Aura["finney"]); author != 18 || err != nil {
		t.Errorf("author %d, %v", author, err)
	}
	if _, err := VerifySeal(h, next); !errors.Is(err, ErrSeal) {
		t.Errorf("under its own new list: %v", err)
	}

	var b struct {
		BlockHash verify.Hash `json:"block_hash"`
		Header    struct {
			Digest                                struct{ Logs []hexBytes }
			Number                                string
			ParentHash, StateRoot, ExtrinsicsRoot verify.Hash
		}
		Slot        uint64
		AuthorIndex int `json:"author_index"`
	}
	load(t, "finney-9178000.json", &b)
	e := append([]byte(nil), b.Header.ParentHash[:]...)
	e = scale.AppendCompact(e, 9178000)
	e = append(e, b.Header.StateRoot[:]...)
	e = append(e, b.Header.ExtrinsicsRoot[:]...)
	e = scale.AppendCompact(e, uint64(len(b.Header.Digest.Logs)))
	for _, log := range b.Header.Digest.Logs {
		e = append(e, log...)
	}
	h = decode(t, e)
	if h.Hash() != b.BlockHash {
		t.Errorf("block %d has hash %v", h.Number, h.Hash())
	}
	if slot, err := Slot(h); slot != b.Slot || err != nil {
		t.Errorf("slot %d, %v", slot, err)
	}
	if author, err := VerifySeal(h, next); author != b.AuthorIndex || err != nil {
		t.Errorf("author %d, %v", author, err)
	}
}

// author is an authority with its key, for headers made here.
type author struct {
	pair *sr25519.KeyPair
	id   AuthorityID
}

func authors(t testing.TB, n int) (list []author, ids []AuthorityID) {
	t.Helper()
	for i := range n {
		msk, err := sr25519.NewMiniSecretKeyFromBytes(bytes.Repeat([]byte{byte(i + 1)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		pair := msk.ExpandUniform().KeyPair()
		b, err := pair.PublicKey().MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, author{pair, AuthorityID(b)})
		ids = append(ids, AuthorityID(b))
	}
	return list, ids
}

func (a author) sign(t testing.TB, hash verify.Hash) []byte {
	t.Helper()
	sig, err := a.pair.Sign(bytes.NewReader(make([]byte, 64)), sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(hash[:]))
	if err != nil {
		t.Fatal(err)
	}
	b, err := sig.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func preRuntime(engine string, data []byte) verify.DigestItem {
	return verify.DigestItem{Type: verify.DigestPreRuntime, Engine: verify.EngineID([]byte(engine)), Data: data}
}

func slotItem(slot uint64) verify.DigestItem {
	return preRuntime("aura", binary.LittleEndian.AppendUint64(nil, slot))
}

func consensus(engine string, data []byte) verify.DigestItem {
	return verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineID([]byte(engine)), Data: data}
}

func sealItem(data []byte) verify.DigestItem {
	return verify.DigestItem{Type: verify.DigestSeal, Engine: verify.EngineAura, Data: data}
}

// sealed returns a child of parent in the given slot, sealed by its author.
func sealed(t testing.TB, list []author, parent *verify.Header, slot uint64, more ...verify.DigestItem) *verify.Header {
	h := &verify.Header{ParentHash: parent.Hash(), Number: parent.Number + 1, Digest: append([]verify.DigestItem{slotItem(slot)}, more...)}
	return seal(t, list[slot%uint64(len(list))], h)
}

func seal(t testing.TB, a author, h *verify.Header) *verify.Header {
	h.Digest = append(h.Digest, sealItem(a.sign(t, h.PreSealHash())))
	return h
}

func TestSlot(t *testing.T) {
	for _, c := range []struct {
		name   string
		digest []verify.DigestItem
		want   error
	}{
		{"good", []verify.DigestItem{slotItem(7)}, nil},
		{"not first", []verify.DigestItem{consensus("fron", nil), {Type: verify.DigestRuntimeEnvironmentUpdated}, slotItem(7)}, nil},
		{"other item", []verify.DigestItem{{Type: verify.DigestOther, Data: []byte("x")}, slotItem(7)}, nil},
		{"none", nil, ErrSlot},
		{"consensus only", []verify.DigestItem{consensus("aura", nil)}, ErrSlot},
		{"two", []verify.DigestItem{slotItem(7), slotItem(7)}, ErrSlot},
		{"short", []verify.DigestItem{preRuntime("aura", make([]byte, 7))}, ErrSlot},
		{"long", []verify.DigestItem{preRuntime("aura", make([]byte, 9))}, ErrSlot},
		{"babe", []verify.DigestItem{preRuntime("BABE", make([]byte, 8))}, verify.ErrUnknownEngine},
		{"babe beside aura", []verify.DigestItem{slotItem(7), preRuntime("BABE", make([]byte, 8))}, verify.ErrUnknownEngine},
		{"fron as pre-runtime", []verify.DigestItem{preRuntime("fron", make([]byte, 8)), slotItem(7)}, verify.ErrUnknownEngine},
		{"unknown consensus", []verify.DigestItem{slotItem(7), consensus("BEEF", nil)}, verify.ErrUnknownEngine},
		{"babe seal", []verify.DigestItem{slotItem(7), {Type: verify.DigestSeal, Engine: verify.EngineID{'B', 'A', 'B', 'E'}}}, verify.ErrUnknownEngine},
	} {
		slot, err := Slot(&verify.Header{Number: 3, Digest: c.digest})
		if !errors.Is(err, c.want) || c.want == nil && slot != 7 {
			t.Errorf("%s: %d, %v", c.name, slot, err)
		}
	}
}

func TestVerifySeal(t *testing.T) {
	list, ids := authors(t, 3)
	genesis := &verify.Header{}
	good := sealed(t, list, genesis, 4, consensus("fron", []byte{1, 2}))
	with := func(change func(h *verify.Header)) *verify.Header {
		h := *good
		h.Digest = slices.Clone(good.Digest)
		change(&h)
		return &h
	}
	last := len(good.Digest) - 1
	sig := good.Digest[last].Data
	changed := func(at int, mask byte) []byte {
		b := bytes.Clone(sig)
		b[at] ^= mask
		return b
	}
	// s + l, the same scalar in another form; l is the order of the group (RFC 8032).
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	shifted := bytes.Clone(sig)
	shifted[63] &= 0x7f
	carry := 0
	for i := range 32 {
		sum := int(shifted[32+i]) + int(order[i]) + carry
		shifted[32+i], carry = byte(sum), sum>>8
	}
	shifted[63] |= 0x80

	for _, c := range []struct {
		name string
		h    *verify.Header
		ids  []AuthorityID
		want error
	}{
		{"good", good, ids, nil},
		{"no authorities", good, nil, ErrAuthorities},
		{"one authority fewer", good, ids[:2], ErrSeal},
		{"other order", good, []AuthorityID{ids[1], ids[0], ids[2]}, ErrSeal},
		{"not a key", good, []AuthorityID{ids[0], {31: 0xff}, ids[2]}, ErrAuthorities},
		{"sealed by another", seal(t, list[2], with(func(h *verify.Header) { h.Digest = h.Digest[:last] })), ids, ErrSeal},
		{"no seal", with(func(h *verify.Header) { h.Digest = h.Digest[:last] }), ids, ErrSeal},
		{"empty seal", with(func(h *verify.Header) { h.Digest[last].Data = nil }), ids, ErrSeal},
		{"short seal", with(func(h *verify.Header) { h.Digest[last].Data = sig[:63] }), ids, ErrSeal},
		{"long seal", with(func(h *verify.Header) { h.Digest[last].Data = append(bytes.Clone(sig), 0) }), ids, ErrSeal},
		{"two seals", with(func(h *verify.Header) { h.Digest = append(h.Digest, h.Digest[last]) }), ids, ErrSeal},
		{"seal not last", with(func(h *verify.Header) { h.Digest = append(h.Digest, consensus("fron", nil)) }), ids, ErrSeal},
		{"not marked as sr25519", with(func(h *verify.Header) { h.Digest[last].Data = changed(63, 0x80) }), ids, ErrSeal},
		{"scalar not reduced", with(func(h *verify.Header) { h.Digest[last].Data = shifted }), ids, ErrSeal},
		{"point changed", with(func(h *verify.Header) { h.Digest[last].Data = changed(0, 2) }), ids, ErrSeal},
		{"other number", with(func(h *verify.Header) { h.Number++ }), ids, ErrSeal},
		{"other slot of the same author", with(func(h *verify.Header) { h.Digest[0] = slotItem(7) }), ids, ErrSeal},
		{"unknown engine", with(func(h *verify.Header) { h.Digest[1].Engine = verify.EngineID{'B', 'E', 'E', 'F'} }), ids, verify.ErrUnknownEngine},
	} {
		author, err := VerifySeal(c.h, c.ids)
		if !errors.Is(err, c.want) || c.want == nil && author != 1 {
			t.Errorf("%s: %d, %v; want %v", c.name, author, err, c.want)
		}
	}
}

// Seals are checked for every header that a peer announces: they must not burden the heap.
func TestVerifySealAllocations(t *testing.T) {
	list, ids := authors(t, 20)
	h := sealed(t, list, &verify.Header{}, 4, consensus("fron", make([]byte, 34)))
	keys := NewKeys(ids)
	n := testing.AllocsPerRun(20, func() {
		if _, err := keys.VerifySeal(h); err != nil {
			t.Fatal(err)
		}
	})
	if n > 8 {
		t.Errorf("%v allocations, at most 8", n)
	}
}

func TestVerifyHeader(t *testing.T) {
	list, ids := authors(t, 3)
	genesis := &verify.Header{}
	parent := sealed(t, list, genesis, 100)
	const slotDuration = 12_000
	now := func(ms uint64) Clock { return Clock{SlotDuration: slotDuration, Now: ms} }
	anytime := now(1 << 60)
	other := &verify.Header{ParentHash: verify.Hash{1}, Number: 1, Digest: []verify.DigestItem{slotItem(100)}}
	unslotted := &verify.Header{Number: 1}
	babe := &verify.Header{Number: 1, Digest: []verify.DigestItem{preRuntime("BABE", nil)}}
	gap := sealed(t, list, parent, 101)
	gap.Digest = gap.Digest[:1]
	gap.Number++
	seal(t, list[101%3], gap)
	late := sealed(t, list, parent, 101)
	start := uint64(101 * slotDuration)

	for _, c := range []struct {
		name   string
		h, p   *verify.Header
		clock  Clock
		want   error
		reason string
	}{
		{"next slot", sealed(t, list, parent, 101), parent, anytime, nil, ""},
		{"slots skipped", sealed(t, list, parent, 170), parent, anytime, nil, ""},
		{"same slot", sealed(t, list, parent, 100), parent, anytime, ErrSlot, "not after"},
		{"earlier slot", sealed(t, list, parent, 99), parent, anytime, ErrSlot, "not after"},
		{"after genesis, which has no slot", sealed(t, list, genesis, 0), genesis, anytime, nil, ""},
		{"other parent", sealed(t, list, parent, 101), other, anytime, ErrParent, "hash"},
		{"number gap", gap, parent, anytime, ErrParent, "number"},
		{"its own parent", parent, parent, anytime, ErrParent, "number"},
		{"number wraps", sealed(t, list, &verify.Header{Number: math.MaxUint32}, 5), &verify.Header{Number: math.MaxUint32}, anytime, ErrParent, "number"},
		{"parent without slot", sealed(t, list, unslotted, 101), unslotted, anytime, ErrSlot, "parent"},
		{"parent of another engine", sealed(t, list, babe, 101), babe, anytime, verify.ErrUnknownEngine, "parent"},

		{"slot begun", late, parent, now(start), nil, ""},
		{"30 s ahead", late, parent, now(start - 30_000), nil, ""},
		{"more than 30 s ahead", late, parent, now(start - 30_001), ErrFuture, "at most 100"},
		{"clock of 1970", late, parent, now(1), ErrFuture, ""},
		{"no trusted clock", late, parent, now(0), nil, ""},
		{"no trusted clock, no slot duration", late, parent, Clock{}, nil, ""},
		{"no slot duration", late, parent, Clock{Now: start}, ErrFuture, "duration"},
		{"largest slot", sealed(t, list, parent, math.MaxUint64), parent, now(start), ErrFuture, ""},
		{"clock at its end", late, parent, now(math.MaxUint64), nil, ""},
		{"largest slot, no trusted clock", sealed(t, list, parent, math.MaxUint64), parent, now(0), nil, ""},
	} {
		err := VerifyHeader(c.h, c.p, ids, c.clock)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v; want %v, %q", c.name, err, c.want, c.reason)
		}
	}

	bad := sealed(t, list, parent, 101)
	bad.StateRoot[0] ^= 1
	if err := VerifyHeader(bad, parent, ids, anytime); !errors.Is(err, ErrSeal) {
		t.Errorf("changed state root: %v", err)
	}
}

func TestAuthoritiesChange(t *testing.T) {
	_, ids := authors(t, 3)
	list := func(ids ...AuthorityID) []byte { return AppendAuthorities([]byte{logAuthoritiesChange}, ids) }
	one := func(b []byte) []verify.DigestItem {
		return []verify.DigestItem{slotItem(1), consensus("aura", b)}
	}
	for _, c := range []struct {
		name   string
		digest []verify.DigestItem
		want   []AuthorityID
		err    error
	}{
		{"none", []verify.DigestItem{slotItem(1), consensus("FRNK", []byte{1}), consensus("fron", nil)}, nil, nil},
		{"list", one(list(ids...)), ids, nil},
		{"list of one", one(list(ids[2])), ids[2:], nil},
		{"disabled", one([]byte{logOnDisabled, 1, 0, 0, 0}), nil, nil},
		{"disabled beside a list", append(one(list(ids...)), consensus("aura", []byte{logOnDisabled, 1, 0, 0, 0})), ids, nil},
		{"disabled, short", one([]byte{logOnDisabled, 1, 0, 0}), nil, ErrAuthorities},
		{"empty log", one(nil), nil, ErrAuthorities},
		{"unknown log", one([]byte{3}), nil, ErrAuthorities},
		{"empty list", one(list()), nil, ErrAuthorities},
		{"key twice", one(list(ids[0], ids[1], ids[0])), nil, ErrAuthorities},
		{"two lists", append(one(list(ids...)), consensus("aura", list(ids...))), nil, ErrAuthorities},
		{"trailing byte", one(append(list(ids...), 0)), nil, ErrAuthorities},
		{"short", one(list(ids...)[:96]), nil, ErrAuthorities},
		{"unknown engine", append(one(list(ids...)), consensus("BEEF", nil)), nil, verify.ErrUnknownEngine},
	} {
		got, err := AuthoritiesChange(&verify.Header{Digest: c.digest})
		if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestDecodeAuthoritiesBounds(t *testing.T) {
	many := make([]AuthorityID, MaxAuthorities+1)
	for i := range many {
		binary.LittleEndian.PutUint32(many[i][:], uint32(i))
	}
	if _, err := DecodeAuthorities(AppendAuthorities(nil, many[1:])); err != nil {
		t.Errorf("%d authorities: %v", MaxAuthorities, err)
	}
	if _, err := DecodeAuthorities(AppendAuthorities(nil, many)); !errors.Is(err, scale.ErrRange) || !errors.Is(err, ErrAuthorities) {
		t.Errorf("%d authorities: %v", len(many), err)
	}
	// A length that the input cannot hold is refused before anything is allocated for it.
	if _, err := DecodeAuthorities([]byte{0xfe, 0xff, 0xff, 0xff}); !errors.Is(err, scale.ErrRange) {
		t.Error(err)
	}
	if _, err := DecodeAuthorities([]byte{0x50}); !errors.Is(err, scale.ErrShort) {
		t.Error(err)
	}
}

func TestAuthorityIDText(t *testing.T) {
	_, ids := authors(t, 1)
	b, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	var back []AuthorityID
	if err := json.Unmarshal(b, &back); err != nil || !slices.Equal(back, ids) {
		t.Errorf("%s gives %v, %v", b, back, err)
	}
	for _, bad := range []string{"", "0x", ids[0].String()[:64], ids[0].String() + "00", strings.Replace(ids[0].String(), "0x", "0y", 1)} {
		id := AuthorityID{1}
		if err := id.UnmarshalText([]byte(bad)); !errors.Is(err, verify.ErrHex) || id != (AuthorityID{1}) {
			t.Errorf("%q: %v, %v", bad, id, err)
		}
	}
}

func BenchmarkVerifySeal(b *testing.B) {
	var v recordedHeaders
	load(b, "headers.json", &v)
	h := decode(b, v.Headers[0].HeaderScale)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifySeal(h, v.Aura["test"]); err != nil {
			b.Fatal(err)
		}
	}
}

// TestKeys: a list used for many headers judges each as one that is new does, bad keys included.
func TestKeys(t *testing.T) {
	people, list := authors(t, 2)
	for i := range list[1] {
		list[1][i] = 0xff
	}
	keys := NewKeys(list)
	parent := &verify.Header{Number: 99, Digest: []verify.DigestItem{slotItem(1)}}
	for round := range 3 {
		for slot := range uint64(4) {
			h := sealed(t, people, parent, 1000+slot)
			a, errA := keys.VerifySeal(h)
			b, errB := VerifySeal(h, list)
			if a != b || (errA == nil) != (errB == nil) || (errA == nil) != (slot%2 == 0) {
				t.Fatalf("round %d, slot %d: %d, %v; once: %d, %v", round, slot, a, errA, b, errB)
			}
			if errA != nil && !errors.Is(errA, ErrAuthorities) {
				t.Errorf("slot %d: %v", slot, errA)
			}
		}
	}
}
