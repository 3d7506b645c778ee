// Package storage keeps on disk what a light node wants to find again after a restart: the newest
// finalized head, authority sets with their proofs, recent headers, storage proofs, peers and bans.
//
// # What it promises
//
//   - [Open] never panics, whatever the files hold. A file that is damaged or that belongs to another program is moved
//     aside as NAME.damaged-<unix time> and made anew; the [Recovery] value says what happened. No prompt, no manual repair.
//   - A head that is read back was written by [Store.WriteHead] or [Store.SetHead] exactly so. After a power cut it is the
//     newest or the one before it.
//   - Everything between two commits is there as a whole or not at all.
//   - A full or read-only disk stops nothing: methods return the error, [Store.Degraded] says so, everything goes on
//     from memory, and writing resumes by itself on a later [Store.Tick].
//   - Slices handed out are copies and live as long as the caller wants. No bbolt transaction ever leaves this package.
//
// # What it does not promise
//
// Nothing here is a proof. Checksums find a bad card, not an attacker with write access: whoever reads a head or an
// authority set verifies it again before relying on it. Everything kept can be derived again from a checkpoint and the
// network, so losing the whole directory costs time and nothing else. A card that acknowledges writes it has not made
// may lose any of it.
//
// # What it never does
//
// It starts no goroutine (bbolt's checker does, during [Store.Check]) and reads no clock but [Config.Now], and that only to
// name files. It never goes back in block number, unless told to by [Store.RejectHead]. It never writes to a directory
// that another process has locked.
//
// # Write budget
//
// Flash wears by writing and each fsync costs it a block or more. The budget is 2 MB and 300 fsync a day, for 7,200 blocks:
//
//	head: one slot each 150 blocks      48 fsync   48 × 4 KiB (16 KiB)  = 0.2 MB (0.8 MB)
//	batch: one commit each 6 hours       8 fsync   4 × about 150 KB     = 0.6 MB
//
// In parentheses is what the kernel counts on ext4 as it is usually mounted: each write also changes the time of the
// file's inode, which the journal writes down some seconds later, 16 KiB for 4, lazytime or not. That is why a head is
// not written every 25 blocks, which would be 4.7 MB a day. Tests hold the budget by this package's own count, for a
// day with 40 peers, a proof each hour, a restart and a set change (TestDayBudget), and by the kernel's
// (TestDeviceBudget). A head whose 20 authorities have all voted is 4.5 KB; deflated it fits one block.
//
// An hourly commit would cost 48 fsync (bbolt syncs twice each) and break the budget, hence the 6 hours; a change of the
// authority set is committed at once by the caller ([Store.Commit]) and costs two more. Growing the database file costs one
// fsync per MiB and ends when the rings are full. For the same reason only the newest 256 headers are saved at each
// commit: 7,200 headers a day would be 2.5 MB alone. The other headers stay in memory.
//
// # Files
//
// One directory holds one network. The directory itself is locked (flock), so no lock file can be left over.
//
// head.slots is 36,864 bytes, written once in full and afterwards only overwritten in place, because growing or renaming
// a file makes the file system write its journal as well. Slot A is at 0, slot B at 16,384, the run mark at 32,768. A
// record is, all little-endian: magic "TLHS", version u16, flags u16 (bit 0: payload deflated), sequence u64, number u32,
// stored length u32, raw length u32, hash [32], genesis [32], payload, CRC-32C of all before. The valid slot with the
// highest sequence counts; the other one is written next. The run mark counts starts and says whether the last one ended
// well.
//
// taolight.db is a bbolt database of 4 KiB pages. Each bucket is a kind of record; each value ends in the CRC-32C of
// (bucket name, 0, key, value). Before bbolt maps the file, its whole structure is checked by reading alone, since bbolt
// trusts its pages and a bad one can end the process.
//
//	meta             "schema" u32, "genesis" [32]
//	authority-sets   set id u64 BE → SCALE (set, header, justification), each a byte string
//	headers          number u32 BE → hash [32], SCALE header
//	proofs           number u32 BE, hash [32], first 8 bytes of Blake2b-256 of the proof → proof
//	bundles          number u32 BE, name → opaque; the oldest go first
//	peers            peer id → opaque record
//	bans             peer id → SCALE (expiry in Unix seconds u64, reason)
//	other            kind, 0, key → opaque
//
// A backup is a tar of four files, see [Store.Backup].
package storage
