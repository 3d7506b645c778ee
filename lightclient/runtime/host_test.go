package runtime

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/trie"
)

// A number among the arguments of a host function; bytes are passed by pointer.
type num uint64

// ask calls one host function from a module that does nothing else, and returns what it answers: n
// bytes at the pointer it returns, or all if it returns a size as well, or the number itself.
func ask(t testing.TB, o *Overlay, name, sig string, n int, args ...any) ([]byte, error) {
	t.Helper()
	e, err := New(Config{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	params, result, _ := strings.Cut(sig, ":")
	var data, body []byte
	for i, a := range args {
		switch a := a.(type) {
		case num:
			if params[i] == 'i' {
				body = append(body, i32(int32(a))...)
			} else {
				body = append(body, i64(int64(a))...)
			}
		case []byte:
			if params[i] == 'i' {
				body = append(body, i32(int32(len(data)))...)
			} else {
				body = append(body, span(int64(len(data)), int64(len(a)))...)
			}
			data = append(data, a...)
		}
	}
	body = append(body, callf(0)...)
	switch {
	case result == "":
		body = append(body, i64(0)...)
	case result == "i" && n == 0: // the number: stored at the front
		p := append(i32(0), body...)
		body = join(p, []byte{0x36, 0x02, 0x00}, span(0, 4)) // i32.store
	case result == "i":
		body = join(body, []byte{0xad}, i64(int64(n)<<32), []byte{0x84}) // i64.extend_i32_u, i64.or
	case n == 8: // the number: stored at the front
		p := append(i32(0), body...)
		body = join(p, []byte{0x37, 0x03, 0x00}, span(0, 8)) // i64.store
	}
	p := program{
		imports: env(name + " " + sig), pages: uint32(len(data))/pageSize + 2, heapBase: int64(len(data)) + 8,
		functions: []function{method("test", body...)}, data: string(data), tail: withVersion(1),
	}
	r, err := e.Load(t.Context(), p.build(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.Call(t.Context(), "test", nil, o)
}

func answer(t testing.TB, name, sig string, n int, args ...any) []byte {
	t.Helper()
	b, err := ask(t, nil, name, sig, n, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// Published digests: FIPS 180-4, the Keccak team's, RFC 7693's function over nothing, xxHash's over
// nothing with seeds 0 to 3, and the prefix of pallet System's keys.
func TestHashing(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want string
	}{
		{"keccak_256", "", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
		{"keccak_512", "", "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e"},
		{"sha2_256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"blake2_256", "", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
		{"blake2_128", "", "cae66941d9efbd404e4d88758ea67670"},
		{"twox_64", "", "99e9d85137db46ef"},
		{"twox_128", "System", "26aa394eea5630e07c48ae0c9558cef7"},
		{"twox_256", "", "99e9d85137db46ef4bbea33613baafd56f963c64b1f3685a4eb4abd67ff6203a"},
	} {
		if b := answer(t, "ext_hashing_"+c.name+"_version_1", "I:i", len(c.want)/2, []byte(c.in)); hex.EncodeToString(b) != c.want {
			t.Errorf("%s(%q) = %x, want %s", c.name, c.in, b, c.want)
		}
	}
}

// ed25519: RFC 8032, 7.1, test 2. sr25519: a signature that @polkadot/util-crypto 14.0.3 made with the
// development mnemonic.
func TestSignatures(t *testing.T) {
	key := unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
	sig := unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
	verify := func(name string, sig, msg, key []byte) byte {
		return answer(t, "ext_crypto_"+name, "iIi:i", 0, sig, msg, key)[0]
	}
	if verify("ed25519_verify_version_1", sig, []byte{0x72}, key) != 1 || verify("ed25519_verify_version_1", sig, []byte{0x73}, key) != 0 {
		t.Error("ed25519")
	}
	key = unhex("46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a")
	sig = unhex("52fb07c7c2b4cfb4b485f7a986bfa7b713fbea71d8acc200861bde005513124cc76222c89a513165d6cf6d0c0ae76f17707d87032770d4e0479bae985e050c86")
	for _, f := range []string{"sr25519_verify_version_2", "sr25519_batch_verify_version_1"} {
		if verify(f, sig, []byte("taolight test message"), key) != 1 || verify(f, sig, []byte("another"), key) != 0 {
			t.Error(f)
		}
	}
	unmarked := bytes.Clone(sig)
	unmarked[63] &= 0x7f // as schnorrkel made them before 2019
	if verify("sr25519_verify_version_2", unmarked, []byte("taolight test message"), key) != 0 {
		t.Error("sr25519 without its mark")
	}
	if verify("ecdsa_verify_version_2", make([]byte, 65), nil, make([]byte, 33)) != 0 {
		t.Error("ecdsa takes zeros")
	}

	// Ethereum's own example of ecrecover, as its precompiled contract is tested (go-ethereum,
	// core/vm/testdata/precompiles/ecRecover.json): the address is the end of the key's hash.
	hash := unhex("18c547e4f7b0f325ad1e56f57e26c745b09a3e503d86e00e5255ff7f715d3d1c")
	rs := unhex("73b1693892219d736caba55bdb67216e485557ea6b6af75f37096c9aa6a5a75feeb940b1d03b21e36b0e47e79769f095fe2ab855bd91e3a38756b7d75a9c4549")
	for _, v := range []byte{1, 28} {
		b := answer(t, "ext_crypto_secp256k1_ecdsa_recover_version_2", "ii:I", 0, append(bytes.Clone(rs), v), hash)
		if len(b) != 65 || b[0] != 0 {
			t.Fatalf("v %d: %x", v, b)
		}
		id := answer(t, "ext_hashing_keccak_256_version_1", "I:i", 32, b[1:])
		if hex.EncodeToString(id[12:]) != "a94f5374fce5edbc8e2a8697c15331677e6ebf0b" {
			t.Errorf("v %d: address %x", v, id[12:])
		}
		small := answer(t, "ext_crypto_secp256k1_ecdsa_recover_compressed_version_2", "ii:I", 0, append(bytes.Clone(rs), v), hash)
		p, err := secp256k1.ParsePubKey(small[1:])
		if err != nil || !bytes.Equal(p.SerializeUncompressed()[1:], b[1:]) {
			t.Errorf("v %d: compressed: %x, %v", v, small, err)
		}
	}
	order := unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	for _, c := range []struct {
		sig  []byte
		want string
	}{
		{append(append(bytes.Clone(order), rs[32:]...), 0), "0100"}, // r is the order
		{append(append(bytes.Clone(rs[:32]), order...), 0), "0100"},
		{append(bytes.Clone(rs), 4), "0101"},
		{append(bytes.Clone(rs), 26), "0101"},
		{append(bytes.Clone(rs), 31), "0101"},
		{append(make([]byte, 64), 0), "0102"},
		{append(bytes.Clone(rs), 2), "0102"}, // r + order is above the prime
	} {
		if b := answer(t, "ext_crypto_secp256k1_ecdsa_recover_version_2", "ii:I", 0, c.sig, hash); hex.EncodeToString(b) != c.want {
			t.Errorf("%x: %x, want %s", c.sig, b, c.want)
		}
	}
}

func TestEcdsaVerify(t *testing.T) {
	k := secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	key := k.PubKey().SerializeCompressed()
	h := verify.Blake2b256([]byte("message"))
	c := ecdsa.SignCompact(k, h[:], true)
	sig := append(bytes.Clone(c[1:]), c[0]-27-4)
	if b := answer(t, "ext_crypto_ecdsa_verify_version_2", "iIi:i", 0, sig, []byte("message"), key); b[0] != 1 {
		t.Error("not valid")
	}
	if b := answer(t, "ext_crypto_ecdsa_verify_version_2", "iIi:i", 0, sig, []byte("massage"), key); b[0] != 0 {
		t.Error("valid of another message")
	}
	if b := answer(t, "ext_crypto_ecdsa_verify_prehashed_version_1", "iii:i", 0, sig, h[:], key); b[0] != 1 {
		t.Error("not valid of the hash")
	}
}

func TestStorageFunctions(t *testing.T) {
	kv := map[string][]byte{"a": []byte("one"), "ab": []byte("two"), "b": bytes.Repeat([]byte{9}, 100)}
	state := func() *Overlay { return NewOverlay(NewTrieState(trie.From(trie.V1, kv))) }
	get := func(o *Overlay, key string) string {
		v, ok, err := o.Get(nil, []byte(key))
		if err != nil || !ok {
			return "-"
		}
		return string(v)
	}
	do := func(o *Overlay, name, sig string, n int, args ...any) []byte {
		t.Helper()
		b, err := ask(t, o, "ext_storage_"+name, sig, n, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return b
	}
	o := state()
	for _, c := range []struct {
		name, sig string
		args      []any
		want      string
	}{
		{"get_version_1", "I:I", []any{[]byte("a")}, "01 0c 6f6e65"},
		{"get_version_1", "I:I", []any{[]byte("c")}, "00"},
		{"exists_version_1", "I:i", []any{[]byte("a")}, "01000000"},
		{"exists_version_1", "I:i", []any{[]byte("aa")}, "00000000"},
		{"next_key_version_1", "I:I", []any{[]byte("a")}, "01 08 6162"},
		{"next_key_version_1", "I:I", []any{[]byte("b")}, "00"},
		{"read_version_1", "IIi:I", []any{[]byte("b"), make([]byte, 10), num(95)}, "01 05000000"},
		{"read_version_1", "IIi:I", []any{[]byte("b"), make([]byte, 10), num(101)}, "01 00000000"},
		{"read_version_1", "IIi:I", []any{[]byte("b"), make([]byte, 10), num(math.MaxUint32)}, "01 00000000"},
		{"read_version_1", "IIi:I", []any{[]byte("c"), make([]byte, 10), num(0)}, "00"},
		{"changes_root_version_1", "I:I", []any{make([]byte, 32)}, "00"},
	} {
		if b := do(o, c.name, c.sig, 0, c.args...); !bytes.Equal(b, unhex(c.want)) {
			t.Errorf("%s%q: %x, want %s", c.name, c.args, b, c.want)
		}
	}
	root := trie.Root(trie.V1, kv)
	if b := do(o, "root_version_2", "i:I", 0, num(1)); !bytes.Equal(b, root[:]) {
		t.Errorf("root: %x, want %v", b, root)
	}
	if _, err := ask(t, o, "ext_storage_root_version_2", "i:I", 0, num(2)); !errors.Is(err, ErrHost) {
		t.Errorf("root of state version 2: %v", err)
	}
	do(o, "set_version_1", "II:", 0, []byte("a"), []byte("new"))
	do(o, "clear_version_1", "I:", 0, []byte("b"))
	do(o, "set_version_1", "II:", 0, []byte(":child_storage:x"), []byte("forged"))
	do(o, "clear_version_1", "I:", 0, []byte(":child_storage:x"))
	if get(o, "a") != "new" || get(o, "b") != "-" || get(o, ":child_storage:x") != "-" || len(o.Changes()) != 2 {
		t.Errorf("changes: %v", o.Changes())
	}
	after := trie.Root(trie.V1, map[string][]byte{"a": []byte("new"), "ab": []byte("two")})
	if b := do(o, "root_version_2", "i:I", 0, num(1)); !bytes.Equal(b, after[:]) {
		t.Errorf("root after changes: %x, want %v", b, after)
	}

	// clear_prefix takes away all that the overlay has, and as many of the state's as the limit says.
	for _, c := range []struct{ prefix, limit, want, left string }{
		{"a", "00", "00 02000000", "bx"},
		{"a", "01 01000000", "01 01000000", "abbx"},
		{"a", "01 00000000", "01 00000000", "aabbx"},
		{"", "00", "00 00000000", "aabacbx"}, // it would reach the roots of child tries
		{":child", "00", "00 00000000", "aabacbx"},
		{"x", "01 00000000", "00 00000000", "aabacb"},
	} {
		o := state()
		o.Set(nil, []byte("ac"), nil)
		o.Set(nil, []byte("x"), nil)
		b := do(o, "clear_prefix_version_2", "II:I", 0, []byte(c.prefix), unhex(c.limit))
		left := ""
		for k, ok, err := o.Next(nil, nil); ok && err == nil; k, ok, err = o.Next(nil, k) {
			left += string(k)
		}
		if !bytes.Equal(b, unhex(c.want)) || left != c.left {
			t.Errorf("clear %q limit %s: %x, left %q; want %s, %q", c.prefix, c.limit, b, left, c.want, c.left)
		}
	}
}

// What appending makes of what is there: a vector grows, and its length where that grows; what is
// none becomes the vector of one item.
func TestStorageAppend(t *testing.T) {
	vec := func(n int) []byte { return append(scale.AppendCompact(nil, uint64(n)), bytes.Repeat([]byte{5}, n)...) }
	for name, c := range map[string]struct {
		before []byte
		want   []byte
	}{
		"nothing":                 {nil, []byte{4, 6}},
		"an empty value":          {[]byte{}, []byte{4, 6}},
		"an empty vector":         {[]byte{0}, []byte{4, 6}},
		"a vector":                {vec(2), append(append([]byte{12}, 5, 5), 6)},
		"63 items":                {vec(63), append(append(scale.AppendCompact(nil, 64), bytes.Repeat([]byte{5}, 63)...), 6)},
		"16383 items":             {vec(16383), append(append(scale.AppendCompact(nil, 16384), bytes.Repeat([]byte{5}, 16383)...), 6)},
		"no vector":               {[]byte{3}, []byte{4, 6}},
		"not in shortest form":    {[]byte{0x01, 0x00}, []byte{4, 6}},
		"as many as there can be": {scale.AppendCompact(nil, math.MaxUint32), []byte{4, 6}},
		"more than there can be":  {scale.AppendCompact(nil, math.MaxUint32+1), []byte{4, 6}},
	} {
		kv := map[string][]byte{}
		if c.before != nil {
			kv["k"] = c.before
		}
		o := NewOverlay(NewTrieState(trie.From(trie.V0, kv)))
		if _, err := ask(t, o, "ext_storage_append_version_1", "II:", 0, []byte("k"), []byte{6}); err != nil {
			t.Fatal(err)
		}
		if v, _, _ := o.Get(nil, []byte("k")); !bytes.Equal(v, c.want) {
			t.Errorf("%s: %x, want %x", name, v[:min(len(v), 10)], c.want[:min(len(c.want), 10)])
		}
	}
}

func TestChildFunctions(t *testing.T) {
	o := NewOverlay(NewTrieState(trie.New(trie.V1)))
	id := []byte("id")
	do := func(name, sig string, args ...any) []byte {
		t.Helper()
		b, err := ask(t, o, "ext_default_child_storage_"+name, sig, 0, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return b
	}
	if b := do("get_version_1", "II:I", id, []byte("k")); !bytes.Equal(b, []byte{0}) {
		t.Errorf("of no child trie: %x", b)
	}
	do("set_version_1", "III:", id, []byte("k"), []byte("v"))
	do("set_version_1", "III:", id, []byte("l"), []byte("w"))
	want := trie.Root(trie.V1, map[string][]byte{"k": []byte("v"), "l": []byte("w")})
	if b := do("root_version_2", "Ii:I", id, num(1)); !bytes.Equal(b, want[:]) {
		t.Errorf("root %x, want %v", b, want)
	}
	all := trie.Root(trie.V1, map[string][]byte{ChildPrefix + "id": want[:]})
	if root, err := o.Root(trie.V1); err != nil || root != all {
		t.Errorf("root of all: %v, %v, want %v", root, err, all)
	}
	for _, c := range []struct {
		name, sig string
		args      []any
		want      string
	}{
		{"get_version_1", "II:I", []any{id, []byte("k")}, "01 04 76"},
		{"exists_version_1", "II:i", []any{id, []byte("k")}, "01000000"},
		{"next_key_version_1", "II:I", []any{id, []byte("k")}, "01 04 6c"},
		{"read_version_1", "IIIi:I", []any{id, []byte("k"), make([]byte, 1), num(0)}, "01 01000000"},
		{"clear_prefix_version_2", "III:I", []any{id, []byte("l"), []byte{0}}, "00 00000000"},
		{"exists_version_1", "II:i", []any{id, []byte("l")}, "00000000"},
	} {
		if b := do(c.name, c.sig, c.args...); !bytes.Equal(b, unhex(c.want)) {
			t.Errorf("%s: %x, want %s", c.name, b, c.want)
		}
	}
	// Kept, and killed a block later: what was in the state counts, and its root goes.
	s := NewTrieState(trie.New(trie.V1)).Apply(trie.V1, o.Changes())
	o = NewOverlay(s)
	if b := do("get_version_1", "II:I", id, []byte("k")); !bytes.Equal(b, unhex("01 04 76")) {
		t.Errorf("kept: %x", b)
	}
	if b := do("storage_kill_version_3", "II:I", id, []byte{0}); !bytes.Equal(b, unhex("00 01000000")) {
		t.Errorf("killed: %x", b)
	}
	if root, err := o.Root(trie.V1); err != nil || root != trie.EmptyRoot {
		t.Errorf("root of nothing: %v, %v", root, err)
	}
	if s = s.Apply(trie.V1, o.Changes()); s.Trie().Len() != 0 {
		t.Errorf("%d keys are left", s.Trie().Len())
	}
}

func TestPlainFunctions(t *testing.T) {
	list := scale.AppendCompact(nil, 2)
	list = scale.AppendBlob(scale.AppendBlob(list, []byte("x")), bytes.Repeat([]byte{1}, 40))
	kv := map[string][]byte{"\x00": []byte("x"), "\x04": bytes.Repeat([]byte{1}, 40)}
	for v, want := range []verify.Hash{trie.OrderedRoot([][]byte{[]byte("x"), bytes.Repeat([]byte{1}, 40)}), trie.Root(trie.V1, kv)} {
		if b := answer(t, "ext_trie_blake2_256_ordered_root_version_2", "Ii:i", 32, list, num(v)); !bytes.Equal(b, want[:]) {
			t.Errorf("ordered root of version %d: %x, want %v", v, b, want)
		}
	}
	pairs := scale.AppendBlob(scale.AppendBlob(scale.AppendCompact(nil, 1), []byte("k")), []byte("v"))
	want := trie.Root(trie.V0, map[string][]byte{"k": []byte("v")})
	if b := answer(t, "ext_trie_blake2_256_root_version_1", "I:i", 32, pairs); !bytes.Equal(b, want[:]) {
		t.Errorf("root: %x, want %v", b, want)
	}
	if _, err := ask(t, nil, "ext_trie_blake2_256_root_version_1", "I:i", 32, []byte{8, 4}); !errors.Is(err, ErrHost) {
		t.Errorf("root of a list cut short: %v", err)
	}
	if b := answer(t, "ext_storage_proof_size_storage_proof_size_version_1", ":I", 8); !bytes.Equal(b, bytes.Repeat([]byte{0xff}, 8)) {
		t.Errorf("proof size: %x", b)
	}
	// The version of code: what its sections say, or nothing.
	code := program{pages: 1, functions: []function{method("m", i64(0)...)}, tail: withVersion(77)}.build()
	b := answer(t, "ext_misc_runtime_version_version_1", "I:I", 0, code)
	r := scale.NewReader(b)
	if r.Byte() != 1 {
		t.Fatalf("runtime version: %x", b)
	}
	if v, err := readVersion(r.Blob(-1)); err != nil || v.Spec != 77 {
		t.Errorf("runtime version: %+v, %v", v, err)
	}
	if b := answer(t, "ext_misc_runtime_version_version_1", "I:I", 0, []byte("no code")); !bytes.Equal(b, []byte{0}) {
		t.Errorf("runtime version of no code: %x", b)
	}
}
