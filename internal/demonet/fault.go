package demonet

import (
	"fmt"
	"time"
)

// A FaultKind is a way in which a peer is not what it should be.
type FaultKind int

// The faults. Those from Silent to SlowLink are of a peer as a whole; each Lie… spoils one kind of
// answer or message, and only that.
const (
	Honest FaultKind = iota
	Silent
	Busy
	Full
	WrongGenesis
	LateFinality
	Stale
	SlowLink
	Garbage
	LieHeader
	LieHeaderSeal
	LieBody
	LieJustification
	LieJustificationTarget
	LieRead
	LieReadOther
	LieReadMissing
	LieReadUnused
	LieCall
	LieCallMissing
	LieWarpSignature
	LieWarpSet
	LieWarpTarget
	LieWarpEmpty
	LieAnnounceSeal
	LieAnnounceParent
	LieCommitSignature
	LieCommitTarget
	LieNeighbor
	LieKad
)

// faults says what each kind does, in the order of the constants.
var faults = [...]struct{ name, where, what string }{
	Honest:                 {"honest", "", "does everything as it should"},
	Silent:                 {"silent", "", "accepts connections, substreams and requests and never says a word"},
	Busy:                   {"busy", "", "closes every request without an answer"},
	Full:                   {"full", "block-announces/1", "refuses the substream: no light slot left"},
	WrongGenesis:           {"wrong-genesis", "block-announces/1", "shakes hands as a node of another chain"},
	LateFinality:           {"late-finality", "", "knows of finality only Blocks blocks late"},
	Stale:                  {"stale", "", "stopped at the block that was best when the fault began"},
	SlowLink:               {"slow-link", "", "is reached at Rate bytes a second"},
	Garbage:                {"garbage", "", "answers every request with random bytes"},
	LieHeader:              {"lie-header", "sync/2", "changes the state root of the headers it gives"},
	LieHeaderSeal:          {"lie-header-seal", "sync/2", "gives headers of its own that nobody entitled has sealed"},
	LieBody:                {"lie-body", "sync/2", "changes an extrinsic of each body"},
	LieJustification:       {"lie-justification", "sync/2", "changes a signature of each justification"},
	LieJustificationTarget: {"lie-justification-target", "sync/2", "puts another block's precommits under each justification's target"},
	LieRead:                {"lie-read", "light/2", "changes a byte of each read proof"},
	LieReadOther:           {"lie-read-other", "light/2", "gives sound read proofs of another block's state"},
	LieReadMissing:         {"lie-read-missing", "light/2", "leaves the last node out of each read proof"},
	LieReadUnused:          {"lie-read-unused", "light/2", "adds a node that nobody asked for to each read proof"},
	LieCall:                {"lie-call", "light/2", "changes a byte of each call proof"},
	LieCallMissing:         {"lie-call-missing", "light/2", "leaves all but the first node out of each call proof"},
	LieWarpSignature:       {"lie-warp-signature", "sync/warp", "changes a signature in the last fragment"},
	LieWarpSet:             {"lie-warp-set", "sync/warp", "proves a block of its own with a set of its own"},
	LieWarpTarget:          {"lie-warp-target", "sync/warp", "puts genuine precommits under a header of its own"},
	LieWarpEmpty:           {"lie-warp-empty", "sync/warp", "gives no fragment and says that there are more"},
	LieAnnounceSeal:        {"lie-announce-seal", "block-announces/1", "announces each block with a seal that does not hold"},
	LieAnnounceParent:      {"lie-announce-parent", "block-announces/1", "announces blocks far ahead whose parents do not exist"},
	LieCommitSignature:     {"lie-commit-signature", "grandpa/1", "changes a signature of each commit"},
	LieCommitTarget:        {"lie-commit-target", "grandpa/1", "puts genuine precommits under another target in each commit"},
	LieNeighbor:            {"lie-neighbor", "grandpa/1", "sends neighbour packets from the far future, then the past, then junk"},
	LieKad:                 {"lie-kad", "kad", "tells of a hundred peers that do not exist"},
}

func (k FaultKind) String() string {
	if k < 0 || int(k) >= len(faults) {
		return fmt.Sprintf("fault %d", int(k))
	}
	return faults[k].name
}

// Protocol returns the end of the name of the protocol that the fault is on, "" for all of them.
func (k FaultKind) Protocol() string { return faults[k].where }

// What says in words what a peer with that fault does.
func (k FaultKind) What() string { return faults[k].what }

// ParseFaultKind returns the kind of a name, such as "lie-read".
func ParseFaultKind(name string) (FaultKind, error) {
	for k := range faults {
		if faults[k].name == name {
			return FaultKind(k), nil
		}
	}
	return 0, fmt.Errorf("demo network: no fault is called %q", name)
}

// FaultKinds returns every fault, Honest left out.
func FaultKinds() []FaultKind {
	out := make([]FaultKind, 0, len(faults)-1)
	for k := 1; k < len(faults); k++ {
		out = append(out, FaultKind(k))
	}
	return out
}

// A Fault is what is wrong with one peer.
type Fault struct {
	Peer   int           // whose, in Config.Faults
	Kind   FaultKind     // what
	Blocks int           // LateFinality: how late; 0 means 8
	Rate   int           // SlowLink: bytes a second each way; 0 means 4096
	Delay  time.Duration // SlowLink: added to each direction
}

func (f Fault) lateness() uint32 {
	switch {
	case f.Kind != LateFinality:
		return 0
	case f.Blocks <= 0:
		return 8
	}
	return uint32(f.Blocks)
}
