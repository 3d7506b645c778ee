package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

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
	cfg.migrations = append([]migration{{from: 0, run: func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("peers")).Put([]byte("new"), seal(bucketPeers, []byte("new"), []byte("migrated")))
	}}}, migrations...)
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

// TestSchema1: a database from before there were bundles keeps what it has.
func TestSchema1(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.PutPeer("old", []byte("record")))
	mustClose(t, s)
	d, err := openBolt(filepath.Join(cfg.Dir, databaseName), minBytes, false)
	must(t, err)
	must(t, d.bolt.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("bundles")) }))
	must(t, d.close())
	rewriteSchema(t, cfg.Dir, 1)
	s, rec := mustOpen(t, cfg)
	if !rec.Migrated || rec.MigratedFrom != 1 || string(s.Peers()["old"]) != "record" {
		t.Fatalf("%+v, peers %q", rec, s.Peers())
	}
	must(t, s.PutBundle(7, "x", []byte("y")))
	mustBeSound(t, s)
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
