package commit

import (
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
)

// An Outlook is what is known of a pending commitment beside the state.
type Outlook struct {
	// Block is the block that the commitment is judged for, as if it were revealed there: mostly the
	// one after the state.
	Block uint64
	// Epoch is that of the timelocked queue it stands in. A hash commit holds its own.
	Epoch uint64
	// Opened is what came of decrypting it, if the signature of its round is known already; else nil.
	Opened *Opening
	// PulseTime is when the beacon emits its round, and RevealBy when the last block is expected in
	// which it can be revealed, both in Unix seconds, 0 for not known.
	PulseTime, RevealBy uint64
}

// Preview tells why a timelocked commitment would be dropped if it were revealed in o.Block with the
// state as it is: all reasons there are, in the order of the chain's checks, none if it would be
// stored for all that can be seen. Facts may change before it is revealed.
//
// As long as it is not opened, the number of its weights is read off the length of the ciphertext,
// for a plaintext with nothing behind the payload, and what only the payload shows is left out.
func Preview(f *Facts, c subtensor.TimelockedCommit, o Outlook) []Reason {
	var l list
	l.add(Expired, within(f.Epoch(o.Block), o.Epoch, f.RevealPeriod) == Expired)
	l.add(PulseMissing, o.PulseTime != 0 && o.RevealBy != 0 && o.PulseTime > o.RevealBy)
	ct, err := tlock.Parse(c.Ciphertext)
	if err != nil {
		l.add(CiphertextBad, true)
		return l
	}
	if o.Opened != nil {
		l.add(o.Opened.Why, o.Opened.Why != Stored)
		if p := o.Opened.Payload; p != nil {
			return append(l, f.faults(o.Block, p.UIDs, p.Values, p.VersionKey)...)
		}
		return l
	}
	n, ok := weightsIn(ct.PlaintextLen())
	if !ok {
		n = -1
	}
	return append(l, f.standing(o.Block, n)...)
}

// PreviewHash does the same for a hash commit, whose weights nobody knows.
func PreviewHash(f *Facts, c subtensor.HashCommit, o Outlook) []Reason {
	var l list
	l.add(RevealsOff, !f.CommitReveal)
	l.add(Expired, f.Window(c, o.Block) == Expired)
	return append(l, f.standing(o.Block, -1)...)
}

// standing returns the checks that fail for n weights whatever they are, or, if n is negative, for any
// number of them.
func (f *Facts) standing(block uint64, n int) []Reason {
	var l list
	l.add(RootSubnet, f.Netuid == 0)
	l.add(NoMechanism, !f.Exists || f.Mecid >= f.Mechanisms)
	l.add(TooManyUIDs, n > int(f.Size))
	l.add(NotRegistered, !f.Registered)
	l.add(StakeTooLow, f.poor())
	l.add(RateLimited, f.rateLimited(block))
	l.add(NoPermit, f.Registered && !f.Owner && !f.Permit && n != 1) // a single one may be on itself
	l.add(TooFewWeights, n >= 0 && n != 1 && n < f.least())
	return l
}

// weightsIn returns how many weights a payload of that length holds. The two layouts differ by 33
// bytes, and each list's length takes another byte from 64 on, so that the length modulo 4 tells all
// four apart.
func weightsIn(length int) (int, bool) {
	for _, l := range [...]struct{ fixed, from, to int }{
		{43, 0, 63},         // 1 + 32 hotkey, 1, 1, 8
		{10, 0, 63},         // legacy: 1, 1, 8
		{45, 64, 1<<14 - 1}, // 1 + 32, 2, 2, 8
		{12, 64, 1<<14 - 1}, // legacy: 2, 2, 8
	} {
		n := (length - l.fixed) / 4
		if length >= l.fixed && (length-l.fixed)%4 == 0 && n >= l.from && n <= l.to {
			return n, true
		}
	}
	return 0, false
}
