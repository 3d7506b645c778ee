package axon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/btauth"
	"github.com/taolight/taolight/neuron/synapse"
)

// serveSynapse answers a v10 request.
func (x *exchange) serveSynapse() *refusal {
	a, spec := x.a, x.route.Synapse
	if v := x.r.Header["Bt_header_dendrite_signature"]; len(v) == 0 || v[0] == "" {
		a.n.unsigned.Add(1)
		x.unsigned()
		return nil
	}
	s, err := synapse.ReadSigned(x.r.Header)
	if err != nil {
		if errors.Is(err, synapse.ErrUnsigned) {
			a.n.unsigned.Add(1)
			return unverified(err)
		}
		return refuse(http.StatusBadRequest, "%v", err)
	}
	x.signed = s
	window := slack + s.Timeout
	no := x.verify(s.Sender, maphash.String(a.seed, s.Dendrite.UUID), s.Dendrite.Nonce, window, window, s.Signature, func() []byte {
		return synapse.Message(s.Dendrite.Nonce, s.Dendrite.Hotkey, a.hotkey, s.Dendrite.UUID, s.BodyHash)
	})
	if no == nil {
		no = x.permit(spec.Name)
	}
	if no != nil {
		return no
	}
	if err := spec.CheckInputs(x.r.Header); err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	body, done, no := x.body()
	if no != nil {
		return no
	}
	x.values, no = readValues(spec, body, s.BodyHash)
	if no != nil {
		done()
		return no
	}
	timeout := s.Timeout
	if s.NoTimeout {
		timeout = synapse.DefaultTimeout
	}
	reply, ctx, release, no := x.handle(&neuron.Request{Name: spec.Name, Method: x.r.Method, Caller: x.caller, Timeout: timeout, Input: x.values.Object()}, done)
	if no != nil {
		return no
	}
	if reply.Stream != nil {
		x.synapseHeaders(http.StatusOK, "Success")
		x.stream(ctx, reply, release)
		return nil
	}
	defer release()
	if len(reply.Body) > 0 {
		if err := x.values.Set(reply.Body); err != nil {
			a.n.failed.Add(1)
			return x.internal(fmt.Errorf("answer: %w", err))
		}
	}
	y := x.synapseHeaders(http.StatusOK, "Success")
	x.send(http.StatusOK, "application/json", y.Reply())
	return nil
}

// readValues reads a body and holds it to the hash that was signed.
func readValues(spec *synapse.Spec, body []byte, hash string) (*synapse.Values, *refusal) {
	v, err := spec.Read(body)
	if err != nil {
		if errors.Is(err, synapse.ErrJSON) && len(body) > 0 {
			return nil, refuse(http.StatusUnprocessableEntity, "%v", err)
		}
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	got, err := v.BodyHash()
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	if got != hash {
		return nil, refuse(http.StatusBadRequest, "Hash mismatch with %s and %s", hash, got)
	}
	return v, nil
}

// synapseHeaders puts the headers of a synapse's reply in their place: who we are and how it went; who the
// caller is, as its headers have it and not its body.
func (x *exchange) synapseHeaders(status int, message string) *synapse.Synapse {
	s := x.signed
	y := &synapse.Synapse{Values: x.values, Timeout: s.Timeout, Dendrite: s.Dendrite, BodyHash: s.BodyHash, Axon: x.self(status, message)}
	if s.NoTimeout {
		y.Timeout = synapse.DefaultTimeout
	}
	if v := x.r.Header["Total_size"]; len(v) == 1 && len(v[0]) < 10 {
		y.TotalSize, _ = strconv.Atoi(v[0]) // said back as it came
	}
	y.SetHeaders(x.w.Header())
	return y
}

func (x *exchange) self(status int, message string) synapse.Terminal {
	return synapse.Terminal{StatusCode: status, StatusMessage: message, ProcessTime: max(time.Since(x.begin).Seconds(), 1e-9),
		IP: x.a.cfg.IP, Port: x.a.cfg.Port, Hotkey: x.a.hotkey}
}

// serveSigned answers a request of btauth/1.
func (x *exchange) serveSigned() *refusal {
	a := x.a
	s, err := btauth.ReadSigned(x.r.Header)
	if err == nil && !strings.HasPrefix(x.r.RequestURI, "/") {
		err = fmt.Errorf("%w: the target is no path", btauth.ErrUnsigned)
	}
	if err != nil {
		a.n.unsigned.Add(1)
		return refuse(http.StatusUnauthorized, "%v", err)
	}
	if s.Receiver == nil && !x.route.AnyReceiver {
		a.n.unsigned.Add(1)
		return refuse(http.StatusUnauthorized, "%s is missing: this axon is %s", btauth.HeaderReceiver, a.hotkey)
	}
	if s.Receiver != nil && *s.Receiver != a.cfg.Hotkey {
		a.n.unsigned.Add(1)
		return refuse(http.StatusUnauthorized, "%s is not this axon, %s", btauth.HeaderReceiver, a.hotkey)
	}
	// The signature is over the body. Who is about to be refused for its nonce does not get so far as to
	// have it read.
	if d := x.now - s.Nonce; d >= int64(btauth.Past) || -d > int64(btauth.Future) {
		return x.verify(s.Sender, uint64(s.Nonce), s.Nonce, btauth.Past, btauth.Future, s.Signature, nil)
	}
	body, done, no := x.body()
	if no != nil {
		return no
	}
	no = x.verify(s.Sender, uint64(s.Nonce), s.Nonce, btauth.Past, btauth.Future, s.Signature, func() []byte {
		return btauth.Text(x.r.Method, x.r.RequestURI, body, s.Nonce, s.Sender, s.Receiver)
	})
	if no == nil {
		no = x.permit(x.r.URL.Path)
	}
	if no != nil {
		done()
		return no
	}
	reply, ctx, release, no := x.handle(&neuron.Request{Name: x.r.URL.Path, Method: x.r.Method, Query: x.r.URL.RawQuery, Caller: x.caller, Input: body}, done)
	if no != nil {
		return no
	}
	if reply.Stream != nil {
		x.stream(ctx, reply, release)
		return nil
	}
	defer release()
	kind := reply.ContentType
	if kind == "" {
		kind = "application/json"
	}
	x.send(http.StatusOK, kind, reply.Body)
	return nil
}

// send writes a whole answer.
func (x *exchange) send(status int, kind string, body []byte) {
	x.conn.SetWriteDeadline(time.Now().Add(x.a.lim.WriteTime))
	h := x.w.Header()
	h["Content-Type"] = []string{kind}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.w.WriteHeader(status)
	x.w.Write(body)
}

// refusedBody is how long the rest of a body is waited for that nobody will look at.
const refusedBody = 2 * time.Second

// refused answers with a status and a message, as the SDK's server words it; a synapse's client looks for
// the status in a header of its own before that of HTTP.
func (x *exchange) refused(no *refusal) {
	x.refuseBody()
	h := x.w.Header()
	if x.route == nil || x.route.Synapse != nil && !btauth.Present(x.r.Header) {
		t := x.self(no.status, headerText(no.message))
		t.IP, t.Port = "", 0
		name := strings.TrimPrefix(x.r.URL.Path, "/")
		if x.route != nil {
			name = x.route.Synapse.Name
		}
		h["name"] = []string{headerText(name)}
		h["bt_header_axon_status_code"] = []string{strconv.Itoa(no.status)}
		h["bt_header_axon_status_message"] = []string{t.StatusMessage}
		h["bt_header_axon_process_time"] = []string{strconv.FormatFloat(t.ProcessTime, 'f', -1, 64)}
		h["bt_header_axon_hotkey"] = []string{t.Hotkey}
	}
	body, _ := json.Marshal(struct { // of strings: it cannot fail
		Message string `json:"message"`
	}{no.message})
	x.send(no.status, "application/json", body)
}

// unsignedText is what a request without a signature is told.
const unsignedText = "Not Verified with error: not signed: no bt_header_dendrite_signature"

// An answer made beforehand: a flood of requests without a signature is answered from it, at a tenth of
// what an honest one costs.
type canned struct {
	status, message, hotkey, kind, length []string
	body                                  []byte
}

func newCanned(hotkey string) canned {
	body := []byte(`{"message":"` + unsignedText + `"}`)
	return canned{[]string{"401"}, []string{unsignedText}, []string{hotkey}, []string{"application/json"}, []string{strconv.Itoa(len(body))}, body}
}

func (x *exchange) unsigned() {
	c := &x.a.canned
	x.refuseBody()
	h := x.w.Header()
	h["bt_header_axon_status_code"] = c.status
	h["bt_header_axon_status_message"] = c.message
	h["bt_header_axon_hotkey"] = c.hotkey
	h["Content-Type"] = c.kind
	h["Content-Length"] = c.length
	x.conn.SetWriteDeadline(x.begin.Add(x.a.lim.WriteTime))
	x.w.WriteHeader(http.StatusUnauthorized)
	x.w.Write(c.body)
}

// refuseBody bounds how long the rest of a body is waited for. The server reads what is left of a small one,
// so that the connection can go on; honest clients have sent it by now.
func (x *exchange) refuseBody() {
	if x.r.ContentLength == 0 {
		return
	}
	if end := time.Now().Add(refusedBody); end.Before(x.begin.Add(x.a.lim.BodyTime)) {
		x.conn.SetReadDeadline(end)
	}
}

// headerText makes a text fit for a header.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 256)])
}

// stream writes an answer piece by piece. Its headers are sent with the first piece, or at the end of none.
// One that fails, or that goes on after its time, ends in a connection that is cut: that is the only way to
// say so, since there is no mark at the end of a good one.
func (x *exchange) stream(ctx context.Context, reply *neuron.Reply, release func()) {
	kind := reply.ContentType
	if kind == "" {
		kind = "text/event-stream"
	}
	h := x.w.Header()
	h["Content-Type"] = []string{kind}
	w := &pieces{x: x}
	stop := context.AfterFunc(ctx, func() { x.conn.SetWriteDeadline(time.Unix(1, 0)) }) // a write that waits ends
	err := x.a.run(ctx, release, func() error { return reply.Stream(w) })
	stop()
	w.end()
	if !errors.Is(err, errLate) {
		release()
	}
	if err != nil {
		x.a.n.failed.Add(1)
		if !errors.Is(err, errLate) {
			x.a.cfg.Log.Warn("axon: stream failed", "route", x.r.URL.Path, "caller", x.caller.Hotkey.String(), "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// pieces is the writer of a stream. After its end it writes nothing: what a handler that was given up still
// writes must not reach a connection that is somebody else's by then.
type pieces struct {
	x     *exchange
	mu    sync.Mutex
	ended bool
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return 0, io.ErrClosedPipe
	}
	p.x.conn.SetWriteDeadline(time.Now().Add(p.x.a.lim.WriteTime))
	n, err := p.x.w.Write(b)
	if err == nil {
		err = p.x.conn.Flush()
	}
	return n, err
}

func (p *pieces) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.x.conn.SetWriteDeadline(time.Now().Add(p.x.a.lim.WriteTime))
}
