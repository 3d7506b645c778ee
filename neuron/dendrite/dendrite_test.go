package dendrite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/axon"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
)

func key(t testing.TB, suri string) *wallet.Hotkey {
	t.Helper()
	k, err := wallet.Parse([]byte(suri))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type gate struct{ err error }

func (g *gate) MaySign() error { return g.err }

func signer(t testing.TB, g *gate) *wallet.Signer {
	t.Helper()
	s, err := wallet.NewSigner(key(t, "//Alice"), g)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dendrite(t testing.TB, change ...func(*Config)) *Dendrite {
	t.Helper()
	cfg := Config{Signer: signer(t, &gate{}), IP: "198.51.100.7", Private: true}
	for _, f := range change {
		f(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func dummy(t testing.TB, body string) *synapse.Values {
	t.Helper()
	v, err := synapse.Dummy().Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// serve runs an axon of //Bob on loopback.
func serve(t testing.TB, routes ...axon.Route) Target {
	t.Helper()
	bob := key(t, "//Bob")
	a, err := axon.New(axon.Config{Hotkey: bob.Account(), Routes: routes, IP: "127.0.0.1", Port: 8091, Limits: axon.Limits{Grace: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := axon.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return Target{bob.Account(), "http://" + l.Addr().String()}
}

var double = neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
	var n int
	if _, err := fmt.Sscanf(string(r.Input), `{"dummy_input":%d`, &n); err != nil {
		return nil, err
	}
	return &neuron.Reply{Body: fmt.Appendf(nil, `{"dummy_input":-1,"dummy_output":%d}`, 2*n)}, nil
})

func TestCall(t *testing.T) {
	to := serve(t, axon.Route{Synapse: synapse.Dummy(), Handler: double})
	d := dendrite(t)
	for n := range 3 {
		r, err := d.Call(t.Context(), to, dummy(t, fmt.Sprintf(`{"dummy_input":%d}`, n)), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		// The axon changed the input; what we asked stays what we asked.
		if got := string(r.Values.Object()); got != fmt.Sprintf(`{"dummy_input":%d,"dummy_output":%d}`, n, 2*n) || r.Took <= 0 {
			t.Errorf("%s", got)
		}
	}
	ping, err := synapse.Ping().Read([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Call(t.Context(), to, ping, 5*time.Second); err != nil {
		t.Errorf("ping: %v", err)
	}
	// Many at once, in whatever order they arrive.
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := d.Call(t.Context(), to, dummy(t, `{"dummy_input":1}`), 5*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var e *Error
	if _, err := d.Call(t.Context(), Target{d.cfg.Signer.Account(), to.URL}, dummy(t, `{"dummy_input":1}`), time.Second); !errors.As(err, &e) || e.Status != 401 {
		t.Errorf("signed for another axon: %v", err)
	}
	other, err := (&synapse.Spec{Name: "Other"}).Read([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Call(t.Context(), to, other, time.Second); !errors.As(err, &e) || e.Status != 404 || !strings.Contains(e.Message, "Available synapses") {
		t.Errorf("an unknown synapse: %v", err)
	}
}

func TestStreams(t *testing.T) {
	step := make(chan bool)
	to := serve(t, axon.Route{Synapse: &synapse.Spec{Name: "Talk"}, Path: "/talk", Handler: neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
		return &neuron.Reply{Stream: func(w io.Writer) error {
			for i := range 3 {
				<-step // each piece arrives before the next is made
				fmt.Fprintf(w, "piece %d.", i)
			}
			if r.Query == "fail" {
				return errors.New("broke")
			}
			return nil
		}}, nil
	})})
	d := dendrite(t)
	talk, err := (&synapse.Spec{Name: "Talk"}).Read([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for i, open := range []func() (*Stream, error){
		func() (*Stream, error) { return d.Stream(t.Context(), to, talk, 5*time.Second) },
		func() (*Stream, error) { return d.Send(t.Context(), to, Message{Path: "/talk?x=1"}, 5*time.Second) },
		func() (*Stream, error) { return d.Send(t.Context(), to, Message{Path: "/talk?fail"}, 5*time.Second) },
	} {
		go func() { step <- true }()
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 8)
		for i := range 3 {
			if i > 0 {
				step <- true
			}
			if _, err := io.ReadFull(s, b); err != nil || string(b) != fmt.Sprintf("piece %d.", i) {
				t.Fatalf("%q, %v", b, err)
			}
		}
		_, err = s.Read(b)
		// The third one breaks off, and that can be told.
		if s.Status != 200 || s.ContentType != "text/event-stream" || (err == io.EOF) != (i < 2) {
			t.Errorf("stream %d: %d %s %v", i, s.Status, s.ContentType, err)
		}
		s.Close()
		s.Close()
	}
	if n := cap(d.slots) - len(d.slots); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

// TestFailedStreamIsCut: a stream that breaks off is told from one that ends.
func TestFailedStreamIsCut(t *testing.T) {
	to := serve(t, axon.Route{Path: "/talk", Handler: neuron.HandlerFunc(func(context.Context, *neuron.Request) (*neuron.Reply, error) {
		return &neuron.Reply{Stream: func(w io.Writer) error { io.WriteString(w, "half"); return errors.New("broke") }}, nil
	})})
	s, err := dendrite(t).Send(t.Context(), to, Message{Path: "/talk"}, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if b, err := io.ReadAll(s); string(b) != "half" || err == nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSend(t *testing.T) {
	to := serve(t, axon.Route{Path: "/generate", Handler: neuron.HandlerFunc(func(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
		return &neuron.Reply{Body: fmt.Appendf(nil, "%s %s %s", r.Method, r.Query, r.Input), ContentType: "text/plain"}, nil
	})})
	d := dendrite(t)
	for _, c := range []struct {
		m      Message
		status int
		body   string
	}{
		{Message{Path: "/generate?a=%20b", Body: []byte("x")}, 200, "POST a=%20b x"},
		{Message{Method: "GET", Path: "/generate"}, 200, "GET  "},
		{Message{Path: "/none"}, 404, `{"message":"Synapse name 'none' not found. Available synapses ['Synapse']"}`},
	} {
		s, err := d.Send(t.Context(), to, c.m, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(s)
		s.Close()
		if s.Status != c.status || string(b) != c.body || err != nil {
			t.Errorf("%+v: %d %s, %v", c.m, s.Status, b, err)
		}
	}
	for _, path := range []string{"", "generate", "http://127.0.0.1/x", "/a b", "/x#y", "//host/x", "/%zz"} {
		if s, err := d.Send(t.Context(), to, Message{Path: path}, time.Second); err == nil && path != "//host/x" {
			t.Errorf("path %q: %d", path, s.Status)
		}
	}
}

// TestGate: with the gate shut nothing is signed and nothing is sent.
func TestGate(t *testing.T) {
	hits := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer s.Close()
	g := &gate{errors.New("the clock is not trusted")}
	d := dendrite(t, func(c *Config) { c.Signer = signer(t, g) })
	to := Target{key(t, "//Bob").Account(), s.URL}
	if _, err := d.Call(t.Context(), to, dummy(t, `{"dummy_input":1}`), time.Second); !errors.Is(err, wallet.ErrNotNow) {
		t.Error(err)
	}
	if _, err := d.Send(t.Context(), to, Message{Path: "/x"}, time.Second); !errors.Is(err, wallet.ErrNotNow) {
		t.Error(err)
	}
	if _, err := d.Stream(t.Context(), to, dummy(t, `{"dummy_input":1}`), time.Second); !errors.Is(err, wallet.ErrNotNow) {
		t.Error(err)
	}
	if n := cap(d.slots) - len(d.slots); hits != 0 || n != 0 {
		t.Errorf("%d requests were sent, %d places are taken", hits, n)
	}
}

// TestReplies has a server that says what it likes.
func TestReplies(t *testing.T) {
	const good = `{"name":"Dummy","dummy_input":1,"dummy_output":2}`
	big := strings.Repeat("x", 2000)
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		want   int // of the error; 0: none
		is     error
	}{
		{"good", 200, map[string]string{"bt_header_axon_status_code": "200"}, good, 0, nil},
		{"good without a status header", 200, nil, good, 0, nil},
		{"a type with a charset", 200, map[string]string{"Content-Type": "application/json; charset=utf-8"}, good, 0, nil},
		{"another type", 200, map[string]string{"Content-Type": "text/html"}, good, 422, ErrReply},
		{"no JSON", 200, nil, "<html>", 422, ErrReply},
		{"an input is missing", 200, nil, `{"dummy_output":2}`, 422, ErrReply},
		{"an output of the wrong type", 200, nil, `{"dummy_input":1,"dummy_output":"x"}`, 422, ErrReply},
		{"too large", 200, nil, `{"dummy_input":1,"x":"` + big + `"}`, 422, ErrLarge},
		{"the header's status wins", 200, map[string]string{"bt_header_axon_status_code": "408"}, good, 408, nil},
		{"a status that is none", 200, map[string]string{"bt_header_axon_status_code": "OK"}, good, 422, ErrReply},
		{"an error that calls itself good", 500, map[string]string{"bt_header_axon_status_code": "200"}, `{"message":"no"}`, 500, nil},
		{"forbidden", 403, nil, `{"message":"Forbidden.\u001b[31m"}`, 403, nil},
		{"an error that is large", 500, nil, big, 500, nil},
		{"a redirect", 307, map[string]string{"Location": "/Dummy"}, "", 307, nil},
		{"of another request", 200, map[string]string{"bt_header_dendrite_nonce": "5"}, good, 422, ErrReply},
		{"of another dendrite", 200, map[string]string{"bt_header_dendrite_uuid": "5"}, good, 422, ErrReply},
		{"large headers", 200, map[string]string{"X": strings.Repeat("x", 64<<10)}, good, 503, nil},
	} {
		hits := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hits++
			w.Header().Set("Content-Type", "application/json")
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		s.Config.ErrorLog = nil
		d := dendrite(t, func(cfg *Config) { cfg.MaxReply = 1000 })
		r, err := d.Call(t.Context(), Target{key(t, "//Bob").Account(), s.URL}, dummy(t, `{"dummy_input":1}`), 5*time.Second)
		d.Close()
		s.Close()
		var e *Error
		switch {
		case c.want == 0:
			if err != nil || string(r.Values.Get("dummy_output")) != "2" {
				t.Errorf("%s: %v", c.name, err)
			}
		case !errors.As(err, &e) || e.Status != c.want || c.is != nil && !errors.Is(err, c.is):
			t.Errorf("%s: %v, want %d %v", c.name, err, c.want, c.is)
		case strings.ContainsRune(e.Error(), 0x1b) || len(e.Error()) > 1000:
			t.Errorf("%s: %q", c.name, e)
		}
		if hits != 1 {
			t.Errorf("%s: asked %d times", c.name, hits)
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	bob := key(t, "//Bob").Account()
	var e *Error
	if _, err := dendrite(t).Call(t.Context(), Target{bob, "http://" + addr}, dummy(t, `{"dummy_input":1}`), time.Second); !errors.As(err, &e) || e.Status != 503 {
		t.Errorf("nobody there: %v", err)
	}
	// Without leave, nothing of this machine or its network is dialled, by number or by name.
	d := dendrite(t, func(c *Config) { c.Private = false })
	for _, u := range []string{"http://127.0.0.1:1", "http://localhost:1", "http://10.0.0.1:1", "http://192.168.1.1:1", "http://0.0.0.0:1", "http://169.254.169.254",
		"http://[::1]:1", "http://[fd00::1]:1", "http://100.64.0.1:1", "http://255.255.255.255:1", "http://224.0.0.1:1", "http://[::ffff:127.0.0.1]:1", "http://192.0.2.1:1", "http://203.0.113.9:1", "http://[2001:db8::1]:1", "http://[64:ff9b::7f00:1]:1"} {
		if _, err := d.Call(t.Context(), Target{bob, u}, dummy(t, `{"dummy_input":1}`), time.Second); !errors.Is(err, ErrPrivate) {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, address := range []string{"8.8.8.8:1", "[2606:4700::1]:443", "100.128.0.1:1"} {
		if err := public(address); err != nil {
			t.Error(err)
		}
	}
	for _, u := range []string{"", "ftp://1.2.3.4", "http://", "1.2.3.4:5", "http://u:p@1.2.3.4", "http://1.2.3.4/path", "http://1.2.3.4?q", "http://1.2.3.4#f"} {
		if _, err := dendrite(t).Call(t.Context(), Target{bob, u}, dummy(t, `{"dummy_input":1}`), time.Second); err == nil || errors.As(err, &e) {
			t.Errorf("%q: %v", u, err)
		}
	}
}

// TestTimeout: a server that never answers, and one that never ends.
func TestTimeout(t *testing.T) {
	quit := make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/Synapse" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		}
		<-quit
	}))
	defer s.Close()
	defer close(quit)
	d := dendrite(t, func(c *Config) { c.Concurrent = 1 })
	to := Target{key(t, "//Bob").Account(), s.URL}
	ping, err := synapse.Ping().Read([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*synapse.Values{dummy(t, `{"dummy_input":1}`), ping} {
		var e *Error
		if _, err := d.Call(t.Context(), to, v, 20*time.Millisecond); !errors.As(err, &e) || e.Status != 408 {
			t.Errorf("%v", err)
		}
	}
	// Who waits for a place waits no longer than the call may take.
	st, err := d.Stream(t.Context(), to, ping, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := d.Call(t.Context(), to, ping, 20*time.Millisecond); !errors.As(err, &e) || e.Status != 408 {
		t.Errorf("%v", err)
	}
	st.Close()
}

// TestNonce: nonces go up whatever the clock does.
func TestNonce(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	d := dendrite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	var all []int64
	for i := range 10 {
		if i == 5 {
			now = now.Add(-time.Hour)
		}
		all = append(all, d.nonce())
	}
	if !slices.IsSorted(all) || len(slices.Compact(all)) != 10 {
		t.Error(all)
	}
}

// A record is what went over a wire.
type record struct {
	mu sync.Mutex
	b  strings.Builder
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// TestOnTheWire looks at the bytes: the headers of a reply are in lower case, as the SDK's client needs them,
// and so are those of a request.
func TestOnTheWire(t *testing.T) {
	to := serve(t, axon.Route{Synapse: synapse.Dummy(), Handler: double})
	var request, response record
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp4", strings.TrimPrefix(to.URL, "http://"))
		if err != nil {
			return
		}
		go io.Copy(io.MultiWriter(&request, out), in)
		io.Copy(io.MultiWriter(&response, in), out)
	}()
	d := dendrite(t)
	if _, err := d.Call(t.Context(), Target{to.Hotkey, "http://" + l.Addr().String()}, dummy(t, `{"dummy_input":21}`), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"\r\nname: Dummy\r\n", "\r\ntimeout: 5.0\r\n", "\r\nbt_header_axon_hotkey: 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty\r\n", "\r\nbt_header_dendrite_ip: 198.51.100.7\r\n",
		"\r\nbt_header_dendrite_version: 10002000\r\n", "\r\nbt_header_input_obj_dummy_input: MA==\r\n", "\r\ncomputed_body_hash: " + synapse.EmptyHash + "\r\n"} {
		if !strings.Contains(request.String(), line) {
			t.Errorf("no %q in the request\n%s", line, request.String())
		}
		if !strings.Contains(response.String(), line) {
			t.Errorf("no %q in the reply\n%s", line, response.String())
		}
	}
	if !strings.Contains(response.String(), "\r\nbt_header_axon_status_code: 200\r\n") || !strings.HasSuffix(response.String(), `"dummy_input":-1,"dummy_output":42}`) {
		t.Errorf("%s", response.String())
	}
}
