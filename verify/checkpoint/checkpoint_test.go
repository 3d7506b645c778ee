package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/aura"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/scale"
)

// header returns a header of that number and slot with the given digest items between the slot and
// a seal of the right form.
func header(number uint32, slot uint64, items ...verify.DigestItem) *verify.Header {
	h := &verify.Header{ParentHash: verify.Hash{9}, Number: number, StateRoot: verify.Hash{1}, ExtrinsicsRoot: verify.Hash{2}}
	h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestPreRuntime, Engine: verify.EngineAura, Data: scale.AppendU64(nil, slot)})
	h.Digest = append(h.Digest, items...)
	h.Digest = append(h.Digest, verify.DigestItem{Type: verify.DigestSeal, Engine: verify.EngineAura, Data: make([]byte, 64)})
	return h
}

func setChange(list []grandpa.Authority) verify.DigestItem {
	data := scale.AppendU32(grandpa.AppendAuthorities([]byte{1}, list), 0)
	return verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineGrandpa, Data: data}
}

func auraChange(list []aura.AuthorityID) verify.DigestItem {
	return verify.DigestItem{Type: verify.DigestConsensus, Engine: verify.EngineAura, Data: aura.AppendAuthorities([]byte{1}, list)}
}

func authorities(seeds ...byte) (list []grandpa.Authority) {
	for _, s := range seeds {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{s}, 32)).Public().(ed25519.PublicKey)
		list = append(list, grandpa.Authority{ID: grandpa.AuthorityID(key), Weight: 1})
	}
	return list
}

func mustHash(t *testing.T, s string) verify.Hash {
	t.Helper()
	h, err := verify.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The figures of chain.md: finney starts at 8,867,448, and its own header leads to set 6 and to the
// Aura list that sealed 9,178,000.
func TestBuiltinFinney(t *testing.T) {
	c, err := Builtin("finney")
	if err != nil {
		t.Fatal(err)
	}
	if c.Number != 8867448 || c.Hash != mustHash(t, "511948e96e1d479d0a92d89bb976638780f2c65a93a5d5be710f22ee15c60200") {
		t.Errorf("block %d %v", c.Number, c.Hash)
	}
	if c.Genesis != mustHash(t, "2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03") || c.SlotDuration != 12000 {
		t.Errorf("genesis %v, slot %d ms", c.Genesis, c.SlotDuration)
	}
	slot, err := aura.Slot(c.Header)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.UnixMilli(int64(slot * 12000)).UTC().Format("2006-01-02"); c.Date != want {
		t.Errorf("date %q, want %q", c.Date, want)
	}
	start := c.Start()
	if start.Set.ID != 6 || len(start.Set.Authorities) != 20 || start.Hash != c.Hash || start.Justification != nil {
		t.Errorf("start %v set %d of %d", start.Hash, start.Set.ID, len(start.Set.Authorities))
	}
	if first := start.Set.Authorities[0].ID.String(); first != "0x3c0694d473b0203bd9842aabbac7ab7d73205a3ccf97096bc5361ea75dcdd0a4" {
		t.Errorf("first key of set 6 is %s", first)
	}
	if last := start.Set.Authorities[19].ID; last == c.Set.Authorities[19].ID {
		t.Error("set 6 ends as set 5 does")
	}
	n, err := ByName("finney")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := n.AuraAuthorities(8867448)
	after, _ := n.AuraAuthorities(8867449)
	if !slices.Equal(after, c.Aura) {
		t.Error("list after the checkpoint is not the one that its header announces")
	}
	if author, err := aura.VerifySeal(c.Header, before); err != nil || author != 18 {
		t.Errorf("seal under the list before: author %d, %v", author, err)
	}
	if _, err := aura.VerifySeal(c.Header, after); err == nil {
		t.Error("seal verifies under the list after, too")
	}
	if _, ok := n.AuraAuthorities(0); ok {
		t.Error("a list for genesis, which nobody sealed")
	}
	if len(n.Bootnodes) != 1 || !strings.Contains(n.Bootnodes[0], "/ws/p2p/") {
		t.Errorf("bootnodes %q", n.Bootnodes)
	}
}

func TestBuiltinTest(t *testing.T) {
	c, err := Builtin("testfinney")
	if err != nil {
		t.Fatal(err)
	}
	if c.Network != "test" || c.Number != 5534451 || c.Hash != mustHash(t, "4d643da5fd7cd2b9ceb795091643e7223819e2a01f942ac049c5b928f7e30dc4") {
		t.Errorf("%s %d %v", c.Network, c.Number, c.Hash)
	}
	if c.Genesis != mustHash(t, "8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105") {
		t.Errorf("genesis %v", c.Genesis)
	}
	if c.Set.ID != 3 || !c.SetSigned || len(c.Set.Authorities) != 6 {
		t.Errorf("set %d of %d, signed %v", c.Set.ID, len(c.Set.Authorities), c.SetSigned)
	}
	if err := c.Ready(); !errors.Is(err, ErrNoHeader) {
		t.Errorf("Ready: %v", err)
	}
	if f := c.Start(); f.Header != nil {
		t.Error("started without a header")
	}
	if _, err := c.State(); !errors.Is(err, ErrNoHeader) {
		t.Errorf("State: %v", err)
	}
	if err := c.Resolve(header(5534451, 1)); !errors.Is(err, ErrMismatch) {
		t.Errorf("another header: %v", err)
	}
	if c.Header != nil {
		t.Error("a refused header was kept")
	}
	if p := c.Pin(); p.HasSet {
		t.Errorf("pin %v has a set id before the header is known", p)
	}
	n, _ := ByName("test")
	if _, ok := n.AuraAuthorities(3264147); ok {
		t.Error("a list for a height of which nothing is known")
	}
	if l, _ := n.AuraAuthorities(3264150); len(l) != 5 {
		t.Errorf("list of %d for the captured headers", len(l))
	}
	if len(n.Bootnodes) == 0 {
		t.Error("no bootnodes")
	}
}

func TestUnknownNetwork(t *testing.T) {
	for _, name := range []string{"", "demo", "Finney", "../finney", "networks/finney.checkpoint"} {
		if _, err := Builtin(name); !errors.Is(err, ErrUnknownNetwork) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := ByGenesis(verify.Hash{1}); !errors.Is(err, ErrUnknownNetwork) {
		t.Errorf("ByGenesis: %v", err)
	}
	for _, name := range Names() {
		n, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := ByGenesis(n.Genesis); err != nil || m.Name != name {
			t.Errorf("ByGenesis(%s): %v", name, err)
		}
	}
}

// The compiled-in checkpoint files are in the canonical form, so that `checkpoint export` can
// replace them and a review sees only what changed.
func TestFilesCanonical(t *testing.T) {
	for _, name := range Names() {
		path := filepath.Join("networks", name+".checkpoint.json")
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not in canonical form; it should be:\n%s", path, got)
		}
	}
}

// samples returns checkpoints of every shape.
func samples(t testing.TB) map[string]*Checkpoint {
	t.Helper()
	finney, err := Builtin("finney")
	if err != nil {
		t.Fatal(err)
	}
	test, err := Builtin("test")
	if err != nil {
		t.Fatal(err)
	}
	made := header(7, 1000, setChange(authorities(1, 2)), auraChange([]aura.AuthorityID{{1}, {2}}))
	resolved := &Checkpoint{Network: "x", Number: 7, Hash: made.Hash(), SlotDuration: 250, SetSigned: true,
		Set: grandpa.AuthoritySet{ID: 1<<64 - 2, Authorities: []grandpa.Authority{{ID: grandpa.AuthorityID{1}, Weight: 1 << 63}, {ID: grandpa.AuthorityID{2}, Weight: 1}}}}
	if err := resolved.Resolve(made); err != nil {
		t.Fatal(err)
	}
	later, err := finney.FromState(FromFinalized(grandpa.Finalized{Header: made, Hash: made.Hash(),
		Set: grandpa.AuthoritySet{ID: 9, Authorities: authorities(1, 2)}}, nil), "proven")
	if err != nil {
		t.Fatal(err)
	}
	pin := Pin{Number: 9000000, Hash: verify.Hash{7}, SetID: 8, HasSet: true}
	network, _ := ByName("finney")
	pinned, err := pin.Checkpoint(network)
	if err != nil {
		t.Fatal(err)
	}
	plain := header(8, 1000)
	nameless := &Checkpoint{Number: 8, Hash: plain.Hash(), Header: plain, SlotDuration: 12000, Date: "1970-01-01",
		Source: "a \"quoted\" <source> \u2028", Set: grandpa.AuthoritySet{ID: 0, Authorities: authorities(3)}}
	return map[string]*Checkpoint{"finney": finney, "test": test, "resolved": resolved, "later": later, "pinned": pinned, "nameless": nameless}
}

func TestExportImport(t *testing.T) {
	for name, c := range samples(t) {
		b, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%s: got %+v, want %+v", name, got, c)
		}
		compact, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again Checkpoint
		if err := json.Unmarshal(compact, &again); err != nil || !reflect.DeepEqual(&again, c) {
			t.Errorf("%s: through encoding/json: %v", name, err)
		}
		shown, err := Parse([]byte(`{"schema": 1, "network": "of the answer", "checkpoint": ` + string(compact) + `}`))
		if err != nil || !reflect.DeepEqual(shown, c) {
			t.Errorf("%s: as checkpoint show prints it: %+v, %v", name, shown, err)
		}
	}
}

func TestResolve(t *testing.T) {
	list := authorities(1, 2, 3)
	ids := []aura.AuthorityID{{1}, {2}}
	h := header(100, 12345, setChange(list), auraChange(ids))
	base := func() *Checkpoint {
		return &Checkpoint{Network: "x", Number: 100, Hash: h.Hash(), SlotDuration: 12000}
	}
	t.Run("signed", func(t *testing.T) {
		c := base()
		c.SetSigned, c.Set = true, grandpa.AuthoritySet{ID: 4, Authorities: authorities(9)}
		if err := c.Resolve(h); err != nil {
			t.Fatal(err)
		}
		want := grandpa.AuthoritySet{ID: 5, Authorities: list}
		if got := c.Start().Set; !got.Equal(&want) {
			t.Errorf("start in %v", got)
		}
		if !slices.Equal(c.Aura, ids) || c.Date != "1970-01-02" {
			t.Errorf("aura %v, date %s", c.Aura, c.Date)
		}
		if p := c.Pin(); !p.HasSet || p.SetID != 5 {
			t.Errorf("pin %v", p)
		}
	})
	t.Run("set from the header", func(t *testing.T) {
		c := base()
		c.Set.ID = 5
		if err := c.Resolve(h); err != nil {
			t.Fatal(err)
		}
		if got := c.Start().Set; got.ID != 5 || !slices.Equal(got.Authorities, list) {
			t.Errorf("start in %v", got)
		}
	})
	t.Run("set from the state", func(t *testing.T) {
		plain := header(100, 12345)
		c := base()
		c.Hash, c.Set.ID = plain.Hash(), 5
		if err := c.ResolveSet(list); !errors.Is(err, ErrNoHeader) {
			t.Errorf("before the header: %v", err)
		}
		if err := c.Resolve(plain); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(); !errors.Is(err, ErrNoSet) {
			t.Errorf("Ready: %v", err)
		}
		if err := c.ResolveSet(nil); !errors.Is(err, ErrNoSet) {
			t.Errorf("no list: %v", err)
		}
		if err := c.ResolveSet(append(list, list[0])); !errors.Is(err, grandpa.ErrAuthorities) {
			t.Errorf("a key twice: %v", err)
		}
		if err := c.ResolveSet(list); err != nil {
			t.Fatal(err)
		}
		if got := c.Start().Set; got.ID != 5 || !slices.Equal(got.Authorities, list) {
			t.Errorf("start in %v", got)
		}
	})
	t.Run("set against the header", func(t *testing.T) {
		c := base()
		c.Set = grandpa.AuthoritySet{ID: 5, Authorities: authorities(1, 2)}
		if err := c.Resolve(h); !errors.Is(err, ErrMismatch) || c.Header != nil {
			t.Errorf("%v", err)
		}
	})
	t.Run("last set id", func(t *testing.T) {
		c := base()
		c.SetSigned, c.Set = true, grandpa.AuthoritySet{ID: 1<<64 - 1, Authorities: authorities(9)}
		if err := c.Resolve(h); err != nil {
			t.Fatal(err)
		}
		if _, err := c.State(); err == nil {
			t.Error("the set id went over")
		}
	})
	if err := base().Resolve(nil); !errors.Is(err, ErrNoHeader) {
		t.Errorf("nil: %v", err)
	}
}

// Each self-check, broken one at a time in an otherwise good checkpoint.
func TestCheck(t *testing.T) {
	list := authorities(1, 2)
	good := func(items ...verify.DigestItem) *Checkpoint {
		h := header(100, 12345, items...)
		return &Checkpoint{Network: "x", Number: 100, Hash: h.Hash(), Header: h, SlotDuration: 12000, Date: "1970-01-02",
			Set: grandpa.AuthoritySet{ID: 4, Authorities: list}, Aura: []aura.AuthorityID{{1}}}
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	rehash := func(c *Checkpoint) { c.Hash = c.Header.Hash() }
	for _, tt := range []struct {
		name  string
		spoil func(c *Checkpoint)
		want  error
	}{
		{"hash", func(c *Checkpoint) { c.Hash[3] ^= 1 }, ErrMismatch},
		{"number", func(c *Checkpoint) { c.Number++ }, ErrMismatch},
		{"date", func(c *Checkpoint) { c.Date = "1970-01-03" }, ErrMismatch},
		{"date without header", func(c *Checkpoint) { c.Header = nil }, ErrMismatch},
		{"slot duration 0", func(c *Checkpoint) { c.SlotDuration = 0 }, ErrMismatch},
		{"slot duration of days", func(c *Checkpoint) { c.SlotDuration = maxSlotDuration + 1 }, ErrMismatch},
		{"no slot", func(c *Checkpoint) { c.Header.Digest = c.Header.Digest[1:]; c.Date = ""; rehash(c) }, aura.ErrSlot},
		{"no seal", func(c *Checkpoint) { c.Header.Digest = c.Header.Digest[:1]; rehash(c) }, aura.ErrSeal},
		{"short seal", func(c *Checkpoint) { c.Header.Digest[1].Data = make([]byte, 63); rehash(c) }, aura.ErrSeal},
		{"unknown engine", func(c *Checkpoint) {
			c.Header.Digest[1].Engine = verify.EngineID{'B', 'A', 'B', 'E'}
			c.Date = ""
			rehash(c)
		}, verify.ErrUnknownEngine},
		{"key twice in the set", func(c *Checkpoint) { c.Set.Authorities = append(list, list[0]) }, grandpa.ErrAuthorities},
		{"empty set", func(c *Checkpoint) { c.Set.Authorities = []grandpa.Authority{} }, grandpa.ErrAuthorities},
		{"key twice in aura", func(c *Checkpoint) { c.Aura = []aura.AuthorityID{{1}, {1}} }, aura.ErrAuthorities},
		{"empty aura", func(c *Checkpoint) { c.Aura = []aura.AuthorityID{} }, aura.ErrAuthorities},
		{"announced set", func(c *Checkpoint) { *c = *good(setChange(authorities(5))) }, ErrMismatch},
		{"announced aura", func(c *Checkpoint) { *c = *good(auraChange([]aura.AuthorityID{{2}})) }, ErrMismatch},
		{"two sets announced", func(c *Checkpoint) { *c = *good(setChange(list), setChange(list)) }, grandpa.ErrUnsupportedChange},
		{"long name", func(c *Checkpoint) { c.Network = strings.Repeat("x", maxText+1) }, ErrFormat},
		{"genesis with a digest", func(c *Checkpoint) { c.Number, c.Header.Number, c.Date = 0, 0, ""; rehash(c) }, ErrMismatch},
		{"another genesis", func(c *Checkpoint) {
			c.Number, c.Date = 0, ""
			c.Header = &verify.Header{}
			rehash(c)
			c.Genesis = verify.Hash{1}
		}, ErrMismatch},
	} {
		c := good()
		tt.spoil(c)
		if err := c.Check(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	c, err := Builtin("finney")
	if err != nil {
		t.Fatal(err)
	}
	good, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for _, tt := range []struct{ name, in string }{
		{"empty", ""},
		{"list", "[]"},
		{"empty object", "{}"},
		{"cut", string(good[:len(good)/2])},
		{"two values", string(good) + "{}"},
		{"schema", edit(`"schema": 1`, `"schema": 2`)},
		{"schema as float", edit(`"schema": 1`, `"schema": 1.0`)},
		{"no number", edit(`"number"`, `"nr"`)},
		{"upper case name", edit(`"number"`, `"Number"`)},
		{"number over 32 bits", edit(`8867448`, `4303834744`)},
		{"number rounded", edit(`8867448`, `8.867448e6`)},
		{"negative number", edit(`8867448`, `-8867448`)},
		{"number twice", edit(`"number": 8867448`, `"number": 8867448, "number": 8867448`)},
		{"hash", edit(`0x511948e9`, `0x511948e8`)},
		{"short hash", edit(`0x511948e9`, `0x1948e9`)},
		{"not hex", edit(`0x511948e9`, `0x5g1948e9`)},
		{"date", edit(`2026-08-17`, `2026-08-18`)},
		{"header", edit(`0xc03558186a`, `0xc03558186b`)},
		{"header cut", edit(`0xc03558186a`, `0x03558186a`)},
		{"set signed as word", edit(`"set_signed": true`, `"set_signed": "true"`)},
		{"set id", edit(`"set_id": 5`, `"set_id": 36893488147419103232`)},
		{"authority", edit(`"0x3c0694d4`, `"0x0694d4`)},
		{"authorities", edit(`"authorities": [`, `"authorities": [[], `)},
		{"weight 0", edit(`"authorities": [`, `"authorities": [{"id":"`+strings.Repeat("11", 32)+`","weight":0}, `)},
		{"no weight", edit(`"authorities": [`, `"authorities": [{"id":"`+strings.Repeat("11", 32)+`"}, `)},
		{"aura", edit(`"aura_authorities": [`, `"aura_authorities": ["`+strings.Repeat("11", 32)+`", `)},
	} {
		if _, err := Parse([]byte(tt.in)); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("over the size: %v", err)
	}
	// What is unknown is ignored, and integers may come as strings.
	ok := edit(`"schema": 1`, `"later": {"a": [1]}, "schema": "1"`)
	if got, err := Parse([]byte(ok)); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("unknown name: %v", err)
	}
}
