package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taolight/taolight/verify"
)

// Limits of a folder of runtimes.
const (
	MaxCode     = 16 << 20 // bytes of one :code, as it stands in the state
	MaxMetadata = 8 << 20  // bytes of what one runtime says of itself
	maxRuntimes = 3        // kept: the newest, the one before an upgrade, and one that is looked back at
)

const (
	codeExt     = ".code"
	metadataExt = ".metadata"
)

// Runtimes is a folder of the runtimes that a chain has had lately, each in a file of its own named by its hash, with
// what it says of itself in a second one. They are no part of the database: a runtime has two megabytes and comes
// every few weeks, and inside a B+tree it would be copied with each compaction.
//
// A code that is read has the hash it is named by. Metadata was written for that code and is whole, which a checksum
// says; that nobody with access to the folder has changed it, nothing says.
type Runtimes struct {
	dir string
	mu  sync.Mutex
}

// OpenRuntimes returns the folder, which is made when something is put there.
func OpenRuntimes(dir string) *Runtimes { return &Runtimes{dir: dir} }

// Code returns the code with a hash. fs.ErrNotExist if it is not there, ErrDamaged if the file holds something else.
func (r *Runtimes) Code(hash verify.Hash) ([]byte, error) {
	b, err := r.read(hash, codeExt, MaxCode)
	if err == nil && verify.Blake2b256(b) != hash {
		err = fmt.Errorf("%w: %s has another hash", ErrDamaged, r.path(hash, codeExt))
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// PutCode keeps a code, and takes away those that were put longest ago. ErrTooLarge beyond MaxCode.
func (r *Runtimes) PutCode(code []byte) error {
	if len(code) > MaxCode {
		return fmt.Errorf("%w: a code of %d bytes, at most %d", ErrTooLarge, len(code), MaxCode)
	}
	return r.write(verify.Blake2b256(code), codeExt, code)
}

// Metadata returns what was put for the code with a hash. Errors are those of Code.
func (r *Runtimes) Metadata(hash verify.Hash) ([]byte, error) {
	b, err := r.read(hash, metadataExt, MaxMetadata+len(hash))
	if err != nil {
		return nil, err
	}
	raw := b[min(len(hash), len(b)):]
	if sum := metadataSum(hash, raw); len(b) < len(hash) || verify.Hash(b[:len(hash)]) != sum {
		return nil, fmt.Errorf("%w: %s is not whole", ErrDamaged, r.path(hash, metadataExt))
	}
	return raw, nil
}

// PutMetadata keeps what the runtime whose code has that hash says of itself. ErrTooLarge beyond MaxMetadata.
func (r *Runtimes) PutMetadata(hash verify.Hash, raw []byte) error {
	if len(raw) > MaxMetadata {
		return fmt.Errorf("%w: metadata of %d bytes, at most %d", ErrTooLarge, len(raw), MaxMetadata)
	}
	sum := metadataSum(hash, raw)
	return r.write(hash, metadataExt, append(sum[:], raw...))
}

// metadataSum ties metadata to its code, so that a file with another's name is found.
func metadataSum(hash verify.Hash, raw []byte) verify.Hash {
	return verify.Blake2b256(append(hash[:], raw...))
}

// Any reports whether there is metadata of any runtime.
func (r *Runtimes) Any() bool {
	list, err := filepath.Glob(filepath.Join(r.dir, "*"+metadataExt))
	return err == nil && len(list) > 0
}

func (r *Runtimes) path(hash verify.Hash, ext string) string {
	return filepath.Join(r.dir, fmt.Sprintf("%x", hash[:])+ext)
}

func (r *Runtimes) read(hash verify.Hash, ext string, most int) ([]byte, error) {
	f, err := os.Open(r.path(hash, ext))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > most {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrDamaged, f.Name(), most)
	}
	return b, nil
}

// write puts a file in place as a whole: a power cut leaves the old one or the new one.
func (r *Runtimes) write(hash verify.Hash, ext string, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(r.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		var count counters
		err = installFile(f.Name(), r.path(hash, ext), &count)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return r.prune(ext)
}

// prune takes away all files of a kind but the newest, and what a power cut left unfinished.
func (r *Runtimes) prune(ext string) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	type file struct {
		name string
		at   time.Time
	}
	var list []file
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".new-") {
			err = errors.Join(err, os.Remove(filepath.Join(r.dir, name)))
		}
		if filepath.Ext(name) != ext || len(name) != 64+len(ext) {
			continue // nothing of ours
		}
		info, ierr := e.Info()
		if ierr != nil {
			continue // it has just gone
		}
		list = append(list, file{name, info.ModTime()})
	}
	slices.SortFunc(list, func(a, b file) int { return b.at.Compare(a.at) })
	for i := maxRuntimes; i < len(list); i++ {
		if rerr := os.Remove(filepath.Join(r.dir, list[i].name)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}
