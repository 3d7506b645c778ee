// Package gossip will carry proofs between light nodes: a message is a bundle of proven facts, and
// every one is verified in full before it is passed on.
//
// Nothing is in this package itself yet, and nothing of taolight pretends otherwise; package carrier
// takes bundles over lossy links. What the package will never do: keep state on disk, or trust what it
// has not verified.
package gossip
