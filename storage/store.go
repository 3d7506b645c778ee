package storage

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/taolight/taolight/verify"
)

var (
	// ErrLocked: another process holds the directory.
	ErrLocked = errors.New("data directory is in use by another taolight")
	// ErrGenesis: the directory belongs to another network.
	ErrGenesis = errors.New("data directory belongs to another network")
	// ErrNewer: the directory was written by a later version and is left alone.
	ErrNewer = errors.New("data directory was written by a newer taolight")
	// ErrDamaged: a file is not what this package writes.
	ErrDamaged = errors.New("damaged")
	// ErrBackwards: a head that is not above the one kept.
	ErrBackwards = errors.New("head would go backwards")
	// ErrTooLarge: a record beyond its bound.
	ErrTooLarge = errors.New("too large to store")
	// ErrFull: a bound on the number or the bytes of records is reached.
	ErrFull = errors.New("store is full")
	// ErrNoSpace: the disk is full up to the reserve left to others.
	ErrNoSpace = errors.New("no space left but the reserve")
	// ErrReadOnly: the directory cannot be written; everything is kept in memory.
	ErrReadOnly = errors.New("data directory cannot be written")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrQuiet: writing was ended by Quiet.
	ErrQuiet = errors.New("nothing is written for now")
	// ErrMismatch: a header that does not have the hash it is stored under.
	ErrMismatch = errors.New("header does not match its hash")
)

// Bounds of the database file, in bytes.
const (
	DefaultBytes = 64 << 20
	MaxBytes     = 256 << 20
	// DefaultBundleBytes bounds the bundles, which are part of that.
	DefaultBundleBytes = 16 << 20

	minBytes   = 4 << 20
	maxPending = 8 << 20
	retryFirst = time.Minute // doubled with each try in vain
	retryLast  = 16 * time.Minute
)

// Config says where a store is and how much it may hold. Dir and Genesis are required.
type Config struct {
	Dir     string      // made with mode 0700 if it is missing
	Genesis verify.Hash // of the network the directory belongs to

	MaxBytes   int64 // bound of taolight.db; 0 = DefaultBytes, at most MaxBytes
	Headers    int   // headers kept by number; 0 = 4,096
	ProofBytes int64 // bytes of proofs kept; 0 = a quarter of MaxBytes
	// BundleBytes is how many bytes of bundles are kept; 0 = 16 MiB or a quarter of MaxBytes, whichever is less; half
	// of MaxBytes at most.
	BundleBytes int64
	Reserve     int64 // bytes left free on the disk; 0 = 64 MiB or 2 % of the disk, whichever is less; negative = none
	Pace        Pace
	Quiet       bool // opened as if Quiet had been called: not a byte is written before Quiet(false)

	Now func() time.Time // names files that are moved aside; nil = time.Now

	// For tests.
	openSlots   func(path string, flag int) (slotFile, error)
	commitFault func() error
	migrations  []migration
}

// Pace says how often the store writes by itself. A zero field keeps its default.
type Pace struct {
	HeadEvery   uint32        // blocks between two heads written by SetHead; 150
	CommitEvery time.Duration // between two commits made by Tick; 6 hours
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("storage: no directory given")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultBytes
	}
	if c.MaxBytes < minBytes || c.MaxBytes > MaxBytes {
		return c, fmt.Errorf("storage: a size of %d bytes is not between %d and %d", c.MaxBytes, minBytes, MaxBytes)
	}
	if c.Headers <= 0 {
		c.Headers = 4096
	}
	if c.ProofBytes <= 0 || c.ProofBytes > c.MaxBytes/2 {
		c.ProofBytes = c.MaxBytes / 4
	}
	if c.BundleBytes <= 0 {
		c.BundleBytes = min(DefaultBundleBytes, c.MaxBytes/4)
	}
	c.BundleBytes = min(c.BundleBytes, c.MaxBytes/2)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.openSlots == nil {
		c.openSlots = func(path string, flag int) (slotFile, error) {
			f, err := os.OpenFile(path, flag|noFollow, 0)
			return osSlotFile{f}, err
		}
	}
	if c.migrations == nil {
		c.migrations = migrations
	}
	c.Pace = c.Pace.withDefaults()
	return c, nil
}

func (p Pace) withDefaults() Pace {
	if p.HeadEvery == 0 {
		p.HeadEvery = 150
	}
	if p.CommitEvery <= 0 {
		p.CommitEvery = 6 * time.Hour
	}
	return p
}

// counters count what is written, by our own book: /proc counts large folios, not blocks.
type counters struct {
	bytes, device         uint64
	syncs, heads, commits uint64
	failures, bad         uint64
}

// wrote counts one write; a device writes whole blocks.
func (c *counters) wrote(n int) {
	c.bytes += uint64(n)
	c.device += uint64(n+deviceBlock-1) / deviceBlock * deviceBlock
}

// A Store is one open data directory. Its methods may be called from several goroutines; they wait for each other.
type Store struct {
	cfg         Config
	commitFault func() error

	mu     sync.Mutex
	closed bool
	dir    *os.File // holds the lock; nil if the directory could not be made
	count  counters
	mark   mark
	moved  []Moved

	slots     *slots // nil when the file cannot be written
	head      Head
	hasHead   bool
	written   uint32 // number of the newest head on the medium
	headDirty bool
	markDirty bool
	rejected  error // why the head in the file must not be read again

	db      *database // nil when there is none to read
	backups int       // under way
	batch   batch
	tally   [bucketCount]tally
	// top is the highest header number kept, low a bound below which there are none.
	top, low   uint32
	hasHeaders bool

	now, lastCommit, lastTry time.Time
	wait                     time.Duration // until the next try after a fault
	headFault, dbFault       error
	suspect                  bool // the database failed to write and must be read anew
	quiet                    bool // nothing is written
}

// Open opens the directory of one network, makes it if it is missing, and mends what is broken. Recovery tells what it
// found, also on an error. Errors: ErrLocked, ErrGenesis, ErrNewer, and those of the operating system when files are
// there but cannot be read. A directory that can be read but not written is no error: see [Store.Degraded]. Nor is a file
// that is missing, damaged or of an older schema when the store is opened quiet: it is made or mended once that is over.
func Open(cfg Config) (*Store, *Recovery, error) {
	rec := &Recovery{Dir: cfg.Dir}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, rec, err
	}
	s := &Store{cfg: cfg, commitFault: cfg.commitFault, quiet: cfg.Quiet}
	if err := s.attach(rec); err != nil {
		s.detach()
		return nil, rec, fmt.Errorf("storage: %s: %w", cfg.Dir, err)
	}
	rec.Starts, rec.UncleanStarts = s.mark.starts, s.mark.unclean
	return s, rec, nil
}

// Commit writes everything that waits, the head as well, and syncs. After a change of the authority set the caller
// calls it at once.
func (s *Store) Commit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.quiet {
		return nil
	}
	return errors.Join(s.commit(), s.flushSlots())
}

// Quiet ends all writing, or lets it go on: a board whose supply sags must not write. What is put meanwhile waits
// in memory, within its bounds, for the next head, commit or tick after that. A store that is closed while it is
// quiet writes nothing either, not even that the end was a clean one.
func (s *Store) Quiet(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = on
}

// Tick does what is due at time now: the rare commit, the end of bans, and another try after a fault. The caller has one
// coarse tick for everything; a minute is enough. It returns what could not be written; that is also in Degraded.
func (s *Store) Tick(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.now = now
	if s.lastCommit.IsZero() || now.Before(s.lastCommit) {
		s.lastCommit = now // the first tick, or a clock that was set back
	}
	s.endBans(now)
	if s.quiet {
		return nil
	}
	if s.headFault != nil || s.dbFault != nil {
		if since := now.Sub(s.lastTry); since >= 0 && since < s.wait {
			return nil
		}
		s.lastTry, s.wait = now, min(max(2*s.wait, retryFirst), retryLast)
		if err := s.attach(&Recovery{Dir: s.cfg.Dir}); err != nil {
			return err
		}
		return errors.Join(s.commit(), s.flushSlots())
	}
	s.wait = 0
	var err error
	if s.markDirty { // it was quiet when the store was opened
		err = s.flushSlots()
	}
	if now.Sub(s.lastCommit) >= s.cfg.Pace.CommitEvery {
		err = errors.Join(err, s.commit())
	}
	return err
}

// SetPace changes how often the store writes by itself; a power policy does.
func (s *Store) SetPace(p Pace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Pace = p.withDefaults()
}

// Space returns the bytes that are free to this user and the size of the file system that holds dir; 0, 0 if unknown.
func Space(dir string) (free, size uint64) { return space(dir) }

// Degraded returns why the store runs from memory only, nil if it writes as it should.
func (s *Store) Degraded() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.headFault, s.dbFault)
}

// Close writes everything that waits, marks the end as clean and lets go of the directory. The store is closed also
// when it returns an error.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.quiet {
		s.closed = true
		return s.detach()
	}
	err := errors.Join(s.commit(), s.flushSlots())
	if err == nil && s.slots != nil && s.headFault == nil && s.dbFault == nil {
		m := s.mark
		m.clean = true
		err = s.slots.writeMark(m)
	}
	s.closed = true
	return errors.Join(err, s.detach())
}

// detach closes what is open.
func (s *Store) detach() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.closeDatabase())
		s.db = nil
	}
	if s.slots != nil {
		errs = append(errs, s.slots.f.Close())
		s.slots = nil
	}
	if s.dir != nil {
		errs = append(errs, s.dir.Close())
		s.dir = nil
	}
	return errors.Join(errs...)
}

// closeDatabase closes the database. bbolt would wait for its readers, and a backup may go through a pipe that nobody
// empties: it fails instead.
func (s *Store) closeDatabase() error {
	if s.backups > 0 {
		s.db.abandon()
		return nil
	}
	return s.db.close()
}

// fail remembers a fault and when it came, so that the next try waits its time.
func (s *Store) fail(fault *error, err error) {
	*fault = err
	s.lastTry = s.now
	s.wait = max(s.wait, retryFirst)
	s.count.failures++
}

// lose gives up a database that bbolt has failed on. The batch stays; a later Tick opens the file anew, or makes another.
func (s *Store) lose(err error) {
	s.fail(&s.dbFault, err)
	if s.db != nil {
		s.db.abandon()
		s.db = nil
	}
}

// Stats are figures for status. Bytes and syncs count since Open.
type Stats struct {
	BytesWritten  uint64 // handed to the operating system
	DeviceBytes   uint64 // the same in whole blocks of 4 KiB
	Syncs         uint64
	HeadWrites    uint64
	Commits       uint64
	Failures      uint64
	BadRecords    uint64    // read with a wrong checksum and dropped
	HeadWritten   uint32    // number of the newest head on disk; the newest of all is Head
	Pending       int       // records that wait for the next commit
	PendingBytes  int64     // memory taken by these and by the headers that are not saved
	LastCommit    time.Time // by the clock of Tick; zero if none
	FileBytes     int64     // of taolight.db
	Starts        uint64
	UncleanStarts uint64
	Records       map[string]int // by kind
	BundleBytes   int64          // of the bundles kept, with their names
	BundleLimit   int64          // beyond which the oldest go
	Moved         []Moved        // files moved aside since Open
}

// Stats returns the figures of this moment.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		BytesWritten: s.count.bytes, DeviceBytes: s.count.device, Syncs: s.count.syncs, HeadWrites: s.count.heads,
		Commits: s.count.commits, Failures: s.count.failures, BadRecords: s.count.bad, HeadWritten: s.written,
		Pending: s.saveable(), PendingBytes: s.batch.bytes, LastCommit: s.lastCommit,
		Starts: s.mark.starts, UncleanStarts: s.mark.unclean,
		Records: map[string]int{}, BundleBytes: s.tally[bucketBundles].bytes, BundleLimit: s.cfg.BundleBytes, Moved: append([]Moved(nil), s.moved...),
	}
	if s.db != nil {
		st.FileBytes = s.db.size()
	}
	for b := bucketSets; b < bucketCount; b++ {
		st.Records[bucketNames[b]] = s.tally[b].records
	}
	return st
}

// A Head is the newest finalized block with what is needed to go on from it.
type Head struct {
	Number uint32
	Hash   verify.Hash
	Data   []byte // opaque here: the SCALE of a checkpoint.State; at most MaxHeadData
}

// Head returns the newest head, false if there is none. It may be newer than the one on disk.
func (s *Store) Head() (Head, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.head
	h.Data = append([]byte(nil), h.Data...)
	return h, s.hasHead
}

// SetHead takes a new head and writes it when it is Pace.HeadEvery blocks above the last one written. Call it for every
// finalized block. Errors are those of WriteHead.
func (s *Store) SetHead(h Head) error { return s.takeHead(h, false) }

// WriteHead takes a new head and writes it at once. ErrBackwards refuses a lower number, or the same number with another
// hash; nothing is changed then. After any other error the head is kept in memory and written again later.
func (s *Store) WriteHead(h Head) error { return s.takeHead(h, true) }

func (s *Store) takeHead(h Head, now bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(h.Data) > MaxHeadData:
		return fmt.Errorf("%w: a head of %d bytes, at most %d", ErrTooLarge, len(h.Data), MaxHeadData)
	case s.hasHead && (h.Number < s.head.Number || h.Number == s.head.Number && h.Hash != s.head.Hash):
		return fmt.Errorf("%w: from %d %v to %d %v", ErrBackwards, s.head.Number, s.head.Hash, h.Number, h.Hash)
	case s.hasHead && h.Number == s.head.Number && string(h.Data) == string(s.head.Data) && !(now && s.headDirty):
		return nil
	}
	h.Data = append([]byte(nil), h.Data...)
	due := now || s.written == 0 || h.Number > s.written && h.Number-s.written >= s.cfg.Pace.HeadEvery
	s.head, s.hasHead, s.headDirty = h, true, true
	if !due || s.quiet || (!now && s.headFault != nil) {
		return nil // with a fault, Tick decides when to try again
	}
	return s.flushSlots()
}

// flushSlots writes the run mark and the head if they wait. A head on the medium that is above the one in memory, as when
// a card is put in late, stays until it is reached.
func (s *Store) flushSlots() error {
	if s.quiet {
		return ErrQuiet
	}
	if s.slots == nil {
		if s.headDirty || s.markDirty {
			return s.headFault
		}
		return nil
	}
	if s.markDirty {
		if err := s.slots.writeMark(s.mark); err != nil {
			s.fail(&s.headFault, err)
			return err
		}
		s.markDirty = false
	}
	if s.headDirty && s.head.Number >= s.written {
		if err := s.slots.write(s.head); err != nil {
			s.fail(&s.headFault, err)
			return err
		}
		s.headDirty, s.written = false, s.head.Number
	}
	s.headFault = nil
	return nil
}

// RejectHead drops a head that its reader found to be false: head.slots is moved aside and made anew without a head. It
// is the only way back to a lower number.
func (s *Store) RejectHead(reason error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.head, s.hasHead, s.headDirty, s.written = Head{}, false, false, 0
	s.rejected = fmt.Errorf("%w: head rejected: %w", ErrDamaged, errors.Join(reason))
	if s.slots == nil {
		return s.headFault // attach moves the file aside when it can
	}
	err := s.slots.f.Close()
	s.slots = nil
	if err = errors.Join(err, s.replaceSlots(s.rejected, record{}, &Recovery{})); err != nil {
		s.fail(&s.headFault, err)
		return err
	}
	s.markDirty = true
	return s.flushSlots()
}
