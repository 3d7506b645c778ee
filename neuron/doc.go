// Package neuron is what a miner or a validator of a subnet is made of: the one interface that its own code
// implements, and what it is told of each request.
//
// It promises that a Handler sees only requests that were checked, and that the caller it is shown is the one
// that signed. The packages below it do the work and can be used alone: wallet keeps hotkeys, synapse and
// btauth are the two wire forms, axon serves, dendrite calls, handler has handlers for those who write
// none.
//
// It never knows libp2p, holds the secret of a coldkey, or signs anything while the gate of its signer says
// no (wallet.Gate): a request says when it was made, and a clock that is not trusted must not say so.
package neuron
