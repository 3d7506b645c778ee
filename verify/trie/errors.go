package trie

import "errors"

// Errors. They come wrapped with the place: the node's position in the list, the byte in the node.
var (
	// ErrNode: a node that the root commits to is not a node encoding. No honest state holds one.
	ErrNode = errors.New("malformed trie node")
	// ErrEntry: an entry of the list can be no part of any proof for this root.
	ErrEntry = errors.New("not an entry of a proof")
	// ErrDuplicateNode: the same entry is in the list twice.
	ErrDuplicateNode = errors.New("duplicate entry in proof")
	// ErrUnusedNode: an entry is reached by none of the lookups.
	ErrUnusedNode = errors.New("unused entry in proof")
	// ErrIncomplete: a lookup needs an entry that is not in the list.
	ErrIncomplete = errors.New("incomplete proof")
	// ErrLimit: an input or an answer is above a bound of this package.
	ErrLimit = errors.New("above the limit")
)

// Bounds of this package. The chain has none of its own but MaxPartial, to which its codec cuts.
const (
	// MaxProofSize is the most bytes of entries in a proof: what a peer may send in one response.
	MaxProofSize = 16 << 20
	// MaxPartial is the most nibbles in the partial key of a node, and in a key that an enumeration
	// finds.
	MaxPartial = 65_535
	// MaxDepth is the most nodes on the path to a key that an enumeration finds. The keys of this
	// chain are shorter than 200 bytes, so no path of it can have more than 400.
	MaxDepth = 4_096
	// MaxVisits is the most nodes one enumeration looks at. Equal subtrees are one entry of a proof,
	// so a small proof may well stand for a large part of a state, and a hostile one for one without
	// end.
	MaxVisits = 1 << 20
	// MaxKeyBytes is the most bytes of keys, counting 24 more for each, that one enumeration returns.
	MaxKeyBytes = 16 << 20
)

// A Version is a state version of the chain (sp_runtime::StateVersion).
type Version byte

const (
	// V0 holds every value in its node. The roots of extrinsics are still made this way.
	V0 Version = 0
	// V1 holds the hash of each value of 33 bytes or more in the node, and the value beside it.
	V1 Version = 1
)

// threshold is the length from which V1 takes a value out of its node (sp_core::storage,
// TRIE_VALUE_NODE_THRESHOLD).
const threshold = 33

// An Outcome is what a proof says about a lookup.
type Outcome int

const (
	// Incomplete: the proof lacks an entry that the lookup needs.
	Incomplete Outcome = iota
	// Absent: the proof shows that there is no such key.
	Absent
	// Present: the proof shows what was asked for.
	Present
)

// String returns the outcome as a word.
func (o Outcome) String() string {
	switch o {
	case Absent:
		return "absent"
	case Present:
		return "present"
	}
	return "incomplete"
}
