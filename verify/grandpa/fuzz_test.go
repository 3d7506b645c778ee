package grandpa

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/taolight/taolight/verify"
)

// The fuzz targets below give arbitrary bytes to a decoder. What decodes must encode to the same
// bytes, and be verified without a panic; and under authorities whose keys the fuzzer does not
// have, only what the seeds already prove may be proven.
//
// Signatures are only checked if each is one of the seeds': any other is refused by arithmetic that
// branches on every bit, which would make each input look new to the fuzzer and keep it from the
// rules. FuzzBatch is for that arithmetic.

// signed holds the votes that were really made, by their keys, messages and signatures.
type signed map[[sha256.Size]byte]bool

func voteKey(p *Precommit, round, setID uint64) [sha256.Size]byte {
	msg := PrecommitPayload(p.TargetHash, p.TargetNumber, round, setID)
	return sha256.Sum256(bytes.Join([][]byte{p.ID[:], msg[:], p.Signature[:]}, nil))
}

func (s signed) add(j *Justification, setID uint64) {
	for i := range j.Commit.Precommits {
		s[voteKey(&j.Commit.Precommits[i], j.Round, setID)] = true
	}
}

// has reports whether every vote of c was made in this round, in one of the sets first to last.
func (s signed) has(c *Commit, round, first, last uint64) bool {
	for i := range c.Precommits {
		found := false
		for id := first; id <= last; id++ {
			found = found || s[voteKey(&c.Precommits[i], round, id)]
		}
		if !found {
			return false
		}
	}
	return true
}

func FuzzDecodeJustification(f *testing.F) {
	b, _, set := recordedJustification(f)
	all := voters("a", 4)
	mine := setOf(6, all)
	target := at(100)
	up := blocks(target, 0, 2)
	made := signed{}
	for _, s := range []struct {
		j  func() (*Justification, error)
		id uint64
	}{
		{func() (*Justification, error) { return DecodeJustification(b) }, set.ID},
		{func() (*Justification, error) { return justify(target, 5, ballot(all, up[1], 5, 6), up...), nil }, 6},
		{func() (*Justification, error) {
			return justify(target, 5, append(ballot(all, target, 5, 6), all[0].vote(up[0], 5, 6)), up[0]), nil
		}, 6},
		{func() (*Justification, error) { return justify(target, 5, nil), nil }, 6},
	} {
		j, err := s.j()
		if err != nil {
			f.Fatal(err)
		}
		made.add(j, s.id)
		f.Add(j.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := DecodeJustification(b)
		if err != nil {
			return
		}
		if !bytes.Equal(j.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, j.Append(nil))
		}
		for _, set := range []*AuthoritySet{set, mine} {
			form := checkVotes(&j.Commit, set)
			if form == nil {
				form = j.checkAncestry()
			}
			if !made.has(&j.Commit, j.Round, set.ID, set.ID) {
				continue
			}
			if err := j.Verify(set); (err == nil) != (form == nil) {
				t.Fatalf("%x: %v, with good signatures and form %v", b, err, form)
			}
		}
	})
}

func FuzzDecodeCommitMessage(f *testing.F) {
	all := voters("a", 4)
	set := setOf(6, all)
	target := at(100)
	up := blocks(target, 0, 2)
	held := lookup(up...)
	made := signed{}
	for _, votes := range [][]Precommit{
		ballot(all, target, 5, 6),
		ballot(all, up[1], 5, 6),
		append(ballot(all, target, 5, 6), all[0].vote(up[0], 5, 6)),
		nil,
	} {
		m := &CommitMessage{Round: 5, SetID: 6, Commit: Commit{target.Hash(), 100, votes}}
		made.add(&Justification{Round: 5, Commit: m.Commit}, 6)
		f.Add(m.Append(nil))
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
			j, form := m.Justification(header)
			if form == nil {
				form = checkVotes(&m.Commit, set)
			}
			if !made.has(&m.Commit, m.Round, set.ID, set.ID) {
				continue
			}
			if err := m.Verify(set, header); (err == nil) != (form == nil && m.SetID == set.ID) {
				t.Fatalf("%x: %v, with good signatures and form %v", b, err, form)
			}
			if form == nil {
				if err := j.Verify(set); err != nil {
					t.Fatalf("%x as a justification: %v", b, err)
				}
			}
		}
	})
}

func FuzzDecodeWarpProof(f *testing.F) {
	h := newHistory(2)
	made := signed{}
	known := map[verify.Hash]bool{h.start.Hash: true}
	for i, g := range h.proof.Fragments {
		made.add(g.Justification, 6+uint64(i))
		known[g.Header.Hash()] = true
	}
	f.Add(h.proof.Append(nil))
	f.Add((&WarpProof{Fragments: h.proof.Fragments[:1]}).Append(nil))
	f.Add((&WarpProof{Fragments: h.proof.Fragments[1:], Finished: true}).Append(nil))
	f.Add([]byte{0, 1})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeWarpProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Append(nil), b) {
			t.Fatalf("%x encodes to %x", b, p.Append(nil))
		}
		for _, g := range p.Fragments {
			ScheduledChange(g.Header)
			if !made.has(&g.Justification.Commit, g.Justification.Round, 6, 8) {
				return
			}
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
	made := signed{}
	for _, sides := range [][2]Proof{
		{{a[0], finalize(all, a[0], 5, 6), nil}, {b[0], finalize(all, b[0], 5, 6), nil}},
		{{a[0], finalize(all, a[0], 5, 6), nil}, {b[2], finalize(all, b[2], 6, 6), reversed(b)}},
		{{a[1], finalize(all, a[1], 7, 6), nil}, {b[2], finalize(all, b[2], 6, 6), reversed(b)}},
	} {
		e, err := NewEvidence(set, sides[0], sides[1])
		if err != nil {
			f.Fatal(err)
		}
		made.add(e.Low.Justification, 6)
		made.add(e.High.Justification, 6)
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
		for _, p := range []*Proof{&e.Low, &e.High} {
			if !made.has(&p.Justification.Commit, p.Justification.Round, 6, 6) {
				return
			}
		}
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

// FuzzBatch: a batch with an arbitrary key and signature has the verdict of single verification.
func FuzzBatch(f *testing.F) {
	all := voters("a", 3)
	target := at(100)
	good := ballot(all, target, 5, 6)
	f.Add(good[0].ID[:], good[0].Signature[:])
	for _, e := range smallOrder(f) {
		f.Add(e[:], append(e[:], make([]byte, 32)...))
		f.Add(good[0].ID[:], append(e[:], good[0].Signature[32:]...))
	}
	f.Fuzz(func(t *testing.T, key, signature []byte) {
		if len(key) != 32 || len(signature) != 64 {
			return
		}
		odd := Precommit{target.Hash(), 100, [64]byte(signature), AuthorityID(key)}
		msg := PrecommitPayload(target.Hash(), 100, 5, 6)
		want := ed25519.VerifyWithOptions(key, msg[:], signature, &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215})
		for _, votes := range [][]Precommit{{odd}, {odd, good[1], good[2]}, {good[1], odd, odd}} {
			err := checkSignatures(&Commit{target.Hash(), 100, votes}, 5, &AuthoritySet{ID: 6})
			if (err == nil) != want {
				t.Fatalf("key %x, signature %x: %v in a batch of %d, alone %v", key, signature, err, len(votes), want)
			}
		}
	})
}
