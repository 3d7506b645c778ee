package fact

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/trie"
)

// Our bounds on a storage proof and on a block. A proof as a peer sends it has at most 16 MiB, a
// block of this chain at most 10 MiB.
const (
	maxProofSize  = trie.MaxProofSize
	maxNodes      = 1 << 19
	maxKeys       = 4096
	maxKeySize    = 4096
	maxExtrinsics = 1 << 16
	maxBlockSize  = 16 << 20
)

func checkProof(c *check) error {
	root, err := c.stateRoot()
	if err != nil {
		return err
	}
	nodes, err := c.nodes()
	if err != nil {
		return err
	}
	keys, wants, err := c.keys()
	if err != nil {
		return err
	}
	c.add("nodes", uint64(len(nodes)))
	p, err := trie.NewProof(root, nodes)
	if err != nil {
		return fail("proof", err)
	}
	found := make([]Key, 0, len(keys))
	var missing error
	lacking := 0
	for i, key := range keys {
		value, o, err := p.Get(key)
		if err != nil {
			return fail(fmt.Sprintf("key %d", i), err)
		}
		k := Key{Key: hexText(key), Outcome: o.String()}
		if o == trie.Present {
			k.Value = hexText(value)
		}
		found = append(found, k)
		switch {
		case o == trie.Incomplete:
			if lacking++; lacking <= misfitKeys {
				if err := misfit(p, nodes, key); err != nil {
					c.add("keys", found)
					return fail(fmt.Sprintf("key %d", i), err)
				}
			}
			if missing == nil {
				missing = lack(fmt.Sprintf("key %d", i), fmt.Errorf("%w: %w: a node on the path of %s, or its value, is missing", ErrIncomplete, trie.ErrIncomplete, clipHex(key)))
			}
		case wants != nil:
			if err := wants[i].compare(value, o); err != nil {
				c.add("keys", found)
				return fail(fmt.Sprintf("key %d", i), err)
			}
		}
	}
	c.add("keys", found)
	return missing
}

// stateRoot reads the root to prove against. A header gives it, and has to have the stated hash.
func (c *check) stateRoot() (verify.Hash, error) {
	root, ok := c.Hash("state_root")
	h, err := c.header()
	if err != nil {
		return root, err
	}
	if h == nil {
		if !ok {
			return root, fail("input", fmt.Errorf("state_root: %w", jsonfield.ErrMissing))
		}
		c.add("state_root", root.String())
		return root, c.read()
	}
	if err := c.block(h); err != nil {
		return root, err
	}
	if ok && root != h.StateRoot {
		return root, fail("state_root", fmt.Errorf("%w: the header has %v", ErrMismatch, h.StateRoot))
	}
	c.add("state_root", h.StateRoot.String())
	return h.StateRoot, nil
}

// nodes reads the proof: a list of nodes, or the SCALE Vec<Vec<u8>> of a response.
func (c *check) nodes() ([][]byte, error) {
	c.Need("proof")
	raw, _ := c.Raw("proof")
	if err := c.read(); err != nil {
		return nil, err
	}
	if raw[0] == '"' {
		b, err := jsonfield.Bytes(raw, maxProofSize)
		if err != nil {
			return nil, fail("input", fmt.Errorf("proof: %w", err))
		}
		nodes, err := trie.DecodeProof(b)
		return nodes, fail("proof", err)
	}
	return c.blobs("proof", maxNodes, maxProofSize)
}

// blobs reads a list of hex.
func (c *check) blobs(name string, count, size int) ([][]byte, error) {
	items, _ := c.Elements(name, count)
	if err := c.read(); err != nil {
		return nil, err
	}
	out := make([][]byte, len(items))
	for i, item := range items {
		b, err := jsonfield.Bytes(item, size)
		if err != nil {
			return nil, fail("input", fmt.Errorf("%s: %d: %w", name, i, err))
		}
		size -= len(b)
		out[i] = b
	}
	return out, nil
}

// A want is what the record states about a key: a value, or null for "absent".
type want struct {
	value  []byte
	absent bool
}

func (w want) compare(value []byte, o trie.Outcome) error {
	switch {
	case w.absent && o == trie.Present:
		return fmt.Errorf("%w: stated absent, proven present", ErrMismatch)
	case !w.absent && o == trie.Absent:
		return fmt.Errorf("%w: stated present, proven absent", ErrMismatch)
	case o == trie.Present && !bytes.Equal(w.value, value):
		return fmt.Errorf("%w: value %s stated, %s proven", ErrMismatch, clipHex(w.value), clipHex(value))
	}
	return nil
}

// keys reads key or keys, and value or values if they are stated.
func (c *check) keys() ([][]byte, []want, error) {
	var keys [][]byte
	values := "value"
	if c.Has("keys") {
		list, err := c.blobs("keys", maxKeys, maxKeys*maxKeySize)
		if err != nil {
			return nil, nil, err
		}
		keys, values = list, "values"
	}
	var items []json.RawMessage
	if key, ok := c.Bytes("key", maxKeySize); ok {
		if keys != nil {
			return nil, nil, fail("input", fmt.Errorf("%w: both key and keys", jsonfield.ErrDuplicate))
		}
		keys = [][]byte{key}
		if raw, ok := c.Raw("value"); ok {
			items = []json.RawMessage{raw}
		}
	} else if c.Has(values) {
		items, _ = c.Elements(values, maxKeys)
	}
	if err := c.read(); err != nil {
		return nil, nil, err
	}
	if len(keys) == 0 {
		return nil, nil, fail("input", fmt.Errorf("key: %w", jsonfield.ErrMissing))
	}
	if items == nil {
		return keys, nil, nil
	}
	if len(items) != len(keys) {
		return nil, nil, fail("input", fmt.Errorf("%s: %w: %d for %d keys", values, ErrInput, len(items), len(keys)))
	}
	wants := make([]want, len(items))
	for i, item := range items {
		if wants[i].absent = string(item) == "null"; wants[i].absent {
			continue
		}
		var err error
		if wants[i].value, err = jsonfield.Bytes(item, maxProofSize); err != nil {
			return nil, nil, fail("input", fmt.Errorf("%s: %d: %w", values, i, err))
		}
	}
	return keys, wants, nil
}

func checkExtrinsics(c *check) error {
	c.Need("extrinsics")
	root, ok := c.Hash("extrinsics_root")
	h, err := c.header()
	if err != nil {
		return err
	}
	if h != nil {
		if err := c.block(h); err != nil {
			return err
		}
		if ok && root != h.ExtrinsicsRoot {
			return fail("extrinsics_root", fmt.Errorf("%w: the header has %v", ErrMismatch, h.ExtrinsicsRoot))
		}
		root, ok = h.ExtrinsicsRoot, true
	}
	if err := c.read(); err != nil {
		return err
	}
	if !ok {
		return fail("input", fmt.Errorf("header_scale: %w", jsonfield.ErrMissing))
	}
	list, err := c.blobs("extrinsics", maxExtrinsics, maxBlockSize)
	if err != nil {
		return err
	}
	c.add("extrinsics", uint64(len(list)))
	c.add("extrinsics_root", root.String())
	if got := trie.OrderedRoot(list); got != root {
		return fail("root", fmt.Errorf("%w: these extrinsics have root %v", ErrMismatch, got))
	}
	return nil
}
