package trie

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/taolight/taolight/verify/scale"
)

// A valueKind says how a node holds its value.
type valueKind byte

const (
	noValue     valueKind = iota
	inlineValue           // the value itself
	hashedValue           // its Blake2b-256; the value is an entry of its own
)

// A view is a decoded node. All of it aliases the encoding.
//
//	header | partial key | bitmap u16 (branch) | value: Vec<u8> or [32] | children: Vec<u8> each
type view struct {
	enc      []byte
	partial  nibbles
	value    []byte
	children int    // offset of the first child in enc
	bitmap   uint16 // children there are; 0 for a leaf
	kind     valueKind
	empty    bool // the empty trie, 0x00; nothing else is set then
}

// Headers. The rest of the byte is the number of nibbles of the partial key; when all its bits are
// set, more bytes follow, to be added, up to one that is not 255.
const (
	headerEmpty        = 0x00
	headerHashedBranch = 0x10 // 4 bits of length
	headerHashedLeaf   = 0x20 // 5 bits
	headerLeaf         = 0x40 // 6 bits
	headerBranch       = 0x80 // 6 bits, no value
	headerValueBranch  = 0xc0 // 6 bits
)

// nodeError places a fault in a node.
func nodeError(at int, format string, args ...any) error {
	return fmt.Errorf("%w: byte %d: %w", ErrNode, at, fmt.Errorf(format, args...))
}

// decodeNode decodes exactly one node, and checks its inline children. It refuses every encoding that
// the chain's codec does not write, but for values: a node of state version 0 may hold a long one
// inline, and such nodes remain in a state that has moved to version 1 until they are written again.
func decodeNode(enc []byte) (v view, err error) {
	if len(enc) == 0 {
		return view{}, nodeError(0, "no bytes")
	}
	v.enc = enc
	header := enc[0]
	var mask byte
	branch := false
	switch {
	case header >= headerValueBranch:
		mask, branch, v.kind = 0x3f, true, inlineValue
	case header >= headerBranch:
		mask, branch = 0x3f, true
	case header >= headerLeaf:
		mask, v.kind = 0x3f, inlineValue
	case header >= headerHashedLeaf:
		mask, v.kind = 0x1f, hashedValue
	case header >= headerHashedBranch:
		mask, branch, v.kind = 0x0f, true, hashedValue
	case header == headerEmpty:
		if len(enc) != 1 {
			return view{}, nodeError(1, "%w after the empty node", scale.ErrTrailing)
		}
		v.empty = true
		return v, nil
	default:
		return view{}, nodeError(0, "header 0x%02x is reserved", header)
	}

	at := 1
	n := int(header & mask)
	if n == int(mask) {
		for {
			if at == len(enc) {
				return view{}, nodeError(at, "length of the partial key: %w", scale.ErrShort)
			}
			c := enc[at]
			at++
			n += int(c)
			if n > MaxPartial {
				return view{}, nodeError(at, "partial key of more than %d nibbles: %w", MaxPartial, ErrLimit)
			}
			if c != 255 {
				break
			}
		}
	}
	size := (n + 1) / 2
	if size > len(enc)-at {
		return view{}, nodeError(at, "partial key of %d nibbles: %w", n, scale.ErrShort)
	}
	v.partial = nibbles{enc[at : at+size], n & 1, n}
	if n&1 == 1 && enc[at]>>4 != 0 {
		return view{}, nodeError(at, "padding nibble is %x", enc[at]>>4)
	}
	at += size

	if branch {
		if len(enc)-at < 2 {
			return view{}, nodeError(at, "bitmap: %w", scale.ErrShort)
		}
		v.bitmap = binary.LittleEndian.Uint16(enc[at:])
		switch {
		case v.bitmap == 0:
			return view{}, nodeError(at, "branch without children")
		case v.kind == noValue && v.bitmap&(v.bitmap-1) == 0:
			return view{}, nodeError(at, "branch with one child and no value")
		}
		at += 2
	}

	switch v.kind {
	case inlineValue:
		r := scale.NewReader(enc[at:])
		v.value = r.Blob(-1)
		if r.Err() != nil {
			return view{}, nodeError(at, "value: %w", r.Err())
		}
		at += r.Offset()
	case hashedValue:
		if len(enc)-at < 32 {
			return view{}, nodeError(at, "hash of the value: %w", scale.ErrShort)
		}
		v.value = enc[at : at+32 : at+32]
		at += 32
	}

	v.children = at
	for rest := v.bitmap; rest != 0; rest &= rest - 1 {
		child, err := childAt(enc, at)
		if err != nil {
			return view{}, fmt.Errorf("%w (child %x)", err, bits.TrailingZeros16(rest))
		}
		if len(child) < 32 {
			// A branch takes five bytes besides a child, so this is at most seven deep.
			c, err := decodeNode(child)
			if err == nil && c.empty {
				err = nodeError(0, "empty node below the root")
			}
			if err != nil {
				return view{}, nodeError(at+1, "child %x: %w", bits.TrailingZeros16(rest), err)
			}
		}
		at += 1 + len(child)
	}
	if at != len(enc) {
		return view{}, nodeError(at, "%w: %d of %d", scale.ErrTrailing, len(enc)-at, len(enc))
	}
	return v, nil
}

// childAt returns the child that begins at enc[at]: 32 bytes are a hash, fewer are the node itself.
// So its length, at most 32, is a compact integer of one byte.
func childAt(enc []byte, at int) ([]byte, error) {
	if at == len(enc) {
		return nil, nodeError(at, "%w", scale.ErrShort)
	}
	n := int(enc[at] >> 2)
	if enc[at]&3 != 0 || n > 32 {
		return nil, nodeError(at, "child of more than 32 bytes")
	}
	at++
	if n > len(enc)-at {
		return nil, nodeError(at, "child of %d bytes: %w", n, scale.ErrShort)
	}
	return enc[at : at+n : at+n], nil
}

// child returns the child at a nibble, as childAt does, or nil if there is none.
func (v *view) child(nibble byte) []byte {
	if v.bitmap>>nibble&1 == 0 {
		return nil
	}
	at := v.children
	for range bits.OnesCount16(v.bitmap & (1<<nibble - 1)) {
		at += 1 + int(v.enc[at]>>2)
	}
	return v.enc[at+1 : at+1+int(v.enc[at]>>2)]
}

// appendHeader appends the header of a node with a partial key of n nibbles.
func appendHeader(b []byte, kind valueKind, branch bool, n int) []byte {
	header, mask := byte(headerLeaf), byte(0x3f)
	switch {
	case kind == noValue:
		header = headerBranch
	case kind == inlineValue && branch:
		header = headerValueBranch
	case kind == hashedValue && branch:
		header, mask = headerHashedBranch, 0x0f
	case kind == hashedValue:
		header, mask = headerHashedLeaf, 0x1f
	}
	// The chain's codec cuts the length here, though not the key: with such a key its roots are
	// what they are, and no proof can be read.
	n = min(n, MaxPartial)
	if n < int(mask) {
		return append(b, header|byte(n))
	}
	b = append(b, header|mask)
	for n -= int(mask); n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}

// appendPartial appends a partial key of one nibble a byte, packed.
func appendPartial(b, path []byte) []byte {
	if len(path)&1 == 1 {
		b = append(b, path[0])
		path = path[1:]
	}
	for i := 0; i < len(path); i += 2 {
		b = append(b, path[i]<<4|path[i+1])
	}
	return b
}
