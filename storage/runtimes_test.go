package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
)

func TestRuntimes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runtimes")
	r := OpenRuntimes(dir)
	code := bytes.Repeat([]byte("code"), 1000)
	hash := verify.Blake2b256(code)
	if _, err := r.Code(hash); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("before: %v", err)
	}
	if _, err := r.Metadata(hash); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("metadata before: %v", err)
	}
	if err := r.PutCode(code); err != nil {
		t.Fatal(err)
	}
	if r.Any() {
		t.Error("there is metadata before any was put")
	}
	if err := r.PutMetadata(hash, []byte("meta")); err != nil || !r.Any() {
		t.Fatal(err, r.Any())
	}
	r = OpenRuntimes(dir)
	if got, err := r.Code(hash); !bytes.Equal(got, code) || err != nil {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if got, err := r.Metadata(hash); string(got) != "meta" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if err := r.PutCode(make([]byte, MaxCode+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large code: %v", err)
	}
	if err := r.PutMetadata(hash, make([]byte, MaxMetadata+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large metadata: %v", err)
	}
}

// TestRuntimesDamaged: no byte of either file can change, or go, unseen.
func TestRuntimesDamaged(t *testing.T) {
	dir := t.TempDir()
	r := OpenRuntimes(dir)
	code := []byte("some code")
	hash := verify.Blake2b256(code)
	if err := errors.Join(r.PutCode(code), r.PutMetadata(hash, []byte("metadata"))); err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{codeExt, metadataExt} {
		path := r.path(hash, ext)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read := func() error {
			_, err := r.Code(hash)
			if ext == metadataExt {
				_, err = r.Metadata(hash)
			}
			return err
		}
		for i := range whole {
			bad := bytes.Clone(whole)
			bad[i] ^= 1
			for _, b := range [][]byte{bad, whole[:i]} {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := read(); !errors.Is(err, ErrDamaged) {
					t.Errorf("%s, byte %d of %d: %v", ext, i, len(b), err)
				}
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil || read() != nil {
			t.Errorf("%s: %v, %v", ext, err, read())
		}
	}
	// Metadata of another code, under this one's name.
	other := verify.Blake2b256([]byte("other"))
	b, _ := os.ReadFile(r.path(hash, metadataExt))
	if err := os.WriteFile(r.path(other, metadataExt), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Metadata(other); !errors.Is(err, ErrDamaged) {
		t.Errorf("another's metadata: %v", err)
	}
}

func TestRuntimesPruned(t *testing.T) {
	dir := t.TempDir()
	r := OpenRuntimes(dir)
	stranger := filepath.Join(dir, "note.code")
	torn := filepath.Join(dir, ".new-123")
	for _, path := range []string{stranger, torn} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var hashes []verify.Hash
	for i := range maxRuntimes + 2 {
		code := fmt.Appendf(nil, "code %d", i)
		h := verify.Blake2b256(code)
		hashes = append(hashes, h)
		if err := r.PutCode(code); err != nil {
			t.Fatal(err)
		}
		// Files that are written within one tick of the clock have no order.
		at := time.Unix(1_700_000_000+int64(i), 0)
		if err := os.Chtimes(r.path(h, codeExt), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.prune(codeExt); err != nil {
		t.Fatal(err)
	}
	for i, h := range hashes {
		if _, err := r.Code(h); (err == nil) != (i >= 2) {
			t.Errorf("code %d: %v", i, err)
		}
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Errorf("a file of somebody else: %v", err)
	}
	if _, err := os.Stat(torn); err == nil {
		t.Error("what was left unfinished is still there")
	}
}
