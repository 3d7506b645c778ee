package runtime

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
	"golang.org/x/crypto/sha3"

	"github.com/taolight/taolight/verify"
)

// The host functions that hash and that verify signatures (sp_io::hashing, sp_io::crypto).

var cryptoFunctions = map[string]hostFunction{
	"ext_hashing_keccak_256_version_1": hashing(func(b []byte) []byte {
		h := sha3.NewLegacyKeccak256()
		h.Write(b)
		return h.Sum(nil)
	}),
	"ext_hashing_keccak_512_version_1": hashing(func(b []byte) []byte {
		h := sha3.NewLegacyKeccak512()
		h.Write(b)
		return h.Sum(nil)
	}),
	"ext_hashing_sha2_256_version_1":   hashing(func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }),
	"ext_hashing_blake2_128_version_1": hashing(func(b []byte) []byte { h := verify.Blake2b128(b); return h[:] }),
	"ext_hashing_blake2_256_version_1": hashing(func(b []byte) []byte { h := verify.Blake2b256(b); return h[:] }),
	"ext_hashing_twox_64_version_1":    hashing(func(b []byte) []byte { return twox(b, 1) }),
	"ext_hashing_twox_128_version_1":   hashing(func(b []byte) []byte { return twox(b, 2) }),
	"ext_hashing_twox_256_version_1":   hashing(func(b []byte) []byte { return twox(b, 4) }),

	"ext_crypto_ed25519_verify_version_1":       verifying(64, 32, ed25519Valid, false),
	"ext_crypto_ed25519_batch_verify_version_1": verifying(64, 32, ed25519Valid, true),
	"ext_crypto_sr25519_verify_version_2":       verifying(64, 32, sr25519Valid, false),
	"ext_crypto_sr25519_batch_verify_version_1": verifying(64, 32, sr25519Valid, true),
	"ext_crypto_ecdsa_verify_version_2":         verifying(65, 33, ecdsaValid, false),
	"ext_crypto_ecdsa_batch_verify_version_1":   verifying(65, 33, ecdsaValid, true),
	"ext_crypto_ecdsa_verify_prehashed_version_1": {"iii:i", func(c *call, s []uint64) {
		sig, hash, key := c.fixed(s[0], 65), c.fixed(s[1], 32), c.fixed(s[2], 33)
		p, code := recoverKey(sig, hash)
		s[0] = truth(code == recovered && string(p.SerializeCompressed()) == string(key))
	}},
	// Each signature is verified when it comes, and the answer for all is kept until it is asked for.
	"ext_crypto_start_batch_verify_version_1": {":", func(c *call, s []uint64) { c.batch = batch{open: true} }},
	"ext_crypto_finish_batch_verify_version_1": {":i", func(c *call, s []uint64) {
		if !c.batch.open {
			c.fail(fmt.Errorf("%w: no batch of signatures was begun", ErrHost))
		}
		s[0] = truth(!c.batch.failed)
		c.batch = batch{}
	}},
	"ext_crypto_secp256k1_ecdsa_recover_version_2": recovering(func(p *secp256k1.PublicKey) []byte {
		return p.SerializeUncompressed()[1:]
	}),
	"ext_crypto_secp256k1_ecdsa_recover_compressed_version_2": recovering((*secp256k1.PublicKey).SerializeCompressed),
}

// A batch is what ext_crypto_start_batch_verify begins.
type batch struct{ open, failed bool }

func hashing(h func([]byte) []byte) hostFunction {
	return hostFunction{"I:i", func(c *call, s []uint64) { s[0] = c.point(h(c.bytes(s[0]))) }}
}

// twox is n xxHash64 side by side, with seeds 0, 1, … (sp_crypto_hashing::twox).
func twox(b []byte, n int) []byte {
	out := make([]byte, 0, 8*n)
	for seed := range n {
		d := xxhash.NewWithSeed(uint64(seed))
		d.Write(b)
		out = binary.LittleEndian.AppendUint64(out, d.Sum64())
	}
	return out
}

// verifying makes the function that verifies a signature of a message by a key. One in a batch
// answers for itself as well.
func verifying(sig, key uint32, valid func(sig, msg, key []byte) bool, inBatch bool) hostFunction {
	return hostFunction{"iIi:i", func(c *call, s []uint64) {
		ok := valid(c.fixed(s[0], sig), c.bytes(s[1]), c.fixed(s[2], key))
		if inBatch && !ok {
			c.batch.failed = true
		}
		s[0] = truth(ok)
	}}
}

// ed25519Valid is ed25519-zebra's rule, which is ZIP-215.
func ed25519Valid(sig, msg, key []byte) bool {
	return ed25519.VerifyWithOptions(key, msg, sig, &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215})
}

func sr25519Valid(sig, msg, key []byte) bool {
	p, err := sr25519.NewPublicKeyFromBytes(key)
	if err != nil {
		return false
	}
	g, err := sr25519.NewSignatureFromBytes(sig)
	if err != nil {
		return false
	}
	return p.Verify(sr25519.NewSigningContext([]byte("substrate")).NewTranscriptBytes(msg), g)
}

func ecdsaValid(sig, msg, key []byte) bool {
	hash := verify.Blake2b256(msg)
	p, code := recoverKey(sig, hash[:])
	return code == recovered && string(p.SerializeCompressed()) == string(key)
}

// The variants of sp_io::EcdsaVerifyError.
const (
	badRS        = 0
	badV         = 1
	badSignature = 2
	recovered    = 0xff
)

// recovering makes the function that recovers a key from a signature of a hash.
func recovering(encode func(*secp256k1.PublicKey) []byte) hostFunction {
	return hostFunction{"ii:I", func(c *call, s []uint64) {
		sig := append([]byte(nil), c.fixed(s[0], 65)...)
		if sig[64] > 26 { // Ethereum counts from 27
			sig[64] -= 27
		}
		p, code := recoverKey(sig, c.fixed(s[1], 32))
		if code != recovered {
			s[0] = c.give([]byte{1, code})
			return
		}
		s[0] = c.give(append([]byte{0}, encode(p)...))
	}}
}

// recoverKey recovers the key that made the signature r ‖ s ‖ v of a hash.
func recoverKey(sig, hash []byte) (*secp256k1.PublicKey, byte) {
	if sig[64] > 3 {
		return nil, badV
	}
	var n secp256k1.ModNScalar
	if n.SetByteSlice(sig[:32]) || n.SetByteSlice(sig[32:64]) {
		return nil, badRS
	}
	p, _, err := ecdsa.RecoverCompact(append([]byte{27 + sig[64]}, sig[:64]...), hash)
	if err != nil {
		return nil, badSignature
	}
	return p, recovered
}
