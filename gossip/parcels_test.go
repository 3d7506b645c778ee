package gossip

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/extrinsic"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// parcel returns a transaction that somebody signed, with an era of 64 blocks from one on.
func (c *chain) parcel(t testing.TB, signer string, birth, nonce uint32) *extrinsic.Parcel {
	t.Helper()
	seed := sha256.Sum256([]byte(signer))
	key := ed25519.NewKeyFromSeed(seed[:])
	p := extrinsic.Parcel{Genesis: c.net.Genesis(), SpecVersion: 1, TransactionVersion: 1, Birth: birth, BirthHash: c.net.Header(birth).Hash()}
	call := []byte("a call")
	extra := scale.AppendCompact(scale.AppendCompact(extrinsic.Mortal(birth, 64).Append(nil), uint64(nonce)), 0)
	signed := ed25519.Sign(key, append(append(append([]byte{}, call...), extra...), p.Implicit()...))
	b := append([]byte{0x84, 0}, key.Public().(ed25519.PublicKey)...)
	b = append(append(b, 0), signed...)
	p.Extrinsic = scale.AppendBlob(nil, append(append(b, extra...), call...))
	x, err := extrinsic.New(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(); err != nil {
		t.Fatal(err)
	}
	return x
}

// result gives all nodes another trust root for facts, from which an extrinsic of a block follows, and returns
// the proof of that, with the extrinsic's hash: the blocks of the demo chain have too little in them.
func (c *chain) result(t testing.TB) ([]byte, verify.Hash) {
	t.Helper()
	body := [][]byte{[]byte("a first one"), bytes.Repeat([]byte("second"), 30)}
	first := &verify.Header{Number: 1}
	busy := &verify.Header{Number: 2, ParentHash: first.Hash(), ExtrinsicsRoot: trie.OrderedRoot(body)}
	last := &verify.Header{Number: 3, ParentHash: busy.Hash()}
	set := grandpa.AuthoritySet{ID: 4}
	final := grandpa.Fragment{Header: last, Justification: &grandpa.Justification{Round: 9, Commit: grandpa.Commit{TargetHash: last.Hash(), TargetNumber: 3}}}
	for i := range 4 {
		seed := sha256.Sum256([]byte{byte(i)})
		key := ed25519.NewKeyFromSeed(seed[:])
		id := grandpa.AuthorityID(key.Public().(ed25519.PublicKey))
		set.Authorities = append(set.Authorities, grandpa.Authority{ID: id, Weight: 1})
		hash := last.Hash()
		vote := scale.AppendU64(scale.AppendU64(scale.AppendU32(append([]byte{1}, hash[:]...), 3), 9), set.ID)
		final.Justification.Commit.Precommits = append(final.Justification.Commit.Precommits, grandpa.Precommit{
			TargetHash: hash, TargetNumber: 3, Signature: [64]byte(ed25519.Sign(key, vote)), ID: id,
		})
	}
	c.root = &checkpoint.Checkpoint{Genesis: c.net.Genesis(), Number: 1, Hash: first.Hash(), Header: first, Set: set, SlotDuration: 12_000}
	claim := bundle.IncludedClaim{Block: 2, Index: 1, Hash: verify.Blake2b256(body[1])}
	d, err := bundle.NewDraft(c.root.Genesis, bundle.RootRef{Number: 1, Hash: first.Hash(), SetID: 4}, c.root.Start(), nil, final, []bundle.Claim{claim}, bundle.DraftOptions{})
	if err == nil {
		err = errors.Join(d.AddHeader(busy), d.AddExtrinsics(2, trie.Ordered(body).Prove(scale.AppendCompact(nil, 1))))
	}
	if err != nil {
		t.Fatal(err)
	}
	x, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return x.Encode(), claim.Hash
}

// TestParcelLadder: what becomes of parcels, and what they may cost.
func TestParcelLadder(t *testing.T) {
	c := newChain(t, demonet.Config{History: 150, SetChangeEvery: -1})
	good := c.parcel(t, "somebody", 80, 1)
	forged := bytes.Clone(good.Append(nil))
	forged[len(forged)-1] ^= 1
	other := bytes.Clone(good.Append(nil))
	other[len(extrinsic.Magic)] ^= 1
	version := bytes.Clone(good.Append(nil))
	version[len(extrinsic.Magic)-1]++
	elsewhere := *good
	elsewhere.Birth -= 64 // what is not signed
	strange := c.parcel(t, "somebody", 80, 1)
	strange.BirthHash[0] ^= 1
	for _, x := range []struct {
		name    string
		head    uint32
		message []byte
		verdict Verdict
		err     error
	}{
		{"good", 90, good.Append(nil), Accept, nil},
		{"at its birth", 80, good.Append(nil), Accept, nil},
		{"signer is ahead of us", 60, good.Append(nil), Accept, nil},
		{"far ahead of us", 5, good.Append(nil), Ignore, ErrAhead},
		{"over", 143, good.Append(nil), Ignore, ErrStale},
		{"its last block", 142, good.Append(nil), Accept, nil},
		{"forged", 90, forged, Reject, extrinsic.ErrSignature},
		{"other chain", 90, other, Reject, bundle.ErrNetwork},
		{"cut", 90, good.Append(nil)[:100], Reject, extrinsic.ErrForm},
		{"newer version", 90, version, Ignore, bundle.ErrVersion},
		{"birth on another fork", 90, strange.Append(nil), Ignore, ErrUndecided},
		{"other number of the birth", 70, elsewhere.Append(nil), Ignore, ErrUndecided},
		{"no parcel at all", 90, []byte("noise"), Reject, bundle.ErrMagic},
		{"finality", 90, c.message(95), Reject, ErrShape},
	} {
		g := c.gate(x.head)
		j := g.Judge(start, "a", Transactions, x.message)
		if j.Verdict != x.verdict || !errors.Is(j.Err, x.err) {
			t.Errorf("%s: %v, %v", x.name, j.Verdict, j.Err)
		}
		if (j.Parcel != nil) != (x.verdict == Accept) {
			t.Errorf("%s: %+v", x.name, j.Parcel)
		}
	}
	// The same transaction with another number for its birth is known, whoever sends it.
	g := c.gate(90)
	if j := g.Judge(start, "a", Transactions, good.Append(nil)); j.Verdict != Accept {
		t.Fatal(j.Err)
	}
	elsewhere.Birth = 144
	if j := g.Judge(start, "b", Transactions, elsewhere.Append(nil)); !errors.Is(j.Err, ErrKnown) {
		t.Errorf("again: %v, %v", j.Verdict, j.Err)
	}
	// Another topic has no place for it.
	if j := c.gate(90).Judge(start, "a", Commitments, good.Append(nil)); j.Verdict != Reject {
		t.Errorf("as a commitment: %v, %v", j.Verdict, j.Err)
	}
	// So many of one signer, and so many from one neighbour.
	took := func(g *Gate, peer string, n int, signer func(i int) string) (ok int) {
		for i := range n {
			j := g.Judge(start, peer, Transactions, c.parcel(t, signer(i), 80, uint32(i)).Append(nil))
			if j.Verdict == Accept {
				ok++
			} else if !errors.Is(j.Err, ErrBusy) {
				t.Errorf("%d: %v, %v", i, j.Verdict, j.Err)
			}
		}
		return ok
	}
	if n := took(c.gate(90), "", 12, func(int) string { return "one" }); n != signerBurst {
		t.Errorf("%d transactions of one account", n)
	}
	if n := took(c.gate(90), "a", 20, func(i int) string { return fmt.Sprint(i) }); n != senderBurst {
		t.Errorf("%d transactions from one neighbour", n)
	}
}

// TestResult: the proof of an extrinsic belongs on the topic, and a forged one does not.
func TestResult(t *testing.T) {
	c := newChain(t, demonet.Config{History: 30, SetChangeEvery: -1})
	m, _ := c.result(t)
	for _, head := range []uint32{10, 25, 30} {
		if j := c.gate(head).Judge(start, "a", Transactions, m); j.Verdict != Accept || j.Bundle == nil {
			t.Errorf("head %d: %v, %v", head, j.Verdict, j.Err)
		}
	}
	forged := respell(t, m, func(x *bundle.Bundle) {
		claim := x.Claims[0].(bundle.IncludedClaim)
		claim.Hash[0] ^= 1
		x.Claims[0] = claim
	})
	if j := c.gate(25).Judge(start, "a", Transactions, forged); j.Verdict != Reject {
		t.Errorf("forged: %v, %v", j.Verdict, j.Err)
	}
}

// courier is a way to the chain that the tests look at.
type courier struct {
	mu    sync.Mutex
	no    error
	took  []verify.Hash
	near  []bool
	taken chan verify.Hash
}

func (c *courier) Carry(_ context.Context, p *extrinsic.Parcel, near bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took, c.near = append(c.took, p.Hash()), append(c.near, near)
	if c.no == nil {
		c.taken <- p.Hash()
	}
	return c.no
}

// TestCarried: a transaction of a node without a way to the chain comes over one that has none either to one
// that has, which joins later; and the proof of what became of it comes back, also to who was away.
func TestCarried(t *testing.T) {
	c := newChain(t, demonet.Config{History: 90, SetChangeEvery: -1})
	result, hash := c.result(t)
	told := make(chan verify.Hash, 8)
	sender := c.join(t, 60, Config{tick: time.Second, Fact: func(k Kind, x *bundle.Bundle) {
		if k == Transactions {
			told <- x.Claims[0].(bundle.IncludedClaim).Hash
		}
	}})
	p := c.parcel(t, "sender", 55, 0)
	if r, err := sender.node.Import(t.Context(), p.Append(nil)); err != nil || !r.News || r.Topic != "transactions" {
		t.Fatalf("%+v, %v", r, err)
	}
	middle := c.join(t, 60, Config{}, sender)
	middle.until(t, "what the sender holds", func(Stats) bool { return middle.holds(p.Hash()) })

	way := &courier{taken: make(chan verify.Hash, 8)}
	last := c.join(t, 60, Config{Courier: way}, middle)
	select {
	case hash := <-way.taken:
		if hash != p.Hash() || !way.near[0] {
			t.Errorf("%v, near: %v", hash, way.near)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing came: %+v", last.node.Stats())
	}
	if k, err := last.node.Publish(t.Context(), result); err != nil || k != Transactions {
		t.Fatalf("%v, %v", k, err)
	}
	select {
	case got := <-told:
		if got != hash {
			t.Errorf("told of %v", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing came back: %+v", sender.node.Stats())
	}
	// A second handing in of the same asks the courier again, and is no news.
	if r, err := last.node.Import(t.Context(), p.Append(nil)); err != nil || r.News || !errors.Is(r.Reason, ErrKnown) {
		t.Errorf("again: %+v, %v", r, err)
	}
	// What the chain's runtime refuses is not passed on.
	way.mu.Lock()
	way.no = errors.New("no money")
	way.mu.Unlock()
	if _, err := last.node.Import(t.Context(), c.parcel(t, "poor", 55, 0).Append(nil)); err == nil {
		t.Error("taken")
	}
	if r, err := middle.node.Import(t.Context(), c.parcel(t, "poorer", 55, 0).Append(nil)); err != nil || !r.News {
		t.Errorf("%+v, %v", r, err)
	}
	last.until(t, "a refusal", func(Stats) bool {
		way.mu.Lock()
		defer way.mu.Unlock()
		return len(way.took) >= 4
	})
	if last.holds(c.parcel(t, "poorer", 55, 0).Hash()) {
		t.Error("what was refused is held")
	}
}

func (l *light) holds(tx verify.Hash) bool {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	for _, h := range l.node.held {
		if h.parcel && h.of[0] == tx {
			return true
		}
	}
	return false
}

// TestEcoSends: a node that does not listen to the topic can send all the same, and asks what became of it.
func TestEcoSends(t *testing.T) {
	c := newChain(t, demonet.Config{History: 90, SetChangeEvery: -1})
	way := &courier{taken: make(chan verify.Hash, 8)}
	a := c.join(t, 60, Config{Courier: way})
	b := c.join(t, 60, Config{Level: Eco}, a)
	b.on(t, FinalityRare, 1)
	p := c.parcel(t, "sender", 55, 0)
	if _, err := b.node.Import(t.Context(), p.Append(nil)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-way.taken:
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing came: %+v", a.node.Stats())
	}
	if !b.node.out() {
		t.Error("it does not wait for the end")
	}
}

// TestHeld: what is held is bounded, and what is ours goes last.
func TestHeld(t *testing.T) {
	c := newChain(t, demonet.Config{History: 30, SetChangeEvery: -1})
	n := c.join(t, 20, Config{Level: Park}).node
	own := c.parcel(t, "own", 10, 0)
	n.hold(Judgement{Parcel: own}, own.Append(nil), true)
	for i := range 2 * maxHeld {
		p := c.parcel(t, fmt.Sprint(i), 10, 0)
		n.hold(Judgement{Parcel: p}, p.Append(nil), false)
	}
	if len(n.held) != maxHeld || !n.out() {
		t.Errorf("%d are held, ours among them: %v", len(n.held), n.out())
	}
	big := make([]byte, MaxMessage)
	for i := range 2 * maxHeld {
		p := c.parcel(t, fmt.Sprint("big", i), 10, 0)
		n.hold(Judgement{Parcel: p}, big, false)
	}
	size := 0
	for _, h := range n.held {
		size += len(h.message)
	}
	if size > maxHeldSize+MaxMessage {
		t.Errorf("%d bytes are held", size)
	}
	if answer, ok := n.answerHeld("", []byte{0}); !ok || len(answer) > maxAnswer+4*maxHeld {
		t.Errorf("an answer of %d bytes", len(answer))
	}
	// What became of it is here: it is not held any longer.
	n.hold(Judgement{Bundle: &bundle.Bundle{Claims: []bundle.Claim{bundle.IncludedClaim{Block: 20, Hash: own.Hash()}}}}, []byte("result"), false)
	if n.out() {
		t.Error("ours is still out")
	}
	n.hold(Judgement{Parcel: own}, own.Append(nil), true)
	if n.out() {
		t.Error("and is taken again")
	}
}
