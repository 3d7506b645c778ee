package power

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// ErrState: bytes that are not a state that this version wrote.
var ErrState = errors.New("not a power state")

// State is what Step carries from one step to the next. It is a value: copying it is enough to try a step.
// The zero value is a node that has seen nothing.
type State struct {
	Started bool
	Level   Level
	Seen    bool   // there is a battery
	Cells   uint16 // as its voltage told; 0: not yet

	Floor   float64 // learned, percent; 0: nothing yet
	Changes int     // of level, today

	UnderVoltages uint64          // events
	LevelSeconds  [levels]float64 // how long at each level
	UplinkSeconds float64

	TodaySelfWh     float64 // by the estimate for each level
	TodayMeasuredWh float64 // all that hangs on the battery, if a meter tells
	Measured        bool    // one did today
	TodayUplinkWh   float64
	TodayBytes      uint64

	Leads [5]uint16 // seconds that the link took to come up, the newest first

	lowest float64 // charge since park began

	hit, high, higher bool // what the floor has learned today
	day               int64
	dayTime           time.Duration // of the day so far
	saved             bool          // the last checkpoint was asked for

	// The rest is of this process only: evidence is collected anew.
	ticking   bool
	mono      time.Duration
	heard     bool
	lastAt    time.Duration // of the newest sample
	silent    time.Duration
	below     [levels]held
	floorHit  held
	rise      held
	calm      time.Duration // since the under-voltage ended
	sagging   bool
	sinceSag  time.Duration
	sagged    bool
	counting  bool
	bytes     uint64
	refAge    time.Duration
	refKnown  bool
	ref       float64
	trend     int
	metering  bool
	metered   Level
	meterHeld time.Duration
	uplink    bool          // the link was powered
	blind     time.Duration // in survive without a height
}

// A held counts for how long and in how many samples something has been so.
type held struct {
	on      bool
	time    time.Duration
	samples int
}

// add counts a step in which it was so. The time before the first of them does not count.
func (h *held) add(dt time.Duration, isNew bool) {
	if h.on {
		h.time = min(h.time+dt, 366*24*time.Hour)
	}
	if isNew || !h.on {
		h.samples = min(h.samples+1, 1000)
	}
	h.on = true
}

// The learning floor is that of Victron's BatteryLife (dbus-systemcalc-py, delegates/batterylife.py): it
// rises by 5 points on a day that reached it, and falls by 5 on one that reached 85 %, by 5 more at 95 %.
const (
	floorLeast  = 10.
	floorMost   = 80.
	floorStep   = 5.
	learnHigh   = 85.
	learnHigher = 95.
)

// floor returns the charge that is not to be planned with.
func (s *State) floor(c *Config, chem Chemistry) float64 {
	park := c.limits(chem, 0).below[Survive]
	if !c.FloorLearning {
		return park
	}
	return max(s.Floor, park)
}

func (s *State) learn(c *Config, r Reading, dt time.Duration, isNew bool) {
	if s.Floor == 0 {
		s.Floor = floorLeast
	}
	if *r.SoC <= s.floor(c, r.Chemistry) {
		s.floorHit.add(min(dt, StaleAfter), isNew)
	} else {
		s.floorHit = held{}
	}
	if !s.hit && s.floorHit.samples >= fallSamples && s.floorHit.time >= parkAfter {
		s.hit = true
		s.Floor = min(s.Floor+floorStep, floorMost)
	}
	if !s.high && *r.SoC >= learnHigh {
		s.high = true
		s.Floor = max(s.Floor-floorStep, floorLeast)
	}
	if !s.higher && *r.SoC >= learnHigher {
		s.higher = true
		s.Floor = max(s.Floor-floorStep, floorLeast)
	}
}

const (
	dayLong = 24 * time.Hour
	maxDay  = 1_000_000 // since 1970
	maxSum  = 1e12      // of seconds or Wh
)

// grow adds to a sum that stays within what Decode accepts.
func grow(sum *float64, v float64) { *sum = min(*sum+v, maxSum) }

// newDay begins the day's counts again: when a clock that is trusted says that there is a later day, else
// after 24 hours. A clock that goes back and forth begins no day twice.
func (s *State) newDay(c *Config, in Input, dt time.Duration) {
	s.dayTime += dt
	day := s.day
	if in.Trusted {
		// By the sun where the place is known, so that the night before and after belongs to its day.
		local := in.Wall.Unix() + int64(c.Lon*240)
		if local >= 0 && local/86400 <= maxDay {
			day = local / 86400
		}
	}
	switch {
	case s.day == 0 && day != 0 && s.dayTime < dayLong:
		s.day = day // the first time that the day is known
		return
	case day > s.day:
		s.day = day
	case s.dayTime < dayLong:
		return
	default:
		s.day = max(day, 0)
	}
	s.dayTime = 0
	s.hit, s.high, s.higher = false, false, false
	s.Changes = 0
	s.TodaySelfWh, s.TodayMeasuredWh, s.TodayUplinkWh, s.TodayBytes, s.Measured = 0, 0, 0, 0, false
	s.metering = false
}

// count adds up what the last step's level has cost.
func (s *State) count(c *Config, in Input, dt time.Duration) {
	if s.counting && in.Bytes > s.bytes {
		s.TodayBytes += in.Bytes - s.bytes
	} else if !s.counting || in.Bytes < s.bytes {
		s.TodayBytes += in.Bytes // of a new process
	}
	s.bytes, s.counting = in.Bytes, true
	if s.Started && s.Level < levels {
		grow(&s.LevelSeconds[s.Level], dt.Seconds())
		grow(&s.TodaySelfWh, c.draw(s.Level, s.uplink)*dt.Hours())
	}
	if s.uplink {
		grow(&s.UplinkSeconds, dt.Seconds())
		grow(&s.TodayUplinkWh, c.Uplink.Watts*dt.Hours())
	}
}

// pass keeps how long no meter has answered, and the trend of the charge over ten minutes, by which the
// direction is told where no meter does: 2 points or 20 mV.
func (s *State) pass(r Reading, dt time.Duration) {
	if r.Fresh {
		s.silent = r.Age
	} else {
		s.silent = min(s.silent+dt, 366*24*time.Hour)
		s.refKnown, s.trend = false, 0
		return
	}
	v, least := 0.0, 2.0
	switch {
	case r.SoC != nil:
		v = *r.SoC
	case r.cell > 0:
		v, least = r.cell*1000, 20
	default:
		s.refKnown, s.trend = false, 0
		return
	}
	s.refAge += dt
	switch {
	case !s.refKnown:
		s.ref, s.refKnown, s.refAge, s.trend = v, true, 0, 0
	case s.refAge >= 10*time.Minute:
		switch d := v - s.ref; {
		case d >= least:
			s.trend = 1
		case d <= -least:
			s.trend = -1
		default:
			s.trend = 0
		}
		s.ref, s.refAge = v, 0
	}
}

// measure adds up energy: our own by the estimate for the level, all by what a meter says.
func (s *State) measure(r Reading, dt time.Duration) {
	if !r.Fresh || r.Net == nil || dt == 0 {
		return
	}
	load := -*r.Net
	if r.PVWatts != nil {
		load += *r.PVWatts
	}
	if load >= 0 && !(r.External != nil && *r.External) {
		grow(&s.TodayMeasuredWh, load*min(dt, StaleAfter).Hours())
		s.Measured = true
	}
}

// supply follows the under-voltage flag; it reports a second event within ten minutes.
func (s *State) supply(r Reading, dt time.Duration) (second bool) {
	s.calm = min(s.calm+dt, dayLong)
	s.sinceSag = min(s.sinceSag+dt, dayLong)
	if r.UnderVolts {
		s.calm = 0
		if !s.sagging {
			s.UnderVoltages++
			second = s.sagged && s.sinceSag <= sagsWithin
			s.sagged, s.sinceSag = true, 0
		}
	}
	s.sagging = r.UnderVolts
	return second
}

// The form of a state on disk: version, then fields of fixed size, little-endian, then CRC-32C.
const (
	stateVersion = 1
	StateSize    = 1 + 1 + 1 + 2 + 1 + 2*8 + 2 + 8 + levels*8 + 8 + 3*8 + 8 + 5*2 + 8 + 8 + 4
)

const (
	flagStarted = 1 << iota
	flagSeen
	flagMeasured
	flagHit
	flagHigh
	flagHigher
	flagsAll = 1<<iota - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode writes what of a state outlives the process, in StateSize bytes.
func (s State) Encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, StateSize), stateVersion, byte(s.Level))
	var flags byte
	for i, on := range []bool{s.Started, s.Seen, s.Measured, s.hit, s.high, s.higher} {
		if on {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = le.AppendUint16(b, s.Cells)
	b = append(b, 0) // room
	real := func(v float64) { b = le.AppendUint64(b, math.Float64bits(v)) }
	real(s.Floor)
	real(s.lowest)
	b = le.AppendUint16(b, uint16(min(s.Changes, math.MaxUint16)))
	b = le.AppendUint64(b, s.UnderVoltages)
	for _, v := range s.LevelSeconds {
		real(v)
	}
	real(s.UplinkSeconds)
	real(s.TodaySelfWh)
	real(s.TodayMeasuredWh)
	real(s.TodayUplinkWh)
	b = le.AppendUint64(b, s.TodayBytes)
	for _, v := range s.Leads {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint64(b, uint64(s.day))
	b = le.AppendUint64(b, uint64(s.dayTime))
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// Decode reads what Encode wrote. Whatever the bytes are, a state that it returns is one that Step can be
// in; the error wraps ErrState.
func Decode(b []byte) (State, error) {
	bad := func(format string, args ...any) (State, error) {
		return State{}, fmt.Errorf("%w: "+format, append([]any{ErrState}, args...)...)
	}
	if len(b) != StateSize {
		return bad("%d bytes, not %d", len(b), StateSize)
	}
	le := binary.LittleEndian
	body, sum := b[:StateSize-4], le.Uint32(b[StateSize-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return bad("its checksum is wrong")
	}
	if body[0] != stateVersion {
		return bad("version %d, this program knows %d", body[0], stateVersion)
	}
	s := State{Level: Level(body[1])}
	flags := body[2]
	if s.Level >= levels || flags > flagsAll || body[5] != 0 {
		return bad("level %d, flags %#x", body[1], flags)
	}
	s.Started, s.Seen, s.Measured = flags&flagStarted != 0, flags&flagSeen != 0, flags&flagMeasured != 0
	s.hit, s.high, s.higher = flags&flagHit != 0, flags&flagHigh != 0, flags&flagHigher != 0
	s.Cells = le.Uint16(body[3:])
	rest := body[6:]
	word := func() uint64 { v := le.Uint64(rest); rest = rest[8:]; return v }
	half := func() uint16 { v := le.Uint16(rest); rest = rest[2:]; return v }
	wrong := ""
	real := func(name string, most float64) float64 {
		v := math.Float64frombits(word())
		if !(v >= 0 && v <= most) {
			wrong = fmt.Sprintf("%s %g", name, v)
		}
		return v
	}
	s.Floor = real("floor", floorMost)
	s.lowest = real("lowest charge", noneYet)
	s.Changes = int(half())
	s.UnderVoltages = word()
	for i := range s.LevelSeconds {
		s.LevelSeconds[i] = real("time at a level", maxSum)
	}
	s.UplinkSeconds = real("time of the uplink", maxSum)
	s.TodaySelfWh = real("energy", maxSum)
	s.TodayMeasuredWh = real("energy", maxSum)
	s.TodayUplinkWh = real("energy", maxSum)
	s.TodayBytes = word()
	for i := range s.Leads {
		s.Leads[i] = half()
	}
	s.day = int64(word())
	s.dayTime = time.Duration(word())
	if s.day < 0 || s.day > maxDay || s.dayTime < 0 || s.dayTime > 2*366*dayLong {
		wrong = "a time"
	}
	if s.Floor > 0 && s.Floor < floorLeast {
		wrong = fmt.Sprintf("floor %g", s.Floor)
	}
	if wrong != "" {
		return bad("%s is out of bounds", wrong)
	}
	return s, nil
}

// noneYet stands for the lowest charge before one was read: over any.
const noneYet = 101.
