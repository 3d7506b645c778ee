package grandpa

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// lookup returns a function that finds the given headers by hash.
func lookup(headers ...*verify.Header) func(verify.Hash) *verify.Header {
	known := make(map[verify.Hash]*verify.Header)
	for _, h := range headers {
		known[h.Hash()] = h
	}
	return func(hash verify.Hash) *verify.Header { return known[hash] }
}

func TestCommitMessage(t *testing.T) {
	const round, id = 77, 6
	all := voters("a", 20)
	set := setOf(id, all)
	target := at(100)
	up := blocks(target, 0, 3)
	aside := blocks(at(99), 2, 2)
	message := func(votes []Precommit) *CommitMessage {
		return &CommitMessage{Round: round, SetID: id, Commit: Commit{target.Hash(), 100, votes}}
	}
	exact := ballot(all[:14], target, round, id)
	spread := join(ballot(all[:7], target, round, id), ballot(all[7:14], up[2], round, id))

	for _, c := range []struct {
		name   string
		m      *CommitMessage
		set    *AuthoritySet
		header func(verify.Hash) *verify.Header
		want   error
		place  string
	}{
		{name: "votes for the target need no headers", m: message(exact)},
		{name: "votes above, headers held", m: message(spread), header: lookup(up...)},
		{name: "votes above, more headers held", m: message(spread), header: lookup(joinHeaders(up, aside, []*verify.Header{target})...)},
		{name: "votes above, none held", m: message(spread), want: ErrAncestry, place: "precommit 7: "},
		{name: "votes above, one missing", m: message(spread), header: lookup(up[0], up[2]), want: ErrAncestry, place: "block 102"},
		{name: "empty", m: message(nil), want: ErrThreshold},
		{name: "13 of 20", m: message(exact[:13]), want: ErrThreshold},
		{name: "set before", m: message(exact), set: setOf(id-1, all), want: ErrSetID, place: "for set 6, not 5"},
		{name: "set after", m: message(exact), set: setOf(id+1, all), want: ErrSetID},
		{name: "names our set, signed for another", m: message(ballot(all[:14], target, round, id-1)), want: ErrSignature},
		{name: "names our round, signed for another", m: message(ballot(all[:14], target, round+1, id)), want: ErrSignature},
		{name: "signer not in the set", m: message(append(slices.Clone(exact), voters("stranger", 1)[0].vote(target, round, id))), want: ErrSigner, place: "precommit 14"},
		{name: "vote on a fork", m: message(append(slices.Clone(exact), all[14].vote(aside[1], round, id))), header: lookup(aside...), want: ErrTarget},
		{name: "equivocator counts once", m: message(append(exact[:13:13], all[0].vote(up[0], round, id))), header: lookup(up...), want: ErrThreshold},
		// The caller's headers are not trusted to be what was asked for.
		{name: "lookup gives another header", m: message(spread), header: func(verify.Hash) *verify.Header { return up[0] }, want: ErrAncestry},
		{name: "lookup gives a made-up chain", m: message(append(slices.Clone(exact), all[14].sign(verify.Hash{1}, 101, round, id))),
			header: func(verify.Hash) *verify.Header { return &verify.Header{Number: 101, ParentHash: target.Hash()} }, want: ErrAncestry},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.set
			if s == nil {
				s = set
			}
			b := c.m.Append(nil)
			m, err := DecodeCommitMessage(b)
			if err != nil || !bytes.Equal(m.Append(nil), b) {
				t.Fatalf("does not survive: %v", err)
			}
			for _, m := range []*CommitMessage{c.m, m} {
				err := m.Verify(s, c.header)
				if !errors.Is(err, c.want) || err != nil && (!strings.Contains(err.Error(), c.place) || !strings.HasPrefix(err.Error(), "commit: ")) {
					t.Errorf("%v; want %v, %q", err, c.want, c.place)
				}
			}
			// As a justification it means the same.
			j, err := m.Justification(c.header)
			if err != nil {
				if c.want == nil || !errors.Is(err, c.want) {
					t.Errorf("justification: %v", err)
				}
				return
			}
			if s.ID != m.SetID { // a justification names no set, so its signatures fail
				return
			}
			if err := j.Verify(s); !errors.Is(err, c.want) {
				t.Errorf("as a justification: %v; want %v", err, c.want)
			}
			if back, err := DecodeJustification(j.Append(nil)); err != nil || !errors.Is(back.Verify(s), c.want) {
				t.Errorf("as a justification, decoded: %v", err)
			}
		})
	}

	low := message(append(slices.Clone(exact), all[14].vote(at(99), round, id)))
	if _, err := low.Justification(nil); !errors.Is(err, ErrTarget) {
		t.Errorf("vote below the target: %v", err)
	}
	far := message(append(slices.Clone(exact), all[14].sign(verify.Hash{1}, 100+MaxAncestry+1, round, id)))
	if _, err := far.Justification(func(verify.Hash) *verify.Header { t.Error("asked"); return nil }); !errors.Is(err, ErrAncestry) {
		t.Errorf("vote far above the target: %v", err)
	}
}

func joinHeaders(lists ...[]*verify.Header) (all []*verify.Header) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// The layout of the message, written out by hand.
func TestCommitMessageLayout(t *testing.T) {
	p := []Precommit{
		{verify.Hash{0x31}, 0x32, [64]byte{0x33}, AuthorityID{0x34}},
		{verify.Hash{0x41}, 0x42, [64]byte{0x43}, AuthorityID{0x44}},
	}
	m := &CommitMessage{Round: 0x11, SetID: 0x12, Commit: Commit{verify.Hash{0x21}, 0x22, p}}
	field := func(first byte, size int) []byte { return append([]byte{first}, make([]byte, size-1)...) }
	want := bytes.Join([][]byte{
		field(0x11, 8), field(0x12, 8), field(0x21, 32), field(0x22, 4),
		{8}, field(0x31, 32), field(0x32, 4), field(0x41, 32), field(0x42, 4),
		{8}, field(0x33, 64), field(0x34, 32), field(0x43, 64), field(0x44, 32),
	}, nil)
	if got := m.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestDecodeCommitMessage(t *testing.T) {
	head := make([]byte, 8+8+32+4)
	vector := func(n, size int) []byte { return append(scale.AppendCompact(nil, uint64(n)), make([]byte, n*size)...) }
	message := func(precommits, signatures int) []byte {
		return bytes.Join([][]byte{head, vector(precommits, 36), vector(signatures, 96)}, nil)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty vectors", message(0, 0), nil},
		{"one", message(1, 1), nil},
		{"as many as allowed", message(MaxPrecommits, MaxPrecommits), nil},
		{"one signature fewer", message(3, 2), scale.ErrShort},
		{"one signature more", message(3, 4), scale.ErrRange},
		{"no signatures", message(3, 0), scale.ErrShort},
		{"no signatures, but as many bytes", append(message(3, 0), make([]byte, 3*96)...), scale.ErrRange},
		{"no precommits", message(0, 3), scale.ErrRange},
		{"10,000", message(10_000, 10_000), scale.ErrRange},
		{"trailing byte", append(message(1, 1), 0), scale.ErrTrailing},
		{"2^30 precommits", append(bytes.Clone(head), 3, 0, 0, 0, 0x40), scale.ErrRange},
		{"precommits that are not there", append(bytes.Clone(head), 0x50, 0), scale.ErrShort},
	} {
		if _, err := DecodeCommitMessage(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", c.name, err, c.want)
		}
	}
	good := message(2, 2)
	for n := range good {
		if _, err := DecodeCommitMessage(good[:n]); !errors.Is(err, scale.ErrShort) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}
