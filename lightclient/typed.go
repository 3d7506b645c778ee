package lightclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
)

// Commitments tells what commitments of a mechanism of a subnet are pending and what became of the
// last ones. All of it is proven, most at the finalized head; where the states of the past end, it
// says so in Beyond. ErrUnknownRules unless the chain's rules are audited or others are assumed.
func (n *Node) Commitments(ctx context.Context, netuid uint16, mecid uint8, o CommitmentsOptions) (*Commitments, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	q, err := n.question(l, netuid, mecid, o)
	if err != nil {
		return nil, err
	}
	out, err := q.answer()
	if err == nil && o.Epochs >= 0 {
		l.recall(out, q.opt)
	}
	return out, err
}

func (n *Node) question(l *look, netuid uint16, mecid uint8, o CommitmentsOptions) (*question, error) {
	cp := n.cfg.Checkpoint
	return newQuestion(l, cp.Network, netuid, mecid, cp.SlotDuration, cp.Beacon(), o)
}

// final implements states.
func (l *look) final() FinalBlock { return FinalBlock{l.head.Header, l.head.Hash} }

// reveals implements states. A node bans who asks it for one body thrice, so what is found in one is
// kept.
func (l *look) reveals(number uint32) ([]reveal, error) {
	var calls []reveal
	found := false
	if !l.n.call(l.ctx, func() { calls, found = l.n.revealed[number] }) {
		return nil, l.n.ended(l.ctx)
	}
	if found {
		return calls, nil
	}
	body, err := l.body(number)
	if err != nil {
		return nil, err
	}
	calls = findReveals(body)
	l.n.call(l.ctx, func() {
		if len(l.n.revealed) >= maxPast {
			clear(l.n.revealed)
		}
		l.n.revealed[number] = calls
	})
	return calls, nil
}

// StatusOf returns a finalized block for showing.
func StatusOf(b FinalBlock) BlockStatus {
	s := BlockStatus{Number: b.Header.Number, Hash: b.Hash.String(), StateRoot: b.Header.StateRoot.String(), Trust: "finalized"}
	s.Slot, _ = aura.Slot(b.Header)
	return s
}

// Weights are rows of weights that one mechanism of a subnet holds after a block.
type Weights struct {
	Schema  int         `json:"schema"` // 1
	Network string      `json:"network"`
	Netuid  uint16      `json:"netuid"`
	Mecid   uint8       `json:"mecid"`
	Block   BlockStatus `json:"block"`
	Rules   string      `json:"rules"` // whose layout of the state it is
	Assumed bool        `json:"rules_assumed"`
	Rows    []WeightRow `json:"rows"` // by uid; neurons without weights are left out
}

// A WeightRow is what one neuron has set.
type WeightRow struct {
	UID        uint16      `json:"uid"`
	Hotkey     string      `json:"hotkey"`
	Permit     bool        `json:"validator_permit"`
	LastUpdate uint64      `json:"last_update"` // block of its last weights or commitment
	Weights    [][2]uint16 `json:"weights"`     // uid and value, in the order in which they were set
}

// Weights reads the rows of one neuron, or of all with uid -1, after a finalized block; at is nil for
// the newest. ErrNoSubnet if there is no such subnet or uid; ErrUnknownRules as for Commitments, with assume
// the rules to take then.
func (n *Node) Weights(ctx context.Context, netuid uint16, mecid uint8, uid int, at *uint32, assume uint32) (*Weights, error) {
	index, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return nil, err
	}
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	number := l.head.Header.Number
	if at != nil {
		number = *at
	}
	out := &Weights{Schema: 1, Network: n.cfg.Checkpoint.Network, Netuid: netuid, Mecid: mecid}
	b, _, err := l.withRules(number, assume, func(s subtensor.State, r rules.Set) error {
		out.Rows = []WeightRow{}
		var exists bool
		var mechanisms uint8
		var size uint16
		var updates []uint64
		var permits []bool
		var b subtensor.Batch
		b.Subnet("NetworksAdded", netuid, &exists)
		b.Subnet("MechanismCountCurrent", netuid, &mechanisms)
		b.Subnet("SubnetworkN", netuid, &size)
		b.Subnet("LastUpdate", index, &updates)
		b.Subnet("ValidatorPermit", netuid, &permits)
		if err := b.Load(s); err != nil {
			return err
		}
		out.Rules, out.Assumed = r.String(), r.Assumed()
		switch {
		case !exists:
			return fmt.Errorf("%w: %d", ErrNoSubnet, netuid)
		case mecid >= mechanisms:
			return fmt.Errorf("%w: subnet %d has %d mechanism%s", ErrNoSubnet, netuid, mechanisms, plural(int(mechanisms)))
		case uid >= int(size):
			return fmt.Errorf("%w: subnet %d has %d neurons, and no uid %d", ErrNoSubnet, netuid, size, uid)
		}
		first, last := 0, int(size)
		if uid >= 0 {
			first, last = uid, uid+1
		}
		var short error
		for u := first; u < last; u++ {
			row, ok, err := subtensor.ReadWeights(s, index, uint16(u))
			var hotkey verify.AccountID
			var b subtensor.Batch
			b.Key("Keys", subtensor.KeyKeys(netuid, uint16(u)), &hotkey)
			herr := b.Load(s)
			if short = unproven(unproven(short, err), herr); cmp.Or(err, herr) != nil {
				if err := cmp.Or(err, herr); !errors.Is(err, subtensor.ErrUnproven) {
					return err
				}
				continue
			}
			if !ok && uid < 0 {
				continue
			}
			r := WeightRow{UID: uint16(u), Hotkey: hotkey.String(), Weights: make([][2]uint16, len(row))}
			for i, w := range row {
				r.Weights[i] = [2]uint16{w.UID, w.Value}
			}
			if u < len(updates) {
				r.LastUpdate = updates[u]
			}
			if u < len(permits) {
				r.Permit = permits[u]
			}
			out.Rows = append(out.Rows, r)
		}
		return short
	})
	if err != nil {
		return nil, err
	}
	out.Block = StatusOf(b)
	return out, nil
}

// Epochs tells where a subnet stands in its epochs, after the finalized head. Errors are those of
// Commitments.
func (n *Node) Epochs(ctx context.Context, netuid uint16, assume uint32) (*EpochStatus, error) {
	l, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	q, err := n.question(l, netuid, 0, CommitmentsOptions{AssumeRules: assume})
	if err != nil {
		return nil, err
	}
	v, err := q.view(l.head.Header.Number)
	if err != nil {
		return nil, err
	}
	if !v.hyper.Exists {
		return nil, fmt.Errorf("%w: %d", ErrNoSubnet, netuid)
	}
	s := v.status(netuid, q.slot)
	return &s, nil
}

// Hyperparameters reads the settings of a subnet after the finalized head.
func (n *Node) Hyperparameters(ctx context.Context, netuid uint16) (*subtensor.Hyperparameters, BlockStatus, error) {
	var h *subtensor.Hyperparameters
	b, err := n.WithHead(ctx, func(s subtensor.State) (err error) {
		h, err = subtensor.ReadHyperparameters(s, netuid)
		return err
	})
	if err == nil && !h.Exists {
		err = fmt.Errorf("%w: %d", ErrNoSubnet, netuid)
	}
	if err != nil {
		return nil, BlockStatus{}, err
	}
	return h, StatusOf(b), nil
}

// Metagraph reads the table of a subnet's neurons. ErrNoSubnet if there is no such subnet,
// ErrUnknownRules unless the chain's rules at that block are audited or others are assumed, a
// PrunedError if no peer has that state.
func (n *Node) Metagraph(ctx context.Context, netuid uint16, o StateOptions) (*Metagraph, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return l.metagraph(netuid, o)
}

// Subnets reads all subnets of the chain; that they are all is proven too. Errors are those of
// Metagraph.
func (n *Node) Subnets(ctx context.Context, o StateOptions) (*Subnets, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return l.allSubnets(o)
}

// Subnet reads one subnet with its settings, as the only one of a Subnets. Errors are those of
// Metagraph.
func (n *Node) Subnet(ctx context.Context, netuid uint16, o StateOptions) (*Subnets, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return l.oneSubnet(netuid, o)
}

// Chain reads how much TAO there is, and holds the block to the rules of emission. Errors are those of
// Metagraph.
func (n *Node) Chain(ctx context.Context, o StateOptions) (*ChainStatus, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return l.chain(o)
}

// Account reads an address: its balance, what it has staked and to whom, and its neurons on all
// subnets. An address that the chain has nothing of is no error: that is proven too. Errors are those
// of Metagraph.
func (n *Node) Account(ctx context.Context, who verify.AccountID, o StateOptions) (*Account, error) {
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	return l.account(who, o)
}

// Epoch recomputes a Yuma epoch of a subnet from the proven states before and after its block, and
// compares what the chain stored: the last epoch that ran, or with number the one of that block.
// ErrUnknownRules unless the chain's rules are audited or others are assumed; a PrunedError if no peer has
// the states any more; epoch.ErrNoEpoch if no epoch of the subnet ran in that block.
func (n *Node) Epoch(ctx context.Context, netuid uint16, number *uint32, o StateOptions) (*epoch.Evidence, [2]BlockStatus, error) {
	var at [2]BlockStatus
	l, err := n.telling(ctx, o.Progress)
	if err != nil {
		return nil, at, err
	}
	e, err := l.epochAt(netuid, number)
	if err != nil {
		return nil, at, err
	}
	v, err := drand.NewVerifier(n.cfg.Checkpoint.Beacon())
	if err != nil {
		return nil, at, err
	}
	o.note("epoch of #%d of subnet %d", e, netuid)
	var out *epoch.Evidence
	before, after, err := l.withBoth(e-1, e, func(before, after subtensor.State) error {
		spec, err := subtensor.Spec(after)
		// Both states are asked at once, so that what they lack is fetched together.
		set, errRules := rulesOf(spec, o.AssumeRules)
		if err != nil {
			return err
		}
		if errRules != nil {
			return errRules
		}
		out, err = epoch.Read(before, after, netuid, uint64(e), set, v)
		return err
	}, o)
	if err != nil {
		return nil, at, err
	}
	return out, [2]BlockStatus{l.statusAt(before), l.statusAt(after)}, nil
}
