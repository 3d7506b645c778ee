package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// The account of subkey's Alice.
const (
	alice    = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
	aliceKey = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
)

// values are types of the sample, SCALE bytes worked out by hand, and what they are in JSON and in text
// (where that differs from the JSON).
var values = []struct{ typ, scale, json, text string }{
	{"bool", "01", `true`, ""},
	{"u8", "ff", `255`, ""},
	{"u16", "0201", `258`, ""},
	{"u64", "ffffffffffffffff", `18446744073709551615`, ""},
	{"u128", "ffffffffffffffffffffffffffffffff", `340282366920938463463374607431768211455`, ""},
	{"u128", "01000000000000000000000000000000", `1`, ""},
	{"u256", "0000000000000000000000000000000000000000000000000000000000000080", `57896044618658097711785492504343953926634992332820282019728792003956564819968`, ""},
	{"i8", "80", `-128`, ""},
	{"i16", "feff", `-2`, ""},
	{"i32", "ffffffff", `-1`, ""},
	{"i64", "0000000000000080", `-9223372036854775808`, ""},
	{"i128", "ffffffffffffffffffffffffffffffff", `-1`, ""},
	{"i256", "0000000000000000000000000000000000000000000000000000000000000080", `-57896044618658097711785492504343953926634992332820282019728792003956564819968`, ""},
	{"char", "56030000", `"\u0356"`, "'\u0356'"},
	{"char", "78000000", `"x"`, `'x'`},
	{"str", "1474612d7461", `"ta-ta"`, ""},
	{"str", "10f09f998f", `"🙏"`, ""},
	{"()", "", `[]`, ""},
	{"Nothing", "", `{}`, ""},
	{"str", "143c263e225c", `"<&>\"\\"`, `"<&>\"\\"`},
	{"str", "041b", `"\u001b"`, `"\x1b"`},
	{"Vec<u8>", "00", `"0x"`, "0x"},
	{"Vec<u8>", "0c54414f", `"0x54414f"`, `"TAO"`},
	{"Vec<u8>", "081b5b", `"0x1b5b"`, "0x1b5b"},
	{"BoundedVec", "0cffffff", `"0xffffff"`, "0xffffff"},
	{"[u8; 4]", "61757261", `"0x61757261"`, `"aura"`},
	{"H256", strings.Repeat("61", 32), `"0x` + strings.Repeat("61", 32) + `"`, "0x" + strings.Repeat("61", 32)},
	{"AccountId32", aliceKey, `"` + alice + `"`, alice},
	{"TaoBalance", "00ca9a3b00000000", `1000000000`, ""},
	{"U256", "00" + "01" + strings.Repeat("00", 30), `256`, ""},
	{"U256", strings.Repeat("ff", 32), `115792089237316195423570985008687907853269984665640564039457584007913129639935`, ""},
	{"Vec<u16>", "0c010002000300", `[1,2,3]`, "[1, 2, 3]"},
	{"Vec<bool>", "080100", `[true,false]`, "[true, false]"},
	{"Vec<()>", "08", `[[],[]]`, "[[], []]"},
	{"[u16; 2]", "0100ffff", `[1,65535]`, "[1, 65535]"},
	{"[u64; 4]", "01" + strings.Repeat("00", 31), `[1,0,0,0]`, "[1, 0, 0, 0]"},
	{"Vec<Compact<()>>", "0c", `[[],[],[]]`, "[[], [], []]"},
	{"Vec<Compact<u32>>", "0804fd03", `[1,255]`, "[1, 255]"},
	{"Vec<(u16,u16)>", "0401000200", `[[1,2]]`, "[[1, 2]]"},
	{"Vec<AccountId32>", "04" + aliceKey, `["` + alice + `"]`, "[" + alice + "]"},
	{"Compact<u8>", "fd03", `255`, ""},
	{"Compact<u16>", "feff0300", `65535`, ""},
	{"Compact<u64>", "13ffffffffffffffff", `18446744073709551615`, ""},
	{"Compact<u128>", "1700000000000000" + "0001", `18446744073709551616`, ""},
	{"Compact<u128>", "33ffffffffffffffffffffffffffffffff", `340282366920938463463374607431768211455`, ""},
	{"Compact<Perbill>", "0284d717", `100000000`, ""},
	{"Compact<TaoBalance>", "04", `1`, ""},
	{"Compact<()>", "", `[]`, ""},
	{"BitVec<u8,Lsb0>", "280501", `"1010000010"`, "0b1010000010"},
	{"BitVec<u16,Msb0>", "100090", `"1001"`, "0b1001"},
	{"BitVec<u16,Msb0>", "00", `""`, "0b"},
	{"Option<u32>", "00", `null`, "none"},
	{"Option<u32>", "0105000000", `5`, ""},
	{"Option<bool>", "0100", `false`, ""},
	{"Option<()>", "01", `[]`, ""},
	{"Option<Option<bool>>", "00", `null`, "none"},
	{"Option<Option<bool>>", "0100", `{"Some":null}`, "Some(none)"},
	{"Option<Option<bool>>", "010101", `{"Some":true}`, "Some(true)"},
	{"Kind", "00", `"Off"`, "Off"},
	{"Kind", "010700", `{"One":7}`, "One(7)"},
	{"Kind", "03070001", `{"Two":[7,true]}`, "Two(7, true)"},
	{"Kind", "0707000461", `{"Named":{"a":7,"b":"0x61"}}`, `Named {a: 7, b: "a"}`},
	{"Kind", "ff", `"Last"`, "Last"},
	{"Record", "0700" + aliceKey + "0a00000000000000" + "00" + "0101000000",
		`{"netuid":7,"hotkey":"` + alice + `","stake":10,"kind":"Off","memo":1}`,
		"{netuid: 7, hotkey: " + alice + ", stake: 10, kind: Off, memo: 1}"},
	{"MultiAddress", "00" + aliceKey, `{"Id":"` + alice + `"}`, "Id(" + alice + ")"},
	{"MultiAddress", "01", `{"Index":[]}`, "Index([])"},
	{"Chain", "010100", `{"Link":{"next":{"Link":{"next":"End"}}}}`, "Link {next: Link {next: End}}"},
	{"Call", "0077070008010002000500000000000000", `{"System":{"set_weights":{"netuid":7,"dests":[1,2],"version_key":5}}}`,
		"System(set_weights {netuid: 7, dests: [1, 2], version_key: 5})"},
}

func TestValues(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for _, c := range values {
		id, raw := b.id(c.typ), unhex(t, c.scale)
		v, err := m.Types.Decode(id, raw)
		if err != nil {
			t.Errorf("%s %s: %v", c.typ, c.scale, err)
			continue
		}
		j, err := json.Marshal(v)
		if err != nil || !sameJSON(string(j), c.json) {
			t.Errorf("%s %s: %s, %v, want %s", c.typ, c.scale, j, err, c.json)
		}
		text := c.text
		if text == "" {
			text = c.json
		}
		if v.String() != text {
			t.Errorf("%s %s: %s, want %s", c.typ, c.scale, v, text)
		}
		if !bytes.Equal(v.Raw, raw) {
			t.Errorf("%s %s: raw %x", c.typ, c.scale, v.Raw)
		}
		for _, in := range []string{string(j), c.json} {
			if back, err := m.Types.EncodeJSON(id, []byte(in)); err != nil || !bytes.Equal(back, raw) {
				t.Errorf("%s %s: encodes to %x, %v, want %s", c.typ, in, back, err, c.scale)
			}
			// A quoted string as JSON, anything else as the word that it is.
			if back, err := m.Types.EncodeWord(id, in); err != nil || !bytes.Equal(back, raw) {
				t.Errorf("%s as a word, %s: %x, %v, want %s", c.typ, in, back, err, c.scale)
			}
		}
		r := m.Types.NewReader(append(raw[:len(raw):len(raw)], 0xee))
		if r.Skip(id); r.Err() != nil || r.Offset() != len(raw) {
			t.Errorf("%s %s: skipped to %d, %v", c.typ, c.scale, r.Offset(), r.Err())
		}
		if _, err := m.Types.Decode(id, append(raw[:len(raw):len(raw)], 0)); !errors.Is(err, scale.ErrTrailing) {
			t.Errorf("%s %s and a byte: %v", c.typ, c.scale, err)
		}
		for n := range raw {
			if v, err := m.Types.Decode(id, raw[:n]); err == nil {
				t.Errorf("%s: %d bytes of %s are %s", c.typ, n, c.scale, v)
			}
		}
	}
}

// sameJSON compares what two texts say, with numbers as they are written.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var x, y string
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y
}

// TestWords: what people type, and what it encodes to.
func TestWords(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for _, c := range []struct{ typ, word, want string }{
		{"u16", "258", "0201"},
		{"u64", "1_000_000", "40420f0000000000"},
		{"u64", "1,000,000", "40420f0000000000"},
		{"u64", `"1000000"`, "40420f0000000000"},
		{"u16", "0x0102", "0201"},
		{"i16", "-2", "feff"},
		{"Compact<u128>", "18_446_744_073_709_551_616", "17000000000000000001"},
		{"bool", "true", "01"},
		{"str", "ta ta", "147461207461"},
		{"str", `"\"x\""`, "0c227822"},
		{"str", "0x41", "1030783431"},
		{"char", "é", "e9000000"},
		{"char", "\ufffd", "fdff0000"},
		{"Vec<u8>", "TAO", "0c54414f"},
		{"Vec<u8>", "0x54414f", "0c54414f"},
		{"Vec<u8>", `"TAO"`, "0c54414f"},
		{"Vec<u8>", "[84,65,79]", "0c54414f"},
		{"Vec<u8>", "", "00"},
		{"Vec<u8>", "12", "083132"},
		{"AccountId32", alice, aliceKey},
		{"AccountId32", "0x" + aliceKey, aliceKey},
		{"AccountId32", aliceKey, aliceKey},
		{"H256", aliceKey, aliceKey},
		{"MultiAddress", alice, "00" + aliceKey},
		{"MultiAddress", `"` + alice + `"`, "00" + aliceKey},
		{"MultiAddress", `{"Id":"0x` + aliceKey + `"}`, "00" + aliceKey},
		{"Option<u32>", "none", "00"},
		{"Option<u32>", "None", "00"},
		{"Option<u32>", "null", "00"},
		{"Option<u32>", "5", "0105000000"},
		{"Option<Option<bool>>", `{"Some":null}`, "0100"},
		{"Option<Option<bool>>", `{"Some":true}`, "010101"},
		{"Kind", "Off", "00"},
		{"Kind", "off", "00"},
		{"Kind", `"Last"`, "ff"},
		{"Kind", `{"Off":null}`, "00"},
		{"Kind", `{"One":"0x7"}`, "010700"},
		{"Kind", `{"Named":[7,"a"]}`, "0707000461"},
		{"Record", `{"memo":null,"kind":"Off","stake":10,"hotkey":"` + alice + `","netuid":7}`, "0700" + aliceKey + "0a00000000000000" + "00" + "00"},
		{"Record", `[7,"` + alice + `","1,0","Off",null]`, "0700" + aliceKey + "0a00000000000000" + "00" + "00"},
		{"BitVec<u8,Lsb0>", "101", "0c05"},
		{"U256", "0x100", "0001" + strings.Repeat("00", 30)},
		{"U256", "[256,0,0,0]", "0001" + strings.Repeat("00", 30)},
	} {
		got, err := m.Types.EncodeWord(b.id(c.typ), c.word)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%s %s: %x, %v, want %s", c.typ, c.word, got, err, c.want)
		}
	}
}

// TestWordsRefused: the error names the place and what was wanted.
func TestWordsRefused(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for _, c := range []struct {
		typ, word, want string
		is              error
	}{
		{"u16", "65536", "65536 does not fit u16", ErrInput},
		{"u16", "-1", "-1 does not fit u16", ErrInput},
		{"i8", "128", "128 does not fit i8", ErrInput},
		{"i8", "-129", "-129 does not fit i8", ErrInput},
		{"u64", "1e3", `does not fit u64: "1e3", want a whole number`, ErrInput},
		{"u64", "1.5", "want a whole number", ErrInput},
		{"u64", "", "want a whole number", ErrInput},
		{"u64", "--1", "want a whole number", ErrInput},
		{"u64", "0x-1", "want a whole number", ErrInput},
		{"u64", "0x", "want a whole number", ErrInput},
		{"u64", "[1]", "does not fit u64: a list of 1, want a number", ErrInput},
		{"u256", strings.Repeat("9", 200), "want a whole number", ErrInput},
		{"Vec<u16>", "[1,2,70000]", "[2]: 70000 does not fit u16", ErrInput},
		{"Vec<u16>", "[1.0]", "[0]: does not fit u16: 1.0, want a whole number", ErrInput},
		{"Vec<u16>", "1", `does not fit Vec<u16>: "1", want a JSON list`, ErrInput},
		{"Vec<u8>", "0x5", "want 0x and hex digits", ErrInput},
		{"[u16; 2]", "[1]", "1 elements, want 2", ErrInput},
		{"[u8; 4]", "0x010203", "3 bytes, want 4", ErrInput},
		{"[u8; 4]", "aura", "want 0x and hex digits", ErrInput},
		{"AccountId32", alice[:47] + "Z", "checksum", verify.ErrAddress},
		{"AccountId32", "0x00", "1 bytes, want 32", ErrInput},
		{"MultiAddress", alice[:47] + "Z", "checksum", verify.ErrAddress},
		{"MultiAddress", "Idd", "did you mean Id?", ErrUnknown},
		{"bool", "yes", "want true or false", ErrInput},
		{"Option<u32>", "x", "want a whole number", ErrInput},
		{"Kind", "On", "did you mean", ErrUnknown},
		{"Kind", "One", ".One: does not fit: 0 values, want u16", ErrInput},
		{"Kind", `{"One":70000}`, ".One: 70000 does not fit u16", ErrInput},
		{"Kind", `{"Named":{"a":7,"b":"0x6"}}`, ".Named.b: does not fit Vec<u8>", ErrInput},
		{"Kind", `{"Named":{"a":7}}`, ".Named: does not fit: b is missing, want a: u16, b: Vec<u8>", ErrInput},
		{"Kind", `{"Named":{"a":7,"b":"","c":1}}`, `no field is called "c"`, ErrUnknown},
		{"Kind", `{"Named":{"a":7,"b":"","a":8}}`, `"a" stands twice`, ErrInput},
		{"Kind", `{"Off":null,"Last":null}`, `want the name of a variant or {"Name": …}`, ErrInput},
		{"Record", `{"netuid":`, "not valid JSON: unexpected EOF", ErrInput},
		{"Record", `[1] [2]`, "not valid JSON: more after its end", ErrInput},
		{"Record", strings.Repeat("[", 1000), "not valid JSON", ErrWork},
		{"Compact<bool>", "1", "nothing that has a compact form", ErrUnknown},
		{"Compact<u8>", "256", "256 does not fit Compact<u8>", ErrInput},
		{"Compact<()>", "1", "want []", ErrInput},
		{"char", "\xff", "want one character", ErrInput},
		{"char", "ab", "want one character", ErrInput},
		{"char", "", "want one character", ErrInput},
		{"str", "\xff", "want text", ErrInput},
		{"BitVec<bool,Lsb0>", "1", "bits in words of that type", ErrUnknown},
		{"BitVec<u128,Lsb0>", "1", "bits in words of that type", ErrUnknown},
		{"BitVec<u8,Lsb0>", "102", "want digits 0 and 1", ErrInput},
		{"Void", "x", `no variant of Void is called "x"`, ErrUnknown},
		{"Loop", "[[[[[[[[[[1]]]]]]]]]]", "", nil},
	} {
		got, err := m.Types.EncodeWord(b.id(c.typ), c.word)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 900 {
			t.Errorf("%s %.40s: %x, %v, want %s", c.typ, c.word, got, err, c.want)
		}
	}
	_, err := m.Types.EncodeFieldWords(m.Types.Type(b.id("SystemCall")).Variant(119).Fields, []string{"1", "[3,70000]", "0"})
	if want := "arg 2: [1]: 70000 does not fit u16"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = m.EncodeCall("System.set_weights", []byte(`{"netuid":1,"dests":[0,1,2,70000],"version_key":0}`))
	if want := "System.set_weights: .dests[3]: 70000 does not fit u16"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = m.EncodeCallWords("System.set_weights", "1", "2")
	if want := "System.set_weights: does not fit: 2 arguments, want netuid: u16, dests: Vec<u16>, version_key: u64"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestDecodeRefused: the error names the byte, the path and the type.
func TestDecodeRefused(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for _, c := range []struct {
		typ, scale, want string
		is               error
	}{
		{"bool", "02", "at byte 0, reading bool: value out of range", scale.ErrRange},
		{"char", "00d80000", "no character has the number 55296", scale.ErrRange},
		{"char", "ffffffff", "no character has the number", scale.ErrRange},
		{"str", "04ff", "not UTF-8", scale.ErrRange},
		{"Vec<u16>", "0c0100", "at byte 0, reading Vec<u16>: input too short: 3 elements of 2 bytes or more, 2 bytes left", scale.ErrShort},
		{"Vec<u16>", "feffffff", "1073741823 elements of 2 bytes", scale.ErrShort},
		{"Vec<u16>", "0100", "shortest form", scale.ErrNonCanonical},
		{"Vec<Compact<u32>>", "0c04", "3 elements of 1 bytes or more, 1 bytes left", scale.ErrShort},
		{"Vec<Kind>", "0cff", "3 elements of 1 bytes or more, 1 bytes left", scale.ErrShort},
		{"Vec<Record>", "0cff", "3 elements of 44 bytes or more, 1 bytes left", scale.ErrShort},
		{"Compact<u8>", "0104", "256 does not fit 8 bits", scale.ErrRange},
		{"Compact<u64>", "17000000000000000001", "compact integer of 9 bytes", scale.ErrRange},
		{"Compact<u128>", "17010000000000000000", "shortest form", scale.ErrNonCanonical},
		{"Compact<u128>", "37ffffffffffffffffffffffffffffffffff", "compact integer of 17 bytes", scale.ErrRange},
		{"Compact<bool>", "04", "nothing that has a compact form", ErrUnknown},
		{"Kind", "02", "at byte 0, reading Kind: not in the metadata: variant 2", ErrUnknown},
		{"Kind", "030700", ".Two.1: at byte 3, reading bool: input too short", scale.ErrShort},
		{"Void", "00", "variant 0", ErrUnknown},
		{"Record", "0700" + aliceKey + "0a00000000000000" + "09" + "00", ".kind: at byte 42, reading Kind: not in the metadata: variant 9", ErrUnknown},
		{"BitVec<bool,Lsb0>", "04" + "01", "bits in words of that type", ErrUnknown},
		{"BitVec<u128,Lsb0>", "04" + "01000000000000000000000000000000", "bits in words of that type", ErrUnknown},
		{"BitVec<u8,Lsb0>", "0c0d", "shortest form", scale.ErrNonCanonical},
		{"BitVec<u8,Lsb0>", "fd03ff", "255 bits in 1 bytes", scale.ErrShort},
		{"Call", "0b000400000801", ".Utility.batch.calls[0].System.remark.remark: at byte 5, reading Vec<u8>: input too short", scale.ErrShort},
	} {
		v, err := m.Types.Decode(b.id(c.typ), unhex(t, c.scale))
		var d *DecodeError
		if !errors.As(err, &d) || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, %v, want %s", c.typ, c.scale, v, err, c.want)
		}
		r := m.Types.NewReader(unhex(t, c.scale))
		if r.Skip(b.id(c.typ)); !errors.Is(r.Err(), c.is) {
			t.Errorf("%s %s: skipped, %v", c.typ, c.scale, r.Err())
		}
	}
	if _, err := m.Types.Decode(NoType, nil); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// TestHostileTypes: what has no end, or no size, ends as an error without much work or memory.
func TestHostileTypes(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for _, c := range []struct {
		typ string
		b   []byte
	}{
		{"Loop", nil},
		{"Loop", make([]byte, 1000)},
		{"Chain", bytes.Repeat([]byte{1}, 1<<20)},
		{"Vec<()>", unhex(t, "13ffffffffffffffff")},
		{"Vec<()>", unhex(t, "feffffff")},
		{"[(); 4294967295]", nil},
		{"[u64; 4294967295]", make([]byte, 64)},
		{"Wide", nil}, // 67 million empty structs
	} {
		id := b.id(c.typ)
		if got := testing.AllocsPerRun(1, func() {
			if v, err := m.Types.Decode(id, c.b); !errors.Is(err, ErrWork) && !errors.Is(err, scale.ErrShort) {
				t.Errorf("%s: %.40v, %v", c.typ, v.Form, err)
			}
		}); got > 100_000 {
			t.Errorf("%s: %v allocations", c.typ, got)
		}
		if c.typ == "[(); 4294967295]" || c.typ == "Wide" {
			continue // nothing to read past: no work
		}
		r := m.Types.NewReader(c.b)
		if r.Skip(id); !errors.Is(r.Err(), ErrWork) && !errors.Is(r.Err(), scale.ErrShort) {
			t.Errorf("%s: skipped, %v", c.typ, r.Err())
		}
		m.Types.Name(id)
	}
	// A million values in one tree are too many, whatever they are.
	if _, err := m.Types.Decode(b.id("Vec<u16>"), append(compact(MaxValues+1), make([]byte, 2*MaxValues+2)...)); !errors.Is(err, ErrWork) {
		t.Error(err)
	}
	r := m.Types.NewReader(append(compact(MaxValues+1), make([]byte, 2*MaxValues+2)...))
	if r.Skip(b.id("Vec<u16>")); r.Finish() != nil {
		t.Error(r.Finish())
	}
}

// TestDeep: what is decoded, be it as deep as that goes, is encoded again.
func TestDeep(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for links, deep := range map[int]bool{maxDepth: false, maxDepth + 1: true} {
		raw := append(bytes.Repeat([]byte{1}, links), 0)
		v, err := m.Types.Decode(b.id("Chain"), raw)
		if deep != errors.Is(err, ErrWork) || deep == (err == nil) {
			t.Fatalf("%d links: %v", links, err)
		}
		if deep {
			continue
		}
		if back, err := m.Types.EncodeJSON(b.id("Chain"), v.AppendJSON(nil)); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%d links: %x, %v", links, back, err)
		}
	}
}

// TestReader reads a struct's fields by their names, without a tree and without an allocation.
func TestReader(t *testing.T) {
	b, m := sample(), demo(t, 16)
	id := b.id("Record")
	raw := unhex(t, "0700"+aliceKey+"0a00000000000000"+"03070001"+"0105000000")
	read := func() (netuid, stake, memo uint64, hotkey []byte, kind string) {
		r := m.Types.NewReader(raw)
		for _, f := range m.Types.Shape(id).Fields {
			switch f.Name {
			case "netuid":
				netuid = r.Uint(f.Type)
			case "hotkey":
				hotkey = r.Bytes(f.Type)
			case "stake":
				stake = r.Uint(f.Type)
			case "kind":
				v := r.Variant(f.Type)
				kind = v.Name
				for _, f := range v.Fields {
					r.Skip(f.Type)
				}
			case "memo":
				if v := r.Variant(f.Type); len(v.Fields) == 1 {
					memo = r.Uint(v.Fields[0].Type)
				}
			}
		}
		if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
		return
	}
	netuid, stake, memo, hotkey, kind := read()
	if netuid != 7 || stake != 10 || memo != 5 || hex.EncodeToString(hotkey) != aliceKey || kind != "Two" {
		t.Error(netuid, stake, memo, hotkey, kind)
	}
	if n := testing.AllocsPerRun(100, func() { read() }); n > 2 { // the two readers
		t.Errorf("%v allocations", n)
	}

	r := m.Types.NewReader(raw)
	if f, ok := r.Find(id, "stake"); !ok || r.Uint(f) != 10 {
		t.Error(f, ok, r.Err())
	}
	r = m.Types.NewReader(raw)
	if f, ok := r.Find(id, "nothing"); ok {
		t.Error(f)
	}
	r = m.Types.NewReader(unhex(t, "0c010002000300"))
	elem, n := r.Count(b.id("Vec<u16>"))
	sum := uint64(0)
	for range n {
		sum += r.Uint(elem)
	}
	if n != 3 || sum != 6 || r.Finish() != nil {
		t.Error(n, sum, r.Finish())
	}
	for _, c := range []struct {
		typ, scale string
		read       func(*Reader, ID)
	}{
		{"bool", "01", func(r *Reader, id ID) { r.Uint(id) }},
		{"i8", "ff", func(r *Reader, id ID) { r.Uint(id) }},
		{"u128", "000000000000000001000000000000000", func(r *Reader, id ID) { r.Uint(id) }},
		{"u8", "01", func(r *Reader, id ID) { r.Bool(id) }},
		{"u8", "01", func(r *Reader, id ID) { r.Bytes(id) }},
		{"u8", "01", func(r *Reader, id ID) { r.Variant(id) }},
		{"u8", "01", func(r *Reader, id ID) { r.Count(id) }},
		{"str", "0441", func(r *Reader, id ID) { r.Big(id) }},
	} {
		raw, _ := hex.DecodeString(c.scale[:len(c.scale)/2*2])
		r := m.Types.NewReader(raw)
		if c.read(r, b.id(c.typ)); r.Err() == nil {
			t.Errorf("%s %s: no error", c.typ, c.scale)
		}
	}
	r = m.Types.NewReader(unhex(t, "feffffffffffffffffffffffffffffff"))
	if v := r.Big(b.id("i128")); v.String() != "-2" || r.Finish() != nil {
		t.Error(v, r.Finish())
	}
}

func TestValueAccess(t *testing.T) {
	b, m := sample(), demo(t, 16)
	for _, c := range []struct {
		typ, scale string
		want       uint64
		ok         bool
	}{
		{"u128", "ffffffffffffffff0000000000000000", 1<<64 - 1, true},
		{"u128", "00000000000000000100000000000000", 0, false},
		{"i64", "ffffffffffffffff", 0, false},
		{"i64", "ffffffffffffff7f", 1<<63 - 1, true},
		{"bool", "01", 1, true},
		{"str", "0431", 0, false},
	} {
		v, err := m.Types.Decode(b.id(c.typ), unhex(t, c.scale))
		if n, ok := v.Uint64(); err != nil || ok != c.ok || ok && n != c.want {
			t.Errorf("%s %s: %d %v, %v", c.typ, c.scale, n, ok, err)
		}
	}
	for raw, want := range map[string]string{"feffffffffffffffffffffffffffffff": "-2", "0000000000000000ffffffffffffff7f": "170141183460469231713240559642174554112"} {
		v, err := m.Types.Decode(b.id("i128"), unhex(t, raw))
		if err != nil || v.Big().String() != want {
			t.Errorf("i128 %s: %v, %v, want %s", raw, v.Big(), err, want)
		}
	}
	v, err := m.Types.Decode(b.id("Record"), unhex(t, "0700"+aliceKey+"0a00000000000000"+"03070001"+"00"))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := v.Field("netuid").Uint64(); n != 7 || !ok {
		t.Error(n, ok)
	}
	if f := v.Field("stake"); f.Type.Last() != "TaoBalance" || f.Form != Uint || f.Big().String() != "10" {
		t.Errorf("%+v", f)
	}
	if f := v.Field("hotkey"); f.Form != Account || hex.EncodeToString(f.Bytes()) != aliceKey {
		t.Errorf("%+v", f)
	}
	if f := v.Field("kind"); f.Variant.Name != "Two" || len(f.Items) != 2 || f.IsNone() {
		t.Errorf("%+v", f)
	}
	if !v.Field("memo").IsNone() || v.Field("other") != nil {
		t.Error(v)
	}
	var zero Value
	if zero.String() != "none" || zero.Field("x") != nil || zero.IsNone() {
		t.Error(zero)
	}
	if j, err := json.Marshal(zero); err != nil || string(j) != "null" {
		t.Errorf("%s, %v", j, err)
	}
}
