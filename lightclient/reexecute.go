package lightclient

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// ErrNotRun: by the chain's own code, the epoch does not run in that block.
var ErrNotRun = errors.New("no epoch ran")

// A Reexecution is an epoch compared with what the chain's own code makes of the state before its block. Whose rules
// these are nobody here has to know.
type Reexecution struct {
	Netuid   uint16
	Before   FinalBlock
	After    FinalBlock
	Code     verify.Hash // of the state before the block: what executed it
	Version  runtime.Version
	Arrays   []ReexecutedArray
	Fresh    []uint16 // uids that were registered in the block, after the epoch: their cells are left out
	Peers    int      // that gave a proof of the call
	OnDemand int      // keys that were asked for one by one
	Nodes    int      // nodes of the proof
	Bytes    int      // bytes of the proof
}

// Equal reports whether all arrays are.
func (r *Reexecution) Equal() bool {
	for i := range r.Arrays {
		if len(r.Arrays[i].Cells) > 0 {
			return false
		}
	}
	return len(r.Arrays) > 0
}

// A ReexecutedArray is one array that the epoch writes. A row of bonds is an array of its own.
type ReexecutedArray struct {
	Name    string // of the storage item
	Mecid   uint8
	Row     int // uid of whom it is the row; -1: it is no row
	Written bool
	Cells   []ReexecutedCell // that differ
}

// A ReexecutedCell is a place in which the chain has another value than its code computes.
type ReexecutedCell struct {
	UID         int // -1: the array as a whole, whose length differs
	Chain, Ours uint64
}

// The arrays that an epoch writes, by what they are kept under, with the bytes of an entry.
var epochArrays = []struct {
	name    string
	size    int
	indexed bool // by storage index, and so by mechanism
}{
	{"Active", 1, false}, {"Consensus", 2, false}, {"Incentive", 2, true}, {"Dividends", 2, false},
	{"ValidatorTrust", 2, false}, {"ValidatorPermit", 1, false}, {"Emission", 8, false}, {"StakeWeight", 2, false},
	{"Rank", 2, false}, {"Trust", 2, false},
}

// Reexecute executes the beginning of a block, in which epochs are computed, by the chain's own code on the proven
// state before it, and compares what that writes for a subnet with the proven state after it. number nil is the block
// of the subnet's last epoch. ErrNotRun if its code computes no epoch of the subnet there; other errors are those of
// Call.
func (n *Node) Reexecute(ctx context.Context, netuid uint16, number *uint32, o StateOptions) (*Reexecution, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	if o.Progress != nil {
		l.note = o.Progress
	}
	var at uint32
	if number != nil {
		at = *number
	} else if _, err := l.with(l.head.Header.Number, func(s subtensor.State) error {
		last, err := epoch.LastStep(s, netuid)
		at = uint32(min(last, 1<<32-1))
		return err
	}); err != nil {
		return nil, err
	}
	if at == 0 || at > l.head.Header.Number {
		return nil, fmt.Errorf("%w: subnet %d, block #%d of #%d", epoch.ErrNoEpoch, netuid, at, l.head.Header.Number)
	}
	r := &Reexecution{Netuid: netuid}
	if r.After, err = l.block(at); err != nil {
		return nil, err
	}
	if r.Before, err = l.block(at - 1); err != nil {
		return nil, err
	}
	k, _, err := l.metadataAt(r.Before) // which knows where the arrays are
	if err != nil {
		return nil, err
	}
	code, err := l.runtimeAt(r.Before)
	if err != nil {
		return nil, err
	}
	r.Code, r.Version = code.CodeHash(), code.Version()

	const method = "Core_initialize_block"
	input := unsealed(r.After.Header).Encode()
	s := l.demand(r.Before)
	o.note("executing %s of #%d", method, at)
	s.offer(method, input)
	overlay := runtime.NewOverlay(s)
	_, err = code.Call(ctx, method, input, overlay)
	if s.err != nil {
		err = s.err
	}
	if err != nil {
		return nil, err
	}
	if err := l.compare(r, overlay, k.layout, o); err != nil {
		return nil, err
	}
	r.Peers, r.OnDemand = s.peers, s.asked
	proof, err := s.minimal()
	for _, node := range proof {
		r.Bytes += len(node)
	}
	r.Nodes = len(proof)
	return r, err
}

// unsealed returns a header as a runtime is given it: the seal is the node's business.
func unsealed(h *verify.Header) *verify.Header {
	out := *h
	out.Digest = nil
	for _, item := range h.Digest {
		if item.Type != verify.DigestSeal {
			out.Digest = append(out.Digest, item)
		}
	}
	return &out
}

// compare fills in the arrays. What the execution did not write, the block should not have changed; what came later in
// the block is told apart by the registrations in it.
func (l *look) compare(r *Reexecution, overlay *runtime.Overlay, layout *subtensor.Layout, o StateOptions) error {
	touched := make(map[string]bool)
	for _, c := range overlay.Changes() {
		if c.Child == nil {
			touched[string(c.Key)] = true
		}
	}
	var size uint16
	var mechanisms uint8
	var q subtensor.Batch
	q.Subnet("SubnetworkN", r.Netuid, &size)
	q.Subnet("MechanismCountCurrent", r.Netuid, &mechanisms)
	if err := q.Load(layout.Over(overlayState{overlay})); err != nil {
		return err
	}
	type place struct {
		ReexecutedArray
		key, own []byte // as this program has it, and the runtime
		size     int
	}
	var places []place
	add := func(a ReexecutedArray, key []byte, size int) error {
		own, err := layout.Key(key)
		if err == nil {
			a.Written = touched[string(own)]
			places = append(places, place{a, key, own, size})
		}
		return err
	}
	ran := false
	for mecid := range max(mechanisms, 1) {
		index, err := subtensor.Index(r.Netuid, mecid)
		if err != nil {
			return err
		}
		for _, a := range epochArrays {
			if !layout.Has(a.name) || mecid > 0 && !a.indexed {
				continue
			}
			if err := add(ReexecutedArray{Name: a.name, Mecid: mecid, Row: -1}, subtensor.KeySubnet(a.name, index), a.size); err != nil {
				return err
			}
			if last := &places[len(places)-1]; last.Written && a.name == "Incentive" {
				ran = true
			}
		}
		for uid := range size {
			if err := add(ReexecutedArray{Name: "Bonds", Mecid: mecid, Row: int(uid)}, subtensor.KeyBonds(index, uid), 4); err != nil {
				return err
			}
		}
	}
	if !ran {
		return fmt.Errorf("%w: subnet %d in #%d, by code %s", ErrNotRun, r.Netuid, r.After.Header.Number, r.Code.Short())
	}
	keys := make([][]byte, len(places))
	for i := range places {
		keys[i] = places[i].key
	}
	o.note("reading %d arrays of #%d", len(places), r.After.Header.Number)
	var chain [][]byte
	registered := make([]uint64, size)
	if _, err := l.with(r.After.Header.Number, func(after subtensor.State) (err error) {
		var q subtensor.Batch
		for uid := range size {
			q.Key("BlockAtRegistration", subtensor.KeyBlockAtRegistration(r.Netuid, uid), &registered[uid])
		}
		var short error
		chain, short = after.Load(keys...) // both at once, so that what they lack is fetched together
		return cmp.Or(q.Load(after), short)
	}); err != nil {
		return err
	}
	fresh := make(map[int]bool)
	for uid, block := range registered {
		if block == uint64(r.After.Header.Number) {
			fresh[uid] = true
			r.Fresh = append(r.Fresh, uint16(uid))
		}
	}
	for i, p := range places {
		value, _, err := overlay.Get(nil, p.own)
		if err != nil {
			return err
		}
		if p.Cells, err = differing(value, chain[i], p.size, p.Row >= 0, fresh); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if p.Row >= 0 && fresh[p.Row] {
			p.Cells = nil
		}
		r.Arrays = append(r.Arrays, p.ReexecutedArray)
	}
	return nil
}

// overlayState is what an execution has left, as a subtensor.State.
type overlayState struct{ overlay *runtime.Overlay }

func (s overlayState) Load(keys ...[]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		value, found, err := s.overlay.Get(nil, key)
		if err != nil {
			return nil, err
		}
		if found {
			values[i] = append([]byte{}, value...)
		}
	}
	return values, nil
}

// differing compares two encoded sequences of integers, or rows of (uid, value) if sparse, but for the cells of some
// uids. nil is the empty one.
func differing(ours, chain []byte, size int, sparse bool, but map[int]bool) ([]ReexecutedCell, error) {
	if bytes.Equal(ours, chain) {
		return nil, nil
	}
	a, err := cells(ours, size, sparse)
	if err != nil {
		return nil, err
	}
	b, err := cells(chain, size, sparse)
	if err != nil {
		return nil, err
	}
	var out []ReexecutedCell
	if !sparse && len(a) != len(b) {
		return []ReexecutedCell{{-1, uint64(len(b)), uint64(len(a))}}, nil
	}
	for uid, v := range a {
		if !but[uid] && b[uid] != v {
			out = append(out, ReexecutedCell{uid, b[uid], v})
		}
	}
	for uid, v := range b {
		if _, ok := a[uid]; !ok && !but[uid] {
			out = append(out, ReexecutedCell{uid, v, 0})
		}
	}
	return out, nil
}

func cells(b []byte, size int, sparse bool) (map[int]uint64, error) {
	if b == nil {
		return nil, nil
	}
	r := scale.NewReader(b)
	n := r.Count(size, subtensor.MaxByUID)
	out := make(map[int]uint64, n)
	for i := range n {
		if sparse {
			uid := int(r.U16())
			out[uid] = uint64(r.U16())
			continue
		}
		switch size {
		case 1:
			out[i] = uint64(r.Byte())
		case 2:
			out[i] = uint64(r.U16())
		case 8:
			out[i] = r.U64()
		}
	}
	return out, r.Finish()
}
