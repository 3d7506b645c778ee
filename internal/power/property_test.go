package power

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// absurd returns what meters and clocks could say at their worst.
func absurd(rng *rand.Rand, at time.Duration) []Sample {
	num := func(scale float64) *float64 {
		switch rng.IntN(8) {
		case 0, 1, 2:
			return nil
		case 3:
			v := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 104, 1e300}[rng.IntN(7)]
			return &v
		}
		v := (rng.Float64()*1.2 - 0.1) * scale
		return &v
	}
	flag := func() *bool {
		if v := rng.IntN(4); v < 2 {
			b := v == 0
			return &b
		}
		return nil
	}
	var list []Sample
	for range rng.IntN(4) {
		s := Sample{Source: "x", At: at - time.Duration(rng.Int64N(int64(3*time.Minute))), SoC: num(100), Volts: num(15), Amps: num(3), Watts: num(40), PVWatts: num(100), YieldYesterday: num(300),
			Charging: flag(), External: flag(), UnderVoltage: flag()}
		if rng.IntN(20) == 0 {
			s.Critical = flag()
		}
		if rng.IntN(30) == 0 {
			s.At = time.Duration(rng.Uint64())
		}
		s.Chemistry = []Chemistry{"", LiFePO4, LiIon, LeadAcid, "zinc"}[rng.IntN(5)]
		s.Confidence = []Confidence{"", Low, High}[rng.IntN(3)]
		list = append(list, s)
	}
	return list
}

// TestNoFlapping: whatever is measured, the level never rises sooner than ten minutes after its last change
// and by one only, never falls for a charge sooner than half a minute after a rise, never leaves park
// without a sample, and a step is the same each time it is made.
func TestNoFlapping(t *testing.T) {
	configs := []Config{{Assume: Full}, {Assume: Full, Explicit: true, FloorLearning: true, CapacityWh: 100, Lat: 50, Lon: 8},
		{Chemistry: LeadAcid, Assume: Eco, Cells: 6, YieldShare: 0.4, MaxBytesPerDay: 20e6}, {Assume: Full, Chemistry: LiIon, Cells: 3, Uplink: Uplink{Switched: true, Watts: 30}}}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		c := configs[seed%uint64(len(configs))]
		var s State
		in := Input{Wall: time.Unix(1_780_000_000, 0)}
		changed := time.Duration(-1)
		var hold []Sample
		for range 2000 {
			in.Mono += time.Duration(rng.Int64N(int64(40 * time.Second)))
			in.Wall = in.Wall.Add(time.Duration(rng.Int64N(int64(60 * time.Second))))
			in.Trusted = rng.IntN(3) > 0
			in.Height = rng.Uint32() >> rng.IntN(33)
			in.Bytes += uint64(rng.IntN(10000))
			if rng.IntN(30) == 0 || hold == nil {
				hold = absurd(rng, in.Mono)
			}
			for i := range hold {
				if rng.IntN(3) > 0 {
					hold[i].At = in.Mono
				}
			}
			in.Samples = hold
			next, a := Step(&c, s, in)
			again, b := Step(&c, s, in)
			if !reflect.DeepEqual(next, again) || !reflect.DeepEqual(a, b) {
				t.Fatalf("seed %d: not the same twice", seed)
			}
			if a.Level != next.Level || a.From != s.Level && s.Started || a.Changed != (a.Level != a.From) {
				t.Fatalf("seed %d: %v from %v, state %v from %v", seed, a.Level, a.From, next.Level, s.Level)
			}
			if a.Changed {
				switch since := in.Mono - changed; {
				case a.Level > a.From && (a.Level != a.From+1 || changed >= 0 && since < RiseAfter):
					t.Fatalf("seed %d: rose from %v to %v %v after a change", seed, a.From, a.Level, since)
				case a.Level > a.From && a.From == Park && next.battery(&c) && !a.Reading.Fresh:
					t.Fatalf("seed %d: left park blindly", seed)
				case a.Level == Park && a.Why.Code == "stale":
					t.Fatalf("seed %d: parked for silence", seed)
				}
				changed = in.Mono
			}
			if v := a.Reading.SoC; v != nil && !(*v >= 0 && *v <= 100) {
				t.Fatalf("seed %d: charge %v", seed, *v)
			}
			if a.Reading.UnderVolts && a.Write == WriteFree || a.Write == WriteLast && s.saved {
				t.Fatalf("seed %d: write %s", seed, a.Write)
			}
			if a.Poll <= 0 || a.Poll > StaleAfter || a.WakeIn != nil && *a.WakeIn <= 0 {
				t.Fatalf("seed %d: poll %v, wake %v", seed, a.Poll, a.WakeIn)
			}
			s = next
			if rng.IntN(50) == 0 { // a power cut
				var err error
				if s, err = Decode(s.Encode()); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
	}
}

// TestMonotone: of two nodes, the one whose every measurement is worse or the same is never at a higher
// level.
func TestMonotone(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		c := Config{Assume: Full, FloorLearning: seed%2 == 0, Chemistry: []Chemistry{LiFePO4, LiIon, LeadAcid}[seed%3]}
		var good, bad State
		soc, watts := 80.0, 0.0
		worse := 0.0
		in := Input{Wall: time.Unix(1_780_000_000, 0)}
		for range 4000 {
			in.Mono += 20 * time.Second
			soc = min(max(soc+rng.NormFloat64()*1.5, 0), 100)
			if rng.IntN(60) == 0 {
				soc = rng.Float64() * 100
			}
			if rng.IntN(40) == 0 {
				watts = rng.NormFloat64() * 5
			}
			if rng.IntN(100) == 0 {
				worse = rng.Float64() * rng.Float64() * 40
			}
			if rng.IntN(200) == 0 {
				worse = 0
			}
			at := func(soc, watts float64) []Sample {
				return []Sample{{Source: "x", At: in.Mono, SoC: &soc, Watts: &watts}}
			}
			var a, b Actions
			in.Samples = at(soc, watts)
			good, a = Step(&c, good, in)
			in.Samples = at(max(soc-worse, 0), watts-worse/10)
			bad, b = Step(&c, bad, in)
			if b.Level > a.Level {
				t.Fatalf("seed %d at %v: %v with %g %%, %v with %g %%", seed, in.Mono, a.Level, soc, b.Level, soc-worse)
			}
		}
	}
}

func TestStateRoundTrip(t *testing.T) {
	r := newRigged(t, Config{Assume: Full, FloorLearning: true})
	r.run(26*time.Hour, charge(14, -1))
	r.in.LinkTook = 40 * time.Second
	r.run(time.Minute, charge(70, 2))
	b := r.s.Encode()
	if len(b) != StateSize {
		t.Fatalf("%d bytes", len(b))
	}
	s, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Encode(), b) || s.Level != Park || s.Floor != r.s.Floor || s.Leads != r.s.Leads || s.day != r.s.day {
		t.Errorf("%+v", s)
	}
	// The evidence of before does not count: ten minutes begin anew.
	r.s = s
	r.run(9*time.Minute, charge(70, 2))
	if r.a.Level != Park {
		t.Error("left park too soon after a restart")
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if _, err := Decode(bad); !errors.Is(err, ErrState) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for n := range b {
		if _, err := Decode(b[:n]); !errors.Is(err, ErrState) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// FuzzDecode: what Decode lets through can be stepped and encodes to the same bytes.
func FuzzDecode(fz *testing.F) {
	fz.Add(State{}.Encode()[:StateSize-4])
	fz.Add(State{Started: true, Level: Park, Seen: true, Floor: 20, lowest: 13, dayTime: time.Hour, day: 20_000}.Encode()[:StateSize-4])
	fz.Fuzz(func(t *testing.T, body []byte) {
		b := withSum(body)
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
		c := Config{Assume: Full, FloorLearning: true, CapacityWh: 50, Lat: 1, Lon: 1, MaxBytesPerDay: 1e6}
		for i := range 3 {
			mono := time.Duration(i) * time.Minute
			s, _ = Step(&c, s, Input{Mono: mono, Wall: time.Unix(int64(i)<<40, 0), Trusted: true, Samples: []Sample{{At: mono, SoC: f(float64(i * 40))}}})
		}
		if _, err := Decode(s.Encode()); err != nil {
			t.Fatal(err)
		}
	})
}

// withSum appends the checksum, which no fuzzer would find.
func withSum(body []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, castagnoli))
}
