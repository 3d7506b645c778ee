// Package synapse is the wire form of the Python SDK's axon and dendrite, version 10: which headers and
// members a request and a reply have, what their signature and their body hash are over, and tensors.
//
// It promises that what it writes is what the SDK's own server and client take, name for name and type for
// type; that of what it reads, sizes and depths are bounded before anything is made of them, numbers are
// never put through floats that cannot hold them, and each error says which header or member it is about.
// Sources: bittensor/core/synapse.py, tensor.py, axon.py and dendrite.py of bittensor 10.2.
//
// It never opens a socket, reads a clock, checks or makes a signature, or decides who may call: the
// packages axon and dendrite do.
package synapse
