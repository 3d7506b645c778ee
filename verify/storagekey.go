package verify

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"
)

// Twox64 is xxHash64 with seed 0, little-endian: the hasher of frame_support::Twox64Concat.
func Twox64(b []byte) [8]byte {
	var out [8]byte
	binary.LittleEndian.PutUint64(out[:], xxhash.Sum64(b))
	return out
}

// Twox128 is xxHash64 with seeds 0 and 1: the hasher of pallet and item names.
func Twox128(b []byte) (out [16]byte) {
	twox(out[:], b)
	return out
}

// Twox256 is xxHash64 with seeds 0 to 3: the hasher of frame_support::Twox256.
func Twox256(b []byte) (out [32]byte) {
	twox(out[:], b)
	return out
}

func twox(out, b []byte) {
	for i := 0; i < len(out); i += 8 {
		d := xxhash.NewWithSeed(uint64(i / 8))
		d.Write(b)
		binary.LittleEndian.PutUint64(out[i:], d.Sum64())
	}
}

// Blake2b128 is the hasher of frame_support::Blake2_128Concat.
func Blake2b128(b []byte) [16]byte {
	d, err := blake2b.New(16, nil)
	if err != nil {
		panic(err) // 16 is a valid size
	}
	d.Write(b)
	return [16]byte(d.Sum(nil))
}

// StorageKey returns the key of a storage value, or the prefix of a storage map:
// twox128(pallet) ‖ twox128(item).
func StorageKey(pallet, item string) []byte {
	p, i := Twox128([]byte(pallet)), Twox128([]byte(item))
	return append(p[:], i[:]...)
}

// AppendTwox64Concat appends a map key under Twox64Concat: twox64(key) ‖ key.
func AppendTwox64Concat(b, key []byte) []byte {
	h := Twox64(key)
	return append(append(b, h[:]...), key...)
}

// AppendBlake2b128Concat appends a map key under Blake2_128Concat: blake2b128(key) ‖ key.
func AppendBlake2b128Concat(b, key []byte) []byte {
	h := Blake2b128(key)
	return append(append(b, h[:]...), key...)
}
