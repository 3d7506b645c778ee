package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify"
)

// vector is one key of testdata/sr25519.json, which tells where it is from.
type vector struct {
	SURI, PublicKey, Address, Entropy, MiniSecret, Message, Signature string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/sr25519.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Vectors []vector }
	if err := json.Unmarshal(b, &v); err != nil || len(v.Vectors) < 10 {
		t.Fatalf("%d vectors, %v", len(v.Vectors), err)
	}
	return v.Vectors
}

func unhexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, suri string) *Hotkey {
	t.Helper()
	k, err := Parse([]byte(suri))
	if err != nil {
		t.Fatalf("%q: %v", suri, err)
	}
	return k
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		k := parse(t, v.SURI)
		if k.Account().Hex() != v.PublicKey || k.Account().String() != v.Address {
			t.Errorf("%q: %v, want %s", v.SURI, k.Account(), v.Address)
		}
		if phrase, _, _ := strings.Cut(v.SURI, "/"); phrase != "" {
			entropy, err := entropyOf([]byte(phrase))
			if err != nil || !bytes.Equal(entropy, unhexed(t, v.Entropy)) {
				t.Errorf("%q: entropy %x, %v", v.SURI, entropy, err)
			}
			if again := mnemonicOf(entropy); string(again) != phrase {
				t.Errorf("%q: written again %q", phrase, again)
			}
			_, password, _ := strings.Cut(v.SURI, "///")
			mini, err := miniSecretOf([]byte(phrase), []byte(password))
			if err != nil || !bytes.Equal(mini, unhexed(t, v.MiniSecret)) {
				t.Errorf("%q: seed %x, %v", v.SURI, mini, err)
			}
		}
		message, sig := unhexed(t, v.Message), [64]byte(unhexed(t, v.Signature))
		if !Verify(k.Account(), message, sig) {
			t.Errorf("%q: its signature does not verify", v.SURI)
		}
		own, err := k.Sign(message)
		if err != nil || !Verify(k.Account(), message, own) || own == sig {
			t.Errorf("%q: own signature: %v", v.SURI, err)
		}
		wrapped, _ := k.Sign(Wrap(message))
		if !Verify(k.Account(), message, wrapped) {
			t.Errorf("%q: a wrapped signature does not verify", v.SURI)
		}
		for i := range own {
			bad := own
			bad[i] ^= 1
			if Verify(k.Account(), message, bad) {
				t.Errorf("%q: byte %d of the signature does not matter", v.SURI, i)
			}
		}
		if Verify(k.Account(), append(message, 0), own) || Verify(verify.AccountID{1}, message, own) {
			t.Errorf("%q: another message or key verifies", v.SURI)
		}
	}
}

func TestPrivateKeys(t *testing.T) {
	for _, c := range []struct{ suri, account, private string }{
		// Subkey's development phrase and BIP-39's first test phrase, as btwallet writes them.
		{devPhrase, "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV",
			"05d65584630d16cd4af6d0bec10f34bb504a5dcb62dba2122d49f5a663763d0afd190cce74df356432b410bd64682309d6dedb27c76845daf388557cbac3ca34"},
		{"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about", "5EPCUjPxiHAcNooYipQFWr9NmmXJKpNG5RhcntXwbtUySrgH",
			"2ec306fc1c5bc2f0e3a2c7a6ec6014ca4a0823a7d7d42ad5e9d7f376a1c36c0d14a2ddb1ef1df4adba49f3a4d8c0f6205117907265f09a53ccf07a4e8616dfd8"},
	} {
		k := parse(t, c.suri)
		if k.String() != c.account || hex.EncodeToString(k.secret[:]) != c.private {
			t.Errorf("%v has another private key than %s", k, c.account)
		}
		if back, err := fromPrivate(k.secret[:]); err != nil || back.account != k.account {
			t.Errorf("%v: %v", back, err)
		}
	}
	if k := parse(t, "//0"); k.String() != "5D34dL5prEUaGNQtPPZ3yN5Y6BnkfXunKXXz6fo7ZJbLwRRH" {
		t.Errorf("//0 is %v", k)
	}
	// 0x and the seed is the same key as the phrase.
	if a, b := parse(t, devPhrase), parse(t, "0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"); a.account != b.account || b.Mnemonic() != nil {
		t.Error("a seed is another key than its mnemonic")
	}
	if a, b := parse(t, "//Alice/x"), parse(t, "//Alice/x"); a.secret != b.secret {
		t.Error("a soft child is another one each time")
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("a", maxSecret+1)
	for _, s := range []string{
		"", " ", "0x", "0x12", "0x" + strings.Repeat("0", 62), "0x" + strings.Repeat("g", 64), "0x" + strings.Repeat("0", 66),
		"0x" + strings.Repeat("1", 64) + "///pw", devPhrase + "//", devPhrase + "/", "///", "///pw", "/", "//",
		strings.TrimSuffix(devPhrase, " walk"), devPhrase + " walk", strings.Replace(devPhrase, "walk", "walks", 1),
		strings.Replace(devPhrase, "bottom", "bottle", 1), "drive bottom" + strings.TrimPrefix(devPhrase, "bottom drive"), strings.ToUpper(devPhrase), long,
	} {
		k, err := Parse([]byte(s))
		if err == nil && s != "///pw" || err != nil && !errors.Is(err, ErrSecret) && !errors.Is(err, ErrMnemonic) {
			t.Errorf("%.40q: %v, %v", s, k, err)
		}
	}
}

// TestNoSecretInErrors: what was typed or read never comes back in an error or by printing a key.
func TestNoSecretInErrors(t *testing.T) {
	secretWords := []string{"bottom", "zanzibar", "fac7959d", "hunter2", "05d65584"}
	for _, s := range []string{
		"bottom zanzibar obey lake curtain smoke basket hold race lonely fit walk", "0xfac7959dzz", "bottom", "bottom//hunter2///hunter2",
		`{"secretPhrase":"bottom zanzibar"}`, `{"secretSeed":"0xfac7959d"}`, `{"privateKey":"05d65584"`, `{"secretSeed":["fac7959d"]}`,
		`{"secretSeed":"\u0062ottom"}`, "fac7959d", `{"publicKey":1,"secretPhrase":"` + devPhrase + `"}`,
		`{"secretPhrase":"` + devPhrase + `","ss58Address":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"}`,
		"$ANSIBLE_VAULT fac7959d", "$NACLfac7959d",
	} {
		_, err1 := Parse([]byte(s))
		_, err2 := ParseKeyfile([]byte(s))
		_, err3 := Decrypt([]byte(s), []byte("hunter2"))
		for _, err := range []error{err1, err2, err3} {
			for _, w := range secretWords {
				if err == nil && strings.HasPrefix(s, "{") || err != nil && strings.Contains(err.Error(), w) {
					t.Errorf("%q: %v", s, err)
				}
			}
		}
	}
	k := parse(t, devPhrase)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, *k); strings.Contains(got, "bottom") || strings.Contains(got, "05d655") || strings.Contains(got, "626f74") || strings.Contains(got, "98 111") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// TestWordList pins the list by the hash under which everybody has it.
func TestWordList(t *testing.T) {
	if sum := sha256.Sum256([]byte(english)); hex.EncodeToString(sum[:]) != "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda" {
		t.Errorf("the word list has the hash %x", sum)
	}
}

func TestNewMnemonic(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []int{12, 15, 18, 21, 24} {
		phrase, err := NewMnemonic(n)
		if err != nil || len(bytes.Fields(phrase)) != n || seen[string(phrase)] {
			t.Fatalf("%d words: %v", n, err)
		}
		seen[string(phrase)] = true
		k, err := Parse(phrase)
		if err != nil || !bytes.Equal(k.Mnemonic(), phrase) {
			t.Errorf("%d words: %v", n, err)
		}
	}
	for _, n := range []int{0, -12, 11, 13, 27, 1 << 30} {
		if _, err := New(n); !errors.Is(err, ErrMnemonic) {
			t.Errorf("%d words: %v", n, err)
		}
	}
}

func TestWipe(t *testing.T) {
	k := parse(t, devPhrase)
	seed, phrase := k.seed, k.phrase
	k.Wipe()
	if k.secret != [64]byte{} || !bytes.Equal(seed, make([]byte, 32)) || bytes.ContainsFunc(phrase, func(r rune) bool { return r != 0 }) {
		t.Error("a secret is left")
	}
	if _, err := k.Sign(nil); err == nil {
		t.Error("a wiped key signs")
	}
}

type gate struct{ err error }

func (g *gate) MaySign() error { return g.err }

func TestSigner(t *testing.T) {
	k, g := parse(t, "//Alice"), &gate{}
	s, err := NewSigner(k, g)
	if err != nil || s.Account() != k.account {
		t.Fatal(err)
	}
	if sig, err := s.Sign([]byte("x")); err != nil || !Verify(k.account, []byte("x"), sig) {
		t.Error(err)
	}
	g.err = errors.New("the clock was never set")
	if sig, err := s.Sign([]byte("x")); !errors.Is(err, ErrNotNow) || !errors.Is(err, g.err) || sig != [64]byte{} {
		t.Errorf("signs behind a closed gate: %v", err)
	}
	if _, err := NewSigner(k, nil); err == nil {
		t.Error("a signer without a gate")
	}
	if _, err := NewSigner(nil, g); err == nil {
		t.Error("a signer without a key")
	}
}

// TestRuntimeSignatures checks signatures that a real runtime of spec 293 accepted on extrinsics.
func TestRuntimeSignatures(t *testing.T) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS names no folder of vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, "runtime-oracle-spec293.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Steps []struct{ Label, Signer, SignedPayloadHex, Signature string }
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range v.Steps {
		if s.Signature == "" {
			continue
		}
		account, err := verify.ParseAccount(s.Signer)
		payload, sig := unhexed(t, s.SignedPayloadHex), unhexed(t, s.Signature)
		if len(payload) > 256 {
			sum := blake2b.Sum256(payload)
			payload = sum[:]
		}
		p, err2 := ParsePublicKey(account)
		if err != nil || err2 != nil || !p.Verify(payload, [64]byte(sig[len(sig)-64:])) {
			t.Errorf("%s: %v %v", s.Label, err, err2)
		}
		n++
	}
	if n != 37 {
		t.Errorf("%d signatures, want 37", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.SURI))
	}
	f.Add([]byte("0x" + strings.Repeat("ab", 32) + "/1//+5/" + strings.Repeat("long", 20)))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := Parse(b)
		if err != nil {
			return
		}
		again, err := ParseKeyfile(k.keyfile())
		if err != nil || again.account != k.account || again.secret != k.secret {
			t.Fatalf("%q: the file of %v reads as %v, %v", b, k, again, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := parse(b, "//Alice")
	message := bytes.Repeat([]byte("m"), 220)
	sig, err := k.Sign(message)
	p, err2 := ParsePublicKey(k.account)
	if err != nil || err2 != nil {
		b.Fatal(err, err2)
	}
	for b.Loop() {
		if !p.Verify(message, sig) {
			b.Fatal("refused")
		}
	}
}
