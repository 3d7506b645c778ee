package rpc

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

// TestPages: what is no JSON-RPC goes to Pages, but by a name that this node does not answer to nothing does.
func TestPages(t *testing.T) {
	s, addr := serve(t, Config{Name: "N", Hosts: []string{"pi.lan"}, Pages: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/" {
			return false
		}
		fmt.Fprint(w, "a page")
		return true
	}})
	get := func(method, path, host, origin string) (int, string, http.Header) {
		r, err := http.NewRequest(method, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Host = host; host == "" {
			r.Host = addr
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(b), a.Header
	}
	for _, c := range []struct {
		method, path, host string
		code               int
	}{
		{"GET", "/", "", 200}, {"HEAD", "/", "", 200}, {"GET", "/", "localhost:9944", 200}, {"GET", "/", "pi.lan", 200}, {"GET", "/", "127.0.0.1", 200},
		{"GET", "/", "evil.example", 403}, {"GET", "/", "evil.example:9944", 403}, {"GET", "/", "127.0.0.1.evil.example", 403}, {"GET", "/", "192.0.2.1:9944", 403},
		{"GET", "/", "localhost.evil.example", 403}, {"HEAD", "/", "evil.example", 403},
		{"GET", "/nothing", "", 405}, {"PUT", "/", "", 405}, {"DELETE", "/", "", 405},
	} {
		code, body, _ := get(c.method, c.path, c.host, "")
		if code != c.code || (code == 200 && c.method == "GET") != (body == "a page") {
			t.Errorf("%s %s by %q: %d %q", c.method, c.path, c.host, code, body)
		}
	}
	if code, b := post(t, addr, `{"jsonrpc":"2.0","id":1,"method":"system_chain"}`); code != 200 || string(b) != `{"jsonrpc":"2.0","id":1,"result":"N"}` {
		t.Errorf("a question beside it: %d %s", code, b)
	}
	dial(t, addr)
	// A page that may ask is not thereby one that may read pages.
	if code, _, h := get("GET", "/", "", "http://localhost:3000"); code != 200 || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", code, h)
	}
	if n := s.Stats(); n.Requests != 1 || n.Conns == 0 {
		t.Errorf("%+v", n)
	}
}

// TestPagesRate: pages take from the same account as questions.
func TestPagesRate(t *testing.T) {
	_, addr := serve(t, Config{Limits: Limits{Rate: 1}, Pages: func(w http.ResponseWriter, _ *http.Request) bool { return true }})
	codes := map[int]int{}
	for range 10 {
		a, err := http.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		codes[a.StatusCode]++
	}
	if codes[200] == 0 || codes[429] == 0 {
		t.Errorf("%v", codes)
	}
}
