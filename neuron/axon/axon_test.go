package axon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/btauth"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// TestMatrix sends what the SDK's server was measured with. want is the status that it gives, or where it can
// be exploited or blames itself, the stricter one.
func TestMatrix(t *testing.T) {
	ago := func(d time.Duration) func(*world, *call) {
		return func(w *world, c *call) { c.nonce -= int64(d) }
	}
	set := func(k, v string) func(*world, *call) { return func(_ *world, c *call) { c.header[k] = v } }
	body := func(b string) func(*world, *call) { return func(_ *world, c *call) { c.body = b } }
	both := func(f ...func(*world, *call)) func(*world, *call) {
		return func(w *world, c *call) {
			for _, f := range f {
				f(w, c)
			}
		}
	}
	path := func(p string) func(*world, *call) { return func(_ *world, c *call) { c.path = p } }
	for _, c := range []struct {
		name  string
		spoil func(*world, *call)
		want  int
	}{
		{"minimal body", body(`{"dummy_input": 5}`), 200},
		{"GET with a body", func(_ *world, c *call) { c.method = "GET" }, 200},
		{"no timeout header", set("timeout", ""), 200},
		{"no content type", set("Content-Type", ""), 200},
		{"an extra field", body(`{"dummy_input": 5, "more": {}}`), 200},
		{"a number as text", body(`{"dummy_input": "7"}`), 200},
		{"a number with a zero fraction", body(`{"dummy_input": 5.0}`), 200},
		{"ping", both(path("/Synapse"), body("{}")), 200},
		{"15 s old, the caller waits 12 s", ago(15 * time.Second), 200},
		{"3 s old, no timeout header", both(ago(3*time.Second), set("timeout", "")), 200},
		{"15 s ahead", ago(-15 * time.Second), 200},
		{"a wrapped signature", func(_ *world, c *call) {}, 200},
		{"any receiver header", set("bt_header_axon_hotkey", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"), 200},
		{"any name header", set("name", "Other"), 200},

		// The SDK of version 10.2 lets these in.
		{"no signature", set("bt_header_dendrite_signature", ""), 401},
		{"an hour old, an old version", func(_ *world, c *call) { c.nonce -= int64(time.Hour); c.version = "7001000" }, 401},
		{"an hour old, no version", both(ago(time.Hour), set("bt_header_dendrite_version", "")), 401},
		{"a year old, the caller waits forever", both(ago(365*24*time.Hour), set("timeout", "inf")), 400},
		{"a year old, the caller waits long", both(ago(365*24*time.Hour), set("timeout", "1e9")), 401},
		{"a year ahead", ago(-365 * 24 * time.Hour), 401},

		{"17 s old", ago(17 * time.Second), 401},
		{"16 s old", ago(16 * time.Second), 401},
		{"17 s ahead", ago(-17 * time.Second), 401},
		{"5 s old, no timeout header", both(ago(5*time.Second), set("timeout", "")), 401},
		{"a bad signature", set("bt_header_dendrite_signature", "0x"+strings.Repeat("0", 127)+"1"), 401},
		{"no 0x", set("bt_header_dendrite_signature", strings.Repeat("ab", 64)), 401},
		{"no nonce", set("bt_header_dendrite_nonce", ""), 401},
		{"another nonce", set("bt_header_dendrite_nonce", fmt.Sprint(start.UnixNano()-1)), 401},
		{"no hotkey", set("bt_header_dendrite_hotkey", ""), 401},
		{"another's hotkey", set("bt_header_dendrite_hotkey", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"), 401},
		{"a hotkey that is no point", set("bt_header_dendrite_hotkey", verify.AccountID{2: 0xff, 31: 0xff}.String()), 401},
		{"another uuid", set("bt_header_dendrite_uuid", "u2"), 401},
		{"signed for another axon", func(w *world, c *call) { c.receiver = w.alice.String() }, 401},
		{"no body hash header", set("computed_body_hash", ""), 401},
		{"the body hash None", func(_ *world, c *call) { c.hash = "None"; c.header["computed_body_hash"] = "" }, 401},
		{"no header of ours at all", func(_ *world, c *call) {
			for _, k := range []string{"name", "timeout", "bt_header_dendrite_version", "bt_header_dendrite_nonce", "bt_header_dendrite_uuid", "bt_header_dendrite_hotkey", "bt_header_dendrite_signature", "bt_header_input_obj_dummy_input", "computed_body_hash"} {
				c.header[k] = ""
			}
		}, 401},

		{"an unknown name", path("/Other"), 404},
		{"the root", path("/"), 404},
		{"below a name", path("/Dummy/x"), 404},
		{"another case", path("/dummy"), 404},
		{"docs", path("/docs"), 404},
		{"a slash at the end", path("/Dummy/"), 307},
		{"another method", func(_ *world, c *call) { c.method = "PUT" }, 405},
		{"HEAD", func(_ *world, c *call) { c.method = "HEAD" }, 405},

		{"a hash that is not the body's", func(_ *world, c *call) { c.hash = strings.Repeat("a", 64) }, 400},
		{"no header for a required field", set("bt_header_input_obj_dummy_input", ""), 400},
		{"a timeout that is no number", set("timeout", "soon"), 400},
		{"no body", body(""), 400},
		{"a field missing", body("{}"), 400},
		{"a field of the wrong type", body(`{"dummy_input": "x"}`), 400},
		{"no object", body(`[5]`), 400},
		{"no JSON", body(`{"dummy_input": `), 422},
		{"plain text", body(`dummy_input=5`), 422},
		{"NaN", body(`{"dummy_input": NaN}`), 422},
		{"a body that is too large", body(`{"dummy_input": 5, "x":"` + strings.Repeat("x", 1<<20) + `"}`), 413},
		{"the handler panics", both(path("/Boom"), body("{}")), 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			q := w.call()
			c.spoil(w, q)
			r := q.request(t)
			if c.name == "a wrapped signature" {
				sig, err := w.alice.Sign(wallet.Wrap(synapse.Message(q.nonce, w.alice.String(), q.receiver, q.uuid, q.hash)))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("bt_header_dendrite_signature", fmt.Sprintf("0x%x", sig))
			}
			rec := w.do(r)
			if rec.Code != c.want {
				t.Fatalf("%d %s, want %d", rec.Code, rec.Body, c.want)
			}
			if got := lower(rec.Header())["bt_header_axon_status_code"]; !slices.Equal(got, []string{fmt.Sprint(c.want)}) {
				t.Errorf("status header %q", got)
			}
			if ct := rec.Header()["Content-Type"]; !slices.Equal(ct, []string{"application/json"}) {
				t.Errorf("content type %q", ct)
			}
			if v := read(t, rec); c.want == 200 && v.Axon.Status != 200 || c.want != 200 && v.Message == "" {
				t.Errorf("%s", rec.Body)
			}
			if c.want == 500 && strings.Contains(rec.Body.String(), "boom") {
				t.Error("the caller learns why the handler failed")
			}
		})
	}
}

func TestNonces(t *testing.T) {
	w := newWorld(t)
	status := func(c *call) int { return w.do(c.request(t)).Code }
	first := w.call()
	if got := status(first); got != 200 {
		t.Fatal(got)
	}
	if got := status(first); got != 401 {
		t.Errorf("a replay: %d", got)
	}
	ahead := newWorld(t)
	c := ahead.call()
	c.nonce += int64(3 * time.Second)
	if got := ahead.do(c.request(t)).Code; got != 200 || ahead.Stats().Skew != 3*time.Second {
		t.Errorf("%d, a skew of %v", got, ahead.Stats().Skew)
	}
	lower := w.call()
	lower.nonce--
	if got := status(lower); got != 401 {
		t.Errorf("a lower nonce: %d", got)
	}
	other := w.call()
	other.uuid = "u2"
	if got := status(other); got != 200 {
		t.Errorf("the same nonce under another uuid: %d", got)
	}
	w.clock.Add(time.Second)
	if got := status(w.call()); got != 200 {
		t.Errorf("a second later: %d", got)
	}
	// The clock is set back: what was served is not served again.
	again := w.call()
	w.clock.Add(-10 * time.Second)
	if got := status(again); got != 401 {
		t.Errorf("a replay after the clock was set back: %d", got)
	}
	// A body with a spoofed identity and a status changes neither.
	w.clock.Add(20 * time.Second)
	spoof := w.call()
	spoof.body = `{"dummy_input":1,"dendrite":{"hotkey":"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty","nonce":7},"axon":{"status_code":500,"hotkey":"x"},"name":"Evil","timeout":1e300}`
	rec := w.do(spoof.request(t))
	v := read(t, rec)
	if rec.Code != 200 || v.Dendrite.Hotkey != w.alice.String() || v.Dendrite.Nonce != spoof.nonce || v.Axon.Status != 200 || v.Axon.Hotkey != w.bob.String() || *v.Output != 2 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestRestart: what one run served, the next one refuses, with the mark of the first or without.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	c := w.call()
	if got := w.do(c.request(t)).Code; got != 200 {
		t.Fatal(got)
	}
	w.clock.Add(time.Second)
	for _, floor := range []int64{0, w.HighWater()} {
		next := newWorld(t, func(cfg *Config) { cfg.Floor, cfg.Now = floor, w.clock.Now })
		if rec := next.do(c.request(t)); rec.Code != 401 || !strings.Contains(rec.Body.String(), "sign again") {
			t.Errorf("floor %d: %d %s", floor, rec.Code, rec.Body)
		}
		fresh := w.call()
		fresh.nonce++
		if got := next.do(fresh.request(t)).Code; got != 200 {
			t.Errorf("floor %d: a new request: %d", floor, got)
		}
	}
	// With its mark, a run serves at once who is behind by less than the window.
	behind := w.call()
	behind.nonce = c.nonce + 1
	if got := newWorld(t, func(cfg *Config) { cfg.Floor, cfg.Now = w.HighWater(), w.clock.Now }).do(behind.request(t)).Code; got != 200 {
		t.Errorf("a clock that is behind: %d", got)
	}
}

// TestWork counts what a request costs before it is refused: one that is not signed costs no check of a
// signature and no look at its body; one that is stale or a replay neither.
func TestWork(t *testing.T) {
	w := newWorld(t)
	if got := w.do(w.call().request(t)).Code; got != 200 {
		t.Fatal(got)
	}
	before := w.Stats()
	if before.Checked != 1 || before.BodiesRead != 1 || before.Handled != 1 || before.Callers != 1 {
		t.Fatalf("%+v", before)
	}
	for i := range 1000 {
		c := w.call() // the first one's nonce: a replay
		switch i % 4 {
		case 0:
			c.header["bt_header_dendrite_signature"] = ""
		case 1:
			c.nonce -= int64(time.Minute)
		case 2:
			c.header["bt_header_dendrite_hotkey"] = "5Grw"
		}
		r := c.request(t)
		r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) { t.Error("the body is read"); return 0, io.EOF }))
		if got := w.do(r).Code; got != 401 {
			t.Fatal(i, got)
		}
	}
	after := w.Stats()
	if after.Checked != before.Checked || after.BodiesRead != before.BodiesRead || after.Handled != before.Handled || after.Callers != 1 {
		t.Errorf("%+v, after %+v", after, before)
	}
	if after.Unsigned != 500 || after.Stale != 500 {
		t.Errorf("%+v", after)
	}
	// Wrong signatures cost a check each, or two, until the address has used up what it has for them.
	for i := range 1000 {
		c := w.call()
		c.nonce += int64(i)
		c.signer = key(t, fmt.Sprintf("//s%d", i))
		c.receiver = w.alice.String()
		if got := w.do(c.request(t)).Code; got != 401 && got != 429 {
			t.Fatal(got)
		}
	}
	if n := w.Stats().Checked - after.Checked; n > 202 || w.Stats().BodiesRead != before.BodiesRead {
		t.Errorf("%d signatures checked", n)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// standings is what a chain says.
type standings map[verify.AccountID]neuron.Standing

func (s standings) Standing(id verify.AccountID) neuron.Standing { return s[id] }

func TestPolicy(t *testing.T) {
	alice, bob, charlie := key(t, "//Alice"), key(t, "//Bob"), key(t, "//Charlie")
	chain := standings{alice.Account(): {Registered: true, UID: 3, Permit: true, Stake: 1000}, bob.Account(): {Registered: true, UID: 4, Stake: 10}}
	for _, c := range []struct {
		name   string
		policy Policy
		caller *wallet.Hotkey
		want   int
	}{
		{"everybody", Policy{}, charlie, 200},
		{"registered", Policy{Registered: true}, alice, 200},
		{"registered, a stranger", Policy{Registered: true}, charlie, 403},
		{"permit", Policy{Permit: true}, alice, 200},
		{"permit, a miner", Policy{Permit: true}, bob, 403},
		{"stake", Policy{Stake: 1000}, alice, 200},
		{"stake, too little", Policy{Stake: 1000}, bob, 403},
		{"allowed in spite of it", Policy{Stake: 1000, Allow: []verify.AccountID{bob.Account()}}, bob, 200},
		{"denied", Policy{Deny: []verify.AccountID{alice.Account()}}, alice, 403},
		{"denied and allowed", Policy{Deny: []verify.AccountID{alice.Account()}, Allow: []verify.AccountID{alice.Account()}}, alice, 403},
		{"blacklist", Policy{Blacklist: func(c neuron.Caller, name string) string { return name + fmt.Sprint(c.UID) }}, alice, 403},
	} {
		w := newWorld(t, func(cfg *Config) { cfg.Policy, cfg.Callers = c.policy, chain })
		q := w.call()
		q.signer = c.caller
		rec := w.do(q.request(t))
		if rec.Code != c.want || c.want == 403 && !strings.HasPrefix(read(t, rec).Message, "Forbidden. Key is blacklisted: ") {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
		}
		if c.name == "blacklist" && !strings.Contains(rec.Body.String(), "Dummy3") {
			t.Errorf("%s", rec.Body)
		}
		// Who is refused gets no further than that.
		if s := w.Stats(); c.want == 403 && (s.BodiesRead != 0 || s.Denied != 1) {
			t.Errorf("%s: %+v", c.name, s)
		}
		// Without a signature nobody learns who is on a list.
		q.header["bt_header_dendrite_signature"] = ""
		if got := w.do(q.request(t)).Code; got != 401 {
			t.Errorf("%s, unsigned: %d", c.name, got)
		}
	}
}

func TestRate(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Limits.Rate, cfg.Limits.Burst = 2, 3 })
	n := 0
	send := func() int {
		c := w.call()
		n++
		c.nonce += int64(n)
		return w.do(c.request(t)).Code
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		if got := send(); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	w.clock.Add(500 * time.Millisecond)
	for i, want := range []int{200, 429} {
		if got := send(); got != want {
			t.Errorf("half a second later, request %d: %d, want %d", i, got, want)
		}
	}
	w.clock.Add(-time.Hour)
	n = 0
	if got := send(); got == 200 { // its nonce is below the last
		t.Errorf("an hour back: %d", got)
	}
}

// TestBodies: bodies at once take no more than they may, whether they say their length or not.
func TestBodies(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Limits.Body, cfg.Limits.Memory = 30, 50 })
	for i, c := range []struct {
		held, length int64
		body         string
		want         int
	}{
		{0, 19, `{"dummy_input": 21}`, 200},
		{31, 19, `{"dummy_input": 21}`, 200},
		{32, 19, `{"dummy_input": 21}`, 503},
		{0, -1, `{"dummy_input": 21}`, 200},
		{21, -1, `{"dummy_input": 21}`, 503}, // it could have 30
		{0, -1, `{"dummy_input":              21}`, 413},
		{0, 31, `{"dummy_input":             21}`, 413},
		{0, 25, `{"dummy_input": 21}`, 408}, // it breaks off
	} {
		q := w.call()
		q.nonce += int64(i)
		q.body = c.body
		r := q.request(t)
		r.ContentLength = c.length
		w.memory.Store(c.held)
		if rec := w.do(r); rec.Code != c.want || w.memory.Load() != c.held {
			t.Errorf("case %d: %d %s, want %d, %d bytes held", i, rec.Code, rec.Body, c.want, w.memory.Load())
		}
	}
}

// TestWrongSignaturesCostTheirAddress: who uses another's name is stopped, and the other is not.
func TestWrongSignaturesCostTheirAddress(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Limits.Rate, cfg.Limits.Burst = 1e9, 1e9 })
	n := int64(0)
	send := func(addr string, good bool) int {
		c := w.call()
		n++
		c.nonce += n
		if !good {
			c.header["bt_header_dendrite_uuid"] = "another"
		}
		r := c.request(t)
		r.RemoteAddr = addr
		return w.do(r).Code
	}
	for range 500 { // a stranger to the chain, at any rate, pays once
		if got := send("198.51.100.1:1", true); got != 200 {
			t.Fatal(got)
		}
	}
	stopped := 0
	for range 500 {
		if got := send("198.51.100.2:1", false); got == 429 {
			stopped++
		} else if got != 401 {
			t.Fatal(got)
		}
	}
	if stopped < 300 {
		t.Errorf("%d of 500 wrong signatures are refused unchecked", stopped)
	}
	if got := send("198.51.100.1:1", true); got != 200 {
		t.Errorf("whose name was used: %d", got)
	}
	if got := send("127.0.0.1:1", true); got != 200 {
		t.Errorf("by a proxy: %d", got)
	}
}

// signed makes a request of btauth/1.
func (w *world) signed(t testing.TB, method, target, body string, change func(s *btauth.Signed)) *http.Request {
	t.Helper()
	to := w.bob.Account()
	s := btauth.Signed{Sender: w.alice.Account(), Receiver: &to, Nonce: w.clock.Now().UnixNano()}
	if change != nil {
		change(&s)
	}
	var err error
	if s.Signature, err = w.alice.Sign(btauth.Text(method, target, []byte(body), s.Nonce, s.Sender, s.Receiver)); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	s.SetHeaders(r.Header)
	return r
}

func TestSignedRequests(t *testing.T) {
	w := newWorld(t)
	r := w.signed(t, "POST", "/generate?stream=false&x=%20", `{"prompt": "hello"}`, nil)
	rec := w.do(r)
	if rec.Code != 200 || rec.Body.String() != `got {"prompt": "hello"}` || rec.Header().Get("Content-Type") != "text/plain" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if w.last.Query != "stream=false&x=%20" || w.last.Name != "/generate" || w.last.Caller.Hotkey != w.alice.Account() || string(w.last.Input) != `{"prompt": "hello"}` {
		t.Errorf("%+v", w.last)
	}
	for _, c := range []struct {
		name string
		make func() *http.Request
		want int
	}{
		{"a replay", func() *http.Request {
			return w.signed(t, "POST", "/generate?stream=false&x=%20", `{"prompt": "hello"}`, nil)
		}, 401},
		{"the same nonce for another request", func() *http.Request { return w.signed(t, "POST", "/generate", `x`, nil) }, 401},
		{"a lower nonce", func() *http.Request {
			return w.signed(t, "POST", "/generate", `x`, func(s *btauth.Signed) { s.Nonce -= 5 })
		}, 200},
		{"9 s old", func() *http.Request {
			return w.signed(t, "GET", "/generate", "", func(s *btauth.Signed) { s.Nonce -= int64(9 * time.Second) })
		}, 200},
		{"10 s old", func() *http.Request {
			return w.signed(t, "POST", "/generate", "", func(s *btauth.Signed) { s.Nonce -= int64(10 * time.Second) })
		}, 401},
		{"2 s ahead", func() *http.Request {
			return w.signed(t, "POST", "/generate", "", func(s *btauth.Signed) { s.Nonce += int64(2 * time.Second) })
		}, 200},
		{"3 s ahead", func() *http.Request {
			return w.signed(t, "POST", "/generate", "", func(s *btauth.Signed) { s.Nonce += int64(3 * time.Second) })
		}, 401},
		{"no receiver", func() *http.Request {
			return w.signed(t, "POST", "/generate", "", func(s *btauth.Signed) { s.Receiver, s.Nonce = nil, s.Nonce+1 })
		}, 401},
		{"another receiver", func() *http.Request {
			return w.signed(t, "POST", "/generate", "", func(s *btauth.Signed) { s.Receiver, s.Nonce = &s.Sender, s.Nonce+1 })
		}, 401},
		{"another body", func() *http.Request {
			r := w.signed(t, "POST", "/generate", "a", func(s *btauth.Signed) { s.Nonce += 2 })
			r.Body = io.NopCloser(strings.NewReader("b"))
			return r
		}, 401},
		{"another query", func() *http.Request {
			r := w.signed(t, "POST", "/generate?a=1", "a", func(s *btauth.Signed) { s.Nonce += 3 })
			r.RequestURI = "/generate?a=2"
			return r
		}, 401},
		{"another method", func() *http.Request {
			r := w.signed(t, "POST", "/generate", "a", func(s *btauth.Signed) { s.Nonce += 4 })
			r.Method = "GET"
			return r
		}, 401},
		{"not signed", func() *http.Request { return httptest.NewRequest("POST", "/generate", strings.NewReader("a")) }, 401},
		{"a v10 request", func() *http.Request { c := w.call(); c.path = "/generate"; return c.request(t) }, 401},
		{"for a synapse", func() *http.Request {
			return w.signed(t, "POST", "/Dummy", `{"dummy_input":5}`, func(s *btauth.Signed) { s.Nonce += 5 })
		}, 401},
	} {
		if rec := w.do(c.make()); rec.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, rec.Code, rec.Body, c.want)
		}
	}
	any := newWorld(t, func(cfg *Config) { cfg.Routes[2].AnyReceiver = true })
	if rec := any.do(any.signed(t, "POST", "/generate", "", func(s *btauth.Signed) { s.Receiver = nil })); rec.Code != 200 {
		t.Errorf("no receiver where none is wanted: %d %s", rec.Code, rec.Body)
	}
	deny := newWorld(t, func(cfg *Config) { cfg.Policy.Registered = true })
	if rec := deny.do(deny.signed(t, "POST", "/generate", "", nil)); rec.Code != 403 {
		t.Errorf("a stranger: %d", rec.Code)
	}
}

// TestOnce: of many requests with one nonce at once, one is served.
func TestOnce(t *testing.T) {
	w := newWorld(t)
	c := w.call()
	var served atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		r := c.request(t)
		wg.Go(func() {
			if w.do(r).Code == 200 {
				served.Add(1)
			}
		})
	}
	wg.Wait()
	if served.Load() != 1 {
		t.Errorf("served %d times", served.Load())
	}
}

// TestGivenBack: every request gives its place and its memory back once, however its handler ends.
func TestGivenBack(t *testing.T) {
	w := newWorld(t, func(cfg *Config) {
		cfg.Now, cfg.Limits.Rate, cfg.Limits.Burst, cfg.Limits.Workers = time.Now, 1e9, 1e9, 2
		cfg.Routes[0].Handler = neuron.HandlerFunc(func(ctx context.Context, r *neuron.Request) (*neuron.Reply, error) {
			switch r.Input[len(`{"dummy_input":`)] {
			case '1':
				return nil, errors.New("fails")
			case '2':
				panic("boom")
			case '3':
				runtime.Goexit()
			case '4':
				<-ctx.Done()
			}
			return nil, nil
		})
	})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				c := w.call()
				c.nonce, c.uuid, c.body = time.Now().UnixNano(), fmt.Sprint(g), fmt.Sprintf(`{"dummy_input":%d}`, i%5)
				r := c.request(t)
				if i%5 == 4 {
					ctx, cancel := context.WithCancel(t.Context())
					r = r.WithContext(ctx)
					go cancel()
				}
				w.do(r)
			}
		})
	}
	wg.Wait()
	// Handlers that were given up end a moment later.
	for w.memory.Load() != 0 {
		runtime.Gosched()
	}
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	if w.queue.free != 2 || len(w.queue.waiting) != 0 {
		t.Errorf("%d of 2 places free, %d wait", w.queue.free, len(w.queue.waiting))
	}
}

func TestHandlerErrors(t *testing.T) {
	var err error
	var out *neuron.Reply
	w := newWorld(t, func(cfg *Config) {
		cfg.Limits.Reply = 100
		cfg.Routes[0].Handler = neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) { return out, err })
	})
	for i, c := range []struct {
		reply *neuron.Reply
		err   error
		want  int
		says  string
	}{
		{nil, nil, 200, `"dummy_output":null`},
		{&neuron.Reply{}, nil, 200, `"dummy_output":null`},
		{&neuron.Reply{Body: []byte(`{"dummy_output":"9"}`)}, nil, 200, `"dummy_output":9`},
		{&neuron.Reply{Body: []byte(`{"dummy_output":"x"}`)}, nil, 500, "Internal Server Error #"},
		{&neuron.Reply{Body: []byte(`{"unknown":1}`)}, nil, 500, "Internal Server Error #"},
		{&neuron.Reply{Body: []byte(`rubbish`)}, nil, 500, "Internal Server Error #"},
		{&neuron.Reply{Body: make([]byte, 101)}, nil, 500, "Internal Server Error #"},
		{nil, errors.New("secret reason"), 500, "Internal Server Error #"},
		{nil, neuron.Errorf(429, "later"), 429, "later"},
		{nil, fmt.Errorf("wrapped: %w", neuron.Errorf(503, "no model\r\nX-Evil: 1")), 503, "no model"},
		{nil, neuron.Errorf(200, "what"), 500, "Internal Server Error #"},
	} {
		out, err = c.reply, c.err
		q := w.call()
		q.nonce += int64(i)
		rec := w.do(q.request(t))
		if rec.Code != c.want || !strings.Contains(rec.Body.String(), c.says) || strings.Contains(rec.Body.String(), "secret") ||
			strings.ContainsAny(lower(rec.Header())["bt_header_axon_status_message"][0], "\r\n") {
			t.Errorf("%+v, %v: %d %s", c.reply, c.err, rec.Code, rec.Body)
		}
	}
	if n := len(w.queue.waiting); n != 0 || w.queue.free != 16 || w.memory.Load() != 0 {
		t.Errorf("%d wait, %d places free, %d bytes held", n, w.queue.free, w.memory.Load())
	}
}

func TestNew(t *testing.T) {
	bob := key(t, "//Bob").Account()
	ok := Route{Synapse: synapse.Dummy(), Handler: double}
	for _, c := range []struct {
		name string
		cfg  Config
		good bool
	}{
		{"good", Config{Hotkey: bob, Routes: []Route{ok}}, true},
		{"both forms", Config{Hotkey: bob, Routes: []Route{{Synapse: synapse.Dummy(), Path: "/Dummy", Handler: double}}}, true},
		{"its own ping", Config{Hotkey: bob, Routes: []Route{{Synapse: synapse.Ping(), Handler: double}}}, true},
		{"no hotkey", Config{Routes: []Route{ok}}, false},
		{"no route", Config{Hotkey: bob}, false},
		{"no handler", Config{Hotkey: bob, Routes: []Route{{Synapse: synapse.Dummy()}}}, false},
		{"neither", Config{Hotkey: bob, Routes: []Route{{Handler: double}}}, false},
		{"twice", Config{Hotkey: bob, Routes: []Route{ok, ok}}, false},
		{"a bad synapse", Config{Hotkey: bob, Routes: []Route{{Synapse: &synapse.Spec{}, Handler: double}}}, false},
		{"a path without slash", Config{Hotkey: bob, Routes: []Route{{Path: "x", Handler: double}}}, false},
		{"a path with a query", Config{Hotkey: bob, Routes: []Route{{Path: "/x?y", Handler: double}}}, false},
	} {
		if _, err := New(c.cfg); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	f.Add("/Dummy", "POST", "bt_header_dendrite_signature", "0xab", []byte(`{"dummy_input":5}`))
	f.Add("/generate?x", "GET", "X-Bittensor-Version", "1", []byte(``))
	f.Fuzz(func(t *testing.T, path, method, header, value string, body []byte) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		c := w.call()
		w.clock.Add(1)
		r := c.request(t)
		r.Method, r.URL.Path, r.RequestURI = method, path, path
		r.Header.Set(header, value)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		rec := w.do(r)
		if rec.Code < 200 || rec.Code > 599 || rec.Code == 500 && path != "/Boom" {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if w.memory.Load() != 0 || w.queue.free != 16 {
			t.Fatal("something is not given back")
		}
	})
}
