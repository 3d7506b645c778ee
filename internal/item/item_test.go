package item

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
)

// The development accounts every Substrate tool knows, as subkey prints them.
var accounts = []struct{ address, key string }{
	{"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"},
	{"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48"},
}

// The keys are those of the chain's own storage map, as indexers and the SDK know them.
func TestKey(t *testing.T) {
	for _, c := range []struct{ name, arg, key string }{
		{"Timestamp.Now", "", "f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb"},
		{"system.number", "", "26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"},
		{"Aura.Authorities", "", "57f8dc2f5ab09467896f47300f0424385e0621c4869aa60c02be9adcc98a0d1d"},
		{"SafeMode.EnteredUntil", "", "f35b44951b86069d9273a961f1e3fbeb1fd1ae5c7c15443bedf0311e151a2a4a"},
		{"System.Account", accounts[0].address, "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9" +
			"de1e86a9a8c739864cf3cc5ec2bea59f" + accounts[0].key},
		{"System.BlockHash", "0", "26aa394eea5630e07c48ae0c9558cef7a44704b568d21667356a5a050c118746" + "b4def25cfda6ef3a" + "00000000"},
		{"SubtensorModule.Tempo", "258", "658faa385070e074c85bf6b568cf05557641384bb339f3758acddfd7053d3317" + "0201"},
	} {
		it, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		key, err := it.Key(c.arg)
		if err != nil || hex.EncodeToString(key) != c.key {
			t.Errorf("%s %s: %x, %v, want %s", c.name, c.arg, key, err, c.key)
		}
	}
}

func TestKeyRefused(t *testing.T) {
	for _, c := range []struct {
		name, arg string
		want      error
	}{
		{"Timestamp.Now", "1", ErrArgument},
		{"System.BlockHash", "", ErrArgument},
		{"System.BlockHash", "-1", ErrArgument},
		{"System.BlockHash", "4294967296", ErrArgument},
		{"System.BlockHash", "1.5", ErrArgument},
		{"SubtensorModule.Tempo", "65536", ErrArgument},
		{"System.Account", "nobody", verify.ErrAddress},
	} {
		it, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if key, err := it.Key(c.arg); !errors.Is(err, c.want) {
			t.Errorf("%s %q: %x, %v", c.name, c.arg, key, err)
		}
	}
	for _, name := range []string{"", ".", "Timestamp", "Timestamp.", "Timestamp.Then", strings.Repeat("x.", 4000)} {
		if it, err := Find(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%.20q: %v, %v", name, it, err)
		}
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ name, value, text, json string }{
		{"Timestamp.Now", "0b1c2a3d9b010000", "1766257728523  2025-12-20 19:08:48.523 UTC", "1766257728523"},
		{"Timestamp.Now", "ffffffffffffffff", "18446744073709551615", "18446744073709551615"},
		{"System.Number", "15cd5b07", "123456789", "123456789"},
		{"SubtensorModule.Tempo", "6801", "360", "360"},
		{"Balances.TotalIssuance", "01ca9a3b00000000", "1.000000001 TAO", "1000000001"},
		{"Sudo.Key", accounts[0].key, accounts[0].address, `"` + accounts[0].address + `"`},
		{"System.LastRuntimeUpgrade", "a506386e6f64652d73756274656e736f72", `"node-subtensor", spec version 425`,
			`{"spec_version":425,"spec_name":"node-subtensor"}`},
		{"System.LastRuntimeUpgrade", "04081b5b", `"\x1b[", spec version 1`, `{"spec_version":1,"spec_name":"\u001b["}`},
		{"Aura.Authorities", "04" + accounts[1].key, "1\n  0x" + accounts[1].key, `["0x` + accounts[1].key + `"]`},
		{"Grandpa.Authorities", "04" + accounts[1].key + "0200000000000000", "1\n  0x" + accounts[1].key + "  weight 2",
			`[{"id":"0x` + accounts[1].key + `","weight":2}]`},
		{"System.Account", "05000000" + "00000000" + "01000000" + "00000000" + "00ca9a3b00000000" + "0100000000000000" + "0000000000000000" +
			"00000000000000000000000000000080", "free 1.000000000 TAO, reserved 0.000000001 TAO, frozen 0.000000000 TAO, nonce 5",
			`{"nonce":5,"consumers":0,"providers":1,"sufficients":0,"free":1000000000,"reserved":1,"frozen":0}`},
	} {
		it, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(c.value)
		if err != nil {
			t.Fatal(err)
		}
		d, err := it.Decode(b)
		if err != nil || d.Text != c.text {
			t.Errorf("%s: %q, %v, want %q", c.name, d.Text, err, c.text)
		}
		if j, err := json.Marshal(d.JSON); err != nil || string(j) != c.json {
			t.Errorf("%s: %s, %v, want %s", c.name, j, err, c.json)
		}
		for _, bad := range [][]byte{b[:len(b)-1], append(b[:len(b):len(b)], 0)} {
			if d, err := it.Decode(bad); !errors.Is(err, ErrValue) {
				t.Errorf("%s of %d bytes: %v, %v", c.name, len(bad), d, err)
			}
		}
	}
}

// TestItems: each item of the list can be asked for, and refuses an empty value.
func TestItems(t *testing.T) {
	for _, it := range All() {
		arg := map[string]string{"": "", "NUMBER": "1", "NETUID": "1", "ADDRESS": accounts[0].address}[it.Arg]
		key, err := it.Key(arg)
		if err != nil {
			t.Errorf("%v: %v", &it, err)
		}
		if prefix := verify.StorageKey(it.Pallet, it.Name); !strings.HasPrefix(string(key), string(prefix)) {
			t.Errorf("%v: key %x", &it, key)
		}
		if d, err := it.Decode(nil); !errors.Is(err, ErrValue) {
			t.Errorf("%v: nothing is %v, %v", &it, d, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint(0), []byte{1, 2, 3, 4})
	f.Add(uint(3), make([]byte, 56))
	f.Add(uint(8), append([]byte{4}, make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, i uint, value []byte) {
		it := items[i%uint(len(items))]
		d, err := it.Decode(value)
		if err != nil {
			return
		}
		if _, err := json.Marshal(d.JSON); err != nil || strings.ContainsAny(d.Text, "\x1b\r\x00") {
			t.Fatalf("%v of %x: %q, %v", &it, value, d.Text, err)
		}
	})
}
