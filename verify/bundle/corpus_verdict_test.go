package bundle

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/subtensor"
)

func (c *corpus) short(n uint32) string { return c.header(n).Hash().Short() }

// chainVectors are bundles of the one form whose links and votes, or the checkpoint, decide.
func chainVectors(c *corpus, add addFunc) {
	header := c.make(100, 116, HeaderClaim{102})
	isFinal := func(n uint32) string {
		return fmt.Sprintf("ok    header    block #%d is final: %s", n, c.header(n).Hash())
	}
	// Good ones.
	add("ok-header", "ok", "100", isFinal(102), "A header fourteen blocks below the final one, whose state has its hash.", header.Encode())
	add("ok-header-parent", "ok", "100", isFinal(115), "The final block's parent: no node is needed.", c.make(100, 116, HeaderClaim{115}).Encode())
	add("ok-header-final", "ok", "100", isFinal(116), "The final block itself: neither a header nor a node is needed.", c.make(100, 116, HeaderClaim{116}).Encode())
	add("ok-header-below-root", "ok", "110", isFinal(102), "A block below the root and the checkpoint: final because its descendant is.", c.make(110, 116, HeaderClaim{102}).Encode())
	add("ok-chain-of-two", "ok", "100", isFinal(103), "Two headers, of which the lower is the parent of the higher.", c.make(100, 116, HeaderClaim{103}, HeaderClaim{104}).Encode())
	change := c.make(100, 124, HeaderClaim{118}, HeaderClaim{123})
	add("ok-set-changes", "ok", "100", isFinal(123), "Two changes of authorities on the way; one of their blocks is claimed as well.", change.Encode())
	add("ok-checkpoint-newer", "ok", "120", isFinal(123), "The checkpoint is above the first change, whose votes are passed over.", c.make(100, 124, HeaderClaim{123}).Encode())
	add("ok-checkpoint-change", "ok", "118", isFinal(118), "The checkpoint is the block of the first change.", change.Encode())
	add("headers-below-checkpoint", "undecided", "120", "??    header    block #118 is final: headers: not reached: block #118 is below the checkpoint, and not linked to the final block", "A change of authorities is proven by its votes alone, and those below the checkpoint are passed over.", change.Encode())
	add("ok-checkpoint-change-final", "ok", "118", isFinal(118), "The final block changes the authorities, and is the checkpoint: its set is already the new one.", c.make(100, 118, HeaderClaim{118}).Encode())
	add("ok-checkpoint-final", "ok", "116", isFinal(102), "The final block is the checkpoint: its votes are not looked at, here there are thirteen.", alter(header, func(x *Bundle) { x.Final.Votes.List = x.Final.Votes.List[:13] }))
	add("ok-checkpoint-older", "ok", "100", isFinal(102), "The checkpoint is older than the root, and no change of authorities lies between.", c.make(110, 116, HeaderClaim{102}).Encode())

	// Votes for a child of the final block, which its ancestry connects.
	above := grandpa.Fragment{Header: c.header(116), Justification: c.voted(c.header(117), 0, 14).Justification}
	above.Justification.Commit.TargetHash, above.Justification.Commit.TargetNumber = c.header(116).Hash(), 116
	above.Justification.Ancestry = []*verify.Header{c.header(117)}
	short, err := NewFragment(above, c.sets[0])
	if err != nil {
		c.t.Fatal(err)
	}
	add("ok-ancestry", "ok", "100", isFinal(102), "All votes are for the child of the final block.", alter(header, func(x *Bundle) { x.Final = &short }))

	// Trust.
	trust := func(name, expect, checkpoint, line, comment string, payload []byte) {
		word := map[string]string{"failed": "FAIL", "undecided": "??  "}[expect]
		add("trust-"+name, expect, checkpoint, word+"  trust     the bundle is about the network of the checkpoint, and starts from it: trust: "+line, comment, payload)
	}
	trust("network", "failed", "other-network", fmt.Sprintf("bundle is for another network: its genesis is %s, the checkpoint is of %s", c.genesis.Short(), verify.Blake2b256([]byte("another")).Short()), "Another genesis, and all else as it should be.", header.Encode())
	trust("none", "undecided", "", "nothing to start from: the bundle starts from block #100 set 6, and no checkpoint is given", "Without a checkpoint nothing is known about blocks.", header.Encode())
	trust("newer", "undecided", "118", "nothing to start from: the checkpoint is block #118 set 7, newer than all of the bundle, which ends at #116: give --checkpoint of block #100 set 6, or of a block up to #116", "Nothing here descends from the checkpoint.", header.Encode())
	trust("older", "undecided", "100", "nothing to start from: the bundle starts from block #118 set 7, the checkpoint is block #100 set 6, older, and the authorities changed in between: give --checkpoint of block #118 set 7, or of a newer block", "The change of authorities between the checkpoint and the root is not in the bundle.", c.make(118, 120, HeaderClaim{119}).Encode())
	forked := *c.header(100)
	forked.ExtrinsicsRoot = verify.Blake2b256([]byte("other extrinsics"))
	trust("root", "failed", "100-fork", fmt.Sprintf("conflicting block at the same height: the bundle starts from block #100, %s, the checkpoint is %s", c.short(100), forked.Hash().Short()), "The checkpoint is another block 100 than the root.", header.Encode())
	forked = *c.header(110)
	forked.ExtrinsicsRoot = verify.Blake2b256([]byte("other extrinsics"))
	trust("fork", "failed", "110-fork", fmt.Sprintf("conflicting block at the same height: block #110 is %s in the bundle, the checkpoint is %s", c.short(110), forked.Hash().Short()), "A header of the bundle is another block 110 than the checkpoint.", c.make(100, 116, HeaderClaim{110}).Encode())
	trust("root-header", "failed", "110", fmt.Sprintf("conflicting block at the same height: block #100 is %s, the bundle says it starts from %s", c.short(100), c.short(101)), "The header of block 100 is not the root that the bundle names.", alter(c.make(100, 116, HeaderClaim{100}), func(x *Bundle) { x.Root.Hash = c.header(101).Hash() }))
	trust("set-id", "failed", "110-set-9", "conflicting block at the same height: the checkpoint is block #110 set 9, and by the bundle, which starts from block #100 set 6, it would be set 6", "The ids of the sets do not fit.", header.Encode())
	trust("fragment-left-out", "failed", "120", "conflicting block at the same height: the checkpoint is block #120 set 7, and by the bundle, which starts from block #100 set 6, it would be set 6", "The first change of authorities is left out; the checkpoint above it shows that.", alter(c.make(100, 124, HeaderClaim{123}), func(x *Bundle) { x.Fragments = x.Fragments[1:] }))

	// Headers.
	headers := func(name, expect, line, comment string, payload []byte) {
		word := map[string]string{"failed": "FAIL", "undecided": "??  "}[expect]
		add("headers-"+name, expect, "100", word+"  headers   each header is linked to the final block, and needed: headers: "+line, comment, payload)
	}
	changed := func(n uint32) *verify.Header {
		h := *c.header(n)
		h.ExtrinsicsRoot[0] ^= 1
		return &h
	}
	headers("parent", "failed", fmt.Sprintf("conflicting block at the same height: block #115 is %s, and the parent of #116 is %s", changed(115).Hash().Short(), c.short(115)), "A bit of the extrinsics root has changed in the header of the final block's parent.", alter(c.make(100, 116, HeaderClaim{115}), func(x *Bundle) { x.Headers[0] = changed(115) }))
	headers("block-hash", "failed", fmt.Sprintf("conflicting block at the same height: block #102 is %s, and the state of block #116 says %s", changed(102).Hash().Short(), c.header(102).Hash()), "A bit of the extrinsics root has changed in a header whose hash is in the final block's state.", alter(header, func(x *Bundle) { x.Headers[0] = changed(102) }))
	headers("missing", "undecided", "not in the bundle: block #102", "The header that is claimed is not there.", alter(header, func(x *Bundle) { x.Headers = nil }))
	headers("unneeded", "failed", "block #110: not needed by any claim", "A good header that no claim is about.", alter(header, func(x *Bundle) { x.Headers = append(x.Headers, c.header(110)) }))
	key := subtensor.KeyBlockHash(102)
	headers("link-missing", "undecided", fmt.Sprintf("link of block #102: block #116: not proven: key 0x%x: incomplete proof", key), "The header is there, and not the nodes that link it.", alter(header, func(x *Bundle) { x.Nodes = nil }))
	headers("fragment-unneeded", "failed", "fragment 0: header 110: fragment announces no change of authorities", "A good header with good votes that changes no authorities.", alter(header, func(x *Bundle) {
		f, err := NewFragment(c.final(110), c.sets[0])
		if err != nil {
			c.t.Fatal(err)
		}
		x.Fragments = append(x.Fragments, f)
	}))

	// Votes.
	finality := func(name, line, comment string, payload []byte) {
		add("finality-"+name, "failed", "100", "FAIL  finality  the final block has the votes of its set: finality: "+line, comment, payload)
	}
	own := c.make(100, 116, HeaderClaim{116})
	list := own.Final.Votes.List
	few := func(n, set int) string {
		return fmt.Sprintf("justification: not enough votes: weight %d of 20, need 14 in set %d", n, set)
	}
	forged := func(i int, set *grandpa.AuthoritySet) string {
		return fmt.Sprintf("justification: precommit %d: %v: bad signature in round 1204881 of set %d", i, set.Authorities[list[i].Signer].ID, set.ID)
	}
	finality("13-of-20", few(13, 6), "One vote less than more than two thirds.", alter(own, func(x *Bundle) { x.Final.Votes.List = list[:13] }))
	finality("none", few(0, 6), "No votes.", alter(own, func(x *Bundle) { x.Final.Votes.List = nil }))
	finality("13-and-twice", few(13, 6), "Thirteen voters, of whom one voted twice.", alter(own, func(x *Bundle) { x.Final.Votes.List[13] = list[0] }))
	finality("thrice", fmt.Sprintf("justification: precommit 15: %v: more than two votes by one voter", c.sets[0].Authorities[list[0].Signer].ID), "Fourteen voters, of whom one voted three times.", alter(own, func(x *Bundle) { x.Final.Votes.List = append(x.Final.Votes.List, list[0], list[0]) }))
	finality("stranger", "vote 3: signer 20 of 20: signer not in the set 6", "A vote of the twenty-first of twenty.", alter(own, func(x *Bundle) { x.Final.Votes.List[3].Signer = 20 }))
	finality("bit", forged(5, c.sets[0]), "A bit of a signature has changed.", alter(own, func(x *Bundle) { x.Final.Votes.List[5].Signature[10] ^= 1 }))
	finality("swapped", forged(5, c.sets[0]), "Two voters have changed signatures.", alter(own, func(x *Bundle) {
		l := x.Final.Votes.List
		l[5].Signature, l[6].Signature = l[6].Signature, l[5].Signature
	}))
	resigned := func(h *verify.Header, round, set uint64) []byte {
		return alter(own, func(x *Bundle) {
			for i := range x.Final.Votes.List {
				v := &x.Final.Votes.List[i]
				v.Signature = c.voters[0][v.Signer].sign(h, round, set).Signature
			}
		})
	}
	finality("other-set", forged(0, c.sets[0]), "The right voters signed this block for set 5.", resigned(c.header(116), 1_204_881, 5))
	finality("other-round", forged(0, c.sets[0]), "The right voters signed this block in another round.", resigned(c.header(116), 1_204_882, 6))
	finality("other-block", forged(0, c.sets[0]), "The right voters signed the block before.", resigned(c.header(115), 1_204_881, 6))
	finality("ancestry-unneeded", "justification: ancestry header 0: ancestry header not needed: no vote is for it or above it", "A header of ancestry that connects no vote with the block.", alter(own, func(x *Bundle) { x.Final.Votes.Ancestry = []*verify.Header{c.header(117)} }))
	finality("ancestry-gap", fmt.Sprintf("justification: precommit 0: ancestry incomplete: no header of block 117, %v", c.header(117).Hash()), "The votes are for a block two above, and only the upper of the two headers is there.", alter(own, func(x *Bundle) {
		x.Final.Votes.Ancestry = []*verify.Header{c.header(118)}
		for i := range x.Final.Votes.List {
			v := &x.Final.Votes.List[i]
			v.Target, v.Signature = 1, c.voters[0][v.Signer].sign(c.header(118), 1_204_881, 6).Signature
		}
	}))
	finality("fragment-few", "fragment 0: "+few(13, 6), "Thirteen votes for the block that changes the authorities.", alter(change, func(x *Bundle) { x.Fragments[0].Votes.List = x.Fragments[0].Votes.List[:13] }))
	finality("fragment-left-out", fmt.Sprintf("justification: precommit 0: %v: bad signature in round 1204881 of set 7", c.sets[1].Authorities[change.Final.Votes.List[0].Signer].ID), "The second change of authorities is left out, so that the final block is judged by the set before it.", alter(change, func(x *Bundle) { x.Fragments = x.Fragments[:1] }))
	old, err := NewFragment(c.voted(c.header(124), 0, 14), c.sets[0])
	if err != nil {
		c.t.Fatal(err)
	}
	finality("retired-set", fmt.Sprintf("justification: precommit 0: %v: bad signature in round 1204881 of set 8", c.sets[2].Authorities[old.Votes.List[0].Signer].ID), "The authorities of the root signed a block after they had been replaced.", alter(change, func(x *Bundle) { x.Final = &old }))
	strangers := setOf(firstSet, voters("strangers", 20))
	add("finality-strangers", "failed", "100-strangers", "FAIL  finality  the final block has the votes of its set: finality: "+forged(0, strangers), "The checkpoint has other authorities than those that signed.", own.Encode())
}

// stateVectors are bundles whose nodes, pulses or claims decide.
func stateVectors(c *corpus, add addFunc) {
	id, empty, foreign, twice := idOf(c.timelocked, epoch), idOf(c.empty, epoch), idOf(c.foreign, epoch), idOf(c.twice, epoch)
	hashed, late, stale := idOfHash(1, c.hashed), idOfHash(2, c.late), idOfHash(2, c.stale)
	first, second := idOfHash(3, c.early), idOfHash(3, c.second)
	who := func(uid byte) string { return fmt.Sprintf("%v (uid %d) on subnet 7", hotkey(uid), uid) }

	ok := func(name, kind, text, comment string, claim Claim) *Bundle {
		x := c.make(100, 116, claim)
		add("ok-"+name, "ok", "100", fmt.Sprintf("ok    %-8s  %s", kind, text), comment, x.Encode())
		return x
	}
	tempoKey := subtensor.KeySubnet("Tempo", netuid)
	ok("value", "value", "1 key after block #102: 1 present, 0 absent: 0x0a00", "The tempo of subnet 7, ten, as a u16.", StorageClaim{102, [][]byte{tempoKey}})
	ok("absent", "value", "1 key after block #102: 0 present, 1 absent", "The tempo of a subnet that does not exist.", StorageClaim{102, [][]byte{subtensor.KeySubnet("Tempo", otherNetuid)}})
	long := verify.StorageKey("Filler", "39") // 59 bytes, so that it stands outside its node
	keys := [][]byte{tempoKey, long}
	slices.SortFunc(keys, slices.Compare)
	values := ok("values", "value", "2 keys after block #102: 2 present, 0 absent", "Two values, of which one stands outside its node.", StorageClaim{102, keys})
	ok("made-timelocked", "made", fmt.Sprintf("%s: timelocked commitment %s made in #102 for epoch 500, locked to round 4,711 of %s", who(0), id.Hash.Short(), corpusRoundTime), "It stands after its own block.", MadeClaim{id, 102})
	ok("made-pending", "made", fmt.Sprintf("%s: timelocked commitment %s made in #102 for epoch 500, locked to round 4,711 of %s, pending after #111", who(0), id.Hash.Short(), corpusRoundTime), "It still stands after a later block.", MadeClaim{id, 111})
	ok("made-hash", "made", fmt.Sprintf("%s: hash commitment %s made in #102 for epoch 500", who(1), hashed.Hash.Short()), "It stands after its own block.", MadeClaim{hashed, 102})
	revealed := ok("revealed-timelocked", "revealed", who(0)+": revealed in #112 what was committed in #102, 3 weights", "Opened with the pulse, and the row is that of the payload.", RevealedClaim{id, 112, nil})
	ok("revealed-hash", "revealed", who(1)+": revealed in #114 what was committed in #102, 2 weights", "The weights shown have the committed hash, and the row is theirs.", RevealedClaim{hashed, 114, c.shown})
	ok("lost-wrong-hotkey", "lost", fmt.Sprintf("%v on subnet 7: commitment %s of #102 lost in #112: wrong-hotkey: the payload was made for another hotkey than the one that committed it", hotkey(2), foreign.Hash.Short()), "Uid 2 committed what uid 0 had sealed.", LostClaim{foreign, 112, commit.WrongHotkey})
	ok("lost-duplicate-uid", "lost", fmt.Sprintf("%v on subnet 7: commitment %s of #102 lost in #112: duplicate-uid: a uid stands there twice", hotkey(3), twice.Hash.Short()), "Uid 3 committed two weights for uid 1.", LostClaim{twice, 112, commit.DuplicateUID})
	ok("lost-expired", "lost", fmt.Sprintf("%v on subnet 7: commitment %s of #101 lost in #112: expired: its time to be revealed passed", hotkey(2), late.Hash.Short()), "Of epoch 499, to be revealed in 500, and it stands after a block of 501.", LostClaim{late, 112, commit.Expired})
	ok("lost-overtaken", "lost", fmt.Sprintf("%v on subnet 7: commitment %s of #102 lost in #115: overtaken: the reveal of a later commitment of the same hotkey threw it away", hotkey(3), first.Hash.Short()), "The second of two was revealed.", LostClaim{first, 115, commit.Overtaken})
	ok("equal-timelocked", "equal", who(0)+": the weights after block #116 are those committed in #102, 3 weights", "Shown after its own block, compared four blocks after the reveal.", EqualClaim{id, 102, 116, nil})
	ok("equal-hash", "equal", who(1)+": the weights after block #116 are those committed in #102, 2 weights", "Shown after its own block, compared two blocks after the reveal.", EqualClaim{hashed, 102, 116, c.shown})
	ok("weights-uid", "weights", "uid 0 on subnet 7 after block #112: 3 weights", "One row.", WeightsClaim{netuid, 0, 112, 0})
	ok("weights-none", "weights", "uid 3 on subnet 7 after block #102 has set none", "A row that is proven absent.", WeightsClaim{netuid, 0, 102, 3})
	ok("weights-all", "weights", "subnet 7 after block #116: 3 of 4 uids have set weights, 7 weights", "Rows of three weights, two and two; uid 2 has none.", WeightsClaim{netuid, 0, 116, -1})
	ok("subnet", "subnet", "subnet 7 after block #112: 4 uids, 4 permits, tempo 10, last epoch in #112", "All that there is of the subnet.", SubnetClaim{netuid, 112})
	ok("no-subnet", "subnet", "subnet 8 does not exist after block #112", "A subnet that is proven not to exist.", SubnetClaim{otherNetuid, 112})
	pulse := c.pulses(4711)
	add("ok-pulse", "ok", "100", "ok    pulse     round 4,711 of corpus, due "+corpusRoundTime, "Of the beacon that the checkpoint names.", pulse.Encode())

	// Of the real beacon, and with no checkpoint at all.
	signature, err := hex.DecodeString(quicknet1000)
	if err != nil {
		c.t.Fatal(err)
	}
	finney, err := checkpoint.ByName("finney")
	if err != nil {
		c.t.Fatal(err)
	}
	real := &Bundle{Genesis: finney.Genesis, Claims: []Claim{PulseClaim{1000}}, Pulses: []drand.Pulse{{Round: 1000, Signature: drand.Signature(signature)}}}
	add("ok-pulse-quicknet", "ok", "", "ok    pulse     round 1,000 of quicknet, due 2023-08-23 15:59:24 UTC", "Without a checkpoint the beacon of finney is quicknet. This is its round 1000, due 999 times three seconds after 2023-08-23 15:09:27.", real.Encode())

	size := func(nodes [][]byte) (n int) {
		for _, b := range nodes {
			n += len(b)
		}
		return n
	}

	// Nodes. The value of 59 bytes is an entry of its own, which nothing but the claim needs.
	value := slices.IndexFunc(values.Nodes, func(n []byte) bool { return len(n) == 59 && n[0] == 39 && n[58] == 39 })
	if value < 0 {
		c.t.Fatal("no value stands alone")
	}
	lacks := func(nodes, bytes, lookups int) string {
		return fmt.Sprintf("??    storage   %d nodes, %s bytes, %d lookups: storage: not in the bundle: the state of block #102 lacks 1 key", nodes, group(uint64(bytes)), lookups)
	}
	n := len(values.Nodes)
	add("storage-missing", "undecided", "100", lacks(n-1, size(values.Nodes)-59, 3), "The value that stands outside its node is not there. (Three lookups: the link and two keys.)", alter(values, func(x *Bundle) { x.Nodes = slices.Delete(x.Nodes, value, value+1) }))
	add("storage-byte", "undecided", "100", lacks(n, size(values.Nodes), 3), "A byte of that value has changed: it is another entry, and the one with the right hash is not there.", alter(values, func(x *Bundle) {
		x.Nodes[value] = slices.Clone(x.Nodes[value])
		x.Nodes[value][7] ^= 1
		byHash(x.Nodes)
	}))
	stray := slices.Concat([]byte("nothing leads here"), make([]byte, 32))
	at := 0
	strays := alter(values, func(x *Bundle) {
		x.Nodes = append(x.Nodes, stray)
		byHash(x.Nodes)
		at = slices.IndexFunc(x.Nodes, func(n []byte) bool { return len(n) == len(stray) && n[0] == 'n' })
	})
	add("storage-unneeded", "failed", "100", fmt.Sprintf("FAIL  storage   %d nodes, %s bytes, 3 lookups: storage: not needed by any claim: proof: entry %d, %s: unused entry in proof", n+1, group(uint64(size(values.Nodes)+len(stray))), at, verify.Blake2b256(stray).Short()), "An entry that no hash leads to.", strays)
	both := c.make(100, 116, StorageClaim{102, keys}, WeightsClaim{netuid, 0, 112, 0})
	needed := hashes(values.Nodes)
	first0 := slices.IndexFunc(both.Nodes, func(n []byte) bool { return !needed[verify.Blake2b256(n)] })
	add("storage-unneeded-good", "failed", "100", fmt.Sprintf("FAIL  storage   %d nodes, %s bytes, 3 lookups: storage: not needed by any claim: proof: entry %d, %s: unused entry in proof", len(both.Nodes), group(uint64(size(both.Nodes))), first0, verify.Blake2b256(both.Nodes[first0]).Short()), "Good nodes, left over from a claim that was taken out.", alter(values, func(x *Bundle) { x.Nodes = both.Nodes }))

	// Pulses.
	notOf := func(round string) string {
		return fmt.Sprintf("round %s: round %s: not the beacon's signature of this round", round, strings.ReplaceAll(round, ",", ""))
	}
	pulses := func(name, line, comment string, payload []byte) {
		add("pulses-"+name, "failed", "100", "FAIL  pulses    "+line, comment, payload)
	}
	pulses("bit", "1 pulse of corpus: pulses: "+notOf("4,711"), "The bit that says which of two points it is has changed.", alter(pulse, func(x *Bundle) { x.Pulses[0].Signature[0] ^= 0x20 }))
	pulses("other-round", "1 pulse of corpus: pulses: "+notOf("4,711"), "The beacon's signature, of the next round.", alter(pulse, func(x *Bundle) { x.Pulses[0].Signature = c.pulse(4712).Signature }))
	pulses("culprit", "3 pulses of corpus: pulses: "+notOf("4,712"), "The second of three is bad.", alter(c.pulses(4711, 4712, 4713), func(x *Bundle) { x.Pulses[1].Signature = c.pulse(9).Signature }))
	pulses("infinity", "1 pulse of corpus: pulses: round 4,711: round 4711: signature: not a point of the group in canonical form: the point at infinity", "Infinity would be a signature of everything under the key zero.", alter(pulse, func(x *Bundle) { x.Pulses[0].Signature = drand.Signature{0xc0} }))
	pulses("unneeded", "2 pulses of corpus: pulses: not needed by any claim: round 4,712", "A good pulse that no claim is about.", alter(c.pulses(4711, 4712), func(x *Bundle) { x.Claims = x.Claims[:1] }))
	strange := *pulse
	strange.Genesis = finney.Genesis
	add("pulses-other-beacon", "failed", "", "FAIL  pulses    1 pulse of quicknet: pulses: "+notOf("4,711"), "A pulse of the corpus's beacon, on finney, whose beacon is quicknet.", strange.Encode())
	add("pulses-whose", "undecided", "", fmt.Sprintf("??    pulses    1 pulse: pulses: nothing to start from: whose pulses count on network %s is for its checkpoint to say", c.genesis.Short()), "No checkpoint, and a network that is not compiled in.", pulse.Encode())
	add("pulse-missing", "undecided", "100", "??    pulse     drand round 4,711: pulses: not in the bundle: the pulse missing: round 4,711", "The pulse that is claimed is not there.", alter(pulse, func(x *Bundle) { x.Pulses = nil }))

	// Claims that are not so.
	claim := func(name, line, comment string, x *Bundle) {
		add("not-"+name, "failed", "100", "FAIL  "+line, comment, x.Encode())
	}
	words := func(id CommitID) string {
		return fmt.Sprintf("%v commitment %s of %v on subnet 7, made in #%d", id.Kind, id.Hash.Short(), id.Hotkey, id.Block)
	}
	none := func(n int) string {
		return fmt.Sprintf("made: not so: there is no such commitment in the state after block #%d", n)
	}
	other := hashed
	other.Hash[0] ^= 1
	claim("made", "made      "+words(other)+", pending after #102: "+none(102), "The queue has an entry, of another hash.", c.untrue(100, 116, MadeClaim{other, 102}))
	other = hashed
	other.Epoch++
	claim("made-epoch", "made      "+words(other)+", pending after #102: "+none(102), "The queue has the entry, of epoch 500, not 501.", c.untrue(100, 116, MadeClaim{other, 102}))
	other = hashed
	other.Block--
	claim("made-block", "made      "+words(other)+", pending after #102: "+none(102), "The queue has the entry, made in 102, not in 101.", c.untrue(100, 116, MadeClaim{other, 102}))
	other = id
	other.Hotkey = hotkey(3)
	claim("made-hotkey", "made      "+words(other)+", pending after #102: "+none(102), "The queue, which all hotkeys share, has the entry, of another hotkey.", c.untrue(100, 116, MadeClaim{other, 102}))
	other = id
	other.Block--
	claim("made-timelocked-block", "made      "+words(other)+", pending after #102: "+none(102), "The queue has the entry, made in 102, not in 101.", c.untrue(100, 116, MadeClaim{other, 102}))
	other = id
	other.Hash[31] ^= 1
	claim("made-timelocked", "made      "+words(other)+", pending after #102: "+none(102), "The queue has no ciphertext of this hash.", c.untrue(100, 116, MadeClaim{other, 102}))
	claim("made-gone", "made      "+words(id)+", pending after #113: "+none(113), "It was in the queue until 111.", c.untrue(100, 116, MadeClaim{id, 113}))
	claim("revealed-row", "revealed  "+words(twice)+", revealed in #112: weights: not so: the weights of uid 3 after block #112 are not those committed: 0 weights there, 2 weights committed", "It opens, and the chain dropped it: the row is not there.", c.untrue(100, 116, RevealedClaim{twice, 112, nil}))
	claim("revealed-opened", "revealed  "+words(foreign)+", revealed in #112: opened: not so: wrong-hotkey: the payload was made for another hotkey than the one that committed it", "Its payload is not its hotkey's.", c.untrue(100, 116, RevealedClaim{foreign, 112, nil}))
	claim("revealed-unchanged", "revealed  "+words(empty)+", revealed in #112: weights: not so: the weights were the same before, and by the chain's rules this commitment was dropped: too-few-weights", "A row of no weights was committed, and that is what was there before and after.", c.untrue(100, 116, RevealedClaim{empty, 112, nil}))
	wrong := *c.shown
	wrong.Values = []uint16{7, 10}
	claim("revealed-shown", fmt.Sprintf("revealed  %s, revealed in #114: opened: not so: the weights shown have hash %s, committed is %s", words(hashed), commit.HashOf(hotkey(1), netuid, wrong.UIDs, wrong.Values, wrong.Salt, wrong.VersionKey).Short(), hashed.Hash.Short()), "The weights shown are not those of the hash: 10 for 9.", c.untrue(100, 116, RevealedClaim{hashed, 114, &wrong}))
	claim("revealed-yet", "revealed  "+words(hashed)+", revealed in #113: gone: not so: the commitment still stands in its queue after block #113", "It was revealed a block later.", c.untrue(100, 116, RevealedClaim{hashed, 113, c.shown}))
	claim("revealed-again", "revealed  "+words(hashed)+", revealed in #115: "+none(114), "It was revealed a block before.", c.untrue(100, 116, RevealedClaim{hashed, 115, c.shown}))
	claim("lost-reason", "lost      "+words(twice)+", lost in #112: no-permit: fate: not so: by the chain's rules it is: duplicate-uid", "It was lost for another reason.", c.untrue(100, 116, LostClaim{twice, 112, commit.NoPermit}))
	claim("lost-stored", "lost      "+words(id)+", lost in #112: no-permit: fate: not so: by the chain's rules it is: stored", "It was not lost.", c.untrue(100, 116, LostClaim{id, 112, commit.NoPermit}))
	claim("lost-expired", "lost      "+words(hashed)+", lost in #112: expired: fate: not so: after block #112 it can still be revealed", "Its epoch is the one it can be revealed in.", c.untrue(100, 116, LostClaim{hashed, 112, commit.Expired}))
	claim("lost-early", "lost      "+words(hashed)+", lost in #105: expired: fate: not so: after block #105 its time has not come", "Its epoch has not begun.", c.untrue(100, 116, LostClaim{hashed, 105, commit.Expired}))
	claim("lost-revealed", "lost      "+words(second)+", lost in #115: overtaken: fate: not so: by its queue before and after the block, it is: stored", "It is the one that was revealed.", c.untrue(100, 116, LostClaim{second, 115, commit.Overtaken}))
	claim("equal", "equal     "+words(twice)+", equal to the weights after #112: weights: not so: the weights of uid 3 after block #112 are not those committed: 0 weights there, 2 weights committed", "The row is not there.", c.untrue(100, 116, EqualClaim{twice, 111, 112, nil}))
	claim("equal-any-more", "equal     "+words(id)+", equal to the weights after #117: weights: not so: the weights of uid 0 after block #117 are not those committed: weight 0 is {2 65535} there, {1 21845} committed", "Other weights have been set since.", c.untrue(100, 117, EqualClaim{id, 102, 117, nil}))

	// The chain has no code, so that no call of it can be answered. What is executed is not for a corpus.
	call := CallClaim{Number: 102, Method: "Core_version", Code: verify.Blake2b256([]byte("code"))}
	add("not-call", "failed", "100", "FAIL  call      "+call.String()+": code: not so: there is no code after block #102", "A runtime's answer, on a chain whose state holds no runtime.", alter(c.make(100, 116, StorageClaim{102, [][]byte{append(subtensor.KeyCode(), 0)}}), func(x *Bundle) { x.Claims = []Claim{call} }))
	link := c.make(100, 116, HeaderClaim{102})
	add("call-missing", "undecided", "100", fmt.Sprintf("??    storage   %d nodes, %d bytes, 2 lookups: storage: not in the bundle: the state of block #102 lacks 1 key", len(link.Nodes), len(slices.Concat(link.Nodes...))), "Nothing of the state that is called is there.", alter(link, func(x *Bundle) { x.Claims = []Claim{call} }))

	// A pulse is missing, or another.
	add("revealed-pulse-missing", "undecided", "100", "??    revealed  "+words(id)+", revealed in #112: pulses: not in the bundle: the pulse missing: round 4,711", "All is there but the pulse.", alter(revealed, func(x *Bundle) { x.Pulses = nil }))
	pulses("revealed", "1 pulse of corpus: pulses: "+notOf("4,711"), "The signature of the next round in the place of the one the weights were sealed for.", alter(revealed, func(x *Bundle) { x.Pulses[0].Signature = c.pulse(4712).Signature }))

	// Under rules before spec 423 the epoch is (block + netuid + 1) / (tempo + 1): 131 / 11.
	legacy := idOfHash(1, c.legacy)
	legacy.Epoch = 11
	add("ok-made-legacy", "ok", "100", fmt.Sprintf("ok    made      %s: hash commitment %s made in #123 for epoch 11, pending after #124", who(1), legacy.Hash.Short()), "The runtime has spec 422, whose entries hold no epoch.", c.make(100, 124, MadeClaim{legacy, 124}).Encode())

	// What is not known.
	undecided := func(name, line, comment string, x *Bundle) {
		add("unknown-"+name, "undecided", "100", "??    "+line, comment, x.Encode())
	}
	c.assume = 425
	assumed := c.make(100, 121, WeightsClaim{netuid, 0, 121, 1})
	c.assume = 0
	undecided("rules", "weights   weights of uid 1 on subnet 7 after block #121: rules: block #121: unknown rules: spec 467 is outside the audited range 306 to 425", "Nobody has read the runtime of that block.", assumed)
	add("ok-rules-assumed", "ok", "100", "ok    weights   uid 1 on subnet 7 after block #121: 2 weights (spec 425 assumed for spec 467)", "The same, with the rules of a runtime that is known.", assumed.Encode())
	undecided("upgrade", "revealed  "+words(stale)+", revealed in #120: rules: unknown rules: the runtime changed from spec 425 to 424 in block #120 itself", "What block 120 found is not what was there after 119: the new runtime came first.", c.untrue(100, 120, RevealedClaim{stale, 120, c.shownStale}, StorageClaim{120, [][]byte{subtensor.KeyWeights(netuid, 2)}}))
	undecided("layout", "weights   weights of uid 1 on subnet 7 after block #126: layout: weights of uid 1: Weights: value is not laid out as expected: input too short: 1 elements of 4 bytes or more at offset 0, 0 bytes left", "The value is proven, and is no row of weights.", c.untrue(100, 126, WeightsClaim{netuid, 0, 126, 1}))
	undecided("unchanged", "revealed  "+words(late)+", revealed in #119: weights: proves nothing: the weights were the same before, and the commitment may have left its queue for another reason: expired", "The weights were set before, and the commitment was swept away.", c.untrue(100, 119, RevealedClaim{late, 119, c.shownLate}))
}

// quicknet1000 is round 1000 of the League of Entropy's quicknet, as its relays publish it.
const quicknet1000 = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"

// hashes returns the hashes of nodes.
func hashes(nodes [][]byte) map[verify.Hash]bool {
	m := map[verify.Hash]bool{}
	for _, n := range nodes {
		m[verify.Blake2b256(n)] = true
	}
	return m
}

// farVectors are of a chain with more than 2,400 blocks between a claim and the final block.
func farVectors(c *corpus, add addFunc) {
	x := c.make(100, 2_700, HeaderClaim{101})
	add("ok-station", "ok", "far-100", fmt.Sprintf("ok    header    block #101 is final: %s", c.header(101).Hash()), "Block 101 is linked by the state of 300, and that by the state of the final block, 2,700.", x.Encode())
	add("headers-station", "undecided", "far-100", "??    headers   each header is linked to the final block, and needed: headers: not in the bundle: block #300", "The station is left out.", alter(x, func(x *Bundle) { x.Headers = x.Headers[:1] }))
	add("headers-other-station", "failed", "far-100", "FAIL  headers   each header is linked to the final block, and needed: headers: block #301: not needed by any claim", "A station one block above the one that has to be taken.", alter(x, func(x *Bundle) { x.Headers[1] = c.header(301) }))
}
