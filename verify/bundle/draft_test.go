package bundle

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/subtensor"
)

// TestDraft: what a maker is asked for, and how often; that more than it asked for does no harm; and that the
// bundle depends on neither.
func TestDraft(t *testing.T) {
	s := newScene(t, "draft")
	claims := s.claims()
	d, err := s.draft(s.head(), claims...)
	if err != nil {
		t.Fatal(err)
	}
	wants, err := d.Missing()
	if err != nil {
		t.Fatal(err)
	}
	last := uint32(0)
	for _, w := range wants {
		if w.Number <= last {
			t.Errorf("block %d after %d", w.Number, last)
		}
		last = w.Number
		if w.Header == (w.Number == s.head()) {
			t.Errorf("block %d: header %v", w.Number, w.Header)
		}
		if !slices.IsSortedFunc(w.Keys, bytes.Compare) {
			t.Errorf("block %d: keys are out of order", w.Number)
		}
	}
	if err := d.AddProof(s.made, nil); !errors.Is(err, ErrNotNeeded) {
		t.Errorf("proof before its header: %v", err)
	}
	if err := d.AddHeader(s.header(s.made + 2)); !errors.Is(err, ErrNotNeeded) {
		t.Errorf("header that is not needed: %v", err)
	}
	if err := d.AddHeader(nil); !errors.Is(err, ErrNotNeeded) {
		t.Errorf("no header: %v", err)
	}
	rounds, err := s.fill(d)
	if err != nil {
		t.Fatal(err)
	}
	// Headers and first keys, what these lead to (uids, sizes), rows.
	if rounds > 4 {
		t.Errorf("asked %d times", rounds)
	}
	other := *s.header(s.made)
	other.StateRoot[0] ^= 1
	if err := d.AddHeader(&other); !errors.Is(err, ErrConflict) {
		t.Errorf("another header: %v", err)
	}
	if err := d.AddProof(s.made, [][]byte{make([]byte, 31)}); err == nil {
		t.Error("a small node is taken")
	}
	x, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	want := x.Encode()

	// In another order, with more of everything than was asked for.
	rng := rand.New(rand.NewPCG(1, 2))
	shuffled := slices.Concat(claims, claims[:3])
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if d, err = s.draft(s.head(), shuffled...); err != nil {
		t.Fatal(err)
	}
	for _, n := range d.plan {
		if err := d.AddHeader(s.header(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range append(slices.Clone(d.plan), s.head()) {
		state := s.states[n-s.first]
		nodes := state.Prove(state.Keys(nil, nil, 0)...)
		rng.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		nodes = append(nodes, bytes.Repeat([]byte{9}, 40))
		if err := d.AddProof(n, nodes); err != nil {
			t.Fatal(err)
		}
	}
	for r := uint64(round - 2); r < round+2; r++ {
		if err := d.AddPulse(s.pulse(r)); err != nil {
			t.Fatal(err)
		}
	}
	if wants, err := d.Missing(); len(wants) != 0 || err != nil {
		t.Errorf("wants %v, %v", wants, err)
	}
	y, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(y.Encode(), want) {
		t.Error("another bundle")
	}
}

// TestMinimal: a bundle without any one of its nodes, headers and pulses is not proven, and a draft that lacks one
// asks for it.
func TestMinimal(t *testing.T) {
	s := newScene(t, "minimal")
	x := s.make(s.head(), RevealedClaim{idOf(s.sealed, epoch), s.revealed, nil}, WeightsClaim{netuid, 0, s.shown, -1})
	for i := range x.Nodes {
		y := copyOf(t, x)
		y.Nodes = slices.Delete(y.Nodes, i, i+1)
		if r := s.verify(y); r.Outcome != fact.Undecided {
			t.Errorf("without node %d:\n%s", i, r)
		}
	}
	y := copyOf(t, x)
	y.Pulses = nil
	if r := s.verify(y); r.Outcome != fact.Undecided {
		t.Errorf("without pulses:\n%s", r)
	}
}

// TestLyingPeers: a draft that is given what is not so never makes a bundle of it.
func TestLyingPeers(t *testing.T) {
	s := newScene(t, "lies")
	claim := MadeClaim{idOf(s.sealed, epoch), s.made}
	d, err := s.draft(s.head(), claim)
	if err != nil {
		t.Fatal(err)
	}
	// A header with a state of the liar's own.
	state := s.states[s.made-s.first].Put(subtensor.KeyUids(netuid, hotkey(0)), []byte{3, 0})
	h := *s.header(s.made)
	h.StateRoot = state.Root()
	if err := d.AddHeader(&h); err != nil {
		t.Fatal(err)
	}
	if err := d.AddProof(s.made, state.Prove(state.Keys(nil, nil, 0)...)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bundle(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("unlinked: %v", err)
	}
	if err := d.AddProof(s.head(), s.states[s.head()-s.first].Prove(subtensor.KeyBlockHash(s.made))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bundle(); !errors.Is(err, ErrConflict) {
		t.Errorf("linked: %v", err)
	}

	// Votes that are not enough.
	few := s.voted(s.header(s.head()), 0, 13)
	if d, err = NewDraft(s.genesis, s.root(s.first), s.start(s.first), nil, few, []Claim{claim}, DraftOptions{Beacon: s.beacon}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.fill(d); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bundle(); !errors.Is(err, grandpa.ErrThreshold) {
		t.Errorf("13 of 20 votes: %v", err)
	}
}

func TestNewDraft(t *testing.T) {
	c := longChain(t, "drafts")
	claim := []Claim{HeaderClaim{130}}
	for _, tc := range []struct {
		name      string
		root      RootRef
		start     grandpa.Finalized
		fragments []grandpa.Fragment
		final     grandpa.Fragment
		claims    []Claim
		is        error
	}{
		{"as it should be", c.root(100), c.start(100), c.fragments(100, 135), c.final(135), claim, nil},
		{"from a change", c.root(120), c.start(120), c.fragments(120, 135), c.final(135), claim, nil},
		{"no start", c.root(100), grandpa.Finalized{}, nil, c.final(135), claim, ErrForm},
		{"no final block", c.root(100), c.start(100), nil, grandpa.Fragment{}, claim, ErrForm},
		{"start that is not the root", c.root(101), c.start(100), c.fragments(100, 135), c.final(135), claim, ErrConflict},
		{"a change is missing", c.root(100), c.start(100), c.fragments(110, 135), c.final(135), claim, ErrVotes},
		{"a change too many", c.root(110), c.start(110), c.fragments(100, 135), c.final(135), claim, ErrVotes},
		{"final at the root", c.root(135), c.start(135), nil, c.final(135), claim, ErrForm},
		{"claim above the final block", c.root(100), c.start(100), c.fragments(100, 135), c.final(135), []Claim{HeaderClaim{136}}, ErrClaim},
		{"claim that cannot be", c.root(100), c.start(100), c.fragments(100, 135), c.final(135), []Claim{PulseClaim{0}}, ErrClaim},
		{"no claims", c.root(100), c.start(100), c.fragments(100, 135), c.final(135), nil, ErrForm},
		{"a claim that is none", c.root(100), c.start(100), c.fragments(100, 135), c.final(135), []Claim{nil}, ErrForm},
	} {
		if _, err := NewDraft(c.genesis, tc.root, tc.start, tc.fragments, tc.final, tc.claims, DraftOptions{}); !errors.Is(err, tc.is) || tc.is == nil && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
