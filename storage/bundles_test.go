package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// kept returns what is kept under a prefix, oldest first.
func kept(s *Store, prefix string) []string {
	var out []string
	s.Bundles(prefix, func(number uint32, name string, size int) bool {
		out = append(out, fmt.Sprintf("%d %s %d", number, name, size))
		return true
	})
	return out
}

func TestBundles(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, _ := mustOpen(t, cfg)
	must(t, s.PutBundle(300, "commit/2", []byte("three")))
	must(t, s.PutBundle(2, "commit/1", []byte("two")))
	must(t, s.PutBundle(300, "other", []byte("o")))
	must(t, s.PutBundle(300, "commit/2", []byte("thirty")))
	for range 2 {
		if got, want := kept(s, "commit/"), []string{"2 commit/1 3", "300 commit/2 6"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if b, ok := s.Bundle(300, "commit/2"); !ok || string(b) != "thirty" {
			t.Errorf("%q %v", b, ok)
		}
		if _, ok := s.Bundle(2, "commit/2"); ok {
			t.Error("a bundle of another number")
		}
		mustClose(t, s)
		s, _ = mustOpen(t, cfg)
	}
	must(t, s.DeleteBundle(300, "commit/2"))
	must(t, s.DeleteBundle(300, "commit/2"))
	if got := kept(s, ""); len(got) != 2 {
		t.Errorf("%q", got)
	}
	mustBeSound(t, s)
	mustClose(t, s)
	for name, err := range map[string]error{"put": s.PutBundle(1, "x", nil), "delete": s.DeleteBundle(1, "x")} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBundleLimit: the oldest go, by the number and not by when they came.
func TestBundleLimit(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.BundleBytes = 10_000
	s, _ := mustOpen(t, cfg)
	for i := range uint32(30) {
		must(t, s.PutBundle(1000-i, "b", bytes.Repeat([]byte{byte(i)}, 1000)))
		if st := s.Stats(); st.BundleBytes > st.BundleLimit || st.BundleLimit != 10_000 {
			t.Fatalf("%d bytes of %d", st.BundleBytes, st.BundleLimit)
		}
	}
	got := kept(s, "")
	if len(got) != 9 || got[0] != "992 b 1000" || got[8] != "1000 b 1000" {
		t.Errorf("%q", got)
	}
	must(t, s.PutBundle(2000, "b", make([]byte, 1000)))
	if got := kept(s, ""); len(got) != 9 || got[0] != "993 b 1000" || got[8] != "2000 b 1000" {
		t.Errorf("%q", got)
	}
	for name, err := range map[string]error{
		"no name":   s.PutBundle(1, "", nil),
		"long":      s.PutBundle(1, string(make([]byte, MaxBundleName+1)), nil),
		"too large": s.PutBundle(1, "x", make([]byte, MaxValue+1)),
	} {
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustBeSound(t, s)
	mustClose(t, s)
}
