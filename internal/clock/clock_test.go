package clock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	built = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	on    = true
	off   = false
)

// A watch is a node whose wall clock is off by some amount from the time that it really is.
type watch struct {
	s    State
	v    Verdict
	real time.Duration // since start
	off  time.Duration
	lag  time.Duration // of finality
	in   Input
	mute bool // no heads come
}

func (w *watch) run(d time.Duration) Verdict {
	for end := w.real + d; w.real < end; {
		w.tick(time.Second)
	}
	return w.v
}

func (w *watch) tick(d time.Duration) Verdict {
	w.real += d
	w.in.Mono, w.in.Wall, w.in.Floor = w.real, start.Add(w.real+w.off), built
	if !w.mute && int(w.real/time.Second)%12 == 0 {
		w.in.Head = start.Add(w.real - w.lag)
	}
	w.s, w.v = Step(w.s, w.in)
	return w.v
}

// TestBoot: what a node that starts with each kind of clock believes, and when it signs.
func TestBoot(t *testing.T) {
	for _, c := range []struct {
		name  string
		off   time.Duration
		first Trust
		later Trust // after two minutes of heads
	}{
		{"right", 0, Floor, Witnessed},
		{"20 s slow", -20 * time.Second, Floor, Witnessed},
		{"an hour ahead", time.Hour, Floor, Floor},
		{"an hour behind", -time.Hour, Floor, None},
		{"2014", time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC).Sub(start), None, None},
		{"1970", time.Unix(0, 0).Sub(start), None, None},
		{"2099", time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).Sub(start), Floor, Floor},
	} {
		w := &watch{off: c.off, lag: 20 * time.Second}
		if v := w.tick(time.Second); v.Trust != c.first || v.Sign {
			t.Errorf("%s: at first %v, signs %v", c.name, v.Trust, v.Sign)
		}
		if v := w.run(2 * time.Minute); v.Trust != c.later || v.Sign != (c.later >= Witnessed) {
			t.Errorf("%s: later %v, signs %v: %s", c.name, v.Trust, v.Sign, v.Why)
		}
		// Set right by hand or by NTP: noticed at once, and witnessed by the heads.
		if c.off != 0 && c.name != "20 s slow" {
			w.off = 0
			if v := w.tick(time.Second); !v.Stepped || v.Step != -c.off && c.off.Abs() < 200*365*24*time.Hour && (v.Step+c.off).Abs() > time.Millisecond {
				t.Errorf("%s: stepped %v by %v", c.name, v.Stepped, v.Step)
			}
			if v := w.run(2 * time.Minute); v.Trust != Witnessed || !v.Sign {
				t.Errorf("%s: set right: %v: %s", c.name, v.Trust, v.Why)
			}
		}
	}
}

// TestStep: +10 min while running. The call after it knows, and nothing is signed.
func TestStep(t *testing.T) {
	for _, kernel := range []*bool{nil, &off, &on} {
		w := &watch{lag: 20 * time.Second}
		w.in.Kernel = kernel
		want := Witnessed
		if kernel == &on {
			want = Synced
		}
		if v := w.run(3 * time.Minute); v.Trust != want || !v.Sign {
			t.Fatalf("%v: %s", v.Trust, v.Why)
		}
		for _, by := range []time.Duration{10 * time.Minute, -10 * time.Minute, 2 * time.Minute} {
			w.off = by
			v := w.tick(time.Second)
			if !v.Stepped || v.Step != by || v.Sign || v.Trust >= Witnessed {
				t.Errorf("step by %v: %+v", by, v)
			}
			if v := w.run(time.Minute); v.Stepped || v.Sign {
				t.Errorf("a minute after %v: %+v", by, v)
			}
			w.off = 0
			w.tick(time.Second)
			w.run(2 * time.Minute)
		}
		if w.s.Steps != 6 {
			t.Errorf("%d steps", w.s.Steps)
		}
	}
	// Slewing by 500 ppm for an hour is no step, and neither is a tick that came late.
	w := &watch{}
	for range 3600 {
		w.off += 500 * time.Microsecond
		w.tick(time.Second)
	}
	w.tick(20 * time.Minute)
	if w.s.Steps != 0 {
		t.Errorf("%d steps while slewing", w.s.Steps)
	}
}

// TestReplay: old heads and pulses lower nothing, and what is fed at another pace than life's is no
// witness, even with a clock that agrees with it.
func TestReplay(t *testing.T) {
	w := &watch{lag: 20 * time.Second}
	w.run(2 * time.Minute)
	floor := w.s.Floor
	w.mute = true
	w.in.Head, w.in.Pulse = start.Add(-48*time.Hour), 1000
	w.tick(time.Second)
	if got := w.s.Floor; got != floor.Add(time.Second) {
		t.Errorf("floor %v, was %v", got, floor)
	}
	// The finalized head stands still: after a quarter of an hour nothing witnesses.
	if v := w.run(14 * time.Minute); v.Trust != Witnessed {
		t.Errorf("%v after 14 min", v.Trust)
	}
	if v := w.run(2 * time.Minute); v.Trust != Floor {
		t.Errorf("%v after 16 min", v.Trust)
	}
	// But a node that asks once an hour only still has its witness.
	w.in.Every = time.Hour
	if v := w.run(time.Minute); v.Trust != Witnessed {
		t.Errorf("%v when asking hourly", v.Trust)
	}

	// A recording at three times the pace, a head each 5 s, that passes the clock's own time after 5 min.
	var s State
	for i := range 200 {
		mono := time.Duration(i) * 5 * time.Second
		var v Verdict
		s, v = Step(s, Input{Mono: mono, Wall: start.Add(mono), Floor: built, Head: start.Add(3*mono - 10*time.Minute)})
		if v.Sign || v.Trust >= Witnessed {
			t.Fatalf("signs at %v of a recording: %s", mono, v.Why)
		}
	}
}

func TestPulse(t *testing.T) {
	// drand's quicknet began at 1692803367; round 1000 is 999 periods of 3 s later.
	if got, ok := PulseTime(1000); !ok || got.Unix() != 1_692_806_364 {
		t.Errorf("%v, %v", got.Unix(), ok)
	}
	for _, r := range []uint64{0, math.MaxUint64} {
		if _, ok := PulseTime(r); ok {
			t.Errorf("round %d has a time", r)
		}
	}
	var s State
	s, v := Step(s, Input{Wall: time.Unix(1_692_806_310, 0), Pulse: 1000})
	if v.Trust != Floor || s.Floor.Unix() != 1_692_806_364 || v.Behind != 54*time.Second {
		t.Errorf("%+v", v)
	}
	if _, v = Step(State{}, Input{Wall: time.Unix(1_692_806_200, 0), Pulse: 1000}); v.Trust != None || v.Behind != 164*time.Second {
		t.Errorf("%+v", v)
	}
}

func TestServers(t *testing.T) {
	sec := func(list ...float64) (d []time.Duration) {
		for _, v := range list {
			d = append(d, time.Duration(v*float64(time.Second)))
		}
		return d
	}
	for _, c := range []struct {
		offsets []time.Duration
		want    Trust
	}{
		{sec(0.1, -0.2, 0.3), Synced}, {sec(0.1, 0.2), Floor}, {sec(0.1, 0.2, 3600), Floor}, {sec(0.1, 0.2, 0.3, 3600, -1e6), Synced},
		{sec(600, 600, 600.1), Floor}, {sec(0, 0, 0, 600, 600, 600), Floor}, {sec(0, 0, 0, 600, 600, -600, -600), Floor}, {nil, Floor},
	} {
		w := &watch{mute: true}
		w.in.Servers = c.offsets
		v := w.tick(time.Second)
		if v.Trust != c.want || v.Sign {
			t.Errorf("%v: %v", c.offsets, v.Trust)
		}
		w.in.Servers = nil
		if v := w.run(20 * time.Minute); v.Trust != Floor {
			t.Errorf("%v: %v twenty minutes later", c.offsets, v.Trust)
		}
	}
	// The kernel alone does for the trust, but signing waits for a block.
	w := &watch{mute: true}
	w.in.Kernel = &on
	if v := w.run(time.Minute); v.Trust != Synced || v.Sign {
		t.Errorf("%v, signs %v", v.Trust, v.Sign)
	}
	w.mute, w.lag = false, 20*time.Second
	if v := w.run(time.Minute); !v.Sign {
		t.Errorf("%+v", v)
	}
}

func TestNonce(t *testing.T) {
	var s State
	var last, n int64
	for i, wall := range []time.Time{start, start, start.Add(time.Second), start.Add(-time.Hour), time.Unix(0, 0), start.Add(time.Minute), {}} {
		s, n = Nonce(s, wall)
		if n <= last {
			t.Errorf("nonce %d: %d after %d", i, n, last)
		}
		last = n
		var err error
		if s, err = Decode(s.Encode()); err != nil { // a restart
			t.Fatal(err)
		}
	}
}

// TestAbsurd: whatever clocks and witnesses say, the floor never falls and nothing is signed below
// witnessed.
func TestAbsurd(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s State
		var in Input
		for range 2000 {
			switch rng.IntN(8) {
			case 0:
				in.Mono = time.Duration(rng.Uint64())
			case 1:
				in.Wall = time.Unix(int64(rng.Uint64()), 0)
			case 2:
				in.Head = time.Unix(int64(rng.Uint64()>>rng.IntN(64)), 0)
			case 3:
				in.Pulse = rng.Uint64() >> rng.IntN(64)
			case 4:
				in.Servers = []time.Duration{time.Duration(rng.Uint64()), 0, 0}
			case 5:
				in.Wall = s.Floor
			default:
				in.Mono += time.Second
				in.Wall = in.Wall.Add(time.Second)
			}
			next, v := Step(s, in)
			if next.Floor.Before(s.Floor) || v.Trust != next.Trust || v.Sign && v.Trust < Witnessed || v.Trust > None && in.Wall.Before(next.Floor.Add(-near)) {
				t.Fatalf("seed %d: %+v, floor %v after %v", seed, v, next.Floor, s.Floor)
			}
			s = next
			if _, err := Decode(s.Encode()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(State{}.Encode()[:StateSize-4])
	f.Add(State{Floor: start, Steps: 3, nonce: 12}.Encode()[:StateSize-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		// With its checksum, which no fuzzer would find.
		b := binary.LittleEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, castagnoli))
		s, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.Encode(), b) {
			t.Fatalf("%x encodes to %x", b, s.Encode())
		}
		if _, err := Decode(body); err == nil {
			t.Fatal("a state without its checksum passes")
		}
	})
}
