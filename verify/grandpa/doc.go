// Package grandpa holds the rules of finality: when a block is final, under which authorities, and
// how one set of authorities hands over to the next.
//
// It promises that Justification.Verify, CommitMessage.Verify and WarpProof.Verify accept only what
// authorities of more than two thirds of the given set's weight signed, in this set and this round,
// for the target or for blocks that the given headers prove to descend from it. Where this package
// and the chain's own code differ, this one refuses more (see Justification.Verify). What it takes
// as given is the authority set; a set that a message names is only ever compared with it.
//
// Two proofs that finalize different chains are never weighed against each other: both are kept as
// Evidence, which anyone can check, and no head is chosen.
//
// It does not judge authorship (package aura), nor execute blocks: more than two thirds of the
// authorities can finalize a block that breaks every rule of the runtime.
//
// Signatures are ed25519 under the rules of ZIP-215, as in the chain's host (ed25519-zebra): they
// are checked in one batch whose coefficients follow from all that is being checked, so that the
// answer is the same on every machine and every run.
package grandpa
