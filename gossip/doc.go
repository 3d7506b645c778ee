// Package gossip lets light nodes hand each other what they have proven: over GossipSub, over requests
// to a neighbour, and over carriers that need no internet (package link).
//
// It promises that nothing is passed on, or told to the node, that was not verified from its own bytes
// and the node's trust first; that what a peer can make it compute is bounded, per peer and in all,
// before it is computed; that an invalid message costs its sender its place, and a late one nothing; and
// that a change of level replaces the router and keeps the connections.
//
// It does not promise to be told: peers can keep silent. And a message says nothing of who made it, on
// purpose: it is the same whoever sends it, and is named by the hash of its bytes.
//
// It never writes a file: the addresses worth keeping are handed to whoever keeps them. It never decides
// what is final: a proof that arrives goes to the light client, which verifies it again as it would one
// from a peer of the chain.
//
// The parts:
//
//	message.go  topics, and what a message on each must look like
//	gate.go     the ladder of checks from the size to the votes, and who may cause how much work
//	budget.go   work, counted in units instead of time
//	level.go    parameters for each power level
//	contacts.go whom to dial: found, told and kept addresses, neighbourhoods, anchors
//	router.go   GossipSub with those parameters, scores and limits
//	meter.go    counts, and whom a message would go to
//	outbox.go   messages that wait until somebody would hear them
//	parcels.go  transactions that are carried for others
//	exchange.go the requests between neighbours: catching up, and addresses
//	reach.go    asking neighbours whether a port of this machine can be reached
//	node.go     the loop that drives the rest
//
// # Topics
//
// The name of a topic is /taolight/<the first 8 bytes of the genesis hash, in hex>/<kind>/1. Kinds:
//
//	finality     a bundle that claims one finalized header and nothing else: no set changes, no state.
//	             Its root is the block from which the set that signed it signs.
//	finality25   the same, of one block in each 25 in a row, for nodes that save power
//	evidence     two conflicting finalities of one set (grandpa.Evidence)
//	commitments  a bundle of claims about weight commitments
//	pulses       a bundle of drand pulses and nothing else
//	transactions a signed transaction that somebody with peers of the chain may carry to them
//	             (extrinsic.Parcel), or a bundle of claims that blocks have such, and how they ended
//
// A message has at most 64 KiB. Its id, for GossipSub, is the first 16 bytes of the Blake2b-256 hash of the
// number of its kind and its bytes.
package gossip
