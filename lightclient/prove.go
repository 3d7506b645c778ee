package lightclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// maxProveRounds bounds how often a draft is asked what it lacks.
const maxProveRounds = 48

// Errors of making bundles.
var (
	// ErrNoCommitment: no commitment is known that was asked for.
	ErrNoCommitment = errors.New("no such commitment is known")
	// ErrNoPulse: a pulse that a claim needs is in no state that could be read.
	ErrNoPulse = errors.New("pulse is not on the chain")
	// ErrSets: the set changes since the checkpoint are not all at hand.
	ErrSets = errors.New("set changes since the checkpoint are missing")
)

// ProveOptions are for making a bundle. The zero value is good.
type ProveOptions struct {
	AssumeRules uint32       // as in CommitmentsOptions
	Progress    func(string) // told what is being done; nil: nobody
}

func (o ProveOptions) progress(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// Prove makes a bundle of claims, from the finalized head of now and what peers have of the states. The
// bundle is verified, and starts from the node's own checkpoint. A claim that is not so is a
// *bundle.ClaimError; a state that nobody has is a PrunedError.
func (n *Node) Prove(ctx context.Context, claims []bundle.Claim, o ProveOptions) (*bundle.Bundle, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return l.prove(claims, o)
}

// ProveEpoch makes the bundle that says that an epoch was computed right, the last that ran or with number that
// of a block: from what was kept of it if the node watched the subnet (Config.Watch), else from the states of
// peers. Errors are those of Prove and of Epoch.
func (n *Node) ProveEpoch(ctx context.Context, netuid uint16, number *uint32, o ProveOptions) (*bundle.Bundle, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	e, err := l.epochAt(netuid, number)
	if err != nil {
		return nil, err
	}
	claims := []bundle.Claim{bundle.EpochClaim{Netuid: netuid, Block: e}}
	if kept := l.recallEpoch(netuid, e); kept != nil {
		return l.recut(kept, claims, o)
	}
	return l.prove(claims, o)
}

// chainOf returns what leads from the checkpoint to the finalized head of a look: the set changes, and
// the head with its votes.
func (l *look) chainOf() (start grandpa.Finalized, sets []grandpa.Fragment, final grandpa.Fragment, err error) {
	var all []grandpa.Fragment
	if !l.n.call(l.ctx, func() {
		start, all = l.n.cfg.Checkpoint.Start(), l.n.sets
	}) {
		return start, nil, final, l.n.ended(l.ctx)
	}
	if l.head.Justification == nil {
		return start, nil, final, fmt.Errorf("%w above the checkpoint #%d", ErrNotFinal, start.Header.Number)
	}
	final = grandpa.Fragment{Header: l.head.Header, Justification: l.head.Justification}
	id := start.Set.ID
	for _, f := range all {
		if f.Header.Number > l.head.Header.Number {
			break
		}
		id++
		if f.Header.Number < l.head.Header.Number {
			sets = append(sets, f)
		}
	}
	if id != l.head.Set.ID {
		return start, nil, final, fmt.Errorf("%w: from set %d to %d there are %d", ErrSets, start.Set.ID, l.head.Set.ID, len(all))
	}
	return start, sets, final, nil
}

// draft begins a bundle, from the checkpoint to the head.
func (l *look) draft(claims []bundle.Claim, o bundle.DraftOptions) (*bundle.Draft, error) {
	start, sets, final, err := l.chainOf()
	if err != nil {
		return nil, err
	}
	cp := l.n.cfg.Checkpoint
	o.Beacon = cp.Beacon()
	root := bundle.RootRef{Number: start.Header.Number, Hash: start.Hash, SetID: start.Set.ID}
	return bundle.NewDraft(cp.Genesis, root, start, sets, final, claims, o)
}

// prove makes a bundle, taking from earlier ones, which have been verified, what they hold.
func (l *look) prove(claims []bundle.Claim, o ProveOptions, earlier ...*bundle.Bundle) (*bundle.Bundle, error) {
	d, err := l.draft(claims, bundle.DraftOptions{AssumeRules: o.AssumeRules})
	if err != nil {
		return nil, err
	}
	for _, x := range earlier {
		if err := feed(d, x); err != nil {
			return nil, err
		}
	}
	return l.complete(d, o)
}

// complete fetches what a draft lacks, until it lacks nothing.
func (l *look) complete(d *bundle.Draft, o ProveOptions) (*bundle.Bundle, error) {
	for round := 1; round <= maxProveRounds; round++ {
		wants, err := d.Missing()
		if err != nil {
			return nil, err
		}
		if len(wants) == 0 {
			o.progress("verifying the bundle")
			return d.Bundle()
		}
		for i, w := range wants {
			o.progress("round %d: block #%d, %d of %d: %d key%s, %d pulse%s", round, w.Number, i+1, len(wants), len(w.Keys), plural(len(w.Keys)), len(w.Pulses), plural(len(w.Pulses)))
			if err := l.supply(d, w); err != nil {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("%w: more than %d rounds for a bundle", ErrTooMuch, maxProveRounds)
}

// feed gives a draft what another bundle holds.
func feed(d *bundle.Draft, x *bundle.Bundle) error {
	var at uint32
	found := false
	add := func(h *verify.Header) error {
		err := d.AddHeader(h)
		if errors.Is(err, bundle.ErrNotNeeded) {
			return nil
		}
		if err == nil {
			at, found = h.Number, true
		}
		return err
	}
	for _, h := range x.Headers {
		if err := add(h); err != nil {
			return err
		}
	}
	if x.Final != nil {
		if err := add(x.Final.Header); err != nil {
			return err
		}
	}
	if !found && x.Final != nil {
		at = x.Final.Header.Number
	}
	// Nodes are told apart by their hash, so that any block of the draft will do.
	if err := d.AddProof(at, x.Nodes); err != nil && (found || !errors.Is(err, bundle.ErrNotNeeded)) {
		return err
	}
	for _, p := range x.Pulses {
		if err := d.AddPulse(p); err != nil {
			return err
		}
	}
	return nil
}

// supply fetches what a draft lacks of one block.
func (l *look) supply(d *bundle.Draft, w bundle.Want) error {
	if len(w.Pulses) > 0 {
		if err := l.supplyPulses(d, w); err != nil {
			return err
		}
	}
	if !w.Header && len(w.Keys)+len(w.Extrinsics) == 0 {
		return nil
	}
	at, err := l.block(w.Number)
	if err != nil {
		return err
	}
	if w.Header {
		if err := d.AddHeader(at.Header); err != nil {
			return err
		}
	}
	if len(w.Extrinsics) > 0 {
		_, body, err := l.n.fetch(l.ctx, at.Hash, w.Number, true)
		if err != nil {
			return err
		}
		keys := make([][]byte, len(w.Extrinsics))
		for i, index := range w.Extrinsics {
			keys[i] = scale.AppendCompact(nil, uint64(index))
		}
		if err := d.AddExtrinsics(w.Number, trie.Ordered(body).Prove(keys...)); err != nil {
			return err
		}
	}
	if len(w.Keys) == 0 {
		return nil
	}
	missing, err := l.lacking(at, w.Keys)
	if err != nil {
		return err
	}
	if err := l.extend(at, missing); err != nil {
		return err
	}
	p, err := l.proof(at)
	if err != nil {
		return err
	}
	nodes, err := p.Minimal(w.Keys...)
	if err != nil {
		return err
	}
	return d.AddProof(w.Number, nodes)
}

// supplyPulses looks pulses up in the state that a draft names, and then in that of the head, which has
// those of the last week.
func (l *look) supplyPulses(d *bundle.Draft, w bundle.Want) error {
	places := []uint32{w.Number, l.head.Header.Number}
	if w.Number == 0 || w.Number >= l.head.Header.Number {
		places = places[1:]
	}
	rounds := w.Pulses
	var why error
	for _, number := range places {
		var left []uint64
		_, err := l.with(number, func(s subtensor.State) error {
			left = nil
			keys := make([][]byte, len(rounds))
			for i, r := range rounds {
				keys[i] = subtensor.KeyPulse(r)
			}
			values, err := s.Load(keys...)
			if err != nil {
				return err
			}
			for i, v := range values {
				if err := addPulse(d, rounds[i], v); err != nil {
					why = err
					left = append(left, rounds[i])
				}
			}
			return nil
		})
		switch {
		case errors.Is(err, ErrPruned):
			why = err
			continue
		case err != nil:
			return err
		}
		if rounds = left; len(rounds) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: round %d: %w", ErrNoPulse, rounds[0], why)
}

func addPulse(d *bundle.Draft, round uint64, value []byte) error {
	if value == nil {
		return ErrNoPulse
	}
	stored, err := drand.DecodeStored(value)
	if err != nil {
		return err
	}
	p, err := stored.Pulse()
	if err != nil {
		return err
	}
	p.Round = round
	return d.AddPulse(p)
}

// A CommitmentSelector says which commitment of a hotkey is meant: the last that came to an end, or if
// there is none the last of all, unless it says more.
type CommitmentSelector struct {
	Hotkey verify.AccountID
	Epoch  *uint64      // of this epoch
	Block  *uint32      // made in this block
	Hash   *verify.Hash // committed, or of the ciphertext
	// Still also proves that the hotkey's weights at the finalized head are those that were revealed.
	Still bool
}

func (s *CommitmentSelector) matches(c *Commitment) bool { return s.means(c.ID) }

func (s *CommitmentSelector) means(id CommitID) bool {
	return id.Hotkey == s.Hotkey && (s.Epoch == nil || *s.Epoch == id.Epoch) && (s.Block == nil || *s.Block == id.Block) &&
		(s.Hash == nil || *s.Hash == id.Hash)
}

// precise reports whether it is about one that may lie further back than the last.
func (s *CommitmentSelector) precise() bool { return s.Epoch != nil || s.Block != nil || s.Hash != nil }

// farBack is how many reveals are looked at for a commitment that was named. States end long before,
// except with an archive peer.
const farBack = 200

// CommitmentClaims finds a commitment and returns the claims that say what is known of it: that it was
// made, and that it was revealed or lost. ErrNoCommitment if none is known, with a PrunedError if it may
// be further back than there are states.
func (n *Node) CommitmentClaims(ctx context.Context, netuid uint16, mecid uint8, s CommitmentSelector, o ProveOptions) ([]bundle.Claim, *Commitment, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, _, err := l.find(netuid, mecid, s, o)
	if err != nil {
		return nil, nil, err
	}
	return l.claimsOf(netuid, mecid, c, s.Still), c, nil
}

// ProveCommitment finds a commitment and makes the bundle of what is known of it: from the states of
// peers or, where these have gone, from what was kept as it happened (Config.Watch).
func (n *Node) ProveCommitment(ctx context.Context, netuid uint16, mecid uint8, s CommitmentSelector, o ProveOptions) (*bundle.Bundle, *Commitment, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, nil, err
	}
	c, kept, err := l.find(netuid, mecid, s, o)
	if err != nil {
		return nil, nil, err
	}
	if s.Still && c.State != Revealed {
		return nil, c, fmt.Errorf("%w: it is %s, so that no weights can still be those", ErrNoCommitment, c.State)
	}
	if kept != nil && !s.Still {
		x, err := l.cut(kept, c, o)
		return x, c, err
	}
	var earlier []*bundle.Bundle
	if kept != nil {
		earlier = append(earlier, kept)
	}
	x, err := l.prove(l.claimsOf(netuid, mecid, c, s.Still), o, earlier...)
	return x, c, err
}

// find looks for a commitment in the states, and then in what was kept. kept is the bundle that it was
// found in, nil if that was not needed.
func (l *look) find(netuid uint16, mecid uint8, s CommitmentSelector, o ProveOptions) (c *Commitment, kept *bundle.Bundle, err error) {
	opt := CommitmentsOptions{Hotkey: &s.Hotkey, AssumeRules: o.AssumeRules, Progress: o.Progress}
	q, err := l.n.question(l, netuid, mecid, opt)
	if err != nil {
		return nil, nil, err
	}
	if s.precise() {
		q.opt.Epochs, q.until = farBack, &s
	}
	all, err := q.answer()
	if err != nil {
		return nil, nil, err
	}
	for _, p := range all.Past {
		if s.matches(p) {
			return p, nil, nil
		}
	}
	archive := l.kept(netuid, mecid)
	for _, k := range archive {
		x, list := l.open(k, o.AssumeRules, s.means)
		for _, c := range list {
			if s.matches(c) && c.State != Pending {
				return c, x, nil
			}
		}
	}
	for i := len(all.Pending) - 1; i >= 0; i-- {
		if s.matches(all.Pending[i]) {
			return all.Pending[i], nil, nil
		}
	}
	err = fmt.Errorf("%w: of %v on subnet %d, mechanism %d", ErrNoCommitment, s.Hotkey, netuid, mecid)
	if all.why != nil {
		err = fmt.Errorf("%w; %w", err, all.why)
	}
	return nil, nil, err
}

// Claim returns the commitment as bundles name it.
func (c *Commitment) claim(netuid uint16, mecid uint8) bundle.CommitID {
	return bundle.CommitID{Kind: c.ID.Kind, Netuid: netuid, Mecid: mecid, Hotkey: c.ID.Hotkey, Epoch: c.ID.Epoch, Block: c.ID.Block, Hash: c.ID.Hash}
}

// claimsOf returns what can be claimed of a commitment. That it was made is best shown by the state
// after its block, while there is one; the entry says so itself as long as it stands.
func (l *look) claimsOf(netuid uint16, mecid uint8, c *Commitment, still bool) []bundle.Claim {
	at := c.ShownAt
	if at != c.ID.Block && l.readable(c.ID.Block) {
		at = c.ID.Block
	}
	claims := append([]bundle.Claim{bundle.MadeClaim{CommitID: c.claim(netuid, mecid), At: at}}, c.fateClaims(netuid, mecid)...)
	if r, ok := claims[len(claims)-1].(bundle.RevealedClaim); ok && still {
		claims = append(claims, bundle.EqualClaim{CommitID: r.CommitID, Shown: r.At - 1, At: l.head.Header.Number, Reveal: r.Reveal})
	}
	return claims
}

// readable reports whether the state of a block can be had.
func (l *look) readable(number uint32) bool {
	_, err := l.with(number, func(s subtensor.State) error {
		_, err := s.Load(subtensor.KeyTimestampNow())
		return err
	})
	return err == nil
}

// fateClaims returns what can be claimed of how a commitment ended: nothing while it is pending, or if
// the weights that a hash was of are not known.
func (c *Commitment) fateClaims(netuid uint16, mecid uint8) []bundle.Claim {
	id := c.claim(netuid, mecid)
	switch {
	case c.State == Revealed && c.RevealAt != nil && *c.RevealAt > id.Block:
		r := bundle.RevealedClaim{CommitID: id, At: *c.RevealAt}
		if id.Kind == commit.Hash {
			if c.VersionKey == nil {
				return nil
			}
			r.Reveal = &bundle.Reveal{UIDs: c.UIDs, Values: c.Values, Salt: c.Salt, VersionKey: *c.VersionKey}
		}
		return []bundle.Claim{r}
	case c.State == Lost && id.Kind == commit.Hash && c.Why == commit.Expired:
		return []bundle.Claim{bundle.LostClaim{CommitID: id, At: c.ShownAt, Why: c.Why}}
	case c.State == Lost && c.LostAt != nil && *c.LostAt > id.Block:
		return []bundle.Claim{bundle.LostClaim{CommitID: id, At: *c.LostAt, Why: c.Why}}
	}
	return nil
}

// cut makes a bundle about one commitment out of one about many, with the finality of that; or returns
// the whole if it cannot be cut.
func (l *look) cut(x *bundle.Bundle, c *Commitment, o ProveOptions) (*bundle.Bundle, error) {
	var claims, late, end []bundle.Claim
	for _, claim := range x.Claims {
		id, ok := idOf(claim)
		if !ok || id.Hotkey != c.ID.Hotkey || id.Hash != c.ID.Hash || id.Block != c.ID.Block {
			continue
		}
		claims = append(claims, claim)
		if m, ok := claim.(bundle.MadeClaim); ok {
			m.At = c.ShownAt
			claim = m
		} else {
			end = append(end, claim)
		}
		late = append(late, claim)
	}
	// Of many blocks each is linked to the next; without those between, the link that is needed may be
	// another, and gone. Then that it was made is shown in the state before its end, or by the claim
	// about its end alone, which shows it standing there.
	for _, claims := range [][]bundle.Claim{claims, late, end} {
		if len(claims) == 0 {
			continue
		}
		if y, err := l.recut(x, claims, o); err == nil {
			return y, nil
		}
		if l.ctx.Err() != nil {
			return nil, context.Cause(l.ctx)
		}
	}
	return x, nil
}

// recut makes a bundle of claims from what a verified one holds.
func (l *look) recut(x *bundle.Bundle, claims []bundle.Claim, o ProveOptions) (*bundle.Bundle, error) {
	cp := l.n.cfg.Checkpoint
	start := cp.Start()
	if x.Root.Number != start.Header.Number || x.Root.Hash != start.Hash || x.Final == nil {
		return nil, ErrSets // it was made from another checkpoint, whose authorities are not at hand
	}
	set := start.Set
	var sets []grandpa.Fragment
	for i := range x.Fragments {
		j, err := x.Fragments[i].Justification(&set)
		if err != nil {
			return nil, err
		}
		sets = append(sets, grandpa.Fragment{Header: x.Fragments[i].Header, Justification: j})
		if set, err = grandpa.Advance(set, x.Fragments[i].Header); err != nil {
			return nil, err
		}
	}
	j, err := x.Final.Justification(&set)
	if err != nil {
		return nil, err
	}
	d, err := bundle.NewDraft(x.Genesis, x.Root, start, sets, grandpa.Fragment{Header: x.Final.Header, Justification: j}, claims,
		bundle.DraftOptions{Beacon: cp.Beacon(), AssumeRules: o.AssumeRules})
	if err != nil {
		return nil, err
	}
	if err := feed(d, x); err != nil {
		return nil, err
	}
	return l.complete(d, o)
}

// idOf returns the commitment that a claim is about.
func idOf(c bundle.Claim) (bundle.CommitID, bool) {
	switch c := c.(type) {
	case bundle.MadeClaim:
		return c.CommitID, true
	case bundle.RevealedClaim:
		return c.CommitID, true
	case bundle.LostClaim:
		return c.CommitID, true
	case bundle.EqualClaim:
		return c.CommitID, true
	}
	return bundle.CommitID{}, false
}

// verified reports whether a kept bundle holds what it claims, by our own checkpoint.
func (l *look) verified(x *bundle.Bundle, assume uint32) (*bundle.Report, bool) {
	cp := l.n.cfg.Checkpoint
	r := x.Verify(bundle.Options{Checkpoint: cp, Beacon: cp.Beacon(), AssumeRules: assume})
	return r, r.Outcome == fact.OK
}
