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

// reversed returns the headers of a chain without its last, newest first: the ancestry of that last.
func reversed(chain []*verify.Header) []*verify.Header {
	list := slices.Clone(chain[:len(chain)-1])
	slices.Reverse(list)
	return list
}

func TestEvidence(t *testing.T) {
	const id = 6
	all := voters("a", 20)
	set := setOf(id, all)
	// Two chains part above block 99.
	root := at(99)
	a, b := blocks(root, 0, 5), blocks(root, 1, 5)
	side := func(chain []*verify.Header, signers []voter, round uint64) Proof {
		h := chain[len(chain)-1]
		return Proof{h, finalize(signers, h, round, id), reversed(chain)}
	}
	bare := func(h *verify.Header, signers []voter, round uint64) Proof {
		return Proof{Header: h, Justification: finalize(signers, h, round, id)}
	}
	first, last := all[:14], all[6:]

	for _, c := range []struct {
		name   string
		x, y   Proof
		set    *AuthoritySet
		want   error
		voters int // how many signed both
	}{
		{name: "one height, one round", x: bare(a[0], first, 5), y: bare(b[0], last, 5), voters: 8},
		{name: "one height, other rounds", x: bare(a[0], first, 5), y: bare(b[0], last, 6), voters: 8},
		{name: "one height, all signed both", x: bare(a[0], all, 5), y: bare(b[0], all, 5), voters: 20},
		{name: "one height higher up, with ancestry that nobody needs", x: side(a[:3], first, 5), y: side(b[:3], last, 5), voters: 8},
		{name: "one above", x: bare(a[0], first, 5), y: bare(b[1], last, 6), voters: 8},
		{name: "one above, with its ancestry", x: bare(a[0], first, 5), y: side(b[:2], last, 6), voters: 8},
		{name: "four above", x: bare(a[0], first, 5), y: side(b, last, 6), voters: 8},
		{name: "two above", x: side(a[:3], first, 5), y: side(b, last, 6), voters: 8},
		{name: "votes above the targets", x: Proof{Header: a[0], Justification: justify(a[0], 5, ballot(first, a[1], 5, id), a[1])}, y: bare(b[0], last, 5), voters: 8},

		{name: "the same block", x: bare(a[0], first, 5), y: bare(a[0], last, 5), want: ErrNoConflict},
		{name: "parent and child", x: bare(a[0], first, 5), y: bare(a[1], last, 6), want: ErrNoConflict},
		{name: "ancestor and descendant", x: bare(a[0], first, 5), y: side(a, last, 6), want: ErrNoConflict},
		{name: "ancestry missing", x: bare(a[0], first, 5), y: bare(b[4], last, 6), want: ErrAncestry},
		{name: "ancestry too short", x: bare(a[0], first, 5), y: Proof{b[4], finalize(last, b[4], 6, id), []*verify.Header{b[3], b[2]}}, want: ErrAncestry},
		{name: "ancestry with a hole", x: bare(a[0], first, 5), y: Proof{b[4], finalize(last, b[4], 6, id), []*verify.Header{b[3], b[1]}}, want: ErrAncestry},
		{name: "ancestry in the other order", x: bare(a[0], first, 5), y: Proof{b[4], finalize(last, b[4], 6, id), b[1:4]}, want: ErrAncestry},
		{name: "ancestry of the other chain", x: bare(a[0], first, 5), y: Proof{b[4], finalize(last, b[4], 6, id), reversed(a)}, want: ErrAncestry},
		{name: "justification of another header", x: Proof{Header: a[0], Justification: finalize(first, a[1], 5, id)}, y: bare(b[0], last, 5), want: ErrTarget},
		{name: "lower side not final", x: bare(a[0], all[:13], 5), y: bare(b[1], last, 5), want: ErrThreshold},
		{name: "higher side not final", x: bare(a[0], first, 5), y: bare(b[1], all[:13], 5), want: ErrThreshold},
		{name: "strangers", x: bare(a[0], first, 5), y: bare(b[0], voters("stranger", 20), 5), want: ErrSigner},
		{name: "other set", x: bare(a[0], first, 5), y: bare(b[0], last, 5), set: setOf(id+1, all), want: ErrSignature},
		{name: "a side is missing", x: bare(a[0], first, 5), y: Proof{}, want: ErrTarget},
		{name: "a justification is missing", x: Proof{Header: a[0]}, y: bare(b[0], last, 5), want: ErrTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.set
			if s == nil {
				s = set
			}
			e, err := NewEvidence(s, c.x, c.y)
			if !errors.Is(err, c.want) || err != nil && !strings.HasPrefix(err.Error(), "evidence: ") {
				t.Errorf("%v; want %v", err, c.want)
			}
			// Neither side comes first: the other order gives the same.
			f, err := NewEvidence(s, c.y, c.x)
			if !errors.Is(err, c.want) {
				t.Errorf("in the other order: %v; want %v", err, c.want)
			}
			if c.want != nil {
				if e != nil || f != nil {
					t.Error("evidence beside an error")
				}
				return
			}
			enc := e.Append(nil)
			if !bytes.Equal(enc, f.Append(nil)) {
				t.Error("the order of the sides shows")
			}
			back, err := DecodeEvidence(enc)
			if err != nil || !bytes.Equal(back.Append(nil), enc) {
				t.Fatalf("does not survive: %v", err)
			}
			if err := back.Verify(set); err != nil {
				t.Error(err)
			}
			if got := back.Voters(); len(got) != c.voters || len(got) < 7 {
				t.Errorf("%d voters signed both, want %d", len(got), c.voters)
			}
			if err := back.Verify(setOf(id+1, all)); !errors.Is(err, ErrSetID) {
				t.Errorf("under another set: %v", err)
			}
			if err := back.Verify(setOf(id, voters("stranger", 20))); !errors.Is(err, ErrSigner) {
				t.Errorf("under strangers: %v", err)
			}
		})
	}
}

// Evidence has one form: what NewEvidence would not make, Verify refuses.
func TestEvidenceForm(t *testing.T) {
	all := voters("a", 4)
	set := setOf(6, all)
	root := at(99)
	a, b := blocks(root, 0, 3), blocks(root, 1, 3)
	proof := func(h *verify.Header, ancestry ...*verify.Header) Proof {
		return Proof{h, finalize(all, h, 5, 6), ancestry}
	}
	same := []Proof{proof(a[0]), proof(b[0])}
	if !ordered(&same[0], &same[1]) {
		same[0], same[1] = same[1], same[0]
	}
	for _, c := range []struct {
		name      string
		low, high Proof
		want      error
	}{
		{"good", proof(a[0]), proof(b[2], b[1]), nil},
		{"sides exchanged", proof(b[2], b[1]), proof(a[0]), ErrNoConflict},
		{"sides of one height", same[0], same[1], nil},
		{"sides of one height exchanged", same[1], same[0], ErrNoConflict},
		{"twice the same", same[0], same[0], ErrNoConflict},
		{"ancestry on the lower side", proof(a[1], a[0]), proof(b[2]), ErrUnusedAncestry},
		{"ancestry on a side of one height", same[0], Proof{same[1].Header, same[1].Justification, []*verify.Header{root}}, ErrUnusedAncestry},
		{"ancestry too long", proof(a[0]), proof(b[2], b[1], b[0]), ErrUnusedAncestry},
		{"ancestry too short", proof(a[0]), proof(b[2]), ErrAncestry},
	} {
		e := &Evidence{SetID: 6, Low: c.low, High: c.high}
		if err := e.Verify(set); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", c.name, err, c.want)
		}
	}
	// A header whose number does not follow its parent's: it names 103, its parent is 101.
	odd := block(b[1], 9)
	odd.Number++
	e := &Evidence{SetID: 6, Low: proof(a[0]), High: proof(odd, b[1])}
	if err := e.Verify(set); !errors.Is(err, ErrAncestry) {
		t.Errorf("number gap: %v", err)
	}
}

func TestDecodeEvidence(t *testing.T) {
	all := voters("a", 4)
	a, b := blocks(at(99), 0, 1), blocks(at(99), 1, 3)
	e, err := NewEvidence(setOf(6, all), Proof{a[0], finalize(all, a[0], 5, 6), nil}, Proof{b[2], finalize(all, b[2], 6, 6), reversed(b)})
	if err != nil {
		t.Fatal(err)
	}
	good := e.Append(nil)
	for n := range good {
		if _, err := DecodeEvidence(good[:n]); !errors.Is(err, scale.ErrShort) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if _, err := DecodeEvidence(append(bytes.Clone(good), 0)); !errors.Is(err, scale.ErrTrailing) {
		t.Error(err)
	}
	if _, err := DecodeEvidence(make([]byte, MaxEvidenceSize+1)); !errors.Is(err, scale.ErrRange) {
		t.Error(err)
	}
	for at := range good {
		changed := bytes.Clone(good)
		changed[at] ^= 1
		d, err := DecodeEvidence(changed)
		if err == nil {
			err = d.Verify(setOf(6, all))
		}
		if err == nil {
			t.Fatalf("byte %d changed, and it still verifies", at)
		}
	}
}
