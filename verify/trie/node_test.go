package trie

import (
	"bytes"
	"errors"
	"math/bits"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

// hash32 stands for a hash in hex.
var hash32 = strings.Repeat("5a", 32)

func TestDecodeNode(t *testing.T) {
	for _, c := range []struct {
		name, in string
		partial  string
		value    string
		kind     valueKind
		bitmap   uint16
	}{
		{"leaf", "42 aa 04 bb", "aa", "bb", inlineValue, 0},
		{"leaf, odd key", "43 0a bc 00", "abc", "", inlineValue, 0},
		{"leaf, no key", "40 00", "", "", inlineValue, 0},
		{"leaf, hashed", "22 aa" + hash32, "aa", hash32, hashedValue, 0},
		{"leaf, hashed, 31 nibbles", "3f00 0" + strings.Repeat("1", 31) + hash32, strings.Repeat("1", 31), hash32, hashedValue, 0},
		{"leaf, 63+255+1 nibbles", "7fff01 0" + strings.Repeat("1", 319) + "00", strings.Repeat("1", 319), "", inlineValue, 0},
		{"branch", "80 0300 08 4000 80" + hash32, "", "", noValue, 3},
		{"branch, 63 nibbles", "bf00 0" + strings.Repeat("1", 63) + "0300 08 4000 80" + hash32, strings.Repeat("1", 63), "", noValue, 3},
		{"branch, value", "c1 07 0080 04 bb 80" + hash32, "7", "bb", inlineValue, 1 << 15},
		{"branch, hashed", "11 07 0100" + hash32 + "08 4000", "7", hash32, hashedValue, 1},
		{"branch, hashed, 15 nibbles", "1f00 0" + strings.Repeat("1", 15) + "0100" + hash32 + "08 4000", strings.Repeat("1", 15), hash32, hashedValue, 1},
		{"long value inline, as version 0 has it", "40 9101" + strings.Repeat("77", 100), "", strings.Repeat("77", 100), inlineValue, 0},
		{"inline branch within branch", "80 0300 1c c0 0100 00 08 4000 08 4000", "", "", noValue, 3},
	} {
		in := mustHex(t, strings.ReplaceAll(c.in, " ", ""))
		v, err := decoded(in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var partial strings.Builder
		for i := range v.partial.n {
			partial.WriteByte("0123456789abcdef"[v.partial.at(i)])
		}
		if partial.String() != c.partial || tohex(v.value) != c.value || v.kind != c.kind || v.bitmap != c.bitmap || v.empty {
			t.Errorf("%s: partial %s, value %x (%d), bitmap %x", c.name, partial.String(), v.value, v.kind, v.bitmap)
		}
		if out := reencode(&v); !bytes.Equal(out, in) {
			t.Errorf("%s: encodes as %x", c.name, out)
		}
		// A node ends where it ends, and every part of it is needed.
		for n := range in {
			if _, err := decoded(in[:n]); !errors.Is(err, ErrNode) {
				t.Errorf("%s, cut to %d bytes: %v", c.name, n, err)
			}
		}
		if _, err := decoded(append(bytes.Clone(in), 0)); !errors.Is(err, scale.ErrTrailing) {
			t.Errorf("%s and a byte: %v", c.name, err)
		}
	}
	v, err := decoded([]byte{0})
	if err != nil || !v.empty {
		t.Errorf("the empty node: %v", err)
	}
}

func decoded(enc []byte) (v view, err error) {
	err = decodeNode(enc, &v)
	return v, err
}

// reencode writes a view with the encoder's parts.
func reencode(v *view) []byte {
	if v.empty {
		return []byte{headerEmpty}
	}
	b := appendHeader(nil, v.kind, v.bitmap != 0, v.partial.n)
	b = appendPartial(b, v.partial.appendTo(nil))
	if v.bitmap != 0 {
		b = append(b, byte(v.bitmap), byte(v.bitmap>>8))
	}
	switch v.kind {
	case inlineValue:
		b = scale.AppendBlob(b, v.value)
	case hashedValue:
		b = append(b, v.value...)
	}
	for rest := v.bitmap; rest != 0; rest &= rest - 1 {
		b = scale.AppendBlob(b, v.child(byte(bits.TrailingZeros16(rest))))
	}
	return b
}

func TestDecodeNodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		err      error
		place    string
	}{
		{"nothing", "", ErrNode, "no bytes"},
		{"trailing after the empty node", "0000", scale.ErrTrailing, "byte 1"},
		{"reserved header 0x01", "01", ErrNode, "reserved"},
		{"reserved header 0x0f", "0f", ErrNode, "reserved"},
		{"length goes on past the end", "7f ff ff", scale.ErrShort, "byte 3: length"},
		{"length without continuation", "3f", scale.ErrShort, "byte 1: length"},
		{"partial key above the bound", "7f" + strings.Repeat("ff", 257) + "00", ErrLimit, "65535"},
		{"partial key just above the bound", "7f" + strings.Repeat("ff", 256) + "c1" + strings.Repeat("00", 32768) + "00", ErrLimit, "65535"},
		{"partial key cut", "44 aa", scale.ErrShort, "partial key of 4"},
		{"padding nibble", "41 17 00", ErrNode, "padding nibble is 1"},
		{"padding nibble of a branch", "83 f123 0300 08 4000 08 4000", ErrNode, "padding nibble is f"},
		{"bitmap cut", "80 03", scale.ErrShort, "bitmap"},
		{"bitmap 0", "80 0000", ErrNode, "branch without children"},
		{"bitmap 0 with a value", "c0 0000 04 bb", ErrNode, "branch without children"},
		{"bitmap 0 with a hashed value", "10 0000" + hash32, ErrNode, "branch without children"},
		{"one child, no value", "80 0100 80" + hash32, ErrNode, "one child"},
		{"value missing", "40", scale.ErrShort, "value"},
		{"value cut", "40 08 bb", scale.ErrShort, "value"},
		{"value's length not in shortest form", "40 0100", scale.ErrNonCanonical, "value"},
		{"value's length above the input", "40 13 ffffffffffffff7f", scale.ErrShort, "value"},
		{"value's length above 64 bits", "40 ff" + strings.Repeat("ff", 67), scale.ErrRange, "value"},
		{"hash of the value cut", "20" + hash32[2:], scale.ErrShort, "hash of the value"},
		{"children missing", "80 0300", scale.ErrShort, "byte 3: child: "},
		{"second child missing", "80 0300 80" + hash32, scale.ErrShort, "byte 36: child: "},
		{"child cut", "80 0300 80" + hash32 + "08 40", scale.ErrShort, "byte 36: child of 2 bytes"},
		{"child of 33 bytes", "80 0300 84 5a" + hash32 + "80" + hash32, ErrNode, "more than 32"},
		{"last child of 33 bytes", "80 0300 80" + hash32 + "84" + hash32, ErrNode, "byte 36: child of more than 32"},
		{"child's length in two bytes", "80 0300 8100" + hash32 + "80" + hash32, ErrNode, "more than 32"},
		{"child of 0 bytes", "80 0300 00 80" + hash32, ErrNode, "no bytes"},
		{"empty node as a child", "80 0300 04 00 80" + hash32, ErrNode, "empty node below the root"},
		{"malformed inline child", "80 0300 0c 40 08 bb 80" + hash32, scale.ErrShort, "byte 5: value"},
		{"trailing inside an inline child", "80 0300 0c 40 00 00 80" + hash32, scale.ErrTrailing, "byte 6"},
		{"malformed child of an inline child", "80 0300 18 c0 0100 00 04 00 80" + hash32, ErrNode, "empty node below the root"},
		{"trailing", "40 00 00", scale.ErrTrailing, "byte 2"},
	} {
		_, err := decoded(mustHex(t, strings.ReplaceAll(c.in, " ", "")))
		if !errors.Is(err, ErrNode) || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: %v, want %v at %q", c.name, err, c.err, c.place)
		}
	}
	// The longest partial key there may be.
	in := append(mustHex(t, "7f"+strings.Repeat("ff", 256)+"c0"), make([]byte, 32769)...)
	if v, err := decoded(in); err != nil || v.partial.n != MaxPartial {
		t.Errorf("%d nibbles: %v", v.partial.n, err)
	}
}

func TestNibbles(t *testing.T) {
	a := []byte{0x12, 0x34, 0x56, 0x78}
	b := []byte{0xf1, 0x23, 0x45, 0x67, 0x8f}
	digits := func(x nibbles) string {
		var s strings.Builder
		for i := range x.n {
			s.WriteByte("0123456789abcdef"[x.at(i)])
		}
		return s.String()
	}
	if got := digits(nibbles{b, 1, 8}); got != "12345678" {
		t.Errorf("at: %s", got)
	}
	// Every pair of runs, against strings.
	for _, p := range [][]byte{a, b} {
		for _, q := range [][]byte{a, b} {
			for i := range 2 * len(p) {
				for n := 0; n <= 2*len(p)-i; n++ {
					for j := range 2*len(q) + 1 {
						x, y := nibbles{p, i, n}, nibbles{q, j, 2*len(q) - j}
						sx, sy := digits(x), digits(y)
						want := 0
						for want < len(sx) && want < len(sy) && sx[want] == sy[want] {
							want++
						}
						if got := x.common(y); got != want {
							t.Fatalf("%s and %s have %d in common, not %d", sx, sy, want, got)
						}
						if got := x.begins(q, j); got != strings.HasPrefix(sy, sx) {
							t.Fatalf("%s begins %s: %v", sx, sy, got)
						}
					}
				}
			}
		}
	}
	long := []byte("as long as three words of eight bytes")
	for n := range len(long) + 1 {
		if got := commonBytes(long, long[:n]); got != n {
			t.Errorf("%d bytes of the same have %d in common", n, got)
		}
		for i := range n {
			other := bytes.Clone(long)
			other[i] ^= 1 << (i % 8)
			if got := commonBytes(long[:n], other); got != i {
				t.Errorf("%d bytes that differ at %d have %d in common", n, i, got)
			}
		}
	}
	if got := pack([]byte{1, 2, 3}); !bytes.Equal(got, []byte{0x12, 0x30}) {
		t.Errorf("pack: %x", got)
	}
	if got := unpack(nil, []byte{0x12, 0x30}); !bytes.Equal(got, []byte{1, 2, 3, 0}) {
		t.Errorf("unpack: %x", got)
	}
	for o, s := range map[Outcome]string{Incomplete: "incomplete", Absent: "absent", Present: "present"} {
		if o.String() != s {
			t.Errorf("%d is %q", o, o.String())
		}
	}
}
