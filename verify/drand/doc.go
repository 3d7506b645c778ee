// Package drand checks the pulses of a drand beacon: which round a time belongs to, whether a
// signature is the beacon's for a round, and what the chain has stored of it.
//
// It promises that a pulse is accepted only if its signature is the one point of G1 that the holder
// of the public key makes for that round (scheme bls-unchained-g1-rfc9380): in its one canonical
// encoding, of full order, and not the point at infinity. A pulse proves itself, so it needs no
// proof that the chain has it. The key is the caller's: Quicknet is compiled in, because the chain
// knows no other beacon, and any other has to be given by name.
//
// It does not say when a pulse was made, only when it was due. It never believes a randomness that
// was stored or sent: the chain itself does not check it, and it is the hash of the signature.
//
// # Cost
//
// One pulse costs the product of two pairings with one final exponentiation, a hash to G1 and the
// decompression of a point. The arguments of both pairings in G2, the generator and the key, never
// change, so a Verifier computes the lines of their Miller loops once, and both loops share their
// squarings: a quarter less than two pairings by the library. The field, the groups and their checks
// are the library's.
//
// VerifyAll does any number of pulses of one key with the same two pairings: it adds up the signatures
// and the hashes under 128-bit coefficients (short scalars, and the doublings are shared by all
// pulses), so that each further pulse costs about a fifth of a check of its own. Coefficients come
// from a hash of all inputs: the same bytes get the same answer everywhere, and whoever makes the
// bytes cannot choose them.
package drand
