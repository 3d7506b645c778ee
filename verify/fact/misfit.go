package fact

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/trie"
)

// Bounds on the work of telling a wrong proof from a lacking one: it is not OK either way.
const (
	misfitWork = 64 << 20 // bytes searched for one key
	misfitKeys = 8        // incomplete keys looked into

	misfitKeySize = 256 // bytes; the keys of this chain are shorter than 200
)

// misfit tells a proof in which something is wrong from one that merely lacks something, for a key
// whose lookup was incomplete. To the lookup an entry with a changed byte is a missing one. But an
// entry that would lead on to the key in the missing one's place, and has another hash than the one
// asked for there, was put there in its stead; and so were entries that prove the key under another
// root, or an entry that nothing refers to where the value is missing. It returns nil if none of this
// can be shown.
func misfit(p *trie.Proof, nodes [][]byte, key []byte) error {
	hashes := make([]verify.Hash, len(nodes))
	for i, n := range nodes {
		hashes[i] = verify.Blake2b256(n)
	}
	root := p.Root()
	loose := unreferred(nodes, hashes)
	loose = slices.DeleteFunc(loose, func(i int) bool { return hashes[i] == root })
	if len(loose) == 0 {
		return nil
	}
	if want, o, err := p.ValueHash(key); err == nil && o == trie.Present {
		return fmt.Errorf("%w: the value has hash %v, and entry %d, which nothing refers to, has not", ErrMismatch, want, loose[0])
	}
	for _, i := range loose {
		// A value does not hold another entry's hash, so this entry was meant as a node.
		if refers(nodes[i], hashes) && malformed(nodes, hashes[i]) {
			return fmt.Errorf("%w: entry %d, which nothing refers to, is no node", ErrMismatch, i)
		}
	}
	depth, ok := missingDepth(p, key)
	if !ok {
		return nil
	}
	for _, i := range loose {
		if !leads(nodes, hashes[i], key, depth) {
			continue
		}
		if depth == 0 {
			return fmt.Errorf("%w: the proof is for state root %v, not %v", ErrMismatch, hashes[i], root)
		}
		return fmt.Errorf("%w: entry %d has not the hash that the node above it states", ErrMismatch, i)
	}
	return nil
}

// unreferred returns the entries whose hash stands in no other entry.
func unreferred(nodes [][]byte, hashes []verify.Hash) []int {
	size := 0
	for _, n := range nodes {
		size += len(n)
	}
	if size != 0 && len(nodes) > misfitWork/size {
		return nil
	}
	var out []int
	for i := range nodes {
		held := func(n []byte) bool { return bytes.Contains(n, hashes[i][:]) }
		if !slices.ContainsFunc(nodes, held) {
			out = append(out, i)
		}
	}
	return out
}

// refers reports whether the entry n holds the hash of another one.
func refers(n []byte, hashes []verify.Hash) bool {
	return slices.ContainsFunc(hashes, func(h verify.Hash) bool { return bytes.Contains(n, h[:]) })
}

// malformed reports whether the entry with hash h does not decode.
func malformed(nodes [][]byte, h verify.Hash) bool {
	p, err := trie.NewProof(h, nodes)
	if err != nil {
		return false
	}
	_, _, err = p.ValueHash(nil)
	return errors.Is(err, trie.ErrNode)
}

// missingDepth returns the depth in nibbles of the entry that the lookup of key stops for. It is not
// known where a zero nibble leaves two depths to choose from.
func missingDepth(p *trie.Proof, key []byte) (int, bool) {
	if len(key) > misfitKeySize {
		return 0, false
	}
	// A prefix that ends at the missing entry or below it is what has to be asked for, so it comes
	// back alone. From the full key upwards that takes a walk down the path each time; only the one
	// prefix too short has other entries below it to look through.
	back := func(k int) bool {
		first, err := p.MissingKeys(key[:k], nil, 1)
		return err == nil && len(first) == 1 && bytes.Equal(first[0], key[:k])
	}
	k := len(key)
	if !back(k) {
		return 0, false
	}
	for k > 0 && back(k-1) {
		k--
	}
	if k == 0 {
		return 0, true
	}
	if key[k-1]&0x0f == 0 {
		return 0, false
	}
	above, err := p.MissingKeys(key[:k-1], nil, 4096)
	if err != nil {
		return 0, false
	}
	odd := append(bytes.Clone(key[:k-1]), key[k-1]&0xf0)
	for _, m := range above {
		switch {
		case bytes.Equal(m, key[:k]):
			return 2 * k, true
		case bytes.Equal(m, odd):
			return 2*k - 1, true
		}
	}
	return 0, false
}

// leads reports whether the entry with hash h, standing at that depth, leads to a value for key.
func leads(nodes [][]byte, h verify.Hash, key []byte, depth int) bool {
	rest := key[depth/2:]
	if depth%2 == 1 {
		// A lookup begins with a whole byte, so a branch is put above the entry that takes the first
		// nibble: two children, ours and one that leads nowhere.
		ours, other := rest[0]>>4, (rest[0]>>4+1)%16
		bitmap := uint16(1)<<ours | uint16(1)<<other
		top := []byte{0x80, byte(bitmap), byte(bitmap >> 8)}
		for n := byte(0); n < 16; n++ {
			switch n {
			case ours:
				top = append(append(top, 0x80), h[:]...)
			case other:
				top = append(append(top, 0x80), make([]byte, 32)...)
			}
		}
		nodes = append([][]byte{top}, nodes...)
		h = verify.Blake2b256(top)
	}
	p, err := trie.NewProof(h, nodes)
	if err != nil {
		return false
	}
	_, o, err := p.ValueHash(rest)
	return err == nil && o == trie.Present
}
