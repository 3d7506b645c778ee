package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// op is one pending change of a record.
type op struct {
	bucket  bucket
	key     string
	value   []byte
	deleted bool
}

// batch holds the changes since the last commit. Reads look here first.
type batch struct {
	ops   [bucketCount]map[string]op
	bytes int64 // of keys and values
}

func (b *batch) set(o op) {
	if b.ops[o.bucket] == nil {
		b.ops[o.bucket] = map[string]op{}
	}
	b.forget(o.bucket, o.key)
	b.ops[o.bucket][o.key] = o
	b.bytes += o.size()
}

func (b *batch) forget(k bucket, key string) {
	if old, ok := b.ops[k][key]; ok {
		b.bytes -= old.size()
		delete(b.ops[k], key)
	}
}

// opCost is about what an op takes in memory beside key and value.
const opCost = 96

func (o op) size() int64 { return int64(len(o.key)+len(o.value)) + opCost }

func (b *batch) len() int {
	n := 0
	for _, m := range b.ops {
		n += len(m)
	}
	return n
}

// keys returns the keys of one bucket from `from` on, in order.
func (b *batch) keys(k bucket, from string) []string {
	keys := make([]string, 0, len(b.ops[k]))
	for key := range b.ops[k] {
		if key >= from {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// tally counts records of one bucket, with the bytes of their keys and values.
type tally struct {
	records int
	bytes   int64
}

func (t *tally) add(n int) { t.records++; t.bytes += int64(n) }
func (t *tally) sub(n int) { t.records--; t.bytes -= int64(n) }

// get returns a copy of a record, pending or saved. A record that cannot be read is not there.
func (s *Store) get(b bucket, key string) ([]byte, bool) {
	if o, ok := s.batch.ops[b][key]; ok {
		return bytes.Clone(o.value), !o.deleted
	}
	if s.db == nil {
		return nil, false
	}
	value, ok, bad, err := s.db.get(b, []byte(key))
	if err != nil {
		s.lose(err)
		return nil, false
	}
	if bad {
		// It will never be read again: let the next commit take it away.
		s.count.bad++
		s.batch.set(op{bucket: b, key: key, deleted: true})
	}
	return value, ok
}

// put adds a record to the batch. It does nothing if the record is there already, so that a caller who saves its whole
// address book each minute costs no write.
func (s *Store) put(b bucket, key string, value []byte) error {
	switch {
	case s.closed:
		return ErrClosed
	case key == "" || len(key) > maxKey:
		return fmt.Errorf("%w: a key of %d bytes in %s, at most %d", ErrTooLarge, len(key), bucketNames[b], maxKey)
	case len(value) > MaxValue:
		return fmt.Errorf("%w: a record of %d bytes in %s, at most %d", ErrTooLarge, len(value), bucketNames[b], MaxValue)
	}
	old, had := s.get(b, key)
	if had && bytes.Equal(old, value) {
		return nil
	}
	if s.batch.bytes+int64(len(key)+len(value)) > maxPending {
		// More than a batch may hold in memory: save it early, whatever the pace.
		err := s.dbFault
		if err == nil {
			err = s.commit()
		}
		if err != nil || s.batch.bytes+int64(len(key)+len(value)) > maxPending {
			return errors.Join(fmt.Errorf("%w: %d bytes wait to be written", ErrFull, s.batch.bytes), err)
		}
	}
	if had {
		s.tally[b].sub(len(key) + len(old))
	}
	s.tally[b].add(len(key) + len(value))
	s.batch.set(op{bucket: b, key: key, value: bytes.Clone(value)})
	return nil
}

// del removes a record; a missing one is no error.
func (s *Store) del(b bucket, key string) {
	old, had := s.get(b, key)
	if !had {
		return
	}
	s.tally[b].sub(len(key) + len(old))
	if s.db != nil {
		if _, saved, bad, err := s.db.get(b, []byte(key)); err == nil && !saved && !bad {
			s.batch.forget(b, key) // it was never on disk, so there is nothing to delete there
			return
		}
	}
	s.batch.set(op{bucket: b, key: key, deleted: true})
}

// scan calls f with copies of all records from key `from` on, in order, until f returns false. f must not change the store.
func (s *Store) scan(b bucket, from string, f func(key string, value []byte) bool) {
	keys := s.batch.keys(b, from)
	more := true
	emit := func(key string) {
		if o := s.batch.ops[b][key]; more && !o.deleted {
			more = f(key, bytes.Clone(o.value))
		}
	}
	if s.db != nil {
		err := s.db.scan(b, []byte(from), func(key, value []byte) bool {
			for len(keys) > 0 && more && keys[0] < string(key) {
				emit(keys[0])
				keys = keys[1:]
			}
			switch {
			case !more:
			case len(keys) > 0 && keys[0] == string(key):
				emit(keys[0])
				keys = keys[1:]
			default:
				more = f(string(key), value)
			}
			return more
		})
		if err != nil {
			s.lose(err)
		}
	}
	for _, key := range keys {
		emit(key)
	}
}

// commit writes the batch in one transaction. Without success the batch stays as it is.
func (s *Store) commit() error {
	if s.quiet {
		return ErrQuiet
	}
	if s.db == nil || s.db.readOnly {
		if s.saveable() == 0 {
			return nil
		}
		return s.dbFault
	}
	if s.saveable() == 0 {
		s.dbFault = nil
		return nil
	}
	if err := s.spaceLeft(); err != nil {
		s.fail(&s.dbFault, err)
		return err
	}
	err := s.apply()
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		// Proofs are what there may be much of, and what is missed least.
		err = s.shed(err)
	}
	if err != nil {
		// What bbolt holds in memory after a failed write may not be what is on disk: it is read anew before the next try.
		s.suspect = true
		s.fail(&s.dbFault, err)
		if errors.Is(err, errBroken) {
			s.lose(err)
		}
		return err
	}
	s.dbFault = nil
	s.lastCommit = s.now
	for b := range s.batch.ops {
		for key := range s.batch.ops[b] {
			if !s.memoryOnly(bucket(b), key) {
				s.batch.forget(bucket(b), key)
			}
		}
	}
	return nil
}

// apply puts the batch into one transaction, in the order of keys: neighbours share pages.
func (s *Store) apply() error {
	if s.commitFault != nil {
		if err := s.commitFault(); err != nil {
			return err
		}
	}
	_, err := s.db.commit(&s.count, func(tx *bolt.Tx) error {
		for b := range s.batch.ops {
			t := tx.Bucket([]byte(bucketNames[b]))
			if b := bucket(b); b == bucketHeaders || b == bucketProofs || b == bucketBundles || b == bucketSets {
				t.FillPercent = 0.95 // keys only grow, so pages need no room for insertions
			}
			for _, key := range s.batch.keys(bucket(b), "") {
				o := s.batch.ops[b][key]
				var err error
				switch {
				case s.memoryOnly(bucket(b), key):
				case o.deleted:
					err = t.Delete([]byte(key))
				default:
					err = t.Put([]byte(key), seal(bucket(b), []byte(key), o.value))
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return err
}

// shed makes room in a database that has reached its size: all proofs go, saved and pending, and the commit is tried again.
func (s *Store) shed(full error) error {
	name := []byte(bucketNames[bucketProofs])
	_, err := s.db.commit(&s.count, func(tx *bolt.Tx) error {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
		_, err := tx.CreateBucket(name)
		return err
	})
	if err != nil {
		return errors.Join(full, err)
	}
	for key := range s.batch.ops[bucketProofs] {
		s.batch.forget(bucketProofs, key)
	}
	s.tally[bucketProofs] = tally{}
	return s.apply()
}

// saveable counts the pending changes that a commit would write.
func (s *Store) saveable() int {
	n := s.batch.len()
	for key := range s.batch.ops[bucketHeaders] {
		if s.memoryOnly(bucketHeaders, key) {
			n--
		}
	}
	return n
}

// spaceLeft keeps the node from taking the last of a disk that others need as well.
func (s *Store) spaceLeft() error {
	if s.cfg.Reserve < 0 {
		return nil
	}
	free, size := space(s.cfg.Dir)
	reserve := uint64(s.cfg.Reserve)
	if reserve == 0 {
		reserve = min(64<<20, size/50)
	}
	if size > 0 && free < reserve {
		return fmt.Errorf("%s: %w: %d bytes free in %s, %d are left alone", databaseName, ErrNoSpace, free, s.cfg.Dir, reserve)
	}
	return nil
}
