package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

// recordedHeaders returns real headers, each as SCALE, with its hash.
func recordedHeaders(t testing.TB) map[Hash][]byte {
	t.Helper()
	var v struct {
		Headers []struct {
			Hash        Hash
			HeaderScale string `json:"header_scale"`
		}
	}
	var r struct {
		BlockHash   Hash   `json:"block_hash"`
		HeaderScale string `json:"header_scale"`
	}
	for name, into := range map[string]any{"headers.json": &v, "finney-8867448.json": &r} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	out := make(map[Hash][]byte)
	add := func(hash Hash, text string) {
		b, err := ParseHex(text)
		if err != nil {
			t.Fatal(err)
		}
		out[hash] = b
	}
	for _, h := range v.Headers {
		add(h.Hash, h.HeaderScale)
	}
	add(r.BlockHash, r.HeaderScale)
	return out
}

func TestRecordedHeaders(t *testing.T) {
	headers := recordedHeaders(t)
	if len(headers) != 30 {
		t.Fatalf("%d headers", len(headers))
	}
	for hash, b := range headers {
		h, err := DecodeHeader(b)
		if err != nil {
			t.Fatalf("%v: %v", hash, err)
		}
		if h.Hash() != hash || !bytes.Equal(h.Encode(), b) {
			t.Errorf("block %d: hash %v, want %v", h.Number, h.Hash(), hash)
		}
		if err := h.CheckEngines(); err != nil {
			t.Error(err)
		}
		seal := h.Seal()
		if seal == nil || seal.Engine != EngineAura || len(seal.Data) != 64 {
			t.Errorf("block %d: seal %v", h.Number, seal)
		}
		if h.RuntimeUpdated() {
			t.Errorf("block %d: says that the runtime changed", h.Number)
		}
		// What was signed is the header with one digest item fewer, and nothing else changed.
		unsealed := *h
		unsealed.Digest = h.Digest[:len(h.Digest)-1]
		if h.PreSealHash() != unsealed.Hash() || unsealed.PreSealHash() != unsealed.Hash() {
			t.Errorf("block %d: pre-seal hash", h.Number)
		}
	}
}

// encoded builds a header's encoding by hand: a zero parent and roots, number as it is given (so
// that wrong compact forms can be given), and a digest of n items.
func encoded(number string, n int, items ...string) []byte {
	b := make([]byte, 32)
	b = append(b, unhex(number)...)
	b = append(b, make([]byte, 64)...)
	b = scale.AppendCompact(b, uint64(n))
	for _, it := range items {
		b = append(b, unhex(it)...)
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

func TestDecodeHeader(t *testing.T) {
	const (
		slot    = "06 61757261 20 0100000000000000"
		seal    = "05 61757261 04 ff"
		fron    = "04 66726f6e 00"
		updated = "08"
		other   = "00 0c 616263"
	)
	for _, c := range []struct {
		name   string
		b      []byte
		number uint32
		want   error
	}{
		{"genesis form", encoded("00", 0), 0, nil},
		{"one-byte number", encoded("fc", 0), 63, nil},
		{"two-byte number", encoded("0101", 0), 64, nil},
		{"four-byte number", encoded("feffffff", 0), 1<<30 - 1, nil},
		{"number 2^30", encoded("03 00000040", 0), 1 << 30, nil},
		{"largest number", encoded("03 ffffffff", 0), math.MaxUint32, nil},
		{"number 2^32", encoded("07 0000000001", 0), 0, scale.ErrRange},
		{"number 2^30-1 in the form of 2^30", encoded("03 ffffff3f", 0), 0, scale.ErrNonCanonical},
		{"number 63 in two bytes", encoded("fd00", 0), 0, scale.ErrNonCanonical},
		{"number 1 in four bytes", encoded("06000000", 0), 0, scale.ErrNonCanonical},
		{"usual block", encoded("04", 3, slot, fron, seal), 1, nil},
		{"block of a runtime upgrade", encoded("04", 4, slot, updated, fron, seal), 1, nil},
		{"other item", encoded("04", 2, other, slot), 1, nil},
		{"no seal", encoded("04", 2, slot, fron), 1, nil},
		{"seal alone", encoded("04", 1, seal), 1, nil},
		{"seal not last", encoded("04", 3, slot, seal, fron), 0, ErrDigest},
		{"two seals", encoded("04", 3, slot, seal, seal), 0, ErrDigest},
		// Two pre-runtime items have the form of a header; package aura refuses them.
		{"two slots", encoded("04", 2, slot, slot), 1, nil},
		{"tag 1", encoded("04", 1, "01 61757261 00"), 0, ErrDigest},
		{"tag 2", encoded("04", 1, "02 61757261 00"), 0, ErrDigest},
		{"tag 3", encoded("04", 1, "03 61757261 00"), 0, ErrDigest},
		{"tag 7", encoded("04", 1, "07 00"), 0, ErrDigest},
		{"tag 9", encoded("04", 1, "09 00"), 0, ErrDigest},
		{"tag 255", encoded("04", 1, "ff 00"), 0, ErrDigest},
		{"trailing byte", append(encoded("04", 1, slot), 0), 0, scale.ErrTrailing},
		{"nothing", nil, 0, scale.ErrShort},
		{"item missing", encoded("04", 2, slot), 0, scale.ErrShort},
		{"item cut", encoded("04", 1, slot[:len(slot)-2]), 0, scale.ErrShort},
		{"data longer than the input", encoded("04", 1, "00 fc"), 0, scale.ErrShort},
		{"data of 2^30 bytes", encoded("04", 1, "00 0300000040"), 0, scale.ErrRange},
		{"64 items", encoded("04", 64, strings.Repeat(updated, 64)), 1, nil},
		{"65 items", encoded("04", 65, strings.Repeat(updated, 65)), 0, scale.ErrRange},
		{"more items than bytes", encoded("04", 60, updated), 0, scale.ErrShort},
	} {
		h, err := DecodeHeader(c.b)
		if !errors.Is(err, c.want) || (err == nil) != (h != nil) {
			t.Errorf("%s: %v; want %v", c.name, err, c.want)
			continue
		}
		if err == nil && (h.Number != c.number || !bytes.Equal(h.Encode(), c.b)) {
			t.Errorf("%s: number %d, encodes to %x", c.name, h.Number, h.Encode())
		}
	}
	// Every cut of a real header is refused.
	for hash, b := range recordedHeaders(t) {
		for n := range b {
			if _, err := DecodeHeader(b[:n]); err == nil {
				t.Fatalf("%v: decodes from its first %d bytes", hash, n)
			}
		}
	}
}

func TestHeaderSize(t *testing.T) {
	sized := func(n int) *Header {
		return &Header{Digest: []DigestItem{{Type: DigestConsensus, Engine: EngineGrandpa, Data: make([]byte, n)}}}
	}
	overhead := len(sized(MaxHeaderSize-1).Encode()) - (MaxHeaderSize - 1)
	for _, c := range []struct {
		data int
		want error
	}{
		{16 << 10, nil}, // a change to a set of 400 authorities
		{MaxHeaderSize - overhead, nil},
		{MaxHeaderSize - overhead + 1, scale.ErrRange},
		{MaxHeaderSize + 1, scale.ErrRange},
	} {
		if _, err := DecodeHeader(sized(c.data).Encode()); !errors.Is(err, c.want) {
			t.Errorf("digest of %d bytes: %v; want %v", c.data, err, c.want)
		}
	}
}

func TestCheckEngines(t *testing.T) {
	for _, c := range []struct {
		name string
		item DigestItem
		ok   bool
	}{
		{"slot", DigestItem{Type: DigestPreRuntime, Engine: EngineAura}, true},
		{"seal", DigestItem{Type: DigestSeal, Engine: EngineAura}, true},
		{"Aura list", DigestItem{Type: DigestConsensus, Engine: EngineAura}, true},
		{"GRANDPA list", DigestItem{Type: DigestConsensus, Engine: EngineGrandpa}, true},
		{"Frontier", DigestItem{Type: DigestConsensus, Engine: EngineFrontier}, true},
		{"other", DigestItem{Type: DigestOther, Data: []byte("BABE")}, true},
		{"upgrade", DigestItem{Type: DigestRuntimeEnvironmentUpdated}, true},
		{"BABE slot", DigestItem{Type: DigestPreRuntime, Engine: EngineID{'B', 'A', 'B', 'E'}}, false},
		{"BABE seal", DigestItem{Type: DigestSeal, Engine: EngineID{'B', 'A', 'B', 'E'}}, false},
		{"BABE log", DigestItem{Type: DigestConsensus, Engine: EngineID{'B', 'A', 'B', 'E'}}, false},
		{"Frontier seal", DigestItem{Type: DigestSeal, Engine: EngineFrontier}, false},
		{"Frontier in capitals", DigestItem{Type: DigestConsensus, Engine: EngineID{'F', 'R', 'O', 'N'}}, false},
	} {
		err := (&Header{Digest: []DigestItem{{Type: DigestOther}, c.item}}).CheckEngines()
		if c.ok != (err == nil) || err != nil && (!errors.Is(err, ErrUnknownEngine) || !strings.Contains(err.Error(), "item 1")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	updated := &Header{Digest: []DigestItem{{Type: DigestOther}, {Type: DigestRuntimeEnvironmentUpdated}}}
	if !updated.RuntimeUpdated() || updated.Seal() != nil {
		t.Error("the runtime changed in this block, and it has no seal")
	}
}

// A header is decoded for each announcement and each ancestor: at most 4 allocations.
func TestDecodeHeaderAllocations(t *testing.T) {
	for hash, b := range recordedHeaders(t) {
		var sink *Header
		if n := testing.AllocsPerRun(50, func() { sink, _ = DecodeHeader(b) }); n > 4 {
			t.Errorf("%v: %v allocations", hash, n)
		}
		_ = sink
	}
}

// FuzzDecodeHeader: a header has one encoding, and decoding takes no more memory than a bounded
// multiple of it.
func FuzzDecodeHeader(f *testing.F) {
	for _, b := range recordedHeaders(f) {
		f.Add(b)
	}
	f.Add(encoded("03 00000040", 2, "08", "00 0c 616263"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHeader(b)
		if err != nil {
			return
		}
		if !bytes.Equal(h.Encode(), b) {
			t.Fatalf("%x encodes to %x", b, h.Encode())
		}
		if h.Hash() != Blake2b256(b) {
			t.Fatal("hash is not that of the encoding")
		}
		if len(h.Digest) > MaxDigestItems || len(b) > MaxHeaderSize {
			t.Fatalf("%d items in %d bytes", len(h.Digest), len(b))
		}
		if s := h.Seal(); s == nil && h.PreSealHash() != h.Hash() || s != nil && h.PreSealHash() == h.Hash() {
			t.Fatal("pre-seal hash")
		}
		h.CheckEngines()
	})
}

// Storage keys as the chain's metadata and public indexers give them.
func TestStorageKey(t *testing.T) {
	for _, c := range []struct{ pallet, item, want string }{
		{"Aura", "Authorities", "57f8dc2f5ab09467896f47300f042438 5e0621c4869aa60c02be9adcc98a0d1d"},
		{"Aura", "CurrentSlot", "57f8dc2f5ab09467896f47300f042438 06155b3cd9a8c9e5e9a23fd5dc13a5ed"},
		{"Grandpa", "Authorities", "5f9cc45b7a00c5899361e1c6099678dc 5e0621c4869aa60c02be9adcc98a0d1d"},
		{"Grandpa", "CurrentSetId", "5f9cc45b7a00c5899361e1c6099678dc 8a2d09463effcc78a22d75b9cb87dffc"},
		{"Grandpa", "PendingChange", "5f9cc45b7a00c5899361e1c6099678dc 2ff65991b1c915dd6cc8d4825eacfcb4"},
		{"Grandpa", "NextForced", "5f9cc45b7a00c5899361e1c6099678dc 01d7818126bd9b3074803e91f4c91b59"},
		{"Grandpa", "Stalled", "5f9cc45b7a00c5899361e1c6099678dc 7ddd013461b72c3004f9c0ca3faf9ebe"},
		{"Grandpa", "State", "5f9cc45b7a00c5899361e1c6099678dc f39a107f2d8d3854c9aba9b021f43d9c"},
		{"Timestamp", "Now", "f0c365c3cf59d671eb72da0e7a4113c4 9f1f0515f462cdcf84e0f1d6045dfcbb"},
		{"System", "Account", "26aa394eea5630e07c48ae0c9558cef7 b99d880ec681799c0cf30e8886371da9"},
		{"System", "BlockHash", "26aa394eea5630e07c48ae0c9558cef7 a44704b568d21667356a5a050c118746"},
		{"System", "Number", "26aa394eea5630e07c48ae0c9558cef7 02a5c1b19ab7a04f536c519aca4983ac"},
		{"System", "ParentHash", "26aa394eea5630e07c48ae0c9558cef7 8a42f33323cb5ced3b44dd825fda9fcc"},
		{"System", "Events", "26aa394eea5630e07c48ae0c9558cef7 80d41e5e16056765bc8461851072c9d7"},
		{"System", "LastRuntimeUpgrade", "26aa394eea5630e07c48ae0c9558cef7 f9cce9c888469bb1a0dceaa129672ef8"},
		{"Sudo", "Key", "5c0d1176a568c1f92944340dbfed9e9c 530ebca703c85910e7164cb7d1c9e47b"},
		{"SafeMode", "EnteredUntil", "f35b44951b86069d9273a961f1e3fbeb 1fd1ae5c7c15443bedf0311e151a2a4a"},
		{"EVMChainId", "ChainId", "0f6342be23148b1fecb28322dcb30aef d8b4519d4aceb8073dbaffde1eef0d79"},
		{"SubtensorModule", "Uids", "658faa385070e074c85bf6b568cf0555 aab1b4e78e1ea8305462ee53b3686dc8"},
		{"SubtensorModule", "Keys", "658faa385070e074c85bf6b568cf0555 9f99a2ce711f3a31b2fc05604c93f179"},
		{"SubtensorModule", "Weights", "658faa385070e074c85bf6b568cf0555 a1e7036061f484bc3048a64b64e35ec4"},
		{"SubtensorModule", "TotalNetworks", "658faa385070e074c85bf6b568cf0555 5f3bb7bcd0a076a48abf8c256d221721"},
		{"SubtensorModule", "RevealPeriodEpochs", "658faa385070e074c85bf6b568cf0555 8f232bcbac768c1d6201850c60f161ed"},
		{"SubtensorModule", "TimelockedWeightCommits", "658faa385070e074c85bf6b568cf0555 119e1c428ff5c7c6dac4c888a10d1443"},
		{"Commitments", "CommitmentOf", "ca407206ec1ab726b2636c4b145ac287 419a60ae8b01e6dcaebd7317e43c69bf"},
		{"Drand", "Pulses", "a285cdb66e8b8524ea70b1693c7b1e05 0d8e70fd32bfb1639703f9a23d15b15e"},
		{"Drand", "LastStoredRound", "a285cdb66e8b8524ea70b1693c7b1e05 087f3dd6e0ceded0e388dd34f810a73d"},
		{"MevShield", "CurrentKey", "9e94fc9ecf3c8d51c7baba39080fb433 332a42e831a679aa4c1b63b80f5ef477"},
		{"Proxy", "Proxies", "1809d78346727a0ef58c0fa03bafa323 1d885dcfb277f185f2d8e62a5f290c85"},
	} {
		if got := StorageKey(c.pallet, c.item); !bytes.Equal(got, unhex(c.want)) {
			t.Errorf("%s.%s: %x, want %s", c.pallet, c.item, got, c.want)
		}
	}
}

// Map keys of the test network's genesis: an account and the hash of block 0, as they stand in the
// chain's own specification.
func TestMapKey(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"System.Account", AppendBlake2b128Concat(StorageKey("System", "Account"), unhex("d2b77364d1c3b445cd69bd59f1a87dcb26c9ce3f46437d55b88b43f1c177e776")),
			"26aa394eea5630e07c48ae0c9558cef7 b99d880ec681799c0cf30e8886371da9 f730e3d14303575486c5eec0137186b8 d2b77364d1c3b445cd69bd59f1a87dcb26c9ce3f46437d55b88b43f1c177e776"},
		{"System.BlockHash of 0", AppendTwox64Concat(StorageKey("System", "BlockHash"), make([]byte, 4)),
			"26aa394eea5630e07c48ae0c9558cef7 a44704b568d21667356a5a050c118746 b4def25cfda6ef3a 00000000"},
	} {
		if !bytes.Equal(c.got, unhex(c.want)) {
			t.Errorf("%s: %x, want %s", c.name, c.got, c.want)
		}
	}
}

// TestTwox256: the value is that of @polkadot/util-crypto, xxhashAsHex('abc', 256).
func TestTwox256(t *testing.T) {
	got := Twox256([]byte("abc"))
	if want := unhex("990977adf52cbc440889329981caa9be f7da5770b2b8a05303b75d95360dd62b"); !bytes.Equal(got[:], want) {
		t.Errorf("%x, want %x", got, want)
	}
	if half := Twox128([]byte("abc")); !bytes.Equal(half[:], got[:16]) {
		t.Errorf("Twox128 is %x, not its first half", half)
	}
}

func TestHashText(t *testing.T) {
	h := Blake2b256(nil)
	const want = "0x0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8" // RFC 7693's function on no input
	if h.String() != want || h.IsZero() || !(Hash{}).IsZero() {
		t.Errorf("%v", h)
	}
	if s := h.Short(); s != "0x0e57…e3a8" {
		t.Error(s)
	}
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{want, true}, {want[2:], true}, {strings.ToUpper(want[2:]), true}, {"0X" + want[2:], true},
		{"", false}, {"0x", false}, {want[:65], false}, {want[:64], false}, {want + "00", false},
		{"0x0x" + want[4:], false}, {" " + want, false}, {want[:65] + "g", false},
	} {
		got := Hash{1}
		err := got.UnmarshalText([]byte(c.text))
		if c.ok && (err != nil || got != h) || !c.ok && (!errors.Is(err, ErrHex) || got != Hash{1}) {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
}

func BenchmarkDecodeHeader(b *testing.B) {
	hash, err := ParseHash("626a986aa4668a5df5cdac66ea726f442f97867e9ef3b5189388e2137c0e80f1") // test 3,264,148
	if err != nil {
		b.Fatal(err)
	}
	e := recordedHeaders(b)[hash]
	b.ReportAllocs()
	b.SetBytes(int64(len(e)))
	for b.Loop() {
		if _, err := DecodeHeader(e); err != nil {
			b.Fatal(err)
		}
	}
}
