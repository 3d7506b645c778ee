package control

import (
	"context"
	"errors"

	"github.com/taolight/taolight/gossip"
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

// A ReachQuestion asks whether others reach a TCP port of this machine.
type ReachQuestion struct {
	Port uint16 `json:"port"`
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
	if second := l.Second.Load(); second != nil {
		if st, err := second.Status(ctx); err == nil && st.Finalized != nil {
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
	r, err := n.Import(ctx, q.Message)
	if err != nil {
		return nil, Errorf(Unproven, "%w", err)
	}
	p := &Published{Schema: Schema, Topic: r.Topic, Number: r.Number, News: r.News}
	if r.Reason != nil {
		p.Reason = r.Reason.Error()
	}
	return p, nil
}

// Reach implements Answerer.
func (l *Local) Reach(ctx context.Context, q ReachQuestion) (*gossip.Reached, error) {
	n, err := l.talk()
	if err != nil {
		return nil, err
	}
	r, err := n.Reach(ctx, q.Port)
	switch {
	case errors.Is(err, gossip.ErrPort):
		return nil, Errorf(Usage, "%w", err)
	case errors.Is(err, gossip.ErrNobody):
		return nil, Errorf(NoPeers, "%w", err)
	case err != nil:
		return nil, err
	}
	return &r, nil
}

// Gossip asks the other process.
func (c *Client) Gossip(ctx context.Context) (*Gossip, error) {
	return call[Gossip](ctx, c, methodGossip, nil)
}

// Reach asks the other process.
func (c *Client) Reach(ctx context.Context, q ReachQuestion) (*gossip.Reached, error) {
	return call[gossip.Reached](ctx, c, methodReach, q)
}

// Publish asks the other process.
func (c *Client) Publish(ctx context.Context, q PublishQuestion) (*Published, error) {
	return call[Published](ctx, c, methodPublish, q)
}
