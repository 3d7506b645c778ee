// Package yuma is the arithmetic of Yuma Consensus: what the chain's epoch computes, bit for bit.
//
// It holds the epoch of one mechanism (Epoch), from the stake of neurons to their bonds and emission,
// what several mechanisms come to, the schedule of epochs, and how much there is to emit. It promises
// the chain's own numbers: each operation rounds and saturates as the fixed-point types of the runtime
// do (encointer/substrate-fixed v0.6.0), in the chain's order where order shows. What an epoch computes
// on its way can be asked for by name (Trace).
//
// It takes state as plain numbers; reading them out of proven state is for package subtensor, and
// which rules a runtime has is for package rules to say. It never uses a float, takes no input that is
// too big to compute with (ErrInputs), and panics at none.
package yuma
