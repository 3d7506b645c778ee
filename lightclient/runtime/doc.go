// Package runtime executes the chain's own runtime: the WebAssembly that the chain keeps in its state
// under :code. A node that does so needs no release of its own when the chain changes its rules, and
// what a runtime call returns on proven state is proven itself.
//
// It promises that a call ends: with the runtime's answer, or with an error that names what ended it.
// Code that loops, recurses or allocates without end, leads outside its memory, or asks for what is
// not there, harms nothing but its call. A key of the state that is not known ends the call as well
// (ErrIncomplete, with the key); it is never taken for a key without a value.
//
// An Engine loads runtimes; a Runtime is called; an Overlay is the state of a call and its changes;
// a State is what is below: all of a trie (TrieState), what a storage proof shows (ProofState), or
// the caller's own.
//
// The host functions, their names and encodings are those of sp-io and its kin in the polkadot-sdk,
// the allocator is sp-allocator's. Every import is bound; one that has no answer here ends a call
// that comes to it, and no other.
package runtime
