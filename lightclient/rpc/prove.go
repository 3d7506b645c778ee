package rpc

import (
	"bytes"
	"errors"
	"slices"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
)

// proven is an answer with what proves it: a bundle, which `taolight verify` judges with no network.
type proven struct {
	Number uint32      `json:"number"`
	Block  verify.Hash `json:"block"`
	Trust  string      `json:"trust"` // "finalized"
	Result any         `json:"result"`
	Bundle data        `json:"bundle"`
}

// finalAt is at for what is to be carried away: of a block that may be replaced there is no bundle.
func (c *call) finalAt(i int) (lightclient.Located, error) {
	if c.raw(i) == nil {
		h, err := c.heads()
		if err != nil {
			return lightclient.Located{}, err
		}
		c.about = h.Final.Hash.String()
		return lightclient.Located{FinalBlock: h.Final, Final: true}, nil
	}
	at, err := c.at(i)
	if err == nil && !at.Final {
		err = errors.New("a bundle is of a finalized block, and this one may still be replaced")
	}
	return at, err
}

func (c *call) prove(at lightclient.Located, result any, claim bundle.Claim) (any, error) {
	x, err := c.s.cfg.Chain.Prove(c.ctx, []bundle.Claim{claim}, lightclient.ProveOptions{})
	if err != nil {
		return nil, err
	}
	return &proven{at.Header.Number, at.Hash, "finalized", result, x.Encode()}, nil
}

func (c *call) proveHeader() (any, error) {
	at, err := c.finalAt(0)
	if err != nil {
		return nil, err
	}
	return c.prove(at, headerOf(at.Header), bundle.HeaderClaim{Number: at.Header.Number})
}

// proveStorage is state_queryStorageAt with its proof.
func (c *call) proveStorage() (any, error) {
	keys, err := c.keyList(0)
	if err == nil && len(keys) == 0 {
		err = invalid("no keys")
	}
	if err != nil {
		return nil, err
	}
	at, err := c.finalAt(1)
	if err != nil {
		return nil, err
	}
	values, err := c.s.cfg.Chain.ReadIn(c.ctx, at, keys...)
	if err != nil {
		return nil, err
	}
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, bytes.Compare)
	sorted = slices.CompactFunc(sorted, bytes.Equal)
	return c.prove(at, changesOf(at.Hash, values), bundle.StorageClaim{Number: at.Header.Number, Keys: sorted})
}

// proveCall is state_call with its proof, which has the code by its hash.
func (c *call) proveCall() (any, error) {
	name, input, err := c.runtimeCall(0)
	if err != nil {
		return nil, err
	}
	at, err := c.finalAt(2)
	if err != nil {
		return nil, err
	}
	c.method = name
	select {
	case c.s.calls <- struct{}{}:
		defer func() { <-c.s.calls }()
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
	x, r, err := c.s.cfg.Chain.ProveCall(c.ctx, name, input, &at.Header.Number, false, lightclient.ProveOptions{})
	if err != nil {
		return nil, err
	}
	return &proven{at.Header.Number, at.Hash, "finalized", data(r.Output), x.Encode()}, nil
}
