package demonet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

// TestBodies: what was done is in the body, and every event has its place.
func TestBodies(t *testing.T) {
	c := quiet(t, Config{History: 70, CommitFaults: CommitFaults()})
	type call [2]byte
	calls := make(map[call]int)
	for _, b := range c.canon[1:] {
		for _, x := range b.body {
			r := scale.NewReader(x)
			r.Blob(-1)
			if r.Finish() != nil || x[len(x)-r.Offset()+1] == 0 {
				t.Fatalf("block %d: an extrinsic is not %d bytes long", b.header.Number, len(x))
			}
			inner := scale.NewReader(x).Blob(-1)
			calls[call{inner[1], inner[2]}]++
		}
		events, _ := b.state.Get(imitated(c).layout.events)
		count, _ := b.state.Get(imitated(c).layout.eventCount)
		if got := decodeEvents(t, events); got != int(binary.LittleEndian.Uint32(count)) {
			t.Fatalf("block %d: %d events, the count is %d", b.header.Number, got, count)
		}
	}
	made := make(map[CommitKind]int)
	reveals := 0
	for _, r := range c.commits() {
		made[r.Kind]++
		if r.Kind == HashCommit && (r.RevealedAt != 0 || r.Refused != "") {
			reveals++
		}
	}
	if calls[call{7, 118}] != made[TimelockedCommit] || calls[call{7, 115}] != made[HashCommit] || calls[call{7, 116}] != reveals || calls[call{26, 0}] == 0 {
		t.Errorf("calls %v for %v commits and %d reveals", calls, made, reveals)
	}
	// The call of a timelocked commit, argument by argument.
	for _, r := range c.commits() {
		if r.Kind != TimelockedCommit {
			continue
		}
		found := false
		for _, x := range c.at(r.Block).body {
			in := scale.NewReader(scale.NewReader(x).Blob(-1))
			if !bytes.Equal(in.Bytes(3), []byte{4, 7, 118}) {
				continue
			}
			netuid, mecid, box, round, version := in.U16(), in.Byte(), in.Blob(5000), in.U64(), in.U16()
			if err := in.Finish(); err != nil {
				t.Fatal(err)
			}
			found = found || netuid == r.Netuid && mecid == r.Mecid && bytes.Equal(box, r.Ciphertext) && round == r.Round && version == 4
		}
		if !found {
			t.Errorf("no extrinsic of block %d makes the commit of uid %d", r.Block, r.UID)
		}
	}
}

// decodeEvents reads System.Events as far as this network has them.
func decodeEvents(t *testing.T, b []byte) int {
	t.Helper()
	r := scale.NewReader(b)
	n := r.Count(3, len(b))
	last := byte(2)
	for range n {
		switch phase := r.Byte(); {
		case phase == 0:
			r.U32()
			last = 0
		case phase != 2 || last != 2:
			t.Fatalf("phase %d", phase)
		}
		dispatch := func() {
			r.Compact()
			r.Compact()
			r.Bytes(2)
		}
		switch pallet, index := r.Byte(), r.Byte(); {
		case pallet == 0 && index == 0:
			dispatch()
		case pallet == 0 && index == 1:
			r.Bytes(6) // DispatchError::Module
			dispatch()
		case pallet == 7 && index == eventWeightsSet:
			r.Bytes(4)
		case pallet == 7 && (index == eventWeightsCommitted || index == eventWeightsRevealed):
			r.Bytes(32 + 2 + 32)
		case pallet == 7 && index == eventTimelockedCommitted:
			r.Bytes(32 + 2 + 32 + 8)
		case pallet == 7 && index == eventTimelockedRevealed:
			r.Bytes(2 + 32)
		case pallet == 7 && index == eventEpochDeferred:
			r.Bytes(2 + 8 + 8)
		case pallet == 26 && index == 1:
			r.Bytes(8 * r.Count(8, 100))
		default:
			t.Fatalf("event %d of pallet %d", index, pallet)
		}
		if topics := r.Compact(); topics != 0 {
			t.Fatalf("%d topics", topics)
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatalf("events: %v", err)
	}
	return n
}
