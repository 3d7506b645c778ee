package subtensor

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A Batch is a set of reads that one Load answers. Each read names where its value goes: a pointer to
// bool, uint8, uint16, uint32, uint64, int16, verify.AccountID, verify.Hash, []bool, []uint16,
// []uint64, []Weight, []Relation, or Bytes; or a func(present bool, r *scale.Reader) that reads it.
// A key that is proven absent gives the default of its item, and leaves the place as it was if the
// item has none. The zero Batch is empty and ready for use.
type Batch struct {
	keys  [][]byte
	reads []read
}

// Bytes is a place for the value of a key as it is: nil if the key is absent.
type Bytes []byte

type read struct {
	item string
	into any
}

// Value adds a read of an item that is one value.
func (q *Batch) Value(item string, into any) { q.Key(item, KeyValue(item), into) }

// Subnet adds a read of an item that is kept by netuid alone, or by storage index alone.
func (q *Batch) Subnet(item string, netuid uint16, into any) {
	q.Key(item, KeySubnet(item, netuid), into)
}

// Key adds a read of one key of an item.
func (q *Batch) Key(item string, key []byte, into any) {
	q.keys = append(q.keys, key)
	q.reads = append(q.reads, read{item, into})
}

// Load loads all keys at once and reads the values, in the order in which they were added. It stops
// at the first value that does not decode: ErrLayout, with its item.
func (q *Batch) Load(s State) error {
	for i, k := range q.keys {
		if len(k) == 0 {
			return fmt.Errorf("%s: %w: no such item, or not one of this kind", q.reads[i].item, ErrLayout)
		}
	}
	if len(q.keys) == 0 {
		return nil
	}
	values, err := s.Load(q.keys...)
	if err != nil {
		return err
	}
	if len(values) != len(q.keys) {
		return fmt.Errorf("%w: %d values for %d keys", ErrUnproven, len(values), len(q.keys))
	}
	for i, v := range values {
		if err := q.reads[i].take(v); err != nil {
			return err
		}
	}
	return nil
}

// take reads one value, nil if there is none.
func (c read) take(value []byte) error {
	if into, ok := c.into.(*Bytes); ok {
		*into = value
		return nil
	}
	present := value != nil
	if !present {
		value = items[c.item].absent
	}
	r := scale.NewReader(value)
	if into, ok := c.into.(func(bool, *scale.Reader)); ok {
		into(present, r)
		return finish(c.item, r)
	}
	if value == nil {
		return nil
	}
	switch into := c.into.(type) {
	case *bool:
		*into = r.Bool()
	case *uint8:
		*into = r.Byte()
	case *uint16:
		*into = r.U16()
	case *uint32:
		*into = r.U32()
	case *uint64:
		*into = r.U64()
	case *int16:
		*into = int16(r.U16())
	case *verify.AccountID:
		r.Copy(into[:])
	case *verify.Hash:
		r.Copy(into[:])
	case *[]bool:
		*into = sequence(r, 1, MaxByUID, (*scale.Reader).Bool)
	case *[]uint16:
		*into = sequence(r, 2, MaxByUID, (*scale.Reader).U16)
	case *[]uint64:
		*into = sequence(r, 8, MaxByUID, (*scale.Reader).U64)
	case *[]Weight:
		*into = sequence(r, 4, MaxByUID, readWeight)
	case *[]Relation:
		*into = sequence(r, 40, MaxRelations, readRelation)
	default:
		return fmt.Errorf("%s: %w: no way to read a %T", c.item, ErrLayout, into)
	}
	return finish(c.item, r)
}
