// Package deptest holds the rules about this repository that no compiler checks: which package may
// import which and why, what may be linked into the binary and how big it may become, that every
// package says what it promises, that go.mod names only what the table here gives a reason for.
//
// It promises that a change which breaks such a rule fails a test that says the rule and the reason
// for it. It holds nothing to import: everything is in its tests.
package deptest
