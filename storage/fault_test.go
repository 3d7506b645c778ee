package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var errInjected = errors.New("injected fault")

// failingFile fails as told: a write before or in the middle of it, or the sync after it.
type failingFile struct {
	slotFile
	mode *string
}

func (f failingFile) WriteAt(b []byte, off int64) (int, error) {
	switch *f.mode {
	case "write":
		return 0, errInjected
	case "short":
		n, _ := f.slotFile.WriteAt(b[:len(b)/2], off)
		return n, errInjected
	}
	return f.slotFile.WriteAt(b, off)
}

func (f failingFile) Datasync() error {
	if *f.mode == "sync" {
		return errInjected
	}
	return f.slotFile.Datasync()
}

// TestFailingSlots: while the file fails, heads go on in memory, the last good one on disk is never touched, and writing
// resumes by itself.
func TestFailingSlots(t *testing.T) {
	for _, failure := range []string{"write", "short", "sync"} {
		t.Run(failure, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			plain, err := cfg.withDefaults()
			must(t, err)
			mode := ""
			cfg.openSlots = func(path string, flag int) (slotFile, error) {
				f, err := plain.openSlots(path, flag)
				return failingFile{f, &mode}, err
			}
			s, _ := mustOpen(t, cfg)
			must(t, s.WriteHead(testHead(10)))
			must(t, s.WriteHead(testHead(11)))
			mode = failure
			for n := uint32(12); n < 16; n++ {
				if err := s.WriteHead(testHead(n)); !errors.Is(err, errInjected) {
					t.Fatal(err)
				}
				if h, ok := s.Head(); !ok || !sameHead(h, testHead(n)) {
					t.Fatal("memory does not go on")
				}
				b, err := os.ReadFile(filepath.Join(cfg.Dir, slotsName))
				must(t, err)
				im, err := decodeSlots(b, genesis)
				must(t, err)
				if h := im.rec.head; !sameHead(h, testHead(11)) && !(failure == "sync" && sameHead(h, testHead(n))) {
					t.Fatalf("head %d on disk", h.Number)
				}
			}
			if err := s.Degraded(); !errors.Is(err, errInjected) {
				t.Fatal(err)
			}
			must(t, s.SetHead(testHead(200))) // due, but with a fault Tick decides
			if err := s.WriteHead(testHead(9)); !errors.Is(err, ErrBackwards) {
				t.Fatal(err)
			}
			now := epoch
			if err := s.Tick(now); !errors.Is(err, errInjected) {
				t.Fatal(err)
			}
			tries := s.Stats().Failures
			for range 30 { // no more than one try a minute
				now = now.Add(time.Second)
				must(t, s.Tick(now))
			}
			if s.Stats().Failures != tries {
				t.Error("tries too often")
			}
			mode = ""
			for i := 0; s.Degraded() != nil && i < 60; i++ {
				now = now.Add(time.Minute)
				must(t, s.Tick(now))
			}
			must(t, s.Degraded())
			if s.Stats().HeadWritten != 200 {
				t.Error("the head was not written when it could be")
			}
			mustClose(t, s)
			s, _ = mustOpen(t, cfg)
			if h, _ := s.Head(); !sameHead(h, testHead(200)) {
				t.Error("another head after a restart")
			}
			mustClose(t, s)
		})
	}
}

// TestFailingAtClose: an end with a fault is not a clean one.
func TestFailingAtClose(t *testing.T) {
	cfg := testConfig(t.TempDir())
	fail := false
	cfg.commitFault = func() error {
		if fail {
			return errInjected
		}
		return nil
	}
	s, _ := mustOpen(t, cfg)
	must(t, s.PutPeer("a", nil))
	fail = true
	if err := s.Close(); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	fail = false
	s, rec := mustOpen(t, cfg)
	if !rec.Unclean {
		t.Error("the end was marked as clean")
	}
	mustClose(t, s)
}

// TestFailingCommit: the batch stays whole and is committed later.
func TestFailingCommit(t *testing.T) {
	cfg := testConfig(t.TempDir())
	fail := true
	cfg.commitFault = func() error {
		if fail {
			return errInjected
		}
		return nil
	}
	s, _, err := Open(cfg)
	must(t, err)
	for i := range 10 {
		must(t, s.PutPeer(fmt.Sprint(i), []byte("x")))
		if err := s.Commit(); !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
	}
	if len(s.Peers()) != 10 || !errors.Is(s.Degraded(), errInjected) {
		t.Fatal("memory does not go on")
	}
	must(t, s.WriteHead(testHead(5))) // the other file is not affected
	if !errors.Is(s.Degraded(), errInjected) {
		t.Fatal("a written head hides the other fault")
	}
	// Memory is bounded all the while.
	var full error
	for i := 0; full == nil; i++ {
		full = s.PutProof(uint32(i), genesis, bytes.Repeat([]byte{byte(i)}, MaxValue))
	}
	if !errors.Is(full, ErrFull) || s.Stats().PendingBytes > maxPending {
		t.Fatalf("%v with %d bytes", full, s.Stats().PendingBytes)
	}
	fail = false
	must(t, s.Tick(epoch.Add(time.Hour)))
	must(t, s.Degraded())
	if s.Stats().Pending != 0 {
		t.Error("not committed")
	}
	mustBeSound(t, s)
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if len(s.Peers()) != 10 {
		t.Error("the batch was lost")
	}
	mustClose(t, s)
}

// TestFaultInBolt: a panic within bbolt costs the open database, not the process, the batch or the head.
func TestFaultInBolt(t *testing.T) {
	cfg := testConfig(t.TempDir())
	armed := false
	cfg.commitFault = func() error { return nil }
	s, _ := mustOpen(t, cfg)
	must(t, s.PutPeer("saved", []byte("x")))
	must(t, s.Commit())
	must(t, s.PutPeer("waits", []byte("y")))
	s.commitFault = func() error {
		if armed {
			return nil
		}
		armed = true
		// The file shrinks under the map: reading a page is then a bus error.
		return os.Truncate(filepath.Join(cfg.Dir, databaseName), 0)
	}
	if err := s.Commit(); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if p := s.Peers(); string(p["waits"]) != "y" {
		t.Error("the batch was lost")
	}
	must(t, s.WriteHead(testHead(7)))
	if s.Degraded() == nil {
		t.Error("not degraded")
	}
	must(t, s.Tick(epoch))
	must(t, s.Tick(epoch.Add(5*time.Minute)))
	must(t, s.Degraded())
	if p := s.Peers(); string(p["waits"]) != "y" || s.Stats().Pending != 0 {
		t.Errorf("%q, %d pending", p, s.Stats().Pending)
	}
	if m := s.Stats().Moved; len(m) != 1 || m[0].File != databaseName {
		t.Errorf("%+v", m)
	}
	mustBeSound(t, s)
	mustClose(t, s)
	s, rec := mustOpen(t, cfg)
	if rec.Unclean || len(s.Peers()) != 1 {
		t.Errorf("%+v", rec)
	}
	mustClose(t, s)
}

// TestFaultInRead: the same when a read meets it.
func TestFaultInRead(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.PutPeer("saved", []byte("x")))
	must(t, s.Commit())
	must(t, s.WriteHead(testHead(3)))
	must(t, os.Truncate(filepath.Join(cfg.Dir, databaseName), 0))
	if len(s.Peers()) != 0 || s.Degraded() == nil {
		t.Error("a fault was not noticed")
	}
	must(t, s.PutPeer("new", []byte("z")))
	must(t, s.Tick(epoch))
	must(t, s.Tick(epoch.Add(5*time.Minute)))
	must(t, s.Degraded())
	mustBeSound(t, s)
	mustClose(t, s)
}

// TestShed: a database that has reached its size gives up proofs and goes on.
func TestShed(t *testing.T) {
	cfg := testConfig(memoryDir(t))
	cfg.MaxBytes = minBytes
	cfg.ProofBytes = minBytes / 2
	s, _ := mustOpen(t, cfg)
	for i := range uint32(24) {
		must(t, s.PutProof(i, genesis, bytes.Repeat([]byte{byte(i)}, 75_000)))
		must(t, s.Commit())
	}
	// Sets have no bound in bytes, so they can fill what is left.
	for i := range uint64(22) {
		must(t, s.PutAuthoritySet(AuthoritySet{ID: i, Set: bytes.Repeat([]byte{byte(i)}, 100_000)}))
		must(t, s.Commit())
	}
	must(t, s.Degraded())
	if n := s.Stats().Records["proofs"]; n != 0 {
		t.Errorf("%d proofs", n)
	}
	if len(s.AuthoritySets()) != 22 || s.Stats().FileBytes > minBytes {
		t.Errorf("%d sets in %d bytes", len(s.AuthoritySets()), s.Stats().FileBytes)
	}
	mustBeSound(t, s)
	var err error
	for i := uint64(22); err == nil && i < 100; i++ {
		must(t, s.PutAuthoritySet(AuthoritySet{ID: i, Set: bytes.Repeat([]byte{byte(i)}, 100_000)}))
		err = s.Commit()
	}
	if err == nil || s.Degraded() == nil {
		t.Error("the database has no bound")
	}
	must(t, s.WriteHead(testHead(1)))
	s.Close()
	s, rec := mustOpen(t, cfg)
	if len(rec.Moved) != 0 {
		t.Errorf("%+v", rec)
	}
	mustBeSound(t, s)
	mustClose(t, s)
}

// TestLockedByProcess: the lock holds between processes and names the directory.
func TestLockedByProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_MODE=hold")
	in, err := child.StdinPipe()
	must(t, err)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	buf := make([]byte, 1)
	if _, err := out.Read(buf); err != nil { // the child has it open
		t.Fatal(err)
	}
	if _, _, err := Open(testConfig(dir)); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
	in.Close()
	must(t, child.Wait())
	s, _ := mustOpen(t, testConfig(dir))
	mustClose(t, s)
}
