package storage

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/taolight/taolight/verify"
)

// A Problem is one finding of a check.
type Problem struct {
	Place string // file, and what in it
	Err   error
}

// A Report is the outcome of a check.
type Report struct {
	Dir       string
	Slots     [2]string // "valid", "blank" or "damaged"
	Head      Head
	HasHead   bool
	Unclean   bool // the mark of a run that has not ended; natural while the store is open
	FileBytes int64
	Pages     uint64
	FreePages uint64
	Schema    uint32
	Records   map[string]int // sound ones by kind
	Problems  []Problem      // at most 1,000
	More      int            // problems beyond these
}

// OK reports whether nothing was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

const maxProblems = 1000

func (r *Report) add(place string, err error) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{place, err})
}

// VerifyFunc checks one record beyond its form: kind is a bucket name of the package documentation, or "head" with the
// hash as key. key and value are only valid during the call.
type VerifyFunc func(kind string, key, value []byte) error

// Check looks at the files of an open store: both head slots, the whole structure of the database, and with readAll every
// record, pending ones as well: checksum, form, and what verify says, which may be nil. While it reads the structure,
// other calls wait; verify is called without holding them up. The error is about the check itself: ctx, or ErrClosed.
func (s *Store) Check(ctx context.Context, readAll bool, verify VerifyFunc) (*Report, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	r := newReport(s.cfg.Dir)
	for _, fault := range []error{s.headFault, s.dbFault} {
		if fault != nil {
			r.add(s.cfg.Dir, fault)
		}
	}
	r.readSlots(s.cfg.Genesis)
	found := r.readDatabase(ctx, s.cfg.Genesis, nil)
	if found != nil && s.db != nil {
		r.boltCheck(s.db)
	}
	s.mu.Unlock()
	if readAll && ctx.Err() == nil {
		r.Records = map[string]int{}
		r.verifyHead(verify)
		for b := bucketSets; b < bucketCount; b++ {
			if err := s.checkRecords(ctx, r, b, verify); err != nil {
				return r, err
			}
		}
	}
	return r, ctx.Err()
}

// checkRecords takes records a few at a time, so that neither memory nor other calls suffer.
func (s *Store) checkRecords(ctx context.Context, r *Report, b bucket, verify VerifyFunc) error {
	type pair struct {
		key   string
		value []byte
	}
	for from, more := "", true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var part []pair
		bytes := 0
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return ErrClosed
		}
		more = false
		s.scan(b, from, func(key string, value []byte) bool {
			if len(part) == 64 || bytes > MaxValue {
				more = true
				return false
			}
			part = append(part, pair{key, value})
			bytes += len(value)
			return true
		})
		s.mu.Unlock()
		for _, p := range part {
			from = p.key + "\x00"
			r.record(b, []byte(p.key), p.value, verify)
		}
	}
	return nil
}

// CheckDir is Check for a directory that no process has open. It changes nothing: damaged files stay where they are, and
// a directory that does not exist is fs.ErrNotExist.
func CheckDir(ctx context.Context, dir string, genesis verify.Hash, readAll bool, verify VerifyFunc) (*Report, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	defer d.Close()
	if err := lockDir(d); err != nil {
		return nil, fmt.Errorf("storage: %s: %w", dir, err)
	}
	r := newReport(dir)
	r.readSlots(genesis)
	if !readAll {
		verify = nil
	}
	found := r.readDatabase(ctx, genesis, func(b bucket, key, value []byte) error {
		if readAll && b != bucketMeta {
			r.record(b, key, value, verify)
		}
		return ctx.Err()
	})
	if found != nil && !readAll {
		for b := bucketSets; b < bucketCount; b++ {
			r.Records[bucketNames[b]] = found.records[b].records
		}
	}
	r.verifyHead(verify)
	return r, ctx.Err()
}

func newReport(dir string) *Report {
	return &Report{Dir: dir, Slots: [2]string{slotBlank.String(), slotBlank.String()}, Records: map[string]int{}}
}

func (r *Report) readSlots(genesis verify.Hash) {
	im, err := readSlots(filepath.Join(r.Dir, slotsName), genesis)
	if err != nil {
		r.add(slotsName, err)
		return
	}
	for i, state := range im.states {
		r.Slots[i] = state.String()
		if state == slotDamaged {
			r.add(fmt.Sprintf("%s: slot %c", slotsName, 'A'+i), im.faults[i])
		}
	}
	if err := im.damage(); err != nil && im.size != slotsSize {
		r.add(slotsName, err)
	}
	r.Head, r.HasHead = im.rec.head, im.best >= 0
	r.Unclean = !im.marked || !im.mark.clean
}

// readDatabase walks the file; nil if it is unusable.
func (r *Report) readDatabase(ctx context.Context, genesis verify.Hash, visit func(b bucket, key, value []byte) error) *checkedFile {
	c, err := checkDatabase(filepath.Join(r.Dir, databaseName), func(b bucket, key, value []byte) error {
		if visit != nil {
			return visit(b, key, value)
		}
		return ctx.Err()
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		r.add(databaseName, err)
		return nil
	case c.genesis != genesis:
		r.add(databaseName, fmt.Errorf("%w: genesis %v, not %v", ErrGenesis, c.genesis, genesis))
		return nil
	case c.schema > schema:
		r.add(databaseName, fmt.Errorf("%w: schema %d, this one knows %d", ErrNewer, c.schema, schema))
		return nil
	}
	r.Schema, r.FileBytes, r.Pages, r.FreePages = c.schema, c.size, c.pages, c.free
	for _, o := range c.bad {
		r.add(place(o.bucket, []byte(o.key)), fmt.Errorf("%w: wrong checksum", ErrDamaged))
	}
	if rest := c.badN - len(c.bad); rest > 0 {
		r.More += rest
	}
	for b := bucketSets; visit == nil && b < bucketCount; b++ {
		r.Records[bucketNames[b]] = c.records[b].records
	}
	return c
}

// boltCheck asks bbolt's own checker as well. It runs in a goroutine of bbolt's, where a memory fault could not be caught;
// the walk before it has made sure that there is none to come.
func (r *Report) boltCheck(d *database) {
	err := d.view(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			r.add(databaseName, fmt.Errorf("%w: %w", ErrDamaged, err))
		}
		return nil
	})
	if err != nil {
		r.add(databaseName, err)
	}
}

func (r *Report) verifyHead(verify VerifyFunc) {
	if verify == nil || !r.HasHead {
		return
	}
	if err := verify("head", r.Head.Hash[:], r.Head.Data); err != nil {
		r.add(fmt.Sprintf("%s: head %d", slotsName, r.Head.Number), err)
	}
}

// record checks the form of a record and then asks verify.
func (r *Report) record(b bucket, key, value []byte, verify VerifyFunc) {
	var err error
	switch b {
	case bucketSets:
		_, err = decodeSet(string(key), value)
	case bucketHeaders:
		_, err = decodeHeader(string(key), value)
	case bucketBans:
		_, err = decodeBan(string(key), value)
	case bucketProofs:
		if len(key) != 4+32+8 {
			err = fmt.Errorf("%w: a key of %d bytes", ErrDamaged, len(key))
		}
	case bucketBundles:
		_, _, err = bundleName(string(key))
	}
	if err == nil && verify != nil {
		err = verify(bucketNames[b], key, value)
	}
	if err != nil {
		r.add(place(b, key), err)
		return
	}
	r.Records[bucketNames[b]]++
}

func place(b bucket, key []byte) string {
	text := string(key)
	for _, c := range key {
		if c < 0x20 || c > 0x7E {
			text = "0x" + hex.EncodeToString(key)
			break
		}
	}
	return fmt.Sprintf("%s: %s %s", databaseName, bucketNames[b], text)
}

// Exists reports whether dir holds a store, of whatever network and in whatever state.
func Exists(dir string) bool {
	for _, name := range []string{slotsName, databaseName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}
