package axon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/btauth"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// Config is what an axon needs. Hotkey and one route are required.
type Config struct {
	Hotkey   verify.AccountID // ours: requests have to be signed for it
	IP       string           // as served on the chain; told in replies
	Port     int
	Routes   []Route
	Callers  neuron.Callers                             // nil: nobody is registered
	Policy   Policy                                     // who may call
	Priority func(c neuron.Caller, name string) float64 // who comes first when the queue is not empty; nil: who has more stake
	Limits   Limits                                     // zero members: the defaults
	Floor    int64                                      // nonces up to this are refused: HighWater of the last run; 0: the time of New
	Now      func() time.Time                           // nil: time.Now
	Log      *slog.Logger                               // errors of handlers; nil: nowhere
}

// A Route is one thing that can be called: as a synapse by its name, as a signed HTTP request by its path,
// or both.
type Route struct {
	Synapse     *synapse.Spec
	Path        string // as "/generate"
	AnyReceiver bool   // take signed HTTP requests that name no receiver: another axon could be sent the same
	Handler     neuron.Handler
}

// A Policy says who may call, after the signature has shown who does. The zero Policy lets everybody.
type Policy struct {
	Registered bool   // only hotkeys of the subnet
	Permit     bool   // only those that may validate
	Stake      uint64 // only those with as much stake, in rao
	Allow      []verify.AccountID
	Deny       []verify.AccountID // wins over Allow; Allow wins over the rest
	// Blacklist refuses what it returns a reason for. It must not wait.
	Blacklist func(c neuron.Caller, name string) (reason string)
}

// Limits bound what an axon takes on. A zero member stands for its default.
type Limits struct {
	Connections    int           // at once; 256
	PerAddress     int           // of them from one address, loopback apart: a proxy; 64
	Body           int64         // bytes of a request's body; 1 MiB
	Reply          int           // bytes of a handler's answer that is no stream; 8 MiB
	Memory         int64         // bytes of bodies at once; 32 MiB
	Workers        int           // handlers at once; 16
	Waiting        int           // requests that wait for one; 64
	Callers        int           // hotkeys that are remembered; 4096
	Rate, Burst    float64       // requests a second of one caller, and at once; 50, 200
	Strays         float64       // signatures a second that are checked for one address in vain or for somebody new; 50, four times as many at once
	HandlerTime    time.Duration // longest that a handler may take, if the caller waits as long; 60 s
	BodyTime       time.Duration // from a request's headers to the end of its body; 10 s
	WriteTime      time.Duration // to send an answer, or one piece of a stream; 10 s
	IdleTime       time.Duration // between two requests of a connection; 90 s
	Grace          time.Duration // for requests that are being answered when the axon stops; 15 s
	headerTime     time.Duration
	maxHeaderBytes int
}

func (l *Limits) fill() {
	l.Connections = cmp.Or(l.Connections, 256)
	l.PerAddress = cmp.Or(l.PerAddress, 64)
	l.Body = cmp.Or(l.Body, 1<<20)
	l.Reply = cmp.Or(l.Reply, 8<<20)
	l.Memory = cmp.Or(l.Memory, 32<<20)
	l.Workers = cmp.Or(l.Workers, 16)
	l.Waiting = cmp.Or(l.Waiting, 64)
	l.Callers = cmp.Or(l.Callers, 4096)
	l.Rate = cmp.Or(l.Rate, 50)
	l.Burst = cmp.Or(l.Burst, 200)
	l.Strays = cmp.Or(l.Strays, 50)
	l.HandlerTime = cmp.Or(l.HandlerTime, synapse.MaxTimeout)
	l.BodyTime = cmp.Or(l.BodyTime, 10*time.Second)
	l.WriteTime = cmp.Or(l.WriteTime, 10*time.Second)
	l.IdleTime = cmp.Or(l.IdleTime, 90*time.Second)
	l.Grace = cmp.Or(l.Grace, 15*time.Second)
	l.headerTime = 5 * time.Second
	l.maxHeaderBytes = 16 << 10
}

// Stats counts what an axon did since it was made.
type Stats struct {
	Requests   uint64 // that had headers
	Unsigned   uint64 // refused for want of what a signature needs
	Stale      uint64 // refused by their nonce
	Checked    uint64 // signatures checked
	BadSigned  uint64 // and found wrong
	Denied     uint64 // by the policy
	Limited    uint64 // by a rate or a full queue
	BodiesRead uint64
	Handled    uint64 // given to a handler
	Failed     uint64 // of them with an error
	Turned     uint64 // connections closed at once because there were too many
	Callers    int    // remembered now
}

type counters struct {
	requests, unsigned, stale, checked, badSigned, denied, limited, bodies, handled, failed, turned atomic.Uint64
}

// An Axon is a server. It is an http.Handler too, for whoever has a listener of their own; the limits on
// connections and headers are then theirs.
type Axon struct {
	cfg      Config
	lim      Limits
	hotkey   string
	routes   map[string]*Route // by the path of a request
	names    string
	callers  *callers
	queue    *queue
	memory   atomic.Int64
	draining atomic.Bool
	seed     maphash.Seed
	deny     map[verify.AccountID]bool
	allow    map[verify.AccountID]bool
	n        counters
	canned   canned

	interval, burst, strayInterval, strayBurst int64
}

// Windows of a v10 nonce: the SDK takes 4 s and what the client is willing to wait; so do we on both sides
// of the clock.
const slack = 4 * time.Second

// New checks a configuration and makes an axon of it.
func New(cfg Config) (*Axon, error) {
	if cfg.Hotkey == (verify.AccountID{}) {
		return nil, errors.New("axon: no hotkey")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Floor == 0 {
		cfg.Floor = cfg.Now().UnixNano()
	}
	a := &Axon{cfg: cfg, lim: cfg.Limits, hotkey: cfg.Hotkey.String(), routes: map[string]*Route{}, seed: maphash.MakeSeed(),
		deny: map[verify.AccountID]bool{}, allow: map[verify.AccountID]bool{}}
	a.lim.fill()
	a.canned = newCanned(a.hotkey)
	for _, id := range cfg.Policy.Deny {
		a.deny[id] = true
	}
	for _, id := range cfg.Policy.Allow {
		a.allow[id] = true
	}
	a.callers = newCallers(a.lim.Callers, slack+synapse.MaxTimeout, cfg.Floor)
	a.queue = newQueue(a.lim.Workers, a.lim.Waiting)
	a.interval, a.burst = int64(float64(time.Second)/max(a.lim.Rate, 0.001)), int64(max(a.lim.Burst, 1))
	a.strayInterval, a.strayBurst = int64(float64(time.Second)/max(a.lim.Strays, 0.001)), int64(max(4*a.lim.Strays, 1))
	if err := a.addRoutes(); err != nil {
		return nil, fmt.Errorf("axon: %w", err)
	}
	return a, nil
}

func (a *Axon) addRoutes() error {
	if len(a.cfg.Routes) == 0 {
		return errors.New("no route")
	}
	ping := Route{Synapse: synapse.Ping(), Handler: neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) { return nil, nil })}
	var names []string
	for i, r := range append(slices.Clone(a.cfg.Routes), ping) {
		if r.Handler == nil || r.Synapse == nil && r.Path == "" {
			return fmt.Errorf("route %d has no handler, or neither a synapse nor a path", i+1)
		}
		paths := []string{}
		if r.Synapse != nil {
			if err := r.Synapse.Check(); err != nil {
				return err
			}
			names = append(names, "'"+r.Synapse.Name+"'")
			paths = append(paths, "/"+r.Synapse.Name)
		}
		if r.Path != "" {
			if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?#%") {
				return fmt.Errorf("path %q of route %d", r.Path, i+1)
			}
			paths = append(paths, r.Path)
		}
		for _, p := range slices.Compact(paths) {
			if a.routes[p] != nil {
				if r.Synapse != nil && r.Synapse.Name == ping.Synapse.Name && i == len(a.cfg.Routes) {
					continue // the subnet's own
				}
				return fmt.Errorf("two routes at %s", p)
			}
			a.routes[p] = &r
		}
	}
	a.names = strings.Join(names, ", ")
	return nil
}

// Stats returns the counters.
func (a *Axon) Stats() Stats {
	return Stats{a.n.requests.Load(), a.n.unsigned.Load(), a.n.stale.Load(), a.n.checked.Load(), a.n.badSigned.Load(), a.n.denied.Load(),
		a.n.limited.Load(), a.n.bodies.Load(), a.n.handled.Load(), a.n.failed.Load(), a.n.turned.Load(), a.callers.count()}
}

// HighWater returns the highest nonce that was admitted, or now if that lies ahead: the Floor of the next run,
// so that nothing of this one can be replayed to it.
func (a *Axon) HighWater() int64 {
	a.callers.mu.Lock()
	defer a.callers.mu.Unlock()
	return min(max(a.callers.high, a.cfg.Floor), a.cfg.Now().UnixNano())
}

// Listen opens a port for an axon. An address without a host is all of IPv4: Python's dendrites cannot reach
// an axon by IPv6.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	network := "tcp4"
	if host, _, err := net.SplitHostPort(addr); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
			network = "tcp6"
		}
	}
	return new(net.ListenConfig).Listen(ctx, network, addr)
}

// Serve answers on a listener until ctx ends; then it takes no more, lets what is being answered end within
// the grace, and returns nil.
func (a *Axon) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: a, ReadHeaderTimeout: a.lim.headerTime, IdleTimeout: a.lim.IdleTime, MaxHeaderBytes: a.lim.maxHeaderBytes,
		ErrorLog: log.New(io.Discard, "", 0), // strangers would write it
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(newListener(l, a.lim, &a.n.turned)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("axon: %w", err)
	case <-ctx.Done():
	}
	a.draining.Store(true)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.lim.Grace)
	defer cancel()
	if err := s.Shutdown(grace); err != nil {
		s.Close()
	}
	return nil
}

// A refusal is why a request gets no answer of a handler.
type refusal struct {
	status  int
	message string
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// unverified words a refusal as the SDK's server does.
func unverified(why any) *refusal {
	return refuse(http.StatusUnauthorized, "Not Verified with error: %v", why)
}

// ServeHTTP answers one request.
func (a *Axon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.n.requests.Add(1)
	x := &exchange{a: a, w: w, r: r, begin: time.Now(), now: a.cfg.Now().UnixNano(), conn: http.NewResponseController(w)}
	// One limit for all of the body, read by whom it may: who sends it drop by drop keeps nothing waiting. It
	// is lifted before a handler runs.
	x.conn.SetReadDeadline(x.begin.Add(a.lim.BodyTime))
	x.addr = addrOf(r.RemoteAddr)
	if no := x.serve(); no != nil {
		x.refused(no)
	}
}

func addrOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// An exchange is one request on its way.
type exchange struct {
	a     *Axon
	w     http.ResponseWriter
	r     *http.Request
	conn  *http.ResponseController
	begin time.Time
	now   int64 // ns, by the axon's clock
	addr  netip.Addr
	route *Route

	signed *synapse.Signed // of a synapse, once its headers are read
	caller neuron.Caller
	values *synapse.Values
}

func (x *exchange) serve() *refusal {
	a, r := x.a, x.r
	x.route = a.routes[r.URL.Path]
	if x.route == nil {
		if p, slash := strings.CutSuffix(r.URL.Path, "/"); slash && a.routes[p] != nil {
			x.w.Header()["Location"] = []string{p}
			return refuse(http.StatusTemporaryRedirect, "no slash at the end")
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		return refuse(http.StatusNotFound, "Synapse name '%.64s' not found. Available synapses [%s]", name, a.names)
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return refuse(http.StatusMethodNotAllowed, "Method Not Allowed")
	}
	if a.draining.Load() {
		x.w.Header()["Connection"] = []string{"close"}
		return refuse(http.StatusServiceUnavailable, "this axon is stopping")
	}
	if r.ContentLength > a.lim.Body {
		x.w.Header()["Connection"] = []string{"close"}
		return refuse(http.StatusRequestEntityTooLarge, "a body of %d bytes, at most %d are taken", r.ContentLength, a.lim.Body)
	}
	if x.route.Path == r.URL.Path && (x.route.Synapse == nil || x.route.Path != "/"+x.route.Synapse.Name || btauth.Present(r.Header)) {
		return x.serveSigned()
	}
	return x.serveSynapse()
}

// verify checks a nonce and a signature, the cheapest first, and records the nonce. text is what the
// signature is over.
func (x *exchange) verify(sender verify.AccountID, tag uint64, nonce int64, past, future time.Duration, sig [64]byte, text func() []byte) *refusal {
	a := x.a
	if d := x.now - nonce; d >= int64(past) || -d > int64(future) {
		a.n.stale.Add(1)
		by, than := time.Duration(d).Round(time.Millisecond), "behind"
		if d < 0 {
			by, than = -by, "ahead of"
		}
		return unverified(fmt.Sprintf("Nonce is %v %s this axon's clock; %v behind and %v ahead are taken", by, than, past, future))
	}
	key, err := a.callers.peek(sender, tag, nonce)
	if err != nil {
		a.n.stale.Add(1)
		return unverified(err)
	}
	// What a wrong signature costs, or one of somebody new, its address pays; a proxy's address has no limit
	// of its own, since all callers share it.
	if !x.addr.IsLoopback() && a.callers.spent(x.addr, x.now, a.strayInterval, a.strayBurst) {
		a.n.limited.Add(1)
		return refuse(http.StatusTooManyRequests, "too many wrong signatures, or new callers, from your address")
	}
	if key == nil {
		x.spend()
		if key, err = wallet.ParsePublicKey(sender); err != nil {
			a.n.badSigned.Add(1)
			return unverified("hotkey is no sr25519 key")
		}
	}
	a.n.checked.Add(1)
	if m := text(); !key.Verify(m, sig) {
		x.spend()
		// A v10 request may be signed in the form that people's wallets sign.
		if x.signed == nil {
			a.n.badSigned.Add(1)
			return unverified("Signature mismatch")
		}
		a.n.checked.Add(1)
		if !key.Verify(wallet.Wrap(m), sig) {
			x.spend()
			a.n.badSigned.Add(1)
			return unverified("Signature mismatch")
		}
	}
	x.caller = neuron.Caller{Hotkey: sender, Addr: x.addr}
	if a.cfg.Callers != nil {
		x.caller.Standing = a.cfg.Callers.Standing(sender)
	}
	switch err := a.callers.admit(sender, key, x.caller.Standing, tag, nonce, x.now); {
	case errors.Is(err, errFull):
		a.n.limited.Add(1)
		return refuse(http.StatusServiceUnavailable, "%v", err)
	case err != nil:
		a.n.stale.Add(1)
		return unverified(err)
	}
	return nil
}

// spend takes one check from those that the address has for strangers.
func (x *exchange) spend() { x.a.callers.spend(x.addr, x.now, x.a.strayInterval, x.a.strayBurst) }

// permit asks the policy and the caller's rate.
func (x *exchange) permit(name string) *refusal {
	a, c, p := x.a, x.caller, &x.a.cfg.Policy
	reason := ""
	switch {
	case a.deny[c.Hotkey]:
		reason = "denied"
	case a.allow[c.Hotkey]:
	case p.Registered && !c.Registered:
		reason = "Unrecognized hotkey"
	case p.Permit && !c.Permit:
		reason = "Non-validator hotkey"
	case c.Stake < p.Stake:
		reason = "too little stake"
	}
	if reason == "" && p.Blacklist != nil {
		reason = p.Blacklist(c, name)
	}
	if reason != "" {
		a.n.denied.Add(1)
		return refuse(http.StatusForbidden, "Forbidden. Key is blacklisted: %s.", reason)
	}
	if !a.callers.allow(c.Hotkey, x.now, a.interval, a.burst) {
		a.n.limited.Add(1)
		x.w.Header()["Retry-After"] = []string{"1"}
		return refuse(http.StatusTooManyRequests, "too many requests of this hotkey")
	}
	return nil
}

// body reads the body within the limits. done gives its memory back.
func (x *exchange) body() (b []byte, done func(), no *refusal) {
	a := x.a
	size := x.r.ContentLength
	if size < 0 {
		size = a.lim.Body
	}
	if a.memory.Add(size) > a.lim.Memory {
		a.memory.Add(-size)
		a.n.limited.Add(1)
		return nil, nil, refuse(http.StatusServiceUnavailable, "too many bodies at once")
	}
	done = func() { a.memory.Add(-size) }
	a.n.bodies.Add(1)
	var err error
	if x.r.ContentLength >= 0 {
		b = make([]byte, size)
		_, err = io.ReadFull(x.r.Body, b)
	} else {
		b, err = io.ReadAll(io.LimitReader(x.r.Body, size+1))
	}
	switch {
	case err != nil:
		done()
		x.w.Header()["Connection"] = []string{"close"}
		return nil, nil, refuse(http.StatusRequestTimeout, "the body did not come")
	case int64(len(b)) > size:
		done()
		x.w.Header()["Connection"] = []string{"close"}
		return nil, nil, refuse(http.StatusRequestEntityTooLarge, "a body of more than %d bytes", size)
	}
	return b, done, nil
}

// A handoff is between who works for a request and who waits for it: one of them is last.
type handoff struct{ state atomic.Int32 }

// finish reports whether the other still waits.
func (h *handoff) finish() bool { return h.state.CompareAndSwap(0, 1) }

// abandon reports whether the other still works.
func (h *handoff) abandon() bool { return h.state.CompareAndSwap(0, 2) }

// handle waits for a place and runs the handler. Whoever takes the reply calls release once it is sent. A
// handler that does not end in time is answered for, but keeps its place and its memory until it does end.
func (x *exchange) handle(req *neuron.Request, done func()) (*neuron.Reply, context.Context, func(), *refusal) {
	a := x.a
	wait := a.lim.HandlerTime
	if req.Timeout > 0 {
		wait = min(wait, req.Timeout)
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), wait)
	priority := float64(x.caller.Stake)
	if a.cfg.Priority != nil {
		if priority = a.cfg.Priority(x.caller, req.Name); math.IsNaN(priority) {
			priority = math.Inf(-1)
		}
	}
	x.conn.SetReadDeadline(time.Time{})
	if err := a.queue.enter(ctx, priority); err != nil {
		cancel()
		done()
		a.n.limited.Add(1)
		if errors.Is(err, errBusy) {
			return nil, nil, nil, refuse(http.StatusServiceUnavailable, "busy: too many requests wait, and come before this one")
		}
		return nil, nil, nil, refuse(http.StatusRequestTimeout, "waited %v for a free place", wait)
	}
	release := func() { cancel(); a.queue.leave(); done() }
	a.n.handled.Add(1)
	var answer *neuron.Reply // the handler's alone if it is late
	err := a.run(ctx, release, func() (err error) {
		answer, err = x.route.Handler.Handle(ctx, req)
		return err
	})
	switch {
	case errors.Is(err, errLate):
		a.n.failed.Add(1)
		return nil, nil, nil, x.late(wait)
	case err != nil:
		a.n.failed.Add(1)
		timeout := ctx.Err() != nil
		release()
		var e *neuron.Error
		switch {
		case errors.As(err, &e) && e.Status >= 400 && e.Status <= 599:
			return nil, nil, nil, &refusal{e.Status, e.Message}
		case timeout:
			return nil, nil, nil, x.late(wait)
		}
		return nil, nil, nil, x.internal(err)
	case answer == nil:
		answer = new(neuron.Reply)
	case len(answer.Body) > a.lim.Reply:
		a.n.failed.Add(1)
		release()
		return nil, nil, nil, x.internal(fmt.Errorf("an answer of %d bytes, at most %d", len(answer.Body), a.lim.Reply))
	}
	return answer, ctx, release, nil
}

// errLate: what was waited for goes on after its time.
var errLate = errors.New("too late")

// run runs f, and returns errLate when ctx ends before it; then release is called once f has returned.
func (a *Axon) run(ctx context.Context, release func(), f func() error) error {
	var h handoff
	got := make(chan error, 1)
	go func() {
		err := errors.New("ended its goroutine")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			if h.finish() {
				got <- err
			} else {
				release()
			}
		}()
		err = f()
	}()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		if h.abandon() {
			return errLate
		}
		return <-got
	}
}

func (x *exchange) late(wait time.Duration) *refusal {
	if x.r.Context().Err() != nil {
		return refuse(499, "the caller has gone")
	}
	return refuse(http.StatusGatewayTimeout, "the handler took longer than %v", wait)
}

// internal logs an error under a number that the caller is told.
func (x *exchange) internal(err error) *refusal {
	id := synapse.NewUUID()
	x.a.cfg.Log.Warn("axon: handler failed", "route", x.r.URL.Path, "caller", x.caller.Hotkey.String(), "id", id, "error", err)
	return refuse(http.StatusInternalServerError, "Internal Server Error #%s", id)
}
