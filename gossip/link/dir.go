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
			d.own, told = "", 0
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
	}
}

// write puts the load into the folder whole, and takes our last one out.
func (d *dir) write(l Load) error {
	x := l.Long[len(bundle.Magic):]
	name := fmt.Sprintf("taolight-%x-%d.tlb", x[:4], l.Number)
	if _, err := os.Lstat(filepath.Join(d.path, name)); err == nil {
		d.wrote = time.Now() // another node's, of the same block
		return nil
	}
	f, err := os.CreateTemp(d.path, ".taolight-*"+tempSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(l.Long)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	if d.own != "" {
		os.Remove(filepath.Join(d.path, d.own))
	}
	d.own, d.wrote = name, time.Now()
	return nil
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
		if !e.Type().IsRegular() || name == d.own || strings.HasPrefix(name, ".") || looked == maxFiles {
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
		if bundle.CheckMagic(b) == nil {
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
