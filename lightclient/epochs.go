package lightclient

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// What is kept of an epoch of a watched subnet are the parts of two states that it is recomputed from, and
// that the metagraph is read from: that before its block, and that after it.
//
//	epochs/<netuid>/<block>/<part>
//
// The parts together are a bundle that proves both headers, as a SCALE blob, and behind it the nodes of
// both states, each once, as a storage proof. They are kept whatever the epoch was worth: that it was
// computed wrong is shown by the same nodes, and rules that are not audited yet may be so some day.
//
// What that comes to, in a state of 660,000 keys, for a subnet of 256 neurons of which 64 have dense rows of
// weights and bonds: 0.82 MB an epoch, half of it for the metagraph (owners, and stakes after the epoch), and
// 1.03 MB written; 17 and 21 MB a day at a tempo of 360. That is ten times the budget of writes, and so is
// done for subnets that are named.
const (
	// epochPart is the size of a part. bbolt writes a page anew for each record that changes beside others
	// in it: in parts of 512 kB, 3.7 MB are written for one of 0.82.
	epochPart  = 16 << 10
	epochParts = 2048
)

func epochPrefix(netuid uint16) string { return fmt.Sprintf("epochs/%04d/", netuid) }

func epochName(netuid uint16, block uint32, part int) string {
	return fmt.Sprintf("%s%010d/%04d", epochPrefix(netuid), block, part)
}

// epochBlock takes a name apart.
func epochBlock(name string) (block uint32, part int, ok bool) {
	f := strings.Split(name, "/")
	if len(f) != 4 {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return 0, 0, false
	}
	part, err = strconv.Atoi(f[3])
	return uint32(n), part, err == nil && part >= 0 && part < epochParts
}

// epochRecord puts a record together, in parts.
func epochRecord(x *bundle.Bundle, nodes [][]byte) [][]byte {
	b := scale.AppendBlob(nil, x.Encode())
	return slices.Collect(slices.Chunk(trie.AppendProof(b, nodes), epochPart))
}

// openEpochRecord takes a record apart. Nothing in it is believed.
func openEpochRecord(b []byte) (*bundle.Bundle, [][]byte, error) {
	r := scale.NewReader(b)
	head := r.Blob(bundle.MaxSize)
	if err := r.Err(); err != nil {
		return nil, nil, fmt.Errorf("kept epoch: %w", err)
	}
	x, err := bundle.Decode(head)
	if err != nil {
		return nil, nil, fmt.Errorf("kept epoch: %w", err)
	}
	nodes, err := trie.DecodeProof(b[r.Offset():])
	if err != nil {
		return nil, nil, fmt.Errorf("kept epoch: %w", err)
	}
	return x, nodes, nil
}

// A noting state passes reads on, and notes their keys.
type noting struct {
	subtensor.State
	keys map[string]bool
}

// Load implements subtensor.State.
func (s noting) Load(keys ...[]byte) ([][]byte, error) {
	for _, k := range keys {
		s.keys[string(k)] = true
	}
	return s.State.Load(keys...)
}

func (s noting) sorted() [][]byte {
	var out [][]byte
	for _, k := range slices.Sorted(maps.Keys(s.keys)) {
		out = append(out, []byte(k))
	}
	return out
}

// readTable reads what a metagraph is made of, and tells the number of neurons once it knows it. It asks for
// as much as it can before it returns.
func readTable(s subtensor.State, netuid uint16, r rules.Set, told func(size uint16)) (m *subtensor.Metagraph, maxUIDs uint16, err error) {
	var exists bool
	var size uint16
	var q subtensor.Batch
	q.Subnet("NetworksAdded", netuid, &exists)
	q.Subnet("SubnetworkN", netuid, &size)
	q.Subnet("MaxAllowedUids", netuid, &maxUIDs)
	if err = q.Load(s); err == nil {
		if !exists {
			return nil, 0, fmt.Errorf("%w: %d", ErrNoSubnet, netuid)
		}
		told(size)
	}
	m, errM := subtensor.ReadMetagraph(s, netuid, r)
	return m, maxUIDs, worst(err, errM)
}

// worst returns the error that tells most: one that no further proof will mend, else any.
func worst(list ...error) (worst error) {
	for _, err := range list {
		if err != nil && (worst == nil || errors.Is(worst, subtensor.ErrUnproven)) {
			worst = err
		}
	}
	return worst
}

// takeEpoch fetches all that an epoch is recomputed from, and the tables around it.
func (l *look) takeEpoch(netuid uint16, number uint32, o StateOptions) (*bundle.Bundle, [][]byte, error) {
	v, err := drand.NewVerifier(l.n.cfg.Checkpoint.Beacon())
	if err != nil {
		return nil, nil, err
	}
	keys := [2]map[string]bool{make(map[string]bool), make(map[string]bool)}
	before, after, err := l.withBoth(number-1, number, func(b, a subtensor.State) error {
		b, a = noting{b, keys[0]}, noting{a, keys[1]}
		was, errWas := subtensor.Spec(b)
		is, errIs := subtensor.Spec(a)
		if err := worst(errWas, errIs); err != nil {
			return err
		}
		// Rules that nobody has audited are taken for the newest that were: only to know what to keep.
		setWas, errWas := rulesOf(was, rules.Ceiling)
		set, errIs := rulesOf(is, rules.Ceiling)
		if err := worst(errWas, errIs); err != nil {
			return err
		}
		_, err := epoch.Read(b, a, netuid, uint64(number), set, v)
		_, _, errB := readTable(b, netuid, setWas, func(uint16) {})
		_, _, errA := readTable(a, netuid, set, func(uint16) {})
		return worst(err, errB, errA)
	}, o)
	if err != nil {
		return nil, nil, err
	}
	var nodes [][]byte
	seen := make(map[verify.Hash]bool)
	for i, at := range [2]FinalBlock{before, after} {
		p, err := l.proof(at)
		if err != nil {
			return nil, nil, err
		}
		list, err := p.Minimal(noting{keys: keys[i]}.sorted()...)
		if err != nil {
			return nil, nil, err
		}
		for _, node := range list {
			if h := verify.Blake2b256(node); !seen[h] {
				seen[h] = true
				nodes = append(nodes, node)
			}
		}
	}
	slices.SortFunc(nodes, bytes.Compare)
	x, err := l.prove([]bundle.Claim{bundle.HeaderClaim{Number: number - 1}, bundle.HeaderClaim{Number: number}}, ProveOptions{Progress: o.Progress})
	return x, nodes, err
}

// keptEpochs returns the blocks of the epochs of a subnet that are kept, in order.
func (l *look) keptEpochs(netuid uint16) (blocks []uint32) {
	st := l.n.cfg.Store
	if st == nil {
		return nil
	}
	l.n.call(l.ctx, func() {
		st.Bundles(epochPrefix(netuid), func(_ uint32, name string, _ int) bool {
			if b, part, ok := epochBlock(name); ok && part == 0 {
				blocks = append(blocks, b)
			}
			return true
		})
	})
	slices.Sort(blocks)
	return slices.Compact(blocks)
}

// recallEpoch takes up what is kept of an epoch: its two blocks are known from then on, and the parts of
// their states. It returns the record's bundle with those nodes, nil if nothing is kept that verifies by
// our own checkpoint.
func (l *look) recallEpoch(netuid uint16, number uint32) *bundle.Bundle {
	st := l.n.cfg.Store
	if st == nil {
		return nil
	}
	var record []byte
	l.n.call(l.ctx, func() {
		for part := range epochParts {
			b, ok := st.Bundle(number, epochName(netuid, number, part))
			if !ok {
				break
			}
			record = append(record, b...)
		}
	})
	if record == nil {
		return nil
	}
	x, nodes, err := openEpochRecord(record)
	if err != nil {
		return nil
	}
	if _, ok := l.verified(x, 0); !ok {
		return nil
	}
	if !x.Genesis.IsZero() && x.Genesis != l.n.cfg.Checkpoint.Genesis {
		return nil
	}
	found := 0
	for _, h := range headersOf(x) {
		if h.Number != number && h.Number+1 != number {
			continue
		}
		at := FinalBlock{h, h.Hash()}
		if l.add(at, nodes) != nil {
			return nil
		}
		l.recalled[h.Number] = at
		found++
	}
	if found != 2 {
		return nil
	}
	x.Nodes = append(x.Nodes, nodes...)
	return x
}

// headersOf returns every header in a bundle.
func headersOf(x *bundle.Bundle) []*verify.Header {
	list := slices.Clone(x.Headers)
	for i := range x.Fragments {
		list = append(list, x.Fragments[i].Header)
	}
	if x.Final != nil {
		list = append(list, x.Final.Header)
	}
	return list
}

// statusAt says of a block how it is known.
func (l *look) statusAt(b FinalBlock) BlockStatus {
	s := StatusOf(b)
	if k, ok := l.recalled[b.Header.Number]; ok && k.Hash == b.Hash {
		s.Trust = "bundle"
	}
	return s
}

// watchEpochs keeps the epochs of a subnet that peers still have the states of.
func (l *look) watchEpochs(w *watch, netuid uint16, r *watchResult) error {
	s := w.epochs[netuid]
	if s == nil {
		s = &watchedEpochs{before: make(map[uint32]uint32), tried: make(map[uint32]int), kept: make(map[uint32]bool)}
		for _, b := range l.keptEpochs(netuid) {
			s.kept[b] = true
		}
		w.epochs[netuid] = s
	}
	head := l.head.Header.Number
	last, err := l.lastStep(netuid, head)
	if err != nil {
		return err
	}
	var list []uint32
	for last > 1 && head-last < keptStates-8 {
		if !s.kept[last] && s.tried[last] < epochTries {
			list = append(list, last)
		}
		earlier, known := s.before[last]
		if !known {
			if earlier, err = l.lastStep(netuid, last-1); err != nil {
				break // what is known of is taken first
			}
			s.before[last] = earlier
		}
		if earlier >= last {
			break
		}
		last = earlier
	}
	for _, number := range slices.Backward(list) {
		s.tried[number]++
		x, nodes, errTake := l.takeEpoch(netuid, number, StateOptions{})
		if errTake != nil {
			err = fmt.Errorf("epoch of #%d: %w", number, errTake)
			continue
		}
		size := 0
		for i, data := range epochRecord(x, nodes) {
			r.parts = append(r.parts, &part{number: number, name: epochName(netuid, number, i), size: len(data), data: data})
			size += len(data)
		}
		s.kept[number] = true
		r.epochs++
		r.epochBytes += size
		r.notes = append(r.notes, fmt.Sprintf("subnet %d: epoch of #%d: %s kept", netuid, number, byteSize(size)))
	}
	s.forget(head)
	return err
}

// epochTries is how often an epoch is tried to be kept.
const epochTries = 4

// watchedEpochs are the epochs of a subnet that states may still be had of.
type watchedEpochs struct {
	before map[uint32]uint32 // the epoch before one
	tried  map[uint32]int
	kept   map[uint32]bool
}

func (s *watchedEpochs) forget(head uint32) {
	old := func(b uint32) bool { return b+2*keptStates < head }
	maps.DeleteFunc(s.before, func(b, _ uint32) bool { return old(b) })
	maps.DeleteFunc(s.tried, func(b uint32, _ int) bool { return old(b) })
	maps.DeleteFunc(s.kept, func(b uint32, _ bool) bool { return old(b) })
}

// epochAt returns the block of an epoch of a subnet: the last, or that of a number. It takes up what is kept
// of it. ErrNoSubnet if there is no such subnet now; epoch.ErrNoEpoch, with the one before, if none ran there.
func (l *look) epochAt(netuid uint16, number *uint32) (uint32, error) {
	head := l.head.Header.Number
	if _, err := subtensor.Index(netuid, 0); err != nil {
		return 0, err
	}
	if netuid == 0 {
		return 0, fmt.Errorf("%w: the root network has no epochs", epoch.ErrNoEpoch)
	}
	var exists bool
	if _, err := l.with(head, func(s subtensor.State) error {
		var q subtensor.Batch
		q.Subnet("NetworksAdded", netuid, &exists)
		return q.Load(s)
	}); err != nil {
		return 0, err
	}
	if !exists {
		return 0, fmt.Errorf("%w: %d", ErrNoSubnet, netuid)
	}
	if number == nil {
		number = &head
	} else if *number > head {
		return 0, fmt.Errorf("%w: #%d is above the finalized #%d", ErrNotYet, *number, head)
	} else {
		l.recallEpoch(netuid, *number)
	}
	last, err := l.lastStep(netuid, *number)
	switch {
	case err != nil:
		return 0, err
	case last == 0:
		return 0, fmt.Errorf("%w: none of subnet %d has run up to #%d", epoch.ErrNoEpoch, netuid, *number)
	case number == &head:
		l.recallEpoch(netuid, last)
	case last != *number:
		return 0, fmt.Errorf("%w: subnet %d, block #%d; the last before it ran in #%d", epoch.ErrNoEpoch, netuid, *number, last)
	}
	return last, nil
}

// lastStep returns the block of the last epoch of a subnet as of a block; 0 if none ran.
func (l *look) lastStep(netuid uint16, number uint32) (uint32, error) {
	var last uint64
	_, err := l.with(number, func(s subtensor.State) (err error) {
		last, err = epoch.LastStep(s, netuid)
		return err
	})
	if err == nil && last > uint64(number) {
		return 0, fmt.Errorf("LastMechansimStepBlock at #%d: %w: %d", number, subtensor.ErrLayout, last)
	}
	return uint32(last), err
}
