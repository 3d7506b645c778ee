package validator

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	bls "github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/subtensor"
)

// aBeacon is a beacon of one member, with what signs its rounds.
func aBeacon() (drand.Beacon, func(round uint64) drand.Signature) {
	var secret bls.Scalar
	secret.SetUint64(1234567)
	var public bls.G2
	public.ScalarMult(&secret, bls.G2Generator())
	b := drand.Beacon{Name: "test", PublicKey: drand.PublicKey(public.BytesCompressed()), Period: 3}
	return b, func(round uint64) drand.Signature {
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
		var p bls.G1
		p.Hash(id[:], []byte("BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"))
		p.ScalarMult(&secret, &p)
		return drand.Signature(p.BytesCompressed())
	}
}

// TestConceal: with the pulse of its round, and no other, the chain's own reading of a ciphertext is the weights.
func TestConceal(t *testing.T) {
	b, sign := aBeacon()
	who := verify.AccountID{7, 7}
	c := Call{Kind: CommitTimelock, UIDs: []uint16{0, 3, 900}, Values: []uint16{1, 65535, 77}, VersionKey: 841, Round: 5000}
	if err := conceal(&c, 7, 0, who, b, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if c.Commitment != verify.Blake2b256(c.Ciphertext) {
		t.Error("the commitment is not the hash of the ciphertext")
	}
	entry := subtensor.TimelockedCommit{Hotkey: who, Ciphertext: c.Ciphertext, Round: c.Round}
	o := commit.Open(entry, sign(5000))
	if o.Why != commit.Stored || !slices.Equal(o.Payload.UIDs, c.UIDs) || !slices.Equal(o.Payload.Values, c.Values) || o.Payload.VersionKey != 841 {
		t.Errorf("%+v", o)
	}
	if o := commit.Open(entry, sign(5001)); o.Why == commit.Stored {
		t.Error("another round's pulse opens it")
	}

	h := Call{Kind: CommitHash, UIDs: []uint16{1, 2}, Values: []uint16{3, 4}, VersionKey: 5}
	if err := conceal(&h, 7, 1, who, b, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if len(h.Salt) != 8 || h.Commitment != commit.HashOf(who, 4096+7, h.UIDs, h.Values, h.Salt, 5) {
		t.Errorf("%+v", h)
	}
	if err := conceal(&Call{Kind: CommitTimelock, UIDs: make([]uint16, 2000), Values: make([]uint16, 2000), Round: 1}, 7, 0, who, b, rand.Reader); err == nil {
		t.Error("more than the chain takes is sealed")
	}
}

// TestOpens: whatever of a sealed commitment is not as meant is seen before it is sent.
func TestOpens(t *testing.T) {
	b, _ := aBeacon()
	who := verify.AccountID{7, 7}
	secrets := bytes.Repeat([]byte{5}, 76)
	whole := Call{Kind: CommitTimelock, UIDs: []uint16{1, 2}, Values: []uint16{9, 65535}, Round: 50}
	if err := conceal(&whole, 7, 0, who, b, bytes.NewReader(bytes.Clone(secrets))); err != nil {
		t.Fatal(err)
	}
	if err := opens(&whole, who, b, secrets); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(c *Call) verify.AccountID{
		"a bit":     func(c *Call) verify.AccountID { c.Ciphertext[120] ^= 1; return who },
		"cut":       func(c *Call) verify.AccountID { c.Ciphertext = c.Ciphertext[:200]; return who },
		"longer":    func(c *Call) verify.AccountID { c.Ciphertext = append(c.Ciphertext, 0); return who },
		"round":     func(c *Call) verify.AccountID { c.Round++; return who },
		"a weight":  func(c *Call) verify.AccountID { c.Values = []uint16{9, 65534}; return who },
		"a uid":     func(c *Call) verify.AccountID { c.UIDs = []uint16{1, 3}; return who },
		"version":   func(c *Call) verify.AccountID { c.VersionKey++; return who },
		"committer": func(c *Call) verify.AccountID { return verify.AccountID{8} },
	} {
		c := whole
		c.Ciphertext = bytes.Clone(whole.Ciphertext)
		if err := opens(&c, spoil(&c), b, secrets); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
