package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taolight/taolight/gossip/carrier"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
)

// Our own limits on a folder.
const (
	maxFiles = 256 // looked at
	// writeEvery spares what the folder is on: a memory card, or a synchronisation over a radio.
	writeEvery = time.Minute
	tempSuffix = ".part"
)

// dir is a folder: a USB stick, or one that something else synchronises.
type dir struct {
	path  string
	own   string // the file we wrote last
	wrote time.Time
	posts map[string]bool   // files with posts that we wrote, and that are still to be told
	seen  map[string]string // files looked at, by name: size and time
	join  carrier.Joiner
}

func (d *dir) String() string { return "dir:" + d.path }

// Run looks into the folder at each tick. A folder that is not there is waited for: sticks come and go.
func (d *dir) Run(ctx context.Context, out <-chan Load, in func([]byte)) error {
	d.seen = make(map[string]string)
	var told uint32
	for {
		var l Load
		select {
		case <-ctx.Done():
			return nil
		case l = <-out:
		}
		if _, err := os.Stat(d.path); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%v: %w", d, err)
			}
			clear(d.seen) // another stick may come
			d.own, d.posts, told = "", nil, 0
			continue
		}
		if err := d.read(in); err != nil {
			return fmt.Errorf("%v: %w", d, err)
		}
		if l.Number > told && len(l.Long) > 0 && (told == 0 || time.Since(d.wrote) >= writeEvery) {
			if err := d.write(l); err != nil {
				return fmt.Errorf("%v: %w", d, err)
			}
			told = l.Number
		}
		if err := d.post(l.Posts); err != nil {
			return fmt.Errorf("%v: %w", d, err)
		}
	}
}

// post puts each message that is to be told into a file of its own, and takes those of ours out that are not
// any more.
func (d *dir) post(posts []Post) error {
	now := make(map[string]bool, len(posts))
	for _, p := range posts {
		ending := "tlx"
		if p.Ended {
			ending = "tlb"
		}
		name := fmt.Sprintf("taolight-tx-%x.%s", p.ID[:8], ending)
		if now[name] = true; d.posts[name] || d.seen[name] != "" {
			continue // there already, from us or another node
		}
		if _, err := os.Lstat(filepath.Join(d.path, name)); err == nil {
			continue
		}
		if err := d.place(name, p.Message); err != nil {
			return err
		}
		if d.posts == nil {
			d.posts = make(map[string]bool)
		}
		d.posts[name] = true
	}
	for name := range d.posts {
		if !now[name] {
			os.Remove(filepath.Join(d.path, name))
			delete(d.posts, name)
		}
	}
	return nil
}

// write puts the load into the folder whole, and takes our last one out.
func (d *dir) write(l Load) error {
	x := l.Long[len(bundle.Magic):]
	name := fmt.Sprintf("taolight-%x-%d.tlb", x[:4], l.Number)
	if _, err := os.Lstat(filepath.Join(d.path, name)); err == nil {
		d.wrote = time.Now() // another node's, of the same block
		return nil
	}
	if err := d.place(name, l.Long); err != nil {
		return err
	}
	if d.own != "" {
		os.Remove(filepath.Join(d.path, d.own))
	}
	d.own, d.wrote = name, time.Now()
	return nil
}

// place puts a file into the folder whole, or not at all.
func (d *dir) place(name string, b []byte) error {
	f, err := os.CreateTemp(d.path, ".taolight-*"+tempSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// read takes what is new in the folder: bundles, and files with chunks.
func (d *dir) read(in func([]byte)) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	looked := 0
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || name == d.own || d.posts[name] || strings.HasPrefix(name, ".") || looked == maxFiles {
			continue
		}
		looked++
		info, err := e.Info()
		if err != nil || info.Size() > MaxMessage {
			continue
		}
		mark := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		if d.seen[name] == mark {
			continue
		}
		if len(d.seen) > 4*maxFiles {
			clear(d.seen)
		}
		d.seen[name] = mark
		b, err := readFile(filepath.Join(d.path, name))
		if err != nil {
			continue // gone again, or not ours to read
		}
		if bundle.CheckMagic(b) == nil || extrinsic.Is(b) {
			in(b)
			continue
		}
		d.join.AddFile(b)
		take(&d.join, in)
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	return io.ReadAll(io.LimitReader(f, MaxMessage))
}
