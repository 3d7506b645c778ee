package demonet

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// verdictOn has package epoch, which computes with package yuma, say what it finds wrong.
func verdictOn(t *testing.T, c *chain, r EpochRecord) *epoch.Verdict {
	t.Helper()
	set, err := rules.ForEpoch(imitated(c).crowd.spec)
	if err != nil {
		t.Fatal(err)
	}
	v, err := drand.NewVerifier(imitated(c).crowd.beacon.Beacon)
	if err != nil {
		t.Fatal(err)
	}
	e, err := epoch.Read(c.at32(t, r.Block-1), c.at32(t, r.Block), r.Netuid, uint64(r.Block), set, v)
	if err != nil {
		t.Fatalf("subnet %d, block %d: %v", r.Netuid, r.Block, err)
	}
	return e.Verdict()
}

func recorded(c *chain) (out []EpochRecord) {
	for _, b := range c.canon {
		out = append(out, b.epochs...)
	}
	return out
}

// TestEpochs holds every epoch of the chain, computed by the reference, against packages epoch and
// yuma: under the rules of several runtimes, and while validators come, go and fail.
func TestEpochs(t *testing.T) {
	for _, spec := range []uint32{306, 320, 333, 342, 364, 400, 422, 423, 425} {
		t.Run(fmt.Sprint(spec), func(t *testing.T) {
			t.Parallel()
			c := quiet(t, Config{Spec: spec, Archive: true, Tempo: minTempo, History: 9 * (minTempo + 1),
				CommitFaults: []CommitFault{OddSuite, TrailingBytes, NotRegistered, NoPermit, NoMechanism, StakeTooLow}})
			some := make(map[uint16]int) // epochs with incentive, dividends and bonds
			for _, r := range recorded(c) {
				v := verdictOn(t, c, r)
				for _, a := range v.Arrays {
					if a.Finding != epoch.Equal {
						t.Errorf("subnet %d, block %d: %s of mechanism %d: %v, %s %v", r.Netuid, r.Block, a.Name, a.Mecid, a.Finding, a.Why, a.Cells)
					}
				}
				// Which of two amounts it was that differ by one the states need not tell.
				if v.Rao > r.Rao+1 || r.Rao > v.Rao+1 {
					t.Errorf("subnet %d, block %d: %d rao, by the chain %d", r.Netuid, r.Block, v.Rao, r.Rao)
				}
				bonds := 0
				for _, row := range v.Mechanisms[0].Bonds {
					bonds += len(row)
				}
				if slices.Max(v.Mechanisms[0].Incentive) > 0 && slices.Max(v.Outputs.Dividends) > 0 && slices.Max(v.Outputs.Emission) > 0 && bonds > 0 {
					some[r.Netuid]++
				}
			}
			if some[1] == 0 || some[3] < 3 {
				t.Errorf("epochs that gave anybody anything: %v", some)
			}
		})
	}
}

// TestEpochFaults: each fault is found where the record has it, and nowhere else.
func TestEpochFaults(t *testing.T) {
	for _, spec := range []uint32{425, 364} {
		t.Run(fmt.Sprint(spec), func(t *testing.T) {
			t.Parallel()
			faults := append(EpochFaults(), NoEpochFault)
			c := quiet(t, Config{Spec: spec, Archive: true, Tempo: minTempo, History: (len(faults) + 6) * (minTempo + 1), EpochFaults: faults})
			seen := make(map[EpochFault]bool)
			paid := make(map[uint16]int) // epochs with incentive on the first mechanism
			for _, r := range recorded(c) {
				v := verdictOn(t, c, r)
				seen[r.Fault] = true
				if slices.Max(v.Mechanisms[0].Incentive) > 0 {
					paid[r.Netuid]++
				}
				for _, a := range v.Arrays {
					name := fmt.Sprintf("subnet %d, block %d (%v): %s of mechanism %d", r.Netuid, r.Block, r.Fault, a.Name, a.Mecid)
					if a.Name != r.Fault.Item() || a.Mecid >= 0 && a.Mecid != int(r.Mecid) {
						if a.Finding != epoch.Equal {
							t.Errorf("%s: %v, %s %v", name, a.Finding, a.Why, a.Cells)
						}
						continue
					}
					if a.Finding != epoch.Differs || a.Count != 1 {
						t.Errorf("%s: %v, %s %v", name, a.Finding, a.Why, a.Cells)
						continue
					}
					cell := a.Cells[0]
					right, wrong := fmt.Sprint(r.Right), fmt.Sprint(r.Wrong)
					if r.Fault == WrongActive || r.Fault == WrongPermit {
						right, wrong = fmt.Sprint(r.Right != 0), fmt.Sprint(r.Wrong != 0)
					}
					if cell.UID != r.UID || cell.Ours != right || cell.Chain != wrong || r.Fault == WrongBonds && cell.Target != int(r.Target) {
						t.Errorf("%s: %v, recorded %+v", name, cell, r)
					}
				}
			}
			if paid[1] < 5 || paid[3] < 5 {
				t.Errorf("epochs with incentive: %v", paid)
			}
			for _, f := range faults {
				if !seen[f] {
					t.Errorf("%v never happened", f)
				}
			}
		})
	}
}

func TestEpochFaultNames(t *testing.T) {
	for _, f := range append(EpochFaults(), NoEpochFault) {
		if got, err := ParseEpochFault(f.String()); err != nil || got != f || f.What() == "" {
			t.Errorf("%v is parsed as %v, %v", f, got, err)
		}
	}
	if _, err := ParseEpochFault("epoch fault 3"); err == nil {
		t.Error("a name of no fault is taken for one")
	}
	for name, cfg := range map[string]Config{
		"unknown": {EpochFaults: []EpochFault{99}},
		"quiet":   {EpochFaults: EpochFaults(), Quiet: true},
	} {
		if _, err := cfg.withDefaults(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEmissionFaultNames(t *testing.T) {
	for _, f := range append(EmissionFaults(), NoEmissionFault) {
		if got, err := ParseEmissionFault(f.String()); err != nil || got != f || f.What() == "" || (f.Check() == "") != (f == NoEmissionFault) {
			t.Errorf("%v is parsed as %v, %v", f, got, err)
		}
	}
	for _, name := range []string{"", "emission fault 3"} {
		if _, err := ParseEmissionFault(name); err == nil {
			t.Errorf("%q is taken for a fault", name)
		}
	}
	for name, cfg := range map[string]Config{
		"unknown": {EmissionFault: 99},
		"quiet":   {EmissionFault: WrongGrowth, Quiet: true},
	} {
		if _, err := cfg.withDefaults(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestEmission: what blocks issue, over the first halving, and what it makes of the pools.
func TestEmission(t *testing.T) {
	c := quiet(t, Config{Spec: 425, History: 50, Tempo: 40})
	read := func(n uint32, key []byte) uint64 { return (&pallet{t: c.canon[n].state}).number(key, 0) }
	for n := uint32(1); n <= 50; n++ {
		was, is := read(n-1, value("TotalIssuance")), read(n, value("TotalIssuance"))
		want := uint64(1_000_000_000) // upstream: half from 10.5 million TAO on
		if was >= 10_500_000_000_000_000 {
			want /= 2
		}
		if is-was != want || yuma.BlockEmission(was) != want {
			t.Fatalf("block %d issued %d, want %d", n, is-was, want)
		}
		if balances := read(n, verify.StorageKey("Balances", "TotalIssuance")); balances != is {
			t.Fatalf("block %d: balances of %d, issued %d", n, balances, is)
		}
		for _, netuid := range []uint16{1, 3} {
			of := func(n uint32, name string) uint64 { return read(n, identity(name, netuid)) }
			out := of(n, "SubnetAlphaOutEmission")
			if got := of(n, "SubnetAlphaOut") - of(n-1, "SubnetAlphaOut"); got != out || out != 1_000_000_000 {
				t.Fatalf("block %d, subnet %d: %d of alpha, stated %d", n, netuid, got, out)
			}
			if got := of(n, "SubnetTAO") - of(n-1, "SubnetTAO"); got != want/2 {
				t.Fatalf("block %d, subnet %d: %d of TAO into the pool", n, netuid, got)
			}
			// All of it but a few rao waits for somebody until an epoch empties all of it.
			waits := func(n uint32) (sum uint64) {
				for _, name := range []string{"PendingServerEmission", "PendingValidatorEmission", "PendingRootAlphaDivs", "PendingOwnerCut"} {
					sum += of(n, name)
				}
				return sum
			}
			if of(n, "LastMechansimStepBlock") == uint64(n) {
				if waits(n) != 0 {
					t.Errorf("block %d, subnet %d: %d left over by the epoch", n, netuid, waits(n))
				}
			} else if got := waits(n) - waits(n-1); got > out || got < out-4 {
				t.Errorf("block %d, subnet %d: %d of %d accrued", n, netuid, got, out)
			}
		}
	}
	if got := recorded(c); len(got) != 2 || got[0].Rao == 0 {
		t.Errorf("epochs %+v", got)
	}
}

// TestMechanismShares holds the sharing out among mechanisms against numbers that upstream asserts
// (pallets/subtensor/src/tests/mechanism.rs).
func TestMechanismShares(t *testing.T) {
	c := quiet(t, Config{Quiet: true, History: -1})
	for _, x := range []struct {
		rao   uint64
		count uint8
		split []uint16
		want  []uint64
	}{
		{25, 5, nil, []uint64{5, 5, 5, 5, 5}},
		{10, 4, nil, []uint64{4, 2, 2, 2}},
		{19, 5, []uint16{3450, 6899, 10348, 17247, 27594}, []uint64{1, 2, 3, 5, 8}},
	} {
		p := &pallet{spec: 425, t: c.best().state}
		p.setMechanisms(1, x.count)
		if x.split != nil {
			p.put(twox("MechanismEmissionSplit", 1), vecU16(x.split))
		}
		if got := p.shares(drained{1, x.rao}); !slices.Equal(got, x.want) {
			t.Errorf("%d in %d: %v, want %v", x.rao, x.count, got, x.want)
		}
	}
}
