package verify

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// ErrAddress: a text is no address of this chain.
var ErrAddress = errors.New("not an address")

// An AccountID is the public key of an account.
type AccountID [32]byte

// ss58Format is the number of Bittensor's addresses, which begin with 5.
const ss58Format = 42

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// String returns the SS58 address.
func (id AccountID) String() string {
	b := append([]byte{ss58Format}, id[:]...)
	sum := ss58Sum(b)
	return encode58(append(b, sum[:2]...))
}

// ParseAccount reads an SS58 address of this chain, or 32 bytes of hex.
func ParseAccount(s string) (id AccountID, err error) {
	if len(s) == 64 || strings.HasPrefix(s, "0x") {
		b, err := ParseHex(s)
		if err != nil || len(b) != len(id) {
			return id, fmt.Errorf("%w: want 32 bytes of hex", ErrAddress)
		}
		return AccountID(b), nil
	}
	b, err := decode58(s)
	if err != nil {
		return id, err
	}
	// One byte of format up to 63, then the key, then two bytes of checksum.
	if len(b) != 35 {
		return id, fmt.Errorf("%w: %d bytes, want the 35 of an account", ErrAddress, len(b))
	}
	if sum := ss58Sum(b[:33]); b[33] != sum[0] || b[34] != sum[1] {
		return id, fmt.Errorf("%w: checksum does not fit, a letter is wrong", ErrAddress)
	}
	if b[0] != ss58Format {
		return id, fmt.Errorf("%w of Bittensor: it has the format %d of another chain, not %d", ErrAddress, b[0], ss58Format)
	}
	return AccountID(b[1:33]), nil
}

// Hex returns the key itself.
func (id AccountID) Hex() string { return "0x" + hex.EncodeToString(id[:]) }

// ss58Sum is the checksum of SS58 version 1.
func ss58Sum(b []byte) [64]byte { return blake2b.Sum512(append([]byte("SS58PRE"), b...)) }

// encode58 and decode58 are base 58 with the alphabet of Bitcoin: a leading zero byte is a 1.

func encode58(b []byte) string {
	var digits []byte // base 58, the least first
	zeros := 0
	for _, c := range b {
		if c == 0 && len(digits) == 0 {
			zeros++
			continue
		}
		carry := int(c)
		for i := range digits {
			carry += int(digits[i]) << 8
			digits[i], carry = byte(carry%58), carry/58
		}
		for ; carry > 0; carry /= 58 {
			digits = append(digits, byte(carry%58))
		}
	}
	out := []byte(strings.Repeat("1", zeros))
	for _, d := range slices.Backward(digits) {
		out = append(out, alphabet[d])
	}
	return string(out)
}

// max58 bounds an address's text: the longest SS58 form has 35 + 1 bytes.
const max58 = 64

func decode58(s string) ([]byte, error) {
	if s == "" || len(s) > max58 {
		return nil, fmt.Errorf("%w: %d characters", ErrAddress, len(s))
	}
	var bytes []byte // the least first
	zeros := 0
	for i, c := range []byte(s) {
		d := strings.IndexByte(alphabet, c)
		if d < 0 {
			return nil, fmt.Errorf("%w: character %d is no letter of one", ErrAddress, i+1)
		}
		if d == 0 && len(bytes) == 0 {
			zeros++
			continue
		}
		carry := d
		for j := range bytes {
			carry += int(bytes[j]) * 58
			bytes[j], carry = byte(carry), carry>>8
		}
		for ; carry > 0; carry >>= 8 {
			bytes = append(bytes, byte(carry))
		}
	}
	slices.Reverse(bytes)
	return append(make([]byte, zeros), bytes...), nil
}
