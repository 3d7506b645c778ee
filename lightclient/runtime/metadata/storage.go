package metadata

import (
	"bytes"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A Hasher is how a part of a map's key becomes a part of the storage key
// (frame_metadata::StorageHasher).
type Hasher uint8

// The hashers, in the order of their encoding.
const (
	Blake2_128 Hasher = iota
	Blake2_256
	Blake2_128Concat
	Twox128
	Twox256
	Twox64Concat
	Identity
)

var hasherNames = [...]string{"Blake2_128", "Blake2_256", "Blake2_128Concat", "Twox128", "Twox256", "Twox64Concat", "Identity"}

// String returns the name as Substrate has it.
func (h Hasher) String() string { return hasherNames[h] }

// size returns the bytes of the hash alone, and whether what was hashed follows it.
func (h Hasher) size() (n int, concat bool) {
	switch h {
	case Blake2_128, Twox128:
		return 16, false
	case Blake2_256, Twox256:
		return 32, false
	case Blake2_128Concat:
		return 16, true
	case Twox64Concat:
		return 8, true
	}
	return 0, true
}

// append appends a part of a key under the hasher.
func (h Hasher) append(b, part []byte) []byte {
	switch h {
	case Blake2_128:
		x := verify.Blake2b128(part)
		return append(b, x[:]...)
	case Blake2_256:
		x := verify.Blake2b256(part)
		return append(b, x[:]...)
	case Blake2_128Concat:
		return verify.AppendBlake2b128Concat(b, part)
	case Twox128:
		x := verify.Twox128(part)
		return append(b, x[:]...)
	case Twox256:
		x := verify.Twox256(part)
		return append(b, x[:]...)
	case Twox64Concat:
		return verify.AppendTwox64Concat(b, part)
	}
	return append(b, part...)
}

// An Item is a storage item of a pallet: a value, or a map with a key of one or more parts.
type Item struct {
	Name     string
	Optional bool     // what is absent is nothing; else it is the default
	Hashers  []Hasher // one for each part of the key; none for a value
	Keys     []ID     // the types of those parts
	Value    ID
	Default  []byte // SCALE; of an Optional item a 0
	Docs     Docs

	m      *Metadata
	pallet *Pallet
}

// Item returns the storage item of a name like System.Account; small and capital letters are the
// same.
func (m *Metadata) Item(name string) (*Item, error) {
	p, rest, err := m.split(name)
	if err != nil {
		return nil, err
	}
	i, err := find("storage item of "+p.Name, rest, len(p.Items), func(i int) string { return p.Items[i].Name })
	if err != nil {
		return nil, err
	}
	return &p.Items[i], nil
}

// ItemOf returns the storage item that a key is of, or begins with; nil if there is none.
func (m *Metadata) ItemOf(key []byte) *Item {
	if len(key) < 32 {
		return nil
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if half := verify.Twox128([]byte(p.Prefix)); len(p.Items) == 0 || !bytes.Equal(half[:], key[:16]) {
			continue
		}
		for j := range p.Items {
			if half := verify.Twox128([]byte(p.Items[j].Name)); bytes.Equal(half[:], key[16:32]) {
				return &p.Items[j]
			}
		}
	}
	return nil
}

// String returns PALLET.NAME.
func (it *Item) String() string { return it.pallet.Name + "." + it.Name }

// Pallet returns the pallet that the item is of.
func (it *Item) Pallet() *Pallet { return it.pallet }

// Prefix returns what the item's keys begin with, or the key of an item that is a value.
func (it *Item) Prefix() []byte { return verify.StorageKey(it.pallet.Prefix, it.Name) }

// Key returns the key of a value, from the SCALE bytes of each part; with fewer parts than the item
// has, what the keys of all values under them begin with. It does not look into the parts.
func (it *Item) Key(parts ...[]byte) ([]byte, error) {
	if len(parts) > len(it.Hashers) {
		return nil, fmt.Errorf("%w: %v has a key of %d parts, not %d", ErrInput, it, len(it.Hashers), len(parts))
	}
	k := it.Prefix()
	for i, p := range parts {
		k = it.Hashers[i].append(k, p)
	}
	return k, nil
}

// KeyWords is Key for parts as they are typed (see EncodeWord).
func (it *Item) KeyWords(words ...string) ([]byte, error) {
	if len(words) > len(it.Hashers) {
		return nil, fmt.Errorf("%w: %v has a key of %s, not %d", ErrInput, it, it.Wants(), len(words))
	}
	parts := make([][]byte, len(words))
	for i, w := range words {
		part, err := it.m.Types.EncodeWord(it.Keys[i], w)
		if err != nil {
			return nil, fmt.Errorf("%v: key %d: %w", it, i+1, err)
		}
		parts[i] = part
	}
	return it.Key(parts...)
}

// Wants says what the key of the item is made of, in words: "2 parts: u16, AccountId32".
func (it *Item) Wants() string {
	switch len(it.Keys) {
	case 0:
		return "no parts"
	case 1:
		return "1 part: " + it.m.Types.Name(it.Keys[0])
	}
	s := fmt.Sprintf("%d parts: ", len(it.Keys))
	for i, id := range it.Keys {
		if i > 0 {
			s += ", "
		}
		s += it.m.Types.Name(id)
	}
	return s
}

// Complete reports whether so many parts make the key of a single value.
func (it *Item) Complete(parts int) bool { return parts == len(it.Hashers) }

// SplitKey takes a whole key of the item apart, into the SCALE bytes of its parts, which alias key.
// Each hash in it is checked. Where a hasher keeps only the hash, the error is ErrOneWay and the parts
// are those before it.
func (it *Item) SplitKey(key []byte) ([][]byte, error) {
	if !bytes.HasPrefix(key, it.Prefix()) {
		return nil, fmt.Errorf("%w: %v: it begins otherwise", ErrKey, it)
	}
	rest := key[32:]
	parts := make([][]byte, 0, len(it.Hashers))
	for i, h := range it.Hashers {
		n, concat := h.size()
		if len(rest) < n {
			return parts, fmt.Errorf("%w: %v: part %d is cut off", ErrKey, it, i+1)
		}
		if !concat {
			return parts, fmt.Errorf("%w: %v: part %d is a %v", ErrOneWay, it, i+1, h)
		}
		r := it.m.Types.NewReader(rest[n:])
		r.Skip(it.Keys[i])
		if err := r.Err(); err != nil {
			return parts, fmt.Errorf("%w: %v: part %d: %w", ErrKey, it, i+1, err)
		}
		size := n + r.Offset()
		part := rest[n:size:size]
		if !bytes.Equal(h.append(nil, part), rest[:size]) {
			return parts, fmt.Errorf("%w: %v: part %d has another hash", ErrKey, it, i+1)
		}
		parts = append(parts, part)
		rest = rest[size:]
	}
	if len(rest) > 0 {
		return parts, fmt.Errorf("%w: %v: %w: %d", ErrKey, it, scale.ErrTrailing, len(rest))
	}
	return parts, nil
}

// SplitKeyValues is SplitKey with the parts decoded.
func (it *Item) SplitKeyValues(key []byte) ([]Value, error) {
	parts, err := it.SplitKey(key)
	values := make([]Value, len(parts))
	for i, p := range parts {
		v, err := it.m.Types.Decode(it.Keys[i], p)
		if err != nil {
			return nil, fmt.Errorf("%w: %v: part %d: %w", ErrKey, it, i+1, err)
		}
		values[i] = v
	}
	return values, err
}

// Decode reads a value of the item. nil stands for one that is absent: that is the default, and ok is
// false if the item is Optional, which has none.
func (it *Item) Decode(value []byte) (v Value, ok bool, err error) {
	if value == nil {
		if it.Optional {
			return Value{}, false, nil
		}
		value = it.Default
	}
	if v, err = it.m.Types.Decode(it.Value, value); err != nil {
		return Value{}, false, fmt.Errorf("%v: %w", it, err)
	}
	return v, true, nil
}
