// Package carrier takes a message, most often a bundle, over links that lose, damage, repeat and
// reorder: LoRa packets, a serial line, a set of QR codes, lines of text read out or pasted.
//
// [Split] cuts a message into numbered chunks and adds Reed-Solomon parity, by default so much that
// any 2 in 7 chunks may be lost. A [Joiner] takes chunks in any order and gives the message back, and
// only if the hash of the whole message agrees. [QR] puts the same chunks on QR codes.
//
// The package promises that what [Joiner.Bytes] returns has the hash that was split, that a damaged
// chunk is dropped and counted instead of joined, that chunks of several messages do not mix, and that
// a Joiner holds no more than [MaxHeld] bytes and [MaxMessages] messages, whatever it is given.
//
// It does not promise that a message is true, or who sent it: a chunk is not signed, and anybody who
// hears one can make others for the same message, which then fails as a whole ([ErrContent]) and has to
// be sent again. A bundle proves itself; verify it after joining. Nor is anything hidden: chunks are
// not encrypted. The package never opens a file, a port or a camera.
//
// # A chunk
//
// Integers are little-endian. Every chunk of a message has the same length, 32 to 2,048 bytes.
//
//	offset  bytes  what
//	0       1      0xb1: a chunk of this format
//	1       4      id: the first four bytes of the Blake2b-256 hash of the message
//	5       3      bytes of the message, less one: 1 to 16,777,216
//	8       1      parity: a in the upper four bits, b in the lower: a in b chunks may be lost
//	9       3      number of the chunk, counted from 1
//	12      s      the shard
//	12+s    4      CRC-32C (Castagnoli) of all bytes before
//
// Parity obeys 2a ≤ b and b ≥ 1; the default is 0x27. Zero for a means no parity.
//
// # A message
//
// The message and then its Blake2b-256 hash, n bytes together, are filled up with zeros and cut into
// D = ⌈n/s⌉ data shards of s bytes. Chunks 1 to D carry them in order.
//
// They form G = ⌈D/⌊256(b−a)/b⌋⌋ groups. Chunk i, counted from 0, is of group i mod G; so neighbours are
// of different groups, and a burst hurts all of them alike. Shard i is member ⌊i/G⌋ of its group, and a
// group has k = ⌈D/G⌋ members: where there are not so many, the last is a shard of zeros that is not
// sent. To each group belong m = ⌈ka/(b−a)⌉ parity shards; from i = D on, chunk i carries parity
// ⌊(i−D)/G⌋. So there are D + Gm chunks, of which there may be no more than 262,144.
//
// Parity p is the sum over the members c of a group of shard c times 1/((k+p) xor c), byte by byte in
// GF(256) with the polynomial x⁸+x⁴+x³+x²+1 (0x11d). Any k of a group's k+m shards give back the others.
//
// Split takes the smallest s that does not raise D, so that little of the last shard is filling. A
// Joiner takes any s.
//
// # A line of text
//
//	TLC1:3/7:WG…
//
// is the number of a chunk, how many there are, and the chunk in base32 (RFC 4648, upper case, no
// padding; the unused bits are zero). Number and count are decimal, without leading zeros, and must
// agree with the chunk, so that the CRC covers them too. All its characters are of the alphanumeric set
// of QR codes; a reader takes lower case as well.
//
// # Compatibility
//
// Chunks and lines of this format will be read by every later version, and Split makes no others
// without being asked to. What this page calls wrong stays refused: it does not get a meaning later. A
// new format will have another first byte and another word before the first colon.
package carrier
