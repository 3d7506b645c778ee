package bundle

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// full returns a bundle with something in every section, and its chain: all claims of a scene, and a set change
// below them.
func full(t testing.TB) (*scene, *Bundle) {
	s := &scene{chain: newChain(t, "full", 90, 3)}
	s.run(3)
	s.change = voters("full next", 4)
	s.block()
	s.register(4)
	s.block()
	s.sealed = s.seal(0, round, []uint16{1, 2}, []uint16{10, 20})
	s.queue(epoch, s.sealed)
	s.reveal = &Reveal{UIDs: []uint16{0, 2}, Values: []uint16{7, 9}, Salt: []uint16{1, 2}, VersionKey: 3}
	s.hashed = subtensor.HashCommit{Hash: commit.HashOf(hotkey(1), netuid, s.reveal.UIDs, s.reveal.Values, s.reveal.Salt, 3), Epoch: epoch, Block: uint64(s.next())}
	s.hashQueue(1, s.hashed)
	s.made = s.block().Number
	s.run(tempo - 1)
	s.tick(epoch + 1)
	s.queue(epoch)
	s.weights(0, commit.Row([]uint16{1, 2}, []uint16{10, 20}))
	s.revealed = s.block().Number
	s.hashQueue(1)
	s.weights(1, commit.Row(s.reveal.UIDs, s.reveal.Values))
	s.shown = s.block().Number
	s.run(2)
	id, hash := idOf(s.sealed, epoch), idOfHash(1, s.hashed)
	return s, s.make(s.head(), HeaderClaim{s.made}, StorageClaim{s.made, [][]byte{{1}, {1, 2}}}, MadeClaim{id, s.made},
		RevealedClaim{hash, s.shown, s.reveal}, EqualClaim{id, s.made, s.revealed, nil}, PulseClaim{round},
		WeightsClaim{netuid, 0, s.shown, 1}, WeightsClaim{netuid, 0, s.shown, -1}, SubnetClaim{netuid, s.shown})
}

// copyOf returns a bundle that shares nothing with x.
func copyOf(t testing.TB, x *Bundle) *Bundle {
	y, err := Decode(x.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// TestLayout reads a bundle by the table of the package comment, with a reader of the test's own.
func TestLayout(t *testing.T) {
	s, x := full(t)
	b := x.Encode()
	take := func(n int) []byte {
		t.Helper()
		if n > len(b) {
			t.Fatalf("%d bytes wanted, %d left", n, len(b))
		}
		p := b[:n]
		b = b[n:]
		return p
	}
	compact := func() uint64 {
		t.Helper()
		switch p := take(1)[0]; p & 3 {
		case 0:
			return uint64(p >> 2)
		case 1:
			return uint64(p>>2) | uint64(take(1)[0])<<6
		case 2:
			q := take(3)
			return uint64(p>>2) | uint64(q[0])<<6 | uint64(q[1])<<14 | uint64(q[2])<<22
		default:
			v := uint64(0)
			for i, c := range take(int(p>>2) + 4) {
				v |= uint64(c) << (8 * i)
			}
			return v
		}
	}
	header := func(n uint32) {
		t.Helper()
		if want := s.header(n).Encode(); !bytes.Equal(take(len(want)), want) {
			t.Errorf("header %d is not where it should be", n)
		}
	}
	fragment := func(n uint32, votes int) {
		t.Helper()
		header(n)
		if r := compact(); r != 1_204_881 {
			t.Errorf("round %d", r)
		}
		if a, v := compact(), compact(); a != 0 || v != uint64(votes) {
			t.Errorf("%d headers of ancestry, %d votes", a, v)
		}
		for range votes {
			compact()
			take(64)
		}
	}
	if got := take(8); !bytes.Equal(got, []byte{0x89, 0x54, 0x4c, 0x42, 0x0d, 0x0a, 0x1a, 0x01}) {
		t.Errorf("magic %x", got)
	}
	if !bytes.Equal(take(32), s.genesis[:]) {
		t.Error("genesis")
	}
	if n, h, id := compact(), take(32), compact(); n != 90 || !bytes.Equal(h, x.Root.Hash[:]) || id != firstSet {
		t.Error("root")
	}
	if n := compact(); n != 1 {
		t.Fatalf("%d fragments", n)
	}
	fragment(94, 3)
	if take(1)[0] != 1 {
		t.Fatal("no final block")
	}
	fragment(s.head(), 3)
	if n := compact(); n != uint64(len(x.Headers)) {
		t.Fatalf("%d headers", n)
	}
	for _, h := range x.Headers {
		header(h.Number)
	}
	n := compact()
	var last [32]byte
	for i := range n {
		h := verify.Blake2b256(take(int(compact())))
		if i > 0 && bytes.Compare(last[:], h[:]) >= 0 {
			t.Error("nodes are out of order")
		}
		last = h
	}
	if p := s.pulse(round); compact() != 1 || compact() != round || !bytes.Equal(take(48), p.Signature[:]) {
		t.Error("pulses")
	}
	if compact() != 9 {
		t.Error("claims")
	}
	id := func(kind byte, hotkey, hash []byte) {
		t.Helper()
		if take(1)[0] != kind || compact() != netuid || take(1)[0] != 0 || !bytes.Equal(take(32), hotkey) || compact() != epoch || compact() != uint64(s.made) || !bytes.Equal(take(32), hash) {
			t.Error("commitment")
		}
	}
	zero, one, sealed := hotkey(0), hotkey(1), s.sealed.Hash()
	if take(1)[0] != 0 || compact() != uint64(s.made) {
		t.Error("header")
	}
	if take(1)[0] != 1 || compact() != uint64(s.made) || !bytes.Equal(take(6), []byte{8, 4, 1, 8, 1, 2}) {
		t.Error("value")
	}
	if take(1)[0] != 2 {
		t.Error("made")
	}
	id(1, zero[:], sealed[:])
	if compact() != uint64(s.made) || take(1)[0] != 3 {
		t.Error("revealed")
	}
	id(0, one[:], s.hashed.Hash[:])
	if compact() != uint64(s.shown) || !bytes.Equal(take(23), []byte{8, 0, 0, 2, 0, 8, 7, 0, 9, 0, 8, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0}) {
		t.Error("reveal")
	}
	if take(1)[0] != 5 {
		t.Error("equal")
	}
	id(1, zero[:], sealed[:])
	if compact() != uint64(s.made) || compact() != uint64(s.revealed) {
		t.Error("equal")
	}
	if take(1)[0] != 6 || compact() != round {
		t.Error("pulse")
	}
	if take(1)[0] != 7 || compact() != netuid || take(1)[0] != 0 || compact() != uint64(s.shown) || take(1)[0] != 0 {
		t.Error("weights of all")
	}
	if take(1)[0] != 7 || compact() != netuid || take(1)[0] != 0 || compact() != uint64(s.shown) || take(1)[0] != 1 || compact() != 1 {
		t.Error("weights of one")
	}
	if take(1)[0] != 8 || compact() != netuid || compact() != uint64(s.shown) {
		t.Error("subnet")
	}
	if len(b) != 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

// TestTruncated: no front of a bundle is one, nor is a bundle with more behind it.
func TestTruncated(t *testing.T) {
	_, x := full(t)
	b := x.Encode()
	for n := range b {
		if _, err := Decode(b[:n:n]); err == nil {
			t.Fatalf("%d of %d bytes decode", n, len(b))
		}
	}
	if _, err := Decode(append(slices.Clone(b), 0)); !errors.Is(err, scale.ErrTrailing) {
		t.Errorf("a byte more: %v", err)
	}
	if _, err := Decode(nil); !errors.Is(err, ErrMagic) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("too much: %v", err)
	}
	b[7] = 2
	if _, err := Decode(b); !errors.Is(err, ErrVersion) || CheckMagic(b[:8]) == nil {
		t.Errorf("version 2: %v", err)
	}
	b[7], b[5] = 1, '\r'
	if _, err := Decode(b); !errors.Is(err, ErrMagic) {
		t.Errorf("taken for text: %v", err)
	}
}

// TestFlipped: a bundle with one bit changed is not proven. But two kinds of bits make another good bundle: those
// of the root's number, since nothing rests on a name that is not the checkpoint's, and those that turn a claim into
// another that the same nodes prove.
func TestFlipped(t *testing.T) {
	s, x := full(t)
	b := x.Encode()
	wantOK(t, s.verify(x))
	o := Options{Checkpoint: s.checkpoint(s.first)}
	number := len(Magic) + 32 // and two bytes of the compact number
	const step = 5            // every bit in its turn
	var decoded, failed int
	for i := 0; i < len(b); i += step {
		flipped := slices.Clone(b)
		flipped[i] ^= 1 << (i % 8)
		y, err := Decode(flipped)
		if err != nil {
			continue
		}
		decoded++
		if !bytes.Equal(y.Encode(), flipped) {
			t.Fatalf("byte %d: what was decoded encodes to something else", i)
		}
		r := y.Verify(o)
		if r.Outcome == fact.Failed {
			failed++
		}
		if r.Outcome != fact.OK || i == number || i == number+1 {
			continue
		}
		if other, err := s.try(s.head(), y.Claims...); err != nil || !bytes.Equal(other.Encode(), flipped) {
			t.Errorf("byte %d of %d: proven all the same, %v\n%s", i, len(b), err, r)
		}
	}
	t.Logf("%d bytes: %d decode, %d of these failed", len(b), decoded, failed)
	if decoded < 100/step || failed < 50/step {
		t.Error("too few were looked at")
	}
}

// TestForm: well-formed parts in another order, twice, or where nothing may be.
func TestForm(t *testing.T) {
	s, good := full(t)
	id := idOf(s.sealed, epoch)
	hash := idOfHash(1, s.hashed)
	for _, tc := range []struct {
		name   string
		change func(x *Bundle)
		is     error
		why    string
	}{
		{"as it is", func(x *Bundle) {}, nil, ""},
		{"headers swapped", func(x *Bundle) {
			x.Headers[0], x.Headers[1] = x.Headers[1], x.Headers[0]
		}, ErrForm, "header 1: not in canonical form"},
		{"header twice", func(x *Bundle) { x.Headers = append(x.Headers[:1], x.Headers...) }, ErrForm, "header 1"},
		{"header of a fragment", func(x *Bundle) { x.Headers = append([]*verify.Header{s.header(94)}, x.Headers...) }, ErrForm, "header 0: not in canonical form: block 94 is there already"},
		{"header of the final block", func(x *Bundle) { x.Headers = append(x.Headers, x.Final.Header) }, ErrForm, "is there already"},
		{"header above the final block", func(x *Bundle) { x.Headers = append(x.Headers, &verify.Header{Number: s.head() + 1}) }, ErrForm, "above the final one"},
		{"nodes swapped", func(x *Bundle) { x.Nodes[3], x.Nodes[4] = x.Nodes[4], x.Nodes[3] }, ErrForm, "nodes: not in canonical form: proof: entry 4"},
		{"node twice", func(x *Bundle) { x.Nodes = append(x.Nodes, x.Nodes[0]) }, trie.ErrDuplicateNode, "nodes"},
		{"small node", func(x *Bundle) { x.Nodes = append(x.Nodes, bytes.Repeat([]byte{1}, 31)) }, ErrForm, "nodes"},
		{"pulses swapped", func(x *Bundle) { x.Pulses = []drand.Pulse{s.pulse(9), s.pulse(8)} }, ErrForm, "pulse 1: not in canonical form: round 8 after 9"},
		{"pulse twice", func(x *Bundle) { x.Pulses = append(x.Pulses, x.Pulses[0]) }, ErrForm, "pulse 1"},
		{"claims swapped", func(x *Bundle) { x.Claims[2], x.Claims[3] = x.Claims[3], x.Claims[2] }, ErrForm, "claim 3: not in canonical form"},
		{"claim twice", func(x *Bundle) { x.Claims = append(x.Claims[:1], x.Claims...) }, ErrForm, "claim 1"},
		{"no claims", func(x *Bundle) { x.Claims = nil }, ErrForm, "claims: not in canonical form: none"},
		{"fragment at the root", func(x *Bundle) { x.Root.Number = 94 }, ErrForm, "fragment 0: not in canonical form: block 94 is not above the root, 94"},
		{"fragment twice", func(x *Bundle) { x.Fragments = append(x.Fragments, x.Fragments[0]) }, ErrForm, "fragment 1"},
		{"final below a fragment", func(x *Bundle) { x.Final.Header = s.header(93) }, ErrForm, "final: not in canonical form: block 93"},
		{"no final", func(x *Bundle) { x.Final = nil }, ErrForm, "final"},
		{"no final and no root", func(x *Bundle) {
			*x = Bundle{Genesis: x.Genesis, Claims: x.Claims}
		}, ErrForm, "a final block goes with claims about blocks"},
		{"pulses alone, and a final", func(x *Bundle) { x.Claims = []Claim{PulseClaim{round}} }, ErrForm, "a final block goes with claims about blocks"},
		{"pulses alone, and a root", func(x *Bundle) {
			*x = Bundle{Root: x.Root, Pulses: x.Pulses, Claims: []Claim{PulseClaim{round}}}
		}, ErrForm, "no final block, and yet a root"},
		{"pulses alone", func(x *Bundle) { *x = Bundle{Pulses: x.Pulses, Claims: []Claim{PulseClaim{round}}} }, nil, ""},
		{"set id at its end", func(x *Bundle) { x.Root.SetID = 1<<64 - 1 }, ErrForm, "root"},
		{"too many votes", func(x *Bundle) { x.Final.Votes.List = make([]Vote, 2049) }, scale.ErrRange, "final"},
		{"signer out of bounds", func(x *Bundle) { x.Final.Votes.List[0].Signer = 1024 }, ErrLimit, "final: vote 0"},
		{"target out of bounds", func(x *Bundle) {
			x.Final.Votes.Ancestry = []*verify.Header{{Number: 1}}
			x.Final.Votes.List[2].Target = 2
		}, ErrForm, "final: vote 2"},
		{"ancestry twice", func(x *Bundle) { x.Final.Votes.Ancestry = []*verify.Header{{Number: 1}, {Number: 1}} }, ErrForm, "final: ancestry header 1"},

		{"claim above the final block", only(HeaderClaim{s.head() + 1}), ErrClaim, "claim 0: impossible claim: block"},
		{"no keys", only(StorageClaim{Number: 95}), ErrForm, "claim 0: value"},
		{"empty key", only(StorageClaim{95, [][]byte{{}, {1, 1, 1}}}), ErrForm, "key 0"},
		{"keys swapped", only(StorageClaim{95, [][]byte{{2}, {1}}}), ErrForm, "key 1"},
		{"key twice", only(StorageClaim{95, [][]byte{{2}, {2}}}), ErrForm, "key 1"},
		{"long key", only(StorageClaim{95, [][]byte{make([]byte, 1025)}}), scale.ErrRange, "claim 0"},
		{"made before", only(MadeClaim{id, s.made - 1}), ErrClaim, "before the commitment was made"},
		{"revealed when made", only(RevealedClaim{id, s.made, nil}), ErrClaim, "before the commitment was made"},
		{"lost when made", only(LostClaim{id, s.made, commit.NoPermit}), ErrClaim, "before the commitment was made"},
		{"shown before", only(EqualClaim{id, s.made - 1, s.made, nil}), ErrClaim, "before the commitment was made"},
		{"unknown kind", only(MadeClaim{CommitID{Kind: 2, Netuid: netuid}, 5}), ErrClaim, "kind 2"},
		{"netuid", only(WeightsClaim{4096, 0, 95, -1}), ErrClaim, "subnet 4096"},
		{"mechanism", only(WeightsClaim{1, 16, 95, -1}), ErrClaim, "mechanism 16"},
		{"netuid of a snapshot", only(SubnetClaim{4096, 95}), ErrClaim, "subnet 4096"},
		{"lost, unknown", only(LostClaim{id, s.revealed, commit.Unknown}), ErrClaim, "reason 0"},
		{"lost, stored", only(LostClaim{id, s.revealed, commit.Stored}), ErrClaim, "stored"},
		{"lost, overtaken by nobody", only(LostClaim{id, s.revealed, commit.Overtaken}), ErrClaim, "overtaken"},
		{"lost, too early", only(LostClaim{id, s.revealed, commit.TooEarly}), ErrClaim, "too-early"},
		{"lost, no reason", only(LostClaim{id, s.revealed, 200}), ErrClaim, "reason 200"},
		{"lost by hash, no permit", only(LostClaim{hash, s.revealed, commit.NoPermit}), ErrClaim, "no-permit"},
		{"round 0", only(PulseClaim{0}), ErrClaim, "round 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := copyOf(t, good)
			tc.change(x)
			_, err := Decode(x.Encode())
			if !errors.Is(err, tc.is) || tc.is == nil && err != nil || tc.is != nil && !strings.Contains(err.Error(), tc.why) {
				t.Errorf("want %v %q, have %v", tc.is, tc.why, err)
			}
			if tc.is != nil {
				if r := s.verify(x); r.Outcome != fact.Failed || r.Failing() != "form" || len(r.Lines) != 1 {
					t.Errorf("%s", r)
				}
			}
		})
	}
	// What has no encoding of its own.
	for _, claim := range []Claim{RevealedClaim{hash, s.shown, nil}, RevealedClaim{id, s.shown, s.reveal}, EqualClaim{hash, s.made, s.shown, nil}, WeightsClaim{1, 0, 95, -2}, WeightsClaim{1, 0, 95, 1 << 16}} {
		x := copyOf(t, good)
		x.Claims = []Claim{claim}
		if err := x.Check(); !errors.Is(err, ErrClaim) {
			t.Errorf("%v: %v", claim, err)
		}
	}
	for name, change := range map[string]func(x *Bundle){
		"claim":    func(x *Bundle) { x.Claims[0] = nil },
		"header":   func(x *Bundle) { x.Headers[0] = nil },
		"fragment": func(x *Bundle) { x.Fragments[0].Header = nil },
		"final":    func(x *Bundle) { x.Final.Header = nil },
		"ancestry": func(x *Bundle) { x.Final.Votes.Ancestry = []*verify.Header{nil} },
	} {
		x := copyOf(t, good)
		change(x)
		if err := x.Check(); !errors.Is(err, ErrForm) {
			t.Errorf("nil %s: %v", name, err)
		}
	}
}

// only makes claim the only one.
func only(claim Claim) func(*Bundle) { return func(x *Bundle) { x.Claims = []Claim{claim} } }

// TestLengths: lengths that promise more than there is, or more than there may be.
func TestLengths(t *testing.T) {
	front := func(sections ...[]byte) []byte {
		b := append([]byte(Magic), make([]byte, 32)...)
		return append(b, bytes.Join(sections, nil)...)
	}
	root := make([]byte, 34)
	giga := []byte{0x03, 0, 0, 0, 0x40}                                  // 2^30
	huge := []byte{0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff} // 2^64-1
	header := (&verify.Header{Number: 5}).Encode()
	claim := append([]byte{tagMade, 0}, make([]byte, 80)...)
	for _, n := range [][]byte{giga, huge, scale.AppendCompact(nil, MaxSize), scale.AppendCompact(nil, 70_000)} {
		for name, b := range map[string][]byte{
			"fragments":        front(root, n),
			"ancestry":         front(root, []byte{0, 1}, header, []byte{0}, n),
			"votes":            front(root, []byte{0, 1}, header, []byte{0, 0}, n),
			"headers":          front(root, []byte{0, 0}, n),
			"digest":           front(root, []byte{0, 0, 4}, header[:len(header)-1], n),
			"nodes":            front(root, []byte{0, 0, 0}, n),
			"node":             front(root, []byte{0, 0, 0, 4}, n, make([]byte, 40)),
			"pulses":           front(root, []byte{0, 0, 0, 0}, n),
			"claims":           front(root, []byte{0, 0, 0, 0, 0}, n),
			"keys":             front(root, []byte{0, 0, 0, 0, 0, 4, tagStorage, 0}, n),
			"key":              front(root, []byte{0, 0, 0, 0, 0, 4, tagStorage, 0, 4}, n),
			"uids of a reveal": front(root, []byte{0, 0, 0, 0, 0, 4, tagRevealed}, claim[1:1+70], []byte{0}, n),
		} {
			padded := append(b, make([]byte, 100_000)...)
			if name == "nodes" {
				padded = b
			}
			size := allocated(func() {
				if _, err := Decode(padded); err == nil {
					t.Errorf("%s: decoded", name)
				}
			})
			if most := 64<<10 + 4*uint64(len(padded)); size > most {
				t.Errorf("%s: %d bytes allocated for %d", name, size, len(padded))
			}
		}
	}
}

// TestMemory: inputs made to be small and to become big.
func TestMemory(t *testing.T) {
	front := append([]byte(Magic), make([]byte, 32+34)...)
	repeat := func(n int, one ...byte) []byte {
		return append(scale.AppendCompact(nil, uint64(n)), bytes.Repeat(one, n)...)
	}
	h := &verify.Header{}
	for range 64 {
		h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestRuntimeEnvironmentUpdated})
	}
	many := func(n int) []byte {
		b := append(slices.Clone(front), 0, 0)
		b = scale.AppendCompact(b, uint64(n))
		for i := range n {
			h.Number = uint32(i)
			b = h.Append(b)
		}
		return append(b, make([]byte, 40)...)
	}
	keys := append(slices.Clone(front), 0, 0, 0, 0, 0)
	keys = append(scale.AppendCompact(keys, 4096), bytes.Repeat(append([]byte{tagStorage, 0}, repeat(4096, 4, 7)...), 4096)[:MaxSize-len(keys)-2]...)
	votes := append(append(slices.Clone(front), 0, 1), (&verify.Header{Number: 1}).Encode()...)
	votes = append(votes, 0, 0)
	votes = append(votes, repeat(2048, make([]byte, 65)...)...)
	for name, b := range map[string][]byte{
		"digests": many(16_000), "few digests": many(9), "keys": keys, "votes": votes,
		"nodes":  append(append(slices.Clone(front), 0, 0, 0), repeat(1<<18, append([]byte{32 << 2}, make([]byte, 32)...)...)...),
		"pulses": append(append(slices.Clone(front), 0, 0, 0, 0), repeat(4096, make([]byte, 49)...)...),
	} {
		size := allocated(func() { _, _ = Decode(b) })
		t.Logf("%s: %d bytes of input, %d allocated", name, len(b), size)
		if most := 1<<20 + 4*uint64(len(b)); size > most {
			t.Errorf("%s: %d bytes allocated for %d", name, size, len(b))
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// seeds returns encodings to begin from: of every claim alone and of all together.
func seeds(f *testing.F) (*scene, [][]byte) {
	s, x := full(f)
	list := [][]byte{x.Encode(), nil, []byte(Magic)}
	for _, c := range x.Claims {
		list = append(list, s.make(s.head(), c).Encode())
	}
	list = append(list, s.make(s.head(), RevealedClaim{idOf(s.sealed, epoch), s.revealed, nil}).Encode())
	return s, list
}

// FuzzDecode: what decodes encodes to itself.
func FuzzDecode(f *testing.F) {
	_, list := seeds(f)
	for _, b := range list {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Decode(b)
		if err != nil {
			return
		}
		if got := x.Encode(); !bytes.Equal(got, b) {
			t.Errorf("%x\nencodes to %x", b, got)
		}
		for _, c := range x.Claims {
			_ = c.String()
		}
	})
}

// FuzzVerify: a verdict for everything, and OK for nothing but what says what the chain says.
func FuzzVerify(f *testing.F) {
	s, list := seeds(f)
	for _, b := range list {
		f.Add(b)
	}
	cp := s.checkpoint(s.first)
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Decode(b)
		if err != nil {
			return
		}
		r := x.Verify(Options{Checkpoint: cp})
		if len(r.Lines) != 5+len(x.Claims) {
			t.Errorf("%d lines for %d claims", len(r.Lines), len(x.Claims))
		}
		for i := range r.Lines {
			l := &r.Lines[i]
			if (l.Outcome == fact.OK) != (l.Reason == "") || (l.Outcome == fact.OK) != (l.Err == nil) || l.Text == "" || strings.ContainsAny(l.String(), "\n\r\x00") {
				t.Errorf("line %q", l)
			}
		}
		if r.Outcome == fact.OK && r.Final != nil && r.Final.Hash() != s.header(r.Final.Number).Hash() {
			t.Errorf("final block %d is another one", r.Final.Number)
		}
		if _, err := r.MarshalJSON(); err != nil {
			t.Error(err)
		}
	})
}
