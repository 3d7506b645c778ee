package tx

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
)

// TestFinney takes a signed extrinsic of finney's block 9,178,000 apart, whose parts were told apart by another
// program. It was signed at spec 470; its call and extensions are those of 424.
func TestFinney(t *testing.T) {
	var v struct {
		SpecVersion        uint32      `json:"spec_version"`
		TransactionVersion uint32      `json:"transaction_version"`
		Genesis            verify.Hash `json:"genesis_hash"`
		Extrinsic          string
		Signer             string
		Signature          string
		Call               string
		Extra              string
		Implicit           string
		Payload            string `json:"signing_payload"`
	}
	if err := json.Unmarshal(vector(t, "chain", "finney-9178000-xt15-signing-payload.json"), &v); err != nil {
		t.Fatal(err)
	}
	terms := &Terms{Metadata: vectorMetadata(t, "metadata-v16-spec424.scale"), Genesis: v.Genesis, SpecVersion: v.SpecVersion, TransactionVersion: v.TransactionVersion, Number: 9_178_000}
	s, err := terms.Open(unhex(t, v.Extrinsic), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Payload
	if hexText(p.Extra) != v.Extra || hexText(p.Implicit) != v.Implicit || hexText(p.Call) != v.Call || hexText(p.Bytes()) != v.Payload {
		t.Errorf("extra %x, implicit %x, payload %x", p.Extra, p.Implicit, p.Bytes())
	}
	if p.From.Hex() != v.Signer || p.Nonce != 61 || s.Call.String() != "SubtensorModule.transfer_stake" {
		t.Errorf("%s nonce %d: %s", p.From.Hex(), p.Nonce, s.Call)
	}
	// On another network, at another spec or after a change, the signature does not hold.
	for name, change := range map[string]func(*Terms){
		"genesis": func(t *Terms) { t.Genesis[0] ^= 1 }, "spec": func(t *Terms) { t.SpecVersion-- }, "transaction": func(t *Terms) { t.TransactionVersion++ },
	} {
		other := *terms
		change(&other)
		if _, err := other.Open(unhex(t, v.Extrinsic), nil); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExtensions: whatever extrinsics of a known runtime hold is known, and of what is not nothing comes.
func TestExtensions(t *testing.T) {
	for _, name := range []string{"metadata-v14-spec343.scale", "metadata-v15-spec293.scale", "metadata-v15-spec343.scale", "metadata-v16-spec393.scale", "metadata-v16-spec424.scale"} {
		m := vectorMetadata(t, name)
		terms, err := NewTerms(m, verify.Hash{1}, 1000, verify.Hash{2})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		call, err := m.EncodeCall("System.remark", []byte(`{"remark": "0x01"}`))
		if err != nil {
			t.Fatal(err)
		}
		p, err := terms.Payload(call, Options{Period: 64, Tip: 5, Nonce: 300, MetadataHash: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// Era 64 born with 1000 (phase 40), nonce 300, tip 5, mode 1; versions, genesis, birth, the hash.
		if want := "0x8502b1041401"; hexText(p.Extra) != want {
			t.Errorf("%s: extra %x, want %s", name, p.Extra, want)
		}
		if n := len(p.Implicit); n != 4+4+32+32+33 {
			t.Errorf("%s: implicit of %d bytes", name, n)
		}

		strange := *m
		strange.Extrinsic.Extensions = append([]metadata.Extension{{Name: "CheckMood", Type: m.Extrinsic.Extensions[5].Type, Implicit: m.Extrinsic.Extensions[0].Implicit}}, m.Extrinsic.Extensions...)
		if _, err := NewTerms(&strange, verify.Hash{1}, 1, verify.Hash{}); !errors.Is(err, ErrExtension) || !strings.Contains(err.Error(), "CheckMood") {
			t.Errorf("%s: an unknown extension: %v", name, err)
		}
		// One of a known name that holds something else.
		strange.Extrinsic.Extensions = []metadata.Extension{{Name: "CheckNonce", Type: m.Extrinsic.Extensions[7].Type, Implicit: m.Extrinsic.Extensions[0].Implicit}}
		if _, err := NewTerms(&strange, verify.Hash{1}, 1, verify.Hash{}); !errors.Is(err, ErrExtension) {
			t.Errorf("%s: a changed extension: %v", name, err)
		}
	}
}

// slowBirth is the definition of sp_runtime::generic::Era, by trial: the birth is the last block of the phase.
func slowBirth(e Era, current uint32) uint32 {
	for b := int64(current); b >= 0; b-- {
		if uint64(b)%e.Period == e.Phase {
			return uint32(b)
		}
	}
	return uint32(e.Phase)
}

func TestEra(t *testing.T) {
	for _, c := range []struct {
		block  uint32
		period uint64
		want   string
	}{
		{42, 64, "0xa502"},       // sp_runtime's own test: period 64, phase 42
		{20000, 32768, "0x4e9c"}, // and its second
		{1000, 128, "0x8606"},    // 6, and 0x68 above it
	} {
		e := Mortal(c.block, c.period)
		if got := hexText(e.Append(nil)); got != c.want {
			t.Errorf("era of %d at %d: %s, want %s", c.period, c.block, got, c.want)
		}
	}
	for period := uint64(4); period <= 2048; period *= 2 {
		for block := uint32(0); block < 5000; block += 37 {
			e := Mortal(block, period)
			back, err := DecodeEra(e.Append(nil))
			if err != nil || back != e {
				t.Fatalf("%d at %d: %v, %v", period, block, back, err)
			}
			if got := e.Birth(block); got != block {
				t.Fatalf("%d at %d: born with %d", period, block, got)
			}
			last := e.Last(block)
			if uint64(last) != uint64(block)+period-1 || e.Birth(last) != block || e.Birth(last+1) == block {
				t.Fatalf("%d at %d: last block %d", period, block, last)
			}
			if got := e.Birth(block + 11); got != slowBirth(e, block+11) {
				t.Fatalf("%d at %d: born with %d", period, block, got)
			}
		}
	}
	for _, b := range [][]byte{nil, {0, 0}, {1}, {0xff, 0xff, 0}, {0x00, 0x10}, {1, 0xff}} {
		if e, err := DecodeEra(b); err == nil {
			t.Errorf("era of %x: %v", b, e)
		}
	}
}

// TestSignatures: those of the reference vectors hold, with whatever stands in front of them.
func TestSignatures(t *testing.T) {
	var file struct {
		Vectors []struct {
			SURI, PublicKey, Message, Signature string
			Ed25519                             *struct{ PublicKey, Signature string }
		}
	}
	if err := json.Unmarshal(vector(t, "sr25519-vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	check := func(what string, scheme Scheme, public, signature, message []byte) {
		t.Helper()
		n++
		from := verify.AccountID(public)
		for _, b := range [][]byte{signature, append([]byte{byte(scheme)}, signature...)} {
			s, err := ParseSignature(b, from, message)
			if err != nil || s.Scheme != scheme {
				t.Errorf("%s: %v, %v", what, s.Scheme, err)
			}
		}
		if _, err := ParseSignature(append([]byte{byte(1 - scheme)}, signature...), from, message); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: under the other scheme: %v", what, err)
		}
		if _, err := ParseSignature(signature, from, append(bytes.Clone(message), 0)); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: over something else: %v", what, err)
		}
	}
	for _, v := range file.Vectors {
		check(v.SURI, Sr25519, unhex(t, v.PublicKey), unhex(t, v.Signature), unhex(t, v.Message))
		if v.Ed25519 != nil {
			check(v.SURI+" ed25519", Ed25519, unhex(t, v.Ed25519.PublicKey), unhex(t, v.Ed25519.Signature), unhex(t, v.Message))
		}
	}
	if n < 10 {
		t.Errorf("%d signatures", n)
	}
}

// TestEcdsa: the account is the hash of the key, and the signature is over the hash of the payload.
func TestEcdsa(t *testing.T) {
	key := secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	from := verify.AccountID(verify.Blake2b256(key.PubKey().SerializeCompressed()))
	message := []byte("a payload")
	hash := verify.Blake2b256(message)
	compact := ecdsa.SignCompact(key, hash[:], true) // recovery id + 31, r, s
	sig := append(bytes.Clone(compact[1:]), compact[0]-31)
	for _, b := range [][]byte{sig, append([]byte{2}, sig...)} {
		if s, err := ParseSignature(b, from, message); err != nil || s.Scheme != Ecdsa {
			t.Errorf("%v, %v", s.Scheme, err)
		}
	}
	for i := range sig {
		bad := bytes.Clone(sig)
		bad[i] ^= 0x10
		if _, err := ParseSignature(bad, from, message); err == nil {
			t.Errorf("byte %d changed, and it holds", i)
		}
	}
}

// TestLongPayload: over 256 bytes their hash is signed.
func TestLongPayload(t *testing.T) {
	_, terms := oracle(t)
	for _, n := range []int{0, 139, 140, 141, 142, 143, 1000} {
		call, err := terms.Metadata.EncodeCall("System.remark", []byte(`{"remark": "0x`+strings.Repeat("00", n)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		p, err := terms.Payload(call, Options{})
		if err != nil {
			t.Fatal(err)
		}
		whole := p.Whole()
		h := verify.Blake2b256(whole)
		if want := map[bool][]byte{true: h[:], false: whole}[len(whole) > 256]; !bytes.Equal(p.Bytes(), want) {
			t.Errorf("payload of %d bytes: %d to sign", len(whole), len(p.Bytes()))
		}
	}
}

// TestFiles: a payload comes back from both forms of file as it was, and one that somebody changed does not pass.
func TestFiles(t *testing.T) {
	m := vectorMetadata(t, "metadata-v16-spec424.scale")
	hash := verify.Hash{9}
	terms, err := NewTerms(m, verify.Hash{1}, 9_000_000, hash)
	if err != nil {
		t.Fatal(err)
	}
	birth := func(number uint32) (verify.Hash, error) {
		if number != 9_000_000 {
			return verify.Hash{}, errors.New("another block")
		}
		return hash, nil
	}
	call, err := Transfer(m, verify.AccountID{5}, 1_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Nonce: 7, Period: 64}, {}, {Period: 2048, Tip: 1 << 40, MetadataHash: true, Nonce: 1<<32 - 1}} {
		o.From = verify.AccountID{3}
		p, err := terms.Payload(call, o)
		if err != nil {
			t.Fatal(err)
		}
		file, _ := json.Marshal(p.File("finney", "", nil))
		signer, _ := json.Marshal(p.SignerPayload())
		for _, b := range [][]byte{file, signer} {
			back, sig, err := Parse(b)
			if err != nil || sig != nil {
				t.Errorf("%s: %v", b, err)
				continue
			}
			later := *terms
			later.Number += 3
			if err := later.Fits(back, birth); err != nil || !bytes.Equal(back.Whole(), p.Whole()) || back.From != p.From {
				t.Errorf("%s: %v", b, err)
			}
			for what, change := range map[string]func(*Terms){
				"genesis": func(t *Terms) { t.Genesis[3]++ }, "spec_version": func(t *Terms) { t.SpecVersion++ }, "transaction_version": func(t *Terms) { t.TransactionVersion++ },
			} {
				other := later
				change(&other)
				back, _, _ := Parse(b)
				if err := other.Fits(back, birth); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), what) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if o.Period > 0 {
				behind := *terms
				behind.Number -= 2
				back, _, _ := Parse(b)
				if err := behind.Fits(back, birth); !errors.Is(err, lightclient.ErrNotYet) {
					t.Errorf("before its era: %v", err)
				}
				gone := later
				gone.Number += uint32(o.Period)
				back, _, _ = Parse(b)
				if err := gone.Fits(back, birth); !errors.Is(err, ErrLapsed) {
					t.Errorf("after its era: %v", err)
				}
			}
		}
	}
	for name, b := range map[string]string{
		"nothing": ``, "no object": `[]`, "another kind": `{"kind": "x"}`, "two": `{"kind": "taolight payload"} {}`,
		"version 5": `{"version": 5}`,
	} {
		if _, _, err := Parse([]byte(b)); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
