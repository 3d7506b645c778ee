package storage

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

const (
	// MaxPeers and MaxBans bound the address book and the list of bans.
	MaxPeers = 4096
	MaxBans  = 4096
	// MaxAuthoritySets bounds the authority sets; the oldest goes first.
	MaxAuthoritySets = 1024

	// savedHeaders is how many of the newest headers a commit saves. Peers keep the states of as many blocks, so these
	// are the ones a restarted node still has a use for.
	savedHeaders = 256
	maxReason    = 256
)

// An AuthoritySet is a GRANDPA set with what proved it. All three parts are opaque here; the reader verifies them.
type AuthoritySet struct {
	ID            uint64
	Set           []byte // SCALE of the list
	Header        []byte // SCALE of the header that announced it
	Justification []byte // SCALE of that header's justification by the set before
}

// PutAuthoritySet keeps a set under its id, replacing the one that is there. Call [Store.Commit] after it.
func (s *Store) PutAuthoritySet(a AuthoritySet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := scale.AppendBlob(nil, a.Set)
	v = scale.AppendBlob(v, a.Header)
	v = scale.AppendBlob(v, a.Justification)
	if err := s.put(bucketSets, setKey(a.ID), v); err != nil {
		return err
	}
	if s.tally[bucketSets].records > MaxAuthoritySets {
		var oldest string
		s.scan(bucketSets, "", func(key string, _ []byte) bool { oldest = key; return false })
		s.del(bucketSets, oldest)
	}
	return nil
}

// AuthoritySets returns all sets in the order of their ids.
func (s *Store) AuthoritySets() []AuthoritySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []AuthoritySet
	s.scan(bucketSets, "", func(key string, v []byte) bool {
		if a, err := decodeSet(key, v); err == nil {
			out = append(out, a)
		}
		return true
	})
	return out
}

// AuthoritySet returns one set.
func (s *Store) AuthoritySet(id uint64) (AuthoritySet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.get(bucketSets, setKey(id))
	if !ok {
		return AuthoritySet{}, false
	}
	a, err := decodeSet(setKey(id), v)
	return a, err == nil
}

func setKey(id uint64) string { return string(binary.BigEndian.AppendUint64(nil, id)) }

func decodeSet(key string, v []byte) (AuthoritySet, error) {
	if len(key) != 8 {
		return AuthoritySet{}, fmt.Errorf("%w: a key of %d bytes", ErrDamaged, len(key))
	}
	r := scale.NewReader(v)
	a := AuthoritySet{ID: binary.BigEndian.Uint64([]byte(key)), Set: r.Blob(MaxValue), Header: r.Blob(MaxValue), Justification: r.Blob(MaxValue)}
	if err := r.Finish(); err != nil {
		return AuthoritySet{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return a, nil
}

// A Header is a header with its place.
type Header struct {
	Number uint32
	Hash   verify.Hash
	SCALE  []byte
}

// PutHeader keeps the header of a finalized block: one per number, in a ring of the Config.Headers highest numbers. A
// number below the ring is dropped without an error. Only the newest 256 are saved, at the commit; the rest live in memory.
func (s *Store) PutHeader(number uint32, hash verify.Hash, header []byte) error {
	if verify.Blake2b256(header) != hash {
		return fmt.Errorf("%w: block %d", ErrMismatch, number)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < s.lowest() {
		return nil
	}
	v := append(append(make([]byte, 0, 32+len(header)), hash[:]...), header...)
	if err := s.put(bucketHeaders, headerKey(number), v); err != nil {
		return err
	}
	if !s.hasHeaders || number > s.top {
		s.top, s.hasHeaders = number, true
		s.trimHeaders()
	}
	return nil
}

// Header returns the header of a number, if it is kept. It has its stated hash.
func (s *Store) Header(number uint32) (Header, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < s.lowest() {
		return Header{}, false
	}
	v, ok := s.get(bucketHeaders, headerKey(number))
	if !ok {
		return Header{}, false
	}
	h, err := decodeHeader(headerKey(number), v)
	return h, err == nil
}

// Headers calls f with the headers kept from number `from` on, in order and with gaps, until f returns false. f must not
// call the store.
func (s *Store) Headers(from uint32, f func(Header) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scan(bucketHeaders, headerKey(max(from, s.lowest())), func(key string, v []byte) bool {
		h, err := decodeHeader(key, v)
		return err != nil || f(h)
	})
}

func headerKey(number uint32) string { return string(binary.BigEndian.AppendUint32(nil, number)) }

func headerNumber(key string) (uint32, bool) {
	if len(key) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32([]byte(key)), true
}

func decodeHeader(key string, v []byte) (Header, error) {
	number, ok := headerNumber(key)
	if !ok || len(v) < 32 {
		return Header{}, fmt.Errorf("%w: key of %d bytes, value of %d", ErrDamaged, len(key), len(v))
	}
	h := Header{Number: number, Hash: verify.Hash(v[:32]), SCALE: v[32:]}
	if verify.Blake2b256(h.SCALE) != h.Hash {
		return Header{}, fmt.Errorf("%w: %w", ErrDamaged, ErrMismatch)
	}
	return h, nil
}

// lowest returns the lowest number of the ring.
func (s *Store) lowest() uint32 {
	if !s.hasHeaders || uint64(s.top) < uint64(s.cfg.Headers) {
		return 0
	}
	return s.top - uint32(s.cfg.Headers) + 1
}

// trimHeaders drops the headers that the ring has passed.
func (s *Store) trimHeaders() {
	low := s.lowest()
	if low <= s.low {
		return
	}
	if low-s.low <= 64 { // the usual step: a scan would sort the whole batch for each block
		for ; s.low < low; s.low++ {
			s.del(bucketHeaders, headerKey(s.low))
		}
		return
	}
	var gone []string
	s.scan(bucketHeaders, headerKey(s.low), func(key string, _ []byte) bool {
		if n, ok := headerNumber(key); ok && n >= low {
			return false
		}
		gone = append(gone, key)
		return true
	})
	for _, key := range gone {
		s.del(bucketHeaders, key)
	}
	s.low = low
}

// memoryOnly reports whether a pending record is one that commits leave out.
func (s *Store) memoryOnly(b bucket, key string) bool {
	if b != bucketHeaders || s.batch.ops[b][key].deleted {
		return false
	}
	n, ok := headerNumber(key)
	return ok && s.top-n >= savedHeaders
}

// PutProof keeps a proof of state at a block. A block may have several. The oldest blocks go when Config.ProofBytes is
// exceeded; a proof older than all of these is then the first to go.
func (s *Store) PutProof(number uint32, hash verify.Hash, proof []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := verify.Blake2b256(proof)
	if err := s.put(bucketProofs, proofKey(number, hash)+string(id[:8]), proof); err != nil {
		return err
	}
	s.trimProofs()
	return nil
}

// Proofs returns the proofs kept of one block.
func (s *Store) Proofs(number uint32, hash verify.Hash) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out [][]byte
	prefix := proofKey(number, hash)
	s.scan(bucketProofs, prefix, func(key string, v []byte) bool {
		if !strings.HasPrefix(key, prefix) {
			return false
		}
		out = append(out, v)
		return true
	})
	return out
}

func proofKey(number uint32, hash verify.Hash) string { return headerKey(number) + string(hash[:]) }

// trimProofs drops the oldest proofs when there are too many, and a tenth more, so that it is seldom needed.
func (s *Store) trimProofs() {
	over := s.tally[bucketProofs].bytes - s.cfg.ProofBytes
	if over <= 0 {
		return
	}
	over += s.cfg.ProofBytes / 10
	var gone []string
	s.scan(bucketProofs, "", func(key string, v []byte) bool {
		gone = append(gone, key)
		over -= int64(len(key) + len(v))
		return over > 0
	})
	for _, key := range gone {
		s.del(bucketProofs, key)
	}
}

// PutPeer keeps the address book's record of a peer. ErrFull beyond MaxPeers: which peers to forget is for the caller.
func (s *Store) PutPeer(id string, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putBounded(bucketPeers, id, record, MaxPeers)
}

// DeletePeer forgets a peer; an unknown one is no error.
func (s *Store) DeletePeer(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.del(bucketPeers, id)
	return nil
}

// Peers returns all records of the address book by peer id.
func (s *Store) Peers() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string][]byte, max(0, s.tally[bucketPeers].records))
	s.scan(bucketPeers, "", func(key string, v []byte) bool { out[key] = v; return true })
	return out
}

// putBounded adds a record unless the bucket has max records already and this is a new one.
func (s *Store) putBounded(b bucket, key string, value []byte, max int) error {
	if s.tally[b].records >= max {
		if _, had := s.get(b, key); !had {
			return fmt.Errorf("%w: %d records in %s", ErrFull, s.tally[b].records, bucketNames[b])
		}
	}
	return s.put(b, key, value)
}

// A Ban keeps a peer out until it expires.
type Ban struct {
	ID      string
	Reason  string
	Expires time.Time // whole seconds
}

// Ban keeps a peer out until expiry, replacing an earlier ban. The reason is cut at 256 bytes.
func (s *Store) Ban(id, reason string, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := scale.AppendU64(nil, uint64(max(0, expiry.Unix())))
	v = scale.AppendBlob(v, []byte(reason[:min(len(reason), maxReason)]))
	return s.putBounded(bucketBans, id, v, MaxBans)
}

// Unban ends a ban; an unknown one is no error.
func (s *Store) Unban(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.del(bucketBans, id)
	return nil
}

// Bans returns the bans in force at time now, in the order of peer ids.
func (s *Store) Bans(now time.Time) []Ban {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Ban
	s.scan(bucketBans, "", func(key string, v []byte) bool {
		if b, err := decodeBan(key, v); err == nil && b.Expires.After(now) {
			out = append(out, b)
		}
		return true
	})
	return out
}

// endBans drops bans that have expired. They are dropped for good, so a clock that runs ahead ends them early.
func (s *Store) endBans(now time.Time) {
	if s.tally[bucketBans].records == 0 {
		return
	}
	var gone []string
	s.scan(bucketBans, "", func(key string, v []byte) bool {
		if b, err := decodeBan(key, v); err != nil || !b.Expires.After(now) {
			gone = append(gone, key)
		}
		return true
	})
	for _, key := range gone {
		s.del(bucketBans, key)
	}
}

func decodeBan(key string, v []byte) (Ban, error) {
	r := scale.NewReader(v)
	expiry := r.U64()
	b := Ban{ID: key, Reason: string(r.Blob(maxReason)), Expires: time.Unix(int64(min(expiry, math.MaxInt64)), 0)}
	if err := r.Finish(); err != nil {
		return Ban{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return b, nil
}

// Put keeps a record of a kind of the caller's own. A kind is 1 to 32 letters, digits or hyphens. All kinds together may
// take an eighth of MaxBytes; beyond it is ErrFull.
func (s *Store) Put(kind, key string, value []byte) error {
	k, err := otherKey(kind, key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tally[bucketOther].bytes + int64(len(k)+len(value)); t > s.cfg.MaxBytes/8 {
		old, had := s.get(bucketOther, k)
		if !had || t-int64(len(k)+len(old)) > s.cfg.MaxBytes/8 {
			return fmt.Errorf("%w: %d bytes in %s", ErrFull, s.tally[bucketOther].bytes, bucketNames[bucketOther])
		}
	}
	return s.put(bucketOther, k, value)
}

// Get returns a record of Put.
func (s *Store) Get(kind, key string) ([]byte, bool) {
	k, err := otherKey(kind, key)
	if err != nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(bucketOther, k)
}

// Delete removes a record of Put; a missing one is no error.
func (s *Store) Delete(kind, key string) error {
	k, err := otherKey(kind, key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.del(bucketOther, k)
	return nil
}

// All returns the records of a kind by key.
func (s *Store) All(kind string) map[string][]byte {
	out := map[string][]byte{}
	prefix, err := otherKey(kind, "")
	if err != nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scan(bucketOther, prefix, func(key string, v []byte) bool {
		rest, ok := strings.CutPrefix(key, prefix)
		if ok {
			out[rest] = v
		}
		return ok
	})
	return out
}

func otherKey(kind, key string) (string, error) {
	if len(kind) < 1 || len(kind) > 32 {
		return "", fmt.Errorf("%w: a kind of %d bytes", ErrTooLarge, len(kind))
	}
	for _, c := range []byte(kind) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return "", fmt.Errorf("storage: kind %q has a byte that is no letter, digit or hyphen", kind)
		}
	}
	return kind + "\x00" + key, nil
}
