package storage

import (
	"fmt"
	"strings"
)

// MaxBundleName bounds the name of a bundle, in bytes.
const MaxBundleName = 200

// PutBundle keeps a bundle, or what else proves something by itself, under a name. number is the block that it is about:
// the oldest go first when Config.BundleBytes is exceeded, which may be this one. A name can be there for several numbers.
// ErrTooLarge beyond MaxValue.
func (s *Store) PutBundle(number uint32, name string, data []byte) error {
	if len(name) == 0 || len(name) > MaxBundleName {
		return fmt.Errorf("%w: the name of a bundle of %d bytes, at most %d", ErrTooLarge, len(name), MaxBundleName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.put(bucketBundles, headerKey(number)+name, data); err != nil {
		return err
	}
	over := s.tally[bucketBundles].bytes - s.cfg.BundleBytes
	if over <= 0 {
		return nil
	}
	var gone []string
	s.scan(bucketBundles, "", func(key string, v []byte) bool {
		gone = append(gone, key)
		over -= int64(len(key) + len(v))
		return over > 0
	})
	for _, key := range gone {
		s.del(bucketBundles, key)
	}
	return nil
}

// Bundle returns a bundle that is kept.
func (s *Store) Bundle(number uint32, name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(bucketBundles, headerKey(number)+name)
}

// DeleteBundle removes a bundle; a missing one is no error.
func (s *Store) DeleteBundle(number uint32, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.del(bucketBundles, headerKey(number)+name)
	return nil
}

// Bundles calls f with number, name and size of each bundle whose name begins with prefix, the oldest first, until f
// returns false. f must not call the store.
func (s *Store) Bundles(prefix string, f func(number uint32, name string, size int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scan(bucketBundles, "", func(key string, v []byte) bool {
		number, name, err := bundleName(key)
		return err != nil || !strings.HasPrefix(name, prefix) || f(number, name, len(v))
	})
}

func bundleName(key string) (number uint32, name string, err error) {
	if len(key) <= 4 {
		return 0, "", fmt.Errorf("%w: a key of %d bytes", ErrDamaged, len(key))
	}
	number, _ = headerNumber(key[:4])
	return number, key[4:], nil
}
