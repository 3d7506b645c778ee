package demonet

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/tlock"
)

// What the pallet refuses and why, in the words that a verdict on a commit uses; the number is the
// error's place in the enum of spec 425 (macros/errors.rs).
type refusal struct {
	why   string
	index byte
}

func (r *refusal) Error() string { return r.why }

var (
	errTooEarly      = &refusal{"too-early", 79}       // RevealTooEarly
	errExpired       = &refusal{"expired", 78}         // ExpiredWeightCommit
	errNoCommit      = &refusal{"no-commit", 51}       // NoWeightsCommitFound
	errNoMatch       = &refusal{"no-match", 52}        // InvalidRevealCommitHashNotMatch
	errTooMany       = &refusal{"too-many", 77}        // TooManyUnrevealedCommits
	errTooFast       = &refusal{"rate-limited", 81}    // CommittingWeightsTooFast
	errDisabled      = &refusal{"disabled", 54}        // CommitRevealDisabled
	errVersion       = &refusal{"wrong-version", 110}  // IncorrectCommitRevealVersion
	errRoot          = &refusal{"root-subnet", 47}     // CanNotSetRootNetworkWeights
	errLengths       = &refusal{"lengths-differ", 16}  // WeightVecNotEqualSize
	errNoMechanism   = &refusal{"no-mechanism", 74}    // MechanismDoesNotExist
	errTooManyUIDs   = &refusal{"too-many-uids", 32}   // UidsLengthExceedUidsInSubNet
	errNotRegistered = &refusal{"not-registered", 4}   // HotKeyNotRegisteredInSubNet
	errStake         = &refusal{"stake-too-low", 10}   // NotEnoughStakeToSetWeights
	errVersionKey    = &refusal{"version-key-old", 30} // IncorrectWeightVersionKey
	errSetTooFast    = &refusal{"rate-limited", 29}    // SettingWeightsTooFast
	errNoPermit      = &refusal{"no-permit", 15}       // NeuronNoValidatorPermit
	errDuplicate     = &refusal{"duplicate-uid", 17}   // DuplicateUids
	errUnknownUID    = &refusal{"unknown-uid", 18}     // UidVecContainInvalidOne
	errTooFew        = &refusal{"too-few-weights", 19} // WeightVecLengthIsLow
	errTooLarge      = &refusal{"weight-too-large", 27}
)

// The words for what no extrinsic is refused with.
const (
	whyStored        = "stored"
	whyPulseMissing  = "pulse-missing"
	whyPulseBad      = "pulse-bad"
	whyCiphertextBad = "ciphertext-bad"
	whyUndecryptable = "undecryptable"
	whyPayloadBad    = "payload-bad"
	whyWrongHotkey   = "wrong-hotkey"
	whySuperseded    = "superseded"
	whyExpired       = "expired"
	whyOvertaken     = "overtaken"
	whyNoMechanism   = "no-mechanism"
)

// admit is what both kinds of commit are let in by, in the order of internal_commit_weights and
// internal_commit_timelocked_weights (subnets/weights.rs); version is nil for hash commits.
func (p *pallet) admit(netuid uint16, mecid uint8, who verify.AccountID, version *uint16) (uid uint16, err error) {
	if !p.has(identity("NetworksAdded", netuid)) || mecid >= p.mechanisms(netuid) {
		return 0, errNoMechanism
	}
	if p.number(identity("CommitRevealWeightsEnabled", netuid), 1) == 0 {
		return 0, errDisabled
	}
	if version != nil && uint64(*version) != p.number(value("CommitRevealWeightsVersion"), crVersion) {
		return 0, errVersion
	}
	uid, ok := p.uid(netuid, who)
	if !ok {
		return 0, errNotRegistered
	}
	if !p.rested(netuid, mecid, uid) {
		return 0, errTooFast
	}
	return uid, nil
}

// rested is check_rate_limit.
func (p *pallet) rested(netuid uint16, mecid uint8, uid uint16) bool {
	if !p.has(pair("Keys", netuid, uid)) {
		return false
	}
	last := p.lastUpdate(indexOf(netuid, mecid))[uid]
	return last == 0 || p.block-last >= p.number(identity("WeightsSetRateLimit", netuid), 100)
}

// commitHash is internal_commit_weights.
func (p *pallet) commitHash(netuid uint16, mecid uint8, who verify.AccountID, hash verify.Hash) error {
	uid, err := p.admit(netuid, mecid, who, nil)
	if err != nil {
		return err
	}
	index := indexOf(netuid, mecid)
	key := hashedKey(index, who)
	queue := p.hashedQueue(key)
	for len(queue) > 0 && p.expired(netuid, queue[0]) {
		p.gone(HashCommit, netuid, mecid, who, queue[0].hash)
		queue = queue[1:]
	}
	if len(queue) >= maxUnrevealed {
		return errTooMany
	}
	c := hashed{hash: hash, a: p.epoch(netuid), b: p.block}
	if !p.stateful() {
		// get_reveal_blocks
		tempo := p.tempo(netuid)
		first := (p.epoch(netuid)+p.revealPeriod(netuid))*(tempo+1) - (uint64(netuid) + 1)
		c = hashed{hash: hash, a: p.block, b: first, c: first + tempo}
	}
	p.putHashed(key, append(queue, c))
	p.emit(eventWeightsCommitted, who[:], u16(index), hash[:])
	p.setLastUpdate(index, uid)
	return nil
}

// expired is is_commit_expired.
func (p *pallet) expired(netuid uint16, c hashed) bool {
	return p.epoch(netuid) > p.epochOf(netuid, c)+p.revealPeriod(netuid)
}

// commitTimelocked is internal_commit_timelocked_weights. Nothing in it looks into the ciphertext.
func (p *pallet) commitTimelocked(netuid uint16, mecid uint8, c timelocked, version uint16) (epoch uint64, err error) {
	uid, err := p.admit(netuid, mecid, c.who, &version)
	if err != nil {
		return 0, err
	}
	index := indexOf(netuid, mecid)
	epoch = p.epoch(netuid)
	if !p.stateful() && p.due(netuid) {
		epoch++ // at every tag from v3.2.6 to v3.4.7-422
	}
	key := timelockedKey(index, epoch)
	queue, mine := p.timelockedQueue(key), 0
	for _, other := range queue {
		if other.who == c.who {
			mine++
		}
	}
	if mine >= maxUnrevealed {
		return 0, errTooMany
	}
	c.block = p.block
	p.putTimelocked(key, append(queue, c))
	hash := c.hash()
	p.emit(eventTimelockedCommitted, c.who[:], u16(index), hash[:], u64(c.round))
	p.setLastUpdate(index, uid)
	return epoch, nil
}

// An opening is what a hash commit is revealed with, and what is in a ciphertext but for the salt.
type opening struct {
	uids, values, salt []uint16
	version            uint64
}

// hash is get_commit_hash.
func (o opening) hash(who verify.AccountID, index uint16) verify.Hash {
	b := append(who[:], u16(index)...)
	b = append(append(append(b, vecU16(o.uids)...), vecU16(o.values)...), vecU16(o.salt)...)
	return verify.Blake2b256(append(b, u64(o.version)...))
}

// revealHash is internal_reveal_weights. The state is as before if it fails: a dispatch is a
// transaction.
func (p *pallet) revealHash(netuid uint16, mecid uint8, who verify.AccountID, o opening) (hash verify.Hash, err error) {
	index := indexOf(netuid, mecid)
	before, notes := p.t, len(p.notes)
	defer func() {
		if err != nil {
			p.t, p.notes = before, p.notes[:notes]
		}
	}()
	hash = o.hash(who, index)
	if p.number(identity("CommitRevealWeightsEnabled", netuid), 1) == 0 {
		return hash, errDisabled
	}
	key := hashedKey(index, who)
	queue := p.hashedQueue(key)
	if queue == nil {
		return hash, errNoCommit
	}
	late := false
	for len(queue) > 0 && p.expired(netuid, queue[0]) {
		late = late || queue[0].hash == hash
		p.gone(HashCommit, netuid, mecid, who, queue[0].hash)
		queue = queue[1:]
	}
	at := slices.IndexFunc(queue, func(c hashed) bool { return c.hash == hash })
	switch {
	case at < 0 && late:
		return hash, errExpired
	case len(queue) == 0:
		return hash, errNoCommit
	case at < 0:
		return hash, errNoMatch
	case p.epoch(netuid) != p.epochOf(netuid, queue[at])+p.revealPeriod(netuid):
		return hash, errTooEarly
	}
	for _, c := range queue[:at] {
		p.lost(HashCommit, netuid, mecid, who, c.hash, whyOvertaken)
		p.gone(HashCommit, netuid, mecid, who, c.hash)
	}
	p.putHashed(key, queue[at+1:])
	if err := p.setWeights(netuid, mecid, who, o.uids, o.values, o.version, p.emit); err != nil {
		return hash, err
	}
	p.emit(eventWeightsRevealed, who[:], u16(index), hash[:])
	p.revealed(HashCommit, netuid, mecid, who, hash)
	p.gone(HashCommit, netuid, mecid, who, hash)
	return hash, nil
}

// expire notes which hash commits cannot be revealed from this block on. The pallet itself takes
// them out only when their hotkey commits or reveals the next time.
func (p *pallet) expire(netuid uint16) {
	if p.stateful() && !p.due(netuid) || !p.stateful() && (p.block+uint64(netuid)+1)%(p.tempo(netuid)+1) != 0 {
		return
	}
	for mecid := range p.mechanisms(netuid) {
		prefix := twox("WeightCommits", indexOf(netuid, mecid))
		for _, key := range p.t.Keys(prefix, nil, 0) {
			for _, c := range p.hashedQueue(key) {
				if p.expired(netuid, c) {
					p.lost(HashCommit, netuid, mecid, verify.AccountID(key[len(key)-32:]), c.hash, whyExpired)
				}
			}
		}
	}
}

// revealTimelocked is reveal_crv3_commits_for_subnet (coinbase/reveal_commits.rs).
func (p *pallet) revealTimelocked(netuid uint16) {
	period, now := p.revealPeriod(netuid), p.epoch(netuid)
	target := uint64(0)
	if now > period {
		target = now - period
	}
	for mecid := range p.mechanisms(netuid) {
		index := indexOf(netuid, mecid)
		prefix := twox("TimelockedWeightCommits", index)
		for _, key := range p.t.Keys(prefix, nil, 0) {
			if binary.LittleEndian.Uint64(key[len(key)-8:]) < target {
				for _, c := range p.timelockedQueue(key) {
					why := whyPulseMissing
					if p.has(pulseKey(c.round)) {
						why = whyExpired // the pulse came in the block before: nobody looked again
					}
					p.lost(TimelockedCommit, netuid, mecid, c.who, c.hash(), why)
					p.gone(TimelockedCommit, netuid, mecid, c.who, c.hash())
				}
				p.remove(key)
			}
		}
		if now < period {
			return
		}
		key := timelockedKey(index, target)
		queue := p.timelockedQueue(key)
		if queue == nil {
			continue
		}
		p.remove(key)
		var waiting, stored []timelocked
		for _, c := range queue {
			why := p.open(netuid, mecid, c)
			switch why {
			case whyPulseMissing:
				waiting = append(waiting, c)
				continue
			case whyStored:
				p.hook(eventTimelockedRevealed, u16(index), c.who[:])
				p.revealed(TimelockedCommit, netuid, mecid, c.who, c.hash())
				for _, other := range stored {
					if other.who == c.who {
						p.lost(TimelockedCommit, netuid, mecid, other.who, other.hash(), whySuperseded)
					}
				}
				stored = append(stored, c)
			default:
				p.lost(TimelockedCommit, netuid, mecid, c.who, c.hash(), why)
			}
			p.gone(TimelockedCommit, netuid, mecid, c.who, c.hash())
		}
		if len(waiting) > 0 {
			p.putTimelocked(key, waiting)
		}
	}
}

// open does one turn of the loop over a queue: what happens to the entry, in a word.
func (p *pallet) open(netuid uint16, mecid uint8, c timelocked) string {
	stored, ok := p.t.Get(pulseKey(c.round))
	if !ok {
		return whyPulseMissing
	}
	box, err := tlock.Parse(c.ciphertext)
	if err != nil {
		return whyCiphertextBad
	}
	opener := p.openers[c.round]
	if opener == nil {
		// The value is u64, Bytes, Bytes; the signature is what follows the randomness.
		r := scale.NewReader(stored)
		r.U64()
		r.Blob(32)
		signature := r.Blob(144)
		if len(signature) > 2 && string(signature[:2]) == "0x" {
			signature = signature[2:]
		}
		if r.Err() != nil || len(signature) < len(drand.Signature{}) {
			return whyPulseBad
		}
		if opener, err = tlock.NewOpener(drand.Signature(signature[:48])); err != nil {
			return whyPulseBad
		}
		p.openers[c.round] = opener
	}
	plain, err := opener.Open(box)
	if err != nil {
		return whyUndecryptable
	}
	uids, values, version, err := decodePayload(plain, c.who)
	if err != nil {
		return err.Error()
	}
	if err := p.setWeights(netuid, mecid, c.who, uids, values, version, p.hook); err != nil {
		return err.Error()
	}
	return whyStored
}

// decodePayload is the decoding of a decrypted payload: the new layout, else the legacy one.
func decodePayload(plain []byte, who verify.AccountID) (uids, values []uint16, version uint64, err error) {
	r := scale.NewReader(plain)
	hotkey := r.Blob(-1)
	uids, values, version = readVecU16(r), readVecU16(r), r.U64()
	if r.Err() == nil && len(hotkey) >= len(who) {
		if verify.AccountID(hotkey[:len(who)]) != who {
			return nil, nil, 0, errors.New(whyWrongHotkey)
		}
		return uids, values, version, nil
	}
	r = scale.NewReader(plain)
	uids, values, version = readVecU16(r), readVecU16(r), r.U64()
	if r.Err() != nil {
		return nil, nil, 0, errors.New(whyPayloadBad)
	}
	return uids, values, version, nil
}

func readVecU16(r *scale.Reader) []uint16 {
	out := make([]uint16, r.Count(2, math.MaxInt32))
	for i := range out {
		out[i] = r.U16()
	}
	return out
}

// setWeights is internal_set_weights.
func (p *pallet) setWeights(netuid uint16, mecid uint8, who verify.AccountID, uids, values []uint16, version uint64,
	deposit func(byte, ...[]byte)) error {
	if netuid == 0 {
		return errRoot
	}
	if len(uids) != len(values) {
		return errLengths
	}
	if !p.has(identity("NetworksAdded", netuid)) || mecid >= p.mechanisms(netuid) {
		return errNoMechanism
	}
	if len(uids) > p.size(netuid) {
		return errTooManyUIDs
	}
	uid, ok := p.uid(netuid, who)
	if !ok {
		return errNotRegistered
	}
	owner, owned := p.owner(netuid)
	exempt := p.spec >= specOwner && owned && owner == uid
	if !exempt && !p.staked(netuid, who) {
		return errStake
	}
	if key := p.number(identity("WeightsVersionKey", netuid), 0); key != 0 && version < key {
		return errVersionKey
	}
	commitReveal := p.number(identity("CommitRevealWeightsEnabled", netuid), 1) != 0
	if !commitReveal && !p.rested(netuid, mecid, uid) {
		return errSetTooFast
	}
	self := len(values) == 1 && len(uids) > 0 && uids[0] == uid
	if !self && !exempt && !p.permit(netuid, uid) {
		return errNoPermit
	}
	seen := make(map[uint16]bool)
	for _, j := range uids {
		if seen[j] {
			return errDuplicate
		}
		seen[j] = true
	}
	for _, j := range uids {
		if !p.has(pair("Keys", netuid, j)) {
			return errUnknownUID
		}
	}
	least := min(p.size(netuid), int(p.number(identity("MinAllowedWeights", netuid), 1024)))
	if !self && len(values) < least {
		return errTooFew
	}
	values = upscale(values)
	if p.spec < specNoMaximum && !self {
		limit := p.number(identity("MaxWeightsLimit", netuid), math.MaxUint16)
		if limit != math.MaxUint16 && !limited(values, limit) {
			return errTooLarge
		}
	}
	row := scale.AppendCompact(nil, uint64(len(uids)))
	for i, j := range uids {
		row = scale.AppendU16(scale.AppendU16(row, j), values[i])
	}
	index := indexOf(netuid, mecid)
	p.put(pair("Weights", index, uid), row)
	if !commitReveal {
		p.setLastUpdate(index, uid)
	}
	deposit(eventWeightsSet, u16(index), u16(uid))
	return nil
}

// upscale is vec_u16_max_upscale_to_u16 (epoch/math.rs): each value times 65535 and divided by the
// largest, in fixed point of 32 fractional bits, rounded half up. Above 32768 the factor is rounded
// down first, as the product would not fit.
func upscale(values []uint16) []uint16 {
	top := uint64(0)
	for _, v := range values {
		top = max(top, uint64(v))
	}
	out := make([]uint16, len(values))
	if top == 0 {
		return out
	}
	const half = 1 << 31
	for i, v := range values {
		q := uint64(v) * 65535 << 32 / top
		if top > 32768 {
			q = uint64(v) * (65535 << 32 / top)
		}
		out[i] = uint16(min((q+half)>>32, math.MaxUint16))
	}
	return out
}

// limited is check_vec_max_limited: the largest share of the sum is at most limit of 65535, both in
// fixed point of 32 fractional bits.
func limited(values []uint16, limit uint64) bool {
	sum, top := uint64(0), uint64(0)
	for _, v := range values {
		sum, top = sum+uint64(v), max(top, uint64(v))
	}
	return sum == 0 || top<<32/sum <= limit<<32/math.MaxUint16
}
