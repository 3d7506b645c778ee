package metadata

import (
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

// A builder writes the metadata of a runtime that has one type of every kind. It writes SCALE by hand,
// from frame_metadata's definitions, and shares nothing with the parser.
type builder struct {
	types [][]byte // as they stand in the registry, without the number
	names map[string]ID
}

func text(s string) []byte { return scale.AppendBlob(nil, []byte(s)) }

func compact(n int) []byte { return scale.AppendCompact(nil, uint64(n)) }

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// list is a Vec of encoded elements.
func list(parts ...[]byte) []byte { return append(compact(len(parts)), cat(parts...)...) }

// add writes a type under a path of parts that :: divides, with generic parameters NAME=TYPE, and
// makes it known by the last part of the path, or by name if that is given.
func (b *builder) add(name, path string, def []byte, params ...string) ID {
	var segments, ps [][]byte
	if path != "" {
		for _, s := range strings.Split(path, "::") {
			segments = append(segments, text(s))
		}
	}
	for _, p := range params {
		k, v, some := strings.Cut(p, "=")
		ps = append(ps, text(k))
		if some {
			ps = append(ps, []byte{1}, compact(int(b.id(v))))
		} else {
			ps = append(ps, []byte{0})
		}
	}
	id := ID(len(b.types))
	b.types = append(b.types, cat(list(segments...), compact(len(params)), cat(ps...), def, []byte{0}))
	if b.names == nil {
		b.names = map[string]ID{}
	}
	b.names[name] = id
	return id
}

func (b *builder) id(name string) ID {
	id, ok := b.names[name]
	if !ok {
		panic("no type " + name)
	}
	return id
}

func (b *builder) ref(name string) []byte { return compact(int(b.id(name))) }

// fields are NAME:TYPE, or TYPE for one without a name. After a / may stand the type's name in source.
func (b *builder) fields(fields ...string) []byte {
	var out [][]byte
	for _, f := range fields {
		f, source, some := strings.Cut(f, "/")
		name, typ, named := strings.Cut(f, ":")
		if !named {
			name, typ = "", f
		}
		e := []byte{0}
		if named {
			e = append([]byte{1}, text(name)...)
		}
		e = append(e, b.ref(typ)...)
		if some {
			e = append(append(e, 1), text(source)...)
		} else {
			e = append(e, 0)
		}
		out = append(out, append(e, 0))
	}
	return list(out...)
}

func (b *builder) composite(name, path string, fields ...string) ID {
	return b.add(name, path, append([]byte{0}, b.fields(fields...)...))
}

// A variant's docs follow its name after a #.
func (b *builder) variant(name string, index byte, fields ...string) []byte {
	name, docs, some := strings.Cut(name, "#")
	d := []byte{0}
	if some {
		d = list(text(docs), text(" Second line."))
	}
	return cat(text(name), b.fields(fields...), []byte{index}, d)
}

func (b *builder) enum(name, path string, variants ...[]byte) ID {
	return b.add(name, path, append([]byte{1}, list(variants...)...))
}

func (b *builder) sequence(name, elem string) ID {
	return b.add(name, "", append([]byte{2}, b.ref(elem)...))
}

func (b *builder) array(name string, n uint32, elem string) ID {
	return b.add(name, "", cat([]byte{3}, scale.AppendU32(nil, n), b.ref(elem)))
}

func (b *builder) tuple(name string, elems ...string) ID {
	refs := make([][]byte, len(elems))
	for i, e := range elems {
		refs[i] = b.ref(e)
	}
	return b.add(name, "", append([]byte{4}, list(refs...)...))
}

func (b *builder) compact(name, of string) ID {
	return b.add(name, "", append([]byte{6}, b.ref(of)...))
}

func (b *builder) bits(name, store, order string) ID {
	return b.add(name, "", cat([]byte{7}, b.ref(store), b.ref(order)))
}

// sample is a small runtime. Its calls nest: Utility.batch holds calls.
func sample() *builder {
	b := new(builder)
	for i, p := range primNames {
		b.add(p, "", []byte{5, byte(i)})
	}
	b.tuple("()")
	b.array("[u8; 32]", 32, "u8")
	b.array("[u8; 64]", 64, "u8")
	b.array("[u8; 4]", 4, "u8")
	b.array("[u16; 2]", 2, "u16")
	b.composite("AccountId32", "sp_core::crypto::AccountId32", "[u8; 32]/[u8; 32]")
	b.composite("H256", "primitive_types::H256", "[u8; 32]/[u8; 32]")
	b.array("[u64; 4]", 4, "u64")
	b.composite("U256", "primitive_types::U256", "[u64; 4]/[u64; 4]")
	b.composite("TaoBalance", "subtensor_runtime_common::TaoBalance", "u64/u64")
	b.composite("Perbill", "sp_arithmetic::per_things::Perbill", "u32/u32")
	b.composite("Nothing", "demo::Nothing")
	b.sequence("Vec<u8>", "u8")
	b.sequence("Vec<u16>", "u16")
	b.sequence("Vec<()>", "()")
	b.sequence("Vec<bool>", "bool")
	b.sequence("Vec<AccountId32>", "AccountId32")
	b.tuple("(u16,u16)", "u16", "u16")
	b.sequence("Vec<(u16,u16)>", "(u16,u16)")
	b.composite("BoundedVec", "bounded_collections::bounded_vec::BoundedVec", "Vec<u8>/Vec<T>")
	for _, of := range []string{"()", "u8", "u16", "u32", "u64", "u128", "u256", "Perbill", "TaoBalance", "bool"} {
		b.compact("Compact<"+of+">", of)
	}
	b.sequence("Vec<Compact<()>>", "Compact<()>")
	b.sequence("Vec<Compact<u32>>", "Compact<u32>")
	b.composite("Lsb0", "bitvec::order::Lsb0")
	b.composite("Msb0", "bitvec::order::Msb0")
	b.bits("BitVec<u8,Lsb0>", "u8", "Lsb0")
	b.bits("BitVec<u16,Msb0>", "u16", "Msb0")
	b.bits("BitVec<bool,Lsb0>", "bool", "Lsb0")
	b.bits("BitVec<u128,Lsb0>", "u128", "Lsb0")
	option := func(name, of string) {
		def := append([]byte{1}, list(b.variant("None", 0), b.variant("Some", 1, of))...)
		b.add(name, "Option", def, "T="+of)
	}
	option("Option<u32>", "u32")
	option("Option<bool>", "bool")
	option("Option<Option<bool>>", "Option<bool>")
	option("Option<()>", "()")
	b.enum("Kind", "demo::Kind", b.variant("Off", 0), b.variant("One", 1, "u16"), b.variant("Two", 3, "u16", "bool"),
		b.variant("Named", 7, "a:u16/u16", "b:Vec<u8>/Vec<u8>"), b.variant("Last", 255))
	b.composite("Record", "demo::Record", "netuid:u16", "hotkey:AccountId32", "stake:TaoBalance", "kind:Kind", "memo:Option<u32>")
	b.sequence("Vec<Kind>", "Kind")
	b.sequence("Vec<Record>", "Record")
	b.enum("MultiAddress", "sp_runtime::multiaddress::MultiAddress", b.variant("Id", 0, "AccountId32/AccountId"),
		b.variant("Index", 1, "Compact<()>/AccountIndex"), b.variant("Raw", 2, "Vec<u8>/Vec<u8>"), b.variant("Address32", 3, "[u8; 32]/[u8; 32]"))
	b.enum("MultiSignature", "sp_runtime::MultiSignature", b.variant("Ed25519", 0, "[u8; 64]"), b.variant("Sr25519", 1, "[u8; 64]"))
	b.enum("Void", "demo::Void")

	// Types that hold themselves: their numbers are known before they are written.
	b.names["Loop"] = ID(len(b.types))
	b.composite("Loop", "demo::Loop", "Loop")
	b.names["Chain"] = ID(len(b.types))
	b.enum("Chain", "demo::Chain", b.variant("End", 0), b.variant("Link", 1, "next:Chain/Box<Chain>"))
	b.composite("Wide", "demo::Wide", "a:Nothing", "b:Nothing", "c:Nothing", "d:Nothing")
	for i := range 12 { // 4^13 values of no bytes in all
		name := "Wide" + string(rune('a'+i))
		b.composite(name, "demo::"+name, "a:Wide", "b:Wide", "c:Wide", "d:Wide")
		b.names["Wide"] = b.names[name]
	}
	b.array("[(); 4294967295]", 1<<32-1, "()")
	b.array("[u64; 4294967295]", 1<<32-1, "u64")

	b.composite("Version", "sp_version::RuntimeVersion", "spec_name:str", "impl_name:str", "authoring_version:u32",
		"spec_version:u32", "impl_version:u32", "apis:Vec<()>", "transaction_version:u32", "system_version:u8")
	b.composite("ModuleError", "sp_runtime::ModuleError", "index:u8", "error:[u8; 4]")
	b.enum("DispatchError", "sp_runtime::DispatchError", b.variant("Other", 0), b.variant("Module", 3, "ModuleError"))
	b.composite("AccountInfo", "frame_system::AccountInfo", "nonce:u32", "consumers:u32", "free:TaoBalance", "flags:u128")

	b.enum("SystemError", "frame_system::pallet::Error", b.variant("InvalidSpecName# The name is another.", 0), b.variant("Refused", 4))
	b.enum("SystemEvent", "frame_system::pallet::Event", b.variant("Done", 0), b.variant("Failed", 1, "dispatch_error:DispatchError"))
	b.enum("SystemCall", "frame_system::pallet::Call", b.variant("remark#Says something.", 0, "remark:Vec<u8>/Vec<u8>"),
		b.variant("all_sorts", 200, "a:BitVec<u8,Lsb0>", "b:BitVec<u16,Msb0>", "c:Kind", "d:Vec<(u16,u16)>", "e:Option<Option<bool>>", "f:Compact<u256>",
			"g:Compact<()>", "h:Void", "i:Nothing", "j:U256", "k:char", "l:str", "m:i256", "n:Chain", "o:Compact<u8>", "p:Compact<u16>", "q:Compact<u128>"),
		b.variant("set_weights", 119, "netuid:u16/NetUid", "dests:Vec<u16>/Vec<u16>", "version_key:u64/u64"),
		b.variant("transfer", 3, "dest:MultiAddress/AccountIdLookupOf<T>", "value:Compact<TaoBalance>/T::Balance"))
	b.names["Call"] = ID(len(b.types)) + 2
	b.sequence("Vec<Call>", "Call")
	b.enum("UtilityCall", "pallet_utility::pallet::Call", b.variant("batch", 0, "calls:Vec<Call>/Vec<T::RuntimeCall>"))
	b.enum("Call", "demo_runtime::RuntimeCall", b.variant("System", 0, "SystemCall"), b.variant("Utility", 11, "UtilityCall"))
	b.enum("Event", "demo_runtime::RuntimeEvent", b.variant("System", 0, "SystemEvent"))
	b.enum("Error", "demo_runtime::RuntimeError", b.variant("System", 0, "SystemError"))
	b.sequence("Vec<Event>", "Event")
	b.tuple("Key2", "u16", "AccountId32")
	b.tuple("Key4", "u16", "[u16; 2]", "u64", "u8")
	b.composite("CheckNonZero", "frame_system::CheckNonZeroSender")
	b.composite("CheckNonce", "frame_system::CheckNonce", "Compact<u32>/T::Nonce")
	b.composite("CheckTip", "demo::ChargeTip", "tip:Compact<u64>/Balance", "sponsor:Option<u32>/Option<u32>")
	b.add("Extrinsic", "sp_runtime::UncheckedExtrinsic", []byte{0, 4, 0, byte(b.id("Vec<u8>") << 2), 0, 0},
		"Address=MultiAddress", "Call=Call", "Signature=MultiSignature", "Extra=()")
	return b
}

// metadata writes the runtime's metadata of a version.
func (b *builder) metadata(version byte) []byte {
	types := make([][]byte, len(b.types))
	for i, t := range b.types {
		types[i] = append(compact(i), t...)
	}
	v16 := func(p []byte) []byte {
		if version < 16 {
			return nil
		}
		return p
	}
	deprecated := v16(append(cat([]byte{2}, text("use another")), 1, 4, '1'))
	docs := list(text(" What it is."), text(""), text(" \x1b[2Jmore\nstill more"))
	enum := func(name string) []byte {
		return cat([]byte{1}, b.ref(name), v16(list([]byte{0, 1}, cat([]byte{3, 2}, text("gone"), []byte{0}))))
	}
	plain := func(name string, modifier byte, value string, absent ...byte) []byte {
		return cat(text(name), []byte{modifier, 0}, b.ref(value), scale.AppendBlob(nil, absent), docs, deprecated)
	}
	mapped := func(name string, modifier byte, hashers []Hasher, key, value string, absent ...byte) []byte {
		hs := compact(len(hashers))
		for _, h := range hashers {
			hs = append(hs, byte(h))
		}
		return cat(text(name), []byte{modifier, 1}, hs, b.ref(key), b.ref(value), scale.AppendBlob(nil, absent), docs, deprecated)
	}
	runtimeVersion := cat(text("demo"), text("demo"), scale.AppendU32(nil, 1), scale.AppendU32(nil, 7), scale.AppendU32(nil, 1),
		[]byte{0}, scale.AppendU32(nil, 3), []byte{1})
	constant := func(name, typ string, value []byte) []byte {
		return cat(text(name), b.ref(typ), scale.AppendBlob(nil, value), docs, v16([]byte{0}))
	}
	tail := func() []byte {
		if version < 15 {
			return nil
		}
		return append(list(text("A pallet.")), v16([]byte{1})...)
	}
	system := cat(text("System"), []byte{1}, text("System"), list(
		plain("Number", 1, "u32", 0, 0, 0, 0),
		plain("Key", 0, "AccountId32", 0),
		mapped("Account", 1, []Hasher{Blake2_128Concat}, "AccountId32", "AccountInfo", make([]byte, 32)...),
		mapped("BlockHash", 1, []Hasher{Twox64Concat}, "u32", "H256", make([]byte, 32)...),
		mapped("Uids", 0, []Hasher{Identity, Blake2_128Concat}, "Key2", "u16", 0),
		mapped("Pair", 0, []Hasher{Identity}, "Key2", "u16", 0),
		mapped("Hashed", 0, []Hasher{Twox64Concat, Blake2_256, Twox256, Twox128}, "Key4", "u16", 0),
		plain("Events", 1, "Vec<Event>", 0),
	), enum("SystemCall"), enum("SystemEvent"), list(
		constant("Version", "Version", runtimeVersion),
		constant("SS58Prefix", "u16", []byte{42, 0}),
	), enum("SystemError"), v16(cat(list(cat(text("Nonce"), b.ref("u32"), docs)),
		list(cat(make([]byte, 32), text("free_of"), list(cat(text("who"), b.ref("AccountId32"))), b.ref("u64"), docs, []byte{0})))),
		[]byte{0}, tail())
	utility := cat(text("Utility"), []byte{0}, enum("UtilityCall"), []byte{0, 0, 0}, v16([]byte{0, 0}), []byte{11}, tail())
	extension := func(name, typ, implicit string) []byte { return cat(text(name), b.ref(typ), b.ref(implicit)) }
	extensions := list(extension("CheckNonZeroSender", "CheckNonZero", "()"), extension("CheckGenesis", "CheckNonZero", "H256"),
		extension("CheckNonce", "CheckNonce", "()"), extension("ChargeTip", "CheckTip", "()"))
	out := cat([]byte(magic), []byte{version}, list(types...), list(system, utility))
	parts := cat(b.ref("MultiAddress"), b.ref("Call"), b.ref("MultiSignature"))
	switch version {
	case 14:
		return cat(out, b.ref("Extrinsic"), []byte{4}, extensions, b.ref("()"))
	case 15:
		out = cat(out, []byte{4}, parts, b.ref("()"), extensions, b.ref("()"))
	default:
		// The extensions stand in another order than they are used in.
		turned := list(extension("ChargeTip", "CheckTip", "()"), extension("CheckNonce", "CheckNonce", "()"),
			extension("CheckGenesis", "CheckNonZero", "H256"), extension("CheckNonZeroSender", "CheckNonZero", "()"))
		out = cat(out, []byte{8, 4, 5}, parts, list(
			cat([]byte{0}, list(compact(3), compact(2), compact(1), compact(0))), cat([]byte{9}, list(compact(1)))), turned)
	}
	method := func(name, in string, output string) []byte {
		inputs := [][]byte{}
		for _, f := range strings.Fields(in) {
			n, ty, _ := strings.Cut(f, ":")
			inputs = append(inputs, cat(text(n), b.ref(ty)))
		}
		return cat(text(name), list(inputs...), b.ref(output), docs, v16([]byte{0}))
	}
	api := cat(text("DemoApi"), list(method("version", "", "Version"), method("record_of", "netuid:u16 who:AccountId32", "Record")),
		docs, v16([]byte{12, 0}))
	return cat(out, list(api), b.ref("Call"), b.ref("Event"), b.ref("Error"), list(cat(text("answer"), b.ref("u8"), []byte{4, 42})))
}

// demo parses the sample.
func demo(t testing.TB, version byte) *Metadata {
	t.Helper()
	m, err := Parse(sample().metadata(version))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
