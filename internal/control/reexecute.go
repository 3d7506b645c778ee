package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify/epoch"
)

// A ReexecuteQuestion asks for an epoch of a subnet to be executed by the chain's own code.
type ReexecuteQuestion struct {
	Netuid uint16  `json:"netuid"`
	Block  *uint32 `json:"block,omitempty"` // of the epoch; nil: the last that ran
}

// Reexecuted is what `yuma --by-runtime --json` prints.
type Reexecuted struct {
	Schema   int                     `json:"schema"`
	Network  string                  `json:"network"`
	Demo     bool                    `json:"demo"`
	Joined   bool                    `json:"joined_for_this_question"`
	Netuid   uint16                  `json:"netuid"`
	Block    uint32                  `json:"epoch_block"`
	Before   lightclient.BlockStatus `json:"before"`
	After    lightclient.BlockStatus `json:"after"`
	CodeHash string                  `json:"code_hash"` // of the state before: what computed the epoch
	Spec     uint32                  `json:"spec_version"`
	Finding  string                  `json:"finding"` // "equal", "differs"
	Arrays   []YumaArray             `json:"arrays"`
	Excluded []uint16                `json:"excluded_uids"` // registered in the block, after its epoch
	Nodes    int                     `json:"proof_nodes"`   // of the state before
	Proof    int                     `json:"proof_bytes"`
	Peers    int                     `json:"peers"`     // that gave a proof of the call
	OnDemand int                     `json:"on_demand"` // keys that had to be asked for beside it
}

// maxCells is how many differing cells of an array are named.
const maxCells = 10

// Reexecute implements Answerer.
func (l *Local) Reexecute(ctx context.Context, q ReexecuteQuestion) (*Reexecuted, error) {
	r, err := l.Node.Reexecute(ctx, q.Netuid, q.Block, lightclient.StateOptions{Progress: func(line string) { report(ctx, line) }})
	switch {
	case errors.Is(err, epoch.ErrNoEpoch), errors.Is(err, lightclient.ErrNotRun):
		return nil, Errorf(Failure, "%w", err)
	case err != nil:
		return nil, l.noRuntime(ctx, err)
	}
	out := &Reexecuted{
		Schema: Schema, Network: l.Checkpoint.Network, Demo: l.Demo, Joined: l.Joined, Netuid: q.Netuid, Block: r.After.Header.Number,
		Before: lightclient.StatusOf(r.Before), After: lightclient.StatusOf(r.After), CodeHash: r.Code.String(), Spec: r.Version.Spec,
		Finding: epoch.Differs.String(), Arrays: []YumaArray{}, Excluded: append([]uint16{}, r.Fresh...),
		Nodes: r.Nodes, Proof: r.Bytes, Peers: r.Peers, OnDemand: r.OnDemand,
	}
	if r.Equal() {
		out.Finding = epoch.Equal.String()
	}
	for i := range r.Arrays {
		a := &r.Arrays[i]
		mecid := int(a.Mecid)
		if n := len(out.Arrays); a.Row <= 0 || n == 0 || out.Arrays[n-1].Name != a.Name { // rows of bonds go together
			out.Arrays = append(out.Arrays, YumaArray{Name: a.Name, Mecid: &mecid, Finding: epoch.Equal.String()})
		}
		y := &out.Arrays[len(out.Arrays)-1]
		if !a.Written && len(a.Cells) > 0 {
			y.Why = "the code does not write it in this block"
		}
		for _, c := range a.Cells {
			y.Finding, y.Count = epoch.Differs.String(), y.Count+1
			if c.UID < 0 {
				y.Why = fmt.Sprintf("it has %d entries on chain, %d by the code", c.Chain, c.Ours)
				continue
			}
			cell := YumaCell{UID: uint16(c.UID), Chain: fmt.Sprint(c.Chain), Ours: fmt.Sprint(c.Ours)}
			if a.Row >= 0 {
				target := c.UID
				cell.UID, cell.Target = uint16(a.Row), &target
			}
			if len(y.Cells) < maxCells {
				y.Cells = append(y.Cells, cell)
			}
		}
	}
	return out, nil
}
