package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
)

// Chain is what answers are made of: a lightclient.Node.
type Chain interface {
	WaitFinal(ctx context.Context) error
	Heads(ctx context.Context) (*lightclient.Heads, error)
	Locate(ctx context.Context, hash verify.Hash) (lightclient.Located, error)
	Block(ctx context.Context, number uint32) (lightclient.FinalBlock, error)
	ReadIn(ctx context.Context, at lightclient.Located, keys ...[]byte) ([]lightclient.Value, error)
	KeysIn(ctx context.Context, at lightclient.Located, prefix, from []byte, limit int) ([][]byte, error)
	ProofIn(ctx context.Context, at lightclient.Located, keys ...[]byte) ([][]byte, error)
	ClosestIn(ctx context.Context, at lightclient.Located, key []byte) ([]byte, error)
	CallIn(ctx context.Context, at lightclient.Located, method string, input []byte) (*lightclient.Call, error)
	VersionIn(ctx context.Context, at lightclient.Located) (runtime.Version, verify.Hash, error)
	BodyIn(ctx context.Context, at lightclient.Located) ([][]byte, error)
	Prove(ctx context.Context, claims []bundle.Claim, o lightclient.ProveOptions) (*bundle.Bundle, error)
	ProveCall(ctx context.Context, method string, input []byte, number *uint32, embed bool, o lightclient.ProveOptions) (*bundle.Bundle, *lightclient.Call, error)
	Status(ctx context.Context) (*lightclient.Status, error)
	PeerID(ctx context.Context) (string, error)
	Peers(ctx context.Context) ([]lightclient.PeerStatus, []lightclient.BanStatus, error)
}

// Limits bound what clients can take. A zero is the default beside it; Rate has none.
type Limits struct {
	Conns         int // 128: connections
	Request       int // 1 MiB: bytes of a frame
	Batch         int // 1024: requests in one
	InFlight      int // 64: requests worked on at once, of all clients; of one connection a quarter
	Calls         int // 2: of those, runtime calls, which take memory
	Subscriptions int // 256: of one connection
	All           int // 2048: subscriptions of all
	Follows       int // 4: chainHead_v1_follow of one connection
	Queue         int // 4 MiB: bytes that wait to be read by one client
	Out           int // 32 MiB: bytes that wait to be read by all
	Rate          int // requests a second of one address; 0: as many as there are
}

// Config is what a server needs. Chain and Genesis are required.
type Config struct {
	Chain      Chain
	Genesis    verify.Hash
	Name       string          // system_chain: "Bittensor"
	Type       string          // system_chainType: "Live", "Development", "Local"
	Properties json.RawMessage // an object
	Version    string
	Best       bool     // show blocks that may still be replaced
	Pool       Pool     // nil: no methods that send
	Hosts      []string // names, besides loopback's, by which clients may call this server
	Origins    []string // of pages, besides loopback's, that may; "*" is all
	Limits     Limits
	Timeout    time.Duration // of one request; 0: two minutes
	// Pages answers what is asked by GET or HEAD and is no WebSocket, once its Host was admitted and within Rate: pages for
	// people, and figures. It answers false for what it does not have. nil: there are none.
	Pages func(w http.ResponseWriter, r *http.Request) bool
}

// maxAnswer bounds the answers to one batch.
const maxAnswer = 16 << 20

// A Server answers JSON-RPC on one listener.
type Server struct {
	cfg     Config
	methods map[string]*method
	names   []string // of methods, sorted
	up      websocket.Upgrader
	slots   chan struct{} // one token for each request that is worked on
	calls   chan struct{}
	large   chan struct{} // one for each frame of more than smallFrame
	encode  chan struct{} // one for each answer that is being written down
	out     atomic.Int64  // bytes that wait to be read
	answers answers
	rates   rates

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	subs   atomic.Int64
	conns  atomic.Int64
	asked  atomic.Uint64
}

// smallFrame is what a frame may have without waiting for its turn, and largeFrames how many others are read at once.
const (
	smallFrame  = 64 << 10
	largeFrames = 8
)

// New prepares a server.
func New(cfg Config) (*Server, error) {
	if cfg.Chain == nil || cfg.Genesis.IsZero() {
		return nil, errors.New("rpc: no chain")
	}
	l := &cfg.Limits
	for _, d := range []struct {
		v    *int
		zero int
	}{{&l.Conns, 128}, {&l.Request, 1 << 20}, {&l.Batch, 1024}, {&l.InFlight, 64}, {&l.Calls, 2}, {&l.Subscriptions, 256},
		{&l.All, 2048}, {&l.Follows, 4}, {&l.Queue, 4 << 20}, {&l.Out, 32 << 20}} {
		if *d.v <= 0 {
			*d.v = d.zero
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Minute
	}
	if len(cfg.Properties) == 0 {
		cfg.Properties = json.RawMessage("{}")
	}
	s := &Server{cfg: cfg, methods: make(map[string]*method), slots: make(chan struct{}, l.InFlight), calls: make(chan struct{}, l.Calls),
		large: make(chan struct{}, largeFrames), encode: make(chan struct{}, 2)}
	s.up = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, WriteBufferPool: new(sync.Pool), CheckOrigin: func(*http.Request) bool { return true }}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.register()
	return s, nil
}

// Serve answers on l until ctx ends, and then closes it and every connection.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return s.ctx },
		ErrorLog:    log.New(io.Discard, "", 0), // what clients do wrong is theirs to know
	}
	stop := context.AfterFunc(ctx, func() {
		s.cancel()
		h.Close()
	})
	defer stop()
	err := h.Serve(&limited{Listener: l, open: &s.conns, most: int64(s.cfg.Limits.Conns)})
	s.cancel()
	h.Close()
	s.wg.Wait()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Stats is what a server does now, and has done.
type Stats struct {
	Conns         int64  // connections that are open
	Subscriptions int64  // of all of them
	Requests      uint64 // since the start, those in batches each
}

// Stats returns the figures of this moment.
func (s *Server) Stats() Stats { return Stats{s.conns.Load(), s.subs.Load(), s.asked.Load()} }

// Methods returns the names that are answered, sorted.
func (s *Server) Methods() []string { return s.names }

// limited is a listener that closes what comes beyond a number of connections.
type limited struct {
	net.Listener
	open *atomic.Int64
	most int64
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &counted{Conn: c, open: l.open}, nil
		}
		l.open.Add(-1)
		c.Close()
	}
}

type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.admit(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if s.cfg.Pages != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) && !websocket.IsWebSocketUpgrade(r) {
		// Other pages may ask by JSON-RPC, and not read these.
		if !s.rates.take(addressOf(r.RemoteAddr), s.cfg.Limits.Rate, 1, time.Now()) {
			http.Error(w, errRate.Message, http.StatusTooManyRequests)
			return
		}
		if s.cfg.Pages(w, r) {
			return
		}
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Vary", "Origin")
	}
	switch {
	case websocket.IsWebSocketUpgrade(r):
		ws, err := s.up.Upgrade(w, r, nil)
		if err == nil {
			s.serveSocket(ws, addressOf(r.RemoteAddr))
		}
	case r.Method == http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", "POST")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, OPTIONS")
		http.Error(w, "JSON-RPC is asked by POST, or over WebSocket", http.StatusMethodNotAllowed)
	default:
		s.servePost(w, r)
	}
}

func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	// A page may send other types to anywhere without being asked whether it may.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		http.Error(w, "Content-Type has to be application/json", http.StatusUnsupportedMediaType)
		return
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(30 * time.Second))
	body, err := s.readFrame(r.Context(), r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	rc.SetReadDeadline(time.Time{})
	parsed := parseFrame(body, s.cfg.Limits.Batch)
	answer, _ := s.answer(r.Context(), nil, addressOf(r.RemoteAddr), parsed)
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if !s.reserve(len(answer)) {
		answer = busy(parsed)
		s.out.Add(int64(len(answer)))
	}
	defer s.out.Add(-int64(len(answer)))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	rc.SetWriteDeadline(time.Now().Add(writeTime(len(answer))))
	w.Write(answer)
	rc.Flush()
	rc.SetWriteDeadline(time.Time{}) // the connection goes on
}

// reserve makes room for an answer among all that wait to be read. A small one always has it.
func (s *Server) reserve(n int) bool {
	if s.out.Add(int64(n)) > int64(s.cfg.Limits.Out) && n > smallFrame {
		s.out.Add(-int64(n))
		return false
	}
	return true
}

// busy is the answer in place of one for which there is no room.
func busy(f frame) []byte {
	id := null
	if !f.batch && f.list[0].ID != nil {
		id = f.list[0].ID
	}
	return response(id, nil, &Error{Code: codeServer, Message: "Server is busy: others have much that they do not read, try again"})
}

// writeTime is how long a client may take to read so much: 30 s and as long as a line of 64 kB/s takes.
func writeTime(bytes int) time.Duration {
	return 30*time.Second + time.Duration(bytes>>16)*time.Second
}

// readFrame reads a frame. At any time only a few clients send more than a little.
func (s *Server) readFrame(ctx context.Context, r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if n, err := io.CopyN(&b, r, smallFrame); n < smallFrame {
		if err == io.EOF {
			err = nil
		}
		return b.Bytes(), err
	}
	select {
	case s.large <- struct{}{}:
		defer func() { <-s.large }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	rest := int64(s.cfg.Limits.Request) - smallFrame + 1
	if n, err := io.CopyN(&b, r, rest); err != io.EOF {
		if err == nil || n == rest {
			err = fmt.Errorf("request of more than %d bytes", s.cfg.Limits.Request)
		}
		return nil, err
	}
	return b.Bytes(), nil
}

// admit tells whether a request may come in by the name it used and from the page it comes from. A name that
// somebody lets point here would make the owner's browser a way in.
func (s *Server) admit(r *http.Request) error {
	host := hostOf(r.Host)
	switch ip := net.ParseIP(host); {
	case loopback(host), slices.Contains(s.cfg.Hosts, host):
	case ip != nil && local(r, ip): // an address, which nobody can let point elsewhere
	default:
		return fmt.Errorf("host %q is not one that this node answers to (rpc_hosts)", r.Host)
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 || slices.Contains(s.cfg.Origins, "*") {
		return nil
	}
	if u, err := url.Parse(origins[0]); len(origins) == 1 && err == nil {
		if (u.Scheme == "http" || u.Scheme == "https") && loopback(u.Hostname()) || slices.Contains(s.cfg.Origins, origins[0]) {
			return nil
		}
	}
	return fmt.Errorf("origin %q is not allowed (rpc_origins)", strings.Join(origins, ", "))
}

func hostOf(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		s = h
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(s, "[]")), ".")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// local reports whether ip is the address that the request came in on.
func local(r *http.Request, ip net.IP) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && a.IP.Equal(ip)
}

func addressOf(remote string) string {
	h, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return h
}

// answer answers a frame; nil if there is nothing to say. after, unless nil, is to be called when the answer is on
// its way.
func (s *Server) answer(ctx context.Context, c *conn, from string, f frame) (out []byte, after []func()) {
	if f.err != nil {
		return response(null, nil, f.err), nil
	}
	s.asked.Add(uint64(len(f.list)))
	if !s.rates.take(from, s.cfg.Limits.Rate, len(f.list), time.Now()) {
		id := null
		if !f.batch && f.list[0].ID != nil {
			id = f.list[0].ID
		}
		return response(id, nil, errRate), nil
	}
	for i := range f.list {
		q := &f.list[i]
		one := s.one(ctx, c, q, f.bad[i], &after)
		if one == nil {
			continue
		}
		if !f.batch {
			return one, after
		}
		if len(out)+len(one) > maxAnswer {
			one = response(q.ID, nil, &Error{Code: codeTooLarge, Message: "Response is too big", Data: fmt.Sprintf("Exceeded max limit of %d", maxAnswer)})
		}
		if out == nil {
			out = append(out, '[')
		} else {
			out = append(out, ',')
		}
		out = append(out, one...)
	}
	if out != nil {
		out = append(out, ']')
	}
	return out, after
}

// one answers one request; nil for a notification.
func (s *Server) one(ctx context.Context, c *conn, q *request, e *Error, after *[]func()) []byte {
	if e != nil {
		return response(q.ID, nil, e)
	}
	result, e := s.call(ctx, c, q, after)
	if q.ID == nil {
		return nil
	}
	s.encode <- struct{}{}
	defer func() { <-s.encode }()
	return response(q.ID, result, e)
}

// rates counts the requests of addresses.
type rates struct {
	mu   sync.Mutex
	list map[string]*rate
}

type rate struct {
	left float64
	at   time.Time
}

// take takes n requests from an address's account, which fills by most a second, and holds twice that.
func (r *rates) take(from string, most, n int, now time.Time) bool {
	if most <= 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.list[from]
	if a == nil {
		if r.list == nil || len(r.list) >= 1024 {
			r.list = make(map[string]*rate)
		}
		a = &rate{left: 2 * float64(most), at: now}
		r.list[from] = a
	}
	if d := now.Sub(a.at); d > 0 {
		a.left = min(2*float64(most), a.left+d.Seconds()*float64(most))
	}
	a.at = now
	if a.left < float64(n) {
		return false
	}
	a.left -= float64(n)
	return true
}
