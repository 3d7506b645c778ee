// Package lightclient follows a Bittensor chain as a light client and proves what it learns.
//
// It promises that a block it calls final was signed by more than two thirds of the GRANDPA set that
// the trust root, and the chain of set changes above it, entitle to; that a storage value it returns
// is proven against such a block's state root, or is proven absent, or is called incomplete; and that
// the finalized head it reports never goes back. What is not final is called best and nothing more.
//
// It does not promise to be told: a peer can always keep silent. Status says how old the finalized
// head is, and when nobody answers.
//
// The parts:
//
//	chain.go    the chain as a passive structure: it validates, holds and prunes, and asks nobody
//	sync.go     the state machine that decides what to ask whom: Process(now, events) → actions
//	warp.go     catching up from the trust root, and finality by warp request
//	follow.go   headers: announcements, gaps, the unfinalized tree
//	finality.go commits, neighbour packets, justifications, conflicting finalities
//	state.go    the Aura list, read by proof where headers were skipped
//	book.go     known addresses, back-off and bans
//	read.go     storage reads from several peers
//	past.go     finalized blocks below the head, and their states
//	heads.go    what is held of the chain, for many who wait for it
//	located.go  reads and calls at a block found by its hash, which share what was proven
//	typed.go    weights, epochs and commitments, asked of a running node
//	commitments.go, history.go, calls.go
//	            what is pending, what became of the rest, and what extrinsics revealed
//	prove.go    bundles, made from what peers have
//	watch.go, archive.go
//	            evidence of commitments as they happen, and what is told from it later
//	node.go     the loop that drives the rest and carries out what Sync decides
//	slots.go    peers: dialling, handshakes, requests in flight, discovery
//	keep.go     what is kept over a restart, and proven again at the start
//	status.go   one look at all of it
//
// Goroutines and sockets are owned by node.go, slots.go and read.go and by nothing else.
//
// A commitment is followed from proofs alone, and no step of it is taken on a peer's word. States of
// the past end where peers prune them: then the answer says so, and how many were asked. Rules of a
// runtime that nobody has audited are ErrUnknownRules, unless the caller assumes others, which shows.
//
// It never writes to disk itself: it declares the small Store that it needs. The wire formats are in
// lightclient/wire, the libp2p host in lightclient/p2p.
package lightclient
