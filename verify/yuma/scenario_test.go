package yuma

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// An upstream test of several epochs (pallets/subtensor/src/tests/epoch.rs at spec 425) and the numbers
// that it asserts.
type scenario struct {
	Line    int
	N       int
	Stake   []uint64
	UIDs    []uint16
	Weights [][][]uint16 // by epoch, then by validator; null: as before
	Bonds   [][][]float64
	Div     [][]float64 `json:"dividends"`
	Set     map[string]map[string]struct {
		UIDs      []uint16
		RawValues []uint16 `json:"raw_values"`
	} `json:"set_weights"`
	ExpectBonds []struct {
		Epoch int
		Col   uint16
		Rows  []uint16
	} `json:"expect_bonds"`
	ExpectEmission []uint64 `json:"expect_emission_epoch0"`
}

func scenarios(t *testing.T) map[string]scenario {
	b, err := os.ReadFile(filepath.Join("testdata", "subtensor_scenarios.json"))
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	parse(t, b, &raw)
	delete(raw, "note")
	out := make(map[string]scenario)
	for name, m := range raw {
		var s scenario
		parse(t, m, &s)
		out[name] = s
	}
	return out
}

// A story is a subnet that goes through one epoch after the other.
type story struct{ in Inputs }

func newStory(stake []uint64) *story {
	c := &story{Inputs{
		Block: 1, Tempo: 1, ActivityCutoffFactorMilli: math.MaxUint32, Owner: -1,
		MaxAllowedValidators: uint16(len(stake)), Kappa: 32_767, BondsPenalty: 65_535, BondsMovingAverage: 900_000,
		AlphaLow: 45_875, AlphaHigh: 58_982, AlphaSigmoidSteepness: 1_000, Emission: 1_000_000_000,
		LastUpdate: make([]uint64, len(stake)), BlockAtRegistration: make([]uint64, len(stake)),
		Weights: make([][]Weight, len(stake)),
	}}
	for _, s := range stake {
		c.in.Stake = append(c.in.Stake, I64F64From(s))
	}
	return c
}

// set stores weights as they are after their upscale: the greatest is 65535.
func (c *story) set(validator int, uids, values []uint16) {
	greatest := uint64(slices.Max(values))
	row := []Weight{}
	for i, uid := range uids {
		row = append(row, Weight{uid, uint16((uint64(values[i])*65_535*2 + greatest) / (2 * greatest))})
	}
	c.in.Weights[validator] = row
	c.in.LastUpdate[validator] = c.in.Block
}

func (c *story) epoch(t *testing.T) *Outputs {
	c.in.Block++
	out, _ := run(t, &c.in, 425)
	c.in.ValidatorPermit, c.in.Bonds = out.ValidatorPermit, out.Bonds
	return out
}

func bond(row []Weight, uid uint16) uint16 {
	for _, w := range row {
		if w.UID == uid {
			return w.Value
		}
	}
	return 0
}

func TestScenarioBonds(t *testing.T) {
	s := scenarios(t)["test_bonds"]
	c := newStory(s.Stake)
	c.epoch(t)
	for e := range 7 {
		for who, w := range s.Set[string(rune('0'+e))] {
			first, last := int(who[0]-'0'), int(who[len(who)-1]-'0')
			for v := first; v <= last; v++ {
				c.set(v, w.UIDs, w.RawValues)
			}
		}
		out := c.epoch(t)
		if e == 0 {
			equal(t, "emission", out.Emission, s.ExpectEmission)
		}
		found := false
		for _, x := range s.ExpectBonds {
			if x.Epoch != e {
				continue
			}
			found = true
			for v, want := range x.Rows {
				if got := bond(out.Bonds[v], x.Col); got != want {
					t.Errorf("epoch %d: bond of %d in %d is %d, want %d", e, v, x.Col, got, want)
				}
			}
		}
		if !found {
			t.Errorf("nothing to compare with in epoch %d", e)
		}
	}
}

func TestScenariosYuma3(t *testing.T) {
	near := func(got uint16, want float64) bool { return math.Abs(float64(got)/65_535-want) <= 1e-3 }
	n := 0
	for name, s := range scenarios(t) {
		if name == "test_bonds" {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			c := newStory(s.Stake)
			c.in.Yuma3On, c.in.LiquidAlphaOn = true, name != "yuma3_liquid_alpha_disabled"
			c.in.AlphaLow, c.in.AlphaHigh = 6_553, 19_660
			c.in.BondsPenalty, c.in.BondsMovingAverage, c.in.MaxAllowedValidators = 0, 975_000, 3
			c.epoch(t)
			for e, weights := range s.Weights {
				for v, values := range weights {
					c.set(v, s.UIDs, values)
				}
				out := c.epoch(t)
				for v, want := range s.Div[e] {
					if !near(out.Dividends[v], want) {
						t.Errorf("epoch %d: dividends of %d are %d, want %f", e, v, out.Dividends[v], want)
					}
				}
				for v, row := range at(s.Bonds, e) {
					for k, want := range row {
						if got := bond(out.Bonds[v], s.UIDs[k]); !near(got, want) {
							t.Errorf("epoch %d: bond of %d in %d is %d, want %f", e, v, s.UIDs[k], got, want)
						}
					}
				}
			}
		})
	}
	if n != 6 {
		t.Errorf("%d scenarios", n)
	}
}
