package synapse

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/verify"
)

// ErrUnsigned: a header that the signature needs is missing.
var ErrUnsigned = errors.New("not signed")

// Version is what the SDK 10.2 calls itself in numbers. Servers look at it: below 7002000 they check less.
const Version = 10_002_000

// Limits and defaults of a request's headers.
const (
	DefaultTimeout = 12 * time.Second // of a request that names none, for whoever answers it
	MaxTimeout     = 60 * time.Second // what a longer one counts as
	maxUUID        = 128
	maxSS58        = 48 // letters of an address; 32 bytes of hex are more
	maxText        = 256
)

// The names of headers, as the SDK writes them. It looks for them case by case, so a server has to write
// them so; Go's own spelling, which has a capital first, is what a request's arrive in.
const (
	hName       = "name"
	hTimeout    = "timeout"
	hHeaderSize = "header_size"
	hTotalSize  = "total_size"
	hBodyHash   = "computed_body_hash"
	hAxon       = "bt_header_axon_"
	hDendrite   = "bt_header_dendrite_"
	hInput      = "bt_header_input_obj_"
)

// Header is an http.Header.
type Header = map[string][]string

// A Terminal is one end of an exchange as it tells of itself. Empty means not told.
type Terminal struct {
	StatusCode    int
	StatusMessage string
	ProcessTime   float64 // seconds
	IP            string
	Port          int
	Version       int
	Nonce         int64 // Unix time in ns
	UUID          string
	Hotkey        string
	Signature     string // 0x and hex
}

// Signed is what the headers of a request say that its signature is needed for.
type Signed struct {
	Dendrite  Terminal
	Sender    verify.AccountID
	Signature [64]byte
	BodyHash  string
	Timeout   time.Duration // 0 to MaxTimeout
	NoTimeout bool          // it was not given
}

// Message returns the text under the signature of a request: nonce, sender, receiver, uuid and body hash.
func Message(nonce int64, sender, receiver, uuid, bodyHash string) []byte {
	b := make([]byte, 0, 20+2*48+len(uuid)+64+4)
	b = strconv.AppendInt(b, nonce, 10)
	for _, s := range [...]string{sender, receiver, uuid, bodyHash} {
		b = append(append(b, '.'), s...)
	}
	return b
}

// NewUUID returns a random UUID. The SDK's dendrite makes one that tells the machine's address and the time;
// any text is taken.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// one returns the only value of a header.
func one(h Header, goName string) (string, error) {
	switch v := h[goName]; len(v) {
	case 0:
		return "", nil
	case 1:
		if len(v[0]) > maxText {
			return "", fmt.Errorf("%w %s: %d bytes", ErrHeader, goName, len(v[0]))
		}
		return v[0], nil
	}
	return "", fmt.Errorf("%w %s: given twice", ErrHeader, goName)
}

// ReadSigned reads the headers of a request, as net/http spells them, as far as it takes to check the
// signature. ErrUnsigned means that no signature can be checked; ErrHeader, that something is malformed. It
// makes nothing of values before it has their lengths.
func ReadSigned(h Header) (*Signed, error) {
	var s Signed
	var err error
	get := func(name string) string {
		v, e := one(h, name)
		if err == nil {
			err = e
		}
		return v
	}
	s.Dendrite.Signature = get("Bt_header_dendrite_signature")
	s.Dendrite.Hotkey = get("Bt_header_dendrite_hotkey")
	nonce := get("Bt_header_dendrite_nonce")
	s.Dendrite.UUID = get("Bt_header_dendrite_uuid")
	s.BodyHash = get("Computed_body_hash")
	version := get("Bt_header_dendrite_version")
	s.Dendrite.IP = get("Bt_header_dendrite_ip")
	timeout := get("Timeout")
	if err != nil {
		return nil, err
	}
	for _, f := range [...]struct{ name, value string }{
		{"signature", s.Dendrite.Signature}, {"hotkey", s.Dendrite.Hotkey}, {"nonce", nonce}, {"uuid", s.Dendrite.UUID},
	} {
		if f.value == "" {
			return nil, fmt.Errorf("%w: no %s%s", ErrUnsigned, hDendrite, f.name)
		}
	}
	if s.BodyHash == "" {
		return nil, fmt.Errorf("%w: no %s", ErrUnsigned, hBodyHash)
	}
	sig, hex := strings.CutPrefix(s.Dendrite.Signature, "0x")
	if b, err := verify.ParseHex(s.Dendrite.Signature); err != nil || !hex || len(sig) != 128 {
		return nil, fmt.Errorf("%w: %ssignature is not 0x and 64 bytes of hex", ErrUnsigned, hDendrite)
	} else {
		s.Signature = [64]byte(b)
	}
	if s.Dendrite.Nonce, err = strconv.ParseInt(nonce, 10, 64); err != nil || s.Dendrite.Nonce < 0 || nonce[0] == '+' {
		return nil, fmt.Errorf("%w: %snonce is no time in ns", ErrUnsigned, hDendrite)
	}
	if s.Sender, err = verify.ParseAccount(s.Dendrite.Hotkey); err != nil {
		return nil, fmt.Errorf("%w: %shotkey: %w", ErrUnsigned, hDendrite, err)
	}
	if len(s.Dendrite.Hotkey) > maxSS58 { // hex is read too, but is not what is signed
		return nil, fmt.Errorf("%w: %shotkey is no SS58 address", ErrUnsigned, hDendrite)
	}
	if len(s.Dendrite.UUID) > maxUUID || !plain(s.Dendrite.UUID) || !plain(s.Dendrite.IP) || !plain(s.BodyHash) {
		return nil, fmt.Errorf("%w: %suuid or ip, or %s, is no plain text", ErrHeader, hDendrite, hBodyHash)
	}
	if version != "" {
		if s.Dendrite.Version, err = strconv.Atoi(version); err != nil {
			return nil, fmt.Errorf("%w %sversion: no number", ErrHeader, hDendrite)
		}
	}
	s.NoTimeout = timeout == ""
	if !s.NoTimeout {
		t, err := strconv.ParseFloat(strings.TrimSpace(timeout), 64)
		if err != nil || math.IsInf(t, 0) || math.IsNaN(t) {
			return nil, fmt.Errorf("%w %s: no number of seconds", ErrHeader, hTimeout)
		}
		s.Timeout = time.Duration(min(max(t, 0), MaxTimeout.Seconds()) * float64(time.Second))
	}
	return &s, nil
}

// plain reports whether a text can stand in a header and in JSON as it is.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
}

// CheckInputs returns an error unless a request's headers name each of the required fields. They say nothing
// but that the client knows the synapse; the SDK's server answers 500 without.
func (s *Spec) CheckInputs(h Header) error {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Required && len(h["Bt_header_input_obj_"+f.Name]) != 1 {
			return fmt.Errorf("%w: no %s%s", ErrHeader, hInput, f.Name)
		}
	}
	return nil
}

// A Synapse is one message: the request that a dendrite sends or the reply that an axon sends.
type Synapse struct {
	Values         *Values
	Timeout        time.Duration
	TotalSize      int // members of that name; nobody looks at them
	HeaderSize     int
	Dendrite, Axon Terminal
	BodyHash       string
}

// SetHeaders writes the headers of the message, in lower case as the SDK's client needs them.
func (y *Synapse) SetHeaders(h Header) {
	values := make([]string, 0, 32) // of all headers: one piece of memory, and not one for each
	n := 0
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
		n++
	}
	spec := y.Values.spec
	set(hName, spec.Name)
	set(hTimeout, floatRepr(y.Timeout.Seconds()))
	y.Axon.setHeaders(&axonNames, set)
	y.Dendrite.setHeaders(&dendriteNames, set)
	for i := range spec.Fields {
		if f := &spec.Fields[i]; f.Required {
			if z := f.zeroOf(y.Values.raw[i]); z != "" {
				set(hInput+f.Name, base64.StdEncoding.EncodeToString([]byte(z)))
			}
		}
	}
	// header_size is, in the SDK, the size of a Python dict with as many entries as there are headers by now,
	// total_size that of all its objects. Any number is accepted.
	set(hHeaderSize, strconv.Itoa(dictSize(n)))
	set(hTotalSize, strconv.Itoa(y.TotalSize))
	set(hBodyHash, y.BodyHash)
}

// dictSize is sys.getsizeof of a dict with n keys that are strings, in CPython 3.11 and later.
func dictSize(n int) int {
	slots := 8
	for n > slots*2/3 {
		slots *= 2
	}
	return 96 + slots + slots*2/3*16
}

// The headers of a terminal's members, in their order.
var (
	axonNames = [...]string{hAxon + "status_code", hAxon + "status_message", hAxon + "process_time", hAxon + "ip", hAxon + "port",
		hAxon + "version", hAxon + "nonce", hAxon + "uuid", hAxon + "hotkey", hAxon + "signature"}
	dendriteNames = [...]string{hDendrite + "status_code", hDendrite + "status_message", hDendrite + "process_time", hDendrite + "ip", hDendrite + "port",
		hDendrite + "version", hDendrite + "nonce", hDendrite + "uuid", hDendrite + "hotkey", hDendrite + "signature"}
)

func (t *Terminal) setHeaders(names *[10]string, set func(name, value string)) {
	text := func(i int, v string) {
		if v != "" {
			set(names[i], v)
		}
	}
	number := func(i int, v int64) {
		if v != 0 {
			set(names[i], strconv.FormatInt(v, 10))
		}
	}
	number(0, int64(t.StatusCode))
	text(1, t.StatusMessage)
	if t.ProcessTime != 0 {
		set(names[2], floatRepr(t.ProcessTime))
	}
	text(3, t.IP)
	number(4, int64(t.Port))
	number(5, int64(t.Version))
	number(6, t.Nonce)
	text(7, t.UUID)
	text(8, t.Hotkey)
	text(9, t.Signature)
}

// zeroOf returns the JSON of the empty value of a field's type, or nothing for null.
func (f *Field) zeroOf(raw json.RawMessage) string {
	switch {
	case string(raw) == "null":
		return ""
	case f.Kind != Any:
		return zero(f.Kind)
	}
	switch raw[0] {
	case '"':
		return zero(Str)
	case '[':
		return zero(List)
	case '{':
		return zero(Dict)
	case 't', 'f':
		return zero(Bool)
	}
	if slices.ContainsFunc(raw, func(c byte) bool { return c == '.' || c == 'e' || c == 'E' }) {
		return zero(Float)
	}
	return zero(Int)
}

// Request and Reply return the body of the message, in the two styles of the SDK's client and server.

func (y *Synapse) Request() []byte { return y.body(spaced) }

// Reply is Request without spaces.
func (y *Synapse) Reply() []byte { return y.body(compact) }

func (y *Synapse) body(s style) []byte {
	b := make([]byte, 0, 1024)
	b = append(append(append(b, `{"name":`...), s...), '"')
	b = append(append(b, y.Values.spec.Name...), '"')
	member := func(name string) {
		b = append(append(append(b, ','), s...), '"')
		b = append(append(append(b, name...), `":`...), s...)
	}
	member(hTimeout)
	b = append(b, floatRepr(y.Timeout.Seconds())...)
	member(hTotalSize)
	b = strconv.AppendInt(b, int64(y.TotalSize), 10)
	member(hHeaderSize)
	b = strconv.AppendInt(b, int64(y.HeaderSize), 10)
	member("dendrite")
	b = y.Dendrite.appendJSON(b, s)
	member("axon")
	b = y.Axon.appendJSON(b, s)
	member(hBodyHash)
	b = append(b, `""`...)
	b = y.Values.appendMembers(b, s)
	return append(b, '}')
}

func (t *Terminal) appendJSON(b []byte, s style) []byte {
	first := true
	member := func(name string) {
		if !first {
			b = append(append(b, ','), s...)
		}
		first = false
		b = append(append(append(append(b, '"'), name...), `":`...), s...)
	}
	number := func(name string, v int64) {
		if member(name); v == 0 {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendInt(b, v, 10)
		}
	}
	text := func(name, v string) {
		member(name)
		switch {
		case v == "":
			b = append(b, "null"...)
		case plain(v):
			b = append(append(append(b, '"'), v...), '"')
		default:
			q, _ := json.Marshal(v) // a string always can be
			b = append(b, q...)
		}
	}
	b = append(b, '{')
	number("status_code", int64(t.StatusCode))
	text("status_message", t.StatusMessage)
	if member("process_time"); t.ProcessTime == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, floatRepr(t.ProcessTime)...)
	}
	text("ip", t.IP)
	number("port", int64(t.Port))
	number("version", int64(t.Version))
	number("nonce", t.Nonce)
	text("uuid", t.UUID)
	text("hotkey", t.Hotkey)
	text("signature", t.Signature)
	return append(b, '}')
}
