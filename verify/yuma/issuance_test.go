package yuma

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestBlockEmission(t *testing.T) {
	const all = MaxIssuance
	for _, c := range []struct{ issuance, want uint64 }{
		{0, 1_000_000_000}, {1, 1_000_000_000},
		{10_500_000_000_000_000 - 1, 1_000_000_000}, {10_500_000_000_000_000, 500_000_000},
		{15_750_000_000_000_000 - 1, 500_000_000}, {15_750_000_000_000_000, 250_000_000},
		{18_375_000_000_000_000 - 1, 250_000_000}, {18_375_000_000_000_000, 125_000_000},
		{19_687_500_000_000_000 - 1, 125_000_000}, {19_687_500_000_000_000, 62_500_000},
		{20_343_750_000_000_000 - 1, 62_500_000}, {20_343_750_000_000_000, 31_250_000},
		// What the runtime's logarithm has where it is least exact.
		{all - 39_115_548, 1}, {all - 39_115_547, 1}, {all - 19_557_774, 0}, {all - 2, 0}, {all - 1, 0}, {all, 0}, {all + 1, 0}, {math.MaxUint64, 0},
	} {
		if got := BlockEmission(c.issuance); got != c.want {
			t.Errorf("at %d: %d, want %d", c.issuance, got, c.want)
		}
	}
	// Against the definition: the largest k with 21e15 ≥ (21e15−I)·2^k.
	r := rand.New(rand.NewPCG(31, 32))
	for range 20_000 {
		i := r.Uint64N(all)
		if r.IntN(2) == 0 {
			i = all - 1 - r.Uint64()>>(10+r.IntN(54))%all
		}
		k := 0
		for left := new(big.Int).SetUint64(all - i); ; k++ {
			if left.Lsh(left, 1); left.Cmp(big.NewInt(all)) > 0 {
				break
			}
		}
		if got := BlockEmission(i); got != FullBlockEmission>>k {
			t.Fatalf("at %d: %d, want %d", i, got, FullBlockEmission>>k)
		}
		at, next, ok := NextHalving(i)
		if ok != (BlockEmission(i) > 0) || ok && (at <= i || BlockEmission(at) != next || BlockEmission(at-1) != BlockEmission(i) || next >= BlockEmission(i)) {
			t.Fatalf("next halving after %d: at %d to %d, %t", i, at, next, ok)
		}
	}
	if at, next, ok := NextHalving(10_700_000_000_000_000); !ok || at != 15_750_000_000_000_000 || next != 250_000_000 {
		t.Errorf("next halving at %d to %d", at, next)
	}
	for _, c := range []struct{ emission, balances, want uint64 }{
		{10, 0, 10}, {10, all - 10, 10}, {10, all - 3, 3}, {10, all, 0}, {10, math.MaxUint64, 0},
	} {
		if got := Mintable(c.emission, c.balances); got != c.want {
			t.Errorf("of %d at %d %d are minted, want %d", c.emission, c.balances, got, c.want)
		}
	}
}

// What a block of a real runtime (spec 293) added for a subnet without root stake, with the default
// owner cut.
func TestAccrualRuntime(t *testing.T) {
	a := Accrual{AlphaOut: 1_000_000_000, SubnetOwnerCut: 11_796}
	got := a.Add(U96F32{}, true, set(t, 293))
	if want := (Accrued{OwnerCut: 179_995_422, Server: 820_004_577}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	least, greatest := a.Emission(set(t, 293))
	if least != 820_004_576 || greatest != 820_004_577 {
		t.Errorf("from %d to %d", least, greatest)
	}
}

// TestAccrual: against whole numbers without bounds.
func TestAccrual(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	met := map[uint64]bool{}
	for range 20_000 {
		a := Accrual{AlphaOut: r.Uint64() >> (4 + r.IntN(60)), SubnetOwnerCut: pick(r, 0, 1, 11_796, uint16(r.Uint32()), 65_535), OwnerCutEnabled: r.IntN(3) > 0}
		if r.IntN(50) == 0 {
			// What is left is odd, in its last bit, and its half just below a whole number.
			a = Accrual{AlphaOut: 5991182653, SubnetOwnerCut: 11797, OwnerCutEnabled: true}
		}
		rules := set(t, pick[uint32](r, 293, 342, 343, 402, 411, 425))
		root := U96F32{}
		if r.IntN(5) > 0 {
			root = RootProportion(r.Uint64()>>(10+r.IntN(54)), r.Uint64()>>r.IntN(64), r.Uint64()>>(10+r.IntN(54)))
		}
		sold := r.IntN(4) > 0

		number := func(v uint64) *big.Int { return new(big.Int).Lsh(new(big.Int).SetUint64(v), 32) }
		mul := func(a, b *big.Int) *big.Int { p := new(big.Int).Mul(a, b); return p.Rsh(p, 32) }
		floor := func(v *big.Int) uint64 { return new(big.Int).Rsh(v, 32).Uint64() }
		left, cut := number(a.AlphaOut), new(big.Int)
		if a.OwnerCutEnabled || rules.Spec < 411 {
			share := new(big.Int).Quo(new(big.Int).Lsh(number(uint64(a.SubnetOwnerCut)), 32), number(65535))
			cut = mul(left, share)
			left.Sub(left, cut)
		}
		ofRoot := mul(mul(unsignedBig(root.bits), left), number(1).Rsh(number(1), 1))
		want := Accrued{OwnerCut: floor(cut)}
		if rules.Spec < 343 {
			want.Server = floor(new(big.Int).Sub(left, ofRoot))
		} else {
			server := new(big.Int).Rsh(left, 1)
			validator := new(big.Int).Sub(left, server)
			want.Server, want.Validator = floor(server), floor(validator.Sub(validator, ofRoot))
		}
		if sold {
			want.Root = floor(ofRoot)
		}
		got := a.Add(root, sold, rules)
		if got != want {
			t.Fatalf("%+v with root %x, sold %t, %v: %+v, want %+v", a, root, sold, rules, got, want)
		}
		least, greatest := a.Emission(rules)
		if e := got.Emission(); sold && (e < least || e > greatest) || !sold && e > greatest || greatest-least > 1 {
			t.Fatalf("%+v, %v: emission %d is not from %d to %d", a, rules, e, least, greatest)
		} else if sold {
			met[greatest-e] = true
		}
	}
	if !met[0] || !met[1] {
		t.Errorf("only %v rao were ever lost", met)
	}
}

func TestRootProportion(t *testing.T) {
	const all = math.MaxUint64
	for _, c := range []struct {
		tao, weight, alpha uint64
		want               u128
	}{
		{0, all, 0, u128{}},
		{100, 0, 100, u128{}},
		{100, all, 100, u128{lo: 1 << 31}},
		{100, all, 0, u128{lo: 1 << 32}},
		{100, all, 300, u128{lo: 1 << 30}},
		{100, 1 << 63, 150, u128{lo: 1 << 30}},
	} {
		if got := RootProportion(c.tao, c.weight, c.alpha); got.bits != c.want {
			t.Errorf("of %d at %d and %d: %x, want %x", c.tao, c.weight, c.alpha, got, c.want)
		}
	}
}
