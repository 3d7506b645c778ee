package demonet

import (
	"encoding/binary"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
)

// A keyring derives every key of a network from its seed, so that one seed is one network. The
// keys are worth nothing and are no secret: whoever knows the seed knows them all.
//
// Authority i has an Aura and a GRANDPA key. Set k is made of the authorities k … k+size-1: each
// change retires one and brings in one, so that two neighbouring sets share all members but one
// and a verifier that uses the wrong list fails at once.
type keyring struct {
	seed string
	size int // members of a set

	mu      sync.Mutex
	aura    map[uint64]*sr25519.KeyPair
	grandpa map[uint64]ed25519.PrivateKey
}

func newKeyring(seed string, size int) *keyring {
	return &keyring{
		seed: seed, size: size,
		aura:    make(map[uint64]*sr25519.KeyPair),
		grandpa: make(map[uint64]ed25519.PrivateKey),
	}
}

// secret returns 32 bytes for a purpose.
func (k *keyring) secret(purpose string, index uint64) [32]byte {
	b := append([]byte("taolight demo network\x00"), k.seed...)
	b = append(append(b, 0), purpose...)
	b = binary.LittleEndian.AppendUint64(append(b, 0), index)
	return verify.Blake2b256(b)
}

func (k *keyring) auraKey(index uint64) *sr25519.KeyPair {
	k.mu.Lock()
	defer k.mu.Unlock()
	if pair := k.aura[index]; pair != nil {
		return pair
	}
	s := k.secret("aura", index)
	mini, err := sr25519.NewMiniSecretKeyFromBytes(s[:])
	if err != nil {
		panic(err) // 32 bytes are a mini secret key
	}
	pair := mini.ExpandEd25519().KeyPair()
	k.aura[index] = pair
	return pair
}

func (k *keyring) grandpaKey(index uint64) ed25519.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.grandpa[index]; key != nil {
		return key
	}
	s := k.secret("grandpa", index)
	key := ed25519.NewKeyFromSeed(s[:])
	k.grandpa[index] = key
	return key
}

// peerKey is the libp2p identity of a full peer.
func (k *keyring) peerKey(index int) crypto.PrivKey {
	s := k.secret("peer", uint64(index))
	key := ed25519.NewKeyFromSeed(s[:])
	priv, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		panic(err) // 64 bytes are an ed25519 key
	}
	return priv
}

// account is an AccountId32 with no known secret.
func (k *keyring) account(purpose string, index int) [32]byte {
	return k.secret(purpose, uint64(index))
}

// auraSet is the list that seals the children of a block of set id.
func (k *keyring) auraSet(id uint64) []aura.AuthorityID {
	list := make([]aura.AuthorityID, k.size)
	for i := range list {
		b, err := k.auraKey(id + uint64(i)).PublicKey().MarshalBinary()
		if err != nil {
			panic(err) // a derived key has an encoding
		}
		list[i] = aura.AuthorityID(b)
	}
	return list
}

// grandpaSet is the list of GRANDPA set id. All weights are 1, as on the real networks.
func (k *keyring) grandpaSet(id uint64) grandpa.AuthoritySet {
	list := make([]grandpa.Authority, k.size)
	for i := range list {
		public := k.grandpaKey(id + uint64(i)).Public().(ed25519.PublicKey)
		list[i] = grandpa.Authority{ID: grandpa.AuthorityID(public), Weight: 1}
	}
	return grandpa.AuthoritySet{ID: id, Authorities: list}
}

// seal signs a pre-seal hash with the Aura key of an authority.
func (k *keyring) seal(index uint64, preSeal verify.Hash) []byte {
	return sign(k.auraKey(index), k.secret("aura nonce", index), preSeal[:])
}

// sign makes an sr25519 signature under the context "substrate". The nonce is derived from a secret and the
// message in place of a random one, so that the same configuration always yields the same chain.
func sign(pair *sr25519.KeyPair, secret [32]byte, message []byte) []byte {
	xof, err := blake2b.NewXOF(blake2b.OutputLengthUnknown, secret[:])
	if err != nil {
		panic(err) // a key of 32 bytes is allowed
	}
	xof.Write(message)
	t := sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(message)
	signature, err := pair.Sign(xof, t)
	if err != nil {
		panic(err) // the reader does not fail
	}
	b, err := signature.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}

// precommit signs for a block as member i of set id.
func (k *keyring) precommit(set uint64, i int, target verify.Hash, number uint32, round uint64) grandpa.Precommit {
	key := k.grandpaKey(set + uint64(i))
	payload := grandpa.PrecommitPayload(target, number, round, set)
	return grandpa.Precommit{
		TargetHash: target, TargetNumber: number,
		Signature: [64]byte(ed25519.Sign(key, payload[:])),
		ID:        grandpa.AuthorityID(key.Public().(ed25519.PublicKey)),
	}
}
