package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/grandpa"
)

// A nodeStore is a storage.Store as lightclient wants it: a set change is one record there, a warp
// proof of one fragment, and three parts here.
type nodeStore struct{ *storage.Store }

var _ lightclient.Store = nodeStore{}

func (s nodeStore) Head() ([]byte, bool) {
	h, ok := s.Store.Head()
	return h.Data, ok
}

func (s nodeStore) WriteHead(number uint32, hash verify.Hash, data []byte) error {
	return s.Store.WriteHead(storage.Head{Number: number, Hash: hash, Data: data})
}

func (s nodeStore) Peers() (map[string][]byte, error) { return s.Store.Peers(), nil }

func (s nodeStore) PutAuthoritySet(id uint64, record []byte) error {
	p, err := grandpa.DecodeWarpProof(record)
	if err != nil {
		return err
	}
	if len(p.Fragments) != 1 {
		return fmt.Errorf("set change %d: %d fragments", id, len(p.Fragments))
	}
	f := p.Fragments[0]
	a := storage.AuthoritySet{ID: id, Header: f.Header.Encode(), Justification: f.Justification.Append(nil)}
	change, err := grandpa.ScheduledChange(f.Header)
	if err != nil {
		return err
	}
	if change != nil {
		a.Set = grandpa.AppendAuthorities(nil, change.Next)
	}
	return s.Store.PutAuthoritySet(a)
}

func (s nodeStore) AuthoritySets() ([][]byte, error) {
	var out [][]byte
	var errs []error
	for _, a := range s.Store.AuthoritySets() {
		h, err := verify.DecodeHeader(a.Header)
		var j *grandpa.Justification
		if err == nil {
			j, err = grandpa.DecodeJustification(a.Justification)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("set change %d: %w", a.ID, err))
			continue
		}
		p := grandpa.WarpProof{Fragments: []grandpa.Fragment{{Header: h, Justification: j}}, Finished: true}
		out = append(out, p.Append(nil))
	}
	return out, errors.Join(errs...)
}

// demoMark is a file in the folders of demo networks, and in no other.
const demoMark = "demo"

// openStore opens the place's store. One of an older demo chain is discarded: that chain is gone. It
// takes the mark that a demo network has left in the folder to do that, because a chain spec may call
// itself what it likes. A quiet one writes nothing until it is told that it may.
func (p *place) openStore(quiet bool) (*storage.Store, *storage.Recovery, error) {
	archive := int64(p.cfg.ArchiveMB) * 1_000_000
	cfg := storage.Config{Dir: p.dir, Genesis: p.root.Genesis, BundleBytes: archive, Quiet: quiet,
		MaxBytes: min(max(4*archive, storage.DefaultBytes), storage.MaxBytes)} // bundles are a quarter of it at most
	mark := filepath.Join(p.dir, demoMark)
	st, rec, err := storage.Open(cfg)
	if _, merr := os.Lstat(mark); merr == nil && p.demo && errors.Is(err, storage.ErrGenesis) {
		if err = discard(p.dir); err == nil {
			st, rec, err = storage.Open(cfg)
		}
	}
	if err == nil && p.demo && rec.Created && !quiet {
		// On a disk that cannot be written there is nothing to discard either.
		os.WriteFile(mark, []byte("the store of a demo network, discarded when another one starts\n"), 0o600)
	}
	return st, rec, p.storeError(err)
}

// storeError gives an error of the store its code and hint.
func (p *place) storeError(err error) error {
	e := &control.Error{Code: control.Failure, Err: err}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrLocked):
		return e.WithHint("ask the one that runs (taolight status%s), or give another --data-dir", p.flags())
	case errors.Is(err, storage.ErrGenesis):
		return e.WithHint("give another --data-dir, or move %s away", p.dir)
	case errors.Is(err, storage.ErrNewer):
		return e.WithHint("upgrade taolight, or give another --data-dir")
	case errors.Is(err, storage.ErrDamaged):
		e.Code = control.Damaged
	}
	return e
}

// discard removes the store's own files, and nothing else, from a folder.
func discard(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		for _, own := range []string{"head.slots", "taolight.db"} {
			if name == own || strings.HasPrefix(name, own+".") {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
