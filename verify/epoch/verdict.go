package epoch

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// A Finding is what comes of comparing one array.
type Finding uint8

// The zero Finding is that nothing can be said.
const (
	Undecidable Finding = iota
	Equal
	Differs
)

// String returns "equal", "differs" or "undecidable".
func (f Finding) String() string {
	switch f {
	case Equal:
		return "equal"
	case Differs:
		return "differs"
	}
	return "undecidable"
}

// A Difference is one cell that is not as it was computed.
type Difference struct {
	UID    uint16
	Target int    // Bonds: the uid that the bond is in; else -1
	Chain  string // the chain's value: a number, "true", "false", or "none"
	Ours   string
	// Step is the first step of the computation that explains it, by its name in yuma.Trace: one that
	// nothing else the chain stored confirms. Empty if there is none.
	Step string
	// Raw is our value of the step for this uid, if it is a vector and the subnet has one mechanism.
	Raw *yuma.I32F32
}

// String returns "uid 3: 12, computed 13".
func (d Difference) String() string {
	s := fmt.Sprintf("uid %d", d.UID)
	if d.Target >= 0 {
		s += fmt.Sprintf(" in uid %d", d.Target)
	}
	return s + ": " + d.Chain + ", computed " + d.Ours
}

// maxDifferences bounds the cells of one Array that are told one by one.
const maxDifferences = 64

// An Array is one storage item that the epoch writes, compared.
type Array struct {
	Name    string // of the storage item
	Mecid   int    // of the mechanism, -1 if the item is one for all
	Finding Finding
	Why     string // of Undecidable, or what was left out
	// Cells are the first cells that differ, by uid; Count is how many there are.
	Cells []Difference
	Count int
}

// A Verdict says of each array that an epoch writes under its rules whether the chain computed it right.
type Verdict struct {
	Netuid   uint16
	Block    uint64
	Rules    rules.Set
	Arrays   []Array
	Excluded []uint16 // uids left out of every array: registered in the block, after the epoch
	// Rao is which amount to hand out fits the emission, or the likeliest if none does.
	Rao uint64
	// Outputs is what the chain should have stored, Mechanisms and Traces how it comes about, for each
	// mechanism. They are nil if it cannot be computed.
	Outputs    *yuma.Outputs
	Mechanisms []*yuma.Outputs
	Traces     []*yuma.Trace
}

// Finding returns Differs if any array does, else Undecidable if any is, else Equal.
func (v *Verdict) Finding() Finding {
	all := Equal
	for _, a := range v.Arrays {
		if a.Finding == Differs {
			return Differs
		}
		if a.Finding == Undecidable {
			all = Undecidable
		}
	}
	return all
}

// Array returns the verdict of one array; ok is false if there is none. mecid is -1 for an item that is
// one for all mechanisms.
func (v *Verdict) Array(name string, mecid int) (a Array, ok bool) {
	i := slices.IndexFunc(v.Arrays, func(a Array) bool { return a.Name == name && a.Mecid == mecid })
	if i < 0 {
		return Array{}, false
	}
	return v.Arrays[i], true
}

// Verdict computes the epoch and compares. It has no error: what cannot be computed is Undecidable.
func (e *Evidence) Verdict() *Verdict {
	v := &Verdict{Netuid: e.Netuid, Block: e.Block, Rules: e.Rules, Excluded: e.Excluded}
	if len(e.Rao) != 0 {
		v.Rao = e.Rao[0]
	}
	doubts := e.Doubts
	for m, in := range e.Inputs {
		out, trace, err := yuma.Epoch(in, e.Rules)
		if err != nil {
			doubts = append(slices.Clip(doubts), fmt.Sprintf("mechanism %d: %v", m, err))
			v.Mechanisms, v.Traces = nil, nil
			break
		}
		v.Mechanisms, v.Traces = append(v.Mechanisms, out), append(v.Traces, trace)
	}
	if len(v.Mechanisms) == 0 && len(doubts) == 0 {
		doubts = []string{"there is nothing to compute it from"}
	}
	c := comparison{e: e, v: v, skip: map[uint16]bool{}}
	for _, uid := range e.Excluded {
		c.skip[uid] = true
	}
	if len(v.Mechanisms) != 0 {
		// The amount that fits best; with one mechanism it counts for the emission alone.
		least := math.MaxInt
		var arrays []Array
		for _, rao := range e.Rao {
			c.handOut(rao)
			a := c.arrays()
			if n := cells(a); n < least {
				least, arrays, v.Rao = n, a, rao
			}
			if least == 0 {
				break
			}
		}
		c.handOut(v.Rao)
		v.Arrays = arrays
	} else {
		v.Arrays = c.none()
	}
	if len(doubts) != 0 {
		for i := range v.Arrays {
			a := &v.Arrays[i]
			a.Finding, a.Why, a.Cells, a.Count = Undecidable, doubts[0], nil, 0
		}
		return v
	}
	c.explain()
	return v
}

func cells(arrays []Array) (n int) {
	for _, a := range arrays {
		n += a.Count
	}
	return n
}

type comparison struct {
	e    *Evidence
	v    *Verdict
	skip map[uint16]bool
}

// handOut fills in what the mechanisms have of an amount, and what comes of it for all of them.
func (c *comparison) handOut(rao uint64) {
	shares := yuma.SplitEmission(rao, uint8(len(c.v.Mechanisms)), c.e.Split)
	for m, out := range c.v.Mechanisms {
		t := c.v.Traces[m]
		out.Emission = amounts(t.Combined, shares[m])
		out.ServerEmission = amounts(t.Server, shares[m])
		out.ValidatorEmission = amounts(t.Validator, shares[m])
	}
	c.v.Outputs = yuma.Aggregate(rao, c.v.Mechanisms, shares)
}

// amounts returns each share of rao, rounded down.
func amounts(shares []yuma.I32F32, rao uint64) []uint64 {
	out := make([]uint64, len(shares))
	for i, x := range shares {
		if x <= 0 {
			continue
		}
		hi, lo := bits.Mul64(uint64(x), rao)
		if out[i] = hi<<32 | lo>>32; hi>>32 != 0 {
			out[i] = math.MaxUint64
		}
	}
	return out
}

// none returns the arrays when there is nothing to compare with.
func (c *comparison) none() []Array {
	var out []Array
	for _, name := range []string{"StakeWeight", "Active", "ValidatorPermit", "Consensus", "ValidatorTrust", "Dividends", "Emission"} {
		out = append(out, Array{Name: name, Mecid: -1})
	}
	return append(out, Array{Name: "Incentive"}, Array{Name: "Bonds"})
}

// arrays compares, in the order of computation.
func (c *comparison) arrays() []Array {
	s, o := &c.e.stored, c.v.Outputs
	var out []Array
	if !c.e.Rules.StakeWeightStale {
		out = append(out, column(c, "StakeWeight", -1, s.stakeWeight, o.StakeWeight))
	}
	out = append(out,
		column(c, "Active", -1, s.active, o.Active),
		column(c, "ValidatorPermit", -1, s.permit, o.ValidatorPermit),
		column(c, "Consensus", -1, s.consensus, o.Consensus),
		column(c, "ValidatorTrust", -1, s.vtrust, o.ValidatorTrust),
	)
	if !c.e.Rules.NoRanks {
		out = append(out, column(c, "Rank", -1, s.rank, o.Rank), column(c, "Trust", -1, s.trust, o.Trust))
	}
	for m, each := range c.v.Mechanisms {
		out = append(out, column(c, "Incentive", m, s.incentive[m], each.Incentive))
	}
	for m, each := range c.v.Mechanisms {
		out = append(out, c.bonds(m, each.Bonds))
	}
	out = append(out, column(c, "Dividends", -1, s.dividends, o.Dividends))
	if !c.e.Rules.NoRanks {
		out = append(out, column(c, "PruningScores", -1, s.pruningScores, o.PruningScores))
	}
	out = append(out, column(c, "Emission", -1, s.emission, o.Emission))
	if c.e.Emits {
		a := Array{Name: "SubnetAlphaOutEmission", Mecid: -1, Finding: Equal}
		if s.alphaOut != c.e.AlphaOut {
			a.add(Difference{Target: -1, Chain: text(s.alphaOut), Ours: text(c.e.AlphaOut)})
		}
		out = append(out, a)
	}
	return out
}

func (a *Array) add(d Difference) {
	a.Finding = Differs
	if a.Count++; a.Count <= maxDifferences {
		a.Cells = append(a.Cells, d)
	}
}

// column compares a vector by uid. What the chain's lacks is 0.
func column[T bool | uint16 | uint64](c *comparison, name string, mecid int, chain, ours []T) Array {
	a := Array{Name: name, Mecid: mecid, Finding: Equal}
	for uid, x := range ours {
		var y T
		if uid < len(chain) {
			y = chain[uid]
		}
		if x != y && !c.skip[uint16(uid)] {
			a.add(Difference{UID: uint16(uid), Target: -1, Chain: text(y), Ours: text(x)})
		}
	}
	return a
}

func text(x any) string { return fmt.Sprint(x) }

// bonds compares the rows of one mechanism, order and zeros with them.
func (c *comparison) bonds(m int, ours [][]yuma.Weight) Array {
	a := Array{Name: "Bonds", Mecid: m, Finding: Equal}
	wiped := map[uint16]bool{}
	if c.e.BondsReset {
		// A column that is nowhere in the chain's rows was taken out of all of them after the epoch
		// (pallets/subtensor/src/epoch/run_epoch.rs, do_reset_bonds).
		for uid, row := range ours {
			for _, w := range row {
				if !c.skip[uint16(uid)] {
					wiped[w.UID] = true
				}
			}
		}
		for _, row := range c.e.stored.bonds[m] {
			for _, w := range row {
				delete(wiped, w.UID)
			}
		}
	}
	for uid, row := range ours {
		if c.skip[uint16(uid)] {
			continue
		}
		if len(wiped) != 0 {
			row = slices.DeleteFunc(slices.Clone(row), func(w yuma.Weight) bool { return wiped[w.UID] })
		}
		chain := c.e.stored.bonds[m][uid]
		for k := range max(len(row), len(chain)) {
			d := Difference{UID: uint16(uid), Chain: "none", Ours: "none"}
			if k < len(row) {
				d.Target, d.Ours = int(row[k].UID), text(row[k].Value)
			}
			if k < len(chain) {
				d.Chain = text(chain[k].Value)
				if k < len(row) && chain[k].UID != row[k].UID {
					d.Chain += " in uid " + strconv.Itoa(int(chain[k].UID))
				} else {
					d.Target = int(chain[k].UID)
				}
			}
			if d.Chain != d.Ours {
				a.add(d)
				break // the rest of the row may be off by one
			}
		}
	}
	if len(wiped) != 0 {
		a.Why = fmt.Sprintf("left out: bonds in %d neurons that are in no row any more, as a reset leaves them", len(wiped))
	}
	return a
}

// sources tells, for each array, of which stored ones it is computed, and the steps in between by their
// names in yuma.Trace, in order of computation.
var sources = map[string]struct{ from, steps []string }{
	"StakeWeight":     {nil, []string{"stake"}},
	"Active":          {nil, nil},
	"ValidatorPermit": {[]string{"StakeWeight"}, []string{"stake"}},
	"Consensus":       {[]string{"StakeWeight", "Active"}, []string{"active_stake", "weights", "consensus"}},
	"ValidatorTrust":  {[]string{"Consensus"}, []string{"clipped_weights", "validator_trust"}},
	"Rank":            {[]string{"Incentive"}, []string{"incentive"}},
	"Trust":           {[]string{"Consensus"}, []string{"preranks", "ranks", "trust"}},
	"Incentive":       {[]string{"Consensus"}, []string{"ranks", "incentive"}},
	"Bonds":           {[]string{"Consensus"}, []string{"weights_for_bonds", "bonds", "bonds_delta", "alphas", "ema_bonds"}},
	"Dividends":       {[]string{"Incentive", "Bonds"}, []string{"ema_bonds_norm", "total_bonds_per_validator", "dividends"}},
	"PruningScores":   {[]string{"Incentive", "Dividends"}, []string{"normalized_combined_emission"}},
	"Emission":        {[]string{"Incentive", "Dividends"}, []string{"normalized_combined_emission"}},
}

// explain gives each difference its step. What an array before it makes wrong has that array's. Else it
// is the first step that the arrays before it do not confirm; or the last, if what is computed from the
// array is right and so confirms all steps but that.
func (c *comparison) explain() {
	for i := range c.v.Arrays {
		a := &c.v.Arrays[i]
		if a.Finding != Differs {
			continue
		}
		m := max(a.Mecid, 0)
		step := c.step(a.Name, m)
		for k := range a.Cells {
			d := &a.Cells[k]
			d.Step = step
			if x, ok := c.v.Traces[m].Vector(step); ok && int(d.UID) < len(x) && (len(c.v.Traces) == 1 || a.Mecid >= 0) {
				d.Raw = &x[d.UID]
			}
		}
	}
}

func (c *comparison) differs(name string) bool {
	return slices.ContainsFunc(c.v.Arrays, func(a Array) bool { return a.Name == name && a.Finding == Differs })
}

func (c *comparison) step(name string, m int) string {
	for _, from := range sources[name].from {
		if c.differs(from) {
			return c.step(from, m)
		}
	}
	var steps []string
	for _, step := range sources[name].steps {
		_, vector := c.v.Traces[m].Vector(step)
		_, matrix := c.v.Traces[m].Matrix(step)
		if vector || matrix {
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 {
		return ""
	}
	for of, x := range sources {
		if slices.Contains(x.from, name) && c.differs(of) {
			return steps[0]
		}
	}
	return steps[len(steps)-1]
}
