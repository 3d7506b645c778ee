package fact

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/internal/jsonfield"
	"github.com/taolight/taolight/verify/scale"
)

// defaultNetwork is meant where neither the record nor the caller names one.
const defaultNetwork = "finney"

// network returns the network that the record is about, by its canonical name.
func (c *check) network() string {
	name, ok := c.Text("network")
	if !ok {
		name = c.opts.Network
	}
	if name == "" {
		name = defaultNetwork
	}
	return checkpoint.Canonical(name)
}

// header reads the record's header: header_scale, or header in JSON-RPC form (or as SCALE), or the
// header of a checkpoint that stands alone. It returns nil if there is none. Two forms in one record
// have to agree.
func (c *check) header() (*verify.Header, error) {
	var h *verify.Header
	set := func(name string, next *verify.Header, err error) error {
		if err != nil {
			return fail(name, err)
		}
		if h != nil && h.Hash() != next.Hash() {
			return fail(name, fmt.Errorf("%w: it is of block %v, header_scale of %v", ErrMismatch, next.Hash(), h.Hash()))
		}
		h = next
		return nil
	}
	if b, ok := c.Bytes("header_scale", verify.MaxHeaderSize); ok {
		next, err := verify.DecodeHeader(b)
		if err := set("header_scale", next, err); err != nil {
			return nil, err
		}
	}
	if raw, ok := c.Raw("header"); ok && string(raw) != "null" {
		next, err := headerRPC(raw)
		if err := set("header", next, err); err != nil {
			return nil, err
		}
	}
	if err := c.read(); err != nil || h != nil {
		return h, err
	}
	if sub, ok := c.Object.Object("checkpoint"); ok {
		b, ok := sub.Bytes("finalizedBlockHeader", verify.MaxHeaderSize)
		if err := sub.Err(); err != nil {
			return nil, fail("input", fmt.Errorf("checkpoint: %w", err))
		}
		if ok {
			next, err := verify.DecodeHeader(b)
			if err := set("finalizedBlockHeader", next, err); err != nil {
				return nil, err
			}
		}
	}
	return h, c.read()
}

// headerRPC reads a header as JSON-RPC gives it: {parentHash, number, stateRoot, extrinsicsRoot,
// digest: {logs: [hex of one digest item each]}}, or as the hex of its SCALE encoding.
func headerRPC(raw []byte) (*verify.Header, error) {
	if raw[0] == '"' {
		b, err := jsonfield.Bytes(raw, verify.MaxHeaderSize)
		if err != nil {
			return nil, err
		}
		return verify.DecodeHeader(b)
	}
	o, err := jsonfield.Parse(raw)
	if err != nil {
		return nil, err
	}
	o.Need("parentHash", "number", "stateRoot", "extrinsicsRoot", "digest")
	parent, _ := o.Hash("parentHash")
	number, _ := o.Uint("number", 32)
	state, _ := o.Hash("stateRoot")
	extrinsics, _ := o.Hash("extrinsicsRoot")
	digest, ok := o.Object("digest")
	if !ok {
		return nil, o.Err()
	}
	digest.Need("logs")
	logs, _ := digest.Elements("logs", verify.MaxDigestItems)
	if err := digest.Err(); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	b := append([]byte(nil), parent[:]...)
	b = scale.AppendCompact(b, number)
	b = append(append(b, state[:]...), extrinsics[:]...)
	b = scale.AppendCompact(b, uint64(len(logs)))
	for i, l := range logs {
		item, err := jsonfield.Bytes(l, verify.MaxHeaderSize-len(b))
		if err == nil && len(item) == 0 {
			err = scale.ErrShort
		}
		if err != nil {
			return nil, fmt.Errorf("digest: logs: %d: %w", i, err)
		}
		b = append(b, item...)
	}
	return verify.DecodeHeader(b)
}

// block puts number and hash of h in the verdict and compares them with what the record states.
func (c *check) block(h *verify.Header) error {
	if err := c.number("number", uint64(h.Number), "block_number"); err != nil {
		return err
	}
	hash := h.Hash()
	return c.bytes("hash", hash[:], "block_hash")
}

func checkHeader(c *check) error {
	h, err := c.header()
	if err != nil {
		return err
	}
	if h == nil {
		return fail("input", fmt.Errorf("header_scale: %w", jsonfield.ErrMissing))
	}
	network := c.network()
	c.add("network", network)
	if err := c.block(h); err != nil {
		return err
	}
	slot, err := aura.Slot(h)
	if err != nil {
		return fail("slot", err)
	}
	if err := c.number("slot", slot); err != nil {
		return err
	}
	seal := h.PreSealHash()
	if err := c.bytes("pre_seal_hash", seal[:]); err != nil {
		return err
	}
	list, err := c.auraList(network, h.Number)
	if err != nil {
		return err
	}
	author, err := aura.VerifySeal(h, list)
	if err != nil {
		return fail("seal", err)
	}
	if err := c.number("author_index", uint64(author)); err != nil {
		return err
	}
	c.add("author", list[author].String())
	return c.announced(h)
}

// auraList returns the list that the record states for its network, or the compiled-in one for the
// height.
func (c *check) auraList(network string, number uint32) ([]aura.AuthorityID, error) {
	raw, ok := c.Raw("aura_authorities")
	if err := c.read(); err != nil {
		return nil, err
	}
	if ok && string(raw) != "null" {
		list, err := statedAura(raw, network)
		if err != nil {
			return nil, fail("aura_authorities", err)
		}
		if list != nil {
			c.add("authorities_from", "input")
			return list, nil
		}
	}
	c.add("authorities_from", "built-in")
	n, err := checkpoint.ByName(network)
	if errors.Is(err, checkpoint.ErrUnknownNetwork) {
		return nil, lack("aura_authorities", fmt.Errorf("%w: no list stated, and %w", ErrIncomplete, err))
	}
	if err != nil {
		return nil, fail("aura_authorities", err)
	}
	list, ok := n.AuraAuthorities(number)
	if !ok {
		return nil, lack("aura_authorities", fmt.Errorf("%w: no list stated, and none compiled in for block %d of %s", ErrIncomplete, number, network))
	}
	return list, nil
}

// statedAura reads a list, or the network's list in an object of lists by network (nil if it is
// not in there).
func statedAura(raw []byte, network string) ([]aura.AuthorityID, error) {
	if raw[0] != '{' {
		return checkpoint.ParseAura(raw)
	}
	var list []aura.AuthorityID
	err := jsonfield.Members(raw, func(name string, value json.RawMessage) error {
		if checkpoint.Canonical(name) != network {
			return nil
		}
		if list != nil {
			return fmt.Errorf("%s: %w", network, jsonfield.ErrDuplicate)
		}
		var err error
		list, err = checkpoint.ParseAura(value)
		return err
	})
	return list, err
}

// announced puts the lists that h announces in the verdict: they are for its children.
func (c *check) announced(h *verify.Header) error {
	list, err := aura.AuthoritiesChange(h)
	if err != nil {
		return fail("announced Aura list", err)
	}
	if list != nil {
		ids := make([]string, len(list))
		for i, id := range list {
			ids[i] = id.String()
		}
		c.add("announced_aura", ids)
	}
	change, err := grandpa.ScheduledChange(h)
	if err != nil {
		return fail("announced GRANDPA set", err)
	}
	if change != nil {
		ids := make([]string, len(change.Next))
		for i, a := range change.Next {
			ids[i] = a.ID.String()
		}
		c.add("announced_grandpa", ids)
	}
	return nil
}
