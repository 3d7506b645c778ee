package tx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/taolight/taolight/verify"
)

// maxFile bounds a payload file: the hex of an extrinsic of MaxExtrinsic, twice, and all else.
const maxFile = 4*MaxExtrinsic + 1<<16

// fileKind is what a payload file says it is.
const fileKind = "taolight payload"

// A File is a payload as `tx build` writes it and `tx sign` and `tx submit` read it: a JSON object with hex for
// bytes and decimal numbers.
type File struct {
	Kind               string   `json:"kind"` // "taolight payload"
	Schema             int      `json:"schema"`
	Network            string   `json:"network,omitempty"`
	Genesis            string   `json:"genesis_hash"`
	SpecVersion        uint32   `json:"spec_version"`
	TransactionVersion uint32   `json:"transaction_version"`
	From               string   `json:"from"`
	Nonce              uint32   `json:"nonce"`
	Period             uint64   `json:"period"` // 0: immortal
	EraBlock           uint32   `json:"era_block"`
	EraHash            string   `json:"era_block_hash"`
	LastBlock          *uint32  `json:"last_block"` // that may hold it; null: any
	Tip                uint64   `json:"tip_rao"`
	MetadataHash       string   `json:"metadata_hash,omitempty"`
	Call               string   `json:"call"`
	Says               string   `json:"call_text,omitempty"` // what its maker says the call is: for people, and believed by nobody
	Extensions         []string `json:"extensions"`
	Extra              string   `json:"extra"`
	Implicit           string   `json:"implicit"`
	Sign               string   `json:"sign"`                // the bytes to be signed
	Signature          string   `json:"signature,omitempty"` // a MultiSignature
}

// File returns the payload as a file has it. text is the call in words; a zero signature is none.
func (p *Payload) File(network, text string, s *Signature) *File {
	f := &File{
		Kind: fileKind, Schema: 1, Network: network, Genesis: p.Genesis.String(), SpecVersion: p.SpecVersion, TransactionVersion: p.TransactionVersion,
		From: p.From.String(), Nonce: p.Nonce, Period: p.Era.Period, EraBlock: p.EraBlock, EraHash: p.EraHash.String(), Tip: p.Tip,
		Call: hexText(p.Call), Says: text, Extensions: p.Extensions, Extra: hexText(p.Extra), Implicit: hexText(p.Implicit), Sign: hexText(p.Bytes()),
	}
	if !p.Era.Immortal() {
		last := p.Era.Last(p.EraBlock)
		f.LastBlock = &last
	}
	if p.MetadataHash != nil {
		f.MetadataHash = hexText(p.MetadataHash[:])
	}
	if s != nil {
		f.Signature = hexText(s.Append(nil))
	}
	return f
}

// A SignerPayload is what polkadot.js hands to its signers (SignerPayloadJSON of @polkadot/types), and other
// wallets take. Numbers are big-endian hex.
type SignerPayload struct {
	Address            string   `json:"address"`
	BlockHash          string   `json:"blockHash"`   // of the era's birth block
	BlockNumber        string   `json:"blockNumber"` // and its number
	Era                string   `json:"era"`
	GenesisHash        string   `json:"genesisHash"`
	Method             string   `json:"method"`
	Mode               *int     `json:"mode,omitempty"`
	MetadataHash       *string  `json:"metadataHash,omitempty"`
	Nonce              string   `json:"nonce"`
	SignedExtensions   []string `json:"signedExtensions"`
	SpecVersion        string   `json:"specVersion"`
	Tip                string   `json:"tip"`
	TransactionVersion string   `json:"transactionVersion"`
	Version            int      `json:"version"` // of the extrinsic format: 4
	WithSigned         bool     `json:"withSignedTransaction,omitempty"`
}

// SignerPayload returns the payload as polkadot.js has it.
func (p *Payload) SignerPayload() *SignerPayload {
	s := &SignerPayload{
		Address: p.From.String(), BlockHash: p.EraHash.String(), BlockNumber: fmt.Sprintf("0x%08x", p.EraBlock), Era: hexText(p.Era.Append(nil)),
		GenesisHash: p.Genesis.String(), Method: hexText(p.Call), Nonce: fmt.Sprintf("0x%08x", p.Nonce), SignedExtensions: p.Extensions,
		SpecVersion: fmt.Sprintf("0x%08x", p.SpecVersion), Tip: fmt.Sprintf("0x%032x", p.Tip), TransactionVersion: fmt.Sprintf("0x%08x", p.TransactionVersion),
		Version: 4,
	}
	if p.mode {
		mode := 0
		if s.Mode = &mode; p.MetadataHash != nil {
			mode = 1
			text := hexText(p.MetadataHash[:])
			s.MetadataHash = &text
		}
	}
	return s
}

// Parse reads a payload from a File or a SignerPayload, with the signature that a file may have: nil if it has
// none. Nothing in it is believed: Terms.Fits judges it, and fills in what a SignerPayload does not say.
func Parse(b []byte) (*Payload, []byte, error) {
	if len(b) > maxFile {
		return nil, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrPayload, len(b), maxFile)
	}
	var probe struct{ Kind string }
	if err := json.Unmarshal(b, &probe); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if probe.Kind == "" {
		var s SignerPayload
		if err := unmarshal(b, &s); err != nil {
			return nil, nil, err
		}
		p, err := s.payload()
		return p, nil, err
	}
	if probe.Kind != fileKind {
		return nil, nil, fmt.Errorf("%w: its kind is %q, not %q", ErrPayload, probe.Kind[:min(len(probe.Kind), 40)], fileKind)
	}
	var f File
	if err := unmarshal(b, &f); err != nil {
		return nil, nil, err
	}
	return f.payload()
}

// unmarshal reads one JSON value and nothing after it.
func unmarshal(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the JSON object", ErrPayload)
	}
	return nil
}

// A fields reads members of an object and keeps the first error.
type fields struct{ err error }

func (f *fields) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s: %w", ErrPayload, name, err)
	}
}

func (f *fields) bytes(name, text string) []byte {
	b, err := verify.ParseHex(text)
	if err != nil {
		f.fail(name, err)
	}
	return b
}

func (f *fields) hash(name, text string) verify.Hash {
	h, err := verify.ParseHash(text)
	if err != nil {
		f.fail(name, err)
	}
	return h
}

func (f *fields) account(name, text string) verify.AccountID {
	id, err := verify.ParseAccount(text)
	if err != nil {
		f.fail(name, err)
	}
	return id
}

// number reads big-endian hex, or decimal digits, of at most so many bits.
func (f *fields) number(name, text string, bits int) uint64 {
	digits, base := text, 10
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = rest, 16
	}
	n, ok := new(big.Int).SetString(digits[:min(len(digits), 80)], base)
	if !ok || n.Sign() < 0 || n.BitLen() > bits || len(digits) > 80 {
		f.fail(name, fmt.Errorf("%q is no number of %d bits", text[:min(len(text), 80)], bits))
		return 0
	}
	return n.Uint64()
}

func (f *fields) digest(name, text string) *[32]byte {
	h := f.hash(name, text)
	return (*[32]byte)(&h)
}

func (s *SignerPayload) payload() (*Payload, error) {
	var f fields
	p := &Payload{
		From: f.account("address", s.Address), Genesis: f.hash("genesisHash", s.GenesisHash), EraHash: f.hash("blockHash", s.BlockHash),
		Call: f.bytes("method", s.Method), Nonce: uint32(f.number("nonce", s.Nonce, 32)), SpecVersion: uint32(f.number("specVersion", s.SpecVersion, 32)),
		TransactionVersion: uint32(f.number("transactionVersion", s.TransactionVersion, 32)), Tip: f.number("tip", s.Tip, 64), Extensions: s.SignedExtensions,
	}
	var err error
	if p.Era, err = DecodeEra(f.bytes("era", s.Era)); err != nil {
		f.fail("era", err)
	}
	if !p.Era.Immortal() {
		p.EraBlock = p.Era.Birth(uint32(f.number("blockNumber", s.BlockNumber, 32)))
	}
	if s.Mode != nil && *s.Mode == 1 {
		if s.MetadataHash == nil {
			f.fail("metadataHash", errors.New("mode 1 without one"))
		} else {
			p.MetadataHash = f.digest("metadataHash", *s.MetadataHash)
		}
	}
	if s.Version != 4 {
		f.fail("version", fmt.Errorf("%d, want 4", s.Version))
	}
	return p, f.err
}

func (x *File) payload() (*Payload, []byte, error) {
	var f fields
	p := &Payload{
		From: f.account("from", x.From), Genesis: f.hash("genesis_hash", x.Genesis), SpecVersion: x.SpecVersion, TransactionVersion: x.TransactionVersion,
		Nonce: x.Nonce, EraHash: f.hash("era_block_hash", x.EraHash), Tip: x.Tip, Call: f.bytes("call", x.Call),
		Extensions: x.Extensions, Extra: f.bytes("extra", x.Extra), Implicit: f.bytes("implicit", x.Implicit),
	}
	switch {
	case x.Schema != 1:
		f.fail("schema", fmt.Errorf("%d, want 1", x.Schema))
	case x.Period == 0:
	case x.Period < MinPeriod || x.Period > 1<<16 || x.Period&(x.Period-1) != 0:
		f.fail("period", fmt.Errorf("%d is no power of two from %d on", x.Period, MinPeriod))
	default:
		p.Era, p.EraBlock = Mortal(x.EraBlock, x.Period), x.EraBlock
	}
	if x.MetadataHash != "" {
		p.MetadataHash = f.digest("metadata_hash", x.MetadataHash)
	}
	for _, name := range x.Extensions {
		p.mode = p.mode || name == "CheckMetadataHash"
	}
	sign := f.bytes("sign", x.Sign)
	if f.err == nil && !bytes.Equal(sign, p.Bytes()) {
		f.fail("sign", errors.New("these are not the bytes of call, extra and implicit"))
	}
	var signature []byte
	if x.Signature != "" {
		signature = f.bytes("signature", x.Signature)
	}
	return p, signature, f.err
}

func hexText(b []byte) string { return fmt.Sprintf("0x%x", b) }
