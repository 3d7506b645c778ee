// Package checkpoint holds the trust roots that a light client starts from: the ones compiled in,
// the ones a user brings as a file, and the state that is carried forward from them.
//
// A checkpoint is a block, the GRANDPA set that goes on from it and, where known, the Aura list of
// its children. It is what is believed; everything else is proven from it. Finney cannot be proven
// from its genesis (its set history has a hole where the chain was restarted by hand), so its
// checkpoint is block 8,867,448, whose own header announces both new lists.
//
// It promises that each checkpoint it hands out agrees with itself: the header has the stated hash
// and number, one slot and one seal of the right form, and the sets it announces are the ones the
// checkpoint states. It promises that what MarshalJSON writes, Parse reads back to an equal value,
// and that files are bounded (MaxSize) before they are looked at. The compiled-in files are under
// networks/, with the source of every figure in them, so that a reader can check them against the
// chain.
//
// It does not say that a checkpoint is true. Nobody can prove that offline: it is the reader's
// choice of whom to believe, and CheckForward keeps that choice from being undone by an older one.
// A header's seal is checked only in form, because the list that sealed it is not part of a
// checkpoint.
//
// It never does I/O, reads a clock (the age of a checkpoint is asked with the time as an argument)
// or fetches what is missing: a checkpoint that knows only a hash says so (Ready) and is completed
// by its caller (Resolve, ResolveSet).
package checkpoint
