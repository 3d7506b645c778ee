package bundle

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// The names of the parts of a bundle, in their order.
const (
	partMagic = iota
	partRoot  // genesis and root
	partFragments
	partFinal
	partHeaders
	partNodes
	partPulses
	partClaims
)

// parts encodes a bundle by the words of the package comment.
func parts(x *Bundle) [][]byte {
	compact := func(n int) []byte { return scale.AppendCompact(nil, uint64(n)) }
	fragment := func(f *Fragment) []byte {
		b := scale.AppendCompact(f.Header.Append(nil), f.Votes.Round)
		b = append(b, compact(len(f.Votes.Ancestry))...)
		for _, h := range f.Votes.Ancestry {
			b = h.Append(b)
		}
		b = append(b, compact(len(f.Votes.List))...)
		for _, v := range f.Votes.List {
			b = append(b, compact(int(v.Signer))...)
			if len(f.Votes.Ancestry) > 0 {
				b = append(b, compact(int(v.Target))...)
			}
			b = append(b, v.Signature[:]...)
		}
		return b
	}
	root := append(slices.Clone(x.Genesis[:]), compact(int(x.Root.Number))...)
	root = append(append(root, x.Root.Hash[:]...), compact(int(x.Root.SetID))...)
	fragments, final := compact(len(x.Fragments)), []byte{0}
	for i := range x.Fragments {
		fragments = append(fragments, fragment(&x.Fragments[i])...)
	}
	if x.Final != nil {
		final = append([]byte{1}, fragment(x.Final)...)
	}
	headers, nodes, pulses, claims := compact(len(x.Headers)), compact(len(x.Nodes)), compact(len(x.Pulses)), compact(len(x.Claims))
	for _, h := range x.Headers {
		headers = h.Append(headers)
	}
	for _, n := range x.Nodes {
		nodes = append(append(nodes, compact(len(n))...), n...)
	}
	for _, p := range x.Pulses {
		pulses = append(scale.AppendCompact(pulses, p.Round), p.Signature[:]...)
	}
	for _, c := range x.Claims {
		claims = c.append(claims)
	}
	return [][]byte{{0x89, 'T', 'L', 'B', '\r', '\n', 0x1a, 1}, root, fragments, final, headers, nodes, pulses, claims}
}

// addFunc adds a vector.
type addFunc func(name, expect, checkpoint, line, comment string, payload []byte)

// formVectors are bytes that are no bundle, or not in the one form of it.
func formVectors(c *corpus, add addFunc) {
	const form = "FAIL  form      the bundle has the one form it may have: form: bundle: "
	bad := func(name, line, comment string, payload []byte) {
		add("form-"+name, "failed", "100", form+line, comment, payload)
	}
	header := c.make(100, 116, HeaderClaim{102})
	good := header.Encode()
	if got := bytes.Join(parts(header), nil); !bytes.Equal(got, good) {
		c.t.Fatal("the encoding is not that of the package comment")
	}
	// with puts other bytes in the place of a part; offset is where a part begins, the magic not counted.
	with := func(x *Bundle, part int, b ...[]byte) []byte {
		all := parts(x)
		all[part] = bytes.Join(b, nil)
		return bytes.Join(all, nil)
	}
	offset := func(x *Bundle, part int) int { return len(bytes.Join(parts(x)[:part], nil)) - len(Magic) }

	bad("empty", "not a bundle", "No bytes at all.", nil)
	bad("short-magic", "not a bundle", "Seven bytes of the magic.", good[:7])
	bad("magic", "not a bundle", "The first byte has lost its high bit, as in a transfer that takes it for text.", append([]byte{0x09}, good[1:]...))
	bad("line-ends", "not a bundle", "CR LF has become LF, as in a transfer that takes it for text.", bytes.Replace(good, []byte("\r\n"), []byte("\n"), 1))
	bad("version-0", "bundle of another version: version 0, this program reads 1", "There was no version 0.", append([]byte("\x89TLB\r\n\x1a\x00"), good[8:]...))
	bad("version-2", "bundle of another version: version 2, this program reads 1", "Whatever version 2 will be, this is not read as version 1.", append([]byte("\x89TLB\r\n\x1a\x02"), good[8:]...))

	// Cut off.
	bad("cut-after-magic", "root: input too short: want 32 bytes at offset 0, have 0", "Nothing but the magic. Offsets are counted behind it.", good[:8])
	bad("cut-in-root", "root: input too short: want 32 bytes at offset 34, have 20", "Ends within the root's hash, which begins after the genesis and a number of two bytes.", good[:8+34+20])
	// The final block begins with a byte that says that there is one, and its header; then come a round
	// of four bytes, no ancestry, and the number of votes.
	at := offset(header, partFinal) + 1 + len(header.Final.Header.Append(nil)) + 4 + 1
	bad("cut-in-votes", fmt.Sprintf("final: input too short: 14 elements of 65 bytes or more at offset %d, 700 bytes left", at), "Fourteen votes, and bytes for ten.", good[:8+at+1+700])
	at = offset(header, partHeaders)
	bad("cut-in-header", fmt.Sprintf("headers: input too short: 1 elements of 98 bytes or more at offset %d, 50 bytes left", at), "Ends within the one header.", good[:8+at+1+50])
	last := len(header.Nodes) - 1
	size := len(header.Nodes[last])
	at = offset(header, partPulses) - size - len(scale.AppendCompact(nil, uint64(size)))
	bad("cut-in-node", fmt.Sprintf("node %d: input too short: %d elements of 1 bytes or more at offset %d, %d bytes left", last, size, at, size-1), "Lacks the last byte of the last node, and what follows.", good[:8+offset(header, partPulses)-1])
	bad("cut-in-claim", fmt.Sprintf("claim 0: input too short: want 1 bytes at offset %d, have 0", len(good)-9), "Lacks the last byte, the second one of the block in the claim.", good[:len(good)-1])
	bad("trailing", fmt.Sprintf("end: trailing bytes: 1 left of %d", len(good)-8+1), "A byte more.", append(slices.Clone(good), 0))
	bad("twice", fmt.Sprintf("end: trailing bytes: %d left of %d", len(good), 2*len(good)-8), "The same bundle twice.", append(slices.Clone(good), good...))

	// Lengths that promise gigabytes. 2^30 takes the form of four bytes or more: 03 and four bytes.
	gib := []byte{0x03, 0, 0, 0, 0x40}
	big := func(name, place string, least, most, offset int, comment string, payload []byte) {
		line := fmt.Sprintf("%s: value out of range: 1073741824 elements at offset %d, at most %d allowed", place, offset, most)
		if most < 0 {
			line = fmt.Sprintf("%s: input too short: 1073741824 elements of %d bytes or more at offset %d, %d bytes left", place, least, offset, len(payload)-8-offset-5)
		}
		bad("big-"+name, line, comment, payload)
	}
	big("fragments", "fragments", 0, 4096, offset(header, partFragments), "A billion fragments.", with(header, partFragments, gib))
	f := header.Final.Header.Append([]byte{1})
	f = scale.AppendCompact(f, header.Final.Votes.Round)
	at = offset(header, partFinal) + len(f)
	big("ancestry", "final", 0, 4096, at, "A billion headers of ancestry.", with(header, partFinal, f, gib))
	big("votes", "final", 0, 2048, at+1, "A billion votes.", with(header, partFinal, f, []byte{0}, gib))
	h := header.Headers[0]
	plain := verify.Header{ParentHash: h.ParentHash, Number: h.Number, StateRoot: h.StateRoot, ExtrinsicsRoot: h.ExtrinsicsRoot}
	bare := plain.Append(nil)
	bare = bare[:len(bare)-1] // without the number of digest items
	at = offset(header, partHeaders)
	big("digest", "header 0", 0, 64, at+1+len(bare), "A billion digest items.", with(header, partHeaders, []byte{4}, bare, gib))
	big("headers", "headers", 0, 16384, at, "A billion headers.", with(header, partHeaders, gib))
	at = offset(header, partNodes)
	big("nodes", "nodes", 0, 262144, at, "A billion nodes.", with(header, partNodes, gib))
	big("node", "node 0", 1, -1, at+1, "A node of a gigabyte.", with(header, partNodes, []byte{4}, gib, header.Nodes[0]))
	big("pulses", "pulses", 0, 4096, offset(header, partPulses), "A billion pulses.", with(header, partPulses, gib))
	at = offset(header, partClaims)
	big("claims", "claims", 0, 4096, at, "A billion claims.", with(header, partClaims, gib))
	big("keys", "claim 0", 0, 65536, at+4, "A claim about a billion keys.", with(header, partClaims, []byte{4, 1}, scale.AppendCompact(nil, 102), gib))
	big("key", "claim 0", 0, 1024, at+5, "A claim about a key of a gigabyte.", with(header, partClaims, []byte{4, 1}, scale.AppendCompact(nil, 102), []byte{4}, gib, make([]byte, 8)))
	reveal := RevealedClaim{idOfHash(1, c.hashed), 114, c.shown}.append([]byte{4})
	// Six uids, values and numbers of salt, of two bytes each, and the version key.
	reveal = reveal[:len(reveal)-8-3-2*(2+2+4)]
	big("uids", "claim 0", 0, 65536, at+len(reveal), "A claim that shows a billion weights.", with(header, partClaims, reveal, gib))

	// Integers.
	root := parts(header)[partRoot]
	bad("compact", "root: compact integer not in shortest form: at offset 32", "The root's number, 100, in the form of four bytes, where two are enough.", with(header, partRoot, root[:32], []byte{0x92, 1, 0, 0}, root[34:]))
	bad("number", "root: value out of range: 4294967296 does not fit 32 bits", "A block number of 33 bits.", with(header, partRoot, root[:32], []byte{0x07, 0, 0, 0, 0, 1}, root[34:]))
	bad("bool", "final: value out of range: bool is 0x02", "Whether there is a final block is said by 00 or 01.", with(header, partFinal, []byte{2}, parts(header)[partFinal][1:]))

	// Order, and things twice.
	two := c.make(100, 116, HeaderClaim{102}, HeaderClaim{110})
	bad("headers-order", "header 1: not in canonical form: block 102 after 110", "Two headers have changed places.", alter(two, func(x *Bundle) { slices.Reverse(x.Headers) }))
	bad("headers-twice", "header 1: not in canonical form: block 102 after 102", "A header is there twice.", alter(header, func(x *Bundle) { x.Headers = append(x.Headers, x.Headers[0]) }))
	bad("header-final", "header 1: not in canonical form: block 116 is there already, with votes", "The final block's header is among the headers as well.", alter(header, func(x *Bundle) { x.Headers = append(x.Headers, c.header(116)) }))
	bad("header-above", "header 1: not in canonical form: block 117 is above the final one, 116", "A header that nothing here could make final.", alter(header, func(x *Bundle) { x.Headers = append(x.Headers, c.header(117)) }))
	node := func(i int) string { return verify.Blake2b256(header.Nodes[i]).Short() }
	bad("nodes-order", fmt.Sprintf("nodes: not in canonical form: proof: entry 1, %s: entry out of order", node(0)), "Two nodes have changed places.", alter(header, func(x *Bundle) { x.Nodes[0], x.Nodes[1] = x.Nodes[1], x.Nodes[0] }))
	bad("nodes-twice", fmt.Sprintf("nodes: not in canonical form: proof: entry 1: duplicate entry in proof: as entry 0, %s", node(0)), "A node is there twice.", alter(header, func(x *Bundle) { x.Nodes = slices.Insert(x.Nodes, 1, x.Nodes[0]) }))
	bad("node-small", "nodes: not in canonical form: proof: entry 0: not an entry of a proof: 31 bytes, and not the root node", "A node of 31 bytes stands within its parent, never alone.", alter(header, func(x *Bundle) { x.Nodes[0] = x.Nodes[0][:31] }))
	pulses := c.pulses(4711, 4712)
	bad("pulses-order", "pulse 1: not in canonical form: round 4711 after 4712", "Two pulses have changed places.", alter(pulses, func(x *Bundle) { slices.Reverse(x.Pulses) }))
	bad("pulses-twice", "pulse 1: not in canonical form: round 4711 after 4711", "A pulse is there twice.", alter(pulses, func(x *Bundle) { x.Pulses[1] = x.Pulses[0] }))
	bad("claims-order", "claim 1: not in canonical form: out of order, or there twice", "Two claims have changed places.", alter(two, func(x *Bundle) { slices.Reverse(x.Claims) }))
	bad("claims-twice", "claim 1: not in canonical form: out of order, or there twice", "A claim is there twice.", alter(header, func(x *Bundle) { x.Claims = append(x.Claims, x.Claims[0]) }))

	// Parts that do not go together.
	bad("no-claim", "claims: not in canonical form: none", "A bundle that claims nothing.", alter(header, func(x *Bundle) { x.Claims = nil }))
	bad("no-final", "final: not in canonical form: a final block goes with claims about blocks, and with no others", "A claim about a block, and none that is final.", (&Bundle{Genesis: c.genesis, Claims: header.Claims}).Encode())
	bad("final-unneeded", "final: not in canonical form: a final block goes with claims about blocks, and with no others", "A final block beside a claim about a pulse alone.", alter(pulses, func(x *Bundle) { x.Root, x.Final = header.Root, header.Final }))
	const alone = "final: not in canonical form: no final block, and yet a root, fragments, headers or nodes"
	bad("root-unneeded", alone, "A root beside a claim about a pulse alone.", alter(pulses, func(x *Bundle) { x.Root = header.Root }))
	bad("headers-unneeded", alone, "A header beside a claim about a pulse alone.", alter(pulses, func(x *Bundle) { x.Headers = header.Headers }))
	bad("nodes-unneeded", alone, "Nodes beside a claim about a pulse alone.", alter(pulses, func(x *Bundle) { x.Nodes = header.Nodes }))
	change := c.make(100, 124, HeaderClaim{124})
	bad("fragments-order", "fragment 1: not in canonical form: block 118 is not above the one before, 122", "Two fragments have changed places.", alter(change, func(x *Bundle) { slices.Reverse(x.Fragments) }))
	bad("fragments-twice", "fragment 1: not in canonical form: block 118 is not above the one before, 118", "A fragment is there twice.", alter(change, func(x *Bundle) { x.Fragments[1] = x.Fragments[0] }))
	bad("fragment-root", "fragment 0: not in canonical form: block 118 is not above the root, 118", "The root's own change of authorities is not repeated.", alter(change, func(x *Bundle) { x.Root = c.root(118) }))
	bad("fragment-final", "final: not in canonical form: block 122 is not above the one before, 122", "The final block is not a fragment as well.", alter(change, func(x *Bundle) { x.Final = &x.Fragments[1] }))
	bad("final-root", "final: not in canonical form: block 116 is not above the root, 116", "The root needs no votes, and has no header.", alter(c.make(100, 116, HeaderClaim{116}), func(x *Bundle) { x.Root = c.root(116) }))

	// Votes.
	child := c.header(117)
	bad("ancestry-twice", fmt.Sprintf("final: ancestry header 1: not in canonical form: %s is there twice", child.Hash().Short()), "There would be two ways to name a vote's target.", alter(header, func(x *Bundle) { x.Final.Votes.Ancestry = []*verify.Header{child, child} }))
	bad("vote-target", "final: vote 3: not in canonical form: target 2 of 2", "Targets are 0, the block itself, and 1, the one header of ancestry.", alter(header, func(x *Bundle) {
		x.Final.Votes.Ancestry = []*verify.Header{child}
		x.Final.Votes.List[3].Target = 2
	}))
	bad("vote-signer", "final: vote 3: above the limit: signer 1024", "No set has so many members.", alter(header, func(x *Bundle) { x.Final.Votes.List[3].Signer = 1024 }))

	// Claims that cannot be.
	claim := func(name, line, comment string, claim Claim) {
		bad("claim-"+name, line, comment, alter(header, func(x *Bundle) { x.Claims = []Claim{claim} }))
	}
	id := idOf(c.timelocked, epoch)
	bad("claim-tag", "claim 0: not in canonical form: tag 12", "There are twelve kinds of claims, from 0 on.", with(header, partClaims, []byte{4, 12, 0}))
	claim("call-nothing", "claim 0: call: not in canonical form: a call of no method", "A method has a name.", CallClaim{Number: 102})
	claim("call-name", `claim 0: call: not in canonical form: method "Core version" is no name of a function`, "A method is a word of printable ASCII.", CallClaim{Number: 102, Method: "Core version"})
	claim("no-keys", "claim 0: value: not in canonical form: no keys", "A claim about the values of no keys.", StorageClaim{102, nil})
	claim("empty-key", "claim 0: value: key 0: not in canonical form: empty", "No value has the empty key.", StorageClaim{102, [][]byte{{}, []byte("another")}})
	claim("keys-order", "claim 0: value: key 1: not in canonical form: out of order, or there twice", "Keys ascend.", StorageClaim{102, [][]byte{{2}, {1}}})
	claim("keys-twice", "claim 0: value: key 1: not in canonical form: out of order, or there twice", "A key is there twice.", StorageClaim{102, [][]byte{{1}, {1}}})
	claim("made-before", "claim 0: made: impossible claim: at block 101, before the commitment was made", "The state after 101 cannot hold what was made in 102.", MadeClaim{id, 101})
	claim("revealed-at-once", "claim 0: revealed: impossible claim: in block 102, before the commitment was made", "It is made in 102 itself.", RevealedClaim{id, 102, nil})
	claim("equal-before", "claim 0: equal: impossible claim: at block 101, before the commitment was made", "The state after 101 cannot show what was made in 102.", EqualClaim{id, 101, 116, nil})
	claim("lost-stored", "claim 0: lost: impossible claim: a timelocked commitment lost for reason 1, stored", "Stored is no reason for a loss.", LostClaim{id, 112, 1})
	claim("lost-overtaken", "claim 0: lost: impossible claim: a timelocked commitment lost for reason 23, overtaken", "Only hash commitments are thrown away by a later reveal.", LostClaim{id, 112, 23})
	claim("lost-hash", "claim 0: lost: impossible claim: a hash commitment lost for reason 16, no-permit", "A reveal by extrinsic that fails leaves the commitment where it is.", LostClaim{idOfHash(1, c.hashed), 112, 16})
	claim("lost-255", "claim 0: lost: impossible claim: a timelocked commitment lost for reason 255, unknown", "There is no reason 255.", LostClaim{id, 112, 255})
	claim("above", "claim 0: impossible claim: block 117 is above the final one, 116", "Nothing here could make block 117 final.", HeaderClaim{117})
	claim("round-0", "claim 0: pulse: impossible claim: round 0", "Rounds are counted from 1.", PulseClaim{0})
	other := id
	other.Netuid = 4096
	claim("netuid", "claim 0: made: impossible claim: subnet 4096, mechanism 0", "Its storage index would be that of another subnet's second mechanism.", MadeClaim{other, 102})
	other = id
	other.Mecid = 16
	claim("mecid", "claim 0: made: impossible claim: subnet 7, mechanism 16", "16 times 4,096 does not fit the storage index.", MadeClaim{other, 102})
	other = id
	other.Kind = 2
	claim("kind", "claim 0: made: impossible claim: commitment of kind 2", "There are two kinds of commitments.", MadeClaim{other, 102})
}
