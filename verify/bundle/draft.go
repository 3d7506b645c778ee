package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/trie"
)

// Errors of making a bundle.
var (
	// ErrIncomplete: the draft still lacks what Missing returns.
	ErrIncomplete = errors.New("draft is not complete")
	// ErrNotNeeded: what is added is of no block or round that the claims need.
	ErrNotNeeded = errors.New("nothing of this block is needed")
	// ErrRefused: a claim is not so, or cannot be decided; Line says which and why.
	ErrRefused = errors.New("claim cannot be proven")
)

// A ClaimError is a claim that the evidence found so far does not bear out, however much more is added.
type ClaimError struct {
	Claim Claim
	Line  Line
}

func (e *ClaimError) Error() string { return e.Line.Text + ": " + e.Line.Reason }

// Unwrap returns ErrRefused and why.
func (e *ClaimError) Unwrap() []error { return []error{ErrRefused, e.Line.Err} }

// DraftOptions are for claims what Options are.
type DraftOptions struct {
	Beacon      drand.Beacon // the zero value is quicknet
	AssumeRules uint32
	Executor    Executor
	Codes       [][]byte
	// EmbedCode puts the runtime's code, some megabytes, into the bundle.
	EmbedCode bool
}

// A Want is what a draft lacks about one block.
type Want struct {
	Number uint32
	Header bool     // the block's header
	Keys   [][]byte // proofs of these keys' values, or of their absence, in the state after it; ascending
	// Pulses are rounds. The block's state is one place that had them when they were used; any other
	// does as well.
	Pulses []uint64
	// Extrinsics are positions in the block's body whose proofs under its extrinsics root are missing; ascending.
	Extrinsics []uint32
}

// A Draft is a bundle being made. It runs the claims, as Verify does, on what it was given so far, and so
// knows what to ask for next: ask Missing, fetch, add, until nothing is missing. Nothing that it is given is
// trusted. It belongs to one goroutine.
type Draft struct {
	genesis verify.Hash
	root    RootRef
	start   grandpa.Finalized
	short   []Fragment
	final   *Fragment
	claims  []Claim
	o       DraftOptions

	plan    []uint32
	headers map[uint32]*verify.Header
	nodes   [][]byte
	known   map[verify.Hash]bool // of nodes
	size    int
	pulses  map[uint64]drand.Pulse
	beacon  *drand.Verifier
	opened  map[opening]commit.Opening // kept, as each costs a pairing
}

// NewDraft begins a bundle of the claims.
//
// start is the trust root: the block root names, and the set that finalizes what follows it. fragments are
// those that change the set between it and final, which is final under the last set and at or above each
// block that a claim needs. For claims about pulses alone, root, start, fragments and final are zero.
//
// Votes that are not valid come out in Bundle, at the latest.
func NewDraft(genesis verify.Hash, root RootRef, start grandpa.Finalized, fragments []grandpa.Fragment, final grandpa.Fragment, claims []Claim, o DraftOptions) (*Draft, error) {
	if slices.Contains(claims, nil) {
		return nil, fmt.Errorf("draft: %w: a claim that is none", ErrForm)
	}
	d := &Draft{
		genesis: genesis, root: root, start: start, claims: sortClaims(claims), o: o,
		headers: make(map[uint32]*verify.Header), known: make(map[verify.Hash]bool), pulses: make(map[uint64]drand.Pulse),
		opened: make(map[opening]commit.Opening),
	}
	if d.o.Beacon == (drand.Beacon{}) {
		d.o.Beacon = drand.Quicknet()
	}
	var err error
	if d.beacon, err = drand.NewVerifier(d.o.Beacon); err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	ofBlocks := slices.ContainsFunc(claims, func(c Claim) bool { return len(c.blocks()) > 0 })
	if ofBlocks {
		if err := d.pack(fragments, final); err != nil {
			return nil, fmt.Errorf("draft: %w", err)
		}
	} else {
		d.root = RootRef{}
	}
	x := d.bundle()
	if err := x.Check(); err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	if x.Final != nil {
		if d.plan, err = x.plan(); err != nil {
			return nil, fmt.Errorf("draft: %w", err)
		}
	}
	return d, nil
}

// pack shortens the votes, and follows the sets.
func (d *Draft) pack(fragments []grandpa.Fragment, final grandpa.Fragment) error {
	if d.start.Header == nil || final.Header == nil {
		return fmt.Errorf("%w: no block to start from, or none that is final", ErrForm)
	}
	if d.start.Hash != d.root.Hash || d.start.Header.Number != d.root.Number || d.start.Set.ID != d.root.SetID {
		return fmt.Errorf("%w: root is block %d set %d, start is %d set %d", ErrConflict, d.root.Number, d.root.SetID, d.start.Header.Number, d.start.Set.ID)
	}
	set := d.start.Set
	for i := range fragments {
		f, err := NewFragment(fragments[i], &set)
		if err != nil {
			return fmt.Errorf("fragment %d: %w", i, err)
		}
		d.short = append(d.short, f)
		if set, err = grandpa.Advance(set, f.Header); err != nil {
			return fmt.Errorf("fragment %d: %w", i, err)
		}
	}
	f, err := NewFragment(final, &set)
	if err != nil {
		return fmt.Errorf("final: %w", err)
	}
	d.final = &f
	return nil
}

// bundle returns the bundle without headers, nodes and pulses.
func (d *Draft) bundle() *Bundle {
	return &Bundle{Genesis: d.genesis, Root: d.root, Fragments: d.short, Final: d.final, Claims: d.claims}
}

// run runs links and claims on what is there. The lines are those of the claims.
func (d *Draft) run() (*run, []Line, error) {
	pool, err := trie.NewPool(d.nodes)
	if err != nil {
		return nil, nil, err
	}
	r := newRun(pool)
	r.opened = d.opened
	r.assume, r.beacon, r.verifier, r.draft = d.o.AssumeRules, d.o.Beacon, d.beacon, true
	r.executor, r.codes, r.embed = d.o.Executor, d.o.Codes, d.o.EmbedCode
	for i := range d.short {
		r.add(d.short[i].Header)
	}
	for _, h := range d.headers {
		r.add(h)
	}
	if d.final != nil {
		r.final = r.add(d.final.Header)
	}
	for round, p := range d.pulses {
		r.pulses[round] = &pulse{Pulse: p}
	}
	err = r.link(d.plan)
	lines := make([]Line, len(d.claims))
	for i, c := range d.claims {
		lines[i] = r.judge(c)
	}
	return r, lines, err
}

// missing reports whether an error says that something is not there that could still be added.
func missing(err error) bool {
	return errors.Is(err, ErrMissing) || errors.Is(err, trie.ErrIncomplete)
}

// Missing returns what the draft lacks, as far as it can tell now, by ascending block: nothing if it is
// complete. The error is a *ClaimError if a claim cannot be proven whatever is added.
func (d *Draft) Missing() ([]Want, error) {
	r, lines, err := d.run()
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("draft: %w", err)
	}
	for i := range lines {
		if lines[i].Outcome != fact.OK && !missing(lines[i].Err) {
			return nil, &ClaimError{d.claims[i], lines[i]}
		}
	}
	var wants []Want
	for _, b := range r.sorted() {
		w := Want{Number: b.number, Header: b.header == nil, Pulses: r.wanted[b.number]}
		delete(r.wanted, b.number)
		for key := range b.lacking {
			w.Keys = append(w.Keys, []byte(key))
		}
		for index := range b.body {
			w.Extrinsics = append(w.Extrinsics, index)
		}
		slices.Sort(w.Extrinsics)
		slices.SortFunc(w.Keys, bytes.Compare)
		slices.Sort(w.Pulses)
		if w.Header || len(w.Keys)+len(w.Pulses)+len(w.Extrinsics) > 0 {
			wants = append(wants, w)
		}
	}
	// Without a block there is none to look for a pulse in.
	for n, rounds := range r.wanted {
		slices.Sort(rounds)
		wants = append(wants, Want{Number: n, Pulses: rounds})
	}
	slices.SortFunc(wants, func(a, b Want) int { return int(int64(a.Number) - int64(b.Number)) })
	if len(wants) == 0 && err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	return wants, nil
}

// sorted returns the blocks by number.
func (r *run) sorted() []*block {
	list := make([]*block, 0, len(r.blocks))
	for _, b := range r.blocks {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b *block) int { return int(int64(a.number) - int64(b.number)) })
	return list
}

// AddHeader gives the draft a header that Missing asked for. That it belongs to the chain shows when it can
// be linked: then Missing or Bundle fails with ErrConflict if it does not.
func (d *Draft) AddHeader(h *verify.Header) error {
	if h == nil || !slices.Contains(d.plan, h.Number) {
		return fmt.Errorf("draft: %w", ErrNotNeeded)
	}
	if old := d.headers[h.Number]; old != nil && old.Hash() != h.Hash() {
		return fmt.Errorf("draft: %w: another header of block %s", ErrConflict, number(h.Number))
	}
	d.headers[h.Number] = h
	return nil
}

// AddProof gives the draft nodes of the state after a block whose header it has. They may be those of one
// response or more; what is there already, or is no part of any path, does no harm. The nodes are kept, not
// copied.
func (d *Draft) AddProof(n uint32, nodes [][]byte) error {
	return d.add(n, nodes, func(h *verify.Header) verify.Hash { return h.StateRoot })
}

// AddExtrinsics gives the draft nodes of the trie of a block's extrinsics, as trie.Ordered makes it, in the same way.
func (d *Draft) AddExtrinsics(n uint32, nodes [][]byte) error {
	return d.add(n, nodes, func(h *verify.Header) verify.Hash { return h.ExtrinsicsRoot })
}

func (d *Draft) add(n uint32, nodes [][]byte, root func(*verify.Header) verify.Hash) error {
	h := d.headers[n]
	for i := range d.short {
		if d.short[i].Header.Number == n {
			h = d.short[i].Header
		}
	}
	if d.final != nil && d.final.Header.Number == n {
		h = d.final.Header
	}
	if h == nil {
		return fmt.Errorf("draft: block %s: %w", number(n), ErrNotNeeded)
	}
	if _, err := trie.NewProof(root(h), nodes); err != nil {
		return fmt.Errorf("draft: block %s: %w", number(n), err)
	}
	for _, node := range nodes {
		hash := verify.Blake2b256(node)
		// A root node too small for a pool has no key that a claim could need.
		if len(node) < 32 || d.known[hash] {
			continue
		}
		if d.size += len(node); d.size > MaxSize {
			return fmt.Errorf("draft: %w: more than %d bytes of nodes", ErrLimit, MaxSize)
		}
		d.known[hash] = true
		d.nodes = append(d.nodes, node)
	}
	return nil
}

// AddPulse gives the draft a pulse. One that is not the beacon's is refused.
func (d *Draft) AddPulse(p drand.Pulse) error {
	if err := d.beacon.Verify(p); err != nil {
		return fmt.Errorf("draft: round %s: %w", group(p.Round), err)
	}
	d.pulses[p.Round] = p
	return nil
}

// Bundle returns the bundle, with what the claims need and nothing else, verified from its own start.
// ErrIncomplete if something is missing.
func (d *Draft) Bundle() (*Bundle, error) {
	wants, err := d.Missing()
	if err != nil {
		return nil, err
	}
	if len(wants) > 0 {
		return nil, fmt.Errorf("draft: %w: it lacks something of %s, the first is %s", ErrIncomplete, count(len(wants), "block"), number(wants[0].Number))
	}
	r, _, err := d.run()
	if err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	x := d.bundle()
	for _, n := range slices.Backward(d.plan) {
		x.Headers = append(x.Headers, d.headers[n])
	}
	x.Nodes = r.usage.Nodes()
	slices.SortFunc(x.Nodes, func(a, b []byte) int {
		h, g := verify.Blake2b256(a), verify.Blake2b256(b)
		return bytes.Compare(h[:], g[:])
	})
	for _, p := range r.pulses {
		if p.used {
			x.Pulses = append(x.Pulses, p.Pulse)
		}
	}
	slices.SortFunc(x.Pulses, func(a, b drand.Pulse) int { return cmpU64(a.Round, b.Round) })
	if n := len(x.Encode()); n > MaxSize {
		return nil, fmt.Errorf("draft: %w: the bundle has %d bytes, at most %d allowed", ErrLimit, n, MaxSize)
	}
	rep := x.Verify(Options{Checkpoint: d.checkpoint(), Beacon: d.o.Beacon, AssumeRules: d.o.AssumeRules, Executor: d.o.Executor, Codes: d.o.Codes})
	for i := range rep.Lines {
		if l := &rep.Lines[i]; l.Outcome != fact.OK {
			return nil, fmt.Errorf("draft: %s: %w", l.Text, l.Err)
		}
	}
	return x, nil
}

func cmpU64(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// checkpoint returns the start as a checkpoint.
func (d *Draft) checkpoint() *checkpoint.Checkpoint {
	if d.final == nil {
		return nil
	}
	return &checkpoint.Checkpoint{
		Genesis: d.genesis, Number: d.root.Number, Hash: d.root.Hash, Header: d.start.Header, Set: d.start.Set,
		SlotDuration: checkpoint.DefaultSlotDuration,
	}
}
