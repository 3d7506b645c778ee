// Package btauth is the wire form of btauth/1, the signed HTTP requests of bittensor 11: which headers a
// request has and which text its signature is over. Unlike a synapse's, the signature covers the method,
// the target and the whole body.
//
// It promises to write what bittensor.http_auth takes and to read it strictly: each header once, of the
// form described there, sr25519 alone; an error names the header. Source: docs/guides/signed-requests.mdx
// of bittensor 11.
//
// It never opens a socket, reads a clock, remembers a nonce, or checks or makes a signature.
package btauth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/verify"
)

// Errors of reading.
var (
	// ErrUnsigned: a header that the signature needs is missing or malformed.
	ErrUnsigned = errors.New("not signed")
)

// Limits of time that servers hold requests to.
const (
	Past   = 10 * time.Second // how old a request may be
	Future = 2 * time.Second  // how far ahead of the server's clock
	Keep   = 60 * time.Second // how long a nonce is remembered
)

// The names of the headers.
const (
	HeaderVersion   = "X-Bittensor-Version"
	HeaderHotkey    = "X-Bittensor-Hotkey"
	HeaderReceiver  = "X-Bittensor-Receiver"
	HeaderNonce     = "X-Bittensor-Nonce"
	HeaderCrypto    = "X-Bittensor-Crypto"
	HeaderSignature = "X-Bittensor-Signature"

	version = "1"
	scheme  = "sr25519"
	nobody  = "-" // the receiver of a request that names none
)

// Header is an http.Header.
type Header = map[string][]string

// Signed is what the headers of a request say.
type Signed struct {
	Sender    verify.AccountID
	Receiver  *verify.AccountID // nil: none is named
	Nonce     int64             // Unix time in ns
	Signature [64]byte
}

// Text returns what the signature of a request is over: eight lines. target is the path as it was sent, with
// the query.
func Text(method, target string, body []byte, nonce int64, sender verify.AccountID, receiver *verify.AccountID) []byte {
	return text(scheme, method, target, body, nonce, sender, receiver)
}

func text(scheme, method, target string, body []byte, nonce int64, sender verify.AccountID, receiver *verify.AccountID) []byte {
	to := nobody
	if receiver != nil {
		to = receiver.String()
	}
	sum := sha256.Sum256(body)
	return []byte(strings.Join([]string{"btauth/" + version, scheme, method, target, hex.EncodeToString(sum[:]),
		strconv.FormatInt(nonce, 10), sender.String(), to}, "\n"))
}

// Present reports whether a request wants to be this form.
func Present(h Header) bool { return len(h[HeaderVersion]) > 0 || len(h[HeaderSignature]) > 0 }

// SetHeaders writes the headers of a signed request.
func (s *Signed) SetHeaders(h Header) {
	h[HeaderVersion] = []string{version}
	h[HeaderHotkey] = []string{s.Sender.String()}
	if s.Receiver != nil {
		h[HeaderReceiver] = []string{s.Receiver.String()}
	}
	h[HeaderNonce] = []string{strconv.FormatInt(s.Nonce, 10)}
	h[HeaderSignature] = []string{"0x" + hex.EncodeToString(s.Signature[:])}
}

// ReadSigned reads the headers of a request.
func ReadSigned(h Header) (*Signed, error) {
	var text [6]string
	for i, name := range [...]string{HeaderVersion, HeaderHotkey, HeaderReceiver, HeaderNonce, HeaderCrypto, HeaderSignature} {
		switch v := h[name]; {
		case len(v) > 1:
			return nil, fmt.Errorf("%w: %s given twice", ErrUnsigned, name)
		case len(v) == 1 && len(v[0]) > 256:
			return nil, fmt.Errorf("%w: %s has %d bytes", ErrUnsigned, name, len(v[0]))
		case len(v) == 1:
			text[i] = v[0]
		}
	}
	if text[0] != version {
		return nil, fmt.Errorf("%w: %s is not %s", ErrUnsigned, HeaderVersion, version)
	}
	// The scheme is ours to say: a request that says another one does not choose it.
	if text[4] != "" && text[4] != scheme {
		return nil, fmt.Errorf("%w: %s is not %s", ErrUnsigned, HeaderCrypto, scheme)
	}
	var s Signed
	var err error
	if s.Sender, err = address(text[1]); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnsigned, HeaderHotkey, err)
	}
	if text[2] != "" {
		to, err := address(text[2])
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnsigned, HeaderReceiver, err)
		}
		s.Receiver = &to
	}
	if s.Nonce, err = strconv.ParseInt(text[3], 10, 64); err != nil || s.Nonce < 0 || strconv.FormatInt(s.Nonce, 10) != text[3] {
		return nil, fmt.Errorf("%w: %s is no time in ns", ErrUnsigned, HeaderNonce)
	}
	b, err := verify.ParseHex(text[5])
	if err != nil || len(text[5]) != 130 || !strings.HasPrefix(text[5], "0x") {
		return nil, fmt.Errorf("%w: %s is not 0x and 64 bytes of hex", ErrUnsigned, HeaderSignature)
	}
	s.Signature = [64]byte(b)
	return &s, nil
}

// address reads an SS58 address; the signed text has the same letters only if they are its only form.
func address(s string) (verify.AccountID, error) {
	a, err := verify.ParseAccount(s)
	if err == nil && a.String() != s {
		err = fmt.Errorf("%w: not SS58", verify.ErrAddress)
	}
	return a, err
}
