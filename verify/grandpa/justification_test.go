package grandpa

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

func TestRecordedJustification(t *testing.T) {
	b, hash, set := recordedJustification(t)
	j, err := DecodeJustification(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(j.Append(nil), b) {
		t.Error("encodes to other bytes")
	}
	if c := &j.Commit; c.TargetHash != hash || c.TargetNumber != 5534451 || len(c.Precommits) != 5 || len(j.Ancestry) != 0 {
		t.Errorf("target %d, %v, %d precommits, %d headers", c.TargetNumber, c.TargetHash, len(c.Precommits), len(j.Ancestry))
	}
	if set.ID != 3 || len(set.Authorities) != 6 || set.Threshold() != 5 {
		t.Fatalf("set %d of %d, threshold %d", set.ID, len(set.Authorities), set.Threshold())
	}
	if err := j.Verify(set); err != nil {
		t.Error(err)
	}
	for _, id := range []uint64{2, 4, 0, 3 << 32} {
		if err := j.Verify(&AuthoritySet{ID: id, Authorities: set.Authorities}); !errors.Is(err, ErrSignature) {
			t.Errorf("set %d: %v", id, err)
		}
	}
	// It takes five of these six: without any one of the signers it is invalid.
	for i := range j.Commit.Precommits {
		fewer := *j
		fewer.Commit.Precommits = slices.Delete(slices.Clone(j.Commit.Precommits), i, i+1)
		if err := fewer.Verify(set); !errors.Is(err, ErrThreshold) {
			t.Errorf("without precommit %d: %v", i, err)
		}
	}
	// No byte of it can be changed.
	for at := range b {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			changed := bytes.Clone(b)
			changed[at] ^= mask
			j, err := DecodeJustification(changed)
			if err == nil {
				err = j.Verify(set)
			}
			if err == nil {
				t.Fatalf("byte %d with mask %#x changed, and it still verifies", at, mask)
			}
		}
	}
}

func TestJustification(t *testing.T) {
	const round, id = 77, 6
	all := voters("a", 20)
	set := setOf(id, all)
	strangers := voters("stranger", 2)

	// The target is block 100; 101 to 104 are above it, and so is another 101. Beside it is
	// another 100 with its own 101.
	parent := at(99)
	target := block(parent, 0)
	up := blocks(target, 0, 4)
	fork := blocks(target, 1, 2)
	aside := blocks(parent, 2, 2)

	votesOf := func(list []voter, h *verify.Header) []Precommit { return ballot(list, h, round, id) }
	good := votesOf(all[:14], target)
	with := func(i int, change func(p *Precommit)) []Precommit {
		votes := slices.Clone(good)
		change(&votes[i])
		return votes
	}
	payload := PrecommitPayload(target.Hash(), 100, round, id)
	payload[0] = 0 // finality_grandpa::Message::Prevote
	prevote := [64]byte(ed25519.Sign(all[5].key, payload[:]))

	many := make([]Precommit, 10_000)
	for i := range many {
		many[i] = good[0]
	}

	for _, c := range []struct {
		name  string
		j     *Justification
		set   *AuthoritySet // nil: set
		want  error
		place string
	}{
		// Threshold.
		{name: "14 of 20", j: justify(target, round, good)},
		{name: "20 of 20", j: justify(target, round, votesOf(all, target))},
		{name: "another 14 of 20", j: justify(target, round, votesOf(all[6:], target))},
		{name: "13 of 20", j: justify(target, round, votesOf(all[:13], target)), want: ErrThreshold, place: "weight 13 of 20, need 14"},
		{name: "none", j: justify(target, round, nil), want: ErrThreshold},
		{name: "5 of 6", j: justify(target, round, votesOf(all[:5], target)), set: setOf(id, all[:6])},
		{name: "4 of 6", j: justify(target, round, votesOf(all[:4], target)), set: setOf(id, all[:6]), want: ErrThreshold},
		{name: "3 of 4", j: justify(target, round, votesOf(all[:3], target)), set: setOf(id, all[:4])},
		{name: "2 of 3", j: justify(target, round, votesOf(all[:2], target)), set: setOf(id, all[:3]), want: ErrThreshold},
		{name: "1 of 1", j: justify(target, round, votesOf(all[:1], target)), set: setOf(id, all[:1])},

		// Weights: it is not heads that count. 10+1+1+1 = 13, of which 9 are needed.
		{name: "one heavy voter", j: justify(target, round, votesOf(all[:1], target)), set: weighted(set, 10, 1, 1, 1)},
		{name: "three light voters", j: justify(target, round, votesOf(all[1:4], target)), set: weighted(set, 10, 1, 1, 1), want: ErrThreshold, place: "weight 3 of 13, need 9"},
		{name: "8 of 12", j: justify(target, round, votesOf(all[:2], target)), set: weighted(set, 4, 4, 4), want: ErrThreshold},
		{name: "9 of 13", j: justify(target, round, votesOf(all[:2], target)), set: weighted(set, 4, 5, 4)},
		{name: "largest weight", j: justify(target, round, votesOf(all[:1], target)), set: weighted(set, math.MaxUint64)},
		{name: "largest weight, just enough", j: justify(target, round, votesOf(all[:1], target)), set: weighted(set, math.MaxUint64/3*2+1, math.MaxUint64/3-1)},
		{name: "largest weight, just too little", j: justify(target, round, votesOf(all[:1], target)), set: weighted(set, math.MaxUint64/3*2, math.MaxUint64/3), want: ErrThreshold},

		// The set itself.
		{name: "empty set", j: justify(target, round, nil), set: &AuthoritySet{ID: id}, want: ErrAuthorities},
		{name: "weight 0", j: justify(target, round, good), set: weighted(set, 1, 0, 1), want: ErrAuthorities, place: "authority 1"},
		{name: "weights overflow", j: justify(target, round, good), set: weighted(set, math.MaxUint64, 1), want: ErrAuthorities, place: "64 bits"},
		{name: "key twice in the set", j: justify(target, round, good), set: &AuthoritySet{id, append(slices.Clone(set.Authorities), set.Authorities[3])}, want: ErrAuthorities, place: "both authority 3 and 20"},

		// Signers.
		{name: "signer not in the set", j: justify(target, round, append(slices.Clone(good), strangers[0].vote(target, round, id))), want: ErrSigner, place: "precommit 14: " + strangers[0].id.String() + ": signer not in the set 6"},
		{name: "signer not in the set, first", j: justify(target, round, append([]Precommit{strangers[1].vote(target, round, id)}, good...)), want: ErrSigner, place: "precommit 0: "},
		{name: "all strangers", j: justify(target, round, votesOf(voters("stranger", 20), target)), want: ErrSigner},

		// Votes by one voter.
		{name: "same vote twice", j: justify(target, round, append(slices.Clone(good), good[0]))},
		{name: "same vote twice does not count twice", j: justify(target, round, append(slices.Clone(good[:13]), good[0])), want: ErrThreshold, place: "weight 13"},
		{name: "same vote three times", j: justify(target, round, append(slices.Clone(good), good[0], good[0])), want: ErrEquivocation, place: "precommit 15"},
		{name: "equivocation", j: justify(target, round, append(slices.Clone(good), all[0].vote(up[0], round, id)), up[0])},
		{name: "equivocation on two forks", j: justify(target, round, join(votesOf(all[1:14], target), votesOf(all[:1], up[0]), votesOf(all[:1], fork[0])), up[0], fork[0])},
		{name: "equivocator counts once", j: justify(target, round, append(slices.Clone(good[:13]), all[0].vote(up[0], round, id)), up[0]), want: ErrThreshold, place: "weight 13"},
		{name: "everybody equivocates", j: justify(target, round, join(votesOf(all, target), votesOf(all, up[0])), up[0])},
		{name: "three votes by one voter", j: justify(target, round, join(good, votesOf(all[:1], up[0]), votesOf(all[:1], up[1])), up[0], up[1]), want: ErrEquivocation, place: "precommit 15: " + all[0].id.String()},
		{name: "heavy equivocator counts once", j: justify(target, round, join(votesOf(all[:1], target), votesOf(all[:1], up[0])), up[0]), set: weighted(set, 5, 5), want: ErrThreshold, place: "weight 5 of 10"},
		{name: "10,000 precommits", j: justify(target, round, many), want: ErrEquivocation, place: "10000 precommits of 20"},

		// Signatures. Each is over the target, the number, the round and the set id.
		{name: "signature changed", j: justify(target, round, with(9, func(p *Precommit) { p.Signature[0] ^= 1 })), want: ErrSignature, place: "precommit 9: " + all[9].id.String()},
		{name: "second half changed", j: justify(target, round, with(13, func(p *Precommit) { p.Signature[40] ^= 1 })), want: ErrSignature, place: "precommit 13: "},
		{name: "two changed: the first is named", j: justify(target, round, func() []Precommit {
			v := with(11, func(p *Precommit) { p.Signature[3] ^= 1 })
			v[4].Signature[3] ^= 1
			return v
		}()), want: ErrSignature, place: "precommit 4: "},
		{name: "signature of another voter", j: justify(target, round, with(2, func(p *Precommit) { p.Signature = good[3].Signature })), want: ErrSignature, place: "precommit 2: "},
		{name: "signatures exchanged", j: justify(target, round, func() []Precommit {
			v := slices.Clone(good)
			v[2].Signature, v[3].Signature = v[3].Signature, v[2].Signature
			return v
		}()), want: ErrSignature, place: "precommit 2: "},
		{name: "prevote", j: justify(target, round, with(5, func(p *Precommit) { p.Signature = prevote })), want: ErrSignature, place: "precommit 5: "},
		{name: "one bad signature among more than enough", j: justify(target, round, append(votesOf(all[:19], target), Precommit{target.Hash(), target.Number, [64]byte{}, all[19].id})), want: ErrSignature, place: "precommit 19: "},
		{name: "round before", j: justify(target, round-1, good), want: ErrSignature, place: "round 76"},
		{name: "round after", j: justify(target, round+1, good), want: ErrSignature},
		{name: "set before", j: justify(target, round, good), set: setOf(id-1, all), want: ErrSignature, place: "set 5"},
		{name: "set after", j: justify(target, round, good), set: setOf(id+1, all), want: ErrSignature},
		{name: "round and set exchanged", j: justify(target, id, good), set: setOf(round, all), want: ErrSignature},
		{name: "one signed another round", j: justify(target, round, with(5, func(p *Precommit) { *p = all[5].vote(target, round+1, id) })), want: ErrSignature, place: "precommit 5: "},
		{name: "signed for another network's block", j: justify(target, round, with(5, func(p *Precommit) { p.Signature = all[5].vote(aside[0], round, id).Signature })), want: ErrSignature, place: "precommit 5: "},
		{name: "signed for another number", j: justify(target, round, with(5, func(p *Precommit) { p.Signature = all[5].sign(target.Hash(), 101, round, id).Signature })), want: ErrSignature, place: "precommit 5: "},

		// Targets.
		{name: "votes above the target", j: justify(target, round, join(votesOf(all[:5], target), votesOf(all[5:10], up[0]), votesOf(all[10:14], up[3])), up...)},
		{name: "all votes above the target", j: justify(target, round, votesOf(all[:14], up[1]), up[0], up[1])},
		{name: "votes on both forks above the target", j: justify(target, round, join(votesOf(all[:7], up[1]), votesOf(all[7:14], fork[1])), fork[1], up[0], up[1], fork[0])},
		{name: "ancestry in another order", j: justify(target, round, votesOf(all[:14], up[3]), up[2], up[0], up[3], up[1])},
		{name: "vote below the target", j: justify(target, round, append(slices.Clone(good), all[14].vote(parent, round, id))), want: ErrTarget, place: "precommit 14: "},
		{name: "vote below the target, with the header between", j: justify(target, round, append(slices.Clone(good), all[14].vote(parent, round, id)), target), want: ErrTarget},
		{name: "all votes below the target", j: justify(up[0], round, votesOf(all, target)), want: ErrTarget},
		{name: "target in the middle of the votes", j: justify(up[1], round, join(votesOf(all[:7], up[0]), votesOf(all[7:], up[3])), up[2], up[3]), want: ErrTarget},
		{name: "vote for another block of the same number", j: justify(target, round, append(slices.Clone(good), all[14].vote(aside[0], round, id))), want: ErrTarget, place: "precommit 14: "},
		{name: "vote on a fork beside the target", j: justify(target, round, append(slices.Clone(good), all[14].vote(aside[1], round, id)), aside[1]), want: ErrTarget, place: "does not descend"},
		{name: "real votes under another target", j: justify(aside[0], round, good), want: ErrTarget},
		{name: "target's hash with another number", j: &Justification{Round: round, Commit: Commit{target.Hash(), 99, good}}, want: ErrAncestry},
		{name: "vote's hash with a larger number", j: justify(target, round, append(slices.Clone(good), all[14].sign(up[0].Hash(), 102, round, id)), up[0]), want: ErrTarget, place: "has number 101, not 102"},
		{name: "vote for the target under a larger number", j: justify(target, round, append(slices.Clone(good), all[14].sign(target.Hash(), 101, round, id)), target), want: ErrTarget, place: "has number 100, not 101"},
		{name: "two numbers for one block", j: justify(target, round, append(votesOf(all[:14], up[1]), all[14].sign(up[0].Hash(), 102, round, id)), up[0], up[1]), want: ErrTarget, place: "has number 101, not 102"},
		{name: "vote too far above", j: justify(target, round, append(slices.Clone(good), all[14].sign(verify.Hash{1}, 100+MaxAncestry+1, round, id))), want: ErrAncestry, place: "at most"},
		{name: "largest number", j: justify(target, round, append(slices.Clone(good), all[14].sign(verify.Hash{1}, math.MaxUint32, round, id))), want: ErrAncestry},

		// Ancestry.
		{name: "ancestry missing", j: justify(target, round, votesOf(all[:14], up[1])), want: ErrAncestry, place: "precommit 0: "},
		{name: "one header missing", j: justify(target, round, votesOf(all[:14], up[3]), up[0], up[1], up[3]), want: ErrAncestry, place: "block 103"},
		{name: "header of the vote missing", j: justify(target, round, votesOf(all[:14], up[1]), up[0]), want: ErrAncestry, place: "block 102"},
		{name: "header of the target", j: justify(target, round, good, target), want: ErrUnusedAncestry, place: "ancestry header 0"},
		{name: "header below the target", j: justify(target, round, votesOf(all[:14], up[0]), up[0], target), want: ErrUnusedAncestry, place: "ancestry header 1"},
		{name: "header above all votes", j: justify(target, round, votesOf(all[:14], up[0]), up[0], up[1]), want: ErrUnusedAncestry, place: "ancestry header 1"},
		{name: "header of a fork", j: justify(target, round, votesOf(all[:14], up[0]), fork[0], up[0]), want: ErrUnusedAncestry, place: "ancestry header 0"},
		{name: "header that nobody needs", j: justify(target, round, good, at(5)), want: ErrUnusedAncestry},
		{name: "header twice", j: justify(target, round, votesOf(all[:14], up[0]), up[0], up[0]), want: ErrUnusedAncestry, place: "ancestry header 1"},
		{name: "number gap in the ancestry", j: func() *Justification {
			gap := block(up[0], 0)
			gap.Number = 105
			return justify(target, round, append(slices.Clone(good), all[14].vote(gap, round, id)), gap, up[0])
		}(), want: ErrTarget, place: "has number 101, not 104"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.set
			if s == nil {
				s = set
			}
			err := c.j.Verify(s)
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.place) {
				t.Errorf("%v; want %v, %q", err, c.want, c.place)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "justification: ") {
				t.Errorf("no place in %q", err)
			}
			// Its bytes mean the same.
			if len(c.j.Commit.Precommits) > MaxPrecommits {
				return
			}
			b := c.j.Append(nil)
			back, err := DecodeJustification(b)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.Append(nil), b) {
				t.Error("encodes to other bytes")
			}
			if err := back.Verify(s); !errors.Is(err, c.want) {
				t.Errorf("decoded: %v", err)
			}
		})
	}
}

// A lookup that never ends is left after as many steps as the numbers allow.
func TestWalkIsBounded(t *testing.T) {
	steps := 0
	c := &Commit{verify.Hash{1}, 10, []Precommit{{TargetHash: verify.Hash{2}, TargetNumber: 10 + MaxAncestry}}}
	number := c.Precommits[0].TargetNumber
	_, err := walk(c, func(hash verify.Hash) *verify.Header {
		steps++
		h := &verify.Header{Number: number, ParentHash: verify.Hash{byte(steps), byte(steps >> 8), 7}}
		number--
		return h
	})
	if !errors.Is(err, ErrTarget) || steps != MaxAncestry {
		t.Errorf("%d steps, %v", steps, err)
	}
	// Two blocks that are each other's parents.
	a, b := verify.Hash{2}, verify.Hash{3}
	steps = 0
	_, err = walk(c, func(hash verify.Hash) *verify.Header {
		steps++
		h := &verify.Header{ParentHash: a, Number: c.Precommits[0].TargetNumber}
		if hash == a {
			h.ParentHash = b
		} else {
			h.Number--
		}
		return h
	})
	if !errors.Is(err, ErrTarget) || steps > 3 {
		t.Errorf("cycle: %d steps, %v", steps, err)
	}
}

// Each header is looked up once, however many votes lie above it.
func TestWalkVisitsOnce(t *testing.T) {
	target := at(10)
	up := blocks(target, 0, 200)
	known := make(map[verify.Hash]*verify.Header)
	for _, h := range up {
		known[h.Hash()] = h
	}
	c := &Commit{TargetHash: target.Hash(), TargetNumber: 10}
	for _, h := range up {
		c.Precommits = append(c.Precommits, Precommit{TargetHash: h.Hash(), TargetNumber: h.Number}, Precommit{TargetHash: up[199].Hash(), TargetNumber: 210})
	}
	asked := 0
	path, err := walk(c, func(hash verify.Hash) *verify.Header { asked++; return known[hash] })
	if err != nil || len(path) != 200 || asked != 200 {
		t.Errorf("%d headers, asked %d times, %v", len(path), asked, err)
	}
}

func TestDecodeJustification(t *testing.T) {
	all := voters("a", 4)
	target := at(100)
	up := block(target, 0)
	good := justify(target, 9, ballot(all, up, 9, 6), up).Append(nil)
	for n := range good {
		if _, err := DecodeJustification(good[:n]); !errors.Is(err, scale.ErrShort) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	head := good[:8+32+4]
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"good", good, nil},
		{"trailing byte", append(bytes.Clone(good), 0), scale.ErrTrailing},
		{"no precommits, no headers", append(bytes.Clone(head), 0, 0), nil},
		{"10,000 precommits", append(scale.AppendCompact(bytes.Clone(head), 10_000), make([]byte, 10_000*precommitSize+1)...), scale.ErrRange},
		{"as many precommits as allowed", append(scale.AppendCompact(bytes.Clone(head), MaxPrecommits), make([]byte, MaxPrecommits*precommitSize+1)...), nil},
		{"2^30 precommits", append(bytes.Clone(head), 0x03, 0, 0, 0, 0x40), scale.ErrRange},
		{"precommits that are not there", append(bytes.Clone(head), 0x50), scale.ErrShort},
		{"count not in shortest form", append(bytes.Clone(head), 0x01, 0x00, 0x00), scale.ErrNonCanonical},
		{"2^30 headers", append(bytes.Clone(head), 0, 0x03, 0, 0, 0, 0x40), scale.ErrRange},
		{"headers that are not there", append(bytes.Clone(head), 0, 0x50), scale.ErrShort},
		{"bad header", append(append(bytes.Clone(head), 0, 4), (&verify.Header{Digest: []verify.DigestItem{{Type: 1}}}).Encode()...), verify.ErrDigest},
		{"too long", make([]byte, MaxJustificationSize+1), scale.ErrRange},
	} {
		if _, err := DecodeJustification(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", c.name, err, c.want)
		}
	}
}

func TestPrecommitPayload(t *testing.T) {
	got := PrecommitPayload(verify.Hash{0: 0xaa, 31: 0xbb}, 0x01020304, 0x1112131415161718, 0x2122232425262728)
	want := append([]byte{1, 0xaa}, make([]byte, 30)...)
	want = append(want, 0xbb, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21)
	if !bytes.Equal(got[:], want) {
		t.Errorf("%x, want %x", got, want)
	}
}
