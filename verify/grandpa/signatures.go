package grandpa

import (
	"bytes"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"golang.org/x/crypto/blake2b"
)

// batchLabel keeps the coefficients of this batch apart from any other use of the same hash.
const batchLabel = "taolight/grandpa/precommits/1"

// checkSignatures checks the signature of every precommit under the rules of ZIP-215, and names the
// first bad one.
//
// All are checked at once: a sum of the verification equations, each times a 128-bit coefficient,
// is the identity. Whoever knows the coefficients beforehand can choose bad signatures whose errors
// cancel. So they come from a hash of everything that is checked (see batchSeed): changing any
// signature changes all of them. They are not random, so that each machine gives the same answer.
//
// If the sum does not hold, each signature is checked by itself. The answer is then that of single
// verification, so that a batch can only save time.
//
// The keys are not kept in expanded form between calls: it would save a fifth of the time, and
// would make an authority set something that must not be copied or changed.
func checkSignatures(c *Commit, round uint64, set *AuthoritySet) error {
	payloads := make([][PayloadSize]byte, len(c.Precommits))
	batch := ed25519.NewBatchVerifierWithCapacity(len(c.Precommits)).ForceNoPublicKeyExpansion()
	zip215 := &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}
	for i := range c.Precommits {
		p := &c.Precommits[i]
		payloads[i] = PrecommitPayload(p.TargetHash, p.TargetNumber, round, set.ID)
		batch.AddWithOptions(p.ID[:], payloads[i][:], p.Signature[:], zip215)
	}
	// The verifier takes 32 bytes and stretches them to as many coefficients as it needs (ChaCha20).
	seed := batchSeed(c.Precommits, payloads)
	ok, valid := batch.Verify(bytes.NewReader(seed[:]))
	if ok {
		return nil
	}
	for i := range valid {
		if !valid[i] {
			return fmt.Errorf("precommit %d: %v: %w in round %d of set %d", i, c.Precommits[i].ID, ErrSignature, round, set.ID)
		}
	}
	return nil
}

// batchSeed hashes all that the batch checks: every key, message and signature, in order. The
// messages hold the round and the set id. Each part has a fixed length, so that no two different
// batches run together to the same bytes.
func batchSeed(precommits []Precommit, payloads [][PayloadSize]byte) [32]byte {
	b := make([]byte, 0, len(batchLabel)+len(precommits)*(32+PayloadSize+64))
	b = append(b, batchLabel...)
	for i := range precommits {
		b = append(b, precommits[i].ID[:]...)
		b = append(b, payloads[i][:]...)
		b = append(b, precommits[i].Signature[:]...)
	}
	return blake2b.Sum256(b)
}
