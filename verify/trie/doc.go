// Package trie checks storage proofs against a state root, and builds tries and their roots, for the
// base-16 Patricia trie of Substrate with Blake2b-256, state versions 0 and 1.
//
// It promises that an answer taken from a proof is true of every trie with that root: a [Present]
// value is the value, an [Absent] key is in no such trie, and an enumeration that says it is complete
// lists every key. Where a node is missing, however it came to be missing, the answer is [Incomplete],
// which means "ask another peer" and never "no value". The nodes of a proof may come in any order.
// The same facts give the same minimal proof, byte for byte, whatever bigger proof it was cut from.
//
// It promises no more than its bounds: [DecodeProof] and [NewProof] together allocate less than twice
// the size of the proof, whatever is in it, and no loop runs longer than the key, the proof or the
// caller's limit allows. What is above the bounds is refused with [ErrLimit].
//
// It does not know child tries as such: the root of one is a value in the main trie, and a Proof made
// with that root and the same nodes reads the child trie, unless a root node under 32 bytes of the other
// is among them. It does not know the compact proofs of the state protocol, in which the hashes of
// included children are left out.
//
// It never trusts a node for where it stands in the list, never recurses by the depth of a proof, and
// never copies a value out of one: what [Proof.Get] returns aliases the bytes the proof was made of.
//
// The rules are those of primitives/trie/src/node_codec.rs in the polkadot-sdk (the node encoding) and
// of the trie-db and trie-root crates (which node stands where).
package trie
