package commit

import (
	"math"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// Facts are what the chain looks at when a hotkey's weights are to be stored for one mechanism of
// one subnet, as they stand in one state.
type Facts struct {
	Rules  rules.Set
	Netuid uint16
	Mecid  uint8
	Hotkey verify.AccountID

	Exists     bool   // NetworksAdded
	Mechanisms uint8  // MechanismCountCurrent
	Size       uint16 // SubnetworkN: the uids are those below it

	Registered bool   // the hotkey has a uid
	UID        uint16 // if registered
	Owner      bool   // the uid is that of the subnet's owner hotkey, and the rules exempt it
	Permit     bool   // ValidatorPermit of the uid
	LastUpdate uint64 // block of the uid's last weights or commitment, 0 if there is none; read if it matters

	// Stake is the hotkey's total on this subnet. It is read only where the threshold is above zero
	// and the hotkey is not exempt from it.
	Stake          yuma.I64F64
	StakeThreshold uint64

	CommitReveal bool   // CommitRevealWeightsEnabled
	RevealPeriod uint64 // RevealPeriodEpochs
	VersionKey   uint64 // WeightsVersionKey; 0 asks for none
	RateLimit    uint64 // WeightsSetRateLimit, in blocks; read if it matters
	MinWeights   uint16 // MinAllowedWeights
	MaxWeight    uint16 // MaxWeightsLimit, as a share of 65535; 65535 is no limit

	Schedule yuma.Schedule
}

// maxWeightGone is the first spec whose weight limit is the constant 65535, whatever MaxWeightsLimit
// holds (pallets/subtensor/src/utils/misc.rs, get_max_weight_limit: storage in 326, constant in 334).
const maxWeightGone = 334

func newFacts(netuid uint16, mecid uint8, hotkey verify.AccountID, r rules.Set) *Facts {
	return &Facts{Rules: r, Netuid: netuid, Mecid: mecid, Hotkey: hotkey, Mechanisms: 1, MaxWeight: math.MaxUint16}
}

// askEpoch asks for what tells whether and when the mechanism's commitments are revealed: Exists,
// Mechanisms, RevealPeriod and Schedule.
func (f *Facts) askEpoch(q *subtensor.Batch) {
	q.Subnet("NetworksAdded", f.Netuid, &f.Exists)
	q.Subnet("RevealPeriodEpochs", f.Netuid, &f.RevealPeriod)
	if f.Rules.Mechanisms {
		q.Subnet("MechanismCountCurrent", f.Netuid, &f.Mechanisms)
	}
	if f.Rules.StatefulEpochs {
		q.Schedule(f.Netuid, &f.Schedule)
	} else {
		q.Subnet("Tempo", f.Netuid, &f.Schedule.Tempo)
	}
}

// ReadFacts reads the facts from a state, which is the one before the block that is asked about. It
// asks for no more than it needs: a proof of the facts is as small as can be. What depends on the
// first answers takes a second Load, and the stakes of the hotkey's parents a third.
func ReadFacts(s subtensor.State, netuid uint16, mecid uint8, hotkey verify.AccountID, r rules.Set) (*Facts, error) {
	index, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return nil, err
	}
	f := newFacts(netuid, mecid, hotkey, r)
	var owner verify.AccountID
	var permits []bool

	var q subtensor.Batch
	f.askEpoch(&q)
	q.Subnet("SubnetworkN", netuid, &f.Size)
	q.Key("Uids", subtensor.KeyUids(netuid, hotkey), func(present bool, in *scale.Reader) {
		if f.Registered = present; present {
			f.UID = in.U16()
		}
	})
	q.Subnet("ValidatorPermit", netuid, &permits)
	q.Value("StakeThreshold", &f.StakeThreshold)
	q.Subnet("CommitRevealWeightsEnabled", netuid, &f.CommitReveal)
	q.Subnet("WeightsVersionKey", netuid, &f.VersionKey)
	q.Subnet("MinAllowedWeights", netuid, &f.MinWeights)
	if r.OwnerExempt {
		q.Subnet("SubnetOwnerHotkey", netuid, &owner)
	}
	if r.Spec < maxWeightGone {
		q.Subnet("MaxWeightsLimit", netuid, &f.MaxWeight)
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}
	if !f.Registered {
		f.UID = 0
	}
	f.Permit = f.Registered && int(f.UID) < len(permits) && permits[f.UID]
	// The chain compares uids (subnets/uids.rs keeps one hotkey to each). An owner of zeros is none.
	f.Owner = r.OwnerExempt && f.Registered && owner == hotkey && owner != verify.AccountID{}

	q = subtensor.Batch{}
	var updates []uint64
	if !f.CommitReveal {
		q.Subnet("WeightsSetRateLimit", netuid, &f.RateLimit)
		q.Subnet("LastUpdate", index, &updates)
	}
	err = q.Load(s)
	if f.StakeThreshold != 0 && !f.Owner {
		var errStake error
		f.Stake, errStake = subtensor.ReadStake(s, netuid, hotkey)
		err = worse(err, errStake)
	}
	if err != nil {
		return nil, err
	}
	if f.Registered && int(f.UID) < len(updates) {
		f.LastUpdate = updates[f.UID]
	}
	return f, nil
}

// Epoch returns the epoch that a reveal in block belongs to, the state being the one before it
// (pallets/subtensor/src/subnets/weights.rs, current_epoch_with_lookahead; get_epoch_index up to spec
// 422, which looks no block ahead).
func (f *Facts) Epoch(block uint64) uint64 {
	if f.Rules.StatefulEpochs {
		return f.Schedule.LookAhead(block)
	}
	return yuma.LegacyEpoch(block, f.Netuid, f.Schedule.Tempo)
}

// Judge tells what the chain does when the hotkey's weights are to be stored in block, the facts
// being those of the moment before: the row that it stores and Stored, or nil and the first of its
// checks that fails (pallets/subtensor/src/subnets/weights.rs, internal_set_weights).
func (f *Facts) Judge(block uint64, uids, values []uint16, versionKey uint64) ([]subtensor.Weight, Reason) {
	if faults := f.faults(block, uids, values, versionKey); len(faults) != 0 {
		return nil, faults[0]
	}
	return Row(uids, values), Stored
}

// faults returns the checks that fail, in the chain's order. After the first it says what else would
// have to change before the weights could be stored.
func (f *Facts) faults(block uint64, uids, values []uint16, versionKey uint64) []Reason {
	self := f.Registered && len(values) == 1 && len(uids) != 0 && uids[0] == f.UID
	var l list
	l.add(RootSubnet, f.Netuid == 0)
	l.add(LengthsDiffer, len(uids) != len(values))
	l.add(NoMechanism, !f.Exists || f.Mecid >= f.Mechanisms)
	l.add(TooManyUIDs, len(uids) > int(f.Size))
	l.add(NotRegistered, !f.Registered)
	l.add(StakeTooLow, f.poor())
	l.add(VersionKeyOld, versionKey < f.VersionKey)
	l.add(RateLimited, f.rateLimited(block))
	l.add(NoPermit, f.Registered && !self && !f.Owner && !f.Permit)
	l.add(DuplicateUID, duplicate(uids))
	// The chain asks Keys for each uid. It numbers them from 0 without a gap (subnets/uids.rs:
	// append_neuron, replace_neuron), so that the size answers it with no proof of each.
	l.add(UnknownUID, len(uids) != 0 && slices.Max(uids) >= f.Size)
	l.add(TooFewWeights, !self && len(values) < f.least())
	l.add(WeightTooLarge, !self && f.MaxWeight != math.MaxUint16 && !withinLimit(Upscale(values), f.MaxWeight))
	return l
}

// A list of reasons, in the order of the checks.
type list []Reason

func (l *list) add(why Reason, holds bool) {
	if holds {
		*l = append(*l, why)
	}
}

// poor reports whether the stake is below the threshold (check_weights_min_stake). The threshold is
// whole, so the floor of the stake decides.
func (f *Facts) poor() bool { return !f.Owner && f.Stake.U64() < f.StakeThreshold }

// least returns how many weights there have to be, unless it is a single one on the hotkey itself
// (check_length).
func (f *Facts) least() int { return int(min(f.Size, f.MinWeights)) }

// rateLimited reports whether the uid's last weights are too fresh: asked only where weights are not
// hidden, for else the commitment was asked (check_rate_limit).
func (f *Facts) rateLimited(block uint64) bool {
	if f.CommitReveal || !f.Registered {
		return false
	}
	if f.UID >= f.Size {
		return true // "non registered peers cant pass"
	}
	return f.LastUpdate != 0 && block-min(block, f.LastUpdate) < f.RateLimit
}

func duplicate(uids []uint16) bool {
	seen := make(map[uint16]bool, len(uids))
	for _, uid := range uids {
		if seen[uid] {
			return true
		}
		seen[uid] = true
	}
	return false
}
