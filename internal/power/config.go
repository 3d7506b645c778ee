package power

import (
	"errors"
	"fmt"
	"math"
)

// ErrConfig: settings that contradict each other or are out of bounds.
var ErrConfig = errors.New("bad power settings")

// Config is what the owner of a battery knows about it. The zero value with Assume Full is a board on
// mains.
type Config struct {
	Chemistry  Chemistry
	CapacityWh float64 // 0: unknown, so no night budget and no last call in park
	Cells      int     // in series; 0: found out where a voltage tells

	// Percent; 0: the chemistry's.
	Eco, Survive, Park, LeavePark float64

	FloorLearning bool
	// Explicit: a meter is named in the settings, so that its silence is a fault and not mains.
	Explicit bool
	NoMeters bool // the settings say that there is no battery, whatever was seen before
	// Assume is the level where no battery is seen.
	Assume Level

	Lat, Lon   float64 // degrees; 0 and 0: no sun model
	YieldShare float64 // 0 to 1 of yesterday's yield that a day may cost; 0: not looked at

	Board  Board
	Uplink Uplink

	MaxBytesPerDay uint64 // both directions; 0: no limit
}

// An Uplink is a link that is switched on for its windows.
type Uplink struct {
	Switched    bool
	Watts       float64
	Window      Window
	MaxWhPerDay float64 // 0: no limit
}

// Check returns an error that wraps ErrConfig and names what is wrong.
func (c *Config) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
	}
	if c.Chemistry != "" && c.Chemistry != Auto && presets[c.Chemistry] == nil {
		return bad("chemistry %q", c.Chemistry)
	}
	for _, x := range []struct {
		name        string
		v           float64
		least, most float64
	}{
		{"capacity in Wh", c.CapacityWh, 0, 1e6}, {"eco", c.Eco, 0, 100}, {"survive", c.Survive, 0, 100}, {"park", c.Park, 0, 100},
		{"leave park", c.LeavePark, 0, 100}, {"latitude", c.Lat, -90, 90}, {"longitude", c.Lon, -180, 180}, {"share of the yield", c.YieldShare, 0, 1},
		{"uplink's watts", c.Uplink.Watts, 0, 1e4}, {"uplink's Wh a day", c.Uplink.MaxWhPerDay, 0, 1e6}, {"cells", float64(c.Cells), 0, 400},
		{"board's idle watts", c.Board.Idle, 0, 1e3},
	} {
		if math.IsNaN(x.v) || x.v < x.least || x.v > x.most {
			return bad("%s is %g, want %g to %g", x.name, x.v, x.least, x.most)
		}
	}
	// A threshold that is not given is the chemistry's.
	chem := c.Chemistry
	if chem == "" || chem == Auto {
		chem = LiFePO4
	}
	p := presets[chem]
	park, survive, eco := given(c.Park, p.park), given(c.Survive, p.survive), given(c.Eco, p.eco)
	if !(park < survive && survive < eco) {
		return bad("want park < survive < eco, have %g, %g and %g for %s", park, survive, eco, chem)
	}
	if leave := given(c.LeavePark, p.leave); leave <= park {
		return bad("want leave_park above park, have %g and %g for %s", leave, park, chem)
	}
	if w := c.Uplink.Window; w.Every > 0 && (w.Len < 1 || w.Len > w.Every || w.Every > maxWindow) {
		return bad("uplink window %d/%d", w.Len, w.Every)
	}
	return nil
}

// limits are thresholds in percent: below[l] is where level l is left downwards.
type limits struct {
	below      [levels]float64
	leave, gap float64
}

func given(v, preset float64) float64 {
	if v > 0 {
		return v
	}
	return preset
}

func (c *Config) limits(chem Chemistry, floor float64) limits {
	p := presets[chem]
	l := limits{gap: p.gap}
	l.below[Survive] = given(c.Park, p.park)
	// Where a meter tells another chemistry than the settings were made for, they may cross.
	l.below[Eco] = max(given(c.Survive, p.survive), l.below[Survive], floor)
	l.below[Full] = max(given(c.Eco, p.eco), l.below[Eco])
	if floor > 0 { // the learned floor pushes up what lies above it
		l.below[Full] = max(l.below[Full], min(l.below[Eco]+p.gap, 95))
	}
	l.leave = max(given(c.LeavePark, p.leave), l.below[Survive])
	return l
}

// window is when a node in survive is awake.
func (c *Config) window() Window {
	switch {
	case c.Uplink.Switched && c.Uplink.Window.Every > 0:
		return c.Uplink.Window
	case c.Uplink.Switched:
		return UplinkWindow
	}
	return CheapWindow
}

// A Board is what a computer draws at its 5 V, in watts: idle with its radio on, idle with it off, busy.
type Board struct {
	Name              string
	Idle, Quiet, Busy float64
}

// Boards are figures that others published, the name as it begins in /proc/device-tree/model without the
// maker. They are estimates: of one board with few peripherals.
var Boards = []Board{
	{"Pi Zero 2 W", 0.60, 0.50, 1.75}, // cnx-software.com 2021-12-09; Raspberry Pi's documentation
	{"Pi Zero W", 0.55, 0.45, 0.95},   // blog.gc2.at
	{"Pi 3 Model B", 1.5, 1.4, 4.25},  // Raspberry Pi's documentation
	{"Pi 4 Model B", 2.3, 1.8, 5.4},   // chipwired.com, 36 measurements
	{"Pi 5", 3.0, 2.9, 7.5},           // rough
}

// unknownBoard is what a board is taken for that is not in the list.
const unknownBoard = "Pi 4 Model B"

func (c *Config) board() Board {
	if b := c.Board; b.Idle > 0 {
		if b.Quiet == 0 {
			b.Quiet = b.Idle
		}
		return b
	}
	for _, b := range Boards {
		if b.Name == unknownBoard {
			return b
		}
	}
	return Board{}
}

// BoardName says for which board costs are estimated.
func (c *Config) BoardName() string {
	switch {
	case c.Board.Name != "":
		return "a " + c.Board.Name
	case c.Board.Idle > 0:
		return fmt.Sprintf("a board of %g W idle", c.Board.Idle)
	}
	return "a " + unknownBoard + ", as this board is not known"
}

// Efficiency of the converter from a battery to 5 V.
const efficiency = 0.85

// busyShare is how much of the time a node keeps its board busy, by level: an estimate, far over the
// 0.3 ms of processor time per second that a host with 8 peers was measured to take on a server.
var busyShare = [levels]float64{Full: 0.007, Eco: 0.003, Survive: 0.001}

// Watts returns what a level draws from the battery on average, an estimate: the board's idle and busy
// power by published figures over the converter's efficiency, and the uplink's if it is switched.
func (c *Config) Watts(l Level) float64 {
	on := c.uplinkShare(l)
	return on*c.draw(l, true) + (1-on)*c.draw(l, false)
}

// DeadlineWh is what a deadline is taken to cost: three minutes at the level of survive with the link on.
func (c *Config) DeadlineWh() float64 { return c.draw(Survive, true) / 20 }

// draw is what a level draws while the link is powered or not. Without a switch it always is.
func (c *Config) draw(l Level, on bool) float64 {
	b := c.board()
	idle, link := b.Idle, 0.0
	if c.Uplink.Switched && on {
		link = c.Uplink.Watts
	} else if c.Uplink.Switched {
		idle = b.Quiet
	}
	return (idle+busyShare[l]*max(b.Busy-b.Idle, 0))/efficiency + link
}

// uplinkShare is for how much of the time the link is powered at a level.
func (c *Config) uplinkShare(l Level) float64 {
	switch {
	case l >= Eco || !c.Uplink.Switched:
		return 1
	case l == Survive:
		w := c.window()
		return float64(w.Len) / float64(max(w.Every, 1))
	}
	return 0
}

// A Cost is what a day at a level takes, estimated.
type Cost struct {
	Level       Level   `json:"level"`
	Watts       float64 `json:"watts_est"`
	WhPerDay    float64 `json:"wh_per_day_est"`
	BytesPerDay uint64  `json:"bytes_per_day_est"`
	BytesMost   uint64  `json:"bytes_per_day_budget"`
}

// Cost returns what a day at a level takes.
func (c *Config) Cost(l Level) Cost {
	w := c.Watts(l)
	return Cost{l, w, 24 * w, c.bytes(l), PlanOf(l).BytesPerDay}
}

// bytes is what a day at a level takes over the link, estimated.
func (c *Config) bytes(l Level) uint64 {
	n := PlanOf(l).estimatedBytes
	if l == Survive {
		n = n * uint64(CheapWindow.Every) / uint64(max(c.window().Every, 1))
	}
	return n
}
