package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
)

// patience bounds every wait of these tests; none of them is about time.
const patience = 60 * time.Second

// nobody is a chain of which nothing is known.
type nobody struct{ Chain }

func (nobody) WaitFinal(context.Context) error { return lightclient.ErrNotFinal }
func (nobody) Heads(context.Context) (*lightclient.Heads, error) {
	return nil, lightclient.ErrNotFinal
}
func (nobody) Status(context.Context) (*lightclient.Status, error) {
	return nil, lightclient.ErrNotFinal
}
func (nobody) PeerID(context.Context) (string, error) { return "", lightclient.ErrNotFinal }
func (nobody) Peers(context.Context) ([]lightclient.PeerStatus, []lightclient.BanStatus, error) {
	return nil, nil, lightclient.ErrNotFinal
}

// waiting is one that never catches up.
type waiting struct{ nobody }

func (waiting) WaitFinal(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// serve starts a server on a port of its own.
func serve(t testing.TB, cfg Config) (s *Server, addr string) {
	t.Helper()
	if cfg.Chain == nil {
		cfg.Chain = nobody{}
	}
	if cfg.Genesis.IsZero() {
		cfg.Genesis = verify.Hash{1}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// following runs a demo network and a node that has caught up with it.
func following(t testing.TB, cfg demonet.Config, best bool) (*demonet.Network, *lightclient.Node, string) {
	t.Helper()
	net, node := joined(t, cfg)
	_, addr := serve(t, Config{Chain: node, Genesis: net.Genesis(), Name: "taolight demo", Type: "Development", Version: "test", Best: best,
		Properties: json.RawMessage(`{"ss58Format":42,"tokenDecimals":9,"tokenSymbol":"TAO"}`)})
	return net, node, addr
}

func joined(t testing.TB, cfg demonet.Config) (*demonet.Network, *lightclient.Node) {
	t.Helper()
	if cfg.BlockTime == 0 {
		cfg.BlockTime = 100 * time.Millisecond
	}
	net, err := demonet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Stop)
	light := lightclient.Config{Checkpoint: net.Checkpoint(), Version: "test", Demo: true, BackDated: true, Seed: 1}
	if light.Engine, err = runtime.New(runtime.Config{Interpreter: true}); err != nil {
		t.Fatal(err)
	}
	for _, a := range net.Bootnodes() {
		light.Bootnodes = append(light.Bootnodes, a.String())
	}
	node, err := lightclient.New(light)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	wctx, wcancel := context.WithTimeout(ctx, patience)
	defer wcancel()
	if err := node.WaitFinal(wctx); err != nil {
		t.Fatal(err)
	}
	return net, node
}

// run makes blocks until the test ends.
func run(t testing.TB, net *demonet.Network) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); net.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// realSpec is the chain spec with the runtime of the test network's genesis, spec 103.
func realSpec(t testing.TB) []byte {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set: no chain spec with a runtime")
	}
	spec, err := os.ReadFile(filepath.Join(dir, "chain", "raw_spec_testfinney.json"))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// A message is whatever a server says.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *Error          `json:"error"`
	Method  string          `json:"method"`
	Params  struct {
		Subscription string          `json:"subscription"`
		Result       json.RawMessage `json:"result"`
	} `json:"params"`
}

func post(t testing.TB, addr, body string) (int, []byte) {
	t.Helper()
	r, err := http.Post("http://"+addr, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, b
}

// ask posts one request.
func ask(t testing.TB, addr, method string, params ...any) message {
	t.Helper()
	if params == nil {
		params = []any{}
	}
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	code, answer := post(t, addr, string(b))
	var m message
	if err := json.Unmarshal(answer, &m); err != nil || code != 200 || string(m.ID) != "7" || m.Version != "2.0" {
		t.Fatalf("%s: %d %s: %v", method, code, answer, err)
	}
	return m
}

// want asks, and the answer has to be that.
func want(t testing.TB, addr, result, method string, params ...any) {
	t.Helper()
	m := ask(t, addr, method, params...)
	if m.Error != nil || string(m.Result) != result {
		t.Errorf("%s: %s, %v; want %s", method, m.Result, m.Error, result)
	}
}

// fails asks, and the answer has to be an error with that code and text.
func fails(t testing.TB, addr string, code int, text, method string, params ...any) {
	t.Helper()
	m := ask(t, addr, method, params...)
	if m.Error == nil || m.Error.Code != code || !strings.Contains(m.Error.Message+" "+fmt.Sprint(m.Error.Data), text) {
		t.Errorf("%s: %s, %+v; want %d %q", method, m.Result, m.Error, code, text)
	}
}

// A socket is a WebSocket client.
type wsock struct {
	t    testing.TB
	ws   *websocket.Conn
	next int
	told []message // notifications that came between
}

func dial(t testing.TB, addr string) *wsock {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return &wsock{t: t, ws: ws}
}

func (k *wsock) read() (message, error) {
	k.ws.SetReadDeadline(time.Now().Add(patience))
	_, b, err := k.ws.ReadMessage()
	var m message
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
}

// ask sends a request and returns its answer; what is told meanwhile is kept.
func (k *wsock) ask(method string, params ...any) message {
	k.t.Helper()
	if params == nil {
		params = []any{}
	}
	k.next++
	if err := k.ws.WriteJSON(map[string]any{"jsonrpc": "2.0", "id": k.next, "method": method, "params": params}); err != nil {
		k.t.Fatal(err)
	}
	for {
		m, err := k.read()
		if err != nil {
			k.t.Fatalf("%s: %v", method, err)
		}
		if m.Method != "" {
			k.told = append(k.told, m)
			continue
		}
		if string(m.ID) != fmt.Sprint(k.next) {
			k.t.Fatalf("%s: an answer to %s, not %d", method, m.ID, k.next)
		}
		return m
	}
}

// text asks for something that is a text.
func (k *wsock) text(method string, params ...any) (s string) {
	k.t.Helper()
	m := k.ask(method, params...)
	if m.Error != nil || json.Unmarshal(m.Result, &s) != nil {
		k.t.Fatalf("%s: %s, %v", method, m.Result, m.Error)
	}
	for _, m := range k.told {
		if m.Params.Subscription == s {
			k.t.Errorf("%s: told of %s before its name", method, s)
		}
	}
	return s
}

// tell returns the next notification of a subscription.
func (k *wsock) tell(id string) (method string, result json.RawMessage) {
	k.t.Helper()
	for i := 0; ; i++ {
		if i == len(k.told) {
			m, err := k.read()
			if err != nil {
				k.t.Fatal(err)
			}
			if m.Method == "" {
				k.t.Fatalf("an answer that nobody asked for: %s", m.ID)
			}
			k.told = append(k.told, m)
		}
		if m := k.told[i]; m.Params.Subscription == id {
			k.told = append(k.told[:i], k.told[i+1:]...)
			return m.Method, m.Params.Result
		}
	}
}
