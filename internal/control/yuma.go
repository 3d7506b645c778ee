package control

import (
	"context"
	"errors"
	"math"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/yuma"
)

// A YumaQuestion asks for an epoch of a subnet to be recomputed.
type YumaQuestion struct {
	Netuid      uint16  `json:"netuid"`
	Block       *uint32 `json:"block,omitempty"`   // of the epoch; nil: the last that ran
	Explain     *uint16 `json:"explain,omitempty"` // a uid whose intermediate values are wanted
	Matrices    bool    `json:"matrices,omitempty"`
	AssumeRules uint32  `json:"assume_rules,omitempty"`
}

// Yuma is what `yuma --json` prints: an epoch that was recomputed from the state before its block, and
// compared with the state after it.
type Yuma struct {
	Schema   int                     `json:"schema"`
	Network  string                  `json:"network"`
	Demo     bool                    `json:"demo"`
	Joined   bool                    `json:"joined_for_this_question"`
	Netuid   uint16                  `json:"netuid"`
	Block    uint64                  `json:"epoch_block"`
	Before   lightclient.BlockStatus `json:"before"`
	After    lightclient.BlockStatus `json:"after"`
	Rules    string                  `json:"rules"`
	Assumed  bool                    `json:"rules_assumed"`
	Ahead    uint32                  `json:"specs_ahead_of_audit"` // how far the chain is ahead of what was audited
	Finding  string                  `json:"finding"`              // "equal", "differs", "undecidable"
	Neurons  int                     `json:"neurons"`
	Rao      uint64                  `json:"emission_rao"` // of alpha, handed out by this epoch
	Arrays   []YumaArray             `json:"arrays"`
	Excluded []uint16                `json:"excluded_uids"` // registered in the block, after its epoch
	Reveals  int                     `json:"reveals"`       // timelocked commitments that the block opened first
	Explain  []YumaStep              `json:"explain,omitempty"`
	Matrices []YumaMatrices          `json:"matrices,omitempty"` // by mechanism, if they were asked for
}

// YumaMatrices are what goes into the consensus of a mechanism, and the bonds that come of it, as they
// were computed. Shares are of 65535, cut.
type YumaMatrices struct {
	Weights   []YumaRow `json:"weights"`   // that count, each row's sum being one
	Consensus []uint16  `json:"consensus"` // by uid
	Bonds     []YumaRow `json:"bonds"`     // after the epoch
}

// A YumaRow is what one validator has in others; only those that have anything are listed.
type YumaRow struct {
	UID uint16      `json:"uid"`
	Row [][2]uint16 `json:"row"` // uid and share
}

// A YumaArray is one storage item that the epoch wrote.
type YumaArray struct {
	Name    string     `json:"name"`
	Mecid   *int       `json:"mecid"` // null: one for all mechanisms
	Finding string     `json:"finding"`
	Why     string     `json:"why,omitempty"`
	Count   int        `json:"differing_cells"`
	Cells   []YumaCell `json:"cells,omitempty"` // the first of them
}

// A YumaCell is one that is not as it was computed.
type YumaCell struct {
	UID    uint16 `json:"uid"`
	Target *int   `json:"target"` // of Bonds: the uid that the bond is in; else null
	Chain  string `json:"chain"`
	Ours   string `json:"ours"`
	Step   string `json:"step,omitempty"` // the first step of the computation that nothing stored confirms
}

// A YumaStep is one intermediate value for the uid that was to be explained, as raw I32F32: 2^32 is one.
type YumaStep struct {
	Mecid int        `json:"mecid"`
	Name  string     `json:"name"`
	Raw   *int64     `json:"raw,omitempty"`
	Row   [][2]int64 `json:"row,omitempty"` // uid and raw value
}

// Yuma implements Answerer.
func (l *Local) Yuma(ctx context.Context, q YumaQuestion) (*Yuma, error) {
	o := lightclient.StateOptions{AssumeRules: q.AssumeRules, Progress: func(line string) { report(ctx, line) }}
	e, at, err := l.Node.Epoch(ctx, q.Netuid, q.Block, o)
	if errors.Is(err, epoch.ErrNoEpoch) {
		return nil, Errorf(Failure, "%w", err)
	}
	if err != nil {
		return nil, l.whyNot(ctx, err)
	}
	v := e.Verdict()
	out := &Yuma{
		Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Netuid: q.Netuid, Block: e.Block,
		Before: at[0], After: at[1], Rules: e.Rules.String(), Assumed: e.Rules.Assumed(), Finding: v.Finding().String(),
		Neurons: len(e.Hotkeys), Rao: v.Rao, Arrays: []YumaArray{}, Excluded: append([]uint16{}, v.Excluded...), Reveals: len(e.Reveals),
	}
	if e.Rules.Actual > rules.Ceiling {
		out.Ahead = e.Rules.Actual - rules.Ceiling
	}
	for _, a := range v.Arrays {
		y := YumaArray{Name: a.Name, Finding: a.Finding.String(), Why: a.Why, Count: a.Count}
		if a.Mecid >= 0 {
			y.Mecid = &a.Mecid
		}
		for _, c := range a.Cells {
			cell := YumaCell{UID: c.UID, Chain: c.Chain, Ours: c.Ours, Step: c.Step}
			if c.Target >= 0 {
				cell.Target = &c.Target
			}
			y.Cells = append(y.Cells, cell)
		}
		out.Arrays = append(out.Arrays, y)
	}
	if q.Explain != nil {
		if int(*q.Explain) >= len(e.Hotkeys) {
			return nil, Errorf(Failure, "subnet %d has %d neurons, and no uid %d", q.Netuid, len(e.Hotkeys), *q.Explain)
		}
		for mecid, t := range v.Traces {
			out.Explain = append(out.Explain, explain(mecid, t, int(*q.Explain))...)
		}
	}
	if q.Matrices {
		for mecid, t := range v.Traces {
			out.Matrices = append(out.Matrices, matricesOf(t, v.Mechanisms[mecid]))
		}
	}
	return out, nil
}

func matricesOf(t *yuma.Trace, o *yuma.Outputs) YumaMatrices {
	out := YumaMatrices{Weights: []YumaRow{}, Consensus: append([]uint16{}, o.Consensus...), Bonds: []YumaRow{}}
	if m, ok := t.Matrix("weights"); ok {
		for uid := range m.Rows() {
			r := YumaRow{UID: uint16(uid)}
			for _, c := range m.Row(uid) {
				if share := uint16(min(max(c.Value, 0), yuma.OneI32F32) * math.MaxUint16 >> 32); share > 0 {
					r.Row = append(r.Row, [2]uint16{c.UID, share})
				}
			}
			if r.Row != nil {
				out.Weights = append(out.Weights, r)
			}
		}
	}
	for uid, row := range o.Bonds {
		r := YumaRow{UID: uint16(uid)}
		for _, w := range row {
			if w.Value > 0 {
				r.Row = append(r.Row, [2]uint16{w.UID, w.Value})
			}
		}
		if r.Row != nil {
			out.Bonds = append(out.Bonds, r)
		}
	}
	return out
}

// explain returns what a trace holds for one uid, in the order of the computation.
func explain(mecid int, t *yuma.Trace, uid int) []YumaStep {
	var steps []YumaStep
	vectors, matrices := t.Names()
	for _, name := range vectors {
		if v, ok := t.Vector(name); ok && uid < len(v) {
			raw := int64(v[uid])
			steps = append(steps, YumaStep{Mecid: mecid, Name: name, Raw: &raw})
		}
	}
	for _, name := range matrices {
		m, ok := t.Matrix(name)
		if !ok || uid >= m.Rows() {
			continue
		}
		row := [][2]int64{}
		for _, c := range m.Row(uid) {
			row = append(row, [2]int64{int64(c.UID), int64(c.Value)})
		}
		steps = append(steps, YumaStep{Mecid: mecid, Name: name, Row: row})
	}
	return steps
}

// Yuma asks the other process.
func (c *Client) Yuma(ctx context.Context, q YumaQuestion) (*Yuma, error) {
	return call[Yuma](ctx, c, methodYuma, q)
}
