package subtensor

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
)

// ErrMechanism: a mechanism, or a netuid, has no storage index.
var ErrMechanism = errors.New("no storage index")

// Bounds of a storage index (pallets/subtensor/src/subnets/mechanism.rs).
const (
	MaxSubnets    = 4096 // netuids are below this
	MaxMechanisms = 16   // mechanism ids are below this
)

// Index returns the storage index (NetUidStorageIndex) of one mechanism of a subnet, by which its
// weights, bonds and commits are kept. For the first mechanism, 0, it is the netuid.
func Index(netuid uint16, mecid uint8) (uint16, error) {
	if netuid >= MaxSubnets || mecid >= MaxMechanisms {
		return 0, fmt.Errorf("%w: mechanism %d of subnet %d", ErrMechanism, mecid, netuid)
	}
	return uint16(mecid)*MaxSubnets + netuid, nil
}

// SplitIndex returns the subnet and the mechanism of a storage index.
func SplitIndex(index uint16) (netuid uint16, mecid uint8) {
	return index % MaxSubnets, uint8(index / MaxSubnets)
}

// Prefix returns what the keys of an item begin with, or the key of an item that is a value; nil for
// an item that this package does not know.
func Prefix(item string) []byte {
	it, ok := items[item]
	if !ok {
		return nil
	}
	return verify.StorageKey(it.pallet, item)
}

// key returns the key of an item, or what its keys begin with if there are fewer parts than it has
// hashers. It is nil, which is the key of nothing, if the item is not known or has fewer.
func key(name string, parts ...[]byte) []byte {
	it, ok := items[name]
	if !ok || len(parts) > len(it.hashers) {
		return nil
	}
	k := verify.StorageKey(it.pallet, name)
	for i, p := range parts {
		switch it.hashers[i] {
		case identity:
			k = append(k, p...)
		case twox64:
			k = verify.AppendTwox64Concat(k, p)
		case blake2:
			k = verify.AppendBlake2b128Concat(k, p)
		}
	}
	return k
}

// KeySubnet returns the key of an item that is kept by netuid alone (or by storage index alone:
// LastUpdate, Incentive); nil if item names none. No State answers for that.
func KeySubnet(item string, netuid uint16) []byte {
	if len(items[item].hashers) != 1 || items[item].pallet != module {
		return nil
	}
	return key(item, u16(netuid))
}

// KeyValue returns the key of an item that is one value; nil if item names none. No State answers
// for that.
func KeyValue(item string) []byte {
	if it, ok := items[item]; !ok || len(it.hashers) != 0 {
		return nil
	}
	return key(item)
}

// KeyUids is the key of a hotkey's uid: u16, absent if it is not registered on the subnet.
func KeyUids(netuid uint16, hotkey verify.AccountID) []byte {
	return key("Uids", u16(netuid), hotkey[:])
}

// KeyKeys is the key of the hotkey that has a uid.
func KeyKeys(netuid, uid uint16) []byte { return key("Keys", u16(netuid), u16(uid)) }

// KeyBlockAtRegistration is the key of the block in which the neuron that has a uid was registered.
func KeyBlockAtRegistration(netuid, uid uint16) []byte {
	return key("BlockAtRegistration", u16(netuid), u16(uid))
}

// KeyWeights is the key of a neuron's row of weights (DecodeWeights).
func KeyWeights(index, uid uint16) []byte { return key("Weights", u16(index), u16(uid)) }

// KeyBonds is the key of a neuron's row of bonds (DecodeWeights).
func KeyBonds(index, uid uint16) []byte { return key("Bonds", u16(index), u16(uid)) }

// KeyLastUpdate is the key of the blocks in which neurons last set or committed weights: Vec<u64> by
// uid.
func KeyLastUpdate(index uint16) []byte { return key("LastUpdate", u16(index)) }

// KeyWeightCommits is the key of a hotkey's queue of hash commits (DecodeHashCommits).
func KeyWeightCommits(index uint16, hotkey verify.AccountID) []byte {
	return key("WeightCommits", u16(index), hotkey[:])
}

// PrefixWeightCommits is what the keys of all queues of hash commits of a mechanism begin with.
func PrefixWeightCommits(index uint16) []byte { return key("WeightCommits", u16(index)) }

// SplitKeyWeightCommits takes a key of KeyWeightCommits apart; ok is false if k is none.
func SplitKeyWeightCommits(k []byte) (index uint16, hotkey verify.AccountID, ok bool) {
	if len(k) != 32+8+2+8+32 {
		return 0, hotkey, false
	}
	index, hotkey = binary.LittleEndian.Uint16(k[40:]), verify.AccountID(k[50:])
	return index, hotkey, string(k) == string(KeyWeightCommits(index, hotkey))
}

// KeyTimelockedWeightCommits is the key of the queue of the timelocked commits made in an epoch
// (DecodeTimelockedCommits).
func KeyTimelockedWeightCommits(index uint16, epoch uint64) []byte {
	return key("TimelockedWeightCommits", u16(index), u64(epoch))
}

// PrefixTimelockedWeightCommits is what the keys of all queues of timelocked commits of a mechanism
// begin with.
func PrefixTimelockedWeightCommits(index uint16) []byte {
	return key("TimelockedWeightCommits", u16(index))
}

// SplitKeyTimelockedWeightCommits takes a key of KeyTimelockedWeightCommits apart; ok is false if k
// is none.
func SplitKeyTimelockedWeightCommits(k []byte) (index uint16, epoch uint64, ok bool) {
	if len(k) != 32+8+2+8+8 {
		return 0, 0, false
	}
	index, epoch = binary.LittleEndian.Uint16(k[40:]), binary.LittleEndian.Uint64(k[50:])
	return index, epoch, string(k) == string(KeyTimelockedWeightCommits(index, epoch))
}

// KeyTotalHotkeyAlpha is the key of what is staked to a hotkey on a subnet: u64, in rao. On subnet 0
// that is TAO.
func KeyTotalHotkeyAlpha(hotkey verify.AccountID, netuid uint16) []byte {
	return key("TotalHotkeyAlpha", hotkey[:], u16(netuid))
}

// KeyChildKeys is the key of the hotkeys that a hotkey hands stake to (DecodeRelations).
func KeyChildKeys(hotkey verify.AccountID, netuid uint16) []byte {
	return key("ChildKeys", hotkey[:], u16(netuid))
}

// KeyParentKeys is the key of the hotkeys that a hotkey has stake from (DecodeRelations).
func KeyParentKeys(hotkey verify.AccountID, netuid uint16) []byte {
	return key("ParentKeys", hotkey[:], u16(netuid))
}

// KeyPulse is the key of a drand pulse. The chain keeps about a week of them.
func KeyPulse(round uint64) []byte { return key("Pulses", u64(round)) }

// KeyBlockHash is the key of the hash of an earlier block: 32 bytes. The chain keeps 2,400 of them,
// and in the state of a block not its own.
func KeyBlockHash(number uint32) []byte { return key("BlockHash", u32(number)) }

// KeyLastRuntimeUpgrade is the key of the version of the runtime that the chain last ran (Spec).
func KeyLastRuntimeUpgrade() []byte { return KeyValue("LastRuntimeUpgrade") }

// KeyCode is the key of the runtime, as sp_core::storage::well_known_keys has it: WebAssembly, mostly
// compressed with zstd behind eight bytes of their own. No pallet owns it.
func KeyCode() []byte { return []byte(":code") }

// KeyTimestampNow is the key of the time that a block says it was made: u64, in milliseconds.
func KeyTimestampNow() []byte { return KeyValue("Now") }
