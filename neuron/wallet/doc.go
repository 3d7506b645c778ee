// Package wallet keeps hotkeys: the files under ~/.bittensor/wallets as btwallet writes and reads them,
// the mnemonics and derivation paths of Substrate, and sr25519 signatures.
//
// It promises that a key it reads is the one that the file's address names, that a secret is only read
// from a file that no other user can read and no link leads to, that what it writes is whole or not
// there, readable by its owner alone from the first byte on, and never put over another key unless told
// to; and that no error and no String has a secret in it. Byte slices that held a secret are cleared when
// they are done with. Go may have copied them by then, and the curve's library keeps a copy of a
// loaded key that cannot be cleared: swap and core dumps are for the system to forbid.
//
// It never reads, writes or holds the secret of a coldkey: of those it knows the address, from
// coldkeypub.txt. A hotkey that is its wallet's coldkey, by content or by link, is refused too.
//
// The layout is that of btwallet (src/wallet.rs, src/keyfile.rs):
//
//	NAME/coldkey                  never opened
//	NAME/coldkeypub.txt           address of the coldkey
//	NAME/hotkeys/HOTKEY           the secret, plain JSON or $NACL
//	NAME/hotkeys/HOTKEYpub.txt    its address
package wallet
