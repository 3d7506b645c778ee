package epoch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// A vector is one line of the epoch vectors (../yuma/testdata/README.md): what an epoch is computed from,
// and what the runtime's own arithmetic makes of it.
type vector struct {
	Spec              *uint32 `json:"spec_version"` // none: 425
	N                 int
	Block             uint64
	Tempo             uint16
	Factor            uint32
	LMS               uint64
	LastUpdate        []uint64 `json:"last_update"`
	Reg               []uint64
	Alpha, Tao        []uint64
	Parents           [][][2]uint64
	Children          [][]uint64
	TaoWeight         uint64 `json:"tao_weight"`
	Threshold         uint64
	Owner             *int
	Permits           []bool
	MaxVal            uint16
	Weights, Bonds    [][][2]uint16
	Kappa, Penalty    uint16
	BMA               uint64
	Yuma3, Liquid, CR bool
	ALow, AHigh       uint16
	Steep             int32
	CommitBlocks      []uint64 `json:"commit_blocks"`
	Rao               uint64
	Out               struct {
		StakeWeight                             []uint16 `json:"stake_weight"`
		Active, Permit                          []bool
		Emission, Server, Validator             []uint64
		Consensus, Incentive, Dividends, VTrust []uint16
		Bonds                                   [][][2]uint16
	}
}

// vectors calls f for each epoch that could have run: those of ../yuma/testdata, or of the given files of
// TAOLIGHT_VECTORS.
func vectors(t *testing.T, names []string, f func(t *testing.T, c *vector)) {
	t.Helper()
	paths := []string{"../yuma/testdata/epoch.jsonl"}
	if names != nil {
		dir := os.Getenv("TAOLIGHT_VECTORS")
		if dir == "" {
			t.Skip("TAOLIGHT_VECTORS is not set")
		}
		paths = nil
		for _, n := range names {
			paths = append(paths, filepath.Join(dir, "yuma", n))
		}
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(bytes.NewReader(b))
		in.Buffer(nil, 1<<26)
		for i := 1; in.Scan(); i++ {
			c := new(vector)
			if err := json.Unmarshal(in.Bytes(), c); err != nil {
				t.Fatal(err)
			}
			if c.Tempo == 0 || c.Block == 0 {
				continue // without a tempo there is no epoch
			}
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(path), i), func(t *testing.T) { f(t, c) })
		}
	}
}

// store is a State that holds what is in it and proves the rest absent.
type store map[string][]byte

func (s store) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = s[string(k)]
	}
	return out, nil
}

func (s store) put(key, value []byte) { s[string(key)] = value }

func (s store) subnet(item string, netuid uint16, value []byte) {
	s.put(subnetKey(item, netuid), value)
}

func account(i int) verify.AccountID { return verify.AccountID{byte(i), byte(i >> 8), 7} }

func u16(v uint16) []byte   { return scale.AppendU16(nil, v) }
func u64(v uint64) []byte   { return scale.AppendU64(nil, v) }
func boolean(v bool) []byte { return scale.AppendBool(nil, v) }

func list[T any](v []T, one func(T) []byte) []byte {
	b := scale.AppendCompact(nil, uint64(len(v)))
	for _, x := range v {
		b = append(b, one(x)...)
	}
	return b
}

func rowOf(row [][2]uint16) (out []subtensor.Weight) {
	for _, c := range row {
		out = append(out, subtensor.Weight{UID: c[0], Value: c[1]})
	}
	return out
}

const (
	netuid = 5
	index  = 40 // SubnetEpochIndex before: the epoch makes it 41
)

// states returns the storage before and after the epoch.
func (c *vector) states() (before, after store) {
	before, after = store{}, store{}
	for _, s := range []store{before, after} {
		s.put(subtensor.KeyLastRuntimeUpgrade(), subtensor.RuntimeUpgrade{SpecVersion: 425, SpecName: "node-subtensor"}.Append(nil))
		s.subnet("NetworksAdded", netuid, boolean(true))
		s.subnet("SubnetworkN", netuid, u16(uint16(c.N)))
		for uid := range c.N {
			s.put(subtensor.KeyBlockAtRegistration(netuid, uint16(uid)), u64(c.Reg[uid]))
		}
		if c.Owner != nil {
			owner := account(*c.Owner)
			s.subnet("SubnetOwnerHotkey", netuid, owner[:])
			s.put(subtensor.KeyUids(netuid, owner), u16(uint16(*c.Owner)))
		}
	}
	b := before
	b.subnet("Tempo", netuid, u16(c.Tempo))
	b.subnet("PendingEpochAt", netuid, u64(c.Block))
	b.subnet("LastEpochBlock", netuid, u64(c.LMS))
	b.subnet("SubnetEpochIndex", netuid, u64(index))
	b.subnet("LastMechansimStepBlock", netuid, u64(c.LMS))
	b.subnet("ActivityCutoffFactorMilli", netuid, scale.AppendU32(nil, c.Factor))
	b.subnet("MaxAllowedValidators", netuid, u16(c.MaxVal))
	b.subnet("Kappa", netuid, u16(c.Kappa))
	b.subnet("BondsPenalty", netuid, u16(c.Penalty))
	b.subnet("BondsMovingAverage", netuid, u64(c.BMA))
	b.subnet("Yuma3On", netuid, boolean(c.Yuma3))
	b.subnet("LiquidAlphaOn", netuid, boolean(c.Liquid))
	b.subnet("AlphaValues", netuid, append(u16(c.ALow), u16(c.AHigh)...))
	b.subnet("AlphaSigmoidSteepness", netuid, u16(uint16(c.Steep)))
	b.subnet("CommitRevealWeightsEnabled", netuid, boolean(c.CR))
	b.subnet("MinAllowedWeights", netuid, u16(0))
	b.subnet("LastUpdate", netuid, list(c.LastUpdate, u64))
	b.subnet("ValidatorPermit", netuid, list(c.Permits, boolean))
	b.put(subtensor.KeyValue("TaoWeight"), u64(c.TaoWeight))
	b.put(subtensor.KeyValue("StakeThreshold"), u64(c.Threshold))
	b.subnet("PendingServerEmission", netuid, u64(c.Rao/2))
	b.subnet("PendingValidatorEmission", netuid, u64(c.Rao-c.Rao/2-c.Rao/8))
	b.subnet("PendingRootAlphaDivs", netuid, u64(c.Rao/8))
	for i := range c.Alpha { // neurons, and parents that are none
		b.put(subtensor.KeyTotalHotkeyAlpha(account(i), netuid), u64(c.Alpha[i]))
		b.put(subtensor.KeyTotalHotkeyAlpha(account(i), 0), u64(c.Tao[i]))
	}
	queues := map[uint64][]subtensor.TimelockedCommit{}
	for uid := range c.N {
		hotkey := account(uid)
		b.put(subtensor.KeyKeys(netuid, uint16(uid)), hotkey[:])
		var parents, children []subtensor.Relation
		for _, p := range c.Parents[uid] {
			parents = append(parents, subtensor.Relation{Proportion: p[0], Hotkey: account(int(p[1]))})
		}
		for i, p := range c.Children[uid] {
			children = append(children, subtensor.Relation{Proportion: p, Hotkey: account(9000 + i)})
		}
		if parents != nil {
			b.put(subtensor.KeyParentKeys(hotkey, netuid), subtensor.AppendRelations(nil, parents))
		}
		if children != nil {
			b.put(subtensor.KeyChildKeys(hotkey, netuid), subtensor.AppendRelations(nil, children))
		}
		if row := rowOf(c.Weights[uid]); row != nil {
			b.put(subtensor.KeyWeights(netuid, uint16(uid)), subtensor.AppendWeights(nil, row))
		}
		if row := rowOf(c.Bonds[uid]); row != nil {
			b.put(subtensor.KeyBonds(netuid, uint16(uid)), subtensor.AppendWeights(nil, row))
		}
		// The earliest commitment of a neuron that counts is a hash, or waits under a timelock: made in
		// this epoch, or due but without its pulse. Older ones are no longer there for the epoch.
		if uid < len(c.CommitBlocks) && c.CommitBlocks[uid] != math.MaxUint64 {
			block := c.CommitBlocks[uid]
			tl := subtensor.TimelockedCommit{Hotkey: hotkey, Block: block, Ciphertext: []byte{1}, Round: 77}
			switch uid % 3 {
			case 0:
				b.put(subtensor.KeyWeightCommits(netuid, hotkey), subtensor.AppendHashCommits(nil, []subtensor.HashCommit{
					{Epoch: index - 1, Block: block - min(block, 3)}, {Epoch: index, Block: block}, {Epoch: index + 1, Block: block + 9},
				}, spec425()))
			case 1:
				queues[index+1] = append(queues[index+1], tl)
			default:
				queues[index] = append(queues[index], tl)
			}
		}
	}
	for e, q := range queues {
		b.put(subtensor.KeyTimelockedWeightCommits(netuid, e), subtensor.AppendTimelockedCommits(nil, q))
	}

	a, out := after, c.Out
	a.subnet("LastMechansimStepBlock", netuid, u64(c.Block))
	a.subnet("StakeWeight", netuid, list(out.StakeWeight, u16))
	a.subnet("Active", netuid, list(out.Active, boolean))
	a.subnet("ValidatorPermit", netuid, list(out.Permit, boolean))
	a.subnet("Consensus", netuid, list(out.Consensus, u16))
	a.subnet("Dividends", netuid, list(out.Dividends, u16))
	a.subnet("ValidatorTrust", netuid, list(out.VTrust, u16))
	a.subnet("Emission", netuid, list(out.Emission, u64))
	a.subnet("Incentive", netuid, list(out.Incentive, u16))
	for uid, row := range out.Bonds {
		a.put(subtensor.KeyBonds(netuid, uint16(uid)), subtensor.AppendWeights(nil, rowOf(row)))
	}
	return before, after
}

func spec425() rules.Set {
	r, err := rules.For(425)
	if err != nil {
		panic(err)
	}
	return r
}
