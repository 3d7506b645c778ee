package gossip

import (
	"fmt"
	"time"
)

// A Level says how much the board can spend. Whoever knows the battery gives it.
type Level byte

const (
	Full    Level = iota // power from the mains, or a battery that fills
	Eco                  // every 25th block, few neighbours, those of the LAN first
	Survive              // no topic: what is to be told is told in a short window
	Park                 // nothing at all
)

var levels = [...]string{"full", "eco", "survive", "park"}

func (l Level) String() string {
	if int(l) < len(levels) {
		return levels[l]
	}
	return "?"
}

// ParseLevel returns the level of a name.
func ParseLevel(s string) (Level, error) {
	for i, name := range levels {
		if s == name {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("no such level %q: want full, eco, survive or park", s)
}

// Params are what a level means for gossip. They are GossipSub's own parameters, smaller than its
// defaults: a mesh of four copies a message reaches a thousand nodes in five or six hops, and a small
// board pays for each neighbour in wakeups and in bytes: with six at most instead of four, a day of
// finality was 2 MB more (internal/sim, TestDay).
type Params struct {
	Topics      []Kind
	D, Dlo, Dhi int // neighbours in the mesh of a topic: wanted, least, most
	Dlazy       int // neighbours told the names of recent messages, at each heartbeat
	Tell        int // heartbeats in which the name of a message is told
	// Spread is the longest that a finality message waits, after it was verified, until it is passed on; how
	// long, chance decides. In that time the neighbours say that they have it (IDONTWANT): where a message
	// is on its way for 100 ms, a wait of up to 300 saves half of the copies (internal/sim, TestDay).
	Spread time.Duration
	// SpreadMore is how often it waits as long again while part of the mesh has said so (Lingers).
	SpreadMore       int
	Dout             int // of D, dialled by us: nobody can fill a mesh by dialling in. GossipSub wants less than D/2
	Heartbeat        time.Duration
	Out, In          int           // connections to neighbours: dialled, accepted
	MDNSEvery        time.Duration // how often the LAN is asked who is there; 0: never
	Serve, ServeOnly bool          // whether neighbours are answered; only those of private networks
}

// ParamsOf returns the parameters of a level.
func ParamsOf(l Level) Params {
	switch l {
	case Full:
		return Params{
			Topics: Kinds(), D: 4, Dlo: 3, Dhi: 4, Dlazy: 4, Tell: 1, Spread: 250 * time.Millisecond, SpreadMore: 2, Dout: 1, Heartbeat: 3 * time.Second,
			Out: 8, In: 16, MDNSEvery: time.Minute, Serve: true,
		}
	case Eco:
		return Params{
			Topics: []Kind{FinalityRare, Evidence}, D: 3, Dlo: 2, Dhi: 4, Dlazy: 2, Tell: 1, Spread: time.Second, SpreadMore: 0, Dout: 0, Heartbeat: 10 * time.Second,
			Out: 3, In: 4, MDNSEvery: 10 * time.Minute, Serve: true, ServeOnly: true,
		}
	case Survive:
		return Params{Out: 1} // each costs a handshake an hour, and the chain's own peers are asked besides
	}
	return Params{}
}

// meshes reports whether there is anything to route at this level.
func (p Params) meshes() bool { return len(p.Topics) > 0 }
