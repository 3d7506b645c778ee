package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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

// TestWalkerRefuses puts one fault after another into a sound file.
func TestWalkerRefuses(t *testing.T) {
	_, database := bigStore(t)
	le := binary.LittleEndian
	meta, newest := boltMeta{}, 0
	for i := range metaPages {
		if m, ok := decodeMeta(database[i*pageSize : (i+1)*pageSize]); ok && m.txid > meta.txid {
			meta, newest = m, i
		}
	}
	free := map[uint64]bool{}
	list := database[meta.freelist*pageSize:]
	for i := range int(le.Uint16(list[10:])) {
		free[le.Uint64(list[16+8*i:])] = true
	}
	// find returns a page in use of a kind with at least two elements.
	find := func(kind uint16) int {
		for id := uint64(metaPages); id < meta.pages; id++ {
			if p := database[id*pageSize:]; !free[id] && id != meta.root && le.Uint64(p) == id && le.Uint16(p[8:]) == kind && le.Uint16(p[10:]) > 1 {
				return int(id) * pageSize
			}
		}
		t.Fatalf("no page of kind %d", kind)
		return 0
	}
	leaf, branch, root, frees := find(leafPage), find(branchPage), int(meta.root)*pageSize, int(meta.freelist)*pageSize
	tests := map[string]struct {
		change func(b []byte)
		want   string
	}{
		"free page in use": {func(b []byte) {
			n := le.Uint16(b[frees+10:])
			le.PutUint64(b[frees+16+8*int(n):], uint64(leaf/pageSize))
			le.PutUint16(b[frees+10:], n+1)
		}, "used and free"},
		"free page twice": {func(b []byte) {
			n := le.Uint16(b[frees+10:])
			copy(b[frees+16+8*int(n):], b[frees+16:frees+24])
			le.PutUint16(b[frees+10:], n+1)
		}, "listed twice"},
		"free page missing":       {func(b []byte) { le.PutUint16(b[frees+10:], le.Uint16(b[frees+10:])-1) }, "neither used nor free"},
		"free page outside":       {func(b []byte) { le.PutUint64(b[frees+16:], meta.pages) }, "outside the file"},
		"free page is a meta":     {func(b []byte) { le.PutUint64(b[frees+16:], 1) }, "outside the file"},
		"too many free pages":     {func(b []byte) { le.PutUint16(b[frees+10:], 0xFFFE) }, "do not fit"},
		"countless free pages":    {func(b []byte) { le.PutUint16(b[frees+10:], 0xFFFF); le.PutUint64(b[frees+16:], 1<<60) }, "do not fit"},
		"freelist of other kind":  {func(b []byte) { le.PutUint16(b[frees+8:], leafPage) }, "not a freelist"},
		"page calls itself other": {func(b []byte) { le.PutUint64(b[leaf:], 1) }, "calls itself"},
		"overflow past the end":   {func(b []byte) { le.PutUint32(b[leaf+12:], 1<<31) }, "overflow pages"},
		"overflow into others":    {func(b []byte) { le.PutUint32(b[leaf+12:], 1) }, "used"},
		"two kinds":               {func(b []byte) { le.PutUint16(b[leaf+8:], leafPage|branchPage) }, "unknown kind"},
		"branch without children": {func(b []byte) { le.PutUint16(b[branch+10:], 0) }, "without children"},
		"child twice":             {func(b []byte) { copy(b[branch+16+16+8:branch+16+16+16], b[branch+16+8:branch+16+16]) }, "used twice"},
		"child is its parent":     {func(b []byte) { le.PutUint64(b[branch+16+8:], uint64(branch/pageSize)) }, "used twice"},
		"child outside":           {func(b []byte) { le.PutUint64(b[branch+16+8:], 1<<63) }, "outside the file"},
		"too many children":       {func(b []byte) { le.PutUint16(b[branch+10:], 0xFFFF) }, "d"}, // whichever comes first
		"child's key outside":     {func(b []byte) { le.PutUint32(b[branch+16:], pageSize) }, "key outside"},
		"child's key empty":       {func(b []byte) { le.PutUint32(b[branch+16+4:], 0) }, "key outside"},
		"empty leaf":              {func(b []byte) { le.PutUint16(b[leaf+10:], 0) }, "empty under a branch"},
		"too many records":        {func(b []byte) { le.PutUint16(b[leaf+10:], 0x7FFF) }, "outside"},
		"key among elements":      {func(b []byte) { le.PutUint32(b[leaf+16+4:], 0) }, "key outside"},
		"key outside":             {func(b []byte) { le.PutUint32(b[leaf+16+4:], 1<<31) }, "key outside"},
		"lengths that overflow": {func(b []byte) {
			le.PutUint32(b[leaf+16+8:], 1<<32-1)
			le.PutUint32(b[leaf+16+12:], 1<<32-1)
		}, "key outside"},
		"value outside": {func(b []byte) { le.PutUint32(b[leaf+16+12:], pageSize) }, "value outside"},
		"same key twice": {func(b []byte) {
			copy(b[leaf+32:leaf+48], b[leaf+16:leaf+32])
			le.PutUint32(b[leaf+32+4:], le.Uint32(b[leaf+16+4:])-16)
		}, "out of order"},
		"bucket in a bucket": {func(b []byte) { le.PutUint32(b[leaf+16:], 1) }, "a bucket within"},
		"record in the root": {func(b []byte) { le.PutUint32(b[root+16:], 0) }, "not a bucket"},
		"root outside":       {func(b []byte) { le.PutUint64(b[newest*pageSize+16+16:], meta.pages) }, "outside the file"},
		"root is a freelist": {func(b []byte) { le.PutUint64(b[newest*pageSize+16+16:], meta.freelist) }, "used twice"},
		"root is a leaf":     {func(b []byte) { le.PutUint64(b[newest*pageSize+16+16:], uint64(leaf/pageSize)) }, "not a bucket"},
		"more pages stated":  {func(b []byte) { le.PutUint64(b[newest*pageSize+16+40:], meta.pages+1) }, "pages stated"},
		"countless pages":    {func(b []byte) { le.PutUint64(b[newest*pageSize+16+40:], 1<<60) }, "pages stated"},
		"no freelist":        {func(b []byte) { le.PutUint64(b[newest*pageSize+16+32:], 1<<64-1) }, "outside the file"},
		"last transaction":   {func(b []byte) { le.PutUint64(b[newest*pageSize+16+48:], 1<<64-1) }, "transaction"},
		"other page size":    {func(b []byte) { le.PutUint32(b[newest*pageSize+16+8:], 2*pageSize) }, "pages of 8192 bytes"},
		"hidden meta page": {func(b []byte) {
			copy(b[2048:], b[pageSize:pageSize+100])
			clear(b[:100])
		}, "another meta page"},
	}
	for name, test := range tests {
		b := bytes.Clone(database)
		test.change(b)
		sealMeta(b)
		if name == "hidden meta page" {
			clear(b[:100])
		}
		_, err := checkPages(bytes.NewReader(b), int64(len(b)), nil)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
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
