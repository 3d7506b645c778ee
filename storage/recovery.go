package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/taolight/taolight/verify"
)

// A Moved is a file that was set aside because it could not be used.
type Moved struct {
	File   string // name in the directory
	To     string // its new name there; empty if it could not be moved
	Reason string
}

// A Recovery says what Open found and mended. It is for the caller to log.
type Recovery struct {
	Dir           string
	Created       bool    // there was no store before
	Unclean       bool    // the last run did not end with Close
	TornHead      bool    // one of the two head slots was damaged; the other one counts, if it holds a head
	Moved         []Moved // damaged files; new ones were made
	Dropped       int     // records with a wrong checksum
	Migrated      bool    // from schema MigratedFrom
	MigratedFrom  uint32
	Backup        string // name of the copy made before the migration
	Degraded      error  // why nothing can be written
	Starts        uint64
	UncleanStarts uint64
}

// Lines returns what is worth a line in a log, nothing after a clean start.
func (r *Recovery) Lines() []string {
	var out []string
	add := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if r.Unclean {
		add("last run did not end cleanly (%d of %d starts)", r.UncleanStarts, r.Starts)
	}
	if r.TornHead {
		add("the last head was not written in full; the one before it is used")
	}
	for _, m := range r.Moved {
		if m.To == "" {
			add("%s could not be used and not be moved aside: %s", m.File, m.Reason)
			continue
		}
		add("%s was moved to %s and made anew: %s", m.File, m.To, m.Reason)
	}
	if r.Dropped > 0 {
		add("%d damaged records were dropped", r.Dropped)
	}
	if r.Migrated {
		add("database was brought from schema %d to %d; the old one is %s", r.MigratedFrom, schema, r.Backup)
	}
	if r.Degraded != nil {
		add("nothing can be written: %v", r.Degraded)
	}
	return out
}

// attach opens what is not open: the directory with its lock, the slot file, the database. Both files are read and found
// to belong here before either is changed. It returns an error only when the directory must not be used; what merely
// cannot be written is left in headFault and dbFault.
func (s *Store) attach(rec *Recovery) error {
	if s.dir == nil {
		if err := s.lock(); err != nil {
			if !readOnlyError(err) {
				return err
			}
			err = fmt.Errorf("%w: %w", ErrReadOnly, err)
			s.headFault, s.dbFault, rec.Degraded = err, err, err
			return nil
		}
	}
	var im *slotsImage
	var slotsErr, dbErr error
	var found *checkedFile
	if s.slots == nil {
		im, slotsErr = readSlots(filepath.Join(s.cfg.Dir, slotsName), s.cfg.Genesis)
		if slotsErr != nil && !errors.Is(slotsErr, ErrDamaged) && !errors.Is(slotsErr, fs.ErrNotExist) {
			return slotsErr
		}
	}
	// A database that failed to write is checked and opened anew: what bbolt holds in memory may not be what is on disk.
	if s.db != nil && (s.db.readOnly || s.suspect) {
		if err := s.closeDatabase(); err != nil {
			s.db.abandon()
		}
		s.db, s.suspect = nil, false
	}
	var top uint32
	var any bool
	if s.db == nil {
		found, dbErr = checkDatabase(filepath.Join(s.cfg.Dir, databaseName), func(b bucket, key, _ []byte) error {
			if n, ok := headerNumber(string(key)); b == bucketHeaders && ok {
				top, any = max(top, n), true
			}
			return nil
		})
		switch {
		case dbErr == nil && found.genesis != s.cfg.Genesis:
			return fmt.Errorf("%w: %s is of genesis %v, not %v", ErrGenesis, databaseName, found.genesis, s.cfg.Genesis)
		case dbErr == nil && found.schema > schema:
			return fmt.Errorf("%w: %s has schema %d, this one knows %d", ErrNewer, databaseName, found.schema, schema)
		case dbErr != nil && !errors.Is(dbErr, ErrDamaged) && !errors.Is(dbErr, fs.ErrNotExist):
			return dbErr
		}
	}
	rec.Created = errors.Is(slotsErr, fs.ErrNotExist) && errors.Is(dbErr, fs.ErrNotExist)
	if s.slots == nil {
		s.headFault = s.attachSlots(im, slotsErr, rec)
	}
	if s.db == nil {
		found, s.dbFault = s.attachDatabase(found, dbErr, rec)
		if s.db != nil && any && found.size > 0 && (!s.hasHeaders || top > s.top) {
			s.top, s.hasHeaders = top, true
		}
		s.recount(found)
	}
	if s.headFault != nil || s.dbFault != nil {
		s.count.failures++
	}
	rec.Degraded = errors.Join(s.headFault, s.dbFault)
	return nil
}

// lock makes the directory if need be and takes its lock.
func (s *Store) lock() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	d, err := os.Open(s.cfg.Dir)
	if err != nil {
		return err
	}
	if info, err := d.Stat(); err != nil || !info.IsDir() {
		d.Close()
		return errors.Join(err, errors.New("not a directory"))
	}
	if err := lockDir(d); err != nil {
		d.Close()
		return err
	}
	s.dir = d
	if s.quiet {
		return nil
	}
	// Files that were being made when the power went.
	for _, name := range []string{slotsName + ".tmp", databaseName + ".tmp"} {
		os.RemoveAll(filepath.Join(s.cfg.Dir, name))
	}
	return nil
}

// readSlots reads a whole slot file. A short, long or odd one is for the image to judge.
func readSlots(path string, genesis verify.Hash) (*slotsImage, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file", slotsName, ErrDamaged)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, slotsSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", slotsName, ErrDamaged, err)
	}
	im, err := decodeSlots(b, genesis)
	return &im, err
}

// attachSlots takes over what the image says, mends the file and opens it for writing. Its error is a fault to live with.
func (s *Store) attachSlots(im *slotsImage, readErr error, rec *Recovery) error {
	var keep record
	switch {
	case im != nil && s.rejected != nil:
		s.mark, im, readErr = im.mark, nil, s.rejected
	case im != nil:
		if im.best >= 0 {
			keep = im.rec
			if !s.hasHead {
				s.head, s.hasHead = keep.head, true
			}
			s.written = keep.head.Number
		}
		rec.TornHead = im.damage() == nil && (im.states[0] == slotDamaged || im.states[1] == slotDamaged)
		s.mark = im.mark
		rec.Unclean = im.best >= 0 && !im.marked || im.marked && !im.mark.clean
	}
	damage := readErr
	if im != nil {
		damage = im.damage()
	}
	if damage != nil && s.quiet {
		return ErrQuiet // Tick comes back to it
	}
	var err error
	if damage != nil {
		err = s.replaceSlots(damage, keep, rec)
	} else {
		err = s.openSlots()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if keep.seq == 0 {
		s.written = 0
	}
	// A head of memory that the file does not have: it could not be written until now.
	s.headDirty = s.headDirty || s.hasHead && (keep.seq == 0 || s.head.Number > keep.head.Number)
	s.mark.starts++
	if rec.Unclean {
		s.mark.unclean++
	}
	s.mark.clean, s.markDirty = false, true
	if s.quiet {
		return nil
	}
	return s.flushSlots()
}

// replaceSlots sets the slot file aside, unless it is merely missing, makes another with keep in it, and opens that.
func (s *Store) replaceSlots(damage error, keep record, rec *Recovery) error {
	if !errors.Is(damage, fs.ErrNotExist) {
		if err := s.moveAside(slotsName, damage, rec); err != nil {
			return err
		}
	}
	if err := s.createSlots(keep); err != nil {
		return err
	}
	s.rejected = nil
	return s.openSlots()
}

// createSlots makes a slot file in one step, with keep in slot A unless it is empty. Every byte is written, so that later
// writes meet allocated blocks only.
func (s *Store) createSlots(keep record) error {
	b := make([]byte, slotsSize)
	if keep.seq > 0 {
		r, err := appendRecord(nil, keep)
		if err != nil {
			return err
		}
		copy(b, r)
	}
	copy(b[markOffset:], appendMark(nil, s.mark, s.cfg.Genesis))
	path := filepath.Join(s.cfg.Dir, slotsName)
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	s.count.wrote(len(b))
	return installFile(tmp, path, &s.count)
}

// openSlots opens the slot file for writing and finds the slot to write next.
func (s *Store) openSlots() error {
	path := filepath.Join(s.cfg.Dir, slotsName)
	im, err := readSlots(path, s.cfg.Genesis)
	if err != nil {
		return err
	}
	f, err := s.cfg.openSlots(path, os.O_RDWR)
	if err != nil {
		return err
	}
	s.slots = &slots{f: f, genesis: s.cfg.Genesis, count: &s.count}
	if im.best >= 0 {
		s.slots.seq, s.slots.next = im.rec.seq, 1-im.best
	}
	return nil
}

// attachDatabase opens a checked database, or sets a damaged one aside and makes another. It returns what is in the one
// it opened. Its error is a fault to live with.
func (s *Store) attachDatabase(found *checkedFile, checkErr error, rec *Recovery) (*checkedFile, error) {
	empty := &checkedFile{}
	path := filepath.Join(s.cfg.Dir, databaseName)
	if s.quiet && (checkErr != nil || found.schema < schema) {
		return empty, ErrQuiet // Tick comes back to it
	}
	if checkErr == nil && found.schema < schema {
		checkErr = s.migrate(path, found, rec)
	}
	if checkErr == nil {
		err := s.openDatabase(path, found)
		if !errors.Is(err, ErrDamaged) {
			if err == nil {
				rec.Dropped += found.badN
				s.count.bad += uint64(found.badN)
			}
			return found, err
		}
		if s.quiet {
			return empty, ErrQuiet
		}
		checkErr = err
	}
	if !errors.Is(checkErr, fs.ErrNotExist) {
		if !errors.Is(checkErr, ErrDamaged) {
			return empty, checkErr // the disk, not the file
		}
		if err := s.moveAside(databaseName, checkErr, rec); err != nil {
			return empty, fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
	}
	if err := createDatabase(s.cfg.Dir, s.cfg.Genesis, &s.count); err != nil {
		return empty, fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return empty, s.openDatabase(path, empty)
}

// openDatabase opens the file for writing, or failing that for reading.
func (s *Store) openDatabase(path string, found *checkedFile) error {
	db, err := openBolt(path, s.cfg.MaxBytes, false)
	if err != nil && readOnlyError(err) {
		if ro, roErr := openBolt(path, s.cfg.MaxBytes, true); roErr == nil {
			s.db = ro
		}
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if err != nil {
		return err
	}
	s.db = db
	for _, o := range found.bad {
		if _, ok := s.batch.ops[o.bucket][o.key]; !ok {
			o.deleted = true
			s.batch.set(o)
		}
	}
	if found.brokenMeta && !s.quiet {
		// The next commit overwrites the broken page; better now, while the other one is known to be good.
		_, err := db.commit(&s.count, func(tx *bolt.Tx) error { return putMeta(tx, schema, s.cfg.Genesis) })
		return err
	}
	return nil
}

// migrate brings a database of an older schema to this one, in one transaction, with a copy beside it. If there is no way
// to, the file counts as damaged: everything in it can be had again.
func (s *Store) migrate(path string, found *checkedFile, rec *Recovery) error {
	name := freeName(s.cfg.Dir, fmt.Sprintf("%s.schema-%d", databaseName, found.schema))
	if err := copyFile(path, filepath.Join(s.cfg.Dir, name), &s.count); err != nil {
		return fmt.Errorf("migration: backup: %w", err)
	}
	db, err := openBolt(path, s.cfg.MaxBytes, false)
	if err != nil {
		return err
	}
	_, err = db.commit(&s.count, func(tx *bolt.Tx) error {
		for number := found.schema; number < schema; number++ {
			i := slices.IndexFunc(s.cfg.migrations, func(m migration) bool { return m.from == number })
			if i < 0 {
				return fmt.Errorf("%w: no migration from schema %d", ErrDamaged, number)
			}
			if err := s.cfg.migrations[i].run(tx); err != nil {
				return fmt.Errorf("%w: migration from schema %d: %w", ErrDamaged, number, err)
			}
		}
		for _, name := range bucketNames {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return putMeta(tx, schema, s.cfg.Genesis)
	})
	if errors.Is(err, errBroken) {
		db.abandon()
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := errors.Join(err, db.close()); err != nil {
		return err
	}
	again, err := checkDatabase(path, nil)
	if err != nil {
		return err
	}
	rec.Migrated, rec.MigratedFrom, rec.Backup = true, found.schema, name
	*found = *again
	return nil
}

// recount takes the tallies of the file and adds what the batch changes.
func (s *Store) recount(found *checkedFile) {
	s.tally = [bucketCount]tally{}
	if s.db != nil {
		s.tally = found.records
	}
	for b := range s.batch.ops {
		for key, o := range s.batch.ops[b] {
			if s.db != nil {
				if old, ok, _, err := s.db.get(bucket(b), []byte(key)); err == nil && ok {
					s.tally[b].sub(len(key) + len(old))
				}
			}
			if !o.deleted {
				s.tally[b].add(len(key) + len(o.value))
			}
		}
	}
	s.low = 0
	s.trimHeaders()
	s.trimProofs()
}

// keepMoved is how many damaged copies of a file are kept: a card that fails at each start must not fill up with them.
const keepMoved = 3

// moveAside renames a file of the directory to NAME.damaged-<unix time> and syncs the directory.
func (s *Store) moveAside(name string, reason error, rec *Recovery) error {
	prefix := name + ".damaged-"
	m := Moved{File: name, Reason: fmt.Sprint(reason)}
	to := freeName(s.cfg.Dir, prefix+strconv.FormatInt(s.cfg.Now().Unix(), 10))
	err := os.Rename(filepath.Join(s.cfg.Dir, name), filepath.Join(s.cfg.Dir, to))
	if err == nil {
		m.To = to
		s.count.syncs++
		err = syncDir(s.cfg.Dir)
	}
	rec.Moved = append(rec.Moved, m)
	if m.To != "" && len(s.moved) < 16 {
		s.moved = append(s.moved, m)
	}
	if err == nil {
		s.pruneMoved(prefix, to)
	}
	return err
}

// pruneMoved removes the oldest copies but never the one just made, nor anything that does not end in a number.
func (s *Store) pruneMoved(prefix, last string) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return
	}
	type aside struct {
		name string
		time int64
	}
	var old []aside
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		stamp, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.ParseInt(stamp, 10, 64); ok && err == nil && e.Name() != last && e.Type().IsRegular() {
			old = append(old, aside{e.Name(), n})
		}
	}
	slices.SortFunc(old, func(a, b aside) int { return int(max(-1, min(1, b.time-a.time))) })
	for i := keepMoved - 1; i < len(old); i++ {
		os.Remove(filepath.Join(s.cfg.Dir, old[i].name))
	}
}

// freeName returns name, or name.2, name.3 … if that exists.
func freeName(dir, name string) string {
	for i := 2; ; i++ {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return name
		}
		base, _, _ := strings.Cut(name, ".again-")
		name = base + ".again-" + strconv.Itoa(i)
	}
}

func copyFile(from, to string, count *counters) error {
	in, err := os.OpenFile(from, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := to + ".tmp"
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, in)
	count.wrote(int(n))
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return installFile(tmp, to, count)
}
