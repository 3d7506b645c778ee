package demonet

import (
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/tlock"
)

// When in an epoch the neurons act: blocks from the one that began it.
const (
	revealPhase = 2  // hash commits are revealed, up to 2 later by uid
	mendPhase   = 5  // what a fault took away is given back
	commitPhase = 6  // commits, up to 2 later by uid
	secondPhase = 14 // the second commit of an epoch, when the rate limit allows it
	minTempo    = 18
	revealSlack = 3 // blocks from the epoch to the reveal of a timelocked commit, as bittensor-drand has it
	lateSlack   = 8
)

// A crowd is the neurons of all subnets: everything they do follows from the state, the block
// number and the seed, so that any branch of the chain can be made from any block.
type crowd struct {
	keys   *keyring
	beacon *beacon
	slotMS uint64
	spec   uint32
	faults []CommitFault
	quiet  bool // nobody does anything, and no pulse is stored

	epochFaults   []EpochFault
	emissionFault EmissionFault
}

// A deed is an extrinsic that was executed, with its events; nil err is success.
type deed struct {
	extrinsic []byte
	events    [][]byte
	err       error
}

// phase is the number of blocks since the subnet's epoch began.
func (p *pallet) phase(netuid uint16) uint64 {
	if !p.stateful() {
		return (p.block + uint64(netuid) + 1) % (p.tempo(netuid) + 1)
	}
	return p.block - p.number(identity("LastEpochBlock", netuid), 0)
}

// act lets every neuron do what it does in this block, at a time in milliseconds, and returns the
// extrinsics and the rounds that new commits wait for.
func (c *crowd) act(p *pallet, now uint64) (deeds []deed, rounds []uint64) {
	do := func(extrinsic []byte, err error) {
		d := deed{extrinsic: extrinsic, events: p.events, err: err}
		if err != nil {
			d.events = nil
		}
		deeds = append(deeds, d)
		p.events = nil
	}
	for i := range subnets {
		s := &subnets[i]
		if s.netuid == 0 {
			continue
		}
		phase := p.phase(s.netuid)
		fault := c.fault(s, p.epoch(s.netuid))
		switch epoch := p.epoch(s.netuid); {
		case phase == p.tempo(s.netuid)-2:
			c.sabotage(p, s, fault, epoch)
		case phase == mendPhase && epoch > 0:
			c.mend(p, s, c.fault(s, epoch-1), epoch)
		}
		for _, uid := range append(slices.Clone(s.committers), s.faulty) {
			who, ok := p.hotkey(s.netuid, uid)
			if !ok {
				continue
			}
			f := NoCommitFault
			if uid == s.faulty {
				f = fault
			}
			late := uint64(uid % 3)
			if s.kind == HashCommit && phase == revealPhase+late {
				for mecid := range p.mechanisms(s.netuid) {
					c.reveal(p, s, mecid, uid, do)
				}
			}
			second := phase == secondPhase && (f == Superseded || f == Overtaken)
			if phase != commitPhase+late && !second {
				continue
			}
			nth := 0
			if second {
				nth = 1
			}
			for mecid := range p.mechanisms(s.netuid) {
				// On the second mechanism there is one validator, and the faulty one when that is
				// what it is about.
				if mecid > 0 && uid != s.committers[0] && f != NoMechanism {
					continue
				}
				if f == NoMechanism && mecid == 0 && p.mechanisms(s.netuid) > 1 {
					continue
				}
				round, extrinsic, err := c.commit(p, s, mecid, uid, who, nth, f, now)
				do(extrinsic, err)
				if err == nil && round != 0 {
					rounds = append(rounds, round)
				}
			}
		}
	}
	return deeds, rounds
}

// fault is what is wrong with the commit of the faulty validator in an epoch.
func (c *crowd) fault(s *subnet, epoch uint64) CommitFault {
	list := ofKind(c.faults, s.kind)
	if len(list) == 0 {
		return NoCommitFault
	}
	return list[epoch%uint64(len(list))]
}

// random returns bytes that follow from the seed and from what they are for.
func (c *crowd) random(purpose string, who verify.AccountID, index uint16, epoch uint64, nth int) blake2b.XOF {
	s := c.keys.secret(purpose, epoch)
	xof, err := blake2b.NewXOF(blake2b.OutputLengthUnknown, s[:])
	if err != nil {
		panic(err) // a key of 32 bytes is allowed
	}
	xof.Write(append(append(who[:], u16(index)...), byte(nth)))
	return xof
}

// weights is what a validator thinks in an epoch: every neuron in an order of its own, with the
// values of some in thousands and of others in all of a u16, and a nothing among them.
func (c *crowd) weights(s *subnet, who verify.AccountID, index uint16, epoch uint64, nth int, f CommitFault) opening {
	b := make([]byte, 4*s.neurons+16)
	c.random("weights", who, index, epoch, nth).Read(b)
	o := opening{version: versionKey}
	top := uint16(1000)
	if b[0]%2 == 0 {
		top = 65535
	}
	for i := range s.neurons {
		at := i
		if b[1]%2 == 0 {
			at = (i + int(b[2])) % s.neurons
		}
		o.uids = append(o.uids, uint16(at))
		v := binary.LittleEndian.Uint16(b[16+2*i:]) % top
		if i == int(b[3])%s.neurons {
			v = 0
		}
		o.values = append(o.values, v)
	}
	o.values[int(b[3]+1)%s.neurons] = top - 1 // somebody has the most
	for i := range 8 {
		o.salt = append(o.salt, binary.LittleEndian.Uint16(b[16+2*s.neurons+2*(i%s.neurons):]))
	}
	switch f {
	case LengthsDiffer:
		o.values = o.values[1:]
	case TooManyUIDs:
		o.uids, o.values = append(o.uids, uint16(s.neurons)), append(o.values, 1)
	case VersionKeyOld:
		o.version--
	case DuplicateUID:
		o.uids[1] = o.uids[0]
	case UnknownUID:
		o.uids[1] = uint16(s.neurons) + 7
	case TooFewWeights:
		o.uids, o.values = o.uids[:s.least-1], o.values[:s.least-1]
	case WeightTooLarge:
		for i := range o.values {
			o.values[i] = 1
		}
		o.values[0] = 1000
	case ZeroWeights:
		clear(o.values)
	}
	return o
}

// commit makes one commit and returns its extrinsic, and the round it waits for.
func (c *crowd) commit(p *pallet, s *subnet, mecid uint8, uid uint16, who verify.AccountID, nth int, f CommitFault, now uint64) (round uint64, extrinsic []byte, err error) {
	index, epoch := indexOf(s.netuid, mecid), p.epoch(s.netuid)
	o := c.weights(s, who, index, epoch, nth, f)
	r := &CommitRecord{
		Kind: s.kind, Netuid: s.netuid, Mecid: mecid, UID: uid, Hotkey: who, Epoch: epoch, Block: uint32(p.block), Fault: f,
		UIDs: o.uids, Values: o.values, VersionKey: o.version,
	}
	if nth > 0 {
		r.Fault = NoCommitFault // it is the one before that is lost
	}
	if s.kind == HashCommit {
		r.Hash, r.Salt = o.hash(who, index), o.salt
		err = p.commitHash(s.netuid, mecid, who, r.Hash)
		extrinsic = bare([]byte{palletSubtensor, callCommitMechanism}, append(append(u16(s.netuid), mecid), r.Hash[:]...))
	} else {
		entry := timelocked{who: who}
		entry.ciphertext, entry.round = c.seal(p, s, index, who, epoch, nth, f, o, now)
		r.Ciphertext, r.Round, r.Hash, round = entry.ciphertext, entry.round, entry.hash(), entry.round
		r.Epoch, err = p.commitTimelocked(s.netuid, mecid, entry, crVersion)
		args := scale.AppendBlob(append(u16(s.netuid), mecid), entry.ciphertext)
		args = scale.AppendU16(scale.AppendU64(args, entry.round), crVersion)
		extrinsic = bare([]byte{palletSubtensor, callCommitTimelockedWeight}, args)
	}
	if err == nil {
		id := commitID{s.kind, s.netuid, mecid, who, r.Hash}
		p.notes = append(p.notes, note{what: noteMade, id: id, maker: r})
	}
	return round, extrinsic, err
}

// seal encrypts weights to the round that will be in the state when they are due.
func (c *crowd) seal(p *pallet, s *subnet, index uint16, who verify.AccountID, epoch uint64, nth int, f CommitFault, o opening, now uint64) ([]byte, uint64) {
	slack := uint64(revealSlack - 1) // the pulse is stored in the block before the reveal
	if f == PulseLate {
		slack = lateSlack
	}
	period, tempo := p.revealPeriod(s.netuid), p.tempo(s.netuid)
	if !p.stateful() {
		tempo++
	}
	due := p.block - p.phase(s.netuid) + period*tempo + slack
	round := c.beacon.roundBefore(now + (due-p.block)*c.slotMS)
	last := p.number(verify.StorageKey("Drand", "LastStoredRound"), 0)
	if round <= last {
		round = last // slots far shorter than a round: the newest will do, and a gap never fills
	}
	if f == PulseMissing {
		round -= round % lostRound
	}
	target := round
	if f == Undecryptable {
		target += 1000
	}
	hotkey := who
	if f == WrongHotkey {
		hotkey[0] ^= 1
	}
	plain := scale.AppendBlob(nil, hotkey[:])
	if f == LegacyPayload {
		plain = nil
	}
	plain = append(append(plain, vecU16(o.uids)...), vecU16(o.values)...)
	plain = scale.AppendU64(plain, o.version)
	switch f {
	case PayloadBad:
		plain = []byte{0xff, 0xff, 0xff}
	case TrailingBytes:
		plain = append(plain, "and more"...)
	}
	b, err := tlock.Seal(c.beacon.Beacon, target, plain, c.random("seal", who, index, epoch, nth))
	if err != nil {
		panic(err) // our key, a few hundred bytes, and a reader that does not end
	}
	switch f {
	case CiphertextBad:
		if epoch%2 == 0 {
			b = b[:100]
		} else {
			b[0] ^= 0x80 // the point is no compressed one any more
		}
	case TrailingBytes:
		b = append(b, "and more"...)
	case OddSuite:
		copy(b[len(b)-8:], "ROT_13__")
	}
	return b, round
}

// reveal reveals what the hotkey committed to a reveal period ago.
func (c *crowd) reveal(p *pallet, s *subnet, mecid uint8, uid uint16, do func([]byte, error)) {
	index, now := indexOf(s.netuid, mecid), p.epoch(s.netuid)
	if now < p.revealPeriod(s.netuid) {
		return
	}
	epoch := now - p.revealPeriod(s.netuid)
	f := NoCommitFault
	if uid == s.faulty {
		f = c.fault(s, epoch)
	}
	if f == Expired {
		return
	}
	nth := 0
	if f == Overtaken {
		nth = 1
	}
	// Who held the uid then: a hotkey that has lost it tries all the same.
	who, _ := p.hotkey(s.netuid, uid)
	if f == NotRegistered {
		who = c.holder(s, uid, epoch)
	}
	o := c.weights(s, who, index, epoch, nth, f)
	if len(p.hashedQueue(hashedKey(index, who))) == 0 {
		return
	}
	hash, err := p.revealHash(s.netuid, mecid, who, o)
	if err != nil {
		p.note(noteRefused, HashCommit, s.netuid, mecid, who, hash, err.Error())
	}
	args := append(append(append(append(u16(s.netuid), mecid), vecU16(o.uids)...), vecU16(o.values)...), vecU16(o.salt)...)
	do(bare([]byte{palletSubtensor, callRevealMechanism}, append(args, u64(o.version)...)), err)
}
