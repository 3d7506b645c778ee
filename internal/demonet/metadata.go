package demonet

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify/scale"
)

// transactionVersion is what signed extrinsics of the imitation commit to beside its spec version.
const transactionVersion = 1

// Metadata describes what the imitation takes in signed extrinsics and tells in events, for whoever makes one: there is
// no runtime to ask. It names nothing else of the chain. spec is the version that the chain follows, 0 the newest known.
func Metadata(spec uint32) (*metadata.Metadata, error) {
	m, err := metadata.Parse(describe(cmp.Or(spec, specNewest)))
	if err != nil {
		return nil, fmt.Errorf("demo network: %w", err)
	}
	return m, nil
}

// A describer writes metadata of version 14 (frame_metadata::v14). Types are known by a name of ours.
type describer struct {
	types [][]byte // as they stand in the registry, without the number
	names map[string]int
}

func textOf(s string) []byte { return scale.AppendBlob(nil, []byte(s)) }

// vec is a Vec of encoded elements.
func vec(parts ...[]byte) []byte {
	return append(scale.AppendCompact(nil, uint64(len(parts))), join(nil, parts...)...)
}

// add writes a type under a path that :: divides, with generic parameters NAME=TYPE, and makes it known.
func (d *describer) add(name, path string, def []byte, params ...string) {
	var segments, ps [][]byte
	if path != "" {
		for _, s := range strings.Split(path, "::") {
			segments = append(segments, textOf(s))
		}
	}
	for _, p := range params {
		k, v, _ := strings.Cut(p, "=")
		ps = append(ps, join(textOf(k), []byte{1}, d.ref(v)))
	}
	d.names[name] = len(d.types)
	d.types = append(d.types, join(vec(segments...), vec(ps...), def, []byte{0}))
}

func (d *describer) ref(name string) []byte {
	id, ok := d.names[name]
	if !ok {
		panic("no type " + name) // a constant of this file
	}
	return scale.AppendCompact(nil, uint64(id))
}

// fields are NAME:TYPE, or TYPE for one without a name.
func (d *describer) fields(fields ...string) []byte {
	var out [][]byte
	for _, f := range fields {
		name, kind, named := strings.Cut(f, ":")
		head := []byte{0}
		if named {
			head = append([]byte{1}, textOf(name)...)
		} else {
			kind = name
		}
		out = append(out, join(head, d.ref(kind), []byte{0, 0})) // no name of the type, no docs
	}
	return vec(out...)
}

func (d *describer) composite(name, path string, fields ...string) {
	d.add(name, path, append([]byte{0}, d.fields(fields...)...))
}

func (d *describer) variant(name string, index byte, fields ...string) []byte {
	return join(textOf(name), d.fields(fields...), []byte{index, 0})
}

func (d *describer) enum(name, path string, variants ...[]byte) {
	d.add(name, path, append([]byte{1}, vec(variants...)...))
}

// refusals are the names of the pallet's errors that the imitation fails with.
var refusals = []struct {
	err  *refusal
	name string
}{
	{errKind, "InvalidIpType"}, {errAddress, "InvalidIpAddress"}, {errPort, "InvalidPort"}, {errNotRegistered, "HotKeyNotRegisteredInSubNet"},
	{errStake, "NotEnoughStakeToSetWeights"}, {errNoPermit, "NeuronNoValidatorPermit"}, {errLengths, "WeightVecNotEqualSize"},
	{errDuplicate, "DuplicateUids"}, {errUnknownUID, "UidVecContainInvalidOne"}, {errTooFew, "WeightVecLengthIsLow"}, {errTooLarge, "MaxWeightExceeded"},
	{errSetTooFast, "SettingWeightsTooFast"}, {errVersionKey, "IncorrectWeightVersionKey"}, {errServing, "ServingRateLimitExceeded"},
	{errTooManyUIDs, "UidsLengthExceedUidsInSubNet"}, {errRoot, "CanNotSetRootNetworkWeights"}, {errNoCommit, "NoWeightsCommitFound"},
	{errNoMatch, "InvalidRevealCommitHashNotMatch"}, {errHidden, "CommitRevealEnabled"}, {errDisabled, "CommitRevealDisabled"},
	{errNoMechanism, "MechanismDoesNotExist"}, {errTooMany, "TooManyUnrevealedCommits"}, {errExpired, "ExpiredWeightCommit"},
	{errTooEarly, "RevealTooEarly"}, {errTooFast, "CommittingWeightsTooFast"}, {errVersion, "IncorrectCommitRevealVersion"},
}

func describe(spec uint32) []byte {
	d := &describer{names: make(map[string]int)}
	for i, p := range []string{"bool", "char", "str", "u8", "u16", "u32", "u64", "u128"} {
		d.add(p, "", []byte{5, byte(i)})
	}
	array := func(name string, n uint32, of string) {
		d.add(name, "", join([]byte{3}, u32(n), d.ref(of)))
	}
	sequence := func(name, of string) { d.add(name, "", join([]byte{2}, d.ref(of))) }
	compact := func(name, of string) { d.add(name, "", join([]byte{6}, d.ref(of))) }
	d.add("()", "", []byte{4, 0})
	array("[u8;4]", 4, "u8")
	array("[u8;32]", 32, "u8")
	array("[u8;64]", 64, "u8")
	sequence("Vec<u8>", "u8")
	sequence("Vec<u16>", "u16")
	sequence("Vec<u64>", "u64")
	compact("Compact<()>", "()")
	compact("Compact<u32>", "u32")
	compact("Compact<u64>", "u64")
	d.composite("AccountId32", "sp_core::crypto::AccountId32", "[u8;32]")
	d.composite("H256", "primitive_types::H256", "[u8;32]")
	sequence("Vec<H256>", "H256")
	d.enum("MultiAddress", "sp_runtime::multiaddress::MultiAddress", d.variant("Id", 0, "AccountId32"))
	d.enum("MultiSignature", "sp_runtime::MultiSignature", d.variant("Ed25519", 0, "[u8;64]"), d.variant("Sr25519", 1, "[u8;64]"))
	eras := [][]byte{d.variant("Immortal", 0)}
	for i := 1; i < 256; i++ {
		eras = append(eras, d.variant(fmt.Sprintf("Mortal%d", i), byte(i), "u8"))
	}
	d.enum("Era", "sp_runtime::generic::era::Era", eras...)
	d.composite("RuntimeVersion", "sp_version::RuntimeVersion", "spec_name:str", "impl_name:str", "authoring_version:u32", "spec_version:u32",
		"impl_version:u32", "apis:Vec<u8>", "transaction_version:u32", "system_version:u8")
	d.composite("AccountData", "pallet_balances::types::AccountData", "free:u64", "reserved:u64", "frozen:u64", "flags:u128")
	d.composite("AccountInfo", "frame_system::AccountInfo", "nonce:u32", "consumers:u32", "providers:u32", "sufficients:u32", "data:AccountData")

	d.composite("ModuleError", "sp_runtime::ModuleError", "index:u8", "error:[u8;4]")
	d.enum("DispatchError", "sp_runtime::DispatchError", d.variant("Other", 0), d.variant("Module", 3, "ModuleError"))
	d.composite("Weight", "sp_weights::weight_v2::Weight", "ref_time:Compact<u64>", "proof_size:Compact<u64>")
	d.enum("DispatchClass", "frame_support::dispatch::DispatchClass", d.variant("Normal", 0), d.variant("Operational", 1), d.variant("Mandatory", 2))
	d.enum("Pays", "frame_support::dispatch::Pays", d.variant("Yes", 0), d.variant("No", 1))
	d.composite("DispatchInfo", "frame_system::DispatchEventInfo", "weight:Weight", "class:DispatchClass", "pays_fee:Pays")
	d.enum("SystemEvent", "frame_system::pallet::Event", d.variant("ExtrinsicSuccess", 0, "dispatch_info:DispatchInfo"),
		d.variant("ExtrinsicFailed", 1, "dispatch_error:DispatchError", "dispatch_info:DispatchInfo"))
	d.enum("SubtensorEvent", "pallet_subtensor::pallet::Event", d.variant("WeightsSet", eventWeightsSet, "u16", "u16"),
		d.variant("CRV3WeightsCommitted", eventWeightsCommitted, "AccountId32", "u16", "H256"), d.variant("WeightsRevealed", eventWeightsRevealed, "AccountId32", "u16", "H256"),
		d.variant("TimelockedWeightsCommitted", eventTimelockedCommitted, "AccountId32", "u16", "H256", "u64"),
		d.variant("TimelockedWeightsRevealed", eventTimelockedRevealed, "u16", "AccountId32"),
		d.variant("EpochDeferred", eventEpochDeferred, "netuid:u16", "from_block:u64", "to_block:u64"),
		d.variant("EpochSkipped", eventEpochSkipped, "netuid:u16", "block:u64"))
	d.enum("DrandEvent", "pallet_drand::pallet::Event", d.variant("NewPulse", 1, "rounds:Vec<u64>"))
	d.enum("RuntimeEvent", "node_subtensor_runtime::RuntimeEvent", d.variant("System", 0, "SystemEvent"),
		d.variant("SubtensorModule", palletSubtensor, "SubtensorEvent"), d.variant("Drand", palletDrand, "DrandEvent"))
	d.enum("Phase", "frame_system::Phase", d.variant("ApplyExtrinsic", 0, "u32"), d.variant("Finalization", 1), d.variant("Initialization", 2))
	d.composite("EventRecord", "frame_system::EventRecord", "phase:Phase", "event:RuntimeEvent", "topics:Vec<H256>")
	sequence("Vec<EventRecord>", "EventRecord")
	var errs [][]byte
	for _, r := range refusals {
		errs = append(errs, d.variant(r.name, r.err.index))
	}
	d.enum("SubtensorError", "pallet_subtensor::pallet::Error", errs...)

	d.enum("SystemCall", "frame_system::pallet::Call", d.variant("remark", 0, "remark:Vec<u8>"))
	d.enum("SubtensorCall", "pallet_subtensor::pallet::Call",
		d.variant("set_weights", callSetWeights, "netuid:u16", "dests:Vec<u16>", "weights:Vec<u16>", "version_key:u64"),
		d.variant("serve_axon", callServeAxon, "netuid:u16", "version:u32", "ip:u128", "port:u16", "ip_type:u8", "protocol:u8", "placeholder1:u8", "placeholder2:u8"),
		d.variant("set_mechanism_weights", callSetMechanismWeights, "netuid:u16", "mecid:u8", "dests:Vec<u16>", "weights:Vec<u16>", "version_key:u64"),
		d.variant("commit_weights", callCommitWeights, "netuid:u16", "commit_hash:H256"),
		d.variant("commit_mechanism_weights", callCommitMechanism, "netuid:u16", "mecid:u8", "commit_hash:H256"),
		d.variant("reveal_weights", callRevealWeights, "netuid:u16", "uids:Vec<u16>", "values:Vec<u16>", "salt:Vec<u16>", "version_key:u64"),
		d.variant("reveal_mechanism_weights", callRevealMechanism, "netuid:u16", "mecid:u8", "uids:Vec<u16>", "values:Vec<u16>", "salt:Vec<u16>", "version_key:u64"),
		d.variant("commit_timelocked_weights", callTimelockedWeights, "netuid:u16", "commit:Vec<u8>", "reveal_round:u64", "commit_reveal_version:u16"),
		d.variant("commit_timelocked_mechanism_weights", callCommitTimelockedWeight, "netuid:u16", "mecid:u8", "commit:Vec<u8>", "reveal_round:u64", "commit_reveal_version:u16"))
	d.enum("RuntimeCall", "node_subtensor_runtime::RuntimeCall", d.variant("System", 0, "SystemCall"), d.variant("SubtensorModule", palletSubtensor, "SubtensorCall"))

	d.composite("CheckSpecVersion", "frame_system::extensions::check_spec_version::CheckSpecVersion")
	d.composite("CheckTxVersion", "frame_system::extensions::check_tx_version::CheckTxVersion")
	d.composite("CheckGenesis", "frame_system::extensions::check_genesis::CheckGenesis")
	d.composite("CheckMortality", "node_subtensor_runtime::check_mortality::CheckMortality", "Era")
	d.composite("CheckNonce", "node_subtensor_runtime::check_nonce::CheckNonce", "Compact<u32>")
	d.composite("ChargeTransactionPayment", "pallet_transaction_payment::ChargeTransactionPayment", "Compact<u64>")
	d.add("Extrinsic", "sp_runtime::generic::unchecked_extrinsic::UncheckedExtrinsic", join([]byte{0}, d.fields("Vec<u8>")),
		"Address=MultiAddress", "Call=RuntimeCall", "Signature=MultiSignature", "Extra=()")
	d.composite("Runtime", "node_subtensor_runtime::Runtime")

	b := append([]byte("meta"), 14)
	b = scale.AppendCompact(b, uint64(len(d.types)))
	for i, t := range d.types {
		b = append(scale.AppendCompact(b, uint64(i)), t...)
	}
	some := func(name string) []byte { return append([]byte{1}, d.ref(name)...) }
	version := join(textOf("node-subtensor"), textOf("node-subtensor"), u32(1), u32(spec), u32(1), []byte{0}, u32(transactionVersion), []byte{1})
	items := vec(
		join(textOf("Account"), []byte{1, 1}, vec([]byte{2}), d.ref("AccountId32"), d.ref("AccountInfo"), scale.AppendBlob(nil, make([]byte, 16+24+16)), []byte{0}),
		join(textOf("Events"), []byte{1, 0}, d.ref("Vec<EventRecord>"), scale.AppendBlob(nil, []byte{0}), []byte{0}))
	constants := vec(
		join(textOf("Version"), d.ref("RuntimeVersion"), scale.AppendBlob(nil, version), []byte{0}),
		join(textOf("SS58Prefix"), d.ref("u16"), scale.AppendBlob(nil, u16(42)), []byte{0}))
	b = append(b, vec(
		join(textOf("System"), []byte{1}, textOf("System"), items, some("SystemCall"), some("SystemEvent"), constants, []byte{0, 0}),
		join(textOf("SubtensorModule"), []byte{0}, some("SubtensorCall"), some("SubtensorEvent"), []byte{0}, some("SubtensorError"), []byte{palletSubtensor}),
		join(textOf("Drand"), []byte{0, 0}, some("DrandEvent"), []byte{0, 0, palletDrand}))...)
	extension := func(name, extra, implicit string) []byte { return join(textOf(name), d.ref(extra), d.ref(implicit)) }
	b = append(append(b, d.ref("Extrinsic")...), 4)
	b = append(b, vec(
		extension("CheckSpecVersion", "CheckSpecVersion", "u32"), extension("CheckTxVersion", "CheckTxVersion", "u32"),
		extension("CheckGenesis", "CheckGenesis", "H256"), extension("CheckMortality", "CheckMortality", "H256"),
		extension("CheckNonce", "CheckNonce", "()"), extension("ChargeTransactionPayment", "ChargeTransactionPayment", "()"))...)
	return append(b, d.ref("Runtime")...)
}
