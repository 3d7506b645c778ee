package yuma

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// lines calls f with each line of the file in testdata and, if TAOLIGHT_VECTORS names the folder of
// the vectors, of the whole files there, as often as they are there.
func lines(t *testing.T, whole []string, file string, f func(t *testing.T, line []byte)) {
	run := func(path string) func(*testing.T) {
		return func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			s := bufio.NewScanner(bytes.NewReader(b))
			s.Buffer(nil, 64<<20)
			for ; s.Scan(); n++ {
				f(t, s.Bytes())
			}
			if s.Err() != nil || n == 0 {
				t.Fatalf("%d lines: %v", n, s.Err())
			}
		}
	}
	t.Run(file, run(filepath.Join("testdata", file)))
	for _, name := range whole {
		t.Run("whole "+name, func(t *testing.T) {
			dir := os.Getenv("TAOLIGHT_VECTORS")
			if dir == "" {
				t.Skip("TAOLIGHT_VECTORS is not set: it names the folder of the whole files")
			}
			run(filepath.Join(dir, "yuma", name))(t)
		})
	}
}

func parse(t *testing.T, line []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(line, into); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
}

// null is what the vectors have for a result out of range.
func null[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func TestI32F32Vectors(t *testing.T) {
	lines(t, []string{"fixed_i32f32.jsonl"}, "fixed_i32f32.jsonl", func(t *testing.T, line []byte) {
		var c struct {
			X, Y             I32F32
			SMul, SAdd, SSub I32F32
			CMul, CDiv       *I32F32
			U16, Q16         uint16
			U64              uint64
		}
		parse(t, line, &c)
		product, quotient := null(c.X.CheckedMul(c.Y)), null(c.X.CheckedDiv(c.Y))
		safe := I32F32(0)
		if c.CDiv != nil {
			safe = *c.CDiv
		}
		if !same(product, c.CMul) || !same(quotient, c.CDiv) ||
			c.X.Mul(c.Y) != c.SMul || c.X.Add(c.Y) != c.SAdd || c.X.Sub(c.Y) != c.SSub || c.X.SafeDiv(c.Y) != safe ||
			c.X.U16() != c.U16 || c.X.U64() != c.U64 || c.X.Quantize() != c.Q16 {
			t.Errorf("%s: other results", line)
		}
	})
}

// The same numbers as math/big has them: an independent, slow arithmetic.

var two128 = new(big.Int).Lsh(big.NewInt(1), 128)

func unsignedBig(x u128) *big.Int {
	v := new(big.Int).SetUint64(x.hi)
	return v.Lsh(v, 64).Add(v, new(big.Int).SetUint64(x.lo))
}

func signedBig(x u128) *big.Int {
	v := unsignedBig(x)
	if x.hi>>63 != 0 {
		v.Sub(v, two128)
	}
	return v
}

func fromBig(v *big.Int) u128 {
	m := new(big.Int).Mod(v, two128)
	return u128{new(big.Int).Rsh(m, 64).Uint64(), new(big.Int).And(m, new(big.Int).SetUint64(math.MaxUint64)).Uint64()}
}

func TestFixed128Vectors(t *testing.T) {
	lines(t, []string{"fixed_128.jsonl"}, "fixed_128.jsonl", func(t *testing.T, line []byte) {
		var c struct {
			X, Y        *big.Int
			I64Mul      *big.Int `json:"i64_mul"`
			I64Div      *big.Int `json:"i64_div"`
			I96Mul      *big.Int `json:"i96_mul"`
			I96Div      *big.Int `json:"i96_div"`
			U96Mul      *big.Int `json:"u96_mul"`
			U96Div      *big.Int `json:"u96_div"`
			U64Mul      *big.Int `json:"u64_mul"`
			U64Div      *big.Int `json:"u64_div"`
			I64ToI32F32 I32F32   `json:"i64_to_i32f32"`
			U96ToI64F64 *big.Int `json:"u96_to_i64f64"`
		}
		parse(t, line, &c)
		x, y := fromBig(c.X), fromBig(c.Y)
		check := func(name string, want *big.Int, got u128, ok bool, number func(u128) *big.Int) {
			t.Helper()
			if ok != (want != nil) || ok && number(got).Cmp(want) != 0 {
				t.Errorf("%s: %s = %v, %t", line, name, number(got), ok)
			}
		}
		i64, ok := I64F64{x}.CheckedMul(I64F64{y})
		check("i64_mul", c.I64Mul, i64.bits, ok, signedBig)
		i64, ok = I64F64{x}.CheckedDiv(I64F64{y})
		check("i64_div", c.I64Div, i64.bits, ok, signedBig)
		u96, ok := U96F32{x}.CheckedMul(U96F32{y})
		check("u96_mul", c.U96Mul, u96.bits, ok, unsignedBig)
		u96, ok = U96F32{x}.CheckedDiv(U96F32{y})
		check("u96_div", c.U96Div, u96.bits, ok, unsignedBig)
		check("u96_to_i64f64", c.U96ToI64F64, U96F32{x}.I64F64().bits, true, signedBig)
		if got := (I64F64{x}).I32F32(); got != c.I64ToI32F32 {
			t.Errorf("%s: i64_to_i32f32 = %d", line, got)
		}
		// The two types that nothing uses yet are the same arithmetic with another point.
		raw, ok := mulSigned128(x, y, 32)
		check("i96_mul", c.I96Mul, raw, ok, signedBig)
		raw, ok = divSigned128(x, y, 32)
		check("i96_div", c.I96Div, raw, ok, signedBig)
		raw, _, ok = x.mul(y, 64)
		check("u64_mul", c.U64Mul, raw, ok, unsignedBig)
		raw, ok = x.div(y, 64)
		check("u64_div", c.U64Div, raw, ok, unsignedBig)
	})
}

// random returns a number with a random number of bits, near a power of two as often as not, so that
// all the edges are met.
func random(r *rand.Rand) u128 {
	v := u128{r.Uint64(), r.Uint64()}
	if r.IntN(2) == 0 {
		v = u128{0, uint64(r.IntN(3))}
		if r.IntN(2) == 0 {
			v = v.neg()
		}
		bit := u128{0, 1 << r.IntN(64)}
		if r.IntN(2) == 0 {
			bit = u128{bit.lo, 0}
		}
		v, _ = v.add(bit)
	}
	for range r.IntN(128) {
		v = u128{v.hi >> 1, v.hi<<63 | v.lo>>1}
	}
	if r.IntN(2) == 0 {
		v = v.neg()
	}
	return v
}

func floorShift(v *big.Int, n uint) *big.Int { return new(big.Int).Rsh(v, n) } // Rsh rounds down

func TestFixedAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	lo128, hi128 := new(big.Int).Neg(new(big.Int).Rsh(two128, 1)), new(big.Int).Sub(new(big.Int).Rsh(two128, 1), big.NewInt(1))
	max128 := new(big.Int).Sub(two128, big.NewInt(1))
	clamp := func(v, lo, hi *big.Int) *big.Int {
		if v.Cmp(lo) < 0 {
			return lo
		}
		if v.Cmp(hi) > 0 {
			return hi
		}
		return v
	}
	eq := func(what string, x, y u128, got u128, ok bool, want, lo, hi *big.Int, number func(u128) *big.Int) {
		t.Helper()
		fits := want != nil && want.Cmp(lo) >= 0 && want.Cmp(hi) <= 0
		if ok != fits || ok && number(got).Cmp(want) != 0 {
			t.Fatalf("%s of %x, %x = %x, %t, want %v", what, x, y, got, ok, want)
		}
	}
	zero := new(big.Int)
	check := func(x, y u128) {
		t.Helper()
		sx, sy, ux, uy := signedBig(x), signedBig(y), unsignedBig(x), unsignedBig(y)
		quo := func(a, b *big.Int, frac uint) *big.Int {
			if b.Sign() == 0 {
				return nil
			}
			return new(big.Int).Quo(new(big.Int).Lsh(a, frac), b)
		}
		p, ok := I64F64{x}.CheckedMul(I64F64{y})
		product := floorShift(new(big.Int).Mul(sx, sy), 64)
		eq("I64F64 product", x, y, p.bits, ok, product, lo128, hi128, signedBig)
		eq("I64F64 saturating product", x, y, I64F64{x}.Mul(I64F64{y}).bits, true, clamp(product, lo128, hi128), lo128, hi128, signedBig)
		p, ok = I64F64{x}.CheckedDiv(I64F64{y})
		eq("I64F64 quotient", x, y, p.bits, ok, quo(sx, sy, 64), lo128, hi128, signedBig)
		raw, ok := mulSigned128(x, y, 32)
		eq("I96F32 product", x, y, raw, ok, floorShift(new(big.Int).Mul(sx, sy), 32), lo128, hi128, signedBig)
		raw, ok = divSigned128(x, y, 32)
		eq("I96F32 quotient", x, y, raw, ok, quo(sx, sy, 32), lo128, hi128, signedBig)
		if !ok && (I64F64{x}).SafeDiv(I64F64{y}) != (I64F64{}) {
			t.Fatalf("SafeDiv of %x, %x is not 0", x, y)
		}
		eq("I64F64 sum", x, y, I64F64{x}.Add(I64F64{y}).bits, true, clamp(new(big.Int).Add(sx, sy), lo128, hi128), lo128, hi128, signedBig)

		u, ok := U96F32{x}.CheckedMul(U96F32{y})
		product = floorShift(new(big.Int).Mul(ux, uy), 32)
		eq("U96F32 product", x, y, u.bits, ok, product, zero, max128, unsignedBig)
		eq("U96F32 saturating product", x, y, U96F32{x}.Mul(U96F32{y}).bits, true, clamp(product, zero, max128), zero, max128, unsignedBig)
		u, ok = U96F32{x}.CheckedDiv(U96F32{y})
		eq("U96F32 quotient", x, y, u.bits, ok, quo(ux, uy, 32), zero, max128, unsignedBig)
		if !ok && (U96F32{x}).SafeDiv(U96F32{y}) != (U96F32{}) {
			t.Fatalf("SafeDiv of %x, %x is not 0", x, y)
		}
		eq("U96F32 sum", x, y, U96F32{x}.Add(U96F32{y}).bits, true, clamp(new(big.Int).Add(ux, uy), zero, max128), zero, max128, unsignedBig)
		eq("U96F32 difference", x, y, U96F32{x}.Sub(U96F32{y}).bits, true, clamp(new(big.Int).Sub(ux, uy), zero, max128), zero, max128, unsignedBig)
		eq("U96F32 to I64F64", x, y, U96F32{x}.I64F64().bits, true, clamp(new(big.Int).Lsh(ux, 32), zero, hi128), zero, hi128, signedBig)

		most := new(big.Int).SetUint64(math.MaxUint64)
		for what, c := range map[string]struct {
			got  uint64
			want *big.Int
		}{
			"I64F64": {I64F64{x}.U64(), clamp(floorShift(sx, 64), zero, most)},
			"U96F32": {U96F32{x}.U64(), clamp(floorShift(ux, 32), zero, most)},
		} {
			if new(big.Int).SetUint64(c.got).Cmp(c.want) != 0 {
				t.Fatalf("%s %x to u64 = %d, want %v", what, x, c.got, c.want)
			}
		}
		if want := clamp(floorShift(sx, 32), big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)); int64(I64F64{x}.I32F32()) != want.Int64() {
			t.Fatalf("I64F64 %x to I32F32 = %d, want %v", x, I64F64{x}.I32F32(), want)
		}
		if hi, lo := (I64F64{x}).Raw(); I64F64FromRaw(hi, lo) != (I64F64{x}) {
			t.Fatalf("Raw of %x", x)
		}

		// I32F32, by the same numbers cut to 64 bits.
		a, b := I32F32(x.lo), I32F32(y.lo)
		ba, bb := big.NewInt(int64(a)), big.NewInt(int64(b))
		least, greatest := big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)
		of := func(v I32F32) u128 { return fromBig(big.NewInt(int64(v))) }
		q, ok := a.CheckedMul(b)
		product = floorShift(new(big.Int).Mul(ba, bb), 32)
		eq("I32F32 product", x, y, of(q), ok, product, least, greatest, signedBig)
		eq("I32F32 saturating product", x, y, of(a.Mul(b)), true, clamp(product, least, greatest), least, greatest, signedBig)
		q, ok = a.CheckedDiv(b)
		eq("I32F32 quotient", x, y, of(q), ok, quo(ba, bb, 32), least, greatest, signedBig)
		eq("I32F32 sum", x, y, of(a.Add(b)), true, clamp(new(big.Int).Add(ba, bb), least, greatest), least, greatest, signedBig)
		eq("I32F32 difference", x, y, of(a.Sub(b)), true, clamp(new(big.Int).Sub(ba, bb), least, greatest), least, greatest, signedBig)
		from := clamp(new(big.Int).Lsh(new(big.Int).SetUint64(x.lo), 32), least, greatest)
		if int64(I32F32From(x.lo)) != from.Int64() {
			t.Fatalf("I32F32From(%d) = %d, want %v", x.lo, I32F32From(x.lo), from)
		}
		if from := clamp(new(big.Int).Lsh(new(big.Int).SetUint64(x.lo), 64), lo128, hi128); signedBig(I64F64From(x.lo).bits).Cmp(from) != 0 {
			t.Fatalf("I64F64From(%d) = %x, want %v", x.lo, I64F64From(x.lo), from)
		}
		if from := new(big.Int).Lsh(new(big.Int).SetUint64(x.lo), 32); unsignedBig(U96F32From(x.lo).bits).Cmp(from) != 0 {
			t.Fatalf("U96F32From(%d) = %x, want %v", x.lo, U96F32From(x.lo), from)
		}
	}
	for _, x := range edges {
		for _, y := range edges {
			check(x, y)
			check(x, y.neg())
			check(x.neg(), y)
			check(x.neg(), y.neg())
		}
	}
	for range 20_000 {
		check(random(r), random(r))
	}
}

// edges are operands at which words carry and types end.
var edges = []u128{
	{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 1 << 31}, {0, 1<<32 - 1}, {0, 1 << 32}, {0, 1<<32 + 1}, {0, 1<<63 - 1}, {0, 1 << 63},
	{0, math.MaxUint64}, {1, 0}, {1, 1}, {1 << 31, 0}, {1<<31 - 1, math.MaxUint64}, {1<<31 - 1, 1 << 40}, {1 << 31, 1 << 63}, {1 << 31, math.MaxUint64},
	{1 << 32, 0}, {1 << 32, 1}, {1<<32 - 1, math.MaxUint64}, {1<<32 + 1, math.MaxUint64}, {1 << 62, 0}, {1<<63 - 1, math.MaxUint64}, {1 << 63, 0},
	{math.MaxUint64, 0}, {math.MaxUint64, math.MaxUint64},
}
