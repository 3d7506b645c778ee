package runtime

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

// ram is a memory of so many bytes.
type ram struct {
	b   []byte
	max uint32 // pages
}

func (m *ram) Size() uint32 { return uint32(len(m.b)) }

func (m *ram) Read(at, n uint32) ([]byte, bool) {
	if uint64(at)+uint64(n) > uint64(len(m.b)) {
		return nil, false
	}
	return m.b[at:][:n], true
}

func (m *ram) Write(at uint32, v []byte) bool {
	b, ok := m.Read(at, uint32(len(v)))
	copy(b, v)
	return ok
}

func (m *ram) Grow(pages uint32) (uint32, bool) {
	old := uint32(len(m.b) / pageSize)
	if old+pages > m.max {
		return 0, false
	}
	m.b = append(m.b, make([]byte, pages*pageSize)...)
	return old, true
}

// Where things stand is worked out by hand from the rules: 8 bytes of header, sizes that are powers
// of two of 8 bytes and more, the last freed block of an order first.
func TestAllocatorAddresses(t *testing.T) {
	m := &ram{make([]byte, pageSize), 16}
	a := newAllocator(m, 1021, 16) // rounds up to 1024
	malloc := func(size, want uint32) {
		t.Helper()
		if p, err := a.malloc(size); err != nil || p != want {
			t.Fatalf("malloc(%d) = %d, %v, want %d", size, p, err, want)
		}
	}
	free := func(p uint32) {
		t.Helper()
		if err := a.release(p); err != nil {
			t.Fatalf("free(%d): %v", p, err)
		}
	}
	malloc(0, 1032)  // a block of 8
	malloc(1, 1048)  // another, behind header and block
	malloc(8, 1064)  // another
	malloc(9, 1080)  // a block of 16
	malloc(17, 1104) // a block of 32
	if h := binary.LittleEndian.Uint64(m.b[1096:]); h != 1<<32|2 {
		t.Errorf("header of the block of 32: %#x", h)
	}
	free(1048)
	free(1032)
	if h := binary.LittleEndian.Uint64(m.b[1024:]); h != 1040 {
		t.Errorf("header of a free block: %#x, want the next one's place", h)
	}
	if h := binary.LittleEndian.Uint64(m.b[1040:]); h != 0xffff_ffff {
		t.Errorf("header of the last free block: %#x", h)
	}
	malloc(5, 1032)
	malloc(5, 1048)
	malloc(5, 1144)
	// The end of the first page is at 65,536: what reaches over it doubles the memory.
	malloc(32<<10, 1160)
	if m.Size() != pageSize {
		t.Errorf("%d bytes", m.Size())
	}
	malloc(32<<10, 1160+32<<10+8)
	if m.Size() != 2*pageSize {
		t.Errorf("%d bytes", m.Size())
	}
	malloc(512<<10, 1160+2*(32<<10+8))
	if want := uint32((1160+2*(32<<10+8)+512<<10+pageSize-1)/pageSize) * pageSize; m.Size() != want {
		t.Errorf("%d bytes, want the %d that were needed", m.Size(), want)
	}
}

func TestAllocatorRefuses(t *testing.T) {
	header := func(h uint64) func(m *ram, a *allocator) error {
		return func(m *ram, a *allocator) error {
			p, err := a.malloc(8)
			if err != nil {
				return err
			}
			binary.LittleEndian.PutUint64(m.b[p-8:], h)
			return a.release(p)
		}
	}
	malloc := func(sizes ...uint32) func(m *ram, a *allocator) error {
		return func(m *ram, a *allocator) error {
			for _, s := range sizes {
				if _, err := a.malloc(s); err != nil {
					return err
				}
			}
			return nil
		}
	}
	free := func(p uint32) func(m *ram, a *allocator) error {
		return func(m *ram, a *allocator) error { return a.release(p) }
	}
	for name, c := range map[string]struct {
		f  func(m *ram, a *allocator) error
		is error
	}{
		"32 MiB":                 {malloc(32 << 20), nil},
		"32 MiB + 1":             {malloc(32<<20 + 1), ErrMemory},
		"all there is":           {malloc(0xffff_ffff), ErrMemory},
		"out of memory":          {malloc(32<<20, 32<<20), ErrMemory},
		"free of 0":              {free(0), ErrHeap},
		"free of 7":              {free(7), ErrHeap},
		"free of no block":       {free(2048), ErrHeap},
		"free of the end":        {free(pageSize + 8), ErrHeap},
		"free of the top":        {free(0xffff_fff8), ErrHeap},
		"header of order 23":     {header(1<<32 | 23), ErrHeap},
		"header of a free block": {header(0xffff_ffff), ErrHeap},
		"free twice": {func(m *ram, a *allocator) error {
			p, _ := a.malloc(8)
			if err := a.release(p); err != nil {
				return err
			}
			return a.release(p)
		}, ErrHeap},
		"more than was taken": {func(m *ram, a *allocator) error {
			p, _ := a.malloc(8)
			binary.LittleEndian.PutUint64(m.b[p-8:], 1<<32|5)
			return a.release(p)
		}, ErrHeap},
		"free list to a block in use": {func(m *ram, a *allocator) error {
			p, _ := a.malloc(8)
			q, _ := a.malloc(8)
			if err := a.release(p); err != nil {
				return err
			}
			binary.LittleEndian.PutUint64(m.b[p-8:], uint64(q-8))
			return malloc(8, 8)(m, a)
		}, ErrHeap},
		"free list to outside": {func(m *ram, a *allocator) error {
			p, _ := a.malloc(8)
			if err := a.release(p); err != nil {
				return err
			}
			binary.LittleEndian.PutUint64(m.b[p-8:], pageSize-8) // header fits, block does not
			return malloc(8, 8)(m, a)
		}, ErrHeap},
	} {
		t.Run(name, func(t *testing.T) {
			m := &ram{make([]byte, pageSize), 1 << 10}
			a := newAllocator(m, 1024, 1<<10-1) // 64 MiB less a page
			if err := c.f(m, a); !errors.Is(err, c.is) {
				t.Fatalf("%v, want %v", err, c.is)
			}
			if _, err := a.malloc(8); (err != nil) != (c.is != nil) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	// A heap that begins where memory ends.
	if _, err := newAllocator(&ram{make([]byte, pageSize), 1}, 0xffff_ffff, 1).malloc(1); !errors.Is(err, ErrMemory) {
		t.Error(err)
	}
}

// A slow allocator of the same rules: it keeps what it knows beside the memory, as lists.
type slowAllocator struct {
	end   uint32
	sizes map[uint32]uint32   // of each block ever cut
	free  map[uint32][]uint32 // by size, last freed last
}

func (s *slowAllocator) malloc(size uint32) uint32 {
	n := uint32(8)
	for n < size {
		n *= 2
	}
	if f := s.free[n]; len(f) > 0 {
		s.free[n] = f[:len(f)-1]
		return f[len(f)-1]
	}
	p := s.end + 8
	s.end = p + n
	s.sizes[p] = n
	return p
}

func TestAllocatorModel(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		m := &ram{make([]byte, pageSize), 4096}
		a := newAllocator(m, 1000, 4096)
		slow := &slowAllocator{1000, map[uint32]uint32{}, map[uint32][]uint32{}}
		live := map[uint32][]byte{} // what was written into each block
		var list []uint32
		for range 2000 {
			if len(list) == 0 || rnd.IntN(5) < 3 {
				size := uint32(rnd.IntN(1 << rnd.IntN(16)))
				p, err := a.malloc(size)
				if want := slow.malloc(size); err != nil || p != want {
					t.Fatalf("seed %d: malloc(%d) = %#x, %v, want %#x", seed, size, p, err, want)
				}
				b := make([]byte, size)
				for i := range b {
					b[i] = byte(rnd.Uint32())
				}
				if !m.Write(p, b) {
					t.Fatalf("seed %d: block of %d bytes at %#x is outside", seed, size, p)
				}
				live[p], list = b, append(list, p)
				continue
			}
			i := rnd.IntN(len(list))
			p := list[i]
			if b, _ := m.Read(p, uint32(len(live[p]))); string(b) != string(live[p]) {
				t.Fatalf("seed %d: the block at %#x was written over", seed, p)
			}
			if err := a.release(p); err != nil {
				t.Fatalf("seed %d: free(%#x): %v", seed, p, err)
			}
			slow.free[slow.sizes[p]] = append(slow.free[slow.sizes[p]], p)
			delete(live, p)
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
		}
	}
}
