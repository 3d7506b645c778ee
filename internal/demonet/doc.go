// Package demonet is a small Bittensor-like chain with its full peers, all in one process.
//
// It is made for trying, for testing and for being tested: a light node meets its peers over
// loopback sockets with the real protocols and nothing else, and so can a light client that nobody
// here wrote (see internal/interop).
//
// What is real: headers sealed by Aura authorities (sr25519), GRANDPA rounds (ed25519), changes of
// both authority sets announced in headers, forks, a trie of version 1 with the chain's own storage
// keys, extrinsics roots, and the protocols block-announces, transactions, grandpa, sync/2, light/2
// (reads, and calls whose reads are known), sync/warp, kad FIND_NODE, identify and ping. Full peers
// keep the limits of real ones: states of the last 256 blocks, justifications at set changes and
// every 512th block, at most 20 light requests at a time, a ban for who asks for the same bodies thrice.
//
// What is not: no runtime is executed. Each block writes what the real pallets would have written,
// extrinsics are carried but not judged, and the keys are derived from the seed, so anybody who
// knows that can sign for anybody. There is no discovery beyond the peers of the network itself.
//
// A network is deterministic: the same Config with the same Start gives the same blocks to the
// byte. It never makes verification easier: there is no shortcut in any verifier for this network,
// and it never makes a block for a slot that has not begun.
package demonet
