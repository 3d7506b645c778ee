// Package aura holds the rules of block authorship: which slot a header claims, who may seal it,
// whether the seal is that authority's, and how the list of authorities changes.
//
// It promises that VerifySeal accepts a header only if the one authority whose turn the slot is
// signed these very bytes: change any byte of the header and the seal fails. What it takes as given
// is the list of authorities valid at the parent, and, for the future check only, the time.
//
// It does not say that a block is final, or even that it will stay: any single authority can seal
// as many blocks as it likes in its own slots. Only package grandpa speaks of finality.
//
// It never reads a clock. A caller without a trusted one passes Clock.Now = 0, and the future
// check alone is left out.
package aura
