package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// newBusy returns a chain of whose blocks 103 and 104 have extrinsics, eighty of them in 103.
func newBusy(t testing.TB) *corpus {
	c := &corpus{chain: newChain(t, "busy", 100, 20)}
	sealed(c.headers[0])
	c.bodies = map[uint32][][]byte{}
	c.to(102)
	for i := range 80 {
		c.bodies[103] = append(c.bodies[103], scale.AppendBlob(nil, bytes.Repeat([]byte{4, byte(i)}, 5+3*i)))
	}
	// By the words of frame_system: phase, event, topics.
	record := func(index uint32, event ...byte) []byte {
		return append(append(scale.AppendU32([]byte{0}, index), event...), 0)
	}
	module := []byte{0, 1, 3, 7, 5, 0, 0, 0, 0x42, 0x91, 0, 0} // ExtrinsicFailed, with its weight
	c.put(verify.StorageKey("System", "Events"), slices.Concat([]byte{5 << 2},
		record(2, 0, 0, 0x91, 1, 0, 0),
		record(3, 6, 0, 9, 9, 9), // another pallet
		record(3, module...),
		record(70, 0, 1, 2, 0x91, 1, 0, 0),
		record(1, 6, 0, 0, 4, 0, 0, 0, 0, 1, 3, 7, 5, 0, 0, 0), // holds the words of a failure of 4
		record(4, 0, 0, 0x91, 1, 0, 0)))
	c.to(103)
	c.bodies[104] = [][]byte{scale.AppendBlob(nil, bytes.Repeat([]byte{4, 7}, 60))}
	c.del(verify.StorageKey("System", "Events"))
	c.to(106)
	return c
}

func (c *corpus) included(block, index uint32, end End, e ...byte) IncludedClaim {
	if len(e) == 0 {
		e = nil
	}
	return IncludedClaim{Block: block, Index: index, Hash: verify.Blake2b256(c.bodies[block][index]), End: end, Error: e}
}

// proving returns the bundle of another claim about the same extrinsics, with the nodes of x.
func (c *corpus) proving(x *Bundle, claim IncludedClaim) []byte {
	return alter(x, func(x *Bundle) { x.Claims = []Claim{claim} })
}

func includedVectors(c *corpus, add addFunc) {
	const at = "busy-100"
	short := func(i int) string { return verify.Blake2b256(c.bodies[103][i]).Short() }
	is := func(i int) string {
		return fmt.Sprintf("included  transaction %s is extrinsic %d of block #103", short(i), i)
	}
	ok, failed := c.included(103, 2, Succeeded), c.included(103, 3, Failed, 3, 7, 5, 0, 0, 0)
	good, bad := c.make(100, 106, ok), c.make(100, 106, failed)
	add("ok-included", "ok", at, "ok    "+is(2)+", and succeeded", "An extrinsic of a block below the final one, and its event.", good.Encode())
	add("ok-included-failed", "ok", at, "ok    "+is(3)+", and failed: error 5 of pallet 7", "One that failed with an error of a pallet.", bad.Encode())
	add("ok-included-failed-origin", "ok", at, "ok    "+is(70)+", and failed: BadOrigin", "One that failed with an error of a byte, of an index in two bytes.", c.make(100, 106, c.included(103, 70, Failed, 2)).Encode())
	add("ok-included-only", "ok", at, "ok    "+is(5), "How it ended is not said: no event is needed.", c.make(100, 106, c.included(103, 5, Unsaid)).Encode())
	add("not-included-hash", "failed", at, fmt.Sprintf("FAIL  included  transaction %s is extrinsic 2 of block #103: extrinsics: not so: extrinsic 2 of block #103 is %s", short(3), short(2)),
		"Another extrinsic stands there.", c.proving(good, IncludedClaim{Block: 103, Index: 2, Hash: verify.Blake2b256(c.bodies[103][3]), End: Succeeded}))
	add("not-included-failed", "failed", at, "FAIL  "+is(2)+": events: not so: extrinsic 2 of block #103 succeeded", "It is said to have failed, and did not.",
		c.proving(good, c.included(103, 2, Failed, 3, 7, 5, 0, 0, 0)))
	add("not-included-succeeded", "failed", at, "FAIL  "+is(3)+": events: not so: extrinsic 3 of block #103 failed: error 5 of pallet 7", "It is said to have succeeded, and did not.",
		c.proving(bad, c.included(103, 3, Succeeded)))
	add("not-included-other-error", "failed", at, "FAIL  "+is(3)+": events: not so: extrinsic 3 of block #103 failed: error 5 of pallet 7", "It failed for another reason.",
		c.proving(bad, c.included(103, 3, Failed, 3, 7, 6, 0, 0, 0)))
	none := c.included(103, 79, Unsaid)
	none.Index = 80
	x := c.make(100, 106, c.included(103, 79, Unsaid))
	add("not-included-index", "failed", at, fmt.Sprintf("FAIL  included  transaction %s is extrinsic 80 of block #103: extrinsics: not so: block #103 has no extrinsic 80", short(79)),
		"The block has eighty, and this is the eighty-first.", alter(x, func(x *Bundle) {
			x.Claims = []Claim{none}
			nodes := append(slices.Clone(x.Nodes), trie.Ordered(c.bodies[103]).Prove(scale.AppendCompact(nil, 80))...)
			slices.SortFunc(nodes, func(a, b []byte) int {
				h, g := verify.Blake2b256(a), verify.Blake2b256(b)
				return bytes.Compare(h[:], g[:])
			})
			x.Nodes = slices.CompactFunc(nodes, bytes.Equal)
		}))
	four := c.make(100, 106, c.included(103, 4, Unsaid), StorageClaim{103, [][]byte{verify.StorageKey("System", "Events")}})
	add("unknown-included-events", "undecided", at, "??    "+is(4)+": events: block #103: events do not decide it without the runtime's metadata",
		"An event of another extrinsic holds what looks like a failure of this one.", c.proving(four, c.included(103, 4, Succeeded)))
	add("unknown-included-no-event", "undecided", at, "??    "+is(5)+": events: block #103: events do not decide it without the runtime's metadata: nothing in them about extrinsic 5",
		"Nothing in the events says how it ended, as no chain would have it.", c.proving(c.make(100, 106, c.included(103, 5, Unsaid), StorageClaim{103, [][]byte{verify.StorageKey("System", "Events")}}), c.included(103, 5, Succeeded)))
	leaf := slices.IndexFunc(good.Nodes, func(n []byte) bool { return bytes.Contains(n, c.bodies[103][2]) })
	size := -len(good.Nodes[leaf])
	for _, n := range good.Nodes {
		size += len(n)
	}
	add("unknown-included-extrinsic", "undecided", at, fmt.Sprintf("??    storage   %d nodes, %s bytes, 3 lookups: storage: not in the bundle: 1 extrinsic of block #103", len(good.Nodes)-1, group(uint64(size))),
		"The leaf with the extrinsic is left out.", alter(good, func(x *Bundle) { x.Nodes = slices.Delete(x.Nodes, leaf, leaf+1) }))
	form := func(name, comment string, line string, claim IncludedClaim) {
		add("form-included-"+name, "failed", at, "FAIL  form      the bundle has the one form it may have: "+line, comment, c.proving(good, claim))
	}
	odd := c.included(103, 2, End(3))
	form("end", "An end that there is not.", "form: bundle: claim 0: included: not in canonical form: end 3", odd)
}

// TestIncluded: what the claims say, read from a chain, and what is refused when one is made.
func TestIncluded(t *testing.T) {
	c := newBusy(t)
	for i := range uint32(80) {
		x := c.make(100, 106, c.included(103, i, Unsaid))
		if r := c.verify(x); r.Outcome != fact.OK {
			t.Errorf("extrinsic %d: %s", i, r)
		}
		if n := len(x.Encode()); n > 4_000 {
			t.Errorf("extrinsic %d takes %d bytes", i, n)
		}
	}
	for what, claim := range map[string]IncludedClaim{
		"failed":      c.included(103, 2, Failed, 2),
		"other error": c.included(103, 3, Failed, 2),
		"other block": {Block: 104, Index: 0, Hash: verify.Blake2b256(c.bodies[103][0])},
		"ambiguous":   c.included(103, 4, Succeeded),
		"no events":   c.included(104, 0, Succeeded),
	} {
		var claimed *ClaimError
		if _, err := c.try(106, claim); !errors.As(err, &claimed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestEndOf: events of all forms, and of none.
func TestEndOf(t *testing.T) {
	ok := []byte{0, 9, 0, 0, 0, 0, 0}
	failed := []byte{0, 9, 0, 0, 0, 0, 1, 3, 7, 6, 0, 0, 0}
	token := []byte{0, 9, 0, 0, 0, 0, 1, 7, 2}
	for _, x := range []struct {
		events []byte
		end    End
		e      []byte
	}{
		{ok, Succeeded, nil}, {failed, Failed, failed[7:]}, {token, Failed, token[7:]},
		{slices.Concat(ok, ok), Succeeded, nil}, {slices.Concat(failed, []byte{1}, failed), Failed, failed[7:]},
		{slices.Concat(ok, failed), Unsaid, nil}, {slices.Concat(failed, token), Unsaid, nil},
		{nil, Unsaid, nil}, {ok[:6], Unsaid, nil}, {failed[:12], Unsaid, nil}, {[]byte{0, 8, 0, 0, 0, 0, 0}, Unsaid, nil},
	} {
		end, e, err := EndOf(x.events, 9)
		if end != x.end || !bytes.Equal(e, x.e) || (err == nil) != (end != Unsaid) {
			t.Errorf("%x: %v %x %v", x.events, end, e, err)
		}
	}
}
