package lightclient

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/subtensor"
)

// A ledger is a chain of nothing but one subnet's schedule.
type ledger struct {
	spec   uint32
	head   uint32
	tempo  uint16
	begins []uint32        // epoch i+1 begins in begins[i]
	set    map[uint32]bool // blocks in which the tempo was set: they count as the last epoch's as well
	oldest uint32          // state that is not pruned
	looks  int
}

func (l *ledger) final() FinalBlock {
	return FinalBlock{Header: &verify.Header{Number: l.head}}
}
func (l *ledger) keysAt(uint32, []byte, int) ([][]byte, error) { return nil, nil }
func (l *ledger) reveals(uint32) ([]reveal, error)             { return nil, nil }

func (l *ledger) with(number uint32, f func(subtensor.State) error) (FinalBlock, error) {
	if number < l.oldest {
		return FinalBlock{}, &PrunedError{Number: number, Asked: 1, None: 1}
	}
	l.looks++
	return FinalBlock{Header: &verify.Header{Number: number}}, f(ledgerState{l, number})
}

type ledgerState struct {
	*ledger
	number uint32
}

func (s ledgerState) Load(keys ...[]byte) ([][]byte, error) {
	var index, last uint64
	for _, b := range s.begins {
		if b <= s.number {
			index, last = index+1, uint64(b)
		}
	}
	for b := range s.set {
		if b <= s.number && uint64(b) > last {
			last = uint64(b)
		}
	}
	u64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	known := map[string][]byte{
		string(subtensor.KeySubnet("NetworksAdded", 1)):       {1},
		string(subtensor.KeySubnet("Tempo", 1)):               binary.LittleEndian.AppendUint16(nil, s.tempo),
		string(subtensor.KeySubnet("SubnetEpochIndex", 1)):    u64(index),
		string(subtensor.KeySubnet("LastEpochBlock", 1)):      u64(last),
		string(subtensor.KeyValue("LastRuntimeUpgrade")):      append([]byte{byte(s.spec<<2) | 1, byte(s.spec >> 6)}, 4, 'x'),
		string(subtensor.KeySubnet("BlocksSinceLastStep", 1)): u64(0),
	}
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = known[string(k)]
	}
	return out, nil
}

// TestFirst: the first block of an epoch is the one whose state begins it, whatever the schedule says
// of its last one; and if that cannot be seen, nothing is said.
func TestFirst(t *testing.T) {
	base := ledger{spec: 425, head: 400, tempo: 100, begins: []uint32{90, 190, 290, 390}}
	for name, c := range map[string]struct {
		change func(*ledger)
		want   []uint32 // of the epochs, from the newest on
		err    error
		looks  int
	}{
		"plain":                 {func(*ledger) {}, []uint32{390, 290, 190, 90}, nil, 9},
		"long since":            {func(l *ledger) { l.head = 489 }, []uint32{390, 290}, nil, 0},
		"the head is the first": {func(l *ledger) { l.head = 390 }, []uint32{390, 290}, nil, 0},
		"tempo set":             {func(l *ledger) { l.set = map[uint32]bool{395: true, 300: true, 389: true} }, []uint32{390, 290, 190}, nil, 0},
		"tempo set at once":     {func(l *ledger) { l.set = map[uint32]bool{391: true, 390: true} }, []uint32{390, 290}, nil, 0},
		"late by far":           {func(l *ledger) { l.begins = []uint32{2, 400}; l.set = map[uint32]bool{350: true} }, []uint32{400, 2}, nil, 0},
		"pruned before":         {func(l *ledger) { l.oldest = 390 }, nil, ErrPruned, 0},
		"pruned further":        {func(l *ledger) { l.oldest = 295 }, []uint32{390}, ErrPruned, 0},
		"pruned, tempo set":     {func(l *ledger) { l.oldest = 391; l.set = map[uint32]bool{397: true} }, nil, ErrPruned, 0},
		"legacy":                {func(l *ledger) { l.spec, l.tempo = 422, 99 }, []uint32{398, 298, 198, 98}, nil, 9},
		"other rules":           {func(l *ledger) { l.spec = 426 }, nil, ErrUnknownRules, 0},
	} {
		l := base
		c.change(&l)
		q, err := newQuestion(&l, "", 1, 0, 12_000, drand.Quicknet(), CommitmentsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []uint32
		v, err := q.view(l.head)
		for err == nil && len(got) < len(c.want)+1 {
			var b uint32
			if b, err = q.first(v, v.epoch(1)); err == nil {
				got = append(got, b)
				if len(got) == len(c.want) && c.err == nil {
					break
				}
				v, err = q.view(b - 1)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, err, c.want, c.err)
		}
		if c.looks != 0 && l.looks > c.looks {
			t.Errorf("%s: %d looks at states, %d are enough", name, l.looks, c.looks)
		}
	}
}
