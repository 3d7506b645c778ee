package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exhaustive asks for every byte where the default is a sample.
var exhaustive = os.Getenv("TAOLIGHT_EXHAUSTIVE") != ""

// fill puts some of everything into a store. What belongs to a key can be told from the key alone, see checkFilled.
func fill(t testing.TB, s *Store) {
	t.Helper()
	for n := uint32(1); n <= 40; n++ {
		hash, b := testHeader(n)
		must(t, s.PutHeader(n, hash, b))
		must(t, s.SetHead(testHead(n)))
	}
	hash, b := testHeader(40)
	must(t, s.PutProof(40, hash, bytes.Repeat(b, 40))) // more than a page
	must(t, s.PutAuthoritySet(AuthoritySet{6, []byte("set"), b, hash[:]}))
	for i := range 30 {
		id := fmt.Sprintf("peer%02d", i)
		must(t, s.PutPeer(id, bytes.Repeat([]byte(id), 20)))
	}
	must(t, s.Ban("liar", "liar lied", epoch.Add(time.Hour)))
	must(t, s.Put("kind", "key", []byte("kind key")))
	must(t, s.Commit())
	must(t, s.WriteHead(testHead(41)))
}

// checkFilled reads everything back: each record is as fill wrote it, or gone.
func checkFilled(s *Store) error {
	if h, ok := s.Head(); ok && !sameHead(h, testHead(40)) && !sameHead(h, testHead(41)) && !sameHead(h, testHead(42)) {
		return fmt.Errorf("head %d was never written", h.Number)
	}
	for n := uint32(0); n <= 50; n++ {
		hash, b := testHeader(n)
		if h, ok := s.Header(n); ok && (h.Hash != hash || !bytes.Equal(h.SCALE, b)) {
			return fmt.Errorf("header %d differs", n)
		}
	}
	hash, b := testHeader(40)
	for _, p := range s.Proofs(40, hash) {
		if !bytes.Equal(p, bytes.Repeat(b, 40)) {
			return errors.New("proof differs")
		}
	}
	for _, a := range s.AuthoritySets() {
		if a.ID != 6 || string(a.Set) != "set" || !bytes.Equal(a.Header, b) || !bytes.Equal(a.Justification, hash[:]) {
			return errors.New("authority set differs")
		}
	}
	for id, r := range s.Peers() {
		if len(id) != 6 || !strings.HasPrefix(id, "peer") || !bytes.Equal(r, bytes.Repeat([]byte(id), 20)) {
			return fmt.Errorf("peer %q differs", id)
		}
	}
	for _, b := range s.Bans(epoch) {
		if b != (Ban{"liar", "liar lied", epoch.Add(time.Hour)}) {
			return fmt.Errorf("ban %v differs", b)
		}
	}
	if v, ok := s.Get("kind", "key"); ok && string(v) != "kind key" {
		return errors.New("other differs")
	}
	return nil
}

// smallStore returns the two files of a filled store, the database without its unused end.
func smallStore(t testing.TB) (slotsFile, database []byte) {
	t.Helper()
	cfg := testConfig(memoryDir(t))
	s, _ := mustOpen(t, cfg)
	fill(t, s)
	mustClose(t, s)
	slotsFile, err := os.ReadFile(filepath.Join(cfg.Dir, slotsName))
	must(t, err)
	database, err = os.ReadFile(filepath.Join(cfg.Dir, databaseName))
	must(t, err)
	c, err := checkPages(bytes.NewReader(database), int64(len(database)), nil)
	must(t, err)
	return slotsFile, database[:c.pages*pageSize]
}

// survive opens a store with these files, a nil one being absent, and demands what Open promises: it opens, shows nothing
// that was not written, takes new records, and is sound afterwards. It returns what Open found.
func survive(t testing.TB, dir string, slotsFile, database []byte) *Recovery {
	t.Helper()
	must(t, os.RemoveAll(dir))
	must(t, os.MkdirAll(dir, 0o700))
	if slotsFile != nil {
		must(t, os.WriteFile(filepath.Join(dir, slotsName), slotsFile, 0o600))
	}
	if database != nil {
		must(t, os.WriteFile(filepath.Join(dir, databaseName), database, 0o600))
	}
	return surviveDir(t, dir)
}

func surviveDir(t testing.TB, dir string) *Recovery {
	t.Helper()
	cfg := testConfig(dir)
	s, rec, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	must(t, s.Degraded())
	must(t, checkFilled(s))
	hash, b := testHeader(45)
	must(t, s.PutHeader(45, hash, b))
	must(t, s.PutPeer("peer99", bytes.Repeat([]byte("peer99"), 20)))
	must(t, s.WriteHead(testHead(42)))
	must(t, s.Commit())
	must(t, checkFilled(s))
	mustBeSound(t, s)
	mustClose(t, s)
	for _, m := range rec.Moved {
		if _, err := os.Lstat(filepath.Join(dir, m.To)); err != nil || m.To != fmt.Sprintf("%s.damaged-%d", m.File, epoch.Unix()) || m.Reason == "" {
			t.Fatalf("%+v: %v", m, err)
		}
	}
	r, err := CheckDir(t.Context(), dir, genesis, true, nil)
	must(t, err)
	if !r.OK() || !r.HasHead || r.Head.Number != 42 || r.Records["peers"] == 0 {
		t.Fatalf("%+v", r)
	}
	return rec
}

// TestCutAnywhere shortens each file to any length.
func TestCutAnywhere(t *testing.T) {
	slotsFile, database := smallStore(t)
	dir := memoryDir(t)
	for n := range slotsFile {
		im, err := decodeSlots(slotsFile[:n], genesis)
		if err != nil || im.damage() == nil {
			t.Fatalf("%d bytes of slots: %v %v", n, err, im.damage())
		}
		if im.best >= 0 && !sameHead(im.rec.head, testHead(41)) && !sameHead(im.rec.head, testHead(40)) {
			t.Fatalf("%d bytes of slots: head %d", n, im.rec.head.Number)
		}
		if n%331 == 0 || exhaustive {
			rec := survive(t, dir, slotsFile[:n], database)
			if len(rec.Moved) != 1 || rec.Moved[0].File != slotsName {
				t.Fatalf("%d bytes of slots: %+v", n, rec)
			}
		}
	}
	for n := range database {
		if _, err := checkPages(bytes.NewReader(database[:n]), int64(n), nil); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes of database: %v", n, err)
		}
		if n%pageSize == 0 || n%977 == 0 || exhaustive {
			rec := survive(t, dir, slotsFile, database[:n])
			if len(rec.Moved) != 1 || rec.Moved[0].File != databaseName {
				t.Fatalf("%d bytes of database: %+v", n, rec)
			}
		}
	}
	if rec := survive(t, dir, slotsFile, database); len(rec.Moved) != 0 {
		t.Fatalf("a database cut behind its last page: %+v", rec)
	}
}

// TestForeignFiles: whatever lies where our files should be.
func TestForeignFiles(t *testing.T) {
	slotsFile, database := smallStore(t)
	contents := map[string][]byte{
		"empty": {}, "zero": make([]byte, 64<<10), "ones": bytes.Repeat([]byte{0xFF}, 64<<10), "text": []byte("not a database\n"),
		"sqlite": append([]byte("SQLite format 3\x00\x10\x00"), make([]byte, 8192)...), "one byte": {7},
		"slots": slotsFile, "database": database,
	}
	dir := memoryDir(t)
	for name, b := range contents {
		t.Run(name, func(t *testing.T) {
			if name != "database" {
				if rec := survive(t, dir, slotsFile, b); len(rec.Moved) != 1 || rec.Moved[0].File != databaseName {
					t.Errorf("as database: %+v", rec)
				}
			}
			if name != "slots" {
				if rec := survive(t, dir, b, database); len(rec.Moved) != 1 || rec.Moved[0].File != slotsName {
					t.Errorf("as slots: %+v", rec)
				}
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		for _, f := range [][2][]byte{{slotsFile, nil}, {nil, database}, {nil, nil}} {
			if rec := survive(t, dir, f[0], f[1]); len(rec.Moved) != 0 {
				t.Errorf("%+v", rec)
			}
		}
	})
	t.Run("blank slots", func(t *testing.T) {
		for _, c := range []byte{0x00, 0xFF} {
			if rec := survive(t, dir, bytes.Repeat([]byte{c}, slotsSize), database); len(rec.Moved) != 0 {
				t.Errorf("%+v", rec)
			}
		}
	})
	for _, file := range []string{slotsName, databaseName} {
		other := filepath.Join(t.TempDir(), "other")
		must(t, os.WriteFile(other, []byte("precious"), 0o600))
		odd := map[string]func(path string) error{
			"directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
			"link":      func(path string) error { return os.Symlink(other, path) },
			"dangling":  func(path string) error { return os.Symlink(other+"-none", path) },
			"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"socket":    func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0) },
		}
		for name, f := range odd {
			t.Run(file+" "+name, func(t *testing.T) {
				must(t, os.RemoveAll(dir))
				must(t, os.MkdirAll(dir, 0o700))
				if err := f(filepath.Join(dir, file)); err != nil {
					t.Skip(err)
				}
				if rec := surviveDir(t, dir); len(rec.Moved) != 1 || rec.Moved[0].File != file {
					t.Errorf("%+v", rec)
				}
				if b, err := os.ReadFile(other); err != nil || string(b) != "precious" {
					t.Error("a file outside was changed")
				}
				if _, err := os.Lstat(other + "-none"); !errors.Is(err, fs.ErrNotExist) {
					t.Error("a file outside was made")
				}
			})
		}
	}
	if _, _, err := Open(testConfig("/dev/null")); err == nil {
		t.Error("a device was taken for a directory")
	}
}

// TestDamagedCopiesAreBounded: a card that fails at every start must not fill up.
func TestDamagedCopiesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 8 {
		must(t, os.WriteFile(filepath.Join(dir, databaseName), []byte("damaged"), 0o600))
		cfg := testConfig(dir)
		cfg.Now = func() time.Time { return epoch.Add(time.Duration(i/2) * time.Second) } // two at a time
		s, rec, err := Open(cfg)
		must(t, err)
		if len(rec.Moved) != 1 {
			t.Fatalf("%+v", rec)
		}
		if _, err := os.Stat(filepath.Join(dir, rec.Moved[0].To)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
	}
	n := 0
	for _, name := range names(t, dir) {
		if strings.Contains(name, ".damaged-") {
			n++
		}
	}
	if n != keepMoved {
		t.Errorf("%d damaged copies: %v", n, names(t, dir))
	}
}
