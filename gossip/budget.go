package gossip

import (
	"time"

	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/grandpa"
)

// Work is counted in units before it is done, not in time after: the same messages get the same verdict
// on every machine. A unit is about what a microsecond of a 2-core amd64 server does, and ten of a
// Raspberry Pi Zero 2.
const (
	workMessage   = 100       // receiving one, whatever is in it
	workByte      = 1.0 / 256 // decoding and hashing
	workHash      = 2         // a header or a trie node, besides its bytes
	workVote      = 60        // an ed25519 signature, one of a batch that may have to be looked at singly
	workPulse     = 1_800     // two pairings
	workSignature = 120       // a signature of a scheme of the chain's accounts
	workOpen      = 1_800     // a commitment opened: one pairing and a check in G2
)

// What may be caused per second: by one peer, and by all strangers together a quarter of a Pi Zero 2's
// core. A stranger is a peer that has sent nothing yet that was accepted: so new identities, however
// many, take nothing from the neighbours that have proven useful.
const (
	peerRate, peerBurst = 5_000, 20_000
	allRate, allBurst   = 25_000, 60_000
	maxBuckets          = 256 // peers remembered
	forgetUseful        = time.Hour
)

// workOf returns the units that verifying a bundle takes.
func workOf(x *bundle.Bundle, size int) float64 {
	w := float64(size) * workByte
	votes := func(f *bundle.Fragment) {
		w += float64(len(f.Votes.List))*workVote + float64(1+len(f.Votes.Ancestry))*workHash
	}
	for i := range x.Fragments {
		votes(&x.Fragments[i])
	}
	if x.Final != nil {
		votes(x.Final)
	}
	w += float64(len(x.Headers)+len(x.Nodes)) * workHash
	w += float64(len(x.Pulses)) * workPulse
	for _, c := range x.Claims {
		switch c.(type) {
		case bundle.RevealedClaim, bundle.EqualClaim, bundle.LostClaim:
			w += workOpen
		}
	}
	return w
}

// workOfVotes returns the units that a justification takes.
func workOfVotes(j *grandpa.Justification) float64 {
	return float64(len(j.Commit.Precommits))*workVote + float64(1+len(j.Ancestry))*workHash
}

// A bucket holds units that may be used; it fills at a rate up to a limit. It may be overdrawn by one
// message, and then nothing is left until it has filled again.
type bucket struct {
	left   float64
	at     time.Time
	useful bool // sent something that was accepted
}

func (b *bucket) fill(now time.Time, rate, burst float64) {
	if b.at.IsZero() {
		b.left = burst
	} else if d := now.Sub(b.at); d > 0 {
		b.left = min(burst, b.left+d.Seconds()*rate)
	}
	b.at = now
}
