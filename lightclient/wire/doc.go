// Package wire holds the messages of the Substrate network protocols as Go values: block announces,
// block requests (sync/2), storage reads and calls (light/2), warp requests (sync/warp), GRANDPA
// gossip, Kademlia FIND_NODE and transactions, each with its encoder and its decoder, so that a
// client and a server (the demo network) speak through the same code.
//
// It promises that a decoder never panics, refuses a message above its size limit before looking
// further, checks every count and length before it allocates by it, holds less than 4 MiB beside
// the input, skips protobuf fields it does not know, and refuses a known field of the wrong wire
// type, a singular field given twice and left-over bytes. What a
// decoder accepts, the encoder writes back in the one form that this package uses, and that form
// decodes to the same value.
//
// It judges form only. Hashes, headers and proofs in these messages are claims of a peer until
// package verify has looked at them. Byte slices returned by decoders alias the input.
//
// It never does I/O, never looks at a clock and never uses reflection.
//
// Protobuf messages follow substrate/client/network/sync/src/schema/api.v1.proto,
// substrate/client/network/light/src/schema/light.v1.proto and libp2p's dht.proto.
package wire
