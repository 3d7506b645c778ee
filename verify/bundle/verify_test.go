package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// wantOK fails unless every line is OK.
func wantOK(t testing.TB, r *Report) {
	t.Helper()
	if r.Outcome != fact.OK {
		t.Errorf("report:\n%s", r)
	}
}

// A scene is a chain on which neuron 0 commits twice, timelocked and by hash, and both are revealed.
type scene struct {
	*chain
	sealed   subtensor.TimelockedCommit
	hashed   subtensor.HashCommit
	reveal   *Reveal
	made     uint32 // block of both commits
	revealed uint32 // block of the timelocked reveal
	shown    uint32 // block of the reveal by extrinsic
}

const (
	epoch = 500
	round = 4_711
)

func newScene(t testing.TB, name string) *scene {
	s := &scene{chain: newChain(t, name, 100, 20)}
	s.register(4)
	s.block()
	s.sealed = s.seal(0, round, []uint16{1, 2, 3}, []uint16{10, 20, 30})
	s.queue(epoch, s.sealed)
	s.reveal = &Reveal{UIDs: []uint16{0, 2}, Values: []uint16{7, 9}, Salt: []uint16{1, 2, 3, 4}, VersionKey: 3}
	s.hashed = subtensor.HashCommit{Hash: commit.HashOf(hotkey(1), netuid, s.reveal.UIDs, s.reveal.Values, s.reveal.Salt, s.reveal.VersionKey), Epoch: epoch, Block: uint64(s.next())}
	s.hashQueue(1, s.hashed)
	s.made = s.block().Number
	s.run(tempo - 2) // the epoch is due in the next block
	s.storePulse(round)
	s.block()
	s.tick(epoch + 1)
	s.queue(epoch)
	s.weights(0, commit.Row([]uint16{1, 2, 3}, []uint16{10, 20, 30}))
	s.revealed = s.block().Number
	s.run(2)
	s.hashQueue(1)
	s.weights(1, commit.Row(s.reveal.UIDs, s.reveal.Values))
	s.shown = s.block().Number
	s.run(5)
	return s
}

func (s *scene) claims() []Claim {
	id, hash := idOf(s.sealed, epoch), idOfHash(1, s.hashed)
	return []Claim{
		HeaderClaim{s.made},
		StorageClaim{s.made, [][]byte{subtensor.KeySubnet("Tempo", netuid), subtensor.KeySubnet("Tempo", netuid+1)}},
		MadeClaim{id, s.made}, MadeClaim{id, s.made + 3}, MadeClaim{hash, s.made},
		RevealedClaim{id, s.revealed, nil}, RevealedClaim{hash, s.shown, s.reveal},
		EqualClaim{id, s.made, s.revealed + 4, nil}, EqualClaim{hash, s.shown - 1, s.shown, s.reveal},
		PulseClaim{round},
		WeightsClaim{netuid, 0, s.revealed, 0}, WeightsClaim{netuid, 0, s.shown, -1}, WeightsClaim{netuid, 0, s.made, 3},
		SubnetClaim{netuid, s.revealed},
	}
}

func TestAllClaims(t *testing.T) {
	s := newScene(t, "finney")
	x := s.make(s.head(), s.claims()...)
	r := s.verify(x)
	wantOK(t, r)
	t.Logf("%d bytes\n%s", len(x.Encode()), r)
	if len(r.Lines) != 5+len(x.Claims) {
		t.Errorf("%d lines", len(r.Lines))
	}
	for i, step := range []string{"trust", "headers", "finality", "storage", "pulses"} {
		if r.Lines[i].Step != step {
			t.Errorf("line %d is of %s, want %s", i, r.Lines[i].Step, step)
		}
	}
	for _, c := range s.claims() {
		wantOK(t, s.verify(s.make(s.head(), c)))
	}
	// Rules that are known are not replaced by others that one is ready to assume.
	if assumed := x.Verify(Options{Checkpoint: s.checkpoint(s.first), AssumeRules: 306}); assumed.String() != r.String() {
		t.Errorf("with assumed rules:\n%s", assumed)
	}
	b, err := r.MarshalJSON()
	if err != nil || !strings.HasPrefix(string(b), `{"verdict":"ok","lines":[{"step":"trust"`) {
		t.Errorf("JSON: %s, %v", b[:min(len(b), 100)], err)
	}
}

// longChain has set changes in blocks 110, 120 and 130, and ends at 135.
func longChain(t testing.TB, name string) *chain {
	c := newChain(t, name, 100, 4)
	for i := range 3 {
		c.run(9)
		c.change = voters(name+" next", 5+i)
		c.block()
	}
	c.run(5)
	return c
}

// TestTrust: which checkpoint goes with a bundle from block 100 (set 6) to 135 (set 9).
func TestTrust(t *testing.T) {
	c, other := longChain(t, "finney"), longChain(t, "other")
	// The same chain up to block 104, then another.
	fork := newChain(t, "finney", 100, 4)
	fork.run(4)
	fork.put([]byte("else"), []byte{1})
	fork.run(40)
	key := subtensor.KeyLastRuntimeUpgrade()
	x := c.make(135, HeaderClaim{133}, StorageClaim{131, [][]byte{key}}, HeaderClaim{120})
	from := func(n uint32, change ...func(*checkpoint.Checkpoint)) *checkpoint.Checkpoint {
		cp := c.checkpoint(n)
		for _, f := range change {
			f(cp)
		}
		return cp
	}
	// A bundle from 125 (set 8) to 128, in which the authorities do not change.
	d, err := c.draftOf(DraftOptions{}, 125, 128, HeaderClaim{128})
	if err != nil {
		t.Fatal(err)
	}
	short, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		bundle  *Bundle
		cp      *checkpoint.Checkpoint
		verdict string
		why     string // in the line of trust
	}{
		{"the root", x, from(100), "proven", "checkpoint #100 set 6 of demo"},
		{"between root and first change", x, from(105), "proven", "checkpoint #105 set 6 of demo; the bundle starts from block #100 set 6"},
		{"a fragment", x, from(110), "proven", "checkpoint #110 set 7"},
		{"between fragments", x, from(119), "proven", "set 7"},
		{"the fragment of a claim", x, from(120), "proven", "set 8"},
		{"above the fragment of a claim", x, from(125), "undecided at header", "set 8"},
		{"the final block", x, from(135), "undecided at header", "set 9"},
		{"none", x, nil, "undecided at trust", "nothing to start from: the bundle starts from block #100 set 6, and no checkpoint is given"},
		{"another network", x, other.checkpoint(100), "failed at trust", "bundle is for another network"},
		{"no network", x, from(100, func(cp *checkpoint.Checkpoint) { cp.Genesis = verify.Hash{} }), "undecided at trust", "does not say of which network"},
		{"a set that is not known", x, from(100, func(cp *checkpoint.Checkpoint) { cp.Set.Authorities = nil }), "undecided at trust", "GRANDPA set not known"},
		{"a hash alone", x, from(100, func(cp *checkpoint.Checkpoint) { cp.Header = nil }), "undecided at trust", "header not known"},
		{"a hash alone, of a block in the bundle", x, from(120, func(cp *checkpoint.Checkpoint) { cp.Header = nil }), "failed at trust", "slot"},
		{"another hash at the root", x, from(100, func(cp *checkpoint.Checkpoint) { cp.Hash = verify.Hash{1} }), "failed at trust", "conflicting block"},
		{"another set at the root", x, from(100, func(cp *checkpoint.Checkpoint) { cp.Set.ID++ }), "failed at trust", "by the bundle, which starts from block #100 set 6, it would be set 6"},
		{"another set between", x, from(115, func(cp *checkpoint.Checkpoint) { cp.Set.ID-- }), "failed at trust", "it would be set 7"},
		{"another fork at a fragment", x, fork.checkpoint(110), "failed at trust", "conflicting block at the same height: block #110"},
		{"another fork at a header", x, fork.checkpoint(133), "failed at trust", "conflicting block at the same height: block #133"},
		{"another fork elsewhere", x, fork.checkpoint(106), "proven", ""}, // one set signed both: that is for who sees both
		{"other voters of the same set", x, from(100, func(cp *checkpoint.Checkpoint) { cp.Set = *setOf(firstSet, voters("others", 4)) }), "failed at finality", ""},

		{"older, same set", short, from(121), "proven", "checkpoint #121 set 8 of demo; the bundle starts from block #125 set 8"},
		{"the change of the set", short, from(120), "proven", "set 8"},
		{"older, another set", short, from(119), "undecided at trust", "the bundle starts from block #125 set 8, the checkpoint is block #119 set 7, older, and the authorities changed in between: give --checkpoint of block #125 set 8, or of a newer block"},
		{"older, a higher set", short, from(119, func(cp *checkpoint.Checkpoint) { cp.Set.ID = 9 }), "failed at trust", "it would be set 8"},
		{"newer", short, from(129), "undecided at trust", "the checkpoint is block #129 set 8, newer than all of the bundle, which ends at #128: give --checkpoint of block #125 set 8, or of a block up to #128"},
		{"newer, another set", short, from(131), "undecided at trust", "newer than all of the bundle"},
		{"the final block itself", short, from(128), "proven", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.bundle.Verify(Options{Checkpoint: tc.cp, Beacon: c.beacon})
			if got := r.Verdict(); got != tc.verdict || !strings.Contains(r.Lines[0].String(), tc.why) {
				t.Errorf("want %s, %q\n%s", tc.verdict, tc.why, r)
			}
			if r.Lines[0].Outcome != fact.OK {
				for _, l := range r.Lines[5:] {
					if l.Outcome != fact.Undecided || l.Reason != "trust: not reached" {
						t.Errorf("after that: %v", l)
					}
				}
			}
		})
	}
}

// TestFinality: votes that do not make the final block final, or a fragment.
func TestFinality(t *testing.T) {
	c := longChain(t, "finality")
	twenty := newChain(t, "twenty", 100, 20)
	twenty.run(3)
	good := func() *Bundle { return c.make(135, HeaderClaim{134}) }
	of := func(f grandpa.Fragment, set *grandpa.AuthoritySet) Fragment {
		short, err := NewFragment(f, set)
		if err != nil {
			t.Fatal(err)
		}
		return short
	}
	check := func(name string, c *chain, x *Bundle, verdict, why string) {
		t.Helper()
		r := c.verify(x)
		if r.Verdict() != verdict || !strings.Contains(r.String(), why) {
			t.Errorf("%s: want %s, %q\n%s", name, verdict, why, r)
		}
		if r.Lines[2].Outcome == fact.Failed && (r.SetID != 0 || r.Lines[5].Reason != "finality: not reached") {
			t.Errorf("%s: set %d\n%s", name, r.SetID, r)
		}
	}
	check("as it is", c, good(), "proven", "finality  block #135")

	x := good()
	x.Final.Votes.List = x.Final.Votes.List[1:]
	check("one vote less", c, x, "failed at finality", "weight 4 of 7, need 5 in set 9")
	x = twenty.make(103, HeaderClaim{102})
	f := of(twenty.voted(twenty.header(103), 0, 13), twenty.sets[0])
	x.Final = &f
	check("13 of 20", twenty, x, "failed at finality", "weight 13 of 20, need 14 in set 6")
	x = good()
	x.Final.Votes.List[2].Signature[5] ^= 1
	check("a signature", c, x, "failed at finality", "precommit 2")
	x = good()
	x.Final.Votes.Round++
	check("round", c, x, "failed at finality", "bad signature")
	x = good()
	x.Final.Votes.List[1].Signer = 7
	check("signer", c, x, "failed at finality", "vote 1: signer 7 of 7")
	x = good()
	x.Final.Votes.List[1].Signer = x.Final.Votes.List[0].Signer
	check("signer twice", c, x, "failed at finality", "need 5")
	x = good()
	x.Fragments[1].Votes.List[0].Signature[63] ^= 0x80
	check("a fragment's signature", c, x, "failed at finality", "finality: fragment 1: justification: precommit 0")
	x = good()
	f = of(c.voted(c.header(135), 2, 5), c.sets[2])
	x.Final = &f
	check("votes of the set before", c, x, "failed at finality", "")
	// A root that is one set further needs one fragment less.
	x = good()
	x.Fragments = x.Fragments[1:]
	check("a change left out", c, x, "failed at finality", "fragment 0")
	x.Root.SetID++
	check("a change left out, and the set id says so", c, x, "failed at trust", "it would be set 7")
	x = good()
	f = of(c.voted(c.header(125), 2, 5), c.sets[2])
	x.Fragments = []Fragment{x.Fragments[0], x.Fragments[1], f, x.Fragments[2]}
	check("a fragment without a change", c, x, "failed at headers", "fragment 2: header 125: fragment announces no change")

	// The final block may announce a change itself.
	y := c.make(130, HeaderClaim{129})
	if len(y.Fragments) != 2 {
		t.Errorf("%d fragments", len(y.Fragments))
	}
	r := y.Verify(Options{Checkpoint: c.checkpoint(130)})
	if r.Outcome != fact.OK || r.SetID != 9 {
		t.Errorf("set %d\n%s", r.SetID, r)
	}
	wantOK(t, c.verify(y))
}

// TestLinks: which headers are asked for, and what links them.
func TestLinks(t *testing.T) {
	c := newChain(t, "links", 2_000, 1)
	c.run(6_000)
	key := subtensor.KeyLastRuntimeUpgrade()
	for _, tc := range []struct {
		name  string
		final uint32
		need  []uint32
		want  []uint32
	}{
		{"the final block", 8_000, []uint32{8_000}, nil},
		{"its parent", 8_000, []uint32{7_999}, []uint32{7_999}},
		{"both ends of the ring", 8_000, []uint32{5_600, 7_999}, []uint32{5_600, 7_999}},
		{"one below the ring", 8_000, []uint32{5_599}, []uint32{5_599, 5_600}},
		{"far below", 8_000, []uint32{2_500}, []uint32{2_500, 3_200, 5_600}},
		{"far below, by way of others", 8_000, []uint32{2_500, 4_900, 7_000}, []uint32{2_500, 4_900, 7_000}},
		{"the root itself", 4_399, []uint32{2_000}, []uint32{2_000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var claims []Claim
			for _, n := range tc.need {
				claims = append(claims, StorageClaim{n, [][]byte{key}})
			}
			x := c.make(tc.final, claims...)
			var got []uint32
			for _, h := range x.Headers {
				got = append(got, h.Number)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("headers %v, want %v", got, tc.want)
			}
			wantOK(t, c.verify(x))
			for i := range x.Headers {
				y := *x
				y.Headers = slices.Delete(slices.Clone(x.Headers), i, i+1)
				if r := c.verify(&y); r.Verdict() != "undecided at headers" || !errors.Is(r.Lines[1].Err, ErrMissing) {
					t.Errorf("without header %d:\n%s", i, r)
				}
				// Another header of that number.
				h := *x.Headers[i]
				h.StateRoot[0] ^= 1
				y.Headers = slices.Clone(x.Headers)
				y.Headers[i] = &h
				if r := c.verify(&y); r.Outcome != fact.Failed || !errors.Is(r.Lines[1].Err, ErrConflict) {
					t.Errorf("with another header %d:\n%s", i, r)
				}
			}
		})
	}

	// What is below the root is as good as what is above it.
	d, err := c.draftOf(DraftOptions{}, 5_000, 5_010, HeaderClaim{4_000}, HeaderClaim{5_000}, StorageClaim{2_500, [][]byte{key}})
	if err == nil {
		_, err = c.fill(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	below, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint32{2_100, 4_999, 5_000, 5_005, 5_010} {
		wantOK(t, below.Verify(Options{Checkpoint: c.checkpoint(n)}))
	}

	below.Root.Hash[0] ^= 1
	if r := below.Verify(Options{Checkpoint: c.checkpoint(4_999)}); r.Verdict() != "failed at trust" || !errors.Is(r.Lines[0].Err, ErrConflict) {
		t.Errorf("a root that is not the header of its number:\n%s", r)
	}

	// A station that the rule does not name is not needed, though it would do as well.
	x := c.make(8_000, HeaderClaim{5_000})
	for _, n := range []uint32{5_601, 4_999, 7_999} {
		y := *x
		y.Headers = append(slices.Clone(x.Headers), c.header(n))
		slices.SortFunc(y.Headers, func(a, b *verify.Header) int { return int(a.Number) - int(b.Number) })
		if r := c.verify(&y); r.Verdict() != "failed at headers" || !errors.Is(r.Lines[1].Err, ErrUnneeded) {
			t.Errorf("header %d too many:\n%s", n, r)
		}
	}
	// A chain that does not remember.
	short := newChain(t, "short", 100, 1)
	short.run(10)
	short.del(subtensor.KeyBlockHash(105))
	short.block()
	if _, err := short.try(111, HeaderClaim{105}); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "does not hold the hash") {
		t.Errorf("no hash: %v", err)
	}
	short.put(subtensor.KeyBlockHash(105), make([]byte, 31))
	short.block()
	if _, err := short.try(112, HeaderClaim{105}); !errors.Is(err, ErrConflict) {
		t.Errorf("another hash: %v", err)
	}
}

// TestStationBesideChange: a fragment's block is no station, and a claim's block that is a fragment's needs no link.
func TestStationBesideChange(t *testing.T) {
	c := newChain(t, "stations", 100, 1)
	c.run(500)
	c.change = voters("stations next", 1)
	c.block() // 601
	c.run(2_399)
	x := c.make(3_000, HeaderClaim{600 - 50}, HeaderClaim{601})
	if len(x.Headers) != 2 || x.Headers[1].Number != 600 {
		t.Errorf("%d headers, the last %d", len(x.Headers), x.Headers[len(x.Headers)-1].Number)
	}
	c.run(1)
	x = c.make(3_001, HeaderClaim{550})
	if len(x.Headers) != 2 || x.Headers[1].Number != 602 {
		t.Errorf("%d headers, the last %d", len(x.Headers), x.Headers[len(x.Headers)-1].Number)
	}
	wantOK(t, c.verify(x))
	// From a checkpoint above the change the links hold all the same.
	wantOK(t, x.Verify(Options{Checkpoint: c.checkpoint(700)}))
}

// TestUnneeded: valid parts that no claim needs.
func TestUnneeded(t *testing.T) {
	s := newScene(t, "unneeded")
	good := func() *Bundle {
		return s.make(s.head(), RevealedClaim{idOf(s.sealed, epoch), s.revealed, nil}, HeaderClaim{s.made})
	}
	x := good()
	more := s.states[s.made-s.first].Prove(subtensor.KeySubnet("Tempo", netuid))
	x.Nodes = append(x.Nodes, more[0])
	x.sortNodes()
	r := s.verify(x)
	if r.Verdict() != "failed at storage" || !errors.Is(r.Lines[3].Err, trie.ErrUnusedNode) || !errors.Is(r.Lines[3].Err, ErrUnneeded) {
		t.Errorf("a node of another state:\n%s", r)
	}
	x = good()
	for _, n := range []int{0, len(x.Nodes) / 2, len(x.Nodes) - 1} {
		y := *x
		y.Nodes = slices.Delete(slices.Clone(x.Nodes), n, n+1)
		if r := s.verify(&y); r.Outcome != fact.Undecided {
			t.Errorf("without node %d:\n%s", n, r)
		}
	}
	x.Pulses = append(x.Pulses, s.pulse(round+1))
	if r := s.verify(x); r.Verdict() != "failed at pulses" || !errors.Is(r.Lines[4].Err, ErrUnneeded) {
		t.Errorf("a pulse too many:\n%s", r)
	}
	x = good()
	x.Headers = append(x.Headers, s.header(s.revealed+1))
	if r := s.verify(x); r.Verdict() != "failed at headers" || !errors.Is(r.Lines[1].Err, ErrUnneeded) {
		t.Errorf("a header too many:\n%s", r)
	}
	// One claim less, and its proof is too much.
	x = good()
	x.Claims = x.Claims[:1]
	if r := s.verify(x); r.Outcome != fact.Failed {
		t.Errorf("a claim less:\n%s", r)
	}
}

// sortNodes puts the nodes in their order.
func (x *Bundle) sortNodes() {
	slices.SortFunc(x.Nodes, func(a, b []byte) int {
		h, g := verify.Blake2b256(a), verify.Blake2b256(b)
		return bytes.Compare(h[:], g[:])
	})
}

// TestPulsesAlone: a bundle without blocks needs no checkpoint, and is still of one network.
func TestPulsesAlone(t *testing.T) {
	c, other := newChain(t, "alone", 100, 1), newChain(t, "else", 100, 1)
	d, err := NewDraft(c.genesis, RootRef{}, grandpa.Finalized{}, nil, grandpa.Fragment{}, []Claim{PulseClaim{9}, PulseClaim{8}}, DraftOptions{Beacon: c.beacon})
	if err != nil {
		t.Fatal(err)
	}
	wants, err := d.Missing()
	if err != nil || len(wants) != 1 || !slices.Equal(wants[0].Pulses, []uint64{8, 9}) || wants[0].Header || wants[0].Keys != nil {
		t.Errorf("wants %v, %v", wants, err)
	}
	if _, err := d.Bundle(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("incomplete: %v", err)
	}
	if err := d.AddPulse(other.pulse(8)); !errors.Is(err, drand.ErrSignature) {
		t.Errorf("pulse of another beacon: %v", err)
	}
	for _, r := range []uint64{8, 9, 10} {
		if err := d.AddPulse(c.pulse(r)); err != nil {
			t.Fatal(err)
		}
	}
	x, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Pulses) != 2 {
		t.Errorf("%d pulses", len(x.Pulses))
	}
	if x, err = Decode(x.Encode()); err != nil {
		t.Fatal(err)
	}
	wantOK(t, x.Verify(Options{Beacon: c.beacon}))
	wantOK(t, x.Verify(Options{Checkpoint: c.checkpoint(100)}))
	if r := x.Verify(Options{Beacon: drand.Quicknet()}); r.Verdict() != "failed at pulses" {
		t.Errorf("quicknet:\n%s", r)
	}
	if r := x.Verify(Options{}); r.Verdict() != "undecided at pulses" || !errors.Is(r.Lines[4].Err, ErrCheckpoint) {
		t.Errorf("a network nobody knows:\n%s", r)
	}
	if r := x.Verify(Options{Checkpoint: other.checkpoint(100), Beacon: c.beacon}); r.Verdict() != "failed at trust" {
		t.Errorf("another network:\n%s", r)
	}
	x.Pulses[1].Signature = c.pulse(8).Signature
	r := x.Verify(Options{Beacon: c.beacon})
	if r.Lines[5].Outcome != fact.Undecided || r.Lines[6].Outcome != fact.Failed || !errors.Is(r.Lines[6].Err, drand.ErrSignature) {
		t.Errorf("the signature of another round:\n%s", r)
	}
	if r := x.Verify(Options{Beacon: drand.Beacon{Name: "x"}}); r.Verdict() != "failed at pulses" {
		t.Errorf("no key:\n%s", r)
	}
}

// TestValues: a value of no bytes is one, and not the absence of it; what is not proven is neither.
func TestValues(t *testing.T) {
	c := newChain(t, "values", 100, 1)
	c.put([]byte("empty"), []byte{})
	c.put([]byte("full"), []byte{1, 2})
	c.block()
	keys := [][]byte{[]byte("empty"), []byte("full"), []byte("none")}
	x := c.make(101, StorageClaim{101, keys})
	r := c.verify(x)
	wantOK(t, r)
	got := fmt.Sprint(r.Lines[5].Get("keys"))
	if want := "[{0x656d707479 present 0x} {0x66756c6c present 0x0102} {0x6e6f6e65 absent }]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r.Lines[5].Get("nothing") != nil {
		t.Error("a field that is not there")
	}
	for i := range x.Nodes {
		y := *x
		y.Nodes = slices.Delete(slices.Clone(x.Nodes), i, i+1)
		r := c.verify(&y)
		if r.Verdict() != "undecided at storage" || !strings.Contains(fmt.Sprint(r.Lines[5].Get("keys")), "incomplete") {
			t.Errorf("without node %d:\n%s", i, r)
		}
	}
	// Behind a value that is there, Load still says what it lacks.
	if _, err := c.try(101, StorageClaim{100, [][]byte{[]byte("empty")}}); err != nil {
		t.Error(err)
	}
}

// TestDates against a calendar that walks from day to day.
func TestDates(t *testing.T) {
	months := []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	year, month, day := 1970, 1, 1
	for n := uint64(0); n < 200_000; n++ {
		want := fmt.Sprintf("%04d-%02d-%02d 01:02:03 UTC", year, month, day)
		if got := date(n*86_400 + 3_723); got != want {
			t.Fatalf("day %d: %s, want %s", n, got, want)
		}
		length := months[month-1]
		if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			length++
		}
		if day++; day > length {
			if day, month = 1, month+1; month > 12 {
				month, year = 1, year+1
			}
		}
	}
	if got := date(1<<64 - 1); got != "after all dates" {
		t.Error(got)
	}
}
