package storage

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// diskImage is what both files hold.
func diskImage(t testing.TB, dir string) (out []byte) {
	t.Helper()
	for _, name := range []string{slotsName, databaseName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		out = append(out, b...)
	}
	return out
}

// TestQuiet: while it is quiet a store takes everything and writes no byte, whatever it is asked; afterwards it
// writes what has waited.
func TestQuiet(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	now := runBlocks(t, s, 1, 60, epoch)
	must(t, s.Commit())
	s.Quiet(true)
	before, stats := diskImage(t, cfg.Dir), s.Stats()
	rng := rand.New(rand.NewPCG(1, 1))
	for n := uint32(61); n < 400; n++ {
		must(t, s.WriteHead(chainHead(n, rng)))
		hash, b := testHeader(n)
		must(t, s.PutHeader(n, hash, b))
		must(t, s.PutPeer("peer", []byte{byte(n)}))
		now = now.Add(10 * time.Minute) // past the pace of commits
		must(t, s.Tick(now))
		must(t, s.Commit())
	}
	if err := s.Backup(new(bytes.Buffer)); !errors.Is(err, ErrQuiet) {
		t.Errorf("backup: %v", err)
	}
	if st := s.Stats(); st.BytesWritten != stats.BytesWritten || st.Syncs != stats.Syncs || !bytes.Equal(before, diskImage(t, cfg.Dir)) {
		t.Errorf("%d bytes and %d syncs were written", st.BytesWritten-stats.BytesWritten, st.Syncs-stats.Syncs)
	}
	if h, _ := s.Head(); h.Number != 399 {
		t.Errorf("head %d in memory", h.Number)
	}
	must(t, s.Degraded())
	s.Quiet(false)
	must(t, s.Tick(now.Add(24*time.Hour)))
	must(t, s.Commit())
	mustClose(t, s)
	s, rec := mustOpen(t, cfg)
	if h, _ := s.Head(); h.Number != 399 || rec.Unclean {
		t.Errorf("head %d, unclean %v", h.Number, rec.Unclean)
	}
	if b := s.Peers()["peer"]; len(b) != 1 || b[0] != 399%256 {
		t.Errorf("peer %v", b)
	}
	mustClose(t, s)
}

// TestQuietFull: what waits is bounded, and an error says so.
func TestQuietFull(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	s.Quiet(true)
	var err error
	for n := uint32(1); err == nil && n < 1000; n++ {
		err = s.PutProof(n, genesis, bytes.Repeat([]byte{byte(n)}, 200_000))
	}
	if !errors.Is(err, ErrFull) || !errors.Is(err, ErrQuiet) {
		t.Error(err)
	}
	must(t, s.Close())
	s, rec := mustOpen(t, cfg) // the end was not written either
	if !rec.Unclean {
		t.Error("a store that was closed while quiet calls itself clean")
	}
	mustClose(t, s)
}

// TestOpenQuiet: a store that is opened quiet gives what it holds and writes no byte, not even that a run has begun;
// that, and what was taken meanwhile, is written once it may be.
func TestOpenQuiet(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(100)))
	must(t, s.Put("power", "state", []byte("full")))
	mustClose(t, s)
	before := diskImage(t, cfg.Dir)
	cfg.Quiet = true
	s, rec := mustOpen(t, cfg)
	if h, ok := s.Head(); !ok || h.Number != 100 || rec.Starts != 2 || rec.Unclean {
		t.Errorf("head %d, %+v", h.Number, rec)
	}
	if b, _ := s.Get("power", "state"); string(b) != "full" {
		t.Errorf("state %q", b)
	}
	must(t, s.WriteHead(testHead(101)))
	must(t, s.Tick(epoch))
	mustClose(t, s)
	if !bytes.Equal(before, diskImage(t, cfg.Dir)) {
		t.Error("something was written by a store that was quiet from its start to its end")
	}
	s, _ = mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(102)))
	s.Quiet(false)
	must(t, s.Tick(epoch)) // the mark and the head, without waiting for a commit
	cut := t.TempDir()
	for _, name := range []string{slotsName, databaseName} {
		b, err := os.ReadFile(filepath.Join(cfg.Dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(cut, name), b, 0o600))
	}
	mustClose(t, s)
	s, rec = mustOpen(t, testConfig(cut))
	if h, _ := s.Head(); h.Number != 102 || !rec.Unclean || rec.Starts != 3 {
		t.Errorf("head %d, %+v", h.Number, rec)
	}
	mustClose(t, s)
}

// TestOpenQuietBroken: what a quiet store would have to make or mend waits as well. Until then it runs from memory.
func TestOpenQuietBroken(t *testing.T) {
	files := func(dir string) (list []string) {
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	for _, broken := range []string{"", slotsName, databaseName} { // "": there is no file
		cfg := testConfig(t.TempDir())
		if broken != "" {
			s, _ := mustOpen(t, cfg)
			must(t, s.WriteHead(testHead(100)))
			mustClose(t, s)
			must(t, os.WriteFile(filepath.Join(cfg.Dir, broken), []byte("none of ours"), 0o600))
		}
		must(t, os.WriteFile(filepath.Join(cfg.Dir, slotsName+".tmp"), nil, 0o600))
		before := files(cfg.Dir)
		cfg.Quiet = true
		s, _, err := Open(cfg)
		must(t, err)
		if !errors.Is(s.Degraded(), ErrQuiet) {
			t.Errorf("%q: %v", broken, s.Degraded())
		}
		must(t, s.WriteHead(testHead(200)))
		must(t, s.Put("power", "state", []byte("full")))
		must(t, s.Tick(epoch))
		if now := files(cfg.Dir); !slices.Equal(before, now) {
			t.Errorf("%q: %v became %v", broken, before, now)
		}
		s.Quiet(false)
		must(t, s.Tick(epoch.Add(time.Minute)))
		must(t, s.Degraded())
		mustClose(t, s)
		cfg.Quiet = false
		s, rec := mustOpen(t, cfg)
		if h, _ := s.Head(); h.Number != 200 || rec.Unclean {
			t.Errorf("%q: head %d, %+v", broken, h.Number, rec)
		}
		if b, _ := s.Get("power", "state"); string(b) != "full" {
			t.Errorf("%q: state %q", broken, b)
		}
		mustBeSound(t, s)
		mustClose(t, s)
	}
}

// TestCutAtLevelChange takes the files as they are after every step of a change to park and back, which is what a
// power cut there leaves: each opens, with the head and the batch of the last checkpoint that was asked for.
func TestCutAtLevelChange(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.WriteHead(testHead(100)))
	must(t, s.Put("power", "state", []byte("full")))
	must(t, s.Commit())
	want, level := uint32(100), "full"
	check := func(step string) {
		t.Helper()
		dir := t.TempDir()
		for _, name := range []string{slotsName, databaseName} {
			b, err := os.ReadFile(filepath.Join(cfg.Dir, name))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		c, rec, err := Open(testConfig(dir))
		must(t, err)
		if h, ok := c.Head(); !ok || h.Number != want || len(rec.Moved) > 0 || rec.Dropped > 0 {
			t.Errorf("cut after %s: head %d, want %d; %+v", step, h.Number, want, rec)
		}
		if got, _ := c.Get("power", "state"); string(got) != level {
			t.Errorf("cut after %s: state %q, want %q", step, got, level)
		}
		mustBeSound(t, c)
		mustClose(t, c)
	}
	check("the start")
	must(t, s.SetHead(testHead(110))) // not due
	check("a head in between")
	must(t, s.Put("power", "state", []byte("park")))
	check("the state of park")
	must(t, s.WriteHead(testHead(111)))
	want = 111
	check("the last head")
	must(t, s.Commit())
	level = "park"
	check("the last commit")
	s.Quiet(true)
	check("quiet")
	must(t, s.WriteHead(testHead(500)))
	must(t, s.Put("power", "state", []byte("survive")))
	must(t, s.Tick(epoch.Add(48*time.Hour)))
	must(t, s.Commit())
	check("heads that come while quiet")
	s.Quiet(false)
	check("quiet was over")
	must(t, s.WriteHead(testHead(501)))
	want = 501
	check("the first head")
	must(t, s.Commit())
	level = "survive"
	check("the first commit")
	mustClose(t, s)
}
