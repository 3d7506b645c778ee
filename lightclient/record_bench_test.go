package lightclient

import (
	"math/rand/v2"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/epoch"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// stateOf answers from a whole trie.
type stateOf struct{ *trie.Trie }

func (s stateOf) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		if v, ok := s.Get(k); ok {
			out[i] = append([]byte{}, v...)
		}
	}
	return out, nil
}

// BenchmarkEpochRecord reports how many bytes are kept of an epoch of a subnet as large as finney's: 256
// neurons, of which 64 have weights for all and bonds in all, on one of 128 such subnets and beside 430,000
// other keys. Bytes do not depend on the machine; the time is that of making proofs of a whole trie, which no
// light client does.
func BenchmarkEpochRecord(b *testing.B) {
	const netuid, n, validators, subnets, at = 18, 256, 64, 128, 9_000_000
	r := rand.NewChaCha8([32]byte{1})
	random := func(n int) []byte { x := make([]byte, n); r.Read(x); return x }
	u64 := func(v uint64) []byte { return scale.AppendU64(nil, v) }
	list := func(width int) []byte { return append(scale.AppendCompact(nil, n), random(width*n)...) }
	flags := func() []byte {
		x := scale.AppendCompact(nil, n)
		for uid := range n {
			x = scale.AppendBool(x, uid < validators)
		}
		return x
	}
	row := func() []byte {
		var row []subtensor.Weight
		for uid := range uint16(n) {
			row = append(row, subtensor.Weight{UID: uid, Value: uint16(r.Uint64())})
		}
		return subtensor.AppendWeights(nil, row)
	}
	kv := map[string][]byte{
		string(subtensor.KeyLastRuntimeUpgrade()): append(scale.AppendCompact(nil, 425), scale.AppendBlob(nil, []byte("node-subtensor"))...),
	}
	var hotkeys [n]verify.AccountID // of netuid
	moving := []string{"SubnetTAO", "SubnetAlphaIn", "SubnetAlphaOut", "PendingServerEmission", "PendingValidatorEmission", "BlocksSinceLastStep"}
	written := []string{"Consensus", "Dividends", "ValidatorTrust", "StakeWeight", "Incentive"}
	for k := range uint16(subnets) {
		put := func(name string, v []byte) { kv[string(subtensor.KeySubnet(name, k))] = v }
		put("NetworksAdded", []byte{1})
		put("SubnetworkN", scale.AppendU16(nil, n))
		put("Tempo", scale.AppendU16(nil, 360))
		for _, name := range append([]string{"LastEpochBlock", "LastMechansimStepBlock", "SubnetEpochIndex", "SubnetAlphaOutEmission", "Burn"}, moving...) {
			put(name, u64(at-360))
		}
		for _, name := range written {
			put(name, list(2))
		}
		put("Emission", list(8))
		put("LastUpdate", list(8))
		put("Active", flags())
		put("ValidatorPermit", flags())
		for uid := range uint16(n) {
			hotkey := verify.AccountID(random(32))
			if k == netuid {
				hotkeys[uid] = hotkey
			}
			kv[string(subtensor.KeyKeys(k, uid))] = hotkey[:]
			kv[string(subtensor.KeyUids(k, hotkey))] = scale.AppendU16(nil, uid)
			kv[string(subtensor.KeyBlockAtRegistration(k, uid))] = u64(1)
			kv[string(subtensor.KeyOwner(hotkey))] = random(32)
			kv[string(subtensor.KeyTotalHotkeyAlpha(hotkey, k))] = random(8)
			kv[string(subtensor.KeyBonds(k, uid))] = []byte{0}
			if uid < validators {
				kv[string(subtensor.KeyTotalHotkeyAlpha(hotkey, 0))] = random(8)
				kv[string(subtensor.KeyWeights(k, uid))], kv[string(subtensor.KeyBonds(k, uid))] = row(), row()
			}
			if uid%2 == 1 {
				kv[string(subtensor.KeyAxons(k, hotkey))] = subtensor.Axon{IPType: 4}.Append(nil)
			}
			for range 4 { // who staked to it
				kv[string(append(verify.StorageKey("SubtensorModule", "AlphaV2"), random(98)...))] = random(24)
			}
		}
	}
	for range 300_000 {
		kv[string(append(verify.StorageKey("System", "Account"), random(48)...))] = random(80)
	}
	before := trie.From(trie.V1, kv)
	after := before
	for _, name := range []string{"LastMechansimStepBlock", "LastEpochBlock"} {
		after = after.Put(subtensor.KeySubnet(name, netuid), u64(at))
	}
	for k := range uint16(subnets) {
		for _, name := range moving {
			after = after.Put(subtensor.KeySubnet(name, k), random(8))
		}
	}
	for _, name := range written {
		after = after.Put(subtensor.KeySubnet(name, netuid), list(2))
	}
	after = after.Put(subtensor.KeySubnet("Emission", netuid), list(8))
	for uid, hotkey := range hotkeys {
		after = after.Put(subtensor.KeyTotalHotkeyAlpha(hotkey, netuid), random(8))
		if uid < validators {
			after = after.Put(subtensor.KeyBonds(netuid, uint16(uid)), row())
		}
	}
	set, err := rules.For(425)
	if err != nil {
		b.Fatal(err)
	}
	was, is := noting{stateOf{before}, make(map[string]bool)}, noting{stateOf{after}, make(map[string]bool)}
	bytes := func() (sum, count int) {
		seen := make(map[verify.Hash]bool)
		for _, x := range [2]struct {
			*trie.Trie
			noting
		}{{before, was}, {after, is}} {
			for _, node := range x.Prove(x.sorted()...) {
				if h := verify.Blake2b256(node); !seen[h] {
					seen[h] = true
					sum += len(node)
				}
			}
		}
		return sum, len(was.keys) + len(is.keys)
	}
	for b.Loop() {
		clear(was.keys)
		clear(is.keys)
		if _, err := epoch.Read(was, is, netuid, at, set, nil); err != nil {
			b.Fatal(err)
		}
		alone, _ := bytes()
		_, _, errWas := readTable(was, netuid, set, func(uint16) {})
		_, _, errIs := readTable(is, netuid, set, func(uint16) {})
		if err := worst(errWas, errIs); err != nil {
			b.Fatal(err)
		}
		all, keys := bytes()
		b.ReportMetric(float64(alone), "epoch-B")
		b.ReportMetric(float64(all), "kept-B")
		b.ReportMetric(float64(keys), "keys")
	}
}
