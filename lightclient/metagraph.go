package lightclient

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// StateOptions says at which block a table is read, and by whose rules.
type StateOptions struct {
	At *uint32 // nil: the finalized head
	// AssumeRules is the spec_version whose rules hold if the chain's own are not audited; 0: none.
	AssumeRules uint32
	Progress    func(string) // told what is being done; nil: nobody
}

func (o StateOptions) note(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// A Source says where a table is from. Every value of the table is proven, or proven absent, in the
// state of that one block.
type Source struct {
	Schema  int         `json:"schema"` // 1
	Network string      `json:"network"`
	Block   BlockStatus `json:"block"`
	Rules   string      `json:"rules"`  // by which what follows from the state is told, such as the next epoch
	Layout  string      `json:"layout"` // by which the state was read: "built in", or "metadata of spec N"
	Assumed bool        `json:"rules_assumed"`
	Proof   int         `json:"proof_bytes"` // of the nodes that prove it
}

// A Metagraph is the table of a subnet's neurons. Fields are added, never renamed.
type Metagraph struct {
	Source
	Netuid   uint16      `json:"netuid"`
	Symbol   string      `json:"symbol"` // of its alpha
	Schedule EpochStatus `json:"schedule"`
	LastStep uint64      `json:"last_epoch_ran_at"` // block whose epoch the shares below are of; 0: none
	OwnerUID *uint16     `json:"owner_uid"`
	MaxUIDs  uint16      `json:"max_uids"`
	Ranks    bool        `json:"ranks"` // these rules have rank and trust
	Neurons  []Neuron    `json:"neurons"`
}

// A Neuron is one row. Shares are of 65535, amounts in rao. Incentive and last update are those of the
// subnet's first mechanism.
type Neuron struct {
	UID         uint16  `json:"uid"`
	Hotkey      string  `json:"hotkey"`
	Coldkey     string  `json:"coldkey"`      // empty if the hotkey has no owner
	Stake       uint64  `json:"stake_rao"`    // its stake weight: alpha and root after parents and children
	Alpha       uint64  `json:"alpha_rao"`    // staked to it on the subnet, by whomever
	Root        uint64  `json:"root_rao"`     // staked to it on the root, by whomever
	StakeWeight uint16  `json:"stake_weight"` // its share in the subnet's, as the last epoch had it
	VTrust      uint16  `json:"validator_trust"`
	Trust       *uint16 `json:"trust"` // null where the rules have none
	Rank        *uint16 `json:"rank"`  // null where the rules have none
	Consensus   uint16  `json:"consensus"`
	Incentive   uint16  `json:"incentive"`
	Dividends   uint16  `json:"dividends"`
	Emission    uint64  `json:"emission_rao"` // alpha of the last epoch
	LastUpdate  uint64  `json:"last_update"`  // block of its last weights or commitment, or of its registration
	Updated     uint64  `json:"updated_blocks_ago"`
	Registered  uint64  `json:"registered_at"`
	Active      bool    `json:"active"`
	Permit      bool    `json:"validator_permit"`
	Axon        *Axon   `json:"axon"` // null where nothing is said to serve
}

// An Axon is where a neuron says that it serves. Nobody has checked that it does.
type Axon struct {
	Address  string `json:"address"` // host and port; empty if it withdrew it
	Block    uint64 `json:"block"`
	Version  uint32 `json:"version"`
	Protocol uint8  `json:"protocol"`
}

// axonOf says where an axon is.
func axonOf(a *subtensor.Axon) *Axon {
	if a == nil {
		return nil
	}
	out := &Axon{Block: a.Block, Version: a.Version, Protocol: a.Protocol}
	ip := netip.AddrFrom16(a.IP)
	if a.IPType != 6 {
		ip = netip.AddrFrom4([4]byte(a.IP[12:]))
	}
	if !ip.IsUnspecified() && a.Port != 0 {
		out.Address = netip.AddrPortFrom(ip, a.Port).String()
	}
	return out
}

// table reads a table at a block: rules first, for what they say of the layout.
func (l *look) table(o StateOptions, src *Source, read func(s subtensor.State, r rules.Set) error) (FinalBlock, rules.Set, error) {
	number := l.head.Header.Number
	if o.At != nil {
		number = *o.At
	}
	at, set, err := l.withRules(number, o.AssumeRules, read)
	if err != nil {
		return at, set, err
	}
	*src = Source{Schema: 1, Network: l.n.cfg.Checkpoint.Network, Block: l.statusAt(at), Rules: set.String(), Assumed: set.Assumed(), Layout: BuiltIn}
	if l.layout != nil {
		src.Layout = fmt.Sprintf("metadata of spec %d", set.Actual)
	}
	if p := l.proofs[at.Hash]; p != nil {
		src.Proof = p.Size()
	}
	return at, set, nil
}

// BuiltIn is the Layout that this program was made with, in Source.
const BuiltIn = "built in"

// withRules is with, for what takes the rules of the chain as well, if only to know what there is to read. Where
// they were not audited and none are assumed, the runtime's own metadata tells what there is, and the newest rules
// that were audited stand in for the rest, which the Set says.
func (l *look) withRules(number, assume uint32, read func(s subtensor.State, r rules.Set) error) (at FinalBlock, set rules.Set, err error) {
	try := func() {
		at, err = l.with(number, func(s subtensor.State) error {
			spec, err := subtensor.Spec(s)
			if err != nil {
				return err
			}
			if set, err = rulesOf(spec, assume); err != nil && l.layout != nil && assume == 0 {
				set, err = rulesByLayout(spec, l.layout), nil
			}
			if err != nil {
				return err
			}
			return read(s, set)
		})
	}
	if try(); errors.Is(err, rules.ErrUnknown) && assume == 0 && l.n.cfg.Engine != nil {
		if _, _, merr := l.metadataAt(at); merr == nil {
			try()
		} else if !errors.Is(merr, ErrNoRuntime) {
			err = fmt.Errorf("%w; the chain's own metadata: %w", err, merr)
		}
	}
	return at, set, err
}

// rulesByLayout returns the rules of the newest audited runtime, for one of another version, as far as its storage has
// what they are about.
func rulesByLayout(spec uint32, l *subtensor.Layout) rules.Set {
	set, err := rules.Assume(spec, rules.Ceiling)
	if err != nil {
		return set // the ceiling is audited
	}
	set.NoRanks = !l.Has("Rank")
	set.Mechanisms = l.Has("MechanismCountCurrent")
	set.PendingSplit = l.Has("PendingServerEmission")
	set.StatefulEpochs = l.Has("LastEpochBlock")
	set.ActivityFactor = l.Has("ActivityCutoffFactorMilli")
	return set
}

// metagraph is Node.Metagraph.
func (l *look) metagraph(netuid uint16, o StateOptions) (*Metagraph, error) {
	if _, err := subtensor.Index(netuid, 0); err != nil {
		return nil, err
	}
	if o.At != nil && l.recallEpoch(netuid, *o.At) == nil {
		l.recallEpoch(netuid, *o.At+1) // the block before an epoch is kept with it
	}
	var m *subtensor.Metagraph
	out := &Metagraph{Netuid: netuid, Neurons: []Neuron{}}
	said := false
	at, set, err := l.table(o, &out.Source, func(s subtensor.State, r rules.Set) (err error) {
		m, out.MaxUIDs, err = readTable(s, netuid, r, func(size uint16) {
			if !said {
				said = true
				o.note("reading %d neurons of subnet %d", size, netuid)
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	v := &view{at: at, rules: set, hyper: m.Hyperparameters, schedule: m.Schedule}
	out.Schedule = l.schedule(v, netuid)
	out.Symbol, out.LastStep, out.Ranks = text(m.Symbol), m.LastStep, !set.NoRanks
	if m.OwnerUID >= 0 {
		uid := uint16(m.OwnerUID)
		out.OwnerUID = &uid
	}
	for uid := range int(m.N) {
		r := Neuron{
			UID: uint16(uid), Hotkey: m.Hotkeys[uid].String(), Coldkey: accountText(m.Coldkeys[uid]),
			Stake: m.Stake[uid].U64(), Alpha: m.Alpha[uid], Root: m.Root[uid], StakeWeight: m.StakeWeight[uid],
			VTrust: m.ValidatorTrust[uid], Consensus: m.Consensus[uid], Incentive: m.Incentive[uid], Dividends: m.Dividends[uid],
			Emission: m.Emission[uid], LastUpdate: m.LastUpdate[uid], Registered: m.BlockAtRegistration[uid],
			Active: m.Active[uid], Permit: m.ValidatorPermit[uid], Axon: axonOf(m.Axons[uid]),
		}
		r.Updated = uint64(at.Header.Number) - min(r.LastUpdate, uint64(at.Header.Number))
		if out.Ranks {
			r.Rank, r.Trust = &m.Rank[uid], &m.Trust[uid]
		}
		out.Neurons = append(out.Neurons, r)
	}
	return out, nil
}

// schedule is where a subnet stands in its epochs. The root has none: the scheduler passes over it
// (pallets/subtensor/src/coinbase/run_coinbase.rs).
func (l *look) schedule(v *view, netuid uint16) EpochStatus {
	s := v.status(netuid, l.n.cfg.Checkpoint.SlotDuration)
	if netuid == 0 {
		s.NextEpoch, s.ETA = nil, nil
	}
	return s
}

// text is what somebody wrote on the chain, as far as it can be shown on a line.
func text(b []byte) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("0x%x", b)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, string(b))
}

// accountText is an account's address, empty for the zero account: nobody's.
func accountText(a verify.AccountID) string {
	if a == (verify.AccountID{}) {
		return ""
	}
	return a.String()
}

// Subnets are all subnets of a chain, or one of them with its settings. Fields are added, never
// renamed.
type Subnets struct {
	Source
	List []Subnet `json:"subnets"` // by netuid, the root among them
	// Emission has among its checks those of the subnets in the list.
	Emission Emission `json:"emission"`
}

// A Subnet is what a subnet is. Amounts are in rao: of TAO on the root and where it says tao, else of
// the subnet's alpha.
type Subnet struct {
	Netuid      uint16      `json:"netuid"`
	Symbol      string      `json:"symbol"`
	Name        string      `json:"name"` // as its owner has it; empty if it says nothing
	Neurons     uint16      `json:"neurons"`
	MaxUIDs     uint16      `json:"max_uids"`
	Schedule    EpochStatus `json:"schedule"`
	LastStep    uint64      `json:"last_epoch_ran_at"`
	Emission    uint64      `json:"alpha_out_emission_rao"`   // in each block
	Check       string      `json:"alpha_check,omitempty"`    // the finding of that; empty if the subnet gets none
	Pending     *uint64     `json:"pending_emission_rao"`     // for servers and validators at the next epoch; null where the rules keep it elsewhere
	Owner       string      `json:"owner"`                    // coldkey; empty if there is none
	Registered  uint64      `json:"registered_at"`            // block
	First       *uint64     `json:"first_emission_block"`     // null before its owner starts it
	Subtoken    bool        `json:"subtoken_enabled"`         // its alpha can be traded
	Open        bool        `json:"registration_allowed"`     // by burning
	PowOpen     bool        `json:"pow_registration_allowed"` // by work
	Burn        uint64      `json:"burn_tao_rao"`             // what a registration costs now
	MinBurn     uint64      `json:"min_burn_tao_rao"`
	MaxBurn     uint64      `json:"max_burn_tao_rao"`
	Difficulty  uint64      `json:"difficulty"`
	ServingRate uint64      `json:"serving_rate_limit"` // blocks
	TAO         uint64      `json:"pool_tao_rao"`
	AlphaIn     uint64      `json:"pool_alpha_rao"`
	AlphaOut    uint64      `json:"alpha_out_rao"`             // outside of the pool
	OwnerHotkey string      `json:"owner_hotkey,omitempty"`    // of one subnet only
	OwnerUID    *uint16     `json:"owner_uid,omitempty"`       // of one subnet only
	Settings    *Settings   `json:"hyperparameters,omitempty"` // of one subnet only
}

// Settings are the hyperparameters of a subnet as the chain reads them: where it has none, the default
// holds, and that it has none is proven.
type Settings struct {
	Mechanisms                 uint8   `json:"mechanisms"`
	Tempo                      uint16  `json:"tempo"`
	MaxAllowedValidators       uint16  `json:"max_allowed_validators"`
	ImmunityPeriod             uint16  `json:"immunity_period"`
	MinAllowedWeights          uint16  `json:"min_allowed_weights"`
	MaxWeightsLimit            uint16  `json:"max_weights_limit"`
	WeightsVersionKey          uint64  `json:"weights_version_key"`
	WeightsSetRateLimit        uint64  `json:"weights_set_rate_limit"`
	CommitRevealWeightsEnabled bool    `json:"commit_reveal_weights_enabled"`
	RevealPeriodEpochs         uint64  `json:"reveal_period_epochs"`
	Kappa                      uint16  `json:"kappa"`
	BondsPenalty               uint16  `json:"bonds_penalty"`
	BondsMovingAverage         uint64  `json:"bonds_moving_average"`
	Yuma3On                    bool    `json:"yuma3_on"`
	LiquidAlphaOn              bool    `json:"liquid_alpha_on"`
	AlphaLow                   uint16  `json:"alpha_low"`
	AlphaHigh                  uint16  `json:"alpha_high"`
	AlphaSigmoidSteepness      int16   `json:"alpha_sigmoid_steepness"`
	ActivityCutoff             *uint16 `json:"activity_cutoff"`              // blocks; null where the rules take the factor
	ActivityCutoffFactorMilli  *uint32 `json:"activity_cutoff_factor_milli"` // of the tempo; null where the rules take blocks
}

func settingsOf(h *subtensor.Hyperparameters, r rules.Set) *Settings {
	s := &Settings{
		Mechanisms: h.Mechanisms, Tempo: h.Tempo, MaxAllowedValidators: h.MaxAllowedValidators, ImmunityPeriod: h.ImmunityPeriod,
		MinAllowedWeights: h.MinAllowedWeights, MaxWeightsLimit: h.MaxWeightsLimit, WeightsVersionKey: h.WeightsVersionKey,
		WeightsSetRateLimit: h.WeightsSetRateLimit, CommitRevealWeightsEnabled: h.CommitRevealWeightsEnabled,
		RevealPeriodEpochs: h.RevealPeriodEpochs, Kappa: h.Kappa, BondsPenalty: h.BondsPenalty, BondsMovingAverage: h.BondsMovingAverage,
		Yuma3On: h.Yuma3On, LiquidAlphaOn: h.LiquidAlphaOn, AlphaLow: h.AlphaLow, AlphaHigh: h.AlphaHigh,
		AlphaSigmoidSteepness: h.AlphaSigmoidSteepness,
	}
	if r.ActivityFactor {
		s.ActivityCutoffFactorMilli = &h.ActivityCutoffFactorMilli
	} else {
		s.ActivityCutoff = &h.ActivityCutoff
	}
	return s
}

// allSubnets is Node.Subnets.
func (l *look) allSubnets(o StateOptions) (*Subnets, error) {
	number := l.head.Header.Number
	if o.At != nil {
		number = *o.At
	}
	keys, err := l.keysAt(number, subtensor.Prefix("NetworksAdded"), subtensor.MaxSubnets)
	if err != nil {
		return nil, err
	}
	netuids := make([]uint16, 0, len(keys))
	for _, k := range keys {
		netuid, ok := subtensor.SplitKeyNetworksAdded(k)
		if !ok {
			return nil, fmt.Errorf("NetworksAdded: %w: key 0x%x", subtensor.ErrLayout, k)
		}
		netuids = append(netuids, netuid)
	}
	o.note("reading %d subnets", len(netuids))
	return l.subnets(netuids, o)
}

// oneSubnet is Node.Subnet.
func (l *look) oneSubnet(netuid uint16, o StateOptions) (*Subnets, error) {
	if _, err := subtensor.Index(netuid, 0); err != nil {
		return nil, err
	}
	out, err := l.subnets([]uint16{netuid}, o)
	if err != nil {
		return nil, err
	}
	if len(out.List) == 0 {
		return nil, fmt.Errorf("%w: %d", ErrNoSubnet, netuid)
	}
	one := &out.List[0]
	var h *subtensor.Hyperparameters
	var uid uint16
	var registered bool
	_, _, err = l.table(o, &out.Source, func(s subtensor.State, r rules.Set) (err error) {
		var errUID error
		h, err = subtensor.ReadHyperparameters(s, netuid)
		uid, registered, errUID = subtensor.ReadOwnerUID(s, netuid)
		if err := cmp.Or(err, errUID); err != nil {
			return err
		}
		one.Settings, one.OwnerHotkey = settingsOf(h, r), accountText(h.Owner)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if registered {
		one.OwnerUID = &uid
	}
	return out, nil
}

func checkOf(e *Emission, netuid uint16) string {
	for _, c := range e.Checks {
		if c.Netuid != nil && *c.Netuid == netuid {
			return c.Finding
		}
	}
	return ""
}

func (l *look) subnets(netuids []uint16, o StateOptions) (*Subnets, error) {
	out := &Subnets{List: []Subnet{}}
	var list []subtensor.Subnet
	var issued subtensor.Issuance
	at, set, err := l.table(o, &out.Source, func(s subtensor.State, _ rules.Set) (err error) {
		var errIssued error
		list, err = subtensor.ReadSubnets(s, netuids)
		issued, errIssued = subtensor.ReadIssuance(s)
		return cmp.Or(err, errIssued)
	})
	if err != nil {
		return nil, err
	}
	e, err := l.emission(at, set, issued, netuids, list, o)
	if err != nil {
		return nil, err
	}
	out.Emission = *e
	for i, s := range list {
		if !s.Exists {
			continue
		}
		v := &view{at: at, rules: set, schedule: s.Schedule}
		v.hyper.Tempo, v.hyper.RevealPeriodEpochs, v.hyper.CommitRevealWeightsEnabled = s.Schedule.Tempo, s.RevealPeriodEpochs, s.CommitRevealWeightsEnabled
		one := Subnet{
			Check:  checkOf(e, netuids[i]),
			Netuid: netuids[i], Symbol: text(s.Symbol), Name: text(s.Name), Neurons: s.N, MaxUIDs: s.MaxN,
			Schedule: l.schedule(v, netuids[i]), LastStep: s.LastStep, Emission: s.Emission,
			Owner: accountText(s.Owner), Registered: s.RegisteredAt, First: s.FirstEmission, Subtoken: s.SubtokenEnabled,
			Open: s.RegistrationAllowed, PowOpen: s.PowRegistrationAllowed, Burn: s.Burn, MinBurn: s.MinBurn, MaxBurn: s.MaxBurn,
			Difficulty: s.Difficulty, ServingRate: s.ServingRateLimit, TAO: s.TAO, AlphaIn: s.AlphaIn, AlphaOut: s.AlphaOut,
		}
		if set.PendingSplit {
			sum := s.PendingServer + s.PendingValidator
			one.Pending = &sum
		}
		out.List = append(out.List, one)
	}
	return out, nil
}
