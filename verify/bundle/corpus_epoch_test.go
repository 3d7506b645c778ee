package bundle

import (
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
	"github.com/taolight/taolight/verify/yuma/reference"
)

// The subnet whose epochs the corpus has, and the last block of each.
const (
	yumaNetuid  = 9
	bigNetuid   = 10  // another one, with 5,000 neurons
	yumaBegin   = 127 // it is there after this block
	epochRight  = 128
	epochWrong  = 129 // a cell of Consensus
	epochBonds  = 130 // a bond
	epochOwner  = 131 // with another owner after it
	epochSpoilt = 132 // and what is stored as emission has no layout
	epochNew    = 133 // with a runtime of spec 424 from then on
	epochLater  = 135 // of spec 467
)

// epochs appends blocks in which epochs of a subnet run. The chain computes them with math/big, from inputs that are
// put together here.
func (c *corpus) epochs() {
	set, err := rules.For(425)
	if err != nil {
		c.t.Fatal(err)
	}
	const rao = 1_000_000
	subnet := func(item string, v []byte) { c.put(subtensor.KeySubnet(item, yumaNetuid), v) }
	owner := hotkey(20)
	in := &yuma.Inputs{
		Tempo: 1, ActivityCutoffFactorMilli: 13_889_000, StakeThreshold: 0, Owner: 0, MaxAllowedValidators: 2,
		LastUpdate: []uint64{120, 121, 122, 0}, BlockAtRegistration: []uint64{1, 2, 3, 4}, ValidatorPermit: []bool{true, true, false, false},
		Weights: [][]yuma.Weight{{{UID: 2, Value: 65535}, {UID: 3, Value: 30000}}, {{UID: 3, Value: 65535}, {UID: 2, Value: 20000}}, nil, nil},
		Bonds:   make([][]yuma.Weight, 4), Kappa: 32_767, BondsPenalty: 65_535, BondsMovingAverage: 900_000, Yuma3On: true,
		AlphaLow: 45_875, AlphaHigh: 58_982, AlphaSigmoidSteepness: 1000, Emission: rao,
	}
	row := func(key []byte, row []yuma.Weight) {
		var out []subtensor.Weight
		for _, w := range row {
			out = append(out, subtensor.Weight(w))
		}
		c.put(key, subtensor.AppendWeights(nil, out))
	}
	for uid := range uint16(4) {
		key := hotkey(20 + byte(uid))
		alpha := []uint64{3e12, 2e12, 0, 5}[uid]
		c.put(subtensor.KeyKeys(yumaNetuid, uid), key[:])
		c.put(subtensor.KeyUids(yumaNetuid, key), u16(uid))
		c.put(subtensor.KeyBlockAtRegistration(yumaNetuid, uid), u64(in.BlockAtRegistration[uid]))
		c.put(subtensor.KeyTotalHotkeyAlpha(key, yumaNetuid), u64(alpha))
		in.Stake = append(in.Stake, yuma.I64F64From(alpha))
		if uid < 2 {
			row(subtensor.KeyWeights(yumaNetuid, uid), in.Weights[uid])
		}
	}
	for item, v := range map[string][]byte{
		"NetworksAdded": {1}, "SubnetworkN": u16(4), "SubnetOwnerHotkey": owner[:], "Tempo": u16(1), "ActivityCutoffFactorMilli": scale.AppendU32(nil, 13_889_000),
		"MaxAllowedValidators": u16(2), "Yuma3On": {1}, "CommitRevealWeightsEnabled": {0}, "LastUpdate": vec(in.LastUpdate, scale.AppendU64),
		"ValidatorPermit": bools(in.ValidatorPermit...), "LastEpochBlock": u64(yumaBegin), "PendingServerEmission": u64(rao),
	} {
		subnet(item, v)
	}
	c.put(subtensor.KeySubnet("NetworksAdded", bigNetuid), []byte{1})
	c.put(subtensor.KeySubnet("SubnetworkN", bigNetuid), u16(5000))
	c.to(yumaBegin)

	run := func(spoil func(out *yuma.Outputs)) {
		in.Block = uint64(c.next())
		in.LastMechansimStepBlock = c.last
		out := reference.Epoch(in, set)
		c.computed[uint32(in.Block)] = *out
		out.Consensus, out.Bonds = slices.Clone(out.Consensus), slices.Clone(out.Bonds)
		if spoil != nil {
			spoil(out)
		}
		for item, v := range map[string][]byte{
			"StakeWeight": vec(out.StakeWeight, scale.AppendU16), "Active": bools(out.Active...), "ValidatorPermit": bools(out.ValidatorPermit...),
			"Consensus": vec(out.Consensus, scale.AppendU16), "ValidatorTrust": vec(out.ValidatorTrust, scale.AppendU16),
			"Incentive": vec(out.Incentive, scale.AppendU16), "Dividends": vec(out.Dividends, scale.AppendU16), "Emission": vec(out.Emission, scale.AppendU64),
			"LastMechansimStepBlock": u64(in.Block), "LastEpochBlock": u64(in.Block), "SubnetEpochIndex": u64(in.Block - yumaBegin),
		} {
			subnet(item, v)
		}
		for uid, bonds := range out.Bonds {
			row(subtensor.KeyBonds(yumaNetuid, uint16(uid)), bonds)
		}
		in.Bonds, in.ValidatorPermit, c.last = out.Bonds, out.ValidatorPermit, in.Block
	}
	run(nil)
	c.put(subtensor.KeySubnet("LastMechansimStepBlock", bigNetuid), u64(epochRight))
	c.to(epochRight)
	run(func(out *yuma.Outputs) { out.Consensus[2]++ })
	c.to(epochWrong)
	run(func(out *yuma.Outputs) {
		out.Bonds[1] = slices.Clone(out.Bonds[1])
		out.Bonds[1][1].Value -= 2
	})
	c.to(epochBonds)
	run(nil)
	other := hotkey(21)
	subnet("SubnetOwnerHotkey", other[:])
	in.Owner = 1
	c.to(epochOwner)
	run(nil)
	subnet("Emission", []byte{16, 1, 2})
	c.to(epochSpoilt)
	run(nil)
	c.runs(424)
	c.to(epochNew)
	c.runs(467)
	c.to(epochLater - 1)
	run(nil)
	c.to(epochLater + 1)
}

// epochVectors are about Yuma epochs.
func epochVectors(c *corpus, add addFunc) {
	const root = "126"
	claim := func(n uint32) EpochClaim { return EpochClaim{yumaNetuid, n} }
	words := func(n uint32) string { return fmt.Sprintf("epoch     epoch of subnet 9 in block #%d: ", n) }
	right := c.make(126, 136, claim(epochRight))
	text := "the epoch of subnet 9 in block #128 is as computed: 9 arrays of 4 uids, 1,000,000 rao handed out"
	add("ok-epoch", "ok", root, "ok    epoch     "+text, "Nine arrays, computed from the state after block 127, are what is stored after 128.", right.Encode())
	add("ok-epoch-chained", "ok", root, "ok    header    block #129 is final: "+c.header(129).Hash().String(), "The state after the epoch is shown by the header after it; there is a claim about that as well.", c.make(126, 136, claim(epochRight), HeaderClaim{129}).Encode())

	wrong := c.computed[epochWrong].Consensus[2]
	add("not-epoch-cell", "failed", root, fmt.Sprintf("FAIL  %sepoch: not so: Consensus differs in 1 cell, the first is uid 2: %d, computed %d", words(epochWrong), wrong+1, wrong), "One consensus weight is too great by 1 of 65535.", c.untrue(126, 136, claim(epochWrong)).Encode())
	bond := c.computed[epochBonds].Bonds[1][1]
	add("not-epoch-bonds", "failed", root, fmt.Sprintf("FAIL  %sepoch: not so: Bonds differs in 1 cell, the first is uid 1 in uid %d: %d, computed %d", words(epochBonds), bond.UID, bond.Value-2, bond.Value), "One bond is too small by 2 of 65535. The epoch is computed from the wrong cells of the one before, as the chain did.", c.untrue(126, 136, claim(epochBonds)).Encode())
	add("not-epoch-block", "failed", root, fmt.Sprintf("FAIL  %sepoch: not so: no epoch ran in the block: the last of subnet 9 was in block 0, not in 127", words(yumaBegin)), "The subnet is there, and no epoch of it has run.", c.untrue(126, 136, claim(yumaBegin)).Encode())
	// A subnet that does not exist has the last of its epochs in block 0.
	add("not-epoch-subnet", "failed", root, "FAIL  epoch     epoch of subnet 8 in block #128: epoch: not so: no epoch ran in the block: the last of subnet 8 was in block 0, not in 128", "A subnet that does not exist.", c.untrue(126, 136, EpochClaim{otherNetuid, epochRight}).Encode())
	add("not-epoch-root", "failed", root, "FAIL  epoch     epoch of subnet 0 in block #128: epoch: not so: no epoch ran in the block: the root network has none", "The root network has no epochs.", c.untrue(126, 136, EpochClaim{0, epochRight}).Encode())

	unknown := func(name, line, comment string, x *Bundle) {
		add("unknown-epoch-"+name, "undecided", root, "??    "+line, comment, x.Encode())
	}
	unknown("owner", words(epochOwner)+"epoch: proves nothing: StakeWeight: the subnet got another owner in this block", "Whether it did before the epoch or after it, the two states do not tell.", c.untrue(126, 136, claim(epochOwner)))
	unknown("upgrade", words(epochNew)+"rules: unknown rules: the runtime changed from spec 425 to 424 in block #133 itself", "What the new runtime did before the epoch is not known.", c.untrue(126, 136, claim(epochNew)))
	unknown("layout", words(epochSpoilt)+"layout: Emission: value is not laid out as expected: input too short: 4 elements of 8 bytes or more at offset 0, 2 bytes left", "The value is proven, and is no vector of emission.", c.untrue(126, 136, claim(epochSpoilt)))
	unknown("big", "epoch     epoch of subnet 10 in block #128: epoch: subnet is too big: 5000 neurons, at most 4096 allowed", "No subnet has so many neurons, and if one came to have, this program would not know what to do.", c.untrue(126, 136, EpochClaim{bigNetuid, epochRight}))
	c.assume = 425
	later := c.make(126, 136, claim(epochLater))
	c.assume = 0
	unknown("rules", words(epochLater)+"rules: block #134: unknown rules: spec 467 is outside the audited range 306 to 425", "Nobody has read the runtime of that block.", later)
	add("ok-epoch-rules-assumed", "ok", root, "ok    epoch     the epoch of subnet 9 in block #135 is as computed: 9 arrays of 4 uids, 1,000,000 rao handed out (spec 425 assumed for spec 467)", "The same, with the rules of a runtime that is known.", later.Encode())

	// Nodes and headers. Values of 33 bytes stand outside their nodes: four numbers of 64 bits and their count.
	// An epoch looks up, with the link of block 128 and the two versions of the runtime:
	const (
		settings = 46 // before: 26 hyperparameters, 5 of the schedule, 11 of what waits and is added, and 4
		stored   = 14 // after: 8 vectors and 6 numbers
		neurons  = 21 // before: 4 rows of weights and of bonds, hotkeys and registrations, LastUpdate, 2 queues, the owner's uid twice
		rewards  = 9  // after: 4 rows of bonds and registrations, Incentive
	)
	for _, x := range []struct {
		name, item string
		number     uint32
		lookups    int
		comment    string
	}{
		{"before", "LastUpdate", epochRight - 1, 3 + settings + stored + neurons + rewards, "The value of LastUpdate, before the epoch, is not there."},
		{"after", "Emission", epochRight, 3 + settings + stored, "The value of Emission, after the epoch, is not there."},
	} {
		value, ok := c.states[x.number-c.first].Get(subtensor.KeySubnet(x.item, yumaNetuid))
		if !ok || len(value) != 33 {
			c.t.Fatalf("%s has %d bytes", x.item, len(value))
		}
		size := 0
		lost := alter(right, func(y *Bundle) {
			y.Nodes = slices.DeleteFunc(y.Nodes, func(n []byte) bool { return string(n) == string(value) })
			for _, n := range y.Nodes {
				size += len(n)
			}
		})
		add("storage-epoch-"+x.name, "undecided", root, fmt.Sprintf("??    storage   %d nodes, %s bytes, %d lookups: storage: not in the bundle: the state of block #%d lacks 1 key", len(right.Nodes)-1, group(uint64(size)), x.lookups, x.number), x.comment, lost)
	}
	header := *c.header(epochRight)
	header.StateRoot[0] ^= 1
	add("headers-epoch-root", "failed", root, fmt.Sprintf("FAIL  headers   each header is linked to the final block, and needed: headers: conflicting block at the same height: block #128 is %s, and the state of block #136 says %s", header.Hash().Short(), c.header(epochRight).Hash()), "The state root in the header after the epoch is another.", alter(right, func(x *Bundle) {
		for i, h := range x.Headers {
			if h.Number == epochRight {
				x.Headers[i] = &header
			}
		}
	}))
	good := right.Encode()
	add("form-epoch-cut", "failed", root, fmt.Sprintf("FAIL  form      the bundle has the one form it may have: form: bundle: claim 0: input too short: want 1 bytes at offset %d, have 0", len(good)-9), "Lacks the last byte, the second one of the block in the claim.", good[:len(good)-1])
	bad := func(name, line, comment string, claim Claim) {
		add("form-claim-epoch-"+name, "failed", root, "FAIL  form      the bundle has the one form it may have: form: bundle: claim 0: epoch: impossible claim: "+line, comment, alter(right, func(x *Bundle) { x.Claims = []Claim{claim} }))
	}
	bad("genesis", "an epoch in the genesis block", "Nothing ran in block 0, and there is no state before it.", EpochClaim{yumaNetuid, 0})
	bad("netuid", "subnet 4096, mechanism 0", "Its storage index would be that of another subnet's second mechanism.", EpochClaim{4096, epochRight})
}
