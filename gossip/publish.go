package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
	"github.com/taolight/taolight/verify/grandpa"
)

// Publish sends a message on the topic that it is for, after it has been judged like one from a peer.
func (n *Node) Publish(ctx context.Context, message []byte) (Kind, error) {
	k := Evidence
	if extrinsic.Is(message) {
		k = Transactions
	} else if x, err := bundle.Decode(message); err == nil {
		if k, err = KindOf(x); err != nil {
			return k, err
		}
	} else if bundle.CheckMagic(message) == nil || len(message) == 0 {
		return k, err
	}
	return k, n.Take(ctx, k, message)
}

// Take judges a message that came by another way than GossipSub (a file, a carrier, the user), gives what
// it proves to the light client and passes it on.
func (n *Node) Take(ctx context.Context, k Kind, message []byte) error {
	j := n.gate.Judge(n.cfg.Now(), "", k, message)
	n.bring(ctx, k, message, j)
	if j.Verdict != Accept {
		if k == Transactions && errors.Is(j.Err, ErrKnown) && extrinsic.Is(message) {
			return n.again(ctx, message)
		}
		return j.Err
	}
	if j.Parcel != nil {
		if err := n.carry(ctx, j.Parcel, true); err != nil {
			return err
		}
	}
	if k == Transactions {
		n.hold(j, message, j.Parcel != nil)
	}
	done := make(chan error, 1)
	n.emit(ctx, publish{k, message, j.Number, done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TakeBundle does the same with a whole bundle, of any size: what it proves above the head goes to the
// light client. stale is ErrStale.
func (n *Node) TakeBundle(ctx context.Context, x *bundle.Bundle) error {
	t := n.gate.Trust()
	if t == nil || t.Head == nil {
		return ErrNoTrust
	}
	if x.Genesis != n.cfg.Genesis {
		return bundle.ErrNetwork
	}
	p, err := ProofOf(x, t)
	if err != nil {
		return err
	}
	n.cfg.Light.Offer(ctx, p)
	return nil
}

// judge is called by the router's workers.
func (n *Node) judge(ctx context.Context, from peer.ID, k Kind, message []byte) Verdict {
	j := n.gate.Judge(n.cfg.Now(), string(from), k, message)
	n.bring(ctx, k, message, j)
	if j.Verdict == Accept && k == Transactions {
		if j.Parcel != nil {
			if err := n.carry(ctx, j.Parcel, n.near(from)); err != nil {
				n.note("a transaction of %v that %s sent is not carried: %v", j.Parcel.From, shortID(from), err)
				return Ignore // states differ, and so may what their runtimes say
			}
		}
		n.hold(j, message, false)
	}
	switch {
	case j.Verdict == Reject:
		n.note("%s sent a message that is not so, and is heard no more: %v", shortID(from), j.Err)
	case errors.Is(j.Err, errOurs):
		n.cfg.Light.Told(j.Number)
	case errors.Is(j.Err, ErrAhead):
		select {
		case n.events <- ahead{from}:
		default:
		}
	}
	return j.Verdict
}

// bring hands on what a message has proven.
func (n *Node) bring(ctx context.Context, k Kind, message []byte, j Judgement) {
	if j.Verdict != Accept {
		return
	}
	switch {
	case j.Proof != nil:
		n.cfg.Light.Offer(ctx, j.Proof)
		select {
		case n.events <- proven{j.Number, slices.Clone(message)}:
		default:
		}
	case j.Evidence != nil:
		n.cfg.Light.Accuse(ctx, j.Evidence)
	case j.Bundle != nil:
		n.cfg.Fact(k, j.Bundle)
	}
}

// planPublish decides when the new head is told. A head that came by gossip is on its way already; one
// from the chain's own network many nodes have at once: whoever draws the shortest time tells it.
func (n *Node) planPublish(now time.Time) {
	st, p := n.now(), n.Params()
	if st == nil || st.Proof == nil && st.Evidence == nil {
		return
	}
	wants := st.Evidence != nil && !n.accused
	for _, k := range []Kind{Finality, FinalityRare} {
		wants = wants || st.Proof != nil && slices.Contains(p.Topics, k) && n.gate.Final(k) < st.Head.Number
	}
	if wants && n.publishAt.IsZero() {
		n.publishAt = now.Add(time.Duration(n.rand.Int64N(int64(publishSpread))))
	}
}

// publishSpread is over how long nodes that have a head from the chain's own network spread their telling
// of it.
const publishSpread = 800 * time.Millisecond

// publishHead tells of the newest head, unless others have in the meantime.
func (n *Node) publishHead(ctx context.Context, now time.Time) {
	st, p := n.now(), n.Params()
	if st == nil || !p.meshes() {
		return
	}
	if st.Evidence != nil && !n.accused {
		n.accused = true
		if m := st.Evidence.Append(nil); len(m) <= MaxMessage && n.gate.Own(Evidence, m, 0) {
			n.tell(ctx, now, Evidence, m)
		}
	}
	if st.Proof == nil || len(st.Signer.Authorities) == 0 {
		return
	}
	number := st.Head.Number
	for _, k := range []Kind{Finality, FinalityRare} {
		if slices.Contains(p.Topics, k) && n.gate.Final(k) < number && n.forming(now, k) {
			n.publishAt = now.Add(settle)
			return
		}
	}
	m := n.accepted[number] // the very bytes that others have, if it came by gossip
	if m == nil {
		var err error
		if m, err = FinalityMessage(n.cfg.Genesis, st.From, &st.Signer, grandpa.Fragment{Header: st.Head.Header, Justification: st.Proof}); err != nil {
			n.note("%v", err)
			return
		}
	}
	for _, k := range []Kind{Finality, FinalityRare} {
		if slices.Contains(p.Topics, k) && n.gate.Own(k, m, number) {
			n.send(ctx, k, m)
		}
	}
}

func (n *Node) send(ctx context.Context, k Kind, message []byte) error {
	n.mu.Lock()
	r := n.router
	n.mu.Unlock()
	if r == nil {
		return fmt.Errorf("level %v has no topics", n.Level())
	}
	return r.publish(ctx, k, message)
}
