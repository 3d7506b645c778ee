package gossip

import (
	"context"
	"errors"
	"time"

	"github.com/taolight/taolight/gossip/link"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
	"github.com/taolight/taolight/verify/grandpa"
)

// linkAgain is how long a link that broke is left alone.
const linkAgain = time.Minute

// Imported says what became of a message that came by another way than GossipSub.
type Imported struct {
	Topic  string // that it went out on; empty: none
	Number uint32 // of the block that it makes final
	News   bool   // whether it proved something that was not known here
	Reason error  // why it did not, or was not told; it is no lie
}

// Import takes bytes from a file, a carrier or the user. What a bundle makes final, however big it is and
// whatever else it claims, goes to the light client; what fits a message and belongs on a topic is passed
// on. An error says that it is not so, or nothing at all.
func (n *Node) Import(ctx context.Context, message []byte) (Imported, error) {
	var r Imported
	if extrinsic.Is(message) {
		if r.Reason = n.Take(ctx, Transactions, message); r.Reason == nil {
			r.Topic, r.News = Transactions.String(), true
		}
		for _, late := range []error{ErrKnown, ErrStale, ErrUndecided, ErrAhead, ErrBusy, ErrNoTrust} {
			if r.Reason == nil || errors.Is(r.Reason, late) {
				return r, nil
			}
		}
		return r, r.Reason
	}
	x, err := bundle.Decode(message)
	if err != nil {
		if _, everr := grandpa.DecodeEvidence(message); everr != nil {
			return r, errors.Join(errors.New("neither a bundle nor evidence nor a transaction"), err)
		}
	} else if x.Final != nil {
		r.Number = x.Final.Header.Number
		switch err := n.TakeBundle(ctx, x); {
		case err == nil:
			r.News = true
		case errors.Is(err, ErrStale), errors.Is(err, ErrUndecided), errors.Is(err, ErrNoTrust):
			r.Reason = err
		default:
			return r, err
		}
	}
	if len(message) > MaxMessage {
		if !r.News && r.Reason == nil {
			r.Reason = ErrSize
		}
		return r, nil
	}
	k, err := n.Publish(ctx, message)
	switch {
	case err == nil:
		r.Topic, r.News = k.String(), true
	case r.News: // the light client has it, and tells of it by itself
	case errors.Is(err, ErrKnown), errors.Is(err, ErrStale), errors.Is(err, ErrShape), errors.Is(err, ErrUndecided),
		errors.Is(err, ErrAhead), errors.Is(err, ErrBusy), errors.Is(err, ErrNoTrust):
		r.Reason = err
	default:
		return r, err
	}
	return r, nil
}

// A carried link with the way to tell it.
type carried struct {
	link link.Link
	out  chan link.Load
}

// startLinks runs the carriers; each is started again when it breaks.
func (n *Node) startLinks(ctx context.Context) {
	for _, l := range n.cfg.Links {
		c := &carried{l, make(chan link.Load)}
		n.links = append(n.links, c)
		n.work.Add(1)
		go func() {
			defer n.work.Done()
			last := ""
			for ctx.Err() == nil {
				err := l.Run(ctx, c.out, func(message []byte) { n.carriedIn(ctx, l, message) })
				if err != nil && err.Error() != last {
					last = err.Error()
					n.cfg.Notes(Note{Text: "carrier " + last, Warn: true})
				}
				timer := time.NewTimer(linkAgain)
				select {
				case <-ctx.Done():
				case <-timer.C:
				}
				timer.Stop()
			}
		}()
	}
}

// carriedIn takes what a link brought.
func (n *Node) carriedIn(ctx context.Context, l link.Link, message []byte) {
	r, err := n.Import(ctx, message)
	switch {
	case err != nil:
		n.note("%v brought what is not so: %v", l, err)
	case r.News && r.Number > 0:
		n.note("%v brought #%d, which is proven", l, r.Number)
	case r.News:
		n.note("%v brought something for topic %s, which is proven", l, r.Topic)
	}
}

// tellLinks gives each link that waits for it what there is to tell.
func (n *Node) tellLinks() {
	st := n.now()
	if len(n.links) == 0 || st == nil || n.Level() == Park {
		return
	}
	if st != n.loadOf {
		n.load, n.loadOf = n.makeLoad(st), st
	}
	n.mu.Lock()
	if n.holding != n.loadHeld {
		n.load.Posts, n.loadHeld = nil, n.holding
		for _, h := range n.held {
			n.load.Posts = append(n.load.Posts, link.Post{ID: h.id, Message: h.message, Ended: !h.parcel})
		}
	}
	n.mu.Unlock()
	for _, c := range n.links {
		select {
		case c.out <- n.load:
		default: // it is busy, or its device is not there
		}
	}
}

func (n *Node) makeLoad(st *Standing) link.Load {
	l := link.Load{Posts: n.load.Posts}
	if st.Evidence != nil || st.Proof == nil || st.Above == nil || len(st.Signer.Authorities) == 0 {
		return l
	}
	short, err := FinalityMessage(n.cfg.Genesis, st.From, &st.Signer, grandpa.Fragment{Header: st.Head.Header, Justification: st.Proof})
	if err != nil {
		return l
	}
	l.Number, l.Short = st.Head.Number, short
	from, proof, ok := st.Above(st.Root.Hash, 4096)
	if !ok || len(proof.Fragments) == 0 {
		return l
	}
	if x, err := CatchUp(n.cfg.Genesis, from, proof); err == nil {
		l.Long = x.Encode()
	}
	return l
}
