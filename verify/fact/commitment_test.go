package fact

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/tlock"
)

// A variant is a record with one change.
type variant struct {
	name  string
	pairs []any
	want  Outcome
	step  string
}

func variants(t *testing.T, kind string, r record, list []variant) {
	t.Helper()
	for _, v := range list {
		expect(t, v.name, kind, r.with(v.pairs...), v.want, v.step)
	}
}

// flip returns the hex of b with one bit changed.
func flip(b []byte, at int, bit byte) string {
	c := append([]byte(nil), b...)
	c[at] ^= bit
	return hexOf(c)
}

// demoBeacon is one with a secret that everybody knows.
func demoBeacon(round uint64) (drand.Beacon, drand.Signature) {
	var secret bls12381.Scalar
	secret.SetUint64(7)
	var key bls12381.G2
	key.ScalarMult(&secret, bls12381.G2Generator())
	var sig bls12381.G1
	sig.ScalarMult(&secret, drand.HashToG1(round))
	return drand.Beacon{Name: "demo", PublicKey: drand.PublicKey(key.BytesCompressed())}, drand.Signature(sig.BytesCompressed())
}

func TestPulse(t *testing.T) {
	r := recordsOf(t, "drand_rounds.json")[0]
	demo, sig := demoBeacon(1000)
	infinity := make([]byte, 48)
	infinity[0] = 0xc0
	long := append(r.bytes(t, "signature"), 0)
	variants(t, "pulse", r, []variant{
		{"as it is", nil, OK, ""},
		{"without randomness", []any{"randomness", drop}, OK, ""},
		{"quicknet named by its key", []any{"public_key", drand.Quicknet().PublicKey.String()}, OK, ""},
		{"round as text", []any{"round", "0x3e8"}, OK, ""},
		{"other randomness", []any{"randomness", strings.Repeat("00", 32)}, Failed, "randomness: stated and computed differ"},
		{"other round", []any{"round", 1001, "randomness", drop}, Failed, "signature: "},
		{"round 0", []any{"round", 0, "randomness", drop}, Failed, "signature: "},
		{"another's signature", []any{"signature", sig.String(), "randomness", drop}, Failed, "signature: "},
		{"of another beacon", []any{"signature", sig.String(), "randomness", drop, "public_key", demo.PublicKey.String()}, OK, ""},
		{"under another key", []any{"public_key", demo.PublicKey.String()}, Failed, "signature: "},
		{"key that is none", []any{"public_key", strings.Repeat("00", 96)}, Failed, "public_key: "},
		{"key cut", []any{"public_key", "83cf"}, Failed, "public_key: "},
		{"key too long", []any{"public_key", drand.Quicknet().PublicKey.String() + "00"}, Failed, "input: public_key: "},
		{"infinity", []any{"signature", hexOf(infinity)}, Failed, "signature: "},
		{"signature cut", []any{"signature", hexOf(long[:47])}, Failed, "signature: "},
		{"signature and a byte", []any{"signature", hexOf(long)}, Failed, "signature: "},
		{"empty signature", []any{"signature", ""}, Failed, "signature: "},
		{"no round", []any{"round", drop}, Failed, "input: round: missing"},
		{"no signature", []any{"signature", nil}, Failed, "input: signature: missing"},
		{"round of 65 bits", []any{"round", "18446744073709551616"}, Failed, "input: round: "},
		{"round as a float", []any{"round", 1000.5}, Failed, "input: round: "},
	})
	v := judge(t, "pulse", r.with("randomness", drop))
	if v.Get("time") != uint64(1692803367+999*3) || v.Get("beacon") != "quicknet" {
		t.Errorf("%v", v)
	}
	v = judge(t, "pulse", r.with("signature", sig.String(), "randomness", drop, "public_key", demo.PublicKey.String()))
	if v.Get("time") != nil || v.Get("beacon") != "stated" {
		t.Errorf("%v", v)
	}
	// With nothing stated, every changed bit is refused.
	bare := r.only("round", "signature")
	b := r.bytes(t, "signature")
	for i := range b {
		for _, bit := range []byte{1, 0x80} {
			expect(t, fmt.Sprintf("byte %d", i), "pulse", bare.with("signature", flip(b, i, bit)), Failed, "signature: ")
		}
	}
}

func TestCommitHash(t *testing.T) {
	r := recordsOf(t, "commit_hash.json")[2] // index 4103: subnet 7, mechanism 1
	variants(t, "commit", r, []variant{
		{"as it is", nil, OK, ""},
		{"without preimage", []any{"preimage", drop}, OK, ""},
		{"netuid and mecid instead", []any{"netuid_index", drop, "netuid", 7, "mecid", 1}, OK, ""},
		{"both", []any{"netuid", 7, "mecid", 1}, OK, ""},
		{"address", []any{"who", "5C62W7ELLAAfjCQeBU3me9ykaYomD8XTg2B9Hk6ki6Cm3v58"}, OK, ""},
		{"no hash", []any{"hash", drop}, Undecided, "hash: not decided"},
		{"other hash", []any{"hash", strings.Repeat("00", 32)}, Failed, "hash: stated and computed differ"},
		{"other preimage", []any{"preimage", "00"}, Failed, "preimage: stated and computed differ"},
		{"other preimage, no hash", []any{"preimage", "00", "hash", drop}, Failed, "preimage: "},
		{"main mechanism", []any{"netuid_index", 7, "preimage", drop}, Failed, "hash: "},
		{"main mechanism by netuid", []any{"netuid_index", drop, "netuid", 7, "preimage", drop}, Failed, "hash: "},
		{"index and netuid differ", []any{"netuid", 7}, Failed, "netuid_index: stated and computed differ"},
		{"index and mecid differ", []any{"mecid", 0}, Failed, "mecid: stated and computed differ"},
		{"no such mecid", []any{"netuid_index", drop, "netuid", 7, "mecid", 16}, Failed, "netuid: "},
		{"no such netuid", []any{"netuid_index", drop, "netuid", 4096}, Failed, "netuid: "},
		{"no index", []any{"netuid_index", drop}, Failed, "input: netuid_index: missing"},
		{"other who", []any{"who", strings.Repeat("07", 32), "preimage", drop}, Failed, "hash: "},
		{"who is no account", []any{"who", "5C62W7ELLAAfjCQeBU3me9ykaYomD8XTg2B9Hk6ki6Cm3v59"}, Failed, "input: who: "},
		{"who cut", []any{"who", "0x01"}, Failed, "input: who: "},
		{"other uid", []any{"uids", []int{0, 1, 2, 8}, "preimage", drop}, Failed, "hash: "},
		{"uids and values swapped", []any{"uids", r["values"], "values", r["uids"], "preimage", drop}, Failed, "hash: "},
		{"other order", []any{"uids", []int{1, 0, 2, 7}, "preimage", drop}, Failed, "hash: "},
		{"no salt", []any{"salt", []int{}, "preimage", drop}, Failed, "hash: "},
		{"salt missing", []any{"salt", drop}, Failed, "input: salt: missing"},
		{"other version", []any{"version_key", 842, "preimage", drop}, Failed, "hash: "},
		{"value of 17 bits", []any{"values", []int{10, 20, 30, 65536}}, Failed, "input: values: 3: "},
		{"value below zero", []any{"values", []int{10, 20, 30, -1}}, Failed, "input: values: 3: "},
		{"uids is no list", []any{"uids", 3}, Failed, "input: uids: "},
	})
	if v := judge(t, "commit", r.with("hash", drop)); v.Get("hash") != r["hash"] || !errors.Is(v.Err, ErrIncomplete) {
		t.Errorf("%v", v)
	}
}

// The call of a commit_weights in a record of a spec-293 runtime, and what it committed to.
var hashCall = record{
	"call": "0x07600200f7badfe21fad67a617d01e9738709d14e9891ba904ae542ab469e39e10d113ce",
	"who":  "0xa4e0c285939e0d34ff3bea481b4ce9b0b995974ed652de5603972e0bde51a57f",
	"uids": []int{4, 5, 6, 7}, "values": []int{10, 20, 30, 40}, "salt": []int{1, 2, 3, 4, 5, 6, 7, 65535}, "version_key": 0,
	"hash": "0xf7badfe21fad67a617d01e9738709d14e9891ba904ae542ab469e39e10d113ce", "netuid": 2,
}

func TestCommitCall(t *testing.T) {
	r := recordsOf(t, "finney_commit_fixture.json")[0]
	b := r.bytes(t, "call")
	container := b[7 : 7+303] // pallet, call, netuid, mecid, compact length
	rest := b[7+303:]
	call := func(head string, parts ...[]byte) string {
		for _, p := range parts {
			head += strings.TrimPrefix(hexOf(p), "0x")
		}
		return head
	}
	long := append(append([]byte(nil), container...), 1, 2, 3) // 306 bytes: compact c904
	variants(t, "commit", r, []variant{
		{"as it is", nil, OK, ""},
		{"the call alone", []any{"netuid", drop, "mecid", drop, "commit_len", drop, "plaintext_len", drop, "reveal_round", drop, "commit_reveal_version", drop}, OK, ""},
		{"other netuid", []any{"netuid", 8}, Failed, "netuid: "},
		{"other mecid", []any{"mecid", 1}, Failed, "mecid: "},
		{"other index", []any{"netuid_index", 8}, Failed, "netuid_index: "},
		{"other length", []any{"commit_len", 302}, Failed, "commit_len: "},
		{"other plaintext length", []any{"plaintext_len", 58}, Failed, "plaintext_len: "},
		{"other round", []any{"reveal_round", 32340464}, Failed, "reveal_round: "},
		{"other version", []any{"commit_reveal_version", 3}, Failed, "commit_reveal_version: "},
		{"its hash", []any{"commit_hash", verify.Blake2b256(container).String()}, OK, ""},
		{"another hash", []any{"commit_hash", verify.Blake2b256(b).String()}, Failed, "commit_hash: "},
		{"main mechanism's call", []any{"call", call("0771"+"0700"+"bd04", container, rest)}, OK, ""},
		{"call without a version", []any{"call", call("0775"+"0700"+"00"+"bd04", container, rest[:8])}, OK, ""},
		{"trailing bytes in the ciphertext", []any{"call", call("0776"+"0700"+"00"+"c904", long, rest), "commit_len", 306}, OK, ""},
		{"cut", []any{"call", hexOf(b[:len(b)-1])}, Failed, "call: "},
		{"a byte more", []any{"call", hexOf(append(b[:len(b):len(b)], 0))}, Failed, "call: "},
		{"another pallet", []any{"call", flip(b, 0, 1)}, Failed, "call: not a call that commits"},
		{"another call", []any{"call", flip(b, 1, 1)}, Failed, "call: "},
		{"set_weights", []any{"call", "070002001004000500"}, Failed, "call: not a call that commits"},
		{"empty call", []any{"call", ""}, Failed, "call: not a call that commits"},
		{"no such mechanism", []any{"call", call("0776"+"0700"+"10"+"bd04", container, rest), "mecid", 16}, Failed, "call: "},
		{"no such subnet", []any{"call", call("0776"+"0710"+"00"+"bd04", container, rest), "netuid", 4103}, Failed, "call: "},
		{"no ciphertext", []any{"call", call("0776"+"0700"+"00"+"00", rest), "commit_len", 0}, Failed, "ciphertext: "},
		{"a length of gigabytes", []any{"call", call("0776"+"0700"+"00"+"02000080", rest)}, Failed, "call: "},
		{"call of gigabytes", []any{"call", strings.Repeat("00", maxCall+1)}, Failed, "input: call: "},
	})
	// The point of a call is checked with nothing stated.
	bare := r.only("call")
	for i := range 96 {
		expect(t, fmt.Sprintf("byte %d of U", i), "commit", bare.with("call", flip(b, 7+i, 1)), Failed, "ciphertext: ")
	}
	v := judge(t, "commit", bare)
	for name, want := range map[string]any{"call": "commit_timelocked_mechanism_weights", "netuid": uint64(7), "mecid": uint64(0), "commit_len": uint64(303),
		"plaintext_len": uint64(59), "reveal_round": uint64(32340463), "commit_reveal_version": uint64(4), "hash": verify.Blake2b256(container).String()} {
		if v.Get(name) != want {
			t.Errorf("%s: %v, want %v", name, v.Get(name), want)
		}
	}

	variants(t, "commit", hashCall, []variant{
		{"hash call", nil, OK, ""},
		{"hash call alone", []any{"who", drop, "uids", drop, "values", drop, "salt", drop, "version_key", drop, "hash", drop, "netuid", drop}, OK, ""},
		{"as a mechanism", []any{"call", "07730200" + "00" + strings.TrimPrefix(hashCall["hash"].(string), "0x")}, OK, ""},
		{"of another mechanism", []any{"call", "07730200" + "01" + strings.TrimPrefix(hashCall["hash"].(string), "0x")}, Failed, "hash: "},
		{"other weights", []any{"values", []int{10, 20, 30, 41}}, Failed, "hash: "},
		{"weights of nobody", []any{"who", drop}, Failed, "input: who: "},
		{"other stated hash", []any{"hash", strings.Repeat("00", 32)}, Failed, "hash: "},
		{"other netuid", []any{"netuid", 3}, Failed, "netuid: "},
		{"cut", []any{"call", "07600200f7"}, Failed, "call: "},
	})
}

func TestTimelock(t *testing.T) {
	all := recordsOf(t, "tle_round1000.json")
	short, r := all[0], all[1]
	b := r.bytes(t, "Ciphertext")
	zeros := strings.Repeat("00", 32)
	const hotkey = "0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
	variants(t, "timelock", r, []variant{
		{"as it is", nil, OK, ""},
		{"nothing stated", []any{"Plaintext", drop, "Esk", drop, "Sigma", drop, "Nonce", drop}, OK, ""},
		{"hotkey", []any{"hotkey", hotkey}, OK, ""},
		{"address", []any{"hotkey", "5C62W7ELLAAfjCQeBU3me9ykaYomD8XTg2B9Hk6ki6Cm3v58"}, OK, ""},
		{"trailing bytes", []any{"Ciphertext", hexOf(append(b[:len(b):len(b)], 9))}, OK, ""},
		{"another suite", []any{"Ciphertext", flip(b, len(b)-1, 1)}, OK, ""},
		{"only Sigma", []any{"Esk", drop, "Nonce", drop}, OK, ""},
		{"only Esk", []any{"Sigma", drop, "Nonce", drop}, OK, ""},
		{"other hotkey", []any{"hotkey", zeros}, Failed, "hotkey: "},
		{"other plaintext", []any{"Plaintext", "00"}, Failed, "Plaintext: "},
		{"other key", []any{"Esk", zeros}, Failed, "Esk: "},
		{"other sigma", []any{"Sigma", zeros}, Failed, "Sigma: "},
		{"other nonce", []any{"Nonce", strings.Repeat("00", 12)}, Failed, "Nonce: "},
		{"the nonce and a byte", []any{"Nonce", r["Nonce"].(string) + "00"}, Failed, "Nonce: "},
		{"key cut", []any{"Esk", "00"}, Failed, "input: Esk: "},
		{"other round", []any{"Round", 1001}, Failed, "signature: "},
		{"other signature", []any{"Signature", recordsOf(t, "drand_rounds.json")[1]["signature"]}, Failed, "signature: "},
		{"other round with its signature", []any{"Round", 1001, "Signature", recordsOf(t, "drand_rounds.json")[1]["signature"]}, Failed, "open: "},
		{"cut", []any{"Ciphertext", hexOf(b[:len(b)-1])}, Failed, "ciphertext: "},
		{"empty", []any{"Ciphertext", ""}, Failed, "ciphertext: "},
		{"too long", []any{"Ciphertext", strings.Repeat("00", tlock.MaxCiphertext+1)}, Failed, "input: Ciphertext: "},
		{"no ciphertext", []any{"Ciphertext", drop}, Failed, "input: Ciphertext: missing"},
		{"no signature", []any{"Signature", drop}, Failed, "input: Signature: missing"},
		{"no round", []any{"Round", drop}, Failed, "input: Round: missing"},
		{"small letters", []any{"Round", drop, "round", 1000}, Failed, "input: Round: missing"},
	})
	for _, tt := range []struct {
		r    record
		want map[string]any
	}{
		{r, map[string]any{"opens": true, "payload": "weights", "hotkey": "5C62W7ELLAAfjCQeBU3me9ykaYomD8XTg2B9Hk6ki6Cm3v58", "weights": uint64(4), "version_key": uint64(841)}},
		{short, map[string]any{"opens": true, "payload": "none", "hotkey": nil, "weights": nil}},
	} {
		v := judge(t, "timelock", tt.r)
		for name, want := range tt.want {
			if v.Get(name) != want {
				t.Errorf("%s: %v, want %v", name, v.Get(name), want)
			}
		}
	}
	expect(t, "a hotkey, and no payload", "timelock", short.with("hotkey", hotkey), Failed, "hotkey: ")

	// A legacy payload names nobody, so that it is its committer's whoever that is; and another beacon's.
	demo, sig := demoBeacon(5)
	legacy := r.bytes(t, "Plaintext")[33:]
	sealed, err := tlock.SealWith(demo, 5, legacy, [32]byte{1}, [32]byte{2}, [12]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	old := record{"Ciphertext": hexOf(sealed), "Round": 5, "Signature": sig.String(), "public_key": demo.PublicKey.String(), "hotkey": zeros,
		"Esk": "01" + zeros[2:], "Sigma": "02" + zeros[2:], "Nonce": "03" + zeros[:22], "Plaintext": hexOf(legacy)}
	variants(t, "timelock", old, []variant{
		{"legacy, another beacon", nil, OK, ""},
		{"not of quicknet", []any{"public_key", drop}, Failed, "signature: "},
	})
	if v := judge(t, "timelock", old); v.Get("payload") != "legacy" || v.Get("hotkey") != nil {
		t.Errorf("%v", v)
	}

	// With nothing stated, every changed byte is refused, but for the suite's name.
	bare := r.only("Ciphertext", "Signature", "Round")
	for i := 0; i < len(b)-8; i += 3 {
		v := judge(t, "timelock", bare.with("Ciphertext", flip(b, i, 1)))
		if v.Outcome != Failed || !strings.HasPrefix(v.Reason, "ciphertext: ") && !strings.HasPrefix(v.Reason, "open: ") {
			t.Errorf("byte %d: %v", i, v)
		}
	}
}

func TestUpscale(t *testing.T) {
	r := record{"in": []int{0, 1, 2, 3, 30000}, "out": []int{0, 2, 4, 7, 65535}} // subtensor's tests/math.rs
	variants(t, "upscale", r, []variant{
		{"as it is", nil, OK, ""},
		{"nothing", []any{"in", []int{}, "out", []int{}}, OK, ""},
		{"no out", []any{"out", drop}, Undecided, "out: not decided"},
		{"other out", []any{"out", []int{0, 2, 4, 6, 65535}}, Failed, "out: stated and computed differ"},
		{"out cut", []any{"out", []int{0, 2, 4, 7}}, Failed, "out: stated and computed differ"},
		{"out of 17 bits", []any{"out", []int{0, 2, 4, 7, 65536}}, Failed, "input: out: 4: "},
		{"no in", []any{"in", drop}, Failed, "input: in: missing"},
		{"in is null", []any{"in", nil}, Failed, "input: in: missing"},
		{"in is no list", []any{"in", "1"}, Failed, "input: in: "},
		{"halves", []any{"in", []any{1.5}}, Failed, "input: in: 0: "},
		{"too many", []any{"in", make([]int, maxWeights+1)}, Failed, "input: in: "},
	})
	v := judge(t, "upscale", r.with("out", drop))
	if got := fmt.Sprint(v.Get("out")); got != "[0 2 4 7 65535]" {
		t.Errorf("%s", got)
	}
	if s := v.String(); !strings.Contains(s, "out=[5]") {
		t.Errorf("%s", s)
	}
	v = judge(t, "upscale", r.with("in", make([]int, maxWeights+1)))
	if !errors.Is(v.Err, jsonfield.ErrLimit) {
		t.Errorf("%v", v)
	}
}
