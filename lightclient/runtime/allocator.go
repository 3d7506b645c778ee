package runtime

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The allocator is the host's, and where it places things is a rule of the chain: sp-allocator's
// freeing bump allocator (substrate/primitives/allocator/src/freeing_bump.rs). Sizes are rounded up
// to a power of two, each order has a list of what was freed, last in first out, and what no list
// holds is cut from the end. Before each block stand 8 bytes, little-endian: for a block in use its
// order and a mark, for a free one the position of the next free header.
const (
	headerSize = 8
	minOrder   = 3             // blocks of 8 bytes
	orders     = 23            // … up to 32 MiB
	maxBlock   = 1 << (3 + 22) // 32 MiB
	noHeader   = 0xffff_ffff   // the end of a free list
	inUse      = 1 << 32       // the mark of a block in use
	pageSize   = 64 << 10      // of WebAssembly
)

// memory is what the allocator and the host functions need of an instance's memory.
type memory interface {
	Size() uint32
	Read(offset, byteCount uint32) ([]byte, bool)
	Write(offset uint32, v []byte) bool
	Grow(deltaPages uint32) (previousPages uint32, ok bool)
}

// An allocator hands out blocks of one instance's memory. After an error it is of no more use.
type allocator struct {
	mem      memory
	max      uint32 // pages
	bumper   uint32
	free     [orders]uint32
	used     uint64 // bytes in blocks that are in use, with their headers
	poisoned bool
}

func newAllocator(mem memory, heapBase, maxPages uint32) *allocator {
	a := &allocator{mem: mem, max: maxPages}
	// A heap base that rounds past the address space leaves no room: the first malloc says so.
	a.bumper = uint32(min(uint64(heapBase)+7, 0xffff_ffff)) &^ 7
	for i := range a.free {
		a.free[i] = noHeader
	}
	return a
}

// order returns the order of the block for size bytes.
func order(size uint32) (uint32, error) {
	if size > maxBlock {
		return 0, fmt.Errorf("malloc of %d bytes: %w: the largest block is 32 MiB", size, ErrMemory)
	}
	if size <= 1<<minOrder {
		return 0, nil
	}
	return uint32(bits.Len32(size-1)) - minOrder, nil
}

func (a *allocator) header(at uint32) (uint64, error) {
	b, ok := a.mem.Read(at, headerSize)
	if !ok {
		return 0, fmt.Errorf("block header at %#x: %w: outside the memory", at, ErrHeap)
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (a *allocator) setHeader(at uint32, h uint64) error {
	var b [headerSize]byte
	binary.LittleEndian.PutUint64(b[:], h)
	if !a.mem.Write(at, b[:]) {
		return fmt.Errorf("block header at %#x: %w: outside the memory", at, ErrHeap)
	}
	return nil
}

// malloc returns the address of a block for size bytes; for none, that of the smallest block.
func (a *allocator) malloc(size uint32) (ptr uint32, err error) {
	if a.poisoned {
		return 0, fmt.Errorf("malloc: %w: used after an error", ErrHeap)
	}
	defer func() { a.poisoned = err != nil }()
	o, err := order(size)
	if err != nil {
		return 0, err
	}
	block := uint64(headerSize + 1<<(minOrder+o))
	at := a.free[o]
	if at != noHeader {
		if uint64(at)+block > uint64(a.mem.Size()) {
			return 0, fmt.Errorf("malloc: free list %d: header at %#x: %w: outside the memory", o, at, ErrHeap)
		}
		h, err := a.header(at)
		if err != nil {
			return 0, err
		}
		if h&inUse != 0 {
			return 0, fmt.Errorf("malloc: free list %d: header at %#x: %w: the block is in use", o, at, ErrHeap)
		}
		a.free[o] = uint32(h)
	} else if at, err = a.bump(block); err != nil {
		return 0, err
	}
	if err := a.setHeader(at, inUse|uint64(o)); err != nil {
		return 0, err
	}
	a.used += block
	return at + headerSize, nil
}

// bump cuts size bytes from the end, growing the memory where needed: to twice what it is, so that
// a runtime that allocates much does not grow it at each step.
func (a *allocator) bump(size uint64) (uint32, error) {
	need := uint64(a.bumper) + size
	if have := uint64(a.mem.Size()); need > have {
		pages, want := uint32(have/pageSize), (need+pageSize-1)/pageSize
		if want > uint64(a.max) {
			return 0, fmt.Errorf("malloc: %w: %d pages of 64 KiB are the limit", ErrMemory, a.max)
		}
		to := max(min(2*pages, a.max), uint32(want))
		if _, ok := a.mem.Grow(to - pages); !ok {
			return 0, fmt.Errorf("malloc: %w: cannot grow to %d pages of 64 KiB", ErrMemory, to)
		}
	}
	at := a.bumper
	a.bumper = uint32(need)
	return at, nil
}

// release takes back the block at ptr.
func (a *allocator) release(ptr uint32) (err error) {
	if a.poisoned {
		return fmt.Errorf("free: %w: used after an error", ErrHeap)
	}
	defer func() { a.poisoned = err != nil }()
	if ptr < headerSize {
		return fmt.Errorf("free of %#x: %w: no block can stand there", ptr, ErrHeap)
	}
	at := ptr - headerSize
	h, err := a.header(at)
	if err != nil {
		return fmt.Errorf("free of %#x: %w", ptr, err)
	}
	if h&inUse == 0 {
		return fmt.Errorf("free of %#x: %w: the block is not in use", ptr, ErrHeap)
	}
	o := uint32(h)
	if o >= orders {
		return fmt.Errorf("free of %#x: %w: no block has order %d", ptr, ErrHeap, o)
	}
	block := uint64(headerSize + 1<<(minOrder+o))
	if err := a.setHeader(at, uint64(a.free[o])); err != nil {
		return err
	}
	a.free[o] = at
	if block > a.used {
		return fmt.Errorf("free of %#x: %w: more is freed than was allocated", ptr, ErrHeap)
	}
	a.used -= block
	return nil
}
