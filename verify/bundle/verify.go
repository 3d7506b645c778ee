package bundle

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
)

// Options are what a verdict rests on besides the bundle itself.
type Options struct {
	// Checkpoint is the trust root. Without one, nothing about blocks can be decided.
	Checkpoint *checkpoint.Checkpoint
	// Beacon is whose pulses count. The zero value is that of the checkpoint's network: quicknet, unless
	// the checkpoint names another. Without either, it is quicknet for a network that is compiled in,
	// and not known for others.
	Beacon drand.Beacon
	// AssumeRules is the spec_version whose rules are taken where those of the chain are unknown, and
	// each line that rests on them says so. 0: none are.
	AssumeRules uint32
	// Executor executes what a CallClaim is about. Without it, such a claim is undecided.
	Executor Executor
	// Codes are runtimes, each as it stands in :code, for bundles that have the hash of theirs only.
	Codes [][]byte
}

// Judge decodes a bundle that takes the whole of b and judges it. Bytes that are not in the form of one give
// a report of a single line, "form", and no bundle.
func Judge(b []byte, o func(genesis verify.Hash) Options) (*Bundle, *Report) {
	x, err := Decode(b)
	if err != nil {
		return nil, misformed(err)
	}
	return x, x.Verify(o(x.Genesis))
}

// misformed is the report on what is no bundle.
func misformed(err error) *Report {
	l := Line{Step: "form", Text: "the bundle has the one form it may have"}
	l.conclude(fail("form", err))
	return &Report{Lines: []Line{l}, Outcome: l.Outcome}
}

// Verify judges the bundle. It never fails: the report has a line for each step and for each claim, and says
// why what is not proven is not. The package comment says what a claim that is OK proves.
func (x *Bundle) Verify(o Options) *Report {
	rep := &Report{Genesis: x.Genesis}
	line := func(l Line) fact.Outcome {
		rep.Lines = append(rep.Lines, l)
		return l.Outcome
	}
	defer func() {
		rep.Outcome = fact.OK
		for i := range rep.Lines {
			rep.Outcome = fact.Worse(rep.Outcome, rep.Lines[i].Outcome)
		}
	}()
	pool, err := x.check()
	if err != nil {
		rep.Lines = misformed(err).Lines
		return rep
	}
	r := newRun(pool)
	r.assume, r.executor, r.codes = o.AssumeRules, o.Executor, o.Codes
	for i := range x.Fragments {
		r.add(x.Fragments[i].Header)
	}
	for _, h := range x.Headers {
		r.add(h)
	}
	if x.Final != nil {
		rep.Final = x.Final.Header
		r.final = r.add(x.Final.Header)
	}

	start, skip, trust := x.trust(o.Checkpoint)
	headers := x.headers(r)
	finality := Line{Step: "finality", Text: "the final block has the votes of its set"}
	if trust.Outcome == fact.OK && headers.Outcome == fact.OK {
		set, err := x.finality(start, skip, &finality)
		finality.conclude(err)
		if err == nil {
			rep.SetID = set
			for i := range x.Fragments {
				// One below the checkpoint has had its votes passed over.
				if h := x.Fragments[i].Header; i >= skip || h.Number == start.Header.Number {
					r.blocks[h.Number].linked = true
				}
			}
		}
	} else {
		notReached(&finality, &trust, &headers)
	}
	chain := []*Line{&trust, &headers, &finality}
	for _, l := range chain {
		line(*l)
	}
	if o.Beacon == (drand.Beacon{}) && o.Checkpoint != nil {
		o.Beacon = o.Checkpoint.Beacon()
	}
	storage, pulses := Line{Step: "storage"}, Line{Step: "pulses"}
	pulses.conclude(x.checkPulses(r, o.Beacon, &pulses))

	all := fact.OK
	claims := make([]Line, len(x.Claims))
	for i, c := range x.Claims {
		if len(c.blocks()) > 0 && fact.Worse(trust.Outcome, fact.Worse(headers.Outcome, finality.Outcome)) != fact.OK {
			claims[i] = Line{Step: c.Kind(), Text: c.String()}
			notReached(&claims[i], chain...)
		} else {
			claims[i] = r.judge(c)
		}
		all = fact.Worse(all, claims[i].Outcome)
	}
	x.storage(r, &storage, all)
	if all == fact.OK && pulses.Outcome == fact.OK {
		for i := range x.Pulses {
			if !r.pulses[x.Pulses[i].Round].used {
				pulses.conclude(fail("pulses", fmt.Errorf("%w: round %s", ErrUnneeded, group(x.Pulses[i].Round))))
				break
			}
		}
	}
	line(storage)
	line(pulses)
	for i := range claims {
		line(claims[i])
	}
	return rep
}

// notReached ends a step that rests on earlier ones, of which one did not succeed.
func notReached(l *Line, earlier ...*Line) {
	for _, e := range earlier {
		if e.Outcome != fact.OK {
			l.conclude(lack(e.Step, ErrNotReached))
			return
		}
	}
}

// trust decides where verification starts: at the caller's checkpoint, which need not be the bundle's root.
// What the set of the checkpoint signs above its block is final, whatever root a bundle names. So the
// fragments at and below its block are passed over, and it may be older than the root as long as the
// authorities did not change between the two.
func (x *Bundle) trust(c *checkpoint.Checkpoint) (start grandpa.Finalized, skip int, l Line) {
	l = Line{Step: "trust", Text: "the bundle is about the network of the checkpoint, and starts from it"}
	err := func() error {
		l.add("genesis", x.Genesis.String())
		if c != nil && !c.Genesis.IsZero() && c.Genesis != x.Genesis {
			return fmt.Errorf("%w: its genesis is %s, the checkpoint is of %s", ErrNetwork, x.Genesis.Short(), c.Genesis.Short())
		}
		if x.Final == nil {
			l.Text = "network " + x.Genesis.Short() + "; no claim rests on a checkpoint"
			return nil
		}
		root := &x.Root
		l.add("root_number", uint64(root.Number))
		l.add("root_hash", root.Hash.String())
		l.add("root_set_id", root.SetID)
		from := fmt.Sprintf("block %s set %d", number(root.Number), root.SetID)
		switch {
		case c == nil:
			return lack("trust", fmt.Errorf("%w: the bundle starts from %s, and no checkpoint is given", ErrCheckpoint, from))
		case c.Genesis.IsZero():
			return lack("trust", fmt.Errorf("%w: the checkpoint does not say of which network it is", ErrCheckpoint))
		}
		var err error
		if start, err = x.start(c); err != nil {
			return err
		}
		n, set := start.Header.Number, start.Set.ID
		l.add("checkpoint_number", uint64(n))
		l.add("checkpoint_hash", start.Hash.String())
		l.add("checkpoint_set_id", set)
		if err := x.checkConflict(n, start.Hash); err != nil {
			return err
		}
		for skip < len(x.Fragments) && x.Fragments[skip].Header.Number <= n {
			skip++
		}
		final := x.Final.Header.Number
		want := root.SetID + uint64(skip)
		if n == final {
			if change, err := grandpa.ScheduledChange(x.Final.Header); err != nil {
				return err
			} else if change != nil {
				want++
			}
		}
		given := fmt.Sprintf("the checkpoint is block %s set %d", number(n), set)
		switch {
		case n > final:
			return lack("trust", fmt.Errorf("%w: %s, newer than all of the bundle, which ends at %s: give --checkpoint of %s, or of a block up to %s", ErrCheckpoint, given, number(final), from, number(final)))
		case n < root.Number && set < root.SetID:
			return lack("trust", fmt.Errorf("%w: the bundle starts from %s, %s, older, and the authorities changed in between: give --checkpoint of %s, or of a newer block", ErrCheckpoint, from, given, from))
		case set != want:
			return fmt.Errorf("%w: %s, and by the bundle, which starts from %s, it would be set %d", ErrConflict, given, from, want)
		}
		l.Text = fmt.Sprintf("checkpoint %s set %d", number(n), set)
		if c.Network != "" {
			l.Text += " of " + name(c.Network)
			l.add("network", c.Network)
		}
		if n != root.Number {
			l.Text += "; the bundle starts from " + from
		}
		return nil
	}()
	var s *stop
	if err != nil && !errors.As(err, &s) {
		err = fail("trust", err)
	}
	l.conclude(err)
	return start, skip, l
}

// start returns the checkpoint as verification goes on from it. The header of one that is known by its hash
// only may be in the bundle.
func (x *Bundle) start(c *checkpoint.Checkpoint) (grandpa.Finalized, error) {
	full := *c
	if full.Header == nil {
		for _, h := range x.AllHeaders() {
			if h.Number == c.Number && h.Hash() == c.Hash {
				if err := full.Resolve(h); err != nil {
					return grandpa.Finalized{}, err
				}
			}
		}
	}
	if err := full.Ready(); err != nil {
		return grandpa.Finalized{}, lack("trust", fmt.Errorf("%w: %w", ErrCheckpoint, err))
	}
	start := full.Start()
	if start.Header == nil {
		return start, fmt.Errorf("%w: set %d cannot be advanced", checkpoint.ErrMismatch, full.Set.ID)
	}
	return start, nil
}

// AllHeaders returns the headers of all blocks that are in the bundle for themselves: fragments, the final one and
// the others.
func (x *Bundle) AllHeaders() []*verify.Header {
	var list []*verify.Header
	for i := range x.Fragments {
		list = append(list, x.Fragments[i].Header)
	}
	if x.Final != nil {
		list = append(list, x.Final.Header)
	}
	return append(list, x.Headers...)
}

// checkConflict returns ErrConflict if the bundle has another block at a height than the checkpoint's, or
// than the root it names itself.
func (x *Bundle) checkConflict(n uint32, hash verify.Hash) error {
	if n == x.Root.Number && hash != x.Root.Hash {
		return fmt.Errorf("%w: the bundle starts from block %s, %s, the checkpoint is %s", ErrConflict, number(n), x.Root.Hash.Short(), hash.Short())
	}
	for _, h := range x.AllHeaders() {
		if h.Number == n {
			if got := h.Hash(); got != hash {
				return fmt.Errorf("%w: block %s is %s in the bundle, the checkpoint is %s", ErrConflict, number(n), got.Short(), hash.Short())
			}
		}
		if h.Number == x.Root.Number {
			if got := h.Hash(); got != x.Root.Hash {
				return fmt.Errorf("%w: block %s is %s, the bundle says it starts from %s", ErrConflict, number(h.Number), got.Short(), x.Root.Hash.Short())
			}
		}
	}
	return nil
}

// headers checks how the blocks hang together: that each fragment hands over to the next set, and that the
// headers are the ones that the claims need, each linked to the final block. Whether that is final is not
// for here.
func (x *Bundle) headers(r *run) Line {
	l := Line{Step: "headers", Text: "each header is linked to the final block, and needed"}
	err := func() error {
		if x.Final == nil {
			l.Text = "no headers"
			return nil
		}
		l.add("fragments", uint64(len(x.Fragments)))
		l.add("headers", uint64(len(x.Headers)))
		l.add("final_number", uint64(x.Final.Header.Number))
		l.add("final_hash", r.final.hash.String())
		for i := range x.Fragments {
			h := x.Fragments[i].Header
			change, err := grandpa.ScheduledChange(h)
			if err != nil {
				return fail("headers", fmt.Errorf("fragment %d: %w", i, err))
			}
			if change == nil {
				return fail("headers", fmt.Errorf("fragment %d: header %d: %w", i, h.Number, grandpa.ErrNoChange))
			}
		}
		want, err := x.plan()
		if err != nil {
			return fail("headers", err)
		}
		needed := make(map[uint32]bool, len(want))
		for _, n := range want {
			needed[n] = true
		}
		for _, h := range x.Headers {
			if !needed[h.Number] {
				return fail("headers", fmt.Errorf("block %s: %w", number(h.Number), ErrUnneeded))
			}
		}
		if err := r.link(want); err != nil {
			return err
		}
		l.Text = fmt.Sprintf("%s, %s linked to block %s", count(len(x.Fragments), "set change"), count(len(x.Headers), "header"), number(r.final.number))
		return nil
	}()
	l.conclude(err)
	return l
}

// plan is what function plan says for the claims of x.
func (x *Bundle) plan() ([]uint32, error) {
	var need []uint32
	for _, c := range x.Claims {
		need = append(need, c.blocks()...)
	}
	votes := make(map[uint32]bool, len(x.Fragments))
	for i := range x.Fragments {
		votes[x.Fragments[i].Header.Number] = true
	}
	return plan(x.Final.Header.Number, func(n uint32) bool { return votes[n] }, need)
}

// finality verifies the votes of the fragments above the start and of the final block, and returns the set
// that finalized this.
func (x *Bundle) finality(start grandpa.Finalized, skip int, l *Line) (uint64, error) {
	if x.Final == nil {
		l.Text = "no final block"
		return 0, nil
	}
	f := x.Final
	if f.Header.Number == start.Header.Number {
		l.Text = fmt.Sprintf("block %s is the checkpoint's", number(f.Header.Number))
		return start.Set.ID, nil
	}
	set := start.Set
	for i := skip; i < len(x.Fragments); i++ {
		h := x.Fragments[i].Header
		_, err := verifyVotes(&x.Fragments[i], &set)
		if err == nil {
			set, err = grandpa.Advance(set, h)
		}
		if err != nil {
			return 0, fail("finality", fmt.Errorf("fragment %d: %w", i, err))
		}
	}
	j, err := verifyVotes(f, &set)
	if j != nil {
		signers := make(map[grandpa.AuthorityID]bool)
		for i := range j.Commit.Precommits {
			signers[j.Commit.Precommits[i].ID] = true
		}
		l.add("round", j.Round)
		l.add("set_id", set.ID)
		l.add("signers", uint64(len(signers)))
		l.add("voters", uint64(len(set.Authorities)))
		l.add("threshold", set.Threshold())
		if err == nil {
			l.Text = fmt.Sprintf("block %s, %s: round %s of set %d, %d of %d voters", number(f.Header.Number), f.Header.Hash().Short(), group(j.Round), set.ID, len(signers), len(set.Authorities))
			if set.Total() == uint64(len(set.Authorities)) {
				l.Text += fmt.Sprintf(" (need %d)", set.Threshold())
			}
		}
	}
	return set.ID, fail("finality", err)
}

func verifyVotes(f *Fragment, set *grandpa.AuthoritySet) (*grandpa.Justification, error) {
	j, err := f.Justification(set)
	if err != nil {
		return nil, err
	}
	return j, j.Verify(set)
}

// storage says how much of the state is in the bundle. That all of it is needed can only be told once each
// claim has been judged to its end.
func (x *Bundle) storage(r *run, l *Line, claims fact.Outcome) {
	l.add("nodes", uint64(len(x.Nodes)))
	l.add("bytes", uint64(r.pool.Size()))
	l.add("lookups", uint64(r.lookups))
	l.Text = fmt.Sprintf("%s, %s bytes, %s", count(len(x.Nodes), "node"), group(uint64(r.pool.Size())), count(r.lookups, "lookup"))
	if claims != fact.OK {
		for _, b := range r.sorted() {
			if b.header != nil && len(b.lacking) > 0 {
				l.conclude(lack("storage", fmt.Errorf("%w: the state of block %s lacks %s", ErrMissing, number(b.number), count(len(b.lacking), "key"))))
				return
			}
			if b.header != nil && len(b.body) > 0 {
				l.conclude(lack("storage", fmt.Errorf("%w: %s of block %s", ErrMissing, count(len(b.body), "extrinsic"), number(b.number))))
				return
			}
		}
		l.conclude(nil)
		return
	}
	l.conclude(fail("storage", r.unneeded()))
}

func (r *run) unneeded() error {
	if err := r.usage.CheckAll(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnneeded, err)
	}
	return nil
}

// checkPulses verifies all pulses together and gives them to the claims.
func (x *Bundle) checkPulses(r *run, b drand.Beacon, l *Line) error {
	l.add("pulses", uint64(len(x.Pulses)))
	l.Text = "no pulses"
	if len(x.Pulses) > 0 {
		l.Text = count(len(x.Pulses), "pulse")
	}
	if b == (drand.Beacon{}) && len(x.Pulses) > 0 {
		if _, err := checkpoint.ByGenesis(x.Genesis); err != nil {
			// A network with a beacon of its own says so in its checkpoint.
			r.badPulses = fmt.Errorf("%w: whose pulses count on network %s is for its checkpoint to say", ErrCheckpoint, x.Genesis.Short())
			return lack("pulses", r.badPulses)
		}
	}
	if b == (drand.Beacon{}) {
		b = drand.Quicknet()
	}
	r.beacon = b
	for i := range x.Pulses {
		r.pulses[x.Pulses[i].Round] = &pulse{Pulse: x.Pulses[i]}
	}
	if len(x.Pulses) == 0 {
		return nil
	}
	l.Text = fmt.Sprintf("%s of %s", count(len(x.Pulses), "pulse"), name(r.beacon.Name))
	l.add("beacon", r.beacon.Name)
	v, err := r.verifierOf()
	if err == nil {
		err = v.VerifyAll(x.Pulses)
	}
	if err == nil {
		return nil
	}
	var bad *drand.CulpritError
	if errors.As(err, &bad) && bad.Index >= 0 && bad.Index < len(x.Pulses) {
		r.culprit = x.Pulses[bad.Index].Round
		err = fmt.Errorf("round %s: %w", group(r.culprit), bad.Err)
	}
	r.badPulses = err
	return fail("pulses", err)
}
