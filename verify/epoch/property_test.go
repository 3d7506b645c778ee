package epoch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/taolight/taolight/verify/subtensor"
)

// Epochs at random, laid out as a chain stores them and read back from proofs, come to what the math/big
// reference made of them: every array is equal. Then one cell of what was stored is another, and is named.
func TestRandomEpochs(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(700) {
		w := newWorld(t, seed)
		name := fmt.Sprintf("seed %d, spec %d, %d neurons, %d mechanisms", seed, w.set.Spec, w.n, len(w.inputs))
		v := w.read(t).Verdict()
		for _, a := range v.Arrays {
			if a.Finding != Equal {
				t.Fatalf("%s: %s of mechanism %d: %v %s %v", name, a.Name, a.Mecid, a.Finding, a.Why, a.Cells)
			}
		}
		if v.Rao != w.rao && w.n > 0 && len(w.inputs) == 1 && v.Rao+1 != w.rao {
			t.Fatalf("%s: %d rao, want %d", name, v.Rao, w.rao)
		}
		some := false
		for _, d := range v.Outputs.Dividends {
			some = some || d > 0
		}
		for what, is := range map[string]bool{
			"dividends": some, "a default": w.absent > 0, "several mechanisms": len(w.inputs) > 1, "Yuma3": w.inputs[0].Yuma3On && some,
			"liquid alpha": v.Traces[0].Alphas != nil && some, "an owner": w.inputs[0].Owner >= 0, "ranks": !w.set.NoRanks, "emission": v.Rao > 0 && some,
			"the block's share": w.after[string(subnetKey("SubnetAlphaOutEmission", w.netuid))] != nil,
			"commitments":       len(w.inputs[0].CommitBlocks) > 0 && w.set.CommitColumns && w.inputs[0].CommitRevealWeightsEnabled,
		} {
			if is {
				seen[what]++
			}
		}
		if w.n == 0 {
			continue
		}

		// Which cell, and of what.
		array := v.Arrays[w.IntN(len(v.Arrays))]
		uid, m := w.IntN(w.n), max(array.Mecid, 0)
		key, size := subnetKey(array.Name, uint16(m)*4096+w.netuid), 2
		switch array.Name {
		case "SubnetAlphaOutEmission":
			continue
		case "Active", "ValidatorPermit":
			size = 1
		case "Emission":
			size = 8
		case "Bonds":
			key, size = subtensor.KeyBonds(uint16(m)*4096+w.netuid, uint16(uid)), 4
		}
		b := append([]byte{}, w.after[string(key)]...)
		switch at := 1 + size*uid; {
		case array.Name != "Bonds":
			b[at] ^= 1 << [9]byte{2: 4, 8: 3}[size] // a bool stays one
		case len(b) > 1:
			b[len(b)-1-w.IntN(4)] ^= 1 // of the last entry: its uid or its value
		default:
			b = append([]byte{4}, binary.LittleEndian.AppendUint32(nil, w.Uint32())...)
		}
		w.after.put(key, b)
		seen[array.Name]++
		for _, a := range w.read(t).Verdict().Arrays {
			wrong := a.Name == array.Name && a.Mecid == array.Mecid
			if wrong != (a.Finding == Differs) || wrong && (a.Count != 1 || int(a.Cells[0].UID) != uid) {
				t.Fatalf("%s: wrong is %s of uid %d in mechanism %d; %s of mechanism %d: %v %v", name, array.Name, uid, array.Mecid, a.Name, a.Mecid, a.Finding, a.Cells)
			}
		}
	}
	t.Log(seen)
	for _, what := range []string{
		"dividends", "a default", "several mechanisms", "Yuma3", "liquid alpha", "an owner", "ranks", "emission", "the block's share", "commitments",
		"StakeWeight", "Active", "ValidatorPermit", "Consensus", "ValidatorTrust", "Rank", "Trust", "Incentive", "Bonds", "Dividends", "PruningScores", "Emission",
	} {
		if seen[what] < 5 {
			t.Errorf("%s in %d epochs only", what, seen[what])
		}
	}
}

// What is absent has to be proven absent: without any one node of the proofs, nothing is decided.
func TestEveryNodeCounts(t *testing.T) {
	for seed := range uint64(6) {
		w := newWorld(t, seed)
		b, a := &asking{store: w.before}, &asking{store: w.after}
		if _, err := Read(b, a, w.netuid, w.block, w.set, nil); err != nil {
			t.Fatal(err)
		}
		before, nodes := proven(t, w.before, b.keys)
		after, late := proven(t, w.after, a.keys)
		for i := range len(nodes) + len(late) {
			x, y := before, after
			if i < len(nodes) {
				x = lacking(t, w.before, nodes, i)
			} else {
				y = lacking(t, w.after, late, i-len(nodes))
			}
			if _, err := Read(x, y, w.netuid, w.block, w.set, nil); !errors.Is(err, subtensor.ErrUnproven) {
				t.Fatalf("seed %d: without node %d of %d and %d: %v", seed, i, len(nodes), len(late), err)
			}
		}
	}
}
