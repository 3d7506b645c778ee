package trie

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// This file is a second, slow trie, written from the specification on maps, strings of hex digits and
// recursion, and sharing no code with the package. A nibble is a hex digit; a key is a string of them.

type refHash = [32]byte

// refTrie is the node database of a trie: every entry that a proof may hold, by its hash.
type refTrie struct {
	root refHash
	db   map[refHash][]byte
}

// buildRef builds the trie of kv (keys in hex) in version 0 or 1.
func buildRef(version int, kv map[string][]byte) refTrie {
	t := refTrie{db: map[refHash][]byte{}}
	enc := []byte{0}
	if len(kv) > 0 {
		enc = t.encode(version, kv)
	}
	t.root = blake2b.Sum256(enc)
	t.db[t.root] = enc
	return t
}

// encode returns the node at which the keys of kv, all relative to it, begin.
func (t refTrie) encode(version int, kv map[string][]byte) []byte {
	partial := ""
	first := true
	for k := range kv {
		if first {
			partial, first = k, false
		}
		for !strings.HasPrefix(k, partial) {
			partial = partial[:len(partial)-1]
		}
	}
	below := map[byte]map[string][]byte{}
	for k, v := range kv {
		if k = k[len(partial):]; k != "" {
			if below[k[0]] == nil {
				below[k[0]] = map[string][]byte{}
			}
			below[k[0]][k[1:]] = v
		}
	}
	value, hasValue := kv[partial]
	hashed := hasValue && version == 1 && len(value) >= 33

	// The two to four high bits of the header, and how many are left for the length.
	var high byte
	var room int
	switch {
	case len(below) == 0 && hashed:
		high, room = 0b001, 5
	case len(below) == 0:
		high, room = 0b01, 6
	case hashed:
		high, room = 0b0001, 4
	case hasValue:
		high, room = 0b11, 6
	default:
		high, room = 0b10, 6
	}
	var out []byte
	most := 1<<room - 1
	if len(partial) < most {
		out = append(out, high<<room|byte(len(partial)))
	} else {
		out = append(out, high<<room|byte(most))
		rest := len(partial) - most
		for rest >= 255 {
			out = append(out, 255)
			rest -= 255
		}
		out = append(out, byte(rest))
	}
	digits := partial
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	out = append(out, unhex(digits)...)
	if len(below) > 0 {
		var bitmap uint16
		for c := range below {
			bitmap |= 1 << digit(c)
		}
		out = binary.LittleEndian.AppendUint16(out, bitmap)
	}
	switch {
	case hashed:
		h := blake2b.Sum256(value)
		t.db[h] = value
		out = append(out, h[:]...)
	case hasValue:
		out = append(append(out, refCompact(len(value))...), value...)
	}
	for _, c := range []byte("0123456789abcdef") {
		if below[c] == nil {
			continue
		}
		child := t.encode(version, below[c])
		if len(child) >= 32 {
			h := blake2b.Sum256(child)
			t.db[h] = child
			child = h[:]
		}
		out = append(append(out, refCompact(len(child))...), child...)
	}
	return out
}

func digit(c byte) int { return strings.IndexByte("0123456789abcdef", c) }

func unhex(s string) []byte {
	var out []byte
	for i := 0; i < len(s); i += 2 {
		out = append(out, byte(digit(s[i])<<4|digit(s[i+1])))
	}
	return out
}

func tohex(b []byte) string { return fmt.Sprintf("%x", b) }

func refCompact(n int) []byte {
	switch {
	case n < 64:
		return []byte{byte(n << 2)}
	case n < 1<<14:
		return []byte{byte(n<<2 | 1), byte(n >> 6)}
	case n < 1<<30:
		return []byte{byte(n<<2 | 2), byte(n >> 6), byte(n >> 14), byte(n >> 22)}
	}
	panic("too long for a test")
}

// refNode is a decoded node.
type refNode struct {
	partial  string
	value    []byte
	hasValue bool
	hashed   bool // value is a hash
	children map[byte][]byte
}

// errRef is thrown by the reference decoder.
type errRef string

// decodeRef decodes a node and, to know that they are good, the nodes inside it; it panics with errRef.
func decodeRef(b []byte, root bool) refNode {
	take := func(n int) []byte {
		if n > len(b) {
			panic(errRef("short"))
		}
		p := b[:n]
		b = b[n:]
		return p
	}
	compact := func() int {
		n := int(take(1)[0])
		switch n & 3 {
		case 0:
			return n >> 2
		case 1:
			n = (n | int(take(1)[0])<<8) >> 2
			if n < 64 {
				panic(errRef("compact"))
			}
			return n
		case 2:
			p := take(3)
			n = (n | int(p[0])<<8 | int(p[1])<<16 | int(p[2])<<24) >> 2
			if n < 1<<14 {
				panic(errRef("compact"))
			}
			return n
		}
		panic(errRef("a length of 2^30 or more"))
	}
	n := refNode{children: map[byte][]byte{}}
	header := take(1)[0]
	if header == 0 {
		if !root || len(b) > 0 {
			panic(errRef("empty node"))
		}
		return n
	}
	bits := fmt.Sprintf("%08b", header)
	var room int
	branch := false
	switch {
	case strings.HasPrefix(bits, "01"):
		room, n.hasValue = 6, true
	case strings.HasPrefix(bits, "10"):
		room, branch = 6, true
	case strings.HasPrefix(bits, "11"):
		room, branch, n.hasValue = 6, true, true
	case strings.HasPrefix(bits, "001"):
		room, n.hasValue, n.hashed = 5, true, true
	case strings.HasPrefix(bits, "0001"):
		room, branch, n.hasValue, n.hashed = 4, true, true, true
	default:
		panic(errRef("header"))
	}
	length := int(header) % (1 << room)
	if length == 1<<room-1 {
		for more := 255; more == 255; length += more {
			more = int(take(1)[0])
		}
	}
	if length > 65535 {
		panic(errRef("partial key too long"))
	}
	n.partial = tohex(take((length + 1) / 2))
	if length%2 == 1 {
		if n.partial[0] != '0' {
			panic(errRef("padding"))
		}
		n.partial = n.partial[1:]
	}
	var bitmap uint16
	if branch {
		if bitmap = binary.LittleEndian.Uint16(take(2)); bitmap == 0 {
			panic(errRef("bitmap"))
		}
	}
	if n.hashed {
		n.value = take(32)
	} else if n.hasValue {
		n.value = take(compact())
	}
	for i, c := range []byte("0123456789abcdef") {
		if bitmap&(1<<i) == 0 {
			continue
		}
		size := compact()
		if size > 32 {
			panic(errRef("child"))
		}
		child := take(size)
		if size < 32 {
			decodeRef(child, false)
		}
		n.children[c] = child
	}
	if branch && !n.hasValue && len(n.children) == 1 {
		panic(errRef("branch with one child"))
	}
	if len(b) > 0 {
		panic(errRef("trailing"))
	}
	return n
}

// errMissing is thrown when an entry is not in the database.
type errMissing string

func (t refTrie) entry(h []byte) []byte {
	e, ok := t.db[refHash(h)]
	if !ok {
		panic(errMissing(tohex(h)))
	}
	return e
}

// try calls f and returns what it throws.
func try(f func()) (missing, bad bool) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case errMissing:
			missing = true
		case errRef:
			bad = true
		default:
			panic(e)
		}
	}()
	f()
	return
}

// get looks up a key in hex.
func (t refTrie) get(key string) (value []byte, o Outcome, bad bool) {
	o = Absent
	var walk func(enc []byte, key string, root bool)
	walk = func(enc []byte, key string, root bool) {
		n := decodeRef(enc, root)
		if !strings.HasPrefix(key, n.partial) {
			return
		}
		key = key[len(n.partial):]
		switch {
		case key == "" && n.hashed:
			value, o = t.entry(n.value), Present
		case key == "" && n.hasValue:
			value, o = n.value, Present
		case key != "" && n.children[key[0]] != nil:
			child := n.children[key[0]]
			if len(child) == 32 {
				child = t.entry(child)
			}
			walk(child, key[1:], false)
		}
	}
	missing, bad := try(func() { walk(t.entry(t.root[:]), key, true) })
	if missing || bad {
		return nil, Incomplete, bad
	}
	return value, o, false
}

// keys returns the keys in hex that are there, and the paths at which an entry is missing, both in order.
// It gives up, with ok false, on a malformed node or after many nodes.
func (t refTrie) keys() (keys, missing []string, ok bool) {
	visits := 0
	var walk func(path string, enc []byte, root bool)
	walk = func(path string, enc []byte, root bool) {
		if visits++; visits > 3_000 {
			panic(errRef("too large for a test"))
		}
		n := decodeRef(enc, root)
		path += n.partial
		if n.hasValue {
			if len(path)%2 == 1 {
				panic(errRef("odd key"))
			}
			keys = append(keys, path)
		}
		for _, c := range slices.Sorted(maps.Keys(n.children)) {
			child := n.children[c]
			if len(child) == 32 {
				e, found := t.db[refHash(child)]
				if !found {
					missing = append(missing, path+string(c))
					continue
				}
				child = e
			}
			walk(path+string(c), child, false)
		}
	}
	none, bad := try(func() { walk("", t.entry(t.root[:]), true) })
	if none {
		missing = append(missing, "")
	}
	return keys, missing, !bad
}

// entries returns all entries, sorted by their bytes.
func (t refTrie) entries() [][]byte {
	var out [][]byte
	for _, e := range t.db {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return string(out[i]) < string(out[j]) })
	return out
}

// randomState returns a map, keys in hex, of n keys at most: short keys that often begin alike, as of maps
// in a pallet, a few long ones, and values around the lengths at which the encoding changes.
func randomState(rng *rand.Rand, n int) map[string][]byte {
	kv := map[string][]byte{}
	sizes := []int{0, 1, 2, 20, 26, 27, 28, 29, 30, 31, 32, 33, 34, 63, 64, 100}
	for range n {
		kv[randomKey(rng)] = randomBytes(rng, sizes[rng.IntN(len(sizes))])
	}
	return kv
}

// randomBytes has few distinct values, so that equal subtrees come up.
func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	c := byte(rng.IntN(3))
	for i := range b {
		b[i] = c
	}
	return b
}

func randomKey(rng *rand.Rand) string {
	alphabet := []string{"01", "0f", "123", "0123456789abcdef"}[rng.IntN(4)]
	key := ""
	if rng.IntN(3) == 0 {
		key = strings.Repeat("ab", rng.IntN(50))
	}
	for range 2 * rng.IntN(5) {
		key += string(alphabet[rng.IntN(len(alphabet))])
	}
	if rng.IntN(4) == 0 {
		key += strings.Repeat("c0", rng.IntN(20))
	}
	return key
}
