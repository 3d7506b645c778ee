package wire

import (
	"bytes"
	"testing"
)

// fuzz checks that what decodes, encodes to something that decodes to the same.
func fuzz(f *testing.F, name string) {
	c := codecs[name]
	for _, g := range good {
		if g.codec == name {
			f.Add(unhex(f, g.in))
		}
	}
	for _, v := range variants {
		if v.codec == name {
			f.Add(unhex(f, v.in))
		}
	}
	for _, b := range realMessages(f)[name] {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		v, err := c.decode(b)
		if !bytes.Equal(b, in) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		first := c.encode(v)
		v2, err := c.decode(first)
		if err != nil {
			t.Fatalf("%+v encodes to %x: %v", v, first, err)
		}
		if second := c.encode(v2); !bytes.Equal(first, second) {
			t.Fatalf("%+v encodes to\n%x, which decodes to %+v, which encodes to\n%x", v, first, v2, second)
		}
	})
}

func FuzzDecodeHandshake(f *testing.F)      { fuzz(f, "handshake") }
func FuzzDecodeRole(f *testing.F)           { fuzz(f, "role") }
func FuzzDecodeAnnounce(f *testing.F)       { fuzz(f, "announce") }
func FuzzDecodeTransactions(f *testing.F)   { fuzz(f, "transactions") }
func FuzzDecodeBlockRequest(f *testing.F)   { fuzz(f, "block request") }
func FuzzDecodeBlockResponse(f *testing.F)  { fuzz(f, "block response") }
func FuzzDecodeLightRequest(f *testing.F)   { fuzz(f, "light request") }
func FuzzDecodeLightResponse(f *testing.F)  { fuzz(f, "light response") }
func FuzzDecodeWarpRequest(f *testing.F)    { fuzz(f, "warp request") }
func FuzzDecodeKad(f *testing.F)            { fuzz(f, "kad") }
func FuzzDecodeGrandpaMessage(f *testing.F) { fuzz(f, "grandpa") }

// FuzzFrameLen compares with a decoder that takes the bytes one at a time.
func FuzzFrameLen(f *testing.F) {
	for _, s := range []string{"", "00", "7f", "8001", "ac02ffff", "80808008", "8000", "ffffffff07", "8080808080"} {
		f.Add(unhex(f, s), 1<<20)
	}
	f.Fuzz(func(t *testing.T, b []byte, max int) {
		if max < 0 || max > 1<<31-1 {
			return
		}
		n, size, err := FrameLen(b, max)
		if err == nil && size > 0 && !bytes.Equal(AppendFrameLen(nil, n), b[:size]) {
			t.Fatalf("%x gives %d, which encodes to %x", b[:size], n, AppendFrameLen(nil, n))
		}
		for i := range b { // the same verdict, as soon as it can be had
			n1, size1, err1 := FrameLen(b[:i], max)
			if size1 > 0 || err1 != nil {
				if n1 != n || size1 != size || (err1 == nil) != (err == nil) {
					t.Fatalf("%x: %d, %d, %v; %x: %d, %d, %v", b[:i], n1, size1, err1, b, n, size, err)
				}
				return
			}
		}
	})
}
