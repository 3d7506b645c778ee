package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

const remark = "00000c686579" // System.remark("hey")

func sized(hexes ...string) []byte {
	b, err := hex.DecodeString(strings.Join(hexes, ""))
	if err != nil {
		panic(err)
	}
	return scale.AppendBlob(nil, b)
}

var signature = strings.Repeat("5e", 64)

func TestExtrinsic(t *testing.T) {
	const (
		extra = "1c" + "04" + "0109000000" // nonce 7, tip 1, sponsor 9
		call  = "System.remark"
	)
	for version := byte(14); version <= 16; version++ {
		m := demo(t, version)
		for _, c := range []struct {
			name string
			b    []byte
			form Signing
			vers uint8
		}{
			{"bare 4", sized("04", remark), Bare, 4},
			{"bare 5", sized("05", remark), Bare, 5},
			{"signed 4", sized("84", "00", aliceKey, "01", signature, extra, remark), Signed, 4},
			{"general 5", sized("45", "00", extra, remark), General, 5},
		} {
			x, err := m.DecodeExtrinsic(c.b)
			if err != nil {
				t.Errorf("V%d: %s: %v", version, c.name, err)
				continue
			}
			if x.Form != c.form || x.Version != c.vers || x.Call.String() != call || hex.EncodeToString(x.CallBytes) != remark {
				t.Errorf("V%d: %s: %+v", version, c.name, x)
			}
			if x.Form == Signed && (x.Address.String() != "Id("+alice+")" || x.Signature.String() != "Sr25519(0x"+signature+")") {
				t.Errorf("V%d: %s: %v %v", version, c.name, x.Address, x.Signature)
			}
			if x.Form == Bare {
				continue
			}
			n, _ := x.Extension("CheckNonce").Uint64()
			if tip := x.Extension("ChargeTip"); n != 7 || tip.String() != "{tip: 1, sponsor: 9}" || x.Extension("Other") != nil || len(x.Extensions) != 4 {
				t.Errorf("V%d: %s: nonce %d, %v", version, c.name, n, tip)
			}
		}
	}
	// V16 may have other extensions under another version of them.
	x, err := demo(t, 16).DecodeExtrinsic(sized("45", "09", "1c", remark))
	if err != nil || x.ExtensionVersion != 9 || len(x.Extensions) != 1 || x.Defs[0].Name != "CheckNonce" {
		t.Errorf("%+v, %v", x, err)
	}
}

func TestExtrinsicRefused(t *testing.T) {
	m := demo(t, 16)
	for _, c := range []struct {
		name string
		b    []byte
		want string
		is   error
	}{
		{"nothing", nil, "at byte 0, reading the length and version", scale.ErrShort},
		{"another length", sized("04", remark)[:5], "length 7 of 4 bytes", scale.ErrRange},
		{"version 6", sized("06", remark), "at byte 2, reading the version: not in the metadata: version 6 of kind 0", ErrUnknown},
		{"signed 5", sized("85", remark), "version 5 of kind 2", ErrUnknown},
		{"general 4", sized("44", remark), "version 4 of kind 1", ErrUnknown},
		{"kind 3", sized("c4", remark), "version 4 of kind 3", ErrUnknown},
		{"extensions of version 8", sized("45", "08", remark), "extensions of version 8", ErrUnknown},
		{"cut in the address", sized("84", "00", aliceKey[:20]), "address.Id: at byte 3, reading [u8; 32]", scale.ErrShort},
		{"another address", sized("84", "09"), "address: at byte 2, reading MultiAddress", ErrUnknown},
		{"cut in the signature", sized("84", "00", aliceKey, "01"), "signature.Sr25519: at byte 36", scale.ErrShort},
		{"cut in an extension", sized("84", "00", aliceKey, "01", signature, "1c04"), "extension ChargeTip.sponsor: at byte 103", scale.ErrShort},
		{"no such pallet", sized("04", "63"), "at byte 2, reading RuntimeCall: not in the metadata: variant 99", ErrUnknown},
		{"no such call", sized("04", "0063"), ".System: at byte 3, reading Call: not in the metadata: variant 99", ErrUnknown},
		{"cut in the call", sized("04", "00000c68"), ".System.remark.remark: at byte 4, reading Vec<u8>", scale.ErrShort},
		{"more after the call", sized("04", remark, "00"), "at byte 8, reading the end", scale.ErrTrailing},
	} {
		x, err := m.DecodeExtrinsic(c.b)
		var d *DecodeError
		if !errors.As(err, &d) || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %s", c.name, x, err, c.want)
		}
	}
}

func TestCall(t *testing.T) {
	m := demo(t, 15)
	for _, c := range []struct{ name, args, hex, json, text string }{
		{"System.remark", `{"remark":"hey"}`, remark, `{"pallet":"System","call":"remark","args":{"remark":"0x686579"}}`, `System.remark {remark: "hey"}`},
		{"system.Set_Weights", `[7,[1],0]`, "0077" + "0700" + "040100" + "0000000000000000",
			`{"pallet":"System","call":"set_weights","args":{"netuid":7,"dests":[1],"version_key":0}}`, `System.set_weights {netuid: 7, dests: [1], version_key: 0}`},
		{"System.transfer", `{"dest":"` + alice + `","value":"1_000_000_000"}`, "0003" + "00" + aliceKey + "02286bee",
			`{"pallet":"System","call":"transfer","args":{"dest":{"Id":"` + alice + `"},"value":1000000000}}`, `System.transfer {dest: Id(` + alice + `), value: 1000000000}`},
		{"Utility.batch", `{"calls":[{"System":{"remark":{"remark":"hey"}}},{"Utility":{"batch":{"calls":[]}}}]}`, "0b00" + "08" + remark + "0b0000",
			`{"pallet":"Utility","call":"batch","args":{"calls":[{"System":{"remark":{"remark":"0x686579"}}},{"Utility":{"batch":{"calls":[]}}}]}}`,
			`Utility.batch {calls: [System(remark {remark: "hey"}), Utility(batch {calls: []})]}`},
	} {
		b, err := m.EncodeCall(c.name, []byte(c.args))
		if err != nil || hex.EncodeToString(b) != c.hex {
			t.Errorf("%s %s: %x, %v, want %s", c.name, c.args, b, err, c.hex)
			continue
		}
		call, err := m.DecodeCall(b)
		if err != nil {
			t.Fatal(err)
		}
		j, err := json.Marshal(call)
		if err != nil || string(j) != c.json {
			t.Errorf("%s: %s, %v, want %s", c.name, j, err, c.json)
		}
		if got := string(call.AppendText(nil)); got != c.text {
			t.Errorf("%s: %s, want %s", c.name, got, c.text)
		}
	}
	if b, err := m.EncodeCallWords("System.set_weights", "7", "[1]", "0"); err != nil || hex.EncodeToString(b) != "0077"+"0700"+"040100"+"0000000000000000" {
		t.Errorf("%x, %v", b, err)
	}
	for _, name := range []string{"System", "System.x", "Zebra.remark", ""} {
		if b, err := m.EncodeCall(name, nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
	// Calls nested deeper than they are decoded.
	deep := append(bytes.Repeat([]byte{11, 0, 4}, 100), unhex(t, remark)...)
	if _, err := m.DecodeCall(deep); !errors.Is(err, ErrWork) {
		t.Error(err)
	}
}

func TestModuleError(t *testing.T) {
	m := demo(t, 14)
	e, err := m.ModuleError(0, []byte{0, 0, 0, 0})
	if err != nil || e.Error() != "System.InvalidSpecName: The name is another.\nSecond line." {
		t.Errorf("%v, %v", e, err)
	}
	for _, c := range []struct {
		pallet uint8
		code   []byte
	}{{0, []byte{1}}, {0, nil}, {11, []byte{0}}, {12, []byte{0}}} {
		if e, err := m.ModuleError(c.pallet, c.code); !errors.Is(err, ErrUnknown) {
			t.Errorf("%d %x: %v, %v", c.pallet, c.code, e, err)
		}
	}
	id := sample().id("DispatchError")
	for raw, want := range map[string]string{"030004000000": "System.Refused", "03000a000000": "", "00": "", "030c00000000": ""} {
		v, err := m.Types.Decode(id, unhex(t, raw))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if e := m.DispatchError(&v); e != nil {
			got = e.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

func TestUnknownExtensions(t *testing.T) {
	m := demo(t, 16)
	got := m.UnknownExtensions(func(name string) bool { return name == "CheckNonce" })
	if strings.Join(got, " ") != "CheckGenesis ChargeTip" {
		t.Error(got)
	}
}
