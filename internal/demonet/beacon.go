package demonet

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	bls "github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/scale"
)

// The chain's part of drand (pallets/drand/src/lib.rs). A real chain stores every round that its
// nodes fetch. This one signs and stores those that a commit waits for, and the newest now and then:
// a signature takes about as long as a block does.
const (
	pulseEvery  = 10  // blocks between pulses that nobody waits for
	keptPulses  = 512 // rounds from the oldest to the newest; MAX_KEPT_PULSES there is 216,000
	mostPruned  = 100 // MAX_REMOVED_PULSES
	firstRound  = 1000
	lostRound   = 16 // rounds divisible by this never reach the chain
	shortPeriod = 1  // seconds, where quicknet's three would be too long for the slots
	longPeriod  = 3
)

// foreignRound marks a round that a commit of somebody else waits for. Such a round is not lost: who tries the network
// should see weights revealed, and what a lost round looks like the network's own commits show.
const foreignRound = 1 << 63

// A beacon is a drand network of one member: unchained, signatures in G1, the key in G2, as
// quicknet's. It is not safe for concurrent use.
type beacon struct {
	drand.Beacon
	secret bls.Scalar
	pulses map[uint64]drand.Pulse // signed already
}

// newBeacon derives the beacon of a network whose genesis block is of a time in milliseconds.
func newBeacon(keys *keyring, now, slot uint64) *beacon {
	b := &beacon{pulses: make(map[uint64]drand.Pulse)}
	s := keys.secret("drand", 0)
	b.secret.SetBytes(s[:]) // of 256 bits modulo the order; a bias means nothing here
	var public bls.G2
	public.ScalarMult(&b.secret, bls.G2Generator())
	b.Name = Name
	b.PublicKey = drand.PublicKey(public.BytesCompressed())
	b.Period = longPeriod
	if slot < 2000 {
		b.Period = shortPeriod
	}
	seconds := now / 1000
	b.GenesisTime = seconds - min(seconds, firstRound*b.Period)
	return b
}

// pulse signs a round.
func (b *beacon) pulse(round uint64) drand.Pulse {
	p, ok := b.pulses[round]
	if !ok {
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
		var point bls.G1
		point.Hash(id[:], []byte("BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"))
		point.ScalarMult(&b.secret, &point)
		p = drand.Pulse{Round: round, Signature: drand.Signature(point.BytesCompressed())}
		b.pulses[round] = p
	}
	return p
}

// lost reports whether a round is one of those that the chain never gets.
func lost(round uint64) bool { return round%lostRound == 0 }

// roundBefore is the newest round at or before a time in milliseconds that the chain will get.
func (b *beacon) roundBefore(ms uint64) uint64 {
	round := b.RoundAt(ms / 1000)
	if lost(round) {
		round--
	}
	return round
}

func pulseKey(round uint64) []byte {
	return verify.AppendBlake2b128Concat(verify.StorageKey("Drand", "Pulses"), u64(round))
}

func appendPulse(b []byte, p drand.Pulse) []byte {
	randomness := sha256.Sum256(p.Signature[:])
	b = scale.AppendBlob(scale.AppendU64(b, p.Round), randomness[:])
	return scale.AppendBlob(b, p.Signature[:])
}

// config is Drand.BeaconConfig, which the real chain leaves at its default, quicknet.
func (b *beacon) config() []byte {
	none := make([]byte, 32)
	out := scale.AppendBlob(nil, b.PublicKey[:])
	out = scale.AppendU32(scale.AppendU32(out, uint32(b.Period)), uint32(b.GenesisTime))
	out = scale.AppendBlob(scale.AppendBlob(out, none), none)
	out = scale.AppendBlob(out, []byte("bls-unchained-g1-rfc9380"))
	return scale.AppendBlob(out, []byte(b.Name))
}

// found writes Drand's items into the genesis state of a time in milliseconds.
func (b *beacon) found(p *pallet, now uint64) {
	p.put(verify.StorageKey("Drand", "BeaconConfig"), b.config())
	round := b.roundBefore(now)
	p.put(verify.StorageKey("Drand", "LastStoredRound"), u64(round))
	p.put(verify.StorageKey("Drand", "OldestStoredRound"), u64(round))
	p.put(pulseKey(round), appendPulse(nil, b.pulse(round)))
}

// write lets the block's write_pulse store what there is to store at a time in milliseconds, and
// returns its extrinsic, nil if there is none, and the rounds that are still waited for.
func (b *beacon) write(p *pallet, ms uint64, waiting []uint64) (extrinsic []byte, left []uint64) {
	lastKey := verify.StorageKey("Drand", "LastStoredRound")
	last, newest := p.number(lastKey, 0), b.RoundAt(ms/1000)
	var rounds []uint64
	for _, w := range waiting {
		round, foreign := w&^foreignRound, w&foreignRound != 0
		switch {
		case round > newest:
			left = append(left, w)
		case round > last && (foreign || !lost(round)):
			rounds = append(rounds, round)
		}
	}
	if p.block%pulseEvery == 0 && newest > last && !lost(newest) {
		rounds = append(rounds, newest)
	}
	if len(rounds) == 0 {
		return nil, left
	}
	slices.Sort(rounds)
	rounds = slices.Compact(rounds)

	args := u32(uint32(p.block))
	args = scale.AppendCompact(args, uint64(len(rounds)))
	for _, round := range rounds {
		value := appendPulse(nil, b.pulse(round))
		p.put(pulseKey(round), value)
		args = append(args, value...)
		last = round
	}
	p.put(lastKey, u64(last))
	p.prunePulses(last)
	p.put(verify.StorageKey("Drand", "NextUnsignedAt"), u32(uint32(p.block)))
	p.events = append(p.events, append([]byte{palletDrand, 1}, vecU64(rounds)...)) // NewPulse
	// PulsesPayload ends in the sr25519 key of the node that sent it; then its signature, which is
	// none as nobody judges it.
	args = append(append(append(args, 1), make([]byte, 32)...), 0)
	return bare([]byte{palletDrand, 0}, args), left
}

const palletDrand = 26

// prunePulses is prune_old_pulses.
func (p *pallet) prunePulses(last uint64) {
	key := verify.StorageKey("Drand", "OldestStoredRound")
	oldest := p.number(key, 0)
	if oldest == 0 {
		return
	}
	for removed := 0; last-oldest+1 > keptPulses && removed < mostPruned; removed++ {
		p.remove(pulseKey(oldest))
		oldest++
	}
	p.put(key, u64(oldest))
}
