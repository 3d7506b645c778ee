// Package extrinsic knows the form of signed extrinsics of version 4 as far as it can be known without the
// metadata of a runtime: signatures, eras, and parcels, in which a transaction travels between light nodes
// with all that its signature covers.
//
// It promises that a parcel that Verify takes was signed by its account for the chain, runtime, era and nonce
// that it names, and that one encoding stands for one parcel: what Decode takes, Append gives back byte for
// byte. It does not say that the chain would take it: that is for its runtime, over its state.
//
// It does no I/O and reads no clock.
package extrinsic
