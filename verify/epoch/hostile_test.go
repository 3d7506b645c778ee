package epoch

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/yuma"
)

// A target is a state to put a value into, under one of the keys that an epoch asks it for.
type target struct {
	late bool
	key  string
}

// under returns the fuzzed subnet as a chain under other rules has it, and all keys that its epoch asks for.
func under(t testing.TB, spec uint32) (before, after store, block uint64, set rules.Set, keys []target) {
	set, err := rules.ForEpoch(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := fuzzed()
	c.Block = 1005
	before, after = c.states()
	for _, s := range []store{before, after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: spec, SpecName: "node-subtensor"}.Append(nil))
	}
	if !set.StatefulEpochs {
		before.subnet("Tempo", netuid, u16(1011)) // it is due: (1005 + 5 + 1) mod 1012 = 1011
		for uid := range c.N {
			delete(before, string(subtensor.KeyWeightCommits(netuid, account(uid))))
		}
	}
	before.pulse(77, round1000) // of the commitment that is due
	b, a := &asking{store: before}, &asking{store: after}
	e, err := Read(b, a, netuid, c.Block, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Doubts) != 0 {
		t.Fatal(e.Doubts)
	}
	e.Verdict()
	for k, late := range map[*asking]bool{b: false, a: true} {
		for _, key := range k.keys {
			keys = append(keys, target{late, string(key)})
		}
	}
	slices.SortFunc(keys, func(x, y target) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
	return before, after, c.Block, set, slices.Compact(keys)
}

var fuzzedSpecs = []uint32{273, 300, 306, 321, 342, 365, 411, 425}

// TestFuzzedItems: the keys that FuzzRead puts values under are of every item that an epoch reads.
func TestFuzzedItems(t *testing.T) {
	items := map[string]bool{}
	for _, item := range strings.Fields(`LastRuntimeUpgrade NetworksAdded SubnetworkN SubnetOwnerHotkey MechanismCountCurrent Tempo MaxAllowedValidators
		CommitRevealWeightsEnabled RevealPeriodEpochs Kappa BondsPenalty BondsMovingAverage Yuma3On LiquidAlphaOn AlphaValues AlphaSigmoidSteepness
		ActivityCutoff ActivityCutoffFactorMilli TaoWeight StakeThreshold LastEpochBlock PendingEpochAt SubnetEpochIndex BlocksSinceLastStep
		LastMechansimStepBlock ValidatorPermit MechanismEmissionSplit PendingServerEmission PendingValidatorEmission PendingEmission PendingRootAlphaDivs
		PendingAlphaSwapped FirstEmissionBlockNumber SubtokenEnabled NetworkRegistrationAllowed SubnetAlphaIn SubnetAlphaOut SubnetTAO OwnerCutEnabled
		SubnetOwnerCut Active Consensus Dividends ValidatorTrust StakeWeight Emission Rank Trust PruningScores SubnetAlphaOutEmission SubnetAlphaInEmission
		BondsResetOn Keys BlockAtRegistration Weights Bonds LastUpdate Incentive Uids TotalHotkeyAlpha ChildKeys ParentKeys WeightCommits
		TimelockedWeightCommits CRV3WeightCommits CRV3WeightCommitsV2 Pulses`) {
		items[item] = false
	}
	for _, spec := range fuzzedSpecs {
		_, _, _, set, keys := under(t, spec)
		for _, k := range keys {
			if !set.CommitColumns && strings.HasPrefix(k.key, string(subtensor.Prefix("WeightCommits"))) {
				t.Errorf("spec %d: asks for commitments that do not count", spec)
			}
			for item := range items {
				for _, pallet := range []string{"SubtensorModule", "System", "Drand"} {
					if strings.HasPrefix(k.key, string(verify.StorageKey(pallet, item))) {
						items[item] = true
					}
				}
			}
		}
	}
	for item, is := range items {
		if !is {
			t.Errorf("%s is never asked for", item)
		}
	}
}

// No value of a state makes it panic, or read without end.
func FuzzRead(f *testing.F) {
	f.Add(uint8(7), uint16(0), []byte{}, uint16(0), []byte(nil))
	f.Add(uint8(0), uint16(40), []byte{0xfe, 0xff, 0xff, 0xff}, uint16(90), []byte{1})
	f.Add(uint8(3), uint16(7), []byte{4, 1, 0, 2, 0}, uint16(8), []byte{4, 1, 0, 2, 0})
	for i, spec := range fuzzedSpecs {
		before, after, _, _, keys := under(f, spec)
		for k, x := range keys {
			value := before[x.key]
			if x.late {
				value = after[x.key]
			}
			if value != nil {
				f.Add(uint8(i), uint16(k), value, uint16(k), append([]byte{8}, value...))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, one uint16, value []byte, two uint16, other []byte) {
		before, after, block, set, keys := under(t, fuzzedSpecs[int(which)%len(fuzzedSpecs)])
		for _, x := range []struct {
			at    uint16
			value []byte
		}{{one, value}, {two, other}} {
			k := keys[int(x.at)%len(keys)]
			if strings.HasPrefix(k.key, string(subtensor.KeySubnet("SubnetworkN", netuid))) && len(x.value) == 2 {
				x.value = []byte{x.value[0], 0} // it is what neurons have that is looked at
			}
			if s := map[bool]store{false: before, true: after}[k.late]; x.value == nil {
				delete(s, k.key)
			} else {
				s[k.key] = x.value
			}
		}
		e, err := Read(before, after, netuid, block, set, nil)
		if err != nil {
			return
		}
		v := e.Verdict()
		for _, a := range v.Arrays {
			if a.Finding == Differs && (a.Count == 0 || len(a.Cells) == 0) || a.Finding == Undecidable && a.Why == "" {
				t.Fatalf("%+v", a)
			}
		}
	})
}

// dense is a subnet as heavy as the chain makes one: all neurons are validators with weights for all and bonds in
// all, a child and a parent each, and a commitment that waits.
func dense(n int) (before, after store) {
	c := fuzzed()
	c.N, c.MaxVal, c.Owner, c.Rao = n, uint16(n), nil, 1e9
	all := times(n, func(uid int) [2]uint16 { return [2]uint16{uint16(uid), uint16(1 + 977*uid)} })
	c.LastUpdate, c.Reg = times(n, func(int) uint64 { return 970 }), make([]uint64, n)
	c.Alpha, c.Tao = times(n, func(uid int) uint64 { return 5e9 + uint64(uid) }), times(n, func(int) uint64 { return 7e9 })
	c.Parents = times(n, func(uid int) [][2]uint64 { return [][2]uint64{{1 << 60, uint64((uid + 1) % n)}} })
	c.Children = times(n, func(int) []uint64 { return []uint64{1 << 60} })
	c.Permits, c.CommitBlocks = times(n, func(int) bool { return true }), times(n, func(int) uint64 { return 990 })
	c.Weights, c.Bonds = times(n, func(int) [][2]uint16 { return all }), times(n, func(int) [][2]uint16 { return all })
	c.Out.Bonds = c.Bonds
	return c.states()
}

// work counts what reading and computing an epoch allocates. Whatever it reads it decodes into memory of its own, and
// what it computes with has a place for each entry, so that this grows with the work.
func work(t *testing.T, before, after store) (uint64, error) {
	t.Helper()
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	e, err := Read(before, after, netuid, 1000, spec425(), nil)
	if err == nil {
		e.Verdict()
	}
	runtime.ReadMemStats(&is)
	return is.TotalAlloc - was.TotalAlloc, err
}

// No state makes an epoch ten times as much work as a dense one of as many neurons does, though one value may stand
// under many keys: what is more is refused before it is decoded.
func TestHostileSizes(t *testing.T) {
	const n = 64
	weights := func(entries int, uid func(k int) uint16) []byte {
		return weightsOf(times(entries, func(k int) yuma.Weight { return yuma.Weight{UID: uid(k), Value: uint16(k)} }))
	}
	relations := func(n int) []byte {
		return subtensor.AppendRelations(nil, times(n, func(k int) subtensor.Relation {
			return subtensor.Relation{Proportion: uint64(k), Hotkey: account(10_000 + k)}
		}))
	}
	queue := func(n int) []byte {
		return subtensor.AppendTimelockedCommits(nil, times(n, func(k int) subtensor.TimelockedCommit {
			return subtensor.TimelockedCommit{Hotkey: account(k % 64), Round: 77}
		}))
	}
	rows := func(b []byte) func(before, after store) {
		return func(before, after store) {
			for uid := range uint16(n) {
				for _, key := range []func(index, uid uint16) []byte{subtensor.KeyWeights, subtensor.KeyBonds} {
					before.put(key(netuid, uid), b)
				}
				after.put(subtensor.KeyBonds(netuid, uid), b)
			}
		}
	}
	queues := func(b []byte) func(before, after store) {
		return func(before, _ store) {
			before.subnet("RevealPeriodEpochs", netuid, u64(100))
			before.subnet("SubnetEpochIndex", netuid, u64(1000))
			for e := range uint64(101) {
				before.put(subtensor.KeyTimelockedWeightCommits(netuid, 901+e), b)
			}
		}
	}
	before, after := dense(n)
	honest, err := work(t, before, after)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		put  func(before, after store)
		err  error // nil: it is computed
		says string
	}{
		{"rows of one uid over and over", rows(weights(4*n, func(int) uint16 { return 3 })), nil, ""},
		{"rows of uids backwards", rows(weights(4*n, func(k int) uint16 { return uint16(4*n - k) })), nil, ""},
		{"rows too long", rows(weights(4*n+1, func(int) uint16 { return 3 })), subtensor.ErrLayout, "Weights: "},
		{"longest rows", rows(weights(65_535, func(k int) uint16 { return uint16(k) })), subtensor.ErrLayout, "at most 256"},
		{"longest row of bonds after it", func(_, after store) {
			after.put(subtensor.KeyBonds(netuid, 9), weights(65_535, func(k int) uint16 { return uint16(k) }))
		}, subtensor.ErrLayout, "Bonds: "},
		{"many parents", func(before, _ store) {
			before.put(subtensor.KeyParentKeys(account(1), netuid), relations(1900))
		}, nil, ""},
		{"most parents of all", func(before, _ store) {
			b := relations(65_535)
			for uid := range n {
				before.put(subtensor.KeyParentKeys(account(uid), netuid), b)
			}
		}, subtensor.ErrLayout, "ParentKeys: "},
		{"many commitments each epoch", queues(queue(150)), nil, ""},
		{"too many commitments each epoch", queues(queue(200)), ErrTooBig, "wait in mechanism 0"},
		{"most commitments", queues(queue(65_535)), ErrTooBig, "65535 timelocked commitments wait"},
		{"most commitments of old", func(before, _ store) {
			before.put(subtensor.KeyTimelockedWeightCommits(netuid, index), queue(3000))
		}, ErrTooBig, "wait in mechanism 0"},
		{"a long split", func(before, _ store) {
			before.subnet("MechanismEmissionSplit", netuid, list(make([]uint16, 65_535), u16))
		}, nil, ""},
		{"long vectors", func(before, after store) {
			const most = 65_535
			before.subnet("LastUpdate", netuid, list(make([]uint64, most), u64))
			before.subnet("ValidatorPermit", netuid, list(make([]bool, most), boolean))
			for _, item := range []string{"Active", "ValidatorPermit"} {
				after.subnet(item, netuid, list(make([]bool, most), boolean))
			}
			for _, item := range []string{"StakeWeight", "Consensus", "Incentive", "Dividends", "ValidatorTrust"} {
				after.subnet(item, netuid, list(make([]uint16, most), u16))
			}
			after.subnet("Emission", netuid, list(make([]uint64, most), u64))
		}, nil, ""},
	} {
		before, after := dense(n)
		c.put(before, after)
		got, err := work(t, before, after)
		if !errors.Is(err, c.err) || err != nil && (c.err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got > 10*honest {
			t.Errorf("%s: %d bytes, an honest one takes %d", c.name, got, honest)
		}
		t.Logf("%s: %.2f of an honest one's %d", c.name, float64(got)/float64(honest), honest)
	}
}

// Each commitment that the block opens is a pairing, and one of a hotkey that has no uid any more may have another
// stake to reckon up. How many are opened is bounded before the first.
func TestHostileReveals(t *testing.T) {
	opened := func(n int, hotkey func(k int) int) error {
		c := fuzzed()
		before, after := c.states()
		bad := []byte{1} // nothing to open, which costs nothing
		before.put(subtensor.KeyTimelockedWeightCommits(netuid, index), subtensor.AppendTimelockedCommits(nil, times(n, func(k int) subtensor.TimelockedCommit {
			return subtensor.TimelockedCommit{Hotkey: account(hotkey(k)), Round: 1000, Ciphertext: bad}
		})))
		before.pulse(1000, round1000)
		e, err := Read(before, after, netuid, c.Block, spec425(), nil)
		if err == nil && (len(e.Reveals) != n || e.Reveals[0].Why != commit.CiphertextBad) {
			t.Errorf("%d of %d reveals", len(e.Reveals), n)
		}
		return err
	}
	for _, c := range []struct {
		n      int
		hotkey func(k int) int
		ok     bool
	}{
		{640, func(k int) int { return k % 3 }, true},
		{641, func(k int) int { return k % 3 }, false},
		{64, func(k int) int { return 3 + k }, true},
		{65, func(k int) int { return 3 + k }, false},
	} {
		if err := opened(c.n, c.hotkey); c.ok != (err == nil) || err != nil && !errors.Is(err, ErrTooBig) {
			t.Errorf("%d to open: %v", c.n, err)
		}
	}
}
