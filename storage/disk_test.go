package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mount mounts a file system for a test, or skips it.
func mount(t *testing.T, kind, options string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting takes root")
	}
	dir := t.TempDir()
	if err := syscall.Mount(kind, dir, kind, 0, options); err != nil {
		t.Skipf("mount of a %s: %v", kind, err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// TestDiskFull fills a small file system, goes on, and frees it again.
func TestDiskFull(t *testing.T) {
	dir := mount(t, "tmpfs", "size=1m")
	cfg := testConfig(filepath.Join(dir, "store"))
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(1)))
	must(t, s.PutPeer("first", []byte("x")))
	must(t, s.Commit())
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("proof "), 20_000)
	must(t, s.PutProof(2, genesis, big))
	if err := s.Commit(); err == nil {
		t.Fatal("a commit to a full disk")
	}
	if err := s.Degraded(); err == nil {
		t.Fatal("not degraded")
	}
	must(t, s.WriteHead(testHead(2))) // its blocks are there already
	must(t, s.PutPeer("second", []byte("y")))
	now := epoch
	for range 30 { // tries in vain, with longer and longer waits
		now = now.Add(time.Minute)
		s.Tick(now)
	}
	if p := s.Peers(); len(p) != 2 || len(s.Proofs(2, genesis)) != 1 {
		t.Errorf("memory does not go on: %q", p)
	}
	must(t, os.Remove(ballast))
	for i := 0; s.Degraded() != nil && i < 60; i++ {
		now = now.Add(time.Minute)
		s.Tick(now)
	}
	must(t, s.Degraded())
	if st := s.Stats(); st.Pending != 0 || len(st.Moved) != 0 {
		t.Errorf("%+v", st)
	}
	mustBeSound(t, s)
	mustClose(t, s)
	s, rec := mustOpen(t, cfg)
	if p := s.Peers(); len(p) != 2 || len(s.Proofs(2, genesis)) != 1 || rec.Unclean {
		t.Errorf("after a restart: %q, %+v", p, rec)
	}
	mustClose(t, s)
}

// TestOpenOnFullDisk: a store that cannot even be made lives in memory until it can.
func TestOpenOnFullDisk(t *testing.T) {
	dir := mount(t, "tmpfs", "size=64k")
	must(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 56<<10), 0o600))
	cfg := testConfig(filepath.Join(dir, "store"))
	s, rec, err := Open(cfg)
	must(t, err)
	if !errors.Is(rec.Degraded, ErrReadOnly) || !errors.Is(rec.Degraded, syscall.ENOSPC) || len(rec.Lines()) != 1 {
		t.Fatalf("%+v", rec)
	}
	if err := s.WriteHead(testHead(4)); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	must(t, s.PutPeer("p", []byte("x")))
	if h, ok := s.Head(); !ok || h.Number != 4 || len(s.Peers()) != 1 {
		t.Error("memory does not go on")
	}
	must(t, os.Remove(filepath.Join(dir, "ballast")))
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"))
	must(t, s.Tick(epoch))
	must(t, s.Degraded())
	mustBeSound(t, s)
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if h, ok := s.Head(); !ok || h.Number != 4 || len(s.Peers()) != 1 {
		t.Error("what was in memory did not reach the disk")
	}
	mustClose(t, s)
}

// TestReadOnlyDisk: everything can be read, nothing is lost, and writing begins when it may.
func TestReadOnlyDisk(t *testing.T) {
	dir := mount(t, "tmpfs", "size=8m")
	cfg := testConfig(filepath.Join(dir, "store"))
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(1)))
	must(t, s.PutPeer("old", []byte("x")))
	mustClose(t, s)
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	s, rec, err := Open(cfg)
	must(t, err)
	if !errors.Is(rec.Degraded, ErrReadOnly) || !errors.Is(s.Degraded(), syscall.EROFS) {
		t.Fatalf("%+v", rec)
	}
	if h, ok := s.Head(); !ok || h.Number != 1 || len(s.Peers()) != 1 {
		t.Fatal("what is on disk was not read")
	}
	if err := s.WriteHead(testHead(2)); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	must(t, s.SetHead(testHead(60)))
	must(t, s.PutPeer("new", []byte("y")))
	if err := s.Commit(); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if _, _, err := Open(cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := s.Check(t.Context(), true, nil); err != nil {
		t.Error(err)
	}
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, ""))
	must(t, s.Tick(epoch))
	must(t, s.Tick(epoch.Add(3*time.Minute)))
	must(t, s.Degraded())
	mustBeSound(t, s)
	mustClose(t, s)
	s, rec = mustOpen(t, cfg)
	if h, _ := s.Head(); h.Number != 60 || len(s.Peers()) != 2 || rec.Unclean {
		t.Errorf("head %d, %d peers, %+v", h.Number, len(s.Peers()), rec)
	}
	mustClose(t, s)
	// Damaged on a disk that cannot be written: the damage stays where it is, and the store in memory.
	must(t, os.WriteFile(filepath.Join(cfg.Dir, databaseName), []byte("damaged"), 0o600))
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	s, rec, err = Open(cfg)
	must(t, err)
	if h, _ := s.Head(); h.Number != 60 || len(rec.Moved) != 1 || rec.Moved[0].To != "" || rec.Degraded == nil {
		t.Errorf("head %d, %+v", h.Number, rec)
	}
	must(t, s.PutPeer("new", nil))
	s.Close()
}

// TestRejectedOnReadOnlyDisk: a head that was found false does not come back when the disk can be written at last.
func TestRejectedOnReadOnlyDisk(t *testing.T) {
	dir := mount(t, "tmpfs", "size=8m")
	cfg := testConfig(filepath.Join(dir, "store"))
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(100)))
	mustClose(t, s)
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	s, _, err := Open(cfg)
	must(t, err)
	if err := s.RejectHead(errInjected); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := s.WriteHead(testHead(50)); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, ""))
	must(t, s.Tick(epoch))
	must(t, s.Degraded())
	if h, _ := s.Head(); !sameHead(h, testHead(50)) {
		t.Errorf("head %d", h.Number)
	}
	if m := s.Stats().Moved; len(m) != 1 || m[0].File != slotsName || !strings.Contains(m[0].Reason, errInjected.Error()) {
		t.Errorf("%+v", m)
	}
	mustClose(t, s)
	s, rec := mustOpen(t, cfg)
	if h, _ := s.Head(); !sameHead(h, testHead(50)) || rec.Starts != 3 {
		t.Errorf("head %d, %+v", h.Number, rec)
	}
	mustClose(t, s)
}

// TestDiskComesLate: a directory that could not be made at first turns out to hold a store that is further on. Its head is
// neither taken over unseen nor overwritten by a lower one.
func TestDiskComesLate(t *testing.T) {
	dir := mount(t, "tmpfs", "size=8m")
	cfg := testConfig(filepath.Join(dir, "store"))
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	s, rec, err := Open(cfg)
	must(t, err)
	if !errors.Is(rec.Degraded, ErrReadOnly) {
		t.Errorf("%+v", rec)
	}
	if err := s.WriteHead(testHead(10)); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	must(t, s.PutPeer("memory", nil))
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, ""))
	other, _ := mustOpen(t, cfg)
	must(t, other.WriteHead(testHead(1000)))
	must(t, other.PutPeer("disk", nil))
	if err := s.Tick(epoch); !errors.Is(err, ErrLocked) {
		t.Errorf("while another has it: %v", err)
	}
	mustClose(t, other)
	s.Tick(epoch.Add(time.Hour))
	must(t, s.Degraded())
	must(t, s.WriteHead(testHead(11)))
	if h, _ := s.Head(); h.Number != 11 || len(s.Peers()) != 2 || s.Stats().HeadWritten != 1000 {
		t.Errorf("head %d, %d peers", h.Number, len(s.Peers()))
	}
	must(t, s.SetHead(testHead(1150)))
	if s.Stats().HeadWritten != 1150 {
		t.Error("a higher head was not written")
	}
	mustBeSound(t, s)
	mustClose(t, s)
}

// TestRebuildOnFullDisk: a slot file that must be made anew when there is no room for it. Its head is in memory only for
// a while, and is on disk again as soon as that goes.
func TestRebuildOnFullDisk(t *testing.T) {
	dir := mount(t, "tmpfs", "size=2m")
	cfg := testConfig(filepath.Join(dir, "store"))
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(70)))
	mustClose(t, s)
	must(t, os.Truncate(filepath.Join(cfg.Dir, slotsName), slotSize))
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	s, rec, err := Open(cfg)
	must(t, err)
	if h, _ := s.Head(); !sameHead(h, testHead(70)) || !errors.Is(rec.Degraded, syscall.ENOSPC) || len(rec.Moved) != 1 {
		t.Fatalf("head %d, %+v", h.Number, rec)
	}
	must(t, os.Remove(ballast))
	must(t, s.Tick(epoch))
	must(t, s.Degraded())
	must(t, s.detach()) // the end of the process
	s, _ = mustOpen(t, cfg)
	if h, _ := s.Head(); !sameHead(h, testHead(70)) {
		t.Errorf("head %d", h.Number)
	}
	mustClose(t, s)
}

// TestReserve: the last of the disk is left to others.
func TestReserve(t *testing.T) {
	dir := mount(t, "tmpfs", "size=8m")
	cfg := testConfig(filepath.Join(dir, "store"))
	cfg.Reserve = 7 << 20
	s, _ := mustOpen(t, cfg)
	must(t, s.PutPeer("a", nil))
	must(t, s.Commit())
	must(t, os.WriteFile(filepath.Join(dir, "others"), make([]byte, 2<<20), 0o600))
	must(t, s.PutPeer("b", nil))
	if err := s.Commit(); !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	must(t, s.WriteHead(testHead(1)))
	must(t, os.Remove(filepath.Join(dir, "others")))
	must(t, s.Tick(epoch.Add(time.Hour)))
	must(t, s.Degraded())
	mustClose(t, s)
}
