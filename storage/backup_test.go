package storage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"
)

// filledBackup returns a backup of a filled store.
func filledBackup(t testing.TB) []byte {
	t.Helper()
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	fill(t, s)
	must(t, s.PutPeer("peer77", bytes.Repeat([]byte("peer77"), 20))) // waits for a commit
	var b bytes.Buffer
	must(t, s.Backup(&b))
	mustClose(t, s)
	return b.Bytes()
}

func TestBackupAndRestore(t *testing.T) {
	b := filledBackup(t)
	parent := memoryDir(t)
	missing, empty := filepath.Join(parent, "a", "missing"), filepath.Join(parent, "empty")
	must(t, os.Mkdir(empty, 0o700))
	for _, dir := range []string{missing, empty} {
		m, err := Restore(dir, bytes.NewReader(b))
		must(t, err)
		if m.Genesis != genesis || m.Number != 41 || m.Hash != testHead(41).Hash || m.Schema != schema || !m.Created.Equal(epoch) {
			t.Errorf("%+v", m)
		}
		r, err := CheckDir(t.Context(), dir, genesis, true, nil)
		must(t, err)
		if !r.OK() || r.Head.Number != 41 || r.Unclean {
			t.Fatalf("%+v", r)
		}
		s, rec := mustOpen(t, testConfig(dir))
		if len(rec.Lines()) != 0 || rec.Created {
			t.Errorf("%+v", rec)
		}
		must(t, checkFilled(s))
		if len(s.Peers()) != 31 {
			t.Errorf("%d peers", len(s.Peers()))
		}
		must(t, s.WriteHead(testHead(42)))
		must(t, s.PutPeer("peer88", bytes.Repeat([]byte("peer88"), 20)))
		must(t, s.Commit())
		must(t, s.PutPeer("peer89", bytes.Repeat([]byte("peer89"), 20)))
		mustBeSound(t, s)
		mustClose(t, s)
		// Not over a store, and not over anything else.
		if _, err := Restore(dir, bytes.NewReader(b)); !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	if left := names(t, parent); !slices.Equal(left, []string{"a", "empty"}) {
		t.Errorf("left behind: %v", left)
	}
}

func TestBackupWithoutHead(t *testing.T) {
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	var b bytes.Buffer
	must(t, s.Backup(&b))
	mustClose(t, s)
	dir := filepath.Join(memoryDir(t), "new")
	_, err := Restore(dir, &b)
	must(t, err)
	s, _ = mustOpen(t, testConfig(dir))
	if _, ok := s.Head(); ok {
		t.Error("a head from nowhere")
	}
	mustClose(t, s)
}

// TestBackupFormat reads a backup with nothing of ours, by the words of the documentation.
func TestBackupFormat(t *testing.T) {
	r := tar.NewReader(bytes.NewReader(filledBackup(t)))
	sum, err := blake2b.New256(nil)
	must(t, err)
	var order []string
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		body, err := io.ReadAll(r)
		must(t, err)
		order = append(order, h.Name)
		if h.Name == "blake2b-256" {
			if want := fmt.Sprintf("%x\n", sum.Sum(nil)); string(body) != want {
				t.Errorf("checksum %q, want %q", body, want)
			}
			continue
		}
		fmt.Fprintf(sum, "%s\x00%d\x00%s", h.Name, len(body), body)
	}
	if want := []string{"taolight-backup.json", "head", "taolight.db", "blake2b-256"}; !slices.Equal(order, want) {
		t.Errorf("%q", order)
	}
}

// TestBackupIsHot writes on while a backup is under way, through a pipe that is emptied slowly: neither waits for the
// other, and the backup is of the moment it began.
func TestBackupIsHot(t *testing.T) {
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	fill(t, s)
	putGeneration(t, s, 1)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := s.Backup(w)
		w.CloseWithError(err)
		done <- err
	}()
	var got bytes.Buffer
	_, err := io.CopyN(&got, r, 2000) // it has begun and cannot go on
	must(t, err)
	for g := 2; g < 40; g++ {
		putGeneration(t, s, g)
		must(t, s.PutProof(uint32(g), genesis, bytes.Repeat([]byte{byte(g)}, 90_000)))
		must(t, s.Commit())
		must(t, s.WriteHead(testHead(uint32(100+g))))
	}
	_, err = io.Copy(&got, r)
	must(t, err)
	must(t, <-done)
	mustBeSound(t, s)
	mustClose(t, s)
	dir := filepath.Join(memoryDir(t), "new")
	_, err = Restore(dir, &got)
	must(t, err)
	s, _ = mustOpen(t, testConfig(dir))
	if g, err := generationOf(s); err != nil || g != 1 {
		t.Errorf("generation %d: %v", g, err)
	}
	if h, _ := s.Head(); h.Number != 41 {
		t.Errorf("head %d", h.Number)
	}
	mustBeSound(t, s)
	mustClose(t, s)
}

// TestCloseDuringBackup: a backup that nobody reads holds up no end.
func TestCloseDuringBackup(t *testing.T) {
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	fill(t, s)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := s.Backup(w)
		w.CloseWithError(err)
		done <- err
	}()
	_, err := io.CopyN(io.Discard, r, 2000)
	must(t, err)
	mustClose(t, s)
	if _, err := io.Copy(io.Discard, r); err == nil {
		t.Error("the stream ended as if it were whole")
	}
	if err := <-done; err == nil {
		t.Error("a backup of a closed store")
	}
}

// TestBackupWriterFails: the store is none the worse for it.
func TestBackupWriterFails(t *testing.T) {
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	fill(t, s)
	for _, n := range []int{0, 1, 600, 1600, 5000, 40_000} {
		if err := s.Backup(&shortWriter{n}); !errors.Is(err, errInjected) && !strings.Contains(fmt.Sprint(err), errInjected.Error()) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	must(t, s.Degraded())
	must(t, s.PutPeer("peer55", bytes.Repeat([]byte("peer55"), 20)))
	must(t, s.Commit())
	mustBeSound(t, s)
	mustClose(t, s)
}

type shortWriter struct{ n int }

func (w *shortWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return 0, errInjected
	}
	w.n -= len(b)
	return len(b), nil
}

// TestRestoreRefusesDamage: cut anywhere or with any byte changed, a backup is refused and leaves nothing behind; where a
// changed byte does not matter, as in the padding of a tar, what is restored is the same.
func TestRestoreRefusesDamage(t *testing.T) {
	b := filledBackup(t)
	parent := memoryDir(t)
	dir := filepath.Join(parent, "new")
	try := func(what string, b []byte) {
		t.Helper()
		_, err := Restore(dir, bytes.NewReader(b))
		if err == nil {
			s, _ := mustOpen(t, testConfig(dir))
			if err := checkFilled(s); err != nil || len(s.Peers()) != 31 {
				t.Fatalf("%s: %v", what, err)
			}
			mustClose(t, s)
			must(t, os.RemoveAll(dir))
			return
		}
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrGenesis) {
			t.Fatalf("%s: %v", what, err)
		}
		if left := names(t, parent); len(left) != 0 {
			t.Fatalf("%s: left behind %v", what, left)
		}
	}
	end := len(b) - 2*512 - 512 + 65 // the zero blocks that end a tar, and the padding of the checksum
	for n := 0; n < end; n += 1 + n%193 {
		if _, err := Restore(dir, bytes.NewReader(b[:n])); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for i := 0; i < len(b); i += 1 + i%61 {
		b[i] ^= 0x11
		try(fmt.Sprint("byte ", i), b)
		b[i] ^= 0x11
	}
	// Only the checksum can notice a byte that nothing uses, such as the end of a meta page.
	unused := bytes.Index(b, unpackBackup(t, b)[2][:pageSize]) + pageSize - 5
	b[unused] ^= 1
	if _, err := Restore(dir, bytes.NewReader(b)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("unused byte: %v", err)
	}
	b[unused] ^= 1
	try("a second one behind it", append(bytes.Clone(b), b...))
	try("zeros", make([]byte, 100_000))
	try("nothing", nil)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		x := bytes.Clone(b)
		for range 5 {
			x[rng.IntN(len(x))] = byte(rng.Uint32())
		}
		try("random", x)
	}
}

// packBackup makes a tar of any parts with the right checksum, as someone would who wants to be believed.
func packBackup(t testing.TB, parts [3][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	sum := newSum()
	put := func(name string, b []byte) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), Typeflag: tar.TypeReg}))
		_, err := w.Write(b)
		must(t, err)
	}
	for i, name := range []string{backupManifest, backupHead, databaseName} {
		put(name, parts[i])
		fmt.Fprintf(sum, "%s\x00%d\x00%s", name, len(parts[i]), parts[i])
	}
	put(backupSum, fmt.Appendf(nil, "%x\n", sum.Sum(nil)))
	must(t, w.Close())
	return out.Bytes()
}

func unpackBackup(t testing.TB, b []byte) (parts [3][]byte) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(b))
	for i := range parts {
		_, err := r.Next()
		must(t, err)
		parts[i], err = io.ReadAll(r)
		must(t, err)
	}
	return parts
}

// TestRestoreForged: a right checksum over parts that do not belong together, or that are damaged or foreign.
func TestRestoreForged(t *testing.T) {
	parts := unpackBackup(t, filledBackup(t))
	parent := memoryDir(t)
	dir := filepath.Join(parent, "new")
	if _, err := Restore(dir, bytes.NewReader(packBackup(t, parts))); err != nil {
		t.Fatal(err)
	}
	must(t, os.RemoveAll(dir))
	otherHead, err := appendRecord(nil, record{seq: 1, head: testHead(41), genesis: foreign})
	must(t, err)
	laterHead, err := appendRecord(nil, record{seq: 1, head: testHead(43), genesis: genesis})
	must(t, err)
	flipped := bytes.Clone(parts[2])
	flipped[bytes.Index(flipped, []byte("peer03peer03"))+20] ^= 1
	replace := func(from, to string) []byte {
		if !bytes.Contains(parts[0], []byte(from)) {
			t.Fatalf("no %q in %s", from, parts[0])
		}
		return bytes.Replace(parts[0], []byte(from), []byte(to), 1)
	}
	tests := map[string]struct {
		part int
		b    []byte
		want error
	}{
		"no manifest":           {0, nil, ErrDamaged},
		"manifest of junk":      {0, []byte("{"), ErrDamaged},
		"newer format":          {0, replace(`"format":1`, `"format":2`), ErrNewer},
		"newer schema":          {0, replace(`"schema":2`, `"schema":3`), ErrNewer},
		"no format":             {0, replace(`"format":1`, `"format":0`), ErrDamaged},
		"genesis of another":    {0, replace(genesis.String(), foreign.String()), ErrDamaged},
		"long manifest":         {0, make([]byte, maxManifest+1), ErrDamaged},
		"head of another chain": {1, otherHead, ErrDamaged},
		"another head":          {1, laterHead, ErrDamaged},
		"head of junk":          {1, []byte("junk"), ErrDamaged},
		"long head":             {1, make([]byte, slotSize+1), ErrDamaged},
		"no database":           {2, nil, ErrDamaged},
		"damaged record":        {2, flipped, ErrDamaged},
		"cut database":          {2, parts[2][:len(parts[2])-1], ErrDamaged},
	}
	for name, test := range tests {
		p := parts
		p[test.part] = test.b
		if _, err := Restore(dir, bytes.NewReader(packBackup(t, p))); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left := names(t, parent); len(left) != 0 {
			t.Fatalf("%s: left behind %v", name, left)
		}
	}
	p := parts
	p[0], p[1] = bytes.Replace(replace(genesis.String(), foreign.String()), []byte(`"number":41`), []byte(`"number":0`), 1), nil
	if _, err := Restore(dir, bytes.NewReader(packBackup(t, p))); !errors.Is(err, ErrGenesis) {
		t.Errorf("database of another chain: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	b := filledBackup(f)
	parts := unpackBackup(f, b)
	f.Add(b, []byte{}, []byte{}, true)
	f.Add(parts[0], parts[1], parts[2], false)
	f.Add(parts[0], []byte{}, parts[2], false)
	parent := memoryDir(f)
	f.Fuzz(func(t *testing.T, first, head, database []byte, raw bool) {
		b := first
		if !raw {
			database = bytes.Clone(database)
			sealMeta(database)
			b = packBackup(t, [3][]byte{first, head, database})
		}
		dir := filepath.Join(parent, "new")
		if m, err := Restore(dir, bytes.NewReader(b)); err == nil {
			cfg := testConfig(dir)
			cfg.Genesis = m.Genesis
			s, rec := mustOpen(t, cfg)
			if len(rec.Moved) != 0 || rec.Dropped != 0 {
				t.Fatalf("%+v", rec)
			}
			mustClose(t, s)
			must(t, os.RemoveAll(dir))
		}
		if left := names(t, parent); len(left) != 0 {
			t.Fatalf("left behind %v", left)
		}
	})
}

func TestCheck(t *testing.T) {
	cfg := testConfig(memoryDir(t))
	s, _ := mustOpen(t, cfg)
	fill(t, s)
	must(t, s.PutPeer("peer77", bytes.Repeat([]byte("peer77"), 20))) // waits
	wantRecords := map[string]int{"authority-sets": 1, "headers": 40, "proofs": 1, "peers": 31, "bans": 1, "other": 1}
	seen := map[string]int{}
	count := func(kind string, key, value []byte) error { seen[kind]++; return nil }
	r, err := s.Check(t.Context(), true, count)
	must(t, err)
	for kind, n := range wantRecords {
		if r.Records[kind] != n || seen[kind] != n {
			t.Errorf("%s: %d checked, %d given to the caller, want %d", kind, r.Records[kind], seen[kind], n)
		}
	}
	if !r.OK() || r.Slots != [2]string{"valid", "valid"} || r.Head.Number != 41 || seen["head"] != 1 || r.Pages == 0 || r.Schema != schema {
		t.Errorf("%+v, %v", r, seen)
	}
	// What the caller finds wrong is in the report, with its place.
	r, err = s.Check(t.Context(), true, func(kind string, key, value []byte) error {
		if kind == "headers" && key[3] == 17 || kind == "head" || string(key) == "peer77" {
			return errors.New("not true")
		}
		return nil
	})
	must(t, err)
	var places []string
	for _, p := range r.Problems {
		places = append(places, p.Place)
	}
	if want := []string{"head.slots: head 41", "taolight.db: headers 0x00000011", "taolight.db: peers peer77"}; !slices.Equal(places, want) {
		t.Errorf("%q", places)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Check(ctx, true, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for i := range 200 { // each key is the one after the one before
		must(t, s.Put("k", strings.Repeat("\x00", i), nil))
	}
	if r, err = s.Check(t.Context(), true, nil); err != nil || r.Records["other"] != 201 {
		t.Errorf("%d other records checked, %v", r.Records["other"], err)
	}
	must(t, s.Commit())
	mustClose(t, s)
	if _, err := s.Check(t.Context(), true, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}

	clear(seen)
	r, err = CheckDir(t.Context(), cfg.Dir, genesis, true, count)
	must(t, err)
	if !r.OK() || seen["peers"] != 31 || seen["head"] != 1 || r.Unclean || r.Records["headers"] != 40 {
		t.Errorf("%+v, %v", r, seen)
	}
	if _, err := CheckDir(ctx, cfg.Dir, genesis, true, count); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r, err = CheckDir(t.Context(), cfg.Dir, foreign, true, nil)
	must(t, err)
	if len(r.Problems) != 2 || !errors.Is(r.Problems[0].Err, ErrGenesis) || !errors.Is(r.Problems[1].Err, ErrGenesis) {
		t.Errorf("%v", r.Problems)
	}
	if _, err := CheckDir(t.Context(), cfg.Dir+"-none", genesis, true, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if !Exists(cfg.Dir) || Exists(cfg.Dir+"-none") {
		t.Error("Exists")
	}
	// Damage is reported and left where it is.
	path := filepath.Join(cfg.Dir, databaseName)
	b, err := os.ReadFile(path)
	must(t, err)
	b[bytes.Index(b, []byte("peer03peer03"))+20] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
	before := names(t, cfg.Dir)
	r, err = CheckDir(t.Context(), cfg.Dir, genesis, false, nil)
	must(t, err)
	if len(r.Problems) != 1 || r.Problems[0].Place != "taolight.db: peers peer03" || !errors.Is(r.Problems[0].Err, ErrDamaged) {
		t.Errorf("%v", r.Problems)
	}
	must(t, os.Truncate(path, 5000))
	must(t, os.Truncate(filepath.Join(cfg.Dir, slotsName), 5000))
	r, err = CheckDir(t.Context(), cfg.Dir, genesis, true, nil)
	must(t, err)
	if len(r.Problems) < 2 || !slices.Equal(before, names(t, cfg.Dir)) {
		t.Errorf("%v, %v", r.Problems, names(t, cfg.Dir))
	}
}
