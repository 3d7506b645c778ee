package lightclient

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// Peers forget a state after 256 blocks, so what is to be shown later of a commitment has to be kept as
// it happens. Every so many finalized blocks a watched subnet is looked at: what is new in its queues is
// proven at the block in which it was made, and what left them at the blocks around that.
//
// What it costs, for a mechanism of 256 neurons of which 64 commit in each epoch of 360 blocks, at
// watchEvery: 144 looks a day of some 60 kB (half of it settings, half the queue) and 20 reveals of some
// 250 kB, so about 14 MB a day from the network; and 2 to 4 MB a day for the disk, in at most 24 commits
// of two fsyncs. Where nothing was committed a look costs 5 kB. That is too much to do unasked, so it is
// done for subnets that are named.
const (
	// watchEvery is how many blocks lie between two looks, ten minutes of finney's: five looks before
	// a state is forgotten.
	watchEvery = 50
	// madeBytes is how much of an epoch's bundle may go to showing each commitment in the state of its
	// own block, in which the queue is there once more. Beyond it they are shown in the state before
	// the reveal, which is needed anyway and in which the entry names its block as well.
	madeBytes = 96 << 10
	// partBytes is the size from which an epoch's bundle goes on in another part; the store takes 1 MiB.
	partBytes = 384 << 10
	// watchCommit is how many blocks evidence waits in memory at most before it is written.
	watchCommit = 300
	// maxCatchUp bounds how many reveals are looked back at after a pause.
	maxCatchUp = 12
)

// watch is what is known of the watched subnets. Between begin and end of a look it belongs to that,
// otherwise to the loop.
type watch struct {
	netuids []uint16
	every   uint32
	next    uint32 // finalized number from which the next look is due
	busy    bool
	dirty   uint32 // finalized number at which the first unwritten evidence came; 0: none
	queues  map[watchKey]*watchedQueue
	epochs  map[uint16]*watchedEpochs
	status  WatchStatus
	waiting []heard // evidence that came while a look was under way
}

type watchKey struct {
	netuid uint16
	mecid  uint8
}

// A watchedQueue is what is known of one mechanism.
type watchedQueue struct {
	peek   verify.Hash // of what tells whether anything was committed
	period uint64
	epoch  uint64 // when it was last looked at
	looked bool
	epochs map[uint64]*evidence
}

// evidence is what is kept of the commitments of one epoch.
type evidence struct {
	epoch uint64
	parts []*part
	open  map[CommitID]bool // seen, and not decided
	made  map[CommitID]bool // claimed to be made, in one of the parts
	done  map[CommitID]bool // decided, and kept if it could be
}

// A part is one bundle as it stands in the store.
type part struct {
	number uint32
	name   string
	size   int
	x      *bundle.Bundle
	data   []byte
}

// WatchStatus is what was seen of the watched subnets since the start.
type WatchStatus struct {
	Netuids  []uint16 `json:"netuids"`
	Every    uint32   `json:"every_blocks"`
	LastLook uint32   `json:"last_look"` // finalized block; 0: none yet
	Pending  int      `json:"pending"`
	Revealed int      `json:"revealed"` // since the start, with their proofs
	Lost     int      `json:"lost"`
	Unproven int      `json:"unproven"` // came to an end, and no bundle could be made of it
	Epochs   int      `json:"epochs"`   // since the start, with what they are recomputed from
	// EpochBytes is what those come to.
	EpochBytes int    `json:"epoch_bytes"`
	Heard      int    `json:"heard"` // bundles of other light nodes that were kept
	Error      string `json:"error,omitempty"`
}

func newWatch(netuids []uint16, every uint32) *watch {
	if every == 0 {
		every = watchEvery
	}
	w := &watch{every: every, queues: make(map[watchKey]*watchedQueue), epochs: make(map[uint16]*watchedEpochs)}
	for _, n := range netuids {
		if !slices.Contains(w.netuids, n) {
			w.netuids = append(w.netuids, n)
		}
	}
	w.status.Netuids, w.status.Every = w.netuids, every
	return w
}

// due reports whether a look is to begin at the finalized head, and takes it that it does.
func (w *watch) due(head uint32) bool {
	if len(w.netuids) == 0 || w.busy || head < w.next {
		return false
	}
	w.busy, w.next = true, head+w.every
	return true
}

// A watchResult is what a look found.
type watchResult struct {
	head  uint32
	parts []*part // new or grown
	notes []string
	err   error

	revealed, lost, unproven int
	epochs, epochBytes       int

	fresh []fresh // what is new, to be shown to others
}

// end takes the result of a look, and reports whether what was put in the store is to be written now.
func (w *watch) end(r *watchResult) (write bool) {
	w.busy = false
	w.status.Error = ""
	if r.err != nil {
		w.status.Error = r.err.Error()
	}
	if r.head != 0 {
		w.status.LastLook = r.head
	}
	w.status.Revealed += r.revealed
	w.status.Lost += r.lost
	w.status.Unproven += r.unproven
	w.status.Epochs += r.epochs
	w.status.EpochBytes += r.epochBytes
	w.status.Pending = 0
	for _, q := range w.queues {
		for _, e := range q.epochs {
			w.status.Pending += len(e.open)
		}
	}
	if len(r.parts) > 0 && w.dirty == 0 {
		w.dirty = r.head
	}
	if w.dirty != 0 && r.head >= w.dirty+watchCommit {
		w.dirty = 0
		return true
	}
	return false
}

// watchLook looks at all watched subnets once. Errors of one do not keep the others from being looked
// at; the first is returned.
func (l *look) watchLook(w *watch) *watchResult {
	r := &watchResult{head: l.head.Header.Number}
	for _, netuid := range w.netuids {
		if err := l.watchEpochs(w, netuid, r); err != nil && r.err == nil {
			r.err = fmt.Errorf("subnet %d: %w", netuid, err)
		}
		mechanisms := uint8(1)
		for mecid := uint8(0); mecid < mechanisms; mecid++ {
			m, err := l.watchOne(w, netuid, mecid, r)
			if err != nil {
				if err = fmt.Errorf("subnet %d, mechanism %d: %w", netuid, mecid, err); r.err == nil {
					r.err = err
				}
				break
			}
			mechanisms = min(m, subtensor.MaxMechanisms)
		}
	}
	return r
}

// watchOne looks at one mechanism, and returns how many its subnet has.
func (l *look) watchOne(w *watch, netuid uint16, mecid uint8, r *watchResult) (mechanisms uint8, err error) {
	q, err := l.n.question(l, netuid, mecid, CommitmentsOptions{})
	if err != nil {
		return 0, err
	}
	key := watchKey{netuid, mecid}
	s := w.queues[key]
	peek, mechanisms, err := q.peek(l.head.Header.Number)
	if err != nil {
		return 0, err
	}
	if s != nil && s.looked && s.peek == peek && !s.undecided(s.epoch-min(s.epoch, s.period)) {
		return mechanisms, nil
	}
	v, err := q.view(l.head.Header.Number)
	if err != nil {
		return 0, err
	}
	if !v.hyper.Exists {
		return 0, ErrNoSubnet
	}
	if s == nil {
		s = &watchedQueue{epochs: make(map[uint64]*evidence)}
		l.reload(q, v, s)
		w.queues[key] = s
	}
	epoch := v.epoch(netuid)
	back := 0
	switch {
	case !s.looked:
		back = lookBack
	case epoch > s.epoch:
		back = int(min(epoch-s.epoch+1, maxCatchUp))
	case s.undecided(epoch - min(epoch, v.hyper.RevealPeriodEpochs)):
		back = 1
	}
	out := &Commitments{}
	if err := q.pending(v, out); err != nil {
		return 0, err
	}
	if back > 0 {
		q.opt.Epochs = back
		if err := q.past(v, out); err != nil {
			return 0, err
		}
	}
	for _, list := range [][]*Commitment{out.Pending, out.Past} {
		byEpoch := make(map[uint64][]*Commitment)
		var epochs []uint64
		for _, c := range list {
			if byEpoch[c.ID.Epoch] == nil {
				epochs = append(epochs, c.ID.Epoch)
			}
			byEpoch[c.ID.Epoch] = append(byEpoch[c.ID.Epoch], c)
		}
		slices.Sort(epochs)
		for _, e := range epochs {
			if err := l.grow(q, s.of(e), byEpoch[e], r); err != nil {
				return 0, err
			}
		}
	}
	s.forget(epoch, v.hyper.RevealPeriodEpochs)
	s.epoch, s.period, s.looked, s.peek = epoch, v.hyper.RevealPeriodEpochs, true, peek
	return mechanisms, nil
}

// peek reads what changes with each commitment and each epoch: the hash of it. Before there was a
// scheduler with state nothing says so, and the block's number is in the hash.
func (q *question) peek(number uint32) (hash verify.Hash, mechanisms uint8, err error) {
	_, err = q.with(number, func(s subtensor.State) error {
		var updates, epoch subtensor.Bytes
		var b subtensor.Batch
		b.Subnet("LastUpdate", q.index, &updates)
		b.Subnet("SubnetEpochIndex", q.netuid, &epoch)
		b.Subnet("MechanismCountCurrent", q.netuid, &mechanisms)
		if err := b.Load(s); err != nil {
			return err
		}
		all := append(scale.AppendBlob(nil, updates), epoch...)
		if epoch == nil {
			all = scale.AppendU32(all, number)
		}
		hash = verify.Blake2b256(append(all, mechanisms))
		return nil
	})
	return hash, mechanisms, err
}

func (s *watchedQueue) of(epoch uint64) *evidence {
	e := s.epochs[epoch]
	if e == nil {
		e = &evidence{epoch: epoch, open: make(map[CommitID]bool), made: make(map[CommitID]bool), done: make(map[CommitID]bool)}
		s.epochs[epoch] = e
	}
	return e
}

// undecided reports whether commitments of an epoch that is due wait for their end.
func (s *watchedQueue) undecided(due uint64) bool {
	e := s.epochs[due]
	return e != nil && len(e.open) > 0
}

// forget drops from memory the epochs of which nothing new will come.
func (s *watchedQueue) forget(epoch, period uint64) {
	for e := range s.epochs {
		if e+period+maxCatchUp < epoch {
			delete(s.epochs, e)
		}
	}
}

// grow adds to the evidence of an epoch what is new of its commitments.
func (l *look) grow(q *question, e *evidence, list []*Commitment, r *watchResult) error {
	var claims []bundle.Claim
	var decided []*Commitment
	room := madeBytes
	for _, p := range e.parts {
		room -= p.size
	}
	for _, c := range list {
		if e.done[c.ID] {
			continue
		}
		if c.State == Pending {
			e.open[c.ID] = true
		} else {
			decided = append(decided, c)
		}
		if e.made[c.ID] {
			continue
		}
		made := bundle.MadeClaim{CommitID: c.claim(q.netuid, q.mecid), At: c.ID.Block}
		switch near := l.head.Header.Number-c.ID.Block < keptStates-8; {
		case room > 0 && near && l.readable(c.ID.Block):
			room -= 2048 + c.Bytes*len(list)/2 // about: half the queue was there already
		case c.State == Pending:
			continue
		default:
			made.At = c.ShownAt
		}
		claims = append(claims, made)
	}
	for _, c := range decided {
		claims = append(claims, c.fateClaims(q.netuid, q.mecid)...)
	}
	if len(claims) == 0 {
		e.settle(r, decided, nil)
		return nil
	}
	grown, kept, err := l.extendPart(e, q, claims)
	if err != nil {
		return err
	}
	if grown != nil {
		r.parts = append(r.parts, grown)
		r.fresh = append(r.fresh, fresh{grown.x, kept})
	}
	revealed, lost := e.settle(r, decided, kept)
	for _, c := range kept {
		if m, ok := c.(bundle.MadeClaim); ok {
			e.made[idWithin(m.CommitID)] = true
		}
	}
	if grown != nil && revealed+lost > 0 {
		r.notes = append(r.notes, fmt.Sprintf("subnet %d, mechanism %d: of epoch %d: %d revealed, %d lost; %s kept", q.netuid, q.mecid, e.epoch, revealed, lost, byteSize(grown.size)))
	}
	return nil
}

func idWithin(id bundle.CommitID) CommitID {
	return CommitID{id.Kind, id.Hotkey, id.Epoch, id.Block, id.Hash}
}

// settle counts the commitments that came to an end, and tells those apart of which the bundle says it.
func (e *evidence) settle(r *watchResult, decided []*Commitment, kept []bundle.Claim) (revealed, lost int) {
	proven := make(map[CommitID]bool)
	for _, c := range kept {
		switch c := c.(type) {
		case bundle.RevealedClaim:
			proven[idWithin(c.CommitID)] = true
		case bundle.LostClaim:
			proven[idWithin(c.CommitID)] = true
		}
	}
	for _, c := range decided {
		e.done[c.ID] = true
		delete(e.open, c.ID)
		switch {
		case !proven[c.ID]:
			r.unproven++
		case c.State == Revealed:
			revealed++
		default:
			lost++
		}
	}
	r.revealed += revealed
	r.lost += lost
	return revealed, lost
}

// extendPart proves claims together with those of the newest part of an epoch, or in a new part. What
// cannot be proven is left out; kept are those that were.
func (l *look) extendPart(e *evidence, q *question, claims []bundle.Claim) (grown *part, kept []bundle.Claim, err error) {
	var earlier []*bundle.Bundle
	p := &part{number: l.head.Header.Number, name: archiveName(q.netuid, q.mecid, e.epoch, len(e.parts))}
	if n := len(e.parts); n > 0 && e.parts[n-1].size < partBytes {
		p = e.parts[n-1]
		earlier = []*bundle.Bundle{p.x}
	}
	for len(claims) > 0 {
		all := slices.Clone(claims)
		for _, x := range earlier {
			for _, c := range x.Claims {
				if _, ok := c.(bundle.StorageClaim); !ok {
					all = append(all, c)
				}
			}
		}
		if links, ok := linksTo(l.head.Header.Number, all); ok {
			all = append(all, links)
		}
		x, err := l.prove(all, ProveOptions{}, earlier...)
		var refused *bundle.ClaimError
		switch {
		case err == nil:
			data := x.Encode()
			if len(data) > partBytes && len(earlier) > 0 {
				// It is full: go on in a new one.
				earlier = nil
				p = &part{number: l.head.Header.Number, name: archiveName(q.netuid, q.mecid, e.epoch, len(e.parts))}
				continue
			}
			if len(data) > 2*partBytes && len(claims) > 1 {
				claims = claims[:len(claims)/2] // the rest is left out rather than all
				continue
			}
			if len(earlier) == 0 {
				e.parts = append(e.parts, p)
			}
			p.x, p.data, p.size = x, data, len(data)
			return p, claims, nil
		case errors.As(err, &refused):
			at := slices.IndexFunc(claims, func(c bundle.Claim) bool { return fmt.Sprint(c) == fmt.Sprint(refused.Claim) })
			if at < 0 {
				return nil, nil, err
			}
			claims = slices.Delete(claims, at, at+1)
		case len(earlier) > 0 && errors.Is(err, ErrPruned):
			// What links the earlier blocks is gone: begin anew beside them.
			earlier = nil
			p = &part{number: l.head.Header.Number, name: archiveName(q.netuid, q.mecid, e.epoch, len(e.parts))}
		default:
			return nil, nil, err
		}
	}
	return nil, nil, nil
}

// linksTo claims the hashes of the blocks in which commitments ended, in the state of the final block,
// so that a bundle about one of them can be cut out of that about all.
func linksTo(final uint32, claims []bundle.Claim) (bundle.StorageClaim, bool) {
	var ends []uint32
	for _, c := range claims {
		switch c := c.(type) {
		case bundle.RevealedClaim:
			ends = append(ends, c.At)
		case bundle.LostClaim:
			ends = append(ends, c.At)
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	var keys [][]byte
	for _, n := range ends {
		if n+1 < final && final-n <= bundle.BlockHashCount {
			keys = append(keys, subtensor.KeyBlockHash(n))
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return bundle.StorageClaim{Number: final, Keys: keys}, len(ends) > 1 && len(keys) > 0
}

// reload takes up the evidence of the epochs that are not over, from the store.
func (l *look) reload(q *question, v *view, s *watchedQueue) {
	epoch := v.epoch(q.netuid)
	kept := l.kept(q.netuid, q.mecid)
	slices.Reverse(kept)
	for _, k := range kept {
		e, n, ok := archiveEpoch(k.name)
		if !ok || e+v.hyper.RevealPeriodEpochs+1 < epoch {
			continue
		}
		of := s.of(e)
		if n != len(of.parts) {
			continue
		}
		x, list := l.open(k, 0, func(CommitID) bool { return true })
		if x == nil {
			continue
		}
		of.parts = append(of.parts, &part{number: k.number, name: k.name, size: len(k.data), x: x, data: k.data})
		for _, c := range list {
			of.made[c.ID] = true
			if c.State != Pending {
				of.done[c.ID] = true
			}
		}
	}
}
