package validator

import (
	"errors"
	"fmt"
	"testing"

	"github.com/taolight/taolight/verify"
)

func TestPlainWeights(t *testing.T) {
	w := newWorld(t, 1, false)
	w.run(100, 0)
	if n := len(w.submitted); n < 6 || n > 10 {
		t.Errorf("%d transactions in 100 blocks with at least 10 between two", n)
	}
	for key := range w.included {
		if w.pool[key].Call.Kind != Set || w.pool[key].Call.VersionKey != 841 {
			t.Errorf("%+v", w.pool[key].Call)
		}
	}
	if len(w.m.Deadlines()) != 1 || w.m.Deadlines()[0].Due != uint32(w.m.view.LastUpdate)+555 {
		t.Errorf("%+v, last update %d", w.m.Deadlines(), w.m.view.LastUpdate)
	}
}

func TestTimelocked(t *testing.T) {
	w := newWorld(t, 2, true)
	w.run(240, 0)
	if n := len(w.submitted); n < 4 || n > 7 {
		t.Errorf("%d commitments in 6 epochs", n)
	}
	for _, key := range w.submitted {
		x := w.pool[key]
		if x.Call.Kind != CommitTimelock || x.Call.Scheme != 4 {
			t.Fatalf("%+v", x.Call)
		}
		// The round of block first+3, by 12 s a block and 3 s a round from 0 on: one before the newest then.
		first := (w.epoch(w.included[key]) + 1) * w.tempo
		if want := (first + 3) * 4; x.Call.Round != want {
			t.Errorf("committed in #%d for round %d, want %d", w.included[key], x.Call.Round, want)
		}
	}
	if len(w.revealed) < len(w.submitted)-2 || !w.said("is revealed, in #") || !w.said("proof of the commitment") {
		t.Errorf("%d of %d revealed: %v", len(w.revealed), len(w.submitted), w.notes)
	}
}

func TestHashCommits(t *testing.T) {
	w := newWorld(t, 3, true)
	w.cfg.ByHash = true
	w.start()
	w.run(240, 0)
	commits, reveals := 0, 0
	for _, key := range w.submitted {
		switch w.pool[key].Call.Kind {
		case CommitHash:
			commits++
		case Reveal:
			reveals++
		default:
			t.Errorf("%+v", w.pool[key].Call)
		}
	}
	if commits < 4 || reveals < commits-2 || len(w.revealed) != reveals || w.m.journal.Missed != 0 {
		t.Errorf("%d commitments, %d reveals, %d revealed, %d missed", commits, reveals, len(w.revealed), w.m.journal.Missed)
	}
}

// TestLost: a commitment by hash whose reveal was slept through is counted, and its reason told.
func TestLost(t *testing.T) {
	w := newWorld(t, 4, true)
	w.cfg.ByHash = true
	w.start()
	for len(w.queue) == 0 {
		w.run(1, 0)
	}
	for range 3 * w.tempo {
		w.block()
	}
	w.run(3, 0)
	if w.m.journal.Missed != 1 || !w.said("was not revealed by #") || !w.said("is lost: expired") {
		t.Errorf("%d missed; %v", w.m.journal.Missed, w.notes)
	}
}

func TestElsewhere(t *testing.T) {
	for _, x := range []struct {
		name string
		act  func(w *world)
	}{
		{"weights", func(w *world) { w.updated = uint64(w.head) }},
		{"commitment", func(w *world) {
			w.queue = append(w.queue, Commitment{Timelocked: true, Hash: verify.Hash{9}, Made: w.head, Epoch: w.epoch(w.head)})
			w.updated = uint64(w.head)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, 5, true)
			w.run(60, 0)
			for w.m.openIntent() != nil {
				w.run(1, 0)
			}
			x.act(w)
			sent := len(w.submitted)
			w.run(60, 0)
			if !errors.Is(w.m.Stopped(), ErrElsewhere) || len(w.submitted) != sent {
				t.Fatalf("%v, %d more sent", w.m.Stopped(), len(w.submitted)-sent)
			}
			w.start()
			if w.run(30, 0); w.m.Stopped() == nil {
				t.Error("a restart forgives it")
			}
			w.cfg.Moved = true
			w.start()
			w.cfg.Moved = false
			if w.run(80, 0); w.m.Stopped() != nil || len(w.submitted) == sent {
				t.Errorf("--i-moved does not go on: %v", w.m.Stopped())
			}
			w.start() // what was said is kept
			if w.run(80, 0); w.m.Stopped() != nil {
				t.Error(w.m.Stopped())
			}
		})
	}
}

func TestInTheWay(t *testing.T) {
	for _, x := range []struct {
		name string
		set  func(w *world)
		says string
	}{
		{"permit", func(w *world) { w.permit = false }, "the hotkey has no validator permit"},
		{"registration", func(w *world) { w.registered = false }, "the hotkey is not registered on subnet 7"},
		{"version", func(w *world) { v := uint64(840); w.cfg.Version = &v }, "version key 840 is below the subnet's, 841"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, 6, true)
			x.set(w)
			w.start()
			if w.run(100, 0); len(w.submitted) != 0 || w.signs != 0 || !w.said(x.says) || w.m.Status().State != "blocked" {
				t.Errorf("%d sent, %d signed: %v", len(w.submitted), w.signs, w.notes)
			}
			w.permit, w.registered, w.cfg.Version = true, true, nil
			w.m.cfg.Version = nil
			if w.run(60, 0); len(w.submitted) == 0 || w.m.Status().State != "running" {
				t.Errorf("nothing is sent when that is out of the way: %v", w.m.Status())
			}
		})
	}
}

// TestDiskFull: without an intent that is written down nothing is signed, and when it is signed nothing leaves unwritten.
func TestDiskFull(t *testing.T) {
	w := newWorld(t, 7, false)
	w.store.full = true
	if w.run(60, 0); w.signs != 0 || len(w.submitted) != 0 || !w.said("nothing is signed: the intent cannot be written down: no space left on device") {
		t.Errorf("%d signed, %d sent: %v", w.signs, len(w.submitted), w.notes)
	}
	w.store.full = false
	if w.run(40, 0); len(w.submitted) == 0 {
		t.Fatal("nothing is sent when there is room again")
	}
	// Full between the two: the signature exists and must not leave.
	for w.m.openIntent() != nil {
		w.run(1, 0)
	}
	sent, signs := len(w.submitted), w.signs
	for w.signs == signs {
		w.block()
		w.todo = append(w.todo, w.m.Process(headEvent{Number: w.head})...)
		for len(w.todo) > 0 {
			a := w.todo[0]
			w.todo = w.todo[1:]
			e := w.do(a)
			if _, ok := a.(wantSign); ok {
				w.store.full = true
			}
			w.todo = append(w.todo, w.m.Process(e)...)
		}
	}
	w.run(5, 0)
	if len(w.submitted) != sent || w.signs != signs+1 {
		t.Errorf("%d sent, %d signed", len(w.submitted)-sent, w.signs-signs)
	}
	w.store.full = false
	if w.run(5, 0); len(w.submitted) != sent+1 || w.signs != signs+1 {
		t.Errorf("%d sent, %d signed: what was signed goes out when it is written down", len(w.submitted)-sent, w.signs-signs)
	}
}

// TestCrashes kills the process at any moment, also with a node that loses its pool, and holds the invariants in submit and
// check; and that weights get there all the same.
func TestCrashes(t *testing.T) {
	for _, kind := range []string{"set", "hash", "timelocked"} {
		for seed := range uint64(60) {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				w := newWorld(t, seed, kind != "set")
				w.cfg.ByHash = kind == "hash"
				w.start()
				for range 12 {
					w.forgets = w.r.IntN(3) == 0
					w.store.full = w.r.IntN(6) == 0
					w.run(30, 0.06)
					w.store.full = false
				}
				w.forgets = false
				before := len(w.included)
				if w.run(200, 0); len(w.included) == before {
					t.Errorf("nothing more is included: %v, %+v", w.m.Stopped(), w.m.Status())
				}
				if w.m.Stopped() != nil {
					t.Errorf("its own doing is taken for another's: %v", w.m.Stopped())
				}
			})
		}
	}
}

func TestDuty(t *testing.T) {
	w := newWorld(t, 8, false)
	w.run(60, 0)
	last, rounds := w.updated, w.rounds
	for range 200 {
		w.block()
		w.step(headEvent{w.head, DutyDeadlines}, 0)
	}
	// Half of the activity cutoff, 555 blocks, has not passed.
	if w.updated != last || w.rounds > rounds+1 {
		t.Errorf("weights of #%d, %d more rounds", w.updated, w.rounds-rounds)
	}
	for range 200 {
		w.block()
		w.step(headEvent{w.head, DutyDeadlines}, 0)
	}
	if w.updated < last+277 || w.updated > last+300 || w.rounds > rounds+2 {
		t.Errorf("weights of #%d after those of #%d, %d more rounds", w.updated, last, w.rounds-rounds)
	}
	last, rounds = w.updated, w.rounds
	for range 700 {
		w.block()
		w.step(headEvent{w.head, DutyNone}, 0)
	}
	if w.updated != last || w.rounds != rounds {
		t.Error("parked, and it acts")
	}
	if w.run(5, 0); w.m.journal.Missed != 1 || !w.said("takes the validator for inactive since") {
		t.Errorf("%d missed: %v", w.m.journal.Missed, w.notes)
	}
}

// TestNewcomer: when somebody registers, the chain is looked at once more and the metagraph is not read in every block.
func TestNewcomer(t *testing.T) {
	w := newWorld(t, 9, false)
	w.run(40, 0)
	reads := w.reads
	w.size++
	w.run(60, 0)
	if n := w.reads - reads; n < 1 || n > 8 { // it is read each 10 blocks, as often as weights are sent here
		t.Errorf("read %d times in 60 blocks", n)
	}
	if len(w.m.scores.Hotkeys) != 7 || w.m.scores.Hotkeys[6] != (verify.AccountID{16}) {
		t.Errorf("%d neurons are scored", len(w.m.scores.Hotkeys))
	}
	if len(w.included) < 6 {
		t.Errorf("weights were set %d times in 100 blocks", len(w.included))
	}
}

// TestNobodyAnswers: without a single answer ever there is nothing to tell, and the status says that.
func TestNobodyAnswers(t *testing.T) {
	w := newWorld(t, 10, false)
	w.mute = true
	w.run(40, 0)
	if s := w.m.Status(); len(w.submitted) != 0 || s.State != "blocked" || s.Why != "no miner has answered yet" {
		t.Errorf("%+v", s)
	}
	w.mute = false
	// An answer is not denied until weights are sent, which may be an epoch later.
	w.m.takeRound(roundEvent{answered: 1, rewards: []Reward{{1, 1}}})
	if s := w.m.Status(); s.State != "running" || s.Answered != 1 {
		t.Errorf("a miner has answered: %+v", s)
	}
	if w.run(20, 0); len(w.submitted) == 0 || w.m.Status().State != "running" {
		t.Errorf("%+v", w.m.Status())
	}
}
