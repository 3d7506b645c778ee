package subtensor

import "github.com/taolight/taolight/verify/scale"

// A hasher is one of frame_support's, by which a map makes a key part of its storage key.
type hasher byte

const (
	identity hasher = iota
	twox64          // Twox64Concat
	blake2          // Blake2_128Concat
)

// An item is one storage item: where it is, how its keys are hashed, in order, and the value that
// the chain reads where there is none (nil: it tells the two apart, or the default is an empty
// sequence or a zero account).
type item struct {
	pallet  string
	hashers []hasher
	absent  []byte
}

// Hashers of the shapes of maps there are.
var (
	plain            []hasher
	byIdentity       = []hasher{identity}
	byTwox           = []hasher{twox64}
	byBlake2         = []hasher{blake2}
	identityIdentity = []hasher{identity, identity}
	identityBlake2   = []hasher{identity, blake2}
	blake2Identity   = []hasher{blake2, identity}
	twoxTwox         = []hasher{twox64, twox64}
	shares           = []hasher{blake2, blake2, identity}
)

const (
	module    = "SubtensorModule"
	drand     = "Drand"
	system    = "System"
	timestamp = "Timestamp"
)

// items is every storage item this package knows (pallets/subtensor/src/lib.rs with the constants of
// runtime/src/lib.rs, pallets/drand/src/lib.rs, frame_system, pallet_timestamp), and the only place
// that says how its key is made. Hashers and defaults are the same in all audited runtimes that have
// the item, but for MaxWeightsLimit: its default was 1000 below spec 334, when the registration of a
// subnet wrote 65535 all the same; and for MaxAllowedUids, likewise 4096 in place of 256 at spec 343.
var items = map[string]item{
	// By storage index, which is the netuid for the first mechanism.
	"Weights":                 {module, identityIdentity, nil}, // index, uid → Vec<(u16, u16)>
	"Bonds":                   {module, identityIdentity, nil}, // index, uid → Vec<(u16, u16)>
	"LastUpdate":              {module, byIdentity, nil},       // index → Vec<u64>
	"Incentive":               {module, byIdentity, nil},       // index → Vec<u16>
	"WeightCommits":           {module, twoxTwox, nil},         // index, hotkey → queue of hash commits
	"TimelockedWeightCommits": {module, twoxTwox, nil},         // index, epoch → queue of timelocked commits

	// Neurons.
	"Keys":                {module, identityIdentity, nil},    // netuid, uid → hotkey
	"Uids":                {module, identityBlake2, nil},      // netuid, hotkey → u16
	"BlockAtRegistration": {module, identityIdentity, u64(0)}, // netuid, uid → u64
	"TotalHotkeyAlpha":    {module, blake2Identity, u64(0)},   // hotkey, netuid → rao u64
	"ChildKeys":           {module, blake2Identity, nil},      // hotkey, netuid → Vec<(u64, hotkey)>
	"ParentKeys":          {module, blake2Identity, nil},      // hotkey, netuid → Vec<(u64, hotkey)>

	"IsNetworkMember":     {module, blake2Identity, boolean(false)}, // hotkey, netuid → bool
	"Axons":               {module, identityBlake2, nil},            // netuid, hotkey → AxonInfo
	"Owner":               {module, byBlake2, nil},                  // hotkey → coldkey
	"OwnedHotkeys":        {module, byBlake2, nil},                  // coldkey → Vec<hotkey>
	"StakingHotkeys":      {module, byBlake2, nil},                  // coldkey → Vec<hotkey>
	"Alpha":               {module, shares, make([]byte, 16)},       // hotkey, coldkey, netuid → U64F64, below AlphaV2
	"TotalHotkeyShares":   {module, blake2Identity, make([]byte, 16)},
	"AlphaV2":             {module, shares, make([]byte, 24)},         // hotkey, coldkey, netuid → (u128, i64)
	"TotalHotkeySharesV2": {module, blake2Identity, make([]byte, 24)}, // hotkey, netuid → (u128, i64)

	// By netuid, one entry for each uid.
	"Active":          {module, byIdentity, nil}, // Vec<bool>
	"ValidatorPermit": {module, byIdentity, nil}, // Vec<bool>
	"Consensus":       {module, byIdentity, nil}, // Vec<u16>
	"Dividends":       {module, byIdentity, nil}, // Vec<u16>
	"ValidatorTrust":  {module, byIdentity, nil}, // Vec<u16>
	"StakeWeight":     {module, byIdentity, nil}, // Vec<u16>
	"Emission":        {module, byIdentity, nil}, // Vec<u64>
	"Rank":            {module, byIdentity, nil}, // Vec<u16>, to spec 393
	"Trust":           {module, byIdentity, nil}, // Vec<u16>, to spec 393

	// By netuid.
	"NetworksAdded":              {module, byIdentity, boolean(false)},
	"SubnetworkN":                {module, byIdentity, u16(0)},
	"SubnetOwnerHotkey":          {module, byIdentity, nil}, // hotkey
	"MechanismCountCurrent":      {module, byTwox, []byte{1}},
	"MechanismEmissionSplit":     {module, byTwox, nil}, // Vec<u16>
	"Tempo":                      {module, byIdentity, u16(360)},
	"Kappa":                      {module, byIdentity, u16(32_767)},
	"MaxAllowedValidators":       {module, byIdentity, u16(128)},
	"MinAllowedWeights":          {module, byIdentity, u16(1024)},
	"MaxWeightsLimit":            {module, byIdentity, u16(65_535)},
	"WeightsVersionKey":          {module, byIdentity, u64(0)},
	"WeightsSetRateLimit":        {module, byIdentity, u64(100)},
	"ImmunityPeriod":             {module, byIdentity, u16(4096)},
	"ActivityCutoff":             {module, byIdentity, u16(5000)},
	"ActivityCutoffFactorMilli":  {module, byIdentity, u32(13_889)},
	"BondsPenalty":               {module, byIdentity, u16(65_535)},
	"BondsMovingAverage":         {module, byIdentity, u64(900_000)},
	"AlphaSigmoidSteepness":      {module, byIdentity, u16(1000)},                           // i16
	"AlphaValues":                {module, byIdentity, append(u16(45_875), u16(58_982)...)}, // (u16, u16)
	"Yuma3On":                    {module, byBlake2, boolean(false)},
	"LiquidAlphaOn":              {module, byBlake2, boolean(false)},
	"CommitRevealWeightsEnabled": {module, byIdentity, boolean(true)},
	"RevealPeriodEpochs":         {module, byTwox, u64(1)},
	"LastMechansimStepBlock":     {module, byIdentity, u64(0)}, // so spelt
	"BlocksSinceLastStep":        {module, byIdentity, u64(0)},
	"LastEpochBlock":             {module, byIdentity, u64(0)},
	"PendingEpochAt":             {module, byIdentity, u64(0)},
	"SubnetEpochIndex":           {module, byIdentity, u64(0)},
	"PendingServerEmission":      {module, byIdentity, u64(0)},
	"PendingValidatorEmission":   {module, byIdentity, u64(0)},
	"PendingRootAlphaDivs":       {module, byIdentity, u64(0)},
	"PendingOwnerCut":            {module, byIdentity, u64(0)},

	"SubnetOwner":                   {module, byIdentity, nil},                      // coldkey
	"TokenSymbol":                   {module, byIdentity, []byte("\x10\U0001d70f")}, // Vec<u8>, UTF-8
	"SubnetIdentitiesV3":            {module, byBlake2, nil},                        // SubnetIdentityV3
	"MaxAllowedUids":                {module, byIdentity, u16(256)},
	"NetworkRegistrationAllowed":    {module, byIdentity, boolean(true)},
	"NetworkPowRegistrationAllowed": {module, byIdentity, boolean(true)},
	"NetworkRegisteredAt":           {module, byIdentity, u64(0)}, // block
	"FirstEmissionBlockNumber":      {module, byIdentity, nil},    // block u64
	"SubtokenEnabled":               {module, byIdentity, boolean(false)},
	"ServingRateLimit":              {module, byIdentity, u64(50)},              // blocks
	"Burn":                          {module, byIdentity, u64(100_000_000)},     // rao
	"MinBurn":                       {module, byIdentity, u64(500_000)},         // rao
	"MaxBurn":                       {module, byIdentity, u64(100_000_000_000)}, // rao
	"Difficulty":                    {module, byIdentity, u64(10_000_000)},
	"SubnetTAO":                     {module, byIdentity, u64(0)}, // rao
	"SubnetAlphaIn":                 {module, byIdentity, u64(0)}, // rao of alpha
	"SubnetAlphaOut":                {module, byIdentity, u64(0)}, // rao of alpha
	"SubnetAlphaOutEmission":        {module, byIdentity, u64(0)}, // rao of alpha in a block

	// Values.
	"TaoWeight":                  {module, plain, u64(971_718_665_099_567_868)},
	"StakeThreshold":             {module, plain, u64(0)},
	"MaxEpochsPerBlock":          {module, plain, []byte{2}},
	"CommitRevealWeightsVersion": {module, plain, u16(4)},

	// Other pallets.
	"Pulses":             {drand, byBlake2, nil}, // round u64 → pulse
	"LastStoredRound":    {drand, plain, u64(0)},
	"OldestStoredRound":  {drand, plain, u64(0)},
	"BeaconConfig":       {drand, plain, nil},
	"Account":            {system, byBlake2, append(make([]byte, 55), 0x80)}, // AccountInfo, 56 bytes
	"BlockHash":          {system, byTwox, nil},                              // number u32 → hash
	"LastRuntimeUpgrade": {system, plain, nil},                               // (compact spec_version, spec_name)
	"Now":                {timestamp, plain, u64(0)},                         // milliseconds
}

func u16(v uint16) []byte   { return scale.AppendU16(nil, v) }
func u32(v uint32) []byte   { return scale.AppendU32(nil, v) }
func u64(v uint64) []byte   { return scale.AppendU64(nil, v) }
func boolean(v bool) []byte { return scale.AppendBool(nil, v) }
