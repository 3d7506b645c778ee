package epoch

import (
	"errors"
	"fmt"
	"math"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// Errors of Read, beside those of the states (subtensor.ErrUnproven, subtensor.ErrLayout).
var (
	// ErrNoEpoch: no epoch of the subnet ran in that block.
	ErrNoEpoch = errors.New("no epoch ran in the block")
	// ErrOtherRules: the rules are not those of the runtime that made the block.
	ErrOtherRules = errors.New("rules are for another runtime")
	// ErrTooBig: the subnet, or what it has to reveal, is bigger than any that the chain can have.
	ErrTooBig = errors.New("subnet is too big")
)

// Bounds on what is read of a state, before it is.
const (
	// maxPeriod bounds RevealPeriodEpochs, which the chain keeps within 1 to 100.
	maxPeriod = 100
	// A subnet counts as having this many neurons at least, as it may have had before it was trimmed.
	leastNeurons = 64
	// A row of weights or bonds has at most rowFactor times as many entries as there are neurons (yuma.Epoch).
	rowFactor = 4
	// A hotkey has at most this many timelocked commitments of an epoch (pallets/subtensor/src/subnets/
	// weights.rs, do_commit_timelocked_weights). The block opens no more in a mechanism than if all neurons had
	// as many. Of all that wait, over the epochs of the reveal period, there are no more than four times that
	// and two for each neuron and epoch.
	commitsEach = 10
	// maxStrangers bounds the hotkeys with a commitment to open that lost their uid since they made it.
	maxStrangers = 64
)

// LastStep returns the block of the last epoch of a subnet that ran, as of a state
// (LastMechansimStepBlock); 0 if none ever did. In the state before that block stands the one before
// it, so epochs can be walked backwards. LastEpochBlock is another thing: a skipped slot and a new tempo
// are noted there too.
func LastStep(s subtensor.State, netuid uint16) (uint64, error) {
	var block uint64
	var q subtensor.Batch
	q.Subnet("LastMechansimStepBlock", netuid, &block)
	if err := q.Load(s); err != nil {
		return 0, err
	}
	return block, nil
}

// Rules returns the rules of the runtime that made the block after which the state stands, or
// rules.ErrUnknown.
func Rules(after subtensor.State) (rules.Set, error) {
	spec, err := subtensor.Spec(after)
	if err != nil {
		return rules.Set{}, err
	}
	return rules.ForEpoch(spec)
}

// A Reveal is a timelocked commitment that the block of the epoch tried to open before the epoch.
type Reveal struct {
	Mecid  uint8
	Hotkey verify.AccountID
	Epoch  uint64        // of its queue
	Why    commit.Reason // commit.Stored if the weights were stored
}

// Evidence is all that the two states say about one epoch: what it was computed from, and what the
// chain made of it.
type Evidence struct {
	Netuid uint16
	Block  uint64 // of the epoch
	Rules  rules.Set

	// Inputs are those of each mechanism, as the epoch found them: the state before, and what the block
	// did before its epoch. Emission is not set: see Rao.
	Inputs  []*yuma.Inputs
	Hotkeys []verify.AccountID // by uid, before
	Reveals []Reveal

	// Rao is what the epoch may have had to hand out, in rao of alpha, most likely first. The states of
	// one subnet leave it open whether the part of root was kept to be sold, and 1 rao if it was.
	Rao   []uint64
	Split []uint16 // MechanismEmissionSplit, nil if there is none
	// AlphaOut is what the block should have emitted to the subnet, if Emits.
	AlphaOut uint64
	Emits    bool

	// Excluded are the uids that the block gave to somebody else after the epoch.
	Excluded []uint16
	// BondsReset says that the block may have wiped bonds in a neuron after the epoch.
	BondsReset bool
	// Doubts are reasons why the two states decide nothing, none mostly.
	Doubts []string

	stored stored
}

// stored is what the chain holds after the block, by uid; by mechanism where it keeps it so.
type stored struct {
	n                                                                     uint16
	active, permit                                                        []bool
	stakeWeight, consensus, dividends, vtrust, rank, trust, pruningScores []uint16
	emission                                                              []uint64
	alphaOut, alphaIn                                                     uint64
	incentive                                                             [][]uint16
	bonds                                                                 [][][]yuma.Weight
}

// reading is a Read under way.
type reading struct {
	*Evidence
	before, after subtensor.State
	err           error

	h           subtensor.Hyperparameters
	schedule    yuma.Schedule
	lastStep    uint64
	permits     []bool
	owner       verify.AccountID // after
	ownerUID    int
	now         uint64 // the epoch that commitments are counted by
	mechanisms  uint8
	registered  []uint64 // BlockAtRegistration before
	lastUpdates [][]uint64
	weights     [][][]yuma.Weight // by mechanism and uid
	bonds       [][][]yuma.Weight
	queues      []queue
	pending     pending
}

// load answers a batch, and keeps the error that tells more: one that no further proof will mend.
// It reports whether what was asked for is there.
func (r *reading) load(s subtensor.State, q *subtensor.Batch) bool { return r.failed(q.Load(s)) }

func (r *reading) failed(err error) bool {
	if err != nil && (r.err == nil || errors.Is(r.err, subtensor.ErrUnproven) && !errors.Is(err, subtensor.ErrUnproven)) {
		r.err = err
	}
	return err == nil
}

// Read reads the evidence of the epoch that ran in block from the states before and after it. The rules
// are those of the runtime that made the block (Rules), or others assumed for it.
//
// v is the beacon whose pulses count where the block opened timelocked commitments first; nil takes the
// chain's word for them.
func Read(before, after subtensor.State, netuid uint16, block uint64, set rules.Set, v *drand.Verifier) (*Evidence, error) {
	if set.Spec == 0 {
		return nil, fmt.Errorf("%w: none were given", rules.ErrUnknown)
	}
	if netuid == 0 {
		return nil, fmt.Errorf("%w: the root network has none", ErrNoEpoch)
	}
	if _, err := subtensor.Index(netuid, 0); err != nil {
		return nil, err
	}
	r := &reading{
		Evidence: &Evidence{Netuid: netuid, Block: block, Rules: set},
		before:   before, after: after, ownerUID: -1,
	}
	for _, step := range []func(){r.subnet, r.neurons, r.accounts, func() { r.reveal(v) }} {
		if step(); r.err != nil {
			return nil, r.err
		}
	}
	r.finish()
	return r.Evidence, nil
}

// subnet reads what is kept by netuid.
func (r *reading) subnet() {
	var q subtensor.Batch
	var specBefore, specAfter subtensor.Bytes
	q.Value("LastRuntimeUpgrade", &specBefore)
	q.Hyperparameters(r.Netuid, &r.h)
	q.Schedule(r.Netuid, &r.schedule)
	q.Subnet("LastMechansimStepBlock", r.Netuid, &r.lastStep)
	q.Subnet("ValidatorPermit", r.Netuid, &r.permits)
	if r.Rules.Mechanisms {
		q.Subnet("MechanismEmissionSplit", r.Netuid, func(present bool, in *scale.Reader) {
			if !present {
				return
			}
			r.Split = []uint16{}
			for range in.Count(2, subtensor.MaxByUID) {
				r.Split = append(r.Split, in.U16())
			}
		})
	}
	r.pending.ask(&q, r.Netuid, r.Rules)
	r.load(r.before, &q)

	var step uint64
	c := &r.stored
	q = subtensor.Batch{}
	q.Value("LastRuntimeUpgrade", &specAfter)
	q.Subnet("LastMechansimStepBlock", r.Netuid, &step)
	q.Subnet("SubnetworkN", r.Netuid, &c.n)
	q.Subnet("SubnetOwnerHotkey", r.Netuid, &r.owner)
	q.Subnet("Active", r.Netuid, &c.active)
	q.Subnet("ValidatorPermit", r.Netuid, &c.permit)
	q.Subnet("Consensus", r.Netuid, &c.consensus)
	q.Subnet("Dividends", r.Netuid, &c.dividends)
	q.Subnet("ValidatorTrust", r.Netuid, &c.vtrust)
	q.Subnet("StakeWeight", r.Netuid, &c.stakeWeight)
	q.Subnet("Emission", r.Netuid, &c.emission)
	if !r.Rules.NoRanks {
		more(&q, "Rank", r.Netuid, &c.rank)
		more(&q, "Trust", r.Netuid, &c.trust)
		more(&q, "PruningScores", r.Netuid, &c.pruningScores)
	}
	more(&q, "SubnetAlphaOutEmission", r.Netuid, &c.alphaOut)
	more(&q, "SubnetAlphaInEmission", r.Netuid, &c.alphaIn)
	more(&q, "BondsResetOn", r.Netuid, &r.BondsReset)
	r.load(r.after, &q)
	if r.err != nil {
		return
	}

	was, is, err := specs(specBefore, specAfter)
	switch {
	case err != nil:
		r.failed(err)
	case step != r.Block:
		r.failed(fmt.Errorf("%w: the last of subnet %d was in block %d, not in %d", ErrNoEpoch, r.Netuid, step, r.Block))
	case r.Rules.Actual != is:
		r.failed(fmt.Errorf("%w: block %d was made by spec %d, the rules are those of %v", ErrOtherRules, r.Block, is, r.Rules))
	case int(r.h.N) > yuma.MaxNeurons:
		r.failed(fmt.Errorf("%w: %d neurons, at most %d allowed", ErrTooBig, r.h.N, yuma.MaxNeurons))
	}
	if was != is {
		r.doubt("the runtime was upgraded in this block, from spec %d to spec %d", was, is)
	}
	if !r.h.Exists {
		r.doubt("the subnet did not exist before this block")
	}
	if r.Rules.OwnerChange && r.owner != r.h.Owner {
		// It may be by conviction, just before the epoch, or by a call after it. Without OwnerChange there
		// is only the latter, which does not matter.
		r.doubt("the subnet got another owner in this block")
	}
	if c.n < r.h.N {
		r.doubt("the subnet lost neurons in this block: it had %d and has %d", r.h.N, c.n)
	}
	if r.mechanisms = 1; r.Rules.Mechanisms {
		r.mechanisms = r.h.Mechanisms
	}
	if r.mechanisms == 0 || r.mechanisms > subtensor.MaxMechanisms {
		r.doubt("the subnet has %d mechanisms", r.mechanisms)
		r.mechanisms = 1
	}
	if r.h.RevealPeriodEpochs > maxPeriod {
		r.doubt("weights are revealed after %d epochs, more than the chain allows", r.h.RevealPeriodEpochs)
		r.h.RevealPeriodEpochs = maxPeriod
	}
	if r.Rules.StatefulEpochs {
		r.now = r.schedule.LookAhead(r.Block)
		if !r.schedule.Due(r.Block) {
			r.doubt("by the schedule no epoch was due in this block")
		}
	} else {
		r.now = yuma.LegacyEpoch(r.Block, r.Netuid, r.h.Tempo)
		if !yuma.LegacyDue(r.Block, r.Netuid, r.h.Tempo) {
			r.doubt("by its number no epoch was due in this block")
		}
	}
}

func specs(before, after subtensor.Bytes) (was, is uint32, err error) {
	for i, b := range []subtensor.Bytes{before, after} {
		if b == nil {
			return 0, 0, fmt.Errorf("LastRuntimeUpgrade: %w: absent", subtensor.ErrLayout)
		}
		u, err := subtensor.DecodeRuntimeUpgrade(b)
		if err != nil {
			return 0, 0, err
		}
		if is = u.SpecVersion; i == 0 {
			was = is
		}
	}
	return was, is, nil
}

func (r *reading) doubt(format string, a ...any) {
	r.Doubts = append(r.Doubts, fmt.Sprintf(format, a...))
}

// index returns the storage index of a mechanism, which is in range.
func (r *reading) index(mecid uint8) uint16 { return uint16(mecid)*subtensor.MaxSubnets + r.Netuid }

// neurons reads what is kept by uid and by storage index.
func (r *reading) neurons() {
	n, count := r.h.N, int(r.mechanisms)
	r.Hotkeys, r.registered = make([]verify.AccountID, n), make([]uint64, n)
	r.weights, r.bonds, r.stored.bonds = rows(count, n), rows(count, n), rows(count, n)
	r.lastUpdates, r.stored.incentive = make([][]uint64, count), make([][]uint16, count)
	registered := make([]uint64, n)
	var owner uint16
	var has subtensor.Bytes

	var q, p subtensor.Batch
	for uid := range n {
		q.Key("Keys", subtensor.KeyKeys(r.Netuid, uid), &r.Hotkeys[uid])
		q.Key("BlockAtRegistration", subtensor.KeyBlockAtRegistration(r.Netuid, uid), &r.registered[uid])
		p.Key("BlockAtRegistration", subtensor.KeyBlockAtRegistration(r.Netuid, uid), &registered[uid])
	}
	most := rowFactor * r.neuronsAtLeast()
	for m := range r.mechanisms {
		index := r.index(m)
		q.Subnet("LastUpdate", index, &r.lastUpdates[m])
		p.Subnet("Incentive", index, &r.stored.incentive[m])
		for uid := range n {
			q.Key("Weights", subtensor.KeyWeights(index, uid), row(&r.weights[m][uid], most))
			q.Key("Bonds", subtensor.KeyBonds(index, uid), row(&r.bonds[m][uid], most))
			p.Key("Bonds", subtensor.KeyBonds(index, uid), row(&r.stored.bonds[m][uid], most))
		}
		r.askQueues(&q, m)
	}
	if r.h.Owner != (verify.AccountID{}) {
		key := subtensor.KeyUids(r.Netuid, r.h.Owner)
		q.Key("Uids", key, &has)
		q.Key("Uids", key, &owner)
	}
	r.load(r.before, &q)
	r.load(r.after, &p)
	if has != nil {
		r.ownerUID = int(owner)
	}
	for uid, block := range registered {
		if block == r.Block {
			r.Excluded = append(r.Excluded, uint16(uid))
		}
	}
}

func rows(count int, n uint16) [][][]yuma.Weight {
	out := make([][][]yuma.Weight, count)
	for m := range out {
		out[m] = make([][]yuma.Weight, n)
	}
	return out
}

// row reads a row of at most so many entries.
func row(into *[]yuma.Weight, most int) func(bool, *scale.Reader) {
	return func(present bool, in *scale.Reader) {
		if !present {
			return
		}
		*into = make([]yuma.Weight, in.Count(4, most))
		for i := range *into {
			(*into)[i] = yuma.Weight{UID: in.U16(), Value: in.U16()}
		}
	}
}

// neuronsAtLeast is how many neurons what is read is bounded by.
func (r *reading) neuronsAtLeast() int { return max(int(r.h.N), leastNeurons) }

// accounts reads what is kept by hotkey: stakes, and commitments.
func (r *reading) accounts() {
	stakes, err := subtensor.ReadStakes(r.before, r.Netuid, r.Hotkeys)
	r.failed(err)
	commits := r.commits()
	if r.err != nil {
		return
	}
	steepness := int32(r.h.AlphaSigmoidSteepness)
	if !r.Rules.SteepnessPercent {
		steepness = int32(uint16(r.h.AlphaSigmoidSteepness))
	}
	for m := range int(r.mechanisms) {
		r.Inputs = append(r.Inputs, &yuma.Inputs{
			Block: r.Block, Tempo: r.h.Tempo,
			ActivityCutoff: r.h.ActivityCutoff, ActivityCutoffFactorMilli: r.h.ActivityCutoffFactorMilli,
			LastMechansimStepBlock: r.lastStep,
			Stake:                  stakes, StakeThreshold: r.h.StakeThreshold, Owner: r.ownerUID,
			LastUpdate: r.lastUpdates[m], BlockAtRegistration: r.registered,
			ValidatorPermit: r.permits, MaxAllowedValidators: r.h.MaxAllowedValidators,
			Weights: r.weights[m], Bonds: r.bonds[m],
			Kappa: r.h.Kappa, BondsPenalty: r.h.BondsPenalty, BondsMovingAverage: r.h.BondsMovingAverage,
			Yuma3On: r.h.Yuma3On, LiquidAlphaOn: r.h.LiquidAlphaOn,
			AlphaLow: r.h.AlphaLow, AlphaHigh: r.h.AlphaHigh, AlphaSigmoidSteepness: steepness,
			CommitRevealWeightsEnabled: r.h.CommitRevealWeightsEnabled,
			CommitBlocks:               yuma.CommitBlocks(int(r.h.N), commits[m], r.now, r.h.RevealPeriodEpochs),
		})
	}
}

func toRow(in []subtensor.Weight) []yuma.Weight {
	out := make([]yuma.Weight, len(in))
	for i, w := range in {
		out[i] = yuma.Weight(w)
	}
	return out
}

// finish tells what there was to hand out.
func (r *reading) finish() {
	p := r.pending
	total := add(add(p.server, p.validator), p.root)
	if r.Emits = p.emits(r.Rules); !r.Emits {
		r.Rao = []uint64{total}
		return
	}
	r.AlphaOut = yuma.BlockEmission(add(p.alphaIn, p.alphaOut))
	a := yuma.Accrual{AlphaOut: r.AlphaOut, SubnetOwnerCut: p.cut, OwnerCutEnabled: p.cutEnabled}
	least, greatest := a.Emission(r.Rules)
	// What the pool had when the part of root was worked out: of that only the alpha matters which the
	// block put in, and minted for the participants just before.
	issuance := add(add(add(p.alphaIn, p.alphaOut), r.stored.alphaIn), r.stored.alphaOut)
	unsold := a.Add(yuma.RootProportion(p.rootTAO, r.h.TaoWeight, issuance), false, r.Rules).Emission()
	for _, x := range []uint64{greatest, least, unsold} {
		if x = add(total, x); len(r.Rao) == 0 || x != r.Rao[0] && x != r.Rao[len(r.Rao)-1] {
			r.Rao = append(r.Rao, x)
		}
	}
}

func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
