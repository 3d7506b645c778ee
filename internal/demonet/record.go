package demonet

import (
	"slices"

	"github.com/taolight/taolight/verify"
)

// A CommitKind is one of the two ways to commit to weights.
type CommitKind uint8

// The kinds.
const (
	HashCommit       CommitKind = iota // a hash, revealed by an extrinsic
	TimelockedCommit                   // a ciphertext, revealed by the chain when its pulse is there
)

func (k CommitKind) String() string {
	if k == TimelockedCommit {
		return "timelocked"
	}
	return "hash"
}

// A CommitRecord is what the chain knows of one commit: not what a proof shows, but what happened.
type CommitRecord struct {
	Kind   CommitKind
	Netuid uint16
	Mecid  uint8
	UID    uint16 // of the hotkey when it committed
	Hotkey verify.AccountID
	Epoch  uint64      // whose weights they are to be: the storage key, or what the entry counts from
	Block  uint32      // the commit is in the state of this block and in none before
	Hash   verify.Hash // of a hash commit, or Blake2b-256 of the ciphertext
	Fault  CommitFault // what is wrong with it on purpose

	// Timelocked commits only.
	Round      uint64 // as the chain stores it
	Ciphertext []byte

	// What is inside as its maker meant it, and for hash commits what reveals it.
	UIDs, Values, Salt []uint16
	VersionKey         uint64

	// Why is "" while nothing has happened yet, "stored", or the word for the reason.
	Why        string
	RevealedAt uint32 // the weights are in the state of this block first; 0: never
	LostAt     uint32 // from this block on it cannot be revealed any more; 0: not lost
	GoneAt     uint32 // the entry is not in the state of this block, the first such one; 0: still there
	Refused    string // hash commits: why a reveal of it failed, in a word; it may be tried again
}

// Index is the storage index of the subnet's mechanism.
func (r *CommitRecord) Index() uint16 { return indexOf(r.Netuid, r.Mecid) }

// Commits returns every commit of the best chain in the order in which they were made.
func (n *Network) Commits() []CommitRecord {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.chain.commits()
}

// A note is one thing that a block did with a commit. Blocks keep their own notes, so that a chain
// that changes its mind forgets those of the branch it left.
type note struct {
	what  noteKind
	id    commitID
	why   string
	maker *CommitRecord // of a new commit
}

type noteKind uint8

const (
	noteMade noteKind = iota
	noteRevealed
	noteRefused
	noteLost
	noteGone
)

// A commitID tells commits apart, as no two have one hash: what is hashed differs by its salt or
// its encryption.
type commitID struct {
	kind   CommitKind
	netuid uint16
	mecid  uint8
	who    verify.AccountID
	hash   verify.Hash
}

func (p *pallet) note(what noteKind, kind CommitKind, netuid uint16, mecid uint8, who verify.AccountID, hash verify.Hash, why string) {
	p.notes = append(p.notes, note{what: what, id: commitID{kind, netuid, mecid, who, hash}, why: why})
}

func (p *pallet) revealed(kind CommitKind, netuid uint16, mecid uint8, who verify.AccountID, hash verify.Hash) {
	p.note(noteRevealed, kind, netuid, mecid, who, hash, whyStored)
}

func (p *pallet) lost(kind CommitKind, netuid uint16, mecid uint8, who verify.AccountID, hash verify.Hash, why string) {
	p.note(noteLost, kind, netuid, mecid, who, hash, why)
}

func (p *pallet) gone(kind CommitKind, netuid uint16, mecid uint8, who verify.AccountID, hash verify.Hash) {
	p.note(noteGone, kind, netuid, mecid, who, hash, "")
}

func (c *chain) commits() []CommitRecord {
	var out []*CommitRecord
	byID := make(map[commitID]*CommitRecord)
	for _, b := range c.canon {
		for _, n := range b.notes {
			if n.what == noteMade {
				r := *n.maker
				byID[n.id] = &r
				out = append(out, &r)
				continue
			}
			r := byID[n.id]
			if r == nil {
				continue
			}
			number := b.header.Number
			switch n.what {
			case noteRevealed:
				r.RevealedAt, r.Why = number, n.why
			case noteRefused:
				r.Refused = n.why
			case noteLost:
				// The first loss counts: an expired hash commit may lie about and be noted again,
				// and weights that were overwritten in their own block were never to be seen.
				if r.LostAt == 0 {
					r.LostAt, r.Why = number, n.why
				}
				if n.why == whySuperseded {
					r.RevealedAt = 0
				}
			case noteGone:
				if r.GoneAt == 0 {
					r.GoneAt = number
				}
			}
		}
	}
	list := make([]CommitRecord, len(out))
	for i, r := range out {
		list[i] = *r
		list[i].UIDs, list[i].Values, list[i].Salt = slices.Clone(r.UIDs), slices.Clone(r.Values), slices.Clone(r.Salt)
	}
	return list
}
