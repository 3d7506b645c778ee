package demonet

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/subtensor"
)

func TestPulses(t *testing.T) {
	// Slots of 12 s: four rounds each, and what is kept of them is over soon.
	c := quiet(t, Config{History: 200, BlockTime: 12 * time.Second, Archive: true})
	b := imitated(c).crowd.beacon
	v, err := drand.NewVerifier(b.Beacon)
	if err != nil {
		t.Fatal(err)
	}
	u64At := func(n uint32, name string) uint64 {
		p := &pallet{t: c.at32(t, n).t}
		return p.number(pulsePrefix(name), 0)
	}
	last, pulses := uint64(0), make(map[uint64]bool)
	for n := range uint32(201) {
		state := c.at32(t, n).t
		now, _ := state.Get(subtensor.KeyTimestampNow())
		newest := b.RoundAt(binary.LittleEndian.Uint64(now) / 1000)
		stored, oldest := u64At(n, "LastStoredRound"), u64At(n, "OldestStoredRound")
		if stored < last || stored > newest || newest-stored > 4*pulseEvery+4 {
			t.Fatalf("block %d: newest stored round is %d after %d, newest is %d", n, stored, last, newest)
		}
		last = stored
		for _, key := range state.Keys(pulsePrefix("Pulses"), nil, 0) {
			value, _ := state.Get(key)
			s, err := drand.DecodeStored(value)
			if err != nil || len(value) != 90 {
				t.Fatalf("block %d: %d bytes, %v", n, len(value), err)
			}
			if s.Round < oldest || s.Round > stored || lost(s.Round) || !bytes.Equal(key, subtensor.KeyPulse(s.Round)) {
				t.Fatalf("block %d: there is round %d of %d to %d", n, s.Round, oldest, stored)
			}
			if pulses[s.Round] {
				continue
			}
			pulses[s.Round] = true
			p, err := s.Pulse()
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Verify(p); err != nil {
				t.Errorf("round %d: %v", s.Round, err)
			}
			if r := p.Randomness(); !bytes.Equal(s.Randomness, r[:]) {
				t.Errorf("round %d has a randomness of its own", s.Round)
			}
		}
		if _, ok := state.Get(subtensor.KeyPulse(stored)); !ok {
			t.Fatalf("block %d: the newest round %d is not there", n, stored)
		}
	}
	if first, oldest := u64At(0, "OldestStoredRound"), u64At(200, "OldestStoredRound"); oldest != last-keptPulses+1 || oldest <= first {
		t.Errorf("oldest round is %d at the end, newest %d", oldest, last)
	}
	if missing := len(pulses); missing > 80 {
		t.Errorf("%d pulses were signed in 200 blocks", missing)
	}
}

func pulsePrefix(name string) []byte {
	return verify.StorageKey("Drand", name)
}

// TestBeaconIsExported: whoever has the chain spec or the checkpoint can check pulses.
func TestBeaconIsExported(t *testing.T) {
	n := network(t, Config{Peers: 1, Quiet: true})
	var b bytes.Buffer
	if err := n.SpecJSON(&b); err != nil {
		t.Fatal(err)
	}
	cp, err := checkpoint.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if cp.Beacon() != n.Beacon() || n.Checkpoint().Beacon() != n.Beacon() || n.Beacon() == drand.Quicknet() {
		t.Errorf("spec has %+v, checkpoint %+v, network %+v", cp.Beacon(), n.Checkpoint().Beacon(), n.Beacon())
	}
	if err := n.Checkpoint().Check(); err != nil {
		t.Error(err)
	}
}
