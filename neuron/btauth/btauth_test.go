package btauth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

func account(t testing.TB, s string) verify.AccountID {
	t.Helper()
	a, err := verify.ParseAccount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestVector is the ed25519 variant of a request from //Alice to //Bob, signed by another implementation:
// that scheme's signatures are the same each time, so this one pins the text.
func TestVector(t *testing.T) {
	body := []byte(`{"prompt": "hello"}`)
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != "341c57448e531310fbbe83f44cea2a5e838bd9e8a6b82b269f01d0dbbc23c3cc" {
		t.Fatal("another body")
	}
	alice, bob := account(t, "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"), account(t, "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")
	sig, err := hex.DecodeString("1a6b631988bf1f7ea093ab9d5acf61f05c316d0b0e428b24b487b75a5f6ee0e1a56a26918fdf871b6cf09437e6588023a4ce423cf622621b2a7feee17612f704")
	if err != nil {
		t.Fatal(err)
	}
	m := text("ed25519", "POST", "/generate?stream=false", body, 1752076800000000000, alice, &bob)
	if !ed25519.Verify(alice[:], m, sig) {
		t.Errorf("the signature is not over\n%s", m)
	}
	if ed25519.Verify(alice[:], text("ed25519", "POST", "/generate?stream=false", body, 1752076800000000000, alice, nil), sig) {
		t.Error("the receiver does not matter")
	}
}

func TestHeaders(t *testing.T) {
	key, err := wallet.Parse([]byte("//Alice"))
	if err != nil {
		t.Fatal(err)
	}
	bob := account(t, "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")
	for _, to := range []*verify.AccountID{&bob, nil} {
		s := Signed{Sender: key.Account(), Receiver: to, Nonce: 1752076800000000000}
		m := Text("POST", "/generate?a=%20b", []byte("x"), s.Nonce, s.Sender, s.Receiver)
		if s.Signature, err = key.Sign(m); err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		s.SetHeaders(h)
		got, err := ReadSigned(h)
		if err != nil || !Present(h) || got.Sender != s.Sender || got.Nonce != s.Nonce || (got.Receiver == nil) != (to == nil) ||
			!wallet.Verify(got.Sender, Text("POST", "/generate?a=%20b", []byte("x"), got.Nonce, got.Sender, got.Receiver), got.Signature) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if Present(http.Header{"Name": {"Dummy"}}) {
		t.Error("a synapse is taken for btauth")
	}
}

func valid() http.Header {
	return http.Header{HeaderVersion: {"1"}, HeaderHotkey: {"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"}, HeaderNonce: {"1752076800000000000"},
		HeaderSignature: {"0x" + strings.Repeat("ab", 64)}}
}

func TestRefuses(t *testing.T) {
	if _, err := ReadSigned(valid()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, header, value string }{
		{"no version", HeaderVersion, ""}, {"a later version", HeaderVersion, "2"},
		{"another scheme", HeaderCrypto, "ed25519"}, {"an unknown scheme", HeaderCrypto, "none"},
		{"no hotkey", HeaderHotkey, ""}, {"hex", HeaderHotkey, "0x" + strings.Repeat("ab", 32)}, {"a wrong letter", HeaderHotkey, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ"},
		{"a receiver that is none", HeaderReceiver, "-"},
		{"no nonce", HeaderNonce, ""}, {"a nonce with a zero before", HeaderNonce, "01"}, {"a negative nonce", HeaderNonce, "-1"}, {"a float", HeaderNonce, "1e18"},
		{"no signature", HeaderSignature, ""}, {"no 0x", HeaderSignature, strings.Repeat("ab", 65)}, {"short", HeaderSignature, "0xab"},
		{"no hex", HeaderSignature, "0x" + strings.Repeat("zz", 64)}, {"long", HeaderSignature, "0x" + strings.Repeat("ab", 500)},
	} {
		h := valid()
		h.Set(c.header, c.value)
		if _, err := ReadSigned(h); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for name := range valid() {
		h := valid()
		h.Add(name, h.Get(name))
		if _, err := ReadSigned(h); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s twice: %v", name, err)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	h := valid()
	f.Add("1", h.Get(HeaderHotkey), h.Get(HeaderHotkey), h.Get(HeaderNonce), "", h.Get(HeaderSignature))
	f.Fuzz(func(t *testing.T, version, hotkey, receiver, nonce, crypto, sig string) {
		s, err := ReadSigned(http.Header{HeaderVersion: {version}, HeaderHotkey: {hotkey}, HeaderReceiver: {receiver}, HeaderNonce: {nonce}, HeaderCrypto: {crypto}, HeaderSignature: {sig}})
		if err != nil {
			return
		}
		// What was read is what was signed, letter for letter.
		again := http.Header{}
		s.SetHeaders(again)
		if again.Get(HeaderHotkey) != hotkey || again.Get(HeaderReceiver) != receiver || again.Get(HeaderNonce) != nonce || !strings.EqualFold(again.Get(HeaderSignature), sig) {
			t.Fatalf("%v", again)
		}
	})
}
