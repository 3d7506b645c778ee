package epoch

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
)

// Real quicknet signatures (../fact/testdata/drand_rounds.json).
var (
	round1000 = signature("b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39")
	round1001 = signature("b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41")
)

func signature(s string) drand.Signature {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return drand.Signature(b)
}

func (s store) pulse(round uint64, sig drand.Signature) {
	s.put(subtensor.KeyPulse(round), drand.Stored{Round: round, Randomness: make([]byte, 32), Signature: sig[:]}.Append(nil))
}

func seal(t *testing.T, round uint64, p commit.Payload) []byte {
	t.Helper()
	b, err := tlock.SealWith(drand.Quicknet(), round, p.Append(nil), [32]byte{1}, [32]byte{2}, [12]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// revealable returns a uid whose weights could come from a commitment just before the epoch, -1 if there
// is none.
func revealable(c *vector) int {
	for uid, row := range c.Weights {
		var seen []uint16
		ok := len(row) > 1 && uid < len(c.Permits) && c.Permits[uid] && c.Threshold == 0
		for _, w := range row {
			ok = ok && int(w[0]) < c.N && !slices.Contains(seen, w[0])
			seen = append(seen, w[0])
		}
		if ok {
			return uid
		}
	}
	return -1
}

// reveal moves the weights of a uid into two commitments, of which the second counts, and lets others
// be dropped.
func (c *vector) reveal(t *testing.T, uid int, before store) {
	hotkey := account(uid)
	p := commit.Payload{Hotkey: hotkey}
	for _, w := range c.Weights[uid] {
		p.UIDs, p.Values = append(p.UIDs, w[0]), append(p.Values, w[1])
	}
	wrong := p
	wrong.Values = slices.Clone(p.Values)
	slices.Reverse(wrong.Values)
	stranger := commit.Payload{Hotkey: account(700), UIDs: p.UIDs, Values: wrong.Values}
	list, err := subtensor.ReadTimelockedCommits(before, netuid, index)
	if err != nil {
		t.Fatal(err)
	}
	list = append(list,
		subtensor.TimelockedCommit{Hotkey: hotkey, Block: 1, Round: 1000, Ciphertext: seal(t, 1000, wrong)},
		subtensor.TimelockedCommit{Hotkey: account(700), Block: 1, Round: 1000, Ciphertext: seal(t, 1000, stranger)},
		subtensor.TimelockedCommit{Hotkey: hotkey, Block: 1, Round: 1001, Ciphertext: seal(t, 1001, p)},
		subtensor.TimelockedCommit{Hotkey: hotkey, Block: 1, Round: 1001, Ciphertext: []byte{1, 2, 3}},
		subtensor.TimelockedCommit{Hotkey: hotkey, Block: 1, Round: 1000, Ciphertext: seal(t, 1001, wrong)},
	)
	before.put(subtensor.KeyTimelockedWeightCommits(netuid, index), subtensor.AppendTimelockedCommits(nil, list))
	before.put(subtensor.KeyUids(netuid, hotkey), u16(uint16(uid)))
	before.put(subtensor.KeyWeights(netuid, uint16(uid)), subtensor.AppendWeights(nil, []subtensor.Weight{{UID: uint16(uid), Value: 65535}}))
	before.pulse(1000, round1000)
	before.pulse(1001, round1001)
}

var quicknet = func() *drand.Verifier {
	v, err := drand.NewVerifier(drand.Quicknet())
	if err != nil {
		panic(err)
	}
	return v
}()

// Weights that the block reveals before its epoch count in it as if they had been there.
func TestReveals(t *testing.T) { vectors(t, nil, testReveal) }

// Of these some are stored as they are revealed, and so come to what the runtime's arithmetic says.
func TestWholeReveals(t *testing.T) { vectors(t, []string{"epoch_small.jsonl"}, testReveal) }

func testReveal(t *testing.T, c *vector) {
	uid := revealable(c)
	if uid < 0 {
		return
	}
	before, after := c.states()
	c.reveal(t, uid, before)
	before.subnet("WeightsSetRateLimit", netuid, u64(1))
	e, err := Read(before, after, netuid, c.Block, spec425(), quicknet)
	if err != nil {
		t.Fatal(err)
	}
	if !c.CR {
		// What is stored with commit-reveal switched off counts as an update, and for the rate limit.
		if e.Reveals[0].Why != commit.Stored || e.Reveals[2].Why != commit.RateLimited || e.Inputs[0].LastUpdate[uid] != c.Block {
			t.Errorf("%v, updated in block %d", e.Reveals, e.Inputs[0].LastUpdate[uid])
		}
		return
	}
	var uids, values []uint16
	for _, w := range c.Weights[uid] {
		uids, values = append(uids, w[0]), append(values, w[1])
	}
	there, after := c.states()
	there.put(subtensor.KeyWeights(netuid, uint16(uid)), subtensor.AppendWeights(nil, commit.Row(uids, values)))
	want, err := Read(there, after, netuid, c.Block, spec425(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(e.Inputs, want.Inputs) {
		t.Errorf("inputs %+v, want %+v", *e.Inputs[0], *want.Inputs[0])
	}
	if slices.Max(values) == 65535 {
		t.Log("stored as revealed")
		allEqual(t, e.Verdict())
	}
	var why []commit.Reason
	for _, r := range e.Reveals {
		why = append(why, r.Why)
	}
	reasons := []commit.Reason{commit.Stored, commit.NotRegistered, commit.Stored, commit.CiphertextBad, commit.Undecryptable}
	if !slices.Equal(why, reasons) {
		t.Errorf("reveals %v, want %v", why, reasons)
	}

	// A pulse of another beacon is none.
	before.pulse(1001, round1000)
	if _, err := Read(before, after, netuid, c.Block, spec425(), quicknet); !errors.Is(err, commit.ErrOtherBeacon) {
		t.Errorf("pulse of another round: %v", err)
	}
}

// Neurons that register after the epoch are left out; the others are not.
func TestRegisteredAfter(t *testing.T) {
	c := first(t, plenty)
	before, after := c.states()
	after.put(subtensor.KeyBlockAtRegistration(netuid, 1), u64(c.Block))
	after.put(subtensor.KeyBonds(netuid, 1), nil)
	after.subnet("SubnetworkN", netuid, u16(uint16(c.N+1)))
	for item, v := range map[string][]uint16{"StakeWeight": c.Out.StakeWeight, "Consensus": c.Out.Consensus,
		"Incentive": c.Out.Incentive, "Dividends": c.Out.Dividends, "ValidatorTrust": c.Out.VTrust} {
		w := append(slices.Clone(v), 0)
		w[1] = 0
		after.subnet(item, netuid, list(w, u16))
	}
	emission := append(slices.Clone(c.Out.Emission), 0)
	emission[1] = 0
	after.subnet("Emission", netuid, list(emission, u64))
	permits := append(slices.Clone(c.Out.Permit), false)
	permits[1] = false
	after.subnet("ValidatorPermit", netuid, list(permits, boolean))
	v := judge(t, c, before, after)
	allEqual(t, v)
	if !slices.Equal(v.Excluded, []uint16{1}) {
		t.Errorf("excluded %v", v.Excluded)
	}
	emission[0]++
	after.subnet("Emission", netuid, list(emission, u64))
	if a, _ := judge(t, c, before, after).Array("Emission", -1); a.Count != 1 || a.Cells[0].UID != 0 {
		t.Errorf("emission of uid 0: %+v", a)
	}
}

// Bonds in one neuron may be wiped after the epoch where the subnet has that.
func TestBondsReset(t *testing.T) {
	some := 0
	vectors(t, nil, func(t *testing.T, c *vector) {
		var target int = -1
		for _, row := range c.Out.Bonds {
			if len(row) > 1 {
				target = int(row[0][0])
			}
		}
		if target < 0 {
			return
		}
		some++
		before, after := c.states()
		for uid, row := range c.Out.Bonds {
			row = slices.DeleteFunc(slices.Clone(row), func(w [2]uint16) bool { return int(w[0]) == target })
			after.put(subtensor.KeyBonds(netuid, uint16(uid)), subtensor.AppendWeights(nil, rowOf(row)))
		}
		rows := 0
		for _, row := range c.Out.Bonds {
			if slices.ContainsFunc(row, func(w [2]uint16) bool { return int(w[0]) == target }) {
				rows++
			}
		}
		if a, _ := judge(t, c, before, after).Array("Bonds", 0); a.Finding != Differs || a.Count != rows {
			t.Errorf("a column is gone: %v, %d rows of %d", a.Finding, a.Count, rows)
		}
		after.subnet("BondsResetOn", netuid, boolean(true))
		v := judge(t, c, before, after)
		allEqual(t, v)
		if a, _ := v.Array("Bonds", 0); !strings.Contains(a.Why, "1 neurons") {
			t.Errorf("why: %q", a.Why)
		}
	})
	if some == 0 {
		t.Error("no vector has bonds to wipe")
	}
}

// A second mechanism that gets nothing of the emission changes nothing in what is one for all.
func TestMechanisms(t *testing.T) {
	vectors(t, nil, func(t *testing.T, c *vector) {
		if c.N < 2 || c.Rao == 0 {
			return
		}
		second, err := subtensor.Index(netuid, 1)
		if err != nil {
			t.Fatal(err)
		}
		before, after := c.states()
		before.subnet("MechanismCountCurrent", netuid, []byte{2})
		before.subnet("MechanismEmissionSplit", netuid, list([]uint16{65535, 0}, u16))
		before.put(subtensor.KeyLastUpdate(second), list(c.LastUpdate, u64))
		for uid := range c.N {
			for _, k := range []func(index, uid uint16) []byte{subtensor.KeyWeights, subtensor.KeyBonds} {
				before.put(k(second, uint16(uid)), before[string(k(netuid, uint16(uid)))])
			}
			if b := before[string(subtensor.KeyWeightCommits(netuid, account(uid)))]; b != nil {
				before.put(subtensor.KeyWeightCommits(second, account(uid)), b)
			}
			after.put(subtensor.KeyBonds(second, uint16(uid)), after[string(subtensor.KeyBonds(netuid, uint16(uid)))])
		}
		for _, e := range []uint64{index, index + 1} {
			if b := before[string(subtensor.KeyTimelockedWeightCommits(netuid, e))]; b != nil {
				before.put(subtensor.KeyTimelockedWeightCommits(second, e), b)
			}
		}
		after.put(subtensor.KeySubnet("Incentive", second), list(c.Out.Incentive, u16))
		v := judge(t, c, before, after)
		allEqual(t, v)
		for uid, x := range v.Mechanisms[1].ServerEmission {
			if y := v.Mechanisms[1].Emission[uid]; x != 0 || y != 0 {
				t.Errorf("uid %d has %d and %d of nothing", uid, x, y)
			}
		}
		if len(v.Arrays) != 11 {
			t.Errorf("%d arrays", len(v.Arrays))
		}
		w := slices.Clone(c.Out.Incentive)
		w[1] ^= 1
		after.put(subtensor.KeySubnet("Incentive", second), list(w, u16))
		v = judge(t, c, before, after)
		one, _ := v.Array("Incentive", 0)
		two, _ := v.Array("Incentive", 1)
		if one.Finding != Equal || two.Finding != Differs || two.Cells[0].UID != 1 || two.Cells[0].Raw == nil {
			t.Errorf("wrong incentive in the second mechanism: %+v, %+v", one, two)
		}
	})
}

// sparse is a State that knows no more than what it was given, and notes what it was asked for.
type sparse struct {
	known store
	asked map[string]bool
}

func (s *sparse) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	var err error
	for i, k := range keys {
		s.asked[string(k)] = true
		v, ok := s.known[string(k)]
		if !ok {
			err = fmt.Errorf("%w: %x", subtensor.ErrUnproven, k)
		}
		out[i] = v
	}
	return out, err
}

// Read asks for what it needs in few rounds, of both states at once.
func TestFewRounds(t *testing.T) {
	c := first(t, func(c *vector) bool { return c.CR && revealable(c) >= 0 })
	before, after := c.states()
	c.reveal(t, revealable(c), before)
	b, a := &sparse{store{}, map[string]bool{}}, &sparse{store{}, map[string]bool{}}
	for round := 1; ; round++ {
		e, err := Read(b, a, netuid, c.Block, spec425(), quicknet)
		if err == nil {
			if len(e.Reveals) != 5 {
				t.Errorf("%d reveals", len(e.Reveals))
			}
			t.Logf("%d rounds, %d and %d keys for %d neurons", round, len(b.known), len(a.known), c.N)
			if round > 5 {
				t.Errorf("%d rounds", round)
			}
			return
		}
		if !errors.Is(err, subtensor.ErrUnproven) {
			t.Fatal(err)
		}
		for k := range b.asked {
			b.known[k] = before[k]
		}
		for k := range a.asked {
			a.known[k] = after[k]
		}
	}
}

// Every key that is absent has the chain's default: a subnet of which nothing is stored but that it is
// there, and one neuron.
func TestDefaults(t *testing.T) {
	const block = 400 // the tempo is 360
	before, after := store{}, store{}
	for _, s := range []store{before, after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 425, SpecName: "node-subtensor"}.Append(nil))
		s.subnet("NetworksAdded", netuid, boolean(true))
		s.subnet("SubnetworkN", netuid, u16(1))
	}
	after.subnet("LastMechansimStepBlock", netuid, u64(block))
	e, err := Read(before, after, netuid, block, spec425(), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := e.Inputs[0]
	if in.Tempo != 360 || in.Kappa != 32767 || in.MaxAllowedValidators != 128 || in.BondsPenalty != 65535 || in.BondsMovingAverage != 900000 ||
		in.AlphaSigmoidSteepness != 1000 || in.AlphaLow != 45875 || in.AlphaHigh != 58982 || in.ActivityCutoffFactorMilli != 13889 ||
		!in.CommitRevealWeightsEnabled || in.Owner != -1 || e.Emits {
		t.Errorf("%+v", in)
	}
	// The neuron is active: its last update was in block 0, 5000 blocks are what it has.
	after.subnet("Active", netuid, list([]bool{true}, boolean))
	if e, err = Read(before, after, netuid, block, spec425(), nil); err != nil {
		t.Fatal(err)
	}
	allEqual(t, e.Verdict())
}

// Before spec 283 the steepness was unsigned, and what is due follows from the block's number.
func TestOldRules(t *testing.T) {
	const block = 354 // (354 + 5 + 1) mod 361 = 360
	before, after := store{}, store{}
	for _, s := range []store{before, after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 273, SpecName: "node-subtensor"}.Append(nil))
		s.subnet("NetworksAdded", netuid, boolean(true))
		s.subnet("SubnetworkN", netuid, u16(1))
	}
	before.subnet("AlphaSigmoidSteepness", netuid, u16(40_000))
	before.subnet("FirstEmissionBlockNumber", netuid, u64(1)) // all that there has to be for an emission
	after.subnet("SubnetAlphaOutEmission", netuid, u64(1_000_000_000))
	after.subnet("LastMechansimStepBlock", netuid, u64(block))
	after.subnet("Active", netuid, list([]bool{true}, boolean))
	r, err := Rules(after)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Read(before, after, netuid, block, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Inputs[0].AlphaSigmoidSteepness; got != 40_000 {
		t.Errorf("steepness %d", got)
	}
	v := e.Verdict()
	allEqual(t, v)
	if _, ok := v.Array("SubnetAlphaOutEmission", -1); !ok || v.Rao != 820_004_577 {
		t.Errorf("emission of %d rao", v.Rao)
	}
	// Commitments under a timelock were kept in another way, which is not read.
	for _, item := range []string{"CRV3WeightCommits", "CRV3WeightCommitsV2"} {
		old := store{}
		for k, v := range before {
			old[k] = v
		}
		old.put(oldQueue(item, netuid, 0), []byte{4, 1, 2})
		if e, err = Read(old, after, netuid, block, r, nil); err != nil {
			t.Fatal(err)
		}
		if v := e.Verdict(); v.Finding() != Undecidable || !strings.Contains(v.Arrays[0].Why, "before spec 306") {
			t.Errorf("%s: %v %s", item, v.Finding(), v.Arrays[0].Why)
		}
	}
}

// fuzzed is a small subnet with something in each item.
func fuzzed() *vector {
	owner := 1
	c := &vector{
		N: 3, Block: 1000, Tempo: 100, Factor: 13889, LMS: 900,
		LastUpdate: []uint64{950, 960, 970}, Reg: []uint64{1, 2, 3}, Alpha: []uint64{5e9, 6e9, 0, 7e9}, Tao: []uint64{1, 2, 3, 4},
		Parents: [][][2]uint64{{{1 << 62, 3}}, nil, nil}, Children: [][]uint64{{1 << 61}, nil, nil}, TaoWeight: 971718665099567868,
		Owner: &owner, Permits: []bool{true, true, false}, MaxVal: 64,
		Weights: [][][2]uint16{{{1, 5}, {2, 65535}}, {{2, 65535}}, nil}, Bonds: [][][2]uint16{{{2, 65535}}, nil, nil},
		Kappa: 32767, Penalty: 65535, BMA: 900000, Yuma3: true, Liquid: true, CR: true, ALow: 45875, AHigh: 58982, Steep: 1000,
		CommitBlocks: []uint64{990, 991, 992}, Rao: 1e9,
	}
	c.Out.Bonds = make([][][2]uint16, 3)
	return c
}
