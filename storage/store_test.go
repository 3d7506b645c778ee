package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/taolight/taolight/verify"
)

var (
	genesis = verify.Blake2b256([]byte("a network"))
	foreign = verify.Blake2b256([]byte("another network"))
	epoch   = time.Unix(1_760_000_000, 0)
)

// testConfig disables the reserve, since test directories may be on small file systems, and holds the clock still.
func testConfig(dir string) Config {
	return Config{Dir: dir, Genesis: genesis, Reserve: -1, Now: func() time.Time { return epoch }}
}

// memoryDir is a directory where fsync costs nothing, for the tests that open thousands of stores.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "taolight-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mustOpen(t testing.TB, cfg Config) (*Store, *Recovery) {
	t.Helper()
	s, rec, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Degraded(); err != nil {
		t.Fatal(err)
	}
	return s, rec
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustBeSound checks a store from inside and, once closed, from outside.
func mustBeSound(t testing.TB, s *Store) {
	t.Helper()
	r, err := s.Check(t.Context(), true, nil)
	must(t, err)
	if !r.OK() {
		t.Fatalf("check: %v", r.Problems)
	}
}

// testHead makes the head of a number: its data says which number it is of, so that any mixture is found out.
func testHead(number uint32) Head {
	rng := rand.New(rand.NewPCG(uint64(number), 7))
	data := binary.LittleEndian.AppendUint32(nil, number)
	for range 64 + number%4000 {
		data = append(data, byte(rng.Uint32()))
	}
	return Head{Number: number, Hash: verify.Blake2b256(data), Data: data}
}

func sameHead(a, b Head) bool {
	return a.Number == b.Number && a.Hash == b.Hash && bytes.Equal(a.Data, b.Data)
}

// testHeader makes a header-sized byte string for a number.
func testHeader(number uint32) (verify.Hash, []byte) {
	rng := rand.New(rand.NewPCG(uint64(number), 9))
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	binary.LittleEndian.PutUint32(b, number)
	return verify.Blake2b256(b), b
}

func TestReopen(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "data", "finney"))
	s, rec := mustOpen(t, cfg)
	if !rec.Created || rec.Unclean || len(rec.Moved) != 0 || rec.Starts != 1 || len(rec.Lines()) != 0 {
		t.Fatalf("first start: %+v", rec)
	}
	if _, ok := s.Head(); ok {
		t.Fatal("a new store has a head")
	}
	set := AuthoritySet{ID: 6, Set: []byte("set"), Header: []byte("header"), Justification: bytes.Repeat([]byte("j"), 2000)}
	hash, header := testHeader(10)
	must(t, s.WriteHead(testHead(10)))
	must(t, s.SetHead(testHead(11)))
	must(t, s.PutAuthoritySet(set))
	must(t, s.PutHeader(10, hash, header))
	must(t, s.PutProof(10, hash, []byte("proof one")))
	must(t, s.PutProof(10, hash, []byte("proof two")))
	must(t, s.PutPeer("peer", []byte(`{"a":1}`)))
	must(t, s.Ban("liar", "wrong proof", epoch.Add(time.Hour)))
	must(t, s.Put("fees", "last", []byte{1}))
	look := func(s *Store) {
		t.Helper()
		if h, ok := s.Head(); !ok || !sameHead(h, testHead(11)) {
			t.Errorf("head %d", h.Number)
		}
		if a := s.AuthoritySets(); len(a) != 1 || a[0].ID != 6 || !bytes.Equal(a[0].Justification, set.Justification) {
			t.Errorf("sets %v", a)
		}
		if a, ok := s.AuthoritySet(6); !ok || string(a.Set) != "set" || string(a.Header) != "header" {
			t.Errorf("set %v", a)
		}
		if h, ok := s.Header(10); !ok || h.Hash != hash || !bytes.Equal(h.SCALE, header) || h.Number != 10 {
			t.Errorf("header %v %v", h, ok)
		}
		if p := s.Proofs(10, hash); len(p) != 2 {
			t.Errorf("proofs %q", p)
		}
		if p := s.Proofs(10, foreign); len(p) != 0 {
			t.Errorf("proofs of another block %q", p)
		}
		if p := s.Peers(); len(p) != 1 || string(p["peer"]) != `{"a":1}` {
			t.Errorf("peers %q", p)
		}
		if b := s.Bans(epoch); len(b) != 1 || b[0] != (Ban{"liar", "wrong proof", epoch.Add(time.Hour)}) {
			t.Errorf("bans %v", b)
		}
		if b := s.Bans(epoch.Add(time.Hour)); len(b) != 0 {
			t.Errorf("expired bans %v", b)
		}
		if v, ok := s.Get("fees", "last"); !ok || !bytes.Equal(v, []byte{1}) {
			t.Errorf("other %v", v)
		}
		if a := s.All("fees"); len(a) != 1 || !bytes.Equal(a["last"], []byte{1}) {
			t.Errorf("all %v", a)
		}
	}
	look(s)
	must(t, s.Commit())
	look(s)
	mustBeSound(t, s)
	mustClose(t, s)
	s, rec = mustOpen(t, cfg)
	if rec.Created || rec.Unclean || len(rec.Lines()) != 0 || rec.Starts != 2 {
		t.Fatalf("second start: %+v", rec)
	}
	look(s)
	must(t, s.DeletePeer("peer"))
	must(t, s.Unban("liar"))
	must(t, s.Delete("fees", "last"))
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	defer s.Close()
	if len(s.Peers())+len(s.Bans(epoch))+len(s.All("fees")) != 0 {
		t.Error("deleted records came back")
	}
}

func TestHeadNeverGoesBack(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(100)))
	other := testHead(100)
	other.Hash = foreign
	for _, h := range []Head{testHead(99), testHead(0), other} {
		for _, f := range []func(Head) error{s.WriteHead, s.SetHead} {
			if err := f(h); !errors.Is(err, ErrBackwards) {
				t.Errorf("%d: %v", h.Number, err)
			}
		}
	}
	writes := s.Stats().HeadWrites
	must(t, s.WriteHead(testHead(100)))
	if s.Stats().HeadWrites != writes {
		t.Error("the same head was written twice")
	}
	if err := s.WriteHead(Head{Number: 101, Data: make([]byte, MaxHeadData+1)}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if err := s.WriteHead(testHead(99)); !errors.Is(err, ErrBackwards) {
		t.Errorf("after a restart: %v", err)
	}
	must(t, s.RejectHead(errors.New("justification does not verify")))
	if _, ok := s.Head(); ok {
		t.Error("a rejected head is still there")
	}
	must(t, s.WriteHead(testHead(99)))
	mustClose(t, s)
	s, rec := mustOpen(t, cfg)
	defer s.Close()
	if h, ok := s.Head(); !ok || !sameHead(h, testHead(99)) || rec.Unclean {
		t.Errorf("after a rejection: %d, %+v", h.Number, rec)
	}
	if rec.Starts != 3 {
		t.Errorf("starts %d", rec.Starts)
	}
}

func TestHeadEvery25Blocks(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	before := s.Stats()
	for n := uint32(1000); n < 2000; n++ {
		must(t, s.SetHead(testHead(n)))
		if h, _ := s.Head(); h.Number != n {
			t.Fatal("Head is behind SetHead")
		}
	}
	after := s.Stats()
	if w, y := after.HeadWrites-before.HeadWrites, after.Syncs-before.Syncs; w != 40 || y != 40 {
		t.Errorf("%d heads written, %d syncs", w, y)
	}
	if after.HeadWritten != 1975 {
		t.Errorf("written %d", after.HeadWritten)
	}
	s.SetPace(Pace{HeadEvery: 1})
	must(t, s.SetHead(testHead(2000)))
	if s.Stats().HeadWritten != 2000 {
		t.Error("the pace was not changed")
	}
	mustClose(t, s)
}

func TestHeadSizes(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	rng := rand.New(rand.NewPCG(1, 2))
	number := uint32(0)
	for _, n := range []int{0, 1, 500, deviceBlock - slotHeader - 4, deviceBlock - slotHeader - 3, 5000, 9000, slotPayload - 1, slotPayload} {
		for _, repeats := range []bool{false, true} {
			number++
			h := testHead(number)
			h.Data = make([]byte, n)
			for i := range h.Data {
				if !repeats {
					h.Data[i] = byte(rng.Uint32())
				}
			}
			must(t, s.WriteHead(h))
			mustClose(t, s)
			s, _ = mustOpen(t, cfg)
			if got, ok := s.Head(); !ok || !sameHead(got, h) {
				t.Fatalf("%d bytes, repeats %v: not the same", n, repeats)
			}
		}
	}
	large := testHead(number + 1)
	large.Data = bytes.Repeat([]byte("validator"), MaxHeadData/9)
	must(t, s.WriteHead(large))
	for range 2 {
		mustClose(t, s)
		s, _ = mustOpen(t, cfg)
		if got, ok := s.Head(); !ok || !sameHead(got, large) {
			t.Fatal("a large head that deflates is not the same")
		}
	}
	// One that does not fit is kept in memory, and said to be.
	huge := testHead(number + 2)
	huge.Data = make([]byte, slotPayload+1)
	for i := range huge.Data {
		huge.Data[i] = byte(rng.Uint32())
	}
	if err := s.WriteHead(huge); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := s.Degraded(); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	must(t, s.WriteHead(testHead(number+3)))
	must(t, s.Degraded())
	mustClose(t, s)
}

// TestReadsAreCopies checks that neither side can change what the other one holds.
func TestReadsAreCopies(t *testing.T) {
	s, _ := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	value := []byte("value")
	must(t, s.Put("k", "key", value))
	h := testHead(5)
	must(t, s.WriteHead(h))
	value[0], h.Data[0] = 'X', ^h.Data[0]
	for range 2 {
		got, _ := s.Get("k", "key")
		head, _ := s.Head()
		if string(got) != "value" || !sameHead(head, testHead(5)) {
			t.Fatal("a caller's slice reaches into the store")
		}
		got[0], head.Data[0] = 'Y', ^head.Data[0]
		all := s.All("k")["key"]
		all[0] = 'Z'
		must(t, s.Commit())
	}
}

func TestHeaderRing(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Headers = 300
	s, _ := mustOpen(t, cfg)
	put := func(n uint32) {
		hash, b := testHeader(n)
		must(t, s.PutHeader(n, hash, b))
	}
	for n := uint32(1); n <= 1000; n++ {
		put(n)
	}
	count := func() (n int, low, high uint32) {
		s.Headers(0, func(h Header) bool {
			if n == 0 {
				low = h.Number
			}
			n, high = n+1, h.Number
			return true
		})
		return
	}
	if n, low, high := count(); n != 300 || low != 701 || high != 1000 {
		t.Fatalf("%d headers, %d to %d", n, low, high)
	}
	put(700) // below the ring
	if _, ok := s.Header(700); ok {
		t.Error("a header below the ring was kept")
	}
	hash, b := testHeader(1001)
	if err := s.PutHeader(1002, hash, append(b, 0)); !errors.Is(err, ErrMismatch) {
		t.Errorf("wrong hash: %v", err)
	}
	must(t, s.Commit())
	if n, _, _ := count(); n != 300 {
		t.Fatalf("%d headers after a commit", n)
	}
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if n, low, high := count(); n != savedHeaders || low != 1001-savedHeaders || high != 1000 {
		t.Fatalf("%d headers after a restart, %d to %d", n, low, high)
	}
	put(5000) // a jump, as after a warp
	if n, low, _ := count(); n != 1 || low != 5000 {
		t.Fatalf("%d headers after a jump, from %d", n, low)
	}
	put(1<<32 - 1)
	put(1<<32 - 2)
	if n, _, _ := count(); n != 2 {
		t.Fatalf("%d headers at the end of the range", n)
	}
	mustBeSound(t, s)
	mustClose(t, s)
}

func TestProofsAreBounded(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.ProofBytes = 100_000
	s, _ := mustOpen(t, cfg)
	for n := uint32(1); n <= 500; n++ {
		hash, b := testHeader(n)
		must(t, s.PutProof(n, hash, append(b, make([]byte, 700)...)))
		if n%97 == 0 {
			must(t, s.Commit())
		}
		if s.tally[bucketProofs].bytes > cfg.ProofBytes {
			t.Fatalf("%d bytes of proofs", s.tally[bucketProofs].bytes)
		}
	}
	have := func(n uint32) bool { hash, _ := testHeader(n); return len(s.Proofs(n, hash)) == 1 }
	if !have(500) || !have(420) || have(1) || have(380) {
		t.Error("not the oldest were dropped")
	}
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if !have(500) || have(380) {
		t.Error("other proofs after a restart")
	}
	mustBeSound(t, s)
	mustClose(t, s)
	cfg.ProofBytes = 10_000
	s, _ = mustOpen(t, cfg)
	if s.tally[bucketProofs].bytes > 10_000 || !have(500) {
		t.Errorf("a lower bound: %d bytes", s.tally[bucketProofs].bytes)
	}
	mustClose(t, s)
}

func TestBounds(t *testing.T) {
	s, _ := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	for i := range MaxPeers {
		must(t, s.PutPeer(fmt.Sprint("peer", i), []byte{byte(i)}))
	}
	if err := s.PutPeer("one more", nil); !errors.Is(err, ErrFull) {
		t.Errorf("a peer too many: %v", err)
	}
	must(t, s.PutPeer("peer7", []byte("changed")))
	must(t, s.DeletePeer("peer8"))
	must(t, s.PutPeer("one more", nil))
	for i := range uint64(MaxAuthoritySets + 5) {
		must(t, s.PutAuthoritySet(AuthoritySet{ID: i}))
	}
	if a := s.AuthoritySets(); len(a) != MaxAuthoritySets || a[0].ID != 5 {
		t.Errorf("%d sets from %d", len(a), a[0].ID)
	}
	for name, err := range map[string]error{
		"value":      s.Put("k", "k", make([]byte, MaxValue+1)),
		"key":        s.Put("k", strings.Repeat("k", maxKey), nil),
		"kind":       s.Put(strings.Repeat("k", 33), "k", nil),
		"no kind":    s.Put("", "k", nil),
		"bad kind":   s.Put("a b", "k", nil),
		"empty id":   s.PutPeer("", nil),
		"long id":    s.PutPeer(strings.Repeat("p", maxKey+1), nil),
		"long proof": s.PutProof(1, genesis, make([]byte, MaxValue+1)),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var full error
	n := 0
	for ; full == nil; n++ {
		full = s.Put("big", fmt.Sprint(n), make([]byte, MaxValue))
	}
	if !errors.Is(full, ErrFull) || n != DefaultBytes/8/MaxValue {
		t.Errorf("%d records: %v", n, full)
	}
	must(t, s.Put("big", "0", make([]byte, MaxValue-1)))
	must(t, s.Ban("x", strings.Repeat("r", 1000), epoch.Add(time.Hour)))
	if b := s.Bans(epoch); len(b[0].Reason) != maxReason {
		t.Errorf("reason of %d bytes", len(b[0].Reason))
	}
	must(t, s.Ban("y", "", time.Unix(-5, 0)))
	must(t, s.Tick(epoch))
	if len(s.Bans(time.Unix(-10, 0))) != 1 {
		t.Error("Tick keeps expired bans")
	}
}

func TestTickCommitsRarely(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	defer s.Close()
	before := s.Stats().Commits
	for m := range 24 * 60 {
		must(t, s.PutPeer("p", []byte(fmt.Sprint(m))))
		must(t, s.Tick(epoch.Add(time.Duration(m)*time.Minute)))
	}
	if n := s.Stats().Commits - before; n != 3 { // at 6, 12 and 18 h
		t.Errorf("%d commits in 24 hours", n)
	}
	// A clock that is set back to 1970 must not stop commits for fifty years.
	at := time.Unix(0, 0)
	must(t, s.Tick(at))
	must(t, s.PutPeer("p", []byte("1970")))
	must(t, s.Tick(at.Add(6*time.Hour)))
	if s.Stats().Pending != 0 {
		t.Error("no commit after the clock was set back")
	}
	n := s.Stats().Commits
	must(t, s.PutPeer("p", []byte("1970")))
	must(t, s.Commit())
	if s.Stats().Commits != n {
		t.Error("a commit of nothing")
	}
}

func TestLocked(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	_, _, err := Open(cfg)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), cfg.Dir) {
		t.Fatal(err)
	}
	if _, err := CheckDir(t.Context(), cfg.Dir, genesis, true, nil); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	mustClose(t, s)
	for name, err := range map[string]error{
		"Close": s.Close(), "Commit": s.Commit(), "Tick": s.Tick(epoch), "WriteHead": s.WriteHead(testHead(1)),
		"PutPeer": s.PutPeer("a", nil), "DeletePeer": s.DeletePeer("a"), "Delete": s.Delete("a", "b"), "Unban": s.Unban("a"),
		"RejectHead": s.RejectHead(nil), "Backup": s.Backup(nil),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if len(s.Peers()) != 0 || s.Stats().FileBytes != 0 {
		t.Error("a closed store has contents")
	}
}

func TestWrongGenesis(t *testing.T) {
	for _, missing := range []string{"", slotsName, databaseName} {
		cfg := testConfig(t.TempDir())
		s, _ := mustOpen(t, cfg)
		must(t, s.WriteHead(testHead(1)))
		mustClose(t, s)
		if missing != "" {
			must(t, os.Remove(filepath.Join(cfg.Dir, missing)))
		}
		before := names(t, cfg.Dir)
		cfg.Genesis = foreign
		_, _, err := Open(cfg)
		if !errors.Is(err, ErrGenesis) || !strings.Contains(err.Error(), genesis.String()) || !strings.Contains(err.Error(), foreign.String()) {
			t.Errorf("without %q: %v", missing, err)
		}
		if after := names(t, cfg.Dir); !slices.Equal(before, after) {
			t.Errorf("a foreign directory was changed: %v, %v", before, after)
		}
		cfg.Genesis = genesis
		s, _ = mustOpen(t, cfg)
		mustClose(t, s)
	}
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// rewriteSchema makes the database look as if another version had written it.
func rewriteSchema(t *testing.T, dir string, number uint32) {
	t.Helper()
	d, err := openBolt(filepath.Join(dir, databaseName), DefaultBytes, false)
	must(t, err)
	var c counters
	_, err = d.commit(&c, func(tx *bolt.Tx) error { return putMeta(tx, number, genesis) })
	must(t, err)
	must(t, d.close())
}

func TestNewerSchema(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	mustClose(t, s)
	rewriteSchema(t, cfg.Dir, schema+1)
	before := names(t, cfg.Dir)
	_, _, err := Open(cfg)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "newer taolight") {
		t.Fatal(err)
	}
	if !slices.Equal(before, names(t, cfg.Dir)) {
		t.Error("a newer directory was changed")
	}
}

func TestNewerSlots(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(1)))
	mustClose(t, s)
	path := filepath.Join(cfg.Dir, slotsName)
	b, err := os.ReadFile(path)
	must(t, err)
	binary.LittleEndian.PutUint16(b[4:], slotVersion+1)
	end := slotHeader + len(testHead(1).Data)
	binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
	must(t, os.WriteFile(path, b, 0o600))
	if _, _, err := Open(cfg); !errors.Is(err, ErrNewer) {
		t.Fatal(err)
	}
}

func TestMigration(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.PutPeer("old", []byte("record")))
	mustClose(t, s)
	rewriteSchema(t, cfg.Dir, 0)
	cfg.migrations = []migration{{from: 0, run: func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("peers")).Put([]byte("new"), seal(bucketPeers, []byte("new"), []byte("migrated")))
	}}}
	s, rec := mustOpen(t, cfg)
	if !rec.Migrated || rec.MigratedFrom != 0 || rec.Backup == "" || len(rec.Lines()) != 1 {
		t.Fatalf("%+v", rec)
	}
	if p := s.Peers(); string(p["old"]) != "record" || string(p["new"]) != "migrated" {
		t.Errorf("%q", p)
	}
	mustBeSound(t, s)
	mustClose(t, s)
	// The copy is the old file, whole.
	c, err := checkDatabase(filepath.Join(cfg.Dir, rec.Backup), nil)
	if err != nil || c.schema != 0 || c.records[bucketPeers].records != 1 {
		t.Fatal(err, c)
	}
	s, rec = mustOpen(t, cfg)
	if rec.Migrated {
		t.Error("migrated twice")
	}
	mustClose(t, s)
}

// TestMigrationFails: what cannot be migrated is rebuilt, since all of it can be had again.
func TestMigrationFails(t *testing.T) {
	for name, m := range map[string][]migration{
		"none":  {},
		"error": {{from: 0, run: func(*bolt.Tx) error { return errors.New("no way") }}},
		"panic": {{from: 0, run: func(*bolt.Tx) error { panic("no way") }}},
	} {
		cfg := testConfig(t.TempDir())
		s, _ := mustOpen(t, cfg)
		must(t, s.WriteHead(testHead(3)))
		must(t, s.PutPeer("old", nil))
		mustClose(t, s)
		rewriteSchema(t, cfg.Dir, 0)
		cfg.migrations = m
		s, rec := mustOpen(t, cfg)
		if rec.Migrated || len(rec.Moved) != 1 || rec.Moved[0].File != databaseName {
			t.Errorf("%s: %+v", name, rec)
		}
		if h, ok := s.Head(); !ok || h.Number != 3 || len(s.Peers()) != 0 {
			t.Errorf("%s: head %d", name, h.Number)
		}
		mustBeSound(t, s)
		mustClose(t, s)
	}
}

func TestUncleanStart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	for i := range 3 {
		s, rec := mustOpen(t, cfg)
		if rec.Unclean != (i > 0) || rec.UncleanStarts != uint64(i) || rec.Starts != uint64(i+1) {
			t.Errorf("start %d: %+v", i, rec)
		}
		must(t, s.detach()) // as the end of the process would
	}
	s, _ := mustOpen(t, cfg)
	mustClose(t, s)
	s, rec := mustOpen(t, cfg)
	if rec.Unclean || rec.UncleanStarts != 3 {
		t.Errorf("after Close: %+v", rec)
	}
	mustClose(t, s)
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				n := uint32(i)
				hash, b := testHeader(n)
				s.PutHeader(n, hash, b)
				s.Header(n)
				s.SetHead(testHead(n))
				s.Head()
				s.PutPeer(fmt.Sprint(g, i), b)
				s.Peers()
				s.Tick(epoch.Add(time.Duration(i) * time.Hour))
				s.Stats()
				if i%10 == 0 {
					s.Commit()
					s.Check(t.Context(), true, nil)
					var buf bytes.Buffer
					if err := s.Backup(&buf); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.Peers()); n != 400 {
		t.Errorf("%d peers", n)
	}
	mustBeSound(t, s)
	mustClose(t, s)
}
