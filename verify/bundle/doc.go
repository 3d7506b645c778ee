// Package bundle reads, checks and makes bundles (.tlb): files that carry facts about the chain with all that
// proves them, to be checked with no network, no clock and no trust in who made or brought them.
//
// It promises that a claim reported as OK follows from the caller's checkpoint, from more than two thirds of
// each GRANDPA set since, and from the caller's beacon, by the rules of the runtime that made the blocks in
// question, and from nothing else: whatever is in the file, in whatever order, is bytes. It promises one
// verdict for each claim, with the first step that failed; that no input makes it panic, or allocate more
// than a small multiple of its size; and that one encoding stands for a Bundle: what Decode takes, Append
// gives back byte for byte, and a part that no claim needs is refused.
//
// What is trusted is never in the bundle. The root that it names only tells which checkpoint it was made
// for. Any other checkpoint of the same chain does as well, if no change of authorities lies between the
// two that the bundle does not bring: verification starts at the checkpoint's own block and set, and passes
// over what is at and below it.
//
// It does not say what a claim does not say. "Made" is no word about the weights inside, "revealed" none
// about what came later, and none says why a validator did what it did; see Claims below.
//
// It never does I/O, reads a clock, or asks anybody.
//
// # Compatibility
//
// A bundle of version 1 that some release of this package verifies, with some checkpoint and options, every
// later one verifies the same way: the encoding, the links, the lookups that each claim makes (a claim that
// made other lookups would find nodes missing, or not needed), the numbers of reasons, and the steps and
// words "ok", "FAIL" and "??" of a report are fixed. Rules may be added for runtimes that were unknown; a
// mistake in a rule that is found out to accept what is not so will be mended, and the change log will say
// it. What has to change otherwise becomes version 2, beside this one. Texts and reasons are for people and
// may become clearer.
//
// # Format
//
// All integers are little-endian, "compact" is the compact integer of SCALE in its shortest form, and a
// Vec is its compact length and the elements. A header is in its own SCALE encoding.
//
//	magic      89 54 4c 42 0d 0a 1a 01: the last byte is the version
//	genesis    [32], hash of block 0
//	root       compact u32 number | [32] hash | compact u64 id of the set that finalizes what follows
//	fragments  Vec<fragment>, at most 4,096: each block above the root, and below the final one, that
//	           announces a change of authorities, by number
//	final      00, or 01 and a fragment
//	headers    Vec<header>, at most 16,384, by number
//	nodes      Vec<Vec<u8>>, at most 262,144: trie nodes and values of 32 bytes or more, by Blake2b-256; of
//	           states, and of the tries of extrinsics
//	pulses     Vec<compact u64 round | [48] signature>, at most 4,096, by round
//	claims     Vec<claim>, 1 to 4,096, by their encoding
//
//	fragment   header | compact u64 round | Vec<header> ancestry, at most 4,096 | Vec<vote>, at most 2,048
//	vote       compact signer | compact target, if the ancestry is not empty | [64] signature
//
// Lists are in strictly ascending order, nodes and claims byte by byte; fragments and votes are in the order
// of the chain and of the justification. A signer is a position in the authority set, below 1,024. A
// target is 0 for the fragment's header and i for ancestry[i-1], no two of which are equal: so there is one
// way to write a justification, and it can be rebuilt byte for byte. 14 votes for one block take 912 bytes
// and those of the round, up to nine.
//
//	claim      tag u8 | fields:
//	  0        header    compact u32 block
//	  1        value     compact u32 block | Vec<Vec<u8>> keys, 1 to 1,024 bytes each, ascending, 1 or more
//	  2        made      commitment | compact u32 at
//	  3        revealed  commitment | compact u32 at | reveal, if it is a hash commitment
//	  4        lost      commitment | compact u32 at | reason u8 (commit.Reason)
//	  5        equal     commitment | compact u32 shown | compact u32 at | reveal, if it is a hash commitment
//	  6        pulse     compact u64 round, not 0
//	  7        weights   compact u16 netuid | mecid u8 | compact u32 at | 00, or 01 and compact u16 uid
//	  8        subnet    compact u16 netuid | compact u32 at
//	  9        epoch     compact u16 netuid | compact u32 block
//	  10       call      compact u32 block | Vec<u8> method, 1 to 256 bytes from ! to ~ | Vec<u8> input, at most
//	                     1 MiB | [32] code hash | Vec<u8> output, at most 4 MiB
//	  11       included  compact u32 block, not 0 | compact u32 index, at most 2^20-1 | [32] hash | end u8
//	                     (0 not said, 1 succeeded, 2 failed) | if it failed, the DispatchError: 6 bytes for
//	                     a module's (03), 2 for 07, 08, 09 and 0e, else 1
//
//	commitment kind u8 (0 hash, 1 timelocked) | compact u16 netuid | mecid u8 | [32] hotkey
//	           | compact u64 epoch | compact u32 block | [32] hash
//	reveal     Vec<u16> uids | Vec<u16> values | Vec<u16> salt, at most 65,536 each | u64 version key
//
// A netuid is below 4,096 and a mecid below 16. The block of a commitment is not above the blocks at and
// shown, and below at where it is revealed or lost. A hash commitment is lost for reason expired or
// overtaken, a timelocked one for any from pulse-missing to expired.
//
// A bundle has at most 16 MiB, 65,536 keys in all claims, 256 KiB and 64 digest items in a header, and in all
// headers together, ancestry included, 64 digest items and 8 more for each header.
//
// If no claim is about a block (pulses alone), there is no final block, and root, fragments, headers and
// nodes are empty (the root all zero bytes). Otherwise there is a final block, above the root and each
// fragment and not below any block of a claim. A block stands in one of fragments, final and headers, never
// in two.
//
// Compression, if any, goes around a bundle and is no part of it.
//
// # Links
//
// The headers of a bundle are those that its claims need and stations between them. Take the blocks that
// claims are about (a revealed, lost or equal claim has two: see Claims), but for the final one and those of
// fragments, which have votes of their own, from the highest down. While one is more than 2,400 blocks below
// the one before (first of all, the final one), the block 2,400 below that, or the next above it that is
// not a fragment's, is a station. Each header must then be the parent of the one before if it is
// one below it, and otherwise be the block whose hash System.BlockHash has for its number in the state after
// the one before: the chain keeps 2,400 of them. So no chain of headers is needed, and there is one way to
// link.
//
// A fragment's block that is below the checkpoint is proven by nothing, and what claims say about it is
// undecided.
//
// # Rules
//
// A claim about subtensor's own storage (all but header, value, call, included and pulse) first reads which runtime made the
// block (System.LastRuntimeUpgrade in the state after it), and is undecided unless package rules knows
// that. Where it is about what block R did, the runtimes of R and of R-1 must be the same: in the block
// in which a new runtime takes over, storage is migrated before anything else, and what is in R-1 is not
// what R found. With Options.AssumeRules the rules of a named runtime are taken for unknown ones, and each
// line says so.
//
// # Claims
//
// Each is proven if these hold, all in states of proven blocks. "Stands" means that the queue, of the
// commitment's epoch for a timelocked one and of its hotkey for a hash one, has an entry with its hotkey,
// block and hash (and epoch, which before spec 423 is worked out from the block and the tempo).
//
// header: the block is final. The bundle has its header.
//
// value: each key has the value shown, or has none.
//
// made: the commitment stands after block At. The block in the entry was written by the chain, so the
// commitment was made then; but where a hotkey was swapped, the chain has put the new one into old entries.
// With At equal to that block, it was made in this block and stood at its end.
//
// revealed: the commitment stands after block R-1 and does not after R; its payload is known (opened with
// the pulse of its round, which proves itself; or shown, and of the committed hash); and after R, the row of
// the hotkey's uid is that of the payload, scaled up as the chain does it. If the row was the same after R-1
// already, this says nothing; then a timelocked commitment must by commit.ReadFate, from the state after
// R-1, be stored, and a hash commitment must have left its queue as only a revealed one does (commit.Gone);
// else the claim is undecided. It does not show by which call, nor that no other commitment with the same
// weights was revealed in the same block.
//
// lost, timelocked: the commitment stands after R-1 and does not after R, and by commit.ReadFate, from the
// state after R-1 with the pulse as it is there, the chain drops it in R for the reason claimed. If its
// payload is known and it was not superseded, the row after R must not have become the payload's in R: this
// is our reading of the rules held against what the chain did. It does not prove the payload of a
// commitment that cannot be opened, of course, nor that the same weights did not come about otherwise. If
// the hotkey has the same ciphertext in the queue twice, it is undecided which came to what.
//
// lost, hash, expired: the commitment stands after block At, and as of the next block the only epoch in which
// it can be revealed is over, by the reveal period of the subnet as it is then. (If the owner makes the
// period longer, its time may come again.)
//
// lost, hash, overtaken: the commitment stands after R-1 and does not after R, its time was not over, and
// one behind it in the queue is gone after R too: a reveal takes away all before it. Both may have been
// revealed one by one in R; the row then is that of the last all the same.
//
// equal: the commitment stands after block Shown, its payload is known as for revealed, and after block At the
// row of the hotkey's uid is that of the payload. It does not say how it came to be so. A later reveal, a
// uid of the row given to another neuron, or the loss of the hotkey's own uid make it untrue.
//
// pulse: the signature is the beacon's for the round. That the chain has it, this does not say.
//
// weights: the rows are those shown, in their order: of one uid, or of each below SubnetworkN.
//
// subnet: the fields of subtensor.Snapshot are those shown.
//
// epoch: each array that the Yuma epoch of the block stored is what follows, by the rules, from the state
// before the block and what the block did before its epoch. What package epoch leaves out (neurons that
// registered in the block itself) is said to be; what the two states do not decide makes it undecided, and
// so does a subnet that is bigger than the bounds of that package.
//
// call: the method of the runtime, executed by its own code in the state after the block, with the input as its
// arguments, answers the output. The state has that code, by its hash; the bundle has it whole, or the
// verifier is given it. Execution is for an Executor, which this package has none of: what it takes besides
// the code and the state, it has to answer as any node would.
//
// included: the block has, at the position, an extrinsic with that hash: the entry of compact(index) in the
// trie whose root is the extrinsics root of its header, which keeps values whole (version 0). Where it says how
// it ended, System.Events after the block does too, without metadata: the chain writes one record for each
// extrinsic, 00 | u32 index | 00 | 00 for one that succeeded and 00 | u32 index | 00 | 01 | DispatchError for one
// that failed (frame_system, pallet 0 of every runtime of this chain). All places in the value that begin so
// must say the same end, and there must be one; else the claim is undecided, as other events may hold such
// bytes. It does not say what the extrinsic is, nor that a call inside it did what it should.
//
// # Report
//
// Verify goes through the steps trust (whose network, from which checkpoint), headers (fragments announce
// changes, headers are linked and needed), finality (votes), storage (each node is needed), pulses
// (all verified together; each is needed) and the claims. A step that rests on one that did not succeed is
// undecided, "not reached". That nodes and pulses are needed shows only when every claim was judged to its
// end, and is asked only if all are OK.
package bundle
