package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/blake2b"
)

// random returns n bytes that depend on n and seed alone.
func random(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(uint64(n), seed))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func split(t testing.TB, message []byte, o Options) [][]byte {
	t.Helper()
	chunks, err := Split(message, o)
	if err != nil {
		t.Fatalf("Split of %d bytes, %+v: %v", len(message), o, err)
	}
	return chunks
}

// mul multiplies in GF(256), by hand.
func mul(a, b byte) (p byte) {
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		carry := a >> 7
		a <<= 1
		if carry == 1 {
			a ^= 0x1d
		}
	}
	return p
}

func inverse(a byte) byte {
	for b := 1; b < 256; b++ {
		if mul(a, byte(b)) == 1 {
			return byte(b)
		}
	}
	panic("zero")
}

func crc32c(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0x82f63b78
			} else {
				c >>= 1
			}
		}
	}
	return ^c
}

// reference makes the chunks from nothing but the words of the package comment.
func reference(message []byte, s, a, b int) [][]byte {
	up := func(x, y int) int {
		if x%y > 0 {
			return x/y + 1
		}
		return x / y
	}
	hash := blake2b.Sum256(message)
	content := append(append([]byte{}, message...), hash[:]...)
	d := up(len(content), s)
	for len(content) < d*s {
		content = append(content, 0)
	}
	groups := up(d, 256*(b-a)/b)
	k := up(d, groups)
	m := up(k*a, b-a)

	var shards [][]byte
	for i := range d {
		shards = append(shards, content[i*s:(i+1)*s])
	}
	for p := range m {
		for range groups {
			g := len(shards) % groups
			sum := make([]byte, s)
			for c := range k {
				i := c*groups + g
				if i >= d {
					continue
				}
				f := inverse(byte(k+p) ^ byte(c))
				for x := range sum {
					sum[x] ^= mul(f, shards[i][x])
				}
			}
			shards = append(shards, sum)
		}
	}
	n := len(message) - 1
	for i, shard := range shards {
		c := []byte{0xb1, hash[0], hash[1], hash[2], hash[3], byte(n), byte(n >> 8), byte(n >> 16), byte(a*16 + b),
			byte(i + 1), byte((i + 1) >> 8), byte((i + 1) >> 16)}
		c = append(c, shard...)
		sum := crc32c(c)
		shards[i] = append(c, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
	}
	return shards
}

func TestSplitIsAsDocumented(t *testing.T) {
	if got := crc32c([]byte("123456789")); got != 0xe3069283 {
		t.Fatalf("CRC-32C of the usual check string: %#x", got)
	}
	for _, c := range []struct{ n, size, a, b int }{
		{1, 233, 2, 7}, {185, 233, 2, 7}, {186, 233, 2, 7}, {1000, 233, 2, 7}, {1000, 233, 0, 1}, {1000, 64, 1, 3},
		{4000, 233, 2, 7}, {2900, 32, 2, 7}, // 182 and 184 shards: one group, and two
		{2880, 32, 2, 7}, {2880, 32, 1, 2}, {3000, 32, 7, 15}, {9000, 40, 2, 7}, {6000, 32, 0, 1}, {5000, 2048, 1, 15},
	} {
		message := random(c.n, 1)
		got := split(t, message, Options{c.size, c.a, c.b})
		s := len(got[0]) - 16
		want := reference(message, s, c.a, c.b)
		if len(got) != len(want) {
			t.Errorf("%+v: %d chunks, want %d", c, len(got), len(want))
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%+v: chunk %d of %d\n got %x\nwant %x", c, i+1, len(got), got[i], want[i])
				break
			}
		}
		// The smallest s of those with as few data shards.
		d := (c.n + 32 + c.size - 17) / (c.size - 16)
		if s > c.size-16 || s > 16 && (c.n+32+s-2)/(s-1) <= d {
			t.Errorf("%+v: shards of %d bytes", c, s)
		}
	}
}

func TestSplitCounts(t *testing.T) {
	for _, c := range []struct {
		n, chunks int
		o         Options
	}{
		{1, 2, Options{}}, // one shard and its parity
		{185, 2, Options{}},
		{186, 3, Options{}},
		{1000, 7, Options{}}, // 5 and 2
		{1000, 5, Options{Lose: 0, Of: 1}},
		{4000, 27, Options{}},
		{30000, 195, Options{}},
		// 16 MiB and its hash are 77,315 shards of 217 bytes: 425 groups of at most 182, and so 73 parity
		// shards each.
		{MaxMessage, 77315 + 425*73, Options{}},
		{MaxMessage, 65537, Options{ChunkSize: 256 + 16, Lose: 0, Of: 1}},
	} {
		if got := split(t, make([]byte, c.n), c.o); len(got) != c.chunks {
			t.Errorf("%d bytes, %+v: %d chunks, want %d", c.n, c.o, len(got), c.chunks)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, c := range []struct {
		n    int
		o    Options
		want error
	}{
		{0, Options{}, ErrSize},
		{MaxMessage + 1, Options{}, ErrSize},
		{MaxMessage, Options{ChunkSize: MinChunk}, ErrSize}, // a million chunks
		{100, Options{ChunkSize: MinChunk - 1}, ErrOptions},
		{100, Options{ChunkSize: MaxChunk + 1}, ErrOptions},
		{100, Options{ChunkSize: -1}, ErrOptions},
		{100, Options{Lose: 4, Of: 7}, ErrOptions}, // more than half
		{100, Options{Lose: 2, Of: 16}, ErrOptions},
		{100, Options{Lose: -1, Of: 7}, ErrOptions},
		{100, Options{Lose: 1}, ErrOptions},
	} {
		if chunks, err := Split(make([]byte, c.n), c.o); !errors.Is(err, c.want) || chunks != nil {
			t.Errorf("%d bytes, %+v: %d chunks, %v, want %v", c.n, c.o, len(chunks), err, c.want)
		}
	}
}

// TestLayout: for every parity and many numbers of shards, groups fit the field, each chunk has one
// place, and the share of parity is what was asked for.
func TestLayout(t *testing.T) {
	for of := 1; of <= 15; of++ {
		for lose := 0; 2*lose <= of; lose++ {
			for data := 1; data < 2000; data += 1 + data/40 {
				l, err := newLayout(max(data*64-32, 1), 64, lose, of)
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("%d in %d, %+v", lose, of, l)
				if l.k+l.m > 256 || l.m > l.k || l.m*of < lose*(l.k+l.m) || l.m > 0 && (l.m-1)*(of-lose) >= lose*l.k {
					t.Fatalf("%s: group of the wrong size", name)
				}
				sent, members := 0, 0
				for g := range l.groups {
					members += l.members(g)
					if l.members(g) < 1 {
						t.Fatalf("%s: group %d is empty", name, g)
					}
					for s := range l.k + l.m {
						i := l.index(g, s)
						if s < l.k && s >= l.members(g) {
							if i < l.data {
								t.Fatalf("%s: member %d of group %d is sent", name, s, g)
							}
							continue
						}
						if g2, s2 := l.group(i); g2 != g || s2 != s || i < 0 || i >= l.chunks() {
							t.Fatalf("%s: shard %d of group %d is at %d, which is shard %d of group %d", name, s, g, i, s2, g2)
						}
						sent++
					}
				}
				if members != l.data || sent != l.chunks() {
					t.Fatalf("%s: %d members, %d chunks", name, members, sent)
				}
			}
		}
	}
}

func TestParseChunkRefuses(t *testing.T) {
	good := split(t, random(1000, 2), Options{})[2]
	edit := func(f func(b []byte)) []byte {
		b := bytes.Clone(good[:len(good)-4])
		f(b)
		sum := crc32c(b)
		return append(b, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
	}
	if _, _, _, err := parseChunk(edit(func([]byte) {})); err != nil {
		t.Fatal(err)
	}
	short := edit(func([]byte) {})[:MinChunk-4]
	for name, b := range map[string][]byte{
		"empty":             nil,
		"one byte":          good[:1],
		"under 32 bytes":    append(short[:27:27], 0, 0, 0, 0),
		"over 2,048 bytes":  append(bytes.Clone(good), make([]byte, 2048)...),
		"first byte":        edit(func(b []byte) { b[0] = 0xb2 }),
		"number 0":          edit(func(b []byte) { b[9] = 0 }),
		"number 8 of 7":     edit(func(b []byte) { b[9] = 8 }),
		"number 65,539":     edit(func(b []byte) { b[11] = 1 }),
		"0 in 0":            edit(func(b []byte) { b[8] = 0 }),
		"1 in 0":            edit(func(b []byte) { b[8] = 0x10 }),
		"4 in 7":            edit(func(b []byte) { b[8] = 0x47 }),
		"15 in 15":          edit(func(b []byte) { b[8] = 0xff }),
		"a million chunks":  append([]byte{}, tiny(0xffffff, 0x27, 1)...),
		"text":              []byte("TLC1:1/2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		"nothing but zeros": make([]byte, 233),
	} {
		if _, _, _, err := parseChunk(b); !errors.Is(err, ErrChunk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if _, _, _, err := parseChunk(good[:n]); !errors.Is(err, ErrChunk) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// tiny returns a chunk of 32 bytes that says what it is told to.
func tiny(size int, parity byte, number int) []byte {
	return appendChunk(nil, head{id: [4]byte{1, 2, 3, 4}, size: size + 1, parity: parity, number: number}, make([]byte, 16))
}

func TestBitFlips(t *testing.T) {
	long := split(t, random(1000, 3), Options{})[6]
	for bit := range 8 * len(long) {
		b := bytes.Clone(long)
		b[bit/8] ^= 1 << (bit % 8)
		if _, _, _, err := parseChunk(b); !errors.Is(err, ErrChunk) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	short := split(t, random(1, 3), Options{})[1]
	for x := range 8 * len(short) {
		for y := range x {
			short[x/8] ^= 1 << (x % 8)
			short[y/8] ^= 1 << (y % 8)
			if _, _, _, err := parseChunk(short); !errors.Is(err, ErrChunk) {
				t.Fatalf("bits %d and %d: %v", y, x, err)
			}
			short[x/8] ^= 1 << (x % 8)
			short[y/8] ^= 1 << (y % 8)
		}
	}
}
