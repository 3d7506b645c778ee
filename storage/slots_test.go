package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"testing"
)

// write is one entry of a write log.
type write struct {
	off  int64
	data []byte
}

// recordingFile is a slot file that keeps a log of the writes between syncs.
type recordingFile struct {
	slotFile
	log     *[]write
	unsaved int
}

func (f *recordingFile) WriteAt(b []byte, off int64) (int, error) {
	*f.log = append(*f.log, write{off, bytes.Clone(b)})
	if f.unsaved++; f.unsaved > 1 {
		panic("two writes without a sync between them")
	}
	return f.slotFile.WriteAt(b, off)
}

func (f *recordingFile) Datasync() error { f.unsaved = 0; return f.slotFile.Datasync() }

// recordSlots runs heads through a store, with restarts of either kind, and returns the slot file before, the writes, and
// the heads.
func recordSlots(t *testing.T) (before []byte, log []write, heads []Head) {
	cfg := testConfig(t.TempDir())
	plain, err := cfg.withDefaults()
	must(t, err)
	cfg.openSlots = func(path string, flag int) (slotFile, error) {
		f, err := plain.openSlots(path, flag)
		if before == nil {
			before, _ = os.ReadFile(path)
		}
		return &recordingFile{slotFile: f, log: &log}, err
	}
	s, _ := mustOpen(t, cfg)
	for i, n := range []uint32{1, 26, 3000, 3001, 3002, 7000, 7001, 4_000_000, 4_000_001, 4_000_002} {
		h := testHead(n)
		if i%3 == 2 { // one that is deflated
			h.Data = append(h.Data, bytes.Repeat([]byte("justification "), 900)...)
		}
		must(t, s.WriteHead(h))
		heads = append(heads, h)
		if i == 2 || i == 5 {
			mustClose(t, s)
			s, _ = mustOpen(t, cfg)
		}
		if i == 7 {
			must(t, s.detach())
			s, _ = mustOpen(t, cfg)
		}
	}
	mustClose(t, s)
	return before, log, heads
}

// TestTornSlots cuts the power during each write of a head, after each byte of it and with every set of its sectors: what
// is read must be that head or the one before, bit by bit.
func TestTornSlots(t *testing.T) {
	image, log, heads := recordSlots(t)
	rng := rand.New(rand.NewPCG(3, 4))
	var last *Head
	next := 0
	check := func(what string, b []byte, inFlight *Head) {
		t.Helper()
		im, err := decodeSlots(b, genesis)
		if err != nil || im.damage() != nil {
			t.Fatalf("%s: %v %v", what, err, im.damage())
		}
		switch {
		case im.best < 0 && last == nil:
		case im.best >= 0 && last != nil && sameHead(im.rec.head, *last):
		case im.best >= 0 && inFlight != nil && sameHead(im.rec.head, *inFlight):
		default:
			t.Fatalf("%s: read a head %d that is neither the last nor the new one", what, im.rec.head.Number)
		}
	}
	for i, w := range log {
		var inFlight *Head
		if w.off < markOffset {
			inFlight = &heads[next]
			next++
		}
		// Each prefix, as a cut in the middle of a sector would leave it.
		for n := range len(w.data) + 1 {
			b := bytes.Clone(image)
			copy(b[w.off:], w.data[:n])
			check(fmt.Sprintf("write %d, %d bytes", i, n), b, inFlight)
		}
		// Each set of sectors, or many of them; sectors that did not arrive are old, zero or ones.
		sectors := (len(w.data) + 511) / 512
		sets := 1 << min(sectors, 8)
		for set := range sets {
			b := bytes.Clone(image)
			for k := range sectors {
				part := w.data[k*512 : min((k+1)*512, len(w.data))]
				at := b[int(w.off)+k*512:][:len(part)]
				arrived := set&(1<<k) != 0
				if sectors > 8 {
					arrived = rng.IntN(2) == 0
				}
				switch {
				case arrived:
					copy(at, part)
				case set%3 == 1:
					clear(at)
				case set%3 == 2:
					copy(at, bytes.Repeat([]byte{0xFF}, len(at)))
				}
			}
			if inFlight == nil && set%3 != 0 {
				continue // a mark is one sector
			}
			check(fmt.Sprintf("write %d, sectors %b", i, set), b, inFlight)
		}
		copy(image[w.off:], w.data)
		if inFlight != nil {
			last = inFlight
		}
		check(fmt.Sprintf("after write %d", i), image, nil)
	}
	if next != len(heads) {
		t.Fatalf("%d of %d heads in the log", next, len(heads))
	}
}

// TestFlipSlots changes every byte of head.slots.
func TestFlipSlots(t *testing.T) {
	slotsFile, database := smallStore(t)
	dir := memoryDir(t)
	for i := range slotsFile {
		for _, x := range []byte{0x01, 0x80, 0xFF} {
			slotsFile[i] ^= x
			im, err := decodeSlots(slotsFile, genesis)
			if err != nil || im.best < 0 {
				t.Fatalf("byte %d: %v", i, err)
			}
			if h := im.rec.head; !sameHead(h, testHead(41)) && !sameHead(h, testHead(40)) {
				t.Fatalf("byte %d: head %d", i, h.Number)
			}
			if x == 0xFF && (i%397 == 0 || exhaustive) {
				survive(t, dir, slotsFile, database)
			}
			slotsFile[i] ^= x
		}
	}
}

func FuzzSlots(f *testing.F) {
	r, err := appendRecord(nil, record{seq: 5, head: testHead(77), genesis: genesis})
	must(f, err)
	long := testHead(78)
	long.Data = bytes.Repeat([]byte("abcdefgh"), 3000)
	z, err := appendRecord(nil, record{seq: 6, head: long, genesis: genesis})
	must(f, err)
	f.Add(r, true)
	f.Add(z, true)
	f.Add(append(append(bytes.Clone(r), make([]byte, slotSize-len(r))...), z...), false)
	f.Add(appendMark(make([]byte, markOffset), mark{starts: 3}, genesis), false)
	f.Fuzz(func(t *testing.T, b []byte, repair bool) {
		if end := len(b) - 4; repair && end >= slotHeader { // let it get past the checksum
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[20:], uint32(end-slotHeader))
			binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
		}
		im, err := decodeSlots(b, genesis)
		if err != nil && !errors.Is(err, ErrGenesis) && !errors.Is(err, ErrNewer) {
			t.Fatal(err)
		}
		if im.best >= 0 {
			again, err := appendRecord(nil, im.rec)
			if err != nil {
				return // it deflated better than ours does
			}
			r, state, err := decodeRecord(again)
			if state != slotValid || err != nil || !sameHead(r.head, im.rec.head) || r.seq != im.rec.seq {
				t.Fatal("a record does not survive being written again")
			}
		}
	})
}
