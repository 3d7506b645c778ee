package fact

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
)

// maxWeights bounds the lists of a record: an entry for each uid, which is a u16.
const maxWeights = 1 << 16

// maxCall bounds a call: one that commits holds a ciphertext and some twenty bytes.
const maxCall = tlock.MaxCiphertext + 64

// verifier returns that of quicknet, or of a beacon known by its public_key alone, and puts in the
// verdict which it is.
func (c *check) verifier() (*drand.Verifier, error) {
	b := drand.Quicknet()
	key, ok := c.Bytes("public_key", len(b.PublicKey))
	if err := c.read(); err != nil {
		return nil, err
	}
	if ok && len(key) != len(b.PublicKey) {
		return nil, fail("public_key", fmt.Errorf("%w: %d bytes", drand.ErrPublicKey, len(key)))
	}
	if ok && !bytes.Equal(key, b.PublicKey[:]) {
		b = drand.Beacon{Name: "stated", PublicKey: drand.PublicKey(key)}
	}
	c.add("beacon", b.Name)
	v, err := drand.NewVerifier(b)
	return v, fail("public_key", err)
}

// pulse reads the round and the signature under these names, and verifies that the signature is the
// beacon's of that round.
func (c *check) pulse(round, signature string) (drand.Pulse, *drand.Verifier, error) {
	c.Need(round, signature)
	var p drand.Pulse
	p.Round, _ = c.Uint(round, 64)
	sig, _ := c.Bytes(signature, 1024)
	if err := c.read(); err != nil {
		return p, nil, err
	}
	c.add("round", p.Round)
	v, err := c.verifier()
	if err != nil {
		return p, nil, err
	}
	if len(sig) != len(p.Signature) {
		return p, nil, fail("signature", fmt.Errorf("%w: %d bytes, not %d", drand.ErrSignature, len(sig), len(p.Signature)))
	}
	p.Signature = drand.Signature(sig)
	if err := v.Verify(p); err != nil {
		return p, nil, fail("signature", err)
	}
	if at, ok := v.Beacon().Time(p.Round); ok && v.Beacon().Period != 0 {
		c.add("time", at)
	}
	return p, v, nil
}

func checkPulse(c *check) error {
	p, _, err := c.pulse("round", "signature")
	if err != nil {
		return err
	}
	r := p.Randomness()
	return c.bytes("randomness", r[:])
}

// u16s reads a list of integers of 16 bits.
func (c *check) u16s(name string) ([]uint16, error) {
	items, _ := c.Elements(name, maxWeights)
	if err := c.read(); err != nil {
		return nil, err
	}
	out := make([]uint16, len(items))
	for i, item := range items {
		v, err := jsonfield.Uint(item, 16)
		if err != nil {
			return nil, fail("input", fmt.Errorf("%s: %d: %w", name, i, err))
		}
		out[i] = uint16(v)
	}
	return out, nil
}

// account reads an account, as hex or as an address.
func (c *check) account(name string) (verify.AccountID, bool, error) {
	raw, _ := c.Raw(name)
	if err := c.read(); err != nil || !c.Has(name) {
		return verify.AccountID{}, false, err
	}
	if h, err := jsonfield.Hash(raw); err == nil {
		return verify.AccountID(h), true, nil
	}
	s, err := jsonfield.Text(raw)
	if err == nil {
		var id verify.AccountID
		if id, err = verify.ParseAccount(s); err == nil {
			return id, true, nil
		}
	}
	return verify.AccountID{}, false, fail("input", fmt.Errorf("%s: %w", name, err))
}

func checkCommit(c *check) error {
	if c.Has("call") {
		return c.commitCall()
	}
	if err := c.read(); err != nil {
		return err
	}
	index, err := c.storageIndex()
	if err != nil {
		return err
	}
	hash, err := c.commitHash(index)
	if err != nil {
		return err
	}
	if !c.Has("hash") {
		c.add("hash", hash.String())
		return lack("hash", fmt.Errorf("%w: none stated to compare with", ErrIncomplete))
	}
	return c.bytes("hash", hash[:])
}

// storageIndex reads netuid_index, or netuid and mecid; both have to agree.
func (c *check) storageIndex() (uint16, error) {
	stated, indexed := c.Uint("netuid_index", 16)
	netuid, named := c.Uint("netuid", 16)
	mecid, second := c.Uint("mecid", 8)
	if err := c.read(); err != nil {
		return 0, err
	}
	if !indexed && !named {
		return 0, fail("input", fmt.Errorf("netuid_index: %w", jsonfield.ErrMissing))
	}
	index := uint16(stated)
	if named {
		var err error
		if index, err = subtensor.Index(uint16(netuid), uint8(mecid)); err != nil {
			return 0, fail("netuid", err)
		}
	}
	if indexed && uint16(stated) != index {
		return 0, fail("netuid_index", fmt.Errorf("%w: %d stated, subnet %d and mechanism %d have %d", ErrMismatch, stated, netuid, mecid, index))
	}
	n, m := subtensor.SplitIndex(index)
	if second && uint8(mecid) != m {
		return 0, fail("mecid", fmt.Errorf("%w: %d stated, index %d has %d", ErrMismatch, mecid, index, m))
	}
	c.add("netuid", uint64(n))
	c.add("mecid", uint64(m))
	return index, nil
}

// commitHash reads what a hash commit is the hash of, and returns the hash.
func (c *check) commitHash(index uint16) (verify.Hash, error) {
	c.Need("who", "uids", "values", "salt", "version_key")
	key, _ := c.Uint("version_key", 64)
	who, _, err := c.account("who")
	if err != nil {
		return verify.Hash{}, err
	}
	var lists [3][]uint16
	for i, name := range []string{"uids", "values", "salt"} {
		if lists[i], err = c.u16s(name); err != nil {
			return verify.Hash{}, err
		}
	}
	c.add("who", who.String())
	c.add("weights", uint64(len(lists[0])))
	preimage := commit.Preimage(who, index, lists[0], lists[1], lists[2], key)
	if want, ok := c.Bytes("preimage", len(preimage)+1<<16); ok && !bytes.Equal(want, preimage) {
		return verify.Hash{}, fail("preimage", fmt.Errorf("%w: %s stated, %s computed", ErrMismatch, clipHex(want), clipHex(preimage)))
	}
	return verify.Blake2b256(preimage), c.read()
}

// A call is one that commits weights.
type call struct {
	index      byte
	name       string
	mechanism  bool // has a mecid
	timelocked bool
	version    bool // has a commit_reveal_version
}

// The calls that commit, as the runtime numbers them (pallets/subtensor/src/macros/dispatches.rs).
const palletSubtensor = 7

var calls = []call{
	{96, "commit_weights", false, false, false},
	{115, "commit_mechanism_weights", true, false, false},
	{113, "commit_timelocked_weights", false, true, true},
	{117, "commit_crv3_mechanism_weights", true, true, false},
	{118, "commit_timelocked_mechanism_weights", true, true, true},
}

// impliedVersion is the commit_reveal_version of a timelocked commit whose call has none.
const impliedVersion = 4

// errCall: a call is none of these.
var errCall = errors.New("not a call that commits weights")

// commitCall judges a call as it stands in an extrinsic. It has to decode to its last byte, and what is
// timelocked in it has to be a ciphertext that somebody could open.
func (c *check) commitCall() error {
	b, _ := c.Bytes("call", maxCall)
	if err := c.read(); err != nil {
		return err
	}
	r := scale.NewReader(b)
	pallet, index := r.Byte(), r.Byte()
	at := slices.IndexFunc(calls, func(k call) bool { return k.index == index })
	if r.Err() != nil || pallet != palletSubtensor || at < 0 {
		return fail("call", fmt.Errorf("%w: pallet %d, call %d", errCall, pallet, index))
	}
	k := calls[at]
	netuid, mecid := r.U16(), byte(0)
	if k.mechanism {
		mecid = r.Byte()
	}
	var hash verify.Hash
	var sealed []byte
	round, version := uint64(0), uint16(impliedVersion)
	if k.timelocked {
		sealed, round = r.Blob(tlock.MaxCiphertext), r.U64()
		hash = verify.Blake2b256(sealed)
	} else {
		r.Copy(hash[:])
	}
	if k.version {
		version = r.U16()
	}
	if err := r.Finish(); err != nil {
		return fail("call", fmt.Errorf("%s: %w", k.name, err))
	}
	c.add("call", k.name)
	if err := c.number("netuid", uint64(netuid)); err != nil {
		return err
	}
	if err := c.number("mecid", uint64(mecid)); err != nil {
		return err
	}
	storage, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return fail("call", err)
	}
	if err := c.number("netuid_index", uint64(storage)); err != nil {
		return err
	}
	if !k.timelocked {
		// The weights may be beside the call: then the hash has to be theirs.
		if c.Has("uids") || c.Has("values") {
			want, err := c.commitHash(storage)
			if err != nil {
				return err
			}
			if want != hash {
				return fail("hash", fmt.Errorf("%w: the call commits to %v, the weights have %v", ErrMismatch, hash, want))
			}
		}
		return c.bytes("hash", hash[:])
	}
	if err := c.bytes("hash", hash[:], "commit_hash"); err != nil {
		return err
	}
	if err := c.number("commit_len", uint64(len(sealed))); err != nil {
		return err
	}
	if err := c.number("reveal_round", round); err != nil {
		return err
	}
	if err := c.number("commit_reveal_version", uint64(version)); err != nil {
		return err
	}
	ct, err := tlock.Parse(sealed)
	if err != nil {
		return fail("ciphertext", err)
	}
	c.add("trailing", uint64(ct.Trailing))
	return c.number("plaintext_len", uint64(ct.PlaintextLen()))
}

func checkTimelock(c *check) error {
	c.Need("Ciphertext")
	sealed, _ := c.Bytes("Ciphertext", tlock.MaxCiphertext)
	hotkey, stated, err := c.account("hotkey")
	if err != nil {
		return err
	}
	p, v, err := c.pulse("Round", "Signature")
	if err != nil {
		return err
	}
	ct, err := tlock.Parse(sealed)
	if err != nil {
		return fail("ciphertext", err)
	}
	plain, err := ct.Open(p.Signature)
	if err != nil {
		return fail("open", err)
	}
	c.add("opens", true)
	if err := c.bytes("Plaintext", plain); err != nil {
		return err
	}
	if err := c.secrets(ct, v.Beacon(), p.Round, plain); err != nil {
		return err
	}
	return c.payload(plain, hotkey, stated)
}

// secrets compares what the ciphertext was made with, as far as the record states it. Only Sigma gives
// the whole ciphertext again; Esk shows in that it opens the body.
func (c *check) secrets(ct *tlock.Ciphertext, b drand.Beacon, round uint64, plain []byte) error {
	nonce, hasNonce := c.Bytes("Nonce", 64)
	esk, hasEsk := c.Hash("Esk")
	sigma, hasSigma := c.Hash("Sigma")
	if err := c.read(); err != nil {
		return err
	}
	if hasNonce && !bytes.Equal(nonce, ct.Nonce) {
		return fail("Nonce", fmt.Errorf("%w: %s stated, the ciphertext has %s", ErrMismatch, clipHex(nonce), clipHex(ct.Nonce)))
	}
	if hasEsk && !opensBody(esk, ct, plain) {
		return fail("Esk", fmt.Errorf("%w: the key does not open the body", ErrMismatch))
	}
	if !hasSigma {
		return nil
	}
	key := sha256.Sum256(sigma[:])
	for i := range key {
		key[i] ^= ct.W[i]
	}
	again, err := tlock.SealWith(b, round, plain, key, sigma, [12]byte(ct.Nonce))
	if err != nil {
		return fail("Sigma", err)
	}
	same, err := tlock.Parse(again)
	if err != nil || same.U != ct.U || same.V != ct.V || same.W != ct.W || !bytes.Equal(same.Body, ct.Body) {
		return fail("Sigma", fmt.Errorf("%w: sealed with it, the ciphertext is another", ErrMismatch))
	}
	return nil
}

func opensBody(key [32]byte, ct *tlock.Ciphertext, plain []byte) bool {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return false
	}
	aead, err := cipher.NewGCM(block)
	if err != nil || len(ct.Nonce) != aead.NonceSize() {
		return false
	}
	got, err := aead.Open(nil, ct.Nonce, ct.Body, nil)
	return err == nil && bytes.Equal(got, plain)
}

// payload puts in the verdict what a plaintext holds: weights, weights in the legacy layout, or none.
// A plaintext without weights opens as well as another. But a stated hotkey is whom it was committed
// by, and then it has to be one that the chain would take from it.
func (c *check) payload(plain []byte, hotkey verify.AccountID, stated bool) error {
	p, why := commit.DecodePayload(plain, hotkey)
	kind := "none"
	if p != nil {
		kind = "weights"
		if p.Legacy {
			kind = "legacy"
		}
	}
	c.add("payload", kind)
	if p != nil {
		if !p.Legacy {
			c.add("hotkey", p.Hotkey.String())
		}
		c.add("weights", uint64(len(p.UIDs)))
		c.add("version_key", p.VersionKey)
	}
	if stated && why != commit.Stored {
		return fail("hotkey", fmt.Errorf("%w: %v stated, and %s", ErrMismatch, hotkey, why.Says()))
	}
	return nil
}

func checkUpscale(c *check) error {
	c.Need("in")
	in, err := c.u16s("in")
	if err != nil {
		return err
	}
	out := commit.Upscale(in)
	all := make([]uint64, len(out))
	for i, v := range out {
		all[i] = uint64(v)
	}
	c.add("out", all)
	if !c.Has("out") {
		return lack("out", fmt.Errorf("%w: none stated to compare with", ErrIncomplete))
	}
	want, err := c.u16s("out")
	if err != nil {
		return err
	}
	if len(want) != len(out) {
		return fail("out", fmt.Errorf("%w: %d values stated for %d", ErrMismatch, len(want), len(out)))
	}
	for i := range out {
		if want[i] != out[i] {
			return fail("out", fmt.Errorf("%w: value %d: %d stated, %d computed", ErrMismatch, i, want[i], out[i]))
		}
	}
	return nil
}
