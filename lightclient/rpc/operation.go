package rpc

import (
	"bytes"
	"context"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

// Bounds of chainHead_v1_storage: items of one request, and what is told at once of all below a key.
const (
	maxItems  = 1024
	pageItems = 256
)

func (c *call) followBody() (any, error) {
	f, at, err := c.pinnedBlock()
	if err != nil {
		return nil, err
	}
	if f == nil {
		return limitReached, nil
	}
	return c.begin(f, func(ctx context.Context, _ *operation, tell func(event) bool) error {
		k := call{ctx: ctx, s: c.s}
		body, err := k.body(at)
		if err == nil {
			tell(event{"event": "operationBodyDone", "value": hexList(body)})
		}
		return err
	})
}

func (c *call) followCall() (any, error) {
	f, at, err := c.pinnedBlock()
	if err != nil {
		return nil, err
	}
	if f == nil {
		return limitReached, nil
	}
	method, input, err := c.runtimeCall(2)
	if err != nil {
		return nil, err
	}
	c.method = method
	return c.begin(f, func(ctx context.Context, _ *operation, tell func(event) bool) error {
		k := call{ctx: ctx, s: c.s}
		out, err := k.execute(at, method, input)
		if err == nil {
			tell(event{"event": "operationCallDone", "output": data(out)})
		}
		return err
	})
}

// item is one of those that chainHead_v1_storage is asked for.
type item struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Start string `json:"paginationStartKey"`

	key, start []byte
}

func (c *call) followStorage() (any, error) {
	f, at, err := c.pinnedBlock()
	if err != nil {
		return nil, err
	}
	if f == nil {
		return limitReached, nil
	}
	var items []item
	if err := c.read(2, "items", &items); err != nil {
		return nil, err
	}
	if c.raw(3) != nil {
		return nil, invalid("child tries are not read here")
	}
	for i := range items {
		it := &items[i]
		if it.key, err = parseBytes(it.Key); err == nil {
			it.start, err = parseBytes(it.Start)
		}
		below := it.Type == "descendantsValues" || it.Type == "descendantsHashes"
		if err != nil || len(it.key) > maxKeySize || len(it.start) > maxKeySize || !below && len(it.key) == 0 {
			return nil, invalid("item %d: want keys of 1 to %d bytes in hex", i+1, maxKeySize)
		}
		switch it.Type {
		case "value", "hash", "closestDescendantMerkleValue", "descendantsValues", "descendantsHashes":
		default:
			return nil, invalid("item %d: no type %q", i+1, it.Type)
		}
	}
	discarded := 0
	if n := len(items) - maxItems; n > 0 {
		discarded, items = n, items[:maxItems]
	}
	answer, err := c.begin(f, func(ctx context.Context, o *operation, tell func(event) bool) error {
		r := reading{c.s.cfg.Chain, ctx, at, o, tell}
		if err := r.single(items); err != nil {
			return err
		}
		if err := r.closest(items); err != nil {
			return err
		}
		first := true
		for _, it := range items {
			if it.Type == "descendantsValues" || it.Type == "descendantsHashes" {
				if err := r.below(it, &first); err != nil {
					return err
				}
			}
		}
		tell(event{"event": "operationStorageDone"})
		return nil
	})
	if m, ok := answer.(map[string]any); ok && m["result"] == "started" {
		m["discardedItems"] = discarded
	}
	return answer, err
}

// A reading carries out one chainHead_v1_storage.
type reading struct {
	chain Chain
	ctx   context.Context
	at    lightclient.Located
	o     *operation
	tell  func(event) bool
}

// single answers the items that ask for one key each. What is absent is left out.
func (r *reading) single(items []item) error {
	var keys [][]byte
	var hashed []bool
	for _, it := range items {
		if it.Type == "value" || it.Type == "hash" {
			keys, hashed = append(keys, it.key), append(hashed, it.Type == "hash")
		}
	}
	if len(keys) == 0 {
		return nil
	}
	list, err := r.read(keys, func(i int) bool { return hashed[i] })
	if err == nil && len(list) > 0 {
		r.tell(event{"event": "operationStorageItems", "items": list})
	}
	return err
}

// closest answers the items that ask how the trie commits to all that begins with a key.
func (r *reading) closest(items []item) error {
	var list []any
	for _, it := range items {
		if it.Type != "closestDescendantMerkleValue" {
			continue
		}
		merkle, err := r.chain.ClosestIn(r.ctx, r.at, it.key)
		if err != nil {
			return err
		}
		if merkle != nil {
			list = append(list, map[string]any{"key": data(it.key), "closestDescendantMerkleValue": data(merkle)})
		}
	}
	if len(list) > 0 {
		r.tell(event{"event": "operationStorageItems", "items": list})
	}
	return nil
}

func (r *reading) read(keys [][]byte, hashed func(i int) bool) (list []any, err error) {
	values, err := r.chain.ReadIn(r.ctx, r.at, keys...)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		b := valueOf(v)
		switch {
		case b == nil:
		case hashed(i):
			list = append(list, map[string]any{"key": data(v.Key), "hash": verify.Blake2b256(b)})
		default:
			list = append(list, map[string]any{"key": data(v.Key), "value": data(b)})
		}
	}
	return list, nil
}

// below answers an item that asks for all below a key, page by page: the next one when the client wants it.
func (r *reading) below(it item, first *bool) error {
	start := it.start
	if len(start) == 0 {
		start = nil
	}
	// Keys above one are asked for, and the item itself is one of those below its key.
	for {
		keys, err := r.chain.KeysIn(r.ctx, r.at, it.key, start, pageItems)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			if !*first {
				if !r.tell(event{"event": "operationWaitingForContinue"}) {
					return nil
				}
				select {
				case <-r.o.more:
				case <-r.ctx.Done():
					return r.ctx.Err()
				}
			}
			*first = false
			list, err := r.read(keys, func(int) bool { return it.Type == "descendantsHashes" })
			if err != nil {
				return err
			}
			if !r.tell(event{"event": "operationStorageItems", "items": list}) {
				return nil
			}
			start = bytes.Clone(keys[len(keys)-1])
		}
		if len(keys) < pageItems {
			return nil
		}
	}
}
