package subtensor

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// An Issuance is how much TAO there is after a block, in rao, as two pallets keep it.
type Issuance struct {
	Spec     uint32 // of the runtime that made the block
	Total    uint64 // SubtensorModule.TotalIssuance: what the emission of a block follows from
	Balances uint64 // Balances.TotalIssuance: what the mint is capped by
}

// Two pallets have an item of this name.
func keyIssuance(pallet string) []byte { return verify.StorageKey(pallet, "TotalIssuance") }

// ReadIssuance reads how much TAO there is, in one Load. BlockEmission is not read: the chain writes
// the emission of alpha there too (pallets/subtensor/src/coinbase/block_emission.rs).
func ReadIssuance(s State) (out Issuance, err error) {
	var upgrade Bytes
	var q Batch
	q.Value("LastRuntimeUpgrade", &upgrade)
	q.Key("SubtensorModule.TotalIssuance", keyIssuance(module), &out.Total)
	q.Key("Balances.TotalIssuance", keyIssuance("Balances"), &out.Balances)
	if err := q.Load(s); err != nil {
		return Issuance{}, err
	}
	if upgrade == nil {
		return Issuance{}, fmt.Errorf("LastRuntimeUpgrade: %w: absent", ErrLayout)
	}
	u, err := DecodeRuntimeUpgrade(upgrade)
	out.Spec = u.SpecVersion
	return out, err
}

// A Finding is what comes of a check.
type Finding uint8

// The zero Finding is that nothing can be said.
const (
	Undecided Finding = iota
	OK
	Differs
)

// String returns "ok", "differs" or "undecided".
func (f Finding) String() string {
	switch f {
	case OK:
		return "ok"
	case Differs:
		return "differs"
	}
	return "undecided"
}

// A Check is one rule of the emission, and whether the chain kept it in one block. Amounts are in rao.
//
// Their names: "issuance" and "balances" are that all the TAO that SubtensorModule and Balances count is
// at most 21 million each; "growth" that a block issued no more than its emission, "mint" that it
// issued no more than was left of 21 million in Balances; "alpha" that it emitted to a subnet's
// participants what the issuance of its alpha calls for.
type Check struct {
	Name    string
	Netuid  int // of alpha; -1 else
	Finding Finding
	Chain   int64  // what the chain has; of growth and mint negative if it fell
	Rule    uint64 // of alpha what it has to be, else the most that it may be
	Why     string // of one that is undecided
}

// CheckIssuances holds what there is after a block, and what the block added to it, to the rules
// (pallets/subtensor/src/coinbase/block_emission.rs; tao.rs, mint_tao). before is nil where it is not
// known, for the reason in why.
//
// A block takes TAO away as well, where it is recycled (tao.rs, recycle_tao: the registration of a
// subnet, what no subnet took): less than the whole emission is as it should be, and how much a block
// that took more away than it issued did issue, two states do not tell.
func CheckIssuances(before *Issuance, after Issuance, why string) []Check {
	checks := []Check{
		most("issuance", after.Total, yuma.MaxIssuance),
		most("balances", after.Balances, yuma.MaxIssuance),
		{Name: "growth", Netuid: -1, Why: why},
		{Name: "mint", Netuid: -1, Why: why},
	}
	if before == nil {
		return checks
	}
	emission := yuma.BlockEmission(before.Total)
	for i, rule := range []uint64{emission, yuma.MaxIssuance - min(yuma.MaxIssuance, before.Balances)} {
		c := &checks[2+i]
		c.Chain, c.Rule, c.Why = int64(after.Total-before.Total), rule, ""
		switch grown := after.Total - before.Total; {
		case before.Spec != after.Spec:
			c.Why = upgraded(before.Spec, after.Spec)
		case after.Total < before.Total:
			c.Why = "more was recycled in this block than it issued"
		case grown > rule:
			c.Finding = Differs
		default:
			c.Finding = OK
		}
	}
	return checks
}

func upgraded(was, is uint32) string {
	return fmt.Sprintf("the runtime was upgraded in this block, from spec %d to spec %d", was, is)
}

// most is a check that something is no more than it may be.
func most(name string, chain, rule uint64) Check {
	c := Check{Name: name, Netuid: -1, Finding: OK, Chain: int64(min(chain, 1<<63-1)), Rule: rule}
	if chain > rule {
		c.Finding = Differs
	}
	return c
}

// emissionSwitches is the first spec under which a subnet has to have its token enabled and registration
// allowed to get emission (v3.3.0, pallets/subtensor/src/coinbase/subnet_emissions.rs).
const emissionSwitches = 361

// Emits reports whether the block after this state adds alpha to what the subnet's participants get
// (subnet_emissions.rs, get_subnets_to_emit_to).
func (s *Subnet) Emits(r rules.Set) bool {
	return s.Exists && s.FirstEmission != nil && (r.Spec < emissionSwitches || s.SubtokenEnabled && s.RegistrationAllowed)
}

// ReadEmitting reads of many subnets, in one Load, what CheckEmission has to know of the state before a
// block. The rest of each is zero.
func ReadEmitting(s State, netuids []uint16) ([]Subnet, error) {
	out := make([]Subnet, len(netuids))
	var q Batch
	for i, netuid := range netuids {
		to := &out[i]
		for _, r := range []read{
			{"NetworksAdded", &to.Exists},
			{"FirstEmissionBlockNumber", firstEmission(to)},
			{"SubtokenEnabled", &to.SubtokenEnabled},
			{"NetworkRegistrationAllowed", &to.RegistrationAllowed},
			{"SubnetAlphaIn", &to.AlphaIn},
			{"SubnetAlphaOut", &to.AlphaOut},
		} {
			q.Subnet(r.item, netuid, r.into)
		}
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}
	return out, nil
}

// CheckEmission holds SubnetAlphaOutEmission of a subnet, after a block, to the issuance of its alpha before
// it (run_coinbase.rs, emit_to_subnets). ok is false if the subnet is one that gets none: what stands
// there then is from earlier. before is nil where it is not known, for the reason in why; spec is that
// of the runtime before the block.
func CheckEmission(netuid uint16, block uint64, before, after *Subnet, spec uint32, r rules.Set, why string) (c Check, ok bool) {
	c = Check{Name: "alpha", Netuid: int(netuid), Chain: int64(min(after.Emission, 1<<63-1)), Why: why}
	switch {
	case !after.Exists:
		return Check{}, false
	case before == nil:
		return c, after.Emits(r)
	case after.RegisteredAt == block && block > 0:
		c.Why = "the subnet was registered in this block"
		return c, true
	case spec != r.Actual:
		c.Why = upgraded(spec, r.Actual)
		return c, before.Emits(r)
	case !before.Emits(r):
		return Check{}, false
	}
	c.Why = ""
	issued := before.AlphaIn + before.AlphaOut
	if issued < before.AlphaIn {
		issued = 1<<64 - 1
	}
	c.Rule = yuma.BlockEmission(issued)
	if c.Finding = OK; after.Emission != c.Rule {
		c.Finding = Differs
	}
	return c, true
}
