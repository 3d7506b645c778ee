package scale

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"
)

// The encodings are those of the SCALE specification (docs.polkadot.com, "Compact/general
// integers"), one at each edge of the four modes.
var compacts = []struct {
	v   uint64
	hex string
}{
	{0, "00"},
	{1, "04"},
	{42, "a8"},
	{63, "fc"},
	{64, "0101"},
	{69, "1501"},
	{16383, "fdff"},
	{16384, "02000100"},
	{65535, "feff0300"},
	{1<<30 - 1, "feffffff"},
	{1 << 30, "0300000040"},
	{1<<32 - 1, "03ffffffff"},
	{1 << 32, "070000000001"},
	{100000000000000, "0b00407a10f35a"},
	{math.MaxUint64, "13ffffffffffffffff"},
}

func TestCompact(t *testing.T) {
	for _, c := range compacts {
		want, _ := hex.DecodeString(c.hex)
		if got := AppendCompact(nil, c.v); !bytes.Equal(got, want) {
			t.Errorf("AppendCompact(%d) = %x, want %x", c.v, got, want)
		}
		r := NewReader(want)
		if got := r.Compact(); got != c.v || r.Finish() != nil {
			t.Errorf("Compact(%x) = %d, %v, want %d", want, got, r.Err(), c.v)
		}
		for n := range want {
			r := NewReader(want[:n])
			if r.Compact(); !errors.Is(r.Err(), ErrShort) {
				t.Errorf("Compact(%x) = %v, want ErrShort", want[:n], r.Err())
			}
		}
	}
}

func TestCompactRefused(t *testing.T) {
	for in, want := range map[string]error{
		"0100":                    ErrNonCanonical, // 0 in two bytes
		"fd00":                    ErrNonCanonical, // 63 in two bytes
		"02000000":                ErrNonCanonical,
		"feff0000":                ErrNonCanonical, // 16383 in four
		"0300000000":              ErrNonCanonical,
		"03ffffff3f":              ErrNonCanonical, // 2^30-1 in five
		"07ffffffff00":            ErrNonCanonical, // 2^32-1 in six
		"17000000000000000001":    ErrRange,        // nine bytes
		"ff" + "00000000":         ErrRange,
		"13" + "ffffffffffffff00": ErrNonCanonical,
	} {
		b, _ := hex.DecodeString(in)
		r := NewReader(b)
		if v := r.Compact(); v != 0 || !errors.Is(r.Err(), want) {
			t.Errorf("Compact(%s) = %d, %v, want %v", in, v, r.Err(), want)
		}
	}
}

func TestReader(t *testing.T) {
	b := AppendU64(AppendU32(AppendU16(AppendBool(nil, true), 0x1234), 0x89abcdef), 1<<63|7)
	b = AppendBlob(b, []byte("tao"))
	r := NewReader(b)
	if !r.Bool() || r.U16() != 0x1234 || r.U32() != 0x89abcdef || r.U64() != 1<<63|7 || string(r.Blob(3)) != "tao" {
		t.Fatalf("read back wrong: %v", r.Err())
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if r = NewReader(b); r.Bool() && r.Finish() == nil {
		t.Fatal("Finish accepted trailing bytes")
	}
	if r = NewReader([]byte{2}); r.Bool() || !errors.Is(r.Err(), ErrRange) {
		t.Fatal("Bool accepted 2")
	}
	if r = NewReader(AppendBlob(nil, []byte("tao"))); r.Blob(2) != nil || !errors.Is(r.Err(), ErrRange) {
		t.Fatal("Blob went over its limit")
	}
	// A length that promises 2^62 bytes is refused from the four bytes that are there.
	if r = NewReader([]byte{0x13, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 2, 3}); r.Blob(-1) != nil || !errors.Is(r.Err(), ErrShort) {
		t.Fatalf("Blob: %v", r.Err())
	}
	// The first error sticks.
	if r = NewReader([]byte{1}); r.U32() != 0 || r.Byte() != 0 || !errors.Is(r.Err(), ErrShort) {
		t.Fatal("error did not stick")
	}
}

// FuzzCompact checks that what decodes encodes back to the bytes it came from.
func FuzzCompact(f *testing.F) {
	for _, c := range compacts {
		b, _ := hex.DecodeString(c.hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		v := r.Compact()
		if r.Err() != nil {
			return
		}
		if got := AppendCompact(nil, v); !bytes.Equal(got, b[:r.Offset()]) {
			t.Fatalf("%x decodes to %d, which encodes to %x", b[:r.Offset()], v, got)
		}
	})
}
