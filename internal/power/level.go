package power

import (
	"fmt"
	"slices"
	"time"
)

// A Level is how much a node does, the least first.
type Level uint8

// The levels.
const (
	Park    Level = iota // state is flushed, everything is closed
	Survive              // wakes in windows only
	Eco                  // pulls now and then
	Full                 // follows every block
	levels  = 4
)

var levelNames = [levels]string{"park", "survive", "eco", "full"}

func (l Level) String() string {
	if l < levels {
		return levelNames[l]
	}
	return fmt.Sprintf("level %d", uint8(l))
}

// MarshalText gives the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a level's name.
func (l *Level) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLevel(string(b))
	return err
}

// ParseLevel reads a level's name.
func ParseLevel(s string) (Level, error) {
	if i := slices.Index(levelNames[:], s); i >= 0 {
		return Level(i), nil
	}
	return 0, fmt.Errorf("no power level is called %q; there are park, survive, eco and full", s)
}

// Whom a node serves proofs to.
const (
	ServeAll  = "all"
	ServeLAN  = "lan"
	ServeNone = "none"
)

// What a neuron does.
const (
	DutyAll       = "all"       // everything
	DutyDeadlines = "deadlines" // weights at their deadlines, a miner answers, nothing is probed
	DutyOnly      = "deadlines only"
	DutyLastCall  = "last call" // a deadline only if the battery bears it twice
)

// A Plan is what the parts of a node do at a level. Gossip has its own parameters for each (package gossip).
type Plan struct {
	SyncEvery int    `json:"sync_every_blocks"` // 1: each as it comes; 0: never
	Finality  string `json:"finality"`          // "follow" commits and blocks, "pull" by warp proof, "none"

	PeersOut   int    `json:"peers_out"`
	PeersIn    int    `json:"peers_in"`
	LANFirst   bool   `json:"lan_first"`
	Windowed   bool   `json:"windowed"`  // connections and uplink only in windows
	Connected  bool   `json:"connected"` // false: no connection at all
	Serve      string `json:"serve"`
	ServeBytes int    `json:"serve_bytes_per_hour"` // the most; 0 with ServeAll: no limit of its own

	FlushEvery int           `json:"flush_every_blocks"` // checkpoint writes; 0: with each pull
	Duty       string        `json:"neuron"`
	Poll       time.Duration `json:"-"` // how often the meters are read

	BytesPerDay    uint64  `json:"bytes_per_day_most"`
	WakeupsPerSec  float64 `json:"wakeups_per_second_most"`
	estimatedBytes uint64
}

// The rows of the table of levels. estimatedBytes is what a day of it costs by arithmetic, from the sizes
// on the wire: from each peer a header of 250 B for each block, and from two of them a commit of 14
// precommits of 132 B and 54 B more; a pulled justification of 20 authorities and its header 2,700 B with
// the request; a handshake 6 kB; a keepalive of 100 B in 15 minutes for each connection and direction.
// It is the headers that leave room for two peers in eco, and no more.
//
// FlushEvery is set by the budgets of what a card is written, at 16 KiB for each head: 48 a day, 8 in survive.
var plans = [levels]Plan{
	Full: {SyncEvery: 1, Finality: "follow", PeersOut: 8, PeersIn: 16, Connected: true, Serve: ServeAll,
		FlushEvery: 150, Duty: DutyAll,
		Poll: 10 * time.Second, BytesPerDay: 60e6, WakeupsPerSec: 25,
		estimatedBytes: BlocksPerDay*(8*250+2*(14*132+54)) + 8*2*96*100},
	Eco: {SyncEvery: 25, Finality: "pull", PeersOut: 2, PeersIn: 4, LANFirst: true, Connected: true, Serve: ServeLAN, ServeBytes: 1e6,
		FlushEvery: 150, Duty: DutyDeadlines,
		Poll: 10 * time.Second, BytesPerDay: 6e6, WakeupsPerSec: 5,
		estimatedBytes: BlocksPerDay/25*2700 + BlocksPerDay*2*250 + 2*2*96*100},
	Survive: {SyncEvery: 300, Finality: "pull", PeersOut: 2, Windowed: true, Connected: true, Serve: ServeNone,
		FlushEvery: 900, Duty: DutyOnly,
		Poll: 30 * time.Second, BytesPerDay: 1e6, WakeupsPerSec: 1.5,
		estimatedBytes: BlocksPerDay / 300 * windowBytes},
	Park: {Finality: "none", Serve: ServeNone, Duty: DutyLastCall, Poll: 30 * time.Second},
}

// windowBytes is what a window moves by the same arithmetic: with two peers.
const windowBytes = 2 * (6000 + 2700)

// PlanOf returns what a node does at a level on a link that is always there.
func PlanOf(l Level) Plan {
	if l >= levels {
		return plans[Park]
	}
	return plans[l]
}

// BlockTime is the time between two blocks, and BlocksPerDay how many come in a day.
const (
	BlockTime    = 12 * time.Second
	BlocksPerDay = uint64(24 * time.Hour / BlockTime)
)

// A Window says at which heights nodes that sleep are awake: those with (n - Phase) mod Every < Len. The
// chain's height is the one clock that strangers share.
type Window struct {
	Len   uint32 `json:"len"`
	Every uint32 `json:"every"`
	Phase uint32 `json:"phase"`
}

// The windows: 2 minutes of each hour; 3 minutes in 4 hours of a link that has to be switched on.
var (
	CheapWindow  = Window{Len: 10, Every: 300}
	UplinkWindow = Window{Len: 15, Every: 1200}
)

// maxWindow bounds a window's period: a day, so that no node sleeps past half an activity cutoff twice.
const maxWindow = uint32(BlocksPerDay)

// ParseWindow reads LEN/EVERY, in blocks.
func ParseWindow(s string) (Window, error) {
	var w Window
	var rest string
	n, _ := fmt.Sscanf(s, "%d/%d%s", &w.Len, &w.Every, &rest)
	if n != 2 || w.Len < 1 || w.Len > w.Every || w.Every > maxWindow {
		return Window{}, fmt.Errorf("window %q: want LEN/EVERY in blocks, like 15/1200, at most a day (%d)", s, maxWindow)
	}
	return w, nil
}

// Open reports whether a height lies in a window.
func (w Window) Open(height uint32) bool { return w.into(height) < w.Len }

// Next returns the first height of the next window after the one that height may lie in.
func (w Window) Next(height uint32) uint32 { return height + w.period() - w.into(height) }

func (w Window) period() uint32 { return max(w.Every, 1) }

// into returns how far into its period a height lies.
func (w Window) into(height uint32) uint32 {
	p := w.period()
	return uint32((uint64(height) + uint64(p) - uint64(w.Phase%p)) % uint64(p))
}
