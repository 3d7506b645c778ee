package rpc

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
)

// Our own limits on one chainHead_v1_follow; the specification asks for as much as is bearable. A client that
// unpins what it has done with holds a few blocks.
const (
	maxPinned     = 512
	maxOperations = 16
)

// A follow is one chainHead_v1_follow: blocks in order, each after its parent, and those that are pinned. With
// finalized blocks only (Config.Best is not set), a block is reported new, best and finalized in one go.
type follow struct {
	withRuntime bool

	mu         sync.Mutex
	sub        *subscription
	pinned     map[verify.Hash]lightclient.Located
	operations map[string]*operation
	count      int // of operations begun
}

// event is what chainHead_v1_followEvent tells; which fields there are depends on the event.
type event map[string]any

func (c *call) follow() (any, error) {
	f := &follow{pinned: make(map[verify.Hash]lightclient.Located), operations: make(map[string]*operation)}
	if c.raw(0) != nil {
		if err := c.read(0, "withRuntime", &f.withRuntime); err != nil {
			return nil, err
		}
	}
	s := c.s
	return c.subscribe("chainHead_v1_followEvent", f, func(sub *subscription) {
		f.mu.Lock()
		f.sub = sub
		f.mu.Unlock()
		f.run(s, sub)
	})
}

// run follows the chain until the client leaves, or until there is a gap in what can be told.
func (f *follow) run(s *Server, sub *subscription) {
	w := walk{ctx: sub.ctx, s: s}
	told := make(map[verify.Hash]uint32) // blocks that were told and are not final yet
	best := verify.Hash{}
	for w.next() {
		h := w.now
		tree, head := h.Tree, h.Best
		if !s.cfg.Best {
			tree, head = nil, h.Final
		}
		final, whole := w.finalized()
		if !whole {
			sub.tell(event{"event": "stop"})
			return
		}
		if w.last == nil {
			if !f.pin(h.Final, true) {
				return
			}
			e := event{"event": "initialized", "finalizedBlockHashes": []verify.Hash{h.Final.Hash}}
			if f.withRuntime {
				e["finalizedBlockRuntime"] = s.runtimeOf(sub.ctx, h.Final, true)
			}
			if !sub.tell(e) {
				return
			}
			final = nil
		}
		for _, b := range append(slices.Clone(final), tree...) {
			isFinal := b.Header.Number <= h.Final.Header.Number
			if _, ok := told[b.Hash]; ok {
				if isFinal {
					f.settle(b)
				}
				continue
			}
			if !f.pin(b, isFinal) {
				sub.tell(event{"event": "stop"})
				return
			}
			told[b.Hash] = b.Header.Number
			e := event{"event": "newBlock", "blockHash": b.Hash, "parentBlockHash": b.Header.ParentHash}
			if f.withRuntime {
				e["newRuntime"] = nil
				if b.Header.RuntimeUpdated() {
					e["newRuntime"] = s.runtimeOf(sub.ctx, b, isFinal)
				}
			}
			if !sub.tell(e) {
				return
			}
		}
		if head.Hash != best {
			best = head.Hash
			if !sub.tell(event{"event": "bestBlockChanged", "bestBlockHash": best}) {
				return
			}
		}
		if len(final) == 0 {
			continue
		}
		hashes := make([]verify.Hash, len(final))
		for i, b := range final {
			hashes[i] = b.Hash
			delete(told, b.Hash)
		}
		pruned := []verify.Hash{}
		for hash := range told {
			if !slices.ContainsFunc(tree, func(b lightclient.FinalBlock) bool { return b.Hash == hash }) {
				pruned = append(pruned, hash)
				delete(told, hash)
			}
		}
		if !sub.tell(event{"event": "finalized", "finalizedBlockHashes": hashes, "prunedBlockHashes": pruned}) {
			return
		}
	}
}

// pin holds a block for the client; false if it holds too many.
func (f *follow) pin(b lightclient.FinalBlock, final bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pinned) >= maxPinned {
		return false
	}
	f.pinned[b.Hash] = lightclient.Located{FinalBlock: b, Final: final}
	return true
}

// settle notes that a block is final, if it is held still.
func (f *follow) settle(b lightclient.FinalBlock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.pinned[b.Hash]; ok {
		f.pinned[b.Hash] = lightclient.Located{FinalBlock: b, Final: true}
	}
}

// runtimeOf is a runtime as chainHead_v1 tells of it: its apis are an object there.
func (s *Server) runtimeOf(ctx context.Context, b lightclient.FinalBlock, final bool) any {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	v, _, err := s.cfg.Chain.VersionIn(ctx, lightclient.Located{FinalBlock: b, Final: final})
	if err != nil {
		return map[string]any{"type": "invalid", "error": err.Error()}
	}
	return map[string]any{"type": "valid", "spec": specOf(&v)}
}

func specOf(v *runtime.Version) any {
	apis := make(map[string]uint32, len(v.APIs))
	for _, a := range v.APIs {
		b, _ := data(a.ID[:]).MarshalJSON()
		apis[string(b[1:len(b)-1])] = a.Version
	}
	return map[string]any{
		"specName": v.SpecName, "implName": v.ImplName, "specVersion": v.Spec, "implVersion": v.Impl,
		"transactionVersion": v.Transaction, "apis": apis,
	}
}

// following returns the follow subscription that the first parameter names; nil if it is none, or dead, which is
// no error: the client may not have read yet that it has stopped.
func (c *call) following() (*follow, error) {
	id, err := c.subscriptionID()
	if err != nil {
		return nil, err
	}
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if s := c.conn.subs[id]; s != nil && s.follow != nil {
		return s.follow, nil
	}
	return nil, nil
}

// pinnedBlock returns the follow subscription and the block that the second parameter names; no follow and no
// error if the subscription is dead.
func (c *call) pinnedBlock() (f *follow, at lightclient.Located, err error) {
	if f, err = c.following(); f == nil || err != nil {
		return nil, at, err
	}
	hash, err := c.hash(1)
	if err == nil && hash == nil {
		err = invalid("parameter 2: hash is missing")
	}
	if err != nil {
		return nil, at, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.pinned[*hash]
	if !ok {
		return nil, at, &Error{Code: codeUnpinned, Message: "Invalid block hash", Data: hash.String() + " is not pinned"}
	}
	c.about = hash.String()
	return f, at, nil
}

func (c *call) unfollow() (any, error) {
	id, err := c.subscriptionID()
	if err == nil {
		c.conn.drop(id)
	}
	return nil, err
}

func (c *call) followHeader() (any, error) {
	f, at, err := c.pinnedBlock()
	if f == nil || err != nil {
		return nil, err
	}
	return data(at.Header.Encode()), nil
}

// followUnpin lets go of one block or several; of none if one is not pinned.
func (c *call) followUnpin() (any, error) {
	f, err := c.following()
	if f == nil || err != nil {
		return nil, err
	}
	raw := c.raw(1)
	var list []string
	if len(raw) > 0 && raw[0] == '[' {
		err = c.read(1, "hashes", &list)
	} else {
		list = make([]string, 1)
		err = c.read(1, "hash", &list[0])
	}
	if err != nil {
		return nil, err
	}
	hashes := make(map[verify.Hash]bool, len(list))
	for _, s := range list {
		h, err := parseHash(s)
		if err != nil {
			return nil, err
		}
		if hashes[h] {
			return nil, &Error{Code: codeDuplicate, Message: "Duplicate block hash", Data: h.String()}
		}
		hashes[h] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for h := range hashes {
		if _, ok := f.pinned[h]; !ok {
			return nil, &Error{Code: codeUnpinned, Message: "Invalid block hash", Data: h.String() + " is not pinned"}
		}
	}
	for h := range hashes {
		delete(f.pinned, h)
	}
	return nil, nil
}

// An operation is something that a follow subscription waits for.
type operation struct {
	id     string
	cancel context.CancelFunc
	more   chan struct{} // a token: chainHead_v1_continue
}

var limitReached = map[string]any{"result": "limitReached"}

// begin starts an operation, whose run begins when the client has been told its id.
func (c *call) begin(f *follow, run func(ctx context.Context, o *operation, tell func(event) bool) error) (any, error) {
	f.mu.Lock()
	sub := f.sub
	if sub == nil || len(f.operations) >= maxOperations {
		f.mu.Unlock()
		return limitReached, nil
	}
	f.count++
	o := &operation{id: strconv.Itoa(f.count), more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(sub.ctx)
	o.cancel = cancel
	f.operations[o.id] = o
	f.mu.Unlock()
	s := c.s
	about, method := c.about, c.method
	c.after = func() {
		sub.conn.wg.Add(1)
		go func() {
			defer sub.conn.wg.Done()
			defer cancel()
			tell := func(e event) bool {
				e["operationId"] = o.id
				return ctx.Err() == nil && sub.tell(e)
			}
			err := s.within(ctx, func(ctx context.Context) error { return run(ctx, o, tell) })
			f.mu.Lock()
			delete(f.operations, o.id)
			f.mu.Unlock()
			if err == nil || ctx.Err() != nil {
				return
			}
			if e := errorOf(err, about, method); e.Code == codeServer {
				tell(event{"event": "operationInaccessible"})
			} else {
				tell(event{"event": "operationError", "error": e.Message})
			}
		}()
	}
	return map[string]any{"result": "started", "operationId": o.id}, nil
}

// within runs f within the limits of all that is worked on.
func (s *Server) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return f(ctx)
}

// ongoing returns the operation that the second parameter names; nil if there is none.
func (c *call) ongoing() (*operation, error) {
	f, err := c.following()
	if f == nil || err != nil {
		return nil, err
	}
	var raw json.RawMessage
	if err := c.read(1, "operation", &raw); err != nil {
		return nil, err
	}
	var id string
	if json.Unmarshal(raw, &id) != nil {
		id = string(raw)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.operations[id], nil
}

func (c *call) followStop() (any, error) {
	o, err := c.ongoing()
	if o != nil {
		o.cancel()
	}
	return nil, err
}

func (c *call) followContinue() (any, error) {
	o, err := c.ongoing()
	if o != nil {
		select {
		case o.more <- struct{}{}:
		default:
		}
	}
	return nil, err
}
