// Package tx makes signed extrinsics, has the chain's own runtime judge them before anybody hears of them,
// sends them, and tells what became of them from proofs alone.
//
// It promises that what is signed follows from proven state: nonce, era and spec_version from a finalized
// block, the order and the form of the transaction extensions from the metadata of that block's runtime, of
// which one that it does not know and that holds anything makes it stop. An extrinsic is written down, with
// what it is waiting for, before it is sent, so that a restart goes on watching it, and it is never made
// anew: whoever has the same bytes has the same transaction. Inclusion is found in a body that has its
// header's extrinsics root, and the result in System.Events of that block's state.
//
// It holds no key. A Payload is signed elsewhere; the signature is verified here before it is used.
package tx
