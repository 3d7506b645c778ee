package tx

import (
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
)

// away returns a pool on a stage whose peers, if any, linked tells of, and a parcel that it may wait for.
func away(t *testing.T, s *stage, linked *bool) (*Pool, *extrinsic.Parcel) {
	t.Helper()
	p, err := New(Config{Node: s, Linked: func() bool { return *linked }})
	if err != nil {
		t.Fatal(err)
	}
	terms, err := p.Terms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	call, err := terms.Metadata.EncodeCall("System.remark", []byte(`{"remark": "0x01"}`))
	if err != nil {
		t.Fatal(err)
	}
	k := newPen(t, 7)
	payload, err := terms.Payload(call, Options{From: k.Account(), Nonce: 5, Period: 8})
	if err != nil {
		t.Fatal(err)
	}
	sig, err := payload.SignWith(k)
	if err != nil {
		t.Fatal(err)
	}
	x, err := payload.Parcel(sig)
	if err != nil {
		t.Fatal(err)
	}
	return p, x
}

// TestParcelOf: what a payload packs is the extrinsic that it makes.
func TestParcelOf(t *testing.T) {
	no := false
	s := newStage(t)
	p, x := away(t, s, &no)
	terms, err := p.Terms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := terms.Open(x.Extrinsic, p.birth(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if signed.Hash != x.Hash() || signed.Payload.Nonce != x.Nonce || signed.Payload.From != x.From || string(signed.Payload.Call) != string(x.Call) {
		t.Errorf("%+v and %+v", signed.Payload, x)
	}
}

// TestAway: a transaction that others carry ends by what is proven, and by nothing else.
func TestAway(t *testing.T) {
	hash := verify.Hash{7}
	for _, x := range []struct {
		what  string
		claim bundle.IncludedClaim
		state string
		line  string
	}{
		{"succeeded", bundle.IncludedClaim{Block: 12, Index: 3, End: bundle.Succeeded}, Succeeded, "#12, extrinsic 3: it succeeded"},
		{"failed", bundle.IncludedClaim{Block: 12, Index: 3, End: bundle.Failed, Error: []byte{2}}, Failed, "it failed: BadOrigin"},
		{"failed in a pallet", bundle.IncludedClaim{Block: 12, Index: 3, End: bundle.Failed, Error: []byte{3, 0, 0, 0, 0, 0}}, Failed, "it failed: System.InvalidSpecName"},
		{"failed in none that is known", bundle.IncludedClaim{Block: 12, Index: 3, End: bundle.Failed, Error: []byte{3, 250, 0, 0, 0, 0}}, Failed, "error 0 of pallet 250"},
		{"not said", bundle.IncludedClaim{Block: 12, Index: 3}, Included, "how it ended cannot be told"},
	} {
		no := false
		p, parcel := away(t, newStage(t), &no)
		tracked, err := p.Await(parcel, 10, "remark")
		if err != nil || tracked.State != Pending || !tracked.Away || !strings.Contains(tracked.Line(), "handed to light nodes") {
			t.Fatalf("%s: %+v, %v", x.what, tracked, err)
		}
		if p.Heard(t.Context(), x.claim, hash) {
			t.Errorf("%s: by a claim about another one", x.what)
		}
		x.claim.Hash = parcel.Hash()
		if !p.Heard(t.Context(), x.claim, hash) || p.Heard(t.Context(), x.claim, hash) {
			t.Errorf("%s: heard not at all, or twice", x.what)
		}
		if tracked, err = p.Status(parcel.Hash()); err != nil || tracked.State != x.state || !strings.Contains(tracked.Line(), x.line) || tracked.BlockHash != hash.String() {
			t.Errorf("%s: %s, %v", x.what, tracked.Line(), err)
		}
	}
	no := false
	p, parcel := away(t, newStage(t), &no)
	if _, err := p.Await(parcel, parcel.Last(), ""); !errors.Is(err, ErrLapsed) {
		t.Errorf("late: %v", err)
	}
}

// TestUnheard: without a peer nothing is asked, and in the end nothing is known; with one it is looked up.
func TestUnheard(t *testing.T) {
	linked := false
	s := newStage(t)
	p, parcel := away(t, s, &linked)
	if _, err := p.Await(parcel, 10, ""); err != nil {
		t.Fatal(err)
	}
	e := p.underWay()[0]
	step := func(number uint32) Tracked {
		t.Helper()
		if err := p.step(t.Context(), e, s.at(number)); err != nil {
			t.Fatal(err)
		}
		return p.copyOf(e)
	}
	reads := s.reads
	if got := step(parcel.Last() + 1); got.State != Pending || s.reads != reads {
		t.Errorf("%s, %d reads", got.Line(), s.reads-reads)
	}
	if got := step(parcel.Last() + unheardAfter); got.State != Unheard || !strings.Contains(got.Line(), "no proof came") {
		t.Errorf("%s", got.Line())
	}

	linked = true
	s = newStage(t)
	p, parcel = away(t, s, &linked)
	if _, err := p.Await(parcel, 10, ""); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.add(scene{nonce: 5})
	}
	e = p.underWay()[0]
	if got := step(parcel.Last()); got.State != Lapsed {
		t.Errorf("%s", got.Line())
	}
}
