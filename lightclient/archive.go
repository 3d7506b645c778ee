package lightclient

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// What is kept of a watched subnet are bundles, one or more for the commitments of an epoch:
//
//	commits/<netuid>/<mecid>/<epoch>/<part>
//
// each number in decimals with zeros in front, so that names sort as numbers do.
func archiveName(netuid uint16, mecid uint8, epoch uint64, part int) string {
	return fmt.Sprintf("%s%020d/%02d", archivePrefix(netuid, mecid), epoch, part)
}

func archivePrefix(netuid uint16, mecid uint8) string {
	return fmt.Sprintf("commits/%04d/%02d/", netuid, mecid)
}

// archiveEpoch takes a name apart.
func archiveEpoch(name string) (epoch uint64, part int, ok bool) {
	f := strings.Split(name, "/")
	if len(f) != 5 {
		return 0, 0, false
	}
	epoch, err := strconv.ParseUint(f[3], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	part, err = strconv.Atoi(f[4])
	return epoch, part, err == nil && part >= 0
}

// A keptBundle is one of the archive, as it is stored: nothing in it is believed.
type keptBundle struct {
	number uint32
	name   string
	data   []byte
}

// kept returns what is kept of a mechanism's commitments, the last first.
func (l *look) kept(netuid uint16, mecid uint8) (list []keptBundle) {
	st := l.n.cfg.Store
	if st == nil {
		return nil
	}
	l.n.call(l.ctx, func() {
		st.Bundles(archivePrefix(netuid, mecid), func(number uint32, name string, _ int) bool {
			list = append(list, keptBundle{number: number, name: name})
			return true
		})
		for i := range list {
			list[i].data, _ = st.Bundle(list[i].number, list[i].name)
		}
	})
	slices.Reverse(list)
	return list
}

// open verifies a kept bundle by our own checkpoint, and returns what it says of commitments: nothing if
// it does not hold, or claims nothing that is wanted.
func (l *look) open(k keptBundle, assume uint32, wanted func(CommitID) bool) (*bundle.Bundle, []*Commitment) {
	x, err := bundle.Decode(k.data)
	if err != nil || !slices.ContainsFunc(x.Claims, func(c bundle.Claim) bool {
		id, ok := idOf(c)
		return ok && wanted(idWithin(id))
	}) {
		return nil, nil
	}
	if _, ok := l.verified(x, assume); !ok {
		return nil, nil
	}
	return x, l.told(x)
}

// told returns the commitments that a verified bundle is about.
func (l *look) told(x *bundle.Bundle) []*Commitment {
	known := make(map[bundle.CommitID]*Commitment)
	var list []*Commitment
	of := func(id bundle.CommitID, shown uint32) *Commitment {
		c := known[id]
		if c == nil {
			c = newCommitment(CommitID{id.Kind, id.Hotkey, id.Epoch, id.Block, id.Hash}, shown)
			c.State, c.Trust = Pending, "bundle"
			known[id] = c
			list = append(list, c)
		}
		return c
	}
	for _, claim := range x.Claims {
		switch claim := claim.(type) {
		case bundle.MadeClaim:
			of(claim.CommitID, claim.At)
		case bundle.RevealedClaim:
			c := of(claim.CommitID, claim.At-1)
			c.revealed(claim.At)
			c.ShownAt = claim.At - 1
			if r := claim.Reveal; r != nil {
				c.payload(r.UIDs, r.Values, r.Salt, r.VersionKey)
				c.row(commit.Row(r.UIDs, r.Values))
			}
			c.Equal = new(true)
			l.uidIn(x, c, claim.Netuid, claim.At)
		case bundle.LostClaim:
			c := of(claim.CommitID, claim.At-1)
			c.lost(claim.At, claim.Why)
			if c.ShownAt = claim.At - 1; claim.CommitID.Kind == commit.Hash && claim.Why == commit.Expired {
				c.ShownAt = claim.At
			}
		}
	}
	for id, c := range known {
		if id.Kind == commit.Timelocked {
			l.unlock(x, id, c)
		}
	}
	return list
}

// stateIn returns the state of a block as far as a bundle holds it.
func stateIn(x *bundle.Bundle, number uint32) (subtensor.State, bool) {
	var root verify.Hash
	found := false
	for _, h := range x.Headers {
		if h.Number == number {
			root, found = h.StateRoot, true
		}
	}
	for i := range x.Fragments {
		if h := x.Fragments[i].Header; h.Number == number {
			root, found = h.StateRoot, true
		}
	}
	if x.Final != nil && x.Final.Header.Number == number {
		root, found = x.Final.Header.StateRoot, true
	}
	if !found {
		return nil, false
	}
	p, err := trie.NewProof(root, x.Nodes)
	if err != nil {
		return nil, false
	}
	return subtensor.FromTrie(p), true
}

func (l *look) uidIn(x *bundle.Bundle, c *Commitment, netuid uint16, at uint32) {
	if s, ok := stateIn(x, at); ok {
		if uid, ok, err := subtensor.ReadUID(s, netuid, c.ID.Hotkey); err == nil && ok {
			c.UID = &uid
		}
	}
}

// unlock shows of a timelocked commitment what a verified bundle holds: its entry, and if the pulse is
// there what is inside.
func (l *look) unlock(x *bundle.Bundle, id bundle.CommitID, c *Commitment) {
	s, ok := stateIn(x, c.ShownAt)
	if !ok {
		return
	}
	index, err := subtensor.Index(id.Netuid, id.Mecid)
	if err != nil {
		return
	}
	queue, err := subtensor.ReadTimelockedCommits(s, index, id.Epoch)
	if err != nil {
		return
	}
	for _, e := range queue {
		if e.Hotkey != id.Hotkey || e.Block != uint64(id.Block) || e.Hash() != id.Hash {
			continue
		}
		c.lock(e, l.n.cfg.Checkpoint.Beacon())
		for _, p := range x.Pulses {
			if p.Round != e.Round {
				continue
			}
			c.Pulse = true
			if o := commit.Open(e, p.Signature); o.Payload != nil {
				c.payload(o.Payload.UIDs, o.Payload.Values, nil, o.Payload.VersionKey)
				if c.State == Revealed {
					c.row(commit.Row(o.Payload.UIDs, o.Payload.Values))
				}
			}
		}
		return
	}
}

// recall adds to an answer what was kept of commitments that the states do not show any more.
func (l *look) recall(out *Commitments, o CommitmentsOptions) {
	have := make(map[CommitID]bool)
	for _, list := range [][]*Commitment{out.Pending, out.Past} {
		for _, c := range list {
			have[c.ID] = true
		}
	}
	archive := l.kept(out.Netuid, out.Mecid)
	epochs := o.Epochs
	if epochs <= 0 {
		epochs = lookBack
	}
	seen := make(map[uint64]bool)
	for i, k := range archive {
		epoch, _, ok := archiveEpoch(k.name)
		if !ok {
			continue
		}
		if seen[epoch] = true; len(seen) > epochs {
			break
		}
		if o.Progress != nil {
			o.Progress(fmt.Sprintf("kept bundle %d of %d", i+1, len(archive)))
		}
		_, list := l.open(k, o.AssumeRules, func(id CommitID) bool { return !have[id] && (o.Hotkey == nil || *o.Hotkey == id.Hotkey) })
		for _, c := range list {
			if !have[c.ID] && c.State != Pending && (o.Hotkey == nil || *o.Hotkey == c.ID.Hotkey) {
				have[c.ID] = true
				out.Past = append(out.Past, c)
			}
		}
	}
	out.sort()
}
