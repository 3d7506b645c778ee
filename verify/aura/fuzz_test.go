package aura

import (
	"bytes"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
)

// FuzzVerifyHeader gives arbitrary bytes as a header and as its parent. Nothing may panic, and
// nothing but the recorded headers may carry a seal of the recorded authorities: the fuzzer does
// not have their keys.
func FuzzVerifyHeader(f *testing.F) {
	var v recordedHeaders
	load(f, "headers.json", &v)
	known := make(map[verify.Hash]bool)
	for i, r := range v.Headers {
		known[r.Hash] = true
		parent := []byte(r.HeaderScale)
		if i > 0 {
			parent = v.Headers[i-1].HeaderScale
		}
		f.Add([]byte(r.HeaderScale), parent, uint64(0))
		f.Add([]byte(r.HeaderScale), parent, r.Slot*12_000)
	}
	var r rotation
	load(f, "finney-8867448.json", &r)
	known[r.BlockHash] = true
	f.Add([]byte(r.HeaderScale), []byte(r.HeaderScale), uint64(1))
	f.Fuzz(func(t *testing.T, header, parent []byte, now uint64) {
		h, err := verify.DecodeHeader(header)
		if err != nil {
			return
		}
		if ids, err := AuthoritiesChange(h); err == nil && ids != nil {
			if back, err := DecodeAuthorities(AppendAuthorities(nil, ids)); err != nil || !slices.Equal(back, ids) {
				t.Fatalf("list does not survive: %v", err)
			}
		}
		for network, ids := range v.Aura {
			if _, err := VerifySeal(h, ids); err == nil && !known[h.Hash()] {
				t.Fatalf("%x sealed under %s", header, network)
			}
			if p, err := verify.DecodeHeader(parent); err == nil {
				if VerifyHeader(h, p, ids, Clock{SlotDuration: 12_000, Now: now}) == nil && !known[h.Hash()] {
					t.Fatalf("%x accepted under %s", header, network)
				}
			}
		}
	})
}

// FuzzDecodeAuthorities: what is decoded encodes to the same bytes.
func FuzzDecodeAuthorities(f *testing.F) {
	_, ids := authors(f, 3)
	f.Add(AppendAuthorities(nil, ids))
	f.Add([]byte{0})
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, err := DecodeAuthorities(b)
		if err != nil {
			return
		}
		if len(ids) == 0 || !bytes.Equal(AppendAuthorities(nil, ids), b) {
			t.Fatalf("%x decodes to %v", b, ids)
		}
	})
}
