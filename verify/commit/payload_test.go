package commit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
)

// vectors reads a file of public vectors, which package fact holds: where they come from stands there.
func vectors(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "fact", "testdata", name))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := verify.ParseHex(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHashOf(t *testing.T) {
	var list []struct {
		Name, Who, Preimage, Hash string
		Index                     uint16 `json:"netuid_index"`
		UIDs, Values, Salt        []uint16
		VersionKey                uint64 `json:"version_key"`
	}
	vectors(t, "commit_hash.json", &list)
	if len(list) != 5 {
		t.Fatalf("%d vectors", len(list))
	}
	for _, v := range list {
		who := verify.AccountID(unhex(t, v.Who))
		if got := Preimage(who, v.Index, v.UIDs, v.Values, v.Salt, v.VersionKey); !bytes.Equal(got, unhex(t, v.Preimage)) {
			t.Errorf("%s: preimage %x", v.Name, got)
		}
		if got := HashOf(who, v.Index, v.UIDs, v.Values, v.Salt, v.VersionKey); got.String() != v.Hash {
			t.Errorf("%s: %v", v.Name, got)
		}
	}
}

// sequence is the hotkey 01 02 … 20 of the vectors.
var sequence = func() (id verify.AccountID) {
	for i := range id {
		id[i] = byte(i + 1)
	}
	return id
}()

// The payload of the real layout in tle_round1000.json, named payload4.
const payload4 = "800102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20100000010002000700100a0014001e00ffff4903000000000000"

func TestDecodePayload(t *testing.T) {
	four := &Payload{Hotkey: sequence, UIDs: []uint16{0, 1, 2, 7}, Values: []uint16{10, 20, 30, 65535}, VersionKey: 841}
	new4 := unhex(t, payload4)
	old4 := new4[33:]
	with := func(change func(*Payload)) *Payload {
		p := *four
		change(&p)
		return &p
	}
	blob := func(hotkey []byte) []byte { return append(append([]byte{byte(len(hotkey) << 2)}, hotkey...), old4...) }
	legacy := func(p *Payload) { p.Legacy, p.Hotkey = true, verify.AccountID{} }

	// Fewer than 32 bytes of hotkey, and what begins so is a legacy payload as well: 4 uids, 2 values, a
	// version key, the rest trailing.
	both := unhex(t, "10"+"0100020003000400"+"08"+"05000600"+"0700000000000000")
	// As the new layout: a hotkey of 4 bytes, no uids, no values, a version key, 3 bytes trailing. As
	// the legacy one: 4 uids, no values, a version key.
	either := unhex(t, "10"+"01000200"+"00"+"00"+"0700000600000000"+"000000")
	// The same, but as the legacy one it would have 63 values.
	onlyNew := unhex(t, "10"+"01000200"+"00"+"00"+"0700fc0600000000"+"000000")

	for _, tt := range []struct {
		name string
		in   []byte
		want *Payload
		why  Reason
	}{
		{"new", new4, four, Stored},
		{"new with trailing bytes", append(slices.Clone(new4), 1, 2, 3), with(func(p *Payload) { p.Trailing = 3 }), Stored},
		{"legacy", old4, with(legacy), Stored},
		{"legacy with trailing bytes", append(slices.Clone(old4), 0), with(func(p *Payload) { legacy(p); p.Trailing = 1 }), Stored},
		{"another's", blob(bytes.Repeat([]byte{9}, 32)), with(func(p *Payload) { p.Hotkey = verify.AccountID(bytes.Repeat([]byte{9}, 32)) }), WrongHotkey},
		{"hotkey of 33 bytes", blob(append(slices.Clone(sequence[:]), 9)), four, Stored},
		{"another's of 33 bytes", blob(append([]byte{9}, sequence[:]...)), with(func(p *Payload) { p.Hotkey = verify.AccountID(append([]byte{9}, sequence[:31]...)) }), WrongHotkey},
		{"nothing", nil, nil, PayloadBad},
		{"cut", new4[:len(new4)-1], nil, PayloadBad},
		{"cut legacy", old4[:len(old4)-1], nil, PayloadBad},
		{"empty lists", unhex(t, "00000000000000000000"), &Payload{UIDs: []uint16{}, Values: []uint16{}, Legacy: true}, Stored},
		{"only legacy decodes", both, &Payload{UIDs: []uint16{1, 2, 3, 4}, Values: []uint16{5, 6}, VersionKey: 7, Legacy: true}, Stored},
		{"both decode, the hotkey is short", either, &Payload{UIDs: []uint16{1, 2, 0, 7}, VersionKey: 6, Legacy: true}, Stored},
		{"only new decodes, the hotkey is short", onlyNew, nil, PayloadBad},
		{"a length of gigabytes", unhex(t, "02000080"+"ffffffff"), nil, PayloadBad},
		{"a length longer than need be", append(unhex(t, "8100"), new4[1:]...), nil, PayloadBad},
	} {
		p, why := DecodePayload(tt.in, sequence)
		if why != tt.why || (p == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, %+v", tt.name, why, p)
			continue
		}
		if p != nil && (p.Hotkey != tt.want.Hotkey || p.VersionKey != tt.want.VersionKey || p.Legacy != tt.want.Legacy || p.Trailing != tt.want.Trailing ||
			!slices.Equal(p.UIDs, tt.want.UIDs) || !slices.Equal(p.Values, tt.want.Values)) {
			t.Errorf("%s: %+v, want %+v", tt.name, p, tt.want)
		}
	}
	if got := hex.EncodeToString(four.Append(nil)); got != payload4 {
		t.Errorf("encoded %s", got)
	}
	if got := with(legacy).Append([]byte{1}); !bytes.Equal(got, append([]byte{1}, old4...)) {
		t.Errorf("encoded %x", got)
	}
}

func FuzzDecodePayload(f *testing.F) {
	f.Add(unhex(f, payload4))
	f.Add(unhex(f, payload4)[33:])
	f.Add(append([]byte{31 << 2}, unhex(f, payload4)[2:]...))
	f.Add(append(append([]byte{33 << 2}, sequence[:]...), unhex(f, payload4)[32:]...))
	f.Add([]byte{2, 0, 0, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, why := DecodePayload(b, sequence)
		switch why {
		case PayloadBad:
			if p != nil {
				t.Fatalf("%+v", p)
			}
			return
		case Stored, WrongHotkey:
			if p == nil || (why == WrongHotkey) != (!p.Legacy && p.Hotkey != sequence) {
				t.Fatalf("%v: %+v", why, p)
			}
		default:
			t.Fatal(why)
		}
		// What was read is what stands there, but for a hotkey that is too long.
		if again := p.Append(nil); p.Legacy || b[0] == 32<<2 {
			if !bytes.Equal(again, b[:len(b)-p.Trailing]) {
				t.Fatalf("%x reads as %+v", b, p)
			}
		}
		// Its own encoding reads as itself, unless a legacy one has the look of a new one.
		q, why2 := DecodePayload(p.Append(nil), p.Hotkey)
		if !p.Legacy && (why2 != Stored || q.Trailing != 0 || q.VersionKey != p.VersionKey || !slices.Equal(q.UIDs, p.UIDs) || !slices.Equal(q.Values, p.Values)) {
			t.Fatalf("%+v, then %+v", p, q)
		}
	})
}
