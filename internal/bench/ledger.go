package main

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// The chain of the bundles. It has finney's authorities and pace, its subnets in number and size, and a
// state with as many levels as its 700,000 keys give it.
const (
	subnets = 128
	neurons = 256
	tempo   = 360
	tail    = 30 // blocks from a reveal to the block that a bundle's votes are for

	revealing  = 7  // a subnet in which committers commit to weights for miners each, and all are revealed
	losing     = 8  // the same, and loser has no permit when its time comes
	dense      = 9  // a subnet of which 64 validators have set 64 to 256 weights each
	whole      = 10 // a subnet whose epoch a bundle shows: 64 validators have weights for all, and bonds in all
	part       = 11 // the same with 64 neurons, of which 16 are validators
	committers = 12
	miners     = 64
	loser      = 5
	epoch      = 25_000
)

// A ledger is a chain on which nothing runs: what the pallets would have written is put in its states.
type ledger struct {
	genesis verify.Hash
	first   uint32 // the checkpoint's block
	headers []*verify.Header
	states  map[uint32]*trie.Trie // of the blocks that claims are about
	state   *trie.Trie            // of the block being made
	chance  *rand.ChaCha8

	keys  []ed25519.PrivateKey
	set   grandpa.AuthoritySet
	final grandpa.Fragment

	beacon drand.Beacon
	pulses []drand.Pulse // of the rounds that commitments are locked to
	round  uint64

	accounts, stale [][]byte // keys of accounts, and of pulses from the oldest
	moving          [][]byte // keys of what each block changes for each subnet
	reveal          uint32
	step            uint32 // the block of the epochs that bundles show
	sealed          map[uint16][]bundle.CommitID
	ciphertexts     map[verify.Hash][]byte
}

// rounds is how many different rounds the committers aim at, each by its own clock.
const rounds = 3

// newLedger makes the chain, from the checkpoint through an epoch of commitments and the block that reveals
// them to a final one.
func newLedger() (*ledger, error) {
	c := &ledger{
		genesis: verify.Blake2b256([]byte("bundles")), first: 9_178_000, state: trie.New(trie.V1), chance: rand.NewChaCha8([32]byte{1}),
		states: make(map[uint32]*trie.Trie), round: 25_000_000, set: grandpa.AuthoritySet{ID: 6},
		sealed: make(map[uint16][]bundle.CommitID), ciphertexts: make(map[verify.Hash][]byte),
	}
	c.beacon, c.pulses = beacon(rounds)
	for i := range authorities {
		seed := verify.Blake2b256(fmt.Appendf(nil, "authority %d", i))
		key := ed25519.NewKeyFromSeed(seed[:])
		c.keys = append(c.keys, key)
		c.set.Authorities = append(c.set.Authorities, grandpa.Authority{ID: grandpa.AuthorityID(key.Public().(ed25519.PublicKey)), Weight: 1})
	}
	c.fill()
	c.block(true)

	// An epoch begins in the next block.
	start := c.first + 1
	for _, n := range []uint16{revealing, losing} {
		c.put(subtensor.KeySubnet("LastEpochBlock", n), u64(uint64(start)))
		c.put(subtensor.KeySubnet("SubnetEpochIndex", n), u64(epoch))
	}
	c.reveal = start + tempo
	queues := make(map[uint16][]subtensor.TimelockedCommit)
	for c.next() < c.reveal {
		at := c.next() - start
		keep := at >= 20 && (at-20)%28 == 0 && len(queues[losing]) < committers
		if keep {
			for _, n := range []uint16{revealing, losing} {
				i := len(queues[n])
				e, err := c.seal(n, i)
				if err != nil {
					return nil, err
				}
				queues[n] = append(queues[n], e)
				c.put(subtensor.KeyTimelockedWeightCommits(n, epoch), subtensor.AppendTimelockedCommits(nil, queues[n]))
				c.sealed[n] = append(c.sealed[n], bundle.CommitID{Kind: commit.Timelocked, Netuid: n, Hotkey: e.Hotkey, Epoch: epoch, Block: uint32(e.Block), Hash: e.Hash()})
				c.ciphertexts[e.Hash()] = e.Ciphertext
			}
		}
		if c.next() == c.reveal-1 {
			for _, p := range c.pulses {
				r := p.Randomness()
				c.put(subtensor.KeyPulse(p.Round), drand.Stored{Round: p.Round, Randomness: r[:], Signature: p.Signature[:]}.Append(nil))
			}
			c.put(subtensor.KeySubnet("ValidatorPermit", losing), permits(func(uid int) bool { return uid < neurons/4 && uid != loser }))
			keep = true
		}
		c.block(keep)
	}
	for n := range queues {
		c.put(subtensor.KeySubnet("LastEpochBlock", n), u64(uint64(c.reveal)))
		c.put(subtensor.KeySubnet("SubnetEpochIndex", n), u64(epoch+1))
		c.state = c.state.Delete(subtensor.KeyTimelockedWeightCommits(n, epoch))
		for i := range committers {
			if n != losing || i != loser {
				uids, values := weightsOf(n, i)
				c.put(subtensor.KeyWeights(n, uint16(i)), subtensor.AppendWeights(nil, commit.Row(uids, values)))
			}
		}
	}
	c.block(true)
	for i := range tail {
		if i == tail/2 {
			c.step = c.next()
			for _, n := range []uint16{whole, part} {
				if err := c.runEpoch(n); err != nil {
					return nil, err
				}
			}
		}
		c.block(i == tail-1 || i == tail/2-1 || i == tail/2)
	}
	c.vote()
	return c, nil
}

func (c *ledger) head() uint32          { return c.first + uint32(len(c.headers)) - 1 }
func (c *ledger) next() uint32          { return c.first + uint32(len(c.headers)) }
func (c *ledger) put(key, value []byte) { c.state = c.state.Put(key, value) }

func (c *ledger) random(n int) []byte {
	b := make([]byte, n)
	_, _ = c.chance.Read(b) // never fails
	return b
}

// fill makes a state. What is hashed in a key of the chain is as good as random.
func (c *ledger) fill() {
	for _, m := range []struct {
		pallet, item  string
		n, key, value int
	}{
		{"System", "Account", 100_000, 16 + 32, 56},
		{"SubtensorModule", "Alpha", 100_000, 16 + 32 + 16 + 32 + 2, 16},
		{"SubtensorModule", "Owner", 40_000, 16 + 32, 32},
		{"SubtensorModule", "TotalHotkeyAlpha", 40_000, 16 + 32 + 2, 8},
		{"SubtensorModule", "ChildKeys", 5_000, 16 + 32 + 2, 1 + 40},
		{"SubtensorModule", "ParentKeys", 5_000, 16 + 32 + 2, 1 + 40},
	} {
		prefix := verify.StorageKey(m.pallet, m.item)
		for range m.n {
			key := append(slices.Clip(prefix), c.random(m.key)...)
			c.put(key, c.random(m.value))
			if m.item == "Account" && len(c.accounts) < 10_000 {
				c.accounts = append(c.accounts, key)
			}
		}
	}
	// The chain keeps the pulses of 216,000 rounds, and 2,400 hashes.
	for range 216_000 {
		c.storePulse()
	}
	for n := c.first - bundle.BlockHashCount - 1; n < c.first-1; n++ {
		c.put(subtensor.KeyBlockHash(n), c.random(32))
	}
	// Items that are not looked at, of System and of other pallets.
	for _, item := range []string{
		"Number", "ParentHash", "Digest", "EventCount", "ExecutionPhase", "BlockWeight", "ExtrinsicCount",
		"UpgradedToU32RefCount", "UpgradedToTripleRefCount", "EventTopics",
	} {
		c.put(verify.StorageKey("System", item), c.random(8))
	}
	for pallet := range 40 {
		for item := range 10 {
			c.put(verify.StorageKey(fmt.Sprint("pallet ", pallet), fmt.Sprint("item ", item)), c.random(8))
		}
	}
	c.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 425, SpecName: "node-subtensor"}.Append(nil))
	c.put(subtensor.KeyValue("TaoWeight"), u64(971_718_665_099_567_868))
	c.put(subtensor.KeyValue("StakeThreshold"), u64(1_000_000_000_000))
	for n := range uint16(subnets) {
		c.fillSubnet(n)
	}
}

// fillSubnet writes a subnet of 64 validators with permits, of which the committers have set weights, or in
// the dense one all.
func (c *ledger) fillSubnet(n uint16) {
	for item := range 150 {
		key := append(verify.StorageKey("SubtensorModule", fmt.Sprint("item ", item)), u16(n)...)
		c.put(key, c.random(8))
		if item < 10 {
			c.moving = append(c.moving, key)
		}
	}
	owner := hotkeyOf(n, 0)
	for item, value := range map[string][]byte{
		"NetworksAdded": {1}, "SubnetworkN": u16(neurons), "SubnetOwnerHotkey": owner[:], "MechanismCountCurrent": {1},
		"Tempo": u16(tempo), "Kappa": u16(32_767), "MaxAllowedValidators": u16(neurons / 4), "MinAllowedWeights": u16(1),
		"MaxWeightsLimit": u16(65_535), "WeightsVersionKey": u64(0), "WeightsSetRateLimit": u64(100), "ImmunityPeriod": u16(5000),
		"ActivityCutoff": u16(5000), "ActivityCutoffFactorMilli": {0x41, 0x36, 0, 0}, "BondsPenalty": u16(65_535),
		"BondsMovingAverage": u64(900_000), "AlphaSigmoidSteepness": u16(1000), "AlphaValues": append(u16(45_875), u16(58_982)...),
		"Yuma3On": {1}, "LiquidAlphaOn": {0}, "CommitRevealWeightsEnabled": {1}, "RevealPeriodEpochs": u64(1),
		"LastMechansimStepBlock": u64(uint64(c.first) - 10), "LastEpochBlock": u64(uint64(c.first) - 10), "PendingEpochAt": u64(0),
		"SubnetEpochIndex": u64(24_000), "ValidatorPermit": permits(func(uid int) bool { return uid < neurons/4 }),
		"Active": permits(func(int) bool { return true }), "LastUpdate": c.vector(8), "Emission": c.vector(8),
		"Consensus": c.vector(2), "Incentive": c.vector(2), "Dividends": c.vector(2), "ValidatorTrust": c.vector(2), "StakeWeight": c.vector(2),
	} {
		c.put(subtensor.KeySubnet(item, n), value)
	}
	for _, item := range []string{"BlocksSinceLastStep", "PendingServerEmission", "PendingValidatorEmission", "PendingRootAlphaDivs", "PendingOwnerCut"} {
		key := subtensor.KeySubnet(item, n)
		c.put(key, u64(5))
		if n != whole && n != part {
			c.moving = append(c.moving, key)
		}
	}
	if n == whole || n == part {
		c.fillEpoch(n)
		return
	}
	axons, members := verify.StorageKey("SubtensorModule", "Axons"), verify.StorageKey("SubtensorModule", "IsNetworkMember")
	for i := range neurons {
		uid, key := uint16(i), hotkeyOf(n, i)
		c.put(subtensor.KeyKeys(n, uid), key[:])
		c.put(subtensor.KeyUids(n, key), u16(uid))
		c.put(subtensor.KeyBlockAtRegistration(n, uid), u64(uint64(c.first)-uint64(100_000+i)))
		c.put(verify.AppendBlake2b128Concat(append(slices.Clip(axons), u16(n)...), key[:]), c.random(36))
		c.put(append(verify.AppendBlake2b128Concat(slices.Clip(members), key[:]), u16(n)...), []byte{1})
		width := 0
		switch {
		case n == dense && i < neurons/4:
			width = miners + 192*i/63
		case i < committers:
			width = miners
		}
		c.put(subtensor.KeyBonds(n, uid), c.pairs(width))
		if width > 0 {
			c.put(subtensor.KeyWeights(n, uid), c.pairs(width))
			c.put(subtensor.KeyTotalHotkeyAlpha(key, n), u64(5_000_000_000_000))
			c.put(subtensor.KeyTotalHotkeyAlpha(key, 0), u64(5_000_000_000_000))
			parent := hotkeyOf(n, neurons-1-i)
			c.put(subtensor.KeyTotalHotkeyAlpha(parent, n), u64(1_000_000_000_000))
			c.put(subtensor.KeyParentKeys(key, n), subtensor.AppendRelations(nil, []subtensor.Relation{{Proportion: 1 << 62, Hotkey: parent}}))
		}
	}
}

// storePulse writes the next round, signed by nobody.
func (c *ledger) storePulse() {
	c.round++
	key := subtensor.KeyPulse(c.round)
	c.put(key, drand.Stored{Round: c.round, Randomness: c.random(32), Signature: c.random(48)}.Append(nil))
	c.stale = append(c.stale, key)
}

// block ends a block. It changes what each block of the chain changes, so that the states of two blocks share
// no more nodes than they would there. A state that is not kept needs no root that is true.
func (c *ledger) block(keep bool) {
	n := c.next()
	h := &verify.Header{Number: n, ParentHash: verify.Hash(c.random(32)), ExtrinsicsRoot: verify.Hash(c.random(32))}
	if n > c.first {
		h.ParentHash = c.headers[len(c.headers)-1].Hash()
	}
	h.Digest = []verify.DigestItem{
		{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: u64(uint64(n) + 146_666_666)},
		{Type: verify.DigestConsensus, Engine: verify.EngineFrontier, Data: c.random(34)},
		{Type: verify.DigestSeal, Engine: verify.EngineAura, Data: c.random(64)},
	}
	c.put(subtensor.KeyBlockHash(n-1), h.ParentHash[:])
	c.state = c.state.Delete(subtensor.KeyBlockHash(n - 1 - bundle.BlockHashCount))
	c.put(subtensor.KeyTimestampNow(), u64(uint64(n)*12_000))
	c.put(verify.StorageKey("System", "Events"), c.random(5_000))
	for range 4 {
		c.storePulse()
		c.state = c.state.Delete(c.stale[0])
		c.stale = c.stale[1:]
	}
	c.put(subtensor.KeyValue("LastStoredRound"), u64(c.round))
	for range 60 {
		c.put(c.accounts[c.chance.Uint64()%uint64(len(c.accounts))], c.random(56))
	}
	h.StateRoot = verify.Hash(c.random(32))
	if keep {
		for _, key := range c.moving { // the same in each block
			c.put(key, c.random(8))
		}
		h.StateRoot = c.state.Root()
		c.states[n] = c.state
	}
	c.headers = append(c.headers, h)
}

// seal makes a validator's commitment, in the block being made.
func (c *ledger) seal(n uint16, i int) (subtensor.TimelockedCommit, error) {
	uids, values := weightsOf(n, i)
	p := &commit.Payload{Hotkey: hotkeyOf(n, i), UIDs: uids, Values: values}
	round := c.pulses[i%rounds].Round
	ct, err := tlock.Seal(c.beacon, round, p.Append(nil), &endless{i: int(n)*1000 + i})
	return subtensor.TimelockedCommit{Hotkey: p.Hotkey, Block: uint64(c.next()), Ciphertext: ct, Round: round}, err
}

// vote makes the newest block final, with as many votes as that takes.
func (c *ledger) vote() {
	h := c.headers[len(c.headers)-1]
	j := &grandpa.Justification{Round: 1_204_881, Commit: grandpa.Commit{TargetHash: h.Hash(), TargetNumber: h.Number}}
	msg := grandpa.PrecommitPayload(h.Hash(), h.Number, j.Round, c.set.ID)
	for i, key := range c.keys[:c.set.Threshold()] {
		j.Commit.Precommits = append(j.Commit.Precommits, grandpa.Precommit{
			TargetHash: h.Hash(), TargetNumber: h.Number, Signature: [64]byte(ed25519.Sign(key, msg[:])), ID: c.set.Authorities[i].ID,
		})
	}
	c.final = grandpa.Fragment{Header: h, Justification: j}
}

func (c *ledger) start() grandpa.Finalized {
	return grandpa.Finalized{Header: c.headers[0], Hash: c.headers[0].Hash(), Set: c.set}
}

func (c *ledger) root() bundle.RootRef {
	return bundle.RootRef{Number: c.first, Hash: c.headers[0].Hash(), SetID: c.set.ID}
}

func (c *ledger) checkpoint() *checkpoint.Checkpoint {
	return &checkpoint.Checkpoint{
		Network: "bench", Genesis: c.genesis, Number: c.first, Hash: c.headers[0].Hash(), Header: c.headers[0],
		Set: c.set, SlotDuration: checkpoint.DefaultSlotDuration, Drand: &c.beacon,
	}
}

func hotkeyOf(netuid uint16, uid int) verify.AccountID {
	return verify.AccountID(verify.Blake2b256(fmt.Appendf(nil, "hotkey %d %d", netuid, uid)))
}

// weightsOf returns what a validator commits to.
func weightsOf(netuid uint16, validator int) (uids, values []uint16) {
	h := verify.Blake2b256(fmt.Appendf(nil, "weights %d %d", netuid, validator))
	for i := range miners {
		uids = append(uids, uint16(neurons/4+3*i))
		values = append(values, binary.LittleEndian.Uint16(h[i%31:]))
	}
	return uids, values
}

// pairs returns the encoding of a row of weights or bonds.
func (c *ledger) pairs(n int) []byte {
	return append(scale.AppendCompact(nil, uint64(n)), c.random(4*n)...)
}

// vector returns the encoding of a vector by uid.
func (c *ledger) vector(size int) []byte {
	return append(scale.AppendCompact(nil, neurons), c.random(size*neurons)...)
}

func permits(has func(uid int) bool) []byte {
	b := scale.AppendCompact(nil, neurons)
	for uid := range neurons {
		b = scale.AppendBool(b, has(uid))
	}
	return b
}

func u16(v uint16) []byte { return scale.AppendU16(nil, v) }
func u64(v uint64) []byte { return scale.AppendU64(nil, v) }
