package wallet

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
)

// ErrNotNow: the gate of a Signer says that nothing may be signed now.
var ErrNotNow = errors.New("nothing is signed now")

// signingContext is the label under which Substrate signs with sr25519.
const signingContext = "substrate"

// A Hotkey is an sr25519 key pair. It is safe for concurrent use until it is wiped.
type Hotkey struct {
	account verify.AccountID
	secret  [64]byte // scalar and nonce, as schnorrkel writes them
	seed    []byte   // 32 bytes, or nil where only the secret is known
	phrase  []byte   // the mnemonic that alone gives this key, or nil
	pair    *sr25519.KeyPair
}

// New makes a key from a new mnemonic of 12, 15, 18, 21 or 24 words.
func New(words int) (*Hotkey, error) {
	phrase, err := NewMnemonic(words)
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	return fromMnemonic(phrase, nil)
}

func fromSeed(seed []byte) (*Hotkey, error) {
	mini, err := sr25519.NewMiniSecretKeyFromBytes(seed)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes of seed, want 32", ErrSecret, len(seed))
	}
	defer clear(mini[:])
	key, err := fromPair(mini.ExpandEd25519().KeyPair())
	if err == nil {
		key.seed = bytes.Clone(seed)
	}
	return key, err
}

// fromPrivate reads the 64 bytes of a keyfile's privateKey: a canonical scalar, then the nonce.
func fromPrivate(b []byte) (*Hotkey, error) {
	sk, err := sr25519.NewSecretKeyFromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%w: no canonical private key of 64 bytes", ErrSecret)
	}
	return fromPair(sk.KeyPair())
}

func fromPair(pair *sr25519.KeyPair) (*Hotkey, error) {
	b, err := pair.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: no key of the curve", ErrSecret)
	}
	defer clear(b)
	return &Hotkey{account: verify.AccountID(b[64:]), secret: [64]byte(b[:64]), pair: pair}, nil
}

// Account returns the public key.
func (k *Hotkey) Account() verify.AccountID { return k.account }

// Mnemonic returns a copy of the words that alone give this key, or nil if there are none: a key that was
// derived by a path or a password, or read from a seed, has none.
func (k *Hotkey) Mnemonic() []byte { return bytes.Clone(k.phrase) }

// String returns the address.
func (k *Hotkey) String() string { return k.account.String() }

// Format writes the address whatever the verb: printing a key by mistake, or a copy of it, shows no secret.
func (k Hotkey) Format(s fmt.State, _ rune) { fmt.Fprint(s, k.account.String()) }

// Sign signs bytes as they are. It asks nobody whether it should: what goes to the network is signed by a
// Signer.
func (k *Hotkey) Sign(message []byte) ([64]byte, error) {
	if k.pair == nil {
		return [64]byte{}, errors.New("sign: the key was wiped")
	}
	sig, err := k.pair.Sign(nil, sr25519.NewSigningContext([]byte(signingContext)).NewTranscriptBytes(message))
	if err != nil {
		return [64]byte{}, fmt.Errorf("sign: %w", err)
	}
	b, err := sig.MarshalBinary()
	if err != nil {
		return [64]byte{}, fmt.Errorf("sign: %w", err)
	}
	return [64]byte(b), nil
}

// Wipe clears the secret. The key cannot sign any more.
func (k *Hotkey) Wipe() {
	clear(k.secret[:])
	clear(k.seed)
	clear(k.phrase)
	k.seed, k.phrase, k.pair = nil, nil, nil
}

// Wrap puts a message between <Bytes> and </Bytes>, as wallets do with what a person signs, so that it can
// be no transaction and no request to an axon. btwallet, Substrate's tools and Verify here take a signature
// over either form.
func Wrap(message []byte) []byte {
	return append(append([]byte("<Bytes>"), message...), "</Bytes>"...)
}

// A Gate says whether what says when it was made may be signed now: not while the clock cannot be trusted,
// or a conflict of finality is known. The error says why not.
type Gate interface {
	MaySign() error
}

// A Signer signs with a hotkey what leaves this machine, and asks its gate before each signature.
type Signer struct {
	key  *Hotkey
	gate Gate
}

// NewSigner returns a signer. There has to be a gate.
func NewSigner(key *Hotkey, gate Gate) (*Signer, error) {
	if key == nil || gate == nil {
		return nil, errors.New("signer: a key and a gate are needed")
	}
	return &Signer{key, gate}, nil
}

// Account returns the public key.
func (s *Signer) Account() verify.AccountID { return s.key.account }

// Sign signs bytes as they are, or returns ErrNotNow and the gate's reason.
func (s *Signer) Sign(message []byte) ([64]byte, error) {
	if err := s.gate.MaySign(); err != nil {
		return [64]byte{}, fmt.Errorf("%w: %w", ErrNotNow, err)
	}
	return s.key.Sign(message)
}

// A PublicKey is an account's key, decompressed once for many signatures: that is a fifth of what a check
// costs. It is safe for concurrent use.
type PublicKey struct {
	key     sr25519.PublicKey
	context *sr25519.SigningContext
}

// ParsePublicKey returns the key of an account. Not every 32 bytes are one.
func ParsePublicKey(account verify.AccountID) (*PublicKey, error) {
	p := &PublicKey{context: sr25519.NewSigningContext([]byte(signingContext))}
	if err := p.key.UnmarshalBinary(account[:]); err != nil {
		return nil, fmt.Errorf("%v is no sr25519 key", account)
	}
	return p, nil
}

// Verify reports whether sig is the key's signature over message as it is.
func (p *PublicKey) Verify(message []byte, sig [64]byte) bool {
	var s sr25519.Signature
	if s.UnmarshalBinary(sig[:]) != nil {
		return false
	}
	return p.key.Verify(p.context.NewTranscriptBytes(message), &s)
}

// Verify reports whether sig is the account's signature over message, as it is or wrapped.
func Verify(account verify.AccountID, message []byte, sig [64]byte) bool {
	p, err := ParsePublicKey(account)
	return err == nil && (p.Verify(message, sig) || p.Verify(Wrap(message), sig))
}
