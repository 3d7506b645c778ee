package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

func TestParse(t *testing.T) {
	for version := byte(14); version <= 16; version++ {
		t.Run(fmt.Sprintf("V%d", version), func(t *testing.T) {
			b := sample()
			m := demo(t, version)
			if m.Version != version || m.Types.Len() != len(b.types) || len(m.Pallets) != 2 {
				t.Fatalf("V%d, %d types, %d pallets", m.Version, m.Types.Len(), len(m.Pallets))
			}
			for name, id := range b.names {
				if ty := m.Types.Type(id); ty == nil || ty.ID != id {
					t.Errorf("%s: %v", name, ty)
				}
			}
			p, err := m.Pallet("System")
			if err != nil || p.Index != 0 || len(p.Items) != 8 || len(p.Constants) != 2 || p.Calls != b.id("SystemCall") || p.Errors != b.id("SystemError") {
				t.Fatalf("%+v, %v", p, err)
			}
			if p = m.PalletAt(11); p == nil || p.Name != "Utility" || p.Calls != b.id("UtilityCall") || p.Events != NoType {
				t.Fatalf("%+v", p)
			}
			if want := map[bool]string{true: "A pallet."}[version > 14]; p.Docs.String() != want {
				t.Errorf("docs %q", p.Docs)
			}
			it, err := m.Item("System.Hashed")
			if err != nil || !it.Optional || len(it.Keys) != 4 || it.Keys[1] != b.id("[u16; 2]") || it.Docs.String() != "What it is.\n\n[2Jmore\nstill more" {
				t.Errorf("%+v, %v", it, err)
			}
			if it, err = m.Item("System.Pair"); err != nil || len(it.Keys) != 1 || it.Keys[0] != b.id("Key2") {
				t.Errorf("%+v, %v", it, err)
			}
			e := m.Extrinsic
			var order []string
			for _, x := range e.Extensions {
				order = append(order, x.Name)
			}
			if e.Address != b.id("MultiAddress") || e.Signature != b.id("MultiSignature") || m.Call != b.id("Call") ||
				strings.Join(order, " ") != "CheckNonZeroSender CheckGenesis CheckNonce ChargeTip" {
				t.Errorf("%+v", e)
			}
			v, err := m.RuntimeVersion()
			if err != nil || v != (RuntimeVersion{"demo", 7, 3}) {
				t.Errorf("%+v, %v", v, err)
			}
			if version == 14 {
				if _, _, err := m.Method("DemoApi_version"); !errors.Is(err, ErrUnknown) {
					t.Errorf("V14 has a method: %v", err)
				}
				return
			}
			api, me, err := m.Method("DemoApi_record_of")
			if err != nil || len(me.Inputs) != 2 || me.Output != b.id("Record") || m.Types.Signature(me.Inputs) != "netuid: u16, who: AccountId32" {
				t.Errorf("%+v, %v", me, err)
			}
			if want := uint32(map[bool]int{true: 3}[version == 16]); api.Version != want {
				t.Errorf("version %d, want %d", api.Version, want)
			}
			if m.Event != b.id("Event") || m.Error != b.id("Error") || len(m.Custom) != 1 || m.Custom[0].Name != "answer" || !bytes.Equal(m.Custom[0].Bytes, []byte{42}) {
				t.Errorf("%d %d %+v", m.Event, m.Error, m.Custom)
			}
		})
	}
}

// TestParseCut: metadata that ends early, anywhere, is refused with the place.
func TestParseCut(t *testing.T) {
	for version := byte(14); version <= 16; version++ {
		b := sample().metadata(version)
		for n := range b {
			if _, err := Parse(b[:n]); !errors.Is(err, ErrMetadata) || n > 5 && !errors.Is(err, scale.ErrShort) {
				t.Fatalf("V%d, %d of %d bytes: %v", version, n, len(b), err)
			}
		}
		if _, err := Parse(append(b, 0)); !errors.Is(err, scale.ErrTrailing) {
			t.Errorf("V%d and a byte more: %v", version, err)
		}
	}
}

func TestParseRefused(t *testing.T) {
	wrap := func(def ...byte) []byte { // one type with such a definition
		return cat([]byte(magic), []byte{14}, []byte{4, 0, 0, 0}, def)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, `does not begin with "meta"`},
		{"other magic", []byte("atem\x0e"), `does not begin with "meta"`},
		{"V13", []byte("meta\x0d"), "version 13"},
		{"V17", []byte("meta\x11"), "version 17"},
		{"too long", make([]byte, MaxSize+1), "at most 2097152 allowed"},
		{"a billion types", []byte("meta\x0e\xfe\xff\xff\xff"), "types: value out of range: 1073741823 elements at offset 5, at most 16384 allowed"},
		{"a type's own number", cat([]byte("meta\x0e\x04\x08\x00\x00"), make([]byte, 9)), "type 0: no such type: it says that it is type 2"},
		{"kind 8", wrap(8, 0, 0), "no such type of kind 8"},
		{"primitive 15", wrap(5, 15, 0), "primitive 15"},
		{"a type that is not there", wrap(2, 4, 0), "type 0: no such type: 1, of 1"},
		{"a name with an escape", cat([]byte("meta\x0e\x04\x00\x04"), text("\x1b[2J"), []byte{0, 5, 0, 0}), `name is not plain text: "\x1b[2J"`},
		{"a name with a delete", cat([]byte("meta\x0e\x04\x00\x04"), text("a\x7f"), []byte{0, 5, 0, 0}), `name is not plain text: "a\x7f"`},
		{"a name that is no UTF-8", cat([]byte("meta\x0e\x04\x00\x04"), text("a\xff"), []byte{0, 5, 0, 0}), `name is not plain text: "a\xff"`},
		{"a name turned around", cat([]byte("meta\x0e\x04\x00\x04"), text("a\u202eb"), []byte{0, 5, 0, 0}), "name is not plain text"},
		{"two variants of one index", wrap(1, 8, 4, 'a', 0, 3, 0, 4, 'b', 0, 3, 0, 0), "two variants have the index 3"},
	} {
		if _, err := Parse(c.b); !errors.Is(err, ErrMetadata) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestFromAPI(t *testing.T) {
	b := sample().metadata(15)
	for _, c := range []struct {
		name string
		b    []byte
		want string // of the error
	}{
		{"Vec<u8>", scale.AppendBlob(nil, b), ""},
		{"Option<Vec<u8>>", scale.AppendBlob([]byte{1}, b), ""},
		{"None", []byte{0}, "the runtime has none of that version"},
		{"bare", b, "answer of the runtime"},
		{"nothing", nil, "answer of the runtime"},
		{"a byte more", append(scale.AppendBlob(nil, b), 0), "trailing bytes"},
		{"a byte less", scale.AppendBlob(nil, b)[:len(b)], "input too short"},
	} {
		m, err := FromAPI(c.b)
		if c.want == "" && (err != nil || m.Version != 15) || c.want != "" && (!errors.Is(err, ErrMetadata) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	m := demo(t, 16)
	for _, c := range []struct{ name, want string }{
		{"System.Number", ""},
		{"system.NUMBER", ""},
		{"System.Numbr", "no storage item of System is called \"Numbr\"; did you mean Number?"},
		{"Sistem.Number", "no pallet is called \"Sistem\"; did you mean System?"},
		{"System.Zebra", "no storage item of System is called \"Zebra\""},
		{"Number", "want PALLET.NAME"},
		{"", "want PALLET.NAME"},
		{"Utility.X", "no storage item of Utility"},
		{strings.Repeat("x", 1e5) + ".y", "no pallet is called"},
	} {
		_, err := m.Item(c.name)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrUnknown) || !strings.HasSuffix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300) {
			t.Errorf("%.40q: %v, want %s", c.name, err, c.want)
		}
	}
	if _, _, err := m.CallDef("System.set_weight"); err == nil || !strings.Contains(err.Error(), "did you mean set_weights?") {
		t.Error(err)
	}
	if _, _, err := m.Method("DemoApi_versoin"); err == nil || !strings.Contains(err.Error(), "did you mean version?") {
		t.Error(err)
	}
	if _, err := m.Constant("System.SS58prefix"); err != nil {
		t.Error(err)
	}
}

func TestTypeNames(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for name, want := range map[string]string{
		"Vec<(u16,u16)>": "Vec<(u16, u16)>", "Option<Option<bool>>": "Option<Option<bool>>", "[u16; 2]": "[u16; 2]",
		"Compact<Perbill>": "Compact<Perbill>", "BitVec<u8,Lsb0>": "BitVec<u8>", "AccountId32": "AccountId32", "()": "()", "Loop": "Loop",
	} {
		if got := m.Types.Name(b.id(name)); got != want {
			t.Errorf("%s is called %s", name, got)
		}
	}
}
