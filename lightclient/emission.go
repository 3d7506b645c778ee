package lightclient

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// An Emission is how much TAO there is after a block, what follows from that, and whether the block kept
// to the rules. Amounts are in rao of TAO. Fields are added, never renamed.
type Emission struct {
	Issued   uint64   `json:"total_issuance_rao"`    // SubtensorModule.TotalIssuance
	Balances uint64   `json:"balances_issuance_rao"` // Balances.TotalIssuance
	Next     uint64   `json:"next_block_emission_rao"`
	Halving  *Halving `json:"next_halving"` // null: nothing is emitted any more
	// Before is the block before, whose state the checks of what this one added begin with; null if
	// it is not to be had.
	Before *BlockStatus `json:"before"`
	Checks []Check      `json:"checks"`
}

// A Halving is when a block emits less. It depends on what is issued and not on the time: what is
// recycled puts it off.
type Halving struct {
	At       uint64 `json:"total_issuance_rao"` // from this on
	Emission uint64 `json:"block_emission_rao"` // then
	Left     uint64 `json:"left_rao"`           // to be issued until then
	Blocks   uint64 `json:"blocks_at_least"`    // that take if nothing is recycled
}

// A Check is one rule that a block has to keep; its names are those of subtensor.Check.
type Check struct {
	Name    string  `json:"check"`
	Netuid  *uint16 `json:"netuid"` // of alpha
	Finding string  `json:"finding"`
	Chain   *int64  `json:"chain_rao"` // null where it is not known
	Rule    *uint64 `json:"rule_rao"`
	Why     string  `json:"why,omitempty"`
	Block   uint32  `json:"block"` // after which it holds, or does not
	Trust   string  `json:"trust"` // of that block
}

// Findings of a Check.
const (
	CheckOK        = "ok"
	CheckDiffers   = "differs"
	CheckUndecided = "undecided"
)

// A ChainStatus is what holds of a chain as a whole.
type ChainStatus struct {
	Source
	Emission Emission `json:"emission"`
}

// Finding is that of all checks together: what differs goes before what is undecided.
func (e *Emission) Finding() string {
	all := CheckOK
	for _, c := range e.Checks {
		switch {
		case c.Finding == CheckDiffers:
			return c.Finding
		case c.Finding != CheckOK:
			all = CheckUndecided
		}
	}
	return all
}

func (e *Emission) add(c subtensor.Check, at BlockStatus) {
	out := Check{Name: c.Name, Finding: c.Finding.String(), Why: c.Why, Block: at.Number, Trust: at.Trust}
	if c.Netuid >= 0 {
		netuid := uint16(c.Netuid)
		out.Netuid = &netuid
	}
	if c.Finding != subtensor.Undecided {
		out.Chain, out.Rule = &c.Chain, &c.Rule
	}
	e.Checks = append(e.Checks, out)
}

// halving tells when a block emits less than at an issuance.
func halving(issued uint64) *Halving {
	at, then, ok := yuma.NextHalving(issued)
	if !ok {
		return nil
	}
	h := &Halving{At: at, Emission: then, Left: at - issued}
	now := yuma.BlockEmission(issued)
	h.Blocks = (h.Left + now - 1) / now
	return h
}

// emission holds a block to the rules: what there is after it, and what it added. list are the subnets
// after it whose alpha is checked too.
func (l *look) emission(at FinalBlock, set rules.Set, issued subtensor.Issuance, netuids []uint16, list []subtensor.Subnet, o StateOptions) (*Emission, error) {
	e := &Emission{
		Issued: issued.Total, Balances: issued.Balances,
		Next: yuma.Mintable(yuma.BlockEmission(issued.Total), issued.Balances), Halving: halving(issued.Total),
	}
	var before *subtensor.Issuance
	was := make([]*subtensor.Subnet, len(netuids))
	why := "there is no block before it"
	if number := at.Header.Number; number > 0 {
		var i subtensor.Issuance
		var subnets []subtensor.Subnet
		b, err := l.with(number-1, func(s subtensor.State) (err error) {
			// Both are asked at once, so that what they lack is fetched together.
			var errSubnets error
			i, err = subtensor.ReadIssuance(s)
			subnets, errSubnets = subtensor.ReadEmitting(s, netuids)
			return cmp.Or(err, errSubnets)
		})
		switch {
		case err == nil:
			before = &i
			for k := range was {
				was[k] = &subnets[k]
			}
			status := StatusOf(b)
			e.Before = &status
		case errors.Is(err, ErrPruned):
			why = err.Error()
		default:
			return nil, err
		}
	}
	status := StatusOf(at)
	add := func(c subtensor.Check) {
		if set.Assumed() && o.AssumeRules == 0 {
			// The state was read by the runtime's own word, but nobody has asked what these rules make of it.
			c.Finding, c.Why = subtensor.Undecided, fmt.Sprintf("%v: those of spec %d were not audited", rules.ErrUnknown, set.Actual)
		}
		e.add(c, status)
	}
	for _, c := range subtensor.CheckIssuances(before, issued, why) {
		add(c)
	}
	spec := issued.Spec
	if before != nil {
		spec = before.Spec
	}
	for k, netuid := range netuids {
		if c, ok := subtensor.CheckEmission(netuid, uint64(at.Header.Number), was[k], &list[k], spec, set, why); ok {
			add(c)
		}
	}
	return e, nil
}

// chain is Node.Chain.
func (l *look) chain(o StateOptions) (*ChainStatus, error) {
	out := new(ChainStatus)
	var issued subtensor.Issuance
	at, set, err := l.table(o, &out.Source, func(s subtensor.State, _ rules.Set) (err error) {
		issued, err = subtensor.ReadIssuance(s)
		return err
	})
	if errors.Is(err, rules.ErrUnknown) {
		// What is read is not known to be laid out as it was: no check is more than named.
		out.Source = Source{Schema: 1, Network: l.n.cfg.Checkpoint.Network, Block: StatusOf(at), Rules: "unknown"}
		for _, c := range subtensor.CheckIssuances(nil, subtensor.Issuance{}, "") {
			c.Finding, c.Why = subtensor.Undecided, err.Error()
			out.Emission.add(c, out.Block)
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	e, err := l.emission(at, set, issued, nil, nil, o)
	if err != nil {
		return nil, err
	}
	out.Emission = *e
	return out, nil
}
