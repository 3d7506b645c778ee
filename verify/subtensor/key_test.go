package subtensor

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
)

// The prefixes of pallets and items, as full nodes and the chain's metadata have them.
const (
	palletModule    = "658faa385070e074c85bf6b568cf0555"
	palletDrand     = "a285cdb66e8b8524ea70b1693c7b1e05"
	palletSystem    = "26aa394eea5630e07c48ae0c9558cef7"
	palletTimestamp = "f0c365c3cf59d671eb72da0e7a4113c4"
)

var prefixes = map[string]string{
	"Weights":                       palletModule + "a1e7036061f484bc3048a64b64e35ec4",
	"Bonds":                         palletModule + "5641285262b8f970e4cbaafbff8d6ab0",
	"WeightCommits":                 palletModule + "9f14c8e879f1adfb03db481d61f6798c",
	"TimelockedWeightCommits":       palletModule + "119e1c428ff5c7c6dac4c888a10d1443",
	"Incentive":                     palletModule + "89c69c2c416b8105d37501394f4de849",
	"Consensus":                     palletModule + "925bd7637d049b4f2508e14eb43b51a1",
	"Dividends":                     palletModule + "86752d66f11480ecef37769cdd736b9b",
	"ValidatorTrust":                palletModule + "372b10ce520c756285796e436e44318e",
	"ValidatorPermit":               palletModule + "56af5b07ace59da2c9d7f0d48bc93143",
	"Emission":                      palletModule + "93916af563e2313a574d6cd48caec1a5",
	"Active":                        palletModule + "0f41321f75df7ea5127be2db4983c8b2",
	"StakeWeight":                   palletModule + "77ad8cc9064f1da3a4455d92db4661ef",
	"LastUpdate":                    palletModule + "696e262a16e52255a69d8acd79354146",
	"Keys":                          palletModule + "9f99a2ce711f3a31b2fc05604c93f179",
	"Uids":                          palletModule + "aab1b4e78e1ea8305462ee53b3686dc8",
	"BlockAtRegistration":           palletModule + "5306000b65aa58c97bf98ad9f8619049",
	"SubnetworkN":                   palletModule + "a1048e9d244171852dfe8db314dc68ca",
	"TotalHotkeyAlpha":              palletModule + "ee25c3b5b1886863480497907f1829e6",
	"ParentKeys":                    palletModule + "de41ae13ae40a9d3c5fd9b3bdea86fe2",
	"ChildKeys":                     palletModule + "4bf30057b0f64219556b6cc15bd2804a",
	"TaoWeight":                     palletModule + "6b2684762c3b1e22ffb4a92939298741",
	"StakeThreshold":                palletModule + "782d99ebaa64a1ba18b3e8cda1047327",
	"SubnetOwnerHotkey":             palletModule + "68b7553499633fe05caf4d8a51aefe5c",
	"MaxAllowedValidators":          palletModule + "741b883d2519eed91857993bfd4df0ba",
	"Kappa":                         palletModule + "06d22dc781f44e506e51707fab5eea4d",
	"BondsPenalty":                  palletModule + "20b865428adc94c5fa992353cb33c6e1",
	"BondsMovingAverage":            palletModule + "d8117c571cafc568cd7c63bca9d9e785",
	"Yuma3On":                       palletModule + "dd640da43c4f8e3feabfdf1f232d8534",
	"LiquidAlphaOn":                 palletModule + "06fbf32f30ce60050a34378b09c777d0",
	"AlphaValues":                   palletModule + "3a164c89cc5b424c9f3532e6793e16ae",
	"AlphaSigmoidSteepness":         palletModule + "d73d5304e006b38779635fe672ea41e1",
	"CommitRevealWeightsEnabled":    palletModule + "8fb0d3eb3d4ea01122652b09d1d43c65",
	"CommitRevealWeightsVersion":    palletModule + "70d1da21926e4e8efdfb497ee508d611",
	"RevealPeriodEpochs":            palletModule + "8f232bcbac768c1d6201850c60f161ed",
	"Tempo":                         palletModule + "7641384bb339f3758acddfd7053d3317",
	"ActivityCutoffFactorMilli":     palletModule + "320e4eafc29fb1a85711f8a3a208aae2",
	"ActivityCutoff":                palletModule + "c57fc7240b4e0c444a010d7fe83ec3ec",
	"LastMechansimStepBlock":        palletModule + "90a5927434316ff88c68f65cd390bb70",
	"BlocksSinceLastStep":           palletModule + "63f934e48e59bf9413de427605faa024",
	"LastEpochBlock":                palletModule + "90010c37124c14146041452f9ffba0df",
	"PendingEpochAt":                palletModule + "3328b142e30b57e47a52648ba110e3a7",
	"SubnetEpochIndex":              palletModule + "4f101d7a30ae31c7ab3099206c5ae12b",
	"MaxEpochsPerBlock":             palletModule + "4ebd9a359f3ce311dcce73ce8fd4c968",
	"NetworksAdded":                 palletModule + "0e30450fc4d507a846032a7fa65d9a43",
	"MechanismCountCurrent":         palletModule + "604fb97037feb8522bf37d42d54fa6e9",
	"MechanismEmissionSplit":        palletModule + "beab2628b84716c818c24a8234e9684c",
	"PendingServerEmission":         palletModule + "7f31afa3e070ac1d98b1546887927609",
	"PendingValidatorEmission":      palletModule + "6459b861fc6b4d87d2515a77a950df0b",
	"PendingRootAlphaDivs":          palletModule + "ed70b5ba3510918e3a9b3d1d0220ba2d",
	"PendingOwnerCut":               palletModule + "619fc1d902020b6627d90e16de3dd552",
	"WeightsVersionKey":             palletModule + "d8cb0c0627a5cd77797c62415dbef962",
	"WeightsSetRateLimit":           palletModule + "2d919f5b3b970cd2c91638872d3aa64c",
	"MinAllowedWeights":             palletModule + "5cd1c97edf92be296fb8ae73ee861126",
	"MaxWeightsLimit":               palletModule + "919db2fe18203eba898cee471ef19240",
	"ImmunityPeriod":                palletModule + "b6522cfe03433e9e101a258ee2f580ab",
	"Axons":                         palletModule + "b4e0c7b1d5f74994fcd58c28ab601fec",
	"Owner":                         palletModule + "eca6b7a1fdc9f689184ecb4f359c0518",
	"OwnedHotkeys":                  palletModule + "882f0d11afa27a40918e90f095800125",
	"StakingHotkeys":                palletModule + "b7d32a0408ab25b30dac6ec2cb66fe1f",
	"Alpha":                         palletModule + "7261f9a8fde18018cccf70368697902f",
	"AlphaV2":                       palletModule + "421d8174603a6a6036511a7619b402f0",
	"TotalHotkeyShares":             palletModule + "3dbb78074d07a16f4942c7df159ed5e5",
	"TotalHotkeySharesV2":           palletModule + "e47c637aa82c21537eb9caa511e543c5",
	"IsNetworkMember":               palletModule + "ea6aa4e81a33d2c120ef55203e0eb560",
	"SubnetOwner":                   palletModule + "36e3e82152c8758267395fe524fbbd16",
	"TokenSymbol":                   palletModule + "1d2b1576e38a35d8562cbcdfc8db1277",
	"SubnetIdentitiesV3":            palletModule + "c7cb9786b286b680ca204a6c0920ee52",
	"NetworkRegistrationAllowed":    palletModule + "d5fe74da02c7b4bbb340fb368eee3e77",
	"NetworkPowRegistrationAllowed": palletModule + "d9609d5bbf07471b2a753b5a2576ff70",
	"Burn":                          palletModule + "01be1755d08418802946bca51b686325",
	"MinBurn":                       palletModule + "b5ebf5d60c129a116973e38cd593e6e6",
	"MaxBurn":                       palletModule + "113e5f8ae432b71a8c1ac60fd9d6ff2e",
	"Difficulty":                    palletModule + "7d15dd66fbf0cbda1d3a651b5e606df2",
	"SubnetTAO":                     palletModule + "7a57dce016211512d1700561066b85a3",
	"SubnetAlphaIn":                 palletModule + "2ce12f7007574647d692ac7edf8b7a53",
	"SubnetAlphaOut":                palletModule + "7837978cc6746112a2c9e680a18cfcb9",
	"SubnetAlphaOutEmission":        palletModule + "25257fbc5458419b7bc7e8c44c521521",
	"Rank":                          palletModule + "e98a24f90132b6fd8f9810021cec7b51",
	"Trust":                         palletModule + "8e4839d8787ac95d923872ec7da0fd4d",
	"MaxAllowedUids":                palletModule + "fabe6b131d9fa6e6d6cacbe7586c3b8a",
	"NetworkRegisteredAt":           palletModule + "271d29b9b717ce3d8c571f1cbc180fa2",
	"FirstEmissionBlockNumber":      palletModule + "e4cfee4e36f2419d8863a3fda65c428f",
	"SubtokenEnabled":               palletModule + "e9348e9224ea06c9c2da12ce69e619c5",
	"ServingRateLimit":              palletModule + "1fbba053865c94fcc1b417b41cc9e63a",
	"Account":                       palletSystem + "b99d880ec681799c0cf30e8886371da9",
	"Pulses":                        palletDrand + "0d8e70fd32bfb1639703f9a23d15b15e",
	"LastStoredRound":               palletDrand + "087f3dd6e0ceded0e388dd34f810a73d",
	"OldestStoredRound":             palletDrand + "bc30947083dc3a2cb9eb93b9db7c6fbd",
	"BeaconConfig":                  palletDrand + "08194cd5e83170f4eb38043b5770aa61",
	"BlockHash":                     palletSystem + "a44704b568d21667356a5a050c118746",
	"LastRuntimeUpgrade":            palletSystem + "f9cce9c888469bb1a0dceaa129672ef8",
	"Now":                           palletTimestamp + "9f1f0515f462cdcf84e0f1d6045dfcbb",
}

func TestPrefixes(t *testing.T) {
	for name := range items {
		if got := hex.EncodeToString(Prefix(name)); got != prefixes[name] {
			t.Errorf("%s: prefix %s, want %s", name, got, prefixes[name])
		}
	}
	for name := range prefixes {
		if _, ok := items[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
	if got := Prefix("CRV3WeightCommits"); got != nil {
		t.Errorf("prefix of an unknown item is %x", got)
	}
}

// accountA is the account of the examples: the bytes 1 to 32.
var accountA = func() (a verify.AccountID) {
	for i := range a {
		a[i] = byte(i + 1)
	}
	return a
}()

// TestKeys holds one key of each shape to what the chain uses for it.
func TestKeys(t *testing.T) {
	const (
		blakeA = "2dccd599abfe1920a1cff8a735823143"
		a      = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
		seven  = "0700"
	)
	second, err := Index(7, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"Weights, uid 3", KeyWeights(7, 3), prefixes["Weights"] + seven + "0300"},
		{"Weights, mechanism 1, uid 3", KeyWeights(second, 3), prefixes["Weights"] + "0710" + "0300"},
		{"Bonds, uid 3", KeyBonds(7, 3), prefixes["Bonds"] + seven + "0300"},
		{"TimelockedWeightCommits", KeyTimelockedWeightCommits(7, 25000), prefixes["TimelockedWeightCommits"] + "bc57c078260bbd3c" + seven + "326facd09d34ef0c" + "a861000000000000"},
		{"TimelockedWeightCommits, all", PrefixTimelockedWeightCommits(7), prefixes["TimelockedWeightCommits"] + "bc57c078260bbd3c" + seven},
		{"WeightCommits", KeyWeightCommits(7, accountA), prefixes["WeightCommits"] + "bc57c078260bbd3c" + seven + "7fbdc013784b6189" + a},
		{"WeightCommits, all", PrefixWeightCommits(7), prefixes["WeightCommits"] + "bc57c078260bbd3c" + seven},
		{"TotalHotkeyAlpha", KeyTotalHotkeyAlpha(accountA, 7), prefixes["TotalHotkeyAlpha"] + blakeA + a + seven},
		{"ChildKeys", KeyChildKeys(accountA, 7), prefixes["ChildKeys"] + blakeA + a + seven},
		{"ParentKeys", KeyParentKeys(accountA, 7), prefixes["ParentKeys"] + blakeA + a + seven},
		{"Uids", KeyUids(7, accountA), prefixes["Uids"] + seven + blakeA + a},
		{"Keys", KeyKeys(7, 258), prefixes["Keys"] + seven + "0201"},
		{"BlockAtRegistration", KeyBlockAtRegistration(7, 258), prefixes["BlockAtRegistration"] + seven + "0201"},
		{"LastUpdate", KeyLastUpdate(second), prefixes["LastUpdate"] + "0710"},
		{"Yuma3On", KeySubnet("Yuma3On", 7), prefixes["Yuma3On"] + "dd2aac9a881ef4baa27e2f39e1d46707" + seven},
		{"LiquidAlphaOn", KeySubnet("LiquidAlphaOn", 7), prefixes["LiquidAlphaOn"] + "dd2aac9a881ef4baa27e2f39e1d46707" + seven},
		{"RevealPeriodEpochs", KeySubnet("RevealPeriodEpochs", 7), prefixes["RevealPeriodEpochs"] + "bc57c078260bbd3c" + seven},
		{"MechanismCountCurrent", KeySubnet("MechanismCountCurrent", 7), prefixes["MechanismCountCurrent"] + "bc57c078260bbd3c" + seven},
		{"Tempo", KeySubnet("Tempo", 7), prefixes["Tempo"] + seven},
		{"TaoWeight", KeyValue("TaoWeight"), prefixes["TaoWeight"]},
		{"Pulses", KeyPulse(1000), prefixes["Pulses"] + "646b8858c86fefefe34a7c69e60c9917" + "e803000000000000"},
		{"LastRuntimeUpgrade", KeyLastRuntimeUpgrade(), prefixes["LastRuntimeUpgrade"]},
		{"Now", KeyTimestampNow(), prefixes["Now"]},
		// The key of block 0's hash, as every Substrate node has it.
		{"BlockHash", KeyBlockHash(0), prefixes["BlockHash"] + "b4def25cfda6ef3a" + "00000000"},
		{"LastStoredRound", KeyValue("LastStoredRound"), prefixes["LastStoredRound"]},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestKeyOfNothing: a name that is no item, or none of that kind, has no key at all rather than one
// that would be proven absent.
func TestKeyOfNothing(t *testing.T) {
	for name, got := range map[string][]byte{
		"no such item":                    KeySubnet("LastMechanismStepBlock", 7), // it is misspelt on chain
		"no such value":                   KeyValue("tempo"),
		"an item by subnet as a value":    KeyValue("Tempo"),
		"a value as an item by subnet":    KeySubnet("TaoWeight", 7),
		"an item by two keys":             KeySubnet("Weights", 7),
		"an item of another pallet":       KeySubnet("BlockHash", 7),
		"more parts than the item has":    key("Tempo", u16(7), u16(7)),
		"parts of an item that is no map": key("TaoWeight", u16(7)),
	} {
		if got != nil {
			t.Errorf("%s: key %x", name, got)
		}
	}
	// Each item is within reach of one of the exported functions.
	for name, it := range items {
		bySubnet, value := KeySubnet(name, 7) != nil, KeyValue(name) != nil
		switch {
		case it.pallet == module && len(it.hashers) == 1:
			if !bySubnet || value {
				t.Errorf("%s: by subnet %t, value %t", name, bySubnet, value)
			}
		case len(it.hashers) == 0:
			if bySubnet || !value {
				t.Errorf("%s: by subnet %t, value %t", name, bySubnet, value)
			}
		}
	}
}

func TestIndex(t *testing.T) {
	for _, c := range []struct {
		netuid uint16
		mecid  uint8
		want   uint16
		ok     bool
	}{
		{0, 0, 0, true},
		{7, 0, 7, true},
		{7, 1, 4103, true},
		{4095, 15, 65535, true},
		{4096, 0, 0, false},
		{7, 16, 0, false},
		{65535, 255, 0, false},
	} {
		got, err := Index(c.netuid, c.mecid)
		if got != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMechanism) {
			t.Errorf("Index(%d, %d) = %d, %v", c.netuid, c.mecid, got, err)
		}
	}
	for index := range 1 << 16 {
		netuid, mecid := SplitIndex(uint16(index))
		if back, err := Index(netuid, mecid); err != nil || int(back) != index {
			t.Fatalf("index %d is mechanism %d of subnet %d, which is %d, %v", index, mecid, netuid, back, err)
		}
	}
}

func TestSplitKeys(t *testing.T) {
	k := KeyWeightCommits(4103, accountA)
	if index, hotkey, ok := SplitKeyWeightCommits(k); index != 4103 || hotkey != accountA || !ok {
		t.Errorf("%d, %v, %t", index, hotkey, ok)
	}
	e := KeyTimelockedWeightCommits(4103, 1<<40)
	if index, epoch, ok := SplitKeyTimelockedWeightCommits(e); index != 4103 || epoch != 1<<40 || !ok {
		t.Errorf("%d, %d, %t", index, epoch, ok)
	}
	for i := range k {
		bad := append([]byte(nil), k...)
		bad[i] ^= 1
		if _, _, ok := SplitKeyWeightCommits(bad); ok {
			t.Errorf("a key with another byte %d is taken apart", i)
		}
	}
	for i := range e {
		bad := append([]byte(nil), e...)
		bad[i] ^= 1
		if _, _, ok := SplitKeyTimelockedWeightCommits(bad); ok {
			t.Errorf("a key with another byte %d is taken apart", i)
		}
	}
	for _, bad := range [][]byte{nil, e, k[:81], append(k[:82:82], 0), PrefixWeightCommits(7)} {
		if _, _, ok := SplitKeyWeightCommits(bad); ok {
			t.Errorf("%x is taken apart", bad)
		}
	}
	for _, bad := range [][]byte{nil, k, e[:57], append(e[:58:58], 0), PrefixTimelockedWeightCommits(7)} {
		if _, _, ok := SplitKeyTimelockedWeightCommits(bad); ok {
			t.Errorf("%x is taken apart", bad)
		}
	}
}

// TestDefaults holds what absent keys read as to the constants of the runtime (runtime/src/lib.rs,
// SubtensorInitial*; pallets/subtensor/src/lib.rs, Default*).
func TestDefaults(t *testing.T) {
	want := Hyperparameters{
		Mechanisms: 1, Tempo: 360, MaxAllowedValidators: 128, ImmunityPeriod: 4096,
		MinAllowedWeights: 1024, MaxWeightsLimit: 65535, WeightsSetRateLimit: 100,
		CommitRevealWeightsEnabled: true, RevealPeriodEpochs: 1,
		Kappa: 32767, BondsPenalty: 65535, BondsMovingAverage: 900000, AlphaLow: 45875, AlphaHigh: 58982,
		AlphaSigmoidSteepness: 1000, ActivityCutoff: 5000, ActivityCutoffFactorMilli: 13889,
		TaoWeight: 971718665099567868, MaxEpochsPerBlock: 2, CommitRevealWeightsVersion: 4,
	}
	got, err := ReadHyperparameters(storage{}, 7)
	if err != nil || *got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	for name, it := range items {
		if strings.HasPrefix(name, "Pending") && string(it.absent) != string(u64(0)) {
			t.Errorf("%s: default %x", name, it.absent)
		}
	}
}
