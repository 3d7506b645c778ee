// Package demonet is a small Bittensor-like chain with its full peers, all in one process.
//
// It is made for trying, for testing and for being tested: a light node meets its peers over
// loopback sockets with the real protocols and nothing else, and so can a light client that nobody
// here wrote (see internal/interop).
//
// What is real: headers sealed by Aura authorities (sr25519), GRANDPA rounds (ed25519), changes of
// both authority sets announced in headers, forks, a trie of version 1 with the chain's own storage
// keys, extrinsics roots, and the protocols block-announces, transactions, grandpa, sync/2, light/2,
// sync/warp, kad FIND_NODE, identify and ping. Full peers keep the limits of real ones: states of the
// last 256 blocks, justifications at set changes and every 512th block, at most 20 light requests at a
// time, a ban for who asks for the same bodies thrice. There is no discovery beyond the peers of the
// network itself, and the keys are derived from the seed, so anybody who knows that can sign for anybody.
//
// What is in the blocks comes from one of two producers.
//
// With Config.ChainSpec it is the runtime of that chain spec that makes them, executed by package
// lightclient/runtime as a full node executes it: a localnet. It begins with the spec's genesis state, raw
// or built by the runtime, but for what makes it this network's (Origin tells what): the authorities, the
// sudo key, which is //Alice's, a million TAO for each of the developers //Alice to //Ferdie, and the date.
// Extrinsics are judged by the runtime when they come and when they are applied (Submit, Fate, Sign); code
// that one of them sets executes the next block; a call on light/2 is executed, and its proof is what that
// read. Slots last as long as the runtime says, 12 s in production, whatever the block time: so they
// lie back in time, one after the other. GRANDPA's set changes if Config.SetChangeEvery asks for it, by
// an extrinsic that //Alice signs; a block that would hand the chain over to other keys, or to code that
// does not execute, is made without the extrinsics of others. There are no offchain workers, so
// that nothing fetches pulses of drand, and no key of a shielded mempool.
//
// Without a spec it is an imitation: no runtime is executed, and there is none. Each block writes what the
// real pallets would have written, those of the network itself are not signed, and a call on light/2 is
// answered as by a node whose runtime has no such method: without a proof. Of the extrinsics of others, signed
// ones are judged, and executed where they set, commit or reveal weights or announce an axon; Metadata
// describes these and their events. All else is carried and does nothing. Some uids belong to //Alice, //Bob
// and //Charlie, so that anybody can be a neuron. The next two paragraphs are about this chain.
//
// Validators commit to weights every tempo, timelocked on subnet 1 (two mechanisms) and by hash on
// subnet 3, and the chain lets them in, reveals and drops them by the rules of pallet-subtensor, in
// the order of its checks and for the spec version asked for: the stateful epoch scheduler with one
// epoch a block, or the older one. They are written here from that source, and use nothing of
// package verify/commit, which is held against them in tests. A beacon of the network's own signs
// the rounds that commits wait for, and loses every sixteenth. CommitFault is what may be wrong with
// a commit, Network.Commits what became of each.
//
// Epochs are computed by the slow reference of package yuma, and not by what a light client judges them
// with, and stored as the real chain stores them, for each mechanism and together; EpochFault is which
// cell may be wrong in them, Network.Epochs which cells are. Emission is minted, put into the pools in
// equal parts and accrued by the rules of the chain, from an issuance just before the first halving;
// EmissionFault is which rule of it may be broken.
// Nothing of it reaches an account: stakes stay as the genesis block has them, but for what CommitFaults
// do to them, and so do moving prices. There are no registrations for a price, no event of the emission,
// and no epochs' results at all with Config.Quiet.
//
// A network is deterministic: the same Config with the same Start gives the same blocks to the
// byte. It never makes verification easier: there is no shortcut in any verifier for this network,
// and it never makes a block for a slot that has not begun.
package demonet
