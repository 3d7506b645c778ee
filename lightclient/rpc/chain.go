package rpc

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

// headerJSON is a header as Substrate writes it.
type headerJSON struct {
	ParentHash     verify.Hash `json:"parentHash"`
	Number         string      `json:"number"`
	StateRoot      verify.Hash `json:"stateRoot"`
	ExtrinsicsRoot verify.Hash `json:"extrinsicsRoot"`
	Digest         struct {
		Logs []data `json:"logs"`
	} `json:"digest"`
}

func headerOf(h *verify.Header) *headerJSON {
	j := &headerJSON{ParentHash: h.ParentHash, Number: hexNumber(uint64(h.Number)), StateRoot: h.StateRoot, ExtrinsicsRoot: h.ExtrinsicsRoot}
	j.Digest.Logs = make([]data, len(h.Digest))
	for i := range h.Digest {
		j.Digest.Logs[i] = h.Digest[i].Append(nil)
	}
	return j
}

func hexNumber(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }

// parseNumber reads a block number: a JSON number, or hex in a string.
func parseNumber(raw json.RawMessage) (uint64, error) {
	s, base := string(raw), 10
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil {
			return 0, err
		}
		rest, ok := strings.CutPrefix(s, "0x")
		if !ok {
			return 0, invalid("%s is no block number: want a number, or hex beginning with 0x", strconv.Quote(s[:min(len(s), 80)]))
		}
		s, base = rest, 16
	}
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		return 0, invalid("%s is no block number", strconv.Quote(s[:min(len(s), 80)]))
	}
	return n, nil
}

// maxNumbers bounds the block numbers of one request.
const maxNumbers = 256

// blockHash is chain_getBlockHash: of the head, of a number or of each in a list.
func (c *call) blockHash() (any, error) {
	raw := c.raw(0)
	if raw == nil {
		h, err := c.heads()
		if err != nil {
			return nil, err
		}
		return c.head(h).Hash, nil
	}
	if raw[0] != '[' {
		return c.hashOf(raw)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, invalid("block numbers: %v", err)
	}
	if len(list) > maxNumbers {
		return nil, invalid("%d block numbers, at most %d", len(list), maxNumbers)
	}
	out := make([]any, len(list))
	for i := range list {
		var err error
		if out[i], err = c.hashOf(list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hashOf returns the hash of a block by its number: nil if there is no such block yet. One that is too old for
// its hash to be proven is an error.
func (c *call) hashOf(raw json.RawMessage) (any, error) {
	n, err := parseNumber(raw)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return c.s.cfg.Genesis, nil
	}
	h, err := c.heads()
	if err != nil {
		return nil, err
	}
	if n > uint64(h.Final.Header.Number) {
		if b, ok := above(h, n); ok && c.s.cfg.Best {
			return b.Hash, nil
		}
		return nil, nil
	}
	c.about = "#" + strconv.FormatUint(n, 10)
	b, err := c.s.cfg.Chain.Block(c.ctx, uint32(n))
	if err != nil {
		var pruned *lightclient.PrunedError
		if errors.As(err, &pruned) && pruned.Number != uint32(n) {
			// Clients look for a hash behind the text: that of the block whose state would tell.
			if last, berr := c.s.cfg.Chain.Block(c.ctx, pruned.Number); berr == nil {
				c.about = last.Hash.String()
			}
		}
		return nil, err
	}
	return b.Hash, nil
}

// above returns the block with a number that leads from the finalized to the best one.
func above(h *lightclient.Heads, number uint64) (lightclient.FinalBlock, bool) {
	at := h.Best
	for i := len(h.Tree) - 1; i >= 0 && uint64(at.Header.Number) > number; i-- {
		if h.Tree[i].Hash == at.Header.ParentHash {
			at = h.Tree[i]
		}
	}
	return at, uint64(at.Header.Number) == number
}

func (c *call) finalizedHead() (any, error) {
	h, err := c.heads()
	if err != nil {
		return nil, err
	}
	return h.Final.Hash, nil
}

func (c *call) header() (any, error) {
	at, err := c.at(0)
	if err != nil {
		return nil, err
	}
	return headerOf(at.Header), nil
}

func (c *call) block() (any, error) {
	at, err := c.at(0)
	if err != nil {
		return nil, err
	}
	body, err := c.body(at)
	if err != nil {
		return nil, err
	}
	list := make([]data, len(body))
	for i := range body {
		list[i] = body[i]
	}
	return map[string]any{
		"block":          map[string]any{"header": headerOf(at.Header), "extrinsics": list},
		"justifications": nil,
	}, nil
}

// body returns the extrinsics of a block, from what was fetched lately if it is there.
func (c *call) body(at lightclient.Located) ([][]byte, error) {
	key := answerKey("body", at.Hash, nil)
	if v := c.s.answers.get(key); v != nil {
		return v.list, nil
	}
	body, err := c.s.cfg.Chain.BodyIn(c.ctx, at)
	if err == nil {
		c.s.answers.put(key, &answer{list: body})
	}
	return body, err
}
