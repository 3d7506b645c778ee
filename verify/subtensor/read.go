package subtensor

import (
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/yuma"
)

// Spec returns the spec_version of the runtime that executed the block: what rules.For takes.
func Spec(s State) (uint32, error) {
	var b Bytes
	var q Batch
	q.Value("LastRuntimeUpgrade", &b)
	if err := q.Load(s); err != nil {
		return 0, err
	}
	if b == nil {
		return 0, fmt.Errorf("LastRuntimeUpgrade: %w: absent", ErrLayout)
	}
	u, err := DecodeRuntimeUpgrade(b)
	return u.SpecVersion, err
}

// Schedule adds the reads of a subnet's epoch scheduler. Runtimes without StatefulEpochs have of it
// the tempo alone.
func (q *Batch) Schedule(netuid uint16, into *yuma.Schedule) {
	q.Subnet("Tempo", netuid, &into.Tempo)
	q.Subnet("LastEpochBlock", netuid, &into.LastEpochBlock)
	q.Subnet("PendingEpochAt", netuid, &into.PendingEpochAt)
	q.Subnet("SubnetEpochIndex", netuid, &into.SubnetEpochIndex)
	q.Subnet("BlocksSinceLastStep", netuid, &into.BlocksSinceLastStep)
}

// ReadSchedule reads the epoch scheduler of a subnet.
func ReadSchedule(s State, netuid uint16) (out yuma.Schedule, err error) {
	var q Batch
	q.Schedule(netuid, &out)
	if err := q.Load(s); err != nil {
		return yuma.Schedule{}, err
	}
	return out, nil
}

// ReadUID returns the uid of a hotkey on a subnet; ok is false if it is not registered there.
func ReadUID(s State, netuid uint16, hotkey verify.AccountID) (uid uint16, ok bool, err error) {
	var q Batch
	q.Key("Uids", KeyUids(netuid, hotkey), optional(&uid, &ok))
	if err := q.Load(s); err != nil {
		return 0, false, err
	}
	return uid, ok, nil
}

// optional reads a u16 and whether it is there.
func optional(v *uint16, ok *bool) func(bool, *scale.Reader) {
	return func(present bool, r *scale.Reader) {
		if *ok = present; present {
			*v = r.U16()
		}
	}
}

// ReadOwnerUID returns the uid of the hotkey of a subnet's owner; ok is false if the subnet has none
// or it is not registered (pallets/subtensor/src/utils/misc.rs, get_owner_uid). It learns the hotkey
// in one Load and its uid in a second.
func ReadOwnerUID(s State, netuid uint16) (uid uint16, ok bool, err error) {
	var owner Bytes
	var q Batch
	q.Subnet("SubnetOwnerHotkey", netuid, &owner)
	if err := q.Load(s); err != nil || owner == nil {
		return 0, false, err
	}
	if len(owner) != 32 {
		return 0, false, fmt.Errorf("SubnetOwnerHotkey: %w: %d bytes", ErrLayout, len(owner))
	}
	return ReadUID(s, netuid, verify.AccountID(owner))
}

// ReadHotkeys returns the hotkeys of a subnet, by uid. It learns their number in one Load and the
// hotkeys in a second. A uid without a hotkey, which the chain does not make, has the zero account,
// as the chain reads it.
func ReadHotkeys(s State, netuid uint16) ([]verify.AccountID, error) {
	var n uint16
	var q Batch
	q.Subnet("SubnetworkN", netuid, &n)
	if err := q.Load(s); err != nil {
		return nil, err
	}
	hotkeys := make([]verify.AccountID, n)
	q = Batch{}
	for uid := range n {
		q.Key("Keys", KeyKeys(netuid, uid), &hotkeys[uid])
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}
	return hotkeys, nil
}

// ReadWeights returns the row of weights of a neuron in the order in which they were set; ok is false
// if it has none.
func ReadWeights(s State, index, uid uint16) (row []Weight, ok bool, err error) {
	return readRow(s, "Weights", KeyWeights(index, uid))
}

// ReadBonds returns the row of bonds of a neuron; ok is false if it has none.
func ReadBonds(s State, index, uid uint16) (row []Weight, ok bool, err error) {
	return readRow(s, "Bonds", KeyBonds(index, uid))
}

func readRow(s State, item string, key []byte) (row []Weight, ok bool, err error) {
	var q Batch
	q.Key(item, key, func(present bool, r *scale.Reader) {
		if ok = present; present {
			row = sequence(r, 4, MaxByUID, readWeight)
		}
	})
	if err := q.Load(s); err != nil {
		return nil, false, err
	}
	return row, ok, nil
}

// ReadHashCommits returns a hotkey's queue of hash commits, oldest first.
func ReadHashCommits(s State, index uint16, hotkey verify.AccountID, r rules.Set) ([]HashCommit, error) {
	var b Bytes
	var q Batch
	q.Key("WeightCommits", KeyWeightCommits(index, hotkey), &b)
	if err := q.Load(s); err != nil || b == nil {
		return nil, err
	}
	return DecodeHashCommits(b, r)
}

// ReadTimelockedCommits returns the queue of the timelocked commits made in an epoch, oldest first.
func ReadTimelockedCommits(s State, index uint16, epoch uint64) ([]TimelockedCommit, error) {
	var b Bytes
	var q Batch
	q.Key("TimelockedWeightCommits", KeyTimelockedWeightCommits(index, epoch), &b)
	if err := q.Load(s); err != nil || b == nil {
		return nil, err
	}
	return DecodeTimelockedCommits(b)
}

// ReadStake returns the stake weight of a hotkey on a subnet, in rao: what the chain compares with
// StakeThreshold. Its parents' stakes take a second Load.
func ReadStake(s State, netuid uint16, hotkey verify.AccountID) (yuma.I64F64, error) {
	out, err := ReadStakes(s, netuid, []verify.AccountID{hotkey})
	if err != nil {
		return yuma.I64F64{}, err
	}
	return out[0], nil
}

// ReadStakes is ReadStake for many hotkeys, in the same two Loads. It reads 32 children and parents for
// each of them on average, of 64 hotkeys at least, and has ErrLayout for the one at which there are more.
func ReadStakes(s State, netuid uint16, hotkeys []verify.AccountID) ([]yuma.I64F64, error) {
	type account struct{ alpha, root uint64 }
	type family struct{ children, parents []Relation }
	stakes := map[verify.AccountID]*account{}
	families := make([]family, len(hotkeys))
	left := relationsEach * max(len(hotkeys), 64)
	relations := func(into *[]Relation) func(bool, *scale.Reader) {
		return func(present bool, r *scale.Reader) {
			if present {
				*into = sequence(r, 40, left, readRelation)
				left -= len(*into)
			}
		}
	}
	var weight uint64

	var q Batch
	ask := func(hotkey verify.AccountID) {
		if stakes[hotkey] != nil {
			return
		}
		a := new(account)
		stakes[hotkey] = a
		q.Key("TotalHotkeyAlpha", KeyTotalHotkeyAlpha(hotkey, netuid), &a.alpha)
		q.Key("TotalHotkeyAlpha", KeyTotalHotkeyAlpha(hotkey, rootNetuid), &a.root)
	}
	q.Value("TaoWeight", &weight)
	for i, hotkey := range hotkeys {
		ask(hotkey)
		q.Key("ChildKeys", KeyChildKeys(hotkey, netuid), relations(&families[i].children))
		q.Key("ParentKeys", KeyParentKeys(hotkey, netuid), relations(&families[i].parents))
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}

	q = Batch{}
	for _, f := range families {
		for _, p := range f.parents {
			ask(p.Hotkey)
		}
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}

	out := make([]yuma.I64F64, len(hotkeys))
	for i, hotkey := range hotkeys {
		own := stakes[hotkey]
		in := yuma.StakeInputs{Alpha: own.alpha, Root: own.root}
		for _, c := range families[i].children {
			in.Children = append(in.Children, c.Proportion)
		}
		for _, p := range families[i].parents {
			a := stakes[p.Hotkey]
			in.Parents = append(in.Parents, yuma.ParentStake{Proportion: p.Proportion, Alpha: a.alpha, Root: a.root})
		}
		out[i] = yuma.Stake(in, weight)
	}
	return out, nil
}

// rootNetuid is the root network, on which stake is TAO.
const rootNetuid = 0

// Hyperparameters are the settings of a subnet, and those of all subnets that act together with
// them, as the chain reads them.
type Hyperparameters struct {
	Exists     bool             // NetworksAdded
	N          uint16           // SubnetworkN: the number of neurons
	Owner      verify.AccountID // SubnetOwnerHotkey; zero if there is none
	Mechanisms uint8            // MechanismCountCurrent

	Tempo                uint16
	MaxAllowedValidators uint16
	ImmunityPeriod       uint16

	// Weights and commits.
	MinAllowedWeights          uint16
	MaxWeightsLimit            uint16 // 65535: no limit
	WeightsVersionKey          uint64 // 0: any version
	WeightsSetRateLimit        uint64 // blocks
	CommitRevealWeightsEnabled bool
	RevealPeriodEpochs         uint64

	// The epoch.
	Kappa                     uint16
	BondsPenalty              uint16
	BondsMovingAverage        uint64
	Yuma3On                   bool
	LiquidAlphaOn             bool
	AlphaLow, AlphaHigh       uint16 // AlphaValues
	AlphaSigmoidSteepness     int16
	ActivityCutoff            uint16 // blocks; not read with StatefulEpochs
	ActivityCutoffFactorMilli uint32 // thousandths of the tempo; with StatefulEpochs

	// Of the whole chain.
	TaoWeight                  uint64 // of 2^64-1
	StakeThreshold             uint64 // rao
	MaxEpochsPerBlock          uint8  // with StatefulEpochs
	CommitRevealWeightsVersion uint16
}

// Hyperparameters adds the reads of a subnet's hyperparameters.
func (q *Batch) Hyperparameters(netuid uint16, h *Hyperparameters) {
	for _, r := range []read{
		{"NetworksAdded", &h.Exists},
		{"SubnetworkN", &h.N},
		{"SubnetOwnerHotkey", &h.Owner},
		{"MechanismCountCurrent", &h.Mechanisms},
		{"Tempo", &h.Tempo},
		{"MaxAllowedValidators", &h.MaxAllowedValidators},
		{"ImmunityPeriod", &h.ImmunityPeriod},
		{"MinAllowedWeights", &h.MinAllowedWeights},
		{"MaxWeightsLimit", &h.MaxWeightsLimit},
		{"WeightsVersionKey", &h.WeightsVersionKey},
		{"WeightsSetRateLimit", &h.WeightsSetRateLimit},
		{"CommitRevealWeightsEnabled", &h.CommitRevealWeightsEnabled},
		{"RevealPeriodEpochs", &h.RevealPeriodEpochs},
		{"Kappa", &h.Kappa},
		{"BondsPenalty", &h.BondsPenalty},
		{"BondsMovingAverage", &h.BondsMovingAverage},
		{"Yuma3On", &h.Yuma3On},
		{"LiquidAlphaOn", &h.LiquidAlphaOn},
		{"AlphaValues", func(_ bool, r *scale.Reader) { h.AlphaLow, h.AlphaHigh = r.U16(), r.U16() }},
		{"AlphaSigmoidSteepness", &h.AlphaSigmoidSteepness},
		{"ActivityCutoff", &h.ActivityCutoff},
		{"ActivityCutoffFactorMilli", &h.ActivityCutoffFactorMilli},
	} {
		q.Subnet(r.item, netuid, r.into)
	}
	q.Value("TaoWeight", &h.TaoWeight)
	q.Value("StakeThreshold", &h.StakeThreshold)
	q.Value("MaxEpochsPerBlock", &h.MaxEpochsPerBlock)
	q.Value("CommitRevealWeightsVersion", &h.CommitRevealWeightsVersion)
}

// ReadHyperparameters reads the hyperparameters of a subnet. For a subnet that does not exist they
// are the defaults.
func ReadHyperparameters(s State, netuid uint16) (*Hyperparameters, error) {
	h := new(Hyperparameters)
	var q Batch
	q.Hyperparameters(netuid, h)
	if err := q.Load(s); err != nil {
		return nil, err
	}
	return h, nil
}

// A Snapshot is a subnet as it was after one block, but for its weights and stakes. Each vector has N
// entries, by uid. LastUpdate and Incentive are those of its first mechanism.
type Snapshot struct {
	Netuid uint16
	Hyperparameters
	Schedule yuma.Schedule
	LastStep uint64 // LastMechansimStepBlock: the block of the last epoch that ran
	OwnerUID int    // the uid of Owner, -1 if there is none

	Hotkeys             []verify.AccountID
	BlockAtRegistration []uint64
	LastUpdate          []uint64
	Active              []bool
	ValidatorPermit     []bool
	Consensus           []uint16 // shares, of 65535
	Incentive           []uint16
	Dividends           []uint16
	ValidatorTrust      []uint16
	StakeWeight         []uint16
	Emission            []uint64 // rao of alpha in the last epoch
}

// ReadSnapshot reads a Snapshot, in two Loads.
func ReadSnapshot(s State, netuid uint16) (*Snapshot, error) {
	out := &Snapshot{Netuid: netuid, OwnerUID: -1}
	var q Batch
	q.Hyperparameters(netuid, &out.Hyperparameters)
	q.Schedule(netuid, &out.Schedule)
	for _, r := range []read{
		{"LastMechansimStepBlock", &out.LastStep},
		{"LastUpdate", &out.LastUpdate},
		{"Incentive", &out.Incentive},
		{"Active", &out.Active},
		{"ValidatorPermit", &out.ValidatorPermit},
		{"Consensus", &out.Consensus},
		{"Dividends", &out.Dividends},
		{"ValidatorTrust", &out.ValidatorTrust},
		{"StakeWeight", &out.StakeWeight},
		{"Emission", &out.Emission},
	} {
		q.Subnet(r.item, netuid, r.into)
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}
	n := int(out.N)
	out.LastUpdate, out.Emission = pad(out.LastUpdate, n), pad(out.Emission, n)
	out.Active, out.ValidatorPermit = pad(out.Active, n), pad(out.ValidatorPermit, n)
	for _, v := range []*[]uint16{&out.Consensus, &out.Incentive, &out.Dividends, &out.ValidatorTrust, &out.StakeWeight} {
		*v = pad(*v, n)
	}

	q = Batch{}
	out.Hotkeys, out.BlockAtRegistration = make([]verify.AccountID, n), make([]uint64, n)
	for uid := range out.N {
		q.Key("Keys", KeyKeys(netuid, uid), &out.Hotkeys[uid])
		q.Key("BlockAtRegistration", KeyBlockAtRegistration(netuid, uid), &out.BlockAtRegistration[uid])
	}
	var owner uint16
	var registered bool
	if out.Owner != (verify.AccountID{}) {
		q.Key("Uids", KeyUids(netuid, out.Owner), optional(&owner, &registered))
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}
	if registered {
		out.OwnerUID = int(owner)
	}
	return out, nil
}

// pad returns the first n entries of v, with zeros for those that it lacks
// (pallets/subtensor/src/utils/misc.rs, get_last_update).
func pad[T any](v []T, n int) []T {
	if len(v) < n {
		v = append(slices.Clip(v), make([]T, n-len(v))...)
	}
	return v[:n]
}
