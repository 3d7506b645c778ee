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
	uniform  bool // every child is a hash
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

// decodeNode decodes exactly one node into v, and checks the nodes inline in it. It refuses every encoding
// that the chain's codec does not write, but for values: a node of state version 0 may hold a long one
// inline, and such nodes remain in a state that has moved to version 1 until they are written again.
func decodeNode(enc []byte, v *view) error {
	at, err := decodeFront(enc, 0, v)
	if err != nil {
		return err
	}
	n := bits.OnesCount16(v.bitmap)
	if v.uniform = uniform(enc[at:], n); v.uniform {
		return nil
	}
	// The nodes whose children are being read, each inside the one before. A branch takes five bytes
	// besides a child, so that of 31 there can be six in one another.
	var inside [8]struct{ end, children int }
	inside[0].end, inside[0].children = len(enc), n
	for depth := 0; ; {
		in := &inside[depth]
		if in.children == 0 {
			if at != in.end {
				return nodeError(at, "%w: %d", scale.ErrTrailing, in.end-at)
			}
			if depth == 0 {
				return nil
			}
			depth--
			continue
		}
		in.children--
		// 32 bytes are a hash and fewer a node, so the length is a compact integer of one byte.
		if at == in.end {
			return nodeError(at, "child: %w", scale.ErrShort)
		}
		size := int(enc[at] >> 2)
		switch {
		case enc[at]&3 != 0 || size > 32:
			return nodeError(at, "child of more than 32 bytes")
		case size > in.end-at-1:
			return nodeError(at, "child of %d bytes: %w", size, scale.ErrShort)
		}
		at++
		if size == 32 {
			at += 32
			continue
		}
		var c view
		end := at + size
		if at, err = decodeFront(enc[:end], at, &c); err != nil {
			return err
		}
		if c.empty {
			return nodeError(at, "empty node below the root")
		}
		depth++
		inside[depth].end, inside[depth].children = end, bits.OnesCount16(c.bitmap)
	}
}

// decodeFront decodes what is before the children of the node that takes enc from start to its end, and
// returns where they begin.
func decodeFront(enc []byte, start int, v *view) (at int, err error) {
	if start == len(enc) {
		return 0, nodeError(start, "no bytes")
	}
	// Field by field: a whole view in one assignment is built first and copied then.
	v.enc, v.bitmap, v.uniform, v.empty = enc[start:], 0, false, false
	header := enc[start]
	var mask byte
	branch := false
	kind := noValue
	switch {
	case header >= headerValueBranch:
		mask, branch, kind = 0x3f, true, inlineValue
	case header >= headerBranch:
		mask, branch = 0x3f, true
	case header >= headerLeaf:
		mask, kind = 0x3f, inlineValue
	case header >= headerHashedLeaf:
		mask, kind = 0x1f, hashedValue
	case header >= headerHashedBranch:
		mask, branch, kind = 0x0f, true, hashedValue
	case header == headerEmpty:
		*v = view{enc: enc[start:], empty: true}
		return start + 1, nil
	default:
		return 0, nodeError(start, "header 0x%02x is reserved", header)
	}

	at = start + 1
	n := int(header & mask)
	if n == int(mask) {
		for more := byte(255); more == 255; at++ {
			if at == len(enc) {
				return 0, nodeError(at, "length of the partial key: %w", scale.ErrShort)
			}
			more = enc[at]
			if n += int(more); n > MaxPartial {
				return 0, nodeError(at, "partial key of more than %d nibbles: %w", MaxPartial, ErrLimit)
			}
		}
	}
	size := (n + 1) / 2
	if size > len(enc)-at {
		return 0, nodeError(at, "partial key of %d nibbles: %w", n, scale.ErrShort)
	}
	v.kind = kind
	v.partial.b, v.partial.off, v.partial.n = enc[at:at+size], n&1, n
	if n&1 == 1 && enc[at]>>4 != 0 {
		return 0, nodeError(at, "padding nibble is %x", enc[at]>>4)
	}
	at += size

	if branch {
		if len(enc)-at < 2 {
			return 0, nodeError(at, "bitmap: %w", scale.ErrShort)
		}
		v.bitmap = binary.LittleEndian.Uint16(enc[at:])
		switch {
		case v.bitmap == 0:
			return 0, nodeError(at, "branch without children")
		case kind == noValue && v.bitmap&(v.bitmap-1) == 0:
			return 0, nodeError(at, "branch with one child and no value")
		}
		at += 2
	}

	switch kind {
	case noValue:
		v.value = nil
	case inlineValue:
		r := scale.NewReader(enc[at:])
		v.value = r.Blob(-1)
		if r.Err() != nil {
			return 0, nodeError(at, "value: %w", r.Err())
		}
		at += r.Offset()
	case hashedValue:
		if len(enc)-at < 32 {
			return 0, nodeError(at, "hash of the value: %w", scale.ErrShort)
		}
		v.value = enc[at : at+32 : at+32]
		at += 32
	}
	v.children = at - start
	return at, nil
}

// uniform reports whether b is n children, each a hash: what every leaf and nearly every branch ends in.
func uniform(b []byte, n int) bool {
	if len(b) != n*33 {
		return false
	}
	for at := 0; at < len(b); at += 33 {
		if b[at] != 32<<2 {
			return false
		}
	}
	return true
}

// child returns the child at a nibble, or nil if there is none: 32 bytes are the hash of a node, fewer the
// node itself.
func (v *view) child(nibble byte) []byte {
	if v.bitmap>>nibble&1 == 0 {
		return nil
	}
	at, rank := v.children, bits.OnesCount16(v.bitmap&(1<<nibble-1))
	if v.uniform {
		at += rank * 33
	} else {
		for range rank {
			at += 1 + int(v.enc[at]>>2)
		}
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
