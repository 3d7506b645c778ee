package control

import (
	"context"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

// A TableQuestion asks for a table that is read from the state of one block.
type TableQuestion struct {
	Netuid      *uint16 `json:"netuid,omitempty"`  // of Metagraph; of Subnets, nil for all
	Address     string  `json:"address,omitempty"` // of Account; SS58 or hex
	At          *uint32 `json:"at,omitempty"`      // nil: the finalized head
	AssumeRules uint32  `json:"assume_rules,omitempty"`
}

// Metagraph is what `metagraph --json` prints.
type Metagraph struct {
	lightclient.Metagraph
	Demo   bool `json:"demo"`
	Joined bool `json:"joined_for_this_question"`
}

// Subnets is what `subnets --json` prints.
type Subnets struct {
	lightclient.Subnets
	Demo   bool `json:"demo"`
	Joined bool `json:"joined_for_this_question"`
}

// Account is what `account --json` prints.
type Account struct {
	lightclient.Account
	Demo   bool `json:"demo"`
	Joined bool `json:"joined_for_this_question"`
}

// Chain is what `head --chain --json` adds. Demo and Joined are told with the head.
type Chain struct{ lightclient.ChainStatus }

func (q TableQuestion) options(ctx context.Context) lightclient.StateOptions {
	return lightclient.StateOptions{At: q.At, AssumeRules: q.AssumeRules, Progress: func(line string) { report(ctx, line) }}
}

// Metagraph implements Answerer.
func (l *Local) Metagraph(ctx context.Context, q TableQuestion) (*Metagraph, error) {
	if q.Netuid == nil {
		return nil, Errorf(Usage, "%w: which subnet is not said", ErrParams)
	}
	m, err := l.Node.Metagraph(ctx, *q.Netuid, q.options(ctx))
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Metagraph{*m, l.Demo, l.Joined}, nil
}

// Subnets implements Answerer.
func (l *Local) Subnets(ctx context.Context, q TableQuestion) (s *Subnets, err error) {
	var list *lightclient.Subnets
	if q.Netuid == nil {
		list, err = l.Node.Subnets(ctx, q.options(ctx))
	} else {
		list, err = l.Node.Subnet(ctx, *q.Netuid, q.options(ctx))
	}
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Subnets{*list, l.Demo, l.Joined}, nil
}

// Account implements Answerer.
func (l *Local) Account(ctx context.Context, q TableQuestion) (*Account, error) {
	id, err := verify.ParseAccount(q.Address)
	if err != nil {
		return nil, Errorf(Usage, "address: %w", err)
	}
	a, err := l.Node.Account(ctx, id, q.options(ctx))
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Account{*a, l.Demo, l.Joined}, nil
}

// Chain implements Answerer.
func (l *Local) Chain(ctx context.Context, q TableQuestion) (*Chain, error) {
	c, err := l.Node.Chain(ctx, q.options(ctx))
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	return &Chain{*c}, nil
}

// Chain asks the other process.
func (c *Client) Chain(ctx context.Context, q TableQuestion) (*Chain, error) {
	return call[Chain](ctx, c, methodChain, q)
}

// Metagraph asks the other process.
func (c *Client) Metagraph(ctx context.Context, q TableQuestion) (*Metagraph, error) {
	return call[Metagraph](ctx, c, methodMetagraph, q)
}

// Subnets asks the other process.
func (c *Client) Subnets(ctx context.Context, q TableQuestion) (*Subnets, error) {
	return call[Subnets](ctx, c, methodSubnets, q)
}

// Account asks the other process.
func (c *Client) Account(ctx context.Context, q TableQuestion) (*Account, error) {
	return call[Account](ctx, c, methodAccount, q)
}
