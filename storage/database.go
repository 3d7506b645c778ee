package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/taolight/taolight/verify"
)

const (
	databaseName = "taolight.db"
	slotsName    = "head.slots"

	// schema is the number of the layout in doc.go.
	schema = 2

	// MaxValue bounds every single record, in bytes.
	MaxValue = 1 << 20
	maxKey   = 512
)

// bucket numbers index bucketNames; the order is that of the documentation.
type bucket int

const (
	bucketMeta bucket = iota
	bucketSets
	bucketHeaders
	bucketProofs
	bucketBundles
	bucketPeers
	bucketBans
	bucketOther
	bucketCount
)

var bucketNames = [bucketCount]string{"meta", "authority-sets", "headers", "proofs", "bundles", "peers", "bans", "other"}

// A migration changes a database of schema from into one of schema from+1.
type migration struct {
	from uint32
	run  func(*bolt.Tx) error
}

// migrations are all there are. Missing buckets are made by migrate itself.
var migrations = []migration{
	{from: 1, run: func(*bolt.Tx) error { return nil }}, // schema 2 has the bucket of bundles
}

// seal appends to a value the checksum under which it is stored. Bucket and key are part of it, so that a value under a
// wrong key is found as well.
func seal(b bucket, key, value []byte) []byte {
	out := make([]byte, 0, len(value)+4)
	out = append(out, value...)
	return binary.LittleEndian.AppendUint32(out, checksum(bucketNames[b], key, value))
}

// unseal returns the value without its checksum, not copied, or false if they do not agree.
func unseal(bucket string, key, stored []byte) ([]byte, bool) {
	n := len(stored) - 4
	if n < 0 || checksum(bucket, key, stored[:n]) != binary.LittleEndian.Uint32(stored[n:]) {
		return nil, false
	}
	return stored[:n:n], true
}

func checksum(bucket string, key, value []byte) uint32 {
	c := crc32.Update(0, castagnoli, []byte(bucket))
	c = crc32.Update(c, castagnoli, []byte{0})
	c = crc32.Update(c, castagnoli, key)
	return crc32.Update(c, castagnoli, value)
}

// A faultError is a panic or a memory fault inside bbolt, for instance when the card can no longer read a mapped page.
type faultError struct{ cause any }

func (e *faultError) Error() string { return fmt.Sprintf("bbolt: %v", e.cause) }

// guard runs f and turns its panics into errors. A fault on mapped memory would end the process, whatever is recovered,
// unless it is made a panic in the very goroutine that meets it.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = &faultError{r}
		}
	}()
	return f()
}

// database is an open bbolt file whose structure has been checked.
type database struct {
	bolt     *bolt.DB
	file     *os.File // bbolt's own, for closing it when bbolt cannot
	path     string
	readOnly bool
}

// checkedFile is what checkDatabase found in a file without opening it as a database.
type checkedFile struct {
	layout
	schema  uint32
	genesis verify.Hash
	size    int64
	records [bucketCount]tally
	bad     []op // records whose checksum does not hold, as deletions; at most maxBad
	badN    int
}

const maxBad = 10_000

// checkDatabase reads the whole file at path, page by page. Damage is ErrDamaged; a missing file is fs.ErrNotExist;
// other errors are about getting at it. visit, if not nil, sees each sound record.
func checkDatabase(path string, visit func(b bucket, key, value []byte) error) (*checkedFile, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrDamaged)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return checkPages(f, info.Size(), visit)
}

func checkPages(r io.ReaderAt, size int64, visit func(b bucket, key, value []byte) error) (*checkedFile, error) {
	c := &checkedFile{size: size}
	index := make(map[string]bucket, bucketCount)
	for b, name := range bucketNames {
		index[name] = bucket(b)
	}
	var sawSchema, sawGenesis bool
	var err error
	c.layout, err = walkPages(r, size, func(name string, key, stored []byte) error {
		b, known := index[name]
		if !known {
			return nil // of a newer schema, which is refused below, or of none
		}
		value, ok := unseal(name, key, stored)
		if !ok {
			if c.badN++; len(c.bad) < maxBad {
				c.bad = append(c.bad, op{bucket: b, key: string(key)})
			}
			return nil
		}
		c.records[b].add(len(key) + len(value))
		if b == bucketMeta {
			switch {
			case string(key) == "schema" && len(value) == 4:
				c.schema, sawSchema = binary.LittleEndian.Uint32(value), true
			case string(key) == "genesis" && len(value) == 32:
				c.genesis, sawGenesis = verify.Hash(value), true
			}
		}
		if visit != nil {
			return visit(b, key, value)
		}
		return nil
	})
	switch {
	case err != nil:
		return c, fmt.Errorf("%s: %w", databaseName, err)
	case !sawSchema || !sawGenesis:
		return c, fmt.Errorf("%s: %w: no schema number or genesis", databaseName, ErrDamaged)
	case c.schema > schema:
		return c, nil
	}
	for _, name := range bucketNames {
		if !c.buckets[name] && c.schema == schema {
			return c, fmt.Errorf("%s: %w: bucket %q is missing", databaseName, ErrDamaged, name)
		}
	}
	return c, nil
}

// openBolt opens a file that checkDatabase has passed.
func openBolt(path string, maxBytes int64, readOnly bool) (*database, error) {
	d := &database{path: path, readOnly: readOnly}
	options := &bolt.Options{
		Timeout:      time.Second, // the directory is locked already; this is for places without directory locks
		FreelistType: bolt.FreelistMapType,
		NoStatistics: true,
		ReadOnly:     readOnly,
		PageSize:     pageSize, // else the machine's: 16 KiB pages on a Raspberry Pi 5 would write four times as much
		MaxSize:      int(maxBytes),
		// The whole file is mapped from the start: it is never mapped anew, so that a backup holds up no writer.
		InitialMmapSize: int(maxBytes),
		OpenFile: func(name string, flag int, mode fs.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag|noFollow, mode)
			if err == nil && d.file == nil {
				d.file = f
			}
			return f, err
		},
	}
	err := guard(func() (err error) {
		d.bolt, err = bolt.Open(path, 0o600, options)
		return err
	})
	if err != nil {
		var fault *faultError
		if errors.As(err, &fault) {
			d.abandon()
			return nil, fmt.Errorf("%s: %w: %v", databaseName, ErrDamaged, err)
		}
		switch {
		case errors.Is(err, bolterrors.ErrTimeout):
			err = ErrLocked
		case !errors.As(err, new(syscall.Errno)): // bbolt's own opinion, not the operating system's
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, fmt.Errorf("%s: %w", databaseName, err)
	}
	d.bolt.AllocSize = 1 << 20 // bbolt's 16 MiB would come off MaxSize
	return d, nil
}

// createDatabase makes a database in one step: a power cut leaves either none or a sound one.
func createDatabase(dir string, genesis verify.Hash, count *counters) error {
	path := filepath.Join(dir, databaseName)
	tmp := path + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	d, err := openBolt(tmp, 1<<20, false)
	if err != nil {
		return err
	}
	count.wrote(4 * pageSize) // bbolt's first four pages
	count.syncs++
	_, err = d.commit(count, func(tx *bolt.Tx) error {
		for _, name := range bucketNames {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return putMeta(tx, schema, genesis)
	})
	if err = errors.Join(err, d.close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return installFile(tmp, path, count)
}

func putMeta(tx *bolt.Tx, number uint32, genesis verify.Hash) error {
	b := tx.Bucket([]byte(bucketNames[bucketMeta]))
	value := binary.LittleEndian.AppendUint32(nil, number)
	if err := b.Put([]byte("schema"), seal(bucketMeta, []byte("schema"), value)); err != nil {
		return err
	}
	return b.Put([]byte("genesis"), seal(bucketMeta, []byte("genesis"), genesis[:]))
}

// installFile syncs tmp, gives it its name and syncs the directory.
func installFile(tmp, path string, count *counters) error {
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	count.syncs += 2
	return errors.Join(err, syncDir(filepath.Dir(path)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// errBroken marks a database that must be opened anew before it is used again.
var errBroken = errors.New("database must be opened anew")

// commit runs f in one write transaction and counts what it costs. After an error nothing of f is to be seen. If bbolt
// itself failed, the error is also errBroken and the database must be abandoned.
func (d *database) commit(count *counters, f func(*bolt.Tx) error) (bytes int64, err error) {
	before := d.size()
	err = guard(func() error {
		tx, err := d.bolt.Begin(true)
		if err != nil {
			return errors.Join(errBroken, err)
		}
		if err := f(tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		err = tx.Commit()
		// All pages allocated in a transaction are written once; the meta page comes on top.
		stats := tx.Stats()
		bytes = stats.GetPageAlloc()
		if err == nil {
			bytes += pageSize
			count.syncs += 2
			count.commits++
		}
		return err
	})
	count.wrote(int(bytes))
	if d.size() != before {
		count.syncs++ // bbolt syncs a file it has made longer
	}
	var fault *faultError
	if errors.As(err, &fault) {
		err = errors.Join(errBroken, err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", databaseName, err)
	}
	return bytes, err
}

// view runs f in a read transaction. What f keeps it must copy.
func (d *database) view(f func(*bolt.Tx) error) error {
	err := guard(func() error { return d.bolt.View(f) })
	var fault *faultError
	if errors.As(err, &fault) || errors.Is(err, bolterrors.ErrInvalidMapping) || errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return fmt.Errorf("%s: %w: %w", databaseName, errBroken, err)
	}
	return err
}

// get returns a copy of a value. ok is false for a missing record; bad says that there is one, but damaged.
func (d *database) get(b bucket, key []byte) (value []byte, ok, bad bool, err error) {
	err = d.view(func(tx *bolt.Tx) error {
		stored := tx.Bucket([]byte(bucketNames[b])).Get(key)
		if stored == nil {
			return nil
		}
		value, ok = unseal(bucketNames[b], key, stored)
		value, bad = bytes.Clone(value), !ok
		return nil
	})
	return value, ok && err == nil, bad, err
}

// scan calls f with copies of the sound records from key from on, until f returns false.
func (d *database) scan(b bucket, from []byte, f func(key, value []byte) bool) error {
	return d.view(func(tx *bolt.Tx) error {
		c := tx.Bucket([]byte(bucketNames[b])).Cursor()
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			if value, ok := unseal(bucketNames[b], k, v); ok && !f(bytes.Clone(k), bytes.Clone(value)) {
				return nil
			}
		}
		return nil
	})
}

func (d *database) size() int64 {
	info, err := d.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (d *database) close() error { return guard(d.bolt.Close) }

// abandon lets go of a database that bbolt can no longer close, because a panic may have left its locks taken: the file
// is closed, which frees its lock; the mapping stays until the process ends.
func (d *database) abandon() {
	if d.file != nil {
		d.file.Close()
	}
}
