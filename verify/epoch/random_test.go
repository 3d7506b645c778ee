package epoch

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
	"github.com/taolight/taolight/verify/yuma"
	"github.com/taolight/taolight/verify/yuma/reference"
)

// A world is a subnet at random before and after an epoch: its storage, and beside it the inputs that the
// epoch has by the chain's rules, put together without reading them from there.
type world struct {
	*rand.Rand
	set    rules.Set
	netuid uint16
	block  uint64
	n      int
	rao    uint64
	split  []uint16
	inputs []*yuma.Inputs

	before, after store
	absent        int // values that were left to their defaults
}

func pick[T any](w *world, of ...T) T { return of[w.IntN(len(of))] }

// some puts a value under an item of the subnet, or leaves it out, and returns what then counts.
func some[T uint8 | uint16 | uint32 | uint64 | int16](w *world, item string, absent T, of ...T) T {
	if w.IntN(3) == 0 {
		w.absent++
		return absent
	}
	v := pick(w, of...)
	b := scale.AppendU64(nil, uint64(v))
	w.before.put(subnetKey(item, w.netuid), b[:binary.Size(v)])
	return v
}

func flag(w *world, item string, absent bool) bool {
	if w.IntN(3) == 0 {
		w.absent++
		return absent
	}
	v := w.IntN(2) == 0
	w.before.put(subnetKey(item, w.netuid), boolean(v))
	return v
}

// vec puts a vector by uid, which may be short or lacking.
func vec[T any](w *world, key []byte, v []T, one func(T) []byte) []T {
	switch w.IntN(10) {
	case 0:
		w.absent++
		return nil
	case 1:
		v = v[:w.IntN(len(v)+1)]
	}
	w.before.put(key, list(v, one))
	return v
}

func times[T any](n int, f func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7)), before: store{}, after: store{}}
	spec := pick(w, uint32(273), 283, 297, 305, 306, 319, 320, 322, 323, 342, 343, 360, 364, 365, 400, 401, 411, 422, 423, 424, 425)
	set, err := rules.ForEpoch(spec)
	if err != nil {
		t.Fatal(err)
	}
	w.set, w.netuid, w.n = set, pick(w, uint16(1), 7, 255, 256, 4095), w.IntN(9)
	if w.IntN(20) == 0 {
		w.n = 30
	}
	for _, s := range []store{w.before, w.after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: spec, SpecName: "node-subtensor"}.Append(nil))
		s.subnet("NetworksAdded", w.netuid, boolean(true))
		s.subnet("SubnetworkN", w.netuid, u16(uint16(w.n)))
		for i := range 12 { // what else there is in a state
			s.put(verify.StorageKey("Other", fmt.Sprint(i)), []byte{byte(i)})
		}
	}
	tempo := some(w, "Tempo", 360, uint16(1), 99, 360)
	epoch, period := w.schedule(tempo), uint64(1)
	if spec >= 306 && w.IntN(3) == 0 {
		period = pick(w, uint64(1), 2, 5)
		w.before.subnet("RevealPeriodEpochs", w.netuid, u64(period))
	}
	w.after.subnet("LastMechansimStepBlock", w.netuid, u64(w.block))

	lookback := func() uint64 {
		return w.block - min(w.block, pick(w, uint64(0), 1, 2, uint64(w.IntN(400)), uint64(w.IntN(9000))))
	}
	in := yuma.Inputs{
		Block: w.block, Tempo: tempo, Owner: -1,
		ActivityCutoff:             5000,
		ActivityCutoffFactorMilli:  13_889,
		LastMechansimStepBlock:     some(w, "LastMechansimStepBlock", 0, lookback(), lookback()),
		MaxAllowedValidators:       some(w, "MaxAllowedValidators", 128, uint16(w.n), uint16(w.n/2), 1),
		Kappa:                      some(w, "Kappa", 32_767, uint16(0), 32_767, 32_768, 39_321, 65_535),
		BondsPenalty:               some(w, "BondsPenalty", 65_535, uint16(0), 1, 32_768, 65_535),
		BondsMovingAverage:         some(w, "BondsMovingAverage", 900_000, uint64(0), 500_000, 975_000, 1_000_000),
		Yuma3On:                    flag(w, "Yuma3On", false),
		LiquidAlphaOn:              flag(w, "LiquidAlphaOn", false),
		AlphaLow:                   45_875,
		AlphaHigh:                  58_982,
		AlphaSigmoidSteepness:      int32(some(w, "AlphaSigmoidSteepness", int16(1000), -1000, 0, 10, 4000)),
		CommitRevealWeightsEnabled: flag(w, "CommitRevealWeightsEnabled", true),
	}
	if set.ActivityFactor {
		in.ActivityCutoffFactorMilli = some(w, "ActivityCutoffFactorMilli", 13_889, uint32(1000), 50_000)
	} else {
		in.ActivityCutoff = some(w, "ActivityCutoff", 5000, uint16(360), 65_535)
	}
	if !set.SteepnessPercent {
		in.AlphaSigmoidSteepness = int32(uint16(in.AlphaSigmoidSteepness))
	}
	if w.IntN(2) == 0 {
		in.AlphaLow, in.AlphaHigh = pick(w, uint16(0), 1638), pick(w, uint16(58_982), 65_535)
		w.before.subnet("AlphaValues", w.netuid, append(u16(in.AlphaLow), u16(in.AlphaHigh)...))
	}
	if w.IntN(2) == 0 {
		in.StakeThreshold = pick(w, uint64(0), 100, 1e12)
		w.before.put(subtensor.KeyValue("StakeThreshold"), u64(in.StakeThreshold))
	}
	w.owner(&in)
	w.stakes(&in)
	in.ValidatorPermit = vec(w, subnetKey("ValidatorPermit", w.netuid), times(w.n, func(int) bool { return w.IntN(4) > 0 }), boolean)
	in.BlockAtRegistration = times(w.n, func(uid int) uint64 {
		if w.IntN(2) == 0 {
			w.absent++
			return 0
		}
		// Not in the block itself: such a neuron is somebody else's by then.
		b := lookback() - 1
		if b == math.MaxUint64 {
			b = 0
		}
		for _, s := range []store{w.before, w.after} {
			s.put(subtensor.KeyBlockAtRegistration(w.netuid, uint16(uid)), u64(b))
		}
		return b
	})

	count := 1
	if set.Mechanisms && w.IntN(3) == 0 {
		count = 1 + w.IntN(3)
		w.before.subnet("MechanismCountCurrent", w.netuid, []byte{byte(count)})
		if w.IntN(2) == 0 {
			w.split = times(w.IntN(4), func(int) uint16 { return uint16(w.IntN(65_536 / 4)) })
			w.before.subnet("MechanismEmissionSplit", w.netuid, list(w.split, u16))
		}
	}
	w.pendingEmission()
	for m := range count {
		idx, err := subtensor.Index(w.netuid, uint8(m))
		if err != nil {
			t.Fatal(err)
		}
		each := in
		each.LastUpdate = vec(w, subnetKey("LastUpdate", idx), times(w.n, func(int) uint64 { return lookback() }), u64)
		each.Weights, each.Bonds = w.rows(subtensor.KeyWeights, idx), w.rows(subtensor.KeyBonds, idx)
		each.CommitBlocks = w.commits(idx, epoch, period, tempo)
		w.inputs = append(w.inputs, &each)
	}
	w.stores(count)
	return w
}

// schedule makes an epoch due, and returns by which epoch commitments are counted in its block.
func (w *world) schedule(tempo uint16) (epoch uint64) {
	if !w.set.StatefulEpochs {
		period := uint64(tempo) + 1
		turns := uint64(3 + w.IntN(3000))
		w.block = turns*period - uint64(w.netuid) - 1 + uint64(tempo) // (block + netuid + 1) mod (tempo+1) = tempo
		for w.block > 1<<40 {
			w.block += period // netuid is above it
		}
		return (w.block + uint64(w.netuid) + 1) / period
	}
	w.block = uint64(60_000 + w.IntN(1_000_000))
	index := some(w, "SubnetEpochIndex", uint64(0), 1, 40, 9000)
	switch w.IntN(3) {
	case 0:
		w.before.subnet("LastEpochBlock", w.netuid, u64(w.block-uint64(tempo)))
	case 1:
		w.before.subnet("LastEpochBlock", w.netuid, u64(w.block-min(2, uint64(tempo))))
		w.before.subnet("PendingEpochAt", w.netuid, u64(w.block-uint64(w.IntN(2))))
	default:
		w.before.subnet("LastEpochBlock", w.netuid, u64(w.block-1))
		w.before.subnet("BlocksSinceLastStep", w.netuid, u64(50_401))
	}
	return index + 1
}

func (w *world) owner(in *yuma.Inputs) {
	if w.IntN(3) == 0 {
		return
	}
	uid := w.IntN(w.n + 1)
	owner := account(uid)
	if uid == w.n {
		owner = account(4000) // of another subnet
	} else {
		in.Owner = uid
		w.before.put(subtensor.KeyUids(w.netuid, owner), u16(uint16(uid)))
	}
	for _, s := range []store{w.before, w.after} {
		s.subnet("SubnetOwnerHotkey", w.netuid, owner[:])
	}
}

// stakes gives hotkeys and their parents stake, and reckons with it in numbers without bounds.
func (w *world) stakes(in *yuma.Inputs) {
	one := new(big.Int).Lsh(big.NewInt(1), 32)
	most := new(big.Int).SetUint64(math.MaxUint64)
	number := func(v uint64) *big.Int { return new(big.Int).SetUint64(v) }
	share := func(p uint64) *big.Int { return new(big.Int).Quo(new(big.Int).Mul(number(p), one), most) }

	weight := uint64(971_718_665_099_567_868)
	if w.IntN(3) == 0 {
		weight = pick(w, uint64(0), 1<<62, math.MaxUint64)
		w.before.put(subtensor.KeyValue("TaoWeight"), u64(weight))
	}
	same, zero := w.Uint64()>>(12+w.IntN(40)), w.IntN(8) == 0
	one1 := w.IntN(6) == 0 // one validator has all there is
	type held struct{ alpha, root uint64 }
	holds := times(w.n+4, func(i int) (h held) { // the last four are parents that are no neurons
		for k, to := range []*uint64{&h.alpha, &h.root} {
			if zero || one1 && i != 0 || w.IntN(4) == 0 {
				w.absent++
				continue
			}
			*to = pick(w, same, same, w.Uint64()>>(12+w.IntN(52)))
			w.before.put(subtensor.KeyTotalHotkeyAlpha(account(i), []uint16{w.netuid, 0}[k]), u64(*to))
		}
		return h
	})
	for uid := range w.n {
		hotkey := account(uid)
		w.before.put(subtensor.KeyKeys(w.netuid, uint16(uid)), hotkey[:])
		var children, parents []subtensor.Relation
		for i := range w.IntN(4) / 2 * w.IntN(4) {
			children = append(children, subtensor.Relation{Proportion: pick(w, 1<<62, math.MaxUint64, w.Uint64()>>w.IntN(64)), Hotkey: account(5000 + i)})
		}
		for range w.IntN(4) / 2 * w.IntN(4) {
			parents = append(parents, subtensor.Relation{Proportion: pick(w, 1<<62, math.MaxUint64, w.Uint64()>>w.IntN(64)), Hotkey: account(w.IntN(w.n + 4))})
		}
		if children != nil || w.IntN(3) == 0 { // an empty list is there, too
			w.before.put(subtensor.KeyChildKeys(hotkey, w.netuid), subtensor.AppendRelations(nil, children))
		}
		if parents != nil || w.IntN(3) == 0 {
			w.before.put(subtensor.KeyParentKeys(hotkey, w.netuid), subtensor.AppendRelations(nil, parents))
		}
		inherited := func(of func(held) uint64) *big.Int {
			own := of(holds[uid])
			v := new(big.Int).Mul(number(own), one)
			for _, c := range children {
				v.Sub(v, new(big.Int).Mul(number(own), share(c.Proportion)))
			}
			if v.Sign() < 0 {
				v.SetInt64(0)
			}
			for _, p := range parents {
				i := int(p.Hotkey[0]) | int(p.Hotkey[1])<<8
				v.Add(v, new(big.Int).Mul(number(of(holds[i])), share(p.Proportion)))
			}
			return v.Quo(v, one)
		}
		total := new(big.Int).Mul(inherited(func(h held) uint64 { return h.root }), share(weight))
		total.Add(total, new(big.Int).Mul(inherited(func(h held) uint64 { return h.alpha }), one))
		total.Lsh(total, 32)
		hi, lo := new(big.Int).Rsh(total, 64), new(big.Int).And(total, most)
		in.Stake = append(in.Stake, yuma.I64F64FromRaw(hi.Int64(), lo.Uint64()))
	}
}

// rows puts rows of weights or of bonds: in order or not, with zeros, with a uid twice, with uids that there are
// not, alike, or none.
func (w *world) rows(key func(idx, uid uint16) []byte, idx uint16) [][]yuma.Weight {
	tied := uint16(w.Uint32())
	row := func() (out []yuma.Weight) {
		keep, wild := w.IntN(4), w.IntN(3) == 0
		for j := range w.n {
			if keep > 0 && w.IntN(keep) > 0 {
				continue
			}
			out = append(out, yuma.Weight{UID: uint16(j), Value: pick(w, 0, tied, tied, uint16(w.Uint32()), 65_535, 1)})
		}
		if wild {
			for range w.IntN(4) {
				out = append(out, yuma.Weight{UID: pick(w, uint16(w.IntN(w.n+2)), uint16(w.Uint32())), Value: uint16(w.Uint32())})
			}
			w.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		}
		return out
	}
	alike := row()
	return times(w.n, func(uid int) []yuma.Weight {
		r := pick(w, nil, alike, row(), row())
		if r == nil && w.IntN(2) == 0 {
			w.absent++
			return nil
		}
		w.before.put(key(idx, uint16(uid)), weightsOf(r))
		return r
	})
}

func weightsOf(row []yuma.Weight) []byte {
	b := scale.AppendCompact(nil, uint64(len(row)))
	for _, c := range row {
		b = scale.AppendU16(scale.AppendU16(b, c.UID), c.Value)
	}
	return b
}

// commits puts commitments that wait, of neurons and of others, and returns the first of each neuron that has
// not expired.
func (w *world) commits(idx uint16, epoch, period uint64, tempo uint16) []uint64 {
	first := times(w.n, func(int) uint64 { return math.MaxUint64 })
	waits := func(uid int, of, block uint64) {
		if uid < w.n && of+period >= epoch {
			first[uid] = min(first[uid], block)
		}
	}
	for uid := range w.n {
		if w.IntN(3) > 0 {
			continue
		}
		var b []byte
		n := 1 + w.IntN(3)
		for k := range n {
			block := w.block - min(w.block, uint64((n-k)*w.IntN(2000)))
			of := epoch - min(epoch, uint64(w.IntN(int(period)+2)))
			fields := []uint64{of, block, 0}
			if !w.set.StatefulEpochs {
				of = (block + uint64(w.netuid) + 1) / (uint64(tempo) + 1)
				fields = []uint64{block, 1, 2}
			}
			b = append(b, make([]byte, 32)...)
			for _, v := range fields {
				b = scale.AppendU64(b, v)
			}
			waits(uid, of, block)
		}
		w.before.put(subtensor.KeyWeightCommits(idx, account(uid)), append(scale.AppendCompact(nil, uint64(n)), b...))
	}
	if w.set.Spec < 306 {
		return first
	}
	for of := epoch - min(epoch, period+1); of <= epoch; of++ {
		if w.IntN(3) > 0 {
			continue
		}
		var queue []subtensor.TimelockedCommit
		for range w.IntN(4) {
			uid := w.IntN(w.n + 1)
			c := subtensor.TimelockedCommit{Hotkey: account(uid), Block: w.block - min(w.block, uint64(w.IntN(3000))), Ciphertext: make([]byte, w.IntN(40)), Round: w.Uint64()}
			waits(uid, of, c.Block) // no pulse is there, so all of them still wait
			queue = append(queue, c)
		}
		w.before.put(subtensor.KeyTimelockedWeightCommits(idx, of), subtensor.AppendTimelockedCommits(nil, queue))
	}
	return first
}

// pendingEmission says what there is to hand out: what waits, and what the block adds. Its owner takes nothing and
// root has nothing, so that all of it is added.
func (w *world) pendingEmission() {
	total := some(w, "PendingRootAlphaDivs", 0, uint64(5), 1e9)
	if w.set.Spec < 334 {
		w.before = without(w.before, subnetKey("PendingRootAlphaDivs", w.netuid))
		total = some(w, "PendingAlphaSwapped", 0, uint64(5), 1e9)
	}
	if w.set.PendingSplit {
		total += some(w, "PendingServerEmission", 0, uint64(1), 180e9, w.Uint64()>>20)
		total += some(w, "PendingValidatorEmission", 0, uint64(1), 180e9)
	} else {
		total += some(w, "PendingEmission", 0, uint64(1), 360e9, w.Uint64()>>20)
	}
	if w.IntN(3) == 0 {
		w.before.subnet("FirstEmissionBlockNumber", w.netuid, u64(7))
		w.before.put(verify.StorageKey("SubtensorModule", "SubnetOwnerCut"), u16(0))
		on := flag(w, "SubtokenEnabled", false)
		if flag(w, "NetworkRegistrationAllowed", true) && on || w.set.Spec < 361 {
			out := uint64(1e9)
			if alpha := some(w, "SubnetAlphaOut", 0, uint64(10_499_999_999_999_999), 10_500_000_000_000_000); alpha == 10_500_000_000_000_000 {
				out /= 2
			}
			w.after.subnet("SubnetAlphaOutEmission", w.netuid, u64(out))
			total += out
		}
	}
	w.rao = total
}

func without(s store, key []byte) store {
	delete(s, string(key))
	return s
}

// stores has the reference compute the epoch, and the chain store it.
func (w *world) stores(count int) {
	shares := times(count, func(k int) uint64 {
		if w.split == nil {
			return w.rao / uint64(count)
		}
		x := new(big.Int).SetUint64(w.rao)
		if k >= len(w.split) {
			return 0
		}
		return x.Quo(x.Mul(x, big.NewInt(int64(w.split[k]))), big.NewInt(65_535)).Uint64()
	})
	rest := w.rao
	for _, s := range shares {
		rest -= s
	}
	shares[0] += rest
	var outs []*yuma.Outputs
	for m, in := range w.inputs {
		in.Emission = shares[m]
		outs = append(outs, reference.Epoch(in, w.set))
	}
	// What is one for all mechanisms is an average by emission, cut at each step.
	of := func(k int, v uint64) uint64 {
		part := new(big.Int).Lsh(new(big.Int).SetUint64(shares[k]), 64)
		if w.rao == 0 {
			part = new(big.Int).Lsh(big.NewInt(int64(1-min(k, 1))), 64)
		} else {
			part.Quo(part, new(big.Int).SetUint64(w.rao))
		}
		part.Mul(part, new(big.Int).SetUint64(v))
		return part.Rsh(part, 64).Uint64()
	}
	shorts := func(f func(*yuma.Outputs) []uint16) []byte {
		return list(times(w.n, func(uid int) (sum uint16) {
			for k, o := range outs {
				sum += uint16(of(k, uint64(f(o)[uid])))
			}
			return sum
		}), u16)
	}
	any := func(f func(*yuma.Outputs) []bool) []byte {
		return list(times(w.n, func(uid int) bool {
			return slices.ContainsFunc(outs, func(o *yuma.Outputs) bool { return f(o)[uid] })
		}), boolean)
	}
	a := w.after
	put := func(item string, b []byte) { a.put(subnetKey(item, w.netuid), b) }
	if !w.set.StakeWeightStale {
		put("StakeWeight", shorts(func(o *yuma.Outputs) []uint16 { return o.StakeWeight }))
	}
	put("Active", any(func(o *yuma.Outputs) []bool { return o.Active }))
	put("ValidatorPermit", any(func(o *yuma.Outputs) []bool { return o.ValidatorPermit }))
	put("Consensus", shorts(func(o *yuma.Outputs) []uint16 { return o.Consensus }))
	put("ValidatorTrust", shorts(func(o *yuma.Outputs) []uint16 { return o.ValidatorTrust }))
	put("Dividends", shorts(func(o *yuma.Outputs) []uint16 { return o.Dividends }))
	if !w.set.NoRanks {
		put("Rank", shorts(func(o *yuma.Outputs) []uint16 { return o.Rank }))
		put("Trust", shorts(func(o *yuma.Outputs) []uint16 { return o.Trust }))
		put("PruningScores", shorts(func(o *yuma.Outputs) []uint16 { return o.PruningScores }))
	}
	put("Emission", list(times(w.n, func(uid int) (sum uint64) {
		for k, o := range outs {
			sum += of(k, o.Emission[uid])
		}
		return sum
	}), u64))
	for m, o := range outs {
		idx := uint16(m)*4096 + w.netuid
		a.put(subnetKey("Incentive", idx), list(o.Incentive, u16))
		for uid, row := range o.Bonds {
			a.put(subtensor.KeyBonds(idx, uint16(uid)), weightsOf(row))
		}
	}
}

// asking answers for a state, and notes the keys.
type asking struct {
	store
	keys [][]byte
}

func (s *asking) Load(keys ...[]byte) ([][]byte, error) {
	s.keys = append(s.keys, keys...)
	return s.store.Load(keys...)
}

// proven lays a state out as a trie, and returns it as a proof of the keys has it, whose root is all that is
// taken over.
func proven(t *testing.T, s store, keys [][]byte) (subtensor.State, [][]byte) {
	t.Helper()
	state := trie.New(trie.V1)
	for k, v := range s {
		state = state.Put([]byte(k), v)
	}
	nodes := state.Prove(keys...)
	p, err := trie.NewProof(state.Root(), nodes)
	if err != nil {
		t.Fatal(err)
	}
	return subtensor.FromTrie(p), nodes
}

// lacking is a proof without one of its nodes.
func lacking(t *testing.T, s store, nodes [][]byte, i int) subtensor.State {
	t.Helper()
	state := trie.New(trie.V1)
	for k, v := range s {
		state = state.Put([]byte(k), v)
	}
	p, err := trie.NewProof(state.Root(), slices.Delete(slices.Clone(nodes), i, i+1))
	if err != nil {
		t.Fatal(err)
	}
	return subtensor.FromTrie(p)
}

// read reads the epoch from proofs.
func (w *world) read(t *testing.T) *Evidence {
	t.Helper()
	b, a := &asking{store: w.before}, &asking{store: w.after}
	if _, err := Read(b, a, w.netuid, w.block, w.set, nil); err != nil {
		t.Fatal(err)
	}
	before, _ := proven(t, w.before, b.keys)
	after, _ := proven(t, w.after, a.keys)
	e, err := Read(before, after, w.netuid, w.block, w.set, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
