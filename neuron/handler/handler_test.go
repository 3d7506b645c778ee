package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taolight/taolight/neuron"
)

func ask(t *testing.T, h neuron.Handler, input string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return askWithin(ctx, h, input)
}

func askWithin(ctx context.Context, h neuron.Handler, input string) (string, error) {
	r, err := h.Handle(ctx, &neuron.Request{Name: "Talk", Input: []byte(input), Caller: neuron.Caller{Standing: neuron.Standing{Registered: true, UID: 7}}})
	if err != nil {
		return "", err
	}
	if r.Stream != nil {
		var b bytes.Buffer
		err := r.Stream(&b)
		return b.String(), err
	}
	return string(r.Body), nil
}

func statusOf(err error) int {
	var e *neuron.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestDummy(t *testing.T) {
	for in, want := range map[string]string{`{"dummy_input":21}`: `{"dummy_output":42}`, `{"dummy_input":-4611686018427387904}`: `{"dummy_output":-9223372036854775808}`} {
		if got, err := ask(t, Dummy(), in); got != want || err != nil {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{`{"dummy_input":4611686018427387904}`, `{"dummy_input":99999999999999999999}`, `[]`} {
		if got, err := ask(t, Dummy(), in); statusOf(err) != 400 {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

// local is a server on loopback that answers as f says.
func local(t *testing.T, f http.HandlerFunc, cfg HTTPConfig) *HTTP {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	cfg.URL = s.URL + cfg.URL
	h, err := NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestHTTP(t *testing.T) {
	say := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	echo := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.URL, r.Header.Get("X-Taolight-Name"), r.Header.Get("Content-Type"), b)
	}
	for _, c := range []struct {
		name string
		f    http.HandlerFunc
		want string // empty: an error
	}{
		{"echo", echo, `POST /answer Talk application/json {"a":1}`},
		{"a stream", say(200, "text/event-stream", "data: x\n\n"), "data: x\n\n"},
		{"an error", say(500, "text/plain", "secret"), ""},
		{"a redirect", say(302, "text/plain", ""), ""},
		{"too large", say(200, "text/plain", strings.Repeat("x", 1001)), ""},
		{"a stream that is too large", say(200, "text/event-stream", strings.Repeat("x", 1001)), ""},
	} {
		h := local(t, c.f, HTTPConfig{URL: "/answer", MaxReply: 1000})
		got, err := ask(t, h, `{"a":1}`)
		if c.want != "" && (got != c.want || err != nil) || c.want == "" && (err == nil || statusOf(err) != 0) {
			t.Errorf("%s: %.100q, %v", c.name, got, err)
		}
	}
	h := local(t, echo, HTTPConfig{})
	gone, err := NewHTTP(HTTPConfig{URL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, gone, "{}"); statusOf(err) != 503 || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := askWithin(ctx, h, "{}"); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller has gone: %v", err)
	}
	for _, u := range []string{"", "127.0.0.1:80", "file:///etc/passwd", "http://"} {
		if _, err := NewHTTP(HTTPConfig{URL: u}); err == nil {
			t.Errorf("URL %q", u)
		}
	}
}

func TestOpenAI(t *testing.T) {
	var sent string
	answer := `{"choices":[{"message":{"role":"assistant","content":"hi \"there\""}}]}`
	h := local(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent = r.URL.Path + " " + string(b)
		io.WriteString(w, answer)
	}, HTTPConfig{URL: "/v1/", OpenAI: &OpenAI{Model: "m", System: "be brief", MaxToken: 9}})
	for _, c := range []struct{ in, sent string }{
		{`{"prompt":"hello"}`, `/v1/chat/completions {"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}],"stream":false,"max_tokens":9}`},
		{`{"prompt":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
			`/v1/chat/completions {"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"stream":false,"max_tokens":9}`},
	} {
		if got, err := ask(t, h, c.in); err != nil || got != `{"completion":"hi \"there\""}` || sent != c.sent {
			t.Errorf("%s: %s, %v, sent %s", c.in, got, err, sent)
		}
	}
	for _, in := range []string{`[]`, `{}`, `{"prompt":5}`, `{"prompt":""}`, `{"messages":[{"role":"root","content":"x"}]}`, `{"messages":[]}`} {
		if _, err := ask(t, h, in); statusOf(err) != 400 {
			t.Errorf("%s: %v", in, err)
		}
	}
	for _, answer = range []string{``, `{}`, `{"choices":[]}`, `{"choices":[{"message":{}}]}`, `{"choices":[{"message":{"content":5}}]}`} {
		if got, err := ask(t, h, `{"prompt":"x"}`); !errors.Is(err, errAnswer) {
			t.Errorf("%s: %s, %v", answer, got, err)
		}
	}

	var events string
	s := local(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, events) }, HTTPConfig{OpenAI: &OpenAI{Stream: true}, MaxReply: 500})
	const piece = `data: {"choices":[{"delta":{"content":%q}}]}` + "\n\n"
	for _, c := range []struct {
		events, want string
		good         bool
	}{
		{": hi\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n" + fmt.Sprintf(piece+piece, "a ", "b") + "data: [DONE]\n", "a b", true},
		{fmt.Sprintf(piece, "a"), "a", false}, // it broke off
		{"data: rubbish\n", "", false},
		{strings.Repeat("x", 2000), "", false},
		{fmt.Sprintf(piece, strings.Repeat("x", 600)) + "data: [DONE]\n", "", false},
	} {
		events = c.events
		if got, err := ask(t, s, `{"prompt":"x"}`); got != c.want || (err == nil) != c.good {
			t.Errorf("%.60q: %q, %v", c.events, got, err)
		}
	}
}

func command(t *testing.T, cfg ExecConfig) *Exec {
	t.Helper()
	e, err := NewExec(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

func TestExecOnce(t *testing.T) {
	t.Setenv("BT_PW_SECRET", "hunter2")
	for _, c := range []struct {
		name, script, input, want string // want empty: an error
	}{
		{"an answer", `cat >/dev/null; echo '{"x":1}'`, `{}`, `{"x":1}`},
		{"the question", `cat`, `{"a":1}`, `{"name":"Talk","caller":"5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM","uid":7,"input":{"a":1}}`},
		{"a body that is no JSON", `cat`, `rub`, `{"name":"Talk","caller":"5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM","uid":7,"body":"cnVi"}`},
		{"it does not read", `echo '{}'`, `{"a":"` + strings.Repeat("x", 1<<17) + `"}`, `{}`},
		{"its environment", `cat >/dev/null; env | grep -c hunter2; echo "$EXTRA"`, `{}`, "0\nyes"},
		{"it fails", `echo '{}'; exit 3`, `{}`, ""},
		{"it writes too much", `yes`, `{}`, ""},
		{"it dies", `kill -9 $$`, `{}`, ""},
	} {
		e := command(t, ExecConfig{Command: sh(c.script), MaxReply: 1000, Env: []string{"EXTRA=yes"}})
		got, err := ask(t, e, c.input)
		if got != c.want || (err == nil) != (c.want != "") || statusOf(err) != 0 {
			t.Errorf("%s: %.200q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := NewExec(ExecConfig{}); err == nil {
		t.Error("no command")
	}
	if _, err := NewExec(ExecConfig{Command: []string{"/none/such"}}); err == nil {
		t.Error("a command that is not there")
	}
}

// alive reports whether the process whose number is in a file still runs. A zombie does not.
func alive(t *testing.T, file string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return syscall.Kill(pid, 0) == nil
}

// TestExecIsKilled: a command that does not end in time is killed, and what it started with it.
func TestExecIsKilled(t *testing.T) {
	for _, lines := range []bool{false, true} {
		pids := filepath.Join(t.TempDir(), "pid")
		e := command(t, ExecConfig{Command: sh(`sleep 1000 & echo $! >` + pids + `.new; mv ` + pids + `.new ` + pids + `; wait`), Lines: lines})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // for the shell to start its child
		begin := time.Now()
		_, err := askWithin(ctx, e, `{}`)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 10*time.Second {
			t.Errorf("lines %v: %v after %v", lines, err, time.Since(begin))
		}
		if e.p != nil {
			<-e.p.gone
		}
		dies(t, pids)
	}
}

// dies waits for the end of a process that has a signal on its way.
func dies(t *testing.T, file string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); alive(t, file); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("a child goes on")
		}
	}
}

// TestExecLeavesNothing: what a command that ended well has left behind ends too.
func TestExecLeavesNothing(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	e := command(t, ExecConfig{Command: sh(`sleep 1000 >/dev/null 2>&1 & echo $! >` + pid + `; cat >/dev/null; echo '{}'`)})
	if got, err := ask(t, e, `{}`); got != `{}` || err != nil {
		t.Fatalf("%s, %v", got, err)
	}
	dies(t, pid)
}

// echoLines answers each line with its input, those with "slow" in them last, and does what others say.
const echoLines = `
while read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}
  case $line in
  *slow*) held="$held $id";;
  *die*) exit 1;;
  *rubbish*) echo 'what?';;
  *big*) yes | head -c 3000 | tr '\n' x;;
  *fail*) echo "{\"id\":$id,\"error\":\"not today\",\"status\":429}";;
  *inner*) echo "{\"id\":$id,\"error\":\"secret\"}";;
  *none*) echo '{"id":99999}';;
  *) echo "{\"id\":$id,\"output\":{\"n\":$id}}"; for h in $held; do echo "{\"id\":$h,\"output\":{\"slow\":$h}}"; done; held=;;
  esac
done`

func TestExecLines(t *testing.T) {
	e := command(t, ExecConfig{Command: sh(echoLines), Lines: true, MaxReply: 1000})
	if got, err := ask(t, e, `{}`); got != `{"n":1}` || err != nil {
		t.Fatalf("%s, %v", got, err)
	}
	first := e.p
	if _, err := ask(t, e, `{"x":"fail"}`); statusOf(err) != 429 {
		t.Errorf("%v", err)
	}
	if _, err := ask(t, e, `{"x":"inner"}`); err == nil || statusOf(err) != 0 {
		t.Errorf("%v", err)
	}
	// Answers come in their own order.
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := ask(t, e, `{"x":"slow"}`); got != `{"slow":4}` || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	})
	for { // until it waits
		first.mu.Lock()
		n := first.next
		first.mu.Unlock()
		if n == 4 {
			break
		}
		runtime.Gosched()
	}
	for i := 5; ; i++ {
		if got, err := ask(t, e, `{}`); err != nil || got != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("%s, %v", got, err)
		}
		first.mu.Lock()
		n := len(first.waiting)
		first.mu.Unlock()
		if n == 0 {
			break
		}
	}
	wg.Wait()
	// A caller that goes kills nobody.
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := askWithin(ctx, e, `{"x":"slow"}`); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := ask(t, e, `{}`); err != nil || e.p != first {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"die", "rubbish", "big"} {
		e.mu.Lock()
		e.started = time.Time{} // as if a second had passed
		e.mu.Unlock()
		if _, err := ask(t, e, `{}`); err != nil {
			t.Fatalf("before %s: %v", bad, err)
		}
		p := e.p
		if _, err := ask(t, e, `{"x":"`+bad+`"}`); statusOf(err) != 503 {
			t.Errorf("%s: %v", bad, err)
		}
		<-p.gone
		// One start a second, however often it is asked.
		e.mu.Lock()
		e.started = time.Now().Add(time.Hour)
		e.mu.Unlock()
		if _, err := ask(t, e, `{}`); statusOf(err) != 503 {
			t.Errorf("after %s: %v", bad, err)
		}
	}
	e.Close()
	if _, err := ask(t, e, `{}`); statusOf(err) != 503 {
		t.Errorf("closed: %v", err)
	}
}

// TestExecThatDoesNotRead: a process whose pipe is full holds nobody for longer than the caller waits.
func TestExecThatDoesNotRead(t *testing.T) {
	e := command(t, ExecConfig{Command: sh("sleep 1000"), Lines: true})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := askWithin(ctx, e, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`); err == nil {
		t.Error("answered")
	}
	<-e.p.gone
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"id":1,"output":{"a":1}}` + "\n" + `{"id":2,"error":"x","status":1e9}` + "\n"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, kill := context.WithCancelCause(context.Background())
		p := &process{kill: kill, ctx: ctx, waiting: map[uint64]chan Answer{}}
		got := make(chan Answer, 1)
		p.waiting[1] = got
		p.read(bytes.NewReader(b), 1000)
		select {
		case a := <-got:
			if r, err := a.reply(); (r == nil) == (err == nil) {
				t.Fatal(r, err)
			}
		default:
		}
		var out bytes.Buffer
		deltas(&out, bytes.NewReader(b))
		if out.Len() > len(b) {
			t.Fatalf("%d bytes of %d", out.Len(), len(b))
		}
		o := OpenAI{Messages: "messages", Prompt: "prompt", Output: "completion"}
		for _, made := range [][]byte{first(o.request(b)), first(o.reply(b))} {
			if made != nil && !json.Valid(made) {
				t.Fatalf("%s", made)
			}
		}
	})
}

func first(b []byte, err error) []byte {
	if err != nil {
		return nil
	}
	return b
}
