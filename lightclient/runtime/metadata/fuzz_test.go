package metadata

import (
	"bytes"
	"errors"
	"testing"

	"github.com/taolight/taolight/verify"
)

func FuzzParse(f *testing.F) {
	for version := byte(14); version <= 16; version++ {
		f.Add(sample().metadata(version))
	}
	f.Add([]byte("meta\x0e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMetadata) {
				t.Fatal(err)
			}
			return
		}
		// Whatever it says, it can be used.
		for i := range min(m.Types.Len(), 64) {
			m.Types.Name(ID(i))
			if v, err := m.Types.Decode(ID(i), b[:min(len(b), 64)]); err == nil {
				_ = v.String()
			}
			m.Types.EncodeJSON(ID(i), []byte(`{"a":[1,"x",null]}`))
		}
		for i := range m.Pallets {
			for j := range m.Pallets[i].Items {
				it := &m.Pallets[i].Items[j]
				it.SplitKey(append(it.Prefix(), b[:min(len(b), 64)]...))
				it.Decode(nil)
			}
		}
		m.DecodeExtrinsic(b)
		m.Digest(ChainInfo{})
		m.RuntimeVersion()
	})
}

func FuzzDecodeValue(f *testing.F) {
	s, m := sample(), demo(f, 16)
	for _, c := range values {
		f.Add(uint32(s.id(c.typ)), unhex(f, c.scale))
	}
	f.Fuzz(func(t *testing.T, id uint32, b []byte) {
		at := ID(id % uint32(m.Types.Len()))
		r := m.Types.NewReader(b)
		r.Skip(at)
		v, err := m.Types.Decode(at, b)
		if err != nil {
			var d *DecodeError
			if !errors.As(err, &d) || d.Offset > len(b) {
				t.Fatalf("%v", err)
			}
			return
		}
		if r.Finish() != nil {
			t.Fatalf("%s: %x decodes, but is not skipped: %v", m.Types.Name(at), b, r.Err())
		}
		// What is read is written again as it was.
		j, _ := v.MarshalJSON()
		back, err := m.Types.EncodeJSON(at, j)
		if err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%s: %x is %s, which encodes to %x: %v", m.Types.Name(at), b, j, back, err)
		}
		if bytes.ContainsAny([]byte(v.String()), "\x1b\r\x00\x7f") {
			t.Fatalf("%q", v.String())
		}
	})
}

func FuzzKeySplit(f *testing.F) {
	m := demo(f, 15)
	items := m.Pallets[0].Items
	for i, words := range map[int][]string{2: {alice}, 3: {"1"}, 4: {"7", alice}, 5: {`[7,"` + alice + `"]`}, 6: {"1", "[1,2]", "3", "4"}} {
		key, err := items[i].KeyWords(words...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), key[32:])
	}
	f.Fuzz(func(t *testing.T, i uint8, rest []byte) {
		it := &items[int(i)%len(items)]
		key := append(it.Prefix(), rest...)
		parts, err := it.SplitKey(key)
		if err != nil {
			if !errors.Is(err, ErrKey) && !errors.Is(err, ErrOneWay) {
				t.Fatal(err)
			}
			return
		}
		if back, err := it.Key(parts...); err != nil || !bytes.Equal(back, key) {
			t.Fatalf("%v: %x splits into %x, of which the key is %x, %v", it, key, parts, back, err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	s, m := sample(), demo(f, 14)
	for _, c := range values {
		f.Add(uint32(s.id(c.typ)), c.json)
		f.Add(uint32(s.id(c.typ)), c.text)
	}
	f.Fuzz(func(t *testing.T, id uint32, word string) {
		at := ID(id % uint32(m.Types.Len()))
		b, err := m.Types.EncodeWord(at, word)
		if err != nil {
			if !errors.Is(err, ErrInput) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrWork) && !errors.Is(err, verify.ErrAddress) {
				t.Fatal(err)
			}
			return
		}
		// What is written can be read, and reads as the same again.
		v, err := m.Types.Decode(at, b)
		if err != nil {
			t.Fatalf("%s: %q encodes to %x: %v", m.Types.Name(at), word, b, err)
		}
		j, _ := v.MarshalJSON()
		if back, err := m.Types.EncodeJSON(at, j); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("%s: %x is %s, which encodes to %x: %v", m.Types.Name(at), b, j, back, err)
		}
	})
}
