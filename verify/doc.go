// Package verify holds the domain types of a Bittensor light client and, in the packages below it,
// every rule that decides whether a fact about the chain is true.
//
// It promises that each function is total and deterministic: the same bytes and the same trusted
// inputs give the same answer on every machine, hostile bytes give an error that names the place
// and the cause, and no input makes it panic, loop or allocate more than a small multiple of its
// own size. What is trusted is always an argument: the authorities, the set id, the state root,
// the time.
//
// It never does I/O, reads a clock, starts a goroutine, keeps a global, or uses a float where the
// chain does not. So it builds for js/wasm and wasip1 as it builds for a Raspberry Pi, and a
// program that only verifies links nothing else of taolight (see the program in verify/example).
//
// The packages, by the rule each owns:
//
//	scale       the SCALE encoding
//	aura        slots, authors and the seals of block headers
//	grandpa     justifications, commits, warp fragments and conflicting finality
//	trie        storage proofs and roots, state versions 0 and 1
//	checkpoint  trust roots and what is carried forward from them
//	rules       which rules a runtime has, by its spec_version
//	subtensor   the storage of the subnets, and typed reads of it
//	yuma        the fixed-point numbers, stake, permits and schedules of an epoch
//	drand       pulses of the beacon that opens commitments
//	tlock       the timelock ciphertexts in which weights are committed
//	commit      weight commitments: what they hold and what becomes of them
//	extrinsic   signed transactions as they travel between light nodes
//	bundle      facts with all that proves them, as a portable file
//	fact        single facts as JSON, as `taolight verify --kind` takes them
package verify
