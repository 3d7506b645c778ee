// Package dendrite is the client of a neuron: it signs requests to axons, as v10 synapses or by btauth/1,
// and reads what they answer.
//
// It promises that nothing is signed while the signer's gate says no; that no nonce is used twice or goes
// down, whatever the clock does; that a call ends with its timeout, and what a reply may have is bounded:
// its headers, its body, its depth; that it follows no redirect, uses no proxy, keeps no cookie, and dials
// no address of this machine or its own network unless told to, since what is dialled is what strangers
// wrote on the chain. Replies are not signed by anybody. What they say is believed of their own output
// fields alone: never of the inputs, of the caller or of the axon, all of which are known here.
//
// It never decides whom to ask, or what an answer is worth.
package dendrite

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taolight/taolight/neuron/btauth"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/verify"
)

// Errors of a call. Each is wrapped in an *Error.
var (
	// ErrReply: the answer is not what the protocol says, or of another request.
	ErrReply = errors.New("bad reply")
	// ErrLarge: the answer is larger than is read.
	ErrLarge = errors.New("reply is too large")
	// ErrPrivate: the address is one of this machine or its network, and that was not allowed.
	ErrPrivate = errors.New("address is not public")
)

// A Signer signs with a hotkey when it may; wallet.Signer is one.
type Signer interface {
	Account() verify.AccountID
	Sign(message []byte) ([64]byte, error)
}

// Config is what a dendrite needs. Only Signer is required.
type Config struct {
	Signer     Signer
	IP         string           // our address as told to axons; they do not need it
	Concurrent int              // calls at once; the others wait; 32
	MaxReply   int64            // bytes of a body; 8 MiB
	Private    bool             // also dial private and loopback addresses
	Agent      string           // User-Agent; "taolight"
	Now        func() time.Time // nil: time.Now
}

// A Target is an axon.
type Target struct {
	Hotkey verify.AccountID // the request is signed for it
	URL    string           // its base: "http://192.0.2.1:8091"
}

// Axon returns the target at an address from the chain.
func Axon(hotkey verify.AccountID, addr netip.AddrPort) Target {
	return Target{hotkey, "http://" + addr.String()}
}

// A Dendrite calls axons. It is safe for concurrent use.
type Dendrite struct {
	cfg       Config
	hotkey    string
	slots     chan string // a uuid for each call at once
	transport *http.Transport

	mu   sync.Mutex
	last int64 // nonce
}

// An Error is a call that had no good answer. Status is what the SDK's client has in its place: the axon's own,
// or 408, 422, 503 and the like for what never was one.
type Error struct {
	Status  int
	Message string
	Err     error // or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, e.Message, e.Err)
	}
	return fmt.Sprintf("%d %s", e.Status, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// New returns a dendrite. It dials nobody.
func New(cfg Config) (*Dendrite, error) {
	if cfg.Signer == nil {
		return nil, errors.New("dendrite: no signer")
	}
	if cfg.IP != "" {
		if _, err := netip.ParseAddr(cfg.IP); err != nil {
			return nil, fmt.Errorf("dendrite: own address: %w", err)
		}
	}
	cfg.Concurrent = cmp.Or(cfg.Concurrent, 32)
	cfg.MaxReply = cmp.Or(cfg.MaxReply, 8<<20)
	cfg.Agent = cmp.Or(cfg.Agent, "taolight")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &Dendrite{cfg: cfg, hotkey: cfg.Signer.Account().String(), slots: make(chan string, cfg.Concurrent)}
	// An axon wants the nonces under one uuid to go up. Of two calls on their way at once the later one may
	// arrive first, so that no two share a uuid; and no call has its own, since the SDK's axon never forgets
	// one.
	for range cfg.Concurrent {
		d.slots <- synapse.NewUUID()
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !cfg.Private {
		// Asked of the address that is dialled, so that no name can stand for another one.
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return public(address) }
	}
	d.transport = &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConns: 2 * cfg.Concurrent, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 32 << 10, DisableCompression: true,
	}
	return d, nil
}

// public refuses what is no address of the open network.
func public(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrPrivate, address)
	}
	a := ap.Addr().Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return fmt.Errorf("%w: %s", ErrPrivate, a)
	}
	for _, p := range special {
		if p.Contains(a) {
			return fmt.Errorf("%w: %s", ErrPrivate, a)
		}
	}
	return nil
}

// special are ranges in which nobody of the open network has an address (RFC 6890 and its registry): of
// this network, between a provider and its customers, for documentation and for measurements, reserved.
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// Close closes the connections that are kept.
func (d *Dendrite) Close() { d.transport.CloseIdleConnections() }

// nonce returns the time in ns, or one more than the last if the clock has not gone on.
func (d *Dendrite) nonce() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = max(d.cfg.Now().UnixNano(), d.last+1)
	return d.last
}

// A Reply is a good answer to a synapse.
type Reply struct {
	Values *synapse.Values // our inputs and the axon's outputs
	Took   time.Duration
}

// Call sends a synapse and reads the reply. The timeout, of the whole call, is told to the axon as well.
func (d *Dendrite) Call(ctx context.Context, t Target, in *synapse.Values, timeout time.Duration) (*Reply, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, release, err := d.post(ctx, t, in, timeout)
	if err != nil {
		return nil, err
	}
	defer release()
	body, err := d.readAll(ctx, resp, timeout)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return nil, &Error{422, "Failed to parse response", fmt.Errorf("%w: its type is %.40q", ErrReply, kind)}
	}
	out, err := in.Reply(body)
	if err != nil {
		return nil, &Error{422, "Failed to parse response", fmt.Errorf("%w: %w", ErrReply, err)}
	}
	return &Reply{out, time.Since(begin)}, nil
}

// A Stream is an answer that comes piece by piece. Who is done with it closes it.
type Stream struct {
	Status      int // of HTTP; of a synapse always 200
	ContentType string
	body        io.Reader
	close       func()
}

// Read reads the answer as it comes. What is over the limit is ErrLarge.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.body.Read(b)
	if errors.Is(err, errLimit) {
		err = ErrLarge
	}
	return n, err
}

// Close ends the answer and gives its place to another call.
func (s *Stream) Close() error { s.close(); return nil }

// Stream sends a synapse whose answer comes in pieces.
func (d *Dendrite) Stream(ctx context.Context, t Target, in *synapse.Values, timeout time.Duration) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	resp, release, err := d.post(ctx, t, in, timeout)
	if err != nil {
		cancel()
		return nil, err
	}
	return d.stream(resp, func() { release(); cancel() }), nil
}

func (d *Dendrite) stream(resp *http.Response, done func()) *Stream {
	return &Stream{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), body: &limited{resp.Body, d.cfg.MaxReply},
		close: sync.OnceFunc(done)}
}

var errLimit = errors.New("over the limit")

type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	if int64(len(b)) > l.left+1 {
		b = b[:l.left+1]
	}
	n, err := l.r.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, errLimit
	}
	return n, err
}

// post sends a synapse and returns the response once its headers say that it is good.
func (d *Dendrite) post(ctx context.Context, t Target, in *synapse.Values, timeout time.Duration) (*http.Response, func(), error) {
	base, err := parseURL(t.URL)
	if err != nil {
		return nil, nil, err
	}
	hash, err := in.BodyHash()
	if err != nil {
		return nil, nil, err
	}
	name := in.Spec().Name
	uuid, release, err := d.enter(ctx, timeout)
	if err != nil {
		return nil, nil, err
	}
	nonce := d.nonce()
	receiver := t.Hotkey.String()
	sig, err := d.cfg.Signer.Sign(synapse.Message(nonce, d.hotkey, receiver, uuid, hash))
	if err != nil {
		release()
		return nil, nil, err
	}
	y := &synapse.Synapse{Values: in, Timeout: timeout, BodyHash: hash,
		Dendrite: synapse.Terminal{IP: d.cfg.IP, Version: synapse.Version, Nonce: nonce, UUID: uuid, Hotkey: d.hotkey, Signature: fmt.Sprintf("0x%x", sig)},
		Axon:     synapse.Terminal{IP: base.Hostname(), Hotkey: receiver}}
	if p := base.Port(); p != "" {
		y.Axon.Port, _ = strconv.Atoi(p)
	}
	body := y.Request()
	y.TotalSize = len(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.String()+"/"+name, bytes.NewReader(body))
	if err != nil {
		release()
		return nil, nil, err
	}
	y.SetHeaders(req.Header)
	req.Header["Content-Type"] = []string{"application/json"}
	resp, err := d.do(req, timeout)
	if err != nil {
		release()
		return nil, nil, err
	}
	if err := d.good(ctx, resp, nonce, uuid, timeout); err != nil {
		resp.Body.Close()
		release()
		return nil, nil, err
	}
	return resp, func() { resp.Body.Close(); release() }, nil
}

// good returns an error unless a response to a synapse says that it is an answer to it.
func (d *Dendrite) good(ctx context.Context, resp *http.Response, nonce int64, uuid string, timeout time.Duration) error {
	one := func(name string) string {
		// The name as net/http spells what came in lower case.
		return resp.Header.Get(name)
	}
	status := resp.StatusCode
	if s := one("bt_header_axon_status_code"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 || n > 599 {
			return &Error{422, "Failed to parse response", fmt.Errorf("%w: axon status %.20q", ErrReply, s)}
		}
		if status == http.StatusOK {
			status = n
		}
	}
	if status != http.StatusOK {
		message := one("bt_header_axon_status_message")
		if body, err := d.readAll(ctx, resp, timeout); err == nil {
			var v struct {
				Message string `json:"message"`
			}
			if json.Unmarshal(body, &v) == nil && v.Message != "" {
				message = v.Message
			}
		}
		return &Error{status, told(message), nil}
	}
	if s := one("bt_header_dendrite_nonce"); s != "" && s != strconv.FormatInt(nonce, 10) {
		return &Error{422, "Failed to parse response", fmt.Errorf("%w: it is to another request", ErrReply)}
	}
	if s := one("bt_header_dendrite_uuid"); s != "" && s != uuid {
		return &Error{422, "Failed to parse response", fmt.Errorf("%w: it is to another call", ErrReply)}
	}
	return nil
}

// told cleans what a stranger wrote for a line of ours.
func told(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// A Message is what a signed HTTP request says.
type Message struct {
	Method      string // empty: POST
	Path        string // escaped, with the query: "/generate?stream=false"
	ContentType string // empty: application/json
	Body        []byte
}

// Send sends a signed HTTP request, and returns the response whatever its status is.
func (d *Dendrite) Send(ctx context.Context, t Target, m Message, timeout time.Duration) (*Stream, error) {
	base, err := parseURL(t.URL)
	if err != nil {
		return nil, err
	}
	target, err := url.ParseRequestURI(m.Path)
	if err != nil || !strings.HasPrefix(m.Path, "/") || target.RequestURI() != m.Path {
		return nil, fmt.Errorf("path %q: want an escaped path from / on", m.Path)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	_, release, err := d.enter(ctx, timeout)
	if err != nil {
		cancel()
		return nil, err
	}
	done := func() { release(); cancel() }
	m.Method = cmp.Or(m.Method, http.MethodPost)
	s := btauth.Signed{Sender: d.cfg.Signer.Account(), Receiver: &t.Hotkey, Nonce: d.nonce()}
	if s.Signature, err = d.cfg.Signer.Sign(btauth.Text(m.Method, m.Path, m.Body, s.Nonce, s.Sender, s.Receiver)); err != nil {
		done()
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, m.Method, base.String()+m.Path, bytes.NewReader(m.Body))
	if err != nil {
		done()
		return nil, err
	}
	s.SetHeaders(req.Header)
	req.Header["Content-Type"] = []string{cmp.Or(m.ContentType, "application/json")}
	resp, err := d.do(req, timeout)
	if err != nil {
		done()
		return nil, err
	}
	return d.stream(resp, func() { resp.Body.Close(); done() }), nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" {
		return nil, fmt.Errorf("axon %q: want http://ADDRESS:PORT", s)
	}
	return u, nil
}

// enter waits for a place among the calls at once, and returns its uuid.
func (d *Dendrite) enter(ctx context.Context, timeout time.Duration) (uuid string, release func(), err error) {
	select {
	case uuid = <-d.slots:
		return uuid, func() { d.slots <- uuid }, nil
	case <-ctx.Done():
		return "", nil, timedOut(ctx.Err(), timeout)
	}
}

func (d *Dendrite) do(req *http.Request, timeout time.Duration) (*http.Response, error) {
	req.Header["User-Agent"] = []string{d.cfg.Agent}
	req.Header["Accept"] = []string{"*/*"}
	resp, err := d.transport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return nil, failed(err, req.URL.Host, timeout)
	}
	return resp, nil
}

// failed gives an error of the network the status that the SDK's client gives it (core/dendrite.py).
func failed(err error, host string, timeout time.Duration) *Error {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut(err, timeout)
	case errors.Is(err, ErrPrivate):
		return &Error{400, "not dialled", err}
	case errors.As(err, &op) && op.Op == "dial":
		return &Error{503, "Service unavailable at " + host, err}
	}
	return &Error{503, "Service disconnected at " + host, err}
}

func timedOut(err error, timeout time.Duration) *Error {
	return &Error{408, fmt.Sprintf("Request timeout after %v", timeout), err}
}

func (d *Dendrite) readAll(ctx context.Context, resp *http.Response, timeout time.Duration) ([]byte, error) {
	b, err := io.ReadAll(&limited{resp.Body, d.cfg.MaxReply})
	switch {
	case errors.Is(err, errLimit):
		return nil, &Error{422, "Failed to parse response", fmt.Errorf("%w: more than %d bytes", ErrLarge, d.cfg.MaxReply)}
	case err != nil && ctx.Err() != nil:
		return nil, timedOut(ctx.Err(), timeout)
	case err != nil:
		return nil, &Error{400, "reply broke off", err}
	}
	return b, nil
}
