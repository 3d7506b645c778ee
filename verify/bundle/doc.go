// Package bundle reads, checks and makes bundles: files that carry facts about the chain with all that
// proves them, to be checked with no network, no clock and no trust in who made or brought them.
package bundle
