package tx

import (
	"context"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
)

// A node without a peer of the chain hands its transactions to other light nodes, and one that has such peers
// carries them there. What became of one comes back as a bundle, and is believed for what that proves.

// unheardAfter is how many blocks after the last that could hold a transaction its proof is waited for.
const unheardAfter = 300

// Await writes down a transaction that others are to carry. head is the finalized block, known by proof.
func (p *Pool) Await(x *extrinsic.Parcel, head uint32, call string) (Tracked, error) {
	if known, err := p.Status(x.Hash()); err == nil {
		return known, nil
	}
	if head >= x.Last() {
		return Tracked{}, fmt.Errorf("%w: #%d was the last block that could hold it, the finalized block is #%d", ErrLapsed, x.Last(), head)
	}
	e := &entry{
		hash: x.Hash(), from: x.From, extrinsic: slices.Clone(x.Extrinsic), told: make(map[string]bool), changed: make(chan struct{}),
		seen: head, announced: head,
	}
	e.Tracked = Tracked{
		Hash: e.hash.String(), Extrinsic: hexText(x.Extrinsic), From: x.From.String(), Nonce: x.Nonce, Call: clip([]byte(call)),
		Spec: x.SpecVersion, Submitted: head, Last: x.Last(), State: Pending, Step: 1, Away: true,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.pending(e.from, e.Nonce); other != nil {
		return Tracked{}, fmt.Errorf("%w: %s has nonce %d of %v", ErrBusy, other.hash.Short(), e.Nonce, e.from)
	}
	if n := len(p.entries); n >= maxPending+maxDone {
		return Tracked{}, fmt.Errorf("%w: %d", ErrFull, n)
	}
	if err := p.keep(e); err != nil {
		return Tracked{}, fmt.Errorf("not sent, for it cannot be written down: %w", err)
	}
	p.entries[e.hash] = e
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return e.Tracked, nil
}

// Heard takes a claim that was proven, and ends the transaction that it is about. It reports whether one was
// waiting for it.
func (p *Pool) Heard(ctx context.Context, c bundle.IncludedClaim, block verify.Hash) bool {
	p.mu.Lock()
	e := p.entries[c.Hash]
	if e == nil || e.State != Pending {
		p.mu.Unlock()
		return false
	}
	p.mu.Unlock()
	var failure *Failure
	if c.End == bundle.Failed {
		failure = p.failure(ctx, c)
	}
	e.at.Lock()
	defer e.at.Unlock()
	if t := p.copyOf(e); t.Done() {
		return false
	}
	p.finish(e, func(t *Tracked) {
		t.Block, t.BlockHash, t.Index, t.Problem = c.Block, block.String(), int(c.Index), ""
		switch c.End {
		case bundle.Succeeded:
			t.State, t.Outcome = Succeeded, &Outcome{OK: true, Events: []Event{}}
		case bundle.Failed:
			t.State, t.Outcome = Failed, &Outcome{Events: []Event{}, Failure: failure}
		default:
			t.State, t.Problem = Included, "the proof that came does not say"
		}
	})
	return true
}

// failure names a proven error: as the pallet does, if the chain's metadata is at hand.
func (p *Pool) failure(ctx context.Context, c bundle.IncludedClaim) *Failure {
	f := &Failure{Name: bundle.ErrorText(c.Error)}
	if len(c.Error) != 6 {
		return f
	}
	f.Docs = "its name is in the metadata of the runtime, which is not at hand"
	p.mu.Lock()
	m := p.metadata
	if e := p.entries[c.Hash]; m != nil && (e == nil || e.Spec != p.spec) {
		m = nil
	}
	p.mu.Unlock()
	if m == nil && p.linked() {
		parent := c.Block - 1
		var err error
		if m, err = p.cfg.Node.Metadata(ctx, &parent); err != nil {
			return f
		}
	}
	if m == nil {
		return f
	}
	if e, err := m.ModuleError(c.Error[1], c.Error[2:]); err == nil {
		f.Name, f.Docs = e.Pallet.Name+"."+e.Def.Name, e.Def.Docs.String()
	}
	return f
}

// linked reports whether there is anybody to ask.
func (p *Pool) linked() bool { return p.cfg.Linked == nil || p.cfg.Linked() }

// unheard ends a transaction of which nothing was heard for long after its era. The caller holds e.at.
func (p *Pool) unheard(e *entry, head uint32) {
	if uint64(head) >= uint64(e.Last)+unheardAfter {
		p.finish(e, func(t *Tracked) { t.State = Unheard })
	}
}

// Pack returns a payload and its signature as they travel. The signature is verified.
func Pack(b []byte, signature []byte) (*extrinsic.Parcel, error) {
	p, own, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if signature == nil {
		signature = own
	}
	if signature == nil {
		return nil, fmt.Errorf("%w: no signature is given, and none is in the payload", ErrPayload)
	}
	if p.Era.Immortal() {
		return nil, extrinsic.ErrImmortal
	}
	whole := *p
	if len(p.Extra) == 0 { // one of polkadot.js: what its extensions hold follows from its fields
		whole.mode = p.mode || slices.Contains(p.Extensions, "CheckMetadataHash")
		whole.Extra, whole.Implicit = whole.usual()
	}
	s, err := ParseSignature(signature, p.From, whole.Bytes())
	if err != nil {
		return nil, err
	}
	return whole.Parcel(s)
}
