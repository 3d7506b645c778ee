package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify"
)

func TestFrames(t *testing.T) {
	_, addr := serve(t, Config{Name: "N"})
	for _, c := range []struct{ in, out string }{
		{`{"jsonrpc":"2.0","id":1,"method":"system_chain"}`, `{"jsonrpc":"2.0","id":1,"result":"N"}`},
		{`{"jsonrpc":"2.0","id":"a","method":"system_chain","params":null}`, `{"jsonrpc":"2.0","id":"a","result":"N"}`},
		{`{"jsonrpc":"2.0","id":null,"method":"system_chain","params":[]}`, `{"jsonrpc":"2.0","id":null,"result":"N"}`},
		{` {"jsonrpc":"2.0","id":-1.5,"method":"system_chain","params":{}}`, `{"jsonrpc":"2.0","id":-1.5,"result":"N"}`},
		{`{"jsonrpc":"2.0","method":"system_chain"}`, ``},
		{`{"jsonrpc":"2.0","id":1,"method":"nope"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`},
		{`{"id":1,"method":"system_chain"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request"}}`},
		{`{"jsonrpc":"2.0","id":{},"method":"system_chain"}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":7}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
		{`{"jsonrpc":"2.0","id":1,`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{``, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{`[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
		{`[1]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}]`},
		{`[{"jsonrpc":"2.0","id":1,"method":"system_chain"},{"jsonrpc":"2.0","method":"system_chain"},{"jsonrpc":"2.0","id":2,"method":"x"}]`,
			`[{"jsonrpc":"2.0","id":1,"result":"N"},{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}]`},
		{`[{"jsonrpc":"2.0","method":"system_chain"}]`, ``},
		{`[{"jsonrpc":"2.0","id":1,"method":"system_chain"}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"state_getStorage","params":{"wrong":1}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params","data":"no parameter \"wrong\""}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"state_getStorage"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params","data":"parameter 1: key is missing"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"chain_subscribeNewHeads"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Subscriptions are not available over HTTP: use WebSocket"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"chain_getHead"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"the node has not caught up with the chain yet"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"author_submitExtrinsic","params":["0x00"]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`},
	} {
		code, b := post(t, addr, c.in)
		if string(b) != c.out || (code != 200 && c.out != "") || (code != 204 && c.out == "") {
			t.Errorf("%s\n got %d %s\nwant %s", c.in, code, b, c.out)
		}
	}
}

// TestBatches: one of 10,000 is refused as a whole, one of as many as may be is answered in order.
func TestBatches(t *testing.T) {
	_, addr := serve(t, Config{Name: "N"})
	batch := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"jsonrpc":"2.0","id":%d,"method":"system_chain"}`, i)
		}
		return "[" + b.String()[1:] + "]"
	}
	for _, over := range []string{"http", "ws"} {
		send := func(s string) []byte { _, b := post(t, addr, s); return b }
		if over == "ws" {
			k := dial(t, addr)
			send = func(s string) []byte {
				if err := k.ws.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
					t.Fatal(err)
				}
				_, b, err := k.ws.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
		}
		if b := send(batch(10_000)); string(b) != `{"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"The batch request was too large","data":"Exceeded max limit of 1024"}}` {
			t.Errorf("%s: 10,000: %.300s", over, b)
		}
		var list []message
		if err := json.Unmarshal(send(batch(1024)), &list); err != nil || len(list) != 1024 {
			t.Fatalf("%s: %d answers, %v", over, len(list), err)
		}
		for i, m := range list {
			if string(m.ID) != fmt.Sprint(i) || string(m.Result) != `"N"` {
				t.Fatalf("%s: answer %d: %s %s", over, i, m.ID, m.Result)
			}
		}
	}
}

// TestTooLarge: a frame over the limit is refused, on both ways, and the next client is served.
func TestTooLarge(t *testing.T) {
	_, addr := serve(t, Config{Name: "N", Limits: Limits{Request: 100_000}})
	frame := `{"jsonrpc":"2.0","id":1,"method":"system_chain","params":["` + strings.Repeat("x", 99_900) + `"]}`
	if code, b := post(t, addr, frame); code != 200 {
		t.Errorf("just below: %d %s", code, b)
	}
	frame = strings.Replace(frame, "xx", strings.Repeat("x", 200), 1)
	if code, _ := post(t, addr, frame); code != http.StatusRequestEntityTooLarge {
		t.Errorf("over it: %d", code)
	}
	k := dial(t, addr)
	k.ws.WriteMessage(websocket.TextMessage, []byte(frame))
	if _, err := k.read(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("WebSocket: %v", err)
	}
	if s := dial(t, addr).text("system_chain"); s != "N" {
		t.Error(s)
	}
}

// TestRebinding: a name that somebody made point here, or a page from elsewhere, is turned away on both ways.
func TestRebinding(t *testing.T) {
	_, addr := serve(t, Config{Name: "N", Hosts: []string{"pi.lan"}, Origins: []string{"https://polkadot.js.org"}})
	_, port, _ := net.SplitHostPort(addr)
	_, open := serve(t, Config{Name: "N", Origins: []string{"*"}})
	for _, c := range []struct {
		host, origin string
		ok           bool
	}{
		{addr, "", true},
		{"localhost:" + port, "", true},
		{"LOCALHOST.", "", true},
		{"[::1]:" + port, "", true},
		{"127.0.0.7:" + port, "", true},
		{"pi.lan:" + port, "", true},
		{"evil.example:" + port, "", false},
		{"evil.example", "http://evil.example", false},
		{"localhost.evil.example:" + port, "", false},
		{"127.0.0.1.evil.example:" + port, "", false},
		{"192.0.2.1:" + port, "", false}, // not where the request came in
		{"", "", false},
		{addr, "https://polkadot.js.org", true},
		{addr, "http://localhost:3000", true},
		{addr, "https://127.0.0.1", true},
		{addr, "http://[::1]:8080", true},
		{addr, "https://evil.example", false},
		{addr, "http://polkadot.js.org", false},
		{addr, "https://polkadot.js.org.evil.example", false},
		{addr, "https://localhost.evil.example", false},
		{addr, "null", false},
		{addr, "file://", false},
		{addr, "chrome-extension://localhost", false},
	} {
		for _, way := range []string{"post", "options", "socket"} {
			q, _ := http.NewRequest("POST", "http://"+addr, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"system_chain"}`))
			ok := http.StatusOK
			switch way {
			case "options":
				q.Method, q.Body, q.ContentLength, ok = "OPTIONS", nil, 0, http.StatusNoContent
			case "socket":
				q.Method, q.Body, q.ContentLength, ok = "GET", nil, 0, http.StatusSwitchingProtocols
				for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
					q.Header.Set(k, v)
				}
			}
			q.Host = c.host
			if c.host == "" {
				q.Host = "-"
			}
			q.Header.Set("Content-Type", "application/json")
			if c.origin != "" {
				q.Header.Set("Origin", c.origin)
			}
			r, err := http.DefaultTransport.RoundTrip(q)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if c.ok && r.StatusCode != ok || !c.ok && r.StatusCode != http.StatusForbidden {
				t.Errorf("%s, host %q, origin %q: %s", way, c.host, c.origin, r.Status)
			}
			if got := r.Header.Get("Access-Control-Allow-Origin"); way != "socket" && c.ok && got != c.origin || !c.ok && got != "" {
				t.Errorf("%s, host %q, origin %q: allowed to %q", way, c.host, c.origin, got)
			}
		}
	}
	q, _ := http.NewRequest("OPTIONS", "http://"+open, nil)
	q.Header.Set("Origin", "https://anything.example")
	if r, err := http.DefaultTransport.RoundTrip(q); err != nil || r.StatusCode != http.StatusNoContent {
		t.Errorf("any origin: %v, %v", r, err)
	}
	// What a page may send without asking is not taken for JSON-RPC.
	r, err := http.Post("http://"+addr, "text/plain", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"system_chain"}`))
	if err != nil || r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: %v, %v", r.Status, err)
	}
}

func TestRate(t *testing.T) {
	var r rates
	now := time.Unix(1000, 0)
	for i := range 20 {
		if !r.take("a", 10, 1, now) {
			t.Fatalf("refused the %dth", i)
		}
	}
	if r.take("a", 10, 1, now) || !r.take("b", 10, 20, now) || r.take("b", 10, 1, now) {
		t.Error("the accounts are not apart, or not full")
	}
	if now = now.Add(time.Second); !r.take("a", 10, 10, now) || r.take("a", 10, 1, now) {
		t.Error("an account does not fill by its rate")
	}
	for i := range 5000 {
		r.take(fmt.Sprint(i), 10, 1, now)
	}
	if len(r.list) > 1024 {
		t.Errorf("%d accounts", len(r.list))
	}
	_, addr := serve(t, Config{Limits: Limits{Rate: 2}})
	got := 0
	for range 50 {
		_, b := post(t, addr, `{"jsonrpc":"2.0","id":"x","method":"system_name"}`)
		if bytes.Contains(b, []byte(`"id":"x","error":{"code":-32999,"message":"RPC rate limit exceeded"}`)) {
			got++
		}
	}
	if got == 0 {
		t.Error("nothing was refused")
	}
}

// TestConns: what comes beyond the number of connections is closed, and one that leaves makes room.
func TestConns(t *testing.T) {
	s, addr := serve(t, Config{Name: "N", Limits: Limits{Conns: 3}})
	var all []*wsock
	for range 3 {
		all = append(all, dial(t, addr))
	}
	if _, _, err := websocket.DefaultDialer.Dial("ws://"+addr, nil); err == nil {
		t.Error("a fourth was let in")
	}
	all[0].ws.Close()
	for deadline := time.Now().Add(patience); s.conns.Load() > 2; {
		if time.Now().After(deadline) {
			t.Fatal("no room was made")
		}
		all[1].text("system_chain") // gives the others time
	}
	dial(t, addr).text("system_chain")
}

// TestSubscribers: a thousand subscriptions on ten connections each hear of each block, once and in order, those of
// clients that have left are gone, and nothing is left behind.
func TestSubscribers(t *testing.T) {
	net, node, _ := following(t, demonet.Config{Peers: 2, History: 5, Quiet: true, SetChangeEvery: -1}, false)
	s, addr := serve(t, Config{Chain: node, Genesis: net.Genesis()})
	const conns, each, blocks = 10, 100, 4
	var socks []*wsock
	ids := make([][]string, conns)
	for i := range conns {
		k := dial(t, addr)
		socks = append(socks, k)
		for range each {
			ids[i] = append(ids[i], k.text("chain_subscribeFinalizedHeads"))
		}
	}
	if n := s.subs.Load(); n != conns*each {
		t.Fatalf("%d subscriptions", n)
	}
	run(t, net)
	var wg sync.WaitGroup
	for i, k := range socks {
		wg.Go(func() {
			for _, id := range ids[i] {
				last := uint64(0)
				for range blocks {
					method, r := k.tell(id)
					var h headerJSON
					if err := json.Unmarshal(r, &struct {
						*headerJSON
						Digest any `json:"digest"`
					}{headerJSON: &h}); err != nil || method != "chain_finalizedHead" {
						t.Errorf("%s: %v", method, err)
						return
					}
					n, err := parseNumber(json.RawMessage(`"` + h.Number + `"`))
					if err != nil || n <= last {
						t.Errorf("%d after %d, %v", n, last, err)
						return
					}
					last = n
				}
			}
		})
	}
	wg.Wait()
	if m := socks[0].ask("chain_unsubscribeFinalizedHeads", ids[0][0]); string(m.Result) != "true" {
		t.Errorf("unsubscribe: %s, %v", m.Result, m.Error)
	}
	socks[0].told = nil
	for range 3 {
		socks[0].tell(ids[0][1])
	}
	if slices.ContainsFunc(socks[0].told, func(m message) bool { return m.Params.Subscription == ids[0][0] }) {
		t.Error("told after the unsubscribe was answered")
	}
	if m := socks[0].ask("chain_unsubscribeFinalizedHeads", ids[0][0]); string(m.Result) != "false" {
		t.Errorf("unsubscribe again: %s, %v", m.Result, m.Error)
	}
	if m := socks[0].ask("chain_unsubscribeFinalizedHeads", 12345); string(m.Result) != "false" {
		t.Errorf("unsubscribe a number: %s, %v", m.Result, m.Error)
	}
	for _, k := range socks[1:] {
		k.ws.Close()
	}
	for deadline := time.Now().Add(patience); s.subs.Load() != each-1; {
		if time.Now().After(deadline) {
			t.Fatalf("%d subscriptions are left", s.subs.Load())
		}
		socks[0].text("system_name")
	}
}

// TestSubscriptionLimits: of one connection, of all, and of follows.
func TestSubscriptionLimits(t *testing.T) {
	_, addr := serve(t, Config{Chain: waiting{}, Limits: Limits{Subscriptions: 3, All: 5, Follows: 2}})
	a, b := dial(t, addr), dial(t, addr)
	for range 3 {
		a.text("chain_subscribeNewHeads")
	}
	if m := a.ask("chain_subscribeNewHeads"); m.Error == nil || m.Error.Code != codeTooMany {
		t.Errorf("a fourth of a connection: %s", m.Result)
	}
	for range 2 {
		b.text("chainHead_v1_follow", true)
	}
	if m := b.ask("chainHead_v1_follow", true); m.Error == nil || m.Error.Code != codeFollows {
		t.Errorf("a third follow: %s", m.Result)
	}
	if m := b.ask("chain_subscribeNewHeads"); m.Error == nil || m.Error.Code != codeTooMany {
		t.Errorf("a sixth of all: %s", m.Result)
	}
}

// TestSlowReader: a client that subscribes and does not read is dropped when its queue is full, and others are not.
func TestSlowReader(t *testing.T) {
	s, addr := serve(t, Config{Limits: Limits{Queue: 64 << 10}})
	slow, good := dial(t, addr), dial(t, addr)
	var conns []*conn
	got := make(chan *conn, 2)
	add := &method{kind: socket, f: func(c *call) (any, error) { got <- c.conn; return true, nil }}
	s.methods["test_conn"] = add
	slow.ask("test_conn")
	good.ask("test_conn")
	conns = append(conns, <-got, <-got)
	note := []byte(`{"jsonrpc":"2.0","method":"x","params":{"subscription":"y","result":"` + strings.Repeat("z", 16<<10) + `"}}`)
	told := 0
	for conns[0].ctx.Err() == nil { // the kernel's buffers take some megabytes
		if told++; told > 1<<14 {
			t.Fatal("a client that reads nothing is kept")
		}
		conns[0].tell(note)
	}
	if conns[0].tell(note) {
		t.Error("it is told more")
	}
	for range 3 {
		if !conns[1].tell(note) {
			t.Error("another one is dropped")
		}
	}
	if s := good.text("system_name"); s != "taolight" || len(good.told) != 3 {
		t.Errorf("%s, told %d times", s, len(good.told))
	}
}

// TestOut: answers that nobody reads are bounded in all, and the count comes back to nothing.
func TestOut(t *testing.T) {
	s, addr := serve(t, Config{Limits: Limits{Out: 1 << 20}})
	big := data(bytes.Repeat([]byte{1}, 300<<10))
	s.methods["test_big"] = &method{kind: asking, f: func(*call) (any, error) { return big, nil }}
	s.out.Add(900 << 10)
	k := dial(t, addr)
	if m := k.ask("test_big"); m.Error == nil || !strings.Contains(m.Error.Message, "busy") {
		t.Errorf("WebSocket: %.80s", m.Result)
	}
	fails(t, addr, codeServer, "busy", "test_big")
	want(t, addr, `"taolight"`, "system_name")
	s.out.Add(-900 << 10)
	if m := k.ask("test_big"); m.Error != nil || len(m.Result) != 2*len(big)+4 {
		t.Errorf("WebSocket: %v", m.Error)
	}
	settled := func() {
		t.Helper()
		for deadline := time.Now().Add(patience); s.out.Load() != 0; goruntime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes are left", s.out.Load())
			}
		}
	}
	settled() // what a client has read is counted for a moment yet
	want(t, addr, `"0x`+strings.Repeat("01", len(big))+`"`, "test_big")
	k.ws.Close()
	settled()
}

// FuzzFrame: whatever is sent, a server answers with JSON-RPC or not at all.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"system_chain"}`, `[{"jsonrpc":"2.0","id":"x","method":"chain_getBlockHash","params":[["0x1",2]]}]`,
		`{"jsonrpc":"2.0","id":1,"method":"state_queryStorageAt","params":[["0x01","02"],null]}`, `[[[[`, `{"jsonrpc":"2.0","id":1e999,"method":"x"}`,
		`{"jsonrpc":"2.0","id":null,"method":"state_call","params":{"name":"Core_version","bytes":"0x"}}`, "\xff\xfe", `[1,2,3]`,
		`{"jsonrpc":"2.0","id":1,"method":"chainHead_v1_storage","params":["x","0x00",[{"key":"0x","type":"value"}],null]}`,
	} {
		f.Add([]byte(s))
	}
	s, err := New(Config{Chain: nobody{}, Genesis: verify.Hash{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr := parseFrame(b, 64)
		out, after := s.answer(t.Context(), nil, "x", fr)
		if len(after) > 0 {
			t.Fatal("a subscription over HTTP")
		}
		if out == nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q is answered with %q", b, out)
		}
		if fr.err == nil && fr.batch {
			var list []message
			if err := json.Unmarshal(out, &list); err != nil || len(list) > len(fr.list) {
				t.Fatalf("%d answers to %d requests, %v", len(list), len(fr.list), err)
			}
		}
	})
}
