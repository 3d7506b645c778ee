package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
	"github.com/taolight/taolight/verify/scale"
)

// Transactions of nodes that have no peer of the chain. One goes out as a parcel, and whoever has such peers
// carries it to them and sends the proof of what became of it back on the same topic. A node holds both for
// neighbours that come later: parcels until a block can hold them no more, results for a while.
const (
	maxHeld     = 64
	maxHeldSize = 1 << 20
	resultFor   = 600              // blocks that a result is held
	askHeldTime = time.Minute      // how often one neighbour is asked while a transaction of ours is out
	carryTime   = 20 * time.Second // for the chain's runtime to be asked
	maxAnswer   = 256 << 10        // bytes of what is held, in one answer
)

// A Courier takes the transactions of others to the chain.
type Courier interface {
	// Carry is given a parcel whose signature holds. near says that it came from this machine, a carrier or a
	// neighbour of a private network. It returns an error if the chain would not take it; nil says nothing
	// about whether it was sent.
	Carry(ctx context.Context, p *extrinsic.Parcel, near bool) error
}

// held is a message for neighbours that come later.
type held struct {
	id      verify.Hash
	message []byte
	of      []verify.Hash // transactions
	parcel  bool
	own     bool // handed in here
	until   uint32
}

func heldProtocol(genesis verify.Hash) protocol.ID {
	return protocol.ID(prefix(genesis) + "transactions/1")
}

// carry hands a parcel to the courier, if there is one.
func (n *Node) carry(ctx context.Context, p *extrinsic.Parcel, near bool) error {
	if n.cfg.Courier == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, carryTime)
	defer cancel()
	return n.cfg.Courier.Carry(ctx, p, near)
}

// near reports whether a neighbour is on a network of our own.
func (n *Node) near(id peer.ID) bool {
	for _, c := range n.cfg.Host.Network().ConnsToPeer(id) {
		if ip, ok := ipOf(c.RemoteMultiaddr()); ok && isPrivate(ip) {
			return true
		}
	}
	return false
}

// hold keeps a message of the topic for neighbours that come later.
func (n *Node) hold(j Judgement, message []byte, own bool) {
	h := held{id: j.ID, message: slices.Clone(message), own: own}
	switch {
	case j.Parcel != nil:
		h.parcel, h.until, h.of = true, j.Parcel.Last(), []verify.Hash{j.Parcel.Hash()}
	case j.Bundle != nil:
		for _, c := range j.Bundle.Claims {
			if c, ok := c.(bundle.IncludedClaim); ok {
				h.of, h.until = append(h.of, c.Hash), max(h.until, c.Block+resultFor)
			}
		}
	}
	head := uint32(0)
	if t := n.gate.Trust(); t != nil && t.Head != nil {
		head = t.Head.Number
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.parcel && slices.ContainsFunc(n.held, func(o held) bool { return !o.parcel && slices.Contains(o.of, h.of[0]) }) {
		return
	}
	size := len(h.message)
	n.held = slices.DeleteFunc(n.held, func(o held) bool {
		if o.until <= head || o.parcel && !h.parcel && slices.Contains(h.of, o.of[0]) {
			return true // over, or what became of it is here now
		}
		size += len(o.message)
		return false
	})
	for len(n.held) > 0 && (len(n.held) >= maxHeld || size > maxHeldSize) {
		i := slices.IndexFunc(n.held, func(o held) bool { return !o.own })
		i = max(i, 0)
		size -= len(n.held[i].message)
		n.held = slices.Delete(n.held, i, i+1)
	}
	n.held = append(n.held, h)
	n.holding++
}

// out reports whether a transaction that was handed in here waits for what becomes of it.
func (n *Node) out() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.held, func(h held) bool { return h.own && h.parcel })
}

// askHeld asks a neighbour for what it holds.
func (n *Node) askHeld(ctx context.Context, id peer.ID) {
	n.mu.Lock()
	request := scale.AppendCompact(nil, uint64(len(n.held)))
	for _, h := range n.held {
		request = append(request, h.id[:]...)
	}
	n.mu.Unlock()
	b, err := exchange(ctx, n.cfg.Host, id, heldProtocol(n.cfg.Genesis), request, maxAnswer+maxHeld*4)
	if err != nil {
		return // it is of another version, or not at our disposal
	}
	r := scale.NewReader(b)
	list := make([][]byte, r.Count(1, maxHeld))
	for i := range list {
		list[i] = r.Blob(MaxMessage)
	}
	if err := r.Finish(); err != nil {
		n.note("%s answered with what is no list of transactions: %v", shortID(id), err)
		n.drop(id)
		return
	}
	for _, m := range list {
		switch n.judge(ctx, id, Transactions, m) {
		case Reject:
			n.drop(id)
			return
		case Accept:
			n.emit(ctx, publish{Transactions, m, 0, make(chan error, 1)})
		}
	}
}

// answerHeld answers with what is held and not in the request.
func (n *Node) answerHeld(_ peer.ID, request []byte) ([]byte, bool) {
	r := scale.NewReader(request)
	known := make(map[verify.Hash]bool)
	for range r.Count(32, maxHeld) {
		var id verify.Hash
		r.Copy(id[:])
		known[id] = true
	}
	if r.Finish() != nil {
		return nil, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var list [][]byte
	size := 0
	for _, h := range n.held {
		if size += len(h.message); !known[h.id] && size <= maxAnswer {
			list = append(list, h.message)
		}
	}
	b := scale.AppendCompact(nil, uint64(len(list)))
	for _, m := range list {
		b = scale.AppendBlob(b, m)
	}
	return b, true
}

// Limits on parcels: of one neighbour, and of one account that signs. Anybody can make accounts, and only the
// chain knows which have anything to pay with.
const (
	senderEvery, senderBurst = 10.0, 8 // seconds for one more
	signerEvery, signerBurst = 60.0, 4
	maxAccounts              = 1024
	aheadBlocks              = 64 // that an era may begin above our head
)

// may takes one from an account, or reports that it is used up.
func may(accounts map[string]*bucket, key string, now time.Time, every, burst float64) bool {
	b := accounts[key]
	if b == nil {
		if len(accounts) >= maxAccounts {
			for k, old := range accounts {
				if old.left+now.Sub(old.at).Seconds()/every >= burst {
					delete(accounts, k)
				}
			}
		}
		if b = new(bucket); len(accounts) >= maxAccounts {
			return false
		}
		accounts[key] = b
	}
	b.fill(now, 1/every, burst)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// judgeParcel judges a transaction as far as it can be without state: its form, era and signature.
func (g *Gate) judgeParcel(now time.Time, peer string, t *Trust, message []byte, j *Judgement) (Verdict, error) {
	if !bytesBegin(message, extrinsic.Magic) {
		return Ignore, fmt.Errorf("parcel: %w", bundle.ErrVersion) // a newer node may know it
	}
	p, err := extrinsic.Decode(message)
	if err != nil {
		return Reject, err
	}
	if p.Genesis != g.genesis {
		return Reject, bundle.ErrNetwork
	}
	// The same transaction in another parcel, with another number for its birth, is no news.
	hash := p.Hash()
	id := named(Transactions, hash[:])
	g.mu.Lock()
	known := g.known[id]
	g.mu.Unlock()
	switch {
	case known:
		return Ignore, ErrKnown
	case p.Last() <= t.Head.Number:
		return Ignore, fmt.Errorf("%w: #%d was the last that could hold it", ErrStale, p.Last())
	case p.Birth > t.Head.Number+aheadBlocks:
		return Ignore, ErrAhead
	}
	if ours, ok := t.at(p.Birth); ok && ours != p.BirthHash {
		return Ignore, fmt.Errorf("%w: its era begins with another block", ErrUndecided)
	}
	g.mu.Lock()
	ok := peer == "" || may(g.senders, peer, now, senderEvery, senderBurst)
	g.mu.Unlock()
	j.Work = workSignature
	if !ok || !g.charge(now, peer, j.Work) {
		return Ignore, ErrBusy
	}
	if err := p.Verify(); err != nil {
		return Reject, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !may(g.signers, string(p.From[:]), now, signerEvery, signerBurst) { // after its signature: nobody else can use it up
		return Ignore, ErrBusy
	}
	g.remember(id)
	j.Parcel = p
	return Accept, nil
}

func bytesBegin(b []byte, with string) bool {
	return len(b) >= len(with) && string(b[:len(with)]) == with
}

// again hands a parcel that came before to the courier once more, because whoever runs the node asks for it.
func (n *Node) again(ctx context.Context, message []byte) error {
	p, err := extrinsic.Decode(message)
	if err == nil {
		err = p.Verify()
	}
	if err != nil {
		return err
	}
	return errors.Join(ErrKnown, n.carry(ctx, p, true))
}
