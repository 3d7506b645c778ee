// Package neuron will run a minimal miner or validator: hotkeys, the axon server, the dendrite client,
// and weights that get on chain in time.
//
// Nothing is here yet, and nothing of taolight pretends otherwise. What the package will never do:
// know libp2p, or hold the secret of a coldkey.
package neuron
