package storage

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// model is what a store should be: plain maps, and a copy of them for what is saved.
type model struct {
	head    uint32
	saved   uint32 // head on disk
	written bool
	all     contents
	disk    contents
	headers int
}

type contents struct {
	top     uint32
	headers map[uint32]bool
	proofs  map[uint32]bool
	sets    map[uint64]byte
	peers   map[string]string
	bans    map[string]int64
	other   map[string]string
}

func newContents() contents {
	return contents{0, map[uint32]bool{}, map[uint32]bool{}, map[uint64]byte{}, map[string]string{}, map[string]int64{}, map[string]string{}}
}

func (c contents) clone() contents {
	return contents{c.top, maps.Clone(c.headers), maps.Clone(c.proofs), maps.Clone(c.sets), maps.Clone(c.peers), maps.Clone(c.bans), maps.Clone(c.other)}
}

// commit is what a commit saves: all but the headers that live in memory only, unless they were saved before.
func (m *model) commit() {
	before := m.disk.headers
	m.disk = m.all.clone()
	for n := range m.disk.headers {
		if m.all.top-n >= savedHeaders && !before[n] {
			delete(m.disk.headers, n)
		}
	}
}

func (m *model) trim() {
	for n := range m.all.headers {
		if int64(n) <= int64(m.all.top)-int64(m.headers) {
			delete(m.all.headers, n)
		}
	}
}

// compare checks every way of reading against the model.
func (m *model) compare(s *Store) error {
	if h, ok := s.Head(); ok != m.written || ok && !sameHead(h, testHead(m.head)) {
		return fmt.Errorf("head %d (%v), want %d", h.Number, ok, m.head)
	}
	var got, want []uint32
	var err error
	s.Headers(0, func(h Header) bool {
		hash, b := testHeader(h.Number)
		if h.Hash != hash || !bytes.Equal(h.SCALE, b) {
			err = fmt.Errorf("header %d differs", h.Number)
		}
		got = append(got, h.Number)
		return true
	})
	want = slices.Sorted(maps.Keys(m.all.headers))
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("headers %v, want %v, %w", got, want, err)
	}
	for n := range m.all.proofs {
		hash, b := testHeader(n)
		if p := s.Proofs(n, hash); len(p) != 1 || !bytes.Equal(p[0], b) {
			return fmt.Errorf("proofs of %d: %d", n, len(p))
		}
	}
	sets := s.AuthoritySets()
	if len(sets) != len(m.all.sets) || !slices.IsSortedFunc(sets, func(a, b AuthoritySet) int { return int(a.ID) - int(b.ID) }) {
		return fmt.Errorf("%d sets, want %d", len(sets), len(m.all.sets))
	}
	for _, a := range sets {
		if one, ok := s.AuthoritySet(a.ID); len(a.Set) != 1 || a.Set[0] != m.all.sets[a.ID] || !ok || !bytes.Equal(one.Set, a.Set) {
			return fmt.Errorf("set %d: %v", a.ID, a.Set)
		}
	}
	peers := map[string]string{}
	for k, v := range s.Peers() {
		peers[k] = string(v)
	}
	if !maps.Equal(peers, m.all.peers) {
		return fmt.Errorf("peers %d, want %d", len(peers), len(m.all.peers))
	}
	bans := map[string]int64{}
	for _, b := range s.Bans(time.Unix(0, 0)) {
		bans[b.ID] = b.Expires.Unix()
	}
	if !maps.Equal(bans, m.all.bans) {
		return fmt.Errorf("bans %v, want %v", bans, m.all.bans)
	}
	other := map[string]string{}
	for k, v := range s.All("kind") {
		other[k] = string(v)
		if one, ok := s.Get("kind", k); !ok || string(one) != string(v) {
			return fmt.Errorf("other %q: Get and All differ", k)
		}
	}
	if !maps.Equal(other, m.all.other) {
		return fmt.Errorf("other %d, want %d", len(other), len(m.all.other))
	}
	st := s.Stats()
	for kind, n := range map[string]int{
		"headers": len(m.all.headers), "proofs": len(m.all.proofs), "authority-sets": len(m.all.sets),
		"peers": len(m.all.peers), "bans": len(m.all.bans), "other": len(m.all.other),
	} {
		if st.Records[kind] != n {
			return fmt.Errorf("%s: %d counted, want %d", kind, st.Records[kind], n)
		}
	}
	return nil
}

// TestSimulation does random things to a store and to a model and compares them. A restart is clean, or drops what was
// not committed, as the end of the process would.
func TestSimulation(t *testing.T) {
	for _, ops := range []int{1, 10, 100, 1000, 10_000} {
		for round := range 3 {
			seed := uint64(ops*10 + round)
			if v := os.Getenv("TAOLIGHT_SEED"); v != "" {
				seed, _ = strconv.ParseUint(v, 10, 64)
			}
			t.Run(fmt.Sprintf("%d ops, seed %d", ops, seed), func(t *testing.T) { simulate(t, ops, seed) })
			if ops == 10_000 {
				break
			}
		}
	}
}

func simulate(t *testing.T, ops int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	cfg := testConfig(memoryDir(t))
	m := &model{all: newContents(), disk: newContents(), headers: 600}
	cfg.Headers = m.headers
	s, _ := mustOpen(t, cfg)
	now := epoch
	next := uint32(1)
	key := func() string { return fmt.Sprintf("key%d", rng.IntN(60)) }
	for i := range ops {
		commits := s.Stats().Commits
		switch op := rng.IntN(100); {
		case op < 40: // the chain goes on
			m.head = next
			next += 1 + uint32(rng.IntN(3))
			must(t, s.SetHead(testHead(m.head)))
			if !m.written || m.head-m.saved >= 25 {
				m.saved = m.head
			}
			m.written = true
			hash, b := testHeader(m.head)
			must(t, s.PutHeader(m.head, hash, b))
			m.all.headers[m.head] = true
			m.all.top = max(m.all.top, m.head)
			m.trim()
		case op < 45:
			must(t, s.WriteHead(testHead(next)))
			m.head, m.saved, m.written = next, next, true
			next++
		case op < 60:
			id, v := key(), fmt.Sprint(rng.IntN(3), string(bytes.Repeat([]byte("x"), rng.IntN(300))))
			must(t, s.PutPeer(id, []byte(v)))
			m.all.peers[id] = v
		case op < 66:
			id := key()
			must(t, s.DeletePeer(id))
			delete(m.all.peers, id)
		case op < 70:
			id, until := key(), now.Add(time.Duration(rng.IntN(100))*time.Hour)
			must(t, s.Ban(id, "reason", until))
			m.all.bans[id] = until.Unix()
		case op < 72:
			id := key()
			must(t, s.Unban(id))
			delete(m.all.bans, id)
		case op < 80:
			k, v := key(), string(bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(6000)))
			must(t, s.Put("kind", k, []byte(v)))
			m.all.other[k] = v
		case op < 84:
			k := key()
			must(t, s.Delete("kind", k))
			delete(m.all.other, k)
		case op < 87:
			n := uint32(rng.IntN(50))
			hash, b := testHeader(n)
			must(t, s.PutProof(n, hash, b))
			m.all.proofs[n] = true
		case op < 89:
			id, v := rng.Uint64N(300), byte(rng.IntN(4))
			must(t, s.PutAuthoritySet(AuthoritySet{ID: id, Set: []byte{v}}))
			m.all.sets[id] = v
			must(t, s.Commit())
			m.saved = m.head
		case op < 95:
			now = now.Add(time.Duration(rng.IntN(120)) * time.Minute)
			must(t, s.Tick(now))
			for id, until := range m.all.bans {
				if until <= now.Unix() {
					delete(m.all.bans, id)
				}
			}
		case op < 96:
			must(t, s.Commit())
			m.saved = m.head
		case op < 98:
			mustClose(t, s)
			m.commit()
			m.saved = m.head
			m.all = m.disk.clone()
			s, _ = mustOpen(t, cfg)
			commits = s.Stats().Commits
		default: // the process ends
			must(t, s.detach())
			m.all = m.disk.clone()
			m.head, next = m.saved, m.saved+1
			m.written = m.saved > 0
			s, _ = mustOpen(t, cfg)
			commits = s.Stats().Commits
		}
		if s.Stats().Commits != commits {
			m.commit()
		}
		if i%(1+ops/50) == 0 || i == ops-1 {
			if err := m.compare(s); err != nil {
				t.Fatalf("op %d: %v", i, err)
			}
		}
		if i%(1+ops/5) == 0 {
			mustBeSound(t, s)
		}
	}
	mustBeSound(t, s)
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	m.commit()
	m.all = m.disk.clone()
	if err := m.compare(s); err != nil {
		t.Fatalf("at the end: %v", err)
	}
	mustClose(t, s)
}
