// Package fact judges single facts about the chain that come as JSON: a header, a justification, a
// warp proof, a storage proof, a block's extrinsics, a drand pulse, a weight commitment and what its
// timelock holds, a Yuma epoch. It is what `taolight verify --kind` runs.
//
// It promises a verdict for every input, never a panic, and that a verdict of OK rests on the rule
// of the fact's kind alone: results that the input states (a hash, a slot, a value) are compared
// with what was computed, and can only turn OK into Failed. Leaving them out makes nothing easier.
// Integers never pass through floats, names are matched exactly, and a name that stands twice is
// refused where it matters. Names that a kind does not use are ignored, so that files that hold
// more than one fact can be used as they are.
//
// The field names are those of public captures of chain data (Kinds lists them); hex is
// taken with or without 0x. Whom to believe is part of the input: the Aura list, the GRANDPA set,
// the state root. Only for a header may the list be left out; then the compiled-in one for its
// height is taken, and the verdict says so.
//
// It never reads a file, the network or a clock: a header's slot is not compared with the time.
package fact
