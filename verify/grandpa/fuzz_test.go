package grandpa

import (
	"bytes"
	"testing"

	"github.com/taolight/taolight/verify"
)

// The fuzz targets below give arbitrary bytes to a decoder. What decodes must encode to the same
// bytes, and verify without a panic; and under authorities whose keys the fuzzer does not have,
// only what the seeds already prove may be proven.

func FuzzDecodeJustification(f *testing.F) {
	b, hash, set := recordedJustification(f)
	f.Add(b)
	all := voters("a", 4)
	target := at(100)
	up := blocks(target, 0, 2)
	mine := setOf(6, all)
	f.Add(justify(target, 5, ballot(all, up[1], 5, 6), up...).Append(nil))
	f.Add(justify(target, 5, append(ballot(all, target, 5, 6), all[0].vote(up[0], 5, 6)), up[0]).Append(nil))
	f.Add(justify(target, 5, nil).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := DecodeJustification(b)
		if err != nil {
			return
		}
		if !bytes.Equal(j.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, j.Append(nil))
		}
		if j.Verify(set) == nil && j.Commit.TargetHash != hash {
			t.Fatalf("%x verifies under the recorded set", b)
		}
		if j.Verify(mine) == nil && j.Commit.TargetHash != target.Hash() && j.Commit.TargetHash != up[0].Hash() && j.Commit.TargetHash != up[1].Hash() {
			t.Fatalf("%x verifies", b)
		}
	})
}

func FuzzDecodeCommitMessage(f *testing.F) {
	all := voters("a", 4)
	target := at(100)
	up := blocks(target, 0, 2)
	set := setOf(6, all)
	held := lookup(up...)
	for _, votes := range [][]Precommit{
		ballot(all, target, 5, 6),
		ballot(all, up[1], 5, 6),
		append(ballot(all, target, 5, 6), all[0].vote(up[0], 5, 6)),
		nil,
	} {
		f.Add((&CommitMessage{Round: 5, SetID: 6, Commit: Commit{target.Hash(), 100, votes}}).Append(nil))
	}
	b, _, recorded := recordedJustification(f)
	j, err := DecodeJustification(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add((&CommitMessage{Round: j.Round, SetID: recorded.ID, Commit: j.Commit}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeCommitMessage(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, m.Append(nil))
		}
		for _, header := range []func(verify.Hash) *verify.Header{nil, held} {
			err := m.Verify(set, header)
			if err == nil && m.Commit.TargetHash != target.Hash() && m.Commit.TargetHash != up[0].Hash() && m.Commit.TargetHash != up[1].Hash() {
				t.Fatalf("%x verifies", b)
			}
			// As a justification it has the same verdict, if the headers are there and it is
			// for our set at all.
			if j, jerr := m.Justification(header); jerr == nil && m.SetID == set.ID {
				if jerr = j.Verify(set); (jerr == nil) != (err == nil) {
					t.Fatalf("%x: commit %v, justification %v", b, err, jerr)
				}
			}
		}
	})
}

func FuzzDecodeWarpProof(f *testing.F) {
	h := newHistory(2)
	f.Add(h.proof.Append(nil))
	f.Add((&WarpProof{Fragments: h.proof.Fragments[:1]}).Append(nil))
	f.Add((&WarpProof{Fragments: h.proof.Fragments[1:], Finished: true}).Append(nil))
	f.Add([]byte{0, 1})
	f.Add([]byte{0, 0})
	known := map[verify.Hash]bool{h.start.Hash: true}
	for _, g := range h.proof.Fragments {
		known[g.Header.Hash()] = true
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeWarpProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, p.Append(nil))
		}
		to, n, err := p.Verify(h.start)
		if !known[to.Hash] || to.Hash != to.Header.Hash() || to.Header.Number < h.start.Header.Number {
			t.Fatalf("%x leads to block %d, %v", b, to.Header.Number, to.Hash)
		}
		if n > len(p.Fragments) || (n == 0) != (to.Hash == h.start.Hash) {
			t.Fatalf("%x: %d of %d fragments, %v", b, n, len(p.Fragments), err)
		}
	})
}

func FuzzDecodeEvidence(f *testing.F) {
	all := voters("a", 4)
	set := setOf(6, all)
	a, b := blocks(at(99), 0, 2), blocks(at(99), 1, 3)
	for _, sides := range [][2]Proof{
		{{a[0], finalize(all, a[0], 5, 6), nil}, {b[0], finalize(all, b[0], 5, 6), nil}},
		{{a[0], finalize(all, a[0], 5, 6), nil}, {b[2], finalize(all, b[2], 6, 6), reversed(b)}},
	} {
		e, err := NewEvidence(set, sides[0], sides[1])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvidence(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, e.Append(nil))
		}
		e.Voters()
		if e.Verify(set) != nil {
			return
		}
		if e.Low.Header.Hash() == e.High.Header.Hash() || len(e.Voters()) < 2 {
			t.Fatalf("%x verifies", b)
		}
		again, err := NewEvidence(set, e.High, e.Low)
		if err != nil || !bytes.Equal(again.Append(nil), b) {
			t.Fatalf("%x is not in the one form: %v", b, err)
		}
	})
}

// FuzzScheduledChange: a change is either refused or a set that can vote.
func FuzzScheduledChange(f *testing.F) {
	f.Add(scheduled(setOf(0, voters("a", 3)), 0).Data)
	f.Add([]byte{logForcedChange, 0, 0, 0, 0, 0})
	f.Add([]byte{logOnDisabled, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ScheduledChange(&verify.Header{Digest: []verify.DigestItem{grandpaLog(b)}})
		if err != nil || c == nil {
			return
		}
		s := &AuthoritySet{Authorities: c.Next}
		if err := s.Check(); err != nil || c.Delay != 0 || !bytes.Equal(scheduled(s, 0).Data, b) {
			t.Fatalf("%x: %v, delay %d", b, err, c.Delay)
		}
	})
}
