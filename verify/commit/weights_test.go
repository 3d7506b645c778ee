package commit

import (
	"bufio"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/subtensor"
)

// The file holds what the runtime's own math.rs gave.
func TestUpscale(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "fact", "testdata", "max_upscale.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); n++ {
		var v struct{ In, Out []uint16 }
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if got := Upscale(v.In); !slices.Equal(got, v.Out) {
			t.Errorf("%v: %v, want %v", v.In, got, v.Out)
		}
	}
	if n != 100 {
		t.Errorf("%d lines", n)
	}
	// pallets/subtensor/src/tests/math.rs
	for _, tt := range []struct{ in, want []uint16 }{
		{nil, nil},
		{[]uint16{0, 0}, []uint16{0, 0}},
		{[]uint16{65534}, []uint16{65535}},
		{[]uint16{65535, 1}, []uint16{65535, 1}},
		{[]uint16{0, 1, 65534}, []uint16{0, 1, 65535}},
		{[]uint16{0, 1, 2, 3, 30000}, []uint16{0, 2, 4, 7, 65535}},
	} {
		if got := Upscale(tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.in, got, tt.want)
		}
	}
}

// slowUpscale does the steps of the chain one by one on integers of any size, each with the rule of
// its fixed-point type: products rounded down, quotients towards zero, halves away from zero.
func slowUpscale(values []uint16) []uint16 {
	one := new(big.Int).Lsh(big.NewInt(1), 32)
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 63), big.NewInt(1))
	fixed := func(v int64) *big.Int { return new(big.Int).Mul(big.NewInt(v), one) }
	clamp := func(x *big.Int) *big.Int {
		if x.Cmp(most) > 0 {
			return most
		}
		return x
	}
	mul := func(x, y *big.Int) *big.Int {
		p := new(big.Int).Mul(x, y)
		return clamp(p.Div(p, one)) // both are positive, so down is towards zero
	}
	div := func(x, y *big.Int) *big.Int { // safe_div: 0 where there is no answer
		if y.Sign() == 0 {
			return new(big.Int)
		}
		q := new(big.Int).Mul(x, one)
		q.Quo(q, y)
		if q.Cmp(most) > 0 {
			return new(big.Int)
		}
		return q
	}
	round := func(x *big.Int) uint16 {
		r := new(big.Rat).SetFrac(x, one)
		r.Add(r, big.NewRat(1, 2))
		n := new(big.Int).Quo(r.Num(), r.Denom())
		if n.Cmp(big.NewInt(65535)) > 0 {
			return 65535
		}
		return uint16(n.Int64())
	}
	largest := new(big.Int)
	for _, v := range values {
		if x := fixed(int64(v)); x.Cmp(largest) > 0 {
			largest = x
		}
	}
	out := make([]uint16, len(values))
	for i, v := range values {
		x := fixed(int64(v))
		switch {
		case largest.Sign() == 0:
		case largest.Cmp(fixed(32768)) > 0:
			out[i] = round(mul(x, div(fixed(65535), largest)))
		default:
			out[i] = round(div(mul(x, fixed(65535)), largest))
		}
	}
	return out
}

func TestUpscaleSlowly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	// Every maximum there is, with some values below it.
	for m := range 65536 {
		in := []uint16{uint16(m), uint16(rnd.IntN(m + 1)), uint16(m / 2), uint16(rnd.IntN(m + 1)), uint16(min(m, 1))}
		if m%8 != 0 && m > 100 && (m < 32700 || m > 32900) {
			in = in[:2]
		}
		if got, want := Upscale(in), slowUpscale(in); !slices.Equal(got, want) {
			t.Fatalf("%v: %v, want %v", in, got, want)
		}
	}
	for range 2000 {
		in := make([]uint16, rnd.IntN(300))
		shift := rnd.IntN(16)
		for i := range in {
			in[i] = uint16(rnd.IntN(1<<16) >> shift)
		}
		before := slices.Clone(in)
		got := Upscale(in)
		if want := slowUpscale(in); !slices.Equal(got, want) {
			t.Fatalf("%v: %v, want %v", in, got, want)
		}
		if !slices.Equal(in, before) {
			t.Fatal("the input was changed")
		}
		for i := range in {
			if got[i] < in[i] {
				t.Fatalf("%v: %v is smaller", in, got)
			}
		}
	}
}

func TestRow(t *testing.T) {
	want := []subtensor.Weight{{UID: 7, Value: 65535}, {UID: 2, Value: 0}, {UID: 5, Value: 32768}}
	if got := Row([]uint16{7, 2, 5}, []uint16{2, 0, 1}); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	// Lists of different lengths are no row of the chain's, but no reason to stop either.
	if got := Row([]uint16{7}, []uint16{1, 2}); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := Row([]uint16{7, 8}, []uint16{1}); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
