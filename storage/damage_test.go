package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exhaustive asks for every byte where the default is a sample.
var exhaustive = os.Getenv("TAOLIGHT_EXHAUSTIVE") != ""

// write is one entry of a write log.
type write struct {
	off  int64
	data []byte
}

// recordingFile is a slot file that keeps a log of the writes between syncs.
type recordingFile struct {
	slotFile
	log     *[]write
	unsaved int
}

func (f *recordingFile) WriteAt(b []byte, off int64) (int, error) {
	*f.log = append(*f.log, write{off, bytes.Clone(b)})
	if f.unsaved++; f.unsaved > 1 {
		panic("two writes without a sync between them")
	}
	return f.slotFile.WriteAt(b, off)
}

func (f *recordingFile) Datasync() error { f.unsaved = 0; return f.slotFile.Datasync() }

// recordSlots runs heads through a store and returns the slot file before, the writes, and the heads.
func recordSlots(t *testing.T) (before []byte, log []write, heads []Head) {
	cfg := testConfig(t.TempDir())
	plain, err := cfg.withDefaults()
	must(t, err)
	cfg.openSlots = func(path string, flag int) (slotFile, error) {
		f, err := plain.openSlots(path, flag)
		before, _ = os.ReadFile(path)
		return &recordingFile{slotFile: f, log: &log}, err
	}
	s, _ := mustOpen(t, cfg)
	for i, n := range []uint32{1, 26, 3000, 3001, 3002, 7000, 7001, 4_000_000, 4_000_001, 4_000_002} {
		h := testHead(n)
		if i%3 == 2 { // one that is deflated
			h.Data = append(h.Data, bytes.Repeat([]byte("justification "), 900)...)
		}
		must(t, s.WriteHead(h))
		heads = append(heads, h)
	}
	mustClose(t, s)
	return before, log, heads
}

// TestTornSlots cuts the power during each write of a head, after each byte of it and with every set of its sectors: what
// is read must be that head or the one before, bit by bit.
func TestTornSlots(t *testing.T) {
	image, log, heads := recordSlots(t)
	rng := rand.New(rand.NewPCG(3, 4))
	var last *Head
	next := 0
	check := func(what string, b []byte, inFlight *Head) {
		t.Helper()
		im, err := decodeSlots(b, genesis)
		if err != nil || im.damage() != nil {
			t.Fatalf("%s: %v %v", what, err, im.damage())
		}
		switch {
		case im.best < 0 && last == nil:
		case im.best >= 0 && last != nil && sameHead(im.rec.head, *last):
		case im.best >= 0 && inFlight != nil && sameHead(im.rec.head, *inFlight):
		default:
			t.Fatalf("%s: read a head %d that is neither the last nor the new one", what, im.rec.head.Number)
		}
	}
	for i, w := range log {
		var inFlight *Head
		if w.off < markOffset {
			inFlight = &heads[next]
			next++
		}
		// Each prefix, as a cut in the middle of a sector would leave it.
		for n := range len(w.data) + 1 {
			b := bytes.Clone(image)
			copy(b[w.off:], w.data[:n])
			check(fmt.Sprintf("write %d, %d bytes", i, n), b, inFlight)
		}
		// Each set of sectors, or many of them; sectors that did not arrive are old, zero or ones.
		sectors := (len(w.data) + 511) / 512
		sets := 1 << min(sectors, 8)
		for set := range sets {
			b := bytes.Clone(image)
			for k := range sectors {
				part := w.data[k*512 : min((k+1)*512, len(w.data))]
				at := b[int(w.off)+k*512:][:len(part)]
				arrived := set&(1<<k) != 0
				if sectors > 8 {
					arrived = rng.IntN(2) == 0
				}
				switch {
				case arrived:
					copy(at, part)
				case set%3 == 1:
					clear(at)
				case set%3 == 2:
					copy(at, bytes.Repeat([]byte{0xFF}, len(at)))
				}
			}
			if inFlight == nil && set%3 != 0 {
				continue // a mark is one sector
			}
			check(fmt.Sprintf("write %d, sectors %b", i, set), b, inFlight)
		}
		copy(image[w.off:], w.data)
		if inFlight != nil {
			last = inFlight
		}
		check(fmt.Sprintf("after write %d", i), image, nil)
	}
	if next != len(heads) {
		t.Fatalf("%d of %d heads in the log", next, len(heads))
	}
}

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

// TestFlipSlots changes every byte of head.slots.
func TestFlipSlots(t *testing.T) {
	slotsFile, database := smallStore(t)
	dir := memoryDir(t)
	for i := range slotsFile {
		for _, x := range []byte{0x01, 0x80, 0xFF} {
			slotsFile[i] ^= x
			im, err := decodeSlots(slotsFile, genesis)
			if err != nil || im.best < 0 {
				t.Fatalf("byte %d: %v", i, err)
			}
			if h := im.rec.head; !sameHead(h, testHead(41)) && !sameHead(h, testHead(40)) {
				t.Fatalf("byte %d: head %d", i, h.Number)
			}
			if x == 0xFF && (i%397 == 0 || exhaustive) {
				survive(t, dir, slotsFile, database)
			}
			slotsFile[i] ^= x
		}
	}
}

// TestFlipDatabase changes every byte of the database. Each image goes through the walker, and a sample through Open,
// bbolt and all.
func TestFlipDatabase(t *testing.T) {
	slotsFile, database := smallStore(t)
	dir := memoryDir(t)
	step := 37
	if exhaustive {
		step = 1
	}
	damaged, dropped, opened := 0, 0, 0
	for i := range database {
		{
			x := []byte{0x01, 0xFF}[i%2]
			database[i] ^= x
			c, err := checkPages(bytes.NewReader(database), int64(len(database)), nil)
			switch {
			case errors.Is(err, ErrDamaged):
				damaged++
			case err != nil:
				t.Fatalf("byte %d: %v", i, err)
			case c.badN > 0:
				dropped++
			}
			if opened++; opened%step == 0 {
				rec := survive(t, dir, slotsFile, database)
				if moved := len(rec.Moved) == 1; moved != (err != nil) {
					t.Fatalf("byte %d: the walk says %v, Open %+v", i, err, rec)
				}
				if err == nil && rec.Dropped != c.badN {
					t.Fatalf("byte %d: %d records dropped of %d", i, rec.Dropped, c.badN)
				}
			}
			database[i] ^= x
		}
	}
	t.Logf("%d images: %d damaged, %d with a damaged record", len(database), damaged, dropped)
	if damaged < len(database)/50 || dropped < len(database)/4 {
		t.Error("flips are not noticed")
	}
}

// sealMeta makes the checksums of both meta pages right again, so that damage gets further than that.
func sealMeta(database []byte) {
	for i := range metaPages {
		if off := i*pageSize + pageHeader; len(database) >= off+64 {
			h := fnv.New64a()
			h.Write(database[off : off+56])
			binary.LittleEndian.PutUint64(database[off+56:], h.Sum64())
		}
	}
}

// bigStore is one with branch pages, overflow pages and free pages.
func bigStore(t testing.TB) (slotsFile, database []byte) {
	t.Helper()
	cfg := testConfig(memoryDir(t))
	s, _ := mustOpen(t, cfg)
	for n := range uint32(250) {
		hash, b := testHeader(n)
		must(t, s.PutHeader(n, hash, b))
		id := fmt.Sprintf("peer%02d", n)
		must(t, s.PutPeer(id, bytes.Repeat([]byte(id), 20)))
		if n%80 == 0 {
			must(t, s.PutProof(n, hash, bytes.Repeat(b, 40)))
			must(t, s.Commit())
		}
	}
	must(t, s.Commit())
	for n := range 150 {
		must(t, s.DeletePeer(fmt.Sprintf("peer%02d", n)))
	}
	must(t, s.WriteHead(testHead(41)))
	mustClose(t, s)
	slotsFile, err := os.ReadFile(filepath.Join(cfg.Dir, slotsName))
	must(t, err)
	database, err = os.ReadFile(filepath.Join(cfg.Dir, databaseName))
	must(t, err)
	c, err := checkPages(bytes.NewReader(database), int64(len(database)), nil)
	must(t, err)
	if c.pages < 40 || c.free < 5 {
		t.Fatalf("%d pages, %d free", c.pages, c.free)
	}
	return slotsFile, database[:c.pages*pageSize]
}

// exercise gives an image to bbolt if the walker lets it pass, and makes bbolt touch all of it. Whatever the walker
// passes, bbolt must bear: no panic, no fault.
func exercise(t testing.TB, dir string, database []byte, what string) bool {
	t.Helper()
	c, err := checkPages(bytes.NewReader(database), int64(len(database)), nil)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		return false
	}
	if c.schema != schema || c.genesis != genesis {
		return false
	}
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, databaseName), database, 0o600))
	s, _, err := Open(testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	must(t, s.Degraded())
	for b := bucketMeta; b < bucketCount; b++ {
		for _, key := range []string{"", "\x00", "peer5", "\xff\xff"} {
			n := 0
			s.scan(b, key, func(string, []byte) bool { n++; return n < 100 })
		}
	}
	for i := range 20 {
		must(t, s.PutPeer(fmt.Sprintf("peer%02d", 10*i), bytes.Repeat([]byte("fresh"), 50)))
		must(t, s.DeletePeer(fmt.Sprintf("peer%02d", 10*i+3)))
		hash, b := testHeader(uint32(300 + i))
		must(t, s.PutHeader(uint32(300+i), hash, b))
	}
	must(t, s.Commit())
	r, err := s.Check(t.Context(), true, nil)
	must(t, err)
	for _, p := range r.Problems {
		if errors.As(p.Err, new(*faultError)) || strings.Contains(p.Err.Error(), "page") {
			t.Fatalf("after a commit: %v (%s)", p, what)
		}
	}
	if err := s.Degraded(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	must(t, os.RemoveAll(dir))
	return true
}

// TestHostilePages puts telling values into the fields of pages, with correct checksums on the meta pages: what a flipped
// bit does seldom and an attacker always.
func TestHostilePages(t *testing.T) {
	_, database := bigStore(t)
	dir := filepath.Join(memoryDir(t), "store")
	rng := rand.New(rand.NewPCG(5, 6))
	pages := uint64(len(database) / pageSize)
	values := []uint64{0, 1, 2, 3, 4, 16, 0x7F, 0xFF, 0xFFFF, 0x10000, pageSize - 1, pageSize, pageSize + 1, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1, pages - 1, pages, pages + 1}
	rounds := 1500
	if exhaustive {
		rounds = 200_000
	}
	passed := 0
	for i := range rounds {
		b := bytes.Clone(database)
		what := ""
		for range 1 + rng.IntN(2) {
			page := rng.IntN(int(pages))
			off := page * pageSize
			v := values[rng.IntN(len(values))]
			if rng.IntN(4) == 0 {
				v = rng.Uint64N(pages)
			}
			kind := rng.IntN(5)
			what += fmt.Sprintf("kind %d page %d value %#x; ", kind, page, v)
			switch kind {
			case 0: // page header: id, kind, count, overflow
				switch rng.IntN(4) {
				case 0:
					binary.LittleEndian.PutUint64(b[off:], v)
				case 1:
					binary.LittleEndian.PutUint16(b[off+8:], uint16([]int{0, 1, 2, 3, 4, 16, 32}[rng.IntN(7)]))
				case 2:
					binary.LittleEndian.PutUint16(b[off+10:], uint16(v))
				case 3:
					binary.LittleEndian.PutUint32(b[off+12:], uint32(v))
				}
			case 1: // a field of an element
				binary.LittleEndian.PutUint32(b[off+16+4*rng.IntN(64):], uint32(v))
			case 2: // a child's page, a bucket's root, a free page
				binary.LittleEndian.PutUint64(b[off+16+8*rng.IntN(64):], v)
			case 3: // the meta pages
				binary.LittleEndian.PutUint64(b[rng.IntN(2)*pageSize+pageHeader+16+8*rng.IntN(5):], v)
			case 4: // a page in the place of another
				copy(b[off:off+pageSize], database[rng.IntN(int(pages))*pageSize:])
			}
		}
		sealMeta(b)
		if exercise(t, dir, b, what) {
			passed++
		}
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
	t.Logf("%d images, %d of them passed to bbolt", rounds, passed)
	if passed < rounds/50 || passed > rounds*9/10 {
		t.Errorf("%d of %d images passed: the test has lost its point", passed, rounds)
	}
}

// TestPowerCutInCommit takes the pages that one commit changed and lets any part of them arrive, in the order bbolt keeps:
// data, sync, meta. All or nothing of the commit must be found.
func TestPowerCutInCommit(t *testing.T) {
	cfg := testConfig(memoryDir(t))
	s, _ := mustOpen(t, cfg)
	fill(t, s)
	path := filepath.Join(cfg.Dir, databaseName)
	rng := rand.New(rand.NewPCG(8, 9))
	dir := memoryDir(t)
	slotsFile, err := os.ReadFile(filepath.Join(cfg.Dir, slotsName))
	must(t, err)
	for round := range 6 {
		before, err := os.ReadFile(path)
		must(t, err)
		generation := fmt.Sprint(round)
		must(t, s.Put("generation", "a", []byte(generation)))
		must(t, s.PutPeer("peer50", bytes.Repeat([]byte("peer50"), 20)))
		must(t, s.Put("generation", "z", bytes.Repeat([]byte(generation), 9000*(round%3))))
		must(t, s.Commit())
		after, err := os.ReadFile(path)
		must(t, err)
		var data []int
		meta := -1
		for off := 0; off < len(after); off += pageSize {
			if off < len(before) && bytes.Equal(before[off:off+pageSize], after[off:off+pageSize]) {
				continue
			}
			if off < metaPages*pageSize {
				meta = off
			} else {
				data = append(data, off)
			}
		}
		if meta < 0 || len(data) < 2 {
			t.Fatalf("a commit of %d pages, meta at %d", len(data), meta)
		}
		find := func(b []byte) string {
			t.Helper()
			must(t, os.RemoveAll(dir))
			must(t, os.MkdirAll(dir, 0o700))
			must(t, os.WriteFile(filepath.Join(dir, slotsName), slotsFile, 0o600))
			must(t, os.WriteFile(filepath.Join(dir, databaseName), b, 0o600))
			s, rec, err := Open(testConfig(dir))
			must(t, err)
			if len(rec.Moved) > 0 || rec.Dropped > 0 {
				t.Fatalf("%+v", rec)
			}
			must(t, checkFilled(s))
			v, _ := s.Get("generation", "a")
			z, _ := s.Get("generation", "z")
			if len(z) > 0 && z[0] != v[0] {
				t.Fatalf("half a commit: %s, %c", v, z[0])
			}
			mustBeSound(t, s)
			mustClose(t, s)
			return string(v)
		}
		old := ""
		if round > 0 {
			old = fmt.Sprint(round - 1)
		}
		grown := append(bytes.Clone(before), make([]byte, len(after)-len(before))...)
		for range 25 { // before the first sync: any sectors of the data
			b := bytes.Clone(grown)
			for _, off := range data {
				for k := 0; k < pageSize; k += 512 {
					if rng.IntN(2) == 0 {
						copy(b[off+k:off+k+512], after[off+k:])
					}
				}
			}
			if v := find(b); v != old {
				t.Fatalf("round %d: %q without its meta page", round, v)
			}
		}
		arrived := bytes.Clone(grown)
		for _, off := range data {
			copy(arrived[off:off+pageSize], after[off:])
		}
		for n := 0; n <= 96; n++ { // between the syncs: a part of the meta page
			b := bytes.Clone(arrived)
			copy(b[meta:meta+n], after[meta:])
			if v := find(b); v != old && v != generation {
				t.Fatalf("round %d: %q with %d bytes of the meta page", round, v, n)
			}
		}
		if v := find(after); v != generation {
			t.Fatalf("round %d: %q", round, v)
		}
	}
	mustClose(t, s)
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

// TestDroppedRecords: a damaged record goes, its neighbours stay, and the next commit has it out of the file.
func TestDroppedRecords(t *testing.T) {
	slotsFile, database := smallStore(t)
	at := bytes.Index(database, bytes.Repeat([]byte("peer07"), 20))
	if at < 0 {
		t.Fatal("no such record")
	}
	// Older versions of the page may hold it too; change all.
	for next := 0; next >= 0; next = bytes.Index(database[at:], bytes.Repeat([]byte("peer07"), 20)) {
		at += next
		database[at+50] ^= 0x10
	}
	dir := memoryDir(t)
	rec := survive(t, dir, slotsFile, database)
	if rec.Dropped != 1 || len(rec.Moved) != 0 {
		t.Fatalf("%+v", rec)
	}
	s, rec := mustOpen(t, testConfig(dir))
	defer s.Close()
	peers := s.Peers()
	if _, ok := peers["peer07"]; ok || len(peers) != 30 || rec.Dropped != 0 {
		t.Errorf("%d peers, %+v", len(peers), rec)
	}
}

// TestSwappedRecords: a sound value under another key is damage as well.
func TestSwappedRecords(t *testing.T) {
	slotsFile, database := smallStore(t)
	const length = 6*20 + 4
	swapped := 0
	for from := 0; ; {
		i := bytes.Index(database[from:], []byte("peer11"+strings.Repeat("peer11", 20)))
		k := bytes.Index(database[from:], []byte("peer12"+strings.Repeat("peer12", 20)))
		if i < 0 || k < 0 {
			break
		}
		i, k = from+i+6, from+k+6
		a := bytes.Clone(database[i : i+length])
		copy(database[i:], database[k:k+length])
		copy(database[k:], a)
		swapped++
		from = max(i, k) + length
	}
	if rec := survive(t, memoryDir(t), slotsFile, database); swapped == 0 || rec.Dropped != 2 || len(rec.Moved) != 0 {
		t.Errorf("%d swapped: %+v", swapped, rec)
	}
}

func FuzzSlots(f *testing.F) {
	r, err := appendRecord(nil, record{seq: 5, head: testHead(77), genesis: genesis})
	must(f, err)
	long := testHead(78)
	long.Data = bytes.Repeat([]byte("abcdefgh"), 3000)
	z, err := appendRecord(nil, record{seq: 6, head: long, genesis: genesis})
	must(f, err)
	f.Add(r, true)
	f.Add(z, true)
	f.Add(append(append(bytes.Clone(r), make([]byte, slotSize-len(r))...), z...), false)
	f.Add(appendMark(make([]byte, markOffset), mark{starts: 3}, genesis), false)
	f.Fuzz(func(t *testing.T, b []byte, repair bool) {
		if end := len(b) - 4; repair && end >= slotHeader { // let it get past the checksum
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[20:], uint32(end-slotHeader))
			binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
		}
		im, err := decodeSlots(b, genesis)
		if err != nil && !errors.Is(err, ErrGenesis) && !errors.Is(err, ErrNewer) {
			t.Fatal(err)
		}
		if im.best >= 0 {
			again, err := appendRecord(nil, im.rec)
			if err != nil {
				return // it deflated better than ours does
			}
			r, state, err := decodeRecord(again)
			if state != slotValid || err != nil || !sameHead(r.head, im.rec.head) || r.seq != im.rec.seq {
				t.Fatal("a record does not survive being written again")
			}
		}
	})
}

func FuzzPages(f *testing.F) {
	_, small := smallStore(f)
	f.Add(small)
	_, big := bigStore(f)
	f.Add(big)
	dir := filepath.Join(memoryDir(f), "store")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		b = bytes.Clone(b)
		sealMeta(b)
		exercise(t, dir, b, "fuzz")
	})
}

// TestWalkerSeesEverything compares the walker with bbolt on sound files: same records, in the same order.
func TestWalkerSeesEverything(t *testing.T) {
	_, database := bigStore(t)
	var walked []string
	c, err := checkPages(bytes.NewReader(database), int64(len(database)), func(b bucket, key, value []byte) error {
		if b != bucketMeta {
			walked = append(walked, bucketNames[b]+string(key)+string(value))
		}
		return nil
	})
	must(t, err)
	dir := memoryDir(t)
	must(t, os.WriteFile(filepath.Join(dir, databaseName), database, 0o600))
	s, _ := mustOpen(t, testConfig(dir))
	defer s.Close()
	var scanned []string
	for b := bucketMeta + 1; b < bucketCount; b++ {
		n := 0
		s.scan(b, "", func(key string, value []byte) bool {
			n++
			scanned = append(scanned, bucketNames[b]+key+string(value))
			return true
		})
		if n != c.records[b].records || n != s.tally[b].records {
			t.Errorf("%s: %d records, %d counted", bucketNames[b], n, c.records[b].records)
		}
	}
	slices.Sort(walked)
	slices.Sort(scanned)
	if !slices.Equal(walked, scanned) {
		t.Errorf("%d records walked, %d scanned", len(walked), len(scanned))
	}
}
