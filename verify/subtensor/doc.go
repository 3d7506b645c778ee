// Package subtensor reads the state of the Bittensor runtime: the keys of its storage, the layout of
// its values, and typed reads over a state that is proven.
//
// It promises that what it returns follows from the values that a State gave for the keys it was
// asked for, and from nothing else; that a key proven absent has the value the chain gives it (its
// default, in the same table as its hashers); and that a value which does not decode to its last byte
// is ErrLayout with the item's name, never half of a value. Vectors by uid have as many entries as
// the subnet has neurons: the chain counts what is missing as 0, and so does this package.
//
// A typed read asks for all the keys it can name in one Load, and again only for keys that it learns
// from the first answers. So a caller may run a read against a State that records what it lacks,
// fetch that, and run it again, until nothing is lacking.
//
// The layout is that of the audited runtimes (package rules), written down here because a bundle is
// checked with no metadata at hand. Where two runtimes differ, a function takes a rules.Set. Whether
// a chain runs an audited runtime is for the caller to ask (Spec).
//
// It trusts no State further than its answers, and checks no proof itself: FromTrie is a State over
// a trie.Proof, which does.
package subtensor
