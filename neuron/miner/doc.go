// Package miner keeps a miner of a subnet going: it watches the hotkey's registration in proven state, keeps the
// chain's entry of its axon true, serves the axon, and says ahead when the hotkey may be replaced.
//
// It promises that an announcement (serve_axon) is sent only if what the chain says differs from what is so, not
// before the chain's rate limit allows it, and not twice: the intent is on disk before the signature, and after a
// crash it waits until the announcement is seen in the state or cannot be in any block any more. Nothing is signed
// while the gate says no. Callers are known by the state of a finalized block, which is never older than the last
// one that could be proven; how old that is, is told.
//
// It never asks a stranger what this machine's address is, and it does not claim that the axon can be reached: it
// tells when it last was, from another machine, and what a light node says that the node was connected with anyway
// and that was asked to try.
//
// What to do is decided by functions of their arguments (serve.go, address.go, rank.go); miner.go, announce.go
// and reach.go act.
package miner
