package fact

import (
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/internal/jsonfield"
)

func checkJustification(c *check) error {
	idName := "set_id_signed"
	if !c.Has(idName) && c.Has("set_id") {
		idName = "set_id"
	}
	c.Need("authorities", idName, "justification")
	id, _ := c.Uint(idName, 64)
	raw, _ := c.Raw("authorities")
	b, _ := c.Bytes("justification", grandpa.MaxJustificationSize)
	if err := c.read(); err != nil {
		return err
	}
	list, err := checkpoint.ParseAuthorities(raw)
	if err != nil {
		return fail("authorities", err)
	}
	set := &grandpa.AuthoritySet{ID: id, Authorities: list}
	j, err := grandpa.DecodeJustification(b)
	if err != nil {
		return fail("decode", err)
	}
	if err := c.number("number", uint64(j.Commit.TargetNumber), "block_number"); err != nil {
		return err
	}
	if err := c.bytes("hash", j.Commit.TargetHash[:], "block_hash"); err != nil {
		return err
	}
	if err := c.sameBlock(j.Commit.TargetHash, j.Commit.TargetNumber); err != nil {
		return err
	}
	if err := c.number("round", j.Round); err != nil {
		return err
	}
	if err := c.number("set_id", id); err != nil {
		return err
	}
	c.votes(j, set)
	// The error names its own place, "justification: precommit 7: …".
	if err := j.Verify(set); err != nil {
		return fail("verify", err)
	}
	return nil
}

// sameBlock checks that the record's header, if it has one, is the block that is proven.
func (c *check) sameBlock(hash verify.Hash, number uint32) error {
	h, err := c.header()
	if err != nil || h == nil {
		return err
	}
	if got := h.Hash(); got != hash || h.Number != number {
		return fail("header", fmt.Errorf("%w: header %d, %v, is not the block proven", grandpa.ErrTarget, h.Number, got))
	}
	return nil
}

// votes puts the count of distinct signers and what was needed in the verdict.
func (c *check) votes(j *grandpa.Justification, set *grandpa.AuthoritySet) {
	signers := make(map[grandpa.AuthorityID]bool)
	for i := range j.Commit.Precommits {
		signers[j.Commit.Precommits[i].ID] = true
	}
	var weight uint64
	for _, a := range set.Authorities {
		if signers[a.ID] {
			weight += a.Weight
		}
	}
	c.add("signers", uint64(len(signers)))
	c.add("voters", uint64(len(set.Authorities)))
	c.add("weight", weight)
	c.add("threshold", set.Threshold())
	c.add("ancestry", uint64(len(j.Ancestry)))
}

// checkWarp verifies a warp response from a checkpoint. The record's block_hash and block_number
// may be those of the checkpoint, as captures have them, or of the block proven; hash, number and
// set_id are those of the block proven.
func checkWarp(c *check) error {
	from, err := c.trustRoot()
	if err != nil {
		return err
	}
	start := from.Start()
	if start.Header == nil {
		return fail("checkpoint", checkpoint.ErrMismatch)
	}
	if from.Network != "" {
		c.add("network", from.Network)
	}
	c.add("from_number", uint64(from.Number))
	c.add("from_hash", from.Hash.String())
	c.add("from_set_id", start.Set.ID)
	if !c.Has("proof") {
		if err := c.read(); err != nil {
			return err
		}
		return lack("proof", fmt.Errorf("%w: the checkpoint agrees with itself, and there is no proof to check from it", ErrIncomplete))
	}
	b, _ := c.Bytes("proof", grandpa.MaxWarpProofSize)
	if err := c.read(); err != nil {
		return err
	}
	proof, err := grandpa.DecodeWarpProof(b)
	if err != nil {
		return fail("decode", err)
	}
	to, verified, err := proof.Verify(start)
	c.add("fragments", uint64(len(proof.Fragments)))
	c.add("verified", uint64(verified))
	c.add("finished", proof.Finished)
	if err != nil {
		// What came before the bad fragment is proven, but nobody asked for that.
		c.add("proven_number", uint64(to.Header.Number))
		return fail("verify", err)
	}
	if err := c.number("number", uint64(to.Header.Number)); err != nil {
		return err
	}
	if err := c.bytes("hash", to.Hash[:]); err != nil {
		return err
	}
	if err := c.number("set_id", to.Set.ID); err != nil {
		return err
	}
	c.add("authorities", uint64(len(to.Set.Authorities)))
	if hash, ok := c.Hash("block_hash"); ok && hash != to.Hash && hash != from.Hash {
		return fail("block_hash", fmt.Errorf("%w: neither the checkpoint nor the block proven", ErrMismatch))
	}
	if n, ok := c.Uint128("block_number"); ok && !n.Is(uint64(to.Header.Number)) && !n.Is(uint64(from.Number)) {
		return fail("block_number", fmt.Errorf("%w: neither the checkpoint nor the block proven", ErrMismatch))
	}
	return c.read()
}

// trustRoot reads the record's checkpoint, in any form of checkpoint.Parse, or takes the compiled-in
// one of its network.
func (c *check) trustRoot() (*checkpoint.Checkpoint, error) {
	raw, ok := c.Raw("checkpoint")
	if err := c.read(); err != nil {
		return nil, err
	}
	if !ok || string(raw) == "null" {
		if !c.Has("proof") {
			return nil, fail("input", fmt.Errorf("checkpoint: %w", jsonfield.ErrMissing))
		}
		root, err := checkpoint.Builtin(c.network())
		if err == nil {
			err = root.Ready()
		}
		if err != nil {
			return nil, lack("checkpoint", fmt.Errorf("%w: none stated, and %w", ErrIncomplete, err))
		}
		return root, nil
	}
	root, err := checkpoint.Parse(raw)
	if err != nil {
		return nil, fail("checkpoint", err)
	}
	if err := root.Ready(); err != nil {
		return nil, lack("checkpoint", fmt.Errorf("%w: %w", ErrIncomplete, err))
	}
	return root, nil
}
