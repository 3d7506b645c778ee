package metadata

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// systemPrefix is twox128("System"), as every Substrate chain has it.
const systemPrefix = "26aa394eea5630e07c48ae0c9558cef7"

// TestKeys: the keys of the first three are those of the test network's genesis, with its sudo key, and
// of any chain; the hashes of the others are worked out by verify's hashers, one by one.
func TestKeys(t *testing.T) {
	m := demo(t, 15)
	b128 := func(p []byte) string { h := verify.Blake2b128(p); return hex.EncodeToString(h[:]) }
	key := unhex(t, aliceKey)
	for _, c := range []struct{ item, words, want string }{
		{"System.Number", "", systemPrefix + "02a5c1b19ab7a04f536c519aca4983ac"},
		{"System.Account", "0xd2b77364d1c3b445cd69bd59f1a87dcb26c9ce3f46437d55b88b43f1c177e776",
			systemPrefix + "b99d880ec681799c0cf30e8886371da9 f730e3d14303575486c5eec0137186b8 d2b77364d1c3b445cd69bd59f1a87dcb26c9ce3f46437d55b88b43f1c177e776"},
		{"System.BlockHash", "0", systemPrefix + "a44704b568d21667356a5a050c118746 b4def25cfda6ef3a 00000000"},
		{"System.Account", "", systemPrefix + "b99d880ec681799c0cf30e8886371da9"},
		{"System.Uids", "258 " + alice, hex.EncodeToString(verify.StorageKey("System", "Uids")) + "0201" + b128(key) + aliceKey},
		{"System.Uids", "258", hex.EncodeToString(verify.StorageKey("System", "Uids")) + "0201"},
		{"System.Pair", `[258,"` + alice + `"]`, hex.EncodeToString(verify.StorageKey("System", "Pair")) + "0201" + aliceKey},
	} {
		it, err := m.Item(c.item)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(c.words)
		want := unhex(t, strings.ReplaceAll(c.want, " ", ""))
		got, err := it.KeyWords(words...)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v %q: %x, %v, want %x", it, words, got, err, want)
		}
		if m.ItemOf(got) != it {
			t.Errorf("%x is of %v", got, m.ItemOf(got))
		}
		if !it.Complete(len(words)) {
			if _, err := it.SplitKey(got); !errors.Is(err, ErrKey) {
				t.Errorf("%v: a prefix splits: %v", it, err)
			}
			continue
		}
		values, err := it.SplitKeyValues(got)
		if err != nil || len(values) != len(words) {
			t.Fatalf("%v: %v, %v", it, values, err)
		}
		parts := make([][]byte, len(values))
		for i := range values {
			parts[i] = values[i].Raw
		}
		if back, err := it.Key(parts...); err != nil || !bytes.Equal(back, got) {
			t.Errorf("%v: %x, %v, want %x", it, back, err, got)
		}
		for n := range got {
			if _, err := it.SplitKey(got[:n]); !errors.Is(err, ErrKey) {
				t.Errorf("%v: %d bytes split: %v", it, n, err)
			}
		}
		if _, err := it.SplitKey(append(got, 0)); !errors.Is(err, ErrKey) {
			t.Errorf("%v: a byte more: %v", it, err)
		}
	}
}

func TestHashers(t *testing.T) {
	m := demo(t, 14)
	it, err := m.Item("System.Hashed")
	if err != nil {
		t.Fatal(err)
	}
	got, err := it.KeyWords("7", "[1,2]", "5", "6")
	if err != nil {
		t.Fatal(err)
	}
	t64, b256 := verify.Twox64([]byte{7, 0}), verify.Blake2b256([]byte{1, 0, 2, 0})
	t256, t128 := verify.Twox256([]byte{5, 0, 0, 0, 0, 0, 0, 0}), verify.Twox128([]byte{6})
	want := cat(verify.StorageKey("System", "Hashed"), t64[:], []byte{7, 0}, b256[:], t256[:], t128[:])
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	// What is hashed one way is not known again; what stands before it is.
	parts, err := it.SplitKey(got)
	if !errors.Is(err, ErrOneWay) || !strings.Contains(err.Error(), "part 2 is a Blake2_256") || len(parts) != 1 || !bytes.Equal(parts[0], []byte{7, 0}) {
		t.Errorf("%x, %v", parts, err)
	}
	got[33]++
	if _, err := it.SplitKey(got); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "part 1 has another hash") {
		t.Error(err)
	}
	if h := Blake2_128.append(nil, []byte{1}); len(h) != 16 {
		t.Errorf("%x", h)
	}
}

func TestKeysRefused(t *testing.T) {
	m := demo(t, 16)
	for _, c := range []struct {
		item, words, want string
		is                error
	}{
		{"System.Number", "1", "System.Number has a key of no parts, not 1", ErrInput},
		{"System.Uids", "1 2 3", "System.Uids has a key of 2 parts: u16, AccountId32, not 3", ErrInput},
		{"System.Uids", "70000", "System.Uids: key 1: 70000 does not fit u16", ErrInput},
		{"System.Uids", "1 nobody", "System.Uids: key 2: not an address", verify.ErrAddress},
		{"System.Account", "0x11", "1 bytes, want 32", ErrInput},
	} {
		it, err := m.Item(c.item)
		if err != nil {
			t.Fatal(err)
		}
		if k, err := it.KeyWords(strings.Fields(c.words)...); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %s: %x, %v, want %s", it, c.words, k, err, c.want)
		}
	}
	it, _ := m.Item("System.Number")
	if _, err := it.Key(nil); !errors.Is(err, ErrInput) {
		t.Error(err)
	}
	if m.ItemOf(nil) != nil || m.ItemOf(make([]byte, 32)) != nil {
		t.Error("no key is of an item")
	}
}

func TestItemDecode(t *testing.T) {
	m := demo(t, 16)
	for _, c := range []struct {
		item  string
		value []byte
		text  string
		ok    bool
	}{
		{"System.Number", []byte{1, 0, 0, 0}, "1", true},
		{"System.Number", nil, "0", true},
		{"System.Key", nil, "none", false},
		{"System.Account", nil, "{nonce: 0, consumers: 0, free: 0, flags: 0}", true},
		{"System.Events", []byte{8, 0, 0, 0, 1, 3, 0, 4, 0, 0, 0}, "[System(Done), System(Failed {dispatch_error: Module({index: 0, error: 0x04000000})})]", true},
	} {
		it, err := m.Item(c.item)
		if err != nil {
			t.Fatal(err)
		}
		v, ok, err := it.Decode(c.value)
		if err != nil || ok != c.ok || v.String() != c.text {
			t.Errorf("%v %x: %v %v, %v, want %s", it, c.value, v, ok, err, c.text)
		}
	}
	it, _ := m.Item("System.Number")
	if _, _, err := it.Decode([]byte{}); !errors.Is(err, scale.ErrShort) || !strings.HasPrefix(err.Error(), "System.Number: ") {
		t.Errorf("an empty value is not an absent one: %v", err)
	}
}
