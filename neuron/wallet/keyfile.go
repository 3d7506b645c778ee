package wallet

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
)

// Errors of reading a keyfile. None tells a byte of the file.
var (
	// ErrKeyfile: the file holds nothing that is known as a key.
	ErrKeyfile = errors.New("not a keyfile")
	// ErrPublicOnly: the file has an address and no secret.
	ErrPublicOnly = errors.New("the keyfile has no secret in it")
	// ErrMismatch: the file's secret is not that of the file's own address.
	ErrMismatch = errors.New("the keyfile's secret is not that of its address")
	// ErrEncrypted: the file is encrypted, and there is no password.
	ErrEncrypted = errors.New("the keyfile is encrypted")
)

// maxKeyfile bounds a keyfile; one has about 700 bytes.
const maxKeyfile = 16 << 10

// ParseKeyfile reads what is in a keyfile, decrypted: the JSON of btwallet and of its successors, a bare
// mnemonic, or a bare seed or private key in hex. The secret is taken from secretPhrase, else secretSeed,
// else privateKey, as btwallet does (src/keyfile.rs), and has to be that of every address in the file.
func ParseKeyfile(b []byte) (*Hotkey, error) {
	f, err := parseFields(b)
	if err != nil {
		return nil, err
	}
	defer f.wipe()
	var key *Hotkey
	switch {
	case f.phrase != nil:
		key, err = fromMnemonic(f.phrase, nil)
	case f.seed != nil:
		key, err = fromSeed(f.seed)
	case f.private != nil:
		key, err = fromPrivate(f.private)
	default:
		return nil, fmt.Errorf("keyfile: %w", ErrPublicOnly)
	}
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	for _, a := range f.accounts {
		if a != key.account {
			key.Wipe()
			return nil, fmt.Errorf("keyfile: %w %v", ErrMismatch, a)
		}
	}
	return key, nil
}

// ParsePublicKeyfile reads the address of a keyfile, of one with a secret as well, and looks at no secret.
func ParsePublicKeyfile(b []byte) (verify.AccountID, error) {
	f, err := parseFields(b)
	if err != nil {
		return verify.AccountID{}, err
	}
	defer f.wipe()
	if len(f.accounts) == 0 {
		return verify.AccountID{}, fmt.Errorf("%w: no address in it", ErrKeyfile)
	}
	for _, a := range f.accounts {
		if a != f.accounts[0] {
			return a, fmt.Errorf("%w: two addresses, %v and %v", ErrKeyfile, f.accounts[0], a)
		}
	}
	return f.accounts[0], nil
}

type fields struct {
	phrase, seed, private []byte
	accounts              []verify.AccountID
}

func (f *fields) wipe() {
	clear(f.phrase)
	clear(f.seed)
	clear(f.private)
}

func parseFields(b []byte) (*fields, error) {
	if len(b) > maxKeyfile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrKeyfile, len(b), maxKeyfile)
	}
	b = bytes.TrimSpace(b)
	if Encrypted(b) {
		return nil, fmt.Errorf("keyfile: %w", ErrEncrypted)
	}
	f := new(fields)
	if len(b) == 0 || b[0] != '{' {
		return f, f.bare(b)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil { // its errors quote the text
		return nil, fmt.Errorf("%w: broken JSON", ErrKeyfile)
	}
	defer func() {
		for _, v := range members {
			clear(v)
		}
	}()
	err := f.json(members)
	if err != nil {
		f.wipe()
	}
	return f, err
}

func (f *fields) bare(b []byte) error {
	text := bytes.TrimPrefix(b, []byte("0x"))
	raw := make([]byte, hex.DecodedLen(len(text)))
	_, err := hex.Decode(raw, text)
	switch {
	case err == nil && len(raw) == 32:
		f.seed = raw
	case err == nil && len(raw) == 64:
		f.private = raw
	case len(bytes.Fields(b)) >= 12:
		f.phrase = bytes.Clone(b)
	default:
		return fmt.Errorf("%w: neither JSON nor a mnemonic nor 32 or 64 bytes of hex", ErrKeyfile)
	}
	return nil
}

func (f *fields) json(members map[string]json.RawMessage) error {
	for _, name := range []string{"secretPhrase", "secretSeed", "privateKey", "publicKey", "accountId", "ss58Address", " ss58Address"} {
		text, err := text(members[name])
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrKeyfile, name, err)
		}
		if len(text) == 0 {
			continue
		}
		switch name {
		case "secretPhrase":
			f.phrase = text
			continue
		case "publicKey", "accountId":
			err = f.account("0x" + string(bytes.TrimPrefix(text, []byte("0x"))))
		case "ss58Address", " ss58Address":
			err = f.account(string(text))
		case "secretSeed":
			if len(text) == 32 { // btwallet 4.0 wrote a seed that happens to be UTF-8 as it is
				f.seed = text
				continue
			}
			f.seed, err = unhex(text, 32)
		case "privateKey":
			f.private, err = unhex(text, 64)
		}
		clear(text)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrKeyfile, name, err)
		}
	}
	// Later versions say which curve it is; 1 is sr25519, as is a file that says nothing.
	if v := members["cryptoType"]; v != nil && string(v) != "1" && string(v) != `"1"` && string(v) != "null" {
		return fmt.Errorf("%w: cryptoType is not 1: only sr25519 is known", ErrKeyfile)
	}
	return nil
}

func (f *fields) account(text string) error {
	a, err := verify.ParseAccount(text)
	if err == nil {
		f.accounts = append(f.accounts, a)
	}
	return err
}

var (
	errText = errors.New("not a string")
	errHex  = errors.New("not hex of the right length")
)

// text returns a JSON string's bytes in memory of its own. Where the text has an escape, which no key in
// hex or words has, the standard library makes a string that cannot be cleared.
func text(v json.RawMessage) ([]byte, error) {
	switch {
	case len(v) == 0 || string(v) == "null":
		return nil, nil
	case v[0] != '"':
		return nil, errText
	case !bytes.ContainsRune(v, '\\'):
		return bytes.Clone(v[1 : len(v)-1]), nil
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return nil, errText
	}
	return []byte(s), nil
}

func unhex(text []byte, n int) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("0x"))
	if len(text) != 2*n {
		return nil, errHex
	}
	b := make([]byte, n)
	if _, err := hex.Decode(b, text); err != nil {
		clear(b)
		return nil, errHex
	}
	return b, nil
}

// keyfile writes the JSON of a key: only members whose values are strings, which every version of btwallet
// reads. Who is done with it clears it.
func (k *Hotkey) keyfile() []byte {
	b := make([]byte, 0, 1024) // never grown: that would leave a copy
	b = k.appendPublic(append(b, '{'))
	b = hex.AppendEncode(append(b, `,"privateKey":"0x`...), k.secret[:])
	if k.phrase != nil {
		b = append(append(append(b, `","secretPhrase":"`...), k.phrase...), '"')
	} else {
		b = append(b, '"')
	}
	if k.seed != nil {
		b = append(hex.AppendEncode(append(b, `,"secretSeed":"0x`...), k.seed), '"')
	}
	return append(b, '}')
}

func (k *Hotkey) publicKeyfile() []byte { return append(k.appendPublic([]byte{'{'}), '}') }

func (k *Hotkey) appendPublic(b []byte) []byte {
	b = hex.AppendEncode(append(b, `"accountId":"0x`...), k.account[:])
	b = hex.AppendEncode(append(b, `","publicKey":"0x`...), k.account[:])
	return append(append(append(b, `","ss58Address":"`...), k.account.String()...), '"')
}
