package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/gossip"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// A herald tells other light nodes facts that this one has proven, and takes theirs: evidence of the watched
// subnets, what became of transactions, and from time to time the newest pulse, by which a node without a clock or
// an internet knows how late it is at least.
type herald struct {
	node *lightclient.Node
	talk *talk
	pool *tx.Pool
	ctx  context.Context // of the instance
	next atomic.Uint32   // block at which a pulse is due; 0: not known yet
}

// pulseEvery is how many blocks lie between two pulses that are told, by whoever comes first.
const pulseEvery = 300

// pulseTime bounds the reading of one.
const pulseTime = time.Minute

// fact takes what was proven on a topic, for gossip.Config.
func (h *herald) fact(k gossip.Kind, x *bundle.Bundle) {
	switch k {
	case gossip.Commitments:
		h.node.Hear(h.ctx, x)
	case gossip.Pulses:
		if at := h.next.Load(); at != 0 { // somebody has told one
			h.next.CompareAndSwap(at, at+pulseEvery)
		}
	case gossip.Transactions:
		for _, c := range x.Claims {
			if c, ok := c.(bundle.IncludedClaim); ok {
				for _, b := range x.AllHeaders() {
					if b.Number == c.Block {
						go h.pool.Heard(h.ctx, c, b.Hash()) // it may look an error's name up
					}
				}
			}
		}
	}
}

// shown tells evidence of watched subnets, for lightclient.Config.
func (h *herald) shown(messages [][]byte) {
	if n := h.talk.node.Load(); n != nil {
		n.Share(messages)
	}
}

// moved looks whether a pulse is due at a new head. It does not wait.
func (h *herald) moved(st *lightclient.Standing) {
	head := st.Head.Number
	n := h.talk.node.Load()
	if at := h.next.Load(); n == nil || head < at || n.Level() != gossip.Full || !h.node.Linked() {
		return
	} else if h.next.Store(head + pulseEvery); at == 0 { // not at once: who starts has other things to do
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(h.ctx, pulseTime)
		defer cancel()
		if p, ok := h.pulse(ctx, head); ok {
			x := &bundle.Bundle{Genesis: h.node.Genesis(), Pulses: []drand.Pulse{p}, Claims: []bundle.Claim{bundle.PulseClaim{Round: p.Round}}}
			n.Share([][]byte{x.Encode()})
		}
	}()
}

// pulse reads the newest pulse that the chain has.
func (h *herald) pulse(ctx context.Context, number uint32) (p drand.Pulse, ok bool) {
	r, err := h.node.ReadAt(ctx, number, subtensor.KeyValue("LastStoredRound"))
	if err != nil || len(r.Values) != 1 || len(r.Values[0].Value) != 8 {
		return p, false
	}
	round := scale.NewReader(r.Values[0].Value).U64()
	if r, err = h.node.ReadAt(ctx, number, subtensor.KeyPulse(round)); err != nil || len(r.Values) != 1 {
		return p, false
	}
	stored, err := drand.DecodeStored(r.Values[0].Value)
	if err != nil {
		return p, false
	}
	p, err = stored.Pulse()
	return p, err == nil
}
