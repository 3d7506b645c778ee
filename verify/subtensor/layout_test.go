package subtensor

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
)

// asIs declares every item as this package has it, but those that change says.
func asIs(change map[string]func(*Declaration)) func(pallet, name string) (Declaration, bool) {
	return func(pallet, name string) (Declaration, bool) {
		it, ok := items[name]
		if !ok || it.pallet != pallet {
			return Declaration{}, false
		}
		d := Declaration{Keys: strings.Fields(forms[name].keys), Value: forms[name].value, Default: it.absent}
		for _, h := range it.hashers {
			d.Hashers = append(d.Hashers, h.String())
		}
		if f := change[name]; f != nil {
			f(&d)
		}
		return d, true
	}
}

// TestForms: every item has a form, with a key for each hasher.
func TestForms(t *testing.T) {
	for name, it := range items {
		f, ok := forms[name]
		if keys := strings.Fields(f.keys); !ok || len(keys) != len(it.hashers) || f.value == "" {
			t.Errorf("%s has %d hashers and the form %q", name, len(it.hashers), f)
		} else {
			for _, k := range keys {
				if sizes[k] == 0 {
					t.Errorf("%s: key of type %s", name, k)
				}
			}
		}
	}
	for name := range forms {
		if _, ok := items[name]; !ok {
			t.Errorf("%s has a form and is no item", name)
		}
	}
}

type mapState map[string][]byte

func (s mapState) Load(keys ...[]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, k := range keys {
		values[i] = s[string(k)]
	}
	return values, nil
}

func TestLayout(t *testing.T) {
	if l := NewLayout(asIs(nil)); len(l.Differs()) != 0 {
		t.Errorf("differs: %v", l.Differs())
	}
	l := NewLayout(asIs(map[string]func(*Declaration){
		"Uids":            func(d *Declaration) { d.Hashers = []string{"Twox64Concat", "Identity"} },
		"IsNetworkMember": func(d *Declaration) { d.Hashers = []string{"Identity", "Twox64Concat"} },
		"Tempo":           func(d *Declaration) { d.Default = u16(99) },
		"Kappa":           func(d *Declaration) { d.Value = "u32" },
		"Owner":           func(d *Declaration) { d.Keys = []string{"[u8;20]"} },
		"Burn":            func(d *Declaration) { d.Hashers = []string{"Twox128"} },
		"ChildKeys":       func(d *Declaration) { d.Hashers = nil },
	}))
	if got := len(l.Differs()); got != 7 {
		t.Errorf("%d differ:\n%s", got, strings.Join(l.Differs(), "\n"))
	}
	hotkey := verify.AccountID{1, 2, 3}
	moved := append(verify.AppendTwox64Concat(Prefix("Uids"), u16(7)), hotkey[:]...)
	s := l.Over(mapState{
		string(moved):                      u16(12),
		string(KeySubnet("Emission", 7)):   {0},
		string(KeySubnet("Kappa", 7)):      {1, 2, 3, 4},
		string(KeySubnet("LastUpdate", 7)): {0},
	})
	if uid, ok, err := ReadUID(s, 7, hotkey); uid != 12 || !ok || err != nil {
		t.Errorf("uid %d, %v, %v", uid, ok, err)
	}
	if _, ok, err := ReadUID(s, 8, hotkey); ok || err != nil {
		t.Errorf("on another subnet: %v, %v", ok, err)
	}
	var tempo uint16
	var q Batch
	q.Subnet("Tempo", 7, &tempo)
	if err := q.Load(s); tempo != 99 || err != nil {
		t.Errorf("tempo %d, %v", tempo, err)
	}
	for _, name := range []string{"Kappa", "Burn"} {
		if _, err := s.Load(KeySubnet(name, 7)); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, key := range [][]byte{KeyOwner(hotkey), KeyChildKeys(hotkey, 7)} {
		if _, err := s.Load(key); !errors.Is(err, ErrLayout) {
			t.Errorf("key 0x%x: %v", key, err)
		}
	}

	// Keys, and what keys begin with, there and back.
	for _, k := range [][]byte{
		KeyUids(7, hotkey), key("Uids", u16(7)), key("Uids"), PrefixIsNetworkMember(hotkey), append(PrefixIsNetworkMember(hotkey), 7, 0),
		KeySubnet("LastUpdate", 3), []byte(":code"), {1}, nil,
	} {
		there, err := l.Key(k)
		if err != nil {
			t.Fatal(err)
		}
		back, err := l.Back(there)
		if err != nil || !bytes.Equal(back, k) {
			t.Errorf("0x%x came back as 0x%x, %v", k, back, err)
		}
	}
	for _, k := range [][]byte{append(KeyUids(7, hotkey), 1), KeyUids(7, hotkey)[:60]} {
		if _, err := l.Key(k); !errors.Is(err, ErrLayout) {
			t.Errorf("0x%x: %v", k, err)
		}
	}
	if !l.Has("Uids") || l.Has("Elsewhere") {
		t.Error("what it has")
	}
}

// TestLayoutGone: an item that the runtime has not is read as its proof says, absent.
func TestLayoutGone(t *testing.T) {
	l := NewLayout(func(pallet, name string) (Declaration, bool) {
		d, ok := asIs(nil)(pallet, name)
		return d, ok && name != "Tempo"
	})
	if l.Has("Tempo") || len(l.Differs()) != 0 {
		t.Errorf("has it: %v; differs: %v", l.Has("Tempo"), l.Differs())
	}
	names := slices.Sorted(maps.Keys(items))
	for _, name := range names {
		if !l.Has(name) && name != "Tempo" {
			t.Errorf("%s is missed", name)
		}
	}
}
