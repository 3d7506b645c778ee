package lightclient_test

import (
	"encoding/binary"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

// TestEmission: each rule of the emission that the chain breaks is named, and no other.
func TestEmission(t *testing.T) {
	for _, fault := range append(demonet.EmissionFaults(), demonet.NoEmissionFault) {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			net := startDemo(t, demonet.Config{Peers: 1, History: 40, EmissionFault: fault})
			n := newNotes(t)
			node := joined(t, net, config(net, n), n)
			ctx := patient(t)
			head := status(t, node).Finalized.Number
			s, err := node.Subnets(ctx, lightclient.StateOptions{At: &head})
			if err != nil {
				t.Fatal(err)
			}
			raw, _, err := net.Storage(net.Header(head).Hash(), verify.StorageKey("SubtensorModule", "TotalIssuance"))
			if err != nil || s.Emission.Issued != binary.LittleEndian.Uint64(raw) {
				t.Errorf("%d are issued, the chain has %x, %v", s.Emission.Issued, raw, err)
			}
			want := lightclient.CheckOK
			if len(s.Emission.Checks) != 6 {
				t.Errorf("%d checks", len(s.Emission.Checks))
			}
			for _, c := range s.Emission.Checks {
				expected := lightclient.CheckOK
				switch {
				case fault == demonet.Recycling && (c.Name == "growth" || c.Name == "mint"):
					expected = lightclient.CheckUndecided
				case fault != demonet.Recycling && c.Name == fault.Check():
					expected = lightclient.CheckDiffers
				}
				if c.Finding != expected || c.Block != head || c.Trust != "finalized" || (c.Netuid != nil) != (c.Name == "alpha") {
					t.Errorf("%+v, want %s", c, expected)
				}
				if expected != lightclient.CheckOK {
					want = expected
				}
			}
			if got := s.Emission.Finding(); got != want {
				t.Errorf("in all: %s, want %s", got, want)
			}
			chain, err := node.Chain(ctx, lightclient.StateOptions{At: &head})
			if err != nil {
				t.Fatal(err)
			}
			if fault == demonet.WrongAlpha {
				want = lightclient.CheckOK // that is of the subnets
			}
			if got := chain.Emission.Finding(); got != want || len(chain.Emission.Checks) != 4 || chain.Emission.Before.Number != head-1 {
				t.Errorf("chain: %s, %+v", got, chain.Emission)
			}
		})
	}
}

// TestHalving: the demo chain begins thirty blocks before the first halving, and every block on the way
// holds.
func TestHalving(t *testing.T) {
	t.Parallel()
	net := startDemo(t, demonet.Config{Peers: 1, History: 40})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	const tao = 1_000_000_000
	for _, c := range []struct {
		block           uint32
		next, at, left  uint64
		then, untilThen uint64
	}{
		{0, tao, 10_500_000 * tao, 30 * tao, tao / 2, 30},
		{1, tao, 10_500_000 * tao, 29 * tao, tao / 2, 29},
		{29, tao, 10_500_000 * tao, tao, tao / 2, 1},
		{30, tao / 2, 15_750_000 * tao, 5_250_000 * tao, tao / 4, 10_500_000},
		{31, tao / 2, 15_750_000 * tao, 5_250_000*tao - tao/2, tao / 4, 10_499_999},
	} {
		x, err := node.Chain(ctx, lightclient.StateOptions{At: &c.block})
		if err != nil {
			t.Fatal(err)
		}
		e := x.Emission
		if want := (lightclient.Halving{At: c.at, Emission: c.then, Left: c.left, Blocks: c.untilThen}); e.Next != c.next || e.Halving == nil || *e.Halving != want {
			t.Errorf("#%d: %d, %+v, want %+v", c.block, e.Next, e.Halving, want)
		}
		want := lightclient.CheckOK
		if c.block == 0 { // nothing is before it
			want = lightclient.CheckUndecided
		}
		if e.Finding() != want || (e.Before == nil) != (c.block == 0) {
			t.Errorf("#%d: %+v", c.block, e)
		}
	}
}

// TestEmissionUnknown: where the rules are not known, or the state before is gone, it says so.
func TestEmissionUnknown(t *testing.T) {
	t.Parallel()
	net := startDemo(t, demonet.Config{Peers: 1, History: 20, Spec: 467})
	n := newNotes(t)
	node := joined(t, net, config(net, n), n)
	ctx := patient(t)
	x, err := node.Chain(ctx, lightclient.StateOptions{})
	if err != nil || x.Emission.Finding() != lightclient.CheckUndecided || x.Rules != "unknown" || x.Emission.Issued != 0 {
		t.Errorf("%+v, %v", x, err)
	}
	for _, c := range x.Emission.Checks {
		if c.Finding != lightclient.CheckUndecided || c.Why == "" || c.Chain != nil {
			t.Errorf("%+v", c)
		}
	}
	x, err = node.Chain(ctx, lightclient.StateOptions{AssumeRules: 425})
	if err != nil || x.Emission.Finding() != lightclient.CheckOK || !x.Assumed {
		t.Errorf("assumed: %+v, %v", x, err)
	}
}
