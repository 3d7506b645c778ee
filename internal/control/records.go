package control

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// recordCheck proves the records of a store again, as a node does when it starts: the authority sets
// one from another from the checkpoint on, and the head by the set that they lead to. The records come
// in the order of storage: the head first, then the sets by their id.
type recordCheck struct {
	at      grandpa.Finalized // as far as the sets have led
	broken  error             // why they lead no further
	head    *checkpoint.State
	headErr error
}

func newRecordCheck(root *checkpoint.Checkpoint) *recordCheck {
	c := &recordCheck{}
	if err := root.Ready(); err != nil {
		c.broken = err
	} else {
		c.at = root.Start()
	}
	return c
}

// maxPart bounds a part of a record.
const maxPart = 2 << 20

func (c *recordCheck) verify(kind string, _, value []byte) error {
	switch kind {
	case "head":
		c.head, c.headErr = checkpoint.DecodeState(value)
		return c.headErr
	case "authority-sets":
		return c.set(value)
	case "headers":
		if len(value) < 32 {
			return scale.ErrShort
		}
		_, err := verify.DecodeHeader(value[32:])
		return err
	case "proofs":
		_, err := trie.DecodeProof(value)
		return err
	}
	return nil
}

func (c *recordCheck) set(value []byte) error {
	r := scale.NewReader(value)
	r.Blob(maxPart)
	header, justification := r.Blob(maxPart), r.Blob(maxPart)
	if err := r.Finish(); err != nil {
		return err
	}
	h, err := verify.DecodeHeader(header)
	if err != nil {
		return err
	}
	j, err := grandpa.DecodeJustification(justification)
	if err != nil {
		return err
	}
	if c.broken != nil || h.Number <= c.at.Header.Number {
		return nil // older than the checkpoint, or above one that is not known yet: not used either
	}
	next, _, err := fragment(h, j).Verify(c.at)
	if err != nil {
		c.broken = fmt.Errorf("set change at #%d: %w", h.Number, err)
		return err
	}
	c.at = next
	return nil
}

func fragment(h *verify.Header, j *grandpa.Justification) *grandpa.WarpProof {
	return &grandpa.WarpProof{Fragments: []grandpa.Fragment{{Header: h, Justification: j}}, Finished: true}
}

// finish proves the head.
func (c *recordCheck) finish() error {
	switch {
	case c.headErr != nil || c.head == nil:
		return nil // reported already, or none there
	case errors.Is(c.broken, checkpoint.ErrNoHeader), errors.Is(c.broken, checkpoint.ErrNoSet):
		return nil // nothing to prove from before the checkpoint's header has been fetched
	case c.broken != nil:
		return c.broken
	case c.at.Header.Number > c.head.Header.Number, c.at.Hash == c.head.Hash:
		return nil // the sets lead beyond it, or it is where they end
	}
	j, err := grandpa.DecodeJustification(c.head.Justification)
	if err == nil {
		_, _, err = fragment(c.head.Header, j).Verify(c.at)
	}
	if err != nil {
		return fmt.Errorf("head #%d is not proven from the checkpoint: %w", c.head.Header.Number, err)
	}
	return nil
}
