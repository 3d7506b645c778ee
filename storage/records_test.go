package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestReadsAreCopies checks that neither side can change what the other one holds.
func TestReadsAreCopies(t *testing.T) {
	s, _ := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	value := []byte("value")
	must(t, s.Put("k", "key", value))
	h := testHead(5)
	must(t, s.WriteHead(h))
	value[0], h.Data[0] = 'X', ^h.Data[0]
	for range 2 {
		got, _ := s.Get("k", "key")
		head, _ := s.Head()
		if string(got) != "value" || !sameHead(head, testHead(5)) {
			t.Fatal("a caller's slice reaches into the store")
		}
		got[0], head.Data[0] = 'Y', ^head.Data[0]
		all := s.All("k")["key"]
		all[0] = 'Z'
		must(t, s.Commit())
	}
}

func TestHeaderRing(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Headers = 300
	s, _ := mustOpen(t, cfg)
	put := func(n uint32) {
		hash, b := testHeader(n)
		must(t, s.PutHeader(n, hash, b))
	}
	for n := uint32(1); n <= 1000; n++ {
		put(n)
	}
	count := func() (n int, low, high uint32) {
		s.Headers(0, func(h Header) bool {
			if n == 0 {
				low = h.Number
			}
			n, high = n+1, h.Number
			return true
		})
		return
	}
	if n, low, high := count(); n != 300 || low != 701 || high != 1000 {
		t.Fatalf("%d headers, %d to %d", n, low, high)
	}
	put(700) // below the ring
	if _, ok := s.Header(700); ok {
		t.Error("a header below the ring was kept")
	}
	if n := s.Stats().Records["headers"]; n != 300 {
		t.Errorf("%d headers counted", n)
	}
	hash, b := testHeader(1001)
	if err := s.PutHeader(1002, hash, append(b, 0)); !errors.Is(err, ErrMismatch) {
		t.Errorf("wrong hash: %v", err)
	}
	must(t, s.Commit())
	if n, _, _ := count(); n != 300 {
		t.Fatalf("%d headers after a commit", n)
	}
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if n, low, high := count(); n != savedHeaders || low != 1001-savedHeaders || high != 1000 {
		t.Fatalf("%d headers after a restart, %d to %d", n, low, high)
	}
	put(5000) // a jump, as after a warp
	if n, low, _ := count(); n != 1 || low != 5000 {
		t.Fatalf("%d headers after a jump, from %d", n, low)
	}
	put(1<<32 - 1)
	put(1<<32 - 2)
	if n, _, _ := count(); n != 2 {
		t.Fatalf("%d headers at the end of the range", n)
	}
	mustBeSound(t, s)
	mustClose(t, s)
}

func TestProofsAreBounded(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.ProofBytes = 100_000
	s, _ := mustOpen(t, cfg)
	for n := uint32(1); n <= 500; n++ {
		hash, b := testHeader(n)
		must(t, s.PutProof(n, hash, append(b, make([]byte, 700)...)))
		if n%97 == 0 {
			must(t, s.Commit())
		}
		if s.tally[bucketProofs].bytes > cfg.ProofBytes {
			t.Fatalf("%d bytes of proofs", s.tally[bucketProofs].bytes)
		}
	}
	have := func(n uint32) bool { hash, _ := testHeader(n); return len(s.Proofs(n, hash)) == 1 }
	if !have(500) || !have(420) || have(1) || have(380) {
		t.Error("not the oldest were dropped")
	}
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	if !have(500) || have(380) {
		t.Error("other proofs after a restart")
	}
	mustBeSound(t, s)
	mustClose(t, s)
	cfg.ProofBytes = 10_000
	s, _ = mustOpen(t, cfg)
	if s.tally[bucketProofs].bytes > 10_000 || !have(500) {
		t.Errorf("a lower bound: %d bytes", s.tally[bucketProofs].bytes)
	}
	mustClose(t, s)
}

func TestBounds(t *testing.T) {
	s, _ := mustOpen(t, testConfig(t.TempDir()))
	defer s.Close()
	for i := range MaxPeers {
		must(t, s.PutPeer(fmt.Sprint("peer", i), []byte{byte(i)}))
	}
	if err := s.PutPeer("one more", nil); !errors.Is(err, ErrFull) {
		t.Errorf("a peer too many: %v", err)
	}
	must(t, s.PutPeer("peer7", []byte("changed")))
	must(t, s.DeletePeer("peer8"))
	must(t, s.PutPeer("one more", nil))
	for i := range uint64(MaxAuthoritySets + 5) {
		must(t, s.PutAuthoritySet(AuthoritySet{ID: i}))
	}
	if a := s.AuthoritySets(); len(a) != MaxAuthoritySets || a[0].ID != 5 {
		t.Errorf("%d sets from %d", len(a), a[0].ID)
	}
	for name, err := range map[string]error{
		"value":      s.Put("k", "k", make([]byte, MaxValue+1)),
		"key":        s.Put("k", strings.Repeat("k", maxKey), nil),
		"kind":       s.Put(strings.Repeat("k", 33), "k", nil),
		"no kind":    s.Put("", "k", nil),
		"bad kind":   s.Put("a b", "k", nil),
		"empty id":   s.PutPeer("", nil),
		"long id":    s.PutPeer(strings.Repeat("p", maxKey+1), nil),
		"long proof": s.PutProof(1, genesis, make([]byte, MaxValue+1)),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var full error
	n := 0
	for ; full == nil; n++ {
		full = s.Put("big", fmt.Sprint(n), make([]byte, MaxValue))
	}
	if !errors.Is(full, ErrFull) || n != DefaultBytes/8/MaxValue {
		t.Errorf("%d records: %v", n, full)
	}
	must(t, s.Put("big", "0", make([]byte, MaxValue-1)))
	must(t, s.Ban("x", strings.Repeat("r", 1000), epoch.Add(time.Hour)))
	if b := s.Bans(epoch); len(b[0].Reason) != maxReason {
		t.Errorf("reason of %d bytes", len(b[0].Reason))
	}
	must(t, s.Ban("y", "", time.Unix(-5, 0)))
	must(t, s.Tick(epoch))
	if len(s.Bans(time.Unix(-10, 0))) != 1 {
		t.Error("Tick keeps expired bans")
	}
}
