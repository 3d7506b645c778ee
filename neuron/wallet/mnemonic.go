package wallet

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrMnemonic: a text is no BIP-39 mnemonic of English words.
var ErrMnemonic = errors.New("not a mnemonic")

// english is the word list of BIP-39 (bitcoin/bips, bip-0039/english.txt), one word a line, sorted.
//
//go:embed english.txt
var english string

// maxPhrase bounds the text of a mnemonic: 24 words of 8 letters, and room for untidy spaces.
const maxPhrase = 512

// NewMnemonic returns a new mnemonic of 12, 15, 18, 21 or 24 words. Who is done with it clears it.
func NewMnemonic(words int) ([]byte, error) {
	if words < 12 || words > 24 || words%3 != 0 {
		return nil, fmt.Errorf("%w: %d words, want 12, 15, 18, 21 or 24", ErrMnemonic, words)
	}
	entropy := make([]byte, words/3*4)
	defer clear(entropy)
	rand.Read(entropy)
	return mnemonicOf(entropy), nil
}

// mnemonicOf writes entropy of 16 to 32 bytes as words: 11 bits a word, the last with a checksum of one
// bit for each four bytes.
func mnemonicOf(entropy []byte) []byte {
	list := strings.Fields(english)
	sum := sha256.Sum256(entropy)
	bits := append(bytes.Clone(entropy), sum[0])
	defer clear(bits)
	out := make([]byte, 0, maxPhrase)
	for i := range len(entropy) / 4 * 3 {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, list[eleven(bits, i)]...)
	}
	return out
}

// eleven returns the i-th group of eleven bits.
func eleven(b []byte, i int) int {
	n := 0
	for at := i * 11; at < i*11+11; at++ {
		n = n<<1 | int(b[at/8]>>(7-at%8))&1
	}
	return n
}

// entropyOf reads a mnemonic back. Its errors name a word by its number and never tell it.
func entropyOf(phrase []byte) ([]byte, error) {
	if len(phrase) > maxPhrase {
		return nil, fmt.Errorf("%w: longer than one can be", ErrMnemonic)
	}
	words := bytes.Fields(phrase)
	n := len(words)
	if n < 12 || n > 24 || n%3 != 0 {
		return nil, fmt.Errorf("%w: %d words, want 12, 15, 18, 21 or 24", ErrMnemonic, n)
	}
	list := strings.Fields(english)
	bits := make([]byte, n/3*4+1)
	defer clear(bits)
	for i, w := range words {
		v, ok := slices.BinarySearchFunc(list, w, func(a string, b []byte) int { return strings.Compare(a, string(b)) })
		if !ok {
			return nil, fmt.Errorf("%w: word %d is not on the list", ErrMnemonic, i+1)
		}
		for j := range 11 {
			at := i*11 + j
			bits[at/8] |= byte(v>>(10-j)&1) << (7 - at%8)
		}
	}
	entropy := bytes.Clone(bits[:n/3*4])
	mask := byte(0xff) << (8 - n/3)
	if sum := sha256.Sum256(entropy); sum[0]&mask != bits[len(entropy)]&mask {
		clear(entropy)
		return nil, fmt.Errorf("%w: its checksum does not fit, a word is wrong or in the wrong place", ErrMnemonic)
	}
	return entropy, nil
}

// miniSecretOf returns the seed that Substrate makes of a mnemonic: PBKDF2 over the entropy, and not over
// the words as BIP-39 has it (substrate-bip39).
func miniSecretOf(phrase, password []byte) ([]byte, error) {
	entropy, err := entropyOf(phrase)
	if err != nil {
		return nil, err
	}
	defer clear(entropy)
	salt := append([]byte("mnemonic"), password...)
	defer clear(salt)
	seed, err := pbkdf2.Key(sha512.New, string(entropy), salt, 2048, 32)
	if err != nil {
		return nil, fmt.Errorf("mnemonic: %w", err)
	}
	return seed, nil
}
