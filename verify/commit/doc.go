// Package commit judges the weight commitments of validators: what one is the hash of or holds under
// its timelock, when it can be revealed, and what the chain makes of it then.
//
// It promises to mirror the chain step by step, in the order of its checks, for the runtimes that
// package rules knows: the same bytes are taken and refused, the same of two faults is named, and the
// row of weights is the one that the chain stores, bit for bit. The chain drops what it cannot use
// without a word; here every way to be dropped is a Reason with a sentence.
//
// What it is given is taken as true: the state (from proofs, by package subtensor), the rules and,
// where a signature is handed to Open, that it is the beacon's. ReadFate is told of the beacon and
// accepts no other's pulse.
//
// Three things it cannot know from one subnet's state and does not guess: whether block R was one in
// which the chain put the subnet's epoch off (pallets/subtensor/src/coinbase/block_step.rs,
// epochs_deferred_this_block), so it speaks of a block in which the subnet was handled; what an
// extrinsic of the same block changed before a reveal by extrinsic ran; and whether a commitment was
// ever tried and refused.
//
// It never reads a clock, a file or the network.
package commit
