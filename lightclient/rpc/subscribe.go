package rpc

import (
	"bytes"
	"context"
	"slices"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

// headWord is one of the older subscriptions to headers.
type headWord struct {
	subscribe, unsubscribe string // names, the first is the usual one
	method                 string // of notifications
	what                   heads
}

type heads uint8

const (
	newHeads   heads = iota // each new best block
	finalHeads              // each block that becomes final
	allHeads                // each block
)

var headWords = []headWord{
	{"chain_subscribeNewHeads chain_subscribeNewHead subscribe_newHead", "chain_unsubscribeNewHeads chain_unsubscribeNewHead unsubscribe_newHead", "chain_newHead", newHeads},
	{"chain_subscribeFinalizedHeads chain_subscribeFinalisedHeads", "chain_unsubscribeFinalizedHeads chain_unsubscribeFinalisedHeads", "chain_finalizedHead", finalHeads},
	{"chain_subscribeAllHeads", "chain_unsubscribeAllHeads", "chain_allHead", allHeads},
}

// A walk leads a reader from head to head.
type walk struct {
	ctx  context.Context
	s    *Server
	now  *lightclient.Heads
	last *lightclient.Heads // before now; nil at the start
}

// next waits for other heads; false when the reader has left. Where the node has none yet it waits for them.
func (w *walk) next() bool {
	for {
		if w.now != nil {
			select {
			case <-w.now.Changed():
			case <-w.ctx.Done():
				return false
			}
		} else if w.s.cfg.Chain.WaitFinal(w.ctx) != nil {
			return false
		}
		h, err := w.s.cfg.Chain.Heads(w.ctx)
		if err != nil {
			return false // the node is ending
		}
		if h == w.now {
			continue
		}
		w.last, w.now = w.now, h
		return true
	}
}

// finalized returns the blocks that have become final since the last heads. whole is false if those in between are
// not held: finality has leapt, and the list is the newest block alone.
func (w *walk) finalized() (list []lightclient.FinalBlock, whole bool) {
	if w.last == nil {
		return []lightclient.FinalBlock{w.now.Final}, true
	}
	if w.last.Final.Hash == w.now.Final.Hash {
		return nil, true
	}
	i := slices.IndexFunc(w.now.Recent, func(b lightclient.FinalBlock) bool { return b.Hash == w.last.Final.Hash })
	if i < 0 {
		return []lightclient.FinalBlock{w.now.Final}, false
	}
	return w.now.Recent[i+1:], true
}

// best returns the blocks that lead to the best one from the one that was best, or from where both chains part.
func (w *walk) best() (list []lightclient.FinalBlock) {
	if w.last == nil {
		return []lightclient.FinalBlock{w.now.Best}
	}
	held := make(map[verify.Hash]lightclient.FinalBlock)
	for _, b := range w.now.Tree {
		held[b.Hash] = b
	}
	for i := len(w.now.Recent) - 1; i >= 0 && w.now.Recent[i].Header.Number >= w.last.Final.Header.Number; i-- {
		held[w.now.Recent[i].Hash] = w.now.Recent[i]
	}
	old := make(map[verify.Hash]bool)
	for _, b := range w.last.Tree {
		old[b.Hash] = true
	}
	for at := w.now.Best; at.Hash != w.last.Final.Hash && !old[at.Hash]; {
		list = append(list, at)
		b, ok := held[at.Header.ParentHash]
		if !ok {
			break
		}
		at = b
	}
	if len(list) == 0 && w.now.Best.Hash != w.last.Best.Hash { // another branch, whose blocks are known, is the best now
		list = append(list, w.now.Best)
	}
	slices.Reverse(list)
	return list
}

// fresh returns the blocks that were not held before, each after its parent.
func (w *walk) fresh() (list []lightclient.FinalBlock) {
	final, _ := w.finalized()
	if w.last == nil {
		return append(final, w.now.Tree...)
	}
	for _, b := range append(slices.Clone(final), w.now.Tree...) {
		if !slices.ContainsFunc(w.last.Tree, func(o lightclient.FinalBlock) bool { return o.Hash == b.Hash }) {
			list = append(list, b)
		}
	}
	return list
}

func (c *call) subscribeHeads(word headWord) (any, error) {
	s := c.s
	return c.subscribe(word.method, nil, func(sub *subscription) {
		w := walk{ctx: sub.ctx, s: s}
		for w.next() {
			var list []lightclient.FinalBlock
			switch {
			case word.what == finalHeads || !s.cfg.Best:
				list, _ = w.finalized()
			case word.what == newHeads:
				list = w.best()
			default:
				list = w.fresh()
			}
			for _, b := range list {
				if !sub.tell(headerOf(b.Header)) {
					return
				}
			}
		}
	})
}

// moved reports whether the head that is shown is another than before.
func (w *walk) moved() bool {
	switch {
	case w.last == nil:
		return true
	case w.s.cfg.Best:
		return w.last.Best.Hash != w.now.Best.Hash
	}
	return w.last.Final.Hash != w.now.Final.Hash
}

func (w *walk) head() lightclient.Located {
	c := call{s: w.s}
	return c.head(w.now)
}

// maxWatched bounds the keys of a state_subscribeStorage, which are read at every head.
const maxWatched = 1024

func (c *call) subscribeStorage() (any, error) {
	keys, err := c.keyList(0)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 || len(keys) > maxWatched {
		return nil, invalid("%d keys: want 1 to %d", len(keys), maxWatched)
	}
	s := c.s
	return c.subscribe("state_storage", nil, func(sub *subscription) {
		w := walk{ctx: sub.ctx, s: s}
		var hashes []verify.Hash // of the values as they were told; zero: absent
		for w.next() {
			if !w.moved() {
				continue
			}
			at := w.head()
			values, err := s.readQuietly(sub.ctx, at, keys)
			if err != nil {
				continue // it is read again at the next head; what was told is still what was so
			}
			changed := values[:0:0]
			next := make([]verify.Hash, len(values))
			for i, v := range values {
				if b := valueOf(v); b != nil {
					next[i] = verify.Blake2b256(b)
				}
				if hashes == nil || next[i] != hashes[i] {
					changed = append(changed, v)
				}
			}
			hashes = next
			if len(changed) > 0 && !sub.tell(changesOf(at.Hash, changed)) {
				return
			}
		}
	})
}

// readQuietly reads for a subscription, within the limits of all that is worked on.
func (s *Server) readQuietly(ctx context.Context, at lightclient.Located, keys [][]byte) ([]lightclient.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.cfg.Chain.ReadIn(ctx, at, keys...)
}

// subscribeRuntimeVersion tells the version at once, and again when a block says that the code is another.
func (c *call) subscribeRuntimeVersion() (any, error) {
	s := c.s
	return c.subscribe("state_runtimeVersion", nil, func(sub *subscription) {
		w := walk{ctx: sub.ctx, s: s}
		var told []byte
		due := true
		for w.next() {
			due = due || w.upgraded()
			if !due || !w.moved() {
				continue
			}
			ctx, cancel := context.WithTimeout(sub.ctx, s.cfg.Timeout)
			v, _, err := s.cfg.Chain.VersionIn(ctx, w.head())
			cancel()
			if err != nil {
				continue // it is due still, at the next head
			}
			due = false
			b, err := encode(versionOf(&v))
			if err != nil {
				return
			}
			if bytes.Equal(b, told) {
				continue
			}
			if told = b; !sub.tell(versionOf(&v)) {
				return
			}
		}
	})
}

// upgraded reports whether the code may be another than at the last heads.
func (w *walk) upgraded() bool {
	list, whole := w.finalized()
	if w.s.cfg.Best {
		list = w.fresh()
	}
	return !whole || slices.ContainsFunc(list, func(b lightclient.FinalBlock) bool { return b.Header.RuntimeUpdated() })
}
