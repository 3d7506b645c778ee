package wallet

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"github.com/oasisprotocol/curve25519-voi/primitives/merlin"
	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify/scale"
)

// ErrSecret: a text is no secret of a key: neither a mnemonic nor a seed, with or without a path.
var ErrSecret = errors.New("not a secret key")

// devPhrase is the mnemonic that stands for an empty one: a public secret, for tests (sp-core,
// DEV_PHRASE).
const devPhrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"

// maxSecret bounds a secret with its path and password.
const maxSecret = 4096

// Parse reads a secret in the form that Substrate calls a secret URI: a mnemonic, 0x and a seed of 32
// bytes in hex, or nothing for the development mnemonic; then any number of //hard and /soft junctions;
// then ///password, which goes into the mnemonic's seed (sp-core, crypto.rs). The text may be cleared
// once Parse is back.
func Parse(secret []byte) (*Hotkey, error) {
	secret = bytes.TrimSpace(secret)
	if len(secret) > maxSecret {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrSecret, len(secret), maxSecret)
	}
	rest, password, hasPassword := bytes.Cut(secret, []byte("///"))
	phrase, path := rest, []byte(nil)
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		phrase, path = rest[:i], rest[i:]
	}
	var key *Hotkey
	var err error
	if text, isHex := bytes.CutPrefix(phrase, []byte("0x")); isHex {
		seed := make([]byte, hex.DecodedLen(len(text)))
		defer clear(seed)
		if _, err := hex.Decode(seed, text); err != nil || len(seed) != 32 {
			return nil, fmt.Errorf("%w: want 32 bytes of hex after 0x", ErrSecret)
		}
		if hasPassword {
			return nil, fmt.Errorf("%w: a seed has no password", ErrSecret)
		}
		key, err = fromSeed(seed)
	} else {
		if len(phrase) == 0 {
			if len(path) == 0 {
				return nil, fmt.Errorf("%w: empty", ErrSecret)
			}
			phrase = []byte(devPhrase)
		}
		key, err = fromMnemonic(phrase, password)
	}
	if err != nil {
		return nil, err
	}
	for i := 1; len(path) > 0; i++ {
		hard := bytes.HasPrefix(path, []byte("//"))
		name := bytes.TrimLeft(path, "/")
		end := bytes.IndexByte(name, '/')
		if end < 0 {
			end = len(name)
		}
		if end == 0 {
			key.Wipe()
			return nil, fmt.Errorf("%w: junction %d is empty", ErrSecret, i)
		}
		next, err := key.derive(hard, chainCode(string(name[:end])))
		key.Wipe()
		if err != nil {
			return nil, fmt.Errorf("junction %d: %w", i, err)
		}
		key, path = next, name[end:]
	}
	return key, nil
}

// fromMnemonic returns the key of a mnemonic. With a password the mnemonic alone does not give the key
// again, so it is not kept for the file.
func fromMnemonic(phrase, password []byte) (*Hotkey, error) {
	seed, err := miniSecretOf(phrase, password)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	key, err := fromSeed(seed)
	if err == nil && len(password) == 0 {
		key.phrase = bytes.Join(bytes.Fields(phrase), []byte(" "))
	}
	return key, err
}

// chainCode is the 32 bytes that a junction goes into the derivation with: a number as u64, any other text
// as a SCALE string, hashed if it is longer (sp-core, DeriveJunction).
func chainCode(name string) (cc [32]byte) {
	if n, err := strconv.ParseUint(strings.TrimPrefix(name, "+"), 10, 64); err == nil {
		binary.LittleEndian.PutUint64(cc[:], n)
		return cc
	}
	b := append(scale.AppendCompact(nil, uint64(len(name))), name...)
	if len(b) > len(cc) {
		return blake2b.Sum256(b)
	}
	copy(cc[:], b)
	return cc
}

// derive makes a child key (schnorrkel, derive.rs). A soft child's nonce is random there; here it follows
// from the parent, so that the same path gives the same file.
func (k *Hotkey) derive(hard bool, cc [32]byte) (*Hotkey, error) {
	t := merlin.NewTranscript("SchnorrRistrettoHDKD")
	t.AppendMessage("sign-bytes", nil)
	t.AppendMessage("chain-code", cc[:])
	if hard {
		t.AppendMessage("secret-key", k.secret[:32])
		seed := make([]byte, 32)
		defer clear(seed)
		t.ExtractBytes(seed, "HDKD-hard")
		return fromSeed(seed)
	}
	t.AppendMessage("public-key", k.account[:])
	var wide [scalar.ScalarWideSize]byte
	t.ExtractBytes(wide[:], "HDKD-scalar")
	delta, err := scalar.NewFromBytesModOrderWide(wide[:])
	if err != nil {
		return nil, err
	}
	own, err := scalar.NewFromCanonicalBytes(k.secret[:32])
	if err != nil {
		return nil, err
	}
	var child [64]byte
	defer clear(child[:])
	if err := own.Add(own, delta).ToBytes(child[:32]); err != nil {
		return nil, err
	}
	own.Zero()
	nonce := sha512.New()
	nonce.Write([]byte("taolight soft nonce"))
	nonce.Write(k.secret[:])
	nonce.Write(cc[:])
	copy(child[32:], nonce.Sum(nil))
	return fromPrivate(child[:])
}
