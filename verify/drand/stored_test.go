package drand

import (
	"bytes"
	"errors"
	"testing"
)

func TestStored(t *testing.T) {
	r, ps := recorded(t)
	s := Stored{1000, r.Pulses[0].Randomness, r.Pulses[0].Signature}
	b := s.Append(nil)
	if len(b) != 90 || b[8] != 0x80 || b[41] != 0xc0 {
		t.Fatalf("%x", b)
	}
	got, err := DecodeStored(b)
	if err != nil || got.Round != 1000 || !bytes.Equal(got.Randomness, s.Randomness) || !bytes.Equal(got.Signature, s.Signature) {
		t.Fatalf("%+v, %v", got, err)
	}
	if p, err := got.Pulse(); err != nil || p != ps[0] {
		t.Errorf("%v, %v", p, err)
	}
	// The stored randomness is nobody's word.
	got.Randomness = make([]byte, 32)
	if p, err := got.Pulse(); err != nil || p.Randomness() != ps[0].Randomness() {
		t.Errorf("%v, %v", p, err)
	}
	for n := range b {
		if _, err := DecodeStored(b[:n]); !errors.Is(err, ErrStored) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for name, bad := range map[string][]byte{
		"a byte too many":       append(bytes.Clone(b), 0),
		"randomness too long":   Stored{1, make([]byte, 33), nil}.Append(nil),
		"signature too long":    Stored{1, nil, make([]byte, 145)}.Append(nil),
		"gigabytes":             append(make([]byte, 8), 0xfe, 0xff, 0xff, 0xff),
		"more than there is":    append(make([]byte, 8), 0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"length not canonical":  append(make([]byte, 8), 1, 0, 0),
		"signature of 32 wants": append(make([]byte, 8), 0, 0x80),
	} {
		if _, err := DecodeStored(bad); !errors.Is(err, ErrStored) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoredSignature(t *testing.T) {
	_, ps := recorded(t)
	sig := ps[0].Signature[:]
	for _, test := range []struct {
		name string
		sig  []byte
		ok   bool
	}{
		{"as it is", sig, true},
		{"0x in front", append([]byte("0x"), sig...), true},
		{"0x twice", append([]byte("0x0x"), sig...), false},
		{"0X in front", append([]byte("0X"), sig...), false},
		{"something behind", append(bytes.Clone(sig), 1, 2), true},
		{"empty", nil, false},
		{"0x alone", []byte("0x"), false},
		{"a byte short", sig[:47], false},
		{"0x and a byte short", append([]byte("0x"), sig[:47]...), false},
	} {
		p, err := Stored{1000, nil, test.sig}.Pulse()
		if err != nil && !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", test.name, err)
		}
		if (err == nil && p == ps[0]) != test.ok {
			t.Errorf("%s: %v, %v", test.name, p, err)
		}
	}
}
