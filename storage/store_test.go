package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestHeadEvery(t *testing.T) {
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
	if w, y := after.HeadWrites-before.HeadWrites, after.Syncs-before.Syncs; w != 7 || y != 7 {
		t.Errorf("%d heads written, %d syncs", w, y)
	}
	if after.HeadWritten != 1900 {
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
