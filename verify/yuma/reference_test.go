package yuma_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
	"github.com/taolight/taolight/verify/yuma/reference"
)

// specs has the releases on both sides of each change of the epoch.
var specs = []uint32{273, 283, 297, 320, 364, 365, 400, 401, 422, 423, 425}

func compare(t *testing.T, in *yuma.Inputs, spec uint32) *yuma.Outputs {
	t.Helper()
	r, err := rules.ForEpoch(spec)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := yuma.Epoch(in, r)
	if err != nil {
		t.Fatal(err)
	}
	want := reference.Epoch(in, r)
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		a, b := g.Field(i), w.Field(i)
		for uid := range max(a.Len(), b.Len()) {
			if a.Len() != b.Len() || a.Index(uid).Kind() == reflect.Slice && a.Index(uid).Len() == 0 && b.Index(uid).Len() == 0 {
				continue
			}
			if !reflect.DeepEqual(a.Index(uid).Interface(), b.Index(uid).Interface()) {
				t.Fatalf("spec %d: %s of uid %d: %v, want %v; of %+v", spec, g.Type().Field(i).Name, uid, a.Index(uid), b.Index(uid), in)
			}
		}
		if a.Len() != b.Len() {
			t.Fatalf("spec %d: %s of %d neurons, want %d; of %+v", spec, g.Type().Field(i).Name, a.Len(), b.Len(), in)
		}
	}
	return got
}

func TestEpochAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	some := 0
	for k := range 1_500 {
		out := compare(t, yuma.RandomEpoch(r, 7), specs[k%len(specs)])
		for _, d := range out.Dividends {
			if d != 0 {
				some++
				break
			}
		}
	}
	for range 4 {
		compare(t, yuma.RandomEpoch(r, 40), 425)
	}
	for range 8 {
		compare(t, yuma.RandomEpoch(r, 200), 425)
	}
	if some < 300 {
		t.Errorf("only %d epochs with dividends", some)
	}
}

func FuzzEpoch(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint8(seed), int32(1000), uint64(900_000), uint16(32_767), uint16(65_535))
	}
	f.Fuzz(func(t *testing.T, seed uint64, spec uint8, steepness int32, average uint64, kappa, penalty uint16) {
		in := yuma.RandomEpoch(rand.New(rand.NewPCG(seed, 0)), 5)
		in.AlphaSigmoidSteepness = int32(int16(steepness))
		in.BondsMovingAverage, in.Kappa, in.BondsPenalty = average, kappa, penalty
		compare(t, in, specs[int(spec)%len(specs)])
	})
}
