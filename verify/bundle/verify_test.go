package bundle

import (
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/subtensor"
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
	b, err := r.MarshalJSON()
	if err != nil || !strings.HasPrefix(string(b), `{"verdict":"ok","lines":[{"step":"trust"`) {
		t.Errorf("JSON: %s, %v", b[:min(len(b), 100)], err)
	}
	_ = verify.Hash{}
}
