package demonet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/oasisprotocol/curve25519-voi/primitives/merlin"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
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

// sudoPallets are the indices that pallet-sudo has had: 7 in the oldest runtimes, such as spec 103. They are
// written down here because no metadata is read; a runtime does not take a call of another pallet for it.
var sudoPallets = [...]byte{12, 7}

// changeSet signs as //Alice what makes GRANDPA change to the next set at the end of this block. Older
// runtimes have no call for that, so it is Sudo.sudo(System.set_storage(…)), with what
// Grandpa.schedule_change would write (substrate/frame/grandpa/src/lib.rs, StoredPendingChange), and the
// set's number, which only pallet-session counts on.
func (l *localnet) changeSet(d *draft, number uint32, set uint64) error {
	pending := scale.AppendU32(scale.AppendU32(nil, number), 0) // scheduled at, delay
	pending = append(grandpa.AppendAuthorities(pending, l.keys.grandpaSet(set).Authorities), 0)
	call := []byte{0, 4, 2 << 2} // System.set_storage, two items
	call = scale.AppendBlob(scale.AppendBlob(call, verify.StorageKey("Grandpa", "PendingChange")), pending)
	call = scale.AppendBlob(scale.AppendBlob(call, verify.StorageKey("Grandpa", "CurrentSetId")), u64(set))
	return l.sudo(d, call)
}

// sudo applies a call by root: signed by //Alice, whose nonce is what the block has made of it.
func (l *localnet) sudo(d *draft, call []byte) error {
	who := accountOf(developer(developers[0]))
	info, _, err := d.overlay.Get(nil, verify.AppendBlake2b128Concat(verify.StorageKey("System", "Account"), who[:]))
	if err != nil {
		return err
	}
	nonce := uint32(0)
	if len(info) >= 4 {
		nonce = binary.LittleEndian.Uint32(info)
	}
	var refused error
	for _, pallet := range sudoPallets {
		for _, x := range l.sign(d.runtime, developers[0], nonce, append([]byte{pallet, 0}, call...)) {
			o, err := d.apply(x)
			if err != nil || o.in || understood(o.err) {
				return errors.Join(err, o.err)
			}
			refused = errors.Join(refused, o.err)
		}
	}
	return refused
}

// sign returns the extrinsics of which the runtime takes one: it depends on the runtime whether it has
// CheckMetadataHash.
func (l *localnet) sign(r *runtime.Runtime, name string, nonce uint32, call []byte) [][]byte {
	var out [][]byte
	for _, metadataHash := range []bool{true, false} {
		s := signer{genesis: l.hash, spec: r.Version().Spec, transaction: r.Version().Transaction, metadataHash: metadataHash}
		out = append(out, s.extrinsic(name, nonce, call))
	}
	return out
}

// understood reports whether a runtime that refuses an extrinsic has read it as it was meant.
func understood(err error) bool {
	var v *ValidityError
	return errors.As(err, &v) && nameOf(invalidNames[:], v.Kind) != "BadProof"
}

// Sign makes an extrinsic of a call as the runtime at the best block wants it, signed by a developer, such
// as "Alice", whose keys everybody knows. An error is why the runtime would refuse it.
func (n *Network) Sign(name string, nonce uint32, call []byte) ([]byte, error) {
	l, ok := n.chain.producer.(*localnet)
	if !ok {
		return nil, fmt.Errorf("demo network: sign: %w", ErrNoRuntime)
	}
	if !slices.Contains(developers[:], name) {
		return nil, fmt.Errorf("demo network: sign: no developer is called %q", name)
	}
	n.mu.RLock()
	best := *n.chain.best()
	n.mu.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), admitTime)
	defer cancel()
	r, err := l.runtimeAt(ctx, &best)
	if err != nil {
		return nil, fmt.Errorf("demo network: sign: %w", err)
	}
	for _, x := range l.sign(r, name, nonce, call) {
		if err = l.admit(&best, x); err == nil {
			return x, nil
		} else if understood(err) {
			break
		}
	}
	return nil, fmt.Errorf("demo network: sign: %w", err)
}
