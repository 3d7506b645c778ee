package fact

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// No real warp response can be had offline, so a chain is made: sets of four keys that change at
// block 100, 200 and 300, and blocks finalized under them.
const voters = 4

func voterKey(set, i int) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(set), byte(i)}, 16))
}

func voterSet(set int) grandpa.AuthoritySet {
	s := grandpa.AuthoritySet{ID: uint64(set)}
	for i := range voters {
		s.Authorities = append(s.Authorities, grandpa.Authority{ID: grandpa.AuthorityID(voterKey(set, i).Public().(ed25519.PublicKey)), Weight: 1})
	}
	return s
}

// block returns a header, which announces a set if next is not 0.
func block(number uint32, next int) *verify.Header {
	h := &verify.Header{ParentHash: verify.Hash{byte(number)}, Number: number}
	h.Digest = []verify.DigestItem{{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: scale.AppendU64(nil, uint64(number))}}
	if next != 0 {
		data := scale.AppendU32(grandpa.AppendAuthorities([]byte{1}, voterSet(next).Authorities), 0)
		h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineGrandpa, Data: data})
	}
	h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestSeal, Engine: verify.EngineAura, Data: make([]byte, 64)})
	return h
}

// finalize returns a fragment for h, signed by the first n voters of a set.
func finalize(h *verify.Header, set, n int) grandpa.Fragment {
	j := &grandpa.Justification{Round: 9, Commit: grandpa.Commit{TargetHash: h.Hash(), TargetNumber: h.Number}}
	for i := range n {
		p := grandpa.Precommit{TargetHash: h.Hash(), TargetNumber: h.Number, ID: voterSet(set).Authorities[i].ID}
		payload := grandpa.PrecommitPayload(p.TargetHash, p.TargetNumber, j.Round, uint64(set))
		copy(p.Signature[:], ed25519.Sign(voterKey(set, i), payload[:]))
		j.Commit.Precommits = append(j.Commit.Precommits, p)
	}
	return grandpa.Fragment{Header: h, Justification: j}
}

func warpRecord(finished bool, fragments ...grandpa.Fragment) record {
	root, set := block(100, 2), voterSet(1)
	p := grandpa.WarpProof{Fragments: fragments, Finished: finished}
	return record{
		"checkpoint": map[string]any{"finalizedBlockHeader": hexOf(root.Encode()), "grandpaAuthoritySet": hexOf(set.Append(nil))},
		"proof":      hexOf(p.Append(nil)),
	}
}

func TestWarp(t *testing.T) {
	a, b, c := finalize(block(200, 3), 2, voters), finalize(block(300, 4), 3, voters), finalize(block(333, 0), 4, voters)
	good := warpRecord(true, a, b, c)
	target := c.Header.Hash().String()
	root := block(100, 2)
	own := judge(t, "warp", good)
	if own.Outcome != OK || own.Get("number") != uint64(333) || own.Get("hash") != target || own.Get("set_id") != uint64(4) ||
		own.Get("fragments") != uint64(3) || own.Get("verified") != uint64(3) || own.Get("finished") != true || own.Get("from_set_id") != uint64(2) {
		t.Errorf("%v", own)
	}
	for _, tt := range []struct {
		name string
		r    record
		want Outcome
		step string
	}{
		{"stated results", good.with("number", 333, "hash", target, "set_id", 4, "block_hash", target, "block_number", 333), OK, ""},
		{"the checkpoint's block", good.with("block_hash", root.Hash().String(), "block_number", 100), OK, ""},
		{"another block_hash", good.with("block_hash", a.Header.Hash().String()), Failed, "block_hash: "},
		{"another block_number", good.with("block_number", 200), Failed, "block_number: "},
		{"another number", good.with("number", 300), Failed, "number: "},
		{"another hash", good.with("hash", root.Hash().String()), Failed, "hash: "},
		{"another set_id", good.with("set_id", 3), Failed, "set_id: "},
		{"unfinished", warpRecord(false, a, b), OK, ""},
		{"unfinished without change", warpRecord(false, a, b, c), Failed, "verify: warp proof: fragment 2: "},
		{"three of four", warpRecord(true, finalize(block(120, 0), 2, 3)), OK, ""},
		{"two of four", warpRecord(true, finalize(block(120, 0), 2, 2)), Failed, "verify: warp proof: fragment 0: justification: not enough votes"},
		{"set that signed the checkpoint", warpRecord(true, finalize(block(120, 0), 1, voters)), Failed, "verify: "},
		{"a fragment left out", warpRecord(true, a, c), Failed, "verify: warp proof: fragment 1: "},
		{"the wrong way round", warpRecord(true, b, a), Failed, "verify: warp proof: fragment 0: "},
		{"a fragment twice", warpRecord(true, a, a, b), Failed, "verify: warp proof: fragment 1: "},
		{"not newer", warpRecord(true, finalize(block(99, 0), 2, voters)), Failed, "verify: "},
		{"nothing newer", warpRecord(true), OK, ""},
		{"nothing, unfinished", warpRecord(false), Failed, "verify: "},
		{"header of another block", warpRecord(true, grandpa.Fragment{Header: block(121, 0), Justification: finalize(block(120, 0), 2, voters).Justification}), Failed, "verify: "},
		{"no proof", good.with("proof", drop), Undecided, "proof: "},
		{"nothing at all", record{}, Failed, "input: checkpoint: missing"},
		{"proof cut", good.with("proof", good["proof"].(string)[:300]), Failed, "decode: "},
		{"proof and a byte", good.with("proof", good["proof"].(string)+"00"), Failed, "decode: "},
		{"proof is a list", good.with("proof", []any{}), Failed, "input: proof"},
		{"built-in checkpoint", good.with("checkpoint", drop), Failed, "verify: "},
		{"built-in checkpoint without a header", good.with("checkpoint", drop, "network", "test"), Undecided, "checkpoint: "},
		{"no such network", good.with("checkpoint", drop, "network", "nowhere"), Undecided, "checkpoint: "},
		{"checkpoint is a word", good.with("checkpoint", "x"), Failed, "checkpoint: "},
		{"checkpoint without set", good.with("checkpoint", map[string]any{"finalizedBlockHeader": hexOf(root.Encode())}), Failed, "checkpoint: "},
	} {
		expect(t, tt.name, "warp", tt.r, tt.want, tt.step)
	}
	// What comes before a bad fragment is told, and is no success.
	v := judge(t, "warp", warpRecord(true, a, c))
	if v.Get("verified") != uint64(1) || v.Get("proven_number") != uint64(200) {
		t.Errorf("%v", v)
	}
	// Every changed byte of a short proof.
	short := warpRecord(true, finalize(block(120, 0), 2, 3))
	proof := short.bytes(t, "proof")
	for i := range proof {
		proof[i] ^= 1
		if v := judge(t, "warp", short.with("proof", hexOf(proof))); v.Outcome != Failed {
			t.Errorf("byte %d of %d: %v", i, len(proof), v)
		}
		proof[i] ^= 1
	}
}

func ExampleCheck() {
	a, b := finalize(block(200, 3), 2, voters), finalize(block(300, 0), 3, voters)
	v := Check("warp", []byte(fmt.Sprintf(`{
		"checkpoint": {"finalizedBlockHeader": "%x", "grandpaAuthoritySet": "%x"},
		"proof": "%x"
	}`, block(100, 2).Encode(), setBytes(1), proofBytes(a, b))), Options{})
	fmt.Println(v.Outcome, v.Get("verified"), v.Get("number"), v.Get("set_id"))
	// Output: ok 2 300 3
}

func setBytes(id int) []byte {
	s := voterSet(id)
	return s.Append(nil)
}

func proofBytes(fragments ...grandpa.Fragment) []byte {
	p := grandpa.WarpProof{Fragments: fragments, Finished: true}
	return p.Append(nil)
}
