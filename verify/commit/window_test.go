package commit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

func rulesOf(t testing.TB, spec uint32) rules.Set {
	t.Helper()
	r, err := rules.For(spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWindow(t *testing.T) {
	f := Facts{Rules: rulesOf(t, 425), Netuid: 7, RevealPeriod: 2, Schedule: yuma.Schedule{Tempo: 100, LastEpochBlock: 900, SubnetEpochIndex: 12}}
	for _, tt := range []struct {
		epoch, block uint64
		want         Reason
	}{
		{10, 999, Stored},   // epoch 12
		{10, 1000, Expired}, // the slot is due, and counts
		{11, 999, TooEarly},
		{11, 1000, Stored},
		{9, 999, Expired},
		{12, 1000, TooEarly},
		{1<<64 - 1, 1000, TooEarly},
	} {
		c := subtensor.HashCommit{Epoch: tt.epoch, Block: 1, First: 5, Last: 6}
		if got := f.Window(c, tt.block); got != tt.want {
			t.Errorf("epoch %d in block %d: %v, want %v", tt.epoch, tt.block, got, tt.want)
		}
	}

	// Up to spec 422: what the entry says, as long as nothing changed meanwhile.
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		tempo, netuid, period := uint16(rnd.IntN(400)), uint16(rnd.IntN(128)), uint64(1+rnd.IntN(4))
		f := Facts{Rules: rulesOf(t, 422), Netuid: netuid, RevealPeriod: period, Schedule: yuma.Schedule{Tempo: tempo}}
		c := subtensor.HashCommit{Block: 10_000 + rnd.Uint64N(100_000)}
		// get_reveal_blocks
		epoch := (c.Block + uint64(netuid) + 1) / (uint64(tempo) + 1)
		c.First = (epoch+period)*(uint64(tempo)+1) - uint64(netuid) - 1
		c.Last = c.First + uint64(tempo)
		for _, block := range []uint64{c.Block, c.First - 1, c.First, c.First + rnd.Uint64N(uint64(tempo)+1), c.Last, c.Last + 1, c.Last + 5000} {
			want := Stored
			if block < c.First {
				want = TooEarly
			} else if block > c.Last {
				want = Expired
			}
			if got := f.Window(c, block); got != want {
				t.Fatalf("tempo %d, netuid %d, period %d, %+v in block %d: %v, want %v", tempo, netuid, period, c, block, got, want)
			}
		}
	}
	// The window moves with the tempo: the stored blocks are not read.
	f = Facts{Rules: rulesOf(t, 422), Netuid: 1, RevealPeriod: 1, Schedule: yuma.Schedule{Tempo: 99}}
	c := subtensor.HashCommit{Block: 1000, First: 1098, Last: 1197} // epoch 10
	if got := f.Window(c, 1098); got != Stored {
		t.Errorf("at first: %v", got)
	}
	f.Schedule.Tempo = 199 // epoch 5, the next from 1198 on
	if got := f.Window(c, 1098); got != TooEarly {
		t.Errorf("with a longer tempo: %v", got)
	}
	if got := f.Window(c, 1198); got != Stored {
		t.Errorf("with a longer tempo, past the stored end: %v", got)
	}
}

func TestGone(t *testing.T) {
	q := make([]subtensor.HashCommit, 4)
	for i := range q {
		q[i] = subtensor.HashCommit{Hash: verify.Hash{byte(i)}, Block: uint64(100 + i)}
	}
	q[3].Hash = q[0].Hash // the same hash, committed twice
	type queue = []subtensor.HashCommit
	for _, tt := range []struct {
		name          string
		before, after queue
		of            int
		window, want  Reason
	}{
		{"revealed", q[:1], nil, 0, Stored, Stored},
		{"revealed, others behind", q, q[1:], 0, Stored, Stored},
		{"revealed, others before", q, nil, 3, Stored, Stored},
		{"overtaken", q, q[2:], 0, Stored, Overtaken},
		{"overtook", q, q[2:], 1, Stored, Stored},
		{"overtaken by the same hash", q, nil, 0, Stored, Overtaken},
		{"batch, one out of the middle", q, queue{q[0], q[2], q[3]}, 1, Stored, Stored},
		{"a new one behind", q[:1], queue{q[1]}, 0, Stored, Stored},
		{"expired", q, q[1:], 0, Expired, Expired},
		{"expired with others", q, nil, 0, Expired, Expired},
		{"still there", q, q, 0, Stored, Unknown},
		{"still there and expired", q, q, 0, Expired, Unknown},
		{"never there", q[1:], nil, 0, Stored, Unknown},
		{"too early", q, q[1:], 0, TooEarly, Unknown},
	} {
		if got := Gone(slices.Clone(tt.before), slices.Clone(tt.after), q[tt.of], tt.window); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
