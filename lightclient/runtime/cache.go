package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/taolight/taolight/verify"
)

// A cache is a folder of compiled code: for each runtime one folder, named by the hash of its code,
// that wazero reads and writes, and beside its files one with their hash. wazero's own checksum
// leaves out the table of where each function begins; a torn or rotten file must not be executed.
//
// A runtime costs what it compiles to, some 4 bytes for each of its own, once for each version of
// the chain's code. The newest two stay: around an upgrade both are in use.
type cache struct{ dir string }

const (
	sumFile = "sum"
	kept    = 2
	// maxCached bounds what is read of one runtime's folder.
	maxCached = 256 << 20
)

// openCache makes the folder if it is not there, and refuses one that others may write to: what is in
// it is executed.
func openCache(dir string) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkOwner(dir, true); err != nil {
		return nil, err
	}
	return &cache{dir}, nil
}

// checkOwner returns an error unless path is a folder, or a regular file, of this user that nobody
// else may write to.
func checkOwner(path string, folder bool) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if folder != fi.IsDir() || !folder && !fi.Mode().IsRegular() {
		return fmt.Errorf("%s: unexpected %v", path, fi.Mode().Type())
	}
	if !ours(fi) {
		return fmt.Errorf("%s: it belongs to another user", path)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s: others may write to it (%v)", path, fi.Mode().Perm())
	}
	return nil
}

func (c *cache) entry(code verify.Hash) string { return filepath.Join(c.dir, code.String()[2:]) }

// valid reports whether the entry of code is as it was sealed. The error says what is wrong with one
// that is there.
func (c *cache) valid(code verify.Hash) (bool, error) {
	dir := c.entry(code)
	if err := checkOwner(dir, true); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	want, err := os.ReadFile(filepath.Join(dir, sumFile))
	if err != nil {
		return false, err
	}
	sum, err := sumFiles(dir)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(want, sum) {
		return false, fmt.Errorf("%s: it has changed since it was written", dir)
	}
	return true, nil
}

// seal notes the hash of the files of an entry that was written, and removes the oldest entries.
func (c *cache) seal(code verify.Hash) error {
	dir := c.entry(code)
	sum, err := sumFiles(dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, sumFile), sum, 0o600); err != nil {
		return err
	}
	return c.trim()
}

// drop removes an entry and makes an empty one in its place.
func (c *cache) drop(code verify.Hash) error {
	if err := os.RemoveAll(c.entry(code)); err != nil {
		return err
	}
	return os.Mkdir(c.entry(code), 0o700)
}

// trim removes all entries but the newest. Of other files in the folder it knows nothing.
func (c *cache) trim() error {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type entry struct {
		name string
		at   int64
	}
	var entries []entry
	for _, d := range list {
		if _, err := verify.ParseHash(d.Name()); err != nil || len(d.Name()) != 64 || !d.IsDir() {
			continue
		}
		e := entry{name: d.Name()}
		if fi, err := os.Stat(filepath.Join(c.dir, d.Name(), sumFile)); err == nil {
			e.at = fi.ModTime().UnixNano()
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return int(min(max(b.at-a.at, -1), 1)) })
	for _, e := range entries[min(kept, len(entries)):] {
		if err := os.RemoveAll(filepath.Join(c.dir, e.name)); err != nil {
			return err
		}
	}
	return nil
}

// cacheFiles returns the files that wazero keeps in an entry, by their paths in it, in order.
func cacheFiles(dir string) ([]string, error) {
	var files []string
	var size int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := checkOwner(path, d.IsDir()); err != nil {
			return err
		}
		if d.IsDir() || path == filepath.Join(dir, sumFile) {
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if size += fi.Size(); size > maxCached {
			return fmt.Errorf("%s: more than %d bytes", dir, maxCached)
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, name)
		return err
	})
	return files, err
}

// sumFiles hashes the names, sizes and contents of the files of an entry.
func sumFiles(dir string) ([]byte, error) {
	files, err := cacheFiles(dir)
	if err != nil {
		return nil, err
	}
	h, err := blake2b.New256(nil)
	if err != nil {
		panic(err) // without a key it is a valid hash
	}
	for _, name := range files {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		n, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(h, "%q %d\n", name, n)
	}
	return h.Sum(nil), nil
}
