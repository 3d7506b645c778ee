// Package yuma is the arithmetic of Yuma Consensus: what the chain's epoch computes, bit for bit.
//
// So far it holds the stake of neurons, their validator permits, and the schedule of epochs. It
// promises the chain's own numbers: each operation rounds and saturates as the fixed-point types of
// the runtime do (encointer/substrate-fixed v0.6.0), in the chain's order where order shows.
//
// It takes state as plain numbers; reading them out of proven state is for package subtensor, and
// which of the two schedulers a runtime has is for package rules to say. It never uses a float.
package yuma
