package axon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/btauth"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

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
	// One limit for all of the body, read by whom it may: who sends it drop by drop keeps nothing waiting. The
	// server lifts it at the body's end, so a handler may take longer.
	if r.ContentLength != 0 {
		x.conn.SetReadDeadline(x.begin.Add(a.lim.BodyTime))
	}
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
	a.n.skew.Store(nonce - x.now)
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
