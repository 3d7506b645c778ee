// Package tlock opens and seals the timelock ciphertexts in which validators commit to their weights:
// whoever has a drand beacon's signature of a round can open what was sealed for that round, and
// before the beacon signs it nobody can.
//
// It promises the container and the cryptography of the crate `tle` at revision 5416406, which the
// chain and its clients pin: identity-based encryption of a 32-byte key after Boneh and Franklin
// (FullIdent) on BLS12-381, with signatures in G1, and AES-256-GCM under that key. That is neither
// what drand's own tlock writes, nor what later releases of the crate write; the same signature opens
// all three, and nothing else is shared.
//
// It tolerates what the chain tolerates and no more: bytes after the container, bytes after the nonce
// inside the body, and a cipher suite of any name. It never says what the plaintext means.
//
// # Container
//
// Every length is a 64-bit little-endian number.
//
//	96  U, a point of G2, compressed
//	 8  32       32  V
//	 8  32       32  W
//	 8  length of the body, normally L + 44
//	       8  L + 16      L + 16  AES-256-GCM ciphertext and tag of L bytes of plaintext
//	       8  12              12  nonce
//	 8  8         8  "AES_GCM_"
//
// # Cost
//
// Parse decompresses U and checks its subgroup. Opening takes one pairing (one Miller loop and one
// final exponentiation) and one multiplication of the generator of G2, which proves that the key is
// the one that was sealed. Neither can be shared between ciphertexts, since each has its own U; what
// an Opener shares is the decompressed signature, and a table that halves the multiplication. It is
// worth its price from the second ciphertext on, of the same round or of another (With). So n reveals
// take n pairings, and verifying the pulses of all their rounds together two more. A reveal whose
// round is not out takes none. Seal takes one pairing, a hash to G1 and two multiplications.
//
// # Secrets
//
// Seal handles secrets until the round is out: it takes the same time for all of them, as far as
// circl's group operations and the standard library's AES do, and it compares and branches on none.
// Opening handles none: the signature that opens is public.
package tlock
