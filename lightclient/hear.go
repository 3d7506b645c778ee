package lightclient

import (
	"slices"

	"github.com/taolight/taolight/verify/bundle"
)

// What a look at a watched subnet has proven is worth something to others: it is cut into bundles that fit a
// message, for Config.Shown. And what others have proven of the same subnet is kept (Node.Hear), which is all
// that a node gets that has no peers of its own.

// MaxShown is the most bytes of a bundle that is handed on.
const MaxShown = 64 << 10

// fresh are claims that a look has newly proven, with the bundle that does.
type fresh struct {
	x      *bundle.Bundle
	claims []bundle.Claim
}

// shown cuts new claims out of a bundle, into as many as it takes. One that is too big by itself is left out, and
// so is what can be linked no more.
func (l *look) shown(x *bundle.Bundle, claims []bundle.Claim) (messages [][]byte) {
	if len(claims) == 0 || l.ctx.Err() != nil {
		return nil
	}
	if y, err := l.recut(x, claims, ProveOptions{}); err == nil {
		if b := y.Encode(); len(b) <= MaxShown {
			return [][]byte{b}
		}
	}
	if len(claims) == 1 {
		return nil
	}
	half := len(claims) / 2
	return append(l.shown(x, claims[:half]), l.shown(x, claims[half:])...)
}

// heard is evidence of one epoch of a mechanism.
type heard struct {
	key   watchKey
	epoch uint64
	ids   map[CommitID]bool // true: it tells the end
	x     *bundle.Bundle
	data  []byte
}

// about returns which epoch of which watched mechanism all claims of a bundle are about.
func (n *Node) about(x *bundle.Bundle) (key watchKey, epoch uint64, ids map[CommitID]bool, ok bool) {
	ids = make(map[CommitID]bool)
	for i, c := range x.Claims {
		id, is := idOf(c)
		if !is || !slices.Contains(n.watch.netuids, id.Netuid) {
			return key, 0, nil, false
		}
		if at := (watchKey{id.Netuid, id.Mecid}); i == 0 {
			key, epoch = at, id.Epoch
		} else if at != key || id.Epoch != epoch {
			return key, 0, nil, false
		}
		_, made := c.(bundle.MadeClaim)
		ids[idWithin(id)] = ids[idWithin(id)] || !made
	}
	return key, epoch, ids, len(ids) > 0
}

// keepHeard stores what was heard, if it says more than what is kept. It runs in the loop.
func (n *Node) keepHeard(h heard) {
	if n.watch.busy { // the queues belong to a look; what it finds out may be the same
		if len(n.watch.waiting) < maxWaiting {
			n.watch.waiting = append(n.watch.waiting, h)
		}
		return
	}
	nth := 0
	var e *evidence
	if s := n.watch.queues[h.key]; s != nil {
		e = s.of(h.epoch)
		news := false
		for id, end := range h.ids {
			news = news || end && !e.done[id] || !end && !e.made[id] && !e.done[id]
		}
		if !news {
			return
		}
		nth = len(e.parts)
	} else {
		prefix := archiveName(h.key.netuid, h.key.mecid, h.epoch, 0)
		n.cfg.Store.Bundles(prefix[:len(prefix)-2], func(uint32, string, int) bool { nth++; return nth < maxParts })
	}
	if nth >= maxParts {
		return
	}
	p := &part{number: h.x.Final.Header.Number, name: archiveName(h.key.netuid, h.key.mecid, h.epoch, nth), size: len(h.data), x: h.x}
	n.keep(n.cfg.Store.PutBundle(p.number, p.name, h.data))
	n.watch.status.Heard++
	if e == nil {
		return
	}
	e.parts = append(e.parts, p)
	for id, end := range h.ids {
		if e.made[id] = true; end {
			e.done[id] = true
			delete(e.open, id)
		}
	}
}

const (
	maxParts   = 64 // of one epoch
	maxWaiting = 64
)
