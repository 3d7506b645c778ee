package grandpa

import (
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"golang.org/x/crypto/blake2b"
)

// checkSignatures checks the signature of every precommit, and names the first bad one.
func checkSignatures(c *Commit, round uint64, set *AuthoritySet) error {
	n := len(c.Precommits)
	payloads := make([][PayloadSize]byte, n)
	batch := ed25519.NewBatchVerifierWithCapacity(n)
	seed, _ := blake2b.New256(nil)
	opts := &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}
	for i := range c.Precommits {
		p := &c.Precommits[i]
		payloads[i] = PrecommitPayload(p.TargetHash, p.TargetNumber, round, set.ID)
		batch.AddWithOptions(p.ID[:], payloads[i][:], p.Signature[:], opts)
		seed.Write(p.ID[:])
		seed.Write(payloads[i][:])
		seed.Write(p.Signature[:])
	}
	xof, _ := blake2b.NewXOF(32, seed.Sum(nil))
	ok, valid := batch.Verify(xof)
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
