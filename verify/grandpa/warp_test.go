package grandpa

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A history is a made-up chain of handovers: where it starts, who votes in each set, and the proof
// that leads to its end.
type history struct {
	start  Finalized
	voters [][]voter // by position of the set
	proof  *WarpProof
}

// newHistory returns a chain that starts at block 1,000 under set 6 and changes its set the given
// number of times, every 100 blocks, with a last fragment that changes nothing.
func newHistory(changes int) *history {
	root := at(1000)
	h := &history{proof: &WarpProof{Finished: true}}
	for i := range changes + 1 {
		h.voters = append(h.voters, voters(string(rune('a'+i)), 4))
	}
	h.start = Finalized{Header: root, Hash: root.Hash(), Set: *setOf(6, h.voters[0])}
	for i := range changes {
		header := at(1100 + 100*uint32(i))
		header.Digest = []verify.DigestItem{scheduled(setOf(0, h.voters[i+1]), 0)}
		h.add(i, header)
	}
	h.add(changes, at(1050+100*uint32(changes)))
	return h
}

func (h *history) add(set int, header *verify.Header) {
	h.proof.Fragments = append(h.proof.Fragments, h.fragment(set, header))
}

// fragment returns header as finalized by the voters of the set at the given position.
func (h *history) fragment(set int, header *verify.Header) Fragment {
	return Fragment{header, finalize(h.voters[set], header, 9, 6+uint64(set))}
}

func TestWarpProof(t *testing.T) {
	good := newHistory(3)
	changing := func(number uint32, items ...verify.DigestItem) *verify.Header {
		h := at(number)
		h.Digest = items
		return h
	}
	next := scheduled(setOf(0, good.voters[1]), 0)

	for _, c := range []struct {
		name     string
		change   func(h *history)
		verified int // fragments that stay good
		block    uint32
		set      uint64
		want     error
		place    string
	}{
		{"three changes and a head", func(h *history) {}, 4, 1350, 9, nil, ""},
		{"three changes", func(h *history) { h.proof.Fragments = h.proof.Fragments[:3] }, 3, 1300, 9, nil, ""},
		{"three changes, more to come", func(h *history) { h.proof.Fragments = h.proof.Fragments[:3]; h.proof.Finished = false }, 3, 1300, 9, nil, ""},
		{"head alone", func(h *history) { h.proof.Fragments = []Fragment{h.fragment(0, at(1001))} }, 1, 1001, 6, nil, ""},
		{"empty, finished", func(h *history) { h.proof.Fragments = nil }, 0, 1000, 6, nil, ""},
		{"empty, unfinished", func(h *history) { h.proof.Fragments = nil; h.proof.Finished = false }, 0, 1000, 6, ErrNoProgress, ""},

		// Servers that have nothing newer send the block that was asked from.
		{"our own block again", func(h *history) { h.proof.Fragments = []Fragment{h.fragment(0, h.start.Header)} }, 0, 1000, 6, nil, ""},
		{"our own block again, with whatever justification", func(h *history) {
			h.proof.Fragments = []Fragment{{h.start.Header, finalize(voters("stranger", 4), at(5), 1, 1)}}
		}, 0, 1000, 6, nil, ""},
		{"our own block again, unfinished", func(h *history) {
			h.proof.Fragments = []Fragment{h.fragment(0, h.start.Header)}
			h.proof.Finished = false
		}, 0, 1000, 6, ErrNotNewer, "fragment 0"},
		{"our own block first", func(h *history) {
			h.proof.Fragments = slices.Insert(h.proof.Fragments, 0, h.fragment(0, h.start.Header))
		}, 0, 1000, 6, ErrNotNewer, "fragment 0"},
		{"last fragment twice", func(h *history) { h.proof.Fragments = append(h.proof.Fragments, h.proof.Fragments[3]) }, 3, 1300, 9, ErrNoChange, "fragment 3"},
		{"last change twice", func(h *history) { h.proof.Fragments[3] = h.proof.Fragments[2] }, 3, 1300, 9, nil, ""},

		{"not newer", func(h *history) { h.proof.Fragments = []Fragment{h.fragment(0, at(999))} }, 0, 1000, 6, ErrNotNewer, "block 999 after 1000"},
		{"another block of our number", func(h *history) { h.proof.Fragments = []Fragment{h.fragment(0, block(at(999), 7))} }, 0, 1000, 6, ErrNotNewer, ""},
		{"second not newer", func(h *history) { h.proof.Fragments[1] = h.fragment(1, changing(1100, next)) }, 1, 1100, 7, ErrNotNewer, "fragment 1"},
		{"first left out", func(h *history) { h.proof.Fragments = h.proof.Fragments[1:] }, 0, 1000, 6, ErrSigner, "fragment 0"},
		{"middle left out", func(h *history) { h.proof.Fragments = slices.Delete(h.proof.Fragments, 1, 2) }, 1, 1100, 7, ErrSigner, "fragment 1"},
		{"exchanged", func(h *history) { f := h.proof.Fragments; f[0], f[1] = f[1], f[0] }, 0, 1000, 6, ErrSigner, "fragment 0"},

		{"no change before the last", func(h *history) { h.proof.Fragments[1] = h.fragment(1, at(1200)) }, 1, 1100, 7, ErrNoChange, "fragment 1: header 1200"},
		{"no change in the last, unfinished", func(h *history) { h.proof.Finished = false }, 3, 1300, 9, ErrNoChange, "fragment 3"},
		{"old set signs after the change", func(h *history) { h.proof.Fragments[1] = h.fragment(0, changing(1200, next)) }, 1, 1100, 7, ErrSigner, "fragment 1"},
		{"new set signs its own announcement", func(h *history) {
			header := h.proof.Fragments[0].Header
			h.proof.Fragments[0] = Fragment{header, finalize(h.voters[1], header, 9, 6)}
		}, 0, 1000, 6, ErrSigner, "fragment 0"},
		{"set id skipped", func(h *history) {
			header := h.proof.Fragments[1].Header
			h.proof.Fragments[1] = Fragment{header, finalize(h.voters[1], header, 9, 8)}
		}, 1, 1100, 7, ErrSignature, "fragment 1: justification: precommit 0"},

		{"justification of another header", func(h *history) { h.proof.Fragments[2].Justification = h.proof.Fragments[1].Justification }, 2, 1200, 8, ErrTarget, "fragment 2"},
		{"header changed", func(h *history) {
			other := *h.proof.Fragments[2].Header
			other.StateRoot[5] ^= 1
			h.proof.Fragments[2].Header = &other
		}, 2, 1200, 8, ErrTarget, "fragment 2"},
		{"justification names another number", func(h *history) {
			header := h.proof.Fragments[0].Header
			votes := []Precommit{}
			for _, v := range h.voters[0] {
				votes = append(votes, v.sign(header.Hash(), 1101, 9, 6))
			}
			h.proof.Fragments[0].Justification = &Justification{Round: 9, Commit: Commit{header.Hash(), 1101, votes}}
		}, 0, 1000, 6, ErrTarget, "fragment 0"},
		{"too few votes", func(h *history) {
			c := &h.proof.Fragments[3].Justification.Commit
			c.Precommits = c.Precommits[:2]
		}, 3, 1300, 9, ErrThreshold, "fragment 3"},
		{"bad signature", func(h *history) { h.proof.Fragments[1].Justification.Commit.Precommits[2].Signature[9] ^= 1 }, 1, 1100, 7, ErrSignature, "precommit 2"},

		{"forced change", func(h *history) {
			h.proof.Fragments[1] = h.fragment(1, changing(1200, grandpaLog(append([]byte{logForcedChange, 0, 0, 0, 0}, next.Data[1:]...))))
		}, 1, 1100, 7, ErrUnsupportedChange, "forced"},
		{"forced change in the last", func(h *history) {
			h.proof.Fragments[3] = h.fragment(3, changing(1350, grandpaLog(append([]byte{logForcedChange, 0, 0, 0, 0}, next.Data[1:]...))))
		}, 3, 1300, 9, ErrUnsupportedChange, "fragment 3"},
		{"delay", func(h *history) {
			h.proof.Fragments[1] = h.fragment(1, changing(1200, scheduled(setOf(0, h.voters[2]), 5)))
		}, 1, 1100, 7, ErrUnsupportedChange, "delay of 5"},
		{"two changes", func(h *history) { h.proof.Fragments[1] = h.fragment(1, changing(1200, next, next)) }, 1, 1100, 7, ErrUnsupportedChange, "second change"},
		{"change to nobody", func(h *history) {
			h.proof.Fragments[1] = h.fragment(1, changing(1200, scheduled(&AuthoritySet{}, 0)))
		}, 1, 1100, 7, ErrAuthorities, "fragment 1"},
		{"pause", func(h *history) {
			h.proof.Fragments[1] = h.fragment(1, changing(1200, grandpaLog([]byte{logPause, 0, 0, 0, 0})))
		}, 1, 1100, 7, ErrUnsupportedChange, "pause"},
		{"another consensus", func(h *history) {
			h.proof.Fragments[1] = h.fragment(1, changing(1200, next, verify.DigestItem{Type: verify.DigestPreRuntime, Engine: verify.EngineID{'B', 'A', 'B', 'E'}}))
		}, 1, 1100, 7, verify.ErrUnknownEngine, "fragment 1"},
		// What an unproven header announces is no news.
		{"forced change, unsigned", func(h *history) {
			h.proof.Fragments[1] = Fragment{changing(1200, grandpaLog([]byte{logForcedChange})), justify(changing(1200, grandpaLog([]byte{logForcedChange})), 9, nil)}
		}, 1, 1100, 7, ErrThreshold, "fragment 1"},
		{"another consensus, unsigned", func(h *history) {
			header := changing(1200, verify.DigestItem{Type: verify.DigestPreRuntime, Engine: verify.EngineID{'B', 'A', 'B', 'E'}})
			h.proof.Fragments[1] = Fragment{header, finalize(voters("stranger", 4), header, 9, 7)}
		}, 1, 1100, 7, ErrSigner, "fragment 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(3)
			c.change(h)
			b := h.proof.Append(nil)
			decoded, err := DecodeWarpProof(b)
			if err != nil || !bytes.Equal(decoded.Append(nil), b) {
				t.Fatalf("does not survive: %v", err)
			}
			for _, p := range []*WarpProof{h.proof, decoded} {
				to, n, err := p.Verify(h.start)
				if !errors.Is(err, c.want) || err != nil && (!strings.Contains(err.Error(), c.place) || !strings.HasPrefix(err.Error(), "warp proof: ")) {
					t.Errorf("%v; want %v, %q", err, c.want, c.place)
				}
				if n != c.verified || to.Header.Number != c.block || to.Set.ID != c.set || to.Hash != to.Header.Hash() {
					t.Errorf("%d fragments to block %d, set %d; want %d to %d, %d", n, to.Header.Number, to.Set.ID, c.verified, c.block, c.set)
				}
				if want := setOf(c.set, h.voters[c.set-6]); !to.Set.Equal(want) {
					t.Errorf("set %+v, want %+v", to.Set, want)
				}
				if n > 0 && (to.Justification == nil || to.Justification.Commit.TargetHash != to.Hash) {
					t.Error("the justification of the newest block is not there")
				}
			}
			if h.start.Set.ID != 6 || h.start.Header.Number != 1000 {
				t.Error("the start was changed")
			}
		})
	}

	if _, _, err := good.proof.Verify(Finalized{Hash: good.start.Hash, Set: good.start.Set}); !errors.Is(err, ErrTarget) {
		t.Errorf("no header to start from: %v", err)
	}
}

// A long proof in parts gives what it gives in one.
func TestWarpProofInParts(t *testing.T) {
	h := newHistory(6)
	whole, n, err := h.proof.Verify(h.start)
	if err != nil || n != 7 {
		t.Fatal(n, err)
	}
	at := h.start
	for i, end := range []int{2, 3, 6, 7} {
		begin := []int{0, 2, 3, 6}[i]
		part := &WarpProof{Fragments: h.proof.Fragments[begin:end], Finished: end == 7}
		if at, n, err = part.Verify(at); err != nil || n != end-begin {
			t.Fatal(n, err)
		}
	}
	if at.Hash != whole.Hash || !at.Set.Equal(&whole.Set) {
		t.Errorf("%v under %d, in one %v under %d", at.Hash, at.Set.ID, whole.Hash, whole.Set.ID)
	}
}

func TestDecodeWarpProof(t *testing.T) {
	good := newHistory(1).proof.Append(nil)
	small := append((&verify.Header{}).Encode(), (&Justification{}).Append(nil)...)
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"good", good, nil},
		{"empty, finished", []byte{0, 1}, nil},
		{"empty, unfinished", []byte{0, 0}, nil},
		{"flag 2", []byte{0, 2}, scale.ErrRange},
		{"no flag", []byte{0}, scale.ErrShort},
		{"nothing", nil, scale.ErrShort},
		{"trailing byte", append(bytes.Clone(good), 1), scale.ErrTrailing},
		{"smallest fragment", append(append([]byte{4}, small...), 1), nil},
		{"2^30 fragments", []byte{3, 0, 0, 0, 0x40, 1}, scale.ErrRange},
		{"fragments that are not there", append(append([]byte{8}, small...), 1), scale.ErrShort},
		{"more than allowed", append(scale.AppendCompact(nil, MaxFragments+1), bytes.Repeat(small, MaxFragments+1)...), scale.ErrRange},
		{"as many as allowed", append(append(scale.AppendCompact(nil, MaxFragments), bytes.Repeat(small, MaxFragments)...), 0), nil},
		{"too long", make([]byte, MaxWarpProofSize+1), scale.ErrRange},
	} {
		if _, err := DecodeWarpProof(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", c.name, err, c.want)
		}
	}
	for n := range good {
		if _, err := DecodeWarpProof(good[:n]); !errors.Is(err, scale.ErrShort) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

// Whatever a peer sends, decoding it takes a small multiple of its size.
func TestDecodeMemory(t *testing.T) {
	digest := func(n int) *verify.Header {
		h := &verify.Header{}
		for range n {
			h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestRuntimeEnvironmentUpdated})
		}
		return h
	}
	fragments := func(n, items int) []byte {
		f := append(digest(items).Encode(), (&Justification{}).Append(nil)...)
		return append(append(scale.AppendCompact(nil, uint64(n)), bytes.Repeat(f, n)...), 1)
	}
	ancestry := func(n, items int) []byte {
		b := append(make([]byte, 8+32+4), 0)
		return append(scale.AppendCompact(b, uint64(n)), bytes.Repeat(digest(items).Encode(), n)...)
	}
	warp := func(b []byte) error { _, err := DecodeWarpProof(b); return err }
	justification := func(b []byte) error { _, err := DecodeJustification(b); return err }
	for _, c := range []struct {
		name   string
		decode func(b []byte) error
		b      []byte
		want   error
	}{
		{"smallest fragments", warp, fragments(10_000, 0), nil},
		{"fragments with as many digest items as allowed", warp, fragments(10_000, digestAllowance), nil},
		{"fragments with too many digest items", warp, fragments(10_000, 64), scale.ErrRange},
		{"smallest ancestry", justification, ancestry(10_000, 0), nil},
		{"ancestry with as many digest items as allowed", justification, ancestry(10_000, digestAllowance), nil},
		{"ancestry with too many digest items", justification, ancestry(10_000, 64), scale.ErrRange},
		{"precommits", justification, append(scale.AppendCompact(make([]byte, 44), MaxPrecommits), make([]byte, MaxPrecommits*precommitSize+1)...), nil},
		{"a count that the input could hold, and rubbish", warp, append(scale.AppendCompact(nil, 10_000), bytes.Repeat([]byte{0xff}, 10_000*144)...), scale.ErrRange},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.decode(c.b)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 5*uint64(len(c.b))+10_000 {
			t.Errorf("%s: %d bytes allocated for %d", c.name, took, len(c.b))
		}
	}
}
