package storage

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"github.com/taolight/taolight/verify"
)

const (
	slotSize     = 16 << 10
	markOffset   = 2 * slotSize
	slotsSize    = markOffset + 4<<10
	slotHeader   = 92
	slotPayload  = slotSize - slotHeader - 4
	slotVersion  = 1
	flagDeflated = 1
	markSize     = 64
	deviceBlock  = 4 << 10

	// MaxHeadData bounds Head.Data, in bytes. Beyond about 15 KiB it has to deflate into a slot.
	MaxHeadData = 64 << 10
)

var (
	slotMagic  = [4]byte{'T', 'L', 'H', 'S'}
	markMagic  = [4]byte{'T', 'L', 'R', 'M'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// slotFile is what a slot file needs of the operating system; tests put failing and recording ones here.
type slotFile interface {
	io.ReaderAt
	io.WriterAt
	Datasync() error
	Close() error
}

type osSlotFile struct{ *os.File }

func (f osSlotFile) Datasync() error { return datasync(f.File) }

// record is one decoded slot.
type record struct {
	seq     uint64
	head    Head
	genesis verify.Hash
}

// slotState says what a slot holds.
type slotState int

const (
	slotBlank   slotState = iota // all 0x00 or all 0xFF: never written
	slotDamaged                  // anything else: torn or overwritten
	slotValid
)

func (s slotState) String() string { return [...]string{"blank", "damaged", "valid"}[s] }

// appendRecord appends the slot record of r to b. The payload is deflated when that saves the device a block: the
// justification repeats one target hash and the set's keys, so that 20 votes then fit one 4 KiB block instead of two.
func appendRecord(b []byte, r record) ([]byte, error) {
	data := r.head.Data
	if len(data) > MaxHeadData {
		return nil, fmt.Errorf("%w: a head of %d bytes, at most %d", ErrTooLarge, len(data), MaxHeadData)
	}
	flags := uint16(0)
	stored := data
	if blocks(len(data)) > 1 {
		if z := deflate(data); blocks(len(z)) < blocks(len(data)) {
			stored, flags = z, flagDeflated
		}
	}
	if len(stored) > slotPayload {
		return nil, fmt.Errorf("%w: a head of %d bytes does not fit a slot (%d bytes deflated, at most %d)", ErrTooLarge, len(data), len(stored), slotPayload)
	}
	start := len(b)
	b = append(b, slotMagic[:]...)
	b = binary.LittleEndian.AppendUint16(b, slotVersion)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	b = binary.LittleEndian.AppendUint32(b, r.head.Number)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(stored)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, r.head.Hash[:]...)
	b = append(b, r.genesis[:]...)
	b = append(b, stored...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

// blocks returns how many device blocks a record with a payload of n bytes touches.
func blocks(n int) int { return (slotHeader + n + 4 + deviceBlock - 1) / deviceBlock }

func deflate(data []byte) []byte {
	var z bytes.Buffer
	w, err := flate.NewWriter(&z, flate.DefaultCompression)
	if err != nil {
		return data
	}
	if _, err := w.Write(data); err != nil || w.Close() != nil {
		return data
	}
	return z.Bytes()
}

// decodeRecord reads the record at the start of b. The error is nil for slotValid and slotBlank, ErrNewer for a sound
// record of a later format, ErrDamaged for the rest. The place of lengths and checksum is fixed for all versions.
func decodeRecord(b []byte) (record, slotState, error) {
	var r record
	if blank(b) {
		return r, slotBlank, nil
	}
	bad := func(format string, a ...any) (record, slotState, error) {
		return record{}, slotDamaged, fmt.Errorf("%w: slot: %s", ErrDamaged, fmt.Sprintf(format, a...))
	}
	if len(b) < slotHeader+4 {
		return bad("%d bytes are too few", len(b))
	}
	if [4]byte(b[:4]) != slotMagic {
		return bad("no magic")
	}
	version := binary.LittleEndian.Uint16(b[4:])
	flags := binary.LittleEndian.Uint16(b[6:])
	r.seq = binary.LittleEndian.Uint64(b[8:])
	r.head.Number = binary.LittleEndian.Uint32(b[16:])
	stored := binary.LittleEndian.Uint32(b[20:])
	raw := binary.LittleEndian.Uint32(b[24:])
	r.head.Hash = verify.Hash(b[28:60])
	r.genesis = verify.Hash(b[60:92])
	if stored > slotPayload || int(stored) > len(b)-slotHeader-4 {
		return bad("length %d is too large", stored)
	}
	end := slotHeader + int(stored)
	if got, want := crc32.Checksum(b[:end], castagnoli), binary.LittleEndian.Uint32(b[end:]); got != want {
		return bad("checksum %08x, stated %08x", got, want)
	}
	if version != slotVersion {
		return record{}, slotDamaged, fmt.Errorf("%w: head.slots has version %d, this one knows %d", ErrNewer, version, slotVersion)
	}
	if raw > MaxHeadData || flags&^flagDeflated != 0 || r.seq == math.MaxUint64 {
		return bad("impossible fields")
	}
	payload := b[slotHeader:end]
	if flags&flagDeflated == 0 {
		if raw != stored {
			return bad("two lengths, %d and %d", stored, raw)
		}
		r.head.Data = bytes.Clone(payload)
		return r, slotValid, nil
	}
	// One byte more than stated is asked for, so that a longer payload is noticed without being unpacked.
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(payload)), int64(raw)+1))
	if err != nil || len(data) != int(raw) {
		return bad("payload does not inflate to %d bytes", raw)
	}
	r.head.Data = data
	return r, slotValid, nil
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != b[0] || (c != 0 && c != 0xFF) {
			return false
		}
	}
	return true
}

// mark is the run mark: it counts starts and says whether the store was closed.
type mark struct {
	clean           bool
	starts, unclean uint64
}

func appendMark(b []byte, m mark, genesis verify.Hash) []byte {
	start := len(b)
	b = append(b, markMagic[:]...)
	b = binary.LittleEndian.AppendUint16(b, slotVersion)
	if m.clean {
		b = append(b, 1, 0)
	} else {
		b = append(b, 0, 0)
	}
	b = binary.LittleEndian.AppendUint64(b, m.starts)
	b = binary.LittleEndian.AppendUint64(b, m.unclean)
	b = append(b, genesis[:]...)
	b = append(b, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func decodeMark(b []byte) (m mark, genesis verify.Hash, ok bool) {
	if len(b) < markSize || [4]byte(b[:4]) != markMagic || crc32.Checksum(b[:markSize-4], castagnoli) != binary.LittleEndian.Uint32(b[markSize-4:]) {
		return mark{}, verify.Hash{}, false
	}
	m = mark{clean: b[6] == 1, starts: binary.LittleEndian.Uint64(b[8:]), unclean: binary.LittleEndian.Uint64(b[16:])}
	return m, verify.Hash(b[24:56]), true
}

// slotsImage is everything a head.slots file says.
type slotsImage struct {
	states [2]slotState
	faults [2]error
	best   int // index of the slot that counts, -1 if none
	rec    record
	mark   mark
	marked bool
	size   int64 // of the file
}

// decodeSlots reads a whole head.slots file; b may be shorter or longer than it should be. The only errors are
// ErrGenesis and ErrNewer: whatever else is wrong is said in the image.
func decodeSlots(b []byte, genesis verify.Hash) (slotsImage, error) {
	im := slotsImage{best: -1, size: int64(len(b))}
	for i := range im.states {
		part := b[min(len(b), i*slotSize):min(len(b), (i+1)*slotSize)]
		r, state, err := decodeRecord(part)
		if errors.Is(err, ErrNewer) {
			return im, err
		}
		if state == slotValid && r.genesis != genesis {
			return im, fmt.Errorf("%w: head.slots is of genesis %v, not %v", ErrGenesis, r.genesis, genesis)
		}
		im.states[i], im.faults[i] = state, err
		if state == slotValid && (im.best < 0 || r.seq > im.rec.seq || r.seq == im.rec.seq && r.head.Number > im.rec.head.Number) {
			im.best, im.rec = i, r
		}
	}
	if len(b) > markOffset {
		m, g, ok := decodeMark(b[markOffset:])
		if ok && g != genesis {
			return im, fmt.Errorf("%w: head.slots is of genesis %v, not %v", ErrGenesis, g, genesis)
		}
		im.mark, im.marked = m, ok
	}
	return im, nil
}

// damage returns why the file must be made anew, nil if it need not: one torn slot beside a valid or, before the second
// write ever, a blank one is what a power cut leaves. The next write mends it.
func (im *slotsImage) damage() error {
	switch {
	case im.size != slotsSize:
		return fmt.Errorf("%w: head.slots has %d bytes instead of %d", ErrDamaged, im.size, slotsSize)
	case im.best >= 0:
		return nil
	case im.states[0] == slotDamaged && (im.states[1] == slotDamaged || !im.marked):
		return im.faults[0]
	case im.states[1] == slotDamaged && !im.marked:
		return im.faults[1]
	}
	return nil
}

// slots writes heads in turn to the two slots of an open file.
type slots struct {
	f       slotFile
	genesis verify.Hash
	seq     uint64 // of the newest record known to be on the medium
	next    int    // slot to overwrite: never the one that holds that record
	count   *counters
}

// write puts h into the older slot and syncs. After an error the same slot is used again, so the newest good record
// is never in danger.
func (s *slots) write(h Head) error {
	b, err := appendRecord(nil, record{seq: s.seq + 1, head: h, genesis: s.genesis})
	if err != nil {
		return err
	}
	if err := s.put(b, int64(s.next)*slotSize); err != nil {
		return fmt.Errorf("head.slots: slot %c: %w", 'A'+s.next, err)
	}
	s.count.heads++
	s.seq, s.next = s.seq+1, 1-s.next
	return nil
}

func (s *slots) writeMark(m mark) error {
	if err := s.put(appendMark(nil, m, s.genesis), markOffset); err != nil {
		return fmt.Errorf("head.slots: run mark: %w", err)
	}
	return nil
}

func (s *slots) put(b []byte, off int64) error {
	n, err := s.f.WriteAt(b, off)
	s.count.wrote(n)
	if err != nil {
		return err
	}
	s.count.syncs++
	return s.f.Datasync()
}
