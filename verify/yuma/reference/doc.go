// Package reference computes the Yuma epoch a second time, with math/big and step by step as the chain's
// source has it, for tests of package yuma and for a demo chain that package yuma judges.
//
// It promises to share no arithmetic with package yuma: only the types of what goes in and what comes
// out. It is slow (some hundred times), checks no bounds of its input, and never decides anything in the
// light client.
package reference
