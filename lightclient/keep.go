package lightclient

import (
	"errors"
	"slices"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// headEvery is how often, in blocks, the newest head is written while nothing else calls for it: half an
// hour of finney. A journal makes 16 KiB of each of these writes (see package storage), and what a power cut
// takes back, one answer of sync/warp brings again.
const headEvery = 150

// headerEvery is which headers of the followed chain are handed to the store.
const headerEvery = 25

// restore proves the stored head again: the kept fragments lead from the checkpoint to the newest set
// change, and the head's own justification from there to the head. What does not verify is left, and
// the node warps from as far as it got.
func (n *Node) restore() *grandpa.Finalized {
	st, cp := n.cfg.Store, n.cfg.Checkpoint
	if st == nil {
		return nil
	}
	peers, err := st.Peers()
	n.keep(err)
	for _, data := range peers {
		n.keep(n.book.Load(data))
	}
	if cp.Header == nil {
		if raw, ok := st.Get("node", "root"); ok {
			if h, err := verify.DecodeHeader(raw); err == nil {
				n.keep(cp.Resolve(h))
			}
		}
	}
	if raw, ok := st.Get("node", "rootproof"); ok && errors.Is(cp.Ready(), checkpoint.ErrNoSet) {
		n.keep(resolveSetProof(cp, raw))
	}
	if cp.Ready() != nil {
		return nil
	}
	at := cp.Start()
	records, err := st.AuthoritySets()
	n.keep(err)
	for _, raw := range records {
		p, err := grandpa.DecodeWarpProof(raw)
		if err != nil || len(p.Fragments) != 1 || p.Fragments[0].Header.Number <= at.Header.Number {
			continue // damaged, or older than the checkpoint
		}
		next, _, err := p.Verify(at)
		if err != nil {
			break
		}
		at = next
		n.fragments++
		n.rememberSet(p.Fragments[0], at.Set.ID)
	}
	if head, err := storedHead(st, at); err == nil {
		at = head
	} else {
		n.note("store", "stored head is not used: %v; going on from #%d", err, at.Header.Number)
		n.keep(st.RejectHead(err))
	}
	if at.Header.Number > cp.Number {
		n.restored = at.Header.Number
		n.written, n.writtenHash = at.Header.Number, at.Hash
		n.note("store", "restored #%d set %d, proven again from checkpoint #%d through %d set change%s",
			at.Header.Number, at.Set.ID, cp.Number, n.fragments, plural(n.fragments))
		return &at
	}
	return nil
}

// storedHead proves the head record from the block that the kept fragments lead to, and returns the
// higher of the two. A record that is not above that block, as when the head was a set change's own
// block, needs no proof.
func storedHead(st Store, at grandpa.Finalized) (grandpa.Finalized, error) {
	data, ok := st.Head()
	if !ok {
		return at, nil
	}
	state, err := checkpoint.DecodeState(data)
	if err != nil {
		return at, err
	}
	if state.Header.Number <= at.Header.Number {
		return at, nil
	}
	j, err := grandpa.DecodeJustification(state.Justification)
	if err != nil {
		return at, err
	}
	p := &grandpa.WarpProof{Fragments: []grandpa.Fragment{{Header: state.Header, Justification: j}}, Finished: true}
	head, _, err := p.Verify(at)
	if err != nil {
		return at, err
	}
	return head, nil
}

// keep remembers the newest error of the store until the store says that all is well.
func (n *Node) keep(err error) {
	if err != nil {
		n.storeErr = err
	}
}

// keepSet stores a fragment that hands over to the next set, and commits: after a restart it is what
// proves the head.
func (n *Node) keepSet(a SetChanged) {
	if n.cfg.Store == nil {
		return
	}
	p := &grandpa.WarpProof{Fragments: []grandpa.Fragment{{Header: a.Header, Justification: a.Justification}}, Finished: true}
	n.keep(n.cfg.Store.PutAuthoritySet(a.Next.ID, p.Append(nil)))
	n.setsDirty = true
}

// writeHead stores the finalized head with the justification that proves it.
func (n *Node) writeHead() {
	c := n.sync.Chain()
	if n.cfg.Store == nil || c == nil || n.orders.Write == WriteNone {
		return
	}
	final := c.Finalized()
	if final.Justification == nil || final.Header.Number <= n.written && !n.writtenHash.IsZero() {
		return
	}
	if n.setsDirty {
		// The sets first: a head whose set cannot be proven would be thrown away.
		err := n.cfg.Store.Commit()
		n.keep(err)
		n.setsDirty = err != nil
	}
	state := &checkpoint.State{Header: final.Header, Hash: final.Hash, Set: final.Set, Justification: final.Justification.Append(nil)}
	err := n.cfg.Store.WriteHead(final.Header.Number, final.Hash, state.Append(nil))
	n.keep(err)
	if err == nil {
		n.mu.Lock()
		n.written, n.writtenHash = final.Header.Number, final.Hash
		n.mu.Unlock()
	}
}

// flush writes what is worth keeping: at the end, or when the node is told to be quiet.
func (n *Node) flush(final bool) {
	st := n.cfg.Store
	if st == nil || n.orders.Write == WriteNone {
		return
	}
	n.writeHead()
	n.savePeers()
	if final || n.setsDirty {
		n.keep(st.Commit())
	}
}

func (n *Node) savePeers() {
	now := n.cfg.Now()
	unsaved := n.book.Unsaved(now)
	ids := make([]string, 0, len(unsaved))
	for id := range unsaved {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		n.keep(n.cfg.Store.PutPeer(id, unsaved[id]))
	}
}

// savePeersEvery is how often changed contacts are handed to the store, which writes them when it next
// commits.
const savePeersEvery = 10 * time.Minute

// stepStore gives the store its time. A clock that steps back is no reason to wait.
func (n *Node) stepStore(now time.Time) {
	if n.cfg.Store == nil {
		return
	}
	if since := now.Sub(n.peersSaved); since > savePeersEvery || since < 0 {
		n.savePeers()
		n.peersSaved = now
	}
	n.keep(n.cfg.Store.Tick(now))
	if n.storeErr = n.cfg.Store.Degraded(); n.storeErr != nil {
		n.setsDirty = true // try them again with the next head
	}
}

// keepParts stores what a look at the watched subnets has proven.
func (n *Node) keepParts(r *watchResult) {
	before := n.watch.status.Error
	for _, p := range r.parts {
		if p.data == nil {
			continue // it grew twice
		}
		n.keep(n.cfg.Store.PutBundle(p.number, p.name, p.data))
		p.data = nil
	}
	for _, text := range r.notes {
		n.note("watch", "%s", text)
	}
	write := n.watch.end(r)
	waiting := n.watch.waiting
	n.watch.waiting = nil
	for _, h := range waiting {
		n.keepHeard(h)
	}
	if write {
		n.keep(n.cfg.Store.Commit())
	}
	if err := n.watch.status.Error; err != "" && err != before {
		n.warn("watch", "%s", err)
	}
}

// keepEvidence stores a conflict: a restart must not forget it.
func (n *Node) keepEvidence(ev *grandpa.Evidence) {
	if n.cfg.Store != nil {
		set := n.sync.Chain().signer
		if ev.SetID != set.ID { // it came from elsewhere, and is against the set that signs now
			set = n.sync.Chain().Finalized().Set
		}
		record := grandpa.AppendAuthorities(nil, set.Authorities)
		n.keep(n.cfg.Store.Put("evidence", "set", record))
		n.keep(n.cfg.Store.Put("evidence", "conflict", ev.Append(nil)))
		n.keep(n.cfg.Store.Commit())
	}
}

// storedEvidence returns a conflict that was kept, if it still verifies.
func (n *Node) storedEvidence() *grandpa.Evidence {
	if n.cfg.Store == nil {
		return nil
	}
	raw, ok := n.cfg.Store.Get("evidence", "conflict")
	if !ok {
		return nil
	}
	ev, err := grandpa.DecodeEvidence(raw)
	if err != nil {
		return nil
	}
	list, _ := n.cfg.Store.Get("evidence", "set")
	keys, err := grandpa.DecodeAuthorities(list)
	if err != nil {
		return nil
	}
	set := grandpa.AuthoritySet{ID: ev.SetID, Authorities: keys}
	if ev.Verify(&set) != nil {
		return nil
	}
	return ev
}
