package verify

import (
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/blake2b"
)

// A Hash is a Blake2b-256 hash, the only hash of blocks, tries and extrinsics on this chain.
type Hash [32]byte

// Blake2b256 returns the Blake2b-256 hash of b.
func Blake2b256(b []byte) Hash { return blake2b.Sum256(b) }

// String returns h as 0x and 64 lower-case hex digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// Short returns the first and last four digits, for a line of text.
func (h Hash) Short() string { s := hex.EncodeToString(h[:]); return "0x" + s[:4] + "…" + s[60:] }

// IsZero reports whether every byte of h is zero.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; 0x is optional.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := ParseHash(string(b))
	if err == nil {
		*h = v
	}
	return err
}

// ErrHex: a text that should be hex is not.
var ErrHex = errors.New("not hex")

// ParseHex decodes hex digits of either case, with or without 0x.
func ParseHex(s string) ([]byte, error) {
	if len(s) >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s = s[2:]
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrHex, err)
	}
	return b, nil
}

// ParseHash decodes a hash of 64 hex digits, with or without 0x.
func ParseHash(s string) (Hash, error) {
	b, err := ParseHex(s)
	if err != nil {
		return Hash{}, err
	}
	if len(b) != 32 {
		return Hash{}, fmt.Errorf("%w: a hash has 32 bytes, not %d", ErrHex, len(b))
	}
	return Hash(b), nil
}
