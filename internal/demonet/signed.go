package demonet

import (
	"encoding/binary"
	"errors"

	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// What the imitation does with signed extrinsics of others: those whose call it knows are judged and executed as
// the real chain would, in the order of its checks, from the same state. The envelope is that of Metadata, the
// extensions those of signedExtensions.

// Calls of SubtensorModule that are executed, by their index (macros/dispatches.rs, spec 425).
const (
	callSetWeights          = 0
	callServeAxon           = 4
	callCommitWeights       = 96
	callRevealWeights       = 97
	callTimelockedWeights   = 113
	callSetMechanismWeights = 119
)

// Limits of serving.
const (
	servingRateLimit = 5   // ServingRateLimit, 50 on the real chain
	eraMost          = 256 // blocks below the parent whose hash an era may name, that surely are at hand
)

// What a signed extrinsic is refused with before it is in a block (InvalidTransaction).
var (
	errStale    = errors.New("its nonce is used already, or its era is over")
	errFuture   = errors.New("its nonce is ahead of the account's")
	errBadProof = errors.New("the signature is not for this chain and account")
)

// More errors of dispatch, by their place in the enum of spec 425.
var (
	errServing = &refusal{"serving-rate-limited", 31} // ServingRateLimitExceeded
	errAddress = &refusal{"bad-ip", 2}                // InvalidIpAddress
	errPort    = &refusal{"bad-port", 3}              // InvalidPort
	errKind    = &refusal{"bad-ip-type", 1}           // InvalidIpType
	errHidden  = &refusal{"commit-reveal-on", 53}     // CommitRevealEnabled
)

// A signedExtrinsic is one taken apart.
type signedExtrinsic struct {
	who       verify.AccountID
	signature []byte
	era       []byte // 1 byte, or 2
	nonce     uint64
	extra     []byte // era, nonce and tip, as they stand
	call      []byte
}

// parseSigned takes an extrinsic of version 4 apart. ok is false for one that is not signed by an sr25519 account,
// which this chain carries and does not judge.
func parseSigned(extrinsic []byte) (x signedExtrinsic, ok bool) {
	outer := scale.NewReader(extrinsic)
	b := outer.Blob(-1)
	if outer.Finish() != nil || len(b) < 2+32+1+64+3+2 || b[0] != 0x84 || b[1] != 0 || b[34] != 1 {
		return x, false
	}
	x.who, x.signature = verify.AccountID(b[2:34]), b[35:99]
	rest := b[99:]
	r := scale.NewReader(rest)
	if x.era = rest[:1]; r.Byte() != 0 {
		x.era = rest[:2]
		r.Byte()
	}
	x.nonce = r.Compact()
	r.Compact() // tip
	if r.Err() != nil {
		return x, false
	}
	x.extra, x.call = rest[:r.Offset()], rest[r.Offset():]
	return x, len(x.call) >= 2
}

func accountKey(who verify.AccountID) []byte {
	return verify.AppendBlake2b128Concat(verify.StorageKey("System", "Account"), who[:])
}

func (p *pallet) nonce(who verify.AccountID) uint64 {
	b, _ := p.t.Get(accountKey(who))
	if len(b) < 4 {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(b))
}

// bump counts the nonce up. A hotkey needs no balance, since weights cost nothing (runtime/src/check_nonce.rs).
func (p *pallet) bump(who verify.AccountID) {
	key := accountKey(who)
	b, ok := p.t.Get(key)
	if ok {
		b = append([]byte(nil), b...)
	} else {
		b = append(make([]byte, 16+24), u64(1<<63)...) // nonce and counters; free, reserved, frozen
		b = append(b, u64(0)...)
	}
	binary.LittleEndian.PutUint32(b, uint32(p.nonce(who)+1))
	p.put(key, b)
}

// check is what the pool and the block ask of a signed extrinsic: signature, era and nonce. parent is the block that
// this one is made on.
func (x *signedExtrinsic) check(p *pallet, parent *block) error {
	genesis, ok := p.blockHash(parent, 0)
	if !ok {
		return errBadProof
	}
	birth := genesis
	if len(x.era) == 2 {
		v := binary.LittleEndian.Uint16(x.era)
		period := uint64(2) << (v & 15)
		phase := uint64(v>>4) * max(period>>12, 1)
		if period < 4 || phase >= period || p.block < phase {
			return errBadProof
		}
		first := (p.block-phase)/period*period + phase
		if first >= p.block || p.block-first > eraMost {
			return errStale
		}
		if birth, ok = p.blockHash(parent, uint32(first)); !ok {
			return errStale
		}
	}
	implicit := append(append(append(u32(p.spec), u32(transactionVersion)...), genesis[:]...), birth[:]...)
	payload := append(append(append([]byte{}, x.call...), x.extra...), implicit...)
	if len(payload) > 256 {
		h := verify.Blake2b256(payload)
		payload = h[:]
	}
	var key sr25519.PublicKey
	var signature sr25519.Signature
	if key.UnmarshalBinary(x.who[:]) != nil || signature.UnmarshalBinary(x.signature) != nil ||
		!key.Verify(sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(payload), &signature) {
		return errBadProof
	}
	switch nonce := p.nonce(x.who); {
	case x.nonce < nonce:
		return errStale
	case x.nonce > nonce:
		return errFuture
	}
	return nil
}

// blockHash is System.BlockHash, and of the parent what the block is about to write there.
func (p *pallet) blockHash(parent *block, number uint32) (verify.Hash, bool) {
	if number == parent.header.Number {
		return parent.hash, true
	}
	b, ok := p.t.Get(verify.AppendTwox64Concat(verify.StorageKey("System", "BlockHash"), u32(number)))
	if !ok || len(b) != 32 {
		return verify.Hash{}, false
	}
	return verify.Hash(b), true
}

// dispatch executes a call. The state is as before if it fails. waits is the round that a commit waits for; known is
// false for a call that this chain has only in its metadata, or not at all, which does nothing.
func (p *pallet) dispatch(who verify.AccountID, call []byte) (waits uint64, known bool, err error) {
	if call[0] != palletSubtensor {
		return 0, false, nil
	}
	before, notes := p.t, len(p.notes)
	defer func() {
		if err != nil {
			p.t, p.notes, p.events = before, p.notes[:notes], nil
		}
	}()
	r := scale.NewReader(call[2:])
	mecid := func(with byte) uint8 {
		if call[1] == with {
			return r.Byte()
		}
		return 0
	}
	bad := func() bool { return r.Finish() != nil }
	switch call[1] {
	case callServeAxon:
		if len(call) != 2+2+4+16+2+4 {
			return 0, false, nil
		}
		return 0, true, p.serveAxon(who, r.U16(), call[4:])
	case callSetWeights, callSetMechanismWeights:
		netuid := r.U16()
		mecid := mecid(callSetMechanismWeights)
		uids, values, version := readVecU16(r), readVecU16(r), r.U64()
		if bad() {
			return 0, false, nil
		}
		if p.number(identity("CommitRevealWeightsEnabled", netuid), 1) != 0 {
			return 0, true, errHidden
		}
		return 0, true, p.setWeights(netuid, mecid, who, uids, values, version, p.emit)
	case callCommitWeights, callCommitMechanism:
		netuid := r.U16()
		mecid := mecid(callCommitMechanism)
		var hash verify.Hash
		r.Copy(hash[:])
		if bad() {
			return 0, false, nil
		}
		epoch := p.epoch(netuid)
		if err := p.commitHash(netuid, mecid, who, hash); err != nil {
			return 0, true, err
		}
		p.made(&CommitRecord{Kind: HashCommit, Netuid: netuid, Mecid: mecid, Hotkey: who, Epoch: epoch, Hash: hash})
		return 0, true, nil
	case callRevealWeights, callRevealMechanism:
		netuid := r.U16()
		mecid := mecid(callRevealMechanism)
		o := opening{uids: readVecU16(r), values: readVecU16(r), salt: readVecU16(r), version: r.U64()}
		if bad() {
			return 0, false, nil
		}
		_, err := p.revealHash(netuid, mecid, who, o)
		return 0, true, err
	case callTimelockedWeights, callCommitTimelockedWeight:
		netuid := r.U16()
		mecid := mecid(callCommitTimelockedWeight)
		c := timelocked{who: who, ciphertext: append([]byte(nil), r.Blob(maxCommit)...)}
		c.round = r.U64()
		version := r.U16()
		if bad() {
			return 0, false, nil
		}
		epoch, err := p.commitTimelocked(netuid, mecid, c, version)
		if err != nil {
			return 0, true, err
		}
		p.made(&CommitRecord{Kind: TimelockedCommit, Netuid: netuid, Mecid: mecid, Hotkey: who, Epoch: epoch, Hash: c.hash(), Round: c.round, Ciphertext: c.ciphertext})
		return c.round, true, nil
	}
	return 0, false, nil
}

// maxCommit is MAX_CRV3_COMMIT_SIZE_BYTES.
const maxCommit = 5000

// made notes a commit of somebody else, of which nobody here knows what is inside.
func (p *pallet) made(r *CommitRecord) {
	r.UID, _ = p.uid(r.Netuid, r.Hotkey)
	r.Block = uint32(p.block)
	p.notes = append(p.notes, note{what: noteMade, id: commitID{r.Kind, r.Netuid, r.Mecid, r.Hotkey, r.Hash}, maker: r})
}

// serveAxon is do_serve_axon (subnets/serving.rs). args are version u32, ip u128, port u16, ip_type, protocol and two
// placeholders, as the entry has them too.
func (p *pallet) serveAxon(who verify.AccountID, netuid uint16, args []byte) error {
	key := verify.AppendBlake2b128Concat(identity("Axons", netuid), who[:])
	if _, ok := p.uid(netuid, who); !ok {
		return errNotRegistered
	}
	ip, port, kind := args[4:20], binary.LittleEndian.Uint16(args[20:]), args[22]
	v4 := uint64(binary.LittleEndian.Uint32(ip))
	wide := binary.LittleEndian.Uint64(ip) != v4 || binary.LittleEndian.Uint64(ip[8:]) != 0
	one := binary.LittleEndian.Uint64(ip) == 1 && binary.LittleEndian.Uint64(ip[8:]) == 0
	switch {
	case kind != 4 && kind != 6:
		return errKind
	case kind == 4 && (wide || v4 == 1<<32-1 || v4 == 127<<24|1), kind == 6 && one:
		return errAddress
	case port == 0:
		return errPort
	}
	if old, ok := p.t.Get(key); ok && len(old) >= 8 {
		last := binary.LittleEndian.Uint64(old)
		if last != 0 && p.block-last < servingRateLimit {
			return errServing
		}
	}
	p.put(key, append(u64(p.block), args...))
	return nil
}

// admit lets an extrinsic wait: a signed one must hold by the state of the best block, its nonce may be ahead.
func (m *imitation) admit(at *block, extrinsic []byte) error {
	x, ok := parseSigned(extrinsic)
	if !ok || at.state == nil {
		return nil
	}
	p := &pallet{spec: m.crowd.spec, block: uint64(at.header.Number) + 1, t: at.state}
	if err := x.check(p, at); err != nil && err != errFuture {
		return errors.Join(ErrInvalid, err)
	}
	return nil
}

// apply executes an extrinsic of somebody else. A signed one that is no good is not in the block; what is not signed is
// carried unjudged.
func (p *pallet) apply(parent *block, extrinsic []byte) (d deed, waits uint64, o outcome) {
	d = deed{extrinsic: extrinsic}
	x, ok := parseSigned(extrinsic)
	if !ok {
		return d, 0, outcome{in: true}
	}
	switch err := x.check(p, parent); {
	case err == errFuture:
		return d, 0, outcome{later: true}
	case err != nil:
		return d, 0, outcome{err: errors.Join(ErrInvalid, err)}
	}
	p.bump(x.who)
	waits, _, d.err = p.dispatch(x.who, x.call)
	d.events, p.events = p.events, nil
	if d.err != nil {
		d.events = nil
	}
	return d, waits, outcome{in: true, err: d.err}
}
