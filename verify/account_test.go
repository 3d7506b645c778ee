package verify

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// The development accounts every Substrate tool knows, as subkey prints them.
var accounts = []struct{ address, key string }{
	{"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"},
	{"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48"},
	{"5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM", strings.Repeat("00", 32)},
}

func TestAccount(t *testing.T) {
	for _, c := range accounts {
		id, err := ParseAccount(c.address)
		if err != nil || id.Hex() != "0x"+c.key {
			t.Errorf("%s: %s, %v, want %s", c.address, id.Hex(), err, c.key)
		}
		if id.String() != c.address {
			t.Errorf("%s: written as %s", c.address, id)
		}
		for _, text := range []string{c.key, "0x" + c.key} {
			if got, err := ParseAccount(text); err != nil || got != id {
				t.Errorf("%s: %v, %v", text, got, err)
			}
		}
	}
}

func TestAccountRefused(t *testing.T) {
	alice := accounts[0].address
	for name, text := range map[string]string{
		"empty":         "",
		"one letter":    "5",
		"short":         alice[:len(alice)-1],
		"long":          alice + "1",
		"no base 58":    strings.Replace(alice, "G", "0", 1),
		"letter wrong":  strings.Replace(alice, "w", "x", 1),
		"last letter":   alice[:len(alice)-1] + "Z", // one more: only the last byte of the checksum is another
		"Polkadot's":    "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
		"hex too short": "0xd43593",
		"hex too long":  "0x" + strings.Repeat("00", 33),
		"no hex":        "0x" + strings.Repeat("zz", 32),
		"a book":        strings.Repeat("5", 1<<20),
		"not ASCII":     "5Grwva€",
	} {
		if id, err := ParseAccount(text); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}

// TestBase58 compares with a slow reference, math/big.
func TestBase58(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for i := 0; i < len(b) && r.IntN(3) == 0; i++ {
			b[i] = 0
		}
		var want []byte
		for n, m := new(big.Int).SetBytes(b), new(big.Int); n.Sign() > 0; {
			n.DivMod(n, big.NewInt(58), m)
			want = append([]byte{alphabet[m.Int64()]}, want...)
		}
		for i := 0; i < len(b) && b[i] == 0; i++ {
			want = append([]byte{'1'}, want...)
		}
		got := encode58(b)
		if got != string(want) {
			t.Fatalf("%x: %s, want %s", b, got, want)
		}
		if len(b) == 0 {
			continue
		}
		back, err := decode58(got)
		if err != nil || string(back) != string(b) {
			t.Fatalf("%x: back as %x, %v", b, back, err)
		}
	}
}

func FuzzParseAccount(f *testing.F) {
	for _, c := range accounts {
		f.Add(c.address)
		f.Add(c.key)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseAccount(text)
		if err != nil {
			return
		}
		if back, err := ParseAccount(id.String()); err != nil || back != id {
			t.Fatalf("%q: %v, back %v, %v", text, id, back, err)
		}
	})
}
