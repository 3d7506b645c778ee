package storage

import (
	"archive/tar"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify"
)

// Names in a backup, in their order.
const (
	backupManifest = "taolight-backup.json"
	backupHead     = "head"
	backupSum      = "blake2b-256"
	backupFormat   = 1
	maxManifest    = 4 << 10
)

// Manifest is the first file of a backup.
type Manifest struct {
	Format  int         `json:"format"` // 1
	Schema  uint32      `json:"schema"`
	Genesis verify.Hash `json:"genesis"`
	Number  uint32      `json:"number"` // of the head; 0 if there is none
	Hash    verify.Hash `json:"hash"`
	Created time.Time   `json:"created"` // by the clock of the machine
}

// Backup writes the store as it is at this moment, with everything that waits, to w; other calls go on meanwhile. It
// commits first, and so returns the error of a disk that cannot be written.
//
// The format is a tar of four files in this order: taolight-backup.json (a [Manifest]), head (the record of the newest
// head as in head.slots; empty if there is none), taolight.db, and blake2b-256: 64 hex digits and a line feed, the hash
// over, for each file before it, its name, a zero byte, its length in decimal, a zero byte, and its bytes. It can be
// taken apart by hand with tar; [Restore] checks all of it.
func (s *Store) Backup(w io.Writer) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if err := errors.Join(s.commit(), s.flushSlots()); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("backup: %w", err)
	}
	if s.db == nil {
		s.mu.Unlock()
		return fmt.Errorf("backup: %w", errors.Join(ErrReadOnly, s.dbFault))
	}
	m := Manifest{Format: backupFormat, Schema: schema, Genesis: s.cfg.Genesis, Created: s.cfg.Now().UTC().Truncate(time.Second)}
	var head []byte
	if s.hasHead {
		m.Number, m.Hash = s.head.Number, s.head.Hash
		var err error
		if head, err = appendRecord(nil, record{seq: 1, head: s.head, genesis: s.cfg.Genesis}); err != nil {
			s.mu.Unlock()
			return fmt.Errorf("backup: %w", err)
		}
	}
	// The transaction begins before others may write again, and keeps its pages while they do.
	db := s.db
	var tx *bolt.Tx
	err := guard(func() (err error) { tx, err = db.bolt.Begin(false); return err })
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("backup: %w", err)
	}
	s.backups++
	s.mu.Unlock()
	err = guard(func() error { return writeBackup(w, m, head, tx) })
	err = errors.Join(err, guard(tx.Rollback))
	s.mu.Lock()
	s.backups--
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func writeBackup(w io.Writer, m Manifest, head []byte, tx *bolt.Tx) error {
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	sum := newSum()
	t := tar.NewWriter(w)
	put := func(name string, size int64, body func(io.Writer) error) error {
		h := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: m.Created, Typeflag: tar.TypeReg}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if name == backupSum {
			return body(t)
		}
		sumHeader(sum, name, size)
		return body(io.MultiWriter(t, sum))
	}
	whole := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(b); return err }
	}
	manifest = append(manifest, '\n')
	if err := put(backupManifest, int64(len(manifest)), whole(manifest)); err != nil {
		return err
	}
	if err := put(backupHead, int64(len(head)), whole(head)); err != nil {
		return err
	}
	err = put(databaseName, tx.Size(), func(w io.Writer) error { _, err := tx.WriteTo(w); return err })
	if err != nil {
		return err
	}
	text := hex.EncodeToString(sum.Sum(nil)) + "\n"
	if err := put(backupSum, int64(len(text)), whole([]byte(text))); err != nil {
		return err
	}
	return t.Close()
}

func newSum() hash.Hash {
	h, err := blake2b.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong, and there is none
	}
	return h
}

func sumHeader(sum hash.Hash, name string, size int64) { fmt.Fprintf(sum, "%s\x00%d\x00", name, size) }

// Restore makes the data directory dir from a backup. dir must be missing or empty, else it is fs.ErrExist. Everything is
// written beside dir and checked in full: the checksum, the head record, each page and record of the database; then dir
// takes its place in one step. A damaged backup is ErrDamaged and leaves nothing behind.
func Restore(dir string, r io.Reader) (*Manifest, error) {
	m, err := restore(filepath.Clean(dir), r)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

func restore(dir string, r io.Reader) (_ *Manifest, err error) {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s: %w and is not empty", dir, os.ErrExist)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".restore-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	m, head, err := readBackup(tmp, r)
	if err != nil {
		return nil, err
	}
	c, err := checkDatabase(filepath.Join(tmp, databaseName), nil)
	switch {
	case err != nil:
		return nil, err
	case c.badN > 0:
		return nil, fmt.Errorf("%w: %s: %d records", ErrDamaged, databaseName, c.badN)
	case c.genesis != m.Genesis:
		return nil, fmt.Errorf("%w: %s is of genesis %v, the backup of %v", ErrGenesis, databaseName, c.genesis, m.Genesis)
	}
	s := &Store{cfg: Config{Dir: tmp, Genesis: m.Genesis}}
	s.mark.clean = true
	if err := s.createSlots(head); err != nil {
		return nil, err
	}
	if err := syncDir(tmp); err != nil {
		return nil, err
	}
	// An empty directory in the place is as good as none; Remove takes no other.
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	return m, syncDir(parent)
}

// readBackup unpacks a backup into tmp.
func readBackup(tmp string, r io.Reader) (*Manifest, record, error) {
	var m Manifest
	var head record
	sum := newSum()
	t := tar.NewReader(r)
	next := func(name string, max int64) (int64, error) {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("%w: ends before %s", ErrDamaged, name)
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if h.Name != name || h.Typeflag != tar.TypeReg || h.Size < 0 || h.Size > max {
			return 0, fmt.Errorf("%w: %q with %d bytes where %s should be", ErrDamaged, h.Name[:min(len(h.Name), 64)], h.Size, name)
		}
		if name != backupSum {
			sumHeader(sum, name, h.Size)
		}
		return h.Size, nil
	}
	small := func(name string, max int64) ([]byte, error) {
		n, err := next(name, max)
		if err != nil {
			return nil, err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(t, b); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
		}
		if name != backupSum {
			sum.Write(b)
		}
		return b, nil
	}

	b, err := small(backupManifest, maxManifest)
	if err != nil {
		return nil, head, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, head, fmt.Errorf("%w: %s: %w", ErrDamaged, backupManifest, err)
	}
	if m.Format > backupFormat || m.Schema > schema {
		return nil, head, fmt.Errorf("%w: backup of format %d, schema %d", ErrNewer, m.Format, m.Schema)
	}
	if m.Format < backupFormat {
		return nil, head, fmt.Errorf("%w: %s of format %d", ErrDamaged, backupManifest, m.Format)
	}
	if b, err = small(backupHead, slotSize); err != nil {
		return nil, head, err
	}
	if len(b) > 0 {
		r, state, err := decodeRecord(b)
		if err != nil || state != slotValid || r.genesis != m.Genesis || r.head.Hash != m.Hash || r.head.Number != m.Number {
			return nil, head, fmt.Errorf("%w: %s does not fit the manifest", ErrDamaged, backupHead)
		}
		r.seq = 1
		head = r
	}
	n, err := next(databaseName, MaxBytes)
	if err != nil {
		return nil, head, err
	}
	f, err := os.OpenFile(filepath.Join(tmp, databaseName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, head, err
	}
	defer f.Close()
	in := &markedReader{r: t}
	if _, err := io.CopyN(io.MultiWriter(f, sum), in, n); err != nil {
		if in.err != nil { // as against an error of writing
			err = fmt.Errorf("%w: %s: %w", ErrDamaged, databaseName, err)
		}
		return nil, head, err
	}
	if err := f.Sync(); err != nil {
		return nil, head, err
	}
	if b, err = small(backupSum, 65); err != nil {
		return nil, head, err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); strings.TrimSuffix(string(b), "\n") != got {
		return nil, head, fmt.Errorf("%w: the checksum does not match", ErrDamaged)
	}
	if _, err := t.Next(); !errors.Is(err, io.EOF) {
		return nil, head, fmt.Errorf("%w: something follows the checksum", ErrDamaged)
	}
	return &m, head, nil
}

// markedReader remembers the error of its reader.
type markedReader struct {
	r   io.Reader
	err error
}

func (m *markedReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if err != nil {
		m.err = err
	}
	return n, err
}
