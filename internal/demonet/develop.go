package demonet

import (
	"github.com/oasisprotocol/curve25519-voi/primitives/merlin"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// developers are the accounts that every development chain of Substrate endows, and whose secret everybody
// knows: the derivations //Alice and so on of the development phrase (sp_core::crypto::DEV_PHRASE).
var developers = [...]string{"Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"}

// devSecret is the mini secret key of the development phrase "bottom drive obey lake curtain smoke basket
// hold race lonely fit walk".
var devSecret = [32]byte{
	0xfa, 0xc7, 0x95, 0x9d, 0xbf, 0xe7, 0x2f, 0x05, 0x2e, 0x5a, 0x0c, 0x3c, 0x8d, 0x65, 0x30, 0xf2,
	0x02, 0xb0, 0x2f, 0xd8, 0xf9, 0xf5, 0xca, 0x35, 0x80, 0xec, 0x8d, 0xeb, 0x77, 0x97, 0x47, 0x9e,
}

// developer returns the keys of //name: the hard junction of schnorrkel (derive.rs,
// hard_derive_mini_secret_key), whose chain code is the name as SCALE has it, filled up with zeros.
func developer(name string) *sr25519.KeyPair {
	var code [32]byte
	copy(code[:], scale.AppendBlob(nil, []byte(name))) // no name fills it
	parent, err := sr25519.NewMiniSecretKeyFromBytes(devSecret[:])
	if err != nil {
		panic(err) // 32 bytes are a mini secret key
	}
	secret, err := parent.ExpandEd25519().MarshalBinary()
	if err != nil {
		panic(err)
	}
	t := merlin.NewTranscript("SchnorrRistrettoHDKD")
	t.AppendMessage("sign-bytes", nil)
	t.AppendMessage("chain-code", code[:])
	t.AppendMessage("secret-key", secret[:32])
	var mini [32]byte
	t.ExtractBytes(mini[:], "HDKD-hard")
	child, err := sr25519.NewMiniSecretKeyFromBytes(mini[:])
	if err != nil {
		panic(err)
	}
	return child.ExpandEd25519().KeyPair()
}

func accountOf(pair *sr25519.KeyPair) verify.AccountID {
	b, err := pair.PublicKey().MarshalBinary()
	if err != nil {
		panic(err) // a derived key has an encoding
	}
	return verify.AccountID(b)
}

// A signer makes extrinsics of version 4 for one runtime.
type signer struct {
	genesis           verify.Hash
	spec, transaction uint32
	// metadataHash says that the runtime has CheckMetadataHash among its extensions. The others that have
	// something to say are the same in every runtime there was.
	metadataHash bool
}

// extrinsic signs a call, immortal and without a tip, by a developer.
func (s signer) extrinsic(name string, nonce uint32, call []byte) []byte {
	pair := developer(name)
	who := accountOf(pair)
	extra := append(scale.AppendCompact([]byte{0}, uint64(nonce)), 0) // era, nonce, tip
	implicit := scale.AppendU32(scale.AppendU32(nil, s.spec), s.transaction)
	implicit = append(append(implicit, s.genesis[:]...), s.genesis[:]...)
	if s.metadataHash {
		extra, implicit = append(extra, 0), append(implicit, 0) // not given
	}
	payload := append(append(append([]byte{}, call...), extra...), implicit...)
	if len(payload) > 256 {
		h := verify.Blake2b256(payload)
		payload = h[:]
	}
	secret := verify.Blake2b256([]byte("taolight demo network, developer " + name))
	b := append([]byte{0x84, 0}, who[:]...) // signed, MultiAddress::Id
	b = append(append(b, 1), sign(pair, secret, payload)...)
	return scale.AppendBlob(nil, append(append(b, extra...), call...))
}
