package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// unhex decodes hex digits with spaces between them; H stands for 32 bytes of 0x11.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(s, "H", hash11), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var hash11 = strings.Repeat("11", 32)

func h11() verify.Hash { return verify.Hash(bytes.Repeat([]byte{0x11}, 32)) }

func TestNames(t *testing.T) {
	g, err := verify.ParseHash("2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03")
	if err != nil {
		t.Fatal(err)
	}
	const p = "/2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03"
	if n := Names(g); n != (Protocols{
		p + "/block-announces/1", p + "/transactions/1", p + "/grandpa/1",
		p + "/sync/2", p + "/light/2", p + "/sync/warp", p + "/state/2", p + "/kad",
	}) {
		t.Errorf("%+v", n)
	}
}

func TestFrameLen(t *testing.T) {
	for _, c := range []struct {
		in      string
		max     int
		n, size int
		err     error
	}{
		{"", 10, 0, 0, nil},
		{"00", 0, 0, 1, nil},
		{"7f", 127, 127, 1, nil},
		{"8001", 128, 128, 2, nil},
		{"ac02 ffff", 300, 300, 2, nil}, // the example of the protobuf encoding guide
		{"ac02", 299, 0, 0, ErrTooMany},
		{"80808008", 16 << 20, 16 << 20, 4, nil},
		{"81808008", 16 << 20, 0, 0, ErrTooMany},
		{"80", 1000, 0, 0, nil}, // more to come
		{"808080", 16 << 20, 0, 0, nil},
		{"80808080", 16 << 20, 0, 0, nil},
		{"ff", 126, 0, 0, ErrTooMany}, // too large whatever comes
		{"ffffffff07", 1<<31 - 1, 1<<31 - 1, 5, nil},
		{"ffffffff0f", 1<<31 - 1, 0, 0, ErrTooMany},
		{"ffffffff7f", 1<<31 - 1, 0, 0, ErrTooMany},
		{"8000", 10, 0, 0, ErrMalformed}, // 0 in two bytes
		{"8100", 10, 0, 0, ErrMalformed},
		{"8080808000", 10, 0, 0, ErrMalformed},
		{"8080808080", 10, 0, 0, ErrMalformed},
		{"808080808001", 10, 0, 0, ErrMalformed},
	} {
		n, size, err := FrameLen(unhex(t, c.in), c.max)
		if n != c.n || size != c.size || !errors.Is(err, c.err) {
			t.Errorf("FrameLen(%s, %d) = %d, %d, %v, want %d, %d, %v", c.in, c.max, n, size, err, c.n, c.size, c.err)
		}
		if size > 0 && !bytes.Equal(AppendFrameLen(nil, n), unhex(t, c.in)[:size]) {
			t.Errorf("AppendFrameLen(%d) = %x", n, AppendFrameLen(nil, n))
		}
	}
	if b := AppendFrame([]byte{9}, []byte("tao")); string(b) != "\x09\x03tao" {
		t.Errorf("AppendFrame: %q", b)
	}
}

// A codec is one message's decoder, with its result in a form that can be compared, and the encoder
// put behind it.
type codec struct {
	decode func([]byte) (any, error)
	encode func(any) []byte
}

var codecs = map[string]codec{
	"handshake": {
		func(b []byte) (any, error) { return DecodeHandshake(b) },
		func(v any) []byte { return v.(*Handshake).Append(nil) },
	},
	"role": {
		func(b []byte) (any, error) { return DecodeRole(b) },
		func(v any) []byte { return AppendRole(nil, v.(byte)) },
	},
	"announce": {
		func(b []byte) (any, error) { return DecodeAnnounce(b) },
		func(v any) []byte { return v.(*Announce).Append(nil) },
	},
	"transactions": {
		func(b []byte) (any, error) { return DecodeTransactions(b) },
		func(v any) []byte {
			xts := v.([][]byte)
			if len(xts) == 1 {
				return AppendTransaction(nil, xts[0])
			}
			return append(scale.AppendCompact(nil, uint64(len(xts))), bytes.Join(xts, nil)...)
		},
	},
	"block request": {
		func(b []byte) (any, error) { return DecodeBlockRequest(b) },
		func(v any) []byte { return v.(*BlockRequest).Append(nil) },
	},
	"block response": {
		func(b []byte) (any, error) { return DecodeBlockResponse(b, 3) },
		func(v any) []byte { return AppendBlockResponse(nil, v.([]Block)) },
	},
	"light request": {
		func(b []byte) (any, error) { return DecodeLightRequest(b) },
		func(v any) []byte {
			if q := v.(*LightRequest); q.Read != nil {
				return q.Read.Append(nil)
			} else {
				return q.Call.Append(nil)
			}
		},
	},
	"light response": {
		func(b []byte) (any, error) {
			proof, ok, err := DecodeLightResponse(b)
			if ok != (proof != nil) {
				panic("ok does not tell whether there is a proof")
			}
			return proof, err
		},
		func(v any) []byte { return AppendReadResponse(nil, v.([]byte)) },
	},
	"warp request": {
		func(b []byte) (any, error) { return DecodeWarpRequest(b) },
		func(v any) []byte { return AppendWarpRequest(nil, v.(verify.Hash)) },
	},
	"kad": {
		func(b []byte) (any, error) { return DecodeKad(b) },
		func(v any) []byte {
			m := v.(*KadMessage)
			if m.Key != nil && m.Closer == nil {
				return AppendFindNode(nil, m.Key)
			}
			return AppendKadResponse(nil, m.Closer)
		},
	},
	"grandpa": {
		func(b []byte) (any, error) { return DecodeGrandpaMessage(b) },
		func(v any) []byte {
			switch m := v.(GrandpaMessage); {
			case m.Neighbor != nil:
				return AppendNeighbor(nil, *m.Neighbor)
			case m.Commit != nil:
				return AppendCommit(nil, m.Commit)
			default:
				return []byte{m.Kind} // its content is not kept
			}
		},
	},
}

// The bytes are put together by hand from the protobuf encoding rules and the schemas; the neighbour
// packet is one that a client for these chains tests itself with.
var good = []struct {
	codec, in string
	want      any
}{
	{"handshake", "02 78563412 H " + strings.Repeat("22", 32), &Handshake{RoleLight, 0x12345678, h11(), verify.Hash(bytes.Repeat([]byte{0x22}, 32))}},
	{"role", "02", byte(RoleLight)},
	{"role", "04", byte(RoleAuthority)},
	{"announce", "H 04 H H 00 01 00", &Announce{&verify.Header{ParentHash: h11(), Number: 1, StateRoot: h11(), ExtrinsicsRoot: h11()}, true, []byte{}}},
	{"announce", "H 04 H H 00 00 08 aabb", &Announce{&verify.Header{ParentHash: h11(), Number: 1, StateRoot: h11(), ExtrinsicsRoot: h11()}, false, []byte{0xaa, 0xbb}}},
	{"transactions", "04 0c010203", [][]byte{{0x0c, 1, 2, 3}}},
	{"transactions", "08 0401 080203", [][]byte{{0x04, 1}, {0x08, 2, 3}}},
	{"transactions", "00", [][]byte{}},

	{"block request", "08 80808008  12 20 H  28 01  30 8001  38 01", &BlockRequest{FieldHeader, new(h11()), 0, true, 128, true}},
	{"block request", "08 8080809801  1a 04 ef 51 87 00", &BlockRequest{Fields: FieldHeader | FieldBody | FieldJustification, Number: 0x8751ef}},
	{"block response", "", []Block(nil)},
	{"block response", "0a 22 0a 20 H", []Block{{Hash: h11()}}},
	{"block response", "0a 3d  0a 20 H  12 03 aabbcc  1a 02 0401  1a 03 080203  42 0b 04 46524e4b 14 0102030405 0a 22 0a 20 H", []Block{
		{h11(), []byte{0xaa, 0xbb, 0xcc}, [][]byte{{4, 1}, {8, 2, 3}}, []EngineJustification{{verify.EngineGrandpa, []byte{1, 2, 3, 4, 5}}}},
		{Hash: h11()},
	}},
	{"light request", "12 26  12 20 H  1a 02 3a63", &LightRequest{Read: &ReadRequest{h11(), [][]byte{[]byte(":c")}}}},
	{"light request", "12 28  12 20 H  1a 02 3a63  1a 00", &LightRequest{Read: &ReadRequest{h11(), [][]byte{[]byte(":c"), {}}}}},
	{"light request", "0a 32  12 20 H  1a 0c 436f72655f76657273696f6e  22 00", &LightRequest{Call: &CallRequest{h11(), "Core_version", []byte{}}}},
	{"light response", "12 05 12 03 040400", []byte{4, 4, 0}},
	{"light response", "12 02 12 00", []byte{}},
	{"light response", "12 00", []byte(nil)},
	{"warp request", "H", h11()},
	{"kad", "08 04  12 03 616263", &KadMessage{Key: []byte("abc")}},
	{"kad", "08 04", &KadMessage{}},
	{"kad", "08 04  42 0b 0a 02 6964 12 03 616263 12 00  42 04 0a 02 7878", &KadMessage{Closer: []KadPeer{{[]byte("id"), [][]byte{[]byte("abc"), {}}}, {ID: []byte("xx")}}}},
	{"grandpa", "02 01 57 0e 000000000000 a2 0d 000000000000 31 e7 4d 00", GrandpaMessage{Kind: GrandpaNeighbor, Neighbor: &Neighbor{3671, 3490, 5105457}}},
	{"grandpa", "01 0700000000000000 0300000000000000 H 09000000 04 H 0a000000 04" + strings.Repeat("33", 64) + strings.Repeat("44", 32), GrandpaMessage{Kind: GrandpaCommit, Commit: &grandpa.CommitMessage{
		Round: 7, SetID: 3, Commit: grandpa.Commit{TargetHash: h11(), TargetNumber: 9, Precommits: []grandpa.Precommit{{
			TargetHash: h11(), TargetNumber: 10, Signature: [64]byte(bytes.Repeat([]byte{0x33}, 64)), ID: grandpa.AuthorityID(bytes.Repeat([]byte{0x44}, 32)),
		}}}}}},
}

// variants decode to what the encoder writes otherwise: fields that this package does not know or
// does not need, in other orders, or left out.
var variants = []struct {
	codec, in string
	want      any
}{
	{"announce", "H 04 H H 00", &Announce{Header: &verify.Header{ParentHash: h11(), Number: 1, StateRoot: h11(), ExtrinsicsRoot: h11()}}},
	{"announce", "H 04 H H 00 01", &Announce{Header: &verify.Header{ParentHash: h11(), Number: 1, StateRoot: h11(), ExtrinsicsRoot: h11()}, Best: true}},
	{"block request", "38 00 30 00 28 00 12 20 H 08 00", &BlockRequest{Hash: new(h11())}},
	{"block request", "22 03 010203 12 20 H fa01 00 f801 07 fd01 01020304 f901 0102030405060708 fb01 08 01 fc01", &BlockRequest{Hash: new(h11())}}, // field 4, and 31 in all wire types
	{"block response", "10 05 0a 34  22 00 2a 01 ff 32 02 0102 38 01 4a 01 07 42 00 12 00 0a 20 H", []Block{{Hash: h11()}}},
	{"block response", "0a 25 0a 20 H 42 01 00", []Block{{Hash: h11()}}},
	{"light request", "0a 30  12 20 H  1a 0c 436f72655f76657273696f6e", &LightRequest{Call: &CallRequest{h11(), "Core_version", nil}}},
	{"light response", "0a 05 12 03 040400", []byte{4, 4, 0}},
	{"light response", "0a 00", []byte(nil)},
	{"light response", "0a 02 18 01", []byte(nil)},
	{"kad", "08 04 50 0a 42 06 18 01 0a 02 6964", &KadMessage{Closer: []KadPeer{{ID: []byte("id")}}}},
	{"grandpa", "00 ff", GrandpaMessage{Kind: GrandpaVote}},
	{"grandpa", "03", GrandpaMessage{Kind: GrandpaCatchUpRequest}},
	{"grandpa", "04 00", GrandpaMessage{Kind: GrandpaCatchUp}},
}

func TestMessages(t *testing.T) {
	for _, c := range good {
		in := unhex(t, c.in)
		v, err := codecs[c.codec].decode(in)
		if err != nil || !reflect.DeepEqual(v, c.want) {
			t.Errorf("%s %s: %+v, %v", c.codec, c.in, v, err)
			continue
		}
		if got := codecs[c.codec].encode(c.want); !bytes.Equal(got, in) {
			t.Errorf("%s: %+v encodes to\n%x, want\n%x", c.codec, c.want, got, in)
		}
	}
	for _, c := range variants {
		v, err := codecs[c.codec].decode(unhex(t, c.in))
		if err != nil || !reflect.DeepEqual(v, c.want) {
			t.Errorf("%s %s: %+v, %v", c.codec, c.in, v, err)
		}
	}
	if b := AppendCallResponse(nil, []byte{4, 4, 0}); !bytes.Equal(b, unhex(t, "0a 05 12 03 040400")) {
		t.Errorf("AppendCallResponse: %x", b)
	}
	if b := AppendCallResponse(nil, nil); !bytes.Equal(b, unhex(t, "0a 00")) {
		t.Errorf("AppendCallResponse(nil): %x", b)
	}
}

// TestCut: a message cut off anywhere is refused, unless what is left is a message too.
func TestCut(t *testing.T) {
	for _, c := range good {
		in := unhex(t, c.in)
		for n := range in {
			v, err := codecs[c.codec].decode(in[:n])
			if err != nil {
				continue
			}
			again := codecs[c.codec].encode(v)
			if !bytes.HasPrefix(in, again) && !bytes.HasPrefix(again, in[:n]) {
				t.Errorf("%s: the first %d bytes of %x decode to %+v", c.codec, n, in, v)
			}
		}
	}
	// Those with fixed or complete forms have no shorter ones.
	for _, c := range good {
		switch c.codec {
		case "handshake", "warp request", "grandpa", "transactions":
			in := unhex(t, c.in)
			for n := range in {
				if v, err := codecs[c.codec].decode(in[:n]); err == nil {
					t.Errorf("%s: the first %d bytes of %x decode to %+v", c.codec, n, in, v)
				}
			}
			if v, err := codecs[c.codec].decode(append(in, 0)); err == nil {
				t.Errorf("%s: %x and a zero decode to %+v", c.codec, in, v)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	peer := "42 04 0a 02 6964"
	for _, c := range []struct {
		codec, in string
		want      error
	}{
		{"handshake", "00 78563412 H H", ErrUnknown},
		{"handshake", "03 78563412 H H", ErrUnknown},
		{"role", "", ErrMalformed},
		{"role", "0200", ErrMalformed},
		{"role", "07", ErrUnknown},
		{"announce", "", ErrMalformed},
		{"announce", "H 04 H H 00 02 00", ErrMalformed},
		{"announce", "H 04 H H 00 01 00 00", ErrMalformed},
		{"announce", "H 04 H H 00 01 04", ErrMalformed},
		{"announce", strings.Repeat("00", MaxAnnounce+1), ErrTooMany},
		{"transactions", "04 00", ErrMalformed}, // an empty extrinsic
		{"transactions", "04 0c0102", ErrMalformed},
		{"transactions", "02000400", ErrMalformed}, // promises 65,536
		{"transactions", "", ErrMalformed},

		{"block request", "", ErrMissing},
		{"block request", "08 80808008", ErrMissing},
		{"block request", "12 20 H 1a 04 01000000", ErrMalformed},
		{"block request", "12 20 H 12 20 H", ErrMalformed},
		{"block request", "12 1f " + strings.Repeat("11", 31), ErrMalformed},
		{"block request", "12 00", ErrMalformed},
		{"block request", "1a 05 0100000000", ErrTooMany},
		{"block request", "1a 03 010000", ErrMalformed},
		{"block request", "10 01", ErrMalformed},                 // hash as a varint
		{"block request", "0a 01 01 12 20 H", ErrMalformed},      // fields as bytes
		{"block request", "12 20 H 28 02", ErrMalformed},         // direction 2
		{"block request", "12 20 H 38 02", ErrMalformed},         // neither true nor false
		{"block request", "12 20 H 30 8080808010", ErrMalformed}, // 2^32
		{"block request", "12 20 H 30 ffffffffffffffffffff01", ErrMalformed},
		{"block request", "12 20 H 30", ErrMalformed},
		{"block request", "12 20 H 00 01", ErrMalformed},      // field 0
		{"block request", "12 20 H 0f", ErrMalformed},         // wire type 7
		{"block request", "12 20 H fb01 08 01", ErrMalformed}, // a group without an end
		{"block request", "12 20 H fb01" + strings.Repeat("0b", 100_000), ErrMalformed},
		{"block request", "12 20 H fa01 05 00", ErrMalformed},

		{"block response", "0a 00", ErrMissing},
		{"block response", "0a 22 0a 20 H 0a 22 0a 20 H 0a 22 0a 20 H 0a 22 0a 20 H", ErrTooMany}, // of 3
		{"block response", "0a 23 0a 20 H", ErrMalformed},
		{"block response", "08 01", ErrMalformed},
		{"block response", "0a 24 0a 20 H 1a 00", ErrMalformed}, // an empty extrinsic
		{"block response", "0a 24 0a 20 H 18 01", ErrMalformed},
		{"block response", "0a 26 0a 20 H 12 00 12 00", ErrMalformed},
		{"block response", "0a 25 0a 20 H 42 01 04", ErrMalformed},                // one justification, no bytes
		{"block response", "0a 2b 0a 20 H 42 07 04 46524e4b 00 00", ErrMalformed}, // one byte too many
		{"block response", "0a 26 0a 20 H 42 02 0501", ErrMalformed},
		{"block response", "0a 8301 0a 20 H 42 5f 44" + strings.Repeat("46524e4b00", 17) + strings.Repeat("00", 9), ErrMalformed}, // 17 of them

		{"light request", "", ErrMissing},
		{"light request", "22 02 0102", ErrUnknown}, // child trie
		{"light request", "32 00", ErrUnknown},      // RFC-9
		{"light request", "12 22 12 20 H", ErrMissing},
		{"light request", "12 04 1a 02 3a63", ErrMissing},
		{"light request", "12 26 12 20 H 1a 02 3a63 12 26 12 20 H 1a 02 3a63", ErrMalformed},
		{"light request", "12 26 12 20 H 1a 02 3a63 0a 26 12 20 H 1a 02 3a63", ErrMalformed},
		{"light request", "12 24 12 20 H 18 01", ErrMalformed},
		{"light request", "0a 22 12 20 H", ErrMissing},
		{"light request", "0a 26 12 20 H 1a 02 ff63", ErrMalformed}, // not UTF-8
		{"light request", "0a a702 12 20 H 1a 8102" + strings.Repeat("61", 257) + "00", ErrTooMany},
		{"light request", "08 01", ErrMalformed},

		{"light response", "", ErrMissing},
		{"light response", "12 00 0a 00", ErrMissing},
		{"light response", "12 00 12 00", ErrMalformed},
		{"light response", "12 04 12 00 12 00", ErrMalformed},
		{"light response", "12 02 10 01", ErrMalformed},
		{"light response", "12 05 12 04 040400", ErrMalformed},
		{"light response", "12 06 12 03 040400", ErrMalformed},

		{"kad", "", ErrUnknown},
		{"kad", peer, ErrUnknown},
		{"kad", "08 00", ErrUnknown},
		{"kad", "08 05", ErrUnknown},
		{"kad", "08 04 42 00", ErrMissing},
		{"kad", "08 04 42 02 0a 00", ErrMissing},
		{"kad", "08 04 42 8401 0a 8101" + strings.Repeat("11", 129), ErrTooMany},
		{"kad", "08 04 42 8a08 0a 02 6964 12 8108" + strings.Repeat("11", 1025) + "1801", ErrTooMany},
		{"kad", "08 04" + strings.Repeat(peer, MaxKadPeers+1), ErrTooMany},
		{"kad", "08 04 42 8610 0a 02 6964" + strings.Repeat("1200", MaxKadAddrs+1), ErrTooMany},
		{"kad", "08 04 fa01 808008" + strings.Repeat("00", MaxKad), ErrTooMany},

		{"grandpa", "", ErrMalformed},
		{"grandpa", "05", ErrUnknown},
		{"grandpa", "02 02 57 0e 000000000000 a2 0d 000000000000 31 e7 4d 00", ErrUnknown},
		{"grandpa", "02", ErrMalformed},
		{"grandpa", "01 0700000000000000 0300000000000000 H 09000000 04 H 0a000000 00", ErrMalformed}, // vectors of 1 and 0
	} {
		if v, err := codecs[c.codec].decode(unhex(t, c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s %.200s: %+v, %v, want %v", c.codec, c.in, v, err, c.want)
		}
	}
}

// TestMemory holds the promise of the package's doc for inputs made to need much.
func TestMemory(t *testing.T) {
	hash := append([]byte{0x0a, 0x20}, bytes.Repeat([]byte{0x11}, 32)...)
	repeat := func(n int, element ...byte) []byte { return bytes.Repeat(element, n) }
	for name, c := range map[string]struct {
		codec string
		in    []byte
	}{
		"extrinsics":    {"block response", appendBytes(nil, 1, append(hash, repeat(5<<20, 0x1a, 1, 0)...))},
		"unknown":       {"block response", repeat(8<<20, 0x10, 1)},
		"groups":        {"block response", repeat(16<<20, 0x13)},
		"justification": {"block response", appendBytes(nil, 1, append(hash, appendBytes(nil, 8, append(scale.AppendCompact(nil, 1<<22), make([]byte, 15<<20)...))...))},
		"keys":          {"light request", appendBytes(nil, 2, repeat(500_000, 0x1a, 0))},
		"addresses":     {"kad", append([]byte{8, 4}, bytes.Repeat(appendBytes(nil, 8, append([]byte{0x0a, 1, 1}, repeat(1024, 0x12, 0)...)), 63)...)},
		"transactions":  {"transactions", append(scale.AppendCompact(nil, 8<<20-10), repeat(8<<20-10, 4, 1)...)},
		"within limits": {"transactions", append(scale.AppendCompact(nil, MaxExtrinsics), repeat(MaxExtrinsics, 4, 1)...)},
		"commit":        {"grandpa", append(append([]byte{1}, make([]byte, 52)...), append(scale.AppendCompact(nil, 28_000), make([]byte, 1_000_000)...)...)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := codecs[c.codec].decode(c.in)
		runtime.ReadMemStats(&after)
		// Growing slices double, so that twice what is held passes through.
		if n := after.TotalAlloc - before.TotalAlloc; n > 12<<20 {
			t.Errorf("%s: %d bytes allocated for %d (%v)", name, n, len(c.in), err)
		}
	}
}

// readJSON reads a file of captures that the verify packages keep.
func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("../../verify/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// realMessages are messages made of real headers, proofs and votes.
func realMessages(t testing.TB) map[string][][]byte {
	var headers struct {
		Headers []struct {
			Scale string `json:"header_scale"`
			Hash  verify.Hash
		}
	}
	readJSON(t, "testdata/headers.json", &headers)
	var proof struct{ Proof []string }
	readJSON(t, "trie/testdata/finney-8867448-aura-readproof.json", &proof)
	var just struct{ Justification string }
	readJSON(t, "testdata/test-5534451-justification.json", &just)
	parse := func(s string) []byte {
		b, err := verify.ParseHex(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	m := make(map[string][][]byte)
	var blocks []Block
	j := parse(just.Justification)
	for i := range headers.Headers {
		raw := parse(headers.Headers[i].Scale)
		h, err := verify.DecodeHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) < 3 {
			m["announce"] = append(m["announce"], (&Announce{Header: h, Best: true}).Append(nil))
			blocks = append(blocks, Block{Hash: headers.Headers[i].Hash, Header: raw, Body: [][]byte{{4, 1}}})
		}
	}
	blocks[1].Justifications = []EngineJustification{{verify.EngineGrandpa, j}}
	m["block response"] = [][]byte{AppendBlockResponse(nil, blocks)}
	nodes := scale.AppendCompact(nil, uint64(len(proof.Proof)))
	for _, n := range proof.Proof {
		nodes = scale.AppendBlob(nodes, parse(n))
	}
	m["light response"] = [][]byte{AppendReadResponse(nil, nodes)}
	dj, err := grandpa.DecodeJustification(j)
	if err != nil {
		t.Fatal(err)
	}
	m["grandpa"] = [][]byte{AppendCommit(nil, &grandpa.CommitMessage{Round: dj.Round, SetID: 3, Commit: dj.Commit})}
	return m
}

func TestRealMessages(t *testing.T) {
	for name, list := range realMessages(t) {
		for _, b := range list {
			v, err := codecs[name].decode(b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := codecs[name].encode(v); !bytes.Equal(got, b) {
				t.Errorf("%s: encodes differently", name)
			}
		}
	}
}
