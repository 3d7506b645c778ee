package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// This file reads the format of a bbolt file (version 2) without bbolt. bbolt follows page numbers, counts and offsets
// as it finds them: a wrong one can read outside the map, allocate without bound or recurse for ever, and none of these
// can be caught in Go. So a file is only given to bbolt when every page reachable from it has been found sound here.
// bbolt writes integers in the byte order of the machine; all targets are little-endian.

const (
	pageSize      = 4096
	pageHeader    = 16
	pageElement   = 16
	metaPages     = 2
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	branchPage    = 0x01
	leafPage      = 0x02
	metaPage      = 0x04
	freelistPage  = 0x10
	maxDepth      = 24
	maxRun        = 16 << 20 // bytes of one page with its overflow pages
	maxBucketName = 64
)

// boltMeta is one of the two meta pages; txid decides between them.
type boltMeta struct {
	pageSize                    uint32
	root, freelist, pages, txid uint64
}

// layout is what walkPages found.
type layout struct {
	pages, free, leaked uint64 // of pageSize bytes, with the two meta pages
	buckets             map[string]bool
	brokenMeta          bool // one of the two meta pages is unusable: the next commit mends it
}

// pageWalker checks one file. Errors are ErrDamaged with the page.
type pageWalker struct {
	r     io.ReaderAt
	meta  boltMeta
	seen  []byte // one per page: 0 unknown, 1 reachable, 2 free
	depth int
	visit func(bucket string, key, value []byte) error
	out   layout
}

// walkPages checks the whole structure of the bbolt file r of size bytes and calls visit for each record, in the order
// of keys within a bucket; key and value are only valid during the call. It reads each page in use once and holds a few
// pages at a time. An error of visit ends the walk and is returned as it is; every other error is ErrDamaged.
func walkPages(r io.ReaderAt, size int64, visit func(bucket string, key, value []byte) error) (layout, error) {
	w := &pageWalker{r: r, visit: visit, out: layout{buckets: map[string]bool{}}}
	if size < 4*pageSize {
		return w.out, fmt.Errorf("%w: %d bytes are too few", ErrDamaged, size)
	}
	if err := w.chooseMeta(); err != nil {
		return w.out, err
	}
	if w.meta.pages < 4 || w.meta.pages > math.MaxUint32 || int64(w.meta.pages)*pageSize > min(size, MaxBytes) {
		return w.out, fmt.Errorf("%w: %d pages stated, the file has %d bytes", ErrDamaged, w.meta.pages, size)
	}
	w.out.pages = w.meta.pages
	w.seen = make([]byte, w.meta.pages)
	w.seen[0], w.seen[1] = 1, 1
	if err := w.freelist(); err != nil {
		return w.out, err
	}
	if err := w.page(w.meta.root, nil, nil, ""); err != nil {
		return w.out, err
	}
	for _, s := range w.seen {
		if s == 0 {
			w.out.leaked++
		}
	}
	if w.out.leaked > 0 {
		return w.out, fmt.Errorf("%w: %d pages are neither used nor free", ErrDamaged, w.out.leaked)
	}
	return w.out, nil
}

func (w *pageWalker) bad(page uint64, format string, a ...any) error {
	return fmt.Errorf("%w: page %d: %s", ErrDamaged, page, fmt.Sprintf(format, a...))
}

// chooseMeta takes the valid meta page with the higher transaction, as bbolt does.
func (w *pageWalker) chooseMeta() error {
	found := false
	for i := uint64(0); i < metaPages; i++ {
		var b [pageSize]byte
		if _, err := w.r.ReadAt(b[:], int64(i)*pageSize); err != nil {
			return w.bad(i, "%v", err)
		}
		m, ok := decodeMeta(b[:])
		if ok && m.pageSize != pageSize {
			return w.bad(i, "pages of %d bytes", m.pageSize)
		}
		if i == 0 && !ok {
			// bbolt then looks for the second meta page wherever one would be for some page size.
			for off := 1024; off < pageSize; off *= 2 {
				if binary.LittleEndian.Uint32(b[off+pageHeader:]) == boltMagic {
					return w.bad(i, "another meta page at byte %d", off)
				}
			}
		}
		if !ok || binary.LittleEndian.Uint64(b[:]) != i || binary.LittleEndian.Uint16(b[8:]) != metaPage {
			w.out.brokenMeta = true
			if ok {
				// A sound meta under a foreign page header is not what a power cut leaves, and bbolt would use it.
				return w.bad(i, "not a meta page")
			}
			continue
		}
		if m.txid >= math.MaxUint64-1 {
			return w.bad(i, "transaction %d", m.txid)
		}
		if !found || m.txid > w.meta.txid {
			w.meta, found = m, true
		}
	}
	if !found {
		return fmt.Errorf("%w: no valid meta page", ErrDamaged)
	}
	return nil
}

// decodeMeta reads a meta page; false is what bbolt would not use either.
func decodeMeta(page []byte) (boltMeta, bool) {
	b := page[pageHeader:]
	h := fnv.New64a()
	h.Write(b[:56])
	if binary.LittleEndian.Uint32(b) != boltMagic || binary.LittleEndian.Uint32(b[4:]) != boltVersion ||
		h.Sum64() != binary.LittleEndian.Uint64(b[56:]) {
		return boltMeta{}, false
	}
	return boltMeta{
		pageSize: binary.LittleEndian.Uint32(b[8:]),
		root:     binary.LittleEndian.Uint64(b[16:]),
		freelist: binary.LittleEndian.Uint64(b[32:]),
		pages:    binary.LittleEndian.Uint64(b[40:]),
		txid:     binary.LittleEndian.Uint64(b[48:]),
	}, true
}

// load reads a page with its overflow pages and marks them as reachable; each may be reached once only, so there are
// no cycles.
func (w *pageWalker) load(id uint64) (b []byte, flags uint16, count int, err error) {
	if id < metaPages || id >= w.meta.pages {
		return nil, 0, 0, w.bad(id, "outside the file")
	}
	b = make([]byte, pageSize)
	if _, err := w.r.ReadAt(b, int64(id)*pageSize); err != nil {
		return nil, 0, 0, w.bad(id, "%v", err)
	}
	flags = binary.LittleEndian.Uint16(b[8:])
	count = int(binary.LittleEndian.Uint16(b[10:]))
	overflow := uint64(binary.LittleEndian.Uint32(b[12:]))
	if got := binary.LittleEndian.Uint64(b); got != id {
		return nil, 0, 0, w.bad(id, "calls itself %d", got)
	}
	if id+overflow >= w.meta.pages || (overflow+1)*pageSize > maxRun {
		return nil, 0, 0, w.bad(id, "%d overflow pages", overflow)
	}
	for i := id; i <= id+overflow; i++ {
		switch w.seen[i] {
		case 1:
			return nil, 0, 0, w.bad(i, "used twice")
		case 2:
			return nil, 0, 0, w.bad(i, "used and free")
		}
		w.seen[i] = 1
	}
	if overflow > 0 {
		b = append(b, make([]byte, overflow*pageSize)...)
		if _, err := w.r.ReadAt(b[pageSize:], int64(id+1)*pageSize); err != nil {
			return nil, 0, 0, w.bad(id, "%v", err)
		}
	}
	return b, flags, count, nil
}

func (w *pageWalker) freelist() error {
	id := w.meta.freelist
	b, flags, n, err := w.load(id)
	if err != nil {
		return err
	}
	if flags != freelistPage {
		return w.bad(id, "not a freelist")
	}
	list, count := b[pageHeader:], uint64(n)
	if count == 0xFFFF { // the count did not fit: the first entry is the count
		count, list = binary.LittleEndian.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return w.bad(id, "%d free pages do not fit", count)
	}
	for i := uint64(0); i < count; i++ {
		free := binary.LittleEndian.Uint64(list[8*i:])
		if free < metaPages || free >= w.meta.pages {
			return w.bad(id, "free page %d outside the file", free)
		}
		if w.seen[free] != 0 {
			return w.bad(id, "free page %d listed twice or in use", free)
		}
		w.seen[free] = 2
	}
	w.out.free = count
	return nil
}

// page checks the tree under a page whose first key must be low and whose keys must be less than high; nil is no bound.
// That the first key is the one its parent states, and not just none below it, matters: bbolt finds the entry to
// change in the parent by it, and otherwise leaves a second one behind. bucket is empty in the root tree, whose records
// are the buckets.
func (w *pageWalker) page(id uint64, low, high []byte, bucket string) error {
	if w.depth++; w.depth > maxDepth {
		return w.bad(id, "deeper than %d", maxDepth)
	}
	defer func() { w.depth-- }()
	b, flags, count, err := w.load(id)
	if err != nil {
		return err
	}
	switch flags {
	case branchPage:
		if count == 0 {
			return w.bad(id, "branch without children")
		}
		keys := make([][]byte, count)
		children := make([]uint64, count)
		for i := range count {
			off := pageHeader + i*pageElement
			if off+pageElement > len(b) {
				return w.bad(id, "%d children do not fit", count)
			}
			e := b[off:]
			key, ok := cut(b, count, off, binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:]))
			if !ok || len(key) == 0 {
				return w.bad(id, "child %d: key outside the page", i)
			}
			keys[i], children[i] = key, binary.LittleEndian.Uint64(e[8:])
		}
		for i, key := range keys {
			if !ordered(keys, i, low, high) {
				return w.bad(id, "child %d: key out of order", i)
			}
			next := high
			if i+1 < count {
				next = keys[i+1]
			}
			if err := w.page(children[i], key, next, bucket); err != nil {
				return err
			}
		}
		return nil
	case leafPage:
		return w.leaf(id, b, count, low, high, bucket)
	}
	return w.bad(id, "unknown kind %#x", flags)
}

func (w *pageWalker) leaf(id uint64, b []byte, count int, low, high []byte, bucket string) error {
	if count == 0 && low != nil {
		return w.bad(id, "empty under a branch")
	}
	keys := make([][]byte, count)
	for i := range count {
		off := pageHeader + i*pageElement
		if off+pageElement > len(b) {
			return w.bad(id, "%d records do not fit", count)
		}
		e := b[off:]
		flags, pos := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
		ksize, vsize := binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:])
		key, ok := cut(b, count, off, pos, ksize)
		if !ok || len(key) == 0 {
			return w.bad(id, "record %d: key outside the page", i)
		}
		value, ok := cut(b, count, off, pos+ksize, vsize) // no overflow: cut has bounded both
		if !ok {
			return w.bad(id, "record %d: value outside the page", i)
		}
		keys[i] = key
		if !ordered(keys, i, low, high) {
			return w.bad(id, "record %d: key out of order", i)
		}
		if bucket != "" {
			if flags != 0 {
				return w.bad(id, "record %d: a bucket within bucket %q", i, bucket)
			}
			if err := w.visit(bucket, key, value); err != nil {
				return err
			}
			continue
		}
		if flags != 1 || len(key) > maxBucketName {
			return w.bad(id, "record %d: not a bucket", i)
		}
		if err := w.bucket(id, string(key), value); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket's record in the root tree: a page number and a sequence, and for page 0 a small page inline.
func (w *pageWalker) bucket(id uint64, name string, value []byte) error {
	if len(value) < 16 {
		return w.bad(id, "bucket %q: %d bytes", name, len(value))
	}
	w.out.buckets[name] = true
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return w.page(root, nil, nil, name)
	}
	inline := value[16:]
	if len(inline) < pageHeader || len(inline) > pageSize {
		return w.bad(id, "bucket %q: inline page of %d bytes", name, len(inline))
	}
	if inlineID := binary.LittleEndian.Uint64(inline); inlineID != 0 {
		return w.bad(id, "bucket %q: inline page calls itself %d", name, inlineID)
	}
	if flags := binary.LittleEndian.Uint16(inline[8:]); flags != leafPage {
		return w.bad(id, "bucket %q: inline page of kind %#x", name, flags)
	}
	if binary.LittleEndian.Uint32(inline[12:]) != 0 {
		return w.bad(id, "bucket %q: inline page overflows", name)
	}
	return w.leaf(id, inline, int(binary.LittleEndian.Uint16(inline[10:])), nil, nil, name)
}

// cut returns n bytes of page b at pos bytes past the element at off, if they lie in the page behind its elements.
func cut(b []byte, count, off int, pos, n uint32) ([]byte, bool) {
	from := uint64(off) + uint64(pos)
	to := from + uint64(n)
	if from < uint64(pageHeader+count*pageElement) || to > uint64(len(b)) {
		return nil, false
	}
	return b[from:to:to], true
}

// ordered reports whether keys[i] follows keys[i-1], is low if it is the first, and is less than high.
func ordered(keys [][]byte, i int, low, high []byte) bool {
	switch {
	case i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0:
		return false
	case i == 0 && low != nil && !bytes.Equal(keys[0], low):
		return false
	}
	return high == nil || bytes.Compare(keys[i], high) < 0
}
