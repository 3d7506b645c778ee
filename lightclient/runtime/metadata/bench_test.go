package metadata

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/taolight/taolight/verify/scale"
)

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestParseMemory holds parsing to the budget of 16 MB for real metadata, and to what a small board has for
// metadata that is made to be costly.
func TestParseMemory(t *testing.T) {
	for _, c := range []struct {
		name string
		made func(n int) []byte // about n bytes
	}{
		{"fields", func(n int) []byte { // of one type
			return cat([]byte("meta\x0e\x04\x00\x00\x00\x00"), compact(n/4), bytes.Repeat([]byte{0, 0, 0, 0}, n/4), []byte{0})
		}},
		{"tuples", func(n int) []byte {
			b := append([]byte("meta\x0e"), compact(maxTypes)...)
			for i := range maxTypes {
				b = append(append(append(b, compact(i)...), 0, 0, 4, maxTuple<<2), make([]byte, maxTuple+1)...)
			}
			return b
		}},
		{"types", func(n int) []byte {
			b := append([]byte("meta\x0e"), compact(maxTypes)...)
			for i := range maxTypes {
				b = append(append(b, compact(i)...), 0, 0, 5, 0, 0)
			}
			return b
		}},
		{"variants", func(n int) []byte { // each type has 200
			b := append([]byte("meta\x0e"), compact(n/820)...)
			for i := range n / 820 {
				b = append(append(b, compact(i)...), 0, 0, 1)
				b = append(b, compact(200)...)
				for j := range byte(200) {
					b = append(b, 0, 0, j, 0)
				}
				b = append(b, 0)
			}
			return b
		}},
		{"storage items", func(n int) []byte {
			b := []byte("meta\x0e\x04\x00\x00\x00\x05\x03\x00\x04\x00\x01\x00")
			return cat(b, compact(n/6), make([]byte, n/6*6))
		}},
	} {
		b := c.made(MaxSize - 64)
		got := allocated(func() { Parse(b) })
		if got > 50<<20 {
			t.Errorf("%s: %d bytes for %d", c.name, got, len(b))
		}
		t.Logf("%s: %.1f MB, %.1f bytes a byte", c.name, float64(got)/1e6, float64(got)/float64(len(b)))
	}
	for _, name := range vectorFiles {
		b := vector(t, "metadata", name)
		got := allocated(func() { vectorMetadata(t, name) })
		if got > 16<<20 {
			t.Errorf("%s: %d bytes for %d", name, got, len(b))
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range vectorFiles {
		raw := vector(b, "metadata", name)
		parse := Parse
		if !bytes.HasPrefix(raw, []byte(magic)) {
			parse = FromAPI
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// table256 is 256 records of the sample, and their type.
func table256(b *testing.B) (*Metadata, ID, []byte) {
	s := sample()
	id := s.sequence("Vec<Record>", "Record")
	m, err := Parse(s.metadata(16))
	if err != nil {
		b.Fatal(err)
	}
	raw := compact(256)
	for i := range 256 {
		raw = scale.AppendU16(raw, uint16(i))
		raw = append(raw, make([]byte, 32)...)
		raw = binary.LittleEndian.AppendUint64(raw, 1<<40)
		raw = append(raw, 3, 7, 0, 1, 0)
	}
	return m, id, raw
}

// BenchmarkDecode reads a table of 256 rows of six values: into a tree, by name without a tree, past it,
// and as JSON.
func BenchmarkDecode(b *testing.B) {
	m, id, raw := table256(b)
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	run("tree", func() {
		if _, err := m.Types.Decode(id, raw); err != nil {
			b.Fatal(err)
		}
	})
	run("reader", func() {
		r := m.Types.NewReader(raw)
		elem, n := r.Count(id)
		fields, sum := m.Types.Shape(elem).Fields, uint64(0)
		for range n {
			for _, f := range fields {
				if f.Name == "stake" {
					sum += r.Uint(f.Type)
				} else {
					r.Skip(f.Type)
				}
			}
		}
		if r.Finish() != nil || sum != 256<<40 {
			b.Fatal(r.Finish(), sum)
		}
	})
	run("skip", func() {
		r := m.Types.NewReader(raw)
		if r.Skip(id); r.Finish() != nil {
			b.Fatal(r.Finish())
		}
	})
	v, _ := m.Types.Decode(id, raw)
	var out []byte
	run("json", func() { out = v.AppendJSON(out[:0]) })
}

func BenchmarkEncode(b *testing.B) {
	m, id, raw := table256(b)
	v, err := m.Types.Decode(id, raw)
	if err != nil {
		b.Fatal(err)
	}
	text := v.AppendJSON(nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Types.EncodeJSON(id, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	m := demo(b, 16)
	it, err := m.Item("System.Uids")
	if err != nil {
		b.Fatal(err)
	}
	key, err := it.KeyWords("7", alice)
	if err != nil {
		b.Fatal(err)
	}
	parts, _ := it.SplitKey(key)
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			it.Key(parts...)
		}
	})
	b.Run("split", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := it.SplitKey(key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDigest(b *testing.B) {
	m := vectorMetadata(b, "metadata-v16-spec424.scale")
	info, err := m.Info(9, "TAO")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Digest(info); err != nil {
			b.Fatal(err)
		}
	}
}
