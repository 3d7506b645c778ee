package carrier

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func FuzzAdd(f *testing.F) {
	small := split(f, []byte("a message"), Options{ChunkSize: 32})
	f.Add(bytes.Join(small, nil), uint8(len(small[0])))
	f.Add(bytes.Join(split(f, random(1000, 1), Options{}), nil), uint8(223))
	f.Add(tiny(0xffff, 0x27, 1), uint8(32))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		var j Joiner
		n := 0
		for len(b) > 0 {
			c := b[:min(max(int(size), 16), len(b))]
			b = b[len(c):]
			n++
			// With the checksum put right, so that the rest is reached.
			if len(c) >= MinChunk && c[0] == mark {
				h := head{[4]byte(c[1:5]), (int(c[5]) | int(c[6])<<8 | int(c[7])<<16) + 1, c[8], int(c[9]) | int(c[10])<<8 | int(c[11])<<16}
				c = appendChunk(nil, h, c[headSize:len(c)-sumSize])
			}
			done, err := j.Add(c)
			if err != nil && !errors.Is(err, ErrChunk) && !errors.Is(err, ErrContent) && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrFull) {
				t.Fatalf("another error: %v", err)
			}
			if done && err != nil {
				t.Fatal("done and an error")
			}
		}
		counts := j.Counts()
		if counts.Taken+counts.Damaged+counts.Duplicate+counts.Surplus+counts.Conflict+counts.Refused != n {
			t.Fatalf("%+v of %d", counts, n)
		}
		if j.cost > MaxHeld || len(j.parts) > MaxMessages {
			t.Fatal("holds too much")
		}
		j.Missing()
		j.Progress()
		for i := 0; ; i++ {
			m, err := j.Bytes()
			if err != nil {
				break
			}
			again, err := join(t, split(t, m, Options{}))
			if err != nil || !bytes.Equal(again, m) {
				t.Fatal(err)
			}
			j.Next()
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("a message"), 33, 2, 7, uint64(1))
	f.Add(random(300, 1), 32, 2, 7, uint64(2))
	f.Fuzz(func(t *testing.T, message []byte, size, lose, of int, seed uint64) {
		if len(message) > 500 {
			t.Skip("slow")
		}
		chunks, err := Split(message, Options{size, lose, of})
		if err != nil {
			if !errors.Is(err, ErrOptions) && !errors.Is(err, ErrSize) {
				t.Fatal(err)
			}
			return
		}
		_, l, _, err := parseChunk(chunks[0])
		if err != nil {
			t.Fatal(err)
		}
		// Lose m of each group, at random.
		r := rand.New(rand.NewPCG(seed, 0))
		order := r.Perm(len(chunks))
		lost := make([]int, l.groups)
		var rest [][]byte
		for _, i := range order {
			if g, _ := l.group(i); lost[g] < l.m {
				lost[g]++
				continue
			}
			rest = append(rest, chunks[i])
		}
		if got, err := join(t, rest); err != nil || !bytes.Equal(got, message) {
			t.Fatal(err)
		}
	})
}
