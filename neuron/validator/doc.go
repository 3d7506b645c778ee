// Package validator is the loop of a validator: it asks miners, keeps moving averages of their scores, makes weights of
// them, and gets those on chain in the way that the subnet wants, plain, committed by a hash and revealed, or timelocked.
//
// It promises that nothing is signed before what it is for is written down and synced (an Intent); that at most one
// transaction of its making can be included at a time, and that after a crash the same bytes are sent or none; that
// nothing is sent which the chain's own checks would refuse, as far as the proven state tells; that a hotkey which acts
// elsewhere stops the loop; and that a commitment is followed until it is revealed, with its proof kept, or lost, with
// the reason named.
//
// Machine decides, from events and block numbers alone: it owns no goroutine, no socket and no clock. run.go drives it.
// What the chain says comes by the small interface Chain, of which every answer is proven at a finalized block; what is
// signed and sent goes by Sender.
//
// It does not judge what miners answer: that is a Scorer's.
package validator
