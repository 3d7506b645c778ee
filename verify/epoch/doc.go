// Package epoch says whether the chain did its sums: it computes a subnet's Yuma epoch from the state
// before its block and compares the result, cell by cell, with what the state after it holds.
//
// It promises that an array reported as equal follows from the two states by the rules it was given,
// but for the cells that it names as left out; that one reported as different names the first uid, both
// values, and the step of the computation that nothing stored confirms any more; and that whatever the
// states do not decide is Undecidable with a reason, never a guess. The states are taken as proven.
//
// It does not say that weights are honest, nor what a pool or a price should have been, nor what the
// emission was made into after the epoch (take, dividends of nominators, burning).
//
// Whatever the states hold, reading and computing an epoch is less than ten times the work of one in which all
// neurons have weights for all, of as many neurons and of 64 at least: what is more is refused before it is
// decoded (subtensor.ErrLayout, ErrTooBig).
//
// It asks the states for all the keys that it can name at once, so that a caller can run Read against
// states that record what they lack, fetch that, and run it again. It never does I/O or reads a clock.
package epoch
