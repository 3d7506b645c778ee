package subtensor

import (
	"cmp"
	"encoding/binary"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/yuma"
)

// KeyAxons is the key of where a hotkey serves on a subnet (DecodeAxon).
func KeyAxons(netuid uint16, hotkey verify.AccountID) []byte {
	return key("Axons", u16(netuid), hotkey[:])
}

// An Axon is where a neuron says that it serves (pallets/subtensor/src/lib.rs, AxonInfo). Nobody has
// checked that it does.
type Axon struct {
	Block    uint64 // in which it said so
	Version  uint32
	IP       [16]byte // big-endian; an IPv4 address in the last 4 bytes
	Port     uint16
	IPType   uint8 // 4 or 6
	Protocol uint8
	Unused   [2]uint8 // placeholder1 and 2
}

// DecodeAxon decodes a value of Axons.
func DecodeAxon(b []byte) (a Axon, err error) {
	r := scale.NewReader(b)
	a = readAxon(r)
	if err := finish("Axons", r); err != nil {
		return Axon{}, err
	}
	return a, nil
}

func readAxon(r *scale.Reader) (a Axon) {
	a.Block, a.Version = r.U64(), r.U32()
	low, high := r.U64(), r.U64()
	binary.BigEndian.PutUint64(a.IP[:8], high)
	binary.BigEndian.PutUint64(a.IP[8:], low)
	a.Port, a.IPType, a.Protocol = r.U16(), r.Byte(), r.Byte()
	a.Unused = [2]uint8{r.Byte(), r.Byte()}
	return a
}

// Append appends the encoding of a.
func (a Axon) Append(b []byte) []byte {
	b = scale.AppendU32(scale.AppendU64(b, a.Block), a.Version)
	b = scale.AppendU64(b, binary.BigEndian.Uint64(a.IP[8:]))
	b = scale.AppendU64(b, binary.BigEndian.Uint64(a.IP[:8]))
	return append(scale.AppendU16(b, a.Port), a.IPType, a.Protocol, a.Unused[0], a.Unused[1])
}

// maxName bounds what a subnet says of itself, each field (pallets/subtensor/src/utils/identity.rs
// allows 1024 bytes at most).
const maxName = 4096

// symbol reads TokenSymbol: text, not checked to be UTF-8.
func symbol(into *[]byte) func(bool, *scale.Reader) {
	return func(_ bool, r *scale.Reader) { *into = r.Blob(maxName) }
}

// A Metagraph is a Snapshot with what the table of the neurons has besides.
type Metagraph struct {
	Snapshot
	Symbol []byte // of the subnet's alpha, in UTF-8 if its owner was honest

	// By uid.
	Coldkeys []verify.AccountID // zero if the hotkey has no owner
	Axons    []*Axon            // nil where nothing is said to serve
	Alpha    []uint64           // rao of alpha staked to the hotkey on this subnet, by whomever
	Root     []uint64           // rao of TAO staked to it on the root, by whomever
	Stake    []yuma.I64F64      // the stake weight in rao, after parents and children (ReadStake)
	Rank     []uint16           // nil with Set.NoRanks
	Trust    []uint16           // nil with Set.NoRanks
}

// ReadMetagraph reads a Metagraph under the rules of the runtime that wrote it, in four Loads.
func ReadMetagraph(s State, netuid uint16, set rules.Set) (*Metagraph, error) {
	m := new(Metagraph)
	var q Batch
	q.Subnet("TokenSymbol", netuid, symbol(&m.Symbol))
	if !set.NoRanks {
		q.Subnet("Rank", netuid, &m.Rank)
		q.Subnet("Trust", netuid, &m.Trust)
	}
	// Together with the first of the snapshot, for a State that notes what it lacks.
	errFirst := q.Load(s)
	snapshot, err := ReadSnapshot(s, netuid)
	if err := cmp.Or(err, errFirst); err != nil {
		return nil, err
	}
	m.Snapshot = *snapshot
	n := int(m.N)
	if !set.NoRanks {
		m.Rank, m.Trust = pad(m.Rank, n), pad(m.Trust, n)
	}
	m.Coldkeys, m.Axons = make([]verify.AccountID, n), make([]*Axon, n)
	m.Alpha, m.Root = make([]uint64, n), make([]uint64, n)
	q = Batch{}
	for uid, hotkey := range m.Hotkeys {
		q.Key("Owner", KeyOwner(hotkey), &m.Coldkeys[uid])
		q.Key("Axons", KeyAxons(netuid, hotkey), func(present bool, r *scale.Reader) {
			if present {
				a := readAxon(r)
				m.Axons[uid] = &a
			}
		})
		q.Key("TotalHotkeyAlpha", KeyTotalHotkeyAlpha(hotkey, netuid), &m.Alpha[uid])
		q.Key("TotalHotkeyAlpha", KeyTotalHotkeyAlpha(hotkey, rootNetuid), &m.Root[uid])
	}
	errOwn := q.Load(s)
	m.Stake, err = ReadStakes(s, netuid, m.Hotkeys)
	if err := cmp.Or(err, errOwn); err != nil {
		return nil, err
	}
	return m, nil
}

// A Subnet is what a subnet is, besides its hyperparameters.
type Subnet struct {
	Exists   bool
	Symbol   []byte           // of its alpha
	Name     []byte           // as its owner has it in SubnetIdentitiesV3; nil if it says nothing
	N        uint16           // neurons
	MaxN     uint16           // MaxAllowedUids
	Owner    verify.AccountID // coldkey; zero if there is none
	Schedule yuma.Schedule
	LastStep uint64 // LastMechansimStepBlock: the block of the last epoch that ran

	RevealPeriodEpochs         uint64
	CommitRevealWeightsEnabled bool

	RegisteredAt           uint64  // block
	FirstEmission          *uint64 // FirstEmissionBlockNumber; nil before its owner starts it
	SubtokenEnabled        bool
	RegistrationAllowed    bool
	PowRegistrationAllowed bool
	Burn, MinBurn, MaxBurn uint64 // rao: what a registration costs, and its bounds
	Difficulty             uint64 // of a registration by work
	ServingRateLimit       uint64 // blocks

	TAO      uint64 // rao in its pool
	AlphaIn  uint64 // rao of alpha in its pool
	AlphaOut uint64 // rao of alpha outside of it
	Emission uint64 // SubnetAlphaOutEmission: rao of alpha in each block
	// What waits for the next epoch, rao of alpha; zero without Set.PendingSplit.
	PendingServer, PendingValidator uint64
}

// SubnetInfo adds the reads of a Subnet.
func (q *Batch) SubnetInfo(netuid uint16, to *Subnet) {
	q.Schedule(netuid, &to.Schedule)
	for _, r := range []read{
		{"NetworksAdded", &to.Exists},
		{"TokenSymbol", symbol(&to.Symbol)},
		{"SubnetworkN", &to.N},
		{"MaxAllowedUids", &to.MaxN},
		{"SubnetOwner", &to.Owner},
		{"LastMechansimStepBlock", &to.LastStep},
		{"RevealPeriodEpochs", &to.RevealPeriodEpochs},
		{"CommitRevealWeightsEnabled", &to.CommitRevealWeightsEnabled},
		{"NetworkRegisteredAt", &to.RegisteredAt},
		{"FirstEmissionBlockNumber", firstEmission(to)},
		{"SubtokenEnabled", &to.SubtokenEnabled},
		{"NetworkRegistrationAllowed", &to.RegistrationAllowed},
		{"NetworkPowRegistrationAllowed", &to.PowRegistrationAllowed},
		{"Burn", &to.Burn},
		{"MinBurn", &to.MinBurn},
		{"MaxBurn", &to.MaxBurn},
		{"Difficulty", &to.Difficulty},
		{"ServingRateLimit", &to.ServingRateLimit},
		{"SubnetTAO", &to.TAO},
		{"SubnetAlphaIn", &to.AlphaIn},
		{"SubnetAlphaOut", &to.AlphaOut},
		{"SubnetAlphaOutEmission", &to.Emission},
		{"PendingServerEmission", &to.PendingServer},
		{"PendingValidatorEmission", &to.PendingValidator},
		{"SubnetIdentitiesV3", func(present bool, r *scale.Reader) {
			if !present {
				return
			}
			// SubnetIdentityV3: subnet_name, github_repo, subnet_contact, subnet_url, discord,
			// description, logo_url, additional.
			to.Name = r.Blob(maxName)
			for range 7 {
				r.Blob(maxName)
			}
		}},
	} {
		q.Subnet(r.item, netuid, r.into)
	}
}

// firstEmission reads FirstEmissionBlockNumber, which not every subnet has.
func firstEmission(to *Subnet) func(bool, *scale.Reader) {
	return func(present bool, r *scale.Reader) {
		if present {
			v := r.U64()
			to.FirstEmission = &v
		}
	}
}

// ReadSubnets reads many subnets, in one Load. One that does not exist has the defaults.
func ReadSubnets(s State, netuids []uint16) ([]Subnet, error) {
	out := make([]Subnet, len(netuids))
	var q Batch
	for i, netuid := range netuids {
		q.SubnetInfo(netuid, &out[i])
	}
	if err := q.Load(s); err != nil {
		return nil, err
	}
	return out, nil
}

// SplitKeyNetworksAdded returns the subnet of a key of NetworksAdded; ok is false if k is none.
func SplitKeyNetworksAdded(k []byte) (netuid uint16, ok bool) {
	if len(k) != 32+2 {
		return 0, false
	}
	netuid = binary.LittleEndian.Uint16(k[32:])
	return netuid, string(k) == string(KeySubnet("NetworksAdded", netuid))
}

// netuidBehind returns the netuid that a key ends with behind a prefix.
func netuidBehind(prefix, k []byte) (uint16, error) {
	if len(k) != len(prefix)+2 || string(k[:len(prefix)]) != string(prefix) {
		return 0, fmt.Errorf("%w: key 0x%x", ErrLayout, k)
	}
	return binary.LittleEndian.Uint16(k[len(prefix):]), nil
}
