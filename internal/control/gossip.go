package control

import (
	"context"
	"errors"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/grandpa"
)

// Gossip is what `gossip stats --json` prints, and with the neighbours `peers --gossip --json`.
type Gossip struct {
	Schema  int    `json:"schema"`
	Network string `json:"network"`
	Demo    bool   `json:"demo"`
	Joined  bool   `json:"joined_for_this_question"`
	gossip.Stats
	List []gossip.NeighbourStatus `json:"peers"`
}

// Talk is the line about gossip in a status.
type Talk struct {
	Level      string `json:"level"`
	Neighbours int    `json:"neighbours"`
	Final      uint32 `json:"final"` // newest block that gossip proved, or that was told
	Accepted   uint64 `json:"accepted"`
	Rejected   uint64 `json:"rejected"`
	Second     *Other `json:"second,omitempty"` // on a demo network: the light node beside this one
}

// Other is a light node beside this one that has no peer of the chain.
type Other struct {
	Number uint32 `json:"number"`
	Hash   string `json:"hash"`
	State  string `json:"state"`
	Source string `json:"finality_source"`
}

// A PublishQuestion hands over bytes.
type PublishQuestion struct {
	Message []byte `json:"message"` // base64 in JSON
}

// Published is what became of them.
type Published struct {
	Schema int    `json:"schema"`
	Topic  string `json:"topic"`  // that it went out on; empty: none
	Number uint32 `json:"number"` // of the block that it makes final
	News   bool   `json:"news"`   // whether it proved something that was not known here
	Reason string `json:"reason,omitempty"`
}

// errNoGossip: the node was told not to, or was started for one question.
var errNoGossip = errors.New("this node does not gossip")

func (l *Local) talk() (*gossip.Node, error) {
	if l.Talk != nil {
		if n := l.Talk(); n != nil {
			return n, nil
		}
	}
	return nil, Errorf(Failure, "%w", errNoGossip).WithHint("start one with: taolight run (and not --gossip off)")
}

// Gossip implements Answerer.
func (l *Local) Gossip(context.Context) (*Gossip, error) {
	n, err := l.talk()
	if err != nil {
		return nil, err
	}
	return &Gossip{Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Stats: n.Stats(), List: n.Neighbours()}, nil
}

// told is the line about gossip in a status; nil without any.
func (l *Local) told(ctx context.Context) *Talk {
	n, err := l.talk()
	if err != nil {
		return nil
	}
	s := n.Stats()
	t := &Talk{Level: s.Level, Neighbours: s.Neighbours, Final: s.Final, Accepted: s.Messages.Accepted, Rejected: s.Messages.Rejected}
	if l.Second != nil {
		if st, err := l.Second.Status(ctx); err == nil && st.Finalized != nil {
			t.Second = &Other{st.Finalized.Number, st.Finalized.Hash, st.State, st.Source}
		}
	}
	return t
}

// Publish implements Answerer.
func (l *Local) Publish(ctx context.Context, q PublishQuestion) (*Published, error) {
	n, err := l.talk()
	if err != nil {
		return nil, err
	}
	p := &Published{Schema: Schema}
	x, err := bundle.Decode(q.Message)
	if err != nil {
		if _, everr := grandpa.DecodeEvidence(q.Message); everr != nil {
			return nil, Errorf(Unproven, "neither a bundle nor evidence: %w", err)
		}
	} else if x.Final != nil {
		// Whatever else it claims, and however big it is: what it makes final is for the light client.
		p.Number = x.Final.Header.Number
		switch err := n.TakeBundle(ctx, x); {
		case err == nil:
			p.News = true
		case errors.Is(err, bundle.ErrNetwork):
			return nil, Errorf(Unproven, "%w", err)
		case errors.Is(err, gossip.ErrStale), errors.Is(err, gossip.ErrUndecided):
			p.Reason = err.Error()
		default:
			return nil, Errorf(Unproven, "%w", err)
		}
	}
	if len(q.Message) > gossip.MaxMessage {
		if p.Reason == "" {
			p.Reason = "it is too long for a message"
		}
		return p, nil
	}
	k, err := n.Publish(ctx, q.Message)
	switch {
	case err == nil:
		p.Topic, p.News = k.String(), true
	case p.News: // the light client has it, and tells of it by itself
	case errors.Is(err, gossip.ErrKnown), errors.Is(err, gossip.ErrStale), errors.Is(err, gossip.ErrShape),
		errors.Is(err, gossip.ErrUndecided), errors.Is(err, gossip.ErrAhead):
		p.Reason = err.Error()
	default:
		return nil, Errorf(Unproven, "%w", err)
	}
	return p, nil
}

// Gossip asks the other process.
func (c *Client) Gossip(ctx context.Context) (*Gossip, error) {
	return call[Gossip](ctx, c, methodGossip, nil)
}

// Publish asks the other process.
func (c *Client) Publish(ctx context.Context, q PublishQuestion) (*Published, error) {
	return call[Published](ctx, c, methodPublish, q)
}
