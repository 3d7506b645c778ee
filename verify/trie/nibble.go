package trie

import (
	"encoding/binary"
	"math/bits"
)

// Nibbles is a run of half-bytes inside packed bytes, high half first: a key, or a partial key as a
// node holds it.
type nibbles struct {
	b   []byte
	off int // nibbles of b before the run
	n   int
}

func keyNibbles(key []byte) nibbles { return nibbles{key, 0, 2 * len(key)} }

func (x nibbles) at(i int) byte {
	i += x.off
	return x.b[i>>1] >> (4 &^ (i << 2)) & 15
}

// from returns x without its first i nibbles.
func (x nibbles) from(i int) nibbles { return nibbles{x.b, x.off + i, x.n - i} }

// common returns how many nibbles x and y begin with alike.
func (x nibbles) common(y nibbles) int {
	n := min(x.n, y.n)
	i := 0
	if (x.off^y.off)&1 == 0 {
		// Both runs have the same halves: after the odd one, compare whole bytes.
		if x.off&1 == 1 && n > 0 {
			if x.at(0) != y.at(0) {
				return 0
			}
			i = 1
		}
		whole := (n - i) >> 1
		i += 2 * commonBytes(x.b[(x.off+i)>>1:][:whole], y.b[(y.off+i)>>1:][:whole])
	}
	for i < n && x.at(i) == y.at(i) {
		i++
	}
	return i
}

// begins reports whether x is what key goes on with after its first at nibbles.
func (x *nibbles) begins(key []byte, at int) bool {
	n := x.n
	switch {
	case n == 0:
		return true
	case n > 2*len(key)-at:
		return false
	case (x.off^at)&1 == 1:
		return nibbles{key, at, n}.common(*x) == n
	}
	if at&1 == 1 {
		if (x.b[x.off>>1]^key[at>>1])&15 != 0 {
			return false
		}
		n--
	}
	from, to := (x.off+1)>>1, (at+1)>>1
	whole := n >> 1
	if string(x.b[from:from+whole]) != string(key[to:to+whole]) {
		return false
	}
	return n&1 == 0 || (x.b[from+whole]^key[to+whole])>>4 == 0
}

// appendTo appends x to b, one nibble a byte.
func (x nibbles) appendTo(b []byte) []byte {
	for i := range x.n {
		b = append(b, x.at(i))
	}
	return b
}

// unpack appends key to b, one nibble a byte.
func unpack(b, key []byte) []byte {
	for _, c := range key {
		b = append(b, c>>4, c&15)
	}
	return b
}

// pack returns the key of a path of one nibble a byte. An odd last nibble is followed by a zero.
func pack(path []byte) []byte {
	key := make([]byte, (len(path)+1)/2)
	for i, c := range path {
		key[i>>1] |= c << (4 &^ (i << 2))
	}
	return key
}

// commonBytes returns how many bytes a and b begin with alike. Keys of one map begin with the same 32, so it
// takes eight at a time.
func commonBytes(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
