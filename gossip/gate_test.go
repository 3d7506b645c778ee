package gossip

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
)

// chain is a demo chain and what a node that has followed it to some block trusts.
type chain struct {
	t    testing.TB
	net  *demonet.Network
	root *checkpoint.Checkpoint // nil: that of net
}

func newChain(t testing.TB, cfg demonet.Config) *chain {
	t.Helper()
	cfg.BlockTime, cfg.Slack, cfg.Quiet = 2*time.Second, 4000, true
	net, err := demonet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Stop)
	return &chain{t: t, net: net}
}

// fragment is a final block with its votes.
func (c *chain) fragment(number uint32) grandpa.Fragment {
	c.t.Helper()
	j, err := c.net.Justification(number)
	if err != nil {
		c.t.Fatal(err)
	}
	return grandpa.Fragment{Header: c.net.Header(number), Justification: j}
}

// signer is the set that makes a block final, and the block from which it does.
func (c *chain) signer(number uint32) (grandpa.AuthoritySet, bundle.RootRef) {
	c.t.Helper()
	start := c.net.Checkpoint().Start()
	set, root := start.Set, bundle.RootRef{Number: start.Header.Number, Hash: start.Hash, SetID: start.Set.ID}
	for n := uint32(1); n < number; n++ {
		next, err := grandpa.Advance(set, c.net.Header(n))
		if err != nil {
			c.t.Fatal(err)
		}
		if next.ID != set.ID {
			set, root = next, bundle.RootRef{Number: n, Hash: c.net.Header(n).Hash(), SetID: next.ID}
		}
	}
	return set, root
}

func (c *chain) message(number uint32) []byte {
	c.t.Helper()
	set, root := c.signer(number)
	m, err := FinalityMessage(c.net.Genesis(), root, &set, c.fragment(number))
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// trust is that of a node whose head is a block.
func (c *chain) trust(number uint32) *Trust {
	c.t.Helper()
	h := c.net.Header(number)
	set, _ := c.signer(number)
	next, err := grandpa.Advance(set, h)
	if err != nil {
		c.t.Fatal(err)
	}
	head, err := c.net.Checkpoint().FromState(&checkpoint.State{Header: h, Hash: h.Hash(), Set: next}, "")
	if err != nil {
		c.t.Fatal(err)
	}
	t := &Trust{Root: c.net.Checkpoint(), Head: head, Signer: set}
	if c.root != nil {
		t.Root = c.root
	}
	for n := uint32(0); n <= number; n++ {
		t.Recent = append(t.Recent, c.net.Header(n).Hash())
	}
	return t
}

func (c *chain) gate(number uint32) *Gate {
	g := NewGate(c.net.Genesis())
	g.SetTrust(c.trust(number))
	return g
}

var start = time.Unix(1_700_000_000, 0)

// respell changes a message that decodes and keeps its form.
func respell(t *testing.T, message []byte, f func(x *bundle.Bundle)) []byte {
	t.Helper()
	x, err := bundle.Decode(slices.Clone(message))
	if err != nil {
		t.Fatal(err)
	}
	f(x)
	return x.Encode()
}

func TestLadder(t *testing.T) {
	c := newChain(t, demonet.Config{History: 60, SetChangeEvery: 40})
	set, _ := c.signer(30)
	good := c.message(30)
	rare := c.message(25)
	longer := slices.Clone(good)
	longer = append(longer, make([]byte, MaxMessage)...)
	other := respell(t, good, func(x *bundle.Bundle) { x.Genesis[0] ^= 1 })
	version := slices.Clone(good)
	version[len(bundle.Magic)-1]++
	cut := good[:len(good)-3]
	forged := respell(t, good, func(x *bundle.Bundle) { x.Final.Votes.List[0].Signature[2] ^= 1 })
	few := respell(t, good, func(x *bundle.Bundle) { x.Final.Votes.List = x.Final.Votes.List[:1] })
	stranger := respell(t, good, func(x *bundle.Bundle) { x.Final.Votes.List[0].Signer = 900 })
	crowd := respell(t, good, func(x *bundle.Bundle) {
		v := x.Final.Votes.List[0]
		x.Final.Votes.List = slices.Repeat([]bundle.Vote{v}, 2*len(set.Authorities)+1)
	})
	later := respell(t, good, func(x *bundle.Bundle) { x.Root.SetID++ })
	earlier := c.message(58)
	earlier = respell(t, earlier, func(x *bundle.Bundle) { x.Root.SetID-- })
	two := respell(t, good, func(x *bundle.Bundle) {
		x.Pulses = []drand.Pulse{{Round: 1}}
		x.Claims = append(x.Claims, bundle.PulseClaim{Round: 1})
	})
	pulse := (&bundle.Bundle{Genesis: c.net.Genesis(), Pulses: []drand.Pulse{{Round: 1}}, Claims: []bundle.Claim{bundle.PulseClaim{Round: 1}}}).Encode()

	for _, x := range []struct {
		name    string
		head    uint32
		kind    Kind
		message []byte
		want    Verdict
		err     error
	}{
		{"news", 29, Finality, good, Accept, nil},
		{"news far above", 1, Finality, good, Accept, nil},
		{"every 25th block", 24, FinalityRare, rare, Accept, nil},
		{"every 25th block, on the topic of all", 24, Finality, rare, Accept, nil},
		{"one of the second 25", 29, FinalityRare, good, Accept, nil},
		{"empty", 29, Finality, nil, Reject, ErrSize},
		{"too long", 29, Finality, longer, Reject, ErrSize},
		{"noise", 29, Finality, []byte("noise"), Reject, bundle.ErrMagic},
		{"a later version", 29, Finality, version, Ignore, bundle.ErrVersion},
		{"another chain", 29, Finality, other, Reject, bundle.ErrNetwork},
		{"cut off", 29, Finality, cut, Reject, nil},
		{"a claim more", 29, Finality, two, Reject, ErrShape},
		{"pulses where finality belongs", 29, Finality, pulse, Reject, ErrShape},
		{"finality where pulses belong", 29, Pulses, good, Reject, ErrShape},
		{"finality where commitments belong", 29, Commitments, good, Reject, ErrShape},
		{"a pulse that is none", 29, Pulses, pulse, Reject, nil},
		{"our own block", 30, Finality, good, Ignore, ErrStale},
		{"below our own", 45, Finality, good, Ignore, ErrStale},
		{"a forged vote", 29, Finality, forged, Reject, grandpa.ErrSignature},
		{"too few votes", 29, Finality, few, Reject, nil},
		{"a vote of nobody", 29, Finality, stranger, Reject, nil},
		{"more votes than voters", 29, Finality, crowd, Reject, ErrShape},
		{"a later set", 29, Finality, later, Ignore, ErrAhead},
		{"an earlier set above our head", 50, Finality, earlier, Reject, grandpa.ErrSetID},
		{"after a change that we lack", 29, Finality, c.message(58), Ignore, ErrAhead},
		{"bundle as evidence", 29, Evidence, good, Reject, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := c.gate(x.head)
			j := g.Judge(start, "peer", x.kind, x.message)
			if j.Verdict != x.want || x.err != nil && !errors.Is(j.Err, x.err) || (j.Err == nil) != (x.want == Accept) {
				t.Fatalf("%v: %v, want %v: %v", j.Verdict, j.Err, x.want, x.err)
			}
			if (j.Proof != nil) != (x.want == Accept) {
				t.Errorf("proof: %v", j.Proof)
			}
			if x.want == Accept {
				at := c.trust(x.head).Head.Start()
				to, n, err := j.Proof.Verify(at)
				if err != nil || n != 1 || to.Header.Number != j.Number {
					t.Errorf("the proof that is handed on: block %d, %v", to.Header.Number, err)
				}
				if j := g.Judge(start, "other", x.kind, x.message); j.Verdict != Ignore || !errors.Is(j.Err, ErrKnown) {
					t.Errorf("again: %v: %v", j.Verdict, j.Err)
				}
			}
		})
	}
	if j := NewGate(c.net.Genesis()).Judge(start, "p", Finality, good); j.Verdict != Ignore || !errors.Is(j.Err, ErrNoTrust) {
		t.Errorf("without trust: %v: %v", j.Verdict, j.Err)
	}
}

// TestCheapFirst: what is not news costs no votes, however it was signed.
func TestCheapFirst(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	for name, message := range map[string][]byte{
		"stale":       c.message(30),
		"other chain": respell(t, c.message(39), func(x *bundle.Bundle) { x.Genesis[1] ^= 1 }),
		"later set":   respell(t, c.message(39), func(x *bundle.Bundle) { x.Root.SetID += 4 }),
	} {
		g := c.gate(35)
		if j := g.Judge(start, "peer", Finality, message); j.Work != 0 || j.Verdict == Accept {
			t.Errorf("%s: %v units, %v", name, j.Work, j.Verdict)
		}
		if w := g.Counts().Work; w >= workMessage+workVote {
			t.Errorf("%s: %d units charged", name, w)
		}
	}
}

// TestSecondProof: nodes whose peers told them other votes make other messages of the same block; one is
// enough.
func TestSecondProof(t *testing.T) {
	c := newChain(t, demonet.Config{History: 40, SetChangeEvery: -1})
	g := c.gate(30)
	first := c.message(36)
	set, _ := c.signer(36)
	second := respell(t, first, func(x *bundle.Bundle) {
		if n := len(x.Final.Votes.List); uint64(n) > set.Threshold() {
			x.Final.Votes.List = x.Final.Votes.List[1:]
		} else {
			x.Final.Votes.List[0], x.Final.Votes.List[1] = x.Final.Votes.List[1], x.Final.Votes.List[0]
		}
	})
	if j := g.Judge(start, "a", Finality, first); j.Verdict != Accept {
		t.Fatal(j.Err)
	}
	if j := g.Judge(start, "b", Finality, second); j.Verdict != Ignore || !errors.Is(j.Err, ErrKnown) || j.Work != 0 {
		t.Errorf("%v: %v, %v units", j.Verdict, j.Err, j.Work)
	}
	rare := c.gate(30)
	if j := rare.Judge(start, "a", FinalityRare, c.message(33)); j.Verdict != Accept {
		t.Fatal(j.Err)
	}
	if j := rare.Judge(start, "a", FinalityRare, first); j.Verdict != Ignore || !errors.Is(j.Err, ErrKnown) || rare.Own(FinalityRare, first, 36) {
		t.Errorf("a second one of the same 25: %v: %v", j.Verdict, j.Err)
	}
	own := c.gate(30)
	own.Own(Finality, first, 36)
	if j := own.Judge(start, "b", Finality, second); j.Verdict != Ignore || !errors.Is(j.Err, ErrKnown) {
		t.Errorf("after our own: %v: %v", j.Verdict, j.Err)
	}
}

// TestConflict: a finality beside ours is passed on with its proof, and only with its proof.
func TestConflict(t *testing.T) {
	c := newChain(t, demonet.Config{History: 20, SetChangeEvery: -1})
	set, ours, theirs, err := c.net.Conflict()
	if err != nil {
		t.Fatal(err)
	}
	_, root := c.signer(ours.Header.Number)
	m, err := FinalityMessage(c.net.Genesis(), root, &set, grandpa.Fragment{Header: theirs.Header, Justification: theirs.Justification})
	if err != nil {
		t.Fatal(err)
	}
	head := ours.Header.Number
	if j := c.gate(head).Judge(start, "p", Finality, m); j.Verdict != Accept || j.Proof == nil {
		t.Errorf("conflicting finality: %v: %v", j.Verdict, j.Err)
	}
	bad := respell(t, m, func(x *bundle.Bundle) { x.Final.Votes.List[0].Signature[0] ^= 1 })
	if j := c.gate(head).Judge(start, "p", Finality, bad); j.Verdict != Reject {
		t.Errorf("forged conflict: %v: %v", j.Verdict, j.Err)
	}
	ev, err := grandpa.NewEvidence(&set, ours, theirs)
	if err != nil {
		t.Fatal(err)
	}
	raw := ev.Append(nil)
	if j := c.gate(head).Judge(start, "p", Evidence, raw); j.Verdict != Accept || j.Evidence == nil {
		t.Errorf("evidence: %v: %v", j.Verdict, j.Err)
	}
	raw[len(raw)-40] ^= 1
	if j := c.gate(head).Judge(start, "p", Evidence, raw); j.Verdict != Reject {
		t.Errorf("forged evidence: %v: %v", j.Verdict, j.Err)
	}
	ev.SetID += 7
	if j := c.gate(head).Judge(start, "p", Evidence, ev.Append(nil)); j.Verdict != Ignore || !errors.Is(j.Err, ErrUndecided) {
		t.Errorf("evidence against another set: %v: %v", j.Verdict, j.Err)
	}
}

// TestBudget: a flood of forged votes takes what its senders may take and no more, and an honest
// neighbour is heard all the same.
func TestBudget(t *testing.T) {
	c := newChain(t, demonet.Config{History: 200, SetChangeEvery: -1})
	g := c.gate(100)
	if j := g.Judge(start, "honest", Finality, c.message(101)); j.Verdict != Accept {
		t.Fatal(j.Err)
	}
	before := g.Counts().Work
	const seconds, each = 10, 200
	now := start
	busy, judged := 0, 0
	x, err := bundle.Decode(c.message(198))
	if err != nil {
		t.Fatal(err)
	}
	forged := x.Final.Votes.List[0].Signature[:]
	n := 0
	for s := range seconds {
		for range each {
			now = now.Add(time.Second / each)
			// Each from another identity: no account of its own is ever used up.
			n++
			forged[0], forged[1] = byte(n), byte(n>>8)
			j := g.Judge(now, fmt.Sprint("sybil ", n), Finality, x.Encode())
			if errors.Is(j.Err, ErrBusy) {
				busy++
			} else {
				judged++
			}
			if j.Verdict == Accept {
				t.Fatal("a forged message is accepted")
			}
		}
		if j := g.Judge(now, "honest", Finality, c.message(uint32(102+s))); j.Verdict != Accept {
			t.Fatalf("second %d: honest message: %v: %v", s, j.Verdict, j.Err)
		}
	}
	spent := float64(g.Counts().Work - before)
	if most := float64(allBurst + allRate*seconds + peerBurst + peerRate*seconds); spent > most {
		t.Errorf("%v units, at most %v", spent, most)
	}
	t.Logf("%d judged, %d had no time, %.0f units a second", judged, busy, spent/seconds)
}

// TestPeerBudget: one peer with true messages only cannot take all the time either.
func TestPeerBudget(t *testing.T) {
	c := newChain(t, demonet.Config{History: 300, SetChangeEvery: -1})
	g := c.gate(1)
	busy := 0
	for n := uint32(2); n < 300; n++ {
		if j := g.Judge(start, "hasty", Finality, c.message(n)); errors.Is(j.Err, ErrBusy) {
			busy++
		}
	}
	if w := g.Counts().Work; busy == 0 || w > peerBurst+2*workMessage+20*workVote {
		t.Errorf("%d units in no time, %d had to wait", w, busy)
	}
	if !g.Spent(start, "hasty") || g.Spent(start, "another") {
		t.Error("whose account is used up?")
	}
	if g.Spent(start.Add(time.Minute), "hasty") {
		t.Error("an account never fills")
	}
}

// TestKnownIsBounded: the names of messages are forgotten in turn.
func TestKnownIsBounded(t *testing.T) {
	g := NewGate(verify.Hash{})
	for i := range 3 * maxKnown {
		g.Own(Pulses, []byte(fmt.Sprint(i)), 0)
	}
	if len(g.known) != maxKnown || len(g.ring) != maxKnown {
		t.Errorf("%d names", len(g.known))
	}
	for i := range 2 * maxBuckets {
		g.Spent(start, fmt.Sprint(i))
	}
	if len(g.peers) > maxBuckets {
		t.Errorf("%d accounts", len(g.peers))
	}
}

func FuzzGate(f *testing.F) {
	c := newChain(f, demonet.Config{History: 30, SetChangeEvery: -1})
	good := c.message(25)
	for k := range kinds {
		f.Add(byte(k), good)
	}
	head := c.trust(20)
	f.Fuzz(func(t *testing.T, k byte, message []byte) {
		g := NewGate(c.net.Genesis())
		g.SetTrust(head)
		j := g.Judge(start, "p", Kind(k), message)
		if j.Verdict == Accept && !(j.Number == 25 || j.Bundle != nil) {
			t.Errorf("accepted: block %d", j.Number)
		}
	})
}
