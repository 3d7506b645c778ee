package lightclient

import (
	"encoding/binary"
	"errors"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// The calls that reveal a hash commit (pallets/subtensor/src/macros/dispatches.rs), hard-coded because
// no metadata is at hand. They are looked for anywhere in an extrinsic, so that one wrapped in a proxy
// or a batch is found as well. A match decides nothing by itself: what is found has to be the preimage
// of a hash that is proven.
const (
	palletSubtensor       = 7
	callReveal            = 97  // netuid u16, uids, values, salt, version_key u64
	callBatchReveal       = 98  // netuid u16, the same four as vectors
	callRevealOfMechanism = 116 // netuid u16, mecid u8, as callReveal
)

// Bounds of what is taken for a call. A subnet has no more than 4096 uids, and a longer salt than
// this does not fit a preimage that anybody made on purpose.
const (
	maxRevealed     = 1 << 13
	maxBatchReveals = 64
	maxReveals      = 1024 // in one block
	maxTries        = 4096 // places in one block that look like the beginning of such a call
)

// A reveal is what one call reveals, of whoever signed it.
type reveal struct {
	index              uint16
	uids, values, salt []uint16
	version            uint64
}

// findReveals returns what the extrinsics of a block reveal, or try to.
func findReveals(extrinsics [][]byte) []reveal {
	var out []reveal
	tries := 0
	for _, x := range extrinsics {
		for i := 0; i+2 < len(x) && len(out) < maxReveals && tries < maxTries; i++ {
			if x[i] != palletSubtensor {
				continue
			}
			switch x[i+1] {
			case callReveal, callRevealOfMechanism:
				tries++
				if r, ok := readReveal(x[i+2:], x[i+1] == callRevealOfMechanism); ok {
					out = append(out, r)
				}
			case callBatchReveal:
				tries++
				out = append(out, readBatchReveal(x[i+2:])...)
			}
		}
	}
	return out
}

func u16s(r *scale.Reader) []uint16 {
	n := r.Count(2, maxRevealed)
	raw := make([]byte, 2*n)
	r.Copy(raw)
	if r.Err() != nil {
		return nil
	}
	out := make([]uint16, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return out
}

func readReveal(b []byte, mechanism bool) (reveal, bool) {
	r := scale.NewReader(b)
	netuid, mecid := r.U16(), uint8(0)
	if mechanism {
		mecid = r.Byte()
	}
	c := reveal{uids: u16s(r), values: u16s(r), salt: u16s(r)}
	c.version = r.U64()
	index, err := subtensor.Index(netuid, mecid)
	c.index = index
	return c, r.Err() == nil && err == nil
}

func readBatchReveal(b []byte) []reveal {
	r := scale.NewReader(b)
	index, err := subtensor.Index(r.U16(), 0)
	if err != nil {
		return nil
	}
	lists := func() (out [][]uint16) {
		for range r.Count(1, maxBatchReveals) {
			out = append(out, u16s(r))
		}
		return out
	}
	uids, values, salts := lists(), lists(), lists()
	n := r.Count(8, maxBatchReveals)
	out := make([]reveal, 0, n)
	if len(uids) != n || len(values) != n || len(salts) != n {
		r.Fail(errors.New("lists differ in length"))
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		out = append(out, reveal{index, uids[i], values[i], salts[i], r.U64()})
	}
	if r.Err() != nil {
		return nil
	}
	return out
}

// matching returns the call that reveals a hash commit, nil if there is none.
func matching(calls []reveal, hotkey verify.AccountID, index uint16, hash verify.Hash) *reveal {
	for i := range calls {
		c := &calls[i]
		if c.index == index && commit.HashOf(hotkey, index, c.uids, c.values, c.salt, c.version) == hash {
			return c
		}
	}
	return nil
}
