package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// same checks that a justification survives its short form byte for byte, and the short form its encoding.
func same(t *testing.T, f grandpa.Fragment, set *grandpa.AuthoritySet) Fragment {
	t.Helper()
	short, err := NewFragment(f, set)
	if err != nil {
		t.Fatal(err)
	}
	b := short.append(nil)
	r := reader{Reader: scale.NewReader(b)}
	read := r.fragment()
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := read.Votes.check(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.append(nil), b) {
		t.Error("what was read encodes to something else")
	}
	j, err := read.Justification(set)
	if err != nil {
		t.Fatal(err)
	}
	if want := f.Justification.Append(nil); !bytes.Equal(j.Append(nil), want) {
		t.Errorf("rebuilt %x\nwant    %x", j.Append(nil), want)
	}
	return short
}

// TestShortVotes: 14 of 20 votes for one block, which as the chain has them are 1,894 bytes.
func TestShortVotes(t *testing.T) {
	c := newChain(t, "finney", 9_000_000, 20)
	f := c.final(c.block().Number)
	if n := len(f.Justification.Append(nil)); n < 1_890 || len(f.Justification.Commit.Precommits) != 14 {
		t.Fatalf("%d votes, %d bytes", len(f.Justification.Commit.Precommits), n)
	}
	short := same(t, f, c.sets[0])
	n := len(short.Votes.Append(nil))
	t.Logf("14 of 20 votes: %d bytes, as the chain has them %d; with the header %d", n, len(f.Justification.Append(nil)), len(short.append(nil)))
	if n > 1_000 || n != 4+1+1+14*65 {
		t.Errorf("%d bytes", n)
	}
}

// TestRecordedVotes: block 5,534,451 of the test network, signed by set 3.
func TestRecordedVotes(t *testing.T) {
	var v struct {
		BlockHash     verify.Hash `json:"block_hash"`
		SetID         uint64      `json:"set_id_signed"`
		Authorities   []grandpa.AuthorityID
		Justification string
	}
	b, err := os.ReadFile("../testdata/test-5534451-justification.json")
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := verify.ParseHex(v.Justification)
	if err != nil {
		t.Fatal(err)
	}
	j, err := grandpa.DecodeJustification(raw)
	if err != nil {
		t.Fatal(err)
	}
	set := &grandpa.AuthoritySet{ID: v.SetID}
	for _, id := range v.Authorities {
		set.Authorities = append(set.Authorities, grandpa.Authority{ID: id, Weight: 1})
	}
	// The record has no header, and the short form has one in place of the target: this stands for it.
	h := &verify.Header{Number: j.Commit.TargetNumber}
	stand := *j
	stand.Commit.TargetHash = h.Hash()
	stand.Commit.Precommits = cloned(j.Commit.Precommits)
	for i := range stand.Commit.Precommits {
		p := &stand.Commit.Precommits[i]
		if p.TargetHash != j.Commit.TargetHash {
			t.Fatal("the record has votes for other blocks")
		}
		p.TargetHash = h.Hash()
	}
	short := same(t, grandpa.Fragment{Header: h, Justification: &stand}, set)
	full, err := short.Justification(set)
	if err != nil {
		t.Fatal(err)
	}
	full.Commit.TargetHash = j.Commit.TargetHash
	for i := range full.Commit.Precommits {
		full.Commit.Precommits[i].TargetHash = j.Commit.TargetHash
	}
	if !bytes.Equal(full.Append(nil), raw) {
		t.Errorf("rebuilt %x\nwant    %x", full.Append(nil), raw)
	}
	if err := full.Verify(set); err != nil {
		t.Error(err)
	}
	t.Logf("%d votes: %d bytes, as recorded %d", len(j.Commit.Precommits), len(short.Votes.Append(nil)), len(raw))
}

func cloned(p []grandpa.Precommit) []grandpa.Precommit { return append([]grandpa.Precommit(nil), p...) }

// TestAncestryVotes: votes for descendants of the target, and both votes of one who voted twice.
func TestAncestryVotes(t *testing.T) {
	c := newChain(t, "x", 10, 4)
	target := c.block()
	one, two := c.block(), c.block()
	fork := &verify.Header{ParentHash: target.Hash(), Number: target.Number + 1, StateRoot: verify.Hash{9}}
	list, set := c.voters[0], c.sets[0]
	j := &grandpa.Justification{Round: 1 << 40, Ancestry: []*verify.Header{two, fork, one}}
	j.Commit = grandpa.Commit{TargetHash: target.Hash(), TargetNumber: target.Number, Precommits: []grandpa.Precommit{
		list[3].sign(two, j.Round, set.ID), list[0].sign(target, j.Round, set.ID), list[3].sign(fork, j.Round, set.ID), list[2].sign(one, j.Round, set.ID),
	}}
	if err := j.Verify(set); err != nil {
		t.Fatal(err)
	}
	f := grandpa.Fragment{Header: target, Justification: j}
	short := same(t, f, set)

	// A bundle whose final block has such votes.
	d, err := NewDraft(c.genesis, c.root(10), c.start(10), nil, f, []Claim{HeaderClaim{target.Number}}, DraftOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if x, err = Decode(x.Encode()); err != nil {
		t.Fatal(err)
	}
	wantOK(t, c.verify(x))

	// The same header twice would be two ways to name a target.
	twice := short.Votes
	twice.Ancestry = append(twice.Ancestry[:3:3], one)
	if err := twice.check(); !errors.Is(err, ErrForm) {
		t.Errorf("ancestry header twice: %v", err)
	}
	for name, change := range map[string]func(f *grandpa.Fragment){
		"no justification":  func(f *grandpa.Fragment) { f.Justification = nil },
		"no header":         func(f *grandpa.Fragment) { f.Header = nil },
		"another header":    func(f *grandpa.Fragment) { f.Header = one },
		"signer not in set": func(f *grandpa.Fragment) { f.Justification.Commit.Precommits[1].ID[0] ^= 1 },
		"target unknown":    func(f *grandpa.Fragment) { f.Justification.Commit.Precommits[0].TargetHash[0] ^= 1 },
		"number of target":  func(f *grandpa.Fragment) { f.Justification.Commit.Precommits[0].TargetNumber++ },
		"ancestry twice":    func(f *grandpa.Fragment) { f.Justification.Ancestry = append(f.Justification.Ancestry, one) },
	} {
		k, err := grandpa.DecodeJustification(j.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		f := grandpa.Fragment{Header: target, Justification: k}
		change(&f)
		if _, err := NewFragment(f, set); !errors.Is(err, ErrVotes) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, v := range map[string]Vote{"signer": {Signer: 4}, "target": {Target: 4}} {
		bad := short
		bad.Votes.List = []Vote{v}
		if _, err := bad.Justification(set); err == nil {
			t.Errorf("vote with a wrong %s is rebuilt", name)
		}
	}
}

func TestWarpProof(t *testing.T) {
	c := newChain(t, "warp", 50, 7)
	for i := range 3 {
		c.run(4)
		c.change = voters("warp next", 4+i)
		c.block()
	}
	c.run(3)
	x := c.make(c.head(), HeaderClaim{c.head()})
	if len(x.Fragments) != 3 {
		t.Fatalf("%d fragments", len(x.Fragments))
	}
	for from := c.first; from <= c.head(); from++ {
		p, err := x.WarpProof(c.start(from))
		if err != nil {
			t.Fatal(err)
		}
		to, n, err := p.Verify(c.start(from))
		if err != nil || to.Hash != c.header(c.head()).Hash() || n != len(p.Fragments) {
			t.Errorf("from %d: %d of %d fragments, %v", from, n, len(p.Fragments), err)
		}
	}
	all, _ := x.WarpProof(c.start(c.first))
	want := grandpa.WarpProof{Fragments: append(c.fragments(c.first, c.head()), c.final(c.head())), Finished: true}
	if !bytes.Equal(all.Append(nil), want.Append(nil)) {
		t.Error("another proof than the one that the bundle was made from")
	}
	if _, err := x.WarpProof(grandpa.Finalized{}); !errors.Is(err, ErrVotes) {
		t.Errorf("no start: %v", err)
	}
	// From a set that is too small for the signers.
	small := c.start(c.first)
	small.Set = *setOf(firstSet, c.voters[0][:2])
	if _, err := x.WarpProof(small); !errors.Is(err, grandpa.ErrSigner) {
		t.Errorf("another set: %v", err)
	}
}
