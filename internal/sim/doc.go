// Package sim runs many gossiping light nodes in one goroutine, on virtual time and from a seed, with
// losses, partitions, sleep and adversaries, and says how finality spread among them.
//
// What is real: the gate that judges every message (gossip.Gate), with its accounts; the bundles and their
// votes; what a node takes when it catches up (gossip.ProofOf); the parameters of each level. Verifying is
// charged in virtual time by the gate's own units, at the speed of a modelled board: a message waits while
// its receiver is busy.
//
// What is a model: GossipSub's mesh (graft and prune at heartbeats, eager push, IHAVE, IWANT, IDONTWANT, a
// graylist), the address book, and the wire. A message that is lost is lost, while TCP would send it again
// later: figures from here are the worse ones. What it promises is that a run depends on its Config alone.
//
// It never sleeps, dials or reads a clock.
package sim
