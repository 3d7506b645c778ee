// Package clock decides how far the machine's wall clock can be believed: none, floor, witnessed or
// synced.
//
// It promises that Step is a function of its arguments alone; that what a witness proves – a finalized
// block, a drand pulse – only ever raises the earliest moment that it can be now, so that a replayed old
// one changes nothing; and that a step of the clock is noticed in the next call, by the monotonic clock
// beside it. Trust gates signatures and what must reach others in time. It never gates finality, which
// needs no clock.
//
// It reads no clock and asks no server: package rig reads the kernel's, the node brings the witnesses.
package clock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"
)

// Trust is how far a wall clock can be believed, the least first.
type Trust uint8

// The trusts.
const (
	None      Trust = iota // earlier than what is proven to be past, or just stepped
	Floor                  // not earlier than that, and no more is known
	Witnessed              // the finalized head moves as it should, and the clock goes with it
	Synced                 // and the kernel, or three time servers, say that it is synchronized
	trusts    = 4
)

var names = [trusts]string{"none", "floor", "witnessed", "synced"}

func (t Trust) String() string {
	if t < trusts {
		return names[t]
	}
	return fmt.Sprintf("trust %d", uint8(t))
}

// MarshalText gives the trust's name.
func (t Trust) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// The bounds.
const (
	// near is how far the wall clock and a head that moves may be apart. A block is finalized some 20 s
	// after its slot began.
	near = time.Minute
	// A head witnesses when it moved so many times over so long, at life's pace: what is fed faster or
	// slower is a recording. One that is fed at life's pace is not told from life by this.
	movesLeast = 3
	moving     = 30 * time.Second
	pace       = 45 * time.Second
	// paused is after how long without a new head, or without time servers, they witness no more.
	paused = 15 * time.Minute
	// stepLeast is what the wall clock may gain or lose on the monotonic one between two calls without it
	// being a step, and slewMost (ppm) what it may besides: the kernel slews by 500.
	stepLeast = 500 * time.Millisecond
	slewMost  = 1000
	// ahead is how far the wall clock may be past what is proven for a signature to be given.
	ahead = 5 * time.Minute
	// serversLeast is how many time servers must agree, and serversNear how well.
	serversLeast = 3
	serversNear  = 2 * time.Second
)

// drand's quicknet: a pulse of round r cannot be older than this. Its genesis and period are those of the
// chain's pallet-drand.
const (
	quicknetGenesis = 1_692_803_367
	quicknetPeriod  = 3
	maxRound        = 1 << 40
)

// PulseTime returns the moment at which a round of quicknet was made.
func PulseTime(round uint64) (time.Time, bool) {
	if round < 1 || round > maxRound {
		return time.Time{}, false
	}
	return time.Unix(quicknetGenesis+int64(round-1)*quicknetPeriod, 0), true
}

// Input is what Step is told. Zero times are unknown.
type Input struct {
	Mono time.Duration // monotonic, since some moment of this process
	Wall time.Time     // what the machine says now

	Floor time.Time     // what is past for sure, such as when the program was built
	Head  time.Time     // when the newest finalized block was made, by its slot or timestamp, verified
	Pulse uint64        // newest round of quicknet, its signature verified
	Every time.Duration // how often the node asks for a head; 0: it hears of each

	Kernel *bool // the kernel calls the clock synchronized; nil: it does not say
	// Servers are by how much time servers are ahead of Wall, of one question; nil when none was put.
	Servers []time.Duration
}

// State is what Step carries on, a value: copying it is enough to try a step. The zero value knows nothing.
type State struct {
	Trust Trust
	Floor time.Time // the earliest that it can be now
	Steps uint64    // of the wall clock, noticed

	nonce int64 // the last given, ns since 1970

	// The rest is of this process only.
	ticking  bool
	mono     time.Duration
	wall     time.Time
	stepped  bool    // and nothing has witnessed it since
	moves    [8]move // of the head, the newest last
	moved    int
	served   bool
	servedAt time.Duration
}

// A move is a new head, and when it came.
type move struct {
	mono time.Duration
	head time.Time
}

// Verdict is what Step finds.
type Verdict struct {
	Trust Trust
	Why   string
	// Stepped says that the wall clock has just jumped, and Step by how much.
	Stepped bool
	Step    time.Duration
	// Sign says that signatures may carry this clock's time: it is witnessed or better, and not far ahead
	// of what is proven.
	Sign bool
	// Behind is by how much the wall clock is earlier than what is proven to be past; 0: it is not.
	Behind time.Duration
}

// Step takes in what is known now.
func Step(s State, in Input) (State, Verdict) {
	var v Verdict
	in.Wall = in.Wall.Round(0) // its own monotonic reading is not ours
	dt := time.Duration(0)
	if s.ticking {
		dt = in.Mono - s.mono
		jump := in.Wall.Sub(s.wall) - dt
		if most := stepLeast + max(dt, 0)/1e6*slewMost; dt < 0 || jump > most || jump < -most {
			v.Stepped, v.Step = true, jump
			s.Steps++
			s.stepped, s.served = true, false
		}
		if dt < 0 { // another monotonic clock: what was measured by the old one says nothing
			s.moved, dt = 0, 0
		}
	}
	s.mono, s.wall, s.ticking = in.Mono, in.Wall, true

	// The floor passes with the monotonic clock, and is only ever raised.
	if !s.Floor.IsZero() {
		s.raise(s.Floor.Add(dt))
	}
	s.raise(in.Floor)
	if t, ok := PulseTime(in.Pulse); ok {
		s.raise(t)
	}
	s.move(in)

	if len(in.Servers) > 0 {
		s.served, s.servedAt = agree(in.Servers), in.Mono
	}
	s.served = s.served && in.Mono-s.servedAt <= paused
	s.Trust, v.Why = s.judge(in)
	s.stepped = s.stepped && s.Trust < Witnessed
	v.Trust = s.Trust
	v.Behind = max(s.Floor.Sub(in.Wall), 0)
	v.Sign = s.Trust >= Witnessed && in.Wall.Sub(s.Floor) <= ahead
	if s.Trust >= Witnessed && !v.Sign {
		v.Why += "; but no block or pulse of the last minutes has come to sign by"
	}
	return s, v
}

// raise raises the floor to a moment that is proven to be past.
func (s *State) raise(t time.Time) {
	if unix := t.Unix(); unix > 0 && unix < latest {
		s.Floor = later(s.Floor, t.Round(0).UTC())
	}
}

// latest bounds what is taken for a time: the year 2200.
const latest = 7_258_118_400

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// move keeps when the head moved. A head that is not newer is none.
func (s *State) move(in Input) {
	if in.Head.IsZero() || s.moved > 0 && !in.Head.After(s.last().head) || in.Head.Unix() <= 0 || in.Head.Unix() >= latest {
		return
	}
	if s.moved == len(s.moves) {
		copy(s.moves[:], s.moves[1:])
		s.moved--
	}
	s.moves[s.moved] = move{in.Mono, in.Head.Round(0)}
	s.moved++
	s.raise(in.Head)
}

func (s *State) last() move { return s.moves[s.moved-1] }

// alive reports whether the head moves at life's pace.
func (s *State) alive(in Input) bool {
	if s.moved < movesLeast || in.Mono-s.last().mono > max(paused, 3*in.Every) {
		return false
	}
	last := s.last()
	for i := s.moved - movesLeast; i >= 0; i-- {
		took := last.mono - s.moves[i].mono
		if took < moving {
			continue
		}
		d := last.head.Sub(s.moves[i].head) - took
		return d <= pace && d >= -pace
	}
	return false
}

func (s *State) judge(in Input) (Trust, string) {
	kernel := in.Kernel != nil && *in.Kernel
	witnessed := false
	if s.alive(in) {
		// Where the head would be by now, had it moved on.
		off := in.Wall.Sub(s.last().head.Add(in.Mono - s.last().mono))
		witnessed = off <= near && off >= -near
	}
	switch {
	case s.Floor.IsZero():
		return None, "nothing is known that is past"
	case in.Wall.Before(s.Floor.Add(-near)):
		return None, fmt.Sprintf("the clock is %s behind what is proven to be past", s.Floor.Sub(in.Wall).Round(time.Second))
	case witnessed && (kernel || s.served):
		return Synced, "it is synchronized, and goes with the finalized head"
	case witnessed:
		return Witnessed, "it goes with the finalized head"
	case s.served:
		return Synced, "it agrees with three time servers"
	case kernel && !s.stepped:
		return Synced, "the kernel calls it synchronized"
	case s.stepped:
		return Floor, "it was set, and nothing has witnessed it since"
	}
	return Floor, "it is not earlier than what is past; nothing else is known of it"
}

// agree reports whether enough time servers are near each other and near the clock: the median and the
// ones around it, so that a few liars count for nothing.
func agree(offsets []time.Duration) bool {
	if len(offsets) < serversLeast {
		return false
	}
	list := slices.Clone(offsets)
	slices.Sort(list)
	median := list[len(list)/2]
	near := 0
	for _, o := range list {
		if d := o - median; d <= serversNear && d >= -serversNear {
			near++
		}
	}
	return near >= serversLeast && near > len(list)/2 && median <= serversNear && median >= -serversNear
}

// Nonce returns a nonce for an axon, in ns since 1970: the wall clock's, but more than every one before,
// also across a restart and after the clock was set back. The state that comes with it must be on disk
// before the nonce is sent.
func Nonce(s State, wall time.Time) (State, int64) {
	s.nonce = max(wall.UnixNano(), s.nonce+1)
	return s, s.nonce
}

// ErrState: bytes that are not a state that this version wrote.
var ErrState = errors.New("not a clock state")

// StateSize is the size of an encoded state: version, floor, steps, nonce, CRC-32C.
const (
	StateSize    = 1 + 8 + 8 + 8 + 4
	stateVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode writes what of a state outlives the process.
func (s State) Encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, StateSize), stateVersion)
	floor := int64(0)
	if !s.Floor.IsZero() {
		floor = s.Floor.Unix()
	}
	b = le.AppendUint64(b, uint64(floor))
	b = le.AppendUint64(b, s.Steps)
	b = le.AppendUint64(b, uint64(s.nonce))
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// Decode reads what Encode wrote; the error wraps ErrState.
func Decode(b []byte) (State, error) {
	if len(b) != StateSize {
		return State{}, fmt.Errorf("%w: %d bytes, not %d", ErrState, len(b), StateSize)
	}
	le := binary.LittleEndian
	if crc32.Checksum(b[:StateSize-4], castagnoli) != le.Uint32(b[StateSize-4:]) {
		return State{}, fmt.Errorf("%w: its checksum is wrong", ErrState)
	}
	if b[0] != stateVersion {
		return State{}, fmt.Errorf("%w: version %d, this program knows %d", ErrState, b[0], stateVersion)
	}
	s := State{Steps: le.Uint64(b[9:]), nonce: int64(le.Uint64(b[17:]))}
	floor := int64(le.Uint64(b[1:]))
	if floor < 0 || floor >= latest || s.nonce < 0 || s.nonce == math.MaxInt64 {
		return State{}, fmt.Errorf("%w: a time is out of bounds", ErrState)
	}
	if floor > 0 {
		s.Floor = time.Unix(floor, 0).UTC()
	}
	return s, nil
}
