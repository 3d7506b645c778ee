package lightclient

import (
	"cmp"
	"context"
	"slices"
)

// Heads is what a node holds of the chain at one moment, for any number of readers: it is not changed once it
// is handed out.
type Heads struct {
	Final  FinalBlock
	Best   FinalBlock   // the highest sealed block; Final if none is above it
	Recent []FinalBlock // finalized blocks in a row, ascending; the last is Final
	Tree   []FinalBlock // sealed blocks above Final that may still be replaced, each after its parent

	changed chan struct{}
}

// Changed is closed when the node has other heads to show. So a reader needs no place in a list of the node's, is
// not waited for, and when it is slow sees the newest heads next.
func (h *Heads) Changed() <-chan struct{} { return h.changed }

// Heads returns the heads of now; ErrNotFinal until the node has caught up.
func (n *Node) Heads(ctx context.Context) (*Heads, error) {
	if h := n.heads.Load(); h != nil {
		return h, nil
	}
	if !n.call(ctx, func() {
		n.headsAsked = true
		n.tellHeads()
	}) {
		return nil, n.ended(ctx)
	}
	if h := n.heads.Load(); h != nil {
		return h, nil
	}
	return nil, ErrNotFinal
}

// tellHeads runs in the loop: it hands out other heads if there are any, from the first time on that somebody
// has asked.
func (n *Node) tellHeads() {
	c := n.sync.Chain()
	if !n.headsAsked || c == nil || !n.sync.warp.caughtUp {
		return
	}
	last, final, best := n.heads.Load(), c.Finalized(), c.Best()
	if last != nil && last.Final.Hash == final.Hash && last.Best.Hash == best.Hash && len(last.Tree) == c.Len() {
		return
	}
	h := &Heads{Final: FinalBlock{final.Header, final.Hash}, Best: best, changed: make(chan struct{})}
	if last != nil && last.Final.Hash == final.Hash {
		h.Recent = last.Recent
	} else {
		h.Recent = slices.Clone(c.recent)
	}
	tree := make([]*block, 0, c.Len())
	for _, b := range c.blocks {
		tree = append(tree, b)
	}
	slices.SortFunc(tree, func(a, b *block) int { return cmp.Compare(a.header.Number, b.header.Number) })
	h.Tree = make([]FinalBlock, len(tree))
	for i, b := range tree {
		h.Tree[i] = FinalBlock{b.header, b.hash}
	}
	n.heads.Store(h)
	if last != nil {
		close(last.changed)
	}
}
