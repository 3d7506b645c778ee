package epoch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

func judge(t testing.TB, c *vector, before, after subtensor.State) *Verdict {
	t.Helper()
	e, err := Read(before, after, netuid, c.Block, spec425(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.Verdict()
}

func allEqual(t testing.TB, v *Verdict) {
	t.Helper()
	for _, a := range v.Arrays {
		if a.Finding != Equal {
			t.Errorf("%s (mechanism %d): %v %s %v", a.Name, a.Mecid, a.Finding, a.Why, a.Cells)
		}
	}
	if v.Finding() != Equal || len(v.Arrays) < 9 {
		t.Errorf("verdict is %v, of %d arrays", v.Finding(), len(v.Arrays))
	}
}

func TestVectors(t *testing.T) {
	vectors(t, nil, func(t *testing.T, c *vector) {
		before, after := c.states()
		v := judge(t, c, before, after)
		allEqual(t, v)
		if !slices.Equal(v.Outputs.ServerEmission, c.Out.Server) || !slices.Equal(v.Outputs.ValidatorEmission, c.Out.Validator) {
			t.Errorf("handed out %v and %v, want %v and %v", v.Outputs.ServerEmission, v.Outputs.ValidatorEmission, c.Out.Server, c.Out.Validator)
		}
	})
}

func TestWholeVectors(t *testing.T) {
	vectors(t, []string{"epoch_small.jsonl", "epoch_medium.jsonl", "epoch_large.jsonl"}, func(t *testing.T, c *vector) {
		before, after := c.states()
		allEqual(t, judge(t, c, before, after))
	})
}

// One wrong cell in each array is found, and nothing else.
func TestWrongCells(t *testing.T) {
	vectors(t, nil, func(t *testing.T, c *vector) {
		if c.N < 2 {
			return
		}
		uid := c.N - 1
		for _, x := range []struct {
			name, step string
			put        func(s store) (chain, ours string)
		}{
			{"StakeWeight", "stake", cell("StakeWeight", c.Out.StakeWeight, uid, u16)},
			{"Active", "", func(s store) (string, string) {
				v := append([]bool{}, c.Out.Active...)
				v[uid] = !v[uid]
				s.subnet("Active", netuid, list(v, boolean))
				return fmt.Sprint(v[uid]), fmt.Sprint(!v[uid])
			}},
			{"ValidatorPermit", "stake", func(s store) (string, string) {
				v := append([]bool{}, c.Out.Permit...)
				v[uid] = !v[uid]
				s.subnet("ValidatorPermit", netuid, list(v, boolean))
				return fmt.Sprint(v[uid]), fmt.Sprint(!v[uid])
			}},
			{"Consensus", "consensus", cell("Consensus", c.Out.Consensus, uid, u16)},
			{"ValidatorTrust", "validator_trust", cell("ValidatorTrust", c.Out.VTrust, uid, u16)},
			{"Incentive", "incentive", cell("Incentive", c.Out.Incentive, uid, u16)},
			{"Dividends", "dividends", cell("Dividends", c.Out.Dividends, uid, u16)},
			{"Emission", "normalized_combined_emission", cell("Emission", c.Out.Emission, uid, u64)},
			{"Bonds", "ema_bonds", func(s store) (string, string) {
				row := rowOf(c.Out.Bonds[uid])
				ours := "none"
				if len(row) != 0 {
					ours = fmt.Sprint(row[len(row)-1].Value)
					row[len(row)-1].Value ^= 1
				} else {
					row = []subtensor.Weight{{UID: 1, Value: 9}}
				}
				s.put(subtensor.KeyBonds(netuid, uint16(uid)), subtensor.AppendWeights(nil, row))
				return fmt.Sprint(row[len(row)-1].Value), ours
			}},
		} {
			before, after := c.states()
			chain, ours := x.put(after)
			v := judge(t, c, before, after)
			if v.Finding() != Differs {
				t.Fatalf("%s: verdict is %v", x.name, v.Finding())
			}
			for _, a := range v.Arrays {
				if a.Name != x.name {
					if a.Finding != Equal {
						t.Errorf("%s: %s %v", x.name, a.Name, a.Finding)
					}
					continue
				}
				if a.Finding != Differs || a.Count != 1 {
					t.Fatalf("%s: %v, %d cells", a.Name, a.Finding, a.Count)
				}
				d := a.Cells[0]
				if int(d.UID) != uid || d.Chain != chain || d.Ours != ours || d.Step != x.step {
					t.Errorf("%s: %v by %q, want uid %d: %s, computed %s by %q", a.Name, d, d.Step, uid, chain, ours, x.step)
				}
			}
		}
	})
}

// cell changes one cell by one.
func cell[T uint16 | uint64](item string, v []T, uid int, one func(T) []byte) func(store) (string, string) {
	return func(s store) (string, string) {
		w := append([]T{}, v...)
		w[uid] ^= 1
		s.subnet(item, netuid, list(w, one))
		return fmt.Sprint(w[uid]), fmt.Sprint(v[uid])
	}
}

// A wrong consensus with all that follows from it is explained where it begins.
func TestStepOfOrigin(t *testing.T) {
	vectors(t, nil, func(t *testing.T, c *vector) {
		if c.N < 2 {
			return
		}
		before, after := c.states()
		cell("Consensus", c.Out.Consensus, 1, u16)(after)
		cell("Incentive", c.Out.Incentive, 0, u16)(after)
		cell("Emission", c.Out.Emission, 1, u64)(after)
		v := judge(t, c, before, after)
		for _, name := range []string{"Consensus", "Emission"} {
			a, ok := v.Array(name, -1)
			if !ok || a.Finding != Differs || a.Cells[0].Step != "active_stake" {
				t.Errorf("%s: %+v", name, a)
			}
		}
	})
}

// first returns a vector to vary: the first with neurons enough, by the file's order.
func first(t *testing.T, ok func(c *vector) bool) *vector {
	t.Helper()
	var out *vector
	vectors(t, nil, func(_ *testing.T, c *vector) {
		if out == nil && ok(c) {
			out = c
		}
	})
	if out == nil {
		t.Fatal("no vector is like that")
	}
	return out
}

func plenty(c *vector) bool {
	var most uint64
	for _, e := range c.Out.Emission {
		most = max(most, e)
	}
	return c.N > 3 && most > 2_000_000_000 && c.Rao < 1e14
}

// The block's own share: of an alpha issuance of 0 it emits 10^9 rao, and less the owner's 11796 of 65535
// that is 820,004,577.7: for servers 410,002,288, and as many for validators with root, or 1 less.
func TestAccrual(t *testing.T) {
	told := 0
	vectors(t, nil, func(t *testing.T, c *vector) {
		if !plenty(c) {
			return
		}
		accrue := func(added uint64) (before, after store) {
			before, after = c.states()
			before.subnet("FirstEmissionBlockNumber", netuid, u64(3))
			before.subnet("SubtokenEnabled", netuid, boolean(true))
			after.subnet("SubnetAlphaOutEmission", netuid, u64(1_000_000_000))
			before.subnet("PendingServerEmission", netuid, u64(c.Rao-added))
			before.subnet("PendingValidatorEmission", netuid, u64(0))
			before.subnet("PendingRootAlphaDivs", netuid, u64(0))
			return before, after
		}
		for _, added := range []uint64{820_004_576, 820_004_575} {
			before, after := accrue(added)
			v := judge(t, c, before, after)
			allEqual(t, v)
			// Where neither shows in a cell, either is right.
			if v.Rao != c.Rao && v.Rao != c.Rao+1 {
				t.Errorf("%d rao, want %d", v.Rao, c.Rao)
			}
			if added == 820_004_575 && v.Rao == c.Rao {
				told++
			}
		}
		before, after := accrue(0)
		if a, _ := judge(t, c, before, after).Array("Emission", -1); a.Finding != Differs {
			t.Errorf("a block that should have added more: emission is %v", a.Finding)
		}
		// A subnet that gets no emission has what was pending.
		for _, off := range []func(before store){
			func(before store) { delete(before, string(subnetKey("FirstEmissionBlockNumber", netuid))) },
			func(before store) { before.subnet("SubtokenEnabled", netuid, boolean(false)) },
			func(before store) { before.subnet("NetworkRegistrationAllowed", netuid, boolean(false)) },
		} {
			before, after := accrue(0)
			off(before)
			allEqual(t, judge(t, c, before, after))
		}
		// If nearly all of the subnet is root's and its part is not kept, only the servers' is left.
		if c.TaoWeight > 1e17 {
			before, after = accrue(410_002_288)
			before.subnet("SubnetTAO", 0, u64(1<<63))
			allEqual(t, judge(t, c, before, after))
		}
		before, after = accrue(820_004_576)
		after.subnet("SubnetAlphaOutEmission", netuid, u64(999_999_999))
		if a, ok := judge(t, c, before, after).Array("SubnetAlphaOutEmission", -1); !ok || a.Finding != Differs {
			t.Errorf("wrong emission of alpha: %+v", a)
		}
	})
	if told == 0 {
		t.Error("1 rao is never told")
	}
}

func TestUndecidable(t *testing.T) {
	c := first(t, plenty)
	for _, x := range []struct {
		why string
		put func(before, after store)
	}{
		{"upgraded", func(before, _ store) {
			before.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 424, SpecName: "node-subtensor"}.Append(nil))
		}},
		{"another owner", func(_, after store) {
			owner := account(500)
			after.subnet("SubnetOwnerHotkey", netuid, owner[:])
		}},
		{"lost neurons", func(_, after store) { after.subnet("SubnetworkN", netuid, u16(1)) }},
		{"no epoch was due", func(before, _ store) {
			before.subnet("PendingEpochAt", netuid, u64(0))
			before.subnet("LastEpochBlock", netuid, u64(c.Block-1))
			before.subnet("Tempo", netuid, u16(360))
		}},
		{"mechanisms", func(before, _ store) { before.subnet("MechanismCountCurrent", netuid, []byte{200}) }},
		{"more than the chain allows", func(before, _ store) { before.subnet("RevealPeriodEpochs", netuid, u64(101)) }},
		{"did not exist", func(before, _ store) { before.subnet("NetworksAdded", netuid, boolean(false)) }},
	} {
		before, after := c.states()
		x.put(before, after)
		v := judge(t, c, before, after)
		if v.Finding() != Undecidable {
			t.Errorf("%s: %v", x.why, v.Finding())
		}
		for _, a := range v.Arrays {
			if a.Finding != Undecidable || !strings.Contains(a.Why, x.why) {
				t.Errorf("%s: %s %v: %s", x.why, a.Name, a.Finding, a.Why)
			}
		}
	}
}

// Before spec 425 a subnet gets another owner by a call alone, which comes after the epoch.
func TestOwnerChangeBefore425(t *testing.T) {
	c := first(t, plenty)
	set, err := rules.For(424)
	if err != nil {
		t.Fatal(err)
	}
	before, after := c.states()
	for _, s := range []store{before, after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 424, SpecName: "node-subtensor"}.Append(nil))
	}
	owner := account(500)
	after.subnet("SubnetOwnerHotkey", netuid, owner[:])
	e, err := Read(before, after, netuid, c.Block, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	allEqual(t, e.Verdict())
}

func TestReadErrors(t *testing.T) {
	c := first(t, plenty)
	before, after := c.states()
	r, err := rules.Assume(467, 425)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		want   error
		block  uint64
		netuid uint16
		rules  rules.Set
	}{
		{ErrNoEpoch, c.Block + 1, netuid, spec425()},
		{ErrNoEpoch, c.Block, 0, spec425()},
		{ErrOtherRules, c.Block, netuid, r},
		{rules.ErrUnknown, c.Block, netuid, rules.Set{}},
		{subtensor.ErrMechanism, c.Block, 4096, spec425()},
	} {
		if _, err := Read(before, after, x.netuid, x.block, x.rules, nil); !errors.Is(err, x.want) {
			t.Errorf("%v, want %v", err, x.want)
		}
	}
	before.subnet("SubnetworkN", netuid, u16(5000))
	if _, err := Read(before, after, netuid, c.Block, spec425(), nil); !errors.Is(err, ErrTooBig) {
		t.Errorf("5000 neurons: %v", err)
	}
	before.subnet("SubnetworkN", netuid, u16(uint16(c.N)))
	if step, err := LastStep(after, netuid); err != nil || step != c.Block {
		t.Errorf("last step %d, %v", step, err)
	}
	if step, err := LastStep(before, netuid); err != nil || step != c.LMS {
		t.Errorf("last step before %d, %v", step, err)
	}
	// Assumed rules are said to be so.
	for _, s := range []store{before, after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 467, SpecName: "node-subtensor"}.Append(nil))
	}
	if _, err := Rules(after); !errors.Is(err, rules.ErrUnknown) {
		t.Errorf("rules of spec 467: %v", err)
	}
	e, err := Read(before, after, netuid, c.Block, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := e.Verdict()
	allEqual(t, v)
	if !v.Rules.Assumed() {
		t.Error("rules are not assumed")
	}
}
